# The calls of test/calls/<topic>.sql: one line a way to call a routine, with rows of fixture.psql.
#   SELECT allowed FROM claude_gpt.consume_quota(:'user');  -- application: owner
# A call works if it answers t, or nothing. After it stand the levels that may call it ("none"), and with whose rights the
# code of a table's owner runs when a superuser calls: "owner" his own, "nobody" none runs, "42501" the superuser is refused.
# Then what else is to be known:
#   commits     it commits on the way, and finds the work of work.psql
#   fires f     a statement that fires the trigger function f
#   policies    it is refused where row level security keeps rows from the caller
#   as heir     another role owns the tables then, and what is on them runs with its rights
#   empty       the tables must be empty
#   pg_cron     it needs pg_cron
package Calls;
use strict;
use warnings;
use Exporter 'import';
use File::Basename qw(basename);
use FindBin;
our @EXPORT = qw(calls routines_without_call);

our $directory = "$FindBin::RealBin/../calls";

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
            my %remark = map { /^fires (\w+)$/ ? (fires => $1) : ($_ => 1) } grep { $_ ne '' } split /, /, $remarks;
            my $routine = $remark{fires} // ($statement =~ /claude_gpt(?:_internal)?\.(\w+)\(/)[0] // die "$file:$.: calls nothing";
            push @calls, { topic => basename($file, '.sql'), statement => $statement, routine => $routine, levels => { map { $_ => 1 } grep { $_ ne 'none' } split / /, $levels }, superuser => $superuser, %remark };
        }
    }
    return @calls;
}

# Of the routines of the extension that a condition on pg_proc AS p names, those that have no line.
sub routines_without_call
{
    my ($node, $condition) = @_;
    my %called = map { $_->{routine} => 1 } calls();
    return grep { !$called{$_} } split /\n/, $node->safe_psql('postgres', "SELECT DISTINCT p.proname FROM pg_proc AS p
        WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND ($condition) ORDER BY 1");
}

1;
