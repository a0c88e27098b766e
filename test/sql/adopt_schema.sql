-- adopt_schema() takes over a database that the source's own script built, and detach() lets go of it.
\set VERBOSITY terse
\set database :DBNAME
CREATE DATABASE claude_gpt_adoption TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
\c claude_gpt_adoption
SET client_min_messages = warning;
\i test/source/schema.sql
RESET client_min_messages;
SET TimeZone = 'UTC';

-- Some of what applications leave behind: NULL counters, counters beyond the ledger and below it, a deleted
-- message, an added column, and objects of their own that hang on the tables.
INSERT INTO users (id, email, password_hash, monthly_message_count, total_message_count, monthly_reset_date, created_at, updated_at, last_active_at) VALUES
    ('00000000-0000-4000-8000-000000000001', 'ana@example.com', 'x', 4, 10, date_trunc('month', CURRENT_DATE AT TIME ZONE 'UTC'), '2024-03-01 07:30', '2024-03-02 00:00', '2024-03-03 01:00'),
    ('00000000-0000-4000-8000-000000000002', 'bo@example.com', 'x', NULL, NULL, '2023-05-17', '2024-03-01 12:00', NULL, NULL);
INSERT INTO conversations (id, user_id, title, message_count, created_at, updated_at) VALUES
    ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001', '旅行', 99, '2024-03-01 08:00', '2024-03-01 08:01'),
    ('00000000-0000-4000-8000-00000000000b', '00000000-0000-4000-8000-000000000002', 'empty', NULL, '2024-03-01 09:00', '2024-03-01 09:01');
INSERT INTO messages (id, conversation_id, user_id, role, content, total_tokens, cost, status, parent_message_id, created_at) VALUES
    ('00000000-0000-4000-8000-000000000101', '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001', 'user', '你好', 5, 0.1, 'sent', NULL, '2024-03-01 08:00:01'),
    ('00000000-0000-4000-8000-000000000102', '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001', 'assistant', 'hello', 7, 0.25, NULL, '00000000-0000-4000-8000-000000000101', '2024-03-01 08:00:02'),
    ('00000000-0000-4000-8000-000000000103', '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001', 'user', 'gone', 9, 0.5, 'deleted', NULL, '2024-03-01 08:00:03');
INSERT INTO usage_records (user_id, usage_type, quantity, cost, message_id, created_at) VALUES
    ('00000000-0000-4000-8000-000000000001', 'message', 3, 0, '00000000-0000-4000-8000-000000000101', date_trunc('month', CURRENT_TIMESTAMP AT TIME ZONE 'UTC') + interval '1 day'),
    ('00000000-0000-4000-8000-000000000001', 'token', 12, 0.35, NULL, date_trunc('month', CURRENT_TIMESTAMP AT TIME ZONE 'UTC') + interval '1 day'),
    -- Local midnight of 1 March in Shanghai is still February in UTC.
    ('00000000-0000-4000-8000-000000000001', 'message', 2, 0, NULL, '2024-03-01 07:59:59'),
    ('00000000-0000-4000-8000-000000000002', 'message', 1, NULL, NULL, '2024-03-01 08:00:00');
INSERT INTO subscription_history (user_id, subscription_tier, subscription_status, event_type) VALUES
    ('00000000-0000-4000-8000-000000000001', 'pro', 'active', 'subscription_created');
INSERT INTO user_sessions (user_id, session_token, expires_at) VALUES
    ('00000000-0000-4000-8000-000000000001', 't', '2024-03-01 08:00');
INSERT INTO audit_logs (user_id, action, resource_type, created_at) VALUES
    ('00000000-0000-4000-8000-000000000001', 'login', 'user', '2024-03-01 08:00');
UPDATE system_configs SET config_value = '{"free": {"messagesPerMonth": 7, "models": []}}' WHERE config_key = 'subscription_plans';
ALTER TABLE users ADD COLUMN nickname text DEFAULT 'friend';
UPDATE users SET nickname = 'ana' WHERE email LIKE 'ana%';
CREATE TABLE feedback (id integer PRIMARY KEY, user_id uuid REFERENCES users (id) ON DELETE CASCADE);
INSERT INTO feedback VALUES (1, '00000000-0000-4000-8000-000000000001');
CREATE VIEW emails AS SELECT email FROM users;
CREATE INDEX users_by_name ON users (full_name);
CREATE POLICY own ON users USING (true);
CREATE TABLE before_adoption AS SELECT * FROM users;

CREATE EXTENSION claude_gpt;

