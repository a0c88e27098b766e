-- Topic subscriptions: every user has a plan that is configured.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.require_configured_plan() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_require_configured_plan';
COMMENT ON FUNCTION claude_gpt_internal.require_configured_plan() IS
'Trigger function of users: refuses a new subscription_tier that names no plan of the active configuration row "subscription_plans". Errors: 23514; 40001 under REPEATABLE READ or SERIALIZABLE where the plans change meanwhile; 39P01 if not called before a row is written. Locks: that row FOR SHARE until the transaction ends, so that the plan stays; none for "free", which is always there.';

-- Levels: none
CREATE FUNCTION claude_gpt_internal.keep_plans_in_use() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_keep_plans_in_use';
COMMENT ON FUNCTION claude_gpt_internal.keep_plans_in_use() IS
'Trigger function of system_configs: refuses to take plans that users have out of "subscription_plans", by a new value, by switching the row off, by renaming, deleting or truncating it, and "free" in any case. Counts the users of the plans that go, and nothing where none goes. Errors: 55006, with how many users there are; 39P01 if a row trigger is not called after the event.';
