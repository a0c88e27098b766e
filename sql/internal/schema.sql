-- Topic schema: the tables and their migrations.

-- Levels: read application billing operator
CREATE FUNCTION claude_gpt_internal.require_column_types() RETURNS void
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_require_column_types';
COMMENT ON FUNCTION claude_gpt_internal.require_column_types() IS
'Refuses tables of which a column has a type that the functions cannot read and write. Part of detach and health. Errors: 42804.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.library_release() RETURNS text
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'claude_gpt_library_release';
COMMENT ON FUNCTION claude_gpt_internal.library_release() IS
'The release of the library that the server has loaded. Part of updates, which need that of the new release.';

-- What the schemas of the code hold is called by superusers, by names that others could take.
-- Levels: none
CREATE FUNCTION claude_gpt_internal.strangers_in_code() RETURNS TABLE (kind text, stranger text)
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH code AS (SELECT n.* FROM pg_namespace AS n WHERE n.nspname IN ('claude_gpt', 'claude_gpt_internal'))
    SELECT DISTINCT 'object', pg_describe_object(d.classid, d.objid, 0)
    FROM code AS n
    JOIN pg_depend AS d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid
    CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) AS i
    -- What has a schema of its own depends on these, too, where it names one of them as a value.
    WHERE i.schema = n.nspname
      AND NOT EXISTS (SELECT FROM pg_depend AS m JOIN pg_extension AS e ON e.oid = m.refobjid AND e.extname = 'claude_gpt'
                      WHERE m.classid = d.classid AND m.objid = d.objid AND m.refclassid = 'pg_extension'::regclass AND m.deptype = 'e')
    UNION ALL
    SELECT 'role', format('%s in %s', a.role, a.nspname)
    FROM (SELECT n.nspname, quote_ident(r.rolname) AS role FROM code AS n JOIN pg_roles AS r ON r.oid = n.nspowner AND NOT claude_gpt_internal.is_superuser(r.oid)
          UNION
          SELECT n.nspname, COALESCE(quote_ident(r.rolname), 'everybody') FROM code AS n
          CROSS JOIN LATERAL aclexplode(n.nspacl) AS x LEFT JOIN pg_roles AS r ON r.oid = x.grantee
          WHERE x.privilege_type = 'CREATE' AND NOT claude_gpt_internal.is_superuser(x.grantee)) AS a
$$;
COMMENT ON FUNCTION claude_gpt_internal.strangers_in_code() IS
'What lies in claude_gpt and claude_gpt_internal without being a member of the extension ("object"), and the roles that are no superusers and own one of these schemas or may create there ("role"). Part of migrate, updates and health. Locks nothing.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.require_own_code() RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    objects text;
    roles text;
BEGIN
    SELECT string_agg(s.stranger, ', ' ORDER BY s.stranger) FILTER (WHERE s.kind = 'object'),
           string_agg(s.stranger, ', ' ORDER BY s.stranger) FILTER (WHERE s.kind = 'role')
    INTO objects, roles FROM claude_gpt_internal.strangers_in_code() AS s;
    IF objects IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'the schemas of claude_gpt hold what is not of the extension',
            DETAIL = format('There is %s. Superusers call the functions of these schemas, so nobody else may put any there.', objects),
            HINT = 'See who made it, and drop it.';
    END IF;
    IF roles IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'roles that are no superusers may create objects in the schemas of claude_gpt',
            DETAIL = format('These are %s. Superusers call the functions of these schemas, so nobody else may put any there.', roles),
            HINT = 'REVOKE CREATE ON SCHEMA, or ALTER SCHEMA ... OWNER TO a superuser.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.require_own_code() IS
'Refuses what strangers_in_code finds. Part of migrate and updates. Errors: 55000.';

-- All or none of the locks, before anything is changed: what meets another transaction in the middle gives back those it has,
-- and begins anew. Views first, as their readers do; LOCK TABLE would lock what a view names, with the rights of its owner.
-- Levels: none
CREATE FUNCTION claude_gpt_internal.lock_relations(p_tables regclass[], p_views regclass[], p_owner text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    attempts CONSTANT integer := 10;
    tables CONSTANT text := (
        SELECT string_agg(format('ONLY %s', c.oid::regclass), ', ' ORDER BY c.relispartition,
                          array_position(ARRAY['users', 'conversations', 'messages'], c.relname::text) NULLS LAST, c.oid)
        FROM pg_class AS c WHERE c.oid = ANY (p_tables) AND c.relkind IN ('r', 'p'));
    relation regclass;
BEGIN
    FOR attempt IN 1..attempts LOOP
        BEGIN
            FOR relation IN SELECT c.oid::regclass FROM pg_class AS c WHERE c.oid = ANY (p_views) AND c.relkind = 'v' ORDER BY c.relname LOOP
                EXECUTE format('ALTER VIEW %s OWNER TO %I', relation, p_owner);
            END LOOP;
            IF tables IS NOT NULL THEN
                EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', tables);
            END IF;
            RETURN;
        EXCEPTION WHEN deadlock_detected THEN
            IF attempt = attempts THEN
                RAISE;
            END IF;
            -- Autovacuum may wait for what this transaction changed before: giving back locks does not free it, and the server
            -- sends it away only where there is no deadlock. For a caller who may not see it the deadlock stays.
            PERFORM pg_cancel_backend(a.pid) FROM pg_stat_activity AS a
            WHERE a.backend_type = 'autovacuum worker' AND EXISTS (
                SELECT FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
                WHERE l.pid = a.pid AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
                  AND n.nspname IN ('claude_gpt_data', 'claude_gpt_partitions'));
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.lock_relations(regclass[], regclass[], text) IS
'Makes a role the owner of views, which locks them also where it is so already, and locks tables, none of their partitions; after a deadlock it begins anew, without the autovacuum that it met. Part of set_owner, migrate, detach and adopt_schema. Errors: 40P01 after ten deadlocks. Locks: ACCESS EXCLUSIVE.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.lock_own_relations() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owned CONSTANT regclass[] := ARRAY(
        SELECT o FROM claude_gpt_internal.own_relations() AS o JOIN pg_class AS c ON c.oid = o JOIN pg_roles AS r ON r.oid = c.relowner
        -- What inherits from ours in a schema that he may not use, he cannot name: it is locked with its parent, when that changes.
        WHERE r.rolname = current_user AND has_schema_privilege(c.relnamespace, 'USAGE'));
