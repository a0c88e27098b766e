-- consume_quota, quota_status and reservations: what is admitted, held, charged and given back.
BEGIN;
\ir prelude.psql
SELECT no_plan();
-- Plans that users have are taken away below, as replication may: the triggers that keep them are tested in subscriptions.sql.
ALTER TABLE system_configs DISABLE TRIGGER keep_plans_in_use, DISABLE TRIGGER keep_truncated_plans_in_use;
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';  -- the month has 741600 seconds to go

-- A decision in a line.
CREATE FUNCTION pg_temp.told(d jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN (d->>'allowed')::boolean THEN 'yes' ELSE format('no: %s %s %s', d->>'reason', d->>'error_code', d->>'http_status') END
        || CASE WHEN COALESCE(d->>'limit_name', d->>'limit_value', d->>'used', d->>'held', d->>'remaining') IS NULL THEN ''
                ELSE format(', %s %s+%s of %s, %s left', d->>'limit_name', d->>'used', d->>'held', COALESCE(d->>'limit_value', 'any'), COALESCE(d->>'remaining', 'any')) END
        || CASE WHEN d->>'retry_after_seconds' IS NOT NULL THEN ', retry in ' || (d->>'retry_after_seconds')
                WHEN NOT (d->>'allowed')::boolean THEN ', no retry' ELSE '' END
        || CASE WHEN (d->>'replayed')::boolean THEN ', replayed' ELSE '' END
$$;
CREATE FUNCTION pg_temp.consume(p_user uuid, p_action text DEFAULT 'message', p_quantity bigint DEFAULT 1, p_model text DEFAULT NULL, p_key text DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.told(to_jsonb(d)) FROM claude_gpt.consume_quota(p_user, p_action, p_quantity, p_model, p_key) AS d
$$;
CREATE FUNCTION pg_temp.reserve(p_user uuid, p_tokens bigint, p_messages integer DEFAULT 1, p_model text DEFAULT NULL, p_ttl interval DEFAULT '5 minutes', p_key text DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.told(to_jsonb(d)) FROM claude_gpt.reserve_usage(p_user, p_tokens, p_messages, p_model, p_ttl, p_key) AS d
$$;
-- Counters of the month, then what is held and until when.
CREATE FUNCTION pg_temp.counters(p_user uuid) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s %s %s | %s %s %s %s', monthly_message_count, monthly_token_count, monthly_api_call_count, trim_scale(monthly_cost),
                  held_message_count, held_token_count, trim_scale(held_cost),
                  COALESCE(to_char(next_hold_expiry AT TIME ZONE 'UTC', 'DD HH24:MI:SS'), 'never'))
    FROM claude_gpt_data.users WHERE id = p_user
$$;
CREATE FUNCTION pg_temp.ledger(p_user uuid) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', to_char(billing_period, 'YYYY-MM'), usage_type, quantity, trim_scale(cost), COALESCE(model_used, '-')), ', '
                      ORDER BY billing_period, usage_type, quantity, cost)
    FROM claude_gpt_data.usage_records WHERE user_id = p_user
$$;
CREATE FUNCTION pg_temp.status(p_user uuid) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s+%s of %s, %s left', action, used, held, COALESCE(limit_value::text, 'any'), COALESCE(remaining::text, 'any')), '; ')
    FROM claude_gpt.quota_status(p_user)
$$;
CREATE FUNCTION pg_temp.settled(p_reservation uuid, p_prompt integer, p_completion integer, p_cost numeric DEFAULT NULL, p_cached integer DEFAULT 0, p_written integer DEFAULT 0)
RETURNS text LANGUAGE sql AS $$
    SELECT format('%s tokens for %s', d.charged_tokens, trim_scale(d.charged_cost)) || CASE WHEN d.late THEN ', late' ELSE '' END || CASE WHEN d.replayed THEN ', replayed' ELSE '' END
    FROM claude_gpt.settle_usage(pg_temp.owner(p_reservation), p_reservation, p_prompt, p_completion, p_cost, NULL, p_cached, p_written) AS d
$$;
CREATE FUNCTION pg_temp.reservation(p_id uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', status, message_count, token_count, trim_scale(cost), COALESCE(model_used, '-'), to_char(expires_at AT TIME ZONE 'UTC', 'HH24:MI:SS'),
                     COALESCE(to_char(closed_at AT TIME ZONE 'UTC', 'HH24:MI:SS'), '-'))
    FROM claude_gpt_data.usage_reservations WHERE id = p_id
$$;
CREATE FUNCTION pg_temp.plans(p_free text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.configure('subscription_plans', jsonb_build_object('free', p_free::jsonb, 'base', '{"messagesPerMonth": 3, "models": ["small", "big"]}'::jsonb,
                             'pro', '{"messagesPerMonth": -1}'::jsonb))
$$;
SELECT pg_temp.plans('{"messagesPerMonth": 10, "tokensPerMonth": 1000, "apiCallsPerMonth": 5, "costPerMonth": 0.5, "models": ["small", "odd"]}');
SELECT pg_temp.configure('model_prices', '{"small": {"prompt": 100, "completion": 200, "cachedPrompt": 10, "cacheWrite": 125}, "big": {"prompt": 5000, "completion": 5000},
                                           "dear": {"prompt": 99999999999, "completion": 1}, "speck": {"prompt": 0.0005, "completion": 0.0004}}');
SELECT pg_temp.new_user('ada') AS ada, pg_temp.new_user('pro', 'pro') AS pro, pg_temp.new_user('base', 'base') AS base \gset

-- consume_quota: each action
SELECT is(pg_temp.consume(:'ada'), 'yes, message 1+0 of 10, 9 left', 'a message is counted by default');
SELECT is(pg_temp.consume(:'ada', 'token', 400, 'small'), 'yes, token 400+0 of 1000, 600 left', 'tokens are counted');
SELECT is(pg_temp.consume(:'ada', 'api_call', 5), 'yes, api_call 5+0 of 5, 0 left', 'api calls are counted, up to the limit itself');
SELECT is(pg_temp.counters(:'ada'), '1 400 5 0 | 0 0 0 never', 'each in its counter');
SELECT is((SELECT concat_ws(' ', total_message_count, total_token_count, total_api_call_count, total_cost) FROM users WHERE id = :'ada'), '1 400 5 0.000000000', 'and in total');
SELECT is(pg_temp.ledger(:'ada'), '2026-11 api_call 5 0 -, 2026-11 message 1 0 -, 2026-11 token 400 0 small', 'each admission leaves a record with its model and month');
SELECT is((SELECT last_active_at FROM users WHERE id = :'ada'), '2026-11-22 10:00:00Z', 'it is activity of the user');
SELECT ctid || ' ' || xmax AS before FROM users WHERE id = :'ada' \gset
SELECT is(pg_temp.consume(:'ada', 'api_call', 1), 'no: quota_exceeded UQ001 402, api_call 5+0 of 5, 0 left, retry in 741600', 'above the limit nothing is admitted until the month ends');
SELECT is(pg_temp.consume(:'ada', 'token', 601), 'no: quota_exceeded UQ001 402, token 400+0 of 1000, 600 left, retry in 741600', 'a quantity is admitted as a whole or not at all');
SELECT is(pg_temp.consume(:'ada', 'token', 1001), 'no: quota_exceeded UQ001 402, token 400+0 of 1000, 600 left, no retry', 'more than the whole limit never');
SELECT is(pg_temp.consume(:'ada', 'message', 9223372036854775807), 'no: quota_exceeded UQ001 402, message 1+0 of 10, 9 left, no retry', 'however much it is');
SELECT is(pg_temp.consume(:'ada', 'message', 1, 'big'), 'no: model_not_in_plan UQ003 403, no retry', 'a model that the plan does not list is refused');
SELECT is(pg_temp.consume(:'ada', 'message', 1, 'Small'), 'no: model_not_in_plan UQ003 403, no retry', 'by its exact name');
SELECT is(pg_temp.consume(:'ada', 'message', 100, 'big'), 'no: model_not_in_plan UQ003 403, no retry', 'before its quantity is asked');
SELECT is((SELECT ctid || ' ' || xmax FROM users WHERE id = :'ada'), :'before', 'a denial neither writes nor locks the row of the user');
SELECT is(pg_temp.counters(:'ada'), '1 400 5 0 | 0 0 0 never', 'and counts nothing');
SELECT is((SELECT count(*) FROM usage_records WHERE user_id = :'ada'), 3::bigint, 'nor records anything');
SELECT is(pg_temp.consume(:'ada', 'token', 600), 'yes, token 1000+0 of 1000, 0 left', 'what is left is admitted');
SELECT is(pg_temp.consume(:'ada', 'message', 9, 'small'), 'yes, message 10+0 of 10, 0 left', 'messages do not ask for tokens');
SELECT is(pg_temp.consume(:'ada'), 'no: quota_exceeded UQ001 402, message 10+0 of 10, 0 left, retry in 741600', 'ten messages of ten');
SELECT is((SELECT resets_at FROM consume_quota(:'ada')), '2026-12-01Z', 'a denial says when the month ends');
SELECT is((SELECT resets_at FROM consume_quota(:'pro')), '2026-12-01Z', 'and so does an admission');
SELECT is(pg_temp.consume(:'pro', 'message', 100, 'any model'), 'yes, message 101+0 of any, any left', 'a plan without limits and models admits everything');
SELECT is(pg_temp.consume(:'pro', 'token', 9223372036854775807), 'yes, token 9223372036854775807+0 of any, any left', 'as much as a counter holds');
SELECT is(pg_temp.consume(:'base', 'api_call', 7, 'big'), 'yes, api_call 7+0 of any, any left', 'a limit that is absent is none');

-- what a cost limit stops, and how it is told
SELECT pg_temp.new_user('cost') AS cost \gset
SELECT update_user_usage(:'cost', 0, 0, 0.4999991);
SELECT is(pg_temp.consume(:'cost', 'api_call'), 'yes, api_call 1+0 of 5, 4 left', 'a cost below its limit admits');
SELECT is((SELECT concat_ws(' ', limit_value, used, held, remaining) FROM quota_status(:'cost') WHERE action = 'cost'), '500000 500000 0 0',
          'costs are told in millionths: what is used rounded up, what is left rounded down');
SELECT update_user_usage(:'cost', 0, 0, 0.0000009);
SELECT is(pg_temp.consume(:'cost', a), 'no: quota_exceeded UQ001 402, cost 500000+0 of 500000, 0 left, retry in 741600', format('a cost that is used up stops %s', a))
FROM unnest(ARRAY['message', 'token', 'api_call']) AS a;
SELECT is(pg_temp.consume(:'cost', 'api_call', 5), 'no: quota_exceeded UQ001 402, api_call 1+0 of 5, 4 left, retry in 741600', 'after the limit of the action itself');
SELECT is(pg_temp.reserve(:'cost', 0), 'no: quota_exceeded UQ001 402, cost 500000+0 of 500000, 0 left, retry in 741600', 'and reservations of nothing that is priced');
SAVEPOINT plans;
SELECT pg_temp.plans('{"messagesPerMonth": 10, "costPerMonth": 0}');
SELECT is(pg_temp.consume(pg_temp.new_user('broke')), 'no: quota_exceeded UQ001 402, cost 0+0 of 0, 0 left, no retry', 'a cost limit of zero never admits');
SELECT pg_temp.plans('{"messagesPerMonth": 0}');
SELECT is(pg_temp.consume(pg_temp.user_id('broke')), 'no: quota_exceeded UQ001 402, message 0+0 of 0, 0 left, no retry', 'nor does another limit of zero');
SELECT pg_temp.plans('{"messagesPerMonth": 9223372036854775807, "tokensPerMonth": 9223372036854775807}');
SELECT is(pg_temp.consume(pg_temp.user_id('broke'), 'token', 9223372036854775806), 'yes, token 9223372036854775806+0 of 9223372036854775807, 1 left', 'a limit may be as large as a counter');
SELECT is(pg_temp.consume(pg_temp.user_id('broke'), 'token', 2), 'no: quota_exceeded UQ001 402, token 9223372036854775806+0 of 9223372036854775807, 1 left, retry in 741600', 'and holds');
SELECT is(pg_temp.consume(pg_temp.user_id('broke'), 'token', 9223372036854775807), 'no: quota_exceeded UQ001 402, token 9223372036854775806+0 of 9223372036854775807, 1 left, retry in 741600', 'also where the sum passes 64 bits');
SELECT is(pg_temp.consume(pg_temp.user_id('broke'), 'token', 1), 'yes, token 9223372036854775807+0 of 9223372036854775807, 0 left', 'to the last');
ROLLBACK TO plans;
SELECT pg_temp.plans('{"messagesPerMonth": 5, "models": []}');
SELECT is(pg_temp.consume(:'ada'), 'no: quota_exceeded UQ001 402, message 10+0 of 5, 0 left, retry in 741600', 'a plan that was lowered leaves nothing, not less');
SELECT is(pg_temp.consume(:'cost', 'message', 1, 'small'), 'no: model_not_in_plan UQ003 403, no retry', 'an empty list of models has none');
SELECT is(pg_temp.consume(:'cost'), 'yes, message 1+0 of 5, 4 left', 'which matters only if one is named');
ROLLBACK TO plans;

-- the tier in force decides
UPDATE users SET subscription_status = 'active', subscription_current_period_end = '2026-11-19 10:00Z' WHERE id = :'base';
SELECT is(pg_temp.consume(:'base', 'message', 3, 'big'), 'yes, message 3+0 of 3, 0 left', 'at the last moment of the grace the paid plan holds');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00.000001Z';
SELECT is(pg_temp.consume(:'base', 'message', 1, 'big'), 'no: model_not_in_plan UQ003 403, no retry', 'then that of the free plan: its models');
SELECT is(pg_temp.consume(:'base', 'message', 8), 'no: quota_exceeded UQ001 402, message 3+0 of 10, 7 left, retry in 741600', 'and its limits');
SELECT is(pg_temp.status(:'base'), 'message 3+0 of 10, 7 left; token 0+0 of 1000, 1000 left; api_call 7+0 of 5, 0 left; cost 0+0 of 500000, 500000 left', 'which quota_status says too');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';

-- maintenance
SELECT pg_temp.consume(:'pro', p_key => 'before maintenance') AS first_answer \gset
SELECT pg_temp.configure('maintenance_mode', 'true');
SELECT is(pg_temp.consume(:'pro'), 'no: maintenance UQ004 503, no retry', 'in maintenance nothing is counted');
SELECT is(pg_temp.reserve(:'pro', 1), 'no: maintenance UQ004 503, no retry', 'nor held');
SELECT is(pg_temp.consume(:'pro', p_key => 'before maintenance'), :'first_answer' || ', replayed', 'a repeated call still gets its answer');
SELECT lives_ok($$SELECT quota_status(pg_temp.user_id('pro'))$$, 'and everybody his numbers');
SELECT pg_temp.configure('maintenance_mode', 'false');

-- a month that is over counts as zero, and is rolled by the first admission
SELECT pg_temp.new_user('roll') AS roll \gset
SELECT pg_temp.consume(:'roll', 'message', 10), pg_temp.consume(:'roll', 'token', 999), pg_temp.consume(:'roll', 'api_call', 2), update_user_usage(:'roll', 0, 0, 0.25);
SET LOCAL claude_gpt.fixed_time = '2026-11-30T23:59:59.999999Z';
SELECT is(pg_temp.consume(:'roll'), 'no: quota_exceeded UQ001 402, message 10+0 of 10, 0 left, retry in 1', 'the last moment of a month belongs to it');
SET LOCAL claude_gpt.fixed_time = '2026-12-01T00:00:00Z';
SELECT is(pg_temp.status(:'roll'), 'message 0+0 of 10, 10 left; token 0+0 of 1000, 1000 left; api_call 0+0 of 5, 5 left; cost 0+0 of 500000, 500000 left', 'the next moment all is free again');
SELECT is((SELECT DISTINCT resets_at FROM quota_status(:'roll')), '2027-01-01Z', 'until the end of the new month');
SELECT is(pg_temp.consume(:'roll', 'message', 11), 'no: quota_exceeded UQ001 402, message 0+0 of 10, 10 left, no retry', 'a denial tells of the new month');
SELECT is(pg_temp.counters(:'roll'), '10 999 2 0.25 | 0 0 0 never', 'and rolls nothing');
SELECT is(pg_temp.consume(:'roll', 'message', 10), 'yes, message 10+0 of 10, 0 left', 'the whole limit is admitted at once');
SELECT is(pg_temp.counters(:'roll'), '10 0 0 0 | 0 0 0 never', 'which starts all counters anew');
SELECT is((SELECT concat_ws(' ', total_message_count, total_token_count, monthly_reset_date) FROM users WHERE id = :'roll'), '20 999 2026-12-01', 'and keeps the totals');
SELECT is(pg_temp.ledger(:'roll'), '2026-11 api_call 2 0 -, 2026-11 message 10 0 -, 2026-11 token 0 0.25 -, 2026-11 token 999 0 -, 2026-12 message 10 0 -', 'the record is of the new month');
SET LOCAL claude_gpt.fixed_time = '2026-11-30T10:00:00Z';
SELECT is(pg_temp.consume(:'roll', 'token', 5), 'yes, token 5+0 of 1000, 995 left', 'a clock that is set back finds the month that has begun');
SELECT is((SELECT billing_period FROM usage_records WHERE user_id = :'roll' AND usage_type = 'token' AND quantity = 5), '2026-12-01', 'and records it there');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT repair_books(:'roll') \g /dev/null

-- without the ledger
SELECT pg_temp.new_user('unrecorded') AS unrecorded \gset
SELECT pg_temp.configure('usage_ledger', 'false');
SELECT is(pg_temp.consume(:'unrecorded', 'token', 3, 'small'), 'yes, token 3+0 of 1000, 997 left', 'without the ledger it is counted all the same');
SELECT pg_temp.consume(:'unrecorded', 'token', 4), pg_temp.consume(:'unrecorded', 'message', 2), pg_temp.consume(:'unrecorded', 'api_call');
SELECT reservation_id AS r FROM reserve_usage(:'unrecorded', 10) \gset
SELECT pg_temp.settled(:'r', 2, 1, 0.125);
SELECT is(pg_temp.ledger(:'unrecorded'), NULL, 'nothing is recorded');
SELECT is((SELECT count(*) FROM usage_balances WHERE user_id = :'unrecorded'), 0::bigint, 'and nothing carried yet');
SELECT pg_temp.configure('usage_ledger', 'true');
SELECT is((SELECT string_agg(concat_ws(' ', usage_type, billing_period, quantity, trim_scale(cost)), ', ' ORDER BY usage_type) FROM usage_balances WHERE user_id = :'unrecorded'),
          'api_call 2026-11-01 1 0, message 2026-11-01 3 0, token 2026-11-01 10 0.125', 'but it is carried in the balances when the ledger is kept again');

-- quota_status
SELECT pg_temp.new_user('bob') AS bob \gset
SELECT is(pg_temp.status(:'bob'), 'message 0+0 of 10, 10 left; token 0+0 of 1000, 1000 left; api_call 0+0 of 5, 5 left; cost 0+0 of 500000, 500000 left', 'four limits of a new user');
SELECT is((SELECT array_agg(DISTINCT resets_at) FROM quota_status(:'bob')), ARRAY['2026-12-01Z'::timestamptz], 'all end with the month');
SELECT is(pg_temp.status(:'pro'), 'message 102+0 of any, any left; token 9223372036854775807+0 of any, any left; api_call 0+0 of any, any left; cost 0+0 of any, any left', 'and of one without limits');
SELECT volatility_is('claude_gpt', 'quota_status', ARRAY['uuid'], 'stable', 'quota_status only reads');

-- reserve_usage
SELECT reservation_id AS r1, expires_at AS e1, pg_temp.told(to_jsonb(d)) AS told FROM reserve_usage(:'bob', 300, 2, 'small') AS d \gset
SELECT is(:'told'::text, 'yes, message 0+2 of 10, 8 left', 'an admission tells of the messages, which are held');
SELECT is(:'e1'::timestamptz, '2026-11-22 10:05:00Z', 'for five minutes by default');
SELECT is(pg_temp.reservation(:'r1'), 'open 2 300 0.06 small 10:05:00 -', 'with the tokens at the highest price of the model');
SELECT is(pg_temp.counters(:'bob'), '0 0 0 0 | 2 300 0.06 22 10:05:00', 'the user''s row knows what is held, and when the first hold expires');
SELECT is(pg_temp.ledger(:'bob'), NULL, 'nothing is recorded yet');
SELECT is(pg_temp.status(:'bob'), 'message 0+2 of 10, 8 left; token 0+300 of 1000, 700 left; api_call 0+0 of 5, 5 left; cost 0+60000 of 500000, 440000 left', 'quota_status says what is held');
SELECT is(pg_temp.consume(:'bob', 'message', 9), 'no: quota_exceeded UQ001 402, message 0+2 of 10, 8 left, retry in 300', 'what is held is not admitted, until it expires');
SELECT is(pg_temp.consume(:'bob', 'message', 8), 'yes, message 8+2 of 10, 0 left', 'the rest is');
SELECT is(pg_temp.consume(:'bob'), 'no: quota_exceeded UQ001 402, message 8+2 of 10, 0 left, retry in 300', 'and then nothing, until the hold expires');
SELECT is(pg_temp.consume(:'bob', 'message', 3), 'no: quota_exceeded UQ001 402, message 8+2 of 10, 0 left, retry in 741600', 'for what the hold would not make room, until the month ends');
SELECT is(pg_temp.reserve(:'bob', 700, 0), 'yes, token 0+1000 of 1000, 0 left', 'without messages it tells of the tokens');
SELECT is(pg_temp.reserve(:'bob', 1, 0), 'no: quota_exceeded UQ001 402, token 0+1000 of 1000, 0 left, retry in 300', 'tokens that are held are not held again');
SELECT is(pg_temp.counters(:'bob'), '8 0 0 0 | 2 1000 0.06 22 10:05:00', 'a model without a name has no price');
SELECT is((SELECT count(*) FROM usage_reservations WHERE user_id = :'bob'), 2::bigint, 'a denial leaves no reservation');

-- all limits or nothing, in their order
SELECT pg_temp.new_user('all') AS all \gset
SELECT is(pg_temp.reserve(:'all', 1001, 11), 'no: quota_exceeded UQ001 402, message 0+0 of 10, 10 left, no retry', 'messages are asked first');
SELECT is(pg_temp.reserve(:'all', 1001, 10), 'no: quota_exceeded UQ001 402, token 0+0 of 1000, 1000 left, no retry', 'then tokens');
SELECT pg_temp.plans('{"messagesPerMonth": 10, "tokensPerMonth": 1000, "apiCallsPerMonth": 0, "costPerMonth": 0.5}');
SELECT is(pg_temp.reserve(:'all', 101, 10, 'big'), 'no: quota_exceeded UQ001 402, cost 0+0 of 500000, 500000 left, no retry', 'then their cost');
SELECT is(pg_temp.counters(:'all'), '0 0 0 0 | 0 0 0 never', 'and what had room is not held either');
SELECT is(pg_temp.reserve(:'all', 100, 10, 'big'), 'yes, message 0+10 of 10, 0 left', 'all together are held to the last; api calls do not matter');
SELECT is(pg_temp.counters(:'all'), '0 0 0 0 | 10 100 0.5 22 10:05:00', 'with the whole cost');
SELECT is(pg_temp.reserve(:'all', 1, 0), 'no: quota_exceeded UQ001 402, cost 0+500000 of 500000, 0 left, retry in 300', 'a cost that is all held leaves nothing even for what has no price');
SELECT pg_temp.plans('{"messagesPerMonth": 10, "tokensPerMonth": 1000, "apiCallsPerMonth": 5, "costPerMonth": 0.5, "models": ["small", "odd"]}');
SELECT is(pg_temp.reserve(:'all', 1, 0, 'big'), 'no: model_not_in_plan UQ003 403, no retry', 'a model that the plan does not list is not reserved for');

-- an estimate of nothing
SELECT pg_temp.new_user('zero') AS zero \gset
SELECT pg_temp.consume(:'zero', 'token', 999);
SELECT is(pg_temp.reserve(:'zero', 0), 'yes, message 0+1 of 10, 9 left', 'an estimate of nothing is admitted where a token is left');
SELECT is(pg_temp.counters(:'zero'), '0 999 0 0 | 1 0 0 22 10:05:00', 'and holds the message alone');
SELECT pg_temp.consume(:'zero', 'token');
SELECT is(pg_temp.reserve(:'zero', 0), 'no: quota_exceeded UQ001 402, token 1000+0 of 1000, 0 left, retry in 741600', 'where none is left it is not');

-- the time to live
SELECT pg_temp.new_user('ttl') AS ttl \gset
SELECT is((SELECT expires_at - '2026-11-22 10:00Z' FROM reserve_usage(:'ttl', 1, 0, NULL, ttl)), ttl, format('a reservation may live %s', ttl))
FROM unnest(ARRAY['1 second', '00:00:01.5', '24:00:00']::interval[]) AS ttl;
SELECT is((SELECT expires_at FROM reserve_usage(:'ttl', 1, 0, NULL, '1 day')), '2026-11-23 10:00:00Z', 'a day is 24 hours');
SELECT is(pg_temp.counters(:'ttl'), '0 0 0 0 | 0 4 0 22 10:00:01', 'the first of several expiries is known');
SELECT throws_ok(format($$SELECT reserve_usage(pg_temp.user_id('ttl'), 1, 0, NULL, %L)$$, ttl), '22023', NULL, format('nor %s', ttl))
FROM unnest(ARRAY['0', '00:00:00.999999', '-1 second', '24:00:00.000001', '25 hours', '1 month', '1 year', '178000000 years', '-1 day', '2147483647 days']::interval[]) AS ttl;

-- a hold is free at the very moment of its expiry, with no job
SELECT pg_temp.new_user('due') AS due \gset
SELECT reservation_id AS r1 FROM reserve_usage(:'due', 400, 6, NULL, '5 minutes') \gset
SELECT reservation_id AS r2 FROM reserve_usage(:'due', 500, 3, 'small', '10 minutes') \gset
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:04:59.999999Z';
SELECT is(pg_temp.consume(:'due', 'message', 2), 'no: quota_exceeded UQ001 402, message 0+9 of 10, 1 left, retry in 1', 'a moment before it is held');
SELECT is((SELECT held FROM quota_status(:'due') WHERE action = 'token'), 900::bigint, 'quota_status agrees');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:05:00Z';
SELECT is(pg_temp.status(:'due'), 'message 0+3 of 10, 7 left; token 0+500 of 1000, 500 left; api_call 0+0 of 5, 5 left; cost 0+100000 of 500000, 400000 left', 'at its expiry it counts no more');
SELECT is(pg_temp.counters(:'due'), '0 0 0 0 | 9 900 0.1 22 10:05:00', 'though no one has cleared it');
SAVEPOINT reading;
SET LOCAL transaction_read_only = on;
SELECT pg_temp.status(:'due') AS status, check_subscription_limit(:'due') AS admitted \gset
ROLLBACK TO reading;
SELECT is(:'status'::text, 'message 0+3 of 10, 7 left; token 0+500 of 1000, 500 left; api_call 0+0 of 5, 5 left; cost 0+100000 of 500000, 400000 left', 'a transaction that only reads sees it too');
SELECT is(:'admitted'::boolean, true, 'and is told that there is room');
SAVEPOINT due;
SELECT is(pg_temp.consume(:'due', 'message', 7), 'yes, message 7+3 of 10, 0 left', 'what was held is admitted');
SELECT is(pg_temp.counters(:'due'), '7 0 0 0 | 3 500 0.1 22 10:10:00', 'what is still held stays, and expires next');
SELECT is(pg_temp.reservation(:'r1'), 'expired 6 400 0 - 10:05:00 10:05:00', 'the other is marked as expired at its time');
SELECT is(pg_temp.reservation(:'r2'), 'open 3 500 0.1 small 10:10:00 -', 'the one is not');
ROLLBACK TO due;
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:07:00Z';
SELECT pg_temp.consume(:'due');
SELECT is(pg_temp.reservation(:'r1'), 'expired 6 400 0 - 10:05:00 10:05:00', 'at its time, whenever that is noticed');
ROLLBACK TO due;
SELECT is(pg_temp.consume(:'due', 'message', 8), 'no: quota_exceeded UQ001 402, message 0+3 of 10, 7 left, retry in 300', 'a denial reckons without it as well');
ROLLBACK TO due;
SELECT is(pg_temp.reserve(:'due', 500, 7), 'yes, message 0+10 of 10, 0 left', 'and so does a reservation');
SELECT is(pg_temp.counters(:'due'), '0 0 0 0 | 10 1000 0.1 22 10:10:00', 'which holds what became free');
ROLLBACK TO due;
SET LOCAL claude_gpt.fixed_time = '2026-12-01T00:00:00Z';
SELECT is(pg_temp.consume(:'due', 'message', 10), 'yes, message 10+0 of 10, 0 left', 'in a new month, with all holds due, all is free');
SELECT is(pg_temp.counters(:'due'), '10 0 0 0 | 0 0 0 never', 'and nothing is held');
ROLLBACK TO due;
SET LOCAL claude_gpt.fixed_time = '2026-11-30T23:59:00Z';
SELECT reservation_id AS r FROM reserve_usage(:'due', 900, 10) \gset
SET LOCAL claude_gpt.fixed_time = '2026-12-01T00:00:00Z';
SELECT is(pg_temp.consume(:'due', 'message', 1), 'no: quota_exceeded UQ001 402, message 0+10 of 10, 0 left, retry in 240', 'a hold reaches into the next month');
SELECT is(pg_temp.settled(:'r', 20, 10, 0.5), '30 tokens for 0.5', 'and is settled in it');
SELECT is(pg_temp.counters(:'due'), '10 30 0 0.5 | 0 0 0 never', 'by its counters');
SELECT is(pg_temp.ledger(:'due'), '2026-12 message 10 0 -, 2026-12 token 30 0.5 -', 'and its records');
ROLLBACK TO due;
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';

-- extend_usage
SELECT pg_temp.new_user('ext') AS ext \gset
SELECT reservation_id AS r1 FROM reserve_usage(:'ext', 100, 10) \gset
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:04:00Z';
SELECT is(extend_usage(pg_temp.owner(:'r1'), :'r1', '10 minutes'), '2026-11-22 10:14:00Z', 'an extension counts from now');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:13:59.999999Z';
SELECT is(pg_temp.consume(:'ext'), 'no: quota_exceeded UQ001 402, message 0+10 of 10, 0 left, retry in 1', 'and holds until its end');
SELECT is(extend_usage(pg_temp.owner(:'r1'), :'r1', '2 seconds'), '2026-11-22 10:14:01.999999Z', 'it may be repeated');
SELECT is(extend_usage(pg_temp.owner(:'r1'), :'r1', '1 second'), '2026-11-22 10:14:00.999999Z', 'and make it shorter');
SELECT is(pg_temp.counters(:'ext'), '0 0 0 0 | 10 100 0 22 10:14:00', 'no hold expires before the moment in the user''s row');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:14:00.999999Z';
SELECT throws_ok(format('SELECT extend_usage(pg_temp.owner(%1$L), %1$L, ''1 minute'')', :'r1'), '55000', NULL, 'what has expired is not extended');
SELECT is(pg_temp.consume(:'ext', 'message', 10), 'yes, message 10+0 of 10, 0 left', 'it is free');
SELECT throws_ok(format('SELECT extend_usage(pg_temp.owner(%1$L), %1$L, ''1 minute'')', :'r1'), '55000', NULL, 'nor when it is marked');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT reservation_id AS r1 FROM reserve_usage(:'ext', 100, 0) \gset
SELECT reservation_id AS r2 FROM reserve_usage(:'ext', 100, 0) \gset
SELECT release_usage(pg_temp.owner(:'r1'), :'r1'), settle_usage(pg_temp.owner(:'r2'), :'r2', 1, 1, 0);
SELECT throws_ok(format('SELECT extend_usage(pg_temp.owner(%1$L), %1$L, ''1 minute'')', r), '55000', NULL, 'nor what is ' || status)
FROM (VALUES (:'r1', 'released'), (:'r2', 'settled')) AS v (r, status);
SELECT throws_ok($$SELECT extend_usage(uuid_v7(), uuid_v7(), '1 minute')$$, 'P0002', NULL, 'nor what does not exist');
SELECT throws_ok($$SELECT extend_usage(pg_temp.owner(NULL), NULL, '1 minute')$$, '22004', NULL, 'nor NULL');
SELECT reservation_id AS r1 FROM reserve_usage(:'ext', 100, 0) \gset
SELECT throws_ok(format('SELECT extend_usage(pg_temp.owner(%1$L), %1$L, NULL)', :'r1'), '22004', NULL, 'nor for NULL');
SELECT throws_ok(format('SELECT extend_usage(pg_temp.owner(%1$L), %1$L, %L)', :'r1', ttl), '22023', NULL, format('nor for %s', ttl))
FROM unnest(ARRAY['0', '00:00:00.999999', '-1 second', '24:00:00.000001', '1 month']::interval[]) AS ttl;
SELECT is(pg_temp.reservation(:'r1'), 'open 0 100 0 - 10:05:00 -', 'what is refused changes nothing');

-- the time to try again is that of a hold which is still there
SELECT pg_temp.new_user('again') AS again \gset
SELECT reservation_id AS r1 FROM reserve_usage(:'again', 1, 5, NULL, '1 minute') \gset
SELECT reservation_id AS r2 FROM reserve_usage(:'again', 1, 1, NULL, '2 minutes') \gset
SELECT reservation_id AS r3 FROM reserve_usage(:'again', 1, 1, NULL, '3 minutes') \gset
SELECT is(pg_temp.consume(:'again', 'message', 4), 'no: quota_exceeded UQ001 402, message 0+7 of 10, 3 left, retry in 60', 'the first of three expires in a minute');
SELECT settle_usage(pg_temp.owner(:'r1'), :'r1', 1, 0, 0);
SELECT is(pg_temp.consume(:'again', 'message', 4), 'no: quota_exceeded UQ001 402, message 5+2 of 10, 3 left, retry in 120', 'without it the second is the first');
SELECT extend_usage(pg_temp.owner(:'r2'), :'r2', '10 minutes');
SELECT is(pg_temp.consume(:'again', 'message', 4), 'no: quota_exceeded UQ001 402, message 5+2 of 10, 3 left, retry in 180', 'and the third, when that is extended');
SELECT release_usage(pg_temp.owner(:'r3'), :'r3');
SELECT is(pg_temp.reserve(:'again', 1, 5), 'no: quota_exceeded UQ001 402, message 5+1 of 10, 4 left, retry in 600', 'also for reservations');
SELECT is(pg_temp.consume(:'again', 'message', 6), 'no: quota_exceeded UQ001 402, message 5+1 of 10, 4 left, retry in 741600', 'for what no hold makes room for, it is the end of the month');

-- settle_usage
SELECT pg_temp.new_user('set') AS set \gset
SELECT reservation_id AS r1 FROM reserve_usage(:'set', 400, 2, 'small') \gset
SELECT reservation_id AS r2 FROM reserve_usage(:'set', 300, 1, NULL, '10 minutes') \gset
SELECT is(pg_temp.settled(:'r1', 100, 50, 0.03), '150 tokens for 0.03', 'settling charges what was used');
SELECT is(pg_temp.counters(:'set'), '2 150 0 0.03 | 1 300 0 22 10:05:00', 'gives back what was held, and leaves the other hold');
SELECT is(pg_temp.ledger(:'set'), '2026-11 message 2 0 small, 2026-11 token 150 0.03 small', 'records name the model');
SELECT is(pg_temp.reservation(:'r1'), 'settled 2 400 0.08 small 10:05:00 10:00:00', 'the reservation is settled');
SELECT is((SELECT row(prompt_tokens, completion_tokens, given_cost, charged_cost, was_late)::text FROM usage_reservations WHERE id = :'r1'), '(100,50,0.030000000,0.030000000,f)', 'and keeps with what');
SELECT is(pg_temp.settled(:'r1', 100, 50, 0.03), '150 tokens for 0.03, replayed', 'the same call again gets the first result');
SELECT is(pg_temp.settled(:'r1', 100, 50, 0.0300), '150 tokens for 0.03, replayed', 'however the cost is written');
SELECT throws_ok(format('SELECT settle_usage(pg_temp.owner(%1$L), %1$L, %s)', :'r1', a), 'UQ006', NULL, format('another call (%s) is refused', a))
FROM unnest(ARRAY['101, 50, 0.03', '100, 51, 0.03', '50, 100, 0.03', '100, 50, 0.030000001', '100, 50', '0, 0, 0']) AS a;
SELECT is(pg_temp.counters(:'set') || ' ' || (SELECT count(*) FROM usage_records WHERE user_id = :'set'), '2 150 0 0.03 | 1 300 0 22 10:05:00 2', 'neither counts anything');
SELECT is(pg_temp.settled(:'r2', 1000, 2000, 0.6), '3000 tokens for 0.6', 'what is above the hold, even above the limit, is charged');
SELECT is(pg_temp.status(:'set'), 'message 3+0 of 10, 7 left; token 3150+0 of 1000, 0 left; api_call 0+0 of 5, 5 left; cost 630000+0 of 500000, 0 left', 'and nothing is left of it');
SELECT is(pg_temp.counters(:'set'), '3 3150 0 0.63 | 0 0 0 never', 'nothing is held any more');

-- the cost by the price of the model
SELECT pg_temp.new_user('price', 'pro') AS price \gset
CREATE FUNCTION pg_temp.priced(p_model text, p_prompt integer, p_completion integer, p_cached integer DEFAULT 0, p_written integer DEFAULT 0) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.settled((SELECT reservation_id FROM claude_gpt.reserve_usage(pg_temp.user_id('price'), 1, 1, p_model)), p_prompt, p_completion, NULL, p_cached, p_written)
$$;
SELECT is(pg_temp.priced('small', 1000, 500), '1500 tokens for 0.2', 'prompt and completion have their prices for a million tokens');
SELECT is(pg_temp.priced('small', 1000, 500, 200, 100), '1500 tokens for 0.1845', 'so have tokens that are read from and written to a cache, as a part of the prompt');
SELECT is(pg_temp.priced('small', 1000, 0, 1000, 0), '1000 tokens for 0.01', 'which they may be as a whole');
SELECT is(pg_temp.priced('big', 1000, 0, 500, 500), '1000 tokens for 5', 'without prices of their own they cost what the prompt costs');
SELECT is(pg_temp.priced('speck', 1, 0), '1 tokens for 0.000000001', 'half of the last place is rounded up');
SELECT is(pg_temp.priced('speck', 0, 1), '1 tokens for 0', 'less is not');
SELECT is(pg_temp.priced('speck', 1, 1), '2 tokens for 0.000000001', 'the sum is rounded, not its parts');
SELECT is((SELECT trim_scale(monthly_cost) FROM users WHERE id = :'price'), 5.394500002, 'the costs are counted');
SELECT is((SELECT sum(cost) FROM usage_records WHERE user_id = :'price'), 5.394500002, 'and recorded');
SELECT reservation_id AS r FROM reserve_usage(:'price', 1, 1, 'small') \gset
SELECT is(pg_temp.settled(:'r', 10, 10, NULL, 10, 0), '20 tokens for 0.0021', 'a computed cost');
SELECT is(pg_temp.settled(:'r', 10, 10, NULL, 10, 0), '20 tokens for 0.0021, replayed', 'is replayed');
SELECT throws_ok(format('SELECT settle_usage(pg_temp.owner(%1$L), %1$L, 10, 10, 0.0021)', :'r'), 'UQ006', NULL, 'but not if it is given');
SELECT throws_ok(format('SELECT settle_usage(pg_temp.owner(%1$L), %1$L, 10, 10, p_cached_prompt_tokens => 9)', :'r'), 'UQ006', NULL, 'nor with another part from the cache');
SELECT pg_temp.configure('model_prices', '{"small": {"prompt": 1, "completion": 1}}');
SELECT is(pg_temp.settled(:'r', 10, 10, NULL, 10, 0), '20 tokens for 0.0021, replayed', 'a new price does not change what was charged');
SELECT is(pg_temp.reserve(:'price', 1, 1, 'big'), 'no: price_unknown UQ009 403, no retry', 'a model without a price is denied before it is used');
SELECT throws_ok($$SELECT raise_if_denied(d) FROM reserve_usage(pg_temp.user_id('price'), 1, 1, 'big') AS d$$, 'UQ009', 'price of the model is not known', 'which can be raised');
SELECT throws_ok(format($$SELECT reserve_usage(pg_temp.user_id('price'), 1, 1, 'big', p_estimated_cost => %s)$$, estimate), '22023', 'p_estimated_cost must be above zero', 'an estimated cost of ' || estimate || ' is none')
FROM unnest(ARRAY['0', '-1']) AS estimate;
SELECT reservation_id AS r FROM reserve_usage(:'price', 1, 1, 'big', p_estimated_cost => 0.25) \gset
SELECT is(pg_temp.reservation(:'r'), 'open 1 1 0.25 big 10:05:00 -', 'what it may cost may be said, and is held');
SELECT is(pg_temp.settled(:'r', 1, 1, 0.5), '2 tokens for 0.5', 'until the cost is given');
SELECT reservation_id AS r FROM reserve_usage(:'price', 1, 1, 'big', p_estimated_cost => 0.25) \gset
SELECT is(pg_temp.settled(:'r', 1, 1), '2 tokens for 0.25', 'where it is not, what was said is charged');
SELECT reservation_id AS r FROM reserve_usage(:'price', 1, 1, 'small', p_estimated_cost => 0.25) \gset
SELECT is(pg_temp.reservation(:'r') || '; ' || pg_temp.settled(:'r', 1000000, 0), 'open 1 1 0.25 small 10:05:00 -; 1000000 tokens for 1', 'a price is better than what was said');
SELECT reservation_id AS r FROM reserve_usage(:'price', 1, 1, 'small') \gset
SELECT pg_temp.configure('model_prices', '{"small": {"prompt": 7, "completion": 7}}');
SELECT reservation_id AS r7 FROM reserve_usage(:'price', 1, 1, 'small') \gset
SELECT pg_temp.configure('model_prices', '{}');
SELECT is(pg_temp.settled(:'r', 1000000, 0) || '; ' || pg_temp.settled(:'r7', 1000000, 0), '1000000 tokens for 1; 1000000 tokens for 7', 'what is reserved is settled by the price of its beginning, changed or taken away meanwhile');
SELECT pg_temp.configure('model_prices', '{"small": {"prompt": 1, "completion": 1}}');
SELECT reservation_id AS r FROM reserve_usage(:'price', 1, 1, 'small') \gset
UPDATE usage_reservations SET unit_prices = NULL, cost = 0, model_used = 'big' WHERE id = :'r';
UPDATE users SET held_cost = 0 WHERE id = :'price';
SELECT throws_ok(format('SELECT settle_usage(pg_temp.owner(%1$L), %1$L, 1, 1)', :'r'), 'UQ009', NULL, 'one of before, without a price, has no cost');
SELECT reservation_id AS r FROM reserve_usage(:'price', 1) \gset
SELECT throws_ok(format('SELECT settle_usage(pg_temp.owner(%1$L), %1$L, 1, 1)', :'r'), 'UQ009', NULL, 'nor has a reservation without a model');
UPDATE system_configs SET is_active = false WHERE config_key = 'model_prices';
SELECT is(pg_temp.reserve(:'price', 1, 1, 'small'), 'no: price_unknown UQ009 403, no retry', 'without active prices no model has one');
SELECT pg_temp.configure('model_prices', '{"small": {"prompt": 100, "completion": 200, "cachedPrompt": 10, "cacheWrite": 125}, "big": {"prompt": 5000, "completion": 5000},
                                           "dear": {"prompt": 99999999999, "completion": 1}}');

-- late
SELECT pg_temp.new_user('late') AS late \gset
SELECT reservation_id AS r1 FROM reserve_usage(:'late', 500, 5) \gset
SELECT reservation_id AS r2 FROM reserve_usage(:'late', 500, 5) \gset
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:04:59.999999Z';
SAVEPOINT late;
SELECT is(pg_temp.settled(:'r1', 10, 20, 0), '30 tokens for 0', 'before the expiry settling is not late');
ROLLBACK TO late;
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:05:00Z';
SELECT is(pg_temp.settled(:'r1', 10, 20, 0), '30 tokens for 0, late', 'at it, it is');
SELECT is(pg_temp.counters(:'late'), '5 30 0 0 | 5 500 0 22 10:05:00', 'it charges, and gives back what was not yet');
SELECT is(pg_temp.consume(:'late', 'message', 5), 'yes, message 10+0 of 10, 0 left', 'what was given to others meanwhile');
SELECT is(pg_temp.settled(:'r2', 10, 20, 0), '30 tokens for 0, late', 'is charged all the same');
SELECT is(pg_temp.counters(:'late'), '15 60 0 0 | 0 0 0 never', 'above the limit, and nothing is given back twice');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT is(pg_temp.settled(:'r2', 10, 20, 0), '30 tokens for 0, late, replayed', 'a replay says late as well');

-- the message that was paid for
INSERT INTO conversations (id, user_id) VALUES ('00000000-0000-7000-8000-0000000000c1', :'set'), ('00000000-0000-7000-8000-0000000000c2', :'late');
INSERT INTO messages (id, conversation_id, user_id, role, content) VALUES
    ('00000000-0000-7000-8000-0000000000a1', '00000000-0000-7000-8000-0000000000c1', :'set', 'assistant', 'hi'),
    ('00000000-0000-7000-8000-0000000000a2', '00000000-0000-7000-8000-0000000000c2', :'late', 'assistant', 'hi');
SELECT pg_temp.plans('{"messagesPerMonth": -1}');
SELECT reservation_id AS r FROM reserve_usage(:'set', 5, 2) \gset
SELECT throws_ok(format('SELECT settle_usage(pg_temp.owner(%1$L), %1$L, 1, 1, 0, %L)', :'r', m), 'P0002', NULL, 'a message ' || which || ' is refused')
FROM (VALUES ('00000000-0000-7000-8000-0000000000a2', 'of another user'), ('00000000-0000-7000-8000-0000000000c1', 'that does not exist')) AS v (m, which);
SELECT is(pg_temp.reservation(:'r'), 'open 2 5 0 - 10:05:00 -', 'and nothing is settled');
SELECT lives_ok(format('SELECT settle_usage(pg_temp.owner(%1$L), %1$L, 1, 1, 0.25, %L)', :'r', '00000000-0000-7000-8000-0000000000a1'), 'one of the user is not');
SELECT is((SELECT string_agg(concat_ws(' ', usage_type, message_id, conversation_id), ', ') FROM usage_records WHERE user_id = :'set' AND message_id IS NOT NULL),
          'token 00000000-0000-7000-8000-0000000000a1 00000000-0000-7000-8000-0000000000c1', 'the record of the tokens names it with its conversation');

-- release_usage
SELECT pg_temp.new_user('rel') AS rel \gset
SELECT reservation_id AS r1 FROM reserve_usage(:'rel', 100, 2, 'small') \gset
SELECT reservation_id AS r2 FROM reserve_usage(:'rel', 200, 3, 'small', '10 minutes') \gset
SELECT is(release_usage(pg_temp.owner(:'r1'), :'r1'), true, 'an open reservation is released');
SELECT is(pg_temp.counters(:'rel'), '0 0 0 0 | 3 200 0.04 22 10:05:00', 'what it held is given back');
SELECT is(release_usage(pg_temp.owner(:'r1'), :'r1'), true, 'released before, it is released');
SELECT is(pg_temp.counters(:'rel'), '0 0 0 0 | 3 200 0.04 22 10:05:00', 'but gives nothing back again');
SELECT is(pg_temp.reservation(:'r1'), 'released 2 100 0.02 small 10:05:00 10:00:00', 'the reservation says so');
SELECT throws_ok(format('SELECT settle_usage(pg_temp.owner(%1$L), %1$L, 1, 1, 0)', :'r1'), '55000', NULL, 'and is not settled any more');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:10:00Z';
SELECT is(release_usage(pg_temp.owner(:'r2'), :'r2'), false, 'at its expiry it is not released');
SELECT is(pg_temp.counters(:'rel'), '0 0 0 0 | 0 0 0 never', 'but given back');
SELECT is(pg_temp.reservation(:'r2'), 'expired 3 200 0.04 small 10:10:00 10:10:00', 'as expired');
SELECT is(release_usage(pg_temp.owner(:'r2'), :'r2'), false, 'again it is not');
SELECT is(pg_temp.settled(:'r2', 1, 1, 0), '2 tokens for 0, late', 'settling is still possible');
SELECT is(release_usage(pg_temp.owner(:'r2'), :'r2'), false, 'what is settled is not released');
SELECT is(pg_temp.counters(:'rel'), '3 2 0 0 | 0 0 0 never', 'and stays charged');
SELECT is(pg_temp.ledger(:'rel'), '2026-11 message 3 0 small, 2026-11 token 2 0 small', 'only what was settled is recorded');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT throws_ok('SELECT release_usage(pg_temp.owner(NULL), NULL)', '22004', NULL, 'NULL is not released');
SELECT throws_ok('SELECT release_usage(uuid_v7(), uuid_v7())', 'P0002', NULL, 'nor what does not exist');

-- what belongs to a chat turn is ended by it
SELECT reservation_id AS turn FROM begin_turn(pg_temp.new_user('turn'), NULL, 'hi', 'small', 100) \gset
SELECT throws_ok(format('SELECT settle_usage(pg_temp.owner(%1$L), %1$L, 1, 1)', :'turn'), '55000', NULL, 'a chat turn is not settled');
SELECT throws_ok(format('SELECT release_usage(pg_temp.owner(%1$L), %1$L)', :'turn'), '55000', NULL, 'nor released');
SELECT lives_ok(format('SELECT extend_usage(pg_temp.owner(%1$L), %1$L, ''1 hour'')', :'turn'), 'but extended');

-- refusals of settle_usage
SELECT pg_temp.new_user('refuse', 'pro') AS refuse \gset
SELECT reservation_id AS r FROM reserve_usage(:'refuse', 5, 2, 'small') \gset
SELECT throws_ok(format('SELECT settle_usage(%L, %s)', :'refuse', replace(a, 'r', quote_literal(:'r'))), code, NULL, format('settle_usage(%s) is refused', a))
FROM (VALUES ('NULL, 1, 1', '22004'), ('r, 1, 1, 0, NULL, NULL', '22004'), ('r, 1, 1, 0, NULL, 0, NULL', '22004'),
             ('r, -1, 1', '22023'), ('r, 1, -1', '22023'), ('r, 1, 1, -0.01', '22023'), ('r, 1, 1, -1e-12', '22023'), ('r, 1, 1, 0, NULL, -1', '22023'), ('r, 1, 1, 0, NULL, 0, -1', '22023'),
             ('r, 1, 1, 0, NULL, 2', '22023'), ('r, 1, 1, 0, NULL, 0, 2', '22023'), ('r, 1, 5, 0, NULL, 1, 1', '22023'), ('r, 2147483647, 0, 0, NULL, 2147483647, 2147483647', '22023'),
             ('r, 1, 1, ''NaN''', '22023'), ('r, 1, 1, ''Infinity''', '22023'), ('r, 1, 1, 1e11', '22003'), ('''00000000-0000-7000-8000-000000000000'', 1, 1, 0', 'P0002')) AS v (a, code);
SELECT is(pg_temp.reservation(:'r'), 'open 2 5 0.001 small 10:05:00 -', 'and leaves the reservation open');
SAVEPOINT filled;
SELECT consume_quota(:'refuse', 'token', 9223372036854775806);
SELECT throws_ok(format('SELECT settle_usage(pg_temp.owner(%1$L), %1$L, 1, 1)', :'r'), '22003', NULL, 'tokens that no counter holds are refused');
SELECT is(pg_temp.reservation(:'r') || ', ' || pg_temp.counters(:'refuse'), 'open 2 5 0.001 small 10:05:00 -, 0 9223372036854775806 0 0 | 2 5 0.001 22 10:05:00', 'and the reservation stays open');
SELECT is(pg_temp.settled(:'r', 1, 0, 0), '1 tokens for 0', 'the last token is counted');
ROLLBACK TO filled;
SELECT is(pg_temp.settled(:'r', 2147483647, 2147483647, 0), '4294967294 tokens for 0', 'as many tokens as the parameters hold are counted');

-- refusals of consume_quota
SELECT pg_temp.plans('{"messagesPerMonth": 10, "models": ["small"]}');
SELECT throws_ok(format('SELECT consume_quota(%s)', replace(a, 'u', quote_literal(:'refuse'))), code, NULL, format('consume_quota(%s) is refused', a))
FROM (VALUES ('NULL', '22004'), ('u, NULL', '22004'), ('u, ''token'', NULL', '22004'), ('u, ''token'', 0', '22023'), ('u, ''token'', -1', '22023'),
             ('u, ''token'', -9223372036854775808', '22023'), ('u, ''image''', '22023'), ('u, ''''', '22023'), ('u, ''Message''', '22023'), ('u, ''cost''', '22023'),
             ('''00000000-0000-7000-8000-000000000000''', 'P0002'), ('''00000000-0000-7000-8000-000000000000'', ''token'', 1, ''x'', ''key''', 'P0002'),
             ('u, ''message'', 2147483648', '22003'), ('u, ''token'', 9223372036854775807', '22003'),
             ('u, ''token'', 1, NULL, ''''', '22023'), ('u, ''token'', 1, NULL, repeat(''k'', 256)', '22023'), ('u, ''token'', 1, NULL, repeat(''鍵'', 86)', '22023'),
             ('u, ''token'', 1, repeat(''m'', 256)', '22023'), ('u, ''token'', 1, repeat(''模'', 256)', '22023'), ('u, ''token'', 1, ''''', '22023')) AS v (a, code);
SAVEPOINT totals;
UPDATE users SET total_message_count = 2147483647, total_api_call_count = 9223372036854775807 WHERE id = :'refuse';
SELECT throws_ok($$SELECT consume_quota(pg_temp.user_id('refuse'))$$, '22003', NULL, 'a total that is full refuses');
SELECT throws_ok($$SELECT consume_quota(pg_temp.user_id('refuse'), 'api_call')$$, '22003', NULL, 'whichever it is');
ROLLBACK TO totals;
SELECT is(pg_temp.counters(:'refuse'), '2 4294967294 0 0 | 0 0 0 never', 'refused calls count nothing');
SAVEPOINT plans_are_missing;
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 10, "costPerMonth": 1}}');
SELECT throws_ok(format('SELECT %s', call), '55000', NULL, format('%s is refused without a plan', call))
FROM unnest(ARRAY['consume_quota(pg_temp.user_id(''refuse''))', 'consume_quota(pg_temp.user_id(''refuse''), ''token'', 1, ''small'')', 'reserve_usage(pg_temp.user_id(''refuse''), 1)', 'quota_status(pg_temp.user_id(''refuse''))']) AS call;
UPDATE system_configs SET is_active = false WHERE config_key = 'subscription_plans';
SELECT throws_ok($$SELECT consume_quota(pg_temp.user_id('ada'))$$, '55000', NULL, 'or without any');
ROLLBACK TO plans_are_missing;

