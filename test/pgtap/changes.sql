-- The triggers that tell caches: which statements fire them. What arrives is asked of a listener by changes_reach_every_listener.pl.
BEGIN;
\ir prelude.psql
SELECT no_plan();

-- The columns of users that metering, turns, jobs and sign-in write, and the triggers of a column.
CREATE FUNCTION pg_temp.notified_columns(p_table text) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_trigger AS g
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = g.tgrelid AND a.attnum = ANY (g.tgattr::smallint[])
    WHERE g.tgrelid = p_table::regclass AND g.tgfoid = 'claude_gpt.notify_change()'::regprocedure
$$;
SELECT is(pg_temp.notified_columns('claude_gpt_data.users') && ARRAY['monthly_message_count', 'total_message_count', 'monthly_token_count', 'total_token_count',
    'monthly_cost', 'total_cost', 'monthly_api_call_count', 'total_api_call_count', 'monthly_reset_date', 'last_active_at', 'last_active_on', 'updated_at',
    'held_message_count', 'held_token_count', 'held_cost', 'next_hold_expiry', 'last_login_at'], false, 'no column that metering writes is told of');
SELECT ok(pg_temp.notified_columns('claude_gpt_data.users') @> ARRAY['email', 'full_name', 'subscription_tier', 'subscription_status', 'subscription_current_period_end'],
    'profile and subscription are');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgfoid = 'claude_gpt.notify_change()'::regprocedure AND tgenabled <> 'A'), 0::bigint, 'also where replication brings the rows');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgfoid = 'claude_gpt.notify_change()'::regprocedure AND NOT tgrelid::regclass = ANY (ARRAY['claude_gpt_data.users', 'claude_gpt_data.system_configs']::regclass[])),
    0::bigint, 'no other table has one');

-- its rules
CREATE TABLE pg_temp.things (id integer, name text);
CREATE TRIGGER before_things BEFORE UPDATE ON pg_temp.things FOR EACH ROW EXECUTE FUNCTION claude_gpt.notify_change();
INSERT INTO pg_temp.things VALUES (1, 'x');
SELECT throws_ok('UPDATE pg_temp.things SET name = ''y''', '39P01', NULL, 'it is for AFTER triggers');
DROP TRIGGER before_things ON pg_temp.things;
CREATE TRIGGER after_things AFTER UPDATE ON pg_temp.things FOR EACH ROW EXECUTE FUNCTION claude_gpt.notify_change(nothing);
SELECT throws_ok('UPDATE pg_temp.things SET name = ''y''', '42703', NULL, 'and for a column that there is');
SELECT throws_ok('SELECT claude_gpt.notify_change()', '39P01', NULL, 'and for triggers alone');

SELECT * FROM finish();
ROLLBACK;
