-- Topic config: what the rows of system_configs mean.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.validate_system_config() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_validate_system_config';
COMMENT ON FUNCTION claude_gpt_internal.validate_system_config() IS
'Trigger function of system_configs: refuses a value that breaks the rule of a known key, with the JSON path in the detail. Keys that are not known hold any JSON. Errors: 22023; 39P01 if not called before a row is written.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.invalidate_system_configs() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_invalidate_system_configs';
COMMENT ON FUNCTION claude_gpt_internal.invalidate_system_configs() IS
'Trigger function of system_configs: makes every session read the configuration again once the change is committed. Errors: 39P01 if not called after the event.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.configuration_problems() RETURNS TABLE (
    config_key text,
    problem text
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_configuration_problems';
COMMENT ON FUNCTION claude_gpt_internal.configuration_problems() IS
'The active rows of system_configs that break the rule of their key, as replication, a restore or a disabled trigger may bring them, and where: whoever needs them gets 55000. Part of health. Errors: 55000 if the tables are missing or older than the code. Locks nothing.';
