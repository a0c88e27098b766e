# The clock of a server is ahead by a year, as a wrong one is, and then right: by libfaketime, in sessions; workers
# do not see it, so a session runs the jobs meanwhile. Calls that were made meanwhile count in the month that it was, holds free themselves, jobs run again, health
# names what is of the future, and repair_books mends it. The same for a clock that is a month behind.
# Long: workers come by themselves after the clock is right.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Patience;
use Test::More;

my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1';
plan skip_all => 'libfaketime is not installed' unless $library;

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off");
sub set_clock
{
    my ($offset) = @_;
    $node->stop if -f $node->data_dir . "/postmaster.pid";
    # Time-outs and sleeps go by the monotonic clock, which nobody sets.
    local %ENV = (%ENV, $offset ? (LD_PRELOAD => $library, FAKETIME => $offset, FAKETIME_DONT_FAKE_MONOTONIC => 1, DONT_FAKE_MONOTONIC => 1) : ());
    $node->start;
    return;
}
set_clock('');
sub value { my ($sql) = @_; return $node->safe_psql('postgres', $sql) }
my $user = '00000000-0000-4000-8000-000000000001';
sub consumed { my ($quantity) = @_; return value("SELECT allowed, used, resets_at = (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC' FROM claude_gpt.consume_quota('$user', 'message', $quantity)") }
sub future { return value(q{SELECT status, detail FROM claude_gpt.health() WHERE check_name = 'times'}) }

value(qq{
    CREATE EXTENSION claude_gpt;
    UPDATE claude_gpt_data.system_configs SET is_active = false WHERE config_key = 'rate_limits';
    UPDATE claude_gpt_data.jobs SET enabled = name IN ('reservation_sweep', 'session_cleanup');
    INSERT INTO claude_gpt_data.users (id, email, password_hash) SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, n || '\@x', 'x' FROM generate_series(1, 3) AS n});
my $year = value(q{SELECT extract(year FROM now())});
is(consumed(2), 't|2|t', 'the clock is right');

set_clock('+365d');
is(value(q{SELECT extract(year FROM now())}), $year + 1, 'then it is ahead by a year');
is(consumed(1), 't|1|t', 'a call is made');
value(qq{SELECT claude_gpt.reserve_usage('00000000-0000-4000-8000-000000000002', 0, 10, p_ttl => '1 second')});
value(qq{SELECT claude_gpt.consume_quota('00000000-0000-4000-8000-000000000003', 'message', 4)});
value(q{INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ('00000000-0000-4000-8000-000000000001', 'expired', now() - interval '1 hour')});
value('CALL claude_gpt.run_due_jobs()');
is(value(q{SELECT count(*), (SELECT extract(year FROM next_run_at) FROM claude_gpt_data.jobs WHERE name = 'session_cleanup') FROM claude_gpt_data.user_sessions}), '0|' . ($year + 1), 'jobs run, whose next run is of that clock');

value(q{INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ('00000000-0000-4000-8000-000000000001', 'again', '2020-01-01Z')});

$node->append_conf('postgresql.conf', 'claude_gpt.jobs = on');
set_clock('');
is(value(q{SELECT extract(year FROM now())}), $year, 'the clock is right again');
like(future(), qr/^warning\|times of the future \(/, 'health names what is of the future');
is(consumed(7), 't|10|t', 'what was used counts in the month that it was');
is(consumed(1), 'f|10|t', 'to the limit');
ok($node->poll_query_until('postgres', q{SELECT allowed FROM claude_gpt.consume_quota('00000000-0000-4000-8000-000000000002', 'message', 10)}), 'a hold lasts as long as it was to last');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM claude_gpt_data.user_sessions}), 'workers run jobs, whatever was their next run');
ok($node->poll_query_until('postgres', q{SELECT bool_and(next_run_at < now() + run_every + interval '1 minute') FROM claude_gpt_data.jobs WHERE name = 'session_cleanup'}), 'which is near now');
is(value(q{SELECT last_started_at < now(), last_outcome FROM claude_gpt_data.job_status WHERE name = 'session_cleanup'}), 't|succeeded', 'and so is the last');
my $next_month = value(q{SELECT to_char(date_trunc('month', now()) + interval '1 month', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')});
value("SET claude_gpt.fixed_time = '$next_month'; CALL claude_gpt.run_job('monthly_reset')");
is(value(q{SELECT count(*) FROM claude_gpt.prove_books() WHERE item NOT IN ('monthly_reset_date', 'next_hold_expiry')}), '0', 'the monthly reset forgets nothing of it');
is(value("SET claude_gpt.fixed_time = '$next_month'; SELECT allowed, used FROM claude_gpt.consume_quota('$user', 'message', 1)"), 't|1', 'the next month begins with nothing used');
is(value(q{SELECT string_agg(item, ' ' ORDER BY item) FROM claude_gpt.repair_books('00000000-0000-4000-8000-000000000003')}), 'last_active_at monthly_reset_date', 'repair_books brings near who does not call');
value('SELECT count(*) FROM claude_gpt.repair_books()');
value(q{UPDATE claude_gpt_data.jobs SET next_run_at = now()});
is(future(), 'ok|no time is of the future', 'then nothing is of the future');
is(value('SELECT count(*) FROM claude_gpt.prove_books()'), '0', 'and the books prove');

set_clock('-31d');
is(value(q{SELECT allowed, used >= 4 FROM claude_gpt.consume_quota('00000000-0000-4000-8000-000000000003', 'message', 1)}), 't|t', 'a clock that is behind grants nothing anew');
set_clock('');
like(value(q{SELECT used FROM claude_gpt.consume_quota('00000000-0000-4000-8000-000000000003', 'message', 1)}), qr/^[56]$/, 'and nothing is forgotten when it is right');
is(value('SELECT count(*) FROM claude_gpt.prove_books()'), '0', 'the books prove');
$node->stop;
done_testing();
