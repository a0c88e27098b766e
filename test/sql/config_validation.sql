-- system_configs accepts what its known keys mean, and refuses the rest with the place and the rule.
SET client_encoding = 'UTF8';
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS claude_gpt;
RESET client_min_messages;

-- Writes a value for a key and takes it back; says what was wrong.
CREATE FUNCTION public.problem(key text, value jsonb, OUT code text, OUT detail text) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE claude_gpt_data.system_configs SET config_value = value WHERE config_key = key;
    IF NOT FOUND THEN
        INSERT INTO claude_gpt_data.system_configs (config_key, config_value) VALUES (key, value);
    END IF;
    RAISE SQLSTATE '00001';
EXCEPTION
    WHEN SQLSTATE '00001' THEN
        code := 'accepted';
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL;
END
$$;
CREATE TABLE public.before AS SELECT * FROM claude_gpt_data.system_configs;

-- subscription_plans
SELECT p.code, p.detail FROM unnest(ARRAY[
    '{"free": {"messagesPerMonth": 10}}',
    '{"free": {"messagesPerMonth": 0}}',
    '{"free": {"messagesPerMonth": -1}}',
    '{"free": {"messagesPerMonth": 9223372036854775807}}',
    '{"free": {"messagesPerMonth": 1, "tokensPerMonth": 5, "apiCallsPerMonth": -1, "costPerMonth": 1.5, "models": []}}',
    '{"free": {"messagesPerMonth": 1, "costPerMonth": -1}}',
    '{"free": {"messagesPerMonth": 1, "costPerMonth": 0.000000001}}',
    '{"free": {"messagesPerMonth": 1, "note": [[["any"]]], "display": {"zh": "免费"}}}',
    '{"free": {"messagesPerMonth": 1}, "企业": {"messagesPerMonth": 2}, "no plan of ours": {"messagesPerMonth": 3}}',
    '"free"', '[]', 'null', 'true', '{}',
    '{"base": {"messagesPerMonth": 1}}',
    '{"free": 10}', '{"free": null}', '{"free": []}', '{"free": {}}',
    '{"free": {"models": ["gpt-4"]}}',
    '{"free": {"messagesPerMonth": "10"}}',
    '{"free": {"messagesPerMonth": null}}',
    '{"free": {"messagesPerMonth": true}}',
    '{"free": {"messagesPerMonth": -2}}',
    '{"free": {"messagesPerMonth": 1.5}}',
    '{"free": {"messagesPerMonth": 9223372036854775808}}',
    '{"free": {"messagesPerMonth": 1e400}}',
    '{"free": {"messagesPerMonth": 1, "tokensPerMonth": "many"}}',
    '{"free": {"messagesPerMonth": 1, "tokensPerMonth": null}}',
    '{"free": {"messagesPerMonth": 1, "apiCallsPerMonth": -5}}',
    '{"free": {"messagesPerMonth": 1, "costPerMonth": -0.5}}',
    '{"free": {"messagesPerMonth": 1, "costPerMonth": -1.0000000001}}',
    '{"free": {"messagesPerMonth": 1, "costPerMonth": 0.0000000001}}',
    '{"free": {"messagesPerMonth": 1, "costPerMonth": 100000000000}}',
    '{"free": {"messagesPerMonth": 1, "costPerMonth": 99999999999.9999999999}}',
    '{"free": {"messagesPerMonth": 1, "costPerMonth": "5"}}',
    '{"free": {"messagesPerMonth": 1, "models": "gpt-4"}}',
    '{"free": {"messagesPerMonth": 1, "models": ["gpt-4", 5]}}',
    '{"free": {"messagesPerMonth": 1, "models": ["gpt-4", ""]}}',
    '{"free": {"messagesPerMonth": 1, "tokenPerMonth": 5}}',
    '{"free": {"messagesPerMonth": 1, "MessagesPerMonth": 5}}',
    '{"free": {"messagesPerMonth": 1, "messagesPerDay": 5}}',
    '{"free": {"messagesPerMonth": 1, "maxTokens": 5}}',
    '{"free": {"messagesPerMonth": 1, "model": {"maxTokens": 5}, "monthlyPrice": 20}}',
    '{"free": {"messagesPerMonth": 1}, "the odd \"one\"": {"messagesPerMonth": "x"}}',
    '{"free": {"messagesPerMonth": 1}, "企业": {"messagesPerMonth": "x"}}',
    '{"free": {"messagesPerMonth": 1}, "": {"messagesPerMonth": "x"}}'
]) WITH ORDINALITY AS v (value, position), LATERAL public.problem('subscription_plans', v.value::jsonb) AS p ORDER BY v.position;

