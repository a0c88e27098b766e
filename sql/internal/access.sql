-- Topic access: who owns the tables, and who may do what.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.enforce_column_rules() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_enforce_column_rules';
COMMENT ON FUNCTION claude_gpt_internal.enforce_column_rules() IS
'Trigger function: keeps rules of columns, one an argument: "role in user assistant system", "cost not negative", "email not empty", "message_count maintained not negative". NULL keeps every rule but the last: a maintained column is written by the owner of the table (and superusers) alone; others may insert its default and update it to its stored value, so statements of ORMs that name every column work. Errors: 23514 a value breaks its rule; 42501 a maintained column is written; 22023 an argument is no rule; 42703 no such column; 39P01 if not called before a row is written.';

-- Whoever may act as a superuser is one to whatever code he runs: a role that has the membership by SET ROLE alone too,
-- and those of which the server's manual says that they lead there. Before 16 CREATEROLE gives itself the latter.
-- Levels: read application billing operator monitor
CREATE FUNCTION claude_gpt_internal.is_superuser(p_role oid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM pg_roles AS s
        WHERE (s.rolsuper
               OR s.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
               OR s.rolcreaterole AND current_setting('server_version_num')::integer < 160000)
          AND pg_has_role(p_role, s.oid, 'MEMBER'))
$$;
COMMENT ON FUNCTION claude_gpt_internal.is_superuser(oid) IS
'Whether a role counts as a superuser: is one; or is a member, directly or not, inheriting or by SET ROLE, of one, of pg_execute_server_program, pg_read_server_files or pg_write_server_files; or, before PostgreSQL 16, may create roles. What code of the owner of the tables might do with the rights of such a role is asked by this rule everywhere. False for NULL and for an OID that is no role.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.apply_access(p_role text, p_level text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    monitoring_views CONSTANT text[] := ARRAY['job_status', 'active_connections', 'slow_queries', 'table_sizes', 'index_usage'];
    -- Figures without a secret.
    reports CONSTANT text[] := ARRAY['daily_usage', 'plan_usage', 'revenue_by_month'];
    -- What a report does not need to see, and what support and billing need not read.
    secrets CONSTANT text[] := ARRAY[
        'users.password_hash', 'users.email_verification_token', 'users.password_reset_token',
        'user_sessions.session_token', 'user_sessions.refresh_token'];
    conversation CONSTANT text[] := ARRAY[
        'messages.content', 'messages.parts', 'messages.metadata', 'messages.error_message', 'message_feedback.comment',
        'message_files.name', 'message_files.location', 'message_files.metadata'];
    reads text[] := ARRAY[]::text[];
    writes text[] := ARRAY[]::text[];  -- 'privileges ON table'
    granted record;
    item text;
