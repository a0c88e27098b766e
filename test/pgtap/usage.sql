-- update_user_usage and record_usage: what they count, where, and in which month.
BEGIN;
\ir prelude.psql
SELECT no_plan();

CREATE FUNCTION pg_temp.counters(p_name text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws(' ', monthly_message_count, monthly_token_count, monthly_api_call_count, monthly_cost, '|',
                     total_message_count, total_token_count, total_api_call_count, total_cost, '|', monthly_reset_date)
    FROM claude_gpt_data.users WHERE email = p_name || '@example.com'
$$;
CREATE FUNCTION pg_temp.ledger(p_name text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format('%s %s %s %s', r.billing_period, r.usage_type, r.quantity, r.cost), ', '
                      ORDER BY r.billing_period, r.usage_type, r.quantity, r.cost)
    FROM claude_gpt_data.usage_records AS r JOIN claude_gpt_data.users AS u ON u.id = r.user_id
    WHERE u.email = p_name || '@example.com'
$$;

SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT pg_temp.new_user('ada') AS ada \gset

-- counting
SELECT is(pg_temp.counters('ada'), '0 0 0 0.000000000 | 0 0 0 0.000000000 | 2026-11-01', 'a new user counts from this month');
SELECT is(update_user_usage(:'ada')::text, '', 'the result is void');
SELECT is(pg_temp.counters('ada'), '1 0 0 0.000000000 | 1 0 0 0.000000000 | 2026-11-01', 'a call without more counts one message');
SELECT update_user_usage(:'ada', 2, 300, 0.0045);
SELECT is(pg_temp.counters('ada'), '3 300 0 0.004500000 | 3 300 0 0.004500000 | 2026-11-01', 'messages, tokens and cost are added');
SELECT update_user_usage(:'ada', 0, 7, 0);
SELECT update_user_usage(:'ada', 0, 0, 0.5);
SELECT is(pg_temp.counters('ada'), '3 307 0 0.504500000 | 3 307 0 0.504500000 | 2026-11-01', 'each kind can be counted alone');
SELECT update_user_usage(:'ada', p_cost => 1);
SELECT is(pg_temp.counters('ada'), '4 307 0 1.504500000 | 4 307 0 1.504500000 | 2026-11-01', 'parameters have their names');
SELECT is((SELECT last_active_at FROM users WHERE id = :'ada'), '2026-11-22 10:00:00Z', 'last_active_at is the moment of the call');
SELECT is((SELECT last_active_on FROM users WHERE id = :'ada'), '2026-11-22', 'last_active_on is its day');
SELECT update_user_usage(pg_temp.new_user('zero'), 0);
SELECT is(pg_temp.counters('zero'), '0 0 0 0.000000000 | 0 0 0 0.000000000 | 2026-11-01', 'zeros change no counter');
SELECT is((SELECT last_active_at FROM users WHERE id = pg_temp.user_id('zero')), '2026-11-22 10:00:00Z', 'zeros are activity all the same');
SELECT is(pg_temp.ledger('zero'), NULL, 'zeros leave no record');
SELECT is((SELECT count(*) FROM users WHERE monthly_message_count > 0), 1::bigint, 'nobody else is counted');

-- the ledger
SELECT is(pg_temp.ledger('ada'),
          '2026-11-01 message 1 0.000000000, 2026-11-01 message 1 0.000000000, 2026-11-01 message 2 0.000000000, '
          '2026-11-01 token 0 0.500000000, 2026-11-01 token 0 1.000000000, 2026-11-01 token 7 0.000000000, '
          '2026-11-01 token 300 0.004500000',
          'each call leaves a record of messages and one of tokens with the cost, where they are not zero');
SELECT is((SELECT sum(quantity) FROM usage_records WHERE user_id = :'ada' AND usage_type = 'message'), 4::numeric, 'recorded messages add up to the counter');
SELECT is((SELECT sum(cost) FROM usage_records WHERE user_id = :'ada'), 1.5045, 'recorded costs add up to the counter');
SELECT is((SELECT total_cost FROM user_statistics WHERE id = :'ada'), 1.5045, 'the view shows the cost once');
SELECT is((SELECT count(*) FROM usage_records WHERE model_used IS NOT NULL OR message_id IS NOT NULL OR conversation_id IS NOT NULL
           OR metadata IS NOT NULL), 0::bigint, 'what the call does not know is NULL');

-- fractions of a cost
SELECT update_user_usage(pg_temp.new_user('fraction'), 0, 0, 0.000000001);
SELECT is((SELECT total_cost FROM users WHERE id = pg_temp.user_id('fraction')), 0.000000001, 'nine places are kept');
SELECT update_user_usage(pg_temp.user_id('fraction'), 0, 0, 0.0000000005);
SELECT is((SELECT total_cost FROM users WHERE id = pg_temp.user_id('fraction')), 0.000000002, 'the tenth is rounded half up');
SELECT is((SELECT sum(cost) FROM usage_records WHERE user_id = pg_temp.user_id('fraction')), 0.000000002, 'and so it is in the ledger');
SELECT update_user_usage(pg_temp.new_user('speck'), 0, 0, 0.0000000004);
SELECT is(pg_temp.counters('speck'), '0 0 0 0.000000000 | 0 0 0 0.000000000 | 2026-11-01', 'what rounds to zero counts nothing');
SELECT is(pg_temp.ledger('speck'), NULL, 'what rounds to zero leaves no empty record');
SELECT update_user_usage(pg_temp.new_user('rich'), 0, 0, 99999999999.999999999);
SELECT is((SELECT total_cost FROM users WHERE id = pg_temp.user_id('rich')), 99999999999.999999999, 'the largest cost is exact');
SELECT update_user_usage(pg_temp.new_user('small'), 0, 0, 1e-5);
SELECT is((SELECT total_cost FROM users WHERE id = pg_temp.user_id('small')), 0.00001, 'an exponent is read');

-- without the ledger
SELECT pg_temp.configure('usage_ledger', 'false');
SELECT update_user_usage(pg_temp.new_user('unrecorded'), 3, 40, 0.25);
SELECT is(pg_temp.counters('unrecorded'), '3 40 0 0.250000000 | 3 40 0 0.250000000 | 2026-11-01', 'usage_ledger = false counts');
SELECT is(pg_temp.ledger('unrecorded'), NULL, 'usage_ledger = false writes no record');
SELECT is((SELECT total_cost FROM user_statistics WHERE id = pg_temp.user_id('unrecorded')), 0.25, 'the view knows the cost all the same');
UPDATE system_configs SET is_active = false WHERE config_key = 'usage_ledger';
SELECT update_user_usage(pg_temp.user_id('unrecorded'));
SELECT is(pg_temp.ledger('unrecorded'), '2026-11-01 message 1 0.000000000', 'an inactive usage_ledger counts as its default: true');

-- the month
SET LOCAL claude_gpt.fixed_time = '2026-11-30T23:59:59.999999Z';
SELECT update_user_usage(pg_temp.new_user('roll'), 5, 50, 0.5);
UPDATE users SET monthly_api_call_count = 6, total_api_call_count = 8 WHERE id = pg_temp.user_id('roll');
SET LOCAL claude_gpt.fixed_time = '2026-12-01T00:00:00Z';
SELECT is((SELECT monthly_message_count FROM user_statistics WHERE id = pg_temp.user_id('roll')), 0, 'the view counts a month that is over as zero');
SELECT is((SELECT monthly_message_count FROM users WHERE id = pg_temp.user_id('roll')), 5, 'reading changes no row');
SELECT update_user_usage(pg_temp.user_id('roll'), 1, 10, 0.1);
SELECT is(pg_temp.counters('roll'), '1 10 0 0.100000000 | 6 60 8 0.600000000 | 2026-12-01',
          'the first call of a month starts all monthly counters anew and keeps the totals');
SELECT is(pg_temp.ledger('roll'),
          '2026-11-01 message 5 0.000000000, 2026-11-01 token 50 0.500000000, 2026-12-01 message 1 0.000000000, 2026-12-01 token 10 0.100000000',
          'each record names the month it was counted in');
SET LOCAL claude_gpt.fixed_time = '2026-12-31T23:59:59.999999Z';
SELECT update_user_usage(pg_temp.user_id('roll'));
SELECT is(pg_temp.counters('roll'), '2 10 0 0.100000000 | 7 60 8 0.600000000 | 2026-12-01', 'the last moment of a month belongs to it');
SET LOCAL claude_gpt.fixed_time = '2027-04-15T12:00:00Z';
SELECT update_user_usage(pg_temp.user_id('roll'), 0, 4);
SELECT is(pg_temp.counters('roll'), '0 4 0 0.000000000 | 7 64 8 0.600000000 | 2027-04-01', 'months without a call are passed over');
SELECT update_user_usage(pg_temp.new_user('later'), 1);
SET LOCAL claude_gpt.fixed_time = '2027-03-31T12:00:00Z';
SELECT update_user_usage(pg_temp.user_id('later'), 1);
SELECT is(pg_temp.counters('later'), '2 0 0 0.000000000 | 2 0 0 0.000000000 | 2027-04-01', 'a clock that is set back does not take the month back');
SELECT is(pg_temp.ledger('later'), '2027-04-01 message 1 0.000000000, 2027-04-01 message 1 0.000000000', 'the record names the month of the counter');

-- a reset date that is no first of a month, as the source's default leaves it
SELECT pg_temp.new_user('middle') AS middle \gset
UPDATE users SET monthly_reset_date = '2026-11-17', monthly_message_count = 4, total_message_count = 4 WHERE id = :'middle';
SET LOCAL claude_gpt.fixed_time = '2026-11-20T00:00:00Z';
SELECT update_user_usage(:'middle');
SELECT is(pg_temp.counters('middle'), '5 0 0 0.000000000 | 5 0 0 0.000000000 | 2026-11-17', 'a month that began in its middle goes on');
SELECT is(pg_temp.ledger('middle'), '2026-11-17 message 1 0.000000000', 'its record names the day on which it began');
SET LOCAL claude_gpt.fixed_time = '2026-12-20T00:00:00Z';
SELECT update_user_usage(:'middle');
SELECT is(pg_temp.counters('middle'), '1 0 0 0.000000000 | 6 0 0 0.000000000 | 2026-12-01', 'and ends with it');
UPDATE users SET monthly_reset_date = '2026-12-31', monthly_message_count = 4 WHERE id = :'middle';
SET LOCAL claude_gpt.fixed_time = '2026-12-29T00:00:00Z';
SELECT update_user_usage(:'middle');
SELECT is((SELECT monthly_message_count FROM users WHERE id = :'middle'), 5, 'a later day of this month is this month');

-- the billing time zone
SELECT pg_temp.configure('billing_timezone', '"Asia/Shanghai"');
SET LOCAL claude_gpt.fixed_time = '2026-11-30T15:59:59Z';
SELECT is(current_billing_period(), '2026-11-01', 'the month ends at midnight in Shanghai, not before');
SELECT update_user_usage(pg_temp.new_user('shanghai'), 1);
SET LOCAL claude_gpt.fixed_time = '2026-11-30T16:00:00Z';
SELECT is(current_billing_period(), '2026-12-01', 'and not after');
SELECT update_user_usage(pg_temp.user_id('shanghai'), 2);
SELECT is(pg_temp.counters('shanghai'), '2 0 0 0.000000000 | 3 0 0 0.000000000 | 2026-12-01', 'usage rolls over with it');
SELECT is(pg_temp.ledger('shanghai'), '2026-11-01 message 1 0.000000000, 2026-12-01 message 2 0.000000000', 'and so do the records');
SET LOCAL timezone = 'America/Los_Angeles';
SELECT is(current_billing_period(), '2026-12-01', 'the time zone of the session does not matter');
SET LOCAL timezone = 'UTC';
SELECT pg_temp.configure('billing_timezone', '"America/Los_Angeles"');
SET LOCAL claude_gpt.fixed_time = '2026-11-01T06:59:59Z';
SELECT is(current_billing_period(), '2026-10-01', 'on the day that summer time ends the month begins at local midnight');
SET LOCAL claude_gpt.fixed_time = '2026-11-01T07:00:00Z';
SELECT is(current_billing_period(), '2026-11-01', 'which is seven hours behind');
SET LOCAL claude_gpt.fixed_time = '2026-12-01T07:59:59Z';
SELECT is(current_billing_period(), '2026-11-01', 'a month later it is eight');
SET LOCAL claude_gpt.fixed_time = '2026-12-01T08:00:00Z';
SELECT is(current_billing_period(), '2026-12-01', 'hours behind');
SELECT pg_temp.configure('billing_timezone', '"UTC"');
SET LOCAL claude_gpt.fixed_time = '2028-02-29T23:00:00Z';
SELECT is(current_billing_period(), '2028-02-01', 'a leap day is in February');
RESET claude_gpt.fixed_time;
SELECT is(current_billing_period(), date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date, 'without a fixed time it is now');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';

-- overflow leaves everything as it was
SELECT update_user_usage(pg_temp.new_user('full'), 2147483647, 5, 1);
SELECT pg_temp.counters('full') AS full_counters, pg_temp.ledger('full') AS full_ledger \gset
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('full'), 1, 5, 1)$$, '22003', NULL, 'a message too many is refused');
SELECT is(pg_temp.counters('full'), :'full_counters', 'and nothing of that call is counted');
SELECT is(pg_temp.ledger('full'), :'full_ledger', 'nor recorded');
SELECT lives_ok($$SELECT update_user_usage(pg_temp.user_id('full'), 0, 5, 1)$$, 'tokens can still be counted');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('rich'), 1, 0, 0.000000001)$$, '22003', NULL, 'a cost too much is refused');
SELECT is((SELECT total_message_count FROM users WHERE id = pg_temp.user_id('rich')), 0, 'and its message is not counted');
UPDATE users SET total_token_count = 9223372036854775807 WHERE id = pg_temp.user_id('zero');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('zero'), 1, 1)$$, '22003', NULL, 'a token too many is refused');
SELECT is(pg_temp.counters('zero'), '0 0 0 0.000000000 | 0 9223372036854775807 0 0.000000000 | 2026-11-01', 'and no counter moves');