-- ai_models
SELECT p.code, p.detail FROM unnest(ARRAY[
    '[]', '["gpt-4"]', '["gpt-4", "豆包"]',
    '"gpt-4"', '{}', '[null]', '["gpt-4", ""]', '["gpt-4", ["gpt-5"]]'
]) WITH ORDINALITY AS v (value, position), LATERAL public.problem('ai_models', v.value::jsonb) AS p ORDER BY v.position;

-- rate_limits
SELECT p.code, p.detail FROM unnest(ARRAY[
    '{}', '{"free": 1}', '{"free": 1000000, "base": 60}',
    '60', '[60]', '{"free": 0}', '{"free": -1}', '{"free": 1000001}', '{"free": 1.5}', '{"free": "10"}', '{"base": 60, "no tier": null}'
]) WITH ORDINALITY AS v (value, position), LATERAL public.problem('rate_limits', v.value::jsonb) AS p ORDER BY v.position;

-- maintenance_mode and usage_ledger
SELECT k.key, p.code, p.detail
FROM unnest(ARRAY['maintenance_mode', 'usage_ledger']) AS k (key),
     unnest(ARRAY['true', 'false', '"true"', '1', 'null', '[]', '{}']) WITH ORDINALITY AS v (value, position),
     LATERAL public.problem(k.key, v.value::jsonb) AS p
ORDER BY k.key, v.position;

-- billing_timezone
SELECT p.code, p.detail FROM unnest(ARRAY[
    '"UTC"', '"Asia/Shanghai"', '"America/Los_Angeles"',
    '"Mars/Olympus"', '""', '" UTC"', '8', 'null', '["UTC"]', '"../../etc/passwd"', to_jsonb(repeat('A', 300))::text
]) WITH ORDINALITY AS v (value, position), LATERAL public.problem('billing_timezone', v.value::jsonb) AS p ORDER BY v.position;

-- subscription_grace
SELECT p.code, p.detail FROM unnest(ARRAY[
    '"3 days"', '"0 days"', '"36:30:00"', '"2 weeks"', '"90 minutes"',
    '"1 month"', '"1 year"', '"-1 day"', '"1 day -25 hours"', '3', '""', '"soon"', 'null', '"infinity"', '"300000000 days"',
    to_jsonb(repeat('1 day ', 60))::text
]) WITH ORDINALITY AS v (value, position), LATERAL public.problem('subscription_grace', v.value::jsonb) AS p ORDER BY v.position;

-- idempotency_ttl
SELECT p.code, p.detail FROM unnest(ARRAY[
    '"24 hours"', '"1 microsecond"', '"10 days"',
    '"0 hours"', '"-1 hour"', '"1 month"', '24', 'null', '""', '"a day"', '"infinity"', '["24 hours"]'
]) WITH ORDINALITY AS v (value, position), LATERAL public.problem('idempotency_ttl', v.value::jsonb) AS p ORDER BY v.position;

