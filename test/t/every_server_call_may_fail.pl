# claude_gpt.fail_at_call makes the n-th guarded server call of the extension raise an ERROR. For every
# function and trigger, n is counted up until the statement has no n-th call: each failure must leave nothing
# behind, neither in the tables nor in the session (rights, live objects, memory, the server's warnings), as a
# statement of its own and inside a subtransaction that absorbs it, and the session must work on.
# Long: some ten thousand calls are made to fail.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Calls;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('faults');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off");
$node->start;
my $walk = q{
    -- One number over all that the statements could have changed.
    CREATE FUNCTION public.state() RETURNS text LANGUAGE sql AS $$
        SELECT md5(concat(
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.users t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.conversations t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.messages t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.usage_records t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.usage_balances t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.subscription_history t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.system_configs t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.user_sessions t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.audit_logs t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.usage_reservations t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.idempotency_keys t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.jobs t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM public.touched t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.application_grants t),
            (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM claude_gpt_data.claude_gpt_migrations t),
            (SELECT string_agg(concat(oid::regclass, relowner::regrole, relacl), '|' ORDER BY oid) FROM pg_class WHERE relnamespace IN ('claude_gpt'::regnamespace, 'grown'::regnamespace)),
            (SELECT string_agg(concat(tgrelid, tgname, tgenabled), '|' ORDER BY oid) FROM pg_trigger WHERE NOT tgisinternal),
            (SELECT string_agg(concat(setrole, setconfig), '|' ORDER BY setrole) FROM pg_db_role_setting))) $$;

    -- True if claude_gpt.fail_at_call, set to n, has still not fired: then it does so now.
    CREATE FUNCTION public.is_armed(p_n integer) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM claude_gpt.uuid_v7_floor(now() + n * interval '1 s') FROM generate_series(0, p_n) AS n;
        RETURN false;
    EXCEPTION WHEN internal_error THEN
        RETURN true;
    END $$;

    -- Counts n up by p_step; returns how many calls were made to fail. p_as: the role that runs the statement.
    CREATE PROCEDURE public.walk(p_statement text, p_as text, p_step integer, INOUT p_failures integer DEFAULT 0, INOUT p_absorbed integer DEFAULT 0) LANGUAGE plpgsql AS $$
    DECLARE
        n integer := 1;
        before text := public.state();
        failed boolean;
    BEGIN
        LOOP
            failed := false;
            BEGIN
                PERFORM set_config('claude_gpt.fail_at_call', n::text, true);
                EXECUTE format('SET LOCAL ROLE %I', p_as);
                EXECUTE p_statement;
                EXECUTE 'RESET ROLE';
                -- Either an error was absorbed on the way, or there are fewer calls than n: the end.
                -- What was done is undone.
                IF public.is_armed(n) THEN RAISE EXCEPTION 'done' USING ERRCODE = 'ZZ001'; END IF;
                RAISE EXCEPTION 'absorbed' USING ERRCODE = 'ZZ002';
            EXCEPTION
                WHEN SQLSTATE 'ZZ001' THEN NULL;
                WHEN SQLSTATE 'ZZ002' THEN
                    p_absorbed := p_absorbed + 1;
                    failed := true;
                WHEN OTHERS THEN
                    IF SQLERRM <> 'failure injected by claude_gpt.fail_at_call' OR SQLSTATE <> 'XX000' THEN
                        RAISE EXCEPTION 'unexpected error at call %: % %', n, SQLSTATE, SQLERRM;
                    END IF;
                    p_failures := p_failures + 1;
                    failed := true;
            END;
            IF current_setting('claude_gpt.live_objects') <> '0' THEN
                RAISE EXCEPTION 'live objects after call %: %', n, current_setting('claude_gpt.live_objects');
            END IF;
            IF current_user <> session_user THEN
                RAISE EXCEPTION 'current user after call %: %', n, current_user;
            END IF;
            IF public.state() <> before THEN
                RAISE EXCEPTION 'something changed although call % failed', n;
            END IF;
            EXIT WHEN NOT failed;
            n := n + p_step;
        END LOOP;
    END $$;
};
$node->safe_psql('postgres', q{
    CREATE EXTENSION claude_gpt;
    CREATE ROLE owner LOGIN; SELECT claude_gpt.set_owner('owner'); GRANT CREATE ON DATABASE postgres TO owner;
    CREATE ROLE app LOGIN; SELECT claude_gpt.grant_application_access('app');
    CREATE ROLE heir LOGIN; CREATE ROLE hired LOGIN;
    CREATE TABLE public.touched (id integer, updated_at timestamptz, day date, moment timestamptz);
    CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON public.touched FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column(day, moment);
    GRANT ALL ON public.touched TO app;

    -- Rows as the statements below expect them; called again after each that was let through.
    CREATE PROCEDURE public.furnish() LANGUAGE plpgsql AS $$
    BEGIN
        SET LOCAL client_min_messages = warning;
        -- Not TRUNCATE, which makes new files for each table, partition and index.
        DELETE FROM claude_gpt_data.audit_logs;
        DELETE FROM public.touched;
        DELETE FROM claude_gpt_data.users;
        INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES
            ('00000000-0000-4000-8000-000000000001', 'a@x', 'x'), ('00000000-0000-4000-8000-000000000002', 'lapsed@x', 'x');
        UPDATE claude_gpt_data.users SET monthly_reset_date = '2020-01-01', monthly_message_count = 3 WHERE email = 'lapsed@x';
        INSERT INTO claude_gpt_data.conversations (id, user_id) VALUES
            ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001'),
            ('00000000-0000-4000-8000-00000000000b', '00000000-0000-4000-8000-000000000001');
        INSERT INTO claude_gpt_data.messages (id, conversation_id, user_id, role, content, created_at)
            SELECT ('00000000-0000-4000-8000-00000000010' || n)::uuid, '00000000-0000-4000-8000-00000000000a',
                   '00000000-0000-4000-8000-000000000001', 'user', 'm', timestamptz '2026-01-01Z' + n * interval '1 s' FROM generate_series(1, 3) AS n;
        UPDATE claude_gpt_data.messages SET parent_message_id = '00000000-0000-4000-8000-000000000101' WHERE id = '00000000-0000-4000-8000-000000000102';
        INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at, is_active) VALUES
            ('00000000-0000-4000-8000-000000000001', 's', now() - interval '1 day', true),
            ('00000000-0000-4000-8000-000000000001', 't', 'infinity', false);
        INSERT INTO public.touched (id) VALUES (1);
        DELETE FROM claude_gpt_data.system_configs WHERE config_key <> 'subscription_plans';
        INSERT INTO claude_gpt_data.system_configs (config_key, config_value) VALUES
            ('subscription_plans', '{"free": {"messagesPerMonth": 9, "tokensPerMonth": 500, "costPerMonth": 1.5}, "pro": {"messagesPerMonth": -1}}'),
            ('billing_timezone', '"UTC"'), ('subscription_grace', '"3 days"'), ('usage_ledger', 'true'),
            ('rate_limits', '{"free": 1000000, "pro": 1000000}'), ('model_prices', '{"m": {"prompt": 10, "completion": 30}}')
            ON CONFLICT (config_key) DO UPDATE SET config_value = excluded.config_value;
        DELETE FROM claude_gpt_data.application_grants WHERE role_name <> 'app';
        -- One user with a reservation, a turn and a known key, one whose hold is due, one with wrong counters.
        INSERT INTO claude_gpt_data.users (id, email, password_hash, held_message_count, held_token_count, next_hold_expiry, monthly_token_count, total_token_count) VALUES
            ('00000000-0000-4000-8000-000000000003', 'holding@x', 'x', 2, 90, now() + interval '1 hour', 0, 0),
            ('00000000-0000-4000-8000-000000000004', 'due@x', 'x', 1, 50, now() - interval '1 hour', 0, 0),
            ('00000000-0000-4000-8000-000000000005', 'wrong@x', 'x', 0, 7, NULL, 5, 3);
        INSERT INTO claude_gpt_data.conversations (id, user_id) VALUES
            ('00000000-0000-4000-8000-00000000000c', '00000000-0000-4000-8000-000000000003'), ('00000000-0000-4000-8000-00000000000d', '00000000-0000-4000-8000-000000000005');
        INSERT INTO claude_gpt_data.messages (id, conversation_id, user_id, role, content, status, parent_message_id, created_at) VALUES
            ('00000000-0000-4000-8000-000000000301', '00000000-0000-4000-8000-00000000000c', '00000000-0000-4000-8000-000000000003', 'user', 'q', 'sent', NULL, '2026-01-01Z'),
            ('00000000-0000-4000-8000-000000000302', '00000000-0000-4000-8000-00000000000c', '00000000-0000-4000-8000-000000000003', 'assistant', '', 'sending', '00000000-0000-4000-8000-000000000301', '2026-01-02Z');
        UPDATE claude_gpt_data.conversations SET message_count = 4 WHERE id = '00000000-0000-4000-8000-00000000000d';
        INSERT INTO claude_gpt_data.usage_reservations (id, user_id, message_count, token_count, model_used, expires_at, conversation_id, user_message_id, assistant_message_id) VALUES
            ('00000000-0000-4000-8000-00000000030a', '00000000-0000-4000-8000-000000000003', 1, 50, 'm', now() + interval '1 hour', NULL, NULL, NULL),
            ('00000000-0000-4000-8000-00000000030b', '00000000-0000-4000-8000-000000000003', 1, 40, 'm', now() + interval '1 hour', '00000000-0000-4000-8000-00000000000c',
             '00000000-0000-4000-8000-000000000301', '00000000-0000-4000-8000-000000000302'),
            ('00000000-0000-4000-8000-00000000040a', '00000000-0000-4000-8000-000000000004', 1, 50, 'm', now() - interval '1 hour', NULL, NULL, NULL);
        PERFORM claude_gpt.consume_quota('00000000-0000-4000-8000-000000000003', p_idempotency_key => 'known');
        PERFORM claude_gpt.reserve_usage('00000000-0000-4000-8000-000000000003', 5, p_idempotency_key => 'held');
    END $$;
    CALL public.furnish();

    -- A database of the design this extension grew from, as far as adopt_schema reads it.
    CREATE SCHEMA grown;
    CREATE TABLE grown.users (id uuid, email varchar(255), password_hash varchar(255), monthly_message_count integer, total_message_count integer, created_at timestamp, nickname text);
    CREATE TABLE grown.system_configs (id uuid, config_key varchar(100), config_value jsonb);
    CREATE TABLE grown.conversations (id uuid, user_id uuid, created_at timestamp);
    CREATE TABLE grown.messages (id uuid, conversation_id uuid, user_id uuid, role varchar(20), content text, created_at timestamp);
    CREATE TABLE grown.usage_records (id uuid, user_id uuid, usage_type varchar(20), quantity integer, created_at timestamp);
    CREATE TABLE grown.subscription_history (id uuid, user_id uuid, created_at timestamp);
    CREATE TABLE grown.user_sessions (id uuid, user_id uuid, session_token varchar(255), expires_at timestamp);
    CREATE TABLE grown.audit_logs (id uuid, action varchar(100), resource_type varchar(50), created_at timestamp);
    INSERT INTO grown.users VALUES ('00000000-0000-4000-8000-000000000009', 'old@x', 'x', 2, 5, '2026-01-01', 'nick');
    INSERT INTO grown.conversations VALUES ('00000000-0000-4000-8000-000000000091', '00000000-0000-4000-8000-000000000009', '2026-01-01');
    INSERT INTO grown.messages VALUES ('00000000-0000-4000-8000-000000000092', '00000000-0000-4000-8000-000000000091', '00000000-0000-4000-8000-000000000009', 'user', 'hi', '2026-01-01');
    ALTER SCHEMA grown OWNER TO owner;
    DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'grown'::regnamespace AND relkind = 'r' LOOP EXECUTE format('ALTER TABLE %s OWNER TO owner', t); END LOOP; END $$;
} . $walk);

