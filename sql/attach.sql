-- What joins the tables to the code of the extension: defaults, triggers, views that call its functions.
-- Runs after every migration and when the extension is created again; each statement can be repeated.
-- Locks: ACCESS EXCLUSIVE on each table for a moment.

ALTER TABLE claude_gpt_data.users
    ALTER COLUMN id SET DEFAULT claude_gpt.uuid_v7(),
    ALTER COLUMN monthly_reset_date SET DEFAULT claude_gpt.current_billing_period();
ALTER TABLE claude_gpt_data.conversations ALTER COLUMN id SET DEFAULT claude_gpt.uuid_v7();
ALTER TABLE claude_gpt_data.messages ALTER COLUMN id SET DEFAULT claude_gpt.uuid_v7();
ALTER TABLE claude_gpt_data.message_files ALTER COLUMN id SET DEFAULT claude_gpt.uuid_v7();
ALTER TABLE claude_gpt_data.usage_records ALTER COLUMN id SET DEFAULT claude_gpt.uuid_v7();
ALTER TABLE claude_gpt_data.subscription_history ALTER COLUMN id SET DEFAULT claude_gpt.uuid_v7();
ALTER TABLE claude_gpt_data.system_configs ALTER COLUMN id SET DEFAULT claude_gpt.uuid_v7();
ALTER TABLE claude_gpt_data.user_sessions ALTER COLUMN id SET DEFAULT claude_gpt.uuid_v7();
ALTER TABLE claude_gpt_data.audit_logs ALTER COLUMN id SET DEFAULT claude_gpt.uuid_v7();
ALTER TABLE claude_gpt_data.usage_reservations ALTER COLUMN id SET DEFAULT claude_gpt.uuid_v7();

CREATE OR REPLACE TRIGGER update_users_updated_at BEFORE UPDATE ON claude_gpt_data.users
    FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column(last_active_on, last_active_at);
CREATE OR REPLACE TRIGGER set_users_last_active_on BEFORE INSERT ON claude_gpt_data.users
    FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column(last_active_on, last_active_at);
CREATE OR REPLACE TRIGGER update_conversations_updated_at BEFORE UPDATE ON claude_gpt_data.conversations
    FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column(last_message_on, last_message_at);
CREATE OR REPLACE TRIGGER set_conversations_last_message_on BEFORE INSERT ON claude_gpt_data.conversations
    FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column(last_message_on, last_message_at);
CREATE OR REPLACE TRIGGER update_messages_updated_at BEFORE UPDATE ON claude_gpt_data.messages
    FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column();
CREATE OR REPLACE TRIGGER update_message_feedback_updated_at BEFORE UPDATE ON claude_gpt_data.message_feedback
    FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column();
CREATE OR REPLACE TRIGGER update_system_configs_updated_at BEFORE UPDATE ON claude_gpt_data.system_configs
    FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column();

-- Value rules of the tables that metering and chat write are kept by one native trigger a table: a CHECK
-- is read anew by the server for every statement that writes a row, which took longer than writing it.
-- Columns stand in the order of the table, which is how they are looked up. Column grants would protect
-- maintained columns as well, but break INSERT ... VALUES (DEFAULT, ...), which ORMs write.
CREATE OR REPLACE TRIGGER protect_users BEFORE INSERT OR UPDATE ON claude_gpt_data.users
    FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules(
        'subscription_id maintained', 'subscription_tier maintained', 'subscription_status maintained',
        'subscription_current_period_end maintained', 'subscription_cancel_at_period_end maintained',
        'monthly_message_count maintained not negative', 'total_message_count maintained not negative',
        'monthly_token_count maintained not negative', 'total_token_count maintained not negative',
        'monthly_cost maintained not negative', 'total_cost maintained not negative',
        'monthly_api_call_count maintained not negative', 'total_api_call_count maintained not negative',
        'monthly_reset_date maintained',
        'held_message_count maintained not negative', 'held_token_count maintained not negative',
        'held_cost maintained not negative', 'next_hold_expiry maintained', 'ledger_ahead_to maintained',
        'billing_anchor_day maintained', 'billing_period_ends_on maintained');
CREATE OR REPLACE TRIGGER check_users BEFORE INSERT OR UPDATE OF email, subscription_status ON claude_gpt_data.users
    FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules(
        'email not empty',
        'subscription_status in active trialing past_due inactive canceled cancelled unpaid incomplete incomplete_expired expired paused');
