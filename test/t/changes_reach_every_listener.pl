# What a listener on claude_gpt_changes is told: changes of users, subscriptions and configuration once they are committed,
# none of metering, turns and jobs; any row instead of many; whatever a row is called; of what replication applies too; and
# a queue that is full loses no change.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use JSON::PP;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('changes');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off");
$node->start;
sub user { return sprintf '00000000-0000-4000-8000-%012d', $_[0] }
$node->safe_psql('postgres', q{
    CREATE EXTENSION claude_gpt; UPDATE claude_gpt_data.system_configs SET config_value = '{"gpt-4": {"prompt": 0, "completion": 0}}' WHERE config_key = 'model_prices'; CREATE ROLE keeper; SELECT claude_gpt.set_owner('keeper'); CREATE ROLE app LOGIN; SELECT claude_gpt.grant_application_access('app');
    INSERT INTO claude_gpt_data.users (id, email, password_hash) SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, n || '@x', 'x' FROM generate_series(1, 300) AS n});

my $listener = PsqlSession->new($node, 'postgres');
$listener->ask('LISTEN claude_gpt_changes');
my $client = PsqlSession->new($node, 'postgres', '-U', 'app');
# What the listener has heard since it was asked last, sorted, in a line.
sub heard
{
    my @payloads = $listener->ask('SELECT 1') =~ /"claude_gpt_changes" with payload "(.*)" received/g;
    my @told;
    for (@payloads)
    {
        my $change = decode_json($_);
        is_deeply([ sort keys %$change ], [ 'id', 'table' ], "$_ has a table and an id");
        push @told, "$change->{table} " . ($change->{id} // 'any');
    }
    return join ', ', sort @told;
}
sub run { my ($sql) = @_; is($client->ask($sql) =~ s/^.*ERROR/ERROR/sr =~ s/\A(?!ERROR).*//sr, '', substr($sql, 0, 60)); return }
my ($one, $two) = (user(1), user(2));

is(heard(), '', 'nothing is told of what was before');
run("UPDATE claude_gpt_data.users SET full_name = 'Ada' WHERE id = '$one'");
is(heard(), "users $one", 'a profile');
$node->safe_psql('postgres', "SELECT claude_gpt.set_subscription('$two', 'pro', 'active')");
is(heard(), "users $two", 'a subscription');
run("BEGIN; UPDATE claude_gpt_data.users SET full_name = 'Bob' WHERE id = '$one'");
is(heard(), '', 'nothing before COMMIT');
run('ROLLBACK');
is(heard(), '', 'nor what is rolled back');
run("UPDATE claude_gpt_data.users SET full_name = 'Cyd' WHERE id IN ('$one', '$two'); DELETE FROM claude_gpt_data.users WHERE id = '" . user(3) . "'");
is(heard(), join(', ', "users $one", "users $two", 'users ' . user(3)), 'each row, and one that is deleted');
$node->safe_psql('postgres', "UPDATE claude_gpt_data.users SET id = '" . user(4004) . "' WHERE id = '" . user(4) . "'");
is(heard(), join(', ', 'users ' . user(4), 'users ' . user(4004)), 'an id that changes: both');

# Never on the metering path.
run("SELECT claude_gpt.update_user_usage('$one'), claude_gpt.consume_quota('$one'), claude_gpt.record_usage('$one', 'api_call', 1), claude_gpt.check_rate_limit('$one'), claude_gpt.check_subscription_limit('$one', 'message')");
run("SELECT claude_gpt.complete_turn('$two', t.reservation_id, 'hi', 1, 1, 0.1) FROM claude_gpt.begin_turn('$two', NULL, 'hello', 'gpt-4') AS t");
run("SELECT claude_gpt.settle_usage('$two', r.reservation_id, 1, 1, 0.1) FROM claude_gpt.reserve_usage('$two', 5) AS r");
run("INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ('$one', 't', now() - interval '1 year'); UPDATE claude_gpt_data.users SET last_login_at = now() WHERE id = '$one'");
run("INSERT INTO claude_gpt_data.users (email, password_hash) VALUES ('new\@x', 'x')");
$node->safe_psql('postgres', "UPDATE claude_gpt_data.users SET monthly_reset_date = '2020-01-01'");
$node->safe_psql('postgres', "CALL claude_gpt.run_job('$_')") for qw(monthly_reset session_cleanup reservation_sweep analyze);
is(heard(), '', 'metering, turns, sign-in, sign-up and jobs tell nobody');

# Configuration, by its key, however it is spelled.
$node->safe_psql('postgres', q{UPDATE claude_gpt_data.system_configs SET config_value = 'true' WHERE config_key = 'maintenance_mode'});
is(heard(), 'system_configs maintenance_mode', 'configuration by its key');
my $odd = qq{a "quoted" \\key\\ with\ttab, \x01 and é\x{1F600}};
utf8::encode(my $odd_bytes = $odd);
$node->safe_psql('postgres', "INSERT INTO claude_gpt_data.system_configs (config_key, config_value) VALUES (E'" . ($odd_bytes =~ s/\\/\\\\/gr =~ s/\x01/\\x01/gr =~ s/\t/\\t/gr) . q{', '1')});
my ($payload) = $listener->ask('SELECT 1') =~ /with payload "(.*)" received/;
is(decode_json($payload)->{id}, $odd, 'whatever its characters');
$node->safe_psql('postgres', q{DELETE FROM claude_gpt_data.system_configs WHERE config_key LIKE 'a "%'});
$listener->ask('SELECT 1');

# Many rows.
run("UPDATE claude_gpt_data.users SET theme_preference = 'dark' WHERE id <= '" . user(101) . "'");
is(scalar(split /, /, heard()), 99, 'a hundred rows are told one by one');
run("UPDATE claude_gpt_data.users SET theme_preference = 'dark' WHERE id <= '" . user(101) . "'");
is(heard(), '', 'an UPDATE that changes nothing tells nothing');
run("SET claude_gpt.notify_changes = off; UPDATE claude_gpt_data.users SET full_name = 'Nobody'; RESET claude_gpt.notify_changes");
is(heard(), '', 'nor does a session that is told not to');
run("UPDATE claude_gpt_data.users SET full_name = 'Somebody'");
my $told = heard();
is(scalar(split /, /, $told), 101, 'of more, the first hundred');
like($told, qr/users any$/, 'and then any');
run("UPDATE claude_gpt_data.users SET full_name = 'One' WHERE id = '$one'");
is(heard(), "users $one", 'the next transaction begins anew');
$node->safe_psql('postgres', 'TRUNCATE claude_gpt_data.users CASCADE');
is(heard(), 'users any', 'TRUNCATE');

# A trigger of one's own, on a column and a table of one's own, with a name against us.
$node->safe_psql('postgres', q{CREATE TABLE public."odd ""table" (id integer, name text);
    CREATE TRIGGER tell AFTER INSERT OR UPDATE ON public."odd ""table" FOR EACH ROW EXECUTE FUNCTION claude_gpt.notify_change(name);
    INSERT INTO public."odd ""table" VALUES (1, NULL), (2, repeat('x', 9000))});
is(heard(), 'odd "table any', 'what has no name, or too long a one, is any row');

$node->safe_psql('postgres', q{CREATE TABLE public.parted (id integer) PARTITION BY RANGE (id);
    CREATE TABLE public.half PARTITION OF public.parted FOR VALUES FROM (1) TO (100) PARTITION BY RANGE (id); CREATE TABLE public.quarter PARTITION OF public.half DEFAULT;
    CREATE TRIGGER tell AFTER INSERT ON public.parted FOR EACH ROW EXECUTE FUNCTION claude_gpt.notify_change();
    INSERT INTO public.parted VALUES (7)});
is(heard(), 'parted 7', 'a row of a partition is one of the table');

# Applied by logical replication.
$node->safe_psql('postgres', "SET session_replication_role = replica; INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$one', 'r\@x', 'x'); UPDATE claude_gpt_data.users SET full_name = 'R' WHERE id = '$one'");
is(heard(), "users $one", 'what replication applies is told');

# A full queue: as large as the server allows, where that can be made small.
SKIP:
{
    skip 'the size of the queue is fixed before version 17', 4 if $node->pg_version < 17;
    $_->close for $listener, $client;
    $node->append_conf('postgresql.conf', 'max_notify_queue_pages = 64');
    $node->restart;
    my $stuck = PsqlSession->new($node, 'postgres');
    $stuck->ask('LISTEN claude_gpt_changes; BEGIN');
    $node->safe_psql('postgres', q{SELECT count(pg_notify('other', n || repeat('x', 7000))) FROM generate_series(1, 66) AS n});
    my ($rc, $out, $err) = $node->psql('postgres', "UPDATE claude_gpt_data.users SET full_name = 'full' WHERE id = '$one' RETURNING full_name");
    is("$rc $out", '0 full', 'a full queue stops no change');
    like($err, qr/WARNING:  the queue of notifications is nearly full: nobody is told of this change/, 'but whoever makes it is told');
    is($node->safe_psql('postgres', q{SELECT status FROM claude_gpt.health() WHERE check_name = 'notifications'}), 'critical', 'and health knows');
    is($stuck->ask('ROLLBACK') =~ /full/, '', 'the listener goes on');
    $node->safe_psql('postgres', "UPDATE claude_gpt_data.users SET full_name = 'again' WHERE id = '$one'");
    like($stuck->ask('SELECT 1'), qr/"id":"$one"/, 'and is told again');
    $stuck->close;
}
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal/, 'nothing crashed');
$node->stop;
done_testing();
