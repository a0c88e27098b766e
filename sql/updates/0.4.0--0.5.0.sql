-- Tables, and the rights on schema claude_gpt, follow in migrate(): sql/from_0.4.0.

CREATE SCHEMA claude_gpt_internal;
GRANT USAGE ON SCHEMA claude_gpt_internal TO PUBLIC;

-- What moves keeps who may call it, and the triggers, views and defaults that do.
DO $$
DECLARE
    moved CONSTANT text[] := '{add_references,apply_access,attach_partition,build_partition,carry_unrecorded_usage,check_health,check_partition_range,convert_to_partitions,copied_columns,counters,create_next_partition,cron_entry_name,cron_schedule,current_billing_day,delete_rows_before,drop_next_partition_before,drop_references,enforce_column_rules,finish_references,has_partition_work,html_text,invalidate_system_configs,job_looks,list_metrics,lock_referenced_tables,look_at_changed_jobs,maintain_conversation_counters,missing_partitions,partition_bound,partition_moment,partition_name,partition_period,partition_table_step,partitioned_table,partitioning_obstacles,partitions_of,prove_recent_books,range_to_swap,record_access,report_chart,report_number,require_owner,require_pg_cron,require_trusted_tables,revoke_table_grants,sibling_references,statement_statistics,swap_default_partition,table_grants,table_properties,unfinished_references,validate_job,validate_system_config,withdraw_access}';
    -- Another signature or result: these give way, and go at the end, when their grants have gone to their successors.
    retired CONSTANT text[] := '{begin_turn,complete_turn,conversation_messages,conversation_path,extend_usage,extension_state,fail_turn,list_partitions,release_usage,reserve_usage,save_partial,settle_usage}';
    routine record;
BEGIN
    FOR routine IN
        SELECT p.oid::regprocedure AS name, p.proname
        FROM pg_proc AS p
        JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'claude_gpt'
        WHERE p.pronamespace = 'claude_gpt'::regnamespace
    LOOP
        IF routine.proname = ANY (moved) THEN
            EXECUTE format('ALTER ROUTINE %s SET SCHEMA claude_gpt_internal', routine.name);
        ELSIF routine.proname = ANY (retired) THEN
            EXECUTE format('ALTER ROUTINE %s RENAME TO %I', routine.name, 'retired_' || routine.proname);
        END IF;
    END LOOP;
END
$$;

-- Where there are no tables, nobody else looks at the rights on the schema of the code.
DO $$
DECLARE
    role text;
BEGIN
    IF to_regclass('claude_gpt.claude_gpt_migrations') IS NOT NULL THEN
        RETURN;
    END IF;
    FOR role IN
        SELECT DISTINCT a.grantee::regrole::text FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
        WHERE n.nspname = 'claude_gpt' AND a.grantee NOT IN (0, n.nspowner)
    LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA claude_gpt FROM %s CASCADE', role);
    END LOOP;
END
$$;
