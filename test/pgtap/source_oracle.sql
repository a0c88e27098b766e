-- The functions of the design that this extension grew from are the oracle, where they are sound: the same
-- random calls on its tables and on ours leave the same counters and give the same answers.
BEGIN;
\ir prelude.psql
SELECT no_plan();
CREATE SCHEMA source;
SET LOCAL search_path = source, public;
\ir ../source/schema.sql
SET LOCAL search_path = claude_gpt_data, claude_gpt, public;
-- Its functions find their tables by the search_path.
ALTER FUNCTION source.update_user_usage SET search_path = source, public;
ALTER FUNCTION source.check_subscription_limit SET search_path = source, public;
ALTER FUNCTION source.cleanup_expired_sessions SET search_path = source, public;

SELECT setseed(0.1122);
-- A part of the users last counted in an earlier month.
INSERT INTO users (id, email, password_hash, subscription_tier, monthly_message_count, total_message_count, monthly_reset_date)
SELECT md5('user' || n)::uuid, n || '@example.com', 'x', (ARRAY['free', 'base', 'pro'])[1 + n % 3], n % 13, 20 + n % 7,
       (date_trunc('month', CURRENT_DATE) - CASE n % 5 WHEN 0 THEN interval '1 month' WHEN 1 THEN interval '1 day' ELSE interval '0' END)::date
FROM generate_series(1, 120) AS n;
INSERT INTO source.users (id, email, password_hash, subscription_tier, monthly_message_count, total_message_count, monthly_reset_date)
SELECT id, email, password_hash, subscription_tier, monthly_message_count, total_message_count, monthly_reset_date FROM users;
-- What they begin with was counted before the ledger.
INSERT INTO usage_balances (user_id, usage_type, billing_period, quantity)
SELECT u.id, 'message', p.period, p.quantity
FROM users AS u, LATERAL (VALUES (date_trunc('month', u.monthly_reset_date)::date, u.monthly_message_count), ('0001-01-01', u.total_message_count - u.monthly_message_count)) AS p (period, quantity);

CREATE VIEW pg_temp.differing_users AS
SELECT o.email FROM claude_gpt_data.users AS o FULL JOIN source.users AS s ON s.id = o.id
WHERE (o.monthly_message_count, o.total_message_count, o.monthly_reset_date, o.subscription_tier::text, o.last_active_at IS NULL)
      IS DISTINCT FROM (s.monthly_message_count, s.total_message_count, s.monthly_reset_date, s.subscription_tier::text, s.last_active_at IS NULL);
SELECT is_empty('TABLE pg_temp.differing_users', 'both begin with the same users');

-- Counts on both sides; asks both sides where the source is sound: once the month has been counted in.
CREATE FUNCTION pg_temp.first_difference(calls integer, OUT asked integer, OUT admitted integer, OUT difference text) LANGUAGE plpgsql AS $$
DECLARE
    picked uuid;
    messages integer;
    tokens integer;
    cost numeric;
    answer boolean;
    expected boolean;
BEGIN
    asked := 0;
    admitted := 0;
    FOR i IN 1..calls LOOP
        picked := md5('user' || (1 + floor(random() * 120)::integer))::uuid;
        messages := floor(random() * 4)::integer;
        tokens := floor(random() * 1000)::integer;
        cost := round((random() / 100)::numeric, 4);
        CASE floor(random() * 3)::integer
            WHEN 0 THEN
                PERFORM source.update_user_usage(picked);
                PERFORM claude_gpt.update_user_usage(picked);
            WHEN 1 THEN
                PERFORM source.update_user_usage(picked, messages);
                PERFORM claude_gpt.update_user_usage(picked, messages);
            ELSE
                PERFORM source.update_user_usage(picked, messages, tokens, cost);
                PERFORM claude_gpt.update_user_usage(picked, messages, tokens, cost);
        END CASE;
        SELECT format('call %s: counters of %s', i, d.email) INTO difference FROM pg_temp.differing_users AS d LIMIT 1;
        EXIT WHEN difference IS NOT NULL;
        expected := source.check_subscription_limit(picked, 'message');
        answer := claude_gpt.check_subscription_limit(picked, 'message');
        IF expected IS DISTINCT FROM answer OR expected IS DISTINCT FROM claude_gpt.check_subscription_limit(picked) THEN
            difference := format('call %s: the limit of %s is %s, not %s', i, picked, answer, expected);
            EXIT;
        END IF;
        asked := asked + 1;
        admitted := admitted + answer::integer;
    END LOOP;
