# ALTER EXTENSION UPDATE is cut off at its first statement, in its middle, at its last and before its commit: by kill -9 of
# its session, by kill -9 of the whole server, by an immediate stop. Each time the database is the old one to the last row, column and
# right, and names the next step; the same command then works, from every released version.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use SchemaPicture;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('killed_update');
$node->init;
# What a killed process has written is in the hands of the kernel, so fsync proves nothing here.
$node->append_conf('postgresql.conf', "fsync = off\nrestart_after_crash = on\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.fixed_time = '2026-11-23T12:00:00Z'");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; CREATE ROLE app LOGIN; CREATE ROLE reader LOGIN');
my $user = '00000000-0000-4000-8000-000000000001';
my $newest = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'claude_gpt'});
my $dumps = PostgreSQL::Test::Utils::tempdir;

# Everything the schema holds.
sub picture { my ($database) = @_; return join "\n", rows_of($node, $database), catalog_of($node, $database), rights_of($node, $database) }

# One database a release, as its users left it.
my (%release, %before, %statements, %is_older);
for my $version (map { m{([^/]+)\.sql$} } sort glob "$FindBin::RealBin/../releases/*.sql")
{
    my $database = "from_$version" =~ s/\W/_/gr;
    $release{$database} = $version;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    # The jobs of a database that is not updated yet wait for it; those of an updated one would change rows.
    $node->safe_psql('postgres', "ALTER DATABASE $database SET claude_gpt.jobs = off");
    my $dump = slurp_file("$FindBin::RealBin/../releases/$version.sql") =~ s/CREATE EXTENSION IF NOT EXISTS claude_gpt WITH SCHEMA claude_gpt;/CREATE EXTENSION claude_gpt WITH SCHEMA claude_gpt VERSION '$version';/r;
    append_to_file("$dumps/$database.sql", $dump);
    $node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-o', '/dev/null', '-f', "$dumps/$database.sql" ], "a database of $version");
    # Stands still at the statement of a script that test.stop_at says.
    $node->safe_psql($database, q{
        CREATE FUNCTION public.stand_still() RETURNS event_trigger LANGUAGE plpgsql AS $$
        DECLARE
            number integer := coalesce(nullif(current_setting('test.statements', true), ''), '0')::integer + 1;
        BEGIN
            PERFORM set_config('test.statements', number::text, false);
            WHILE number = nullif(current_setting('test.stop_at', true), '')::integer LOOP PERFORM pg_sleep(0.01); END LOOP;
        END $$;
        CREATE EVENT TRIGGER stand_still ON ddl_command_end EXECUTE FUNCTION public.stand_still()});
    $before{$database} = picture($database);
    my $migrations = 'SELECT count(*) FROM claude_gpt_data.claude_gpt_migrations';
    my ($old, $statements, $new) = split /\n/, $node->safe_psql($database, "$migrations; BEGIN; ALTER EXTENSION claude_gpt UPDATE; SELECT current_setting('test.statements'); $migrations");
    $is_older{$database} = $old < $new;
    # Within it, statements that the script runs; the last is ALTER EXTENSION itself.
    cmp_ok($statements, '>', 50, "the update of $version has $statements statements");
    $statements{$database} = $statements;
}
my @databases = sort keys %release;
cmp_ok(scalar @databases, '>=', 3, 'there are releases to come from');
is(differences($before{$_}, picture($_)), '', "$release{$_}: an update that is rolled back changes nothing") for @databases;

