-- What jobs work on: users with ids as in load.sql, and their sessions by sessions.sql. For a database of its own.
SET search_path = claude_gpt_data, claude_gpt, public;
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
INSERT INTO users (id, email, password_hash)
SELECT md5(n::text)::uuid, 'user' || n || '@example.com', 'x' FROM generate_series(1, :users) AS n;
VACUUM ANALYZE users;