BEGIN
    PERFORM claude_gpt_internal.lock_relations(owned, owned, current_user::text);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.lock_own_relations() IS
'Locks all tables and views of claude_gpt that the caller owns. Part of migrate. Errors and locks: as lock_relations.';

-- Whoever owns a table that is locked stays its owner, and is looked at by a statement that sees what was committed before.
-- Levels: none
CREATE FUNCTION claude_gpt_internal.lock_trusted_tables(p_tables regclass[], p_doing text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    strange regclass;
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('cannot %s tables under REPEATABLE READ or SERIALIZABLE', p_doing),
            DETAIL = 'Who owns them meanwhile could not be seen.', HINT = 'Use READ COMMITTED.';
    END IF;
    PERFORM claude_gpt_internal.lock_relations(p_tables, NULL, NULL);
    IF NOT claude_gpt_internal.is_superuser(current_user::regrole) THEN
        RETURN;
    END IF;
    SELECT c.oid::regclass INTO strange FROM pg_class AS c
    WHERE c.oid = ANY (p_tables) AND NOT claude_gpt_internal.is_superuser(c.relowner) ORDER BY c.oid LIMIT 1;
    IF FOUND THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('a superuser cannot %s tables of a role that is none', p_doing),
            DETAIL = format('Table %s belongs to such a role, whose triggers, casts and operators would run as superuser.', strange),
            HINT = CASE p_doing WHEN 'adopt' THEN 'Hand the tables of claude_gpt to the owner of the old ones with set_owner, and connect as that role.'
                                ELSE 'Connect as the owner of the tables; drop the triggers on tables of others.' END;
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.lock_trusted_tables(regclass[], text) IS
'Locks tables, then refuses a superuser where one of them belongs to a role that is none. Part of detach and adopt_schema. Errors: 42501; 55000 under REPEATABLE READ or SERIALIZABLE. Locks: as lock_relations.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.create_detached_functions() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part record;
BEGIN
    CREATE OR REPLACE FUNCTION claude_gpt_data.detached_updated_at() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            NEW.updated_at := CURRENT_TIMESTAMP;
        END IF;
        IF TG_TABLE_NAME = 'users' THEN
            NEW.last_active_on := (NEW.last_active_at AT TIME ZONE 'UTC')::date;
        ELSIF TG_TABLE_NAME = 'conversations' THEN
            NEW.last_message_on := (NEW.last_message_at AT TIME ZONE 'UTC')::date;
        END IF;
        RETURN NEW;
    END
    $body$;
    CREATE OR REPLACE FUNCTION claude_gpt_data.detached_counters() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $body$
    BEGIN
        IF TG_OP <> 'INSERT' THEN
            UPDATE claude_gpt_data.conversations AS c SET
                message_count = c.message_count - r.messages, total_tokens = c.total_tokens - r.tokens,
                total_cost = c.total_cost - r.cost,
                last_message_at = COALESCE((SELECT max(m.created_at) FROM claude_gpt_data.messages AS m
                                            WHERE m.conversation_id = c.id AND m.status <> 'deleted'), c.created_at)
            FROM (SELECT conversation_id, count(*) AS messages, COALESCE(sum(cost), 0) AS cost,
                         sum(COALESCE(total_tokens, COALESCE(prompt_tokens, 0) + COALESCE(completion_tokens, 0))) AS tokens
                  FROM old_messages WHERE status <> 'deleted' GROUP BY conversation_id) AS r
            WHERE c.id = r.conversation_id;
        END IF;
        IF TG_OP <> 'DELETE' THEN
            UPDATE claude_gpt_data.conversations AS c SET
                message_count = c.message_count + r.messages, total_tokens = c.total_tokens + r.tokens,
                total_cost = c.total_cost + r.cost,
                last_message_at = CASE WHEN c.message_count = 0 THEN r.newest ELSE GREATEST(c.last_message_at, r.newest) END
            FROM (SELECT conversation_id, count(*) AS messages, COALESCE(sum(cost), 0) AS cost, max(created_at) AS newest,
                         sum(COALESCE(total_tokens, COALESCE(prompt_tokens, 0) + COALESCE(completion_tokens, 0))) AS tokens
                  FROM new_messages WHERE status <> 'deleted' GROUP BY conversation_id) AS r
            WHERE c.id = r.conversation_id;
        END IF;
        RETURN NULL;
    END
    $body$;

    -- So that migrate(), which works as the owner of the tables, can take them away again.
    FOR part IN
        SELECT format('claude_gpt_data.%I()', f) AS routine, c.relowner::regrole AS owner
        FROM pg_class AS c, unnest(ARRAY['detached_updated_at', 'detached_counters']) AS f
        WHERE c.oid = 'claude_gpt_data.users'::regclass
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO %s', part.routine, part.owner);
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.create_detached_functions() IS
'Creates what stands in for the triggers of the extension once it is gone: claude_gpt_data.detached_updated_at() and detached_counters(), of the owner of users. Part of detach.';
