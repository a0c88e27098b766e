-- The configuration: what absent and inactive rows mean, what is refused, and when a change holds.
BEGIN;
\ir prelude.psql
SELECT no_plan();
-- Plans that users have are taken away below, as replication may: the triggers that keep them are tested in subscriptions.sql.
ALTER TABLE system_configs DISABLE TRIGGER keep_plans_in_use, DISABLE TRIGGER keep_truncated_plans_in_use;
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT pg_temp.new_user('ada') AS ada \gset

-- the initial rows
SELECT throws_ok(format('UPDATE claude_gpt_data.system_configs SET config_value = %L WHERE config_key = %L', '[[]]', config_key), '22023', NULL, config_key || ' has a row, and is known: nonsense is refused')
FROM system_configs ORDER BY config_key;
SELECT is((SELECT count(*) FROM system_configs WHERE NOT is_active OR description IS NULL), 0::bigint, 'active, and described');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'subscription_plans'),
          '{"free": {"messagesPerMonth": 10, "models": ["gpt-3.5-turbo"]}, "base": {"messagesPerMonth": 100, "models": ["gpt-3.5-turbo", "gpt-4"]},
            "pro": {"messagesPerMonth": -1, "models": ["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"]}}'::jsonb, 'plans are those of the design');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'rate_limits'), '{"free": 10, "base": 60, "pro": 300}'::jsonb, 'and so are rate limits');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'ai_models'), '["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"]'::jsonb, 'and models');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'maintenance_mode'), 'false'::jsonb, 'and maintenance is off');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'model_prices'), '{}'::jsonb, 'no price is known');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'idempotency_ttl'), '"24 hours"'::jsonb, 'keys are remembered for a day');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'billing_timezone'), '"UTC"'::jsonb, 'billing is in UTC');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'subscription_grace'), '"3 days"'::jsonb, 'a payment may be three days late');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'usage_ledger'), 'true'::jsonb, 'the ledger is kept');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'partitions'), '{"messages": "1 year", "audit_logs": "1 week", "usage_records": "3 months"}'::jsonb, 'partitions have their widths');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'retention'),
          '{"job_runs": "30 days", "audit_logs": "30 days", "usage_records": null, "user_sessions": "0 days", "usage_reservations": "7 days"}'::jsonb, 'and the ledger is kept for ever');

-- billing_timezone: value, inactive, absent
SET LOCAL claude_gpt.fixed_time = '2026-11-30T20:00:00Z';
SELECT is(current_billing_period(), '2026-11-01', 'billing is in UTC at first');
SELECT pg_temp.configure('billing_timezone', '"Asia/Shanghai"');
SELECT is(current_billing_period(), '2026-12-01', 'a change holds for the next statement of its own transaction');
UPDATE system_configs SET is_active = false WHERE config_key = 'billing_timezone';
SELECT is(current_billing_period(), '2026-11-01', 'an inactive row counts as absent: UTC');
UPDATE system_configs SET is_active = true WHERE config_key = 'billing_timezone';
SELECT is(current_billing_period(), '2026-12-01', 'active again it holds again');
UPDATE system_configs SET config_key = 'parked' WHERE config_key = 'billing_timezone';
SELECT is(current_billing_period(), '2026-11-01', 'under another name it does not hold');
UPDATE system_configs SET config_key = 'billing_timezone' WHERE config_key = 'parked';
SELECT is(current_billing_period(), '2026-12-01', 'renamed back it does');
DELETE FROM system_configs WHERE config_key = 'billing_timezone';
SELECT is(current_billing_period(), '2026-11-01', 'a row that is deleted is absent: UTC');
SELECT pg_temp.configure('billing_timezone', '"Pacific/Kiritimati"');
SELECT is(current_billing_period(), '2026-12-01', 'zones far east are known');
SELECT pg_temp.configure('billing_timezone', '"utc"');
SELECT is(current_billing_period(), '2026-11-01', 'zone names have no case, as in the server');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';

