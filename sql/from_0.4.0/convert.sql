-- Takes the columns of 0.4.0 to what sql/migrations says, with the rights of the owner of the tables.
-- Locks: they are held already. Rewritten is idempotency_keys alone; read once are users, for those who hold something, and
-- messages, for those that begin a branch; written are these, and balances of the time before the ledger. The ledger is read
-- for two of its indexes. Everything else is a change of the catalog.

DROP TRIGGER IF EXISTS check_users ON claude_gpt_data.users;
DROP TRIGGER IF EXISTS notify_changed_users ON claude_gpt_data.users;

ALTER TABLE claude_gpt_data.users
    ALTER COLUMN password_hash TYPE text,
    ALTER COLUMN password_hash DROP NOT NULL,
    ALTER COLUMN full_name TYPE text,
    ALTER COLUMN phone TYPE text,
    ALTER COLUMN preferred_language TYPE varchar(35),
    ALTER COLUMN theme_preference TYPE text,
    ALTER COLUMN stripe_customer_id TYPE varchar(255),
    ALTER COLUMN subscription_id TYPE varchar(255),
    ALTER COLUMN subscription_tier TYPE varchar,
    ALTER COLUMN email_verification_token TYPE text,
    ALTER COLUMN password_reset_token TYPE text;
ALTER TABLE claude_gpt_data.conversations ALTER COLUMN title TYPE text;
ALTER TABLE claude_gpt_data.messages
    ALTER COLUMN content_type TYPE varchar(255),
    ALTER COLUMN model_used TYPE varchar(255),
    ADD COLUMN is_root boolean NOT NULL DEFAULT false,
    ADD COLUMN cached_prompt_tokens integer,
    ADD COLUMN cache_write_tokens integer,
    ADD COLUMN reasoning_tokens integer,
    ADD COLUMN parts jsonb;
ALTER TABLE claude_gpt_data.usage_records
    ALTER COLUMN model_used TYPE varchar(255),
    ADD COLUMN prompt_tokens integer,
    ADD COLUMN completion_tokens integer,
    ADD COLUMN cached_prompt_tokens integer,
    ADD COLUMN cache_write_tokens integer,
    ADD COLUMN reasoning_tokens integer;
ALTER TABLE claude_gpt_data.usage_reservations
    ALTER COLUMN model_used TYPE varchar(255),
    ADD COLUMN is_estimated boolean,
    ADD COLUMN reported_usage text,
    ADD COLUMN reply_hash bigint,
    ADD COLUMN unit_prices text,
    ADD COLUMN renewed_at timestamptz;
ALTER TABLE claude_gpt_data.subscription_history
    ALTER COLUMN subscription_tier TYPE varchar,
    ALTER COLUMN stripe_subscription_id TYPE varchar(255),
    ALTER COLUMN stripe_invoice_id TYPE varchar(255),
    ALTER COLUMN amount TYPE numeric;
-- First, since a rule over a column is proved again, row by row, when its type changes.
ALTER TABLE claude_gpt_data.user_sessions DROP CONSTRAINT IF EXISTS user_sessions_device_type_check;
ALTER TABLE claude_gpt_data.user_sessions
    ALTER COLUMN session_token TYPE varchar(2048),
    ALTER COLUMN refresh_token TYPE varchar(2048),
    ALTER COLUMN device_id TYPE text,
    ALTER COLUMN device_type TYPE text,
    ALTER COLUMN device_name TYPE text,
    ALTER COLUMN app_version TYPE text;
ALTER TABLE claude_gpt_data.audit_logs
    ALTER COLUMN action TYPE varchar(255),
    ALTER COLUMN resource_type TYPE varchar(255),
    ALTER COLUMN resource_id TYPE varchar(255),
    ALTER COLUMN request_id TYPE text;
ALTER TABLE claude_gpt_data.application_grants ALTER COLUMN role_name TYPE text;
ALTER TABLE claude_gpt_data.idempotency_keys ALTER COLUMN fingerprint TYPE varchar(64) USING encode(fingerprint, 'hex');

DROP INDEX claude_gpt_data.idx_usage_records_user_id, claude_gpt_data.idx_usage_records_usage_type;
CREATE INDEX idx_usage_records_user_id ON claude_gpt_data.usage_records (user_id, billing_period) WHERE cost > 0;
CREATE INDEX idx_usage_records_usage_type ON claude_gpt_data.usage_records (usage_type, created_at) WHERE usage_type = 'api_call';

-- A default keeps the type that it was written in; one that a user has set is his.
DO $$
DECLARE
    item record;
