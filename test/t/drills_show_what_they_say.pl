# The drills of docs/operations.md, statement by statement as they stand there, on a server with workers and a database with many users:
# each shows what its row of the table says is to be seen, and leaves nothing behind.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($page) = slurp_file("$FindBin::RealBin/../../docs/operations.md") =~ /^## Drills\n(.*?)^## /ms;
my %drill = map { (/^-- as .*\n-- (the books are false|a job fails)/)[0] => $_ } $page =~ /^```sql\n(.*?)^```/msg;
is(join(', ', sort keys %drill), 'a job fails, the books are false', 'the page has these drills');
like($page, qr/^\| a job fails \| below \| `health\(\)` warns, /m, 'and says what is to be seen of a job');
like($page, qr/^\| the books are false \| below \| `health\(\)` is critical, `prove_books\(\)` names users, `repair_books\(\)` sets them right \|/m, 'and of books');

my $node = PostgreSQL::Test::Cluster->new('drills');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE DATABASE app');
$node->safe_psql('app', q{CREATE EXTENSION claude_gpt; SELECT claude_gpt.set_owner('owner')});
sub as_owner { my ($sql) = @_; return $node->safe_psql('app', $sql, extra_params => [ '-U', 'owner' ]) }
# Five hundred users, of whom the oldest were active first.
as_owner(q{UPDATE claude_gpt_data.system_configs SET is_active = false WHERE config_key = 'rate_limits';
    INSERT INTO claude_gpt_data.users (email) SELECT n || '@x' FROM generate_series(1, 500) AS n;
    SELECT count(claude_gpt.update_user_usage(id, 1, 1, 0)) FROM claude_gpt_data.users});
sub status { my ($check) = @_; return as_owner("SELECT status FROM claude_gpt.health() WHERE check_name = '$check'") }
sub statements { my ($block) = @_; return grep { /\S/ } split /;(?=[^\n;]*\n(?=\S|\z))/, $block =~ s/^--.*\n//mgr }
is(status('books'), 'ok', 'the books are true');
my @said;
for my $statement (statements($drill{'the books are false'}))
{
    my $answer = as_owner($statement);
    push @said, $answer if $statement =~ /^\s*SELECT/;
}
like($said[0], qr/^books\|critical\|1 differences /, 'health() is critical');
like($said[1], qr/^[0-9a-f-]{36}\|/, 'prove_books() names the user');
like($said[2], qr/\S/, 'repair_books() says what it sets right');
is(status('books'), 'ok', 'and all is well');
is(as_owner('SELECT count(*) FROM claude_gpt.prove_books()'), '0', 'for everybody');
is(status('triggers'), 'ok', 'with the trigger on');

ok($node->poll_query_until('app', q{SELECT count(*) = 0 FROM claude_gpt_data.job_status WHERE last_looked_at IS NULL}), 'workers have looked at every job, and nothing is to do');
my @statements = statements($drill{'a job fails'});
my ($watching) = grep { $statements[$_] =~ /health\(\)/ } 0 .. $#statements;
as_owner($_) for @statements[ 0 .. $watching - 1 ];
ok($node->poll_query_until('app', "SELECT status = 'warning' AND detail ~ 'session_cleanup failed . times in a row: a drill' FROM ($statements[$watching]) AS h"), 'health() warns, with the error of the drill');
as_owner($_) for @statements[ $watching + 1 .. $#statements ];
as_owner(q{UPDATE claude_gpt_data.jobs SET next_run_at = now() WHERE name = 'session_cleanup'});
ok($node->poll_query_until('app', q{SELECT status = 'ok' FROM claude_gpt.health() WHERE check_name = 'jobs'}), 'afterwards the job runs');
is(as_owner('SELECT count(*) FROM claude_gpt_data.user_sessions'), '0', 'and has done its work');
$node->stop;
done_testing();
