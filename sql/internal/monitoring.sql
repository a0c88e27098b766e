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
CREATE FUNCTION claude_gpt_internal.extension_state(
    OUT is_preloaded boolean,
    OUT launcher_runs boolean,
    OUT jobs_are_on boolean,
    OUT applied_migration integer,
    OUT needed_migration integer
)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_extension_state';
COMMENT ON FUNCTION claude_gpt_internal.extension_state() IS
'How the library was loaded, whether the launcher of the workers runs, the setting claude_gpt.jobs of this session, the newest migration of the tables (NULL: there are none), and the one that the library needs. Part of health and metrics. Locks nothing.';

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
CREATE FUNCTION claude_gpt_internal.list_metrics(p_name text, p_is_ready boolean) RETURNS TABLE (
    name text,
    labels jsonb,
    value double precision
)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    state record;
BEGIN
    IF p_is_ready THEN
        PERFORM claude_gpt_internal.require_trusted_tables();
    END IF;
    IF p_name IS NULL OR p_name = 'claude_gpt_info' THEN
        RETURN QUERY SELECT 'claude_gpt_info', jsonb_build_object('version', e.extversion), 1::double precision
            FROM pg_extension AS e WHERE e.extname = 'claude_gpt';
    END IF;

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

    SELECT * INTO state FROM claude_gpt_internal.extension_state();
    IF state.is_preloaded AND (p_name IS NULL OR p_name LIKE 'claude\_gpt\_rate\_limit\_%') THEN
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
    END IF;

    IF p_is_ready AND (p_name IS NULL OR p_name LIKE 'claude\_gpt\_job\_%') THEN
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
    END IF;

    IF p_is_ready AND (p_name IS NULL OR p_name LIKE 'claude\_gpt\_table\_%') THEN
        RETURN QUERY
            SELECT m.name, jsonb_strip_nulls(jsonb_build_object('table', s.table_name, 'part', m.part)), m.value::double precision
            FROM claude_gpt_data.table_sizes AS s
            CROSS JOIN LATERAL (VALUES
                ('claude_gpt_table_size_bytes', 'table', s.table_bytes), ('claude_gpt_table_size_bytes', 'indexes', s.index_bytes),
                ('claude_gpt_table_size_bytes', 'toast', s.toast_bytes), ('claude_gpt_table_rows_estimate', NULL, s.row_estimate),
                ('claude_gpt_table_dead_rows_estimate', NULL, s.dead_row_estimate), ('claude_gpt_table_partitions', NULL, s.partition_count)
            ) AS m (name, part, value)
            WHERE p_name IS NULL OR m.name = p_name;
    END IF;

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
'What metrics returns; of the tables only where p_is_ready says that they are as the code needs them. Part of metrics. Errors: 42501 a superuser with p_is_ready, where the owner of the tables is none.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_health(p_is_ready boolean) RETURNS TABLE (
    check_name text,
    status text,
    detail text,
    hint text
)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    state CONSTANT record := claude_gpt_internal.extension_state();
    has_tables CONSTANT boolean := state.applied_migration IS NOT NULL;
    is_standby CONSTANT boolean := pg_is_in_recovery();
    late_after CONSTANT integer := 600;  -- seconds
    has_work_for_workers boolean := true;
    usage numeric;
    found record;
    names text;
