-- Reservations: usage that is held before it is known, and the keys that make a repeated call the same call.
-- Locks: ACCESS EXCLUSIVE on users for a moment (new columns, no rewrite); SHARE ROW EXCLUSIVE (foreign keys).

-- What is held stands in the row that a decision locks, so that it is read again after a wait.
ALTER TABLE claude_gpt.users
    ADD COLUMN held_message_count integer NOT NULL DEFAULT 0,
    ADD COLUMN held_token_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN held_cost numeric(20,9) NOT NULL DEFAULT 0,
    ADD COLUMN next_hold_expiry timestamptz NOT NULL DEFAULT 'infinity';
COMMENT ON COLUMN claude_gpt.users.held_message_count IS 'Messages held by open reservations; so held_token_count and held_cost.';
COMMENT ON COLUMN claude_gpt.users.next_hold_expiry IS
'No open reservation expires before this moment; "infinity" where nothing is held.';

CREATE TABLE claude_gpt.usage_reservations (
    id uuid CONSTRAINT usage_reservations_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT usage_reservations_user_id_fkey REFERENCES claude_gpt.users (id) ON DELETE CASCADE,
    status varchar(20) NOT NULL DEFAULT 'open',
    message_count integer NOT NULL,
    token_count bigint NOT NULL,
    cost numeric(20,9) NOT NULL DEFAULT 0,
    model_used varchar(50),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
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
    has_failed boolean
) WITH (fillfactor = 80);  -- closing one writes no index
COMMENT ON TABLE claude_gpt.usage_reservations IS
'Usage held until it is settled, released or expired. Written by functions of claude_gpt. An open reservation whose expires_at has passed holds nothing more, marked or not.';
COMMENT ON COLUMN claude_gpt.usage_reservations.message_count IS 'Messages it held, and charges when it is settled; token_count and cost are what it held of these.';
COMMENT ON COLUMN claude_gpt.usage_reservations.has_failed IS 'Whether the turn that it charges has failed.';
COMMENT ON COLUMN claude_gpt.usage_reservations.given_cost IS 'The cost that settling was called with; NULL where it was computed from the price of the model.';

-- A user's deletion, and the due ones of a user: between users.next_hold_expiry and now.
CREATE INDEX idx_usage_reservations_user_id ON claude_gpt.usage_reservations (user_id, expires_at);

CREATE TABLE claude_gpt.idempotency_keys (
    user_id uuid NOT NULL CONSTRAINT idempotency_keys_user_id_fkey REFERENCES claude_gpt.users (id) ON DELETE CASCADE,
    idempotency_key varchar(255) NOT NULL,
    fingerprint bytea NOT NULL,
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
COMMENT ON TABLE claude_gpt.idempotency_keys IS
'Keys that clients gave to calls, with the answer that a repeated call gets until the key expires. Written by functions of claude_gpt.';
COMMENT ON COLUMN claude_gpt.idempotency_keys.fingerprint IS 'SHA-256 over the function and its arguments.';

CREATE INDEX idx_idempotency_keys_expires_at ON claude_gpt.idempotency_keys (expires_at);

INSERT INTO claude_gpt.system_configs (id, config_key, config_value, description)
SELECT gen_random_uuid(), key, value::jsonb, description
FROM (VALUES
    ('model_prices', '{}', 'Price of a million tokens by model: prompt, completion, cachedPrompt, cacheWrite'),
    ('idempotency_ttl', '"24 hours"', 'How long an idempotency key is remembered')
) AS initial (key, value, description)
ON CONFLICT (config_key) DO NOTHING;