-- a subtransaction that is rolled back takes its change along
SAVEPOINT before_change;
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 0}}');
SELECT is(check_subscription_limit(:'ada'), false, 'inside a savepoint a change holds');
ROLLBACK TO before_change;
SELECT is(check_subscription_limit(:'ada'), true, 'rolled back it does not');
SAVEPOINT before_truncate;
TRUNCATE system_configs;
SELECT throws_ok($$SELECT check_subscription_limit(pg_temp.user_id('ada'))$$, '55000', NULL, 'TRUNCATE is seen');
SELECT lives_ok($$SELECT update_user_usage(pg_temp.user_id('ada'))$$, 'usage is counted without any configuration');
SELECT is((SELECT count(*) FROM usage_records), 1::bigint, 'and recorded, which is the default');
ROLLBACK TO before_truncate;
SELECT is(check_subscription_limit(:'ada'), true, 'a TRUNCATE that is rolled back is not');

-- what validation refuses leaves the old value in force
SELECT throws_ok($$SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": "many"}}')$$, '22023', NULL, 'a plan that is not valid is refused');
SELECT throws_ok($$SELECT pg_temp.configure('billing_timezone', '"Mars/Olympus"')$$, '22023', NULL, 'a zone that is not known is refused');
SELECT throws_ok($$SELECT pg_temp.configure('subscription_grace', '"1 month"')$$, '22023', NULL, 'a grace of months, whose length nobody knows, is refused');
SELECT throws_ok($$SELECT pg_temp.configure('usage_ledger', '"off"')$$, '22023', NULL, 'a flag that is no boolean is refused');
SELECT is(check_subscription_limit(:'ada'), true, 'and the old values are still in force');
SELECT throws_ok($$UPDATE system_configs SET config_value = NULL$$, '23502', NULL, 'a value is not NULL');
SELECT throws_ok($$INSERT INTO system_configs (config_key, config_value) VALUES ('usage_ledger', 'true')$$, '23505', NULL, 'a key has one row');
SELECT lives_ok($$SELECT pg_temp.configure('of the application', '[{"any": ["thing", null, 1e400]}]')$$, 'other keys hold any JSON');
DO $$
DECLARE
    detail text;
BEGIN
    PERFORM pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 1, "models": ["a", 7]}}');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    PERFORM set_config('claude_gpt_test.detail', detail, true);
END
$$;
SELECT matches(current_setting('claude_gpt_test.detail'), '^\$\.free\.models\[1\] ', 'the detail gives the JSON path');

-- an invalid row that came in past the trigger is refused where it decides, and only there
ALTER TABLE system_configs DISABLE TRIGGER validate_system_configs;
SAVEPOINT valid;
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 5}, "base": {"messagesPerMonth": "five"}}');
SELECT throws_ok($$SELECT check_subscription_limit(pg_temp.user_id('ada'))$$, '55000', NULL, 'plans that are not valid are not used, not even in part');
SELECT throws_ok($$SELECT set_subscription(pg_temp.user_id('ada'), 'free')$$, '55000', NULL, 'nor subscribed to');
SELECT lives_ok($$SELECT update_user_usage(pg_temp.user_id('ada'))$$, 'usage is still counted');
SELECT lives_ok($$SELECT effective_tier(pg_temp.user_id('ada'))$$, 'tiers are still known');
UPDATE system_configs SET is_active = false WHERE config_key = 'subscription_plans';
SELECT throws_ok($$SELECT check_subscription_limit(pg_temp.user_id('ada'))$$, '55000', NULL, 'deactivated they are absent');
ROLLBACK TO valid;
SELECT pg_temp.configure('billing_timezone', '"Mars/Olympus"');
SELECT throws_ok($$SELECT current_billing_period()$$, '55000', NULL, 'without a valid zone there is no month');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('ada'))$$, '55000', NULL, 'nothing is counted in it');
SELECT throws_ok($$SELECT check_subscription_limit(pg_temp.user_id('ada'))$$, '55000', NULL, 'nothing is admitted');
SELECT lives_ok($$SELECT effective_tier(pg_temp.user_id('ada'))$$, 'tiers are still known');
UPDATE system_configs SET is_active = false WHERE config_key = 'billing_timezone';
SELECT lives_ok($$SELECT update_user_usage(pg_temp.user_id('ada'))$$, 'deactivated it is absent, and the default holds');
ROLLBACK TO valid;
SELECT pg_temp.configure('subscription_grace', '"1 month"');
SELECT throws_ok($$SELECT effective_tier(pg_temp.user_id('ada'))$$, '55000', NULL, 'without a valid grace there is no tier');
SELECT throws_ok($$SELECT check_subscription_limit(pg_temp.user_id('ada'))$$, '55000', NULL, 'nor a limit');
SELECT lives_ok($$SELECT update_user_usage(pg_temp.user_id('ada'))$$, 'usage is still counted');
ROLLBACK TO valid;
SELECT pg_temp.configure('usage_ledger', '"yes"');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('ada'))$$, '55000', NULL, 'nobody guesses whether to keep a ledger');
SELECT lives_ok($$SELECT check_subscription_limit(pg_temp.user_id('ada'))$$, 'limits do not need to know');
ROLLBACK TO valid;
SELECT pg_temp.configure(key, '[[5]]') FROM unnest(ARRAY['ai_models', 'rate_limits', 'maintenance_mode']) AS key;
SELECT lives_ok($$SELECT check_subscription_limit(pg_temp.user_id('ada')), effective_tier(pg_temp.user_id('ada')), current_billing_period(), update_user_usage(pg_temp.user_id('ada'))$$,
                'rows that decide none of this do not matter');