-- refusals
SELECT throws_ok($$SELECT update_user_usage(NULL)$$, '22004', NULL, 'a NULL user is refused');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('ada'), NULL)$$, '22004', NULL, 'a NULL count is refused');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('ada'), 1, NULL)$$, '22004', NULL, 'NULL tokens are refused');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('ada'), 1, 1, NULL)$$, '22004', NULL, 'a NULL cost is refused');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('ada'), -1)$$, '22023', NULL, 'a negative count is refused');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('ada'), 1, -1)$$, '22023', NULL, 'negative tokens are refused');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('ada'), 1, 1, -0.01)$$, '22023', NULL, 'a negative cost is refused');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('ada'), 1, 1, -0.0000000001)$$, '22023', NULL, 'a negative cost is refused, however small');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('ada'), 1, 1, 'NaN')$$, '22023', NULL, 'a cost that is no number is refused');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('ada'), 1, 1, 'Infinity')$$, '22023', NULL, 'an infinite cost is refused');
SELECT throws_ok($$SELECT update_user_usage(pg_temp.user_id('ada'), 1, 1, 1e11)$$, '22003', NULL, 'a cost out of range is refused');
SELECT throws_ok($$SELECT update_user_usage(uuid_v7())$$, 'P0002', NULL, 'an unknown user is refused');
SELECT is(pg_temp.counters('ada'), '4 307 0 1.504500000 | 4 307 0 1.504500000 | 2026-11-01', 'and refused calls count nothing');

