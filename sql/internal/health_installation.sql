-- Topic monitoring: the checks of health that look at what is installed, and at whom it belongs to.

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
CREATE FUNCTION claude_gpt_internal.check_session_settings(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    bent record;
    owner name;
BEGIN
    status := 'ok'; detail := 'sessions of superusers take on no setting that bends what their statements mean'; hint := NULL;
    SELECT string_agg(format('%s%s', s.setting, ' of role "' || s.role || '"'), '; ' ORDER BY s.role NULLS FIRST, s.setting) AS settings,
           bool_or(s.hides_the_catalog) AS is_critical
    INTO bent
    FROM (
        SELECT e.setting, r.rolname AS role,
               -- Named anywhere but first, it comes after what stands before it; not named at all, it is the first.
               e.setting ~* '^search_path=.*pg_catalog' AND e.setting !~* '^search_path=[[:space:]]*("pg_catalog"|pg_catalog)[[:space:]]*(,|$)' AS hides_the_catalog
        FROM pg_db_role_setting AS d CROSS JOIN LATERAL unnest(d.setconfig) AS e (setting) LEFT JOIN pg_roles AS r ON r.oid = d.setrole
        WHERE d.setdatabase IN (0, (SELECT b.oid FROM pg_database AS b WHERE b.datname = current_database()))
          AND (d.setrole = 0 OR claude_gpt_internal.is_superuser(d.setrole))
    ) AS s
    WHERE s.hides_the_catalog OR s.setting ~* '^search_path=.*claude_gpt_data' OR s.setting ~* '^(session_preload_libraries|local_preload_libraries)=.'
       OR s.setting ~* '^role=.' AND s.setting <> 'role=none';
    IF bent.settings IS NOT NULL THEN
        status := CASE WHEN bent.is_critical THEN 'critical' ELSE 'warning' END;
        detail := format('sessions of superusers take on %s', bent.settings);
        hint := 'See who has set it; ALTER DATABASE ... RESET or ALTER ROLE ... RESET takes it back. Until then connect with PGOPTIONS="-c search_path=pg_catalog".';
        RETURN;
    END IF;
    SELECT r.rolname INTO owner FROM pg_database AS d JOIN pg_roles AS r ON r.oid = d.datdba
    WHERE d.datname = current_database() AND NOT claude_gpt_internal.is_superuser(r.oid);
    IF FOUND THEN
        status := 'warning';
        detail := format('role "%s" owns the database, and may give sessions of superusers settings of its own', owner);
        hint := format('ALTER DATABASE %I OWNER TO a superuser; GRANT CREATE, CONNECT, TEMPORARY ON DATABASE gives that role what it needs.', current_database());
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_session_settings() IS
'Whether settings of the database, of all databases or of superusers would have the statements of a superuser find other objects than they mean, or run a library or as another role; and whether somebody else may make such settings. Part of health.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_subscriptions(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
BEGIN
    status := 'ok'; detail := 'no subscription runs code of the owner of the tables with other rights than his'; hint := NULL;
    IF claude_gpt_internal.is_superuser((SELECT c.relowner FROM pg_class AS c WHERE c.relnamespace = to_regnamespace('claude_gpt_data') AND c.relname = 'users')) THEN
        RETURN;
    END IF;
    -- Since 16 rows are applied with the rights of the owner of their table, unless the subscription says otherwise.
    EXECUTE format('SELECT string_agg(quote_ident(s.subname), '', '' ORDER BY s.subname) FROM pg_subscription AS s'
                   ' WHERE s.subdbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())'
                   ' AND claude_gpt_internal.is_superuser(s.subowner) AND %s',
                   CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'true' ELSE 's.subrunasowner' END) INTO names;
    IF names IS NOT NULL THEN
        status := 'critical';
        detail := format('a superuser owns the subscription %s, and a role that is none the tables: triggers that fire for replicated rows run as superuser', names);
        hint := 'Let a superuser own the tables of a subscriber until it takes over; from PostgreSQL 16 on ALTER SUBSCRIPTION ... SET (run_as_owner = false) will do.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_subscriptions() IS
'Whether a subscription of a superuser applies rows to tables of a role that is none with the rights of the superuser. Part of health.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_objects_of_others(OUT status text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text;
BEGIN
    status := 'ok'; detail := 'the tables stand on nothing that belongs to another role'; hint := NULL;
    SELECT string_agg(format('%s of "%s"%s', o.object, o.owner, ', for ' || o.used_by), '; ' ORDER BY o.object, o.owner) INTO names
    FROM claude_gpt_internal.objects_of_others((SELECT c.relowner FROM pg_class AS c WHERE c.relnamespace = to_regnamespace('claude_gpt_data') AND c.relname = 'users')) AS o;
    IF names IS NOT NULL THEN
        status := 'critical';
        detail := format('the tables stand on %s', names);
        hint := 'That role may replace, drop or fill it: drop each, or give it to the owner of the tables or a superuser by ALTER ... OWNER TO.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_objects_of_others() IS
'Whether functions, types, schemas or tables of others could take part in what the tables do. Part of health.';
