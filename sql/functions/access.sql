-- Topic access: who owns the tables, and who may do what.

-- Levels: none
CREATE FUNCTION claude_gpt.grant_application_access(p_role regrole, p_level text DEFAULT 'application') RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    role_name name;
BEGIN
    IF p_role IS NULL OR p_level IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = format('%s must not be null', CASE WHEN p_role IS NULL THEN 'p_role' ELSE 'p_level' END);
    END IF;
    SELECT r.rolname INTO role_name FROM pg_roles AS r WHERE r.oid = p_role;
    IF role_name IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('role with OID %s does not exist', p_role::oid);
    END IF;
    PERFORM claude_gpt_internal.withdraw_access(role_name::text);
    PERFORM claude_gpt_internal.apply_access(role_name::text, p_level::text);
    PERFORM claude_gpt_internal.record_access(role_name::text, p_level::text);
    PERFORM claude_gpt_internal.place_search_path(role_name::text, p_level::text);
END
$$;
COMMENT ON FUNCTION claude_gpt.grant_application_access(regrole, text) IS
'Lets a role do the work of a level: "read" (all but passwords and tokens), "application" (sign up users, edit profiles, chat, meter; no tier, counter, usage record or configuration row), "billing" (set_subscription), "operator" (configuration, retention, jobs) or "monitor". Replaces a level given before and records the grant, so that migrate can give it again. The levels read and application set the search_path of the role in this database to "$user", claude_gpt_data, claude_gpt, public for new sessions; the others call functions with the schema in front, since what the owner of the tables makes in claude_gpt_data would be found by their statements too. Errors: 22004 NULL; 22023 no such level, or the role owns the tables or counts as a superuser; 42704 no such role; 42501 unless called by a superuser, or by an owner of the tables who may alter the role.';

-- Levels: none
CREATE FUNCTION claude_gpt.revoke_application_access(p_role regrole) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    role_name name;
BEGIN
    IF p_role IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_role must not be null';
    END IF;
    SELECT r.rolname INTO role_name FROM pg_roles AS r WHERE r.oid = p_role;
    IF role_name IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('role with OID %s does not exist', p_role::oid);
    END IF;
    PERFORM claude_gpt_internal.withdraw_access(role_name::text);
    PERFORM claude_gpt_internal.record_access(role_name::text, NULL::text);
    PERFORM claude_gpt_internal.place_search_path(role_name::text, NULL::text);
END
$$;
COMMENT ON FUNCTION claude_gpt.revoke_application_access(regrole) IS
'Takes back what grant_application_access gave: rights, search_path and record. Errors: 22004 NULL; 42704 no such role; 42501 the caller may not.';

-- Levels: none
CREATE FUNCTION claude_gpt.set_owner(p_role regrole) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    role_name name;
    old_owner record;
    routines text;
    relation record;
    owned regclass[];  -- with what inherits from it, in whatever schema