-- record_usage: one kind, with all that is known of it
SELECT pg_temp.new_user('rec') AS rec, pg_temp.new_user('stranger') AS stranger \gset
INSERT INTO conversations (id, user_id) VALUES ('00000000-0000-7000-8000-0000000000c1', :'rec'), ('00000000-0000-7000-8000-0000000000c2', :'rec'), ('00000000-0000-7000-8000-0000000000c3', :'stranger');
INSERT INTO messages (id, conversation_id, user_id, role, content) VALUES
    ('00000000-0000-7000-8000-0000000000a1', '00000000-0000-7000-8000-0000000000c1', :'rec', 'user', 'hi'),
    ('00000000-0000-7000-8000-0000000000a3', '00000000-0000-7000-8000-0000000000c3', :'stranger', 'user', 'hi');
CREATE FUNCTION pg_temp.record(p_id uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', billing_period, usage_type, quantity, trim_scale(cost), COALESCE(model_used, '-'), COALESCE(right(message_id::text, 2), '-'),
                     COALESCE(right(conversation_id::text, 2), '-'), COALESCE(metadata::text, '-'))
    FROM claude_gpt_data.usage_records WHERE id = p_id
$$;
SELECT usage_record_id AS id, replayed FROM record_usage(:'rec', 'token', 500, 'gpt-4', 0.0125, '00000000-0000-7000-8000-0000000000a1', '00000000-0000-7000-8000-0000000000c1', '{"a": [1, null]}') \gset
SELECT is(pg_temp.record(:'id'), '2026-11-01 token 500 0.0125 gpt-4 a1 c1 {"a": [1, null]}', 'record_usage writes one record with all it is given');
SELECT is(:'replayed'::boolean, false, 'and says that it is new');
SELECT is(pg_temp.counters('rec'), '0 500 0 0.012500000 | 0 500 0 0.012500000 | 2026-11-01', 'it counts it');
SELECT usage_record_id AS id FROM record_usage(:'rec', 'api_call') \gset
SELECT is(pg_temp.record(:'id'), '2026-11-01 api_call 1 0 - - - -', 'one, without more, by default');
SELECT usage_record_id AS id FROM record_usage(:'rec', 'message', 2, p_cost => 0.5) \gset
SELECT is(pg_temp.record(:'id'), '2026-11-01 message 2 0.5 - - - -', 'every kind may have a cost');
SELECT usage_record_id AS id FROM record_usage(:'rec', 'api_call', 0, p_cost => 0.25) \gset
SELECT is(pg_temp.record(:'id'), '2026-11-01 api_call 0 0.25 - - - -', 'or be nothing but a cost');
SELECT is(pg_temp.counters('rec'), '2 500 1 0.762500000 | 2 500 1 0.762500000 | 2026-11-01', 'each in its counter');
SELECT usage_record_id AS id FROM record_usage(:'rec', 'token', 5, p_message_id => '00000000-0000-7000-8000-0000000000a1') \gset
SELECT is(pg_temp.record(:'id'), '2026-11-01 token 5 0 - a1 c1 -', 'a message brings its conversation');
SELECT usage_record_id AS id FROM record_usage(:'rec', 'token', 5, p_conversation_id => '00000000-0000-7000-8000-0000000000c2') \gset
SELECT is(pg_temp.record(:'id'), '2026-11-01 token 5 0 - - c2 -', 'a conversation may stand alone');
SELECT is((SELECT last_active_at FROM users WHERE id = :'rec'), '2026-11-22 10:00:00Z', 'it is activity of the user');
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 0, "tokensPerMonth": 0, "models": []}}');
SELECT lives_ok($$SELECT record_usage(pg_temp.user_id('rec'), 'token', 100, 'gpt-4')$$, 'no limit is asked');
SELECT is(pg_temp.counters('rec'), '2 610 1 0.762500000 | 2 610 1 0.762500000 | 2026-11-01', 'all of it is counted');

