-- cleanup_expired_sessions.
BEGIN;
\ir prelude.psql
SELECT no_plan();
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT pg_temp.new_user('ada') AS ada \gset

SELECT is(cleanup_expired_sessions(), 0, 'without sessions nothing is deleted');
INSERT INTO user_sessions (user_id, session_token, expires_at, is_active) VALUES
    (:'ada', 'live', '2026-12-22Z', true),
    (:'ada', 'at this moment', '2026-11-22 10:00:00Z', true),
    (:'ada', 'a moment ago', '2026-11-22 09:59:59.999999Z', true),
    (:'ada', 'a moment ahead', '2026-11-22 10:00:00.000001Z', true),
    (:'ada', 'logged out', '2026-12-22Z', false),
    (:'ada', 'both', '2026-01-01Z', false),
    (:'ada', 'for ever', 'infinity', true),
    (:'ada', 'never', '-infinity', true);
SELECT is(cleanup_expired_sessions(), 4, 'expired and inactive sessions are deleted, and each counted once');
SELECT bag_eq('SELECT session_token::text FROM user_sessions', ARRAY['live', 'at this moment', 'a moment ahead', 'for ever'], 'the others stay, the one that expires now among them');
SELECT is(cleanup_expired_sessions(), 0, 'a second time there is nothing to delete');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:01Z';
SELECT is(cleanup_expired_sessions(), 2, 'as time goes by sessions expire');
UPDATE user_sessions SET is_active = false WHERE session_token = 'for ever';
SELECT is(cleanup_expired_sessions(), 1, 'logging out ends a session that never expires');
SELECT is((SELECT string_agg(session_token, ',') FROM user_sessions), 'live', 'a live session outlives every clean-up');

-- the wall clock, not the time of the transaction
RESET claude_gpt.fixed_time;
INSERT INTO user_sessions (user_id, session_token, expires_at) VALUES (:'ada', 'soon', clock_timestamp() + interval '10 milliseconds');
SELECT pg_sleep(0.02);
SELECT is(cleanup_expired_sessions(), 1, 'a session that expires within the transaction is deleted in it');

-- many
INSERT INTO user_sessions (user_id, session_token, expires_at, is_active)
SELECT :'ada', 'many' || n, CASE n % 3 WHEN 0 THEN '2001-01-01Z'::timestamptz ELSE 'infinity' END, n % 3 <> 1 FROM generate_series(1, 3000) AS n;
SELECT is(cleanup_expired_sessions(), 2000, 'thousands are deleted at once');
SELECT is((SELECT count(*) FROM user_sessions), 1001::bigint, 'and no other');

-- the rules of the table
SELECT throws_ok($$INSERT INTO user_sessions (user_id, session_token, expires_at) SELECT user_id, session_token, now() FROM user_sessions WHERE session_token = 'live'$$,
                 '23505', NULL, 'a token is unique');
SELECT lives_ok($$INSERT INTO user_sessions (user_id, session_token, expires_at) SELECT user_id, 'without refresh ' || n, 'infinity' FROM user_sessions, generate_series(1, 2) AS n WHERE session_token = 'live'$$,
                'many sessions have no refresh token');
SELECT throws_ok($$INSERT INTO user_sessions (user_id, session_token, refresh_token, expires_at) SELECT user_id, 'x' || n, 'same', now() FROM user_sessions, generate_series(1, 2) AS n WHERE session_token = 'live'$$,
                 '23505', NULL, 'a refresh token is unique');
SELECT throws_ok($$UPDATE user_sessions SET expires_at = NULL$$, '23502', NULL, 'a session has an end');
SELECT throws_ok($$UPDATE user_sessions SET is_active = NULL$$, '23502', NULL, 'and is active or not');
DELETE FROM users WHERE id = :'ada';
SELECT is((SELECT count(*) FROM user_sessions), 0::bigint, 'deleting a user deletes the sessions');
SELECT is_empty('SELECT * FROM prove_books()', 'the books are true after all of this');

SELECT * FROM finish();
ROLLBACK;
