# Two databases that were prepared alike are played the same days of an application: in one, rows are read and written
# directly, in the other by SPI. Every answer, error and row is the same, the indexes have an entry for each row, the books are
# proved, and the counters are what messages, records and open reservations say.
#   SEED=n     plays this seed alone, as a run that fails tells it
#   CALLS=n    this many calls, in plays of 2,500 with a seed each; PLAY_SECONDS=n: as many of these plays as begin in this time
#   WORKERS=n  this many plays at a time
# A server that is killed in the middle of plays has lost nothing of what belongs together, and no entry of an index.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Calls;
use GeneratedPlay;
use Patience;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SamePlay;
use Test::More;
use Time::HiRes qw(time);

my $calls_of_play = 2500;
my $calls = $ENV{CALLS} || 20_000;
my $plays = $ENV{SEED} ? 1 : int(($calls + $calls_of_play - 1) / $calls_of_play);
my $workers = $ENV{WORKERS} || ($plays > 1 ? 2 : 1);
my $first_seed = $ENV{SEED} || 1 + int rand 1e9;
my $deadline = time + ($ENV{PLAY_SECONDS} || 1e9);
my %direct_access = (directly => 'on', 'by SPI' => 'off');
diag("SEED=$first_seed" . ($plays > 1 ? ' and the ' . ($plays - 1) . ' after it' : ''));

# A server for each, so that nothing goes on beside a play: transactions of other databases are among what a VACUUM heeds.
my @nodes = map { PostgreSQL::Test::Cluster->new("engines_$_") } 0 .. $workers - 1;
for my $node (@nodes)
{
    $node->init;
    $node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off\nautovacuum = off\nmax_prepared_transactions = 10\ncheckpoint_timeout = 1h\nmax_wal_size = 4GB");
    $node->start;
    $node->safe_psql('postgres', 'CREATE ROLE app; CREATE ROLE keeper');
    GeneratedPlay::prepare($node, 'prepared');
}
my $node = $nodes[0];
my $dir = PostgreSQL::Test::Utils::tempdir;

sub script
{
    my ($place, $text) = @_;
    my $name = "$dir/$place.sql";
    open(my $file, '>', $name) or die "$name: $!";
    print $file $text;
    close $file;
    return $name;
}

# A file with what psql prints, in the order in which it comes; an error message is a line among others.
sub print_of
{
    my ($worker, $script, $database, $way) = @_;
    my $printed = "$dir/$worker." . $direct_access{$way};
    local $ENV{PGOPTIONS} = "-c claude_gpt.direct_access=$direct_access{$way}";
    local $ENV{PGTZ} = 'UTC';
    my $psql = fork // die "fork: $!";
    if ($psql == 0)
    {
        open(STDOUT, '>', $printed) or die "$printed: $!";
        open(STDERR, '>&', \*STDOUT) or die $!;
        exec('psql', '-XAtq', '-d', $nodes[$worker]->connstr($database), '-f', $script) or POSIX::_exit(127);
    }
    waitpid $psql, 0;
    return $printed;
}

sub difference_of
{
    my ($play, $worker, $steps) = @_;
    my $script = script($worker, $play->script($steps));
    my @printed;
    for my $way ('directly', 'by SPI')
    {
        system('psql', '-XAtq', '-d', $nodes[$worker]->connstr('postgres'), '-c', 'SET client_min_messages = warning', '-c', 'DROP DATABASE IF EXISTS played', '-c', 'CREATE DATABASE played TEMPLATE prepared') == 0 or die 'no database to play in';
        push @printed, print_of($worker, $script, 'played', $way);
    }
    return (SamePlay::first_difference(@printed), @printed);
}

# After how many steps something differs: answers show it at once, rows where they are read, which all are at the end.
sub first_step_that_differs
{
    my ($play, $worker, $call) = @_;
    # Steps that come later have not made the answer to this call another one.
    my ($same, $different) = (0, scalar grep { $_->{first} <= $call } @{ $play->{steps} });
    while ($different - $same > 1)
    {
        my $steps = int(($same + $different) / 2);
        my ($found) = difference_of($play, $worker, $steps);
        if ($found) { $different = $steps } else { $same = $steps }
    }
    return $different;
}