-- in its month
SET LOCAL claude_gpt.fixed_time = '2026-12-01T00:00:00Z';
SELECT usage_record_id AS id FROM record_usage(:'rec', 'api_call', 7) \gset
SELECT is(pg_temp.counters('rec'), '0 0 7 0.000000000 | 2 610 8 0.762500000 | 2026-12-01', 'the first record of a month starts it anew');
SELECT is(pg_temp.record(:'id'), '2026-12-01 api_call 7 0 - - - -', 'and is of it');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';

-- without the ledger
SELECT pg_temp.new_user('carried') AS carried \gset
SELECT pg_temp.configure('usage_ledger', 'false');
SELECT is((SELECT row(usage_record_id, replayed)::text FROM record_usage(:'carried', 'token', 40, 'gpt-4', 0.25, p_idempotency_key => 'k')), '(,f)', 'without the ledger there is no record to name');
SELECT is((SELECT row(usage_record_id, replayed)::text FROM record_usage(:'carried', 'token', 40, 'gpt-4', 0.25, p_idempotency_key => 'k')), '(,t)', 'nor when it is replayed');
SELECT record_usage(:'carried', 'token', 2, p_cost => 0.5);
SELECT is(pg_temp.counters('carried'), '0 42 0 0.750000000 | 0 42 0 0.750000000 | 2026-11-01', 'it is counted');
SET LOCAL claude_gpt.fixed_time = '2026-12-05T10:00:00Z';
SELECT update_user_usage(:'carried', 3, 8, 0.125);
SELECT is((SELECT count(*) FROM usage_balances WHERE user_id = :'carried'), 0::bigint, 'and nothing carried while the ledger is not kept');
SELECT pg_temp.configure('usage_ledger', 'true');
SELECT is((SELECT string_agg(concat_ws(' ', usage_type, billing_period, quantity, trim_scale(cost)), ', ' ORDER BY usage_type, billing_period) FROM usage_balances WHERE user_id = :'carried'),
          'message 2026-12-01 3 0, token 0001-01-01 42 0.75, token 2026-12-01 8 0.125', 'when it is again, the month counted is carried as such, and what came before it as before');
