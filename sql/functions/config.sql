-- Topic config: what the rows of system_configs mean.

CREATE FUNCTION claude_gpt.current_billing_period() RETURNS date
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_current_billing_period';
COMMENT ON FUNCTION claude_gpt.current_billing_period() IS
'The first day of the month that usage is counted in now, by the wall clock in the time zone of the configuration "billing_timezone". Errors: 55000 if the tables are missing or older than the code, or if the configuration is not valid.';

CREATE FUNCTION claude_gpt.validate_system_config() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_validate_system_config';
COMMENT ON FUNCTION claude_gpt.validate_system_config() IS
'Trigger function of system_configs: refuses a value that breaks the rule of a known key, with the JSON path in the detail. Keys that are not known hold any JSON. Errors: 22023; 39P01 if not called before a row is written.';

CREATE FUNCTION claude_gpt.invalidate_system_configs() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_invalidate_system_configs';
COMMENT ON FUNCTION claude_gpt.invalidate_system_configs() IS
'Trigger function of system_configs: makes every session read the configuration again once the change is committed. Errors: 39P01 if not called after the event.';

REVOKE ALL ON FUNCTION claude_gpt.current_billing_period(), claude_gpt.validate_system_config(),
    claude_gpt.invalidate_system_configs() FROM PUBLIC;
