-- Topic partitions: how a plain table becomes a partitioned one.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.partitioning_obstacles(p_relation regclass) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH target AS (
        SELECT c.*, (SELECT a.attnum FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'id') AS id_column,
               y.typarray FROM pg_class AS c JOIN pg_type AS y ON y.oid = c.reltype WHERE c.oid = p_relation
    ), dependent AS (
        SELECT d.classid, d.objid, d.objsubid FROM target AS t JOIN pg_depend AS d
            ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
            OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.reltype, t.typarray)
        EXCEPT SELECT d.classid, d.objid, d.objsubid FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass AND d.objid IN (SELECT unnest(ARRAY[t.reltype, t.typarray]) FROM target AS t)
        EXCEPT SELECT 'pg_class'::regclass, i.indexrelid, 0 FROM pg_index AS i WHERE i.indrelid = p_relation
        EXCEPT SELECT 'pg_class'::regclass, t.reltoastrelid, 0 FROM target AS t
        EXCEPT SELECT 'pg_class'::regclass, d.objid, 0 FROM pg_depend AS d WHERE d.refobjid = p_relation AND d.classid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
        EXCEPT SELECT 'pg_attrdef'::regclass, f.oid, 0 FROM pg_attrdef AS f WHERE f.adrelid = p_relation
        EXCEPT SELECT 'pg_constraint'::regclass, k.oid, 0 FROM pg_constraint AS k WHERE k.conrelid = p_relation OR k.confrelid = p_relation
        EXCEPT SELECT 'pg_trigger'::regclass, g.oid, 0 FROM pg_trigger AS g WHERE g.tgrelid = p_relation
        EXCEPT SELECT 'pg_policy'::regclass, p.oid, 0 FROM pg_policy AS p WHERE p.polrelid = p_relation
        EXCEPT SELECT 'pg_statistic_ext'::regclass, s.oid, 0 FROM pg_statistic_ext AS s WHERE s.stxrelid = p_relation
        EXCEPT SELECT 'pg_publication_rel'::regclass, r.oid, 0 FROM pg_publication_rel AS r WHERE r.prrelid = p_relation
        -- Views of the owner in this schema, ours above all, are made again in place.
        EXCEPT SELECT 'pg_rewrite'::regclass, w.oid, 0 FROM pg_rewrite AS w JOIN pg_class AS v ON v.oid = w.ev_class, target AS t
            WHERE v.oid = t.oid OR v.relkind = 'v' AND v.relnamespace = t.relnamespace AND v.relowner = t.relowner
    )
    SELECT COALESCE((SELECT CASE v.relkind WHEN 'm' THEN 'materialized view ' WHEN 'v' THEN 'view ' END || v.oid::regclass
                     FROM pg_rewrite AS w JOIN pg_class AS v ON v.oid = w.ev_class WHERE d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid),
                    pg_describe_object(d.classid, d.objid, d.objsubid))
    FROM dependent AS d
    UNION
    SELECT 'an unlogged table' FROM target AS t WHERE t.relpersistence <> 'p'
    UNION
    SELECT format('inheritance between %s and %s', i.inhrelid::regclass, i.inhparent::regclass) FROM pg_inherits AS i WHERE p_relation IN (i.inhrelid, i.inhparent)
    UNION
    SELECT format('type %s of the table', t.reloftype::regtype) FROM target AS t WHERE t.reloftype <> 0
    UNION
    SELECT format('rule %I', w.rulename) FROM pg_rewrite AS w WHERE w.ev_class = p_relation
    UNION
    SELECT format('identity column %I', a.attname) FROM pg_attribute AS a WHERE a.attrelid = p_relation AND a.attidentity <> '' AND NOT a.attisdropped
    UNION
    SELECT format('constraint %I, which %s', k.conname, CASE WHEN NOT k.convalidated THEN 'is not validated' WHEN k.contype = 'x' THEN 'excludes' ELSE 'is not inherited' END)
    FROM pg_constraint AS k WHERE k.conrelid = p_relation AND (NOT k.convalidated OR k.contype = 'x' OR k.contype = 'c' AND k.connoinherit)
    UNION
    SELECT format('unique index %I, which does not include id', c.relname) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid, target AS t
    WHERE i.indrelid = p_relation AND i.indisunique AND NOT t.id_column = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1])
    UNION
    SELECT format('index %I, which is not valid', c.relname) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = p_relation AND NOT (i.indisvalid AND i.indisready)
    UNION
    SELECT format('replica identity %I', c.relname) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = p_relation AND i.indisreplident
    UNION
    SELECT format('trigger %I, for each row with a transition table', g.tgname) FROM pg_trigger AS g
    WHERE g.tgrelid = p_relation AND NOT g.tgisinternal AND g.tgtype::integer & 1 = 1 AND (g.tgoldtable IS NOT NULL OR g.tgnewtable IS NOT NULL)
    UNION
    SELECT format('a security label of %s', l.provider) FROM pg_seclabel AS l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = p_relation
    UNION
    SELECT format('foreign key %I of %s, which %s', k.conname, k.conrelid::regclass,
                  CASE WHEN k.convalidated THEN format('belongs to %s', c.relowner::regrole) ELSE 'is not validated' END)
    FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
    WHERE k.contype = 'f' AND k.confrelid = p_relation AND k.conparentid = 0 AND (NOT k.convalidated OR NOT pg_has_role(c.relowner, 'USAGE'))
    UNION
    SELECT format('publication %I, which %s', p.pubname,
                  CASE WHEN NOT p.pubviaroot THEN 'would publish its partitions under their own names (publish_via_partition_root = false)'
                       ELSE format('belongs to %s', p.pubowner::regrole) END)
    FROM pg_publication AS p, target AS t
    WHERE (p.puballtables OR EXISTS (SELECT FROM pg_publication_rel AS r WHERE r.prpubid = p.oid AND r.prrelid = p_relation)
                          OR EXISTS (SELECT FROM pg_publication_namespace AS n WHERE n.pnpubid = p.oid AND n.pnnspid = t.relnamespace))
      AND (NOT p.pubviaroot OR EXISTS (SELECT FROM pg_publication_rel AS r WHERE r.prpubid = p.oid AND r.prrelid = p_relation) AND NOT pg_has_role(p.pubowner, 'USAGE'))
    UNION
    SELECT format('subscription %I', s.subname) FROM pg_subscription_rel AS r JOIN pg_subscription AS s ON s.oid = r.srsubid WHERE r.srrelid = p_relation
    ORDER BY 1
