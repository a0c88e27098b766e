-- A library serves the functions of its own version, and refuses those of another until ALTER EXTENSION UPDATE: their
-- arguments may stand in another order. Each part in a session of its own, since what fits is remembered.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS claude_gpt;
INSERT INTO claude_gpt_data.users (id, email) VALUES ('00000000-0000-7000-8000-00000000000a', 'ada@example.com');
CREATE FUNCTION public.said(p_statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    seen_hint text;
BEGIN
    EXECUTE p_statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS seen_hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, replace(SQLERRM, (SELECT default_version FROM pg_available_extensions WHERE name = 'claude_gpt'), '<ours>'), NULLIF(seen_hint, ''));
END
$$;

-- what is older is refused by every entry, those of triggers too, with nothing written
\c -
BEGIN;
UPDATE pg_extension SET extversion = '0.4.0' WHERE extname = 'claude_gpt';
SELECT public.said('SELECT claude_gpt.uuid_v7()');
WITH entries AS MATERIALIZED (
    SELECT p.proname, format('%s %s(%s)', CASE p.prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, p.oid::regproc,
                             (SELECT string_agg(CASE WHEN t = 'record'::regtype THEN 'ROW(1)' ELSE 'NULL::' || format_type(t, NULL) END, ', ' ORDER BY n)
                              FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, n))) AS statement
    FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
    WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND l.lanname = 'c'
)
SELECT e.proname, public.said(e.statement) AS not_refused FROM entries AS e
WHERE public.said(e.statement) <> '55000 | the functions of claude_gpt are of version 0.4.0, the library of version <ours> | Run ALTER EXTENSION claude_gpt UPDATE.';
SELECT public.said($$UPDATE claude_gpt_data.users SET full_name = 'Ada'$$);
SELECT public.said($$INSERT INTO claude_gpt_data.users (email) VALUES ('bob@example.com')$$);
SELECT full_name FROM claude_gpt_data.users;
ROLLBACK;
-- taken back, it fits
SELECT public.said('SELECT claude_gpt.uuid_v7()');

-- what fits is not remembered while the transaction that wrote it may be rolled back
\c -
BEGIN;
UPDATE pg_extension SET extversion = extversion WHERE extname = 'claude_gpt';
SELECT public.said('SELECT claude_gpt.uuid_v7()');
UPDATE pg_extension SET extversion = '0.4.0' WHERE extname = 'claude_gpt';
SELECT public.said('SELECT claude_gpt.uuid_v7()');
ROLLBACK;
SELECT public.said('SELECT claude_gpt.uuid_v7()');

-- entries that take other arguments now have other names: an old one says so, whatever it is given
SELECT f.name, public.said(format('CREATE FUNCTION public.old_%s(%s) RETURNS text LANGUAGE c AS ''$libdir/claude_gpt'', ''claude_gpt_%1$s''', f.name, f.arguments)) AS created,
       public.said(format('SELECT public.old_%s(%s)', f.name, f.given)) AS said
FROM (VALUES ('extend_usage', 'uuid, interval', 'claude_gpt.uuid_v7(), ''1 minute'''), ('settle_usage', 'uuid, integer, integer', 'claude_gpt.uuid_v7(), 1, 1'),
             ('release_usage', 'uuid', 'claude_gpt.uuid_v7()'), ('save_partial', 'uuid, text', 'claude_gpt.uuid_v7(), ''x'''),
             ('reserve_usage', 'uuid, bigint', 'claude_gpt.uuid_v7(), 1'), ('begin_turn', 'uuid, uuid, text, text', 'claude_gpt.uuid_v7(), NULL, ''x'', ''x'''),
             ('complete_turn', 'uuid, text, integer, integer', 'claude_gpt.uuid_v7(), ''x'', 1, 1'), ('fail_turn', 'uuid, text', 'claude_gpt.uuid_v7(), ''x''')) AS f (name, arguments, given);
SELECT public.said(format('DROP FUNCTION %s', oid::regprocedure)) FROM pg_proc WHERE proname LIKE 'old\_%' AND pronamespace = 'public'::regnamespace;

DELETE FROM claude_gpt_data.users;
DROP FUNCTION public.said(text);
