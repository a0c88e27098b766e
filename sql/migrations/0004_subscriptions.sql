-- The history of subscriptions.
-- Locks: SHARE ROW EXCLUSIVE on users (foreign key).

CREATE TABLE claude_gpt_data.subscription_history (
    id uuid CONSTRAINT subscription_history_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT subscription_history_user_id_fkey REFERENCES claude_gpt_data.users (id) ON DELETE CASCADE,
    subscription_tier varchar NOT NULL,
    subscription_status varchar(20) NOT NULL,
    stripe_subscription_id varchar(255),
    stripe_invoice_id varchar(255),
    amount numeric,
    currency varchar(3) DEFAULT 'CNY',
    period_start timestamptz,
    period_end timestamptz,
    event_type varchar(30) NOT NULL
        CONSTRAINT subscription_history_event_type_check CHECK (event_type = ANY ('{subscription_created,subscription_updated,subscription_cancelled,payment_succeeded,payment_failed,trial_started,trial_ended}')),
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
COMMENT ON TABLE claude_gpt_data.subscription_history IS 'Every event of a subscription, newest last.';

CREATE INDEX idx_subscription_history_user_id ON claude_gpt_data.subscription_history (user_id, created_at DESC);
CREATE INDEX idx_subscription_history_created_at ON claude_gpt_data.subscription_history USING brin (created_at);
CREATE INDEX idx_subscription_history_event_type ON claude_gpt_data.subscription_history (event_type, created_at DESC);
CREATE INDEX idx_subscription_history_stripe_subscription_id ON claude_gpt_data.subscription_history (stripe_subscription_id)
    WHERE stripe_subscription_id IS NOT NULL;
