-- Partitions: which there are, how they are made, filled, dropped, and how messages become partitioned.
BEGIN;
\ir prelude.psql
SELECT no_plan();

-- Calls a step function until it has nothing left to do, and tells what it did.
CREATE FUNCTION pg_temp.steps(p_call text, p_most integer DEFAULT 100) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    done text;
    all_done text[] := '{}';
BEGIN
    LOOP
        EXECUTE 'SELECT claude_gpt_internal.' || p_call INTO done;
        EXIT WHEN done IS NULL;
        all_done := all_done || done;
        EXIT WHEN cardinality(all_done) = p_most;
    END LOOP;
    RETURN all_done;
END
$$;
CREATE FUNCTION pg_temp.ranges(p_table text, p_from timestamptz DEFAULT '-infinity', p_to timestamptz DEFAULT 'infinity') RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', partition_name, from_at::date, to_at::date) FROM (SELECT partition_name, is_default, COALESCE(from_at, '-infinity') AS from_at, COALESCE(to_at, 'infinity') AS to_at
          FROM claude_gpt.list_partitions(p_table)) AS l
    WHERE NOT is_default AND from_at >= p_from AND to_at <= p_to ORDER BY from_at
$$;
-- What a partition has, under names without its own.
CREATE FUNCTION pg_temp.picture(p_partition text) RETURNS SETOF text LANGUAGE sql AS $$
    WITH p AS (SELECT * FROM pg_class WHERE oid = ('claude_gpt_partitions.' || p_partition)::regclass)
    SELECT replace(line, p_partition, 'PARTITION') FROM (
        SELECT concat_ws(' ', 'relation', p.relkind, p.relpersistence, p.relowner::regrole, p.relacl, p.reloptions, p.relreplident, p.relispartition, p.relrowsecurity) AS line FROM p
        UNION ALL SELECT concat_ws(' ', 'column', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage, a.attislocal, a.attinhcount, pg_get_expr(d.adbin, d.adrelid))
            FROM p JOIN pg_attribute AS a ON a.attrelid = p.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef AS d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        UNION ALL SELECT concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid, (SELECT h.inhparent::regclass FROM pg_inherits AS h WHERE h.inhrelid = i.indexrelid)) FROM p JOIN pg_index AS i ON i.indrelid = p.oid
        UNION ALL SELECT concat_ws(' ', 'constraint', k.conname, pg_get_constraintdef(k.oid), k.convalidated, k.conislocal, k.coninhcount) FROM p JOIN pg_constraint AS k ON k.conrelid = p.oid
        UNION ALL SELECT concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled, t.tgparentid <> 0) FROM p JOIN pg_trigger AS t ON t.tgrelid = p.oid AND NOT t.tgisinternal
        UNION ALL SELECT concat_ws(' ', 'internal', t.tgfoid::regproc, t.tgtype) FROM p JOIN pg_trigger AS t ON t.tgrelid = p.oid AND t.tgisinternal
    ) AS l ORDER BY 1
$$;

-- periods
SET LOCAL timezone = 'Asia/Shanghai';
SELECT is((SELECT concat_ws(' ', from_at AT TIME ZONE 'UTC', to_at AT TIME ZONE 'UTC') FROM partition_period(w, m::timestamptz)), f || ' 00:00:00 ' || t || ' 00:00:00', format('the %s of %s', w, m))
FROM (VALUES ('1 week', '2026-11-22 23:59:59.999999Z', '2026-11-16', '2026-11-23'), ('1 week', '2026-11-23 00:00Z', '2026-11-23', '2026-11-30'), ('1 week', '2027-01-01Z', '2026-12-28', '2027-01-04'),
             ('1 month', '2024-02-29 12:00Z', '2024-02-01', '2024-03-01'), ('1 month', '2026-12-31 23:59Z', '2026-12-01', '2027-01-01'), ('3 months', '2026-12-31 23:59Z', '2026-10-01', '2027-01-01'),
             ('3 months', '2026-01-01Z', '2026-01-01', '2026-04-01'), ('1 year', '2026-12-31 16:00Z', '2026-01-01', '2027-01-01'), ('1 year', '1969-06-01Z', '1969-01-01', '1970-01-01')) AS v (w, m, f, t);
SELECT throws_ok(format('SELECT partition_period(%L, now())', w), '22023', format('partition width "%s" is not known', w), format('"%s" is no width', w))
FROM unnest(ARRAY['1 day', '7 days', 'week', '', '1 Week', '2 weeks']) AS w;
SELECT throws_ok('SELECT partition_period(NULL, now())', '22004', NULL, 'nor is NULL');
SELECT throws_ok($$SELECT partition_period('1 week', NULL)$$, '22004', NULL, 'and no moment has no period');
SELECT is(partition_name('t', w, f::timestamptz, t::timestamptz), n::name, format('a partition is called %s', n))
FROM (VALUES ('1 week', '2026-11-16Z', '2026-11-23Z', 't_2026w47'), ('1 week', '2026-12-28Z', '2027-01-04Z', 't_2026w53'), ('1 week', '2026-11-30Z', '2026-12-01Z', 't_2026w49'), ('1 month', '2026-11-01Z', '2026-12-01Z', 't_2026m11'),
             ('3 months', '2026-10-01Z', '2027-01-01Z', 't_2026q4'), ('1 year', '2027-01-01Z', '2028-01-01Z', 't_2027'), ('1 week', '2024-12-30Z', '2026-11-16Z', 't_2025w01_2026w46')) AS v (w, f, t, n);
CREATE TABLE claude_gpt_partitions.t_2027 ();
CREATE VIEW claude_gpt_partitions.t_2027_2 AS SELECT 1 AS one;
SELECT is(partition_name('t', '1 year', '2027-01-01Z', '2028-01-01Z'), 't_2027_3', 'unless that is taken');
SELECT is(length(partition_name(repeat('t', 63)::name, '1 week', '2024-12-30Z', '2026-11-16Z')), 56, 'a long name is cut');
SELECT is(partition_moment(partition_bound(m::timestamptz, y::regtype), y::regtype, u), m::timestamptz, format('%s as a bound of type %s comes back', m, y))
FROM unnest(ARRAY['2026-11-23Z', '2000-02-29 23:59:59.999Z', '1970-01-01Z', '9999-12-31Z']) AS m, unnest(ARRAY['uuid', 'timestamptz']) AS y, unnest(ARRAY[true, false]) AS u;
SELECT is(partition_moment('01a2ce8b-d400-0000-0000-000000000000', 'uuid', u), '2027-01-01Z', 'an id below all of its millisecond stands for it') FROM unnest(ARRAY[true, false]) AS u;
SELECT is(partition_moment('01a2ce8b-d400-7fff-8000-000000000000', 'uuid', u), m::timestamptz, 'one inside of it for its begin or its end') FROM (VALUES (true, '2027-01-01 00:00:00.001Z'), (false, '2027-01-01Z')) AS v (u, m);
SET LOCAL timezone = 'UTC';

-- the list
SELECT bag_eq('SELECT DISTINCT table_name FROM list_partitions()', $$VALUES ('audit_logs'), ('usage_records')$$, 'all partitioned tables are listed');
SELECT results_eq($$SELECT partition_name, from_at, to_at FROM list_partitions('audit_logs') WHERE is_default$$, $$VALUES ('audit_logs_default', NULL::timestamptz, NULL::timestamptz)$$, 'the DEFAULT partition has no range');
SELECT cmp_ok((SELECT min(size_bytes) FROM list_partitions()), '>', 0::bigint, 'each has a size, of its indexes at least');
SELECT throws_ok($$SELECT * FROM list_partitions('nothing')$$, '42P01', 'table "claude_gpt_data.nothing" does not exist', 'an unknown table');
SELECT throws_ok($$SELECT * FROM list_partitions('users')$$, '22023', 'table "claude_gpt_data.users" is not partitioned', 'a plain table');
SELECT throws_ok($$SELECT * FROM list_partitions('messages')$$, '22023', 'table "claude_gpt_data.messages" is not partitioned', 'messages, before they are partitioned');
SELECT throws_ok($$SELECT * FROM list_partitions('idx_users_email')$$, '42P01', NULL, 'an index');
SET LOCAL datestyle = 'German';
SET LOCAL timezone = 'America/St_Johns';
CREATE TABLE claude_gpt_data.mine (at timestamptz, word text) PARTITION BY RANGE (at);
CREATE TABLE claude_gpt_data.mine_old PARTITION OF claude_gpt_data.mine FOR VALUES FROM (MINVALUE) TO ('1999-01-01 00:00:00.000001Z');
CREATE TABLE claude_gpt_data.mine_new PARTITION OF claude_gpt_data.mine FOR VALUES FROM ('2030-03-02Z') TO (MAXVALUE);
SELECT results_eq($$SELECT partition_name, from_at, to_at FROM list_partitions('mine')$$,
                  $$VALUES ('mine_old', NULL::timestamptz, '1999-01-01 00:00:00.000001Z'::timestamptz), ('mine_new', '2030-03-02Z', NULL)$$, 'ranges are read under any time zone and style of dates');