BEGIN
    IF p_role IS NULL OR p_level IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'role and level must not be null';
    END IF;
    -- GRANT takes public for everybody, quoted or not, and the owner of application_grants writes what he likes there.
    IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = p_role) THEN
        RAISE undefined_object USING MESSAGE = format('role "%s" does not exist', p_role);
    END IF;
    IF p_level = 'read' THEN
        reads := reports;
    ELSIF p_level = 'application' THEN
        reads := ARRAY['users', 'conversations', 'messages', 'message_feedback', 'message_files', 'usage_records', 'usage_balances', 'usage_reservations',
                       'subscription_history', 'system_configs', 'user_sessions', 'audit_logs', 'user_statistics',
                       'conversation_summary'] || reports;
        writes := ARRAY['INSERT, UPDATE, DELETE ON users', 'INSERT, UPDATE, DELETE ON conversations',
                        'INSERT, UPDATE, DELETE ON messages', 'INSERT, UPDATE, DELETE ON message_feedback',
                        'INSERT, UPDATE, DELETE ON message_files', 'INSERT, UPDATE, DELETE ON user_sessions',
                        'INSERT ON audit_logs'];
    ELSIF p_level = 'billing' THEN
        reads := ARRAY['subscription_history', 'usage_records', 'usage_balances', 'usage_reservations', 'system_configs'] || reports;
    ELSIF p_level = 'operator' THEN
        reads := ARRAY['subscription_history', 'usage_records', 'usage_balances', 'usage_reservations', 'idempotency_keys',
                       'system_configs', 'audit_logs', 'claude_gpt_migrations', 'application_grants', 'jobs', 'job_runs'] || monitoring_views || reports;
        writes := ARRAY['INSERT, UPDATE, DELETE ON system_configs', 'DELETE ON audit_logs', 'UPDATE ON jobs'];
    ELSIF p_level = 'monitor' THEN
        reads := ARRAY['claude_gpt_migrations', 'jobs', 'job_runs'] || monitoring_views;
    ELSE
        RAISE invalid_parameter_value USING
            MESSAGE = format('access level "%s" is not known', p_level),
            DETAIL = 'Levels are read, application, billing, operator and monitor.';
    END IF;

    IF EXISTS (SELECT FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
               WHERE c.oid = to_regclass('claude_gpt_data.users') AND r.rolname = p_role) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('role "%s" owns the tables of claude_gpt', p_role),
            DETAIL = 'The owner may do everything; a level would only take rights from it.',
            HINT = 'Let the application connect as another role.';
    END IF;

    IF claude_gpt_internal.is_superuser((SELECT r.oid FROM pg_roles AS r WHERE r.rolname = p_role)) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('role "%s" is a superuser, or may become one', p_role),
            DETAIL = 'It may do everything, and triggers and views of the owner of the tables would run with its rights.',
            HINT = 'Let the application connect as another role.';
    END IF;

    EXECUTE format('GRANT USAGE ON SCHEMA claude_gpt_data TO %I', p_role);
    FOREACH item IN ARRAY reads LOOP
        EXECUTE format('GRANT SELECT ON claude_gpt_data.%I TO %I', item, p_role);
    END LOOP;
    FOREACH item IN ARRAY writes LOOP
        EXECUTE format('GRANT %s claude_gpt_data.%I TO %I', split_part(item, ' ON ', 1) || ' ON', split_part(item, ' ON ', 2), p_role);
    END LOOP;
    FOR granted IN
        SELECT p.oid::regprocedure AS routine
        FROM claude_gpt_internal.routine_levels() AS l
        JOIN pg_namespace AS n ON n.nspname = l.schema_name
        JOIN pg_proc AS p ON p.pronamespace = n.oid AND p.proname = l.routine_name
        JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'claude_gpt'
        WHERE p_level = ANY (l.levels)
    LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I', granted.routine, p_role);
    END LOOP;
    IF p_level IN ('read', 'billing', 'operator') THEN
        -- Column by column, without the secrets.
        FOR granted IN
            SELECT c.relname, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS columns
            FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = 'claude_gpt_data'::regnamespace
              AND c.relname = ANY (CASE WHEN p_level = 'read' THEN
                      ARRAY['users', 'conversations', 'messages', 'message_feedback', 'message_files', 'usage_records', 'usage_balances', 'usage_reservations',
                            'subscription_history', 'system_configs', 'user_sessions', 'audit_logs', 'user_statistics', 'conversation_summary']
                      ELSE ARRAY['users', 'user_statistics', 'conversations', 'messages', 'message_feedback', 'message_files', 'user_sessions'] END)
              AND NOT c.relname || '.' || a.attname = ANY (secrets)
              AND NOT (p_level <> 'read' AND c.relname || '.' || a.attname = ANY (conversation))
            GROUP BY c.relname
        LOOP
            EXECUTE format('GRANT SELECT (%s) ON claude_gpt_data.%I TO %I', granted.columns, granted.relname, p_role);
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.apply_access(text, text) IS
'Gives a role the rights of a level, beside what it has. Part of grant_application_access, and called for every recorded grant by migrate. Errors: 22004 NULL; 22023 no such level; 42704 no such role; 42501 the caller may not grant.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.withdraw_access(p_role text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation record;
BEGIN
    FOR relation IN
        SELECT c.oid::regclass AS name, string_agg(quote_ident(a.attname), ', ') AS columns
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'claude_gpt_data'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
        GROUP BY c.oid
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %I', relation.name, p_role);
        EXECUTE format('REVOKE ALL (%s) ON %s FROM %I', relation.columns, relation.name, p_role);
    END LOOP;
    EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA claude_gpt, claude_gpt_internal FROM %I', p_role);
    EXECUTE format('REVOKE ALL ON SCHEMA claude_gpt, claude_gpt_data FROM %I', p_role);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.withdraw_access(text) IS
