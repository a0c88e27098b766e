-- updated_at, the rules of the tables, and what deletions leave.
BEGIN;
\ir prelude.psql
SELECT no_plan();

-- updated_at
CREATE FUNCTION pg_temp.age_rows() RETURNS void LANGUAGE sql AS $$
    SET LOCAL session_replication_role = replica;
    UPDATE claude_gpt_data.users SET updated_at = '2001-01-01Z';
    UPDATE claude_gpt_data.conversations SET updated_at = '2001-01-01Z';
    UPDATE claude_gpt_data.messages SET updated_at = '2001-01-01Z';
    UPDATE claude_gpt_data.system_configs SET updated_at = '2001-01-01Z';
    SET LOCAL session_replication_role = origin;
$$;
SELECT pg_temp.new_user('ada') AS ada, pg_temp.new_user('bob') AS bob \gset
INSERT INTO conversations (user_id, title) VALUES (:'ada', 'one');
INSERT INTO messages (conversation_id, user_id, role, content) SELECT id, user_id, 'user', 'hi' FROM conversations;
SELECT pg_temp.age_rows();
SELECT is((SELECT count(*) FROM users WHERE updated_at = '2001-01-01Z'), 2::bigint, 'rows are old at first');
UPDATE users SET full_name = 'Ada' WHERE id = :'ada';
SELECT is((SELECT updated_at FROM users WHERE id = :'ada'), now(), 'updating a user sets updated_at to the time of the transaction');
SELECT is((SELECT updated_at FROM users WHERE id = :'bob'), '2001-01-01Z', 'and that of no other');
UPDATE users SET full_name = full_name WHERE id = :'bob';
SELECT is((SELECT updated_at FROM users WHERE id = :'bob'), now(), 'also when nothing is different');
UPDATE users SET updated_at = '2030-01-01Z' WHERE id = :'bob';
SELECT is((SELECT updated_at FROM users WHERE id = :'bob'), now(), 'it cannot be set to another time');
UPDATE conversations SET is_pinned = true;
SELECT is((SELECT updated_at FROM conversations), now(), 'updating a conversation sets it');
UPDATE messages SET content = 'hello';
SELECT is((SELECT updated_at FROM messages), now(), 'updating a message sets it');
UPDATE system_configs SET description = 'x' WHERE config_key = 'rate_limits';
SELECT is((SELECT updated_at FROM system_configs WHERE config_key = 'rate_limits'), now(), 'updating a configuration row sets it');
SELECT pg_temp.age_rows();
INSERT INTO messages (conversation_id, user_id, role, content) SELECT id, user_id, 'user', 'more' FROM conversations;
SELECT is((SELECT updated_at FROM conversations), now(), 'a new message updates its conversation');
SELECT update_user_usage(:'ada');
SELECT is((SELECT updated_at FROM users WHERE id = :'ada'), now(), 'usage updates its user');
INSERT INTO users (email, password_hash, updated_at) VALUES ('old@example.com', 'x', '2001-01-01Z') ON CONFLICT (email) DO UPDATE SET full_name = 'x';
SELECT is((SELECT updated_at FROM users WHERE email = 'old@example.com'), '2001-01-01Z', 'inserting keeps what is given');

-- the trigger function serves any table
CREATE TEMPORARY TABLE notes (id integer, updated_at timestamptz, body text) ON COMMIT DROP;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column();
INSERT INTO notes VALUES (1, NULL, 'a'), (2, '2001-01-01Z', 'b');
SELECT is((SELECT count(*) FROM notes WHERE updated_at = now()), 2::bigint, 'on another table, on INSERT too');
ALTER TABLE notes DROP COLUMN id, ADD COLUMN later integer DEFAULT 5;
UPDATE notes SET updated_at = NULL;
SELECT results_eq('SELECT updated_at, body, later FROM notes ORDER BY body', $$VALUES (now(), 'a', 5), (now(), 'b', 5)$$, 'also after its columns changed');
CREATE TEMPORARY TABLE untouchable (id integer) ON COMMIT DROP;
CREATE TRIGGER touch BEFORE INSERT ON untouchable FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column();
SELECT throws_ok('INSERT INTO untouchable VALUES (1)', '42703', NULL, 'a table without the column is refused');
CREATE TRIGGER late AFTER UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column();
SELECT throws_ok('UPDATE notes SET body = body', '39P01', NULL, 'an AFTER trigger is refused');
DROP TRIGGER late ON notes;
CREATE TRIGGER late BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column();
SELECT throws_ok('DELETE FROM notes', '39P01', NULL, 'a DELETE trigger is refused');
DROP TRIGGER late ON notes;
CREATE TRIGGER late BEFORE UPDATE ON notes FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt.update_updated_at_column();
SELECT throws_ok('UPDATE notes SET body = body', '39P01', NULL, 'a statement trigger is refused');
DROP TRIGGER late ON notes;
SELECT throws_ok('SELECT claude_gpt.update_updated_at_column()', '39P01', NULL, 'a plain call is refused');

