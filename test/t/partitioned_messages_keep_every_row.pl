# A filled DEFAULT partition is swapped and messages are partitioned while clients write: at every moment every row
# is there, no row is refused, nothing is left after a crash, and the result can be dumped, restored and migrated.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run ();
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use SchemaPicture;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('partitions');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off\nrestart_after_crash = on");
$node->start;
my $dir = PostgreSQL::Test::Utils::tempdir;

sub ask { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql) }

sub poll
{
    my ($sql, $what) = @_;
    ok($node->poll_query_until('postgres', $sql), $what) or BAIL_OUT("waited in vain: $what");
    return;
}

# Clients that go on until they are told to stop. What they are refused, or miss, ends them with an error.
sub start_load
{
    my (%script) = @_;
    my @files;
    for my $name (sort keys %script)
    {
        my $file = "$dir/$name.sql";
        open my $out, '>', $file or die "$file: $!";
        print $out $script{$name};
        close $out;
        push @files, '-f', $file;
    }
    my %load = (err => '', out => '');
    unlink glob "$dir/log*";
    $load{run} = IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', 5, '-j', 2, '-T', 86400, '-l', "--log-prefix=$dir/log", @files, 'postgres' ],
        '>', \$load{out}, '2>', \$load{err});
    return \%load;
}

sub stop_load
{
    my ($load, $what) = @_;
    $load->{run}->pump_nb;
    my $lives = $load->{run}->pumpable;
    $load->{run}->signal('TERM') if $lives;
    $load->{run}->finish;
    ok($lives, "$what: clients go on to the end");
    is(join("\n", grep { /ERROR|abort|division/i } split /\n/, $load->{err}), '', "$what: none is refused or misses a row");
    return;
}

# A call that found no moment for its locks is made again, and goes on.
sub call
{
    my ($sql) = @_;
    my ($rc, $said) = (undef, '');
    wait_until(sub {
        ($rc, undef, my $err) = $node->psql('postgres', "CALL claude_gpt.$sql");
        $said .= $err;
        return $rc == 0 || $err !~ /lock timeout|deadlock/;
    });
    return ($rc, $said);
}

ask(q{CREATE EXTENSION claude_gpt;
    UPDATE claude_gpt_data.system_configs SET is_active = false WHERE config_key = 'rate_limits';
    INSERT INTO claude_gpt_data.users (id, email, password_hash) SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, n || '@x', 'x' FROM generate_series(1, 9) n;
    SELECT claude_gpt.set_subscription(id, 'pro') FROM claude_gpt_data.users;
    INSERT INTO claude_gpt_data.conversations (id, user_id) SELECT ('00000000-0000-4000-8000-00000000001' || n)::uuid, ('00000000-0000-4000-8000-00000000000' || n)::uuid FROM generate_series(1, 9) n});
my ($user, $conversation) = ("('00000000-0000-4000-8000-00000000000' || :n)::uuid", "('00000000-0000-4000-8000-00000000001' || :n)::uuid");

# The DEFAULT partitions have rows of before and of now, since nobody made partitions.
ask(q{DO $$
    DECLARE p record;
    BEGIN
        FOR p IN SELECT partition_name FROM claude_gpt.list_partitions() WHERE NOT is_default LOOP EXECUTE format('DROP TABLE claude_gpt_partitions.%I', p.partition_name); END LOOP;
    END $$;
    INSERT INTO claude_gpt_data.audit_logs (user_id, action, resource_type, user_agent, created_at)
        SELECT '00000000-0000-4000-8000-000000000001', 'base', 'x', repeat('x', 500), now() - n * interval '1 minute' FROM generate_series(1, 40000) n;
    INSERT INTO claude_gpt_data.usage_records (user_id, usage_type, quantity, cost, metadata, created_at, billing_period)
        SELECT '00000000-0000-4000-8000-000000000001', 'token', 1, 0.5, jsonb_build_object('x', repeat('x', 500)), now() - n * interval '3 minutes', '2001-01-01' FROM generate_series(1, 40000) n;
    SELECT claude_gpt.repair_books()});
