-- uuid_v7 and uuid_v7_floor.
BEGIN;
\ir prelude.psql
SELECT no_plan();

CREATE FUNCTION pg_temp.milliseconds(p_id uuid) RETURNS bigint LANGUAGE sql AS $$
    SELECT ('x' || lpad(left(replace(p_id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint
$$;

-- form
CREATE TEMPORARY TABLE made ON COMMIT DROP AS SELECT n, uuid_v7() AS id FROM generate_series(1, 20000) AS n;
SELECT is((SELECT count(*) FROM made WHERE id::text !~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'), 0::bigint,
          'each has version 7 and the variant of RFC 9562');
SELECT is((SELECT count(DISTINCT id) FROM made), 20000::bigint, 'no two are equal');
SELECT is_empty('SELECT n FROM (SELECT n, id, lag(id) OVER (ORDER BY n) AS before FROM made) AS m WHERE id <= before', 'in a session they grow strictly');
SELECT is((SELECT count(DISTINCT right(id::text, 12)) FROM made), 20000::bigint, 'the last bits are random');
SELECT cmp_ok((SELECT max(abs(b.ones - 10000)) FROM (
                   SELECT position, count(*) FILTER (WHERE get_bit(uuid_send(id), position) = 1) AS ones
                   FROM made, generate_series(72, 127) AS position GROUP BY position) AS b), '<', 600::bigint, 'each of them is set half of the time');

-- time
-- Many ids in a moment run ahead of the clock, by less than a second.
SELECT clock_timestamp() AS before \gset
SELECT uuid_v7() AS id \gset
SELECT ok(pg_temp.milliseconds(:'id') BETWEEN floor(extract(epoch FROM :'before'::timestamptz) * 1000) AND extract(epoch FROM clock_timestamp()) * 1000 + 1000,
          'the first 48 bits are milliseconds since 1970');
SELECT cmp_ok(uuid_v7(), '>=', uuid_v7_floor(:'before'), 'an id of now is not below a floor before');
SELECT cmp_ok(uuid_v7(), '<', uuid_v7_floor(clock_timestamp() + interval '1 minute'), 'and below one ahead');
SET LOCAL claude_gpt.fixed_time = '2001-01-01T00:00:00Z';
SELECT cmp_ok(uuid_v7(), '>', (SELECT id FROM made ORDER BY n DESC LIMIT 1), 'a fixed time does not touch ids');
RESET claude_gpt.fixed_time;
DO $$
DECLARE
    -- a floor that is taken first is not above an id that is made next
    floor uuid;
    id uuid;
BEGIN
    FOR i IN 1..2000 LOOP
        floor := claude_gpt.uuid_v7_floor(clock_timestamp());
        id := claude_gpt.uuid_v7();
        IF id < floor THEN
            RAISE 'id % is below floor %', id, floor;
        END IF;
    END LOOP;
END
$$;
SELECT pass('ids are equal to or above the floor of the moment before');

-- floors
SELECT is(uuid_v7_floor('1970-01-01 00:00:00Z'), '00000000-0000-7000-8000-000000000000', 'the floor of the epoch');
SELECT is(uuid_v7_floor('1970-01-01 00:00:00.000999Z'), '00000000-0000-7000-8000-000000000000', 'is that of its whole millisecond');
SELECT is(uuid_v7_floor('1970-01-01 00:00:00.001Z'), '00000000-0001-7000-8000-000000000000', 'the next is one above');
-- 0x017F22E279B0 is the example of RFC 9562
SELECT is(uuid_v7_floor('2022-02-22 19:22:22Z'), '017f22e2-79b0-7000-8000-000000000000', 'the moment of the example of RFC 9562');
SELECT is(uuid_v7_floor('2022-02-22 14:22:22-05'), uuid_v7_floor('2022-02-22 19:22:22Z'), 'the offset it is written in does not matter');
SELECT is(uuid_v7_floor('10889-08-02 05:31:50.655999Z'), 'ffffffff-ffff-7000-8000-000000000000', 'the last millisecond that fits');
SELECT throws_ok($$SELECT uuid_v7_floor('10889-08-02 05:31:50.656Z')$$, '22008', NULL, 'one later is refused');
SELECT throws_ok($$SELECT uuid_v7_floor('1969-12-31 23:59:59.999999Z')$$, '22008', NULL, 'one before 1970 is refused');
SELECT throws_ok($$SELECT uuid_v7_floor('4714-11-24 00:00:00Z BC')$$, '22008', NULL, 'the first timestamp is refused');
SELECT throws_ok($$SELECT uuid_v7_floor('294276-12-31 23:59:59.999999Z')$$, '22008', NULL, 'the last timestamp is refused');
SELECT throws_ok($$SELECT uuid_v7_floor('infinity')$$, '22008', NULL, 'infinity is refused');
SELECT throws_ok($$SELECT uuid_v7_floor('-infinity')$$, '22008', NULL, 'and so is the other one');
SELECT throws_ok($$SELECT uuid_v7_floor(NULL)$$, '22004', NULL, 'NULL is refused');
SELECT is_empty($$SELECT m FROM (SELECT m, uuid_v7_floor(m) AS f, lag(uuid_v7_floor(m)) OVER (ORDER BY m) AS before
                                 FROM generate_series('1970-01-01Z'::timestamptz, '2100-01-01Z', '37 days 00:00:00.001') AS m) AS s WHERE f <= before$$, 'floors grow with time');
SELECT is_empty($$SELECT m FROM generate_series('1970-01-01Z'::timestamptz, '2100-01-01Z', '37 days 00:00:00.001') AS m
                  WHERE pg_temp.milliseconds(uuid_v7_floor(m)) <> floor(extract(epoch FROM m) * 1000)$$, 'and hold its milliseconds');

-- ids of rows
SELECT pg_temp.new_user('ada') AS ada \gset
SELECT is((SELECT count(*) FROM (
    SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    JOIN pg_class AS c ON c.oid = d.adrelid
    WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND NOT c.relispartition AND a.attname = 'id' AND pg_get_expr(d.adbin, d.adrelid) ~ 'uuid_v7\(\)') AS s),
    11::bigint, 'all eleven tables have it as the default of their id');
SELECT lives_ok($$INSERT INTO users (id, email, password_hash) VALUES (gen_random_uuid(), 'v4@example.com', 'x')$$, 'ids of a client are accepted, whatever their version');
INSERT INTO conversations (user_id) SELECT :'ada' FROM generate_series(1, 100);
SELECT is((SELECT count(*) FROM conversations WHERE id >= uuid_v7_floor(now()) AND id < uuid_v7_floor(clock_timestamp() + interval '1 second')), 100::bigint,
          'rows can be found by the time of their ids');
SELECT is_empty('SELECT * FROM prove_books()', 'the books are true after all of this');

SELECT * FROM finish();
ROLLBACK;
