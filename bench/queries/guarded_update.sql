\set n random(1, :users)
UPDATE users SET monthly_message_count = monthly_message_count + 1, total_message_count = total_message_count + 1, last_active_at = clock_timestamp() WHERE id = md5(:n::text)::uuid AND monthly_message_count + 1 <= 100000000 RETURNING monthly_message_count, held_message_count;
