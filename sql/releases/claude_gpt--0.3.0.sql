-- Generated from sql/functions: do not edit.
\echo Use "CREATE EXTENSION claude_gpt" to load this file. \quit
SET LOCAL search_path TO pg_catalog, pg_temp;

-- Names are no secret; tables and functions are granted one by one. A restore checks foreign keys as the owner of
-- the tables before it comes to the grants of the schema. Not again where a dropped extension has left it: what is
-- granted in this script, with all that is granted on the schema by then, no dump writes.
DO $$
BEGIN
    IF NOT has_schema_privilege('public', 'claude_gpt', 'USAGE') THEN
        GRANT USAGE ON SCHEMA claude_gpt TO PUBLIC;
    END IF;
END
$$;

-- Topic access: who owns the tables, and who may do what.

CREATE FUNCTION claude_gpt.enforce_column_rules() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_enforce_column_rules';
COMMENT ON FUNCTION claude_gpt.enforce_column_rules() IS
'Trigger function: keeps rules of columns, one an argument: "role in user assistant system", "cost not negative", "email not empty", "message_count maintained not negative". NULL keeps every rule but the last: a maintained column is written by the owner of the table (and superusers) alone; others may insert its default and update it to its stored value, so statements of ORMs that name every column work. Errors: 23514 a value breaks its rule; 42501 a maintained column is written; 22023 an argument is no rule; 42703 no such column; 39P01 if not called before a row is written.';

