-- Chat turns: begun, streamed, completed or failed; the branches they form, what they hold and charge.
BEGIN;
\ir prelude.psql
SELECT no_plan();
-- Plans that users have are taken away below, as replication may: the triggers that keep them are tested in subscriptions.sql.
ALTER TABLE system_configs DISABLE TRIGGER keep_plans_in_use, DISABLE TRIGGER keep_truncated_plans_in_use;

-- The clock stands still between turns: so many seconds after ten o'clock.
CREATE FUNCTION pg_temp.at(p_seconds numeric) RETURNS text LANGUAGE sql AS $$
    SELECT set_config('claude_gpt.fixed_time', to_char(timestamp '2026-11-22 10:00' + p_seconds * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), true)
$$;
-- A decision in a line.
CREATE FUNCTION pg_temp.told(d jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN (d->>'allowed')::boolean THEN 'yes' ELSE format('no: %s %s %s', d->>'reason', d->>'error_code', d->>'http_status') END
        || CASE WHEN d->>'used' IS NULL THEN ''
                ELSE format(', %s %s+%s of %s, %s left', COALESCE(d->>'limit_name', 'rate'), d->>'used', d->>'held', COALESCE(d->>'limit_value', 'any'), COALESCE(d->>'remaining', 'any')) END
        || COALESCE(', resets ' || to_char((d->>'resets_at')::timestamptz AT TIME ZONE 'UTC', 'MM-DD HH24:MI:SS'), '')
        || COALESCE(', retry in ' || (d->>'retry_after_seconds'), '')
        || CASE WHEN (d->>'replayed')::boolean THEN ', replayed' ELSE '' END
        || CASE WHEN COALESCE(d->>'conversation_id', d->>'message_id', d->>'assistant_message_id', d->>'reservation_id', d->>'expires_at') IS NULL THEN ', no turn' ELSE '' END
$$;
CREATE FUNCTION pg_temp.begun(p_user uuid, p_conversation uuid DEFAULT NULL, p_model text DEFAULT 'small', p_estimate integer DEFAULT 0, p_key text DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.told(to_jsonb(t)) FROM claude_gpt.begin_turn(p_user, p_conversation, 'question', p_model, p_estimate, p_idempotency_key => p_key) AS t
$$;
-- The messages of a conversation by their numbers: 1 user sent "text", 2<1 is a message whose parent is 1.
CREATE FUNCTION pg_temp.thread(p_conversation uuid) RETURNS text LANGUAGE sql AS $$
    WITH numbered AS (SELECT *, row_number() OVER (ORDER BY created_at, id) AS n FROM claude_gpt_data.messages WHERE conversation_id = p_conversation)
    SELECT string_agg(format('%s%s %s %s "%s"', m.n, '<' || p.n, m.role, m.status, m.content), ', ' ORDER BY m.n)
    FROM numbered AS m LEFT JOIN numbered AS p ON p.id = m.parent_message_id
$$;
CREATE FUNCTION pg_temp.message(p_id uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', role, status, format('"%s"', content), content_type, COALESCE(model_used, '-'), COALESCE(prompt_tokens::text, '-'), COALESCE(completion_tokens::text, '-'),
                     COALESCE(total_tokens::text, '-'), COALESCE(trim_scale(cost)::text, '-'), COALESCE(error_message, '-'), COALESCE(metadata::text, '-'))
    FROM claude_gpt_data.messages WHERE id = p_id
$$;
-- Counters of the month and in total, then what is held and until when.
CREATE FUNCTION pg_temp.counters(p_user uuid) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s %s | %s %s %s | %s %s %s %s', monthly_message_count, monthly_token_count, trim_scale(monthly_cost), total_message_count, total_token_count, trim_scale(total_cost),
                  held_message_count, held_token_count, trim_scale(held_cost), COALESCE(to_char(next_hold_expiry AT TIME ZONE 'UTC', 'HH24:MI:SS'), 'never'))
    FROM claude_gpt_data.users WHERE id = p_user
$$;
CREATE FUNCTION pg_temp.conversation(p_id uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', message_count, total_tokens, trim_scale(total_cost), to_char(last_message_at AT TIME ZONE 'UTC', 'HH24:MI:SS.US')) FROM claude_gpt_data.conversations WHERE id = p_id
$$;
CREATE FUNCTION pg_temp.ledger(p_user uuid) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', to_char(billing_period, 'YYYY-MM'), usage_type, quantity, trim_scale(cost), COALESCE(model_used, '-')), ', ' ORDER BY usage_type, quantity, cost)
    FROM claude_gpt_data.usage_records WHERE user_id = p_user
$$;
-- What the records of tokens refer to, if it is there.
CREATE FUNCTION pg_temp.referred(p_user uuid) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', CASE WHEN m.id IS NULL THEN '-' ELSE m.role END, CASE WHEN r.conversation_id IS NULL THEN '-' ELSE 'conversation' END), ', ' ORDER BY r.quantity)
    FROM claude_gpt_data.usage_records AS r LEFT JOIN claude_gpt_data.messages AS m ON m.id = r.message_id WHERE r.user_id = p_user AND r.usage_type = 'token'
$$;
CREATE FUNCTION pg_temp.reservation(p_id uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', status, message_count, token_count, trim_scale(cost), model_used, to_char(expires_at AT TIME ZONE 'UTC', 'HH24:MI:SS'), COALESCE(to_char(closed_at AT TIME ZONE 'UTC', 'HH24:MI:SS'), '-'))
    FROM claude_gpt_data.usage_reservations WHERE id = p_id
$$;
CREATE FUNCTION pg_temp.ended(e jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s tokens for %s', e->>'total_tokens', trim_scale((e->>'charged_cost')::numeric)) || CASE WHEN (e->>'late')::boolean THEN ', late' ELSE '' END
        || CASE WHEN (e->>'replayed')::boolean THEN ', replayed' ELSE '' END || CASE WHEN COALESCE(e->>'message_id', e->>'conversation_id') IS NULL THEN ', no ids' ELSE '' END
$$;
CREATE FUNCTION pg_temp.completed(p_reservation uuid, p_content text, p_prompt integer, p_completion integer, p_cost numeric DEFAULT NULL, p_metadata jsonb DEFAULT NULL, p_cached integer DEFAULT 0)
RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.ended(to_jsonb(e)) FROM claude_gpt.complete_turn(pg_temp.owner(p_reservation), p_reservation, p_content, p_prompt, p_completion, p_cost, p_metadata, p_cached) AS e
$$;
CREATE FUNCTION pg_temp.failed(p_reservation uuid, p_error text, p_prompt integer DEFAULT 0, p_completion integer DEFAULT 0, p_content text DEFAULT NULL, p_cost numeric DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.ended(to_jsonb(e)) FROM claude_gpt.fail_turn(pg_temp.owner(p_reservation), p_reservation, p_error, p_prompt, p_completion, p_content, p_cost) AS e
$$;
-- Everything that a turn writes.
CREATE FUNCTION pg_temp.stored() RETURNS text LANGUAGE sql AS $$
    SELECT md5(concat((SELECT string_agg(t::text, ';' ORDER BY t.id) FROM claude_gpt_data.users AS t), (SELECT string_agg(t::text, ';' ORDER BY t.id) FROM claude_gpt_data.conversations AS t),
                      (SELECT string_agg(t::text, ';' ORDER BY t.id) FROM claude_gpt_data.messages AS t), (SELECT string_agg(t::text, ';' ORDER BY t.id) FROM claude_gpt_data.usage_records AS t),
                      (SELECT string_agg(t::text, ';' ORDER BY t.id) FROM claude_gpt_data.usage_reservations AS t), (SELECT string_agg(t::text, ';' ORDER BY t.idempotency_key) FROM claude_gpt_data.idempotency_keys AS t)))
$$;
-- The units of the rate limit that a user has left.
CREATE FUNCTION pg_temp.rate_left(p_user uuid) RETURNS integer LANGUAGE sql AS $$ SELECT remaining FROM claude_gpt.check_rate_limit(p_user, 0) $$;

SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 3, "tokensPerMonth": 1000, "costPerMonth": 0.5, "models": ["small"]}, "base": {"messagesPerMonth": -1}, "pro": {"messagesPerMonth": -1}}');
SELECT pg_temp.configure('model_prices', '{"small": {"prompt": 100, "completion": 200, "cachedPrompt": 10}}');
SELECT pg_temp.configure('rate_limits', '{"free": 10, "base": 60, "pro": 1000000}');
SELECT pg_temp.new_user('ada', 'pro') AS ada, pg_temp.new_user('bob', 'pro') AS bob, pg_temp.new_user('free') AS free \gset

-- begin_turn: a new conversation
SELECT pg_temp.at(0);
SELECT * FROM begin_turn(:'free', NULL, 'Hello', 'small', 600, p_metadata => '{"ip": "::1"}') AS t \gset t_
SELECT is(concat_ws(' ', :'t_allowed', :'t_limit_name', :'t_limit_value', :'t_used', :'t_held', :'t_remaining', :'t_resets_at', :'t_replayed'), 't message 3 0 1 2 2026-12-01 00:00:00+00 f',
          'a turn that is admitted tells where the messages of the month stand');
SELECT is((SELECT user_id FROM conversations WHERE id = :'t_conversation_id'), :'free', 'without a conversation a new one is started');
SELECT is(pg_temp.thread(:'t_conversation_id'), '1 user sent "Hello", 2<1 assistant sending ""', 'with the message and an empty reply to it');
SELECT is(pg_temp.message(:'t_message_id'), 'user sent "Hello" text - - - - - - {"ip": "::1"}', 'message_id is the message of the user, with its metadata');
SELECT is(pg_temp.message(:'t_assistant_message_id'), 'assistant sending "" text small - - - - - -', 'assistant_message_id the reply, with the model');
SELECT is((SELECT string_agg(to_char(created_at AT TIME ZONE 'UTC', 'HH24:MI:SS.US'), ' ' ORDER BY role DESC) FROM messages WHERE conversation_id = :'t_conversation_id'), '10:00:00.000000 10:00:00.000001',
          'the reply comes after it, whatever their ids');
SELECT is(pg_temp.conversation(:'t_conversation_id'), '2 0 0 10:00:00.000001', 'both are counted, and nothing more');
SELECT is(pg_temp.counters(:'free'), '0 0 0 | 0 0 0 | 1 600 0.12 10:05:00', 'a message, the estimate and its highest cost are held, and nothing is counted');
SELECT is(pg_temp.reservation(:'t_reservation_id'), 'open 1 600 0.12 small 10:05:00 -', 'in a reservation of five minutes');
SELECT is(:'t_expires_at'::timestamptz, '2026-11-22 10:05Z', 'of which the turn says the end');
SELECT is((SELECT count(*) FROM usage_records), 0::bigint, 'nothing is recorded yet');
SELECT is((SELECT concat_ws(' ', conversation_id, user_message_id, assistant_message_id) FROM usage_reservations WHERE id = :'t_reservation_id'),
          concat_ws(' ', :'t_conversation_id', :'t_message_id', :'t_assistant_message_id'), 'the reservation knows its turn');

-- quotas deny
SELECT is(pg_temp.begun(:'free', :'t_conversation_id', 'small', 401), 'no: quota_exceeded UQ001 402, token 0+600 of 1000, 400 left, resets 12-01 00:00:00, retry in 300, no turn', 'an estimate that does not fit is denied until a hold expires');
SELECT is(pg_temp.begun(:'free', :'t_conversation_id', 'small', 400), 'yes, message 0+2 of 3, 1 left, resets 12-01 00:00:00', 'one that fits is admitted');
SELECT is(pg_temp.begun(:'free', :'t_conversation_id'), 'no: quota_exceeded UQ001 402, token 0+1000 of 1000, 0 left, resets 12-01 00:00:00, retry in 300, no turn', 'an estimate of nothing needs tokens that are left');
SELECT is(pg_temp.begun(:'free', :'t_conversation_id', 'small', 1001), 'no: quota_exceeded UQ001 402, token 0+1000 of 1000, 0 left, resets 12-01 00:00:00, no turn', 'more than the whole limit never is');
SELECT throws_ok($$SELECT raise_if_denied(t) FROM begin_turn(pg_temp.user_id('free'), NULL, 'x', 'small') AS t$$, 'UQ001', NULL, 'raise_if_denied takes the row of a turn');
SELECT pg_temp.new_user('costly') AS costly \gset
SELECT update_user_usage(:'costly', 0, 0, 0.45);
SELECT is(pg_temp.begun(:'costly', NULL, 'small', 251), 'no: quota_exceeded UQ001 402, cost 450000+0 of 500000, 50000 left, resets 12-01 00:00:00, retry in 741600, no turn', 'the highest cost of an estimate must fit too');
SELECT is(pg_temp.begun(:'costly', NULL, 'small', 250), 'yes, message 0+1 of 3, 2 left, resets 12-01 00:00:00', 'and is held exactly');
SELECT pg_temp.at(300);
SELECT is(pg_temp.begun(:'free', :'t_conversation_id', 'small', 1000), 'yes, message 0+1 of 3, 2 left, resets 12-01 00:00:00', 'holds are free at the moment they expire');

-- the order in which a turn is asked, and that denials store nothing but a unit of the rate
SELECT pg_temp.new_user('asked') AS asked \gset
SELECT conversation_id AS asked_conversation FROM begin_turn(:'asked', NULL, 'x', 'small') \gset
SELECT update_user_usage(:'asked', 2);
SELECT pg_temp.stored() AS before \gset
SELECT pg_temp.configure('maintenance_mode', 'true');
SELECT is(pg_temp.begun(uuid_v7(), NULL, 'big'), 'no: maintenance UQ004 503, no turn', 'maintenance is asked first, before the user');
SELECT is(pg_temp.begun(:'asked', NULL, 'big'), 'no: maintenance UQ004 503, no turn', 'and the model');
SELECT pg_temp.configure('maintenance_mode', 'false');
SELECT throws_ok($$SELECT pg_temp.begun(uuid_v7(), NULL, 'big')$$, 'P0002', NULL, 'then the user');
SELECT is(pg_temp.begun(:'asked', NULL, 'big'), 'no: model_not_in_plan UQ003 403, no turn', 'then the model');
SELECT is(pg_temp.begun(:'asked', NULL, 'Small'), 'no: model_not_in_plan UQ003 403, no turn', 'by its exact name');
SELECT is(pg_temp.rate_left(:'asked'), 9, 'none of these costs a unit of the rate');
SELECT is(pg_temp.begun(:'asked'), 'no: quota_exceeded UQ001 402, message 2+1 of 3, 0 left, resets 12-01 00:00:00, retry in 300, no turn', 'then the quotas');
SELECT is(pg_temp.rate_left(:'asked'), 8, 'which a unit was spent for');
SELECT is(pg_temp.begun(:'asked', uuid_v7()), 'no: quota_exceeded UQ001 402, message 2+1 of 3, 0 left, resets 12-01 00:00:00, retry in 300, no turn', 'the conversation is looked for only after them');
SELECT count(pg_temp.begun(:'asked')) FROM generate_series(1, 7);
SELECT is(pg_temp.begun(:'asked'), 'no: rate_limited UQ002 429, rate 10+0 of 10, 0 left, resets 11-22 10:06:00, retry in 6, no turn', 'the rate is asked before the quotas, and describes the calls a minute');
SELECT is((SELECT limit_name FROM begin_turn(:'asked', NULL, 'x', 'small')), NULL, 'which is no limit of the plan');
SELECT is(pg_temp.begun(:'asked', NULL, 'big'), 'no: model_not_in_plan UQ003 403, no turn', 'and after the model');
SELECT throws_ok($$SELECT raise_if_denied(t) FROM begin_turn(pg_temp.user_id('asked'), NULL, 'x', 'small') AS t$$, 'UQ002', NULL, 'a denial by rate can be raised');
SELECT pg_temp.at(305.999);
SELECT is(pg_temp.begun(:'asked'), 'no: rate_limited UQ002 429, rate 10+0 of 10, 0 left, resets 11-22 10:06:00, retry in 1, no turn', 'a denied call costs no unit');
SELECT pg_temp.at(306);
SELECT is(pg_temp.begun(:'asked'), 'no: quota_exceeded UQ001 402, message 2+1 of 3, 0 left, resets 12-01 00:00:00, retry in 294, no turn', 'when it said, the rate admits again');
SELECT is(pg_temp.begun(:'asked'), 'no: rate_limited UQ002 429, rate 10+0 of 10, 0 left, resets 11-22 10:06:06, retry in 6, no turn', 'once');
SELECT is(pg_temp.stored(), :'before', 'all these denials stored nothing');
UPDATE system_configs SET is_active = false WHERE config_key = 'rate_limits';
SELECT is(pg_temp.begun(:'asked'), 'no: quota_exceeded UQ001 402, message 2+1 of 3, 0 left, resets 12-01 00:00:00, retry in 294, no turn', 'where the row "rate_limits" is inactive, the rate is not asked');
UPDATE system_configs SET is_active = true WHERE config_key = 'rate_limits';
SELECT is(pg_temp.begun(:'asked'), 'no: rate_limited UQ002 429, rate 10+0 of 10, 0 left, resets 11-22 10:06:06, retry in 6, no turn', 'where it is active again, it is');
SELECT reset_user_rate_limit(:'asked');
SELECT is(pg_temp.begun(:'asked', :'asked_conversation'), 'no: quota_exceeded UQ001 402, message 2+1 of 3, 0 left, resets 12-01 00:00:00, retry in 294, no turn', 'support can give the units back');
SAVEPOINT tier;
SELECT pg_temp.configure('rate_limits', '{"free": 1, "base": 2, "pro": 3}');
SELECT pg_temp.new_user('lapsed', 'pro') AS lapsed \gset
UPDATE users SET subscription_status = 'canceled' WHERE id = :'lapsed';
SELECT pg_temp.begun(:'lapsed');
SELECT is(pg_temp.begun(:'lapsed'), 'no: rate_limited UQ002 429, rate 1+0 of 1, 0 left, resets 11-22 10:06:06, retry in 60, no turn', 'the tier in force decides the rate');
ROLLBACK TO tier;
SAVEPOINT tier;
DELETE FROM system_configs WHERE config_key = 'rate_limits';
SELECT pg_temp.configure('rate_limits', '{"free": 1}');
SELECT pg_temp.begun(:'ada');
SELECT alike(pg_temp.begun(:'ada'), 'no: rate_limited UQ002 429, rate 1+0 of 1,%', 'a tier that is not listed has the rate of free');
ROLLBACK TO tier;
SAVEPOINT tier;
UPDATE system_configs SET is_active = false WHERE config_key = 'subscription_plans';
SELECT throws_ok($$SELECT pg_temp.begun(pg_temp.user_id('ada'))$$, '55000', NULL, 'so is a turn without plans');
ROLLBACK TO tier;

-- where a turn goes: after the newest, after a reply, beside a message, in place of a reply
SELECT pg_temp.at(1000);
SELECT * FROM begin_turn(:'ada', NULL, 'one', 'small') \gset one_
SELECT pg_temp.completed(:'one_reservation_id', 'reply 1', 10, 20);
SELECT pg_temp.at(1001);
SELECT * FROM begin_turn(:'ada', :'one_conversation_id', 'two', 'small') \gset two_
SELECT is(:'two_conversation_id'::uuid, :'one_conversation_id', 'a turn in a conversation stays in it');
SELECT is(pg_temp.thread(:'one_conversation_id'), '1 user sent "one", 2<1 assistant sent "reply 1", 3<2 user sent "two", 4<3 assistant sending ""', 'without a parent it continues after the newest message');
SELECT pg_temp.completed(:'two_reservation_id', 'reply 2', 10, 20);
SELECT pg_temp.at(1002);
SELECT * FROM begin_turn(:'ada', :'one_conversation_id', 'two b', 'small', 0, :'one_assistant_message_id') \gset branch_
SELECT is(pg_temp.thread(:'one_conversation_id'), '1 user sent "one", 2<1 assistant sent "reply 1", 3<2 user sent "two", 4<3 assistant sent "reply 2", 5<2 user sent "two b", 6<5 assistant sending ""',
          'after a reply that is given as parent');
SELECT pg_temp.completed(:'branch_reservation_id', 'reply 2b', 10, 20);
SELECT pg_temp.at(1003);
SELECT * FROM begin_turn(:'ada', :'one_conversation_id', 'two c', 'small', 0, :'two_message_id') \gset edit_
SELECT is((SELECT parent_message_id FROM messages WHERE id = :'edit_message_id'), :'one_assistant_message_id', 'beside a message of the user that is given as parent: an edit');
SELECT is((SELECT parent_message_id FROM messages WHERE id = :'edit_assistant_message_id'), :'edit_message_id', 'with its own reply');
SELECT pg_temp.completed(:'edit_reservation_id', 'reply 2c', 10, 20);
SELECT pg_temp.at(1004);
SELECT * FROM begin_turn(:'ada', :'one_conversation_id', 'one b', 'small', 0, :'one_message_id') \gset root_
SELECT is((SELECT parent_message_id FROM messages WHERE id = :'root_message_id'), NULL, 'an edit of the first message begins anew');
SELECT pg_temp.completed(:'root_reservation_id', 'reply 1b', 10, 20);
SELECT pg_temp.at(1005);
SELECT count(*) AS count_before FROM messages \gset
SELECT * FROM begin_turn(:'ada', :'one_conversation_id', NULL, 'small', 30, :'two_message_id') \gset again_
SELECT is(:'again_message_id'::uuid, :'two_message_id', 'without content the reply is made anew: message_id is the message that it answers');
SELECT is((SELECT count(*) FROM messages) - :'count_before', 1::bigint, 'only a reply is stored');
SELECT is(pg_temp.message(:'again_assistant_message_id'), 'assistant sending "" text small - - - - - -', 'as in every turn');
SELECT is((SELECT parent_message_id FROM messages WHERE id = :'again_assistant_message_id'), :'two_message_id', 'beside the other reply');
SELECT is(pg_temp.reservation(:'again_reservation_id'), 'open 1 30 0.006 small 10:21:45 -', 'and it holds as any turn does');
SELECT is(pg_temp.message(:'two_assistant_message_id'), 'assistant sent "reply 2" text small 10 20 30 0.005 - -', 'the other reply stays');
SELECT is(pg_temp.completed(:'again_reservation_id', 'reply 2 again', 10, 20), '30 tokens for 0.005', 'it is completed as any turn is');
SELECT is(pg_temp.conversation(:'one_conversation_id'), '11 180 0.03 10:16:45.000000', 'and the conversation has all replies');
UPDATE messages SET status = 'deleted' WHERE id = :'again_assistant_message_id';
SELECT pg_temp.at(1006);
SELECT * FROM begin_turn(:'ada', :'one_conversation_id', 'newest', 'small') \gset newest_
SELECT is((SELECT parent_message_id FROM messages WHERE id = :'newest_message_id'), :'root_assistant_message_id', 'a message that is deleted is not the newest');
SELECT pg_temp.failed(:'newest_reservation_id', 'stopped');
INSERT INTO conversations (user_id) VALUES (:'ada') RETURNING id AS empty \gset
SELECT pg_temp.begun(:'ada', :'empty');
SELECT is(pg_temp.thread(:'empty'), '1 user sent "question", 2<1 assistant sending ""', 'the first message of a conversation has no parent');
INSERT INTO conversations (user_id) VALUES (:'ada') RETURNING id AS ruled \gset
INSERT INTO messages (conversation_id, user_id, role, content, created_at) VALUES (:'ruled', :'ada', 'system', 'Be brief.', '2026-11-22Z') RETURNING id AS rule \gset
SELECT pg_temp.begun(:'ada', :'ruled');
SELECT is(pg_temp.thread(:'ruled'), '1 system sent "Be brief.", 2<1 user sent "question", 3<2 assistant sending ""', 'a system message is continued after, as a reply is');

-- ids, kinds and metadata of the client
SELECT is((SELECT message_id FROM begin_turn(:'ada', :'empty', 'mine', 'small', p_message_id => '00000000-0000-4000-8000-0000000000aa')), '00000000-0000-4000-8000-0000000000aa', 'a client may give the id of its message');
SELECT pg_temp.stored() AS before \gset
SELECT throws_ok(format($$SELECT begin_turn(%L, %L, 'mine', 'small', p_message_id => '00000000-0000-4000-8000-0000000000aa')$$, u, c), '23505', NULL, 'which is refused when it is taken, ' || whose)
FROM (VALUES (:'ada', :'empty', 'there'), (:'ada', NULL, 'elsewhere'), (:'bob', NULL, 'by another user')) AS v (u, c, whose);
SELECT is(pg_temp.stored(), :'before', 'and then nothing is stored or held');
SELECT is(pg_temp.message(t.message_id) || '; ' || pg_temp.message(t.assistant_message_id),
          format('user sent "%s.png" %1$s - - - - - - {"kind": "%1$s"}; assistant sending "" text small - - - - - -', kind), format('a message may be %s, its reply is text', kind))
FROM unnest(ARRAY['text', 'image', 'file', 'audio', 'tool_call', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document']) AS kind, LATERAL begin_turn(:'ada', NULL, kind || '.png', 'small', p_content_type => kind, p_metadata => jsonb_build_object('kind', kind)) AS t;
SELECT E'\u4f60\u597d\u00a0\U0001F600 ''$1'' \\ %s\r\n' AS text \gset
SELECT message_id AS texts FROM begin_turn(:'ada', NULL, :'text', 'small') \gset
SELECT is((SELECT convert_to(content, 'UTF8') FROM messages WHERE id = :'texts'), convert_to(:'text', 'UTF8'), 'any text is stored as it is');
SELECT is((SELECT date_trunc('second', expires_at) FROM begin_turn(:'ada', NULL, 'x', 'small', p_ttl => '90 seconds')), '2026-11-22 10:18:16Z', 'a turn may have another time to live');

-- refusals
SELECT message_id AS bobs, conversation_id AS bobs_conversation, assistant_message_id AS bobs_reply FROM begin_turn(:'bob', NULL, 'mine', 'small') \gset
INSERT INTO messages (conversation_id, user_id, role, content, status) VALUES (:'one_conversation_id', :'ada', 'user', 'gone', 'deleted') RETURNING id AS gone \gset
SELECT pg_temp.stored() AS before \gset
SELECT throws_ok(format('SELECT * FROM begin_turn(%s)', replace(replace(replace(replace(v.call, '$u', quote_literal(:'ada')), '$c', quote_literal(:'one_conversation_id')), '$m', quote_literal(:'one_message_id')), '$r', quote_literal(:'one_assistant_message_id'))),
                 v.code, NULL, format('%s: %s', v.why, v.code))
FROM (VALUES
    ('NULL, $c, ''x'', ''small''', '22004', 'no user'), ('$u, $c, ''x'', NULL', '22004', 'no model'), ('$u, $c, ''x'', ''small'', NULL', '22004', 'no estimate'),
    ('$u, $c, ''x'', ''small'', p_content_type => NULL', '22004', 'no content type'), ('$u, $c, ''x'', ''small'', p_ttl => NULL', '22004', 'no time to live'),
    ('$u, $c, NULL, ''small''', '22004', 'neither content nor parent'), ('$u, NULL, NULL, ''small''', '22004', 'neither content nor anything to answer'),
    ('$u, $c, '''', ''small''', '22023', 'empty content'), ('$u, $c, ''x'', ''''', '22023', 'an empty model'), ('$u, $c, ''x'', repeat(''m'', 256)', '22023', 'a model that is too long'),
    ('$u, $c, ''x'', ''small'', -1', '22023', 'a negative estimate'),
    ('$u, NULL, ''x'', ''small'', 0, $m', '22023', 'a parent without a conversation'), ('$u, NULL, NULL, ''small'', 0, $m', '22023', 'a reply made anew without a conversation'),
    ('$u, $c, NULL, ''small'', 0, $r', '22023', 'a reply to a reply made anew'),
    ('$u, $c, NULL, ''small'', 0, $m, p_message_id => uuid_v7()', '22023', 'an id for no message'), ('$u, $c, NULL, ''small'', 0, $m, p_metadata => ''{}''', '22023', 'metadata of no message'),
    ('$u, $c, ''x'', ''small'', p_ttl => ''0.999999 seconds''', '22023', 'too short a time'), ('$u, $c, ''x'', ''small'', p_ttl => ''24:00:00.000001''', '22023', 'too long a time'),
    ('$u, $c, ''x'', ''small'', p_ttl => ''-1 hour''', '22023', 'a negative time'), ('$u, $c, ''x'', ''small'', p_ttl => ''1 month''', '22023', 'a time of months'),
    ('$u, $c, ''x'', ''small'', p_idempotency_key => ''''', '22023', 'an empty key'), ('$u, $c, ''x'', ''small'', p_idempotency_key => repeat(''k'', 256)', '22023', 'a key that is too long'),
    ('$u, $c, ''x'', ''small'', p_content_type => repeat(''t'', 256)', '22001', 'a content type that is too long'), ('$u, $c, ''x'', ''small'', p_content_type => ''''', '23514', 'an empty content type'),
    ('uuid_v7(), NULL, ''x'', ''small''', 'P0002', 'an unknown user'), ('uuid_v7(), NULL, ''x'', ''small'', p_idempotency_key => ''k''', 'P0002', 'an unknown user with a key'),
    ('$u, uuid_v7(), ''x'', ''small''', 'P0002', 'an unknown conversation'), ('$u, uuid_v7(), ''x'', ''small'', 0, $m', 'P0002', 'a parent in an unknown one'),
    ('$u, $c, ''x'', ''small'', 0, uuid_v7()', 'P0002', 'an unknown parent'), ('$u, $c, NULL, ''small'', 0, uuid_v7()', 'P0002', 'an unknown message to answer anew')) AS v (call, code, why);
SELECT throws_ok(format('SELECT * FROM begin_turn(%L, %L, %L, ''small'', 0, %L)', u, c, content, parent), 'P0002', NULL, why)
FROM (VALUES (:'ada', :'bobs_conversation', 'x', NULL, 'a foreign conversation'), (:'ada', :'bobs_conversation', 'x', :'bobs_reply', 'a foreign conversation and its reply'),
             (:'ada', :'one_conversation_id', 'x', :'bobs_reply', 'a foreign parent'), (:'ada', :'one_conversation_id', NULL, :'bobs', 'a foreign message to answer anew'),
             (:'ada', :'empty', 'x', :'one_assistant_message_id', 'a parent in another conversation'), (:'ada', :'empty', NULL, :'one_message_id', 'a message of another conversation to answer anew'),
             (:'ada', :'one_conversation_id', 'x', :'again_assistant_message_id', 'a deleted reply as parent'), (:'ada', :'one_conversation_id', NULL, :'gone', 'a deleted message to answer anew'),
             (:'ada', :'one_conversation_id', 'x', :'gone', 'an edit of a deleted message')) AS v (u, c, content, parent, why);
SELECT is(pg_temp.stored(), :'before', 'all these refusals stored nothing, and held nothing');

-- at most so many turns at once
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 9, "maxConcurrentTurns": 2}, "base": {"messagesPerMonth": -1, "maxConcurrentTurns": 0}, "pro": {"messagesPerMonth": -1, "maxConcurrentTurns": -1}}');
SELECT pg_temp.at(1900);
SELECT pg_temp.new_user('eager') AS eager, pg_temp.new_user('barred', 'base') AS barred, pg_temp.new_user('unbarred', 'pro') AS unbarred \gset
SELECT reservation_id FROM reserve_usage(:'eager', 1, 1) \g /dev/null
SELECT * FROM begin_turn(:'eager', NULL, 'x', 'small', p_ttl => '1 minute') \gset e1_
SELECT * FROM begin_turn(:'eager', NULL, 'x', 'small') \gset e2_
SELECT is(pg_temp.begun(:'eager'), 'no: too_many_turns UQ007 429, rate 0+2 of 2, 0 left, retry in 60, no turn', 'a third turn at once is denied until the first of them expires; what is merely reserved is none');
SELECT is((SELECT limit_name FROM begin_turn(:'eager', NULL, 'x', 'small')), NULL, 'which is no limit of the month');
SELECT throws_ok($$SELECT raise_if_denied(t) FROM begin_turn(pg_temp.user_id('eager'), NULL, 'x', 'small') AS t$$, 'UQ007', NULL, 'and can be raised');
SELECT pg_temp.failed(:'e2_reservation_id', 'broke off');
SELECT is(pg_temp.begun(:'eager'), 'yes, message 0+3 of 9, 6 left, resets 12-01 00:00:00', 'one that ends makes room');
SELECT is(pg_temp.begun(:'eager') LIKE 'no: too_many_turns%', true, 'for one');
SELECT pg_temp.at(1960);
SELECT is(pg_temp.begun(:'eager'), 'yes, message 0+3 of 9, 6 left, resets 12-01 00:00:00', 'so does one that expires, at that moment');
SELECT is(pg_temp.begun(:'barred'), 'no: too_many_turns UQ007 429, rate 0+0 of 0, 0 left, no turn', '0 is none');
SELECT is(count(*) FILTER (WHERE pg_temp.begun(:'unbarred') LIKE 'yes%'), 5::bigint, '-1 is any number') FROM generate_series(1, 5);
SELECT throws_ok(format($$SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 9, "maxConcurrentTurns": %s}}')$$, value), '22023', NULL, value || ' is no such number')
FROM unnest(ARRAY['-2', '1.5', '"2"', 'null']) AS value;
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 3, "tokensPerMonth": 1000, "costPerMonth": 0.5, "models": ["small"]}, "base": {"messagesPerMonth": -1}, "pro": {"messagesPerMonth": -1}}');

-- a conversation of an id that the client chose
SELECT pg_temp.new_user('chooser') AS chooser, uuid_v7() AS chosen \gset
SELECT update_user_usage(:'chooser', 3);
SELECT is((SELECT reason FROM begin_turn(:'chooser', :'chosen', 'Hello', 'small', p_create => true)), 'quota_exceeded', 'a first turn that is denied');
SELECT is_empty(format('SELECT FROM conversations WHERE id = %L', :'chosen'), 'leaves no conversation');
SELECT pg_temp.new_user('chooser2') AS chooser \gset
SELECT throws_ok(format('SELECT begin_turn(%L, %L, ''Hello'', ''small'')', :'chooser', :'chosen'), 'P0002', NULL, 'one that is not there is not begun unasked');
SELECT throws_ok(format('SELECT begin_turn(%L, %L, ''Hello'', ''small'', 0, uuid_v7(), p_create => true)', :'chooser', :'chosen'), 'P0002', NULL, 'nor where a parent is named in it');
SELECT * FROM begin_turn(:'chooser', :'chosen', 'Hello', 'small', p_create => true) \gset cc_
SELECT is(concat_ws(' ', :'cc_conversation_id'::uuid = :'chosen', :'cc_reply_status', pg_temp.thread(:'chosen'), pg_temp.conversation(:'chosen')), concat_ws(' ', 't sending 1 user sent "Hello", 2<1 assistant sending "" 2 0 0', to_char(current_setting('claude_gpt.fixed_time')::timestamptz AT TIME ZONE 'UTC', 'HH24:MI:SS') || '.000001'), 'p_create begins it');
SELECT pg_temp.completed(:'cc_reservation_id', 'Hi', 1, 1);
SELECT message_id AS cc2 FROM begin_turn(:'chooser', :'chosen', 'And?', 'small', p_create => true) \gset
SELECT is((SELECT string_agg(content, ' ' ORDER BY position) FROM conversation_path(:'chooser', :'cc2')), 'Hello Hi And?', 'and goes on where it is there');
SELECT throws_ok(format('SELECT begin_turn(%L, %L, ''Hello'', ''small'', p_create => true)', :'ada', :'chosen'), '23505', NULL, 'another user does not get it');
SELECT throws_ok(format('SELECT begin_turn(%L, %L, ''Hello'', ''small'', p_create => NULL)', :'chooser', :'chosen'), '22004', NULL, 'whether to begin it is not NULL');

-- idempotency keys
SELECT pg_temp.at(2000);
SELECT pg_temp.new_user('keyed') AS keyed \gset
SELECT * FROM begin_turn(:'keyed', NULL, 'once', 'small', 100, p_metadata => '{"a": 1, "b": 2}', p_idempotency_key => 'k') \gset first_
SELECT pg_temp.stored() AS before, pg_temp.rate_left(:'keyed') AS rate_before \gset
SELECT pg_temp.at(2060);
SELECT is((SELECT to_jsonb(t) FROM begin_turn(:'keyed', NULL, 'once', 'small', 100, p_metadata => '{"b": 2, "a": 1}', p_idempotency_key => 'k') AS t),
          jsonb_build_object('allowed', true, 'reason', NULL, 'limit_name', 'message', 'limit_value', 3, 'used', 0, 'held', 1, 'remaining', 2, 'resets_at', '2026-12-01Z'::timestamptz, 'retry_after_seconds', NULL, 'error_code', NULL,
                             'http_status', NULL, 'replayed', true, 'conversation_id', :'first_conversation_id', 'message_id', :'first_message_id', 'assistant_message_id', :'first_assistant_message_id',
                             'reservation_id', :'first_reservation_id', 'expires_at', '2026-11-22 10:38:20Z'::timestamptz, 'reply_status', 'sending'), 'the same call with the same key gets the same answer and ids, and is told so');
SELECT pg_temp.at(2000);
SELECT is(pg_temp.stored(), :'before', 'it stores nothing');
SELECT is(pg_temp.rate_left(:'keyed'), :rate_before, 'and costs no unit of the rate');
SELECT throws_ok(format($$SELECT begin_turn(%L, %s, p_idempotency_key => 'k')$$, :'keyed', call), 'UQ006', NULL, 'the key is refused for another ' || what)
FROM (VALUES ('NULL, ''twice'', ''small'', 100, p_metadata => ''{"a": 1, "b": 2}''', 'content'), ('NULL, ''once'', ''big'', 100, p_metadata => ''{"a": 1, "b": 2}''', 'model'), ('NULL, ''once'', ''small'', 101, p_metadata => ''{"a": 1, "b": 2}''', 'estimate'),
             (quote_literal(:'first_conversation_id') || ', ''once'', ''small'', 100, p_metadata => ''{"a": 1, "b": 2}''', 'conversation'), ('NULL, ''once'', ''small'', 100, p_metadata => ''{"a": 1}''', 'metadata'),
             ('NULL, ''once'', ''small'', 100, p_metadata => ''{"a": 1, "b": 2}'', p_ttl => ''6 minutes''', 'time to live'), ('NULL, ''once'', ''small'', 100, p_metadata => ''{"a": 1, "b": 2}'', p_message_id => uuid_v7()', 'message id'),
             ('NULL, ''once'', ''small'', 100, p_metadata => ''{"a": 1, "b": 2}'', p_content_type => ''file''', 'content type')) AS v (call, what);
SELECT throws_ok(format($$SELECT reserve_usage(%L, 100, 1, 'small', p_idempotency_key => 'k')$$, :'keyed'), 'UQ006', NULL, 'and for another function');
SELECT isnt((SELECT reservation_id FROM begin_turn(:'ada', NULL, 'once', 'small', 100, p_metadata => '{"a": 1, "b": 2}', p_idempotency_key => 'k')), :'first_reservation_id', 'another user has keys of his own');
CREATE FUNCTION pg_temp.status_again() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', replayed, COALESCE(reply_status, 'none')) FROM claude_gpt.begin_turn(pg_temp.user_id('keyed'), NULL, 'once', 'small', 100, p_metadata => '{"a": 1, "b": 2}', p_idempotency_key => 'k')
$$;
SELECT pg_temp.completed(:'first_reservation_id', 'done', 1, 1);
SELECT is(pg_temp.status_again(), 't sent', 'a repeated call says what became of the reply');
UPDATE messages SET status = 'deleted' WHERE id = :'first_assistant_message_id';
SELECT is(pg_temp.status_again(), 't deleted', 'also where it was deleted');
SELECT delete_conversation(:'keyed', :'first_conversation_id');
SELECT is(pg_temp.status_again(), 't none', 'and nothing where it is gone');
SELECT pg_temp.configure('maintenance_mode', 'true');
SELECT is((SELECT concat_ws(' ', allowed, replayed, reservation_id, assistant_message_id) FROM begin_turn(:'keyed', NULL, 'once', 'small', 100, p_metadata => '{"a": 1, "b": 2}', p_idempotency_key => 'k')),
          concat_ws(' ', true, true, :'first_reservation_id', :'first_assistant_message_id'), 'a repeated call is answered after the turn is over, its conversation deleted, and in maintenance');
SELECT is(pg_temp.begun(:'keyed', p_key => 'denied'), 'no: maintenance UQ004 503, no turn', 'a denial');
SELECT pg_temp.configure('maintenance_mode', 'false');
SELECT is(pg_temp.begun(:'keyed', p_key => 'denied'), 'yes, message 1+1 of 3, 1 left, resets 12-01 00:00:00', 'is not remembered');
SELECT throws_ok(format('SELECT pg_temp.begun(%L, %L, p_key => ''refused'')', :'keyed', :'bobs_conversation'), 'P0002', NULL, 'a refusal');
SELECT is(pg_temp.begun(:'keyed', p_key => 'refused'), 'yes, message 1+2 of 3, 0 left, resets 12-01 00:00:00', 'neither');
SELECT pg_temp.at(2000 + 86399);
SELECT is((SELECT concat_ws(' ', replayed, reservation_id) FROM begin_turn(:'keyed', NULL, 'once', 'small', 100, p_metadata => '{"a": 1, "b": 2}', p_idempotency_key => 'k')), concat_ws(' ', true, :'first_reservation_id'), 'a key is remembered for a day');
SELECT pg_temp.at(2000 + 86400);
SELECT is((SELECT concat_ws(' ', replayed, reservation_id <> :'first_reservation_id', conversation_id <> :'first_conversation_id') FROM begin_turn(:'keyed', NULL, 'once', 'small', 100, p_metadata => '{"a": 1, "b": 2}', p_idempotency_key => 'k')),
          'f t t', 'then it begins another turn');

-- save_partial
SELECT pg_temp.at(100000);
SELECT pg_temp.new_user('cat') AS cat, pg_temp.new_user('dan', 'pro') AS dan \gset
SELECT * FROM begin_turn(:'cat', NULL, 'Tell', 'small', 500) \gset s_
SELECT save_partial(pg_temp.owner(:'s_reservation_id'), :'s_reservation_id', 'Once');
SELECT save_partial(pg_temp.owner(:'s_reservation_id'), :'s_reservation_id', 'Once upon a time');
SELECT is(pg_temp.message(:'s_assistant_message_id'), 'assistant sending "Once upon a time" text small - - - - - -', 'what was streamed so far replaces what was saved before, and the reply stays "sending"');
SELECT is(pg_temp.conversation(:'s_conversation_id') || '; ' || pg_temp.counters(:'cat'), '2 0 0 13:46:40.000001; 0 0 0 | 0 0 0 | 1 500 0.1 13:51:40', 'nothing is counted by it');
SELECT save_partial(pg_temp.owner(:'s_reservation_id'), :'s_reservation_id', '');
SELECT is(pg_temp.message(:'s_assistant_message_id'), 'assistant sending "" text small - - - - - -', 'a reply may be emptied again');
SELECT pg_temp.at(100400);
SELECT lives_ok(format('SELECT save_partial(pg_temp.owner(%1$L), %1$L, ''late'')', :'s_reservation_id'), 'a stream that outlives its hold is still saved');
SELECT pg_temp.at(100200);
SELECT reservation_id AS plain FROM reserve_usage(:'dan', 10, 1, 'small') \gset
SELECT throws_ok($$SELECT save_partial(uuid_v7(), uuid_v7(), 'x')$$, 'P0002', NULL, 'of no reservation nothing is saved');
SELECT throws_ok(format('SELECT save_partial(pg_temp.owner(%1$L), %1$L, ''x'')', :'plain'), '55000', NULL, 'nor of one that belongs to no turn');
SELECT throws_ok($$SELECT save_partial(pg_temp.owner(NULL), NULL, 'x')$$, '22004', NULL, 'nor of NULL');
SELECT throws_ok(format('SELECT save_partial(pg_temp.owner(%1$L), %1$L, NULL)', :'s_reservation_id'), '22004', NULL, 'nor NULL');
SELECT is(pg_temp.message(:'s_assistant_message_id'), 'assistant sending "late" text small - - - - - -', 'which leaves what was saved');

-- nobody ends, saves or reads another's turn by its reservation
SELECT pg_temp.new_user('stranger') AS stranger \gset
SELECT throws_ok(format('SELECT %s(%L, %L%s)', f, :'stranger', :'s_reservation_id', more), 'P0002',
                 format('reservation "%s" does not exist', :'s_reservation_id'), format('%s of another user''s turn is refused as if there were none', f))
FROM (VALUES ('save_partial', ', ''x'''), ('complete_turn', ', ''x'', 1, 1, 0'), ('fail_turn', ', ''x'''), ('extend_usage', ', ''1 hour'''), ('settle_usage', ', 1, 1, 0'),
             ('release_usage', '')) AS v (f, more);
SELECT throws_ok(format('SELECT %s(NULL, %L%s)', f, :'s_reservation_id', more), '22004', 'p_user_id must not be null', format('%s of no user too', f))
FROM (VALUES ('save_partial', ', ''x'''), ('complete_turn', ', ''x'', 1, 1, 0'), ('fail_turn', ', ''x'''), ('extend_usage', ', ''1 hour'''), ('settle_usage', ', 1, 1, 0'),
             ('release_usage', '')) AS v (f, more);
SELECT is((SELECT status FROM messages WHERE id = :'s_assistant_message_id'), 'sending', 'and the turn goes on');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace = 'claude_gpt'::regnamespace AND 'p_user_id' = ANY (p.proargnames)
                  AND p.proargnames[1] <> 'p_user_id'$$, 'the user comes first wherever a function acts for one');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace = 'claude_gpt'::regnamespace
                  AND p.proargnames && '{p_reservation_id,p_conversation_id,p_message_id,p_leaf_message_id}' AND p.proargnames[1] <> 'p_user_id'$$, 'and so with what is a user''s');

