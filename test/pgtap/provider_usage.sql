-- p_usage: what models used, as their providers report it, at the end of turns and reservations.
BEGIN;
\ir prelude.psql
SELECT no_plan();
SET LOCAL claude_gpt.fixed_time = '2026-11-22T09:00:00Z';

SELECT pg_temp.configure('model_prices', '{"m": {"prompt": 100, "cachedPrompt": 10, "cacheWrite": 125, "cacheWrite1h": 160, "completion": 200}, "bare": {"prompt": 100, "completion": 200}}');
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 1}, "base": {"messagesPerMonth": -1}, "pro": {"messagesPerMonth": -1}}');
SELECT pg_temp.configure('rate_limits', '{"free": 10, "base": 60, "pro": 1000000}');
SELECT pg_temp.new_user('ada', 'pro') AS ada \gset

CREATE FUNCTION pg_temp.hold(p_tokens bigint DEFAULT 1000, p_model text DEFAULT 'm') RETURNS uuid LANGUAGE sql AS $$
    SELECT reservation_id FROM claude_gpt.reserve_usage(pg_temp.user_id('ada'), p_tokens, 1, p_model)
$$;
CREATE FUNCTION pg_temp.turn(p_tokens integer DEFAULT 1000, p_model text DEFAULT 'm') RETURNS uuid LANGUAGE sql AS $$
    SELECT reservation_id FROM claude_gpt.begin_turn(pg_temp.user_id('ada'), NULL, 'question', p_model, p_tokens)
$$;
CREATE FUNCTION pg_temp.told(p_tokens bigint, p_cost numeric, p_late boolean, p_replayed boolean, p_estimated boolean) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s for %s', p_tokens, trim_scale(p_cost)) || CASE WHEN p_late THEN ', late' ELSE '' END
        || CASE WHEN p_replayed THEN ', replayed' ELSE '' END || CASE WHEN p_estimated THEN ', estimated' ELSE '' END
