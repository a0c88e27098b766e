-- The views for reports against rows written by hand, and the page that is made of them: what it shows, escapes and refuses.
BEGIN;
\ir prelude.psql
SELECT no_plan();
-- Plans that users have are taken away below, as replication may: the triggers that keep them are tested in subscriptions.sql.
ALTER TABLE system_configs DISABLE TRIGGER keep_plans_in_use, DISABLE TRIGGER keep_truncated_plans_in_use;

CREATE ROLE pgtap_reader;
CREATE ROLE pgtap_application;
CREATE ROLE pgtap_billing;
CREATE ROLE pgtap_operator;
CREATE ROLE pgtap_monitor;
CREATE ROLE pgtap_stranger;
SELECT grant_application_access('pgtap_reader', 'read');
SELECT grant_application_access('pgtap_application');
SELECT grant_application_access('pgtap_billing', 'billing');
SELECT grant_application_access('pgtap_operator', 'operator');
SELECT grant_application_access('pgtap_monitor', 'monitor');
GRANT USAGE ON SCHEMA claude_gpt_data TO pgtap_stranger;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA claude_gpt, claude_gpt_internal TO pgtap_stranger;

-- The page as it is read: without the tags, numbers of letters or what is in attributes.
CREATE FUNCTION pg_temp.page(p_from date, p_to date) RETURNS text LANGUAGE sql STABLE AS 'SELECT claude_gpt.usage_report_html(p_from, p_to)';
CREATE FUNCTION pg_temp.words(p_page text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT btrim(regexp_replace(regexp_replace(replace(replace(replace(regexp_replace(replace(p_page, '<wbr>', ''), '<style>.*</style>', ''), '&#8201;', ' '), '&#8211;', '-'), '&#8722;', '-'),
                                               '<[^>]*>', ' ', 'g'), '\s+', ' ', 'g'))
$$;
-- A section of it, from its heading to the next.
CREATE FUNCTION pg_temp.section(p_page text, p_heading text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_temp.words(split_part(split_part(p_page, '<h2>' || p_heading || '</h2>', 2), '<h2>', 1))
$$;

-- before there is anything
SELECT is(current_billing_day(), (now() AT TIME ZONE 'UTC')::date, 'the billing day is that of the wall clock');
SELECT is_empty('SELECT * FROM daily_usage', 'an empty ledger has no days');
SELECT is_empty('SELECT * FROM revenue_by_month', 'an empty history has no months');
SELECT results_eq('SELECT tier, sum(user_count)::integer, count(*)::integer, sum(used) FROM plan_usage GROUP BY tier ORDER BY tier COLLATE "C"',
                  $$VALUES ('base', 0, 4, 0::numeric), ('free', 0, 4, 0), ('pro', 0, 4, 0)$$, 'plans without users are there, with four limits each');
SET LOCAL claude_gpt.fixed_time = '2026-03-20T23:30:00Z';
SELECT pg_temp.page('2026-03-01', '2026-03-02') AS empty \gset
SELECT alike(pg_temp.words(:'empty'), '%Messages 0 as in the 2 days before Tokens 0 as in the 2 days before Cost 0.00 as in % Active users 0 as in % Sign-ups 0 as in %', 'an empty database has tiles of zero');
SELECT is((SELECT count(*) FROM regexp_matches(:'empty', '>None in these days', 'g')), 6::bigint, 'five charts and the table of models say that there is nothing');
SELECT alike(pg_temp.section(:'empty', 'Quota pressure'), '%base 0 users, 0 active 100 messages a month for each, 0 on average (0 \%) 0 (0.0 \%) at the limit, 0 (0.0 \%) near it%', 'plans without users have no pressure');
SELECT alike(pg_temp.section(:'empty', 'Revenue'), 'No payment%', 'nothing was paid');
SELECT alike(pg_temp.section(:'empty', 'People'), '%All 0 0 0 Of sessions%', 'and nobody is logged in');
SELECT is(usage_report_html(), usage_report_html('2026-02-19', '2026-03-20'), 'without arguments it is about the last 30 days, today included');
SELECT is(usage_report_html('2026-03-19'), usage_report_html('2026-03-19', '2026-03-20'), 'with one about those until today');
RESET claude_gpt.fixed_time;

-- Two zones with daylight saving time, of which one has the day's first hour twice: Havana, 2026-11-01.
SELECT pg_temp.new_user('ada') AS ada, pg_temp.new_user('bob') AS bob, pg_temp.new_user('eve') AS eve \gset
INSERT INTO usage_records (user_id, usage_type, quantity, model_used, cost, created_at, billing_period) VALUES
    -- Berlin: 2026-03-29 has 23 hours, from 23:00Z to 22:00Z.
    (:'ada', 'message', 1, 'small', 0, '2026-03-28 22:59:59.999999Z', '2026-03-01'),
    (:'ada', 'message', 2, 'small', 0, '2026-03-28 23:00Z', '2026-03-01'),
    (:'ada', 'token', 700, 'small', 0.25, '2026-03-29 21:59:59.999999Z', '2026-03-01'),
    (:'bob', 'token', 50, 'small', 0.5, '2026-03-29 12:00Z', '2026-03-01'),
    (:'bob', 'api_call', 3, NULL, 0.125, '2026-03-29 12:00Z', '2026-03-01'),
    (:'bob', 'message', 4, 'large', 1, '2026-03-29 22:00Z', '2026-03-01'),
    -- Berlin: 2026-10-25 has 25 hours, from 22:00Z to 23:00Z.
    (:'ada', 'message', 8, 'small', 2, '2026-10-24 22:00Z', '2026-10-01'),
    (:'bob', 'message', 16, 'small', 4, '2026-10-25 22:59:59.999999Z', '2026-10-01'),
    (:'bob', 'message', 32, 'small', 8, '2026-10-25 23:00Z', '2026-10-01'),
    -- Havana: 2026-11-01 has 00:00 to 01:00 at 04:00Z and again at 05:00Z.
    (:'ada', 'message', 64, 'small', 0, '2026-11-01 03:59:59.999999Z', '2026-10-01'),
    (:'ada', 'message', 128, 'small', 0, '2026-11-01 04:00Z', '2026-11-01'),
    (:'ada', 'message', 256, 'small', 0, '2026-11-01 05:30Z', '2026-11-01');

SELECT pg_temp.configure('billing_timezone', '"Europe/Berlin"');
PREPARE berlin AS SELECT day, billing_period, model_used::text, message_count::integer, token_count::integer, api_call_count::integer, cost::float8, user_count::integer
    FROM daily_usage WHERE day < '2026-10-30' ORDER BY day, model_used COLLATE "C";
SELECT results_eq('berlin', $$VALUES
    (date '2026-03-28', date '2026-03-01', 'small', 1, 0, 0, 0::float8, 1), ('2026-03-29', '2026-03-01', 'small', 2, 750, 0, 0.75, 2),
    ('2026-03-29', '2026-03-01', NULL, 0, 0, 3, 0.125, 1), ('2026-03-30', '2026-03-01', 'large', 4, 0, 0, 1, 1),
    ('2026-10-25', '2026-10-01', 'small', 24, 0, 0, 6, 2), ('2026-10-26', '2026-10-01', 'small', 32, 0, 0, 8, 1)$$, 'days of 23 and of 25 hours end when the clock on the wall says so');
SELECT pg_temp.configure('billing_timezone', '"America/Havana"');
SELECT results_eq($$SELECT day, billing_period, message_count::integer FROM daily_usage WHERE day BETWEEN '2026-10-31' AND '2026-11-02'$$,
                  $$VALUES (date '2026-10-31', date '2026-10-01', 64), ('2026-11-01', '2026-11-01', 384)$$, 'a day whose first hour comes twice has both');
UPDATE system_configs SET is_active = false WHERE config_key = 'billing_timezone';
SELECT results_eq($$SELECT day, sum(message_count)::integer FROM daily_usage GROUP BY day ORDER BY day$$,
                  $$VALUES (date '2026-03-28', 3), ('2026-03-29', 4), ('2026-10-24', 8), ('2026-10-25', 48), ('2026-11-01', 448)$$, 'without a time zone the day is that of UTC');
UPDATE system_configs SET is_active = true, config_value = '"Europe/Berlin"' WHERE config_key = 'billing_timezone';
SET LOCAL timezone = 'Asia/Tokyo';
SELECT results_eq('berlin', $$SELECT * FROM (VALUES
    (date '2026-03-28', date '2026-03-01', 'small', 1, 0, 0, 0::float8, 1), ('2026-03-29', '2026-03-01', 'small', 2, 750, 0, 0.75, 2),
    ('2026-03-29', '2026-03-01', NULL, 0, 0, 3, 0.125, 1), ('2026-03-30', '2026-03-01', 'large', 4, 0, 0, 1, 1),
    ('2026-10-25', '2026-10-01', 'small', 24, 0, 0, 6, 2), ('2026-10-26', '2026-10-01', 'small', 32, 0, 0, 8, 1)) AS v$$, 'the zone of the session does not matter');
SET LOCAL timezone = 'UTC';

-- what is known by month only
INSERT INTO usage_balances (user_id, usage_type, billing_period, quantity, cost) VALUES
    (:'ada', 'message', '2026-03-01', 1000, 10), (:'bob', 'token', '2026-03-01', 5000, 0.5), (:'bob', 'api_call', '0001-01-01', 7, 0);
SELECT results_eq('SELECT billing_period, message_count::integer, token_count::integer, api_call_count::integer, cost::float8, user_count::integer FROM daily_usage WHERE day IS NULL ORDER BY 1',
                  $$VALUES ('2026-03-01'::date, 1000, 5000, 0, 10.5::float8, 2), (NULL, 0, 0, 7, 0, 1)$$, 'balances have a month and no day');
SELECT results_eq('SELECT sum(message_count), sum(token_count), sum(api_call_count), sum(cost) FROM daily_usage',
                  $$SELECT sum(quantity) FILTER (WHERE usage_type = 'message'), sum(quantity) FILTER (WHERE usage_type = 'token'), sum(quantity) FILTER (WHERE usage_type = 'api_call'), sum(cost)
                    FROM (SELECT usage_type, quantity, cost FROM usage_records UNION ALL SELECT usage_type, quantity, cost FROM usage_balances) AS r$$,
                  'the view adds up to ledger and balances');

-- A condition on day reads the partitions of these days alone.
CREATE FUNCTION pg_temp.scanned(p_query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, FORMAT JSON) ' || p_query INTO plan;
    RETURN QUERY SELECT DISTINCT n ->> 'Relation Name' FROM jsonb_path_query(plan::jsonb, '$.**') AS n
                 WHERE n ->> 'Relation Name' LIKE 'usage\_%' AND (n ->> 'Actual Loops')::numeric > 0;
END
$$;
CREATE TABLE usage_records_2001 PARTITION OF usage_records FOR VALUES FROM ('2001-01-01Z') TO ('2002-01-01Z');
CREATE TABLE usage_records_2002 PARTITION OF usage_records FOR VALUES FROM ('2002-01-01Z') TO ('2003-01-01Z');
SELECT results_eq($$SELECT * FROM pg_temp.scanned('SELECT * FROM daily_usage WHERE day BETWEEN ''2001-06-01'' AND ''2001-06-30''')$$, ARRAY['usage_records_2001'],
                  'days of one partition read no other one');
SELECT results_eq($$SELECT s FROM pg_temp.scanned('SELECT * FROM daily_usage WHERE day = ''2002-01-01''') AS s ORDER BY s COLLATE "C"$$, ARRAY['usage_records_2001', 'usage_records_2002'],
                  'nor do those of two');
SELECT results_eq($$SELECT * FROM pg_temp.scanned('SELECT * FROM daily_usage WHERE day IS NULL')$$, ARRAY['usage_balances'], 'and what has no day reads no ledger');

-- plans
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 10, "costPerMonth": 2.5}, "base": {"messagesPerMonth": 100, "tokensPerMonth": 1000},
                                                 "pro": {"messagesPerMonth": -1}, "later": {"messagesPerMonth": 0}}');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
