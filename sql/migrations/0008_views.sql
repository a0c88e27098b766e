-- The list of conversations with their newest message.
-- Locks: none, the view is new.

CREATE VIEW claude_gpt.conversation_summary WITH (security_invoker = true) AS
SELECT
    c.id,
    c.user_id,
    c.title,
    c.message_count,
    c.total_tokens,
    c.total_cost,
    c.created_at,
    c.last_message_at,
    c.is_archived,
    c.is_pinned,
    m.content AS last_message_content,
    m.role AS last_message_role
FROM claude_gpt.conversations AS c
LEFT JOIN LATERAL (
    SELECT content, role
    FROM claude_gpt.messages
    WHERE conversation_id = c.id AND status <> 'deleted'
    ORDER BY created_at DESC, id DESC
    LIMIT 1
) AS m ON TRUE;
COMMENT ON VIEW claude_gpt.conversation_summary IS
'Each conversation with its counters and its newest message that is not deleted.';
