# set_owner hands the tables over where autovacuum holds one of them and waits for that very transaction: its GRANT changed the
# table's row of pg_class, which a vacuum writes at its end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('owner');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum_naptime = '1s'\ndeadlock_timeout = '10min'\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION claude_gpt;
    CREATE ROLE keeper;
    ALTER TABLE claude_gpt_data.system_configs SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0)});

# Whoever looks finds the deadlock, and here that is always the session.
my $session = PsqlSession->new($node);
$session->ask(q{SET deadlock_timeout = '10ms'});
$session->ask('BEGIN; GRANT SELECT ON claude_gpt_data.system_configs TO keeper');
$node->safe_psql('postgres', q{UPDATE claude_gpt_data.system_configs SET description = description || '.'});
ok($node->poll_query_until('postgres', q{
    SELECT EXISTS (SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
                   WHERE a.backend_type = 'autovacuum worker' AND l.locktype = 'transactionid' AND NOT l.granted)}), 'autovacuum waits for the transaction');
is($session->ask(q{SELECT claude_gpt.set_owner('keeper')}), '', 'set_owner meets no deadlock');
$session->ask('COMMIT');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND relkind IN ('r', 'p', 'v') AND relowner <> 'keeper'::regrole}),
    '0', 'every table and view has the owner');
$session->close;
$node->stop;
done_testing();