my $load = start_load(
    write => "\\set n random(1, 9)\nBEGIN;\nSELECT claude_gpt.update_user_usage($user, 1, 5, 0.125);\nINSERT INTO claude_gpt_data.audit_logs (user_id, action, resource_type) VALUES ($user, 'load', 'x');\nCOMMIT;\n",
    other => "\\set n random(1, 9)\nBEGIN;\nINSERT INTO claude_gpt_data.audit_logs (user_id, action, resource_type) VALUES ($user, 'load', 'x');\nUPDATE claude_gpt_data.users SET full_name = 'x' WHERE id = $user;\nCOMMIT;\n",
    read => "SELECT 1 / (count(*) = 40000)::integer FROM claude_gpt_data.audit_logs WHERE action = 'base';\nSELECT 1 / (count(*) = 40000)::integer FROM claude_gpt_data.usage_records WHERE billing_period = '2001-01-01';\n");
poll(q{SELECT count(*) > 100 FROM claude_gpt_data.audit_logs WHERE action = 'load'}, 'clients write to the DEFAULT partition');
my ($out, $rc, $err);
($rc, $err) = call(q{create_partitions('audit_logs', now() - interval '20 days', now() + interval '20 days')});
is($rc, 0, 'create_partitions beside them') or diag $err;
like($err, qr/began to turn the default partition into .*looked through the default partition .*turned the default partition into/s, 'swaps it after a proof');
($rc, $err) = call(q{create_partitions('usage_records', now() - interval '20 days', now() + interval '20 days')});
is($rc, 0, 'and of usage_records') or diag $err;
my $seen = ask(q{SELECT count(*) FROM claude_gpt_data.audit_logs WHERE action = 'load'});
poll(qq{SELECT count(*) > $seen + 100 FROM claude_gpt_data.audit_logs WHERE action = 'load'}, 'they still write');
stop_load($load, 'swap');
is(ask(q{SELECT (SELECT count(*) FROM ONLY claude_gpt_partitions.audit_logs_default), (SELECT count(*) FROM ONLY claude_gpt_partitions.usage_records_default)}), '0|0', 'nothing is left in the DEFAULT partitions');
is(ask('SELECT * FROM claude_gpt.prove_books()'), '', 'the books are true');

# Dropping a quarter of the ledger is never seen in between.
ask(q{INSERT INTO claude_gpt_data.usage_records (user_id, usage_type, quantity, cost, created_at, billing_period)
        SELECT ('00000000-0000-4000-8000-00000000000' || 1 + n % 9)::uuid, 'token', 1, 0.5, '2001-02-01Z', '2001-02-01' FROM generate_series(1, 60000) n;
    CALL claude_gpt.create_partitions('usage_records', '2001-01-01Z', '2001-03-31Z');
    SELECT claude_gpt.repair_books()});
$load = start_load(
    write => "\\set n random(1, 9)\nSELECT claude_gpt.update_user_usage($user, 1, 5, 0.125);\n",
    cascade => "\\set n random(2, 9)\nBEGIN;\nWITH m AS (INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content) VALUES ($conversation, $user, 'user', 'gone') RETURNING id)\nSELECT claude_gpt.record_usage($user, 'api_call', p_message_id => id) FROM m;\nCOMMIT;\nDELETE FROM claude_gpt_data.messages WHERE content = 'gone' AND user_id = $user;\n",
    prove => "SELECT 1 / (count(*) = 0)::integer FROM claude_gpt.prove_books();\n");
poll(q{SELECT count(*) > 100 FROM claude_gpt_data.usage_records WHERE created_at > now() - interval '1 hour'}, 'clients meter');
($rc, $err) = call(q{drop_partitions_before('usage_records', '2002-01-01Z')});
is($rc, 0, 'drop_partitions_before beside them') or diag $err;
like($err, qr/dropped partition usage_records_2001q1/, 'drops the quarter');
stop_load($load, 'drop');
is(ask(q{SELECT sum(quantity) FROM claude_gpt_data.usage_balances WHERE billing_period = '2001-02-01'}), '60000', 'its sums are carried');

