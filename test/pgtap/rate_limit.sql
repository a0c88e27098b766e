-- Rate limits: what is charged, when it comes back, and who has which limit. Their state is in shared memory, which no rollback
-- undoes: every key and every user here is of this run alone.
BEGIN;
\ir prelude.psql
SELECT no_plan();
SET LOCAL claude_gpt.fixed_time = '2026-11-22T10:00:00Z';

-- A decision in a line.
CREATE FUNCTION pg_temp.told(d jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN (d->>'allowed')::boolean THEN 'yes' ELSE format('no: %s %s %s', d->>'reason', d->>'error_code', d->>'http_status') END
        || format(', %s of %s left, all in %s s', COALESCE(d->>'remaining', 'any'), COALESCE(d->>'limit_value', 'any'), COALESCE(d->>'reset_after_seconds', 'no'))
        || CASE WHEN d->>'retry_after_seconds' IS NOT NULL THEN format(', retry in %s s', d->>'retry_after_seconds')
                WHEN NOT (d->>'allowed')::boolean THEN ', no retry' ELSE '' END
$$;
CREATE FUNCTION pg_temp.rate(p_key text, p_limit integer DEFAULT 5, p_period interval DEFAULT '1 minute', p_cost integer DEFAULT 1) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.told(to_jsonb(d)) FROM claude_gpt.rate_limit(p_key, p_limit, p_period, p_cost) AS d
$$;
CREATE FUNCTION pg_temp.check(p_user uuid, p_cost integer DEFAULT 1) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.told(to_jsonb(d)) FROM claude_gpt.check_rate_limit(p_user, p_cost) AS d
$$;
CREATE FUNCTION pg_temp.at(p_time text) RETURNS void LANGUAGE sql AS $$ SELECT set_config('claude_gpt.fixed_time', '2026-11-22T' || p_time || 'Z', true) $$;
SELECT gen_random_uuid()::text AS run \gset

-- rate_limit: all units at once, then one each interval
\set key :run ' steps'
SELECT is(pg_temp.rate(:'key'), 'yes, 4 of 5 left, all in 12 s', 'the first call costs a unit, which comes back after a fifth of the period');
SELECT is(pg_temp.rate(:'key', p_cost => 3), 'yes, 1 of 5 left, all in 48 s', 'a call may cost more');
SELECT is(pg_temp.rate(:'key', p_cost => 2), 'no: rate_limited UQ002 429, 1 of 5 left, all in 48 s, retry in 12 s', 'and is denied as a whole');
SELECT is(pg_temp.rate(:'key'), 'yes, 0 of 5 left, all in 60 s', 'a denial costs nothing');
SELECT is(pg_temp.rate(:'key'), 'no: rate_limited UQ002 429, 0 of 5 left, all in 60 s, retry in 12 s', 'five of five');
SELECT is(pg_temp.rate(:'key', p_cost => 5), 'no: rate_limited UQ002 429, 0 of 5 left, all in 60 s, retry in 60 s', 'all five after the whole period');
SELECT is(pg_temp.rate(:'key', p_cost => 6), 'no: rate_limited UQ002 429, 0 of 5 left, all in 60 s, no retry', 'more than the limit never');
SELECT is(pg_temp.rate(:'key', p_cost => 2147483647), 'no: rate_limited UQ002 429, 0 of 5 left, all in 60 s, no retry', 'however much it is');
SELECT is(pg_temp.rate(:'key', p_cost => 0), 'yes, 0 of 5 left, all in 60 s', 'a cost of nothing only looks');
SELECT pg_temp.at('10:00:11.999999');
SELECT is(pg_temp.rate(:'key'), 'no: rate_limited UQ002 429, 0 of 5 left, all in 49 s, retry in 1 s', 'a moment before the interval is over: seconds are rounded up');
SELECT pg_temp.at('10:00:12');
SELECT is(pg_temp.rate(:'key', p_cost => 0), 'yes, 1 of 5 left, all in 48 s', 'then a unit is back');
SELECT is(pg_temp.rate(:'key'), 'yes, 0 of 5 left, all in 60 s', 'one');
SELECT is(pg_temp.rate(:'key'), 'no: rate_limited UQ002 429, 0 of 5 left, all in 60 s, retry in 12 s', 'not two');
SELECT pg_temp.at('10:01:11.999999');
SELECT is(pg_temp.rate(:'key', p_cost => 5), 'no: rate_limited UQ002 429, 4 of 5 left, all in 1 s, retry in 1 s', 'a period later almost all are back');
SELECT pg_temp.at('10:01:12');
SELECT is(pg_temp.rate(:'key', p_cost => 0), 'yes, 5 of 5 left, all in 0 s', 'all of them');
SELECT is(pg_temp.rate(:'key', p_cost => 5), 'yes, 0 of 5 left, all in 60 s', 'and may be used at once');
SELECT pg_temp.at('10:00:00');
SELECT is(pg_temp.rate(:'key'), 'no: rate_limited UQ002 429, 0 of 5 left, all in 60 s, retry in 12 s', 'a clock that is set back makes nobody wait longer than a period');
-- what 7 does not divide
\set key :run ' seven'
SELECT is((SELECT count(*) FROM (SELECT pg_temp.at(to_char(s / 10.0, '"10:00:"FM00.0')), (rate_limit(:'key', 7, '1 minute')).allowed FROM generate_series(0, 599) AS s) AS c WHERE allowed), 13::bigint,
          'in a period from rest: the limit at once, and one less than the limit that came back');
SELECT pg_temp.at('10:00:00');
\set key :run ' once'
SELECT is(pg_temp.rate(:'key', 1, '366 days'), 'yes, 0 of 1 left, all in 31622400 s', 'a period may last a leap year');
SELECT is(pg_temp.rate(:'key', 1, '366 days'), 'no: rate_limited UQ002 429, 0 of 1 left, all in 31622400 s, retry in 31622400 s', 'for one unit');
\set key :run ' fast'
SELECT is(pg_temp.rate(:'key', 1000000000, '1 second', 999999999), 'yes, 1 of 1000000000 left, all in 1 s', 'a unit may take a nanosecond');
SELECT is(pg_temp.rate(:'key', 1000000000, '1 second', 2), 'no: rate_limited UQ002 429, 1 of 1000000000 left, all in 1 s, retry in 1 s', 'and is counted all the same');
SELECT is(pg_temp.rate(:'run' || ' micro', 1, '1 microsecond'), 'yes, 0 of 1 left, all in 1 s', 'a period may be a microsecond');

-- keys
SELECT is(pg_temp.rate(:'run' || ' a', 1), 'yes, 0 of 1 left, all in 60 s', 'a key');
SELECT is(pg_temp.rate(:'run' || ' A', 1), 'yes, 0 of 1 left, all in 60 s', 'in other letters is another');
SELECT is(pg_temp.rate(:'run' || ' a ', 1), 'yes, 0 of 1 left, all in 60 s', 'with a space too');
SELECT is(pg_temp.rate(:'run' || ' 鍵', 1), 'yes, 0 of 1 left, all in 60 s', 'of any letters');
SELECT is(pg_temp.rate(repeat('x', 100000) || :'run', 1), 'yes, 0 of 1 left, all in 60 s', 'of any length');
SELECT is(pg_temp.rate(repeat('x', 100000) || :'run' || 'y', 1), 'yes, 0 of 1 left, all in 60 s', 'to the last letter');
SELECT is(pg_temp.rate(repeat('x', 100000) || :'run', 1), 'no: rate_limited UQ002 429, 0 of 1 left, all in 60 s, retry in 60 s', 'which is the same one again');
SELECT is(pg_temp.rate(:'run' || ' a', 1), 'no: rate_limited UQ002 429, 0 of 1 left, all in 60 s, retry in 60 s', 'each has its own state');
SAVEPOINT charge;
SELECT is(pg_temp.rate(:'run' || ' rollback', 2), 'yes, 1 of 2 left, all in 30 s', 'a call');
ROLLBACK TO charge;
SELECT is(pg_temp.rate(:'run' || ' rollback', 2), 'yes, 0 of 2 left, all in 60 s', 'that is rolled back has been charged');

-- reset_rate_limit
SELECT is(reset_rate_limit(:'run' || ' a'), true, 'a key gets its units back');
SELECT is(pg_temp.rate(:'run' || ' a', 1), 'yes, 0 of 1 left, all in 60 s', 'all of them');
SELECT is(pg_temp.rate(:'run' || ' A', 1), 'no: rate_limited UQ002 429, 0 of 1 left, all in 60 s, retry in 60 s', 'no other does');
SELECT reset_rate_limit(:'run' || ' a');
SELECT is(reset_rate_limit(:'run' || ' a'), false, 'one that has used none has nothing to get');
SELECT is(reset_rate_limit(:'run' || ' unknown'), false, 'nor has one that never called');
SELECT pg_temp.at('10:01:00');
SELECT is(reset_rate_limit(:'run' || ' A'), false, 'nor one whose units have come back');
SELECT pg_temp.at('10:00:00');

-- refusals
SELECT throws_ok(format('SELECT rate_limit(%s)', a), code, NULL, format('rate_limit(%s) is refused', a))
FROM (VALUES ('NULL, 5, ''1 minute''', '22004'), ('''k'', NULL, ''1 minute''', '22004'), ('''k'', 5, NULL', '22004'), ('''k'', 5, ''1 minute'', NULL', '22004'),
             (''''', 5, ''1 minute''', '22023'), ('''k'', 0, ''1 minute''', '22023'), ('''k'', -1, ''1 minute''', '22023'), ('''k'', -2147483648, ''1 minute''', '22023'),
             ('''k'', 1000000001, ''1 day''', '22023'), ('''k'', 5, ''0''', '22023'), ('''k'', 5, ''-1 minute''', '22023'), ('''k'', 5, ''1 month''', '22023'), ('''k'', 5, ''1 year''', '22023'),
             ('''k'', 5, ''-1 month 60 days''', '22023'), ('''k'', 5, ''366 days 00:00:00.000001''', '22023'), ('''k'', 5, ''367 days''', '22023'), ('''k'', 5, ''8785 hours''', '22023'),
             ('''k'', 5, ''2147483647 days''', '22023'), ('''k'', 5, ''100000000 days''', '22023'), ('''k'', 5, ''-2147483648 days''', '22023'), ('''k'', 5, ''178000000 years''', '22023'),
             ('''k'', 1000000000, ''0.999999 seconds''', '22023'), ('''k'', 1001, ''1 microsecond''', '22023'),
             ('''k'', 5, ''1 minute'', -1', '22023'), ('''k'', 5, ''1 minute'', -2147483648', '22023')) AS v (a, code);
SELECT throws_ok('SELECT reset_rate_limit(NULL)', '22004', NULL, 'a NULL key is not reset');
SELECT throws_ok($$SELECT reset_rate_limit('')$$, '22023', NULL, 'nor an empty one');
SELECT lives_ok(format('SELECT rate_limit(%L, 1000, ''1 microsecond'')', :'run' || ' nano'), 'a thousand units a microsecond are as many as there may be');

-- check_rate_limit: the calls a minute of the tier in force
SELECT is((SELECT config_value FROM system_configs WHERE config_key = 'rate_limits'), '{"free": 10, "base": 60, "pro": 300}'::jsonb, 'limits of a minute by tier');
SELECT pg_temp.new_user('ada') AS ada, pg_temp.new_user('base', 'base') AS base, pg_temp.new_user('pro', 'pro') AS pro, pg_temp.new_user('lapsed', 'pro') AS lapsed \gset
SELECT is(pg_temp.check(:'ada'), 'yes, 9 of 10 left, all in 6 s', 'of the free plan');
SELECT is(pg_temp.check(:'base'), 'yes, 59 of 60 left, all in 1 s', 'of the base plan');
SELECT is(pg_temp.check(:'pro', 300), 'yes, 0 of 300 left, all in 60 s', 'of the pro plan');
UPDATE users SET subscription_status = 'unpaid' WHERE id = :'lapsed';
SELECT is(pg_temp.check(:'lapsed'), 'yes, 9 of 10 left, all in 6 s', 'a subscription that is not paid has the limit of the free plan');
UPDATE users SET subscription_status = 'active', subscription_current_period_end = '2026-11-19 10:00Z' WHERE id = :'lapsed';
SELECT is(pg_temp.check(:'lapsed', 0), 'yes, 270 of 300 left, all in 6 s', 'in its grace its own, of which the same time is used');
SELECT pg_temp.at('10:00:00.000001');
SELECT is(pg_temp.check(:'lapsed', 0), 'yes, 9 of 10 left, all in 6 s', 'and then not');
SELECT pg_temp.at('10:00:00');
SELECT is(pg_temp.check(:'ada', 9), 'yes, 0 of 10 left, all in 60 s', 'all of it may be used at once');
SELECT is(pg_temp.check(:'ada'), 'no: rate_limited UQ002 429, 0 of 10 left, all in 60 s, retry in 6 s', 'then it is denied');
SELECT is(pg_temp.check(:'ada', 11), 'no: rate_limited UQ002 429, 0 of 10 left, all in 60 s, no retry', 'a cost above the limit for ever');
SELECT is(pg_temp.check(:'ada', 0), 'yes, 0 of 10 left, all in 60 s', 'looking is free');
SELECT is(pg_temp.check(pg_temp.new_user('bob')), 'yes, 9 of 10 left, all in 6 s', 'another user has his own');
SELECT is(pg_temp.rate(:'ada', 10), 'yes, 9 of 10 left, all in 6 s', 'a key that looks like the user is another');
SELECT pg_temp.at('10:00:06');
SELECT is(pg_temp.check(:'ada'), 'yes, 0 of 10 left, all in 60 s', 'a tenth of a minute later a call is free');
SELECT is((SELECT count(*) FROM usage_records WHERE user_id = :'ada') + (SELECT total_api_call_count FROM users WHERE id = :'ada'), 0::bigint, 'no usage is counted');
SELECT is(reset_user_rate_limit(:'ada'), true, 'a user gets all units back');
SELECT is(pg_temp.check(:'ada', 0), 'yes, 10 of 10 left, all in 0 s', 'all of them');
SELECT is(reset_user_rate_limit(:'ada'), false, 'and again has nothing to get');
SELECT is(reset_user_rate_limit(uuid_v7()), false, 'nor has nobody');
SELECT pg_temp.at('10:00:00');

-- the configuration
SELECT pg_temp.configure('rate_limits', '{"free": 2}');
SELECT is(pg_temp.check(pg_temp.new_user('two')), 'yes, 1 of 2 left, all in 30 s', 'a change holds at once');
SELECT is(pg_temp.check(pg_temp.new_user('unlisted', 'base')), 'yes, 1 of 2 left, all in 30 s', 'a tier that is not listed has the limit of free');
SELECT throws_ok($$UPDATE system_configs SET config_value = '{"base": 60}' WHERE config_key = 'rate_limits'$$, '22023', NULL, 'which has to be there');
UPDATE system_configs SET is_active = false WHERE config_key = 'rate_limits';
SELECT is((SELECT row(d.*)::text FROM check_rate_limit(:'ada', 1000) AS d), '(t,,,,,,,)', 'without an active row everybody is allowed, and there are no numbers');
SELECT is((SELECT count(*) FROM generate_series(1, 100), check_rate_limit(pg_temp.user_id('base')) AS d WHERE d.allowed), 100::bigint, 'whatever the tier');
DELETE FROM system_configs WHERE config_key = 'rate_limits';
SELECT is(pg_temp.check(:'base'), 'yes, any of any left, all in no s', 'and so without the row');
SELECT throws_ok('SELECT check_rate_limit(uuid_v7())', 'P0002', NULL, 'nobody is refused all the same');
SELECT pg_temp.configure('rate_limits', '{"free": 10, "base": 1000000}');
SELECT is(pg_temp.check(pg_temp.new_user('million', 'base'), 1000000), 'yes, 0 of 1000000 left, all in 60 s', 'a million a minute are possible');
ALTER TABLE system_configs DISABLE TRIGGER validate_system_configs;
SELECT pg_temp.configure('rate_limits', '{"free": 0}');
SELECT throws_ok($$SELECT check_rate_limit(pg_temp.user_id('ada'))$$, '55000', NULL, 'a row that is not valid is refused');
SELECT lives_ok(format('SELECT rate_limit(%L, 5, ''1 minute'')', :'run' || ' steps'), 'keys do not ask it');
SELECT pg_temp.configure('rate_limits', '{"free": 10}');
ALTER TABLE system_configs ENABLE ALWAYS TRIGGER validate_system_configs;
SELECT throws_ok(format('SELECT check_rate_limit(%s)', a), code, NULL, format('check_rate_limit(%s) is refused', a))
FROM (VALUES ('NULL', '22004'), ('pg_temp.user_id(''ada''), NULL', '22004'), ('pg_temp.user_id(''ada''), -1', '22023'), ('pg_temp.user_id(''ada''), -2147483648', '22023'), ('uuid_v7()', 'P0002')) AS v (a, code);
SELECT throws_ok('SELECT reset_user_rate_limit(NULL)', '22004', NULL, 'NULL is not reset');
SELECT is(pg_temp.check(:'ada', 0), 'yes, 10 of 10 left, all in 0 s', 'what is refused costs nothing');

-- rate_limit_status
SELECT results_eq('SELECT region FROM rate_limit_status() ORDER BY region', ARRAY['key', 'user'], 'users and keys have memory of their own');
SELECT is((SELECT count(*) FROM rate_limit_status() WHERE slots > 0 AND slots_in_use BETWEEN 0 AND slots AND denied_because_full >= 0), 2::bigint, 'each with slots');
CREATE FUNCTION pg_temp.in_use(p_region text) RETURNS bigint LANGUAGE sql AS $$ SELECT slots_in_use FROM claude_gpt.rate_limit_status() WHERE region = p_region $$;
SELECT pg_temp.in_use('key') AS keys, pg_temp.in_use('user') AS users \gset
SELECT pg_temp.rate(:'run' || ' status ' || n) FROM generate_series(1, 100) AS n;
SELECT pg_temp.rate(:'run' || ' status ' || n) FROM generate_series(1, 100) AS n;
SELECT pg_temp.rate(:'run' || ' looked at ' || n, p_cost => 0) FROM generate_series(1, 100) AS n;
SELECT is(pg_temp.in_use('key') - :keys, 100::bigint, 'a key that has used units is in use; one that only looked is not');
SELECT is(pg_temp.in_use('user') - :users, 0::bigint, 'the memory of users is not');
SELECT pg_temp.check(pg_temp.new_user('in use'));
SELECT is(pg_temp.in_use('user') - :users, 1::bigint, 'but by users');
SELECT reset_rate_limit(:'run' || ' status ' || n) FROM generate_series(1, 50) AS n;
SELECT is(pg_temp.in_use('key') - :keys, 50::bigint, 'what is reset is in use no more');
SELECT pg_temp.at('10:00:23.999999');
SELECT pg_temp.in_use('key') AS keys \gset
SELECT pg_temp.at('10:00:24');
SELECT cmp_ok(pg_temp.in_use('key') - :keys, '<=', -50::bigint, 'nor what has come back, with no job');

-- IPv6 by networks of 64 bits, IPv4 by addresses, as the documentation says
CREATE FUNCTION pg_temp.login(p_address inet) RETURNS text LANGUAGE sql AS $$
    SELECT 'login ' || network(set_masklen(p_address, CASE family(p_address) WHEN 6 THEN 64 ELSE 32 END))
$$;
SELECT is(pg_temp.login('2001:db8:1:2:a:b:c:d'), 'login 2001:db8:1:2::/64', 'all addresses of a network are one key');
SELECT is(pg_temp.login('2001:db8:1:2::7'), pg_temp.login('2001:db8:1:2:ffff:ffff:ffff:ffff'), 'whichever it is');
SELECT isnt(pg_temp.login('2001:db8:1:3::7'), pg_temp.login('2001:db8:1:2::7'), 'another network is another');
SELECT isnt(pg_temp.login('203.0.113.7'), pg_temp.login('203.0.113.8'), 'and each address of IPv4');
SELECT pg_temp.rate(:'run' || pg_temp.login(address), 2) FROM (VALUES ('2001:db8:1:2::7'::inet), ('2001:db8:1:2::8')) AS a (address);
SELECT is(pg_temp.rate(:'run' || pg_temp.login('2001:db8:1:2::9'), 2, p_cost => 0), 'yes, 0 of 2 left, all in 60 s', 'who changes his address gains nothing');

-- reset_rate_limits: last, since it takes all
SELECT pg_temp.at('10:02:00');
\set key :run ' all'
SELECT pg_temp.rate(:'key'), pg_temp.rate(:'key', 5, '1 day'), pg_temp.new_user('all') AS user \gset
SELECT pg_temp.check(:'user');
SELECT is(pg_temp.rate(:'key', p_cost => 0), 'yes, 4 of 5 left, all in 12 s', 'a key has one state for short periods');
SELECT is(pg_temp.rate(:'key', 5, '1 day', 0), 'yes, 4 of 5 left, all in 17280 s', 'and one for long ones');
SELECT is((SELECT database_slots_in_use > 0 AND slots_in_use <= slots FROM rate_limit_shares() WHERE periods = 'long'), true, 'which has a share of its own');
SELECT is(slots * 7, (SELECT slots * 3 FROM rate_limit_status() WHERE region = 'key'), 'of three sevenths') FROM rate_limit_shares() WHERE periods = 'long';
SELECT cmp_ok(reset_rate_limits(), '>=', 3::bigint, 'all keys and users are reset at once');
SELECT is(pg_temp.rate(:'key', p_cost => 0), 'yes, 5 of 5 left, all in 0 s', 'of short periods');
SELECT is(pg_temp.rate(:'key', 5, '1 day', 0), 'yes, 5 of 5 left, all in 0 s', 'of long periods');
SELECT is((SELECT sum(database_slots_in_use) FROM rate_limit_shares()), 0::numeric, 'nothing of this database is in use');

SELECT * FROM finish();
ROLLBACK;
