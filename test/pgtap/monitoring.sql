-- What is counted, what health says of each fault, and what the views show. Counters are in shared memory, which no rollback
-- undoes: they begin at zero here.
BEGIN;
\ir prelude.psql
SELECT no_plan();
SET LOCAL claude_gpt.fixed_time = '2026-11-23T10:00:00Z';
SELECT reset_metrics();

-- One number; NULL if there is none.
CREATE FUNCTION pg_temp.metric(p_name text, p_labels jsonb DEFAULT '{}') RETURNS numeric LANGUAGE sql AS $$
    SELECT m.value::numeric FROM claude_gpt.metrics(p_name) AS m WHERE m.labels = p_labels
$$;
CREATE FUNCTION pg_temp.decided(p_function text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s', m.value, m.labels ->> 'outcome'), ', ' ORDER BY m.labels ->> 'outcome')
    FROM claude_gpt.metrics('claude_gpt_decisions_total') AS m WHERE m.labels ->> 'function' = p_function AND m.value > 0
$$;
CREATE FUNCTION pg_temp.denied(p_function text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s', m.value, m.labels ->> 'reason'), ', ' ORDER BY m.labels ->> 'reason')
    FROM claude_gpt.metrics('claude_gpt_denials_total') AS m WHERE m.labels ->> 'function' = p_function AND m.value > 0
$$;
CREATE FUNCTION pg_temp.health(p_check text) RETURNS text LANGUAGE sql AS $$
    SELECT h.status || COALESCE(': ' || h.detail, '') FROM claude_gpt.health() AS h WHERE h.check_name = p_check
$$;

-- decisions
SELECT pg_temp.configure('model_prices', '{"gpt-4": {"prompt": 0.01, "completion": 0.02}, "gpt-3.5-turbo": {"prompt": 0.001, "completion": 0.002}}');
SELECT pg_temp.new_user('ada') AS ada, pg_temp.new_user('bob', 'base') AS bob \gset
SELECT is(pg_temp.decided('consume_quota'), NULL, 'nothing is counted yet');
SELECT consume_quota(:'ada') FROM generate_series(1, 12) \g /dev/null
SELECT consume_quota(:'bob', p_idempotency_key => 'k'), consume_quota(:'bob', p_idempotency_key => 'k') \g /dev/null
SELECT consume_quota(:'ada', p_model => 'gpt-4') \g /dev/null
SELECT is(pg_temp.decided('consume_quota'), '11 allowed, 3 denied, 1 replayed', 'consume_quota counts what it decides');
SELECT is(pg_temp.denied('consume_quota'), '1 model_not_in_plan, 2 quota_exceeded', 'and why it denies');
SELECT is(pg_temp.metric('claude_gpt_usage_total', '{"type": "message"}'), 11::numeric, 'a replay is charged once, a denial never');
SELECT check_subscription_limit(:'ada', 'message'), check_subscription_limit(:'bob', 'message') \g /dev/null
SELECT is(pg_temp.decided('check_subscription_limit') || '; ' || pg_temp.denied('check_subscription_limit'), '1 allowed, 1 denied; 1 quota_exceeded', 'check_subscription_limit');
SELECT rate_limit(:'ada' || ' monitoring', 2, '1 minute') FROM generate_series(1, 3) \g /dev/null
SELECT is(pg_temp.decided('rate_limit') || '; ' || pg_temp.denied('rate_limit'), '2 allowed, 1 denied; 1 rate_limited', 'rate_limit');
SELECT check_rate_limit(:'ada', 11), check_rate_limit(:'ada', 1) \g /dev/null
SELECT is(pg_temp.decided('check_rate_limit') || '; ' || pg_temp.denied('check_rate_limit'), '1 allowed, 1 denied; 1 rate_limited', 'check_rate_limit');
SELECT pg_temp.configure('maintenance_mode', 'true');
SELECT reserve_usage(:'bob', 5), begin_turn(:'bob', NULL, 'hello', 'gpt-4') \g /dev/null
SELECT pg_temp.configure('maintenance_mode', 'false');
SELECT is(pg_temp.denied('reserve_usage') || '; ' || pg_temp.denied('begin_turn'), '1 maintenance; 1 maintenance', 'maintenance');

-- settlements, usage and cost
SELECT reservation_id AS r1 FROM reserve_usage(:'bob', 100, 0, 'gpt-4') \gset
SELECT reservation_id AS r2 FROM reserve_usage(:'bob', 100, 1, 'gpt-4') \gset
SELECT reservation_id AS r3 FROM reserve_usage(:'bob', 100, 1, 'gpt-4', '1 minute') \gset
SELECT reservation_id AS r4 FROM begin_turn(:'bob', NULL, 'hello', 'gpt-4', 50, p_ttl => '1 minute') \gset
SELECT settle_usage(pg_temp.owner(:'r1'), :'r1', 10, 20, 0.25), settle_usage(pg_temp.owner(:'r1'), :'r1', 10, 20, 0.25), release_usage(pg_temp.owner(:'r2'), :'r2') \g /dev/null
SET LOCAL claude_gpt.fixed_time = '2026-11-23T10:02:00Z';
SELECT complete_turn(pg_temp.owner(:'r4'), :'r4', 'hi', 1, 2, 0.125) \g /dev/null
SELECT consume_quota(:'bob') \g /dev/null
SELECT bag_eq($$SELECT (m.labels ->> 'outcome') || ' ' || m.value FROM metrics('claude_gpt_settlements_total') AS m$$,
    ARRAY['settled 1', 'late 1', 'released 1', 'expired 1'], 'every end of a reservation is counted once');
SELECT is(pg_temp.metric('claude_gpt_usage_total', '{"type": "token"}'), 33::numeric, 'tokens when they are charged');
SELECT is(pg_temp.metric('claude_gpt_usage_cost_total'), 0.375, 'and cost');
SELECT update_user_usage(:'bob', 2, 7, 0.5), record_usage(:'bob', 'api_call', 3) \g /dev/null
SELECT is((SELECT string_agg(format('%s %s', m.labels ->> 'type', m.value), ', ' ORDER BY m.labels ->> 'type') FROM metrics('claude_gpt_usage_total') AS m WHERE m.labels ->> 'type' <> 'message'), 'api_call 3, token 40', 'whoever counts it');
SELECT is(pg_temp.metric('claude_gpt_usage_cost_total'), 0.875, 'cost adds up');
SELECT is(pg_temp.decided('reserve_usage'), '3 allowed, 1 denied', 'reserve_usage');
SELECT is(pg_temp.decided('begin_turn'), '1 allowed, 1 denied', 'begin_turn');
SAVEPOINT undone;
SELECT consume_quota(:'bob') \g /dev/null
ROLLBACK TO undone;
SELECT is(pg_temp.decided('consume_quota'), '13 allowed, 3 denied, 1 replayed', 'what is rolled back was decided');
SELECT is(pg_temp.metric('claude_gpt_counters_since_timestamp_seconds'), extract(epoch FROM timestamptz '2026-11-23T10:00:00Z'), 'since when, is told');

-- metrics
SELECT is((SELECT count(*) FROM metrics() AS m WHERE m.name IS NULL OR m.labels IS NULL OR m.value IS NULL OR m.name !~ '^claude_gpt_[a-z_]+$'), 0::bigint, 'every metric has a name, labels and a value');
SELECT is((SELECT count(*) FROM (SELECT m.name, m.labels FROM metrics() AS m GROUP BY m.name, m.labels HAVING count(*) > 1) AS twice), 0::bigint, 'and comes once');
SELECT is((SELECT count(*) FROM (SELECT DISTINCT m.name FROM metrics() AS m) AS n WHERE NOT EXISTS (SELECT FROM metrics(n.name) AS o WHERE o.name = n.name)), 0::bigint, 'each can be asked for alone');
SELECT is((SELECT count(*) FROM (SELECT DISTINCT m.name FROM metrics() AS m) AS n, metrics(n.name) AS o WHERE o.name <> n.name), 0::bigint, 'then nothing else comes');
SELECT is_empty($$SELECT * FROM metrics('nothing')$$, 'what is no metric is no row');
SELECT is(pg_temp.metric('claude_gpt_info', jsonb_build_object('version', (SELECT extversion FROM pg_extension WHERE extname = 'claude_gpt'))), 1::numeric, 'the version');
SELECT is((SELECT count(*) FROM metrics('claude_gpt_job_lateness_seconds')), (SELECT count(*) FROM jobs), 'lateness of each job');
SELECT is((SELECT count(DISTINCT m.labels ->> 'table') FROM metrics('claude_gpt_table_size_bytes') AS m), (SELECT count(*) FROM table_sizes), 'sizes of each table');
SELECT cmp_ok(pg_temp.metric('claude_gpt_table_size_bytes', '{"table": "messages", "part": "indexes"}'), '>', 0::numeric, 'with its indexes');
SELECT is((SELECT count(*) FROM metrics('claude_gpt_health')), (SELECT count(*) FROM health()), 'and health');
SELECT reset_metrics();
SELECT is((SELECT sum(m.value) FROM metrics() AS m WHERE m.name LIKE '%\_total' AND m.name NOT IN ('claude_gpt_rate_limit_no_slot_total', 'claude_gpt_rate_limit_evicted_total')), 0::double precision, 'after a reset all counters are zero');
SELECT is(pg_temp.metric('claude_gpt_counters_since_timestamp_seconds'), extract(epoch FROM timestamptz '2026-11-23T10:02:00Z'), 'from now on');

-- health: what is well
SELECT is(pg_temp.health('preload'), 'ok: the library is preloaded', 'preloaded');
SELECT is(pg_temp.health('jobs'), 'ok: no job is late or failing', 'jobs');
SELECT is(pg_temp.health('triggers'), 'ok: every trigger of claude_gpt is enabled', 'triggers');
SELECT matches(pg_temp.health('books'), '^ok: the books of \d+ recently active users prove$', 'books');
SELECT is((SELECT count(*) FROM health() AS h WHERE h.status = 'ok' AND h.hint IS NOT NULL OR h.status <> 'ok' AND h.hint IS NULL), 0::bigint, 'what is not well has a hint, and nothing else');
SELECT is((SELECT count(*) FROM health() AS h WHERE h.status NOT IN ('ok', 'warning', 'critical') OR h.detail IS NULL), 0::bigint, 'every check has a status and a detail');

-- and what is not
SELECT matches(pg_temp.health('owner'), '^warning: role "[^"]+", which is a superuser or may become one, owns the tables: whatever is attached to them runs with its rights$', 'a superuser owns the tables');
CREATE ROLE keeper_of_monitoring;
SELECT set_owner('keeper_of_monitoring');
SELECT is(pg_temp.health('owner'), 'ok: role "keeper_of_monitoring" owns the tables', 'better one who is none');

-- what would run with somebody else's rights
SELECT set_eq('SELECT o::oid FROM claude_gpt_internal.own_relations() AS o', $$SELECT c.oid FROM pg_class AS c WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind IN ('r', 'p', 'v')$$,
              'every table, view and partition is known as one of ours');
SELECT throws_ok(format('SELECT * FROM %s', f), '42501', 'a superuser cannot read tables of a role that is none', format('a superuser does not run %s by itself', f))
FROM unnest(ARRAY['claude_gpt_internal.check_health(true)', 'claude_gpt_internal.list_metrics(NULL, true)']) AS f;
SELECT throws_ok(format('SELECT claude_gpt_internal.%s(''audit_logs'', now(), now() + interval ''1 day'', ''1 week'')', f), '42501', 'a superuser cannot change table claude_gpt_data.audit_logs of a role that is none', format('nor %s', f))
FROM unnest(ARRAY['missing_partitions', 'has_partition_work']) AS f;
SELECT is(pg_temp.health('functions_beside_tables'), 'ok: no function or operator lies beside the tables, but those of triggers', 'nothing lies beside the tables');
SELECT is(pg_temp.health('create_rights'), 'ok: only superusers create in the schemas of the code', 'and nobody creates beside the code');
CREATE ROLE stranger_of_monitoring;
ALTER VIEW claude_gpt_data.table_sizes OWNER TO stranger_of_monitoring;
ALTER TABLE claude_gpt_partitions.audit_logs_default OWNER TO stranger_of_monitoring;
ALTER SCHEMA claude_gpt_partitions OWNER TO stranger_of_monitoring;
CREATE TABLE claude_gpt_data.added_by_a_user (id integer);
SELECT is(pg_temp.health('owner'), 'critical: role "keeper_of_monitoring" owns the tables, but claude_gpt_data.table_sizes belongs to "stranger_of_monitoring", claude_gpt_partitions.audit_logs_default belongs to "stranger_of_monitoring", schema claude_gpt_partitions belongs to "stranger_of_monitoring"',
          'a relation of ours that is somebody else''s is named, not one that a user has added');
SELECT cmp_ok((SELECT count(*) FROM health()), '>', 10::bigint, 'what can be told beside that is told');
SELECT is((SELECT count(*) FROM metrics('claude_gpt_job_enabled')), 0::bigint, 'of tables of several roles nothing is measured');
SELECT cmp_ok((SELECT count(*) FROM metrics('claude_gpt_decisions_total')), '>', 0::bigint, 'but what was counted');
ALTER SCHEMA claude_gpt_data OWNER TO stranger_of_monitoring;
SELECT matches(pg_temp.health('owner'), '^critical: .*schema claude_gpt_data belongs to "stranger_of_monitoring"', 'a schema that is somebody else''s is named');
SELECT cmp_ok((SELECT count(*) FROM metrics()), '>', 20::bigint, 'and leaves metrics');
SELECT set_owner('keeper_of_monitoring');
SELECT is(pg_temp.health('owner'), 'ok: role "keeper_of_monitoring" owns the tables', 'set_owner mends it, as the hint says');
CREATE FUNCTION claude_gpt_data.trap(text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION claude_gpt_partitions.equals(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR claude_gpt_data.= (LEFTARG = text, RIGHTARG = text, FUNCTION = claude_gpt_partitions.equals);
CREATE FUNCTION claude_gpt_data.of_a_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER added AFTER INSERT ON claude_gpt_data.added_by_a_user FOR EACH ROW EXECUTE FUNCTION claude_gpt_data.of_a_trigger();
SELECT is(pg_temp.health('functions_beside_tables'), 'warning: beside the tables: claude_gpt_data.trap(text), claude_gpt_partitions.equals(text,text), operator claude_gpt_data.=(text,text)', 'functions and operators beside the tables are named, but for those of triggers');
GRANT CREATE ON SCHEMA claude_gpt TO stranger_of_monitoring, PUBLIC;
ALTER SCHEMA claude_gpt_internal OWNER TO stranger_of_monitoring;
SELECT is(pg_temp.health('create_rights'), 'critical: may create functions that a call takes for those of claude_gpt: everybody in claude_gpt, stranger_of_monitoring in claude_gpt, stranger_of_monitoring in claude_gpt_internal', 'so are those who may create beside the code');
REVOKE CREATE ON SCHEMA claude_gpt FROM stranger_of_monitoring, PUBLIC;
ALTER SCHEMA claude_gpt_internal OWNER TO CURRENT_USER;
SELECT is(pg_temp.health('create_rights'), 'ok: only superusers create in the schemas of the code', 'until it is taken back');
SELECT is(pg_temp.health('strange_objects'), 'ok: nothing lies in the schemas of the code but the extension itself', 'nor has anybody put anything beside the code');
CREATE FUNCTION claude_gpt.health(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE TABLE claude_gpt_internal.trap (id integer GENERATED ALWAYS AS IDENTITY);
CREATE TYPE claude_gpt.mood AS ENUM ('bad');
CREATE OPERATOR claude_gpt_internal.= (LEFTARG = text, RIGHTARG = text, FUNCTION = claude_gpt_partitions.equals);
CREATE FUNCTION public.names_the_schema() RETURNS regnamespace LANGUAGE sql BEGIN ATOMIC SELECT 'claude_gpt'::regnamespace; END;
SELECT is(pg_temp.health('strange_objects'), 'critical: not of the extension: function claude_gpt.health(text), operator claude_gpt_internal.=(text,text), sequence claude_gpt_internal.trap_id_seq, table claude_gpt_internal.trap, type claude_gpt.mood', 'whatever lies there is named');
SELECT is((SELECT count(*) FROM metrics('claude_gpt_health') AS m WHERE m.value = 2 AND m.labels ->> 'check' = 'strange_objects'), 1::bigint, 'for the monitoring system, too');
SELECT throws_ok('SELECT claude_gpt_internal.require_own_code()', '55000', 'the schemas of claude_gpt hold what is not of the extension', 'and refused where it matters');
DROP FUNCTION claude_gpt.health(text);
DROP TABLE claude_gpt_internal.trap;
DROP TYPE claude_gpt.mood;
DROP OPERATOR claude_gpt_internal.= (text, text);
SELECT is(pg_temp.health('strange_objects'), 'ok: nothing lies in the schemas of the code but the extension itself', 'until it is gone');

-- Columns of another type, of ours and of what the checks read.
SAVEPOINT altered;
ALTER TABLE claude_gpt_data.messages ALTER COLUMN metadata TYPE text;
SELECT is(replace(pg_temp.health('columns'), 'pg_catalog.', ''), 'critical: column "metadata" of table "messages" must be of type jsonb, not text (SQLSTATE 42804)', 'a column that was altered is named with both types');
SELECT is((SELECT string_agg(h.check_name, ' ') FROM health() AS h WHERE h.detail LIKE '%SQLSTATE%'), 'columns books', 'and keeps no other check from its answer, but that of the books, which read the table');
SELECT is((SELECT count(*) FROM metrics('claude_gpt_job_enabled')), (SELECT count(*) FROM jobs), 'nor metrics from theirs');
ROLLBACK TO altered;
DROP VIEW claude_gpt_data.job_status;
ALTER TABLE claude_gpt_data.jobs ALTER COLUMN failures_in_a_row DROP DEFAULT, ALTER COLUMN failures_in_a_row TYPE text;
SELECT is(replace(pg_temp.health('columns'), 'pg_catalog.', ''), 'critical: column "failures_in_a_row" of table "jobs" must be of type integer, not text (SQLSTATE 42804)', 'one that a check reads');
SELECT matches(pg_temp.health('jobs'), '^critical: .* \(SQLSTATE 42P01\)', 'makes that check fail, for all to see');
SELECT is(pg_temp.health('triggers'), 'ok: every trigger of claude_gpt is enabled', 'while the others go on');
SELECT is((SELECT count(*) FROM health() AS h WHERE h.status <> 'ok' AND h.hint IS NULL), 0::bigint, 'with hints');
SELECT is((SELECT count(*) FROM metrics('claude_gpt_job_enabled')), 0::bigint, 'metrics leave out what cannot be read');
SELECT cmp_ok((SELECT count(*) FROM metrics()), '>', 20::bigint, 'and tell the rest');
ROLLBACK TO altered;
ALTER TABLE claude_gpt_data.claude_gpt_migrations ALTER COLUMN id TYPE text;
SELECT is(replace(pg_temp.health('migrations'), 'pg_catalog.', ''), 'critical: column "id" of table "claude_gpt_migrations" must be of type integer, not text (SQLSTATE 42804)', 'even the record of migrations');
SELECT cmp_ok((SELECT count(*) FROM metrics()), '>', 20::bigint, 'without which there are still metrics');
ROLLBACK TO altered;
ALTER TABLE claude_gpt_data.users RENAME TO people;
SELECT is(pg_temp.health('owner'), 'critical: there is no table users', 'a table that is gone');
SELECT cmp_ok((SELECT count(*) FROM health() AS h WHERE h.status = 'ok'), '>', 5::bigint, 'leaves checks that answer');
ROLLBACK TO altered;

DROP OPERATOR claude_gpt_data.= (text, text);
DROP FUNCTION claude_gpt_data.trap(text), claude_gpt_partitions.equals(text, text);
DROP TABLE claude_gpt_data.added_by_a_user;
DROP FUNCTION claude_gpt_data.of_a_trigger();

UPDATE jobs SET failures_in_a_row = 2, next_run_at = '2026-11-23T12:00:00Z';
INSERT INTO job_runs (job_name, engine, started_at, finished_at, outcome, sqlstate, message)
    SELECT name, 'call', '2026-11-23T10:00:00Z', '2026-11-23T10:00:00Z', 'failed', '53100', 'no space left' FROM jobs;
UPDATE jobs SET failures_in_a_row = 0 WHERE name <> 'audit_prune';
SELECT is(pg_temp.health('jobs'), 'warning: audit_prune failed 2 times in a row: no space left (53100)', 'a job that fails');
UPDATE jobs SET failures_in_a_row = 3 WHERE name = 'audit_prune';
SELECT matches(pg_temp.health('jobs'), '^critical: audit_prune failed 3 times', 'again and again');
UPDATE jobs SET failures_in_a_row = 0, next_run_at = '2026-11-23T09:45:00Z' WHERE name = 'audit_prune';
SELECT is(pg_temp.health('jobs'), 'warning: audit_prune is late by 00:17:00', 'a job that is late');
UPDATE jobs SET next_run_at = '2026-11-23T08:00:00Z' WHERE name = 'audit_prune';
SELECT is(pg_temp.health('jobs'), 'critical: audit_prune is late by 02:02:00', 'for hours');
UPDATE jobs SET enabled = false WHERE name = 'audit_prune';
SELECT matches(pg_temp.health('jobs'), '^ok', 'one that is switched off is not late');

INSERT INTO usage_records (user_id, usage_type, quantity, billing_period, created_at) SELECT :'ada', 'message', 1, '2031-01-01', '2031-01-01' FROM generate_series(1, 3);
ANALYZE usage_records_default;
SELECT is(pg_temp.health('default_partitions'), 'warning: usage_records_default holds about 3 rows', 'rows in a DEFAULT partition');
DELETE FROM usage_records WHERE billing_period = '2031-01-01';
DO $$
DECLARE p record;
BEGIN
    FOR p IN SELECT partition_name FROM list_partitions('audit_logs') WHERE NOT is_default LOOP
        EXECUTE format('ALTER TABLE audit_logs DETACH PARTITION %I', p.partition_name);
    END LOOP;
END
$$;
SELECT is(pg_temp.health('next_partitions'), 'warning: no partition for tomorrow: audit_logs', 'no partition for what comes');

UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_users_created_at'::regclass;
SELECT is(pg_temp.health('indexes'), 'warning: not valid: claude_gpt_data.idx_users_created_at', 'an index that is not valid');
SELECT is((SELECT is_valid FROM index_usage WHERE index_name = 'idx_users_created_at'), false, 'which index_usage shows too');
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'idx_users_created_at'::regclass;

ALTER TABLE users DISABLE TRIGGER protect_users;
SELECT is(pg_temp.health('triggers'), 'critical: disabled: protect_users on users', 'a trigger that is disabled');
ALTER TABLE users ENABLE TRIGGER protect_users;

UPDATE users SET total_message_count = total_message_count + 1, last_active_at = clock_timestamp() + interval '1 day' WHERE id = :'bob';
SELECT matches(pg_temp.health('books'), format('^critical: 1 differences in the books of [12] recently active users, the first of user "%s"$', :'bob'), 'books that are false');
SELECT is((SELECT r.difference_count FROM prove_recent_books(5, '1 second') AS r), 1, 'as the proof says');
SELECT throws_ok('SELECT prove_recent_books(NULL, ''1 second'')', '22004', NULL, 'of how many users is to be said');
SELECT throws_ok('SELECT prove_recent_books(5, ''1 month'')', '22023', NULL, 'and for how long, exactly');
SELECT is((SELECT (r.user_count, r.difference_count) FROM prove_recent_books(0, '1 second') AS r), (0, 0), 'none is none');
SELECT is((SELECT r.user_count FROM prove_recent_books(5, '0 seconds') AS r), 0, 'no time is none');

SELECT pg_temp.configure('maintenance_mode', 'true'), pg_temp.configure('usage_ledger', 'false');
SELECT is(pg_temp.health('configuration'), 'warning: maintenance_mode is on: every call that asks for quota is denied; usage_ledger is off: usage is counted, but not recorded', 'configuration');
SELECT pg_temp.configure('maintenance_mode', 'false'), pg_temp.configure('usage_ledger', 'true');

-- configuration that locks people out
SELECT pg_temp.configure('rate_limits', '{"free": 10, "por": 60, "odd one": 5}');
SELECT is(pg_temp.health('configuration'), 'warning: rate_limits names what is no plan: odd one, por', 'a rate of no plan, whose plan has another');
SELECT pg_temp.configure('rate_limits', '{"free": 10, "base": 60}');
SELECT is(pg_temp.health('configuration'), 'ok: no configuration stops or hides usage', 'one that is left out is no mistake');
DELETE FROM users;
SELECT pg_temp.new_user('eve') AS eve, pg_temp.new_user('fay', 'base') AS fay \gset
SELECT update_user_usage(:'eve', 1, 1, 0), update_user_usage(:'fay', 1, 1, 0) \g /dev/null
SELECT is(pg_temp.health('plans'), 'ok: the plans of 2 recently active users are configured', 'plans that admit something');
SAVEPOINT shut;
CREATE FUNCTION pg_temp.health_of_plan(p_member text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.configure('subscription_plans', format('{"free": {"messagesPerMonth": 10}, "base": {"messagesPerMonth": 10, "apiCallsPerMonth": 0, %s}}', p_member)::jsonb);
    SELECT pg_temp.health('plans')
$$;
SELECT is(pg_temp.health_of_plan(member), 'critical: of 2 recently active users, 1 have a plan that admits nothing, such as "base" (' || reason || ')', 'a plan that shuts its users out: ' || reason)
FROM (VALUES ('"tokensPerMonth": 0', 'tokensPerMonth is 0'), ('"costPerMonth": 0.0', 'costPerMonth is 0'), ('"maxConcurrentTurns": 0', 'maxConcurrentTurns is 0'), ('"models": []', 'models is empty'), ('"messagesPerMonth": 0', 'messagesPerMonth is 0')) AS v (member, reason);
UPDATE users SET last_active_at = last_active_at - interval '8 days' WHERE id = :'fay';
SELECT is(pg_temp.health('plans'), 'ok: the plans of 2 recently active users are configured', 'is told for a week');
ROLLBACK TO shut;
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 10}, "base": {"messagesPerMonth": 10, "apiCallsPerMonth": 0}}');
SELECT is(pg_temp.health('plans'), 'ok: the plans of 2 recently active users are configured', 'no calls of the API is not nothing');
ALTER TABLE system_configs DISABLE TRIGGER validate_system_configs;
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": "ten"}, "base": {"messagesPerMonth": 1}}'), pg_temp.configure('rate_limits', '["free"]');
ALTER TABLE system_configs ENABLE ALWAYS TRIGGER validate_system_configs;
SELECT throws_ok(format('SELECT consume_quota(%L)', :'eve'), '55000', NULL, 'a row that got past its rule refuses calls');
SELECT is(pg_temp.health('configuration'), 'critical: rate_limits is not valid, and who needs it is refused: $ must be an object of tiers; subscription_plans is not valid, and who needs it is refused: $.free.messagesPerMonth must be a whole number from 0 to 9223372036854775807, or -1 for unlimited',
          'which health says of each');
SELECT bag_eq('SELECT config_key FROM configuration_problems()', ARRAY['rate_limits', 'subscription_plans'], 'by name');
ROLLBACK TO shut;
SELECT needed_migration AS newest FROM migration_state() \gset
DELETE FROM claude_gpt_migrations WHERE id = :newest;
SELECT is(pg_temp.health('migrations'), format('critical: the tables have migration %s, the library needs %s', :newest - 1, :newest), 'tables that are too old');
SELECT is((SELECT count(*) FROM metrics('claude_gpt_health') AS m WHERE m.value = 2 AND m.labels ->> 'check' = 'migrations'), 1::bigint, 'whose metrics can still be read');
INSERT INTO claude_gpt_migrations (id, name) VALUES (:newest + 1, 'of tomorrow');
SELECT is(pg_temp.health('migrations'), format('warning: the tables have migration %s, this library knows none after %s', :newest + 1, :newest), 'a library that is too old');

-- the views
SELECT is((SELECT count(*) FROM active_connections WHERE pid = pg_backend_pid() AND state = 'active'), 1::bigint, 'active_connections has this one');
SELECT set_eq('SELECT table_name FROM table_sizes', $$SELECT relname FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND relkind IN ('r', 'p') AND NOT relispartition$$, 'table_sizes has each table once');
SELECT is((SELECT count(*) FROM table_sizes WHERE total_bytes <> table_bytes + index_bytes + toast_bytes OR total_bytes <
    COALESCE((SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(COALESCE(to_regclass(format('claude_gpt_data.%I', table_name)), to_regclass(format('claude_gpt_partitions.%I', table_name))))), 0)), 0::bigint, 'with its partitions, and all that it takes');
SELECT is((SELECT count(*) FROM index_usage), (SELECT count(*) FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND relkind = 'i'), 'index_usage has each index');
SELECT is_empty('SELECT * FROM slow_queries', 'slow_queries is empty without pg_stat_statements');

-- rights
CREATE ROLE watcher_of_monitoring;
SELECT grant_application_access('watcher_of_monitoring', 'monitor');
SELECT is(pg_temp.as_role('watcher_of_monitoring', 'SELECT * FROM claude_gpt.health(), claude_gpt.metrics()'), 'done', 'a monitor reads health and metrics');
SELECT is(pg_temp.as_role('watcher_of_monitoring', format('SELECT * FROM claude_gpt_data.%I', v)), 'done', 'a monitor reads ' || v)
    FROM unnest(ARRAY['active_connections', 'slow_queries', 'table_sizes', 'index_usage', 'job_status']) AS v;
SELECT is(pg_temp.as_role('watcher_of_monitoring', 'SELECT claude_gpt.reset_metrics()'), '42501', 'and resets nothing');
ALTER SCHEMA claude_gpt_data OWNER TO stranger_of_monitoring;
SELECT is(pg_temp.as_role('watcher_of_monitoring', 'SELECT * FROM claude_gpt.health(), claude_gpt.metrics()'), 'done', 'a monitor does so where a schema is somebody else''s');
SELECT set_owner('keeper_of_monitoring');
SELECT is(pg_temp.as_role('watcher_of_monitoring', 'SELECT id FROM claude_gpt_data.users'), '42501', 'nor sees users');
CREATE ROLE nobody_of_monitoring;
SELECT is(pg_temp.as_role('nobody_of_monitoring', 'SELECT * FROM ' || f), '42501', f || ' is not everybody''s')
    FROM unnest(ARRAY['claude_gpt.health()', 'claude_gpt.metrics()', 'claude_gpt_internal.check_health(true)', 'claude_gpt_internal.list_metrics(NULL, true)', 'claude_gpt_internal.counters()', 'claude_gpt_internal.extension_state()', 'claude_gpt_internal.direct_access()', 'claude_gpt_internal.statement_statistics()', 'claude_gpt_internal.prove_recent_books(1, ''1 second'')', 'claude_gpt_data.active_connections', 'claude_gpt_data.table_sizes']) AS f;
CREATE ROLE operator_of_monitoring;
SELECT grant_application_access('operator_of_monitoring', 'operator');
SELECT is(pg_temp.as_role('operator_of_monitoring', 'SELECT count(*) FROM claude_gpt.health(), claude_gpt.metrics(), claude_gpt_data.table_sizes; SELECT claude_gpt.reset_metrics()'), 'done', 'an operator may do both');

SELECT * FROM finish();
ROLLBACK;
