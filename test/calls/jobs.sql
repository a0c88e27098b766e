CALL claude_gpt.run_job('JOB');  -- operator: owner, commits, each job
CALL claude_gpt.run_job('session_cleanup', 'pg_cron');  -- operator: owner, commits
CALL claude_gpt.run_job(p_name => 'session_cleanup', p_engine => 'call');  -- operator: owner, commits
CALL claude_gpt.run_due_jobs();  -- operator: owner, commits
SELECT count(*) > 8 FROM claude_gpt.schedule_with_pg_cron();  -- none: owner, pg_cron
SELECT count(*) > 8 FROM claude_gpt.schedule_with_pg_cron(p_reindex => true);  -- none: owner, pg_cron
SELECT claude_gpt.unschedule_pg_cron() >= 0;  -- none: owner
SELECT count(*) > 8 FROM claude_gpt_internal.job_looks();  -- operator monitor: owner
SELECT claude_gpt_internal.cron_schedule('1 hour', 5) = '5 * * * *';  -- none: nobody
SELECT claude_gpt_internal.cron_entry_name('analyze', 'chat') = 'claude_gpt analyze chat';  -- none: nobody
SELECT claude_gpt_internal.require_pg_cron('it') IS NOT NULL;  -- none: nobody, pg_cron
SELECT count(*) > 8 FROM claude_gpt_internal.hand_jobs_over('pg_cron');  -- none: owner
UPDATE claude_gpt_data.jobs SET run_every = '2 hours' WHERE name = 'analyze';  -- operator: owner, fires validate_job
UPDATE claude_gpt_data.jobs SET enabled = enabled;  -- operator: owner, fires look_at_changed_jobs
