-- Topic monitoring: what is counted, and whether all is well.

-- Levels: operator
CREATE FUNCTION claude_gpt.reset_metrics() RETURNS void
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_reset_counters';
COMMENT ON FUNCTION claude_gpt.reset_metrics() IS
'Sets the cumulative counters of this database to zero; does nothing where the library is not preloaded. Those of rate_limit_status are of the whole server and stay. Locks nothing.';

-- health and metrics run as the owner of the tables, whose views and tables they read: nobody else's rights are his.
-- Levels: operator monitor
CREATE FUNCTION claude_gpt.metrics(p_name text DEFAULT NULL) RETURNS TABLE (
    name text,
    labels jsonb,
    value double precision
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_metrics';
COMMENT ON FUNCTION claude_gpt.metrics(text) IS
'Numbers for a monitoring system, one a row, named and labelled as Prometheus has it: what ends in _total only grows until the counters are reset, the rest is how things stand now. Seconds, bytes, rows, and cost in units of the currency. With p_name only that metric is computed; none of that name is no row. Decisions, usage and settlements count what was decided since claude_gpt_counters_since_timestamp_seconds, also in transactions that were rolled back, on this server, in this database; they survive a restart, but not a crash, and are missing where the library is not preloaded. claude_gpt_rate_limit_* are of the whole server. claude_gpt_health is 0 ok, 1 warning, 2 critical for each check of health. What cannot be read is left out: of the jobs and tables where they are not as the functions need them, which claude_gpt_health says. See docs/monitoring.md for all names. Locks: as health.';

-- Levels: operator monitor
CREATE FUNCTION claude_gpt.health() RETURNS TABLE (
    check_name text,
    status text,
    detail text,
    hint text
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_health';
COMMENT ON FUNCTION claude_gpt.health() IS
'Whether all is well, one row for each check: status is ok, warning or critical; detail says what was seen, hint what to do. Checks: preload, migrations, owner (of all relations of claude_gpt), columns (their types), objects_of_others (functions, types, schemas and the like that these stand on), subscriptions (of superusers, to tables of a role that is none), functions_beside_tables, session_settings, create_rights, strange_objects (beside the functions), workers, jobs (late by more than ten minutes, or failing), default_partitions, next_partitions, indexes, triggers, direct_access (which tables are read and written without the executor, as information), wraparound, books (of up to five users active of late, for at most 20 milliseconds: prove_books proves all), times (of the future), configuration, plans (of up to 1000 users active of late), rate_limits, notifications. Works on a standby, and tells of missing or altered tables instead of failing: a check that fails is critical, and detail has its error. Milliseconds, whatever the size of the tables. Locks: none that anybody waits for.';