CREATE TABLE claude_gpt_data.theirs (word text) PARTITION BY LIST (word);
CREATE TABLE claude_gpt_data.theirs_a PARTITION OF claude_gpt_data.theirs FOR VALUES IN ('a');
SELECT results_eq($$SELECT table_name, from_at, is_default FROM list_partitions() WHERE partition_name = 'theirs_a'$$, $$VALUES ('theirs', NULL::timestamptz, false)$$, 'a partition by something else than time is listed without');
SELECT throws_ok($$SELECT create_next_partition('theirs', '2001-01-01', '2001-01-02', '1 week')$$, '22023', 'table "claude_gpt_data.theirs" is not partitioned by time', 'but none is made');
SELECT is(pg_temp.steps($$create_next_partition('mine', '1998-12-31Z', '1999-02-10Z', '1 month')$$), ARRAY['created partition mine_1999m01', 'created partition mine_1999m02'], 'partitions of a user''s own table, without a DEFAULT');
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL timezone = 'UTC';
SELECT set_eq($$SELECT pg_temp.ranges('mine')$$, ARRAY['mine_old -infinity 1999-01-01', 'mine_1999m01 1999-01-01 1999-02-01', 'mine_1999m02 1999-02-01 1999-03-01', 'mine_new 2030-03-02 infinity'], 'close the gap behind the one before');
INSERT INTO claude_gpt_data.mine SELECT '1990-01-01Z', 'x' FROM generate_series(1, 7);
SELECT is((SELECT row_estimate FROM list_partitions('mine') WHERE partition_name = 'mine_old'), NULL, 'there is no estimate of rows as long as none was made');
ANALYZE claude_gpt_data.mine_old;
SELECT is((SELECT row_estimate FROM list_partitions('mine') WHERE partition_name = 'mine_old'), 7::bigint, 'then there is');
DROP TABLE claude_gpt_data.mine, claude_gpt_data.theirs;

-- what is refused
SELECT throws_ok(format('SELECT create_next_partition(%s)', a), s, NULL, format('create_next_partition(%s) is refused', a))
FROM (VALUES ($$NULL, now(), now() + '1 day', '1 week'$$, '22004'), ($$'audit_logs', NULL, now(), '1 week'$$, '22004'), ($$'audit_logs', now(), NULL, '1 week'$$, '22004'), ($$'audit_logs', now(), now() + '1 day', NULL$$, '22004'),
             ($$'audit_logs', now(), now() + '1 day', '1 day'$$, '22023'), ($$'audit_logs', now(), now(), '1 week'$$, '22023'), ($$'audit_logs', now(), now() - interval '1 day', '1 week'$$, '22023'),
             ($$'audit_logs', '-infinity', now(), '1 week'$$, '22023'), ($$'audit_logs', now(), 'infinity', '1 week'$$, '22023'), ($$'audit_logs', '2001-01-01', '2101-01-01', '1 week'$$, '22023'),
             ($$'messages', now(), now() + '1 day', '1 year'$$, '22023'), ($$'nothing', now(), now() + '1 day', '1 year'$$, '42P01'), ($$'claude_gpt_data.audit_logs', now(), now() + '1 day', '1 year'$$, '42P01')) AS v (a, s);
SELECT throws_ok(format('SELECT drop_next_partition_before(%s)', a), s, NULL, format('drop_next_partition_before(%s) is refused', a))
FROM (VALUES ($$NULL, now()$$, '22004'), ($$'audit_logs', NULL$$, '22004'), ($$'audit_logs', 'infinity'$$, '22023'), ($$'users', now()$$, '22023'), ($$'nothing', now()$$, '42P01'), ($$'messages', now()$$, '0A000')) AS v (a, s);
SELECT throws_ok(format('SELECT delete_rows_before(%s)', a), s, NULL, format('delete_rows_before(%s) is refused', a))
FROM (VALUES ($$NULL, now()$$, '22004'), ($$'audit_logs', NULL$$, '22004'), ($$'audit_logs', now(), NULL, NULL$$, '22004'), ($$'audit_logs', now(), NULL, 0, NULL$$, '22004'), ($$'audit_logs', now(), NULL, -1$$, '22023'), ($$'audit_logs', now(), NULL, 0, 0$$, '22023'),
             ($$'users', now()$$, '22023'), ($$'nothing', now()$$, '42P01'), ($$'messages', now()$$, '0A000')) AS v (a, s);
SELECT throws_ok(format('SELECT partition_table_step(%s)', a), s, NULL, format('partition_table_step(%s) is refused', a))
FROM (VALUES ($$NULL, '1 year', now()$$, '22004'), ($$'messages', NULL, now()$$, '22004'), ($$'messages', '1 year', NULL$$, '22004'), ($$'messages', '1 day', now()$$, '22023'), ($$'audit_logs', '1 year', now()$$, '22023'), ($$'users', '1 year', now()$$, '22023')) AS v (a, s);
SELECT throws_ok(format('CALL %s', c), '2D000', NULL, format('%s is refused inside a transaction', c))
FROM unnest(ARRAY[$$create_partitions('audit_logs', now(), now() + '1 day')$$, $$drop_partitions_before('audit_logs', now())$$, $$partition_table('messages', '1 year')$$]) AS c;

-- empty periods
SELECT ok(has_partition_work('audit_logs', '2001-01-03Z', '2001-01-16Z', '1 week'), 'there is work');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2001-01-03Z', '2001-01-16Z', '1 week')$$), ARRAY['created partition audit_logs_2001w01', 'created partition audit_logs_2001w02', 'created partition audit_logs_2001w03'], 'a partition for every week');
SELECT set_eq($$SELECT pg_temp.ranges('audit_logs', '2000-12-01', '2001-03-01')$$, ARRAY['audit_logs_2001w01 2001-01-01 2001-01-08', 'audit_logs_2001w02 2001-01-08 2001-01-15', 'audit_logs_2001w03 2001-01-15 2001-01-22'], 'from Monday to Monday');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2001-01-03Z', '2001-01-22Z', '1 month')$$), '{}', 'there is none to make any more, of whatever width');
SELECT ok(NOT has_partition_work('audit_logs', '2001-01-03Z', '2001-01-16Z', '1 month'), 'which can be asked');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2001-01-22Z', '2001-01-22 00:00:00.000001Z', '1 month')$$), ARRAY['created partition audit_logs_2001m01'], 'a moment later there is');
CREATE TABLE claude_gpt_partitions.audit_logs_by_hand PARTITION OF claude_gpt_data.audit_logs FOR VALUES FROM ('2001-03-03 03:03:03.000003Z') TO ('2001-03-05Z');
SELECT is(cardinality(pg_temp.steps($$create_next_partition('audit_logs', '2000-12-30Z', '2001-04-02Z', '1 month')$$)), 5, 'a changed width goes on');
SELECT set_eq($$SELECT pg_temp.ranges('audit_logs', '2000-12-01', '2001-06-01')$$,
    ARRAY['audit_logs_2000m12 2000-12-01 2001-01-01', 'audit_logs_2001w01 2001-01-01 2001-01-08', 'audit_logs_2001w02 2001-01-08 2001-01-15', 'audit_logs_2001w03 2001-01-15 2001-01-22', 'audit_logs_2001m01 2001-01-22 2001-02-01', 'audit_logs_2001m02 2001-02-01 2001-03-01',
          'audit_logs_2001m03 2001-03-01 2001-03-03', 'audit_logs_by_hand 2001-03-03 2001-03-05', 'audit_logs_2001m03_2 2001-03-05 2001-04-01', 'audit_logs_2001m04 2001-04-01 2001-05-01'], 'without a gap or an overlap, around what was made by hand');
SELECT is((SELECT count(*) FROM (SELECT to_at, lead(from_at) OVER (ORDER BY from_at) AS next FROM list_partitions('audit_logs') WHERE from_at BETWEEN '2000-12-01' AND '2001-04-01') AS p WHERE next <> to_at), 0::bigint, 'to the microsecond');
INSERT INTO audit_logs (action, resource_type, created_at) VALUES ('x', 'y', '2001-03-03 03:03:03.000002Z'), ('x', 'y', '2001-03-03 03:03:03.000003Z'), ('x', 'y', '2001-03-05Z'), ('x', 'y', '2001-05-01Z');
SELECT results_eq($$SELECT tableoid::regclass::text FROM audit_logs WHERE action = 'x' ORDER BY created_at$$, ARRAY['audit_logs_2001m03', 'audit_logs_by_hand', 'audit_logs_2001m03_2', 'audit_logs_default'], 'rows go where they belong');
DELETE FROM audit_logs WHERE action = 'x';

-- they are what the server itself would have made
ALTER TABLE audit_logs ADD COLUMN gone integer, ADD COLUMN tag text DEFAULT 'none' CONSTRAINT short_tag CHECK (length(tag) < 20), ADD COLUMN double integer GENERATED ALWAYS AS (length(tag) * 2) STORED;
ALTER TABLE audit_logs DROP COLUMN gone, ALTER COLUMN tag SET STORAGE external;
CREATE FUNCTION pg_temp.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO noted VALUES (TG_OP || ' ' || TG_TABLE_NAME);
    RETURN COALESCE(NEW, OLD);