DELETE FROM users;
INSERT INTO users (email, password_hash, subscription_tier, subscription_status, subscription_current_period_end, subscription_cancel_at_period_end, monthly_reset_date, monthly_message_count,
                   monthly_token_count, monthly_cost) VALUES
    ('at',      'x', 'free', 'active', NULL, false, '2026-11-01', 10, 0, 2.5), ('above', 'x', 'free', 'active', NULL, false, '2026-11-01', 12, 0, 0),
    ('near',    'x', 'free', 'active', NULL, false, '2026-11-01', 8, 0, 1.99), ('below', 'x', 'free', 'active', NULL, false, '2026-11-01', 7, 0, 2),
    ('lapsed month', 'x', 'free', 'active', NULL, false, '2026-10-01', 10, 9, 9), ('unused', 'x', 'free', 'active', NULL, false, '2026-11-01', 0, 0, 0),
    ('unpaid',  'x', 'base', 'unpaid', NULL, false, '2026-11-01', 3, 0, 0),
    ('ended',   'x', 'base', 'active', '2026-11-19 09:59:59.999999Z', false, '2026-11-01', 3, 0, 0),
    ('grace',   'x', 'base', 'active', '2026-11-19 10:00Z', false, '2026-11-01', 81, 800, 0),
    ('no grace', 'x', 'base', 'past_due', '2026-11-22 09:59:59Z', true, '2026-11-01', 1, 0, 0),
    ('to come', 'x', 'pro', 'trialing', 'infinity', true, '2026-11-01', 5000, 0, 77);
