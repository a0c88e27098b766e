--
-- PostgreSQL database dump
--

\restrict UKfNa1oot2d8tPQsXWpCgDzs5K8ci5PRySvYK0HmT1UzXsuaMi00OX1ZPyp81VQ

-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)
-- Dumped by pg_dump version 15.20 (Debian 15.20-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: claude_gpt; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA claude_gpt;


ALTER SCHEMA claude_gpt OWNER TO postgres;

--
-- Name: claude_gpt; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS claude_gpt WITH SCHEMA claude_gpt;


--
-- Name: EXTENSION claude_gpt; Type: COMMENT; Schema: -; Owner: 
--

COMMENT ON EXTENSION claude_gpt IS 'the back office of an LLM chat application: users, conversations, metering, subscriptions, sessions, audit';


--
-- Name: subscription_tier; Type: DOMAIN; Schema: claude_gpt; Owner: keeper
--

CREATE DOMAIN claude_gpt.subscription_tier AS character varying(20)
	CONSTRAINT subscription_tier_check CHECK (((VALUE)::text = ANY ('{free,base,pro}'::text[])));


ALTER DOMAIN claude_gpt.subscription_tier OWNER TO keeper;

--
-- Name: DOMAIN subscription_tier; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON DOMAIN claude_gpt.subscription_tier IS 'The names of the plans.';


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: application_grants; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.application_grants (
    role_name name NOT NULL,
    level text NOT NULL,
    granted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT application_grants_level_check CHECK ((level = ANY (ARRAY['read'::text, 'application'::text, 'billing'::text, 'operator'::text, 'monitor'::text])))
);


ALTER TABLE claude_gpt.application_grants OWNER TO keeper;

--
-- Name: TABLE application_grants; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.application_grants IS 'The roles that grant_application_access was called for, with their level. Written by that function.';


--
-- Name: audit_logs; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.audit_logs (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid,
    user_email character varying(255),
    action character varying(100) NOT NULL,
    resource_type character varying(50) NOT NULL,
    resource_id character varying(100),
    old_values jsonb,
    new_values jsonb,
    ip_address inet,
    user_agent text,
    request_id character varying(100),
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
)
PARTITION BY RANGE (created_at);


ALTER TABLE claude_gpt.audit_logs OWNER TO keeper;

--
-- Name: TABLE audit_logs; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.audit_logs IS 'Who did what to which resource. Rows outlive the user they name.';


--
-- Name: audit_logs_2026w48; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.audit_logs_2026w48 (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid,
    user_email character varying(255),
    action character varying(100) NOT NULL,
    resource_type character varying(50) NOT NULL,
    resource_id character varying(100),
    old_values jsonb,
    new_values jsonb,
    ip_address inet,
    user_agent text,
    request_id character varying(100),
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);


ALTER TABLE claude_gpt.audit_logs_2026w48 OWNER TO keeper;

--
-- Name: audit_logs_2026w49; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.audit_logs_2026w49 (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid,
    user_email character varying(255),
    action character varying(100) NOT NULL,
    resource_type character varying(50) NOT NULL,
    resource_id character varying(100),
    old_values jsonb,
    new_values jsonb,
    ip_address inet,
    user_agent text,
    request_id character varying(100),
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);


ALTER TABLE claude_gpt.audit_logs_2026w49 OWNER TO keeper;

--
-- Name: audit_logs_2026w50; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.audit_logs_2026w50 (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid,
    user_email character varying(255),
    action character varying(100) NOT NULL,
    resource_type character varying(50) NOT NULL,
    resource_id character varying(100),
    old_values jsonb,
    new_values jsonb,
    ip_address inet,
    user_agent text,
    request_id character varying(100),
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);


ALTER TABLE claude_gpt.audit_logs_2026w50 OWNER TO keeper;

--
-- Name: audit_logs_2026w51; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.audit_logs_2026w51 (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid,
    user_email character varying(255),
    action character varying(100) NOT NULL,
    resource_type character varying(50) NOT NULL,
    resource_id character varying(100),
    old_values jsonb,
    new_values jsonb,
    ip_address inet,
    user_agent text,
    request_id character varying(100),
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);


ALTER TABLE claude_gpt.audit_logs_2026w51 OWNER TO keeper;

--
-- Name: audit_logs_2026w52; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.audit_logs_2026w52 (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid,
    user_email character varying(255),
    action character varying(100) NOT NULL,
    resource_type character varying(50) NOT NULL,
    resource_id character varying(100),
    old_values jsonb,
    new_values jsonb,
    ip_address inet,
    user_agent text,
    request_id character varying(100),
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);


ALTER TABLE claude_gpt.audit_logs_2026w52 OWNER TO keeper;

--
-- Name: audit_logs_default; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.audit_logs_default (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid,
    user_email character varying(255),
    action character varying(100) NOT NULL,
    resource_type character varying(50) NOT NULL,
    resource_id character varying(100),
    old_values jsonb,
    new_values jsonb,
    ip_address inet,
    user_agent text,
    request_id character varying(100),
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);


ALTER TABLE claude_gpt.audit_logs_default OWNER TO keeper;

--
-- Name: claude_gpt_migrations; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.claude_gpt_migrations (
    id integer NOT NULL,
    name text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


ALTER TABLE claude_gpt.claude_gpt_migrations OWNER TO keeper;

--
-- Name: conversations; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.conversations (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid NOT NULL,
    title character varying(200),
    summary text,
    message_count integer DEFAULT 0 NOT NULL,
    total_tokens bigint DEFAULT 0 NOT NULL,
    total_cost numeric(20,9) DEFAULT 0 NOT NULL,
    is_archived boolean DEFAULT false NOT NULL,
    is_pinned boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_message_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_message_on date
)
WITH (fillfactor='80');


ALTER TABLE claude_gpt.conversations OWNER TO keeper;

--
-- Name: TABLE conversations; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.conversations IS 'Conversations of a user. The counters and last_message_at follow the messages by triggers; messages with status "deleted" count as absent.';


--
-- Name: COLUMN conversations.last_message_on; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.conversations.last_message_on IS 'The UTC day of last_message_at, for the index.';


--
-- Name: messages; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.messages (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    conversation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role character varying(20) NOT NULL,
    content text NOT NULL,
    content_type character varying(20) DEFAULT 'text'::character varying NOT NULL,
    model_used character varying(50),
    prompt_tokens integer,
    completion_tokens integer,
    total_tokens integer,
    cost numeric(20,9),
    status character varying(20) DEFAULT 'sent'::character varying NOT NULL,
    error_message text,
    metadata jsonb,
    parent_message_id uuid,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    is_searchable boolean DEFAULT false NOT NULL
);


ALTER TABLE claude_gpt.messages OWNER TO keeper;

--
-- Name: TABLE messages; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.messages IS 'Messages of conversations. A reply and its parent are in the same conversation, which a trigger checks.';


--
-- Name: COLUMN messages.is_searchable; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.messages.is_searchable IS 'Whether the full-text index holds the message. Off by default, since indexing doubles the cost of storing a message.';


--
-- Name: conversation_summary; Type: VIEW; Schema: claude_gpt; Owner: keeper
--

CREATE VIEW claude_gpt.conversation_summary WITH (security_invoker='true') AS
 SELECT c.id,
    c.user_id,
    c.title,
    c.message_count,
    c.total_tokens,
    c.total_cost,
    c.created_at,
    c.last_message_at,
    c.is_archived,
    c.is_pinned,
    m.content AS last_message_content,
    m.role AS last_message_role
   FROM (claude_gpt.conversations c
     LEFT JOIN LATERAL ( SELECT messages.content,
            messages.role
           FROM claude_gpt.messages
          WHERE ((messages.conversation_id = c.id) AND ((messages.status)::text <> 'deleted'::text))
          ORDER BY messages.created_at DESC, messages.id DESC
         LIMIT 1) m ON (true));


ALTER TABLE claude_gpt.conversation_summary OWNER TO keeper;

--
-- Name: VIEW conversation_summary; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON VIEW claude_gpt.conversation_summary IS 'Each conversation with its counters and its newest message that is not deleted.';


--
-- Name: idempotency_keys; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.idempotency_keys (
    user_id uuid NOT NULL,
    idempotency_key character varying(255) NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    limit_name text,
    limit_value bigint,
    used bigint,
    held bigint,
    remaining bigint,
    resets_at timestamp with time zone,
    reservation_id uuid,
    usage_record_id uuid
);


ALTER TABLE claude_gpt.idempotency_keys OWNER TO keeper;

--
-- Name: TABLE idempotency_keys; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.idempotency_keys IS 'Keys that clients gave to calls, with the answer that a repeated call gets until the key expires. Written by functions of claude_gpt.';


--
-- Name: COLUMN idempotency_keys.fingerprint; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.idempotency_keys.fingerprint IS 'SHA-256 over the function and its arguments.';


--
-- Name: job_runs; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.job_runs (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    job_name character varying(40) NOT NULL,
    engine character varying(20) NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    outcome character varying(20) DEFAULT 'running'::character varying NOT NULL,
    row_count bigint DEFAULT 0 NOT NULL,
    progress text,
    sqlstate character varying(5),
    message text,
    CONSTRAINT job_runs_outcome_check CHECK (((outcome)::text = ANY ('{running,succeeded,failed}'::text[])))
)
WITH (fillfactor='70');


ALTER TABLE claude_gpt.job_runs OWNER TO keeper;

--
-- Name: TABLE job_runs; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.job_runs IS 'The runs of the jobs. Looks that found nothing to do leave no row. Rows are kept as the configuration "retention" says.';


--
-- Name: COLUMN job_runs.engine; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.job_runs.engine IS 'Who asked for the run: "worker", "pg_cron" or "call".';


--
-- Name: COLUMN job_runs.progress; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.job_runs.progress IS 'What it has done last, for runs that take long.';


--
-- Name: COLUMN job_runs.sqlstate; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.job_runs.sqlstate IS 'Of the error it ended with; 57014 for a time-out or a cancellation, 57P02 where the server or the session ended in the middle of it.';


--
-- Name: jobs; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.jobs (
    name character varying(40) NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    run_every interval NOT NULL,
    timeout interval DEFAULT '01:00:00'::interval NOT NULL,
    next_run_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    engine character varying(20) DEFAULT 'worker'::character varying NOT NULL,
    failures_in_a_row integer DEFAULT 0 NOT NULL
);


ALTER TABLE claude_gpt.jobs OWNER TO keeper;

--
-- Name: TABLE jobs; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.jobs IS 'The jobs of this database. A change takes effect at once: next_run_at in the past makes a job run now.';


--
-- Name: COLUMN jobs.run_every; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.jobs.run_every IS 'From the end of a run to the next: 1 second to 366 days, in days, hours or less.';


--
-- Name: COLUMN jobs.timeout; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.jobs.timeout IS 'How long a run may take: 1 second to 7 days. What its batches did until then stays.';


--
-- Name: COLUMN jobs.next_run_at; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.jobs.next_run_at IS 'A run is due from then on. Where a look finds nothing to do, nothing is written: the next look follows after run_every.';


--
-- Name: COLUMN jobs.engine; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.jobs.engine IS 'Who runs it by itself: "worker", or "pg_cron" where schedule_with_pg_cron() has handed it over.';


--
-- Name: COLUMN jobs.failures_in_a_row; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.jobs.failures_in_a_row IS 'While it is above zero, the next run follows after 10 seconds, doubled each time, at most an hour.';


--
-- Name: job_status; Type: VIEW; Schema: claude_gpt; Owner: keeper
--

CREATE VIEW claude_gpt.job_status WITH (security_invoker='true') AS
 SELECT j.name,
    j.enabled,
    j.engine,
    j.run_every,
    l.due_at AS next_run_at,
    r.started_at AS last_started_at,
    r.finished_at AS last_finished_at,
    r.engine AS last_engine,
    r.outcome AS last_outcome,
    r.row_count AS last_row_count,
    r.progress AS last_progress,
    r.sqlstate AS last_sqlstate,
    r.message AS last_message,
    l.looked_at AS last_looked_at,
    j.failures_in_a_row,
    ((
        CASE
            WHEN (j.enabled AND ((r.outcome)::text IS DISTINCT FROM 'running'::text)) THEN l.lateness_seconds
            ELSE (0)::bigint
        END)::double precision * '00:00:01'::interval) AS lateness
   FROM ((claude_gpt.jobs j
     LEFT JOIN claude_gpt.job_looks() l(name, looked_at, due_at, lateness_seconds) ON ((l.name = (j.name)::text)))
     LEFT JOIN LATERAL ( SELECT o.started_at,
            o.finished_at,
            o.engine,
            o.outcome,
            o.row_count,
            o.progress,
            o.sqlstate,
            o.message
           FROM claude_gpt.job_runs o
          WHERE ((o.job_name)::text = (j.name)::text)
          ORDER BY o.started_at DESC, o.id DESC
         LIMIT 1) r ON (true));


ALTER TABLE claude_gpt.job_status OWNER TO keeper;

--
-- Name: VIEW job_status; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON VIEW claude_gpt.job_status IS 'Each job with its last run, when it is due next, how often it has failed in a row, and how late it is.';


--
-- Name: subscription_history; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.subscription_history (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid NOT NULL,
    subscription_tier character varying(20) NOT NULL,
    subscription_status character varying(20) NOT NULL,
    stripe_subscription_id character varying(100),
    stripe_invoice_id character varying(100),
    amount numeric(10,2),
    currency character varying(3) DEFAULT 'CNY'::character varying,
    period_start timestamp with time zone,
    period_end timestamp with time zone,
    event_type character varying(30) NOT NULL,
    metadata jsonb,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    CONSTRAINT subscription_history_event_type_check CHECK (((event_type)::text = ANY ('{subscription_created,subscription_updated,subscription_cancelled,payment_succeeded,payment_failed,trial_started,trial_ended}'::text[])))
);


ALTER TABLE claude_gpt.subscription_history OWNER TO keeper;

--
-- Name: TABLE subscription_history; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.subscription_history IS 'Every event of a subscription, newest last.';


--
-- Name: system_configs; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.system_configs (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    config_key character varying(100) NOT NULL,
    config_value jsonb NOT NULL,
    description text,
    is_active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);


ALTER TABLE claude_gpt.system_configs OWNER TO keeper;

--
-- Name: TABLE system_configs; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.system_configs IS 'Configuration. Known keys are validated when written; an inactive row counts as absent; other keys are free for the application.';


--
-- Name: usage_balances; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.usage_balances (
    user_id uuid NOT NULL,
    usage_type character varying(20) NOT NULL,
    billing_period date NOT NULL,
    quantity bigint DEFAULT 0 NOT NULL,
    cost numeric(20,9) DEFAULT 0 NOT NULL,
    CONSTRAINT usage_balances_usage_type_check CHECK (((usage_type)::text = ANY ('{message,token,api_call}'::text[])))
);


ALTER TABLE claude_gpt.usage_balances OWNER TO keeper;

--
-- Name: TABLE usage_balances; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.usage_balances IS 'What the counters of users hold beyond the ledger: counters = ledger + balances, for each user, type and month. The period "-infinity" is the time before the ledger; a balance is negative where a counter taken over was below its ledger.';


--
-- Name: usage_records; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.usage_records (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid NOT NULL,
    usage_type character varying(20) NOT NULL,
    quantity bigint DEFAULT 1 NOT NULL,
    model_used character varying(50),
    cost numeric(20,9) DEFAULT 0 NOT NULL,
    message_id uuid,
    conversation_id uuid,
    metadata jsonb,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    billing_period date DEFAULT (date_trunc('month'::text, (CURRENT_TIMESTAMP AT TIME ZONE 'UTC'::text)))::date NOT NULL
)
PARTITION BY RANGE (created_at);


ALTER TABLE claude_gpt.usage_records OWNER TO keeper;

--
-- Name: TABLE usage_records; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.usage_records IS 'The ledger: what was used, at what cost, and in which month it was counted. Written by functions of claude_gpt.';


--
-- Name: COLUMN usage_records.billing_period; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.usage_records.billing_period IS 'First day of the month whose counters hold the quantity.';


--
-- Name: usage_records_2026q4; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.usage_records_2026q4 (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid NOT NULL,
    usage_type character varying(20) NOT NULL,
    quantity bigint DEFAULT 1 NOT NULL,
    model_used character varying(50),
    cost numeric(20,9) DEFAULT 0 NOT NULL,
    message_id uuid,
    conversation_id uuid,
    metadata jsonb,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    billing_period date DEFAULT (date_trunc('month'::text, (CURRENT_TIMESTAMP AT TIME ZONE 'UTC'::text)))::date NOT NULL
);


ALTER TABLE claude_gpt.usage_records_2026q4 OWNER TO keeper;

--
-- Name: usage_records_2027q1; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.usage_records_2027q1 (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid NOT NULL,
    usage_type character varying(20) NOT NULL,
    quantity bigint DEFAULT 1 NOT NULL,
    model_used character varying(50),
    cost numeric(20,9) DEFAULT 0 NOT NULL,
    message_id uuid,
    conversation_id uuid,
    metadata jsonb,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    billing_period date DEFAULT (date_trunc('month'::text, (CURRENT_TIMESTAMP AT TIME ZONE 'UTC'::text)))::date NOT NULL
);


ALTER TABLE claude_gpt.usage_records_2027q1 OWNER TO keeper;

--
-- Name: usage_records_default; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.usage_records_default (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid NOT NULL,
    usage_type character varying(20) NOT NULL,
    quantity bigint DEFAULT 1 NOT NULL,
    model_used character varying(50),
    cost numeric(20,9) DEFAULT 0 NOT NULL,
    message_id uuid,
    conversation_id uuid,
    metadata jsonb,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    billing_period date DEFAULT (date_trunc('month'::text, (CURRENT_TIMESTAMP AT TIME ZONE 'UTC'::text)))::date NOT NULL
);


ALTER TABLE claude_gpt.usage_records_default OWNER TO keeper;

--
-- Name: usage_reservations; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.usage_reservations (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid NOT NULL,
    status character varying(20) DEFAULT 'open'::character varying NOT NULL,
    message_count integer NOT NULL,
    token_count bigint NOT NULL,
    cost numeric(20,9) DEFAULT 0 NOT NULL,
    model_used character varying(50),
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    conversation_id uuid,
    user_message_id uuid,
    assistant_message_id uuid,
    closed_at timestamp with time zone,
    prompt_tokens integer,
    completion_tokens integer,
    cached_prompt_tokens integer,
    cache_write_tokens integer,
    given_cost numeric(20,9),
    charged_cost numeric(20,9),
    was_late boolean,
    has_failed boolean
)
WITH (fillfactor='80');


ALTER TABLE claude_gpt.usage_reservations OWNER TO keeper;

--
-- Name: TABLE usage_reservations; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.usage_reservations IS 'Usage held until it is settled, released or expired. Written by functions of claude_gpt. An open reservation whose expires_at has passed holds nothing more, marked or not.';


--
-- Name: COLUMN usage_reservations.message_count; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.usage_reservations.message_count IS 'Messages it held, and charges when it is settled; token_count and cost are what it held of these.';


--
-- Name: COLUMN usage_reservations.given_cost; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.usage_reservations.given_cost IS 'The cost that settling was called with; NULL where it was computed from the price of the model.';


--
-- Name: COLUMN usage_reservations.has_failed; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.usage_reservations.has_failed IS 'Whether the turn that it charges has failed.';


--
-- Name: user_sessions; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.user_sessions (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    user_id uuid NOT NULL,
    session_token character varying(255) NOT NULL,
    refresh_token character varying(255),
    device_id character varying(100),
    device_type character varying(20),
    device_name character varying(100),
    app_version character varying(20),
    ip_address inet,
    user_agent text,
    is_active boolean DEFAULT true NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    CONSTRAINT user_sessions_device_type_check CHECK (((device_type)::text = ANY ('{ios,android,web}'::text[])))
)
WITH (fillfactor='90');


ALTER TABLE claude_gpt.user_sessions OWNER TO keeper;

--
-- Name: TABLE user_sessions; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.user_sessions IS 'Login sessions. One that has expired or is not active counts no more, whether or not it was cleaned up.';


--
-- Name: users; Type: TABLE; Schema: claude_gpt; Owner: keeper
--

CREATE TABLE claude_gpt.users (
    id uuid DEFAULT claude_gpt.uuid_v7() NOT NULL,
    email character varying(255) NOT NULL,
    password_hash character varying(255) NOT NULL,
    full_name character varying(100),
    avatar_url text,
    phone character varying(20),
    preferred_language character varying(10) DEFAULT 'en'::character varying,
    theme_preference character varying(10) DEFAULT 'light'::character varying,
    stripe_customer_id character varying(100),
    subscription_id character varying(100),
    subscription_tier claude_gpt.subscription_tier DEFAULT 'free'::character varying NOT NULL,
    subscription_status character varying(20) DEFAULT 'inactive'::character varying NOT NULL,
    subscription_current_period_end timestamp with time zone,
    subscription_cancel_at_period_end boolean DEFAULT false NOT NULL,
    email_verified boolean DEFAULT false NOT NULL,
    email_verification_token character varying(100),
    password_reset_token character varying(100),
    password_reset_expires timestamp with time zone,
    last_login_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    monthly_message_count integer DEFAULT 0 NOT NULL,
    total_message_count integer DEFAULT 0 NOT NULL,
    last_active_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    monthly_token_count bigint DEFAULT 0 NOT NULL,
    total_token_count bigint DEFAULT 0 NOT NULL,
    monthly_cost numeric(20,9) DEFAULT 0 NOT NULL,
    total_cost numeric(20,9) DEFAULT 0 NOT NULL,
    monthly_api_call_count bigint DEFAULT 0 NOT NULL,
    total_api_call_count bigint DEFAULT 0 NOT NULL,
    monthly_reset_date date DEFAULT claude_gpt.current_billing_period() NOT NULL,
    last_active_on date,
    held_message_count integer DEFAULT 0 NOT NULL,
    held_token_count bigint DEFAULT 0 NOT NULL,
    held_cost numeric(20,9) DEFAULT 0 NOT NULL,
    next_hold_expiry timestamp with time zone DEFAULT 'infinity'::timestamp with time zone NOT NULL,
    nickname text DEFAULT 'friend'::text
)
WITH (fillfactor='75');


ALTER TABLE claude_gpt.users OWNER TO keeper;

--
-- Name: TABLE users; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON TABLE claude_gpt.users IS 'Accounts of the application, with subscription and usage counters. Tier, subscription and counters are written by functions of claude_gpt.';


--
-- Name: COLUMN users.monthly_reset_date; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.users.monthly_reset_date IS 'The day from which the monthly counters count.';


--
-- Name: COLUMN users.last_active_on; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.users.last_active_on IS 'The UTC day of last_active_at, for the index.';


--
-- Name: COLUMN users.held_message_count; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.users.held_message_count IS 'Messages held by open reservations; so held_token_count and held_cost.';


--
-- Name: COLUMN users.next_hold_expiry; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON COLUMN claude_gpt.users.next_hold_expiry IS 'No open reservation expires before this moment; "infinity" where nothing is held.';


--
-- Name: user_statistics; Type: VIEW; Schema: claude_gpt; Owner: keeper
--

CREATE VIEW claude_gpt.user_statistics WITH (security_invoker='true') AS
 SELECT u.id,
    u.email,
    u.subscription_tier,
    u.subscription_status,
        CASE
            WHEN (u.monthly_reset_date < ( SELECT claude_gpt.current_billing_period() AS current_billing_period)) THEN 0
            ELSE u.monthly_message_count
        END AS monthly_message_count,
    u.total_message_count,
    COALESCE(s.conversation_count, (0)::bigint) AS conversation_count,
    COALESCE(s.total_messages, (0)::bigint) AS total_messages,
    GREATEST(u.total_cost, (COALESCE(s.ledger_cost, (0)::numeric) + COALESCE(s.balance_cost, (0)::numeric))) AS total_cost,
    u.created_at,
    u.last_active_at
   FROM (claude_gpt.users u
     LEFT JOIN ( SELECT part.user_id,
            max(part.conversation_count) AS conversation_count,
            max(part.total_messages) AS total_messages,
            max(part.ledger_cost) AS ledger_cost,
            max(part.balance_cost) AS balance_cost
           FROM ( SELECT conversations.user_id,
                    count(*) AS conversation_count,
                    NULL::bigint AS total_messages,
                    NULL::numeric AS ledger_cost,
                    NULL::numeric AS balance_cost
                   FROM claude_gpt.conversations
                  WHERE (NOT conversations.is_archived)
                  GROUP BY conversations.user_id
                UNION ALL
                 SELECT messages.user_id,
                    NULL::bigint AS conversation_count,
                    count(*) AS total_messages,
                    NULL::numeric AS ledger_cost,
                    NULL::numeric AS balance_cost
                   FROM claude_gpt.messages
                  WHERE ((messages.status)::text <> 'deleted'::text)
                  GROUP BY messages.user_id
                UNION ALL
                 SELECT usage_records.user_id,
                    NULL::bigint AS conversation_count,
                    NULL::bigint AS total_messages,
                    sum(usage_records.cost) AS ledger_cost,
                    NULL::numeric AS balance_cost
                   FROM claude_gpt.usage_records
                  GROUP BY usage_records.user_id
                UNION ALL
                 SELECT usage_balances.user_id,
                    NULL::bigint AS conversation_count,
                    NULL::bigint AS total_messages,
                    NULL::numeric AS ledger_cost,
                    sum(usage_balances.cost) AS balance_cost
                   FROM claude_gpt.usage_balances
                  GROUP BY usage_balances.user_id) part
          GROUP BY part.user_id) s ON ((s.user_id = u.id)));


ALTER TABLE claude_gpt.user_statistics OWNER TO keeper;

--
-- Name: VIEW user_statistics; Type: COMMENT; Schema: claude_gpt; Owner: keeper
--

COMMENT ON VIEW claude_gpt.user_statistics IS 'Each user with the counters of this month and in total, the conversations that are not archived, the messages that are not deleted, and the cost. Ask for single users by id.';


--
-- Name: audit_logs_2026w48; Type: TABLE ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs ATTACH PARTITION claude_gpt.audit_logs_2026w48 FOR VALUES FROM ('2026-11-23 00:00:00+00') TO ('2026-11-30 00:00:00+00');


--
-- Name: audit_logs_2026w49; Type: TABLE ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs ATTACH PARTITION claude_gpt.audit_logs_2026w49 FOR VALUES FROM ('2026-11-30 00:00:00+00') TO ('2026-12-07 00:00:00+00');


--
-- Name: audit_logs_2026w50; Type: TABLE ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs ATTACH PARTITION claude_gpt.audit_logs_2026w50 FOR VALUES FROM ('2026-12-07 00:00:00+00') TO ('2026-12-14 00:00:00+00');


--
-- Name: audit_logs_2026w51; Type: TABLE ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs ATTACH PARTITION claude_gpt.audit_logs_2026w51 FOR VALUES FROM ('2026-12-14 00:00:00+00') TO ('2026-12-21 00:00:00+00');


--
-- Name: audit_logs_2026w52; Type: TABLE ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs ATTACH PARTITION claude_gpt.audit_logs_2026w52 FOR VALUES FROM ('2026-12-21 00:00:00+00') TO ('2026-12-28 00:00:00+00');


--
-- Name: audit_logs_default; Type: TABLE ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs ATTACH PARTITION claude_gpt.audit_logs_default DEFAULT;


--
-- Name: usage_records_2026q4; Type: TABLE ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.usage_records ATTACH PARTITION claude_gpt.usage_records_2026q4 FOR VALUES FROM ('2026-10-01 00:00:00+00') TO ('2027-01-01 00:00:00+00');


--
-- Name: usage_records_2027q1; Type: TABLE ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.usage_records ATTACH PARTITION claude_gpt.usage_records_2027q1 FOR VALUES FROM ('2027-01-01 00:00:00+00') TO ('2027-04-01 00:00:00+00');


--
-- Name: usage_records_default; Type: TABLE ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.usage_records ATTACH PARTITION claude_gpt.usage_records_default DEFAULT;


--
-- Data for Name: application_grants; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.application_grants (role_name, level, granted_at) FROM stdin;
app	application	2026-11-23 14:36:05.625984+00
reader	read	2026-11-23 14:36:05.636306+00
\.


--
-- Data for Name: audit_logs_2026w48; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.audit_logs_2026w48 (id, user_id, user_email, action, resource_type, resource_id, old_values, new_values, ip_address, user_agent, request_id, created_at) FROM stdin;
01a2065f-af29-78a3-b5a4-bb470d849a7c	00000000-0000-4000-8000-000000000001	\N	login	user	\N	\N	\N	\N	\N	\N	2026-11-23 03:07:43.785388+00
\.


--
-- Data for Name: audit_logs_2026w49; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.audit_logs_2026w49 (id, user_id, user_email, action, resource_type, resource_id, old_values, new_values, ip_address, user_agent, request_id, created_at) FROM stdin;
\.


--
-- Data for Name: audit_logs_2026w50; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.audit_logs_2026w50 (id, user_id, user_email, action, resource_type, resource_id, old_values, new_values, ip_address, user_agent, request_id, created_at) FROM stdin;
\.


--
-- Data for Name: audit_logs_2026w51; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.audit_logs_2026w51 (id, user_id, user_email, action, resource_type, resource_id, old_values, new_values, ip_address, user_agent, request_id, created_at) FROM stdin;
\.


--
-- Data for Name: audit_logs_2026w52; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.audit_logs_2026w52 (id, user_id, user_email, action, resource_type, resource_id, old_values, new_values, ip_address, user_agent, request_id, created_at) FROM stdin;
\.


--
-- Data for Name: audit_logs_default; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.audit_logs_default (id, user_id, user_email, action, resource_type, resource_id, old_values, new_values, ip_address, user_agent, request_id, created_at) FROM stdin;
\.


--
-- Data for Name: claude_gpt_migrations; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.claude_gpt_migrations (id, name, applied_at) FROM stdin;
1	0001_users	2026-11-23 14:36:05.529646+00
2	0002_conversations	2026-11-23 14:36:05.53668+00
3	0003_usage	2026-11-23 14:36:05.550989+00
4	0004_subscriptions	2026-11-23 14:36:05.553607+00
5	0005_config	2026-11-23 14:36:05.555539+00
6	0006_sessions	2026-11-23 14:36:05.558586+00
7	0007_audit	2026-11-23 14:36:05.576782+00
8	0008_views	2026-11-23 14:36:05.577641+00
9	0009_access	2026-11-23 14:36:05.578807+00
10	0010_reservations	2026-11-23 14:36:05.58254+00
11	0011_jobs	2026-11-23 14:36:05.586725+00
\.


--
-- Data for Name: conversations; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.conversations (id, user_id, title, summary, message_count, total_tokens, total_cost, is_archived, is_pinned, created_at, updated_at, last_message_at, last_message_on) FROM stdin;
01a2065f-af21-700e-af1e-79c5d35683b3	00000000-0000-4000-8000-000000000003	对话	\N	4	6	0.000000006	f	f	2026-11-23 03:07:43.776829+00	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	2026-11-23
01a2065f-af21-73f3-b28c-ed9a661a8389	00000000-0000-4000-8000-000000000004	对话	\N	4	6	0.000000006	f	f	2026-11-23 03:07:43.776829+00	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	2026-11-23
01a2065f-af21-7412-8953-cee2ab2adb7b	00000000-0000-4000-8000-000000000005	对话	\N	4	6	0.000000006	f	f	2026-11-23 03:07:43.776829+00	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	2026-11-23
01a2065f-af21-742e-8ff5-15e25d6fe0e7	00000000-0000-4000-8000-000000000002	对话	\N	4	6	0.000000006	f	f	2026-11-23 03:07:43.776829+00	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	2026-11-23
01a2065f-af21-743e-96c6-62483bf748dc	00000000-0000-4000-8000-000000000003	对话	\N	4	6	0.000000006	f	f	2026-11-23 03:07:43.776829+00	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	2026-11-23
01a2065f-af21-744a-bd61-8b49cf54cc2f	00000000-0000-4000-8000-000000000004	对话	\N	4	6	0.000000006	f	f	2026-11-23 03:07:43.776829+00	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	2026-11-23
01a2065f-af21-7459-95f7-2b4873c9b352	00000000-0000-4000-8000-000000000005	对话	\N	4	6	0.000000006	f	f	2026-11-23 03:07:43.776829+00	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	2026-11-23
01a2065f-af21-7470-a80f-5482482607a4	00000000-0000-4000-8000-000000000002	对话	\N	4	6	0.000000006	f	f	2026-11-23 03:07:43.776829+00	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	2026-11-23
01a2065f-af21-7421-b6a5-4c5563c2656c	00000000-0000-4000-8000-000000000001	对话	\N	3	3	0.000000003	f	f	2026-11-23 03:07:43.776829+00	2026-11-23 03:07:43.78251+00	2026-11-23 03:07:43.78136+00	2026-11-23
01a2065f-af21-7464-8e98-7d6e4d40c5bd	00000000-0000-4000-8000-000000000001	对话	\N	3	3	0.000000003	f	f	2026-11-23 03:07:43.776829+00	2026-11-23 03:07:43.78251+00	2026-11-23 03:07:43.78136+00	2026-11-23
01a2073a-a124-7e94-84f8-38a7e7903fe2	00000000-0000-4000-8000-000000000002	\N	\N	2	30	0.001500000	f	f	2026-11-23 07:06:52.58067+00	2026-11-23 07:06:52.581977+00	2026-11-23 07:06:52.580742+00	2026-11-23
01a2073a-a126-7b20-8a4c-d37123415320	00000000-0000-4000-8000-000000000002	\N	\N	2	0	0.000000000	f	f	2026-11-23 07:06:52.582591+00	2026-11-23 07:06:52.582591+00	2026-11-23 07:06:52.582629+00	2026-11-23
\.


--
-- Data for Name: idempotency_keys; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.idempotency_keys (user_id, idempotency_key, fingerprint, created_at, expires_at, limit_name, limit_value, used, held, remaining, resets_at, reservation_id, usage_record_id) FROM stdin;
00000000-0000-4000-8000-000000000002	key-open	\\x7bb041bee02e4ada4dddcc03d86b53887773eb17f2b1396a89515d878f64fdee	2026-11-23 07:06:52.5764+00	2026-11-24 07:06:52.5764+00	message	100	2	1	97	2026-12-01 00:00:00+00	01a2073a-a121-75f5-9a88-c5bafd6d64de	\N
00000000-0000-4000-8000-000000000002	key-consume	\\x329e32003c7ee138493e82a0c32fd599c90c8b87526542b74dcb20ee8f581de8	2026-11-23 07:06:52.580191+00	2026-11-24 07:06:52.580191+00	message	100	5	1	94	2026-12-01 00:00:00+00	\N	\N
\.


--
-- Data for Name: job_runs; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.job_runs (id, job_name, engine, started_at, finished_at, outcome, row_count, progress, sqlstate, message) FROM stdin;
01a208d6-2e6b-77e7-88ef-7e79ae3314ca	analyze	call	2026-11-23 12:00:00+00	2026-11-23 12:00:00+00	succeeded	2	analyzed usage_records	\N	\N
01a208d6-2e83-76b4-98ce-2508436f3a1f	session_cleanup	call	2026-11-23 12:00:00+00	2026-11-23 12:00:00+00	succeeded	1	up to 2026-11-23 03:07:43.786012+00	\N	\N
01a208d6-2e88-7b17-85ee-0719be962500	partition_upkeep	call	2026-11-23 12:00:00+00	2026-11-23 12:00:00+00	succeeded	0	\N	\N	\N
\.


--
-- Data for Name: jobs; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.jobs (name, enabled, run_every, timeout, next_run_at, engine, failures_in_a_row) FROM stdin;
monthly_reset	t	1 day	01:00:00	2026-11-23 14:36:05.585242+00	worker	0
reservation_sweep	t	00:05:00	01:00:00	2026-11-23 14:36:05.585322+00	worker	0
idempotency_prune	t	01:00:00	01:00:00	2026-11-23 14:36:05.585324+00	worker	0
usage_prune	t	1 day	01:00:00	2026-11-23 14:36:05.585327+00	worker	0
job_history_prune	t	1 day	01:00:00	2026-11-23 14:36:05.585328+00	worker	0
analyze	t	01:00:00	01:00:00	2026-11-23 13:00:00+00	worker	0
session_cleanup	t	01:00:00	01:00:00	2026-11-23 13:00:00+00	worker	0
partition_upkeep	t	1 day	01:00:00	2026-11-24 12:00:00+00	worker	0
audit_prune	f	02:00:00	01:00:00	2026-11-23 14:36:05.585325+00	worker	0
\.


--
-- Data for Name: messages; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.messages (id, conversation_id, user_id, role, content, content_type, model_used, prompt_tokens, completion_tokens, total_tokens, cost, status, error_message, metadata, parent_message_id, created_at, updated_at, is_searchable) FROM stdin;
01a2065f-af21-7ee8-9f8a-1aea76cd3411	01a2065f-af21-700e-af1e-79c5d35683b3	00000000-0000-4000-8000-000000000003	user	message 1	text	\N	\N	\N	1	0.000000001	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	t
01a2065f-af24-71c7-bdce-883fd1f31593	01a2065f-af21-73f3-b28c-ed9a661a8389	00000000-0000-4000-8000-000000000004	user	message 1	text	\N	\N	\N	1	0.000000001	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	t
01a2065f-af24-7271-8db5-689ca88636af	01a2065f-af21-7412-8953-cee2ab2adb7b	00000000-0000-4000-8000-000000000005	user	message 1	text	\N	\N	\N	1	0.000000001	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	t
01a2065f-af24-7295-9ec8-b33db8e82132	01a2065f-af21-7421-b6a5-4c5563c2656c	00000000-0000-4000-8000-000000000001	user	message 1	text	\N	\N	\N	1	0.000000001	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	t
01a2065f-af24-72ac-a636-278ca6b089c3	01a2065f-af21-742e-8ff5-15e25d6fe0e7	00000000-0000-4000-8000-000000000002	user	message 1	text	\N	\N	\N	1	0.000000001	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	t
01a2065f-af24-72c1-912f-98e998b15e4b	01a2065f-af21-743e-96c6-62483bf748dc	00000000-0000-4000-8000-000000000003	user	message 1	text	\N	\N	\N	1	0.000000001	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	t
01a2065f-af24-72d5-8a45-65135c4c4482	01a2065f-af21-744a-bd61-8b49cf54cc2f	00000000-0000-4000-8000-000000000004	user	message 1	text	\N	\N	\N	1	0.000000001	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	t
01a2065f-af24-72e8-8d50-9c98adfb1140	01a2065f-af21-7459-95f7-2b4873c9b352	00000000-0000-4000-8000-000000000005	user	message 1	text	\N	\N	\N	1	0.000000001	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	t
01a2065f-af24-72fc-853a-5ca8b3b00537	01a2065f-af21-7464-8e98-7d6e4d40c5bd	00000000-0000-4000-8000-000000000001	user	message 1	text	\N	\N	\N	1	0.000000001	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	t
01a2065f-af24-730f-b631-ade1ba63bcdc	01a2065f-af21-7470-a80f-5482482607a4	00000000-0000-4000-8000-000000000002	user	message 1	text	\N	\N	\N	1	0.000000001	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	t
01a2065f-af24-7328-92dd-36526f200de7	01a2065f-af21-700e-af1e-79c5d35683b3	00000000-0000-4000-8000-000000000003	user	message 2	text	\N	\N	\N	2	0.000000002	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-7338-83b3-e3f23a6b0e49	01a2065f-af21-73f3-b28c-ed9a661a8389	00000000-0000-4000-8000-000000000004	user	message 2	text	\N	\N	\N	2	0.000000002	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-7345-ba25-63681b994e64	01a2065f-af21-7412-8953-cee2ab2adb7b	00000000-0000-4000-8000-000000000005	user	message 2	text	\N	\N	\N	2	0.000000002	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-7352-84f0-03eeeb6d3954	01a2065f-af21-7421-b6a5-4c5563c2656c	00000000-0000-4000-8000-000000000001	user	message 2	text	\N	\N	\N	2	0.000000002	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-735f-b4e0-9f318c477cfb	01a2065f-af21-742e-8ff5-15e25d6fe0e7	00000000-0000-4000-8000-000000000002	user	message 2	text	\N	\N	\N	2	0.000000002	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-736b-a744-e0a2281cdabc	01a2065f-af21-743e-96c6-62483bf748dc	00000000-0000-4000-8000-000000000003	user	message 2	text	\N	\N	\N	2	0.000000002	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-7378-826e-3f5813014541	01a2065f-af21-744a-bd61-8b49cf54cc2f	00000000-0000-4000-8000-000000000004	user	message 2	text	\N	\N	\N	2	0.000000002	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-7384-a45a-7f1c5281027d	01a2065f-af21-7459-95f7-2b4873c9b352	00000000-0000-4000-8000-000000000005	user	message 2	text	\N	\N	\N	2	0.000000002	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-7390-bb96-29c0a6578355	01a2065f-af21-7464-8e98-7d6e4d40c5bd	00000000-0000-4000-8000-000000000001	user	message 2	text	\N	\N	\N	2	0.000000002	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-739d-b4b5-6c538872a6ff	01a2065f-af21-7470-a80f-5482482607a4	00000000-0000-4000-8000-000000000002	user	message 2	text	\N	\N	\N	2	0.000000002	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-7435-8099-79fd6d012474	01a2065f-af21-700e-af1e-79c5d35683b3	00000000-0000-4000-8000-000000000003	user	message 3	text	\N	\N	\N	3	0.000000003	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-7444-9174-ef05c3176ea0	01a2065f-af21-73f3-b28c-ed9a661a8389	00000000-0000-4000-8000-000000000004	user	message 3	text	\N	\N	\N	3	0.000000003	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-7452-a156-1ba3babd9986	01a2065f-af21-7412-8953-cee2ab2adb7b	00000000-0000-4000-8000-000000000005	user	message 3	text	\N	\N	\N	3	0.000000003	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-7474-9ffe-74757b61639d	01a2065f-af21-742e-8ff5-15e25d6fe0e7	00000000-0000-4000-8000-000000000002	user	message 3	text	\N	\N	\N	3	0.000000003	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-7482-a4af-39141a310d7c	01a2065f-af21-743e-96c6-62483bf748dc	00000000-0000-4000-8000-000000000003	user	message 3	text	\N	\N	\N	3	0.000000003	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-748f-9697-0e2c5fa920c6	01a2065f-af21-744a-bd61-8b49cf54cc2f	00000000-0000-4000-8000-000000000004	user	message 3	text	\N	\N	\N	3	0.000000003	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-749c-bee6-a70429d93f0b	01a2065f-af21-7459-95f7-2b4873c9b352	00000000-0000-4000-8000-000000000005	user	message 3	text	\N	\N	\N	3	0.000000003	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af24-74b4-b190-b9487babb3a2	01a2065f-af21-7470-a80f-5482482607a4	00000000-0000-4000-8000-000000000002	user	message 3	text	\N	\N	\N	3	0.000000003	sent	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.777598+00	f
01a2065f-af25-78f3-8726-238f62a97e31	01a2065f-af21-700e-af1e-79c5d35683b3	00000000-0000-4000-8000-000000000003	assistant	reply	text	\N	\N	\N	\N	\N	sent	\N	\N	01a2065f-af21-7ee8-9f8a-1aea76cd3411	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	f
01a2065f-af25-7a01-ba2f-68c55736fad9	01a2065f-af21-73f3-b28c-ed9a661a8389	00000000-0000-4000-8000-000000000004	assistant	reply	text	\N	\N	\N	\N	\N	sent	\N	\N	01a2065f-af24-71c7-bdce-883fd1f31593	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	f
01a2065f-af25-7a1f-88f2-b57281b6f7f3	01a2065f-af21-7412-8953-cee2ab2adb7b	00000000-0000-4000-8000-000000000005	assistant	reply	text	\N	\N	\N	\N	\N	sent	\N	\N	01a2065f-af24-7271-8db5-689ca88636af	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	f
01a2065f-af25-7a32-a437-75c6ed3fc9a1	01a2065f-af21-7421-b6a5-4c5563c2656c	00000000-0000-4000-8000-000000000001	assistant	reply	text	\N	\N	\N	\N	\N	sent	\N	\N	01a2065f-af24-7295-9ec8-b33db8e82132	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	f
01a2065f-af25-7a41-b4a8-e4adbc095cd4	01a2065f-af21-742e-8ff5-15e25d6fe0e7	00000000-0000-4000-8000-000000000002	assistant	reply	text	\N	\N	\N	\N	\N	sent	\N	\N	01a2065f-af24-72ac-a636-278ca6b089c3	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	f
01a2065f-af25-7a4e-bebb-33ff9cd0e818	01a2065f-af21-743e-96c6-62483bf748dc	00000000-0000-4000-8000-000000000003	assistant	reply	text	\N	\N	\N	\N	\N	sent	\N	\N	01a2065f-af24-72c1-912f-98e998b15e4b	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	f
01a2065f-af25-7a5c-83db-5576521fda27	01a2065f-af21-744a-bd61-8b49cf54cc2f	00000000-0000-4000-8000-000000000004	assistant	reply	text	\N	\N	\N	\N	\N	sent	\N	\N	01a2065f-af24-72d5-8a45-65135c4c4482	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	f
01a2065f-af25-7a69-bde9-afa209c6b0bd	01a2065f-af21-7459-95f7-2b4873c9b352	00000000-0000-4000-8000-000000000005	assistant	reply	text	\N	\N	\N	\N	\N	sent	\N	\N	01a2065f-af24-72e8-8d50-9c98adfb1140	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	f
01a2065f-af25-7a77-9cf7-07f7262cd4f3	01a2065f-af21-7464-8e98-7d6e4d40c5bd	00000000-0000-4000-8000-000000000001	assistant	reply	text	\N	\N	\N	\N	\N	sent	\N	\N	01a2065f-af24-72fc-853a-5ca8b3b00537	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	f
01a2065f-af25-7a84-904b-09d68c2d5acf	01a2065f-af21-7470-a80f-5482482607a4	00000000-0000-4000-8000-000000000002	assistant	reply	text	\N	\N	\N	\N	\N	sent	\N	\N	01a2065f-af24-730f-b631-ade1ba63bcdc	2026-11-23 03:07:43.78136+00	2026-11-23 03:07:43.78136+00	f
01a2065f-af24-7467-9f8e-bb8a86edbc15	01a2065f-af21-7421-b6a5-4c5563c2656c	00000000-0000-4000-8000-000000000001	user	message 3	text	\N	\N	\N	3	0.000000003	deleted	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.78251+00	f
01a2065f-af24-74a8-9afa-ae5f9ffdd748	01a2065f-af21-7464-8e98-7d6e4d40c5bd	00000000-0000-4000-8000-000000000001	user	message 3	text	\N	\N	\N	3	0.000000003	deleted	\N	\N	\N	2026-11-23 03:07:43.777598+00	2026-11-23 03:07:43.78251+00	f
01a2073a-a124-7e95-9734-1e4cb6763643	01a2073a-a124-7e94-84f8-38a7e7903fe2	00000000-0000-4000-8000-000000000002	user	hello 0.2	text	\N	\N	\N	\N	\N	sent	\N	\N	\N	2026-11-23 07:06:52.580741+00	2026-11-23 07:06:52.58067+00	f
01a2073a-a124-7e96-a3d9-a7cfcb2fad4a	01a2073a-a124-7e94-84f8-38a7e7903fe2	00000000-0000-4000-8000-000000000002	assistant	an answer	text	gpt-4	10	20	30	0.001500000	sent	\N	\N	01a2073a-a124-7e95-9734-1e4cb6763643	2026-11-23 07:06:52.580742+00	2026-11-23 07:06:52.581977+00	f
01a2073a-a126-7b21-887e-0e49fe1b6755	01a2073a-a126-7b20-8a4c-d37123415320	00000000-0000-4000-8000-000000000002	user	left open	text	\N	\N	\N	\N	\N	sent	\N	\N	\N	2026-11-23 07:06:52.582628+00	2026-11-23 07:06:52.582591+00	f
01a2073a-a126-7b22-973a-8945964ba595	01a2073a-a126-7b20-8a4c-d37123415320	00000000-0000-4000-8000-000000000002	assistant		text	gpt-4	\N	\N	\N	\N	sending	\N	\N	01a2073a-a126-7b21-887e-0e49fe1b6755	2026-11-23 07:06:52.582629+00	2026-11-23 07:06:52.582591+00	f
\.


--
-- Data for Name: subscription_history; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.subscription_history (id, user_id, subscription_tier, subscription_status, stripe_subscription_id, stripe_invoice_id, amount, currency, period_start, period_end, event_type, metadata, created_at) FROM stdin;
01a2065f-af1f-7ec5-b160-f3b496b85b5d	00000000-0000-4000-8000-000000000001	pro	active	\N	\N	\N	CNY	\N	\N	subscription_updated	\N	2026-11-23 03:07:43.775502+00
01a2065f-af20-79c4-a7e8-3c24a14a778a	00000000-0000-4000-8000-000000000002	base	active	\N	\N	\N	CNY	\N	\N	subscription_updated	\N	2026-11-23 03:07:43.776478+00
\.


--
-- Data for Name: system_configs; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.system_configs (id, config_key, config_value, description, is_active, created_at, updated_at) FROM stdin;
1ae3a51f-d031-4adc-8900-cef46ea6d596	ai_models	["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"]	Available AI models	t	2026-11-23 14:36:05.504798+00	2026-11-23 14:36:05.504798+00
4bcd3640-533c-48bb-b797-b7887f015be5	subscription_plans	{"pro": {"models": ["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"], "messagesPerMonth": -1}, "base": {"models": ["gpt-3.5-turbo", "gpt-4"], "messagesPerMonth": 100}, "free": {"models": ["gpt-3.5-turbo"], "messagesPerMonth": 10}}	Subscription plan configurations	t	2026-11-23 14:36:05.504798+00	2026-11-23 14:36:05.504798+00
3e91356e-1110-408b-9616-6372d45a2b3c	rate_limits	{"pro": 300, "base": 60, "free": 10}	Rate limits per minute by tier	t	2026-11-23 14:36:05.504798+00	2026-11-23 14:36:05.504798+00
ade36467-89d0-4201-a973-01b910cc5339	maintenance_mode	false	System maintenance mode flag	t	2026-11-23 14:36:05.504798+00	2026-11-23 14:36:05.504798+00
ba1eca31-5c15-4c46-8b12-e387a524d084	billing_timezone	"UTC"	Time zone in which a billing month begins and ends	t	2026-11-23 14:36:05.504798+00	2026-11-23 14:36:05.504798+00
ebc5c55d-4e90-4191-abe3-137f85f222ab	subscription_grace	"3 days"	How long a subscription counts after its paid period	t	2026-11-23 14:36:05.504798+00	2026-11-23 14:36:05.504798+00
9f7013c2-f856-48c5-a4f8-40a82d364423	usage_ledger	true	Whether metering writes usage_records beside the counters	t	2026-11-23 14:36:05.504798+00	2026-11-23 14:36:05.504798+00
91be17f1-cb37-4043-933c-173f48d0ce41	model_prices	{}	Price of a million tokens by model: prompt, completion, cachedPrompt, cacheWrite	t	2026-11-23 14:36:05.504798+00	2026-11-23 14:36:05.504798+00
1e8a11b4-b819-49a0-8ad9-27309b65fa46	idempotency_ttl	"24 hours"	How long an idempotency key is remembered	t	2026-11-23 14:36:05.504798+00	2026-11-23 14:36:05.504798+00
1de2700b-92c5-4f28-bb85-7f83f769b3df	retention	{"job_runs": "30 days", "audit_logs": "30 days", "usage_records": null, "user_sessions": "0 days", "usage_reservations": "7 days"}	How long rows are kept by their jobs; null: for ever	t	2026-11-23 14:36:05.504798+00	2026-11-23 14:36:05.504798+00
d2cf3320-8ac6-4eef-b4c1-973b796c1f3b	partitions	{"messages": "1 year", "audit_logs": "1 week", "usage_records": "3 months"}	How wide new partitions are; messages once they are partitioned	t	2026-11-23 14:36:05.504798+00	2026-11-23 14:36:05.504798+00
\.


--
-- Data for Name: usage_balances; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.usage_balances (user_id, usage_type, billing_period, quantity, cost) FROM stdin;
00000000-0000-4000-8000-000000000004	message	-infinity	7	0.000000000
\.


--
-- Data for Name: usage_records_2026q4; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.usage_records_2026q4 (id, user_id, usage_type, quantity, model_used, cost, message_id, conversation_id, metadata, created_at, billing_period) FROM stdin;
01a2065f-af27-78a4-8b51-46b9446aab1a	00000000-0000-4000-8000-000000000003	message	2	\N	0.000000000	\N	\N	\N	2026-11-23 03:07:43.78298+00	2026-11-01
01a2065f-af27-7d82-8858-06c9898faeaa	00000000-0000-4000-8000-000000000003	token	30	\N	0.123456789	\N	\N	\N	2026-11-23 03:07:43.78298+00	2026-11-01
01a2065f-af28-731d-8a03-3e9ba613ff6f	00000000-0000-4000-8000-000000000004	message	2	\N	0.000000000	\N	\N	\N	2026-11-23 03:07:43.78298+00	2026-11-01
01a2065f-af28-7377-b503-bc6b28d9f2b2	00000000-0000-4000-8000-000000000004	token	30	\N	0.123456789	\N	\N	\N	2026-11-23 03:07:43.78298+00	2026-11-01
01a2065f-af28-7549-a6d0-6d11d61b5465	00000000-0000-4000-8000-000000000005	message	2	\N	0.000000000	\N	\N	\N	2026-11-23 03:07:43.78298+00	2026-11-01
01a2065f-af28-7574-8e8d-1261cfc17bb7	00000000-0000-4000-8000-000000000005	token	30	\N	0.123456789	\N	\N	\N	2026-11-23 03:07:43.78298+00	2026-11-01
01a2065f-af28-7702-92a1-09cde42c332b	00000000-0000-4000-8000-000000000001	message	2	\N	0.000000000	\N	\N	\N	2026-11-23 03:07:43.78298+00	2026-11-01
01a2065f-af28-7725-b61b-f61e01a0c685	00000000-0000-4000-8000-000000000001	token	30	\N	0.123456789	\N	\N	\N	2026-11-23 03:07:43.78298+00	2026-11-01
01a2065f-af28-783d-a978-f0b70b32db04	00000000-0000-4000-8000-000000000002	message	2	\N	0.000000000	\N	\N	\N	2026-11-23 03:07:43.78298+00	2026-11-01
01a2065f-af28-785c-a33c-fb8c1c63775e	00000000-0000-4000-8000-000000000002	token	30	\N	0.123456789	\N	\N	\N	2026-11-23 03:07:43.78298+00	2026-11-01
01a2065f-af29-71a5-ac33-8a66cc7377b7	00000000-0000-4000-8000-000000000003	message	4	\N	0.000000000	\N	\N	\N	2026-11-23 03:07:43.784828+00	2026-11-01
01a2065f-af29-720a-b214-d15f47bf7021	00000000-0000-4000-8000-000000000003	token	50	\N	0.250000000	\N	\N	\N	2026-11-23 03:07:43.784828+00	2026-11-01
01a2073a-a123-72f9-b712-cd8ddcee576d	00000000-0000-4000-8000-000000000002	message	1	gpt-4	0.000000000	\N	\N	\N	2026-11-23 07:06:52.57845+00	2026-11-01
01a2073a-a123-7739-bd20-6afe026f89b4	00000000-0000-4000-8000-000000000002	token	150	gpt-4	0.006000000	\N	\N	\N	2026-11-23 07:06:52.57845+00	2026-11-01
01a2073a-a124-76d9-862b-ac735cfc4685	00000000-0000-4000-8000-000000000002	message	2	\N	0.000000000	\N	\N	\N	2026-11-23 07:06:52.580134+00	2026-11-01
01a2073a-a126-74b4-ad81-54d7244dd08a	00000000-0000-4000-8000-000000000002	message	1	gpt-4	0.000000000	\N	\N	\N	2026-11-23 07:06:52.581977+00	2026-11-01
01a2073a-a126-751a-a621-6284b989df86	00000000-0000-4000-8000-000000000002	token	30	gpt-4	0.001500000	01a2073a-a124-7e96-a3d9-a7cfcb2fad4a	01a2073a-a124-7e94-84f8-38a7e7903fe2	\N	2026-11-23 07:06:52.581977+00	2026-11-01
\.


--
-- Data for Name: usage_records_2027q1; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.usage_records_2027q1 (id, user_id, usage_type, quantity, model_used, cost, message_id, conversation_id, metadata, created_at, billing_period) FROM stdin;
\.


--
-- Data for Name: usage_records_default; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.usage_records_default (id, user_id, usage_type, quantity, model_used, cost, message_id, conversation_id, metadata, created_at, billing_period) FROM stdin;
\.


--
-- Data for Name: usage_reservations; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.usage_reservations (id, user_id, status, message_count, token_count, cost, model_used, created_at, expires_at, conversation_id, user_message_id, assistant_message_id, closed_at, prompt_tokens, completion_tokens, cached_prompt_tokens, cache_write_tokens, given_cost, charged_cost, was_late, has_failed) FROM stdin;
01a2073a-a121-75f5-9a88-c5bafd6d64de	00000000-0000-4000-8000-000000000002	open	1	500	0.030000000	gpt-4	2026-11-23 07:06:52.5764+00	2026-11-24 07:06:52.5764+00	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N	\N
01a2073a-a122-74f7-81fe-cb1781b7ae72	00000000-0000-4000-8000-000000000002	settled	1	500	0.030000000	gpt-4	2026-11-23 07:06:52.578245+00	2026-11-23 07:11:52.578245+00	\N	\N	\N	2026-11-23 07:06:52.578511+00	100	50	0	0	\N	0.006000000	f	f
01a2073a-a123-7cde-8186-e04b3fb6f832	00000000-0000-4000-8000-000000000002	released	1	500	0.030000000	gpt-4	2026-11-23 07:06:52.579741+00	2026-11-23 07:11:52.579741+00	\N	\N	\N	2026-11-23 07:06:52.579947+00	\N	\N	\N	\N	\N	\N	f	\N
01a2073a-a124-7e97-a876-5ff1bfa5c3e6	00000000-0000-4000-8000-000000000002	settled	1	100	0.006000000	gpt-4	2026-11-23 07:06:52.580741+00	2026-11-23 07:11:52.580741+00	01a2073a-a124-7e94-84f8-38a7e7903fe2	01a2073a-a124-7e95-9734-1e4cb6763643	01a2073a-a124-7e96-a3d9-a7cfcb2fad4a	2026-11-23 07:06:52.582034+00	10	20	0	0	\N	0.001500000	f	f
01a2073a-a126-7b23-8223-313f20dd023a	00000000-0000-4000-8000-000000000002	open	1	100	0.006000000	gpt-4	2026-11-23 07:06:52.582628+00	2026-11-23 07:11:52.582628+00	01a2073a-a126-7b20-8a4c-d37123415320	01a2073a-a126-7b21-887e-0e49fe1b6755	01a2073a-a126-7b22-973a-8945964ba595	\N	\N	\N	\N	\N	\N	\N	\N	\N
\.


--
-- Data for Name: user_sessions; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.user_sessions (id, user_id, session_token, refresh_token, device_id, device_type, device_name, app_version, ip_address, user_agent, is_active, expires_at, last_used_at, created_at) FROM stdin;
\.


--
-- Data for Name: users; Type: TABLE DATA; Schema: claude_gpt; Owner: keeper
--

COPY claude_gpt.users (id, email, password_hash, full_name, avatar_url, phone, preferred_language, theme_preference, stripe_customer_id, subscription_id, subscription_tier, subscription_status, subscription_current_period_end, subscription_cancel_at_period_end, email_verified, email_verification_token, password_reset_token, password_reset_expires, last_login_at, created_at, monthly_message_count, total_message_count, last_active_at, updated_at, monthly_token_count, total_token_count, monthly_cost, total_cost, monthly_api_call_count, total_api_call_count, monthly_reset_date, last_active_on, held_message_count, held_token_count, held_cost, next_hold_expiry, nickname) FROM stdin;
00000000-0000-4000-8000-000000000005	5@x	x	\N	\N	\N	en	light	\N	\N	free	inactive	\N	f	f	\N	\N	\N	\N	2026-11-23 03:07:43.773478+00	2	2	2026-11-23 03:07:43.784264+00	2026-11-23 03:07:43.78298+00	30	30	0.123456789	0.123456789	0	0	2026-11-01	2026-11-23	0	0	0.000000000	infinity	friend
00000000-0000-4000-8000-000000000001	1@x	x	\N	\N	\N	en	light	\N	\N	pro	active	\N	f	f	\N	\N	\N	\N	2026-11-23 03:07:43.773478+00	2	2	2026-11-23 03:07:43.784381+00	2026-11-23 03:07:43.78298+00	30	30	0.123456789	0.123456789	0	0	2026-11-01	2026-11-23	0	0	0.000000000	infinity	friend
00000000-0000-4000-8000-000000000003	3@x	x	\N	\N	\N	en	light	\N	\N	free	inactive	\N	f	f	\N	\N	\N	\N	2026-11-23 03:07:43.773478+00	6	6	2026-11-23 03:07:43.78307+00	2026-11-23 03:07:43.784828+00	80	80	0.373456789	0.373456789	0	0	2026-11-01	2026-11-23	0	0	0.000000000	infinity	friend
00000000-0000-4000-8000-000000000004	4@x	x	\N	\N	\N	en	light	\N	\N	free	inactive	\N	f	f	\N	\N	\N	\N	2026-11-23 03:07:43.773478+00	2	9	2026-11-23 03:07:43.784082+00	2026-11-23 03:07:43.786576+00	30	30	0.123456789	0.123456789	0	0	2026-11-01	2026-11-23	0	0	0.000000000	infinity	friend
00000000-0000-4000-8000-000000000002	2@x	x	\N	\N	\N	en	light	\N	\N	base	active	\N	f	f	\N	\N	\N	\N	2026-11-23 03:07:43.773478+00	6	6	2026-11-23 07:06:52.582628+00	2026-11-23 07:06:52.582591+00	210	210	0.130956789	0.130956789	0	0	2026-11-01	2026-11-23	2	600	0.036000000	2026-11-23 07:11:52.578245+00	friend
\.


--
-- Name: application_grants application_grants_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.application_grants
    ADD CONSTRAINT application_grants_pkey PRIMARY KEY (role_name);


--
-- Name: audit_logs audit_logs_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs
    ADD CONSTRAINT audit_logs_pkey PRIMARY KEY (id, created_at);


--
-- Name: audit_logs_2026w48 audit_logs_2026w48_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs_2026w48
    ADD CONSTRAINT audit_logs_2026w48_pkey PRIMARY KEY (id, created_at);


--
-- Name: audit_logs_2026w49 audit_logs_2026w49_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs_2026w49
    ADD CONSTRAINT audit_logs_2026w49_pkey PRIMARY KEY (id, created_at);


--
-- Name: audit_logs_2026w50 audit_logs_2026w50_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs_2026w50
    ADD CONSTRAINT audit_logs_2026w50_pkey PRIMARY KEY (id, created_at);


--
-- Name: audit_logs_2026w51 audit_logs_2026w51_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs_2026w51
    ADD CONSTRAINT audit_logs_2026w51_pkey PRIMARY KEY (id, created_at);


--
-- Name: audit_logs_2026w52 audit_logs_2026w52_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs_2026w52
    ADD CONSTRAINT audit_logs_2026w52_pkey PRIMARY KEY (id, created_at);


--
-- Name: audit_logs_default audit_logs_default_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.audit_logs_default
    ADD CONSTRAINT audit_logs_default_pkey PRIMARY KEY (id, created_at);


--
-- Name: claude_gpt_migrations claude_gpt_migrations_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.claude_gpt_migrations
    ADD CONSTRAINT claude_gpt_migrations_pkey PRIMARY KEY (id);


--
-- Name: conversations conversations_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.conversations
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (id);


--
-- Name: idempotency_keys idempotency_keys_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (user_id, idempotency_key);


--
-- Name: system_configs idx_system_configs_key; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.system_configs
    ADD CONSTRAINT idx_system_configs_key UNIQUE (config_key);


--
-- Name: user_sessions idx_user_sessions_refresh_token; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.user_sessions
    ADD CONSTRAINT idx_user_sessions_refresh_token UNIQUE (refresh_token);


--
-- Name: user_sessions idx_user_sessions_token; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.user_sessions
    ADD CONSTRAINT idx_user_sessions_token UNIQUE (session_token);


--
-- Name: users idx_users_email; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.users
    ADD CONSTRAINT idx_users_email UNIQUE (email);


--
-- Name: users idx_users_stripe_customer_id; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.users
    ADD CONSTRAINT idx_users_stripe_customer_id UNIQUE (stripe_customer_id);


--
-- Name: job_runs job_runs_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.job_runs
    ADD CONSTRAINT job_runs_pkey PRIMARY KEY (id);


--
-- Name: jobs jobs_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (name);


--
-- Name: messages messages_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);


--
-- Name: subscription_history subscription_history_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.subscription_history
    ADD CONSTRAINT subscription_history_pkey PRIMARY KEY (id);


--
-- Name: system_configs system_configs_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.system_configs
    ADD CONSTRAINT system_configs_pkey PRIMARY KEY (id);


--
-- Name: usage_balances usage_balances_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.usage_balances
    ADD CONSTRAINT usage_balances_pkey PRIMARY KEY (user_id, usage_type, billing_period);


--
-- Name: usage_records usage_records_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.usage_records
    ADD CONSTRAINT usage_records_pkey PRIMARY KEY (id, created_at);


--
-- Name: usage_records_2026q4 usage_records_2026q4_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.usage_records_2026q4
    ADD CONSTRAINT usage_records_2026q4_pkey PRIMARY KEY (id, created_at);


--
-- Name: usage_records_2027q1 usage_records_2027q1_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.usage_records_2027q1
    ADD CONSTRAINT usage_records_2027q1_pkey PRIMARY KEY (id, created_at);


--
-- Name: usage_records_default usage_records_default_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.usage_records_default
    ADD CONSTRAINT usage_records_default_pkey PRIMARY KEY (id, created_at);


--
-- Name: usage_reservations usage_reservations_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.usage_reservations
    ADD CONSTRAINT usage_reservations_pkey PRIMARY KEY (id);


--
-- Name: user_sessions user_sessions_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.user_sessions
    ADD CONSTRAINT user_sessions_pkey PRIMARY KEY (id);


--
-- Name: users users_pkey; Type: CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);


