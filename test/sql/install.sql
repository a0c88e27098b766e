-- What CREATE EXTENSION makes, and what it leaves to the user.
\set VERBOSITY default
-- PostgreSQL 18 adds the place in the script.
\set SHOW_CONTEXT never
\set regression_database :DBNAME
SET client_min_messages = error;
DROP DATABASE IF EXISTS regress_claude_gpt_install;
CREATE DATABASE regress_claude_gpt_install TEMPLATE template0 ENCODING 'UTF8';
\c regress_claude_gpt_install
CREATE EXTENSION claude_gpt;
SET search_path = pg_catalog, pg_temp;
SET timezone = 'UTC';

-- only routines and the schema of those that are not for users are members of the extension
SELECT d.classid::regclass AS class, count(*) > 0 AS has_members
FROM pg_depend AS d
JOIN pg_extension AS e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'claude_gpt' AND d.deptype = 'e'
GROUP BY d.classid ORDER BY 1;

-- and every routine of the schema is one
SELECT p.oid::regprocedure AS routine_that_is_no_member
FROM pg_proc AS p
WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace)
  AND NOT EXISTS (SELECT FROM pg_depend AS d
                  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e');

-- members depend on no table, so that a dump can restore them first
SELECT p.oid::regprocedure AS routine, d.refobjid::regclass AS relation
FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass)
  AND d.refobjid >= 16384;

-- tables and views
SELECT c.relname AS relation, c.relkind AS kind, obj_description(c.oid, 'pg_class') IS NOT NULL
           OR c.relname = 'claude_gpt_migrations' AS is_described, c.reloptions AS options
FROM pg_class AS c
WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND NOT c.relispartition
ORDER BY c.relkind = 'v', c.relname COLLATE "C";

-- columns, the source's first, as it names them
SELECT c.relname AS relation, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
       pg_get_expr(d.adbin, d.adrelid) AS default
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
ORDER BY c.relkind = 'v', c.relname COLLATE "C", a.attnum;

-- every index that the source names, but its second name for idx_messages_conversation_id
SELECT s.name, replace(pg_get_indexdef(i.indexrelid), 'claude_gpt_data.', '') AS definition
FROM unnest(ARRAY[
    'idx_users_email', 'idx_users_stripe_customer_id', 'idx_users_subscription_id', 'idx_users_created_at',
    'idx_users_last_active_at',
    'idx_conversations_user_id', 'idx_conversations_created_at', 'idx_conversations_last_message_at',
    'idx_conversations_user_archived',
    'idx_messages_conversation_id', 'idx_messages_user_id', 'idx_messages_created_at', 'idx_messages_role',
    'idx_messages_status', 'idx_messages_parent_id', 'idx_messages_content_search', 'idx_messages_conversation_created',
    'idx_usage_records_user_id', 'idx_usage_records_created_at', 'idx_usage_records_usage_type',
    'idx_usage_records_user_date', 'idx_usage_records_message_id',
    'idx_subscription_history_user_id', 'idx_subscription_history_created_at', 'idx_subscription_history_event_type',
    'idx_subscription_history_stripe_subscription_id',
    'idx_system_configs_key', 'idx_system_configs_active',
    'idx_user_sessions_user_id', 'idx_user_sessions_token', 'idx_user_sessions_refresh_token',
    'idx_user_sessions_expires_at', 'idx_user_sessions_active',
    'idx_audit_logs_user_id', 'idx_audit_logs_action', 'idx_audit_logs_resource', 'idx_audit_logs_created_at'])
    WITH ORDINALITY AS s (name, position)
LEFT JOIN pg_index AS i ON i.indexrelid = to_regclass('claude_gpt_data.' || s.name)
ORDER BY s.position;

