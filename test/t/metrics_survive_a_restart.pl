# What is counted is of each database alone, counted by every session and by workers, kept over a restart and a promotion,
# and begins anew after a crash; a file that is not ours is not taken; without preloading nothing is counted, and health
# and metrics say so instead of failing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('metrics');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "fsync = off\nrestart_after_crash = on\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off");
$node->start;
my $user = '00000000-0000-4000-8000-000000000001';
my $furnish = "CREATE EXTENSION claude_gpt; INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x')";
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(one two);
$node->safe_psql($_, $furnish) for qw(one two);

sub metric
{
    my ($database, $name, $on) = @_;
    return ($on // $node)->safe_psql($database, "SELECT string_agg(m.labels::text || ' ' || m.value, ', ' ORDER BY m.labels::text) FROM claude_gpt.metrics('claude_gpt_$name') AS m WHERE m.value <> 0");
}
sub decisions { return metric($_[0], 'decisions_total', $_[1]) }
sub health { my ($on, $database, $check) = @_; return $on->safe_psql($database, "SELECT h.status || ': ' || h.detail FROM claude_gpt.health() AS h WHERE h.check_name = '$check'") }
sub since { return $node->safe_psql($_[0], q{SELECT m.value FROM claude_gpt.metrics('claude_gpt_counters_since_timestamp_seconds') AS m}) }

my $twelve = '{"outcome": "allowed", "function": "consume_quota"} 10, {"outcome": "denied", "function": "consume_quota"} 2';
my @sessions = map { PsqlSession->new($node, 'one') } 1 .. 4;
$_->ask("SELECT count(*) FROM (SELECT claude_gpt.consume_quota('$user') FROM generate_series(1, 3)) AS c") for @sessions;
is(decisions('one'), $twelve, 'every session counts');
is(decisions('two'), '', 'in its database alone');
$_->close for @sessions;
is(decisions('one'), $twelve, 'what it counted stays when it ends');

# Jobs.
$node->safe_psql('one', q{CALL claude_gpt.run_job('analyze')});
like(metric('one', 'job_runs_total'), qr/^\{"job": "analyze", "outcome": "succeeded"\} 1$/, 'a run is counted');
like(metric('one', 'job_seconds_total'), qr/^\{"job": "analyze"\} \d+(\.\d+)?$/, 'with the time it took');
$node->safe_psql($_, "INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ('$user', 't', now() - interval '1 year')") for qw(one two);
$node->safe_psql('one', q{CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '45000'; END $$;
    CREATE TRIGGER refuse BEFORE DELETE ON claude_gpt_data.user_sessions FOR EACH ROW EXECUTE FUNCTION refuse()});
my ($code) = $node->psql('one', q{CALL claude_gpt.run_job('session_cleanup')});
isnt($code, 0, 'a run fails');
like(metric('one', 'job_runs_total'), qr/^\{"job": "analyze", "outcome": "succeeded"\} 1, \{"job": "session_cleanup", "outcome": "failed"\} 1$/, 'which is counted too');
is(health($node, 'one', 'jobs'), 'warning: session_cleanup failed 1 times in a row: not now (45000)', 'and told');
$node->safe_psql('one', q{DROP TRIGGER refuse ON claude_gpt_data.user_sessions; CALL claude_gpt.run_job('session_cleanup')});
is(metric('one', 'job_rows_total') =~ s/.*, //r, '{"job": "session_cleanup"} 1', 'rows are those of runs that did something');
is(health($node, 'one', 'jobs'), 'ok: no job is late or failing', 'until it is mended');
is(metric('one', 'job_failures_in_a_row'), '', 'a success ends the failures');

# Workers count in the database they visit.
is(health($node, 'one', 'workers'), 'warning: claude_gpt.jobs is off on this server: no worker runs jobs', 'jobs are off');
$node->safe_psql('two', q{UPDATE claude_gpt_data.jobs SET next_run_at = now() + run_every WHERE name <> 'session_cleanup'});
$node->append_conf('postgresql.conf', 'claude_gpt.jobs = on');
$node->reload;
$node->poll_query_until('two', q{SELECT m.value > 0 FROM claude_gpt.metrics('claude_gpt_job_runs_total') AS m WHERE m.labels = '{"job": "session_cleanup", "outcome": "succeeded"}'}) or die 'no worker came';
is(health($node, 'one', 'workers'), 'ok: workers visit this database', 'jobs are on');
$node->append_conf('postgresql.conf', 'claude_gpt.jobs = off');
$node->reload;
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'claude_gpt worker'}) or die 'a worker stays';

# A restart.
$node->safe_psql('two', 'SELECT claude_gpt.reset_metrics()');
is(metric('two', 'job_runs_total'), '', 'a reset is of one database');
$node->safe_psql('two', "SELECT claude_gpt.consume_quota('$user')");
my $began = since('one');
my $file = $node->data_dir . '/pg_stat/claude_gpt.stat';
$node->stop;
ok(-s $file, 'a shutdown keeps the counters in a file');
my $kept = slurp_file($file);
$node->start;
ok(!-e $file, 'which is gone once it is read');
is(decisions('one'), $twelve, 'they survive a restart');
is(since('one'), $began, 'with the moment they count from');
is(decisions('two'), '{"outcome": "allowed", "function": "consume_quota"} 1', 'each database has its own');
$node->safe_psql('one', "SELECT claude_gpt.consume_quota('$user')");
is(decisions('one'), $twelve =~ s/ 2$/ 3/r, 'and they go on');

