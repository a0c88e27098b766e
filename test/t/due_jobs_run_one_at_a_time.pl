# Jobs run when they are due, the oldest first, and never two at a time in a database, whoever asks: workers, pg_cron's
# entries, clients. One that fails, times out, waits for a lock or meets hostile code stops no other, comes again
# later and later, and recovers. The month of a user ends when it ends where his bill is written.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('jobs');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nshared_preload_libraries = 'claude_gpt'\nmax_worker_processes = 16\nclaude_gpt.max_workers = 8");
$node->start;

sub reload { return $node->safe_psql('postgres', 'SELECT pg_reload_conf()') }
sub hold_clock { my ($database, $moment) = @_; return $node->safe_psql('postgres', "ALTER DATABASE $database SET claude_gpt.fixed_time = '$moment'") }
sub value { my ($database, $sql) = @_; return $node->safe_psql($database, $sql) }
sub becomes { my ($database, $sql, $name) = @_; return ok($node->poll_query_until($database, $sql), $name) }
sub sqlstate_of
{
    my ($database, $sql) = @_;
    my ($status, $out, $err) = $node->psql($database, $sql, on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    return $err =~ /(?:ERROR|FATAL):  (\w{5}):/ ? $1 : '';
}

# A database whose jobs all have work, but nothing is due. A batch of session_cleanup stands still at a session named
# 'held' until open_gate(): with more than 1000 sessions in the second batch.
$node->safe_psql('postgres', 'CREATE DATABASE model');
value('model', q{
    CREATE EXTENSION claude_gpt;
    UPDATE claude_gpt_data.jobs SET next_run_at = now() + run_every + interval '59 minutes';
    INSERT INTO claude_gpt_data.users (email, password_hash) VALUES ('a@x', 'x');
    CREATE SEQUENCE public.gate;
    SELECT setval('public.gate', 1, true);
    CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        WHILE NOT (SELECT is_called FROM public.gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
        RETURN OLD;
    END $$;
    CREATE TRIGGER hold BEFORE DELETE ON claude_gpt_data.user_sessions FOR EACH ROW WHEN (OLD.session_token LIKE 'held%') EXECUTE FUNCTION public.hold();
    CREATE FUNCTION public.make_work(p_sessions integer = 1) RETURNS void LANGUAGE sql AS $$
        UPDATE claude_gpt_data.users SET monthly_reset_date = '2001-01-01', monthly_message_count = 5 WHERE email = 'a@x';
        INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at)
            SELECT id, CASE WHEN n = p_sessions THEN 'held' ELSE 'free' END || n || clock_timestamp(), '2001-01-01Z'::timestamptz + n * interval '1 second' FROM claude_gpt_data.users, generate_series(1, p_sessions) AS n;
        INSERT INTO claude_gpt_data.audit_logs (action, resource_type, created_at) VALUES ('old', 'user', '2001-01-01Z');
        INSERT INTO claude_gpt_data.job_runs (id, job_name, engine, started_at, finished_at, outcome) VALUES (claude_gpt.uuid_v7(), 'analyze', 'call', '2001-01-01Z', '2001-01-01Z', 'succeeded');
    $$});
sub create_database { my ($database) = @_; return $node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE model") }
sub open_gate { my ($database) = @_; return value($database, q{SELECT setval('public.gate', 1, true)}) }
sub close_gate { my ($database) = @_; return value($database, q{SELECT setval('public.gate', 1, false)}) }
my $stands = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'claude_gpt worker' AND application_name = 'claude_gpt job session_cleanup' AND wait_event = 'PgSleep' AND datname = };
my $no_worker = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'claude_gpt worker' AND datname = };
my $overlaps = q{SELECT count(*) FROM claude_gpt_data.job_runs AS a JOIN claude_gpt_data.job_runs AS b ON a.id < b.id AND tstzrange(a.started_at, a.finished_at) && tstzrange(b.started_at, b.finished_at)
    WHERE a.started_at > '2020-01-01Z' AND b.started_at > '2020-01-01Z'};
my $runs = q{SELECT string_agg(job_name, ' ' ORDER BY started_at, id) FROM claude_gpt_data.job_runs WHERE started_at > '2020-01-01Z'};

# A table that a client has for itself: a run takes its time to fail. Seen to at the end.
create_database('blocked');
value('blocked', 'SELECT public.make_work(2)');
my $blocker = PsqlSession->new($node, 'blocked');
$blocker->ask('BEGIN; LOCK TABLE claude_gpt_data.user_sessions IN ACCESS EXCLUSIVE MODE');
value('blocked', q{UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z' WHERE name = 'session_cleanup'; UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-02Z' WHERE name = 'audit_prune'});

