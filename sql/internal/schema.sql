-- Topic schema: the tables and their migrations.

CREATE FUNCTION claude_gpt_internal.require_column_types() RETURNS void
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_require_column_types';
COMMENT ON FUNCTION claude_gpt_internal.require_column_types() IS
'Refuses tables of which a column has a type that the functions cannot read and write. Part of detach and health. Errors: 42804.';

CREATE FUNCTION claude_gpt_internal.library_release() RETURNS text
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'claude_gpt_library_release';
COMMENT ON FUNCTION claude_gpt_internal.library_release() IS
'The release of the library that the server has loaded. Part of updates, which need that of the new release.';

-- What the schemas of the code hold is called by superusers, by names that others could take.
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
    FROM (SELECT n.nspname, quote_ident(r.rolname) AS role FROM code AS n JOIN pg_roles AS r ON r.oid = n.nspowner AND NOT r.rolsuper
          UNION
          SELECT n.nspname, COALESCE(quote_ident(r.rolname), 'everybody') FROM code AS n
          CROSS JOIN LATERAL aclexplode(n.nspacl) AS x LEFT JOIN pg_roles AS r ON r.oid = x.grantee
          WHERE x.privilege_type = 'CREATE' AND r.rolsuper IS DISTINCT FROM true) AS a
$$;
COMMENT ON FUNCTION claude_gpt_internal.strangers_in_code() IS
'What lies in claude_gpt and claude_gpt_internal without being a member of the extension ("object"), and the roles that are no superusers and own one of these schemas or may create there ("role"). Part of migrate, updates and health. Locks nothing.';

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
