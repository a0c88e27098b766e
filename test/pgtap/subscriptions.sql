-- effective_tier, check_subscription_limit and set_subscription.
BEGIN;
\ir prelude.psql
SELECT no_plan();
-- Plans that users have are taken away below, as replication may: the triggers that keep them are tested at the end.
ALTER TABLE system_configs DISABLE TRIGGER keep_plans_in_use, DISABLE TRIGGER keep_truncated_plans_in_use;
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';

-- The effective tier, said in another way: what pays for the tier, and since when not.
CREATE FUNCTION pg_temp.expected_tier(u claude_gpt_data.users, p_now timestamptz, p_grace interval) RETURNS text LANGUAGE sql AS $$
    SELECT CASE
        WHEN u.subscription_status NOT IN ('active', 'trialing', 'past_due', 'inactive') THEN 'free'
        WHEN u.subscription_current_period_end + CASE WHEN u.subscription_cancel_at_period_end THEN interval '0' ELSE p_grace END < p_now THEN 'free'
        ELSE u.subscription_tier
    END
$$;

-- every tier, every status, with and without an end at each side of each boundary
INSERT INTO users (email, password_hash, subscription_tier, subscription_status, subscription_current_period_end,
    subscription_cancel_at_period_end)
SELECT format('truth-%s-%s-%s-%s@example.com', tier, status, COALESCE(e.name, 'never'), cancel), 'x', tier, status, e.moment, cancel
FROM unnest(ARRAY['free', 'base', 'pro']) AS tier,
     unnest(ARRAY['active', 'trialing', 'past_due', 'inactive', 'canceled', 'cancelled', 'unpaid', 'incomplete',
                  'incomplete_expired', 'expired', 'paused']) AS status,
     (VALUES (NULL, NULL::timestamptz), ('far', '2027-11-22 10:00:00Z'), ('ahead', '2026-11-22 10:00:00.000001Z'),
             ('now', '2026-11-22 10:00:00Z'), ('just over', '2026-11-22 09:59:59.999999Z'),
             ('end of grace', '2026-11-19 10:00:00Z'), ('after grace', '2026-11-19 09:59:59.999999Z'),
             ('long ago', '2001-01-01Z'), ('infinity', 'infinity'), ('-infinity', '-infinity')) AS e (name, moment),
     unnest(ARRAY[false, true]) AS cancel;
SELECT is((SELECT count(*) FROM users WHERE email LIKE 'truth-%'), 660::bigint, 'the truth table has all its rows');
SELECT is_empty(
    $$SELECT email, effective_tier(id) AS is, pg_temp.expected_tier(u, '2026-11-22 10:00:00Z', '3 days') AS expected FROM users AS u
      WHERE email LIKE 'truth-%' AND effective_tier(id) <> pg_temp.expected_tier(u, '2026-11-22 10:00:00Z', '3 days')$$,
    'the effective tier is that of the truth table');
SELECT results_eq($$SELECT effective_tier(id), count(*) FROM users WHERE email LIKE 'truth-%' GROUP BY 1 ORDER BY 1$$,
                  $$VALUES ('base', 48::bigint), ('free', 564), ('pro', 48)$$, 'which has users of every tier');
SELECT pg_temp.configure('subscription_grace', '"0 days"');
SELECT is_empty(
    $$SELECT email FROM users AS u WHERE email LIKE 'truth-%' AND effective_tier(id) <> pg_temp.expected_tier(u, '2026-11-22 10:00:00Z', '0')$$,
    'also without a grace');
SELECT pg_temp.configure('subscription_grace', '"1 day 02:30:00"');
SELECT is_empty(
    $$SELECT email FROM users AS u WHERE email LIKE 'truth-%' AND effective_tier(id) <> pg_temp.expected_tier(u, '2026-11-22 10:00:00Z', '1 day 02:30:00')$$,
    'also with one of days and hours');