-- After protect_users in the order of names, which says first who may not write it at all. Not for rows that replication
-- applies: their plans come with it, in any order.
CREATE OR REPLACE TRIGGER require_users_plan BEFORE INSERT OR UPDATE OF subscription_tier ON claude_gpt_data.users
    FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.require_configured_plan();
CREATE OR REPLACE TRIGGER protect_conversations BEFORE INSERT OR UPDATE ON claude_gpt_data.conversations
    FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules(
        'message_count maintained not negative', 'total_tokens maintained not negative',
        'total_cost maintained not negative', 'last_message_at maintained');
CREATE OR REPLACE TRIGGER check_messages BEFORE INSERT OR UPDATE ON claude_gpt_data.messages
    FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules(
        'role in user assistant system developer tool', 'content_type not empty', 'prompt_tokens not negative',
        'completion_tokens not negative', 'total_tokens not negative', 'cost not negative',
        'status in sending sent stopped failed deleted', 'cached_prompt_tokens not negative', 'cache_write_tokens not negative',
        'reasoning_tokens not negative');
CREATE OR REPLACE TRIGGER check_usage_records BEFORE INSERT OR UPDATE ON claude_gpt_data.usage_records
    FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules(
        'usage_type in message token api_call', 'quantity not negative', 'cost not negative', 'prompt_tokens not negative',
        'completion_tokens not negative', 'cached_prompt_tokens not negative', 'cache_write_tokens not negative',
        'reasoning_tokens not negative');
CREATE OR REPLACE TRIGGER check_usage_reservations BEFORE INSERT OR UPDATE ON claude_gpt_data.usage_reservations
    FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules(
        'status in open settled released expired', 'message_count not negative', 'token_count not negative',
        'cost not negative');

-- Statement level, since a trigger for each row is quadratic in the rows of a statement.
CREATE OR REPLACE TRIGGER count_inserted_messages AFTER INSERT ON claude_gpt_data.messages
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.maintain_conversation_counters();
CREATE OR REPLACE TRIGGER count_updated_messages AFTER UPDATE ON claude_gpt_data.messages
    REFERENCING OLD TABLE AS before_update NEW TABLE AS after_update
    FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.maintain_conversation_counters();
-- Its name comes before those of foreign keys, RI_..., in whose order triggers run: ON DELETE SET NULL finds no reply any more.
CREATE OR REPLACE TRIGGER "Hand_over_replies" AFTER DELETE ON claude_gpt_data.messages
    FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.hand_over_replies();
CREATE OR REPLACE TRIGGER count_deleted_messages AFTER DELETE ON claude_gpt_data.messages
    REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.maintain_conversation_counters();
CREATE OR REPLACE TRIGGER count_truncated_messages AFTER TRUNCATE ON claude_gpt_data.messages
    FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.maintain_conversation_counters();

-- ALWAYS: rows that replication applies are checked and seen by the caches too. For each row, since
-- replication fires no statement triggers.
CREATE OR REPLACE TRIGGER validate_system_configs BEFORE INSERT OR UPDATE ON claude_gpt_data.system_configs
    FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.validate_system_config();
CREATE OR REPLACE TRIGGER invalidate_system_configs AFTER INSERT OR UPDATE OR DELETE ON claude_gpt_data.system_configs
    FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.invalidate_system_configs();
CREATE OR REPLACE TRIGGER invalidate_truncated_system_configs AFTER TRUNCATE ON claude_gpt_data.system_configs
    FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.invalidate_system_configs();
ALTER TABLE claude_gpt_data.system_configs
    ENABLE ALWAYS TRIGGER validate_system_configs,
    ENABLE ALWAYS TRIGGER invalidate_system_configs,
    ENABLE ALWAYS TRIGGER invalidate_truncated_system_configs;

-- Not for rows that replication applies. After the event, so that it sees what other triggers have made of the row.
CREATE OR REPLACE TRIGGER keep_plans_in_use AFTER UPDATE OR DELETE ON claude_gpt_data.system_configs
    FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.keep_plans_in_use();
CREATE OR REPLACE TRIGGER keep_truncated_plans_in_use BEFORE TRUNCATE ON claude_gpt_data.system_configs
    FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.keep_plans_in_use();

-- For caches; also of what replication applies. The columns that metering, turns and jobs write are not named, so their
-- statements never fire them. Not after INSERT: nobody has cached the row.
CREATE OR REPLACE TRIGGER notify_changed_users AFTER UPDATE OF id, email, full_name, avatar_url, phone, preferred_language, theme_preference,
    stripe_customer_id, subscription_id, subscription_tier, subscription_status, subscription_current_period_end,
    subscription_cancel_at_period_end, email_verified OR DELETE ON claude_gpt_data.users
    FOR EACH ROW EXECUTE FUNCTION claude_gpt.notify_change();
