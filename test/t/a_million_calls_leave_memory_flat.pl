# One backend that makes a million calls, of every kind that an application makes, errors among them: what it holds at the end
# is what it held after the first tenth. A leak of one byte in each call would be seen.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

plan skip_all => 'there is no /proc' unless -e '/proc/self/status';
my $node = PostgreSQL::Test::Cluster->new('flat');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION claude_gpt; UPDATE claude_gpt_data.system_configs SET config_value = '{"gpt-4": {"prompt": 0, "completion": 0}}' WHERE config_key = 'model_prices';
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": 1000000, "models": ["gpt-4"]}, "base": {"messagesPerMonth": 5}}' WHERE config_key = 'subscription_plans';
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": 1000000, "base": 3}' WHERE config_key = 'rate_limits';
    INSERT INTO claude_gpt_data.users (email, password_hash, subscription_tier, subscription_status)
    SELECT n || '@x', 'x', CASE WHEN n % 2 = 0 THEN 'base' ELSE 'free' END, 'active' FROM generate_series(1, 500) AS n;
    CREATE PROCEDURE refuse(p_calls integer) LANGUAGE plpgsql AS $$
    BEGIN
        FOR n IN 1..p_calls LOOP
            BEGIN
                IF n % 4 = 0 THEN PERFORM claude_gpt.update_user_usage(NULL);
                ELSIF n % 4 = 1 THEN PERFORM claude_gpt.consume_quota('00000000-0000-4000-8000-000000000000');
                ELSIF n % 4 = 2 THEN PERFORM claude_gpt.settle_usage('00000000-0000-4000-8000-000000000000', '00000000-0000-4000-8000-000000000000', 1, 1);
                ELSE UPDATE claude_gpt_data.system_configs SET config_value = '{"free": -5}' WHERE config_key = 'rate_limits';
                END IF;
                RAISE assert_failure;
            EXCEPTION WHEN null_value_not_allowed OR no_data_found OR foreign_key_violation OR invalid_parameter_value OR check_violation OR raise_exception OR undefined_object THEN NULL;
            END;
        END LOOP;
    END $$});

# What one round does, and how many calls that is. Each is a statement, and a transaction, of its own.
my @round = (
    [ 4000, q{SELECT count(claude_gpt.check_subscription_limit(id)) FROM claude_gpt_data.users, generate_series(1, 8)} ],
    [ 2000, q{SELECT count(claude_gpt.check_rate_limit(id)) FROM claude_gpt_data.users, generate_series(1, 4)} ],
    [ 2000, q{SELECT count(claude_gpt.rate_limit('key' || n % 50, 10, '1 second')) FROM generate_series(1, 2000) AS n} ],
    [ 500, q{SELECT count(claude_gpt.update_user_usage(id)) FROM claude_gpt_data.users} ],
    [ 500, q{SELECT count(claude_gpt.consume_quota(id, p_idempotency_key => id || ':' || extract(epoch FROM now()))) FROM claude_gpt_data.users} ],
    [ 500, q{SELECT count(*) FROM claude_gpt_data.users AS u, claude_gpt.quota_status(u.id)} ],
    [ 125, q{SELECT count(claude_gpt.reserve_usage(id, 1)) FROM (SELECT id FROM claude_gpt_data.users WHERE subscription_tier = 'free' LIMIT 125) AS u} ],
    [ 125, q{SELECT count(claude_gpt.settle_usage(user_id, id, 1, 1, 0)) FROM claude_gpt_data.usage_reservations WHERE status = 'open' AND conversation_id IS NULL} ],
    [ 50, q{SELECT count(claude_gpt.begin_turn(id, NULL, 'x', 'gpt-4')) FROM (SELECT id FROM claude_gpt_data.users WHERE subscription_tier = 'free' LIMIT 50) AS u} ],
    [ 50, q{SELECT count(claude_gpt.complete_turn(user_id, id, 'y', 1, 1, 0)) FROM claude_gpt_data.usage_reservations WHERE status = 'open'} ],
    [ 20, q{UPDATE claude_gpt_data.users SET full_name = clock_timestamp()::text WHERE id IN (SELECT id FROM claude_gpt_data.users LIMIT 10); UPDATE claude_gpt_data.system_configs SET updated_at = now()} ],
    [ 100, q{CALL refuse(100)} ],
    [ 30, q{SELECT count(*) FROM claude_gpt.health(); SELECT count(*) FROM claude_gpt.metrics()} ],
);
my $calls_in_a_round = 0;
$calls_in_a_round += $_->[0] for @round;

my $session = PsqlSession->new($node, 'postgres');
my $pid = $session->ask('SELECT pg_backend_pid()');
sub held
{
    my %status = slurp_file("/proc/$pid/status") =~ /^(\w+):\s+(\d+) kB$/mg;
    my $contexts = $session->ask('SELECT sum(total_bytes) FROM pg_backend_memory_contexts');
    return ($status{RssAnon}, int($contexts / 1024));
}
sub calls
{
    my ($rounds) = @_;
    my $said = '';
    for my $round (1 .. $rounds) { $said .= $session->ask($_->[1]) for @round }
    return $said;
}

my $rounds = int(1_000_000 / $calls_in_a_round) + 1;
unlike(calls(int($rounds / 10)), qr/ERROR/, 'every call is answered');
my ($resident, $contexts) = held();
unlike(calls($rounds - int($rounds / 10)), qr/ERROR/, 'a million of them');
my ($resident_in_the_end, $contexts_in_the_end) = held();
note("$rounds rounds of $calls_in_a_round calls; contexts $contexts kB, then $contexts_in_the_end kB; resident $resident kB, then $resident_in_the_end kB");
cmp_ok($contexts_in_the_end - $contexts, '<', 256, 'memory contexts have not grown');
# Beside a byte for each call: the server keeps up to 100 contexts of 8 kB that were deleted, which no view shows.
cmp_ok($resident_in_the_end - $resident, '<', 900 + 800, 'nor has the process');
is($session->ask(q{SELECT count(*) FROM claude_gpt.prove_books()}), '0', 'and the books prove');
$session->close;
done_testing();
