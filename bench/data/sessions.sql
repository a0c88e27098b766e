-- Sessions in the order of time: five of six have expired, of which every twentieth is also inactive.
SET search_path = :schema, public;
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
TRUNCATE user_sessions;
CREATE TEMP TABLE built_later AS
SELECT c.relname, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = 'user_sessions'::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid);
SELECT format('DROP INDEX %I', relname) FROM built_later \gexec
SET session_replication_role = replica;
INSERT INTO user_sessions (id, user_id, session_token, refresh_token, device_id, device_type, device_name, app_version,
    ip_address, user_agent, is_active, expires_at, last_used_at, created_at)
SELECT md5('session' || n)::uuid, md5((1 + n % :users)::text)::uuid, md5('token' || n), md5('refresh' || n), 'device-' || n,
    (ARRAY['ios', 'android', 'web'])[1 + n % 3], 'Phone of somebody', '1.2.3', '203.0.113.7',
    'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', n % 6 = 0 OR n % 20 > 0,
    now() + CASE WHEN n % 6 = 0 THEN interval '30 days' ELSE interval '-90 days' END + n * (interval '60 days' / :sessions),
    now() - interval '1 day', now() - interval '100 days' + n * (interval '60 days' / :sessions)
FROM generate_series(1, :sessions) AS n;
SELECT definition FROM built_later \gexec
RESET session_replication_role;
VACUUM ANALYZE user_sessions;
