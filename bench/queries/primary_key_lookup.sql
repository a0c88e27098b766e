\set n random(1, :users)
SELECT subscription_tier, monthly_message_count FROM users WHERE id = md5(:n::text)::uuid;
