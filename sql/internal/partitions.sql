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