END
$$;
SELECT asked, admitted, COALESCE(difference, 'none') AS difference FROM pg_temp.first_difference(1500) \gset oracle_
SELECT is(:'oracle_difference'::text, 'none', 'after each of 1500 calls counters and answers are those of the source');
SELECT is(:oracle_asked, 1500, 'which was asked every time');
SELECT ok(:oracle_admitted BETWEEN 300 AND 1400, 'and gave both answers');
SELECT is((SELECT count(*) FROM users WHERE monthly_reset_date < date_trunc('month', CURRENT_DATE)), 0::bigint, 'every lapsed month was rolled over');
SELECT is_empty($$SELECT u.email FROM users AS u LEFT JOIN usage_records AS r ON r.user_id = u.id AND r.usage_type = 'message'
                  GROUP BY u.id, u.email HAVING u.monthly_message_count - COALESCE(sum(r.quantity), 0) NOT BETWEEN 0 AND 12$$,
                'and our ledger holds what was counted');

-- sessions
INSERT INTO user_sessions (id, user_id, session_token, expires_at, is_active)
SELECT md5('session' || n)::uuid, md5('user' || (1 + n % 120))::uuid, 'token' || n, now() + (random() * 200 - 100) * interval '1 hour', random() < 0.8
FROM generate_series(1, 500) AS n;
INSERT INTO source.user_sessions (id, user_id, session_token, expires_at, is_active)
SELECT id, user_id, session_token, expires_at, is_active FROM user_sessions;
SELECT cleanup_expired_sessions() AS ours, source.cleanup_expired_sessions() AS theirs \gset
SELECT is(:ours, :theirs, 'as many sessions are cleaned up');
SELECT cmp_ok(:ours, '>', 200, 'which are more than half');
SELECT set_eq('SELECT id FROM user_sessions', 'SELECT id FROM source.user_sessions', 'and the same ones stay');

-- conversations with messages at distinct moments, none deleted
INSERT INTO conversations (id, user_id, title, is_archived, is_pinned)
SELECT md5('conversation' || n)::uuid, md5('user' || (1 + n % 120))::uuid, 'conversation ' || n, random() < 0.3, random() < 0.3 FROM generate_series(1, 130) AS n;
INSERT INTO messages (id, conversation_id, user_id, role, content, created_at)
SELECT md5('message' || n)::uuid, c.id, c.user_id, (ARRAY['user', 'assistant', 'system'])[1 + n % 3], 'message ' || n, now() + n * interval '1 second'
FROM generate_series(1, 1000) AS n JOIN conversations AS c ON c.title = 'conversation ' || (1 + n * 7919 % 100);
INSERT INTO source.conversations (id, user_id, title, is_archived, is_pinned, created_at)
SELECT id, user_id, title, is_archived, is_pinned, created_at FROM conversations;
INSERT INTO source.messages (id, conversation_id, user_id, role, content, created_at)
SELECT id, conversation_id, user_id, role, content, created_at FROM messages;
SELECT set_eq($$SELECT id, title::text, is_archived, is_pinned, last_message_content, last_message_role::text FROM conversation_summary$$,
              $$SELECT id, title::text, is_archived, is_pinned, last_message_content, last_message_role::text FROM source.conversation_summary$$,
              'conversation_summary shows the same newest messages');
SELECT set_eq($$SELECT id, message_count FROM conversation_summary$$,
              $$SELECT c.id, count(m.id)::integer FROM source.conversations AS c LEFT JOIN source.messages AS m ON m.conversation_id = c.id GROUP BY c.id$$,
              'with the counts that the source left at zero');
SELECT set_eq($$SELECT id, email::text, monthly_message_count, total_message_count, conversation_count, total_messages FROM user_statistics$$,
              $$SELECT id, email::text, monthly_message_count, total_message_count, conversation_count, total_messages FROM source.user_statistics$$,
              'user_statistics shows the same counts');
INSERT INTO source.usage_records (user_id, usage_type, cost)
SELECT user_id, 'token', sum(cost) FROM usage_records GROUP BY user_id;
SELECT set_eq($$SELECT u.id, u.total_cost FROM user_statistics AS u WHERE total_messages <= 1 AND conversation_count <= 1$$,
              $$SELECT u.id, u.total_cost FROM source.user_statistics AS u WHERE total_messages <= 1 AND conversation_count <= 1$$,
              'and the same costs, where the source does not multiply them');
SELECT cmp_ok((SELECT count(*) FROM user_statistics WHERE total_messages <= 1 AND conversation_count <= 1), '>', 5::bigint, 'of which there are some');

-- updated_at
UPDATE users SET full_name = 'x', updated_at = '2001-01-01Z';
UPDATE source.users SET full_name = 'x', updated_at = '2001-01-01';
SELECT set_eq('SELECT id, updated_at FROM users', 'SELECT id, updated_at::timestamptz FROM source.users', 'updated_at is set alike');
SELECT is_empty('SELECT * FROM prove_books()', 'the books are true after all of this');

SELECT * FROM finish();
ROLLBACK;
