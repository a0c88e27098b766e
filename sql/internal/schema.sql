-- Topic schema: the tables and their migrations.

CREATE FUNCTION claude_gpt_internal.require_column_types() RETURNS void
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_require_column_types';
COMMENT ON FUNCTION claude_gpt_internal.require_column_types() IS
'Refuses tables of which a column has a type that the functions cannot read and write. Part of detach, usage_report_html and health. Errors: 42804.';

CREATE FUNCTION claude_gpt_internal.library_release() RETURNS text
    LANGUAGE c STABLE
    AS 'MODULE_PATHNAME', 'claude_gpt_library_release';
COMMENT ON FUNCTION claude_gpt_internal.library_release() IS
'The release of the library that the server has loaded. Part of updates, which need that of the new release.';
