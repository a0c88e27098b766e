# The tables are the user's: any column of any of them may be given any type. Whatever was changed, every function says the
# same as before, or refuses with 42804 that names the table, the column and both types; nothing crashes, no error is XX000.
# Each column times each type is a subtransaction that is rolled back; jobs, which commit, run in copies of the database.
# Long: each of all columns is given forty types.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Calls;
use ColumnTypes;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('types');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off\nclaude_gpt.fixed_time = '2026-06-15T12:00:00Z'\n"
      . "autovacuum = off\nmax_locks_per_transaction = 1024\njit = off");
$node->start;
my $postmaster = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

my ($user, $chat, $question, $reply, $next, $reservation, $due, $turn) = map { "00000000-0000-4000-8000-0000000009$_" } qw(02 20 31 32 33 41 42 43);
$node->safe_psql('postgres', 'CREATE DATABASE origin');
$node->safe_psql('origin', 'CREATE EXTENSION claude_gpt; CREATE ROLE app LOGIN; CREATE ROLE heir; CREATE ROLE hired; ' . ColumnTypes::definitions());
$node->safe_psql('origin', join "\n", q{SELECT claude_gpt.grant_application_access('app');}, map { "\\i $Calls::directory/$_" } 'names.psql', 'fixture.psql');
$node->safe_psql('origin', qq{
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": 1000, "tokensPerMonth": 100000, "costPerMonth": 1000}, "base": {"messagesPerMonth": 100}}' WHERE config_key = 'subscription_plans';
    INSERT INTO claude_gpt_data.users (id, email, password_hash, created_at, monthly_reset_date, last_active_at) VALUES ('$user', 'b\@x', 'x', '2026-01-01Z', '2026-06-01', '2026-06-01Z');
    INSERT INTO claude_gpt_data.conversations (id, user_id, title, created_at, last_message_at) VALUES ('$chat', '$user', 'title', '2026-01-01Z', '2026-01-01Z');
    INSERT INTO claude_gpt_data.messages (id, conversation_id, user_id, role, content, status, parent_message_id, created_at, updated_at, total_tokens, metadata, model_used) VALUES
        ('$question', '$chat', '$user', 'user', 'q', 'sent', NULL, '2026-06-01Z', '2026-06-01Z', 4, '{"a": 1}', NULL),
        ('$reply', '$chat', '$user', 'assistant', '', 'sending', '$question', '2026-06-02Z', '2026-06-02Z', NULL, NULL, 'm'),
        ('$next', '$chat', '$user', 'user', 'why', 'sent', '$question', '2026-06-03Z', '2026-06-03Z', 2, NULL, NULL);
    INSERT INTO claude_gpt_data.usage_reservations (id, user_id, message_count, token_count, model_used, expires_at, conversation_id, user_message_id, assistant_message_id) VALUES
        ('$reservation', '$user', 1, 5, 'm', 'infinity', NULL, NULL, NULL), ('$due', '$user', 1, 5, 'm', '2026-06-15 11:59Z', NULL, NULL, NULL),
        ('$turn', '$user', 1, 5, 'm', 'infinity', '$chat', '$question', '$reply');
    UPDATE claude_gpt_data.users SET held_message_count = 3, held_token_count = 15, next_hold_expiry = '2026-06-15 11:59Z' WHERE id = '$user';
    SELECT claude_gpt.record_usage('$user', 'token', 5, 'm', 0.25, '$question', '$chat', '{}');
    SELECT claude_gpt.consume_quota('$user', p_idempotency_key => 'known');
    UPDATE claude_gpt_data.users SET held_message_count = 3, held_token_count = 15, next_hold_expiry = '2026-06-15 11:59Z' WHERE id = '$user';
    UPDATE claude_gpt_data.usage_reservations SET status = 'open', closed_at = NULL;
    -- Of another user a month that has lapsed, and old rows for the jobs.
    INSERT INTO claude_gpt_data.users (id, email, password_hash, monthly_reset_date, created_at) VALUES ('00000000-0000-4000-8000-000000000901', 'a\@x', 'x', '2020-01-01', '2020-01-01Z');
    INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ('$user', 't', '2026-06-01Z');
    INSERT INTO claude_gpt_data.idempotency_keys (user_id, idempotency_key, fingerprint, created_at, expires_at) VALUES ('$user', 'old', '', '2020-01-01Z', '2020-01-01Z');
    INSERT INTO claude_gpt_data.audit_logs (action, resource_type, created_at) VALUES ('login', 'user', '2026-01-01Z');
    INSERT INTO claude_gpt_data.usage_records (user_id, usage_type, quantity, created_at, billing_period) VALUES ('$user', 'message', 0, '2020-01-10Z', '2020-01-01');
    INSERT INTO claude_gpt_data.job_runs (id, job_name, engine, started_at, finished_at, outcome) VALUES (gen_random_uuid(), 'analyze', 'call', '2020-01-01Z', '2020-01-01Z', 'succeeded');
});

