-- A database of 0.4.0 as its users leave it, filled through its own functions: every table has rows. Roles keeper, app, reader,
-- supporter and guest are there.
CREATE EXTENSION claude_gpt;
SELECT claude_gpt.set_owner('keeper');
SELECT claude_gpt.grant_application_access('app'), claude_gpt.grant_application_access('reader', 'read'),
    claude_gpt.grant_application_access('supporter', 'operator');
ALTER TABLE claude_gpt.users ADD COLUMN nickname text DEFAULT 'friend';
UPDATE claude_gpt.system_configs SET config_value = '{"free": 1000, "base": 1000, "pro": 1000}' WHERE config_key = 'rate_limits';
UPDATE claude_gpt.system_configs SET config_value = '{"gpt-4": {"prompt": 30, "completion": 60}, "gpt-3.5-turbo": {"prompt": 1, "completion": 2}}' WHERE config_key = 'model_prices';

INSERT INTO claude_gpt.users (id, email, password_hash, full_name, stripe_customer_id)
SELECT format('00000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid, format('user%s@example.com', n), 'hash', format('User %s', n), format('cus_%s', n)
FROM generate_series(1, 40) AS n;
SELECT claude_gpt.set_subscription(id, CASE WHEN right(id::text, 1) IN ('1', '2', '3') THEN 'pro' ELSE 'base' END, p_current_period_end => '2027-01-01Z')
FROM claude_gpt.users WHERE right(id::text, 1) < '6';
SELECT claude_gpt.update_user_usage(id, 1, 100, 0.25) FROM claude_gpt.users;
SELECT claude_gpt.record_usage(id, 'api_call', 3, NULL, 0.5, NULL, NULL, '{"from": "test"}', 'call') FROM claude_gpt.users;
INSERT INTO claude_gpt.user_sessions (user_id, session_token, refresh_token, device_type, expires_at)
SELECT id, 's' || id, 'r' || id, 'web', '2027-01-01Z' FROM claude_gpt.users;
INSERT INTO claude_gpt.audit_logs (user_id, user_email, action, resource_type, resource_id) SELECT id, email, 'sign_up', 'user', id FROM claude_gpt.users;
-- Turns: complete, failed, and open.
DO $$
DECLARE
    u record;
    turn record;
BEGIN
    FOR u IN SELECT id, row_number() OVER (ORDER BY id) AS n FROM claude_gpt.users ORDER BY id LIMIT 15 LOOP
        SELECT * INTO turn FROM claude_gpt.begin_turn(u.id, NULL, 'Hello', 'gpt-4', 100, p_ttl => '24 hours', p_idempotency_key => 'first');
        CONTINUE WHEN NOT turn.allowed;
        IF u.n % 3 = 0 THEN
            PERFORM claude_gpt.fail_turn(turn.reservation_id, 'it broke', 7, 0);
        ELSIF u.n % 3 = 1 THEN
            PERFORM claude_gpt.complete_turn(turn.reservation_id, 'Hello yourself', 12, 30);
        END IF;
        -- The first question in other words, which begins a branch beside it.
        IF u.n = 1 THEN
            SELECT * INTO turn FROM claude_gpt.begin_turn(u.id, turn.conversation_id, 'Hello again', 'gpt-4', 100, p_parent_message_id => turn.message_id);
            PERFORM claude_gpt.complete_turn(turn.reservation_id, 'Hello yourself, again', 12, 30);
        END IF;
    END LOOP;
END
$$;
SELECT claude_gpt.reserve_usage(id, 50, p_ttl => '24 hours') FROM claude_gpt.users WHERE id < '00000000-0000-4000-8000-000000000006';
-- What was counted before there was a ledger.
INSERT INTO claude_gpt.usage_balances (user_id, usage_type, billing_period, quantity, cost)
SELECT id, 'message', '-infinity', 5, 1 FROM claude_gpt.users WHERE id < '00000000-0000-4000-8000-000000000009';
UPDATE claude_gpt.users SET total_message_count = total_message_count + 5, total_cost = total_cost + 1 WHERE id < '00000000-0000-4000-8000-000000000009';
CALL claude_gpt.run_job('analyze');
