-- Every error of the functions by its SQLSTATE, with nothing changed. A NULL for each parameter, and tables that were not
-- migrated: test/t/a_null_is_refused_by_name.pl.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS claude_gpt;
RESET client_min_messages;
SET search_path = claude_gpt_data, claude_gpt, public;
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
    SELECT md5(concat((SELECT string_agg(u::text, ';' ORDER BY u.id) FROM claude_gpt_data.users AS u),
                      (SELECT string_agg(c::text, ';' ORDER BY c.id) FROM claude_gpt_data.conversations AS c),
                      (SELECT string_agg(m::text, ';' ORDER BY m.id) FROM claude_gpt_data.messages AS m),
                      (SELECT string_agg(r::text, ';' ORDER BY r.id) FROM claude_gpt_data.usage_records AS r),
                      (SELECT string_agg(b::text, ';' ORDER BY b.user_id, b.usage_type, b.billing_period) FROM claude_gpt_data.usage_balances AS b),
                      (SELECT string_agg(r::text, ';' ORDER BY r.id) FROM claude_gpt_data.usage_reservations AS r),
                      (SELECT string_agg(k::text, ';' ORDER BY k.idempotency_key) FROM claude_gpt_data.idempotency_keys AS k),
                      (SELECT string_agg(h::text, ';' ORDER BY h.id) FROM claude_gpt_data.subscription_history AS h),
                      (SELECT string_agg(s::text, ';' ORDER BY s.id) FROM claude_gpt_data.system_configs AS s)))
$$;
-- The SQLSTATE of a statement, what it says, and how many objects of the library are alive after it.
CREATE FUNCTION public.refusal(statement text, OUT code text, OUT live_objects text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    code := 'none';
    live_objects := current_setting('claude_gpt.live_objects');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    live_objects := current_setting('claude_gpt.live_objects');
END
$$;
SELECT public.stored() AS before \gset

SELECT s.position, r.code, r.live_objects
FROM (VALUES
    -- update_user_usage
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
    (22, $$SELECT check_subscription_limit('00000000-0000-7000-8000-00000000ffff')$$),
    (23, $$SELECT check_subscription_limit('00000000-0000-7000-8000-00000000000a', 'image')$$),
    (24, $$SELECT check_subscription_limit('00000000-0000-7000-8000-00000000000a', 'MESSAGE')$$),
    (25, $$SELECT check_subscription_limit('00000000-0000-7000-8000-00000000000a', '')$$),
    (27, $$SELECT effective_tier('00000000-0000-7000-8000-00000000ffff')$$),
    -- set_subscription
    (35, $$SELECT set_subscription('00000000-0000-7000-8000-00000000ffff', 'pro')$$),
    (36, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'gold')$$),
    (37, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'Pro')$$),
    (38, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'pro', 'Active')$$),
    (39, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'pro', p_event_type => 'subscription_deleted')$$),
    (40, $$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'pro', p_subscription_id => repeat('s', 256))$$),
    -- uuid_v7_floor
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
    (88, $$UPDATE system_configs SET is_active = false WHERE config_key = 'subscription_plans'$$),
    (89, $$INSERT INTO user_sessions (user_id, session_token, expires_at) VALUES ('00000000-0000-7000-8000-00000000000a', repeat('s', 2049), now())$$),
    (90, $$INSERT INTO subscription_history (user_id, subscription_tier, subscription_status, event_type) VALUES ('00000000-0000-7000-8000-00000000000a', 'pro', 'active', 'party')$$),
    -- access
    (102, $$SELECT grant_application_access(CURRENT_USER::regrole, 'root')$$),
    (103, $$SELECT grant_application_access('regress_claude_gpt_nobody')$$),
    (104, $$SELECT grant_application_access(4294967295::oid::regrole)$$),
    (105, $$SELECT revoke_application_access(4294967295::oid::regrole)$$),
    (107, $$SELECT set_owner(4294967295::oid::regrole)$$),
    -- trigger functions where they do not belong
    (110, $$SELECT update_updated_at_column()$$),
    (111, $$CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION update_updated_at_column(); UPDATE users SET theme_preference = 'dark'$$),
    (112, $$CREATE TRIGGER t BEFORE UPDATE ON user_sessions FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
            INSERT INTO user_sessions (user_id, session_token, expires_at) VALUES ('00000000-0000-7000-8000-00000000000a', 's', now()); UPDATE user_sessions SET is_active = false$$),
    (113, $$CREATE TRIGGER t AFTER UPDATE ON messages FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.maintain_conversation_counters(); UPDATE messages SET metadata = '{}'$$),
    (114, $$CREATE TRIGGER t BEFORE UPDATE ON messages FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.maintain_conversation_counters(); UPDATE messages SET metadata = '{}'$$),
    (115, $$CREATE TRIGGER t AFTER UPDATE ON system_configs FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.validate_system_config(); UPDATE system_configs SET description = ''$$),
    (116, $$CREATE TRIGGER t BEFORE UPDATE ON system_configs FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.invalidate_system_configs(); UPDATE system_configs SET description = ''$$),
    (117, $$CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('email not empty'); UPDATE users SET theme_preference = 'dark'$$),
    (118, $$CREATE TRIGGER t BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('email not empty'); DELETE FROM users$$),
    (119, $$CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('no_such_column not empty'); UPDATE users SET theme_preference = 'dark'$$),
    (120, $$CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('email not nice'); UPDATE users SET theme_preference = 'dark'$$),
    (121, $$CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.require_configured_plan(); UPDATE users SET theme_preference = 'dark'$$),
    (122, $$CREATE TRIGGER t BEFORE UPDATE ON system_configs FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.keep_plans_in_use(); UPDATE system_configs SET description = ''$$),
    (123, $$CREATE TRIGGER t AFTER UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.hand_over_replies(); UPDATE messages SET metadata = '{}'$$),
    (124, $$CREATE TRIGGER t AFTER DELETE ON messages FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.hand_over_replies(); DELETE FROM messages$$)
) AS s (position, statement), LATERAL public.refusal(s.statement) AS r
ORDER BY s.position;