# A client that holds the row of a job in jobs. Seen to at the end too.
create_database('held');
close_gate('held');
value('held', q{SELECT public.make_work(1500); UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z' WHERE name = 'session_cleanup'});
becomes('held', "${stands}'held'", 'a job stands still');
my $holder = PsqlSession->new($node, 'held');
$holder->ask("BEGIN; UPDATE claude_gpt_data.jobs SET timeout = timeout WHERE name = 'session_cleanup'");
open_gate('held');

# Who cancels run_due_jobs wants none of it.
create_database('cancelled');
$node->safe_psql('postgres', 'ALTER DATABASE cancelled SET claude_gpt.jobs = off');
close_gate('cancelled');
value('cancelled', q{SELECT public.make_work(1); UPDATE claude_gpt_data.jobs SET next_run_at = CASE name WHEN 'session_cleanup' THEN '2020-01-01Z' ELSE '2020-01-02Z' END::timestamptz WHERE name IN ('session_cleanup', 'audit_prune')});
my $cancelled = PsqlSession->new($node, 'cancelled');
$cancelled->send('CALL claude_gpt.run_due_jobs()');
becomes('cancelled', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend' AND wait_event = 'PgSleep' AND datname = 'cancelled'}, 'a job stands still in run_due_jobs');
value('cancelled', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = 'cancelled'});
like($cancelled->answer, qr/canceling statement due to user request/, 'run_due_jobs can be cancelled');
$cancelled->close;
is(value('cancelled', q{SELECT job_name, outcome, sqlstate FROM claude_gpt_data.job_runs WHERE started_at > '2020-01-01Z'}), 'session_cleanup|failed|57014', 'the job that ran fails, and no other begins');

# Oldest first, whatever their order elsewhere; at the same moment in the order of the documentation.
create_database('ordered');
value('ordered', q{
    SELECT public.make_work();
    UPDATE claude_gpt_data.jobs SET next_run_at = CASE name WHEN 'job_history_prune' THEN '2020-01-01Z' WHEN 'audit_prune' THEN '2020-01-02Z' ELSE '2020-01-03Z' END::timestamptz
        WHERE name IN ('job_history_prune', 'audit_prune', 'session_cleanup', 'monthly_reset')});
becomes('ordered', "SELECT count(*) = 4 FROM claude_gpt_data.job_runs WHERE outcome = 'succeeded' AND started_at > '2020-01-01Z'", 'every job that is due runs');
is(value('ordered', $runs), 'job_history_prune audit_prune monthly_reset session_cleanup', 'the oldest first');
is(value('ordered', $overlaps), '0', 'one after the other');
is(value('ordered', q{SELECT count(*) FROM claude_gpt_data.jobs WHERE next_run_at <= now() OR failures_in_a_row > 0}), '0', 'none of them is due any more');
is(value('ordered', q{SELECT round(extract(epoch FROM j.next_run_at - r.finished_at - j.run_every)) FROM claude_gpt_data.jobs AS j JOIN claude_gpt_data.job_runs AS r ON r.job_name = j.name AND r.started_at > '2020-01-01Z' WHERE j.name = 'session_cleanup'}),
    '0', 'the next follows run_every later');
# Clients and worker all at once.
my @clients = map { PsqlSession->new($node, 'ordered') } 1 .. 4;
for (1 .. 5)
{
    value('ordered', q{SELECT public.make_work(); UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z' WHERE name IN ('session_cleanup', 'monthly_reset', 'audit_prune', 'job_history_prune')});
    my @jobs = qw(session_cleanup analyze monthly_reset audit_prune);
    $clients[$_]->send("CALL claude_gpt.run_job('$jobs[$_]')") for 0 .. 3;
    is($clients[$_]->answer =~ /ERROR/ ? 1 : 0, 0, "a client runs $jobs[$_] beside others and a worker") for 0 .. 3;
}
$_->close for @clients;
becomes('ordered', "SELECT count(*) = 0 FROM claude_gpt_data.job_runs WHERE outcome = 'running'", 'all come to their end');
cmp_ok(value('ordered', 'SELECT count(*) FROM claude_gpt_data.job_runs'), '>=', 20, 'many ran');
is(value('ordered', $overlaps), '0', 'never two at a time');
is(value('ordered', q{SELECT count(*) FROM claude_gpt_data.job_runs WHERE outcome <> 'succeeded'}), '0', 'none in vain');

# While a worker runs a job: what can be seen of it, and what others get who ask.
create_database('busy');
close_gate('busy');
value('busy', q{SELECT public.make_work(1500); UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z' WHERE name = 'session_cleanup'});
becomes('busy', "${stands}'busy'", 'a job stands in its second batch');
is(value('busy', q{SELECT application_name, query, state FROM pg_stat_activity WHERE backend_type = 'claude_gpt worker' AND datname = 'busy'}), 'claude_gpt job session_cleanup|claude_gpt job session_cleanup|active', 'a worker is named after its job');
is(value('busy', q{SELECT l.mode, l.granted, a.backend_type FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE l.locktype = 'object' AND l.classid = 'pg_extension'::regclass AND l.objsubid = 1 AND a.datname = 'busy'}), 'ExclusiveLock|t|claude_gpt worker', 'and holds the lock on jobs');
is(value('busy', q{SELECT last_outcome, lateness_seconds FROM claude_gpt_data.job_status WHERE name = 'session_cleanup'}), 'running|0', 'job_status says that it runs');
my ($status, $out, $err) = $node->psql('busy', q{CALL claude_gpt.run_job('session_cleanup')});
like("$status $err", qr/^0 .*NOTICE:  job "session_cleanup" is running already/s, 'to ask for the job that runs is to have it');
($status, $out, $err) = $node->psql('busy', q{CALL claude_gpt.run_job('session_cleanup', 'pg_cron')});
like("$status $err", qr/^0 .*NOTICE:  job "session_cleanup" or another is running already/s, 'for pg_cron too');
value('busy', q{UPDATE claude_gpt_data.jobs SET engine = 'worker'});
($status, $out, $err) = $node->psql('busy', 'CALL claude_gpt.run_due_jobs()');
like("$status $err", qr/^0 .*NOTICE:  jobs are being run by another session/s, 'run_due_jobs leaves it to the worker');
my $waiting = q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = 'object' AND classid = 'pg_extension'::regclass AND objsubid = 1};
my $client = PsqlSession->new($node, 'busy');
$client->send(q{SET statement_timeout = '100ms'; CALL claude_gpt.run_job('audit_prune')});
like($client->answer, qr/canceling statement due to statement timeout/, 'another job waits, and can be cancelled');
is(value('busy', 'SELECT count(*) FROM claude_gpt_data.audit_logs'), '1', 'without having run');
$client->ask('RESET statement_timeout');
$client->send(q{CALL claude_gpt.run_job('audit_prune')});
becomes('busy', $waiting, 'another job waits');
is(value('busy', q{SELECT string_agg(job_name || ' ' || outcome, ', ') FROM claude_gpt_data.job_runs WHERE started_at > '2020-01-01Z'}), 'session_cleanup running', 'while the first goes on');
open_gate('busy');
is($client->answer, '', 'and follows');
is(value('busy', q{SELECT job_name, engine, outcome, row_count FROM claude_gpt_data.job_runs WHERE started_at > '2020-01-01Z' ORDER BY started_at}), "session_cleanup|worker|succeeded|1500\naudit_prune|call|succeeded|1", 'each ran once');
is(value('busy', $overlaps), '0', 'one after the other');

# The other way round: a client runs a job, and worker and pg_cron come.
close_gate('busy');
value('busy', 'SELECT public.make_work(1500)');
$client->send(q{CALL claude_gpt.run_job('session_cleanup')});
becomes('busy', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend' AND wait_event = 'PgSleep' AND datname = 'busy'}, 'a client runs a job');
value('busy', q{UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z' WHERE name IN ('session_cleanup', 'monthly_reset')});
($status, $out, $err) = $node->psql('busy', q{CALL claude_gpt.run_job('session_cleanup', 'pg_cron')});
like("$status $err", qr/^0 .*NOTICE:  job "session_cleanup" or another is running already/s, 'pg_cron has it so');
is(value('busy', q{SELECT engine FROM claude_gpt_data.jobs WHERE name = 'session_cleanup'}), 'pg_cron', 'and its entry takes the job from the workers');
is(value('busy', q{SELECT count(*) FROM claude_gpt_data.job_runs WHERE outcome = 'running'}), '1', 'no second run has begun');
open_gate('busy');
is($client->answer, '', 'the client has its run');
becomes('busy', q{SELECT monthly_message_count = 0 FROM claude_gpt_data.users}, 'the worker comes again for what was due');
is(value('busy', q{SELECT job_name, engine, row_count FROM claude_gpt_data.job_runs WHERE started_at > '2020-01-01Z' ORDER BY started_at OFFSET 2}), "session_cleanup|call|1500\nmonthly_reset|worker|1", 'but not for what is pg_cron\'s');
is(value('busy', $overlaps), '0', 'one after the other');
$client->close;
is(sqlstate_of('busy', q{BEGIN; CALL claude_gpt.run_job('analyze'); COMMIT}), '2D000', 'run_job is refused in a transaction block');
is(sqlstate_of('busy', 'BEGIN; CALL claude_gpt.run_due_jobs(); COMMIT'), '2D000', 'and so is run_due_jobs');
is(sqlstate_of('busy', q{CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL claude_gpt.run_job('analyze'); END $$; SELECT pg_temp.f()}), '2D000', 'in a function too');
is(sqlstate_of('busy', q{CALL claude_gpt.run_job('nothing')}), 'P0002', 'an unknown job does not exist');

# A long job shows how far it has come.
create_database('long');
$node->safe_psql('postgres', 'ALTER DATABASE long SET claude_gpt.job_duty_cycle = 1');
value('long', q{SELECT public.make_work(60000); UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z' WHERE name = 'session_cleanup'});
becomes('long', q{SELECT row_count > 0 AND outcome = 'running' FROM claude_gpt_data.job_runs WHERE job_name = 'session_cleanup'}, 'a run in progress tells its rows');
my $rows = value('long', q{SELECT row_count FROM claude_gpt_data.job_runs WHERE job_name = 'session_cleanup'});
is(value('long', "SELECT row_count <= 60000 - (SELECT count(*) FROM claude_gpt_data.user_sessions) FROM claude_gpt_data.job_runs WHERE job_name = 'session_cleanup'"), 't', 'no more than were committed');
becomes('long', qq{SELECT row_count > $rows AND outcome = 'running' FROM claude_gpt_data.job_runs WHERE job_name = 'session_cleanup'}, 'more and more');
becomes('long', q{SELECT clock_timestamp() - started_at > interval '5 seconds' FROM claude_gpt_data.job_runs WHERE job_name = 'session_cleanup'}, 'a job may run for long');
becomes('long', q{SELECT count(*) = 1 AND bool_and(a.xact_start IS NULL OR a.xact_start > r.started_at + interval '5 seconds') FROM pg_stat_activity AS a, claude_gpt_data.job_runs AS r
    WHERE a.backend_type = 'claude_gpt worker' AND a.datname = 'long' AND r.outcome = 'running'}, 'but none of its transactions');
value('postgres', 'DROP DATABASE long');

# A job that times out: what its whole batches did stays, and the next run goes on.
# A machine that does not come to the end of the first batch in its time gets more of it.
for my $seconds (1, 8, 64, 512)
{
    value('postgres', 'DROP DATABASE slow') if $seconds > 1;
    create_database('slow');
    close_gate('slow');
    value('slow', qq{SELECT public.make_work(1500); UPDATE claude_gpt_data.jobs SET timeout = '$seconds seconds', next_run_at = '2020-01-01Z' WHERE name = 'session_cleanup'; UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-02Z' WHERE name = 'audit_prune'});
    $node->poll_query_until('slow', q{SELECT count(*) = 1 FROM claude_gpt_data.job_runs WHERE outcome = 'failed'}) or last;
    last if value('slow', 'SELECT count(*) FROM claude_gpt_data.user_sessions') eq '500';
}
is(value('slow', q{SELECT sqlstate, message, row_count, finished_at - started_at >= timeout FROM claude_gpt_data.job_runs, claude_gpt_data.jobs WHERE name = job_name AND outcome = 'failed'}), '57014|the job timed out|1000|t', 'a run that takes too long fails, after its time');
is(value('slow', 'SELECT count(*) FROM claude_gpt_data.user_sessions'), '500', 'what its batches did stays');
becomes('slow', q{SELECT count(*) = 0 FROM claude_gpt_data.audit_logs}, 'the job after it runs');
open_gate('slow');
value('slow', q{UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z' WHERE name = 'session_cleanup'});
becomes('slow', q{SELECT count(*) = 1 FROM claude_gpt_data.job_runs WHERE job_name = 'session_cleanup' AND outcome = 'succeeded'}, 'the next run goes on');
is(value('slow', 'SELECT count(*) FROM claude_gpt_data.user_sessions'), '0', 'to the end');
is(value('slow', q{SELECT row_count, failures_in_a_row FROM claude_gpt_data.job_runs, claude_gpt_data.jobs WHERE name = job_name AND job_name = 'session_cleanup' AND outcome = 'succeeded'}), '500|0', 'with the rest');
# Within one call by a client: his session goes on without the alarm.
close_gate('slow');
value('slow', q{SELECT public.make_work(1); UPDATE claude_gpt_data.jobs SET next_run_at = now() + run_every});
is(sqlstate_of('slow', q{CALL claude_gpt.run_job('session_cleanup')}), '57014', 'a client\'s call times out with 57014');
$client = PsqlSession->new($node, 'slow');
like($client->ask(q{CALL claude_gpt.run_job('session_cleanup')}), qr/timed out|canceling/, 'and again');
is($client->ask('SELECT pg_sleep(1.2), 1'), '|1', 'and leaves nothing behind in the session');
$client->close;

# Rows that an application holds are left, not waited for.
create_database('shared');
value('shared', q{SELECT public.make_work(10); INSERT INTO claude_gpt_data.users (email, password_hash, monthly_reset_date, monthly_message_count) SELECT n || '@x', 'x', '2001-01-01', 7 FROM generate_series(1, 10) AS n});
$client = PsqlSession->new($node, 'shared');
$client->ask(q{BEGIN; SELECT FROM claude_gpt_data.user_sessions WHERE session_token LIKE 'free%' LIMIT 3 FOR UPDATE; UPDATE claude_gpt_data.users SET full_name = 'x' WHERE email LIKE '%1%@x'});
value('shared', q{UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z' WHERE name IN ('monthly_reset', 'session_cleanup')});
becomes('shared', q{SELECT count(*) = 2 FROM claude_gpt_data.job_runs WHERE outcome = 'succeeded' AND started_at > '2020-01-01Z'}, 'jobs succeed beside a client that holds rows');
is(value('shared', q{SELECT string_agg(job_name || ' ' || row_count, ', ' ORDER BY job_name) FROM claude_gpt_data.job_runs WHERE started_at > '2020-01-01Z'}), 'monthly_reset 9, session_cleanup 7', 'they do the rest');
$client->ask('ROLLBACK');
$client->close;
value('shared', q{UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z' WHERE name IN ('monthly_reset', 'session_cleanup')});
becomes('shared', q{SELECT count(*) = 0 FROM claude_gpt_data.users WHERE monthly_message_count > 0}, 'what was held is done the next time');
becomes('shared', q{SELECT count(*) = 0 FROM claude_gpt_data.user_sessions}, 'by both');

# A job that always fails: the others run, it comes again later and later, and recovers.
create_database('failing');
value('failing', q{CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'sessions are kept' USING ERRCODE = 'UQ999'; END $$;
    CREATE TRIGGER refuse BEFORE DELETE ON claude_gpt_data.user_sessions FOR EACH ROW EXECUTE FUNCTION public.refuse();
    SELECT public.make_work(); UPDATE claude_gpt_data.jobs SET enabled = false});
# Which calls for a worker, to whom the next runs of today are of the future.
hold_clock('failing', '2026-05-05T00:00:00Z');
value('failing', q{UPDATE claude_gpt_data.jobs SET enabled = true, next_run_at = CASE name WHEN 'session_cleanup' THEN timestamptz '2020-01-01Z' ELSE '2020-01-02Z' END WHERE name IN ('session_cleanup', 'monthly_reset', 'audit_prune', 'job_history_prune')});
becomes('failing', q{SELECT count(*) = 3 FROM claude_gpt_data.job_runs WHERE outcome = 'succeeded' AND started_at > '2020-01-01Z'}, 'beside a job that fails the others run');
is(value('failing', q{SELECT job_name, sqlstate, message FROM claude_gpt_data.job_runs WHERE outcome = 'failed'}), 'session_cleanup|UQ999|sessions are kept', 'it is on record with its error');
like(slurp_file($node->logfile), qr/LOG:  job "session_cleanup" failed: sessions are kept \(SQLSTATE UQ999\)/, 'and in the log');
my $state = q{SELECT failures_in_a_row, to_char(next_run_at AT TIME ZONE 'UTC', 'HH24:MI:SS') FROM claude_gpt_data.jobs WHERE name = 'session_cleanup'};
is(value('failing', $state), '1|00:00:10', 'it comes again after 10 seconds');
# Another job of an hour shows that a worker was there.
my $failures = 1;
sub visit_at
{
    my ($moment) = @_;
    hold_clock('failing', "2026-05-05T${moment}Z");
    value('failing', q{INSERT INTO claude_gpt_data.audit_logs (action, resource_type, created_at) VALUES ('old', 'user', '2001-01-01Z'); UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z' WHERE name = 'audit_prune'});
    $node->poll_query_until('failing', 'SELECT count(*) = 0 FROM claude_gpt_data.audit_logs') or die 'no worker comes';
    $node->poll_query_until('failing', "${no_worker}'failing'") or die 'no worker leaves';
    return;
}
for my $next ([ '00:00:09.999999', '1|00:00:10' ], [ '00:00:10', '2|00:00:30' ], [ '00:00:29.999999', '2|00:00:30' ], [ '00:00:30', '3|00:01:10' ], [ '00:01:10', '4|00:02:30' ])
{
    visit_at($next->[0]);
    is(value('failing', $state), $next->[1], "at $next->[0] failures and next run are $next->[1]");
}
value('failing', q{UPDATE claude_gpt_data.jobs SET failures_in_a_row = 30 WHERE name = 'session_cleanup'});
visit_at('00:02:30');
is(value('failing', $state), '31|01:02:30', 'an hour at most');
value('failing', 'DROP TRIGGER refuse ON claude_gpt_data.user_sessions');
visit_at('01:02:30');
is(value('failing', $state), '0|02:02:30', 'when it succeeds it counts from nothing again, and comes after run_every');
is(value('failing', 'SELECT count(*) FROM claude_gpt_data.user_sessions'), '0', 'its work is done');
# What cannot even look fails as a run.
value('failing', 'ALTER TABLE claude_gpt_data.user_sessions RENAME TO away');
visit_at('03:00:00');
is(value('failing', q{SELECT r.job_name, r.sqlstate FROM (SELECT * FROM claude_gpt_data.job_runs ORDER BY id DESC LIMIT 2) AS r ORDER BY r.job_name}), "audit_prune|\nsession_cleanup|55000", 'a job without its table fails on record');
value('failing', 'ALTER TABLE claude_gpt_data.away RENAME TO user_sessions');
visit_at('03:00:10');
is(value('failing', q{SELECT failures_in_a_row FROM claude_gpt_data.jobs WHERE name = 'session_cleanup'}), '1', 'what then finds nothing to do writes nothing');
is(value('failing', q{SELECT last_looked_at FROM claude_gpt_data.job_status WHERE name = 'session_cleanup'}), '2026-05-05 03:00:10+00', 'but is noted');

# A month begins where the bill is written: [ name, zone, first instant, last month, new month ]. Half an hour beside the
# full one, across both changes of daylight saving, before everyone else, and in a night that has no midnight.
my @months = (
    [ 'utc', 'UTC', '2026-11-01 00:00:00+00', '2026-10-01', '2026-11-01' ],
    [ 'kolkata', 'Asia/Kolkata', '2026-10-31 18:30:00+00', '2026-10-01', '2026-11-01' ],
    [ 'york_before_autumn', 'America/New_York', '2026-11-01 04:00:00+00', '2026-10-01', '2026-11-01' ],
    [ 'york_after_autumn', 'America/New_York', '2026-12-01 05:00:00+00', '2026-11-01', '2026-12-01' ],
    [ 'york_before_spring', 'America/New_York', '2027-03-01 05:00:00+00', '2027-02-01', '2027-03-01' ],
    [ 'york_after_spring', 'America/New_York', '2027-04-01 04:00:00+00', '2027-03-01', '2027-04-01' ],
    [ 'kiritimati', 'Pacific/Kiritimati', '2026-10-31 10:00:00+00', '2026-10-01', '2026-11-01' ],
    [ 'damascus', 'Asia/Damascus', '2006-03-31 22:00:00+00', '2006-03-01', '2006-04-01' ]);
sub set_months
{
    my ($offset) = @_;
    my $moments = join ' UNION ALL ', map { "SELECT '$_->[0]' AS name, to_char(('$_->[2]'::timestamptz + interval '$offset') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS moment" } @months;
    hold_clock(split /\|/) for split /\n/, value('postgres', $moments);
    return;
}
for my $month (@months)
{
    my ($name, $zone, $begins, $last, $new) = @$month;
    create_database($name);
    value($name, qq{
        UPDATE claude_gpt_data.system_configs SET config_value = '"$zone"' WHERE config_key = 'billing_timezone';
        UPDATE claude_gpt_data.jobs SET enabled = name = 'session_cleanup';
        UPDATE claude_gpt_data.users SET monthly_reset_date = '2001-01-01', monthly_message_count = 3;
        INSERT INTO claude_gpt_data.users (email, password_hash, monthly_reset_date, monthly_message_count) VALUES ('b\@x', 'x', '$last', 4)});
}
set_months('-6 hours');
value($_->[0], q{UPDATE claude_gpt_data.jobs SET enabled = true, next_run_at = '2000-01-01Z' WHERE name = 'monthly_reset'}) for @months;
for my $month (@months)
{
    my ($name, $zone, $begins, $last, $new) = @$month;
    becomes($name, q{SELECT count(*) = 1 FROM claude_gpt_data.job_runs WHERE outcome = 'succeeded' AND job_name = 'monthly_reset'}, "$name: users of earlier months are reset");
    is(value($name, 'SELECT email, monthly_reset_date, monthly_message_count FROM claude_gpt_data.users ORDER BY 1'), "a\@x|$last|0\nb\@x|$last|4", "$name: those of the last month are not");
    is(value($name, qq{SELECT next_run_at AT TIME ZONE 'UTC' = '$begins'::timestamptz AT TIME ZONE 'UTC', next_run_at FROM claude_gpt_data.jobs WHERE name = 'monthly_reset'}), "t|$begins", "$name: the next run is due when the month begins");
    value($name, qq{SELECT public.make_work(); UPDATE claude_gpt_data.users SET monthly_reset_date = '$last' WHERE email = 'a\@x';
        UPDATE claude_gpt_data.jobs SET next_run_at = '$begins'::timestamptz - interval '1 microsecond' WHERE name = 'session_cleanup'});
}
# A worker is there a microsecond before.
set_months('-1 microsecond');
reload();
for my $month (@months)
{
    my ($name, $zone, $begins, $last, $new) = @$month;
    becomes($name, 'SELECT count(*) = 0 FROM claude_gpt_data.user_sessions', "$name: a worker comes a microsecond early");
    is(value($name, 'SELECT monthly_reset_date, monthly_message_count FROM claude_gpt_data.users ORDER BY email'), "$last|5\n$last|4", "$name: and resets nobody");
}
# It comes again by itself.
set_months('0');
for my $month (@months)
{
    my ($name, $zone, $begins, $last, $new) = @$month;
    becomes($name, 'SELECT max(monthly_message_count) = 0 FROM claude_gpt_data.users', "$name: when the month begins everyone is reset");
    is(value($name, 'SELECT DISTINCT monthly_reset_date FROM claude_gpt_data.users'), $new, "$name: to the month that begins");
    becomes($name, qq{SELECT next_run_at = '$begins'::timestamptz + interval '1 day' AND failures_in_a_row = 0 FROM claude_gpt_data.jobs WHERE name = 'monthly_reset'}, "$name: and the next run is a day later");
}

# Jobs on tables whose owner wants to become superuser: his code runs, as himself.
create_database('hostile');
my $superuser = value('postgres', 'SELECT current_user');
value('hostile', qq{
    CREATE ROLE mallory LOGIN;
    SELECT claude_gpt.set_owner('mallory');
    ALTER DATABASE hostile OWNER TO mallory;
    CREATE SCHEMA evil AUTHORIZATION mallory;
    GRANT USAGE ON SCHEMA evil TO PUBLIC;
    GRANT SELECT ON SEQUENCE public.gate TO PUBLIC});
# The database's search_path is set against those who do not qualify their names: this test is one of them.
$ENV{PGOPTIONS} = '-c search_path=pg_catalog';
sub as_mallory { my ($sql) = @_; return $node->safe_psql('hostile', $sql, extra_params => [ '-U', 'mallory' ]) }
as_mallory(qq{
    CREATE SEQUENCE evil.ran; CREATE SEQUENCE evil.escalated;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA evil TO PUBLIC;
    CREATE FUNCTION evil.look() RETURNS void LANGUAGE plpgsql AS \$\$
    BEGIN
        IF current_setting('is_superuser') = 'on' AND current_user = session_user OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN PERFORM nextval('evil.escalated'); END IF;
    END \$\$;
    CREATE FUNCTION evil.strike() RETURNS void LANGUAGE plpgsql AS \$\$
    DECLARE attempt text;
    BEGIN
        IF session_user <> 'mallory' THEN PERFORM nextval('evil.ran'); END IF;
        PERFORM evil.look();
        FOREACH attempt IN ARRAY ARRAY['ALTER ROLE mallory SUPERUSER', 'RESET ROLE', 'SET ROLE "$superuser"', 'SET ROLE NONE', 'RESET SESSION AUTHORIZATION', 'SET LOCAL ROLE "$superuser"',
                                       'SET SESSION AUTHORIZATION DEFAULT', 'CREATE ROLE eve SUPERUSER', 'COPY (SELECT 1) TO PROGRAM ''true''', 'SET session_replication_role = replica', 'UPDATE pg_authid SET rolsuper = true'] LOOP
            BEGIN EXECUTE attempt; PERFORM nextval('evil.escalated'); EXCEPTION WHEN OTHERS THEN NULL; END;
            PERFORM evil.look();
        END LOOP;
    END \$\$;
    CREATE FUNCTION evil.row_trigger() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN PERFORM evil.strike(); RETURN COALESCE(NEW, OLD); END \$\$;
    CREATE FUNCTION evil.yes() RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN PERFORM evil.strike(); RETURN true; END \$\$;
    CREATE FUNCTION evil.expression(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN PERFORM evil.strike(); RETURN \$1; END \$\$;
    -- What a careless statement would find first.
    CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS \$\$ BEGIN PERFORM evil.strike(); RETURN pg_catalog.now(); END \$\$;
    CREATE FUNCTION evil.less(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN PERFORM evil.strike(); RETURN timestamptz_lt(\$1, \$2); END \$\$;
    CREATE OPERATOR evil.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = evil.less);
    ALTER DATABASE hostile SET search_path = evil, pg_catalog, claude_gpt_data, claude_gpt}) =~ /ERROR/ and die;
my @tables = split /\n/, value('hostile', q{SELECT relname FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1});
sub work_among
{
    my ($weapons, $disarm, $how) = @_;
    as_mallory(join ';', map { (my $sql = $weapons) =~ s/TABLE_NAME/$_/gr } @tables);
    value('hostile', q{SET session_replication_role = replica; SELECT public.make_work(); SELECT setval('evil.escalated', 1, false), setval('evil.ran', 1, false)});
    value('hostile', q{SET session_replication_role = replica; UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z', failures_in_a_row = 0});
    reload();
    becomes('hostile', 'SELECT is_called FROM evil.ran', "$how->[0]: hostile code runs in jobs") if $how->[1];
    ok($node->poll_query_until('hostile', q{SELECT count(*) = 0 FROM claude_gpt_data.jobs WHERE enabled AND next_run_at < '2021-01-01Z' AND NOT EXISTS (SELECT FROM claude_gpt_internal.job_looks() AS l WHERE l.name = jobs.name)}), "$how->[0]: every job has run or was looked at");
    $node->poll_query_until('hostile', "${no_worker}'hostile'") or die 'no worker leaves';
    is(value('hostile', 'SELECT is_called FROM evil.escalated'), 'f', "$how->[0]: as its owner only");
    is(value('postgres', q{SELECT count(*) FROM pg_roles WHERE rolname IN ('mallory', 'eve') AND rolsuper}), '0', "$how->[0]: who gains nothing");
    as_mallory(join ';', map { (my $sql = $disarm) =~ s/TABLE_NAME/$_/gr } @tables);
    return;
}
work_among(
    q{CREATE TRIGGER a_evil BEFORE INSERT OR UPDATE OR DELETE ON claude_gpt_data.TABLE_NAME FOR EACH ROW EXECUTE FUNCTION evil.row_trigger();
      CREATE TRIGGER z_evil AFTER INSERT OR UPDATE OR DELETE ON claude_gpt_data.TABLE_NAME FOR EACH STATEMENT EXECUTE FUNCTION evil.row_trigger();
      ALTER TABLE claude_gpt_data.TABLE_NAME ENABLE ROW LEVEL SECURITY; ALTER TABLE claude_gpt_data.TABLE_NAME FORCE ROW LEVEL SECURITY;
      CREATE POLICY evil ON claude_gpt_data.TABLE_NAME USING (evil.yes()) WITH CHECK (evil.yes())},
    q{DROP TRIGGER a_evil ON claude_gpt_data.TABLE_NAME; DROP TRIGGER z_evil ON claude_gpt_data.TABLE_NAME; DROP POLICY evil ON claude_gpt_data.TABLE_NAME; ALTER TABLE claude_gpt_data.TABLE_NAME NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY},
    [ 'triggers and policies', 1 ]);
is(value('hostile', q{SELECT count(*) FROM claude_gpt_data.user_sessions}), '0', 'triggers and policies: and the jobs do their work');
work_among(
    q{CREATE CONSTRAINT TRIGGER y_evil AFTER INSERT OR UPDATE OR DELETE ON claude_gpt_data.TABLE_NAME DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil.row_trigger()},
    q{DROP TRIGGER y_evil ON claude_gpt_data.TABLE_NAME},
    [ 'deferred triggers', 0 ]);

# The table that a client had for itself: the run failed, in its tries, and comes again; on a slow machine it has, more than once.
becomes('held', q{SELECT outcome = 'succeeded' FROM claude_gpt_data.job_runs WHERE job_name = 'session_cleanup'}, 'a run whose job a client holds comes on record');
value('held', q{UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-02Z' WHERE name = 'audit_prune'});
becomes('held', q{SELECT count(*) = 0 FROM claude_gpt_data.audit_logs}, 'and keeps no other job from running');
is(value('held', q{SELECT row_count FROM claude_gpt_data.job_runs WHERE job_name = 'session_cleanup'}), '1500', 'nor is it run again');
$holder->close;
becomes('blocked', q{SELECT count(*) = 0 FROM claude_gpt_data.audit_logs}, 'a job that cannot have its table does not keep the next from running');
is(value('blocked', q{SELECT DISTINCT job_name, sqlstate, message FROM claude_gpt_data.job_runs WHERE outcome = 'failed'}), 'session_cleanup|55P03|canceling statement due to lock timeout', 'but fails');
$blocker->ask('COMMIT');
$blocker->close;
becomes('blocked', q{SELECT count(*) = 0 FROM claude_gpt_data.user_sessions}, 'and does its work when the table is free');
is(value('blocked', q{SELECT failures_in_a_row FROM claude_gpt_data.jobs WHERE name = 'session_cleanup'}), '0', 'with which its failures are forgotten');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal|exception/, 'nothing crashed');
# Without the library preloaded a look that found nothing to do is on record in the table.
my $unloaded = PostgreSQL::Test::Cluster->new('unloaded');
$unloaded->init;
$unloaded->append_conf('postgresql.conf', 'fsync = off');
$unloaded->start;
$unloaded->safe_psql('postgres', q{CREATE EXTENSION claude_gpt; UPDATE claude_gpt_data.jobs SET next_run_at = '2020-01-01Z'});
my $asked_at = $unloaded->safe_psql('postgres', q{UPDATE claude_gpt_data.jobs SET run_every = '1 day' WHERE run_every < '1 day'; SELECT now()});
$unloaded->safe_psql('postgres', 'CALL claude_gpt.run_due_jobs()');
is($unloaded->safe_psql('postgres', qq{SELECT count(*) FROM claude_gpt_data.jobs WHERE next_run_at - run_every BETWEEN '$asked_at' AND now() OR name = 'monthly_reset' AND next_run_at > now()}), '9', 'run_due_jobs puts off what has nothing to do');
is($unloaded->safe_psql('postgres', q{SELECT count(*) FROM claude_gpt_data.job_status WHERE lateness_seconds > 0}), '0', 'so nothing is late');
$unloaded->stop;
$node->stop;
done_testing();