--
-- Name: idx_audit_logs_action; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_audit_logs_action ON ONLY claude_gpt.audit_logs USING btree (action, created_at);


--
-- Name: audit_logs_2026w48_action_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w48_action_created_at_idx ON claude_gpt.audit_logs_2026w48 USING btree (action, created_at);


--
-- Name: idx_audit_logs_created_at; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_audit_logs_created_at ON ONLY claude_gpt.audit_logs USING brin (created_at);


--
-- Name: audit_logs_2026w48_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w48_created_at_idx ON claude_gpt.audit_logs_2026w48 USING brin (created_at);


--
-- Name: idx_audit_logs_resource; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_audit_logs_resource ON ONLY claude_gpt.audit_logs USING btree (resource_type, resource_id);


--
-- Name: audit_logs_2026w48_resource_type_resource_id_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w48_resource_type_resource_id_idx ON claude_gpt.audit_logs_2026w48 USING btree (resource_type, resource_id);


--
-- Name: idx_audit_logs_user_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_audit_logs_user_id ON ONLY claude_gpt.audit_logs USING btree (user_id, created_at) WHERE (user_id IS NOT NULL);


--
-- Name: audit_logs_2026w48_user_id_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w48_user_id_created_at_idx ON claude_gpt.audit_logs_2026w48 USING btree (user_id, created_at) WHERE (user_id IS NOT NULL);


