-- Topic reports: what was used and paid, for people to look at.

-- Levels: read application billing operator
CREATE FUNCTION claude_gpt_internal.current_billing_day() RETURNS date
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_current_billing_day';
COMMENT ON FUNCTION claude_gpt_internal.current_billing_day() IS
'The day it is now, by the wall clock in the time zone of the configuration "billing_timezone": for conditions on daily_usage. Errors: 55000 if the tables are missing or older than the code, or if the configuration is not valid. Locks nothing.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.report_page(p_from date, p_to date, p_blind_role text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    -- No script and nothing from elsewhere; the style is known by its hash, so that no other one counts.
    style CONSTANT text := claude_gpt_internal.report_style();
    moment CONSTANT timestamptz := COALESCE(NULLIF(current_setting('claude_gpt.fixed_time', true), '')::timestamptz, clock_timestamp());
    day_count CONSTANT integer := CASE WHEN p_from >= '2000-01-01' AND p_to <= '9999-12-31' THEN p_to - p_from + 1 END;
    zone text;
    keeps_ledger boolean;
    today date;
    before_from date;
    first_moment timestamptz;
    last_moment timestamptz;
    days date[];
    day_range text;
    days_before text;
    -- Of the days, and of as many before them.
    used record;
    users record;
    signups record;
    by_month record;
    is_comparable boolean;
    page text;
    part text;
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    IF p_from IS NULL OR p_to IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_from and p_to must not be null';
    END IF;
    IF day_count IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'p_from and p_to must be from 2000-01-01 to 9999-12-31';
    END IF;
    IF day_count < 1 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'p_to must not be before p_from';
    END IF;
    IF day_count > 366 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a report is of 366 days at most',
            DETAIL = format('From %s to %s there are %s.', to_char(p_from, 'YYYY-MM-DD'), to_char(p_to, 'YYYY-MM-DD'), day_count);
    END IF;
    today := claude_gpt_internal.current_billing_day();
    SELECT COALESCE((SELECT c.config_value #>> '{}' FROM claude_gpt_data.system_configs AS c WHERE c.config_key = 'billing_timezone' AND c.is_active), 'UTC'),
           COALESCE((SELECT c.config_value <> 'false' FROM claude_gpt_data.system_configs AS c WHERE c.config_key = 'usage_ledger' AND c.is_active), true)
    INTO zone, keeps_ledger;
    before_from := p_from - day_count;
    -- A bit more than the days, of which the clock on the wall decides: midnight may come twice.
    first_moment := (before_from::timestamp AT TIME ZONE zone) - interval '1 hour';
    last_moment := ((p_to + 1)::timestamp AT TIME ZONE zone) + interval '1 hour';
    days := ARRAY(SELECT p_from + i FROM generate_series(0, day_count - 1) AS i);
    day_range := CASE WHEN day_count = 1 THEN to_char(p_from, 'FMDD FMMonth YYYY')
                      ELSE format('%s &#8211; %s', to_char(p_from, CASE WHEN extract(year FROM p_from) = extract(year FROM p_to) THEN 'FMDD FMMonth' ELSE 'FMDD FMMonth YYYY' END),
                                  to_char(p_to, 'FMDD FMMonth YYYY')) END;
    days_before := CASE day_count WHEN 1 THEN 'the day before' ELSE format('the %s days before', day_count) END;

    -- The same sums as those of daily_usage, over both spans in one scan. The five models that cost most, then the rest.
    WITH by_model AS MATERIALIZED (
        SELECT (r.created_at AT TIME ZONE zone)::date AS day, r.model_used,
               sum(r.quantity) FILTER (WHERE r.usage_type = 'message') AS messages, sum(r.quantity) FILTER (WHERE r.usage_type = 'token') AS tokens,
               sum(r.quantity) FILTER (WHERE r.usage_type = 'api_call') AS api_calls, sum(r.cost) AS cost
        FROM claude_gpt_data.usage_records AS r
        WHERE r.created_at >= first_moment AND r.created_at < last_moment
        GROUP BY 1, 2
    ), ranked AS (
        SELECT m.model_used, sum(m.messages) AS messages, sum(m.tokens) AS tokens, sum(m.api_calls) AS api_calls, sum(m.cost) AS cost,
               row_number() OVER (ORDER BY sum(m.cost) DESC, sum(m.tokens) DESC NULLS LAST, sum(m.messages) DESC NULLS LAST, m.model_used) AS rank
        FROM by_model AS m WHERE m.day BETWEEN p_from AND p_to GROUP BY m.model_used
    ), slots AS (
        SELECT LEAST(r.rank, 6) AS slot, CASE WHEN count(*) > 1 THEN format('%s others', count(*)) ELSE COALESCE(min(r.model_used), 'no model named') END AS name
        FROM ranked AS r GROUP BY 1
    ), grid AS (
        SELECT s.slot, d.day, COALESCE(sum(m.messages), 0) AS messages, COALESCE(sum(m.tokens), 0) AS tokens,
               COALESCE(sum(m.api_calls), 0) AS api_calls, COALESCE(sum(m.cost), 0) AS cost
        FROM (SELECT o.slot FROM slots AS o UNION SELECT 1) AS s
        CROSS JOIN unnest(days) AS d (day)
        LEFT JOIN (SELECT LEAST(r.rank, 6) AS slot, b.day, b.messages, b.tokens, b.api_calls, b.cost
                   FROM by_model AS b JOIN ranked AS r ON r.model_used IS NOT DISTINCT FROM b.model_used) AS m ON m.slot = s.slot AND m.day = d.day
        GROUP BY s.slot, d.day
    )
    SELECT g.messages, g.tokens, g.api_calls, g.cost, g.all_messages, g.all_tokens, g.all_api_calls, g.all_cost,
           COALESCE((SELECT array_agg(s.name ORDER BY s.slot) FROM slots AS s), '{all}') AS names,
           (SELECT string_agg(format('<tr><th scope="row"><bdi>%s</bdi></th><td>%s</td><td>%s</td><td class="wide">%s</td><td>%s</td><td class="wide">%s</td></tr>',
                                     claude_gpt_internal.html_text(COALESCE(r.model_used, 'no model named')), claude_gpt_internal.report_number(COALESCE(r.messages, 0), 'count'),
                                     claude_gpt_internal.report_number(COALESCE(r.tokens, 0), 'count'), claude_gpt_internal.report_number(COALESCE(r.api_calls, 0), 'count'),
                                     claude_gpt_internal.report_number(r.cost, 'money'),
                                     CASE WHEN g.all_cost > 0 THEN format('%s&#8201;%%', round(100 * r.cost / g.all_cost, 1)) ELSE '&#8211;' END), '' ORDER BY r.rank)
            FROM ranked AS r WHERE r.rank <= 20) AS model_rows,
           (SELECT count(*) FROM ranked) AS model_count,
           b.messages AS messages_before, b.tokens AS tokens_before, b.cost AS cost_before
    INTO used
    FROM (SELECT array_agg(c.messages ORDER BY c.slot, c.day) AS messages, array_agg(c.tokens ORDER BY c.slot, c.day) AS tokens,
                 array_agg(c.api_calls ORDER BY c.slot, c.day) AS api_calls, array_agg(c.cost ORDER BY c.slot, c.day) AS cost,
                 sum(c.messages) AS all_messages, sum(c.tokens) AS all_tokens, sum(c.api_calls) AS all_api_calls, sum(c.cost) AS all_cost
          FROM grid AS c) AS g,
         (SELECT COALESCE(sum(m.messages), 0) AS messages, COALESCE(sum(m.tokens), 0) AS tokens, COALESCE(sum(m.cost), 0) AS cost
          FROM by_model AS m WHERE m.day >= before_from AND m.day < p_from) AS b;

    WITH by_user AS MATERIALIZED (
        SELECT (r.created_at AT TIME ZONE zone)::date AS day, r.user_id FROM claude_gpt_data.usage_records AS r
        WHERE r.created_at >= first_moment AND r.created_at < last_moment GROUP BY 1, 2
    )
    SELECT (SELECT array_agg(COALESCE(u.users, 0) ORDER BY d.day)
            FROM unnest(days) AS d (day) LEFT JOIN (SELECT b.day, count(*) AS users FROM by_user AS b GROUP BY b.day) AS u ON u.day = d.day) AS daily,
           count(*) FILTER (WHERE t.is_active) AS active, count(*) FILTER (WHERE t.was_active) AS active_before
    INTO users
    FROM (SELECT bool_or(b.day BETWEEN p_from AND p_to) AS is_active, bool_or(b.day >= before_from AND b.day < p_from) AS was_active
          FROM by_user AS b GROUP BY b.user_id) AS t;

    SELECT array_agg(COALESCE(u.users, 0) ORDER BY d.day) AS daily, COALESCE(sum(u.users) FILTER (WHERE d.day >= p_from), 0) AS new,
           COALESCE(sum(u.users) FILTER (WHERE d.day < p_from), 0) AS new_before
    INTO signups
    FROM (SELECT before_from + i AS day FROM generate_series(0, 2 * day_count - 1) AS i) AS d
    LEFT JOIN (SELECT (a.created_at AT TIME ZONE zone)::date AS day, count(*) AS users FROM claude_gpt_data.users AS a
               WHERE a.created_at >= first_moment AND a.created_at < last_moment GROUP BY 1) AS u ON u.day = d.day;

    -- What the ledger cannot tell by day.
    SELECT COALESCE(sum(b.message_count) FILTER (WHERE b.billing_period >= date_trunc('month', p_from)::date), 0) AS messages,
           COALESCE(sum(b.token_count) FILTER (WHERE b.billing_period >= date_trunc('month', p_from)::date), 0) AS tokens,
           COALESCE(sum(b.cost) FILTER (WHERE b.billing_period >= date_trunc('month', p_from)::date), 0) AS cost,
           string_agg(to_char(b.billing_period, 'FMMonth YYYY'), ', ' ORDER BY b.billing_period)
               FILTER (WHERE b.billing_period >= date_trunc('month', p_from)::date) AS months,
           count(*) FILTER (WHERE b.billing_period < p_from) AS months_before
    INTO by_month
    FROM claude_gpt_data.daily_usage AS b
    WHERE b.day IS NULL AND b.billing_period BETWEEN date_trunc('month', before_from)::date AND p_to
      AND (b.message_count <> 0 OR b.token_count <> 0 OR b.api_call_count <> 0 OR b.cost <> 0);
    is_comparable := by_month.months_before = 0;

    page := format(
        '<!DOCTYPE html>' || chr(10) || '<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src ''none''; style-src ''sha256-%1$s''; base-uri ''none''; form-action ''none''">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
        '<title>Usage report, %2$s</title><style>%3$s</style></head><body><main>'
        '<header><h1>Usage report</h1><p>%2$s &#183; days in <bdi>%4$s</bdi> &#183; database <bdi>%5$s</bdi> &#183; made on %6$s%7$s</p></header>',
        encode(sha256(convert_to(style, 'UTF8')), 'base64'), day_range, style, claude_gpt_internal.html_text(zone), claude_gpt_internal.html_text(current_database()),
        to_char(moment AT TIME ZONE zone, 'FMDD Mon YYYY, HH24:MI'), CASE WHEN today BETWEEN p_from AND p_to THEN ', today so far included' END);
    IF NOT keeps_ledger THEN
        page := page || '<p class="note">The usage ledger is off: what is counted now has no day. Messages, tokens, cost and active users below are of the records that were written before; the plans are complete.</p>';
    END IF;
    IF by_month.months IS NOT NULL THEN
        page := page || format('<p class="note">Of %s, %s messages, %s tokens and a cost of %s are known by month only, since their records are gone or were never written. They are in none of the days below.</p>',
                               by_month.months, claude_gpt_internal.report_number(by_month.messages, 'count'), claude_gpt_internal.report_number(by_month.tokens, 'count'),
                               claude_gpt_internal.report_number(by_month.cost, 'money'));
    END IF;

    SELECT string_agg(format('<li><span>%s</span><b%s>%s</b><small>%s</small></li>', t.name,
                             CASE WHEN t.value >= 1000000 THEN format(' title="%s"', claude_gpt_internal.report_number(t.value, t.style)) END,
                             CASE WHEN t.value >= 1000000 THEN claude_gpt_internal.report_number(t.value, 'short') ELSE claude_gpt_internal.report_number(t.value, t.style) END,
                             CASE WHEN NOT t.is_comparable THEN 'not comparable'
                                  WHEN t.value_before = 0 AND t.value = 0 THEN 'as in ' || days_before
                                  WHEN t.value_before = 0 THEN 'none in ' || days_before
                                  WHEN round(1000 * t.value / t.value_before) = 1000 THEN 'as in ' || days_before
                                  ELSE format('%s%s&#8201;%% on %s', CASE WHEN t.value > t.value_before THEN '+' ELSE '&#8722;' END,
                                              to_char(abs(100 * t.value / t.value_before - 100), 'FM999,999,990.0'), days_before) END), '' ORDER BY t.position)
    INTO part
    FROM (VALUES (1, 'Messages', used.all_messages, used.messages_before, 'count', is_comparable),
                 (2, 'Tokens', used.all_tokens, used.tokens_before, 'count', is_comparable),
                 (3, 'Cost', used.all_cost, used.cost_before, 'money', is_comparable),
                 (4, 'Active users', users.active, users.active_before, 'count', is_comparable),
                 (5, 'Sign-ups', signups.new, signups.new_before, 'count', true)) AS t (position, name, value, value_before, style, is_comparable);
    page := page || format('<ul class="tiles">%s</ul>', part);

    page := page || '<h2>Usage</h2>' || claude_gpt_internal.report_chart('Tokens a day', days, used.names, used.tokens, 'count')
        || claude_gpt_internal.report_chart('Cost a day', days, used.names, used.cost, 'money')
        || claude_gpt_internal.report_chart('Messages a day', days, used.names, used.messages, 'count')
        || CASE WHEN used.all_api_calls > 0 THEN claude_gpt_internal.report_chart('API calls a day', days, used.names, used.api_calls, 'count') ELSE '' END;
    page := page || '<section class="card"><h3>Models</h3>' || CASE WHEN used.model_count > 0 THEN format(
        '<div class="scroll"><table><thead><tr><th scope="col">Model</th><th scope="col">Messages</th><th scope="col">Tokens</th><th scope="col" class="wide">API calls</th>'
        '<th scope="col">Cost</th><th scope="col" class="wide">of all cost</th></tr></thead><tbody>%s</tbody></table></div>%s',
        used.model_rows, CASE WHEN used.model_count > 20 THEN format('<p class="soft">The 20 of %s models that cost most.</p>', used.model_count) END)
        ELSE '<p class="soft">None in these days.</p>' END || '</section>';

    -- Plans: of this month, whatever the days are.
    page := page || format('<h2>Quota pressure</h2><section class="card"><p class="soft">This month, since %s. Near is 80&#8201;%% of a limit or more; the bar is all users of the plan.</p>%s</section>',
                           to_char(date_trunc('month', today), 'FMDD FMMonth'), COALESCE(claude_gpt_internal.report_plans(), '<p class="soft">No plan is configured, and there are no users.</p>'));

    page := page || '<h2>People</h2><div class="grid">' || claude_gpt_internal.report_chart('Active users a day', days, ARRAY['Active users'], users.daily, 'count') || claude_gpt_internal.report_chart('Sign-ups a day', days, ARRAY['Sign-ups'], signups.daily[day_count + 1:], 'count') || '</div>';
    page := page || claude_gpt_internal.report_sessions(moment);

    page := page || format('<h2>Revenue</h2><section class="card">%s</section>', COALESCE(
        '<div class="scroll"><table><thead><tr><th scope="col">Month</th><th scope="col" class="left">Plan</th><th scope="col">Paid</th><th scope="col" class="wide">Invoices</th>'
        '<th scope="col" class="wide">Failed</th><th scope="col">New</th><th scope="col" class="wide">Cancelled</th></tr></thead><tbody>' || claude_gpt_internal.report_revenue(p_from, p_to)
        || '</tbody></table></div><p class="soft">Whole months.</p>', '<p class="soft">No payment and no new subscription in these months.</p>'));

    page := page || '<h2>Jobs</h2><section class="card">';
    IF p_blind_role IS NULL THEN
        page := page || COALESCE(claude_gpt_internal.report_jobs(p_from, p_to, zone, moment), '<p class="soft">There are no jobs.</p>');
    ELSE
        page := page || format('<p class="soft">The role <bdi>%s</bdi> may not see the jobs.</p>', claude_gpt_internal.html_text(p_blind_role));
    END IF;
    RETURN page || '</section><footer class="soft">Cost is in the currency of your prices. Active users have a usage record.</footer></main></body></html>' || chr(10);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.report_page(date, date, text) IS
'The page of usage_report_html, with the rights of its caller; without the jobs where p_blind_role names a role that may not see them. Errors: as usage_report_html; 42501 a superuser, where the owner of the tables is none.';
