-- The tables of 0.4.0 shared schema claude_gpt with the functions. This moves them, and whatever a user has made beside
-- them, to the schemas of their own. It runs with the rights of whoever updates: moving runs no code of anybody.
-- Locks: ACCESS EXCLUSIVE on every table until the end of the transaction; no row is read.

DO $$
DECLARE
    tables CONSTANT text[] := ARRAY['users', 'conversations', 'messages', 'usage_records', 'usage_balances', 'usage_reservations',
        'idempotency_keys', 'subscription_history', 'system_configs', 'user_sessions', 'audit_logs', 'application_grants',
        'jobs', 'job_runs', 'claude_gpt_migrations'];
    views CONSTANT text[] := ARRAY['conversation_summary', 'user_statistics', 'job_status', 'active_connections', 'slow_queries',
        'table_sizes', 'index_usage', 'daily_usage', 'plan_usage', 'revenue_by_month'];
    owner CONSTANT oid := (SELECT c.relowner FROM pg_class AS c WHERE c.oid = 'claude_gpt.claude_gpt_migrations'::regclass);
    code CONSTANT regnamespace := 'claude_gpt'::regnamespace;
    keeper text;
    names text;
    item record;
BEGIN
    SELECT string_agg(t, ', ') INTO names FROM unnest(tables) AS t WHERE to_regclass('claude_gpt.' || t) IS NULL;
    IF names IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'tables of claude_gpt are not there, or have other names',
            DETAIL = format('Missing: %s.', names), HINT = 'Give them back their names, and update again.';
    END IF;
    -- Functions of claude_gpt work as the one owner of all tables.
    SELECT string_agg(format('%s of %s', c.oid::regclass, c.relowner::regrole), ', ') INTO names
    FROM pg_class AS c
    WHERE c.relnamespace = code AND c.relkind IN ('r', 'p', 'v') AND c.relowner <> owner
      AND (c.relname = ANY (tables) OR c.relname = ANY (views) OR c.relispartition);
    IF names IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'tables of claude_gpt have several owners',
            DETAIL = format('Not of role %s: %s.', owner::regrole, names), HINT = 'ALTER TABLE ... OWNER TO, or ALTER VIEW, mends that.';
    END IF;

    SELECT string_agg(format('ONLY %s', c.oid::regclass), ', ' ORDER BY c.relispartition,
                      array_position(ARRAY['users', 'conversations', 'messages'], c.relname::text) NULLS LAST, c.oid) INTO names
    FROM pg_class AS c WHERE c.relnamespace = code AND c.relkind IN ('r', 'p');
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', names);

    FOREACH names IN ARRAY ARRAY['claude_gpt_data', 'claude_gpt_partitions'] LOOP
        SELECT n.nspowner::regrole INTO keeper FROM pg_namespace AS n WHERE n.nspname = names;
        IF keeper IS NULL THEN
            EXECUTE format('CREATE SCHEMA %I AUTHORIZATION %s', names, owner::regrole);
        ELSIF keeper <> owner::regrole::text THEN
            RAISE object_not_in_prerequisite_state USING MESSAGE = format('schema "%s" is there, and is of role %s', names, keeper),
                DETAIL = format('The tables of claude_gpt, which move there, are of role %s.', owner::regrole),
                HINT = format('ALTER SCHEMA %I OWNER TO %s, if nothing in it is to be kept from that role; or rename it.', names, owner::regrole);
        END IF;
    END LOOP;

    -- All that is no member: the user's own tables, views, functions and types too. A partition that was detached stays
    -- among the partitions. The type of 0.4.0 for tiers goes later.
    FOR item IN
        SELECT CASE WHEN d.classid = 'pg_class'::regclass THEN format('ALTER TABLE %s', d.objid::regclass)
                    ELSE format('ALTER %s %s', CASE i.type WHEN 'statistics object' THEN 'STATISTICS' ELSE i.type END, i.identity) END AS what,
               CASE WHEN c.relispartition OR EXISTS (
                        SELECT FROM pg_class AS p WHERE p.relnamespace = code AND p.relkind = 'p' AND c.relkind = 'r' AND starts_with(c.relname, p.relname || '_')
                          AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = p.oid AND a.attnum > 0 AND NOT a.attisdropped
                                          AND NOT EXISTS (SELECT FROM pg_attribute AS b WHERE b.attrelid = c.oid AND b.attname = a.attname AND NOT b.attisdropped)))
                    THEN 'claude_gpt_partitions' ELSE 'claude_gpt_data' END AS schema
        FROM pg_depend AS d CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) AS i
        LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
        -- What has a schema of its own: a view that names this one as a value depends on it too.
        WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = code AND i.schema = 'claude_gpt'
          AND d.classid NOT IN ('pg_extension'::regclass, 'pg_default_acl'::regclass, 'pg_publication_namespace'::regclass)
          AND NOT EXISTS (SELECT FROM pg_depend AS m WHERE m.classid = d.classid AND m.objid = d.objid AND m.deptype = 'e')
          -- These go with their table.
          AND NOT (c.relkind IS NOT DISTINCT FROM 'S' AND EXISTS (
                   SELECT FROM pg_depend AS m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid AND m.refclassid = 'pg_class'::regclass
                     AND m.deptype IN ('a', 'i')))
          AND NOT (d.classid = 'pg_type'::regclass AND d.objid = to_regtype('claude_gpt.subscription_tier'))
        ORDER BY d.classid = 'pg_class'::regclass DESC, d.objid
    LOOP
        EXECUTE format('%s SET SCHEMA %I', item.what, item.schema);
    END LOOP;

    -- Whoever may read or write one of them finds it.
    FOR item IN
        SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role
        FROM pg_class AS c
        LEFT JOIN pg_attribute AS t ON t.attrelid = c.oid AND t.attacl IS NOT NULL
        CROSS JOIN LATERAL (SELECT grantee FROM aclexplode(c.relacl) UNION SELECT grantee FROM aclexplode(t.attacl)) AS a
        WHERE c.relnamespace = 'claude_gpt_data'::regnamespace AND a.grantee <> owner
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA claude_gpt_data TO %s', item.role);
    END LOOP;

    -- Rights on objects to come, and publications of all tables of the schema, follow the tables.
    FOR item IN
        SELECT d.defaclrole::regrole AS maker, CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' ELSE 'TYPES' END AS kind,
               a.privilege_type, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role, a.is_grantable
        FROM pg_default_acl AS d CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a WHERE d.defaclnamespace = code
    LOOP
        EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA claude_gpt_data, claude_gpt_partitions GRANT %s ON %s TO %s%s',
                       item.maker, item.privilege_type, item.kind, item.role, CASE WHEN item.is_grantable THEN ' WITH GRANT OPTION' END);
        EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA claude_gpt REVOKE ALL ON %s FROM %s', item.maker, item.kind, item.role);
    END LOOP;
    FOR item IN SELECT p.pubname FROM pg_publication_namespace AS n JOIN pg_publication AS p ON p.oid = n.pnpubid WHERE n.pnnspid = code LOOP
        EXECUTE format('ALTER PUBLICATION %I ADD TABLES IN SCHEMA claude_gpt_data, claude_gpt_partitions', item.pubname);
        EXECUTE format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA claude_gpt', item.pubname);
    END LOOP;

    -- Functions that have come in place of others are granted to whom those were.
    FOR item IN
        SELECT n.oid::regprocedure AS routine, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role, a.is_grantable
        FROM pg_proc AS o
        JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = o.oid AND d.deptype = 'e'
        JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'claude_gpt'
        JOIN pg_proc AS n ON n.pronamespace = code AND 'retired_' || n.proname = o.proname
        CROSS JOIN LATERAL aclexplode(o.proacl) AS a
        WHERE o.pronamespace = code AND a.grantee <> o.proowner
    LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %s%s', item.routine, item.role, CASE WHEN item.is_grantable THEN ' WITH GRANT OPTION' END);
    END LOOP;

    -- The schema of the code is the extension's: nobody else makes anything there.
    SELECT e.extowner::regrole INTO keeper FROM pg_extension AS e WHERE e.extname = 'claude_gpt';
    EXECUTE format('ALTER SCHEMA claude_gpt OWNER TO %s', keeper);
    FOR item IN
        SELECT a.grantee, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role, bool_or(a.privilege_type = 'USAGE') AS has_usage
        FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a WHERE n.oid = code AND a.grantee <> n.nspowner
        GROUP BY a.grantee
    LOOP
        IF item.grantee = 0 THEN
            REVOKE CREATE ON SCHEMA claude_gpt FROM PUBLIC CASCADE;
            CONTINUE;
        END IF;
        EXECUTE format('REVOKE ALL ON SCHEMA claude_gpt FROM %s CASCADE', item.role);
        IF item.has_usage AND NOT has_schema_privilege('public', code, 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA claude_gpt TO %s', item.role);
        END IF;
    END LOOP;
END
$$;
