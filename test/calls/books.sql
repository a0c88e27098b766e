SELECT count(*) >= 0 FROM claude_gpt.prove_books();  -- operator monitor: owner
SELECT count(*) >= 0 FROM claude_gpt.prove_books(:'user');  -- operator monitor: owner
SELECT count(*) >= 0 FROM claude_gpt.repair_books();  -- operator: owner
SELECT count(*) >= 0 FROM claude_gpt.repair_books(p_user_id => :'holder');  -- operator: owner
SELECT user_count > 0 FROM claude_gpt_internal.prove_recent_books(5, '1 second');  -- none: owner
SELECT count(*) >= 0 FROM claude_gpt_internal.find_future_times();  -- none: owner
UPDATE claude_gpt_data.system_configs SET config_value = 'false' WHERE config_key = 'usage_ledger'; UPDATE claude_gpt_data.system_configs SET config_value = 'true' WHERE config_key = 'usage_ledger';  -- operator: owner, fires carry_unrecorded_usage
