\set n random(1, :users)
\set c 2 * :n - random(0, 1)
\set t random(1, 4)
SELECT reservation_id AS turn FROM begin_turn(md5(:n::text)::uuid, md5('conversation' || :c)::uuid, QUESTION, 'gpt-4', 400) \gset
SELECT * FROM complete_turn(md5(:n::text)::uuid, :turn, REPLY, 80, 300, 0.02);
