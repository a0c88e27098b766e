# The server is killed with -9 in the middle of a load: once as a whole, once a single backend, which makes the
# postmaster restart the rest. After recovery every call that a client saw commit is counted, and besides these
# at most the ones that were in flight; counters, ledger, messages and conversations agree to the last token.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run ();
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = 6;
my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
# What a killed process has written is in the hands of the kernel, so fsync proves nothing here.
# Small checkpoints, so that kills fall between and into them.
$node->append_conf('postgresql.conf', "fsync = off\nrestart_after_crash = on\nmax_wal_size = 32MB\nmin_wal_size = 32MB\ncheckpoint_timeout = 30s\nsynchronous_commit = on");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION claude_gpt;
    INSERT INTO claude_gpt_data.users (id, email, password_hash) SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, n || '@x', 'x' FROM generate_series(1, 3) n;
    INSERT INTO claude_gpt_data.conversations (id, user_id) SELECT ('00000000-0000-4000-8000-00000000001' || n)::uuid, ('00000000-0000-4000-8000-00000000000' || n)::uuid FROM generate_series(1, 3) n});

my $dir = PostgreSQL::Test::Utils::tempdir;
my ($user, $conversation) = ("('00000000-0000-4000-8000-00000000000' || :n)::uuid", "('00000000-0000-4000-8000-00000000001' || :n)::uuid");
my $insert = "INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, total_tokens, cost) VALUES ($conversation, $user, 'user', 'x', 3, 0.5);";
# What each script does: [ messages stored, messages counted, tokens and cost counted ].
my @scripts = (
    [ "\\set n random(1, 3)\nSELECT claude_gpt.update_user_usage($user, 2, 5, 0.125);\n", 0, 2, 5, 0.125 ],
    [ "\\set n random(1, 3)\n$insert\n", 1, 0, 0, 0 ],
    [ "\\set n random(1, 3)\nBEGIN;\n$insert\nSELECT claude_gpt.update_user_usage($user, 1, 3, 0.5);\nCOMMIT;\n", 1, 1, 3, 0.5 ],
    [ "\\set n random(1, 3)\nBEGIN;\n$insert\nSELECT claude_gpt.update_user_usage($user, 1, 3, 0.5);\nROLLBACK;\n", 0, 0, 0, 0 ]);
append_to_file("$dir/script$_.sql", $scripts[$_][0]) for 0 .. $#scripts;

my @acknowledged = (0) x @scripts;
my $round = 0;

sub start_load
{
    $round++;
    # -l writes a line for each transaction whose end the client was told of.
    my ($out, $err);
    return IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', $clients, '-j', 2, (map { ('-f', "$dir/script$_.sql") } 0 .. $#scripts), '-T', '86400',
        '-l', "--log-prefix=$dir/log$round", 'postgres' ], '>', \$out, '2>', \$err);
}

sub counted { return $node->safe_psql('postgres', 'SELECT sum(total_message_count) FROM claude_gpt_data.users') }

sub wait_until_counted
{
    my ($number) = @_;
    return wait_until(sub { counted() >= $number });
}

sub read_acknowledged
{
    for my $log (glob "$dir/log$round*")
    {
        open my $file, '<', $log or die "$log: $!";
        # client, transaction, latency, script, ...
        while (my $line = <$file>) { $acknowledged[ (split / /, $line)[3] ]++ if $line =~ /^\d+ \d+ \d+ \d+ \d+ \d+$/ }
        close $file;
    }
    return;
}

sub is_all_counted
{
    my ($how) = @_;
    my ($messages, $calls) = (0, 0);
    for (0 .. $#scripts) { $messages += $acknowledged[$_] * $scripts[$_][1]; $calls += $acknowledged[$_] * $scripts[$_][2] }
    my ($stored, $counted) = split /\|/, $node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM claude_gpt_data.messages), (SELECT sum(total_message_count) FROM claude_gpt_data.users)');
    cmp_ok($stored, '>=', $messages, "$how: each of $messages acknowledged messages is stored");
    cmp_ok($stored, '<=', $messages + $clients * $round, "$how: and no more than those in flight besides");
    cmp_ok($counted, '>=', $calls, "$how: each of $calls acknowledged counts is there");
    cmp_ok($counted, '<=', $calls + 2 * $clients * $round, "$how: and no more than those in flight besides");
    is($node->safe_psql('postgres', q{
        SELECT count(*) FROM claude_gpt_data.users AS u,
            LATERAL (SELECT sum(quantity) FILTER (WHERE usage_type = 'message') AS messages, sum(quantity) FILTER (WHERE usage_type = 'token') AS tokens, sum(cost) AS cost
                     FROM claude_gpt_data.usage_records WHERE user_id = u.id) AS l
        WHERE (u.monthly_message_count, u.monthly_token_count, u.monthly_cost) = (l.messages, l.tokens, l.cost)
          AND (u.total_message_count, u.total_token_count, u.total_cost) = (l.messages, l.tokens, l.cost)}), '3', "$how: the counters of each user are the ledger's");
    is($node->safe_psql('postgres', q{
        SELECT count(*) FROM claude_gpt_data.conversations AS c,
            LATERAL (SELECT count(*) AS messages, sum(total_tokens) AS tokens, sum(cost) AS cost, max(created_at) AS newest FROM claude_gpt_data.messages WHERE conversation_id = c.id) AS m
        WHERE (c.message_count, c.total_tokens, c.total_cost, c.last_message_at) = (m.messages, m.tokens, m.cost, m.newest)}), '3', "$how: the counters of each conversation are its messages'");
    return;
}

# The whole server.
my $load = start_load();
ok(wait_until_counted(1000), 'the load runs');
kill_server($node, sub { $load->finish; read_acknowledged() });
cmp_ok($acknowledged[$_], '>', 10, "clients saw the end of $acknowledged[$_] transactions of script $_") for 0 .. $#scripts;
$node->start;
is_all_counted('the server was killed');

# One backend in the middle of its work.
my $before = counted();
$load = start_load();
ok(wait_until_counted($before + 1000), 'the load runs again');
my $one = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY state = 'active' DESC LIMIT 1});
my $before_the_kill = end_of_log($node);
kill 'KILL', $one;
$load->finish;
read_acknowledged();
ok(wait_for_restart($node, $before_the_kill), 'the server comes back by itself');
is_all_counted('a backend was killed');
like(slurp_file($node->logfile), qr/server process \(PID $one\) was terminated by signal 9/, 'which it was');

$node->stop;
done_testing();