sub as_text
{
    my ($difference) = @_;
    my ($directly, $by_spi) = map { s/\n//r } @$difference{qw(directly by_spi)};
    return "\@$difference->{call} $difference->{name}\n  directly: $directly\n  by SPI:   $by_spi\n";
}

sub describe
{
    my ($play, $worker, $found) = @_;
    my $steps = first_step_that_differs($play, $worker, $found->{call});
    my ($at_once) = difference_of($play, $worker, $steps);
    return "SEED=$play->{seed}\nthe first difference is at " . as_text($found) . ($at_once
        ? "it comes with step $steps, after which the first is at " . as_text($at_once) . $play->{steps}[ $steps - 1 ]{text}
        : "played again up to there, both are the same\n");
}

# One of the processes that play side by side: each writes what it has met.
sub work
{
    my ($worker) = @_;
    open(my $report, '>', "$dir/report.$worker") or die $!;
    my %answers;
    for (my $n = $worker; $n < $plays && time < $deadline; $n += $workers)
    {
        my $play = GeneratedPlay->new($first_seed + $n, $calls_of_play);
        my ($found, @printed) = difference_of($play, $worker);
        SamePlay::answers($printed[0], \%answers);
        print $report "played $play->{call_count}\n";
        print $report map { "fault SEED=$play->{seed}: $_\n" } split /\n/, SamePlay::faults($printed[0]);
        next unless $found;
        print $report "different $_\n" for split(/\n/, describe($play, $worker, $found)), '';
        last;
    }
    for my $name (sort keys %answers) { print $report join("\t", 'answered', $name, $_, $answers{$name}{$_}), "\n" for sort keys %{ $answers{$name} } }
    close $report;
    return;
}

my $began = time;
my @workers;
for my $worker (0 .. $workers - 1)
{
    my $process = fork // die "fork: $!";
    if ($process == 0) { eval { work($worker) }; print STDERR $@ if $@; POSIX::_exit($@ ? 1 : 0) }
    push @workers, $process;
}
my $all_ended = 1;
for my $process (@workers) { waitpid $process, 0; $all_ended &&= $? == 0 }
my ($played, $different, $faults, %answers) = (0, '', '');
for my $report (glob "$dir/report.*")
{
    for my $line (split /\n/, slurp_file($report))
    {
        if ($line =~ /^played (\d+)/) { $played += $1 }
        elsif ($line =~ /^different (.*)/) { $different .= "$1\n" }
        elsif ($line =~ /^fault (.*)/) { $faults .= "$1\n" }
        elsif ($line =~ /^answered\t/) { my (undef, $name, $state, $count) = split /\t/, $line; $answers{$name}{$state} += $count }
    }
}
my $seconds = time - $began;
my $rate = sprintf '%d calls in %d seconds, %d a second', $played, $seconds, $played / $seconds;
diag($rate);
for my $name (sort keys %answers) { note("$name: " . join ', ', map { "$answers{$name}{$_} " . ($_ || 'answered') } sort keys %{ $answers{$name} }) }
ok($all_ended, 'every play came to its end');
is($different, '', 'every call is answered the same, and the same rows are left');
is($faults, '', 'books, counters, holds, pages and indexes are whole');

# The plays have met what they are for.
if ($plays >= 8)
{
    my %is_of_users = map { $_ => 1 } qw(books conversations quota rate_limit reports sessions subscriptions usage);
    my %wanted = map { $_->{routine} => 1 } grep { $is_of_users{ $_->{topic} } && $_->{superuser} eq 'owner' && $_->{statement} =~ /claude_gpt\.$_->{routine}\(/ } calls();
    is(join(' ', grep { !$answers{$_}{''} } sort keys %wanted), '', 'every function that reads or writes rows of users was answered, of ' . keys %wanted);
    my %state;
    for my $name (keys %answers) { $state{$_} += $answers{$name}{$_} for keys %{ $answers{$name} } }
    is(join(' ', grep { !$state{$_} } qw(22004 22023 23503 23505 23514 25006 25P02 27000 55000 P0002 UQ001 UQ006 UQ009)), '', 'errors of every kind were met');
    is(join(' ', grep { /^XX|^5[78]|^40/ } sort keys %state), '', 'none of them is an internal error');
}

# The two ways are two: no statement on the rows that are counted in and that turns store.
my $plans_of = q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource' AND ident ~ 'claude_gpt_data\.(users|conversations|messages|usage_records|usage_reservations)'};
my %planned = map {
    my $way = $_;
    $way => (split /\n/, $node->safe_psql('prepared', qq{
        SET claude_gpt.direct_access = $direct_access{$way};
        INSERT INTO claude_gpt_data.users (email) VALUES ('$direct_access{$way}\@x') RETURNING id AS u \\gset
        SELECT claude_gpt.consume_quota(:'u');
        SELECT conversation_id AS c, reservation_id AS r FROM claude_gpt.begin_turn(:'u', NULL, 'q', 'm', 10) \\gset
        SELECT total_tokens FROM claude_gpt.complete_turn(:'u', :'r', 'a', 1, 2);
        SELECT reservation_id AS r FROM claude_gpt.begin_turn(:'u', :'c', 'q', 'm', 10) \\gset
        SELECT total_tokens FROM claude_gpt.fail_turn(:'u', :'r', 'broken', 1, 2);
        $plans_of}))[-1]
} keys %direct_access;
is($planned{directly}, '0', 'directly no statement is planned');
cmp_ok($planned{'by SPI'}, '>', 0, 'by SPI it is');

# A record refers unasked only to what was there to be locked: where a reply is of no conversation, the foreign key is asked.
$node->safe_psql('postgres', 'CREATE DATABASE torn TEMPLATE prepared');
$node->safe_psql('torn', 'ALTER TABLE claude_gpt_data.messages DROP CONSTRAINT messages_conversation_id_fkey');
for my $way (sort keys %direct_access)
{
    my (undef, undef, $refusal) = $node->psql('torn', qq{
        SET claude_gpt.direct_access = $direct_access{$way};
        INSERT INTO claude_gpt_data.users (email) VALUES ('$direct_access{$way}\@y') RETURNING id AS u \\gset
        SELECT conversation_id AS c, reservation_id AS r FROM claude_gpt.begin_turn(:'u', NULL, 'q', 'm', 10) \\gset
        DELETE FROM claude_gpt_data.conversations WHERE id = :'c';
        SELECT claude_gpt.complete_turn(:'u', :'r', 'a', 1, 2);});
    like($refusal, qr/ERROR:  insert or update on table "usage_records_\w+" violates foreign key constraint/, "$way: a record of no conversation is refused");
}

# Killed, once after a checkpoint that fell between the calls.
$node->safe_psql('postgres', 'CREATE DATABASE killed TEMPLATE prepared');
my $latest = '';
for my $round (1 .. 3)
{
    my $play = GeneratedPlay->new($first_seed + $round, $calls_of_play);
    $latest = $play->latest if $latest lt $play->latest;
    # What is written without triggers is in the books after the repair that follows, which a killed play may not reach.
    my $text = $play->script =~ s/^SET LOCAL session_replication_role = replica;\n//mgr;
    my $out = '';
    local $ENV{PGOPTIONS} = '-c claude_gpt.direct_access=on';
    my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('killed'), '-f', script('killed', $text) ], '<', '/dev/null', '>', \$out, '2>&1', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
    my $reach = sub { my ($call) = @_; $psql->pump until (($out =~ /.*^\@(\d+) /ms)[0] // 0) >= $call; return };
    $reach->(1000);
    $node->safe_psql('postgres', 'CHECKPOINT') if $round == 2;
    $reach->(1000 + 300 * $round);
    kill_server($node, sub { $psql->finish });
    unlike($out, qr/^\@end$/m, "round $round: the server was killed in the middle of a play");
    $node->start;
    my $printed = print_of(0, script('killed', $play->closing(undef, $latest)), 'killed', 'directly');
    like(slurp_file($printed), qr/^\@end$/m, "round $round: it has recovered");
    is(SamePlay::faults($printed), '', "round $round: books, counters, holds, pages and indexes are whole");
    cmp_ok($node->safe_psql('killed', 'SELECT count(*) FROM claude_gpt_data.users'), '>', 0, "round $round: what was committed is there");
}

$_->stop for @nodes;
done_testing();
