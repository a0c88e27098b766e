-- The table of jobs and what may be written to it, its view, and what needs no commit. The runs are in test/sql/jobs.sql.
BEGIN;
\ir prelude.psql
SELECT no_plan();

SELECT set_eq('SELECT name::text FROM jobs', $$SELECT subject FROM counters() WHERE counter = 'job_runs' UNION ALL SELECT name FROM jobs WHERE NOT EXISTS (SELECT FROM counters())$$,
              'each job that the code counts, where there is memory for it, has a row');
SELECT ok((SELECT bool_and(enabled AND engine = 'worker' AND failures_in_a_row = 0 AND next_run_at <= clock_timestamp()) FROM jobs), 'which the workers run');

-- what a row may say
SELECT throws_ok($$INSERT INTO jobs (name, run_every) VALUES ('my_job', '1 hour')$$, '22023', 'there is no job "my_job"');
SELECT throws_ok($$UPDATE jobs SET name = 'Analyze' WHERE name = 'analyze'$$, '22023', 'there is no job "Analyze"');
SELECT throws_ok(format('UPDATE jobs SET run_every = %L', i), '22023', 'run_every of a job must be from 1 second to 366 days', 'run_every ' || i)
FROM unnest(ARRAY['0', '-1 hour', '999 milliseconds', '367 days', '366 days 1 microsecond']) AS i;
SELECT throws_ok(format('UPDATE jobs SET run_every = %L', i), '22023', 'interval must be of days, hours or less', 'run_every ' || i)
FROM unnest(ARRAY['1 month', '1 year', '1 month -30 days']) AS i;
SELECT lives_ok(format('UPDATE jobs SET run_every = %L', i), 'run_every ' || i) FROM unnest(ARRAY['1 second', '90 minutes', '366 days']) AS i;
SELECT throws_ok(format('UPDATE jobs SET timeout = %L', i), '22023', 'timeout of a job must be from 1 second to 7 days', 'timeout ' || i)
FROM unnest(ARRAY['0', '-1 hour', '8 days']) AS i;
SELECT lives_ok($$UPDATE jobs SET timeout = '7 days'$$, 'timeout 7 days');
SELECT throws_ok(format('UPDATE jobs SET next_run_at = %L', i), '22023', 'next_run_at of a job must not be infinite', 'next_run_at ' || i) FROM unnest(ARRAY['infinity', '-infinity']) AS i;
SELECT throws_ok(format('UPDATE jobs SET engine = %L', e), '22023', 'engine of a job must be "worker" or "pg_cron"', 'engine ' || e) FROM unnest(ARRAY['call', 'cron', 'Worker', '']) AS e;
SELECT lives_ok($$UPDATE jobs SET engine = 'pg_cron'$$, 'engine pg_cron');
SELECT throws_ok(format('UPDATE jobs SET %I = NULL', c), '23502', NULL, c || ' is not null') FROM unnest(ARRAY['enabled', 'run_every', 'timeout', 'next_run_at', 'engine', 'failures_in_a_row']) AS c;
SELECT throws_ok($$UPDATE jobs SET name = NULL WHERE name = 'analyze'$$, '23502', NULL, 'a job has a name');
SELECT lives_ok($$DELETE FROM jobs WHERE name = 'analyze'$$, 'a job may be taken away');
SELECT lives_ok($$INSERT INTO jobs (name, run_every) VALUES ('analyze', '2 hours')$$, 'and given back');

-- what the configuration may say
SELECT throws_ok(format('UPDATE system_configs SET config_value = %L WHERE config_key = ''retention''', v), '22023', 'invalid value for configuration "retention"', 'retention ' || v)
FROM unnest(ARRAY['{"audit_logs": "-1 day"}', '{"audit_logs": "1 month"}', '{"audit_logs": 30}', '{"messages": "30 days"}', '[]', '"30 days"']) AS v;
SELECT throws_ok(format('UPDATE system_configs SET config_value = %L WHERE config_key = ''partitions''', v), '22023', 'invalid value for configuration "partitions"', 'partitions ' || v)
FROM unnest(ARRAY['{"audit_logs": "1 day"}', '{"users": "1 week"}', '{"audit_logs": null}', '[]']) AS v;
SELECT lives_ok($$UPDATE system_configs SET config_value = '{"audit_logs": null, "usage_records": "730 days"}' WHERE config_key = 'retention'$$, 'null is for ever');

-- procedures that commit are not for transactions
SELECT throws_ok(c, '2D000', 'a procedure that commits cannot run inside a transaction block or a function', c)
FROM unnest(ARRAY[$$CALL claude_gpt.run_job('analyze')$$, 'CALL claude_gpt.run_due_jobs()', $$CALL claude_gpt.create_partitions('audit_logs', now(), now())$$,
                  $$CALL claude_gpt.drop_partitions_before('audit_logs', now())$$, $$CALL claude_gpt.partition_table('messages', '1 year')$$]) AS c;
