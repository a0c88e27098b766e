# Point-in-time recovery as docs/backup.md has it, line by line: from a base backup and archived WAL to the moment before a mistake,
# with the books proved and the workers going on from there.
use strict;
use warnings;
use File::Copy qw(move);
use FindBin;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($page) = slurp_file("$FindBin::RealBin/../../docs/backup.md") =~ /^## To a moment(.*?)^## /ms;
my ($archiving, $base_backup, $target, $begin) = $page =~ /^```(?:sh)?\n(.*?)^```/msg;
my $node = PostgreSQL::Test::Cluster->new('recovered');
my $dir = PostgreSQL::Test::Utils::tempdir;
mkdir "$dir/wal" or die $!;
# What the page calls by names of a machine is here in folders of this test.
for my $text ($archiving, $base_backup, $target, $begin)
{
    $text =~ s{/var/backups}{$dir}g;
    $text =~ s{/var/lib/postgresql/15/main}{@{[ $node->data_dir ]}}g;
}
sub run_commands { my ($commands) = @_; my $said = ''; local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port); ok(IPC::Run::run([ 'bash', '-ec', $commands ], '<', \undef, '>', \$said, '2>', \$said), $commands =~ s/\n.*//sr) or diag($said); return $said }

$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\n$archiving");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql('app', q{
    CREATE EXTENSION claude_gpt;
    INSERT INTO claude_gpt_data.users (email, password_hash) SELECT n || '@x', 'x' FROM generate_series(1, 100) AS n});
run_commands($base_backup);
my ($base) = glob "$dir/base-*";
my $count = q{SELECT count(claude_gpt.update_user_usage(id, 1, 10, 0.25)), (SELECT allowed FROM claude_gpt.reserve_usage(min(id::text)::uuid, 5)) FROM claude_gpt_data.users};
my $state = q{SELECT count(*), sum(monthly_message_count), sum(monthly_token_count), sum(held_token_count), (SELECT sum(quantity) FROM claude_gpt_data.usage_records),
    (SELECT count(*) FROM claude_gpt_data.usage_reservations), (SELECT count(*) FROM claude_gpt.prove_books()) FROM claude_gpt_data.users};
$node->safe_psql('app', $count) for 1 .. 3;
# In archived WAL alone.
my $good = $node->safe_psql('app', $state);
is($good, '100|300|3000|15|3300|3|0', 'there is something to recover');
my $moment = $node->safe_psql('app', q{SELECT clock_timestamp()});
$node->safe_psql('app', 'SELECT pg_sleep(0.01)');
# The mistake, and calls after it.
$node->safe_psql('app', q{DELETE FROM claude_gpt_data.users WHERE email LIKE '%5@x'});
$node->safe_psql('app', $count);
my $last = $node->safe_psql('app', 'SELECT pg_walfile_name(pg_switch_wal())');
ok($node->poll_query_until('app', "SELECT last_archived_wal >= '$last' FROM pg_stat_archiver"), 'the WAL is archived');

# Stop the server, put its data directory aside, copy the base backup in its place.
$node->stop;
move($node->data_dir, "$dir/aside") or die $!;
system_or_bail('cp', '-a', $base, $node->data_dir);
ok($target =~ s/(recovery_target_time = ')[^']*/$1$moment/, 'the page says where the moment stands');
append_to_file($node->data_dir . '/postgresql.conf', $target);
my ($signal, $start, $prove) = split /\n/, $begin;
run_commands($signal);
is($start, 'systemctl start postgresql', 'then the server is started');
$node->start;
ok($node->poll_query_until('app', 'SELECT NOT pg_is_in_recovery()'), 'recovery comes to its end');
is(run_commands("$prove -At -X"), '', 'the books prove, says the last line');
is($node->safe_psql('app', $state), $good, 'and everything is as it was at the moment');
$node->safe_psql('app', $count);
is($node->safe_psql('app', $state), '100|400|4000|20|4400|4|0', 'counting goes on');
$node->safe_psql('app', q{
    INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) SELECT id, 't', now() - interval '1 hour' FROM claude_gpt_data.users LIMIT 1; UPDATE claude_gpt_data.jobs SET next_run_at = now() WHERE name = 'session_cleanup'});
ok($node->poll_query_until('app', 'SELECT count(*) = 0 FROM claude_gpt_data.user_sessions'), 'and so do the workers');
$last = $node->safe_psql('app', 'SELECT pg_walfile_name(pg_switch_wal())');
ok($node->poll_query_until('app', "SELECT last_archived_wal >= '$last' FROM pg_stat_archiver"), 'and the archive, on its new timeline');
$node->stop;
done_testing();
