# The calls of test/calls/<topic>.sql: one line a way to call a routine, with rows of fixture.psql.
#   SELECT allowed FROM claude_gpt.consume_quota(:'user');  -- application: owner
# A call works if it answers t, or nothing. After it stand the levels that may call it ("none"), and with whose rights the
# code of a table's owner runs when a superuser calls: "owner" his own, "nobody" none runs, "42501" the superuser is refused.
# Then what else is to be known:
#   commits     it commits on the way, and finds the work of work.psql
#   fires f     a statement that fires the trigger function f
#   policies    it is refused where row level security keeps rows from the caller
#   as heir     another role is to own the tables, which is refused (55000) while they stand on what belongs to the one before
#   empty       the tables must be empty
#   pg_cron     it needs pg_cron
#   each job    JOB in it stands for each job in turn: the line is one call for every row of src/core/jobs.def
#   takes NULL p   of this function NULL means something in parameter p though it is not the default; several with blanks between
# Every test that calls "every function" takes the calls from here. As a program it prints for SQL what must be so of rights:
# a line for each routine, its name and the levels that may call it in the order of the alphabet, with a tab between.
package Calls;
use strict;
use warnings;
use Exporter 'import';
use File::Basename qw(basename dirname);
our @EXPORT = qw(calls routines_without_call with_names);

our $directory = dirname(__FILE__) . '/../calls';

# In the order of the files; { topic, statement, routine, levels, superuser, and each remark with 1 or its word }.
sub calls
{
    my @calls;
    for my $file (sort glob "$directory/*.sql")
    {
        open(my $lines, '<', $file) or die "$file: $!";
        while (my $line = <$lines>)
        {
            my ($statement, $levels, $superuser, $remarks) = $line =~ /^(.*;)  -- ([\w -]+): (owner|nobody|42501)((?:, [\w ]+)*)$/ or die "$file:$.: no call: $line";
            my %remark = map { /^(fires|takes NULL) (.+)$/ ? ($1 => $2) : ($_ => 1) } grep { $_ ne '' } split /, /, $remarks;
            my $routine = $remark{fires} // ($statement =~ /claude_gpt(?:_internal)?\.(\w+)\(/)[0] // die "$file:$.: calls nothing";
            my @statements = delete $remark{'each job'} ? map { $statement =~ s/JOB/$_/r } job_names() : $statement;
            push @calls, map { { topic => basename($file, '.sql'), statement => $_, routine => $routine, levels => { map { $_ => 1 } grep { $_ ne 'none' } split / /, $levels }, superuser => $superuser, %remark } } @statements;
        }
    }
    return @calls;
}

sub job_names
{
    my $tool = dirname(__FILE__) . '/../../tools/read-register';
    open(my $names, '-|', $tool, 'rows', 'jobs.def', 'name') or die "$tool: $!";
    chomp(my @names = <$names>);
    return @names;
}

# Of the routines of the extension that a condition on pg_proc AS p names, those that have no line.
sub routines_without_call
{
    my ($node, $condition, $database) = @_;
    my %called = map { $_->{routine} => 1 } calls();
    return grep { !$called{$_} } split /\n/, $node->safe_psql($database // 'postgres', "SELECT DISTINCT p.proname FROM pg_proc AS p
        WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND ($condition) ORDER BY 1");
}

# A statement with the names of names.psql in it, for where psql does not put them there.
sub with_names
{
    my ($statement) = @_;
    our %names;
    if (!%names)
    {
        open(my $lines, '<', "$directory/names.psql") or die "names.psql: $!";
        while (<$lines>) { $names{$1} = $2 if /^\\set (\w+) (.*)$/ }
    }
    $statement =~ s/:'(\w+)'/$names{$1} \/\/ die "no name $1"/ge;
    return $statement;
}

sub print_levels
{
    my %levels;
    for my $call (calls())
    {
        my $levels = $levels{ $call->{routine} } //= {};
        # A statement that fires a trigger is whose it is; nobody calls the function.
        %$levels = (%$levels, %{ $call->{levels} }) if !$call->{fires};
    }
    print map { "$_\t" . join(' ', sort keys %{ $levels{$_} }) . "\n" } sort keys %levels;
    return;
}

print_levels() if !caller;
1;
