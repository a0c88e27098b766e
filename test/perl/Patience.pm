# Waits for a condition as long as the other waits of the tests do: no test fails because the machine is slow.
#   wait_until(sub { -S $socket }) or die 'it never came';
package Patience;
use strict;
use warnings;
use Exporter qw(import);
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

our @EXPORT = qw(wait_until wait_for_end forget_server kill_server end_of_log wait_for_restart);

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

# The postmaster of a server, and the others that pg_stat_activity knows.
sub processes_of
{
    my ($node) = @_;
    return ((split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0], split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()'));
}

# Of a server whose processes were killed: it can be started once they are gone.
sub forget_server
{
    my ($node, @processes) = @_;
    wait_for_end(@processes);
    $node->{_pid} = undef;
    unlink $node->data_dir . '/postmaster.pid';
    return;
}

# The server as a whole, children after their parent, which restarts nothing any more. What is to be done while its processes
# end, as by clients that lose it, is done by the callback.
sub kill_server
{
    my ($node, $meanwhile) = @_;
    my @processes = processes_of($node);
    kill 'KILL', @processes;
    $meanwhile->() if $meanwhile;
    return forget_server($node, @processes);
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
