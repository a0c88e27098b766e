-- What each job does, called by hand: with commits, so in rows of its own that are gone at the end.
SET search_path = claude_gpt_data, claude_gpt, public;
SET timezone = 'Asia/Kolkata';
SET client_min_messages = warning;
UPDATE jobs SET enabled = false;
SET claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
\set VERBOSITY terse
CREATE FUNCTION pg_temp.last_run(p_job text) RETURNS TABLE (engine text, outcome text, row_count bigint, sqlstate text, message text) LANGUAGE sql AS $$
    SELECT r.engine, r.outcome, r.row_count, r.sqlstate, r.message FROM claude_gpt_data.job_runs AS r WHERE r.job_name = p_job ORDER BY r.id DESC LIMIT 1
$$;
INSERT INTO users (id, email, password_hash) SELECT format('00000000-0000-4000-8000-0000000000%s', lpad(n::text, 2, '0'))::uuid, 'job' || n || '@example.com', 'x' FROM generate_series(1, 9) AS n;

-- monthly_reset: the lapsed alone, in the month alone
SELECT count(update_user_usage(id, 2, 30, 0.5)) FROM users WHERE email LIKE 'job%';
SET claude_gpt.fixed_time = '2026-12-02T10:00:00Z';
SELECT count(update_user_usage(id, 1, 10, 0.1)) FROM users WHERE email IN ('job1@example.com', 'job2@example.com');
CALL run_job('monthly_reset');
SELECT monthly_message_count, monthly_token_count, monthly_api_call_count, monthly_cost, total_message_count, total_token_count, total_cost, monthly_reset_date, count(*)
FROM users WHERE email LIKE 'job%' GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1;
SELECT * FROM pg_temp.last_run('monthly_reset');
CALL run_job('monthly_reset');
SELECT row_count AS nothing_is_left FROM pg_temp.last_run('monthly_reset');
SELECT next_run_at = '2026-12-03 10:00:00Z' AS in_a_day FROM jobs WHERE name = 'monthly_reset';
SET claude_gpt.fixed_time = '2026-12-31T20:00:00Z';
CALL run_job('monthly_reset');
SELECT next_run_at = '2027-01-01 00:00:00Z' AS at_the_end_of_the_month FROM jobs WHERE name = 'monthly_reset';
SELECT * FROM prove_books();

-- session_cleanup
INSERT INTO user_sessions (user_id, session_token, expires_at, is_active, last_used_at)
SELECT '00000000-0000-4000-8000-000000000001', 'job ' || token, expires_at, is_active, last_used_at
FROM (VALUES ('live', timestamptz '2027-01-01Z', true, timestamptz '2026-12-31Z'), ('expired today', '2026-12-31Z', true, '2026-12-30Z'), ('expired long ago', '2026-12-01Z', true, '2026-12-01Z'),
             ('inactive since today', '2027-01-01Z', false, '2026-12-31Z'), ('inactive for long', '2027-01-01Z', false, '2026-12-01Z'), ('never expires', 'infinity', true, '2026-12-31Z')) AS s (token, expires_at, is_active, last_used_at);
UPDATE system_configs SET config_value = config_value || '{"user_sessions": "7 days"}' WHERE config_key = 'retention';
CALL run_job('session_cleanup');
SELECT session_token FROM user_sessions WHERE session_token LIKE 'job%' ORDER BY 1;
UPDATE system_configs SET config_value = config_value || '{"user_sessions": null}' WHERE config_key = 'retention';
CALL run_job('session_cleanup');
SELECT count(*) AS kept_for_ever FROM user_sessions WHERE session_token LIKE 'job%';
UPDATE system_configs SET config_value = config_value || '{"user_sessions": "0 days"}' WHERE config_key = 'retention';
CALL run_job('session_cleanup');
SELECT session_token FROM user_sessions WHERE session_token LIKE 'job%' ORDER BY 1;
SELECT * FROM pg_temp.last_run('session_cleanup');

