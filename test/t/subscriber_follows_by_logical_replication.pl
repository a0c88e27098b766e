# A subscriber set up as docs/replication.md says has every row once, with the publisher's counters; its configuration cache and
# its listeners follow what arrives; jobs that would delete are off. It takes over when the subscription is dropped.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my ($publish, $prepare, $subscribe, $switch, $prove) = (slurp_file("$FindBin::RealBin/../../docs/replication.md") =~ /^## Subscriber(.*)/ms)[0] =~ /^```sql\n(.*?)^```/msg;
my ($publisher, $subscriber) = map { PostgreSQL::Test::Cluster->new($_) } qw(publisher subscriber);
for my $node ($publisher, $subscriber)
{
    $node->init(allows_streaming => 'logical');
    $node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = " . ($node == $subscriber ? 'on' : 'off'));
    $node->start;
    $node->safe_psql('postgres', 'CREATE DATABASE app');
}

my ($user, $other) = map { "00000000-0000-4000-8000-00000000000$_" } 1 .. 2;
my $plans = q{UPDATE claude_gpt.system_configs SET config_value = '{"free": {"messagesPerMonth": %d, "models": ["gpt-4"]}, "pro": {"messagesPerMonth": 1000}}' WHERE config_key = 'subscription_plans'};
$publisher->safe_psql('app', qq{
    CREATE EXTENSION claude_gpt;
    @{[ sprintf $plans, 100 ]};
    UPDATE claude_gpt.system_configs SET config_value = '{"free": 1000, "pro": 1000}' WHERE config_key = 'rate_limits';
    INSERT INTO claude_gpt.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x'), ('$other', 'b\@x', 'x');
    INSERT INTO claude_gpt.user_sessions (user_id, session_token, expires_at) VALUES ('$user', 'old', now() - interval '1 year');
    SELECT claude_gpt.consume_quota('$user', p_idempotency_key => 'once'), claude_gpt.reserve_usage('$user', 1)});
sub turn
{
    my ($node, $of) = @_;
    my $reservation = $node->safe_psql('app', "SELECT reservation_id FROM claude_gpt.begin_turn('$of', NULL, 'Hello', 'gpt-4')");
    return $node->safe_psql('app', "SELECT total_tokens FROM claude_gpt.complete_turn('$reservation', 'Hello yourself', 3, 4, 0.5)");
}
is(turn($publisher, $user), '7', 'there is a turn before the subscription');

$publisher->safe_psql('app', $publish);
$subscriber->safe_psql('app', $prepare);
my $connection = $publisher->connstr('app') =~ tr/'//dr;
ok($subscribe =~ s/'host=primary[^']*'/'$connection'/, 'the page says where the publisher is');
$subscriber->safe_psql('app', $subscribe);
$subscriber->wait_for_subscription_sync($publisher, 'claude_gpt', 'app');
sub catch_up { $publisher->wait_for_catchup('claude_gpt'); return }

my @tables = sort map { /^(\w+)/ } (($publish =~ /FOR TABLE (.*?) WITH/s)[0] =~ /claude_gpt\.(\w+)/g);
cmp_ok(scalar(@tables), '==', 11, 'eleven tables are published');
is($publisher->safe_psql('app', q{SELECT string_agg(relname, ' ' ORDER BY relname COLLATE "C") FROM pg_class WHERE relnamespace = 'claude_gpt'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition}),
    join(' ', sort @tables, qw(application_grants claude_gpt_migrations job_runs jobs)), 'which are all but those of each database');
sub rows_of
{
    my ($node) = @_;
    return join "\n", map { "$_: " . $node->safe_psql('app', "SELECT count(*), md5(string_agg(t::text, ' ' ORDER BY t::text COLLATE \"C\")) FROM claude_gpt.$_ AS t") } @tables;
}
is(rows_of($subscriber), rows_of($publisher), 'every row is there, with its counters');

# What changes from now on, with a session and a listener on the subscriber.
my $reader = PsqlSession->new($subscriber, 'app');
is($reader->ask("SELECT claude_gpt.check_subscription_limit('$user')"), 't', 'an open session has read the plans');
my $listener = PsqlSession->new($subscriber, 'app');
$listener->ask('LISTEN claude_gpt_changes');
sub heard { return join ' ', $listener->ask('SELECT 1') =~ /with payload "(.*?)" received/g }
is(turn($publisher, $user), '7', 'a turn on the publisher');
$publisher->safe_psql('app', qq{
    SELECT claude_gpt.update_user_usage('$user', 1, 10, 0.25), claude_gpt.update_user_usage('$other', 1, 10, 0.25);
    INSERT INTO claude_gpt.audit_logs (user_id, action, resource_type) VALUES ('$user', 'test', 'test');
    UPDATE claude_gpt.messages SET content = 'Hi' WHERE role = 'user';
    DELETE FROM claude_gpt.messages WHERE role = 'user' AND id = (SELECT min(id::text)::uuid FROM claude_gpt.messages WHERE role = 'user')});