$$;
COMMENT ON FUNCTION claude_gpt_internal.partitioning_obstacles(regclass) IS
'What keeps a table from being partitioned in place: dependants that would go on using the old table, and properties that a partitioned table cannot have. No rows if there is nothing.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.table_grants(p_relation regclass) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('GRANT %s ON %%s TO %s%s', g.privilege_type || g.column_list, COALESCE(quote_ident(r.rolname), 'PUBLIC'), CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM (SELECT x.privilege_type, '' AS column_list, x.grantee, x.is_grantable
          FROM pg_class AS c, aclexplode(c.relacl) AS x WHERE c.oid = p_relation
          UNION ALL
          SELECT x.privilege_type, format(' (%I)', a.attname), x.grantee, x.is_grantable
          FROM pg_attribute AS a, aclexplode(a.attacl) AS x WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped) AS g
    LEFT JOIN pg_roles AS r ON r.oid = g.grantee
$$;
COMMENT ON FUNCTION claude_gpt_internal.table_grants(regclass) IS
'The privileges on a table and its columns, as GRANT statements with %s for its name; none where they are the default.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.revoke_table_grants(p_relation regclass, p_from_owner boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    grantee record;
BEGIN
    PERFORM claude_gpt_internal.require_owner(p_relation);
    FOR grantee IN
        SELECT DISTINCT x.grantee = c.relowner AS is_owner, COALESCE(quote_ident(r.rolname), 'PUBLIC') AS name
        FROM pg_class AS c
        CROSS JOIN LATERAL (SELECT e.grantee FROM aclexplode(c.relacl) AS e
                            UNION SELECT e.grantee FROM pg_attribute AS a, aclexplode(a.attacl) AS e WHERE a.attrelid = c.oid) AS x
        LEFT JOIN pg_roles AS r ON r.oid = x.grantee
        WHERE c.oid = p_relation
    LOOP
        CONTINUE WHEN grantee.is_owner AND NOT p_from_owner;
        EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', p_relation, grantee.name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.revoke_table_grants(regclass, boolean) IS
