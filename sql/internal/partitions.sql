-- Topic partitions: tables that are split by time, and how messages become one.
-- Step functions do the work of one short transaction a call, keep their state in the catalog alone, and are
-- called until they return NULL. They never catch a lock error: the caller rolls back and calls again.
-- Where several locks are taken: users, conversations, messages, then the partitioned table, then its partitions.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.partition_period(p_width text, p_moment timestamptz, OUT from_at timestamptz, OUT to_at timestamptz)
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    start timestamp := date_trunc(CASE p_width WHEN '1 week' THEN 'week' WHEN '1 month' THEN 'month'
                                               WHEN '3 months' THEN 'quarter' WHEN '1 year' THEN 'year' END, p_moment AT TIME ZONE 'UTC');
BEGIN
    IF p_width IS NULL OR p_moment IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'width and moment must not be null';
    END IF;
    IF start IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('partition width "%s" is not known', p_width),
            DETAIL = 'Widths are 1 week, 1 month, 3 months and 1 year.';
    END IF;
    from_at := start AT TIME ZONE 'UTC';
    to_at := (start + CASE p_width WHEN '1 week' THEN interval '7 days' WHEN '1 month' THEN interval '1 month'
                                   WHEN '3 months' THEN interval '3 months' ELSE interval '1 year' END) AT TIME ZONE 'UTC';
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.partition_period(text, timestamptz) IS
'The week (ISO), month, quarter or year, in UTC, that holds a moment: from from_at to before to_at. Errors: 22004 NULL; 22023 the width is none of "1 week", "1 month", "3 months", "1 year".';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.partition_name(p_table name, p_width text, p_from timestamptz, p_to timestamptz) RETURNS name
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    label CONSTANT text := CASE p_width WHEN '1 week' THEN 'IYYY"w"IW' WHEN '1 month' THEN 'YYYY"m"MM'
                                        WHEN '3 months' THEN 'YYYY"q"Q' ELSE 'YYYY' END;
    first CONSTANT text := to_char(p_from AT TIME ZONE 'UTC', label);
    last CONSTANT text := to_char((p_to - interval '1 microsecond') AT TIME ZONE 'UTC', label);
    plain CONSTANT text := left(p_table, 40) || '_' || first || CASE WHEN last = first THEN '' ELSE '_' || last END;
    taken integer := 1;
BEGIN
    WHILE to_regclass(format('claude_gpt_partitions.%I', plain || CASE WHEN taken = 1 THEN '' ELSE '_' || taken END)) IS NOT NULL LOOP
        taken := taken + 1;
    END LOOP;
    RETURN (plain || CASE WHEN taken = 1 THEN '' ELSE '_' || taken END)::name;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.partition_name(name, text, timestamptz, timestamptz) IS
'A free name for the partition of a range: audit_logs_2026w47, usage_records_2026q4, messages_2027; over several periods the first and the last, audit_logs_2025w01_2026w46; with _2, _3 where the name is taken.';

-- Levels: operator monitor
CREATE FUNCTION claude_gpt_internal.partition_moment(p_bound text, p_type regtype, p_is_upper boolean) RETURNS timestamptz
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
AS $$
DECLARE
    digits CONSTANT text := replace(p_bound, '-', '');
    moment timestamptz;
BEGIN
    IF p_bound IN ('MINVALUE', 'MAXVALUE') THEN
        RETURN CASE p_bound WHEN 'MINVALUE' THEN timestamptz '-infinity' ELSE 'infinity' END;
    ELSIF p_type = 'timestamptz'::regtype THEN
        RETURN p_bound::timestamptz;
    ELSIF p_type <> 'uuid'::regtype THEN
        RETURN NULL;
    END IF;
    moment := timestamptz 'epoch' + ('x' || left(digits, 12))::bit(48)::bigint * interval '1 millisecond';
    -- A bound inside of a millisecond, which is not ours, ends after it.
    RETURN moment + CASE WHEN p_is_upper AND right(digits, 20) > '70008000000000000000' THEN interval '1 millisecond' ELSE interval '0' END;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.partition_moment(text, regtype, boolean) IS
'The moment that a bound of a partition stands for: of a timestamptz itself, of a uuid the time in its first 48 bits; NULL for other types.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.partition_bound(p_moment timestamptz, p_type regtype) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
AS $$
    SELECT CASE WHEN p_type = 'uuid'::regtype THEN claude_gpt.uuid_v7_floor(p_moment)::text ELSE p_moment::text END
$$;
COMMENT ON FUNCTION claude_gpt_internal.partition_bound(timestamptz, regtype) IS
'The value at which a partition begins or ends at a moment: of a timestamptz itself, of a uuid the smallest id of version 7. Errors: those of uuid_v7_floor.';