-- Refusals change nothing.
\set VERBOSITY sqlstate
CALL claude_gpt.adopt_schema(NULL);
CALL claude_gpt.adopt_schema('claude_gpt');
CALL claude_gpt.adopt_schema('nowhere');
CALL claude_gpt.adopt_schema('pg_catalog');
CALL claude_gpt.adopt_schema('public', 'Mars/Base');
CREATE TABLE receipts (id integer PRIMARY KEY, record uuid REFERENCES usage_records (id));
CALL claude_gpt.adopt_schema('public');
DROP TABLE receipts;
INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES (gen_random_uuid(), 'early@example.com', 'x');
CALL claude_gpt.adopt_schema('public');
DELETE FROM claude_gpt_data.users;
UPDATE users SET subscription_tier = 'pro' WHERE email LIKE 'bo%';
\set VERBOSITY terse
CALL claude_gpt.adopt_schema('public');
\set VERBOSITY sqlstate
UPDATE system_configs SET is_active = false WHERE config_key = 'subscription_plans';
CALL claude_gpt.adopt_schema('public');
UPDATE system_configs SET is_active = true WHERE config_key = 'subscription_plans';
UPDATE users SET subscription_tier = 'free' WHERE email LIKE 'bo%';
UPDATE users SET monthly_message_count = -20 WHERE email LIKE 'bo%';
CALL claude_gpt.adopt_schema('public');
UPDATE users SET monthly_message_count = NULL WHERE email LIKE 'bo%';
SELECT count(*) FROM claude_gpt_data.users;
SELECT count(*) FROM public.users;
\set VERBOSITY terse

-- The source's timestamps were written by clients in Shanghai.
CALL claude_gpt.adopt_schema('public', 'Asia/Shanghai') \gset
SELECT key, value FROM jsonb_each(:'p_report') ORDER BY key COLLATE "C";

SET search_path TO "$user", claude_gpt_data, claude_gpt, public;
SELECT email, nickname, monthly_message_count, total_message_count, monthly_token_count, total_token_count, total_cost,
       created_at, last_active_at, last_active_on
FROM users ORDER BY email;
SELECT bool_and(u.updated_at = b.updated_at AT TIME ZONE 'Asia/Shanghai') AS updated_at_kept
FROM users AS u JOIN before_adoption AS b USING (id) WHERE b.updated_at IS NOT NULL;
SELECT title, message_count, total_tokens, total_cost, created_at, updated_at, last_message_at, last_message_on FROM conversations ORDER BY id;
SELECT id, content, status, parent_message_id, created_at FROM messages ORDER BY id;
SELECT u.email, r.usage_type, r.quantity, r.cost,
       CASE WHEN r.billing_period = date_trunc('month', CURRENT_TIMESTAMP AT TIME ZONE 'UTC') THEN 'this month' ELSE r.billing_period::text END AS period
FROM usage_records AS r JOIN users AS u ON u.id = r.user_id ORDER BY 1, 2, 3;
-- Counters = ledger + balances, by user and kind, for the month and in total.
SELECT u.email, b.usage_type, b.quantity,
       CASE WHEN b.billing_period = date_trunc('month', CURRENT_TIMESTAMP AT TIME ZONE 'UTC') THEN 'this month' ELSE b.billing_period::text END AS period
FROM usage_balances AS b JOIN users AS u ON u.id = b.user_id ORDER BY 1, 2, 4;
SELECT u.email,
       u.total_message_count = (SELECT COALESCE(sum(quantity), 0) FROM usage_records WHERE user_id = u.id AND usage_type = 'message')
                             + (SELECT COALESCE(sum(quantity), 0) FROM usage_balances WHERE user_id = u.id AND usage_type = 'message') AS total_proved,
       u.monthly_message_count = (SELECT COALESCE(sum(quantity), 0) FROM usage_records WHERE user_id = u.id AND usage_type = 'message' AND billing_period = date_trunc('month', u.monthly_reset_date))
                             + (SELECT COALESCE(sum(quantity), 0) FROM usage_balances WHERE user_id = u.id AND usage_type = 'message' AND billing_period = date_trunc('month', u.monthly_reset_date)) AS month_proved
FROM users AS u ORDER BY 1;
-- And so are all of them, of users and of conversations.
SELECT * FROM prove_books();
SELECT config_value FROM system_configs WHERE config_key = 'subscription_plans';
SELECT count(*) > 10 AS has_the_others FROM system_configs;
SELECT expires_at FROM user_sessions;
SELECT created_at FROM audit_logs;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'feedback_user_id_fkey';
SELECT relname FROM pg_class WHERE relnamespace = 'public_before_claude_gpt'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname COLLATE "C";
SELECT proname FROM pg_proc WHERE pronamespace = 'public_before_claude_gpt'::regnamespace ORDER BY proname COLLATE "C";
SELECT count(*) AS kept_as_it_was FROM public_before_claude_gpt.users;

