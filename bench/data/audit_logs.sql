-- Audit rows in the order of time, one of six from the last 29 days, the others from the 150 days before.
SET search_path = :schema, public;
SET synchronous_commit = off;
SET session_replication_role = replica;
INSERT INTO audit_logs (user_id, user_email, action, resource_type, resource_id, old_values, new_values, ip_address, user_agent, request_id, created_at)
SELECT md5((1 + n % :users)::text)::uuid, 'user' || 1 + n % :users || '@example.com', (ARRAY['login', 'message.create', 'profile.update'])[1 + n % 3],
    'message', n::text, NULL, '{"status": "sent"}', '203.0.113.7', 'Mozilla/5.0 (X11; Linux x86_64)', 'request-' || n,
    CASE WHEN n <= :rows / 6 * 5 THEN now() - interval '180 days' + n * (interval '150 days' / (:rows / 6 * 5))
         ELSE now() - interval '29 days' + (n - :rows / 6 * 5) * (interval '29 days' / (:rows / 6)) END
FROM generate_series(1, :rows) AS n;
