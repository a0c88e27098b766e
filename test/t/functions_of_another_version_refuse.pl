# Functions of the database that are of another version than the library do nothing: each refuses with 55000 and the next
# step, whatever language it is written in, also in a session that was open when they were replaced.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Calls;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $calls = "$FindBin::RealBin/../calls";
my $node = PostgreSQL::Test::Cluster->new('versions');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nclaude_gpt.jobs = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
$node->safe_psql('postgres', join '; ', map { "CREATE ROLE $_ LOGIN" } qw(app heir hired));
$node->safe_psql('postgres', q{CREATE EXTENSION claude_gpt; SELECT claude_gpt.grant_application_access('app')});
$node->psql('postgres', join("\n", 'SET client_min_messages = error; SET search_path = pg_catalog;', map { "\\i $calls/$_" } qw(names.psql fixture.psql work.psql)), on_error_die => 1);

my $session = PsqlSession->new($node, 'postgres');
$session->ask("\\set VERBOSITY verbose\n\\i $calls/names.psql\nSET client_min_messages = error");
my $plan = q{SELECT claude_gpt.effective_tier(:'user') IS NOT NULL};
is($session->ask($plan), 't', 'a session works');

# As an update does: functions are replaced, and the version is another.
my $version = $node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'claude_gpt'});
my $become = sub { my ($to) = @_; return $node->safe_psql('postgres', "BEGIN; ALTER FUNCTION claude_gpt.effective_tier(uuid) COST 2; UPDATE pg_extension SET extversion = '$to' WHERE extname = 'claude_gpt'; COMMIT") };
$become->('0.9.9');
my $refused = qr/^ERROR:  55000: the functions of claude_gpt are of version 0\.9\.9, the library of version \Q$version\E$/m;
like($session->ask($plan), qr/$refused.*^HINT:  Run ALTER EXTENSION claude_gpt UPDATE\.$/ms, 'and refuses when its functions were replaced meanwhile');

# It reads the catalog alone, and asks nothing of the library.
my %catalog_alone = (list_partitions => 1);
my $state = q{SELECT md5(string_agg(x.y, ' ' ORDER BY x.y)) FROM (SELECT format('%s %s %s', c.oid, c.relowner, c.relacl) AS y FROM pg_class AS c UNION ALL SELECT format('%s %s', p.oid, p.proacl) FROM pg_proc AS p UNION ALL SELECT format('%s %s', t.tgname, t.tgenabled) FROM pg_trigger AS t) AS x};
my $before = $node->safe_psql('postgres', $state);
my @bad;
for my $call (grep { !$_->{fires} && !$_->{pg_cron} && $_->{statement} =~ /claude_gpt\.\w+\(/ && !$catalog_alone{ $_->{routine} } } calls())
{
    my $said = $session->ask($call->{commits} ? $call->{statement} : "BEGIN; $call->{statement} ROLLBACK");
    push @bad, "$call->{statement} => $said" if $said !~ $refused;
}
is(join("\n", @bad), '', 'every function refuses');
is($node->safe_psql('postgres', $state), $before, 'and changes nothing');
like($session->ask(q{UPDATE claude_gpt_data.users SET full_name = 'B'}), $refused, 'so do triggers');

$become->($version);
is($session->ask($plan), 't', 'until they are of one version again');
$session->close;
$node->stop;
done_testing();
