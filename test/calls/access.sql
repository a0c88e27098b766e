SELECT claude_gpt.grant_application_access('hired') IS NOT NULL;  -- none: owner
SELECT claude_gpt.grant_application_access('hired', 'billing') IS NOT NULL;  -- none: owner
SELECT claude_gpt.grant_application_access(p_role => 'hired', p_level => 'read') IS NOT NULL;  -- none: owner
SELECT claude_gpt.revoke_application_access('app') IS NOT NULL;  -- none: owner
SELECT claude_gpt.set_owner('heir') IS NOT NULL;  -- none: nobody, as heir
SELECT claude_gpt_internal.apply_access('hired', 'operator') IS NOT NULL;  -- none: nobody
SELECT claude_gpt_internal.withdraw_access('app') IS NOT NULL;  -- none: nobody
SELECT claude_gpt_internal.record_access('hired', 'read') IS NOT NULL;  -- none: owner
SELECT claude_gpt_internal.record_access('app', NULL) IS NOT NULL;  -- none: owner
SELECT claude_gpt_internal.reapply_access() IS NOT NULL;  -- none: owner
SELECT count(*) > 0 FROM claude_gpt_internal.recorded_access();  -- none: owner
SELECT claude_gpt_internal.place_search_path('hired', 'read') IS NOT NULL;  -- none: nobody
UPDATE claude_gpt_data.messages SET role = 'user' WHERE id = :'question';  -- application: owner, fires enforce_column_rules
SELECT NOT claude_gpt_internal.is_superuser(pg_catalog.to_regrole('app'));  -- read application billing operator monitor: nobody
SELECT count(*) > 20 FROM claude_gpt_internal.own_relations();  -- operator monitor: nobody
SELECT status IS NOT NULL FROM claude_gpt_internal.check_session_settings();  -- none: nobody
SELECT status IS NOT NULL FROM claude_gpt_internal.check_subscriptions();  -- none: nobody
SELECT count(*) = 0 FROM claude_gpt_internal.objects_of_others(pg_catalog.to_regrole('mallory'));  -- operator monitor: nobody
SELECT claude_gpt_internal.require_nothing_of_others(pg_catalog.to_regrole('mallory')) IS NOT NULL;  -- none: nobody
SELECT status IS NOT NULL FROM claude_gpt_internal.check_objects_of_others();  -- none: nobody
SELECT claude_gpt_internal.require_trusted_tables() IS NOT NULL;  -- read application billing operator: 42501
SELECT claude_gpt_internal.renew_search_path('hired', 'read') IS NOT NULL;  -- none: nobody
SELECT count(*) > 40 FROM claude_gpt_internal.routine_levels();  -- none: nobody
