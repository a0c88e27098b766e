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
    style CONSTANT text := ':root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--text:#171b24;--soft:#566072;--line:#e3e6ec;--axis:#aab2bf;--hit:#171b2410;'
        '--s1:#2456c9;--s2:#0b8fa3;--s3:#d07a0c;--s4:#7d3fc4;--s5:#c02d63;--s6:#7a8494;--good:#17703a;--bad:#b3261e;--warn:#8a5a00;--near:#e2a12b;--full:#cf3d33;--track:#e7eaf0;--note:#fff6df}'
        '@media(prefers-color-scheme:dark){:root{--page:#0e1116;--card:#171b22;--text:#e8ebf1;--soft:#a3acba;--line:#2a303a;--axis:#586273;--hit:#ffffff12;'
        '--s1:#6d9cff;--s2:#3fc1d4;--s3:#f0a647;--s4:#b896f5;--s5:#f27ea6;--s6:#8d97a7;--good:#6fd08c;--bad:#ff8f86;--warn:#f0c060;--near:#e2a945;--full:#f2695f;--track:#2a303a;--note:#2a2413}}'
        '*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}'
        'body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}'
        'main{max-width:1120px;margin:0 auto;padding:36px 24px 56px}h1,h2,h3,p,ul,figure{margin:0;padding:0}h1{font-size:26px;line-height:1.25;letter-spacing:-.01em}'
        'h2{font-size:18px;margin:36px 0 12px}h3{font-size:15px}ul{list-style:none}.soft,small{color:var(--soft);font-size:13px}header p{color:var(--soft);margin-top:4px}'
        '.card,.tiles li{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px 20px;min-width:0}'
        '.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(148px,1fr));gap:12px;margin-top:24px}.tiles li{padding:14px 16px}.tiles span{display:block;color:var(--soft);font-size:13px}'
        '.tiles b{display:block;font-size:26px;line-height:1.3;font-weight:600;letter-spacing:-.02em}.tiles small{display:block}'
        '.grid{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px}.grid+.card,.card+.card{margin-top:16px}.grid>.card{margin-top:0}'
        'figcaption{display:flex;flex-wrap:wrap;gap:2px 20px;align-items:baseline;justify-content:space-between;margin-bottom:14px}'
        '.legend{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:13px;color:var(--soft)}.legend svg{display:inline-block;width:10px;margin-right:6px}'
        'svg{display:block;width:100%;overflow:visible}svg text{font-size:12px;fill:var(--soft)}.plot{display:grid;grid-template-columns:44px minmax(0,1fr);column-gap:8px}'
        '.plot .ticks,.plot .bars{height:168px}.plot .days{height:20px;grid-column:2}.ticks text{text-anchor:end}.days text{text-anchor:middle}.days text[text-anchor]{text-anchor:end}'
        '.none{text-anchor:middle}.line{stroke:var(--line)}.zero{stroke:var(--axis)}.hit{fill:transparent}g:hover>.hit{fill:var(--hit)}'
        '.s1{fill:var(--s1)}.s2{fill:var(--s2)}.s3{fill:var(--s3)}.s4{fill:var(--s4)}.s5{fill:var(--s5)}.s6{fill:var(--s6)}.track{fill:var(--track)}.near{fill:var(--near)}.at{fill:var(--full)}'
        'table{border-collapse:collapse;width:100%;font-size:14px}th,td{padding:6px 0 6px 16px;text-align:right;border-top:1px solid var(--line);vertical-align:baseline;font-weight:400;white-space:nowrap;overflow-wrap:normal}thead th,tbody th,td.left{white-space:normal}tbody th{overflow-wrap:anywhere;min-width:92px}'
        'th:first-child,td:first-child{text-align:left;padding-left:0}thead th{color:var(--soft);font-size:13px;border-top:0}td.left,th.left{text-align:left}'
        'details{margin-top:10px}summary{color:var(--soft);font-size:13px;cursor:pointer}.scroll{overflow:auto;max-height:420px}details .scroll{margin-top:6px}details thead th,details tbody th{white-space:nowrap;background:var(--card)}details thead th{position:sticky;top:0;z-index:1}details tbody th{position:sticky;left:0}'
        '.plan{margin-top:18px}.plan h3 small{font-weight:400;margin-left:8px}.limit{margin-top:12px}.limit p{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 16px;margin-bottom:4px}'
        '.limit svg{height:10px}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}'
        '.note{background:var(--note);border:1px solid var(--line);border-radius:12px;padding:12px 16px;margin-top:16px}footer{margin-top:36px}'
        '@media(max-width:640px){main{padding:22px 14px 40px}h1{font-size:22px}h2{margin-top:28px}.grid{grid-template-columns:minmax(0,1fr)}.card{padding:14px}.tiles{gap:8px;grid-template-columns:repeat(2,minmax(0,1fr))}'
        '.tiles li:last-child:nth-child(odd){grid-column:1/-1}.tiles b{font-size:21px}.wide{display:none}.plot{grid-template-columns:38px minmax(0,1fr);column-gap:6px}svg text{font-size:11px}table{font-size:13px}th,td{padding-left:10px}}'
        '@media print{body{background:#fff}.card,.tiles li{break-inside:avoid}}';
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
    SELECT string_agg(format('<div class="plan"><h3><bdi>%s</bdi><small>%s users, %s active%s</small></h3>%s</div>', claude_gpt_internal.html_text(p.tier),
                             claude_gpt_internal.report_number(p.user_count, 'count'), claude_gpt_internal.report_number(p.active_user_count, 'count'),
                             CASE WHEN NOT p.is_configured THEN '; <span class="bad">not configured: calls are refused</span>' END,
                             COALESCE(p.limits, CASE WHEN p.is_configured THEN '<p class="soft">No limit.</p>' END)), '' ORDER BY p.user_count DESC, p.tier)
    INTO part
    FROM (
        SELECT u.tier, u.is_configured, u.user_count, u.active_user_count,
               string_agg(format(
                   '<div class="limit"><p><span>%1$s <small>a month for each, %2$s on average%3$s</small></span><small>%4$s at the limit, %5$s near it</small></p>'
                   '<svg role="img" aria-label="%6$s"><rect class="track" width="100%%" height="100%%" rx="3"/><rect class="near" width="%7$s%%" height="100%%" rx="3"/>'
                   '<rect class="at" width="%8$s%%" height="100%%" rx="3"/></svg></div>',
                   CASE u.limit_name WHEN 'cost' THEN 'Cost of ' || claude_gpt_internal.report_number(u.limit_value, 'money')
                        ELSE format('%s %s', claude_gpt_internal.report_number(u.limit_value, 'count'), CASE u.limit_name WHEN 'message' THEN 'messages' WHEN 'token' THEN 'tokens' ELSE 'API calls' END) END,
                   CASE WHEN u.limit_name = 'cost' THEN claude_gpt_internal.report_number(COALESCE(u.average_used, 0), 'money')
                        WHEN u.average_used < 100 THEN trim_scale(round(u.average_used, 1))::text
                        ELSE claude_gpt_internal.report_number(COALESCE(u.average_used, 0), 'count') END,
                   CASE WHEN u.limit_value > 0 THEN format(' (%s&#8201;%%)', round(100 * COALESCE(u.average_used, 0) / u.limit_value)) END,
                   format('%s (%s&#8201;%%)', claude_gpt_internal.report_number(u.at_limit_count, 'count'), u.at_percent),
                   format('%s (%s&#8201;%%)', claude_gpt_internal.report_number(u.near_limit_count - u.at_limit_count, 'count'), u.near_percent - u.at_percent),
                   format('Of %s users %s have reached this limit, %s more have used 80 percent of it.', claude_gpt_internal.report_number(u.user_count, 'count'),
                          claude_gpt_internal.report_number(u.at_limit_count, 'count'), claude_gpt_internal.report_number(u.near_limit_count - u.at_limit_count, 'count')),
                   u.near_percent, u.at_percent), '' ORDER BY u.position) FILTER (WHERE u.limit_value IS NOT NULL) AS limits
        FROM (SELECT l.tier, l.is_configured, l.user_count, l.active_user_count, l.limit_name, l.limit_value, l.average_used, l.near_limit_count, l.at_limit_count,
                     COALESCE(round(100.0 * l.near_limit_count / NULLIF(l.user_count, 0), 1), 0.0) AS near_percent,
                     COALESCE(round(100.0 * l.at_limit_count / NULLIF(l.user_count, 0), 1), 0.0) AS at_percent,
                     array_position('{message,token,api_call,cost}', l.limit_name) AS position
              FROM claude_gpt_data.plan_usage AS l) AS u
        GROUP BY u.tier, u.is_configured, u.user_count, u.active_user_count
    ) AS p;
    page := page || format('<h2>Quota pressure</h2><section class="card"><p class="soft">This month, since %s. Near is 80&#8201;%% of a limit or more; the bar is all users of the plan.</p>%s</section>',
                           to_char(date_trunc('month', today), 'FMDD FMMonth'), COALESCE(part, '<p class="soft">No plan is configured, and there are no users.</p>'));

    page := page || '<h2>People</h2><div class="grid">' || claude_gpt_internal.report_chart('Active users a day', days, ARRAY['Active users'], users.daily, 'count') || claude_gpt_internal.report_chart('Sign-ups a day', days, ARRAY['Sign-ups'], signups.daily[day_count + 1:], 'count') || '</div>';
    SELECT format('<section class="card"><h3>Sessions now</h3><div class="scroll"><table><thead><tr><th scope="col">Device</th><th scope="col">Sessions</th><th scope="col">Used in 24 hours</th>'
                  '<th scope="col">Used in 7 days</th></tr></thead><tbody>%s</tbody></table></div><p class="soft">Of sessions that are active and have not expired.</p></section>', string_agg(
                  format('<tr><th scope="row">%s</th><td>%s</td><td>%s</td><td>%s</td></tr>', s.device, claude_gpt_internal.report_number(s.sessions, 'count'),
                         claude_gpt_internal.report_number(s.used_in_a_day, 'count'), claude_gpt_internal.report_number(s.used_in_a_week, 'count')), '' ORDER BY s.is_sum, s.sessions DESC, s.device))
    INTO part
    FROM (SELECT CASE WHEN grouping(v.device) = 1 THEN 'All' ELSE v.device END AS device, grouping(v.device) AS is_sum, count(*) AS sessions,
                 count(*) FILTER (WHERE v.last_used_at > moment - interval '24 hours') AS used_in_a_day,
                 count(*) FILTER (WHERE v.last_used_at > moment - interval '168 hours') AS used_in_a_week
          FROM (SELECT COALESCE(CASE w.device_type WHEN 'ios' THEN 'iOS' WHEN 'android' THEN 'Android' WHEN 'web' THEN 'Web' END, 'not said') AS device, w.last_used_at
                FROM claude_gpt_data.user_sessions AS w WHERE w.is_active AND w.expires_at > moment) AS v
          GROUP BY GROUPING SETS ((v.device), ())) AS s;
    page := page || part;

    SELECT string_agg(format('<tr><th scope="row">%s</th><td class="left"><bdi>%s</bdi></td><td>%s</td><td class="wide">%s</td><td class="wide">%s</td><td>%s</td><td class="wide">%s</td></tr>',
                             to_char(r.month, 'Mon YYYY'), claude_gpt_internal.html_text(r.tier),
                             CASE WHEN r.paid_invoice_count > 0 THEN claude_gpt_internal.report_number(r.revenue, 'money') || ' ' || claude_gpt_internal.html_text(r.currency) ELSE '&#8211;' END,
                             claude_gpt_internal.report_number(r.paid_invoice_count, 'count'), claude_gpt_internal.report_number(r.failed_payment_count, 'count'),
                             claude_gpt_internal.report_number(r.new_subscription_count, 'count'), claude_gpt_internal.report_number(r.cancelled_subscription_count, 'count')),
                      '' ORDER BY r.month DESC, r.tier, r.currency NULLS LAST)
    INTO part
    FROM claude_gpt_data.revenue_by_month AS r WHERE r.month BETWEEN date_trunc('month', p_from)::date AND p_to;
    page := page || format('<h2>Revenue</h2><section class="card">%s</section>', COALESCE(
        '<div class="scroll"><table><thead><tr><th scope="col">Month</th><th scope="col" class="left">Plan</th><th scope="col">Paid</th><th scope="col" class="wide">Invoices</th>'
        '<th scope="col" class="wide">Failed</th><th scope="col">New</th><th scope="col" class="wide">Cancelled</th></tr></thead><tbody>' || part
        || '</tbody></table></div><p class="soft">Whole months.</p>', '<p class="soft">No payment and no new subscription in these months.</p>'));

    page := page || '<h2>Jobs</h2><section class="card">';
    IF p_blind_role IS NULL THEN
        SELECT '<div class="scroll"><table><thead><tr><th scope="col">Job</th><th scope="col" class="left">Last run</th><th scope="col" class="wide">Rows</th><th scope="col">Runs</th>'
               '<th scope="col">Failed</th><th scope="col" class="wide">Next</th></tr></thead><tbody>'
               || string_agg(format('<tr><th scope="row">%s</th><td class="left">%s%s</td><td class="wide">%s</td><td>%s</td><td>%s</td><td class="wide">%s</td></tr>',
                   replace(claude_gpt_internal.html_text(j.name), '_', '_<wbr>'),
                   CASE WHEN NOT j.enabled THEN '<span class="warn">off</span>'
                        WHEN j.last_outcome = 'failed' THEN format('<span class="bad">failed</span> with %s', claude_gpt_internal.html_text(j.last_sqlstate))
                        WHEN j.last_outcome = 'running' THEN 'running'
                        WHEN j.last_outcome = 'succeeded' THEN '<span class="good">succeeded</span>'
                        WHEN j.last_looked_at IS NOT NULL THEN 'nothing to do so far'
                        ELSE 'not yet' END,
                   COALESCE('<br><small>' || to_char(j.last_started_at AT TIME ZONE zone, 'FMDD Mon, HH24:MI') || '</small>', ''),
                   claude_gpt_internal.report_number(j.last_row_count, 'count'), claude_gpt_internal.report_number(COALESCE(n.runs, 0), 'count'),
                   CASE WHEN n.failed > 0 THEN format('<span class="bad">%s</span>', claude_gpt_internal.report_number(n.failed, 'count')) ELSE '0' END,
                   CASE WHEN NOT j.enabled THEN '&#8211;'
                        WHEN j.lateness_seconds > 600 THEN format('<span class="warn">late since %s</span>', to_char((moment - make_interval(secs => j.lateness_seconds)) AT TIME ZONE zone, 'FMDD Mon, HH24:MI'))
                        WHEN j.next_run_at <= moment THEN 'now' ELSE to_char(j.next_run_at AT TIME ZONE zone, 'FMDD Mon, HH24:MI') END), '' ORDER BY j.name COLLATE "C")
               || '</tbody></table></div><p class="soft">Runs and failures in the days of this report, of those that are still on record. Looks that found nothing to do are no runs.</p>'
        INTO part
        FROM claude_gpt_data.job_status AS j
        LEFT JOIN (SELECT o.job_name, count(*) AS runs, count(*) FILTER (WHERE o.outcome = 'failed') AS failed FROM claude_gpt_data.job_runs AS o
                   WHERE (o.started_at AT TIME ZONE zone)::date BETWEEN p_from AND p_to GROUP BY o.job_name) AS n ON n.job_name = j.name;
        page := page || COALESCE(part, '<p class="soft">There are no jobs.</p>');
    ELSE
        page := page || format('<p class="soft">The role <bdi>%s</bdi> may not see the jobs.</p>', claude_gpt_internal.html_text(p_blind_role));
    END IF;
    RETURN page || '</section><footer class="soft">Cost is in the currency of your prices. Active users have a usage record.</footer></main></body></html>' || chr(10);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.report_page(date, date, text) IS
'The page of usage_report_html, with the rights of its caller; without the jobs where p_blind_role names a role that may not see them. Errors: as usage_report_html; 42501 a superuser, where the owner of the tables is none.';
