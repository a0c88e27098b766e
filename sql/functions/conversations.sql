-- Topic conversations: chat turns, conversations and their messages.

-- Levels: application
CREATE FUNCTION claude_gpt.begin_turn(
    p_user_id uuid,
    p_conversation_id uuid,
    p_content text,
    p_model text,
    p_estimated_tokens integer DEFAULT 0,
    p_parent_message_id uuid DEFAULT NULL,
    p_message_id uuid DEFAULT NULL,
    p_content_type text DEFAULT 'text',
    p_metadata jsonb DEFAULT NULL,
    p_ttl interval DEFAULT '5 minutes',
    p_idempotency_key text DEFAULT NULL,
    p_parts jsonb DEFAULT NULL,
    p_estimated_cost numeric DEFAULT NULL,
    p_create boolean DEFAULT false,
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
    OUT conversation_id uuid,
    OUT message_id uuid,
    OUT assistant_message_id uuid,
    OUT reservation_id uuid,
    OUT expires_at timestamptz,
    OUT reply_status text
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_begin_turn_of_user';
COMMENT ON FUNCTION claude_gpt.begin_turn(uuid, uuid, text, text, integer, uuid, uuid, text, jsonb, interval, text, jsonb, numeric, boolean) IS
'Begins a chat turn: asks for maintenance mode, the model in the plan of the user, its price, the rate limit, the turns that the user has open at once (maxConcurrentTurns of the plan) and the quotas, in this order; then holds a message and the estimated tokens, stores the message of the user and an empty reply with status "sending". One row says all that a chat server answers: whether it is allowed, the numbers for its headers, and the ids. A denial stores nothing. The turn is settled by the prices of this moment; a model that has none is denied (price_unknown), unless p_estimated_cost says what the turn may cost: that is held then, and charged if its end says no cost. A NULL conversation starts one; p_create starts it under the id that is given, where the user has none of that id. A NULL parent continues after the newest message that nothing follows yet; a reply as parent continues there; a message of the user as parent puts the new one beside it (an edit, a new branch), or without content makes a new reply to it (regenerate), as it does with what a tool has answered. Content is the plain text, p_parts what the message is made of, an array of objects; content may be empty then. The message is later than all others of the conversation, whatever the clock says. A repeated call says in reply_status what became of the reply: sending, sent, stopped, failed, deleted, or NULL where it is gone. The columns up to replayed are those of consume_quota; where the rate denies, they describe the calls a minute, and where too many turns are open, these. Errors: those of reserve_usage; P0002 no such user, no such conversation of the user, or no such parent in it; 22004 NULL in model, or no content and no parent; 22023 parts that are no array of objects, empty content of type text without parts, a model not of 1 to 255 characters, negative estimate, a parent without a conversation, or, without content, a reply as parent, a message id, metadata or parts; 23505 the message id is taken, or the id of the conversation by another user; 23514 an empty content type; 22001 one of more than 255 characters; 55000 rate limits are configured and the library is not preloaded. Locks: the row of the user, then the conversation.';

-- Levels: application
CREATE FUNCTION claude_gpt.save_partial(
    p_user_id uuid,
    p_reservation_id uuid,
    p_content text,
    p_parts jsonb DEFAULT NULL
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_save_partial_of_user';
COMMENT ON FUNCTION claude_gpt.save_partial(uuid, uuid, text, jsonb) IS
'Stores what has been streamed of a reply so far; the whole text each time, and the parts it is made of, an array of objects: NULL keeps those that are stored. The reply stays "sending". Where less than half of the time to live of the reservation is left, it begins again, so that a long stream keeps what it holds. Errors: P0002 the user has no such reservation; 22004 NULL user, reservation or content; 22023 parts that are no array of objects; 55000 the turn is over, or the reservation belongs to none. Locks: the message; to renew the hold, the row of the user and the reservation before it.';

-- Levels: application
CREATE FUNCTION claude_gpt.complete_turn(
    p_user_id uuid,
    p_reservation_id uuid,
    p_content text,
    p_prompt_tokens integer DEFAULT NULL,
    p_completion_tokens integer DEFAULT NULL,
    p_cost numeric DEFAULT NULL,
    p_metadata jsonb DEFAULT NULL,
    p_cached_prompt_tokens integer DEFAULT 0,
    p_cache_write_tokens integer DEFAULT 0,
    p_usage jsonb DEFAULT NULL,
    p_parts jsonb DEFAULT NULL,
    OUT message_id uuid,
    OUT conversation_id uuid,
    OUT total_tokens bigint,
    OUT charged_cost numeric,
    OUT late boolean,
    OUT replayed boolean,
    OUT estimated boolean
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_complete_turn_of_user';
COMMENT ON FUNCTION claude_gpt.complete_turn(uuid, uuid, text, integer, integer, numeric, jsonb, integer, integer, jsonb, jsonb) IS
'Ends a chat turn: stores the reply as "sent" with its tokens and cost, and settles the reservation as settle_usage does, by counts or by p_usage, all counters of user and conversation included. Without either, what was held is charged, and the answer says estimated. NULL metadata or parts keep what is stored; content is the plain text, p_parts what the reply is made of, an array of objects. If the reply was deleted meanwhile, what was used is charged all the same. The same call again returns the first result and says replayed. Errors: those of settle_usage; UQ006 the turn ended with another reply; 22004 NULL content; 22023 parts that are no array of objects; 55000 the reservation belongs to no turn. Locks: the row of the user, the reservation, the conversation, the message.';

-- Levels: application
CREATE FUNCTION claude_gpt.stop_turn(
    p_user_id uuid,
    p_reservation_id uuid,
    p_content text DEFAULT NULL,
    p_prompt_tokens integer DEFAULT NULL,
    p_completion_tokens integer DEFAULT NULL,
    p_cost numeric DEFAULT NULL,
    p_metadata jsonb DEFAULT NULL,
    p_cached_prompt_tokens integer DEFAULT 0,
    p_cache_write_tokens integer DEFAULT 0,
    p_usage jsonb DEFAULT NULL,
    p_parts jsonb DEFAULT NULL,
    OUT message_id uuid,
    OUT conversation_id uuid,
    OUT total_tokens bigint,
    OUT charged_cost numeric,
    OUT late boolean,
    OUT replayed boolean,
    OUT estimated boolean
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_stop_turn';
COMMENT ON FUNCTION claude_gpt.stop_turn(uuid, uuid, text, integer, integer, numeric, jsonb, integer, integer, jsonb, jsonb) IS
'Ends a chat turn that was stopped, by its user or since nobody reads it any more: stores the reply as "stopped", as far as it came, and charges it as complete_turn does. Without content or parts, what was saved of them stays. The model is shown it in later turns, as it is a reply that is whole. Where it is not known what was used, say neither tokens nor usage: what was held is charged, and the answer says estimated. The same call again returns the first result and says replayed. Errors and locks: those of complete_turn, but NULL content.';

-- Levels: application
CREATE FUNCTION claude_gpt.fail_turn(
    p_user_id uuid,
    p_reservation_id uuid,
    p_error_message text,
    p_prompt_tokens integer DEFAULT 0,
    p_completion_tokens integer DEFAULT 0,
    p_content text DEFAULT NULL,
    p_cost numeric DEFAULT NULL,
    p_cached_prompt_tokens integer DEFAULT 0,
    p_cache_write_tokens integer DEFAULT 0,
    p_usage jsonb DEFAULT NULL,
    p_parts jsonb DEFAULT NULL,
    OUT message_id uuid,
    OUT conversation_id uuid,
    OUT total_tokens bigint,
    OUT charged_cost numeric,
    OUT late boolean,
    OUT replayed boolean,
    OUT estimated boolean
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_fail_turn_of_user';
COMMENT ON FUNCTION claude_gpt.fail_turn(uuid, uuid, text, integer, integer, text, numeric, integer, integer, jsonb, jsonb) IS
'Ends a chat turn that failed: marks the reply "failed" with the error, keeping what was saved of it unless content or parts are given. If tokens or a cost are given, they are charged with the message, as complete_turn does; otherwise the reservation is released and nothing is counted. Where it is not known what was used, say NULL for the tokens: what was held is charged then, and the answer says estimated. Errors: those of complete_turn; 22004 NULL error message. Locks: those of complete_turn.';

-- Levels: application
CREATE FUNCTION claude_gpt.list_conversations(
    p_user_id uuid,
    p_archived boolean DEFAULT false,
    p_before uuid DEFAULT NULL,
    p_limit integer DEFAULT 50
) RETURNS TABLE (
    id uuid,
    title text,
    summary text,
    message_count integer,
    total_tokens bigint,
    total_cost numeric,
    is_archived boolean,
    is_pinned boolean,
    created_at timestamptz,
    last_message_at timestamptz,
    last_message_content text,
    last_message_role text
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_list_conversations';
COMMENT ON FUNCTION claude_gpt.list_conversations(uuid, boolean, uuid, integer) IS
'A page of the conversations of a user, that with the newest message first, each with its newest message that is not deleted. p_archived: only those that are archived, only those that are not, or NULL for both. p_before: the last conversation of the page before; NULL for the first page. At most 1000 a page. Errors: P0002 no such user, or no such conversation of the user; 22004 NULL user or limit; 22023 limit out of range. Locks nothing.';

-- Levels: application
CREATE FUNCTION claude_gpt.conversation_messages(
    p_user_id uuid,
    p_conversation_id uuid,
    p_before uuid DEFAULT NULL,
    p_limit integer DEFAULT 50
) RETURNS TABLE (
    id uuid,
    parent_message_id uuid,
    role text,
    content text,
    parts jsonb,
    content_type text,
    model_used text,
    prompt_tokens integer,
    completion_tokens integer,
    total_tokens integer,
    cost numeric,
    cached_prompt_tokens integer,
    cache_write_tokens integer,
    reasoning_tokens integer,
    status text,
    error_message text,
    metadata jsonb,
    created_at timestamptz,
    updated_at timestamptz
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_conversation_messages';
COMMENT ON FUNCTION claude_gpt.conversation_messages(uuid, uuid, uuid, integer) IS
'A page of the messages of a conversation, of all its branches, the newest first, without those that are deleted. p_before: the last message of the page before; NULL for the first page. At most 1000 a page. Errors: P0002 no such conversation of the user, or no such message in it; 22004 NULL user, conversation or limit; 22023 limit out of range. Locks nothing.';

-- Levels: application
CREATE FUNCTION claude_gpt.conversation_path(
    p_user_id uuid,
    p_leaf_message_id uuid,
    p_max_tokens integer DEFAULT NULL
) RETURNS TABLE (
    "position" integer,
    id uuid,
    parent_message_id uuid,
    role text,
    content text,
    parts jsonb,
    content_type text,
    model_used text,
    status text,
    tokens integer,
    sibling_index integer,
    sibling_count integer,
    metadata jsonb,
    created_at timestamptz
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_conversation_path';
COMMENT ON FUNCTION claude_gpt.conversation_path(uuid, uuid, integer) IS
'The branch of a conversation that ends with a message, from its root: what to send to a model. Before a message stands its parent or, where it has none and does not begin a branch (is_root), the newest message before it that is no reply to it. Of the messages before the last only those with status "sent", or "stopped" after something was said. With p_max_tokens only the newest whose tokens together are within it, the last message always; tokens are the completion tokens of a reply, the total tokens of another message, or where these are NULL a third of the bytes of its content, or of its parts if these are more, rounded up. sibling_index (from 1, the oldest first) and sibling_count tell which of the messages that follow the same one each is. Errors: P0002 no such message of the user; 22004 NULL user or message; 22023 p_max_tokens below 1. Locks nothing.';

-- Levels: application
CREATE FUNCTION claude_gpt.delete_conversation(
    p_user_id uuid,
    p_conversation_id uuid
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_delete_conversation';
COMMENT ON FUNCTION claude_gpt.delete_conversation(uuid, uuid) IS
'Deletes a conversation with its messages. What they used stays counted, in usage records that name neither any more. Errors: P0002 no such user, or no such conversation of the user; 22004 NULL. Locks: the row of the user, the conversation, its messages.';

-- Levels: application
CREATE FUNCTION claude_gpt.set_message_feedback(
    p_user_id uuid,
    p_message_id uuid,
    p_rating text,
    p_comment text DEFAULT NULL
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_set_message_feedback';
COMMENT ON FUNCTION claude_gpt.set_message_feedback(uuid, uuid, text, text) IS
'Sets what a user thinks of a message in one of his conversations: "up" or "down", and a comment. NULL as rating takes it back. One of a user and message: another call replaces it. A NULL comment keeps what was said with the same rating; an empty one takes it back. Errors: P0002 no such user, or no such message in a conversation of the user; 22004 NULL user or message; 22023 no such rating, or a comment without a rating. Locks: the row of the user, the message.';
