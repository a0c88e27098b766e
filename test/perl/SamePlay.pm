# Compares what psql has printed of one play in two databases. Both must be the same line by line, but for the ids and times
# that were made on the way: these are taken for the same where they came up at the same place first. At the end their
# orders must agree too, which the rows of later questions hang on.
#   my $found = SamePlay::first_difference($directly, $by_spi);   # two files
#   # undef, or { call, name, directly, by_spi }: where the first lines differ; call is 0 before the first
#   SamePlay::answers($file, \%answers)      # counts in {name}{'' or the SQLSTATE} what calls were answered
#   my $faults = SamePlay::faults($file)     # what a play prints under names that begin with "no"; '' where all is well
package SamePlay;
use strict;
use warnings;

# What is made on the way: ids of version 7, fingerprints of calls that name such ids, moments and days of these years. Longer
# ones first. The held clock shows years from 2090 on.
my $made = qr/\b(?:([0-9a-f]{64})\b|([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})|(20[2-8]\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::\d\d)?)?)|(20[2-8]\d-\d\d-\d\d))/;

sub reader
{
    my ($file) = @_;
    open(my $lines, '<', $file) or die "$file: $!";
    my (%known, %count, @order);
    my $name_of = sub {
        my ($kind, $value) = @_;
        return $known{$value} //= do { push @{ $order[$kind] }, $value; "<" . (qw(fingerprint id moment))[$kind] . ' ' . ++$count{$kind} . '>' };
    };
    my $next = sub {
        while (defined(my $line = <$lines>))
        {
            # Which of several rows breaks a rule first is a matter of where they lie.
            next if $line =~ /^(?:LOCATION:  |DETAIL:  Failing row contains )/;
            $line =~ s/$made/defined $4 ? '<day>' : $name_of->(defined $1 ? (0, $1) : defined $2 ? (1, $2) : (2, $3))/ge if index($line, '-') >= 0;
            return $line;
        }
        return;
    };
    return ($next, \@order);
}

# The places of the values in their order.
sub ranks
{
    my ($values) = @_;
    # Of moments those that are all written in the same way.
    return join ' ', sort { $values->[$a] cmp $values->[$b] } grep { $values->[$_] !~ /T|[+-](?!00$)\d\d$/ } 0 .. $#{ $values // [] };
}

sub first_difference
{
    my ($directly, $by_spi) = @_;
    my ($next, $order) = reader($directly);
    my ($other_next, $other_order) = reader($by_spi);
    my ($call, $name) = (0, 'before the first call');
    while (1)
    {
        my ($line, $other) = ($next->(), $other_next->());
        if (!defined $line && !defined $other)
        {
            return { call => $call, name => $name, directly => 'ended there', by_spi => 'ended there' } if $name ne 'end';
            last;
        }
        return { call => $call, name => $name, directly => $line // 'ended there', by_spi => $other // 'ended there' } if ($line // '') ne ($other // '');
        if ($line =~ /^\@(\d+) (.*)$/) { ($call, $name) = ($1, $2) }
        elsif ($line =~ /^\@(.*)$/) { $name = $1 }
    }
    for my $kind (1, 2)
    {
        my ($mine, $others) = (ranks($order->[$kind]), ranks($other_order->[$kind]));
        next if $mine eq $others;
        my @mine = split / /, $mine;
        my @others = split / /, $others;
        my ($n) = grep { $mine[$_] != $others[$_] } 0 .. $#mine;
        return { call => $call, name => 'the order of ' . (qw(_ ids moments))[$kind], directly => $order->[$kind][ $mine[$n] ], by_spi => $other_order->[$kind][ $others[$n] ] };
    }
    return undef;
}

sub faults
{
    my ($file) = @_;
    open(my $lines, '<', $file) or die "$file: $!";
    my ($faults, $is_fault) = ('', 0);
    while (my $line = <$lines>)
    {
        $is_fault = $line =~ /^\@no(?:thing)? / if $line =~ /^\@/;
        $faults .= $line if $is_fault && $line !~ /^\@/;
    }
    return $faults;
}

sub answers
{
    my ($file, $answers) = @_;
    open(my $lines, '<', $file) or die "$file: $!";
    my ($name, $is_answered);
    while (my $line = <$lines>)
    {
        if ($line =~ /^\@(?:\d+ )?(.*)$/)
        {
            $answers->{$name}{''}++ if defined $name && !$is_answered;
            ($name, $is_answered) = ($1, 0);
        }
        elsif (defined $name && !$is_answered && $line =~ /^psql:[^ ]+ (?:ERROR|FATAL|PANIC):  (\w{5}):/) { $answers->{$name}{$1}++; $is_answered = 1 }
    }
    return;
}

1;