'Takes from a role what it was granted on the schemas, tables, views and routines. Part of grant_application_access and revoke_application_access. Errors: 42704 no such role.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.record_access(p_role text, p_level text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_record_access';
COMMENT ON FUNCTION claude_gpt_internal.record_access(text, text) IS
'Writes the level of a role to application_grants, or removes it if the level is NULL, with the rights of the owner of the table. Part of grant_application_access and revoke_application_access. Errors: 22004 NULL role; 55000 the table is missing.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.reapply_access() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_reapply_access';
COMMENT ON FUNCTION claude_gpt_internal.reapply_access() IS
'Gives every role of application_grants the rights of its level again, read with the rights of the owner of the tables. A role that is gone is named by a WARNING. Part of set_owner and migrate.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.recorded_access() RETURNS TABLE (
    role_name text,
    level text
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_recorded_access';
COMMENT ON FUNCTION claude_gpt_internal.recorded_access() IS
'The rows of application_grants, read with the rights of the owner of the table. Part of init-database and restore.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.place_search_path(p_role text, p_level text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ours CONSTANT text := '"$user", claude_gpt_data, claude_gpt, public';
BEGIN
    -- The owner of the tables may create in claude_gpt_data: only those who work with his tables look there.
    IF p_level IN ('read', 'application') THEN
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = %s', p_role, current_database(), ours);
    ELSIF EXISTS (SELECT FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole JOIN pg_database AS d ON d.oid = s.setdatabase
                  WHERE r.rolname = p_role AND d.datname = current_database() AND format('search_path=%s', ours) = ANY (s.setconfig)) THEN
        EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET search_path', p_role, current_database());
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.place_search_path(text, text) IS
'Sets the search_path of a role in this database as its level wants it; takes it back for a level that wants none, or NULL, where it is still ours. Part of grant_application_access and revoke_application_access. Errors: 42501 the caller may not alter the role.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.renew_search_path(p_role text, p_level text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole JOIN pg_database AS d ON d.oid = s.setdatabase
               WHERE r.rolname = p_role AND NOT claude_gpt_internal.is_superuser(r.oid) AND d.datname = current_database()
                 AND 'search_path="$user", public, claude_gpt' = ANY (s.setconfig)) THEN
        EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET search_path', p_role, current_database());
        PERFORM claude_gpt_internal.place_search_path(p_role, p_level);
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.renew_search_path(text, text) IS
'Gives a role the search_path of its level in place of the one that release 0.4.0 set; another stays. Part of the update from 0.4.0.';

