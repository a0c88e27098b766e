-- Who was given access to the tables, so that it can be given again after a migration or a restore.
-- Locks: none, the table is new.

CREATE TABLE claude_gpt_data.application_grants (
    role_name text CONSTRAINT application_grants_pkey PRIMARY KEY,
    level text NOT NULL CONSTRAINT application_grants_level_check
        CHECK (level IN ('read', 'application', 'billing', 'operator', 'monitor')),
    granted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE claude_gpt_data.application_grants IS
'The roles that grant_application_access was called for, with their level. Written by that function.';
