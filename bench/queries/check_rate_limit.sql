\set n random(1, :users)
SELECT * FROM check_rate_limit(md5(:n::text)::uuid);