-- the days that stand in for moments in indexes
CREATE TEMPORARY TABLE moments ON COMMIT DROP AS SELECT m::timestamptz AS moment FROM unnest(ARRAY[NULL, '2026-11-22 00:00:00Z', '2026-11-21 23:59:59.999999Z',
    '2026-11-22 23:00:00-08', '1999-12-31 23:59:59.999999Z', '2000-01-01Z', '1969-12-31 23:00Z', '0001-01-01Z', '4713-01-01Z BC', '294276-12-31 23:59:59Z', 'infinity', '-infinity']) AS m;
INSERT INTO users (email, password_hash, last_active_at) SELECT 'moment' || row_number() OVER (), 'x', moment FROM moments;
SELECT is_empty($$SELECT email, last_active_at, last_active_on FROM users WHERE last_active_on IS DISTINCT FROM (last_active_at AT TIME ZONE 'UTC')::date$$,
                'last_active_on is the UTC day of any moment');
UPDATE users SET last_active_at = '2026-12-05 12:00Z' WHERE email = 'moment2';
SELECT is((SELECT last_active_on FROM users WHERE email = 'moment2'), '2026-12-05', 'it follows a change');
UPDATE users SET last_active_at = NULL WHERE email = 'moment2';
SELECT is((SELECT last_active_on FROM users WHERE email = 'moment2'), NULL, 'also to NULL');
DO $$ BEGIN UPDATE users SET last_active_on = '1999-01-01'; EXCEPTION WHEN OTHERS THEN NULL; END $$;
INSERT INTO conversations (user_id, title, created_at, last_message_at) SELECT :'ada', 'moment', now(), moment FROM moments WHERE moment IS NOT NULL;
UPDATE conversations SET last_message_at = '2026-12-05 12:00Z' WHERE last_message_at = 'infinity';
SELECT is_empty($$SELECT email, last_active_at, last_active_on FROM users WHERE last_active_on IS DISTINCT FROM (last_active_at AT TIME ZONE 'UTC')::date$$,
                'it cannot be set to another day');
SELECT is_empty($$SELECT last_message_at, last_message_on FROM conversations WHERE last_message_on IS DISTINCT FROM (last_message_at AT TIME ZONE 'UTC')::date$$,
                'last_message_on is the UTC day of any moment');
DELETE FROM users WHERE email LIKE 'moment%';
DELETE FROM conversations WHERE title = 'moment';

-- rules
SELECT throws_ok($$INSERT INTO users (email, password_hash) VALUES ('', 'x')$$, '23514', NULL, 'an address is not empty');
SELECT throws_ok($$INSERT INTO users (email, password_hash) VALUES (NULL, 'x')$$, '23502', NULL, 'nor NULL');
SELECT throws_ok($$INSERT INTO users (email, password_hash) VALUES ('ADA@Example.com', 'x')$$, '23505', NULL, 'nor another account''s in other letters');
SELECT throws_ok($$UPDATE users SET email = 'Bob@example.com' WHERE email = 'ada@example.com'$$, '23505', NULL, 'nor by changing it');
SELECT throws_ok($$UPDATE users SET email = '' WHERE email = 'ada@example.com'$$, '23514', NULL, 'which does not make it empty either');
SELECT lives_ok($$UPDATE users SET stripe_customer_id = NULL$$, 'many users have no customer id');
SELECT throws_ok($$UPDATE users SET stripe_customer_id = 'cus'$$, '23505', NULL, 'one that is given is unique');
SELECT throws_ok(format('UPDATE users SET %I = -1', c), '23514', NULL, format('%s is not negative', c))
FROM unnest(ARRAY['monthly_message_count', 'total_message_count', 'monthly_token_count', 'monthly_api_call_count', 'monthly_cost',
                  'total_token_count', 'total_api_call_count', 'total_cost', 'held_message_count', 'held_token_count', 'held_cost']) AS c;
SELECT throws_ok(format('UPDATE users SET %I = NULL', c), '23502', NULL, format('%s is not NULL', c))
FROM unnest(ARRAY['monthly_message_count', 'total_message_count', 'monthly_token_count', 'monthly_api_call_count', 'monthly_cost',
                  'total_token_count', 'total_api_call_count', 'total_cost', 'monthly_reset_date', 'subscription_tier', 'subscription_status', 'held_message_count', 'held_token_count', 'held_cost']) AS c;