BEGIN
    FOR item IN
        SELECT v.attname, v.value
        FROM (VALUES ('theme_preference', 'light', '''light''::character varying'),
                     ('subscription_tier', 'free', '''free''::claude_gpt.subscription_tier'),
                     ('subscription_tier', 'free', '(''free''::claude_gpt.subscription_tier)::character varying')) AS v (attname, value, written)
        JOIN pg_attribute AS a ON a.attrelid = 'claude_gpt_data.users'::regclass AND a.attname = v.attname
        JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE pg_get_expr(d.adbin, d.adrelid) IN (v.written, v.written || '::text')
    LOOP
        EXECUTE format('ALTER TABLE claude_gpt_data.users ALTER COLUMN %I SET DEFAULT %L', item.attname, item.value);
    END LOOP;
END
$$;

-- The type goes, unless a user has put it on a column of his own; it is his then.
DO $$
BEGIN
    DROP DOMAIN claude_gpt.subscription_tier;
EXCEPTION
    WHEN undefined_object THEN NULL;
    WHEN dependent_objects_still_exist THEN ALTER DOMAIN claude_gpt.subscription_tier SET SCHEMA claude_gpt_data;
END
$$;

-- Values that stood for none. Nobody else's trigger or rule takes part, and no updated_at moves.
DO $$
DECLARE
    expiries CONSTANT regclass := 'claude_gpt_data.users'::regclass;
    written CONSTANT regclass[] := '{claude_gpt_data.users,claude_gpt_data.usage_balances,claude_gpt_data.messages}';
    stop record;
    restart text := '';
    holders uuid[];
    moments timestamptz[];
    names text;
    remark record;
BEGIN
    FOR stop IN
        SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', t.tgrelid::regclass, t.tgname) AS off,
               format('ALTER TABLE %s ENABLE %sTRIGGER %I;', t.tgrelid::regclass, CASE t.tgenabled WHEN 'R' THEN 'REPLICA ' WHEN 'A' THEN 'ALWAYS ' END, t.tgname) AS back
        FROM pg_trigger AS t
        WHERE t.tgrelid = ANY (written) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
        UNION ALL
        SELECT format('ALTER TABLE %s DISABLE RULE %I', r.ev_class::regclass, r.rulename),
               format('ALTER TABLE %s ENABLE %sRULE %I;', r.ev_class::regclass, CASE r.ev_enabled WHEN 'R' THEN 'REPLICA ' WHEN 'A' THEN 'ALWAYS ' END, r.rulename)
        FROM pg_rewrite AS r
        WHERE r.ev_class = ANY (written) AND r.ev_enabled <> 'D'
    LOOP
        EXECUTE stop.off;
        restart := restart || stop.back;
    END LOOP;

    -- To write NULL into every row would write the whole table anew: the column goes and comes instead, and only those who
    -- hold something are written. Indexes over it would go with it in silence.
    SELECT string_agg(pg_describe_object(d.classid, d.objid, d.objsubid), ', ') INTO names
    FROM pg_depend AS d JOIN pg_attribute AS a ON a.attrelid = expiries AND a.attname = 'next_hold_expiry' AND d.refobjsubid = a.attnum
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = expiries AND d.classid <> 'pg_attrdef'::regclass
      AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE d.classid = 'pg_constraint'::regclass AND c.oid = d.objid AND c.contype = 'n');
    IF names IS NOT NULL THEN
        RAISE dependent_objects_still_exist USING MESSAGE = 'column "next_hold_expiry" of table "users" is in use',
            DETAIL = format('By %s.', names), HINT = 'Drop that first, and make it again after the update.';
    END IF;
    SELECT array_agg(u.id), array_agg(u.next_hold_expiry) INTO holders, moments FROM claude_gpt_data.users AS u WHERE u.next_hold_expiry <> 'infinity';
    SELECT string_agg(format('GRANT %s (next_hold_expiry) ON claude_gpt_data.users TO %s%s;', g.privilege_type,
                             CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END), '') INTO names
    FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS g WHERE a.attrelid = expiries AND a.attname = 'next_hold_expiry';
    ALTER TABLE claude_gpt_data.users DROP COLUMN next_hold_expiry;
    ALTER TABLE claude_gpt_data.users ADD COLUMN next_hold_expiry timestamptz, ADD COLUMN ledger_ahead_to date,
        ADD COLUMN billing_anchor_day integer, ADD COLUMN billing_period_ends_on date;
    EXECUTE COALESCE(names, '');
    UPDATE claude_gpt_data.users AS u SET next_hold_expiry = h.moment FROM unnest(holders, moments) AS h (id, moment) WHERE u.id = h.id;

    -- Records have the first day of the period, which is that of the month.
    UPDATE claude_gpt_data.users SET monthly_reset_date = date_trunc('month', monthly_reset_date::timestamp)::date
    WHERE monthly_reset_date <> date_trunc('month', monthly_reset_date::timestamp)::date;
    UPDATE claude_gpt_data.usage_balances SET billing_period = '0001-01-01' WHERE billing_period = '-infinity';
    -- Questions that begin_turn put beside the first one of a conversation: known by their reply, a microsecond later.
    UPDATE claude_gpt_data.messages AS m SET is_root = true
    WHERE m.parent_message_id IS NULL AND m.role = 'user'
      AND EXISTS (SELECT FROM claude_gpt_data.messages AS r
                  WHERE r.parent_message_id = m.id AND r.role = 'assistant' AND r.created_at = m.created_at + interval '1 microsecond')
      AND EXISTS (SELECT FROM claude_gpt_data.messages AS o
                  WHERE o.conversation_id = m.conversation_id AND (o.created_at, o.id) < (m.created_at, m.id));
    EXECUTE restart;
END
$$;

-- The baseline's stand there instead.
DELETE FROM claude_gpt_data.claude_gpt_migrations;
