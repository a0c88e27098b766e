-- Conversations follow their messages: counters, last_message_at, parents; they are listed and paged, and any text can be a message.
BEGIN;
\ir prelude.psql
SELECT no_plan();

CREATE FUNCTION pg_temp.new_conversation(p_user text, p_title text, p_created_at timestamptz DEFAULT now()) RETURNS uuid LANGUAGE sql AS $$
    INSERT INTO claude_gpt_data.conversations (user_id, title, created_at, last_message_at)
    VALUES (pg_temp.user_id(p_user), p_title, p_created_at, p_created_at) RETURNING id
$$;
CREATE FUNCTION pg_temp.conversation(p_title text) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT id FROM claude_gpt_data.conversations WHERE title = p_title
$$;
CREATE FUNCTION pg_temp.say(p_title text, p_content text, p_tokens integer DEFAULT NULL, p_cost numeric DEFAULT NULL,
    p_created_at timestamptz DEFAULT now(), p_status text DEFAULT 'sent', p_parent uuid DEFAULT NULL) RETURNS uuid LANGUAGE sql AS $$
    INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, total_tokens, cost, created_at, status, parent_message_id)
    SELECT id, user_id, 'user', p_content, p_tokens, p_cost, p_created_at, p_status, p_parent
    FROM claude_gpt_data.conversations WHERE title = p_title RETURNING id
