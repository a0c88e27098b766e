-- Every function and trigger, called first in a session whose search_path is full of traps: tables, operators,
-- functions and types of the names that a careless statement would pick up.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS claude_gpt;
DROP ROLE IF EXISTS regress_claude_gpt_hostile;
RESET client_min_messages;
CREATE ROLE regress_claude_gpt_hostile;
SELECT claude_gpt.grant_application_access('regress_claude_gpt_hostile');
INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES
    ('00000000-0000-7000-8000-00000000000a', 'ada@example.com', 'x'),
    ('00000000-0000-7000-8000-00000000000b', 'bob@example.com', 'x');

CREATE SCHEMA hostile;
GRANT USAGE ON SCHEMA hostile TO PUBLIC;
CREATE FUNCTION hostile.spring() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a trap was sprung';
END
$$;
DO $$
DECLARE
    t text;
    o text;
BEGIN
    -- operators that raise
    FOREACH t IN ARRAY ARRAY['uuid', 'int4', 'int8', 'numeric', 'date', 'timestamptz', 'bool', 'text', 'varchar', 'name', 'oid'] LOOP
        EXECUTE format('CREATE FUNCTION hostile.%I(a pg_catalog.%s, b pg_catalog.%2$s) RETURNS boolean LANGUAGE plpgsql AS
                        ''BEGIN PERFORM hostile.spring(); RETURN true; END''', 'compare_' || t, t);
        FOREACH o IN ARRAY ARRAY['=', '<>', '<', '>', '<=', '>='] LOOP
            EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = pg_catalog.%s, RIGHTARG = pg_catalog.%2$s, FUNCTION = hostile.%3$I)',
                           o, t, 'compare_' || t);
        END LOOP;
    END LOOP;
    FOREACH t IN ARRAY ARRAY['int4', 'int8', 'numeric'] LOOP
        EXECUTE format('CREATE FUNCTION hostile.%I(a pg_catalog.%s, b pg_catalog.%2$s) RETURNS pg_catalog.%2$s LANGUAGE plpgsql AS
                        ''BEGIN PERFORM hostile.spring(); RETURN a; END''', 'calculate_' || t, t);
        FOREACH o IN ARRAY ARRAY['+', '-', '*', '/'] LOOP
            EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = pg_catalog.%s, RIGHTARG = pg_catalog.%2$s, FUNCTION = hostile.%3$I)',
                           o, t, 'calculate_' || t);
        END LOOP;
    END LOOP;
    -- aggregates and functions of the names that metering and turns use
    FOREACH t IN ARRAY ARRAY['array_position(pg_catalog.text[], pg_catalog.text) RETURNS pg_catalog.int4', 'sha256(pg_catalog.bytea) RETURNS pg_catalog.bytea',
                             'convert_to(pg_catalog.text, pg_catalog.name) RETURNS pg_catalog.bytea', 'getdatabaseencoding() RETURNS pg_catalog.name',
                             'sum(pg_catalog.int4) RETURNS pg_catalog.int8', 'sum(pg_catalog.int8) RETURNS pg_catalog.numeric', 'sum(pg_catalog.numeric) RETURNS pg_catalog.numeric',
                             'min(pg_catalog.timestamptz) RETURNS pg_catalog.timestamptz', 'max(pg_catalog.timestamptz) RETURNS pg_catalog.timestamptz', 'count() RETURNS pg_catalog.int8',
                             'row_number() RETURNS pg_catalog.int8', 'octet_length(pg_catalog.text) RETURNS pg_catalog.int4', 'date_trunc(pg_catalog.text, pg_catalog.timestamp) RETURNS pg_catalog.timestamp'] LOOP
        EXECUTE format('CREATE FUNCTION hostile.%s LANGUAGE plpgsql AS ''BEGIN PERFORM hostile.spring(); RETURN NULL; END''', t);
    END LOOP;
    -- types and tables that are not what they are called
    FOREACH t IN ARRAY ARRAY['uuid', 'text', 'varchar', 'int4', 'int8', 'numeric', 'date', 'timestamptz', 'interval', 'jsonb', 'bool', 'bytea'] LOOP
        EXECUTE format('CREATE DOMAIN hostile.%I AS pg_catalog.int4 CHECK (false)', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['users', 'conversations', 'messages', 'usage_records', 'subscription_history', 'system_configs',
                             'user_sessions', 'audit_logs', 'usage_balances', 'usage_reservations', 'idempotency_keys', 'claude_gpt_migrations', 'application_grants', 'pg_class', 'pg_settings'] LOOP
        EXECUTE format('CREATE TABLE hostile.%I (id pg_catalog.int4)', t);
        EXECUTE format('GRANT ALL ON hostile.%I TO PUBLIC', t);
    END LOOP;
END
$$;
-- functions that raise
CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT hostile.spring(); SELECT NULL::pg_catalog.timestamptz$$;
CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT hostile.spring(); SELECT NULL::pg_catalog.timestamptz$$;
CREATE FUNCTION hostile.uuid_v7() RETURNS uuid LANGUAGE sql AS $$SELECT hostile.spring(); SELECT NULL::uuid$$;
CREATE FUNCTION hostile.current_billing_period() RETURNS date LANGUAGE sql AS $$SELECT hostile.spring(); SELECT NULL::date$$;
CREATE FUNCTION hostile.left(text, integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT hostile.spring(); SELECT ''$$;
CREATE FUNCTION hostile.lower(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT hostile.spring(); SELECT ''$$;
CREATE FUNCTION hostile.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
CREATE FUNCTION hostile.date_trunc(text, timestamptz) RETURNS timestamptz LANGUAGE sql AS $$SELECT hostile.spring(); SELECT NULL::pg_catalog.timestamptz$$;

-- a new session, in which no plan is prepared yet, with an application's rights
\c -
\set VERBOSITY terse
SELECT claude_gpt.uuid_v7() IS NOT NULL AS loaded;
SET claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SET SESSION AUTHORIZATION regress_claude_gpt_hostile;
SET search_path = hostile, pg_catalog, pg_temp;
-- the traps are set
SELECT true WHERE 1 = 1;
SELECT * FROM users;
SELECT 'x'::text;

SELECT claude_gpt.update_user_usage('00000000-0000-7000-8000-00000000000a', 3, 40, 0.125);
SELECT claude_gpt.update_user_usage('00000000-0000-7000-8000-00000000000a');
SELECT claude_gpt.check_subscription_limit('00000000-0000-7000-8000-00000000000a');
SELECT claude_gpt.effective_tier('00000000-0000-7000-8000-00000000000a');
SELECT claude_gpt.current_billing_period() IS NULL AS no_period;
SELECT claude_gpt.uuid_v7_floor('1970-01-01Z'::pg_catalog.timestamptz);
INSERT INTO claude_gpt_data.conversations (id, user_id)
VALUES ('00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-00000000000a');
INSERT INTO claude_gpt_data.messages (id, conversation_id, user_id, role, content, total_tokens, cost, is_searchable)
VALUES ('00000000-0000-7000-8000-0000000000d1', '00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-00000000000a', 'user', 'one', 5, 0.5, true);
INSERT INTO claude_gpt_data.messages (id, conversation_id, user_id, role, content, total_tokens, cost, parent_message_id)
VALUES ('00000000-0000-7000-8000-0000000000d2', '00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-00000000000a', 'assistant', 'two', 7, 0.25, '00000000-0000-7000-8000-0000000000d1');
UPDATE claude_gpt_data.messages SET total_tokens = 8 WHERE content OPERATOR(pg_catalog.=) 'two';
DELETE FROM claude_gpt_data.messages WHERE content OPERATOR(pg_catalog.=) 'one';
INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at)
VALUES ('00000000-0000-7000-8000-00000000000a', 's', '2001-01-01Z'), ('00000000-0000-7000-8000-00000000000a', 't', 'infinity');
SELECT claude_gpt.cleanup_expired_sessions();
UPDATE claude_gpt_data.users SET full_name = 'Ada' WHERE email OPERATOR(pg_catalog.=) 'ada@example.com';
UPDATE claude_gpt_data.users SET subscription_tier = 'pro' WHERE email OPERATOR(pg_catalog.=) 'ada@example.com';

-- metering
SELECT allowed, limit_name, used FROM claude_gpt.consume_quota('00000000-0000-7000-8000-00000000000b');
SELECT allowed, used FROM claude_gpt.consume_quota('00000000-0000-7000-8000-00000000000b', 'token', 5, 'gpt-3.5-turbo', 'key');
SELECT allowed, used, replayed FROM claude_gpt.consume_quota('00000000-0000-7000-8000-00000000000b', 'token', 5, 'gpt-3.5-turbo', 'key');
SELECT allowed, used FROM claude_gpt.consume_quota('00000000-0000-7000-8000-00000000000b', 'api_call', 2);
SELECT allowed, reason, remaining FROM claude_gpt.consume_quota('00000000-0000-7000-8000-00000000000b', 'message', 10);
SELECT claude_gpt.raise_if_denied(d) FROM claude_gpt.consume_quota('00000000-0000-7000-8000-00000000000b', 'message', 1, 'gpt-4') AS d;
SELECT reservation_id AS due FROM claude_gpt.reserve_usage('00000000-0000-7000-8000-00000000000b', 100, 1, NULL, '1 second') \gset
SELECT reservation_id AS held FROM claude_gpt.reserve_usage('00000000-0000-7000-8000-00000000000b', 100, 1, 'gpt-3.5-turbo', p_idempotency_key => 'held') \gset
SELECT replayed FROM claude_gpt.reserve_usage('00000000-0000-7000-8000-00000000000b', 100, 1, 'gpt-3.5-turbo', p_idempotency_key => 'held');
SELECT action, limit_value, used, held FROM claude_gpt.quota_status('00000000-0000-7000-8000-00000000000b');
SELECT claude_gpt.extend_usage('00000000-0000-7000-8000-00000000000b', :'held', '1 hour') IS NOT NULL AS extended;
SELECT charged_tokens, charged_cost FROM claude_gpt.settle_usage('00000000-0000-7000-8000-00000000000b', :'held', 3, 4, 0.5);
SELECT reservation_id AS released FROM claude_gpt.reserve_usage('00000000-0000-7000-8000-00000000000b', 100) \gset
SELECT claude_gpt.release_usage('00000000-0000-7000-8000-00000000000b', :'released');
RESET SESSION AUTHORIZATION;
SET claude_gpt.fixed_time = '2026-11-22T10:00:01Z';
SET SESSION AUTHORIZATION regress_claude_gpt_hostile;
SELECT action, used, held FROM claude_gpt.quota_status('00000000-0000-7000-8000-00000000000b');
SELECT allowed, used, held FROM claude_gpt.consume_quota('00000000-0000-7000-8000-00000000000b');
SELECT claude_gpt.release_usage('00000000-0000-7000-8000-00000000000b', :'due');
SELECT replayed FROM claude_gpt.record_usage('00000000-0000-7000-8000-00000000000b', 'token', 1, 'gpt-4', 0.25, NULL, NULL, '{"a": 1}', 'record');
SELECT replayed FROM claude_gpt.record_usage('00000000-0000-7000-8000-00000000000a', 'api_call', 1, NULL, 0, '00000000-0000-7000-8000-0000000000d2', '00000000-0000-7000-8000-0000000000c1');
SELECT allowed FROM claude_gpt.check_rate_limit('00000000-0000-7000-8000-00000000000b');
SELECT allowed, limit_value FROM claude_gpt.rate_limit('regress hostile', 5, '1 minute');

-- turns, each statement of theirs
SELECT allowed, conversation_id AS conversation, message_id AS question, assistant_message_id AS reply, reservation_id AS turn
FROM claude_gpt.begin_turn('00000000-0000-7000-8000-00000000000b', NULL, 'Hello', 'gpt-3.5-turbo', 10, p_metadata => '{"a": 1}', p_idempotency_key => 'turn') \gset
SELECT replayed FROM claude_gpt.begin_turn('00000000-0000-7000-8000-00000000000b', NULL, 'Hello', 'gpt-3.5-turbo', 10, p_metadata => '{"a": 1}', p_idempotency_key => 'turn');
SELECT claude_gpt.save_partial('00000000-0000-7000-8000-00000000000b', :'turn', 'Hel');
SELECT total_tokens, charged_cost FROM claude_gpt.complete_turn('00000000-0000-7000-8000-00000000000b', :'turn', 'Hello.', 1, 2, 0.125, '{"b": 2}');
SELECT reservation_id AS turn FROM claude_gpt.begin_turn('00000000-0000-7000-8000-00000000000b', :'conversation', 'More', 'gpt-3.5-turbo') \gset
SELECT total_tokens, charged_cost FROM claude_gpt.fail_turn('00000000-0000-7000-8000-00000000000b', :'turn', 'cut');
SELECT reservation_id AS turn FROM claude_gpt.begin_turn('00000000-0000-7000-8000-00000000000b', :'conversation', NULL, 'gpt-3.5-turbo', 0, :'question') \gset
SELECT total_tokens, charged_cost FROM claude_gpt.fail_turn('00000000-0000-7000-8000-00000000000b', :'turn', 'cut', 1, 0, 'Hel', 0.125);
SELECT reservation_id AS turn FROM claude_gpt.begin_turn('00000000-0000-7000-8000-00000000000b', :'conversation', 'Hi', 'gpt-3.5-turbo', 0, :'question') \gset
DELETE FROM claude_gpt_data.messages WHERE status OPERATOR(pg_catalog.=) 'sending';
SELECT total_tokens, charged_cost FROM claude_gpt.complete_turn('00000000-0000-7000-8000-00000000000b', :'turn', 'Hi.', 1, 1, 0.125);
SELECT message_count, total_tokens, last_message_content FROM claude_gpt.list_conversations('00000000-0000-7000-8000-00000000000b');
SELECT count(*) FROM claude_gpt.list_conversations('00000000-0000-7000-8000-00000000000b', NULL, :'conversation', 1);
SELECT role, content, status FROM claude_gpt.conversation_messages('00000000-0000-7000-8000-00000000000b', :'conversation');
SELECT role, content, status FROM claude_gpt.conversation_messages('00000000-0000-7000-8000-00000000000b', :'conversation', :'reply', 1);
SELECT role, content, tokens, sibling_index, sibling_count FROM claude_gpt.conversation_path('00000000-0000-7000-8000-00000000000b', :'reply', 1000);
SELECT claude_gpt.delete_conversation('00000000-0000-7000-8000-00000000000b', :'conversation');

-- what belongs to owners and billing
RESET SESSION AUTHORIZATION;
SELECT * FROM claude_gpt.prove_books();
UPDATE claude_gpt_data.users SET total_message_count = 0 WHERE email OPERATOR(pg_catalog.=) 'bob@example.com';
SELECT user_id, conversation_id, item, recorded FROM claude_gpt.repair_books('00000000-0000-7000-8000-00000000000b');
SELECT * FROM claude_gpt.prove_books('00000000-0000-7000-8000-00000000000b');
SELECT claude_gpt.reset_rate_limit('regress hostile');
SELECT claude_gpt.reset_user_rate_limit('00000000-0000-7000-8000-00000000000b');
SELECT claude_gpt.reset_rate_limits() IS NOT NULL AS reset;
SELECT claude_gpt.set_subscription('00000000-0000-7000-8000-00000000000a', 'base', p_subscription_id => 'sub_1', p_metadata => '{"a": 1}');
UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": 0}, "base": {"messagesPerMonth": 4}}'
WHERE config_key OPERATOR(pg_catalog.=) 'subscription_plans';
SELECT claude_gpt.check_subscription_limit('00000000-0000-7000-8000-00000000000a'),
       claude_gpt.check_subscription_limit('00000000-0000-7000-8000-00000000000b');
SELECT claude_gpt.grant_application_access('regress_claude_gpt_hostile', 'read');
SELECT claude_gpt.grant_application_access('regress_claude_gpt_hostile', 'operator');
SELECT claude_gpt.set_owner(pg_catalog.quote_ident(CURRENT_USER)::pg_catalog.regrole);
SET client_min_messages = warning;
CALL claude_gpt.migrate();
RESET client_min_messages;
SELECT claude_gpt.revoke_application_access('regress_claude_gpt_hostile');

-- and all of it was done
RESET search_path;
SELECT email, full_name, subscription_tier, monthly_message_count, monthly_token_count, monthly_api_call_count, monthly_cost FROM claude_gpt_data.users ORDER BY email;
SELECT message_count, total_tokens, total_cost FROM claude_gpt_data.conversations;
SELECT usage_type, quantity, cost FROM claude_gpt_data.usage_records ORDER BY usage_type, quantity, cost;
SELECT status, count(*) FROM claude_gpt_data.usage_reservations GROUP BY status ORDER BY status;
SELECT session_token FROM claude_gpt_data.user_sessions;
SELECT subscription_tier, stripe_subscription_id, metadata FROM claude_gpt_data.subscription_history;

UPDATE claude_gpt_data.system_configs SET config_value = '{
    "free": {"messagesPerMonth": 10, "models": ["gpt-3.5-turbo"]},
    "base": {"messagesPerMonth": 100, "models": ["gpt-3.5-turbo", "gpt-4"]},
    "pro": {"messagesPerMonth": -1, "models": ["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"]}}'
WHERE config_key = 'subscription_plans';
DELETE FROM claude_gpt_data.users;
SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
DROP ROLE regress_claude_gpt_hostile;