-- Levels: operator monitor
CREATE FUNCTION claude_gpt_internal.partitioned_table(p_table text, OUT relation regclass, OUT key_column name, OUT key_type regtype, OUT default_partition regclass)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kind "char";
BEGIN
    IF p_table IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_table must not be null';
    END IF;
    SELECT c.oid::regclass, c.relkind, a.attname, a.atttypid::regtype, NULLIF(t.partdefid, 0)::regclass INTO relation, kind, key_column, key_type, default_partition
    FROM pg_class AS c
    LEFT JOIN pg_partitioned_table AS t ON t.partrelid = c.oid
    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = t.partattrs[0] AND t.partnatts = 1 AND t.partstrat = 'r'
        AND a.atttypid IN ('timestamptz'::regtype, 'uuid'::regtype)
    WHERE c.relnamespace = 'claude_gpt_data'::regnamespace AND c.relname = p_table AND c.relkind IN ('r', 'p', 'v', 'm', 'f');
    IF relation IS NULL THEN
        RAISE undefined_table USING MESSAGE = format('table "claude_gpt_data.%s" does not exist', p_table);
    END IF;
    IF kind <> 'p' OR key_column IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('table "claude_gpt_data.%s" is not partitioned%s', p_table, CASE kind WHEN 'p' THEN ' by time' ELSE '' END),
            HINT = CASE WHEN p_table = 'messages' THEN 'CALL claude_gpt.partition_table(''messages'', ''1 year'') partitions it.' ELSE '' END;
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.partitioned_table(text) IS
'A table of schema claude_gpt that is partitioned by ranges of time: its key column, of type timestamptz or uuid, and its DEFAULT partition, NULL if it has none. Errors: 22004 NULL; 42P01 no such table; 22023 the table is not partitioned so.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.require_owner(p_relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner record;
BEGIN
    SELECT c.relowner AS oid, claude_gpt_internal.is_superuser(c.relowner) AS is_superuser INTO owner FROM pg_class AS c WHERE c.oid = p_relation;
    IF NOT pg_has_role(owner.oid, 'USAGE') THEN
        RAISE insufficient_privilege USING MESSAGE = format('must be owner of table %s', p_relation);
    END IF;
    IF NOT owner.is_superuser AND claude_gpt_internal.is_superuser(current_user::regrole) THEN
        RAISE insufficient_privilege USING MESSAGE = format('a superuser cannot change table %s of a role that is none', p_relation),
            DETAIL = 'Triggers and index expressions of that role would run as superuser.',
            HINT = 'Call create_partitions, drop_partitions_before or partition_table, which work with the rights of the owner.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.require_owner(regclass) IS
'Refuses who may not change a table, and a superuser where its owner is none. Errors: 42501.';

