-- What the example needs in its database. Run by a superuser, as often as you like:
--   psql -v role=claude_gpt_user -d claude_gpt_dev -f setup.sql
CREATE EXTENSION IF NOT EXISTS claude_gpt;
SELECT claude_gpt.grant_application_access(:'role');
-- Prices of a million tokens: a model without one is not offered. And how many seconds the application caches.
INSERT INTO claude_gpt_data.system_configs (config_key, config_value, description) VALUES
    ('model_prices', '{"gpt-3.5-turbo": {"prompt": 0.5, "completion": 1.5}, "gpt-4": {"prompt": 30, "completion": 60},
                       "gpt-4-turbo": {"prompt": 10, "completion": 30}}', 'Prices of models'),
    ('cache_ttl', '{"user": 3600, "conversation": 7200, "subscription": 1800, "config": 86400}', 'Seconds that the application caches')
ON CONFLICT (config_key) DO UPDATE SET config_value = EXCLUDED.config_value WHERE system_configs.config_value = '{}';