catch_up();
is(rows_of($subscriber), rows_of($publisher), 'what is metered, said and deleted arrives, and nothing is counted twice');
is(heard(), '', 'metering notifies nobody there either');
is($subscriber->safe_psql('app', 'SELECT count(*) FROM claude_gpt.prove_books()'), '0', 'the books prove on the subscriber');
$publisher->safe_psql('app', sprintf $plans, 1);
catch_up();
is($reader->ask("SELECT claude_gpt.check_subscription_limit('$user')"), 'f', 'an open session sees a new limit in its next statement');
$publisher->safe_psql('app', "SELECT claude_gpt.set_subscription('$user', 'pro')");
catch_up();
is($reader->ask("SELECT claude_gpt.check_subscription_limit('$user')"), 't', 'and a new subscription');
is(heard(), qq({"table":"system_configs","id":"subscription_plans"} {"table":"users","id":"$user"}), 'listeners hear of both');
$publisher->safe_psql('app', "DELETE FROM claude_gpt.users WHERE id = '$other'");
catch_up();
is(rows_of($subscriber), rows_of($publisher), 'a user who is deleted is gone with everything');

# Jobs: those that are left run, the rest do not.
ok($subscriber->poll_query_until('app', q{SELECT last_outcome = 'succeeded' OR last_looked_at IS NOT NULL FROM claude_gpt.job_status WHERE name = 'partition_upkeep'}), 'partitions are made on the subscriber');
is($subscriber->safe_psql('app', q{SELECT count(*) FROM claude_gpt.user_sessions}), '1', 'but nothing is deleted');
is($subscriber->safe_psql('app', q{SELECT string_agg(DISTINCT job_name, ' ' ORDER BY job_name) FROM claude_gpt.job_runs WHERE job_name NOT IN ('partition_upkeep', 'analyze', 'job_history_prune')}), '', 'by no job');

# A row that the subscriber's rules refuse stops the subscription, with the reason in the log, and loses nothing.
$publisher->safe_psql('app', q{ALTER TABLE claude_gpt.system_configs DISABLE TRIGGER validate_system_configs; UPDATE claude_gpt.system_configs SET config_value = '{"free": -5}' WHERE config_key = 'rate_limits'});
ok($subscriber->poll_query_until('app', q{SELECT apply_error_count > 0 FROM pg_stat_subscription_stats}), 'a configuration that breaks the rules is not applied');
like(slurp_file($subscriber->logfile), qr/ERROR:  .*rate_limits/, 'and the log says why');
$publisher->safe_psql('app', q{UPDATE claude_gpt.system_configs SET config_value = '{"free": 1000, "pro": 1000}' WHERE config_key = 'rate_limits'; ALTER TABLE claude_gpt.system_configs ENABLE ALWAYS TRIGGER validate_system_configs});
my ($finish) = slurp_file($subscriber->logfile) =~ /finished at ([0-9A-F]+\/[0-9A-F]+)/;
$subscriber->safe_psql('app', "ALTER SUBSCRIPTION claude_gpt SKIP (lsn = '$finish')");
catch_up();
is(rows_of($subscriber), rows_of($publisher), 'skipped, it goes on with the next');

# Switch over.
$subscriber->safe_psql('app', $switch);
is($subscriber->safe_psql('app', $prove), '', 'the books prove before applications come');
is(turn($subscriber, $user), '7', 'turns go on here');
is($subscriber->safe_psql('app', "SELECT replayed FROM claude_gpt.consume_quota('$user', p_idempotency_key => 'once')"), 't', 'a key that was used on the publisher is known');
ok($subscriber->poll_query_until('app', q{SELECT count(*) = 0 FROM claude_gpt.user_sessions}), 'all jobs run');
is($subscriber->safe_psql('app', $prove), '', 'and the books prove');
is($subscriber->safe_psql('app', q{SELECT count(*) FROM claude_gpt.health() WHERE status = 'critical'}), '0', 'all is well');
$_->close for $reader, $listener;
done_testing();
