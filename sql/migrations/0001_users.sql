-- Users: the account, its subscription, and what it has used.
-- Locks: none, the tables are new.

CREATE TABLE claude_gpt_data.users (
    id uuid CONSTRAINT users_pkey PRIMARY KEY,
    email varchar(255) NOT NULL CONSTRAINT idx_users_email UNIQUE,
    password_hash text,  -- NULL: the user signs in elsewhere (OAuth, passkeys)
    full_name text,
    avatar_url text,
    phone text,
    preferred_language varchar(35) DEFAULT 'en',
    theme_preference text DEFAULT 'light',

    stripe_customer_id varchar(255) CONSTRAINT idx_users_stripe_customer_id UNIQUE,
    subscription_id varchar(255),
    -- The name of a plan in the configuration "subscription_plans", which a trigger checks: a CHECK would be read
    -- anew by every statement that counts usage. Without a length: tables of 0.4.0, where this was a domain, would
    -- be written anew for one.
    subscription_tier varchar NOT NULL DEFAULT 'free',
    subscription_status varchar(20) NOT NULL DEFAULT 'inactive',
    subscription_current_period_end timestamptz,
    subscription_cancel_at_period_end boolean NOT NULL DEFAULT false,

    email_verified boolean NOT NULL DEFAULT false,
    email_verification_token text,
    password_reset_token text,
    password_reset_expires timestamptz,
    last_login_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,

    -- What every counted call writes stands together from here: the log of an update holds the row from the
    -- first byte that changed to the last. The month's counters count from monthly_reset_date; those of an
    -- earlier month count as zero.
    monthly_message_count integer NOT NULL DEFAULT 0,
    total_message_count integer NOT NULL DEFAULT 0,
    last_active_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    monthly_token_count bigint NOT NULL DEFAULT 0,
    total_token_count bigint NOT NULL DEFAULT 0,
    monthly_cost numeric(20,9) NOT NULL DEFAULT 0,
    total_cost numeric(20,9) NOT NULL DEFAULT 0,
    -- To here. The rest moves once a day, once a month, or with other calls.
    monthly_api_call_count bigint NOT NULL DEFAULT 0,
    total_api_call_count bigint NOT NULL DEFAULT 0,
    monthly_reset_date date NOT NULL DEFAULT CURRENT_DATE,
    -- Stands in for last_active_at in an index: an indexed column that moves with every call would make
    -- every counter update write all indexes anew. Kept by a trigger; a generated column would be computed
    -- by an expression that the server reads anew for every statement.
    last_active_on date,

    -- What is held stands in the row that a decision locks, so that it is read again after a wait.
    held_message_count integer NOT NULL DEFAULT 0,
    held_token_count bigint NOT NULL DEFAULT 0,
    held_cost numeric(20,9) NOT NULL DEFAULT 0,
    next_hold_expiry timestamptz,
    -- Written only where a clock was wrong.
    ledger_ahead_to date,
    -- Periods that do not follow the calendar, by the plan's billing_anchor.
    billing_anchor_day integer,
    billing_period_ends_on date
) WITH (fillfactor = 75);  -- room for counter updates within the page, which write no index
COMMENT ON TABLE claude_gpt_data.users IS
'Accounts of the application, with subscription and usage counters. Tier, subscription and counters are written by functions of claude_gpt.';
COMMENT ON COLUMN claude_gpt_data.users.monthly_reset_date IS 'The first day of the running billing period: that from which the monthly counters count.';
COMMENT ON COLUMN claude_gpt_data.users.last_active_on IS 'The UTC day of last_active_at, for the index.';
COMMENT ON COLUMN claude_gpt_data.users.held_message_count IS 'Messages held by open reservations; so held_token_count and held_cost.';
COMMENT ON COLUMN claude_gpt_data.users.next_hold_expiry IS 'No open reservation expires before this moment; NULL where nothing is held.';
COMMENT ON COLUMN claude_gpt_data.users.billing_anchor_day IS
'The day of the month on which the user''s own periods begin, in a month without it the last one; NULL is 1. Written by set_subscription where the plan says billing_anchor "subscription".';
COMMENT ON COLUMN claude_gpt_data.users.billing_period_ends_on IS
'The first day of the next billing period; NULL: the first day of the month after monthly_reset_date.';
COMMENT ON COLUMN claude_gpt_data.users.ledger_ahead_to IS
'The latest billing_period in the ledger, where a wrong clock left one that is later than monthly_reset_date; NULL otherwise. What it holds counts in the running month until the next one begins.';

-- 'A@X' and 'a@x' are one account.
CREATE UNIQUE INDEX idx_users_email_lower ON claude_gpt_data.users (lower(email));
CREATE INDEX idx_users_subscription_id ON claude_gpt_data.users (subscription_id) WHERE subscription_id IS NOT NULL;
CREATE INDEX idx_users_created_at ON claude_gpt_data.users (created_at);
CREATE INDEX idx_users_last_active_at ON claude_gpt_data.users (last_active_on);
