# pg_cron has few sessions for all databases. The owner of the tables of one of them does his best to keep those that call
# run_job there: with a lock that another run holds, with code that catches the cancellation of a job, or that runs where no
# time-out of a job counts. Each ends by itself, and the job is free again. Rows that he puts among the jobs are none.
# Long: it waits until the server ends what does not end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use HostileOwner;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('greedy');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.max_job_time = 1s\nclaude_gpt.jobs = off");
$node->start;
my $user = '00000000-0000-4000-8000-000000000001';
$node->safe_psql('postgres', qq{CREATE ROLE mallory LOGIN; GRANT CREATE ON DATABASE postgres TO mallory;
    CREATE EXTENSION claude_gpt; SELECT claude_gpt.set_owner('mallory');
    INSERT INTO claude_gpt_data.users (id, email) VALUES ('$user', 'a\@x')});
sub as_mallory { my ($sql) = @_; return $node->safe_psql('postgres', "SET client_min_messages = error; $sql", extra_params => [ '-U', 'mallory' ]) }
sub run_by_pg_cron { my ($job) = @_; my ($status, $out, $err) = $node->psql('postgres', "CALL claude_gpt.run_job('$job', 'pg_cron')", timeout => $PostgreSQL::Test::Utils::timeout_default); return $err }
as_mallory("CREATE SCHEMA evil;$HostileOwner::stay");
as_mallory(q{
    ALTER TABLE claude_gpt_data.jobs DISABLE TRIGGER validate_job;
    UPDATE claude_gpt_data.jobs SET timeout = '36500 days'});

for my $way ('BEFORE INSERT ON claude_gpt_data.job_runs FOR EACH ROW', 'BEFORE DELETE ON claude_gpt_data.user_sessions FOR EACH ROW', 'BEFORE UPDATE ON claude_gpt_data.job_runs FOR EACH ROW')
{
    as_mallory(qq{INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ('$user', '$way', now() - interval '1 day')});
    as_mallory("CREATE TRIGGER stay $way EXECUTE FUNCTION evil.stay_in_trigger()");
    like(run_by_pg_cron('session_cleanup'), qr/FATAL:  terminating connection due to administrator command/, "a trigger $way does not keep the session");
    as_mallory('DROP TRIGGER stay ON ' . ($way =~ /ON (\S+)/)[0]);
    is(run_by_pg_cron('session_cleanup'), '', 'the next run works');
    is(as_mallory('SELECT count(*) FROM claude_gpt_data.user_sessions'), '0', 'and does its work');
}

# His session has the lock, for whatever time: it is a lock as another run's.
my $holder = PsqlSession->new($node, 'postgres', '-U', 'mallory');
as_mallory(qq{CREATE TRIGGER stay BEFORE DELETE ON claude_gpt_data.user_sessions FOR EACH ROW EXECUTE FUNCTION evil.stay_in_trigger();
    INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ('$user', 'x', now() - interval '1 day')});
$holder->send("CALL claude_gpt.run_job('session_cleanup')");
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE granted AND locktype = 'object' AND classid = 'pg_extension'::regclass AND objsubid = 1}), 'a run of the owner himself holds the lock of the jobs');
like(run_by_pg_cron($_), qr/NOTICE:  job "$_" or another is running already/, "pg_cron does not wait for it: $_") for 'session_cleanup', 'audit_prune';
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mallory'});

as_mallory(q{INSERT INTO claude_gpt_data.jobs (name, run_every, timeout, next_run_at) SELECT 'x' || g, '1 second', '1 hour', now() FROM generate_series(1, 100) AS g});
is($node->safe_psql('postgres', q{SELECT count(*) FROM claude_gpt_data.jobs WHERE name LIKE 'x%'}), '100', 'rows that are no jobs');
SKIP:
{
    skip 'pg_cron is not installed', 1 if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_cron'}) eq '0';
    $node->append_conf('postgresql.conf', "shared_preload_libraries = 'claude_gpt, pg_cron'\ncron.database_name = 'postgres'");
    $node->restart;
    $node->safe_psql('postgres', 'CREATE EXTENSION pg_cron; SELECT * FROM claude_gpt.schedule_with_pg_cron()');
    is($node->safe_psql('postgres', q{SELECT count(*), count(*) FILTER (WHERE jobname LIKE 'claude\_gpt x%') FROM cron.job}), '11|0', 'get no entry of pg_cron');
}
$node->stop;
done_testing();
