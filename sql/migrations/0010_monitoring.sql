-- What a DBA looks at: connections, sizes, indexes. Only the catalog and the server's statistics are read.
-- Locks: none, the views are new.

CREATE VIEW claude_gpt_data.active_connections WITH (security_invoker = true) AS
SELECT
    a.pid,
    a.usename::pg_catalog.text AS role_name,
    a.application_name,
    a.client_addr AS client_address,
    a.state,
    a.wait_event_type,
    a.wait_event,
    pg_catalog.pg_blocking_pids(a.pid) AS blocked_by,
    a.backend_start AS connected_at,
    a.xact_start AS transaction_started_at,
    a.query_start AS query_started_at,
    a.state_change AS state_changed_at,
    a.query
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() AND a.backend_type OPERATOR(pg_catalog.=) 'client backend';
COMMENT ON VIEW claude_gpt_data.active_connections IS
'The client connections to this database, with what each does or waits for. Whoever is no member of pg_read_all_stats sees queries and addresses of his own connections alone.';

CREATE VIEW claude_gpt_data.table_sizes WITH (security_invoker = true) AS
SELECT
    t.relname::pg_catalog.text AS table_name,
    s.partition_count,
    s.row_estimate,
    s.dead_row_estimate,
    s.table_bytes,
    s.index_bytes,
    s.toast_bytes,
    s.table_bytes OPERATOR(pg_catalog.+) s.index_bytes OPERATOR(pg_catalog.+) s.toast_bytes AS total_bytes,
    pg_catalog.pg_size_pretty(s.table_bytes OPERATOR(pg_catalog.+) s.index_bytes OPERATOR(pg_catalog.+) s.toast_bytes) AS total_size
FROM pg_catalog.pg_class AS t
CROSS JOIN LATERAL (
    SELECT
        pg_catalog.count(*) FILTER (WHERE c.relispartition) AS partition_count,
        pg_catalog.sum(GREATEST(c.reltuples, 0))::pg_catalog.int8 AS row_estimate,
        pg_catalog.sum(pg_catalog.pg_stat_get_dead_tuples(c.oid))::pg_catalog.int8 AS dead_row_estimate,
        -- Whoever drops a partition meanwhile leaves NULL.
        COALESCE(pg_catalog.sum(pg_catalog.pg_table_size(c.oid) OPERATOR(pg_catalog.-) COALESCE(pg_catalog.pg_total_relation_size(NULLIF(c.reltoastrelid, 0)), 0)), 0)::pg_catalog.int8 AS table_bytes,
        COALESCE(pg_catalog.sum(pg_catalog.pg_indexes_size(c.oid)), 0)::pg_catalog.int8 AS index_bytes,
        COALESCE(pg_catalog.sum(pg_catalog.pg_total_relation_size(NULLIF(c.reltoastrelid, 0))), 0)::pg_catalog.int8 AS toast_bytes
    FROM pg_catalog.pg_class AS c
    WHERE c.relkind OPERATOR(pg_catalog.=) 'r' AND (c.oid OPERATOR(pg_catalog.=) t.oid
        OR c.oid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT p.relid FROM pg_catalog.pg_partition_tree(t.oid) AS p)))
) AS s
-- A partition that was detached is a table like others.
WHERE t.relnamespace OPERATOR(pg_catalog.=) ANY ('{claude_gpt_data,claude_gpt_partitions}'::pg_catalog.regnamespace[])
  AND t.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}') AND NOT t.relispartition;
COMMENT ON VIEW claude_gpt_data.table_sizes IS
'Each table with its partitions taken together: rows and dead rows as the server last estimated them, and bytes on disk of table, indexes and TOAST.';

CREATE VIEW claude_gpt_data.index_usage WITH (security_invoker = true) AS
SELECT
    t.relname::pg_catalog.text AS table_name,
    c.relname::pg_catalog.text AS index_name,
    i.indisunique AS is_unique,
    i.indisvalid AS is_valid,
    pg_catalog.pg_stat_get_numscans(c.oid) AS scan_count,
    pg_catalog.pg_stat_get_tuples_returned(c.oid) AS rows_read,
    pg_catalog.pg_relation_size(c.oid) AS index_bytes,
    pg_catalog.pg_size_pretty(pg_catalog.pg_relation_size(c.oid)) AS index_size
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_class AS t ON t.oid OPERATOR(pg_catalog.=) i.indrelid
WHERE t.relnamespace OPERATOR(pg_catalog.=) ANY ('{claude_gpt_data,claude_gpt_partitions}'::pg_catalog.regnamespace[]) AND c.relkind OPERATOR(pg_catalog.=) 'i';
COMMENT ON VIEW claude_gpt_data.index_usage IS
'Each index, those of partitions too, with how often it was scanned since the server''s statistics were reset, and its size. One that is unique keeps a rule even if it is never scanned.';