SELECT results_eq($$SELECT tier, user_count::integer, active_user_count::integer, limit_name, limit_value, used::float8, round(average_used, 3), near_limit_count::integer, at_limit_count::integer
                    FROM plan_usage WHERE limit_name <> 'api_call' ORDER BY tier COLLATE "C", limit_name COLLATE "C"$$, $$VALUES
    ('base', 1, 1, 'cost', NULL::numeric, 0::float8, 0::numeric, 0, 0), ('base', 1, 1, 'message', 100, 81, 81, 1, 0), ('base', 1, 1, 'token', 1000, 800, 800, 1, 0),
    ('free', 9, 7, 'cost', 2.5, 6.49, 0.927, 2, 1), ('free', 9, 7, 'message', 10, 44, 6.286, 3, 2), ('free', 9, 7, 'token', NULL, 0, 0, 0, 0),
    ('later', 0, 0, 'cost', NULL, 0, NULL, 0, 0), ('later', 0, 0, 'message', 0, 0, NULL, 0, 0), ('later', 0, 0, 'token', NULL, 0, NULL, 0, 0),
    ('pro', 1, 1, 'cost', NULL, 77, 77, 0, 0), ('pro', 1, 1, 'message', NULL, 5000, 5000, 0, 0), ('pro', 1, 1, 'token', NULL, 0, 0, 0, 0)$$,
    'plans are those that serve, with who is near a limit and who is at it');