SELECT is_empty(format('SELECT * FROM prove_books(%L)', :'carried'), 'and the books prove');
SELECT pg_temp.configure('usage_ledger', 'true');
SELECT is((SELECT sum(quantity) FROM usage_balances WHERE user_id = :'carried'), 53::numeric, 'nothing is carried twice');
UPDATE users SET total_token_count = total_token_count + 5 WHERE id = :'carried';
SELECT pg_temp.configure('usage_ledger', 'true');
SELECT is((SELECT string_agg(item, ',') FROM prove_books(:'carried')), 'total_token_count', 'a difference that arises while the ledger is kept is never carried');
UPDATE users SET total_token_count = total_token_count - 5 WHERE id = :'carried';
SELECT pg_temp.configure('usage_ledger', 'false');
SELECT update_user_usage(:'carried', 1, 0, 0);
UPDATE users SET total_token_count = total_token_count - 1 WHERE id = :'carried';
SELECT is((SELECT string_agg(item, ',') FROM prove_books(:'carried')), 'total_token_count', 'without the ledger a counter below it is a difference all the same');
UPDATE users SET total_token_count = total_token_count + 1 WHERE id = :'carried';
DELETE FROM system_configs WHERE config_key = 'usage_ledger';
SELECT is((SELECT sum(quantity) FROM usage_balances WHERE user_id = :'carried'), 54::numeric, 'a configuration that is deleted is true again');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT repair_books(:'carried') \g /dev/null

