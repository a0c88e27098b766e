# A job is interrupted in the middle of a batch in every way there is: its worker is terminated, cancelled or
# killed, the launcher ends, the server stops, crashes or is killed, a standby takes over. Each time the run is
# marked, its whole batches stay, the job goes on, and every user's month is reset exactly once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run ();
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $users = 3000;
# The first batch has 1000 users; the job stands still in its second.
my $held_at = 1500;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nrestart_after_crash = on\nshared_preload_libraries = 'claude_gpt'\nmax_wal_senders = 2");
$primary->start;
my $node = $primary;
$node->safe_psql('postgres', qq{
    CREATE EXTENSION claude_gpt;
    UPDATE claude_gpt_data.jobs SET enabled = name = 'monthly_reset';
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": -1}}' WHERE config_key = 'subscription_plans';
    INSERT INTO claude_gpt_data.users (id, email, password_hash, monthly_reset_date)
        SELECT format('00000000-0000-4000-8000-00000000%s', lpad(n::text, 4, '0'))::uuid, n || '\@x', 'x', '2026-01-01' FROM generate_series(1, $users) AS n;
    CREATE SEQUENCE public.gate;
    CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS \$\$
    BEGIN
        WHILE NOT (SELECT is_called FROM public.gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
        RETURN NEW;
    END \$\$;
    CREATE TRIGGER hold BEFORE UPDATE ON claude_gpt_data.users FOR EACH ROW
        WHEN (OLD.email = '$held_at\@x' AND NEW.monthly_reset_date > OLD.monthly_reset_date AND NEW.monthly_message_count = 0) EXECUTE FUNCTION public.hold()});

# Every round is a month of its own, in which each user is counted once.
my $month = 1;
sub first_of_month { my ($number) = @_; return sprintf '%d-%02d-01', 2026 + int(($number - 1) / 12), ($number - 1) % 12 + 1 }
sub hold_clock { my ($moment) = @_; return $node->safe_psql('postgres', "ALTER DATABASE postgres SET claude_gpt.fixed_time = '$moment'") }
sub ask_for_the_job { return $node->safe_psql('postgres', "UPDATE claude_gpt_data.jobs SET enabled = true, failures_in_a_row = 0, next_run_at = '2026-01-01Z' WHERE name = 'monthly_reset'") }
sub open_gate { return $node->safe_psql('postgres', "SELECT setval('public.gate', 1, true)") }

my $worker_of_the_job = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'claude_gpt worker' AND application_name = 'claude_gpt job monthly_reset'};

# Counts each user in one month, lets the next begin, and waits until its reset stands in the second batch.
sub start_round
{
    # A worker comes when the clock is set.
    $node->safe_psql('postgres', "UPDATE claude_gpt_data.jobs SET enabled = false WHERE name = 'monthly_reset'");
    hold_clock(first_of_month($month) . 'T12:00:00Z');
    $node->safe_psql('postgres', "TRUNCATE claude_gpt_data.job_runs; SELECT count(claude_gpt.update_user_usage(id, 1, 2, 0.5)) FROM claude_gpt_data.users; SELECT setval('public.gate', 1, false)");
    $month++;
    hold_clock(first_of_month($month) . 'T00:00:00Z');
    ask_for_the_job();
    $node->poll_query_until('postgres', "SELECT EXISTS ($worker_of_the_job AND wait_event = 'PgSleep')") or die 'no job runs';
    # Whoever was reset is counted in the new month; this commit also takes to the disk what the job has committed.
    $node->safe_psql('postgres', "SELECT claude_gpt.update_user_usage(id, 7, 2, 0.5) FROM claude_gpt_data.users WHERE email IN ('1\@x', '1000\@x')");
    is(reset_users(), 1000, 'the second batch is under way');
    return $node->safe_psql('postgres', $worker_of_the_job);
}

sub reset_users { return $node->safe_psql('postgres', "SELECT count(*) FROM claude_gpt_data.users WHERE monthly_reset_date = '" . first_of_month($month) . "'") }

sub is_interrupted
{
    my ($how, $sqlstate, $message) = @_;
    ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM claude_gpt_data.job_runs WHERE outcome = 'failed'"), "$how: the run is marked");
    is($node->safe_psql('postgres', 'SELECT job_name, engine, finished_at >= started_at, sqlstate, message FROM claude_gpt_data.job_runs'), "monthly_reset|worker|t|$sqlstate|$message", "$how: with what ended it");
    is($node->safe_psql('postgres', q{SELECT failures_in_a_row, next_run_at - (SELECT max(finished_at) FROM claude_gpt_data.job_runs) FROM claude_gpt_data.jobs WHERE name = 'monthly_reset'}), '1|00:00:10', "$how: and waits for the next");
    is(reset_users(), 1000, "$how: the whole batch stays, the interrupted one is undone");
    return;
}