$$;
CREATE FUNCTION pg_temp.message(p_content text) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT id FROM claude_gpt_data.messages WHERE content = p_content
$$;
CREATE FUNCTION pg_temp.counters(p_title text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s %s', message_count, total_tokens, total_cost) FROM claude_gpt_data.conversations WHERE title = p_title
$$;
CREATE FUNCTION pg_temp.newest(p_title text) RETURNS text LANGUAGE sql AS $$
    SELECT to_char(last_message_at, 'YYYY-MM-DD HH24:MI:SS') FROM claude_gpt_data.conversations WHERE title = p_title
$$;
-- The conversations whose counters differ from what their messages say.
CREATE VIEW pg_temp.deviations AS
SELECT c.title, c.message_count, r.messages, c.total_tokens, r.tokens, c.total_cost, r.cost, c.last_message_at, r.newest
FROM claude_gpt_data.conversations AS c
CROSS JOIN LATERAL (
    SELECT count(*) AS messages,
           COALESCE(sum(COALESCE(m.total_tokens, COALESCE(m.prompt_tokens, 0) + COALESCE(m.completion_tokens, 0))), 0) AS tokens,
           COALESCE(sum(m.cost), 0) AS cost, COALESCE(max(m.created_at), c.created_at) AS newest
    FROM claude_gpt_data.messages AS m WHERE m.conversation_id = c.id AND m.status <> 'deleted'
) AS r
WHERE (c.message_count, c.total_tokens, c.total_cost, c.last_message_at) IS DISTINCT FROM (r.messages, r.tokens, r.cost, r.newest);

SELECT pg_temp.new_user('ada') AS ada, pg_temp.new_user('bob') AS bob \gset
SELECT pg_temp.new_conversation('ada', 'one') AS one, pg_temp.new_conversation('ada', 'two') AS two \gset

-- insert
SELECT is(pg_temp.counters('one'), '0 0 0.000000000', 'a new conversation is empty');
SELECT pg_temp.say('one', 'a');
SELECT is(pg_temp.counters('one'), '1 0 0.000000000', 'a message without tokens and cost counts as one');
SELECT pg_temp.say('one', 'b', 10, 0.000000001);
SELECT is(pg_temp.counters('one'), '2 10 0.000000001', 'tokens and cost are added, to the ninth place');
INSERT INTO messages (conversation_id, user_id, role, content, prompt_tokens, completion_tokens) VALUES
    (:'one', :'ada', 'assistant', 'c', 3, 4), (:'one', :'ada', 'assistant', 'd', 5, NULL), (:'one', :'ada', 'assistant', 'e', NULL, NULL);
SELECT is(pg_temp.counters('one'), '5 22 0.000000001', 'without a total the prompt and the completion count');
INSERT INTO messages (conversation_id, user_id, role, content, prompt_tokens, completion_tokens, total_tokens)
VALUES (:'one', :'ada', 'assistant', 'f', 100, 100, 1);
SELECT is(pg_temp.counters('one'), '6 23 0.000000001', 'a total that is given wins over its parts');
SELECT pg_temp.say('one', 'gone', 50, 5, now(), 'deleted');
SELECT is(pg_temp.counters('one'), '6 23 0.000000001', 'a message that is born deleted does not count');
SELECT pg_temp.say('one', s, 1, 0, now(), s) FROM unnest(ARRAY['sending', 'failed']) AS s;
SELECT is(pg_temp.counters('one'), '8 25 0.000000001', 'sending and failed messages count');
INSERT INTO messages (conversation_id, user_id, role, content, total_tokens, cost)
SELECT CASE n % 2 WHEN 0 THEN :'one'::uuid ELSE :'two'::uuid END, :'ada', 'user', 'n' || n, n, n / 8.0 FROM generate_series(1, 101) AS n;
SELECT is(pg_temp.counters('one') || ', ' || pg_temp.counters('two'), '58 2575 318.750000001, 51 2601 325.125000000', 'a statement over many conversations counts in each');
INSERT INTO messages (conversation_id, user_id, role, content) SELECT :'one', :'ada', 'user', 'none' WHERE false;
SELECT is(pg_temp.counters('one'), '58 2575 318.750000001', 'a statement without rows counts nothing');
SELECT is_empty('TABLE pg_temp.deviations', 'counters equal their messages after inserting');

-- update
UPDATE messages SET total_tokens = total_tokens + 1, cost = 0 WHERE content ~ '^n\d+$';
SELECT is(pg_temp.counters('one') || ', ' || pg_temp.counters('two'), '58 2625 0.000000001, 51 2652 0.000000000', 'changed tokens and costs are counted again');
UPDATE messages SET status = 'deleted' WHERE content ~ '^n\d+$' AND total_tokens > 2;
SELECT is(pg_temp.counters('one') || ', ' || pg_temp.counters('two'), '8 25 0.000000001, 1 2 0.000000000', 'marked as deleted they count no more');
UPDATE messages SET total_tokens = 1000 WHERE status = 'deleted';
SELECT is(pg_temp.counters('one'), '8 25 0.000000001', 'changing deleted messages changes no counter');
UPDATE messages SET status = 'sent' WHERE content IN ('n2', 'n4');
SELECT is(pg_temp.counters('one'), '10 2025 0.000000001', 'undeleted they count again, with what they hold now');
UPDATE messages SET conversation_id = :'two' WHERE content IN ('n2', 'n4');
SELECT is(pg_temp.counters('one') || ', ' || pg_temp.counters('two'), '8 25 0.000000001, 3 2002 0.000000000', 'moved messages count in their new conversation');
UPDATE messages SET conversation_id = CASE WHEN conversation_id = :'one' THEN :'two'::uuid ELSE :'one'::uuid END;
SELECT is(pg_temp.counters('one') || ', ' || pg_temp.counters('two'), '3 2002 0.000000000, 8 25 0.000000001', 'two conversations can exchange their messages');
SELECT xmin AS before FROM conversations WHERE title = 'one' \gset
UPDATE messages SET content = content || '', metadata = '{}', error_message = 'x', role = 'system', model_used = 'm';
SELECT is((SELECT xmin::text FROM conversations WHERE title = 'one'), :'before', 'what is not counted leaves the conversation alone');
SELECT is_empty('TABLE pg_temp.deviations', 'counters equal their messages after updating');

-- delete
DELETE FROM messages WHERE content IN ('n1', 'n2');
SELECT is(pg_temp.counters('one'), '1 1000 0.000000000', 'deleted messages are taken off');
DELETE FROM messages WHERE status = 'deleted';
SELECT is(pg_temp.counters('one'), '1 1000 0.000000000', 'those that were marked before are not taken off twice');
DELETE FROM messages;
SELECT is(pg_temp.counters('one') || ', ' || pg_temp.counters('two'), '0 0 0.000000000, 0 0 0.000000000', 'without messages all is zero');
SELECT is_empty('TABLE pg_temp.deviations', 'counters equal their messages after deleting');

-- one statement that does several things
SELECT pg_temp.say('one', w, 1, 1) FROM unnest(ARRAY['keep', 'move', 'drop']) AS w;
WITH moved AS (DELETE FROM messages WHERE content = 'move' RETURNING *)
INSERT INTO messages (id, conversation_id, user_id, role, content, total_tokens, cost) SELECT id, :'two', user_id, role, content, total_tokens, cost FROM moved;
SELECT is(pg_temp.counters('one') || ', ' || pg_temp.counters('two'), '2 2 2.000000000, 1 1 1.000000000', 'a statement that deletes and inserts');
INSERT INTO messages (id, conversation_id, user_id, role, content, total_tokens) VALUES
    (pg_temp.message('keep'), :'one', :'ada', 'user', 'ignored', 7), (uuid_v7(), :'one', :'ada', 'user', 'fresh', 7)
ON CONFLICT (id) DO NOTHING;
SELECT is(pg_temp.counters('one'), '3 9 2.000000000', 'ON CONFLICT DO NOTHING counts what it inserts');
INSERT INTO messages (id, conversation_id, user_id, role, content, total_tokens, cost) VALUES
    (pg_temp.message('keep'), :'two', :'ada', 'user', 'kept', 20, 0.5), (uuid_v7(), :'two', :'ada', 'user', 'fresher', 30, 0)
ON CONFLICT (id) DO UPDATE SET content = excluded.content, total_tokens = excluded.total_tokens, cost = excluded.cost, conversation_id = excluded.conversation_id;
SELECT is(pg_temp.counters('one') || ', ' || pg_temp.counters('two'), '2 8 1.000000000, 3 51 1.500000000', 'ON CONFLICT DO UPDATE counts both what it inserts and what it changes');
MERGE INTO messages AS m
USING (VALUES ('kept', 1), ('fresh', 2), ('drop', 3), ('merged', 4)) AS s (content, action) ON m.content = s.content
WHEN MATCHED AND s.action = 1 THEN UPDATE SET total_tokens = 5, conversation_id = :'one'
WHEN MATCHED AND s.action = 2 THEN UPDATE SET status = 'deleted'
WHEN MATCHED AND s.action = 3 THEN DELETE
WHEN NOT MATCHED THEN INSERT (conversation_id, user_id, role, content, total_tokens, cost) VALUES (:'two', :'ada', 'user', s.content, 100, 2);
SELECT is(pg_temp.counters('one') || ', ' || pg_temp.counters('two'), '1 5 0.500000000, 3 131 3.000000000', 'MERGE counts its inserts, updates and deletes');
SELECT is_empty('TABLE pg_temp.deviations', 'counters equal their messages after all of these');
INSERT INTO conversations (id, user_id, title) VALUES ('00000000-0000-7000-8000-0000000000c9', :'ada', 'copied');
INSERT INTO users (id, email, password_hash) VALUES ('00000000-0000-7000-8000-0000000000a9', 'cai@example.com', 'x');
COPY messages (conversation_id, user_id, role, content, total_tokens, cost) FROM stdin;
00000000-0000-7000-8000-0000000000c9	00000000-0000-7000-8000-0000000000a9	user	你好	5	0.25
00000000-0000-7000-8000-0000000000c9	00000000-0000-7000-8000-0000000000a9	assistant	hello\nthere	6	0.5
00000000-0000-7000-8000-0000000000c9	00000000-0000-7000-8000-0000000000a9	user	third	\N	\N
\.
SELECT is(pg_temp.counters('copied'), '3 11 0.750000000', 'COPY counts');
-- more rows than are read from a transition table at a time
INSERT INTO messages (conversation_id, user_id, role, content, total_tokens, cost)
SELECT :'one', :'ada', 'user', 'bulk', n % 7, 0.001 FROM generate_series(1, 5000) AS n;
SELECT is(pg_temp.counters('one'), '5001 15002 5.500000000', 'a statement of thousands of rows counts each of them');
DELETE FROM messages WHERE content = 'bulk';
SELECT is(pg_temp.counters('one'), '1 5 0.500000000', 'and takes each of them off');

-- cascades
SELECT pg_temp.new_conversation('bob', 'of bob') AS of_bob \gset
INSERT INTO messages (conversation_id, user_id, role, content, total_tokens) VALUES
    (:'of_bob', :'bob', 'user', 'by bob', 1), (:'of_bob', :'ada', 'user', 'guest', 10), (:'one', :'bob', 'user', 'visitor', 100);
SELECT is(pg_temp.counters('of bob') || ', ' || pg_temp.counters('one'), '2 11 0.000000000, 2 105 0.500000000', 'a message counts in its conversation, whoever wrote it');
DELETE FROM conversations WHERE title = 'copied';
SELECT is((SELECT count(*) FROM messages WHERE conversation_id = '00000000-0000-7000-8000-0000000000c9'), 0::bigint, 'a conversation takes its messages along');
DELETE FROM users WHERE id = :'bob';
SELECT is(pg_temp.counters('one'), '1 5 0.500000000', 'a user that is deleted is taken off the conversations of others');
SELECT is((SELECT count(*) FROM conversations WHERE title = 'of bob'), 0::bigint, 'and takes his own along');
SELECT is((SELECT count(*) FROM messages WHERE content IN ('by bob', 'guest', 'visitor')), 0::bigint, 'with all that was said there');
SELECT is_empty('TABLE pg_temp.deviations', 'counters equal their messages after cascades');

-- overflow and negatives
SELECT throws_ok($$UPDATE messages SET total_tokens = -1 WHERE content = 'kept'$$, '23514', NULL, 'negative tokens are refused');
SELECT throws_ok($$UPDATE messages SET prompt_tokens = -1 WHERE content = 'kept'$$, '23514', NULL, 'a negative prompt is refused');
SELECT throws_ok($$UPDATE messages SET completion_tokens = -1 WHERE content = 'kept'$$, '23514', NULL, 'a negative completion is refused');
SELECT throws_ok($$UPDATE messages SET cost = -0.000000001 WHERE content = 'kept'$$, '23514', NULL, 'a negative cost is refused');
SELECT throws_ok($$UPDATE messages SET cost = 'NaN' WHERE content = 'kept'$$, '23514', NULL, 'a cost that is no number is refused');
SELECT throws_ok($$UPDATE messages SET cost = 1e11 WHERE content = 'kept'$$, '22003', NULL, 'a cost out of range is refused');
UPDATE messages SET cost = 99999999999 WHERE content = 'kept';
SELECT throws_ok($$SELECT pg_temp.say('one', 'dear', 1, 1)$$, '22003', NULL, 'a conversation that would cost too much is refused');
SELECT is(pg_temp.counters('one'), '1 5 99999999999.000000000', 'and not counted in part');
INSERT INTO messages (conversation_id, user_id, role, content, prompt_tokens, completion_tokens)
SELECT :'two', :'ada', 'user', 'long', 2147483647, 2147483647 FROM generate_series(1, 3);
SELECT is((SELECT total_tokens FROM conversations WHERE title = 'two'), 131 + 3 * 2 * 2147483647::bigint, 'tokens of a conversation may exceed an integer');
SELECT throws_ok($$UPDATE conversations SET message_count = -1$$, '23514', NULL, 'a negative counter is refused');
SELECT throws_ok($$UPDATE conversations SET message_count = NULL$$, '23502', NULL, 'a NULL counter is refused');
DELETE FROM messages WHERE content <> 'kept';

-- last_message_at
SELECT pg_temp.new_conversation('ada', 'time', '2026-11-05Z') AS time \gset
SELECT is(pg_temp.newest('time'), '2026-11-05 00:00:00', 'an empty conversation shows its beginning');
SELECT pg_temp.say('time', 't1', p_created_at => '2026-11-03Z');
SELECT is(pg_temp.newest('time'), '2026-11-03 00:00:00', 'the first message counts, also when it is older');
SELECT pg_temp.say('time', 't2', p_created_at => '2026-11-07Z');
SELECT is(pg_temp.newest('time'), '2026-11-07 00:00:00', 'a newer message moves it forward');
SELECT pg_temp.say('time', 't3', p_created_at => '2026-11-06Z');
SELECT is(pg_temp.newest('time'), '2026-11-07 00:00:00', 'an older message does not move it');
SELECT pg_temp.say('time', 't4', p_created_at => '2026-11-09Z', p_status => 'deleted');
SELECT is(pg_temp.newest('time'), '2026-11-07 00:00:00', 'a deleted message does not move it');
UPDATE messages SET status = 'sent' WHERE content = 't4';
SELECT is(pg_temp.newest('time'), '2026-11-09 00:00:00', 'one that is undeleted does');
UPDATE messages SET status = 'deleted' WHERE content = 't4';
SELECT is(pg_temp.newest('time'), '2026-11-07 00:00:00', 'marking the newest as deleted moves it back');
DELETE FROM messages WHERE content = 't2';
SELECT is(pg_temp.newest('time'), '2026-11-06 00:00:00', 'deleting the newest moves it back');
DELETE FROM messages WHERE content = 't1';
SELECT is(pg_temp.newest('time'), '2026-11-06 00:00:00', 'deleting an older one does not move it');
UPDATE messages SET created_at = '2026-11-20Z' WHERE content = 't3';
SELECT is(pg_temp.newest('time'), '2026-11-20 00:00:00', 'a message that is postdated moves it forward');
UPDATE messages SET created_at = '2026-11-01Z' WHERE content = 't3';
SELECT is(pg_temp.newest('time'), '2026-11-01 00:00:00', 'one that is antedated moves it back');
UPDATE messages SET conversation_id = :'one' WHERE content = 't3';
SELECT is(pg_temp.newest('time'), '2026-11-05 00:00:00', 'without messages it shows the beginning again');
UPDATE messages SET created_at = '2026-11-10Z' WHERE content = 't3';
UPDATE messages SET conversation_id = :'time' WHERE content = 't3';
SELECT is(pg_temp.newest('time'), '2026-11-10 00:00:00', 'a message that is moved here counts');
SELECT pg_temp.say('time', 'tie', p_created_at => '2026-11-10Z');
DELETE FROM messages WHERE content = 't3';
SELECT is(pg_temp.newest('time'), '2026-11-10 00:00:00', 'of two at one moment either may go');
SELECT pg_temp.say('time', 'older', p_created_at => '2026-11-09Z');
WITH gone AS (DELETE FROM messages WHERE content = 'tie') INSERT INTO messages (conversation_id, user_id, role, content, created_at)
VALUES (:'time', :'ada', 'user', 'instead', '2026-11-08Z');
SELECT is(pg_temp.newest('time'), '2026-11-09 00:00:00', 'a statement that deletes the newest and stores an older one');
UPDATE messages SET created_at = CASE content WHEN 'older' THEN timestamptz '2026-11-02Z' ELSE '2026-11-03Z' END WHERE content IN ('older', 'instead');
SELECT is(pg_temp.newest('time'), '2026-11-03 00:00:00', 'a statement that antedates all');
SELECT is((SELECT last_message_on FROM conversations WHERE id = :'time'), '2026-11-03', 'last_message_on is its day');
SELECT is_empty('TABLE pg_temp.deviations', 'last_message_at equals the newest message after all of these');

-- TRUNCATE
SELECT throws_ok('TRUNCATE messages', '0A000', NULL, 'the ledger keeps messages from being truncated alone');
TRUNCATE messages CASCADE;
SELECT is((SELECT count(*) FROM conversations WHERE message_count <> 0 OR total_tokens <> 0 OR total_cost <> 0), 0::bigint, 'TRUNCATE sets all counters to zero');
SELECT is_empty('TABLE pg_temp.deviations', 'and last_message_at to the beginning');

-- parents
SELECT pg_temp.say('one', 'p') AS p, pg_temp.say('two', 'elsewhere') AS elsewhere \gset
SELECT pg_temp.say('one', 'r', p_parent => :'p') AS r \gset
SELECT lives_ok(format($$SELECT pg_temp.say('one', 'r2', p_parent => %L)$$, :'r'), 'a reply to a reply is stored');
SELECT throws_ok(format($$SELECT pg_temp.say('two', 'x', p_parent => %L)$$, :'p'), '23514', NULL, 'a parent in another conversation is refused');
SELECT throws_ok(format($$UPDATE messages SET parent_message_id = %L WHERE content = 'r'$$, :'elsewhere'), '23514', NULL, 'also when it is set later');
SELECT throws_ok($$UPDATE messages SET parent_message_id = id WHERE content = 'p'$$, '23514', NULL, 'a message is not its own parent');
SELECT throws_ok($$INSERT INTO messages (id, conversation_id, user_id, role, content, parent_message_id)
                   SELECT i, conversation_id, user_id, 'user', 'x', i FROM messages, uuid_v7() AS i WHERE content = 'p'$$, '23514', NULL, 'nor from the first');
SELECT throws_ok($$UPDATE messages SET conversation_id = pg_temp.conversation('two') WHERE content = 'r2'$$, '23514', NULL, 'a reply is not moved away from its parent');
SELECT throws_ok($$UPDATE messages SET conversation_id = pg_temp.conversation('two') WHERE content = 'p'$$, '23514', NULL, 'nor a parent from its replies');
SELECT throws_ok($$UPDATE messages SET conversation_id = pg_temp.conversation('two') WHERE content = 'r'$$, '23514', NULL, 'nor one that is both');
SELECT throws_ok(format($$SELECT pg_temp.say('one', 'x', p_parent => %L)$$, uuid_v7()), '23503', NULL, 'a parent exists');
SELECT lives_ok($$UPDATE messages SET conversation_id = pg_temp.conversation('two') WHERE content IN ('p', 'r', 'r2')$$, 'a thread is moved as a whole');
SELECT is(pg_temp.counters('one') || ', ' || pg_temp.counters('two'), '0 0 0.000000000, 4 0 0.000000000', 'and counted so');
SELECT lives_ok($$UPDATE messages SET conversation_id = pg_temp.conversation('one'), parent_message_id = NULL WHERE content = 'r2'$$, 'a reply that is cut off can be moved');
SELECT lives_ok($$WITH i AS (SELECT uuid_v7() AS a, uuid_v7() AS b)
                  INSERT INTO messages (id, conversation_id, user_id, role, content, parent_message_id)
                  SELECT b, conversation_id, user_id, 'user', 'child first', a FROM i, messages WHERE content = 'elsewhere'
                  UNION ALL SELECT a, conversation_id, user_id, 'user', 'parent after', NULL FROM i, messages WHERE content = 'elsewhere'$$,
                'a statement may store a reply before its parent');
DELETE FROM messages WHERE content = 'p';
SELECT is((SELECT parent_message_id FROM messages WHERE content = 'r'), NULL, 'when a parent is deleted its replies stay, without one');
UPDATE messages SET status = 'deleted' WHERE content = 'parent after';
SELECT isnt((SELECT parent_message_id FROM messages WHERE content = 'child first'), NULL, 'one that is marked as deleted stays the parent');
SELECT throws_ok($$UPDATE messages SET conversation_id = pg_temp.conversation('one') WHERE content = 'parent after'$$, '23514', NULL, 'and is not moved away either');
SELECT is_empty('TABLE pg_temp.deviations', 'counters equal their messages after all of these');
SELECT is_empty($$SELECT m.id FROM messages AS m JOIN messages AS p ON p.id = m.parent_message_id WHERE m.conversation_id <> p.conversation_id$$,
                'no reply is in another conversation than its parent');

-- the views
TRUNCATE messages CASCADE;
INSERT INTO messages (id, conversation_id, user_id, role, content, created_at) VALUES
    ('00000000-0000-7000-8000-0000000000d1', :'one', :'ada', 'user', 'first of the moment', '2026-11-22Z'),
    ('00000000-0000-7000-8000-0000000000d3', :'one', :'ada', 'assistant', 'last of the moment', '2026-11-22Z'),
    ('00000000-0000-7000-8000-0000000000d2', :'one', :'ada', 'user', 'between', '2026-11-22Z'),
    ('00000000-0000-7000-8000-0000000000d9', :'one', :'ada', 'user', 'before', '2026-11-21Z');
SELECT is((SELECT last_message_content FROM conversation_summary WHERE id = :'one'), 'last of the moment', 'of messages of one moment the last id is the newest');
UPDATE messages SET status = 'deleted' WHERE content = 'last of the moment';
SELECT results_eq(format('SELECT last_message_content, last_message_role::text, message_count FROM conversation_summary WHERE id = %L', :'one'),
                  $$VALUES ('between', 'user', 3)$$, 'deleted messages are not shown as the newest');
SELECT is((SELECT count(*) FROM conversation_summary WHERE user_id = :'ada'), 3::bigint, 'conversations without messages are listed');
SELECT is((SELECT last_message_content FROM conversation_summary WHERE title = 'two'), NULL, 'with no message');
SELECT update_user_usage(:'ada', 0, 0, 1) FROM generate_series(1, 4);
UPDATE conversations SET is_archived = true WHERE title = 'time';
SELECT results_eq(format('SELECT conversation_count, total_messages, total_cost FROM user_statistics WHERE id = %L', :'ada'),
                  $$VALUES (2::bigint, 3::bigint, 4.0)$$, 'statistics do not multiply children by each other, nor count archived and deleted ones');

-- list_conversations
-- Pages to the end, as a client does: the titles, a page between bars.
CREATE FUNCTION pg_temp.pages(p_user uuid, p_archived boolean, p_limit integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    last uuid;
    ids uuid[];
    page text;
    pages text := '';
BEGIN
    LOOP
        SELECT array_agg(l.id ORDER BY l.ordinality), string_agg(l.title, ' ' ORDER BY l.ordinality) INTO ids, page
        FROM claude_gpt.list_conversations(p_user, p_archived, last, p_limit) WITH ORDINALITY AS l;
        EXIT WHEN ids IS NULL OR length(pages) > 10000;
        pages := pages || '|' || page;
        last := ids[cardinality(ids)];
    END LOOP;
    RETURN pages;
END
$$;
CREATE FUNCTION pg_temp.message_pages(p_user uuid, p_conversation uuid, p_limit integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    last uuid;
    ids uuid[];
    page text;
    pages text := '';
BEGIN
    LOOP
        SELECT array_agg(m.id ORDER BY m.ordinality), string_agg(m.content, ' ' ORDER BY m.ordinality) INTO ids, page
        FROM claude_gpt.conversation_messages(p_user, p_conversation, last, p_limit) WITH ORDINALITY AS m;
        EXIT WHEN ids IS NULL OR length(pages) > 10000;
        pages := pages || '|' || page;
        last := ids[cardinality(ids)];
    END LOOP;
    RETURN pages;
END
$$;
SELECT pg_temp.new_user('cat') AS cat, pg_temp.new_user('dan') AS dan \gset
SELECT is_empty(format('SELECT * FROM list_conversations(%L, %s)', :'cat', archived), format('who has no conversations gets none (%s)', archived)) FROM unnest(ARRAY['true', 'false', 'NULL']) AS archived;
-- c to f are of one moment: their ids decide
INSERT INTO conversations (id, user_id, title, last_message_at, is_archived) VALUES
    ('00000000-0000-7000-8000-0000000000c1', :'cat', 'a', '2026-11-01Z', false), ('00000000-0000-7000-8000-0000000000c2', :'cat', 'b', '2026-11-09Z', false),
    ('00000000-0000-7000-8000-0000000000c6', :'cat', 'c', '2026-11-05Z', false), ('00000000-0000-7000-8000-0000000000c5', :'cat', 'd', '2026-11-05Z', true),
    ('00000000-0000-7000-8000-0000000000c4', :'cat', 'e', '2026-11-05Z', false), ('00000000-0000-7000-8000-0000000000c3', :'cat', 'f', '2026-11-05Z', false),
    ('00000000-0000-7000-8000-0000000000c7', :'cat', 'g', '2026-11-07Z', true), ('00000000-0000-7000-8000-0000000000c8', :'dan', 'dans', '2026-11-08Z', false);
SELECT is(pg_temp.pages(:'cat', NULL, n), pages, format('by pages of %s each conversation comes once, the newest first, those of one moment by their ids', n))
FROM (VALUES (1, '|b|g|c|d|e|f|a'), (2, '|b g|c d|e f|a'), (3, '|b g c|d e f|a'), (7, '|b g c d e f a'), (1000, '|b g c d e f a')) AS v (n, pages);
SELECT is(pg_temp.pages(:'cat', false, 2), '|b c|e f|a', 'without those that are archived');
SELECT is(pg_temp.pages(:'cat', true, 1), '|g|d', 'or only these');
SELECT is((SELECT string_agg(title, ' ') FROM list_conversations(:'cat')), 'b c e f a', 'by default those that are not, fifty of them');
SELECT is((SELECT string_agg(title, ' ') FROM list_conversations(:'cat', false, '00000000-0000-7000-8000-0000000000c5')), 'e f a', 'a page may begin after one that it would not list');
INSERT INTO conversations (user_id, title) SELECT :'dan', 'more' FROM generate_series(1, 50);
SELECT is((SELECT count(*) FROM list_conversations(:'dan')), 50::bigint, 'fifty and no more');
DELETE FROM conversations WHERE title = 'more';
INSERT INTO messages (conversation_id, user_id, role, content, total_tokens, cost, status, created_at) VALUES
    ('00000000-0000-7000-8000-0000000000c2', :'cat', 'user', 'asked', 3, 0.1, 'sent', '2026-11-09 01:00Z'), ('00000000-0000-7000-8000-0000000000c2', :'cat', 'assistant', 'answered', 4, 0.2, 'failed', '2026-11-09 02:00Z'),
    ('00000000-0000-7000-8000-0000000000c2', :'cat', 'assistant', 'gone', 5, 0.4, 'deleted', '2026-11-09 03:00Z'), ('00000000-0000-7000-8000-0000000000c7', :'cat', 'user', 'gone too', 1, 0, 'deleted', '2026-11-09 03:00Z');
UPDATE conversations SET summary = 'On b', is_pinned = true WHERE title = 'b';
SELECT results_eq(format('SELECT id::text, title, summary, message_count, total_tokens, total_cost, is_archived, is_pinned, last_message_at, last_message_content, last_message_role FROM list_conversations(%L, NULL, NULL, 2)', :'cat'),
                  $$VALUES ('00000000-0000-7000-8000-0000000000c2', 'b', 'On b', 2, 7::bigint, 0.300000000, false, true, '2026-11-09 02:00Z'::timestamptz, 'answered', 'assistant'),
                           ('00000000-0000-7000-8000-0000000000c7', 'g', NULL, 0, 0, 0, true, false, '2026-11-07Z', NULL, NULL)$$,
                  'with its counters and its newest message that is not deleted, if there is one');
SELECT throws_ok(format('SELECT * FROM list_conversations(%s)', replace(v.call, '$u', quote_literal(:'cat'))), v.code, NULL, format('list_conversations(%s): %s', v.call, v.code))
FROM (VALUES ('NULL', '22004'), ('$u, false, NULL, NULL', '22004'), ('$u, false, NULL, 0', '22023'), ('$u, false, NULL, -1', '22023'), ('$u, false, NULL, 1001', '22023'), ('uuid_v7()', 'P0002'), ('uuid_v7(), NULL, NULL, 1', 'P0002'),
             ('$u, false, uuid_v7()', 'P0002'), ('$u, false, ''00000000-0000-7000-8000-0000000000c8''', 'P0002')) AS v (call, code);

-- conversation_messages
INSERT INTO messages (id, conversation_id, user_id, role, content, status, created_at) VALUES
    ('00000000-0000-7000-8000-0000000000e1', '00000000-0000-7000-8000-0000000000c1', :'cat', 'user', '1', 'sent', '2026-11-01Z'), ('00000000-0000-7000-8000-0000000000e5', '00000000-0000-7000-8000-0000000000c1', :'cat', 'assistant', '2', 'sent', '2026-11-02Z'),
    ('00000000-0000-7000-8000-0000000000e4', '00000000-0000-7000-8000-0000000000c1', :'cat', 'user', '3', 'sent', '2026-11-02Z'), ('00000000-0000-7000-8000-0000000000e3', '00000000-0000-7000-8000-0000000000c1', :'cat', 'user', '4', 'deleted', '2026-11-02Z'),
    ('00000000-0000-7000-8000-0000000000e2', '00000000-0000-7000-8000-0000000000c1', :'cat', 'assistant', '5', 'failed', '2026-11-02Z'), ('00000000-0000-7000-8000-0000000000e6', '00000000-0000-7000-8000-0000000000c1', :'cat', 'assistant', '6', 'sending', '2026-11-03Z');
SELECT is(pg_temp.message_pages(:'cat', '00000000-0000-7000-8000-0000000000c1', n), pages, format('by pages of %s each message comes once, the newest first, those of one moment by their ids, none that is deleted', n))
FROM (VALUES (1, '|6|2|3|5|1'), (2, '|6 2|3 5|1'), (3, '|6 2 3|5 1'), (4, '|6 2 3 5|1'), (5, '|6 2 3 5 1'), (1000, '|6 2 3 5 1')) AS v (n, pages);
SELECT is((SELECT string_agg(content, ' ') FROM conversation_messages(:'cat', '00000000-0000-7000-8000-0000000000c1', '00000000-0000-7000-8000-0000000000e3')), '5 1', 'a page may begin after one that was deleted meanwhile');
SELECT is_empty(format($$SELECT * FROM conversation_messages(%L, '00000000-0000-7000-8000-0000000000c4')$$, :'cat'), 'a conversation without messages has none');
UPDATE messages SET prompt_tokens = 1, completion_tokens = 2, total_tokens = 3, cost = 0.5, model_used = 'small', metadata = '{"a": 1}', error_message = 'cut', parent_message_id = '00000000-0000-7000-8000-0000000000e1', content_type = 'file' WHERE content = '5';
SELECT is((SELECT to_jsonb(p) FROM conversation_messages(:'cat', '00000000-0000-7000-8000-0000000000c1') AS p WHERE content = '5'),
          (SELECT to_jsonb(m) - 'conversation_id' - 'user_id' - 'is_searchable' - 'is_root' FROM messages AS m WHERE content = '5' AND id = '00000000-0000-7000-8000-0000000000e2'), 'with all that is stored of it for a reader');
INSERT INTO messages (conversation_id, user_id, role, content) SELECT '00000000-0000-7000-8000-0000000000c8', :'dan', 'user', n FROM generate_series(1, 51) AS n;
SELECT is((SELECT count(*) FROM conversation_messages(:'dan', '00000000-0000-7000-8000-0000000000c8')), 50::bigint, 'by default fifty of them');
SELECT throws_ok(format('SELECT * FROM conversation_messages(%s)', replace(replace(v.call, '$u', quote_literal(:'cat')), '$c', '''00000000-0000-7000-8000-0000000000c1''')), v.code, NULL, format('conversation_messages(%s): %s', v.call, v.code))
FROM (VALUES ('NULL, $c', '22004'), ('$u, NULL', '22004'), ('$u, $c, NULL, NULL', '22004'), ('$u, $c, NULL, 0', '22023'), ('$u, $c, NULL, 1001', '22023'), ('$u, uuid_v7()', 'P0002'), ('uuid_v7(), $c', 'P0002'),
             ('$u, ''00000000-0000-7000-8000-0000000000c8''', 'P0002'), ('$u, $c, uuid_v7()', 'P0002'), ('$u, ''00000000-0000-7000-8000-0000000000c2'', ''00000000-0000-7000-8000-0000000000e1''', 'P0002')) AS v (call, code);

-- conversation_path: a branch as "content tokens index/count"
CREATE FUNCTION pg_temp.path(p_user uuid, p_leaf text, p_max integer DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s %s/%s', p.content, p.tokens, p.sibling_index, p.sibling_count), ', ' ORDER BY p.ordinality)
    FROM claude_gpt.conversation_path(p_user, pg_temp.message(p_leaf), p_max) WITH ORDINALITY AS p
$$;
SELECT pg_temp.new_user('eve') AS eve \gset
SELECT pg_temp.new_conversation('eve', 'tree') \gset tree_
CREATE FUNCTION pg_temp.grow(p_content text, p_parent text, p_role text, p_prompt integer, p_completion integer, p_total integer, p_status text DEFAULT 'sent') RETURNS void LANGUAGE sql AS $$
    INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, parent_message_id, is_root, prompt_tokens, completion_tokens, total_tokens, status, created_at, metadata)
    SELECT c.id, c.user_id, p_role, p_content, pg_temp.message(p_parent), p_parent IS NULL, p_prompt, p_completion, p_total, p_status,
           timestamptz '2026-11-22Z' + (SELECT count(*) FROM claude_gpt_data.messages) * interval '1 second', jsonb_build_object('of', p_content)
    FROM claude_gpt_data.conversations AS c WHERE c.title = 'tree'
$$;
SELECT pg_temp.grow('rules', NULL, 'system', NULL, NULL, NULL), pg_temp.grow('ask', 'rules', 'user', NULL, NULL, 5), pg_temp.grow('reply', 'ask', 'assistant', 100, 7, 107),
       pg_temp.grow('reply b', 'ask', 'assistant', 100, NULL, 100), pg_temp.grow('reply f', 'ask', 'assistant', 10, 2, 12, 'failed'), pg_temp.grow('reply d', 'ask', 'assistant', 10, 2, 12, 'deleted'),
       pg_temp.grow('more', 'reply', 'user', NULL, NULL, 20), pg_temp.grow('more b', 'reply', 'user', 1, 2, NULL), pg_temp.grow('end', 'more', 'assistant', 200, 40, 240),
       pg_temp.grow('after f', 'reply f', 'user', NULL, NULL, 3), pg_temp.grow('after d', 'reply d', 'user', NULL, NULL, 3), pg_temp.grow('other root', NULL, 'user', NULL, NULL, 0),
       pg_temp.grow('streaming', 'more b', 'assistant', NULL, NULL, NULL, 'sending');
SELECT is(pg_temp.path(:'eve', 'end'), 'rules 2 1/2, ask 5 1/1, reply 7 1/3, more 20 1/2, end 40 1/1', 'a branch from its root to the message, with the tokens and place among its siblings of each');
SELECT results_eq(format($$SELECT "position", id, parent_message_id, role, content, content_type, model_used, status, metadata, created_at FROM conversation_path(%L, pg_temp.message('more'))$$, :'eve'),
                  $$SELECT n, m.id, m.parent_message_id, m.role::text, m.content, m.content_type::text, m.model_used::text, m.status::text, m.metadata, m.created_at
                    FROM unnest(ARRAY['rules', 'ask', 'reply', 'more']) WITH ORDINALITY AS b (content, position), LATERAL (SELECT b.position::integer) AS p (n), claude_gpt_data.messages AS m WHERE m.content = b.content ORDER BY n$$,
                  'with what is stored of each, numbered from the root');
SELECT is(pg_temp.path(:'eve', 'reply b'), 'rules 2 1/2, ask 5 1/1, reply b 3 2/3', 'another reply is the second; one that is deleted is none of them; without completion tokens a third of its bytes counts');
SELECT is(pg_temp.path(:'eve', 'streaming'), 'rules 2 1/2, ask 5 1/1, reply 7 1/3, more b 2 2/2, streaming 3 1/1', 'the last message may be unfinished; without a total a third of the bytes counts');
SELECT is(pg_temp.path(:'eve', 'reply f'), 'rules 2 1/2, ask 5 1/1, reply f 2 3/3', 'or failed');
SELECT is(pg_temp.path(:'eve', 'after f'), 'rules 2 1/2, ask 5 1/1, after f 3 1/1', 'a failed reply before it is not sent to a model');
SELECT is(pg_temp.path(:'eve', 'after d'), 'rules 2 1/2, ask 5 1/1, after d 3 1/1', 'nor a deleted one; the branch goes on above it');
SELECT is(pg_temp.path(:'eve', 'other root'), 'other root 0 2/2', 'roots are siblings');
SELECT is(pg_temp.path(:'eve', 'end', n), path, format('within %s tokens', n))
FROM (VALUES (1, 'end 40 1/1'), (39, 'end 40 1/1'), (59, 'end 40 1/1'), (60, 'more 20 1/2, end 40 1/1'), (66, 'more 20 1/2, end 40 1/1'), (67, 'reply 7 1/3, more 20 1/2, end 40 1/1'), (73, 'ask 5 1/1, reply 7 1/3, more 20 1/2, end 40 1/1'),
             (74, 'rules 2 1/2, ask 5 1/1, reply 7 1/3, more 20 1/2, end 40 1/1'), (2147483647, 'rules 2 1/2, ask 5 1/1, reply 7 1/3, more 20 1/2, end 40 1/1')) AS v (n, path);
SELECT is((SELECT string_agg("position"::text, ' ') FROM conversation_path(:'eve', pg_temp.message('end'), 67)), '1 2 3', 'what is left is numbered from 1');
SELECT is(pg_temp.path(:'eve', 'after f', 8), 'ask 5 1/1, after f 3 1/1', 'a failed reply takes no tokens');
UPDATE messages SET total_tokens = NULL, content = CASE content WHEN 'ask' THEN '中文' ELSE '中文!' END WHERE content IN ('ask', 'more');
SELECT is(pg_temp.path(:'eve', 'end'), 'rules 2 1/2, 中文 2 1/1, reply 7 1/3, 中文! 3 1/2, end 40 1/1', 'bytes, not characters, and rounded up');
UPDATE messages SET completion_tokens = 2147483647 WHERE content IN ('reply', 'end');
SELECT is(pg_temp.path(:'eve', 'end', 2147483647), 'end 2147483647 1/1', 'tokens may add up to more than an integer');
UPDATE messages SET created_at = '2026-11-22Z' WHERE content IN ('reply', 'reply b', 'reply f');
SELECT is((SELECT string_agg(sibling_index::text, ' ' ORDER BY m.id) FROM messages AS m, LATERAL conversation_path(:'eve', m.id) AS p WHERE m.content IN ('reply', 'reply b', 'reply f') AND p.id = m.id), '1 2 3', 'siblings of one moment are in the order of their ids');
SELECT throws_ok(format('SELECT * FROM conversation_path(%s)', replace(v.call, '$u', quote_literal(:'eve'))), v.code, NULL, format('conversation_path(%s): %s', v.call, v.code))
FROM (VALUES ('NULL, uuid_v7()', '22004'), ('$u, NULL', '22004'), ('$u, pg_temp.message(''end''), 0', '22023'), ('$u, pg_temp.message(''end''), -1', '22023'), ('$u, uuid_v7()', 'P0002'), ('uuid_v7(), pg_temp.message(''end'')', 'P0002'),
             ('$u, ''00000000-0000-7000-8000-0000000000e1''', 'P0002'), ('$u, pg_temp.message(''reply d'')', 'P0002')) AS v (call, code);
UPDATE messages SET parent_message_id = pg_temp.message('end') WHERE content = 'reply';
SELECT lives_ok(format($$SELECT * FROM conversation_path(%L, pg_temp.message('end'))$$, :'eve'), 'the path through a ring of parents ends');
SELECT is((SELECT count(*) FROM conversation_path(:'eve', pg_temp.message('end'))), 3::bigint, 'and has each message once');
DELETE FROM conversations WHERE title = 'tree';
SELECT pg_temp.new_conversation('eve', 'long') \gset long_
INSERT INTO messages (id, conversation_id, user_id, role, content, parent_message_id, total_tokens)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, :'long_new_conversation', :'eve', 'user', n, ('00000000-0000-7000-8000-' || lpad(to_hex(NULLIF(n - 1, 20000)), 12, '0'))::uuid, 1
FROM generate_series(20001, 32000) AS n;
ANALYZE messages;  -- the plan was made for a handful of them
SELECT is((SELECT concat_ws(' ', count(*), min(content), max("position")) FROM conversation_path(:'eve', pg_temp.message('32000'))), '12000 20001 12000', 'a branch of 12,000 messages is whole');
DELETE FROM conversations WHERE title = 'long';

-- what only reads does so in a transaction that may only read
SELECT is((SELECT string_agg(format('%s %s', proname, provolatile), ', ' ORDER BY proname) FROM pg_proc WHERE pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND proname IN ('list_conversations', 'conversation_messages', 'conversation_path')),
          'conversation_messages s, conversation_path s, list_conversations s', 'listing and paging are STABLE');

-- delete_conversation
SELECT throws_ok(format('SELECT delete_conversation(%s)', replace(v.call, '$u', quote_literal(:'cat'))), v.code, NULL, format('delete_conversation(%s): %s', v.call, v.code))
FROM (VALUES ('NULL, ''00000000-0000-7000-8000-0000000000c1''', '22004'), ('$u, NULL', '22004'), ('uuid_v7(), ''00000000-0000-7000-8000-0000000000c1''', 'P0002'), ('$u, uuid_v7()', 'P0002'), ('$u, ''00000000-0000-7000-8000-0000000000c8''', 'P0002')) AS v (call, code);
SELECT is((SELECT count(*) FROM conversations WHERE user_id IN (:'cat', :'dan')), 8::bigint, 'refusals delete nothing');
SELECT record_usage(:'cat', 'token', 7, 'small', 0.25, '00000000-0000-7000-8000-0000000000e5'), record_usage(:'cat', 'token', 8, 'small', 0.25, NULL, '00000000-0000-7000-8000-0000000000c1'), record_usage(:'cat', 'token', 9, 'small', 0, NULL, '00000000-0000-7000-8000-0000000000c2');
SELECT delete_conversation(:'cat', '00000000-0000-7000-8000-0000000000c1');
SELECT is((SELECT count(*) FROM messages WHERE id::text LIKE '00000000-0000-7000-8000-0000000000e_'), 0::bigint, 'a conversation is deleted with its messages');
SELECT is(pg_temp.pages(:'cat', NULL, 7), '|b g c d e f', 'and no other');
SELECT is((SELECT string_agg(concat_ws(' ', quantity, trim_scale(cost), model_used, COALESCE(message_id::text, '-'), COALESCE(conversation_id::text, '-')), ', ' ORDER BY quantity) FROM usage_records WHERE user_id = :'cat'),
          '7 0.25 small - -, 8 0.25 small - -, 9 0 small - 00000000-0000-7000-8000-0000000000c2', 'what it used stays recorded, without naming it');
SELECT is((SELECT concat_ws(' ', total_token_count, trim_scale(total_cost)) FROM users WHERE id = :'cat'), '24 0.5', 'and counted');
SELECT throws_ok(format($$SELECT delete_conversation(%L, '00000000-0000-7000-8000-0000000000c1')$$, :'cat'), 'P0002', NULL, 'it is deleted once');

-- random statements, always the same ones: after each the counters equal their messages
DELETE FROM conversations;
SELECT setseed(0.20261122);
CREATE FUNCTION pg_temp.random_statement(conversations uuid[], users uuid[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    -- each expression is evaluated for each row
    conversation CONSTANT text := format('(%L::uuid[])[1 + floor(random() * %s)::integer]', conversations, cardinality(conversations));
    writer CONSTANT text := format('(%L::uuid[])[1 + floor(random() * %s)::integer]', users, cardinality(users));
    moment CONSTANT text := '(timestamptz ''2026-11-22Z'' + floor(random() * 40 - 20) * interval ''1 hour'')';
    tokens CONSTANT text := '(CASE WHEN random() < 0.3 THEN NULL ELSE floor(random() * 100)::integer END)';
    cost CONSTANT text := '(CASE WHEN random() < 0.3 THEN NULL ELSE round((random() / 1000)::numeric, 9) END)';
    status CONSTANT text := '((ARRAY[''sending'', ''sent'', ''failed'', ''deleted''])[1 + floor(random() * 4)::integer])';
    chosen CONSTANT text := format('id IN (SELECT id FROM claude_gpt_data.messages ORDER BY md5(content || %L) LIMIT %s)', random(), floor(random() * 8)::integer);
    new_id CONSTANT text := 'md5(random()::text)::uuid';
    an_id CONSTANT text := format('COALESCE((SELECT id FROM claude_gpt_data.messages ORDER BY md5(content || %L || g::text) LIMIT 1), %s)', random(), new_id);
    fresh CONSTANT text := format('INSERT INTO claude_gpt_data.messages (id, conversation_id, user_id, role, content, prompt_tokens,
                                       completion_tokens, total_tokens, cost, status, created_at)
                                   SELECT %%s, %s, %s, ''user'', random()::text, %s, %s, %s, %s, %s, %s FROM generate_series(1, %s) AS g',
        conversation, writer, tokens, tokens, tokens, cost, status, moment, floor(random() * 6)::integer);
BEGIN
    RETURN CASE floor(random() * 12)::integer
        WHEN 0 THEN format(fresh, new_id)
        WHEN 1 THEN format(fresh, new_id)
        WHEN 2 THEN format(fresh, new_id)
        WHEN 3 THEN format('UPDATE claude_gpt_data.messages SET status = %s WHERE %s', status, chosen)
        WHEN 4 THEN format('UPDATE claude_gpt_data.messages SET total_tokens = %s, cost = %s WHERE %s', tokens, cost, chosen)
        WHEN 5 THEN format('UPDATE claude_gpt_data.messages SET created_at = %s, prompt_tokens = %s WHERE %s', moment, tokens, chosen)
        WHEN 6 THEN format('UPDATE claude_gpt_data.messages SET conversation_id = %s, status = %s WHERE %s', conversation, status, chosen)
        WHEN 7 THEN format('DELETE FROM claude_gpt_data.messages WHERE %s', chosen)
        WHEN 8 THEN format('WITH d AS (DELETE FROM claude_gpt_data.messages WHERE %s) %s', chosen, format(fresh, new_id))
        WHEN 9 THEN format('MERGE INTO claude_gpt_data.messages AS m USING (SELECT id, random() AS r FROM claude_gpt_data.messages WHERE %s) AS s ON m.id = s.id
                            WHEN MATCHED AND s.r < 0.3 THEN DELETE WHEN MATCHED AND s.r < 0.8 THEN UPDATE SET conversation_id = %s, created_at = %s, cost = %s
                            WHEN MATCHED THEN DO NOTHING', chosen, conversation, moment, cost)
        WHEN 10 THEN format('UPDATE claude_gpt_data.messages AS m SET parent_message_id = (SELECT p.id FROM claude_gpt_data.messages AS p
                             WHERE p.conversation_id = m.conversation_id AND p.id < m.id ORDER BY p.id DESC LIMIT 1) WHERE %s', chosen)
        ELSE format(fresh || ' LIMIT 1 ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at, status = excluded.status,
                              conversation_id = excluded.conversation_id', an_id)
    END;
END
$$;
CREATE FUNCTION pg_temp.first_deviation(steps integer, OUT executed integer, OUT refused integer, OUT deviation text) LANGUAGE plpgsql AS $$
DECLARE
    conversations uuid[];
    users uuid[];
    statement text;
    code text;
BEGIN
    -- ids of our own, so that plans meet rows in the same order every time
    SELECT array_agg(md5('user' || n)::uuid) INTO users FROM generate_series(1, 3) AS n;
    SELECT array_agg(md5('conversation' || n)::uuid) INTO conversations FROM generate_series(1, 4) AS n;
    INSERT INTO claude_gpt_data.users (id, email, password_hash) SELECT u, u || '@example.com', 'x' FROM unnest(users) AS u;
    INSERT INTO claude_gpt_data.conversations (id, user_id, title, created_at, last_message_at)
    SELECT c, users[1], c, '2026-11-22Z', '2026-11-22Z' FROM unnest(conversations) AS c;
    executed := 0;
    refused := 0;
    FOR step IN 1..steps LOOP
        statement := pg_temp.random_statement(conversations, users);
        BEGIN
            EXECUTE statement;
            executed := executed + 1;
        EXCEPTION WHEN check_violation OR foreign_key_violation THEN
            -- a reply without its parent: moved from it, or, by MERGE, changed before the parent is deleted
            refused := refused + 1;
        END;
        SELECT format('after step %s, %s: %s', step, statement, d) INTO deviation FROM pg_temp.deviations AS d LIMIT 1;
        EXIT WHEN deviation IS NOT NULL;
    END LOOP;
END
$$;
SELECT executed, refused, COALESCE(deviation, 'none') AS deviation FROM pg_temp.first_deviation(600) \gset random_
SELECT is(:'random_deviation'::text, 'none', 'counters equal their messages after each of 600 random statements');
SELECT cmp_ok(:random_executed, '>', 450, 'of which most were executed');
SELECT cmp_ok(:random_refused, '>', 5, 'and some were refused');
SELECT cmp_ok((SELECT count(*) FROM messages), '>', 20::bigint, 'with messages left at the end');

-- any text is stored, found again byte for byte, and never refused because of search
SELECT pg_temp.new_conversation('ada', 'texts');
CREATE TEMPORARY TABLE texts ON COMMIT DROP AS
SELECT 'words' AS name, (SELECT string_agg(md5(n::text), ' ') FROM generate_series(1, 60000) AS n) AS content
UNION ALL SELECT 'chinese', repeat('中文没有空格所以整段是一个词', 20000)
UNION ALL SELECT 'one word', repeat('x', 3000000)
UNION ALL SELECT 'every plane', (SELECT string_agg(chr((plane << 16) + place), '' ORDER BY plane, place)
                                 FROM generate_series(0, 16) AS plane, unnest(ARRAY[65, 1000, 20013, 55295, 57344, 62464, 65533]) AS place)
UNION ALL SELECT 'basic plane', (SELECT string_agg(chr(c), '') FROM generate_series(1, 65535) AS c WHERE c NOT BETWEEN 55296 AND 57343)
UNION ALL SELECT 'emoji', '👩‍👩‍👧‍👦🏳️‍🌈 e' || repeat(chr(769), 1000)
UNION ALL SELECT 'empty', ''
UNION ALL SELECT 'spaces', repeat(E' \t\r\n', 1000)
UNION ALL SELECT 'quotes', $q$'); DROP TABLE claude_gpt_data.messages; -- \ " ' $$ %s {}$q$
UNION ALL SELECT 'hyphens', repeat('a-b/c.d@e:', 20000);
INSERT INTO messages (conversation_id, user_id, role, content, is_searchable, model_used)
SELECT c.id, c.user_id, 'user', t.content, s, t.name FROM conversations AS c, texts AS t, unnest(ARRAY[false, true]) AS s WHERE c.title = 'texts';
SELECT is((SELECT count(*) FROM messages AS m JOIN texts AS t ON t.name = m.model_used WHERE m.is_searchable = s
             AND m.content = t.content AND convert_to(m.content, 'UTF8') = convert_to(t.content, 'UTF8') AND t.name = n), 1::bigint,
          format('text "%s" is stored as it is%s', n, CASE WHEN s THEN ', searchable' ELSE '' END))
FROM (SELECT name AS n FROM texts) AS t, unnest(ARRAY[false, true]) AS s;
SELECT is((SELECT length(content) - length(replace(content, ' ', '')) + 1 FROM texts WHERE name = 'words'), 60000, 'there are 60,000 distinct words');
SELECT is((SELECT octet_length(content) FROM texts WHERE name = 'every plane'), 7 * 16 * 4 + 1 + 2 + 5 * 3, 'there are characters of all seventeen planes');
SELECT is((SELECT count(*) FROM messages WHERE is_searchable AND to_tsvector('english', left(content, 50000)) @@ to_tsquery('simple', md5('7'))), 1::bigint, 'a word of a long text is found');
UPDATE messages SET is_searchable = true WHERE NOT is_searchable;
SELECT is((SELECT count(*) FROM messages WHERE is_searchable AND to_tsvector('english', left(content, 50000)) @@ to_tsquery('simple', md5('7'))), 2::bigint, 'also when it is made searchable later');
UPDATE messages SET content = content || '.';
SELECT is((SELECT count(*) FROM messages AS m JOIN texts AS t ON t.name = m.model_used AND m.content = t.content || '.'), 20::bigint, 'any text can be edited');
SELECT is((SELECT message_count FROM conversations WHERE title = 'texts'), 20, 'all of them are counted');
DELETE FROM messages;
INSERT INTO messages (conversation_id, user_id, role, content, is_searchable)
SELECT id, user_id, 'user', repeat('0123456789abcdef' || chr(10) || 'Zürich 中', 7407408), true FROM conversations WHERE title = 'texts';
SELECT cmp_ok((SELECT octet_length(content) FROM messages), '>=', 200000000, 'a message of 200 MB is stored');
SELECT is((SELECT md5(content) FROM messages), md5(repeat('0123456789abcdef' || chr(10) || 'Zürich 中', 7407408)), 'byte for byte');
SELECT is((SELECT message_count FROM conversations WHERE title = 'texts'), 1, 'and counted');
SELECT lives_ok($$UPDATE messages SET status = 'failed'$$, 'and can be marked');
SELECT is_empty('SELECT * FROM prove_books()', 'the books are true after all of this');

SELECT * FROM finish();
ROLLBACK;
