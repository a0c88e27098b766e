-- The same as a transaction of an application, statement by statement.
\set n random(1, :users)
BEGIN;
SELECT update_user_usage(md5(:n::text)::uuid, 1, 80, 0.0016);
INSERT INTO usage_records (user_id, usage_type, quantity, cost)
VALUES (md5(:n::text)::uuid, 'message', 1, 0), (md5(:n::text)::uuid, 'token', 80, 0.0016);
COMMIT;
