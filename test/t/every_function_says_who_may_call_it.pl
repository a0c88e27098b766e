# Above each function of sql/ stands who may call it, and nowhere else. A function without that line, a level that there is
# not, a line above something else and a name that comes twice stop the build, and leave no script.
use strict;
use warnings;
use FindBin;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $file = PostgreSQL::Test::Utils::tempdir() . '/topic.sql';

# What a tool answers for a topic file of these lines: exit code, output, errors without the name of the file.
sub answer
{
    my ($tool, @lines) = @_;
    open(my $topic, '>', $file) or die "$file: $!";
    print $topic map { "$_\n" } @lines;
    close $topic;
    my ($out, $err) = ('', '');
    IPC::Run::run([ "$root/tools/$tool", $file ], '<', \undef, '>', \$out, '2>', \$err);
    $err =~ s/^\Q$file\E://mg;
    return ($? >> 8, $out, $err);
}

my @open = ('-- Levels: read application', 'CREATE FUNCTION claude_gpt.open(p_a text DEFAULT \'(\') RETURNS void');
my @closed = ('-- Why it is as it is.', '-- Levels: none', 'CREATE PROCEDURE claude_gpt_internal.closed()');
my ($status, $out, $err) = answer('generate-levels', @open, @closed);
is("$status $err", '0 ', 'each of two functions says who may call it');
is(join('', $out =~ /^    (\(.*\))/mg), q{('claude_gpt', 'open', ARRAY['read', 'application'])}, 'levels are read, and none is no level');

for my $case (
    [ '1: claude_gpt_internal.closed has no line "-- Levels: ..." above it', 'a function without levels', $closed[2] ],
    [ '3: claude_gpt_internal.closed has no line "-- Levels: ..." above it', 'a function after one that has levels', @open, $closed[2] ],
    [ '3: claude_gpt_internal.closed has no line "-- Levels: ..." above it', 'something between', $closed[1], '', $closed[2] ],
    [ '1: unknown level "root"', 'an unknown level', '-- Levels: read root', $open[1] ],
    [ '1: not levels: -- Levels: none read', 'none and another', '-- Levels: none read', $open[1] ],
    [ '1: not levels: -- Levels:', 'no word', '-- Levels:', $open[1] ],
    [ '1: not levels: -- Level: read', 'another word for it', '-- Level: read', $open[1] ],
    [ '2: levels stand above no routine', 'levels above a table', $open[0], 'CREATE TABLE t ();' ],
    [ '1: levels stand above no routine', 'levels at the end', $open[0] ],
    [ '4: claude_gpt.open comes twice', 'a second function of that name', @open, @open ])
{
    my ($said, $name, @lines) = @$case;
    my ($status, $out, $err) = answer('generate-levels', @lines);
    is($status, 1, "$name: the build stops");
    is($out, '', "$name: nothing is printed");
    like($err, qr/^\Q$said\E$/m, "$name: and the place is named");
    isnt((answer('generate-install-script', @lines))[0], 0, "$name: there is no install script");
}
# The update script has the step of the release first.
my $step = $file =~ s{topic}{0.1.0--0.2.0}r;
open(my $empty, '>', $step) or die "$step: $!";
close $empty;
for my $lines ([ 0, @open ], [ 1, $open[1] ])
{
    my ($expected, @lines) = @$lines;
    answer('generate-levels', @lines);
    ok(IPC::Run::run([ "$root/tools/generate-update-script", $step, $file ], '<', \undef, '>', \my $out, '2>', \my $err) == !$expected, 'there is ' . ($expected ? 'no' : 'an') . ' update script');
    like($out, qr/^CREATE OR REPLACE FUNCTION claude_gpt_internal\.routine_levels\(\)/m, 'in which they are replaced') if !$expected;
}
done_testing();