-- Whoever owns a table or a view writes the code that reading it runs.
-- Levels: operator monitor
CREATE FUNCTION claude_gpt_internal.own_relations() RETURNS SETOF regclass
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE own AS (
        SELECT c.oid FROM pg_class AS c
        WHERE c.relnamespace = to_regnamespace('claude_gpt_data') AND c.relname = ANY (ARRAY[
            'users', 'conversations', 'messages', 'message_feedback', 'message_files', 'usage_records', 'usage_balances',
            'usage_reservations', 'idempotency_keys', 'subscription_history', 'system_configs', 'user_sessions', 'audit_logs', 'application_grants', 'claude_gpt_migrations',
            'jobs', 'job_runs',
            'user_statistics', 'conversation_summary', 'active_connections', 'slow_queries', 'table_sizes', 'index_usage',
            'job_status', 'daily_usage', 'plan_usage', 'revenue_by_month'])
        UNION
        SELECT i.inhrelid FROM own AS o JOIN pg_inherits AS i ON i.inhparent = o.oid
    )
    SELECT o.oid::regclass FROM own AS o
$$;
COMMENT ON FUNCTION claude_gpt_internal.own_relations() IS
'The tables and views that the migrations make, as far as they are there, with every partition and what else inherits from them; none of those that a user has added. Part of require_trusted_tables and check_health.';

