# Eight sessions make random calls of every function that meters or stores a turn, and plain statements on
# conversations and messages, for few users, while plans and the ledger change. No deadlock and no internal error;
# each admission is within its limit, each idempotency key counts once, and in every snapshot the books are proved.
# SEED=n repeats the calls of a run (not the order in which the sessions come to them).
use strict;
use warnings;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{SEED} || time;
srand($seed);
diag("SEED=$seed");

my ($sessions, $steps, $users) = (8, 300, 3);
my $node = PostgreSQL::Test::Cluster->new('order');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off\nlog_error_verbosity = verbose\ndeadlock_timeout = 100ms");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION claude_gpt;
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": 1000000, "base": 1000000, "pro": 1000000}' WHERE config_key = 'rate_limits';
    UPDATE claude_gpt_data.system_configs SET config_value = '{"m": {"prompt": 1000, "completion": 3000}}' WHERE config_key = 'model_prices';
    CREATE TABLE public.answers (function text, user_id uuid, idempotency_key text, allowed boolean, replayed boolean, used bigint, held bigint, limit_value bigint);
    CREATE TABLE public.proofs (differences bigint);
    CREATE FUNCTION public.id(n integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid$$;
    -- The newest rows but n of a user; an id that is none where there are not so many.
    CREATE FUNCTION public.reservation(u integer, n integer, of_turn boolean) RETURNS uuid LANGUAGE sql STABLE AS $$
        SELECT COALESCE((SELECT r.id FROM claude_gpt_data.usage_reservations AS r WHERE r.user_id = public.id(u) AND (r.conversation_id IS NOT NULL) = of_turn
                         ORDER BY r.created_at DESC, r.id OFFSET n LIMIT 1), public.id(0))$$;
    CREATE FUNCTION public.conversation(u integer, n integer) RETURNS uuid LANGUAGE sql STABLE AS $$
        SELECT COALESCE((SELECT c.id FROM claude_gpt_data.conversations AS c WHERE c.user_id = public.id(u) AND c.id <> public.id(u + 1000) ORDER BY c.created_at DESC, c.id OFFSET n LIMIT 1), public.id(0))$$;
    CREATE FUNCTION public.message(c uuid, n integer) RETURNS uuid LANGUAGE sql STABLE AS $$
        SELECT COALESCE((SELECT m.id FROM claude_gpt_data.messages AS m WHERE m.conversation_id = c ORDER BY m.created_at DESC, m.id OFFSET n LIMIT 1), public.id(0))$$;
    INSERT INTO claude_gpt_data.users (id, email, password_hash, monthly_reset_date) SELECT public.id(n), n || '@x', 'x', '2026-11-01' FROM generate_series(1, } . $users . q{) AS n;
    INSERT INTO claude_gpt_data.conversations (id, user_id) SELECT public.id(n + 1000), public.id(n) FROM generate_series(1, } . $users . q{) AS n});

