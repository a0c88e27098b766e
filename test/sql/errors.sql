-- Every error of the functions by its SQLSTATE, with nothing changed.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS claude_gpt;
RESET client_min_messages;
SET search_path = public, claude_gpt;
-- loads the library, so that its settings are known
SELECT uuid_v7() IS NOT NULL AS loaded;

INSERT INTO users (id, email, password_hash, subscription_id) VALUES
    ('00000000-0000-7000-8000-00000000000a', 'ada@example.com', 'x', 'sub_1'),
    ('00000000-0000-7000-8000-00000000000b', 'bob@example.com', 'x', NULL);
INSERT INTO conversations (id, user_id) VALUES
    ('00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-00000000000a'),
    ('00000000-0000-7000-8000-0000000000c2', '00000000-0000-7000-8000-00000000000a');
INSERT INTO messages (id, conversation_id, user_id, role, content, parent_message_id) VALUES
    ('00000000-0000-7000-8000-0000000000d1', '00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-00000000000a', 'user', 'one', NULL),
    ('00000000-0000-7000-8000-0000000000d2', '00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-00000000000a', 'assistant', 'two', '00000000-0000-7000-8000-0000000000d1'),
    ('00000000-0000-7000-8000-0000000000d3', '00000000-0000-7000-8000-0000000000c2', '00000000-0000-7000-8000-00000000000a', 'user', 'three', NULL);

-- Everything that a failing call could change.
CREATE FUNCTION public.stored() RETURNS text LANGUAGE sql AS $$
    SELECT md5(concat((SELECT string_agg(u::text, ';' ORDER BY u.id) FROM claude_gpt.users AS u),
                      (SELECT string_agg(c::text, ';' ORDER BY c.id) FROM claude_gpt.conversations AS c),
                      (SELECT string_agg(m::text, ';' ORDER BY m.id) FROM claude_gpt.messages AS m),
                      (SELECT string_agg(r::text, ';' ORDER BY r.id) FROM claude_gpt.usage_records AS r),
                      (SELECT string_agg(h::text, ';' ORDER BY h.id) FROM claude_gpt.subscription_history AS h),
                      (SELECT string_agg(s::text, ';' ORDER BY s.id) FROM claude_gpt.system_configs AS s)))
