\set n random(1, :users)
\set c 2 * :n - random(0, 1)
SELECT check_subscription_limit(md5(:n::text)::uuid);
SELECT * FROM check_rate_limit(md5(:n::text)::uuid);
SELECT * FROM quota_status(md5(:n::text)::uuid);
SELECT * FROM list_conversations(md5(:n::text)::uuid, NULL, NULL, 10);
SELECT * FROM conversation_messages(md5(:n::text)::uuid, md5('conversation' || :c)::uuid, NULL, 20);
SELECT reservation_id AS turn FROM begin_turn(md5(:n::text)::uuid, md5('conversation' || :c)::uuid, 'What is a monad?', 'gpt-4', 400) \gset
SELECT * FROM complete_turn(md5(:n::text)::uuid, :turn, 'A monoid in the category of endofunctors.', 80, 300, 0.02);
SELECT * FROM consume_quota(md5(:n::text)::uuid);
SELECT update_user_usage(md5(:n::text)::uuid, 0, 80, 0.0016);
