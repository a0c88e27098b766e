-- Who may do what: levels, protected columns, the owner of the tables.
BEGIN;
\ir prelude.psql
UPDATE system_configs SET config_value = '{"gpt-3.5-turbo": {"prompt": 0, "completion": 0}, "x": {"prompt": 0, "completion": 0}}' WHERE config_key = 'model_prices';
SELECT no_plan();

CREATE ROLE pgtap_reader;
CREATE ROLE pgtap_application;
CREATE ROLE pgtap_billing;
CREATE ROLE pgtap_operator;
CREATE ROLE pgtap_monitor;
CREATE ROLE pgtap_stranger;
CREATE ROLE pgtap_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
SELECT pg_temp.new_user('ada') AS ada \gset
INSERT INTO conversations (id, user_id) VALUES ('00000000-0000-7000-8000-0000000000c1', :'ada');
INSERT INTO user_sessions (user_id, session_token, expires_at) VALUES (:'ada', 's', 'infinity');

-- before any grant
SELECT is(pg_temp.as_role('pgtap_stranger', statement), '42501', format('a stranger may not %s', statement))
FROM unnest(ARRAY['SELECT * FROM claude_gpt_data.users', 'SELECT * FROM claude_gpt_data.user_statistics', 'SELECT claude_gpt.uuid_v7()',
                  'SELECT claude_gpt.cleanup_expired_sessions()', 'CALL claude_gpt.migrate()', $$SELECT claude_gpt.grant_application_access('pgtap_stranger')$$,
                  'SELECT claude_gpt.consume_quota(NULL)', 'SELECT * FROM claude_gpt.quota_status(NULL)', $$SELECT claude_gpt.rate_limit('k', 1, '1 day')$$, 'SELECT * FROM claude_gpt.rate_limit_status()',
                  'SELECT * FROM claude_gpt.prove_books()', 'SELECT * FROM claude_gpt_data.usage_reservations', 'SELECT * FROM claude_gpt_data.idempotency_keys']) AS statement;
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc AS p, aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a
                  WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND a.grantee <> p.proowner$$, 'nobody may call any function');

SELECT is(grant_application_access('pgtap_reader', 'read')::text, '', 'the result is void');
SELECT grant_application_access('pgtap_application');
SELECT grant_application_access('pgtap_billing', 'billing');
SELECT grant_application_access('pgtap_operator', 'operator');
SELECT grant_application_access('pgtap_monitor', 'monitor');
SELECT is((SELECT string_agg(role_name || ' ' || level, ', ' ORDER BY role_name) FROM application_grants),
          'pgtap_application application, pgtap_billing billing, pgtap_monitor monitor, pgtap_operator operator, pgtap_reader read', 'grants are recorded');
SELECT is((SELECT string_agg(r.rolname || ' ' || s.setconfig::text, ', ' ORDER BY r.rolname) FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole
           JOIN pg_database AS d ON d.oid = s.setdatabase WHERE d.datname = current_database() AND r.rolname LIKE 'pgtap\_%'),
          (SELECT string_agg(r || ' {"search_path=\"$user\", claude_gpt_data, claude_gpt, public"}', ', ' ORDER BY r) FROM unnest(ARRAY['pgtap_application', 'pgtap_reader']) AS r),
          'who works with the tables finds them by a search_path in this database, and nobody else');
CREATE ROLE pgtap_almighty SUPERUSER;
SELECT throws_ok(format('SELECT grant_application_access(%L, %L)', 'pgtap_almighty', l), '22023', 'role "pgtap_almighty" is a superuser, or may become one', 'a superuser gets no level: ' || l)
FROM unnest(ARRAY['read', 'application', 'billing', 'operator', 'monitor']) AS l;
DROP ROLE pgtap_almighty;

