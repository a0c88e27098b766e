-- Users: the account, its subscription, and what it has used.
-- Locks: none, the tables are new.

-- A new plan is a new name here and in the configuration "subscription_plans"; migrations leave this rule
-- alone. A domain, since the server reads a CHECK of the table anew for every statement that counts usage.
CREATE DOMAIN claude_gpt.subscription_tier AS varchar(20)
    CONSTRAINT subscription_tier_check CHECK (VALUE = ANY ('{free,base,pro}'));

CREATE TABLE claude_gpt.users (
    id uuid CONSTRAINT users_pkey PRIMARY KEY,
    email varchar(255) NOT NULL CONSTRAINT idx_users_email UNIQUE,
    password_hash varchar(255) NOT NULL,
    full_name varchar(100),
    avatar_url text,
    phone varchar(20),
    preferred_language varchar(10) DEFAULT 'en',
    theme_preference varchar(10) DEFAULT 'light',

    stripe_customer_id varchar(100) CONSTRAINT idx_users_stripe_customer_id UNIQUE,
    subscription_id varchar(100),
    subscription_tier claude_gpt.subscription_tier NOT NULL DEFAULT 'free',
    subscription_status varchar(20) NOT NULL DEFAULT 'inactive',
    subscription_current_period_end timestamptz,
    subscription_cancel_at_period_end boolean NOT NULL DEFAULT false,

    email_verified boolean NOT NULL DEFAULT false,
    email_verification_token varchar(100),
    password_reset_token varchar(100),
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
    last_active_on date
) WITH (fillfactor = 75);  -- room for counter updates within the page, which write no index
COMMENT ON DOMAIN claude_gpt.subscription_tier IS 'The names of the plans.';
COMMENT ON TABLE claude_gpt.users IS
'Accounts of the application, with subscription and usage counters. Tier, subscription and counters are written by functions of claude_gpt.';
COMMENT ON COLUMN claude_gpt.users.monthly_reset_date IS 'The day from which the monthly counters count.';
COMMENT ON COLUMN claude_gpt.users.last_active_on IS 'The UTC day of last_active_at, for the index.';

-- 'A@X' and 'a@x' are one account.
CREATE UNIQUE INDEX idx_users_email_lower ON claude_gpt.users (lower(email));
CREATE INDEX idx_users_subscription_id ON claude_gpt.users (subscription_id) WHERE subscription_id IS NOT NULL;
CREATE INDEX idx_users_created_at ON claude_gpt.users (created_at);
CREATE INDEX idx_users_last_active_at ON claude_gpt.users (last_active_on);