ROLLBACK TO valid;
SELECT pg_temp.configure('ai_models', (repeat('[', 100) || repeat(']', 100))::jsonb);
SELECT lives_ok($$SELECT check_subscription_limit(pg_temp.user_id('ada')), effective_tier(pg_temp.user_id('ada')), current_billing_period(), update_user_usage(pg_temp.user_id('ada'))$$,
                'however deeply they are nested');
ROLLBACK TO valid;
SELECT pg_temp.configure('subscription_plans', (repeat('[', 100) || repeat(']', 100))::jsonb);
SELECT throws_ok($$SELECT check_subscription_limit(pg_temp.user_id('ada'))$$, '55000', NULL, 'plans nested too deeply are not valid');
ROLLBACK TO valid;
ALTER TABLE system_configs ENABLE ALWAYS TRIGGER validate_system_configs;

-- prices and the life of idempotency keys: what is valid
SELECT throws_ok(format('SELECT pg_temp.configure(%L, %L)', key, value), '22023', NULL, format('%s is not %s', key, value))
FROM (VALUES ('model_prices', '[]'), ('model_prices', '5'), ('model_prices', 'null'), ('model_prices', '{"m": 5}'), ('model_prices', '{"m": []}'), ('model_prices', '{"m": {}}'), ('model_prices', '{"m": {"prompt": 1}}'),
             ('model_prices', '{"m": {"completion": 1}}'), ('model_prices', '{"m": {"prompt": -1, "completion": 1}}'), ('model_prices', '{"m": {"prompt": 1, "completion": "1"}}'),
             ('model_prices', '{"m": {"prompt": 1, "completion": null}}'), ('model_prices', '{"m": {"prompt": 1, "completion": 100000000000}}'), ('model_prices', '{"m": {"prompt": 1, "completion": 1e-10}}'),
             ('model_prices', '{"m": {"prompt": 1, "completion": 1, "cachedprompt": 1}}'), ('model_prices', '{"m": {"prompt": 1, "completion": 1, "cachedPrompt": -1}}'), ('model_prices', '{"m": {"prompt": 1, "completion": 1, "cacheWrite": true}}'),
             ('model_prices', '{"": {"prompt": 1, "completion": 1}}'), ('model_prices', '{"ok": {"prompt": 1, "completion": 1}, "m": {"prompt": 1}}'),
             ('idempotency_ttl', '"0"'), ('idempotency_ttl', '"0 hours"'), ('idempotency_ttl', '"-1 hour"'), ('idempotency_ttl', '"1 month"'), ('idempotency_ttl', '"1 year"'), ('idempotency_ttl', '24'), ('idempotency_ttl', '"soon"'),
             ('idempotency_ttl', '""'), ('idempotency_ttl', 'null'), ('idempotency_ttl', '{"hours": 1}')) AS v (key, value);
