-- What messages hold, as models speak now.
BEGIN;
\ir prelude.psql
SELECT no_plan();
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT pg_temp.configure('model_prices', '{"small": {"prompt": 100, "completion": 200, "cachedPrompt": 10, "cacheWrite": 125}}');
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 100}, "base": {"messagesPerMonth": 100}, "pro": {"messagesPerMonth": -1}}');
SELECT pg_temp.configure('rate_limits', '{"free": 1000, "base": 1000, "pro": 1000}');
SELECT pg_temp.new_user('ada', 'pro') AS ada, pg_temp.new_user('bob', 'pro') AS bob \gset

CREATE FUNCTION pg_temp.stored() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', (SELECT md5(string_agg(m::text, ' ' ORDER BY m.id)) FROM claude_gpt_data.messages AS m), (SELECT md5(string_agg(r::text, ' ' ORDER BY r.id)) FROM claude_gpt_data.usage_reservations AS r))
$$;

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

-- kinds of tokens
CREATE FUNCTION pg_temp.kinds(p_reservation uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws('; ',
        (SELECT concat_ws(' ', m.prompt_tokens, m.completion_tokens, COALESCE(m.cached_prompt_tokens::text, '-'), COALESCE(m.cache_write_tokens::text, '-'), COALESCE(m.reasoning_tokens::text, '-'))
         FROM claude_gpt_data.messages AS m WHERE m.id = r.assistant_message_id),
        (SELECT string_agg(concat_ws(' ', u.usage_type, u.quantity, COALESCE(u.prompt_tokens::text, '-'), COALESCE(u.completion_tokens::text, '-'),
                                     COALESCE(u.cached_prompt_tokens::text, '-'), COALESCE(u.cache_write_tokens::text, '-'), COALESCE(u.reasoning_tokens::text, '-')), ', ' ORDER BY u.usage_type)
         FROM claude_gpt_data.usage_records AS u WHERE u.created_at = now() AND u.metadata IS NULL AND (u.message_id = r.assistant_message_id OR u.message_id IS NULL AND r.assistant_message_id IS NULL) AND u.usage_type = 'token'))
    FROM claude_gpt_data.usage_reservations AS r WHERE r.id = p_reservation
$$;
CREATE FUNCTION pg_temp.turn(p_model text DEFAULT 'small') RETURNS uuid LANGUAGE sql AS $$
    SELECT reservation_id FROM claude_gpt.begin_turn(pg_temp.user_id('bob'), NULL, 'question', p_model, 100, p_estimated_cost => CASE p_model WHEN 'other' THEN 1 END)
$$;
SELECT pg_temp.turn() AS r1, pg_temp.turn() AS r2, pg_temp.turn() AS r3, pg_temp.turn() AS r4, pg_temp.turn() AS r5, pg_temp.turn('other') AS r6, pg_temp.turn() AS r7 \gset
SELECT * FROM complete_turn(:'bob', :'r1', 'a', 10, 20) \gset
SELECT is(pg_temp.kinds(:'r1'), '10 20 - - -; token 30 10 20 - - -', 'two counts tell nothing of caches and reasoning');
SELECT * FROM complete_turn(:'bob', :'r2', 'a', 10, 20, p_cached_prompt_tokens => 4) \gset
SELECT is(pg_temp.kinds(:'r2'), '10 20 4 - -; token 30 10 20 4 - -', 'a count of a cache tells of that');
SELECT * FROM complete_turn(:'bob', :'r3', 'a', p_usage => '{"prompt_tokens": 10, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 0}}') \gset
SELECT is(pg_temp.kinds(:'r3'), '10 20 0 0 0; token 30 10 20 0 0 0', 'usage as reported tells also that there was none');
SELECT * FROM complete_turn(:'bob', :'r4', 'a', p_usage => '[{"input_tokens": 6, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": 4},
    {"prompt_tokens": 5, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 1}, "completion_tokens_details": {"reasoning_tokens": 8}}]') \gset
