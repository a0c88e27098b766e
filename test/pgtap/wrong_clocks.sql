-- A clock that was ahead, or is behind: what it wrote is not believed once it is right, nobody is locked out longer, nothing
-- counts twice or is forgotten.
BEGIN;
\ir prelude.psql
SELECT no_plan();
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 10}, "pro": {"messagesPerMonth": 100, "tokensPerMonth": 1000, "apiCallsPerMonth": 50, "costPerMonth": 5}}');
UPDATE system_configs SET is_active = false WHERE config_key = 'rate_limits';

CREATE FUNCTION pg_temp.at(p_moment text) RETURNS void LANGUAGE sql AS $$ SELECT set_config('claude_gpt.fixed_time', p_moment, true) $$;
CREATE FUNCTION pg_temp.consumed(p_name text, p_quantity bigint DEFAULT 1) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', CASE WHEN allowed THEN 'yes' ELSE 'no' END, used, held, to_char(resets_at, 'YYYY-MM-DD HH24:MI')) FROM claude_gpt.consume_quota(pg_temp.user_id(p_name), 'message', p_quantity)
$$;
CREATE FUNCTION pg_temp.status(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', used, held, to_char(resets_at, 'YYYY-MM-DD HH24:MI')) FROM claude_gpt.quota_status(pg_temp.user_id(p_name)) WHERE action = 'message'
$$;
CREATE FUNCTION pg_temp.ledger(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s', billing_period, quantity), ', ' ORDER BY billing_period, quantity) FROM (
        SELECT billing_period, sum(quantity) AS quantity FROM claude_gpt_data.usage_records WHERE user_id = pg_temp.user_id(p_name) AND usage_type = 'message' GROUP BY 1) AS r
$$;
CREATE FUNCTION pg_temp.proof(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE(string_agg(concat_ws(' ', item, recorded, proved), ', ' ORDER BY item), 'true') FROM claude_gpt.prove_books(pg_temp.user_id(p_name))
$$;
CREATE FUNCTION pg_temp.times() RETURNS text LANGUAGE sql AS $$
    SELECT h.status || ': ' || h.detail FROM claude_gpt.health() AS h WHERE h.check_name = 'times'
$$;
UPDATE jobs SET next_run_at = '2026-11-01Z';

-- ahead for a moment
SELECT pg_temp.new_user('ahead') \g /dev/null
SELECT pg_temp.at('2026-11-30T11:00:00Z');
SELECT is(pg_temp.consumed('ahead', 4), 'yes 4 0 2026-12-01 00:00', 'before');
SELECT pg_temp.at('2027-11-30T12:00:00Z');
SELECT is(pg_temp.consumed('ahead'), 'yes 1 0 2027-12-01 00:00', 'a clock is ahead by a year');
SELECT pg_temp.at('2026-11-30T12:05:00Z');
SELECT is(pg_temp.times(), 'warning: times of the future (last activities of users: 1, months of users: 1)', 'health names what it has written');
SELECT is(pg_temp.proof('ahead'), 'monthly_reset_date 2027-11-01 2026-11-01', 'so do the books');
SELECT is(pg_temp.status('ahead'), '5 0 2026-12-01 00:00', 'what was used then counts in the month that it was');
SELECT is((SELECT monthly_reset_date FROM users WHERE id = pg_temp.user_id('ahead')), '2027-11-01', 'reading writes nothing');
SELECT ok(check_subscription_limit(pg_temp.user_id('ahead')), 'and the limit leaves room');
SELECT is(pg_temp.consumed('ahead', 5), 'yes 10 0 2026-12-01 00:00', 'up to the limit');
SELECT is(pg_temp.consumed('ahead'), 'no 10 0 2026-12-01 00:00', 'and no more');
SELECT ok(NOT check_subscription_limit(pg_temp.user_id('ahead')), 'which is said');
SELECT is(pg_temp.proof('ahead'), 'true', 'the books prove');
SELECT is(pg_temp.times(), 'ok: no time is of the future', 'and nothing is of the future');
SELECT is((SELECT last_active_at FROM users WHERE id = pg_temp.user_id('ahead')), '2026-11-30 12:05:00Z', 'nor is the last activity');
SELECT pg_temp.at('2026-12-01T00:00:00Z');
SELECT is(pg_temp.status('ahead'), '0 0 2027-01-01 00:00', 'the next month begins');
SELECT is(pg_temp.consumed('ahead'), 'yes 1 0 2027-01-01 00:00', 'with the whole limit');
SELECT is(pg_temp.ledger('ahead'), '2026-11-01 10, 2026-12-01 1', 'and the ledger has each month for itself');
SELECT is(pg_temp.proof('ahead'), 'true', 'the books prove');
SELECT pg_temp.at('2027-11-05T00:00:00Z');
SELECT is(pg_temp.consumed('ahead'), 'yes 1 0 2027-12-01 00:00', 'the month that was ahead comes, and nothing of it is used');
SELECT is(pg_temp.proof('ahead'), 'true', 'the books prove');

-- behind for a moment
SELECT pg_temp.new_user('behind') \g /dev/null
SELECT pg_temp.at('2026-11-20T12:00:00Z');
SELECT is(pg_temp.consumed('behind', 9), 'yes 9 0 2026-12-01 00:00', 'before');
SELECT pg_temp.at('2026-10-05T12:00:00Z');
SELECT is(pg_temp.status('behind'), '9 0 2026-11-01 00:00', 'a clock is behind by a month');
SELECT is(pg_temp.consumed('behind'), 'yes 10 0 2026-11-01 00:00', 'and grants nothing anew');
SELECT is(pg_temp.consumed('behind'), 'no 10 0 2026-11-01 00:00', 'while it lasts');
SELECT is(pg_temp.proof('behind'), 'true', 'the books prove');
SELECT pg_temp.at('2026-11-20T12:05:00Z');
SELECT is(pg_temp.status('behind'), '9 0 2026-12-01 00:00', 'what was used is not forgotten');
SELECT is(pg_temp.consumed('behind'), 'yes 10 0 2026-12-01 00:00', 'when it is right again');
SELECT is(pg_temp.consumed('behind'), 'no 10 0 2026-12-01 00:00', 'nor granted again');
SELECT is(pg_temp.ledger('behind'), '2026-10-01 1, 2026-11-01 10', 'each call is of one month');
SELECT is(pg_temp.proof('behind'), 'true', 'the books prove');

-- a step at the turn
SELECT pg_temp.new_user('step') \g /dev/null
SELECT pg_temp.at('2026-12-01T00:00:05Z');
SELECT is(pg_temp.consumed('step', 3), 'yes 3 0 2027-01-01 00:00', 'a month has begun');
SELECT pg_temp.at('2026-11-30T23:59:58Z');
SELECT is(pg_temp.consumed('step'), 'yes 4 0 2027-01-01 00:00', 'and goes on where the clock steps back, until it ends, which is said');
SELECT is(pg_temp.status('step'), '4 0 2027-01-01 00:00', 'by all that tell');
SELECT pg_temp.at('2026-12-31T23:59:59Z');
SELECT is(pg_temp.consumed('step', 7), 'no 4 0 2027-01-01 00:00', 'once');
SELECT is(pg_temp.ledger('step'), '2026-12-01 4', 'in the ledger too');

-- every way to count
SELECT pg_temp.new_user('every', 'pro') AS every \gset
SELECT pg_temp.at('2027-11-30T12:00:00Z');
SELECT update_user_usage(:'every', 1, 10, 0.5), record_usage(:'every', 'api_call', 2) \g /dev/null
SELECT pg_temp.at('2026-11-30T12:00:00Z');
SELECT update_user_usage(:'every', 2, 20, 0.25);
SELECT is((SELECT concat_ws(' ', monthly_message_count, monthly_token_count, monthly_api_call_count, trim_scale(monthly_cost), monthly_reset_date, ledger_ahead_to) FROM users WHERE id = :'every'),
          '3 30 2 0.75 2026-11-01 2027-11-01', 'update_user_usage brings a month near');
SELECT pg_temp.at('2027-11-30T12:00:00Z');
SELECT consume_quota(:'every') \g /dev/null
SELECT pg_temp.at('2026-11-30T12:00:00Z');
SELECT record_usage(:'every', 'token', 1, NULL, 0.25) \g /dev/null
SELECT is((SELECT concat_ws(' ', monthly_message_count, monthly_token_count, monthly_api_call_count, trim_scale(monthly_cost), monthly_reset_date, total_message_count) FROM users WHERE id = :'every'),
          '4 31 2 1 2026-11-01 4', 'record_usage does, once more');
SELECT is(pg_temp.proof('every'), 'true', 'the books prove');

-- without a ledger
SELECT pg_temp.configure('usage_ledger', 'false');
SELECT pg_temp.new_user('unrecorded') \g /dev/null
SELECT pg_temp.at('2027-11-30T12:00:00Z');
SELECT pg_temp.consumed('unrecorded', 7) \g /dev/null
SELECT pg_temp.at('2026-11-30T12:00:00Z');
SELECT is(pg_temp.consumed('unrecorded', 4), 'no 7 0 2026-12-01 00:00', 'what no record tells counts on in the month that it was');
SELECT is(pg_temp.consumed('unrecorded', 3), 'yes 10 0 2026-12-01 00:00', 'to the limit');
SELECT pg_temp.at('2026-12-01T00:00:00Z');
SELECT is(pg_temp.consumed('unrecorded', 3), 'yes 3 0 2027-01-01 00:00', 'and not in the next');
SELECT pg_temp.configure('usage_ledger', 'true');
SELECT is(pg_temp.proof('unrecorded'), 'true', 'the books prove');

-- holds
SELECT pg_temp.new_user('holder') AS holder \gset
SELECT pg_temp.at('2027-11-30T12:00:00Z');
SELECT allowed FROM reserve_usage(:'holder', 0, 10, p_ttl => '7 minutes') \g /dev/null
SELECT pg_temp.at('2026-11-30T12:00:00Z');
SELECT matches(pg_temp.times(), '^warning: times of the future \(.*holds: 1', 'health names a hold');
SELECT is(pg_temp.status('holder'), '0 10 2026-12-01 00:00', 'that holds all');
SELECT is((SELECT concat_ws(' ', allowed, held, retry_after_seconds) FROM consume_quota(:'holder')), 'f 10 420', 'for as long as it was made, from now on');
SELECT is((SELECT concat_ws(' ', created_at, expires_at) FROM usage_reservations WHERE user_id = :'holder'), '2026-11-30 12:00:00+00 2026-11-30 12:07:00+00', 'it is brought near');
SELECT is((SELECT next_hold_expiry FROM users WHERE id = :'holder'), '2026-11-30 12:07:00Z', 'so is what the user says of it');
INSERT INTO usage_reservations (id, user_id, status, message_count, token_count, created_at, expires_at, closed_at)
SELECT uuid_v7(), :'holder', 'settled', 1, 0, m.moment, m.moment + interval '5 minutes', m.moment FROM (SELECT timestamptz '2026-11-24 12:00:00Z' + i * interval '2 minutes' AS moment FROM generate_series(1, 4000) AS i) AS m;
SELECT pg_stat_get_xact_tuples_returned('usage_reservations'::regclass) + pg_stat_get_xact_tuples_returned('idx_usage_reservations_user_id'::regclass) AS before \gset
DISCARD PLANS;
SELECT pg_temp.at('2026-11-30T12:07:00Z');
SELECT is(pg_temp.consumed('holder', 10), 'yes 10 0 2026-12-01 00:00', 'and it frees itself');
SELECT cmp_ok(pg_stat_get_xact_tuples_returned('usage_reservations'::regclass) + pg_stat_get_xact_tuples_returned('idx_usage_reservations_user_id'::regclass) - :before, '<', 1000::bigint, 'without a look at all that was settled');
SELECT is(pg_temp.proof('holder'), 'true', 'the books prove');
SELECT pg_temp.new_user('soon') AS soon \gset
SELECT pg_temp.at('2026-11-30T14:00:00Z');
SELECT reserve_usage(:'soon', 0, 10) \g /dev/null
SELECT pg_temp.at('2026-11-30T12:00:00Z');
SELECT is((SELECT concat_ws(' ', allowed, held, retry_after_seconds) FROM consume_quota(:'soon')), 'f 10 300', 'one that was made two hours from now, too');
SELECT pg_temp.new_user('swept') AS swept \gset
SELECT pg_temp.at('2027-11-30T12:00:00Z');
SELECT reserve_usage(:'swept', 0, 10) \g /dev/null
SELECT pg_temp.at('2026-11-30T12:00:00Z');
SELECT extend_usage(:'swept', id, '10 minutes') FROM usage_reservations WHERE user_id = :'swept' \g /dev/null
SELECT is((SELECT expires_at FROM usage_reservations WHERE user_id = :'swept'), '2026-11-30 12:10:00Z', 'extending one says its end anew');

-- turns at once
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": -1, "maxConcurrentTurns": 1}, "pro": {"messagesPerMonth": -1}}'), pg_temp.configure('model_prices', '{"m": {"prompt": 0, "completion": 0}}');
SELECT pg_temp.new_user('talker') AS talker \gset
SELECT pg_temp.at('2027-11-30T12:00:00Z');
SELECT reservation_id AS turn FROM begin_turn(:'talker', NULL, 'hi', 'm', 1) \gset
SELECT pg_temp.at('2027-11-30T12:04:00Z');
SELECT save_partial(:'talker', :'turn', 'he');
SELECT pg_temp.at('2026-11-30T12:00:00Z');
SELECT is((SELECT concat_ws(' ', reason, retry_after_seconds) FROM begin_turn(:'talker', NULL, 'hi', 'm', 1)), 'too_many_turns 300', 'a turn that a clock began which was ahead denies the next one for as long as it was made, from now on');
SELECT pg_temp.at('2026-11-30T12:03:00Z');
SELECT save_partial(:'talker', :'turn', 'hello');
SELECT is((SELECT concat_ws(' ', renewed_at, expires_at) FROM usage_reservations WHERE id = :'turn'), '2026-11-30 12:03:00+00 2026-11-30 12:08:00+00', 'a reply that is streamed on renews it');
SELECT pg_temp.at('2026-11-30T12:08:00Z');
SELECT ok(allowed, 'else it ends then') FROM begin_turn(:'talker', NULL, 'hi', 'm', 1);
SELECT is(pg_temp.proof('talker'), 'true', 'the books prove');
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 10}, "pro": {"messagesPerMonth": 100, "tokensPerMonth": 1000, "apiCallsPerMonth": 50, "costPerMonth": 5}}');

