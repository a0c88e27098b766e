# A database that a worker visits can be dropped, renamed, moved and copied at any moment, as if nobody were there:
# the visit ends, the interrupted job is marked, and goes on wherever the database is afterwards. Whoever does not
# own the database ends nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('commands');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE alice LOGIN CREATEDB; CREATE ROLE bob LOGIN CREATEDB');
my $moved_to = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$moved_to'; GRANT CREATE ON TABLESPACE elsewhere TO alice");
my $sessions = 1500;

# Only session_cleanup runs there, and stands still in its second batch, at the first session that is named 'held',
# until open_gate().
sub make_database
{
    my ($database) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database OWNER alice");
    $node->safe_psql($database, q{
        CREATE EXTENSION claude_gpt;
        UPDATE claude_gpt_data.jobs SET enabled = name = 'session_cleanup';
        INSERT INTO claude_gpt_data.users (email, password_hash) VALUES ('a@x', 'x');
        CREATE SEQUENCE public.gate;
        CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            WHILE NOT (SELECT is_called FROM public.gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
            RETURN OLD;
        END $$;
        CREATE TRIGGER hold BEFORE DELETE ON claude_gpt_data.user_sessions FOR EACH ROW WHEN (OLD.session_token LIKE 'held%') EXECUTE FUNCTION public.hold()});
    return;
}

sub add_sessions
{
    my ($database, $count) = @_;
    $node->safe_psql($database, qq{INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at)
        SELECT u.id, CASE WHEN n > 1200 THEN 'held' ELSE 'free' END || n || clock_timestamp(), now() - interval '1 day' + n * interval '1 second'
        FROM claude_gpt_data.users AS u, generate_series(1, $count) AS n});
    return;
}

my $worker_of = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'claude_gpt worker' AND application_name = 'claude_gpt job session_cleanup' AND datname = };

# Asks for the job until it runs: the first visit after an interruption marks it and lets it wait.
sub work_in
{
    my ($database) = @_;
    return wait_until(sub {
        my $worker = $node->safe_psql('postgres', "${worker_of}'$database'");
        return $worker if $worker;
        $node->safe_psql($database, q{UPDATE claude_gpt_data.jobs SET next_run_at = now(), failures_in_a_row = 0 WHERE name = 'session_cleanup'
            AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_extension'::regclass AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))});
        return;
    }) || die "no job runs in $database";
}

# As work_in, once the job stands still in its second batch.
sub hold_in
{
    my ($database) = @_;
    my $worker = work_in($database);
    $node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $worker") or die "no batch is held in $database";
    return $worker;
}

sub open_gate { my ($database) = @_; return $node->safe_psql($database, q{SELECT setval('public.gate', 1, true)}) }
sub close_gate { my ($database) = @_; return $node->safe_psql($database, q{SELECT setval('public.gate', 1, false)}) }

# Beside a job that stands still until it is told to go on: a command that waited for it would never end.
sub is_done_at_once
{
    my ($sql, $name, @options) = @_;
    my ($status, $out, $err) = $node->psql('postgres', $sql, @options, timeout => $PostgreSQL::Test::Utils::timeout_default);
    return is($status, 0, $name) || diag($err) && 0;
}

# What the first, whole batch did stays; the held one is undone; the run is on record as interrupted, and goes on.
sub goes_on
{
    my ($database, $how, $hurries) = @_;
    # By itself a worker comes again after ten seconds.
    $node->safe_psql('postgres', 'SELECT pg_reload_conf()') if $hurries;
    is($node->safe_psql($database, 'SELECT count(*) FROM claude_gpt_data.user_sessions'), $sessions - 1000, "$how: the whole batch stays, the interrupted one is undone");
    ok($node->poll_query_until($database, q{SELECT outcome = 'failed' AND sqlstate = '57P02' AND finished_at IS NOT NULL FROM claude_gpt_data.job_runs ORDER BY started_at DESC LIMIT 1}),
        "$how: the interrupted run is marked");
    is($node->safe_psql($database, q{SELECT failures_in_a_row, next_run_at - r.finished_at FROM claude_gpt_data.jobs, LATERAL (SELECT max(finished_at) AS finished_at FROM claude_gpt_data.job_runs) AS r WHERE name = 'session_cleanup'}),
        '1|00:00:10', "$how: and counts as a failure");
    open_gate($database);
    work_in_the_end($database, $how);
    close_gate($database);
    return;
}

sub work_in_the_end
{
    my ($database, $how) = @_;
    $node->safe_psql($database, q{UPDATE claude_gpt_data.jobs SET next_run_at = now() WHERE name = 'session_cleanup'});
    ok($node->poll_query_until($database, q{SELECT outcome = 'succeeded' FROM claude_gpt_data.job_runs ORDER BY started_at DESC LIMIT 1}), "$how: the job goes on");
    is($node->safe_psql($database, 'SELECT (SELECT count(*) FROM claude_gpt_data.user_sessions), row_count FROM claude_gpt_data.job_runs ORDER BY started_at DESC LIMIT 1'),
        '0|' . ($sessions - 1000), "$how: and does what was left");
    return;
}

make_database('busy');

# Each command in the middle of a batch, by the owner of the database, who is no superuser.
add_sessions('busy', $sessions);
my $worker = hold_in('busy');
is_done_at_once('ALTER DATABASE busy RENAME TO renamed', 'RENAME in the middle of a batch', extra_params => [ '-U', 'alice' ]);
goes_on('renamed', 'RENAME');
$node->safe_psql('postgres', 'ALTER DATABASE renamed RENAME TO busy');

add_sessions('busy', $sessions);
hold_in('busy');
is_done_at_once('ALTER DATABASE busy SET TABLESPACE elsewhere', 'SET TABLESPACE in the middle of a batch', extra_params => [ '-U', 'alice' ]);
is($node->safe_psql('postgres', q{SELECT spcname FROM pg_database AS d JOIN pg_tablespace AS t ON t.oid = d.dattablespace WHERE datname = 'busy'}), 'elsewhere', 'it has moved');
goes_on('busy', 'SET TABLESPACE', 'hurries');

add_sessions('busy', $sessions);
hold_in('busy');
is_done_at_once('CREATE DATABASE copy TEMPLATE busy', 'CREATE DATABASE ... TEMPLATE in the middle of a batch', extra_params => [ '-U', 'alice' ]);
goes_on('busy', 'the original of a copy', 'hurries');
# It took the interrupted run with it.
goes_on('copy', 'the copy', 'hurries');

# Nobody else ends a visit.
add_sessions('busy', $sessions);
$worker = hold_in('busy');
for my $command ('DROP DATABASE busy', 'DROP DATABASE busy WITH (FORCE)', 'ALTER DATABASE busy RENAME TO stolen', 'ALTER DATABASE busy SET TABLESPACE pg_default', 'CREATE DATABASE stolen TEMPLATE busy')
{
    my ($status, $out, $err) = $node->psql('postgres', $command, extra_params => [ '-U', 'bob' ]);
    like($err, qr/must be owner of database busy|permission denied to copy database "busy"/, "$command is refused to others");
}
is($node->safe_psql('postgres', "${worker_of}'busy'"), $worker, 'whose attempts end no visit');

# A command that is rolled back has ended the visit; until then no worker enters.
my $session = PsqlSession->new($node);
$session->ask('BEGIN; ALTER DATABASE busy RENAME TO other');
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = 'object' AND classid = 'pg_database'::regclass}), 'a worker that comes meanwhile waits');
$session->ask('ROLLBACK');
$session->close;
goes_on('busy', 'a command that is rolled back', 'hurries');

