# Rate limits stand in memory that all sessions share: exactly the limit is admitted however many clients call at
# once; databases have keys apart; a restart forgets; keys without a place are denied, counted, and cost no user his
# place, no other database its share, and, if their periods are long, no key of a short one; and a server that has not preloaded the library says so.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('rates');
$node->init;
# One clock for all sessions, which stands still.
$node->append_conf('postgresql.conf', "fsync = off\nrestart_after_crash = on\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off\nclaude_gpt.rate_limit_memory = 64kB\nclaude_gpt.fixed_time = '2026-11-22T10:00:00Z'");
$node->start;

my $user = '00000000-0000-4000-8000-000000000001';
my $furnish = qq{
    CREATE EXTENSION claude_gpt; UPDATE claude_gpt_data.system_configs SET config_value = '{"m": {"prompt": 0, "completion": 0}}' WHERE config_key = 'model_prices';
    INSERT INTO claude_gpt_data.users (id, email, password_hash) SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, n || '\@x', 'x' FROM generate_series(1, 3000) AS n;
    CREATE TABLE public.answers (key text, cost integer, allowed boolean, remaining integer)};
$node->safe_psql('postgres', $furnish);
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', $furnish);

sub ask { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql) }
sub rate { my ($key, $limit, $period, $cost) = @_; $cost //= 1; return "SELECT allowed, remaining, retry_after_seconds, reset_after_seconds, reason, error_code, http_status FROM claude_gpt.rate_limit('$key', $limit, '$period', $cost)" }
my $look = "SELECT allowed, limit_value, remaining FROM claude_gpt.check_rate_limit('$user', 0)";
# SQLSTATE and HINT of what a statement raises.
sub error_of
{
    my ($on, $sql) = @_;
    my ($code, $out, $err) = $on->psql('postgres', $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    my ($state) = $err =~ /ERROR:  (\w{5}):/;
    my ($hint) = $err =~ /HINT:  (.*)/;
    return join ' ', $state // "none: $out", $hint // ();
}

# One state.
my ($one, $two) = (PsqlSession->new($node), PsqlSession->new($node));
is($one->ask(rate('shared', 5, '1 hour', 2)), 't|3||1440|||', 'a session uses two of five');
is($two->ask(rate('shared', 5, '1 hour', 0)), 't|3||1440|||', 'another one sees it');
is($two->ask(rate('shared', 5, '1 hour', 3)), 't|0||3600|||', 'and uses the rest');
is($one->ask(rate('shared', 5, '1 hour')), 'f|0|720|3600|rate_limited|UQ002|429', 'which the first sees');
is($one->ask('BEGIN; ' . rate('taken back', 5, '1 hour', 2) . '; ROLLBACK; ' . rate('taken back', 5, '1 hour', 0)), "t|3||1440|||\nt|3||1440|||", 'a transaction that rolls back has used what it used');
is($two->ask("SELECT claude_gpt.reset_rate_limit('shared')"), 't', 'a key is reset');
is($one->ask(rate('shared', 5, '1 hour', 0)), 't|5||0|||', 'for everybody');
is($one->ask("SET claude_gpt.fixed_time = '2026-11-22T10:12:00Z'; " . rate('taken back', 5, '1 hour', 0) . '; RESET claude_gpt.fixed_time'), 't|4||720|||', 'units come back with time, one by one');
ask("SELECT claude_gpt.check_rate_limit('$user', 4)");
is($one->ask($look), 't|10|6', 'the rate of a user is shared too');

# Databases have keys and users apart.
ask(rate('apart', 3, '1 hour', 3));
is(ask(rate('apart', 3, '1 hour'), 'second'), 't|2||1200|||', 'another database has keys of its own');
is(ask($look, 'second'), 't|10|10', 'and users');
is(ask("SELECT claude_gpt.reset_rate_limit('apart')", 'second'), 't', 'and resets its own');
is(ask(rate('apart', 3, '1 hour')), 'f|0|1200|3600|rate_limited|UQ002|429', 'not the first one\'s');
is(ask("SELECT claude_gpt.reset_user_rate_limit('$user')", 'second'), 'f', 'whose users it does not know either');
is($one->ask($look), 't|10|6', 'so they keep what they have used');

# Sixteen clients, and not one unit more or less.
my ($dir, $scripts) = (PostgreSQL::Test::Utils::tempdir, 0);
sub run_clients
{
    my ($transactions, $script) = @_;
    my $file = "$dir/script" . ++$scripts . '.sql';
    append_to_file($file, $script);
    return $node->command_ok([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', 16, '-j', 2, '-t', $transactions, '-f', $file, 'postgres' ], '16 clients call');
}
run_clients(200, "INSERT INTO public.answers SELECT 'one', 1, r.allowed, r.remaining FROM claude_gpt.rate_limit('one', 1000, '1 day') AS r;\n");
is(ask("SELECT count(*), count(*) FILTER (WHERE allowed), count(DISTINCT remaining) FILTER (WHERE allowed), min(remaining), max(remaining) FROM public.answers WHERE key = 'one'"),
    '3200|1000|1000|0|999', 'one key: each unit was given to one of 3200 calls');
run_clients(100, "\\set n random(1, 40)\nINSERT INTO public.answers SELECT 'key ' || :n, 1, r.allowed, r.remaining FROM claude_gpt.rate_limit('key ' || :n, 7, '1 day') AS r;\n");
is(ask("SELECT count(*) FROM (SELECT count(*) AS calls, count(*) FILTER (WHERE allowed) AS admitted FROM public.answers WHERE key LIKE 'key %' GROUP BY key) AS k WHERE admitted <> least(calls, 7)"),
    '0', 'forty keys that are new to all: exactly the limit of each');
run_clients(100, "\\set cost random(1, 3)\nINSERT INTO public.answers SELECT 'costs', :cost, r.allowed, r.remaining FROM claude_gpt.rate_limit('costs', 1000, '1 day', :cost) AS r;\n");
is(ask("SELECT sum(cost) FILTER (WHERE allowed), bool_and(allowed OR remaining < cost) FROM public.answers WHERE key = 'costs'"), '1000|t', 'calls of different cost: together exactly the limit');
my $other = '00000000-0000-4000-8000-000000000002';
run_clients(20, "INSERT INTO public.answers SELECT 'user', 1, r.allowed, r.remaining FROM claude_gpt.check_rate_limit('$other') AS r;\n");
is(ask("SELECT count(*), count(*) FILTER (WHERE allowed) FROM public.answers WHERE key = 'user'"), '320|10', 'a user: exactly the limit of his tier');

# Restarts forget, a crash as well.
$_->close for ($one, $two);
$node->restart;
is(ask(rate('one', 1000, '1 day')), 't|999||87|||', 'a restart forgets what was used');
is(ask($look), 't|10|10', 'of users too');
is(ask('SELECT region, slots_in_use, denied_because_full FROM claude_gpt.rate_limit_status()'), "user|0|0\nkey|1|0", 'and what is counted');
ask(rate('one', 1000, '1 day', 500));
my $victim = PsqlSession->new($node);
my $before = end_of_log($node);
kill 'KILL', $victim->ask('SELECT pg_backend_pid()');
wait_for_restart($node, $before) or die 'no restart';
is(ask("SELECT remaining FROM claude_gpt.rate_limit('one', 1000, '1 day', 0)"), '1000', 'so does a crash');

# More keys than places.
my $slots = ask("SELECT slots FROM claude_gpt.rate_limit_status() WHERE region = 'key'");
cmp_ok($slots, '>=', 64 * 1024 / 2 / 16 / 4 * 3 - 3, 'a half of the memory is for keys, 16 bytes and a third a key') or diag($slots);
is(ask(rate('early', 3, '15 minutes')), 't|2||300|||', 'a key comes in time');
ask(qq{CREATE TABLE public.flood AS SELECT n, r.* FROM generate_series(1, 6 * $slots) AS n, LATERAL claude_gpt.rate_limit('address ' || n, 5, '10 minutes') AS r});
my $denied = ask('SELECT count(*) FROM public.flood WHERE NOT allowed');
cmp_ok($denied, '>=', 5 * $slots, 'a flood of other keys is denied where there is no place');
is(ask('SELECT DISTINCT reason, error_code, http_status, retry_after_seconds, limit_value, remaining FROM public.flood WHERE NOT allowed'), 'capacity|UQ005|503|1|5|0', 'for the reason of capacity');
is(ask("SELECT denied_because_full, slots_in_use FROM claude_gpt.rate_limit_status() WHERE region = 'key'"), $denied . '|' . (6 * $slots - $denied + 1), 'each is counted, and each that was not has its place');
is(error_of($node, "SELECT claude_gpt.raise_if_denied(r) FROM claude_gpt.rate_limit((SELECT 'address ' || max(n) FROM public.flood WHERE NOT allowed), 5, '10 minutes') AS r"), 'UQ005 Wait 1 s and try again.', 'and becomes an error on request');
is(ask(rate('early', 3, '15 minutes')), 't|1||600|||', 'the key that came in time is counted on');
is(ask("SELECT count(*) FROM generate_series(1, 50) AS n, LATERAL claude_gpt.check_rate_limit(('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid) AS r WHERE r.allowed"), '50', 'users are served as ever');
is(ask("SELECT slots_in_use, denied_because_full FROM claude_gpt.rate_limit_status() WHERE region = 'user'"), '50|0', 'in their own half');
is(ask("SELECT count(*) FROM claude_gpt.rate_limit_status() AS s WHERE s.slots_in_use > s.slots"), '0', 'no region is beyond its size');
is(ask("SET claude_gpt.fixed_time = '2026-11-23T10:00:00Z'; SELECT slots_in_use FROM claude_gpt.rate_limit_status() WHERE region = 'key'; "
    . "SELECT count(*) FROM generate_series(1, $slots / 32) AS n, LATERAL claude_gpt.rate_limit('next day ' || n, 5, '1 minute') AS r WHERE r.allowed"), "0\n" . int($slots / 32), 'when its time has passed a place is free again');


# One client fills what he can, with the longest period there is. Nobody else is denied: neither another database, nor, in his
# own, a key of a short period.
ask('SELECT claude_gpt.reset_rate_limits()');
my $attack = "SELECT count(*) FILTER (WHERE r.allowed) FROM generate_series(1, 200000) AS n, LATERAL claude_gpt.rate_limit('attack ' || n, 1, '366 days') AS r";
my $victims = sub { my ($database, $period, $count) = @_; return ask("SELECT count(*) FROM generate_series(1, $count) AS n, LATERAL claude_gpt.rate_limit('victim ' || n, 5, '$period') AS r WHERE r.allowed", $database) };
my $taken = ask($attack);
cmp_ok($taken, '>', $slots * 0.4, 'an attacker takes the places for long periods');
cmp_ok($taken, '<', $slots * 0.43, 'which are a part of all');
is($victims->('postgres', '15 minutes', int($slots / 4)), int($slots / 4), 'in his database keys of short periods find room');
is($victims->('second', '1 day', int($slots / 50)), int($slots / 50), 'and in another those of long periods too');
is(ask("SELECT region, periods, database_slots_in_use FROM claude_gpt.rate_limit_shares() ORDER BY 1, 2", 'second'), 'key|any|' . int($slots / 50) . "\nkey|long|" . int($slots / 50) . "\nuser|any|0", 'which sees what is its own');
is(ask('SELECT evicted FROM claude_gpt.rate_limit_shares() WHERE region = \'key\' AND periods = \'any\''), int($slots / 50), 'each in the place of one of the attacker\'s keys');
like(ask("SELECT status || ': ' || detail FROM claude_gpt.health() WHERE check_name = 'rate_limits'"), qr/^warning: \d+% of the memory for rate limits with periods over 15 minutes is in use, \d+% by this database; \d+ calls were denied/, 'health tells of the share that is full');
like(ask("SELECT hint FROM claude_gpt.health() WHERE check_name = 'rate_limits'", 'second'), qr/reset_rate_limits/, 'and what to do');
is(ask("SELECT m.value FROM claude_gpt.metrics('claude_gpt_rate_limit_long_slots') AS m"), $slots * 3 / 7, 'metrics say how many keys of long periods there may be');
is(ask("SELECT m.value FROM claude_gpt.metrics('claude_gpt_rate_limit_long_slots_in_use') AS m"), $taken, 'and are');
ask("SELECT claude_gpt.rate_limit('attack ' || n, 1, '15 minutes') FROM generate_series(1, 200000) AS n");
is($victims->('second', '1 minute', int($slots / 6)), int($slots / 6), 'a flood of short periods denies nobody in another database either');
cmp_ok(ask("SELECT m.value FROM claude_gpt.metrics('claude_gpt_rate_limit_slots_in_use') AS m WHERE m.labels ->> 'region' = 'key'"), '>', 0.99 * $slots, 'a metric says that all is full');
cmp_ok(ask("SELECT m.value FROM claude_gpt.metrics('claude_gpt_rate_limit_database_slots_in_use') AS m WHERE m.labels ->> 'region' = 'key'", 'second'), '<', $slots / 4, 'and by whom not');
my $own = ask("SELECT sum(database_slots_in_use) FROM claude_gpt.rate_limit_shares() WHERE periods = 'any'");
is(ask('SELECT claude_gpt.reset_rate_limits()'), $own, 'the operator empties it');
is(ask("SELECT count(*) FROM generate_series(1, 50) AS n, LATERAL claude_gpt.rate_limit('victim ' || n, 5, '1 minute') AS r WHERE r.remaining = 4"), '50', 'and all keys have all their units');
is($victims->('second', '1 minute', 50) . ask("SELECT remaining FROM claude_gpt.rate_limit('victim 1', 5, '1 minute', 0)", 'second'), '503', 'another database keeps its counts');
ask('SELECT claude_gpt.reset_rate_limits()', 'second');

# More users than places: a turn is refused for capacity, and leaves nothing.
ask("CREATE TABLE public.crowd AS SELECT u.id, r.* FROM claude_gpt_data.users AS u, LATERAL claude_gpt.check_rate_limit(u.id) AS r");
my $left_out = ask("SELECT id FROM public.crowd WHERE reason = 'capacity' ORDER BY id LIMIT 1");
is(ask("UPDATE claude_gpt_data.system_configs SET config_value = '{\"free\": {\"messagesPerMonth\": 10}}' WHERE config_key = 'subscription_plans';
    SELECT allowed, reason, error_code, http_status, retry_after_seconds, limit_name, reservation_id FROM claude_gpt.begin_turn('$left_out', NULL, 'hello', 'm')"), 'f|capacity|UQ005|503|1||', 'a turn without a place is refused');
is(ask('SELECT (SELECT count(*) FROM claude_gpt_data.messages), (SELECT count(*) FROM claude_gpt_data.usage_reservations), (SELECT sum(held_message_count) FROM claude_gpt_data.users)'), '0|0|0', 'and leaves nothing');

# The setting belongs to the start of the server.
is(ask('SHOW claude_gpt.rate_limit_memory'), '64kB', 'the size is a setting');
is(error_of($node, "SET claude_gpt.rate_limit_memory = '1MB'"), '55P02', 'which only a restart changes');
$node->append_conf('postgresql.conf', 'claude_gpt.rate_limit_memory = 256kB');
$node->restart;
is(ask("SELECT slots >= 4 * $slots FROM claude_gpt.rate_limit_status() WHERE region = 'key'"), 't', 'more memory has more places');
$node->stop;

# Without the library preloaded.
my $bare = PostgreSQL::Test::Cluster->new('bare');
$bare->init;
$bare->append_conf('postgresql.conf', 'fsync = off');
$bare->start;
$bare->safe_psql('postgres', "CREATE EXTENSION claude_gpt; UPDATE claude_gpt_data.system_configs SET config_value = '{\"gpt-3.5-turbo\": {\"prompt\": 0, \"completion\": 0}}' WHERE config_key = 'model_prices'; INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x')");
my $preload = '55000 Add claude_gpt to shared_preload_libraries and restart the server.';
my $begin = "SELECT t.allowed FROM claude_gpt.begin_turn('$user', NULL, 'hello', 'gpt-3.5-turbo') AS t";
is(error_of($bare, $_), $preload, "not preloaded: $_")
    for "SELECT claude_gpt.rate_limit('k', 1, '1 minute')", "SELECT claude_gpt.check_rate_limit('$user')", "SELECT claude_gpt.reset_rate_limit('k')", "SELECT claude_gpt.reset_user_rate_limit('$user')",
    'SELECT * FROM claude_gpt.rate_limit_status()', 'SELECT * FROM claude_gpt.rate_limit_shares()', 'SELECT claude_gpt.reset_rate_limits()', $begin;
is($bare->safe_psql('postgres', 'SELECT (SELECT count(*) FROM claude_gpt_data.messages), (SELECT count(*) FROM claude_gpt_data.usage_reservations), (SELECT sum(held_message_count) FROM claude_gpt_data.users)'), '0|0|0', 'a turn that was refused so leaves nothing');
is($bare->safe_psql('postgres', "UPDATE claude_gpt_data.system_configs SET is_active = false WHERE config_key = 'rate_limits'; $begin"), 't', 'turns begin where no rate limits are configured');
is($bare->safe_psql('postgres', "SELECT c.allowed, r.allowed FROM claude_gpt.consume_quota('$user') AS c, claude_gpt.reserve_usage('$user', 5) AS r"), 't|t', 'and quotas need no memory');
is($bare->safe_psql('postgres', "LOAD 'claude_gpt'; SELECT count(*) FROM pg_settings WHERE name = 'claude_gpt.rate_limit_memory'"), '0', 'the setting is not there');
is(error_of($bare, "LOAD 'claude_gpt'; SHOW claude_gpt.rate_limit_memory"), '42704', 'and is not taken for one');
is(error_of($bare, "LOAD 'claude_gpt'; SELECT claude_gpt.rate_limit('k', 1, '1 minute')"), $preload, 'LOAD in a session is no help');
$bare->stop;
done_testing();