my $user = "'00000000-0000-4000-8000-000000000001'";
my $lapsed = "'00000000-0000-4000-8000-000000000002'";
my ($a, $b) = ("'00000000-0000-4000-8000-00000000000a'", "'00000000-0000-4000-8000-00000000000b'");
my ($holding, $due, $wrong) = map { "'00000000-0000-4000-8000-00000000000$_'" } 3 .. 5;
my ($c, $question, $reply) = ("'00000000-0000-4000-8000-00000000000c'", "'00000000-0000-4000-8000-000000000301'", "'00000000-0000-4000-8000-000000000302'");
my ($reservation, $turn, $due_reservation) = map { "'00000000-0000-4000-8000-000000000$_'" } qw(30a 30b 40a);
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

# Ways that the calls of test/calls do not take: name => [ statement, role ].
my %statements = (
    'update_user_usage with the ledger' => [ "SELECT claude_gpt.update_user_usage($user, 1, 5, 0.25)", 'app' ],
    'update_user_usage in a lapsed month' => [ "SELECT claude_gpt.update_user_usage($lapsed)", 'app' ],
    'consume_quota of a message' => [ "SELECT claude_gpt.consume_quota($user)", 'app' ],
    'consume_quota of tokens, with a model' => [ "SELECT claude_gpt.consume_quota($user, 'token', 5, 'm')", 'app' ],
    'consume_quota of calls' => [ "SELECT claude_gpt.consume_quota($user, 'api_call')", 'app' ],
    'consume_quota in a lapsed month' => [ "SELECT claude_gpt.consume_quota($lapsed)", 'app' ],
    'consume_quota with a hold that is due' => [ "SELECT claude_gpt.consume_quota($due)", 'app' ],
    'consume_quota beyond the limit' => [ "SELECT claude_gpt.consume_quota($user, 'message', 10)", 'app' ],
    'consume_quota with a key' => [ "SELECT claude_gpt.consume_quota($user, p_idempotency_key => 'new')", 'app' ],
    'consume_quota replayed' => [ "SELECT claude_gpt.consume_quota($holding, p_idempotency_key => 'known')", 'app' ],
    'quota_status with a hold that is due' => [ "SELECT * FROM claude_gpt.quota_status($due)", 'app' ],
    'raise_if_denied of an admission' => [ "SELECT d.allowed, claude_gpt.raise_if_denied(d) FROM claude_gpt.consume_quota($user) AS d", 'app' ],
    'reserve_usage with a price' => [ "SELECT claude_gpt.reserve_usage($user, 50, 1, 'm')", 'app' ],
    'reserve_usage with a hold that is due' => [ "SELECT claude_gpt.reserve_usage($due, 50)", 'app' ],
    'reserve_usage beyond the limit' => [ "SELECT claude_gpt.reserve_usage($user, 501)", 'app' ],
    'reserve_usage with a key' => [ "SELECT claude_gpt.reserve_usage($user, 50, p_idempotency_key => 'new')", 'app' ],
    'reserve_usage replayed' => [ "SELECT claude_gpt.reserve_usage($holding, 5, p_idempotency_key => 'held')", 'app' ],
    'settle_usage with a price and a message' => [ "SELECT claude_gpt.settle_usage($holding, $reservation, 10, 20, NULL, $question, 4, 3)", 'app' ],
    'settle_usage when it is late' => [ "SELECT claude_gpt.settle_usage($due, $due_reservation, 10, 20, 0.5)", 'app' ],
    'release_usage when it is late' => [ "SELECT claude_gpt.release_usage($due, $due_reservation)", 'app' ],
    'record_usage with all that it takes' => [ "SELECT claude_gpt.record_usage($holding, 'token', 5, 'm', 0.25, $question, $c, '{\"a\": 1}', 'new')", 'app' ],
    'begin_turn of a new conversation' => [ "SELECT claude_gpt.begin_turn($user, NULL, 'hello', 'm', 40)", 'app' ],
    'begin_turn as a branch, with a key' => [ "SELECT claude_gpt.begin_turn($holding, $c, 'and', 'm', 40, $reply, p_metadata => '{\"a\": 1}', p_idempotency_key => 'new')", 'app' ],
    'begin_turn to make a reply anew' => [ "SELECT claude_gpt.begin_turn($holding, $c, NULL, 'm', 40, $question)", 'app' ],
    'begin_turn beyond the limit' => [ "SELECT claude_gpt.begin_turn($user, NULL, 'hello', 'm', 501)", 'app' ],
    'fail_turn that cost' => [ "SELECT claude_gpt.fail_turn($holding, $turn, 'cut off', 10, 2)", 'app' ],
    'fail_turn that cost nothing' => [ "SELECT claude_gpt.fail_turn($holding, $turn, 'cut off')", 'app' ],
    'prove_books of one that is wrong' => [ "SELECT * FROM claude_gpt.prove_books($wrong)", $superuser ],
    'repair_books of one that is wrong' => [ "SELECT * FROM claude_gpt.repair_books($wrong)", $superuser ],
    'uuid_v7, again and again' => [ 'SELECT count(claude_gpt.uuid_v7()) FROM generate_series(1, 40)', 'app' ],
    'sign-up through the guard' => [ "INSERT INTO claude_gpt_data.users (email, password_hash) VALUES ('b\@x', 'x')", 'app' ],
    'sign-up as an ORM writes it' => [ "INSERT INTO claude_gpt_data.users (id, email, password_hash, monthly_reset_date, subscription_tier) VALUES (DEFAULT, 'b\@x', 'x', DEFAULT, 'free')", 'app' ],
    'a profile change' => [ "UPDATE claude_gpt_data.users SET full_name = 'A' WHERE id = $user", 'app' ],
    'a login' => [ "INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ($user, 'u', now())", 'app' ],
    'an audited deed' => [ "INSERT INTO claude_gpt_data.audit_logs (user_id, action, resource_type) VALUES ($user, 'login', 'user')", 'app' ],
    'a usage record' => [ "INSERT INTO claude_gpt_data.usage_records (user_id, usage_type) VALUES ($user, 'message')", 'owner' ],
    'a new conversation' => [ "INSERT INTO claude_gpt_data.conversations (user_id) VALUES ($user)", 'app' ],
    'a renamed conversation' => [ "UPDATE claude_gpt_data.conversations SET title = 't'", 'app' ],
    'a deleted conversation' => [ "DELETE FROM claude_gpt_data.conversations WHERE id = $a", 'app' ],
    'messages in two conversations' => [ "INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, cost)
        SELECT id, user_id, 'user', 'x', 0.5 FROM claude_gpt_data.conversations", 'app' ],
    'a reply' => [ "INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, parent_message_id)
        VALUES ($a, $user, 'assistant', 'x', '00000000-0000-4000-8000-000000000101')", 'app' ],
    'a moved message' => [ "UPDATE claude_gpt_data.messages SET conversation_id = $b WHERE id = '00000000-0000-4000-8000-000000000103'", 'app' ],
    'a deleted newest message' => [ "DELETE FROM claude_gpt_data.messages WHERE id = '00000000-0000-4000-8000-000000000103'", 'app' ],
    'a newest message marked deleted' => [ "UPDATE claude_gpt_data.messages SET status = 'deleted' WHERE id = '00000000-0000-4000-8000-000000000103'", 'app' ],
    'a deleted user' => [ "DELETE FROM claude_gpt_data.users WHERE id = $user", 'app' ],
    'truncated messages' => [ 'TRUNCATE claude_gpt_data.messages CASCADE', 'owner' ],
    'statistics' => [ 'SELECT sum(monthly_message_count) FROM claude_gpt_data.user_statistics', 'app' ],
    'a row of a table of the user' => [ "INSERT INTO public.touched VALUES (2, NULL, NULL, '2026-01-01Z')", 'app' ],
    'a change of a table of the user' => [ "UPDATE public.touched SET id = 3", 'app' ],
    'a changed plan' => [ q{UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": 3, "costPerMonth": 1.5, "models": ["m"]}}' WHERE config_key = 'subscription_plans'}, 'owner' ],
    'a changed grace' => [ q{UPDATE claude_gpt_data.system_configs SET config_value = '"12 hours"' WHERE config_key = 'subscription_grace'}, 'owner' ],
    'a new key' => [ q{INSERT INTO claude_gpt_data.system_configs (config_key, config_value) VALUES ('mine', '[1, {"a": null}]')}, 'owner' ],
    'a plan that goes' => [ q{UPDATE claude_gpt_data.system_configs SET config_value = config_value - 'pro' WHERE config_key = 'subscription_plans'}, 'owner' ],
    'a plan that is given' => [ "UPDATE claude_gpt_data.users SET subscription_tier = 'pro' WHERE id = $user", 'owner' ],
    'grant_application_access' => [ "SELECT claude_gpt.grant_application_access('heir', 'read')", $superuser ],
    'revoke_application_access' => [ "SELECT claude_gpt.revoke_application_access('app')", $superuser ],
    'job_status' => [ 'SELECT * FROM claude_gpt_data.job_status', 'owner' ],
    'a changed job' => [ "UPDATE claude_gpt_data.jobs SET run_every = '2 hours', timeout = '1 minute', engine = 'pg_cron' WHERE name = 'analyze'", 'owner' ],
    'a job written again' => [ "INSERT INTO claude_gpt_data.jobs (name, run_every) VALUES ('analyze', '1 hour') ON CONFLICT (name) DO UPDATE SET run_every = EXCLUDED.run_every, engine = 'worker'", 'owner' ],
    'migrate with nothing to do' => [ 'CALL claude_gpt.migrate()', $superuser ],
);
# In a subtransaction only: several statements, or DDL that cannot be put back by writing rows.
my %compound = (
    'a month of the future' => [ qq{UPDATE claude_gpt_data.users SET monthly_reset_date = '2100-01-01' WHERE id = $user; SELECT claude_gpt.quota_status($user); SELECT claude_gpt.consume_quota($user)}, 'owner' ],
    'the month after one of the future' => [ qq{UPDATE claude_gpt_data.users SET monthly_reset_date = '2020-01-01', ledger_ahead_to = '2100-01-01' WHERE id = $user; SELECT claude_gpt.update_user_usage($user)}, 'owner' ],
    'a hold of the future' => [ qq{UPDATE claude_gpt_data.usage_reservations SET expires_at = '2100-01-01Z' WHERE user_id = $holding; UPDATE claude_gpt_data.users SET next_hold_expiry = '2100-01-01Z' WHERE id = $holding; SELECT claude_gpt.reserve_usage($holding, 1)}, 'owner' ],
    'times of the future that are repaired' => [ qq{UPDATE claude_gpt_data.usage_reservations SET expires_at = '2100-01-01Z' WHERE user_id = $holding; UPDATE claude_gpt_data.users SET next_hold_expiry = '2100-01-01Z', monthly_reset_date = '2100-01-01', last_active_at = '2100-01-01Z' WHERE id = $holding; SELECT claude_gpt.prove_books($holding); SELECT claude_gpt.repair_books($holding)}, $superuser ],
    'a turn without a ledger' => [ qq{UPDATE claude_gpt_data.system_configs SET config_value = 'false' WHERE config_key = 'usage_ledger'; SELECT claude_gpt.complete_turn($holding, $turn, 'good day', 10, 20)}, 'owner' ],
    'a ledger that is kept again' => [ qq{UPDATE claude_gpt_data.system_configs SET config_value = 'false' WHERE config_key = 'usage_ledger'; SELECT claude_gpt.update_user_usage($user, 1, 2, 0.5); UPDATE claude_gpt_data.system_configs SET config_value = 'true' WHERE config_key = 'usage_ledger'}, 'owner' ],
    'a turn from its beginning to its end, twice' => [ qq{SELECT claude_gpt.complete_turn($user, t.reservation_id, 'x', 1, 2) FROM claude_gpt.begin_turn($user, $a, 'q', 'm') AS t; SELECT claude_gpt.complete_turn(user_id, id, 'x', 1, 2) FROM claude_gpt_data.usage_reservations WHERE status = 'settled'}, 'owner' ],
    'a changed time zone and its use' => [ q{UPDATE claude_gpt_data.system_configs SET config_value = '"Asia/Shanghai"' WHERE config_key = 'billing_timezone'; SELECT claude_gpt.current_billing_period()}, 'owner' ],
    'migrate and what it must apply' => [ 'DELETE FROM claude_gpt_data.claude_gpt_migrations WHERE id = 8; DROP TABLE claude_gpt_data.application_grants; CALL claude_gpt.migrate()', 'owner' ],
    'migrate after detach' => [ "DROP TABLE public.touched; SET LOCAL ROLE owner; SELECT claude_gpt.detach(); CALL claude_gpt.migrate()", $superuser ],
    'adopt_schema' => [ "TRUNCATE claude_gpt_data.users, claude_gpt_data.audit_logs CASCADE; CALL claude_gpt.adopt_schema('grown')", 'owner', 3 ],
);

# The procedures commit on the way, so that a failure leaves what was committed: in a fresh session for each n, it must
# leave neither rights, nor locks, nor settings, nor a timer behind, the session must work on, and the same call, made
# again there, must end as if nothing had been. What is prepared, whether it is done, and by how much n is counted up.
my $partitions_from = sub { "(SELECT count(*) FROM claude_gpt.list_partitions('audit_logs') WHERE from_at >= '$_[0]' AND to_at <= '$_[1]')" };
my $drop_partitions = sub { "DO \$\$ DECLARE p text; BEGIN FOR p IN SELECT partition_name FROM claude_gpt.list_partitions('audit_logs') WHERE from_at >= '$_[0]' AND to_at <= '$_[1]' LOOP EXECUTE 'DROP TABLE claude_gpt_partitions.' || quote_ident(p); END LOOP; END \$\$" };
my $audit = sub { "INSERT INTO claude_gpt_data.audit_logs (action, resource_type, created_at) VALUES ('login', 'user', $_[0])" };
my $clear = "UPDATE claude_gpt_data.jobs SET next_run_at = '2026-01-01', engine = 'worker', failures_in_a_row = 0; DELETE FROM claude_gpt_data.job_runs";
my %done = (
    monthly_reset => "(SELECT monthly_message_count = 0 AND monthly_reset_date > '2026-01-01' FROM claude_gpt_data.users WHERE id = $lapsed)",
    reservation_sweep => "(SELECT (held_message_count, held_token_count) = (0, 0) FROM claude_gpt_data.users WHERE id = $due) AND (SELECT status = 'expired' FROM claude_gpt_data.usage_reservations WHERE id = $due_reservation)
        AND NOT EXISTS (SELECT FROM claude_gpt.prove_books($due))",
    session_cleanup => 'NOT EXISTS (SELECT FROM claude_gpt_data.user_sessions)',
    idempotency_prune => 'NOT EXISTS (SELECT FROM claude_gpt_data.idempotency_keys WHERE expires_at < now()) AND EXISTS (SELECT FROM claude_gpt_data.idempotency_keys)',
    job_history_prune => "NOT EXISTS (SELECT FROM claude_gpt_data.job_runs WHERE started_at < now() - interval '31 days')",
    audit_prune => "NOT EXISTS (SELECT FROM claude_gpt_data.audit_logs WHERE created_at < now() - interval '31 days')",
    usage_prune => "NOT EXISTS (SELECT FROM claude_gpt_data.usage_records WHERE created_at < now() - interval '400 days') AND EXISTS (SELECT FROM claude_gpt_data.usage_records)",
    partition_upkeep => "EXISTS (SELECT FROM claude_gpt.list_partitions('audit_logs') WHERE to_at > now() + interval '28 days')",
    analyze => "pg_stat_get_last_analyze_time('claude_gpt_data.audit_logs'::regclass) IS NOT NULL",
);
my %prepared = (
    idempotency_prune => "UPDATE claude_gpt_data.idempotency_keys SET expires_at = now() - interval '1 day' WHERE idempotency_key = 'known'",
    job_history_prune => "INSERT INTO claude_gpt_data.job_runs (id, job_name, engine, started_at, finished_at, outcome) VALUES (gen_random_uuid(), 'analyze', 'call', now() - interval '40 days', now() - interval '40 days', 'succeeded')",
    audit_prune => $audit->("now() - interval '40 days'"),
    usage_prune => "INSERT INTO claude_gpt_data.system_configs (config_key, config_value) VALUES ('retention', '{\"usage_records\": \"400 days\"}');
        INSERT INTO claude_gpt_data.usage_records (user_id, usage_type, created_at) VALUES ($user, 'message', now() - interval '500 days')",
    partition_upkeep => $drop_partitions->('tomorrow', 'infinity'),
    analyze => $audit->('now()') . "; SELECT pg_stat_force_next_flush(); SELECT pg_stat_reset_single_table_counters('claude_gpt_data.audit_logs'::regclass)",
);
# call => [ prepared by, done, step ]; of a job that %done and %prepared do not name, that it fails as it should and ends.
my @jobs = map { $_->{statement} =~ /run_job\('(\w+)'\);$/ ? $1 : () } calls();
is(join(' ', sort @jobs), $node->safe_psql('postgres', q{SELECT string_agg(name, ' ' ORDER BY name COLLATE "C") FROM claude_gpt_data.jobs}), 'every job has a call');
my %procedures = (
    (map { ("CALL claude_gpt.run_job('$_')" => [ $prepared{$_} // 'SELECT 1', $done{$_} // 'true', /^(session_cleanup|monthly_reset)$/ ? 1 : 3 ]) } @jobs),
    "CALL claude_gpt.run_job('session_cleanup', 'pg_cron')" => [ 'SELECT 1', "$done{session_cleanup} AND (SELECT engine = 'pg_cron' FROM claude_gpt_data.jobs WHERE name = 'session_cleanup')", 3 ],
    'CALL claude_gpt.run_due_jobs()' => [
        join('; ', map { $prepared{$_} } grep { $_ ne 'analyze' } sort keys %prepared) . "; SELECT 1",
        join(' AND ', map { $done{$_} } grep { $_ ne 'analyze' } sort keys %done), 29 ],
    "CALL claude_gpt.create_partitions('audit_logs', '2050-01-05', '2050-01-18', '1 week')" => [
        $drop_partitions->('2050-01-01', '2050-02-01') . '; ' . $audit->("'2050-01-06'"), $partitions_from->('2050-01-01', '2050-02-01') . " = 3 AND (SELECT count(*) FROM claude_gpt_data.audit_logs) = 1", 1 ],
    "CALL claude_gpt.drop_partitions_before('audit_logs', '2020-02-01')" => [
        "CALL claude_gpt.create_partitions('audit_logs', '2020-01-01', '2020-02-01', '1 month')", $partitions_from->('2020-01-01', '2020-02-01') . ' = 0', 1 ],
    "CALL claude_gpt.partition_table('messages', '1 month')" => [ undef, "(SELECT relkind = 'p' FROM pg_class WHERE oid = 'claude_gpt_data.messages'::regclass) AND (SELECT count(*) FROM claude_gpt_data.messages) = 5
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE connamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND NOT convalidated AND conparentid = 0)
        AND (SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND connamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace)) = (SELECT count(*) FROM public.references_before)", 4 ],
);

# Every native routine, as test/calls calls it, in a database that is made anew when a call has changed it. What commits on the way is
# below; a procedure that has nothing there has no case. Two statements, or what needs empty tables, are in %compound.
$node->safe_psql('postgres', 'CREATE DATABASE furnished');
$node->safe_psql('furnished', "CREATE EXTENSION claude_gpt; SELECT claude_gpt.grant_application_access('app'); CREATE TABLE public.touched (id integer);\n"
    . join("\n", map { "\\i $Calls::directory/$_" } 'names.psql', 'fixture.psql')
    . "$walk; SELECT claude_gpt.set_owner('owner'); GRANT ALL ON public.watched TO app; GRANT ALL ON SCHEMA grown TO owner");
my %is_native = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', q{
    SELECT proname FROM pg_proc WHERE pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')});
is(join(' ', routines_without_call($node, 'true')), '', 'there is a call for every routine');
my @calls = grep { $is_native{ $_->{routine} } && !$_->{commits} } calls();
for my $routine (sort map { $_->{routine} } grep { $is_native{ $_->{routine} } && $_->{commits} } calls())
{
    ok((grep { /claude_gpt\.$routine\b/ } keys %procedures), "$routine is made to fail below") or diag('a procedure that commits: add it to %procedures');
}

# The statements take the ways that their names say.
for my $case ([ 'consume_quota beyond the limit', 'allowed' => 'f' ], [ 'consume_quota replayed', 'replayed' => 't' ],
    [ 'reserve_usage beyond the limit', 'allowed' => 'f' ], [ 'reserve_usage replayed', 'replayed' => 't' ], [ 'settle_usage when it is late', 'late' => 't' ], [ 'begin_turn beyond the limit', "allowed OR reason <> 'quota_exceeded'" => 'f' ])
{
    my ($name, $column, $answer) = @$case;
    (my $statement = $statements{$name}[0]) =~ s/^SELECT (.*)$/SELECT $column FROM $1/;
    is($node->safe_psql('postgres', "BEGIN; $statement; ROLLBACK"), $answer, "$name: it is so");
}

sub walk_in_a_subtransaction
{
    my ($name, $statement, $role, $step, $database) = @_;
    my $session = PsqlSession->new($node, $database);
    $session->ask("SET client_min_messages = warning");
    my $answer = $session->ask("CALL public.walk(\$s\$$statement\$s\$, '$role', " . ($step // 1) . ')');
    (my $noise = $answer) =~ s/^(WARNING:  could not apply the recorded access of role "app" again|DETAIL:  failure injected.*|HINT:  If the role is gone for good.*|\d+\|\d+)\n?//mg;
    is($noise, '', "$name: failures leave nothing behind, in a subtransaction");
    my ($failures, $absorbed) = $answer =~ /^(\d+)\|(\d+)$/m;
    cmp_ok($failures // -1, '>', 0, "$name: " . ($failures // 0) . ' calls were made to fail, and ' . ($absorbed // 0) . ' absorbed');
    is($absorbed // 0 > 0 ? 'absorbed' : 'raised', $name =~ /^(migrate( with nothing| after detach|:)|reapply_access)/ ? 'absorbed' : 'raised', "$name: an error is absorbed only while recorded grants are given again");
    is($session->ask("SELECT count(*) < 2 FROM pg_backend_memory_contexts WHERE name = 'claude_gpt configuration'"), 't', "$name: half-read configurations are freed");
    $session->close;
    return;
}

sub walk_by_statements
{
    my ($name, $statement, $role, $database) = @_;
    my $session = PsqlSession->new($node, $database);
    $session->ask("LOAD 'claude_gpt'; SET client_min_messages = warning");
    my $state = $session->ask('SELECT public.state()');
    my ($n, $bad) = (0, '');
    while (1)
    {
        $n++;
        $session->ask("SET claude_gpt.fail_at_call = $n; SET ROLE $role");
        my $said = $session->ask($statement);
        my $failed = $said =~ /^ERROR:  failure injected by claude_gpt.fail_at_call/;
        my ($role_after, $live) = split /\n/, $session->ask('SELECT current_user; SHOW claude_gpt.live_objects');
        my ($armed, $state_after) = split /\n/, $session->ask("RESET ROLE; SELECT public.is_armed($n), public.state()") =~ s/\|/\n/r;
        my $works = $session->ask("SELECT claude_gpt.check_subscription_limit(id) FROM claude_gpt_data.users LIMIT 1");
        $bad .= "at $n: current user is $role_after\n" if $role_after ne $role;
        $bad .= "at $n: $live live objects\n" if $live ne '0';
        $bad .= "at $n: something changed\n" if $failed && $state_after ne $state;
        $bad .= "at $n: then: $works\n" if $works !~ /^[tf]?$/ && $works !~ /plan "free" is not configured/;
        next if $failed;
        $bad .= "at $n: said $said\n" if $said =~ /ERROR|WARNING:  (?!could not apply the recorded access)/;
        last if $armed eq 't' || $said =~ /ERROR(?!.*injected)/;
    }
    is($bad, '', "$name: nor as statements of their own, $n times");
    my $has_changed = $session->ask('SELECT public.state()') ne $state;
    $session->close;
    return $has_changed;
}

my $is_as_made = 0;
for my $call (@calls)
{
    # The owner's code may run with his own rights alone.
    my $role = $call->{levels}{application} ? 'app' : $call->{superuser} eq '42501' ? 'owner' : $superuser;
    my ($name, $statement) = ("$call->{routine}: $call->{statement}", with_names($call->{statement}));
    $node->safe_psql('postgres', $_) for $is_as_made ? () : ('DROP DATABASE IF EXISTS called', 'CREATE DATABASE called TEMPLATE furnished STRATEGY file_copy');
    walk_in_a_subtransaction($name, $statement, $role, 1, 'called');
    $is_as_made = $statement =~ /;.*;/ || !walk_by_statements($name, $statement, $role, 'called');
}
for my $name (sort keys %statements)
{
    walk_in_a_subtransaction($name, @{ $statements{$name} });
    walk_by_statements($name, @{ $statements{$name} });
    $node->safe_psql('postgres', "SELECT claude_gpt.set_owner('owner'), claude_gpt.grant_application_access('app'); SELECT claude_gpt.revoke_application_access('heir'); CALL public.furnish()");
}
walk_in_a_subtransaction($_, @{ $compound{$_} }) for sort keys %compound;

$node->safe_psql('postgres', "CALL public.furnish(); CREATE TABLE public.references_before AS SELECT oid FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND connamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace)");
for my $call (sort keys %procedures)
{
    my ($prepare, $done, $step) = @{ $procedures{$call} };
    my $is_partitioning = !defined $prepare;
    my ($control, $session) = (PsqlSession->new($node, $is_partitioning ? 'template1' : 'postgres'), PsqlSession->new($node));
    my $database = $is_partitioning ? 'apart' : 'postgres';
    if ($is_partitioning)
    {
        # Nothing leads back from there: a database for each n.
        $session->close;
        $session = PsqlSession->new($node, 'template1');
        $control->ask('CREATE DATABASE apart TEMPLATE template0');
    }
    my ($n, $fired, $recorded, $was_done, $bad) = (1 - $step, 0, 0, 0, '');
    while (1)
    {
        $n += $step;
        $bad .= "before $n: $_\n" for grep { $_ ne '' } $is_partitioning
            ? map { $control->ask($_) } 'DROP DATABASE apart', 'CREATE DATABASE apart TEMPLATE postgres STRATEGY file_copy'
            : ($control->ask("SET client_min_messages = warning; CALL public.furnish(); $clear; $prepare") =~ /^(ERROR.*)/m);
        my $said = $session->ask("\\c $database\nSET client_min_messages = warning; SET claude_gpt.job_duty_cycle = 100; SET claude_gpt.fail_at_call = $n; $call");
        my $is_armed = $session->ask("SELECT public.is_armed($n)") eq 't';
        $session->ask('SET claude_gpt.fail_at_call = 0');
        my $left = $session->ask(q{
            SELECT current_user = session_user, current_setting('claude_gpt.live_objects'), current_setting('search_path'), current_setting('lock_timeout'),
                   current_setting('deadlock_timeout'), current_setting('synchronous_commit'), current_setting('transaction_isolation'),
                   (SELECT count(*) FROM pg_locks WHERE classid = 'pg_extension'::regclass AND objsubid = 1),
                   (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation >= 16384);
            SET ROLE app; RESET ROLE; CREATE TEMP TABLE t (); DROP TABLE t;});
        $bad .= "at $n: $left\n" if $left ne 't|0|"$user", public|0|1s|on|read committed|0|0';
        $bad .= "at $n: said $said\n" if $said =~ /WARNING(?!:  job "\w+" failed: failure injected)|ERROR(?!:  failure injected by claude_gpt.fail_at_call)/ || ($is_armed && $said ne '');
        $fired++ unless $is_armed;
        unless ($is_partitioning)
        {
            $recorded++ if $session->ask("SELECT 1 FROM claude_gpt_data.job_runs WHERE outcome = 'failed' AND sqlstate = 'XX000' AND message LIKE 'failure injected%' LIMIT 1") eq '1';
            $was_done++ if !$is_armed && $session->ask("SELECT $done") eq 't';
            # A run without an end is ended first, and that job waits for a moment.
            my $now = "UPDATE claude_gpt_data.jobs SET next_run_at = '2026-01-01' WHERE next_run_at < now() + interval '1 minute'";
            $bad .= "at $n: then $_\n" for grep { $_ ne '' } $call =~ /due/ ? $session->ask("$now; $call; $now") : ();
        }
        my $again = $session->ask($call);
        my $after = $session->ask("SELECT $done, (SELECT count(*) FROM claude_gpt_data.job_runs WHERE outcome = 'running'), (SELECT count(*) FROM pg_locks WHERE classid = 'pg_extension'::regclass AND objsubid = 1), current_setting('claude_gpt.live_objects')");
        $bad .= "at $n: again: $again\n" if $again ne '';
        $bad .= "at $n: after it: $after\n" if $after ne 't|0|0|0';
        $session->ask('\c template1') if $is_partitioning;
        last if $is_armed || $n > 5000;
    }
    is($bad, '', "$call: no failure leaves anything behind, and the next call ends it");
    cmp_ok($fired, '>', 5, "$call: $fired calls up to $n were made to fail, $recorded on record, $was_done when all was done");
    cmp_ok($recorded, '>', $call =~ /job/ ? 3 : -1, "$call: failures come on record");
    $_->close for $control, $session;
}
$node->safe_psql('postgres', "DROP DATABASE IF EXISTS apart; $clear; CALL public.furnish()");

# In a fresh session for each n: nothing is cached or prepared yet.
for my $statement ("SELECT claude_gpt.update_user_usage($user, 1, 5, 0.25)", "SELECT claude_gpt.check_subscription_limit($user)", "SELECT claude_gpt.consume_quota($due, p_idempotency_key => 'new')",
    "SELECT claude_gpt.complete_turn($holding, $turn, 'good day', 10, 20)", "SELECT claude_gpt.begin_turn($user, NULL, 'hello', 'm')", "SELECT claude_gpt.rate_limit('k', 1000000, '1 day')")
{
    my $state = $node->safe_psql('postgres', 'SELECT public.state()');
    my $session = PsqlSession->new($node);
    my ($n, $bad) = (0, '');
    while (1)
    {
        $n++;
        my $said = $session->ask("\\c -\nLOAD 'claude_gpt'; SET claude_gpt.fail_at_call = $n; BEGIN; $statement; ROLLBACK; SET claude_gpt.fail_at_call = 0;
            SELECT current_user = session_user, current_setting('claude_gpt.live_objects'), claude_gpt.check_subscription_limit($user);");
        $bad .= "at $n: $said\n" unless $said =~ /t\|0\|t$/;
        last unless $said =~ /failure injected/;
    }
    is($bad, '', "a fresh session survives each of $n failures in: " . substr($statement, 18, 20));
    is($node->safe_psql('postgres', 'SELECT public.state()'), $state, 'and nothing changed');
    cmp_ok($n, '>', $statement =~ /\.rate_limit/ ? 2 : 10, 'every call on the way was tried');
    $session->close;
}

# While the extension is being created, with its tables and without, and while migrate() makes them.
for my $case ([ 'CREATE EXTENSION claude_gpt', '', 'claude_gpt' ],
    [ 'CREATE EXTENSION claude_gpt', 'SET claude_gpt.install_tables = off;', 'claude_gpt' ],
    [ 'CALL claude_gpt.migrate()', '', '' ])
{
    my ($statement, $before, $schema) = @$case;
    $node->safe_psql('postgres', 'CREATE DATABASE fresh') if $statement =~ /CREATE/;
    my $session = PsqlSession->new($node, 'fresh');
    my $objects = 'SELECT (SELECT count(*) FROM pg_class WHERE oid >= 16384), (SELECT count(*) FROM pg_proc WHERE oid >= 16384), (SELECT count(*) FROM pg_namespace WHERE oid >= 16384), (SELECT count(*) FROM pg_type WHERE oid >= 16384)';
    my $left_before = $session->ask("LOAD 'claude_gpt'; $before $objects");
    # Creating the extension calls what migrate() calls, and little else.
    my $step = $statement =~ /CREATE/ && !$before ? 7 : 1;
    my ($n, $left) = (1 - $step, '');
    while (1)
    {
        $n += $step;
        my $said = $session->ask("SET claude_gpt.fail_at_call = $n; $statement");
        last unless $said =~ /ERROR:  failure injected/;
        my $after = $session->ask("$objects; SHOW claude_gpt.live_objects; SHOW search_path");
        $left .= "at $n: $after\n" unless $after eq "$left_before\n0\n\"\$user\", public";
    }
    is($left, '', "$before $statement leaves nothing behind when it fails");
    cmp_ok($n, '>', $before eq '' ? 20 : 0, "and was made to fail up to call $n");
    $session->ask('SET claude_gpt.fail_at_call = 0');
    is($session->ask('SELECT count(*) FROM claude_gpt_data.claude_gpt_migrations'), $node->safe_psql('postgres', 'SELECT count(*) FROM claude_gpt_data.claude_gpt_migrations'), 'after which it succeeds') unless $before;
    $session->close;
    $node->safe_psql('postgres', 'DROP DATABASE fresh') if $statement =~ /CREATE/ && !$before;
}

$node->stop;
done_testing();