-- what is saved renews the hold
SELECT pg_temp.new_user('longwinded') AS long \gset
SELECT pg_temp.at(400000);
SELECT * FROM begin_turn(:'long', NULL, 'x', 'small', 900) \gset lw_
CREATE FUNCTION pg_temp.held_until(p_seconds numeric) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.at(p_seconds); SELECT claude_gpt.save_partial(user_id, id, 'part ' || p_seconds) FROM claude_gpt_data.usage_reservations WHERE user_id = pg_temp.user_id('longwinded');
    SELECT concat_ws(' ', to_char(r.expires_at AT TIME ZONE 'UTC', 'HH24:MI:SS'), u.next_hold_expiry <= r.expires_at, u.held_token_count) FROM claude_gpt_data.usage_reservations AS r JOIN claude_gpt_data.users AS u ON u.id = r.user_id WHERE u.id = pg_temp.user_id('longwinded')
$$;
SELECT is(pg_temp.held_until(400000 + s), told, format('saved after %s seconds', s))
FROM (VALUES (1, '01:11:40 t 900'), (150, '01:11:40 t 900'), (151, '01:14:11 t 900'), (300, '01:14:11 t 900'), (302, '01:16:42 t 900'), (600, '01:21:40 t 900')) AS v (s, told);
SELECT is(pg_temp.begun(:'long', NULL, 'small', 101), 'no: quota_exceeded UQ001 402, token 0+900 of 1000, 100 left, resets 12-01 00:00:00, retry in 300, no turn', 'a stream of ten minutes still holds what it began with');
SELECT extend_usage(:'long', :'lw_reservation_id', '1 hour');
SELECT is(pg_temp.held_until(400000 + s), told, format('after an extension of an hour: saved after %s seconds', s)) FROM (VALUES (601, '02:16:40 t 900'), (2500, '02:48:20 t 900')) AS v (s, told);
SELECT is(pg_temp.held_until(400000 + 9000), '02:48:20 t 900', 'one that has expired is not renewed');
SELECT is((SELECT content FROM messages WHERE id = :'lw_assistant_message_id'), 'part 409000', 'but saved');
SELECT pg_temp.at(100200);