-- what each level may do: 1 it may, 0 it may not
CREATE TEMPORARY TABLE deeds ON COMMIT DROP AS
SELECT * FROM (VALUES
    ('SELECT email FROM claude_gpt_data.users',                                              '11110'),
    ('SELECT password_hash FROM claude_gpt_data.users',                                      '01000'),
    ('SELECT * FROM claude_gpt_data.users',                                                  '01000'),
    ('SELECT email_verification_token, password_reset_token FROM claude_gpt_data.users',     '01000'),
    ('SELECT device_type FROM claude_gpt_data.user_sessions',                                '11110'),
    ('SELECT session_token FROM claude_gpt_data.user_sessions',                              '01000'),
    ('SELECT refresh_token FROM claude_gpt_data.user_sessions',                              '01000'),
    ('SELECT * FROM claude_gpt_data.conversations',                                          '11110'),
    ('SELECT content FROM claude_gpt_data.messages',                                         '11000'),
    ('SELECT parts FROM claude_gpt_data.messages',                                           '11000'),
    ('SELECT * FROM claude_gpt_data.message_feedback',                                       '11000'),
    ('SELECT rating, user_id FROM claude_gpt_data.message_feedback',                         '11110'),
    ('SELECT * FROM claude_gpt_data.message_files',                                          '11000'),
    ('SELECT media_type, size_bytes FROM claude_gpt_data.message_files',                     '11110'),
    ($$INSERT INTO claude_gpt_data.message_files (user_id, name, location) SELECT id, 'a', 'b' FROM claude_gpt_data.users$$, '01000'),
    ('UPDATE claude_gpt_data.message_files SET name = name',                                 '01000'),
    ($$INSERT INTO claude_gpt_data.message_feedback (message_id, user_id, rating) SELECT id, user_id, 'up' FROM claude_gpt_data.messages$$, '01000'),
    ('DELETE FROM claude_gpt_data.message_feedback',                                         '01000'),
    ('SELECT * FROM claude_gpt_data.usage_records',                                          '11110'),
    ('SELECT * FROM claude_gpt_data.usage_balances',                                         '11110'),
    ('SELECT * FROM claude_gpt_data.usage_reservations',                                     '11110'),
    ('SELECT * FROM claude_gpt_data.idempotency_keys',                                       '00010'),
    ('SELECT held_message_count, held_token_count, held_cost, next_hold_expiry FROM claude_gpt_data.users', '11110'),
    ('SELECT * FROM claude_gpt_data.subscription_history',                                   '11110'),
    ('SELECT * FROM claude_gpt_data.system_configs',                                         '11110'),
    ('SELECT * FROM claude_gpt_data.audit_logs',                                             '11010'),
    ('SELECT * FROM claude_gpt_data.conversation_summary',                                   '11000'),
    ('SELECT * FROM claude_gpt_data.claude_gpt_migrations',                                  '00011'),
    ($$INSERT INTO claude_gpt_data.users (email, password_hash) VALUES (random() || '@example.com', 'x')$$, '01000'),
    ($$UPDATE claude_gpt_data.users SET full_name = 'x'$$,                                   '01000'),
    ($$DELETE FROM claude_gpt_data.users WHERE false$$,                                      '01000'),
    ('TRUNCATE claude_gpt_data.user_sessions',                                               '00000'),
    ('INSERT INTO claude_gpt_data.conversations (user_id) SELECT id FROM claude_gpt_data.users',  '01000'),
    ($$INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content)
       SELECT id, user_id, 'user', 'hi' FROM claude_gpt_data.conversations$$,                '01000'),
    ('DELETE FROM claude_gpt_data.messages',                                                 '01000'),
    ($$INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) SELECT id, random(), now() FROM claude_gpt_data.users$$, '01000'),
    ($$INSERT INTO claude_gpt_data.audit_logs (action, resource_type) VALUES ('a', 'b')$$,   '01000'),
    ('UPDATE claude_gpt_data.audit_logs SET action = action',                                '00000'),
    ($$DELETE FROM claude_gpt_data.audit_logs WHERE created_at < '2001-01-01'$$,             '00010'),
    ($$INSERT INTO claude_gpt_data.usage_records (user_id, usage_type) SELECT id, 'message' FROM claude_gpt_data.users$$, '00000'),
    ('UPDATE claude_gpt_data.usage_records SET quantity = 0',                                '00000'),
    ('DELETE FROM claude_gpt_data.usage_records',                                            '00000'),
    ('DELETE FROM claude_gpt_data.usage_balances',                                           '00000'),
    ($$INSERT INTO claude_gpt_data.usage_reservations (user_id, message_count, token_count, expires_at) SELECT id, 1, 1, now() FROM claude_gpt_data.users$$, '00000'),
    ($$UPDATE claude_gpt_data.usage_reservations SET expires_at = 'infinity'$$,              '00000'),
    ('DELETE FROM claude_gpt_data.usage_reservations',                                       '00000'),
    ('TRUNCATE claude_gpt_data.usage_reservations, claude_gpt_data.idempotency_keys',             '00000'),
    ($$INSERT INTO claude_gpt_data.idempotency_keys (user_id, idempotency_key, fingerprint, expires_at) SELECT id, 'k', '', now() FROM claude_gpt_data.users$$, '00000'),
    ('UPDATE claude_gpt_data.idempotency_keys SET expires_at = now()',                       '00000'),
    ('DELETE FROM claude_gpt_data.idempotency_keys',                                         '00000'),
    ('UPDATE claude_gpt_data.system_configs SET description = description',                  '00010'),
    ($$INSERT INTO claude_gpt_data.system_configs (config_key, config_value) VALUES (random(), '1')$$, '00010'),
    ('DELETE FROM claude_gpt_data.system_configs WHERE false',                               '00010'),
    ('DELETE FROM claude_gpt_data.subscription_history',                                     '00000'),
    ('DELETE FROM claude_gpt_data.application_grants',                                       '00000'),
    ('DELETE FROM claude_gpt_data.claude_gpt_migrations',                                    '00000'),
    ('SELECT claude_gpt.check_subscription_limit(id), claude_gpt.effective_tier(id) FROM claude_gpt_data.users', '11110'),
    ('SELECT claude_gpt.current_billing_period()',                                      '11111'),
    ('SELECT claude_gpt.uuid_v7_floor(now())',                                          '11110'),
    ('SELECT claude_gpt.uuid_v7()',                                                     '01010'),
    ('SELECT claude_gpt.update_user_usage(id) FROM claude_gpt_data.users',                   '01000'),
    ('SELECT claude_gpt.quota_status(id) FROM claude_gpt_data.users',                        '11110'),
    ($$SELECT claude_gpt.record_usage(id, 'token', 5, 'm', p_idempotency_key => 'r') FROM claude_gpt_data.users$$, '01000'),
    ($$SELECT claude_gpt.consume_quota(id, 'token', 5, p_idempotency_key => 'c') FROM claude_gpt_data.users$$, '01000'),
    ($$SELECT claude_gpt.extend_usage(u.id, r.reservation_id, '1 hour') FROM claude_gpt_data.users AS u, claude_gpt.reserve_usage(u.id, 5, 0, p_idempotency_key => 'h') AS r$$, '01000'),
    ('SELECT claude_gpt.settle_usage(u.id, r.reservation_id, 2, 1, 0) FROM claude_gpt_data.users AS u, claude_gpt.reserve_usage(u.id, 5, 0) AS r', '01000'),
    ('SELECT claude_gpt.release_usage(u.id, r.reservation_id) FROM claude_gpt_data.users AS u, claude_gpt.reserve_usage(u.id, 5, 0) AS r', '01000'),
    ('SELECT claude_gpt.raise_if_denied(d) FROM (SELECT true AS allowed, NULL::text AS reason) AS d', '01000'),
    ('SELECT claude_gpt.check_rate_limit(id) FROM claude_gpt_data.users',                    '01000'),
    ($$SELECT claude_gpt.rate_limit(gen_random_uuid()::text, 1, '1 second')$$,          '01000'),
    ($$SELECT claude_gpt.complete_turn(u.id, t.reservation_id, 'hi', 1, 1, 0), claude_gpt.delete_conversation(u.id, t.conversation_id)
       FROM claude_gpt_data.users AS u, claude_gpt.begin_turn(u.id, NULL, 'hi', 'gpt-3.5-turbo') AS t$$, '01000'),
    ($$SELECT claude_gpt.save_partial(u.id, t.reservation_id, 'h'), claude_gpt.fail_turn(u.id, t.reservation_id, 'broken')
       FROM claude_gpt_data.users AS u, claude_gpt.begin_turn(u.id, NULL, 'hi', 'gpt-3.5-turbo') AS t$$, '01000'),
    ('SELECT claude_gpt.list_conversations(id) FROM claude_gpt_data.users',                  '01000'),
    ('SELECT claude_gpt.conversation_messages(user_id, id) FROM claude_gpt_data.conversations', '01000'),
    ('SELECT claude_gpt.conversation_path(user_id, id) FROM claude_gpt_data.messages',       '01000'),
    ($$SELECT claude_gpt.reset_rate_limit('key'), claude_gpt.reset_user_rate_limit(gen_random_uuid())$$, '00010'),
    ('SELECT * FROM claude_gpt.rate_limit_status()',                                    '00011'),
    ('SELECT * FROM claude_gpt.rate_limit_shares()',                                    '00011'),
    ('SELECT claude_gpt.reset_rate_limits()',                                           '00010'),
    ('SELECT * FROM claude_gpt.prove_books()',                                          '00011'),
    ('SELECT * FROM claude_gpt.repair_books()',                                         '00010'),
    ('SELECT claude_gpt.cleanup_expired_sessions()',                                    '01010'),
    ('SELECT * FROM claude_gpt_data.job_status, claude_gpt_data.job_runs, claude_gpt_data.jobs',       '00011'),
    ('SELECT * FROM claude_gpt.list_partitions()',                                      '00011'),
    ('UPDATE claude_gpt_data.jobs SET next_run_at = now()',                                  '00010'),
    ('DELETE FROM claude_gpt_data.jobs',                                                     '00000'),
    ('DELETE FROM claude_gpt_data.job_runs',                                                 '00000'),
    ($$CALL claude_gpt.create_partitions('audit_logs', now(), now())$$,                 '00000'),
    ($$CALL claude_gpt.partition_table('messages', '1 year')$$,                         '00000'),
    ('SELECT claude_gpt.schedule_with_pg_cron()',                                       '00000'),
    ($$SELECT claude_gpt.set_subscription(id, 'pro') FROM claude_gpt_data.users$$,           '00100'),
    ($$SELECT claude_gpt.grant_application_access('pgtap_stranger')$$,                  '00000'),
    ($$SELECT claude_gpt.revoke_application_access('pgtap_reader')$$,                   '00000'),
    ($$SELECT claude_gpt_internal.apply_access('pgtap_stranger', 'application')$$,               '00000'),
    ($$SELECT claude_gpt_internal.withdraw_access('pgtap_reader')$$,                             '00000'),
    ($$SELECT claude_gpt_internal.record_access('pgtap_stranger', 'application')$$,              '00000'),
    ($$SELECT claude_gpt.set_owner('pgtap_stranger')$$,                                 '00000'),
    ('CALL claude_gpt.migrate()',                                                       '00000'),
    ('SELECT claude_gpt.detach()',                                                      '00000'),
    ('CREATE TABLE claude_gpt.mine (id integer)',                                       '00000'),
    ('CREATE TRIGGER mine BEFORE UPDATE ON claude_gpt_data.users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', '00000'),
    ('ALTER TABLE claude_gpt_data.users DISABLE TRIGGER USER',                               '00000'),
    ($$SET claude_gpt.fixed_time = '2001-01-01T00:00:00Z'$$,                            '00000')
) AS d (statement, may);
SELECT is(CASE o.outcome WHEN 'done' THEN '1' WHEN '42501' THEN '0' ELSE o.outcome END, substr(d.may, r.position, 1),
          format('%s %s: %s', r.role, CASE substr(d.may, r.position, 1) WHEN '1' THEN 'may' ELSE 'may not' END, regexp_replace(d.statement, '\s+', ' ', 'g')))
