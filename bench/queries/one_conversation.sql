\set n random(1, :users)
SELECT * FROM conversation_summary WHERE id = md5('conversation' || :n)::uuid;