CREATE OR REPLACE TRIGGER notify_truncated_users AFTER TRUNCATE ON claude_gpt_data.users
    FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt.notify_change();
CREATE OR REPLACE TRIGGER notify_changed_system_configs AFTER INSERT OR UPDATE OR DELETE ON claude_gpt_data.system_configs
    FOR EACH ROW EXECUTE FUNCTION claude_gpt.notify_change(config_key);
CREATE OR REPLACE TRIGGER notify_truncated_system_configs AFTER TRUNCATE ON claude_gpt_data.system_configs
    FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt.notify_change();
ALTER TABLE claude_gpt_data.users
    ENABLE ALWAYS TRIGGER notify_changed_users,
    ENABLE ALWAYS TRIGGER notify_truncated_users;
ALTER TABLE claude_gpt_data.system_configs
    ENABLE ALWAYS TRIGGER notify_changed_system_configs,
    ENABLE ALWAYS TRIGGER notify_truncated_system_configs;

-- On the server where it is switched on: its balances are replicated like its counters.
CREATE OR REPLACE TRIGGER carry_unrecorded_usage AFTER UPDATE ON claude_gpt_data.system_configs
    FOR EACH ROW WHEN (OLD.config_key = 'usage_ledger' AND OLD.is_active AND OLD.config_value = 'false'
                       AND NOT (NEW.config_key = 'usage_ledger' AND NEW.is_active AND NEW.config_value = 'false'))
    EXECUTE FUNCTION claude_gpt_internal.carry_unrecorded_usage();
CREATE OR REPLACE TRIGGER carry_unrecorded_usage_of_deleted AFTER DELETE ON claude_gpt_data.system_configs
    FOR EACH ROW WHEN (OLD.config_key = 'usage_ledger' AND OLD.is_active AND OLD.config_value = 'false')
    EXECUTE FUNCTION claude_gpt_internal.carry_unrecorded_usage();

CREATE OR REPLACE TRIGGER validate_job BEFORE INSERT OR UPDATE ON claude_gpt_data.jobs
    FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.validate_job();
-- The last object of a restore that the workers wait for: see also the foreign key of job_runs.
CREATE OR REPLACE TRIGGER look_at_changed_jobs AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON claude_gpt_data.jobs
    FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.look_at_changed_jobs();
ALTER TABLE claude_gpt_data.job_runs ALTER COLUMN id SET DEFAULT claude_gpt.uuid_v7();

CREATE OR REPLACE VIEW claude_gpt_data.job_status WITH (security_invoker = true) AS
SELECT
    j.name,
    j.enabled,
    j.engine,
    extract(epoch FROM j.run_every)::bigint AS run_every_seconds,
    -- A look that found nothing to do counts as a run.
    l.due_at AS next_run_at,
    r.started_at AS last_started_at,
    r.finished_at AS last_finished_at,
    r.engine AS last_engine,
    r.outcome AS last_outcome,
    r.row_count AS last_row_count,
    r.progress AS last_progress,
    r.sqlstate AS last_sqlstate,
    r.message AS last_message,
    l.looked_at AS last_looked_at,
    j.failures_in_a_row,
    CASE WHEN j.enabled AND r.outcome IS DISTINCT FROM 'running' THEN l.lateness_seconds ELSE 0 END AS lateness_seconds
FROM claude_gpt_data.jobs AS j
LEFT JOIN claude_gpt_internal.job_looks() AS l ON l.name = j.name
LEFT JOIN LATERAL (
    SELECT o.started_at, o.finished_at, o.engine, o.outcome, o.row_count, o.progress, o.sqlstate, o.message FROM claude_gpt_data.job_runs AS o
    WHERE o.job_name = j.name ORDER BY o.started_at DESC, o.id DESC LIMIT 1
) AS r ON TRUE;
COMMENT ON VIEW claude_gpt_data.job_status IS
'Each job with its last run, when it is due next, how often it has failed in a row, and how late it is.';

CREATE OR REPLACE VIEW claude_gpt_data.slow_queries WITH (security_invoker = true) AS
SELECT
    s.query,
    s.calls,
    s.total_milliseconds,
    s.mean_milliseconds,
    s.max_milliseconds,
    s.row_count,
    s.blocks_hit,
    s.blocks_read
FROM claude_gpt_internal.statement_statistics() AS s
ORDER BY s.mean_milliseconds DESC;
COMMENT ON VIEW claude_gpt_data.slow_queries IS
'The statements of this database, those that take longest on average first, as pg_stat_statements has counted them; empty where that extension is not created. Whoever is no member of pg_read_all_stats sees the texts of his own statements alone.';

