\set n :users + 1
SELECT * FROM conversation_summary WHERE user_id = md5(:n::text)::uuid ORDER BY last_message_at DESC LIMIT 20;
