-- Topic books: whether the counters are true.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.prove_recent_books(
    p_users integer,
    p_time_to_spend interval,
    OUT user_count integer,
    OUT difference_count integer,
    OUT example uuid
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    AS 'MODULE_PATHNAME', 'claude_gpt_prove_recent_books';
COMMENT ON FUNCTION claude_gpt_internal.prove_recent_books(integer, interval) IS
'Proves the books of users who were active of late, p_users at most, of those with up to 1000 messages in all; begins none after p_time_to_spend. Returns how many users it has looked at, how many differences there are, and the first user who has one. Part of health. Errors: 22004 NULL; 22023 p_time_to_spend has months or years; 55000 the tables are missing or older than the code. Locks nothing.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.find_future_times() RETURNS TABLE (
    kind text,
    time_count bigint
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'claude_gpt_find_future_times';
COMMENT ON FUNCTION claude_gpt_internal.find_future_times() IS
'What a clock that was ahead, or seems so to one that is behind now, has left in months and activities of users, holds, records of the ledger, idempotency keys and next runs of jobs: a row for each kind of which there is any. Of users and keys the latest 1000 are looked at. Part of health. Errors: 55000 the tables are missing or older than the code. Locks nothing.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.carry_unrecorded_usage() RETURNS trigger
    LANGUAGE c
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    AS 'MODULE_PATHNAME', 'claude_gpt_carry_unrecorded_usage';
COMMENT ON FUNCTION claude_gpt_internal.carry_unrecorded_usage() IS
'Trigger function of system_configs: when "usage_ledger" becomes true again, carries what was counted without a record to usage_balances, so that the books prove from then on. Errors: 55000 under REPEATABLE READ or SERIALIZABLE; 39P01 if not called after the event. Locks: users in SHARE ROW EXCLUSIVE mode, so that nobody counts meanwhile, until the transaction ends.';