--
-- Name: audit_logs_2026w49_action_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w49_action_created_at_idx ON claude_gpt.audit_logs_2026w49 USING btree (action, created_at);


--
-- Name: audit_logs_2026w49_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w49_created_at_idx ON claude_gpt.audit_logs_2026w49 USING brin (created_at);


--
-- Name: audit_logs_2026w49_resource_type_resource_id_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w49_resource_type_resource_id_idx ON claude_gpt.audit_logs_2026w49 USING btree (resource_type, resource_id);


--
-- Name: audit_logs_2026w49_user_id_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w49_user_id_created_at_idx ON claude_gpt.audit_logs_2026w49 USING btree (user_id, created_at) WHERE (user_id IS NOT NULL);


--
-- Name: audit_logs_2026w50_action_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w50_action_created_at_idx ON claude_gpt.audit_logs_2026w50 USING btree (action, created_at);


--
-- Name: audit_logs_2026w50_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w50_created_at_idx ON claude_gpt.audit_logs_2026w50 USING brin (created_at);


--
-- Name: audit_logs_2026w50_resource_type_resource_id_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w50_resource_type_resource_id_idx ON claude_gpt.audit_logs_2026w50 USING btree (resource_type, resource_id);


--
-- Name: audit_logs_2026w50_user_id_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w50_user_id_created_at_idx ON claude_gpt.audit_logs_2026w50 USING btree (user_id, created_at) WHERE (user_id IS NOT NULL);


