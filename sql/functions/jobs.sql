-- Topic jobs: what the database does by itself, when, and who asks for it.

-- Levels: operator
CREATE PROCEDURE claude_gpt.run_job(p_name text, p_engine text DEFAULT 'call')
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_run_job';
COMMENT ON PROCEDURE claude_gpt.run_job(text, text) IS
'Runs a job now, whether or not it is due or enabled; the table jobs has their names. Works in batches with a commit each, rests between them as claude_gpt.job_duty_cycle says, waits for a lock no longer than a quarter of a second at a time, and leaves a row in job_runs. Waits for another job that runs in this database; if this very job is running, that run will do, and a NOTICE says so. For pg_cron it waits five seconds at most, then leaves it to the next time. p_engine is "call", or "pg_cron" in its schedules: then nothing is recorded where nothing is to do, a job that is not enabled is left alone, and the workers leave the job to pg_cron from then on; the run ends when claude_gpt.max_job_time has passed, and its session with it (57P01) where code of the owner of the tables does not let it end. Works with the rights of the owner of the tables. Errors: 22004 NULL; 22023 another engine; P0002 no such job; 2D000 inside a transaction block or a function; 57014 the time-out of the job; 55P03 a lock was not to be had in twenty tries within twenty seconds; 55000 the tables are missing or older than the code; and any error of the job, after it was recorded. Locks: a lock of its own on the extension (pg_locks: object, objsubid 1) for the session; rows of a batch until its commit.';

-- Levels: operator
CREATE PROCEDURE claude_gpt.run_due_jobs()
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_run_due_jobs';
COMMENT ON PROCEDURE claude_gpt.run_due_jobs() IS
'Runs every job that is enabled and due, the oldest first, as a worker would: for servers that do not preload the library, by hand or from any scheduler. A job that fails is recorded and told by a WARNING; the others go on. If another session runs jobs, a NOTICE says so and nothing is done. Errors: 2D000 inside a transaction block or a function; 55000 the tables are missing or older than the code. Locks: as run_job.';

-- Levels: none
CREATE FUNCTION claude_gpt.schedule_with_pg_cron(p_database name DEFAULT current_database(), p_reindex boolean DEFAULT false)
    RETURNS TABLE (job_name text, schedule text, command text, active boolean)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- As an install has them, for a database that cannot be asked from here.
    intervals jsonb := jsonb '@job_intervals@';
    is_here CONSTANT boolean := p_database = current_database();
    first_minute CONSTANT integer := ('x' || left(md5(p_database::text), 4))::bit(16)::integer;
    job_names text[];
BEGIN
    IF p_database IS NULL OR p_reindex IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_database and p_reindex must not be null';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_database AS d WHERE d.datname = p_database) THEN
        RAISE invalid_catalog_name USING MESSAGE = format('database "%s" does not exist', p_database);
    END IF;
    PERFORM claude_gpt_internal.require_pg_cron(format('claude_gpt.schedule_with_pg_cron(%L)', p_database));
    IF is_here AND to_regclass('claude_gpt_data.jobs') IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'the tables of claude_gpt are not installed',
            HINT = 'Name the database that has them, or run CALL claude_gpt.migrate().';
    END IF;
    IF is_here THEN
        SELECT COALESCE(jsonb_object_agg(j.name, j.run_every), '{}') INTO intervals FROM claude_gpt_internal.hand_jobs_over('pg_cron') AS j
        WHERE intervals ? j.name;  -- what the owner of the tables has put there beside is no job
    END IF;
    SELECT array_agg(k) INTO job_names FROM jsonb_object_keys(intervals || '{"reindex": null, "reindex_partitions": null}') AS k;

    -- What is not wanted, another role's, and what scheduling anew would leave as it is. Made anew, an entry connects to where
    -- cron.host says now (NULL: who may not see it).
    EXECUTE 'SELECT count(cron.unschedule(c.jobid)) FROM cron.job AS c, split_part(c.jobname::text, '' '', 2) AS s (job)'
            ' WHERE c.jobname::text = claude_gpt_internal.cron_entry_name(s.job, $1)'
            ' AND NOT (s.job = ANY ($2) AND c.database = $1 AND c.username = current_user AND c.active = (s.job NOT LIKE ''reindex%'' OR $3)'
            ' AND c.nodename = COALESCE((SELECT g.setting FROM pg_settings AS g WHERE g.name = ''cron.host''), c.nodename)'
            ' AND c.nodeport = current_setting(''port'')::integer)'
        USING p_database, job_names, p_reindex;

    FOR job_name, schedule, command, active IN
        -- A month may begin at any quarter of an hour.
        SELECT i.job, CASE WHEN i.job = ANY ('{@jobs_of_months@}') THEN claude_gpt_internal.cron_schedule(least(i.run_every, '15 minutes'), 0)
                                 ELSE claude_gpt_internal.cron_schedule(i.run_every, (first_minute + 7 * i.position::integer) % 60) END,
               format('CALL claude_gpt.run_job(%L, %L)', i.job, 'pg_cron'), true
        FROM (SELECT e.key AS job, e.value::interval AS run_every, row_number() OVER (ORDER BY e.key) AS position
              FROM jsonb_each_text(intervals) AS e) AS i
        UNION ALL
        SELECT r.job, format('%s %s * * *', first_minute % 60, r.hour), format('REINDEX SCHEMA CONCURRENTLY %s', r.schema), p_reindex
        FROM (VALUES ('reindex', 3, 'claude_gpt_data'), ('reindex_partitions', 4, 'claude_gpt_partitions')) AS r (job, hour, schema)
    LOOP
        EXECUTE 'SELECT cron.schedule_in_database($1, $2, $3, $4, NULL, $5) WHERE NOT EXISTS (SELECT FROM cron.job AS c'
                ' WHERE c.jobname::text = $1 AND c.username = current_user AND c.schedule = $2 AND c.command = $3)'
            USING claude_gpt_internal.cron_entry_name(job_name, p_database), schedule, command, p_database::text, active;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt.schedule_with_pg_cron(name, boolean) IS