UPDATE system_configs SET is_active = false WHERE config_key = 'subscription_grace';
SELECT is_empty(
    $$SELECT email FROM users AS u WHERE email LIKE 'truth-%' AND effective_tier(id) <> pg_temp.expected_tier(u, '2026-11-22 10:00:00Z', '3 days')$$,
    'an inactive row means three days');
DELETE FROM system_configs WHERE config_key = 'subscription_grace';
SELECT is_empty(
    $$SELECT email FROM users AS u WHERE email LIKE 'truth-%' AND effective_tier(id) <> pg_temp.expected_tier(u, '2026-11-22 10:00:00Z', '3 days')$$,
    'and so does no row');

-- the clock decides, not a job, and not when the transaction began
SELECT pg_temp.new_user('lapsing', 'pro') AS lapsing \gset
UPDATE users SET subscription_status = 'active', subscription_current_period_end = '2026-12-10Z' WHERE id = :'lapsing';
SET LOCAL claude_gpt.fixed_time = '2026-12-13T00:00:00Z';
SELECT is(effective_tier(:'lapsing'), 'pro', 'three days after the end the tier still holds');
SET LOCAL claude_gpt.fixed_time = '2026-12-13T00:00:00.000001Z';
SELECT is(effective_tier(:'lapsing'), 'free', 'a moment later it does not');
SELECT is((SELECT subscription_tier::text FROM users WHERE id = :'lapsing'), 'pro', 'the stored tier stays');
UPDATE users SET subscription_current_period_end = '2027-01-10Z' WHERE id = :'lapsing';
SELECT is(effective_tier(:'lapsing'), 'pro', 'a payment brings it back at once');
RESET claude_gpt.fixed_time;
UPDATE users SET subscription_current_period_end = clock_timestamp() - interval '3 days' + interval '20 milliseconds' WHERE id = :'lapsing';
SELECT pg_sleep(0.03);
SELECT is(effective_tier(:'lapsing'), 'free', 'a tier lapses within a transaction');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';

-- check_subscription_limit: the limits of a plan
CREATE FUNCTION pg_temp.admitted(p_user uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', claude_gpt.check_subscription_limit(p_user, 'message'), claude_gpt.check_subscription_limit(p_user, 'token'),
                     claude_gpt.check_subscription_limit(p_user, 'api_call'))
$$;
CREATE FUNCTION pg_temp.use(p_user uuid, p_messages integer, p_tokens bigint, p_api_calls bigint, p_cost numeric,
    p_month date DEFAULT '2026-11-01') RETURNS uuid LANGUAGE sql AS $$
    UPDATE claude_gpt_data.users SET monthly_message_count = p_messages, monthly_token_count = p_tokens,
        monthly_api_call_count = p_api_calls, monthly_cost = p_cost, monthly_reset_date = p_month WHERE id = p_user RETURNING id
$$;
SELECT pg_temp.new_user('limits') AS u \gset
SELECT is(check_subscription_limit(:'u'), true, 'the action is a message by default');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 9, 0, 0, 0)), 't t t', 'one below the limit is admitted');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 10, 0, 0, 0)), 'f t t', 'at the limit no more');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 11, 0, 0, 0)), 'f t t', 'nor above it');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 0, 9223372036854775807, 9223372036854775807, 99999999999)), 't t t', 'limits that are absent are unlimited');
SELECT pg_temp.configure('subscription_plans', '{
    "free": {"messagesPerMonth": 10, "tokensPerMonth": 1000, "apiCallsPerMonth": 5, "costPerMonth": 0.5},
    "base": {"messagesPerMonth": 0, "tokensPerMonth": 0, "apiCallsPerMonth": 0},
    "pro": {"messagesPerMonth": -1, "tokensPerMonth": -1, "apiCallsPerMonth": -1, "costPerMonth": -1}}');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 9, 999, 4, 0.499999999)), 't t t', 'below all four limits');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 9, 1000, 4, 0)), 't f t', 'the tokens are used up');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 9, 999, 5, 0)), 't t f', 'the api calls are used up');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 0, 0, 0, 0.5)), 'f f f', 'a cost that is used up stops every action');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 0, 0, 0, 0.500000001)), 'f f f', 'and so above it');