$$;
CREATE FUNCTION pg_temp.settled(p_reservation uuid, p_usage jsonb, p_cost numeric DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.told(charged_tokens, charged_cost, late, replayed, estimated)
    FROM claude_gpt.settle_usage(pg_temp.owner(p_reservation), p_reservation, p_cost => p_cost, p_usage => p_usage)
$$;
CREATE FUNCTION pg_temp.completed(p_reservation uuid, p_usage jsonb, p_cost numeric DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.told(total_tokens, charged_cost, late, replayed, estimated)
    FROM claude_gpt.complete_turn(pg_temp.owner(p_reservation), p_reservation, 'answer', p_cost => p_cost, p_usage => p_usage)
$$;
CREATE FUNCTION pg_temp.failed(p_reservation uuid, p_usage jsonb, p_cost numeric DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.told(total_tokens, charged_cost, late, replayed, estimated)
    FROM claude_gpt.fail_turn(pg_temp.owner(p_reservation), p_reservation, 'cut', p_cost => p_cost, p_usage => p_usage)
$$;
-- What a reservation was settled with: prompt, completion, cached, written; and the rest.
CREATE FUNCTION pg_temp.receipt(p_reservation uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', status, prompt_tokens, completion_tokens, cached_prompt_tokens, cache_write_tokens, is_estimated) || COALESCE(': ' || reported_usage, '')
    FROM claude_gpt_data.usage_reservations WHERE id = p_reservation
$$;
CREATE FUNCTION pg_temp.reply(p_reservation uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', m.status, m.content, m.prompt_tokens, m.completion_tokens, m.total_tokens, trim_scale(m.cost))
    FROM claude_gpt_data.messages AS m JOIN claude_gpt_data.usage_reservations AS r ON r.assistant_message_id = m.id WHERE r.id = p_reservation
$$;
CREATE FUNCTION pg_temp.counters() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', total_message_count, total_token_count, trim_scale(total_cost), held_message_count, held_token_count, trim_scale(held_cost))
    FROM claude_gpt_data.users WHERE id = pg_temp.user_id('ada')
$$;

-- each shape, by each function
CREATE TEMPORARY TABLE shapes (shape text, usage jsonb, told text, receipt text);
INSERT INTO shapes VALUES
    ('chat completions of OpenAI', '{"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306, "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 128, "accepted_prediction_tokens": 0}}',
     '2306 for 0.0878', '2006 300 1920 0 f: prompt 2006, cached 1920, completion 300, reasoning 128'),
    ('responses of OpenAI', '{"input_tokens": 19681, "input_tokens_details": {"cached_tokens": 3712}, "output_tokens": 3773, "output_tokens_details": {"reasoning_tokens": 3136}, "total_tokens": 23454}',
     '23454 for 2.38862', '19681 3773 3712 0 f: prompt 19681, cached 3712, completion 3773, reasoning 3136'),
    ('Anthropic', '{"input_tokens": 6, "cache_creation_input_tokens": 3337, "cache_read_input_tokens": 6289, "output_tokens": 198, "service_tier": "standard", "server_tool_use": {"web_search_requests": 0}}',
     '9830 for 0.520215', '9632 198 6289 3337 f'),
    ('Anthropic, with a cache of an hour', '{"input_tokens": 2048, "cache_read_input_tokens": 1800, "cache_creation_input_tokens": 248, "output_tokens": 503, "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100}}',
     '4599 for 0.3579', '4096 503 1800 248 f: prompt 4096, cached 1800, written 248, written for an hour 100, completion 503'),
    ('Gemini', '{"promptTokenCount": 19, "cachedContentTokenCount": 3, "candidatesTokenCount": 4, "toolUsePromptTokenCount": 63, "thoughtsTokenCount": 56, "totalTokenCount": 142, "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 3}]}',
     '142 for 0.01993', '82 60 3 0 f: prompt 82, cached 3, tool use 63, completion 60, reasoning 56'),
    ('the AI SDK', '{"inputTokens": 9632, "outputTokens": 198, "totalTokens": 9830, "inputTokenDetails": {"noCacheTokens": 6, "cacheReadTokens": 6289, "cacheWriteTokens": 3337}, "outputTokenDetails": {"textTokens": 198}}',
     '9830 for 0.520215', '9632 198 6289 3337 f'),
    ('the AI SDK, little defined', '{"inputTokens": 10, "inputTokenDetails": {}, "outputTokens": 3, "outputTokenDetails": {}, "cachedInputTokens": null}', '13 for 0.0016', '10 3 0 0 f'),
    ('Bedrock', '{"inputTokens": 6, "outputTokens": 198, "totalTokens": 9830, "cacheReadInputTokens": 6289, "cacheWriteInputTokens": 3337}', '9830 for 0.520215', '9632 198 6289 3337 f'),
    ('cached tokens with a convention', '{"input_tokens": 100, "output_tokens": 10, "cached_tokens": 40, "convention": "anthropic"}', '150 for 0.0124', '140 10 40 0 f'),
    ('an array', '[{"prompt_tokens": 5, "completion_tokens": 6}, {"input_tokens": 1, "cache_read_input_tokens": 9, "output_tokens": 2}]', '23 for 0.00229', '15 8 9 0 f: prompt 5, completion 6; prompt 10, cached 9, completion 2');
CREATE TEMPORARY TABLE ends AS SELECT s.*, pg_temp.hold() AS settled, pg_temp.turn() AS completed, pg_temp.turn() AS failed FROM shapes AS s;
SELECT is(pg_temp.settled(settled, usage), told, shape || ' is settled') FROM ends;
SELECT is(pg_temp.completed(completed, usage), told, shape || ' completes a turn') FROM ends;
SELECT is(pg_temp.failed(failed, usage), told, shape || ' is charged for a turn that failed') FROM ends;
SELECT is(pg_temp.receipt(r), 'settled ' || receipt, shape || ' is kept') FROM ends, LATERAL unnest(ARRAY[settled, completed, failed]) AS r;
SELECT is(pg_temp.reply(completed), concat_ws(' ', 'sent answer', prompt_tokens, completion_tokens, replace(told, ' for', '')), shape || ' stands in the reply')
FROM ends JOIN usage_reservations ON id = completed;
SELECT is((SELECT concat_ws(' ', sum(quantity) FILTER (WHERE usage_type = 'message'), sum(quantity) FILTER (WHERE usage_type = 'token'), trim_scale(sum(cost))) FROM usage_records WHERE user_id = :'ada'),
          (SELECT concat_ws(' ', 3 * count(*), 3 * sum(split_part(told, ' ', 1)::bigint), trim_scale(3 * sum(split_part(told, ' ', 3)::numeric))) FROM ends), 'the ledger has the sum of it');
SELECT is(pg_temp.counters(), (SELECT concat_ws(' ', 3 * count(*), 3 * sum(split_part(told, ' ', 1)::bigint), trim_scale(3 * sum(split_part(told, ' ', 3)::numeric)), 0, 0, 0) FROM ends), 'so have the counters, and nothing is held');

-- the same end said twice
SELECT pg_temp.counters() AS before \gset
SELECT is(pg_temp.settled(settled, usage), told || ', replayed', shape || ' said again is replayed') FROM ends;
SELECT is(pg_temp.completed(completed, usage || CASE WHEN jsonb_typeof(usage) = 'object' THEN '{"service_tier": "batch"}' ELSE '[]' END::jsonb), told || ', replayed', shape || ' with what is not counted, too') FROM ends;
SELECT throws_ok(format('SELECT pg_temp.settled(%L, %L)', e.settled, o.usage), 'UQ006', NULL, format('%s is not settled with %s', e.shape, o.shape))
FROM ends AS e JOIN shapes AS o ON o.shape <> e.shape AND o.receipt <> e.receipt;
SELECT throws_ok(format('SELECT pg_temp.completed(%L, ''{}'')', completed), 'UQ006', NULL, shape || ' is not completed with nothing known') FROM ends;
SELECT pg_temp.hold() AS split \gset
SELECT pg_temp.settled(:'split', '[{"prompt_tokens": 100, "completion_tokens": 10}, {"prompt_tokens": 50, "completion_tokens": 5}]');
SELECT throws_ok(format('SELECT pg_temp.settled(%L, %L)', :'split', usage), 'UQ006', NULL, usage || ': the same sum of other calls is another usage')
FROM unnest(ARRAY['{"prompt_tokens": 150, "completion_tokens": 15}', '[{"prompt_tokens": 50, "completion_tokens": 5}, {"prompt_tokens": 100, "completion_tokens": 10}]',
                  '[{"prompt_tokens": 100, "completion_tokens": 10}, {"prompt_tokens": 50, "completion_tokens": 5}, null]']) AS usage;
SELECT pg_temp.hold() AS plain, pg_temp.hold() AS counted \gset
SELECT pg_temp.settled(:'plain', '{"prompt_tokens": 100, "completion_tokens": 10}');
SELECT is((SELECT replayed FROM settle_usage(:'ada', :'plain', 100, 10)), true, 'plain usage is the same as its counts');
SELECT settle_usage(:'ada', :'counted', 100, 10);
SELECT is(pg_temp.settled(:'counted', '{"input_tokens": 100, "output_tokens": 10}'), '110 for 0.012, replayed', 'and the other way round');
SELECT is((SELECT total_token_count FROM users WHERE id = :'ada'), split_part(:'before', ' ', 2)::bigint + 165 + 110 + 110, 'none of this counts twice');

-- calls are priced one by one
SELECT pg_temp.configure('model_prices', '{"m": {"prompt": 0.000000001, "completion": 0}}');
SELECT is(pg_temp.settled(pg_temp.hold(), '{"prompt_tokens": 1200000, "completion_tokens": 0}'), '1200000 for 0.000000001', 'a call is rounded to the ninth place');
SELECT is(pg_temp.settled(pg_temp.hold(), '[{"prompt_tokens": 400000, "completion_tokens": 0}, {"prompt_tokens": 400000, "completion_tokens": 0}, {"prompt_tokens": 400000, "completion_tokens": 0}]'),
          '1200000 for 0', 'each of several by itself');
SELECT pg_temp.configure('model_prices', '{"m": {"prompt": 100, "cachedPrompt": 10, "cacheWrite": 125, "cacheWrite1h": 160, "completion": 200}, "bare": {"prompt": 100, "completion": 200}}');
SELECT is(pg_temp.settled(pg_temp.hold(1, 'bare'), '{"input_tokens": 0, "output_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 1}}'), '2 for 0.0002', 'without prices of the cache its tokens cost as the prompt');
SELECT is(pg_temp.settled(pg_temp.hold(), '{"prompt_tokens": 100, "completion_tokens": 10}', 0.5), '110 for 0.5', 'a cost that is given is charged');

-- usage that is not known
SELECT pg_temp.counters() AS before \gset
SELECT is(pg_temp.settled(pg_temp.hold(), usage), '1000 for 0.2, estimated', COALESCE(usage::text, 'NULL') || ': what was held is charged, and said')
FROM unnest(ARRAY[NULL, 'null', '{}', '[]', '[null]', '{"inputTokens": null, "outputTokens": null}', '{"inputTokenDetails": {}, "outputTokenDetails": {}}']::jsonb[]) AS usage;
SELECT is((SELECT pg_temp.told(charged_tokens, charged_cost, late, replayed, estimated) FROM settle_usage(:'ada', pg_temp.hold())), '1000 for 0.2, estimated', 'so it is where neither counts nor usage are given');
SELECT is((SELECT total_token_count FROM users WHERE id = :'ada'), split_part(:'before', ' ', 2)::bigint + 8 * 1000, 'and it is counted');
SELECT pg_temp.turn() AS unknown, pg_temp.turn() AS unknown_failed, pg_temp.turn() AS released \gset
SELECT is(pg_temp.completed(:'unknown', NULL), '1000 for 0.2, estimated', 'a turn whose use is not known');
SELECT is(pg_temp.reply(:'unknown'), 'sent answer 0 1000 1000 0.2', 'has its tokens in the completion: their kind is not known');
SELECT is(pg_temp.completed(:'unknown', NULL), '1000 for 0.2, replayed, estimated', 'said again it is replayed, and still estimated');
SELECT is(pg_temp.completed(:'unknown', '{}'), '1000 for 0.2, replayed, estimated', 'however it is said that nothing is known');
SELECT throws_ok(format('SELECT complete_turn(%L, %L, ''answer'', 0, 1000)', :'ada', :'unknown'), 'UQ006', NULL, 'the same numbers, known now, are another end');
SELECT throws_ok(format('SELECT pg_temp.completed(%L, ''{"prompt_tokens": 5}'')', :'unknown'), 'UQ006', NULL, 'so are some of them');
SELECT is((SELECT pg_temp.told(total_tokens, charged_cost, late, replayed, estimated) FROM fail_turn(:'ada', :'unknown_failed', 'cut', NULL, NULL)), '1000 for 0.2, estimated', 'a failed turn is charged its hold where NULL counts say that it may have used some');
SELECT is(pg_temp.failed(:'released', NULL), '0 for 0', 'and nothing where nothing is said');
SELECT is(pg_temp.receipt(:'released'), 'released', 'its reservation is released');
SELECT is(pg_temp.failed(pg_temp.turn(), '{"prompt_tokens": 0, "completion_tokens": 0}'), '0 for 0', 'nor where it is said that it used nothing');
SELECT is(pg_temp.failed(pg_temp.turn(), 'null'), '1000 for 0.2, estimated', 'a null that is usage is not known');
SELECT is(pg_temp.settled(pg_temp.hold(), usage), told, format('%s: what is known is charged where it is more than the hold', usage))
FROM (VALUES ('[{"prompt_tokens": 400, "completion_tokens": 0}, null]'::jsonb, '1000 for 0.2, estimated'), ('[{"prompt_tokens": 1500, "completion_tokens": 0}, null]', '1500 for 0.2, estimated'),
             ('[{"prompt_tokens": 5000, "completion_tokens": 0}, null]', '5000 for 0.5, estimated'), ('{"output_tokens": 15}', '1000 for 0.2, estimated')) AS v (usage, told);
SELECT is((SELECT pg_temp.told(charged_tokens, charged_cost, late, replayed, estimated) FROM settle_usage(:'ada', pg_temp.hold(), p, c)), told, format('counts %s and %s', p, c))
FROM (VALUES (5, NULL, '1000 for 0.2, estimated'), (NULL, 5, '1000 for 0.2, estimated'), (3000, NULL, '3000 for 0.3, estimated')) AS v (p, c, told);
SELECT is(pg_temp.settled(pg_temp.hold(), NULL, 0.7), '1000 for 0.7, estimated', 'with a cost, that is charged for it');
SELECT is(pg_temp.settled(pg_temp.hold(0), NULL), '0 for 0, estimated', 'where nothing was held, it is nothing');
SELECT reservation_id AS unpriced FROM reserve_usage(:'ada', 10, 1, 'unpriced', p_estimated_cost => 0.3) \gset
SELECT is(pg_temp.settled(:'unpriced', NULL), '10 for 0.3, estimated', 'a hold without a price costs what the application said');
SELECT reservation_id AS priced_later FROM reserve_usage(:'ada', 10) \gset
SELECT throws_ok(format('SELECT pg_temp.settled(%L, NULL)', :'priced_later'), 'UQ009', NULL, 'a hold without a price is not free');
SELECT is(pg_temp.settled(:'priced_later', NULL, 0.01), '10 for 0.01, estimated', 'it needs a cost');
SELECT reservation_id AS priced_later FROM reserve_usage(:'ada', 10) \gset
UPDATE usage_reservations SET model_used = 'unpriced' WHERE id = :'priced_later';
SELECT pg_temp.configure('model_prices', '{"m": {"prompt": 100, "completion": 200}, "unpriced": {"prompt": 1, "completion": 3}}');
SELECT is(pg_temp.settled(:'priced_later', NULL), '10 for 0.00003, estimated', 'or a price that has come since: the dearest');
SELECT pg_temp.hold(1000, 'm') AS priced_before \gset
SELECT pg_temp.configure('model_prices', '{}');
SELECT is(pg_temp.settled(:'priced_before', NULL), '1000 for 0.2, estimated', 'what the hold costs is known where the price was taken away');
SELECT pg_temp.configure('model_prices', '{"m": {"prompt": 100, "cachedPrompt": 10, "cacheWrite": 125, "completion": 200}}');
SELECT throws_ok('SELECT pg_temp.settled(pg_temp.hold(3000000000), NULL)', '22003', NULL, 'a hold that no column can take is refused');
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';
SELECT pg_temp.hold() AS late \gset
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:05:00Z';
SELECT is(pg_temp.settled(:'late', NULL), '1000 for 0.2, late, estimated', 'an expired hold is charged too');
SELECT is(pg_temp.settled(:'late', NULL), '1000 for 0.2, late, replayed, estimated', 'once');

-- what is refused leaves the turn as it was
SELECT pg_temp.turn() AS open \gset
SELECT pg_temp.counters() AS before \gset
SELECT throws_ok(format('SELECT complete_turn(%L, %L, ''answer'', %s)', :'ada', :'open', arguments), '22023', 'p_usage and counts of tokens must not both be given', arguments || ': both are given')
FROM unnest(ARRAY['1, 2, p_usage => ''{}''', '0, 0, p_usage => ''{"prompt_tokens": 1, "completion_tokens": 2}''', 'p_prompt_tokens => 1, p_usage => ''null''', 'p_completion_tokens => 1, p_usage => ''[]''',
                  'p_cached_prompt_tokens => 1, p_usage => ''{}''', 'p_cache_write_tokens => 1, p_usage => ''{}''']) AS arguments;
SELECT throws_ok(format('SELECT fail_turn(%L, %L, ''cut'', %s)', :'ada', :'open', arguments), '22023', 'p_usage and counts of tokens must not both be given', arguments || ': so it is for a turn that failed')
FROM unnest(ARRAY['1, 2, p_usage => ''{}''', 'p_completion_tokens => 1, p_usage => ''[]''']) AS arguments;
SELECT throws_ok(format('SELECT settle_usage(%L, %L, 0, 0, p_usage => ''{}'')', :'ada', pg_temp.hold()), '22023', 'p_usage and counts of tokens must not both be given', 'and for a reservation');
SELECT pg_temp.counters() AS before \gset
CREATE FUNCTION pg_temp.refusal(p_usage jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    PERFORM claude_gpt.complete_turn(pg_temp.user_id('ada'), (SELECT id FROM claude_gpt_data.usage_reservations WHERE status = 'open' AND assistant_message_id IS NOT NULL LIMIT 1), 'answer', p_usage => p_usage);
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws('; ', SQLSTATE, SQLERRM, NULLIF(detail, ''), CASE WHEN hint LIKE '%"convention"%' THEN 'say' END);
END
$$;
SELECT is(pg_temp.refusal(usage::jsonb), refusal, left(usage, 100))
FROM (VALUES ('5', '22023; p_usage is not valid; $ must be an object.'), ('"{}"', '22023; p_usage is not valid; $ must be an object.'), ('[[]]', '22023; p_usage is not valid; $[0] must be an object.'),
             ('{"tokens": 5}', '22023; p_usage is not valid; $ has no count of tokens that is known.'),
             ('{"prompt_tokens": -1, "completion_tokens": 0}', '22023; p_usage is not valid; $.prompt_tokens must be a whole number from 0 to 2147483647.'),
             ('[{}, {"prompt_tokens": "1", "completion_tokens": 0}]', '22023; p_usage is not valid; $[1].prompt_tokens must be a whole number from 0 to 2147483647.'),
             ('{"input_tokens": 1.5, "output_tokens": 0}', '22023; p_usage is not valid; $.input_tokens must be a whole number from 0 to 2147483647.'),
             ('{"input_tokens": 1e300, "output_tokens": 0}', '22023; p_usage is not valid; $.input_tokens must be a whole number from 0 to 2147483647.'),
             ('{"inputTokens": 100, "outputTokens": 10, "cachedInputTokens": 40}', '22023; p_usage is not valid; $ does not tell whether its input includes cached tokens.; say'),
             ('{"prompt_tokens": 100, "completion_tokens": 10, "cache_read_input_tokens": 40}', '22023; p_usage is not valid; $ has marks of two providers.; say'),
             ('{"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 101}}', '22023; p_usage is not valid; $ has more cached than input tokens.; say'),
             ('{"convention": "mine", "input_tokens": 100}', '22023; p_usage is not valid; $.convention must be "openai", "gemini", "ai-sdk", "anthropic" or "bedrock".'),
             (repeat('[', 100) || repeat(']', 100), '22023; p_usage is not valid; It is nested more than 32 levels deep.'),
             ('[{"prompt_tokens": 2147483647, "completion_tokens": 0}, {"prompt_tokens": 1, "completion_tokens": 0}]', '22003; p_usage has too many tokens'),
             ('{"prompt_tokens": 2147483647, "completion_tokens": 1}', '22003; a message has too many tokens')) AS v (usage, refusal);
SELECT is(pg_temp.refusal('{"prompt_tokens": 1e2, "completion_tokens": 10.0, "completion_tokens": 3.0}'), 'none', 'whole numbers are taken however they are written, and of two members the last');
SELECT is(pg_temp.receipt(:'open'), 'settled 100 3 0 0 f', 'all that was refused has left the turn as it was');
SELECT is((SELECT count(*) FROM prove_books(:'ada')), 0::bigint, 'and the books prove');

SELECT * FROM finish();
ROLLBACK;