SELECT public.stored() = :'before' AS nothing_changed;

-- Metering and chat turns, with what they say. Reservations e1 (open, no model), e2 (open), e3 (settled), e4 (released),
-- e5 (expired) of no turn; f1 (open) and f2 (completed) of turns.
BEGIN;
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT reset_user_rate_limit('00000000-0000-7000-8000-00000000000a') IS NOT NULL AS reset;
INSERT INTO system_configs (config_key, config_value) VALUES ('rate_limits', '{"free": 100}')
ON CONFLICT (config_key) DO UPDATE SET config_value = excluded.config_value;
CREATE FUNCTION public.named(id text, reservation uuid) RETURNS void LANGUAGE sql AS $$
    UPDATE claude_gpt_data.usage_reservations SET id = ('00000000-0000-7000-8000-0000000000' || named.id)::uuid WHERE usage_reservations.id = reservation
$$;
UPDATE system_configs SET config_value = '{"gpt-3.5-turbo": {"prompt": 0, "completion": 0}}' WHERE config_key = 'model_prices';
SELECT public.named('e1', reservation_id) FROM reserve_usage('00000000-0000-7000-8000-00000000000a', 10);
SELECT public.named('e2', reservation_id) FROM reserve_usage('00000000-0000-7000-8000-00000000000a', 10, 1, 'gpt-3.5-turbo');
SELECT public.named('e3', reservation_id) FROM reserve_usage('00000000-0000-7000-8000-00000000000a', 10, 1, 'gpt-3.5-turbo');
SELECT public.named('e4', reservation_id) FROM reserve_usage('00000000-0000-7000-8000-00000000000a', 10, 1, 'gpt-3.5-turbo');
SELECT charged_tokens FROM settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e3', 1, 2, 0.5);
SELECT release_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e4');
SELECT public.named('f1', reservation_id) FROM begin_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000c1', 'four', 'gpt-3.5-turbo');
SELECT public.named('f2', reservation_id) FROM begin_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000c1', 'five', 'gpt-3.5-turbo');
SELECT total_tokens FROM complete_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f2', 'six', 1, 2, 0.5);
SELECT public.named('e5', reservation_id) FROM reserve_usage('00000000-0000-7000-8000-00000000000a', 10, 0, NULL, '1 second');
-- as reservations of before have it
UPDATE usage_reservations SET unit_prices = NULL, model_used = 'gone' WHERE status = 'open' AND model_used IS NOT NULL;
SELECT allowed FROM consume_quota('00000000-0000-7000-8000-00000000000a', 'api_call', 1, NULL, 'a key');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:01Z';
SELECT public.stored() AS before_metering \gset