-- What somebody else may replace, drop or fill, and our relations stand on. Found from his side: what he owns, then what depends
-- on that, up to a relation of ours or anything that lies beside them; where strangers own nothing here, that is no work.
-- Levels: operator monitor
CREATE FUNCTION claude_gpt_internal.objects_of_others(p_owner oid) RETURNS TABLE (
    object text,
    owner name,
    used_by text
)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off  -- which takes longer than the work
AS $$
    WITH RECURSIVE schemas AS (
        SELECT n.oid FROM pg_namespace AS n WHERE n.nspname IN ('claude_gpt_data', 'claude_gpt_partitions')
    ), ours AS (
        SELECT c.oid FROM pg_class AS c WHERE c.relnamespace IN (SELECT s.oid FROM schemas AS s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION
        SELECT i.inhrelid FROM ours AS o JOIN pg_inherits AS i ON i.inhparent = o.oid
    ), strangers AS (
        -- A member of the owner has his rights as it is.
        SELECT r.oid, r.rolname FROM pg_roles AS r
        WHERE NOT pg_has_role(r.oid, p_owner, 'MEMBER') AND NOT claude_gpt_internal.is_superuser(r.oid)
          AND r.oid NOT IN (SELECT e.extowner FROM pg_extension AS e WHERE e.extname = 'claude_gpt')
    ), roots AS (
        -- Default privileges give away only what that role will make.
        SELECT d.classid, d.objid, s.rolname FROM pg_shdepend AS d JOIN strangers AS s ON s.oid = d.refobjid
        WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND d.classid <> 'pg_default_acl'::regclass
          AND d.dbid = (SELECT b.oid FROM pg_database AS b WHERE b.datname = current_database())
    ), reached AS (
        SELECT r.classid AS root_class, r.objid AS root, r.classid, r.objid FROM roots AS r
        UNION
        SELECT r.root_class, r.root, n.classid, n.objid
        FROM reached AS r
        LEFT JOIN ours AS o ON r.classid = 'pg_class'::regclass AND o.oid = r.objid
        CROSS JOIN LATERAL (
            SELECT d.classid, d.objid FROM pg_depend AS d WHERE d.refclassid = r.classid AND d.refobjid = r.objid
              -- The server's own triggers lie on both tables of a foreign key.
              AND NOT (d.classid = 'pg_trigger'::regclass AND d.refclassid = 'pg_constraint'::regclass)
            UNION ALL
            -- What a trigger, policy, default, constraint, rule, index or member of a publication is a part of.
            SELECT d.refclassid, d.refobjid FROM pg_depend AS d WHERE d.classid = r.classid AND d.objid = r.objid AND d.deptype IN ('a', 'i', 'P', 'S')
        ) AS n
        WHERE o.oid IS NULL
    ), found AS (
        SELECT r.root_class, r.root, r.classid, r.objid FROM reached AS r JOIN ours AS o ON r.classid = 'pg_class'::regclass AND o.oid = r.objid
        UNION
        SELECT r.root_class, r.root, r.classid, r.objid FROM reached AS r JOIN schemas AS s ON r.classid = 'pg_namespace'::regclass AND s.oid = r.objid
        UNION
        SELECT r.root_class, r.root, r.classid, r.objid FROM reached AS r JOIN pg_depend AS d ON d.classid = r.classid AND d.objid = r.objid
        WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid IN (SELECT s.oid FROM schemas AS s)
    )
    SELECT pg_describe_object(r.classid, r.objid, 0), r.rolname,
           -- The first, and how many more.
           (SELECT format('%s%s', min(pg_describe_object(f.classid, f.objid, 0)), CASE WHEN count(*) > 1 THEN format(' and %s more', count(*) - 1) ELSE '' END)
            FROM found AS f WHERE f.root_class = r.classid AND f.root = r.objid AND (f.classid, f.objid) <> (r.classid, r.objid)
            HAVING count(*) > 0)
    FROM roots AS r
    WHERE EXISTS (SELECT FROM found AS f WHERE f.root_class = r.classid AND f.root = r.objid)
    UNION ALL
    -- Rows of such a table keep rows of ours from being deleted, and say which there are.
    SELECT format('table %s, by the foreign key %I', k.conrelid::regclass, k.conname), s.rolname, format('table %s', k.confrelid::regclass)
    FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN strangers AS s ON s.oid = c.relowner
    WHERE k.contype = 'f' AND k.confrelid IN (SELECT o.oid FROM ours AS o) AND k.conrelid NOT IN (SELECT o.oid FROM ours AS o)
      AND k.conparentid = 0 AND NOT has_table_privilege(s.oid, k.confrelid, 'REFERENCES') AND NOT has_any_column_privilege(s.oid, k.confrelid, 'REFERENCES')
    ORDER BY 1, 2
$$;
COMMENT ON FUNCTION claude_gpt_internal.objects_of_others(oid) IS
'Objects of roles other than p_owner, superusers and the owner of the extension that tables and views of claude_gpt stand on, with one of these: functions, types, operators, schemas, extensions and whatever else they use, directly or not; what lies in their schemas; and tables that reference them without having the right to. What a function looks up when it runs is not seen. Part of set_owner and check_health.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.require_nothing_of_others(p_owner oid) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found text;
BEGIN
    SELECT string_agg(format('%s of role "%s"%s', o.object, o.owner, ', for ' || o.used_by), E'\n' ORDER BY o.object, o.owner) INTO found
    FROM claude_gpt_internal.objects_of_others(p_owner) AS o;
    IF found IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'tables of claude_gpt stand on what belongs to somebody else',
            DETAIL = found,
            HINT = format('Look at each, then drop it, or give it to the new owner or a superuser: ALTER ... OWNER TO %I, for an extension REASSIGN OWNED. '
                          'A table leaves a schema by ALTER TABLE ... SET SCHEMA claude_gpt_partitions, a column a type by ALTER COLUMN ... TYPE.', pg_get_userbyid(p_owner));
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.require_nothing_of_others(oid) IS
'Refuses an owner of the tables while these stand on what belongs to somebody else. Part of set_owner. Errors: 55000, whose DETAIL has a line for each object.';

-- Levels: read application billing operator
CREATE FUNCTION claude_gpt_internal.require_trusted_tables() RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Nobody else needs to ask, nor the right to.
    IF NOT claude_gpt_internal.is_superuser(current_user::regrole) THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM claude_gpt_internal.own_relations() AS o JOIN pg_class AS c ON c.oid = o
               WHERE NOT claude_gpt_internal.is_superuser(c.relowner)) THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'a superuser cannot read tables of a role that is none',
            DETAIL = 'Views, policies and index predicates of that role would run as superuser.',
            HINT = 'Log in as the owner of the tables, or as a role that has a level.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.require_trusted_tables() IS
'Refuses a superuser where a table or view of claude_gpt belongs to a role that is none. Part of usage_report_html, health and metrics. Errors: 42501.';