-- repair_books, for those who do not call
SELECT pg_temp.new_user('silent') AS silent \gset
SELECT pg_temp.at('2026-11-30T12:00:00Z');
SELECT pg_temp.consumed('silent', 2) \g /dev/null
SELECT pg_temp.at('2027-11-30T12:00:00Z');
SELECT pg_temp.consumed('silent', 3) \g /dev/null
SELECT reserve_usage(:'silent', 0, 1, p_idempotency_key => 'k') \g /dev/null
SELECT pg_temp.at('2026-11-30T12:01:00Z');
SELECT results_eq($$SELECT item, recorded, proved FROM repair_books(pg_temp.user_id('silent'))$$,
    $$VALUES ('last_active_at', '2027-11-30 12:00:00+00', '2026-11-30 12:01:00+00'),
             ('monthly_reset_date', '2027-11-01', '2026-11-01'),
             ('next_hold_expiry', '2027-11-30 12:05:00+00', '2026-11-30 12:06:00+00'),
             ('idempotency_keys.expires_at', NULL, '2026-12-01 12:01:00+00')$$, 'repair_books says what it brings near');
SELECT is((SELECT concat_ws(' ', monthly_message_count, monthly_reset_date, ledger_ahead_to, held_message_count) FROM users WHERE id = :'silent'), '5 2026-11-01 1', 'and where it counts');
SELECT is(pg_temp.ledger('silent'), '2026-11-01 5', 'for good');
SELECT is((SELECT concat_ws(' ', allowed, replayed) FROM reserve_usage(:'silent', 0, 1, p_idempotency_key => 'k')), 't t', 'a call is not counted twice');
SELECT is_empty($$SELECT * FROM repair_books(pg_temp.user_id('silent'))$$, 'then there is nothing to repair');
SELECT repair_books() \g /dev/null
SELECT is_empty($$SELECT * FROM repair_books()$$, 'nor of all, once all were repaired');
SELECT is_empty($$SELECT * FROM prove_books()$$, 'and the books of all prove');
SELECT is(pg_temp.proof('silent'), 'true', 'the books prove');
SELECT is(pg_temp.times(), 'ok: no time is of the future', 'and nothing is of the future');

