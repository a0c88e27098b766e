\set n random(1, :users)
SELECT update_user_usage(md5(:n::text)::uuid, 1, 80, 0.0016);