-- repeated calls
SELECT pg_temp.new_user('again') AS again \gset
SELECT usage_record_id AS id FROM record_usage(:'again', 'token', 5, 'gpt-4', 1.5, NULL, NULL, '{"a": 1, "b": 2}', 'key') \gset
SELECT is((SELECT row(usage_record_id, replayed)::text FROM record_usage(:'again', 'token', 5, 'gpt-4', 1.5, NULL, NULL, '{"a": 1, "b": 2}', 'key')), format('(%s,t)', :'id'), 'a repeated call gets the first record');
SELECT lives_ok($$SELECT record_usage(pg_temp.user_id('again'), 'token', 5, 'gpt-4', 1.50, NULL, NULL, '{"b": 2, "a": 1}', 'key')$$, 'however its numbers and its JSON are written');
SELECT is(pg_temp.counters('again'), '0 5 0 1.500000000 | 0 5 0 1.500000000 | 2026-11-01', 'and counts nothing');
SELECT is((SELECT count(*) FROM usage_records WHERE user_id = :'again'), 1::bigint, 'nor records it');
SELECT throws_ok(format('SELECT record_usage(pg_temp.user_id(''again''), %s)', a), 'UQ006', NULL, format('record_usage(%s) is another call', a))
FROM unnest(ARRAY['''token'', 6, ''gpt-4'', 1.5, NULL, NULL, ''{"a": 1, "b": 2}'', ''key''', '''message'', 5, ''gpt-4'', 1.5, NULL, NULL, ''{"a": 1, "b": 2}'', ''key''',
                  '''token'', 5, NULL, 1.5, NULL, NULL, ''{"a": 1, "b": 2}'', ''key''', '''token'', 5, ''gpt-4'', 1.500000001, NULL, NULL, ''{"a": 1, "b": 2}'', ''key''',
                  '''token'', 5, ''gpt-4'', 1.5, ''00000000-0000-7000-8000-0000000000a1'', NULL, ''{"a": 1, "b": 2}'', ''key''',
                  '''token'', 5, ''gpt-4'', 1.5, NULL, ''00000000-0000-7000-8000-0000000000c1'', ''{"a": 1, "b": 2}'', ''key''', '''token'', 5, ''gpt-4'', 1.5, NULL, NULL, NULL, ''key''']) AS a;
