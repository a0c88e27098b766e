-- Rows are read and written directly, or by SPI where something on a table has an effect that only the executor brings
-- about. Each obstacle is put in the way: health() names it, and every call answers and leaves behind what it does by SPI.
BEGIN;
\ir prelude.psql
SET LOCAL claude_gpt.fixed_time = '2026-11-23T10:00:00Z';
SET LOCAL claude_gpt.direct_access = on;
SELECT * FROM no_plan();

SELECT pg_temp.new_user('reader') AS reader, pg_temp.new_user('payer', 'pro') AS payer \gset
UPDATE users SET monthly_reset_date = '2026-11-01', monthly_message_count = 3, total_message_count = 3, monthly_cost = 0.25, total_cost = 0.25,
    subscription_status = 'active', subscription_current_period_end = '2026-12-01Z' WHERE email LIKE 'payer@%';

SELECT pg_temp.new_user('holder') AS holder, pg_temp.new_user('lapsed') AS lapsed, pg_temp.new_user('ahead') AS ahead, pg_temp.new_user('full') AS full \gset
SELECT reservation_id FROM reserve_usage(:'holder', 50, p_ttl => '1 minute') \g /dev/null
UPDATE users SET monthly_reset_date = '2026-08-01', monthly_message_count = 8, total_message_count = 9, monthly_token_count = 7, monthly_api_call_count = 2, monthly_cost = 3, total_cost = 4 WHERE id = :'lapsed';
UPDATE users SET monthly_reset_date = '2027-02-01', last_active_at = '2027-01-01Z' WHERE id = :'ahead';
UPDATE users SET monthly_message_count = 10, monthly_token_count = 9223372036854775800 WHERE id = :'full';

-- A conversation of each: a question, and a reply to it.
CREATE FUNCTION pg_temp.id_of(p_user_id uuid, p_what text) RETURNS uuid LANGUAGE sql AS $$SELECT md5(p_user_id::text || p_what)::uuid$$;
INSERT INTO conversations (id, user_id) SELECT pg_temp.id_of(id, 'conversation'), id FROM users;
INSERT INTO messages (id, conversation_id, user_id, role, content, parent_message_id, created_at)
SELECT pg_temp.id_of(u.id, r.role), pg_temp.id_of(u.id, 'conversation'), u.id, r.role, 'what was said', pg_temp.id_of(u.id, r.parent), r.said_at
FROM users AS u, (VALUES ('user', NULL, '2026-11-22Z'::timestamptz), ('assistant', 'user', '2026-11-22 00:00:01Z')) AS r (role, parent, said_at);

