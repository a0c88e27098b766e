-- Topic rate_limit: calls by time.

-- Levels: application
CREATE FUNCTION claude_gpt.check_rate_limit(
    p_user_id uuid,
    p_cost integer DEFAULT 1,
    OUT allowed boolean,
    OUT limit_value integer,
    OUT remaining integer,
    OUT retry_after_seconds integer,
    OUT reset_after_seconds integer,
    OUT reason text,
    OUT error_code text,
    OUT http_status integer
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_check_rate_limit';
COMMENT ON FUNCTION claude_gpt.check_rate_limit(uuid, integer) IS
'Charges a user so many units of the calls a minute that the configuration "rate_limits" gives his effective tier, if they are left. Without an active row "rate_limits" everybody is allowed, and the numbers are NULL. Units come back evenly, and all of them may be used at once (GCRA); a denied call costs nothing; a cost of 0 only looks. retry_after_seconds is NULL on admission, and where the cost is more than the whole limit. reason is rate_limited, or capacity where the memory is full (see rate_limit_status). The state is in shared memory: not transactional, not written to the log, gone with a restart. Errors: P0002 no such user; 22004 NULL; 22023 negative cost; 55000 the library is not preloaded, or the tier has no rate limit configured. Locks nothing.';

-- Levels: application
CREATE FUNCTION claude_gpt.rate_limit(
    p_key text,
    p_limit integer,
    p_period interval,
    p_cost integer DEFAULT 1,
    OUT allowed boolean,
    OUT limit_value integer,
    OUT remaining integer,
    OUT retry_after_seconds integer,
    OUT reset_after_seconds integer,
    OUT reason text,
    OUT error_code text,
    OUT http_status integer
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_rate_limit';
COMMENT ON FUNCTION claude_gpt.rate_limit(text, integer, interval, integer) IS
'Charges any key, such as an address or a login, so many units of so many in each period, if they are left; the columns and rules are those of check_rate_limit. Keys belong to the database, and have memory apart from that of users. A key has one state, and for periods over 15 minutes another: call it with one limit and one period. Those of long periods have three sevenths of the memory at most. reason is capacity where what the key may have of the memory is full. Errors: 22004 NULL; 22023 an empty key, a limit not from 1 to 1000000000, a period shorter than a nanosecond for each unit, longer than 366 days, or with months, or a negative cost; 55000 the library is not preloaded. Locks nothing.';

-- Levels: operator
CREATE FUNCTION claude_gpt.reset_rate_limit(
    p_key text
) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_reset_rate_limit';
COMMENT ON FUNCTION claude_gpt.reset_rate_limit(text) IS
'Gives a key of rate_limit all its units back. True if some were used. Errors: 22004 NULL; 22023 an empty key; 55000 the library is not preloaded. Locks nothing.';

-- Levels: operator
CREATE FUNCTION claude_gpt.reset_user_rate_limit(
    p_user_id uuid
) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_reset_user_rate_limit';
COMMENT ON FUNCTION claude_gpt.reset_user_rate_limit(uuid) IS
'Gives a user all units of check_rate_limit back. True if some were used. Errors: 22004 NULL; 55000 the library is not preloaded. Locks nothing.';

-- Levels: operator
CREATE FUNCTION claude_gpt.reset_rate_limits() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_reset_rate_limits';
COMMENT ON FUNCTION claude_gpt.reset_rate_limits() IS
'Gives all keys of rate_limit and all users of this database their units back, as after a flood of keys that fill the memory. How many had used some. Errors: 55000 the library is not preloaded. Locks nothing.';

-- Levels: operator monitor
CREATE FUNCTION claude_gpt.rate_limit_status() RETURNS TABLE (
    region text,
    slots bigint,
    slots_in_use bigint,
    denied_because_full bigint
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_rate_limit_status';
COMMENT ON FUNCTION claude_gpt.rate_limit_status() IS
'The memory for rate limits of all databases, a row for users and one for the keys of rate_limit: how many keys it can hold at most, how many are in use now, and how many calls were denied since the server started because there was no place for their key. Up to two thirds of the slots every key finds a place; grow the setting claude_gpt.rate_limit_memory before slots_in_use gets there. Errors: 55000 the library is not preloaded. Locks nothing.';

-- Levels: operator monitor
CREATE FUNCTION claude_gpt.rate_limit_shares() RETURNS TABLE (
    region text,
    periods text,
    slots bigint,
    slots_in_use bigint,
    database_slots_in_use bigint,
    denied_because_full bigint,
    evicted bigint
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_rate_limit_shares';
COMMENT ON FUNCTION claude_gpt.rate_limit_shares() IS
'Who has the memory for rate limits: for users, for the keys of rate_limit, and for those of them whose periods are "long", over 15 minutes, how many they can be at most, how many are in use by all databases, how many by this one, and how many calls of all were denied for want of a place since the server started. evicted is how many keys have had all their units back early, because their database had more than its share and another needed the place. Errors: 55000 the library is not preloaded. Locks nothing.';