-- complete_turn
SELECT is(pg_temp.completed(:'s_reservation_id', 'Once upon a time.', 300, 100, p_cached => 200), '400 tokens for 0.032', 'what was used is charged, by the prices of the model');
SELECT is(pg_temp.message(:'s_assistant_message_id'), 'assistant sent "Once upon a time." text small 300 100 400 0.032 - -', 'the reply is stored with its tokens and cost');
SELECT is(pg_temp.conversation(:'s_conversation_id'), '2 400 0.032 13:46:40.000001', 'the conversation counts them');
SELECT is(pg_temp.counters(:'cat'), '1 400 0.032 | 1 400 0.032 | 0 0 0 never', 'the user too, and nothing is held any more');
SELECT is(pg_temp.ledger(:'cat'), '2026-11 message 1 0 small, 2026-11 token 400 0.032 small', 'a message and the tokens are recorded');
SELECT is(pg_temp.referred(:'cat'), 'assistant conversation', 'with the reply and the conversation');
SELECT is(pg_temp.reservation(:'s_reservation_id'), 'settled 1 500 0.1 small 13:51:40 13:50:00', 'the reservation is settled');
SELECT is((SELECT format('%s %s %s %s', message_id = :'s_assistant_message_id', conversation_id = :'s_conversation_id', total_tokens, replayed) FROM complete_turn(pg_temp.owner(:'s_reservation_id'), :'s_reservation_id', 'Once upon a time.', 300, 100, NULL, NULL, 200)),
          't t 400 t', 'the same call again is answered with the ids, and that it is one');
