-- Rows are read and written directly, or by SPI where something on a table has an effect that only the executor brings
-- about. Each obstacle is put in the way: health() names it, and every call answers and leaves behind what it does by SPI.
BEGIN;
\ir prelude.psql
SET LOCAL claude_gpt.fixed_time = '2026-11-23T10:00:00Z';
SELECT * FROM no_plan();

SELECT pg_temp.new_user('reader') AS reader, pg_temp.new_user('payer', 'pro') AS payer \gset
UPDATE users SET monthly_reset_date = '2026-11-01', monthly_message_count = 3, total_message_count = 3, monthly_cost = 0.25, total_cost = 0.25,
    subscription_status = 'active', subscription_current_period_end = '2026-12-01Z' WHERE email LIKE 'payer@%';

-- The calls: each is made both ways from the same rows.
CREATE TEMPORARY TABLE calls (name text, statement text);
INSERT INTO calls
SELECT format(c.name, u.name), format(c.statement, u.id)
FROM (VALUES ('check_subscription_limit of %s', 'SELECT claude_gpt.check_subscription_limit(%L)'), ('effective_tier of %s', 'SELECT claude_gpt.effective_tier(%L)'),
             ('quota_status of %s', 'SELECT array_agg(q::text) FROM claude_gpt.quota_status(%L) AS q'), ('check_rate_limit of %s', 'SELECT allowed FROM claude_gpt.check_rate_limit(%L, 0)')) AS c (name, statement),
     (VALUES ('a reader', :'reader'), ('a payer', :'payer'), ('nobody', '00000000-0000-4000-8000-00000000dead')) AS u (name, id);