--
-- Name: audit_logs_2026w51_action_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w51_action_created_at_idx ON claude_gpt.audit_logs_2026w51 USING btree (action, created_at);


--
-- Name: audit_logs_2026w51_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w51_created_at_idx ON claude_gpt.audit_logs_2026w51 USING brin (created_at);


--
-- Name: audit_logs_2026w51_resource_type_resource_id_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w51_resource_type_resource_id_idx ON claude_gpt.audit_logs_2026w51 USING btree (resource_type, resource_id);


--
-- Name: audit_logs_2026w51_user_id_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w51_user_id_created_at_idx ON claude_gpt.audit_logs_2026w51 USING btree (user_id, created_at) WHERE (user_id IS NOT NULL);


--
-- Name: audit_logs_2026w52_action_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w52_action_created_at_idx ON claude_gpt.audit_logs_2026w52 USING btree (action, created_at);


--
-- Name: audit_logs_2026w52_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w52_created_at_idx ON claude_gpt.audit_logs_2026w52 USING brin (created_at);


--
-- Name: audit_logs_2026w52_resource_type_resource_id_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w52_resource_type_resource_id_idx ON claude_gpt.audit_logs_2026w52 USING btree (resource_type, resource_id);


--
-- Name: audit_logs_2026w52_user_id_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_2026w52_user_id_created_at_idx ON claude_gpt.audit_logs_2026w52 USING btree (user_id, created_at) WHERE (user_id IS NOT NULL);