SELECT is(pg_temp.message(:'s_assistant_message_id'), 'assistant sent "Once upon a time." text small 300 100 400 0.032 - -', 'the reply stays as it was first stored');
SELECT is(pg_temp.counters(:'cat') || '; ' || pg_temp.conversation(:'s_conversation_id'), '1 400 0.032 | 1 400 0.032 | 0 0 0 never; 2 400 0.032 13:46:40.000001', 'and nothing is counted twice');
SELECT pg_temp.stored() AS before \gset
SELECT throws_ok(format('SELECT complete_turn(pg_temp.owner(%1$L), %1$L, ''x'', %s)', :'s_reservation_id', numbers), 'UQ006', NULL, format('other numbers (%s) are refused', numbers))
FROM unnest(ARRAY['301, 100, NULL, NULL, 200', '300, 101, NULL, NULL, 200', '299, 101, NULL, NULL, 200', '300, 100, 0.032, NULL, 200', '300, 100', '300, 100, NULL, NULL, 0, 200', '0, 0']) AS numbers;
SELECT throws_ok(format('SELECT complete_turn(pg_temp.owner(%1$L), %1$L, %s, 300, 100, NULL, %s, 200)', :'s_reservation_id', v.content, v.metadata), 'UQ006', format('the turn of reservation "%s" ended otherwise', :'s_reservation_id'), 'so is another reply: ' || v.content || ', ' || v.metadata)
FROM (VALUES ('''Once upon a time''', 'NULL'), ('''''', 'NULL'), ('''Once upon a time.''', '''{}''')) AS v (content, metadata);
SELECT throws_ok(format('SELECT fail_turn(pg_temp.owner(%1$L), %1$L, ''x'', 300, 100, ''Once upon a time.'', NULL, 200)', :'s_reservation_id'), 'UQ006', NULL, 'so is to fail it, with the same numbers');
SELECT throws_ok(format('SELECT fail_turn(pg_temp.owner(%1$L), %1$L, ''x'')', :'s_reservation_id'), 'UQ006', NULL, 'or none');
SELECT throws_ok(format('SELECT save_partial(pg_temp.owner(%1$L), %1$L, ''x'')', :'s_reservation_id'), '55000', NULL, 'nothing more is saved of it');
SELECT throws_ok(format('SELECT extend_usage(pg_temp.owner(%1$L), %1$L, ''1 hour'')', :'s_reservation_id'), '55000', NULL, 'nor is it extended');
SELECT is(pg_temp.stored(), :'before', 'all this changed nothing');
SELECT pg_temp.stored() AS before \gset
SELECT is(pg_temp.begun(:'dan', NULL, 'unpriced', 5), 'no: price_unknown UQ009 403, no turn', 'a model without a price is denied before it is asked');
SELECT is(pg_temp.stored(), :'before', 'and nothing is stored');
SELECT throws_ok(format($$SELECT begin_turn(%L, NULL, 'x', 'unpriced', p_estimated_cost => 0)$$, :'dan'), '22023', NULL, 'a cost of nothing is no estimate');
SELECT * FROM begin_turn(:'dan', NULL, 'x', 'unpriced', 5, p_estimated_cost => 0.5) \gset u_
SELECT is(pg_temp.reservation(:'u_reservation_id'), 'open 1 5 0.5 unpriced 13:55:00 -', 'unless the application says what it may cost, which is held');
SELECT is(pg_temp.completed(:'u_reservation_id', 'x', 1, 1, 0.0000000014, '{"stop": "end"}'), '2 tokens for 0.000000001', 'to be completed with a cost, rounded to the ninth place');
SELECT is(pg_temp.message(:'u_assistant_message_id'), 'assistant sent "x" text unpriced 1 1 2 0.000000001 - {"stop": "end"}', 'and metadata');
SELECT is(pg_temp.completed(:'u_reservation_id', 'x', 1, 1, 0.0000000014, '{"stop": "end"}'), '2 tokens for 0.000000001, replayed', 'the same cost again is the same call');
SELECT * FROM begin_turn(:'dan', :'u_conversation_id', 'x', 'unpriced', 5, p_estimated_cost => 0.5) \gset n_
UPDATE messages SET metadata = '{"kept": true}' WHERE id = :'n_assistant_message_id';
SELECT is(pg_temp.completed(:'n_reservation_id', '', 0, 0), '0 tokens for 0', 'an empty reply that cost nothing needs no price');
SELECT is((SELECT concat_ws(' ', status, content, metadata) FROM messages WHERE id = :'n_assistant_message_id'), 'sent  {"kept": true}', 'NULL metadata keeps what is stored');
SELECT is(pg_temp.counters(:'dan'), '2 2 0.000000001 | 2 2 0.000000001 | 1 10 0.002 13:55:00', 'the message counts all the same');
SELECT * FROM begin_turn(:'dan', NULL, 'x', 'small', 5, p_ttl => '10 seconds') \gset over_
SELECT is(pg_temp.completed(:'over_reservation_id', 'long', 1000, 2000000), '2001000 tokens for 400.1', 'what is above the hold is charged');
SELECT * FROM begin_turn(:'dan', NULL, 'x', 'small', 5) \gset big_
SELECT pg_temp.stored() AS before \gset
SELECT throws_ok(format('SELECT complete_turn(pg_temp.owner(%1$L), %1$L, %s)', :'big_reservation_id', v.call), v.code, NULL, format('%s: %s', v.call, v.code))
FROM (VALUES ('NULL, 1, 1', '22004'), ('''x'', 1, 1, 0, NULL, NULL', '22004'), ('''x'', 1, 1, 0, NULL, 0, NULL', '22004'), ('''x'', -1, 1', '22023'), ('''x'', 1, -1', '22023'),
             ('''x'', 1, 1, -0.1', '22023'), ('''x'', 1, 1, ''NaN''', '22023'), ('''x'', 1, 1, 0, NULL, -1', '22023'), ('''x'', 1, 1, 0, NULL, 0, -1', '22023'), ('''x'', 1, 9, 0, NULL, 1, 1', '22023'),
             ('''x'', 2147483647, 1, 0', '22003'), ('''x'', 1, 1, 99999999999', '22003')) AS v (call, code);
SELECT throws_ok($$SELECT complete_turn(pg_temp.owner(NULL), NULL, 'x', 1, 1)$$, '22004', NULL, 'no reservation: 22004');
SELECT throws_ok($$SELECT complete_turn(pg_temp.owner(uuid_v7()), uuid_v7(), 'x', 1, 1)$$, 'P0002', NULL, 'an unknown reservation: P0002');
SELECT throws_ok(format('SELECT complete_turn(pg_temp.owner(%1$L), %1$L, ''x'', 1, 1)', :'plain'), '55000', NULL, 'a reservation of no turn is not completed');
SELECT throws_ok(format('SELECT fail_turn(pg_temp.owner(%1$L), %1$L, ''x'')', :'plain'), '55000', NULL, 'nor failed');
SELECT throws_ok(format('SELECT settle_usage(pg_temp.owner(%1$L), %1$L, 1, 1)', :'big_reservation_id'), '55000', NULL, 'that of a turn is not settled');
SELECT throws_ok(format('SELECT release_usage(pg_temp.owner(%1$L), %1$L)', :'big_reservation_id'), '55000', NULL, 'nor released');
SELECT is(pg_temp.stored(), :'before', 'all these refusals changed nothing');
SELECT is(extend_usage(pg_temp.owner(:'big_reservation_id'), :'big_reservation_id', '1 hour'), '2026-11-23 14:50Z', 'it is extended while it streams');
SELECT is(pg_temp.completed(:'big_reservation_id', 'x', 1, 1, 0), '2 tokens for 0', 'and completed');
SELECT throws_ok(format('SELECT %s(pg_temp.owner(%2$L), %2$L%s)', f, :'big_reservation_id', more), '55000', NULL, format('after which %s is refused as before', f)) FROM (VALUES ('settle_usage', ', 1, 1, 0'), ('release_usage', '')) AS v (f, more);

-- late: after the hold has expired, swept or not
SELECT pg_temp.new_user('eve') AS eve \gset
SELECT * FROM begin_turn(:'eve', NULL, 'x', 'small', 1000, p_ttl => '1 second') \gset late_
SELECT pg_temp.at(100201);
SELECT is(pg_temp.completed(:'late_reservation_id', 'slow', 400, 0), '400 tokens for 0.04, late', 'a turn that is completed at its expiry is charged, and late');
SELECT is(pg_temp.counters(:'eve'), '1 400 0.04 | 1 400 0.04 | 0 0 0 never', 'what it held is given back once');
SELECT is(pg_temp.message(:'late_assistant_message_id'), 'assistant sent "slow" text small 400 0 400 0.04 - -', 'and the reply is stored');
SELECT * FROM begin_turn(:'eve', NULL, 'x', 'small', 600, p_ttl => '1 second') \gset swept_
SELECT pg_temp.at(100202);
SELECT is(pg_temp.begun(:'eve', NULL, 'small', 600), 'yes, message 1+1 of 3, 1 left, resets 12-01 00:00:00', 'another turn takes the room of one that expired');
SELECT is(pg_temp.completed(:'swept_reservation_id', 'slower', 600, 0), '600 tokens for 0.06, late', 'which is charged all the same, beyond the limit');
SELECT is(pg_temp.counters(:'eve'), '2 1000 0.1 | 2 1000 0.1 | 1 600 0.12 13:55:02', 'and gives nothing back a second time');
SELECT is(pg_temp.completed(:'swept_reservation_id', 'slower', 600, 0), '600 tokens for 0.06, late, replayed', 'the same call again is late as the first was');
SELECT pg_temp.at(100200 + 9 * 86400);
SELECT * FROM begin_turn(:'eve', NULL, 'x', 'small', 10) \gset next_
SELECT is(pg_temp.completed(:'next_reservation_id', 'y', 5, 5), '10 tokens for 0.0015', 'a turn in the next month');
SELECT is(pg_temp.counters(:'eve'), '1 10 0.0015 | 3 1010 0.1015 | 0 0 0 never', 'counts in that month');
SELECT pg_temp.new_user('fay') AS fay \gset
SELECT pg_temp.at(100200);
SELECT * FROM begin_turn(:'fay', NULL, 'x', 'small', 10, p_ttl => '24 hours') \gset month_
SELECT set_config('claude_gpt.fixed_time', '2026-12-01T00:00:00Z', true);
SELECT is(pg_temp.completed(:'month_reservation_id', 'y', 5, 5), '10 tokens for 0.0015, late', 'a turn that ends in another month');
SELECT is(pg_temp.ledger(:'fay'), '2026-12 message 1 0 small, 2026-12 token 10 0.0015 small', 'is charged in the one it ends in');
SELECT pg_temp.at(200000);
SELECT repair_books() \g /dev/null

-- replies that are gone when their turn ends
SELECT pg_temp.new_user('gus', 'pro') AS gus \gset
SELECT * FROM begin_turn(:'gus', NULL, 'x', 'small', 5) \gset g1_
SELECT pg_temp.at(200001);
SELECT * FROM begin_turn(:'gus', :'g1_conversation_id', 'x', 'small', 5) \gset g2_
SELECT pg_temp.at(200002);
SELECT * FROM begin_turn(:'gus', :'g1_conversation_id', 'x', 'small', 5) \gset g3_
SELECT pg_temp.at(200003);
SELECT * FROM begin_turn(:'gus', NULL, 'x', 'small', 5) \gset g4_
UPDATE messages SET status = 'deleted', content = 'removed' WHERE id = :'g1_assistant_message_id';
DELETE FROM messages WHERE id = :'g2_assistant_message_id';
UPDATE messages SET status = 'sent', content = 'taken over' WHERE id = :'g3_assistant_message_id';
SELECT delete_conversation(:'gus', :'g4_conversation_id');
SELECT throws_ok(format('SELECT save_partial(pg_temp.owner(%1$L), %1$L, ''x'')', r), '55000', NULL, format('nothing is saved of a reply that was %s', why))
FROM (VALUES (:'g1_reservation_id', 'marked as deleted'), (:'g2_reservation_id', 'deleted'), (:'g3_reservation_id', 'finished otherwise'), (:'g4_reservation_id', 'deleted with its conversation')) AS v (r, why);
SELECT is(pg_temp.completed(:'g1_reservation_id', 'y', 1, 0), '1 tokens for 0.0001', 'the turn of a reply that was marked as deleted is charged all the same');
SELECT is((SELECT concat_ws(' ', status, content, total_tokens) FROM messages WHERE id = :'g1_assistant_message_id'), 'deleted removed', 'the reply stays deleted, with what it was');
SELECT is(pg_temp.completed(:'g2_reservation_id', 'y', 2, 0), '2 tokens for 0.0002', 'so is that of one that was deleted');
SELECT is(pg_temp.completed(:'g3_reservation_id', 'y', 3, 0), '3 tokens for 0.0003', 'and of one that was finished otherwise');
SELECT is((SELECT content FROM messages WHERE id = :'g3_assistant_message_id'), 'taken over', 'which stays as it is');
SELECT is(pg_temp.completed(:'g4_reservation_id', 'y', 4, 0), '4 tokens for 0.0004', 'and of one whose conversation was deleted');
SELECT is(pg_temp.referred(:'gus'), 'assistant conversation, - conversation, assistant conversation, - -', 'records refer to what is still there');
SELECT is(pg_temp.counters(:'gus'), '4 10 0.001 | 4 10 0.001 | 0 0 0 never', 'all of them are counted, and nothing is held');
SELECT is(pg_temp.completed(:'g4_reservation_id', 'y', 4, 0), '4 tokens for 0.0004, replayed', 'the same call again too is answered');
SELECT pg_temp.at(200004);
SELECT * FROM begin_turn(:'gus', NULL, 'x', 'small', 5) \gset g5_
SELECT delete_conversation(:'gus', :'g5_conversation_id');
SELECT is(pg_temp.failed(:'g5_reservation_id', 'lost', 5, 0), '5 tokens for 0.0005', 'a failed one is charged too');
SELECT * FROM begin_turn(:'gus', NULL, 'x', 'small', 5) \gset g6_
SELECT delete_conversation(:'gus', :'g6_conversation_id');
SELECT is(pg_temp.failed(:'g6_reservation_id', 'lost'), '0 tokens for 0', 'or released');
SELECT is(pg_temp.referred(:'gus') || '; ' || pg_temp.counters(:'gus'), 'assistant conversation, - conversation, assistant conversation, - -, - -; 5 15 0.0015 | 5 15 0.0015 | 0 0 0 never', 'as if it were there');
SELECT * FROM begin_turn(:'gus', NULL, 'x', 'small', 5) \gset g7_
INSERT INTO conversations (user_id) VALUES (:'gus') RETURNING id AS moved_to \gset
UPDATE messages SET conversation_id = :'moved_to' WHERE conversation_id = :'g7_conversation_id';
SELECT delete_conversation(:'gus', :'g7_conversation_id');
SELECT lives_ok(format('SELECT complete_turn(pg_temp.owner(%1$L), %1$L, ''y'', 6, 0)', :'g7_reservation_id'), 'a turn whose messages were moved before their conversation was deleted is completed');
SELECT is((SELECT concat_ws(' ', c.total_tokens, m.status, m.content, r.message_id = m.id, r.conversation_id = c.id) FROM conversations AS c JOIN messages AS m ON m.conversation_id = c.id
           LEFT JOIN usage_records AS r ON r.message_id = m.id WHERE c.id = :'moved_to' AND m.role = 'assistant'), '6 sent y t t', 'where they are now');

-- stop_turn
CREATE FUNCTION pg_temp.stopped(p_reservation uuid, p_content text DEFAULT NULL, p_prompt integer DEFAULT NULL, p_completion integer DEFAULT NULL, p_cost numeric DEFAULT NULL, p_metadata jsonb DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.ended(to_jsonb(e)) || CASE WHEN e.estimated THEN ', estimated' ELSE '' END FROM claude_gpt.stop_turn(pg_temp.owner(p_reservation), p_reservation, p_content, p_prompt, p_completion, p_cost, p_metadata) AS e
$$;
SELECT pg_temp.at(290000);
SELECT pg_temp.new_user('kim') AS kim \gset
SELECT * FROM begin_turn(:'kim', NULL, 'tell me', 'small', 500) \gset st_
SELECT save_partial(:'kim', :'st_reservation_id', 'Once upon');
SELECT throws_ok(format('SELECT stop_turn(%L, %s)', v.kim, v.call), v.code, NULL, format('stop_turn %s: %s', v.call, v.code))
FROM (VALUES (:'kim', 'NULL', '22004'), (:'kim', quote_literal(uuid_v7()), 'P0002'), (:'dan', quote_literal(:'st_reservation_id'), 'P0002'), (:'kim', quote_literal(:'st_reservation_id') || ', ''x'', -1, 1', '22023')) AS v (kim, call, code);
SELECT is(pg_temp.stopped(:'st_reservation_id', 'Once upon a', 300, 100, p_metadata => '{"by": "user"}'), '400 tokens for 0.05', 'a turn that is stopped is charged as one that is completed');
SELECT is(pg_temp.message(:'st_assistant_message_id'), 'assistant stopped "Once upon a" text small 300 100 400 0.05 - {"by": "user"}', 'its reply is stored as far as it came');
SELECT is(pg_temp.counters(:'kim') || '; ' || pg_temp.conversation(:'st_conversation_id'), '1 400 0.05 | 1 400 0.05 | 0 0 0 never; 2 400 0.05 18:33:20.000001', 'and counted');
SELECT is(pg_temp.reservation(:'st_reservation_id'), 'settled 1 500 0.1 small 18:38:20 18:33:20', 'the reservation is settled');
SELECT is(pg_temp.stopped(:'st_reservation_id', 'Once upon a', 300, 100, p_metadata => '{"by": "user"}'), '400 tokens for 0.05, replayed', 'the same call again is answered so');
SELECT throws_ok(format('SELECT %s(pg_temp.owner(%2$L), %2$L, %s, 300, 100)', f, :'st_reservation_id', content), 'UQ006', NULL, format('%s with %s is another', f, content))
FROM (VALUES ('stop_turn', '''Once'''), ('stop_turn', 'NULL'), ('complete_turn', '''Once upon a'''), ('fail_turn', '''x''')) AS v (f, content);
SELECT throws_ok(format('SELECT save_partial(%L, %L, ''x'')', :'kim', :'st_reservation_id'), '55000', NULL, 'nothing is saved after it');
SELECT * FROM begin_turn(:'kim', :'st_conversation_id', 'go on', 'small', 100) \gset st2_
SELECT is((SELECT string_agg(concat_ws(' ', role, status, content), ', ' ORDER BY position) FROM conversation_path(:'kim', :'st2_message_id')), 'user sent tell me, assistant stopped Once upon a, user sent go on',
          'a reply that was stopped is part of what the model is sent');
SELECT save_partial(:'kim', :'st2_reservation_id', 'there');
SELECT is(pg_temp.stopped(:'st2_reservation_id'), '100 tokens for 0.02, estimated', 'without a word of what was used, what was held is charged');
SELECT is(pg_temp.message(:'st2_assistant_message_id'), 'assistant stopped "there" text small 0 100 100 0.02 - -', 'and without content, what was saved stays');
SELECT is(pg_temp.stopped(:'st2_reservation_id'), '100 tokens for 0.02, replayed, estimated', 'again');
SELECT is(pg_temp.counters(:'kim'), '2 500 0.07 | 2 500 0.07 | 0 0 0 never', 'once');
SELECT pg_temp.new_user('lea') AS lea \gset
SELECT * FROM begin_turn(:'lea', NULL, 'tell me', 'small', 1) \gset em_
SELECT stop_turn(:'lea', :'em_reservation_id') \g /dev/null
SELECT is((SELECT string_agg(status, ' ' ORDER BY position) FROM conversation_path(:'lea', :'em_assistant_message_id')), 'sent stopped', 'a reply that was stopped before it said anything is the end of a path');
SELECT * FROM begin_turn(:'lea', :'em_conversation_id', 'look', 'small', 1) \gset em2_
SELECT stop_turn(:'lea', :'em2_reservation_id', '', 1, 1, p_parts => '[{"type": "tool-call"}]') \g /dev/null
INSERT INTO messages (conversation_id, user_id, role, content, status, parts) VALUES (:'em_conversation_id', :'lea', 'assistant', '', 'stopped', '[]'), (:'em_conversation_id', :'lea', 'assistant', 'well', 'stopped', NULL);
SELECT is((SELECT string_agg(concat_ws(' ', p.status, p.content, p.parts IS NOT NULL), ', ' ORDER BY p.position) FROM messages AS m, conversation_path(:'lea', m.id) AS p WHERE m.conversation_id = :'em_conversation_id' AND m.content = 'well'),
          'sent tell me f, sent look f, stopped  t, stopped well f', 'and is not sent to the model, which would refuse it; one of parts is');

-- fail_turn
SELECT pg_temp.at(300000);
SELECT pg_temp.new_user('hal') AS hal \gset
SELECT * FROM begin_turn(:'hal', NULL, 'x', 'small', 500) \gset f_
SELECT save_partial(pg_temp.owner(:'f_reservation_id'), :'f_reservation_id', 'half a re');
SELECT pg_temp.at(300001);
SELECT throws_ok(format('SELECT fail_turn(pg_temp.owner(%1$L), %1$L, %s)', :'f_reservation_id', v.call), v.code, NULL, format('%s: %s', v.call, v.code))
FROM (VALUES ('NULL', '22004'), ('''e'', -1', '22023'), ('''e'', 0, -1', '22023'), ('''e'', 0, 0, NULL, -1', '22023'), ('''e'', 1, 1, NULL, 0, 1, 1', '22023')) AS v (call, code);
SELECT throws_ok($$SELECT fail_turn(pg_temp.owner(NULL), NULL, 'e')$$, '22004', NULL, 'no reservation: 22004');
SELECT throws_ok($$SELECT fail_turn(pg_temp.owner(uuid_v7()), uuid_v7(), 'e')$$, 'P0002', NULL, 'an unknown reservation: P0002');
SELECT is((SELECT concat_ws(' ', message_id = :'f_assistant_message_id', conversation_id = :'f_conversation_id', total_tokens, charged_cost, late, replayed) FROM fail_turn(pg_temp.owner(:'f_reservation_id'), :'f_reservation_id', 'upstream: 500')), 't t 0 0.000000000 f f',
          'a turn that failed and used nothing is charged nothing');
SELECT is(pg_temp.message(:'f_assistant_message_id'), 'assistant failed "half a re" text small - - - - upstream: 500 -', 'the reply is failed, with the error and what was saved of it');
SELECT is(pg_temp.reservation(:'f_reservation_id'), 'released 1 500 0.1 small 21:25:00 21:20:01', 'what it held is released');
SELECT is(pg_temp.counters(:'hal') || '; ' || pg_temp.conversation(:'f_conversation_id'), '0 0 0 | 0 0 0 | 0 0 0 never; 2 0 0 21:20:00.000001', 'not even the message is counted for the user; the conversation shows both');
SELECT is(pg_temp.ledger(:'hal'), NULL, 'and nothing is recorded');
SELECT is(pg_temp.failed(:'f_reservation_id', 'another error'), '0 tokens for 0, replayed', 'the same again is answered so, whatever the words of the error');
SELECT throws_ok(format('SELECT fail_turn(pg_temp.owner(%1$L), %1$L, ''upstream: 500'', p_content => ''another text'')', :'f_reservation_id'), 'UQ006', NULL, 'with another reply it is another call');
SELECT is(pg_temp.message(:'f_assistant_message_id'), 'assistant failed "half a re" text small - - - - upstream: 500 -', 'and changes nothing');
SELECT throws_ok(format('SELECT complete_turn(pg_temp.owner(%1$L), %1$L, ''x'', 1, 1)', :'f_reservation_id'), '55000', NULL, 'it is not completed any more');
SELECT throws_ok(format('SELECT fail_turn(pg_temp.owner(%1$L), %1$L, ''x'', 1)', :'f_reservation_id'), '55000', NULL, 'nor charged');
SELECT throws_ok(format('SELECT save_partial(pg_temp.owner(%1$L), %1$L, ''x'')', :'f_reservation_id'), '55000', NULL, 'nor saved');
SELECT pg_temp.at(300002);
SELECT * FROM begin_turn(:'hal', :'f_conversation_id', NULL, 'small', 100, :'f_message_id') \gset f2_
SELECT save_partial(pg_temp.owner(:'f2_reservation_id'), :'f2_reservation_id', 'half');
SELECT is(pg_temp.failed(:'f2_reservation_id', 'cut', 50, 20), '70 tokens for 0.009', 'a turn that failed after tokens were used is charged');
SELECT is(pg_temp.message(:'f2_assistant_message_id'), 'assistant failed "half" text small 50 20 70 0.009 cut -', 'the reply is failed, with them');
SELECT is(pg_temp.counters(:'hal') || '; ' || pg_temp.conversation(:'f_conversation_id'), '1 70 0.009 | 1 70 0.009 | 0 0 0 never; 3 70 0.009 21:20:02.000000', 'with the message');
SELECT is(pg_temp.ledger(:'hal') || '; ' || pg_temp.referred(:'hal'), '2026-11 message 1 0 small, 2026-11 token 70 0.009 small; assistant conversation', 'it is recorded as any turn');
SELECT is(pg_temp.failed(:'f2_reservation_id', 'cut', 50, 20), '70 tokens for 0.009, replayed', 'the same again is answered so');
SELECT throws_ok(format('SELECT complete_turn(pg_temp.owner(%1$L), %1$L, ''x'', 50, 20)', :'f2_reservation_id'), 'UQ006', NULL, 'to complete it is another call');
SELECT throws_ok(format('SELECT fail_turn(pg_temp.owner(%1$L), %1$L, ''cut'', 50, 21)', :'f2_reservation_id'), 'UQ006', NULL, 'so are other numbers');
SELECT throws_ok(format('SELECT fail_turn(pg_temp.owner(%1$L), %1$L, ''cut'')', :'f2_reservation_id'), 'UQ006', NULL, 'or none');
SELECT * FROM begin_turn(:'hal', :'f_conversation_id', NULL, 'small', 100, :'f_message_id') \gset f3_
SELECT save_partial(pg_temp.owner(:'f3_reservation_id'), :'f3_reservation_id', 'half');
SELECT is(pg_temp.failed(:'f3_reservation_id', 'flat fee', p_content => 'the whole', p_cost => 0.25), '0 tokens for 0.25', 'a cost alone is charged');
SELECT is(pg_temp.message(:'f3_assistant_message_id'), 'assistant failed "the whole" text small 0 0 0 0.25 flat fee -', 'content that is given replaces what was saved');
SELECT is(pg_temp.counters(:'hal'), '2 70 0.259 | 2 70 0.259 | 0 0 0 never', 'with the message too');
SELECT * FROM begin_turn(:'hal', :'f_conversation_id', NULL, 'small', 100, :'f_message_id') \gset f4_
SELECT is(pg_temp.failed(:'f4_reservation_id', 'nothing', p_cost => 0), '0 tokens for 0', 'a cost of zero is none');
SELECT is(pg_temp.counters(:'hal'), '2 70 0.259 | 2 70 0.259 | 0 0 0 never', 'and not charged');
SELECT * FROM begin_turn(:'hal', :'f_conversation_id', NULL, 'unpriced', 0, :'f_message_id') \gset f5_
SELECT is(:'f5_reason'::text, 'model_not_in_plan', 'a reply is made anew only by a model of the plan');
SELECT * FROM begin_turn(:'dan', NULL, 'x', 'unpriced', p_estimated_cost => 0.25) \gset f6_
SELECT is(pg_temp.failed(:'f6_reservation_id', '', 1, 0, NULL, 0), '1 tokens for 0', 'a cost that is given may be nothing');
SELECT * FROM begin_turn(:'dan', NULL, 'x', 'unpriced', p_estimated_cost => 0.25) \gset f7_
SELECT is(pg_temp.failed(:'f7_reservation_id', 'e', 1), '1 tokens for 0.25', 'where none is given and no price is known, what was said at the beginning is charged');
SELECT pg_temp.configure('model_prices', '{"small": {"prompt": 100, "completion": 200, "cachedPrompt": 10}, "fleeting": {"prompt": 1000, "completion": 3000}}');
SELECT * FROM begin_turn(:'dan', NULL, 'x', 'fleeting') \gset f8_
SELECT pg_temp.configure('model_prices', '{"small": {"prompt": 100, "completion": 200, "cachedPrompt": 10}}');
SELECT is(pg_temp.completed(:'f8_reservation_id', 'y', 1000, 1000), '2000 tokens for 4', 'a turn is settled by the prices of its beginning, whatever became of them');
SELECT is((SELECT error_message FROM messages WHERE id = :'f6_assistant_message_id'), '', 'an error may have no words');
SELECT is((SELECT string_agg(status || ' ' || message_count || ' ' || charged_cost, ', ') FROM usage_reservations WHERE id = :'f6_reservation_id'), 'settled 1 0.000000000', 'it is settled');
SELECT throws_ok(format('SELECT %s(pg_temp.owner(%2$L), %2$L%s)', f, :'f_reservation_id', more), '55000', NULL, format('%s is refused after a failure', f)) FROM (VALUES ('settle_usage', ', 1, 1, 0'), ('release_usage', ''), ('extend_usage', ', ''1 hour''')) AS v (f, more);

-- a failure after the expiry is one as before it
SELECT pg_temp.new_user('ivy', 'pro') AS ivy \gset
SELECT * FROM begin_turn(:'ivy', NULL, 'x', 'small', 10, p_ttl => '1 second') \gset x_
SELECT pg_temp.at(300003);
SELECT is(pg_temp.failed(:'x_reservation_id', 'timeout'), '0 tokens for 0, late', 'a turn that fails after its expiry is late');
SELECT is(pg_temp.message(:'x_assistant_message_id') || '; ' || pg_temp.counters(:'ivy'), 'assistant failed "" text small - - - - timeout -; 0 0 0 | 0 0 0 | 0 0 0 never', 'it is failed, and what it held is free');
SELECT is(pg_temp.failed(:'x_reservation_id', 'timeout'), '0 tokens for 0, late, replayed', 'the same again is answered so');
SELECT throws_ok(format('SELECT complete_turn(pg_temp.owner(%1$L), %1$L, ''x'', 1, 1)', :'x_reservation_id'), '55000', NULL, 'it is over: not completed any more');
SELECT throws_ok(format('SELECT fail_turn(pg_temp.owner(%1$L), %1$L, ''x'', 1)', :'x_reservation_id'), '55000', NULL, 'nor charged');
SELECT * FROM begin_turn(:'ivy', NULL, 'x', 'small', 10, p_ttl => '1 second') \gset y_
SELECT pg_temp.at(300004);
SELECT pg_temp.begun(:'ivy');
SELECT is(pg_temp.reservation(:'y_reservation_id'), 'expired 1 10 0.002 small 21:20:04 21:20:04', 'one that expired and was swept');
SELECT is(pg_temp.failed(:'y_reservation_id', 'timeout'), '0 tokens for 0, late', 'fails so too');
SELECT throws_ok(format('SELECT complete_turn(pg_temp.owner(%1$L), %1$L, ''x'', 1, 1)', :'y_reservation_id'), '55000', NULL, 'and is over');
SELECT pg_temp.at(300304);
SELECT * FROM begin_turn(:'ivy', NULL, 'x', 'small', 10, p_ttl => '1 second') \gset z_
SELECT pg_temp.at(300306);
SELECT is(pg_temp.failed(:'z_reservation_id', 'timeout', 10, 0), '10 tokens for 0.001, late', 'a late failure is charged what it used');
SELECT is(pg_temp.counters(:'ivy'), '1 10 0.001 | 1 10 0.001 | 0 0 0 never', 'once');
SELECT is(pg_temp.failed(:'z_reservation_id', 'timeout', 10, 0), '10 tokens for 0.001, late, replayed', 'whatever is repeated');

-- without a ledger
SELECT pg_temp.configure('usage_ledger', 'false');
SELECT * FROM begin_turn(:'dan', NULL, 'x', 'small') \gset l_
SELECT pg_temp.completed(:'l_reservation_id', 'y', 1000, 0);
SELECT is_empty('SELECT * FROM prove_books()', 'while the ledger is not kept what is counted beyond it is no difference');
SELECT pg_temp.configure('usage_ledger', 'true');
SELECT is((SELECT string_agg(concat_ws(' ', usage_type, quantity, trim_scale(cost)), ', ' ORDER BY usage_type) FROM usage_balances WHERE user_id = :'dan'), 'message 1 0, token 1000 0.1', 'a turn without a ledger is carried in the balances when it is kept again');
SELECT is_empty('SELECT * FROM prove_books()', 'the books are true after all of this');

SELECT * FROM finish();
ROLLBACK;
