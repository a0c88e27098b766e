-- Topic monitoring: what is counted, and whether all is well.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.counters() RETURNS TABLE (
    counter text,
    subject text,
    outcome text,
    value bigint,
    since timestamptz
)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_counters';
COMMENT ON FUNCTION claude_gpt_internal.counters() IS
'The cumulative counters of this database as they stand in shared memory; metrics() gives them names. Cost is in units of 10^-9, time in microseconds. since is when they were last zero: the first call, reset_metrics, a crash, or a shutdown that could not write its file. No row where the library is not preloaded. Part of metrics. Locks nothing.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.extension_state(OUT is_preloaded boolean, OUT launcher_runs boolean, OUT jobs_are_on boolean)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_extension_state';
COMMENT ON FUNCTION claude_gpt_internal.extension_state() IS
'How the library was loaded, whether the launcher of the workers runs, and the setting claude_gpt.jobs of the server, as the launcher has it, whatever this session has. Part of health and metrics. Locks nothing.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.synchronous_standbys(OUT wanted integer, OUT present integer, OUT waiting integer)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_synchronous_standbys';
COMMENT ON FUNCTION claude_gpt_internal.synchronous_standbys() IS
'How many standbys have to confirm a commit by synchronous_standby_names (0: none), how many stream that may, and how many sessions of the server wait for that now. Zero on a standby. Part of health. Locks nothing.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.migration_state(OUT applied_migration integer, OUT needed_migration integer)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_migration_state';
COMMENT ON FUNCTION claude_gpt_internal.migration_state() IS
'The newest migration of the tables (NULL: there are none), and the one that the library needs. Part of health and metrics. Errors: 42804 a column of the record of migrations has another type. Locks nothing.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.direct_access() RETURNS TABLE (
    table_name text,
    operation text,
    obstacle text
)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_direct_access';
COMMENT ON FUNCTION claude_gpt_internal.direct_access() IS
'Which tables have their rows read or written without the executor, and what on a table keeps it from that (NULL: nothing). Part of health. Locks: ACCESS SHARE on the tables.';

-- Levels: operator monitor
CREATE FUNCTION claude_gpt_internal.statement_statistics() RETURNS TABLE (
    query text,
    calls bigint,
    total_milliseconds double precision,
    mean_milliseconds double precision,
    max_milliseconds double precision,
    row_count bigint,
    blocks_hit bigint,
    blocks_read bigint
)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- The objects of an extension are its own, whoever may create others beside them.
    source CONSTANT text := (
        SELECT format('%I.pg_stat_statements', n.nspname)
        FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements');
BEGIN
    IF source IS NOT NULL THEN
        RETURN QUERY EXECUTE 'SELECT s.query, s.calls, s.total_exec_time, s.mean_exec_time, s.max_exec_time, s.rows, s.shared_blks_hit, s.shared_blks_read FROM '
            || source || ' AS s WHERE s.dbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.statement_statistics() IS
'What pg_stat_statements knows of this database; no row where that extension is not created. Part of the view slow_queries. Errors: 55000 pg_stat_statements is created but not preloaded.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.counter_metrics(p_name text) RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT m.name, m.labels, m.value
        FROM (
            SELECT 'claude_gpt_decisions_total', jsonb_build_object('function', c.subject, 'outcome',
                       CASE WHEN c.outcome IN ('allowed', 'replayed') THEN c.outcome ELSE 'denied' END), sum(c.value)::double precision
            FROM claude_gpt_internal.counters() AS c WHERE c.counter = 'decisions' GROUP BY 1, 2
            UNION ALL
            SELECT 'claude_gpt_denials_total', jsonb_build_object('function', c.subject, 'reason', c.outcome), c.value
            FROM claude_gpt_internal.counters() AS c WHERE c.counter = 'decisions' AND c.outcome NOT IN ('allowed', 'replayed')
            UNION ALL
            SELECT CASE c.counter WHEN 'usage' THEN 'claude_gpt_usage_total' WHEN 'cost' THEN 'claude_gpt_usage_cost_total'
                       WHEN 'settlements' THEN 'claude_gpt_settlements_total' WHEN 'job_runs' THEN 'claude_gpt_job_runs_total'
                       WHEN 'job_rows' THEN 'claude_gpt_job_rows_total' ELSE 'claude_gpt_job_seconds_total' END,
                   jsonb_strip_nulls(jsonb_build_object(
                       'type', CASE WHEN c.counter = 'usage' THEN c.subject END,
                       'job', CASE WHEN c.counter LIKE 'job%' THEN c.subject END,
                       'outcome', c.outcome)),
                   c.value / CASE c.counter WHEN 'cost' THEN 1e9 WHEN 'job_microseconds' THEN 1e6 ELSE 1 END
            FROM claude_gpt_internal.counters() AS c WHERE c.counter <> 'decisions'
            UNION ALL
            (SELECT 'claude_gpt_counters_since_timestamp_seconds', '{}', extract(epoch FROM c.since) FROM claude_gpt_internal.counters() AS c LIMIT 1)
        ) AS m (name, labels, value)
        WHERE p_name IS NULL OR m.name = p_name;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.counter_metrics(text) IS
'The counters in shared memory, by the names of metrics. Part of metrics.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.rate_limit_metrics(p_name text) RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT m.name, jsonb_build_object('region', s.region), m.value::double precision
        FROM claude_gpt.rate_limit_status() AS s
        CROSS JOIN LATERAL (VALUES ('claude_gpt_rate_limit_slots', s.slots), ('claude_gpt_rate_limit_slots_in_use', s.slots_in_use),
            ('claude_gpt_rate_limit_no_slot_total', s.denied_because_full)) AS m (name, value)
        WHERE p_name IS NULL OR m.name = p_name;
    RETURN QUERY
        SELECT m.name, jsonb_build_object('region', s.region), m.value::double precision
        FROM claude_gpt.rate_limit_shares() AS s
        CROSS JOIN LATERAL (VALUES
            ('any', 'claude_gpt_rate_limit_database_slots_in_use', s.database_slots_in_use), ('any', 'claude_gpt_rate_limit_evicted_total', s.evicted),
            ('long', 'claude_gpt_rate_limit_long_slots', s.slots), ('long', 'claude_gpt_rate_limit_long_slots_in_use', s.slots_in_use)) AS m (periods, name, value)
        WHERE m.periods = s.periods AND (p_name IS NULL OR m.name = p_name);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.rate_limit_metrics(text) IS
'How full the memory for rate limits is. Part of metrics. Errors: 55000 the library is not preloaded.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.job_metrics(p_name text) RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    RETURN QUERY
        SELECT m.name, jsonb_build_object('job', j.name), m.value::double precision
        FROM claude_gpt_data.job_status AS j
        CROSS JOIN LATERAL (VALUES
            ('claude_gpt_job_enabled', j.enabled::integer::numeric),
            ('claude_gpt_job_lateness_seconds', CASE WHEN j.enabled THEN j.lateness_seconds ELSE 0 END),
            ('claude_gpt_job_failures_in_a_row', j.failures_in_a_row),
            ('claude_gpt_job_last_run_seconds', extract(epoch FROM j.last_finished_at - j.last_started_at)),
            ('claude_gpt_job_last_run_timestamp_seconds', extract(epoch FROM j.last_finished_at))) AS m (name, value)
        WHERE m.value IS NOT NULL AND (p_name IS NULL OR m.name = p_name);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.job_metrics(text) IS
'How the jobs are. Part of metrics. Errors: as require_trusted_tables.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.table_metrics(p_name text) RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    RETURN QUERY
        SELECT m.name, jsonb_strip_nulls(jsonb_build_object('table', s.table_name, 'part', m.part)), m.value::double precision
        FROM claude_gpt_data.table_sizes AS s
        CROSS JOIN LATERAL (VALUES
            ('claude_gpt_table_size_bytes', 'table', s.table_bytes), ('claude_gpt_table_size_bytes', 'indexes', s.index_bytes),
            ('claude_gpt_table_size_bytes', 'toast', s.toast_bytes), ('claude_gpt_table_rows_estimate', NULL, s.row_estimate),
            ('claude_gpt_table_dead_rows_estimate', NULL, s.dead_row_estimate), ('claude_gpt_table_partitions', NULL, s.partition_count)
        ) AS m (name, part, value)
        WHERE p_name IS NULL OR m.name = p_name;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.table_metrics(text) IS
'How large the tables are. Part of metrics. Errors: as require_trusted_tables.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.list_metrics(p_name text, p_is_ready boolean) RETURNS TABLE (
    name text,
    labels jsonb,
    value double precision
)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_readable CONSTANT boolean := p_is_ready AND claude_gpt_internal.tables_are_readable();
    is_preloaded CONSTANT boolean := (SELECT s.is_preloaded FROM claude_gpt_internal.extension_state() AS s);
    part text;