-- What the call answers, or its error, and the rows that it leaves; then all is taken back.
CREATE FUNCTION pg_temp.outcome(p_statement text, p_direct boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    said text;
    explained text;
BEGIN
    PERFORM set_config('claude_gpt.direct_access', p_direct::text, true);
    BEGIN
        EXECUTE p_statement INTO answer;
        RAISE SQLSTATE 'ZZZZZ' USING MESSAGE = concat_ws(' / ', answer,
            (SELECT string_agg(u::text, ' ' ORDER BY u.id) FROM claude_gpt_data.users AS u),
            (SELECT string_agg((to_jsonb(r) - 'id')::text, ' ' ORDER BY r.id) FROM claude_gpt_data.usage_records AS r));
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, explained = PG_EXCEPTION_DETAIL;
        RETURN concat_ws(': ', SQLSTATE, said, explained);
    END;
END
$$;

-- Both ways of all calls, and what health() says.
CREATE FUNCTION pg_temp.same_both_ways(p_what text, p_health text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL claude_gpt.direct_access = on;
    RETURN NEXT is((SELECT string_agg(format('%s: %s', c.name, pg_temp.outcome(c.statement, true)), E'\n' ORDER BY c.name) FROM calls AS c),
                   (SELECT string_agg(format('%s: %s', c.name, pg_temp.outcome(c.statement, false)), E'\n' ORDER BY c.name) FROM calls AS c),
                   p_what || ': both ways are the same');
    SET LOCAL claude_gpt.direct_access = on;
    IF p_health IS NULL THEN
        RETURN;  -- which needs the tables as they are
    END IF;
    RETURN NEXT is((SELECT h.status || ': ' || h.detail FROM claude_gpt.health() AS h WHERE h.check_name = 'direct_access'), 'ok: ' || p_health, p_what || ': health says which way');
END
$$;

-- That it is the direct way at all: no plan for the row of a user has been made in this session before.
CREATE FUNCTION pg_temp.plans_of_users() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource' AND ident LIKE 'SELECT t.subscription_tier,%FROM claude_gpt_data.users AS t%'
$$;
SELECT check_subscription_limit(:'reader'), effective_tier(:'reader'), check_rate_limit(:'reader') \g /dev/null
SELECT is(pg_temp.plans_of_users(), 0::bigint, 'directly: no statement reads the user');
SET LOCAL claude_gpt.direct_access = off;
SELECT check_subscription_limit(:'reader') \g /dev/null
SELECT is(pg_temp.plans_of_users(), 1::bigint, 'by SPI: one does');

SELECT pg_temp.same_both_ways('a fresh table', 'directly: users read');

SAVEPOINT obstacle;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
SELECT pg_temp.same_both_ways('row security, which the owner passes', 'directly: users read');
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY none ON users USING (false);
SELECT pg_temp.same_both_ways('row security forced on the owner', 'by SPI: users read (row security is forced on its owner)');
ROLLBACK TO obstacle;

CREATE TABLE public.heirs () INHERITS (claude_gpt_data.users);
SELECT pg_temp.same_both_ways('a table that inherits', 'by SPI: users read (tables inherit from it)');
ROLLBACK TO obstacle;

ALTER TABLE users RENAME TO accounts;
CREATE VIEW users AS SELECT * FROM accounts;
SELECT pg_temp.same_both_ways('a view', 'by SPI: users read (it is no plain table)');
ROLLBACK TO obstacle;

ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE;
SELECT pg_temp.same_both_ways('no primary key', 'by SPI: users read (its primary key is missing or another)');
ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY (id, email);
SELECT pg_temp.same_both_ways('another primary key', 'by SPI: users read (its primary key is missing or another)');
ALTER TABLE users DROP CONSTRAINT users_pkey, ADD CONSTRAINT users_pkey PRIMARY KEY (id) DEFERRABLE;
SELECT pg_temp.same_both_ways('a deferrable primary key', 'by SPI: users read (its primary key is missing or another)');
ROLLBACK TO obstacle;

DROP VIEW plan_usage, user_statistics CASCADE;
ALTER TABLE users ALTER COLUMN monthly_message_count TYPE bigint;
SELECT pg_temp.same_both_ways('a wider column', 'by SPI: users read (column "monthly_message_count" is of type bigint)');
ALTER TABLE users ALTER COLUMN monthly_message_count TYPE smallint;
SELECT pg_temp.same_both_ways('a column of another type', NULL);
ROLLBACK TO obstacle;

ALTER TABLE users DROP COLUMN held_cost CASCADE;
SELECT pg_temp.same_both_ways('a column that is missing', 'by SPI: users read (column "held_cost" is missing)');
ROLLBACK TO obstacle;

ALTER TABLE users ALTER COLUMN monthly_message_count DROP NOT NULL;
UPDATE users SET monthly_message_count = NULL;
SELECT pg_temp.same_both_ways('NULL where a value is kept', 'directly: users read');
ROLLBACK TO obstacle;

-- Columns in another order, as a table that was made anew has them, some of them absent from the older rows.
ALTER TABLE users RENAME COLUMN held_message_count TO old_count;
ALTER TABLE users ADD COLUMN held_message_count integer NOT NULL DEFAULT 2;
SELECT pg_temp.same_both_ways('a column at another place, with a default for older rows', 'directly: users read');
ROLLBACK TO obstacle;

CREATE ROLE owner_of_direct_access;
SELECT set_owner('owner_of_direct_access');
SELECT pg_temp.same_both_ways('an owner who is no superuser', 'directly: users read');
REVOKE SELECT ON users FROM owner_of_direct_access;
SET LOCAL claude_gpt.direct_access = on;
SELECT is((SELECT string_agg(d.table_name || ' ' || d.operation || ': ' || d.obstacle, ', ') FROM direct_access() AS d WHERE d.table_name = 'users' AND d.operation = 'read'),
          'users read: its owner has taken a right on it from himself', 'an owner without SELECT: by SPI');
SELECT is(pg_temp.outcome(c.statement, true), pg_temp.outcome(c.statement, false), 'an owner without SELECT: ' || c.name) FROM calls AS c;
SELECT throws_ok(format('SELECT check_subscription_limit(%L)', :'reader'), '42501', NULL, 'and is refused');
ALTER ROLE owner_of_direct_access SUPERUSER;
SELECT lives_ok(format('SELECT check_subscription_limit(%L)', :'reader'), 'until he becomes a superuser');
ALTER ROLE owner_of_direct_access NOSUPERUSER;
SELECT throws_ok(format('SELECT check_subscription_limit(%L)', :'reader'), '42501', NULL, 'and again when he is none any more');
ROLLBACK TO obstacle;

SET LOCAL claude_gpt.direct_access = off;
SELECT is((SELECT h.detail FROM health() AS h WHERE h.check_name = 'direct_access'), 'by SPI: users read (claude_gpt.direct_access is off)', 'the setting turns it off');
SELECT is((SELECT context FROM pg_settings WHERE name = 'claude_gpt.direct_access'), 'superuser', 'which a superuser may');

SELECT * FROM finish();
ROLLBACK;