SELECT is(pg_temp.kinds(:'r4'), '16 13 3 3 8; token 29 16 13 3 3 8', 'what several calls used is one sum, in the message and in one record');
SELECT * FROM fail_turn(:'bob', :'r5', 'cut', p_usage => '[{"prompt_tokens": 5, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 8}}, null]') \gset
SELECT is(pg_temp.kinds(:'r5'), '5 95 - - 8; token 100 5 95 - - 8', 'where a call is not known, what the others tell is a part, and nothing tells that there was none');
SELECT * FROM complete_turn(:'bob', :'r6', 'a', p_cost => 1, p_usage => '{"inputTokens": 100, "outputTokens": 50, "totalTokens": 150, "inputTokenDetails": {"cacheReadTokens": 60, "cacheWriteTokens": 10}, "outputTokenDetails": {"reasoningTokens": 40}}') \gset
SELECT is(pg_temp.kinds(:'r6'), '100 50 60 10 40; token 150 100 50 60 10 40', 'the AI SDK tells all of them');
SELECT * FROM complete_turn(:'bob', :'r7', 'a') \gset
SELECT is(pg_temp.kinds(:'r7'), '0 100 - - -; token 100 0 100 - - -', 'what was held and is charged is of no known kind');
SELECT reservation_id AS s1 FROM reserve_usage(:'bob', 50, 1, 'small') \gset
SELECT * FROM settle_usage(:'bob', :'s1', p_usage => '{"promptTokenCount": 30, "candidatesTokenCount": 4, "thoughtsTokenCount": 6, "totalTokenCount": 40}') \gset
SELECT is(pg_temp.kinds(:'s1'), 'token 40 30 10 0 0 6', 'a reservation that is settled tells it in the ledger');
SELECT * FROM record_usage(:'bob', 'token', 9, 'small', p_metadata => '{"mine": 1}') \gset
SELECT results_eq($$SELECT model_used::text, sum(token_count)::int, sum(prompt_token_count)::int, sum(completion_token_count)::int, sum(cached_prompt_token_count)::int, sum(cache_write_token_count)::int, sum(reasoning_token_count)::int
                    FROM daily_usage WHERE billing_period = '2026-11-01' AND token_count > 0 GROUP BY model_used ORDER BY 1$$,
                  $$VALUES ('other', 150, 100, 50, 60, 10, 40), ('small', 428, 101, 318, 7, 3, 22)$$, 'a month can be told by model and kind of token');
SELECT results_eq(format($$SELECT prompt_tokens, completion_tokens, cached_prompt_tokens, cache_write_tokens, reasoning_tokens FROM conversation_messages(%L, (SELECT conversation_id FROM usage_reservations WHERE id = %L)) WHERE role = 'assistant'$$, :'bob', :'r4'),
                  'VALUES (16, 13, 3, 3, 8)', 'pages have the kinds');
SELECT is_empty('SELECT * FROM prove_books()', 'and the books are true');
SELECT throws_ok(format('UPDATE %s SET %s = -1', t, c), '23514', NULL, format('%s.%s is not negative', t, c))
FROM (VALUES ('messages', 'cached_prompt_tokens'), ('messages', 'cache_write_tokens'), ('messages', 'reasoning_tokens'), ('usage_records', 'prompt_tokens'), ('usage_records', 'completion_tokens'),
             ('usage_records', 'cached_prompt_tokens'), ('usage_records', 'cache_write_tokens'), ('usage_records', 'reasoning_tokens')) AS v (t, c);

-- parts
SELECT '[{"type": "text", "text": "What is this?"}, {"type": "file", "mediaType": "image/png", "url": "https://example.com/a.png"}]'::jsonb AS question,
       '[{"type": "reasoning", "text": "Hm."}, {"type": "tool-call", "toolCallId": "c1", "input": {"of": ["a.png"]}}]'::jsonb AS half,
       '[{"type": "reasoning", "text": "Hm."}, {"type": "tool-call", "toolCallId": "c1", "input": {"of": ["a.png"]}}, {"type": "text", "text": "A cat."}]'::jsonb AS whole \gset
