SELECT count(*) = 0 FROM claude_gpt_internal.configuration_problems();  -- none: owner
UPDATE claude_gpt_data.system_configs SET config_value = '"12 hours"' WHERE config_key = 'subscription_grace';  -- operator: owner, fires validate_system_config
INSERT INTO claude_gpt_data.system_configs (config_key, config_value) VALUES ('mine', '[1]');  -- operator: owner, fires invalidate_system_configs