# A standby counts what it is asked itself.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('metrics_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(decisions('one', $standby), '', 'a standby begins at zero');
$standby->safe_psql('one', "SELECT claude_gpt.check_subscription_limit('$user', 'message')");
is(decisions('one', $standby), '{"outcome": "denied", "function": "check_subscription_limit"} 1', 'and counts what it decides');
is($standby->safe_psql('one', q{SELECT string_agg(h.check_name, ' ' ORDER BY h.check_name) FROM claude_gpt.health() AS h WHERE h.status <> 'ok'}), 'owner prices', 'health works there');
is(health($standby, 'one', 'workers'), 'ok: a standby: workers begin when it is promoted', 'and knows what it is');
$standby->promote;
is(decisions('one', $standby), '{"outcome": "denied", "function": "check_subscription_limit"} 1', 'a promotion forgets nothing');
$standby->stop;

# A crash.
my $victim = PsqlSession->new($node, 'one');
my $before = end_of_log($node);
kill KILL => $victim->ask('SELECT pg_backend_pid()');
wait_for_restart($node, $before) or die 'no restart';
is(decisions('one'), '', 'after a crash they begin anew');
cmp_ok(since('one'), '>', $began, 'and say since when');
$node->safe_psql('one', "SELECT claude_gpt.consume_quota('$user')");
$node->stop('immediate');
$node->start;
is(decisions('one'), '{"outcome": "denied", "function": "consume_quota"} 1', 'an immediate shutdown keeps them too');
$node->stop;

# Files that are none of ours, and one that cannot be written.
for my $broken ([ 'empty', '' ], [ 'cut off', substr($kept, 0, -1) ], [ 'of another layout', substr($kept, 0, 12) . "\xff\xff\xff\x7f" . substr($kept, 16) ], [ 'noise', 'x' x length $kept ])
{
    my ($how, $content) = @$broken;
    open my $out, '>:raw', $file or die $!;
    print $out $content;
    close $out;
    $node->start;
    is(decisions('one'), '', "a file that is $how is not taken");
    like(slurp_file($node->logfile), qr{file "pg_stat/claude_gpt.stat" is not one of this version of claude_gpt and is not taken}, 'as the log says');
    $node->stop('immediate');
    truncate $node->logfile, 0;
}
$node->start;
$node->safe_psql('one', "SELECT claude_gpt.consume_quota('$user')");
mkdir "$file.tmp" or die $!;
$node->stop;
like(slurp_file($node->logfile), qr{could not write file "pg_stat/claude_gpt.stat.tmp"}, 'a file that cannot be written is told, and stops nothing');
rmdir "$file.tmp";

# Not preloaded.
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->start;
is(decisions('one'), '', 'without preloading nothing is counted');
is($node->safe_psql('one', "SELECT allowed FROM claude_gpt.consume_quota('$user')"), 'f', 'calls work');
is($node->safe_psql('one', q{SELECT count(*) FROM claude_gpt.metrics() AS m WHERE m.name ~ '_total$|rate_limit'}), '0', 'metrics leaves out what it does not know');
like($node->safe_psql('one', 'SELECT count(*) FROM claude_gpt.metrics()'), qr/^\d\d\d$/, 'and tells the rest');
is(health($node, 'one', 'preload'), 'critical: the library is not preloaded: no rate limits, no workers, no counters', 'health says why');
is($node->safe_psql('one', q{SELECT hint FROM claude_gpt.health() WHERE check_name = 'preload'}), 'Add claude_gpt to shared_preload_libraries and restart the server.', 'and what to do');
$node->safe_psql('one', 'SELECT claude_gpt.reset_metrics()');

# Where only the functions are installed.
$node->safe_psql('postgres', 'CREATE DATABASE bare');
$node->safe_psql('bare', 'SET claude_gpt.install_tables = off; CREATE EXTENSION claude_gpt');
is(health($node, 'bare', 'migrations'), 'critical: there are no tables', 'without tables health says so');
like($node->safe_psql('bare', 'SELECT count(*) FROM claude_gpt.metrics()'), qr/^\d+$/, 'and metrics tells what there is');
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal/, 'nothing crashed');
$node->stop;

# slow_queries with the real pg_stat_statements, wherever it is.
SKIP:
{
    $node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'claude_gpt, pg_stat_statements'");
    $node->start;
    my ($rc, $out, $err) = $node->psql('one', 'CREATE SCHEMA "Odd schema"; CREATE EXTENSION pg_stat_statements SCHEMA "Odd schema"');
    skip 'pg_stat_statements is not installed', 3 if $rc != 0;
    $node->safe_psql('one', q{CREATE ROLE watcher LOGIN; SELECT claude_gpt.grant_application_access('watcher', 'monitor'); GRANT USAGE ON SCHEMA "Odd schema" TO watcher});
    $node->safe_psql('one', "SELECT claude_gpt.effective_tier('$user') FROM generate_series(1, 5)") for 1 .. 3;
    is($node->safe_psql('one', q{SELECT calls, row_count FROM claude_gpt_data.slow_queries WHERE query LIKE 'SELECT claude_gpt.effective_tier(%'}), '3|15', 'slow_queries tells of statements');
    is($node->safe_psql('two', q{SELECT count(*) FROM claude_gpt_data.slow_queries}), '0', 'where the extension is created');
    is($node->safe_psql('one', q{SELECT count(*) > 0 FROM claude_gpt_data.slow_queries}, extra_params => [ '-U', 'watcher' ]), 't', 'and to a monitor');
    $node->stop;
}
done_testing();