CREATE FUNCTION pg_temp.said(p_message uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', status, format('"%s"', content), COALESCE(parts::text, '-')) FROM claude_gpt_data.messages WHERE id = p_message
$$;
SELECT * FROM begin_turn(:'bob', NULL, 'What is this?', 'small', p_parts => :'question') \gset p_
SELECT is(pg_temp.said(:'p_message_id'), 'sent "What is this?" ' || :'question', 'a question has its parts beside its text');
SELECT is(pg_temp.said(:'p_assistant_message_id'), 'sending "" -', 'its reply has none yet');
SELECT save_partial(:'bob', :'p_reservation_id', 'A', :'half');
SELECT is(pg_temp.said(:'p_assistant_message_id'), 'sending "A" ' || :'half', 'what is streamed has them');
SELECT save_partial(:'bob', :'p_reservation_id', 'A cat');
SELECT is(pg_temp.said(:'p_assistant_message_id'), 'sending "A cat" ' || :'half', 'and keeps them where nothing is said of them');
SELECT * FROM complete_turn(:'bob', :'p_reservation_id', 'A cat.', 1, 2, p_parts => :'whole') \gset
SELECT is(pg_temp.said(:'p_assistant_message_id'), 'sent "A cat." ' || :'whole', 'a reply that is complete has the last ones');
SELECT is((SELECT jsonb_agg(parts ORDER BY "position") FROM conversation_path(:'bob', :'p_assistant_message_id')), jsonb_build_array(:'question'::jsonb, :'whole'::jsonb), 'the path has the parts');
SELECT is((SELECT jsonb_agg(parts) FROM conversation_messages(:'bob', :'p_conversation_id')), jsonb_build_array(:'whole'::jsonb, :'question'::jsonb), 'so have the pages');
SELECT is((SELECT tokens FROM conversation_path(:'bob', :'p_assistant_message_id') WHERE "position" = 1), (octet_length(:'question'::jsonb::text) + 2) / 3, 'whose tokens are estimated by the parts where these are more than the text');
SELECT throws_ok(format($$SELECT complete_turn(%L, %L, 'A cat.', 1, 2, p_parts => %L)$$, :'bob', :'p_reservation_id', :'half'), 'UQ006', NULL, 'which a repeated end has again');
SELECT * FROM begin_turn(:'bob', :'p_conversation_id', 'stop', 'small') \gset s_
SELECT save_partial(:'bob', :'s_reservation_id', 'A', :'half');
SELECT * FROM stop_turn(:'bob', :'s_reservation_id', 'A', 1, 1, p_parts => :'whole') \gset
SELECT is(pg_temp.said(:'s_assistant_message_id'), 'stopped "A" ' || :'whole', 'one that is stopped has those of its end');
SELECT * FROM begin_turn(:'bob', :'p_conversation_id', '', 'small', p_parts => :'half') \gset f_
SELECT is(pg_temp.said(:'f_message_id'), 'sent "" ' || :'half', 'a question with parts needs no text');
SELECT save_partial(:'bob', :'f_reservation_id', 'A', :'half');
SELECT * FROM fail_turn(:'bob', :'f_reservation_id', 'cut') \gset
SELECT is(pg_temp.said(:'f_assistant_message_id'), 'failed "A" ' || :'half', 'a reply that failed keeps what was saved');
SELECT * FROM begin_turn(:'bob', :'p_conversation_id', 'again', 'small') \gset g_
SELECT * FROM fail_turn(:'bob', :'g_reservation_id', 'cut', p_content => 'A', p_parts => :'whole') \gset
SELECT is(pg_temp.said(:'g_assistant_message_id'), 'failed "A" ' || :'whole', 'or has what its end says');
SELECT * FROM begin_turn(:'bob', :'p_conversation_id', 'again', 'small', p_parts => '[]') \gset h_
SELECT is(pg_temp.said(:'h_message_id'), 'sent "again" []', 'parts may be none');
SELECT * FROM begin_turn(:'bob', NULL, 'long', 'small', p_parts => (SELECT jsonb_agg(jsonb_build_object('text', md5(n::text))) FROM generate_series(1, 20000) AS n)) \gset l_
SELECT is((SELECT md5(parts::text) FROM messages WHERE id = :'l_message_id'), (SELECT md5(jsonb_agg(jsonb_build_object('text', md5(n::text)))::text) FROM generate_series(1, 20000) AS n), 'or many');
SELECT pg_temp.stored() AS before \gset
SELECT throws_ok(replace(replace(format(v.call, quote_literal(w.parts)), '$u', quote_literal(:'bob')), '$r', quote_literal(:'h_reservation_id')), '22023', 'p_parts must be an array of objects', format('%s refuses %s', split_part(v.call, '(', 1), w.parts))
FROM (VALUES ('begin_turn($u, NULL, ''x'', ''small'', p_parts => %s)'), ('save_partial($u, $r, ''x'', %s)'), ('complete_turn($u, $r, ''x'', 1, 2, p_parts => %s)'), ('stop_turn($u, $r, p_parts => %s)'), ('fail_turn($u, $r, ''x'', p_parts => %s)')) AS f (call),
     LATERAL (VALUES ('SELECT ' || f.call)) AS v (call),
     (VALUES ('{}'), ('{"type": "text"}'), ('"text"'), ('null'), ('7'), ('["text"]'), ('[{}, 1]'), ('[{}, null]'), ('[[{}]]'), ('[{}, []]')) AS w (parts);
SELECT throws_ok(format('SELECT begin_turn(%L, %L, NULL, ''small'', p_parent_message_id => %L, p_parts => ''[]'')', :'bob', :'p_conversation_id', :'p_message_id'), '22023', NULL, 'a reply made anew has no question whose parts could be given');
SELECT throws_ok(format($$SELECT complete_turn(%L, %L, 'x', 1, 2, p_parts => '[{"text": "\u0000"}]')$$, :'bob', :'h_reservation_id'), '22P05', NULL, 'jsonb has no U+0000');
SELECT is(pg_temp.stored(), :'before', 'and nothing of it is stored');
SELECT * FROM begin_turn(:'bob', NULL, 'once', 'small', p_idempotency_key => 'k', p_parts => '[{"a": 1, "b": 2}]') \gset k_
SELECT is((SELECT message_id FROM begin_turn(:'bob', NULL, 'once', 'small', p_idempotency_key => 'k', p_parts => '[{"b":2,"a":1}]')), :'k_message_id'::uuid, 'the same parts with the same key are the same call');
SELECT throws_ok(format($$SELECT begin_turn(%L, NULL, 'once', 'small', p_idempotency_key => 'k'%s)$$, :'bob', v.more), 'UQ006', NULL, 'others, or none, are another: ' || v.more)
FROM (VALUES (''), (', p_parts => ''[{"a": 1}]''')) AS v (more);

-- feedback
CREATE FUNCTION pg_temp.feedback() RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE(string_agg(concat_ws(' ', split_part(u.email, '@', 1), f.rating, format('"%s"', f.comment)), ', ' ORDER BY u.email), 'none') FROM claude_gpt_data.message_feedback AS f JOIN claude_gpt_data.users AS u ON u.id = f.user_id
$$;
SELECT set_message_feedback(:'bob', :'p_assistant_message_id', 'up');
SELECT is(pg_temp.feedback(), 'bob up ""', 'a user says what he thinks of a reply');
SELECT set_message_feedback(:'bob', :'p_assistant_message_id', 'down', 'A dog.');
SELECT is(pg_temp.feedback(), 'bob down "A dog."', 'he changes his mind, and says why');
SELECT set_message_feedback(:'bob', :'p_assistant_message_id', 'down');
SELECT is(pg_temp.feedback(), 'bob down "A dog."', 'to say it again keeps what was said');
SELECT set_message_feedback(:'bob', :'p_assistant_message_id', 'down', '');
SELECT is(pg_temp.feedback(), 'bob down ""', 'an empty comment is none');
SELECT set_message_feedback(:'bob', :'p_assistant_message_id', 'down', 'A dog.'), set_message_feedback(:'bob', :'p_assistant_message_id', 'up');
SELECT is(pg_temp.feedback(), 'bob up ""', 'what was said goes with another rating');
SELECT throws_ok(format('SELECT set_message_feedback(%s)', v.call), v.code, NULL, format('%s: %s', v.why, v.code))
FROM (VALUES (format('%L, %L, ''good''', :'bob', :'p_assistant_message_id'), '22023', 'no such rating'), (format('%L, %L, ''''', :'bob', :'p_assistant_message_id'), '22023', 'an empty rating'),
             (format('%L, %L, NULL, ''why''', :'bob', :'p_assistant_message_id'), '22023', 'a comment without a rating'), (format('NULL, %L, ''up''', :'p_assistant_message_id'), '22004', 'no user'),
             (format('%L, NULL, ''up''', :'bob'), '22004', 'no message'), (format('%L, uuid_v7(), ''up''', :'bob'), 'P0002', 'an unknown message'), (format('uuid_v7(), %L, ''up''', :'p_assistant_message_id'), 'P0002', 'an unknown user'),
             (format('%L, %L, ''up''', :'ada', :'p_assistant_message_id'), 'P0002', 'a message of another user'), (format('%L, %L, NULL', :'ada', :'p_assistant_message_id'), 'P0002', 'feedback of another user'),
             (format('%L, uuid_v7(), NULL', :'bob'), 'P0002', 'feedback of an unknown message')) AS v (call, code, why);
UPDATE messages SET status = 'deleted' WHERE id = :'f_assistant_message_id';
SELECT throws_ok(format('SELECT set_message_feedback(%L, %L, ''up'')', :'bob', :'f_assistant_message_id'), 'P0002', NULL, 'a message that is deleted has none');
SELECT set_message_feedback(:'bob', :'p_assistant_message_id', NULL);
SELECT is(pg_temp.feedback(), 'none', 'NULL takes it back');
SELECT lives_ok(format('SELECT set_message_feedback(%L, %L, NULL)', :'bob', :'p_assistant_message_id'), 'again too');
SELECT throws_ok(format('INSERT INTO message_feedback (message_id, user_id, rating) VALUES (%L, %L, %L)', :'p_assistant_message_id', :'bob', r), c, NULL, format('a rating is not %L', r)) FROM (VALUES ('good', '23514'), (NULL, '23502')) AS v (r, c);
SELECT set_message_feedback(:'bob', :'p_assistant_message_id', 'up', 'yes'), set_message_feedback(:'ada', :'told_assistant_message_id', 'down');
SELECT is(pg_temp.feedback(), 'ada down "", bob up "yes"', 'each of his own');

-- files
INSERT INTO message_files (user_id, name, media_type, size_bytes, location) VALUES (:'bob', 'a.png', 'image/png', 3000000000, 's3://files/a.png') RETURNING id AS file \gset
UPDATE message_files SET message_id = :'p_message_id', conversation_id = :'p_conversation_id' WHERE id = :'file';
INSERT INTO message_files (user_id, conversation_id, name, location) VALUES (:'bob', :'p_conversation_id', 'notes', 'https://example.com/notes'), (:'ada', :'tooled', 'map', 'k');
INSERT INTO message_files (user_id, name, location) VALUES (:'bob', 'draft', 'k2');
SELECT throws_ok(format('INSERT INTO message_files (user_id, name, location, size_bytes) VALUES (%L, ''x'', %L, %s)', :'bob', location, size), code, NULL, format('a file is not at %L with %s bytes', location, size))
FROM (VALUES ('', 1, '23514'), ('k', -1, '23514'), (NULL, 1, '23502')) AS v (location, size, code);
CREATE FUNCTION pg_temp.files() RETURNS text LANGUAGE sql AS $$SELECT COALESCE(string_agg(name, ' ' ORDER BY name), 'none') FROM claude_gpt_data.message_files$$;
SELECT is(pg_temp.files(), 'a.png draft map notes', 'files are of messages, of conversations, and of users who have not sent them');
DELETE FROM messages WHERE id = :'p_message_id';
SELECT is(pg_temp.files(), 'draft map notes', 'those of a message go with it');
SELECT is(pg_temp.feedback(), 'ada down "", bob up "yes"', 'feedback on its reply stays');
SELECT delete_conversation(:'bob', :'p_conversation_id');
SELECT is(pg_temp.files() || '; ' || pg_temp.feedback(), 'draft map; ada down ""', 'files and feedback go with their conversation');
DELETE FROM users WHERE id IN (:'bob', :'ada');
SELECT is(pg_temp.files() || '; ' || pg_temp.feedback(), 'none; none', 'and with their user');

SELECT * FROM finish();
ROLLBACK;
