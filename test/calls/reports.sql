SELECT claude_gpt.usage_report_html() LIKE '<!DOCTYPE html>%';  -- read application billing operator: owner, policies
SELECT claude_gpt.usage_report_html('2026-01-01', '2026-01-31') LIKE '<!DOCTYPE html>%';  -- read application billing operator: owner, policies
SELECT claude_gpt_internal.current_billing_day() > '2020-01-01';  -- read application billing operator: owner
SELECT claude_gpt_internal.report_page('2026-01-01', '2026-01-31', NULL) LIKE '<!DOCTYPE html>%';  -- none: 42501
SELECT claude_gpt_internal.html_text('<') = '&#60;';  -- read application billing operator: nobody
SELECT claude_gpt_internal.report_number(5, 'count') = '5';  -- read application billing operator: nobody
SELECT claude_gpt_internal.report_chart('x', '{2026-01-01}', '{a}', '{1}', 'count') LIKE '<figure%';  -- read application billing operator: nobody
SELECT claude_gpt_internal.report_style() LIKE ':root%';  -- read application billing operator: nobody
SELECT claude_gpt_internal.report_plans() LIKE '<div class="plan">%';  -- none: 42501
SELECT claude_gpt_internal.report_sessions('2026-01-01Z') LIKE '<section%';  -- none: 42501
SELECT claude_gpt_internal.report_revenue('2026-01-01', '2026-01-31') IS NULL;  -- none: 42501
SELECT claude_gpt_internal.report_jobs('2026-01-01', '2026-01-31', 'UTC', '2026-01-01Z') LIKE '<div%';  -- none: 42501