SELECT is(pg_temp.admitted(pg_temp.use(pg_temp.new_user('none', 'base'), 0, 0, 0, 0)), 'f f f', 'a limit of zero admits nothing');
SELECT is(pg_temp.admitted(pg_temp.use(pg_temp.new_user('all', 'pro'), 2147483647, 9223372036854775807, 9223372036854775807, 99999999999)), 't t t', '-1 is unlimited');
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 9223372036854775807, "tokensPerMonth": 9223372036854775807, "costPerMonth": 0}}');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 0, 0, 0, 0)), 'f f f', 'a cost limit of zero admits nothing');
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 9223372036854775807, "tokensPerMonth": 9223372036854775807}}');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 2147483647, 9223372036854775806, 0, 0)), 't t t', 'limits may be as large as counters');

-- what open reservations hold is not free, until they expire
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 10, "tokensPerMonth": 1000, "apiCallsPerMonth": 5, "costPerMonth": 0.5}}');
SELECT pg_temp.configure('model_prices', '{"m": {"prompt": 100, "completion": 400}}');
SELECT pg_temp.new_user('holder') AS h \gset
SELECT update_user_usage(:'h', 7, 600);
SELECT reservation_id AS r1 FROM reserve_usage(:'h', 0, 3) \gset
SELECT is(pg_temp.admitted(:'h'), 'f t t', 'messages that are held are not admitted');
SELECT reservation_id AS r2 FROM reserve_usage(:'h', 399, 0, NULL, '10 minutes') \gset
SELECT is(pg_temp.admitted(:'h'), 'f t t', 'one token is left beside what is held');
SELECT reserve_usage(:'h', 1, 0, NULL, '10 minutes');
SELECT is(pg_temp.admitted(:'h'), 'f f t', 'and then none');
SELECT release_usage(pg_temp.owner(:'r2'), :'r2');
SELECT is(pg_temp.admitted(:'h'), 'f t t', 'what is released is free');
SELECT settle_usage(pg_temp.owner(:'r1'), :'r1', 0, 0, 0);
SELECT is(pg_temp.admitted(:'h'), 'f t t', 'what is settled is used');
SELECT pg_temp.new_user('holder2') AS h \gset
SELECT reserve_usage(:'h', 500, 10, NULL, '5 minutes'), reserve_usage(:'h', 500, 0, NULL, '10 minutes');
SELECT is(pg_temp.admitted(:'h'), 'f f t', 'all is held');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:04:59.999999Z';
SELECT is(pg_temp.admitted(:'h'), 'f f t', 'to the last moment');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:05:00Z';
SELECT is(pg_temp.admitted(:'h'), 't t t', 'what is due is free, without any job');
SELECT is((SELECT held_message_count FROM users WHERE id = :'h'), 10, 'reading changed nothing');
SELECT is((SELECT held FROM quota_status(:'h') WHERE action = 'token'), 500::bigint, 'the other is still held');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT reserve_usage(pg_temp.new_user('holder3'), 1250, 1, 'm');
SELECT is(pg_temp.admitted(pg_temp.user_id('holder3')), 't t t', 'more than the whole limit is not held');
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 10, "costPerMonth": 0.5}}');
SELECT reserve_usage(pg_temp.user_id('holder3'), 1249, 1, 'm');
SELECT is(pg_temp.admitted(pg_temp.user_id('holder3')), 't t t', 'a cost that is held but for a bit of the limit');
SELECT reserve_usage(pg_temp.user_id('holder3'), 1, 1, 'm');
SELECT is(pg_temp.admitted(pg_temp.user_id('holder3')), 'f f f', 'and as a whole, which stops every action');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:05:00Z';
SELECT is(pg_temp.admitted(pg_temp.user_id('holder3')), 't t t', 'until it is due');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';

