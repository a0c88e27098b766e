-- Topic jobs: what the database does by itself, when, and who asks for it.

-- Levels: operator monitor
CREATE FUNCTION claude_gpt_internal.job_looks() RETURNS TABLE (
    name text,
    looked_at timestamptz,
    due_at timestamptz,
    lateness_seconds bigint
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_job_looks';
COMMENT ON FUNCTION claude_gpt_internal.job_looks() IS
'When each job was last looked at with nothing to do, when it is due next, and for how many seconds it has been due. Looks are kept in shared memory, since the server started, so that an idle database writes nothing; looked_at is NULL if there was none, or the library is not preloaded. Part of the view job_status. Errors: 55000 the tables are missing or older than the code.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.validate_job() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_validate_job';
COMMENT ON FUNCTION claude_gpt_internal.validate_job() IS
'Trigger function of jobs: refuses names that are no job, engines other than "worker" and "pg_cron", a run_every outside of 1 second to 366 days or with months or years, a timeout outside of 1 second to 7 days, and an infinite next_run_at. Errors: 22023; 39P01 if not called before a row is written.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.look_at_changed_jobs() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_look_at_changed_jobs';
COMMENT ON FUNCTION claude_gpt_internal.look_at_changed_jobs() IS
'Trigger function of jobs: once the change is committed, a worker visits this database. Does nothing if the library is not preloaded. Errors: 39P01 if not called after the event.';

-- Names in the schema cron are believed only once pg_extension has pg_cron: elsewhere they are anybody's who may create
-- a schema.
-- Levels: none
CREATE FUNCTION claude_gpt_internal.cron_schedule(p_run_every interval, p_minute integer) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN i.minutes < 2 THEN '* * * * *'
        WHEN i.minutes < 60 THEN
            (SELECT format('%s-59/%s * * * *', p_minute % n, n)
             FROM unnest(ARRAY[30, 20, 15, 12, 10, 6, 5, 4, 3, 2]) AS n WHERE n <= i.minutes ORDER BY n DESC LIMIT 1)
        WHEN i.minutes < 120 THEN format('%s * * * *', p_minute)
        WHEN i.minutes < 1440 THEN
            (SELECT format('%s %s-23/%s * * *', p_minute, 2 % n, n)
             FROM unnest(ARRAY[12, 8, 6, 4, 3, 2]) AS n WHERE n * 60 <= i.minutes ORDER BY n DESC LIMIT 1)
        WHEN i.minutes < 7 * 1440 THEN format('%s 2 * * *', p_minute)
        ELSE format('%s 2 * * 0', p_minute)
    END
    FROM (SELECT extract(epoch FROM p_run_every) / 60 AS minutes) AS i
$$;
COMMENT ON FUNCTION claude_gpt_internal.cron_schedule(interval, integer) IS
'The schedule of cron that comes nearest to an interval without being longer: every minute (also for less) to every 30 minutes, every hour to every 12 hours, daily or weekly at two. p_minute is the minute of the hour. Part of schedule_with_pg_cron.';

-- pg_cron 1.4 keeps 63 bytes of a name.
-- Levels: none
CREATE FUNCTION claude_gpt_internal.cron_entry_name(p_job text, p_database name) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('claude_gpt %s %s', p_job, CASE WHEN octet_length(p_database::text) > 32 THEN md5(p_database::text) ELSE p_database::text END)
$$;
COMMENT ON FUNCTION claude_gpt_internal.cron_entry_name(text, name) IS
'The name of the entry of pg_cron for a job of a database, with the MD5 of a database name that is longer than 32 bytes. Part of schedule_with_pg_cron.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.require_pg_cron(p_call text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- No row where pg_cron is not preloaded, nor for who may not see the setting.
    home CONSTANT text := (SELECT s.setting FROM pg_settings AS s WHERE s.name = 'cron.database_name');
    is_installed CONSTANT boolean := EXISTS (SELECT FROM pg_extension AS e WHERE e.extname = 'pg_cron');
BEGIN
    IF is_installed AND COALESCE(home, current_database()) = current_database() THEN
        RETURN;
    END IF;
    RAISE object_not_in_prerequisite_state USING
        MESSAGE = format('pg_cron does not read its entries from database "%s"', current_database()),
        DETAIL = CASE WHEN home IS NULL THEN 'It is not preloaded, or this role may not see cron.database_name.'
                      WHEN home <> current_database() THEN format('It reads them from database "%s", as cron.database_name says.', home)
                      ELSE 'cron.database_name names this database, but the extension is not created.' END,
        HINT = CASE WHEN home = current_database() THEN 'Run CREATE EXTENSION pg_cron.'
                    ELSE format('In %s: SET claude_gpt.install_tables = off; CREATE EXTENSION claude_gpt; SELECT * FROM %s.',
                                COALESCE(format('database "%s"', home), 'the database that cron.database_name names'), p_call) END;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.require_pg_cron(text) IS
'Raises 55000 unless pg_cron is installed in this database and reads its entries from it. p_call is what the hint proposes to call elsewhere. Part of schedule_with_pg_cron and unschedule_pg_cron.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.hand_jobs_over(p_engine text) RETURNS TABLE (
    name text,
    run_every interval
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_hand_jobs_over';
COMMENT ON FUNCTION claude_gpt_internal.hand_jobs_over(text) IS
'Makes "worker" or "pg_cron" the engine of every job of this database, with the rights of the owner of the table, and returns the jobs with their intervals. Part of schedule_with_pg_cron and unschedule_pg_cron. Errors: 22004 NULL; 22023 no such engine; 55000 the tables are missing or older than the code.';