-- Levels: operator monitor
CREATE FUNCTION claude_gpt_internal.partitions_of(p_relation regclass) RETURNS TABLE (
    partition regclass, partition_name name, from_at timestamptz, to_at timestamptz, is_default boolean
)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
AS $$
    SELECT c.oid, c.relname, claude_gpt_internal.partition_moment(trim('''' FROM b.bounds[1]), k.key_type, false),
           claude_gpt_internal.partition_moment(trim('''' FROM b.bounds[2]), k.key_type, true), b.bound = 'DEFAULT'
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    JOIN pg_partitioned_table AS t ON t.partrelid = i.inhparent
    LEFT JOIN LATERAL (SELECT a.atttypid::regtype AS key_type FROM pg_attribute AS a
                       WHERE a.attrelid = i.inhparent AND a.attnum = t.partattrs[0] AND t.partnatts = 1 AND t.partstrat = 'r') AS k ON true
    CROSS JOIN LATERAL (SELECT e.bound, regexp_match(e.bound, '^FOR VALUES FROM [(](.*)[)] TO [(](.*)[)]$') AS bounds
                        FROM (SELECT pg_get_expr(c.relpartbound, c.oid) AS bound) AS e) AS b
    WHERE i.inhparent = p_relation
$$;
COMMENT ON FUNCTION claude_gpt_internal.partitions_of(regclass) IS
'The partitions of a table with the time they hold; -infinity and infinity where they are unbounded, NULL for the DEFAULT partition and where the key is neither timestamptz nor uuid.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.build_partition(p_parent regclass, p_model regclass, p_name name) RETURNS regclass
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    settings text;
    place text;
    owner name;
    identity "char";
BEGIN
    PERFORM claude_gpt_internal.require_owner(p_parent);
    SELECT string_agg(format('%s%I = %L', o.prefix, split_part(o.setting, '=', 1), substr(o.setting, strpos(o.setting, '=') + 1)), ', ') INTO settings
    FROM (SELECT '' AS prefix, unnest(c.reloptions) AS setting FROM pg_class AS c WHERE c.oid = p_model
          UNION ALL
          SELECT 'toast.', unnest(s.reloptions) FROM pg_class AS c JOIN pg_class AS s ON s.oid = c.reltoastrelid WHERE c.oid = p_model) AS o;
    SELECT quote_ident(s.spcname), r.rolname INTO place, owner
    FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace
    WHERE c.oid = p_parent;
    EXECUTE format('CREATE TABLE claude_gpt_partitions.%I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING INDEXES)',
                   p_name, p_parent) || COALESCE(' WITH (' || settings || ')', '') || COALESCE(' TABLESPACE ' || place, '');
    IF owner <> current_user THEN
        EXECUTE format('ALTER TABLE claude_gpt_partitions.%I OWNER TO %I', p_name, owner);
    END IF;
    SELECT c.relreplident INTO identity FROM pg_class AS c WHERE c.oid = p_model;
    IF identity IN ('f', 'n') THEN
        EXECUTE format('ALTER TABLE claude_gpt_partitions.%I REPLICA IDENTITY %s', p_name, CASE identity WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END);
    END IF;
    RETURN format('claude_gpt_partitions.%I', p_name)::regclass;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.build_partition(regclass, regclass, name) IS
'Creates a table like a partitioned one, with all that attaching it would have to add but its foreign keys and triggers; storage parameters and replica identity as those of a model. Locks: ACCESS SHARE on the partitioned table.';

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

-- Levels: none
CREATE FUNCTION claude_gpt_internal.range_to_swap(p_table text, p_wanted timestamptz, p_width text,
                                         OUT from_at timestamptz, OUT to_at timestamptz, OUT row_count bigint, OUT stray_count bigint)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET row_security = off
AS $$
DECLARE
    parent record;
    starts timestamptz[];
    ends timestamptz[];
    width CONSTANT interval := p_width::interval;
    wanted CONSTANT timestamptz := (claude_gpt_internal.partition_period(p_width, p_wanted)).from_at;
    gap integer;
    first timestamptz;
    last timestamptz;
BEGIN
    SELECT * INTO parent FROM claude_gpt_internal.partitioned_table(p_table);
    PERFORM claude_gpt_internal.require_owner(parent.relation);
    SELECT COALESCE(array_agg(p.from_at ORDER BY p.from_at), '{}'), array_agg(p.to_at ORDER BY p.from_at) INTO starts, ends
    FROM claude_gpt_internal.partitions_of(parent.relation) AS p WHERE NOT p.is_default;
    -- Rows are counted by period and gap, the number of partitions that begin before; islands are periods with
    -- rows that are not far from each other.
    EXECUTE format($query$
        WITH counted AS MATERIALIZED (
            SELECT width_bucket(%1$I, $1) AS gap, date_trunc($2, %1$I) AS period, count(*) AS row_count
            FROM ONLY %2$s GROUP BY 1, 2
        ), marked AS (
            SELECT gap, period, row_count, count(*) FILTER (WHERE is_far) OVER (PARTITION BY gap ORDER BY period) AS island
            FROM (SELECT gap, period, row_count, period > lag(period) OVER (PARTITION BY gap ORDER BY period) + 12 * $3 AS is_far
                  FROM counted WHERE isfinite(period)) AS c
        ), candidate AS (
            SELECT gap, min(period) AS first, max(period) AS last, sum(row_count) AS row_count FROM marked GROUP BY gap, island
            UNION
            SELECT gap, min(period), max(period), sum(row_count) FROM marked GROUP BY gap
        ), judged AS (
            SELECT c.*, t.row_count - c.row_count AS stray_count,
                   t.row_count - c.row_count <= 10000 AND c.gap = width_bucket($4, $1) AND $5 BETWEEN c.first AND c.last AS is_wanted
            FROM candidate AS c, (SELECT sum(row_count) AS row_count FROM counted) AS t
        )
        SELECT gap, first, last, row_count, stray_count FROM judged
        ORDER BY is_wanted DESC, CASE WHEN is_wanted THEN last - first END, row_count DESC, last - first LIMIT 1 $query$, parent.key_column, parent.default_partition)
    INTO gap, first, last, row_count, stray_count
    USING starts, CASE p_width WHEN '1 week' THEN 'week' WHEN '1 month' THEN 'month' WHEN '3 months' THEN 'quarter' ELSE 'year' END, width, p_wanted, wanted;
    from_at := GREATEST(first, ends[gap]);
    to_at := LEAST(last + width, starts[gap + 1]);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.range_to_swap(text, timestamptz, text) IS
'The periods for which the DEFAULT partition of a table is to become a partition: those around a wanted moment that hold rows, if few rows lie elsewhere, or else those with most rows. Never across an existing partition. Reads the DEFAULT partition once.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.swap_default_partition(p_table text, p_from timestamptz, p_to timestamptz, p_name name) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
    SET row_security = off
AS $$
DECLARE
    parent record;
    old_name name;
    fresh regclass;
    part record;
    stray_count bigint := 0::bigint;
    is_proved boolean;
BEGIN
    SELECT * INTO parent FROM claude_gpt_internal.partitioned_table(p_table);
    PERFORM claude_gpt_internal.require_owner(parent.relation);
    PERFORM claude_gpt_internal.lock_referenced_tables(parent.relation, true);
    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', parent.relation);
    SELECT c.relname INTO old_name FROM pg_class AS c WHERE c.oid = parent.default_partition;
    is_proved := EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = parent.default_partition AND k.conname = 'claude_gpt_becomes_partition' AND k.convalidated);

    EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent.relation, parent.default_partition);
    EXECUTE format('ALTER TABLE %s RENAME TO %I', parent.default_partition, p_name);
    FOR part IN
        SELECT i.indexrelid::regclass AS index, left(p_name || substr(c.relname, length(old_name) + 1), 63) AS new_name
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE i.indrelid = parent.default_partition AND starts_with(c.relname, old_name)
    LOOP
        CONTINUE WHEN to_regclass(format('claude_gpt_partitions.%I', part.new_name)) IS NOT NULL;
        EXECUTE format('ALTER INDEX %s RENAME TO %I', part.index, part.new_name);
    END LOOP;
    fresh := claude_gpt_internal.build_partition(parent.relation, parent.default_partition, old_name);
    IF NOT is_proved THEN
        -- While both are tables of their own: no trigger and no foreign key takes it for a deletion.
        EXECUTE format('WITH gone AS (DELETE FROM ONLY %1$s WHERE NOT (%2$I >= %3$L AND %2$I < %4$L) RETURNING %5$s) INSERT INTO %6$s (%5$s) SELECT %5$s FROM gone',
                       parent.default_partition, parent.key_column, p_from, p_to, claude_gpt_internal.copied_columns(parent.relation), fresh);
        GET DIAGNOSTICS stray_count = ROW_COUNT;
    END IF;
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s DEFAULT', parent.relation, fresh);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', parent.relation, parent.default_partition, p_from, p_to);
    IF EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = parent.default_partition AND k.conname = 'claude_gpt_becomes_partition') THEN
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT claude_gpt_becomes_partition', parent.default_partition);
    END IF;
    RETURN stray_count;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.swap_default_partition(text, timestamptz, timestamptz, name) IS