FROM deeds AS d, (VALUES ('pgtap_reader', 1), ('pgtap_application', 2), ('pgtap_billing', 3), ('pgtap_operator', 4), ('pgtap_monitor', 5)) AS r (role, position),
     LATERAL pg_temp.as_role(r.role, d.statement) AS o (outcome);
-- who may call what, of all functions: as test/calls says it, which the build does not read
CREATE TEMPORARY TABLE called (routine text, levels text) ON COMMIT DROP;
\copy called FROM PROGRAM 'perl test/perl/Calls.pm'
SELECT set_eq($$
    SELECT p.proname::text COLLATE "default", COALESCE(string_agg(DISTINCT l.level, ' ' ORDER BY l.level), '') COLLATE "default"
    FROM pg_proc AS p LEFT JOIN (VALUES ('pgtap_reader', 'read'), ('pgtap_application', 'application'), ('pgtap_billing', 'billing'), ('pgtap_operator', 'operator'), ('pgtap_monitor', 'monitor')) AS l (role, level)
      ON has_function_privilege(l.role, p.oid, 'EXECUTE')
    WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) GROUP BY p.proname$$,
    'SELECT routine, levels FROM called', 'each function has a call in test/calls, and is for the levels that it names and for nobody else');
SELECT set_eq(format('SELECT rolname::text COLLATE "default" FROM pg_roles WHERE rolname LIKE %L', 'pgtap\_%'),
              ARRAY['pgtap_reader', 'pgtap_application', 'pgtap_billing', 'pgtap_operator', 'pgtap_monitor', 'pgtap_stranger', 'pgtap_owner'], 'these are all the roles');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND has_function_privilege('pgtap_stranger', p.oid, 'EXECUTE')$$,
                'a role without a level still calls none');
