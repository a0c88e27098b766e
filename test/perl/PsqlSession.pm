# A psql that stays open: what a second client sees, and what a session carries from one statement to the next.
#   my $session = PsqlSession->new($node, 'postgres', '-U', 'app');
#   is($session->ask('SELECT 1'), '1');      # all that was printed, errors included, without the last newline
#   $session->send('LOCK TABLE t');          # does not wait; the next ask or answer does
#   is($session->answer, '');
package PsqlSession;
use strict;
use warnings;
use IPC::Run ();
use PostgreSQL::Test::Utils;

sub new
{
    my ($class, $node, $database, @options) = @_;
    # For one answer, not for all of a session: no test fails because the machine is slow.
    my $patience = IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default);
    my $self = bless { in => '', out => '', asked => 0, answered => 0, patience => $patience }, $class;
    $self->{run} = IPC::Run::start(
        [ 'psql', '-XAtq', '-h', $node->host, '-p', $node->port, @options, $database || 'postgres' ],
        '<', \$self->{in}, '>', \$self->{out}, '2>&1', $patience);
    return $self;
}

sub send
{
    my ($self, $sql) = @_;
    $sql .= ';' unless $sql =~ /;\s*$/ || $sql =~ /^\\[^\n]*$/;
    # A line for itself in both streams' common file: psql prints errors before it reads on.
    $self->{in} .= "$sql\n\\echo answered " . ++$self->{asked} . "\n";
    $self->{run}->pump_nb;
    return;
}

# What was printed since the last answer. Dies if the session ends first.
sub answer
{
    my ($self) = @_;
    my $end = 'answered ' . ++$self->{answered};
    $self->{patience}->start;
    $self->{run}->pump until $self->{out} =~ /^\Q$end\E\n/m;
    $self->{out} =~ s/\A(.*?)^\Q$end\E\n//ms;
    my $answer = $1;
    chomp $answer;
    return $answer;
}

sub ask
{
    my ($self, $sql) = @_;
    $self->send($sql);
    return $self->answer;
}

sub close
{
    my ($self) = @_;
    $self->{in} .= "\\q\n";
    $self->{run}->finish;
    return;
}

1;
