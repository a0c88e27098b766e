-- prove_books and repair_books: what they find, what they set, and what they leave.
BEGIN;
\ir prelude.psql
SELECT no_plan();
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 100, "tokensPerMonth": 100000, "costPerMonth": 100}}');
SELECT pg_temp.configure('model_prices', '{"small": {"prompt": 100, "completion": 200}}');
SELECT pg_temp.configure('rate_limits', '{"free": 1000000}');

-- A number without the zeros that its type writes, and the difference in a line.
CREATE FUNCTION pg_temp.plain(p_value text) RETURNS text LANGUAGE sql AS $$ SELECT CASE WHEN p_value ~ '^-?[0-9.]+$' THEN trim_scale(p_value::numeric)::text ELSE p_value END $$;
CREATE FUNCTION pg_temp.difference(p_user uuid, p_conversation uuid, p_item text, p_recorded text, p_proved text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', (SELECT split_part(email, '@', 1) FROM claude_gpt_data.users WHERE id = p_user), CASE WHEN p_conversation IS NOT NULL THEN 'conversation' END,
                     p_item || ':', pg_temp.plain(p_recorded), 'is', pg_temp.plain(p_proved))
$$;
CREATE FUNCTION pg_temp.proof(p_user uuid DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE(string_agg(pg_temp.difference(b.user_id, b.conversation_id, b.item, b.recorded, b.proved), ', '), 'true') FROM claude_gpt.prove_books(p_user) AS b
$$;
CREATE FUNCTION pg_temp.repair(p_user uuid DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE(string_agg(pg_temp.difference(b.user_id, b.conversation_id, b.item, b.recorded, b.proved), ', '), 'nothing') FROM claude_gpt.repair_books(p_user) AS b
$$;
-- Runs a statement, looks what it made of the books, repairs them, and looks again; all is undone.
CREATE FUNCTION pg_temp.tampered(p_statement text, p_user uuid DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    proof text;
    repaired text;
    again text;
BEGIN
    BEGIN
        SET LOCAL session_replication_role = replica;  -- past the triggers
        EXECUTE p_statement;
        SET LOCAL session_replication_role = origin;
        proof := pg_temp.proof(p_user);
        repaired := pg_temp.repair(p_user);
        again := pg_temp.proof(p_user);
        RAISE EXCEPTION 'undone' USING ERRCODE = 'U0001';
    EXCEPTION WHEN SQLSTATE 'U0001' THEN
    END;
    RETURN CASE WHEN repaired = CASE proof WHEN 'true' THEN 'nothing' ELSE proof END AND again = 'true' THEN proof ELSE format('found %s; repaired %s; then %s', proof, repaired, again) END;
END
$$;

SELECT is(pg_temp.proof(), 'true', 'without users the books are true');
SELECT is(pg_temp.repair(), 'nothing', 'and nothing is repaired');
SELECT pg_temp.new_user('ada') AS ada, pg_temp.new_user('bob') AS bob \gset
SELECT is(pg_temp.proof(), 'true', 'those of new users are true');

-- a healthy month: every way to count
SELECT update_user_usage(:'ada', 2, 30, 0.000000001), record_usage(:'ada', 'api_call', 3, 'small', 0.5), record_usage(:'ada', 'message', 0, NULL, 0.25), consume_quota(:'ada', 'token', 7), consume_quota(:'ada', 'api_call');
SELECT reservation_id AS settled FROM reserve_usage(:'ada', 100, 2, 'small') \gset
SELECT reservation_id AS late FROM reserve_usage(:'ada', 100, 1, 'small', '1 minute') \gset
SELECT reservation_id AS released FROM reserve_usage(:'ada', 100, 1, 'small') \gset
SELECT reservation_id AS expired FROM reserve_usage(:'ada', 100, 1, 'small', '1 minute') \gset
SELECT settle_usage(pg_temp.owner(:'settled'), :'settled', 10, 20), release_usage(pg_temp.owner(:'released'), :'released');
SELECT reservation_id AS completed, conversation_id AS chat FROM begin_turn(:'ada', NULL, 'hello', 'small', 500) \gset
SELECT complete_turn(pg_temp.owner(:'completed'), :'completed', 'world', 10, 20);
SELECT reservation_id AS failed, message_id AS question FROM begin_turn(:'ada', :'chat', 'more', 'small', 500) \gset
SELECT fail_turn(pg_temp.owner(:'failed'), :'failed', 'broken');
SELECT reservation_id AS charged FROM begin_turn(:'ada', :'chat', NULL, 'small', 500, :'question') \gset
SELECT fail_turn(pg_temp.owner(:'charged'), :'charged', 'broken', 5, 6);
SELECT reservation_id AS late_turn, assistant_message_id AS reply FROM begin_turn(:'ada', :'chat', 'and more', 'small', 500, p_ttl => '1 minute') \gset
SELECT reservation_id AS deleted_turn, assistant_message_id AS deleted FROM begin_turn(:'ada', :'chat', 'but', 'small', 500) \gset
SELECT is(pg_temp.proof(), 'true', 'counting, holding, settling, releasing and chatting keep the books true');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:01:00Z';
SELECT is(pg_temp.proof(), 'true', 'holds that are due but not yet expired too');
SELECT settle_usage(pg_temp.owner(:'late'), :'late', 10, 20), complete_turn(pg_temp.owner(:'late_turn'), :'late_turn', 'late', 1, 2), release_usage(pg_temp.owner(:'expired'), :'expired');
UPDATE messages SET status = 'deleted' WHERE id = :'deleted';
SELECT complete_turn(pg_temp.owner(:'deleted_turn'), :'deleted_turn', 'gone', 3, 4);
SELECT is(pg_temp.proof(), 'true', 'what is late, expired or deleted too');
INSERT INTO conversations (id, user_id) VALUES ('00000000-0000-7000-8000-0000000000c2', :'ada');
INSERT INTO messages (id, conversation_id, user_id, role, content, prompt_tokens, completion_tokens, total_tokens, cost) VALUES
    ('00000000-0000-7000-8000-0000000000a1', :'chat', :'ada', 'user', 'a', 5, 6, NULL, 0.5), ('00000000-0000-7000-8000-0000000000a2', :'chat', :'ada', 'user', 'b', 5, 6, 100, NULL);
UPDATE messages SET conversation_id = '00000000-0000-7000-8000-0000000000c2' WHERE id = '00000000-0000-7000-8000-0000000000a1';
DELETE FROM messages WHERE id = '00000000-0000-7000-8000-0000000000a2';
SELECT is(pg_temp.proof(), 'true', 'messages that are written, moved and deleted too');
SELECT pg_temp.configure('usage_ledger', 'false');
SELECT update_user_usage(:'ada', 1, 2, 0.5), consume_quota(:'ada', 'api_call', 3), record_usage(:'ada', 'token', 5), record_usage(:'ada', 'token', 5, NULL, 0.125);
SELECT is(pg_temp.proof(), 'true', 'a time without the ledger too');
SELECT pg_temp.configure('usage_ledger', 'true');
SET LOCAL claude_gpt.fixed_time = '2026-12-31T23:59:59Z';
SELECT is(pg_temp.proof(), 'true', 'a month that is over, and not rolled, too');
SELECT consume_quota(:'ada', 'message', 2), reserve_usage(:'ada', 10, 1, 'small'), reserve_usage(:'ada', 20, 1, 'small', '10 minutes');
SELECT is(pg_temp.proof(), 'true', 'a new month too');
SET LOCAL claude_gpt.fixed_time = '2026-12-31T23:59:00Z';
SELECT consume_quota(:'ada', 'token', 3);
SELECT is(pg_temp.proof(), 'true', 'a clock that is set back, too');
SELECT consume_quota(:'bob', 'message', 4), update_user_usage(:'bob', 0, 50, 0.5);
SELECT is(pg_temp.repair(), 'nothing', 'of true books nothing is repaired');
SELECT is((SELECT concat_ws(' | ', concat_ws(' ', monthly_message_count, total_message_count, monthly_token_count, total_token_count, monthly_api_call_count, total_api_call_count),
                            concat_ws(' ', trim_scale(monthly_cost), trim_scale(total_cost)), concat_ws(' ', held_message_count, held_token_count, trim_scale(held_cost))) FROM users WHERE id = :'ada'),
          '2 12 3 163 0 7 | 0 1.393300001 | 2 30 0.006', 'and they are what was used');

-- every item, each by itself
SELECT is(pg_temp.tampered(format('UPDATE claude_gpt_data.users SET %I = %1$I + 1 WHERE email = ''ada@example.com''', item)), format('ada %s: %s is %s', item, recorded, proved), format('%s is proved and repaired', item))
FROM (VALUES ('monthly_message_count', '3', '2'), ('total_message_count', '13', '12'), ('monthly_token_count', '4', '3'), ('total_token_count', '164', '163'),
             ('monthly_api_call_count', '1', '0'), ('total_api_call_count', '8', '7'), ('monthly_cost', '1', '0'), ('total_cost', '2.393300001', '1.393300001'),
             ('held_message_count', '3', '2'), ('held_token_count', '31', '30'), ('held_cost', '1.006', '0.006')) AS v (item, recorded, proved);
SELECT is(pg_temp.tampered($$UPDATE claude_gpt_data.users SET total_message_count = 0, monthly_cost = 0.000000001 WHERE email = 'ada@example.com'$$),
          'ada monthly_cost: 0.000000001 is 0, ada total_message_count: 0 is 12', 'also what is too small, or the least place of a cost');
SELECT is(pg_temp.tampered($$UPDATE claude_gpt_data.users SET next_hold_expiry = NULL WHERE email = 'ada@example.com'$$), 'ada next_hold_expiry: is 2027-01-01 00:04:59+00', 'a hold that would never expire');
SELECT is(pg_temp.tampered($$UPDATE claude_gpt_data.users SET next_hold_expiry = '2027-01-01 00:04:59.000001Z' WHERE email = 'ada@example.com'$$),
          'ada next_hold_expiry: 2027-01-01 00:04:59.000001+00 is 2027-01-01 00:04:59+00', 'or a moment too late');
SELECT is(pg_temp.tampered($$UPDATE claude_gpt_data.users SET next_hold_expiry = '2001-01-01'$$), 'true', 'one that is looked for too early does no harm');
SELECT is(pg_temp.tampered(format('UPDATE claude_gpt_data.conversations SET %I = %1$I + 1 WHERE id = %L', item, '00000000-0000-7000-8000-0000000000c2')), format('ada conversation %s: %s is %s', item, recorded, proved),
          format('%s of a conversation is proved and repaired', item))
FROM (VALUES ('message_count', '2', '1'), ('total_tokens', '12', '11'), ('total_cost', '1.5', '0.5')) AS v (item, recorded, proved);
UPDATE messages SET created_at = '2026-11-22 10:01:30.5Z' WHERE id = '00000000-0000-7000-8000-0000000000a1';
SELECT is(pg_temp.tampered($$UPDATE claude_gpt_data.conversations SET last_message_at = '2030-01-01Z' WHERE id = '00000000-0000-7000-8000-0000000000c2'$$),
          'ada conversation last_message_at: 2030-01-01 00:00:00+00 is 2026-11-22 10:01:30.5+00', 'last_message_at of a conversation is proved and repaired');

-- counters are proved by records, records by nothing
SELECT is(pg_temp.tampered($$DELETE FROM claude_gpt_data.usage_records WHERE quantity = 4$$), 'bob monthly_message_count: 4 is 0, bob total_message_count: 4 is 0', 'a record that is lost');
SELECT is(pg_temp.tampered($$UPDATE claude_gpt_data.usage_records SET cost = 0.25 WHERE quantity = 50$$), 'bob monthly_cost: 0.5 is 0.25, bob total_cost: 0.5 is 0.25', 'one that was changed');
SELECT is(pg_temp.tampered($$UPDATE claude_gpt_data.usage_records SET billing_period = '2026-10-01' WHERE quantity = 50$$), 'bob monthly_cost: 0.5 is 0, bob monthly_token_count: 50 is 0', 'one of another month');
SELECT is(pg_temp.tampered($$UPDATE claude_gpt_data.usage_records SET usage_type = 'api_call' WHERE quantity = 50$$),
          'bob monthly_api_call_count: 0 is 50, bob monthly_token_count: 50 is 0, bob total_api_call_count: 0 is 50, bob total_token_count: 50 is 0', 'one of another type');
SELECT is(pg_temp.tampered($$UPDATE claude_gpt_data.usage_records SET user_id = pg_temp.user_id('bob') WHERE quantity = 7 AND cost = 0$$), 'ada total_token_count: 163 is 156, bob total_token_count: 50 is 57', 'one of another user');
SELECT is(pg_temp.tampered($$INSERT INTO claude_gpt_data.usage_balances (user_id, usage_type, billing_period, quantity, cost) VALUES (pg_temp.user_id('bob'), 'message', '0001-01-01', -3, 0.5)$$),
          'bob total_cost: 0.5 is 1, bob total_message_count: 4 is 1', 'balances count, also negative ones of the time before the ledger');
SELECT is(pg_temp.tampered($$DELETE FROM claude_gpt_data.usage_balances$$),
          'ada total_api_call_count: 7 is 4, ada total_cost: 1.393300001 is 0.768300001, ada total_message_count: 12 is 11, ada total_token_count: 163 is 151', 'so that they are missed');
SELECT is(pg_temp.tampered($$UPDATE claude_gpt_data.users SET monthly_reset_date = '2026-11-01' WHERE email = 'ada@example.com'$$),
          'ada monthly_api_call_count: 0 is 7, ada monthly_cost: 0 is 1.393300001, ada monthly_message_count: 2 is 10, ada monthly_token_count: 3 is 160', 'the month is that of the reset date');
SELECT is(pg_temp.tampered($$UPDATE claude_gpt_data.usage_reservations SET status = 'released' WHERE status = 'open' AND token_count = 20$$),
          'ada held_cost: 0.006 is 0.002, ada held_message_count: 2 is 1, ada held_token_count: 30 is 10', 'a hold without its reservation');
SELECT is(pg_temp.tampered($$DELETE FROM claude_gpt_data.usage_reservations$$), 'ada held_cost: 0.006 is 0, ada held_message_count: 2 is 0, ada held_token_count: 30 is 0', 'or without any');
SELECT is(pg_temp.tampered($$INSERT INTO claude_gpt_data.usage_reservations (id, user_id, message_count, token_count, expires_at) VALUES (gen_random_uuid(), pg_temp.user_id('bob'), 2, 7, '2026-12-01Z')$$),
          'bob held_message_count: 0 is 2, bob held_token_count: 0 is 7, bob next_hold_expiry: is 2026-12-01 00:00:00+00', 'a reservation that is held by nobody');
SELECT is(pg_temp.tampered($$DELETE FROM claude_gpt_data.messages WHERE conversation_id = '00000000-0000-7000-8000-0000000000c2'$$),
          'ada conversation message_count: 1 is 0, ada conversation total_cost: 0.5 is 0, ada conversation total_tokens: 11 is 0', 'messages that are gone; last_message_at of a conversation without them stays');
SELECT is(pg_temp.tampered($$UPDATE claude_gpt_data.messages SET status = 'deleted' WHERE conversation_id = '00000000-0000-7000-8000-0000000000c2'$$),
          'ada conversation message_count: 1 is 0, ada conversation total_cost: 0.5 is 0, ada conversation total_tokens: 11 is 0', 'or deleted');
SELECT is(pg_temp.tampered($$INSERT INTO claude_gpt_data.messages (id, conversation_id, user_id, role, content, total_tokens, created_at)
                             VALUES (gen_random_uuid(), '00000000-0000-7000-8000-0000000000c2', pg_temp.user_id('ada'), 'user', 'x', 2147483647, '2029-01-01Z')$$),
          'ada conversation last_message_at: 2026-11-22 10:01:30.5+00 is 2029-01-01 00:00:00+00, ada conversation message_count: 1 is 2, ada conversation total_tokens: 11 is 2147483658', 'and those that were not counted');

-- one user or all
UPDATE users SET total_message_count = total_message_count + 5;
UPDATE conversations SET total_tokens = 0;
SELECT is((SELECT count(DISTINCT user_id) FROM prove_books()), 2::bigint, 'of all users each is proved');
SELECT is(pg_temp.proof(:'bob'), 'bob total_message_count: 9 is 4', 'or one');
SELECT is(pg_temp.proof(:'ada') ~ '^ada total_message_count: 17 is 12, ada conversation total_tokens: 0 is \d+, ada conversation total_tokens: 0 is \d+$', true, 'with his conversations, after himself');
SELECT is((SELECT string_agg(concat_ws(' ', user_id, conversation_id, item), ', ') FROM prove_books()),
          (SELECT string_agg(concat_ws(' ', user_id, conversation_id, item), ', ' ORDER BY user_id, conversation_id NULLS FIRST, item) FROM prove_books()), 'rows stand in the order of users, conversations and items');
SELECT md5(string_agg(t::text, '' ORDER BY t::text)) AS truth FROM (SELECT r::text FROM usage_records AS r UNION ALL SELECT b::text FROM usage_balances AS b UNION ALL SELECT r::text FROM usage_reservations AS r
                                                                     UNION ALL SELECT m::text FROM messages AS m UNION ALL SELECT k::text FROM idempotency_keys AS k) AS t \gset
SELECT md5(u::text) AS ada_before FROM users AS u WHERE id = :'ada' \gset
SELECT is(pg_temp.repair(:'bob'), 'bob total_message_count: 9 is 4', 'one user is repaired');
SELECT is((SELECT md5(u::text) FROM users AS u WHERE id = :'ada'), :'ada_before', 'and no other');
SELECT is(pg_temp.proof(:'bob'), 'true', 'then he is true');
SELECT is((SELECT count(*) FROM repair_books()), 3::bigint, 'the rest is repaired with all');
SELECT is(pg_temp.proof(), 'true', 'then all are');
SELECT is((SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM (SELECT r::text FROM usage_records AS r UNION ALL SELECT b::text FROM usage_balances AS b UNION ALL SELECT r::text FROM usage_reservations AS r
           UNION ALL SELECT m::text FROM messages AS m UNION ALL SELECT k::text FROM idempotency_keys AS k) AS t), :'truth', 'records, balances, reservations and messages stay as they are');
SELECT ctid AS bob_ctid, xmax AS bob_xmax FROM users WHERE id = :'bob' \gset
UPDATE users SET total_cost = 7 WHERE id = :'ada';
SELECT repair_books();
SELECT is((SELECT ctid || ' ' || xmax FROM users WHERE id = :'bob'), :'bob_ctid' || ' ' || :'bob_xmax', 'a user without a difference is neither written nor locked');

-- the settings of the session are of no matter
SELECT is((SELECT pg_temp.tampered($$UPDATE claude_gpt_data.users SET next_hold_expiry = NULL WHERE email = 'ada@example.com'$$)
           FROM (SELECT set_config('datestyle', style, true), set_config('timezone', zone, true)) AS s) ~ '^ada next_hold_expiry: is ', true, format('a time is repaired whatever the date style: %s, %s', style, zone))
FROM unnest(ARRAY['SQL, DMY', 'SQL, MDY', 'German', 'Postgres, DMY', 'ISO']) AS style, unnest(ARRAY['Asia/Shanghai', 'Europe/Dublin', 'UTC']) AS zone;
SELECT is((SELECT pg_temp.tampered($$UPDATE claude_gpt_data.conversations SET last_message_at = '2030-01-01Z' WHERE id = '00000000-0000-7000-8000-0000000000c2'$$)
           FROM (SELECT set_config('datestyle', 'SQL, DMY', true), set_config('timezone', 'Asia/Shanghai', true)) AS s) ~ '^ada conversation last_message_at: ', true, 'also that of a conversation');
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL timezone = 'UTC';

-- reading
SAVEPOINT reading;
UPDATE users SET total_cost = 7 WHERE id = :'bob';
SET LOCAL transaction_read_only = on;
SELECT pg_temp.proof() AS proof \gset
ROLLBACK TO reading;
SELECT is(:'proof'::text, 'bob total_cost: 7 is 0.5', 'a transaction that only reads can prove');
SELECT volatility_is('claude_gpt', 'prove_books', ARRAY['uuid'], 'stable', 'prove_books only reads');

-- refusals
SELECT throws_ok('SELECT prove_books(uuid_v7())', 'P0002', NULL, 'nobody has no books');
SELECT throws_ok('SELECT repair_books(uuid_v7())', 'P0002', NULL, 'to repair neither');
SAVEPOINT many;
INSERT INTO usage_balances (user_id, usage_type, billing_period, quantity) VALUES (:'bob', 'message', '2026-12-01', 3000000000);
SELECT is(pg_temp.proof(), 'bob monthly_message_count: 4 is 3000000004, bob total_message_count: 4 is 3000000004', 'what fits no counter is proved');
SELECT throws_ok('SELECT repair_books()', '22003', NULL, 'but not repaired');
ROLLBACK TO many;
INSERT INTO usage_balances (user_id, usage_type, billing_period, quantity) VALUES (:'bob', 'token', '2026-10-01', 9223372036854775807), (:'bob', 'token', '2026-09-01', 9223372036854775807);
SELECT is(pg_temp.proof(), 'bob total_token_count: 50 is 18446744073709551664', 'also where the sum passes 64 bits');
SELECT throws_ok('SELECT repair_books()', '22003', NULL, 'but not repaired');
ROLLBACK TO many;
INSERT INTO usage_balances (user_id, usage_type, billing_period, quantity, cost) VALUES (:'bob', 'token', '0001-01-01', 0, 99999999999.9), (:'bob', 'message', '0001-01-01', 0, 99999999999.9);
SELECT is(pg_temp.proof(), 'bob total_cost: 0.5 is 200000000000.3', 'a cost as well');
SELECT throws_ok('SELECT repair_books()', '22003', NULL, 'is not repaired');
ROLLBACK TO many;
SELECT is(pg_temp.proof(), 'true', 'and what is refused changes nothing');

-- The proof of one user takes no longer with the messages of all others.
SET LOCAL enable_seqscan = off;
SELECT sum(seq_scan) AS scans FROM pg_stat_xact_user_tables WHERE schemaname = 'claude_gpt_data' AND relname = 'messages' \gset
SELECT count(*) FROM prove_books(:'bob') \gset
SELECT is((SELECT sum(seq_scan) FROM pg_stat_xact_user_tables WHERE schemaname = 'claude_gpt_data' AND relname = 'messages'), :scans::numeric, 'the messages of others are not read for one user');
RESET enable_seqscan;

DROP TABLE claude_gpt_migrations;
SELECT throws_ok('SELECT prove_books()', '55000', NULL, 'tables of an unknown age have no books');
SELECT throws_ok('SELECT repair_books()', '55000', NULL, 'to repair neither');

SELECT * FROM finish();
ROLLBACK;