END
$$;
CREATE TEMPORARY TABLE noted (what text);
CREATE TRIGGER note BEFORE INSERT OR UPDATE OR DELETE ON audit_logs FOR EACH ROW EXECUTE FUNCTION pg_temp.note();
ALTER TABLE audit_logs ENABLE ALWAYS TRIGGER note;
CREATE UNIQUE INDEX my_unique ON audit_logs (request_id, created_at) WITH (fillfactor = 50);
CREATE TABLE claude_gpt_partitions.audit_logs_of_server PARTITION OF claude_gpt_data.audit_logs FOR VALUES FROM ('2002-12-30Z') TO ('2003-01-06Z');
CREATE TABLE claude_gpt_partitions.usage_records_of_server PARTITION OF claude_gpt_data.usage_records FOR VALUES FROM ('2002-10-01Z') TO ('2003-01-01Z');
SELECT lives_ok($$SELECT create_next_partition('audit_logs', '2003-01-06Z', '2003-01-07Z', '1 week'), create_next_partition('usage_records', '2003-01-06Z', '2003-01-07Z', '3 months')$$, 'a partition of ours');
SELECT set_eq($$SELECT pg_temp.picture('audit_logs_2003w02')$$, $$SELECT pg_temp.picture('audit_logs_of_server')$$, 'has what one of the server has: columns, constraints, indexes, triggers, owner');
SELECT set_eq($$SELECT pg_temp.picture('usage_records_2003q1')$$, $$SELECT pg_temp.picture('usage_records_of_server')$$, 'in usage_records too');
ALTER TABLE audit_logs_default SET (autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_enabled = off), REPLICA IDENTITY FULL;
SELECT is(create_next_partition('audit_logs', '2003-01-13Z', '2003-01-14Z', '1 week'), 'created partition audit_logs_2003w03', 'another');
SELECT is((SELECT concat_ws(' ', c.reloptions, t.reloptions, c.relreplident) FROM pg_class AS c JOIN pg_class AS t ON t.oid = c.reltoastrelid WHERE c.relname = 'audit_logs_2003w03'),
          '{autovacuum_vacuum_scale_factor=0.01} {autovacuum_enabled=off} f', 'has the storage parameters and the replica identity of the DEFAULT partition');
ALTER TABLE audit_logs_default RESET (autovacuum_vacuum_scale_factor, toast.autovacuum_enabled), REPLICA IDENTITY DEFAULT;

-- a filled DEFAULT partition: few rows
CREATE TEMPORARY TABLE before_swap ON COMMIT DROP AS SELECT * FROM audit_logs LIMIT 0;
SELECT pg_temp.new_user('ada') AS ada \gset
INSERT INTO audit_logs (user_id, action, resource_type, tag, created_at) SELECT :'ada', 'swap', 'y', 'tag ' || n, '2005-01-05Z'::timestamptz + n * interval '1 day' FROM generate_series(0, 39) AS n;
INSERT INTO audit_logs (action, resource_type, tag, created_at) VALUES ('swap', 'y', 'before', '1950-01-01Z'), ('swap', 'y', 'ever', 'infinity'), ('swap', 'y', 'never', '-infinity'), ('swap', 'y', 'later', '2005-12-30Z');
INSERT INTO before_swap SELECT * FROM audit_logs WHERE action = 'swap';
SELECT relfilenode AS file FROM pg_class WHERE relname = 'audit_logs_default' \gset
DELETE FROM noted;
SELECT ok(has_partition_work('audit_logs', '2005-01-25Z', '2005-03-01Z', '1 week'), 'rows in the DEFAULT partition are work');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2005-01-25Z', '2005-03-01Z', '1 week')$$),
    ARRAY['turned the default partition into audit_logs_2005w01_2005w06 and moved 4 rows out of it', 'created partition audit_logs_2005w07', 'created partition audit_logs_2005w08', 'created partition audit_logs_2005w09'],
    'the DEFAULT partition becomes that of its rows, others are created');
SELECT is((SELECT relfilenode::text FROM pg_class WHERE relname = 'audit_logs_2005w01_2005w06'), :'file', 'nothing is copied');
SELECT set_eq($$SELECT pg_temp.ranges('audit_logs', '2004-12-01', '2005-06-01')$$,
    ARRAY['audit_logs_2005w01_2005w06 2005-01-03 2005-02-14', 'audit_logs_2005w07 2005-02-14 2005-02-21', 'audit_logs_2005w08 2005-02-21 2005-02-28', 'audit_logs_2005w09 2005-02-28 2005-03-07'], 'for all the weeks that had rows');
SELECT bag_eq($$SELECT * FROM audit_logs WHERE action = 'swap'$$, 'SELECT * FROM before_swap', 'every row is there, as it was');
SELECT bag_eq($$SELECT tag FROM audit_logs_default WHERE action = 'swap'$$, ARRAY['before', 'ever', 'never', 'later'], 'those of other times in the new DEFAULT partition');
SELECT is_empty('SELECT * FROM noted', 'no trigger took it for a change');
SELECT set_eq($$SELECT pg_temp.picture('audit_logs_2005w01_2005w06')$$, $$SELECT pg_temp.picture('audit_logs_of_server')$$, 'what was the DEFAULT partition is like any other');
SELECT set_eq($$SELECT pg_temp.picture('audit_logs_default')$$, $$SELECT pg_temp.picture('audit_logs_of_server')$$, 'and so is the new one');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2005-01-25Z', '2005-03-01Z', '1 week')$$), '{}', 'nothing is left to do, although rows of other times are in it');
SELECT ok(NOT has_partition_work('audit_logs', '2005-01-25Z', '2005-03-01Z', '1 week'), 'nor is it work');
UPDATE audit_logs SET tag = 'changed' WHERE tag IN ('tag 1', 'later');
DELETE FROM users WHERE id = :'ada';
SELECT is((SELECT count(*) FROM audit_logs WHERE action = 'swap' AND user_id IS NULL AND created_at < 'infinity'), 43::bigint, 'foreign keys and statements work on all of them');
SELECT set_eq('SELECT what FROM noted', ARRAY['UPDATE audit_logs_2005w01_2005w06', 'UPDATE audit_logs_default'], 'triggers too');
DELETE FROM audit_logs WHERE action = 'swap';

-- rows of now have their place before anything else
DO $$
DECLARE
    p name;
BEGIN
    FOR p IN SELECT partition_name FROM claude_gpt.list_partitions('audit_logs') WHERE to_at > now() - interval '70 days' LOOP
        EXECUTE format('DROP TABLE claude_gpt_partitions.%I', p);
    END LOOP;
END
$$;
INSERT INTO audit_logs (action, resource_type, created_at) VALUES ('now', 'y', now() - interval '60 days');
SELECT matches(array_to_string(pg_temp.steps(format('create_next_partition(''audit_logs'', %L, %L, ''1 month'')', now() - interval '60 days', now() + interval '70 days')), ','),
    format('^created partition audit_logs_%s(,created partition audit_logs_%s)?,turned the default partition into audit_logs_%s(,created partition audit_logs_\d+m\d+)+$', to_char(now(), 'YYYY"m"MM'), to_char(now() + interval '1 day', 'YYYY"m"MM'),
           to_char(now() - interval '60 days', 'YYYY"m"MM')), 'before the DEFAULT partition is touched, rows of now have a partition');
DELETE FROM audit_logs WHERE action = 'now';

-- which range: never across a partition, never far for the sake of a few
INSERT INTO audit_logs (action, resource_type, created_at) SELECT 'gap', 'y', m::timestamptz FROM unnest(ARRAY['2006-01-31Z', '2006-02-10Z', '2006-02-20Z', '2006-03-01Z', '2006-03-30Z']) AS m;
CREATE TABLE claude_gpt_partitions.audit_logs_hand PARTITION OF claude_gpt_data.audit_logs FOR VALUES FROM ('2006-02-11Z') TO ('2006-02-20Z');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2006-02-25Z', '2006-03-10Z', '1 month')$$), ARRAY['turned the default partition into audit_logs_2006m02_2006m03 and moved 2 rows out of it'], 'rows beyond a partition are left');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2006-02-01Z', '2006-02-25Z', '1 month')$$), ARRAY['turned the default partition into audit_logs_2006m01_2006m02'], 'until their turn comes');
SELECT set_eq($$SELECT pg_temp.ranges('audit_logs', '2006-01-01', '2006-04-02')$$, ARRAY['audit_logs_2006m01_2006m02 2006-01-01 2006-02-11', 'audit_logs_hand 2006-02-11 2006-02-20', 'audit_logs_2006m02_2006m03 2006-02-20 2006-04-01'], 'each up to the partition');
INSERT INTO audit_logs (action, resource_type, created_at) SELECT 'far', 'y', '2007-01-01Z'::timestamptz + n * interval '1 minute' FROM generate_series(1, 10500) AS n;
INSERT INTO audit_logs (action, resource_type, created_at) SELECT 'far', 'y', '2009-01-01Z'::timestamptz + n * interval '1 minute' FROM generate_series(1, 10) AS n;
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2009-01-01Z', '2009-01-02Z', '1 month')$$), ARRAY['turned the default partition into audit_logs_2007m01_2009m01'],
          'many rows elsewhere are not moved: the partition reaches them');
DELETE FROM audit_logs WHERE action IN ('gap', 'far');