'Makes the DEFAULT partition of a table the partition of a range, with a new DEFAULT in its place, and returns how many rows outside of the range moved there. With the validated constraint "claude_gpt_becomes_partition" no row is read. Locks: ACCESS EXCLUSIVE on referenced tables and on the table, until the transaction ends.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.attach_partition(p_table text, p_from timestamptz, p_to timestamptz, p_name name) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    parent record;
    fresh regclass;
    lower_bound text;
    upper_bound text;
    condition text;
    has_strays boolean := false;
    dropped jsonb;
    switch record;
    switches text[] := '{}'::text[];
    stray_count bigint := 0::bigint;
BEGIN
    SELECT * INTO parent FROM claude_gpt_internal.partitioned_table(p_table);
    PERFORM claude_gpt_internal.require_owner(parent.relation);
    lower_bound := claude_gpt_internal.partition_bound(p_from, parent.key_type);
    upper_bound := claude_gpt_internal.partition_bound(p_to, parent.key_type);
    condition := format('%1$I >= %2$L AND %1$I < %3$L', parent.key_column, lower_bound, upper_bound);
    fresh := claude_gpt_internal.build_partition(parent.relation, COALESCE(parent.default_partition, parent.relation), p_name);
    -- What attaching locks on its own, but before the partitions. The table itself too: a row on its way to the
    -- DEFAULT partition would otherwise be refused when it arrives there after the new one.
    PERFORM claude_gpt_internal.lock_referenced_tables(parent.relation);
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', parent.relation);
    IF parent.default_partition IS NOT NULL AND parent.key_type = 'uuid'::regtype THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s WHERE %s)', parent.default_partition, condition) INTO has_strays;
    END IF;
    IF has_strays THEN
        -- Moving must not set what references them to NULL.
        dropped := claude_gpt_internal.drop_references(parent.relation, false);
        FOR switch IN
            SELECT g.tgname, CASE g.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END AS state
            FROM pg_trigger AS g WHERE g.tgrelid = parent.default_partition AND NOT g.tgisinternal AND g.tgenabled <> 'D'
        LOOP
            EXECUTE format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', parent.default_partition, switch.tgname);
            switches := switches || format('ALTER TABLE ONLY %s %s TRIGGER %I', parent.default_partition, switch.state, switch.tgname);
        END LOOP;
        EXECUTE format('WITH gone AS (DELETE FROM ONLY %1$s WHERE %2$s RETURNING %3$s) INSERT INTO %4$s (%3$s) SELECT %3$s FROM gone',
                       parent.default_partition, condition, claude_gpt_internal.copied_columns(parent.relation), fresh);
        GET DIAGNOSTICS stray_count = ROW_COUNT;
    END IF;
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', parent.relation, fresh, lower_bound, upper_bound);
    IF EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = parent.default_partition AND k.conname = 'claude_gpt_leaves_partition') THEN
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT claude_gpt_leaves_partition', parent.default_partition);
    END IF;
    IF has_strays THEN
        FOR i IN 1..cardinality(switches) LOOP
            EXECUTE switches[i];
        END LOOP;
        PERFORM claude_gpt_internal.add_references(dropped);
    END IF;
    RETURN stray_count;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.attach_partition(text, timestamptz, timestamptz, name) IS
'Creates the partition of a range and attaches it, and returns how many rows of the DEFAULT partition moved into it, which happens to tables partitioned by id alone. With the validated constraint "claude_gpt_leaves_partition" the DEFAULT partition is not read. Locks, until the transaction ends: SHARE ROW EXCLUSIVE on referenced tables and on the table, ACCESS EXCLUSIVE on the DEFAULT partition; if rows move, ACCESS EXCLUSIVE on the table and on those that reference it. Errors: 23514 the DEFAULT partition of a table partitioned by time holds rows of the range.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_partition_range(p_from timestamptz, p_to timestamptz, p_width text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_from IS NULL OR p_to IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_from and p_to must not be null';
    END IF;
    PERFORM claude_gpt_internal.partition_period(p_width, p_from);
    IF NOT isfinite(p_from) OR NOT isfinite(p_to) OR p_from >= p_to THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s to %s is no range of time', p_from, p_to),
            DETAIL = 'Both ends must be finite, and the end after the start.';
    END IF;
    IF p_to - p_from > 2000 * p_width::interval THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s to %s is more than 2000 partitions of %s', p_from, p_to, p_width);
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_partition_range(timestamptz, timestamptz, text) IS
'Refuses what is no range of time to be divided into partitions of a width. Errors: 22004 NULL; 22023 no such width, an end that is infinite or not after the start, more than 2000 partitions.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.missing_partitions(p_table text, p_from timestamptz, p_to timestamptz, p_width text)
    RETURNS TABLE (from_at timestamptz, to_at timestamptz, is_filled boolean)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    parent record;
    parts record;
    covering record;
    period record;
    moment timestamptz := p_from;
    has_rows boolean := false;
