-- Topic conversations: chat turns, conversations and their messages.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.maintain_conversation_counters() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_maintain_conversation_counters';
COMMENT ON FUNCTION claude_gpt_internal.maintain_conversation_counters() IS
'Trigger function of messages, once a statement: keeps message_count, total_tokens, total_cost and last_message_at of the conversations equal to their messages, of which those with status "deleted" count as absent. A message without total_tokens counts with prompt_tokens and completion_tokens. Refuses a message that is its own parent, or whose parent is in another conversation. Errors: 23514; 39P01 without transition tables. Locks: the rows of the conversations, in the order of their ids; the parents of new replies, as their foreign key does; messages that were moved, FOR UPDATE.';
