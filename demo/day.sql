-- An application's day with claude_gpt, played by psql in an empty UTF-8 database as a superuser:
--     PGCLIENTENCODING=UTF8 psql -X -f demo/day.sql
-- What a printed line claims is checked: the script stops with an error where it is not so. The statements that a step is about
-- are printed before what they return (ECHO); those that check, and those that set the stage, are here alone.
\set ON_ERROR_STOP on
\set QUIET on
\set dba :USER
\pset pager off
\pset footer off
\pset expanded off
\pset null '-'
-- Kept by every \connect below.
\connect -reuse-previous=on "options='-c client_min_messages=warning'"

\echo '1. The DBA creates the extension: tables, views and functions in the schema claude_gpt.'
-- Nothing runs by itself until step 19, so that each step shows what it did alone.
ALTER DATABASE :"DBNAME" SET claude_gpt.jobs = off;
-- Without the notice on the next step, which is step 2.
SET client_min_messages = error;
\set ECHO queries
CREATE EXTENSION claude_gpt;
\set ECHO none
RESET client_min_messages;
SELECT count(*) FILTER (WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition) AS tables,
       count(*) FILTER (WHERE c.relkind = 'v') AS views,
       (SELECT count(*) FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
        WHERE e.extname = 'claude_gpt' AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e') AS functions,
       (SELECT extversion FROM pg_extension WHERE extname = 'claude_gpt') AS version
FROM pg_class AS c WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) \gset
\echo '   Version' :version 'with' :tables 'tables,' :views 'views and' :functions 'functions.'

