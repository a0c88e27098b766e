# Every database that has the extension is visited by workers, whenever and however it came to have it; no other is,
# and none before a restore is complete. There are never more workers than allowed, and every database has its turn.
# Long: it waits until the launcher comes by itself.
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

my $node = PostgreSQL::Test::Cluster->new('visits');
$node->init;
# The server's log at DEBUG1 tells when each worker was started and when it ended. The launcher takes one of the four
# processes.
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nshared_preload_libraries = 'claude_gpt'\nmax_worker_processes = 4\nmax_logical_replication_workers = 0\nlog_min_messages = debug1\nlog_statement = none");
$node->start;
my @connection = ('-h', $node->host, '-p', $node->port);
my $dir = PostgreSQL::Test::Utils::tempdir;

sub create_database { my ($database, $template) = @_; return $node->safe_psql('postgres', "CREATE DATABASE $database" . ($template ? " TEMPLATE $template" : '')) }
sub set { my ($sql) = @_; $node->safe_psql('postgres', "ALTER SYSTEM $sql"); return reload() }
sub reload { return $node->safe_psql('postgres', 'SELECT pg_reload_conf()') }
sub ask { my ($database) = @_; return $node->safe_psql($database, 'UPDATE claude_gpt_data.jobs SET next_run_at = now()') }

# What a visit clears away.
my $add_session = q{INSERT INTO claude_gpt_data.users (id, email, password_hash, monthly_reset_date) VALUES (gen_random_uuid(), 'a@x', 'x', date_trunc('month', now())) ON CONFLICT DO NOTHING;
    INSERT INTO claude_gpt_data.user_sessions (id, user_id, session_token, expires_at) SELECT gen_random_uuid(), id, 't' || clock_timestamp(), now() - interval '1 day' FROM claude_gpt_data.users LIMIT 1;};
sub sessions { my ($database) = @_; return $node->safe_psql($database, 'SELECT count(*) FROM claude_gpt_data.user_sessions') }
sub is_served { my ($database, $how) = @_; return ok($node->poll_query_until($database, 'SELECT count(*) = 0 FROM claude_gpt_data.user_sessions'), $how) }

sub visits
{
    my ($database) = @_;
    return scalar(() = slurp_file($node->logfile) =~ /starting background worker process "claude_gpt worker for $database"/g);
}

# Waits until so many visits have ended.
sub wait_for_visit
{
    my ($database, $count) = @_;
    return wait_until(sub { $count <= (() = slurp_file($node->logfile) =~ /unregistering background worker "claude_gpt worker for $database"/g) });
}