'Hands the jobs of a database over to pg_cron (1.4 or later): an entry "claude_gpt <job> <database>" for each, which calls run_job, and a nightly REINDEX SCHEMA CONCURRENTLY for each data schema, which is active only with p_reindex. To be called where pg_cron is installed (cron.database_name), for that database or another. The workers leave the jobs of this database to pg_cron once it commits, those of another from the first run of each on. Schedules are the nearest of cron that are not longer than run_every, of another database than the run_every of an install, and at least every minute; times are those of cron.timezone (1.4: GMT); monthly_reset runs every quarter of an hour, since a month begins at midnight of billing_timezone. Called again it changes what differs, as after a change of run_every, cron.host or p_reindex, and takes over the entries of other roles that the caller sees: a superuser all. The entries run as the caller, who must be able to log in as pg_cron does it, and needs EXECUTE on run_job in that database; REINDEX needs the owner of the schema claude_gpt, a superuser, or pg_maintain (17 or later), and an interrupted one leaves an invalid index behind. The caller needs USAGE on the schema cron, EXECUTE on cron.schedule_in_database, and here UPDATE on jobs. Errors: 22004 NULL; 3D000 no such database; 55000 pg_cron does not read its entries from this database, or the tables are missing in it; 42501 a right is missing; and any error of pg_cron.';

-- Levels: none
CREATE FUNCTION claude_gpt.unschedule_pg_cron(p_database name DEFAULT current_database()) RETURNS integer
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_here CONSTANT boolean := p_database = current_database();
    home CONSTANT text := (SELECT s.setting FROM pg_settings AS s WHERE s.name = 'cron.database_name');
    removed integer := 0;
BEGIN
    IF p_database IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_database must not be null';
    END IF;
    IF EXISTS (SELECT FROM pg_extension AS e WHERE e.extname = 'pg_cron') THEN
        EXECUTE 'SELECT count(cron.unschedule(c.jobid))::integer FROM cron.job AS c'
                ' WHERE c.jobname::text = claude_gpt_internal.cron_entry_name(split_part(c.jobname::text, '' '', 2), $1)'
            INTO removed USING p_database;
    ELSIF NOT is_here THEN
        PERFORM claude_gpt_internal.require_pg_cron(format('claude_gpt.unschedule_pg_cron(%L)', p_database));
    ELSIF home <> current_database() THEN
        RAISE NOTICE 'entries of pg_cron for this database, if there are any, are in database "%"', home
            USING HINT = format('There: SELECT claude_gpt.unschedule_pg_cron(%L). Their next run would hand the jobs over again.', p_database);
    END IF;
    IF is_here AND to_regclass('claude_gpt_data.jobs') IS NOT NULL THEN
        PERFORM claude_gpt_internal.hand_jobs_over('worker');
    ELSIF EXISTS (SELECT FROM pg_database AS d WHERE d.datname = p_database AND NOT is_here) THEN
        RAISE NOTICE 'the workers leave the jobs of database "%" alone until they are told', p_database
            USING HINT = 'There, as the owner of the tables or an operator: UPDATE claude_gpt_data.jobs SET engine = ''worker''.';
    END IF;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION claude_gpt.unschedule_pg_cron(name) IS
'Takes back the entries that schedule_with_pg_cron has made for a database, which may be gone, and returns how many there were. The workers run the jobs of this database again once it commits, also where pg_cron has been dropped; for another database a NOTICE says what to do in it. A run of an entry that is taken away goes on, or is stopped where pg_cron uses background workers. Where pg_cron is no longer preloaded, drop its extension first. Errors: 22004 NULL; 55000 another database is named, and pg_cron does not read its entries from this one; 42501 the caller may not take away the entries, or write claude_gpt.jobs; and any error of pg_cron.';