CREATE FUNCTION claude_gpt.apply_access(p_role text, p_level text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    everyone_reads CONSTANT text[] := ARRAY[
        'check_subscription_limit(uuid, varchar)', 'effective_tier(uuid)', 'current_billing_period()',
        'uuid_v7_floor(timestamptz)', 'quota_status(uuid)'];
    application_calls CONSTANT text[] := ARRAY[
        'uuid_v7()', 'update_user_usage(uuid, integer, integer, numeric)', 'cleanup_expired_sessions()',
        'record_usage(uuid, text, bigint, text, numeric, uuid, uuid, jsonb, text)',
        'consume_quota(uuid, text, bigint, text, text)', 'raise_if_denied(record)',
        'reserve_usage(uuid, bigint, integer, text, interval, text)', 'extend_usage(uuid, interval)',
        'settle_usage(uuid, integer, integer, numeric, uuid, integer, integer)', 'release_usage(uuid)',
        'check_rate_limit(uuid, integer)', 'rate_limit(text, integer, interval, integer)',
        'begin_turn(uuid, uuid, text, text, integer, uuid, uuid, text, jsonb, interval, text)',
        'save_partial(uuid, text)', 'complete_turn(uuid, text, integer, integer, numeric, jsonb, integer, integer)',
        'fail_turn(uuid, text, integer, integer, text, numeric, integer, integer)',
        'list_conversations(uuid, boolean, uuid, integer)', 'conversation_messages(uuid, uuid, uuid, integer)',
        'conversation_path(uuid, uuid, integer)', 'delete_conversation(uuid, uuid)'];
    -- Support resets a limit and looks whether the books are true.
    support_calls CONSTANT text[] := ARRAY[
        'reset_rate_limit(text)', 'reset_user_rate_limit(uuid)', 'rate_limit_status()', 'prove_books(uuid)', 'repair_books(uuid)',
        'run_job(text, text)', 'run_due_jobs()', 'job_looks()'];
    -- list_partitions and what it asks as its caller.
    partition_reads CONSTANT text[] := ARRAY[
        'list_partitions(text)', 'partitioned_table(text)', 'partitions_of(regclass)', 'partition_moment(text, regtype, boolean)'];
    -- What a report does not need to see, and what support and billing need not read.
    secrets CONSTANT text[] := ARRAY[
        'users.password_hash', 'users.email_verification_token', 'users.password_reset_token',
        'user_sessions.session_token', 'user_sessions.refresh_token'];
    conversation CONSTANT text[] := ARRAY[
        'messages.content', 'messages.metadata', 'messages.error_message'];
    reads text[] := ARRAY[]::text[];
    calls text[] := ARRAY[]::text[];
    writes text[] := ARRAY[]::text[];  -- 'privileges ON table'
    granted record;
    item text;
BEGIN
    IF p_role IS NULL OR p_level IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'role and level must not be null';
    END IF;
    IF p_level = 'read' THEN
        calls := everyone_reads;
    ELSIF p_level = 'application' THEN
        reads := ARRAY['users', 'conversations', 'messages', 'usage_records', 'usage_balances', 'usage_reservations',
                       'subscription_history', 'system_configs', 'user_sessions', 'audit_logs', 'user_statistics',
                       'conversation_summary'];
        calls := everyone_reads || application_calls;
        writes := ARRAY['INSERT, UPDATE, DELETE ON users', 'INSERT, UPDATE, DELETE ON conversations',
                        'INSERT, UPDATE, DELETE ON messages', 'INSERT, UPDATE, DELETE ON user_sessions',
                        'INSERT ON audit_logs'];
    ELSIF p_level = 'billing' THEN
        reads := ARRAY['subscription_history', 'usage_records', 'usage_balances', 'usage_reservations', 'system_configs'];
        calls := everyone_reads || ARRAY['set_subscription(uuid, text, text, timestamptz, boolean, text, text, jsonb)'];
    ELSIF p_level = 'operator' THEN
        reads := ARRAY['subscription_history', 'usage_records', 'usage_balances', 'usage_reservations', 'idempotency_keys',
                       'system_configs', 'audit_logs', 'claude_gpt_migrations', 'application_grants', 'jobs', 'job_runs', 'job_status'];
        calls := everyone_reads || support_calls || partition_reads || ARRAY['uuid_v7()', 'cleanup_expired_sessions()'];
        writes := ARRAY['INSERT, UPDATE, DELETE ON system_configs', 'DELETE ON audit_logs', 'UPDATE ON jobs'];
    ELSIF p_level = 'monitor' THEN
        reads := ARRAY['claude_gpt_migrations', 'jobs', 'job_runs', 'job_status'];
        calls := partition_reads || ARRAY['current_billing_period()', 'rate_limit_status()', 'prove_books(uuid)', 'job_looks()'];
    ELSE
        RAISE invalid_parameter_value USING
            MESSAGE = format('access level "%s" is not known', p_level),
            DETAIL = 'Levels are read, application, billing, operator and monitor.';
    END IF;

    IF EXISTS (SELECT FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
               WHERE c.oid = to_regclass('claude_gpt.users') AND r.rolname = p_role) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('role "%s" owns the tables of claude_gpt', p_role),
            DETAIL = 'The owner may do everything; a level would only take rights from it.',
            HINT = 'Let the application connect as another role.';
    END IF;

    EXECUTE format('GRANT USAGE ON SCHEMA claude_gpt TO %I', p_role);
    FOREACH item IN ARRAY reads LOOP
        EXECUTE format('GRANT SELECT ON claude_gpt.%I TO %I', item, p_role);
    END LOOP;
    FOREACH item IN ARRAY writes LOOP
        EXECUTE format('GRANT %s claude_gpt.%I TO %I', split_part(item, ' ON ', 1) || ' ON', split_part(item, ' ON ', 2), p_role);
    END LOOP;
    FOREACH item IN ARRAY calls LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE claude_gpt.%s TO %I', item, p_role);
    END LOOP;
    IF p_level IN ('read', 'billing', 'operator') THEN
        -- Column by column, without the secrets.
        FOR granted IN
            SELECT c.relname, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS columns
            FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = 'claude_gpt'::regnamespace
              AND c.relname = ANY (CASE WHEN p_level = 'read' THEN
                      ARRAY['users', 'conversations', 'messages', 'usage_records', 'usage_balances', 'usage_reservations',
                            'subscription_history', 'system_configs', 'user_sessions', 'audit_logs', 'user_statistics', 'conversation_summary']
                      ELSE ARRAY['users', 'user_statistics', 'conversations', 'messages', 'user_sessions'] END)
              AND NOT c.relname || '.' || a.attname = ANY (secrets)
              AND NOT (p_level <> 'read' AND c.relname || '.' || a.attname = ANY (conversation))
            GROUP BY c.relname
        LOOP
            EXECUTE format('GRANT SELECT (%s) ON claude_gpt.%I TO %I', granted.columns, granted.relname, p_role);
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt.apply_access(text, text) IS
'Gives a role the rights of a level, beside what it has. Part of grant_application_access, and called for every recorded grant by migrate. Errors: 22004 NULL; 22023 no such level; 42704 no such role; 42501 the caller may not grant.';

CREATE FUNCTION claude_gpt.withdraw_access(p_role text) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation record;
BEGIN
    FOR relation IN
        SELECT c.relname, string_agg(quote_ident(a.attname), ', ') AS columns
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'claude_gpt'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
        GROUP BY c.relname
    LOOP
        EXECUTE format('REVOKE ALL ON claude_gpt.%I FROM %I', relation.relname, p_role);
        EXECUTE format('REVOKE ALL (%s) ON claude_gpt.%I FROM %I', relation.columns, relation.relname, p_role);
    END LOOP;
    EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA claude_gpt FROM %I', p_role);
    EXECUTE format('REVOKE ALL ON SCHEMA claude_gpt FROM %I', p_role);
END
$$;
COMMENT ON FUNCTION claude_gpt.withdraw_access(text) IS
'Takes from a role what it was granted on the schema, its tables, views and routines. Part of grant_application_access and revoke_application_access. Errors: 42704 no such role.';

CREATE FUNCTION claude_gpt.record_access(p_role text, p_level text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_record_access';
COMMENT ON FUNCTION claude_gpt.record_access(text, text) IS
'Writes the level of a role to application_grants, or removes it if the level is NULL, with the rights of the owner of the table. Part of grant_application_access and revoke_application_access. Errors: 22004 NULL role; 55000 the table is missing.';

CREATE FUNCTION claude_gpt.grant_application_access(p_role regrole, p_level text DEFAULT 'application') RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    role_name name;
BEGIN
    SELECT r.rolname INTO role_name FROM pg_roles AS r WHERE r.oid = p_role;
    IF role_name IS NULL AND p_role IS NOT NULL THEN
        RAISE undefined_object USING MESSAGE = format('role with OID %s does not exist', p_role::oid);
    END IF;
    -- The types are spelled out: the owner of the tables may create functions here, and a call must not find
    -- one of another signature.
    PERFORM claude_gpt.withdraw_access(role_name::text);
    PERFORM claude_gpt.apply_access(role_name::text, p_level::text);
    PERFORM claude_gpt.record_access(role_name::text, p_level::text);
    -- So that unqualified statements find the tables.
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = "$user", public, claude_gpt', role_name, current_database());
END
$$;
COMMENT ON FUNCTION claude_gpt.grant_application_access(regrole, text) IS
'Lets a role do the work of a level: "read" (all but passwords and tokens), "application" (sign up users, edit profiles, chat, meter; no tier, counter, usage record or configuration row), "billing" (set_subscription), "operator" (configuration, retention, jobs) or "monitor". Replaces a level given before, sets the search_path of the role in this database to "$user", public, claude_gpt for new sessions, and records the grant, so that migrate can give it again. Errors: 22004 NULL; 22023 no such level, or the role owns the tables; 42704 no such role; 42501 unless called by a superuser, or by an owner of the tables who may alter the role.';

CREATE FUNCTION claude_gpt.revoke_application_access(p_role regrole) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    role_name name;
BEGIN
    IF p_role IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_role must not be null';
    END IF;
    SELECT r.rolname INTO role_name FROM pg_roles AS r WHERE r.oid = p_role;
    IF role_name IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('role with OID %s does not exist', p_role::oid);
    END IF;
    PERFORM claude_gpt.withdraw_access(role_name::text);
    PERFORM claude_gpt.record_access(role_name::text, NULL::text);
    EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET search_path', role_name, current_database());
END
$$;
COMMENT ON FUNCTION claude_gpt.revoke_application_access(regrole) IS
'Takes back what grant_application_access gave: rights, search_path and record. Errors: 22004 NULL; 42704 no such role; 42501 the caller may not.';

CREATE FUNCTION claude_gpt.set_owner(p_role regrole) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    role_name name;
    old_owner oid;
    relation record;
BEGIN
    IF p_role IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_role must not be null';
    END IF;
    SELECT r.rolname INTO role_name FROM pg_roles AS r WHERE r.oid = p_role;
    IF role_name IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('role with OID %s does not exist', p_role::oid);
    END IF;
    -- The owner restores dumps, makes partitions, and calls every function from its triggers and defaults.
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA claude_gpt TO %I WITH GRANT OPTION', role_name);
    FOR relation IN
        SELECT p.oid::regprocedure AS routine
        FROM pg_depend AS d
        JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'claude_gpt'
        JOIN pg_proc AS p ON p.oid = d.objid
        WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I WITH GRANT OPTION', relation.routine, role_name);
    END LOOP;

    SELECT c.relowner INTO old_owner FROM pg_class AS c
    WHERE c.relnamespace = 'claude_gpt'::regnamespace AND c.relname = 'users';
    IF old_owner IS NULL OR old_owner = p_role THEN
        RETURN;
    END IF;
    FOR relation IN
        SELECT c.oid::regclass AS name, CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
        FROM pg_class AS c
        WHERE c.relnamespace = 'claude_gpt'::regnamespace AND c.relowner = old_owner AND c.relkind IN ('r', 'p', 'v')
        ORDER BY c.relkind <> 'p', c.relname
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO %I', relation.kind, relation.name, role_name);
    END LOOP;
    FOR relation IN
        SELECT t.oid::regtype AS name FROM pg_type AS t
        WHERE t.typnamespace = 'claude_gpt'::regnamespace AND t.typowner = old_owner AND t.typtype = 'd'
    LOOP
        EXECUTE format('ALTER DOMAIN %s OWNER TO %I', relation.name, role_name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt.set_owner(regrole) IS
'Hands all tables, views and domains of the schema to a role, with CREATE on the schema and EXECUTE on every function. The functions of claude_gpt read and write the tables as their owner, so an owner that is no superuser keeps every trigger, policy and index expression on them from running as one. Without tables, as before a restore, it gives the rights alone. Errors: 22004 NULL; 42704 no such role; 42501 the caller is neither superuser nor owner. Locks: ACCESS EXCLUSIVE on every table for a moment.';

REVOKE ALL ON FUNCTION claude_gpt.enforce_column_rules(), claude_gpt.apply_access(text, text), claude_gpt.withdraw_access(text),
    claude_gpt.record_access(text, text),
    claude_gpt.grant_application_access(regrole, text), claude_gpt.revoke_application_access(regrole),
    claude_gpt.set_owner(regrole) FROM PUBLIC;

-- Topic books: whether the counters are true.

CREATE FUNCTION claude_gpt.prove_books(p_user_id uuid DEFAULT NULL) RETURNS TABLE (
    user_id uuid,
    conversation_id uuid,
    item text,
    recorded text,
    proved text
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    AS 'MODULE_PATHNAME', 'claude_gpt_prove_books';
COMMENT ON FUNCTION claude_gpt.prove_books(uuid) IS
'Computes every counter and hold anew, in one snapshot, and returns a row for each that differs; none on a healthy database. The monthly and total counters of users must equal the sums of usage_records (by the billing_period of each row) and usage_balances; the held amounts the open usage_reservations, of which none may expire before next_hold_expiry; the counters and last_message_at of conversations their messages that are not deleted. For one user, or for all with NULL. While the configuration "usage_ledger" is false, what counters hold beyond ledger and balances cannot be proved: it is no difference, and a NOTICE says so. It takes usage_balances as they are: what was carried there, because the ledger no longer holds it or never did, is proved by nothing else; nor are last_active_at, the last_message_at of a conversation without messages, and rate limits, which have no record. Errors: P0002 no such user; 55000 the tables are missing or older than the code. Locks nothing.';

CREATE FUNCTION claude_gpt.repair_books(p_user_id uuid DEFAULT NULL) RETURNS TABLE (
    user_id uuid,
    conversation_id uuid,
    item text,
    recorded text,
    proved text
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    AS 'MODULE_PATHNAME', 'claude_gpt_repair_books';
COMMENT ON FUNCTION claude_gpt.repair_books(uuid) IS
'Sets every counter and hold that prove_books finds different to its proved value, and returns a row for each that it changed. Records, balances, reservations and messages are the truth and stay as they are. For one user, or for all with NULL. Errors: P0002 no such user; 22003 the proved value does not fit the column; 40001 under REPEATABLE READ, if a row has changed since. Locks: the rows it looks into: users, then conversations, in the order of their ids, until the transaction ends; only those with a difference.';

CREATE FUNCTION claude_gpt.carry_unrecorded_usage() RETURNS trigger
    LANGUAGE c
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    AS 'MODULE_PATHNAME', 'claude_gpt_carry_unrecorded_usage';
COMMENT ON FUNCTION claude_gpt.carry_unrecorded_usage() IS
'Trigger function of system_configs: when "usage_ledger" becomes true again, carries what was counted without a record to usage_balances, so that the books prove from then on. Errors: 55000 under REPEATABLE READ or SERIALIZABLE; 39P01 if not called after the event. Locks: users in SHARE ROW EXCLUSIVE mode, so that nobody counts meanwhile, until the transaction ends.';

REVOKE ALL ON FUNCTION claude_gpt.carry_unrecorded_usage(), claude_gpt.prove_books(uuid), claude_gpt.repair_books(uuid) FROM PUBLIC;

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

-- Topic conversations: chat turns, conversations and their messages.

CREATE FUNCTION claude_gpt.maintain_conversation_counters() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_maintain_conversation_counters';
COMMENT ON FUNCTION claude_gpt.maintain_conversation_counters() IS
'Trigger function of messages, once a statement: keeps message_count, total_tokens, total_cost and last_message_at of the conversations equal to their messages, of which those with status "deleted" count as absent. A message without total_tokens counts with prompt_tokens and completion_tokens. Refuses a message that is its own parent, or whose parent is in another conversation. Errors: 23514; 39P01 without transition tables. Locks: the rows of the conversations, in the order of their ids; the parents of new replies, as their foreign key does; messages that were moved, FOR UPDATE.';

CREATE FUNCTION claude_gpt.begin_turn(
    p_user_id uuid,
    p_conversation_id uuid,
    p_content text,
    p_model text,
    p_estimated_tokens integer DEFAULT 0,
    p_parent_message_id uuid DEFAULT NULL,
    p_message_id uuid DEFAULT NULL,
    p_content_type text DEFAULT 'text',
    p_metadata jsonb DEFAULT NULL,
    p_ttl interval DEFAULT '5 minutes',
    p_idempotency_key text DEFAULT NULL,
    OUT allowed boolean,
    OUT reason text,
    OUT limit_name text,
    OUT limit_value bigint,
    OUT used bigint,
    OUT held bigint,
    OUT remaining bigint,
    OUT resets_at timestamptz,
    OUT retry_after_seconds integer,
    OUT error_code text,
    OUT http_status integer,
    OUT replayed boolean,
    OUT conversation_id uuid,
    OUT message_id uuid,
    OUT assistant_message_id uuid,
    OUT reservation_id uuid,
    OUT expires_at timestamptz
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_begin_turn';
COMMENT ON FUNCTION claude_gpt.begin_turn(uuid, uuid, text, text, integer, uuid, uuid, text, jsonb, interval, text) IS
'Begins a chat turn: asks for maintenance mode, the model in the plan of the user, the rate limit and the quotas, in this order; then holds a message and the estimated tokens, stores the message of the user and an empty reply with status "sending". One row says all that a chat server answers: whether it is allowed, the numbers for its headers, and the ids. A denial stores nothing. A NULL conversation starts one. A NULL parent continues after the newest message; a reply as parent continues there; a message of the user as parent puts the new one beside it (an edit, a new branch), or without content makes a new reply to it (regenerate). The columns up to replayed are those of consume_quota; where the rate denies, they describe the calls a minute. Errors: those of reserve_usage; P0002 no such user, no such conversation of the user, or no such parent in it; 22004 NULL in model, or no content and no parent; 22023 empty content of type text, a model not of 1 to 50 characters, negative estimate, a parent without a conversation, or, without content, a reply as parent, a message id or metadata; 23505 the message id is taken; 23514 no such content type; 55000 rate limits are configured and the library is not preloaded. Locks: the row of the user, then the conversation.';

CREATE FUNCTION claude_gpt.save_partial(
    p_reservation_id uuid,
    p_content text
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_save_partial';
COMMENT ON FUNCTION claude_gpt.save_partial(uuid, text) IS
'Stores what has been streamed of a reply so far; the whole text each time. The reply stays "sending". Errors: P0002 no such reservation; 22004 NULL; 55000 the turn is over, or the reservation belongs to none. Locks: the message.';

CREATE FUNCTION claude_gpt.complete_turn(
    p_reservation_id uuid,
    p_content text,
    p_prompt_tokens integer,
    p_completion_tokens integer,
    p_cost numeric DEFAULT NULL,
    p_metadata jsonb DEFAULT NULL,
    p_cached_prompt_tokens integer DEFAULT 0,
    p_cache_write_tokens integer DEFAULT 0,
    OUT message_id uuid,
    OUT conversation_id uuid,
    OUT total_tokens bigint,
    OUT charged_cost numeric,
    OUT late boolean,
    OUT replayed boolean
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_complete_turn';
COMMENT ON FUNCTION claude_gpt.complete_turn(uuid, text, integer, integer, numeric, jsonb, integer, integer) IS
'Ends a chat turn: stores the reply as "sent" with its tokens and cost, and settles the reservation as settle_usage does, all counters of user and conversation included. A NULL metadata keeps what is stored. If the reply was deleted meanwhile, what was used is charged all the same. The same call again returns the first result and says replayed. Errors: those of settle_usage; 22004 NULL content; 55000 the reservation belongs to no turn. Locks: the row of the user, the reservation, the conversation, the message.';

CREATE FUNCTION claude_gpt.fail_turn(
    p_reservation_id uuid,
    p_error_message text,
    p_prompt_tokens integer DEFAULT 0,
    p_completion_tokens integer DEFAULT 0,
    p_content text DEFAULT NULL,
    p_cost numeric DEFAULT NULL,
    p_cached_prompt_tokens integer DEFAULT 0,
    p_cache_write_tokens integer DEFAULT 0,
    OUT message_id uuid,
    OUT conversation_id uuid,
    OUT total_tokens bigint,
    OUT charged_cost numeric,
    OUT late boolean,
    OUT replayed boolean
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_fail_turn';
COMMENT ON FUNCTION claude_gpt.fail_turn(uuid, text, integer, integer, text, numeric, integer, integer) IS
'Ends a chat turn that failed: marks the reply "failed" with the error, keeping what was saved of it unless content is given. If tokens or a cost are given, they are charged with the message, as complete_turn does; otherwise the reservation is released and nothing is counted. Errors: those of complete_turn; 22004 NULL error message. Locks: those of complete_turn.';

CREATE FUNCTION claude_gpt.list_conversations(
    p_user_id uuid,
    p_archived boolean DEFAULT false,
    p_before uuid DEFAULT NULL,
    p_limit integer DEFAULT 50
) RETURNS TABLE (
    id uuid,
    title text,
    summary text,
    message_count integer,
    total_tokens bigint,
    total_cost numeric,
    is_archived boolean,
    is_pinned boolean,
    created_at timestamptz,
    last_message_at timestamptz,
    last_message_content text,
    last_message_role text
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_list_conversations';
COMMENT ON FUNCTION claude_gpt.list_conversations(uuid, boolean, uuid, integer) IS
'A page of the conversations of a user, that with the newest message first, each with its newest message that is not deleted. p_archived: only those that are archived, only those that are not, or NULL for both. p_before: the last conversation of the page before; NULL for the first page. At most 1000 a page. Errors: P0002 no such user, or no such conversation of the user; 22004 NULL user or limit; 22023 limit out of range. Locks nothing.';

CREATE FUNCTION claude_gpt.conversation_messages(
    p_user_id uuid,
    p_conversation_id uuid,
    p_before uuid DEFAULT NULL,
    p_limit integer DEFAULT 50
) RETURNS TABLE (
    id uuid,
    parent_message_id uuid,
    role text,
    content text,
    content_type text,
    model_used text,
    prompt_tokens integer,
    completion_tokens integer,
    total_tokens integer,
    cost numeric,
    status text,
    error_message text,
    metadata jsonb,
    created_at timestamptz,
    updated_at timestamptz
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_conversation_messages';
COMMENT ON FUNCTION claude_gpt.conversation_messages(uuid, uuid, uuid, integer) IS
'A page of the messages of a conversation, of all its branches, the newest first, without those that are deleted. p_before: the last message of the page before; NULL for the first page. At most 1000 a page. Errors: P0002 no such conversation of the user, or no such message in it; 22004 NULL user, conversation or limit; 22023 limit out of range. Locks nothing.';

CREATE FUNCTION claude_gpt.conversation_path(
    p_user_id uuid,
    p_leaf_message_id uuid,
    p_max_tokens integer DEFAULT NULL
) RETURNS TABLE (
    "position" integer,
    id uuid,
    parent_message_id uuid,
    role text,
    content text,
    content_type text,
    model_used text,
    status text,
    tokens integer,
    sibling_index integer,
    sibling_count integer,
    metadata jsonb,
    created_at timestamptz
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_conversation_path';
COMMENT ON FUNCTION claude_gpt.conversation_path(uuid, uuid, integer) IS
'The branch of a conversation that ends with a message, from its root: what to send to a model. Of the messages before the last only those with status "sent". With p_max_tokens only the newest whose tokens together are within it, the last message always; tokens are the completion tokens of a reply, the total tokens of another message, or where these are NULL a third of the bytes of its content, rounded up. sibling_index (from 1, the oldest first) and sibling_count tell which of the messages with the same parent each is. Errors: P0002 no such message of the user; 22004 NULL user or message; 22023 p_max_tokens below 1. Locks nothing.';

CREATE FUNCTION claude_gpt.delete_conversation(
    p_user_id uuid,
    p_conversation_id uuid
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_delete_conversation';
COMMENT ON FUNCTION claude_gpt.delete_conversation(uuid, uuid) IS
'Deletes a conversation with its messages. What they used stays counted, in usage records that name neither any more. Errors: P0002 no such user, or no such conversation of the user; 22004 NULL. Locks: the row of the user, the conversation, its messages.';

REVOKE ALL ON FUNCTION claude_gpt.maintain_conversation_counters(),
    claude_gpt.begin_turn(uuid, uuid, text, text, integer, uuid, uuid, text, jsonb, interval, text),
    claude_gpt.save_partial(uuid, text),
    claude_gpt.complete_turn(uuid, text, integer, integer, numeric, jsonb, integer, integer),
    claude_gpt.fail_turn(uuid, text, integer, integer, text, numeric, integer, integer),
    claude_gpt.list_conversations(uuid, boolean, uuid, integer),
    claude_gpt.conversation_messages(uuid, uuid, uuid, integer),
    claude_gpt.conversation_path(uuid, uuid, integer),
    claude_gpt.delete_conversation(uuid, uuid) FROM PUBLIC;

-- Topic identifiers: time-ordered ids.

CREATE FUNCTION claude_gpt.uuid_v7() RETURNS uuid
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_uuid_v7';
COMMENT ON FUNCTION claude_gpt.uuid_v7() IS
'Makes a new UUID of version 7 (RFC 9562). Ids made in one session grow strictly, those of different sessions are ordered to the millisecond or better. The default of every id column. Always uses the system clock.';

CREATE FUNCTION claude_gpt.uuid_v7_floor(p_moment timestamptz) RETURNS uuid
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_uuid_v7_floor';
COMMENT ON FUNCTION claude_gpt.uuid_v7_floor(timestamptz) IS
'The smallest version 7 UUID of the millisecond that holds a moment: ids made then or later are equal or above, so that WHERE id >= uuid_v7_floor(moment) selects by time. Errors: 22004 for NULL; 22008 before 1970, after the year 10889 and for infinity.';

REVOKE ALL ON FUNCTION claude_gpt.uuid_v7(), claude_gpt.uuid_v7_floor(timestamptz) FROM PUBLIC;

-- Topic jobs: what the database does by itself, when, and who asks for it.

CREATE PROCEDURE claude_gpt.run_job(p_name text, p_engine text DEFAULT 'call')
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_run_job';
COMMENT ON PROCEDURE claude_gpt.run_job(text, text) IS
'Runs a job now, whether or not it is due or enabled: monthly_reset, partition_upkeep, reservation_sweep, session_cleanup, idempotency_prune, audit_prune, usage_prune, job_history_prune or analyze. Works in batches with a commit each, rests between them as claude_gpt.job_duty_cycle says, waits for a lock no longer than a quarter of a second at a time, and leaves a row in job_runs. Waits for another job that runs in this database; if this very job is running, that run will do, and a NOTICE says so. p_engine is "call", or "pg_cron" in its schedules: then nothing is recorded where nothing is to do, a job that is not enabled is left alone, and the workers leave the job to pg_cron from then on. Works with the rights of the owner of the tables. Errors: 22004 NULL; 22023 another engine; P0002 no such job; 2D000 inside a transaction block or a function; 57014 the time-out of the job; 55P03 a lock was not to be had in twenty tries within twenty seconds; 55000 the tables are missing or older than the code; and any error of the job, after it was recorded. Locks: a lock of its own on the extension (pg_locks: object, objsubid 1) for the session; rows of a batch until its commit.';

CREATE PROCEDURE claude_gpt.run_due_jobs()
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_run_due_jobs';
COMMENT ON PROCEDURE claude_gpt.run_due_jobs() IS
'Runs every job that is enabled and due, the oldest first, as a worker would: for servers that do not preload the library, by hand or from any scheduler. A job that fails is recorded and told by a WARNING; the others go on. If another session runs jobs, a NOTICE says so and nothing is done. Errors: 2D000 inside a transaction block or a function; 55000 the tables are missing or older than the code. Locks: as run_job.';

CREATE FUNCTION claude_gpt.job_looks() RETURNS TABLE (
    name text,
    looked_at timestamptz,
    due_at timestamptz,
    lateness_seconds bigint
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_job_looks';
COMMENT ON FUNCTION claude_gpt.job_looks() IS
'When each job was last looked at with nothing to do, when it is due next, and for how many seconds it has been due. Looks are kept in shared memory, since the server started, so that an idle database writes nothing; looked_at is NULL if there was none, or the library is not preloaded. Part of the view job_status. Errors: 55000 the tables are missing or older than the code.';

CREATE FUNCTION claude_gpt.validate_job() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_validate_job';
COMMENT ON FUNCTION claude_gpt.validate_job() IS
'Trigger function of jobs: refuses names that are no job, engines other than "worker" and "pg_cron", a run_every outside of 1 second to 366 days or with months or years, a timeout outside of 1 second to 7 days, and an infinite next_run_at. Errors: 22023; 39P01 if not called before a row is written.';

CREATE FUNCTION claude_gpt.look_at_changed_jobs() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_look_at_changed_jobs';
COMMENT ON FUNCTION claude_gpt.look_at_changed_jobs() IS
'Trigger function of jobs: once the change is committed, a worker visits this database. Does nothing if the library is not preloaded. Errors: 39P01 if not called after the event.';

-- Names in the schema cron are believed only once pg_extension has pg_cron: elsewhere they are anybody's who may create
-- a schema.
CREATE FUNCTION claude_gpt.cron_schedule(p_run_every interval, p_minute integer) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN i.minutes < 2 THEN '* * * * *'
        WHEN i.minutes < 60 THEN
            (SELECT format('%s-59/%s * * * *', p_minute % n, n)
             FROM unnest(ARRAY[30, 20, 15, 12, 10, 6, 5, 4, 3, 2]) AS n WHERE n <= i.minutes ORDER BY n DESC LIMIT 1)
        WHEN i.minutes < 120 THEN format('%s * * * *', p_minute)
        WHEN i.minutes < 1440 THEN
            (SELECT format('%s %s-23/%s * * *', p_minute, 2 % n, n)
             FROM unnest(ARRAY[12, 8, 6, 4, 3, 2]) AS n WHERE n * 60 <= i.minutes ORDER BY n DESC LIMIT 1)
        WHEN i.minutes < 7 * 1440 THEN format('%s 2 * * *', p_minute)
        ELSE format('%s 2 * * 0', p_minute)
    END
    FROM (SELECT extract(epoch FROM p_run_every) / 60 AS minutes) AS i
$$;
COMMENT ON FUNCTION claude_gpt.cron_schedule(interval, integer) IS
'The schedule of cron that comes nearest to an interval without being longer: every minute (also for less) to every 30 minutes, every hour to every 12 hours, daily or weekly at two. p_minute is the minute of the hour. Part of schedule_with_pg_cron.';

-- pg_cron 1.4 keeps 63 bytes of a name.
CREATE FUNCTION claude_gpt.cron_entry_name(p_job text, p_database name) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('claude_gpt %s %s', p_job, CASE WHEN octet_length(p_database::text) > 32 THEN md5(p_database::text) ELSE p_database::text END)
$$;
COMMENT ON FUNCTION claude_gpt.cron_entry_name(text, name) IS
'The name of the entry of pg_cron for a job of a database, with the MD5 of a database name that is longer than 32 bytes. Part of schedule_with_pg_cron.';

CREATE FUNCTION claude_gpt.require_pg_cron(p_call text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- No row where pg_cron is not preloaded, nor for who may not see the setting.
    home CONSTANT text := (SELECT s.setting FROM pg_settings AS s WHERE s.name = 'cron.database_name');
    is_installed CONSTANT boolean := EXISTS (SELECT FROM pg_extension AS e WHERE e.extname = 'pg_cron');
BEGIN
    IF is_installed AND COALESCE(home, current_database()) = current_database() THEN
        RETURN;
    END IF;
    RAISE object_not_in_prerequisite_state USING
        MESSAGE = format('pg_cron does not read its entries from database "%s"', current_database()),
        DETAIL = CASE WHEN home IS NULL THEN 'It is not preloaded, or this role may not see cron.database_name.'
                      WHEN home <> current_database() THEN format('It reads them from database "%s", as cron.database_name says.', home)
                      ELSE 'cron.database_name names this database, but the extension is not created.' END,
        HINT = CASE WHEN home = current_database() THEN 'Run CREATE EXTENSION pg_cron.'
                    ELSE format('In %s: SET claude_gpt.install_tables = off; CREATE EXTENSION claude_gpt; SELECT * FROM %s.',
                                COALESCE(format('database "%s"', home), 'the database that cron.database_name names'), p_call) END;
END
$$;
COMMENT ON FUNCTION claude_gpt.require_pg_cron(text) IS
'Raises 55000 unless pg_cron is installed in this database and reads its entries from it. p_call is what the hint proposes to call elsewhere. Part of schedule_with_pg_cron and unschedule_pg_cron.';

CREATE FUNCTION claude_gpt.schedule_with_pg_cron(p_database name DEFAULT current_database(), p_reindex boolean DEFAULT false)
    RETURNS TABLE (job_name text, schedule text, command text, active boolean)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- As an install has them, for a database that cannot be asked from here.
    intervals jsonb := '{"monthly_reset": "1 day", "partition_upkeep": "1 day", "reservation_sweep": "5 minutes", "session_cleanup": "1 hour",
        "idempotency_prune": "1 hour", "audit_prune": "1 day", "usage_prune": "1 day", "job_history_prune": "1 day", "analyze": "1 hour"}';
    is_here CONSTANT boolean := p_database = current_database();
    first_minute CONSTANT integer := ('x' || left(md5(p_database::text), 4))::bit(16)::integer;
    job_names text[];
BEGIN
    IF p_database IS NULL OR p_reindex IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_database and p_reindex must not be null';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_database AS d WHERE d.datname = p_database) THEN
        RAISE invalid_catalog_name USING MESSAGE = format('database "%s" does not exist', p_database);
    END IF;
    PERFORM claude_gpt.require_pg_cron(format('claude_gpt.schedule_with_pg_cron(%L)', p_database));
    IF is_here AND to_regclass('claude_gpt.jobs') IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'the tables of claude_gpt are not installed',
            HINT = 'Name the database that has them, or run CALL claude_gpt.migrate().';
    END IF;
    IF is_here THEN
        UPDATE claude_gpt.jobs AS j SET engine = 'pg_cron' WHERE j.engine <> 'pg_cron';
        SELECT COALESCE(jsonb_object_agg(j.name, j.run_every), '{}') INTO intervals FROM claude_gpt.jobs AS j;
    END IF;
    SELECT array_agg(k) INTO job_names FROM jsonb_object_keys(intervals || '{"reindex": null}') AS k;

    -- What is not wanted, another role's, and what scheduling anew would leave as it is. Made anew, an entry connects to where
    -- cron.host says now (NULL: who may not see it).
    EXECUTE 'SELECT count(cron.unschedule(c.jobid)) FROM cron.job AS c, split_part(c.jobname::text, '' '', 2) AS s (job)'
            ' WHERE c.jobname::text = claude_gpt.cron_entry_name(s.job, $1)'
            ' AND NOT (s.job = ANY ($2) AND c.database = $1 AND c.username = current_user AND c.active = (s.job <> ''reindex'' OR $3)'
            ' AND c.nodename = COALESCE((SELECT g.setting FROM pg_settings AS g WHERE g.name = ''cron.host''), c.nodename)'
            ' AND c.nodeport = current_setting(''port'')::integer)'
        USING p_database, job_names, p_reindex;

    FOR job_name, schedule, command, active IN
        -- A month may begin at any quarter of an hour.
        SELECT i.job, CASE i.job WHEN 'monthly_reset' THEN claude_gpt.cron_schedule(least(i.run_every, '15 minutes'), 0)
                                 ELSE claude_gpt.cron_schedule(i.run_every, (first_minute + 7 * i.position::integer) % 60) END,
               format('CALL claude_gpt.run_job(%L, %L)', i.job, 'pg_cron'), true
        FROM (SELECT e.key AS job, e.value::interval AS run_every, row_number() OVER (ORDER BY e.key) AS position
              FROM jsonb_each_text(intervals) AS e) AS i
        UNION ALL
        SELECT 'reindex', format('%s 3 * * *', first_minute % 60), 'REINDEX SCHEMA CONCURRENTLY claude_gpt', p_reindex
    LOOP
        EXECUTE 'SELECT cron.schedule_in_database($1, $2, $3, $4, NULL, $5) WHERE NOT EXISTS (SELECT FROM cron.job AS c'
                ' WHERE c.jobname::text = $1 AND c.username = current_user AND c.schedule = $2 AND c.command = $3)'
            USING claude_gpt.cron_entry_name(job_name, p_database), schedule, command, p_database::text, active;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt.schedule_with_pg_cron(name, boolean) IS
'Hands the jobs of a database over to pg_cron (1.4 or later): an entry "claude_gpt <job> <database>" for each, which calls run_job, and a nightly REINDEX SCHEMA CONCURRENTLY claude_gpt, which is active only with p_reindex. To be called where pg_cron is installed (cron.database_name), for that database or another. The workers leave the jobs of this database to pg_cron once it commits, those of another from the first run of each on. Schedules are the nearest of cron that are not longer than run_every, of another database than the run_every of an install, and at least every minute; times are those of cron.timezone (1.4: GMT); monthly_reset runs every quarter of an hour, since a month begins at midnight of billing_timezone. Called again it changes what differs, as after a change of run_every, cron.host or p_reindex, and takes over the entries of other roles that the caller sees: a superuser all. The entries run as the caller, who must be able to log in as pg_cron does it, and needs EXECUTE on run_job in that database; REINDEX needs the owner of the schema claude_gpt, a superuser, or pg_maintain (17 or later), and an interrupted one leaves an invalid index behind. The caller needs USAGE on the schema cron, EXECUTE on cron.schedule_in_database, and here UPDATE on jobs. Errors: 22004 NULL; 3D000 no such database; 55000 pg_cron does not read its entries from this database, or the tables are missing in it; 42501 a right is missing; and any error of pg_cron.';

CREATE FUNCTION claude_gpt.unschedule_pg_cron(p_database name DEFAULT current_database()) RETURNS integer
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_here CONSTANT boolean := p_database = current_database();
    home CONSTANT text := (SELECT s.setting FROM pg_settings AS s WHERE s.name = 'cron.database_name');
    removed integer := 0;
BEGIN
    IF p_database IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_database must not be null';
    END IF;
    IF EXISTS (SELECT FROM pg_extension AS e WHERE e.extname = 'pg_cron') THEN
        EXECUTE 'SELECT count(cron.unschedule(c.jobid)) FROM cron.job AS c'
                ' WHERE c.jobname::text = claude_gpt.cron_entry_name(split_part(c.jobname::text, '' '', 2), $1)'
            INTO removed USING p_database;
    ELSIF NOT is_here THEN
        PERFORM claude_gpt.require_pg_cron(format('claude_gpt.unschedule_pg_cron(%L)', p_database));
    ELSIF home <> current_database() THEN
        RAISE NOTICE 'entries of pg_cron for this database, if there are any, are in database "%"', home
            USING HINT = format('There: SELECT claude_gpt.unschedule_pg_cron(%L). Their next run would hand the jobs over again.', p_database);
    END IF;
    IF is_here AND to_regclass('claude_gpt.jobs') IS NOT NULL THEN
        UPDATE claude_gpt.jobs AS j SET engine = 'worker' WHERE j.engine <> 'worker';
    ELSIF EXISTS (SELECT FROM pg_database AS d WHERE d.datname = p_database AND NOT is_here) THEN
        RAISE NOTICE 'the workers leave the jobs of database "%" alone until they are told', p_database
            USING HINT = 'There: UPDATE claude_gpt.jobs SET engine = ''worker''.';
    END IF;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION claude_gpt.unschedule_pg_cron(name) IS
'Takes back the entries that schedule_with_pg_cron has made for a database, which may be gone, and returns how many there were. The workers run the jobs of this database again once it commits, also where pg_cron has been dropped; for another database a NOTICE says what to do in it. A run of an entry that is taken away goes on, or is stopped where pg_cron uses background workers. Where pg_cron is no longer preloaded, drop its extension first. Errors: 22004 NULL; 55000 another database is named, and pg_cron does not read its entries from this one; 42501 the caller may not take away the entries, or write claude_gpt.jobs; and any error of pg_cron.';

REVOKE ALL ON PROCEDURE claude_gpt.run_job(text, text), claude_gpt.run_due_jobs() FROM PUBLIC;
REVOKE ALL ON FUNCTION claude_gpt.job_looks(), claude_gpt.validate_job(), claude_gpt.look_at_changed_jobs(),
    claude_gpt.cron_schedule(interval, integer), claude_gpt.cron_entry_name(text, name), claude_gpt.require_pg_cron(text),
    claude_gpt.schedule_with_pg_cron(name, boolean), claude_gpt.unschedule_pg_cron(name) FROM PUBLIC;

-- Topic partitions: tables that are split by time, and how messages become one.
-- Step functions do the work of one short transaction a call, keep their state in the catalog alone, and are
-- called until they return NULL. They never catch a lock error: the caller rolls back and calls again.
-- Where several locks are taken: users, conversations, messages, then the partitioned table, then its partitions.

CREATE PROCEDURE claude_gpt.create_partitions(p_table text, p_from timestamptz, p_to timestamptz, p_width text DEFAULT NULL)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_create_partitions';
COMMENT ON PROCEDURE claude_gpt.create_partitions(text, timestamptz, timestamptz, text) IS
'Makes partitions until every moment from p_from to before p_to has one, and empties a filled default partition of what is to have one, without a row being invisible at any moment. p_width is "1 week", "1 month", "3 months" or "1 year", in UTC; NULL takes the configuration "partitions". What exists stays as it is. Each step is a NOTICE and commits; after an interruption the same call goes on. Works with the rights of the owner of the tables. Errors: 22004 NULL; 42P01 no such table; 22023 a table that is not partitioned, a width, or a range; 2D000 inside a transaction block or a function; 55P03 a lock was not to be had in twenty tries within twenty seconds. Locks: as create_next_partition, for a step at a time.';

CREATE PROCEDURE claude_gpt.drop_partitions_before(p_table text, p_before timestamptz)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_drop_partitions_before';
COMMENT ON PROCEDURE claude_gpt.drop_partitions_before(text, timestamptz) IS
'Drops the partitions that lie whole before p_before, the oldest first, each in a transaction of its own. The sums of usage_records go to usage_balances first, so that the books prove at every moment. Errors: 22004 NULL; 42P01 no such table; 22023 a table that is not partitioned; 0A000 messages, which are not kept by time; 2D000 inside a transaction block or a function; 55P03 a lock was not to be had in twenty tries within twenty seconds. Locks: as drop_next_partition_before.';

CREATE PROCEDURE claude_gpt.partition_table(p_table text, p_width text)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_partition_table';
COMMENT ON PROCEDURE claude_gpt.partition_table(text, text) IS
'Turns the filled table messages into a table partitioned by id, of which the table of before becomes the default partition, in place: no row is copied, and applications go on. Partitions of p_width ("1 week", "1 month", "3 months", "1 year", in UTC), from the period that begins next, hold the ids of their time (uuid_v7). Each step is a NOTICE and commits; after an interruption the same call goes on. Errors: 22004 NULL; 22023 another table or width; 55000 something hangs on the table that cannot be carried over, named in the DETAIL before anything is changed; 2D000 inside a transaction block or a function; 55P03 a lock was not to be had in twenty tries within twenty seconds. Locks: as partition_table_step.';

CREATE FUNCTION claude_gpt.partition_period(p_width text, p_moment timestamptz, OUT from_at timestamptz, OUT to_at timestamptz)
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    start timestamp := date_trunc(CASE p_width WHEN '1 week' THEN 'week' WHEN '1 month' THEN 'month'
                                               WHEN '3 months' THEN 'quarter' WHEN '1 year' THEN 'year' END, p_moment AT TIME ZONE 'UTC');
BEGIN
    IF p_width IS NULL OR p_moment IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'width and moment must not be null';
    END IF;
    IF start IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('partition width "%s" is not known', p_width),
            DETAIL = 'Widths are 1 week, 1 month, 3 months and 1 year.';
    END IF;
    from_at := start AT TIME ZONE 'UTC';
    to_at := (start + CASE p_width WHEN '1 week' THEN interval '7 days' WHEN '1 month' THEN interval '1 month'
                                   WHEN '3 months' THEN interval '3 months' ELSE interval '1 year' END) AT TIME ZONE 'UTC';
END
$$;
COMMENT ON FUNCTION claude_gpt.partition_period(text, timestamptz) IS
'The week (ISO), month, quarter or year, in UTC, that holds a moment: from from_at to before to_at. Errors: 22004 NULL; 22023 the width is none of "1 week", "1 month", "3 months", "1 year".';

CREATE FUNCTION claude_gpt.partition_name(p_table name, p_width text, p_from timestamptz, p_to timestamptz) RETURNS name
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    label CONSTANT text := CASE p_width WHEN '1 week' THEN 'IYYY"w"IW' WHEN '1 month' THEN 'YYYY"m"MM'
                                        WHEN '3 months' THEN 'YYYY"q"Q' ELSE 'YYYY' END;
    first CONSTANT text := to_char(p_from AT TIME ZONE 'UTC', label);
    last CONSTANT text := to_char((p_to - interval '1 microsecond') AT TIME ZONE 'UTC', label);
    plain CONSTANT text := left(p_table, 40) || '_' || first || CASE WHEN last = first THEN '' ELSE '_' || last END;
    taken integer := 1;
BEGIN
    WHILE to_regclass(format('claude_gpt.%I', plain || CASE WHEN taken = 1 THEN '' ELSE '_' || taken END)) IS NOT NULL LOOP
        taken := taken + 1;
    END LOOP;
    RETURN plain || CASE WHEN taken = 1 THEN '' ELSE '_' || taken END;
END
$$;
COMMENT ON FUNCTION claude_gpt.partition_name(name, text, timestamptz, timestamptz) IS
'A free name for the partition of a range: audit_logs_2026w47, usage_records_2026q4, messages_2027; over several periods the first and the last, audit_logs_2025w01_2026w46; with _2, _3 where the name is taken.';

CREATE FUNCTION claude_gpt.partition_moment(p_bound text, p_type regtype, p_is_upper boolean) RETURNS timestamptz
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
AS $$
DECLARE
    digits CONSTANT text := replace(p_bound, '-', '');
    moment timestamptz;
BEGIN
    IF p_bound IN ('MINVALUE', 'MAXVALUE') THEN
        RETURN CASE p_bound WHEN 'MINVALUE' THEN '-infinity' ELSE 'infinity' END;
    ELSIF p_type = 'timestamptz'::regtype THEN
        RETURN p_bound;
    ELSIF p_type <> 'uuid'::regtype THEN
        RETURN NULL;
    END IF;
    moment := timestamptz 'epoch' + ('x' || left(digits, 12))::bit(48)::bigint * interval '1 millisecond';
    -- A bound inside of a millisecond, which is not ours, ends after it.
    RETURN moment + CASE WHEN p_is_upper AND right(digits, 20) > '70008000000000000000' THEN interval '1 millisecond' ELSE interval '0' END;
END
$$;
COMMENT ON FUNCTION claude_gpt.partition_moment(text, regtype, boolean) IS
'The moment that a bound of a partition stands for: of a timestamptz itself, of a uuid the time in its first 48 bits; NULL for other types.';

CREATE FUNCTION claude_gpt.partition_bound(p_moment timestamptz, p_type regtype) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
AS $$
    SELECT CASE WHEN p_type = 'uuid'::regtype THEN claude_gpt.uuid_v7_floor(p_moment)::text ELSE p_moment::text END
$$;
COMMENT ON FUNCTION claude_gpt.partition_bound(timestamptz, regtype) IS
'The value at which a partition begins or ends at a moment: of a timestamptz itself, of a uuid the smallest id of version 7. Errors: those of uuid_v7_floor.';

CREATE FUNCTION claude_gpt.partitioned_table(p_table text, OUT relation regclass, OUT key_column name, OUT key_type regtype, OUT default_partition regclass)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kind "char";
BEGIN
    IF p_table IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_table must not be null';
    END IF;
    SELECT c.oid, c.relkind, a.attname, a.atttypid, NULLIF(t.partdefid, 0) INTO relation, kind, key_column, key_type, default_partition
    FROM pg_class AS c
    LEFT JOIN pg_partitioned_table AS t ON t.partrelid = c.oid
    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = t.partattrs[0] AND t.partnatts = 1 AND t.partstrat = 'r'
        AND a.atttypid IN ('timestamptz'::regtype, 'uuid'::regtype)
    WHERE c.relnamespace = 'claude_gpt'::regnamespace AND c.relname = p_table AND c.relkind IN ('r', 'p', 'v', 'm', 'f');
    IF relation IS NULL THEN
        RAISE undefined_table USING MESSAGE = format('table "claude_gpt.%s" does not exist', p_table);
    END IF;
    IF kind <> 'p' OR key_column IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('table "claude_gpt.%s" is not partitioned%s', p_table, CASE kind WHEN 'p' THEN ' by time' ELSE '' END),
            HINT = CASE WHEN p_table = 'messages' THEN 'CALL claude_gpt.partition_table(''messages'', ''1 year'') partitions it.' ELSE '' END;
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt.partitioned_table(text) IS
'A table of schema claude_gpt that is partitioned by ranges of time: its key column, of type timestamptz or uuid, and its DEFAULT partition, NULL if it has none. Errors: 22004 NULL; 42P01 no such table; 22023 the table is not partitioned so.';

CREATE FUNCTION claude_gpt.require_owner(p_relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner record;
BEGIN
    SELECT r.oid, r.rolsuper INTO owner FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner WHERE c.oid = p_relation;
    IF NOT pg_has_role(owner.oid, 'USAGE') THEN
        RAISE insufficient_privilege USING MESSAGE = format('must be owner of table %s', p_relation);
    END IF;
    IF NOT owner.rolsuper AND (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) THEN
        RAISE insufficient_privilege USING MESSAGE = format('a superuser cannot change table %s of a role that is none', p_relation),
            DETAIL = 'Triggers and index expressions of that role would run as superuser.',
            HINT = 'Call create_partitions, drop_partitions_before or partition_table, which work with the rights of the owner.';
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt.require_owner(regclass) IS
'Refuses who may not change a table, and a superuser where its owner is none. Errors: 42501.';

CREATE FUNCTION claude_gpt.partitions_of(p_relation regclass) RETURNS TABLE (
    partition regclass, partition_name name, from_at timestamptz, to_at timestamptz, is_default boolean
)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
AS $$
    SELECT c.oid, c.relname, claude_gpt.partition_moment(trim('''' FROM b.bounds[1]), k.key_type, false),
           claude_gpt.partition_moment(trim('''' FROM b.bounds[2]), k.key_type, true), b.bound = 'DEFAULT'
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    JOIN pg_partitioned_table AS t ON t.partrelid = i.inhparent
    LEFT JOIN LATERAL (SELECT a.atttypid::regtype AS key_type FROM pg_attribute AS a
                       WHERE a.attrelid = i.inhparent AND a.attnum = t.partattrs[0] AND t.partnatts = 1 AND t.partstrat = 'r') AS k ON true
    CROSS JOIN LATERAL (SELECT e.bound, regexp_match(e.bound, '^FOR VALUES FROM \((.*)\) TO \((.*)\)$') AS bounds
                        FROM (SELECT pg_get_expr(c.relpartbound, c.oid) AS bound) AS e) AS b
    WHERE i.inhparent = p_relation
$$;
COMMENT ON FUNCTION claude_gpt.partitions_of(regclass) IS
'The partitions of a table with the time they hold; -infinity and infinity where they are unbounded, NULL for the DEFAULT partition and where the key is neither timestamptz nor uuid.';

CREATE FUNCTION claude_gpt.list_partitions(p_table text DEFAULT NULL) RETURNS TABLE (
    table_name name,
    partition_name name,
    from_at timestamptz,
    to_at timestamptz,
    is_default boolean,
    row_estimate bigint,
    size_bytes bigint
)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_table IS NOT NULL THEN
        PERFORM claude_gpt.partitioned_table(p_table);
    END IF;
    RETURN QUERY
        SELECT t.relname, p.partition_name, p.from_at, p.to_at, p.is_default,
               CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END, pg_total_relation_size(c.oid)
        FROM pg_class AS t
        CROSS JOIN LATERAL claude_gpt.partitions_of(t.oid) AS p
        JOIN pg_class AS c ON c.oid = p.partition
        WHERE t.relnamespace = 'claude_gpt'::regnamespace AND t.relkind = 'p' AND t.relname = COALESCE(p_table, t.relname)
        ORDER BY t.relname, p.is_default, p.from_at, p.partition_name;
END
$$;
COMMENT ON FUNCTION claude_gpt.list_partitions(text) IS
'The partitions of a table, or of all partitioned tables of the schema: the time they hold (from from_at to before to_at; infinite where unbounded; NULL for the DEFAULT partition, which holds the rest), their rows as last estimated by the server (NULL if never), and their size with indexes and TOAST. For messages, which is partitioned by id, the time is that of ids of version 7. Errors: 42P01 no such table; 22023 the table is not partitioned. Locks nothing.';

CREATE FUNCTION claude_gpt.build_partition(p_parent regclass, p_model regclass, p_name name) RETURNS regclass
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    settings text;
    place text;
    owner name;
    identity "char";
BEGIN
    PERFORM claude_gpt.require_owner(p_parent);
    SELECT string_agg(format('%s%I = %L', o.prefix, split_part(o.setting, '=', 1), substr(o.setting, strpos(o.setting, '=') + 1)), ', ') INTO settings
    FROM (SELECT '' AS prefix, unnest(c.reloptions) AS setting FROM pg_class AS c WHERE c.oid = p_model
          UNION ALL
          SELECT 'toast.', unnest(s.reloptions) FROM pg_class AS c JOIN pg_class AS s ON s.oid = c.reltoastrelid WHERE c.oid = p_model) AS o;
    SELECT quote_ident(s.spcname), r.rolname INTO place, owner
    FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace
    WHERE c.oid = p_parent;
    EXECUTE format('CREATE TABLE claude_gpt.%I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING INDEXES)',
                   p_name, p_parent) || COALESCE(' WITH (' || settings || ')', '') || COALESCE(' TABLESPACE ' || place, '');
    IF owner <> current_user THEN
        EXECUTE format('ALTER TABLE claude_gpt.%I OWNER TO %I', p_name, owner);
    END IF;
    SELECT c.relreplident INTO identity FROM pg_class AS c WHERE c.oid = p_model;
    IF identity IN ('f', 'n') THEN
        EXECUTE format('ALTER TABLE claude_gpt.%I REPLICA IDENTITY %s', p_name, CASE identity WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END);
    END IF;
    RETURN format('claude_gpt.%I', p_name)::regclass;
END
$$;
COMMENT ON FUNCTION claude_gpt.build_partition(regclass, regclass, name) IS
'Creates a table like a partitioned one, with all that attaching it would have to add but its foreign keys and triggers; storage parameters and replica identity as those of a model. Locks: ACCESS SHARE on the partitioned table.';

CREATE FUNCTION claude_gpt.lock_referenced_tables(p_relation regclass, p_is_swap boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    referenced record;
BEGIN
    PERFORM claude_gpt.require_owner(p_relation);
    FOR referenced IN
        SELECT DISTINCT array_position(ARRAY['users', 'conversations', 'messages'], c.relname::text) AS rank, c.oid::regclass AS relation
        FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.confrelid
        WHERE k.conrelid = p_relation AND k.contype = 'f' AND k.conparentid = 0 AND k.confrelid <> p_relation
          AND has_table_privilege(c.oid, 'UPDATE')
        ORDER BY 1 NULLS LAST, 2
    LOOP
        EXECUTE format('LOCK TABLE %s IN %s MODE', referenced.relation, CASE WHEN p_is_swap THEN 'ACCESS EXCLUSIVE' ELSE 'SHARE ROW EXCLUSIVE' END);
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt.lock_referenced_tables(regclass, boolean) IS
'Locks the tables that the foreign keys of a table reference, as attaching a partition does, but in the order in which the functions of claude_gpt write them, and at once in the mode that is needed: a partition that has foreign keys of its own, as one that is swapped, loses their triggers on the referenced tables. Locks: SHARE ROW EXCLUSIVE on them; ACCESS EXCLUSIVE for a swap.';

CREATE FUNCTION claude_gpt.copied_columns(p_relation regclass) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute AS a
    WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
$$;
COMMENT ON FUNCTION claude_gpt.copied_columns(regclass) IS 'The columns of a table that a copy of a row must be given, as a list in SQL.';

CREATE FUNCTION claude_gpt.sibling_references(p_relation regclass) RETURNS SETOF oid
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT k.oid FROM pg_constraint AS k
    WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confdeltype IN ('n', 'd') AND k.conrelid <> p_relation
      AND k.conrelid IN (SELECT i.conrelid FROM pg_constraint AS i WHERE i.contype = 'f' AND i.conparentid = 0 AND i.confrelid = p_relation)
      AND k.confrelid IN (SELECT o.confrelid FROM pg_constraint AS o WHERE o.contype = 'f' AND o.conparentid = 0 AND o.conrelid = p_relation)
$$;
COMMENT ON FUNCTION claude_gpt.sibling_references(regclass) IS
'Foreign keys that must stay younger than those of a table: of tables that reference it, to tables that it references, with ON DELETE SET NULL. Foreign keys act in the order of their creation; the deletion of a conversation must reach its messages before it updates usage records, or records of the same transaction are found to refer to messages that are gone.';

CREATE FUNCTION claude_gpt.drop_references(p_relation regclass, p_with_siblings boolean) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reference record;
    dropped jsonb := '[]';
BEGIN
    PERFORM claude_gpt.require_owner(p_relation);
    FOR reference IN
        SELECT k.conrelid::regclass AS relation, k.conname, pg_get_constraintdef(k.oid) AS definition, obj_description(k.oid, 'pg_constraint') AS remark,
               (SELECT jsonb_agg(l.relid::oid::bigint) FROM pg_partition_tree(k.conrelid) AS l WHERE l.isleaf) AS leaves
        FROM pg_constraint AS k
        WHERE k.contype = 'f' AND k.conparentid = 0
          AND (k.confrelid = p_relation
               OR p_with_siblings AND k.oid IN (SELECT s FROM claude_gpt.sibling_references(p_relation) AS s))
        ORDER BY k.confrelid <> p_relation, k.conrelid, k.conname
    LOOP
        dropped := dropped || jsonb_build_object('name', reference.conname, 'remark', reference.remark,
            'leaves', COALESCE(reference.leaves, jsonb_build_array(reference.relation::oid::bigint)),
            'definition', regexp_replace(reference.definition, ' NOT VALID$', ''));
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', reference.relation, reference.conname);
    END LOOP;
    RETURN dropped;
END
$$;
COMMENT ON FUNCTION claude_gpt.drop_references(regclass, boolean) IS
'Drops the foreign keys that reference a table, and its sibling_references if asked to, and returns what add_references needs. Locks: ACCESS EXCLUSIVE on both tables of each.';

CREATE FUNCTION claude_gpt.add_references(p_dropped jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reference record;
BEGIN
    FOR reference IN
        SELECT d.value ->> 'name' AS name, d.value ->> 'definition' AS definition, d.value ->> 'remark' AS remark, l.value::oid::regclass AS relation
        FROM jsonb_array_elements(p_dropped) AS d, jsonb_array_elements_text(d.value -> 'leaves') AS l
    LOOP
        PERFORM claude_gpt.require_owner(reference.relation);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', reference.relation, reference.name, reference.definition);
        -- Marks what finish_references has to finish.
        EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS %L', reference.name, reference.relation,
                       'claude_gpt: not yet validated' || COALESCE(E'\n' || regexp_replace(reference.remark, '^claude_gpt: not yet validated(\n|$)', ''), ''));
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt.add_references(jsonb) IS
'Adds the foreign keys again that drop_references dropped: NOT VALID, and on each partition, since a partitioned table takes no such key. New rows are checked from then on; finish_references does the rest. Locks: SHARE ROW EXCLUSIVE on both tables of each.';

CREATE FUNCTION claude_gpt.unfinished_references() RETURNS TABLE (reference oid, remark text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT k.oid, NULLIF(substr(d.description, length('claude_gpt: not yet validated') + 2), '')
    FROM pg_constraint AS k
    JOIN pg_description AS d ON d.classoid = 'pg_constraint'::regclass AND d.objoid = k.oid AND d.description ~ '^claude_gpt: not yet validated(\n|$)'
    WHERE k.contype = 'f'
$$;
COMMENT ON FUNCTION claude_gpt.unfinished_references() IS
'The foreign keys that add_references has added and finish_references has not yet finished, with the comment they are to have. None while nothing is being partitioned.';

CREATE FUNCTION claude_gpt.finish_references() RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    reference record;
    root regclass;
    leaf record;
BEGIN
    SELECT k.conrelid::regclass AS relation, k.confrelid::regclass AS referenced, k.conname, k.convalidated, pg_get_constraintdef(k.oid) AS definition, u.remark INTO reference
    FROM claude_gpt.unfinished_references() AS u JOIN pg_constraint AS k ON k.oid = u.reference
    ORDER BY k.convalidated, k.conname, k.conrelid LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM claude_gpt.require_owner(reference.relation);
    IF NOT reference.convalidated THEN
        EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', reference.relation, reference.conname);
        RETURN format('validated foreign key %s of %s', reference.conname, reference.relation);
    END IF;
    root := pg_partition_root(reference.relation);
    IF root IS NOT NULL AND root <> reference.relation THEN
        -- The triggers on it that belonged to the partitions' own keys go.
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', reference.referenced);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', root, reference.conname, reference.definition);
        FOR leaf IN
            SELECT k.conrelid::regclass AS relation, k.conname
            FROM claude_gpt.unfinished_references() AS u JOIN pg_constraint AS k ON k.oid = u.reference
            WHERE k.conname = reference.conname AND k.conrelid IN (SELECT l.relid FROM pg_partition_tree(root) AS l)
        LOOP
            EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS NULL', leaf.conname, leaf.relation);
        END LOOP;
    ELSE
        root := reference.relation;
    END IF;
    EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS %L', reference.conname, root, reference.remark);
    RETURN format('restored foreign key %s of %s', reference.conname, root);
END
$$;
COMMENT ON FUNCTION claude_gpt.finish_references() IS
'The next step that makes the foreign keys of add_references whole again: validates one of them, or adds it to the partitioned table whose partitions all have it. Returns what it did, NULL when nothing is left to do. Locks: SHARE UPDATE EXCLUSIVE on the table that is validated; of a key that is added, ACCESS EXCLUSIVE on the table that it references and SHARE ROW EXCLUSIVE on the other.';

CREATE FUNCTION claude_gpt.range_to_swap(p_table text, p_wanted timestamptz, p_width text,
                                         OUT from_at timestamptz, OUT to_at timestamptz, OUT row_count bigint, OUT stray_count bigint)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET row_security = off
AS $$
DECLARE
    parent record;
    starts timestamptz[];
    ends timestamptz[];
    width CONSTANT interval := p_width;
    wanted CONSTANT timestamptz := (claude_gpt.partition_period(p_width, p_wanted)).from_at;
    chosen record;
BEGIN
    SELECT * INTO parent FROM claude_gpt.partitioned_table(p_table);
    PERFORM claude_gpt.require_owner(parent.relation);
    SELECT COALESCE(array_agg(p.from_at ORDER BY p.from_at), '{}'), array_agg(p.to_at ORDER BY p.from_at) INTO starts, ends
    FROM claude_gpt.partitions_of(parent.relation) AS p WHERE NOT p.is_default;
    -- Rows are counted by period and gap, the number of partitions that begin before; islands are periods with
    -- rows that are not far from each other.
    EXECUTE format($query$
        WITH counted AS MATERIALIZED (
            SELECT width_bucket(%1$I, $1) AS gap, date_trunc($2, %1$I) AS period, count(*) AS row_count
            FROM ONLY %2$s GROUP BY 1, 2
        ), marked AS (
            SELECT gap, period, row_count, count(*) FILTER (WHERE is_far) OVER (PARTITION BY gap ORDER BY period) AS island
            FROM (SELECT gap, period, row_count, period > lag(period) OVER (PARTITION BY gap ORDER BY period) + 12 * $3 AS is_far
                  FROM counted WHERE isfinite(period)) AS c
        ), candidate AS (
            SELECT gap, min(period) AS first, max(period) AS last, sum(row_count) AS row_count FROM marked GROUP BY gap, island
            UNION
            SELECT gap, min(period), max(period), sum(row_count) FROM marked GROUP BY gap
        ), judged AS (
            SELECT c.*, t.row_count - c.row_count AS stray_count,
                   t.row_count - c.row_count <= 10000 AND c.gap = width_bucket($4, $1) AND $5 BETWEEN c.first AND c.last AS is_wanted
            FROM candidate AS c, (SELECT sum(row_count) AS row_count FROM counted) AS t
        )
        SELECT * FROM judged
        ORDER BY is_wanted DESC, CASE WHEN is_wanted THEN last - first END, row_count DESC, last - first LIMIT 1 $query$, parent.key_column, parent.default_partition)
    INTO chosen
    USING starts, CASE p_width WHEN '1 week' THEN 'week' WHEN '1 month' THEN 'month' WHEN '3 months' THEN 'quarter' ELSE 'year' END, width, p_wanted, wanted;
    from_at := GREATEST(chosen.first, ends[chosen.gap]);
    to_at := LEAST(chosen.last + width, starts[chosen.gap + 1]);
    row_count := chosen.row_count;
    stray_count := chosen.stray_count;
END
$$;
COMMENT ON FUNCTION claude_gpt.range_to_swap(text, timestamptz, text) IS
'The periods for which the DEFAULT partition of a table is to become a partition: those around a wanted moment that hold rows, if few rows lie elsewhere, or else those with most rows. Never across an existing partition. Reads the DEFAULT partition once.';

CREATE FUNCTION claude_gpt.swap_default_partition(p_table text, p_from timestamptz, p_to timestamptz, p_name name) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
    SET row_security = off
AS $$
DECLARE
    parent record;
    old_name name;
    fresh regclass;
    part record;
    stray_count bigint := 0;
    is_proved boolean;
BEGIN
    SELECT * INTO parent FROM claude_gpt.partitioned_table(p_table);
    PERFORM claude_gpt.require_owner(parent.relation);
    PERFORM claude_gpt.lock_referenced_tables(parent.relation, true);
    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', parent.relation);
    SELECT c.relname INTO old_name FROM pg_class AS c WHERE c.oid = parent.default_partition;
    is_proved := EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = parent.default_partition AND k.conname = 'claude_gpt_becomes_partition' AND k.convalidated);

    EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent.relation, parent.default_partition);
    EXECUTE format('ALTER TABLE %s RENAME TO %I', parent.default_partition, p_name);
    FOR part IN
        SELECT i.indexrelid::regclass AS index, left(p_name || substr(c.relname, length(old_name) + 1), 63) AS new_name
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE i.indrelid = parent.default_partition AND starts_with(c.relname, old_name)
    LOOP
        CONTINUE WHEN to_regclass(format('claude_gpt.%I', part.new_name)) IS NOT NULL;
        EXECUTE format('ALTER INDEX %s RENAME TO %I', part.index, part.new_name);
    END LOOP;
    fresh := claude_gpt.build_partition(parent.relation, parent.default_partition, old_name);
    IF NOT is_proved THEN
        -- While both are tables of their own: no trigger and no foreign key takes it for a deletion.
        EXECUTE format('WITH gone AS (DELETE FROM ONLY %1$s WHERE NOT (%2$I >= %3$L AND %2$I < %4$L) RETURNING %5$s) INSERT INTO %6$s (%5$s) SELECT %5$s FROM gone',
                       parent.default_partition, parent.key_column, p_from, p_to, claude_gpt.copied_columns(parent.relation), fresh);
        GET DIAGNOSTICS stray_count = ROW_COUNT;
    END IF;
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s DEFAULT', parent.relation, fresh);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', parent.relation, parent.default_partition, p_from, p_to);
    IF EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = parent.default_partition AND k.conname = 'claude_gpt_becomes_partition') THEN
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT claude_gpt_becomes_partition', parent.default_partition);
    END IF;
    RETURN stray_count;
END
$$;
COMMENT ON FUNCTION claude_gpt.swap_default_partition(text, timestamptz, timestamptz, name) IS
'Makes the DEFAULT partition of a table the partition of a range, with a new DEFAULT in its place, and returns how many rows outside of the range moved there. With the validated constraint "claude_gpt_becomes_partition" no row is read. Locks: ACCESS EXCLUSIVE on referenced tables and on the table, until the transaction ends.';

CREATE FUNCTION claude_gpt.attach_partition(p_table text, p_from timestamptz, p_to timestamptz, p_name name) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    parent record;
    fresh regclass;
    lower_bound text;
    upper_bound text;
    condition text;
    has_strays boolean := false;
    dropped jsonb;
    switch record;
    switches text[] := '{}';
    stray_count bigint := 0;
BEGIN
    SELECT * INTO parent FROM claude_gpt.partitioned_table(p_table);
    PERFORM claude_gpt.require_owner(parent.relation);
    lower_bound := claude_gpt.partition_bound(p_from, parent.key_type);
    upper_bound := claude_gpt.partition_bound(p_to, parent.key_type);
    condition := format('%1$I >= %2$L AND %1$I < %3$L', parent.key_column, lower_bound, upper_bound);
    fresh := claude_gpt.build_partition(parent.relation, COALESCE(parent.default_partition, parent.relation), p_name);
    -- What attaching locks on its own, but before the partitions. The table itself too: a row on its way to the
    -- DEFAULT partition would otherwise be refused when it arrives there after the new one.
    PERFORM claude_gpt.lock_referenced_tables(parent.relation);
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', parent.relation);
    IF parent.default_partition IS NOT NULL AND parent.key_type = 'uuid'::regtype THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s WHERE %s)', parent.default_partition, condition) INTO has_strays;
    END IF;
    IF has_strays THEN
        -- Moving must not set what references them to NULL.
        dropped := claude_gpt.drop_references(parent.relation, false);
        FOR switch IN
            SELECT g.tgname, CASE g.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END AS state
            FROM pg_trigger AS g WHERE g.tgrelid = parent.default_partition AND NOT g.tgisinternal AND g.tgenabled <> 'D'
        LOOP
            EXECUTE format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', parent.default_partition, switch.tgname);
            switches := switches || format('ALTER TABLE ONLY %s %s TRIGGER %I', parent.default_partition, switch.state, switch.tgname);
        END LOOP;
        EXECUTE format('WITH gone AS (DELETE FROM ONLY %1$s WHERE %2$s RETURNING %3$s) INSERT INTO %4$s (%3$s) SELECT %3$s FROM gone',
                       parent.default_partition, condition, claude_gpt.copied_columns(parent.relation), fresh);
        GET DIAGNOSTICS stray_count = ROW_COUNT;
    END IF;
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', parent.relation, fresh, lower_bound, upper_bound);
    IF EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = parent.default_partition AND k.conname = 'claude_gpt_leaves_partition') THEN
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT claude_gpt_leaves_partition', parent.default_partition);
    END IF;
    IF has_strays THEN
        FOR i IN 1..cardinality(switches) LOOP
            EXECUTE switches[i];
        END LOOP;
        PERFORM claude_gpt.add_references(dropped);
    END IF;
    RETURN stray_count;
END
$$;
COMMENT ON FUNCTION claude_gpt.attach_partition(text, timestamptz, timestamptz, name) IS
'Creates the partition of a range and attaches it, and returns how many rows of the DEFAULT partition moved into it, which happens to tables partitioned by id alone. With the validated constraint "claude_gpt_leaves_partition" the DEFAULT partition is not read. Locks, until the transaction ends: SHARE ROW EXCLUSIVE on referenced tables and on the table, ACCESS EXCLUSIVE on the DEFAULT partition; if rows move, ACCESS EXCLUSIVE on the table and on those that reference it. Errors: 23514 the DEFAULT partition of a table partitioned by time holds rows of the range.';

CREATE FUNCTION claude_gpt.check_partition_range(p_from timestamptz, p_to timestamptz, p_width text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_from IS NULL OR p_to IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_from and p_to must not be null';
    END IF;
    PERFORM claude_gpt.partition_period(p_width, p_from);
    IF NOT isfinite(p_from) OR NOT isfinite(p_to) OR p_from >= p_to THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s to %s is no range of time', p_from, p_to),
            DETAIL = 'Both ends must be finite, and the end after the start.';
    END IF;
    IF p_to - p_from > 2000 * p_width::interval THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s to %s is more than 2000 partitions of %s', p_from, p_to, p_width);
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt.check_partition_range(timestamptz, timestamptz, text) IS
'Refuses what is no range of time to be divided into partitions of a width. Errors: 22004 NULL; 22023 no such width, an end that is infinite or not after the start, more than 2000 partitions.';

CREATE FUNCTION claude_gpt.missing_partitions(p_table text, p_from timestamptz, p_to timestamptz, p_width text)
    RETURNS TABLE (from_at timestamptz, to_at timestamptz, is_filled boolean)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    parent record;
    parts record;
    covering record;
    period record;
    moment timestamptz := p_from;
    has_rows boolean := false;
BEGIN
    SELECT * INTO parent FROM claude_gpt.partitioned_table(p_table);
    PERFORM claude_gpt.check_partition_range(p_from, p_to, p_width);
    IF parent.default_partition IS NOT NULL THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', parent.default_partition) INTO has_rows;
    END IF;
    SELECT array_agg(p.from_at ORDER BY p.from_at) AS starts, array_agg(p.to_at ORDER BY p.from_at) AS ends INTO parts
    FROM claude_gpt.partitions_of(parent.relation) AS p WHERE NOT p.is_default;
    WHILE moment < p_to LOOP
        SELECT e.to_at INTO covering FROM unnest(parts.starts, parts.ends) AS e (from_at, to_at) WHERE e.from_at <= moment AND e.to_at > moment;
        IF FOUND THEN
            moment := covering.to_at;
            CONTINUE;
        END IF;
        period := claude_gpt.partition_period(p_width, moment);
        SELECT GREATEST(period.from_at, max(e.to_at) FILTER (WHERE e.to_at <= moment)), LEAST(period.to_at, min(e.from_at) FILTER (WHERE e.from_at > moment))
        INTO from_at, to_at FROM unnest(parts.starts, parts.ends) AS e (from_at, to_at);
        moment := to_at;
        -- Where rows stay in the DEFAULT partition for ever, it also keeps the period that has begun.
        CONTINUE WHEN parent.key_type = 'uuid'::regtype AND from_at < p_from;
        is_filled := false;
        IF has_rows THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %1$s WHERE %2$I >= %3$L AND %2$I < %4$L)', parent.default_partition, parent.key_column,
                           claude_gpt.partition_bound(from_at, parent.key_type), claude_gpt.partition_bound(to_at, parent.key_type))
            INTO is_filled;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt.missing_partitions(text, timestamptz, timestamptz, text) IS
'The partitions that a table lacks for a range of time: each from the end of the one before to the next boundary of the width or the next partition, and whether rows of it wait in the DEFAULT partition. For messages, whose DEFAULT partition stays, without the period that began before p_from. Errors: 22004 NULL; 22023 no such width or range, or the table is not partitioned; 42P01 no such table; 42501 the caller may not read the table. Locks nothing.';

CREATE FUNCTION claude_gpt.has_partition_work(p_table text, p_from timestamptz, p_to timestamptz, p_width text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM claude_gpt.missing_partitions(p_table, p_from, p_to, p_width))
        OR EXISTS (SELECT FROM claude_gpt.partitioned_table(p_table) AS t JOIN pg_constraint AS k ON k.conrelid = t.default_partition
                   WHERE k.contype = 'c' AND k.conname IN ('claude_gpt_becomes_partition', 'claude_gpt_leaves_partition'))
        OR EXISTS (SELECT FROM claude_gpt.partitioned_table(p_table) AS t, claude_gpt.unfinished_references() WHERE t.key_type = 'uuid'::regtype)
$$;
COMMENT ON FUNCTION claude_gpt.has_partition_work(text, timestamptz, timestamptz, text) IS
'Whether create_next_partition has something to do, also what an interruption left. Errors and locks: those of missing_partitions.';

CREATE FUNCTION claude_gpt.create_next_partition(p_table text, p_from timestamptz, p_to timestamptz, p_width text) RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
    SET row_security = off
AS $$
DECLARE
    parent record;
    proof record;
    range record;
    name name;
    moved bigint;
    is_unfit boolean;
    is_large boolean := false;
BEGIN
    SELECT * INTO parent FROM claude_gpt.partitioned_table(p_table);
    PERFORM claude_gpt.require_owner(parent.relation);
    PERFORM claude_gpt.check_partition_range(p_from, p_to, p_width);
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'partitions are made in READ COMMITTED transactions only',
            DETAIL = 'An older snapshot would not see the rows that were added meanwhile.';
    END IF;
    -- One at a time; rows are read and written meanwhile.
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', parent.relation);
    SELECT * INTO parent FROM claude_gpt.partitioned_table(p_table);

    -- What the last step began: the constraint says which range, and whether its rows have been looked at.
    SELECT k.conname, k.convalidated, k.conname = 'claude_gpt_becomes_partition' AS is_swap, b.bounds[1] AS lower_bound, b.bounds[2] AS upper_bound,
           claude_gpt.partition_moment(b.bounds[1], parent.key_type, false) AS from_at,
           claude_gpt.partition_moment(b.bounds[2], parent.key_type, true) AS to_at
    INTO proof
    FROM pg_constraint AS k,
         LATERAL (SELECT array_agg(m[1]) AS bounds FROM regexp_matches(pg_get_constraintdef(k.oid), '''([^'']+)''::', 'g') AS m) AS b
    WHERE k.conrelid = parent.default_partition AND k.contype = 'c' AND k.conname IN ('claude_gpt_becomes_partition', 'claude_gpt_leaves_partition')
    ORDER BY k.conname LIMIT 1;
    IF FOUND THEN
        is_unfit := NOT (proof.is_swap OR proof.from_at >= p_from AND proof.from_at < p_to)
            OR EXISTS (SELECT FROM claude_gpt.partitions_of(parent.relation) AS p WHERE p.from_at < proof.to_at AND p.to_at > proof.from_at);
        IF NOT is_unfit AND NOT proof.convalidated THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %1$s WHERE %2$s (%3$I >= %4$L AND %3$I < %5$L))', parent.default_partition, CASE WHEN proof.is_swap THEN 'NOT' ELSE '' END,
                           parent.key_column, proof.lower_bound, proof.upper_bound) INTO is_unfit;
        END IF;
        -- A row that came before the constraint, a partition made by hand, or other periods asked for than last time.
        IF is_unfit THEN
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', parent.default_partition, proof.conname);
            RETURN format('gave up the partition of %s from %s to %s', p_table, proof.from_at, proof.to_at);
        END IF;
        name := claude_gpt.partition_name(p_table, p_width, proof.from_at, proof.to_at);
        IF NOT proof.convalidated THEN
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', parent.default_partition, proof.conname);
            RETURN format('looked through the default partition for %s', name);
        END IF;
        IF proof.is_swap THEN
            PERFORM claude_gpt.swap_default_partition(p_table, proof.from_at, proof.to_at, name);
            RETURN format('turned the default partition into %s', name);
        END IF;
        PERFORM claude_gpt.attach_partition(p_table, proof.from_at, proof.to_at, name);
        RETURN format('created partition %s', name);
    END IF;

    IF parent.default_partition IS NOT NULL THEN
        is_large := pg_relation_size(parent.default_partition) > 1000 * current_setting('block_size')::bigint;
    END IF;
    -- First the place of rows of now, by the clock that CURRENT_TIMESTAMP reads, since the DEFAULT partition may refuse
    -- them while it is looked through; then what is to be done with it; others when it is empty.
    SELECT m.* INTO range FROM claude_gpt.missing_partitions(p_table, p_from, p_to, p_width) AS m
    ORDER BY NOT (NOT m.is_filled AND m.from_at < clock_timestamp() + interval '1 day' AND m.to_at > clock_timestamp()),
             m.is_filled = (parent.key_type = 'uuid'::regtype), m.from_at
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN CASE WHEN parent.key_type = 'uuid'::regtype THEN claude_gpt.finish_references() END;
    END IF;
    name := claude_gpt.partition_name(p_table, p_width, range.from_at, range.to_at);
    IF NOT range.is_filled THEN
        -- Attaching reads the DEFAULT partition under its lock, unless it is proved beforehand to hold no such row.
        -- Meanwhile such rows are refused, so this is not for the period of now, nor one that is left to the DEFAULT.
        IF is_large AND range.from_at >= p_from AND (range.from_at > clock_timestamp() OR range.to_at <= clock_timestamp()) THEN
            EXECUTE format('ALTER TABLE %1$s ADD CONSTRAINT claude_gpt_leaves_partition CHECK (%2$I < %3$L OR %2$I >= %4$L) NOT VALID', parent.default_partition, parent.key_column,
                           claude_gpt.partition_bound(range.from_at, parent.key_type), claude_gpt.partition_bound(range.to_at, parent.key_type));
            RETURN format('began to create partition %s', name);
        END IF;
        PERFORM claude_gpt.attach_partition(p_table, range.from_at, range.to_at, name);
        RETURN format('created partition %s', name);
    ELSIF parent.key_type = 'uuid'::regtype THEN
        EXECUTE format('SELECT count(*) FROM ONLY %1$s WHERE %2$I >= %3$L AND %2$I < %4$L', parent.default_partition, parent.key_column,
                       claude_gpt.partition_bound(range.from_at, parent.key_type), claude_gpt.partition_bound(range.to_at, parent.key_type))
        INTO moved;
        IF moved > 50000 THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = format('there are too many rows to move into the partition of %s from %s to %s', p_table, range.from_at, range.to_at),
                DETAIL = format('Partition %s holds %s of them; at most 50000 are moved, since nobody can use the table meanwhile.', parent.default_partition, moved),
                HINT = 'Begin with a later period: those rows may stay where they are.';
        END IF;
        moved := claude_gpt.attach_partition(p_table, range.from_at, range.to_at, name);
        RETURN format('created partition %s and moved %s rows into it', name, moved);
    END IF;
    SELECT * INTO range FROM claude_gpt.range_to_swap(p_table, range.from_at, p_width);
    name := claude_gpt.partition_name(p_table, p_width, range.from_at, range.to_at);
    -- Rows of now must have a place while the DEFAULT partition is looked through for others.
    IF is_large AND range.stray_count = 0 AND (range.from_at <= clock_timestamp() AND range.to_at > clock_timestamp()
        OR EXISTS (SELECT FROM claude_gpt.partitions_of(parent.relation) AS p WHERE p.from_at <= clock_timestamp() AND p.to_at > clock_timestamp())) THEN
        EXECUTE format('ALTER TABLE %1$s ADD CONSTRAINT claude_gpt_becomes_partition CHECK (%2$I >= %3$L AND %2$I < %4$L) NOT VALID',
                       parent.default_partition, parent.key_column, range.from_at, range.to_at);
        RETURN format('began to turn the default partition into %s', name);
    END IF;
    moved := claude_gpt.swap_default_partition(p_table, range.from_at, range.to_at, name);
    RETURN format('turned the default partition into %s%s', name, CASE WHEN moved > 0 THEN format(' and moved %s rows out of it', moved) ELSE '' END);
END
$$;
COMMENT ON FUNCTION claude_gpt.create_next_partition(text, timestamptz, timestamptz, text) IS
'Does the next step towards a partition for every moment from p_from to before p_to, of the given width ("1 week", "1 month", "3 months", "1 year", in UTC), and a DEFAULT partition that holds none of their rows. Returns what it did, NULL when nothing is left to do; one call belongs into one transaction. Partitions begin where the one before ends and end at the next boundary or partition. Rows that wait in the DEFAULT partition are not copied: it becomes the partition of their range, after a constraint has proved that it holds no others, and a new DEFAULT takes its place. For messages, whose DEFAULT partition stays, periods that began before p_from are left to it; the few rows of others, with random ids, are moved. Errors: 22004 NULL; 22023 no such width, no range, more than 2000 partitions, or the table is not partitioned; 42P01 no such table; 55000 not in READ COMMITTED, or more than 50000 rows to move; 55P03 under a lock_timeout; 42501 the caller does not own the table, or is a superuser and the owner is none. Locks: SHARE UPDATE EXCLUSIVE on the table; for a moment, until the transaction ends, SHARE ROW EXCLUSIVE on the table and those it references and ACCESS EXCLUSIVE on the DEFAULT partition, or, where this is swapped, ACCESS EXCLUSIVE on the table and those it references.';

CREATE FUNCTION claude_gpt.drop_next_partition_before(p_table text, p_before timestamptz) RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    parent record;
    oldest record;
    block bigint;
    batch record;
    carried bigint;
BEGIN
    IF p_before IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_before must not be null';
    END IF;
    IF p_table = 'messages' THEN
        RAISE feature_not_supported USING MESSAGE = 'messages are not dropped by partition',
            DETAIL = 'Conversations count their messages, and replies and usage records refer to them.',
            HINT = 'Delete conversations or messages.';
    END IF;
    SELECT * INTO parent FROM claude_gpt.partitioned_table(p_table);
    PERFORM claude_gpt.require_owner(parent.relation);
    IF NOT isfinite(p_before) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'p_before must be finite';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'partitions are dropped in READ COMMITTED transactions only',
            DETAIL = 'An older snapshot would not see the rows that were added meanwhile.';
    END IF;
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', parent.relation);
    SELECT p.partition, p.partition_name, pg_relation_size(p.partition) / current_setting('block_size')::bigint AS blocks INTO oldest
    FROM claude_gpt.partitions_of(parent.relation) AS p
    WHERE NOT p.is_default AND p.to_at <= p_before ORDER BY p.to_at LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF p_table <> 'usage_records' THEN
        EXECUTE format('DROP TABLE %s', oldest.partition);
        RETURN format('dropped partition %s', oldest.partition_name);
    END IF;

    -- Summing up takes a while, and the table must not wait for it: whoever updates the ledger, as the deletion of a
    -- message does, locks every partition, and would wait for this one with a lock that the drop needs. So most
    -- of a large partition goes in batches, and the lock that keeps the rest still is short.
    IF oldest.blocks > 500 THEN
        EXECUTE format('SELECT split_part(trim(leading ''('' FROM ctid::text), '','', 1)::bigint FROM ONLY %s LIMIT 1', oldest.partition) INTO block;
        IF block IS NOT NULL THEN
            SELECT * INTO batch FROM claude_gpt.delete_rows_before(p_table, p_before, oldest.partition, block, 500);
            RETURN format('carried %s records of partition %s', batch.deleted, oldest.partition_name);
        END IF;
    END IF;
    -- Users before their records, as in a user's deletion.
    EXECUTE format('SELECT count(*) FROM (SELECT FROM claude_gpt.users AS u WHERE u.id IN (SELECT r.user_id FROM ONLY %s AS r) ORDER BY u.id FOR KEY SHARE) AS locked',
                   oldest.partition) INTO carried;
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE MODE', oldest.partition);
    EXECUTE format($query$
        INSERT INTO claude_gpt.usage_balances AS b (user_id, usage_type, billing_period, quantity, cost)
        SELECT r.user_id, r.usage_type, r.billing_period, sum(r.quantity), sum(r.cost)
        FROM ONLY %s AS r GROUP BY 1, 2, 3 HAVING sum(r.quantity) <> 0 OR sum(r.cost) <> 0 ORDER BY 1, 2, 3
        ON CONFLICT ON CONSTRAINT usage_balances_pkey DO UPDATE SET quantity = b.quantity + excluded.quantity, cost = b.cost + excluded.cost $query$, oldest.partition);
    EXECUTE format('DROP TABLE %s', oldest.partition);
    RETURN format('dropped partition %s', oldest.partition_name);
END
$$;
COMMENT ON FUNCTION claude_gpt.drop_next_partition_before(text, timestamptz) IS
'Drops the oldest partition that ends at or before a moment. Returns what it did, NULL when nothing is left to do; one call belongs into one transaction. What usage_records held is added to usage_balances in the same transaction, in batches of their own where it is much, so the books prove at any moment. The DEFAULT partition stays: delete_rows_before looks through it. Errors: 22004 NULL; 42P01 no such table; 22023 the table is not partitioned, or the moment is infinite; 0A000 messages; 55000 not in READ COMMITTED; 55P03 under a lock_timeout; 42501 the caller does not own the table, or is a superuser and the owner is none. Locks: SHARE UPDATE EXCLUSIVE on the table, and ACCESS EXCLUSIVE as the last thing before the transaction ends; for usage_records also SHARE on the partition, and the rows of its users.';

CREATE FUNCTION claude_gpt.delete_rows_before(
    p_table text,
    p_before timestamptz,
    p_partition regclass DEFAULT NULL,
    p_first_block bigint DEFAULT 0,
    p_blocks integer DEFAULT 500,
    OUT deleted bigint,
    OUT next_partition regclass,
    OUT next_block bigint,
    OUT done text
)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET row_security = off
AS $$
DECLARE
    parent record;
    part regclass;
    blocks bigint;
    condition text;
BEGIN
    IF p_before IS NULL OR p_first_block IS NULL OR p_blocks IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_before, p_first_block and p_blocks must not be null';
    END IF;
    IF p_table = 'messages' THEN
        RAISE feature_not_supported USING MESSAGE = 'messages are not deleted by age',
            HINT = 'Delete conversations or messages.';
    END IF;
    SELECT * INTO parent FROM claude_gpt.partitioned_table(p_table);
    PERFORM claude_gpt.require_owner(parent.relation);
    IF p_first_block < 0 OR p_blocks < 1 THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s blocks from block %s cannot be read', p_blocks, p_first_block);
    END IF;
    deleted := 0;
    -- In the order of OIDs, in which a partition that is new, swapped or gone meanwhile does not disturb the walk.
    SELECT p.partition INTO part FROM claude_gpt.partitions_of(parent.relation) AS p
    WHERE (p.is_default OR p.from_at < p_before) AND p.partition::oid >= COALESCE(p_partition::oid, 0) ORDER BY p.partition::oid LIMIT 1;
    IF part IS NULL THEN
        RETURN;
    END IF;
    next_block := CASE WHEN part = p_partition THEN p_first_block ELSE 0 END;
    condition := format('r.%I < %L AND r.ctid >= %L::tid AND r.ctid < %L::tid', parent.key_column, p_before,
                        format('(%s,0)', next_block), format('(%s,0)', LEAST(next_block + p_blocks, 4294967294)));
    IF p_table = 'usage_records' THEN
        -- Users before their records, as in a user's deletion.
        EXECUTE format('SELECT count(*) FROM (SELECT FROM claude_gpt.users AS u WHERE u.id IN (SELECT r.user_id FROM ONLY %s AS r WHERE %s) ORDER BY u.id FOR KEY SHARE) AS locked',
                       part, condition) INTO deleted;
        EXECUTE format($query$
            WITH gone AS (
                DELETE FROM ONLY %s AS r WHERE %s RETURNING r.user_id, r.usage_type, r.billing_period, r.quantity, r.cost
            ), carried AS (
                INSERT INTO claude_gpt.usage_balances AS b (user_id, usage_type, billing_period, quantity, cost)
                SELECT g.user_id, g.usage_type, g.billing_period, sum(g.quantity), sum(g.cost)
                FROM gone AS g GROUP BY 1, 2, 3 HAVING sum(g.quantity) <> 0 OR sum(g.cost) <> 0 ORDER BY 1, 2, 3
                ON CONFLICT ON CONSTRAINT usage_balances_pkey DO UPDATE SET quantity = b.quantity + excluded.quantity, cost = b.cost + excluded.cost
            )
            SELECT count(*) FROM gone $query$, part, condition) INTO deleted;
    ELSE
        EXECUTE format('DELETE FROM ONLY %s AS r WHERE %s', part, condition);
        GET DIAGNOSTICS deleted = ROW_COUNT;
    END IF;

    blocks := pg_relation_size(part) / current_setting('block_size')::bigint;
    next_partition := part;
    next_block := next_block + p_blocks;
    done := format('deleted from %s up to block %s of %s', part, LEAST(next_block, blocks), blocks);
    IF next_block >= blocks THEN
        next_block := 0;
        SELECT p.partition INTO next_partition FROM claude_gpt.partitions_of(parent.relation) AS p
        WHERE (p.is_default OR p.from_at < p_before) AND p.partition::oid > part::oid ORDER BY p.partition::oid LIMIT 1;
    END IF;
END
$$;
COMMENT ON FUNCTION claude_gpt.delete_rows_before(text, timestamptz, regclass, bigint, integer) IS
'Deletes the rows before a moment in some blocks of one partition, and says where to go on and what is done: one batch of a walk over all partitions that may hold such rows, the DEFAULT included. Begin with NULL; the walk has ended when next_partition is NULL. What usage_records held is added to usage_balances by the same statement. Errors: 22004 NULL in moment or blocks; 42P01 no such table; 22023 the table is not partitioned, or no such blocks; 0A000 messages; 42501 the caller does not own the table, or is a superuser and the owner is none. Locks: the rows it deletes, and of usage_records those of their users and balances.';

CREATE FUNCTION claude_gpt.partitioning_obstacles(p_relation regclass) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH target AS (
        SELECT c.*, (SELECT a.attnum FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'id') AS id_column,
               y.typarray FROM pg_class AS c JOIN pg_type AS y ON y.oid = c.reltype WHERE c.oid = p_relation
    ), dependent AS (
        SELECT d.classid, d.objid, d.objsubid FROM target AS t JOIN pg_depend AS d
            ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
            OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.reltype, t.typarray)
        EXCEPT SELECT d.classid, d.objid, d.objsubid FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass AND d.objid IN (SELECT unnest(ARRAY[t.reltype, t.typarray]) FROM target AS t)
        EXCEPT SELECT 'pg_class'::regclass, i.indexrelid, 0 FROM pg_index AS i WHERE i.indrelid = p_relation
        EXCEPT SELECT 'pg_class'::regclass, t.reltoastrelid, 0 FROM target AS t
        EXCEPT SELECT 'pg_class'::regclass, d.objid, 0 FROM pg_depend AS d WHERE d.refobjid = p_relation AND d.classid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
        EXCEPT SELECT 'pg_attrdef'::regclass, f.oid, 0 FROM pg_attrdef AS f WHERE f.adrelid = p_relation
        EXCEPT SELECT 'pg_constraint'::regclass, k.oid, 0 FROM pg_constraint AS k WHERE k.conrelid = p_relation OR k.confrelid = p_relation
        EXCEPT SELECT 'pg_trigger'::regclass, g.oid, 0 FROM pg_trigger AS g WHERE g.tgrelid = p_relation
        EXCEPT SELECT 'pg_policy'::regclass, p.oid, 0 FROM pg_policy AS p WHERE p.polrelid = p_relation
        EXCEPT SELECT 'pg_statistic_ext'::regclass, s.oid, 0 FROM pg_statistic_ext AS s WHERE s.stxrelid = p_relation
        EXCEPT SELECT 'pg_publication_rel'::regclass, r.oid, 0 FROM pg_publication_rel AS r WHERE r.prrelid = p_relation
        -- Views of the owner in this schema, ours above all, are made again in place.
        EXCEPT SELECT 'pg_rewrite'::regclass, w.oid, 0 FROM pg_rewrite AS w JOIN pg_class AS v ON v.oid = w.ev_class, target AS t
            WHERE v.oid = t.oid OR v.relkind = 'v' AND v.relnamespace = t.relnamespace AND v.relowner = t.relowner
    )
    SELECT COALESCE((SELECT CASE v.relkind WHEN 'm' THEN 'materialized view ' WHEN 'v' THEN 'view ' END || v.oid::regclass
                     FROM pg_rewrite AS w JOIN pg_class AS v ON v.oid = w.ev_class WHERE d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid),
                    pg_describe_object(d.classid, d.objid, d.objsubid))
    FROM dependent AS d
    UNION
    SELECT 'an unlogged table' FROM target AS t WHERE t.relpersistence <> 'p'
    UNION
    SELECT format('inheritance between %s and %s', i.inhrelid::regclass, i.inhparent::regclass) FROM pg_inherits AS i WHERE p_relation IN (i.inhrelid, i.inhparent)
    UNION
    SELECT format('type %s of the table', t.reloftype::regtype) FROM target AS t WHERE t.reloftype <> 0
    UNION
    SELECT format('rule %I', w.rulename) FROM pg_rewrite AS w WHERE w.ev_class = p_relation
    UNION
    SELECT format('identity column %I', a.attname) FROM pg_attribute AS a WHERE a.attrelid = p_relation AND a.attidentity <> '' AND NOT a.attisdropped
    UNION
    SELECT format('constraint %I, which %s', k.conname, CASE WHEN NOT k.convalidated THEN 'is not validated' WHEN k.contype = 'x' THEN 'excludes' ELSE 'is not inherited' END)
    FROM pg_constraint AS k WHERE k.conrelid = p_relation AND (NOT k.convalidated OR k.contype = 'x' OR k.contype = 'c' AND k.connoinherit)
    UNION
    SELECT format('unique index %I, which does not include id', c.relname) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid, target AS t
    WHERE i.indrelid = p_relation AND i.indisunique AND NOT t.id_column = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1])
    UNION
    SELECT format('index %I, which is not valid', c.relname) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = p_relation AND NOT (i.indisvalid AND i.indisready)
    UNION
    SELECT format('replica identity %I', c.relname) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = p_relation AND i.indisreplident
    UNION
    SELECT format('trigger %I, for each row with a transition table', g.tgname) FROM pg_trigger AS g
    WHERE g.tgrelid = p_relation AND NOT g.tgisinternal AND g.tgtype::integer & 1 = 1 AND (g.tgoldtable IS NOT NULL OR g.tgnewtable IS NOT NULL)
    UNION
    SELECT format('a security label of %s', l.provider) FROM pg_seclabel AS l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = p_relation
    UNION
    SELECT format('foreign key %I of %s, which %s', k.conname, k.conrelid::regclass,
                  CASE WHEN k.convalidated THEN format('belongs to %s', c.relowner::regrole) ELSE 'is not validated' END)
    FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
    WHERE k.contype = 'f' AND k.confrelid = p_relation AND k.conparentid = 0 AND (NOT k.convalidated OR NOT pg_has_role(c.relowner, 'USAGE'))
    UNION
    SELECT format('publication %I, which %s', p.pubname,
                  CASE WHEN NOT p.pubviaroot THEN 'would publish its partitions under their own names (publish_via_partition_root = false)'
                       ELSE format('belongs to %s', p.pubowner::regrole) END)
    FROM pg_publication AS p, target AS t
    WHERE (p.puballtables OR EXISTS (SELECT FROM pg_publication_rel AS r WHERE r.prpubid = p.oid AND r.prrelid = p_relation)
                          OR EXISTS (SELECT FROM pg_publication_namespace AS n WHERE n.pnpubid = p.oid AND n.pnnspid = t.relnamespace))
      AND (NOT p.pubviaroot OR EXISTS (SELECT FROM pg_publication_rel AS r WHERE r.prpubid = p.oid AND r.prrelid = p_relation) AND NOT pg_has_role(p.pubowner, 'USAGE'))
    UNION
    SELECT format('subscription %I', s.subname) FROM pg_subscription_rel AS r JOIN pg_subscription AS s ON s.oid = r.srsubid WHERE r.srrelid = p_relation
    ORDER BY 1
$$;
COMMENT ON FUNCTION claude_gpt.partitioning_obstacles(regclass) IS
'What keeps a table from being partitioned in place: dependants that would go on using the old table, and properties that a partitioned table cannot have. No rows if there is nothing.';

CREATE FUNCTION claude_gpt.table_grants(p_relation regclass) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('GRANT %s ON %%s TO %s%s', g.privilege_type || g.column_list, COALESCE(quote_ident(r.rolname), 'PUBLIC'), CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM (SELECT x.privilege_type, '' AS column_list, x.grantee, x.is_grantable
          FROM pg_class AS c, aclexplode(c.relacl) AS x WHERE c.oid = p_relation
          UNION ALL
          SELECT x.privilege_type, format(' (%I)', a.attname), x.grantee, x.is_grantable
          FROM pg_attribute AS a, aclexplode(a.attacl) AS x WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped) AS g
    LEFT JOIN pg_roles AS r ON r.oid = g.grantee
$$;
COMMENT ON FUNCTION claude_gpt.table_grants(regclass) IS
'The privileges on a table and its columns, as GRANT statements with %s for its name; none where they are the default.';

CREATE FUNCTION claude_gpt.revoke_table_grants(p_relation regclass, p_from_owner boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    grantee record;
BEGIN
    PERFORM claude_gpt.require_owner(p_relation);
    FOR grantee IN
        SELECT DISTINCT x.grantee = c.relowner AS is_owner, COALESCE(quote_ident(r.rolname), 'PUBLIC') AS name
        FROM pg_class AS c
        CROSS JOIN LATERAL (SELECT e.grantee FROM aclexplode(c.relacl) AS e
                            UNION SELECT e.grantee FROM pg_attribute AS a, aclexplode(a.attacl) AS e WHERE a.attrelid = c.oid) AS x
        LEFT JOIN pg_roles AS r ON r.oid = x.grantee
        WHERE c.oid = p_relation
    LOOP
        CONTINUE WHEN grantee.is_owner AND NOT p_from_owner;
        EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', p_relation, grantee.name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt.revoke_table_grants(regclass, boolean) IS
'Takes from everybody what was granted on a table and its columns; from its owner only if asked to.';

CREATE FUNCTION claude_gpt.table_properties(p_relation regclass) RETURNS TABLE (rank integer, statement text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH target AS (SELECT c.*, format('%s', c.oid::regclass) AS name FROM pg_class AS c WHERE c.oid = p_relation)
    -- Keys and indexes, then what hangs on them.
    SELECT 1, format('ALTER TABLE %s ADD CONSTRAINT %I %s', t.name, k.conname, pg_get_constraintdef(k.oid))
    FROM target AS t JOIN pg_constraint AS k ON k.conrelid = t.oid AND (k.contype IN ('p', 'u') OR k.contype = 'f' AND k.confrelid <> t.oid AND k.conparentid = 0)
    UNION ALL
    SELECT 1, pg_get_indexdef(i.indexrelid) FROM target AS t JOIN pg_index AS i ON i.indrelid = t.oid
    WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))
    UNION ALL
    SELECT 1, pg_get_triggerdef(g.oid) FROM target AS t JOIN pg_trigger AS g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
    UNION ALL
    SELECT 1, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, t.name, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                     CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                     (SELECT string_agg(COALESCE(quote_ident(r.rolname), 'PUBLIC'), ', ') FROM unnest(p.polroles) AS x LEFT JOIN pg_roles AS r ON r.oid = x),
                     ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
    FROM target AS t JOIN pg_policy AS p ON p.polrelid = t.oid
    UNION ALL
    SELECT 1, pg_get_statisticsobjdef(s.oid) FROM target AS t JOIN pg_statistic_ext AS s ON s.stxrelid = t.oid
    UNION ALL
    SELECT 2, format('ALTER TABLE %s %s TRIGGER %I', t.name, CASE g.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'DISABLE' END, g.tgname)
    FROM target AS t JOIN pg_trigger AS g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal AND g.tgenabled <> 'O'
    UNION ALL
    SELECT 2, format('ALTER TABLE %s %s ROW LEVEL SECURITY', t.name, f.how)
    FROM target AS t, LATERAL (VALUES (t.relrowsecurity, 'ENABLE'), (t.relforcerowsecurity, 'FORCE')) AS f (is_set, how) WHERE f.is_set
    UNION ALL
    SELECT 2, format('ALTER TABLE %s REPLICA IDENTITY %s', t.name, CASE t.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END) FROM target AS t WHERE t.relreplident IN ('f', 'n')
    UNION ALL
    SELECT 2, format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', t.name, a.attname, a.attstattarget)
    FROM target AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE a.attstattarget >= 0
    UNION ALL
    SELECT 2, format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', t.name, a.attname, o)
    FROM target AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped, unnest(a.attoptions) AS o WHERE o LIKE 'n\_distinct%'
    UNION ALL
    SELECT 2, format('ALTER SEQUENCE %s OWNED BY %s.%I', d.objid::regclass, t.name, a.attname)
    FROM target AS t JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'a'
    JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
    UNION ALL
    SELECT 2, format('ALTER INDEX %I.%I SET TABLESPACE %I', n.nspname, c.relname, s.spcname)
    FROM target AS t JOIN pg_index AS i ON i.indrelid = t.oid JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_tablespace AS s ON s.oid = c.reltablespace
    UNION ALL
    SELECT 2, format('ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname, s.stxstattarget)
    FROM target AS t JOIN pg_statistic_ext AS s ON s.stxrelid = t.oid JOIN pg_namespace AS n ON n.oid = s.stxnamespace WHERE s.stxstattarget >= 0
    UNION ALL
    SELECT 2, format('ALTER PUBLICATION %I ADD TABLE ONLY %s%s%s', p.pubname, t.name,
                     ' (' || (SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_attribute AS a WHERE a.attrelid = t.oid AND a.attnum = ANY (r.prattrs::smallint[])) || ')',
                     ' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')')
    FROM target AS t JOIN pg_publication_rel AS r ON r.prrelid = t.oid JOIN pg_publication AS p ON p.oid = r.prpubid
    UNION ALL
    SELECT 2, format('COMMENT ON %s IS %L', o.name, d.description)
    FROM target AS t
    CROSS JOIN LATERAL (
        SELECT 'pg_class'::regclass AS class, t.oid AS object, 'TABLE ' || t.name AS name
        UNION ALL SELECT 'pg_class'::regclass, i.indexrelid, format('INDEX %s', i.indexrelid::regclass) FROM pg_index AS i WHERE i.indrelid = t.oid
        UNION ALL SELECT 'pg_constraint'::regclass, k.oid, format('CONSTRAINT %I ON %s', k.conname, t.name) FROM pg_constraint AS k WHERE k.conrelid = t.oid AND k.contype IN ('p', 'u', 'f') AND k.confrelid <> t.oid
        UNION ALL SELECT 'pg_trigger'::regclass, g.oid, format('TRIGGER %I ON %s', g.tgname, t.name) FROM pg_trigger AS g WHERE g.tgrelid = t.oid
        UNION ALL SELECT 'pg_policy'::regclass, p.oid, format('POLICY %I ON %s', p.polname, t.name) FROM pg_policy AS p WHERE p.polrelid = t.oid
        UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid, format('STATISTICS %I.%I', n.nspname, s.stxname) FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace WHERE s.stxrelid = t.oid
    ) AS o
    JOIN pg_description AS d ON d.classoid = o.class AND d.objoid = o.object AND d.objsubid = 0
    -- Views keep their identity, so privileges, comments and what depends on them stay.
    UNION ALL
    SELECT 3, format('CREATE OR REPLACE VIEW %s%s AS %s', v.oid::regclass, ' WITH (' || array_to_string(v.reloptions, ', ') || ')', pg_get_viewdef(v.oid))
    FROM target AS t
    JOIN pg_class AS v ON v.relkind = 'v' AND v.oid IN (SELECT w.ev_class FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                                                        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid)
$$;
COMMENT ON FUNCTION claude_gpt.table_properties(regclass) IS
'The statements that make for a new table of the same name and columns what a table has: keys, indexes, triggers, policies, statistics, settings, publications, comments, and the views over it. Foreign keys to itself and privileges are not among them.';

CREATE FUNCTION claude_gpt.convert_to_partitions(p_relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    old record;
    old_name name;
    fresh regclass;
    part record;
    new_name text;
    grants text[];
    statements record;
    references_to_us jsonb;
BEGIN
    PERFORM claude_gpt.require_owner(p_relation);
    SELECT c.relname, c.relnamespace::regnamespace AS schema, c.relacl IS NOT NULL AS has_grants, r.rolname AS owner, s.spcname AS place INTO old
    FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace WHERE c.oid = p_relation;
    SELECT array_agg(g) INTO grants FROM claude_gpt.table_grants(p_relation) AS g;
    SELECT array_agg(p.statement ORDER BY p.rank) FILTER (WHERE p.rank < 3) AS of_table, array_agg(p.statement) FILTER (WHERE p.rank = 3) AS of_views
    INTO statements FROM claude_gpt.table_properties(p_relation) AS p;

    references_to_us := claude_gpt.drop_references(p_relation, true);
    FOR part IN
        SELECT format('DROP TRIGGER %I ON %s', g.tgname, p_relation) AS statement FROM pg_trigger AS g WHERE g.tgrelid = p_relation AND NOT g.tgisinternal
        UNION ALL SELECT format('DROP POLICY %I ON %s', p.polname, p_relation) FROM pg_policy AS p WHERE p.polrelid = p_relation
        UNION ALL SELECT format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', p_relation)
        UNION ALL SELECT format('ALTER PUBLICATION %I DROP TABLE %s', b.pubname, p_relation)
                  FROM pg_publication_rel AS r JOIN pg_publication AS b ON b.oid = r.prpubid WHERE r.prrelid = p_relation
        UNION ALL SELECT format('COMMENT ON TABLE %s IS NULL', p_relation)
    LOOP
        EXECUTE part.statement;
    END LOOP;
    PERFORM claude_gpt.revoke_table_grants(p_relation, false);

    -- The names go to the partitioned table.
    new_name := old.relname || '_default';
    FOR i IN 2..100 LOOP
        EXIT WHEN to_regclass(format('%s.%I', old.schema, new_name)) IS NULL;
        new_name := old.relname || '_default_' || i;
    END LOOP;
    EXECUTE format('ALTER TABLE %s RENAME TO %I', p_relation, new_name);
    FOR part IN
        SELECT 'INDEX' AS kind, n.nspname AS schema, c.relname AS name FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE i.indrelid = p_relation
        UNION ALL
        SELECT 'STATISTICS', n.nspname, s.stxname FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace WHERE s.stxrelid = p_relation
    LOOP
        new_name := left(part.name, 50) || '_default';
        FOR i IN 2..100 LOOP
            EXIT WHEN NOT EXISTS (SELECT FROM pg_class AS c WHERE c.relname = new_name AND c.relnamespace = part.schema::text::regnamespace)
                  AND NOT EXISTS (SELECT FROM pg_statistic_ext AS s WHERE s.stxname = new_name AND s.stxnamespace = part.schema::text::regnamespace);
            new_name := left(part.name, 50) || '_default_' || i;
        END LOOP;
        EXECUTE format('ALTER %s %I.%I RENAME TO %I', part.kind, part.schema, part.name, new_name);
    END LOOP;

    EXECUTE format('CREATE TABLE %s.%I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS) PARTITION BY RANGE (id)',
                   old.schema, old.relname, p_relation) || COALESCE(' TABLESPACE ' || quote_ident(old.place), '');
    fresh := format('%s.%I', old.schema, old.relname)::regclass;
    IF old.owner <> current_user THEN
        EXECUTE format('ALTER TABLE %s OWNER TO %I', fresh, old.owner);
    END IF;
    FOR i IN 1..cardinality(statements.of_table) LOOP
        EXECUTE statements.of_table[i];
    END LOOP;
    -- Nothing is read: without other partitions the DEFAULT holds everything, and indexes and keys are at hand.
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s DEFAULT', fresh, p_relation);
    FOR i IN 1..COALESCE(cardinality(statements.of_views), 0) LOOP
        EXECUTE statements.of_views[i];
    END LOOP;
    PERFORM claude_gpt.revoke_table_grants(fresh, old.has_grants);
    FOR i IN 1..COALESCE(cardinality(grants), 0) LOOP
        EXECUTE format(grants[i], fresh);
    END LOOP;
    PERFORM claude_gpt.add_references(references_to_us);
END
$$;
COMMENT ON FUNCTION claude_gpt.convert_to_partitions(regclass) IS
'Puts a table partitioned by id in the place of a table, which becomes its DEFAULT partition. The new table takes over the name and what table_properties says; the foreign keys to it are left to finish_references. Locks: ACCESS EXCLUSIVE on the table, on those that reference it or that it references, on its views and on the tables of sibling_references, until the transaction ends.';

CREATE FUNCTION claude_gpt.partition_table_step(p_table text, p_width text, p_now timestamptz) RETURNS text
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO, YMD'
    SET timezone = 'UTC'
AS $$
DECLARE
    relation regclass;
    kind "char";
    obstacles text;
    part record;
    period record;
BEGIN
    IF p_table IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_table must not be null';
    END IF;
    -- The first partition is of the coming period, but leaves time to make it before it begins.
    period := claude_gpt.partition_period(p_width, p_now + interval '1 day');
    IF p_table <> 'messages' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('table "%s" cannot be partitioned', p_table),
            DETAIL = 'Only messages can; audit_logs and usage_records are from the beginning.';
    END IF;
    SELECT c.oid, c.relkind INTO relation, kind FROM pg_class AS c WHERE c.relnamespace = 'claude_gpt'::regnamespace AND c.relname = p_table AND c.relkind IN ('r', 'p');
    IF relation IS NULL THEN
        RAISE undefined_table USING MESSAGE = format('table "claude_gpt.%s" does not exist', p_table);
    END IF;
    PERFORM claude_gpt.require_owner(relation);
    IF kind = 'p' THEN
        IF NOT EXISTS (SELECT FROM claude_gpt.partitions_of(relation) AS p WHERE NOT p.is_default)
           OR EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = (claude_gpt.partitioned_table(p_table)).default_partition AND k.conname = 'claude_gpt_leaves_partition') THEN
            RETURN claude_gpt.create_next_partition(p_table, period.to_at, period.to_at + interval '1 day', p_width);
        END IF;
        RETURN claude_gpt.finish_references();
    END IF;

    SELECT string_agg(o, '; ') INTO obstacles FROM claude_gpt.partitioning_obstacles(relation) AS o;
    IF obstacles IS NULL THEN
        -- Tables before their children, as they are written, and at once in the mode that is needed.
        FOR part IN
            SELECT DISTINCT array_position(ARRAY['users', 'conversations', 'messages'], c.relname::text) AS rank, c.oid::regclass AS name
            FROM pg_constraint AS k JOIN pg_class AS c ON c.oid IN (k.conrelid, k.confrelid)
            WHERE k.contype = 'f' AND k.conparentid = 0 AND relation IN (k.conrelid, k.confrelid) AND has_table_privilege(c.oid, 'UPDATE')
            ORDER BY 1 NULLS LAST, 2
        LOOP
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', part.name);
        END LOOP;
        SELECT string_agg(o, '; ') INTO obstacles FROM claude_gpt.partitioning_obstacles(relation) AS o;
    END IF;
    IF obstacles IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('table "claude_gpt.%s" cannot be partitioned as it is', p_table),
            DETAIL = format('In the way: %s.', obstacles),
            HINT = 'Drop or change them first. What uses the table may be created again afterwards.';
    END IF;
    PERFORM claude_gpt.convert_to_partitions(relation);
    RETURN format('partitioned table %s, whose rows are in partition %s_default', p_table, p_table);
END
$$;
COMMENT ON FUNCTION claude_gpt.partition_table_step(text, text, timestamptz) IS
'Does the next step that makes messages a table partitioned by ranges of its id, in periods of the given width, in place: the table becomes the DEFAULT partition, which keeps what it holds and what comes before the first period, the one that begins next. Returns what it did, NULL when nothing is left to do; one call belongs into one transaction. Columns, indexes, triggers, policies, privileges, comments, statistics, publications, foreign keys and the owner''s views of the schema stay as they are; foreign keys to messages are added again and validated by later steps, also of create_next_partition. Errors: 22004 NULL; 22023 no such width, or another table; 42P01 no such table; 55000 something depends on the table or belongs to it that cannot be carried over, named in the detail, before anything is changed; 55P03 under a lock_timeout; 42501 the caller does not own the table, or is a superuser and the owner is none. Locks: for the conversion, until the transaction ends, ACCESS EXCLUSIVE on users, conversations, messages, the tables that reference it and the views over it; then those of create_next_partition and finish_references.';

REVOKE ALL ON PROCEDURE claude_gpt.create_partitions(text, timestamptz, timestamptz, text), claude_gpt.drop_partitions_before(text, timestamptz),
    claude_gpt.partition_table(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION claude_gpt.partition_period(text, timestamptz), claude_gpt.partition_name(name, text, timestamptz, timestamptz),
    claude_gpt.partition_moment(text, regtype, boolean), claude_gpt.partition_bound(timestamptz, regtype), claude_gpt.partitioned_table(text),
    claude_gpt.require_owner(regclass),
    claude_gpt.partitions_of(regclass), claude_gpt.list_partitions(text), claude_gpt.build_partition(regclass, regclass, name),
    claude_gpt.lock_referenced_tables(regclass, boolean), claude_gpt.copied_columns(regclass), claude_gpt.sibling_references(regclass), claude_gpt.drop_references(regclass, boolean),
    claude_gpt.add_references(jsonb), claude_gpt.unfinished_references(), claude_gpt.finish_references(),
    claude_gpt.check_partition_range(timestamptz, timestamptz, text), claude_gpt.missing_partitions(text, timestamptz, timestamptz, text),
    claude_gpt.has_partition_work(text, timestamptz, timestamptz, text), claude_gpt.range_to_swap(text, timestamptz, text),
    claude_gpt.swap_default_partition(text, timestamptz, timestamptz, name), claude_gpt.attach_partition(text, timestamptz, timestamptz, name),
    claude_gpt.create_next_partition(text, timestamptz, timestamptz, text), claude_gpt.drop_next_partition_before(text, timestamptz),
    claude_gpt.delete_rows_before(text, timestamptz, regclass, bigint, integer), claude_gpt.partitioning_obstacles(regclass),
    claude_gpt.table_grants(regclass), claude_gpt.revoke_table_grants(regclass, boolean), claude_gpt.table_properties(regclass),
    claude_gpt.convert_to_partitions(regclass), claude_gpt.partition_table_step(text, text, timestamptz) FROM PUBLIC;

-- Topic quota: limits that hold under concurrency, and reservations of what is not known yet.

CREATE FUNCTION claude_gpt.consume_quota(
    p_user_id uuid,
    p_action text DEFAULT 'message',
    p_quantity bigint DEFAULT 1,
    p_model text DEFAULT NULL,
    p_idempotency_key text DEFAULT NULL,
    OUT allowed boolean,
    OUT reason text,
    OUT limit_name text,
    OUT limit_value bigint,
    OUT used bigint,
    OUT held bigint,
    OUT remaining bigint,
    OUT resets_at timestamptz,
    OUT retry_after_seconds integer,
    OUT error_code text,
    OUT http_status integer,
    OUT replayed boolean
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_consume_quota';
COMMENT ON FUNCTION claude_gpt.consume_quota(uuid, text, bigint, text, text) IS
'Counts a quantity of one action ("message", "token" or "api_call") if the plan of the user leaves room for all of it, and says so in one row; otherwise changes nothing and says why. Exact under concurrency: after an admission, used and held together are within the limit. Also asks that the plan lists the model (if one is given), that its costPerMonth is not used up, and that maintenance mode is off. A denial is a row, not an error: raise_if_denied turns it into one. limit_name, limit_value, used, held and remaining describe the limit that denied, or that of the action as it stands after the call; NULL is unlimited; for the limit "cost" they are millionths of the currency unit. retry_after_seconds is when a denied call may succeed: at the first expiry of a hold or at the end of the month; NULL if never. A repeated call with the same idempotency key counts nothing and returns the first answer; denied calls are not remembered. Errors: P0002 no such user; 22004 NULL in user, action or quantity; 22023 quantity below 1, no such action, a model not of 1 to 50 characters, or a key that is empty or longer than 255 bytes; 22003 a counter overflows; 55000 the plan is not configured; UQ006 the key was used for another call. Locks: the row of the user; a denial locks nothing.';

CREATE FUNCTION claude_gpt.quota_status(
    p_user_id uuid
) RETURNS TABLE (
    action text,
    limit_value bigint,
    used bigint,
    held bigint,
    remaining bigint,
    resets_at timestamptz
)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_quota_status';
COMMENT ON FUNCTION claude_gpt.quota_status(uuid) IS
'A row for each of "message", "token", "api_call" and "cost": the limit of the plan of the user (NULL is unlimited), what is used this month, what open reservations hold, what remains, and when the month ends in the billing time zone. The same numbers that consume_quota decides by, without changing anything; holds that have expired count no more. Cost is in millionths of the currency unit, used and held rounded up, limit and remaining rounded down. Errors: P0002 no such user; 22004 NULL; 55000 the plan is not configured. Locks nothing.';

CREATE FUNCTION claude_gpt.reserve_usage(
    p_user_id uuid,
    p_tokens bigint,
    p_messages integer DEFAULT 1,
    p_model text DEFAULT NULL,
    p_ttl interval DEFAULT '5 minutes',
    p_idempotency_key text DEFAULT NULL,
    OUT allowed boolean,
    OUT reason text,
    OUT limit_name text,
    OUT limit_value bigint,
    OUT used bigint,
    OUT held bigint,
    OUT remaining bigint,
    OUT resets_at timestamptz,
    OUT retry_after_seconds integer,
    OUT error_code text,
    OUT http_status integer,
    OUT replayed boolean,
    OUT reservation_id uuid,
    OUT expires_at timestamptz
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_reserve_usage';
COMMENT ON FUNCTION claude_gpt.reserve_usage(uuid, bigint, integer, text, interval, text) IS
'Holds messages and an estimate of tokens, with what they may cost at most by the price of the model, until they are settled or released, or until the time to live (1 second to 24 hours) is over: then they are free again at that moment. Decides like consume_quota, over all limits of the plan that it touches: all are held or nothing is. An estimate of 0 tokens needs a limit that is not used up. The first columns are those of consume_quota; on admission they describe the limit of messages, or of tokens where no message is held. Errors: those of consume_quota; 22004 NULL in tokens, messages or time to live; 22023 negative, both zero, or a time to live out of range. Locks: the row of the user.';

CREATE FUNCTION claude_gpt.extend_usage(
    p_reservation_id uuid,
    p_ttl interval
) RETURNS timestamptz
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_extend_usage';
COMMENT ON FUNCTION claude_gpt.extend_usage(uuid, interval) IS
'Lets an open reservation expire at another time: 1 second to 24 hours from now. Returns that moment. Errors: P0002 no such reservation; 22004 NULL; 22023 time to live out of range; 55000 the reservation is settled, released or expired. Locks: the row of the user, the reservation.';

CREATE FUNCTION claude_gpt.settle_usage(
    p_reservation_id uuid,
    p_prompt_tokens integer,
    p_completion_tokens integer,
    p_cost numeric DEFAULT NULL,
    p_message_id uuid DEFAULT NULL,
    p_cached_prompt_tokens integer DEFAULT 0,
    p_cache_write_tokens integer DEFAULT 0,
    OUT charged_tokens bigint,
    OUT charged_cost numeric,
    OUT late boolean,
    OUT replayed boolean
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_settle_usage';
COMMENT ON FUNCTION claude_gpt.settle_usage(uuid, integer, integer, numeric, uuid, integer, integer) IS
'Ends a reservation with what was really used: gives back what it held, counts its messages, the tokens and the cost, and writes usage records. A NULL cost is computed from the configuration "model_prices", by the model of the reservation; tokens read from and written to a prompt cache are part of the prompt tokens and have prices of their own. Charges also what is above the hold, and after the reservation has expired, which it says as late. The same call again returns the first result and says replayed. Errors: P0002 no such reservation, or no such message of the user; 22004 NULL in reservation or tokens; 22023 negative, or more cached than prompt tokens; 22003 a counter overflows; 55000 the reservation was released, or belongs to a chat turn; UQ006 it was settled with other numbers; UQ009 the cost is NULL and the price is not known. Locks: the row of the user, the reservation.';

CREATE FUNCTION claude_gpt.release_usage(
    p_reservation_id uuid
) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_release_usage';
COMMENT ON FUNCTION claude_gpt.release_usage(uuid) IS
'Ends a reservation without charging anything. True if it was released, now or before; false if it had expired or was settled. Errors: P0002 no such reservation; 22004 NULL; 55000 it belongs to a chat turn. Locks: the row of the user, the reservation.';

CREATE FUNCTION claude_gpt.raise_if_denied(
    p_decision record
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_raise_if_denied';
COMMENT ON FUNCTION claude_gpt.raise_if_denied(record) IS
'Turns a denial into an error: SELECT d.*, claude_gpt.raise_if_denied(d) FROM claude_gpt.consume_quota(...) AS d. Takes a row of consume_quota, reserve_usage, begin_turn, check_rate_limit or rate_limit; does nothing if it says allowed. Errors: UQ001 quota exceeded; UQ002 rate limited; UQ003 model not in plan; UQ004 maintenance; UQ005 capacity; 22004 NULL; 22023 a row without allowed and reason.';

REVOKE ALL ON FUNCTION claude_gpt.consume_quota(uuid, text, bigint, text, text),
    claude_gpt.quota_status(uuid),
    claude_gpt.reserve_usage(uuid, bigint, integer, text, interval, text),
    claude_gpt.extend_usage(uuid, interval),
    claude_gpt.settle_usage(uuid, integer, integer, numeric, uuid, integer, integer),
    claude_gpt.release_usage(uuid),
    claude_gpt.raise_if_denied(record) FROM PUBLIC;

-- Topic rate_limit: calls by time.

CREATE FUNCTION claude_gpt.check_rate_limit(
    p_user_id uuid,
    p_cost integer DEFAULT 1,
    OUT allowed boolean,
    OUT limit_value integer,
    OUT remaining integer,
    OUT retry_after_seconds integer,
    OUT reset_after_seconds integer,
    OUT reason text,
    OUT error_code text,
    OUT http_status integer
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_check_rate_limit';
COMMENT ON FUNCTION claude_gpt.check_rate_limit(uuid, integer) IS
'Charges a user so many units of the calls a minute that the configuration "rate_limits" gives his effective tier, if they are left. Without an active row "rate_limits" everybody is allowed, and the numbers are NULL. Units come back evenly, and all of them may be used at once (GCRA); a denied call costs nothing; a cost of 0 only looks. retry_after_seconds is NULL on admission, and where the cost is more than the whole limit. reason is rate_limited, or capacity where the memory is full (see rate_limit_status). The state is in shared memory: not transactional, not written to the log, gone with a restart. Errors: P0002 no such user; 22004 NULL; 22023 negative cost; 55000 the library is not preloaded, or the tier has no rate limit configured. Locks nothing.';

CREATE FUNCTION claude_gpt.rate_limit(
    p_key text,
    p_limit integer,
    p_period interval,
    p_cost integer DEFAULT 1,
    OUT allowed boolean,
    OUT limit_value integer,
    OUT remaining integer,
    OUT retry_after_seconds integer,
    OUT reset_after_seconds integer,
    OUT reason text,
    OUT error_code text,
    OUT http_status integer
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_rate_limit';
COMMENT ON FUNCTION claude_gpt.rate_limit(text, integer, interval, integer) IS
'Charges any key, such as an address or a login, so many units of so many in each period, if they are left; the columns and rules are those of check_rate_limit. Keys belong to the database, and have memory apart from that of users. A key has one state: call it with one limit and one period. Errors: 22004 NULL; 22023 an empty key, a limit not from 1 to 1000000000, a period shorter than a nanosecond for each unit, longer than 366 days, or with months, or a negative cost; 55000 the library is not preloaded. Locks nothing.';

CREATE FUNCTION claude_gpt.reset_rate_limit(
    p_key text
) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_reset_rate_limit';
COMMENT ON FUNCTION claude_gpt.reset_rate_limit(text) IS
'Gives a key of rate_limit all its units back. True if some were used. Errors: 22004 NULL; 22023 an empty key; 55000 the library is not preloaded. Locks nothing.';

CREATE FUNCTION claude_gpt.reset_user_rate_limit(
    p_user_id uuid
) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_reset_user_rate_limit';
COMMENT ON FUNCTION claude_gpt.reset_user_rate_limit(uuid) IS
'Gives a user all units of check_rate_limit back. True if some were used. Errors: 22004 NULL; 55000 the library is not preloaded. Locks nothing.';

CREATE FUNCTION claude_gpt.rate_limit_status() RETURNS TABLE (
    region text,
    slots bigint,
    slots_in_use bigint,
    denied_because_full bigint
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_rate_limit_status';
COMMENT ON FUNCTION claude_gpt.rate_limit_status() IS
'The memory for rate limits of all databases, a row for users and one for the keys of rate_limit: how many keys it can hold at most, how many are in use now, and how many calls were denied since the server started because there was no place for their key. Up to two thirds of the slots every key finds a place; grow the setting claude_gpt.rate_limit_memory before slots_in_use gets there. Errors: 55000 the library is not preloaded. Locks nothing.';

REVOKE ALL ON FUNCTION claude_gpt.check_rate_limit(uuid, integer),
    claude_gpt.rate_limit(text, integer, interval, integer),
    claude_gpt.reset_rate_limit(text),
    claude_gpt.reset_user_rate_limit(uuid),
    claude_gpt.rate_limit_status() FROM PUBLIC;

-- Topic schema: the tables and their migrations.

CREATE PROCEDURE claude_gpt.migrate()
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_migrate';
COMMENT ON PROCEDURE claude_gpt.migrate() IS
'Brings the tables to what the installed code needs: runs the migrations that are missing, in order, then attaches triggers, defaults and views to the code and applies recorded grants again. Does nothing where nothing is missing. Runs with the rights of the owner of the tables. Locks: the schema against another migrate(), and for a moment ACCESS EXCLUSIVE on the tables it changes. Errors: 42501 if the caller has not the rights of the owner.';

CREATE FUNCTION claude_gpt.update_updated_at_column() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_update_updated_at_column';
COMMENT ON FUNCTION claude_gpt.update_updated_at_column() IS
'Trigger function: sets updated_at to CURRENT_TIMESTAMP. For BEFORE UPDATE row triggers on any table with such a column. With two arguments, a date column and a timestamptz column, it also keeps the first equal to the UTC day of the second, and may then be called before INSERT too, where it leaves updated_at alone. Errors: 39P01 if called otherwise; 42703 if the table has no such column.';

REVOKE ALL ON PROCEDURE claude_gpt.migrate() FROM PUBLIC;
REVOKE ALL ON FUNCTION claude_gpt.update_updated_at_column() FROM PUBLIC;

CREATE PROCEDURE claude_gpt.adopt_schema(p_schema name, p_time_zone text DEFAULT 'UTC', INOUT p_report jsonb DEFAULT NULL)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- In the order of their foreign keys.
    tables CONSTANT text[] := ARRAY['users', 'system_configs', 'conversations', 'messages', 'usage_records',
                                    'subscription_history', 'user_sessions', 'audit_logs'];
    views CONSTANT text[] := ARRAY['user_statistics', 'conversation_summary'];
    routines CONSTANT text[] := ARRAY['update_user_usage(uuid,integer,integer,numeric)',
                                      'check_subscription_limit(uuid,character varying)', 'cleanup_expired_sessions()',
                                      'update_updated_at_column()'];
    billing_timezone text;
    retired name;
    owner oid;
    name text;
    names text[];
    part record;
    targets text;
    sources text;
    replaced text;
    nulls_replaced bigint;
    copied bigint;
    references_to_us record;
BEGIN
    IF p_schema IS NULL OR p_time_zone IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_schema and p_time_zone must not be null';
    END IF;
    IF p_schema = 'claude_gpt' OR to_regnamespace(quote_ident(p_schema)) IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('schema "%s" cannot be adopted', p_schema),
            DETAIL = 'It must exist and be another than claude_gpt.';
    END IF;
    PERFORM CURRENT_TIMESTAMP AT TIME ZONE p_time_zone;  -- 22023 for an unknown zone
    PERFORM claude_gpt.current_billing_period();         -- 55000 unless our tables are ready

    SELECT array_agg(t) INTO names FROM unnest(tables) AS t WHERE to_regclass(format('%I.%I', p_schema, t)) IS NULL;
    IF names IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('schema "%s" does not hold the tables to adopt', p_schema),
            DETAIL = format('Missing: %s.', array_to_string(names, ', '));
    END IF;
    SELECT c.relowner INTO owner FROM pg_class AS c WHERE c.oid = 'claude_gpt.users'::regclass;
    IF (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user)
       AND EXISTS (SELECT FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
                   WHERE NOT r.rolsuper AND (c.oid = 'claude_gpt.users'::regclass
                                             OR c.oid IN (SELECT to_regclass(format('%I.%I', p_schema, t)) FROM unnest(tables) AS t))) THEN
        RAISE insufficient_privilege USING MESSAGE = 'a superuser cannot adopt tables of a role that is none',
            DETAIL = 'Triggers, views and index expressions of that role would run as superuser.',
            HINT = 'Hand the tables of claude_gpt to the owner of the old ones with set_owner, and connect as that role.';
    END IF;
    SELECT array_agg(t) INTO names FROM unnest(tables) AS t JOIN pg_class AS c ON c.oid = to_regclass(format('%I.%I', p_schema, t))
    WHERE c.relkind <> 'r';
    IF names IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('schema "%s" does not hold the tables to adopt', p_schema),
            DETAIL = format('Not plain tables: %s.', array_to_string(names, ', '));
    END IF;
    -- What points at a table by a key that its partitioned successor does not have.
    SELECT array_agg(k.conrelid::regclass::text || '.' || k.conname) INTO names
    FROM pg_constraint AS k
    WHERE k.contype = 'f' AND k.confrelid IN (to_regclass(format('%I.usage_records', p_schema)),
                                              to_regclass(format('%I.audit_logs', p_schema)));
    IF names IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'foreign keys to usage_records and audit_logs cannot be kept',
            DETAIL = format('Both are partitioned, and have no key over id alone. Foreign keys: %s.', array_to_string(names, ', ')),
            HINT = 'Drop them first.';
    END IF;

    FOREACH name IN ARRAY tables LOOP
        EXECUTE format('LOCK TABLE %I.%I, claude_gpt.%I IN ACCESS EXCLUSIVE MODE', p_schema, name, name);
        IF name <> 'system_configs' THEN
            EXECUTE format('SELECT count(*) FROM (SELECT FROM claude_gpt.%I LIMIT 1) AS r', name) INTO copied;
            IF copied > 0 THEN
                RAISE object_not_in_prerequisite_state USING MESSAGE = format('table "claude_gpt.%s" is not empty', name),
                    HINT = 'Adopt before the first user signs up.';
            END IF;
        END IF;
    END LOOP;
    retired := left(p_schema::text, 45) || '_before_claude_gpt';
    EXECUTE format('CREATE SCHEMA %I', retired);
    p_report := '{}';

    -- The source's rows decide; keys it does not have keep our initial rows.
    EXECUTE format('DELETE FROM claude_gpt.system_configs AS ours USING %I.system_configs AS theirs WHERE theirs.config_key = ours.config_key', p_schema);
    -- Adopting changes no row's updated_at, although the counters are computed anew.
    ALTER TABLE claude_gpt.conversations DISABLE TRIGGER update_conversations_updated_at;

    FOREACH name IN ARRAY tables LOOP
        names := ARRAY[]::text[];
        FOR part IN
            SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS default_value
            FROM pg_attribute AS a
            LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = ''
            WHERE a.attrelid = to_regclass(format('%I.%I', p_schema, name)) AND a.attnum > 0 AND NOT a.attisdropped
              AND NOT EXISTS (SELECT FROM pg_attribute AS ours WHERE ours.attrelid = to_regclass(format('claude_gpt.%I', name))
                              AND ours.attname = a.attname AND NOT ours.attisdropped)
            ORDER BY a.attnum
        LOOP
            EXECUTE format('ALTER TABLE claude_gpt.%I ADD COLUMN %I %s', name, part.attname, part.type);
            IF part.default_value IS NOT NULL THEN
                EXECUTE format('ALTER TABLE claude_gpt.%I ALTER COLUMN %I SET DEFAULT %s', name, part.attname, part.default_value);
            END IF;
            names := names || part.attname::text;
        END LOOP;

        SELECT string_agg(quote_ident(c.attname), ', ' ORDER BY c.attnum),
               string_agg(CASE WHEN c.is_nullable AND c.default_value IS NOT NULL
                               THEN format('COALESCE(%s, %s)', c.expression, c.default_value) ELSE c.expression END,
                          ', ' ORDER BY c.attnum),
               string_agg(format('count(*) FILTER (WHERE s.%I IS NULL)', c.attname), ' + ')
                   FILTER (WHERE c.is_nullable AND c.default_value IS NOT NULL)
        INTO targets, sources, replaced
        FROM (
            SELECT ours.attnum, ours.attname,
                   ours.attnotnull AND NOT theirs.attnotnull AS is_nullable,
                   pg_get_expr(d.adbin, d.adrelid) AS default_value,
                   CASE WHEN theirs.atttypid = 'timestamp'::regtype AND ours.atttypid = 'timestamptz'::regtype
                        THEN format('s.%I AT TIME ZONE %L', ours.attname, p_time_zone)
                        ELSE format('s.%I', ours.attname) END AS expression
            FROM pg_attribute AS ours
            JOIN pg_attribute AS theirs ON theirs.attrelid = to_regclass(format('%I.%I', p_schema, name))
                AND theirs.attname = ours.attname AND NOT theirs.attisdropped
            LEFT JOIN pg_attrdef AS d ON d.adrelid = ours.attrelid AND d.adnum = ours.attnum
            WHERE ours.attrelid = to_regclass(format('claude_gpt.%I', name)) AND ours.attnum > 0 AND NOT ours.attisdropped
              AND ours.attgenerated = ''
              -- Counted from the messages as they arrive.
              AND NOT (name = 'conversations' AND ours.attname IN ('message_count', 'total_tokens', 'total_cost', 'last_message_at'))
        ) AS c;
        IF name = 'conversations' THEN
            targets := targets || ', last_message_at';
            sources := sources || format(', COALESCE(s.created_at AT TIME ZONE %L, CURRENT_TIMESTAMP)', p_time_zone);
        ELSIF name = 'usage_records' THEN
            billing_timezone := (SELECT COALESCE((SELECT c.config_value #>> '{}' FROM claude_gpt.system_configs AS c
                                                  WHERE c.config_key = 'billing_timezone' AND c.is_active), 'UTC'));
            targets := targets || ', billing_period';
            sources := sources || format(', date_trunc(''month'', COALESCE(s.created_at AT TIME ZONE %L, CURRENT_TIMESTAMP) AT TIME ZONE %L)::date',
                                         p_time_zone, billing_timezone);
        END IF;

        EXECUTE format('INSERT INTO claude_gpt.%I (%s) SELECT %s FROM %I.%I AS s', name, targets, sources, p_schema, name);
        GET DIAGNOSTICS copied = ROW_COUNT;
        EXECUTE format('SELECT %s FROM %I.%I AS s', COALESCE(replaced, '0'), p_schema, name) INTO nulls_replaced;
        p_report := p_report || jsonb_build_object(name, jsonb_build_object(
            'rows', copied, 'nulls_replaced', nulls_replaced, 'columns_added', to_jsonb(names)));
        RAISE NOTICE 'adopted table "%": % rows, % NULL values replaced by defaults%', name, copied, nulls_replaced,
            CASE WHEN names = ARRAY[]::text[] THEN '' ELSE format(', columns added: %s', array_to_string(names, ', ')) END;
    END LOOP;
    UPDATE claude_gpt.conversations SET last_message_on = (last_message_at AT TIME ZONE 'UTC')::date;
    ALTER TABLE claude_gpt.conversations ENABLE TRIGGER update_conversations_updated_at;

    -- The source counted messages alone: what it did not count is summed from its ledger, and what its
    -- counters hold beyond the ledger is carried as an opening balance.
    ALTER TABLE claude_gpt.users DISABLE TRIGGER update_users_updated_at;
    UPDATE claude_gpt.users AS u SET
        monthly_token_count = l.month_tokens, total_token_count = l.tokens,
        monthly_api_call_count = l.month_calls, total_api_call_count = l.calls,
        monthly_cost = l.month_cost, total_cost = l.cost
    FROM (
        SELECT r.user_id,
               COALESCE(sum(r.quantity) FILTER (WHERE r.usage_type = 'token'), 0) AS tokens,
               COALESCE(sum(r.quantity) FILTER (WHERE r.usage_type = 'token' AND r.billing_period = date_trunc('month', v.monthly_reset_date)), 0) AS month_tokens,
               COALESCE(sum(r.quantity) FILTER (WHERE r.usage_type = 'api_call'), 0) AS calls,
               COALESCE(sum(r.quantity) FILTER (WHERE r.usage_type = 'api_call' AND r.billing_period = date_trunc('month', v.monthly_reset_date)), 0) AS month_calls,
               COALESCE(sum(r.cost), 0) AS cost,
               COALESCE(sum(r.cost) FILTER (WHERE r.billing_period = date_trunc('month', v.monthly_reset_date)), 0) AS month_cost
        FROM claude_gpt.usage_records AS r JOIN claude_gpt.users AS v ON v.id = r.user_id
        GROUP BY r.user_id
    ) AS l
    WHERE l.user_id = u.id;
    ALTER TABLE claude_gpt.users ENABLE TRIGGER update_users_updated_at;

    INSERT INTO claude_gpt.usage_balances (user_id, usage_type, billing_period, quantity)
    SELECT b.id, 'message', b.billing_period, b.quantity
    FROM (
        SELECT u.id, p.billing_period,
               p.counted - COALESCE((SELECT sum(r.quantity) FROM claude_gpt.usage_records AS r
                                     WHERE r.user_id = u.id AND r.usage_type = 'message'
                                       AND (r.billing_period = date_trunc('month', u.monthly_reset_date)) = p.is_month), 0) AS quantity
        FROM claude_gpt.users AS u
        CROSS JOIN LATERAL (VALUES
            (date_trunc('month', u.monthly_reset_date)::date, true, u.monthly_message_count),
            ('-infinity'::date, false, u.total_message_count - u.monthly_message_count)
        ) AS p (billing_period, is_month, counted)
    ) AS b
    WHERE b.quantity <> 0;
    GET DIAGNOSTICS copied = ROW_COUNT;
    p_report := p_report || jsonb_build_object('usage_balances', jsonb_build_object('rows', copied));
    RAISE NOTICE 'opened % usage balances', copied;

    -- Foreign keys of other tables follow; the rest of what hangs on the old tables is named.
    FOR references_to_us IN
        SELECT k.conrelid::regclass AS referrer, k.conname, c.relname, pg_get_constraintdef(k.oid) AS definition
        FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.confrelid
        WHERE k.contype = 'f' AND k.conparentid = 0
          AND k.confrelid IN (SELECT to_regclass(format('%I.%I', p_schema, t)) FROM unnest(tables) AS t)
          AND k.conrelid NOT IN (SELECT to_regclass(format('%I.%I', p_schema, t)) FROM unnest(tables) AS t)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', references_to_us.referrer, references_to_us.conname);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', references_to_us.referrer, references_to_us.conname,
                       replace(references_to_us.definition, format(' REFERENCES %I.%I(', p_schema, references_to_us.relname),
                               format(' REFERENCES claude_gpt.%I(', references_to_us.relname)));
        RAISE NOTICE 'foreign key "%" of table % now references claude_gpt.%', references_to_us.conname,
            references_to_us.referrer, references_to_us.relname;
    END LOOP;
    FOR part IN
        WITH adopted AS (SELECT to_regclass(format('%I.%I', p_schema, t)) AS relation, t AS relname FROM unnest(tables) AS t)
        SELECT DISTINCT format('view %s', v.oid::regclass) AS object
        FROM pg_rewrite AS w
        JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
        JOIN pg_class AS v ON v.oid = w.ev_class AND v.relkind IN ('v', 'm')
        WHERE (d.refobjid IN (SELECT relation FROM adopted)
               OR d.refobjid IN (SELECT to_regclass(format('%I.%I', p_schema, t)) FROM unnest(views) AS t))
          AND v.oid <> d.refobjid
          AND NOT (v.relnamespace = to_regnamespace(quote_ident(p_schema)) AND v.relname = ANY (views))
        UNION ALL
        SELECT format('index %s', i.indexrelid::regclass)
        FROM adopted AS t JOIN pg_index AS i ON i.indrelid = t.relation JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.conrelid = t.relation)
          AND c.relname <> 'idx_messages_conversation_created'  -- the source's second name for one of ours
          AND to_regclass(format('claude_gpt.%I', c.relname)) IS NULL
        UNION ALL
        SELECT format('trigger %I on %s', g.tgname, t.relation)
        FROM adopted AS t JOIN pg_trigger AS g ON g.tgrelid = t.relation
        WHERE NOT g.tgisinternal
          AND NOT EXISTS (SELECT FROM pg_trigger AS ours WHERE ours.tgname = g.tgname
                          AND ours.tgrelid = to_regclass(format('claude_gpt.%I', t.relname)))
        UNION ALL
        SELECT format('policy %I on %s', y.polname, t.relation)
        FROM adopted AS t JOIN pg_policy AS y ON y.polrelid = t.relation
        ORDER BY 1
    LOOP
        p_report := jsonb_set(p_report, '{left_behind}', COALESCE(p_report -> 'left_behind', '[]') || to_jsonb(part.object));
        RAISE WARNING '% belongs to the tables that were adopted', part.object USING HINT = 'Create it again for those of claude_gpt.';
    END LOOP;

    FOREACH name IN ARRAY tables LOOP
        EXECUTE format('ALTER TABLE %I.%I SET SCHEMA %I', p_schema, name, retired);
    END LOOP;
    FOREACH name IN ARRAY views LOOP
        EXECUTE format('ALTER VIEW IF EXISTS %I.%I SET SCHEMA %I', p_schema, name, retired);
    END LOOP;
    FOREACH name IN ARRAY routines LOOP
        IF to_regprocedure(format('%I.%s', p_schema, name)) IS NOT NULL THEN
            EXECUTE format('ALTER FUNCTION %I.%s SET SCHEMA %I', p_schema, name, retired);
        END IF;
    END LOOP;
    FOREACH name IN ARRAY tables || 'usage_balances'::text LOOP
        EXECUTE format('ANALYZE claude_gpt.%I', name);
    END LOOP;
    RAISE NOTICE 'the adopted tables, views and functions are kept as they were in schema "%"', retired
        USING HINT = format('When you are satisfied: DROP SCHEMA %I CASCADE.', retired);
END
$$;
COMMENT ON PROCEDURE claude_gpt.adopt_schema(name, text, jsonb) IS
'Takes over a database that was built by the script this design grew from: copies the eight tables of a schema into those of claude_gpt, reading timestamps without a zone as local to p_time_zone, replaces NULL counters by their defaults, adds columns that are not known, counts conversations anew, opens balances for what the counters hold beyond the ledger, points foreign keys of other tables at the new ones, and moves the old tables, views and functions unchanged to the schema "<p_schema>_before_claude_gpt". Reports a notice for each table, and all of it in p_report. One transaction; needs space for a second copy. Errors: 22004 NULL; 22023 no such schema or zone; 55000 tables missing, ours not empty, or foreign keys to usage_records or audit_logs; 42501 a superuser over tables of a role that is none, on either side; and those of the constraints, for rows that break them. Locks: ACCESS EXCLUSIVE on both sets of tables.';

CREATE FUNCTION claude_gpt.detach() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part record;
    rule text;
    checked text;
    condition text;
BEGIN
    FOR part IN
        SELECT DISTINCT d.adrelid::regclass AS relation, a.attname,
               CASE p.proname WHEN 'uuid_v7' THEN 'gen_random_uuid()' ELSE 'CURRENT_DATE' END AS plain
        FROM pg_depend AS x
        JOIN pg_proc AS p ON p.oid = x.refobjid AND p.pronamespace = 'claude_gpt'::regnamespace
            AND p.proname IN ('uuid_v7', 'current_billing_period')
        JOIN pg_attrdef AS d ON d.oid = x.objid
        JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE x.classid = 'pg_attrdef'::regclass AND x.refclassid = 'pg_proc'::regclass
    LOOP
        EXECUTE format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT %s', part.relation, part.attname, part.plain);
    END LOOP;

    CREATE OR REPLACE FUNCTION claude_gpt.detached_updated_at() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            NEW.updated_at := CURRENT_TIMESTAMP;
        END IF;
        IF TG_TABLE_NAME = 'users' THEN
            NEW.last_active_on := (NEW.last_active_at AT TIME ZONE 'UTC')::date;
        ELSIF TG_TABLE_NAME = 'conversations' THEN
            NEW.last_message_on := (NEW.last_message_at AT TIME ZONE 'UTC')::date;
        END IF;
        RETURN NEW;
    END
    $body$;
    CREATE OR REPLACE FUNCTION claude_gpt.detached_counters() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp AS $body$
    BEGIN
        IF TG_OP <> 'INSERT' THEN
            UPDATE claude_gpt.conversations AS c SET
                message_count = c.message_count - r.messages, total_tokens = c.total_tokens - r.tokens,
                total_cost = c.total_cost - r.cost,
                last_message_at = COALESCE((SELECT max(m.created_at) FROM claude_gpt.messages AS m
                                            WHERE m.conversation_id = c.id AND m.status <> 'deleted'), c.created_at)
            FROM (SELECT conversation_id, count(*) AS messages, COALESCE(sum(cost), 0) AS cost,
                         sum(COALESCE(total_tokens, COALESCE(prompt_tokens, 0) + COALESCE(completion_tokens, 0))) AS tokens
                  FROM old_messages WHERE status <> 'deleted' GROUP BY conversation_id) AS r
            WHERE c.id = r.conversation_id;
        END IF;
        IF TG_OP <> 'DELETE' THEN
            UPDATE claude_gpt.conversations AS c SET
                message_count = c.message_count + r.messages, total_tokens = c.total_tokens + r.tokens,
                total_cost = c.total_cost + r.cost,
                last_message_at = CASE WHEN c.message_count = 0 THEN r.newest ELSE GREATEST(c.last_message_at, r.newest) END
            FROM (SELECT conversation_id, count(*) AS messages, COALESCE(sum(cost), 0) AS cost, max(created_at) AS newest,
                         sum(COALESCE(total_tokens, COALESCE(prompt_tokens, 0) + COALESCE(completion_tokens, 0))) AS tokens
                  FROM new_messages WHERE status <> 'deleted' GROUP BY conversation_id) AS r
            WHERE c.id = r.conversation_id;
        END IF;
        RETURN NULL;
    END
    $body$;

    -- So that migrate(), which works as the owner of the tables, can take them away again.
    FOR part IN
        SELECT format('claude_gpt.%I()', f) AS routine, c.relowner::regrole AS owner
        FROM pg_class AS c, unnest(ARRAY['detached_updated_at', 'detached_counters']) AS f
        WHERE c.oid = 'claude_gpt.users'::regclass
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO %s', part.routine, part.owner);
    END LOOP;

    FOR part IN
        SELECT t.tgname, t.tgrelid::regclass AS relation, p.proname AS function_name,
               CASE WHEN t.tgtype::integer & 4 <> 0 THEN 'INSERT' ELSE 'UPDATE' END AS event,
               (string_to_array(encode(t.tgargs, 'escape'), '\000'))[1:t.tgnargs] AS arguments
        FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
        JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = t.tgfoid AND d.deptype = 'e'
        JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'claude_gpt'
        WHERE NOT t.tgisinternal AND t.tgparentid = 0
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', part.tgname, part.relation);
        FOREACH rule IN ARRAY CASE WHEN part.function_name = 'enforce_column_rules' THEN part.arguments ELSE '{}' END LOOP
            checked := split_part(rule, ' ', 1);
            condition := CASE WHEN rule LIKE '%not negative' THEN format('%I >= 0', checked)
                              WHEN rule LIKE '% not empty' THEN format('%I <> %L', checked, '')
                              WHEN rule LIKE '% in %' THEN format('%I = ANY (%L)', checked, string_to_array(split_part(rule, ' in ', 2), ' '))
                         END;
            IF condition IS NOT NULL THEN
                EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s)', part.relation, 'detached_' || checked || '_check', condition);
            END IF;
        END LOOP;
        IF part.function_name = 'update_updated_at_column' THEN
            EXECUTE format('CREATE TRIGGER %I BEFORE %s ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt.detached_updated_at()',
                           part.tgname, part.event, part.relation);
        END IF;
    END LOOP;
    CREATE OR REPLACE TRIGGER count_inserted_messages AFTER INSERT ON claude_gpt.messages REFERENCING NEW TABLE AS new_messages
        FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt.detached_counters();
    CREATE OR REPLACE TRIGGER count_updated_messages AFTER UPDATE ON claude_gpt.messages
        REFERENCING OLD TABLE AS old_messages NEW TABLE AS new_messages
        FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt.detached_counters();
    CREATE OR REPLACE TRIGGER count_deleted_messages AFTER DELETE ON claude_gpt.messages REFERENCING OLD TABLE AS old_messages
        FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt.detached_counters();

    EXECUTE 'CREATE OR REPLACE VIEW claude_gpt.user_statistics WITH (security_invoker = true) AS '
         || replace(pg_get_viewdef('claude_gpt.user_statistics'::regclass),
                    'claude_gpt.current_billing_period()', 'date_trunc(''month'', CURRENT_TIMESTAMP AT TIME ZONE ''UTC'')::date');
    -- Nobody looks at the jobs any more.
    DROP VIEW claude_gpt.job_status;
    RAISE NOTICE 'the tables of claude_gpt need the extension no more'
        USING HINT = 'DROP EXTENSION claude_gpt now leaves them whole. CREATE EXTENSION claude_gpt takes them over again.',
              DETAIL = 'Tiers, counters and configuration are no longer protected by triggers: check who may write them.';
END
$$;
COMMENT ON FUNCTION claude_gpt.detach() IS
'Frees the tables from the extension: defaults become gen_random_uuid() and CURRENT_DATE, triggers for updated_at and the conversation counters become plain plpgsql, value rules become CHECK constraints, the triggers that keep maintained columns from the application and check the configuration go, the view job_status goes, and user_statistics computes the month in UTC. DROP EXTENSION then succeeds without CASCADE, and the tables keep working. Errors: 42501 the caller is not their owner. Locks: ACCESS EXCLUSIVE on the tables for a moment.';

REVOKE ALL ON PROCEDURE claude_gpt.adopt_schema(name, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION claude_gpt.detach() FROM PUBLIC;

-- Topic sessions: login sessions.

CREATE FUNCTION claude_gpt.cleanup_expired_sessions() RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_cleanup_expired_sessions';
COMMENT ON FUNCTION claude_gpt.cleanup_expired_sessions() IS
'Deletes the sessions that have expired by the wall clock and those that are not active, and returns how many. Locks: the rows it deletes, until the transaction ends; live sessions are not touched.';

REVOKE ALL ON FUNCTION claude_gpt.cleanup_expired_sessions() FROM PUBLIC;

-- Topic subscriptions: plans, and what they allow.

CREATE FUNCTION claude_gpt.check_subscription_limit(p_user_id uuid, p_action varchar DEFAULT 'message') RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_check_subscription_limit';
COMMENT ON FUNCTION claude_gpt.check_subscription_limit(uuid, varchar) IS
'True while the plan of the user admits one more "message", "token" or "api_call" this month and its costPerMonth, if it has one, is not used up; otherwise false; never NULL. The plan is that of the effective tier. Reads the limits messagesPerMonth, tokensPerMonth and apiCallsPerMonth; -1 is unlimited, as are the last two where absent. Counters of a month that is over count as zero. Errors: P0002 no such user; 22004 NULL; 22023 no such action; 55000 the plan is not configured. Locks nothing.';

CREATE FUNCTION claude_gpt.effective_tier(p_user_id uuid) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_effective_tier';
COMMENT ON FUNCTION claude_gpt.effective_tier(uuid) IS
'The tier that a user is served by now: the subscribed tier, or "free" when the status is canceled, cancelled, unpaid, incomplete, incomplete_expired, expired or paused, or when the paid period ended longer ago than the configuration "subscription_grace" (three days by default; no grace with subscription_cancel_at_period_end). Errors: P0002 no such user; 22004 NULL. Locks nothing.';

CREATE FUNCTION claude_gpt.set_subscription(
    p_user_id uuid,
    p_tier text,
    p_status text DEFAULT 'active',
    p_current_period_end timestamptz DEFAULT NULL,
    p_cancel_at_period_end boolean DEFAULT false,
    p_subscription_id text DEFAULT NULL,
    p_event_type text DEFAULT 'subscription_updated',
    p_metadata jsonb DEFAULT NULL
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_set_subscription';
COMMENT ON FUNCTION claude_gpt.set_subscription(uuid, text, text, timestamptz, boolean, text, text, jsonb) IS
'Sets the subscription of a user and writes the event to subscription_history. A NULL period end never ends; a NULL subscription id keeps the one that is stored. Errors: P0002 no such user; 22004 NULL in another parameter; 22023 unknown status or event type; 55000 the tier is not a configured plan; 23514 the tier is not one that users.subscription_tier accepts. Locks: the row of the user.';

REVOKE ALL ON FUNCTION claude_gpt.check_subscription_limit(uuid, varchar), claude_gpt.effective_tier(uuid),
    claude_gpt.set_subscription(uuid, text, text, timestamptz, boolean, text, text, jsonb) FROM PUBLIC;

-- Topic usage: counting what users consume.

CREATE FUNCTION claude_gpt.update_user_usage(
    p_user_id uuid,
    p_message_count integer DEFAULT 1,
    p_tokens integer DEFAULT 0,
    p_cost numeric DEFAULT 0
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_update_user_usage';
COMMENT ON FUNCTION claude_gpt.update_user_usage(uuid, integer, integer, numeric) IS
'Counts messages, tokens and cost (in the currency of your prices, rounded to nine decimal places) for a user, in the month that the billing time zone has now and in total, and writes a usage record for messages and one for tokens with the cost, unless the configuration "usage_ledger" is false. The first call of a month starts the month anew. Counts unconditionally: it does not ask whether a limit is reached. Errors: P0002 no such user; 22004 NULL; 22023 negative, or a cost that is no number; 22003 a counter overflows. Locks: the row of the user.';

CREATE FUNCTION claude_gpt.record_usage(
    p_user_id uuid,
    p_usage_type text,
    p_quantity bigint DEFAULT 1,
    p_model text DEFAULT NULL,
    p_cost numeric DEFAULT 0,
    p_message_id uuid DEFAULT NULL,
    p_conversation_id uuid DEFAULT NULL,
    p_metadata jsonb DEFAULT NULL,
    p_idempotency_key text DEFAULT NULL,
    OUT usage_record_id uuid,
    OUT replayed boolean
) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_record_usage';
COMMENT ON FUNCTION claude_gpt.record_usage(uuid, text, bigint, text, numeric, uuid, uuid, jsonb, text) IS
'Counts one kind of usage ("message", "token" or "api_call") with its cost, and writes a usage record that says the model, message, conversation and what else the application wants to keep. Counts unconditionally, as update_user_usage does. A repeated call with the same idempotency key counts nothing, returns the first record and says replayed. The record is NULL where the configuration "usage_ledger" is false. Errors: P0002 no such user, or no such message or conversation of the user; 22004 NULL in user, type, quantity or cost; 22023 negative, both quantity and cost zero, no such type, a model not of 1 to 50 characters, or a key that is empty or longer than 255 bytes; 22003 a counter overflows; UQ006 the key was used for another call. Locks: the row of the user.';

REVOKE ALL ON FUNCTION claude_gpt.update_user_usage(uuid, integer, integer, numeric),
    claude_gpt.record_usage(uuid, text, bigint, text, numeric, uuid, uuid, jsonb, text) FROM PUBLIC;

-- The tables belong to the user, not to the extension: migrate() creates them as such.
CALL claude_gpt.migrate();
