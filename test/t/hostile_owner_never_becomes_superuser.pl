# A role that owns the tables puts hostile code on every one of them, and functions that look like ours beside
# ours. A superuser then calls every function. None of that code may run as a superuser, become one, or leave
# something in the session that later runs as one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('rights');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off");
$node->start;
my $superuser = $node->safe_psql('postgres', 'CREATE EXTENSION claude_gpt; CREATE ROLE mallory LOGIN; CREATE ROLE app LOGIN; CREATE ROLE heir LOGIN; SELECT claude_gpt.set_owner(\'mallory\'); SELECT current_user');
$superuser =~ s/\A\s+//;  # set_owner returned nothing

my @tables = split /\n/, $node->safe_psql('postgres', q{
    SELECT relname FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1});
is(scalar(grep { /^(users|conversations|messages|usage_records|subscription_history|system_configs|user_sessions|audit_logs|usage_reservations|idempotency_keys)$/ } @tables), 10, 'all ten tables are there');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
    WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND relkind IN ('r', 'p', 'v') AND rolname <> 'mallory'}), '0', 'set_owner hands over every table, partition and view');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_type t JOIN pg_roles r ON r.oid = t.typowner
    WHERE typnamespace = 'claude_gpt'::regnamespace AND typtype = 'd' AND rolname <> 'mallory'}), '0', 'and every domain');

