-- Topic reports: the parts of the page of the report, such as numbers and charts.

-- Everything but plain letters of ASCII as a number, so that a page means the same in any encoding. What moves other text
-- about (controls, directions) is shown as unknown.
-- Levels: read application billing operator
CREATE FUNCTION claude_gpt_internal.html_text(p_text text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT COALESCE(string_agg(
        CASE WHEN c.code IN (34, 38, 39, 60, 62) THEN '&#' || c.code || ';'
             WHEN c.code BETWEEN 32 AND 126 THEN chr(c.code)
             WHEN c.code < 32 OR c.code BETWEEN 127 AND 159 OR c.code IN (1564, 65279) OR c.code BETWEEN 8203 AND 8207
               OR c.code BETWEEN 8232 AND 8238 OR c.code BETWEEN 8288 AND 8303 OR c.code > 1114111 THEN '&#65533;'
             ELSE '&#' || c.code || ';' END, '' ORDER BY c.position), '')
    FROM (SELECT ascii(l.letter) AS code, l.position
          FROM regexp_split_to_table(p_text, '') WITH ORDINALITY AS l (letter, position) WHERE l.letter <> '') AS c
$$;
COMMENT ON FUNCTION claude_gpt_internal.html_text(text) IS
'A text as HTML that shows it, in content and in quoted attributes; NULL gives an empty one. Part of usage_report_html.';

-- Levels: read application billing operator
CREATE FUNCTION claude_gpt_internal.report_number(p_value numeric, p_style text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN p_value IS NULL THEN '&#8211;'
        WHEN p_value = 'NaN' THEN 'NaN'
        WHEN p_value < 0 THEN '&#8722;' || claude_gpt_internal.report_number(-p_value, p_style)
        WHEN p_style = 'short' AND p_value >= 999.5 THEN
            (SELECT trim_scale(round(p_value / u.size, CASE WHEN p_value >= 99.95 * u.size THEN 0 WHEN p_value >= 9.995 * u.size THEN 1 ELSE 2 END)) || u.letter
             FROM (VALUES (1e3, 'k'), (1e6, 'M'), (1e9, 'B'), (1e12, 'T')) AS u (size, letter)
             WHERE u.size = 1e3 OR p_value >= 0.9995 * u.size ORDER BY u.size DESC LIMIT 1)
        WHEN p_style = 'short' THEN trim_scale(p_value)::text
        WHEN p_style = 'count' THEN to_char(round(p_value), 'FM999,999,999,999,999,999,990')
        -- Money: to the hundredth, and what is below one to three digits that say something.
        WHEN p_value >= 1 OR p_value = 0 THEN to_char(round(p_value, 2), 'FM999,999,999,999,999,999,990.00')
        ELSE round(p_value, GREATEST(2, LEAST(9, 2 - floor(log(p_value))::integer)))::text
    END
$$;
COMMENT ON FUNCTION claude_gpt_internal.report_number(numeric, text) IS
'A number for people, as HTML: "count" is whole, "money" has two decimal places or three digits, "short" is of an axis: 1.25M. NULL is a dash. Part of usage_report_html.';

-- Levels: read application billing operator
CREATE FUNCTION claude_gpt_internal.report_chart(
    p_title text,
    p_days date[],
    p_series text[],
    p_values numeric[],
    p_style text
) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    day_count CONSTANT integer := cardinality(p_days);
    series_count CONSTANT integer := cardinality(p_series);
    column_width CONSTANT numeric := 100.0 / day_count;
    bar_width CONSTANT numeric := column_width * CASE WHEN day_count <= 62 THEN 0.74 WHEN day_count <= 184 THEN 0.86 ELSE 1 END;
    whole numeric;
    highest numeric;
    highest_day date;
    step numeric;
    top numeric;
    columns text;
    lines text;
    ticks text;
    labels text;
    legend text := '';
    rows text;
    summary text;
BEGIN
    SELECT COALESCE(sum(t.total), 0), COALESCE(max(t.total), 0), (array_agg(p_days[t.d] ORDER BY t.total DESC, t.d))[1]
    INTO whole, highest, highest_day
    FROM (SELECT (v.i - 1) % day_count + 1 AS d, sum(GREATEST(v.value, 0)) AS total
          FROM unnest(p_values) WITH ORDINALITY AS v (value, i) GROUP BY 1) AS t;

    -- Round steps, of which five at most reach the highest day.
    IF highest > 0 THEN
        SELECT c.step INTO step
        FROM (SELECT f * 10 ^ floor(log(highest / 5)) AS step FROM unnest('{1,2,2.5,5,10}'::numeric[]) AS f) AS c
        WHERE c.step >= highest / 5 AND (p_style = 'money' OR c.step = round(c.step)) ORDER BY c.step LIMIT 1;
        step := COALESCE(step, 1);
        top := ceil(highest / step) * step;
    ELSE
        step := 1;
        top := 1;
    END IF;
    SELECT string_agg(format('<line class="%s" x1="0" x2="100%%" y1="%s%%" y2="%2$s%%"/>', CASE t.tick WHEN 0 THEN 'zero' ELSE 'line' END, t.y), ''),
           string_agg(format('<text x="100%%" y="%s%%" dy="4">%s</text>', t.y, claude_gpt_internal.report_number(t.tick, 'short')), '')
    INTO lines, ticks
    FROM (SELECT k * step AS tick, trim_scale(round(100 - 100 * k * step / top, 3)) AS y
          FROM generate_series(0, CASE WHEN highest > 0 THEN (top / step)::integer ELSE 0 END) AS k) AS t;

    -- Days, Mondays or months, as many as there is room for; on a phone every other one.
    SELECT string_agg(format('<text%s%s x="%s%%" y="15">%s</text>', CASE WHEN l.n % 2 = 0 AND l.n_of > 5 THEN ' class="wide"' END,
                             CASE WHEN l.x > 95 THEN ' text-anchor="end"' END, round(l.x, 3),
                             CASE WHEN day_count <= 92 THEN to_char(l.day, 'FMDD Mon') WHEN extract(month FROM l.day) = 1 THEN to_char(l.day, 'YYYY')
                                  ELSE to_char(l.day, 'Mon') END), '' ORDER BY l.day)
    INTO labels
    FROM (SELECT d.day, (d.i - 0.5) * column_width AS x, row_number() OVER (ORDER BY d.day) AS n, count(*) OVER () AS n_of
          FROM unnest(p_days) WITH ORDINALITY AS d (day, i)
          WHERE day_count <= 10 OR (day_count <= 92 AND extract(isodow FROM d.day) = 1) OR (day_count > 92 AND extract(day FROM d.day) = 1)) AS l;

    SELECT string_agg(format('<g><title>%s: %s%s</title><rect class="hit" x="%s%%" width="%s%%" height="100%%"/>%s</g>',
                             to_char(p_days[c.d], 'Dy FMDD Mon YYYY'), claude_gpt_internal.report_number(c.total, p_style),
                             CASE WHEN series_count > 1 THEN c.parts END, round((c.d - 1) * column_width, 3), round(column_width, 3), c.bars),
                      '' ORDER BY c.d),
           string_agg(format('<tr><th scope="row">%s</th>%s%s</tr>', to_char(p_days[c.d], 'Dy FMDD Mon YYYY'), c.cells,
                             CASE WHEN series_count > 1 THEN format('<td>%s</td>', claude_gpt_internal.report_number(c.total, p_style)) END), '' ORDER BY c.d)
    INTO columns, rows
    FROM (
        SELECT v.d, sum(v.value) AS total,
               string_agg(format('&#10;%s: %s', claude_gpt_internal.html_text(p_series[v.s]), claude_gpt_internal.report_number(v.value, p_style)), '' ORDER BY v.s)
                   FILTER (WHERE v.value <> 0) AS parts,
               string_agg(format('<rect class="s%s" x="%s%%" y="%s%%" width="%s%%" height="%s%%"/>', v.s,
                                 round((v.d - 1) * column_width + (column_width - bar_width) / 2, 3), round(100 - 100 * v.reached / top, 3),
                                 round(bar_width, 3), round(100 * v.value / top, 3)), '' ORDER BY v.s)
                   FILTER (WHERE v.value > 0) AS bars,
               string_agg(format('<td>%s</td>', claude_gpt_internal.report_number(v.value, p_style)), '' ORDER BY v.s) AS cells
        FROM (SELECT (w.i - 1) / day_count + 1 AS s, (w.i - 1) % day_count + 1 AS d, w.value,
                     sum(GREATEST(w.value, 0)) OVER (PARTITION BY (w.i - 1) % day_count ORDER BY w.i) AS reached
              FROM unnest(p_values) WITH ORDINALITY AS w (value, i)) AS v
        GROUP BY v.d
    ) AS c;

    IF series_count > 1 THEN
        SELECT format('<ul class="legend">%s</ul>', string_agg(
            format('<li><svg aria-hidden="true" width="10" height="10"><rect class="s%s" width="10" height="10" rx="2"/></svg><bdi>%s</bdi></li>',
                   s.s, claude_gpt_internal.html_text(s.name)), '' ORDER BY s.s))
        INTO legend FROM unnest(p_series) WITH ORDINALITY AS s (name, s);
    END IF;
    summary := format('%s, %s to %s: %s', claude_gpt_internal.html_text(p_title), to_char(p_days[1], 'FMDD Mon YYYY'), to_char(p_days[day_count], 'FMDD Mon YYYY'),
                      CASE WHEN highest > 0 THEN format('%s in all, most on %s with %s.', claude_gpt_internal.report_number(whole, p_style),
                                                        to_char(highest_day, 'FMDD Mon'), claude_gpt_internal.report_number(highest, p_style))
                           ELSE 'none.' END);
    RETURN format(
        '<figure class="card"><figcaption><h3>%1$s</h3>%2$s</figcaption>'
        '<div class="plot" role="img" aria-label="%3$s"><svg class="ticks" aria-hidden="true">%4$s</svg>'
        '<svg class="bars">%5$s%6$s%7$s</svg><svg class="days" aria-hidden="true">%8$s</svg></div>'
        '<details><summary>Numbers</summary><div class="scroll" role="region" aria-label="%1$s, numbers" tabindex="0"><table>'
        '<thead><tr><th scope="col">Day</th>%9$s%10$s</tr></thead><tbody>%11$s</tbody></table></div></details></figure>',
        claude_gpt_internal.html_text(p_title), legend, summary, ticks, lines, columns,
        CASE WHEN highest > 0 THEN '' ELSE '<text class="none" x="50%" y="50%">None in these days</text>' END, labels,
        (SELECT string_agg(format('<th scope="col"><bdi>%s</bdi></th>', claude_gpt_internal.html_text(s.name)), '' ORDER BY s.s)
         FROM unnest(p_series) WITH ORDINALITY AS s (name, s)),
        CASE WHEN series_count > 1 THEN '<th scope="col">All</th>' END, rows);
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.report_chart(text, date[], text[], numeric[], text) IS
'Bars for days, stacked where there are several series, as HTML with SVG: with axis, legend, and a table of the same numbers. p_values has a value for every day of the first series, then of the second; p_style is that of report_number. Part of usage_report_html.';