'Takes from everybody what was granted on a table and its columns; from its owner only if asked to.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.table_properties(p_relation regclass) RETURNS TABLE (rank integer, statement text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH target AS (SELECT c.*, format('%s', c.oid::regclass) AS name FROM pg_class AS c WHERE c.oid = p_relation)
    -- Keys and indexes, then what hangs on them.
    SELECT 1, format('ALTER TABLE %s ADD CONSTRAINT %I %s', t.name, k.conname, pg_get_constraintdef(k.oid))
    FROM target AS t JOIN pg_constraint AS k ON k.conrelid = t.oid AND (k.contype IN ('p', 'u') OR k.contype = 'f' AND k.confrelid <> t.oid AND k.conparentid = 0)
    UNION ALL
    SELECT 1, pg_get_indexdef(i.indexrelid) FROM target AS t JOIN pg_index AS i ON i.indrelid = t.oid
    WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))
    UNION ALL
    SELECT 1, pg_get_triggerdef(g.oid) FROM target AS t JOIN pg_trigger AS g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
    UNION ALL
    SELECT 1, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, t.name, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                     CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                     (SELECT string_agg(COALESCE(quote_ident(r.rolname), 'PUBLIC'), ', ') FROM unnest(p.polroles) AS x LEFT JOIN pg_roles AS r ON r.oid = x),
                     ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
    FROM target AS t JOIN pg_policy AS p ON p.polrelid = t.oid
    UNION ALL
    SELECT 1, pg_get_statisticsobjdef(s.oid) FROM target AS t JOIN pg_statistic_ext AS s ON s.stxrelid = t.oid
    UNION ALL
    SELECT 2, format('ALTER TABLE %s %s TRIGGER %I', t.name, CASE g.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'DISABLE' END, g.tgname)
    FROM target AS t JOIN pg_trigger AS g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal AND g.tgenabled <> 'O'
    UNION ALL
    SELECT 2, format('ALTER TABLE %s %s ROW LEVEL SECURITY', t.name, f.how)
    FROM target AS t, LATERAL (VALUES (t.relrowsecurity, 'ENABLE'), (t.relforcerowsecurity, 'FORCE')) AS f (is_set, how) WHERE f.is_set
    UNION ALL
    SELECT 2, format('ALTER TABLE %s REPLICA IDENTITY %s', t.name, CASE t.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END) FROM target AS t WHERE t.relreplident IN ('f', 'n')
    UNION ALL
    SELECT 2, format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', t.name, a.attname, a.attstattarget)
    FROM target AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE a.attstattarget >= 0
    UNION ALL
    SELECT 2, format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', t.name, a.attname, o)
    FROM target AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped, unnest(a.attoptions) AS o WHERE starts_with(o, 'n_distinct')
    UNION ALL
    SELECT 2, format('ALTER SEQUENCE %s OWNED BY %s.%I', d.objid::regclass, t.name, a.attname)
    FROM target AS t JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'a'
    JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
    UNION ALL
    SELECT 2, format('ALTER INDEX %I.%I SET TABLESPACE %I', n.nspname, c.relname, s.spcname)
    FROM target AS t JOIN pg_index AS i ON i.indrelid = t.oid JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_tablespace AS s ON s.oid = c.reltablespace
    UNION ALL
    SELECT 2, format('ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname, s.stxstattarget)
    FROM target AS t JOIN pg_statistic_ext AS s ON s.stxrelid = t.oid JOIN pg_namespace AS n ON n.oid = s.stxnamespace WHERE s.stxstattarget >= 0
    UNION ALL
    SELECT 2, format('ALTER PUBLICATION %I ADD TABLE ONLY %s%s%s', p.pubname, t.name,
                     ' (' || (SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_attribute AS a WHERE a.attrelid = t.oid AND a.attnum = ANY (r.prattrs::smallint[])) || ')',
                     ' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')')
    FROM target AS t JOIN pg_publication_rel AS r ON r.prrelid = t.oid JOIN pg_publication AS p ON p.oid = r.prpubid
    UNION ALL
    SELECT 2, format('COMMENT ON %s IS %L', o.name, d.description)
    FROM target AS t
    CROSS JOIN LATERAL (
        SELECT 'pg_class'::regclass AS class, t.oid AS object, 'TABLE ' || t.name AS name
        UNION ALL SELECT 'pg_class'::regclass, i.indexrelid, format('INDEX %s', i.indexrelid::regclass) FROM pg_index AS i WHERE i.indrelid = t.oid
        UNION ALL SELECT 'pg_constraint'::regclass, k.oid, format('CONSTRAINT %I ON %s', k.conname, t.name) FROM pg_constraint AS k WHERE k.conrelid = t.oid AND k.contype IN ('p', 'u', 'f') AND k.confrelid <> t.oid
        UNION ALL SELECT 'pg_trigger'::regclass, g.oid, format('TRIGGER %I ON %s', g.tgname, t.name) FROM pg_trigger AS g WHERE g.tgrelid = t.oid
        UNION ALL SELECT 'pg_policy'::regclass, p.oid, format('POLICY %I ON %s', p.polname, t.name) FROM pg_policy AS p WHERE p.polrelid = t.oid
        UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid, format('STATISTICS %I.%I', n.nspname, s.stxname) FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace WHERE s.stxrelid = t.oid
    ) AS o
    JOIN pg_description AS d ON d.classoid = o.class AND d.objoid = o.object AND d.objsubid = 0
    -- Views keep their identity, so privileges, comments and what depends on them stay.
    UNION ALL
    SELECT 3, format('CREATE OR REPLACE VIEW %s%s AS %s', v.oid::regclass, ' WITH (' || array_to_string(v.reloptions, ', ') || ')', pg_get_viewdef(v.oid))
    FROM target AS t
    JOIN pg_class AS v ON v.relkind = 'v' AND v.oid IN (SELECT w.ev_class FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                                                        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid)
$$;
COMMENT ON FUNCTION claude_gpt_internal.table_properties(regclass) IS
'The statements that make for a new table of the same name and columns what a table has: keys, indexes, triggers, policies, statistics, settings, publications, comments, and the views over it. Foreign keys to itself and privileges are not among them.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.convert_to_partitions(p_relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    old record;
    fresh regclass;
    part record;
    new_name text;
    grants text[];
    statements record;
    references_to_us jsonb;
BEGIN
    PERFORM claude_gpt_internal.require_owner(p_relation);
    SELECT c.relname, c.relnamespace::regnamespace AS schema, c.relacl IS NOT NULL AS has_grants, r.rolname AS owner, s.spcname AS place INTO old
    FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace WHERE c.oid = p_relation;
    SELECT array_agg(g) INTO grants FROM claude_gpt_internal.table_grants(p_relation) AS g;
    SELECT array_agg(p.statement ORDER BY p.rank) FILTER (WHERE p.rank < 3) AS of_table, array_agg(p.statement) FILTER (WHERE p.rank = 3) AS of_views
    INTO statements FROM claude_gpt_internal.table_properties(p_relation) AS p;

    references_to_us := claude_gpt_internal.drop_references(p_relation, true);
    FOR part IN
        SELECT format('DROP TRIGGER %I ON %s', g.tgname, p_relation) AS statement FROM pg_trigger AS g WHERE g.tgrelid = p_relation AND NOT g.tgisinternal
        UNION ALL SELECT format('DROP POLICY %I ON %s', p.polname, p_relation) FROM pg_policy AS p WHERE p.polrelid = p_relation
        UNION ALL SELECT format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', p_relation)
        UNION ALL SELECT format('ALTER PUBLICATION %I DROP TABLE %s', b.pubname, p_relation)
                  FROM pg_publication_rel AS r JOIN pg_publication AS b ON b.oid = r.prpubid WHERE r.prrelid = p_relation
        UNION ALL SELECT format('COMMENT ON TABLE %s IS NULL', p_relation)
        -- They would move to another schema with the table.
        UNION ALL SELECT format('ALTER SEQUENCE %s OWNED BY NONE', d.objid::regclass)
                  FROM pg_depend AS d JOIN pg_class AS q ON q.oid = d.objid AND q.relkind = 'S'
                  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_relation AND d.deptype = 'a'
    LOOP
        EXECUTE part.statement;
    END LOOP;
    PERFORM claude_gpt_internal.revoke_table_grants(p_relation, false);

    -- The names go to the partitioned table.
    new_name := old.relname || '_default';
    FOR i IN 2..100 LOOP
        EXIT WHEN to_regclass(format('claude_gpt_partitions.%I', new_name)) IS NULL;
        new_name := old.relname || '_default_' || i;
    END LOOP;
    EXECUTE format('ALTER TABLE %s SET SCHEMA claude_gpt_partitions', p_relation);
    EXECUTE format('ALTER TABLE %s RENAME TO %I', p_relation, new_name);
    FOR part IN
        SELECT 'INDEX' AS kind, n.nspname AS schema, c.relname AS name FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE i.indrelid = p_relation
        UNION ALL
        SELECT 'STATISTICS', n.nspname, s.stxname FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace WHERE s.stxrelid = p_relation
    LOOP
        new_name := left(part.name, 50) || '_default';
        FOR i IN 2..100 LOOP
            EXIT WHEN NOT EXISTS (SELECT FROM pg_class AS c WHERE c.relname = new_name AND c.relnamespace = part.schema::text::regnamespace)
                  AND NOT EXISTS (SELECT FROM pg_statistic_ext AS s WHERE s.stxname = new_name AND s.stxnamespace = part.schema::text::regnamespace);
            new_name := left(part.name, 50) || '_default_' || i;
        END LOOP;
        EXECUTE format('ALTER %s %I.%I RENAME TO %I', part.kind, part.schema, part.name, new_name);
    END LOOP;

    EXECUTE format('CREATE TABLE %s.%I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS) PARTITION BY RANGE (id)',
                   old.schema, old.relname, p_relation) || COALESCE(' TABLESPACE ' || quote_ident(old.place), '');
    fresh := format('%s.%I', old.schema, old.relname)::regclass;
    IF old.owner <> current_user THEN
        EXECUTE format('ALTER TABLE %s OWNER TO %I', fresh, old.owner);
    END IF;
    FOR i IN 1..cardinality(statements.of_table) LOOP
        EXECUTE statements.of_table[i];
    END LOOP;
    -- Nothing is read: without other partitions the DEFAULT holds everything, and indexes and keys are at hand.
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s DEFAULT', fresh, p_relation);
    FOR i IN 1..COALESCE(cardinality(statements.of_views), 0) LOOP
        EXECUTE statements.of_views[i];
    END LOOP;
    PERFORM claude_gpt_internal.revoke_table_grants(fresh, old.has_grants);
    FOR i IN 1..COALESCE(cardinality(grants), 0) LOOP
        EXECUTE format(grants[i], fresh);
    END LOOP;
    PERFORM claude_gpt_internal.add_references(references_to_us);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.convert_to_partitions(regclass) IS
'Puts a table partitioned by id in the place of a table, which becomes its DEFAULT partition. The new table takes over the name and what table_properties says; the foreign keys to it are left to finish_references. Locks: ACCESS EXCLUSIVE on the table, on those that reference it or that it references, on its views and on the tables of sibling_references, until the transaction ends.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.partition_table_step(p_table text, p_width text, p_now timestamptz) RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
AS $$
DECLARE
    relation regclass;
    kind "char";
    obstacles text;
    part record;
    period record;
BEGIN
    IF p_table IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_table must not be null';
    END IF;
    -- The first partition is of the coming period, but leaves time to make it before it begins.
    period := claude_gpt_internal.partition_period(p_width, p_now + interval '1 day');
    IF p_table <> 'messages' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('table "%s" cannot be partitioned', p_table),
            DETAIL = 'Only messages can; audit_logs and usage_records are from the beginning.';
    END IF;
    SELECT c.oid::regclass, c.relkind INTO relation, kind FROM pg_class AS c WHERE c.relnamespace = 'claude_gpt_data'::regnamespace AND c.relname = p_table AND c.relkind IN ('r', 'p');
    IF relation IS NULL THEN
        RAISE undefined_table USING MESSAGE = format('table "claude_gpt_data.%s" does not exist', p_table);
    END IF;
    PERFORM claude_gpt_internal.require_owner(relation);
    IF kind = 'p' THEN
        IF NOT EXISTS (SELECT FROM claude_gpt_internal.partitions_of(relation) AS p WHERE NOT p.is_default)
           OR EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = (claude_gpt_internal.partitioned_table(p_table)).default_partition AND k.conname = 'claude_gpt_leaves_partition') THEN
            RETURN claude_gpt_internal.create_next_partition(p_table, period.to_at, period.to_at + interval '1 day', p_width);
        END IF;
        RETURN claude_gpt_internal.finish_references();
    END IF;

    SELECT string_agg(o, '; ') INTO obstacles FROM claude_gpt_internal.partitioning_obstacles(relation) AS o;
    IF obstacles IS NULL THEN
        -- Tables before their children, as they are written, and at once in the mode that is needed.
        FOR part IN
            SELECT DISTINCT array_position(ARRAY['users', 'conversations', 'messages'], c.relname::text) AS rank, c.oid::regclass AS name
            FROM pg_constraint AS k JOIN pg_class AS c ON c.oid IN (k.conrelid, k.confrelid)
            WHERE k.contype = 'f' AND k.conparentid = 0 AND relation IN (k.conrelid, k.confrelid) AND has_table_privilege(c.oid, 'UPDATE')
            ORDER BY 1 NULLS LAST, 2
        LOOP
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', part.name);
        END LOOP;
        SELECT string_agg(o, '; ') INTO obstacles FROM claude_gpt_internal.partitioning_obstacles(relation) AS o;
    END IF;
    IF obstacles IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('table "claude_gpt_data.%s" cannot be partitioned as it is', p_table),
            DETAIL = format('In the way: %s.', obstacles),
            HINT = 'Drop or change them first. What uses the table may be created again afterwards.';
    END IF;
    PERFORM claude_gpt_internal.convert_to_partitions(relation);
    RETURN format('partitioned table %s, whose rows are in partition %s_default', p_table, p_table);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.partition_table_step(text, text, timestamptz) IS
'Does the next step that makes messages a table partitioned by ranges of its id, in periods of the given width, in place: the table becomes the DEFAULT partition, which keeps what it holds and what comes before the first period, the one that begins next. Returns what it did, NULL when nothing is left to do; one call belongs into one transaction. Columns, indexes, triggers, policies, privileges, comments, statistics, publications, foreign keys and the owner''s views of the schema stay as they are; foreign keys to messages are added again and validated by later steps, also of create_next_partition. Errors: 22004 NULL; 22023 no such width, or another table; 42P01 no such table; 55000 something depends on the table or belongs to it that cannot be carried over, named in the detail, before anything is changed; 55P03 under a lock_timeout; 42501 the caller does not own the table, or is a superuser and the owner is none. Locks: for the conversion, until the transaction ends, ACCESS EXCLUSIVE on users, conversations, messages, the tables that reference it and the views over it; then those of create_next_partition and finish_references.';
