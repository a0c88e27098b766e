# With one worker for all databases, the owner of the tables of one of them does his best to keep it: code that catches the
# cancellation of a job, code that runs where no time-out of a job counts, a time-out of a hundred years, a process
# that does not even end when it is told to. Each time the worker is taken from him, and the other database is served.
# Long: it waits until the launcher comes again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use HostileOwner;
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('greedy');
$node->init;
# A database whose owner lets no visit end is visited again after 10 seconds, then 20: the test waits for that.
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.max_workers = 1\nclaude_gpt.max_job_time = 2s\nclaude_gpt.jobs = off\nlog_min_messages = debug1\nlog_statement = none\nlog_line_prefix = '%n '");
$node->start;

sub create_database
{
    my ($database) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->safe_psql($database, qq{CREATE EXTENSION claude_gpt;
        UPDATE claude_gpt_data.jobs SET enabled = name = 'session_cleanup';
        INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('00000000-0000-4000-8000-000000000001', 'a\@x', 'x')});
    return;
}

# Something to do for the one job that is switched on.
sub ask
{
    my ($database) = @_;
    $node->safe_psql($database, q{INSERT INTO claude_gpt_data.user_sessions (id, user_id, session_token, expires_at)
            VALUES (gen_random_uuid(), '00000000-0000-4000-8000-000000000001', clock_timestamp()::text, now() - interval '1 day');
        UPDATE claude_gpt_data.jobs SET next_run_at = now() - interval '1 minute', failures_in_a_row = 0 WHERE name = 'session_cleanup'});
    return;
}

sub is_served
{
    my ($how) = @_;
    ask('modest');
    return ok($node->poll_query_until('modest', 'SELECT count(*) = 0 FROM claude_gpt_data.user_sessions'), "$how: the other database is served");
}

create_database($_) for qw(greedy modest);
$node->safe_psql('greedy', q{
    CREATE ROLE mallory LOGIN;
    GRANT CREATE ON DATABASE greedy TO mallory;
    SELECT claude_gpt.set_owner('mallory')});
sub as_mallory { my ($sql) = @_; return $node->safe_psql('greedy', "SET client_min_messages = error; $sql", extra_params => [ '-U', 'mallory' ]) }
as_mallory("CREATE SCHEMA evil;$HostileOwner::stay");
as_mallory(q{
    ALTER TABLE claude_gpt_data.jobs DISABLE TRIGGER validate_job;
    UPDATE claude_gpt_data.jobs SET timeout = '36500 days'});

my $visit = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'claude_gpt worker' AND datname = 'greedy'};
my $stays = "SELECT EXISTS ($visit AND wait_event = 'PgSleep')";
my $ended = qr/claude_gpt ends a worker that is past its time in database "greedy"/;

# When the last visit of the database began and the one before it ended.
sub pause_before_the_last_visit
{
    my @moments;
    for (split /\n/, slurp_file($node->logfile))
    {
        push @moments, [ began => $1 ] if /^([\d.]+) .*starting background worker process "claude_gpt worker for greedy"/;
        push @moments, [ ended => $1 ] if /^([\d.]+) .*unregistering background worker "claude_gpt worker for greedy"/;
    }
    my ($begin) = grep { $moments[$_][0] eq 'began' } reverse 0 .. $#moments;
    return $begin ? $moments[$begin][1] - $moments[ $begin - 1 ][1] : 0;
}

# Visits that were ended for their time so far.
sub overstays { return scalar(() = slurp_file($node->logfile) =~ /$ended/g) }

sub is_ended
{
    my ($how) = @_;
    my $before = overstays();
    ok(wait_until(sub { overstays() > $before }), "$how: the visit is ended");
    ok($node->poll_query_until('postgres', "SELECT NOT EXISTS ($visit)"), "$how: and its process");
    return;
}

