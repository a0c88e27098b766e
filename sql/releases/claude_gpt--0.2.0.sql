-- Generated from sql/functions: do not edit.
\echo Use "CREATE EXTENSION claude_gpt" to load this file. \quit
SET LOCAL search_path TO pg_catalog, pg_temp;

-- Names are no secret; tables and functions are granted one by one. A restore checks foreign keys as the owner of
-- the tables before it comes to the grants of the schema.
GRANT USAGE ON SCHEMA claude_gpt TO PUBLIC;

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
        'reset_rate_limit(text)', 'reset_user_rate_limit(uuid)', 'rate_limit_status()', 'prove_books(uuid)', 'repair_books(uuid)'];
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
                       'system_configs', 'audit_logs', 'claude_gpt_migrations', 'application_grants'];
        calls := everyone_reads || support_calls || ARRAY['uuid_v7()', 'cleanup_expired_sessions()'];
        writes := ARRAY['INSERT, UPDATE, DELETE ON system_configs', 'DELETE ON audit_logs'];
    ELSIF p_level = 'monitor' THEN
        reads := ARRAY['claude_gpt_migrations'];
        calls := ARRAY['current_billing_period()', 'rate_limit_status()', 'prove_books(uuid)'];
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
        EXECUTE format('GRANT EXECUTE ON FUNCTION claude_gpt.%s TO %I', item, p_role);
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
'Lets a role do the work of a level: "read" (all but passwords and tokens), "application" (sign up users, edit profiles, chat, meter; no tier, counter, usage record or configuration row), "billing" (set_subscription), "operator" (configuration, retention) or "monitor". Replaces a level given before, sets the search_path of the role in this database to "$user", public, claude_gpt for new sessions, and records the grant, so that migrate can give it again. Errors: 22004 NULL; 22023 no such level, or the role owns the tables; 42704 no such role; 42501 unless called by a superuser, or by an owner of the tables who may alter the role.';

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
    RAISE NOTICE 'the tables of claude_gpt need the extension no more'
        USING HINT = 'DROP EXTENSION claude_gpt now leaves them whole. CREATE EXTENSION claude_gpt takes them over again.',
              DETAIL = 'Tiers, counters and configuration are no longer protected by triggers: check who may write them.';
END
$$;
COMMENT ON FUNCTION claude_gpt.detach() IS
'Frees the tables from the extension: defaults become gen_random_uuid() and CURRENT_DATE, triggers for updated_at and the conversation counters become plain plpgsql, value rules become CHECK constraints, the triggers that keep maintained columns from the application and check the configuration go, and the view computes the month in UTC. DROP EXTENSION then succeeds without CASCADE, and the tables keep working. Errors: 42501 the caller is not their owner. Locks: ACCESS EXCLUSIVE on the tables for a moment.';

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
