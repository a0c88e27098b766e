-- Topic config: what the rows of system_configs mean.

-- Levels: read application billing operator monitor
CREATE FUNCTION claude_gpt.current_billing_period() RETURNS date
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_current_billing_period';
COMMENT ON FUNCTION claude_gpt.current_billing_period() IS
'The first day of the month that usage is counted in now, by the wall clock in the time zone of the configuration "billing_timezone". Errors: 55000 if the tables are missing or older than the code, or if the configuration is not valid.';
