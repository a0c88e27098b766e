CALL claude_gpt.create_partitions('audit_logs', '2050-01-01Z', '2050-01-20Z', '1 week');  -- none: owner, commits
CALL claude_gpt.create_partitions(p_table => 'usage_records', p_from => now() - interval '900 days', p_to => now() - interval '700 days');  -- none: owner, commits
CALL claude_gpt.drop_partitions_before('audit_logs', '2051-01-01Z');  -- none: owner, commits
CALL claude_gpt.drop_partitions_before('usage_records', now() - interval '1 year');  -- none: owner, commits
CALL claude_gpt.partition_table('messages', '1 month');  -- none: owner, commits
SELECT count(*) > 3 FROM claude_gpt.list_partitions();  -- operator monitor: nobody
SELECT count(*) > 0 FROM claude_gpt.list_partitions('audit_logs');  -- operator monitor: nobody
SELECT claude_gpt_internal.add_references('[]') IS NOT NULL;  -- none: nobody
SELECT claude_gpt_internal.attach_partition('audit_logs', '2060-01-01Z', '2060-01-20Z', 'attached') = 0;  -- none: 42501
SELECT claude_gpt_internal.build_partition('claude_gpt_data.audit_logs', 'claude_gpt_data.audit_logs', 'built') IS NOT NULL;  -- none: 42501
SELECT claude_gpt_internal.check_partition_range('2026-01-01Z', '2026-02-01Z', '1 week') IS NOT NULL;  -- none: nobody
SELECT claude_gpt_internal.convert_to_partitions('claude_gpt_data.messages') IS NOT NULL;  -- none: 42501
SELECT replace(claude_gpt_internal.copied_columns('claude_gpt_data.users'), '"', '') LIKE 'id, email, %';  -- none: nobody
SELECT claude_gpt_internal.create_next_partition('audit_logs', '2060-01-01Z', '2060-01-20Z', '1 week') LIKE 'created partition %';  -- none: 42501
SELECT done LIKE 'deleted from %' FROM claude_gpt_internal.delete_rows_before('audit_logs', '2099-01-01Z');  -- none: 42501
SELECT claude_gpt_internal.drop_next_partition_before('usage_records', '2099-01-01Z') LIKE 'dropped partition %';  -- none: 42501
SELECT jsonb_array_length(claude_gpt_internal.drop_references('claude_gpt_data.messages', true)) > 0;  -- none: 42501
SELECT claude_gpt_internal.finish_references() IS NULL;  -- none: nobody
SELECT claude_gpt_internal.has_partition_work('audit_logs', '2060-01-01Z', '2060-01-20Z', '1 week');  -- none: 42501
SELECT claude_gpt_internal.lock_referenced_tables('claude_gpt_data.audit_logs') IS NOT NULL;  -- none: 42501
SELECT count(*) = 4 FROM claude_gpt_internal.missing_partitions('audit_logs', '2060-01-01Z', '2060-01-20Z', '1 week');  -- none: 42501
SELECT claude_gpt_internal.partition_bound('2026-01-01Z', 'timestamptz') = '2026-01-01 00:00:00+00';  -- none: nobody
SELECT claude_gpt_internal.partition_moment('2026-01-01 00:00:00+00', 'timestamptz', false) = '2026-01-01Z';  -- operator monitor: nobody
SELECT claude_gpt_internal.partition_name('audit_logs', '1 week', '2060-01-05Z', '2060-01-12Z') = 'audit_logs_2060w02';  -- none: nobody
SELECT to_at = '2026-02-01Z' FROM claude_gpt_internal.partition_period('1 month', '2026-01-15Z');  -- none: nobody
SELECT claude_gpt_internal.partition_table_step('messages', '1 month', now()) LIKE 'partitioned table messages%';  -- none: 42501
SELECT key_column = 'created_at' FROM claude_gpt_internal.partitioned_table('audit_logs');  -- operator monitor: nobody
SELECT count(*) >= 0 FROM claude_gpt_internal.partitioning_obstacles('claude_gpt_data.messages');  -- none: nobody
SELECT count(*) > 0 FROM claude_gpt_internal.partitions_of('claude_gpt_data.audit_logs');  -- operator monitor: nobody
SELECT row_count > 0 FROM claude_gpt_internal.range_to_swap('usage_records', now() - interval '800 days', '1 month');  -- none: 42501
SELECT claude_gpt_internal.require_owner('claude_gpt_data.users') IS NOT NULL;  -- none: 42501
SELECT claude_gpt_internal.revoke_table_grants('claude_gpt_data.messages', true) IS NOT NULL;  -- none: 42501
SELECT count(*) > 0 FROM claude_gpt_internal.sibling_references('claude_gpt_data.messages');  -- none: nobody
SELECT claude_gpt_internal.swap_default_partition('usage_records', now() - interval '900 days', now() - interval '700 days', 'swapped') = 0;  -- none: 42501
SELECT count(*) > 0 FROM claude_gpt_internal.table_grants('claude_gpt_data.messages');  -- none: nobody
SELECT count(*) > 0 FROM claude_gpt_internal.table_properties('claude_gpt_data.messages');  -- none: nobody
SELECT count(*) = 0 FROM claude_gpt_internal.unfinished_references();  -- none: nobody