-- Children are aggregated each by itself: joined together they multiply each other's rows. One list of partial
-- results instead of four joins: the planner takes the aggregate of one user for many rows, and four of them
-- multiplied for billions, for which it compiled the plan (300 ms for a query of 10). A condition on id reaches
-- into every part.
CREATE OR REPLACE VIEW claude_gpt_data.user_statistics WITH (security_invoker = true) AS
SELECT
    u.id,
    u.email,
    u.subscription_tier,
    u.subscription_status,
    -- One that does not follow the calendar ends by the day in UTC here.
    CASE WHEN COALESCE(u.billing_period_ends_on <= (CURRENT_TIMESTAMP AT TIME ZONE 'UTC')::date, u.monthly_reset_date < (SELECT claude_gpt.current_billing_period())) THEN 0
         ELSE u.monthly_message_count END AS monthly_message_count,
    u.total_message_count,
    COALESCE(s.conversation_count, 0) AS conversation_count,
    COALESCE(s.total_messages, 0) AS total_messages,
    -- Both are equal while the books are true; without the ledger only the counter knows.
    GREATEST(u.total_cost, COALESCE(s.ledger_cost, 0) + COALESCE(s.balance_cost, 0)) AS total_cost,
    u.created_at,
    u.last_active_at
FROM claude_gpt_data.users AS u
LEFT JOIN (
    SELECT user_id, max(conversation_count) AS conversation_count, max(total_messages) AS total_messages,
           max(ledger_cost) AS ledger_cost, max(balance_cost) AS balance_cost
    FROM (
        SELECT user_id, count(*) AS conversation_count, NULL::bigint AS total_messages,
               NULL::numeric AS ledger_cost, NULL::numeric AS balance_cost
        FROM claude_gpt_data.conversations WHERE NOT is_archived GROUP BY user_id
        UNION ALL
        SELECT user_id, NULL::bigint AS conversation_count, count(*) AS total_messages,
               NULL::numeric AS ledger_cost, NULL::numeric AS balance_cost
        FROM claude_gpt_data.messages WHERE status <> 'deleted' GROUP BY user_id
        UNION ALL
        SELECT user_id, NULL::bigint AS conversation_count, NULL::bigint AS total_messages,
               sum(cost) AS ledger_cost, NULL::numeric AS balance_cost
        FROM claude_gpt_data.usage_records GROUP BY user_id
        UNION ALL
        SELECT user_id, NULL::bigint AS conversation_count, NULL::bigint AS total_messages,
               NULL::numeric AS ledger_cost, sum(cost) AS balance_cost
        FROM claude_gpt_data.usage_balances GROUP BY user_id
    ) AS part
    GROUP BY user_id
) AS s ON s.user_id = u.id;
COMMENT ON VIEW claude_gpt_data.user_statistics IS
'Each user with the counters of this month and in total, the conversations that are not archived, the messages that are not deleted, and the cost. Ask for single users by id.';

-- What detach() left in place of the above.
DO $$
DECLARE
    rule record;
BEGIN
    FOR rule IN
        SELECT k.conname, k.conrelid::regclass AS relation FROM pg_constraint AS k
        WHERE k.connamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND k.contype = 'c' AND starts_with(k.conname, 'detached_') AND k.conislocal
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', rule.relation, rule.conname);
    END LOOP;
    -- A trigger of the user's own that was detached too comes back, if the table is this owner's.
    FOR rule IN
        SELECT replace(replace(pg_get_triggerdef(g.oid), 'CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER'),
                       'claude_gpt_data.detached_updated_at()', 'claude_gpt.update_updated_at_column()') AS definition
        FROM pg_trigger AS g WHERE g.tgfoid = to_regprocedure('claude_gpt_data.detached_updated_at()')
          AND pg_has_role((SELECT c.relowner FROM pg_class AS c WHERE c.oid = g.tgrelid), 'USAGE')
    LOOP
        EXECUTE rule.definition;
    END LOOP;
    FOR rule IN SELECT p.oid::regprocedure AS routine FROM pg_proc AS p
                WHERE p.pronamespace = 'claude_gpt_data'::regnamespace AND p.proname IN ('detached_updated_at', 'detached_counters')
    LOOP
        BEGIN
            EXECUTE format('DROP FUNCTION %s', rule.routine);
        EXCEPTION WHEN dependent_objects_still_exist THEN NULL;
        END;
    END LOOP;
END
$$;
