SELECT claude_gpt.update_user_usage(:'user') IS NOT NULL;  -- application: owner
SELECT claude_gpt.update_user_usage(:'user', 1, 5, 0.1) IS NOT NULL;  -- application: owner
SELECT claude_gpt.update_user_usage(p_user_id => :'holder', p_tokens => 5) IS NOT NULL;  -- application: owner
SELECT replayed IS NOT NULL FROM claude_gpt.record_usage(:'user', 'token', 5);  -- application: owner
SELECT NOT replayed FROM claude_gpt.record_usage(:'holder', 'token', 5, 'm', 0.1, :'question', :'chat', '{"a": 1}', 'usage');  -- application: owner
SELECT claude_gpt.current_billing_period() > '2020-01-01';  -- read application billing operator monitor: owner