SELECT lives_ok(format('SELECT pg_temp.configure(%L, %L)', key, value), format('%s may be %s', key, value))
FROM (VALUES ('model_prices', '{}'), ('model_prices', '{"m": {"prompt": 0, "completion": 0}}'), ('model_prices', '{"m": {"prompt": 2.5e0, "completion": 1e-9, "cachedPrompt": 0, "cacheWrite": 99999999999.999999999}, "企业 model": {"prompt": 1, "completion": 1}}'),
             ('idempotency_ttl', '"1 microsecond"'), ('idempotency_ttl', '"7 days 12:00"')) AS v (key, value);
DO $$
DECLARE
    detail text;
BEGIN
    PERFORM pg_temp.configure('model_prices', '{"a.b": {"prompt": 1, "completion": -1}}');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    PERFORM set_config('claude_gpt_test.detail', detail, true);
END
$$;
SELECT matches(current_setting('claude_gpt_test.detail'), '^\$\["a\.b"\]\.completion ', 'the detail gives the path of the price');

-- and what they mean: value, inactive, absent
CREATE FUNCTION pg_temp.price(p_model text) RETURNS numeric LANGUAGE sql AS $$
    SELECT trim_scale(d.charged_cost) FROM claude_gpt.reserve_usage(pg_temp.user_id('ada'), 1, 1, p_model) AS r, claude_gpt.settle_usage(pg_temp.user_id('ada'), r.reservation_id, 1000, 1000) AS d
$$;
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": -1}}');
SELECT pg_temp.configure('model_prices', '{"m": {"prompt": 1, "completion": 2}, "n": {"prompt": 3, "completion": 4}}');
SELECT is(pg_temp.price('m'), 0.003, 'a price is that of a million tokens');
SELECT is(pg_temp.price('n'), 0.007, 'each model has its own');
SELECT is((SELECT reason FROM reserve_usage(pg_temp.user_id('ada'), 1, 1, 'M')), 'price_unknown', 'by its exact name');
SELECT pg_temp.configure('model_prices', '{"m": {"prompt": 10, "completion": 20}}');
SELECT is(pg_temp.price('m'), 0.03, 'a change holds at once');
UPDATE system_configs SET is_active = false WHERE config_key = 'model_prices';
SELECT is((SELECT reason FROM reserve_usage(pg_temp.user_id('ada'), 1, 1, 'm')), 'price_unknown', 'an inactive row knows no price');
DELETE FROM system_configs WHERE config_key = 'model_prices';
SELECT is((SELECT reason FROM reserve_usage(pg_temp.user_id('ada'), 1, 1, 'm')), 'price_unknown', 'nor does none');
CREATE FUNCTION pg_temp.remembered(p_key text) RETURNS interval LANGUAGE sql AS $$
    SELECT claude_gpt.consume_quota(pg_temp.user_id('ada'), 'message', 1, NULL, p_key);
    SELECT expires_at - created_at FROM claude_gpt_data.idempotency_keys WHERE user_id = pg_temp.user_id('ada') AND idempotency_key = p_key
$$;
SELECT pg_temp.configure('idempotency_ttl', '"1 day 02:30"');
SELECT is(pg_temp.remembered('k1'), '26:30:00', 'a key is remembered as long as configured');
UPDATE system_configs SET is_active = false WHERE config_key = 'idempotency_ttl';
SELECT is(pg_temp.remembered('k2'), '24:00:00', 'an inactive row means a day');
DELETE FROM system_configs WHERE config_key = 'idempotency_ttl';
SELECT is(pg_temp.remembered('k3'), '24:00:00', 'and so does none');

