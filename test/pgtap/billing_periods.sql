-- Billing periods: by the calendar, or from each user's own day, as his plan says; what becomes of a period when the plan, the
-- anchor or the day changes while it runs.
BEGIN;
\ir prelude.psql
SELECT no_plan();
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 10}, "calendar": {"messagesPerMonth": 10, "billing_anchor": "calendar"}, "own": {"messagesPerMonth": 10, "billing_anchor": "subscription"}}');
UPDATE system_configs SET is_active = false WHERE config_key = 'rate_limits';
SELECT throws_ok(format($$UPDATE system_configs SET config_value = '{"free": {"messagesPerMonth": 1, "billing_anchor": %s}}' WHERE config_key = 'subscription_plans'$$, v), '22023', NULL, v || ' is no anchor')
FROM unnest(ARRAY['"monthly"', 'true', 'null', '17']) AS v;

CREATE FUNCTION pg_temp.at(p_moment text) RETURNS void LANGUAGE sql AS $$ SELECT set_config('claude_gpt.fixed_time', p_moment, true) $$;
CREATE FUNCTION pg_temp.consumed(p_name text, p_quantity bigint DEFAULT 1) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', CASE WHEN allowed THEN 'yes' ELSE 'no' END, used, to_char(resets_at, 'YYYY-MM-DD HH24:MI')) FROM claude_gpt.consume_quota(pg_temp.user_id(p_name), 'message', p_quantity)
$$;
CREATE FUNCTION pg_temp.period(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', monthly_reset_date, COALESCE(billing_period_ends_on::text, 'calendar'), billing_anchor_day) FROM claude_gpt_data.users WHERE email = p_name || '@example.com'
$$;
CREATE FUNCTION pg_temp.ledger(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s', billing_period, quantity), ', ' ORDER BY billing_period) FROM (
        SELECT billing_period, sum(quantity) AS quantity FROM claude_gpt_data.usage_records WHERE user_id = pg_temp.user_id(p_name) GROUP BY 1) AS r
$$;

-- a subscription in a running month
SELECT pg_temp.at('2026-11-20T10:00:00Z');
SELECT pg_temp.new_user('ann') AS ann \gset
SELECT is(pg_temp.consumed('ann', 4), 'yes 4 2026-12-01 00:00', 'by the calendar');
SELECT set_subscription(:'ann', 'own', p_current_period_end => '2028-12-17 09:00Z') \g /dev/null
SELECT is(pg_temp.period('ann'), '2026-11-01 calendar 17', 'a subscription brings a day of its own');
SELECT is(pg_temp.consumed('ann', 6), 'yes 10 2026-12-01 00:00', 'and leaves the running period as it is');
SELECT pg_temp.at('2026-11-30T23:59:59Z');
SELECT is(pg_temp.consumed('ann'), 'no 10 2026-12-01 00:00', 'to its end');
SELECT pg_temp.at('2026-12-01T00:00:00Z');
SELECT is(pg_temp.consumed('ann', 3), 'yes 3 2027-01-17 00:00', 'the next one ends on the user''s day, a month away or more');
SELECT is(pg_temp.period('ann'), '2026-12-01 2027-01-17 17', 'which is said');
SELECT pg_temp.at('2027-01-16T23:59:59Z');
SELECT is(pg_temp.consumed('ann', 1), 'yes 4 2027-01-17 00:00', 'it goes on over the turn of the month');
SELECT pg_temp.at('2027-01-17T00:00:00Z');
SELECT is(pg_temp.consumed('ann', 9), 'yes 9 2027-02-17 00:00', 'then each begins on that day');
SELECT is(pg_temp.ledger('ann'), '2026-11-01 10, 2026-12-01 4, 2027-01-17 9', 'records name the first day of the period');
SELECT is_empty(format('SELECT * FROM prove_books(%L)', :'ann'), 'and the books prove');

-- back and forth
SELECT set_subscription(:'ann', 'calendar', p_current_period_end => '2028-02-17 09:00Z') \g /dev/null
SELECT is(pg_temp.consumed('ann', 2), 'no 9 2027-02-17 00:00', 'another anchor restarts nothing');
SELECT set_subscription(:'ann', 'own', p_current_period_end => '2029-01-20 09:00Z') \g /dev/null
SELECT is(pg_temp.consumed('ann', 2), 'no 9 2027-02-17 00:00', 'nor another day');
SELECT pg_temp.at('2027-02-01T00:00:00Z');
SELECT set_subscription(:'ann', 'calendar') \g /dev/null
SELECT is(pg_temp.consumed('ann', 2), 'no 9 2027-02-17 00:00', 'nor the turn of the month');
SELECT pg_temp.at('2027-02-17T00:00:00Z');
SELECT is(pg_temp.consumed('ann', 2), 'yes 2 2027-04-01 00:00', 'when it has ended, the calendar holds from the next first day that is a month away');
SELECT pg_temp.at('2027-04-01T00:00:00Z');
SELECT is(pg_temp.consumed('ann', 2) || '; ' || pg_temp.period('ann'), 'yes 2 2027-05-01 00:00; 2027-04-01 calendar 20', 'and then as for everybody');

-- the ends of months
SELECT pg_temp.at('2026-12-31T12:00:00Z');
SELECT pg_temp.new_user('end', 'free') AS "end" \gset
UPDATE users SET monthly_reset_date = '2026-12-31', billing_period_ends_on = '2027-01-31' WHERE id = :'end';
SELECT set_subscription(:'end', 'own', p_current_period_end => '2028-01-31 12:00Z') \g /dev/null
CREATE FUNCTION pg_temp.ends_at_month_ends(p_user text, p_months integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ends text[] := '{}';
BEGIN
    FOR n IN 1 .. p_months LOOP
        PERFORM pg_temp.at(to_char((date '2027-01-01' + n * interval '1 month') - interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
        ends := ends || split_part(pg_temp.consumed(p_user), ' ', 3);
    END LOOP;
    RETURN array_to_string(ends, ' ');
END
$$;
SELECT is(pg_temp.ends_at_month_ends('end', 6),
          '2027-02-28 2027-03-31 2027-04-30 2027-05-31 2027-06-30 2027-07-31', 'the 31st is the last day of a month without it, and comes back');
SELECT set_subscription(:'end', 'own', p_current_period_end => '2028-06-30 12:00Z') \g /dev/null
SELECT is((SELECT billing_anchor_day FROM users WHERE id = :'end'), 31, 'a period that is paid to such a day keeps it');
SELECT pg_temp.new_user('today', 'free') AS today \gset
SELECT set_subscription(:'today', 'own') \g /dev/null
SELECT is((SELECT billing_anchor_day FROM users WHERE id = :'today'), 30, 'without an end it is the day of the subscription');
SELECT set_subscription(:'today', 'own', 'past_due') \g /dev/null
SELECT is((SELECT billing_anchor_day FROM users WHERE id = :'today'), 30, 'which stays');

-- nobody else's business
SELECT pg_temp.new_user('plain', 'free') AS plain \gset
SELECT set_subscription(:'plain', 'calendar', p_current_period_end => '2027-07-17 12:00Z') \g /dev/null
SELECT is(pg_temp.period('plain'), '2027-06-01 calendar', 'a plan by the calendar brings no day');
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": 10, "billing_anchor": "subscription"}, "calendar": {"messagesPerMonth": 10}, "own": {"messagesPerMonth": 10, "billing_anchor": "subscription"}}');
SELECT pg_temp.new_user('free', 'free') \g /dev/null
SELECT is(pg_temp.consumed('free'), 'yes 1 2027-07-01 00:00', 'who has no day of his own follows the calendar');

-- a lapsed plan, reports
SELECT is((SELECT monthly_message_count FROM user_statistics WHERE id = :'end'), 1, 'statistics count the running period');
SELECT is((SELECT sum(used) FROM plan_usage WHERE limit_name = 'message'), 2::numeric, 'so do those of plans');
SELECT pg_temp.at('2027-07-31T00:00:00Z');
SELECT is((SELECT sum(used) FROM plan_usage WHERE limit_name = 'message'), 0::numeric, 'which has ended then');

-- Years of plans, anchors and days that change at any time, by both engines, in zones with and without summer time, against a
-- plain model: the running period, and what was counted in each.
CREATE FUNCTION pg_temp.anchor(p_month date, p_day integer) RETURNS date LANGUAGE sql IMMUTABLE AS $$
    SELECT LEAST(date_trunc('month', p_month::timestamp) + (p_day - 1) * interval '1 day', date_trunc('month', p_month::timestamp) + interval '1 month' - interval '1 day')::date
$$;
CREATE FUNCTION pg_temp.walk(p_seed double precision, p_zone text, p_steps integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    walker uuid;
    clock timestamptz := '2026-01-01 12:00Z';
    today date;
    begins date;
    ends date;
    first_end date;
    day integer;
    anchor integer := 1;
    used bigint := 0;
    periods integer := 1;
    plan text := 'calendar';
    paid_to timestamptz;
    told record;
    answer record;
    wrong text := '';
BEGIN
    PERFORM pg_temp.configure('billing_timezone', to_jsonb(p_zone));
    PERFORM pg_temp.at('2026-01-01T12:00:00Z');
    walker := pg_temp.new_user('walker' || p_seed || p_zone);
    begins := (SELECT monthly_reset_date FROM claude_gpt_data.users WHERE id = walker);
    ends := begins + interval '1 month';
    PERFORM setseed(p_seed);
    FOR step IN 1 .. p_steps LOOP
        clock := clock + random() * random() * CASE WHEN random() < 0.03 THEN interval '120 days' ELSE interval '15 days' END;
        PERFORM pg_temp.at(to_char(clock AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
        clock := date_trunc('second', clock);
        PERFORM set_config('claude_gpt.direct_access', CASE WHEN random() < 0.5 THEN 'on' ELSE 'off' END, true);
        today := (clock AT TIME ZONE p_zone)::date;
        IF random() < 0.15 THEN
            plan := (ARRAY['calendar', 'own', 'own'])[ceil(random() * 3)];
            paid_to := CASE WHEN random() < 0.7 THEN clock + random() * interval '40 days' END;
            PERFORM claude_gpt.set_subscription(walker, plan, p_current_period_end => paid_to + interval '10 years');
            IF plan = 'own' THEN
                first_end := CASE WHEN paid_to IS NULL THEN today ELSE ((paid_to + interval '10 years') AT TIME ZONE p_zone)::date END;
                IF day IS NULL OR paid_to IS NOT NULL AND pg_temp.anchor(first_end, day) <> first_end THEN
                    day := extract(day FROM first_end);
                END IF;
            END IF;
        END IF;
        anchor := CASE WHEN plan = 'own' THEN COALESCE(day, 1) ELSE 1 END;
        IF today >= ends THEN
            first_end := pg_temp.anchor((ends + interval '1 month')::date, anchor);
            IF first_end < (ends + interval '1 month')::date THEN
                first_end := pg_temp.anchor((first_end + interval '1 month')::date, anchor);
            END IF;
            begins := ends;
            ends := first_end;
            WHILE today >= ends LOOP
                begins := ends;
                ends := pg_temp.anchor((date_trunc('month', ends) + interval '1 month')::date, anchor);
            END LOOP;
            used := 0;
            periods := periods + 1;
        END IF;
        SELECT s.used, s.resets_at INTO told FROM claude_gpt.quota_status(walker) AS s WHERE s.action = 'message';
        SELECT c.allowed, c.used, c.resets_at INTO answer FROM claude_gpt.consume_quota(walker, 'message', 1 + floor(random() * 5)::bigint) AS c;
        IF told.used <> used OR told.resets_at <> ends::timestamp AT TIME ZONE p_zone OR answer.resets_at <> told.resets_at OR NOT answer.allowed AND answer.used <> used OR answer.used > 10 THEN
            wrong := format('step %s at %s, plan %s %s: told %s until %s, then %s %s, expected %s from %s until %s', step, clock, plan, anchor, told.used, told.resets_at, answer.allowed, answer.used, used, begins, ends);
        END IF;
        used := answer.used;
        IF answer.allowed AND (SELECT u.monthly_reset_date FROM claude_gpt_data.users AS u WHERE id = walker) <> begins
           OR (SELECT sum(quantity) FROM claude_gpt_data.usage_records WHERE user_id = walker AND billing_period = begins) <> used
           OR EXISTS (SELECT FROM claude_gpt.prove_books(walker)) THEN
            wrong := format('step %s at %s: the ledger has %s, expected %s in %s', step, clock, pg_temp.ledger('walker' || p_seed || p_zone), used, begins);
        END IF;
        IF periods > 1 + extract(year FROM age(today, '2025-12-31')) * 12 + extract(month FROM age(today, '2025-12-31')) THEN
            wrong := format('step %s at %s: %s periods', step, clock, periods);
        END IF;
        EXIT WHEN wrong <> '';
    END LOOP;
    RETURN wrong;
END
$$;
SELECT is(pg_temp.walk(seed / 100.0, zone, 250), '', format('plans that change at any time, walk %s in %s', seed, zone))
FROM generate_series(1, 3) AS seed CROSS JOIN LATERAL unnest(ARRAY['UTC', 'America/New_York', 'Pacific/Kiritimati']) WITH ORDINALITY AS z (zone, n)
WHERE (seed + n) % 2 = 0 OR seed = 1;

SELECT * FROM finish();
ROLLBACK;