BEGIN
    SELECT * INTO parent FROM claude_gpt_internal.partitioned_table(p_table);
    PERFORM claude_gpt_internal.require_owner(parent.relation);
    PERFORM claude_gpt_internal.check_partition_range(p_from, p_to, p_width);
    IF parent.default_partition IS NOT NULL THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', parent.default_partition) INTO has_rows;
    END IF;
    SELECT array_agg(p.from_at ORDER BY p.from_at) AS starts, array_agg(p.to_at ORDER BY p.from_at) AS ends INTO parts
    FROM claude_gpt_internal.partitions_of(parent.relation) AS p WHERE NOT p.is_default;
    WHILE moment < p_to LOOP
        SELECT e.to_at INTO covering FROM unnest(parts.starts, parts.ends) AS e (from_at, to_at) WHERE e.from_at <= moment AND e.to_at > moment;
        IF FOUND THEN
            moment := covering.to_at;
            CONTINUE;
        END IF;
        period := claude_gpt_internal.partition_period(p_width, moment);
        SELECT GREATEST(period.from_at, max(e.to_at) FILTER (WHERE e.to_at <= moment)), LEAST(period.to_at, min(e.from_at) FILTER (WHERE e.from_at > moment))
        INTO from_at, to_at FROM unnest(parts.starts, parts.ends) AS e (from_at, to_at);
        moment := to_at;
        -- Where rows stay in the DEFAULT partition for ever, it also keeps the period that has begun.
        CONTINUE WHEN parent.key_type = 'uuid'::regtype AND from_at < p_from;
        is_filled := false;
        IF has_rows THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %1$s WHERE %2$I >= %3$L AND %2$I < %4$L)', parent.default_partition, parent.key_column,
                           claude_gpt_internal.partition_bound(from_at, parent.key_type), claude_gpt_internal.partition_bound(to_at, parent.key_type))
            INTO is_filled;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.missing_partitions(text, timestamptz, timestamptz, text) IS
'The partitions that a table lacks for a range of time: each from the end of the one before to the next boundary of the width or the next partition, and whether rows of it wait in the DEFAULT partition. For messages, whose DEFAULT partition stays, without the period that began before p_from. Errors: 22004 NULL; 22023 no such width or range, or the table is not partitioned; 42P01 no such table; 42501 the caller may not change the table, or is a superuser and its owner is none. Locks nothing.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.has_partition_work(p_table text, p_from timestamptz, p_to timestamptz, p_width text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM claude_gpt_internal.missing_partitions(p_table, p_from, p_to, p_width))
        OR EXISTS (SELECT FROM claude_gpt_internal.partitioned_table(p_table) AS t JOIN pg_constraint AS k ON k.conrelid = t.default_partition
                   WHERE k.contype = 'c' AND k.conname IN ('claude_gpt_becomes_partition', 'claude_gpt_leaves_partition'))
        OR EXISTS (SELECT FROM claude_gpt_internal.partitioned_table(p_table) AS t, claude_gpt_internal.unfinished_references() WHERE t.key_type = 'uuid'::regtype)
$$;
COMMENT ON FUNCTION claude_gpt_internal.has_partition_work(text, timestamptz, timestamptz, text) IS
'Whether create_next_partition has something to do, also what an interruption left. Errors and locks: those of missing_partitions.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.create_next_partition(p_table text, p_from timestamptz, p_to timestamptz, p_width text) RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
    SET row_security = off
AS $$
DECLARE
    parent record;
    proof record;
    range record;
    name name;
    moved bigint;
    is_unfit boolean;
    is_large boolean := false;