my $interrupted = 'the server or the session ended before the run did';

sub goes_on
{
    my ($how, $rows) = @_;
    open_gate();
    ask_for_the_job();
    is_done($how, $rows // $users - 1000);
    return;
}

sub is_done
{
    my ($how, $rows) = @_;
    ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM claude_gpt_data.job_runs WHERE outcome = 'succeeded')"), "$how: the job goes on");
    is($node->safe_psql('postgres', "SELECT row_count, failures_in_a_row FROM claude_gpt_data.job_runs, claude_gpt_data.jobs WHERE outcome = 'succeeded' AND name = 'monthly_reset'"), "$rows|0", "$how: with what was left");
    is(reset_users(), $users, "$how: every month is reset");
    is($node->safe_psql('postgres', 'SELECT monthly_message_count, count(*) FROM claude_gpt_data.users GROUP BY 1 ORDER BY 1'), "0|" . ($users - 2) . "\n7|2", "$how: and none twice");
    is($node->safe_psql('postgres', 'SELECT * FROM claude_gpt.prove_books()'), '', "$how: the books are proved");
    return;
}

my $worker = start_round();
is($node->safe_psql('postgres', 'SELECT outcome, finished_at IS NULL FROM claude_gpt_data.job_runs'), 'running|t', 'a run in progress is on record');
# After a visit that gave no answer the next follows in ten seconds, or as soon as somebody asks.
$node->safe_psql('postgres', "SELECT pg_terminate_backend($worker)");
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
is_interrupted('the worker is terminated', '57P02', $interrupted);
goes_on('the worker is terminated');

$worker = start_round();
kill 'TERM', $worker;
is_interrupted('the worker has a SIGTERM', '57P02', $interrupted);
# By itself: ten seconds after it failed.
open_gate();
hold_clock(first_of_month($month) . 'T00:00:10Z');
is_done('after ten seconds', $users - 1000);

$worker = start_round();
$node->safe_psql('postgres', "SELECT pg_cancel_backend($worker)");
is_interrupted('the worker is cancelled', '57014', 'canceling statement due to user request');
# The launcher runs nothing that could be cancelled.
my $launcher = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'claude_gpt launcher'");
$node->safe_psql('postgres', "SELECT pg_cancel_backend($launcher)");
goes_on('the worker is cancelled');
is($node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'claude_gpt launcher'"), $launcher, 'to cancel the launcher does nothing');

# While clients count: none of their calls is lost to the reset, nor is a user reset after he was counted anew. Two
# count in the first batch, which is done; one anywhere, and waits for a row of the held one.
start_round();
my $dir = PostgreSQL::Test::Utils::tempdir;
my $count = "SELECT claude_gpt.update_user_usage(('00000000-0000-4000-8000-00000000' || lpad(:n::text, 4, '0'))::uuid, 1, 2, 0.5);\n";
append_to_file("$dir/free.sql", "\\set n random(1, 1000)\n$count");
append_to_file("$dir/any.sql", "\\set n random(1, $users)\n$count");
my ($out, $err) = ('', '');
my @loads = map { IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, @$_, 'postgres' ], '>', \$out, '2>', \$err) }
    [ '-c', 2, '-t', 2000, '-f', "$dir/free.sql" ], [ '-c', 1, '-t', 2000, '-f', "$dir/any.sql" ];
ok($node->poll_query_until('postgres', "SELECT sum(monthly_message_count) > 500 FROM claude_gpt_data.users WHERE monthly_reset_date = '" . first_of_month($month) . "'"), 'clients count during a reset');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM ($worker_of_the_job) AS w; SELECT pg_reload_conf()");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM claude_gpt_data.job_runs WHERE outcome = 'failed'"), 'whose worker is terminated');
open_gate();
ask_for_the_job();
ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM claude_gpt_data.job_runs WHERE outcome = 'succeeded')"), 'and goes on');
ok($_->finish, 'the clients come to their end') or diag($err) for @loads;
is($node->safe_psql('postgres', "SELECT count(*), sum(monthly_message_count) FROM claude_gpt_data.users WHERE monthly_reset_date = '" . first_of_month($month) . "'"), $users . '|' . (3 * 2000 + 14), 'each of their calls counts once in the new month');
is($node->safe_psql('postgres', 'SELECT * FROM claude_gpt.prove_books()'), '', 'the books are proved');