SELECT pg_temp.page('2026-11-01', '2026-11-22') AS plans \gset
SELECT alike(pg_temp.section(:'plans', 'Quota pressure'), 'This month, since 1 November.%free 9 users, 7 active 10 messages a month for each, 6.3 on average (63 \%) 2 (22.2 \%) at the limit, 1 (11.1 \%) near it'
             ' Cost of 2.50 a month for each, 0.927 on average (37 \%) 1 (11.1 \%) at the limit, 1 (11.1 \%) near it%pro 1 users, 1 active No limit.%', 'and the page says so');
UPDATE system_configs SET config_value = '"0 days"' WHERE config_key = 'subscription_grace';
SELECT is((SELECT user_count FROM plan_usage WHERE tier = 'free' LIMIT 1), 10::bigint, 'the grace is that of the configuration');
UPDATE system_configs SET is_active = false WHERE config_key IN ('subscription_grace', 'subscription_plans');
SELECT results_eq('SELECT DISTINCT tier, is_configured, user_count::integer, limit_value FROM plan_usage ORDER BY 1',
                  $$VALUES ('base', false, 1, NULL::numeric), ('free', false, 9, NULL), ('pro', false, 1, NULL)$$, 'tiers that no plan describes are told');
SELECT alike(pg_temp.section(pg_temp.page('2026-11-01', '2026-11-22'), 'Quota pressure'), '%base 1 users, 1 active; not configured: calls are refused%', 'by the page too');
UPDATE system_configs SET is_active = true WHERE config_key IN ('subscription_grace', 'subscription_plans');

-- The view asks for the tier what effective_tier asks.
DELETE FROM users;
SET LOCAL claude_gpt.fixed_time = '2026-03-30T00:30:00Z';  -- a grace of three days over the night in which Berlin loses an hour
INSERT INTO users (email, password_hash, subscription_tier, subscription_status, subscription_current_period_end, subscription_cancel_at_period_end)
SELECT format('%s %s %s %s', t, s, e, c), 'x', t, s, e, c
FROM unnest(ARRAY['free', 'base', 'pro']) AS t, unnest(ARRAY['active', 'trialing', 'past_due', 'inactive', 'canceled', 'cancelled', 'unpaid', 'incomplete', 'incomplete_expired', 'expired', 'paused']) AS s,
     unnest(ARRAY[NULL, 'infinity', '-infinity', '2026-03-30 00:30Z', '2026-03-30 00:29:59.999999Z', '2026-03-27 00:30Z', '2026-03-27 00:29:59.999999Z', '2026-03-27 01:00Z', '2026-03-26 23:45Z']::timestamptz[]) AS e,
     unnest(ARRAY[false, true]) AS c;
SET LOCAL timezone = 'Europe/Berlin';
UPDATE system_configs SET config_value = '"3 days"' WHERE config_key = 'subscription_grace';
SELECT results_eq('SELECT DISTINCT tier, user_count FROM plan_usage WHERE user_count > 0 ORDER BY 1',
                  'SELECT effective_tier(id), count(*) FROM users GROUP BY 1 ORDER BY 1', 'for every state of a subscription');
SET LOCAL timezone = 'UTC';
SELECT is((SELECT DISTINCT sum(used) FROM plan_usage), 0::numeric, 'and nobody has used anything');

-- revenue
DELETE FROM users;
SELECT pg_temp.new_user('ada') AS ada, pg_temp.new_user('bob') AS bob \gset
INSERT INTO subscription_history (user_id, subscription_tier, subscription_status, event_type, amount, currency, stripe_invoice_id, created_at) VALUES
    (:'ada', 'base', 'active', 'subscription_created', NULL, 'CNY', NULL, '2026-03-01Z'),
    (:'ada', 'base', 'active', 'payment_succeeded', 9.99, 'CNY', 'in_1', '2026-03-31 21:59:59Z'),
    (:'bob', 'base', 'active', 'payment_succeeded', 9.99, 'CNY', 'in_2', '2026-03-31 22:00Z'),
    (:'bob', 'base', 'active', 'payment_succeeded', 9.99, 'CNY', 'in_2', '2026-04-02Z'),  -- told again
    (:'bob', 'base', 'active', 'payment_failed', 9.99, 'CNY', 'in_2', '2026-03-31 21:00Z'),
    (:'bob', 'base', 'active', 'payment_succeeded', 5, 'USD', NULL, '2026-04-03Z'), (:'bob', 'base', 'active', 'payment_succeeded', 5, 'USD', NULL, '2026-04-03Z'),
    (:'bob', 'pro', 'canceled', 'subscription_cancelled', NULL, 'CNY', NULL, '2026-04-30 21:59Z'), (:'bob', 'pro', 'active', 'subscription_updated', 99, 'CNY', NULL, '2026-04-30Z');