# A crash in a step and between steps.
ask(q{DO 'BEGIN WHILE claude_gpt_internal.drop_next_partition_before(''audit_logs'', now() + interval ''1 year'') IS NOT NULL LOOP END LOOP; END';
    INSERT INTO claude_gpt_data.audit_logs (action, resource_type, user_agent, created_at) SELECT 'base', 'x', repeat('x', 500), now() - n * interval '1 minute' FROM generate_series(1, 40000) n});
my $tables = ask(q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname ~ '^audit_logs'});
my $client = PsqlSession->new($node, 'postgres');
$client->ask(q{BEGIN; UPDATE claude_gpt_data.users SET full_name = 'held'});
my $caller = PsqlSession->new($node, 'postgres');
my $pid = $caller->ask('SELECT pg_backend_pid()');
$caller->send(q{CALL claude_gpt.create_partitions('audit_logs', now(), now() + interval '1 week')});
poll(qq{SELECT count(*) > 0 FROM pg_locks WHERE pid = $pid AND NOT granted AND relation = 'claude_gpt_data.users'::regclass}, 'a step waits for a client in the middle of its work');
is(ask(q{SELECT count(*) FROM claude_gpt_data.audit_logs WHERE action = 'base'}), '40000', 'readers do not wait');
my $before_the_kill = end_of_log($node);
kill 'KILL', $pid;
eval { $caller->answer };
eval { $client->close };
ok(wait_for_restart($node, $before_the_kill), 'the server comes back');
is(ask(q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname ~ '^audit_logs'}), $tables, 'nothing is left of a step that was killed');
for my $step (1 .. 5)
{
    my $done = ask(q{SELECT claude_gpt_internal.create_next_partition('audit_logs', now() - interval '2 days', now() + interval '1 week', '1 week')});
    $node->stop('immediate');
    $node->start;
    is(ask(q{SELECT count(*) FROM claude_gpt_data.audit_logs WHERE action = 'base'}), '40000', "a crash after \"$done\" loses no row");
}
# Not after midnight on a Sunday only.
is($node->psql('postgres', q{CALL claude_gpt.create_partitions('audit_logs', now() - interval '2 days', now() + interval '1 week')}), 0, 'and the same call ends the work');
is(ask(q{SELECT count(*) FROM ONLY claude_gpt_partitions.audit_logs_default}) . ask(q{SELECT count(*) FROM pg_constraint WHERE conname LIKE 'claude\_gpt\_%\_partition'}), '00', 'with nothing left');

# A statement that has looked for partitions before the new one was there would be refused by the DEFAULT partition.
ask(q{CALL claude_gpt.create_partitions('audit_logs', '1990-01-02Z', '1990-01-03Z')});
my $holder = PsqlSession->new($node, 'postgres');
$holder->ask('SELECT pg_advisory_lock(7)');
my $writer = PsqlSession->new($node, 'postgres');
$writer->send(q{INSERT INTO claude_gpt_data.audit_logs (action, resource_type, created_at)
    SELECT 'flight', 'x', m FROM (VALUES (1, '1990-01-02Z'::timestamptz), (2, '1991-06-05Z')) AS v (n, m) WHERE n = 1 OR pg_advisory_lock(7) IS NOT NULL});
poll(q{SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}, 'a statement is in the middle of its rows');
($rc, $out, $err) = $node->psql('postgres', q{SET lock_timeout = '100ms'; SELECT claude_gpt_internal.create_next_partition('audit_logs', '1991-06-05Z', '1991-06-06Z', '1 week')}, on_error_stop => 1);
like($err, qr/lock timeout/, 'the partition that its next row belongs to has to wait');
$holder->close;
is($writer->answer, '', 'the row is not refused');
$writer->close;

# Snapshots that are older than the lock.
($rc, $out, $err) = $node->psql('postgres', q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT claude_gpt_internal.drop_next_partition_before('usage_records', now())}, on_error_stop => 1);
like($err, qr/READ COMMITTED transactions only/, 'an old snapshot would miss records');
is($node->psql('postgres', q{SET default_transaction_isolation = 'repeatable read'; CALL claude_gpt.create_partitions('audit_logs', now(), now() + interval '5 weeks')}), 0, 'the procedures see to it');

