# ALTER EXTENSION UPDATE is cut off at its first statement, in its middle, at its last and before its commit: by kill -9 of
# its session, by kill -9 of the whole server, by an immediate stop. Each time the database is the old one to the last row, column and
# right, and names the next step; the same command then works.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use OldRelease;
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use SchemaPicture;
use Test::More;

OldRelease::skip_unless_built();
# What a killed process has written is in the hands of the kernel, so fsync proves nothing here.
my $node = OldRelease::new_node('killed_update', 'restart_after_crash = on');
my $user = '00000000-0000-4000-8000-000000000001';
my $old = $OldRelease::version;

# All of it, as a dump says it.
sub picture { my ($database) = @_; return (run_command([ 'pg_dump', $node->connstr($database) ]))[0] =~ s/^\\(un)?restrict .*//mgr }

# One as it was installed, one with what users put there.
my @databases = qw(plain used);
OldRelease::fill($node, 'plain');
OldRelease::fill($node, 'used', 'user_objects_0.4.0.sql');
# The jobs of a database that is not updated yet wait for it; those of an updated one would change rows.
$node->safe_psql('postgres', "ALTER DATABASE $_ SET claude_gpt.jobs = off") for @databases;
OldRelease::install_this_release($node);
my $newest = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'claude_gpt'});

my (%before, %statements);
for my $database (@databases)
{
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
    like($before{$database}, qr/COPY claude_gpt.users/, 'it has rows');
    my ($statements) = split /\n/, $node->safe_psql($database, "BEGIN; ALTER EXTENSION claude_gpt UPDATE; SELECT current_setting('test.statements')");
    # Within it, statements that the script runs; the last is ALTER EXTENSION itself.
    cmp_ok($statements, '>', 200, "the update has $statements statements");
    $statements{$database} = $statements;
    is(differences($before{$database}, picture($database)), '', "$database: an update that is rolled back changes nothing");
}

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
        else { is($session->ask('ALTER EXTENSION claude_gpt UPDATE'), '', "$database: updated, but not committed") }
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
        is($node->safe_psql($database, q{SELECT extversion FROM pg_extension WHERE extname = 'claude_gpt'}), $old, "$how: the version is $old");
        is(differences($before{$database}, picture($database)), '', "$how: rows, catalog and rights are as before");
        my ($status, $out, $err) = $node->psql($database, "\\set VERBOSITY verbose\nBEGIN; SELECT claude_gpt.update_user_usage('$user'); ROLLBACK");
        like($err, qr/55000: .*\n.*HINT:  Run /s, "$how: the next step is named");
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
forget_server($node, @processes);
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
sub rows
{
    my ($database, $schema) = @_;
    return $node->safe_psql($database, qq{SELECT 'user', (jsonb_strip_nulls(to_jsonb(u)) - 'next_hold_expiry')::text FROM $schema.users u
        UNION ALL SELECT 'message', (jsonb_strip_nulls(to_jsonb(t)) - 'is_root')::text FROM $schema.messages t UNION ALL SELECT 'record', jsonb_strip_nulls(to_jsonb(t))::text FROM $schema.usage_records t ORDER BY 1, 2});
}
for my $database (@databases)
{
    my $kept = rows($database, 'claude_gpt');
    $node->safe_psql($database, 'ALTER EXTENSION claude_gpt UPDATE');
    is($node->safe_psql($database, q{SELECT extversion FROM pg_extension WHERE extname = 'claude_gpt'}), $newest, "$database: the update works");
    is(differences($kept, rows($database, 'claude_gpt_data')), '', 'and loses no row');
    is($node->safe_psql($database, "SELECT claude_gpt.update_user_usage('$user'); SELECT count(*) FROM claude_gpt.prove_books()"), "\n0", 'metering goes on, and the books prove');
}
my $log = slurp_file($node->logfile);
is(scalar(() = $log =~ /was terminated by signal/g), 1, 'nothing was killed but what the test killed');
unlike($log, qr/PANIC|TRAP/, 'and nothing crashed');
$node->stop;
done_testing();
