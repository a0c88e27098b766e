# 64 clients use up limits: what is admitted is exactly the limit, by consume_quota and by reservations that are
# settled, released or left to expire; also when clients are killed, and when a backend is and the server restarts.
# Each call writes what it was told into a table, in its own transaction: that is what the counters are compared with.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run ();
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = 64;
my $node = PostgreSQL::Test::Cluster->new('load');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off\nrestart_after_crash = on\nmax_connections = 100\nlog_min_messages = warning");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION claude_gpt;
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": 1000}, "base": {"messagesPerMonth": 20, "tokensPerMonth": 400, "costPerMonth": 2}}' WHERE config_key = 'subscription_plans';
    CREATE TABLE public.calls (user_id uuid, kind text, allowed boolean, used bigint, held bigint, limit_value bigint);
    CREATE TABLE public.settled (user_id uuid, tokens bigint, late boolean);
    CREATE FUNCTION public.id(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid$$});

my $dir = PostgreSQL::Test::Utils::tempdir;
my %scripts = (
    consume => q{
        \set n random(:first, :last)
        INSERT INTO public.calls SELECT public.id(:n), 'consume', d.allowed, d.used, d.held, d.limit_value FROM claude_gpt.consume_quota(public.id(:n)) AS d;
    },
    # Three of ten are left to expire, and four are settled with at most what they hold.
    reserve => q{
        \set n random(:first, :last)
        \set tokens random(0, 40)
        \set fate random(1, 10)
        \set ttl CASE WHEN :fate <= 3 THEN 1 ELSE 600 END
        WITH d AS MATERIALIZED (SELECT * FROM claude_gpt.reserve_usage(public.id(:n), :tokens, 1, NULL, make_interval(secs => :ttl))),
             log AS (INSERT INTO public.calls SELECT public.id(:n), 'reserve', d.allowed, d.used, d.held, d.limit_value FROM d)
        SELECT d.allowed::integer AS allowed, COALESCE(d.reservation_id, public.id(0)) AS reservation FROM d \gset
        \if :allowed = 1 and :fate >= 4 and :fate <= 7
            INSERT INTO public.settled SELECT public.id(:n), s.charged_tokens, s.late FROM claude_gpt.settle_usage(public.id(:n), ':reservation', :tokens / 2, :tokens / 2, 0.01) AS s;
        \elif :allowed = 1 and :fate = 8
            SELECT claude_gpt.extend_usage(public.id(:n), ':reservation', '1 second');
        \elif :allowed = 1 and :fate >= 9
            SELECT claude_gpt.release_usage(public.id(:n), ':reservation');
        \endif
    });
for my $name (keys %scripts) { (my $script = $scripts{$name}) =~ s/^ {8}//mg; $script =~ s/\n\s+(?=SELECT d\.allowed|log AS)/ /g; append_to_file("$dir/$name.sql", $script) }

# Users of one scenario, by their numbers.
my ($first, $last) = (0, 0);
sub new_users
{
    my ($number, $tier) = @_;
    ($first, $last) = ($last + 1, $last + $number);
    $node->safe_psql('postgres', "INSERT INTO claude_gpt_data.users (id, email, password_hash, subscription_tier) SELECT public.id(n), n || '\@x', 'x', '$tier' FROM generate_series($first, $last) AS n");
    return ($first, $last);
}

sub start_load
{
    my ($processes, $clients_each, $transactions, $scripts, @users) = @_;
    my @load;
    for (1 .. $processes)
    {
        my ($out, $err) = ('', '');
        push @load, { run => IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', $clients_each, '-t', $transactions, '-D', "first=$users[0]", '-D', "last=$users[1]",
                (map { ('-f', "$dir/$_.sql") } @$scripts), 'postgres' ], '>', \$out, '2>', \$err), err => \$err };
    }
    return @load;
}

# How many processes did not end well; what they said, if none should have.
sub finish_load
{
    my ($expected, @load) = @_;
    my @failed = grep { !$_->{run}->finish } @load;
    diag(substr(${ $_->{err} }, 0, 1000)) for $expected ? () : @failed;
    return scalar @failed;
}

sub calls { my (@users) = @_; return $node->safe_psql('postgres', "SELECT count(*) FROM public.calls WHERE user_id BETWEEN public.id($users[0]) AND public.id($users[1])") }

sub wait_for_calls
{
    my ($number, @users) = @_;
    return wait_until(sub { calls(@users) >= $number });
}

sub is_limit_reached
{
    my ($how, @users) = @_;
    return cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM public.calls WHERE NOT allowed AND user_id BETWEEN public.id($users[0]) AND public.id($users[1])"), '>', 0, "$how: calls were denied");
}

