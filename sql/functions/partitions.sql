-- Topic partitions: tables that are split by time, and how messages become one.
-- Step functions do the work of one short transaction a call, keep their state in the catalog alone, and are
-- called until they return NULL. They never catch a lock error: the caller rolls back and calls again.
-- Where several locks are taken: users, conversations, messages, then the partitioned table, then its partitions.

-- Levels: none
CREATE PROCEDURE claude_gpt.create_partitions(p_table text, p_from timestamptz, p_to timestamptz, p_width text DEFAULT NULL)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_create_partitions';
COMMENT ON PROCEDURE claude_gpt.create_partitions(text, timestamptz, timestamptz, text) IS
'Makes partitions until every moment from p_from to before p_to has one, and empties a filled default partition of what is to have one, without a row being invisible at any moment. p_width is "1 week", "1 month", "3 months" or "1 year", in UTC; NULL takes the configuration "partitions". What exists stays as it is. Each step is a NOTICE and commits; after an interruption the same call goes on. Works with the rights of the owner of the tables. Errors: 22004 NULL; 42P01 no such table; 22023 a table that is not partitioned, a width, or a range; 2D000 inside a transaction block or a function; 55P03 a lock was not to be had in twenty tries within twenty seconds. Locks: as create_next_partition, for a step at a time.';

-- Levels: none
CREATE PROCEDURE claude_gpt.drop_partitions_before(p_table text, p_before timestamptz)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_drop_partitions_before';
COMMENT ON PROCEDURE claude_gpt.drop_partitions_before(text, timestamptz) IS
'Drops the partitions that lie whole before p_before, the oldest first, each in a transaction of its own. The sums of usage_records go to usage_balances first, so that the books prove at every moment. Errors: 22004 NULL; 42P01 no such table; 22023 a table that is not partitioned; 0A000 messages, which are not kept by time; 2D000 inside a transaction block or a function; 55P03 a lock was not to be had in twenty tries within twenty seconds. Locks: as drop_next_partition_before.';

-- Levels: none
CREATE PROCEDURE claude_gpt.partition_table(p_table text, p_width text)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_partition_table';
COMMENT ON PROCEDURE claude_gpt.partition_table(text, text) IS
'Turns the filled table messages into a table partitioned by id, of which the table of before becomes the default partition, in place: no row is copied, and applications go on. Partitions of p_width ("1 week", "1 month", "3 months", "1 year", in UTC), from the period that begins next, hold the ids of their time (uuid_v7). Each step is a NOTICE and commits; after an interruption the same call goes on. Errors: 22004 NULL; 22023 another table or width; 55000 something hangs on the table that cannot be carried over, named in the DETAIL before anything is changed; 2D000 inside a transaction block or a function; 55P03 a lock was not to be had in twenty tries within twenty seconds. Locks: as partition_table_step.';

-- Levels: operator monitor
CREATE FUNCTION claude_gpt.list_partitions(p_table text DEFAULT NULL) RETURNS TABLE (
    table_name text,
    partition_name text,
    from_at timestamptz,
    to_at timestamptz,
    is_default boolean,
    row_estimate bigint,
    size_bytes bigint
)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_table IS NOT NULL THEN
        PERFORM claude_gpt_internal.partitioned_table(p_table);
    END IF;
    RETURN QUERY
        SELECT t.relname::text, p.partition_name::text, NULLIF(p.from_at, '-infinity'), NULLIF(p.to_at, 'infinity'), p.is_default,
               CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END, pg_total_relation_size(c.oid)
        FROM pg_class AS t
        CROSS JOIN LATERAL claude_gpt_internal.partitions_of(t.oid) AS p
        JOIN pg_class AS c ON c.oid = p.partition
        WHERE t.relnamespace = 'claude_gpt_data'::regnamespace AND t.relkind = 'p' AND t.relname = COALESCE(p_table, t.relname)
        ORDER BY t.relname, p.is_default, p.from_at, p.partition_name;
END
$$;
COMMENT ON FUNCTION claude_gpt.list_partitions(text) IS
'The partitions of a table, or of all partitioned tables of the schema: the time they hold (from from_at to before to_at; NULL where unbounded, and for the DEFAULT partition, which holds the rest), their rows as last estimated by the server (NULL if never), and their size with indexes and TOAST. For messages, which is partitioned by id, the time is that of ids of version 7. Errors: 42P01 no such table; 22023 the table is not partitioned. Locks nothing.';
