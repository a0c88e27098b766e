-- Topic sessions: login sessions.

-- Levels: application operator
CREATE FUNCTION claude_gpt.cleanup_expired_sessions() RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_cleanup_expired_sessions';
COMMENT ON FUNCTION claude_gpt.cleanup_expired_sessions() IS
'Deletes the sessions that have expired by the wall clock and those that are not active, and returns how many. Locks: the rows it deletes, until the transaction ends; live sessions are not touched.';
