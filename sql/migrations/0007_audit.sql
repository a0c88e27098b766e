-- The audit log, in partitions of a week.
-- Locks: SHARE ROW EXCLUSIVE on users (foreign key).

CREATE TABLE claude_gpt_data.audit_logs (
    id uuid NOT NULL,
    user_id uuid CONSTRAINT audit_logs_user_id_fkey REFERENCES claude_gpt_data.users (id) ON DELETE SET NULL,
    user_email varchar(255),
    action varchar(255) NOT NULL,
    resource_type varchar(255) NOT NULL,
    resource_id varchar(255),
    old_values jsonb,
    new_values jsonb,
    ip_address inet,
    user_agent text,
    request_id text,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT audit_logs_pkey PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE claude_gpt_data.audit_logs IS 'Who did what to which resource. Rows outlive the user they name.';

CREATE INDEX idx_audit_logs_user_id ON claude_gpt_data.audit_logs (user_id, created_at) WHERE user_id IS NOT NULL;
CREATE INDEX idx_audit_logs_action ON claude_gpt_data.audit_logs (action, created_at);
CREATE INDEX idx_audit_logs_resource ON claude_gpt_data.audit_logs (resource_type, resource_id);
CREATE INDEX idx_audit_logs_created_at ON claude_gpt_data.audit_logs USING brin (created_at);

CREATE TABLE claude_gpt_partitions.audit_logs_default PARTITION OF claude_gpt_data.audit_logs DEFAULT;

-- This ISO week and the next four, in UTC; what lies outside goes to the default partition.
DO $$
DECLARE
    week timestamptz := date_trunc('week', CURRENT_TIMESTAMP, 'UTC');
    next_week timestamptz;
BEGIN
    FOR i IN 1..5 LOOP
        next_week := (week AT TIME ZONE 'UTC' + interval '7 days') AT TIME ZONE 'UTC';
        EXECUTE format('CREATE TABLE claude_gpt_partitions.%I PARTITION OF claude_gpt_data.audit_logs FOR VALUES FROM (%L) TO (%L)',
                       'audit_logs_' || to_char(week AT TIME ZONE 'UTC', 'IYYY"w"IW'), week, next_week);
        week := next_week;
    END LOOP;
END
$$;