# What is called for its answer and for what it writes, more than one way where there is more than one.
my %calls = (
    update_user_usage => "SELECT claude_gpt.update_user_usage('$user', 1, 5, 0.1)",
    'update_user_usage of a lapsed month' => "SELECT claude_gpt.update_user_usage('00000000-0000-4000-8000-000000000901', 1, 5, 0.1)",
    check_subscription_limit => "SELECT claude_gpt.check_subscription_limit('$user', 'token')",
    consume_quota => "SELECT claude_gpt.consume_quota('$user', 'message', 1, 'm', 'k')",
    'consume_quota of tokens' => "SELECT claude_gpt.consume_quota('$user', 'token', 7)",
    'consume_quota again' => "SELECT claude_gpt.consume_quota('$user', p_idempotency_key => 'known')",
    'consume_quota beyond the limit' => "SELECT claude_gpt.consume_quota('$user', 'message', 5000)",
    quota_status => "SELECT claude_gpt.quota_status('$user')",
    raise_if_denied => "SELECT claude_gpt.raise_if_denied(d) FROM claude_gpt.consume_quota('$user', 'api_call') AS d",
    reserve_usage => "SELECT claude_gpt.reserve_usage('$user', 5, 1, 'm', '1 hour', 'r')",
    extend_usage => "SELECT claude_gpt.extend_usage('$user', '$reservation', '1 hour')",
    settle_usage => "SELECT claude_gpt.settle_usage('$user', '$reservation', 1, 2, NULL, '$question')",
    'settle_usage too late' => "SELECT claude_gpt.settle_usage('$user', '$due', 1, 2, 0.5)",
    'settle_usage again' => "SELECT (SELECT claude_gpt.settle_usage('$user', '$reservation', 1, 2)), claude_gpt.settle_usage('$user', '$reservation', 1, 2)",
    release_usage => "SELECT claude_gpt.release_usage('$user', '$reservation')",
    record_usage => "SELECT claude_gpt.record_usage('$user', 'token', 5, 'm', 0.1, '$question', NULL, '{}', 'u')",
    check_rate_limit => "SELECT (claude_gpt.check_rate_limit('$user', 0)).allowed",
    begin_turn => "SELECT claude_gpt.begin_turn('$user', NULL, 'q', 'm', 5)",
    'begin_turn at the newest' => "SELECT claude_gpt.begin_turn('$user', '$chat', 'q', 'm', 5, p_metadata => '{}')",
    'begin_turn anew' => "SELECT claude_gpt.begin_turn('$user', '$chat', NULL, 'm', 5, '$question', p_idempotency_key => 't')",
    save_partial => "SELECT claude_gpt.save_partial('$user', '$turn', 'part')",
    complete_turn => "SELECT claude_gpt.complete_turn('$user', '$turn', 'whole', 1, 2, NULL, '{}')",
    stop_turn => "SELECT claude_gpt.stop_turn('$user', '$turn', NULL, 1, 2)",
    fail_turn => "SELECT claude_gpt.fail_turn('$user', '$turn', 'cut off', 1, 2)",
    'fail_turn for nothing' => "SELECT claude_gpt.fail_turn('$user', '$turn', 'cut off')",
    list_conversations => "SELECT claude_gpt.list_conversations('$user')",
    'list_conversations further' => "SELECT claude_gpt.list_conversations('$user', false, '$chat', 5)",
    conversation_messages => "SELECT claude_gpt.conversation_messages('$user', '$chat')",
    'conversation_messages further' => "SELECT claude_gpt.conversation_messages('$user', '$chat', '$next', 5)",
    conversation_path => "SELECT claude_gpt.conversation_path('$user', '$next', 50)",
    delete_conversation => "SELECT claude_gpt.delete_conversation('$user', '$chat')",
    prove_books => 'SELECT claude_gpt.prove_books()',
    'prove_books of one' => "SELECT claude_gpt.prove_books('$user')",
    repair_books => 'SELECT claude_gpt.repair_books()',
    hand_jobs_over => q{SELECT claude_gpt_internal.hand_jobs_over('worker')},
    recorded_access => 'SELECT claude_gpt_internal.recorded_access()',
    prove_recent_books => q{SELECT claude_gpt_internal.prove_recent_books(5, '10 minutes')},
    find_future_times => 'SELECT claude_gpt_internal.find_future_times()',
    health => q{SELECT check_name FROM claude_gpt.health()},
    metrics => q{SELECT name, labels FROM claude_gpt.metrics() WHERE name ~ 'migration|users|tier'},
    usage_report_html => 'SELECT length(claude_gpt.usage_report_html()) > 1000',
    effective_tier => "SELECT claude_gpt.effective_tier('$user')",
    set_subscription => "SELECT claude_gpt.set_subscription('$user', 'base')",
    current_billing_period => 'SELECT claude_gpt.current_billing_period()',
    cleanup_expired_sessions => 'SELECT claude_gpt.cleanup_expired_sessions()',
    grant_application_access => q{SELECT claude_gpt.grant_application_access('app', 'read')},
    revoke_application_access => q{SELECT claude_gpt.revoke_application_access('app')},
    set_owner => q{SELECT claude_gpt.set_owner('app')},
    detach => 'SELECT claude_gpt.detach()',
    job_looks => 'SELECT name FROM claude_gpt_internal.job_looks()',
    list_partitions => q{SELECT count(*) > 5 FROM claude_gpt.list_partitions()},
    create_next_partition => q{SELECT claude_gpt_internal.create_next_partition('audit_logs', '2060-01-01Z', '2060-01-20Z', '1 week')},
    has_partition_work => q{SELECT claude_gpt_internal.has_partition_work('audit_logs', '2060-01-01Z', '2060-01-20Z', '1 week')},
    drop_next_partition_before => q{SELECT claude_gpt_internal.drop_next_partition_before('usage_records', '2020-01-01Z')},
    delete_rows_before => q{SELECT (d).deleted, (d).done FROM claude_gpt_internal.delete_rows_before('audit_logs', '2026-02-01Z', NULL, 0, 500) AS d},
    # What the triggers do when an application writes.
    'a user' => q{INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('00000000-0000-4000-8000-0000000000f1', 'n@x', 'x') RETURNING 1},
    'a change of a user' => "UPDATE claude_gpt_data.users SET preferred_language = NULL WHERE id = '$user' RETURNING 1",
    'a conversation' => "INSERT INTO claude_gpt_data.conversations (id, user_id) VALUES ('00000000-0000-4000-8000-0000000000f2', '$user') RETURNING 1",
    'a message' => "INSERT INTO claude_gpt_data.messages (id, conversation_id, user_id, role, content, total_tokens, parent_message_id, created_at) VALUES ('00000000-0000-4000-8000-0000000000f3', '$chat', '$user', 'user', 'x', 3, '$question', '2026-06-05Z') RETURNING 1",
    'a change of a message' => "UPDATE claude_gpt_data.messages SET total_tokens = 50 WHERE id = '$next' RETURNING 1",
    'a deletion of messages' => "DELETE FROM claude_gpt_data.messages WHERE id = '$next' RETURNING 1",
    'a configuration' => q{INSERT INTO claude_gpt_data.system_configs (id, config_key, config_value) VALUES ('00000000-0000-4000-8000-0000000000f4', 'chunk', '1') RETURNING 1},
    'a change of configuration' => q{UPDATE claude_gpt_data.system_configs SET config_value = 'true' WHERE config_key = 'maintenance_mode' RETURNING 1},
    'a job' => q{UPDATE claude_gpt_data.jobs SET run_every = '2 days' WHERE name = 'analyze' RETURNING 1});