SELECT is((SELECT count(*) FROM information_schema.role_table_grants WHERE grantee LIKE 'pgtap\_%' AND table_schema IN ('claude_gpt_data', 'claude_gpt_partitions') AND privilege_type IN ('TRIGGER', 'TRUNCATE', 'REFERENCES')),
          0::bigint, 'no level includes TRIGGER, TRUNCATE or REFERENCES');
SELECT is((SELECT count(*) FROM pg_class AS c, aclexplode(c.relacl) AS a WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND a.grantee::regrole::text LIKE 'pgtap\_%' AND a.is_grantable),
          0::bigint, 'no level may grant further');

UPDATE users SET subscription_tier = 'free', subscription_status = 'inactive';

-- protected columns: refused with another value, fine with the one that is stored or the default
SELECT is(pg_temp.as_role('pgtap_application', format('UPDATE claude_gpt_data.users SET %s = %s', c, v)), '42501', format('an application may not set users.%s', c))
FROM (VALUES ('subscription_id', $$'sub'$$), ('subscription_tier', $$'pro'$$), ('subscription_status', $$'active'$$),
             ('subscription_current_period_end', $$'2099-01-01'$$), ('subscription_cancel_at_period_end', 'true'),
             ('monthly_message_count', '7'), ('monthly_token_count', '7'), ('monthly_api_call_count', '7'), ('monthly_cost', '7'), ('monthly_reset_date', $$'2099-01-01'$$),
             ('total_message_count', '7'), ('total_token_count', '7'), ('total_api_call_count', '7'), ('total_cost', '7'),
             ('held_message_count', '7'), ('held_token_count', '7'), ('held_cost', '0.000000001'), ('next_hold_expiry', $$'2001-01-01'$$)) AS p (c, v);
