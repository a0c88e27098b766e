-- Topic partitions: a partition that is made, and what the default partition holds of it.

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