-- which plan, which month
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 1}, "base": {"messagesPerMonth": 2}, "pro": {"messagesPerMonth": 3}}');
UPDATE users SET monthly_message_count = 2 WHERE email IN ('limits@example.com', 'none@example.com', 'all@example.com');
SELECT is((SELECT array_agg(check_subscription_limit(id) ORDER BY email)
           FROM users WHERE email IN ('limits@example.com', 'none@example.com', 'all@example.com')),
          ARRAY[true, false, false], 'each tier has its own limit');  -- pro, free, base
UPDATE users SET subscription_status = 'unpaid' WHERE email = 'all@example.com';
SELECT is(check_subscription_limit(pg_temp.user_id('all')), false, 'a lapsed subscription has the limit of the free plan');
UPDATE users SET subscription_status = 'active', subscription_current_period_end = '2026-11-19 09:59:59Z' WHERE email = 'all@example.com';
SELECT is(check_subscription_limit(pg_temp.user_id('all')), false, 'also after the grace');
UPDATE users SET subscription_current_period_end = '2026-11-19 10:00:00Z' WHERE email = 'all@example.com';
SELECT is(check_subscription_limit(pg_temp.user_id('all')), true, 'and not before');
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 5, "tokensPerMonth": 5, "apiCallsPerMonth": 5, "costPerMonth": 5}}');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 5, 5, 5, 5, '2026-10-01')), 't t t', 'what was used in an earlier month counts no more');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 5, 5, 5, 4, '2026-10-31')), 't t t', 'also up to its last day');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 5, 5, 5, 4, '2026-11-22')), 'f f f', 'a month that began late counts');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 5, 5, 5, 4, '2026-11-24')), 'f f f', 'one that lies ahead a little too');
SELECT is(pg_temp.admitted(pg_temp.use(:'u', 5, 5, 5, 4, '2026-12-01')), 't t t', 'but none of the future, of which the ledger knows nothing');
SELECT pg_temp.use(:'u', 5, 0, 0, 0);
SET LOCAL claude_gpt.fixed_time = '2026-11-30T23:59:59.999999Z';
SELECT is(check_subscription_limit(:'u'), false, 'closed until the end of the month');
SET LOCAL claude_gpt.fixed_time = '2026-12-01T00:00:00Z';
SELECT is(check_subscription_limit(:'u'), true, 'and open again with the next, without any job');
SELECT is((SELECT monthly_message_count FROM users WHERE id = :'u'), 5, 'reading changed nothing');
SELECT update_user_usage(:'u', 5);
SELECT is(check_subscription_limit(:'u'), false, 'the new month has its own count');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';

-- never NULL, for nobody
SELECT is((SELECT count(*) FROM users WHERE CASE effective_tier(id) WHEN 'free' THEN check_subscription_limit(id) IS NULL END), 0::bigint, 'the answer is never NULL');
SELECT volatility_is('claude_gpt', 'check_subscription_limit', ARRAY['uuid', 'character varying'], 'stable', 'check_subscription_limit only reads');
SELECT volatility_is('claude_gpt', 'effective_tier', ARRAY['uuid'], 'stable', 'effective_tier only reads');

-- refusals
SELECT throws_ok($$SELECT check_subscription_limit(NULL)$$, '22004', NULL, 'a NULL user is refused');
SELECT throws_ok($$SELECT check_subscription_limit(pg_temp.user_id('limits'), NULL)$$, '22004', NULL, 'a NULL action is refused');
SELECT throws_ok($$SELECT check_subscription_limit(pg_temp.user_id('limits'), 'image')$$, '22023', NULL, 'an unknown action is refused');
SELECT throws_ok($$SELECT check_subscription_limit(pg_temp.user_id('limits'), 'message ')$$, '22023', NULL, 'an action has no spaces');
SELECT throws_ok($$SELECT check_subscription_limit(uuid_v7())$$, 'P0002', NULL, 'an unknown user is refused');
SELECT throws_ok($$SELECT effective_tier(uuid_v7())$$, 'P0002', NULL, 'an unknown user has no tier');
SELECT throws_ok($$SELECT effective_tier(NULL)$$, '22004', NULL, 'nor has NULL');
SELECT throws_ok($$SELECT check_subscription_limit(pg_temp.user_id('all'))$$, '55000', NULL, 'a plan that is not configured is refused, not unlimited');
UPDATE system_configs SET is_active = false WHERE config_key = 'subscription_plans';
SELECT throws_ok($$SELECT check_subscription_limit(pg_temp.user_id('limits'))$$, '55000', NULL, 'an inactive row of plans is refused');
SELECT lives_ok($$SELECT effective_tier(pg_temp.user_id('limits'))$$, 'the tier needs no plan');
SELECT lives_ok($$SELECT update_user_usage(pg_temp.user_id('limits'))$$, 'counting needs no plan');
SELECT throws_ok($$SELECT set_subscription(pg_temp.user_id('limits'), 'free')$$, '23514', NULL, 'subscribing does');
DELETE FROM system_configs WHERE config_key = 'subscription_plans';
SELECT throws_ok($$SELECT check_subscription_limit(pg_temp.user_id('limits'))$$, '55000', NULL, 'no row of plans is refused');

