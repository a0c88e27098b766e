# Two databases with the same users are played the same generated calls under a held clock: in one, rows are read and
# written directly, in the other by SPI. Every answer, error and row is the same, the indexes have an entry for each row,
# and the books are proved. SEED=n repeats a run.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{SEED} || time;
srand($seed);
diag("SEED=$seed");

my ($steps, $users) = (1500, 5);
my $node = PostgreSQL::Test::Cluster->new('engines');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off\nautovacuum = off");
$node->start;

sub pick { return $_[ rand @_ ] }
sub up_to { my ($most) = @_; return int rand($most + 1) }
sub user { return sprintf "'00000000-0000-4000-8000-%012d'", 1 + up_to($users) }
sub key { return up_to(4) ? 'NULL' : "'k" . up_to(20) . "'" }
sub cost { return pick('0', '0.25', '0.0000000004', '0.0000000005', '1.1234567894', '12345678901.5', '1e-12') }

my $plans = '{"free": {"messagesPerMonth": 40, "tokensPerMonth": 900, "apiCallsPerMonth": 25, "costPerMonth": 60}, "base": {"messagesPerMonth": 120, "models": ["m"]}, "pro": {"messagesPerMonth": -1}}';
my $reservation = sub { my ($u) = @_; "COALESCE((SELECT r.id FROM claude_gpt_data.usage_reservations AS r WHERE r.user_id = $u ORDER BY r.created_at DESC, r.id DESC OFFSET " . up_to(3) . ' LIMIT 1), ' . "$u)" };

# What writes the call; the answer is written to a table, without ids that are made anew.
my @calls = (
    sub { my $u = user(); "consume_quota($u, '" . pick(qw(message message token api_call)) . "', " . pick(1, 1, 2, 7, 100) . ', ' . pick('NULL', "'m'", "'n'") . ', ' . key() . ')' },
    sub { my $u = user(); "consume_quota($u)" },
    sub { my $u = user(); "update_user_usage($u, " . up_to(2) . ', ' . up_to(20) . ', ' . cost() . ')' },
    sub { my $u = user(); "record_usage($u, '" . pick(qw(message token api_call)) . "', " . (1 + up_to(3)) . ', ' . pick('NULL', "'m'") . ', ' . cost() . ', NULL, NULL, ' . pick('NULL', q{'{"a": 1}'}) . ', ' . key() . ')' },
    sub { my $u = user(); "reserve_usage($u, " . (1 + up_to(60)) . ', ' . up_to(2) . ", 'm', '" . pick(1, 60, 6000) . " seconds', " . key() . ')' },
    sub { my $u = user(); "settle_usage($u, " . $reservation->($u) . ', ' . up_to(30) . ', ' . up_to(30) . ', ' . pick('NULL', cost()) . ')' },
    sub { my $u = user(); "release_usage($u, " . $reservation->($u) . ')' },
    sub { my $u = user(); "extend_usage($u, " . $reservation->($u) . ", '1 hour')" },
    sub { my $u = user(); "check_subscription_limit($u, '" . pick(qw(message token api_call)) . "')" },
    sub { my $u = user(); "effective_tier($u)" },
    sub { my $u = user(); "quota_status($u)" },
    sub { my $u = user(); "set_subscription($u, '" . pick(qw(free base pro)) . "', '" . pick(qw(active canceled)) . "', " . pick('NULL', "'2026-11-30 23:59:40Z'") . ')' },
    sub { 'prove_books()' });
my @others = (
    sub { 'UPDATE claude_gpt_data.users SET full_name = \'' . up_to(9) . '\', phone = repeat(\'1\', ' . 200 * up_to(3) . ') WHERE id = ' . user() },
    sub { 'UPDATE claude_gpt_data.users SET full_name = (claude_gpt.consume_quota(id)).reason WHERE id = ' . user() },
    sub { "UPDATE claude_gpt_data.system_configs SET config_value = '" . pick('true', 'true', 'false') . "' WHERE config_key = 'usage_ledger'" },
    sub { 'ALTER TABLE claude_gpt_data.users ' . pick('ADD COLUMN IF NOT EXISTS note text', 'DROP COLUMN IF EXISTS note', 'ENABLE TRIGGER ALL', 'SET (fillfactor = 90)') },
    sub { 'ALTER TABLE claude_gpt_data.usage_records ' . pick('ADD COLUMN IF NOT EXISTS note text', 'DROP COLUMN IF EXISTS note') },
    sub { pick('CREATE INDEX IF NOT EXISTS by_name ON claude_gpt_data.users (upper(full_name)) WHERE monthly_token_count > 5', 'DROP INDEX IF EXISTS claude_gpt_data.by_name', 'REINDEX TABLE CONCURRENTLY claude_gpt_data.users', 'VACUUM FULL claude_gpt_data.users',
        'CLUSTER claude_gpt_data.users USING users_pkey', 'VACUUM claude_gpt_data.users', 'VACUUM claude_gpt_data.usage_records', 'ALTER TABLE claude_gpt_data.users ADD CONSTRAINT few CHECK (monthly_message_count < 30) NOT VALID',
        'ALTER TABLE claude_gpt_data.users DROP CONSTRAINT IF EXISTS few') });