SELECT is(pg_temp.as_role('pgtap_application', format($$INSERT INTO claude_gpt_data.users (email, password_hash, %s) VALUES ('eve@example.com', 'x', %s)$$, c, v)), '42501',
          format('nor sign up with another %s', c))
FROM (VALUES ('subscription_id', $$'sub'$$), ('subscription_tier', $$'pro'$$), ('subscription_status', $$'active'$$), ('subscription_current_period_end', $$'2099-01-01'$$),
             ('monthly_message_count', '7'), ('monthly_reset_date', $$'2099-01-01'$$), ('total_cost', '7'), ('monthly_cost', '0.000000001'),
             ('held_message_count', '7'), ('held_token_count', '7'), ('held_cost', '7'), ('next_hold_expiry', $$'2099-01-01'$$)) AS p (c, v);
SELECT is(pg_temp.as_role('pgtap_application', format('UPDATE claude_gpt_data.users SET %s = %1$s', c)), 'done', format('writing users.%s back is fine', c))
FROM unnest(ARRAY['subscription_id', 'subscription_tier', 'subscription_status', 'subscription_current_period_end', 'monthly_cost', 'monthly_reset_date', 'total_message_count', 'total_cost',
                  'held_message_count', 'held_token_count', 'held_cost', 'next_hold_expiry']) AS c;
SELECT is(pg_temp.as_role('pgtap_application', $$INSERT INTO claude_gpt_data.users (id, email, password_hash, subscription_id, subscription_tier, subscription_status, subscription_current_period_end,
    subscription_cancel_at_period_end, monthly_message_count, monthly_reset_date, total_message_count, monthly_cost, total_cost,
    held_message_count, held_token_count, held_cost, next_hold_expiry)
    VALUES (DEFAULT, 'orm@example.com', 'x', DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT)$$), 'done', 'an ORM may name every column with DEFAULT');
SELECT is(pg_temp.as_role('pgtap_application', $$INSERT INTO claude_gpt_data.users (email, password_hash, subscription_id, subscription_tier, subscription_status,
    subscription_cancel_at_period_end, monthly_message_count, total_message_count, monthly_cost, total_cost,
    held_message_count, held_token_count, held_cost, next_hold_expiry)
    VALUES ('values@example.com', 'x', NULL, 'free', 'inactive', false, 0, 0, 0, 0.0, 0, 0, 0.0, NULL)$$), 'done', 'or with the values of the defaults');
SELECT is(pg_temp.as_role('pgtap_application', format('UPDATE claude_gpt_data.conversations SET %s = %s', c, v)), '42501', format('an application may not set conversations.%s', c))
FROM (VALUES ('message_count', '7'), ('total_tokens', '7'), ('total_cost', '7'), ('last_message_at', $$'2099-01-01'$$)) AS p (c, v);
SELECT is(pg_temp.as_role('pgtap_application', $$INSERT INTO claude_gpt_data.users AS u (email, password_hash) VALUES ('ada@example.com', 'x')
    ON CONFLICT (email) DO UPDATE SET subscription_tier = 'pro'$$), '42501', 'nor by an upsert');
SELECT is(pg_temp.as_role('pgtap_application', $$INSERT INTO claude_gpt_data.users AS u (email, password_hash) VALUES ('ada@example.com', 'x')
    ON CONFLICT (email) DO UPDATE SET full_name = 'Ada', last_active_at = now()$$), 'done', 'an upsert of the profile is fine');
SELECT is((SELECT concat_ws(' ', subscription_tier, subscription_status, total_cost) FROM users WHERE id = :'ada'), 'free inactive 0.000000000', 'and the subscription is what it was');

-- what functions do for a role, the role may not do itself; and they count for it
SELECT pg_temp.new_user('cai') AS cai \gset
SELECT is(pg_temp.as_role('pgtap_application', format('SELECT claude_gpt.update_user_usage(%L, 3, 4, 0.5)', :'cai')), 'done', 'metering works');
SELECT is((SELECT concat_ws(' ', monthly_message_count, monthly_token_count, monthly_cost) FROM users WHERE id = :'cai'), '3 4 0.500000000', 'and counts');
SELECT is(pg_temp.as_role('pgtap_application', format($$SELECT claude_gpt.settle_usage(%1$L, r.reservation_id, 3, 2, 0.25), claude_gpt.consume_quota(%1$L, p_idempotency_key => 'k')
    FROM claude_gpt.reserve_usage(%1$L, 50, 2) AS r$$, :'cai')), 'done', 'reserving and settling works');