# Leaves sessions in the middle of an update, one in each database; what they have written so far is on the disk.
sub begin_updates
{
    my ($stop_at) = @_;
    my @sessions;
    for my $database (@databases)
    {
        my $session = PsqlSession->new($node, $database);
        my $number = $stop_at->($statements{$database});
        $session->ask('BEGIN; SET LOCAL test.stop_at = ' . ($number // 0));
        if ($number) { $session->send('ALTER EXTENSION claude_gpt UPDATE') }
        else { is($session->ask('ALTER EXTENSION claude_gpt UPDATE'), '', "$release{$database}: updated, but not committed") }
        $node->poll_query_until($database, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND query = 'ALTER EXTENSION claude_gpt UPDATE;' AND } . ($number ? q{wait_event = 'PgSleep'} : q{state = 'idle in transaction'}))
            or die 'no update stands still';
        push @sessions, $session;
    }
    $node->safe_psql('postgres', 'CHECKPOINT');
    return @sessions;
}

sub processes { return split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()') }

sub is_the_old_one
{
    my ($how, @sessions) = @_;
    eval { $_->close } for @sessions;
    ok($node->poll_query_until('postgres', 'SELECT true'), "$how: the server is back");
    for my $database (@databases)
    {
        is($node->safe_psql($database, q{SELECT extversion FROM pg_extension WHERE extname = 'claude_gpt'}), $release{$database}, "$how: the version is $release{$database}");
        is(differences($before{$database}, picture($database)), '', "$how: rows, catalog and rights are as before");
        my ($status, $out, $err) = $node->psql($database, "\\set VERBOSITY verbose\nBEGIN; SELECT claude_gpt.update_user_usage('$user'); ROLLBACK");
        if ($is_older{$database}) { like($err, qr/55000: the tables of claude_gpt are older than its code\n.*HINT:  Run ALTER EXTENSION claude_gpt UPDATE\./s, "$how: the next step is named") }
        else { is($err, '', "$how: functions go on, for the tables are those of the new version") }
    }
    return;
}

# The session alone, which makes the server restart the others.
my @sessions = begin_updates(sub { 1 });
my ($first) = split /\n/, $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' ORDER BY datname});
my $before_the_kill = end_of_log($node);
kill 'KILL', $first;
wait_for_restart($node, $before_the_kill) or die 'no restart';
is_the_old_one('its session is killed at the first statement', @sessions);

# The server as a whole, children after their parent, which restarts nothing any more.
@sessions = begin_updates(sub { int($_[0] / 2) });
my @processes = ((split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0], processes());
kill 'KILL', @processes;
wait_for_end(@processes);
$node->{_pid} = undef;
unlink $node->data_dir . '/postmaster.pid';
$node->start;
is_the_old_one('the server is killed in the middle', @sessions);

@sessions = begin_updates(sub { $_[0] });
$node->stop('immediate');
$node->start;
is_the_old_one('the server stops at once at the last statement', @sessions);

@sessions = begin_updates(sub { undef });
$node->stop('immediate');
$node->start;
is_the_old_one('the server stops at once before the commit', @sessions);

# The same command again.
my $rows = q{SELECT 'user', (to_jsonb(u) - ARRAY['held_message_count', 'held_token_count', 'held_cost', 'next_hold_expiry', 'updated_at'])::text FROM claude_gpt_data.users u
    UNION ALL SELECT 'message', to_jsonb(t)::text FROM claude_gpt_data.messages t UNION ALL SELECT 'record', to_jsonb(t)::text FROM claude_gpt_data.usage_records t ORDER BY 1, 2};
for my $database (@databases)
{
    my $kept = $node->safe_psql($database, $rows);
    $node->safe_psql($database, 'ALTER EXTENSION claude_gpt UPDATE');
    is($node->safe_psql($database, q{SELECT extversion FROM pg_extension WHERE extname = 'claude_gpt'}), $newest, "$release{$database}: the update works");
    is(differences($kept, $node->safe_psql($database, $rows)), '', 'and loses no row');
    is($node->safe_psql($database, "SELECT claude_gpt.update_user_usage('$user'); SELECT count(*) FROM claude_gpt.prove_books()"), "\n0", 'metering goes on, and the books prove');
}
my $log = slurp_file($node->logfile);
is(scalar(() = $log =~ /was terminated by signal/g), 1, 'nothing was killed but what the test killed');
unlike($log, qr/PANIC|TRAP/, 'and nothing crashed');
$node->stop;
done_testing();