# A client that runs the job is no worker: what it left is marked by the next who comes.
hold_clock(first_of_month($month) . 'T12:00:00Z');
$node->safe_psql('postgres', "UPDATE claude_gpt_data.jobs SET enabled = false; TRUNCATE claude_gpt_data.job_runs; SELECT setval('public.gate', 1, false)");
$node->safe_psql('postgres', 'SELECT count(claude_gpt.update_user_usage(id, 1, 2, 0.5)) FROM claude_gpt_data.users');
hold_clock(first_of_month(++$month) . 'T00:00:00Z');
my $client = PsqlSession->new($node);
my $client_pid = $client->ask('SELECT pg_backend_pid()');
$client->send(q{CALL claude_gpt.run_job('monthly_reset')});
ok($node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $client_pid"), 'a client runs the job');
kill 'TERM', $client_pid;
like(eval { $client->answer } // $client->{out}, qr/terminating connection/, 'and is terminated');
open_gate();
($out, $err) = ('', '');
is($node->psql('postgres', q{CALL claude_gpt.run_job('monthly_reset')}), 0, 'another client runs it');
is($node->safe_psql('postgres', 'SELECT engine, outcome, row_count, sqlstate FROM claude_gpt_data.job_runs ORDER BY started_at, id'), "call|failed|0|57P02\ncall|succeeded|" . ($users - 1000) . '|', 'after it has marked what the first left');
is($node->safe_psql('postgres', 'SELECT * FROM claude_gpt.prove_books()'), '', 'the books are proved');
$node->safe_psql('postgres', q{UPDATE claude_gpt_data.jobs SET enabled = name = 'monthly_reset', failures_in_a_row = 0});

# The server stops in order: the worker does not keep it.
start_round();
$node->stop('fast');
pass('a job that stands still does not keep the server from stopping');
$node->start;
is_interrupted('a fast stop', '57P02', $interrupted);
goes_on('a fast stop');

start_round();
$node->stop('immediate');
$node->start;
is_interrupted('an immediate stop', '57P02', $interrupted);
goes_on('an immediate stop');

# One worker killed: the server restarts all of its processes, with new shared memory.
$worker = start_round();
my $before_the_kill = end_of_log($node);
kill 'KILL', $worker;
ok(wait_for_restart($node, $before_the_kill), 'after a worker was killed the server comes back by itself');
is_interrupted('the worker is killed', '57P02', $interrupted);
goes_on('the worker is killed');

# The server as a whole.
start_round();
kill_server($node);
$node->start;
is_interrupted('the server is killed', '57P02', $interrupted);
goes_on('the server is killed');

# The postmaster alone: its workers leave with it, and do not go on against the next server.
$worker = start_round();
my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
my @children = split /\n/, $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() ORDER BY backend_type = 'claude_gpt worker'});
open_gate();
kill 'KILL', $postmaster;
wait_for_end(@children);
is(join(' ', grep { kill 0, $_ } @children), '', 'workers and launcher leave when the postmaster is gone');
forget_server($node, $postmaster);
$node->start;
ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM claude_gpt_data.job_runs WHERE outcome <> 'running')"), 'the next server takes over');
ask_for_the_job() if reset_users() < $users;
ok($node->poll_query_until('postgres', "SELECT count(*) = $users FROM claude_gpt_data.users WHERE monthly_reset_date = '" . first_of_month($month) . "'"), 'and the job goes on');
is($node->safe_psql('postgres', 'SELECT * FROM claude_gpt.prove_books()'), '', 'the books are proved');

# A standby, on which nothing runs until it takes over.
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
start_round();
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'claude_gpt%'"), '0', 'neither launcher nor worker runs on a standby');
is($standby->safe_psql('postgres', "SELECT job_name, outcome FROM claude_gpt_data.job_runs"), 'monthly_reset|running', 'which knows of the run on the primary');
is($standby->safe_psql('postgres', "SELECT last_outcome FROM claude_gpt_data.job_status WHERE name = 'monthly_reset'"), 'running', 'and shows it');
for my $call (q{CALL claude_gpt.run_job('monthly_reset')}, 'CALL claude_gpt.run_due_jobs()')
{
    my ($status, $said, $error) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$call;", on_error_stop => 1);
    like($error, qr/25006|55000|0A000/, "$call is refused there");
}
$primary->stop('immediate');
$standby->promote;
$node = $standby;
is_interrupted('a promoted standby', '57P02', $interrupted);
goes_on('a promoted standby');
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'claude_gpt launcher'"), '1', 'a launcher runs there now');

for my $server ($primary, $standby)
{
    my $log = slurp_file($server->logfile);
    is(scalar(() = $log =~ /was terminated by signal/g), $server == $primary ? 1 : 0, 'nothing was killed but what the test killed, on the ' . $server->name);
    unlike($log, qr/PANIC|TRAP|exception/, 'and nothing unexpected happened there');
}
$standby->stop;
done_testing();
