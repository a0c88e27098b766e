-- Topic usage: counting what users consume.

-- Levels: application
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

-- Levels: application
CREATE FUNCTION claude_gpt.record_usage(
    p_user_id uuid,
    p_usage_type text,
    p_quantity bigint DEFAULT 1,
    p_model text DEFAULT NULL,
    p_cost numeric DEFAULT 0,
    p_message_id uuid DEFAULT NULL,
    p_conversation_id uuid DEFAULT NULL,
    p_metadata jsonb DEFAULT NULL,
    p_idempotency_key text DEFAULT NULL,
    OUT usage_record_id uuid,
    OUT replayed boolean
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_record_usage';
COMMENT ON FUNCTION claude_gpt.record_usage(uuid, text, bigint, text, numeric, uuid, uuid, jsonb, text) IS
'Counts one kind of usage ("message", "token" or "api_call") with its cost, and writes a usage record that says the model, message, conversation and what else the application wants to keep. Counts unconditionally, as update_user_usage does. A repeated call with the same idempotency key counts nothing, returns the first record and says replayed. The record is NULL where the configuration "usage_ledger" is false. Errors: P0002 no such user, or no such message or conversation of the user; 22004 NULL in user, type, quantity or cost; 22023 negative, both quantity and cost zero, no such type, a model not of 1 to 255 characters, or a key that is empty or longer than 255 bytes; 22003 a counter overflows; UQ006 the key was used for another call. Locks: the row of the user.';
