-- The same rows for both schemas, ids included. Variables: schema, users, is_ours. Needs texts.sql.
-- Each user has 2 conversations, 20 messages and 20 usage records; one more user, the last, is the heavy
-- one: 200 conversations, 4000 messages, 4000 usage records. The id of the n-th row is the md5 of n, with
-- the kind of row before it, except for users.
SET search_path = :schema, public;
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
SET timezone = 'UTC';
SELECT setseed(0.1) \g /dev/null

-- The counters that only our users have.
\if :is_ours
\set counters ', monthly_token_count, monthly_cost, total_token_count, total_cost'
\set counts ', n % 8 * 80, n % 8 * 0.002, messages / 2 * 80, messages / 2 * 0.002'
\else
\set counters ''
\set counts ''
\endif

-- Active today and counted this month already: what is measured are not a user's first calls.
INSERT INTO users (id, email, password_hash, full_name, stripe_customer_id, subscription_id, subscription_tier,
    subscription_status, subscription_current_period_end, monthly_message_count, monthly_reset_date,
    total_message_count, last_login_at, last_active_at, created_at, updated_at :counters)
SELECT md5(n::text)::uuid, 'user' || n || '@example.com', repeat(md5(n::text), 2), 'User Number ' || n,
    'cus_' || md5('cus' || n), 'sub_' || md5('sub' || n), (ARRAY['free', 'free', 'free', 'base', 'pro'])[1 + n % 5],
    'active', now() + interval '20 days', n % 8, date_trunc('month', now())::date, messages,
    now() - interval '1 day', now(), now() - random() * interval '300 days', now() :counts
FROM generate_series(1, :users + 1) AS n, LATERAL (SELECT CASE WHEN n > :users THEN 4000 ELSE 20 END AS messages) AS m;

INSERT INTO conversations (id, user_id, title, message_count, total_tokens, total_cost, is_archived, created_at,
    updated_at, last_message_at)
SELECT md5('conversation' || n)::uuid, md5(LEAST((n + 1) / 2, :users + 1)::text)::uuid, 'Conversation ' || n, messages,
    messages * 80, messages * 0.002, n % 20 = 0, now() - interval '310 days' + n * interval '1 millisecond', now(),
    now() - interval '1 day'
FROM generate_series(1, :users * 2 + 200) AS n, LATERAL (SELECT CASE WHEN n > :users * 2 THEN 20 ELSE 10 END AS messages) AS m;

-- The rows that follow are right as they are: no foreign key is looked up and no counter moved. Secondary
-- indexes are built after them.
SET session_replication_role = replica;
CREATE TEMP TABLE built_later AS
SELECT c.relname, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid IN ('messages'::regclass, 'usage_records'::regclass)
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid);
SELECT format('DROP INDEX %I', relname) FROM built_later \gexec

-- User n writes in conversations 2n - 1 and 2n, all in the order of time.
INSERT INTO messages (id, conversation_id, user_id, role, content, model_used, prompt_tokens, completion_tokens,
    total_tokens, cost, created_at, updated_at)
SELECT md5('message' || n)::uuid,
    md5('conversation' || CASE WHEN n > :users * 20 THEN :users * 2 + 1 + n % 200 ELSE 1 + n % (:users * 2) END)::uuid,
    md5((CASE WHEN n > :users * 20 THEN :users + 1 ELSE 1 + n % (:users * 2) / 2 END)::text)::uuid,
    CASE WHEN n / (:users * 2) % 2 = 0 THEN 'user' ELSE 'assistant' END, t.english, 'gpt-4', 20, 60, 80, 0.002,
    now() - interval '300 days' + n * (interval '299 days' / (:users * 20 + 4000)), now()
FROM generate_series(1, :users * 20 + 4000) AS n JOIN bench.texts AS t ON t.number = 1 + n % 20000;

INSERT INTO usage_records (id, user_id, usage_type, quantity, model_used, cost, created_at)
SELECT md5('record' || n)::uuid, md5((CASE WHEN n > :users * 20 THEN :users + 1 ELSE 1 + n % :users END)::text)::uuid,
    CASE WHEN n / :users % 2 = 0 THEN 'message' ELSE 'token' END, CASE WHEN n / :users % 2 = 0 THEN 1 ELSE 80 END,
    'gpt-4', CASE WHEN n / :users % 2 = 0 THEN 0 ELSE 0.002 END,
    now() - interval '60 days' + n * (interval '60 days' / (:users * 20 + 4000))
FROM generate_series(1, :users * 20 + 4000) AS n;

-- Turns of the last days, one of each user: over an empty table the statements of a turn would be planned to read it whole.
\if :is_ours
INSERT INTO usage_reservations (id, user_id, status, message_count, token_count, model_used, created_at, expires_at, closed_at,
    prompt_tokens, completion_tokens, charged_cost, was_late, has_failed)
SELECT md5('reservation' || n)::uuid, md5(n::text)::uuid, 'settled', 1, 80, 'gpt-4', m.moment, m.moment + interval '5 minutes',
    m.moment + interval '20 seconds', 20, 60, 0.002, false, false
FROM generate_series(1, :users) AS n, LATERAL (SELECT now() - n * (interval '6 days' / :users) AS moment) AS m;
\endif

SELECT replace(definition, ' ON ONLY ', ' ON ') FROM built_later \gexec
RESET session_replication_role;
