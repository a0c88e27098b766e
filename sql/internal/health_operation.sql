-- Topic monitoring: the checks of health that look at work and data: jobs, partitions, books, configuration.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_workers(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    state CONSTANT record := claude_gpt_internal.extension_state();
    bootstrap_superuser CONSTANT oid := oid '10';  -- as whom workers connect
    has_work boolean := true;
    own_setting text;
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
        status := 'warning'; detail := 'claude_gpt.jobs is off on this server: no worker runs jobs';
        hint := 'Set claude_gpt.jobs to on in postgresql.conf, and reload it.';
    ELSE
        -- What a worker starts with; the session that asks may have another value.
        SELECT substr(e.setting, 17) INTO own_setting FROM pg_db_role_setting AS d CROSS JOIN LATERAL unnest(d.setconfig) AS e (setting)
        WHERE d.setdatabase IN (0, (SELECT b.oid FROM pg_database AS b WHERE b.datname = current_database()))
          AND d.setrole IN (0, bootstrap_superuser) AND e.setting ~* '^claude_gpt[.]jobs='
        ORDER BY d.setrole DESC, d.setdatabase DESC LIMIT 1;
        IF NOT COALESCE(own_setting::boolean, true) THEN
            status := 'warning'; detail := 'claude_gpt.jobs is off for this database: no worker runs jobs here';
            hint := format('ALTER DATABASE %I RESET claude_gpt.jobs; see pg_db_role_setting.', current_database());
        END IF;
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

-- What partition_upkeep does not do: it looks at the four weeks to come.
-- Levels: none
CREATE FUNCTION claude_gpt_internal.waiting_periods(p_table text) RETURNS TABLE (from_at timestamptz, to_at timestamptz, can_be_partitioned boolean)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    parent record;
    width text;
BEGIN
    SELECT * INTO parent FROM claude_gpt_internal.partitioned_table(p_table);
    PERFORM claude_gpt_internal.require_owner(parent.relation);
    SELECT c.config_value ->> p_table INTO width FROM claude_gpt_data.system_configs AS c WHERE c.config_key = 'partitions' AND c.is_active;
    width := COALESCE(width, CASE p_table WHEN 'audit_logs' THEN '1 week' ELSE '3 months' END);
    -- Its first blocks alone: what lies in others is found when these are empty.
    RETURN QUERY EXECUTE format($query$
        WITH waiting AS MATERIALIZED (
            SELECT DISTINCT date_trunc('day', %1$I AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS day FROM ONLY %2$s WHERE ctid < '(200,0)'
        ), period AS (
            SELECT DISTINCT p.from_at, p.to_at FROM waiting AS w CROSS JOIN LATERAL claude_gpt_internal.partition_period($1, w.day) AS p
            WHERE w.day >= '0001-01-01Z' AND w.day < '9999-01-01Z'
        ), begun AS (
            SELECT p.*, count(*) FILTER (WHERE p.is_first) OVER (ORDER BY p.from_at) AS island
            FROM (SELECT p.*, p.from_at IS DISTINCT FROM lag(p.to_at) OVER (ORDER BY p.from_at) AS is_first FROM period AS p) AS p
        )
        (SELECT NULL::timestamptz, NULL::timestamptz, false FROM waiting AS w WHERE NOT (w.day >= '0001-01-01Z' AND w.day < '9999-01-01Z') LIMIT 1)
        UNION ALL
        (SELECT min(b.from_at), max(b.to_at), true FROM begun AS b GROUP BY b.island ORDER BY 1)$query$, parent.key_column, parent.default_partition) USING width;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.waiting_periods(text) IS
'The periods of which rows lie in the DEFAULT partition of a table that is partitioned by time, as far as its first two hundred blocks tell, and a row that says false where there are rows which no partition is made for: infinite, or outside of the years 1 to 9998. Part of health. Errors: 42P01 no such table; 22023 the table is not partitioned; 42501 the caller may not change the table, or is a superuser and its owner is none.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_default_partitions(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    filled record;
    calls text;
    has_others boolean;
    is_soon boolean;
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    status := 'ok'; detail := 'no row waits in a DEFAULT partition'; hint := NULL;
    FOR filled IN
        SELECT p.table_name, p.partition_name, n.row_count
        FROM claude_gpt.list_partitions() AS p
        JOIN pg_class AS c ON c.relname = p.partition_name AND c.relnamespace = to_regnamespace('claude_gpt_partitions')
        CROSS JOIN LATERAL (SELECT GREATEST(pg_stat_get_live_tuples(c.oid), p.row_estimate)) AS n (row_count)
        WHERE p.is_default AND p.table_name <> 'messages' AND n.row_count > 0 ORDER BY p.partition_name
    LOOP
        SELECT string_agg(format('CALL claude_gpt.create_partitions(%L, %L, %L)', filled.table_name, to_char(w.from_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"Z"'),
                                 to_char(w.to_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"Z"')), '; ' ORDER BY w.from_at) FILTER (WHERE w.can_be_partitioned),
               COALESCE(bool_or(NOT w.can_be_partitioned), false),
               bool_and(w.to_at > now() AND w.to_at <= now() + interval '28 days')
        INTO calls, has_others, is_soon
        FROM (SELECT * FROM claude_gpt_internal.waiting_periods(filled.table_name) LIMIT 5) AS w;
        detail := CASE WHEN status = 'ok' THEN '' ELSE detail || '; ' END || format('%s holds about %s rows', filled.partition_name, filled.row_count);
        status := 'warning';
        hint := concat_ws(' ', hint,
            CASE WHEN is_soon THEN 'CALL claude_gpt.run_job(''partition_upkeep'') gives them partitions of their own.'
                 WHEN calls IS NOT NULL THEN format('As the owner of the tables, %s gives them partitions of their own.', calls)
                 WHEN NOT has_others THEN format('VACUUM ANALYZE claude_gpt_partitions.%I counts its rows anew.', filled.partition_name) END,
            CASE WHEN has_others THEN format('Rows of %s whose created_at is infinite or outside of the years 1 to 9998 have no partition: correct or delete them.', filled.table_name) END);
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_default_partitions() IS
'Whether rows wait for partitions, and what gives them some; of messages the running period stays there. Part of health. Errors: as require_trusted_tables.';

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
          HAVING NOT COALESCE(bool_or(NOT l.is_default AND COALESCE(l.from_at, '-infinity') <= now() + interval '1 day'
                                      AND COALESCE(l.to_at, 'infinity') > now() + interval '1 day'), false)) AS p;
    IF names IS NOT NULL THEN
        status := 'warning'; detail := format('no partition for tomorrow: %s', names);
        hint := 'CALL claude_gpt.run_job(''partition_upkeep''), and see why it has not run.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_next_partitions() IS
'Whether there are partitions for what comes. Part of health. Errors: as require_trusted_tables.';

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
CREATE FUNCTION claude_gpt_internal.check_times(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found text;
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    status := 'ok'; detail := 'no time is of the future'; hint := NULL;
    SELECT string_agg(format('%s: %s', t.kind, t.time_count), ', ' ORDER BY t.kind) INTO found FROM claude_gpt_internal.find_future_times() AS t;
    IF found IS NOT NULL THEN
        status := 'warning'; detail := format('times of the future (%s)', found);
        hint := 'A clock was ahead, or the clock of this server is behind. Once it is right, SELECT * FROM claude_gpt.repair_books() brings them near; until then each is brought near when a call meets it.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_times() IS
'Whether a wrong clock has left times of the future. Part of health. Errors: as require_trusted_tables.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_configuration(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
    problems text;
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    status := 'ok'; detail := 'no configuration stops or hides usage'; hint := NULL;
    SELECT string_agg(CASE c.config_key WHEN 'maintenance_mode' THEN 'maintenance_mode is on: every call that asks for quota is denied'
                                        ELSE 'usage_ledger is off: usage is counted, but not recorded' END, '; ' ORDER BY c.config_key) INTO names
    FROM claude_gpt_data.system_configs AS c
    WHERE c.is_active AND (c.config_key = 'maintenance_mode' AND c.config_value = 'true' OR c.config_key = 'usage_ledger' AND c.config_value = 'false');
    -- It would have the limit of "free" without a word.
    SELECT concat_ws('; ', names, 'rate_limits names what is no plan: ' || string_agg(r.tier, ', ' ORDER BY r.tier)) INTO names
    FROM claude_gpt_data.system_configs AS c CROSS JOIN LATERAL jsonb_object_keys(CASE jsonb_typeof(c.config_value) WHEN 'object' THEN c.config_value END) AS r (tier)
    WHERE c.is_active AND c.config_key = 'rate_limits'
      AND EXISTS (SELECT FROM claude_gpt_data.system_configs AS p WHERE p.config_key = 'subscription_plans' AND p.is_active AND NOT p.config_value ? r.tier);
    IF names <> '' THEN
        status := 'warning'; detail := names; hint := 'See claude_gpt_data.system_configs.';
    END IF;
    SELECT string_agg(format('%s is not valid, and who needs it is refused: %s', p.config_key, p.problem), '; ' ORDER BY p.config_key) INTO problems
    FROM claude_gpt_internal.configuration_problems() AS p;
    IF problems IS NOT NULL THEN
        status := 'critical'; detail := concat_ws('; ', problems, NULLIF(names, '')); hint := 'Correct the row in claude_gpt_data.system_configs.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_configuration() IS
'Whether the configuration stops or hides usage, or cannot be read. Part of health. Errors: as require_trusted_tables.';

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
    SELECT count(*) AS users, count(*) FILTER (WHERE r.plan IS NULL) AS lost,
           min(r.tier) FILTER (WHERE r.plan IS NULL) AS tier, min(r.id::text) FILTER (WHERE r.plan IS NULL) AS example,
           count(*) FILTER (WHERE r.shut_by IS NOT NULL) AS shut_out,
           min(format('"%s" (%s)', r.tier, r.shut_by)) FILTER (WHERE r.shut_by IS NOT NULL) AS shut_plan
    INTO found
    FROM (SELECT l.id, l.tier, l.plan,
                 -- Of whom was active in the week of the latest activity: a plan that is closed for good is not told for ever.
                 CASE WHEN l.last_active_on < max(l.last_active_on) OVER () - 7 THEN NULL
                      WHEN l.plan -> 'messagesPerMonth' = '0' THEN 'messagesPerMonth is 0' WHEN l.plan -> 'tokensPerMonth' = '0' THEN 'tokensPerMonth is 0'
                      WHEN l.plan -> 'costPerMonth' = '0' THEN 'costPerMonth is 0' WHEN l.plan -> 'maxConcurrentTurns' = '0' THEN 'maxConcurrentTurns is 0' WHEN l.plan -> 'models' = '[]' THEN 'models is empty' END AS shut_by
          FROM (SELECT u.id, u.last_active_on, u.subscription_tier::text AS tier,
                       (SELECT c.config_value FROM claude_gpt_data.system_configs AS c WHERE c.config_key = 'subscription_plans' AND c.is_active) -> u.subscription_tier::text AS plan
                FROM claude_gpt_data.users AS u WHERE u.last_active_on IS NOT NULL ORDER BY u.last_active_on DESC LIMIT 1000) AS l) AS r;
    detail := format('the plans of %s recently active users are configured', found.users);
    IF found.shut_out > 0 THEN
        status := 'critical';
        detail := format('of %s recently active users, %s have a plan that admits nothing, such as %s', found.users, found.shut_out, found.shut_plan);
        hint := 'Their calls are denied: correct the configuration "subscription_plans". Where that is meant, it is told until they have not been active for a week.';
    END IF;
    IF found.lost > 0 THEN
        status := 'critical';
        detail := format('of %s recently active users, %s have a plan that is not configured, such as "%s" of user "%s"',
                         found.users, found.lost, found.tier, found.example);
        hint := 'Their calls are refused: add the plan to the configuration "subscription_plans", or give them another with set_subscription.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_plans() IS
'Whether the plans of some users are configured, as replication or a restore may bring them past the trigger, and admit anything. Only of late, so that it takes milliseconds. Part of health. Errors: as require_trusted_tables.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_prices(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    status := 'ok'; detail := 'every model that a plan names has a price'; hint := NULL;
    SELECT string_agg(format('"%s"', m.model), ', ' ORDER BY m.model) INTO names
    FROM (SELECT DISTINCT n.model
          FROM claude_gpt_data.system_configs AS c,
               jsonb_path_query(c.config_value, 'lax $.*.models[*] ? (@.type() == "string")') AS q (name), LATERAL (SELECT q.name #>> '{}') AS n (model)
          WHERE c.config_key = 'subscription_plans' AND c.is_active) AS m
    WHERE ((SELECT c.config_value FROM claude_gpt_data.system_configs AS c WHERE c.config_key = 'model_prices' AND c.is_active) -> m.model) IS NULL;
    IF names IS NOT NULL THEN
        status := 'warning';
        detail := format('plans name models without a price: %s', names);
        hint := 'Turns of these are denied (price_unknown): add them to the configuration "model_prices", or say p_estimated_cost.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_prices() IS
'Whether the models that plans name have prices. Part of health. Errors: as require_trusted_tables.';

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
CREATE FUNCTION claude_gpt_internal.check_synchronous_standbys(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    standbys CONSTANT record := claude_gpt_internal.synchronous_standbys();
BEGIN
    status := 'ok'; hint := NULL;
    detail := CASE WHEN standbys.wanted = 0 THEN 'no commit waits for a standby'
                   ELSE format('%s of %s synchronous standbys are connected', standbys.present, standbys.wanted) END;
    IF standbys.present < standbys.wanted THEN
        status := 'critical';
        detail := format('%s: no commit ends, unless with synchronous_commit = local or off; %s sessions wait', detail, standbys.waiting);
        hint := 'Start the standby; where there is none any more, as after a failover, ALTER SYSTEM RESET synchronous_standby_names and SELECT pg_reload_conf().';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_synchronous_standbys() IS
'Whether commits wait for standbys that are not there. Part of health.';
