-- Usage: the ledger, in partitions of a quarter, the balances carried outside of it, what is held before it is known,
-- and the keys that make a repeated call the same call.
-- Locks: SHARE ROW EXCLUSIVE on users, conversations and messages (foreign keys).

CREATE TABLE claude_gpt_data.usage_records (
    id uuid NOT NULL,
    user_id uuid NOT NULL CONSTRAINT usage_records_user_id_fkey REFERENCES claude_gpt_data.users (id) ON DELETE CASCADE,
    usage_type varchar(20) NOT NULL,
    quantity bigint NOT NULL DEFAULT 1,
    model_used varchar(255),
    cost numeric(20,9) NOT NULL DEFAULT 0,
    message_id uuid CONSTRAINT usage_records_message_id_fkey REFERENCES claude_gpt_data.messages (id) ON DELETE SET NULL,
    conversation_id uuid
        CONSTRAINT usage_records_conversation_id_fkey REFERENCES claude_gpt_data.conversations (id) ON DELETE SET NULL,
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    billing_period date NOT NULL DEFAULT date_trunc('month', CURRENT_TIMESTAMP AT TIME ZONE 'UTC')::date,
    prompt_tokens integer,
    completion_tokens integer,
    cached_prompt_tokens integer,
    cache_write_tokens integer,
    reasoning_tokens integer,
    CONSTRAINT usage_records_pkey PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE claude_gpt_data.usage_records IS
'The ledger: what was used, at what cost, and in which month it was counted. Written by functions of claude_gpt.';
COMMENT ON COLUMN claude_gpt_data.usage_records.billing_period IS 'First day of the billing period whose counters hold the quantity: users.monthly_reset_date as it was then.';
COMMENT ON COLUMN claude_gpt_data.usage_records.prompt_tokens IS 'With completion_tokens the quantity of what a reservation or a turn was charged; NULL in other records.';
COMMENT ON COLUMN claude_gpt_data.usage_records.cached_prompt_tokens IS 'Part of the prompt that was read from a cache; NULL where it is not known.';
COMMENT ON COLUMN claude_gpt_data.usage_records.cache_write_tokens IS 'Part of the prompt that was written to a cache; NULL where it is not known.';
COMMENT ON COLUMN claude_gpt_data.usage_records.reasoning_tokens IS 'Part of the completion that was thought and not said; NULL where it is not known.';

-- A user's bill by month: what cost something, which is half of the records. All of a user are found by the next.
CREATE INDEX idx_usage_records_user_id ON claude_gpt_data.usage_records (user_id, billing_period) WHERE cost > 0;
CREATE INDEX idx_usage_records_user_date ON claude_gpt_data.usage_records (user_id, created_at);
CREATE INDEX idx_usage_records_created_at ON claude_gpt_data.usage_records USING brin (created_at);
-- The rare kind only; an index over the common ones would be read past.
CREATE INDEX idx_usage_records_usage_type ON claude_gpt_data.usage_records (usage_type, created_at) WHERE usage_type = 'api_call';
CREATE INDEX idx_usage_records_message_id ON claude_gpt_data.usage_records (message_id) WHERE message_id IS NOT NULL;
-- Without it, deleting a conversation reads the whole ledger.
CREATE INDEX idx_usage_records_conversation_id ON claude_gpt_data.usage_records (conversation_id) WHERE conversation_id IS NOT NULL;

CREATE TABLE claude_gpt_partitions.usage_records_default PARTITION OF claude_gpt_data.usage_records DEFAULT;

-- This quarter and the next, in UTC; what lies outside goes to the default partition.
DO $$
DECLARE
    quarter timestamptz := date_trunc('quarter', CURRENT_TIMESTAMP, 'UTC');
    next_quarter timestamptz;
BEGIN
    FOR i IN 1..2 LOOP
        next_quarter := (quarter AT TIME ZONE 'UTC' + interval '3 months') AT TIME ZONE 'UTC';
        EXECUTE format('CREATE TABLE claude_gpt_partitions.%I PARTITION OF claude_gpt_data.usage_records FOR VALUES FROM (%L) TO (%L)',
                       'usage_records_' || to_char(quarter AT TIME ZONE 'UTC', 'YYYY"q"Q'), quarter, next_quarter);
        quarter := next_quarter;
    END LOOP;
END
$$;

CREATE TABLE claude_gpt_data.usage_balances (
    user_id uuid NOT NULL CONSTRAINT usage_balances_user_id_fkey REFERENCES claude_gpt_data.users (id) ON DELETE CASCADE,
    usage_type varchar(20) NOT NULL
        CONSTRAINT usage_balances_usage_type_check CHECK (usage_type = ANY ('{message,token,api_call}')),
    billing_period date NOT NULL,
    quantity bigint NOT NULL DEFAULT 0,
    cost numeric(20,9) NOT NULL DEFAULT 0,
    CONSTRAINT usage_balances_pkey PRIMARY KEY (user_id, usage_type, billing_period)
);
COMMENT ON TABLE claude_gpt_data.usage_balances IS
'What the counters of users hold beyond the ledger: counters = ledger + balances, for each user, type and month. The period 0001-01-01 is the time before the ledger; a balance is negative where a counter taken over was below its ledger.';

CREATE TABLE claude_gpt_data.usage_reservations (
    id uuid CONSTRAINT usage_reservations_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT usage_reservations_user_id_fkey REFERENCES claude_gpt_data.users (id) ON DELETE CASCADE,
    status varchar(20) NOT NULL DEFAULT 'open',
    message_count integer NOT NULL,
    token_count bigint NOT NULL,
    cost numeric(20,9) NOT NULL DEFAULT 0,
    model_used varchar(255),
    unit_prices text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    renewed_at timestamptz,
    -- What a turn belongs to. No foreign keys: a closed reservation is a receipt, and outlives them.
    conversation_id uuid,
    user_message_id uuid,
    assistant_message_id uuid,
    -- What it was closed with.
    closed_at timestamptz,
    prompt_tokens integer,
    completion_tokens integer,
    cached_prompt_tokens integer,
    cache_write_tokens integer,
    given_cost numeric(20,9),
    charged_cost numeric(20,9),
    was_late boolean,
    has_failed boolean,
    is_estimated boolean,
    reported_usage text,
    reply_hash bigint
) WITH (fillfactor = 80);  -- closing one writes no index
COMMENT ON TABLE claude_gpt_data.usage_reservations IS
'Usage held until it is settled, released or expired. Written by functions of claude_gpt. An open reservation whose expires_at has passed holds nothing more, marked or not.';
COMMENT ON COLUMN claude_gpt_data.usage_reservations.message_count IS 'Messages it held, and charges when it is settled; token_count and cost are what it held of these.';
COMMENT ON COLUMN claude_gpt_data.usage_reservations.unit_prices IS 'What a million tokens of the model cost when it was made, by which it is settled: prompt/completion, and where they differ from prompt /cachedPrompt/cacheWrite/cacheWrite1h; NULL where the price was not known.';
COMMENT ON COLUMN claude_gpt_data.usage_reservations.renewed_at IS 'When its time to live began anew, by extend_usage or since its reply was streamed on; NULL where it never did.';
COMMENT ON COLUMN claude_gpt_data.usage_reservations.has_failed IS 'Whether the turn that it charges has failed.';
COMMENT ON COLUMN claude_gpt_data.usage_reservations.is_estimated IS 'Whether what was used was not known when it was settled, so that what it held was charged, or what was known if that is more.';
COMMENT ON COLUMN claude_gpt_data.usage_reservations.reported_usage IS 'What was reported of each call of a model, where the counts of tokens do not say it all; NULL where they do.';
COMMENT ON COLUMN claude_gpt_data.usage_reservations.reply_hash IS 'Of a turn: what tells the reply that ended it, and how it ended, from others; NULL where it ended before this was kept.';
COMMENT ON COLUMN claude_gpt_data.usage_reservations.given_cost IS 'The cost that settling was called with; NULL where it was computed from the price of the model.';

-- A user's deletion, and the due ones of a user: between users.next_hold_expiry and now.
CREATE INDEX idx_usage_reservations_user_id ON claude_gpt_data.usage_reservations (user_id, expires_at);
-- Finds what has expired without an entry for each reservation.
CREATE INDEX idx_usage_reservations_expires_at ON claude_gpt_data.usage_reservations USING brin (expires_at) WITH (pages_per_range = 16);

CREATE TABLE claude_gpt_data.idempotency_keys (
    user_id uuid NOT NULL CONSTRAINT idempotency_keys_user_id_fkey REFERENCES claude_gpt_data.users (id) ON DELETE CASCADE,
    idempotency_key varchar(255) NOT NULL,
    fingerprint varchar(64) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    -- What the first call answered.
    limit_name text,
    limit_value bigint,
    used bigint,
    held bigint,
    remaining bigint,
    resets_at timestamptz,
    reservation_id uuid,
    usage_record_id uuid,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (user_id, idempotency_key)
);
COMMENT ON TABLE claude_gpt_data.idempotency_keys IS
'Keys that clients gave to calls, with the answer that a repeated call gets until the key expires. Written by functions of claude_gpt.';
COMMENT ON COLUMN claude_gpt_data.idempotency_keys.fingerprint IS 'SHA-256 over the function and its arguments, in hexadecimal.';

CREATE INDEX idx_idempotency_keys_expires_at ON claude_gpt_data.idempotency_keys (expires_at);
