# Waits for a condition as long as the other waits of the tests do: no test fails because the machine is slow.
#   wait_until(sub { -S $socket }) or die 'it never came';
package Patience;
use strict;
use warnings;
use Exporter qw(import);
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

our @EXPORT = qw(wait_until wait_for_end end_of_log wait_for_restart);

# What the condition said, at the latest when patience is at its end.
sub wait_until
{
    my ($condition) = @_;
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
    while (1)
    {
        my $value = $condition->();
        return $value if $value || time > $deadline;
        usleep(10_000);
    }
}

# Of processes that were killed: they leave a pid file, and shared memory that the last may still be letting go of.
sub wait_for_end
{
    my @processes = @_;
    return wait_until(sub { !grep { kill 0, $_ } @processes });
}

# Of a server one of whose processes is killed, so that it restarts the others. Its log tells when: a psql that comes too early ends
# before it has read what it is asked, or is served by the processes that are to end.
#   my $before = end_of_log($node); kill 'KILL', $pid; wait_for_restart($node, $before);
sub end_of_log { return -s $_[0]->logfile }

sub wait_for_restart
{
    my ($node, $before) = @_;
    return wait_until(sub { substr(slurp_file($node->logfile), $before) =~ /database system is ready to accept connections/ });
}

1;
