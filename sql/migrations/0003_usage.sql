-- The usage ledger, in partitions of a quarter, and the balances carried outside of it.
-- Locks: SHARE ROW EXCLUSIVE on users, conversations and messages (foreign keys).

CREATE TABLE claude_gpt.usage_records (
    id uuid NOT NULL,
    user_id uuid NOT NULL CONSTRAINT usage_records_user_id_fkey REFERENCES claude_gpt.users (id) ON DELETE CASCADE,
    usage_type varchar(20) NOT NULL,
    quantity bigint NOT NULL DEFAULT 1,
    model_used varchar(50),
    cost numeric(20,9) NOT NULL DEFAULT 0,
    message_id uuid CONSTRAINT usage_records_message_id_fkey REFERENCES claude_gpt.messages (id) ON DELETE SET NULL,
    conversation_id uuid
        CONSTRAINT usage_records_conversation_id_fkey REFERENCES claude_gpt.conversations (id) ON DELETE SET NULL,
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    billing_period date NOT NULL DEFAULT date_trunc('month', CURRENT_TIMESTAMP AT TIME ZONE 'UTC')::date,
    CONSTRAINT usage_records_pkey PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE claude_gpt.usage_records IS
'The ledger: what was used, at what cost, and in which month it was counted. Written by functions of claude_gpt.';
COMMENT ON COLUMN claude_gpt.usage_records.billing_period IS 'First day of the month whose counters hold the quantity.';

-- Sums by user and month: the proof of the counters, and a user's bill.
CREATE INDEX idx_usage_records_user_id ON claude_gpt.usage_records (user_id, billing_period, usage_type);
CREATE INDEX idx_usage_records_user_date ON claude_gpt.usage_records (user_id, created_at);
CREATE INDEX idx_usage_records_created_at ON claude_gpt.usage_records USING brin (created_at);
CREATE INDEX idx_usage_records_usage_type ON claude_gpt.usage_records USING brin (billing_period, usage_type);
CREATE INDEX idx_usage_records_message_id ON claude_gpt.usage_records (message_id) WHERE message_id IS NOT NULL;
-- Without it, deleting a conversation reads the whole ledger.
CREATE INDEX idx_usage_records_conversation_id ON claude_gpt.usage_records (conversation_id) WHERE conversation_id IS NOT NULL;

CREATE TABLE claude_gpt.usage_records_default PARTITION OF claude_gpt.usage_records DEFAULT;

CREATE TABLE claude_gpt.usage_balances (
    user_id uuid NOT NULL CONSTRAINT usage_balances_user_id_fkey REFERENCES claude_gpt.users (id) ON DELETE CASCADE,
    usage_type varchar(20) NOT NULL
        CONSTRAINT usage_balances_usage_type_check CHECK (usage_type = ANY ('{message,token,api_call}')),
    billing_period date NOT NULL,
    quantity bigint NOT NULL DEFAULT 0,
    cost numeric(20,9) NOT NULL DEFAULT 0,
    CONSTRAINT usage_balances_pkey PRIMARY KEY (user_id, usage_type, billing_period)
);
COMMENT ON TABLE claude_gpt.usage_balances IS
'What the counters of users hold beyond the ledger: counters = ledger + balances, for each user, type and month. The period "-infinity" is the time before the ledger; a balance is negative where a counter taken over was below its ledger.';

-- This quarter and the next, in UTC; what lies outside goes to the default partition.
DO $$
DECLARE
    quarter timestamptz := date_trunc('quarter', CURRENT_TIMESTAMP, 'UTC');
    next_quarter timestamptz;
BEGIN
    FOR i IN 1..2 LOOP
        next_quarter := (quarter AT TIME ZONE 'UTC' + interval '3 months') AT TIME ZONE 'UTC';
        EXECUTE format('CREATE TABLE claude_gpt.%I PARTITION OF claude_gpt.usage_records FOR VALUES FROM (%L) TO (%L)',
                       'usage_records_' || to_char(quarter AT TIME ZONE 'UTC', 'YYYY"q"Q'), quarter, next_quarter);
        quarter := next_quarter;
    END LOOP;
END
$$;