-- refusals of quota_status and reserve_usage
SELECT throws_ok('SELECT quota_status(NULL)', '22004', NULL, 'quota_status of NULL is refused');
SELECT throws_ok('SELECT quota_status(uuid_v7())', 'P0002', NULL, 'and of nobody');
SELECT throws_ok(format('SELECT reserve_usage(%s)', replace(a, 'u', quote_literal(:'refuse'))), code, NULL, format('reserve_usage(%s) is refused', a))
FROM (VALUES ('NULL, 1', '22004'), ('u, NULL', '22004'), ('u, 1, NULL', '22004'), ('u, 1, 1, NULL, NULL', '22004'), ('u, -1', '22023'), ('u, 1, -1', '22023'), ('u, 0, 0', '22023'),
             ('''00000000-0000-7000-8000-000000000000'', 1', 'P0002'), ('u, 1, p_idempotency_key => ''''', '22023'), ('u, 1, p_idempotency_key => repeat(''k'', 256)', '22023'),
             ('u, 9223372036854775807, 0, ''small''', '22003'), ('u, 1, 1, repeat(''m'', 256)', '22023'), ('u, 1, 1, ''''', '22023')) AS v (a, code);
SAVEPOINT dear;
SELECT throws_ok(format('SELECT reserve_usage(%L, %s, 1, ''dear'')', :'refuse', tokens), '22003', NULL, format('a cost that no counter holds, of %s tokens, is refused', tokens))
FROM unnest(ARRAY[1000002, 3402823669243412872, 9223372036854775807]) AS tokens;
SELECT is(pg_temp.counters(:'refuse'), '2 4294967294 0 0 | 0 0 0 never', 'and nothing is held');
ROLLBACK TO dear;
SELECT is(pg_temp.reserve(:'refuse', 9223372036854775807, 2147483647), 'yes, message 2+2147483647 of any, any left', 'as much as the parameters hold is held');
SELECT throws_ok($$SELECT reserve_usage(pg_temp.user_id('refuse'), 1, 0)$$, '22003', NULL, 'another token is refused');
SELECT throws_ok($$SELECT reserve_usage(pg_temp.user_id('refuse'), 0, 1)$$, '22003', NULL, 'and another message');

-- idempotency keys
SELECT pg_temp.plans('{"messagesPerMonth": 10, "tokensPerMonth": 1000}');
SELECT pg_temp.configure('idempotency_ttl', '"1 hour"');
SELECT pg_temp.new_user('key') AS key, pg_temp.new_user('other') AS other \gset
SELECT is(pg_temp.consume(:'key', 'message', 2, 'small', 'k1'), 'yes, message 2+0 of 10, 8 left', 'a call with a key');
SELECT pg_temp.consume(:'key', 'message', 3);
SELECT is(pg_temp.consume(:'key', 'message', 2, 'small', 'k1'), 'yes, message 2+0 of 10, 8 left, replayed', 'gets the same answer when it is repeated');
SELECT is((SELECT resets_at FROM consume_quota(:'key', 'message', 2, 'small', 'k1')), '2026-12-01Z', 'with the end of the month');
SELECT is(pg_temp.counters(:'key') || ' ' || (SELECT count(*) FROM usage_records WHERE user_id = :'key'), '5 0 0 0 | 0 0 0 never 2', 'and counts once');
SELECT is(pg_temp.consume(:'other', 'message', 7, 'small', 'k1'), 'yes, message 7+0 of 10, 3 left', 'another user may use the same key');
SELECT throws_ok(format('SELECT %s', replace(a, '#', quote_literal(:'key'))), 'UQ006', NULL, format('%s is another call', a))
FROM unnest(ARRAY['consume_quota(#, ''message'', 3, ''small'', ''k1'')', 'consume_quota(#, ''message'', 2, ''odd'', ''k1'')', 'consume_quota(#, ''message'', 2, NULL, ''k1'')',
                  'consume_quota(#, ''token'', 2, ''small'', ''k1'')', 'consume_quota(#, ''message'', 2, ''-'', ''k1'')', 'reserve_usage(#, 2, p_idempotency_key => ''k1'')',
                  'record_usage(#, ''message'', 2, ''small'', p_idempotency_key => ''k1'')']) AS a;
SELECT is(pg_temp.consume(:'key', 'message', 6, NULL, 'k2'), 'no: quota_exceeded UQ001 402, message 5+0 of 10, 5 left, retry in 741600', 'a denial');
SELECT is(pg_temp.consume(:'key', 'message', 5, NULL, 'k2'), 'yes, message 10+0 of 10, 0 left', 'is not remembered');
SELECT is(pg_temp.consume(:'other', 'message', 1, NULL, repeat('k', 255)), 'yes, message 8+0 of 10, 2 left', 'a key may have 255 bytes');
SELECT is(pg_temp.consume(:'other', 'message', 1, NULL, repeat('鍵', 85)), 'yes, message 9+0 of 10, 1 left', 'of any letters');
SELECT is(pg_temp.consume(:'other', 'message', 1, NULL, 'K1'), 'yes, message 10+0 of 10, 0 left', 'in another case it is another key');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:59:59.999999Z';
SELECT is(pg_temp.consume(:'key', 'message', 2, 'small', 'k1'), 'yes, message 2+0 of 10, 8 left, replayed', 'a key is remembered for its time');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T11:00:00Z';
SELECT is(pg_temp.consume(:'key', 'token', 2, NULL, 'k1'), 'yes, token 2+0 of 1000, 998 left', 'then it may be used for another call');
SELECT is(pg_temp.consume(:'key', 'token', 2, NULL, 'k1'), 'yes, token 2+0 of 1000, 998 left, replayed', 'which is remembered in its place');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT reservation_id AS r, expires_at AS e FROM reserve_usage(:'key', 10, 0, NULL, '5 minutes', 'k3') \gset
SELECT is((SELECT concat_ws(' ', reservation_id = :'r', expires_at = :'e', pg_temp.told(to_jsonb(d))) FROM reserve_usage(:'key', 10, 0, NULL, '5 minutes', 'k3') AS d),
          't t yes, token 2+10 of 1000, 988 left, replayed', 'a repeated reservation is the same one');
SET LOCAL intervalstyle = 'iso_8601';
SET LOCAL datestyle = 'German, DMY';
SET LOCAL timezone = 'Asia/Shanghai';
SELECT lives_ok($$SELECT reserve_usage(pg_temp.user_id('key'), 10, 0, NULL, '300 seconds', 'k3')$$, 'the settings of a session do not make another call');
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'postgres';
SELECT throws_ok($$SELECT reserve_usage(pg_temp.user_id('key'), 10, 0, NULL, '6 minutes', 'k3')$$, 'UQ006', NULL, 'for another time it is another call');
SELECT settle_usage(pg_temp.owner(:'r'), :'r', 1, 1, 0);
SELECT is((SELECT concat_ws(' ', reservation_id, replayed) FROM reserve_usage(:'key', 10, 0, NULL, '5 minutes', 'k3')), :'r' || ' t', 'also after it is settled');
SELECT is(pg_temp.counters(:'key'), '10 4 0 0 | 0 0 0 never', 'which holds nothing again');

-- raise_if_denied
SELECT pg_temp.plans('{"messagesPerMonth": 10, "models": ["small"]}');
SELECT is((SELECT d.allowed || raise_if_denied(d)::text FROM consume_quota(pg_temp.new_user('raise'), 'message', 10) AS d), 'true', 'an admission passes');
SELECT throws_ok($$SELECT d.*, raise_if_denied(d) FROM consume_quota(pg_temp.user_id('raise')) AS d$$, 'UQ001', NULL, 'a quota that is exceeded is UQ001');
SELECT throws_ok($$SELECT raise_if_denied(d) FROM reserve_usage(pg_temp.user_id('raise'), 1) AS d$$, 'UQ001', NULL, 'also of a reservation');
SELECT throws_ok($$SELECT raise_if_denied(d) FROM begin_turn(pg_temp.user_id('raise'), NULL, 'hi', 'small') AS d$$, 'UQ001', NULL, 'also of a chat turn');
SELECT throws_ok($$SELECT raise_if_denied(d) FROM rate_limit(gen_random_uuid()::text, 1, '1 hour', 2) AS d$$, 'UQ002', NULL, 'a rate is UQ002');
SELECT throws_ok($$SELECT raise_if_denied(d) FROM consume_quota(pg_temp.user_id('raise'), 'token', 1, 'big') AS d$$, 'UQ003', NULL, 'a model is UQ003');
SAVEPOINT maintenance;
SELECT pg_temp.configure('maintenance_mode', 'true');
SELECT throws_ok($$SELECT raise_if_denied(d) FROM consume_quota(pg_temp.user_id('raise')) AS d$$, 'UQ004', NULL, 'maintenance is UQ004');
ROLLBACK TO maintenance;
SELECT throws_ok($$SELECT raise_if_denied(d) FROM (SELECT false AS allowed, 'capacity'::text AS reason) AS d$$, 'UQ005', NULL, 'capacity is UQ005, and other columns are not needed');
DO $$
DECLARE
    details text;
    hint text;
BEGIN
    PERFORM raise_if_denied(d) FROM consume_quota(pg_temp.user_id('raise'), 'message', 3) AS d;
EXCEPTION WHEN SQLSTATE 'UQ001' THEN
    GET STACKED DIAGNOSTICS details = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    PERFORM set_config('claude_gpt_test.detail', details, true), set_config('claude_gpt_test.hint', hint, true);
END
$$;
SELECT matches(current_setting('claude_gpt_test.detail'), '10.*message.*10.*0', 'the detail has the limit, its name, what is used and held');
SELECT matches(current_setting('claude_gpt_test.hint'), '741600', 'the hint when to try again');
SELECT lives_ok($$SELECT raise_if_denied(d) FROM (SELECT true AS allowed, NULL::text AS reason) AS d$$, 'allowed without a reason passes');
SELECT throws_ok(format('SELECT raise_if_denied(%s)', d), code, NULL, format('raise_if_denied(%s) is refused', d))
FROM (VALUES ('NULL', '22004'), ('ROW(false, ''quota_exceeded'')', '22023'), ('ROW(1)', '22023')) AS v (d, code);
SELECT throws_ok(format('SELECT raise_if_denied(d) FROM (SELECT %s) AS d', d), '22023', NULL, format('a row of %s is refused', d))
FROM unnest(ARRAY['1 AS a', 'false AS allowed', '''quota_exceeded''::text AS reason', 'NULL::boolean AS allowed, NULL::text AS reason', 'false AS allowed, NULL::text AS reason',
                  'false AS allowed, ''hunger''::text AS reason', 'false AS allowed, ''''::text AS reason', '0 AS allowed, ''maintenance''::text AS reason', 'false AS allowed, 1 AS reason']) AS d;

-- the columns are read by their position, too
SELECT is((SELECT array_to_string(array_agg(name ORDER BY n) FILTER (WHERE mode IN ('o', 't')), ' ') FROM pg_proc AS p, unnest(p.proargnames, p.proargmodes) WITH ORDINALITY AS a (name, mode, n)
           WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND p.proname = f), columns, format('columns of %s', f))
FROM (VALUES ('consume_quota', 'allowed reason limit_name limit_value used held remaining resets_at retry_after_seconds error_code http_status replayed'),
             ('reserve_usage', 'allowed reason limit_name limit_value used held remaining resets_at retry_after_seconds error_code http_status replayed reservation_id expires_at'),
             ('settle_usage', 'charged_tokens charged_cost late replayed estimated'), ('quota_status', 'action limit_value used held remaining resets_at'),
             ('check_rate_limit', 'allowed limit_value remaining retry_after_seconds reset_after_seconds reason error_code http_status'),
             ('rate_limit', 'allowed limit_value remaining retry_after_seconds reset_after_seconds reason error_code http_status'),
             ('record_usage', 'usage_record_id replayed'), ('prove_books', 'user_id conversation_id item recorded proved'), ('repair_books', 'user_id conversation_id item recorded proved')) AS v (f, columns);

-- The rules again, as plpgsql states them: generated states of users, each with a call, must be answered alike by
-- both engines (also in a lapsed month, and where a hold is due) and by the functions that only read.
SELECT pg_temp.configure('subscription_plans', '{
    "free": {"messagesPerMonth": 4, "tokensPerMonth": 100, "apiCallsPerMonth": 3, "costPerMonth": 0.02, "models": ["small", "odd"]},
    "base": {"messagesPerMonth": 8, "tokensPerMonth": 200, "apiCallsPerMonth": -1, "models": ["small", "big"]},
    "pro": {"messagesPerMonth": -1, "tokensPerMonth": 150, "costPerMonth": 0.05}}');
SELECT pg_temp.configure('model_prices', '{"small": {"prompt": 100, "completion": 200, "cachedPrompt": 10, "cacheWrite": 125}, "big": {"prompt": 300.5, "completion": 7}}');
SELECT setseed(0.4711);
CREATE TEMPORARY TABLE cases ON COMMIT DROP AS
SELECT n, format('oracle%s@example.com', n) AS email,
       (ARRAY['free', 'base', 'pro'])[1 + floor(random() * 3)::int] AS tier,
       (ARRAY['active', 'active', 'trialing', 'past_due', 'inactive', 'canceled', 'unpaid', 'expired'])[1 + floor(random() * 8)::int] AS status,
       (ARRAY[NULL, NULL, '2026-11-22 10:00:00Z', '2026-11-22 09:59:59.999999Z', '2026-11-19 10:00:00Z', '2026-11-19 09:59:59.999999Z', '2027-01-01Z', 'infinity', '-infinity'])[1 + floor(random() * 9)::int]::timestamptz AS period_end,
       random() < 0.3 AS cancels,
       (ARRAY['2026-11-01', '2026-11-01', '2026-11-01', '2026-11-01', '2026-11-17', '2026-10-01', '2026-10-31', '2026-11-24'])[1 + floor(random() * 8)::int]::date AS reset_date,
       floor(random() * 6)::int AS messages, floor(random() * 5)::bigint AS api_calls,
       CASE WHEN random() < 0.2 THEN (ARRAY[100, 150, 200])[1 + floor(random() * 3)::int] ELSE floor(random() * 120)::bigint END AS tokens,
       CASE WHEN random() < 0.2 THEN (ARRAY[0.02, 0.05])[1 + floor(random() * 2)::int] ELSE round((random() * 0.025)::numeric, 9) END AS cost,
       greatest(0, floor(random() * 5)::int - 1) AS holds, random() < 0.3 AS may_be_due,
       (ARRAY['message', 'token', 'api_call', 'reserve', 'reserve', 'reserve'])[1 + floor(random() * 6)::int] AS call,
       (ARRAY[NULL, NULL, 'small', 'small', 'big', 'odd'])[1 + floor(random() * 6)::int] AS model,
       1 + floor(random() * random() * 6)::bigint AS few, CASE WHEN random() < 0.2 THEN 0 ELSE floor(random() * random() * 130)::bigint END AS many
FROM generate_series(1, 1200) AS n;
INSERT INTO users (email, password_hash, subscription_tier, subscription_status, subscription_current_period_end, subscription_cancel_at_period_end, monthly_reset_date,
                   monthly_message_count, total_message_count, monthly_token_count, total_token_count, monthly_api_call_count, total_api_call_count, monthly_cost, total_cost)
SELECT email, 'x', tier, status, period_end, cancels, reset_date, messages, messages, tokens, tokens, api_calls, api_calls, cost, cost FROM cases;
INSERT INTO usage_balances (user_id, usage_type, billing_period, quantity, cost)
SELECT u.id, b.type, c.reset_date, b.quantity, b.cost
FROM cases AS c JOIN users AS u USING (email), LATERAL (VALUES ('message', messages, 0.0), ('token', tokens, c.cost), ('api_call', api_calls, 0)) AS b (type, quantity, cost);
INSERT INTO usage_reservations (user_id, created_at, message_count, token_count, cost, status, expires_at)
SELECT u.id, '2026-11-22 09:00Z', floor(random() * 3)::int, 1 + floor(random() * 30)::bigint, round((random() * 0.004)::numeric, 9), (ARRAY['open', 'open', 'open', 'settled', 'released', 'expired'])[1 + floor(random() * 6)::int],
       timestamptz '2026-11-22 10:00Z' + CASE WHEN c.may_be_due THEN (ARRAY['-1 hour', '-1 microsecond', '0', '1 microsecond', '90.5 seconds'])[1 + floor(random() * 5)::int]
                                              ELSE (ARRAY['1 microsecond', '1 second', '90.5 seconds', '5 minutes', '1 day'])[1 + floor(random() * 5)::int] END::interval
FROM cases AS c JOIN users AS u USING (email), generate_series(1, c.holds);
UPDATE users AS u SET held_message_count = r.messages, held_token_count = r.tokens, held_cost = r.cost, next_hold_expiry = r.first
FROM (SELECT user_id, sum(message_count) AS messages, sum(token_count) AS tokens, sum(cost) AS cost, min(expires_at) AS first FROM usage_reservations WHERE status = 'open' GROUP BY user_id) AS r
WHERE r.user_id = u.id AND u.email LIKE 'oracle%';
SELECT is_empty($$SELECT * FROM prove_books() AS b JOIN users AS u ON u.id = b.user_id WHERE email LIKE 'oracle%'$$, 'the generated books are true');

-- What the rules say to a demand: the columns of a decision, without changing anything.
CREATE FUNCTION pg_temp.ruling(u claude_gpt_data.users, p_messages bigint, p_tokens bigint, p_api_calls bigint, p_is_estimate boolean, p_model text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    at CONSTANT timestamptz := '2026-11-22 10:00Z';
    month_ends CONSTANT timestamptz := '2026-12-01Z';
    entitled boolean := u.subscription_status IN ('active', 'inactive', 'trialing', 'past_due')
        AND (u.subscription_current_period_end IS NULL
             OR u.subscription_current_period_end + CASE WHEN u.subscription_cancel_at_period_end THEN interval '0' ELSE interval '3 days' END >= at);
    plan jsonb := (SELECT config_value -> CASE WHEN entitled THEN u.subscription_tier::text ELSE 'free' END FROM claude_gpt_data.system_configs WHERE config_key = 'subscription_plans');
    lapsed boolean := u.monthly_reset_date < '2026-11-01';
    highest numeric := (SELECT max(p.value::text::numeric) FROM claude_gpt_data.system_configs, jsonb_each(config_value -> p_model) AS p WHERE config_key = 'model_prices');
    live record;
    l record;
    main text := CASE WHEN p_messages > 0 THEN 'message' WHEN p_api_calls > 0 THEN 'api_call' ELSE 'token' END;
    admission jsonb;
    denial jsonb;
    never boolean := false;
    not_this_month boolean := false;
BEGIN
    IF p_model IS NOT NULL AND plan ? 'models' AND NOT plan -> 'models' ? p_model THEN
        RETURN jsonb_build_object('allowed', false, 'reason', 'model_not_in_plan');
    END IF;
    IF p_is_estimate AND p_model IS NOT NULL AND highest IS NULL THEN
        RETURN jsonb_build_object('allowed', false, 'reason', 'price_unknown');
    END IF;
    SELECT COALESCE(sum(message_count), 0) AS messages, COALESCE(sum(token_count), 0) AS tokens, COALESCE(sum(cost), 0) AS cost, min(expires_at) AS first
    INTO live FROM claude_gpt_data.usage_reservations WHERE user_id = u.id AND status = 'open' AND expires_at > at;
    FOR l IN
        SELECT name, NULLIF((plan ->> key)::numeric, -1) AS most, CASE WHEN lapsed THEN 0 ELSE used END AS used, held, asked, concerned, CASE name WHEN 'cost' THEN 1000000 ELSE 1 END AS scale
        FROM (VALUES (1, 'message', 'messagesPerMonth', u.monthly_message_count::numeric, live.messages::numeric, p_messages::numeric, p_messages > 0),
                     (2, 'token', 'tokensPerMonth', u.monthly_token_count, live.tokens, p_tokens, p_tokens > 0 OR p_is_estimate),
                     (3, 'api_call', 'apiCallsPerMonth', u.monthly_api_call_count, 0, p_api_calls, p_api_calls > 0),
                     (4, 'cost', 'costPerMonth', u.monthly_cost, live.cost, CASE WHEN p_is_estimate THEN round(COALESCE(highest, 0) * p_tokens / 1000000, 9) ELSE 0 END, true))
             AS v (position, name, key, used, held, asked, concerned)
        ORDER BY position
    LOOP
        IF l.name = main THEN
            admission := jsonb_build_object('allowed', true, 'limit_name', main, 'limit_value', l.most, 'used', l.used + CASE WHEN p_is_estimate THEN 0 ELSE l.asked END,
                                            'held', l.held + CASE WHEN p_is_estimate THEN l.asked ELSE 0 END, 'remaining', l.most - l.used - l.held - l.asked);
        END IF;
        CONTINUE WHEN NOT l.concerned;
        IF denial IS NULL AND (l.used + l.held + l.asked > l.most OR l.used + l.held >= l.most) THEN
            denial := jsonb_build_object('allowed', false, 'reason', 'quota_exceeded', 'limit_name', l.name, 'limit_value', floor(l.most * l.scale),
                'used', ceil(l.used * l.scale), 'held', ceil(l.held * l.scale), 'remaining', floor(GREATEST(l.most - l.used - l.held, 0) * l.scale));
        END IF;
        -- Whichever limit denies, the call may succeed when all of them have room.
        never := never OR COALESCE(l.asked > l.most OR l.most = 0, false);
        not_this_month := not_this_month OR COALESCE(l.used + l.asked > l.most OR l.used >= l.most, false);
    END LOOP;
    IF denial IS NOT NULL AND NOT never THEN
        denial := denial || jsonb_build_object('retry_after_seconds', ceil(EXTRACT(epoch FROM CASE WHEN not_this_month THEN month_ends ELSE LEAST(live.first, month_ends) END - at)));
    END IF;
    RETURN jsonb_strip_nulls(COALESCE(denial, admission));
END
$$;
-- Asks everything of a user, then makes the call; a row of what was expected and what came.
CREATE FUNCTION pg_temp.try(c cases) RETURNS TABLE (what text, expected jsonb, answered jsonb, is_slow boolean) LANGUAGE plpgsql AS $$
DECLARE
    u claude_gpt_data.users;
    action text;
    is_estimate boolean := c.call = 'reserve';
    messages bigint := CASE WHEN c.call = 'message' THEN c.few WHEN is_estimate THEN (c.few - 1) + (c.many = 0)::int ELSE 0 END;
    tokens bigint := CASE c.call WHEN 'token' THEN 1 + c.many / 3 WHEN 'reserve' THEN c.many ELSE 0 END;
    api_calls bigint := CASE c.call WHEN 'api_call' THEN c.few ELSE 0 END;
BEGIN
    SELECT * INTO u FROM claude_gpt_data.users WHERE email = c.email;
    is_slow := u.monthly_reset_date NOT BETWEEN '2026-11-01' AND '2026-11-30' OR u.next_hold_expiry <= '2026-11-22 10:00Z';
    FOREACH action IN ARRAY ARRAY['message', 'token', 'api_call'] LOOP
        what := 'check ' || action;
        expected := pg_temp.ruling(u, (action = 'message')::int, (action = 'token')::int, (action = 'api_call')::int, false, NULL) -> 'allowed';
        answered := to_jsonb(claude_gpt.check_subscription_limit(u.id, action));
        RETURN NEXT;
    END LOOP;
    what := c.call;
    expected := pg_temp.ruling(u, messages, tokens, api_calls, is_estimate, c.model);
    IF is_estimate THEN
        answered := (SELECT to_jsonb(d) FROM claude_gpt.reserve_usage(u.id, tokens, messages::int, c.model) AS d);
    ELSE
        answered := (SELECT to_jsonb(d) FROM claude_gpt.consume_quota(u.id, c.call, messages + tokens + api_calls, c.model) AS d);
    END IF;
    answered := jsonb_strip_nulls(answered - ARRAY['resets_at', 'error_code', 'http_status', 'replayed', 'reservation_id', 'expires_at']);
    RETURN NEXT;
    -- what the decision said of its limit is what quota_status says now
    what := 'status';
    expected := (SELECT jsonb_strip_nulls(to_jsonb(s) - 'action' - 'resets_at') FROM claude_gpt.quota_status(u.id) AS s WHERE s.action = answered ->> 'limit_name');
    answered := answered - ARRAY['allowed', 'reason', 'limit_name', 'retry_after_seconds'];
    IF expected IS NOT NULL THEN RETURN NEXT; END IF;
END
$$;
CREATE TEMPORARY TABLE answers ON COMMIT DROP AS SELECT c.*, t.* FROM cases AS c, LATERAL pg_temp.try(c) AS t ORDER BY c.n;
SELECT is((SELECT count(*) FROM answers WHERE what IN ('message', 'token', 'api_call', 'reserve')), 1200::bigint, 'every generated call is answered');
SELECT is_empty($$SELECT n, what, expected, answered FROM answers WHERE expected IS DISTINCT FROM answered$$, 'and as the rules say');
SELECT is_empty($$
    SELECT what, reason, slow FROM unnest(ARRAY['message', 'token', 'api_call', 'reserve']) AS what, unnest(ARRAY[true, false]) AS slow,
           unnest(ARRAY['allowed', 'model_not_in_plan', 'cost'] || CASE what WHEN 'reserve' THEN ARRAY['message', 'token'] ELSE ARRAY[what] END) AS reason
    EXCEPT
    SELECT what, CASE WHEN (expected->>'allowed')::boolean THEN 'allowed' ELSE COALESCE(expected->>'limit_name', expected->>'reason') END, is_slow
    FROM answers WHERE what IN ('message', 'token', 'api_call', 'reserve')$$, 'each kind of answer is among them, on the fast way and on the slow');
SELECT ok((SELECT count(*) FILTER (WHERE retry = 0) = 0 AND count(DISTINCT retry) >= 4 FROM (SELECT (expected->>'retry_after_seconds')::int AS retry FROM answers WHERE what <> 'status') AS r), 'with different times to try again');
SELECT is_empty($$SELECT * FROM prove_books() AS b JOIN users AS u ON u.id = b.user_id WHERE email LIKE 'oracle%'$$, 'and the books are true afterwards');

-- nothing but what was tampered with above is out of balance
SELECT is_empty($$SELECT * FROM prove_books()$$, 'the books of all the others are true');

DROP TABLE claude_gpt_migrations;
SELECT throws_ok('SELECT ' || call, '55000', NULL, format('%s is refused where the tables are of an unknown age', call))
FROM unnest(ARRAY['consume_quota(uuid_v7())', 'quota_status(uuid_v7())', 'reserve_usage(uuid_v7(), 1)', 'extend_usage(uuid_v7(), uuid_v7(), ''1 minute'')', 'settle_usage(uuid_v7(), uuid_v7(), 1, 1, 0)', 'release_usage(uuid_v7(), uuid_v7())']) AS call;

SELECT * FROM finish();
ROLLBACK;
