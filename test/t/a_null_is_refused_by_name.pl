# A NULL for a parameter of a function that users call is refused with 22004 and the name of the parameter, unless NULL is its
# default or test/calls says that it means something: each call of test/calls is made with a NULL for each parameter in turn.
# And whatever an application or a payment service calls that reads tables is refused with 55000 where the record of migrations
# is missing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Calls;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('nulls');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nclaude_gpt.jobs = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE heir; CREATE ROLE hired; CREATE ROLE app; CREATE EXTENSION claude_gpt');
$node->safe_psql('postgres', "SELECT claude_gpt.grant_application_access('app');\n" . join "\n", map { "\\i $Calls::directory/$_" } 'names.psql', 'fixture.psql');

# Of each function the parameters in order, with 1 where NULL is the default.
my %parameters;
for my $row (split /\n/, $node->safe_psql('postgres', q{
    SELECT p.proname, a.n, p.proargnames[a.n], COALESCE(pg_get_function_arg_default(p.oid, a.n) LIKE 'NULL::%', false)::int
    FROM pg_proc AS p, generate_series(1, p.pronargs) AS a (n)
    WHERE p.pronamespace = 'claude_gpt'::regnamespace ORDER BY 1, 2}))
{
    my ($function, $number, $name, $has_null) = split /\|/, $row;
    push @{ $parameters{$function} }, { name => $name, is_nullable => $has_null };
}

# The arguments of a list, split at the commas that stand in no parentheses and no string.
sub arguments_in { return grep { /\S/ } $_[0] =~ /((?:[^,()']|'[^']*'|(?:\((?:[^()']|'[^']*')*\)))+)/g }

# A call with NULL for one parameter.
sub with_null
{
    my ($statement, $function, $number, $name) = @_;
    my @changed = $statement =~ /^(.*?claude_gpt\.$function)\(((?:[^()']|'[^']*'|\((?:[^()']|'[^']*')*\))*)\)(.*)$/ or die $statement;
    my @arguments = arguments_in($changed[1]);
    my @positional = grep { !/=>/ } @arguments;
    if ($number <= @positional) { $arguments[ $number - 1 ] = ' NULL' }
    else { @arguments = ((grep { !/^\s*$name =>/ } @arguments), " $name => NULL") }
    return "$changed[0](" . join(',', @arguments) . ")$changed[2]";
}

my $session = PsqlSession->new($node);
$session->ask("\\i $Calls::directory/names.psql\n\\set VERBOSITY verbose\nSET client_min_messages = error");
sub refusal { my ($state, $message) = $session->ask("BEGIN; $_[0]") =~ /^ERROR:  (\w{5}): (.*)$/m; $session->ask('ROLLBACK'); return ($state // '', $message // '') }

my @calls = grep { !$_->{fires} && $parameters{ $_->{routine} } } calls();
my %takes_null = map { my $call = $_; map { ("$call->{routine} $_" => 1) } split / /, $call->{'takes NULL'} // '' } @calls;
my (@bad, $tried);
for my $call (@calls)
{
    my $number = 0;
    for my $parameter (@{ $parameters{ $call->{routine} } })
    {
        my $statement = with_null($call->{statement}, $call->{routine}, ++$number, $parameter->{name});
        my ($state, $message) = refusal($statement);
        my $is_refused = $state eq '22004' && $message =~ /\b$parameter->{name}\b.* must not be null$/;
        my $is_named = $takes_null{"$call->{routine} $parameter->{name}"};
        # Where a call leaves it its meaning: to make a reply anew begin_turn takes no content, for a new conversation it does.
        $takes_null{"$call->{routine} $parameter->{name}"}++ if $is_named && !$is_refused;
        push @bad, "$statement => $state $message" if $state =~ /^XX/ || !$is_named && ($is_refused xor !$parameter->{is_nullable});
        $tried++;
    }
}
is(join("\n", @bad), '', 'a NULL is refused where it means nothing');
is(join(' ', grep { $takes_null{$_} == 1 } sort keys %takes_null), '', 'and taken where test/calls says so');
cmp_ok($tried, '>', 200, "$tried times");

$session->ask('SET client_min_messages = error; DROP TABLE claude_gpt_data.claude_gpt_migrations CASCADE');
my @reading = grep { $_->{superuser} eq 'owner' && !$_->{fires} && grep { /^(read|application|billing)$/ } keys %{ $_->{levels} } } calls();
is(join("\n", map { my ($state, $message) = refusal($_->{statement}); $state eq '55000' && $message eq 'the tables of claude_gpt are not installed' ? () : "$_->{statement} => $state $message" } @reading), '', 'nor is anything read or written without the record of migrations');
is($session->ask('SHOW claude_gpt.live_objects'), '0', 'and no object of the library stays behind');
$session->close;
$node->stop;
done_testing();