-- The application goes on, by the names it always used.
SELECT update_user_usage('00000000-0000-4000-8000-000000000001', 2, 10, 0.05);
SELECT check_subscription_limit('00000000-0000-4000-8000-000000000001');
SELECT email, monthly_message_count, total_messages, conversation_count, total_cost FROM user_statistics ORDER BY email;
SELECT title, last_message_content FROM conversation_summary ORDER BY title;
-- And by the new ones: a turn in a conversation that was taken over.
SELECT allowed, reason FROM begin_turn('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-00000000000a', 'again', 'any');
UPDATE system_configs SET config_value = '{"free": {"messagesPerMonth": 7}}' WHERE config_key = 'subscription_plans';
UPDATE system_configs SET config_value = '{"any": {"prompt": 0, "completion": 0}}' WHERE config_key = 'model_prices';
SELECT reservation_id FROM begin_turn('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-00000000000a', 'again', 'any') \gset
SELECT p.content, p.sibling_index, p.sibling_count FROM messages AS m, conversation_path(m.user_id, m.id) AS p WHERE m.content = 'again';
SELECT total_tokens, charged_cost FROM complete_turn('00000000-0000-4000-8000-000000000001', :'reservation_id', 'and again', 3, 4, 0.5);
SELECT allowed, reason, used, held, remaining FROM begin_turn('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-00000000000a', 'once more', 'any');
SELECT * FROM prove_books();
DROP SCHEMA public_before_claude_gpt CASCADE;

-- detach() leaves tables that need no extension.
SELECT detach();
DROP EXTENSION claude_gpt;
INSERT INTO users (email, password_hash, last_active_at) VALUES ('cy@example.com', 'x', '2024-05-05 23:00Z') RETURNING last_active_on, monthly_reset_date = CURRENT_DATE AS this_day;
UPDATE users SET full_name = 'Cy' WHERE email LIKE 'cy%' RETURNING updated_at = CURRENT_TIMESTAMP AS touched;
INSERT INTO conversations (user_id, title) SELECT id, 'cy' FROM users WHERE email LIKE 'cy%';
INSERT INTO messages (conversation_id, user_id, role, content, prompt_tokens, completion_tokens, cost, created_at)
    SELECT id, user_id, 'user', n::text, n, n, 0.1, timestamptz '2024-06-01Z' + n * interval '1 day' FROM conversations, generate_series(1, 3) AS n WHERE title = 'cy';
SELECT message_count, total_tokens, total_cost, last_message_at, last_message_on FROM conversations WHERE title = 'cy';
UPDATE messages SET status = 'deleted' WHERE content = '3';
SELECT message_count, total_tokens, total_cost, last_message_at, last_message_on FROM conversations WHERE title = 'cy';
DELETE FROM messages WHERE content IN ('1', '2', '3');
SELECT message_count, total_tokens, total_cost, last_message_at = created_at AS none_left FROM conversations WHERE title = 'cy';
SELECT email, monthly_message_count FROM user_statistics ORDER BY email;
\set VERBOSITY sqlstate
UPDATE users SET total_message_count = -1;
UPDATE users SET subscription_status = 'whatever';
INSERT INTO messages (conversation_id, user_id, role, content) SELECT id, user_id, 'robot', '' FROM conversations;
\set VERBOSITY terse

-- And the extension takes them over again.
CREATE EXTENSION claude_gpt;
SELECT proname FROM pg_proc WHERE proname LIKE 'detached%';
SELECT conname FROM pg_constraint WHERE conname LIKE 'detached%';
SELECT update_user_usage(id) FROM users WHERE email LIKE 'cy%';
INSERT INTO messages (conversation_id, user_id, role, content) SELECT id, user_id, 'user', 'again' FROM conversations WHERE title = 'cy';
SELECT * FROM prove_books();
SELECT u.monthly_message_count, c.message_count FROM conversations AS c JOIN users AS u ON u.id = c.user_id WHERE title = 'cy';
\set VERBOSITY sqlstate
UPDATE users SET total_message_count = -1;
UPDATE users SET subscription_status = 'whatever';
INSERT INTO messages (conversation_id, user_id, role, content) SELECT id, user_id, 'robot', '' FROM conversations;
DROP EXTENSION claude_gpt;
\c :database
DROP DATABASE claude_gpt_adoption;