sub pick { return $_[ rand @_ ] }
sub up_to { my ($most) = @_; return int rand($most + 1) }
sub key { return up_to(3) ? 'NULL' : "'k" . up_to(40) . "'" }
# Four of five calls with a key repeat what was called with it first.
my %first;
sub answer_of
{
    my ($function, $u, $key, $call) = @_;
    $call = up_to(4) ? ($first{"$function $u $key"} //= $call) : $call if $key ne 'NULL';
    return "INSERT INTO public.answers SELECT '$function', public.id($u), $key, d.allowed, d.replayed, d.used, d.held, d.limit_value FROM claude_gpt.$function($call) AS d";
}
sub ended_with { my ($prompt, $completion) = (up_to(30), up_to(30)); return "$prompt, $completion, " . pick('NULL', '0', '0.25') }
# Statements that write messages lock them before their conversation, and so does delete_conversation(). A plain DELETE
# of a conversation comes from the other side, and is not among the calls.
my @plans = (
    '{"free": {"messagesPerMonth": 60, "tokensPerMonth": 2500, "apiCallsPerMonth": 25, "costPerMonth": 6}, "base": {"messagesPerMonth": 120, "models": ["m"]}, "pro": {"messagesPerMonth": -1}}',
    '{"free": {"messagesPerMonth": 90, "costPerMonth": 9}, "base": {"messagesPerMonth": 70, "tokensPerMonth": 3000}, "pro": {"messagesPerMonth": 200, "apiCallsPerMonth": 60}}');

$node->safe_psql('postgres', "UPDATE claude_gpt_data.system_configs SET config_value = '$plans[0]' WHERE config_key = 'subscription_plans'");

# name => [ weight, errors that a call may meet, what writes the call ]
my %calls = (
    consume_quota => [ 14, 'UQ006', sub { my ($u, $c) = @_; my $key = key(); answer_of('consume_quota', $u, $key, "public.id($u), '" . pick(qw(message message token api_call)) . "', " . (1 + up_to(2)) . ", " . pick('NULL', "'m'") . ", $key") } ],
    reserve_usage => [ 14, 'UQ006', sub { my ($u, $c) = @_; my $key = key(); answer_of('reserve_usage', $u, $key, "public.id($u), " . (1 + up_to(60)) . ', ' . up_to(2) . ", " . pick('NULL', "'m'") . ", '" . pick(1, 2, 5, 600) . " seconds', $key") } ],
    extend_usage => [ 4, 'P0002|55000', sub { my ($u) = @_; 'SELECT claude_gpt.extend_usage(' . "public.id($u), public.reservation($u, " . up_to(4) . ', ' . pick('true', 'false') . "), '" . (1 + up_to(9)) . " seconds')" } ],
    settle_usage => [ 9, 'P0002|55000|UQ006|UQ009', sub { my ($u, $c) = @_; "SELECT claude_gpt.settle_usage(public.id($u), public.reservation($u, " . up_to(5) . ', false), ' . ended_with() . ', ' . pick('NULL', 'NULL', "public.message($c, 0)") . ')' } ],
    release_usage => [ 5, 'P0002|55000', sub { my ($u) = @_; "SELECT claude_gpt.release_usage(public.id($u), public.reservation($u, " . up_to(5) . ', false))' } ],
    record_usage => [ 6, 'P0002|UQ006', sub { my ($u, $c) = @_; "SELECT claude_gpt.record_usage(public.id($u), '" . pick(qw(message token api_call)) . "', " . (1 + up_to(3)) . ", NULL, " . pick(0, 0.125) . ', ' . pick('NULL', "public.message($c, 1)") . ', ' . pick('NULL', $c) . ', NULL, ' . key() . ')' } ],
    update_user_usage => [ 4, '', sub { my ($u) = @_; "SELECT claude_gpt.update_user_usage(public.id($u), " . up_to(2) . ', ' . up_to(20) . ', ' . pick(0, 0.5) . ')' } ],
    begin_turn => [ 16, 'P0002|UQ006|22004|22023', sub { my ($u, $c) = @_; my $key = key(); my $new = !up_to(4);
        answer_of('begin_turn', $u, $key, "public.id($u), " . ($new ? 'NULL' : $c) . ', ' . pick("'q'", "'q'", "'q'", $new ? "'q'" : 'NULL') . ", 'm', " . up_to(40) . ', ' . ($new ? 'NULL' : pick('NULL', 'NULL', "public.message($c, " . up_to(3) . ')')) . ", p_ttl => '" . pick(1, 5, 600) . " seconds', p_idempotency_key => $key") } ],
    save_partial => [ 4, 'P0002|55000', sub { my ($u) = @_; "SELECT claude_gpt.save_partial(public.id($u), public.reservation($u, " . up_to(3) . ", true), 'part')" } ],
    complete_turn => [ 12, 'P0002|55000|UQ006|UQ009', sub { my ($u) = @_; "SELECT claude_gpt.complete_turn(public.id($u), public.reservation($u, " . up_to(4) . ", true), 'whole', " . ended_with() . ')' } ],
    stop_turn => [ 4, 'P0002|55000|UQ006|UQ009', sub { my ($u) = @_; "SELECT claude_gpt.stop_turn(public.id($u), public.reservation($u, " . up_to(4) . ", true), " . pick('NULL', "'half'") . ', ' . ended_with() . ')' } ],
    fail_turn => [ 5, 'P0002|55000|UQ006|UQ009', sub { my ($u) = @_; "SELECT claude_gpt.fail_turn(public.id($u), public.reservation($u, " . up_to(4) . ", true), 'cut'" . pick('', ', 3, 4, p_cost => 0.5') . ')' } ],
    delete_conversation => [ 4, 'P0002', sub { my ($u) = @_; "SELECT claude_gpt.delete_conversation(public.id($u), public.conversation($u, " . up_to(2) . '))' } ],
    set_subscription => [ 3, '', sub { my ($u) = @_; "SELECT claude_gpt.set_subscription(public.id($u), '" . pick(qw(free free base pro)) . "', '" . pick(qw(active active canceled)) . "')" } ],
    plans => [ 2, '', sub { "UPDATE claude_gpt_data.system_configs SET config_value = '" . pick(@plans) . "' WHERE config_key = 'subscription_plans'" } ],
    usage_ledger => [ 2, '', sub { "UPDATE claude_gpt_data.system_configs SET config_value = '" . pick('true', 'true', 'false') . "' WHERE config_key = 'usage_ledger'" } ],
    'a new conversation' => [ 3, '', sub { my ($u) = @_; "INSERT INTO claude_gpt_data.conversations (user_id) VALUES (public.id($u))" } ],
    'a renamed conversation' => [ 2, '', sub { my ($u, $c) = @_; "UPDATE claude_gpt_data.conversations SET title = 't' WHERE id = $c" } ],
    'a new message' => [ 6, '23503', sub { my ($u, $c) = @_; "INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, total_tokens, cost, parent_message_id) VALUES ($c, public.id($u), 'user', 'x', " . pick('NULL', up_to(9)) . ', ' . pick('NULL', '0.25') . ', ' . pick('NULL', "NULLIF(public.message($c, 0), public.id(0))") . ')' } ],
    'a changed message' => [ 6, '', sub { my ($u, $c) = @_; 'UPDATE claude_gpt_data.messages SET ' . pick("status = 'deleted'", "status = 'sent'", 'total_tokens = ' . up_to(9), "created_at = created_at - interval '1 minute'") . " WHERE id = public.message($c, " . up_to(3) . ')' } ],
    'a deleted message' => [ 4, '', sub { my ($u, $c) = @_; "DELETE FROM claude_gpt_data.messages WHERE id = public.message($c, " . up_to(3) . ')' } ],
    'an old snapshot' => [ 4, '40001|UQ006', sub { my ($u) = @_; my $key = key(); 'BEGIN ISOLATION LEVEL ' . pick('REPEATABLE READ', 'SERIALIZABLE') . '; SELECT count(*) FROM claude_gpt_data.users; ' . answer_of('consume_quota', $u, $key, "public.id($u), p_idempotency_key => $key") . '; COMMIT' } ],
    'what is taken back' => [ 4, 'P0002|55000|UQ006', sub { my ($u, $c) = @_; "BEGIN; SELECT claude_gpt.reserve_usage(public.id($u), 5); SAVEPOINT s; SELECT claude_gpt.settle_usage(public.id($u), public.reservation($u, 0, false), 1, 1, 0.5); ROLLBACK TO s; SELECT claude_gpt.consume_quota(public.id($u)); ROLLBACK" } ],
    reading => [ 4, 'P0002', sub { my ($u, $c) = @_; pick("SELECT * FROM claude_gpt.quota_status(public.id($u))", "SELECT * FROM claude_gpt.list_conversations(public.id($u))", "SELECT * FROM claude_gpt.conversation_messages(public.id($u), $c)",
        "SELECT * FROM claude_gpt.conversation_path(public.id($u), public.message($c, 0), 50)", "SELECT claude_gpt.check_subscription_limit(public.id($u))") } ],
    prove_books => [ 3, '', sub { my ($u) = @_; 'INSERT INTO public.proofs SELECT count(*) FROM claude_gpt.prove_books(' . pick('', "public.id($u)") . ')' } ],
    repair_books => [ 1, '', sub { my ($u) = @_; 'INSERT INTO public.proofs SELECT count(*) FROM claude_gpt.repair_books(' . pick('', "public.id($u)") . ')' } ]);
my @bag = map { ($_) x $calls{$_}[0] } sort keys %calls;

# A script for each session. Its clock goes on, not quite as that of the others, through the end of a month.
my $dir = PostgreSQL::Test::Utils::tempdir;
my @runs;
for my $session (1 .. $sessions)
{
    my ($script, $line, %at) = ('', 0);
    for my $step (1 .. $steps)
    {
        my $name = pick(@bag);
        my $second = int(60 * $step / $steps) + up_to(2);
        my $u = 1 + up_to($users - 1);
        my $call = $calls{$name}[2]->($u, pick("public.id($u + 1000)", "public.conversation($u, " . up_to(1) . ')')) . ";\n";
        my $clock = sprintf "SET claude_gpt.fixed_time = '2026-%s:%02dZ';\n", $second < 30 ? ('11-30T23:59', $second + 30) : ('12-01T00:00', $second - 30);
        $script .= $clock . $call;
        $at{ ++$line } = $name for 1, 2;
    }
    append_to_file("$dir/$session.sql", "SET client_min_messages = error;\n$script");
    push @runs, { at => \%at, out => '', err => '' };
}
for my $session (1 .. $sessions)
{
    my $run = $runs[ $session - 1 ];
    $run->{run} = IPC::Run::start([ 'psql', '-XAtq', '-h', $node->host, '-p', $node->port, '-v', 'VERBOSITY=sqlstate', '-f', "$dir/$session.sql", 'postgres' ], '<', '/dev/null', '>', \$run->{out}, '2>', \$run->{err}, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
}
$_->{run}->finish for @runs;

my (%met, $unexpected);
for my $run (@runs)
{
    while ($run->{err} =~ /^psql:[^:]*:(\d+): (.*)$/mg)
    {
        # The first line is the session's setting.
        my ($name, $said) = ($run->{at}{ $1 - 1 } // '?', $2);
        my ($code) = $said =~ /^ERROR:  (\w{5})$/;
        $met{$name}{ $code // $said }++;
        $unexpected .= "$name: $said\n" unless defined $code && $calls{$name} && $calls{$name}[1] ne '' && $code =~ /^($calls{$name}[1])$/;
    }
}
for my $name (sort keys %met) { note("$name: " . join ', ', map { "$met{$name}{$_} $_" } sort keys %{ $met{$name} }) }
is($unexpected // '', '', 'no call met an error that it does not announce');
my @log = split /\n/, slurp_file($node->logfile);
is(join("\n", grep { /40P01/ } @log), '', 'there was no deadlock');
is(join("\n", grep { /XX\d{3}:|PANIC:|TRAP:|terminated by signal/ } @log), '', 'there was no internal error');

is($node->safe_psql('postgres', 'SELECT * FROM claude_gpt.prove_books()'), '', 'the books are proved');
is($node->safe_psql('postgres', 'SELECT count(*) FROM public.proofs WHERE differences <> 0'), '0', 'and they were in every snapshot on the way');
is($node->safe_psql('postgres', 'SELECT * FROM public.answers WHERE allowed AND used + held > limit_value LIMIT 5'), '', 'each admission was within its limit');
is($node->safe_psql('postgres', 'SELECT user_id, idempotency_key, count(*) FROM public.answers WHERE allowed AND NOT replayed AND idempotency_key IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1'), '', 'no idempotency key was counted twice');
is($node->safe_psql('postgres', q{SELECT id, status FROM claude_gpt_data.usage_reservations WHERE (status = 'open') <> (closed_at IS NULL) OR (status = 'settled') <> (charged_cost IS NOT NULL) OR status NOT IN ('open', 'settled', 'released', 'expired')}), '', 'each reservation is open, settled, released or expired');
is($node->safe_psql('postgres', q{SELECT r.id, m.status FROM claude_gpt_data.usage_reservations AS r JOIN claude_gpt_data.messages AS m ON m.id = r.assistant_message_id WHERE r.status IN ('settled', 'released') AND m.status = 'sending'}), '', 'no reply goes on after its turn has ended');

# The run has met what it is for.
for my $what (
    [ 'admissions', 'SELECT count(*) FROM public.answers WHERE allowed' ], [ 'denials', 'SELECT count(*) FROM public.answers WHERE NOT allowed' ], [ 'replays', 'SELECT count(*) FROM public.answers WHERE replayed' ],
    [ 'proofs', 'SELECT count(*) FROM public.proofs' ], [ 'late settlements', 'SELECT count(*) FROM claude_gpt_data.usage_reservations WHERE was_late' ], [ 'turns', 'SELECT count(*) FROM claude_gpt_data.usage_reservations WHERE conversation_id IS NOT NULL' ],
    [ 'balances without a ledger', 'SELECT count(*) FROM claude_gpt_data.usage_balances' ], [ 'months', q{SELECT count(*) - 1 FROM (SELECT billing_period FROM claude_gpt_data.usage_records GROUP BY 1) AS p} ],
    (map { [ "$_ reservations", "SELECT count(*) FROM claude_gpt_data.usage_reservations WHERE status = '$_'" ] } qw(settled released expired)))
{
    cmp_ok($node->safe_psql('postgres', $what->[1]), '>', 0, "there were $what->[0]");
}

$node->stop;
done_testing();