-- a large one: proved first, in steps that stand alone
CREATE FUNCTION pg_temp.fill(p_from timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO claude_gpt_data.audit_logs (action, resource_type, user_agent, created_at) SELECT 'large', 'y', repeat('x', 1850), p_from + n * interval '1 minute' FROM generate_series(0, 4100) AS n
$$;
ALTER TABLE audit_logs DISABLE TRIGGER note;
SELECT pg_temp.fill('2010-01-04Z');
SELECT is(create_next_partition('audit_logs', '2010-01-04Z', '2010-01-08Z', '1 week'), 'began to turn the default partition into audit_logs_2010w01', 'first a constraint');
SELECT ok(has_partition_work('audit_logs', '1999-01-01Z', '1999-01-02Z', '1 week'), 'an interruption leaves work behind');
SELECT lives_ok($$INSERT INTO audit_logs (action, resource_type, created_at) VALUES ('large', 'y', '2010-01-10 23:59:59.999999Z')$$, 'rows of the period are taken meanwhile');
SELECT throws_ok($$INSERT INTO audit_logs (action, resource_type, created_at) VALUES ('large', 'y', '2010-01-11Z')$$, '23514', NULL, 'others that have no partition are not');
SELECT is(create_next_partition('audit_logs', '2010-01-04Z', '2010-01-08Z', '1 week'), 'looked through the default partition for audit_logs_2010w01', 'then a look that lets writers go on');
SELECT is(create_next_partition('audit_logs', '2010-02-04Z', '2010-02-08Z', '1 week'), 'turned the default partition into audit_logs_2010w01', 'then the swap, whatever is asked for by then');
SELECT is((SELECT count(*) FROM audit_logs_2010w01), 4102::bigint, 'with its rows');
SELECT is_empty($$SELECT conname FROM pg_constraint WHERE conname LIKE 'claude\_gpt\_%\_partition'$$, 'no constraint is left');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2010-02-04Z', '2010-02-08Z', '1 week')$$), ARRAY['created partition audit_logs_2010w05'], 'then what is asked for');
-- what an interruption left, and was then overtaken
SELECT pg_temp.fill('2011-01-03Z');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2011-01-04Z', '2011-01-08Z', '1 week')$$, 1), ARRAY['began to turn the default partition into audit_logs_2011w01'], 'begun again');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2012-01-02Z', '2012-01-03Z', '1 week')$$, 2),
          ARRAY['looked through the default partition for audit_logs_2011w01', 'turned the default partition into audit_logs_2011w01'], 'it is finished first');
SELECT pg_temp.fill('2013-01-07Z');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2013-01-07Z', '2013-01-08Z', '1 week')$$, 1), ARRAY['began to turn the default partition into audit_logs_2013w02'], 'begun a third time');
ALTER TABLE audit_logs_default DROP CONSTRAINT claude_gpt_becomes_partition;
INSERT INTO audit_logs (action, resource_type, created_at) VALUES ('large', 'y', '2013-07-07Z');
ALTER TABLE audit_logs_default ADD CONSTRAINT claude_gpt_becomes_partition CHECK (created_at >= '2013-01-07Z' AND created_at < '2013-01-14Z') NOT VALID;
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2013-01-07Z', '2013-01-08Z', '1 week')$$), ARRAY['gave up the partition of audit_logs from 2013-01-07 00:00:00+00 to 2013-01-14 00:00:00+00',
          'turned the default partition into audit_logs_2013w02 and moved 1 rows out of it'], 'a row that slipped in before the constraint is moved instead');
DELETE FROM audit_logs WHERE created_at = '2013-07-07Z';
SELECT pg_temp.fill('2014-01-06Z');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2014-01-06Z', '2014-01-07Z', '1 week')$$, 2), ARRAY['began to turn the default partition into audit_logs_2014w02', 'looked through the default partition for audit_logs_2014w02'], 'begun once more');
CREATE TABLE claude_gpt_partitions.audit_logs_other PARTITION OF claude_gpt_data.audit_logs FOR VALUES FROM ('2014-01-11Z') TO ('2014-01-12Z');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2014-01-06Z', '2014-01-07Z', '1 week')$$)::text, ARRAY['gave up the partition of audit_logs from 2014-01-06 00:00:00+00 to 2014-01-13 00:00:00+00', 'began to turn the default partition into audit_logs_2014w02',
          'looked through the default partition for audit_logs_2014w02', 'turned the default partition into audit_logs_2014w02']::text, 'a partition that was made by hand meanwhile is respected');
-- beside a large one
SELECT pg_temp.fill('2015-01-05Z');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2015-02-01Z', '2015-02-08Z', '1 week')$$), ARRAY['created partition audit_logs_2015w05', 'began to create partition audit_logs_2015w06',
          'looked through the default partition for audit_logs_2015w06', 'created partition audit_logs_2015w06'], 'a period that has begun is never refused, one to come is proved to be empty');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2015-02-10Z', '2015-02-18Z', '1 week')$$, 2), ARRAY['created partition audit_logs_2015w07', 'began to create partition audit_logs_2015w08'], 'another of them is begun');
SELECT throws_ok($$INSERT INTO audit_logs (action, resource_type, created_at) VALUES ('large', 'y', '2015-02-16Z')$$, '23514', NULL, 'for a moment its rows are not taken');
SELECT lives_ok($$INSERT INTO audit_logs (action, resource_type, created_at) VALUES ('large', 'y', '2015-02-23Z')$$, 'but any others');
SELECT is(pg_temp.steps($$create_next_partition('audit_logs', '2015-02-10Z', '2015-02-12Z', '1 week')$$), ARRAY['gave up the partition of audit_logs from 2015-02-16 00:00:00+00 to 2015-02-23 00:00:00+00'], 'what is not asked for any more is given up');
SELECT is_empty($$SELECT conname FROM pg_constraint WHERE conname LIKE 'claude\_gpt\_%\_partition'$$, 'without a trace');
DELETE FROM audit_logs WHERE action = 'large';

-- dropping
DROP TABLE claude_gpt_partitions.audit_logs_of_server, claude_gpt_partitions.usage_records_of_server;
SELECT is((pg_temp.steps($$drop_next_partition_before('audit_logs', '2001-01-21 23:59:59.999999Z')$$)), ARRAY['dropped partition audit_logs_2000m12', 'dropped partition audit_logs_2001w01', 'dropped partition audit_logs_2001w02'], 'partitions that end before, the oldest first');
SELECT is((pg_temp.steps($$drop_next_partition_before('audit_logs', '2001-01-22Z')$$)), ARRAY['dropped partition audit_logs_2001w03'], 'or at the moment');
INSERT INTO audit_logs (action, resource_type, created_at) VALUES ('kept', 'y', '2000-12-05Z');
SELECT is((pg_temp.steps($$drop_next_partition_before('audit_logs', '2001-01-22Z')$$)), '{}', 'then none');
SELECT is((SELECT tableoid::regclass::text FROM audit_logs WHERE action = 'kept'), 'audit_logs_default', 'the DEFAULT partition stays');

-- usage records: what they hold is carried
SELECT pg_temp.new_user('bob') AS bob, pg_temp.new_user('cid') AS cid \gset
SELECT is(cardinality(pg_temp.steps($$create_next_partition('usage_records', '2001-01-01Z', '2001-12-31Z', '3 months')$$)), 4, 'a year of the ledger');
CREATE FUNCTION pg_temp.record(p_user uuid, p_at timestamptz, p_type text, p_quantity bigint, p_cost numeric, p_rows integer DEFAULT 1) RETURNS void LANGUAGE sql AS $$
    INSERT INTO claude_gpt_data.usage_records (user_id, usage_type, quantity, cost, created_at, billing_period)
    SELECT p_user, p_type, p_quantity, p_cost, p_at, date_trunc('month', p_at AT TIME ZONE 'UTC')::date FROM generate_series(1, p_rows);
$$;
CREATE FUNCTION pg_temp.balances(p_user uuid) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', usage_type, billing_period, quantity, cost) FROM claude_gpt_data.usage_balances WHERE user_id = p_user
$$;
SELECT pg_temp.record(:'bob', '2001-01-31 23:59Z', 'token', 10, 0.25), pg_temp.record(:'bob', '2001-02-01Z', 'token', 5, 0.5, 3), pg_temp.record(:'bob', '2001-03-31Z', 'message', 1, 0),
       pg_temp.record(:'cid', '2001-01-01Z', 'api_call', 0, 0), pg_temp.record(:'cid', '2001-01-01Z', 'token', 0, 0.125), pg_temp.record(:'cid', '2001-04-01Z', 'token', 7, 0.75), pg_temp.record(:'cid', '2001-07-01Z', 'token', 9, 0, 2);
INSERT INTO usage_balances VALUES (:'bob', 'token', '2001-02-01', 100, 1);
SELECT count(*) AS repaired FROM repair_books() \gset
SELECT is_empty('SELECT * FROM prove_books()', 'the books are true');
SELECT is(drop_next_partition_before('usage_records', '2001-07-01Z'), 'dropped partition usage_records_2001q1', 'a quarter of the ledger is dropped');
SELECT is_empty('SELECT * FROM prove_books()', 'and the books stay true');
SELECT set_eq(format('SELECT pg_temp.balances(%L)', :'bob'), ARRAY['token 2001-01-01 10 0.250000000', 'token 2001-02-01 115 2.500000000', 'message 2001-03-01 1 0.000000000'], 'its sums are balances, added to those there were');
SELECT set_eq(format('SELECT pg_temp.balances(%L)', :'cid'), ARRAY['token 2001-01-01 0 0.125000000'], 'without those that are nothing');
SELECT is(pg_temp.steps($$drop_next_partition_before('usage_records', '2001-07-01Z')$$), ARRAY['dropped partition usage_records_2001q2'], 'the next, then none');
-- much of it, in parts
SELECT pg_temp.record(:'bob', '2001-08-01Z', 'token', 1, 0.001, 30000), pg_temp.record(:'cid', '2001-09-01Z', 'message', 1, 0.002, 20000);
SELECT count(*) AS repaired FROM repair_books() \gset
CREATE TEMPORARY TABLE carried ON COMMIT DROP AS SELECT NULL::text AS step, NULL::bigint AS differences LIMIT 0;
DO $$
DECLARE
    step text;
