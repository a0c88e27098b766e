\set n random(1, :users)
SELECT * FROM consume_quota(md5(:n::text)::uuid);
