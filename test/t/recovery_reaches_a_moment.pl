# Point-in-time recovery: from a base backup and archived WAL to the moment before a mistake, with the books proved and
# the workers going on from there.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('before');
$node->init(has_archiving => 1, allows_streaming => 1);
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION claude_gpt;
    INSERT INTO claude_gpt_data.users (email, password_hash) SELECT n || '@x', 'x' FROM generate_series(1, 100) AS n});
$node->backup('base');
my $count = q{SELECT count(claude_gpt.update_user_usage(id, 1, 10, 0.25)), (SELECT allowed FROM claude_gpt.reserve_usage(min(id::text)::uuid, 5)) FROM claude_gpt_data.users};
my $state = q{SELECT count(*), sum(monthly_message_count), sum(monthly_token_count), sum(held_token_count), (SELECT sum(quantity) FROM claude_gpt_data.usage_records),
    (SELECT count(*) FROM claude_gpt_data.usage_reservations), (SELECT count(*) FROM claude_gpt.prove_books()) FROM claude_gpt_data.users};
$node->safe_psql('postgres', $count) for 1 .. 3;
# In archived WAL alone.
my $good = $node->safe_psql('postgres', $state);
is($good, '100|300|3000|15|3300|3|0', 'there is something to recover');
my $moment = $node->safe_psql('postgres', q{SELECT clock_timestamp()});
$node->safe_psql('postgres', 'SELECT pg_sleep(0.01)');
# The mistake, and calls after it.
$node->safe_psql('postgres', q{DELETE FROM claude_gpt_data.users WHERE email LIKE '%5@x'});
$node->safe_psql('postgres', $count);
my $last = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
ok($node->poll_query_until('postgres', "SELECT last_archived_wal >= '$last' FROM pg_stat_archiver"), 'the WAL is archived');
$node->stop('immediate');

my $recovered = PostgreSQL::Test::Cluster->new('after');
$recovered->init_from_backup($node, 'base', has_restoring => 1, standby => 0);
$recovered->append_conf('postgresql.conf', "recovery_target_time = '$moment'\nrecovery_target_action = promote\narchive_mode = off");
$recovered->start;
ok($recovered->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()'), 'recovery comes to its end');
is($recovered->safe_psql('postgres', $state), $good, 'everything is as it was at the moment, and the books prove');
$recovered->safe_psql('postgres', $count);
is($recovered->safe_psql('postgres', $state), '100|400|4000|20|4400|4|0', 'and counting goes on');
$recovered->safe_psql('postgres', q{
    INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) SELECT id, 't', now() - interval '1 hour' FROM claude_gpt_data.users LIMIT 1; UPDATE claude_gpt_data.jobs SET next_run_at = now() WHERE name = 'session_cleanup'});
ok($recovered->poll_query_until('postgres', 'SELECT count(*) = 0 FROM claude_gpt_data.user_sessions'), 'and so do the workers');
$recovered->stop;
done_testing();