SELECT results_eq($$SELECT month, tier, currency::text, revenue, paid_invoice_count::integer, failed_payment_count::integer, new_subscription_count::integer, cancelled_subscription_count::integer
                    FROM revenue_by_month ORDER BY month, tier COLLATE "C", currency COLLATE "C"$$,
                  $$VALUES (date '2026-03-01', 'base', 'CNY', 9.99, 1, 1, 0, 0), ('2026-03-01', 'base', NULL, 0, 0, 0, 1, 0), ('2026-04-01', 'base', 'CNY', 9.99, 1, 0, 0, 0),
                           ('2026-04-01', 'base', 'USD', 10, 2, 0, 0, 0), ('2026-04-01', 'pro', NULL, 0, 0, 0, 0, 1)$$, 'months are those of the billing time zone, and an invoice counts once');
SELECT is(pg_temp.section(pg_temp.page('2026-04-30', '2026-05-01'), 'Revenue'), 'Month Plan Paid Invoices Failed New Cancelled Apr 2026 base 9.99 CNY 1 0 0 0 Apr 2026 base 10.00 USD 2 0 0 0'
          ' Apr 2026 pro - 0 0 0 1 Whole months.', 'the page has the months of its days');

-- the numbers of the page
INSERT INTO usage_records (user_id, usage_type, quantity, model_used, cost, created_at, billing_period) VALUES
    (:'ada', 'message', 1, 'small', 0, '2026-03-28 22:30Z', '2026-03-01'),   -- Berlin: the 28th
    (:'ada', 'message', 2, 'small', 0, '2026-03-28 23:30Z', '2026-03-01'), (:'ada', 'token', 1234567, 'small', 1.25, '2026-03-29 10:00Z', '2026-03-01'),
    (:'bob', 'token', 1000, 'large', 3.75, '2026-03-29 11:00Z', '2026-03-01'), (:'bob', 'message', 4, NULL, 0, '2026-03-30 21:59Z', '2026-03-01'),
    (:'bob', 'message', 4, 'small', 0, '2026-03-30 22:01Z', '2026-03-01');   -- the 31st
UPDATE users SET created_at = '2026-03-28 22:59Z' WHERE id = :'ada';
UPDATE users SET created_at = '2026-03-28 23:00Z' WHERE id = :'bob';
INSERT INTO user_sessions (user_id, session_token, device_type, expires_at, last_used_at, is_active) VALUES
    (:'ada', 'a', 'ios', '2026-04-01Z', '2026-03-29 01:00Z', true), (:'ada', 'b', 'web', '2026-03-30 00:30Z', '2026-03-29Z', true), (:'bob', 'c', NULL, '2026-04-01Z', '2026-03-24Z', true),
    (:'bob', 'd', 'web', '2026-04-01Z', '2026-03-29Z', false);
SELECT pg_temp.page('2026-03-29', '2026-03-30') AS page \gset
SELECT alike(pg_temp.words(:'page'), '% Usage report 29 March - 30 March 2026%days in Europe/Berlin%made on 30 Mar 2026, 02:30, today so far included%', 'the page names its days, their zone and its moment');
SELECT alike(pg_temp.words(:'page'), '% Messages 6 +500.0 \% on the 2 days before Tokens 1.24M none in the 2 days before Cost 5.00 none in the 2 days before'
             ' Active users 2 +100.0 \% on the 2 days before Sign-ups 1 as in the 2 days before Usage %', 'tiles compare with as many days before');
SELECT alike(:'page'::text, '%<b title="1,235,567">1.24M</b>%', 'and have the whole number');
SELECT alike(pg_temp.section(:'page', 'Usage'), '%Numbers Day large small no model named All Sun 29 Mar 2026 1,000 1,234,567 0 1,235,567 Mon 30 Mar 2026 0 0 0 0 %'
             'Models Model Messages Tokens API calls Cost of all cost large 0 1,000 0 3.75 75.0 \% small 2 1,234,567 0 1.25 25.0 \% no model named 4 0 0 0.00 0.0 \%', 'beside a chart are its numbers, days without usage too');
SELECT alike(pg_temp.section(:'page', 'People'), 'Active users a day % Sun 29 Mar 2026 2 Mon 30 Mar 2026 1 Sign-ups a day % Sun 29 Mar 2026 1 Mon 30 Mar 2026 0 Sessions now Device Sessions Used in 24 hours Used in 7 days'
             ' iOS 1 1 1 not said 1 0 1 All 2 1 2 Of sessions%', 'people are those of the days, sessions those of now');
SELECT is((SELECT count(*) FROM regexp_matches(:'page', 'role="img"', 'g')), (SELECT count(*) FROM regexp_matches(:'page', 'role="img" aria-label="[^"]+"', 'g')), 'each picture has a label');
SELECT alike(:'page'::text, '%aria-label="Tokens a day, 29 Mar 2026 to 30 Mar 2026: 1,235,567 in all, most on 29 Mar with 1,235,567."%', 'that says what is in it');
SELECT set_eq($$SELECT m[1] FROM regexp_matches(usage_report_html('2026-03-29', '2026-03-30'), '<text x="100%" y="[0-9.]*%" dy="4">([^<]*)', 'g') AS m$$,
              ARRAY['0', '250k', '500k', '750k', '1M', '1.25M', '1', '2', '3', '4', '5'], 'the axes have round numbers');