SELECT throws_ok($$UPDATE users SET total_cost = 'NaN'$$, '23514', NULL, 'a cost is a number');
SELECT throws_ok($$UPDATE users SET held_cost = 'NaN'$$, '23514', NULL, 'one that is held too');
SELECT throws_ok(format('UPDATE messages SET %I = %L', c, v), '23514', NULL, format('messages.%s is not %s', c, v))
FROM (VALUES ('role', 'robot'), ('role', ''), ('content_type', ''), ('status', 'lost'), ('status', 'SENT'), ('prompt_tokens', '-1'),
             ('completion_tokens', '-1'), ('total_tokens', '-1'), ('cost', '-1'), ('cost', 'NaN')) AS r (c, v);
SELECT lives_ok(format('UPDATE messages SET %I = %L', c, v), format('messages.%s may be %s', c, v))
FROM (VALUES ('role', 'user'), ('role', 'assistant'), ('role', 'system'), ('role', 'developer'), ('role', 'tool'),
             ('content_type', 'text'), ('content_type', 'image'), ('content_type', 'file'), ('content_type', 'tool_call'), ('content_type', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'),
             ('status', 'sending'), ('status', 'sent'), ('status', 'stopped'), ('status', 'failed'), ('status', 'deleted'), ('total_tokens', NULL), ('cost', NULL), ('cost', '0')) AS r (c, v);
SELECT throws_ok(format('INSERT INTO usage_records (user_id, usage_type, quantity, cost, billing_period) VALUES (%L, %s)', :'ada', v), '23514', NULL, format('a record is not (%s)', v))
FROM unnest(ARRAY[$$'image', 1, 0, '2026-11-01'$$, $$'token', -20, 0, '2026-11-01'$$, $$'token', 1, -1, '2026-11-01'$$, $$'token', 1, 'NaN', '2026-11-01'$$]) AS v;
SELECT reservation_id AS held FROM reserve_usage(:'ada', 10, p_idempotency_key => 'k') \gset
SELECT throws_ok(format('UPDATE usage_reservations SET %I = %L', c, v), '23514', NULL, format('usage_reservations.%s is not %s', c, v))
FROM (VALUES ('status', 'lost'), ('status', ''), ('status', 'OPEN'), ('message_count', '-1'), ('token_count', '-1'), ('cost', '-1'), ('cost', 'NaN')) AS r (c, v);
SELECT throws_ok(format('UPDATE usage_reservations SET %I = NULL', c), '23502', NULL, format('usage_reservations.%s is not NULL', c))
FROM unnest(ARRAY['user_id', 'status', 'message_count', 'token_count', 'cost', 'created_at', 'expires_at']) AS c;
SELECT lives_ok(format('UPDATE usage_reservations SET status = %L', s), format('usage_reservations.status may be %s', s)) FROM unnest(ARRAY['settled', 'released', 'expired', 'open']) AS s;
SELECT throws_ok(format('UPDATE idempotency_keys SET %I = NULL', c), '23502', NULL, format('idempotency_keys.%s is not NULL', c)) FROM unnest(ARRAY['user_id', 'idempotency_key', 'fingerprint', 'created_at', 'expires_at']) AS c;
SELECT throws_ok($$INSERT INTO idempotency_keys (user_id, idempotency_key, fingerprint, expires_at) SELECT user_id, idempotency_key, fingerprint, expires_at FROM idempotency_keys$$, '23505', NULL, 'a user has a key once');
SELECT throws_ok($$UPDATE users SET subscription_tier = 'gold'$$, '23514', NULL, 'a tier is one of the plans');
SELECT throws_ok($$UPDATE users SET subscription_status = 'unknown'$$, '23514', NULL, 'a status is one of the list');
SELECT lives_ok(format('UPDATE users SET subscription_status = %L', s), format('status %s is one of them', s))
FROM unnest(ARRAY['active', 'trialing', 'past_due', 'inactive', 'canceled', 'cancelled', 'unpaid', 'incomplete', 'incomplete_expired', 'expired', 'paused']) AS s;

-- what clients read: of a type that every driver and ORM knows. jobs alone has lengths that are written as such.
SELECT is_empty(
    $$SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type AS t ON t.oid = a.atttypid LEFT JOIN pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'
      WHERE c.relnamespace = 'claude_gpt_data'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND (c.relname, a.attname) NOT IN (('jobs', 'run_every'), ('jobs', 'timeout'))
        AND (COALESCE(e.typtype, t.typtype) <> 'b' OR COALESCE(e.typname, t.typname) IN ('name', 'interval', 'bytea', 'timestamp', 'time', 'xid', 'oid', 'char')
             OR COALESCE(e.typname, t.typname) LIKE 'reg%')$$, 'tables and views have no column that is a name, regclass, interval, domain or composite');
SELECT is_empty(
    $$SELECT p.oid::regprocedure, r.name, r.type::regtype FROM pg_proc AS p
      CROSS JOIN LATERAL (SELECT x.name, x.type FROM unnest(p.proargmodes, p.proargnames, p.proallargtypes) AS x (mode, name, type) WHERE x.mode IN ('o', 'b', 't')
                          UNION ALL SELECT NULL, p.prorettype WHERE p.proargmodes IS NULL) AS r
      JOIN pg_type AS t ON t.oid = r.type
      WHERE p.pronamespace = 'claude_gpt'::regnamespace AND r.type NOT IN ('void'::regtype, 'trigger'::regtype)
        AND (t.typtype <> 'b' OR t.typname IN ('name', 'interval', 'bytea', 'timestamp', 'time', 'xid', 'oid', 'char') OR t.typname LIKE 'reg%')$$,
    'nor have the results of functions');
SELECT is_empty($$SELECT d.adrelid::regclass, pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef AS d JOIN pg_class AS c ON c.oid = d.adrelid
                  WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND pg_get_expr(d.adbin, d.adrelid) ~ 'infinity'$$, 'no default is infinite');
SELECT ok(count(*) < 60 AND bool_and(p.proname ~ '^[a-z_0-9]+$'), 'the schema of the API fits a screen') FROM pg_proc AS p WHERE p.pronamespace = 'claude_gpt'::regnamespace;
SELECT set_eq($$SELECT p.proname::text FROM pg_proc AS p WHERE p.pronamespace = 'claude_gpt'::regnamespace AND (p.prorettype = 'trigger'::regtype OR obj_description(p.oid) ~ 'Part of ')$$,
              ARRAY['update_updated_at_column', 'notify_change'], 'and shows no trigger function but those for tables of one''s own, and no step');

-- audit outlives its user
SELECT is_empty('SELECT * FROM prove_books()', 'the books are true after all of this');
INSERT INTO audit_logs (user_id, user_email, action, resource_type) VALUES (:'ada', 'ada@example.com', 'login', 'user');
INSERT INTO subscription_history (user_id, subscription_tier, subscription_status, event_type) VALUES (:'ada', 'pro', 'active', 'subscription_created');
SELECT lives_ok($$DELETE FROM users$$, 'users with everything can be deleted');
SELECT results_eq('SELECT user_id, user_email::text FROM audit_logs', $$VALUES (NULL::uuid, 'ada@example.com')$$, 'audit rows stay, without their user');
SELECT is((SELECT count(*) FROM conversations) + (SELECT count(*) FROM messages) + (SELECT count(*) FROM usage_records)
          + (SELECT count(*) FROM subscription_history) + (SELECT count(*) FROM usage_reservations) + (SELECT count(*) FROM idempotency_keys), 0::numeric::bigint, 'all the rest is gone');

-- migrate
SELECT lives_ok('CALL migrate()', 'migrating where nothing is missing does nothing');
SELECT is((SELECT count(*) FROM claude_gpt_migrations), (SELECT max(id)::bigint FROM claude_gpt_migrations), 'every migration is recorded');
ALTER TABLE users ALTER COLUMN id DROP DEFAULT;
DROP TRIGGER count_inserted_messages ON messages;
SELECT lives_ok('CALL migrate()', 'what joins tables to code is attached again');
SELECT col_default_is('claude_gpt_data', 'users', 'id', 'uuid_v7()', 'a lost default');
SELECT has_trigger('claude_gpt_data', 'messages', 'count_inserted_messages', 'a lost trigger');
DROP TABLE claude_gpt_migrations;
SELECT throws_ok('SELECT current_billing_period()', '55000', NULL, 'tables without their record are refused');

-- what standard_conforming_strings = off of a session would read otherwise
SELECT is((SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
           WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND l.lanname IN ('plpgsql', 'sql')
             AND position(chr(92) IN regexp_replace(p.prosrc, E'\\mE\'([^\'\\\\]|\\\\.)*\'', '', 'g')) > 0), NULL, 'no routine has a backslash outside of E strings');

SELECT * FROM finish();
ROLLBACK;