-- The calls: each is made both ways from the same rows.
CREATE TEMPORARY TABLE calls (name text, statement text);
INSERT INTO calls
SELECT format('%s of %s', c.name, u.name), replace(replace(replace(c.statement, 'ID', quote_literal(u.id)), 'CONVERSATION', quote_literal(pg_temp.id_of(u.id::uuid, 'conversation'))), 'ASKED', quote_literal(pg_temp.id_of(u.id::uuid, 'user')))
FROM (VALUES ('check_subscription_limit', 'SELECT claude_gpt.check_subscription_limit(ID)'), ('effective_tier', 'SELECT claude_gpt.effective_tier(ID)'),
             ('quota_status', 'SELECT array_agg(q::text) FROM claude_gpt.quota_status(ID) AS q'), ('check_rate_limit', 'SELECT allowed FROM claude_gpt.check_rate_limit(ID, 0)'),
             ('consume_quota', 'SELECT claude_gpt.consume_quota(ID)'), ('consume_quota of tokens', $$SELECT claude_gpt.consume_quota(ID, 'token', 100, 'gpt-3.5-turbo')$$),
             ('consume_quota of calls', $$SELECT claude_gpt.consume_quota(ID, 'api_call', 3)$$), ('consume_quota with a key', $$SELECT claude_gpt.consume_quota(ID, p_idempotency_key => 'k')$$),
             ('consume_quota of a model', $$SELECT claude_gpt.consume_quota(ID, 'message', 1, 'gpt-4')$$), ('consume_quota of too many', $$SELECT claude_gpt.consume_quota(ID, 'message', 3000000000)$$),
             ('update_user_usage', 'SELECT claude_gpt.update_user_usage(ID, 1, 80, 0.0016)'), ('update_user_usage for nothing', 'SELECT claude_gpt.update_user_usage(ID, 0, 0, 0)'),
             ('update_user_usage of a cost', 'SELECT claude_gpt.update_user_usage(ID, 0, 0, 12345678.1234567894)'), ('update_user_usage of more than fits', 'SELECT claude_gpt.update_user_usage(ID, 2147483647, 2147483647, 99999999999.5)'),
             ('record_usage', $$SELECT (claude_gpt.record_usage(ID, 'token', 5, 'gpt-4', 0.25, p_metadata => '{"a": [1, 2]}')).replayed$$), ('record_usage of a message', $$SELECT (claude_gpt.record_usage(ID, 'message', 1)).replayed$$),
             ('two calls', 'SELECT claude_gpt.consume_quota(ID), claude_gpt.consume_quota(ID), claude_gpt.update_user_usage(ID, 1, 1, 1)'),
             ('calls in one statement for a row', 'SELECT count(c.*) FROM generate_series(1, 3) AS n, LATERAL claude_gpt.consume_quota(ID, ''message'', n) AS c'),
             ('reserve_usage', $$SELECT (claude_gpt.reserve_usage(ID, 20)).allowed$$),
             ('settling', $$SELECT claude_gpt.settle_usage(ID, r.reservation_id, 3, 4, 0.5) FROM claude_gpt.reserve_usage(ID, 20) AS r$$),
             ('releasing', $$SELECT claude_gpt.release_usage(ID, r.reservation_id) FROM claude_gpt.reserve_usage(ID, 20) AS r$$),
             ('begin_turn', $$SELECT (claude_gpt.begin_turn(ID, CONVERSATION, 'a question', 'gpt-3.5-turbo', 30, p_metadata => '{"a": 1}', p_parts => '[{"b": []}]')).allowed$$),
             ('begin_turn in a new conversation', $$SELECT (claude_gpt.begin_turn(ID, NULL, 'a question', 'gpt-3.5-turbo', 30)).allowed$$),
             ('a question asked in another way', $$SELECT (claude_gpt.begin_turn(ID, CONVERSATION, 'a question', 'gpt-3.5-turbo', 30, ASKED)).allowed$$),
             ('a reply made anew', $$SELECT (claude_gpt.begin_turn(ID, CONVERSATION, NULL, 'gpt-3.5-turbo', 30, ASKED)).allowed$$),
             ('a turn', $$SELECT e.total_tokens FROM claude_gpt.begin_turn(ID, CONVERSATION, 'a question', 'gpt-3.5-turbo', 30) AS b, claude_gpt.complete_turn(ID, b.reservation_id, 'a reply', 3, 4, 0.5) AS e$$),
             ('a turn with its usage', $$SELECT e.total_tokens FROM claude_gpt.begin_turn(ID, CONVERSATION, 'a question', 'gpt-3.5-turbo', 30) AS b, claude_gpt.complete_turn(ID, b.reservation_id, 'a reply', p_cost => 0.5, p_parts => '[{"a": 1}]',
                 p_usage => '[{"input_tokens": 6, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": 4}, {"prompt_tokens": 5, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 8}}]') AS e$$),
             ('what the row is set to by itself', 'UPDATE claude_gpt_data.users SET full_name = (claude_gpt.consume_quota(id)).reason WHERE id = ID RETURNING full_name'),
             ('a call in RETURNING', 'UPDATE claude_gpt_data.users SET full_name = ''x'' WHERE id = ID RETURNING (claude_gpt.consume_quota(id)).used'),
             ('a call of each row', 'SELECT array_agg((claude_gpt.consume_quota(u.id)).used) FROM claude_gpt_data.users AS u WHERE u.id = ID')) AS c (name, statement),
     (VALUES ('a reader', :'reader'), ('a payer', :'payer'), ('a holder', :'holder'), ('one of a lapsed month', :'lapsed'), ('one ahead of the clock', :'ahead'),
             ('one without room', :'full'), ('nobody', '00000000-0000-4000-8000-00000000dead')) AS u (name, id);

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
            (SELECT string_agg((to_jsonb(r) - '{id,message_id,conversation_id}'::text[])::text, ' ' ORDER BY r.id) FROM claude_gpt_data.usage_records AS r),
            (SELECT string_agg((to_jsonb(r) - '{id,created_at,conversation_id,user_message_id,assistant_message_id}'::text[])::text, ' ' ORDER BY r.id) FROM claude_gpt_data.usage_reservations AS r),
            (SELECT string_agg((to_jsonb(c) - 'id')::text, ' ' ORDER BY c.user_id, c.message_count, c.id) FROM claude_gpt_data.conversations AS c),
            (SELECT string_agg((to_jsonb(m) - '{id,conversation_id,parent_message_id}'::text[])::text || COALESCE(p.content, ''), ' ' ORDER BY m.user_id, m.created_at, m.role, m.content)
             FROM claude_gpt_data.messages AS m LEFT JOIN claude_gpt_data.messages AS p ON p.id OPERATOR(pg_catalog.=) m.parent_message_id));
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, explained = PG_EXCEPTION_DETAIL;
        RETURN concat_ws(': ', SQLSTATE, said, regexp_replace(explained, '^Failing row contains \([0-9a-f-]{36}', ''));  -- a new id
    END;
END
$$;

