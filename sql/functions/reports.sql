-- Topic reports: what was used and paid, for people to look at.

-- As the owner of the tables, as everything that reads them; the jobs are shown to those alone who may see them.
-- Levels: read application billing operator
CREATE FUNCTION claude_gpt.usage_report_html(
    p_from date DEFAULT claude_gpt_internal.current_billing_day() - 29,
    p_to date DEFAULT claude_gpt_internal.current_billing_day()
) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_usage_report_html';
COMMENT ON FUNCTION claude_gpt.usage_report_html(date, date) IS
'A page of HTML about the days from p_from to p_to, both included, in the time zone of the configuration "billing_timezone"; without arguments, of the last 30 days with today. Usage and cost by day and model, active users, sign-ups, quota pressure, sessions, revenue and jobs, beside the numbers of as many days before. Self-contained: no script, nothing from elsewhere, charts as SVG, in ASCII. Works with the rights of the owner of the tables; a role that may not see the jobs is told so in their place. In one snapshot; changes nothing, also in READ ONLY transactions and on a standby. Errors: 22004 NULL; 22023 p_to before p_from, more than 366 days, or a day outside of 2000-01-01 to 9999-12-31; 42501 row level security keeps rows from the caller; 42804 a column has a type that cannot be read; 55000 the tables are missing or older than the code, or the configuration is not valid. Locks nothing.';
