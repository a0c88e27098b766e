-- Login sessions.
-- Locks: SHARE ROW EXCLUSIVE on users (foreign key).

CREATE TABLE claude_gpt_data.user_sessions (
    id uuid CONSTRAINT user_sessions_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT user_sessions_user_id_fkey REFERENCES claude_gpt_data.users (id) ON DELETE CASCADE,
    session_token varchar(2048) NOT NULL CONSTRAINT idx_user_sessions_token UNIQUE,
    refresh_token varchar(2048) CONSTRAINT idx_user_sessions_refresh_token UNIQUE,
    device_id text,
    device_type text,
    device_name text,
    app_version text,
    ip_address inet,
    user_agent text,
    is_active boolean NOT NULL DEFAULT true,
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITH (fillfactor = 90);  -- last_used_at moves and has no index
COMMENT ON TABLE claude_gpt_data.user_sessions IS
'Login sessions. One that has expired or is not active counts no more, whether or not it was cleaned up.';

CREATE INDEX idx_user_sessions_user_id ON claude_gpt_data.user_sessions (user_id);
CREATE INDEX idx_user_sessions_expires_at ON claude_gpt_data.user_sessions (expires_at);
-- The ones that wait to be cleaned up.
CREATE INDEX idx_user_sessions_active ON claude_gpt_data.user_sessions (is_active) WHERE NOT is_active;
