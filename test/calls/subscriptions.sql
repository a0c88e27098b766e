SELECT claude_gpt.effective_tier(:'user') = 'free';  -- read application billing operator: owner
SELECT claude_gpt.set_subscription(:'user', 'base') IS NOT NULL;  -- billing: owner
SELECT claude_gpt.set_subscription(:'user', 'base', p_current_period_end => '2099-01-01', p_subscription_id => 'sub_1', p_metadata => '{"a": 1}') IS NOT NULL;  -- billing: owner
UPDATE claude_gpt_data.users SET subscription_tier = 'base' WHERE id = :'lapsed';  -- none: owner, fires require_configured_plan
UPDATE claude_gpt_data.system_configs SET config_value = config_value - 'base' WHERE config_key = 'subscription_plans';  -- operator: owner, fires keep_plans_in_use
