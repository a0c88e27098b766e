-- Configuration: what changes what a user may do or pay.
-- Locks: none, the table is new.

CREATE TABLE claude_gpt_data.system_configs (
    id uuid CONSTRAINT system_configs_pkey PRIMARY KEY,
    config_key varchar(100) NOT NULL CONSTRAINT idx_system_configs_key UNIQUE,
    config_value jsonb NOT NULL,
    description text,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
COMMENT ON TABLE claude_gpt_data.system_configs IS
'Configuration. Known keys are validated when written; an inactive row counts as absent; other keys are free for the application.';

CREATE INDEX idx_system_configs_active ON claude_gpt_data.system_configs (config_key) WHERE is_active;

-- The first rows are those of src/core/config_keys.def.
