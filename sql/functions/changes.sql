-- Topic changes: what caches are told.

-- Levels: none
CREATE FUNCTION claude_gpt.notify_change() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_notify_change';
COMMENT ON FUNCTION claude_gpt.notify_change() IS
'Trigger function: sends a notification on the channel claude_gpt_changes when the transaction commits, with the payload {"table": "users", "id": "..."}; the table is the one at the top where a partition has the row; the id is that of the row, or the column that an argument names (config_key of system_configs), and null for any row of the table: after TRUNCATE, and from the 101st row of a transaction on. On users after a change of the profile, the subscription or the id, and on system_configs; never after metering, also of rows that replication applies: an UPDATE tells nothing that changes no column of those that the trigger names. Where the queue of notifications is nine tenths full, a WARNING takes its place: the change itself is not lost. Nothing is told while the setting claude_gpt.notify_changes is off. For AFTER triggers on any table; one of yours covers a column that you have added. Errors: 39P01 if not called after the event; 42703 no such column. Locks: a transaction that notifies waits at COMMIT for others that notify, and cannot be prepared for two-phase commit (0A000).';