BEGIN
    LOOP
        step := claude_gpt_internal.drop_next_partition_before('usage_records', '2001-10-01Z');
        INSERT INTO carried SELECT step, (SELECT count(*) FROM claude_gpt.prove_books());
        EXIT WHEN step IS NULL;
    END LOOP;
END
$$;
SELECT is((SELECT sum(differences) FROM carried), 0::numeric, 'the books are true after each step');
SELECT matches((SELECT string_agg(step, ',') FROM carried), '^(carried \d+ records of partition usage_records_2001q3,)+dropped partition usage_records_2001q3$', 'a large partition goes in parts');
SELECT set_eq(format('SELECT pg_temp.balances(%L)', :'cid'), ARRAY['token 2001-01-01 0 0.125000000', 'token 2001-04-01 7 0.750000000', 'token 2001-07-01 18 0.000000000', 'message 2001-09-01 20000 40.000000000'], 'none is lost');

-- deleting by age
INSERT INTO audit_logs (action, resource_type, user_agent, created_at) SELECT 'walk', 'y', repeat('x', 1000), '2001-01-22Z'::timestamptz + n * interval '5 hours' FROM generate_series(0, 599) AS n;
INSERT INTO audit_logs (action, resource_type, created_at) VALUES ('walk', 'y', '1990-01-01Z'), ('walk', 'y', '2001-03-14Z'), ('walk', 'y', '2001-03-13 23:59:59.999999Z'), ('walk', 'y', 'infinity'), ('walk', 'y', '-infinity');
CREATE FUNCTION pg_temp.walk(p_table text, p_before timestamptz, p_blocks integer) RETURNS TABLE (deleted bigint, batches bigint) LANGUAGE plpgsql AS $$
DECLARE
    part regclass;
    block bigint := 0;
    batch bigint;
BEGIN
    deleted := 0;
    batches := 0;
    LOOP
        SELECT d.deleted, d.next_partition, d.next_block INTO batch, part, block FROM claude_gpt_internal.delete_rows_before(p_table, p_before, part, COALESCE(block, 0), p_blocks) AS d;
        deleted := deleted + batch;
        batches := batches + 1;
        EXIT WHEN part IS NULL;
    END LOOP;
    RETURN NEXT;
END
$$;
SELECT count(*) AS older FROM audit_logs WHERE created_at < '2001-03-14Z' \gset
SELECT count(*) AS others FROM audit_logs WHERE created_at >= '2001-03-14Z' \gset
SELECT cmp_ok(:older, '>', 240, 'there is something to delete');
SELECT is((SELECT deleted FROM delete_rows_before('audit_logs', '-infinity', p_blocks => 100000)), 0::bigint, 'a batch may find nothing');
SELECT results_eq($$SELECT deleted FROM pg_temp.walk('audit_logs', '2001-03-14Z', 3)$$, ARRAY[:older::bigint], 'a walk in small batches deletes all rows before the moment, the DEFAULT partition''s too');
SELECT is((SELECT count(*) FROM audit_logs WHERE created_at >= '2001-03-14Z'), :others::bigint, 'and no others');
SELECT is((SELECT count(*) FROM audit_logs WHERE created_at < '2001-03-14Z'), 0::bigint, 'none is left');
SELECT results_eq($$SELECT next_block, next_partition IS NULL FROM delete_rows_before('audit_logs', '2001-03-14Z', 'audit_logs_2001m03_2', 0, 1) $$, 'VALUES (1::bigint, false)', 'a batch says where to go on');
SELECT results_eq($$SELECT deleted, next_block, next_partition::text FROM delete_rows_before('audit_logs', '2001-03-14Z', (SELECT max(oid)::bigint + 1 FROM pg_class)::oid::regclass, 7, 1)$$, 'VALUES (0::bigint, NULL::bigint, NULL::text)', 'a walk over a partition that is gone comes to its end');
SELECT pg_temp.record(:'bob', '2001-10-05Z', 'token', 2, 0.1, 300), pg_temp.record(:'cid', '1999-05-05Z', 'token', 3, 0.1, 2), pg_temp.record(:'cid', '2001-12-05Z', 'message', 1, 0);
SELECT count(*) AS repaired FROM repair_books() \gset
SELECT results_eq($$SELECT deleted FROM pg_temp.walk('usage_records', '2001-12-05Z', 1)$$, ARRAY[302::bigint], 'records of the ledger are deleted');
SELECT is_empty('SELECT * FROM prove_books()', 'and the books stay true');
SELECT is((SELECT count(*) FROM usage_records WHERE created_at < '2002-01-01Z'), 1::bigint, 'what is not older stays');
SELECT bag_has(format('SELECT pg_temp.balances(%L)', :'cid'), $$VALUES ('token 1999-05-01 6 0.200000000')$$, 'those of the DEFAULT partition are carried too');

-- by an owner who is no superuser
CREATE ROLE pgtap_keeper;
SELECT set_owner('pgtap_keeper');
INSERT INTO audit_logs (action, resource_type, created_at) VALUES ('owned', 'y', '2020-01-01Z'), ('owned', 'y', '2040-01-01Z');
SELECT is(pg_temp.as_role('pgtap_keeper', $$DO 'BEGIN WHILE claude_gpt_internal.create_next_partition(''audit_logs'', ''2020-01-01Z'', ''2020-02-02Z'', ''1 month'') IS NOT NULL LOOP END LOOP; END'$$), 'done', 'the owner makes partitions');
SELECT is(pg_temp.as_role('pgtap_keeper', $$SELECT claude_gpt_internal.create_next_partition('usage_records', '2020-01-01Z', '2020-02-02Z', '1 month'), claude_gpt_internal.drop_next_partition_before('usage_records', '2020-02-01Z'), claude_gpt_internal.delete_rows_before('audit_logs', '1990-01-01Z')$$), 'done', 'and drops them');
SELECT is_empty($$SELECT relname FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND relname ~ '^(audit_logs|usage_records)' AND relowner <> 'pgtap_keeper'::regrole$$, 'his they are');
SELECT throws_ok(c, '42501', NULL, format('a superuser would run what the owner made: %s', c))
FROM unnest(ARRAY[$$SELECT create_next_partition('audit_logs', '2020-03-01Z', '2020-03-02Z', '1 month')$$, $$SELECT drop_next_partition_before('audit_logs', '2020-03-01Z')$$, $$SELECT delete_rows_before('audit_logs', '2020-03-01Z')$$,
                  $$SELECT partition_table_step('messages', '1 year', now())$$, $$SELECT attach_partition('audit_logs', '2020-03-01Z', '2020-04-01Z', 'x')$$, $$SELECT swap_default_partition('audit_logs', '2020-03-01Z', '2020-04-01Z', 'x')$$,
                  $$SELECT convert_to_partitions('messages')$$, $$SELECT drop_references('messages', true)$$, $$SELECT build_partition('audit_logs', 'audit_logs', 'x')$$, $$SELECT lock_referenced_tables('messages')$$,
                  $$SELECT revoke_table_grants('messages', true)$$, $$SELECT range_to_swap('audit_logs', now(), '1 week')$$]) AS c;
CREATE ROLE pgtap_stranger;
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND p.proname ~ '(partition|reference|range_to_swap|rows_before|table_)' AND has_function_privilege('pgtap_stranger', p.oid, 'EXECUTE')$$, 'nobody else may call anything of it');
GRANT USAGE ON SCHEMA claude_gpt_data TO pgtap_stranger;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA claude_gpt, claude_gpt_internal TO pgtap_stranger;
SELECT is(pg_temp.as_role('pgtap_stranger', s), '42501', format('and if he might: %s', s))
FROM unnest(ARRAY[$$SELECT claude_gpt_internal.create_next_partition('audit_logs', '2021-03-01Z', '2021-03-02Z', '1 month')$$, $$SELECT claude_gpt_internal.drop_next_partition_before('audit_logs', '2021-03-01Z')$$,
                  $$SELECT claude_gpt_internal.delete_rows_before('audit_logs', '2021-03-01Z')$$, $$SELECT claude_gpt_internal.partition_table_step('messages', '1 year', now())$$]) AS s;
SELECT is(pg_temp.as_role('pgtap_stranger', 'SELECT * FROM claude_gpt.list_partitions()'), 'done', 'the list shows what anybody may see');

