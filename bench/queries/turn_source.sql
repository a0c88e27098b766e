\set n random(1, :users)
\set c 2 * :n - random(0, 1)
\set t random(1, 4)
BEGIN;
SELECT check_subscription_limit(md5(:n::text)::uuid);
INSERT INTO messages (conversation_id, user_id, role, content) VALUES (md5('conversation' || :c)::uuid, md5(:n::text)::uuid, 'user', QUESTION);
UPDATE conversations SET message_count = message_count + 1, last_message_at = CURRENT_TIMESTAMP WHERE id = md5('conversation' || :c)::uuid;
COMMIT;
BEGIN;
INSERT INTO messages (conversation_id, user_id, role, content, model_used, prompt_tokens, completion_tokens, total_tokens, cost) VALUES (md5('conversation' || :c)::uuid, md5(:n::text)::uuid, 'assistant', REPLY, 'gpt-4', 80, 300, 380, 0.02) RETURNING id AS reply \gset
UPDATE conversations SET message_count = message_count + 1, total_tokens = total_tokens + 380, total_cost = total_cost + 0.02, last_message_at = CURRENT_TIMESTAMP WHERE id = md5('conversation' || :c)::uuid;
INSERT INTO usage_records (user_id, usage_type, quantity, model_used, cost, message_id, conversation_id) VALUES (md5(:n::text)::uuid, 'token', 380, 'gpt-4', 0.02, :reply, md5('conversation' || :c)::uuid);
SELECT update_user_usage(md5(:n::text)::uuid, 1, 380, 0.02);
COMMIT;