-- indexes that it does not name
SELECT c.relname AS name, replace(pg_get_indexdef(c.oid), 'claude_gpt_data.', '') AS definition
FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND NOT c.relispartition
  AND (c.relname NOT LIKE 'idx\_%' OR c.relname IN ('idx_users_email_lower', 'idx_usage_records_conversation_id',
       'idx_usage_reservations_user_id', 'idx_idempotency_keys_expires_at'))
ORDER BY 1;

-- no two of a table are alike
SELECT min(c.relname) AS index, max(c.relname) AS double
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace)
GROUP BY i.indrelid, i.indkey, i.indclass, i.indoption, pg_get_expr(i.indpred, i.indrelid), pg_get_expr(i.indexprs, i.indrelid)
HAVING count(*) > 1;

-- constraints; those for NOT NULL are named only since 18
SELECT k.conrelid::regclass AS relation, k.conname AS name, pg_get_constraintdef(k.oid) AS rule
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND NOT c.relispartition AND k.contype <> 'n' AND k.conparentid = 0
ORDER BY c.relname COLLATE "C", k.contype, k.conname COLLATE "C";

-- triggers; "A" fires on a replica too
SELECT t.tgrelid::regclass AS relation, t.tgname AS name, t.tgenabled AS enabled,
       regexp_replace(pg_get_triggerdef(t.oid), '^CREATE TRIGGER \S+ ', '') AS definition
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND NOT t.tgisinternal AND t.tgparentid = 0
ORDER BY c.relname COLLATE "C", t.tgname COLLATE "C";

-- No routine lends rights, looks where a session looks, or returns NULL for a NULL that it does not take; what it takes is named
-- p_. Each by itself: docs/reference.
SELECT p.oid::regprocedure AS lends_rights FROM pg_proc AS p
WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND p.prosecdef;
SELECT p.oid::regprocedure AS without_search_path FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND l.lanname <> 'c'
  AND 'search_path=pg_catalog, pg_temp' <> ALL (COALESCE(p.proconfig, '{}'));
SELECT p.oid::regprocedure AS skipped_for_a_null FROM pg_proc AS p
WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND p.proisstrict AND p.pronargs > 0;
SELECT p.oid::regprocedure AS routine, p.proargnames[a.position] AS misnamed
FROM pg_proc AS p, generate_series(1, COALESCE(array_length(p.proallargtypes, 1), p.pronargs)) AS a (position)
WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace)
  AND COALESCE(p.proargmodes[a.position], 'i') NOT IN ('o', 't') AND COALESCE(p.proargnames[a.position], '') !~ '^p_[a-z_]+$';

-- none stands open to everybody, none is overloaded, each is described
SELECT p.oid::regprocedure AS open_to_public
FROM pg_proc AS p, aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a
WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND a.grantee = 0;
SELECT p.proname AS overloaded FROM pg_proc AS p
WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) GROUP BY p.proname HAVING count(*) > 1;
SELECT p.oid::regprocedure AS not_described FROM pg_proc AS p
WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND COALESCE(length(obj_description(p.oid, 'pg_proc')), 0) < 20;

-- nor is a table or the schema open
SELECT c.oid::regclass AS open_to_public
FROM pg_class AS c, aclexplode(COALESCE(c.relacl, acldefault('r', c.relowner))) AS a
WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind IN ('r', 'p', 'v') AND a.grantee = 0;
SELECT n.nspname AS open_to_public
FROM pg_namespace AS n, aclexplode(COALESCE(n.nspacl, acldefault('n', n.nspowner))) AS a
WHERE n.nspname = 'claude_gpt' AND a.grantee = 0;