-- set_subscription
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 1}, "base": {"messagesPerMonth": 2}, "pro": {"messagesPerMonth": 3}, "gold": {"messagesPerMonth": 4}}');
SELECT pg_temp.new_user('subscriber') AS s \gset
SELECT update_user_usage(:'s', 3);
SELECT is(set_subscription(:'s', 'pro', 'active', '2026-12-22Z', false, 'sub_1', 'subscription_created', '{"from": "stripe"}')::text, '', 'the result is void');
SELECT results_eq(
    $$SELECT subscription_tier::text, subscription_status::text, subscription_current_period_end, subscription_cancel_at_period_end, subscription_id::text,
             monthly_message_count FROM users WHERE id = pg_temp.user_id('subscriber')$$,
    $$VALUES ('pro', 'active', '2026-12-22Z'::timestamptz, false, 'sub_1', 3)$$, 'the subscription stands in the row of the user');
SELECT results_eq(
    $$SELECT subscription_tier::text, subscription_status::text, stripe_subscription_id::text, period_end, event_type::text, metadata, amount, currency::text
      FROM subscription_history WHERE user_id = pg_temp.user_id('subscriber')$$,
    $$VALUES ('pro', 'active', 'sub_1', '2026-12-22Z'::timestamptz, 'subscription_created', '{"from": "stripe"}'::jsonb, NULL::numeric, 'CNY')$$,
    'and its event in the history');
SELECT set_subscription(:'s', 'base');
SELECT results_eq(
    $$SELECT subscription_tier::text, subscription_status::text, subscription_current_period_end, subscription_cancel_at_period_end, subscription_id::text
      FROM users WHERE id = pg_temp.user_id('subscriber')$$,
    $$VALUES ('base', 'active', NULL::timestamptz, false, 'sub_1')$$, 'defaults: active, without an end; the id stays');
SELECT is((SELECT stripe_subscription_id::text FROM subscription_history WHERE user_id = :'s' AND event_type = 'subscription_updated'), 'sub_1', 'the history names the id that stays');
SELECT set_subscription(:'s', 'base', 'canceled', '2026-12-01Z', true, p_subscription_id => 'sub_2', p_event_type => 'subscription_cancelled');
SELECT is((SELECT subscription_id::text || subscription_cancel_at_period_end FROM users WHERE id = :'s'), 'sub_2true', 'a new id replaces the old');
SELECT is(effective_tier(:'s'), 'free', 'the status holds at once');
SELECT is((SELECT count(*) FROM subscription_history WHERE user_id = :'s'), 3::bigint, 'every event is kept');
SELECT lives_ok(format($$SELECT set_subscription(%L, 'free', %L)$$, :'s', status), format('status %s is known', status))
FROM unnest(ARRAY['active', 'trialing', 'past_due', 'inactive', 'canceled', 'cancelled', 'unpaid', 'incomplete',
                  'incomplete_expired', 'expired', 'paused']) AS status;
