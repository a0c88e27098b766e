-- What the source's application does to keep records, in one round trip: the least it can cost.
\set n random(1, :users)
WITH recorded AS (
    INSERT INTO usage_records (user_id, usage_type, quantity, cost)
    VALUES (md5(:n::text)::uuid, 'message', 1, 0), (md5(:n::text)::uuid, 'token', 80, 0.0016)
)
SELECT update_user_usage(md5(:n::text)::uuid, 1, 80, 0.0016);
