-- Topic usage: counting what users consume.

CREATE FUNCTION claude_gpt.update_user_usage(
    p_user_id uuid,
    p_message_count integer DEFAULT 1,
    p_tokens integer DEFAULT 0,
    p_cost numeric DEFAULT 0
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_update_user_usage';
COMMENT ON FUNCTION claude_gpt.update_user_usage(uuid, integer, integer, numeric) IS
'Counts messages, tokens and cost (in the currency of your prices, rounded to nine decimal places) for a user, in the month that the billing time zone has now and in total, and writes a usage record for messages and one for tokens with the cost, unless the configuration "usage_ledger" is false. The first call of a month starts the month anew. Counts unconditionally: it does not ask whether a limit is reached. Errors: P0002 no such user; 22004 NULL; 22023 negative, or a cost that is no number; 22003 a counter overflows. Locks: the row of the user.';

REVOKE ALL ON FUNCTION claude_gpt.update_user_usage(uuid, integer, integer, numeric) FROM PUBLIC;
