-- Topic partitions: partitions and rows that are older than they have to be.

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