SELECT isnt((SELECT usage_record_id FROM record_usage(:'again', 'token', 5, 'gpt-4', 1.5, NULL, NULL, '{"a": 1, "b": 2}', 'Key')), :'id', 'another key is another call');
SELECT isnt((SELECT usage_record_id FROM record_usage(:'rec', 'token', 5, 'gpt-4', 1.5, NULL, NULL, '{"a": 1, "b": 2}', 'key')), :'id', 'and so is another user');
SELECT isnt((SELECT usage_record_id FROM record_usage(:'again', 'token', 5, 'gpt-4', 1.5, NULL, NULL, '{"a": 1, "b": 2}')), :'id', 'and a call without a key');

-- refusals
SELECT throws_ok(format('SELECT record_usage(%s)', replace(a, '#', quote_literal(:'rec'))), code, NULL, format('record_usage(%s) is refused', a))
FROM (VALUES ('NULL, ''token''', '22004'), ('#, NULL', '22004'), ('#, ''token'', NULL', '22004'), ('#, ''token'', p_cost => NULL', '22004'),
             ('#, ''token'', -1', '22023'), ('#, ''token'', p_cost => -0.01', '22023'), ('#, ''token'', p_cost => -1e-12', '22023'), ('#, ''token'', 0', '22023'), ('#, ''token'', 0, p_cost => 1e-10', '22023'),
             ('#, ''token'', p_cost => ''NaN''', '22023'), ('#, ''token'', p_cost => ''Infinity''', '22023'), ('#, ''token'', p_cost => 1e11', '22003'),
             ('#, ''image''', '22023'), ('#, ''''', '22023'), ('#, ''Token''', '22023'), ('#, ''cost''', '22023'),
             ('#, ''token'', 1, ''''', '22023'), ('#, ''token'', 1, repeat(''m'', 256)', '22023'),
             ('#, ''token'', p_idempotency_key => ''''', '22023'), ('#, ''token'', p_idempotency_key => repeat(''k'', 256)', '22023'),
             ('#, ''message'', 2147483646', '22003'), ('#, ''token'', 9223372036854775807', '22003'), ('#, ''api_call'', 9223372036854775807', '22003'),
             ('''00000000-0000-7000-8000-000000000000'', ''token''', 'P0002'), ('''00000000-0000-7000-8000-000000000000'', ''token'', p_idempotency_key => ''k''', 'P0002'),
             ('#, ''token'', p_message_id => ''00000000-0000-7000-8000-0000000000a3''', 'P0002'), ('#, ''token'', p_message_id => ''00000000-0000-7000-8000-0000000000a0''', 'P0002'),
             ('#, ''token'', p_conversation_id => ''00000000-0000-7000-8000-0000000000c3''', 'P0002'), ('#, ''token'', p_conversation_id => ''00000000-0000-7000-8000-0000000000c0''', 'P0002'),
             ('#, ''token'', p_message_id => ''00000000-0000-7000-8000-0000000000a1'', p_conversation_id => ''00000000-0000-7000-8000-0000000000c3''', 'P0002'),
             ('#, ''token'', p_message_id => ''00000000-0000-7000-8000-0000000000a3'', p_conversation_id => ''00000000-0000-7000-8000-0000000000c1''', 'P0002')) AS v (a, code);
