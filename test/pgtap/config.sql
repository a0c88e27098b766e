-- The configuration: what absent and inactive rows mean, what is refused, and when a change holds.
BEGIN;
\ir prelude.psql
SELECT no_plan();
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT pg_temp.new_user('ada') AS ada \gset

-- the initial rows
SELECT results_eq($$SELECT config_key::text FROM system_configs ORDER BY config_key COLLATE "C"$$,
                  ARRAY['ai_models', 'billing_timezone', 'maintenance_mode', 'rate_limits', 'subscription_grace', 'subscription_plans', 'usage_ledger'],
                  'each known key has a row');
SELECT is((SELECT count(*) FROM system_configs WHERE NOT is_active OR description IS NULL), 0::bigint, 'active, and described');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'subscription_plans'),
          '{"free": {"messagesPerMonth": 10, "models": ["gpt-3.5-turbo"]}, "base": {"messagesPerMonth": 100, "models": ["gpt-3.5-turbo", "gpt-4"]},
            "pro": {"messagesPerMonth": -1, "models": ["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"]}}'::jsonb, 'plans are those of the design');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'rate_limits'), '{"free": 10, "base": 60, "pro": 300}'::jsonb, 'and so are rate limits');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'ai_models'), '["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"]'::jsonb, 'and models');
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'maintenance_mode'), 'false'::jsonb, 'and maintenance is off');

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