SET LOCAL client_min_messages = error;  -- that wal_level is too low to publish
-- messages: what stands in the way is named before anything is changed
CREATE FUNCTION pg_temp.obstacle(p_setup text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    EXECUTE p_setup;
    SET LOCAL ROLE pgtap_keeper;
    PERFORM claude_gpt_internal.partition_table_step('messages', '1 year', now());
    RETURN 'none';
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN detail;
END
$$;
CREATE TABLE public.pgtap_notes (id integer, message_id uuid);
GRANT ALL ON public.pgtap_notes TO pgtap_keeper;
SELECT is(pg_temp.obstacle(s), format('In the way: %s.', o), o) FROM (VALUES
    ($$CREATE VIEW public.pgtap_view AS SELECT id FROM claude_gpt_data.messages$$, 'view public.pgtap_view'),
    ($$CREATE VIEW claude_gpt_data.pgtap_view AS SELECT id FROM claude_gpt_data.messages$$, 'view claude_gpt_data.pgtap_view'),
    ($$CREATE MATERIALIZED VIEW claude_gpt_data.pgtap_view AS SELECT id FROM claude_gpt_data.messages$$, 'materialized view claude_gpt_data.pgtap_view'),
    ($$CREATE FUNCTION public.pgtap_f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM claude_gpt_data.messages; END$$, 'function public.pgtap_f()'),
    ($$CREATE FUNCTION public.pgtap_f(claude_gpt_data.messages[]) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'$$, 'function public.pgtap_f(claude_gpt_data.messages[])'),
    ($$ALTER TABLE public.pgtap_notes ADD COLUMN copy claude_gpt_data.messages$$, 'column copy of table public.pgtap_notes'),
    ($$CREATE POLICY pgtap_policy ON public.pgtap_notes USING (EXISTS (SELECT FROM claude_gpt_data.messages))$$, 'policy pgtap_policy on table public.pgtap_notes'),
    ($$CREATE RULE pgtap_rule AS ON DELETE TO claude_gpt_data.messages DO INSTEAD NOTHING$$, 'rule pgtap_rule'),
    ($$ALTER TABLE messages ADD COLUMN number integer GENERATED ALWAYS AS IDENTITY$$, 'identity column number'),
    ($$ALTER TABLE messages ADD CONSTRAINT pgtap_check CHECK (role <> '') NOT VALID$$, 'constraint pgtap_check, which is not validated'),
    ($$ALTER TABLE messages ADD CONSTRAINT pgtap_check CHECK (role <> '') NO INHERIT$$, 'constraint pgtap_check, which is not inherited'),
    ($$ALTER TABLE messages ADD CONSTRAINT pgtap_check EXCLUDE USING btree (id WITH =)$$, 'constraint pgtap_check, which excludes'),
    ($$ALTER TABLE messages ADD COLUMN user_key uuid, ADD CONSTRAINT pgtap_key FOREIGN KEY (user_key) REFERENCES claude_gpt_data.users NOT VALID$$, 'constraint pgtap_key, which is not validated'),
    ($$CREATE UNIQUE INDEX pgtap_index ON messages (conversation_id) INCLUDE (id)$$, 'unique index pgtap_index, which does not include id'),
    ($$CREATE UNIQUE INDEX pgtap_index ON messages (id, role); ALTER TABLE messages REPLICA IDENTITY USING INDEX pgtap_index$$, 'replica identity pgtap_index'),
    ($$CREATE FUNCTION public.pgtap_t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER pgtap_trigger AFTER INSERT ON messages REFERENCING NEW TABLE AS n FOR EACH ROW EXECUTE FUNCTION public.pgtap_t()$$,
     'trigger pgtap_trigger, for each row with a transition table'),
    ($$CREATE TABLE public.pgtap_child () INHERITS (claude_gpt_data.messages)$$, 'inheritance between public.pgtap_child and claude_gpt_data.messages; table public.pgtap_child'),
    ($$ALTER TABLE public.pgtap_notes ADD CONSTRAINT pgtap_key FOREIGN KEY (message_id) REFERENCES claude_gpt_data.messages NOT VALID$$, 'foreign key pgtap_key of public.pgtap_notes, which is not validated'),
    ($$ALTER TABLE public.pgtap_notes ADD CONSTRAINT pgtap_key FOREIGN KEY (message_id) REFERENCES claude_gpt_data.messages; ALTER TABLE public.pgtap_notes OWNER TO pgtap_stranger$$, 'foreign key pgtap_key of public.pgtap_notes, which belongs to pgtap_stranger'),
    ($$CREATE PUBLICATION pgtap_p FOR TABLE claude_gpt_data.messages WITH (publish_via_partition_root = true); ALTER PUBLICATION pgtap_p OWNER TO pgtap_stranger$$, 'publication pgtap_p, which belongs to pgtap_stranger'),
    ($$CREATE PUBLICATION pgtap_p FOR TABLE claude_gpt_data.messages$$, 'publication pgtap_p, which would publish its partitions under their own names (publish_via_partition_root = false)'),
    ($$CREATE PUBLICATION pgtap_p FOR ALL TABLES$$, 'publication pgtap_p, which would publish its partitions under their own names (publish_via_partition_root = false)'),
    ($$CREATE PUBLICATION pgtap_p FOR TABLES IN SCHEMA claude_gpt_data$$, 'publication pgtap_p, which would publish its partitions under their own names (publish_via_partition_root = false)'),
    ($$DROP TABLE public.pgtap_notes; ALTER TABLE messages SET UNLOGGED$$, 'an unlogged table')) AS v (s, o) WHERE o <> 'an unlogged table';
SELECT is(pg_temp.obstacle($$CREATE VIEW public.pgtap_a AS SELECT id FROM claude_gpt_data.messages; CREATE VIEW public.pgtap_b AS SELECT id FROM claude_gpt_data.messages$$), 'In the way: view public.pgtap_a; view public.pgtap_b.', 'all of them at once');
SELECT is((SELECT relkind FROM pg_class WHERE oid = 'claude_gpt_data.messages'::regclass), 'r', 'nothing was changed');

-- messages as a user may have extended them
SET LOCAL ROLE pgtap_keeper;
ALTER TABLE messages ADD COLUMN gone integer, ADD COLUMN tag text DEFAULT 'none' CONSTRAINT short_tag CHECK (length(tag) < 20), ADD COLUMN doubled text GENERATED ALWAYS AS (tag || tag) STORED, ADD COLUMN number serial, ADD COLUMN note_id integer;
ALTER TABLE messages DROP COLUMN gone, ALTER COLUMN tag SET STATISTICS 77, ALTER COLUMN tag SET (n_distinct = 5), ALTER COLUMN content SET STORAGE external, SET (fillfactor = 90), ADD CONSTRAINT tag_key UNIQUE (tag, id);
CREATE TABLE claude_gpt_data.pgtap_kinds (id integer PRIMARY KEY);
ALTER TABLE messages ADD CONSTRAINT my_kind FOREIGN KEY (note_id) REFERENCES claude_gpt_data.pgtap_kinds ON DELETE CASCADE DEFERRABLE;
CREATE INDEX my_index ON messages (lower(tag) text_pattern_ops DESC) INCLUDE (role) WITH (fillfactor = 60) WHERE tag <> 'none';
CREATE STATISTICS claude_gpt_data.my_statistics (dependencies) ON role, status FROM messages;
ALTER STATISTICS claude_gpt_data.my_statistics SET STATISTICS 55;
CREATE FUNCTION claude_gpt_data.pgtap_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO claude_gpt_data.pgtap_noted VALUES (TG_NAME || ' ' || TG_OP); RETURN COALESCE(NEW, OLD); END $$;
CREATE TABLE claude_gpt_data.pgtap_noted (what text);
CREATE TRIGGER my_always AFTER INSERT OR DELETE ON messages FOR EACH ROW EXECUTE FUNCTION claude_gpt_data.pgtap_note();
CREATE TRIGGER my_replica AFTER UPDATE OF role ON messages FOR EACH ROW WHEN (NEW.role = 'system') EXECUTE FUNCTION claude_gpt_data.pgtap_note();
CREATE TRIGGER my_disabled AFTER DELETE ON messages REFERENCING OLD TABLE AS o FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_data.pgtap_note();
ALTER TABLE messages ENABLE ALWAYS TRIGGER my_always, ENABLE REPLICA TRIGGER my_replica, DISABLE TRIGGER my_disabled, ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, REPLICA IDENTITY FULL;
CREATE POLICY my_own ON messages FOR SELECT TO pgtap_stranger USING (role <> 'system' AND EXISTS (SELECT FROM claude_gpt_data.messages AS m WHERE m.id = messages.id));
CREATE POLICY my_all ON messages TO pgtap_keeper USING (true) WITH CHECK (content <> 'never');
CREATE POLICY my_restriction ON messages AS RESTRICTIVE FOR INSERT WITH CHECK (role <> 'robot');
COMMENT ON TABLE messages IS 'my comment''s';
COMMENT ON COLUMN messages.tag IS 'my column';
COMMENT ON CONSTRAINT short_tag ON messages IS 'my check';
COMMENT ON CONSTRAINT my_kind ON messages IS 'my key';
COMMENT ON INDEX my_index IS 'my index';
COMMENT ON TRIGGER my_always ON messages IS 'my trigger';
COMMENT ON POLICY my_own ON messages IS 'my policy';
COMMENT ON STATISTICS claude_gpt_data.my_statistics IS 'my statistics';
COMMENT ON CONSTRAINT messages_pkey ON messages IS 'my primary key';
COMMENT ON CONSTRAINT usage_records_message_id_fkey ON usage_records IS 'records''
message';
GRANT SELECT, UPDATE ON messages TO pgtap_stranger;
GRANT INSERT ON messages TO pgtap_stranger WITH GRANT OPTION;
GRANT UPDATE (role, tag) ON messages TO PUBLIC;
CREATE TABLE claude_gpt_data.pgtap_likes (message_id uuid REFERENCES messages ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, conversation_id uuid REFERENCES conversations ON DELETE SET NULL, tag text, CONSTRAINT my_tag FOREIGN KEY (tag, message_id) REFERENCES messages (tag, id) MATCH FULL ON DELETE CASCADE);
CREATE VIEW claude_gpt_data.my_view WITH (security_barrier, security_invoker = true, check_option = local) AS SELECT * FROM messages WHERE role = 'system';
GRANT SELECT ON claude_gpt_data.my_view TO pgtap_stranger;
COMMENT ON VIEW claude_gpt_data.my_view IS 'my view';
CREATE VIEW claude_gpt_data.my_view_over_it AS SELECT id FROM claude_gpt_data.my_view;
RESET ROLE;
CREATE PUBLICATION pgtap_p FOR TABLE messages (id, role) WHERE (id IS NOT NULL) WITH (publish_via_partition_root = true, publish = 'insert');
ALTER PUBLICATION pgtap_p OWNER TO pgtap_keeper;

SET LOCAL client_min_messages = warning;

CREATE FUNCTION pg_temp.messages_picture() RETURNS SETOF text LANGUAGE sql SET search_path = pg_catalog AS $$
    WITH t AS (SELECT * FROM pg_class WHERE oid = 'claude_gpt_data.messages'::regclass)
    SELECT concat_ws(' ', 'relation', relowner::regrole, relrowsecurity, relforcerowsecurity, relreplident, obj_description(oid, 'pg_class')) FROM t
    UNION ALL SELECT concat_ws(' ', 'grant', x.*) FROM t, aclexplode(relacl) AS x
    UNION ALL SELECT concat_ws(' ', 'column', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage, a.attgenerated, a.attacl, a.attstattarget, (SELECT array_agg(o) FROM unnest(a.attoptions) AS o WHERE o LIKE 'n\_distinct%'), pg_get_expr(d.adbin, d.adrelid), col_description(t.oid, a.attnum),
                               pg_get_serial_sequence('claude_gpt_data.messages', a.attname))
        FROM t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef AS d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    UNION ALL SELECT concat_ws(' ', replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON '), i.indisvalid, i.indisprimary, obj_description(i.indexrelid, 'pg_class')) FROM t JOIN pg_index AS i ON i.indrelid = t.oid
    UNION ALL SELECT concat_ws(' ', 'constraint', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), k.convalidated, obj_description(k.oid, 'pg_constraint')) FROM t JOIN pg_constraint AS k ON t.oid IN (k.conrelid, k.confrelid) AND k.conparentid = 0
    UNION ALL SELECT concat_ws(' ', pg_get_triggerdef(g.oid), g.tgenabled, obj_description(g.oid, 'pg_trigger')) FROM t JOIN pg_trigger AS g ON g.tgrelid = t.oid AND NOT g.tgisinternal
    UNION ALL SELECT concat_ws(' ', 'policy', p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), obj_description(p.oid, 'pg_policy')) FROM t JOIN pg_policy AS p ON p.polrelid = t.oid
    UNION ALL SELECT concat_ws(' ', pg_get_statisticsobjdef(s.oid), s.stxstattarget, obj_description(s.oid, 'pg_statistic_ext')) FROM t JOIN pg_statistic_ext AS s ON s.stxrelid = t.oid
    UNION ALL SELECT concat_ws(' ', 'published', r.prattrs, pg_get_expr(r.prqual, r.prrelid)) FROM t JOIN pg_publication_rel AS r ON r.prrelid = t.oid
    UNION ALL SELECT concat_ws(' ', 'view', v.oid, v.relname, v.relowner::regrole, v.relacl, v.reloptions, obj_description(v.oid, 'pg_class'), pg_get_viewdef(v.oid)) FROM pg_class AS v WHERE v.relkind = 'v' AND v.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace)