# 1. In a job: its time-out is caught.
as_mallory('CREATE TRIGGER stay BEFORE DELETE ON claude_gpt_data.user_sessions FOR EACH ROW EXECUTE FUNCTION evil.stay_in_trigger()');
ask('greedy');
$node->safe_psql('postgres', 'ALTER SYSTEM SET claude_gpt.jobs = on');
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
ok($node->poll_query_until('postgres', $stays), 'a trigger that catches every cancellation keeps a worker');
ask('modest');
is_ended('a trigger');
is_served('a trigger');
is($node->safe_psql('greedy', 'SELECT outcome FROM claude_gpt_data.job_runs'), 'running', 'a trigger: the run is left as by a crash');
as_mallory('DROP TRIGGER stay ON claude_gpt_data.user_sessions');
# His asking brings it no earlier.
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
ask('greedy');
ok($node->poll_query_until('greedy', q{SELECT EXISTS (SELECT FROM claude_gpt_data.job_runs WHERE outcome = 'succeeded')}), 'a trigger: once it is gone the job is done');
is($node->safe_psql('greedy', q{SELECT sqlstate, message FROM claude_gpt_data.job_runs WHERE outcome = 'failed'}), '57P02|the server or the session ended before the run did', 'a trigger: its run is marked');
cmp_ok(pause_before_the_last_visit(), '>=', 9.9, 'a trigger: the database was left alone for ten seconds, whoever asked');

# 2. A time-out of a hundred years, which is not caught: it is two seconds here.
as_mallory(q{CREATE FUNCTION evil.sleep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(1000000); RETURN OLD; END $$;
    CREATE TRIGGER stay BEFORE DELETE ON claude_gpt_data.user_sessions FOR EACH ROW EXECUTE FUNCTION evil.sleep(); TRUNCATE claude_gpt_data.job_runs});
my $before = overstays();
ask('greedy');
ok($node->poll_query_until('greedy', q{SELECT EXISTS (SELECT FROM claude_gpt_data.job_runs WHERE outcome = 'failed')}), 'a time-out of a hundred years does not count');
is($node->safe_psql('greedy', q{SELECT sqlstate, message FROM claude_gpt_data.job_runs}), '57014|the job timed out', 'but that of the server');
is(overstays(), $before, 'by which the run ends itself');
as_mallory('DROP TRIGGER stay ON claude_gpt_data.user_sessions');

# 3. Where no time-out of a job counts: before the first, when what a crash left is marked; and while it is looked for work.
as_mallory(q{INSERT INTO claude_gpt_data.job_runs (id, job_name, engine, started_at) VALUES (claude_gpt.uuid_v7(), 'session_cleanup', 'worker', now());
    CREATE TRIGGER stay BEFORE UPDATE ON claude_gpt_data.job_runs FOR EACH ROW EXECUTE FUNCTION evil.stay_in_trigger()});
ask('greedy');
ok($node->poll_query_until('postgres', $stays), 'code before any job keeps a worker');
is_ended('code before any job');
is_served('code before any job');
as_mallory('DROP TRIGGER stay ON claude_gpt_data.job_runs');
as_mallory(q{ALTER TABLE claude_gpt_data.user_sessions RENAME TO kept_sessions;
    CREATE VIEW claude_gpt_data.user_sessions AS SELECT * FROM claude_gpt_data.kept_sessions WHERE evil.stay_in_view();
    UPDATE claude_gpt_data.jobs SET next_run_at = now() - interval '1 minute' WHERE name = 'session_cleanup'});
ok($node->poll_query_until('postgres', $stays), 'code that a look runs keeps a worker');
is_ended('code that a look runs');
is_served('code that a look runs');

# 4. A process that does not end: one in a loop of another language would do the same.
as_mallory(q{UPDATE claude_gpt_data.jobs SET next_run_at = now() - interval '1 minute' WHERE name = 'session_cleanup'});
ok($node->poll_query_until('postgres', $stays), 'another visit');
my $stopped = $node->safe_psql('postgres', $visit);
$before = overstays();
kill 'STOP', $stopped;
ok(wait_until(sub { overstays() > $before }), 'a process that stands still is told to end');
is_served('a process that stands still');
is($node->safe_psql('postgres', $visit), $stopped, 'while it is still there');
kill 'CONT', $stopped;
ok($node->poll_query_until('postgres', "SELECT NOT EXISTS ($visit)"), 'and when it goes on it ends');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|exception|was terminated by signal/, 'nothing unexpected happened');
$node->stop;
done_testing();
