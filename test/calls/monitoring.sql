SELECT count(*) > 5 FROM claude_gpt.health();  -- operator monitor: owner
SELECT count(*) > 20 FROM claude_gpt.metrics();  -- operator monitor: owner
SELECT count(*) > 0 FROM claude_gpt.metrics('claude_gpt_table_partitions');  -- operator monitor: owner
SELECT claude_gpt.reset_metrics() IS NOT NULL;  -- operator: nobody
SELECT count(*) > 5 FROM claude_gpt_internal.check_health(true);  -- none: 42501
SELECT count(*) > 3 FROM claude_gpt_internal.check_health(false);  -- none: owner
SELECT count(*) > 20 FROM claude_gpt_internal.list_metrics(NULL, true);  -- none: 42501
SELECT count(*) > 10 FROM claude_gpt_internal.list_metrics(NULL, false);  -- none: owner
SELECT count(*) > 10 FROM claude_gpt_internal.counters();  -- none: nobody
SELECT wanted = 0 AND present = 0 AND waiting = 0 FROM claude_gpt_internal.synchronous_standbys();  -- none: nobody
SELECT status = 'ok' FROM claude_gpt_internal.check_synchronous_standbys();  -- none: nobody
SELECT is_preloaded FROM claude_gpt_internal.extension_state();  -- none: nobody
SELECT status IN ('ok', 'warning') FROM claude_gpt_internal.check_preload();  -- none: nobody
SELECT status IN ('ok', 'warning') FROM claude_gpt_internal.check_owner();  -- none: nobody
SELECT status IN ('ok', 'warning') FROM claude_gpt_internal.check_columns();  -- none: nobody
SELECT status IN ('ok', 'warning') FROM claude_gpt_internal.check_functions_beside_tables();  -- none: nobody
SELECT status IN ('ok', 'warning') FROM claude_gpt_internal.check_create_rights();  -- none: nobody
SELECT status IN ('ok', 'warning') FROM claude_gpt_internal.check_strange_objects();  -- none: nobody
SELECT status IN ('ok', 'warning') FROM claude_gpt_internal.check_indexes();  -- none: nobody
SELECT status IN ('ok', 'warning') FROM claude_gpt_internal.check_triggers();  -- none: nobody
SELECT status IN ('ok', 'warning') FROM claude_gpt_internal.check_wraparound();  -- none: nobody
SELECT status IN ('ok', 'warning') FROM claude_gpt_internal.check_rate_limits();  -- none: nobody
SELECT status IN ('ok', 'warning') FROM claude_gpt_internal.check_notifications();  -- none: nobody
SELECT status = 'ok' FROM claude_gpt_internal.check_migrations();  -- none: owner
SELECT status IS NOT NULL FROM claude_gpt_internal.check_workers();  -- none: 42501
SELECT status IS NOT NULL FROM claude_gpt_internal.check_jobs();  -- none: 42501
SELECT count(*) >= 0 FROM claude_gpt_internal.waiting_periods('usage_records');  -- none: 42501
SELECT status IS NOT NULL FROM claude_gpt_internal.check_default_partitions();  -- none: 42501
SELECT status IS NOT NULL FROM claude_gpt_internal.check_next_partitions();  -- none: 42501
SELECT status IS NOT NULL FROM claude_gpt_internal.check_books();  -- none: 42501
SELECT status IS NOT NULL FROM claude_gpt_internal.check_configuration();  -- none: 42501
SELECT status IS NOT NULL FROM claude_gpt_internal.check_times();  -- none: 42501
SELECT status IS NOT NULL FROM claude_gpt_internal.check_plans();  -- none: 42501
SELECT status IS NOT NULL FROM claude_gpt_internal.check_prices();  -- none: 42501
SELECT claude_gpt_internal.tables_are_readable();  -- none: owner
SELECT count(*) > 10 FROM claude_gpt_internal.counter_metrics(NULL);  -- none: nobody
SELECT count(*) > 3 FROM claude_gpt_internal.rate_limit_metrics(NULL);  -- none: nobody
SELECT count(*) > 3 FROM claude_gpt_internal.job_metrics(NULL);  -- none: 42501
SELECT count(*) > 3 FROM claude_gpt_internal.table_metrics(NULL);  -- none: 42501
SELECT applied_migration = needed_migration FROM claude_gpt_internal.migration_state();  -- none: owner
SELECT count(*) > 0 FROM claude_gpt_internal.direct_access();  -- none: nobody
SELECT status = 'ok' FROM claude_gpt_internal.check_direct_access();  -- none: nobody
SELECT count(*) >= 0 FROM claude_gpt_internal.statement_statistics();  -- operator monitor: nobody