$$;
-- The SQLSTATE of a statement, and how many objects of the library are alive after it.
CREATE FUNCTION public.refusal(statement text, OUT code text, OUT live_objects text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    code := 'none';
    live_objects := current_setting('claude_gpt.live_objects');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE;
    live_objects := current_setting('claude_gpt.live_objects');
END
$$;
SELECT public.stored() AS before \gset

SELECT s.position, r.code, r.live_objects
FROM (VALUES
    -- update_user_usage
    (1, $$SELECT update_user_usage(NULL)$$),
    (2, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', NULL)$$),
    (3, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 1, NULL)$$),
    (4, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 1, 0, NULL)$$),
    (5, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', -1)$$),
    (6, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 1, -1)$$),
    (7, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 1, 0, -0.01)$$),
    (8, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 1, 0, -0.0000000001)$$),
    (9, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 1, 0, 'NaN')$$),
    (10, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 1, 0, 'Infinity')$$),
    (11, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 1, 0, '-Infinity')$$),
    (12, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 1, 0, 100000000000)$$),
    (13, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 1, 0, 99999999999.9999999999)$$),
    (14, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000ffff')$$),
    (15, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000ffff', 0, 0, 0)$$),
    -- the first call counts as far as it can, the second overflows: neither is kept
    (16, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 2147483647), update_user_usage('00000000-0000-7000-8000-00000000000a', 1)$$),
    (17, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 0, 0, 99999999999), update_user_usage('00000000-0000-7000-8000-00000000000a', 0, 0, 1)$$),
    (18, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 2147483648)$$),
    (19, $$SELECT update_user_usage('not-a-uuid')$$),
    -- check_subscription_limit, effective_tier
    (20, $$SELECT check_subscription_limit(NULL)$$),
    (21, $$SELECT check_subscription_limit('00000000-0000-7000-8000-00000000000a', NULL)$$),
    (22, $$SELECT check_subscription_limit('00000000-0000-7000-8000-00000000ffff')$$),
    (23, $$SELECT check_subscription_limit('00000000-0000-7000-8000-00000000000a', 'image')$$),
    (24, $$SELECT check_subscription_limit('00000000-0000-7000-8000-00000000000a', 'MESSAGE')$$),
    (25, $$SELECT check_subscription_limit('00000000-0000-7000-8000-00000000000a', '')$$),
    (26, $$SELECT effective_tier(NULL)$$),
    (27, $$SELECT effective_tier('00000000-0000-7000-8000-00000000ffff')$$),
    -- set_subscription
    (30, $$SELECT set_subscription(NULL, 'pro')$$),
    (31, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', NULL)$$),
    (32, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'pro', NULL)$$),
    (33, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'pro', 'active', NULL, NULL)$$),
    (34, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'pro', p_event_type => NULL)$$),
    (35, $$SELECT set_subscription('00000000-0000-7000-8000-00000000ffff', 'pro')$$),
    (36, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'gold')$$),
    (37, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'Pro')$$),
    (38, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'pro', 'Active')$$),
    (39, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'pro', p_event_type => 'subscription_deleted')$$),
    (40, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'pro', p_subscription_id => repeat('s', 101))$$),
    -- uuid_v7_floor
    (50, $$SELECT uuid_v7_floor(NULL)$$),
    (51, $$SELECT uuid_v7_floor('1969-12-31 23:59:59.999999Z')$$),
    (52, $$SELECT uuid_v7_floor('infinity')$$),
    (53, $$SELECT uuid_v7_floor('-infinity')$$),
    (54, $$SELECT uuid_v7_floor('294276-12-31 23:59:59Z')$$),
    -- settings
    (60, $$SET claude_gpt.fixed_time = 'tomorrow'$$),
    (61, $$SET claude_gpt.fixed_time = '2026-11-22 10:00:00'$$),
    (62, $$SET claude_gpt.fixed_time = '2026-02-30T10:00:00Z'$$),
    (63, $$SET claude_gpt.install_tables = 'maybe'$$),
    (64, $$SET claude_gpt.no_such_setting = 1$$),
    (65, $$SET claude_gpt.live_objects = 1$$),
    -- rules of the tables
    (70, $$UPDATE users SET email = '' WHERE email = 'ada@example.com'$$),
    (71, $$UPDATE users SET email = 'BOB@example.com' WHERE email = 'ada@example.com'$$),
    (72, $$UPDATE users SET monthly_message_count = -1$$),
    (73, $$UPDATE users SET total_message_count = NULL$$),
    (74, $$UPDATE users SET subscription_status = 'unknown'$$),
    (75, $$UPDATE users SET subscription_tier = 'gold'$$),
    (76, $$INSERT INTO messages (conversation_id, user_id, role, content) VALUES ('00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-00000000000a', 'robot', 'x')$$),
    (77, $$INSERT INTO messages (conversation_id, user_id, role, content, total_tokens) VALUES ('00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-00000000000a', 'user', 'x', -1)$$),
    (78, $$INSERT INTO messages (conversation_id, user_id, role, content, cost) VALUES ('00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-00000000000a', 'user', 'x', 'NaN')$$),
    (79, $$INSERT INTO messages (conversation_id, user_id, role, content) VALUES ('00000000-0000-7000-8000-0000000000ff', '00000000-0000-7000-8000-00000000000a', 'user', 'x')$$),
    (80, $$INSERT INTO messages (conversation_id, user_id, role, content) VALUES ('00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-00000000000a', 'user', NULL)$$),
    (81, $$INSERT INTO messages (id, conversation_id, user_id, role, content, parent_message_id) VALUES ('00000000-0000-7000-8000-0000000000d9', '00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-00000000000a', 'user', 'x', '00000000-0000-7000-8000-0000000000d9')$$),
    -- a parent in another conversation: named, found by moving the parent, by moving the reply
    (82, $$INSERT INTO messages (conversation_id, user_id, role, content, parent_message_id) VALUES ('00000000-0000-7000-8000-0000000000c2', '00000000-0000-7000-8000-00000000000a', 'user', 'x', '00000000-0000-7000-8000-0000000000d1')$$),
    (83, $$UPDATE messages SET conversation_id = '00000000-0000-7000-8000-0000000000c2' WHERE content = 'one'$$),
    (84, $$UPDATE messages SET conversation_id = '00000000-0000-7000-8000-0000000000c2' WHERE content = 'two'$$),
    (85, $$UPDATE messages SET parent_message_id = '00000000-0000-7000-8000-0000000000d3' WHERE content = 'two'$$),
    (86, $$INSERT INTO messages (conversation_id, user_id, role, content, total_tokens) SELECT '00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-00000000000a', 'robot', 'x', 1 FROM generate_series(1, 3)$$),
    (87, $$INSERT INTO usage_records (user_id, usage_type, quantity) VALUES ('00000000-0000-7000-8000-00000000000a', 'message', -20)$$),
    (89, $$INSERT INTO user_sessions (user_id, session_token, device_type, expires_at) VALUES ('00000000-0000-7000-8000-00000000000a', 's', 'fax', now())$$),
    (90, $$INSERT INTO subscription_history (user_id, subscription_tier, subscription_status, event_type) VALUES ('00000000-0000-7000-8000-00000000000a', 'pro', 'active', 'party')$$),
    -- access
    (100, $$SELECT grant_application_access(NULL)$$),
    (101, $$SELECT grant_application_access(CURRENT_USER::regrole, NULL)$$),
    (102, $$SELECT grant_application_access(CURRENT_USER::regrole, 'root')$$),
    (103, $$SELECT grant_application_access('regress_claude_gpt_nobody')$$),
    (104, $$SELECT grant_application_access(4294967295::oid::regrole)$$),
    (105, $$SELECT revoke_application_access(4294967295::oid::regrole)$$),
    (106, $$SELECT set_owner(NULL)$$),
    (107, $$SELECT set_owner(4294967295::oid::regrole)$$),
    -- trigger functions where they do not belong
    (110, $$SELECT update_updated_at_column()$$),
    (111, $$CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION update_updated_at_column(); UPDATE users SET theme_preference = 'dark'$$),
    (112, $$CREATE TRIGGER t BEFORE UPDATE ON user_sessions FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
            INSERT INTO user_sessions (user_id, session_token, expires_at) VALUES ('00000000-0000-7000-8000-00000000000a', 's', now()); UPDATE user_sessions SET is_active = false$$),
    (113, $$CREATE TRIGGER t AFTER UPDATE ON messages FOR EACH STATEMENT EXECUTE FUNCTION maintain_conversation_counters(); UPDATE messages SET metadata = '{}'$$),
    (114, $$CREATE TRIGGER t BEFORE UPDATE ON messages FOR EACH STATEMENT EXECUTE FUNCTION maintain_conversation_counters(); UPDATE messages SET metadata = '{}'$$),
    (115, $$CREATE TRIGGER t AFTER UPDATE ON system_configs FOR EACH ROW EXECUTE FUNCTION validate_system_config(); UPDATE system_configs SET description = ''$$),
    (116, $$CREATE TRIGGER t BEFORE UPDATE ON system_configs FOR EACH ROW EXECUTE FUNCTION invalidate_system_configs(); UPDATE system_configs SET description = ''$$),
    (117, $$CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION enforce_column_rules('email not empty'); UPDATE users SET theme_preference = 'dark'$$),
    (118, $$CREATE TRIGGER t BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION enforce_column_rules('email not empty'); DELETE FROM users$$),
    (119, $$CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION enforce_column_rules('no_such_column not empty'); UPDATE users SET theme_preference = 'dark'$$),
    (120, $$CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION enforce_column_rules('email not nice'); UPDATE users SET theme_preference = 'dark'$$)
) AS s (position, statement), LATERAL public.refusal(s.statement) AS r
ORDER BY s.position;

