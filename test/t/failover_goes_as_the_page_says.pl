# The page on the standby, command by command, on servers that nobody has prepared for it: a base backup with a slot, a primary that
# waits for its standby, which dies and comes back by pg_rewind. What counts is that calls are answered and that the old primary
# streams, not that commands end well.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run ();
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($page) = slurp_file("$FindBin::RealBin/../../docs/replication.md") =~ /^## Standby(.*?)^## /ms;
my ($role, $failover) = $page =~ /^```sql\n(.*?)^```/msg;
my ($base_backup, $rewind) = $page =~ /^```sh\n(.*?)^```/msg;
my $user = '00000000-0000-4000-8000-000000000001';
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "fsync = off\nwal_log_hints = on\nwal_keep_size = 256MB\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off");
$primary->start;
# Before the base backup, as an operator does who has two servers.
$primary->safe_psql('postgres', $role);
$primary->safe_psql('postgres', q{CREATE EXTENSION claude_gpt; UPDATE claude_gpt_data.system_configs SET is_active = false WHERE config_key = 'rate_limits'});
$primary->safe_psql('postgres', "INSERT INTO claude_gpt_data.users (id, email) VALUES ('$user', 'a\@x')");
$primary->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = '*'});

# A command of the page, where its servers and folders are those of this test.
sub follow
{
    my ($command, $new_primary, $data) = @_;
    for my $name ('primary', 'new-primary') { $command =~ s/(-h |host=)\Q$name\E\b(?!-)/$1@{[ $new_primary->host ]}/g }
    $command =~ s{/var/lib/postgresql/15/main}{$data}g;
    local %ENV = (%ENV, PGPORT => $new_primary->port, PGUSER => $new_primary->safe_psql('postgres', 'SELECT current_user'), PGDATABASE => 'postgres');
    $command =~ s/user=postgres/user=$ENV{PGUSER}/g;
    my $said = '';
    my $is_done = IPC::Run::run([ 'bash', '-ec', $command ], '<', \undef, '>', \$said, '2>', \$said);
    return ok($is_done, $command =~ s/\s*#.*//gr) || diag($said) && 0;
}
my $standby = PostgreSQL::Test::Cluster->new('standby');
follow($base_backup, $primary, $standby->data_dir);
sub settle_in { my ($node) = @_; $node->append_conf('postgresql.conf', join "\n", '', "port = " . $node->port, "unix_socket_directories = '" . $node->host . "'"); return $node->start }
settle_in($standby);
$primary->safe_psql('postgres', 'SELECT pg_reload_conf()');
ok($primary->poll_query_until('postgres', q{SELECT sync_state = 'sync' FROM pg_stat_replication}), 'the primary waits for the standby');
sub health { my ($node) = @_; return $node->safe_psql('postgres', q{SELECT concat_ws(': ', status, detail) FROM claude_gpt.health() WHERE check_name = 'synchronous_standbys'}) }
is(health($primary), 'ok: 1 of 1 synchronous standbys are connected', 'which health() knows');
is($primary->safe_psql('postgres', "SELECT allowed FROM claude_gpt.consume_quota('$user')"), 't', 'and calls are answered');

# The primary dies. On the promoted standby a call hangs until the page is followed to its end.
kill_server($primary);
my ($promote, @rest) = map { "$_;" } grep { /\S/ } split /;[^\n]*\n/, $failover =~ s/^--.*\n//r;
$standby->safe_psql('postgres', $promote);
ok($standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()'), 'the standby is promoted');
my $call = IPC::Run::start([ 'psql', '-XAtq', '-d', $standby->connstr('postgres'), '-c', "SELECT allowed FROM claude_gpt.consume_quota('$user')" ], '<', \undef, '>', \my $answer, '2>', \my $error);
ok($standby->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'}), 'a call waits for a standby, which nobody is');
like(health($standby), qr/^critical: 0 of 1 synchronous standbys are connected: .*; 1 sessions wait$/, 'and health() says so');
my $told = join "\n", map { $standby->safe_psql('postgres', $_) } @rest;
ok($call->finish, 'when the page is followed the call is answered') or diag($error);
is($answer, "t\n", 'as it should be');
unlike($told, qr/critical/, 'and nothing critical is left');
is($standby->safe_psql('postgres', "SELECT allowed FROM claude_gpt.consume_quota('$user')"), 't', 'calls go on');

# The old primary comes back.
my $port_of_old = $primary->port;
follow($_, $standby, $primary->data_dir) for split /\n/, $rewind;
settle_in($primary);
ok($standby->poll_query_until('postgres', q{SELECT state = 'streaming' FROM pg_stat_replication}), 'the old primary streams from the new one');
is($standby->safe_psql('postgres', q{SELECT active FROM pg_replication_slots WHERE slot_name = 'standby'}), 't', 'by the slot that the page makes');
$standby->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = '*'});
$standby->safe_psql('postgres', 'SELECT pg_reload_conf()');
ok($standby->poll_query_until('postgres', q{SELECT detail = '1 of 1 synchronous standbys are connected' FROM claude_gpt.health() WHERE check_name = 'synchronous_standbys'}), 'and may be waited for again');
is($standby->safe_psql('postgres', "SELECT allowed FROM claude_gpt.consume_quota('$user')"), 't', 'calls are answered');
$standby->wait_for_catchup($standby->safe_psql('postgres', 'SELECT application_name FROM pg_stat_replication'));
my $counted = "SELECT total_message_count FROM claude_gpt_data.users WHERE id = '$user'";
is($primary->safe_psql('postgres', $counted), $standby->safe_psql('postgres', $counted), 'and it has them');
is($standby->safe_psql('postgres', $counted), '4', 'each once');
$_->stop for $primary, $standby;
done_testing();
