-- Topic partitions: foreign keys that point at a table or away from it, while partitions come and go.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.lock_referenced_tables(p_relation regclass, p_is_swap boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    referenced record;
BEGIN
    PERFORM claude_gpt_internal.require_owner(p_relation);
    FOR referenced IN
        SELECT DISTINCT array_position(ARRAY['users', 'conversations', 'messages'], c.relname::text) AS rank, c.oid::regclass AS relation
        FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.confrelid
        WHERE k.conrelid = p_relation AND k.contype = 'f' AND k.conparentid = 0 AND k.confrelid <> p_relation
          AND has_table_privilege(c.oid, 'UPDATE')
        ORDER BY 1 NULLS LAST, 2
    LOOP
        EXECUTE format('LOCK TABLE %s IN %s MODE', referenced.relation, CASE WHEN p_is_swap THEN 'ACCESS EXCLUSIVE' ELSE 'SHARE ROW EXCLUSIVE' END);
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.lock_referenced_tables(regclass, boolean) IS
'Locks the tables that the foreign keys of a table reference, as attaching a partition does, but in the order in which the functions of claude_gpt write them, and at once in the mode that is needed: a partition that has foreign keys of its own, as one that is swapped, loses their triggers on the referenced tables. Locks: SHARE ROW EXCLUSIVE on them; ACCESS EXCLUSIVE for a swap.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.copied_columns(p_relation regclass) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute AS a
    WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
$$;
COMMENT ON FUNCTION claude_gpt_internal.copied_columns(regclass) IS 'The columns of a table that a copy of a row must be given, as a list in SQL.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.sibling_references(p_relation regclass) RETURNS SETOF oid
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT k.oid FROM pg_constraint AS k
    WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confdeltype IN ('n', 'd') AND k.conrelid <> p_relation
      AND k.conrelid IN (SELECT i.conrelid FROM pg_constraint AS i WHERE i.contype = 'f' AND i.conparentid = 0 AND i.confrelid = p_relation)
      AND k.confrelid IN (SELECT o.confrelid FROM pg_constraint AS o WHERE o.contype = 'f' AND o.conparentid = 0 AND o.conrelid = p_relation)
$$;
COMMENT ON FUNCTION claude_gpt_internal.sibling_references(regclass) IS
'Foreign keys that must stay younger than those of a table: of tables that reference it, to tables that it references, with ON DELETE SET NULL. Foreign keys act in the order of their creation; the deletion of a conversation must reach its messages before it updates usage records, or records of the same transaction are found to refer to messages that are gone.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.drop_references(p_relation regclass, p_with_siblings boolean) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reference record;
    dropped jsonb := jsonb '[]';
BEGIN
    PERFORM claude_gpt_internal.require_owner(p_relation);
    FOR reference IN
        SELECT k.conrelid::regclass AS relation, k.conname, pg_get_constraintdef(k.oid) AS definition, obj_description(k.oid, 'pg_constraint') AS remark,
               (SELECT jsonb_agg(l.relid::oid::bigint) FROM pg_partition_tree(k.conrelid) AS l WHERE l.isleaf) AS leaves
        FROM pg_constraint AS k
        WHERE k.contype = 'f' AND k.conparentid = 0
          AND (k.confrelid = p_relation
               OR p_with_siblings AND k.oid IN (SELECT s FROM claude_gpt_internal.sibling_references(p_relation) AS s))
        ORDER BY k.confrelid <> p_relation, k.conrelid, k.conname
    LOOP
        dropped := dropped || jsonb_build_object('name', reference.conname, 'remark', reference.remark,
            'leaves', COALESCE(reference.leaves, jsonb_build_array(reference.relation::oid::bigint)),
            'definition', regexp_replace(reference.definition, ' NOT VALID$', ''));
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', reference.relation, reference.conname);
    END LOOP;
    RETURN dropped;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.drop_references(regclass, boolean) IS
'Drops the foreign keys that reference a table, and its sibling_references if asked to, and returns what add_references needs. Locks: ACCESS EXCLUSIVE on both tables of each.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.add_references(p_dropped jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reference record;
BEGIN
    FOR reference IN
        SELECT d.value ->> 'name' AS name, d.value ->> 'definition' AS definition, d.value ->> 'remark' AS remark, l.value::oid::regclass AS relation
        FROM jsonb_array_elements(p_dropped) AS d, jsonb_array_elements_text(d.value -> 'leaves') AS l
    LOOP
        PERFORM claude_gpt_internal.require_owner(reference.relation);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', reference.relation, reference.name, reference.definition);
        -- Marks what finish_references has to finish.
        EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS %L', reference.name, reference.relation,
                       'claude_gpt: not yet validated' || COALESCE(E'\n' || regexp_replace(reference.remark, E'^claude_gpt: not yet validated(\n|$)', ''), ''));
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.add_references(jsonb) IS
'Adds the foreign keys again that drop_references dropped: NOT VALID, and on each partition, since a partitioned table takes no such key. New rows are checked from then on; finish_references does the rest. Locks: SHARE ROW EXCLUSIVE on both tables of each.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.unfinished_references() RETURNS TABLE (reference oid, remark text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT k.oid, NULLIF(substr(d.description, length('claude_gpt: not yet validated') + 2), '')
    FROM pg_constraint AS k
    JOIN pg_description AS d ON d.classoid = 'pg_constraint'::regclass AND d.objoid = k.oid AND d.description ~ E'^claude_gpt: not yet validated(\n|$)'
    WHERE k.contype = 'f'
$$;
COMMENT ON FUNCTION claude_gpt_internal.unfinished_references() IS
'The foreign keys that add_references has added and finish_references has not yet finished, with the comment they are to have. None while nothing is being partitioned.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.finish_references() RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reference record;
    root regclass;
    leaf record;
BEGIN
    SELECT k.conrelid::regclass AS relation, k.confrelid::regclass AS referenced, k.conname, k.convalidated, pg_get_constraintdef(k.oid) AS definition, u.remark INTO reference
    FROM claude_gpt_internal.unfinished_references() AS u JOIN pg_constraint AS k ON k.oid = u.reference
    ORDER BY k.convalidated, k.conname, k.conrelid LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM claude_gpt_internal.require_owner(reference.relation);
    IF NOT reference.convalidated THEN
        EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', reference.relation, reference.conname);
        RETURN format('validated foreign key %s of %s', reference.conname, reference.relation);
    END IF;
    root := pg_partition_root(reference.relation);
    IF root IS NOT NULL AND root <> reference.relation THEN
        -- The triggers on it that belonged to the partitions' own keys go.
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', reference.referenced);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', root, reference.conname, reference.definition);
        FOR leaf IN
            SELECT k.conrelid::regclass AS relation, k.conname
            FROM claude_gpt_internal.unfinished_references() AS u JOIN pg_constraint AS k ON k.oid = u.reference
            WHERE k.conname = reference.conname AND k.conrelid IN (SELECT l.relid FROM pg_partition_tree(root) AS l)
        LOOP
            EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS NULL', leaf.conname, leaf.relation);
        END LOOP;
    ELSE
        root := reference.relation;
    END IF;
    EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS %L', reference.conname, root, reference.remark);
    RETURN format('restored foreign key %s of %s', reference.conname, root);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.finish_references() IS
'The next step that makes the foreign keys of add_references whole again: validates one of them, or adds it to the partitioned table whose partitions all have it. Returns what it did, NULL when nothing is left to do. Locks: SHARE UPDATE EXCLUSIVE on the table that is validated; of a key that is added, ACCESS EXCLUSIVE on the table that it references and SHARE ROW EXCLUSIVE on the other.';
