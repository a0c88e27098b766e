-- Topic books: whether the counters are true.

-- Levels: operator monitor
CREATE FUNCTION claude_gpt.prove_books(p_user_id uuid DEFAULT NULL) RETURNS TABLE (
    user_id uuid,
    conversation_id uuid,
    item text,
    recorded text,
    proved text
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    AS 'MODULE_PATHNAME', 'claude_gpt_prove_books';
COMMENT ON FUNCTION claude_gpt.prove_books(uuid) IS
'Computes every counter and hold anew, in one snapshot, and returns a row for each that differs; none on a healthy database. The monthly and total counters of users must equal the sums of usage_records (by the billing_period of each row) and usage_balances; the held amounts the open usage_reservations, of which none may expire before next_hold_expiry; the counters and last_message_at of conversations their messages that are not deleted. A monthly_reset_date or next_hold_expiry that only a clock that was ahead can have written is a row, too; proved is NULL where repair_books decides. For one user, or for all with NULL. While the configuration "usage_ledger" is false, what counters hold beyond ledger and balances cannot be proved: it is no difference, and a NOTICE says so. It takes usage_balances as they are: what was carried there, because the ledger no longer holds it or never did, is proved by nothing else; nor are last_active_at, the last_message_at of a conversation without messages, and rate limits, which have no record. Errors: P0002 no such user; 55000 the tables are missing or older than the code. Locks nothing.';

-- Levels: operator
CREATE FUNCTION claude_gpt.repair_books(p_user_id uuid DEFAULT NULL) RETURNS TABLE (
    user_id uuid,
    conversation_id uuid,
    item text,
    recorded text,
    proved text
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    AS 'MODULE_PATHNAME', 'claude_gpt_repair_books';
COMMENT ON FUNCTION claude_gpt.repair_books(uuid) IS
'Sets every counter and hold that prove_books finds different to its proved value, and returns a row for each that it changed. Records, balances, reservations and messages are the truth and stay as they are, but for times of the future: months, holds, last activities, idempotency keys and records of the ledger that a clock wrote which was ahead are brought near, so the clock of the server is to be right. For one user, or for all with NULL. Errors: P0002 no such user; 22003 the proved value does not fit the column; 40001 under REPEATABLE READ, if a row has changed since. Locks: the rows it looks into: users, then conversations, in the order of their ids, until the transaction ends; only those with a difference.';