# A launcher that has ended and come again knows of the visit that goes on.
add_sessions('busy', $sessions);
$worker = hold_in('busy');
my $launcher = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'claude_gpt launcher'});
$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)");
ok($node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'claude_gpt launcher' AND pid <> $launcher}), 'a launcher that was ended comes again');
# Its first visit of another database shows that it has begun to work.
add_sessions('copy', 1);
$node->safe_psql('copy', q{UPDATE claude_gpt_data.jobs SET next_run_at = now()});
ok($node->poll_query_until('copy', 'SELECT count(*) = 0 FROM claude_gpt_data.user_sessions'), 'and serves databases');
is_done_at_once('ALTER DATABASE busy RENAME TO renamed', 'RENAME during a visit that an earlier launcher began');
$node->safe_psql('postgres', 'ALTER DATABASE renamed RENAME TO busy');
goes_on('busy', 'a visit that an earlier launcher began', 'hurries');

# In the rest between two batches, where a job with many rows is most of its time.
$node->safe_psql('postgres', 'ALTER DATABASE busy SET claude_gpt.job_duty_cycle = 1');
open_gate('busy');
add_sessions('busy', 30_000);
for my $attempt (1 .. 3)
{
    work_in('busy');
    is_done_at_once('ALTER DATABASE busy RENAME TO renamed', "RENAME in the rest of a job, attempt $attempt");
    $node->safe_psql('postgres', 'ALTER DATABASE renamed RENAME TO busy');
}
cmp_ok($node->safe_psql('busy', 'SELECT count(*) FROM claude_gpt_data.user_sessions'), '>', 1000, 'which was far from its end');

# At moments as they come: while a worker is asked for, started, connects, looks, works, leaves.
my $name = 'busy';
my $failed = 0;
for my $attempt (1 .. 60)
{
    $node->safe_psql($name, q{UPDATE claude_gpt_data.jobs SET next_run_at = now(), failures_in_a_row = 0 WHERE name = 'session_cleanup'});
    usleep(rand 30_000);
    my $next = $name eq 'busy' ? 'renamed' : 'busy';
    my ($status, $out, $err) = $node->psql('postgres', $attempt % 5 ? "ALTER DATABASE $name RENAME TO $next" : "CREATE DATABASE other TEMPLATE $name");
    if ($status != 0) { $failed++; diag("attempt $attempt: $err") }
    elsif ($attempt % 5) { $name = $next }
    else { is_done_at_once('DROP DATABASE other', "DROP DATABASE of a new copy, attempt $attempt") }
}
is($failed, 0, '60 renamings and copies succeed at any moment');

# The end of it.
close_gate($name);
$node->safe_psql($name, 'TRUNCATE claude_gpt_data.user_sessions');
$node->safe_psql('postgres', "ALTER DATABASE $name RESET claude_gpt.job_duty_cycle");
add_sessions($name, $sessions);
hold_in($name);
is_done_at_once("DROP DATABASE $name", 'DROP DATABASE in the middle of a batch', extra_params => [ '-U', 'alice' ]);
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = '$name'"), '0', 'it is gone');

my $log = slurp_file($node->logfile);
unlike($log, qr/terminated by signal|PANIC|being accessed by other users/, 'nothing crashed or stood in the way');
is(scalar(() = $log =~ /background worker "claude_gpt launcher" \(PID \d+\) exited/g), 1, 'the launcher ended but the once it was told to');
$node->stop;
done_testing();