BEGIN
    SELECT * INTO parent FROM claude_gpt_internal.partitioned_table(p_table);
    PERFORM claude_gpt_internal.require_owner(parent.relation);
    PERFORM claude_gpt_internal.check_partition_range(p_from, p_to, p_width);
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'partitions are made in READ COMMITTED transactions only',
            DETAIL = 'An older snapshot would not see the rows that were added meanwhile.';
    END IF;
    -- One at a time; rows are read and written meanwhile.
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', parent.relation);
    SELECT * INTO parent FROM claude_gpt_internal.partitioned_table(p_table);

    -- What the last step began: the constraint says which range, and whether its rows have been looked at.
    SELECT k.conname, k.convalidated, k.conname = 'claude_gpt_becomes_partition' AS is_swap, b.bounds[1] AS lower_bound, b.bounds[2] AS upper_bound,
           claude_gpt_internal.partition_moment(b.bounds[1], parent.key_type, false) AS from_at,
           claude_gpt_internal.partition_moment(b.bounds[2], parent.key_type, true) AS to_at
    INTO proof
    FROM pg_constraint AS k,
         LATERAL (SELECT array_agg(m[1]) AS bounds FROM regexp_matches(pg_get_constraintdef(k.oid), '''([^'']+)''::', 'g') AS m) AS b
    WHERE k.conrelid = parent.default_partition AND k.contype = 'c' AND k.conname IN ('claude_gpt_becomes_partition', 'claude_gpt_leaves_partition')
    ORDER BY k.conname LIMIT 1;
    IF FOUND THEN
        is_unfit := NOT (proof.is_swap OR proof.from_at >= p_from AND proof.from_at < p_to)
            OR EXISTS (SELECT FROM claude_gpt_internal.partitions_of(parent.relation) AS p WHERE p.from_at < proof.to_at AND p.to_at > proof.from_at);
        IF NOT is_unfit AND NOT proof.convalidated THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %1$s WHERE %2$s (%3$I >= %4$L AND %3$I < %5$L))', parent.default_partition, CASE WHEN proof.is_swap THEN 'NOT' ELSE '' END,
                           parent.key_column, proof.lower_bound, proof.upper_bound) INTO is_unfit;
        END IF;
        -- A row that came before the constraint, a partition made by hand, or other periods asked for than last time.
        IF is_unfit THEN
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', parent.default_partition, proof.conname);
            RETURN format('gave up the partition of %s from %s to %s', p_table, proof.from_at, proof.to_at);
        END IF;
        name := claude_gpt_internal.partition_name(p_table, p_width, proof.from_at, proof.to_at);
        IF NOT proof.convalidated THEN
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', parent.default_partition, proof.conname);
            RETURN format('looked through the default partition for %s', name);
        END IF;
        IF proof.is_swap THEN
            PERFORM claude_gpt_internal.swap_default_partition(p_table, proof.from_at, proof.to_at, name);
            RETURN format('turned the default partition into %s', name);
        END IF;
        PERFORM claude_gpt_internal.attach_partition(p_table, proof.from_at, proof.to_at, name);
        RETURN format('created partition %s', name);
    END IF;

    IF parent.default_partition IS NOT NULL THEN
        is_large := pg_relation_size(parent.default_partition) > 1000 * current_setting('block_size')::bigint;
    END IF;
    -- First the place of rows of now, by the clock that CURRENT_TIMESTAMP reads, since the DEFAULT partition may refuse
    -- them while it is looked through; then what is to be done with it; others when it is empty.
    SELECT m.* INTO range FROM claude_gpt_internal.missing_partitions(p_table, p_from, p_to, p_width) AS m
    ORDER BY NOT (NOT m.is_filled AND m.from_at < clock_timestamp() + interval '1 day' AND m.to_at > clock_timestamp()),
             m.is_filled = (parent.key_type = 'uuid'::regtype), m.from_at
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN CASE WHEN parent.key_type = 'uuid'::regtype THEN claude_gpt_internal.finish_references() END;
    END IF;
    name := claude_gpt_internal.partition_name(p_table, p_width, range.from_at, range.to_at);
    IF NOT range.is_filled THEN
        -- Attaching reads the DEFAULT partition under its lock, unless it is proved beforehand to hold no such row.
        -- Meanwhile such rows are refused, so this is not for the period of now, nor one that is left to the DEFAULT.
        IF is_large AND range.from_at >= p_from AND (range.from_at > clock_timestamp() OR range.to_at <= clock_timestamp()) THEN
            EXECUTE format('ALTER TABLE %1$s ADD CONSTRAINT claude_gpt_leaves_partition CHECK (%2$I < %3$L OR %2$I >= %4$L) NOT VALID', parent.default_partition, parent.key_column,
                           claude_gpt_internal.partition_bound(range.from_at, parent.key_type), claude_gpt_internal.partition_bound(range.to_at, parent.key_type));
            RETURN format('began to create partition %s', name);
        END IF;
        PERFORM claude_gpt_internal.attach_partition(p_table, range.from_at, range.to_at, name);
        RETURN format('created partition %s', name);
    ELSIF parent.key_type = 'uuid'::regtype THEN
        EXECUTE format('SELECT count(*) FROM ONLY %1$s WHERE %2$I >= %3$L AND %2$I < %4$L', parent.default_partition, parent.key_column,
                       claude_gpt_internal.partition_bound(range.from_at, parent.key_type), claude_gpt_internal.partition_bound(range.to_at, parent.key_type))
        INTO moved;
        IF moved > 50000 THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = format('there are too many rows to move into the partition of %s from %s to %s', p_table, range.from_at, range.to_at),
                DETAIL = format('Partition %s holds %s of them; at most 50000 are moved, since nobody can use the table meanwhile.', parent.default_partition, moved),
                HINT = 'Begin with a later period: those rows may stay where they are.';
        END IF;
        moved := claude_gpt_internal.attach_partition(p_table, range.from_at, range.to_at, name);
        RETURN format('created partition %s and moved %s rows into it', name, moved);
    END IF;
    SELECT * INTO range FROM claude_gpt_internal.range_to_swap(p_table, range.from_at, p_width);
    name := claude_gpt_internal.partition_name(p_table, p_width, range.from_at, range.to_at);
    -- Rows of now must have a place while the DEFAULT partition is looked through for others.
    IF is_large AND range.stray_count = 0 AND (range.from_at <= clock_timestamp() AND range.to_at > clock_timestamp()
        OR EXISTS (SELECT FROM claude_gpt_internal.partitions_of(parent.relation) AS p WHERE p.from_at <= clock_timestamp() AND p.to_at > clock_timestamp())) THEN
        EXECUTE format('ALTER TABLE %1$s ADD CONSTRAINT claude_gpt_becomes_partition CHECK (%2$I >= %3$L AND %2$I < %4$L) NOT VALID',
                       parent.default_partition, parent.key_column, range.from_at, range.to_at);
        RETURN format('began to turn the default partition into %s', name);
    END IF;
    moved := claude_gpt_internal.swap_default_partition(p_table, range.from_at, range.to_at, name);
    RETURN format('turned the default partition into %s%s', name, CASE WHEN moved > 0 THEN format(' and moved %s rows out of it', moved) ELSE '' END);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.create_next_partition(text, timestamptz, timestamptz, text) IS
'Does the next step towards a partition for every moment from p_from to before p_to, of the given width ("1 week", "1 month", "3 months", "1 year", in UTC), and a DEFAULT partition that holds none of their rows. Returns what it did, NULL when nothing is left to do; one call belongs into one transaction. Partitions begin where the one before ends and end at the next boundary or partition. Rows that wait in the DEFAULT partition are not copied: it becomes the partition of their range, after a constraint has proved that it holds no others, and a new DEFAULT takes its place. For messages, whose DEFAULT partition stays, periods that began before p_from are left to it; the few rows of others, with random ids, are moved. Errors: 22004 NULL; 22023 no such width, no range, more than 2000 partitions, or the table is not partitioned; 42P01 no such table; 55000 not in READ COMMITTED, or more than 50000 rows to move; 55P03 under a lock_timeout; 42501 the caller does not own the table, or is a superuser and the owner is none. Locks: SHARE UPDATE EXCLUSIVE on the table; for a moment, until the transaction ends, SHARE ROW EXCLUSIVE on the table and those it references and ACCESS EXCLUSIVE on the DEFAULT partition, or, where this is swapped, ACCESS EXCLUSIVE on the table and those it references.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.drop_next_partition_before(p_table text, p_before timestamptz) RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    parent record;
    oldest record;
    block bigint;
    batch record;
BEGIN
    IF p_before IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_before must not be null';
    END IF;
    IF p_table = 'messages' THEN
        RAISE feature_not_supported USING MESSAGE = 'messages are not dropped by partition',
            DETAIL = 'Conversations count their messages, and replies and usage records refer to them.',
            HINT = 'Delete conversations or messages.';
    END IF;
    SELECT * INTO parent FROM claude_gpt_internal.partitioned_table(p_table);
    PERFORM claude_gpt_internal.require_owner(parent.relation);
    IF NOT isfinite(p_before) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'p_before must be finite';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'partitions are dropped in READ COMMITTED transactions only',
            DETAIL = 'An older snapshot would not see the rows that were added meanwhile.';
    END IF;
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', parent.relation);
    SELECT p.partition, p.partition_name, pg_relation_size(p.partition) / current_setting('block_size')::bigint AS blocks INTO oldest
    FROM claude_gpt_internal.partitions_of(parent.relation) AS p
    WHERE NOT p.is_default AND p.to_at <= p_before ORDER BY p.to_at LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF p_table <> 'usage_records' THEN
        EXECUTE format('DROP TABLE %s', oldest.partition);
        RETURN format('dropped partition %s', oldest.partition_name);
    END IF;

    -- Summing up takes a while, and the table must not wait for it: whoever updates the ledger, as the deletion of a
    -- message does, locks every partition, and would wait for this one with a lock that the drop needs. So most
    -- of a large partition goes in batches, and the lock that keeps the rest still is short.
    IF oldest.blocks > 500 THEN
        EXECUTE format('SELECT split_part(trim(leading ''('' FROM ctid::text), '','', 1)::bigint FROM ONLY %s LIMIT 1', oldest.partition) INTO block;
        IF block IS NOT NULL THEN
            SELECT * INTO batch FROM claude_gpt_internal.delete_rows_before(p_table, p_before, oldest.partition, block, 500);
            RETURN format('carried %s records of partition %s', batch.deleted, oldest.partition_name);
        END IF;
    END IF;
    -- Users before their records, as in a user's deletion.
    EXECUTE format('SELECT count(*) FROM (SELECT FROM claude_gpt_data.users AS u WHERE u.id IN (SELECT r.user_id FROM ONLY %s AS r) ORDER BY u.id FOR KEY SHARE) AS locked',
                   oldest.partition);
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE MODE', oldest.partition);
    EXECUTE format($query$
        INSERT INTO claude_gpt_data.usage_balances AS b (user_id, usage_type, billing_period, quantity, cost)
        SELECT r.user_id, r.usage_type, r.billing_period, sum(r.quantity), sum(r.cost)
        FROM ONLY %s AS r GROUP BY 1, 2, 3 HAVING sum(r.quantity) <> 0 OR sum(r.cost) <> 0 ORDER BY 1, 2, 3
        ON CONFLICT ON CONSTRAINT usage_balances_pkey DO UPDATE SET quantity = b.quantity + excluded.quantity, cost = b.cost + excluded.cost $query$, oldest.partition);
    EXECUTE format('DROP TABLE %s', oldest.partition);
    RETURN format('dropped partition %s', oldest.partition_name);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.drop_next_partition_before(text, timestamptz) IS
'Drops the oldest partition that ends at or before a moment. Returns what it did, NULL when nothing is left to do; one call belongs into one transaction. What usage_records held is added to usage_balances in the same transaction, in batches of their own where it is much, so the books prove at any moment. The DEFAULT partition stays: delete_rows_before looks through it. Errors: 22004 NULL; 42P01 no such table; 22023 the table is not partitioned, or the moment is infinite; 0A000 messages; 55000 not in READ COMMITTED; 55P03 under a lock_timeout; 42501 the caller does not own the table, or is a superuser and the owner is none. Locks: SHARE UPDATE EXCLUSIVE on the table, and ACCESS EXCLUSIVE as the last thing before the transaction ends; for usage_records also SHARE on the partition, and the rows of its users.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.delete_rows_before(
    p_table text,
    p_before timestamptz,
    p_partition regclass DEFAULT NULL,
    p_first_block bigint DEFAULT 0,
    p_blocks integer DEFAULT 500,
    OUT deleted bigint,
    OUT next_partition regclass,
    OUT next_block bigint,
    OUT done text
)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    parent record;
    part regclass;
    blocks bigint;
    condition text;
BEGIN
    IF p_before IS NULL OR p_first_block IS NULL OR p_blocks IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_before, p_first_block and p_blocks must not be null';
    END IF;
    IF p_table = 'messages' THEN
        RAISE feature_not_supported USING MESSAGE = 'messages are not deleted by age',
            HINT = 'Delete conversations or messages.';
    END IF;
    SELECT * INTO parent FROM claude_gpt_internal.partitioned_table(p_table);
    PERFORM claude_gpt_internal.require_owner(parent.relation);
    IF p_first_block < 0 OR p_blocks < 1 THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s blocks from block %s cannot be read', p_blocks, p_first_block);
    END IF;
    deleted := 0;
    -- In the order of OIDs, in which a partition that is new, swapped or gone meanwhile does not disturb the walk.
    SELECT p.partition INTO part FROM claude_gpt_internal.partitions_of(parent.relation) AS p
    WHERE (p.is_default OR p.from_at < p_before) AND p.partition::oid >= COALESCE(p_partition::oid, 0) ORDER BY p.partition::oid LIMIT 1;
    IF part IS NULL THEN
        RETURN;
    END IF;
    next_block := CASE WHEN part = p_partition THEN p_first_block ELSE 0 END;
    condition := format('r.%I < %L AND r.ctid >= %L::tid AND r.ctid < %L::tid', parent.key_column, p_before,
                        format('(%s,0)', next_block), format('(%s,0)', LEAST(next_block + p_blocks, 4294967294)));
    IF p_table = 'usage_records' THEN
        -- Users before their records, as in a user's deletion.
        EXECUTE format('SELECT count(*) FROM (SELECT FROM claude_gpt_data.users AS u WHERE u.id IN (SELECT r.user_id FROM ONLY %s AS r WHERE %s) ORDER BY u.id FOR KEY SHARE) AS locked',
                       part, condition) INTO deleted;
        EXECUTE format($query$
            WITH gone AS (
                DELETE FROM ONLY %s AS r WHERE %s RETURNING r.user_id, r.usage_type, r.billing_period, r.quantity, r.cost
            ), carried AS (
                INSERT INTO claude_gpt_data.usage_balances AS b (user_id, usage_type, billing_period, quantity, cost)
                SELECT g.user_id, g.usage_type, g.billing_period, sum(g.quantity), sum(g.cost)
                FROM gone AS g GROUP BY 1, 2, 3 HAVING sum(g.quantity) <> 0 OR sum(g.cost) <> 0 ORDER BY 1, 2, 3
                ON CONFLICT ON CONSTRAINT usage_balances_pkey DO UPDATE SET quantity = b.quantity + excluded.quantity, cost = b.cost + excluded.cost
            )
            SELECT count(*) FROM gone $query$, part, condition) INTO deleted;
    ELSE
        EXECUTE format('DELETE FROM ONLY %s AS r WHERE %s', part, condition);
        GET DIAGNOSTICS deleted = ROW_COUNT;
    END IF;

    blocks := pg_relation_size(part) / current_setting('block_size')::bigint;
    next_partition := part;
    next_block := next_block + p_blocks;
    done := format('deleted from %s up to block %s of %s', part, LEAST(next_block, blocks), blocks);
    IF next_block >= blocks THEN
        next_block := 0;
        SELECT p.partition INTO next_partition FROM claude_gpt_internal.partitions_of(parent.relation) AS p
        WHERE (p.is_default OR p.from_at < p_before) AND p.partition::oid > part::oid ORDER BY p.partition::oid LIMIT 1;
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.delete_rows_before(text, timestamptz, regclass, bigint, integer) IS
'Deletes the rows before a moment in some blocks of one partition, and says where to go on and what is done: one batch of a walk over all partitions that may hold such rows, the DEFAULT included. Begin with NULL; the walk has ended when next_partition is NULL. What usage_records held is added to usage_balances by the same statement. Errors: 22004 NULL in moment or blocks; 42P01 no such table; 22023 the table is not partitioned, or no such blocks; 0A000 messages; 42501 the caller does not own the table, or is a superuser and the owner is none. Locks: the rows it deletes, and of usage_records those of their users and balances.';

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