-- invalid rows of metering that came in past the trigger
ALTER TABLE system_configs DISABLE TRIGGER validate_system_configs;
SAVEPOINT metering;
SELECT pg_temp.configure('model_prices', '{"m": {"prompt": 1, "completion": 1}, "n": 5}');
SELECT throws_ok($$SELECT pg_temp.price('m')$$, '55000', NULL, 'prices that are not valid are not used, not even in part');
SELECT lives_ok($$SELECT reserve_usage(pg_temp.user_id('ada'), 5)$$, 'what names no model does not ask them');
SELECT lives_ok($$SELECT consume_quota(pg_temp.user_id('ada'), 'token', 5, 'm')$$, 'nor does what has no estimate');
ROLLBACK TO metering;
SELECT pg_temp.configure('idempotency_ttl', '"0"');
SELECT throws_ok($$SELECT consume_quota(pg_temp.user_id('ada'), p_idempotency_key => 'k')$$, '55000', NULL, 'without a valid life no key is remembered');
SELECT lives_ok($$SELECT consume_quota(pg_temp.user_id('ada'))$$, 'calls without a key do not ask it');
ROLLBACK TO metering;
SELECT pg_temp.configure('maintenance_mode', '"perhaps"');
SELECT throws_ok(format('SELECT %s', call), '55000', NULL, format('nobody guesses whether it is maintenance: %s', call))
FROM unnest(ARRAY['consume_quota(pg_temp.user_id(''ada''))', 'reserve_usage(pg_temp.user_id(''ada''), 1)']) AS call;
SELECT lives_ok($$SELECT quota_status(pg_temp.user_id('ada')), record_usage(pg_temp.user_id('ada'), 'token')$$, 'what does not ask it goes on');
ROLLBACK TO metering;
SELECT pg_temp.configure('usage_ledger', '"perhaps"');
SELECT throws_ok(format('SELECT %s', call), '55000', NULL, format('nor whether there is a ledger: %s', call))
FROM unnest(ARRAY['consume_quota(pg_temp.user_id(''ada''))', 'record_usage(pg_temp.user_id(''ada''), ''token'')']) AS call;
SELECT lives_ok($$SELECT quota_status(pg_temp.user_id('ada'))$$, 'limits do not need to know');
ROLLBACK TO metering;
SELECT pg_temp.configure('rate_limits', '{"free": "many"}');
SELECT lives_ok($$SELECT consume_quota(pg_temp.user_id('ada')), quota_status(pg_temp.user_id('ada')), reserve_usage(pg_temp.user_id('ada'), 1)$$, 'quotas do not ask the rates');
SELECT throws_ok($$SELECT check_rate_limit(pg_temp.user_id('ada'))$$, '55000', NULL, 'who asks them is refused');
ROLLBACK TO metering;
SELECT pg_temp.configure('billing_timezone', '"Mars/Olympus"');
SELECT throws_ok(format('SELECT %s', call), '55000', NULL, format('without a month there is no %s', call))
FROM unnest(ARRAY['consume_quota(pg_temp.user_id(''ada''))', 'quota_status(pg_temp.user_id(''ada''))', 'reserve_usage(pg_temp.user_id(''ada''), 1)', 'record_usage(pg_temp.user_id(''ada''), ''token'')']) AS call;
ROLLBACK TO metering;
ALTER TABLE system_configs ENABLE ALWAYS TRIGGER validate_system_configs;
DELETE FROM users WHERE id = :'ada';
SELECT pg_temp.new_user('ada') AS ada \gset

-- plans
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 1e1, "unknown": {"a": [1, 2]}}, "企业": {"messagesPerMonth": -1}}');
SELECT update_user_usage(:'ada', 9);
SELECT is(check_subscription_limit(:'ada'), true, 'a limit may be written with an exponent: nine of 1e1');
SELECT update_user_usage(:'ada', 1);
SELECT is(check_subscription_limit(:'ada'), false, 'ten of 1e1');
SELECT pg_temp.configure('subscription_plans', (SELECT jsonb_object_agg(CASE n WHEN 700 THEN 'free' ELSE 'plan ' || n END,
    jsonb_build_object('messagesPerMonth', n, 'models', (SELECT jsonb_agg('model ' || m) FROM generate_series(1, 50) AS m))) FROM generate_series(1, 1000) AS n));
SELECT update_user_usage(:'ada', 689);
SELECT is(check_subscription_limit(:'ada'), true, 'a thousand plans: 699 of 700');
SELECT update_user_usage(:'ada');
SELECT is(check_subscription_limit(:'ada'), false, 'a thousand plans: 700 of 700');

SELECT * FROM finish();
ROLLBACK;