SELECT is((SELECT concat_ws(' ', monthly_message_count, monthly_token_count, monthly_cost, held_message_count) FROM users WHERE id = :'cai'), '6 9 0.750000000 0', 'and counts');
UPDATE users SET total_message_count = 7 WHERE id = :'cai';
SELECT is(pg_temp.as_role('pgtap_operator', format('SELECT claude_gpt.repair_books(%L)', :'cai')), 'done', 'support may repair the books');
SELECT is((SELECT total_message_count FROM users WHERE id = :'cai'), 6, 'which it cannot write');
SELECT is(pg_temp.as_role('pgtap_application', $$INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, total_tokens)
    SELECT c.id, c.user_id, 'user', 'counted', 9 FROM claude_gpt_data.conversations AS c WHERE id = '00000000-0000-7000-8000-0000000000c1'$$), 'done', 'chatting works');
SELECT is((SELECT total_tokens FROM conversations WHERE id = '00000000-0000-7000-8000-0000000000c1'), 9::bigint, 'and counts');
CREATE FUNCTION pg_temp.current_role_after(p_statement text) RETURNS name LANGUAGE plpgsql AS $$
DECLARE
    role name;
BEGIN
    SET LOCAL ROLE pgtap_application;
    BEGIN
        EXECUTE p_statement;
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    role := current_user;
    RESET ROLE;
    RETURN role;
END
$$;
SELECT is(pg_temp.current_role_after(format('SELECT claude_gpt.update_user_usage(%L)', :'cai')), 'pgtap_application', 'a call leaves the role as it was');
SELECT is(pg_temp.current_role_after(format('SELECT claude_gpt.update_user_usage(%L, 2147483647)', :'cai')), 'pgtap_application', 'also a call that fails in its statement');
SELECT is(current_setting('claude_gpt.live_objects'), '0', 'and no object of the library stays behind');

-- levels replace each other
SELECT grant_application_access('pgtap_reader', 'monitor');
SELECT is(pg_temp.as_role('pgtap_reader', 'SELECT email FROM claude_gpt_data.users'), '42501', 'another level takes away what it does not include');
SELECT is((SELECT level FROM application_grants WHERE role_name = 'pgtap_reader'), 'monitor', 'and is recorded instead');
SELECT grant_application_access('pgtap_reader', 'application');
SELECT is(pg_temp.as_role('pgtap_reader', $$UPDATE claude_gpt_data.users SET full_name = 'x'$$), 'done', 'and gives what it includes');
SELECT throws_ok($$SELECT grant_application_access('pgtap_reader', 'root')$$, '22023', NULL, 'an unknown level is refused');
SELECT throws_ok($$SELECT grant_application_access('pgtap_reader', NULL)$$, '22004', NULL, 'a NULL level is refused');
SELECT throws_ok($$SELECT grant_application_access(NULL)$$, '22004', NULL, 'a NULL role is refused');
SELECT throws_ok($$SELECT grant_application_access('pgtap_nobody')$$, '42704', NULL, 'an unknown role is refused');
SELECT is((SELECT level FROM application_grants WHERE role_name = 'pgtap_reader'), 'application', 'and nothing is changed');
CREATE ROLE "pgtap ""odd"" role";
SELECT lives_ok($$SELECT grant_application_access('"pgtap ""odd"" role"')$$, 'a role may have an odd name');
SELECT is(pg_temp.as_role('pgtap "odd" role', 'SELECT claude_gpt.uuid_v7()'), 'done', 'and its rights');
SELECT lives_ok('CALL migrate()', 'migrating gives recorded grants again');
REVOKE ALL ON users FROM pgtap_application;
SELECT lives_ok('CALL migrate()', 'also those that were lost');
SELECT is(pg_temp.as_role('pgtap_application', $$UPDATE claude_gpt_data.users SET full_name = 'x'$$), 'done', 'so that they hold again');
INSERT INTO application_grants (role_name, level) VALUES ('pgtap_vanished', 'read');
SET LOCAL client_min_messages = error;  -- it warns of the role
SELECT lives_ok('CALL migrate()', 'a role that vanished does not stop a migration');
DELETE FROM application_grants WHERE role_name = 'pgtap_vanished';
SET LOCAL client_min_messages = warning;

-- revoking
SELECT lives_ok(format('SELECT revoke_application_access(%L)', quote_ident(r)), format('what %s was granted can be taken back', r))
FROM unnest(ARRAY['pgtap_reader', 'pgtap_application', 'pgtap_billing', 'pgtap_operator', 'pgtap_monitor', 'pgtap "odd" role']) AS r;
SELECT is(pg_temp.as_role('pgtap_application', 'SELECT claude_gpt.uuid_v7()'), '42501', 'afterwards it has no rights');
SELECT is((SELECT count(*) FROM application_grants), 0::bigint, 'no record');
SELECT is((SELECT count(*) FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole WHERE r.rolname LIKE 'pgtap\_%'), 0::bigint, 'and no search_path');
SELECT lives_ok(format('DROP ROLE %I', r), format('role %s can be dropped', r))
FROM unnest(ARRAY['pgtap_reader', 'pgtap_billing', 'pgtap_operator', 'pgtap_monitor', 'pgtap "odd" role']) AS r;
SELECT throws_ok($$SELECT revoke_application_access(4294967295::oid::regrole)$$, '42704', NULL, 'an unknown role has nothing to take back');

