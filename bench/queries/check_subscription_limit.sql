\set n random(1, :users)
SELECT check_subscription_limit(md5(:n::text)::uuid);