BEGIN
    IF p_is_ready THEN
        PERFORM claude_gpt_internal.require_trusted_tables();
    END IF;
    check_name := 'preload';
    status := 'ok'; detail := 'the library is preloaded'; hint := NULL;
    IF NOT state.is_preloaded THEN
        status := 'critical';
        detail := 'the library is not preloaded: no rate limits, no workers, no counters';
        hint := 'Add claude_gpt to shared_preload_libraries and restart the server.';
    END IF;
    RETURN NEXT;

    check_name := 'migrations';
    status := 'ok'; detail := format('the tables have migration %s, the newest', state.applied_migration); hint := NULL;
    IF NOT has_tables THEN
        status := 'critical'; detail := 'there are no tables'; hint := 'Run CALL claude_gpt.migrate().';
    ELSIF state.applied_migration < state.needed_migration THEN
        status := 'critical';
        detail := format('the tables have migration %s, the library needs %s', state.applied_migration, state.needed_migration);
        hint := 'Run ALTER EXTENSION claude_gpt UPDATE, or where that changes nothing CALL claude_gpt.migrate().';
    ELSIF state.applied_migration > state.needed_migration THEN
        status := 'warning';
        detail := format('the tables have migration %s, this library knows none after %s', state.applied_migration, state.needed_migration);
        hint := 'An older library is installed, or the server was not restarted after an upgrade: install the newer one and restart.';
    END IF;
    RETURN NEXT;

    IF has_tables THEN
        check_name := 'owner';
        SELECT r.rolname, claude_gpt_internal.is_superuser(r.oid) AS is_superuser INTO found FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner WHERE c.oid = to_regclass('claude_gpt_data.users');
        status := 'ok'; detail := format('role "%s" owns the tables', found.rolname); hint := NULL;
        IF found.is_superuser THEN
            status := 'warning';
            detail := format('role "%s", which is a superuser or may become one, owns the tables: whatever is attached to them runs with its rights', found.rolname);
            hint := 'SELECT claude_gpt.set_owner(''role'') hands them over.';
        END IF;
        -- A view or partition of somebody else runs his code with the rights of that owner.
        SELECT string_agg(format('%s belongs to "%s"', o.name, o.owner), ', ' ORDER BY o.name) INTO names
        FROM (SELECT c.oid::regclass::text AS name, pg_get_userbyid(c.relowner) AS owner
              FROM claude_gpt_internal.own_relations() AS r JOIN pg_class AS c ON c.oid = r
              UNION ALL
              SELECT format('schema %s', n.nspname), pg_get_userbyid(n.nspowner) FROM pg_namespace AS n
              WHERE n.nspname IN ('claude_gpt_data', 'claude_gpt_partitions')) AS o
        WHERE o.owner <> found.rolname;
        IF names IS NOT NULL THEN
            status := 'critical';
            detail := format('role "%s" owns the tables, but %s', found.rolname, names);
            hint := format('SELECT claude_gpt.set_owner(%L) makes all of them one role''s.', quote_ident(found.rolname));
        END IF;
        RETURN NEXT;

        check_name := 'objects_of_others'; SELECT c.status, c.detail, c.hint INTO status, detail, hint FROM claude_gpt_internal.check_objects_of_others() AS c; RETURN NEXT;

        check_name := 'subscriptions'; SELECT c.status, c.detail, c.hint INTO status, detail, hint FROM claude_gpt_internal.check_subscriptions() AS c; RETURN NEXT;

        -- Statements with that schema in their search_path find these before what they mean.
        check_name := 'functions_beside_tables';
        status := 'ok'; detail := 'no function or operator lies beside the tables, but those of triggers'; hint := NULL;
        SELECT string_agg(f.name, ', ' ORDER BY f.name) INTO names
        FROM (SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p
              WHERE p.pronamespace IN (to_regnamespace('claude_gpt_data'), to_regnamespace('claude_gpt_partitions'))
                AND NOT EXISTS (SELECT FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid
                                WHERE g.tgfoid = p.oid AND c.relnamespace IN (to_regnamespace('claude_gpt_data'), to_regnamespace('claude_gpt_partitions')))
              UNION ALL
              SELECT format('operator %s', o.oid::regoperator) FROM pg_operator AS o
              WHERE o.oprnamespace IN (to_regnamespace('claude_gpt_data'), to_regnamespace('claude_gpt_partitions'))) AS f;
        IF names IS NOT NULL THEN
            status := 'warning';
            detail := format('beside the tables: %s', names);
            hint := 'A statement whose search_path has claude_gpt_data may run them instead of what it means: see who made them, and move them to another schema.';
        END IF;
        RETURN NEXT;
    END IF;

    check_name := 'session_settings'; SELECT c.status, c.detail, c.hint INTO status, detail, hint FROM claude_gpt_internal.check_session_settings() AS c; RETURN NEXT;

    check_name := 'create_rights';
    status := 'ok'; detail := 'only superusers create in the schemas of the code'; hint := NULL;
    SELECT string_agg(format('%s in %s', a.role, a.nspname), ', ' ORDER BY a.role, a.nspname) INTO names
    FROM (SELECT n.nspname, quote_ident(r.rolname) AS role FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner AND NOT claude_gpt_internal.is_superuser(r.oid)
          WHERE n.nspname IN ('claude_gpt', 'claude_gpt_internal')
          UNION
          SELECT n.nspname, COALESCE(quote_ident(r.rolname), 'everybody') FROM pg_namespace AS n
          CROSS JOIN LATERAL aclexplode(n.nspacl) AS x LEFT JOIN pg_roles AS r ON r.oid = x.grantee
          WHERE n.nspname IN ('claude_gpt', 'claude_gpt_internal') AND x.privilege_type = 'CREATE' AND NOT claude_gpt_internal.is_superuser(x.grantee)) AS a;
    IF names IS NOT NULL THEN
        status := 'critical';
        detail := format('may create functions that a call takes for those of claude_gpt: %s', names);
        hint := 'REVOKE CREATE ON SCHEMA takes the right; a schema that belongs to another role goes to a superuser by ALTER SCHEMA ... OWNER TO.';
    END IF;
    RETURN NEXT;

    IF p_is_ready THEN
        has_work_for_workers := EXISTS (SELECT FROM claude_gpt_data.jobs AS j WHERE j.enabled AND j.engine = 'worker');
    END IF;
    check_name := 'workers';
    status := 'ok'; detail := 'workers visit this database'; hint := NULL;
    IF is_standby THEN
        detail := 'a standby: workers begin when it is promoted';
    ELSIF NOT has_work_for_workers THEN
        detail := 'no job is enabled for the workers';
    ELSIF NOT state.is_preloaded THEN
        status := 'warning'; detail := 'the library is not preloaded: somebody else has to call run_due_jobs';
        hint := 'Add claude_gpt to shared_preload_libraries, or see schedule_with_pg_cron.';
    ELSIF NOT state.launcher_runs THEN
        status := 'critical'; detail := 'the launcher does not run';
        hint := 'See the server''s log; raise max_worker_processes if it is used up.';
    ELSIF NOT state.jobs_are_on THEN
        status := 'warning'; detail := 'claude_gpt.jobs is off: no worker runs jobs here';
        hint := 'Set claude_gpt.jobs to on for this database or the server.';
    END IF;
    RETURN NEXT;

    IF p_is_ready THEN
        check_name := 'jobs';
        status := 'ok'; detail := 'no job is late or failing'; hint := NULL;
        IF NOT is_standby THEN
            SELECT count(*) FILTER (WHERE j.failures_in_a_row > 0) AS failing,
                   count(*) FILTER (WHERE j.failures_in_a_row >= 3 OR j.lateness_seconds > 10 * late_after) AS bad,
                   count(*) FILTER (WHERE j.failures_in_a_row > 0 OR j.lateness_seconds > late_after) AS troubled,
                   string_agg(format('%s %s', j.name, CASE WHEN j.failures_in_a_row > 0
                       THEN format('failed %s times in a row: %s (%s)', j.failures_in_a_row, j.last_message, j.last_sqlstate)
                       ELSE format('is late by %s', justify_interval(make_interval(secs => j.lateness_seconds))) END), '; ' ORDER BY j.name)
                       FILTER (WHERE j.failures_in_a_row > 0 OR j.lateness_seconds > late_after) AS troubles
            INTO found FROM claude_gpt_data.job_status AS j WHERE j.enabled;
            IF found.troubled > 0 THEN
                status := CASE WHEN found.bad > 0 THEN 'critical' ELSE 'warning' END;
                detail := found.troubles;
                hint := CASE WHEN found.failing > 0 THEN 'See claude_gpt_data.job_runs, mend the cause, then CALL claude_gpt.run_job(name).'
                             ELSE 'See whether workers or pg_cron run, and whether another job takes long (claude_gpt_data.job_runs).' END;
            END IF;
        END IF;
        RETURN NEXT;

        -- Of messages the running period stays there.
        check_name := 'default_partitions';
        status := 'ok'; detail := 'no row waits in a DEFAULT partition'; hint := NULL;
        SELECT string_agg(format('%s holds about %s rows', p.partition_name, n.row_count), '; ' ORDER BY p.partition_name) INTO names
        FROM claude_gpt.list_partitions() AS p
        JOIN pg_class AS c ON c.relname = p.partition_name AND c.relnamespace = to_regnamespace('claude_gpt_partitions')
        CROSS JOIN LATERAL (SELECT GREATEST(pg_stat_get_live_tuples(c.oid), p.row_estimate)) AS n (row_count)
        WHERE p.is_default AND p.table_name <> 'messages' AND n.row_count > 0;
        IF names IS NOT NULL THEN
            status := 'warning'; detail := names;
            hint := 'CALL claude_gpt.run_job(''partition_upkeep'') gives them partitions of their own.';
        END IF;
        RETURN NEXT;

        check_name := 'next_partitions';
        status := 'ok'; detail := 'every partitioned table has a partition for tomorrow'; hint := NULL;
        SELECT string_agg(p.table_name, ', ' ORDER BY p.table_name) INTO names
        FROM (SELECT l.table_name FROM claude_gpt.list_partitions() AS l WHERE l.table_name <> 'messages'
              GROUP BY l.table_name
              HAVING NOT COALESCE(bool_or(NOT l.is_default AND COALESCE(l.to_at, 'infinity') >= now() + interval '1 day'), false)) AS p;
        IF names IS NOT NULL THEN
            status := 'warning'; detail := format('no partition for tomorrow: %s', names);
            hint := 'CALL claude_gpt.run_job(''partition_upkeep''), and see why it has not run.';
        END IF;
        RETURN NEXT;
    END IF;

    IF has_tables THEN
        check_name := 'indexes';
        status := 'ok'; detail := 'every index is valid'; hint := NULL;
        SELECT string_agg(i.indexrelid::regclass::text, ', ' ORDER BY i.indexrelid::regclass::text) INTO names
        FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid
        WHERE t.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND NOT (i.indisvalid AND i.indisready)
          -- Whoever builds it holds such a lock.
          AND NOT EXISTS (SELECT FROM pg_locks AS l WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock'
                          AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()));
        IF names IS NOT NULL THEN
            status := 'warning'; detail := format('not valid: %s', names);
            hint := 'REINDEX INDEX CONCURRENTLY makes it valid; one whose name ends in _ccnew or _ccold is to be dropped.';
        END IF;
        RETURN NEXT;

        check_name := 'triggers';
        status := 'ok'; detail := 'every trigger of claude_gpt is enabled'; hint := NULL;
        SELECT string_agg(format('%s on %s', g.tgname, c.relname), ', ' ORDER BY c.relname, g.tgname) INTO names
        FROM pg_trigger AS g
        JOIN pg_class AS c ON c.oid = g.tgrelid AND c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace)
        JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = g.tgfoid AND d.deptype = 'e'
            AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT e.oid FROM pg_extension AS e WHERE e.extname = 'claude_gpt')
        WHERE g.tgenabled IN ('D', 'R');
        IF names IS NOT NULL THEN
            status := 'critical'; detail := format('disabled: %s', names);
            hint := 'Rules and counters are not kept meanwhile: CALL claude_gpt.migrate() enables them, prove_books() says what has come apart.';
        END IF;
        RETURN NEXT;

        check_name := 'wraparound';
        SELECT c.oid::regclass::text AS name, age(c.relfrozenxid) AS xids INTO found FROM pg_class AS c
        WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind = 'r' ORDER BY age(c.relfrozenxid) DESC LIMIT 1;
        SELECT GREATEST(found.xids, age(d.datfrozenxid)) AS xids, mxid_age(d.datminmxid) AS multis, found.name AS name INTO found
        FROM pg_database AS d WHERE d.datname = current_database();
        status := CASE WHEN GREATEST(found.xids, found.multis) >= 1600000000 THEN 'critical'
                       WHEN GREATEST(found.xids, found.multis) >= 1000000000 THEN 'warning' ELSE 'ok' END;
        detail := format('the oldest transaction number is %s million old, the oldest multixact %s million; the oldest table of claude_gpt is %s',
                         found.xids / 1000000, found.multis / 1000000, found.name);
        hint := CASE WHEN status <> 'ok' THEN 'VACUUM (FREEZE) the oldest tables; look for old transactions, prepared transactions and replication slots, which hold it back.' END;
        RETURN NEXT;
    END IF;

    IF p_is_ready AND NOT is_standby THEN
        check_name := 'books';
        SELECT * INTO found FROM claude_gpt_internal.prove_recent_books(5, '20 milliseconds');
        status := 'ok'; detail := format('the books of %s recently active users prove', found.user_count); hint := NULL;
        IF found.difference_count > 0 THEN
            status := 'critical';
            detail := format('%s differences in the books of %s recently active users, the first of user "%s"', found.difference_count, found.user_count, found.example);
            hint := 'SELECT * FROM claude_gpt.prove_books() shows all; find the cause, then repair_books().';
        END IF;
        RETURN NEXT;
    END IF;

    IF p_is_ready THEN
        check_name := 'configuration';
        status := 'ok'; detail := 'no configuration stops or hides usage'; hint := NULL;
        SELECT string_agg(CASE c.config_key WHEN 'maintenance_mode' THEN 'maintenance_mode is on: every call that asks for quota is denied'
                                            ELSE 'usage_ledger is off: usage is counted, but not recorded' END, '; ' ORDER BY c.config_key) INTO names
        FROM claude_gpt_data.system_configs AS c
        WHERE c.is_active AND (c.config_key = 'maintenance_mode' AND c.config_value = 'true' OR c.config_key = 'usage_ledger' AND c.config_value = 'false');
        IF names IS NOT NULL THEN
            status := 'warning'; detail := names; hint := 'See claude_gpt_data.system_configs.';
        END IF;
        RETURN NEXT;
    END IF;

    IF p_is_ready THEN
        -- What replication or a restore brought past the trigger. Only of late, so that it takes milliseconds.
        check_name := 'plans';
        status := 'ok'; hint := NULL;
        SELECT count(*) AS users, count(*) FILTER (WHERE r.is_lost) AS lost,
               min(r.tier) FILTER (WHERE r.is_lost) AS tier, min(r.id::text) FILTER (WHERE r.is_lost) AS example
        INTO found
        FROM (SELECT l.id, l.subscription_tier AS tier,
                     ((SELECT c.config_value FROM claude_gpt_data.system_configs AS c WHERE c.config_key = 'subscription_plans' AND c.is_active)
                      -> l.subscription_tier::text) IS NULL AS is_lost
              FROM (SELECT u.id, u.subscription_tier FROM claude_gpt_data.users AS u
                    WHERE u.last_active_on IS NOT NULL ORDER BY u.last_active_on DESC LIMIT 1000) AS l) AS r;
        detail := format('the plans of %s recently active users are configured', found.users);
        IF found.lost > 0 THEN
            status := 'critical';
            detail := format('of %s recently active users, %s have a plan that is not configured, such as "%s" of user "%s"',
                             found.users, found.lost, found.tier, found.example);
            hint := 'Their calls are refused: add the plan to the configuration "subscription_plans", or give them another with set_subscription.';
        END IF;
        RETURN NEXT;
    END IF;

    IF state.is_preloaded THEN
        check_name := 'rate_limits';
        status := 'ok'; hint := NULL;
        -- The share that is fullest.
        SELECT s.slots_in_use::numeric / s.slots AS used, s.database_slots_in_use::numeric / s.slots AS own, s.periods, s.denied_because_full AS denied
        INTO found FROM claude_gpt.rate_limit_shares() AS s ORDER BY 1 DESC LIMIT 1;
        detail := format('%s%% of the memory for rate limits is in use', round(100 * found.used));
        IF found.used > 0.66 THEN
            status := 'warning';
            detail := format('%s%% of the memory for rate limits%s is in use, %s%% by this database; %s calls were denied for want of a place',
                round(100 * found.used), CASE WHEN found.periods = 'long' THEN ' with periods over 15 minutes' ELSE '' END,
                round(100 * found.own), found.denied);
            hint := 'Raise claude_gpt.rate_limit_memory and restart; after a flood of keys, reset_rate_limits() empties it.';
        END IF;
        RETURN NEXT;
    END IF;

    check_name := 'notifications';
    usage := pg_notification_queue_usage()::numeric;
    status := CASE WHEN usage >= 0.9 THEN 'critical' WHEN usage >= 0.5 THEN 'warning' ELSE 'ok' END;
    detail := format('%s%% of the queue of notifications is in use', round(100 * usage));
    hint := CASE WHEN status <> 'ok' THEN 'A session listens, but does not read: the server''s log names its process.' END;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_health(boolean) IS
'What health returns; of the tables only where p_is_ready says that they are as the code needs them. Part of health and metrics. Errors: 42501 a superuser with p_is_ready, where the owner of the tables is none.';
