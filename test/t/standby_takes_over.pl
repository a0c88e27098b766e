# A standby answers what reads and refuses what writes, sees new configuration at once and runs no job. When the primary dies
# it takes over: every acknowledged call is counted, open turns are completed, jobs run. Rate limits begin anew.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off");
$primary->start;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'claude_gpt.jobs = on');  # as it is where nobody thought of it
$standby->start;
sub catch_up { $primary->wait_for_catchup($standby, 'replay'); return }

my $user = '00000000-0000-4000-8000-000000000001';
$primary->safe_psql('postgres', qq{
    CREATE EXTENSION claude_gpt;
    UPDATE claude_gpt.system_configs SET config_value = '{"free": {"messagesPerMonth": 1000000, "models": ["gpt-4"]}, "pro": {"messagesPerMonth": 2000000}}' WHERE config_key = 'subscription_plans';
    UPDATE claude_gpt.system_configs SET config_value = '{"free": 1000000}' WHERE config_key = 'rate_limits';
    INSERT INTO claude_gpt.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x');
    INSERT INTO claude_gpt.user_sessions (user_id, session_token, expires_at) VALUES ('$user', 'old', now() - interval '1 year');
    SELECT claude_gpt.update_user_usage('$user', 1, 10, 0.5)});
my $turn = $primary->safe_psql('postgres', "SELECT reservation_id FROM claude_gpt.begin_turn('$user', NULL, 'Hello', 'gpt-4')");
catch_up();

# Reading.
my $reads = qq{SELECT claude_gpt.check_subscription_limit('$user'), claude_gpt.effective_tier('$user'), claude_gpt.current_billing_period();
    SELECT action, used, held FROM claude_gpt.quota_status('$user');
    SELECT title, message_count FROM claude_gpt.list_conversations('$user');
    SELECT monthly_message_count, total_cost FROM claude_gpt.user_statistics WHERE id = '$user';
    SELECT count(*) FROM claude_gpt.prove_books()};
is($standby->safe_psql('postgres', $reads), $primary->safe_psql('postgres', $reads), 'what reads answers on the standby as on the primary');
like($standby->safe_psql('postgres', 'SELECT claude_gpt.usage_report_html()'), qr/Usage report.*<\/html>/s, 'the page of reports too');
is($standby->safe_psql('postgres', q{SELECT string_agg(check_name, ' ' ORDER BY check_name) FROM claude_gpt.health() WHERE status = 'critical'}), '', 'and health() finds nothing critical');
like($standby->safe_psql('postgres', q{SELECT detail FROM claude_gpt.health() WHERE check_name = 'workers'}), qr/standby|recovery/i, 'but that no worker works here');

# Writing.
for my $call ("update_user_usage('$user')", "consume_quota('$user')", "reserve_usage('$user', 1)", "begin_turn('$user', NULL, 'x', 'gpt-4')",
    "complete_turn('$turn', 'x', 1, 1, 0)", "set_subscription('$user', 'pro')", 'cleanup_expired_sessions()')
{
    my ($rc, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\nSELECT claude_gpt.$call");
    like($err, qr/^psql:<stdin>:2: ERROR:  25006: /, "$call is refused as read-only");
}
my $asked = q{SELECT string_agg(r.allowed::text, ' ') FROM generate_series(1, 4) AS n, claude_gpt.rate_limit('key' || n * 0, 3, '1 day') AS r};
is($standby->safe_psql('postgres', $asked), 'true true true false', 'rate limits, which write nothing, are counted here by themselves');

# Configuration that an open session has cached.
my $reader = PsqlSession->new($standby, 'postgres');
is($reader->ask("SELECT claude_gpt.check_subscription_limit('$user')"), 't', 'an open session has read the plans');
$primary->safe_psql('postgres', q{UPDATE claude_gpt.system_configs SET config_value = '{"free": {"messagesPerMonth": 1, "models": ["gpt-4"]}}' WHERE config_key = 'subscription_plans'});
catch_up();
is($reader->ask("SELECT claude_gpt.check_subscription_limit('$user')"), 'f', 'and sees new ones in its next statement');
$primary->safe_psql('postgres', q{UPDATE claude_gpt.system_configs SET config_value = '{"free": {"messagesPerMonth": 1000000, "models": ["gpt-4"]}, "pro": {"messagesPerMonth": 2000000}}' WHERE config_key = 'subscription_plans'});

# A client goes on until the primary dies; each answer it gets is on the standby too.
is($primary->safe_psql('postgres', $asked =~ s/key/primary/r), 'true true true false', 'a rate limit is used up');
$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'");
$primary->reload;
$primary->poll_query_until('postgres', "SELECT sync_state = 'sync' FROM pg_stat_replication") or die 'the standby is not synchronous';
my $home = PostgreSQL::Test::Utils::tempdir_short();
append_to_file("$home/call.sql", "SELECT claude_gpt.consume_quota('$user');\n");
my $clients = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-T', 60, '-l', "--log-prefix=$home/log", '-f', "$home/call.sql", $primary->connstr('postgres') ], '<', \undef, '>', "$home/out", '2>', "$home/err");
$primary->poll_query_until('postgres', "SELECT monthly_message_count > 500 FROM claude_gpt.users WHERE id = '$user'") or die 'nobody meters';
$primary->stop('immediate');
$clients->finish;
$standby->promote;
is($reader->ask("SELECT claude_gpt.check_subscription_limit('$user')"), 't', 'the open session goes on over the promotion');
my $acknowledged = 0;
for my $log (glob "$home/log*") { open my $file, '<', $log or die; $acknowledged++ while <$file>; close $file }
my $counted = $standby->safe_psql('postgres', "SELECT monthly_message_count - 2 + held_message_count FROM claude_gpt.users WHERE id = '$user'");
cmp_ok($acknowledged, '>', 400, 'many calls were answered');
cmp_ok($counted, '>=', $acknowledged, 'and every one is counted');
cmp_ok($counted, '<=', $acknowledged + 4, 'beside those that were under way');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM claude_gpt.prove_books()'), '0', 'the books prove');

# Life goes on.
is($standby->safe_psql('postgres', "SELECT total_tokens FROM claude_gpt.complete_turn('$turn', 'Hello yourself', 3, 4, 0)"), '7', 'a turn that was begun on the old primary is completed');
is($standby->safe_psql('postgres', "SELECT allowed FROM claude_gpt.consume_quota('$user')"), 't', 'metering goes on');
is($standby->safe_psql('postgres', $asked =~ s/key/primary/r), 'true true true false', 'rate limits begin anew: they are of one server');
ok($standby->poll_query_until('postgres', q{SELECT last_outcome = 'succeeded' FROM claude_gpt.job_status WHERE name = 'session_cleanup'}), 'jobs run here now');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM claude_gpt.user_sessions}), '0', 'and do their work');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM claude_gpt.health() WHERE status = 'critical'}), '0', 'all is well');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM claude_gpt.prove_books()'), '0', 'the books prove still');
is(join('', slurp_file($standby->logfile) =~ /^.*claude_gpt (?:launcher|worker).*(?:ERROR|exited with).*$/mg), '', 'no worker has failed, before or after');
$reader->close;

# The old primary comes back as the new one's standby.
$standby->backup('again');
my $former = PostgreSQL::Test::Cluster->new('former');
$former->init_from_backup($standby, 'again', has_streaming => 1);
$former->start;
$standby->wait_for_catchup($former, 'replay');
is($former->safe_psql('postgres', $reads), $standby->safe_psql('postgres', $reads), 'a new standby follows it');
done_testing();