SELECT lives_ok(format($$SELECT set_subscription(%L, 'free', p_event_type => %L)$$, :'s', event), format('event %s is known', event))
FROM unnest(ARRAY['subscription_created', 'subscription_updated', 'subscription_cancelled', 'payment_succeeded', 'payment_failed',
                  'trial_started', 'trial_ended']) AS event;
SELECT md5((SELECT u::text FROM users AS u WHERE id = :'s') || (SELECT count(*) FROM subscription_history)) AS before \gset
SELECT throws_ok(format($$SELECT set_subscription(%s)$$, arguments), code, NULL, format('set_subscription(%s) is refused', arguments))
FROM (VALUES ($$NULL, 'pro'$$, '22004'), ($$pg_temp.user_id('subscriber'), NULL$$, '22004'),
             ($$pg_temp.user_id('subscriber'), 'pro', NULL$$, '22004'),
             ($$pg_temp.user_id('subscriber'), 'pro', p_cancel_at_period_end => NULL$$, '22004'),
             ($$pg_temp.user_id('subscriber'), 'pro', p_event_type => NULL$$, '22004'),
             ($$pg_temp.user_id('subscriber'), 'pro', 'happy'$$, '22023'),
             ($$pg_temp.user_id('subscriber'), 'pro', p_event_type => 'party'$$, '22023'),
             ($$pg_temp.user_id('subscriber'), 'silver'$$, '23514'),
             ($$pg_temp.user_id('subscriber'), ''$$, '23514'),
             ($$uuid_v7(), 'pro'$$, 'P0002')) AS r (arguments, code);
SELECT is(md5((SELECT u::text FROM users AS u WHERE id = :'s') || (SELECT count(*) FROM subscription_history)), :'before', 'and nothing is changed');

-- a new plan is a name in the configuration
SELECT lives_ok($$SELECT set_subscription(pg_temp.user_id('subscriber'), 'gold')$$, 'a new plan can be subscribed');
SELECT is(effective_tier(:'s'), 'gold', 'and served');
SELECT is(check_subscription_limit(:'s'), true, 'by its own limit');

ALTER TABLE system_configs ENABLE TRIGGER keep_plans_in_use, ENABLE TRIGGER keep_truncated_plans_in_use;

-- a tier names a configured plan, whoever writes it, and a plan stays while users have it
CREATE FUNCTION pg_temp.refused(p_statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    seen_detail text;
BEGIN
    EXECUTE p_statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS seen_detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, NULLIF(seen_detail, ''));
END
$$;
-- With what a failure leaves undone, as the whole statement is in a subtransaction of its own.
DELETE FROM users;
INSERT INTO users (email, subscription_tier) VALUES ('p1@example.com', 'gold'), ('p2@example.com', 'gold'), ('p3@example.com', 'pro'), ('p4@example.com', DEFAULT);
SELECT is(pg_temp.refused(statement), '23514 | plan "silver" is not configured | The active configuration row "subscription_plans" has no such plan.', statement)
FROM unnest(ARRAY[$$UPDATE users SET subscription_tier = 'silver'$$, $$INSERT INTO users (email, subscription_tier) VALUES ('p5@example.com', 'silver')$$,
    $$INSERT INTO users (email, subscription_tier) SELECT n || '@x', CASE n WHEN 3 THEN 'silver' ELSE 'pro' END FROM generate_series(1, 3) AS n$$,
    $$INSERT INTO users (email) VALUES ('p1@example.com') ON CONFLICT (email) DO UPDATE SET subscription_tier = 'silver'$$,
    $$SELECT set_subscription(pg_temp.user_id('p1'), 'silver')$$]) AS statement;