my $script = '';
my $call_number = 0;
for my $step (1 .. $steps)
{
    # Through the end of a month, now and then back.
    my $second = int(120 * $step / $steps) + up_to(2) - (up_to(30) ? 0 : 70);
    $script .= sprintf "SET claude_gpt.fixed_time = '2026-%s:%02dZ';\n", $second < 0 ? ('11-29T00:00', -$second % 60) : $second < 60 ? ('11-30T23:59', $second) : ('12-01T00:00', $second - 60);
    if (!up_to(20)) { $script .= $others[ rand @others ]->() . ";\n"; next }
    my @made = map { $calls[ rand @calls ]->() } 0 .. (up_to(9) ? 0 : 2);
    my $do = join "\n", map { sprintf "SELECT public.note_answer(%d, \$\$SELECT regexp_replace(t::text, '[0-9a-f]{8}-[0-9a-f-]{27}', 'id') FROM claude_gpt.%s AS t\$\$);", ++$call_number, $_ } @made;
    $script .= up_to(9) ? "$do\n" : 'BEGIN' . pick('', '', ' ISOLATION LEVEL REPEATABLE READ', ' READ ONLY') . ";\n$do\nSAVEPOINT s;\n$do\n" . pick('ROLLBACK TO s;', '') . pick('COMMIT', 'COMMIT', 'ROLLBACK') . ";\n";
}

my %state;
for my $way ('on', 'off')
{
    $node->safe_psql('postgres', "CREATE DATABASE direct_$way");
    $node->safe_psql('postgres', "ALTER DATABASE direct_$way SET claude_gpt.direct_access = $way");
    $node->safe_psql("direct_$way", qq{
        CREATE EXTENSION claude_gpt; CREATE EXTENSION amcheck;
        UPDATE claude_gpt_data.system_configs SET config_value = '$plans' WHERE config_key = 'subscription_plans';
        UPDATE claude_gpt_data.system_configs SET config_value = '{"m": {"prompt": 1000, "completion": 3000}}' WHERE config_key = 'model_prices';
        INSERT INTO claude_gpt_data.users (id, email, monthly_reset_date) SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, n || '\@x', '2026-10-01' FROM generate_series(1, $users) AS n;
        CREATE TABLE public.answers (call integer, answer text);
        -- In a READ ONLY transaction nothing is noted.
        CREATE FUNCTION public.note_answer(p_call integer, p_statement text) RETURNS void LANGUAGE plpgsql AS \$f\$
        DECLARE
            answer text;
        BEGIN
            BEGIN
                EXECUTE 'SELECT string_agg(a, ''; '') FROM (' || p_statement || ') AS t (a)' INTO answer;
            EXCEPTION WHEN OTHERS THEN
                answer := SQLSTATE || ' ' || SQLERRM;
            END;
            IF current_setting('transaction_read_only') = 'off' THEN
                INSERT INTO public.answers VALUES (p_call, regexp_replace(answer, '[0-9a-f]{8}-[0-9a-f-]{27}', 'id', 'g'));
            ELSIF answer LIKE '25006%' THEN
                RAISE NOTICE 'call % is refused', p_call;
            END IF;
        END
        \$f\$});
    my ($out, $err) = ('', '');
    $node->psql("direct_$way", "SET client_min_messages = notice;\n$script", stdout => \$out, stderr => \$err, on_error_stop => 0);
    $err =~ s/psql:<stdin>:\d+: //g;
    $err =~ s/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00/now/g;
    $err =~ s/[0-9a-f]{8}-[0-9a-f-]{27}/id/g;
    $state{$way} = {
        errors => join("\n", grep { !/already exists, skipping|does not exist, skipping/ } split /\n/, $err),
        answers => $node->safe_psql("direct_$way", q{SELECT call, answer FROM public.answers}),
        users => $node->safe_psql("direct_$way", q{SELECT to_jsonb(u) - 'created_at' - 'updated_at' FROM claude_gpt_data.users AS u ORDER BY id}),
        times => $node->safe_psql("direct_$way", q{SELECT id, updated_at > created_at FROM claude_gpt_data.users ORDER BY id}),
        records => $node->safe_psql("direct_$way", q{SELECT to_jsonb(r) - 'created_at' - 'id' FROM claude_gpt_data.usage_records AS r ORDER BY id}),
        reservations => $node->safe_psql("direct_$way", q{SELECT to_jsonb(r) - 'created_at' - 'id' FROM claude_gpt_data.usage_reservations AS r ORDER BY created_at, id}),
        keys => $node->safe_psql("direct_$way", q{SELECT to_jsonb(k) - 'reservation_id' - 'usage_record_id' FROM claude_gpt_data.idempotency_keys AS k ORDER BY user_id, idempotency_key}),
        balances => $node->safe_psql("direct_$way", q{SELECT b FROM claude_gpt_data.usage_balances AS b ORDER BY b})};
}

