-- Topic reports: the sections of the page of the report. Each reads with the rights of its caller.

-- Levels: read application billing operator
CREATE FUNCTION claude_gpt_internal.report_style() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT ':root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--text:#171b24;--soft:#566072;--line:#e3e6ec;--axis:#aab2bf;--hit:#171b2410;'
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
        '@media print{body{background:#fff}.card,.tiles li{break-inside:avoid}}'
$$;
COMMENT ON FUNCTION claude_gpt_internal.report_style() IS
'The style sheet of the page. Part of report_page.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.report_plans() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    RETURN (
        SELECT string_agg(format('<div class="plan"><h3><bdi>%s</bdi><small>%s users, %s active%s</small></h3>%s</div>', claude_gpt_internal.html_text(p.tier),
                                 claude_gpt_internal.report_number(p.user_count, 'count'), claude_gpt_internal.report_number(p.active_user_count, 'count'),
                                 CASE WHEN NOT p.is_configured THEN '; <span class="bad">not configured: calls are refused</span>' END,
                                 COALESCE(p.limits, CASE WHEN p.is_configured THEN '<p class="soft">No limit.</p>' END)), '' ORDER BY p.user_count DESC, p.tier)
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
        ) AS p);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.report_plans() IS
'The plans, and how many of their users are near a limit of this month; NULL where there are none. Part of report_page. Errors: 42501 a superuser, where the owner of the tables is none.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.report_sessions(p_moment timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    RETURN (
        SELECT format('<section class="card"><h3>Sessions now</h3><div class="scroll"><table><thead><tr><th scope="col">Device</th><th scope="col">Sessions</th><th scope="col">Used in 24 hours</th>'
                      '<th scope="col">Used in 7 days</th></tr></thead><tbody>%s</tbody></table></div><p class="soft">Of sessions that are active and have not expired.</p></section>', string_agg(
                      format('<tr><th scope="row">%s</th><td>%s</td><td>%s</td><td>%s</td></tr>', s.device, claude_gpt_internal.report_number(s.sessions, 'count'),
                             claude_gpt_internal.report_number(s.used_in_a_day, 'count'), claude_gpt_internal.report_number(s.used_in_a_week, 'count')), '' ORDER BY s.is_sum, s.sessions DESC, s.device))
        FROM (SELECT CASE WHEN grouping(v.device) = 1 THEN 'All' ELSE v.device END AS device, grouping(v.device) AS is_sum, count(*) AS sessions,
                     count(*) FILTER (WHERE v.last_used_at > p_moment - interval '24 hours') AS used_in_a_day,
                     count(*) FILTER (WHERE v.last_used_at > p_moment - interval '168 hours') AS used_in_a_week
              FROM (SELECT COALESCE(CASE w.device_type WHEN 'ios' THEN 'iOS' WHEN 'android' THEN 'Android' WHEN 'web' THEN 'Web' END, 'not said') AS device, w.last_used_at
                    FROM claude_gpt_data.user_sessions AS w WHERE w.is_active AND w.expires_at > p_moment) AS v
              GROUP BY GROUPING SETS ((v.device), ())) AS s);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.report_sessions(timestamptz) IS
'The sessions at a moment, by device. Part of report_page. Errors: 42501 a superuser, where the owner of the tables is none.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.report_revenue(p_from date, p_to date) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    RETURN (
        SELECT string_agg(format('<tr><th scope="row">%s</th><td class="left"><bdi>%s</bdi></td><td>%s</td><td class="wide">%s</td><td class="wide">%s</td><td>%s</td><td class="wide">%s</td></tr>',
                                 to_char(r.month, 'Mon YYYY'), claude_gpt_internal.html_text(r.tier),
                                 CASE WHEN r.paid_invoice_count > 0 THEN claude_gpt_internal.report_number(r.revenue, 'money') || ' ' || claude_gpt_internal.html_text(r.currency) ELSE '&#8211;' END,
                                 claude_gpt_internal.report_number(r.paid_invoice_count, 'count'), claude_gpt_internal.report_number(r.failed_payment_count, 'count'),
                                 claude_gpt_internal.report_number(r.new_subscription_count, 'count'), claude_gpt_internal.report_number(r.cancelled_subscription_count, 'count')),
                          '' ORDER BY r.month DESC, r.tier, r.currency NULLS LAST)
        FROM claude_gpt_data.revenue_by_month AS r WHERE r.month BETWEEN date_trunc('month', p_from)::date AND p_to);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.report_revenue(date, date) IS
'What was paid, a row a month, plan and currency; NULL where nothing was. Part of report_page. Errors: 42501 a superuser, where the owner of the tables is none.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.report_jobs(p_from date, p_to date, p_zone text, p_moment timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    PERFORM claude_gpt_internal.require_trusted_tables();
    RETURN (
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
                   COALESCE('<br><small>' || to_char(j.last_started_at AT TIME ZONE p_zone, 'FMDD Mon, HH24:MI') || '</small>', ''),
                   claude_gpt_internal.report_number(j.last_row_count, 'count'), claude_gpt_internal.report_number(COALESCE(n.runs, 0), 'count'),
                   CASE WHEN n.failed > 0 THEN format('<span class="bad">%s</span>', claude_gpt_internal.report_number(n.failed, 'count')) ELSE '0' END,
                   CASE WHEN NOT j.enabled THEN '&#8211;'
                        WHEN j.lateness_seconds > 600 THEN format('<span class="warn">late since %s</span>', to_char((p_moment - make_interval(secs => j.lateness_seconds)) AT TIME ZONE p_zone, 'FMDD Mon, HH24:MI'))
                        WHEN j.next_run_at <= p_moment THEN 'now' ELSE to_char(j.next_run_at AT TIME ZONE p_zone, 'FMDD Mon, HH24:MI') END), '' ORDER BY j.name COLLATE "C")
               || '</tbody></table></div><p class="soft">Runs and failures in the days of this report, of those that are still on record. Looks that found nothing to do are no runs.</p>'
        FROM claude_gpt_data.job_status AS j
        LEFT JOIN (SELECT o.job_name, count(*) AS runs, count(*) FILTER (WHERE o.outcome = 'failed') AS failed FROM claude_gpt_data.job_runs AS o
                   WHERE (o.started_at AT TIME ZONE p_zone)::date BETWEEN p_from AND p_to GROUP BY o.job_name) AS n ON n.job_name = j.name);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.report_jobs(date, date, text, timestamptz) IS
'The jobs, and their runs in the days given, in a time zone and at a moment; NULL where there are none. Part of report_page. Errors: 42501 a superuser, where the owner of the tables is none.';