-- model_prices
SELECT p.code, p.detail FROM unnest(ARRAY[
    '{}',
    '{"gpt-4": {"prompt": 30, "completion": 60}}',
    '{"gpt-4": {"prompt": 30, "completion": 60, "cachedPrompt": 3, "cacheWrite": 37.5}, "豆包": {"prompt": 0, "completion": 0}}',
    '{"gpt-4": {"prompt": 0.000000001, "completion": 99999999999}}',
    '[]', 'null', '30', '"gpt-4"',
    '{"gpt-4": 30}', '{"gpt-4": null}', '{"gpt-4": []}', '{"gpt-4": {}}',
    '{"gpt-4": {"prompt": 30}}',
    '{"gpt-4": {"completion": 60}}',
    '{"gpt-4": {"prompt": "30", "completion": 60}}',
    '{"gpt-4": {"prompt": null, "completion": 60}}',
    '{"gpt-4": {"prompt": -1, "completion": 60}}',
    '{"gpt-4": {"prompt": 30, "completion": -0.5}}',
    '{"gpt-4": {"prompt": 30, "completion": 0.0000000001}}',
    '{"gpt-4": {"prompt": 30, "completion": 100000000000}}',
    '{"gpt-4": {"prompt": 30, "completion": 99999999999.9999999999}}',
    '{"gpt-4": {"prompt": 30, "completion": 1e400}}',
    '{"gpt-4": {"prompt": 30, "completion": 60, "cachedPrompt": -1}}',
    '{"gpt-4": {"prompt": 30, "completion": 60, "cacheWrite": "37.5"}}',
    '{"gpt-4": {"prompt": 30, "completion": 60, "cached_prompt": 3}}',
    '{"gpt-4": {"prompt": 30, "completion": 60, "Prompt": 3}}',
    '{"gpt-4": {"prompt": 30, "completion": 60}, "企业 \"x\"": {"prompt": 30, "completion": true}}',
    '{"": {"prompt": 30, "completion": 60}}'
]) WITH ORDINALITY AS v (value, position), LATERAL public.problem('model_prices', v.value::jsonb) AS p ORDER BY v.position;

-- keys of the application's own hold any JSON, or none at all
SELECT p.code, p.detail FROM unnest(ARRAY['null', '0', '"x"', '[1, null]', '{"messagesPerMonth": "x"}'])
    WITH ORDINALITY AS v (value, position), LATERAL public.problem('greeting', v.value::jsonb) AS p ORDER BY v.position;
SELECT code FROM public.problem('subscription_plans', NULL);
SELECT code FROM public.problem('SUBSCRIPTION_PLANS', '0');

-- deep nesting is refused for a known key, and stays the application's affair in its own
SELECT code FROM public.problem('subscription_plans',
    ('{"free": {"messagesPerMonth": 1, "note": ' || repeat('[', 40) || repeat(']', 40) || '}}')::jsonb);
SELECT code FROM public.problem('greeting', (repeat('[', 40) || repeat(']', 40))::jsonb);

-- a row cannot become a known key with a value that is not for it
INSERT INTO claude_gpt_data.system_configs (config_key, config_value) VALUES ('draft', '"x"');
\set VERBOSITY sqlstate
UPDATE claude_gpt_data.system_configs SET config_key = 'ai_models' WHERE config_key = 'draft';
DELETE FROM claude_gpt_data.system_configs WHERE config_key = 'ai_models';
UPDATE claude_gpt_data.system_configs SET config_key = 'ai_models' WHERE config_key = 'draft';
-- an inactive row is checked too, since activating it is one word
UPDATE claude_gpt_data.system_configs SET is_active = false, config_value = '5' WHERE config_key = 'usage_ledger';
-- by COPY, by upsert, on a replica
COPY claude_gpt_data.system_configs (config_key, config_value) FROM stdin;
ai_models	"gpt-4"
\.
INSERT INTO claude_gpt_data.system_configs (config_key, config_value) VALUES ('usage_ledger', 'true')
ON CONFLICT (config_key) DO UPDATE SET config_value = '"yes"';
SET session_replication_role = replica;
UPDATE claude_gpt_data.system_configs SET config_value = '"yes"' WHERE config_key = 'usage_ledger';
RESET session_replication_role;
\set VERBOSITY default
UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": "ten"}}' WHERE config_key = 'subscription_plans';
DELETE FROM claude_gpt_data.system_configs WHERE config_key = 'draft';
INSERT INTO claude_gpt_data.system_configs SELECT * FROM public.before WHERE config_key = 'ai_models';

-- nothing of all this stayed
SELECT count(*) AS changed FROM (TABLE public.before EXCEPT TABLE claude_gpt_data.system_configs) AS d;
SELECT (SELECT count(*) FROM public.before) = (SELECT count(*) FROM claude_gpt_data.system_configs) AS same_count;
DROP TABLE public.before;
DROP FUNCTION public.problem(text, jsonb);