# What holds at any moment after an admission, and of the books; then uses up what is left, unit by unit.
sub is_within_limits
{
    my ($how, @users) = @_;
    my $mine = "user_id BETWEEN public.id($users[0]) AND public.id($users[1])";
    is($node->safe_psql('postgres', 'SELECT * FROM claude_gpt.prove_books()'), '', "$how: the books are proved");
    is($node->safe_psql('postgres', "SELECT count(*) FROM public.calls WHERE $mine AND allowed AND used + held > limit_value"), '0', "$how: no admission was beyond the limit");
    is($node->safe_psql('postgres', "SELECT count(*) FROM public.settled WHERE $mine AND late"), '0', "$how: what was settled was settled in time");
    my $users = "claude_gpt_data.users AS u, LATERAL (SELECT count(*) AS n FROM public.calls WHERE user_id = u.id AND kind = 'consume' AND allowed) AS c,
        LATERAL (SELECT count(*) AS n, COALESCE(sum(tokens), 0) AS tokens FROM public.settled WHERE user_id = u.id) AS s,
        LATERAL (SELECT CASE u.subscription_tier WHEN 'base' THEN 20 ELSE 1000 END AS messages) AS limits WHERE u.id BETWEEN public.id($users[0]) AND public.id($users[1])";
    is($node->safe_psql('postgres', "SELECT u.id, u.monthly_message_count, c.n, s.n, u.monthly_token_count, s.tokens FROM $users
        AND (u.monthly_message_count, u.monthly_token_count) IS DISTINCT FROM (c.n + s.n, s.tokens)"), '', "$how: what is counted is what the callers were told");
    is($node->safe_psql('postgres', "SELECT count(*) FROM $users AND (u.monthly_message_count > limits.messages OR u.subscription_tier = 'base' AND (u.monthly_token_count > 400 OR u.monthly_cost > 2))"),
        '0', "$how: nobody is beyond his limits");
    $node->safe_psql('postgres', "
        SELECT claude_gpt.release_usage(user_id, id) FROM claude_gpt_data.usage_reservations WHERE $mine AND status = 'open';
        DO \$\$ DECLARE u uuid; BEGIN
            FOR u IN SELECT id FROM claude_gpt_data.users WHERE id BETWEEN public.id($users[0]) AND public.id($users[1]) LOOP
                LOOP
                    INSERT INTO public.calls SELECT u, 'consume', d.allowed, d.used, d.held, d.limit_value FROM claude_gpt.consume_quota(u) AS d WHERE d.allowed;
                    EXIT WHEN NOT FOUND;
                END LOOP;
            END LOOP;
        END \$\$");
    is($node->safe_psql('postgres', "SELECT count(*) FROM $users AND u.monthly_message_count = c.n + s.n AND u.monthly_message_count = limits.messages"), $users[1] - $users[0] + 1, "$how: all that was left could be used, to the last unit");
    is($node->safe_psql('postgres', 'SELECT * FROM claude_gpt.prove_books()'), '', "$how: and the books are proved again");
    return;
}

for my $case ([ 1, 'free', 40 ], [ 100, 'base', 50 ])
{
    my ($number, $tier, $transactions) = @$case;
    my @users = new_users($number, $tier);
    is(finish_load(0, start_load(2, $clients / 2, $transactions, ['consume'], @users)), 0, "$clients clients consumed for $number users");
    is(calls(@users), $clients * $transactions, 'every call was answered');
    is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT user_id, count(*) AS calls, count(*) FILTER (WHERE allowed) AS admitted, max(limit_value) AS most FROM public.calls
        WHERE user_id BETWEEN public.id($users[0]) AND public.id($users[1]) GROUP BY user_id) AS c WHERE admitted <> least(calls, most)"), '0', "consumed for $number: admitted is exactly the limit");
    is_limit_reached("consumed for $number", @users);
    is_within_limits("consumed for $number", @users);

    @users = new_users($number, $tier);
    is(finish_load(0, start_load(2, $clients / 2, $transactions, ['reserve'], @users)), 0, "$clients clients reserved for $number users");
    # Nobody calls any more, and no job runs.
    ok($node->poll_query_until('postgres', "SELECT sum(q.held) = 0 FROM generate_series($users[0], $users[1]) AS n, claude_gpt.quota_status(public.id(n)) AS q WHERE q.action <> 'cost'"), "reserved for $number: what was left to expire is free");
    cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM claude_gpt_data.usage_reservations WHERE status = 'open' AND expires_at <= now()"), '>', 0, "reserved for $number: though nothing has marked it");
    is_limit_reached("reserved for $number", @users);
    is_within_limits("reserved for $number", @users);
}

# A third of the clients vanish in the middle.
for my $number (1, 100)
{
    my @users = new_users($number, $number == 1 ? 'free' : 'base');
    my @load = start_load(5, $clients / 8, 60, [ 'consume', 'reserve' ], @users);
    my @doomed = start_load(3, $clients / 8, 100_000, [ 'consume', 'reserve' ], @users);
    ok(wait_for_calls(700, @users), "killed clients of $number: the load runs");
    $_->{run}->signal('KILL') for @doomed;
    is(finish_load(3, @doomed), 3, "killed clients of $number: three of eight processes died");
    is(finish_load(0, @load), 0, "killed clients of $number: the others went on");
    ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()}), "killed clients of $number: their backends are gone");
    is_limit_reached("killed clients of $number", @users);
    is_within_limits("killed clients of $number", @users);
}

# A backend is killed in the middle, and with it all of them.
for my $number (1, 100)
{
    my @users = new_users($number, $number == 1 ? 'free' : 'base');
    my @load = start_load(2, $clients / 2, 100_000, [ 'consume', 'reserve' ], @users);
    ok(wait_for_calls(700, @users), "a killed backend of $number: the load runs");
    my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY state = 'active' DESC LIMIT 1});
    my $before = end_of_log($node);
    kill 'KILL', $pid;
    is(finish_load(2, @load), 2, "a killed backend of $number: every client lost its connection");
    ok(wait_for_restart($node, $before), "a killed backend of $number: the server comes back by itself");
    like(slurp_file($node->logfile), qr/server process \(PID $pid\) was terminated by signal 9/, 'which it was');
    is_within_limits("a killed backend of $number", @users);
}

unlike(slurp_file($node->logfile), qr/deadlock detected|XX000|PANIC/, 'no deadlock, no internal error');
$node->stop;
done_testing();
