-- Topic monitoring: the checks of health. Each says for itself what it found; one that fails is a finding too, and the others go on.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_preload(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    state CONSTANT record := claude_gpt_internal.extension_state();
BEGIN
    status := 'ok'; detail := 'the library is preloaded'; hint := NULL;
    IF NOT state.is_preloaded THEN
        status := 'critical';
        detail := 'the library is not preloaded: no rate limits, no workers, no counters';
        hint := 'Add claude_gpt to shared_preload_libraries and restart the server.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_preload() IS
'Whether the library is preloaded. Part of health.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_migrations(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    state CONSTANT record := claude_gpt_internal.migration_state();
BEGIN
    status := 'ok'; detail := format('the tables have migration %s, the newest', state.applied_migration); hint := NULL;
    IF state.applied_migration IS NULL THEN
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
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_migrations() IS
'Whether the tables are as new as the code. Part of health. Errors: 42804, 55000 the record of migrations cannot be read.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_owner(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
    names text;
BEGIN
    -- Not by a name with the schema, which the owner may not use where it is a stranger's.
    SELECT r.rolname, claude_gpt_internal.is_superuser(r.oid) AS is_superuser INTO found FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
    WHERE c.relnamespace = to_regnamespace('claude_gpt_data') AND c.relname = 'users';
    IF found.rolname IS NULL THEN
        status := 'critical'; detail := 'there is no table users'; hint := 'Run CALL claude_gpt.migrate(), or restore it.';
        RETURN;
    END IF;
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
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_owner() IS
'Whether all relations of claude_gpt are one role''s. Part of health.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_columns(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM claude_gpt_internal.require_column_types();
    status := 'ok'; detail := 'every column has a type that the functions read'; hint := NULL;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_columns() IS
'Whether the functions can read and write all columns that they use. Part of health. Errors: 42804 one has another type.';

-- Statements with that schema in their search_path find these before what they mean.
-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_functions_beside_tables(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
BEGIN
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
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_functions_beside_tables() IS
'Whether functions lie where the tables are. Part of health.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_create_rights(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
BEGIN
    status := 'ok'; detail := 'only superusers create in the schemas of the code'; hint := NULL;
    SELECT string_agg(s.stranger, ', ' ORDER BY s.stranger) INTO names FROM claude_gpt_internal.strangers_in_code() AS s WHERE s.kind = 'role';
    IF names IS NOT NULL THEN
        status := 'critical';
        detail := format('may create functions that a call takes for those of claude_gpt: %s', names);
        hint := 'REVOKE CREATE ON SCHEMA takes the right; a schema that belongs to another role goes to a superuser by ALTER SCHEMA ... OWNER TO.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_create_rights() IS
'Whether a role that is no superuser may create where the functions are. Part of health.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_strange_objects(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
BEGIN
    status := 'ok'; detail := 'nothing lies in the schemas of the code but the extension itself'; hint := NULL;
    SELECT string_agg(s.stranger, ', ' ORDER BY s.stranger) INTO names FROM claude_gpt_internal.strangers_in_code() AS s WHERE s.kind = 'object';
    IF names IS NOT NULL THEN
        status := 'critical';
        detail := format('not of the extension: %s', names);
        hint := 'A call may take one of them for a function of claude_gpt, with the rights of who calls: see who made it, and drop it.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_strange_objects() IS
'Whether somebody has put anything beside the functions. Part of health.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_workers(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    state CONSTANT record := claude_gpt_internal.extension_state();
    has_work boolean := true;
BEGIN
    -- Where the jobs cannot be read, workers are expected.
    IF claude_gpt_internal.tables_are_readable() THEN
        PERFORM claude_gpt_internal.require_trusted_tables();
        has_work := EXISTS (SELECT FROM claude_gpt_data.jobs AS j WHERE j.enabled AND j.engine = 'worker');
    END IF;
    status := 'ok'; detail := 'workers visit this database'; hint := NULL;
    IF pg_is_in_recovery() THEN
        detail := 'a standby: workers begin when it is promoted';
    ELSIF NOT has_work THEN
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
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_workers() IS
'Whether workers visit this database. Part of health. Errors: as require_trusted_tables.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_jobs(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    late_after CONSTANT integer := 600;  -- seconds
    found record;
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    status := 'ok'; detail := 'no job is late or failing'; hint := NULL;
    IF NOT pg_is_in_recovery() THEN
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
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_jobs() IS
'Whether a job is late or failing. Part of health. Errors: as require_trusted_tables.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_default_partitions(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
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
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_default_partitions() IS
'Whether rows wait for partitions; of messages the running period stays there. Part of health. Errors: as require_trusted_tables.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_next_partitions(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    status := 'ok'; detail := 'every partitioned table has a partition for tomorrow'; hint := NULL;
    SELECT string_agg(p.table_name, ', ' ORDER BY p.table_name) INTO names
    FROM (SELECT l.table_name FROM claude_gpt.list_partitions() AS l WHERE l.table_name <> 'messages'
          GROUP BY l.table_name
          HAVING NOT COALESCE(bool_or(NOT l.is_default AND COALESCE(l.to_at, 'infinity') >= now() + interval '1 day'), false)) AS p;
    IF names IS NOT NULL THEN
        status := 'warning'; detail := format('no partition for tomorrow: %s', names);
        hint := 'CALL claude_gpt.run_job(''partition_upkeep''), and see why it has not run.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_next_partitions() IS
'Whether there are partitions for what comes. Part of health. Errors: as require_trusted_tables.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_indexes(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
BEGIN
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
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_indexes() IS
'Whether every index is valid. Part of health.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_triggers(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
BEGIN
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
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_triggers() IS
'Whether every trigger is enabled. Part of health.';

-- As information: both ways do the same, one is faster.
-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_direct_access(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    status := 'ok'; hint := NULL;
    SELECT concat_ws('; ',
        'directly: ' || string_agg(CASE WHEN d.obstacle IS NULL THEN format('%s %s', d.table_name, d.operation) END, ', ' ORDER BY d.table_name, d.operation),
        'by SPI: ' || string_agg(CASE WHEN d.obstacle IS NOT NULL THEN format('%s %s (%s)', d.table_name, d.operation, d.obstacle) END, ', ' ORDER BY d.table_name, d.operation))
    INTO detail FROM claude_gpt_internal.direct_access() AS d;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_direct_access() IS
'Which tables are read and written without the executor, and what keeps others from it; always ok. Part of health.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_wraparound(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
BEGIN
    SELECT c.oid::regclass::text AS name, age(c.relfrozenxid) AS xids INTO found FROM pg_class AS c
    WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind = 'r' ORDER BY age(c.relfrozenxid) DESC LIMIT 1;
    SELECT GREATEST(found.xids, age(d.datfrozenxid)) AS xids, mxid_age(d.datminmxid) AS multis, found.name AS name INTO found
    FROM pg_database AS d WHERE d.datname = current_database();
    status := CASE WHEN GREATEST(found.xids, found.multis) >= 1600000000 THEN 'critical'
                   WHEN GREATEST(found.xids, found.multis) >= 1000000000 THEN 'warning' ELSE 'ok' END;
    detail := format('the oldest transaction number is %s million old, the oldest multixact %s million; the oldest table of claude_gpt is %s',
                     found.xids / 1000000, found.multis / 1000000, found.name);
    hint := CASE WHEN status <> 'ok' THEN 'VACUUM (FREEZE) the oldest tables; look for old transactions, prepared transactions and replication slots, which hold it back.' END;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_wraparound() IS
'How old the oldest transaction numbers are. Part of health.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_books(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    SELECT * INTO found FROM claude_gpt_internal.prove_recent_books(5, '20 milliseconds');
    status := 'ok'; detail := format('the books of %s recently active users prove', found.user_count); hint := NULL;
    IF found.difference_count > 0 THEN
        status := 'critical';
        detail := format('%s differences in the books of %s recently active users, the first of user "%s"', found.difference_count, found.user_count, found.example);
        hint := 'SELECT * FROM claude_gpt.prove_books() shows all; find the cause, then repair_books().';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_books() IS
'Whether the books of some users prove. Part of health. Errors: as require_trusted_tables.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_configuration(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    status := 'ok'; detail := 'no configuration stops or hides usage'; hint := NULL;
    SELECT string_agg(CASE c.config_key WHEN 'maintenance_mode' THEN 'maintenance_mode is on: every call that asks for quota is denied'
                                        ELSE 'usage_ledger is off: usage is counted, but not recorded' END, '; ' ORDER BY c.config_key) INTO names
    FROM claude_gpt_data.system_configs AS c
    WHERE c.is_active AND (c.config_key = 'maintenance_mode' AND c.config_value = 'true' OR c.config_key = 'usage_ledger' AND c.config_value = 'false');
    IF names IS NOT NULL THEN
        status := 'warning'; detail := names; hint := 'See claude_gpt_data.system_configs.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_configuration() IS
'Whether the configuration stops or hides usage. Part of health. Errors: as require_trusted_tables.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_plans(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
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
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_plans() IS
'Whether the plans of some users are configured: what replication or a restore brought past the trigger. Only of late, so that it takes milliseconds. Part of health. Errors: as require_trusted_tables.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_rate_limits(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
BEGIN
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
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_rate_limits() IS
'How full the memory for rate limits is. Part of health. Errors: 55000 the library is not preloaded.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_notifications(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    usage CONSTANT numeric := pg_notification_queue_usage()::numeric;
BEGIN
    status := CASE WHEN usage >= 0.9 THEN 'critical' WHEN usage >= 0.5 THEN 'warning' ELSE 'ok' END;
    detail := format('%s%% of the queue of notifications is in use', round(100 * usage));
    hint := CASE WHEN status <> 'ok' THEN 'A session listens, but does not read: the server''s log names its process.' END;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_notifications() IS
'How full the queue of notifications is. Part of health.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.tables_are_readable() RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT COALESCE(s.applied_migration >= s.needed_migration, false) FROM claude_gpt_internal.migration_state() AS s);
EXCEPTION
    WHEN internal_error THEN
        RAISE;
    WHEN OTHERS THEN
        RETURN false;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.tables_are_readable() IS
'Whether the tables are there, of one role, and as new as the code needs them; false where that cannot be told. Part of health and metrics.';

-- p_is_ready: that no table, view or schema of them is a stranger's.
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
    has_tables CONSTANT boolean := EXISTS (SELECT FROM pg_class AS c WHERE c.relnamespace = to_regnamespace('claude_gpt_data') AND c.relname = 'claude_gpt_migrations');
    is_readable CONSTANT boolean := p_is_ready AND claude_gpt_internal.tables_are_readable();
    is_primary CONSTANT boolean := NOT pg_is_in_recovery();
    is_preloaded CONSTANT boolean := (SELECT s.is_preloaded FROM claude_gpt_internal.extension_state() AS s);
    message text;
    code text;
BEGIN
    IF p_is_ready THEN
        PERFORM claude_gpt_internal.require_trusted_tables();
    END IF;
    FOR check_name IN
        SELECT c.name FROM (VALUES
            (1, 'preload', true), (2, 'migrations', true), (3, 'owner', has_tables), (4, 'columns', has_tables),
            (5, 'objects_of_others', has_tables), (6, 'subscriptions', has_tables), (7, 'functions_beside_tables', has_tables),
            (8, 'session_settings', true), (9, 'create_rights', true), (10, 'strange_objects', true), (11, 'workers', true),
            (12, 'jobs', is_readable), (13, 'default_partitions', is_readable), (14, 'next_partitions', is_readable), (15, 'indexes', has_tables),
            (16, 'triggers', has_tables), (17, 'direct_access', has_tables), (18, 'wraparound', has_tables), (19, 'books', is_readable AND is_primary),
            (20, 'configuration', is_readable), (21, 'plans', is_readable), (22, 'rate_limits', is_preloaded), (23, 'notifications', true)) AS c (position, name, can_run)
        WHERE c.can_run ORDER BY c.position
    LOOP
        BEGIN
            EXECUTE format('SELECT c.status, c.detail, c.hint FROM claude_gpt_internal.%I() AS c', 'check_' || check_name) INTO status, detail, hint;
        -- A monitor wants an answer of what is broken, too; what cannot happen is none.
        EXCEPTION WHEN internal_error THEN
            RAISE;
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            status := 'critical';
            detail := format('%s (SQLSTATE %s)%s', message, code, COALESCE('. ' || NULLIF(detail, ''), ''));
            hint := COALESCE(NULLIF(hint, ''), 'This is an error of the check: docs/errors.md says more. The others do not depend on it.');
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_health(boolean) IS
'What health returns; of the tables only where p_is_ready says that all of them are one role''s. A check that fails is critical, with its error. Part of health and metrics. Errors: 42501 a superuser with p_is_ready, where the owner of the tables is none.';