sub most_workers_at_once
{
    my ($log) = @_;
    my ($now, $most) = (0, 0);
    while ($log =~ /(starting background worker process "claude_gpt worker for)|background worker "claude_gpt worker" \(PID \d+\) exited/g)
    {
        $now += $1 ? 1 : -1;
        $most = $now if $now > $most;
    }
    return $most;
}

# CREATE EXTENSION calls a worker at once, also in a database that it knows not to have it.
create_database('early');
create_database('asleep');
reload();
ok(wait_for_visit('early', 1) && wait_for_visit('asleep', 1), 'a database without the extension is visited once');
$node->safe_psql('early', "CREATE EXTENSION claude_gpt; $add_session");
is_served('early', 'a database is served from CREATE EXTENSION on');
is($node->safe_psql('early', q{SELECT job_name, engine, outcome, row_count FROM claude_gpt_data.job_runs WHERE job_name = 'session_cleanup'}), 'session_cleanup|worker|succeeded|1', 'by a worker, on record');
create_database('late');
$node->safe_psql('late', "CREATE EXTENSION claude_gpt; $add_session");
is_served('late', 'and so is a database that was created later');
is($node->safe_psql('late', q{SELECT count(*) FROM claude_gpt_data.job_status WHERE last_looked_at IS NOT NULL OR last_outcome IS NOT NULL}), $node->safe_psql('late', 'SELECT count(*) FROM claude_gpt_data.jobs'), 'every job was run or looked at');
is($node->safe_psql('late', q{SELECT count(*) FROM claude_gpt_data.job_runs WHERE outcome <> 'succeeded'}), '0', 'without a failure');
# A rolled-back CREATE EXTENSION changes nothing.
$node->safe_psql('asleep', 'BEGIN; CREATE EXTENSION claude_gpt; ROLLBACK');

# A copy of a database that has it. Nobody calls a worker: the launcher finds it by itself, at the end of this test.
create_database('model');
$node->safe_psql('postgres', 'ALTER DATABASE model SET claude_gpt.jobs = off');
$node->safe_psql('model', "CREATE EXTENSION claude_gpt; $add_session");
create_database('found', 'model');

# Where jobs are switched off, a visit leaves everything alone; a template is not even visited.
create_database('pattern', 'model');
$node->safe_psql('postgres', 'ALTER DATABASE pattern IS_TEMPLATE true');
create_database('closed', 'model');
$node->safe_psql('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS false');
my $pattern_visits = visits('pattern');
ask('model');
ask('pattern');
reload();
$node->safe_psql('late', $add_session);
ask('late');
is_served('late', 'another database is served');
ok(wait_for_visit('model', 1), 'a database where jobs are off is looked at');
is(visits('pattern'), $pattern_visits, 'a template is not visited');
is(sessions('pattern'), '1', 'nor touched');
is(sessions('model'), '1', 'where jobs are off none runs');
is($node->safe_psql('model', 'SELECT count(*) FROM claude_gpt_data.job_runs'), '0', 'nor is recorded');
$node->safe_psql('postgres', 'ALTER DATABASE model RESET claude_gpt.jobs; ALTER DATABASE pattern IS_TEMPLATE false; ALTER DATABASE closed ALLOW_CONNECTIONS true; SELECT pg_reload_conf()');
is_served('model', 'until they are switched on');
is_served('pattern', 'or it is a template no more');
is_served('closed', 'or takes connections again');

# DROP EXTENSION ends the service, CREATE EXTENSION resumes it: both with a job in the middle of a batch too.
my ($status, $out, $err) = $node->psql('late', 'DROP EXTENSION claude_gpt');
like($err, qr/other objects depend on it/, 'DROP EXTENSION wants CASCADE');
$node->safe_psql('late', "DROP EXTENSION claude_gpt CASCADE; $add_session");
my $late_visits = visits('late');
reload();
ok(wait_for_visit('late', $late_visits + 1), 'a visit finds the extension gone');
is(sessions('late'), '1', 'and leaves the tables alone');
$node->safe_psql('late', 'CREATE EXTENSION claude_gpt');
ask('late');
is_served('late', 'until it is created again');
$node->safe_psql('late', qq{
    CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS \$\$
    BEGIN
        WHILE (SELECT modification IS NOT NULL FROM pg_stat_file('hold', true)) LOOP PERFORM pg_sleep(0.01); END LOOP;
        RETURN OLD;
    END \$\$;
    CREATE TRIGGER hold BEFORE DELETE ON claude_gpt_data.user_sessions FOR EACH ROW EXECUTE FUNCTION public.hold();
    INSERT INTO claude_gpt_data.audit_logs (action, resource_type, created_at) VALUES ('old', 'user', now() - interval '31 days');
    $add_session});
sub hold { append_to_file($node->data_dir . '/hold', 'x'); return }
sub let_go { return unlink $node->data_dir . '/hold' }
my $held = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'claude_gpt worker' AND application_name = 'claude_gpt job session_cleanup'};
# Rests of a second after each batch: the command needs the tables for itself, and has them after the held batch.
$node->safe_psql('postgres', 'ALTER DATABASE late SET claude_gpt.job_duty_cycle = 1');
my $add_sessions = q{INSERT INTO claude_gpt_data.user_sessions (id, user_id, session_token, expires_at)
    SELECT gen_random_uuid(), id, clock_timestamp() || 't' || n, now() - interval '1 day' FROM claude_gpt_data.users, generate_series(1, 1500) AS n};
sub drop_in_the_middle
{
    my ($command, $how) = @_;
    $node->poll_query_until('postgres', "SELECT ($held) = 0") or die 'the job before it does not end';
    hold();
    $node->safe_psql('late', $add_sessions);
    $node->safe_psql('late', q{UPDATE claude_gpt_data.jobs SET next_run_at = now() - CASE name WHEN 'session_cleanup' THEN interval '1 hour' ELSE interval '1 minute' END});
    ok($node->poll_query_until('postgres', "SELECT ($held) = 1"), "$how in the middle of a job");
    my $session = PsqlSession->new($node, 'late');
    $session->ask('SET client_min_messages = warning');
    $session->send($command);
    ok($node->poll_query_until('late', 'SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)'), "$how waits for its batch");
    let_go();
    unlike($session->answer, qr/ERROR|FATAL/, "$how succeeds after it");
    $session->close;
    return;
}
drop_in_the_middle('DROP EXTENSION claude_gpt CASCADE', 'DROP EXTENSION');
ok($node->poll_query_until('postgres', "SELECT ($held) = 0"), 'which ends the job');
is(sessions('late'), 501, 'between two batches');
is($node->safe_psql('late', q{SELECT count(*) FROM claude_gpt_data.audit_logs WHERE action = 'old'}), '1', 'the jobs that were due with it are left undone');
is($node->safe_psql('late', q{SELECT job_name, sqlstate FROM claude_gpt_data.job_runs WHERE outcome = 'failed' AND job_name <> 'session_cleanup'}), '', 'and do not fail');
$node->safe_psql('late', 'CREATE EXTENSION claude_gpt');
ask('late');
is_served('late', 'CREATE EXTENSION resumes the service');
ok($node->poll_query_until('late', q{SELECT count(*) = 0 FROM claude_gpt_data.audit_logs WHERE action = 'old'}), 'with all jobs');
# Dropped and created anew in one transaction, under a job.
drop_in_the_middle('BEGIN; DROP EXTENSION claude_gpt CASCADE; CREATE EXTENSION claude_gpt; COMMIT', 'an extension that is dropped and created');
ok($node->poll_query_until('late', q{SELECT count(*) = 0 FROM claude_gpt_data.job_runs WHERE outcome = 'running'}), 'the job comes to its end');
ask('late');
is_served('late', 'which is served');

# Restores, while every database is visited all the time. Nothing is touched before the last of it is there.
create_database('original');
$node->safe_psql('postgres', 'ALTER DATABASE original SET claude_gpt.jobs = off');
$node->safe_psql('original', "CREATE EXTENSION claude_gpt; $add_session" . q{
    INSERT INTO claude_gpt_data.job_runs (id, job_name, engine, started_at) VALUES (claude_gpt.uuid_v7(), 'session_cleanup', 'worker', now());
    INSERT INTO claude_gpt_data.audit_logs (action, resource_type, created_at) VALUES ('old', 'user', now() - interval '31 days');
    UPDATE claude_gpt_data.users SET monthly_reset_date = '2026-01-01', monthly_message_count = 3});
my $rows = rows_of($node, 'original');
$node->command_ok([ 'pg_dump', @connection, '-f', "$dir/text.sql", 'original' ], 'pg_dump');
$node->command_ok([ 'pg_dump', @connection, '-Fc', '-f', "$dir/custom", 'original' ], 'pg_dump -Fc');
(my $text = slurp_file("$dir/text.sql")) =~ s/^\\(?:un)?restrict .*\n//mg;
# Half a restore: all rows, half of what comes after them.
my ($first, $second) = $text =~ /\A(.*?)(^-- Name: [^\n]*; Type: TRIGGER;.*)\z/ms;
append_to_file("$dir/first.sql", $first);
append_to_file("$dir/second.sql", $second);
create_database('by_psql');
create_database('by_pg_restore');
reload();
ok(wait_for_visit('by_psql', 1) && wait_for_visit('by_pg_restore', 1), 'the launcher knows the databases to restore into');
$node->command_ok([ 'psql', @connection, '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/first.sql", 'by_psql' ], 'psql, first half');
$node->command_ok([ 'pg_restore', @connection, '--exit-on-error', '--section=pre-data', '--section=data', '-d', 'by_pg_restore', "$dir/custom" ], 'pg_restore, first half');
my %visited = map { ($_ => visits($_)) } qw(by_psql by_pg_restore);
reload();
for my $database (sort keys %visited)
{
    ok(wait_for_visit($database, $visited{$database} + 1), "$database is visited when it is half restored");
    is(differences($rows, rows_of($node, $database)), '', 'and not touched');
}
# Meanwhile one as a whole, by several sessions, with a visit at every moment of it.
create_database('by_parallel');
my ($restore_out, $restore_err) = ('', '');
my $restore = IPC::Run::start([ 'pg_restore', @connection, '--exit-on-error', '-j2', '-d', 'by_parallel', "$dir/custom" ], '>', \$restore_out, '2>', \$restore_err);
while ($restore->pumpable) { $restore->pump_nb; reload() }
ok($restore->finish, 'pg_restore -j2 while the launcher watches') or diag($restore_err);
is($node->safe_psql('by_parallel', 'SELECT count(*) FROM pg_index WHERE NOT indisvalid'), '0', 'with every index');
cmp_ok(visits('by_parallel'), '>', 1, 'and visits');
$node->command_ok([ 'psql', @connection, '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/second.sql", 'by_psql' ], 'psql, second half');
$node->command_ok([ 'pg_restore', @connection, '--exit-on-error', '--section=post-data', '-j2', '-d', 'by_pg_restore', "$dir/custom" ], 'pg_restore, second half');
# Meanwhile the databases of the next part, in which nothing is due for an hour.
my @many = map { "many$_" } 1 .. 30;
$node->safe_psql('model', "$add_session" . q{
    CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        WHILE (SELECT modification IS NOT NULL FROM pg_stat_file('hold', true)) LOOP PERFORM pg_sleep(0.01); END LOOP;
        RETURN OLD;
    END $$;
    CREATE TRIGGER hold BEFORE DELETE ON claude_gpt_data.user_sessions FOR EACH ROW EXECUTE FUNCTION public.hold();
    UPDATE claude_gpt_data.jobs SET next_run_at = now() + interval '1 hour'});
create_database($_, 'model') for @many;
is_served('found', 'a copy that nobody told of is found');
for my $database (qw(by_psql by_pg_restore by_parallel))
{
    is_served($database, "$database is served once it is restored");
    ok($node->poll_query_until($database, q{SELECT (SELECT count(*) = 0 FROM claude_gpt_data.audit_logs WHERE action = 'old') AND (SELECT max(monthly_message_count) = 0 FROM claude_gpt_data.users)}), 'by every job');
    is($node->safe_psql($database, q{SELECT sqlstate FROM claude_gpt_data.job_runs WHERE outcome <> 'succeeded'}), '57P02', 'which marks the run that the dump was taken in');
}

# Where jobs are off for a database, a worker comes by itself every five minutes: whoever switches them on, or gives the name of one
# database to another, as tools/restore does, does not wait for that. A third of it is time enough on any machine.
sub is_visited_soon
{
    my ($name, $count, $how) = @_;
    my $deadline = time + 100;
    return ok(wait_until(sub { time > $deadline || visits($name) > $count }) && visits($name) > $count, $how);
}
create_database('sleeper');
$node->safe_psql('postgres', 'ALTER DATABASE sleeper SET claude_gpt.jobs = off');
$node->safe_psql('sleeper', "CREATE EXTENSION claude_gpt; $add_session");
ok(wait_for_visit('sleeper', 1), 'a database with its jobs off is visited');
for my $case ([ 'sleeper', 'ALTER DATABASE sleeper SET claude_gpt.job_duty_cycle = 50' ], [ 'woken', 'ALTER DATABASE sleeper RENAME TO woken' ], [ 'woken', 'ALTER ROLE ALL SET claude_gpt.job_duty_cycle = 50; ALTER ROLE ALL RESET ALL' ])
{
    my ($name, $command) = @$case;
    wait_until(sub { $node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'claude_gpt worker'}) eq '0' });
    my $visits = visits($name);
    $node->safe_psql('postgres', $command);
    is_visited_soon($name, $visits, "$command: it is visited again");
}
is(sessions('woken'), '1', 'but nothing runs there');
$node->safe_psql('postgres', 'ALTER DATABASE woken RESET claude_gpt.jobs');
is_served('woken', 'until its jobs are on');
$node->safe_psql('postgres', 'DROP DATABASE woken');

# Thirty databases, two workers: nobody runs while jobs are off in postgresql.conf, all run after it, never more than
# two at once. Each is held by a job until all that may be there are there.
set('SET claude_gpt.jobs = off');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'claude_gpt worker'}), 'no worker is there when no job is due');
my $before = visits('many\d+');
ask($_) for @many;
is(visits('many\d+'), $before, 'claude_gpt.jobs = off in postgresql.conf keeps workers away');
hold();
set('SET claude_gpt.jobs = on');
ok($node->poll_query_until('postgres', "SELECT ($held) = 2"), 'it takes effect without a restart');
# Everybody asks, nobody more comes.
ask($_) for @many[ 0 .. 4 ];
reload();
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'claude_gpt worker'}), '2', 'with 31 databases due there are two workers');
is(most_workers_at_once(slurp_file($node->logfile)), 2, 'and never were more');
my $complaint = qr/claude_gpt cannot start a worker: raise max_worker_processes/;
unlike(slurp_file($node->logfile), $complaint, 'for which there is room');
# More than the server has room for.
set('SET claude_gpt.max_workers = 8');
ok($node->poll_query_until('postgres', "SELECT ($held) = 3"), 'a higher claude_gpt.max_workers takes effect, as far as max_worker_processes lets it');
for (1 .. 5)
{
    reload();
    ask($_) for @many[ 20 .. 22 ];
}
ok($node->poll_query_until('postgres', "SELECT ($held) = 3"), 'no more come');
is(scalar(() = slurp_file($node->logfile) =~ /$complaint/g), 1, 'of which the log tells once');
let_go();
is_served($_, "$_ has its turn") for @many;
my $log = slurp_file($node->logfile);
is(most_workers_at_once($log), 3, 'three workers at most were there at once');
set('SET claude_gpt.max_workers = 1');
ok($node->poll_query_until('postgres', q{SELECT count(*) <= 1 FROM pg_stat_activity WHERE backend_type = 'claude_gpt worker'}), 'the others leave');
$before = length slurp_file($node->logfile);
$node->safe_psql($_, "$add_session UPDATE claude_gpt_data.jobs SET next_run_at = now()") for @many[ 0 .. 3 ];
is_served($_, "$_ is served by the one worker") for @many[ 0 .. 3 ];
cmp_ok(most_workers_at_once(substr slurp_file($node->logfile), $before), '<=', 1, 'a lower claude_gpt.max_workers takes effect too');

# Dropped ones are forgotten.
$node->safe_psql('postgres', "DROP DATABASE $_") for @many;
my $found_visits = visits('found');
reload();
ok(wait_for_visit('found', $found_visits + 1), 'the launcher goes on without databases that were dropped');
$log = slurp_file($node->logfile);
# CREATE DATABASE ... TEMPLATE may have ended a visit.
unlike($log =~ s/FATAL:  terminating background worker "claude_gpt worker" due to administrator command//gr, qr/FATAL: |PANIC: |terminated by signal/, 'no worker fell over a database that was closed, half made or gone');
is(join("\n", grep { !/"session_cleanup" failed: the extension was dropped/ } $log =~ /^.*LOG:  job .* failed:.*$/mg), '', 'and no job failed');
$node->stop;

# pg_upgrade starts a server like this, and copies what it finds.
PostgreSQL::Test::Utils::system_or_bail('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', '-b', 'start');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'claude_gpt%'}), '0', 'nobody works in a server that pg_upgrade has started');
PostgreSQL::Test::Utils::system_or_bail('pg_ctl', '-w', '-D', $node->data_dir, 'stop');
done_testing();