# Of every other function the calls of test/calls, for a few types: of ours and native ones, that is; what is in other languages in
# claude_gpt_internal is a step of these. What commits on the way runs in copies, see below.
is(join(' ', routines_without_call($node, 'true', 'origin')), '', 'there is a call for every routine');
my %called = map { /^(\w+)/ => 1 } keys %calls;
my %is_step = map { $_ => 1 } split /\n/, $node->safe_psql('origin', q{SELECT proname FROM pg_proc WHERE pronamespace = 'claude_gpt_internal'::regnamespace AND prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c')});
my @other_calls = map { "$_->{routine}: $_->{statement}" } grep { $_->{statement} =~ /^SELECT/ && !$_->{pg_cron} && !$called{ $_->{routine} } && !$is_step{ $_->{routine} } } calls();
$calls{$_} = with_names(/: (.*);$/) for @other_calls;
my @in_copies = qw(run_job run_due_jobs create_partitions drop_partitions_before partition_table);
is(join(' ', do { my %known = map { $_ => 1 } @in_copies; grep { !$known{$_} } map { $_->{routine} } grep { $_->{commits} } calls() }), '', 'every procedure that commits is called below');

# The list that the code compares with, as it says it, and the catalog of this fresh installation.
my %listed;
my ($list, $rows) = map { slurp_file("$FindBin::RealBin/../../src/$_") } qw(api/tables.cpp store/rows.hpp);
while ($list =~ /\{(?:"(\w+)"|store::(\w+)::k_name, *\n? *store::\w+::k_columns),\s*\{(\{.*?\})\}\}/gs)
{
    my ($table, $columns) = ($1 // lc($2 =~ s/\B([A-Z])/_$1/gr), $3);
    $listed{"$table.$1"} = $2 while $columns =~ /\{"(\w+)", Type::(\w+)\}/g;
}
while ($rows =~ /#define COLUMNS_OF_(\w+)\(COLUMN\)((?:.*\\\n)*.*)/g)
{
    my ($table, $columns) = (lc $1, $2);
    $listed{"$table.$1"} = $2 while $columns =~ /COLUMN\((\w+), (\w+)\)/g;
}
my %type_names = (int4 => 'integer', int8 => 'bigint', timestamptz => 'timestamp with time zone', map { $_ => $_ } qw(uuid text boolean date numeric jsonb interval bytea name));
my %columns = map { my ($table, $column, $type) = split /\|/; ("$table.$column" => $type) } split /\n/, $node->safe_psql('origin', q{
    WITH RECURSIVE base AS (
        SELECT c.relname, a.attname, a.attnum, a.atttypid AS type FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        UNION ALL SELECT b.relname, b.attname, b.attnum, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.type AND t.typtype = 'd')
    SELECT relname, attname, replace(format_type(type, NULL), 'character varying', 'text') FROM base b JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd' ORDER BY relname, attnum});
cmp_ok(scalar(keys %listed), '>', 120, 'the list of the code is found');
is(join("\n", map { "$_ $type_names{$listed{$_}}" } sort keys %listed), join("\n", map { "$_ " . ($columns{$_} // 'does not exist') } sort keys %listed), 'it says what the catalog says');

$node->safe_psql('origin', q{
    CREATE SCHEMA walk;
    CREATE TABLE walk.calls (name text PRIMARY KEY, statement text NOT NULL, is_heavy boolean, writes boolean, result text);
    CREATE TABLE walk.types (n serial, name text, value text, is_for_heavy boolean);
    CREATE TABLE walk.touched (relation text, call text);
    CREATE TABLE walk.views AS SELECT c.relname, format('CREATE VIEW claude_gpt_data.%I WITH (security_invoker = true) AS %s', c.relname, pg_get_viewdef(c.oid)) AS definition FROM pg_class c
        WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind = 'v' ORDER BY c.oid;
    CREATE TABLE walk.outcomes (relation text, attribute text, type text, how text, call text, state text, message text, is_same boolean);

    -- All that the calls write, in the columns that the code uses.
    CREATE FUNCTION walk.state(p_skipped text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE
        part record; result text := ''; found text;
    BEGIN
        FOR part IN SELECT * FROM (VALUES
            ('users', '{id,subscription_tier,subscription_status,monthly_message_count,total_message_count,monthly_token_count,total_token_count,monthly_cost,total_cost,monthly_api_call_count,monthly_reset_date,held_message_count,held_token_count,held_cost,next_hold_expiry,last_active_at,last_active_on}'::text[]),
            ('conversations', '{message_count,total_tokens,total_cost,last_message_at,last_message_on}'), ('messages', '{role,content,status,prompt_tokens,completion_tokens,total_tokens,cost,error_message,metadata,model_used,created_at}'),
            ('usage_records', '{user_id,usage_type,quantity,cost,model_used,billing_period,message_id,metadata}'), ('usage_balances', '{usage_type,quantity,cost}'),
            ('subscription_history', '{subscription_tier,subscription_status,event_type}'), ('user_sessions', '{expires_at,is_active}'), ('usage_reservations', '{status,message_count,token_count,cost,expires_at,closed_at,prompt_tokens,charged_cost,was_late}'),
            ('idempotency_keys', '{idempotency_key,expires_at,used,remaining,limit_name}'), ('jobs', '{name,run_every}'), ('application_grants', '{level}')) AS v (relation, attributes)
        LOOP
            EXECUTE format('SELECT string_agg(r, %L ORDER BY r) FROM (SELECT concat_ws(%L, %L, %s) AS r FROM claude_gpt_data.%I AS t) AS s', E'\n', ',', part.relation,
                COALESCE((SELECT string_agg(format('t.%I::text', a), ', ') FROM unnest(part.attributes) AS a WHERE part.relation || '.' || a <> p_skipped), 'NULL'), part.relation) INTO found;
            result := result || E'\n' || part.relation || ': ' || COALESCE(found, '');
        END LOOP;
        RETURN result;
    END $$;

    -- Runs a statement and takes it back: what it said and wrote, with ids of its own left out.
    CREATE FUNCTION walk.try(p_statement text, p_writes boolean, p_skipped text, OUT result text, OUT state text) LANGUAGE plpgsql AS $$
    BEGIN
        IF p_statement ~ '^SELECT' THEN
            EXECUTE format('SELECT string_agg(r::text, %L) FROM (%s) AS r', E'\n', p_statement) INTO result;
        ELSE
            EXECUTE p_statement INTO result;
        END IF;
        RAISE SQLSTATE 'TRIED' USING MESSAGE = COALESCE(result, '') || CASE WHEN p_writes THEN walk.state(p_skipped) ELSE '' END;
    EXCEPTION WHEN OTHERS THEN
        state := SQLSTATE;
        result := regexp_replace(SQLERRM, '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}', 'id', 'g');
    END $$;

    -- Gives a column another type, with as little taken out of the way as the server lets stand.
    CREATE FUNCTION walk.alter(p_relation text, p_attribute text, p_type text, p_value text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE
        relation regclass := format('claude_gpt_data.%I', p_relation)::regclass; number int2; dependent record; had_default boolean; statement text;
    BEGIN
        SELECT attnum, atthasdef INTO number, had_default FROM pg_attribute WHERE attrelid = relation AND attname = p_attribute;
        FOR dependent IN SELECT DISTINCT r.ev_class::regclass AS view FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
            WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = relation AND d.refobjsubid = number LOOP
            EXECUTE format('DROP VIEW %s', dependent.view);
        END LOOP;
        BEGIN
            EXECUTE format('ALTER TABLE %s ALTER %I TYPE %s USING %I::%s', relation, p_attribute, p_type, p_attribute, p_type);
            RETURN 'cast';
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        EXECUTE format('ALTER TABLE %s ALTER %I DROP DEFAULT', relation, p_attribute);
        FOR dependent IN SELECT DISTINCT pg_identify_object_as_address(d.classid, d.objid, 0) AS is_there, d.classid, d.objid FROM pg_depend d
            WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = relation AND d.refobjsubid = number AND d.classid IN ('pg_trigger'::regclass, 'pg_constraint'::regclass, 'pg_class'::regclass) LOOP
            IF dependent.classid = 'pg_trigger'::regclass THEN
                statement := (SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE oid = dependent.objid AND NOT tgisinternal AND tgparentid = 0);
            ELSIF dependent.classid = 'pg_constraint'::regclass THEN
                statement := (SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', conrelid::regclass, conname) FROM pg_constraint WHERE oid = dependent.objid AND conparentid = 0);
            ELSE
                statement := (SELECT format('DROP INDEX %s', oid::regclass) FROM pg_class c WHERE oid = dependent.objid AND relkind IN ('i', 'I') AND NOT relispartition);
            END IF;
            EXECUTE COALESCE(statement, 'SELECT');  -- it is gone with another one
        END LOOP;
        BEGIN
            EXECUTE format('ALTER TABLE %s ALTER %I TYPE %s USING %I::%s', relation, p_attribute, p_type, p_attribute, p_type);
            IF had_default THEN EXECUTE format('ALTER TABLE %s ALTER %I SET DEFAULT %s', relation, p_attribute, p_value); END IF;
            RETURN 'cast, freed';
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        EXECUTE format('ALTER TABLE %s ALTER %I TYPE %s USING %s', relation, p_attribute, p_type, p_value);
        IF had_default THEN EXECUTE format('ALTER TABLE %s ALTER %I SET DEFAULT %s', relation, p_attribute, p_value); END IF;
        RETURN 'replaced';
    EXCEPTION WHEN OTHERS THEN
        RETURN SQLERRM;
    END $$;

    -- Which calls have to do with a table: those that miss it.
    CREATE PROCEDURE walk.learn(p_relation text) LANGUAGE plpgsql AS $$
    DECLARE
        call record; missing text[] := '{}';
    BEGIN
        UPDATE walk.calls AS c SET result = (walk.try(c.statement, c.writes, '')).result;
        BEGIN
            EXECUTE format('ALTER TABLE claude_gpt_data.%I RENAME TO gone', p_relation);
            FOR call IN SELECT * FROM walk.calls LOOP
                IF (walk.try(call.statement, false, '')).state <> 'TRIED' THEN missing := missing || call.name; END IF;
            END LOOP;
            RAISE SQLSTATE 'TRIED';
        EXCEPTION WHEN SQLSTATE 'TRIED' THEN NULL;
        END;
        INSERT INTO walk.touched SELECT p_relation, unnest(missing);
    END $$;

    -- Of the types: some, those of the same kind as the column's, and a third of the others, so that all have their turn.
    CREATE PROCEDURE walk.column(p_relation text, p_attribute text, p_is_used boolean, p_turn integer) LANGUAGE plpgsql AS $$
    DECLARE
        type record; call record; tried record; how text; found walk.outcomes[]; kind "char";
    BEGIN
        SELECT t.typcategory INTO kind FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid WHERE a.attrelid = format('claude_gpt_data.%I', p_relation)::regclass AND a.attname = p_attribute;
        UPDATE walk.calls AS c SET result = t.result FROM (SELECT s.name, (walk.try(s.statement, s.writes, p_relation || '.' || p_attribute)).result FROM walk.calls AS s
            WHERE s.name IN (SELECT o.call FROM walk.touched AS o WHERE o.relation = p_relation)) AS t WHERE t.name = c.name;
        FOR type IN SELECT t.* FROM walk.types AS t JOIN pg_type AS y ON y.oid = t.name::regtype
            WHERE t.is_for_heavy OR p_is_used AND (y.typcategory = kind AND kind <> 'U' OR t.n % 3 = p_turn % 3) ORDER BY n LOOP
            found := '{}';
            BEGIN
                how := walk.alter(p_relation, p_attribute, type.name, type.value);
                IF how ~ '^(cast|replaced)' THEN
                    FOR call IN SELECT * FROM walk.views AS v WHERE to_regclass(format('claude_gpt_data.%I', v.relname)) IS NULL LOOP
                        BEGIN EXECUTE call.definition; EXCEPTION WHEN OTHERS THEN NULL; END;
                    END LOOP;
                    FOR call IN SELECT * FROM walk.calls AS c
                        WHERE (NOT is_heavy OR type.is_for_heavy) AND name IN (SELECT t.call FROM walk.touched AS t WHERE t.relation = p_relation) ORDER BY is_heavy, name LOOP
                        tried := walk.try(call.statement, call.writes, p_relation || '.' || p_attribute);
                        found := found || ROW(p_relation, p_attribute, type.name, how, call.name, tried.state, left(tried.result, 4000), tried.result IS NOT DISTINCT FROM call.result)::walk.outcomes;
                    END LOOP;
                ELSE
                    found := ARRAY[ROW(p_relation, p_attribute, type.name, 'not altered', NULL, NULL, how, NULL)::walk.outcomes];
                END IF;
                RAISE SQLSTATE 'TRIED';
            EXCEPTION WHEN SQLSTATE 'TRIED' THEN NULL;
            END;
            INSERT INTO walk.outcomes SELECT * FROM unnest(found);
        END LOOP;
    END $$;
});
# What changes the catalog, and so makes every plan anew, is called for a few types; so are the long reports.
my $heavy = qr/: |^(detach|set_owner|grant|revoke|create_next|drop_next|health|metrics|usage_report|prove_books$|repair_books)/;
my $reads = qr/^(check_|quota_status|list_|conversation_|prove_|health|metrics|usage_report|effective|current|job_looks|has_)/;
my $few = join('|', map { quotemeta } 'bigint', 'text', 'jsonb', 'timestamp', 'shapes.color', 'shapes.pair');
sub literal { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }
$node->safe_psql('origin', join(";\n", (map { 'INSERT INTO walk.calls VALUES (' . literal($_) . ', ' . literal($calls{$_}) . ', ' . ($_ =~ $heavy ? 'true' : 'false') . ', ' . ($_ =~ $reads ? 'false' : 'true') . ')' } sort keys %calls),
        (map { 'INSERT INTO walk.types (name, value, is_for_heavy) VALUES (' . literal($_->{name}) . ', ' . literal($_->{value}) . ', ' . ($_->{name} =~ /^($few)$/ ? 'true' : 'false') . ')' } @ColumnTypes::types)));
is($node->safe_psql('origin', q{SELECT string_agg(name || ': ' || t.state || ' ' || t.result, E'\n' ORDER BY name) FROM walk.calls, walk.try(statement, true, '') AS t WHERE t.state <> 'TRIED'}), '', 'every call works while nothing is altered');

# Columns that no code uses may become anything: a few types for each will do. Two sessions, each with half of the columns.
my @names = sort keys %columns;
@names = grep { /$ENV{WALK}/ } @names if $ENV{WALK};
my %tables = map { /^(\w+)/ => 1 } keys %columns;
$node->safe_psql('origin', join(";\n", map { "CALL walk.learn('$_')" } sort keys %tables));
note $node->safe_psql('origin', q{SELECT relation, string_agg(call, ', ' ORDER BY call) FROM walk.touched GROUP BY 1 ORDER BY 1});
is(join(' ', grep { !$node->safe_psql('origin', "SELECT EXISTS (SELECT FROM walk.touched WHERE relation = '$_')") } sort keys %tables), '', 'some call has to do with each table');
$node->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE origin") for 'other_half', 'jobs';
my @halves = map { { database => $_, script => '', out => '', err => '' } } 'origin', 'other_half';
for my $i (0 .. $#names)
{
    my ($table, $column) = split /\./, $names[$i];
    $halves[ $i % 2 ]{script} .= "CALL walk.column('$table', '$column', " . ($listed{ $names[$i] } ? 'true' : 'false') . ", $i / 2);\n";
}
$_->{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, $_->{database} ], '<', \$_->{script}, '>', \$_->{out}, '2>', \$_->{err}) for @halves;
for my $half (@halves)
{
    ok($half->{run}->finish, "all columns are altered in $half->{database}") or diag($half->{err});
}
sub outcomes
{
    my ($query) = @_;
    $query =~ s/OUTCOMES/walk.outcomes/g;
    return join("\n", grep { $_ ne '' } map { $node->safe_psql($_->{database}, $query) } @halves);
}

# 2D000 and the like are no answers: a function that was not asked proves nothing.
is(outcomes(q{SELECT concat_ws(' | ', relation, attribute, type, how, call, state, message) FROM OUTCOMES WHERE how = 'not altered' AND message !~ 'part of the partition key' ORDER BY 1}), '', 'every column takes every type, but for the keys of partitions');
# More answers are right: the server's own to an application's statement that does not fit the column, that a view is not there
# which cannot be made over it, a moment without what the column has no room for, and no row where its id was cut.
my $server = q{call ~ '^a ' AND (state ~ '^(22|42|0A)' AND message !~ 'must be of type' OR state = 'TRIED' AND (how = 'replaced' OR type = 'character(30)')) OR state = 'TRIED' AND type = 'timestamptz(0)'};
# A monitor is answered whatever is altered.
my $no_view = q{call ~ '^(usage_report_html|detach)$' AND state = '42P01' OR call ~ '^(health|metrics)$' AND state = 'TRIED'};
is(outcomes(qq{SELECT concat_ws(' | ', relation, attribute, type, how, call, state, message) FROM OUTCOMES
    WHERE NOT (state = 'TRIED' AND is_same) AND NOT (state = '42804' AND message LIKE format('column "%s" of table "%s" must be of type %%, not %%', attribute, relation)) AND NOT ($server) AND NOT ($no_view)
    ORDER BY 1}), '', 'every call says and writes what it did before, or refuses with the table, the column and both types');
is(outcomes(q{SELECT concat_ws(' | ', relation, attribute, type, how, call, state, message) FROM OUTCOMES WHERE call ~ '^(health|metrics)$' AND state <> 'TRIED' AND how <> 'not altered' ORDER BY 1}), '', 'health and metrics answer whatever is altered');
note outcomes(q{SELECT state, count(*), count(*) FILTER (WHERE is_same) FROM OUTCOMES GROUP BY 1 ORDER BY 1});

# A column may lose its NOT NULL and then its values, and a table may get a trigger that keeps every row from being written.
$node->safe_psql('origin', q{
    CREATE TABLE walk.missed (relation text, attribute text, call text, state text, message text);
    CREATE FUNCTION walk.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE PROCEDURE walk.miss(p_relation text, p_attribute text) LANGUAGE plpgsql AS $$
    DECLARE
        call record; tried record; found walk.missed[] := '{}';
    BEGIN
        IF p_attribute IS NULL THEN
            EXECUTE format('CREATE TRIGGER zzz BEFORE INSERT OR UPDATE OR DELETE ON claude_gpt_data.%I FOR EACH ROW EXECUTE FUNCTION walk.nothing()', p_relation);
        ELSE
            EXECUTE format('ALTER TABLE claude_gpt_data.%I ALTER %I DROP NOT NULL', p_relation, p_attribute);
            SET LOCAL session_replication_role = replica;
            EXECUTE format('UPDATE claude_gpt_data.%I SET %I = NULL', p_relation, p_attribute);
            SET LOCAL session_replication_role = origin;
        END IF;
        FOR call IN SELECT * FROM walk.calls WHERE name IN (SELECT t.call FROM walk.touched AS t WHERE t.relation = p_relation) ORDER BY name LOOP
            tried := walk.try(call.statement, false, '');
            found := found || ROW(p_relation, p_attribute, call.name, tried.state, left(tried.result, 1000))::walk.missed;
        END LOOP;
        RAISE SQLSTATE 'TRIED';
    EXCEPTION
        WHEN SQLSTATE 'TRIED' THEN
            INSERT INTO walk.missed SELECT * FROM unnest(found);
        WHEN invalid_table_definition OR not_null_violation OR check_violation THEN  -- a key, or one of partitions
            INSERT INTO walk.missed VALUES (p_relation, p_attribute, NULL, SQLSTATE, SQLERRM);
    END $$;
});
$node->safe_psql('origin', join(";\n", (map { my ($table, $column) = split /\./; "CALL walk.miss('$table', '$column')" } sort keys %listed), map { "CALL walk.miss('$_', NULL)" } sort keys %tables));
is($node->safe_psql('origin', q{SELECT concat_ws(' | ', relation, attribute, call, state, message) FROM walk.missed WHERE state ~ '^XX' ORDER BY 1}), '', 'a NULL where none may be, or a row that is not written, is no internal error');
for my $answer ([ 'system_configs', q{'config_value'}, 'current_billing_period', '22004', 'column "config_value" is null where claude_gpt keeps a value' ],
    [ 'users', 'NULL', 'consume_quota', '55000', 'a row that was read or written is missing' ])
{
    my ($table, $column, $call, @said) = @$answer;
    is($node->safe_psql('origin', "SELECT state, message FROM walk.missed WHERE relation = '$table' AND attribute IS NOT DISTINCT FROM $column AND call = '$call'"), join('|', @said), "$call without it: $said[0]");
}
note $node->safe_psql('origin', q{SELECT state, count(*), min(message) FROM walk.missed GROUP BY 1 ORDER BY 1});

# Jobs: each table is altered in turn, a column at a time, and every job is run. A run that fails says so in job_runs.
my @jobs = split /\n/, $node->safe_psql('origin', 'SELECT name FROM claude_gpt_data.jobs ORDER BY name');
my %altered_for_jobs = ('users.monthly_reset_date' => 'timestamp', 'users.monthly_cost' => 'double precision', 'usage_reservations.expires_at' => 'timestamp', 'usage_reservations.token_count' => 'shapes.pair',
    'user_sessions.expires_at' => 'text', 'user_sessions.is_active' => 'bigint', 'idempotency_keys.expires_at' => 'date', 'system_configs.config_value' => 'json', 'system_configs.config_key' => 'bigint',
    'usage_records.quantity' => 'jsonb', 'usage_balances.cost' => 'text', 'messages.created_at' => 'date', 'audit_logs.id' => 'bigint', 'job_runs.started_at' => 'timestamp', 'job_runs.row_count' => 'text',
    'jobs.run_every' => 'bigint', 'jobs.name' => 'bigint', 'jobs.engine' => 'shapes.color', 'jobs.next_run_at' => 'date');
for my $name (sort keys %altered_for_jobs)
{
    my ($table, $column) = split /\./, $name;
    $node->safe_psql('postgres', $_) for 'DROP DATABASE IF EXISTS altered', 'CREATE DATABASE altered TEMPLATE jobs';
    my ($value) = map { $_->{value} } grep { $_->{name} eq $altered_for_jobs{$name} } @ColumnTypes::types;
    like($node->safe_psql('altered', "SELECT walk.alter('$table', '$column', '$altered_for_jobs{$name}', " . literal($value) . ')'), qr/^(cast|replaced)/, "$name becomes $altered_for_jobs{$name}");
    my ($status, $out, $err) = $node->psql('altered', join('', map { "CALL claude_gpt.run_job('$_');\n\\echo :SQLSTATE $_ :LAST_ERROR_MESSAGE\n" } @jobs) . "CALL claude_gpt.run_due_jobs();\n\\echo :SQLSTATE due :LAST_ERROR_MESSAGE\n", on_error_stop => 0);
    my @ends = split /\n/, $out;
    is(scalar(@ends), @jobs + 1, "$name: every job was run");
    is(join("\n", grep { !/^00000 / && !/^42804 \w+ column "$column" of table "$table" must be of type/ } @ends), '', "$name: each succeeds, or says what is wrong");
    ok((grep { /^42804/ } @ends), "$name: some job says so");
    next if $table =~ /^job|^system_configs/;
    like($node->safe_psql('altered', q{SELECT DISTINCT sqlstate || ' ' || message FROM claude_gpt_data.job_runs WHERE outcome = 'failed'}), qr/^42804 column "$column" of table "$table" must be of type [^\n]+$/, "$name: and it is on record");
}
# Partitions, and a migration.
$node->safe_psql('postgres', $_) for 'DROP DATABASE altered', 'CREATE DATABASE altered TEMPLATE jobs';
$node->safe_psql('altered', q{SELECT walk.alter('messages', 'metadata', 'bytea', quote_literal('x'))});
for my $call (q{CALL claude_gpt.create_partitions('audit_logs', '2050-01-01Z', '2050-01-20Z', '1 week')}, q{CALL claude_gpt.drop_partitions_before('audit_logs', '2026-01-01Z')}, q{CALL claude_gpt.partition_table('messages', '1 month')})
{
    my ($status, $out, $err) = $node->psql('altered', $call, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    like($err, qr/ERROR:  42804: column "\w+" of table "messages" must be of type/, $call);
}
is($node->psql('altered', 'CALL claude_gpt.migrate()', extra_params => [ '-v', 'VERBOSITY=sqlstate' ]), 0, 'a migration looks at its own tables alone');

# A worker meets the same, and goes on.
$node->safe_psql('postgres', $_) for 'DROP DATABASE altered', 'CREATE DATABASE altered TEMPLATE jobs';
$node->safe_psql('altered', q{SELECT walk.alter('user_sessions', 'expires_at', 'bigint', '7')});
$node->safe_psql('altered', q{DELETE FROM claude_gpt_data.job_runs});
$node->safe_psql('altered', q{UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z'});
$node->safe_psql('postgres', $_) for 'ALTER SYSTEM SET claude_gpt.jobs = on', 'SELECT pg_reload_conf()';
ok($node->poll_query_until('altered', q{SELECT string_agg(DISTINCT job_name || ' ' || outcome || ' ' || sqlstate, ',') = 'session_cleanup failed 42804' AND count(*) FILTER (WHERE sqlstate IS NULL) = 0 FROM claude_gpt_data.job_runs WHERE outcome = 'failed'}), 'a worker records the job that failed');
ok($node->poll_query_until('altered', q{SELECT count(DISTINCT job_name) > 3 FROM claude_gpt_data.job_runs WHERE outcome = 'succeeded'}), 'and runs the others');
$node->safe_psql('postgres', $_) for 'ALTER SYSTEM RESET claude_gpt.jobs', 'SELECT pg_reload_conf()';

# An alteration that is under way when a call looks at the columns: the call waits for it, and then reads another row type.
for my $wait (
    [ 'users ALTER monthly_cost TYPE double precision', "SELECT claude_gpt.consume_quota('$user')", 'monthly_cost' ],
    [ 'users ALTER monthly_reset_date TYPE timestamp', "SELECT claude_gpt.consume_quota('$user')", 'monthly_reset_date' ],
    [ 'conversations ALTER summary TYPE bigint USING 7', "SELECT claude_gpt.list_conversations('$user')", 'summary' ])
{
    my ($alteration, $call, $column) = @$wait;
    $node->safe_psql('postgres', $_) for 'DROP DATABASE IF EXISTS waiting', 'CREATE DATABASE waiting TEMPLATE jobs';
    my ($altering, $calling) = map { PsqlSession->new($node, 'waiting') } 1 .. 2;
    $calling->ask("\\set VERBOSITY verbose\n$call");
    is($altering->ask("BEGIN; DROP VIEW claude_gpt_data.user_statistics, claude_gpt_data.plan_usage, claude_gpt_data.conversation_summary; ALTER TABLE claude_gpt_data.users ALTER monthly_reset_date DROP DEFAULT; ALTER TABLE claude_gpt_data.$alteration"), '', $alteration);
    $calling->send($call);
    ok($node->poll_query_until('waiting', q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted}), 'a call waits for it');
    $altering->ask('COMMIT');
    like($calling->answer, qr/ERROR:  42804: column "$column" of (the result|table "\w+") must be of type/, "and is refused");
    $_->close for $altering, $calling;
}

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $postmaster, 'the server was never restarted');
unlike(slurp_file($node->logfile), qr/terminated by signal|ERROR:  XX000|PANIC/, 'and no process of it ended');
$node->stop;
done_testing();
