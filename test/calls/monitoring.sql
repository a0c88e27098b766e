SELECT count(*) > 5 FROM claude_gpt.health();  -- operator monitor: owner
SELECT count(*) > 20 FROM claude_gpt.metrics();  -- operator monitor: owner
SELECT count(*) > 0 FROM claude_gpt.metrics('claude_gpt_table_partitions');  -- operator monitor: owner
SELECT claude_gpt.reset_metrics() IS NOT NULL;  -- operator: nobody
SELECT count(*) > 5 FROM claude_gpt_internal.check_health(true);  -- none: 42501
SELECT count(*) > 3 FROM claude_gpt_internal.check_health(false);  -- none: owner
SELECT count(*) > 20 FROM claude_gpt_internal.list_metrics(NULL, true);  -- none: 42501
SELECT count(*) > 10 FROM claude_gpt_internal.list_metrics(NULL, false);  -- none: owner
SELECT count(*) > 10 FROM claude_gpt_internal.counters();  -- none: nobody
SELECT is_preloaded FROM claude_gpt_internal.extension_state();  -- none: owner
SELECT count(*) > 0 FROM claude_gpt_internal.direct_access();  -- none: nobody
SELECT count(*) >= 0 FROM claude_gpt_internal.statement_statistics();  -- operator monitor: nobody