for my $what (qw(answers errors users times records reservations keys balances))
{
    my @directly = split /\n/, $state{on}{$what};
    my @by_spi = split /\n/, $state{off}{$what};
    my ($first) = grep { ($directly[$_] // '') ne ($by_spi[$_] // '') } 0 .. ($#directly > $#by_spi ? $#directly : $#by_spi);
    ok(!defined $first, "the same $what (" . @directly . ')') or diag("SEED=$seed, number $first\n  directly: " . ($directly[$first] // '') . "\n  by SPI:   " . ($by_spi[$first] // ''));
}

for my $way ('on', 'off')
{
    is($node->safe_psql("direct_$way", 'SELECT * FROM claude_gpt.prove_books()'), '', "direct_access $way: the books are proved");
    is($node->safe_psql("direct_$way", q{SELECT count(bt_index_check(c.oid, true)) > 10 FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid JOIN pg_am AS m ON m.oid = c.relam
        WHERE m.amname = 'btree' AND c.relkind = 'i' AND i.indrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace))}), 't', "direct_access $way: every row has its entries in the indexes");
    is($node->safe_psql("direct_$way", q{SET enable_seqscan = off; SELECT count(*) FROM claude_gpt_data.usage_records WHERE created_at > '2000-01-01' AND billing_period > '2000-01-01'}),
        $node->safe_psql("direct_$way", q{SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off; SELECT count(*) FROM claude_gpt_data.usage_records}), "direct_access $way: and in those of ranges");
}

# The run has met what it is for, and the two ways were two.
cmp_ok($node->safe_psql('direct_on', "SELECT count(DISTINCT left(answer, 5)) FROM public.answers WHERE answer ~ '^[0-9A-Z]{5} '"), '>', 3, 'errors of several kinds were met');
cmp_ok(scalar(() = $state{on}{errors} =~ /is refused/g), '>', 0, 'calls were refused in READ ONLY transactions');
for my $what ('SELECT count(*) FROM claude_gpt_data.usage_records WHERE cost > 0', q{SELECT count(DISTINCT billing_period) - 1 FROM claude_gpt_data.usage_records}, q{SELECT count(*) FROM public.answers WHERE answer ~ 'quota_exceeded'},
    q{SELECT count(*) FROM claude_gpt_data.usage_reservations WHERE status = 'expired'})
{
    cmp_ok($node->safe_psql('direct_on', $what), '>', 0, $what);
}
my $plans_of = q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource' AND ident ~ 'claude_gpt_data\.(users|usage_records)'};
my $fresh = q{SELECT claude_gpt.consume_quota(id) FROM claude_gpt_data.users LIMIT 1; };
$node->safe_psql("direct_$_", 'ALTER TABLE claude_gpt_data.users DROP CONSTRAINT IF EXISTS few; ALTER TABLE claude_gpt_data.users ENABLE TRIGGER ALL; UPDATE claude_gpt_data.system_configs SET config_value = \'true\' WHERE config_key = \'usage_ledger\'') for 'on', 'off';
is((split /\n/, $node->safe_psql('direct_on', $fresh . $plans_of))[-1], '0', 'directly no statement is planned');
cmp_ok((split /\n/, $node->safe_psql('direct_off', $fresh . $plans_of))[-1], '>', 0, 'by SPI it is');

$node->stop;
done_testing();