# Mallory logs in: in a superuser's session SET ROLE mallory would leave him the way back.
sub as_mallory
{
    my ($statement, $database) = @_;
    return $node->safe_psql($database // 'postgres', $statement, extra_params => [ '-U', 'mallory' ]);
}

# What the hostile code saw is kept outside of the transaction's fate: in sequences.
my $evil = qq{
    CREATE SCHEMA evil AUTHORIZATION mallory;
    GRANT USAGE ON SCHEMA evil TO PUBLIC;
    SET ROLE mallory;  -- which runs nothing of his
    CREATE SEQUENCE evil.ran; CREATE SEQUENCE evil.escalated;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA evil TO PUBLIC;
    CREATE FUNCTION evil.look() RETURNS void LANGUAGE plpgsql AS \$\$
    BEGIN
        PERFORM nextval('evil.ran');
        IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN PERFORM nextval('evil.escalated'); END IF;
    END \$\$;
    CREATE FUNCTION evil.strike() RETURNS void LANGUAGE plpgsql AS \$\$
    DECLARE attempt text;
    BEGIN
        PERFORM evil.look();
        -- Must fail.
        FOREACH attempt IN ARRAY ARRAY['ALTER ROLE mallory SUPERUSER', 'RESET ROLE', 'SET ROLE "$superuser"', 'SET ROLE NONE', 'RESET SESSION AUTHORIZATION', 'SET LOCAL ROLE "$superuser"',
                                       'SET SESSION AUTHORIZATION DEFAULT', 'SET SESSION AUTHORIZATION "$superuser"', 'CREATE ROLE eve SUPERUSER', 'COPY (SELECT 1) TO PROGRAM ''true''',
                                       'SET session_replication_role = replica', 'SET claude_gpt.fixed_time = ''2001-01-01T00:00:00Z''', 'UPDATE pg_authid SET rolsuper = true'] LOOP
            BEGIN EXECUTE attempt; PERFORM nextval('evil.escalated'); EXCEPTION WHEN OTHERS THEN NULL; END;
            PERFORM evil.look();
        END LOOP;
        -- May succeed, if it leaves nothing that the superuser steps on.
        FOREACH attempt IN ARRAY ARRAY['DECLARE evil_cursor CURSOR WITH HOLD FOR SELECT evil.look()', 'CREATE TEMP TABLE IF NOT EXISTS users (id integer)', 'PREPARE evil_statement AS SELECT 1',
                                       'LISTEN evil', 'SET search_path = evil, pg_catalog'] LOOP
            BEGIN EXECUTE attempt; EXCEPTION WHEN OTHERS THEN NULL; END;
        END LOOP;
    END \$\$;
    CREATE FUNCTION evil.row_trigger() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN PERFORM evil.strike(); RETURN COALESCE(NEW, OLD); END \$\$;
    CREATE FUNCTION evil.expression(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN PERFORM evil.strike(); RETURN \$1; END \$\$;
    CREATE FUNCTION evil.yes() RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN PERFORM evil.strike(); RETURN true; END \$\$;
    RESET ROLE;
};
$node->safe_psql('postgres', $evil);
my $direct = PsqlSession->new($node, 'postgres', '-U', 'mallory');
$direct->ask('SELECT evil.strike()');
is($direct->ask('SELECT (SELECT count(*) FROM pg_cursors WHERE is_holdable), (SELECT count(*) FROM pg_prepared_statements), current_setting(\'search_path\')'), '1|1|evil, pg_catalog', 'the attempts on the session are real');
$direct->close;

my %column = (users => 'full_name', messages => 'content', system_configs => 'description', conversations => 'title', usage_records => 'model_used',
    subscription_history => 'subscription_tier', user_sessions => 'device_name', audit_logs => 'action', application_grants => 'level', claude_gpt_migrations => 'name', usage_balances => 'usage_type',
    usage_reservations => 'status', idempotency_keys => 'idempotency_key', jobs => 'engine', job_runs => 'message');
is(join(' ', grep { !$column{$_} } @tables), '', 'an index expression for each table');

sub arm
{
    my ($kind, @on) = @_;
    for my $table (@on)
    {
        my %weapons = (
            immediate => "CREATE TRIGGER a_evil BEFORE INSERT OR UPDATE OR DELETE ON claude_gpt_data.$table FOR EACH ROW EXECUTE FUNCTION evil.row_trigger();
                CREATE TRIGGER z_evil AFTER INSERT OR UPDATE OR DELETE ON claude_gpt_data.$table FOR EACH STATEMENT EXECUTE FUNCTION evil.row_trigger();
                ALTER TABLE claude_gpt_data.$table ENABLE ROW LEVEL SECURITY; ALTER TABLE claude_gpt_data.$table FORCE ROW LEVEL SECURITY;
                CREATE POLICY evil ON claude_gpt_data.$table USING (evil.yes()) WITH CHECK (evil.yes());
                ALTER TABLE claude_gpt_data.$table ADD COLUMN evil_default boolean DEFAULT evil.yes(), ADD COLUMN evil_generated text GENERATED ALWAYS AS (evil.expression($column{$table}::text)) STORED;
                ALTER TABLE claude_gpt_data.$table ADD CONSTRAINT evil_check CHECK (evil.yes()) NOT VALID;
                CREATE INDEX evil_$table ON claude_gpt_data.$table (evil.expression($column{$table}::text))",
            deferred => "CREATE CONSTRAINT TRIGGER y_evil AFTER INSERT OR UPDATE OR DELETE ON claude_gpt_data.$table
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil.row_trigger()",
            rules => join(';', map { "CREATE RULE evil_\L$_\E AS ON $_ TO claude_gpt_data.$table DO ALSO SELECT evil.strike()" } qw(INSERT UPDATE DELETE)));
        as_mallory($weapons{$kind});
    }
}

sub disarm
{
    my ($kind, @on) = @_;
    for my $table (@on)
    {
        my %weapons = (
            immediate => "DROP TRIGGER a_evil ON claude_gpt_data.$table; DROP TRIGGER z_evil ON claude_gpt_data.$table; DROP POLICY evil ON claude_gpt_data.$table; ALTER TABLE claude_gpt_data.$table NO FORCE ROW LEVEL SECURITY;
                ALTER TABLE claude_gpt_data.$table DROP COLUMN evil_default, DROP COLUMN evil_generated, DROP CONSTRAINT evil_check; DROP INDEX claude_gpt_data.evil_$table",
            deferred => "DROP TRIGGER y_evil ON claude_gpt_data.$table",
            rules => join(';', map { "DROP RULE evil_\L$_\E ON claude_gpt_data.$table" } qw(INSERT UPDATE DELETE)));
        $node->safe_psql('postgres', $weapons{$kind});
    }
}

my ($metered, $question, $reply, $reservation, $due, $turn) = map { "00000000-0000-4000-8000-0000000000$_" } qw(02 31 32 41 42 43);
my $chat = '00000000-0000-4000-8000-000000000020';
my ($user, $conversation) = ('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-00000000000a');
as_mallory(qq{
    INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x');
    INSERT INTO claude_gpt_data.conversations (id, user_id) VALUES ('$conversation', '$user');
    INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content) VALUES ('$conversation', '$user', 'user', 'x');
    INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) SELECT '$user', 't' || n, now() - interval '1 day' FROM generate_series(1, 99) n;
    -- Another user meters and chats: a reservation, one that is due, a turn, and a key that is known.
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": 1000000, "tokensPerMonth": 1000000, "costPerMonth": 1000000}, "base": {"messagesPerMonth": 100}}' WHERE config_key = 'subscription_plans';
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": 1000000, "base": 1000000}' WHERE config_key = 'rate_limits';
    UPDATE claude_gpt_data.system_configs SET config_value = '{"m": {"prompt": 10, "completion": 30}}' WHERE config_key = 'model_prices';
    UPDATE claude_gpt_data.system_configs SET config_value = '{"audit_logs": "30 days", "usage_records": "500 days"}' WHERE config_key = 'retention';
    INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$metered', 'b\@x', 'x');
    INSERT INTO claude_gpt_data.conversations (id, user_id) SELECT ('00000000-0000-4000-8000-0000000000' || n)::uuid, '$metered' FROM generate_series(20, 29) n;
    INSERT INTO claude_gpt_data.messages (id, conversation_id, user_id, role, content, status, parent_message_id) VALUES
        ('$question', '$chat', '$metered', 'user', 'q', 'sent', NULL), ('$reply', '$chat', '$metered', 'assistant', '', 'sending', '$question');
    INSERT INTO claude_gpt_data.usage_reservations (id, user_id, message_count, token_count, model_used, expires_at, conversation_id, user_message_id, assistant_message_id) VALUES
        ('$reservation', '$metered', 1, 5, 'm', 'infinity', NULL, NULL, NULL), ('$due', '$metered', 1, 5, 'm', '2020-01-01Z', NULL, NULL, NULL), ('$turn', '$metered', 1, 5, 'm', 'infinity', '$chat', '$question', '$reply')});