$$;
SELECT pg_temp.new_user('dot') AS dot \gset
SET LOCAL ROLE pgtap_keeper;
INSERT INTO pgtap_kinds VALUES (1), (2);
INSERT INTO conversations (user_id) SELECT :'dot' FROM generate_series(1, 3);
INSERT INTO messages (conversation_id, user_id, role, content, tag, total_tokens, cost, note_id) SELECT c.id, c.user_id, 'user', 'message ' || n, 'tag ' || n, n, n, 1 FROM conversations AS c, generate_series(1, 20) AS n;
INSERT INTO messages (conversation_id, user_id, role, content, parent_message_id) SELECT conversation_id, user_id, 'assistant', 'reply', id FROM messages WHERE content IN ('message 1', 'message 2');
-- Ids at random: some of them seem to be of a time to come.
SELECT to_at AS next_year FROM partition_period('1 year', now() + interval '1 day') \gset
INSERT INTO messages (id, conversation_id, user_id, role, content, parent_message_id) SELECT overlay(uuid_v7_floor(:'next_year'::timestamptz + n * interval '7 days')::text placing '4' from 15 for 1)::uuid, conversation_id, user_id, 'assistant', 'stray ' || n, id
    FROM messages, generate_series(1, 60) AS n WHERE content = 'message 3' AND conversation_id = (SELECT id FROM conversations LIMIT 1);
INSERT INTO messages (conversation_id, user_id, role, content, parent_message_id) SELECT conversation_id, user_id, 'user', 'reply to a stray', id FROM messages WHERE content = 'stray 5';
INSERT INTO usage_records (user_id, usage_type, message_id, conversation_id) SELECT user_id, 'api_call', id, conversation_id FROM messages WHERE content ~ '^(stray|message) ';
INSERT INTO pgtap_likes SELECT id, conversation_id, tag FROM messages WHERE content ~ '^(stray|message) ';
SELECT count(*) AS repaired FROM repair_books() \gset
SET CONSTRAINTS ALL IMMEDIATE;
CREATE TEMPORARY TABLE all_messages ON COMMIT DROP AS SELECT * FROM messages;
CREATE TEMPORARY TABLE all_records ON COMMIT DROP AS SELECT * FROM usage_records;
CREATE TEMPORARY TABLE all_likes ON COMMIT DROP AS SELECT * FROM pgtap_likes;
CREATE TEMPORARY TABLE all_conversations ON COMMIT DROP AS SELECT * FROM conversations;
CREATE TEMPORARY TABLE old_picture ON COMMIT DROP AS SELECT * FROM pg_temp.messages_picture() AS line;
TRUNCATE pgtap_noted;
SELECT relfilenode AS file, oid AS old_oid FROM pg_class WHERE oid = 'claude_gpt_data.messages'::regclass \gset

SELECT is(partition_table_step('messages', '1 year', now()), 'partitioned table messages, whose rows are in partition messages_default', 'messages become partitioned');
SELECT is((SELECT concat(relfilenode, oid, relreplident) FROM pg_class WHERE relname = 'messages_default'), concat(:'file', :'old_oid', 'f'), 'nothing is copied');
SELECT ok(has_partition_work('messages', :'next_year'::timestamptz - interval '1 hour', :'next_year', '1 year'), 'there is more to do');
SELECT throws_ok($$INSERT INTO usage_records (user_id, usage_type, message_id) SELECT id, 'api_call', uuid_v7() FROM users LIMIT 1$$, '23503', NULL, 'foreign keys hold also before they are validated');
SELECT is(partition_table_step('messages', '1 year', now()), format('created partition messages_%s and moved 52 rows into it', extract(year FROM :'next_year'::timestamptz)), 'then the first partition, of the coming year');
SELECT bag_eq('SELECT * FROM messages', 'SELECT * FROM all_messages', 'every message is there, as it was');
SELECT bag_eq('SELECT * FROM usage_records', 'SELECT * FROM all_records', 'every record refers to what it did');
SELECT bag_eq('SELECT * FROM pgtap_likes', 'SELECT * FROM all_likes', 'and every row of the user''s own');
SELECT bag_eq('SELECT * FROM conversations', 'SELECT * FROM all_conversations', 'no conversation was counted anew');
SELECT is_empty('SELECT * FROM pgtap_noted', 'no trigger took a row that moved for a change');
SELECT is((SELECT count(*) FROM unfinished_references()), 16::bigint, 'foreign keys are left to be validated');
SELECT is(cardinality(pg_temp.steps($$partition_table_step('messages', '1 year', now())$$)) - cardinality(pg_temp.steps($$partition_table_step('messages', '1 year', now())$$)),
          (SELECT 1 + 2 * (SELECT count(*)::integer FROM list_partitions('usage_records')) + 3 + 3 + 3 + 2 + 2), 'which steps do one by one, and then no more');
SELECT ok(NOT has_partition_work('messages', :'next_year'::timestamptz - interval '1 hour', :'next_year', '1 year'), 'nothing is left to do');
SELECT set_eq('SELECT * FROM pg_temp.messages_picture()', 'SELECT line FROM old_picture', 'columns, indexes, constraints, triggers, policies, privileges, comments, statistics, publications, views: all as they were');
SELECT is_empty($$SELECT conrelid::regclass, conname FROM pg_constraint WHERE conparentid = 0 AND NOT convalidated$$, 'no constraint is left unproved');
SELECT is_empty($$SELECT * FROM pg_class, aclexplode(relacl) AS x WHERE relname ~ '^messages_' AND x.grantee <> relowner$$, 'nobody reads a partition past the policies');
SELECT is_empty($$SELECT tgname FROM pg_trigger WHERE tgrelid = 'messages_default'::regclass AND tgname ~ '^my_' AND (tgparentid = 0 OR tgenabled <> (SELECT p.tgenabled FROM pg_trigger AS p WHERE p.oid = pg_trigger.tgparentid))$$, 'triggers of partitions are those of the table');
SELECT set_eq($$SELECT pg_temp.picture(partition_name::text) AS line FROM list_partitions('messages') WHERE NOT is_default EXCEPT SELECT * FROM pg_temp.picture('messages_default')$$,
              $$SELECT line FROM (SELECT pg_temp.picture(partition_name::text) AS line FROM list_partitions('messages') WHERE NOT is_default) AS p WHERE line ~ '^(relation|constraint PARTITION)| INDEX '$$,
              'the new partition differs from the other in names only');