BEGIN
    IF p_role IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_role must not be null';
    END IF;
    SELECT r.rolname INTO role_name FROM pg_roles AS r WHERE r.oid = p_role;
    IF role_name IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('role with OID %s does not exist', p_role::oid);
    END IF;
    SELECT r.oid, r.rolname, claude_gpt_internal.is_superuser(r.oid) AS is_superuser INTO old_owner FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
    WHERE c.oid = to_regclass('claude_gpt_data.users');
    IF NOT old_owner.is_superuser AND claude_gpt_internal.is_superuser(p_role) THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'a superuser cannot take over the tables of a role that is none',
            DETAIL = 'Triggers, policies, defaults and index expressions of that role would run as superuser.',
            HINT = 'Name another role that neither is a superuser nor may become one.';
    END IF;
    WITH RECURSIVE own AS (
        SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('claude_gpt_data', 'claude_gpt_partitions') AND c.relkind IN ('r', 'p')
        UNION
        SELECT i.inhrelid FROM own AS o JOIN pg_inherits AS i ON i.inhparent = o.oid
    )
    SELECT array_agg(o.oid::regclass) INTO owned FROM own AS o;
    IF old_owner.oid <> p_role AND NOT old_owner.is_superuser THEN
        -- What he has granted to others goes with it: who may create a trigger would run code as the new owner. What is recorded
        -- is granted again below.
        FOR relation IN
            SELECT DISTINCT format('TABLE %s', c.oid::regclass) AS name, a.grantee
            FROM pg_class AS c
            CROSS JOIN LATERAL (SELECT c.relacl AS acl UNION ALL SELECT t.attacl FROM pg_attribute AS t WHERE t.attrelid = c.oid) AS l
            CROSS JOIN LATERAL aclexplode(l.acl) AS a
            WHERE a.grantee <> c.relowner AND (c.oid = ANY (owned) OR c.relkind = 'v' AND c.relnamespace = to_regnamespace('claude_gpt_data'))
            UNION ALL
            SELECT DISTINCT format('SCHEMA %I', n.nspname), a.grantee FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
            WHERE n.nspname IN ('claude_gpt_data', 'claude_gpt_partitions') AND a.grantee <> n.nspowner
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', relation.name,
                           CASE relation.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(relation.grantee)) END);
        END LOOP;
    END IF;
    PERFORM claude_gpt_internal.lock_relations(owned, ARRAY(
        SELECT c.oid::regclass FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('claude_gpt_data', 'claude_gpt_partitions') AND c.relkind = 'v'), role_name::text);
    SELECT string_agg(p.oid::regprocedure::text, ', ') INTO routines
    FROM pg_proc AS p
    JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'claude_gpt'
    -- Before a restore: what the triggers and defaults call that he will make. migrate(), called by a superuser after it, gives the rest.
    WHERE old_owner.oid IS NOT NULL OR p.prorettype = 'trigger'::regtype OR p.oid IN ('claude_gpt.uuid_v7()'::regprocedure, 'claude_gpt.current_billing_period()'::regprocedure);
    IF old_owner.oid <> p_role AND NOT old_owner.is_superuser THEN
        -- What he has granted to others goes with it; what is recorded is granted again below.
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM %I CASCADE', routines, old_owner.rolname);
        EXECUTE format('REVOKE ALL ON SCHEMA claude_gpt, claude_gpt_internal FROM %I CASCADE', old_owner.rolname);
    END IF;
    -- The owner restores dumps, and calls every function from his triggers, defaults and views.
    EXECUTE format('GRANT USAGE ON SCHEMA claude_gpt, claude_gpt_internal TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I WITH GRANT OPTION', routines, role_name);

    FOR relation IN
        SELECT format('SCHEMA %I', n.nspname) AS name FROM pg_namespace AS n
        WHERE n.nspname IN ('claude_gpt_data', 'claude_gpt_partitions') AND n.nspowner <> p_role
        UNION ALL
        SELECT format('TABLE %s', c.oid::regclass) FROM pg_class AS c WHERE c.oid = ANY (owned) AND c.relowner <> p_role
    LOOP
        EXECUTE format('ALTER %s OWNER TO %I', relation.name, role_name);
    END LOOP;
    -- After it all, with the locks: what he makes until then is seen.
    PERFORM claude_gpt_internal.require_nothing_of_others(p_role);
    IF old_owner.oid IS NOT NULL THEN
        IF old_owner.oid <> p_role AND NOT old_owner.is_superuser THEN
            PERFORM claude_gpt_internal.record_access(old_owner.rolname::text, NULL::text);  -- which he may have written for later
        END IF;
        PERFORM claude_gpt_internal.reapply_access();
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt.set_owner(regrole) IS
'Hands the schemas claude_gpt_data and claude_gpt_partitions with all their tables and views, and what inherits from them elsewhere, to a role, unless they stand on what belongs to neither him nor a superuser: functions of triggers, policies, defaults and views, types, operators, schemas and whatever lies beside the tables could be replaced, filled or dropped by that other role, and tables that reference ours without the right to would keep rows from being deleted. The new owner gets EXECUTE on every function, and takes from the owner before, unless he is a superuser, what this function gave him, and from everybody what is not recorded by grant_application_access. The functions of claude_gpt read and write the tables as their owner, so an owner that is no superuser keeps every trigger, policy and index expression on them from running as one. Without tables, as before a restore by that role, it gives the empty schemas, and EXECUTE on what triggers and defaults of the tables call; the rest comes with migrate. Errors: 22004 NULL; 42704 no such role; 42501 the caller is neither superuser nor owner, or a superuser, or a role that may become one, would take over what a role that is none has made. Locks: ACCESS EXCLUSIVE on every table, all before one is changed; after a deadlock it begins anew, without the autovacuum that it met.';