-- The demo's own tools, dropped at its end.
CREATE SCHEMA demo;
CREATE FUNCTION demo.must(p_true boolean, p_claim text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_true IS NOT TRUE THEN
        RAISE EXCEPTION 'the demo claims what is not so: %', p_claim;
    END IF;
END
$$;
-- Jobs run in processes of their own: it is looked whether they have.
CREATE FUNCTION demo.wait_until(p_condition text, p_claim text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    holds boolean := false;
BEGIN
    FOR i IN 1..900 LOOP
        EXECUTE 'SELECT ' || p_condition INTO holds;
        EXIT WHEN holds;
        PERFORM pg_sleep(0.1);
    END LOOP;
    PERFORM demo.must(holds, p_claim);
END
$$;
-- What the application does when a user asks something; played by hand in step 5.
CREATE PROCEDURE demo.chat(p_email text, p_title text, p_model text, p_question text, p_answer text,
                           p_prompt_tokens integer, p_completion_tokens integer) LANGUAGE plpgsql AS $$
DECLARE
    asker CONSTANT uuid := (SELECT id FROM users WHERE email = p_email);
    tokens CONSTANT integer := p_prompt_tokens + p_completion_tokens;
    price CONSTANT numeric := CASE p_model WHEN 'gpt-4' THEN p_prompt_tokens * 0.00003 + p_completion_tokens * 0.00006
                                           ELSE p_prompt_tokens * 0.0000005 + p_completion_tokens * 0.0000015 END;
    conversation uuid := (SELECT id FROM conversations WHERE user_id = asker AND title = p_title);
BEGIN
    IF NOT check_subscription_limit(asker) THEN
        RAISE EXCEPTION 'the demo claims what is not so: % may ask', p_email;
    END IF;
    IF conversation IS NULL THEN
        INSERT INTO conversations (user_id, title) VALUES (asker, p_title) RETURNING id INTO conversation;
    END IF;
    INSERT INTO messages (conversation_id, user_id, role, content) VALUES (conversation, asker, 'user', p_question);
    INSERT INTO messages (conversation_id, user_id, role, content, model_used, prompt_tokens, completion_tokens, total_tokens, cost)
        VALUES (conversation, asker, 'assistant', p_answer, p_model, p_prompt_tokens, p_completion_tokens, tokens, price);
    PERFORM update_user_usage(asker, 1, tokens, price);
END
$$;

\echo
\echo '2. Three roles: set_owner hands the tables to demo_owner; grant_application_access gives demo_app'
\echo '   the rights of an application, and demo_billing those of a payment service.'
SELECT format('CREATE ROLE %I LOGIN', role) FROM unnest(ARRAY['demo_owner', 'demo_app', 'demo_billing']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
\set ECHO queries
SELECT claude_gpt.set_owner('demo_owner') \g /dev/null
SELECT claude_gpt.grant_application_access('demo_app', 'application') \g /dev/null
SELECT claude_gpt.grant_application_access('demo_billing', 'billing') \g /dev/null
\set ECHO none
GRANT USAGE ON SCHEMA demo TO demo_owner, demo_app, demo_billing;
\echo '   A new database knows no prices; here they are, for a million tokens:'
\set ECHO queries
UPDATE claude_gpt_data.system_configs SET config_value = '{"gpt-4": {"prompt": 30, "completion": 60}, "gpt-3.5-turbo": {"prompt": 0.5, "completion": 1.5}}'
WHERE config_key = 'model_prices';
\set ECHO none

SELECT first::date AS new_month, (first - interval '1 day')::date AS day,
       to_char(first - interval '15 hours', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS morning
FROM date_trunc('month', now() AT TIME ZONE 'UTC') AS first \gset
ALTER DATABASE :"DBNAME" SET claude_gpt.fixed_time = :'morning';
\echo '   The setting claude_gpt.fixed_time holds the clock at' :day '- the day before a new month.'

\connect - demo_app
\echo
\echo '3. The application connects as demo_app. Ana, Bo and 陈伟 sign up and log in.'
\set ECHO queries
INSERT INTO users (email, password_hash, full_name, preferred_language)
    VALUES ('ana@example.com', '$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$YW5h', 'Ana', 'en') RETURNING id AS ana \gset
\set ECHO none
INSERT INTO users (email, password_hash, full_name, preferred_language)
    VALUES ('bo@example.com', '$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$Ym8', 'Bo', 'en') RETURNING id AS bo \gset
INSERT INTO users (email, password_hash, full_name, preferred_language)
    VALUES ('chen@example.com', '$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$Y2hlbg', '陈伟', 'zh') RETURNING id AS chen \gset
\set ECHO queries
INSERT INTO user_sessions (user_id, session_token, device_type, expires_at) VALUES
    (:'ana', 'session-ana', 'web', :'morning'::timestamptz + interval '90 days'),
    (:'bo', 'session-bo', 'ios', :'morning'::timestamptz + interval '12 hours'),
    (:'chen', 'session-chen', 'android', :'morning'::timestamptz + interval '90 days');
\set ECHO none

\connect - demo_billing
\echo
\echo '4. Bo buys the base plan for three months, 陈伟 the pro plan for a year; Ana stays on the free plan.'
\echo '   The payment service connects as demo_billing and calls set_subscription.'
\set ECHO queries
SELECT claude_gpt.set_subscription(:'bo', 'base', p_current_period_end => :'morning'::timestamptz + interval '3 months',
                                   p_subscription_id => 'sub_bo', p_event_type => 'subscription_created') \g /dev/null
SELECT claude_gpt.set_subscription(:'chen', 'pro', p_current_period_end => :'morning'::timestamptz + interval '1 year',
                                   p_subscription_id => 'sub_chen', p_event_type => 'subscription_created') \g /dev/null
\set ECHO none

\connect - demo_app
\set ECHO queries
SELECT u.full_name AS name, u.subscription_tier AS tier, u.subscription_status AS status,
       (u.subscription_current_period_end AT TIME ZONE 'UTC')::date AS paid_until,
       CASE p.messages WHEN -1 THEN 'unlimited' ELSE p.messages::text END AS messages_per_month,
       check_subscription_limit(u.id) AS may_ask
FROM users AS u
CROSS JOIN LATERAL (SELECT (c.config_value #>> ARRAY[u.subscription_tier, 'messagesPerMonth'])::integer AS messages
                    FROM system_configs AS c WHERE c.config_key = 'subscription_plans') AS p
ORDER BY u.email;
\set ECHO none
SELECT demo.must((SELECT array_agg(effective_tier(id) ORDER BY email) = '{free,base,pro}' AND bool_and(check_subscription_limit(id))
                  FROM users), 'three plans, and each admits') \g /dev/null

\echo '5. 陈伟 asks in Chinese. check_subscription_limit admits the message; question and reply are stored'
\echo '   and update_user_usage counts them, in one transaction. The conversation keeps its own counters.'
SELECT demo.must(check_subscription_limit(:'chen'), 'the pro plan admits') \g /dev/null
\set ECHO queries
BEGIN;
SELECT check_subscription_limit(:'chen');
INSERT INTO conversations (user_id, title) VALUES (:'chen', '周末去苏州') RETURNING id AS trip \gset
INSERT INTO messages (conversation_id, user_id, role, content) VALUES
    (:'trip', :'chen', 'user', '周末想带父母去苏州玩两天，有什么轻松一点的路线？');
INSERT INTO messages (conversation_id, user_id, role, content, model_used, prompt_tokens, completion_tokens, total_tokens, cost) VALUES
    (:'trip', :'chen', 'assistant', '第一天上午逛拙政园，下午去平江路听评弹；第二天去虎丘，再坐船看七里山塘。',
     'gpt-4', 38, 62, 100, 0.00486);
SELECT update_user_usage(:'chen', 1, 100, 0.00486) \g /dev/null
COMMIT;
\set ECHO none
\echo '   From here on the demo''s own procedure demo.chat does these five steps.'
\set ECHO queries
CALL demo.chat('chen@example.com', '周末去苏州', 'gpt-4', '晚上住在哪里比较方便？',
               '建议住观前街附近，离地铁和平江路都近，晚上散步也方便。', 131, 45);
SELECT title, message_count, total_tokens, total_cost::numeric(10,6) FROM conversations;
\set ECHO none
SELECT demo.must((SELECT message_count = 4 AND total_tokens = 276 AND total_cost = 0.01149 FROM conversations WHERE id = :'trip'),
                 'the conversation counts its messages') \g /dev/null

\echo '6. Bo works on his release notes, in English.'
\set ECHO queries
CALL demo.chat('bo@example.com', 'Release notes', 'gpt-4', 'Turn this list of commits into release notes for end users.',
               'Here is a draft in three groups: new, improved, fixed. Shall I shorten the first?', 412, 188);
CALL demo.chat('bo@example.com', 'Release notes', 'gpt-4', 'Yes, two lines at most.',
               'New: shared folders, and search that finds what you meant. Try both from the side bar.', 620, 26);
SELECT role, left(content, 64) || CASE WHEN length(content) > 64 THEN '...' ELSE '' END AS content, total_tokens AS tokens
FROM messages WHERE user_id = :'bo' ORDER BY created_at, id;
\set ECHO none

\echo '7. Ana bakes bread and asks a lot. The free plan has ten messages a month.'
SELECT format('CALL demo.chat(%L, %L, %L, %L, %L, %s, %s)',
              'ana@example.com', 'Sourdough', 'gpt-3.5-turbo', question, answer, 40 + 35 * n, length(answer))
FROM (VALUES
    (1, 'How do I start a sourdough starter?', 'Mix equal weights of flour and water, and feed it daily for a week.'),
    (2, 'It smells like nail polish. Is it dead?', 'No, it is hungry. Feed it twice a day until it smells of yoghurt.'),
    (3, 'When is it ready to bake with?', 'When it doubles within six hours of a feeding.'),
    (4, 'How much starter for 500 g of flour?', 'About 100 g, a fifth of the weight of the flour.'),
    (5, 'How much salt?', 'Ten grams: two percent of the flour.'),
    (6, 'My dough is very sticky.', 'Wet your hands, and fold it every half hour instead of kneading.'),
    (7, 'How long does it rise?', 'Four to six hours at 24 degrees, until it has grown by half.'),
    (8, 'Can it rise in the fridge?', 'Yes, overnight. The slow rise gives more taste.'),
    (9, 'Why is my crumb so dense?', 'It was baked too early. Let it rise longer, or somewhere warmer.'),
    (10, 'How hot should the oven be?', '250 degrees with steam for twenty minutes, then 220 without.')) AS turn (n, question, answer)
ORDER BY n \gexec
\set ECHO queries
SELECT full_name AS name, monthly_message_count AS used, check_subscription_limit(id) AS may_ask FROM users WHERE id = :'ana';
\set ECHO none
SELECT demo.must((SELECT monthly_message_count = 10 AND NOT check_subscription_limit(id) FROM users WHERE id = :'ana'),
                 'the free plan ends after ten messages') \g /dev/null
\echo '   The eleventh is refused. begin_turn says so in one row, with what the HTTP answer needs:'
\set ECHO queries
SELECT allowed, reason, used, limit_value, http_status, error_code, (retry_after_seconds / 3600) || ' hours' AS retry_after, resets_at AT TIME ZONE 'UTC' AS resets_at
FROM begin_turn(:'ana', NULL, 'And rye?', 'gpt-3.5-turbo');
\set ECHO none
SELECT demo.must(NOT d.allowed AND d.http_status = 402 AND d.retry_after_seconds = 15 * 3600, 'it is fifteen hours to the new month')
FROM begin_turn(:'ana', NULL, 'And rye?', 'gpt-3.5-turbo') AS d \g /dev/null
SELECT demo.must((SELECT count(*) = 20 FROM messages WHERE user_id = :'ana'), 'a refusal stores nothing') \g /dev/null

\echo '8. A streamed turn. Nobody knows yet how many tokens the reply takes, so begin_turn holds an estimate,'
\echo '   stores the question and an empty reply, and gives the ids. Bo asks:'
\set ECHO queries
SELECT conversation_id AS chat, reservation_id AS turn, assistant_message_id AS reply, to_char(expires_at - :'morning'::timestamptz, 'FMMI" minutes:"') AS held_for
FROM begin_turn(:'bo', NULL, 'Name the new feature: folders that several people share.', 'gpt-4', p_estimated_tokens => 900) \gset
\set ECHO none
\echo '   While the model answers, his quota says what is used and what is held for' :held_for
\echo '   (cost in millionths of the currency: 54000 are 0.054)'
\set ECHO queries
SELECT action, limit_value, used, held, remaining FROM quota_status(:'bo');
\set ECHO none
SELECT demo.must((SELECT held = 1 FROM quota_status(:'bo') WHERE action = 'message'), 'a message is held') \g /dev/null
\set ECHO queries
SELECT save_partial(:'bo', :'turn', 'Common Ground, or') \g /dev/null
SELECT 'streaming' AS then, role, content, status FROM messages WHERE conversation_id = :'chat' ORDER BY created_at;
\set ECHO none
\echo '   complete_turn stores the reply and settles: 48 + 21 tokens at the price of the model.'
\set ECHO queries
SELECT total_tokens, charged_cost::numeric(10,6) AS charged_cost, late, replayed
FROM complete_turn(:'bo', :'turn', 'Common Ground, or plainly: shared folders.', p_prompt_tokens => 48, p_completion_tokens => 21);
\set ECHO none
SELECT demo.must((SELECT charged_cost = 0.0027 AND replayed FROM complete_turn(:'bo', :'turn', 'Common Ground, or plainly: shared folders.', 48, 21)),
                 'a repeated call charges nothing') \g /dev/null
\echo '   The hold has become usage; 0.0027 more are 2700 millionths more.'
\set ECHO queries
SELECT action, limit_value, used, held, remaining FROM quota_status(:'bo');
\set ECHO none
SELECT demo.must((SELECT used = 3 AND held = 0 FROM quota_status(:'bo') WHERE action = 'message'), 'the hold became usage') \g /dev/null

\echo '9. Too fast. A login page may try a password five times a minute for each address (rate_limit, in shared memory):'
\set ECHO queries
SELECT attempt, r.allowed, r.remaining, r.retry_after_seconds, r.http_status
FROM unnest(array_fill('login from 203.0.113.7'::text, '{7}')) WITH ORDINALITY AS t (key, attempt), LATERAL rate_limit(t.key, 5, '1 minute') AS r;
\set ECHO none
SELECT demo.must((SELECT NOT allowed AND retry_after_seconds = 12 FROM rate_limit('login from 203.0.113.7', 5, '1 minute')),
                 'the next try is in twelve seconds') \g /dev/null

\echo '10. A bug in the application tries to give her the pro plan. The database refuses:'
\set ON_ERROR_STOP off
\set ECHO queries
UPDATE users SET subscription_tier = 'pro' WHERE email = 'ana@example.com';
\set ECHO none
\set ON_ERROR_STOP on
\echo '   SQLSTATE' :SQLSTATE
SELECT demo.must(:'SQLSTATE' = '42501', 'a tier is not for the application to write') \g /dev/null
SELECT demo.must((SELECT subscription_tier = 'free' FROM users WHERE id = :'ana'), 'Ana is on the free plan still') \g /dev/null
\set ECHO queries
UPDATE users SET full_name = 'Ana Lima' WHERE id = :'ana';
\set ECHO none
SELECT demo.must((SELECT full_name = 'Ana Lima' FROM users WHERE id = :'ana'), 'the application may edit a profile') \g /dev/null
\echo '   Her profile is the application''s to edit: she is "Ana Lima" now.'
\set ECHO queries
UPDATE user_sessions SET is_active = false WHERE session_token = 'session-chen';
\set ECHO none
\echo '   陈伟 logs out for the night.'

\connect - :"dba"
ALTER DATABASE :"DBNAME" RESET claude_gpt.fixed_time;
\connect - demo_app
\echo
\echo '11. The clock runs again, and a new month has begun on' :new_month
\echo '   No job has run, yet the door is open again. Ana asks:'
SELECT demo.must(current_billing_period() = :'new_month', 'it is the new month') \g /dev/null
SELECT demo.must((SELECT monthly_message_count = 0 AND total_message_count = 10 FROM user_statistics WHERE id = :'ana'),
                 'last month counts no more') \g /dev/null
CALL demo.chat('ana@example.com', 'Sourdough', 'gpt-3.5-turbo', 'It worked! How do I keep it fresh?',
               'Cut side down on a board for two days, then sliced in the freezer.', 395, 17);
\set ECHO queries
SELECT full_name AS name, monthly_message_count AS this_month, total_message_count AS in_total FROM users WHERE id = :'ana';
\set ECHO none
SELECT demo.must((SELECT monthly_message_count = 1 AND total_message_count = 11 FROM users WHERE id = :'ana'),
                 'the month is counted anew') \g /dev/null

\echo '12. Sessions of the day before: cleanup_expired_sessions deletes what expired (Bo''s was for twelve hours) or logged out.'
\set ECHO queries
SELECT u.full_name AS name, s.device_type AS device,
       CASE WHEN NOT s.is_active THEN 'logged out' WHEN s.expires_at < clock_timestamp() THEN 'expired' ELSE 'live' END AS session
FROM user_sessions AS s JOIN users AS u ON u.id = s.user_id ORDER BY u.email;
SELECT cleanup_expired_sessions() AS deleted \gset
\set ECHO none
\echo '    Deleted:' :deleted
SELECT demo.must(:deleted = 2 AND (SELECT array_agg(session_token::text) = '{session-ana}' FROM user_sessions),
                 'the live session stays') \g /dev/null

\connect - :"dba"
\echo
\echo '13. If Bo does not renew: the test clock looks ahead, in one session of a superuser. The setting'
\echo '    subscription_grace in system_configs allows three days.'
SELECT to_char(ends - interval '1 day', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS paid, (ends - interval '1 day')::date AS paid_date,
       to_char(ends + interval '2 days', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS grace, (ends + interval '2 days')::date AS grace_date,
       to_char(ends + interval '4 days', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS lapsed, (ends + interval '4 days')::date AS lapsed_date
FROM (SELECT subscription_current_period_end AT TIME ZONE 'UTC' AS ends FROM claude_gpt_data.users WHERE id = :'bo') AS u \gset
\set ECHO queries
SET claude_gpt.fixed_time = :'paid';
SELECT claude_gpt.effective_tier(:'bo') AS served_as \gset
\set ECHO none
\echo '   ' :paid_date '  a day before the paid period ends   effective_tier:' :served_as
SELECT demo.must(:'served_as' = 'base', 'a paid period counts') \g /dev/null
\set ECHO queries
SET claude_gpt.fixed_time = :'grace';
SELECT claude_gpt.effective_tier(:'bo') AS served_as \gset
\set ECHO none
\echo '   ' :grace_date '  two days after it, in grace         effective_tier:' :served_as
SELECT demo.must(:'served_as' = 'base', 'grace lasts three days') \g /dev/null
\set ECHO queries
SET claude_gpt.fixed_time = :'lapsed';
SELECT claude_gpt.effective_tier(:'bo') AS served_as \gset
\set ECHO none
\echo '   ' :lapsed_date '  four days after it: lapsed          effective_tier:' :served_as
SELECT demo.must(:'served_as' = 'free', 'then the subscription lapses') \g /dev/null
RESET claude_gpt.fixed_time;

\connect - demo_owner
SET search_path TO claude_gpt_data, claude_gpt, public;
\echo
\echo '14. The owner of the tables changes the free plan, a row of system_configs. The next call sees it.'
SELECT demo.must(check_subscription_limit(:'ana'), 'one of ten is used') \g /dev/null
\echo '    10 messages a month, of which Ana has used one    she may ask'
\set ECHO queries
UPDATE system_configs SET config_value = jsonb_set(config_value, '{free,messagesPerMonth}', '1') WHERE config_key = 'subscription_plans';
\set ECHO none
SELECT demo.must(NOT check_subscription_limit(:'ana'), 'one of one is used') \g /dev/null
\echo '     1 message a month                                she is refused'
\set ECHO queries
UPDATE system_configs SET config_value = jsonb_set(config_value, '{free,messagesPerMonth}', '20') WHERE config_key = 'subscription_plans';
\set ECHO none
SELECT demo.must(check_subscription_limit(:'ana'), 'one of twenty is used') \g /dev/null
\echo '    20 messages a month                               she may ask'

\echo
\echo '15. A slip in a plan could lock everybody out. It is refused, and the detail names the place:'
\set ON_ERROR_STOP off
\set ECHO queries
UPDATE system_configs
SET config_value = jsonb_set(config_value, '{base,messagesPerMonth}', '"lots"')
WHERE config_key = 'subscription_plans';
\set ECHO none
\set ON_ERROR_STOP on
\echo '   SQLSTATE' :SQLSTATE
SELECT demo.must(:'SQLSTATE' = '22023', 'a bad plan is refused') \g /dev/null
SELECT demo.must((SELECT config_value #> '{base,messagesPerMonth}' = '100' FROM system_configs WHERE config_key = 'subscription_plans'),
                 'the base plan is as it was') \g /dev/null

\connect - demo_app
\echo
\echo '16. The view user_statistics: what each user has, and has used.'
\set ECHO queries
SELECT email, subscription_tier AS tier, monthly_message_count AS this_month, total_message_count AS in_total,
       conversation_count AS conversations, total_messages AS messages, total_cost::numeric(10,6) AS cost
FROM user_statistics ORDER BY email;
\set ECHO none

\echo '17. The view conversation_summary: each conversation with its newest message.'
\set ECHO queries
SELECT title, message_count AS messages, total_tokens AS tokens,
       left(last_message_content, 40) || CASE WHEN length(last_message_content) > 40 THEN '...' ELSE '' END AS last_message
FROM conversation_summary ORDER BY last_message_at;
\set ECHO none
SELECT demo.must((SELECT bool_and(s.last_message_content = (SELECT m.content FROM messages AS m WHERE m.conversation_id = s.id
                                                            ORDER BY m.created_at DESC, m.id DESC LIMIT 1))
                  FROM conversation_summary AS s), 'the newest message is shown') \g /dev/null

\echo '18. The ledger in usage_records says the same as the counters of the users, month by month.'
\set ECHO queries
SELECT u.email, r.billing_period AS month, r.usage_type AS type, sum(r.quantity) AS quantity, sum(r.cost)::numeric(10,6) AS cost
FROM usage_records AS r JOIN users AS u ON u.id = r.user_id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
\set ECHO none
SELECT demo.must(
    (SELECT count(*) = 3 AND bool_and(
                u.total_message_count = l.messages AND u.total_token_count = l.tokens AND u.total_cost = l.cost
                AND u.total_token_count = c.tokens AND u.total_cost = c.cost AND 2 * u.total_message_count = c.messages)
     FROM users AS u
     JOIN (SELECT user_id, sum(quantity) FILTER (WHERE usage_type = 'message') AS messages,
                  sum(quantity) FILTER (WHERE usage_type = 'token') AS tokens, sum(cost) AS cost
           FROM usage_records GROUP BY user_id) AS l ON l.user_id = u.id
     JOIN (SELECT user_id, sum(message_count) AS messages, sum(total_tokens) AS tokens, sum(total_cost) AS cost
           FROM conversations GROUP BY user_id) AS c ON c.user_id = u.id),
    'users, ledger and conversations agree') \g /dev/null

\connect - :"dba"
\echo '    prove_books computes every counter and hold anew, and finds no difference:'
\set ECHO queries
SELECT * FROM claude_gpt.prove_books();
\set ECHO none
SELECT demo.must(NOT EXISTS (SELECT FROM claude_gpt.prove_books()), 'every counter is proved') \g /dev/null

\echo
\echo '19. The database keeps itself: workers visit it and run jobs, each a row of the table jobs. All day that was'
\echo '    switched off here (ALTER DATABASE ... SET claude_gpt.jobs = off). Now a worker comes: jobs that find nothing'
\echo '    to do only look, and write nothing. Five sessions that have expired lie there for it, and every job is due now:'
ALTER DATABASE :"DBNAME" RESET claude_gpt.jobs;
\set ECHO queries
INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, device_type, expires_at)
SELECT :'ana', 'forgotten-' || n, 'web', now() - interval '1 day' FROM generate_series(1, 5) AS n;
UPDATE claude_gpt_data.jobs SET next_run_at = now();
\set ECHO none
SELECT demo.wait_until($$count(*) = 2 FROM claude_gpt_data.job_status
    WHERE name IN ('monthly_reset', 'session_cleanup') AND last_engine = 'worker' AND last_outcome = 'succeeded' AND NOT EXISTS (SELECT FROM claude_gpt_data.job_status WHERE lateness_seconds > 0)$$,
    'the worker ran two jobs') \g /dev/null
\set ECHO queries
SELECT name, run_every_seconds, last_engine AS ran_by, last_outcome AS outcome, last_row_count AS rows, last_looked_at IS NOT NULL AS has_looked,
       failures_in_a_row AS failures
FROM claude_gpt_data.job_status ORDER BY last_outcome, name;
\set ECHO none
SELECT demo.must((SELECT count(*) = 1 FROM claude_gpt_data.user_sessions), 'the live session stays') \g /dev/null
SELECT demo.must((SELECT bool_and(monthly_reset_date >= :'new_month') FROM claude_gpt_data.users), 'everybody is in the new month') \g /dev/null

SELECT count(*) = 1 AS has_pg_cron FROM pg_available_extensions WHERE name = 'pg_cron' AND current_setting('cron.database_name', true) = current_database() \gset
\if :has_pg_cron
\echo '20. Or pg_cron runs them: schedule_with_pg_cron hands the jobs over.'
CREATE EXTENSION pg_cron;
\set ECHO queries
SELECT * FROM claude_gpt.schedule_with_pg_cron() ORDER BY active DESC, job_name;
\set ECHO none
\echo '    Three more sessions that have expired, for pg_cron to find:'
\set ECHO queries
INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, device_type, expires_at)
SELECT :'ana', 'forgotten-' || n, 'web', now() - interval '1 day' FROM generate_series(1, 3) AS n;
\set ECHO none
-- Every minute, so that nobody waits for the hour.
SELECT cron.alter_job(jobid, schedule => '* * * * *') FROM cron.job WHERE command LIKE '%session\_cleanup%' \g /dev/null
SELECT ceil(60 - extract(second FROM clock_timestamp())) AS seconds \gset
\echo '    pg_cron wakes at the next full minute: the demo waits for it, about' :seconds 'seconds ...'
SELECT demo.wait_until($$(SELECT last_engine = 'pg_cron' AND last_outcome = 'succeeded' FROM claude_gpt_data.job_status WHERE name = 'session_cleanup')$$,
                       'pg_cron ran the job') \g /dev/null
\set ECHO queries
SELECT job_name, engine AS ran_by, outcome, row_count AS rows FROM claude_gpt_data.job_runs WHERE job_name = 'session_cleanup' ORDER BY started_at;
SELECT claude_gpt.unschedule_pg_cron() AS taken_back \gset
\set ECHO none
\echo '    unschedule_pg_cron took back' :taken_back 'entries: the workers run the jobs again.'
SELECT demo.must((SELECT bool_and(engine = 'worker') FROM claude_gpt_data.jobs), 'the worker runs all jobs again') \g /dev/null
\else
\echo '20. pg_cron is not installed here: it could run the jobs too (schedule_with_pg_cron).'
\endif
\echo
\echo '21. Is all well? health() says so, with a hint for what is not; metrics() counts what was decided, as Prometheus names it.'
SET claude_gpt.jobs = on;
\pset format wrapped
\pset columns 120
\set ECHO queries
SELECT check_name, status, detail FROM claude_gpt.health();
\set ECHO none
\pset format aligned
SELECT demo.must((SELECT count(*) = 0 FROM claude_gpt.health() WHERE status = 'critical'), 'nothing is critical') \g /dev/null
\set ECHO queries
SELECT m.labels ->> 'function' AS function, m.labels ->> 'reason' AS reason, m.value AS denials
FROM claude_gpt.metrics('claude_gpt_denials_total') AS m WHERE m.value > 0 ORDER BY 1, 2;
\set ECHO none
SELECT demo.must((SELECT sum(m.value) > 0 FROM claude_gpt.metrics('claude_gpt_denials_total') AS m), 'denials were counted') \g /dev/null
DROP SCHEMA demo CASCADE;
\echo 'The day is over. What it claims was checked on the way.'