# Messages, as their owner who is no superuser, and subject to his own policies, while clients chat.
ask(q{CREATE ROLE keeper LOGIN; CREATE ROLE app LOGIN; SELECT claude_gpt.set_owner('keeper'), claude_gpt.grant_application_access('app');
    INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, metadata) SELECT id, user_id, 'user', 'base', jsonb_build_object('x', repeat('x', 700)) FROM claude_gpt_data.conversations, generate_series(1, 3000);
    INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, parent_message_id) SELECT conversation_id, user_id, 'assistant', 'reply', id FROM claude_gpt_data.messages WHERE content = 'base' AND user_id::text ~ '[1-3]$';
    INSERT INTO claude_gpt_data.message_feedback (message_id, user_id, rating) SELECT id, user_id, 'up' FROM claude_gpt_data.messages WHERE content = 'reply';
    INSERT INTO claude_gpt_data.message_files (message_id, user_id, name, location) SELECT id, user_id, 'a', 'k' FROM claude_gpt_data.messages WHERE content = 'reply';
    ALTER TABLE claude_gpt_data.messages ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY own ON claude_gpt_data.messages TO app USING (true)});
my $model = ask(q{SELECT config_value #>> '{pro,models,0}' FROM claude_gpt_data.system_configs WHERE config_key = 'subscription_plans'});
ask(qq{UPDATE claude_gpt_data.system_configs SET config_value = '{"$model": {"prompt": 0, "completion": 0}}' WHERE config_key = 'model_prices'});
my $chat = qq{\\set n random(1, 9)
SELECT reservation_id AS turn FROM claude_gpt.begin_turn($user, $conversation, 'load', '$model') \\gset
SELECT claude_gpt.complete_turn($user, ':turn', 'load', 3, 4, 0.5);
SELECT count(*) FROM claude_gpt.conversation_messages($user, $conversation, NULL, 10);
};
my $count = "SELECT 1 / (count(*) = 27000)::integer FROM claude_gpt_data.messages WHERE content = 'base';\nSELECT 1 / (count(*) = 9000)::integer FROM claude_gpt_data.messages AS r JOIN claude_gpt_data.messages AS p ON p.id = r.parent_message_id WHERE r.content = 'reply';\n";
my $direct = "\\set n random(1, 9)\nBEGIN;\nSELECT claude_gpt.update_user_usage($user, 1, 5, 0.125);\nINSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content) VALUES ($conversation, $user, 'user', 'load');\nCOMMIT;\nSELECT last_message_content FROM claude_gpt_data.conversation_summary WHERE id = $conversation;\n";
$load = start_load(chat => $chat, direct => $direct, count => $count);
poll(q{SELECT count(*) > 100 FROM claude_gpt_data.messages WHERE content = 'load'}, 'clients chat');
($rc, $err) = call(q{partition_table('messages', '1 year')});
is($rc, 0, 'partition_table beside them') or diag $err;
is(ask(q{BEGIN; DELETE FROM claude_gpt_data.messages WHERE id IN (SELECT message_id FROM claude_gpt_data.message_feedback LIMIT 10);
    SELECT (SELECT count(*) FROM claude_gpt_data.message_feedback), (SELECT count(*) FROM claude_gpt_data.message_files); ROLLBACK}), '8990|8990', 'feedback and files still go with their message');
like($err, qr/looked through the default partition/, 'proves that the coming year is empty');
($rc, $err) = call(q{create_partitions('messages', now() + interval '1 day', now() + interval '3 years')});
is($rc, 0, 'create_partitions for them') or diag $err;
$seen = ask(q{SELECT count(*) FROM claude_gpt_data.messages WHERE content = 'load'});
poll(qq{SELECT count(*) > $seen + 100 FROM claude_gpt_data.messages WHERE content = 'load'}, 'they still chat');
stop_load($load, 'messages');
# What a foreign key of a plain table has for each partition that it refers to is not marked by the server when the key is proved.
is(ask(q{SELECT count(*) FROM pg_constraint WHERE NOT convalidated AND conparentid = 0}), '0', 'every constraint is proved');
is(ask('SELECT * FROM claude_gpt.prove_books()'), '', 'the books are true');
cmp_ok(ask(q{SELECT count(*) FROM claude_gpt.list_partitions('messages') WHERE NOT is_default}), '>=', 3, 'there are partitions for years to come');
is(ask(q{SELECT count(*) FROM pg_class c, unnest(ARRAY[relowner]) o WHERE relname ~ '^messages' AND relkind IN ('r', 'p') AND o <> 'keeper'::regrole}), '0', 'they are the owner\'s');
is($node->psql('postgres', q{CALL claude_gpt.partition_table('messages', '1 month')}), 0, 'once is enough');

# Dumps, also of a work that was interrupted.
sub is_restored
{
    my ($original) = @_;
    my ($rows, $catalog, $rights) = (rows_of($node, $original), catalog_of($node, $original), rights_of($node, $original));
    $node->command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-f', "$dir/$original.sql", $original ], "pg_dump $original");
    $node->command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-Fc', '-f', "$dir/$original.dump", $original ], "pg_dump -Fc $original");
    for my $how ('psql', 'pg_restore')
    {
        my $database = "${original}_$how";
        ask("CREATE DATABASE $database");
        my @command = $how eq 'psql' ? ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/$original.sql") : ('pg_restore', '-j4', '--exit-on-error', "$dir/$original.dump");
        splice @command, 1, 0, '-h', $node->host, '-p', $node->port, '-d', $database;
        $node->command_ok(\@command, "$how of $original");
        is(differences($rows, rows_of($node, $database)), '', "$how: every row is back");
        # The server numbers the parts of foreign keys to a partitioned table as they come.
        is(differences(map { s/^constraint\|\S+_fkey\d+\|.*\n//mgr } $catalog, catalog_of($node, $database)), '', "$how: so is the catalog");
        is(differences($rights, rights_of($node, $database)), '', "$how: so are owners and grants");
        is(ask('SELECT * FROM claude_gpt.prove_books()', $database), '', "$how: the books are true");
        is(ask(q{DELETE FROM claude_gpt_data.conversations WHERE id = (SELECT min(id::text)::uuid FROM claude_gpt_data.conversations); SELECT * FROM claude_gpt.prove_books()}, $database), '', "$how: it works");
    }
    return;
}
is_restored('postgres');
ask(q{CREATE DATABASE interrupted});
ask(q{CREATE EXTENSION claude_gpt;
    INSERT INTO claude_gpt_data.users (email, password_hash) VALUES ('a@x', 'x');
    INSERT INTO claude_gpt_data.conversations (user_id) SELECT id FROM claude_gpt_data.users;
    INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content) SELECT id, user_id, 'user', 'base' FROM claude_gpt_data.conversations, generate_series(1, 10);
    INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, parent_message_id) SELECT conversation_id, user_id, 'assistant', 'reply', id FROM claude_gpt_data.messages;
    SELECT claude_gpt.record_usage(user_id, 'api_call', 1, p_message_id => id, p_conversation_id => conversation_id) FROM claude_gpt_data.messages WHERE content = 'reply';
    SELECT claude_gpt_internal.partition_table_step('messages', '1 year', now())}, 'interrupted');
is_restored('interrupted');
for my $database ('interrupted_psql', 'interrupted_pg_restore')
{
    is(ask('CALL claude_gpt.run_job(\'partition_upkeep\'); SELECT count(*) FROM claude_gpt_internal.unfinished_references()', $database), '0', 'the job finishes what was interrupted');
    is(ask(q{CALL claude_gpt.partition_table('messages', '1 year'); SELECT count(*) FROM claude_gpt.list_partitions('messages')}, $database), '2', 'and the same call goes on');
    is(ask(q{SELECT string_agg(conname || convalidated, ' ' ORDER BY conname) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND conrelid IN ('claude_gpt_data.messages'::regclass, 'claude_gpt_data.usage_records'::regclass)}, $database),
        join(' ', map { "${_}_fkeytrue" } qw(messages_conversation_id messages_parent_message_id messages_user_id usage_records_conversation_id usage_records_message_id usage_records_user_id)), 'with all foreign keys');
}

# Nothing that comes later undoes it.
my $catalog = catalog_of($node, 'postgres');
ask('CALL claude_gpt.migrate()');
is(differences($catalog, catalog_of($node, 'postgres')), '', 'migrate() finds nothing to change');
ask('SET client_min_messages = error; DROP EXTENSION claude_gpt CASCADE; CREATE EXTENSION claude_gpt; SELECT claude_gpt.set_owner(\'keeper\'); CALL claude_gpt.migrate()');
is(differences($catalog, catalog_of($node, 'postgres')), '', 'taken over again, it is the same');
$node->safe_psql('postgres', 'SELECT claude_gpt.detach()', extra_params => [ '-U', 'keeper' ]);
ask('SET client_min_messages = error; DROP EXTENSION claude_gpt');
ask(q{INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content) SELECT conversation_id, user_id, 'user', 'detached' FROM claude_gpt_data.messages LIMIT 1; UPDATE claude_gpt_data.messages SET content = 'changed' WHERE content = 'detached'; DELETE FROM claude_gpt_data.messages WHERE content = 'changed'});
ask('SET client_min_messages = error; CREATE EXTENSION claude_gpt; SELECT claude_gpt.set_owner(\'keeper\'); CALL claude_gpt.migrate()');
is(differences($catalog, catalog_of($node, 'postgres')), '', 'after it was detached too');
is(ask('SELECT * FROM claude_gpt.prove_books()'), '', 'and the books are true');

# What is promised of messages holds of partitioned ones.
SKIP:
{
    skip 'pgTAP is not installed', 1 unless ask(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pgtap'});
    ask('CREATE DATABASE promises');
    ask(q{CREATE EXTENSION pgtap; CREATE EXTENSION claude_gpt; CALL claude_gpt.partition_table('messages', '1 year')}, 'promises');
    for my $topic (qw(conversations turns books usage schema))
    {
        ($rc, $out, $err) = $node->psql('promises', "\\i $FindBin::RealBin/../pgtap/$topic.sql", extra_params => [ '-v', 'ON_ERROR_STOP=1' ], timeout => $PostgreSQL::Test::Utils::timeout_default);
        my ($planned) = $out =~ /^1\.\.(\d+)$/m;
        my $passed = () = $out =~ /^ok /mg;
        is($passed, $planned // "the end of it: $err", "test/pgtap/$topic.sql passes") or diag join "\n", $out =~ /^(not ok .*)$/mg;
    }
}
# Locks are taken in the mode that is needed from the start: to ask for a stronger one later is how deadlocks come about.
$node->safe_psql('postgres', 'CREATE DATABASE locked');
$node->safe_psql('locked', q{CREATE EXTENSION claude_gpt; INSERT INTO claude_gpt_data.audit_logs (action, resource_type, created_at) VALUES ('a', 'b', '2019-01-05Z')});
my $reader = PsqlSession->new($node, 'locked');
$reader->ask('BEGIN; SELECT count(*) FROM claude_gpt_data.users');
sub waits_at { my ($step) = @_; return ($node->psql('locked', "SET lock_timeout = '50ms'; SELECT claude_gpt_internal.$step"))[2] =~ /SQL statement "(LOCK TABLE.*?)"/ ? $1 : '' }
is(waits_at(q{create_next_partition('audit_logs', '2019-01-01Z', '2019-01-20Z', '1 week')}), 'LOCK TABLE claude_gpt_data.users IN ACCESS EXCLUSIVE MODE', 'a swap waits for readers of users before it locks another table');
is(waits_at(q{partition_table_step('messages', '1 year', now())}), 'LOCK TABLE claude_gpt_data.users IN ACCESS EXCLUSIVE MODE', 'a conversion too');
is($node->safe_psql('locked', q{SELECT claude_gpt_internal.create_next_partition('audit_logs', '2039-01-01Z', '2039-01-20Z', '1 week')}), 'created partition audit_logs_2038w52', 'a new partition does not');
$reader->close;
$node->stop;
done_testing();