-- the owner of the tables
SELECT throws_ok($$SELECT set_owner(NULL)$$, '22004', NULL, 'a NULL owner is refused');
SELECT throws_ok($$SELECT set_owner('pgtap_nobody')$$, '42704', NULL, 'an unknown owner is refused');
SELECT grant_application_access('pgtap_application');
SELECT is(set_owner('pgtap_owner')::text, '', 'set_owner returns void');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class AS c WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'i', 'I')
                  AND c.relowner <> 'pgtap_owner'::regrole$$, 'every table, partition, view and index belongs to the new owner');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND NOT has_function_privilege('pgtap_owner', p.oid, 'EXECUTE')$$,
                'who may call every function');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND p.proowner = 'pgtap_owner'::regrole$$,
                'but owns none of them');
SELECT is(pg_temp.as_role('pgtap_owner', $$UPDATE claude_gpt_data.users SET subscription_tier = 'pro', monthly_message_count = 1$$), 'done', 'the owner writes every column');
SELECT is(pg_temp.as_role('pgtap_owner', 'CALL claude_gpt.migrate()'), 'done', 'and migrates');
SELECT is(pg_temp.as_role('pgtap_application', $$UPDATE claude_gpt_data.users SET monthly_message_count = 0$$), '42501', 'an application still does not');
-- an owner that may alter roles gives access as a superuser does
ALTER ROLE pgtap_owner CREATEROLE;
SELECT is(pg_temp.as_role('pgtap_owner', $$CREATE ROLE pgtap_hired; SELECT claude_gpt.grant_application_access('pgtap_hired')$$), 'done', 'and gives access');
SELECT is(pg_temp.as_role('pgtap_hired', $$SELECT claude_gpt.uuid_v7(); UPDATE claude_gpt_data.users SET theme_preference = 'dark'$$), 'done', 'which is as good as if a superuser gave it');
SELECT is(pg_temp.as_role('pgtap_owner', $$SELECT claude_gpt.revoke_application_access('pgtap_hired')$$), 'done', 'and takes it back');
SELECT is(pg_temp.as_role('pgtap_hired', 'SELECT claude_gpt.uuid_v7()'), '42501', 'so that nothing is left');
SELECT is(pg_temp.as_role('pgtap_application', format('SELECT claude_gpt.update_user_usage(%L)', :'cai')), 'done', 'metering works for it as before');
SELECT is(pg_temp.as_role('pgtap_application', $$INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content)
    SELECT id, user_id, 'user', 'hi' FROM claude_gpt_data.conversations WHERE id = '00000000-0000-7000-8000-0000000000c1'$$), 'done', 'and chatting');
SELECT is((SELECT message_count FROM conversations WHERE id = '00000000-0000-7000-8000-0000000000c1'), 2, 'with counters kept');
SELECT is(pg_temp.as_role('pgtap_application', 'SELECT * FROM claude_gpt_data.user_statistics'), 'done', 'and statistics');

-- what runs inside the functions runs as the owner of the tables, never as the superuser who may call them
CREATE TABLE public.witnesses (who text, was_superuser boolean);
GRANT INSERT ON public.witnesses TO PUBLIC;
CREATE FUNCTION public.witness() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.witnesses VALUES (current_user, (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user));
    RETURN NULL;
END
$$;
SET LOCAL ROLE pgtap_owner;
CREATE TRIGGER witness AFTER UPDATE ON claude_gpt_data.users FOR EACH ROW EXECUTE FUNCTION public.witness();
CREATE TRIGGER witness AFTER INSERT ON claude_gpt_data.usage_records FOR EACH ROW EXECUTE FUNCTION public.witness();
CREATE TRIGGER witness AFTER UPDATE ON claude_gpt_data.conversations FOR EACH ROW EXECUTE FUNCTION public.witness();
CREATE TRIGGER witness AFTER DELETE ON claude_gpt_data.user_sessions FOR EACH ROW EXECUTE FUNCTION public.witness();
RESET ROLE;
SELECT update_user_usage(:'cai', 1, 1), set_subscription(:'cai', 'base');
INSERT INTO messages (conversation_id, user_id, role, content) SELECT id, user_id, 'user', 'hi' FROM conversations;
UPDATE user_sessions SET is_active = false;
SELECT cmp_ok(cleanup_expired_sessions(), '>', 0, 'sessions are cleaned up');
SELECT cmp_ok((SELECT count(*) FROM public.witnesses), '>=', 6::bigint, 'triggers of the owner ran inside all of these');
SELECT is((SELECT string_agg(DISTINCT who, ',') FROM public.witnesses), 'pgtap_owner', 'as the owner');
SELECT is((SELECT bool_or(was_superuser) FROM public.witnesses), false, 'and never as a superuser');