-- usage of this quarter and the next, audit of this week and the next four have partitions of their own
SELECT p.parent, count(*) AS partitions, count(*) FILTER (WHERE pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT') AS defaults
FROM (VALUES ('usage_records'), ('audit_logs')) AS p (parent)
JOIN pg_inherits AS i ON i.inhparent = to_regclass('claude_gpt_data.' || p.parent)
JOIN pg_class AS c ON c.oid = i.inhrelid
GROUP BY p.parent ORDER BY 1;
INSERT INTO claude_gpt_data.audit_logs (action, resource_type, created_at)
SELECT 'login', 'week ' || w, CURRENT_TIMESTAMP + w * interval '7 days' FROM generate_series(0, 5) AS w
RETURNING resource_type, tableoid = 'claude_gpt_partitions.audit_logs_default'::regclass AS in_default;
INSERT INTO claude_gpt_data.users (email, password_hash) VALUES ('ada@example.com', 'x');
INSERT INTO claude_gpt_data.usage_records (user_id, usage_type, created_at)
SELECT u.id, 'message', CURRENT_TIMESTAMP + m * interval '3 months' FROM claude_gpt_data.users AS u, generate_series(0, 2) AS m
RETURNING tableoid = 'claude_gpt_partitions.usage_records_default'::regclass AS in_default;

-- migrations are recorded without a gap
SELECT count(*) = max(id) AND min(id) = 1 AS without_a_gap, bool_and(name ~ format('^%s_[a-z_]+$', lpad(id::text, 4, '0'))) AS are_named
FROM claude_gpt_data.claude_gpt_migrations;

-- what stands in the schema, as one value to compare
CREATE FUNCTION public.fingerprint() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(line, E'\n' ORDER BY line COLLATE "C")) FROM (
        SELECT format('%s.%s %s %s %s', c.relname, a.attname, a.atttypid, a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND NOT a.attisdropped
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace)
        UNION ALL SELECT pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND NOT t.tgisinternal
        UNION ALL SELECT k.conrelid::regclass || k.conname || pg_get_constraintdef(k.oid) FROM pg_constraint AS k
        WHERE k.connamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND k.contype <> 'n' AND NOT k.conname LIKE '%\_default\_%'
        UNION ALL SELECT pg_get_indexdef(c.oid) FROM pg_class AS c
        WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind IN ('i', 'I')
        UNION ALL SELECT c.relname || pg_get_viewdef(c.oid) || c.reloptions::text FROM pg_class AS c
        WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind = 'v'
        UNION ALL SELECT p.oid::regprocedure || p.prosrc || COALESCE(p.proacl::text, '') FROM pg_proc AS p
        WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace)
        UNION ALL SELECT m::text FROM claude_gpt_data.claude_gpt_migrations AS m
    ) AS s (line)
$$;

-- migrating again changes nothing
SELECT public.fingerprint() AS installed \gset
SET client_min_messages = warning;
CALL claude_gpt.migrate();
RESET client_min_messages;
SELECT public.fingerprint() = :'installed' AS unchanged;

-- dropping the extension is refused; with CASCADE no row goes, and it can be created over the tables
\set VERBOSITY sqlstate
DROP EXTENSION claude_gpt;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION claude_gpt CASCADE;
SELECT email, (SELECT count(*) FROM claude_gpt_data.usage_records AS r WHERE r.user_id = u.id) AS records FROM claude_gpt_data.users AS u;
SELECT count(*) AS routines_left FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname LIKE 'claude\_gpt%';
CREATE EXTENSION claude_gpt;
RESET client_min_messages;
SELECT public.fingerprint() = :'installed' AS as_installed;
SELECT email FROM claude_gpt_data.users;

-- the functions alone, where the tables are to come from elsewhere
SET client_min_messages = warning;
DROP SCHEMA claude_gpt, claude_gpt_data, claude_gpt_partitions CASCADE;
RESET client_min_messages;
\set VERBOSITY default
SET claude_gpt.install_tables = off;
CREATE EXTENSION claude_gpt;
SELECT count(*) AS tables FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace);
\set VERBOSITY sqlstate
SELECT claude_gpt.check_subscription_limit('00000000-0000-7000-8000-000000000001');
SELECT claude_gpt.effective_tier('00000000-0000-7000-8000-000000000001');
SELECT claude_gpt.current_billing_period();
SELECT claude_gpt.update_user_usage('00000000-0000-7000-8000-000000000001');
SELECT claude_gpt.set_subscription('00000000-0000-7000-8000-000000000001', 'free');
SELECT claude_gpt.cleanup_expired_sessions();
CALL claude_gpt.migrate();
SELECT claude_gpt.current_billing_period() IS NOT NULL AS ready;

