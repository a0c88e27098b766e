-- Topic conversations: chat turns, conversations and their messages.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.maintain_conversation_counters() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_maintain_conversation_counters';
COMMENT ON FUNCTION claude_gpt_internal.maintain_conversation_counters() IS
'Trigger function of messages, once a statement: keeps message_count, total_tokens, total_cost and last_message_at of the conversations equal to their messages, of which those with status "deleted" count as absent. A message without total_tokens counts with prompt_tokens and completion_tokens. Refuses a message that is its own parent, or whose parent is in another conversation. Errors: 23514; 39P01 without transition tables. Locks: the rows of the conversations, in the order of their ids; the parents of new replies, as their foreign key does; messages that were moved, FOR UPDATE.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.hand_over_replies() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_hand_over_replies';
COMMENT ON FUNCTION claude_gpt_internal.hand_over_replies() IS
'Trigger function of messages, for each row that is deleted: its replies get the message that it followed as their parent, which is the next one above that is not deleted with it, or become roots. Errors: 39P01 unless after DELETE for each row. Locks: the new parent, as its foreign key does; the replies.';