-- what belongs to others stays
SELECT pg_temp.at('2027-11-30T12:00:00Z');
SELECT pg_temp.new_user('one') \g /dev/null
SELECT pg_temp.new_user('other') \g /dev/null
SELECT pg_temp.consumed('one'), pg_temp.consumed('other') \g /dev/null
SELECT pg_temp.at('2026-11-30T12:00:00Z');
SELECT repair_books(pg_temp.user_id('one')) \g /dev/null
SELECT is((SELECT string_agg(monthly_reset_date::text, ' ' ORDER BY email) FROM users WHERE email IN ('one@example.com', 'other@example.com')), '2026-11-01 2027-11-01', 'repair_books of one user is of him');

-- Years of a clock that goes wrong at any time, by both engines, against a plain model: entries of a period, the running
-- period, and whether there are later entries.
CREATE TABLE pg_temp.entries (period date, quantity bigint);
CREATE FUNCTION pg_temp.walk(p_seed double precision, p_steps integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    walker CONSTANT uuid := pg_temp.new_user('walker' || p_seed);
    real timestamptz := '2026-01-01Z';
    clock timestamptz;
    present date;
    running date;
    ahead date;
    asked bigint;
    expected bigint;
    answer record;
    told record;
    wrong text := '';
BEGIN
    PERFORM setseed(p_seed);
    DELETE FROM entries;
    UPDATE claude_gpt_data.users SET monthly_reset_date = '2026-01-01' WHERE id = walker;
    running := '2026-01-01';
    FOR step IN 1 .. p_steps LOOP
        real := real + random() * random() * interval '20 days';
        clock := real + CASE WHEN random() < 0.6 THEN interval '0' WHEN random() < 0.5 THEN (random() - 0.5) * interval '4 days' ELSE (random() - 0.5) * interval '800 days' END;
        PERFORM set_config('claude_gpt.fixed_time', to_char(clock AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), true);
        PERFORM set_config('claude_gpt.direct_access', CASE WHEN random() < 0.5 THEN 'on' ELSE 'off' END, true);
        present := date_trunc('month', clock AT TIME ZONE 'UTC');
        IF running > (clock AT TIME ZONE 'UTC')::date + 2 THEN
            ahead := GREATEST(running, ahead);
            running := present;
        ELSIF running < present THEN
            IF ahead IS NOT NULL THEN
                UPDATE entries SET period = running WHERE period > present;
            END IF;
            ahead := NULL;
            running := present;
        END IF;
        expected := (SELECT COALESCE(sum(quantity), 0) FROM entries WHERE period >= running);
        SELECT s.used, s.resets_at INTO told FROM claude_gpt.quota_status(walker) AS s WHERE s.action = 'message';
        asked := ceil(random() * 4);
        IF random() < 0.8 THEN
            SELECT * INTO answer FROM claude_gpt.consume_quota(walker, 'message', asked);
        ELSE
            PERFORM claude_gpt.update_user_usage(walker, asked::integer);
            SELECT true AS allowed, expected + asked AS used, told.resets_at AS resets_at INTO answer;
            expected := expected - asked;  -- counted whatever the limit
        END IF;
        IF told.resets_at <> (running + interval '1 month') AT TIME ZONE 'UTC' OR answer.resets_at <> told.resets_at THEN
            wrong := wrong || format('step %s at %s: %s resets at %s. ', step, clock, running, told.resets_at);
        END IF;
        IF answer.allowed THEN
            INSERT INTO entries VALUES (running, asked);
        END IF;
        expected := (SELECT COALESCE(sum(quantity), 0) FROM entries WHERE period >= running);
        IF answer.used <> expected OR (answer.allowed AND told.used + asked <> expected) OR NOT answer.allowed AND (told.used <> expected OR expected + asked <= 10) THEN
            wrong := wrong || format('step %s at %s: told %s, asked %s, %s %s, expected %s. ', step, clock, told.used, asked, answer.allowed, answer.used, expected);
        END IF;
        IF EXISTS (SELECT FROM claude_gpt.prove_books(walker)) THEN
            wrong := wrong || format('step %s at %s: the books do not prove. ', step, clock);
        END IF;
        IF EXISTS (SELECT period, sum(quantity) FROM entries GROUP BY period
                   EXCEPT SELECT billing_period, sum(quantity) FROM claude_gpt_data.usage_records WHERE user_id = walker GROUP BY billing_period) THEN
            wrong := wrong || format('step %s at %s: the ledger differs. ', step, clock);
        END IF;
        EXIT WHEN wrong <> '';
    END LOOP;
    RETURN wrong;
END
$$;
SELECT is(pg_temp.walk(seed / 10.0, 120), '', 'clocks that go wrong at any time, walk ' || seed) FROM generate_series(1, 5) AS seed;

SELECT * FROM finish();
ROLLBACK;
