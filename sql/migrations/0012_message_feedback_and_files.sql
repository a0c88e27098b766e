-- What users think of messages, and the files of messages and conversations.
-- Locks: SHARE ROW EXCLUSIVE on users, conversations and messages (foreign keys).

CREATE TABLE claude_gpt_data.message_feedback (
    message_id uuid NOT NULL
        CONSTRAINT message_feedback_message_id_fkey REFERENCES claude_gpt_data.messages (id) ON DELETE CASCADE,
    user_id uuid NOT NULL CONSTRAINT message_feedback_user_id_fkey REFERENCES claude_gpt_data.users (id) ON DELETE CASCADE,
    rating varchar(20) NOT NULL CONSTRAINT message_feedback_rating_check CHECK (rating = ANY ('{up,down}')),
    comment text,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT message_feedback_pkey PRIMARY KEY (message_id, user_id)
);
COMMENT ON TABLE claude_gpt_data.message_feedback IS
'What users think of messages, one row a user and message: see set_message_feedback. It goes with the message, and with the user.';
COMMENT ON COLUMN claude_gpt_data.message_feedback.comment IS 'What the user says to it, in words.';

CREATE INDEX idx_message_feedback_user_id ON claude_gpt_data.message_feedback (user_id);

CREATE TABLE claude_gpt_data.message_files (
    id uuid CONSTRAINT message_files_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT message_files_user_id_fkey REFERENCES claude_gpt_data.users (id) ON DELETE CASCADE,
    conversation_id uuid
        CONSTRAINT message_files_conversation_id_fkey REFERENCES claude_gpt_data.conversations (id) ON DELETE CASCADE,
    message_id uuid CONSTRAINT message_files_message_id_fkey REFERENCES claude_gpt_data.messages (id) ON DELETE CASCADE,
    name text NOT NULL,
    media_type varchar(255),
    size_bytes bigint CONSTRAINT message_files_size_bytes_check CHECK (size_bytes >= 0),
    location text NOT NULL CONSTRAINT message_files_location_check CHECK (location <> ''),
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
COMMENT ON TABLE claude_gpt_data.message_files IS
'Files of messages, of conversations, or of a user who has not sent them yet: what they are, and where the application keeps them. A row goes with its message, its conversation and its user; what lies at its location is the application''s to delete.';
COMMENT ON COLUMN claude_gpt_data.message_files.name IS 'As the user knows it.';
COMMENT ON COLUMN claude_gpt_data.message_files.location IS 'Where it is kept: a URL, or the key in a store of objects.';

CREATE INDEX idx_message_files_user_id ON claude_gpt_data.message_files (user_id);
-- Without these, deleting a conversation or a message reads all files.
CREATE INDEX idx_message_files_conversation_id ON claude_gpt_data.message_files (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX idx_message_files_message_id ON claude_gpt_data.message_files (message_id) WHERE message_id IS NOT NULL;