--
-- Name: audit_logs_default_action_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_default_action_created_at_idx ON claude_gpt.audit_logs_default USING btree (action, created_at);


--
-- Name: audit_logs_default_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_default_created_at_idx ON claude_gpt.audit_logs_default USING brin (created_at);


--
-- Name: audit_logs_default_resource_type_resource_id_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_default_resource_type_resource_id_idx ON claude_gpt.audit_logs_default USING btree (resource_type, resource_id);


--
-- Name: audit_logs_default_user_id_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX audit_logs_default_user_id_created_at_idx ON claude_gpt.audit_logs_default USING btree (user_id, created_at) WHERE (user_id IS NOT NULL);


--
-- Name: idx_conversations_created_at; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_conversations_created_at ON claude_gpt.conversations USING btree (created_at);


--
-- Name: idx_conversations_last_message_at; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_conversations_last_message_at ON claude_gpt.conversations USING btree (last_message_on);


--
-- Name: idx_conversations_user_archived; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_conversations_user_archived ON claude_gpt.conversations USING btree (user_id, is_archived) WHERE is_archived;


--
-- Name: idx_conversations_user_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_conversations_user_id ON claude_gpt.conversations USING btree (user_id);


--
-- Name: idx_idempotency_keys_expires_at; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_idempotency_keys_expires_at ON claude_gpt.idempotency_keys USING btree (expires_at);


--
-- Name: idx_job_runs_job_name; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_job_runs_job_name ON claude_gpt.job_runs USING btree (job_name, started_at);


--
-- Name: idx_job_runs_running; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_job_runs_running ON claude_gpt.job_runs USING btree (job_name) WHERE ((outcome)::text = 'running'::text);


--
-- Name: idx_messages_content_search; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_messages_content_search ON claude_gpt.messages USING gin (to_tsvector('english'::regconfig, "left"(content, 50000))) WHERE is_searchable;


--
-- Name: idx_messages_conversation_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_messages_conversation_id ON claude_gpt.messages USING btree (conversation_id, created_at DESC, id DESC);


--
-- Name: idx_messages_created_at; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_messages_created_at ON claude_gpt.messages USING brin (created_at);


--
-- Name: idx_messages_parent_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_messages_parent_id ON claude_gpt.messages USING btree (parent_message_id) WHERE (parent_message_id IS NOT NULL);


--
-- Name: idx_messages_role; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_messages_role ON claude_gpt.messages USING btree (conversation_id) WHERE ((role)::text = 'system'::text);


--
-- Name: idx_messages_status; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_messages_status ON claude_gpt.messages USING btree (status, conversation_id) WHERE ((status)::text <> 'sent'::text);


--
-- Name: idx_messages_user_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_messages_user_id ON claude_gpt.messages USING btree (user_id);


--
-- Name: idx_subscription_history_created_at; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_subscription_history_created_at ON claude_gpt.subscription_history USING brin (created_at);


--
-- Name: idx_subscription_history_event_type; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_subscription_history_event_type ON claude_gpt.subscription_history USING btree (event_type, created_at DESC);


--
-- Name: idx_subscription_history_stripe_subscription_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_subscription_history_stripe_subscription_id ON claude_gpt.subscription_history USING btree (stripe_subscription_id) WHERE (stripe_subscription_id IS NOT NULL);


--
-- Name: idx_subscription_history_user_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_subscription_history_user_id ON claude_gpt.subscription_history USING btree (user_id, created_at DESC);


--
-- Name: idx_system_configs_active; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_system_configs_active ON claude_gpt.system_configs USING btree (config_key) WHERE is_active;


--
-- Name: idx_usage_records_conversation_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_usage_records_conversation_id ON ONLY claude_gpt.usage_records USING btree (conversation_id) WHERE (conversation_id IS NOT NULL);


--
-- Name: idx_usage_records_created_at; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_usage_records_created_at ON ONLY claude_gpt.usage_records USING brin (created_at);


--
-- Name: idx_usage_records_message_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_usage_records_message_id ON ONLY claude_gpt.usage_records USING btree (message_id) WHERE (message_id IS NOT NULL);


--
-- Name: idx_usage_records_usage_type; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_usage_records_usage_type ON ONLY claude_gpt.usage_records USING brin (billing_period, usage_type);


--
-- Name: idx_usage_records_user_date; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_usage_records_user_date ON ONLY claude_gpt.usage_records USING btree (user_id, created_at);


--
-- Name: idx_usage_records_user_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_usage_records_user_id ON ONLY claude_gpt.usage_records USING btree (user_id, billing_period, usage_type);


--
-- Name: idx_usage_reservations_expires_at; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_usage_reservations_expires_at ON claude_gpt.usage_reservations USING brin (expires_at) WITH (pages_per_range='16');


--
-- Name: idx_usage_reservations_user_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_usage_reservations_user_id ON claude_gpt.usage_reservations USING btree (user_id, expires_at);


--
-- Name: idx_user_sessions_active; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_user_sessions_active ON claude_gpt.user_sessions USING btree (is_active) WHERE (NOT is_active);


--
-- Name: idx_user_sessions_expires_at; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_user_sessions_expires_at ON claude_gpt.user_sessions USING btree (expires_at);


--
-- Name: idx_user_sessions_user_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_user_sessions_user_id ON claude_gpt.user_sessions USING btree (user_id);


--
-- Name: idx_users_created_at; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_users_created_at ON claude_gpt.users USING btree (created_at);


--
-- Name: idx_users_email_lower; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE UNIQUE INDEX idx_users_email_lower ON claude_gpt.users USING btree (lower((email)::text));


--
-- Name: idx_users_last_active_at; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_users_last_active_at ON claude_gpt.users USING btree (last_active_on);


--
-- Name: idx_users_subscription_id; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX idx_users_subscription_id ON claude_gpt.users USING btree (subscription_id) WHERE (subscription_id IS NOT NULL);


--
-- Name: usage_records_2026q4_billing_period_usage_type_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_2026q4_billing_period_usage_type_idx ON claude_gpt.usage_records_2026q4 USING brin (billing_period, usage_type);


--
-- Name: usage_records_2026q4_conversation_id_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_2026q4_conversation_id_idx ON claude_gpt.usage_records_2026q4 USING btree (conversation_id) WHERE (conversation_id IS NOT NULL);


--
-- Name: usage_records_2026q4_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_2026q4_created_at_idx ON claude_gpt.usage_records_2026q4 USING brin (created_at);


--
-- Name: usage_records_2026q4_message_id_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_2026q4_message_id_idx ON claude_gpt.usage_records_2026q4 USING btree (message_id) WHERE (message_id IS NOT NULL);


--
-- Name: usage_records_2026q4_user_id_billing_period_usage_type_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_2026q4_user_id_billing_period_usage_type_idx ON claude_gpt.usage_records_2026q4 USING btree (user_id, billing_period, usage_type);


--
-- Name: usage_records_2026q4_user_id_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_2026q4_user_id_created_at_idx ON claude_gpt.usage_records_2026q4 USING btree (user_id, created_at);


--
-- Name: usage_records_2027q1_billing_period_usage_type_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_2027q1_billing_period_usage_type_idx ON claude_gpt.usage_records_2027q1 USING brin (billing_period, usage_type);


--
-- Name: usage_records_2027q1_conversation_id_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_2027q1_conversation_id_idx ON claude_gpt.usage_records_2027q1 USING btree (conversation_id) WHERE (conversation_id IS NOT NULL);


--
-- Name: usage_records_2027q1_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_2027q1_created_at_idx ON claude_gpt.usage_records_2027q1 USING brin (created_at);


--
-- Name: usage_records_2027q1_message_id_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_2027q1_message_id_idx ON claude_gpt.usage_records_2027q1 USING btree (message_id) WHERE (message_id IS NOT NULL);


--
-- Name: usage_records_2027q1_user_id_billing_period_usage_type_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_2027q1_user_id_billing_period_usage_type_idx ON claude_gpt.usage_records_2027q1 USING btree (user_id, billing_period, usage_type);


--
-- Name: usage_records_2027q1_user_id_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_2027q1_user_id_created_at_idx ON claude_gpt.usage_records_2027q1 USING btree (user_id, created_at);


--
-- Name: usage_records_default_billing_period_usage_type_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_default_billing_period_usage_type_idx ON claude_gpt.usage_records_default USING brin (billing_period, usage_type);


--
-- Name: usage_records_default_conversation_id_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_default_conversation_id_idx ON claude_gpt.usage_records_default USING btree (conversation_id) WHERE (conversation_id IS NOT NULL);


--
-- Name: usage_records_default_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_default_created_at_idx ON claude_gpt.usage_records_default USING brin (created_at);


--
-- Name: usage_records_default_message_id_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_default_message_id_idx ON claude_gpt.usage_records_default USING btree (message_id) WHERE (message_id IS NOT NULL);


--
-- Name: usage_records_default_user_id_billing_period_usage_type_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_default_user_id_billing_period_usage_type_idx ON claude_gpt.usage_records_default USING btree (user_id, billing_period, usage_type);


--
-- Name: usage_records_default_user_id_created_at_idx; Type: INDEX; Schema: claude_gpt; Owner: keeper
--

CREATE INDEX usage_records_default_user_id_created_at_idx ON claude_gpt.usage_records_default USING btree (user_id, created_at);


--
-- Name: audit_logs_2026w48_action_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_action ATTACH PARTITION claude_gpt.audit_logs_2026w48_action_created_at_idx;


--
-- Name: audit_logs_2026w48_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_created_at ATTACH PARTITION claude_gpt.audit_logs_2026w48_created_at_idx;


--
-- Name: audit_logs_2026w48_pkey; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.audit_logs_pkey ATTACH PARTITION claude_gpt.audit_logs_2026w48_pkey;


--
-- Name: audit_logs_2026w48_resource_type_resource_id_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_resource ATTACH PARTITION claude_gpt.audit_logs_2026w48_resource_type_resource_id_idx;


--
-- Name: audit_logs_2026w48_user_id_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_user_id ATTACH PARTITION claude_gpt.audit_logs_2026w48_user_id_created_at_idx;


--
-- Name: audit_logs_2026w49_action_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_action ATTACH PARTITION claude_gpt.audit_logs_2026w49_action_created_at_idx;


--
-- Name: audit_logs_2026w49_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_created_at ATTACH PARTITION claude_gpt.audit_logs_2026w49_created_at_idx;


--
-- Name: audit_logs_2026w49_pkey; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.audit_logs_pkey ATTACH PARTITION claude_gpt.audit_logs_2026w49_pkey;


--
-- Name: audit_logs_2026w49_resource_type_resource_id_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_resource ATTACH PARTITION claude_gpt.audit_logs_2026w49_resource_type_resource_id_idx;


--
-- Name: audit_logs_2026w49_user_id_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_user_id ATTACH PARTITION claude_gpt.audit_logs_2026w49_user_id_created_at_idx;


--
-- Name: audit_logs_2026w50_action_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_action ATTACH PARTITION claude_gpt.audit_logs_2026w50_action_created_at_idx;


--
-- Name: audit_logs_2026w50_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_created_at ATTACH PARTITION claude_gpt.audit_logs_2026w50_created_at_idx;


--
-- Name: audit_logs_2026w50_pkey; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.audit_logs_pkey ATTACH PARTITION claude_gpt.audit_logs_2026w50_pkey;


--
-- Name: audit_logs_2026w50_resource_type_resource_id_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_resource ATTACH PARTITION claude_gpt.audit_logs_2026w50_resource_type_resource_id_idx;


--
-- Name: audit_logs_2026w50_user_id_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_user_id ATTACH PARTITION claude_gpt.audit_logs_2026w50_user_id_created_at_idx;


--
-- Name: audit_logs_2026w51_action_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_action ATTACH PARTITION claude_gpt.audit_logs_2026w51_action_created_at_idx;


--
-- Name: audit_logs_2026w51_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_created_at ATTACH PARTITION claude_gpt.audit_logs_2026w51_created_at_idx;


--
-- Name: audit_logs_2026w51_pkey; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.audit_logs_pkey ATTACH PARTITION claude_gpt.audit_logs_2026w51_pkey;


--
-- Name: audit_logs_2026w51_resource_type_resource_id_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_resource ATTACH PARTITION claude_gpt.audit_logs_2026w51_resource_type_resource_id_idx;


--
-- Name: audit_logs_2026w51_user_id_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_user_id ATTACH PARTITION claude_gpt.audit_logs_2026w51_user_id_created_at_idx;


--
-- Name: audit_logs_2026w52_action_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_action ATTACH PARTITION claude_gpt.audit_logs_2026w52_action_created_at_idx;


--
-- Name: audit_logs_2026w52_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_created_at ATTACH PARTITION claude_gpt.audit_logs_2026w52_created_at_idx;


--
-- Name: audit_logs_2026w52_pkey; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.audit_logs_pkey ATTACH PARTITION claude_gpt.audit_logs_2026w52_pkey;


--
-- Name: audit_logs_2026w52_resource_type_resource_id_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_resource ATTACH PARTITION claude_gpt.audit_logs_2026w52_resource_type_resource_id_idx;


--
-- Name: audit_logs_2026w52_user_id_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_user_id ATTACH PARTITION claude_gpt.audit_logs_2026w52_user_id_created_at_idx;


--
-- Name: audit_logs_default_action_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_action ATTACH PARTITION claude_gpt.audit_logs_default_action_created_at_idx;


--
-- Name: audit_logs_default_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_created_at ATTACH PARTITION claude_gpt.audit_logs_default_created_at_idx;


--
-- Name: audit_logs_default_pkey; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.audit_logs_pkey ATTACH PARTITION claude_gpt.audit_logs_default_pkey;


--
-- Name: audit_logs_default_resource_type_resource_id_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_resource ATTACH PARTITION claude_gpt.audit_logs_default_resource_type_resource_id_idx;


--
-- Name: audit_logs_default_user_id_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_audit_logs_user_id ATTACH PARTITION claude_gpt.audit_logs_default_user_id_created_at_idx;


--
-- Name: usage_records_2026q4_billing_period_usage_type_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_usage_type ATTACH PARTITION claude_gpt.usage_records_2026q4_billing_period_usage_type_idx;


--
-- Name: usage_records_2026q4_conversation_id_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_conversation_id ATTACH PARTITION claude_gpt.usage_records_2026q4_conversation_id_idx;


--
-- Name: usage_records_2026q4_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_created_at ATTACH PARTITION claude_gpt.usage_records_2026q4_created_at_idx;


--
-- Name: usage_records_2026q4_message_id_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_message_id ATTACH PARTITION claude_gpt.usage_records_2026q4_message_id_idx;


--
-- Name: usage_records_2026q4_pkey; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.usage_records_pkey ATTACH PARTITION claude_gpt.usage_records_2026q4_pkey;


--
-- Name: usage_records_2026q4_user_id_billing_period_usage_type_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_user_id ATTACH PARTITION claude_gpt.usage_records_2026q4_user_id_billing_period_usage_type_idx;