SELECT throws_ok(c, '22004', m || ' must not be null', c)
FROM (VALUES ('CALL claude_gpt.run_job(NULL)', 'p_name'), ($$CALL claude_gpt.run_job('analyze', NULL)$$, 'p_engine'),
             ('CALL claude_gpt.create_partitions(NULL, now(), now())', 'p_table'), ($$CALL claude_gpt.create_partitions('audit_logs', NULL, now())$$, 'p_from'),
             ($$CALL claude_gpt.create_partitions('audit_logs', now(), NULL)$$, 'p_to'), ($$CALL claude_gpt.drop_partitions_before('audit_logs', NULL)$$, 'p_before'),
             ('CALL claude_gpt.drop_partitions_before(NULL, now())', 'p_table'),
             ($$CALL claude_gpt.partition_table('messages', NULL)$$, 'p_width'), ($$CALL claude_gpt.partition_table(NULL, '1 year')$$, 'p_table')) AS v (c, m);
SELECT throws_ok($$CALL claude_gpt.run_job('analyze', 'worker')$$, '22023', 'p_engine must be "call" or "pg_cron"', 'nobody passes for a worker');

-- the view, under a clock that is held
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
UPDATE jobs SET next_run_at = '2026-11-22 09:00:00Z', engine = 'worker', enabled = name <> 'usage_prune';
UPDATE jobs SET next_run_at = '2026-11-22 11:00:00Z', failures_in_a_row = 3 WHERE name = 'audit_prune';
INSERT INTO job_runs (job_name, engine, started_at, finished_at, outcome, row_count) VALUES
    ('session_cleanup', 'worker', '2026-11-21Z', '2026-11-21Z', 'succeeded', 7), ('session_cleanup', 'call', '2026-11-22Z', '2026-11-22Z', 'succeeded', 9);
INSERT INTO job_runs (job_name, engine, started_at, finished_at, outcome, sqlstate, message) VALUES ('audit_prune', 'worker', '2026-11-22Z', '2026-11-22Z', 'failed', '55P03', 'm');
INSERT INTO job_runs (job_name, engine, started_at, progress) VALUES ('analyze', 'worker', '2026-11-22Z', 'half way');
SELECT results_eq($$SELECT name::text, last_engine::text, last_outcome::text, last_row_count, last_sqlstate::text, last_progress, failures_in_a_row, lateness_seconds, next_run_at
                    FROM job_status WHERE name IN ('session_cleanup', 'audit_prune', 'analyze', 'usage_prune') ORDER BY name COLLATE "C"$$,
                  $$VALUES ('analyze', 'worker', 'running', 0::bigint, NULL::text, 'half way', 0, 0::bigint, timestamptz '2026-11-22 09:00Z'),
                           ('audit_prune', 'worker', 'failed', 0, '55P03', NULL, 3, 0::bigint, '2026-11-22 11:00Z'),
                           ('session_cleanup', 'call', 'succeeded', 9, NULL, NULL, 0, 3600, '2026-11-22 09:00Z'),
                           ('usage_prune', NULL, NULL, NULL, NULL, NULL, 0, 0::bigint, '2026-11-22 09:00Z')$$,
                  'the last run, and how late each is; not one that runs or is switched off');
SELECT throws_ok($$INSERT INTO job_runs (job_name, engine, started_at) VALUES ('my_job', 'call', now())$$, '23503', NULL, 'a run is of a job');
SELECT throws_ok($$INSERT INTO job_runs (job_name, engine, started_at, outcome) VALUES ('analyze', 'call', now(), 'well')$$, '23514', NULL, 'and has one of three outcomes');

-- trigger functions
CREATE TABLE pg_temp.plain (name text, run_every interval, timeout interval, next_run_at timestamptz, engine text);
CREATE TRIGGER t AFTER INSERT ON pg_temp.plain FOR EACH ROW EXECUTE FUNCTION validate_job();
SELECT throws_ok('INSERT INTO pg_temp.plain VALUES (NULL)', '39P01', NULL, 'validate_job is for before a row is written');
DROP TRIGGER t ON pg_temp.plain;
CREATE TRIGGER t BEFORE INSERT ON pg_temp.plain FOR EACH ROW EXECUTE FUNCTION look_at_changed_jobs();
SELECT throws_ok('INSERT INTO pg_temp.plain VALUES (NULL)', '39P01', NULL, 'look_at_changed_jobs is for after the event');

-- the schedules that pg_cron gets
SELECT is(cron_schedule(i::interval, 0), s, i) FROM (VALUES ('1 second', '* * * * *'), ('1 minute', '* * * * *'), ('119 seconds', '* * * * *')) AS v (i, s);
SELECT * FROM finish();
ROLLBACK;