SELECT public.stored() = :'before' AS nothing_changed;

-- a refused call leaves the session fit for the next
SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 1, 5, 0.25);
SELECT monthly_message_count, monthly_token_count, monthly_cost FROM users WHERE email = 'ada@example.com';

-- without the record of migrations everything is refused until it is there
BEGIN;
SET LOCAL client_min_messages = warning;
DROP TABLE claude_gpt_migrations;
SELECT r.code FROM (VALUES
    (1, $$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a')$$),
    (2, $$SELECT check_subscription_limit('00000000-0000-7000-8000-00000000000a')$$),
    (3, $$SELECT effective_tier('00000000-0000-7000-8000-00000000000a')$$),
    (4, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'pro')$$),
    (5, $$SELECT cleanup_expired_sessions()$$),
    (6, $$SELECT current_billing_period()$$)) AS s (position, statement), LATERAL public.refusal(s.statement) AS r
ORDER BY s.position;
ROLLBACK;
SELECT check_subscription_limit('00000000-0000-7000-8000-00000000000a') AS admitted;

-- in a transaction that may only read, reading works and writing is refused
BEGIN READ ONLY;
SELECT check_subscription_limit('00000000-0000-7000-8000-00000000000a') AS admitted,
       effective_tier('00000000-0000-7000-8000-00000000000a') AS tier;
SELECT code FROM public.refusal($$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a')$$);
SELECT code FROM public.refusal($$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'pro')$$);
ROLLBACK;

DELETE FROM users;
DROP FUNCTION public.refusal(text), public.stored();