SELECT s.position, r.code, r.live_objects AS live, concat_ws(E'\n', r.message, NULLIF(r.detail, ''), NULLIF(r.hint, '')) AS message_detail_hint
FROM (VALUES
    -- consume_quota, quota_status
    (203, $$SELECT consume_quota('00000000-0000-7000-8000-00000000000a', 'image')$$),
    (204, $$SELECT consume_quota('00000000-0000-7000-8000-00000000000a', 'message', 0)$$),
    (205, $$SELECT consume_quota('00000000-0000-7000-8000-00000000000a', 'message', 1, '')$$),
    (206, $$SELECT consume_quota('00000000-0000-7000-8000-00000000000a', 'message', 1, NULL, '')$$),
    (207, $$SELECT consume_quota('00000000-0000-7000-8000-00000000ffff')$$),
    (208, $$SELECT consume_quota('00000000-0000-7000-8000-00000000ffff', p_idempotency_key => 'a key')$$),
    (209, $$SELECT consume_quota('00000000-0000-7000-8000-00000000000a', 'api_call', 2, NULL, 'a key')$$),
    (210, $$SELECT consume_quota('00000000-0000-7000-8000-00000000000a', 'token', 9223372036854775807)$$),
    (212, $$SELECT quota_status('00000000-0000-7000-8000-00000000ffff')$$),
    -- reservations
    (223, $$SELECT reserve_usage('00000000-0000-7000-8000-00000000000a', -1)$$),
    (224, $$SELECT reserve_usage('00000000-0000-7000-8000-00000000000a', 1, -1)$$),
    (225, $$SELECT reserve_usage('00000000-0000-7000-8000-00000000000a', 0, 0)$$),
    (229, $$SELECT reserve_usage('00000000-0000-7000-8000-00000000000a', 1, p_estimated_cost => 0)$$),
    (226, $$SELECT reserve_usage('00000000-0000-7000-8000-00000000000a', 1, p_ttl => '25 hours')$$),
    (227, $$SELECT reserve_usage('00000000-0000-7000-8000-00000000ffff', 1)$$),
    (228, $$SELECT reserve_usage('00000000-0000-7000-8000-00000000000a', 1, p_idempotency_key => 'a key')$$),
    (232, $$SELECT extend_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e1', '0 seconds')$$),
    (233, $$SELECT extend_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-00000000ffff', '1 minute')$$),
    (234, $$SELECT extend_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e3', '1 minute')$$),
    (235, $$SELECT extend_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e4', '1 minute')$$),
    (236, $$SELECT extend_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e5', '1 minute')$$),
    (243, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e1', -1, 1)$$),
    (244, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e1', 1, -1)$$),
    (245, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e1', 1, 1, -1)$$),
    (246, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e1', 1, 1, 'NaN')$$),
    (247, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e1', 1, 1, 0, NULL, 1, 1)$$),
    (248, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e1', 1, 1)$$),
    (249, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e2', 1, 1)$$),
    (250, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e3', 1, 1, 0.5)$$),
    (251, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e4', 1, 1, 0.5)$$),
    (252, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e1', 1, 1, 0, '00000000-0000-7000-8000-00000000ffff')$$),
    (253, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-00000000ffff', 1, 1)$$),
    (254, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f1', 1, 1, 0)$$),
    (255, $$SELECT settle_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e1', 1, 1, 99999999999)$$),
    (261, $$SELECT release_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-00000000ffff')$$),
    (262, $$SELECT release_usage('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f1')$$),
    -- raise_if_denied
    (271, $$SELECT raise_if_denied(d) FROM (SELECT 1 AS one) AS d$$),
    (272, $$SELECT raise_if_denied(d) FROM (SELECT false AS allowed, NULL::text AS reason) AS d$$),
    (273, $$SELECT raise_if_denied(d) FROM consume_quota('00000000-0000-7000-8000-00000000000a', 'message', 10) AS d$$),
    (274, $$SELECT raise_if_denied(d) FROM consume_quota('00000000-0000-7000-8000-00000000000a', 'message', 6) AS d$$),
    (275, $$SELECT raise_if_denied(d) FROM begin_turn('00000000-0000-7000-8000-00000000000a', NULL, 'x', 'gpt-4') AS d$$),
    (276, $$SELECT raise_if_denied(d) FROM (SELECT false AS allowed, 'rate_limited' AS reason, 30 AS retry_after_seconds) AS d$$),
    (277, $$SELECT raise_if_denied(d) FROM (SELECT false AS allowed, 'maintenance' AS reason) AS d$$),
    (278, $$SELECT raise_if_denied(d) FROM (SELECT false AS allowed, 'capacity' AS reason, 1 AS retry_after_seconds) AS d$$),
    -- record_usage
    (284, $$SELECT record_usage('00000000-0000-7000-8000-00000000000a', 'image')$$),
    (285, $$SELECT record_usage('00000000-0000-7000-8000-00000000000a', 'message', -1)$$),
    (286, $$SELECT record_usage('00000000-0000-7000-8000-00000000000a', 'message', 0)$$),
    (287, $$SELECT record_usage('00000000-0000-7000-8000-00000000000a', 'message', 1, NULL, -1)$$),
    (288, $$SELECT record_usage('00000000-0000-7000-8000-00000000000a', 'message', 1, repeat('m', 256))$$),
    (289, $$SELECT record_usage('00000000-0000-7000-8000-00000000000a', 'message', 1, p_message_id => '00000000-0000-7000-8000-00000000ffff')$$),
    (290, $$SELECT record_usage('00000000-0000-7000-8000-00000000000b', 'message', 1, p_conversation_id => '00000000-0000-7000-8000-0000000000c1')$$),
    (291, $$SELECT record_usage('00000000-0000-7000-8000-00000000ffff', 'message')$$),
    (292, $$SELECT record_usage('00000000-0000-7000-8000-00000000000a', 'message', 1, p_idempotency_key => 'a key')$$),
    (293, $$SELECT record_usage('00000000-0000-7000-8000-00000000000a', 'token', 9223372036854775807)$$),
    -- rate limits
    (302, $$SELECT check_rate_limit('00000000-0000-7000-8000-00000000000a', -1)$$),
    (303, $$SELECT check_rate_limit('00000000-0000-7000-8000-00000000ffff')$$),
    (304, $$ALTER TABLE system_configs DISABLE TRIGGER validate_system_configs; UPDATE system_configs SET config_value = '{"base": 1}' WHERE config_key = 'rate_limits'; UPDATE users SET subscription_tier = 'pro'; SELECT check_rate_limit('00000000-0000-7000-8000-00000000000a')$$),
    (309, $$SELECT rate_limit('', 1, '1 minute')$$),
    (310, $$SELECT rate_limit('k', 0, '1 minute')$$),
    (311, $$SELECT rate_limit('k', 1000000001, '1 minute')$$),
    (312, $$SELECT rate_limit('k', 1, '0 seconds')$$),
    (313, $$SELECT rate_limit('k', 1, '367 days')$$),
    (314, $$SELECT rate_limit('k', 1, '1 month')$$),
    (315, $$SELECT rate_limit('k', 1, '1 minute', -1)$$),
    (317, $$SELECT reset_rate_limit('')$$),
    -- turns
    (321, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', NULL, NULL, 'gpt-3.5-turbo')$$),
    (324, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', NULL, '', 'gpt-3.5-turbo')$$),
    (325, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', NULL, 'x', '')$$),
    (326, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', NULL, 'x', 'gpt-3.5-turbo', -1)$$),
    (327, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', NULL, 'x', 'gpt-3.5-turbo', 0, '00000000-0000-7000-8000-0000000000d1')$$),
    (328, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000c1', NULL, 'gpt-3.5-turbo', 0, '00000000-0000-7000-8000-0000000000d2')$$),
    (329, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000c1', NULL, 'gpt-3.5-turbo', 0, '00000000-0000-7000-8000-0000000000d1', '00000000-0000-7000-8000-0000000000d4')$$),
    (330, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', NULL, 'x', 'gpt-3.5-turbo', p_content_type => '')$$),
    (331, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', NULL, 'x', 'gpt-3.5-turbo', p_ttl => '25 hours')$$),
    (332, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', NULL, 'x', 'gpt-3.5-turbo', p_message_id => '00000000-0000-7000-8000-0000000000d1')$$),
    (333, $$SELECT begin_turn('00000000-0000-7000-8000-00000000ffff', NULL, 'x', 'gpt-3.5-turbo')$$),
    (334, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000b', '00000000-0000-7000-8000-0000000000c1', 'x', 'gpt-3.5-turbo')$$),
    (335, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000c1', 'x', 'gpt-3.5-turbo', 0, '00000000-0000-7000-8000-0000000000d3')$$),
    (336, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', NULL, 'x', 'gpt-3.5-turbo', p_idempotency_key => 'a key')$$),
    (337, $$SELECT set_message_feedback('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000d2', 'good')$$),
    (338, $$SELECT set_message_feedback('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000d2', NULL, 'why')$$),
    (339, $$SELECT set_message_feedback('00000000-0000-7000-8000-00000000000b', '00000000-0000-7000-8000-0000000000d2', 'up')$$),
    (341, $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', NULL, 'x', 'gpt-3.5-turbo', p_parts => '{"type": "text"}')$$),
    (342, $$SELECT save_partial('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-00000000ffff', 'x')$$),
    (343, $$SELECT save_partial('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e1', 'x')$$),
    (344, $$SELECT save_partial('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f2', 'x')$$),
    (351, $$SELECT complete_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f1', 'x', -1, 1)$$),
    (352, $$SELECT complete_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f1', 'x', 1, 1)$$),
    (353, $$SELECT complete_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f1', 'x', 2147483647, 1, 0)$$),
    (354, $$SELECT complete_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f2', 'six', 1, 1, 0.5)$$),
    (355, $$SELECT complete_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e1', 'x', 1, 1, 0)$$),
    (356, $$SELECT complete_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-00000000ffff', 'x', 1, 1, 0)$$),
    (357, $$SELECT fail_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f1', 'e'), complete_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f1', 'x', 1, 1, 0)$$),
    (361, $$SELECT fail_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f1', 'e', 1, -1)$$),
    (362, $$SELECT fail_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f2', 'e', 1, 2, NULL, 0.5)$$),
    (365, $$SELECT complete_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000f2', 'six', 1, 2, 0.6)$$),
    (363, $$SELECT fail_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000e1', 'e')$$),
    (364, $$SELECT fail_turn('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-00000000ffff', 'e')$$),
    -- lists
    (371, $$SELECT list_conversations('00000000-0000-7000-8000-00000000000a', false, NULL, 1001)$$),
    (372, $$SELECT list_conversations('00000000-0000-7000-8000-00000000ffff')$$),
    (373, $$SELECT list_conversations('00000000-0000-7000-8000-00000000000b', false, '00000000-0000-7000-8000-0000000000c1')$$),
    (375, $$SELECT conversation_messages('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000c1', NULL, 0)$$),
    (376, $$SELECT conversation_messages('00000000-0000-7000-8000-00000000000b', '00000000-0000-7000-8000-0000000000c1')$$),
    (377, $$SELECT conversation_messages('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-0000000000d3')$$),
    (379, $$SELECT conversation_path('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000d2', 0)$$),
    (380, $$SELECT conversation_path('00000000-0000-7000-8000-00000000000b', '00000000-0000-7000-8000-0000000000d2')$$),
    (382, $$SELECT delete_conversation('00000000-0000-7000-8000-00000000ffff', '00000000-0000-7000-8000-0000000000c1')$$),
    (383, $$SELECT delete_conversation('00000000-0000-7000-8000-00000000000b', '00000000-0000-7000-8000-0000000000c1')$$),
    -- books
    (390, $$SELECT prove_books('00000000-0000-7000-8000-00000000ffff')$$),
    (391, $$SELECT repair_books('00000000-0000-7000-8000-00000000ffff')$$),
    (392, $$DELETE FROM usage_records; INSERT INTO usage_records (user_id, usage_type, quantity) VALUES ('00000000-0000-7000-8000-00000000000a', 'message', 2147483648); SELECT repair_books()$$)
) AS s (position, statement), LATERAL public.refusal(s.statement) AS r
ORDER BY s.position;

SELECT public.stored() = :'before_metering' AS nothing_changed;
SELECT * FROM prove_books();
ROLLBACK;

-- a refused call leaves the session fit for the next
SELECT update_user_usage('00000000-0000-7000-8000-00000000000a', 1, 5, 0.25);
SELECT monthly_message_count, monthly_token_count, monthly_cost FROM users WHERE email = 'ada@example.com';

-- in a transaction that may only read, reading works and writing is refused
BEGIN READ ONLY;
SELECT check_subscription_limit('00000000-0000-7000-8000-00000000000a') AS admitted,
       effective_tier('00000000-0000-7000-8000-00000000000a') AS tier;
SELECT code FROM public.refusal($$SELECT update_user_usage('00000000-0000-7000-8000-00000000000a')$$);
SELECT code FROM public.refusal($$SELECT set_subscription('00000000-0000-7000-8000-00000000000a', 'pro')$$);
SELECT (SELECT count(*) FROM quota_status('00000000-0000-7000-8000-00000000000a')) AS limits,
       (SELECT count(*) FROM list_conversations('00000000-0000-7000-8000-00000000000a')) AS conversations,
       (SELECT count(*) FROM conversation_messages('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000c1')) AS messages,
       (SELECT count(*) FROM conversation_path('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000d2')) AS path,
       (SELECT count(*) FROM prove_books('00000000-0000-7000-8000-00000000000b')) AS differences,
       (SELECT allowed FROM check_rate_limit('00000000-0000-7000-8000-00000000000a', 0)) AS rate;
SELECT s.statement, r.code FROM unnest(ARRAY[
    $$SELECT consume_quota('00000000-0000-7000-8000-00000000000a')$$, $$SELECT reserve_usage('00000000-0000-7000-8000-00000000000a', 1)$$,
    $$SELECT record_usage('00000000-0000-7000-8000-00000000000a', 'message')$$,
    $$SELECT begin_turn('00000000-0000-7000-8000-00000000000a', NULL, 'x', 'gpt-3.5-turbo')$$,
    $$SELECT delete_conversation('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-0000000000c1')$$])
    WITH ORDINALITY AS s (statement, position), LATERAL public.refusal(s.statement) AS r ORDER BY s.position;
ROLLBACK;

DELETE FROM users;
DROP FUNCTION public.refusal(text), public.stored();
