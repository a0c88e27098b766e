-- Topic quota: limits that hold under concurrency, and reservations of what is not known yet.

-- Levels: application
CREATE FUNCTION claude_gpt.consume_quota(
    p_user_id uuid,
    p_action text DEFAULT 'message',
    p_quantity bigint DEFAULT 1,
    p_model text DEFAULT NULL,
    p_idempotency_key text DEFAULT NULL,
    OUT allowed boolean,
    OUT reason text,
    OUT limit_name text,
    OUT limit_value bigint,
    OUT used bigint,
    OUT held bigint,
    OUT remaining bigint,
    OUT resets_at timestamptz,
    OUT retry_after_seconds integer,
    OUT error_code text,
    OUT http_status integer,
    OUT replayed boolean
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_consume_quota';
COMMENT ON FUNCTION claude_gpt.consume_quota(uuid, text, bigint, text, text) IS
'Counts a quantity of one action ("message", "token" or "api_call") if the plan of the user leaves room for all of it, and says so in one row; otherwise changes nothing and says why. Exact under concurrency: after an admission, used and held together are within the limit. Also asks that the plan lists the model (if one is given), that its costPerMonth is not used up, and that maintenance mode is off. A denial is a row, not an error: raise_if_denied turns it into one. limit_name, limit_value, used, held and remaining describe the limit that denied, or that of the action as it stands after the call; NULL is unlimited; for the limit "cost" they are millionths of the currency unit. retry_after_seconds is when a denied call may succeed: at the first expiry of a hold or at the end of the month; NULL if never. A repeated call with the same idempotency key counts nothing and returns the first answer; denied calls are not remembered. Errors: P0002 no such user; 22004 NULL in user, action or quantity; 22023 quantity below 1, no such action, a model not of 1 to 255 characters, or a key that is empty or longer than 255 bytes; 22003 a counter overflows; 55000 the plan is not configured; UQ006 the key was used for another call. Locks: the row of the user; a denial locks nothing.';

-- Levels: read application billing operator
CREATE FUNCTION claude_gpt.quota_status(
    p_user_id uuid
) RETURNS TABLE (
    action text,
    limit_value bigint,
    used bigint,
    held bigint,
    remaining bigint,
    resets_at timestamptz
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_quota_status';
COMMENT ON FUNCTION claude_gpt.quota_status(uuid) IS
'A row for each of "message", "token", "api_call" and "cost": the limit of the plan of the user (NULL is unlimited), what is used this month, what open reservations hold, what remains, and when the month ends in the billing time zone. The same numbers that consume_quota decides by, without changing anything; holds that have expired count no more. Cost is in millionths of the currency unit, used and held rounded up, limit and remaining rounded down. Errors: P0002 no such user; 22004 NULL; 55000 the plan is not configured. Locks nothing.';

-- Levels: application
CREATE FUNCTION claude_gpt.reserve_usage(
    p_user_id uuid,
    p_tokens bigint,
    p_messages integer DEFAULT 1,
    p_model text DEFAULT NULL,
    p_ttl interval DEFAULT '5 minutes',
    p_idempotency_key text DEFAULT NULL,
    p_estimated_cost numeric DEFAULT NULL,
    OUT allowed boolean,
    OUT reason text,
    OUT limit_name text,
    OUT limit_value bigint,
    OUT used bigint,
    OUT held bigint,
    OUT remaining bigint,
    OUT resets_at timestamptz,
    OUT retry_after_seconds integer,
    OUT error_code text,
    OUT http_status integer,
    OUT replayed boolean,
    OUT reservation_id uuid,
    OUT expires_at timestamptz
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_reserve_usage_of_user';
COMMENT ON FUNCTION claude_gpt.reserve_usage(uuid, bigint, integer, text, interval, text, numeric) IS
'Holds messages and an estimate of tokens, with what they may cost at most by the price of the model, until they are settled or released, or until the time to live (1 second to 24 hours) is over: then they are free again at that moment. Decides like consume_quota, over all limits of the plan that it touches: all are held or nothing is. An estimate of 0 tokens needs a limit that is not used up. It is settled by the prices of this moment. Tokens of a model that has none are denied (price_unknown), unless p_estimated_cost says what they may cost: that is held then, and charged if settling says no cost. Without a model nothing is held of a cost limit, and settling has to say the cost. The first columns are those of consume_quota; on admission they describe the limit of messages, or of tokens where no message is held. Errors: those of consume_quota; 22004 NULL in tokens, messages or time to live; 22023 negative, both zero, an estimated cost of zero or less, or a time to live out of range. Locks: the row of the user.';

-- Levels: application
CREATE FUNCTION claude_gpt.extend_usage(
    p_user_id uuid,
    p_reservation_id uuid,
    p_ttl interval
) RETURNS timestamptz
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_extend_usage_of_user';
COMMENT ON FUNCTION claude_gpt.extend_usage(uuid, uuid, interval) IS
'Lets an open reservation expire at another time: 1 second to 24 hours from now. Returns that moment. Errors: P0002 the user has no such reservation; 22004 NULL; 22023 time to live out of range; 55000 the reservation is settled, released or expired. Locks: the row of the user, the reservation.';

-- Levels: application
CREATE FUNCTION claude_gpt.settle_usage(
    p_user_id uuid,
    p_reservation_id uuid,
    p_prompt_tokens integer DEFAULT NULL,
    p_completion_tokens integer DEFAULT NULL,
    p_cost numeric DEFAULT NULL,
    p_message_id uuid DEFAULT NULL,
    p_cached_prompt_tokens integer DEFAULT 0,
    p_cache_write_tokens integer DEFAULT 0,
    p_usage jsonb DEFAULT NULL,
    OUT charged_tokens bigint,
    OUT charged_cost numeric,
    OUT late boolean,
    OUT replayed boolean,
    OUT estimated boolean
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_settle_usage_of_user';
COMMENT ON FUNCTION claude_gpt.settle_usage(uuid, uuid, integer, integer, numeric, uuid, integer, integer, jsonb) IS
'Ends a reservation with what was really used: gives back what it held, counts its messages, the tokens and the cost, and writes usage records. A NULL cost is computed from the configuration "model_prices", by the model of the reservation; tokens read from and written to a prompt cache are part of the prompt tokens and have prices of their own. p_usage takes the place of the counts: the usage as the provider of the model reports it, an object for one call of the model or an array with one for each, each priced by itself; OpenAI, Anthropic, Gemini, Amazon Bedrock and the AI SDK are told apart by their names, or by a member convention ("openai", "gemini", "ai-sdk": the input includes what was read from and written to a cache; "anthropic", "bedrock": it does not). Where what was used is not known, which a NULL count, a null in p_usage or neither says, what was held is charged, or what is known if that is more, and the answer says estimated. Charges also what is above the hold, and after the reservation has expired, which it says as late. The same call again returns the first result and says replayed. Errors: P0002 the user has no such reservation, or no such message of the user; 22004 NULL in user, reservation, or tokens of a cache; 22023 negative, more cached than prompt tokens, counts beside p_usage, or a p_usage that is no usage or does not tell whose it is; 22003 a counter overflows, or more than 2147483647 tokens; 55000 the reservation was released, or belongs to a chat turn; UQ006 it was settled with other numbers or another usage; UQ009 the cost is NULL and the price is not known. Locks: the row of the user, the reservation.';

-- Levels: application
CREATE FUNCTION claude_gpt.release_usage(
    p_user_id uuid,
    p_reservation_id uuid
) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_release_usage_of_user';
COMMENT ON FUNCTION claude_gpt.release_usage(uuid, uuid) IS
'Ends a reservation without charging anything. True if it was released, now or before; false if it had expired or was settled. Errors: P0002 the user has no such reservation; 22004 NULL; 55000 it belongs to a chat turn. Locks: the row of the user, the reservation.';

-- Levels: application
CREATE FUNCTION claude_gpt.raise_if_denied(
    p_decision record
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_raise_if_denied';
COMMENT ON FUNCTION claude_gpt.raise_if_denied(record) IS
'Turns a denial into an error: SELECT d.*, claude_gpt.raise_if_denied(d) FROM claude_gpt.consume_quota(...) AS d. Takes a row of consume_quota, reserve_usage, begin_turn, check_rate_limit or rate_limit; does nothing if it says allowed. Errors: UQ001 quota exceeded; UQ002 rate limited; UQ003 model not in plan; UQ004 maintenance; UQ005 capacity; UQ007 too many turns at once; UQ009 price unknown; 22004 NULL; 22023 a row without allowed and reason.';
