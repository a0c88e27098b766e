-- Configuration: what changes what a user may do or pay.
-- Locks: none, the table is new.

CREATE TABLE claude_gpt_data.system_configs (
    id uuid CONSTRAINT system_configs_pkey PRIMARY KEY,
    config_key varchar(100) NOT NULL CONSTRAINT idx_system_configs_key UNIQUE,
    config_value jsonb NOT NULL,
    description text,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
COMMENT ON TABLE claude_gpt_data.system_configs IS
'Configuration. Known keys are validated when written; an inactive row counts as absent; other keys are free for the application.';

CREATE INDEX idx_system_configs_active ON claude_gpt_data.system_configs (config_key) WHERE is_active;

INSERT INTO claude_gpt_data.system_configs (id, config_key, config_value, description)
SELECT gen_random_uuid(), key, value::jsonb, description
FROM (VALUES
    ('ai_models', '["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"]', 'Available AI models'),
    ('subscription_plans', '{
        "free": {"messagesPerMonth": 10, "models": ["gpt-3.5-turbo"]},
        "base": {"messagesPerMonth": 100, "models": ["gpt-3.5-turbo", "gpt-4"]},
        "pro": {"messagesPerMonth": -1, "models": ["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"]}
    }', 'Subscription plan configurations'),
    ('rate_limits', '{"free": 10, "base": 60, "pro": 300}', 'Rate limits per minute by tier'),
    ('maintenance_mode', 'false', 'System maintenance mode flag'),
    ('billing_timezone', '"UTC"', 'Time zone in which a billing month begins and ends'),
    ('subscription_grace', '"3 days"', 'How long a subscription counts after its paid period'),
    ('usage_ledger', 'true', 'Whether metering writes usage_records beside the counters'),
    ('model_prices', '{}', 'Price of a million tokens by model: prompt, completion, cachedPrompt, cacheWrite'),
    ('idempotency_ttl', '"24 hours"', 'How long an idempotency key is remembered'),
    ('retention', '{"audit_logs": "30 days", "usage_records": null, "usage_reservations": "7 days", "user_sessions": "0 days", "job_runs": "30 days"}',
     'How long rows are kept by their jobs; null: for ever'),
    ('partitions', '{"audit_logs": "1 week", "usage_records": "3 months", "messages": "1 year"}',
     'How wide new partitions are; messages once they are partitioned')
) AS initial (key, value, description);