BEGIN
    IF p_is_ready THEN
        PERFORM claude_gpt_internal.require_trusted_tables();
    END IF;
    IF p_name IS NULL OR p_name = 'claude_gpt_info' THEN
        RETURN QUERY SELECT 'claude_gpt_info', jsonb_build_object('version', e.extversion), 1::double precision
            FROM pg_extension AS e WHERE e.extname = 'claude_gpt';
    END IF;
    FOR part IN
        SELECT p.part FROM (VALUES (1, 'counter', '', true), (2, 'rate_limit', 'claude_gpt_rate_limit_', is_preloaded),
            (3, 'job', 'claude_gpt_job_', is_readable), (4, 'table', 'claude_gpt_table_', is_readable)) AS p (position, part, prefix, can_be_read)
        WHERE p.can_be_read AND (p_name IS NULL OR starts_with(p_name, p.prefix)) ORDER BY p.position
    LOOP
        BEGIN
            RETURN QUERY EXECUTE format('SELECT m.name, m.labels, m.value FROM claude_gpt_internal.%I($1) AS m', part || '_metrics') USING p_name;
        EXCEPTION WHEN internal_error THEN
            RAISE;
        WHEN OTHERS THEN
            NULL;  -- claude_gpt_health tells of it
        END;
    END LOOP;
    IF p_name IS NULL OR p_name = 'claude_gpt_notification_queue_usage_ratio' THEN
        RETURN QUERY SELECT 'claude_gpt_notification_queue_usage_ratio', '{}'::jsonb, pg_notification_queue_usage();
    END IF;
    IF p_name IS NULL OR p_name = 'claude_gpt_health' THEN
        RETURN QUERY SELECT 'claude_gpt_health', jsonb_build_object('check', h.check_name),
                            CASE h.status WHEN 'ok' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END::double precision
            FROM claude_gpt_internal.check_health(p_is_ready) AS h;
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.list_metrics(text, boolean) IS
'What metrics returns; of the tables only where p_is_ready says that all of them are one role''s, and what cannot be read is left out. Part of metrics. Errors: 42501 a superuser with p_is_ready, where the owner of the tables is none.';