-- row security of the owner's table does not hide rows from the functions
SET LOCAL ROLE pgtap_owner;
ALTER TABLE claude_gpt_data.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY nobody ON claude_gpt_data.users TO pgtap_application USING (false);
RESET ROLE;
SELECT is(pg_temp.as_role('pgtap_application', format('SELECT claude_gpt.update_user_usage(%L)', :'cai')), 'done', 'metering works under row security');
SELECT is(pg_temp.as_role('pgtap_application', $$SELECT 1 / count(*) FROM claude_gpt_data.users$$), '22012', 'which hides the rows from the application itself');
SELECT is(pg_temp.as_role('pgtap_application', $$SELECT 1 / count(*) FROM claude_gpt_data.user_statistics$$), '22012', 'also through the view');

-- all relations of ours have one owner: a stranger's trigger, policy or view would run with the rights of the other
CREATE ROLE pgtap_intruder;
GRANT ALL ON SCHEMA claude_gpt_data, claude_gpt_partitions TO pgtap_intruder;
CREATE FUNCTION pg_temp.among(p_change text, p_call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    BEGIN
        EXECUTE p_change;
        BEGIN
            EXECUTE p_call INTO said;
        EXCEPTION WHEN OTHERS THEN said := SQLSTATE || ': ' || SQLERRM;
        END;
        RAISE SQLSTATE 'XX999' USING MESSAGE = said;
    EXCEPTION WHEN SQLSTATE 'XX999' THEN RETURN SQLERRM;
    END;
END
$$;
SELECT is(pg_temp.among(format('ALTER TABLE claude_gpt_data.%I OWNER TO pgtap_intruder', t), c),
          format('55000: table claude_gpt_data.%s belongs to role "pgtap_intruder", and the tables of claude_gpt to role "pgtap_owner"', t), 'a stranger owns ' || t)
FROM (VALUES ('usage_reservations', format('SELECT allowed FROM claude_gpt.reserve_usage(%L, 5)', :'cai')), ('messages', format('SELECT allowed FROM claude_gpt.begin_turn(%L, NULL, %L, %L)', :'cai', 'x', 'gpt-3.5-turbo')),
             ('usage_records', format('SELECT claude_gpt.update_user_usage(%L)::text', :'cai')), ('jobs', 'SELECT count(*)::text FROM claude_gpt_internal.hand_jobs_over(''worker'')')) AS v (t, c);
SELECT is(pg_temp.among('ALTER TABLE claude_gpt_partitions.usage_records_default OWNER TO pgtap_intruder', format('SELECT claude_gpt.update_user_usage(%L)::text', :'cai')),
          '55000: table claude_gpt_partitions.usage_records_default belongs to role "pgtap_intruder", and the tables of claude_gpt to role "pgtap_owner"', 'or a partition, where it may be written');
SELECT is(pg_temp.among('ALTER SCHEMA claude_gpt_partitions OWNER TO pgtap_intruder', format('SELECT claude_gpt.update_user_usage(%L)::text', :'cai')),
          '55000: schema "claude_gpt_partitions" belongs to role "pgtap_intruder", and the tables of claude_gpt to role "pgtap_owner"', 'or a schema');
SELECT is(pg_temp.among(format('ALTER %s OWNER TO pgtap_intruder', r), 'SELECT status FROM claude_gpt.health() WHERE check_name = ''owner'''), 'critical', 'health() names the owner of ' || r)
FROM unnest(ARRAY['VIEW claude_gpt_data.job_status', 'TABLE claude_gpt_data.jobs', 'TABLE claude_gpt_partitions.audit_logs_default', 'SCHEMA claude_gpt_partitions']) AS r;
SELECT is(pg_temp.among('ALTER TABLE claude_gpt_data.messages OWNER TO pgtap_intruder; ALTER VIEW claude_gpt_data.plan_usage OWNER TO pgtap_intruder; SELECT claude_gpt.set_owner(''pgtap_owner'')',
                        format('SELECT allowed::text FROM claude_gpt.begin_turn(%L, NULL, %L, %L)', :'cai', 'x', 'gpt-3.5-turbo')), 'true', 'set_owner makes them one role''s again');
SELECT is(pg_temp.among('CREATE TABLE claude_gpt_data.pgtap_own (); ALTER TABLE claude_gpt_data.pgtap_own OWNER TO pgtap_intruder', format('SELECT claude_gpt.update_user_usage(%L)::text', :'cai')), '',
          'a table that a user has added may be anybody''s');

SELECT * FROM finish();
ROLLBACK;
