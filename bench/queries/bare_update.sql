\set n random(1, :users)
UPDATE users SET monthly_message_count = monthly_message_count + 1, total_message_count = total_message_count + 1,
    last_active_at = CURRENT_TIMESTAMP WHERE id = md5(:n::text)::uuid;
