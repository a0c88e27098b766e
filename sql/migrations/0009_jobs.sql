-- The jobs by which the database keeps itself, and their runs.
-- Locks: none, the tables are new.

CREATE TABLE claude_gpt_data.jobs (
    name varchar(40) CONSTRAINT jobs_pkey PRIMARY KEY,
    enabled boolean NOT NULL DEFAULT true,
    run_every interval NOT NULL,
    timeout interval NOT NULL DEFAULT '1 hour',
    next_run_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    engine varchar(20) NOT NULL DEFAULT 'worker',
    failures_in_a_row integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE claude_gpt_data.jobs IS
'The jobs of this database. A change takes effect at once: next_run_at in the past makes a job run now.';
COMMENT ON COLUMN claude_gpt_data.jobs.run_every IS 'From the end of a run to the next: 1 second to 366 days, in days, hours or less.';
COMMENT ON COLUMN claude_gpt_data.jobs.timeout IS 'How long a run may take: 1 second to 7 days, in a worker no longer than claude_gpt.max_job_time. What its batches did until then stays.';
COMMENT ON COLUMN claude_gpt_data.jobs.next_run_at IS
'A run is due from then on. Where a look finds nothing to do, nothing is written: the next look follows after run_every. A moment that is later than an hour after run_every from now was written by a clock that was ahead, and the job is due; to put one off, set enabled to false.';
COMMENT ON COLUMN claude_gpt_data.jobs.engine IS 'Who runs it by itself: "worker", or "pg_cron" where schedule_with_pg_cron() has handed it over.';
COMMENT ON COLUMN claude_gpt_data.jobs.failures_in_a_row IS 'While it is above zero, the next run follows after 10 seconds, doubled each time, at most an hour.';

CREATE TABLE claude_gpt_data.job_runs (
    id uuid CONSTRAINT job_runs_pkey PRIMARY KEY,
    job_name varchar(40) NOT NULL CONSTRAINT job_runs_job_name_fkey REFERENCES claude_gpt_data.jobs (name) ON UPDATE CASCADE ON DELETE CASCADE,
    engine varchar(20) NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    outcome varchar(20) NOT NULL DEFAULT 'running'
        CONSTRAINT job_runs_outcome_check CHECK (outcome = ANY ('{running,succeeded,failed}')),
    row_count bigint NOT NULL DEFAULT 0,
    progress text,
    sqlstate varchar(5),
    message text
) WITH (fillfactor = 70);  -- a run in progress is updated every second
COMMENT ON TABLE claude_gpt_data.job_runs IS
'The runs of the jobs. Looks that found nothing to do leave no row. Rows are kept as the configuration "retention" says.';
COMMENT ON COLUMN claude_gpt_data.job_runs.engine IS 'Who asked for the run: "worker", "pg_cron" or "call".';
COMMENT ON COLUMN claude_gpt_data.job_runs.progress IS 'What it has done last, for runs that take long.';
COMMENT ON COLUMN claude_gpt_data.job_runs.sqlstate IS
'Of the error it ended with; 57014 for a time-out or a cancellation, 57P02 where the server or the session ended in the middle of it.';

CREATE INDEX idx_job_runs_job_name ON claude_gpt_data.job_runs (job_name, started_at);
CREATE INDEX idx_job_runs_running ON claude_gpt_data.job_runs (job_name) WHERE outcome = 'running';

-- The first rows are those of src/core/jobs.def.