CREATE FUNCTION pg_temp.obstacles(p_table text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE(string_agg(format('%s %s: %s', d.table_name, d.operation, d.obstacle), '; ' ORDER BY d.table_name, d.operation), '')
    FROM claude_gpt_internal.direct_access() AS d WHERE d.obstacle IS NOT NULL AND (p_table IS NULL OR d.table_name = p_table)
$$;

-- Where traps are laid, every function has a setting: what triggers fire goes by SPI.
CREATE FUNCTION pg_temp.where_traps_are_not(p_text text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN current_setting('claude_gpt_test.hostile', true) = 'on' THEN pg_temp.obstacles() ELSE p_text END
$$;

-- Both ways of all calls, and what keeps which rows from going directly; not asked where p_obstacles is NULL.
CREATE FUNCTION pg_temp.same_both_ways(p_what text, p_obstacles text DEFAULT '') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    call record;
    directly text;
    by_spi text;
    differing text;
    place integer;
BEGIN
    FOR call IN SELECT * FROM calls LOOP
        directly := pg_temp.outcome(call.statement, true);
        by_spi := pg_temp.outcome(call.statement, false);
        IF directly IS DISTINCT FROM by_spi THEN
            -- From where they differ.
            SELECT min(n) INTO place FROM generate_series(1, length(directly)) AS n WHERE left(directly, n) <> left(by_spi, n);
            differing := concat_ws(E'\n', differing, format(E'%s\n  directly: %s\n  by SPI: %s', call.name, substr(directly, place - 60, 200), substr(by_spi, place - 60, 200)));
        END IF;
    END LOOP;
    RETURN NEXT is(differing, NULL, p_what || ': both ways are the same');
    SET LOCAL claude_gpt.direct_access = on;
    IF p_obstacles IS NOT NULL THEN
        RETURN NEXT is(pg_temp.obstacles(), pg_temp.where_traps_are_not(p_obstacles), p_what || ': what goes by SPI');
    END IF;
END
$$;

-- That it is the direct way at all: no plan for the row of a user is made but those that this file's own functions have.
CREATE FUNCTION pg_temp.plans_of_users() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource' AND ident ~ 'claude_gpt_data\.(users|usage_records|usage_reservations|conversations|messages)'
$$;
SELECT '{conversations inserted,conversations updated,messages inserted,messages updated,usage_records inserted,usage_reservations inserted,usage_reservations updated,users read,users updated}' AS uses \gset
SELECT pg_temp.plans_of_users() AS plans_before \gset
SELECT check_subscription_limit(:'reader'), effective_tier(:'reader'), check_rate_limit(:'reader', 0), consume_quota(:'reader'),
    update_user_usage(:'reader', 1, 1, 1), record_usage(:'reader', 'api_call', 1) \g /dev/null
SELECT * FROM quota_status(:'reader') \g /dev/null
SELECT begin_turn(:'holder', pg_temp.id_of(:'holder', 'conversation'), 'a question', 'gpt-3.5-turbo', 3), begin_turn(:'holder', NULL, 'a question', 'gpt-3.5-turbo', 3) \g /dev/null
SELECT is(CASE WHEN current_setting('claude_gpt_test.hostile', true) = 'on' THEN :plans_before ELSE pg_temp.plans_of_users() END, :plans_before::bigint, 'directly: no statement reads or writes what is counted, and what a turn stores');
SELECT is((SELECT count(*) FROM usage_records WHERE user_id = :'reader'), 4::bigint, 'and all is recorded');
SET LOCAL claude_gpt.direct_access = off;
SELECT check_subscription_limit(:'reader'), consume_quota(:'reader') \g /dev/null
SELECT cmp_ok(pg_temp.plans_of_users(), '>=', 3::bigint, 'by SPI: statements do');
SELECT is((SELECT h.status || ': ' || h.detail FROM health() AS h WHERE h.check_name = 'direct_access'),
    (SELECT 'ok: by SPI: ' || string_agg(format('%s (claude_gpt.direct_access is off)', use), ', ') FROM unnest(:'uses'::text[]) AS use), 'the setting turns it off');
SET LOCAL claude_gpt.direct_access = on;
SELECT matches((SELECT h.status || ': ' || h.detail FROM health() AS h WHERE h.check_name = 'direct_access'), '^ok: directly: ' || CASE WHEN pg_temp.obstacles() = '' THEN array_to_string(:'uses'::text[], ', ') || '$' ELSE 'users read;' END, 'health says which way');
SELECT is((SELECT context FROM pg_settings WHERE name = 'claude_gpt.direct_access'), 'superuser', 'a superuser turns it off');

SELECT pg_temp.same_both_ways('fresh tables');

SAVEPOINT obstacle;

-- What keeps rows from being read, and so from being written.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY none ON users USING (false);
SELECT pg_temp.same_both_ways('row security, which the owner passes');
ALTER TABLE users FORCE ROW LEVEL SECURITY;
SELECT pg_temp.same_both_ways('row security forced on the owner', 'users read: row security is forced on its owner; users updated: row security is forced on its owner');
ROLLBACK TO obstacle;

CREATE TABLE public.heirs () INHERITS (claude_gpt_data.users);
SELECT pg_temp.same_both_ways('a table that inherits', 'users read: tables inherit from it; users updated: tables inherit from it');
ROLLBACK TO obstacle;

ALTER TABLE users RENAME TO accounts;
CREATE VIEW users AS SELECT * FROM accounts;
SELECT pg_temp.same_both_ways('a view', NULL);
SELECT is(pg_temp.obstacles('users'), 'users read: it is no plain table; users updated: it is no plain table', 'which is no table');
ROLLBACK TO obstacle;

ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE;
SELECT pg_temp.same_both_ways('no primary key', 'users read: its primary key is missing or another; users updated: its primary key is missing or another');
ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY (id, email);
SELECT pg_temp.same_both_ways('another primary key', 'users read: its primary key is missing or another; users updated: its primary key is missing or another');
ALTER TABLE users DROP CONSTRAINT users_pkey, ADD CONSTRAINT users_pkey PRIMARY KEY (id) DEFERRABLE;
SELECT pg_temp.same_both_ways('a deferrable primary key', 'users read: its primary key is missing or another; users updated: its primary key is missing or another');
ROLLBACK TO obstacle;

DROP VIEW plan_usage, user_statistics CASCADE;
ALTER TABLE users ALTER COLUMN monthly_message_count TYPE bigint;
SELECT pg_temp.same_both_ways('a wider column', 'users read: column "monthly_message_count" is of type bigint; users updated: column "monthly_message_count" is of type bigint');
ALTER TABLE users ALTER COLUMN monthly_message_count TYPE smallint USING 1;
SELECT pg_temp.same_both_ways('a column of another type', NULL);
ROLLBACK TO obstacle;

ALTER TABLE users DROP COLUMN held_cost CASCADE;
SELECT pg_temp.same_both_ways('a column that is missing', 'users read: column "held_cost" is missing; users updated: column "held_cost" is missing');
ROLLBACK TO obstacle;

ALTER TABLE users ALTER COLUMN monthly_message_count DROP NOT NULL;
UPDATE users SET monthly_message_count = NULL;
SELECT pg_temp.same_both_ways('NULL where a value is kept');
ROLLBACK TO obstacle;

-- Columns at another place, as a table that was made anew has them, absent from the older rows.
ALTER TABLE users RENAME COLUMN held_message_count TO old_count;
ALTER TABLE users ADD COLUMN held_message_count integer NOT NULL DEFAULT 2;
SELECT pg_temp.same_both_ways('a column at another place, with a default for older rows');
ROLLBACK TO obstacle;

CREATE ROLE owner_of_direct_access;
SELECT set_owner('owner_of_direct_access');
SELECT pg_temp.same_both_ways('an owner who is no superuser');
REVOKE UPDATE ON users FROM owner_of_direct_access;
REVOKE INSERT ON usage_records FROM owner_of_direct_access;
SELECT pg_temp.same_both_ways('an owner without UPDATE and INSERT', 'usage_records inserted: its owner has taken a right on it from himself; users updated: its owner has taken a right on it from himself');
SELECT throws_ok(format('SELECT consume_quota(%L)', :'reader'), '42501', NULL, 'who is refused');
ALTER ROLE owner_of_direct_access SUPERUSER;
SELECT lives_ok(format('SELECT consume_quota(%L)', :'reader'), 'until he becomes a superuser');
ALTER ROLE owner_of_direct_access NOSUPERUSER;
SELECT throws_ok(format('SELECT consume_quota(%L)', :'reader'), '42501', NULL, 'and again when he is none any more');
REVOKE SELECT ON users FROM owner_of_direct_access;
SELECT pg_temp.same_both_ways('an owner without SELECT', NULL);
SELECT throws_ok(format('SELECT check_subscription_limit(%L)', :'reader'), '42501', NULL, 'who is refused');
ROLLBACK TO obstacle;

-- What keeps rows from being written.
CREATE TABLE public.seen (what text);
CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.seen VALUES (TG_OP); IF TG_LEVEL = 'ROW' AND TG_TABLE_NAME = 'users' THEN NEW.full_name := 'seen'; END IF; RETURN NEW; END$$;
CREATE TRIGGER foreign_trigger BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION public.see();
SELECT pg_temp.same_both_ways('a trigger of the user', 'users updated: trigger "foreign_trigger" fires');
ALTER TABLE users DISABLE TRIGGER foreign_trigger;
SELECT pg_temp.same_both_ways('one that is disabled');
ALTER TABLE users ENABLE REPLICA TRIGGER foreign_trigger;
SELECT pg_temp.same_both_ways('one of replicas');
ALTER TABLE users ENABLE ALWAYS TRIGGER foreign_trigger;
SELECT pg_temp.same_both_ways('one that fires always', 'users updated: trigger "foreign_trigger" fires');
ROLLBACK TO obstacle;

CREATE FUNCTION public.meter() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF pg_trigger_depth() = 1 THEN PERFORM claude_gpt.consume_quota(NEW.id); END IF; RETURN NEW; END$$;
CREATE TRIGGER meters BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION public.meter();
SELECT pg_temp.same_both_ways('a trigger that counts in the row that is written', 'users updated: trigger "meters" fires');
ROLLBACK TO obstacle;

CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'seen %', TG_NAME; END$$;
CREATE TRIGGER foreign_trigger AFTER UPDATE ON users FOR EACH STATEMENT EXECUTE FUNCTION public.see();
SELECT pg_temp.same_both_ways('one for each statement', 'users updated: trigger "foreign_trigger" fires');
DROP TRIGGER foreign_trigger ON users;
CREATE TRIGGER foreign_trigger AFTER UPDATE OF email ON users FOR EACH ROW EXECUTE FUNCTION public.see();
SELECT pg_temp.same_both_ways('one of a column that is not written');
DROP TRIGGER foreign_trigger ON users;
CREATE TRIGGER foreign_trigger AFTER UPDATE OF total_cost ON users FOR EACH ROW EXECUTE FUNCTION public.see();
SELECT pg_temp.same_both_ways('one of a column that is', 'users updated: trigger "foreign_trigger" fires');
DROP TRIGGER foreign_trigger ON users;
CREATE TRIGGER foreign_trigger BEFORE UPDATE ON users FOR EACH ROW WHEN (NEW.total_cost > 3) EXECUTE FUNCTION public.see();
SELECT pg_temp.same_both_ways('one with a condition', 'users updated: trigger "foreign_trigger" fires');
DROP TRIGGER foreign_trigger ON users;
CREATE CONSTRAINT TRIGGER foreign_trigger AFTER UPDATE ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.see();
SELECT pg_temp.same_both_ways('one that is deferred', 'users updated: trigger "foreign_trigger" fires');
DROP TRIGGER foreign_trigger ON users;
CREATE TRIGGER foreign_trigger AFTER INSERT ON usage_records FOR EACH ROW EXECUTE FUNCTION public.see();
SELECT matches(pg_temp.obstacles('usage_records'), CASE WHEN pg_temp.where_traps_are_not('') = '' THEN 'partition "usage_records_\d{4}q\d": trigger "foreign_trigger" fires' ELSE '.' END, 'one of the ledger');
SELECT pg_temp.same_both_ways('one of the ledger', NULL);
DROP TRIGGER foreign_trigger ON usage_records;
CREATE TRIGGER foreign_trigger AFTER INSERT ON usage_records REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION public.see();
SELECT pg_temp.same_both_ways('one of the ledger for each statement', 'usage_records inserted: trigger "foreign_trigger" fires');
ROLLBACK TO obstacle;

ALTER TABLE users DISABLE TRIGGER update_users_updated_at;
SELECT pg_temp.same_both_ways('a trigger of ours that is disabled', 'users updated: a trigger of claude_gpt is missing or disabled');
ROLLBACK TO obstacle;
DROP TRIGGER protect_users ON users;
SELECT pg_temp.same_both_ways('a trigger of ours that is missing', 'users updated: a trigger of claude_gpt is missing or disabled');
ROLLBACK TO obstacle;
DROP TRIGGER check_usage_records ON usage_records;
SELECT pg_temp.same_both_ways('a trigger of ours that is missing from the ledger', NULL);
SELECT matches(pg_temp.obstacles('usage_records'), CASE WHEN pg_temp.where_traps_are_not('') = '' THEN 'a trigger of claude_gpt is missing or disabled' ELSE '.' END, 'which is said');
ROLLBACK TO obstacle;
CREATE OR REPLACE TRIGGER update_users_updated_at BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column(last_active_on, created_at);
SELECT pg_temp.same_both_ways('one of ours with other arguments', 'users updated: trigger "update_users_updated_at" fires');
ROLLBACK TO obstacle;
CREATE TRIGGER another_rule BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('email in nothing');
SELECT pg_temp.same_both_ways('another rule', 'users updated: trigger "another_rule" fires');
ROLLBACK TO obstacle;
ALTER FUNCTION claude_gpt_internal.enforce_column_rules() SET work_mem = '1MB';
SELECT pg_temp.same_both_ways('a function of ours with a setting', NULL);
SELECT ok(pg_temp.obstacles('users') ~ 'trigger "protect_users" fires' AND pg_temp.obstacles('usage_records') ~ 'trigger "check_usage_records" fires', 'which is seen');
ROLLBACK TO obstacle;

CREATE TABLE public.logged (id uuid);
CREATE RULE foreign_rule AS ON UPDATE TO users DO ALSO INSERT INTO public.logged VALUES (NEW.id);
SELECT pg_temp.same_both_ways('a rule', 'users updated: it has a rule');
ROLLBACK TO obstacle;
CREATE TABLE public.logged (id uuid);
CREATE RULE foreign_rule AS ON INSERT TO usage_records DO ALSO INSERT INTO public.logged VALUES (NEW.user_id);
SELECT pg_temp.same_both_ways('a rule of the ledger', 'usage_records inserted: it has a rule');
ROLLBACK TO obstacle;

ALTER TABLE users ADD CONSTRAINT foreign_check CHECK (monthly_message_count < 5) NOT VALID;
SELECT pg_temp.same_both_ways('a CHECK', 'users updated: it has the constraint "foreign_check"');
ROLLBACK TO obstacle;
ALTER TABLE usage_records ADD CONSTRAINT foreign_check CHECK (quantity < 50);
SELECT pg_temp.same_both_ways('a CHECK of the ledger', 'usage_records inserted: it has the constraint "foreign_check"');
ROLLBACK TO obstacle;

ALTER TABLE users ADD COLUMN doubled bigint GENERATED ALWAYS AS (2 * monthly_message_count) STORED;
SELECT pg_temp.same_both_ways('a generated column', 'users updated: column "doubled" is generated');
ROLLBACK TO obstacle;
ALTER TABLE users ADD COLUMN note text NOT NULL DEFAULT 'none', ADD COLUMN other text;
SELECT pg_temp.same_both_ways('columns of the user');
ROLLBACK TO obstacle;
ALTER TABLE usage_records ADD COLUMN note text;
SELECT pg_temp.same_both_ways('a column of the user in the ledger');
ALTER TABLE usage_records ALTER COLUMN note SET DEFAULT 'none';
SELECT pg_temp.same_both_ways('one with a default', 'usage_records inserted: column "note" of a new row is not claude_gpt''s to fill');
DELETE FROM usage_records;
ALTER TABLE usage_records ALTER COLUMN note DROP DEFAULT, ALTER COLUMN note SET NOT NULL;
SELECT pg_temp.same_both_ways('one that must not be NULL', 'usage_records inserted: column "note" of a new row is not claude_gpt''s to fill');
ROLLBACK TO obstacle;
CREATE DOMAIN public.filled AS text CHECK (VALUE IS NOT NULL);
ALTER TABLE usage_records ADD COLUMN note public.filled DEFAULT 'x';
ALTER TABLE usage_records ALTER COLUMN note DROP DEFAULT;
SELECT pg_temp.same_both_ways('one of a domain', 'usage_records inserted: column "note" of a new row is not claude_gpt''s to fill');
ROLLBACK TO obstacle;
ALTER TABLE usage_records ALTER COLUMN created_at SET DEFAULT clock_timestamp(), ALTER COLUMN quantity DROP DEFAULT;
SELECT pg_temp.same_both_ways('another default of a column of ours');
ROLLBACK TO obstacle;

DROP VIEW daily_usage, user_statistics CASCADE;
ALTER TABLE usage_records ALTER COLUMN model_used TYPE varchar(7);
SELECT pg_temp.same_both_ways('a column that is shorter');
ROLLBACK TO obstacle;
DROP VIEW daily_usage, user_statistics CASCADE;
ALTER TABLE usage_records ALTER COLUMN cost TYPE numeric(20,3);
SELECT pg_temp.same_both_ways('a column that rounds', 'usage_records inserted: column "cost" stores other values than it is given');
ROLLBACK TO obstacle;
DROP VIEW plan_usage, user_statistics CASCADE;
ALTER TABLE users ALTER COLUMN monthly_cost TYPE numeric(20,3), ALTER COLUMN last_active_at TYPE timestamptz(0);
SELECT pg_temp.same_both_ways('columns of users that round', 'users updated: column "last_active_at" stores other values than it is given');
ROLLBACK TO obstacle;

-- Values that rules refuse, met in the row that is found.
ALTER TABLE users DISABLE TRIGGER protect_users;
UPDATE users SET held_cost = -1 WHERE id = :'reader';
UPDATE users SET total_cost = 'NaN' WHERE id = :'payer';
UPDATE users SET total_message_count = 2147483647, total_cost = 99999999999.999 WHERE id = :'holder';
ALTER TABLE users ENABLE TRIGGER protect_users;
SELECT pg_temp.same_both_ways('values that no rule admits');
ROLLBACK TO obstacle;

CREATE FUNCTION public.of_email(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN current_user; END$$;
CREATE INDEX foreign_index ON users (public.of_email(email));
SELECT pg_temp.same_both_ways('an index that runs a function of the user', 'users updated: index "foreign_index" may run other code than the server''s');
DROP INDEX foreign_index;
CREATE INDEX foreign_index ON users (full_name) WHERE public.of_email(email) <> 'x';
SELECT pg_temp.same_both_ways('one whose predicate does', 'users updated: index "foreign_index" may run other code than the server''s');
DROP INDEX foreign_index;
CREATE INDEX foreign_index ON users (upper(full_name)) INCLUDE (monthly_cost) WHERE monthly_token_count > 5;
CREATE UNIQUE INDEX foreign_unique ON users (total_api_call_count, email);
SELECT pg_temp.same_both_ways('indexes on counters', 'users updated: a counter is part of a key');
DROP INDEX foreign_unique;
SELECT pg_temp.same_both_ways('indexes of the server''s functions');
CREATE INDEX foreign_gist ON users USING gist (to_tsvector('simple', full_name));
SELECT pg_temp.same_both_ways('an access method of another kind', 'users updated: index "foreign_gist" may run other code than the server''s');
ROLLBACK TO obstacle;
DELETE FROM usage_records;
CREATE UNIQUE INDEX foreign_unique ON usage_records (user_id, created_at, usage_type);
SELECT pg_temp.same_both_ways('a unique index on the ledger, which some calls break');
ROLLBACK TO obstacle;
ALTER TABLE users ADD CONSTRAINT foreign_unique UNIQUE (full_name) DEFERRABLE INITIALLY DEFERRED;
SELECT pg_temp.same_both_ways('a deferrable constraint', NULL);
SELECT matches(pg_temp.obstacles('users'), '^users updated: trigger "Unique_ConstraintTrigger_\d+" fires$', 'which has a trigger');
ROLLBACK TO obstacle;
ALTER TABLE users ADD CONSTRAINT foreign_exclusion EXCLUDE (phone WITH =);
SELECT pg_temp.same_both_ways('an exclusion constraint', 'users updated: constraint "foreign_exclusion" excludes rows');
ROLLBACK TO obstacle;

CREATE TABLE public.parents (id integer PRIMARY KEY);
ALTER TABLE users ADD COLUMN parent integer REFERENCES public.parents;
SELECT pg_temp.same_both_ways('a foreign key of the user');
ALTER TABLE users DROP COLUMN parent;
ALTER TABLE users ADD COLUMN parent integer REFERENCES public.parents DEFERRABLE INITIALLY DEFERRED;
SELECT pg_temp.same_both_ways('one that is deferred', (SELECT 'users updated: trigger "' || tgname || '" fires' FROM pg_trigger WHERE tgrelid = 'users'::regclass AND tgfoid = '"RI_FKey_check_upd"'::regproc));
ROLLBACK TO obstacle;
CREATE TABLE public.children (user_id uuid REFERENCES users (id) ON UPDATE CASCADE);
INSERT INTO public.children VALUES (:'reader');
SELECT pg_temp.same_both_ways('a foreign key that refers to users');
ROLLBACK TO obstacle;
ALTER TABLE usage_records DROP CONSTRAINT usage_records_user_id_fkey;
SELECT pg_temp.same_both_ways('a foreign key of ours that is gone');
ALTER TABLE usage_records ADD CONSTRAINT usage_records_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED;
SELECT pg_temp.same_both_ways('one that is deferred', NULL);
SELECT matches(pg_temp.obstacles('usage_records'), CASE WHEN pg_temp.where_traps_are_not('') = '' THEN 'trigger "RI_ConstraintTrigger_c_\d+" fires' ELSE '.' END, 'which is said');
ROLLBACK TO obstacle;
CREATE TABLE public.models (name varchar(255) PRIMARY KEY);
ALTER TABLE usage_records ADD FOREIGN KEY (model_used) REFERENCES public.models;
SELECT pg_temp.same_both_ways('a foreign key of the user in the ledger', NULL);
ROLLBACK TO obstacle;

-- What turns store. Of a new row, a column that nobody gives has its default.
ALTER TABLE messages ALTER COLUMN is_searchable SET DEFAULT true, ADD COLUMN seen_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP, ADD COLUMN who text DEFAULT CURRENT_USER, ADD COLUMN other text;
ALTER TABLE conversations ALTER COLUMN is_pinned SET DEFAULT true, ADD COLUMN note text DEFAULT 'n' || 'one';
ALTER TABLE usage_reservations ADD COLUMN note text DEFAULT upper('none');
SELECT pg_temp.same_both_ways('defaults');
ALTER TABLE messages ALTER COLUMN other SET DEFAULT random()::text;
SELECT is(pg_temp.obstacles(), pg_temp.where_traps_are_not('messages inserted: column "other" of a new row is not claude_gpt''s to fill'), 'one that is another each time');
ALTER TABLE messages ALTER COLUMN other SET DEFAULT table_to_xml('pg_catalog.pg_am', true, false, '')::text;
SELECT is(pg_temp.obstacles(), pg_temp.where_traps_are_not('messages inserted: column "other" of a new row is not claude_gpt''s to fill'), 'one that may run a view');
ROLLBACK TO obstacle;
CREATE DOMAIN public.whoever AS text CHECK (VALUE <> '');
ALTER TABLE messages ADD COLUMN who public.whoever DEFAULT 'x';
ALTER TABLE conversations ADD COLUMN who text NOT NULL DEFAULT 'x';
ALTER TABLE conversations ALTER COLUMN who DROP DEFAULT;
SELECT pg_temp.same_both_ways('columns that nobody fills', 'conversations inserted: column "who" of a new row is not claude_gpt''s to fill; messages inserted: column "who" of a new row is not claude_gpt''s to fill');
ROLLBACK TO obstacle;

CREATE FUNCTION public.say() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF TG_LEVEL = 'ROW' THEN NEW.metadata := '{"said": true}'; RETURN NEW; END IF; RAISE NOTICE 'said'; RETURN NULL; END$$;
CREATE TRIGGER foreign_trigger BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION public.say();
SELECT pg_temp.same_both_ways('a trigger of new messages', 'messages inserted: trigger "foreign_trigger" fires');
DROP TRIGGER foreign_trigger ON messages;
CREATE TRIGGER foreign_trigger AFTER UPDATE ON messages FOR EACH STATEMENT EXECUTE FUNCTION public.say();
SELECT pg_temp.same_both_ways('one of changed messages, for each statement', 'messages updated: trigger "foreign_trigger" fires');
ROLLBACK TO obstacle;
ALTER TABLE messages DISABLE TRIGGER count_inserted_messages;
SELECT pg_temp.same_both_ways('counting switched off', 'messages inserted: a trigger of claude_gpt is missing or disabled');
ROLLBACK TO obstacle;
ALTER TABLE conversations DISABLE TRIGGER update_conversations_updated_at;
SELECT pg_temp.same_both_ways('a day that does not follow', 'conversations updated: a trigger of claude_gpt is missing or disabled');
ROLLBACK TO obstacle;
ALTER TABLE messages ADD CONSTRAINT short CHECK (length(content) < 5) NOT VALID;
SELECT pg_temp.same_both_ways('a CHECK of messages', 'messages inserted: it has the constraint "short"; messages updated: it has the constraint "short"');
ROLLBACK TO obstacle;
CREATE OR REPLACE TRIGGER check_messages BEFORE INSERT OR UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('role in user assistant system', 'status in sent failed');
SELECT pg_temp.same_both_ways('a rule that replies break', 'messages inserted: trigger "check_messages" fires; messages updated: trigger "check_messages" fires');
ROLLBACK TO obstacle;
CREATE OR REPLACE TRIGGER check_messages BEFORE INSERT OR UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('role in user assistant system', 'content_type in text image');
SELECT pg_temp.same_both_ways('a list of content types', 'messages inserted: trigger "check_messages" fires; messages updated: trigger "check_messages" fires');
ROLLBACK TO obstacle;
ALTER TABLE messages ALTER COLUMN model_used TYPE varchar(5) USING left(model_used, 5), ALTER COLUMN content_type TYPE varchar(4);
SELECT pg_temp.same_both_ways('columns of messages that are shorter');
DROP VIEW conversation_summary;
ALTER TABLE messages ALTER COLUMN content_type TYPE text, ALTER COLUMN content TYPE varchar(8) USING left(content, 8);
SELECT pg_temp.same_both_ways('a model that is longer than its column');
ROLLBACK TO obstacle;
DROP INDEX idx_messages_conversation_id;
SELECT pg_temp.same_both_ways('no index by which the newest message is found');
CREATE INDEX ON messages (conversation_id, created_at, id);
SELECT pg_temp.same_both_ways('one that has the oldest first');
CREATE INDEX ON messages (conversation_id, created_at DESC, id DESC) WHERE status <> 'sent';
SELECT pg_temp.same_both_ways('one of some');
ROLLBACK TO obstacle;
UPDATE messages SET status = 'deleted' WHERE role = 'assistant';
SELECT pg_temp.same_both_ways('a newest message that is deleted');
UPDATE messages SET status = 'deleted';
SELECT pg_temp.same_both_ways('no message that is not');
ROLLBACK TO obstacle;
ALTER TABLE conversations ALTER COLUMN message_count DROP NOT NULL, DISABLE TRIGGER protect_conversations;
UPDATE conversations SET message_count = 2147483647, total_tokens = -1 WHERE user_id IN (:'reader', :'holder');
UPDATE conversations SET message_count = NULL WHERE user_id = :'payer';
UPDATE conversations SET last_message_at = 'infinity' WHERE user_id = :'lapsed';
ALTER TABLE conversations ENABLE TRIGGER protect_conversations;
SELECT pg_temp.same_both_ways('counters that cannot be counted on');
ROLLBACK TO obstacle;
ALTER TABLE messages DROP CONSTRAINT messages_parent_message_id_fkey, DROP CONSTRAINT messages_user_id_fkey;
ALTER TABLE messages ADD CONSTRAINT messages_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED;
SELECT pg_temp.same_both_ways('a foreign key of messages that is deferred', NULL);
SELECT matches(pg_temp.obstacles(), CASE WHEN pg_temp.where_traps_are_not('') = '' THEN 'messages inserted: trigger "RI_ConstraintTrigger_c_\d+" fires' ELSE '.' END, 'which is said');
ROLLBACK TO obstacle;
CREATE TABLE public.models (name varchar(255) PRIMARY KEY);
INSERT INTO public.models VALUES ('gpt-4');
ALTER TABLE messages ADD FOREIGN KEY (model_used) REFERENCES public.models NOT VALID;
SELECT pg_temp.same_both_ways('a foreign key of the user that replies break', NULL);
ROLLBACK TO obstacle;

-- What was locked may be gone, where a statement has fired code of others meanwhile.
CREATE FUNCTION public.close_conversation() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM claude_gpt_data.conversations WHERE user_id = NEW.user_id; RETURN NULL; END$$;
CREATE TRIGGER close_conversation AFTER INSERT ON usage_reservations FOR EACH ROW EXECUTE FUNCTION public.close_conversation();
SELECT pg_temp.same_both_ways('a trigger that deletes the conversation', 'usage_reservations inserted: trigger "close_conversation" fires');
ROLLBACK TO obstacle;
CREATE FUNCTION public.close_conversation() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM claude_gpt_data.messages WHERE conversation_id = NEW.id; RETURN NULL; END$$;
CREATE TRIGGER close_conversation AFTER UPDATE ON conversations FOR EACH ROW EXECUTE FUNCTION public.close_conversation();
SELECT pg_temp.same_both_ways('a trigger that deletes the messages', 'conversations updated: trigger "close_conversation" fires');
ROLLBACK TO obstacle;

-- Partitions.
ALTER TABLE usage_records DETACH PARTITION usage_records_default;
SELECT pg_temp.same_both_ways('no default partition');
SELECT format('ALTER TABLE claude_gpt_data.usage_records DETACH PARTITION claude_gpt_partitions.%I', c.relname) FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'usage_records'::regclass \gexec
SELECT pg_temp.same_both_ways('no partition', 'usage_records inserted: the rows of today go to no partition of their time');
ROLLBACK TO obstacle;
SELECT format('ALTER TABLE claude_gpt_data.usage_records DETACH PARTITION claude_gpt_partitions.%I', c.relname) FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'usage_records'::regclass AND c.relname <> 'usage_records_default' \gexec
SELECT pg_temp.same_both_ways('the default partition alone', 'usage_records inserted: the rows of today go to no partition of their time');
-- Its columns stand in another order.
CREATE TABLE claude_gpt_partitions.other_order (reasoning_tokens integer, prompt_tokens integer, cache_write_tokens integer, cached_prompt_tokens integer, completion_tokens integer, billing_period date NOT NULL, gone integer, metadata jsonb, cost numeric(20,9) NOT NULL DEFAULT 0, model_used varchar(255), conversation_id uuid,
    created_at timestamptz NOT NULL, quantity bigint NOT NULL DEFAULT 1, usage_type varchar(20) NOT NULL, user_id uuid NOT NULL, message_id uuid, id uuid NOT NULL);
ALTER TABLE claude_gpt_partitions.other_order DROP COLUMN gone;
ALTER TABLE usage_records ATTACH PARTITION claude_gpt_partitions.other_order FOR VALUES FROM ('2000-01-01') TO ('2100-01-01');
SELECT pg_temp.same_both_ways('a partition with columns in another order');
ROLLBACK TO obstacle;

-- Publications. Without one that asks for it, a row needs no identity.
ALTER TABLE users REPLICA IDENTITY NOTHING;
SELECT pg_temp.same_both_ways('no replica identity');
SET LOCAL client_min_messages = error;  -- wal_level
CREATE PUBLICATION direct_access_test FOR TABLE users;
SET LOCAL client_min_messages = warning;
SELECT pg_temp.same_both_ways('a publication of rows without identity');
SELECT throws_ok(format('SELECT consume_quota(%L)', :'reader'), '55000', NULL, 'which is refused');
ALTER TABLE users REPLICA IDENTITY DEFAULT;
SELECT pg_temp.same_both_ways('a publication');
ALTER PUBLICATION direct_access_test SET TABLE users WHERE (subscription_tier = 'pro');
SELECT pg_temp.same_both_ways('one with a condition on what does not identify the row');
SELECT throws_ok(format('SELECT consume_quota(%L)', :'reader'), '42P10', NULL, 'which is refused');
ROLLBACK TO obstacle;

-- Nobody has locked the user whose row a statement wrote: what that fired may have deleted him.
CREATE FUNCTION public.close_user() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM claude_gpt_data.users WHERE id = NEW.id; RETURN NULL; END';
CREATE TRIGGER close_user AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION public.close_user();
SELECT pg_temp.same_both_ways('a trigger that deletes the user', 'users updated: trigger "close_user" fires');
ROLLBACK TO obstacle;

-- Two triggers of ours, but not the two.
DROP TRIGGER update_users_updated_at ON users;
CREATE TRIGGER again BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('total_cost not negative');
SELECT pg_temp.same_both_ways('one of our triggers twice', 'users updated: trigger "protect_users" fires');
ROLLBACK TO obstacle;

-- Functions of indexes are the owner's to call.
CREATE ROLE pgtap_caller;
SELECT grant_application_access('pgtap_caller');
CREATE INDEX ON users (upper(full_name));
CREATE INDEX ON users ((total_cost + held_cost));
REVOKE EXECUTE ON FUNCTION pg_catalog.upper(text) FROM PUBLIC;
SET LOCAL ROLE pgtap_caller;
SELECT lives_ok(format('SELECT claude_gpt.update_user_usage(%L, 1, 1, 1)', :'reader'), 'a caller needs no right to the functions of indexes');
RESET ROLE;
ROLLBACK TO obstacle;

-- What was dropped does not live on in new versions of a row.
ALTER TABLE users ADD COLUMN secret text;
UPDATE users SET secret = 'the secret of a reader' WHERE id = :'reader';
ALTER TABLE users DROP COLUMN secret;
SELECT consume_quota(:'reader') \g /dev/null
CREATE EXTENSION pageinspect;
SELECT is((SELECT position('the secret of a reader'::bytea IN i.t_data) FROM users AS u, heap_page_items(get_raw_page('claude_gpt_data.users', (u.ctid::text::point)[0]::integer)) AS i
           WHERE u.id = :'reader' AND i.lp = (u.ctid::text::point)[1]), 0, 'the value of a dropped column is not written again');
ROLLBACK TO obstacle;

-- What lies in the transaction.
SET LOCAL session_replication_role = replica;
SELECT pg_temp.same_both_ways('as a replica');
RESET session_replication_role;

SELECT * FROM finish();
ROLLBACK;
