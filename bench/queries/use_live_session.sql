\set n 6 * random(1, :live)
UPDATE user_sessions SET last_used_at = CURRENT_TIMESTAMP WHERE session_token = md5('token' || :n);