-- a session that restores a dump is recognized, and told the next step
SET client_min_messages = error;
DROP SCHEMA claude_gpt, claude_gpt_data, claude_gpt_partitions CASCADE;
RESET client_min_messages;
\set VERBOSITY default
SET claude_gpt.install_tables = auto;
SET row_security = off;
-- a dump of a release that kept everything in one schema is refused before its first row
CREATE EXTENSION claude_gpt;
CREATE SCHEMA claude_gpt_data;
CREATE SCHEMA claude_gpt_partitions;
CREATE EXTENSION claude_gpt;
SELECT count(*) AS tables FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace);
RESET row_security;
DROP SCHEMA claude_gpt CASCADE;
SET xmloption = content;
CREATE EXTENSION claude_gpt;
SELECT count(*) AS tables FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace);
\c -
SET client_min_messages = error;
DROP SCHEMA claude_gpt, claude_gpt_data, claude_gpt_partitions CASCADE;
SET row_security = off;
SET claude_gpt.install_tables = on;
CREATE EXTENSION claude_gpt;
SELECT count(*) > 0 AS has_tables FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace);

-- a schema made beforehand by a role that is no superuser is refused
SET client_min_messages = error;
DROP SCHEMA claude_gpt, claude_gpt_data, claude_gpt_partitions CASCADE;
RESET client_min_messages;
CREATE ROLE regress_claude_gpt_early;
CREATE SCHEMA claude_gpt AUTHORIZATION regress_claude_gpt_early;
CREATE EXTENSION claude_gpt;
-- so is one in which such a role may create, and one that is not empty
ALTER SCHEMA claude_gpt OWNER TO CURRENT_USER;
GRANT CREATE ON SCHEMA claude_gpt TO regress_claude_gpt_early;
CREATE EXTENSION claude_gpt;
REVOKE CREATE ON SCHEMA claude_gpt FROM regress_claude_gpt_early;
CREATE FUNCTION claude_gpt.set_owner(p_role text) RETURNS void LANGUAGE sql AS '';
CREATE EXTENSION claude_gpt;
DROP FUNCTION claude_gpt.set_owner(text);
-- the data schemas may be anyone's, as after a dump: all is his
CREATE SCHEMA claude_gpt_data AUTHORIZATION regress_claude_gpt_early;
SET client_min_messages = error;
CREATE EXTENSION claude_gpt;
SELECT DISTINCT c.relowner::regrole AS owner, n.nspowner::regrole AS owner_of_schema FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('claude_gpt_data', 'claude_gpt_partitions') AND c.relkind <> 't';

-- tables older than the code are refused, until they are migrated
DELETE FROM claude_gpt_data.claude_gpt_migrations WHERE id = (SELECT max(id) FROM claude_gpt_data.claude_gpt_migrations);
\c -
\set VERBOSITY sqlstate
SELECT claude_gpt.current_billing_period();
SELECT claude_gpt.update_user_usage('00000000-0000-7000-8000-000000000001');

-- a database may have any time zone and date style
\c -
\set VERBOSITY default
SET client_min_messages = error;
DROP SCHEMA claude_gpt_partitions, claude_gpt_data CASCADE;
DROP EXTENSION claude_gpt;
SET timezone = '<+99>-99';
SET datestyle = 'SQL, DMY';
CREATE EXTENSION claude_gpt;
SELECT current_setting('timezone') AS time_zone, current_setting('datestyle') AS date_style;

\c :regression_database
DROP DATABASE regress_claude_gpt_install;
DROP ROLE regress_claude_gpt_early;