-- a batch whose commit must be tried again is not passed over; a lock that is given away ends the run
INSERT INTO user_sessions (user_id, session_token, expires_at) SELECT '00000000-0000-4000-8000-000000000001', 'many ' || n, now() - interval '1 hour' FROM generate_series(1, 2500) AS n;
CREATE SEQUENCE public.commits;
CREATE FUNCTION public.conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('public.commits') = 1500 THEN RAISE serialization_failure; END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER conflict AFTER DELETE ON user_sessions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.conflict();
CALL run_job('session_cleanup');
SELECT outcome, row_count, progress LIKE 'up to %' AS tells FROM job_runs ORDER BY started_at DESC, id DESC LIMIT 1;
SELECT count(*) FROM user_sessions WHERE session_token LIKE 'many %';
DROP TRIGGER conflict ON user_sessions;
INSERT INTO user_sessions (user_id, session_token, expires_at) SELECT '00000000-0000-4000-8000-000000000001', 'more ' || n, now() - interval '1 hour' FROM generate_series(1, 1500) AS n;
CREATE FUNCTION public.unlock() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_unlock_all(); RETURN OLD; END $$;
CREATE TRIGGER unlock BEFORE DELETE ON user_sessions FOR EACH ROW WHEN (OLD.session_token = 'more 7') EXECUTE FUNCTION public.unlock();
CALL run_job('session_cleanup');
SELECT outcome, sqlstate, row_count FROM job_runs ORDER BY started_at DESC, id DESC LIMIT 1;
DROP TRIGGER unlock ON user_sessions;
DROP FUNCTION public.unlock(), public.conflict();
DROP SEQUENCE public.commits;
CALL run_job('session_cleanup');
SELECT count(*) AS left_over FROM user_sessions WHERE session_token LIKE 'more %';

-- reservation_sweep and idempotency_prune
SET claude_gpt.fixed_time = '2027-01-01T00:00:00Z';
UPDATE system_configs SET config_value = config_value || '{"pro": {"messagesPerMonth": -1}, "free": {"messagesPerMonth": 100}}' WHERE config_key = 'subscription_plans';
SELECT allowed FROM reserve_usage('00000000-0000-4000-8000-000000000001', 100, 1, NULL, '5 minutes', 'job key');
SELECT allowed FROM reserve_usage('00000000-0000-4000-8000-000000000001', 200, 1, NULL, '1 hour');
SELECT r.reservation_id AS settled FROM reserve_usage('00000000-0000-4000-8000-000000000002', 50, 1) AS r \gset
SELECT charged_tokens FROM settle_usage('00000000-0000-4000-8000-000000000002', :'settled', 10, 20, 0);
SET claude_gpt.fixed_time = '2027-01-01T00:10:00Z';
CALL run_job('reservation_sweep');
SELECT held_message_count, held_token_count, next_hold_expiry AT TIME ZONE 'UTC' AS next_hold_expiry FROM users WHERE id = '00000000-0000-4000-8000-000000000001';
SELECT user_id, status, token_count FROM usage_reservations ORDER BY user_id, token_count;
SELECT * FROM pg_temp.last_run('reservation_sweep');
SELECT * FROM prove_books();
CALL run_job('idempotency_prune');
SELECT count(*) AS remembered FROM idempotency_keys WHERE idempotency_key = 'job key';
SET claude_gpt.fixed_time = '2027-01-08T00:05:01Z';
CALL run_job('reservation_sweep');
SELECT user_id, status, token_count FROM usage_reservations ORDER BY user_id, token_count;
CALL run_job('idempotency_prune');
SELECT count(*) AS remembered FROM idempotency_keys WHERE idempotency_key = 'job key';
SELECT * FROM prove_books();

-- audit_prune, usage_prune: what is older than the retention goes, the sums of usage stay
INSERT INTO audit_logs (action, resource_type, created_at) SELECT 'job', 'x', '2026-12-01Z'::timestamptz + n * interval '12 hours' FROM generate_series(0, 70) AS n;
CALL run_job('audit_prune');
SELECT count(*), min(created_at) AT TIME ZONE 'UTC' AS oldest FROM audit_logs WHERE action = 'job';
SELECT count(*) > 0 AS has_records FROM usage_records;
UPDATE system_configs SET config_value = config_value || '{"usage_records": null, "audit_logs": null, "job_runs": null}' WHERE config_key = 'retention';
SET claude_gpt.fixed_time = '2028-01-08T00:00:00Z';
CALL run_job('usage_prune');
CALL run_job('audit_prune');
CALL run_job('job_history_prune');
SELECT (SELECT count(*) FROM audit_logs WHERE action = 'job') AS audit_logs, (SELECT count(*) > 0 FROM usage_records) AS has_records, (SELECT count(*) > 9 FROM job_runs) AS has_runs;
UPDATE system_configs SET config_value = config_value || '{"job_runs": "30 days"}' WHERE config_key = 'retention';
UPDATE system_configs SET config_value = config_value || '{"usage_records": "0 days", "audit_logs": "0 days"}' WHERE config_key = 'retention';
SET claude_gpt.fixed_time = '2028-01-08T00:00:00Z';
CALL run_job('usage_prune');
CALL run_job('audit_prune');
SELECT count(*) AS records FROM usage_records;
SELECT count(*) AS audit_rows FROM audit_logs;
SELECT usage_type, sum(quantity) AS quantity FROM usage_balances GROUP BY 1 ORDER BY 1;
SELECT * FROM prove_books();
SET claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
CALL run_job('partition_upkeep');
SELECT table_name, bool_or(from_at <= '2026-11-22Z') AND bool_or(to_at >= '2026-12-20Z') AS ahead FROM list_partitions() GROUP BY 1 ORDER BY 1;