--
-- Name: usage_records_2026q4_user_id_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_user_date ATTACH PARTITION claude_gpt.usage_records_2026q4_user_id_created_at_idx;


--
-- Name: usage_records_2027q1_billing_period_usage_type_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_usage_type ATTACH PARTITION claude_gpt.usage_records_2027q1_billing_period_usage_type_idx;


--
-- Name: usage_records_2027q1_conversation_id_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_conversation_id ATTACH PARTITION claude_gpt.usage_records_2027q1_conversation_id_idx;


--
-- Name: usage_records_2027q1_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_created_at ATTACH PARTITION claude_gpt.usage_records_2027q1_created_at_idx;


--
-- Name: usage_records_2027q1_message_id_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_message_id ATTACH PARTITION claude_gpt.usage_records_2027q1_message_id_idx;


--
-- Name: usage_records_2027q1_pkey; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.usage_records_pkey ATTACH PARTITION claude_gpt.usage_records_2027q1_pkey;


--
-- Name: usage_records_2027q1_user_id_billing_period_usage_type_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_user_id ATTACH PARTITION claude_gpt.usage_records_2027q1_user_id_billing_period_usage_type_idx;


--
-- Name: usage_records_2027q1_user_id_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_user_date ATTACH PARTITION claude_gpt.usage_records_2027q1_user_id_created_at_idx;


--
-- Name: usage_records_default_billing_period_usage_type_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_usage_type ATTACH PARTITION claude_gpt.usage_records_default_billing_period_usage_type_idx;


--
-- Name: usage_records_default_conversation_id_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_conversation_id ATTACH PARTITION claude_gpt.usage_records_default_conversation_id_idx;


--
-- Name: usage_records_default_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_created_at ATTACH PARTITION claude_gpt.usage_records_default_created_at_idx;


--
-- Name: usage_records_default_message_id_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_message_id ATTACH PARTITION claude_gpt.usage_records_default_message_id_idx;


--
-- Name: usage_records_default_pkey; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.usage_records_pkey ATTACH PARTITION claude_gpt.usage_records_default_pkey;


--
-- Name: usage_records_default_user_id_billing_period_usage_type_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_user_id ATTACH PARTITION claude_gpt.usage_records_default_user_id_billing_period_usage_type_idx;


--
-- Name: usage_records_default_user_id_created_at_idx; Type: INDEX ATTACH; Schema: claude_gpt; Owner: keeper
--

ALTER INDEX claude_gpt.idx_usage_records_user_date ATTACH PARTITION claude_gpt.usage_records_default_user_id_created_at_idx;


--
-- Name: system_configs carry_unrecorded_usage; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER carry_unrecorded_usage AFTER UPDATE ON claude_gpt.system_configs FOR EACH ROW WHEN ((((old.config_key)::text = 'usage_ledger'::text) AND old.is_active AND (old.config_value = 'false'::jsonb) AND (NOT (((new.config_key)::text = 'usage_ledger'::text) AND new.is_active AND (new.config_value = 'false'::jsonb))))) EXECUTE FUNCTION claude_gpt.carry_unrecorded_usage();


--
-- Name: system_configs carry_unrecorded_usage_of_deleted; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER carry_unrecorded_usage_of_deleted AFTER DELETE ON claude_gpt.system_configs FOR EACH ROW WHEN ((((old.config_key)::text = 'usage_ledger'::text) AND old.is_active AND (old.config_value = 'false'::jsonb))) EXECUTE FUNCTION claude_gpt.carry_unrecorded_usage();


--
-- Name: messages check_messages; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER check_messages BEFORE INSERT OR UPDATE ON claude_gpt.messages FOR EACH ROW EXECUTE FUNCTION claude_gpt.enforce_column_rules('role in user assistant system', 'content_type in text image file', 'prompt_tokens not negative', 'completion_tokens not negative', 'total_tokens not negative', 'cost not negative', 'status in sending sent failed deleted');


--
-- Name: usage_records check_usage_records; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER check_usage_records BEFORE INSERT OR UPDATE ON claude_gpt.usage_records FOR EACH ROW EXECUTE FUNCTION claude_gpt.enforce_column_rules('usage_type in message token api_call', 'quantity not negative', 'cost not negative');


--
-- Name: usage_reservations check_usage_reservations; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER check_usage_reservations BEFORE INSERT OR UPDATE ON claude_gpt.usage_reservations FOR EACH ROW EXECUTE FUNCTION claude_gpt.enforce_column_rules('status in open settled released expired', 'message_count not negative', 'token_count not negative', 'cost not negative');


--
-- Name: users check_users; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER check_users BEFORE INSERT OR UPDATE OF email, subscription_status ON claude_gpt.users FOR EACH ROW EXECUTE FUNCTION claude_gpt.enforce_column_rules('email not empty', 'subscription_status in active trialing past_due inactive canceled cancelled unpaid incomplete incomplete_expired expired paused');


--
-- Name: messages count_deleted_messages; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER count_deleted_messages AFTER DELETE ON claude_gpt.messages REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt.maintain_conversation_counters();


--
-- Name: messages count_inserted_messages; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER count_inserted_messages AFTER INSERT ON claude_gpt.messages REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt.maintain_conversation_counters();


--
-- Name: messages count_truncated_messages; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER count_truncated_messages AFTER TRUNCATE ON claude_gpt.messages FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt.maintain_conversation_counters();


--
-- Name: messages count_updated_messages; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER count_updated_messages AFTER UPDATE ON claude_gpt.messages REFERENCING OLD TABLE AS before_update NEW TABLE AS after_update FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt.maintain_conversation_counters();


--
-- Name: system_configs invalidate_system_configs; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER invalidate_system_configs AFTER INSERT OR DELETE OR UPDATE ON claude_gpt.system_configs FOR EACH ROW EXECUTE FUNCTION claude_gpt.invalidate_system_configs();

ALTER TABLE claude_gpt.system_configs ENABLE ALWAYS TRIGGER invalidate_system_configs;


--
-- Name: system_configs invalidate_truncated_system_configs; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER invalidate_truncated_system_configs AFTER TRUNCATE ON claude_gpt.system_configs FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt.invalidate_system_configs();

ALTER TABLE claude_gpt.system_configs ENABLE ALWAYS TRIGGER invalidate_truncated_system_configs;


--
-- Name: jobs look_at_changed_jobs; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER look_at_changed_jobs AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON claude_gpt.jobs FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt.look_at_changed_jobs();


--
-- Name: conversations protect_conversations; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER protect_conversations BEFORE INSERT OR UPDATE ON claude_gpt.conversations FOR EACH ROW EXECUTE FUNCTION claude_gpt.enforce_column_rules('message_count maintained not negative', 'total_tokens maintained not negative', 'total_cost maintained not negative', 'last_message_at maintained');


--
-- Name: users protect_users; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER protect_users BEFORE INSERT OR UPDATE ON claude_gpt.users FOR EACH ROW EXECUTE FUNCTION claude_gpt.enforce_column_rules('subscription_id maintained', 'subscription_tier maintained', 'subscription_status maintained', 'subscription_current_period_end maintained', 'subscription_cancel_at_period_end maintained', 'monthly_message_count maintained not negative', 'total_message_count maintained not negative', 'monthly_token_count maintained not negative', 'total_token_count maintained not negative', 'monthly_cost maintained not negative', 'total_cost maintained not negative', 'monthly_api_call_count maintained not negative', 'total_api_call_count maintained not negative', 'monthly_reset_date maintained', 'held_message_count maintained not negative', 'held_token_count maintained not negative', 'held_cost maintained not negative', 'next_hold_expiry maintained');


--
-- Name: conversations set_conversations_last_message_on; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER set_conversations_last_message_on BEFORE INSERT ON claude_gpt.conversations FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column('last_message_on', 'last_message_at');


--
-- Name: users set_users_last_active_on; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER set_users_last_active_on BEFORE INSERT ON claude_gpt.users FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column('last_active_on', 'last_active_at');


--
-- Name: conversations update_conversations_updated_at; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER update_conversations_updated_at BEFORE UPDATE ON claude_gpt.conversations FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column('last_message_on', 'last_message_at');


--
-- Name: messages update_messages_updated_at; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER update_messages_updated_at BEFORE UPDATE ON claude_gpt.messages FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column();


--
-- Name: system_configs update_system_configs_updated_at; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER update_system_configs_updated_at BEFORE UPDATE ON claude_gpt.system_configs FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column();


--
-- Name: users update_users_updated_at; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER update_users_updated_at BEFORE UPDATE ON claude_gpt.users FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column('last_active_on', 'last_active_at');


--
-- Name: jobs validate_job; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER validate_job BEFORE INSERT OR UPDATE ON claude_gpt.jobs FOR EACH ROW EXECUTE FUNCTION claude_gpt.validate_job();


--
-- Name: system_configs validate_system_configs; Type: TRIGGER; Schema: claude_gpt; Owner: keeper
--

CREATE TRIGGER validate_system_configs BEFORE INSERT OR UPDATE ON claude_gpt.system_configs FOR EACH ROW EXECUTE FUNCTION claude_gpt.validate_system_config();

ALTER TABLE claude_gpt.system_configs ENABLE ALWAYS TRIGGER validate_system_configs;


--
-- Name: audit_logs audit_logs_user_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE claude_gpt.audit_logs
    ADD CONSTRAINT audit_logs_user_id_fkey FOREIGN KEY (user_id) REFERENCES claude_gpt.users(id) ON DELETE SET NULL;


--
-- Name: conversations conversations_user_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.conversations
    ADD CONSTRAINT conversations_user_id_fkey FOREIGN KEY (user_id) REFERENCES claude_gpt.users(id) ON DELETE CASCADE;


--
-- Name: idempotency_keys idempotency_keys_user_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.idempotency_keys
    ADD CONSTRAINT idempotency_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES claude_gpt.users(id) ON DELETE CASCADE;


--
-- Name: job_runs job_runs_job_name_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.job_runs
    ADD CONSTRAINT job_runs_job_name_fkey FOREIGN KEY (job_name) REFERENCES claude_gpt.jobs(name) ON UPDATE CASCADE ON DELETE CASCADE;


--
-- Name: messages messages_conversation_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.messages
    ADD CONSTRAINT messages_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES claude_gpt.conversations(id) ON DELETE CASCADE;


--
-- Name: messages messages_parent_message_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.messages
    ADD CONSTRAINT messages_parent_message_id_fkey FOREIGN KEY (parent_message_id) REFERENCES claude_gpt.messages(id) ON DELETE SET NULL;


--
-- Name: messages messages_user_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.messages
    ADD CONSTRAINT messages_user_id_fkey FOREIGN KEY (user_id) REFERENCES claude_gpt.users(id) ON DELETE CASCADE;


--
-- Name: subscription_history subscription_history_user_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.subscription_history
    ADD CONSTRAINT subscription_history_user_id_fkey FOREIGN KEY (user_id) REFERENCES claude_gpt.users(id) ON DELETE CASCADE;


--
-- Name: usage_balances usage_balances_user_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.usage_balances
    ADD CONSTRAINT usage_balances_user_id_fkey FOREIGN KEY (user_id) REFERENCES claude_gpt.users(id) ON DELETE CASCADE;


--
-- Name: usage_records usage_records_conversation_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE claude_gpt.usage_records
    ADD CONSTRAINT usage_records_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES claude_gpt.conversations(id) ON DELETE SET NULL;


--
-- Name: usage_records usage_records_message_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE claude_gpt.usage_records
    ADD CONSTRAINT usage_records_message_id_fkey FOREIGN KEY (message_id) REFERENCES claude_gpt.messages(id) ON DELETE SET NULL;


--
-- Name: usage_records usage_records_user_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE claude_gpt.usage_records
    ADD CONSTRAINT usage_records_user_id_fkey FOREIGN KEY (user_id) REFERENCES claude_gpt.users(id) ON DELETE CASCADE;


--
-- Name: usage_reservations usage_reservations_user_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.usage_reservations
    ADD CONSTRAINT usage_reservations_user_id_fkey FOREIGN KEY (user_id) REFERENCES claude_gpt.users(id) ON DELETE CASCADE;


--
-- Name: user_sessions user_sessions_user_id_fkey; Type: FK CONSTRAINT; Schema: claude_gpt; Owner: keeper
--

ALTER TABLE ONLY claude_gpt.user_sessions
    ADD CONSTRAINT user_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES claude_gpt.users(id) ON DELETE CASCADE;


--
-- Name: SCHEMA claude_gpt; Type: ACL; Schema: -; Owner: postgres
--

GRANT ALL ON SCHEMA claude_gpt TO keeper WITH GRANT OPTION;
GRANT USAGE ON SCHEMA claude_gpt TO app;
GRANT USAGE ON SCHEMA claude_gpt TO reader;


--
-- Name: FUNCTION add_references(p_dropped jsonb); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.add_references(p_dropped jsonb) TO keeper WITH GRANT OPTION;


