-- The statements of the design that this extension grew from, as an application role runs them: tables by
-- their plain names, found through the search_path that grant_application_access sets.
SET client_encoding = 'UTF8';
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS claude_gpt;
DROP ROLE IF EXISTS regress_claude_gpt_application;
RESET client_min_messages;
CREATE ROLE regress_claude_gpt_application;
SELECT claude_gpt.grant_application_access('regress_claude_gpt_application');
SELECT s.setconfig FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole
WHERE r.rolname = 'regress_claude_gpt_application';

-- Reads a plan as the caller, and names the relations' indexes that it uses.
CREATE FUNCTION public.indexes_used(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON, COSTS OFF) ' || statement INTO plan;
    RETURN QUERY SELECT DISTINCT m[1] FROM regexp_matches(plan::text, '"Index Name": "([^"]*)"', 'g') AS m ORDER BY 1;
END
$$;

SET SESSION AUTHORIZATION regress_claude_gpt_application;
SET search_path = "$user", claude_gpt_data, claude_gpt, public;

-- sign up, with all that is left to defaults
INSERT INTO users (email, password_hash, full_name, phone, preferred_language)
VALUES ('ada@example.com', '$2b$12$x', 'Ada', '+8613800000000', 'zh'), ('bob@example.com', '$2b$12$y', 'Bob', NULL, DEFAULT)
RETURNING email, theme_preference, subscription_tier, subscription_status, subscription_cancel_at_period_end,
    monthly_message_count, total_message_count, email_verified, created_at = CURRENT_TIMESTAMP AS created_now,
    monthly_reset_date = date_trunc('month', CURRENT_TIMESTAMP AT TIME ZONE 'UTC')::date AS counts_from_this_month;
-- as an ORM writes it: every column, the defaults by name
INSERT INTO users (id, email, password_hash, subscription_tier, subscription_status, subscription_current_period_end,
    subscription_cancel_at_period_end, monthly_message_count, monthly_reset_date, total_message_count, created_at, updated_at)
VALUES (DEFAULT, 'cai@example.com', 'x', DEFAULT, DEFAULT, NULL, false, 0, DEFAULT, 0, DEFAULT, DEFAULT)
RETURNING email;
-- an id of the client's own
INSERT INTO users (id, email, password_hash) VALUES ('7b0ee4a6-3a8e-4a53-9f0c-51b9a2a4d101', 'dan@example.com', 'x')
RETURNING id;
\set VERBOSITY terse
-- one account for each address, however it is written
INSERT INTO users (email, password_hash) VALUES ('ADA@example.com', 'x');
INSERT INTO users (email, password_hash) VALUES ('', 'x');

-- profile, verification, password reset, login
UPDATE users SET full_name = 'Ada L.', theme_preference = 'dark', avatar_url = 'https://example.com/a.png',
    email_verified = TRUE, email_verification_token = NULL, password_reset_token = 't',
    password_reset_expires = CURRENT_TIMESTAMP + INTERVAL '1 hour', last_login_at = CURRENT_TIMESTAMP,
    stripe_customer_id = 'cus_1'
WHERE email = 'ada@example.com'
RETURNING full_name, theme_preference, updated_at = CURRENT_TIMESTAMP AS updated_now;

-- log in on a phone and in a browser
INSERT INTO user_sessions (user_id, session_token, refresh_token, device_type, ip_address, user_agent, expires_at)
SELECT id, 'session-' || d, 'refresh-' || d, d, '192.0.2.1', 'Mozilla', CURRENT_TIMESTAMP + INTERVAL '30 days'
FROM users, unnest(ARRAY['ios', 'web']) AS d WHERE email = 'ada@example.com';
UPDATE user_sessions SET last_used_at = CURRENT_TIMESTAMP WHERE session_token = 'session-ios';
UPDATE user_sessions SET is_active = FALSE WHERE session_token = 'session-web';
INSERT INTO user_sessions (user_id, session_token, expires_at)
SELECT id, 'session-old', CURRENT_TIMESTAMP - INTERVAL '1 second' FROM users WHERE email = 'bob@example.com';
SELECT cleanup_expired_sessions();
SELECT cleanup_expired_sessions();
SELECT session_token FROM user_sessions ORDER BY 1;