SELECT is(pg_temp.counters('rec'), '2 615 8 2.262500000 | 2 615 8 2.262500000 | 2026-11-01', 'and refused calls count nothing');
SELECT lives_ok(format('SELECT record_usage(%L, ''token'', 1, repeat(''模'', 50), p_idempotency_key => repeat(''k'', 255))', :'rec'), 'names and keys may be as long as allowed');
SELECT is_empty($$SELECT * FROM prove_books() WHERE user_id IN (SELECT id FROM users WHERE email IN ('rec@example.com', 'carried@example.com', 'again@example.com'))$$, 'the books are true');

-- many calls in one statement
SELECT update_user_usage(pg_temp.new_user('n' || n), n) FROM generate_series(1, 50) AS n;
SELECT is((SELECT sum(total_message_count) FROM users WHERE email ~ '^n\d+@'), 1275::bigint, 'a statement counts many users');
SELECT count(update_user_usage(pg_temp.user_id('n1'), 1, 2, 0.125)) AS calls FROM generate_series(1, 200) \gset
SELECT is(pg_temp.counters('n1'), '201 400 0 25.000000000 | 201 400 0 25.000000000 | 2026-11-01', 'and one user many times');

-- records are kept in the quarter in which they are written
SELECT is((SELECT count(*) FROM ONLY usage_records_default), 0::bigint, 'records of today are in a partition of their own');
SELECT is((SELECT count(*) FROM usage_records WHERE created_at < now() - interval '1 day'), 0::bigint, 'created_at is when a record was written');

-- a ledger row outlives what it names, but not its user
INSERT INTO conversations (user_id) VALUES (:'ada');
INSERT INTO messages (conversation_id, user_id, role, content) SELECT id, user_id, 'user', 'hi' FROM conversations WHERE user_id = :'ada';
INSERT INTO usage_records (user_id, usage_type, message_id, conversation_id)
SELECT user_id, 'api_call', id, conversation_id FROM messages WHERE user_id = :'ada';
DELETE FROM conversations WHERE user_id = :'ada';
SELECT results_eq($$SELECT message_id IS NULL, conversation_id IS NULL FROM usage_records WHERE usage_type = 'api_call' AND user_id = pg_temp.user_id('ada')$$,
                  $$VALUES (true, true)$$, 'deleting a conversation keeps its records');
DELETE FROM users WHERE id = :'ada';
SELECT is((SELECT count(*) FROM usage_records WHERE user_id = :'ada'), 0::bigint, 'deleting a user deletes its records');

SELECT * FROM finish();
ROLLBACK;
