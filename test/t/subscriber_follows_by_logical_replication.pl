# A subscriber set up as docs/replication.md says has every row once, with the publisher's counters; its configuration cache and
# its listeners follow what arrives; jobs that would delete are off. Partitions of
# the publisher go on under it, and an update of both. It takes over when the subscription is dropped.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use OldRelease;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my ($publish, $role, $grants, $prepare, $subscribe, $written, $copied, $rows, $switch, $prove) = (slurp_file("$FindBin::RealBin/../../docs/replication.md") =~ /^## Subscriber(.*)/ms)[0] =~ /^```sql\n(.*?)^```/msg;
my ($publisher, $subscriber) = map { PostgreSQL::Test::Cluster->new($_) } qw(publisher subscriber);
for my $node ($publisher, $subscriber)
{
    $node->init(allows_streaming => 'logical');
    $node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = " . ($node == $subscriber ? 'on' : "off\nmax_replication_slots = 20\nmax_wal_senders = 20"));
    $node->start;
    $node->safe_psql('postgres', 'CREATE DATABASE app');
}

my ($user, $other) = map { "00000000-0000-4000-8000-00000000000$_" } 1 .. 2;
my $plans = q{UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": %d, "models": ["gpt-4"]}, "pro": {"messagesPerMonth": 1000}}' WHERE config_key = 'subscription_plans'};
$publisher->safe_psql('app', qq{
    CREATE EXTENSION claude_gpt; UPDATE claude_gpt_data.system_configs SET config_value = '{"gpt-4": {"prompt": 0, "completion": 0}}' WHERE config_key = 'model_prices';
    @{[ sprintf $plans, 100 ]};
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": 1000, "pro": 1000}' WHERE config_key = 'rate_limits';
    INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x'), ('$other', 'b\@x', 'x');
    INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ('$user', 'old', now() - interval '1 year');
    SELECT claude_gpt.consume_quota('$user', p_idempotency_key => 'once'), claude_gpt.reserve_usage('$user', 1)});
sub turn
{
    my ($node, $of) = @_;
    my $reservation = $node->safe_psql('app', "SELECT reservation_id FROM claude_gpt.begin_turn('$of', NULL, 'Hello', 'gpt-4')");
    return $node->safe_psql('app', "SELECT total_tokens FROM claude_gpt.complete_turn('$of', '$reservation', 'Hello yourself', 3, 4, 0.5)");
}
is(turn($publisher, $user), '7', 'there is a turn before the subscription');

$publisher->safe_psql('app', "$publish; $role");
$subscriber->safe_psql('app', $prepare);
my $connection = $publisher->connstr('app') =~ tr/'//dr;
ok($subscribe =~ s/host=primary dbname=app/$connection/, 'the page says where the publisher is, and as whom');
is($subscriber->safe_psql('app', $copied), 'f', 'before there is a subscription nothing is copied');
$subscriber->safe_psql('app', $subscribe);
# Without the grants nothing comes, and what an operator looks at says so.
ok($subscriber->poll_query_until('app', 'SELECT sync_error_count > 0 FROM pg_stat_subscription_stats'), 'a role without rights copies nothing');
like(slurp_file($subscriber->logfile), qr/permission denied for (schema claude_gpt_data|table \w+)/, 'as the log of the subscriber says');
is($subscriber->safe_psql('app', 'SELECT count(*) FROM claude_gpt.prove_books()'), '0', 'the books of an empty subscriber prove');
is($subscriber->safe_psql('app', $copied), 'f', 'but not all tables are copied');
isnt($subscriber->safe_psql('app', $rows), $publisher->safe_psql('app', $rows), 'nor are the rows the same');
$publisher->safe_psql('app', $grants);
$subscriber->wait_for_subscription_sync($publisher, 'claude_gpt', 'app');
is($subscriber->safe_psql('app', $copied), 't', 'with the rights of the page all are copied');
sub catch_up { $publisher->wait_for_catchup('claude_gpt'); return }

my @tables = sort map { /^(\w+)/ } (($publish =~ /FOR TABLE (.*?) WITH/s)[0] =~ /claude_gpt_data\.(\w+)/g);
cmp_ok(scalar(@tables), '==', 13, 'thirteen tables are published');
is($publisher->safe_psql('app', q{SELECT string_agg(relname, ' ' ORDER BY relname COLLATE "C") FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND relkind IN ('r', 'p') AND NOT relispartition}),
    join(' ', sort @tables, qw(application_grants claude_gpt_migrations job_runs jobs)), 'which are all but those of each database');
sub rows_of
{
    my ($node) = @_;
    return join "\n", map { "$_: " . $node->safe_psql('app', "SELECT count(*), md5(string_agg(t::text, ' ' ORDER BY t::text COLLATE \"C\")) FROM claude_gpt_data.$_ AS t") } @tables;
}
is(rows_of($subscriber), rows_of($publisher), 'every row is there, with its counters');

# The tables stay a superuser's: before 16 what another owner has put on them would run with the rights of the subscription's.
my $subscriptions = q{SELECT status FROM claude_gpt.health() WHERE check_name = 'subscriptions'};
is($subscriber->safe_psql('app', $subscriptions), 'ok', 'health finds nothing in it');
is((split /\n/, $subscriber->safe_psql('app', "BEGIN; CREATE ROLE somebody; SELECT claude_gpt.set_owner('somebody'); $subscriptions; ROLLBACK"))[-1],
    $subscriber->safe_psql('app', 'SHOW server_version_num') < 160000 ? 'critical' : 'ok', 'but where the tables are given to a role that is no superuser');

# What changes from now on, with a session and a listener on the subscriber.
my $reader = PsqlSession->new($subscriber, 'app');
is($reader->ask("SELECT claude_gpt.check_subscription_limit('$user')"), 't', 'an open session has read the plans');
my $listener = PsqlSession->new($subscriber, 'app');
$listener->ask('LISTEN claude_gpt_changes');
sub heard { return join ' ', $listener->ask('SELECT 1') =~ /with payload "(.*?)" received/g }
is(turn($publisher, $user), '7', 'a turn on the publisher');
$publisher->safe_psql('app', qq{
    SELECT claude_gpt.update_user_usage('$user', 1, 10, 0.25), claude_gpt.update_user_usage('$other', 1, 10, 0.25);
    INSERT INTO claude_gpt_data.audit_logs (user_id, action, resource_type) VALUES ('$user', 'test', 'test');
    UPDATE claude_gpt_data.messages SET content = 'Hi' WHERE role = 'user';
    DELETE FROM claude_gpt_data.messages WHERE role = 'user' AND id = (SELECT min(id::text)::uuid FROM claude_gpt_data.messages WHERE role = 'user')});
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
$publisher->safe_psql('app', "DELETE FROM claude_gpt_data.users WHERE id = '$other'");
catch_up();
is(rows_of($subscriber), rows_of($publisher), 'a user who is deleted is gone with everything');

# Jobs: those that are left run, the rest do not.
ok($subscriber->poll_query_until('app', q{SELECT last_outcome = 'succeeded' OR last_looked_at IS NOT NULL FROM claude_gpt_data.job_status WHERE name = 'partition_upkeep'}), 'partitions are made on the subscriber');
is($subscriber->safe_psql('app', q{SELECT count(*) FROM claude_gpt_data.user_sessions}), '1', 'but nothing is deleted');
is($subscriber->safe_psql('app', q{SELECT string_agg(DISTINCT job_name, ' ' ORDER BY job_name) FROM claude_gpt_data.job_runs WHERE job_name NOT IN ('partition_upkeep', 'analyze', 'job_history_prune')}), '', 'by no job');

# A row that the subscriber's rules refuse stops the subscription, with the reason in the log, and loses nothing.
$publisher->safe_psql('app', q{ALTER TABLE claude_gpt_data.system_configs DISABLE TRIGGER validate_system_configs; UPDATE claude_gpt_data.system_configs SET config_value = '{"free": -5}' WHERE config_key = 'rate_limits'});
ok($subscriber->poll_query_until('app', q{SELECT apply_error_count > 0 FROM pg_stat_subscription_stats}), 'a configuration that breaks the rules is not applied');
like(slurp_file($subscriber->logfile), qr/ERROR:  .*rate_limits/, 'and the log says why');
$publisher->safe_psql('app', q{UPDATE claude_gpt_data.system_configs SET config_value = '{"free": 1000, "pro": 1000}' WHERE config_key = 'rate_limits'; ALTER TABLE claude_gpt_data.system_configs ENABLE ALWAYS TRIGGER validate_system_configs});
my ($finish) = slurp_file($subscriber->logfile) =~ /finished at ([0-9A-F]+\/[0-9A-F]+)/;
$subscriber->safe_psql('app', "ALTER SUBSCRIPTION claude_gpt SKIP (lsn = '$finish')");
catch_up();
is(rows_of($subscriber), rows_of($publisher), 'skipped, it goes on with the next');

# The owner of tables and publication partitions messages on the publisher; the subscriber keeps its one table.
$publisher->safe_psql('app', q{CREATE ROLE app_owner; GRANT CREATE ON DATABASE app TO app_owner; SELECT claude_gpt.set_owner('app_owner')});
my $convert = q{CALL claude_gpt.partition_table('messages', '1 year')};
like(($publisher->psql('app', $convert))[2], qr/cannot be partitioned as it is\n.*publication claude_gpt, which belongs to/s, 'the publication of another than the owner is in the way of partitions');
$publisher->safe_psql('app', "ALTER PUBLICATION claude_gpt OWNER TO app_owner; $convert");
like(($subscriber->psql('app', $convert))[2], qr/cannot be partitioned as it is\n.*subscription claude_gpt/s, 'on the subscriber they are refused, since the rows of its subscription would go nowhere');
is(turn($publisher, $user), '7', 'a turn goes to a partition');
$publisher->safe_psql('app', q{UPDATE claude_gpt_data.messages SET content = 'changed' WHERE role = 'assistant'});
catch_up();
is(rows_of($subscriber), rows_of($publisher), 'and to the one table of the subscriber, like changes of what was there');

# What is dropped with its partition stays on the subscriber until it is deleted there; its sums went to the balances.
$publisher->safe_psql('app', qq{
    INSERT INTO claude_gpt_data.usage_records (user_id, usage_type, quantity, cost, created_at, billing_period) VALUES ('$user', 'message', 5, 1, '2019-05-05Z', '2019-05-01');
    UPDATE claude_gpt_data.users SET total_message_count = total_message_count + 5, total_cost = total_cost + 1 WHERE id = '$user'});
$publisher->safe_psql('app', $_) for q{CALL claude_gpt.create_partitions('usage_records', '2019-04-01Z', '2019-07-01Z')}, q{CALL claude_gpt.drop_partitions_before('usage_records', '2020-01-01Z')};
is($publisher->safe_psql('app', q{SELECT count(*) FROM claude_gpt_data.usage_records WHERE created_at < '2020-01-01Z'; SELECT count(*) FROM claude_gpt.prove_books()}), "0\n0", 'the publisher drops an old partition of the ledger');
catch_up();
isnt($subscriber->safe_psql('app', 'SELECT * FROM claude_gpt.prove_books()'), '', 'which replication does not tell: the books of the subscriber say so');
$subscriber->safe_psql('app', q{DELETE FROM claude_gpt_data.usage_records WHERE created_at < '2020-01-01Z'});
is(rows_of($subscriber), rows_of($publisher), 'deleted there too, every row is the same');
is($subscriber->safe_psql('app', 'SELECT * FROM claude_gpt.prove_books()'), '', 'and the books prove');

# Both of the release before: the publisher is updated first, while it is written; the subscriber has all until then, waits, and goes on
# after its own update.
SKIP:
{
    skip "release $OldRelease::version was not built: " . ($ENV{NO_OLD_RELEASE} // 'tools/test builds it'), 1 unless $ENV{OLD_RELEASE};
    my ($from, $to) = map { OldRelease::new_node($_, "claude_gpt.jobs = off\nwal_retrieve_retry_interval = 100ms") } qw(old_publisher old_subscriber);
    OldRelease::fill($from, 'app');
    # Without the tables that came later.
    my $old_page = sub { my ($sql) = @_; return $sql =~ s/claude_gpt_data\.message_(?:feedback|files), //gr =~ s/claude_gpt_data/claude_gpt/gr };
    $from->safe_psql('app', $old_page->($publish));
    $to->safe_psql('postgres', 'CREATE DATABASE app');
    $to->safe_psql('app', $old_page->($prepare) . q{; ALTER TABLE claude_gpt.users ADD COLUMN nickname text DEFAULT 'friend'});
    my $here = $from->connstr('app') =~ tr/'//dr;
    $to->safe_psql('app', $subscribe =~ s/CONNECTION '[^']*'/CONNECTION '$here'/r);
    $to->wait_for_subscription_sync($from, 'claude_gpt', 'app');
    $from->safe_psql('app', "SELECT claude_gpt.update_user_usage(id) FROM claude_gpt.users");
    OldRelease::install_this_release($from);
    $from->safe_psql('app', 'ALTER EXTENSION claude_gpt UPDATE');
    $from->safe_psql('app', "SELECT claude_gpt.update_user_usage('$user'), claude_gpt.consume_quota('$user', p_idempotency_key => 'after')");
    my $counted = 'SELECT sum(total_message_count) FROM %s.users';
    ok($to->poll_query_until('app', 'SELECT apply_error_count > 0 FROM pg_stat_subscription_stats'), 'the subscriber stops at the update of the publisher');
    like(slurp_file($to->logfile), qr/logical replication target relation "claude_gpt_data\.\w+" does not exist/, 'as its log says');
    my $counters = sub { my ($node, $schema) = @_; return $node->safe_psql('app', sprintf $counted, $schema) };
    is($counters->($to, 'claude_gpt'), $counters->($from, 'claude_gpt_data') - 2, 'having all that was written before');
    OldRelease::install_this_release($to);
    $to->safe_psql('app', 'ALTER EXTENSION claude_gpt UPDATE');
    $from->wait_for_catchup('claude_gpt');
    my $rows = sub { my ($node) = @_; return join "\n", map { "$_: " . $node->safe_psql('app', "SELECT count(*), md5(string_agg(to_jsonb(t)::text, ' ' ORDER BY to_jsonb(t)::text COLLATE \"C\")) FROM claude_gpt_data.$_ AS t") } @tables };
    is($rows->($to), $rows->($from), 'after its own it goes on, and has every row');
    is($to->safe_psql('app', 'SELECT count(*) FROM claude_gpt.prove_books()'), '0', 'and its books prove');
    $to->safe_psql('app', 'DROP SUBSCRIPTION claude_gpt');
    $_->stop for $from, $to;
}

# Switch over.
ok($publisher->poll_query_until('app', $written), 'the publisher says that the subscriber has all that was written');
is($subscriber->safe_psql('app', $copied), 't', 'the subscriber has all tables');
is($subscriber->safe_psql('app', $rows), $publisher->safe_psql('app', $rows), 'both have the same rows');
$subscriber->safe_psql('app', $switch);
is($subscriber->safe_psql('app', $prove), '', 'the books prove before applications come');
is(turn($subscriber, $user), '7', 'turns go on here');
is($subscriber->safe_psql('app', "SELECT replayed FROM claude_gpt.consume_quota('$user', p_idempotency_key => 'once')"), 't', 'a key that was used on the publisher is known');
ok($subscriber->poll_query_until('app', q{SELECT count(*) = 0 FROM claude_gpt_data.user_sessions}), 'all jobs run');
is($subscriber->safe_psql('app', $prove), '', 'and the books prove');
is($subscriber->safe_psql('app', q{SELECT count(*) FROM claude_gpt.health() WHERE status = 'critical'}), '0', 'all is well');
$_->close for $reader, $listener;
done_testing();