-- a conversation
INSERT INTO conversations (user_id, title) SELECT id, '第一次对话' FROM users WHERE email = 'ada@example.com'
RETURNING title, message_count, total_tokens, total_cost, is_archived, is_pinned, last_message_at = CURRENT_TIMESTAMP AS last_is_now;
INSERT INTO messages (conversation_id, user_id, role, content)
SELECT c.id, c.user_id, 'user', '你好,请介绍一下你自己' FROM conversations AS c WHERE title = '第一次对话';
INSERT INTO messages (conversation_id, user_id, role, content, model_used, prompt_tokens, completion_tokens, total_tokens, cost,
    parent_message_id, metadata)
SELECT m.conversation_id, m.user_id, 'assistant', 'Hello! I am Claude.', 'gpt-4', 11, 7, 18, 0.0000155, m.id, '{"finish": "stop"}'
FROM messages AS m WHERE m.role = 'user';
UPDATE messages SET status = 'failed', error_message = 'timeout' WHERE role = 'system';
UPDATE conversations SET title = 'Hello', is_pinned = TRUE WHERE title = '第一次对话';
SELECT title, message_count, total_tokens, total_cost, is_pinned,
       last_message_at = (SELECT max(m.created_at) FROM messages AS m WHERE m.conversation_id = c.id) AS last_is_newest
FROM conversations AS c;

-- metering
SELECT update_user_usage(id) FROM users WHERE email = 'ada@example.com';
SELECT update_user_usage(id, 1, 18, 0.0000155) FROM users WHERE email = 'ada@example.com';
SELECT update_user_usage(p_user_id => id, p_tokens => 100) FROM users WHERE email = 'bob@example.com';
SELECT monthly_message_count, total_message_count, monthly_token_count, monthly_cost, total_cost,
       last_active_at > CURRENT_TIMESTAMP - INTERVAL '1 minute' AS active
FROM users WHERE email = 'ada@example.com';
SELECT u.email, r.usage_type, r.quantity, r.cost,
       r.billing_period = date_trunc('month', CURRENT_TIMESTAMP AT TIME ZONE 'UTC') AS in_this_month
FROM usage_records AS r JOIN users AS u ON u.id = r.user_id ORDER BY u.email, r.usage_type, r.quantity, r.cost;

-- the limit of the free plan is ten messages
SELECT check_subscription_limit(id), check_subscription_limit(id, 'message') FROM users WHERE email = 'ada@example.com';
SELECT update_user_usage(id, 7) FROM users WHERE email = 'ada@example.com';
SELECT check_subscription_limit(id, 'message') AS tenth FROM users WHERE email = 'ada@example.com';
SELECT update_user_usage(id) FROM users WHERE email = 'ada@example.com';
SELECT check_subscription_limit(id, 'message') AS eleventh, check_subscription_limit(id, 'token') AS token
FROM users WHERE email = 'ada@example.com';
SELECT email, check_subscription_limit(id), effective_tier(id) FROM users ORDER BY email;

-- both views
SELECT email, subscription_tier, subscription_status, monthly_message_count, total_message_count, conversation_count,
       total_messages, total_cost FROM user_statistics ORDER BY email;
SELECT title, message_count, total_tokens, total_cost, is_archived, is_pinned, last_message_content, last_message_role
FROM conversation_summary;

-- configuration and plans are read
SELECT config_value -> 'free' ->> 'messagesPerMonth' AS limit FROM system_configs WHERE config_key = 'subscription_plans' AND is_active;
SELECT config_value ->> 'base' AS per_minute FROM system_configs WHERE config_key = 'rate_limits';

-- audit
INSERT INTO audit_logs (user_id, user_email, action, resource_type, resource_id, new_values, ip_address, request_id)
SELECT id, email, 'login', 'user', id::text, '{"ok": true}', '192.0.2.1', 'r-1' FROM users WHERE email = 'ada@example.com';
SELECT user_email, action, resource_type, new_values FROM audit_logs WHERE action = 'login' AND request_id = 'r-1';

-- the monitoring queries
SELECT tablename FROM (
    SELECT schemaname, tablename, pg_size_pretty(pg_total_relation_size(schemaname || '.' || tablename)) AS size
    FROM pg_tables WHERE schemaname = 'claude_gpt_data' ORDER BY pg_total_relation_size(schemaname || '.' || tablename) DESC
) AS sizes WHERE tablename IN ('users', 'messages') ORDER BY 1;

-- each frequent question has its index
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT indexes_used($$SELECT * FROM messages WHERE conversation_id = '7b0ee4a6-3a8e-4a53-9f0c-51b9a2a4d101'
                      ORDER BY created_at DESC, id DESC LIMIT 20$$) AS newest_page;
