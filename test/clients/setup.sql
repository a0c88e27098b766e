-- The database that the tests of clients meet: a plan whose limits are soon reached, prices, and the role that an
-- application connects as, whose sessions have their clock held.
CREATE EXTENSION claude_gpt;
UPDATE claude_gpt_data.system_configs SET config_value = CASE config_key
    WHEN 'subscription_plans' THEN
        '{"free": {"messagesPerMonth": 20, "tokensPerMonth": 10000, "models": ["small"]}, "base": {"messagesPerMonth": -1}}'
    WHEN 'rate_limits' THEN '{"free": 1000, "base": 1000}'
    WHEN 'model_prices' THEN '{"small": {"prompt": 0.5, "cachedPrompt": 0.05, "completion": 1.5}}'
    END::jsonb
WHERE config_key IN ('subscription_plans', 'rate_limits', 'model_prices');
CREATE ROLE claude_gpt_client LOGIN;
SELECT claude_gpt.grant_application_access('claude_gpt_client');
ALTER ROLE claude_gpt_client IN DATABASE :"DBNAME" SET claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