SELECT results_eq($$SELECT from_at, to_at, is_default FROM list_partitions('messages')$$, format('VALUES (%L::timestamptz, %L::timestamptz, false), (NULL, NULL, true)', :'next_year', :'next_year'::timestamptz + interval '1 year'), 'the list shows its time');
SELECT is((SELECT reloptions::text FROM pg_class WHERE relname ~ '^messages_\d+$'), '{fillfactor=90}', 'it is stored as the other');
-- and they work
SELECT conversation_id AS talk FROM messages WHERE content = 'stray 5' \gset
INSERT INTO messages (id, conversation_id, user_id, role, content) VALUES (uuid_v7_floor(:'next_year'), :'talk', :'dot', 'user', 'of next year') ON CONFLICT ON CONSTRAINT messages_pkey DO NOTHING;
INSERT INTO messages (conversation_id, user_id, role, content) VALUES (:'talk', :'dot', 'user', 'of now');
SELECT set_eq($$SELECT content || ' ' || (tableoid = 'messages_default'::regclass) FROM messages WHERE content ~ '^of '$$, ARRAY['of next year false', 'of now true'], 'ids go where their time is');
SELECT throws_ok(format($$INSERT INTO messages (id, conversation_id, user_id, role, content) SELECT id, %L, %L, 'user', 'twice' FROM messages WHERE content = %L$$, :'talk', :'dot', c), '23505', NULL, format('an id is unique: %s', c)) FROM unnest(ARRAY['of next year', 'of now', 'stray 5']) AS c;
SELECT bag_eq('SELECT what FROM pgtap_noted', ARRAY['my_always INSERT', 'my_always INSERT'], 'triggers see what is written');
CREATE TABLE pg_temp.handed_over AS SELECT r.id, r.content, d.parent_message_id AS above FROM messages AS r JOIN messages AS d ON d.id = r.parent_message_id WHERE d.content IN ('stray 5', 'message 3') AND r.content NOT IN ('stray 5', 'message 3');
SELECT cmp_ok(count(*), '>', 0::bigint, 'messages have replies in other partitions') FROM pg_temp.handed_over WHERE content = 'reply to a stray' OR content ~ '^stray';
DELETE FROM messages WHERE content IN ('stray 5', 'message 3');
SELECT is_empty($$SELECT h.content FROM pg_temp.handed_over AS h LEFT JOIN messages AS m USING (id) WHERE m.id IS NULL OR (EXISTS (SELECT FROM messages AS a WHERE a.id = h.above) AND m.parent_message_id IS DISTINCT FROM h.above) OR (m.parent_message_id IS NULL) <> m.is_root$$, 'which outlive what they reply to, and follow what it followed');
SELECT is((SELECT count(*) FROM usage_records WHERE message_id IS NULL AND usage_type = 'api_call'), 4::bigint, 'so do records');
SELECT is((SELECT count(*) FROM pgtap_likes), (SELECT count(*) - 4 FROM all_likes), 'rows that are to go with it go');
UPDATE messages SET cost = 1 WHERE content ~ '^(stray|of|message) ';
SELECT is_empty('SELECT * FROM prove_books()', 'conversations are counted over all partitions');
DELETE FROM pgtap_kinds WHERE id = 2;
DELETE FROM conversations WHERE id = :'talk';
SELECT is_empty(format('SELECT id FROM messages WHERE conversation_id = %L', :'talk'), 'a conversation goes with all of its messages');
SELECT is_empty('SELECT * FROM prove_books()', 'and the books stay true');
SELECT throws_ok($$INSERT INTO messages (conversation_id, user_id, role, content) SELECT id, user_id, 'user', 'never' FROM conversations LIMIT 1$$, '42501', NULL, 'policies hold');
RESET ROLE;
SELECT is((SELECT count(*) FROM user_statistics WHERE id = :'dot' AND total_messages = (SELECT count(*) FROM messages)), 1::bigint, 'views read all partitions');

-- more partitions, beside foreign keys
SET LOCAL ROLE pgtap_keeper;
INSERT INTO messages (id, conversation_id, user_id, role, content) SELECT uuid_v7_floor(:'next_year'::timestamptz + interval '500 days' + n * interval '1 hour'), c.id, c.user_id, 'user', 'ahead' FROM (SELECT * FROM conversations LIMIT 1) AS c, generate_series(1, 3) AS n;
INSERT INTO messages (conversation_id, user_id, role, content, parent_message_id) SELECT conversation_id, user_id, 'user', 'behind', id FROM messages WHERE content = 'ahead';
INSERT INTO usage_records (user_id, usage_type, message_id) SELECT user_id, 'api_call', id FROM messages WHERE content = 'ahead';
-- Which the procedures are not subject to.
ALTER TABLE messages NO FORCE ROW LEVEL SECURITY;
SELECT is(cardinality(pg_temp.steps(format('create_next_partition(''messages'', %L, %L, ''1 year'')', now(), :'next_year'))), 0, 'the running year is left to the DEFAULT partition');
SELECT is((pg_temp.steps(format('create_next_partition(''messages'', %L, %L, ''3 months'')', now(), :'next_year'::timestamptz + interval '23 months')))[1:5],
          ARRAY(SELECT format('created partition messages_%s%s', to_char(:'next_year'::timestamptz + m * interval '1 month', 'YYYY"q"Q'), CASE m WHEN 15 THEN ' and moved 3 rows into it' ELSE '' END) FROM unnest(ARRAY[12, 18, 21, 15]) AS m) || 'validated foreign key message_feedback_message_id_fkey of claude_gpt_data.message_feedback'::text,
          'rows of a period to come are moved into its partition');
SELECT is((SELECT count(*) FROM messages AS m JOIN messages AS p ON p.id = m.parent_message_id JOIN usage_records AS r ON r.message_id = p.id WHERE m.content = 'behind' AND p.tableoid <> 'messages_default'::regclass), 3::bigint, 'with all that refers to them');
ALTER TABLE messages FORCE ROW LEVEL SECURITY;
SELECT set_eq('SELECT * FROM pg_temp.messages_picture()', 'SELECT line FROM old_picture', 'foreign keys included, all is as it was');
ALTER TABLE messages NO FORCE ROW LEVEL SECURITY;
SELECT is_empty($$SELECT conrelid::regclass, conname FROM pg_constraint WHERE conparentid = 0 AND NOT convalidated$$, 'and proved');
RESET ROLE;
SET LOCAL session_replication_role = replica;
INSERT INTO messages (id, conversation_id, user_id, role, content) SELECT uuid_v7_floor(:'next_year'::timestamptz + interval '3000 days' + n * interval '1 second'), c.id, c.user_id, 'user', 'many' FROM (SELECT * FROM conversations LIMIT 1) AS c, generate_series(1, 50001) AS n;
SET LOCAL session_replication_role = origin;
SET LOCAL ROLE pgtap_keeper;
SELECT throws_ok(format($$SELECT create_next_partition('messages', %L, %L, '1 year')$$, m, m + interval '1 second'), '55000', NULL, 'very many rows are not moved') FROM (SELECT (partition_period('1 year', :'next_year'::timestamptz + interval '3000 days')).from_at AS m) AS v;
SELECT throws_ok($$SELECT drop_next_partition_before('messages', '2100-01-01Z')$$, '0A000', 'messages are not dropped by partition', 'messages are not dropped by partition');
SELECT throws_ok($$SELECT delete_rows_before('messages', '2100-01-01Z')$$, '0A000', NULL, 'nor deleted by age');

RESET ROLE;
-- what goes with the tables goes with partitioned ones
CREATE ROLE pgtap_heir;
SELECT throws_ok($$SELECT set_owner('pgtap_heir')$$, '55000', 'tables of claude_gpt stand on what belongs to somebody else', 'they are not handed over on what stays another''s');
ALTER FUNCTION claude_gpt_data.pgtap_note() OWNER TO pgtap_heir;
ALTER PUBLICATION pgtap_p OWNER TO pgtap_heir;
ALTER STATISTICS claude_gpt_data.my_statistics OWNER TO pgtap_heir;
ALTER STATISTICS claude_gpt_data.my_statistics_default OWNER TO pgtap_heir;
SELECT lives_ok($$SELECT set_owner('pgtap_heir'), grant_application_access('pgtap_stranger'), revoke_application_access('pgtap_stranger')$$, 'they can be handed over, and rights given');
SELECT is_empty($$SELECT relname FROM pg_class WHERE relname ~ '^messages' AND relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND relkind IN ('r', 'p') AND relowner <> 'pgtap_heir'::regrole$$, 'with all partitions');
SELECT throws_ok('SELECT detach()', '42501', 'a superuser cannot detach tables of a role that is none', 'a superuser would run casts of the owner');
SELECT is(pg_temp.as_role('pgtap_heir', 'SELECT claude_gpt.detach()'), 'done', 'the owner may detach them');
SELECT is_empty($$SELECT tgname FROM pg_trigger AS t JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = t.tgfoid AND d.deptype = 'e' WHERE t.tgrelid IN (SELECT relid FROM pg_partition_tree('messages'))$$, 'so that no trigger needs the extension');

SELECT * FROM finish();
ROLLBACK;