$node->safe_psql('postgres', "SELECT claude_gpt.grant_application_access('app'), claude_gpt.consume_quota('$metered', p_idempotency_key => 'known')");

# What the calls below find open, one of it due; done by him who may run his own code.
sub refresh
{
    as_mallory("UPDATE claude_gpt_data.usage_reservations SET status = 'open', closed_at = NULL WHERE id IN ('$reservation', '$due', '$turn');
        DELETE FROM claude_gpt_data.usage_reservations WHERE id NOT IN ('$reservation', '$due', '$turn');
        UPDATE claude_gpt_data.messages SET status = 'sending' WHERE id = '$reply';
        UPDATE claude_gpt_data.users SET held_message_count = 3, held_token_count = 15, held_cost = 0, next_hold_expiry = '2020-01-01Z' WHERE id = '$metered'");
    return;
}

# And what the jobs find to do.
my @jobs = split /\n/, $node->safe_psql('postgres', 'SELECT name FROM claude_gpt_data.jobs ORDER BY name');
sub make_work
{
    refresh();
    as_mallory("UPDATE claude_gpt_data.usage_reservations SET expires_at = now() - interval '1 minute' WHERE id = '$due';
        UPDATE claude_gpt_data.users SET monthly_message_count = 1, monthly_reset_date = '2020-01-01' WHERE id = '$user';
        INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ('$user', gen_random_uuid()::text, now() - interval '1 day');
        INSERT INTO claude_gpt_data.idempotency_keys (user_id, idempotency_key, fingerprint, created_at, expires_at) VALUES ('$metered', gen_random_uuid()::text, '', '2020-01-01Z', '2020-01-01Z');
        INSERT INTO claude_gpt_data.audit_logs (action, resource_type, created_at) VALUES ('login', 'user', now() - interval '60 days');
        CALL claude_gpt.create_partitions('usage_records', '2020-01-01Z', '2020-02-01Z', '1 month');
        INSERT INTO claude_gpt_data.usage_records (user_id, usage_type, quantity, created_at) VALUES ('$user', 'message', 0, now() - interval '800 days'), ('$user', 'message', 0, '2020-01-10Z');
        INSERT INTO claude_gpt_data.job_runs (id, job_name, engine, started_at, finished_at, outcome) VALUES (gen_random_uuid(), 'analyze', 'call', '2020-01-01Z', '2020-01-01Z', 'succeeded');
        DO \$\$ DECLARE p text; BEGIN FOR p IN SELECT partition_name FROM claude_gpt.list_partitions('audit_logs') WHERE from_at > now() LOOP EXECUTE 'DROP TABLE claude_gpt_partitions.' || quote_ident(p); END LOOP; END \$\$");
    return;
}

# Types are written out: functions of the same name for other types are mallory's own traps, tried further below.
my @calls = (
    "SELECT claude_gpt.update_user_usage('$user'::uuid, 1, 5, 0.1)",
    "SELECT claude_gpt.check_subscription_limit('$user'::uuid, 'token'::varchar)",
    # The first finds a hold that is due, the second none, the third a key.
    "SELECT claude_gpt.consume_quota('$metered'::uuid, 'message'::text, 1::bigint, 'm'::text, 'k'::text)",
    "SELECT claude_gpt.consume_quota('$metered'::uuid, 'message'::text, 1::bigint, 'm'::text, NULL::text), claude_gpt.consume_quota('$metered'::uuid, 'token'::text, 1::bigint, NULL::text, NULL::text)",
    "SELECT claude_gpt.consume_quota('$metered'::uuid, 'message'::text, 1::bigint, NULL::text, 'known'::text)",
    "SELECT claude_gpt.quota_status('$metered'::uuid)",
    "SELECT claude_gpt.raise_if_denied(d) FROM claude_gpt.consume_quota('$metered'::uuid, 'api_call'::text, 1::bigint, NULL::text, NULL::text) AS d",
    "SELECT claude_gpt.reserve_usage('$metered'::uuid, 5::bigint, 1, 'm'::text, '1 hour'::interval, 'r'::text), claude_gpt.reserve_usage('$metered'::uuid, 5::bigint, 1, 'm'::text, '1 hour'::interval, NULL::text)",
    "SELECT claude_gpt.extend_usage('$metered'::uuid, '$reservation'::uuid, '1 hour'::interval)",
    "SELECT claude_gpt.settle_usage('$metered'::uuid, '$reservation'::uuid, 1, 2, NULL::numeric, '$question'::uuid, 0, 0), claude_gpt.settle_usage('$metered'::uuid, '$due'::uuid, 1, 2, 0.5::numeric, NULL::uuid, 0, 0)",
    "SELECT claude_gpt.release_usage('$metered'::uuid, '$reservation'::uuid)",
    "SELECT claude_gpt.record_usage('$metered'::uuid, 'token'::text, 5::bigint, 'm'::text, 0.1::numeric, '$question'::uuid, '$chat'::uuid, '{}'::jsonb, 'u'::text)",
    "SELECT claude_gpt.check_rate_limit('$metered'::uuid, 1)",
    "SELECT claude_gpt.rate_limit('k'::text, 5, '1 minute'::interval, 1)",
    "SELECT claude_gpt.reset_rate_limit('k'::text)",
    "SELECT claude_gpt.reset_user_rate_limit('$metered'::uuid)",
    'SELECT claude_gpt.rate_limit_status()',
    'SELECT claude_gpt.rate_limit_shares()',
    'SELECT claude_gpt.reset_rate_limits()',
    "SELECT claude_gpt.begin_turn('$metered'::uuid, NULL::uuid, 'q'::text, 'm'::text, 5, NULL::uuid, NULL::uuid, 'text'::text, '{}'::jsonb, '1 hour'::interval, NULL::text)",
    "SELECT claude_gpt.begin_turn('$metered'::uuid, '$chat'::uuid, NULL::text, 'm'::text, 5, '$question'::uuid, NULL::uuid, 'text'::text, NULL::jsonb, '1 hour'::interval, 't'::text)",
    "SELECT claude_gpt.save_partial('$metered'::uuid, '$turn'::uuid, 'part'::text)",
    "SELECT claude_gpt.complete_turn('$metered'::uuid, '$turn'::uuid, 'whole'::text, 1, 2, NULL::numeric, '{}'::jsonb, 0, 0)",
    "SELECT claude_gpt.fail_turn('$metered'::uuid, '$turn'::uuid, 'cut off'::text, 1, 2, NULL::text, NULL::numeric, 0, 0)",
    "SELECT claude_gpt.list_conversations('$metered'::uuid, NULL::boolean, '$chat'::uuid, 5)",
    "SELECT claude_gpt.conversation_messages('$metered'::uuid, '$chat'::uuid, '$reply'::uuid, 5)",
    "SELECT claude_gpt.conversation_path('$metered'::uuid, '$reply'::uuid, 5)",
    "SELECT claude_gpt.delete_conversation('$metered'::uuid, (SELECT id FROM claude_gpt_data.conversations WHERE user_id = '$metered' AND id NOT IN ('$chat') ORDER BY id LIMIT 1))",
    'SELECT claude_gpt.prove_books(NULL::uuid)',
    "SELECT claude_gpt.prove_books('$metered'::uuid)",
    'SELECT claude_gpt.repair_books(NULL::uuid)',
    "SELECT claude_gpt_internal.prove_recent_books(5, '1 second'::interval)",
    'SELECT claude_gpt.health()',
    'SELECT claude_gpt.metrics(NULL::text)',
    'SELECT claude_gpt_internal.counters(), claude_gpt_internal.extension_state(), claude_gpt_internal.statement_statistics()',
    # What the first two call, with nothing of the owner to read.
    'SELECT claude_gpt_internal.check_health(false), claude_gpt_internal.list_metrics(NULL::text, false)',
    'SELECT claude_gpt.reset_metrics()',
    'SELECT claude_gpt.usage_report_html(), claude_gpt_internal.current_billing_day()',
    "SELECT claude_gpt.usage_report_html('2026-01-01'::date, '2026-01-02'::date)",
    'SELECT claude_gpt_internal.require_trusted_tables(), claude_gpt_internal.require_column_types()',
    "SELECT claude_gpt_internal.html_text('<'::text), claude_gpt_internal.report_number(5::numeric, 'count'::text), claude_gpt_internal.report_chart('x'::text, '{2026-01-01}'::date[], '{a}'::text[], '{1}'::numeric[], 'count'::text)",
    "SELECT claude_gpt.effective_tier('$user'::uuid)",
    "SELECT claude_gpt.set_subscription('$user'::uuid, 'base'::text)",
    'SELECT claude_gpt.current_billing_period()',
    'SELECT claude_gpt.cleanup_expired_sessions()',
    'SELECT claude_gpt.uuid_v7()',
    'SELECT claude_gpt.uuid_v7_floor(now())',
    "SELECT claude_gpt.grant_application_access('app'::regrole, 'read'::text)",
    "SELECT claude_gpt.revoke_application_access('app'::regrole)",
    "SELECT claude_gpt_internal.apply_access('app'::text, 'read'::text)",
    "SELECT claude_gpt_internal.record_access('app'::text, 'read'::text)",
    "SELECT claude_gpt_internal.withdraw_access('app'::text)",
    'CALL claude_gpt.migrate()',
    "CALL claude_gpt.adopt_schema('public'::name)",
    "SELECT claude_gpt.set_owner('heir'::regrole)",
    'SELECT claude_gpt.detach()',
    'SELECT claude_gpt_internal.job_looks()',
    (map { "CALL claude_gpt.run_job('$_'::text, 'call'::text)" } @jobs),
    'CALL claude_gpt.run_due_jobs()',
    "CALL claude_gpt.create_partitions('audit_logs'::text, '2050-01-01Z'::timestamptz, '2050-01-20Z'::timestamptz, '1 week'::text)",
    "CALL claude_gpt.drop_partitions_before('audit_logs'::text, '2051-01-01Z'::timestamptz)",
    "CALL claude_gpt.drop_partitions_before('usage_records'::text, (now() - interval '1 year')::timestamptz)",
    # The steps of these procedures, which are for the owner of the tables.
    'SELECT claude_gpt.list_partitions(NULL::text)',
    "SELECT claude_gpt_internal.partition_period('1 week'::text, now()), claude_gpt_internal.partition_name('audit_logs'::name, '1 week'::text, now(), now()), claude_gpt_internal.partition_moment('2026-01-01'::text, 'timestamptz'::regtype, false), claude_gpt_internal.partition_bound(now(), 'timestamptz'::regtype), claude_gpt_internal.check_partition_range(now(), now(), '1 week'::text)",
    "SELECT claude_gpt_internal.partitioned_table('audit_logs'::text), claude_gpt_internal.partitions_of('claude_gpt_data.audit_logs'::regclass), claude_gpt_internal.copied_columns('claude_gpt_data.users'::regclass), claude_gpt_internal.sibling_references('claude_gpt_data.users'::regclass)",
    "SELECT claude_gpt_internal.partitioning_obstacles('claude_gpt_data.messages'::regclass), claude_gpt_internal.table_grants('claude_gpt_data.messages'::regclass), claude_gpt_internal.table_properties('claude_gpt_data.messages'::regclass), claude_gpt_internal.unfinished_references()",
    "SELECT claude_gpt_internal.missing_partitions('audit_logs'::text, now(), '2050-01-01Z'::timestamptz, '1 month'::text), claude_gpt_internal.has_partition_work('audit_logs'::text, now(), '2050-01-01Z'::timestamptz, '1 month'::text)",
    "SELECT claude_gpt_internal.require_owner('claude_gpt_data.users'::regclass)",
    "SELECT claude_gpt_internal.create_next_partition('audit_logs'::text, '2060-01-01Z'::timestamptz, '2060-01-20Z'::timestamptz, '1 week'::text)",
    "SELECT claude_gpt_internal.drop_next_partition_before('audit_logs'::text, '2051-01-01Z'::timestamptz)",
    "SELECT claude_gpt_internal.delete_rows_before('audit_logs'::text, '2051-01-01Z'::timestamptz, NULL::regclass, 0::bigint, 500)",
    "SELECT claude_gpt_internal.range_to_swap('audit_logs'::text, now(), '1 week'::text)",
    "SELECT claude_gpt_internal.swap_default_partition('audit_logs'::text, '2060-01-01Z'::timestamptz, '2060-01-20Z'::timestamptz, 'swapped'::name)",
    "SELECT claude_gpt_internal.attach_partition('audit_logs'::text, '2060-01-01Z'::timestamptz, '2060-01-20Z'::timestamptz, 'attached'::name)",
    "SELECT claude_gpt_internal.build_partition('claude_gpt_data.audit_logs'::regclass, 'claude_gpt_data.audit_logs'::regclass, 'built'::name)",
    "SELECT claude_gpt_internal.lock_referenced_tables('claude_gpt_data.audit_logs'::regclass)",
    "SELECT claude_gpt_internal.drop_references('claude_gpt_data.messages'::regclass, true)",
    "SELECT claude_gpt_internal.add_references('[]'::jsonb)",
    'SELECT claude_gpt_internal.finish_references()',
    "SELECT claude_gpt_internal.revoke_table_grants('claude_gpt_data.messages'::regclass, true)",
    "SELECT claude_gpt_internal.convert_to_partitions('claude_gpt_data.messages'::regclass)",
    "SELECT claude_gpt_internal.partition_table_step('messages'::text, '1 month'::text, now())",
    "SELECT claude_gpt_internal.cron_schedule('1 hour'::interval, 5), claude_gpt_internal.cron_entry_name('analyze'::text, 'postgres'::name)",
    "SELECT claude_gpt_internal.require_pg_cron('nothing'::text)",
    'SELECT claude_gpt.schedule_with_pg_cron(NULL::name, false)',
    'SELECT claude_gpt.unschedule_pg_cron(NULL::name)',
);
# Tried in a database of its own, from which nothing leads back.
my @partition_table = ("CALL claude_gpt.partition_table('messages'::text, '1 month'::text)");
for my $function (split /\n/, $node->safe_psql('postgres', q{
    SELECT DISTINCT proname FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    WHERE pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND prorettype <> 'trigger'::regtype ORDER BY 1}))
{
    ok((grep { /claude_gpt\.$function\(/ } @calls, @partition_table), "$function is called below") or diag('a new function: add it to @calls');
}

my $session_state = q{SELECT current_setting('search_path'), (SELECT count(*) FROM pg_cursors), (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_listening_channels()),
    (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()), current_user = session_user};

# Runs a statement as a superuser, and looks at who the hostile code was.
sub is_harmless
{
    my ($how, $statement, $database) = @_;
    $database //= 'postgres';
    (my $name = "$how: $statement") =~ s/'[0-9a-f-]{36}'(::uuid)?/.../g;
    $node->safe_psql($database, "SELECT setval('evil.escalated', 1, false), setval('evil.ran', 1, false)");
    my $session = PsqlSession->new($node, $database);
    my $before = $session->ask($session_state);
    my $said = $session->ask($statement =~ /^CALL claude_gpt\.(?!migrate|adopt)/ ? $statement : "BEGIN; $statement; COMMIT;");
    note("$name: $said") if $said =~ /ERROR/;
    is($session->ask("SELECT is_called FROM evil.escalated"), 'f', "hostile code gains nothing from a superuser, $name");
    is($session->ask($session_state), $before, "nor leaves anything in the session, $name");
    $session->close;
    is($node->safe_psql('postgres', "SELECT count(*) FROM pg_roles WHERE rolname IN ('mallory', 'eve') AND rolsuper"), '0', "and no one became one, $name");
    $node->safe_psql('postgres', 'ALTER ROLE mallory NOSUPERUSER; DROP ROLE IF EXISTS eve');
    return $said;
}
sub hostile_code_ran { my ($database) = @_; return $node->safe_psql($database // 'postgres', 'SELECT is_called FROM evil.ran') }

# Each in a transaction that is rolled back, since some calls disarm the tables.
sub attack
{
    my ($how) = @_;
    for my $call (@calls)
    {
        refresh() if $call =~ /'$metered'|'$turn'|'$reservation'/;
        make_work() if $call =~ /run_|drop_partitions/;
        is_harmless($how, $call =~ /set_owner|detach|revoke|next_|_step|swap_|attach_|convert_|delete_rows|drop_ref/ ? "$call; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK" : $call);
    }
}

# The workers log in as superusers.
sub attack_workers
{
    my ($how) = @_;
    my $logged = -s $node->logfile;
    make_work();
    as_mallory("UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z', failures_in_a_row = 0");
    $node->safe_psql('postgres', "SELECT setval('evil.escalated', 1, false), setval('evil.ran', 1, false)");
    $node->safe_psql('postgres', $_) for 'ALTER SYSTEM SET claude_gpt.jobs = on', 'SELECT pg_reload_conf()';
    if ($how =~ /deferred/)
    {
        $node->wait_for_log(qr/LOG:  job "$_" failed: cannot fire deferred trigger within security-restricted operation/, $logged) for grep { $_ ne 'analyze' } @jobs;
        pass("workers refuse every job, $how");
    }
    else
    {
        ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM claude_gpt_data.jobs WHERE next_run_at < '2021-01-01Z' AND name <> 'analyze'"), "workers run every job, $how");
    }
    is($node->safe_psql('postgres', 'SELECT e.is_called, r.is_called FROM evil.escalated AS e, evil.ran AS r'), $how =~ /deferred|look/ ? 'f|f' : 'f|t', "hostile code gains nothing from a worker, $how");
    is($node->safe_psql('postgres', "SELECT count(*) FROM pg_roles WHERE rolname IN ('mallory', 'eve') AND rolsuper"), '0', 'and no one became a superuser');
    $node->safe_psql('postgres', $_) for 'ALTER SYSTEM RESET claude_gpt.jobs', 'SELECT pg_reload_conf()', 'ALTER ROLE mallory NOSUPERUSER', 'DROP ROLE IF EXISTS eve';
    return;
}

arm('immediate', @tables);
attack_workers('triggers, policies, defaults, checks and expressions');
attack('triggers, policies, defaults, checks and expressions');
is_harmless('triggers, policies, defaults, checks and expressions', "SELECT claude_gpt.update_user_usage('$user'::uuid, 1, 5, 0.1)");
is(hostile_code_ran(), 't', 'the hostile code did run');
is($node->safe_psql('postgres', "SELECT total_message_count FROM claude_gpt_data.users WHERE id = '$user'"), '2', 'and the calls did their work');
as_mallory('DELETE FROM claude_gpt_data.claude_gpt_migrations WHERE id = 9; DROP TABLE claude_gpt_data.application_grants');
is_harmless('a migration that has work to do', 'CALL claude_gpt.migrate()');
is(hostile_code_ran(), 't', 'the hostile code did run');
arm('immediate', 'application_grants');
# In the shoes of someone else a superuser is still one.
for my $shoes ('SET ROLE app', 'SET SESSION AUTHORIZATION app', 'SET LOCAL ROLE app')
{
    my $session = PsqlSession->new($node);
    $node->safe_psql('postgres', "SELECT claude_gpt.grant_application_access('app'); SELECT setval('evil.escalated', 1, false), setval('evil.ran', 1, false)");
    $session->ask("BEGIN; $shoes; SELECT claude_gpt.update_user_usage('$user'::uuid, 1, 5, 0.1), claude_gpt.cleanup_expired_sessions(); COMMIT; RESET ROLE; RESET SESSION AUTHORIZATION");
    is($session->ask('SELECT e.is_called, r.is_called FROM evil.escalated e, evil.ran r'), 'f|t', "hostile code ran and gained nothing after $shoes");
    $session->close;
}
disarm('immediate', @tables);

# The triggers of messages write conversations; the superuser writes messages, on which there is no hostile code.
arm('immediate', 'conversations');
is_harmless('through the counters', "INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content) VALUES ('$conversation', '$user', 'user', 'x')");
is(hostile_code_ran(), 't', 'the hostile code did run');
is_harmless('through the counters', "UPDATE claude_gpt_data.messages SET total_tokens = 5");
is_harmless('through the counters', "DELETE FROM claude_gpt_data.messages WHERE user_id = '$user'");
disarm('immediate', 'conversations');

# The views are his too.
as_mallory("ALTER VIEW claude_gpt_data.$_ RENAME TO kept_$_; CREATE VIEW claude_gpt_data.$_ AS SELECT k.* FROM claude_gpt_data.kept_$_ AS k WHERE evil.yes()") for qw(job_status table_sizes);
for my $call ('SELECT claude_gpt.health()', 'SELECT claude_gpt.metrics()', "SELECT claude_gpt.metrics('claude_gpt_table_partitions')")
{
    is_harmless('views', $call);
    is(hostile_code_ran(), 't', 'the hostile code did run');
}
as_mallory("DROP VIEW claude_gpt_data.$_; ALTER VIEW claude_gpt_data.kept_$_ RENAME TO $_") for qw(job_status table_sizes);

arm('deferred', @tables);
attack_workers('deferred constraint triggers');
attack('deferred constraint triggers');
is_harmless('deferred, through the counters', "ALTER TABLE claude_gpt_data.messages DISABLE TRIGGER y_evil; INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content) VALUES ('$conversation', '$user', 'user', 'x')");
disarm('deferred', @tables);

arm('rules', @tables);
attack('rules');
disarm('rules', @tables);

# Functions that look like ours, for types that fit the arguments of a careless call better.
as_mallory(q{
    CREATE FUNCTION claude_gpt_internal.apply_access(name, text) RETURNS void LANGUAGE sql AS 'SELECT evil.strike()';
    CREATE FUNCTION claude_gpt_internal.apply_access(name, name) RETURNS void LANGUAGE sql AS 'SELECT evil.strike()';
    CREATE FUNCTION claude_gpt_internal.record_access(name, text) RETURNS void LANGUAGE sql AS 'SELECT evil.strike()';
    CREATE FUNCTION claude_gpt_internal.record_access(name, name) RETURNS void LANGUAGE sql AS 'SELECT evil.strike()';
    CREATE FUNCTION claude_gpt_internal.withdraw_access(name) RETURNS void LANGUAGE sql AS 'SELECT evil.strike()';
    CREATE FUNCTION claude_gpt_internal.withdraw_access(varchar) RETURNS void LANGUAGE sql AS 'SELECT evil.strike()';
    CREATE FUNCTION claude_gpt.format(text, name) RETURNS text LANGUAGE sql AS $$SELECT evil.strike(); SELECT ''$$;
    CREATE FUNCTION claude_gpt.eq(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT evil.yes()';
    CREATE OPERATOR claude_gpt.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = claude_gpt.eq);
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA claude_gpt, claude_gpt_internal TO PUBLIC;
}) if $node->safe_psql('postgres', "SELECT has_schema_privilege('mallory', 'claude_gpt', 'CREATE')") eq 't';
attack('functions that look like ours');
attack_workers('functions that look like ours');
# A table of his becomes partitioned.
arm($_, @tables) for 'immediate', 'deferred';
$node->safe_psql('postgres', 'CREATE DATABASE partitioning TEMPLATE postgres');
disarm($_, @tables) for 'immediate', 'deferred';
as_mallory('ALTER TABLE claude_gpt_data.messages VALIDATE CONSTRAINT evil_check', 'partitioning');
is_harmless('a table to partition', $_, 'partitioning') for @partition_table;
is($node->safe_psql('partitioning', "SELECT relkind, relowner::regrole FROM pg_class WHERE oid = 'claude_gpt_data.messages'::regclass"), 'p|mallory', 'and the table is partitioned');
# A schema to adopt that was made by someone else.
$node->safe_psql('postgres', 'CREATE DATABASE adopting');
$node->safe_psql('adopting', "CREATE EXTENSION claude_gpt; $evil" . q{
    CREATE SCHEMA grown AUTHORIZATION mallory;
    SET ROLE mallory;
    CREATE DOMAIN evil.trap AS text CHECK (evil.yes());
    CREATE VIEW grown.users AS SELECT NULL::uuid AS id, 'a@x'::varchar(255) AS email, evil.expression('x')::varchar(255) AS password_hash;
    CREATE TABLE grown.system_configs (id uuid, config_key varchar(100), config_value jsonb, trap evil.trap);
    CREATE TABLE grown.conversations (id uuid, user_id uuid, trap evil.trap DEFAULT evil.expression('y'));
    CREATE TABLE grown.messages (id uuid, user_id uuid, conversation_id uuid, role varchar(20), content text);
    CREATE TABLE grown.usage_records (id uuid, user_id uuid, usage_type varchar(20));
    CREATE TABLE grown.subscription_history (id uuid, user_id uuid);
    CREATE TABLE grown.user_sessions (id uuid, user_id uuid, session_token varchar(255), expires_at timestamp);
    CREATE TABLE grown.audit_logs (id uuid, action varchar(100), resource_type varchar(50))});
is_harmless('a view to adopt', "CALL claude_gpt.adopt_schema('grown'::name)", 'adopting');
as_mallory('DROP VIEW grown.users; CREATE TABLE grown.users (id uuid, email varchar(255), password_hash varchar(255))', 'adopting');
is_harmless('a domain to adopt', "CALL claude_gpt.adopt_schema('grown'::name)", 'adopting');

$node->stop;
done_testing();
