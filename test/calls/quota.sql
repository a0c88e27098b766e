SELECT claude_gpt.check_subscription_limit(:'user');  -- read application billing operator: owner
SELECT claude_gpt.check_subscription_limit(:'user', 'token');  -- read application billing operator: owner
SELECT allowed FROM claude_gpt.consume_quota(:'user');  -- application: owner
SELECT allowed FROM claude_gpt.consume_quota(:'holder', 'token', 5, 'm', 'key');  -- application: owner
SELECT replayed FROM claude_gpt.consume_quota(p_user_id => :'user', p_idempotency_key => 'known');  -- application: owner
SELECT claude_gpt.raise_if_denied(d) IS NOT NULL FROM claude_gpt.consume_quota(:'user', 'api_call') AS d;  -- application: owner
SELECT count(*) > 0 FROM claude_gpt.quota_status(:'holder');  -- read application billing operator: owner
SELECT allowed FROM claude_gpt.reserve_usage(:'holder', 50);  -- application: owner
SELECT allowed FROM claude_gpt.reserve_usage(:'user', 50, p_model => 'm', p_ttl => '1 hour', p_idempotency_key => 'held');  -- application: owner
SELECT claude_gpt.extend_usage(p_user_id => :'holder', p_reservation_id => :'extended', p_ttl => '1 hour') IS NOT NULL;  -- application: owner
SELECT charged_tokens = 3 FROM claude_gpt.settle_usage(p_user_id => :'holder', p_reservation_id => :'settled', p_prompt_tokens => 1, p_completion_tokens => 2, p_message_id => :'question');  -- application: owner
SELECT late FROM claude_gpt.settle_usage(p_user_id => :'holder', p_reservation_id => :'due', p_prompt_tokens => 1, p_completion_tokens => 2, p_cost => 0.5);  -- application: owner
SELECT charged_tokens = 3 FROM claude_gpt.settle_usage(p_user_id => :'holder', p_reservation_id => :'settled', p_usage => '{"prompt_tokens": 1, "completion_tokens": 2}');  -- application: owner
SELECT claude_gpt.release_usage(p_user_id => :'holder', p_reservation_id => :'released');  -- application: owner