SELECT is((SELECT (regexp_match(:'page', '<li><span>Messages</span><b>(\d+)'))[1]::numeric), (SELECT sum(message_count) FROM daily_usage WHERE day BETWEEN '2026-03-29' AND '2026-03-30'), 'sums are those of daily_usage');
SELECT is(count(*), 0::bigint, 'every number of every day is that of daily_usage')
FROM (SELECT d::date AS day FROM generate_series('2026-03-25'::timestamp, '2026-04-02', '1 day') AS d) AS d
LEFT JOIN (SELECT day, sum(message_count) AS messages, sum(token_count) AS tokens, sum(cost) AS cost FROM daily_usage GROUP BY day) AS u USING (day)
WHERE pg_temp.words(pg_temp.page(day, day)) NOT LIKE format('%% Messages %s %% Tokens %s %% Cost %s %% Active %%', COALESCE(messages, 0),
      CASE WHEN tokens >= 1000000 THEN report_number(tokens, 'short') ELSE report_number(COALESCE(tokens, 0), 'count') END, report_number(COALESCE(cost, 0), 'money'));
SELECT is((SELECT count(*) FROM regexp_matches(pg_temp.page('2024-01-01', '2024-12-31'), '<tr><th scope="row">\w{3} \d+ \w{3} 2024</th>', 'g')), 5 * 366::bigint, 'a leap year has all its days');

-- many models
INSERT INTO usage_records (user_id, usage_type, quantity, model_used, cost, created_at, billing_period)
SELECT :'ada', 'token', 1, format('model %s', to_char(n, 'FM00')), n, '2026-05-01 12:00Z', '2026-05-01' FROM generate_series(1, 30) AS n;
SELECT alike(pg_temp.section(pg_temp.page('2026-05-01', '2026-05-01'), 'Usage'), '% Cost a day model 30 model 29 model 28 model 27 model 26 25 others % Fri 1 May 2026 30.00 29.00 28.00 27.00 26.00 325.00 465.00 %'
             ' model 11 0 1 0 11.00 2.4 \% The 20 of 30 models that cost most.', 'a chart has the five models that cost most, the table twenty');

-- what cannot be told by day
INSERT INTO usage_balances (user_id, usage_type, billing_period, quantity, cost) VALUES (:'ada', 'message', '2026-03-01', 1000, 10), (:'bob', 'token', '2026-03-01', 5000, 0.5), (:'bob', 'token', '2026-01-01', 1, 0);
SELECT alike(pg_temp.words(pg_temp.page('2026-03-29', '2026-03-30')), '% Of March 2026, 1,000 messages, 5,000 tokens and a cost of 10.50 are known by month only%Messages 6 not comparable Tokens %', 'balances of the months are told, and nothing is compared with days that lack them');
SELECT unalike(pg_temp.page('2026-05-01', '2026-05-01'), '%class="note"%', 'others are not');
UPDATE system_configs SET config_value = 'false' WHERE config_key = 'usage_ledger';
SELECT alike(pg_temp.words(pg_temp.page('2026-05-01', '2026-05-01')), '%The usage ledger is off:%', 'and that the ledger is not kept');
UPDATE system_configs SET config_value = 'true' WHERE config_key = 'usage_ledger';

-- numbers for people
SELECT is(report_number(v, s), t, format('%s as %s', v, s)) FROM (VALUES
    (0, 'count', '0'), (999, 'count', '999'), (1234567.5, 'count', '1,234,568'), (9223372036854775807, 'count', '9,223,372,036,854,775,807'), (-1000, 'count', '&#8722;1,000'), (NULL, 'count', '&#8211;'),
    (0, 'money', '0.00'), (1, 'money', '1.00'), (1234.567, 'money', '1,234.57'), (0.5, 'money', '0.500'), (0.0042, 'money', '0.00420'), (0.000000001, 'money', '0.000000001'), (-0.25, 'money', '&#8722;0.250'),
    (0, 'short', '0'), (2.50, 'short', '2.5'), (999, 'short', '999'), (1000, 'short', '1k'), (1250, 'short', '1.25k'), (12500, 'short', '12.5k'), (999499, 'short', '999k'), (999600, 'short', '1M'), (1999999, 'short', '2M'),
    (1.5e9, 'short', '1.5B'), (5e15, 'short', '5000T'), ('NaN', 'money', 'NaN')) AS n (v, s, t);

-- data is data
SELECT is(html_text(t), h, format('%s is escaped', h)) FROM (VALUES
    ('<script>alert(1)</script>', '&#60;script&#62;alert(1)&#60;/script&#62;'), ('"a" & ''b''', '&#34;a&#34; &#38; &#39;b&#39;'), (chr(1) || chr(9) || chr(10) || chr(127) || chr(133), repeat('&#65533;', 5)),
    (chr(8238) || 'x' || chr(8294) || chr(65279), '&#65533;x&#65533;&#65533;'), (chr(252) || chr(20013) || chr(128512), '&#252;&#20013;&#128512;'), ('', ''), (NULL, ''), (E'a\\b%1$s', E'a\\b%1$s')) AS e (t, h)