SELECT throws_ok($$UPDATE users SET subscription_tier = NULL$$, '23502', NULL, 'no tier is none');
SELECT throws_ok($$UPDATE users SET subscription_tier = 'Gold'$$, '23514', NULL, 'the case of a plan matters');
SELECT is(pg_temp.refused(statement), expected, statement)
FROM (VALUES
    ($$UPDATE system_configs SET config_value = config_value - 'gold' WHERE config_key = 'subscription_plans'$$,
     '55006 | plans that users have cannot be removed | Users: 2 of "gold".'),
    ($$UPDATE system_configs SET config_value = '{"free": {"messagesPerMonth": 1}}' WHERE config_key = 'subscription_plans'$$,
     '55006 | plans that users have cannot be removed | Users: 2 of "gold", 1 of "pro".'),
    ($$UPDATE system_configs SET is_active = false WHERE config_key = 'subscription_plans'$$,
     '55006 | plan "free" cannot be removed | Users: 1 of "free", 2 of "gold", 1 of "pro".'),
    ($$UPDATE system_configs SET config_key = 'plans' WHERE config_key = 'subscription_plans'$$,
     '55006 | plan "free" cannot be removed | Users: 1 of "free", 2 of "gold", 1 of "pro".'),
    ($$DELETE FROM system_configs$$, '55006 | plan "free" cannot be removed | Users: 1 of "free", 2 of "gold", 1 of "pro".'),
    ($$TRUNCATE system_configs$$, '55006 | plan "free" cannot be removed | Users: 1 of "free", 2 of "gold", 1 of "pro".'),
    -- what the same statement has given away
    ($$WITH given AS (INSERT INTO users (email, subscription_tier) VALUES ('p6@example.com', 'base') RETURNING 1)
       UPDATE system_configs SET config_value = config_value - 'base' WHERE config_key = 'subscription_plans' AND EXISTS (SELECT FROM given)$$,
     '55006 | plans that users have cannot be removed | Users: 1 of "base".'),
    -- the validation comes before it
    ($$UPDATE system_configs SET config_value = config_value - 'free' WHERE config_key = 'subscription_plans'$$,
     '22023 | invalid value for configuration "subscription_plans" | $.free is missing.')) AS r (statement, expected);
SELECT lives_ok($$UPDATE system_configs SET config_value = config_value - 'base' WHERE config_key = 'subscription_plans'$$, 'a plan that nobody has can go');
SELECT lives_ok($$UPDATE system_configs SET config_value = jsonb_set(config_value, '{gold,messagesPerMonth}', '9'), description = 'x' WHERE config_key = 'subscription_plans'$$,
                'one that users have can change');
SELECT lives_ok($$DELETE FROM system_configs WHERE config_key <> 'subscription_plans'$$, 'other keys are nobody''s plan');
UPDATE users SET subscription_tier = 'pro' WHERE subscription_tier = 'gold';
SELECT lives_ok($$UPDATE system_configs SET config_value = config_value - 'gold' WHERE config_key = 'subscription_plans'$$, 'and one that they have no more can go');
DELETE FROM users;
SELECT is(pg_temp.refused('TRUNCATE system_configs'), '55006 | plan "free" cannot be removed', 'but free not, whoever has it');

-- what replication writes is not asked, and stays as it is: health says whose plan is missing
SET LOCAL session_replication_role = replica;
INSERT INTO users (email, subscription_tier, last_active_at, last_active_on) VALUES ('p7@example.com', 'gone', '2026-11-22Z', '2026-11-22'), ('p8@example.com', 'pro', '2026-11-22Z', '2026-11-22'),
    ('p9@example.com', 'gone', NULL, NULL);
SET LOCAL session_replication_role = DEFAULT;
SELECT lives_ok($$UPDATE users SET subscription_tier = 'gone', full_name = 'P' WHERE email = 'p7@example.com'$$, 'a tier that does not change is not asked');
SELECT results_eq($$SELECT status, detail FROM claude_gpt.health() WHERE check_name = 'plans'$$,
    format($$VALUES ('critical', 'of 2 recently active users, 1 have a plan that is not configured, such as "gone" of user "%s"')$$, pg_temp.user_id('p7')), 'health names them');
SELECT lives_ok($$SELECT set_subscription(pg_temp.user_id('p7'), 'pro')$$, 'who is given another');
SELECT results_eq($$SELECT status, detail FROM claude_gpt.health() WHERE check_name = 'plans'$$, $$VALUES ('ok', 'the plans of 2 recently active users are configured')$$, 'is well');

SELECT * FROM finish();
ROLLBACK;
