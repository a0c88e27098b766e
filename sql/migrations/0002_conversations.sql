-- Conversations and their messages.
-- Locks: none, the tables are new.

CREATE TABLE claude_gpt_data.conversations (
    id uuid CONSTRAINT conversations_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT conversations_user_id_fkey REFERENCES claude_gpt_data.users (id) ON DELETE CASCADE,
    title text,
    summary text,

    message_count integer NOT NULL DEFAULT 0,
    total_tokens bigint NOT NULL DEFAULT 0,
    total_cost numeric(20,9) NOT NULL DEFAULT 0,

    is_archived boolean NOT NULL DEFAULT false,
    is_pinned boolean NOT NULL DEFAULT false,

    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    last_message_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,

    -- As users.last_active_on: moves once a day, so that counting a message writes no index.
    last_message_on date
) WITH (fillfactor = 80);
COMMENT ON TABLE claude_gpt_data.conversations IS
'Conversations of a user. The counters and last_message_at follow the messages by triggers; messages with status "deleted" count as absent.';
COMMENT ON COLUMN claude_gpt_data.conversations.last_message_on IS 'The UTC day of last_message_at, for the index.';

CREATE INDEX idx_conversations_user_id ON claude_gpt_data.conversations (user_id);
CREATE INDEX idx_conversations_created_at ON claude_gpt_data.conversations (created_at);
CREATE INDEX idx_conversations_last_message_at ON claude_gpt_data.conversations (last_message_on);
-- The few that are archived; the others are found by idx_conversations_user_id.
CREATE INDEX idx_conversations_user_archived ON claude_gpt_data.conversations (user_id, is_archived) WHERE is_archived;

CREATE TABLE claude_gpt_data.messages (
    id uuid CONSTRAINT messages_pkey PRIMARY KEY,
    conversation_id uuid NOT NULL
        CONSTRAINT messages_conversation_id_fkey REFERENCES claude_gpt_data.conversations (id) ON DELETE CASCADE,
    user_id uuid NOT NULL CONSTRAINT messages_user_id_fkey REFERENCES claude_gpt_data.users (id) ON DELETE CASCADE,

    role varchar(20) NOT NULL,
    content text NOT NULL,
    content_type varchar(255) NOT NULL DEFAULT 'text',

    model_used varchar(255),
    prompt_tokens integer,
    completion_tokens integer,
    total_tokens integer,
    cost numeric(20,9),

    status varchar(20) NOT NULL DEFAULT 'sent',
    error_message text,

    metadata jsonb,
    parent_message_id uuid
        CONSTRAINT messages_parent_message_id_fkey REFERENCES claude_gpt_data.messages (id) ON DELETE SET NULL,

    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,

    is_searchable boolean NOT NULL DEFAULT false,

    is_root boolean NOT NULL DEFAULT false,

    cached_prompt_tokens integer,
    cache_write_tokens integer,
    reasoning_tokens integer,

    parts jsonb
);
COMMENT ON TABLE claude_gpt_data.messages IS
'Messages of conversations. A reply and its parent are in the same conversation, which a trigger checks.';
COMMENT ON COLUMN claude_gpt_data.messages.content_type IS
'What content is: text, image, file, audio, tool_call, a media type, or whatever else the application calls it.';
COMMENT ON COLUMN claude_gpt_data.messages.cached_prompt_tokens IS 'Part of the prompt that was read from a cache; NULL where it is not known.';
COMMENT ON COLUMN claude_gpt_data.messages.cache_write_tokens IS 'Part of the prompt that was written to a cache; NULL where it is not known.';
COMMENT ON COLUMN claude_gpt_data.messages.reasoning_tokens IS 'Part of the completion that was thought and not said; NULL where it is not known.';
COMMENT ON COLUMN claude_gpt_data.messages.parts IS
'What the message is made of, as the model or its library has it: an array of objects, such as text, tool calls and their results, images, reasoning. Content is its plain text, for reading and search.';
COMMENT ON COLUMN claude_gpt_data.messages.is_searchable IS
'Whether the full-text index holds the message. Off by default, since indexing doubles the cost of storing a message.';
COMMENT ON COLUMN claude_gpt_data.messages.is_root IS
'Whether a message without a parent begins a branch of its own. Without a parent and false, it follows the message before it.';

-- A conversation's newest page, and its newest message for conversation_summary.
CREATE INDEX idx_messages_conversation_id ON claude_gpt_data.messages (conversation_id, created_at DESC, id DESC);
CREATE INDEX idx_messages_user_id ON claude_gpt_data.messages (user_id);
-- Appended in the order of time: a few pages instead of an entry for each message.
CREATE INDEX idx_messages_created_at ON claude_gpt_data.messages USING brin (created_at);
-- The rare values only; an index over the common ones would be read past.
CREATE INDEX idx_messages_role ON claude_gpt_data.messages (conversation_id) WHERE role = 'system';
CREATE INDEX idx_messages_status ON claude_gpt_data.messages (status, conversation_id) WHERE status <> 'sent';
CREATE INDEX idx_messages_parent_id ON claude_gpt_data.messages (parent_message_id) WHERE parent_message_id IS NOT NULL;
-- Of what is marked searchable. The first 50,000 characters: a tsvector ends at 1 MB, and storing a
-- message must not fail because of search.
CREATE INDEX idx_messages_content_search ON claude_gpt_data.messages
    USING gin (to_tsvector('pg_catalog.english', left(content, 50000))) WHERE is_searchable;

-- The list of conversations with their newest message.
CREATE VIEW claude_gpt_data.conversation_summary WITH (security_invoker = true) AS
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
FROM claude_gpt_data.conversations AS c
LEFT JOIN LATERAL (
    SELECT content, role
    FROM claude_gpt_data.messages
    WHERE conversation_id = c.id AND status <> 'deleted'
    ORDER BY created_at DESC, id DESC
    LIMIT 1
) AS m ON TRUE;
COMMENT ON VIEW claude_gpt_data.conversation_summary IS
'Each conversation with its counters and its newest message that is not deleted.';