WHERE getdatabaseencoding() = 'UTF8';
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 1}, "</h3><svg onload=alert(1)>": {"messagesPerMonth": 5}}');
INSERT INTO usage_records (user_id, usage_type, quantity, model_used, cost, created_at, billing_period) VALUES
    (:'ada', 'token', 1, $$<script>alert(1)</script>$$, 3, '2026-06-01 12:00Z', '2026-06-01'), (:'ada', 'token', 1, $$"onmouseover='alert(2)'&%1$s$$, 2, '2026-06-01 12:00Z', '2026-06-01'),
    (:'ada', 'token', 1, $$</title><img src=//evil.example>$$, 1, '2026-06-01 12:00Z', '2026-06-01');
INSERT INTO subscription_history (user_id, subscription_tier, subscription_status, event_type, amount, currency, created_at) VALUES (:'ada', '<b>tier', 'active', 'payment_succeeded', 1, '<i>', '2026-06-02Z');
INSERT INTO job_runs (job_name, engine, started_at, finished_at, outcome, sqlstate) VALUES ('analyze', 'worker', '2026-06-01Z', '2026-06-01Z', 'failed', '<"&>');
SELECT pg_temp.page('2026-05-31', '2026-06-02') AS hostile \gset
SELECT is(position(p IN :'hostile'), 0, 'nothing breaks out: ' || p) FROM unnest(ARRAY['<script', '<img', '<svg onload', 'onmouseover=''', '<b>tier', '<i>', '<"&>', '"onmouse']) AS p;
SELECT alike(:'hostile'::text, p, 'and all is there to read: ' || p) FROM unnest(ARRAY['%<bdi>&#60;script&#62;alert(1)&#60;/script&#62;</bdi>%', '%&#34;onmouseover=&#39;alert(2)&#39;&#38;\%1$s%', '%&#60;/title&#62;&#60;img src=//evil.example&#62;%',
              '%&#60;/h3&#62;&#60;svg onload=alert(1)&#62;%', '%&#60;b&#62;tier%', '%1.00 &#60;i&#62;%', '%with &#60;&#34;&#38;&#62;%']) AS p;
SELECT is(count(*), 0::bigint, 'every < begins a tag of the page') FROM regexp_matches(:'hostile', '<(?!/?(?:html|head|meta|title|style|body|main|header|h1|h2|h3|p|ul|li|span|b|small|figure|figcaption|div|svg|text|line|g|rect|details|summary|table|thead|tbody|tr|th|td|section|footer|bdi|br|wbr)[ />]|!DOCTYPE html>)', 'g');
SELECT ok(:'hostile' !~ '[^\n -~]', 'the page is ASCII');
SELECT unalike(:'hostile'::text, p, 'nothing is from elsewhere: ' || p) FROM unnest(ARRAY['%http:%', '%https:%', '%url(%', '%@import%']) AS p;
SELECT ok(:'hostile' !~* '<[^>]*\s(src|href|srcset|style|on\w+)=', 'no tag has an address, a style or a script');
SELECT is((regexp_match(:'hostile', 'style-src ''sha256-([^'']*)'''))[1], encode(sha256(convert_to((regexp_match(:'hostile', '<style>(.*)</style>'))[1], 'UTF8')), 'base64'), 'the policy knows the style by its hash');
SELECT alike(:'hostile'::text, '%<meta http-equiv="Content-Security-Policy" content="default-src ''none''; style-src ''sha256-%''; base-uri ''none''; form-action ''none''">%', 'and allows nothing else');

-- what is refused
SELECT throws_ok(format('SELECT usage_report_html(%s)', a), c, m, a) FROM (VALUES
    ('NULL, ''2026-03-01''', '22004', 'p_from and p_to must not be null'), ('''2026-03-01'', NULL', '22004', 'p_from and p_to must not be null'),
    ('''2026-03-02'', ''2026-03-01''', '22023', 'p_to must not be before p_from'), ('''2025-03-01'', ''2026-03-02''', '22023', 'a report is of 366 days at most'),
    ('''-infinity'', ''2026-03-02''', '22023', 'p_from and p_to must be from 2000-01-01 to 9999-12-31'), ('''2026-03-01'', ''infinity''', '22023', 'p_from and p_to must be from 2000-01-01 to 9999-12-31'),
    ('''1999-12-31'', ''2000-01-01''', '22023', 'p_from and p_to must be from 2000-01-01 to 9999-12-31'), ('''9999-12-31'', ''10000-01-01''', '22023', 'p_from and p_to must be from 2000-01-01 to 9999-12-31'),
    ('''4713-01-01 BC'', ''5874897-12-31''', '22023', 'p_from and p_to must be from 2000-01-01 to 9999-12-31')) AS r (a, c, m);
SELECT lives_ok(format('SELECT usage_report_html(%s)', a), a || ' is a report') FROM unnest(ARRAY['''2000-01-01'', ''2000-12-31''', '''9999-12-31'', ''9999-12-31''', '''2026-03-01'', ''2027-03-01''']) AS a;

SAVEPOINT writable;
SET LOCAL transaction_read_only = on;
SELECT pg_temp.page('2026-05-31', '2026-06-02') AS unwritten \gset
ROLLBACK TO writable;
SELECT is(:'unwritten'::text, :'hostile'::text, 'a transaction that only reads has the same page');

-- who may see it
-- The stranger was given every function: those work with the rights of the owner of the tables, views with his.
SELECT is(pg_temp.as_role(r, q), CASE WHEN r = 'pgtap_stranger' AND q NOT LIKE '% FROM %' THEN 'done' ELSE m END, format('%s: %s', r, q))
FROM unnest(ARRAY['SELECT * FROM claude_gpt_data.daily_usage', 'SELECT * FROM claude_gpt_data.plan_usage', 'SELECT * FROM claude_gpt_data.revenue_by_month', 'SELECT claude_gpt_internal.current_billing_day()', 'SELECT claude_gpt.usage_report_html()']) AS q,
     (VALUES ('pgtap_reader', 'done'), ('pgtap_application', 'done'), ('pgtap_billing', 'done'), ('pgtap_operator', 'done'), ('pgtap_monitor', '42501'), ('pgtap_stranger', '42501')) AS r (r, m);
REVOKE EXECUTE ON FUNCTION claude_gpt.usage_report_html(date, date) FROM pgtap_stranger;
SELECT is(pg_temp.as_role('pgtap_stranger', 'SELECT claude_gpt.usage_report_html(''2026-03-01'', ''2026-03-02'')'), '42501', 'until it is taken from him');
SET LOCAL ROLE pgtap_operator;
SELECT claude_gpt.usage_report_html('2026-05-31', '2026-06-02') AS operator \gset
SET LOCAL ROLE pgtap_billing;
SELECT claude_gpt.usage_report_html('2026-05-31', '2026-06-02') AS billing \gset
RESET ROLE;
SELECT is(:'operator'::text, :'hostile'::text, 'an operator sees what the owner sees');
SELECT is(split_part(:'billing', '<h2>Jobs</h2>', 1), split_part(:'hostile', '<h2>Jobs</h2>', 1), 'who may not see the jobs sees all the rest');
SELECT alike(pg_temp.section(:'billing', 'Jobs'), 'The role pgtap_billing may not see the jobs.%', 'and is told so in their place');
SELECT alike(pg_temp.section(:'operator', 'Jobs'), 'Job Last run Rows Runs Failed Next analyze failed with % 1 Jun, 02:00 0 1 1 %', 'jobs are there with their runs and failures');
UPDATE job_runs SET outcome = 'succeeded', row_count = 1234;
UPDATE jobs SET enabled = false WHERE name = 'audit_prune';
SELECT alike(pg_temp.section(pg_temp.page('2026-06-01', '2026-06-01'), 'Jobs'), '% analyze succeeded 1 Jun, 02:00 1,234 1 0 % audit_prune off % 0 0 - %', 'or that they are off');

-- Who owns the tables writes the code of the views.
CREATE ROLE pgtap_owner;
SELECT set_owner('pgtap_owner');
SELECT lives_ok('SELECT usage_report_html()', 'a superuser may run it');
SELECT lives_ok('SELECT current_billing_day()', 'and its parts');
SELECT throws_ok('SELECT claude_gpt_internal.report_page(''2026-03-01'', ''2026-03-02'', NULL)', '42501', 'a superuser cannot read tables of a role that is none', 'but not with his own rights');
ALTER TABLE system_configs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_of_them ON system_configs USING (true);
SELECT lives_ok('SELECT usage_report_html()', 'where policies bind the owner too');
SELECT throws_ok('SET LOCAL ROLE pgtap_reader; SELECT claude_gpt.usage_report_html()', '42501', 'row level security keeps rows from the caller that a report would count', 'whom a policy binds has no report of all');
RESET ROLE;
ALTER TABLE system_configs DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER VIEW daily_usage RENAME TO kept_daily_usage;
CREATE VIEW daily_usage AS SELECT * FROM kept_daily_usage WHERE (CASE WHEN current_user = 'pgtap_owner' THEN '1' ELSE current_user::text END)::integer = 1;
ALTER VIEW daily_usage OWNER TO pgtap_owner;
SELECT lives_ok('SELECT usage_report_html()', 'the code of a view runs as the owner when a superuser calls');
SELECT is(pg_temp.as_role('pgtap_operator', 'SELECT claude_gpt.usage_report_html()'), 'done', 'and when somebody else does');
DROP VIEW daily_usage;
ALTER VIEW kept_daily_usage RENAME TO daily_usage;
SELECT is(pg_temp.as_role('pgtap_owner', 'SELECT claude_gpt.usage_report_html()'), 'done', 'the owner may');
SELECT is(pg_temp.as_role('pgtap_reader', 'SELECT claude_gpt.usage_report_html()'), 'done', 'and a reader');

SELECT finish();
ROLLBACK;