SELECT indexes_used($$SELECT * FROM messages WHERE conversation_id = '7b0ee4a6-3a8e-4a53-9f0c-51b9a2a4d101'
                      AND (created_at, id) < (CURRENT_TIMESTAMP, '7b0ee4a6-3a8e-4a53-9f0c-51b9a2a4d101')
                      ORDER BY created_at DESC, id DESC LIMIT 20$$) AS page_before;
SELECT indexes_used($$SELECT * FROM users WHERE email = 'ada@example.com'$$) AS by_email;
SELECT indexes_used($$SELECT * FROM users WHERE lower(email) = 'ada@example.com'$$) AS by_email_of_any_case;
SELECT indexes_used($$SELECT * FROM user_sessions WHERE session_token = 'session-ios'$$) AS by_token;
SELECT indexes_used($$SELECT * FROM user_sessions WHERE refresh_token = 'refresh-ios'$$) AS by_refresh_token;
SELECT indexes_used($$SELECT * FROM user_sessions WHERE expires_at < CURRENT_TIMESTAMP$$) AS expired;
SELECT indexes_used($$SELECT * FROM messages WHERE parent_message_id = '7b0ee4a6-3a8e-4a53-9f0c-51b9a2a4d101'$$) AS replies;
SELECT indexes_used($$SELECT * FROM users WHERE last_active_on >= '2026-11-01'$$) AS active_since;
SET enable_bitmapscan = on;
SET enable_indexscan = off;
SELECT indexes_used($$SELECT * FROM messages WHERE is_searchable
                      AND to_tsvector('english', left(content, 50000)) @@ to_tsquery('english', 'claude')$$) AS search;
RESET enable_seqscan;
RESET enable_indexscan;

-- deleting: messages marked, a conversation, an account
UPDATE messages SET status = 'deleted' WHERE role = 'assistant';
SELECT message_count, total_tokens, total_cost FROM conversations;
SELECT last_message_role FROM conversation_summary;
DELETE FROM conversations WHERE title = 'Hello';
SELECT count(*) AS messages FROM messages;
DELETE FROM users WHERE email = 'ada@example.com';
SELECT user_id IS NULL AS user_is_gone, user_email FROM audit_logs WHERE request_id = 'r-1';
SELECT count(*) AS sessions FROM user_sessions;
SELECT count(DISTINCT user_id) AS metered_users FROM usage_records;

-- what is not an application's to write
UPDATE users SET subscription_tier = 'pro' WHERE email = 'bob@example.com';
UPDATE users SET monthly_message_count = 0, full_name = 'Bob' WHERE email = 'bob@example.com';
UPDATE users SET monthly_message_count = monthly_message_count, subscription_tier = subscription_tier, full_name = 'Robert'
WHERE email = 'bob@example.com' RETURNING full_name;
INSERT INTO users (email, password_hash, subscription_tier) VALUES ('eve@example.com', 'x', 'pro');
INSERT INTO users (email, password_hash, monthly_reset_date) VALUES ('eve@example.com', 'x', '2099-01-01');
INSERT INTO usage_records (user_id, usage_type) SELECT id, 'message' FROM users;
DELETE FROM usage_records;
UPDATE system_configs SET config_value = 'true' WHERE config_key = 'maintenance_mode';
INSERT INTO conversations (user_id) SELECT id FROM users WHERE email = 'bob@example.com';
UPDATE conversations SET message_count = 1;
UPDATE conversations SET last_message_at = '2030-01-01';
INSERT INTO conversations (user_id, message_count) SELECT id, 5 FROM users WHERE email = 'bob@example.com';
SELECT set_subscription(id, 'pro') FROM users WHERE email = 'bob@example.com';
INSERT INTO subscription_history (user_id, subscription_tier, subscription_status, event_type)
SELECT id, 'pro', 'active', 'subscription_created' FROM users;
DELETE FROM audit_logs;
TRUNCATE messages;
SELECT grant_application_access('regress_claude_gpt_application', 'billing');
CALL migrate();
SELECT email, full_name, subscription_tier, total_message_count FROM users ORDER BY email;

RESET SESSION AUTHORIZATION;
RESET search_path;
DELETE FROM claude_gpt_data.users;
DELETE FROM claude_gpt_data.audit_logs;
SELECT count(*) > 0 AS active FROM pg_stat_activity WHERE state = 'active';
DROP FUNCTION public.indexes_used(text);

-- what was granted is taken back, and nothing of the role is left
SELECT claude_gpt.revoke_application_access('regress_claude_gpt_application');
SELECT count(*) AS settings FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole
WHERE r.rolname = 'regress_claude_gpt_application';
DROP ROLE regress_claude_gpt_application;
