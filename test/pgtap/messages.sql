-- What messages hold, as models speak now.
BEGIN;
\ir prelude.psql
SELECT no_plan();
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT pg_temp.configure('model_prices', '{"small": {"prompt": 100, "completion": 200, "cachedPrompt": 10, "cacheWrite": 125}}');
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 100}, "base": {"messagesPerMonth": 100}, "pro": {"messagesPerMonth": -1}}');
SELECT pg_temp.configure('rate_limits', '{"free": 1000, "base": 1000, "pro": 1000}');
SELECT pg_temp.new_user('ada', 'pro') AS ada, pg_temp.new_user('bob', 'pro') AS bob \gset

-- what developers and tools say
INSERT INTO conversations (user_id) VALUES (:'ada') RETURNING id AS tooled \gset
INSERT INTO messages (conversation_id, user_id, role, content, created_at) VALUES (:'tooled', :'ada', 'developer', 'Be brief.', '2026-11-22 09:00Z') RETURNING id AS rule \gset
SELECT * FROM begin_turn(:'ada', :'tooled', 'the weather?', 'small') \gset asked_
SELECT * FROM complete_turn(:'ada', :'asked_reservation_id', 'I ask.', 10, 20) \gset
INSERT INTO messages (conversation_id, user_id, role, content, content_type, parent_message_id, created_at)
VALUES (:'tooled', :'ada', 'tool', 'rain', 'tool_result', :'asked_assistant_message_id', '2026-11-22 10:59Z') RETURNING id AS answer \gset
SET LOCAL claude_gpt.fixed_time = '2026-11-22T11:00:00Z';
SELECT * FROM begin_turn(:'ada', :'tooled', NULL, 'small', p_parent_message_id => :'answer') \gset told_
SELECT is(:'told_message_id'::uuid, :'answer'::uuid, 'what a tool says is answered without a word of the user');
SELECT * FROM complete_turn(:'ada', :'told_reservation_id', 'Rain.', 10, 20) \gset
SELECT is((SELECT string_agg(format('%s "%s" %s', role, content, tokens), ', ' ORDER BY "position") FROM conversation_path(:'ada', :'told_assistant_message_id')),
          'developer "Be brief." 3, user "the weather?" 4, assistant "I ask." 20, tool "rain" 2, assistant "Rain." 20', 'the path has what developers and tools say, with the tokens of their content');
SELECT is((SELECT string_agg(role, ' ') FROM conversation_messages(:'ada', :'tooled')), 'assistant tool assistant user developer', 'so have the pages');
SELECT is((SELECT message_count FROM conversations WHERE id = :'tooled'), 5, 'and the counter of messages');
SELECT is((SELECT format('%s: %s', last_message_role, last_message_content) FROM list_conversations(:'ada')), 'assistant: Rain.', 'and the list');
SELECT is((SELECT message_id FROM begin_turn(:'ada', :'tooled', NULL, 'small', p_parent_message_id => :'answer')), :'answer'::uuid, 'which may be answered anew');
SELECT * FROM begin_turn(:'ada', :'tooled', 'and then?', 'small', p_parent_message_id => :'answer') \gset on_
SELECT is((SELECT parent_message_id FROM messages WHERE id = :'on_message_id'), :'answer'::uuid, 'a question may go on from it');
SELECT throws_ok(format('SELECT begin_turn(%L, %L, NULL, ''small'', p_parent_message_id => %L)', :'ada', :'tooled', :'rule'), '22023', NULL, 'what a developer says is not answered without a question');
UPDATE messages SET is_searchable = true WHERE id = :'answer';
SELECT is((SELECT count(*) FROM messages WHERE is_searchable AND to_tsvector('pg_catalog.english', left(content, 50000)) @@ 'rain'::tsquery), 1::bigint, 'what a tool says is found where it is marked so');

SELECT * FROM finish();
ROLLBACK;