-- analyze
INSERT INTO audit_logs (action, resource_type, created_at) SELECT 'job', 'x', '2026-11-25Z' FROM generate_series(1, 50);
SELECT pg_stat_force_next_flush();
CALL run_job('analyze');
SELECT reltuples > 0 AS is_analyzed FROM pg_class WHERE oid = 'audit_logs'::regclass;

-- job_history_prune
INSERT INTO job_runs (job_name, engine, started_at, finished_at, outcome) VALUES ('analyze', 'call', '2026-10-01Z', '2026-10-01Z', 'failed'), ('analyze', 'call', '2026-11-01Z', '2026-11-01Z', 'failed');
CALL run_job('job_history_prune');
SELECT started_at AT TIME ZONE 'UTC' AS kept FROM job_runs WHERE job_name = 'analyze' AND outcome = 'failed';

-- errors
CALL run_job('no_such_job');
CALL run_job('analyze', 'worker');
BEGIN;
CALL run_job('analyze');
ROLLBACK;
DO $$ BEGIN CALL claude_gpt.run_job('analyze'); END $$;
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'sessions are sacred' USING ERRCODE = 'ZZ001'; END $$;
CREATE TRIGGER refuse BEFORE DELETE ON user_sessions FOR EACH ROW EXECUTE FUNCTION public.refuse();
INSERT INTO user_sessions (user_id, session_token, expires_at) VALUES ('00000000-0000-4000-8000-000000000001', 'job expired', '2026-01-01Z');
CALL run_job('session_cleanup');
SELECT * FROM pg_temp.last_run('session_cleanup');
SELECT failures_in_a_row, next_run_at AT TIME ZONE 'UTC' AS next_run_at FROM jobs WHERE name = 'session_cleanup';
-- it fails beside another, which runs
UPDATE jobs SET enabled = name IN ('session_cleanup', 'job_history_prune'), next_run_at = '2026-11-22 09:00:00Z';
INSERT INTO job_runs (job_name, engine, started_at, finished_at, outcome) VALUES ('analyze', 'call', '2026-10-01Z', '2026-10-01Z', 'failed');
CALL run_due_jobs();
SELECT * FROM pg_temp.last_run('job_history_prune');
SELECT name, failures_in_a_row, next_run_at AT TIME ZONE 'UTC' AS next_run_at FROM jobs WHERE enabled ORDER BY name;
DROP TRIGGER refuse ON user_sessions;
DROP FUNCTION public.refuse();
CALL run_job('session_cleanup');
SELECT failures_in_a_row FROM jobs WHERE name = 'session_cleanup';
-- a run that a crash left behind
INSERT INTO job_runs (job_name, engine, started_at) VALUES ('session_cleanup', 'worker', '2026-11-22 09:59:59Z');
CALL run_job('analyze');
SELECT outcome, sqlstate, message FROM job_runs WHERE job_name = 'session_cleanup' AND started_at = '2026-11-22 09:59:59Z';
-- no write, no run; another isolation level is none of its business
SET default_transaction_read_only = on;
CALL run_job('analyze');
RESET default_transaction_read_only;
SET default_transaction_isolation = 'serializable';
CALL run_job('session_cleanup');
SELECT outcome FROM pg_temp.last_run('session_cleanup');
RESET default_transaction_isolation;

-- as it was
DELETE FROM users WHERE email LIKE 'job%';
TRUNCATE audit_logs, job_runs;
UPDATE jobs SET enabled = true, failures_in_a_row = 0;
UPDATE system_configs SET config_value = '{"audit_logs": "30 days", "usage_records": null, "usage_reservations": "7 days", "user_sessions": "0 days", "job_runs": "30 days"}' WHERE config_key = 'retention';
UPDATE system_configs SET config_value = '{"base": {"models": ["gpt-3.5-turbo", "gpt-4"], "messagesPerMonth": 100}, "free": {"models": ["gpt-3.5-turbo"], "messagesPerMonth": 10}, "pro": {"models": ["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"], "messagesPerMonth": -1}}'
WHERE config_key = 'subscription_plans';