--
-- Name: PROCEDURE adopt_schema(IN p_schema name, IN p_time_zone text, INOUT p_report jsonb); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON PROCEDURE claude_gpt.adopt_schema(IN p_schema name, IN p_time_zone text, INOUT p_report jsonb) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION apply_access(p_role text, p_level text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.apply_access(p_role text, p_level text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION attach_partition(p_table text, p_from timestamp with time zone, p_to timestamp with time zone, p_name name); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.attach_partition(p_table text, p_from timestamp with time zone, p_to timestamp with time zone, p_name name) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION begin_turn(p_user_id uuid, p_conversation_id uuid, p_content text, p_model text, p_estimated_tokens integer, p_parent_message_id uuid, p_message_id uuid, p_content_type text, p_metadata jsonb, p_ttl interval, p_idempotency_key text, OUT allowed boolean, OUT reason text, OUT limit_name text, OUT limit_value bigint, OUT used bigint, OUT held bigint, OUT remaining bigint, OUT resets_at timestamp with time zone, OUT retry_after_seconds integer, OUT error_code text, OUT http_status integer, OUT replayed boolean, OUT conversation_id uuid, OUT message_id uuid, OUT assistant_message_id uuid, OUT reservation_id uuid, OUT expires_at timestamp with time zone); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.begin_turn(p_user_id uuid, p_conversation_id uuid, p_content text, p_model text, p_estimated_tokens integer, p_parent_message_id uuid, p_message_id uuid, p_content_type text, p_metadata jsonb, p_ttl interval, p_idempotency_key text, OUT allowed boolean, OUT reason text, OUT limit_name text, OUT limit_value bigint, OUT used bigint, OUT held bigint, OUT remaining bigint, OUT resets_at timestamp with time zone, OUT retry_after_seconds integer, OUT error_code text, OUT http_status integer, OUT replayed boolean, OUT conversation_id uuid, OUT message_id uuid, OUT assistant_message_id uuid, OUT reservation_id uuid, OUT expires_at timestamp with time zone) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.begin_turn(p_user_id uuid, p_conversation_id uuid, p_content text, p_model text, p_estimated_tokens integer, p_parent_message_id uuid, p_message_id uuid, p_content_type text, p_metadata jsonb, p_ttl interval, p_idempotency_key text, OUT allowed boolean, OUT reason text, OUT limit_name text, OUT limit_value bigint, OUT used bigint, OUT held bigint, OUT remaining bigint, OUT resets_at timestamp with time zone, OUT retry_after_seconds integer, OUT error_code text, OUT http_status integer, OUT replayed boolean, OUT conversation_id uuid, OUT message_id uuid, OUT assistant_message_id uuid, OUT reservation_id uuid, OUT expires_at timestamp with time zone) TO app;


--
-- Name: FUNCTION build_partition(p_parent regclass, p_model regclass, p_name name); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.build_partition(p_parent regclass, p_model regclass, p_name name) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION carry_unrecorded_usage(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.carry_unrecorded_usage() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION check_partition_range(p_from timestamp with time zone, p_to timestamp with time zone, p_width text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.check_partition_range(p_from timestamp with time zone, p_to timestamp with time zone, p_width text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION check_rate_limit(p_user_id uuid, p_cost integer, OUT allowed boolean, OUT limit_value integer, OUT remaining integer, OUT retry_after_seconds integer, OUT reset_after_seconds integer, OUT reason text, OUT error_code text, OUT http_status integer); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.check_rate_limit(p_user_id uuid, p_cost integer, OUT allowed boolean, OUT limit_value integer, OUT remaining integer, OUT retry_after_seconds integer, OUT reset_after_seconds integer, OUT reason text, OUT error_code text, OUT http_status integer) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.check_rate_limit(p_user_id uuid, p_cost integer, OUT allowed boolean, OUT limit_value integer, OUT remaining integer, OUT retry_after_seconds integer, OUT reset_after_seconds integer, OUT reason text, OUT error_code text, OUT http_status integer) TO app;


--
-- Name: FUNCTION check_subscription_limit(p_user_id uuid, p_action character varying); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.check_subscription_limit(p_user_id uuid, p_action character varying) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.check_subscription_limit(p_user_id uuid, p_action character varying) TO app;
GRANT ALL ON FUNCTION claude_gpt.check_subscription_limit(p_user_id uuid, p_action character varying) TO reader;


--
-- Name: FUNCTION cleanup_expired_sessions(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.cleanup_expired_sessions() TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.cleanup_expired_sessions() TO app;


--
-- Name: FUNCTION complete_turn(p_reservation_id uuid, p_content text, p_prompt_tokens integer, p_completion_tokens integer, p_cost numeric, p_metadata jsonb, p_cached_prompt_tokens integer, p_cache_write_tokens integer, OUT message_id uuid, OUT conversation_id uuid, OUT total_tokens bigint, OUT charged_cost numeric, OUT late boolean, OUT replayed boolean); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.complete_turn(p_reservation_id uuid, p_content text, p_prompt_tokens integer, p_completion_tokens integer, p_cost numeric, p_metadata jsonb, p_cached_prompt_tokens integer, p_cache_write_tokens integer, OUT message_id uuid, OUT conversation_id uuid, OUT total_tokens bigint, OUT charged_cost numeric, OUT late boolean, OUT replayed boolean) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.complete_turn(p_reservation_id uuid, p_content text, p_prompt_tokens integer, p_completion_tokens integer, p_cost numeric, p_metadata jsonb, p_cached_prompt_tokens integer, p_cache_write_tokens integer, OUT message_id uuid, OUT conversation_id uuid, OUT total_tokens bigint, OUT charged_cost numeric, OUT late boolean, OUT replayed boolean) TO app;


--
-- Name: FUNCTION consume_quota(p_user_id uuid, p_action text, p_quantity bigint, p_model text, p_idempotency_key text, OUT allowed boolean, OUT reason text, OUT limit_name text, OUT limit_value bigint, OUT used bigint, OUT held bigint, OUT remaining bigint, OUT resets_at timestamp with time zone, OUT retry_after_seconds integer, OUT error_code text, OUT http_status integer, OUT replayed boolean); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.consume_quota(p_user_id uuid, p_action text, p_quantity bigint, p_model text, p_idempotency_key text, OUT allowed boolean, OUT reason text, OUT limit_name text, OUT limit_value bigint, OUT used bigint, OUT held bigint, OUT remaining bigint, OUT resets_at timestamp with time zone, OUT retry_after_seconds integer, OUT error_code text, OUT http_status integer, OUT replayed boolean) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.consume_quota(p_user_id uuid, p_action text, p_quantity bigint, p_model text, p_idempotency_key text, OUT allowed boolean, OUT reason text, OUT limit_name text, OUT limit_value bigint, OUT used bigint, OUT held bigint, OUT remaining bigint, OUT resets_at timestamp with time zone, OUT retry_after_seconds integer, OUT error_code text, OUT http_status integer, OUT replayed boolean) TO app;


--
-- Name: FUNCTION conversation_messages(p_user_id uuid, p_conversation_id uuid, p_before uuid, p_limit integer); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.conversation_messages(p_user_id uuid, p_conversation_id uuid, p_before uuid, p_limit integer) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.conversation_messages(p_user_id uuid, p_conversation_id uuid, p_before uuid, p_limit integer) TO app;


--
-- Name: FUNCTION conversation_path(p_user_id uuid, p_leaf_message_id uuid, p_max_tokens integer); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.conversation_path(p_user_id uuid, p_leaf_message_id uuid, p_max_tokens integer) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.conversation_path(p_user_id uuid, p_leaf_message_id uuid, p_max_tokens integer) TO app;


--
-- Name: FUNCTION convert_to_partitions(p_relation regclass); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.convert_to_partitions(p_relation regclass) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION copied_columns(p_relation regclass); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.copied_columns(p_relation regclass) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION create_next_partition(p_table text, p_from timestamp with time zone, p_to timestamp with time zone, p_width text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.create_next_partition(p_table text, p_from timestamp with time zone, p_to timestamp with time zone, p_width text) TO keeper WITH GRANT OPTION;


--
-- Name: PROCEDURE create_partitions(IN p_table text, IN p_from timestamp with time zone, IN p_to timestamp with time zone, IN p_width text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON PROCEDURE claude_gpt.create_partitions(IN p_table text, IN p_from timestamp with time zone, IN p_to timestamp with time zone, IN p_width text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION cron_entry_name(p_job text, p_database name); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.cron_entry_name(p_job text, p_database name) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION cron_schedule(p_run_every interval, p_minute integer); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.cron_schedule(p_run_every interval, p_minute integer) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION current_billing_period(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.current_billing_period() TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.current_billing_period() TO app;
GRANT ALL ON FUNCTION claude_gpt.current_billing_period() TO reader;


--
-- Name: FUNCTION delete_conversation(p_user_id uuid, p_conversation_id uuid); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.delete_conversation(p_user_id uuid, p_conversation_id uuid) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.delete_conversation(p_user_id uuid, p_conversation_id uuid) TO app;


--
-- Name: FUNCTION delete_rows_before(p_table text, p_before timestamp with time zone, p_partition regclass, p_first_block bigint, p_blocks integer, OUT deleted bigint, OUT next_partition regclass, OUT next_block bigint, OUT done text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.delete_rows_before(p_table text, p_before timestamp with time zone, p_partition regclass, p_first_block bigint, p_blocks integer, OUT deleted bigint, OUT next_partition regclass, OUT next_block bigint, OUT done text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION detach(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.detach() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION drop_next_partition_before(p_table text, p_before timestamp with time zone); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.drop_next_partition_before(p_table text, p_before timestamp with time zone) TO keeper WITH GRANT OPTION;


--
-- Name: PROCEDURE drop_partitions_before(IN p_table text, IN p_before timestamp with time zone); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON PROCEDURE claude_gpt.drop_partitions_before(IN p_table text, IN p_before timestamp with time zone) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION drop_references(p_relation regclass, p_with_siblings boolean); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.drop_references(p_relation regclass, p_with_siblings boolean) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION effective_tier(p_user_id uuid); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.effective_tier(p_user_id uuid) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.effective_tier(p_user_id uuid) TO app;
GRANT ALL ON FUNCTION claude_gpt.effective_tier(p_user_id uuid) TO reader;


--
-- Name: FUNCTION enforce_column_rules(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.enforce_column_rules() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION extend_usage(p_reservation_id uuid, p_ttl interval); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.extend_usage(p_reservation_id uuid, p_ttl interval) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.extend_usage(p_reservation_id uuid, p_ttl interval) TO app;


--
-- Name: FUNCTION fail_turn(p_reservation_id uuid, p_error_message text, p_prompt_tokens integer, p_completion_tokens integer, p_content text, p_cost numeric, p_cached_prompt_tokens integer, p_cache_write_tokens integer, OUT message_id uuid, OUT conversation_id uuid, OUT total_tokens bigint, OUT charged_cost numeric, OUT late boolean, OUT replayed boolean); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.fail_turn(p_reservation_id uuid, p_error_message text, p_prompt_tokens integer, p_completion_tokens integer, p_content text, p_cost numeric, p_cached_prompt_tokens integer, p_cache_write_tokens integer, OUT message_id uuid, OUT conversation_id uuid, OUT total_tokens bigint, OUT charged_cost numeric, OUT late boolean, OUT replayed boolean) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.fail_turn(p_reservation_id uuid, p_error_message text, p_prompt_tokens integer, p_completion_tokens integer, p_content text, p_cost numeric, p_cached_prompt_tokens integer, p_cache_write_tokens integer, OUT message_id uuid, OUT conversation_id uuid, OUT total_tokens bigint, OUT charged_cost numeric, OUT late boolean, OUT replayed boolean) TO app;


--
-- Name: FUNCTION finish_references(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.finish_references() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION grant_application_access(p_role regrole, p_level text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.grant_application_access(p_role regrole, p_level text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION has_partition_work(p_table text, p_from timestamp with time zone, p_to timestamp with time zone, p_width text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.has_partition_work(p_table text, p_from timestamp with time zone, p_to timestamp with time zone, p_width text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION invalidate_system_configs(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.invalidate_system_configs() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION job_looks(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.job_looks() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION list_conversations(p_user_id uuid, p_archived boolean, p_before uuid, p_limit integer); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.list_conversations(p_user_id uuid, p_archived boolean, p_before uuid, p_limit integer) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.list_conversations(p_user_id uuid, p_archived boolean, p_before uuid, p_limit integer) TO app;


--
-- Name: FUNCTION list_partitions(p_table text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.list_partitions(p_table text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION lock_referenced_tables(p_relation regclass, p_is_swap boolean); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.lock_referenced_tables(p_relation regclass, p_is_swap boolean) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION look_at_changed_jobs(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.look_at_changed_jobs() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION maintain_conversation_counters(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.maintain_conversation_counters() TO keeper WITH GRANT OPTION;


--
-- Name: PROCEDURE migrate(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON PROCEDURE claude_gpt.migrate() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION missing_partitions(p_table text, p_from timestamp with time zone, p_to timestamp with time zone, p_width text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.missing_partitions(p_table text, p_from timestamp with time zone, p_to timestamp with time zone, p_width text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION partition_bound(p_moment timestamp with time zone, p_type regtype); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.partition_bound(p_moment timestamp with time zone, p_type regtype) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION partition_moment(p_bound text, p_type regtype, p_is_upper boolean); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.partition_moment(p_bound text, p_type regtype, p_is_upper boolean) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION partition_name(p_table name, p_width text, p_from timestamp with time zone, p_to timestamp with time zone); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.partition_name(p_table name, p_width text, p_from timestamp with time zone, p_to timestamp with time zone) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION partition_period(p_width text, p_moment timestamp with time zone, OUT from_at timestamp with time zone, OUT to_at timestamp with time zone); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.partition_period(p_width text, p_moment timestamp with time zone, OUT from_at timestamp with time zone, OUT to_at timestamp with time zone) TO keeper WITH GRANT OPTION;


--
-- Name: PROCEDURE partition_table(IN p_table text, IN p_width text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON PROCEDURE claude_gpt.partition_table(IN p_table text, IN p_width text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION partition_table_step(p_table text, p_width text, p_now timestamp with time zone); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.partition_table_step(p_table text, p_width text, p_now timestamp with time zone) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION partitioned_table(p_table text, OUT relation regclass, OUT key_column name, OUT key_type regtype, OUT default_partition regclass); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.partitioned_table(p_table text, OUT relation regclass, OUT key_column name, OUT key_type regtype, OUT default_partition regclass) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION partitioning_obstacles(p_relation regclass); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.partitioning_obstacles(p_relation regclass) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION partitions_of(p_relation regclass); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.partitions_of(p_relation regclass) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION prove_books(p_user_id uuid); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.prove_books(p_user_id uuid) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION quota_status(p_user_id uuid); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.quota_status(p_user_id uuid) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.quota_status(p_user_id uuid) TO app;
GRANT ALL ON FUNCTION claude_gpt.quota_status(p_user_id uuid) TO reader;


--
-- Name: FUNCTION raise_if_denied(p_decision record); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.raise_if_denied(p_decision record) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.raise_if_denied(p_decision record) TO app;


--
-- Name: FUNCTION range_to_swap(p_table text, p_wanted timestamp with time zone, p_width text, OUT from_at timestamp with time zone, OUT to_at timestamp with time zone, OUT row_count bigint, OUT stray_count bigint); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.range_to_swap(p_table text, p_wanted timestamp with time zone, p_width text, OUT from_at timestamp with time zone, OUT to_at timestamp with time zone, OUT row_count bigint, OUT stray_count bigint) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION rate_limit(p_key text, p_limit integer, p_period interval, p_cost integer, OUT allowed boolean, OUT limit_value integer, OUT remaining integer, OUT retry_after_seconds integer, OUT reset_after_seconds integer, OUT reason text, OUT error_code text, OUT http_status integer); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.rate_limit(p_key text, p_limit integer, p_period interval, p_cost integer, OUT allowed boolean, OUT limit_value integer, OUT remaining integer, OUT retry_after_seconds integer, OUT reset_after_seconds integer, OUT reason text, OUT error_code text, OUT http_status integer) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.rate_limit(p_key text, p_limit integer, p_period interval, p_cost integer, OUT allowed boolean, OUT limit_value integer, OUT remaining integer, OUT retry_after_seconds integer, OUT reset_after_seconds integer, OUT reason text, OUT error_code text, OUT http_status integer) TO app;


--
-- Name: FUNCTION rate_limit_status(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.rate_limit_status() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION record_access(p_role text, p_level text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.record_access(p_role text, p_level text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION record_usage(p_user_id uuid, p_usage_type text, p_quantity bigint, p_model text, p_cost numeric, p_message_id uuid, p_conversation_id uuid, p_metadata jsonb, p_idempotency_key text, OUT usage_record_id uuid, OUT replayed boolean); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.record_usage(p_user_id uuid, p_usage_type text, p_quantity bigint, p_model text, p_cost numeric, p_message_id uuid, p_conversation_id uuid, p_metadata jsonb, p_idempotency_key text, OUT usage_record_id uuid, OUT replayed boolean) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.record_usage(p_user_id uuid, p_usage_type text, p_quantity bigint, p_model text, p_cost numeric, p_message_id uuid, p_conversation_id uuid, p_metadata jsonb, p_idempotency_key text, OUT usage_record_id uuid, OUT replayed boolean) TO app;


--
-- Name: FUNCTION release_usage(p_reservation_id uuid); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.release_usage(p_reservation_id uuid) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.release_usage(p_reservation_id uuid) TO app;


--
-- Name: FUNCTION repair_books(p_user_id uuid); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.repair_books(p_user_id uuid) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION require_owner(p_relation regclass); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.require_owner(p_relation regclass) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION require_pg_cron(p_call text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.require_pg_cron(p_call text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION reserve_usage(p_user_id uuid, p_tokens bigint, p_messages integer, p_model text, p_ttl interval, p_idempotency_key text, OUT allowed boolean, OUT reason text, OUT limit_name text, OUT limit_value bigint, OUT used bigint, OUT held bigint, OUT remaining bigint, OUT resets_at timestamp with time zone, OUT retry_after_seconds integer, OUT error_code text, OUT http_status integer, OUT replayed boolean, OUT reservation_id uuid, OUT expires_at timestamp with time zone); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.reserve_usage(p_user_id uuid, p_tokens bigint, p_messages integer, p_model text, p_ttl interval, p_idempotency_key text, OUT allowed boolean, OUT reason text, OUT limit_name text, OUT limit_value bigint, OUT used bigint, OUT held bigint, OUT remaining bigint, OUT resets_at timestamp with time zone, OUT retry_after_seconds integer, OUT error_code text, OUT http_status integer, OUT replayed boolean, OUT reservation_id uuid, OUT expires_at timestamp with time zone) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.reserve_usage(p_user_id uuid, p_tokens bigint, p_messages integer, p_model text, p_ttl interval, p_idempotency_key text, OUT allowed boolean, OUT reason text, OUT limit_name text, OUT limit_value bigint, OUT used bigint, OUT held bigint, OUT remaining bigint, OUT resets_at timestamp with time zone, OUT retry_after_seconds integer, OUT error_code text, OUT http_status integer, OUT replayed boolean, OUT reservation_id uuid, OUT expires_at timestamp with time zone) TO app;


--
-- Name: FUNCTION reset_rate_limit(p_key text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.reset_rate_limit(p_key text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION reset_user_rate_limit(p_user_id uuid); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.reset_user_rate_limit(p_user_id uuid) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION revoke_application_access(p_role regrole); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.revoke_application_access(p_role regrole) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION revoke_table_grants(p_relation regclass, p_from_owner boolean); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.revoke_table_grants(p_relation regclass, p_from_owner boolean) TO keeper WITH GRANT OPTION;


--
-- Name: PROCEDURE run_due_jobs(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON PROCEDURE claude_gpt.run_due_jobs() TO keeper WITH GRANT OPTION;


--
-- Name: PROCEDURE run_job(IN p_name text, IN p_engine text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON PROCEDURE claude_gpt.run_job(IN p_name text, IN p_engine text) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION save_partial(p_reservation_id uuid, p_content text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.save_partial(p_reservation_id uuid, p_content text) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.save_partial(p_reservation_id uuid, p_content text) TO app;


--
-- Name: FUNCTION schedule_with_pg_cron(p_database name, p_reindex boolean); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.schedule_with_pg_cron(p_database name, p_reindex boolean) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION set_owner(p_role regrole); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.set_owner(p_role regrole) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION set_subscription(p_user_id uuid, p_tier text, p_status text, p_current_period_end timestamp with time zone, p_cancel_at_period_end boolean, p_subscription_id text, p_event_type text, p_metadata jsonb); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.set_subscription(p_user_id uuid, p_tier text, p_status text, p_current_period_end timestamp with time zone, p_cancel_at_period_end boolean, p_subscription_id text, p_event_type text, p_metadata jsonb) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION settle_usage(p_reservation_id uuid, p_prompt_tokens integer, p_completion_tokens integer, p_cost numeric, p_message_id uuid, p_cached_prompt_tokens integer, p_cache_write_tokens integer, OUT charged_tokens bigint, OUT charged_cost numeric, OUT late boolean, OUT replayed boolean); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.settle_usage(p_reservation_id uuid, p_prompt_tokens integer, p_completion_tokens integer, p_cost numeric, p_message_id uuid, p_cached_prompt_tokens integer, p_cache_write_tokens integer, OUT charged_tokens bigint, OUT charged_cost numeric, OUT late boolean, OUT replayed boolean) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.settle_usage(p_reservation_id uuid, p_prompt_tokens integer, p_completion_tokens integer, p_cost numeric, p_message_id uuid, p_cached_prompt_tokens integer, p_cache_write_tokens integer, OUT charged_tokens bigint, OUT charged_cost numeric, OUT late boolean, OUT replayed boolean) TO app;


--
-- Name: FUNCTION sibling_references(p_relation regclass); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.sibling_references(p_relation regclass) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION swap_default_partition(p_table text, p_from timestamp with time zone, p_to timestamp with time zone, p_name name); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.swap_default_partition(p_table text, p_from timestamp with time zone, p_to timestamp with time zone, p_name name) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION table_grants(p_relation regclass); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.table_grants(p_relation regclass) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION table_properties(p_relation regclass); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.table_properties(p_relation regclass) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION unfinished_references(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.unfinished_references() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION unschedule_pg_cron(p_database name); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.unschedule_pg_cron(p_database name) TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION update_updated_at_column(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.update_updated_at_column() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION update_user_usage(p_user_id uuid, p_message_count integer, p_tokens integer, p_cost numeric); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.update_user_usage(p_user_id uuid, p_message_count integer, p_tokens integer, p_cost numeric) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.update_user_usage(p_user_id uuid, p_message_count integer, p_tokens integer, p_cost numeric) TO app;


--
-- Name: FUNCTION uuid_v7(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.uuid_v7() TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.uuid_v7() TO app;


--
-- Name: FUNCTION uuid_v7_floor(p_moment timestamp with time zone); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.uuid_v7_floor(p_moment timestamp with time zone) TO keeper WITH GRANT OPTION;
GRANT ALL ON FUNCTION claude_gpt.uuid_v7_floor(p_moment timestamp with time zone) TO app;
GRANT ALL ON FUNCTION claude_gpt.uuid_v7_floor(p_moment timestamp with time zone) TO reader;


--
-- Name: FUNCTION validate_job(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.validate_job() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION validate_system_config(); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.validate_system_config() TO keeper WITH GRANT OPTION;


--
-- Name: FUNCTION withdraw_access(p_role text); Type: ACL; Schema: claude_gpt; Owner: postgres
--

GRANT ALL ON FUNCTION claude_gpt.withdraw_access(p_role text) TO keeper WITH GRANT OPTION;


--
-- Name: TABLE audit_logs; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT,INSERT ON TABLE claude_gpt.audit_logs TO app;


--
-- Name: COLUMN audit_logs.id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(id) ON TABLE claude_gpt.audit_logs TO reader;


--
-- Name: COLUMN audit_logs.user_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_id) ON TABLE claude_gpt.audit_logs TO reader;


--
-- Name: COLUMN audit_logs.user_email; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_email) ON TABLE claude_gpt.audit_logs TO reader;


--
-- Name: COLUMN audit_logs.action; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(action) ON TABLE claude_gpt.audit_logs TO reader;


--
-- Name: COLUMN audit_logs.resource_type; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(resource_type) ON TABLE claude_gpt.audit_logs TO reader;


--
-- Name: COLUMN audit_logs.resource_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(resource_id) ON TABLE claude_gpt.audit_logs TO reader;


--
-- Name: COLUMN audit_logs.old_values; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(old_values) ON TABLE claude_gpt.audit_logs TO reader;


--
-- Name: COLUMN audit_logs.new_values; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(new_values) ON TABLE claude_gpt.audit_logs TO reader;


--
-- Name: COLUMN audit_logs.ip_address; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(ip_address) ON TABLE claude_gpt.audit_logs TO reader;


--
-- Name: COLUMN audit_logs.user_agent; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_agent) ON TABLE claude_gpt.audit_logs TO reader;


--
-- Name: COLUMN audit_logs.request_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(request_id) ON TABLE claude_gpt.audit_logs TO reader;


--
-- Name: COLUMN audit_logs.created_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(created_at) ON TABLE claude_gpt.audit_logs TO reader;


--
-- Name: TABLE conversations; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE claude_gpt.conversations TO app;


--
-- Name: COLUMN conversations.id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(id) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: COLUMN conversations.user_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_id) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: COLUMN conversations.title; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(title) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: COLUMN conversations.summary; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(summary) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: COLUMN conversations.message_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(message_count) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: COLUMN conversations.total_tokens; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(total_tokens) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: COLUMN conversations.total_cost; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(total_cost) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: COLUMN conversations.is_archived; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(is_archived) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: COLUMN conversations.is_pinned; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(is_pinned) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: COLUMN conversations.created_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(created_at) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: COLUMN conversations.updated_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(updated_at) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: COLUMN conversations.last_message_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(last_message_at) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: COLUMN conversations.last_message_on; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(last_message_on) ON TABLE claude_gpt.conversations TO reader;


--
-- Name: TABLE messages; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE claude_gpt.messages TO app;


--
-- Name: COLUMN messages.id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(id) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.conversation_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(conversation_id) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.user_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_id) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.role; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(role) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.content; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(content) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.content_type; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(content_type) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.model_used; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(model_used) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.prompt_tokens; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(prompt_tokens) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.completion_tokens; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(completion_tokens) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.total_tokens; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(total_tokens) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.cost; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(cost) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.status; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(status) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.error_message; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(error_message) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.metadata; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(metadata) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.parent_message_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(parent_message_id) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.created_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(created_at) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.updated_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(updated_at) ON TABLE claude_gpt.messages TO reader;


--
-- Name: COLUMN messages.is_searchable; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(is_searchable) ON TABLE claude_gpt.messages TO reader;


--
-- Name: TABLE conversation_summary; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT ON TABLE claude_gpt.conversation_summary TO app;


--
-- Name: COLUMN conversation_summary.id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(id) ON TABLE claude_gpt.conversation_summary TO reader;


--
-- Name: COLUMN conversation_summary.user_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_id) ON TABLE claude_gpt.conversation_summary TO reader;


--
-- Name: COLUMN conversation_summary.title; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(title) ON TABLE claude_gpt.conversation_summary TO reader;


--
-- Name: COLUMN conversation_summary.message_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(message_count) ON TABLE claude_gpt.conversation_summary TO reader;


--
-- Name: COLUMN conversation_summary.total_tokens; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(total_tokens) ON TABLE claude_gpt.conversation_summary TO reader;


--
-- Name: COLUMN conversation_summary.total_cost; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(total_cost) ON TABLE claude_gpt.conversation_summary TO reader;


--
-- Name: COLUMN conversation_summary.created_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(created_at) ON TABLE claude_gpt.conversation_summary TO reader;


--
-- Name: COLUMN conversation_summary.last_message_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(last_message_at) ON TABLE claude_gpt.conversation_summary TO reader;


--
-- Name: COLUMN conversation_summary.is_archived; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(is_archived) ON TABLE claude_gpt.conversation_summary TO reader;


--
-- Name: COLUMN conversation_summary.is_pinned; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(is_pinned) ON TABLE claude_gpt.conversation_summary TO reader;


--
-- Name: COLUMN conversation_summary.last_message_content; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(last_message_content) ON TABLE claude_gpt.conversation_summary TO reader;


--
-- Name: COLUMN conversation_summary.last_message_role; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(last_message_role) ON TABLE claude_gpt.conversation_summary TO reader;


--
-- Name: TABLE subscription_history; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT ON TABLE claude_gpt.subscription_history TO app;


--
-- Name: COLUMN subscription_history.id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(id) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: COLUMN subscription_history.user_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_id) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: COLUMN subscription_history.subscription_tier; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(subscription_tier) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: COLUMN subscription_history.subscription_status; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(subscription_status) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: COLUMN subscription_history.stripe_subscription_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(stripe_subscription_id) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: COLUMN subscription_history.stripe_invoice_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(stripe_invoice_id) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: COLUMN subscription_history.amount; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(amount) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: COLUMN subscription_history.currency; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(currency) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: COLUMN subscription_history.period_start; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(period_start) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: COLUMN subscription_history.period_end; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(period_end) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: COLUMN subscription_history.event_type; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(event_type) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: COLUMN subscription_history.metadata; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(metadata) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: COLUMN subscription_history.created_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(created_at) ON TABLE claude_gpt.subscription_history TO reader;


--
-- Name: TABLE system_configs; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT ON TABLE claude_gpt.system_configs TO app;


--
-- Name: COLUMN system_configs.id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(id) ON TABLE claude_gpt.system_configs TO reader;


--
-- Name: COLUMN system_configs.config_key; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(config_key) ON TABLE claude_gpt.system_configs TO reader;


--
-- Name: COLUMN system_configs.config_value; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(config_value) ON TABLE claude_gpt.system_configs TO reader;


--
-- Name: COLUMN system_configs.description; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(description) ON TABLE claude_gpt.system_configs TO reader;


--
-- Name: COLUMN system_configs.is_active; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(is_active) ON TABLE claude_gpt.system_configs TO reader;


--
-- Name: COLUMN system_configs.created_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(created_at) ON TABLE claude_gpt.system_configs TO reader;


--
-- Name: COLUMN system_configs.updated_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(updated_at) ON TABLE claude_gpt.system_configs TO reader;


--
-- Name: TABLE usage_balances; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT ON TABLE claude_gpt.usage_balances TO app;


--
-- Name: COLUMN usage_balances.user_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_id) ON TABLE claude_gpt.usage_balances TO reader;


--
-- Name: COLUMN usage_balances.usage_type; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(usage_type) ON TABLE claude_gpt.usage_balances TO reader;


--
-- Name: COLUMN usage_balances.billing_period; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(billing_period) ON TABLE claude_gpt.usage_balances TO reader;


--
-- Name: COLUMN usage_balances.quantity; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(quantity) ON TABLE claude_gpt.usage_balances TO reader;


--
-- Name: COLUMN usage_balances.cost; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(cost) ON TABLE claude_gpt.usage_balances TO reader;


--
-- Name: TABLE usage_records; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT ON TABLE claude_gpt.usage_records TO app;


--
-- Name: COLUMN usage_records.id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(id) ON TABLE claude_gpt.usage_records TO reader;


--
-- Name: COLUMN usage_records.user_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_id) ON TABLE claude_gpt.usage_records TO reader;


--
-- Name: COLUMN usage_records.usage_type; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(usage_type) ON TABLE claude_gpt.usage_records TO reader;


--
-- Name: COLUMN usage_records.quantity; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(quantity) ON TABLE claude_gpt.usage_records TO reader;


--
-- Name: COLUMN usage_records.model_used; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(model_used) ON TABLE claude_gpt.usage_records TO reader;


--
-- Name: COLUMN usage_records.cost; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(cost) ON TABLE claude_gpt.usage_records TO reader;


--
-- Name: COLUMN usage_records.message_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(message_id) ON TABLE claude_gpt.usage_records TO reader;


--
-- Name: COLUMN usage_records.conversation_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(conversation_id) ON TABLE claude_gpt.usage_records TO reader;


--
-- Name: COLUMN usage_records.metadata; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(metadata) ON TABLE claude_gpt.usage_records TO reader;


--
-- Name: COLUMN usage_records.created_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(created_at) ON TABLE claude_gpt.usage_records TO reader;


--
-- Name: COLUMN usage_records.billing_period; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(billing_period) ON TABLE claude_gpt.usage_records TO reader;


--
-- Name: TABLE usage_reservations; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT ON TABLE claude_gpt.usage_reservations TO app;


--
-- Name: COLUMN usage_reservations.id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(id) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.user_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_id) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.status; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(status) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.message_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(message_count) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.token_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(token_count) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.cost; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(cost) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.model_used; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(model_used) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.created_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(created_at) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.expires_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(expires_at) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.conversation_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(conversation_id) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.user_message_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_message_id) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.assistant_message_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(assistant_message_id) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.closed_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(closed_at) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.prompt_tokens; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(prompt_tokens) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.completion_tokens; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(completion_tokens) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.cached_prompt_tokens; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(cached_prompt_tokens) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.cache_write_tokens; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(cache_write_tokens) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.given_cost; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(given_cost) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.charged_cost; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(charged_cost) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.was_late; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(was_late) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: COLUMN usage_reservations.has_failed; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(has_failed) ON TABLE claude_gpt.usage_reservations TO reader;


--
-- Name: TABLE user_sessions; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE claude_gpt.user_sessions TO app;


--
-- Name: COLUMN user_sessions.id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(id) ON TABLE claude_gpt.user_sessions TO reader;


--
-- Name: COLUMN user_sessions.user_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_id) ON TABLE claude_gpt.user_sessions TO reader;


--
-- Name: COLUMN user_sessions.device_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(device_id) ON TABLE claude_gpt.user_sessions TO reader;


--
-- Name: COLUMN user_sessions.device_type; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(device_type) ON TABLE claude_gpt.user_sessions TO reader;


--
-- Name: COLUMN user_sessions.device_name; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(device_name) ON TABLE claude_gpt.user_sessions TO reader;


--
-- Name: COLUMN user_sessions.app_version; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(app_version) ON TABLE claude_gpt.user_sessions TO reader;


--
-- Name: COLUMN user_sessions.ip_address; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(ip_address) ON TABLE claude_gpt.user_sessions TO reader;


--
-- Name: COLUMN user_sessions.user_agent; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(user_agent) ON TABLE claude_gpt.user_sessions TO reader;


--
-- Name: COLUMN user_sessions.is_active; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(is_active) ON TABLE claude_gpt.user_sessions TO reader;


--
-- Name: COLUMN user_sessions.expires_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(expires_at) ON TABLE claude_gpt.user_sessions TO reader;


--
-- Name: COLUMN user_sessions.last_used_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(last_used_at) ON TABLE claude_gpt.user_sessions TO reader;


--
-- Name: COLUMN user_sessions.created_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(created_at) ON TABLE claude_gpt.user_sessions TO reader;


--
-- Name: TABLE users; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE claude_gpt.users TO app;


--
-- Name: COLUMN users.id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(id) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.email; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(email) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.full_name; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(full_name) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.avatar_url; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(avatar_url) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.phone; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(phone) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.preferred_language; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(preferred_language) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.theme_preference; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(theme_preference) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.stripe_customer_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(stripe_customer_id) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.subscription_id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(subscription_id) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.subscription_tier; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(subscription_tier) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.subscription_status; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(subscription_status) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.subscription_current_period_end; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(subscription_current_period_end) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.subscription_cancel_at_period_end; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(subscription_cancel_at_period_end) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.email_verified; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(email_verified) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.password_reset_expires; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(password_reset_expires) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.last_login_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(last_login_at) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.created_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(created_at) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.monthly_message_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(monthly_message_count) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.total_message_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(total_message_count) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.last_active_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(last_active_at) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.updated_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(updated_at) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.monthly_token_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(monthly_token_count) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.total_token_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(total_token_count) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.monthly_cost; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(monthly_cost) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.total_cost; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(total_cost) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.monthly_api_call_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(monthly_api_call_count) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.total_api_call_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(total_api_call_count) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.monthly_reset_date; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(monthly_reset_date) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.last_active_on; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(last_active_on) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.held_message_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(held_message_count) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.held_token_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(held_token_count) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.held_cost; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(held_cost) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.next_hold_expiry; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(next_hold_expiry) ON TABLE claude_gpt.users TO reader;


--
-- Name: COLUMN users.nickname; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(nickname) ON TABLE claude_gpt.users TO reader;


--
-- Name: TABLE user_statistics; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT ON TABLE claude_gpt.user_statistics TO app;


--
-- Name: COLUMN user_statistics.id; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(id) ON TABLE claude_gpt.user_statistics TO reader;


--
-- Name: COLUMN user_statistics.email; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(email) ON TABLE claude_gpt.user_statistics TO reader;


--
-- Name: COLUMN user_statistics.subscription_tier; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(subscription_tier) ON TABLE claude_gpt.user_statistics TO reader;


--
-- Name: COLUMN user_statistics.subscription_status; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(subscription_status) ON TABLE claude_gpt.user_statistics TO reader;


--
-- Name: COLUMN user_statistics.monthly_message_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(monthly_message_count) ON TABLE claude_gpt.user_statistics TO reader;


--
-- Name: COLUMN user_statistics.total_message_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(total_message_count) ON TABLE claude_gpt.user_statistics TO reader;


--
-- Name: COLUMN user_statistics.conversation_count; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(conversation_count) ON TABLE claude_gpt.user_statistics TO reader;


--
-- Name: COLUMN user_statistics.total_messages; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(total_messages) ON TABLE claude_gpt.user_statistics TO reader;


--
-- Name: COLUMN user_statistics.total_cost; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(total_cost) ON TABLE claude_gpt.user_statistics TO reader;


--
-- Name: COLUMN user_statistics.created_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(created_at) ON TABLE claude_gpt.user_statistics TO reader;


--
-- Name: COLUMN user_statistics.last_active_at; Type: ACL; Schema: claude_gpt; Owner: keeper
--

GRANT SELECT(last_active_at) ON TABLE claude_gpt.user_statistics TO reader;


--
-- PostgreSQL database dump complete
--

\unrestrict UKfNa1oot2d8tPQsXWpCgDzs5K8ci5PRySvYK0HmT1UzXsuaMi00OX1ZPyp81VQ

