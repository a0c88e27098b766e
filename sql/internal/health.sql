-- Topic monitoring: the checks of health. Each says for itself what it found; one that fails is a finding too, and the others go on.

-- Levels: none
CREATE FUNCTION claude_gpt_internal.tables_are_readable() RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT COALESCE(s.applied_migration >= s.needed_migration, false) FROM claude_gpt_internal.migration_state() AS s);
EXCEPTION
    WHEN internal_error THEN
        RAISE;
    WHEN OTHERS THEN
        RETURN false;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.tables_are_readable() IS
'Whether the tables are there, of one role, and as new as the code needs them; false where that cannot be told. Part of health and metrics.';

-- p_is_ready: that no table, view or schema of them is a stranger's.
-- Levels: none
CREATE FUNCTION claude_gpt_internal.check_health(p_is_ready boolean) RETURNS TABLE (
    check_name text,
    status text,
    detail text,
    hint text
)
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    has_tables CONSTANT boolean := EXISTS (SELECT FROM pg_class AS c WHERE c.relnamespace = to_regnamespace('claude_gpt_data') AND c.relname = 'claude_gpt_migrations');
    is_readable CONSTANT boolean := p_is_ready AND claude_gpt_internal.tables_are_readable();
    is_primary CONSTANT boolean := NOT pg_is_in_recovery();
    is_preloaded CONSTANT boolean := (SELECT s.is_preloaded FROM claude_gpt_internal.extension_state() AS s);
    message text;
    code text;
BEGIN
    IF p_is_ready THEN
        PERFORM claude_gpt_internal.require_trusted_tables();
    END IF;
    FOR check_name IN
        SELECT c.name FROM (VALUES
            (1, 'preload', true), (2, 'migrations', true), (3, 'owner', has_tables), (4, 'columns', has_tables),
            (5, 'objects_of_others', has_tables), (6, 'subscriptions', has_tables), (7, 'functions_beside_tables', has_tables),
            (8, 'session_settings', true), (9, 'create_rights', true), (10, 'strange_objects', true), (11, 'workers', true),
            (12, 'jobs', is_readable), (13, 'default_partitions', is_readable), (14, 'next_partitions', is_readable), (15, 'indexes', has_tables),
            (16, 'triggers', has_tables), (17, 'direct_access', has_tables), (18, 'wraparound', has_tables), (19, 'books', is_readable AND is_primary),
            (20, 'times', is_readable), (21, 'configuration', is_readable), (22, 'plans', is_readable), (23, 'prices', is_readable), (24, 'rate_limits', is_preloaded), (25, 'notifications', true), (26, 'synchronous_standbys', is_primary)) AS c (position, name, can_run)
        WHERE c.can_run ORDER BY c.position
    LOOP
        BEGIN
            EXECUTE format('SELECT c.status, c.detail, c.hint FROM claude_gpt_internal.%I() AS c', 'check_' || check_name) INTO status, detail, hint;
        -- A monitor wants an answer of what is broken, too; what cannot happen is none.
        EXCEPTION WHEN internal_error THEN
            RAISE;
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            status := 'critical';
            detail := format('%s (SQLSTATE %s)%s', message, code, COALESCE('. ' || NULLIF(detail, ''), ''));
            hint := COALESCE(NULLIF(hint, ''), 'This is an error of the check: docs/errors.md says more. The others do not depend on it.');
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION claude_gpt_internal.check_health(boolean) IS
'What health returns; of the tables only where p_is_ready says that all of them are one role''s. A check that fails is critical, with its error. Part of health and metrics. Errors: 42501 a superuser with p_is_ready, where the owner of the tables is none.';
