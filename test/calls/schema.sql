CALL claude_gpt.migrate();  -- none: owner
CALL claude_gpt.adopt_schema('grown');  -- none: 42501, empty
SELECT claude_gpt.detach() IS NOT NULL;  -- none: 42501
UPDATE public.watched SET id = 2;  -- none: owner, fires update_updated_at_column
SELECT claude_gpt_internal.create_detached_functions() IS NOT NULL;  -- none: nobody
SELECT claude_gpt_internal.require_column_types() IS NOT NULL;  -- read application billing operator: nobody
SELECT claude_gpt_internal.library_release() LIKE '0.%';  -- none: nobody
SELECT count(*) = 0 FROM claude_gpt_internal.strangers_in_code();  -- none: nobody
SELECT claude_gpt_internal.require_own_code() IS NOT NULL;  -- none: nobody
SELECT claude_gpt_internal.lock_relations('{claude_gpt_data.users}', NULL, NULL) IS NOT NULL;  -- none: nobody
SELECT claude_gpt_internal.lock_own_relations() IS NOT NULL;  -- none: nobody
SELECT claude_gpt_internal.lock_trusted_tables('{claude_gpt_data.users}', 'detach') IS NOT NULL;  -- none: 42501
