SELECT allowed FROM claude_gpt.begin_turn(:'holder', NULL, 'Hello', 'm', 20);  -- application: owner, takes NULL p_conversation_id p_content
SELECT allowed FROM claude_gpt.begin_turn(:'holder', :'chat', 'And then?', 'm', p_parent_message_id => :'reply', p_metadata => '{"a": 1}', p_ttl => '1 hour', p_idempotency_key => 'turn', p_parts => '[{"type": "text"}]');  -- application: owner
SELECT reply_status = 'sending' FROM claude_gpt.begin_turn(:'holder', uuid '00000000-0000-4000-8000-000000000030', 'Hello', 'n', p_estimated_cost => 0.1, p_create => true);  -- application: owner
SELECT allowed FROM claude_gpt.begin_turn(p_user_id => :'holder', p_conversation_id => :'chat', p_content => NULL, p_model => 'm', p_parent_message_id => :'question');  -- application: owner
SELECT claude_gpt.save_partial(p_user_id => :'holder', p_reservation_id => :'saved_turn', p_content => 'part', p_parts => '[{"type": "text"}]') IS NOT NULL;  -- application: owner
SELECT total_tokens = 3 FROM claude_gpt.complete_turn(p_user_id => :'holder', p_reservation_id => :'completed_turn', p_content => 'whole', p_prompt_tokens => 1, p_completion_tokens => 2, p_metadata => '{"a": 1}', p_parts => '[{"type": "text"}]');  -- application: owner
SELECT NOT estimated FROM claude_gpt.complete_turn(p_user_id => :'holder', p_reservation_id => :'completed_turn', p_content => 'whole', p_metadata => '{"a": 1}', p_usage => '{"prompt_tokens": 1, "completion_tokens": 2}', p_parts => '[{"type": "text"}]');  -- application: owner
SELECT total_tokens = 3 FROM claude_gpt.stop_turn(p_user_id => :'holder', p_reservation_id => :'stopped_turn', p_content => 'who', p_prompt_tokens => 1, p_completion_tokens => 2, p_metadata => '{"a": 1}');  -- application: owner
SELECT total_tokens = 3 FROM claude_gpt.fail_turn(p_user_id => :'holder', p_reservation_id => :'failed_turn', p_error_message => 'cut off', p_prompt_tokens => 1, p_completion_tokens => 2, p_cost => 0.5, p_parts => '[]');  -- application: owner, takes NULL p_prompt_tokens p_completion_tokens
SELECT count(*) > 3 FROM claude_gpt.list_conversations(:'holder');  -- application: owner, takes NULL p_archived
SELECT count(*) >= 0 FROM claude_gpt.list_conversations(:'holder', p_before => :'chat', p_limit => 5);  -- application: owner
SELECT count(*) > 1 FROM claude_gpt.conversation_messages(:'holder', :'chat');  -- application: owner
SELECT count(*) > 0 FROM claude_gpt.conversation_messages(:'holder', :'chat', :'reply', 5);  -- application: owner
SELECT count(*) > 0 FROM claude_gpt.conversation_path(:'holder', :'reply');  -- application: owner
SELECT count(*) > 0 FROM claude_gpt.conversation_path(:'holder', :'reply', p_max_tokens => 500);  -- application: owner
SELECT claude_gpt.set_message_feedback(p_user_id => :'holder', p_message_id => :'reply', p_rating => 'down', p_comment => 'wrong') IS NOT NULL;  -- application: owner
SELECT claude_gpt.set_message_feedback(:'holder', :'reply', NULL) IS NOT NULL;  -- application: owner, takes NULL p_rating
SELECT claude_gpt.delete_conversation(:'holder', :'other_chat') IS NOT NULL;  -- application: owner
INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content) VALUES (:'chat', :'holder', 'user', 'x');  -- application: owner, fires maintain_conversation_counters
UPDATE claude_gpt_data.messages SET total_tokens = 5 WHERE id = :'question';  -- application: owner, fires maintain_conversation_counters
DELETE FROM claude_gpt_data.messages WHERE id = :'reply';  -- application: owner, fires maintain_conversation_counters
DELETE FROM claude_gpt_data.messages WHERE id = :'question';  -- application: owner, fires hand_over_replies
