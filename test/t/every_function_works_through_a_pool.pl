# PgBouncer in transaction mode, as it is shipped: whatever an application may call works through it, limits stay exact,
# and what goes wrong there (a full pool, a wrong password, a crash) is told and counts nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Calls;
use IPC::Run ();
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
plan skip_all => 'PgBouncer is not installed' if !$pgbouncer;

my $node = PostgreSQL::Test::Cluster->new('pooled');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off");
$node->start;
my $page = slurp_file("$FindBin::RealBin/../../docs/pooling.md");
my ($set_up) = $page =~ /```sql\n(-- as a superuser\nCREATE ROLE pgbouncer.*?)```/s or die 'the page has no set-up';
my ($user, $limited) = map { "00000000-0000-4000-8000-00000000000$_" } 1 .. 2;
$node->safe_psql('postgres', qq{
    CREATE EXTENSION claude_gpt;
    CREATE ROLE app LOGIN PASSWORD 'secret';
    SELECT claude_gpt.grant_application_access('app');
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": 1000000, "tokensPerMonth": 100000000}, "base": {"messagesPerMonth": 300}}' WHERE config_key = 'subscription_plans';
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": 1000000}' WHERE config_key = 'rate_limits';
    INSERT INTO claude_gpt_data.users (id, email, password_hash) SELECT u::uuid, u || '\@x', 'x' FROM unnest(ARRAY['$user', '$limited']) AS u;
    SELECT claude_gpt.set_subscription('$limited', 'base')});
$node->safe_psql('postgres', $set_up);

# The shipped file, with what belongs to this place set after it: the last value of a setting counts.
my $home = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
append_to_file("$home/userlist.txt", qq{"pgbouncer" "choose-one"\n});
my %override = (logfile => "$home/log", pidfile => "$home/pid", auth_file => "$home/userlist.txt", listen_addr => '', listen_port => $port, unix_socket_dir => $home, default_pool_size => 4, query_wait_timeout => 3);
my $shipped = slurp_file("$FindBin::RealBin/../../packaging/pgbouncer/pgbouncer.ini");
ok($shipped =~ s/^(\* = ).*$/$1host=@{[ $node->host ]} port=@{[ $node->port ]}/m, 'the configuration names the server once');
for my $name (sort keys %override) { $shipped =~ s/^$name = .*\n//m; $shipped .= "$name = $override{$name}\n" }
append_to_file("$home/pgbouncer.ini", $shipped);
my $pool;
sub start_pool
{
    my $out;
    $pool = IPC::Run::start([ $pgbouncer, "$home/pgbouncer.ini" ], '<', \undef, '>', \$out, '2>', \$out);
    ok(wait_until(sub { -S "$home/.s.PGSQL.$port" }), 'the pool is there') or diag($out);
    return;
}
$node->safe_psql('postgres', 'CREATE DATABASE called TEMPLATE postgres');
$node->safe_psql('called', "DELETE FROM claude_gpt_data.users;\n" . join '', map { slurp_file("$FindBin::RealBin/../calls/$_") } 'names.psql', 'fixture.psql');
start_pool();
$ENV{PGPASSWORD} = 'secret';
my $through = "host=$home port=$port dbname=postgres user=app";
sub ask { my ($sql, $connection) = @_; my ($out, $err) = ('', ''); IPC::Run::run([ 'psql', '-XAtqw', '-v', 'ON_ERROR_STOP=1', '-d', $connection // $through, '-f', '-' ], '<', \$sql, '>', \$out, '2>', \$err); chomp $out; return ($out, $err) }

# Whatever the application may call, as test/calls has it: each call is a transaction of its own, while other clients take the
# connections in between.
my $called = $through =~ s/dbname=postgres/dbname=called/r;
append_to_file("$home/noise.sql", with_names("SELECT claude_gpt.update_user_usage(:'lapsed');\n") . "SELECT claude_gpt.current_billing_period();\n");
append_to_file("$home/load.sql", "SELECT claude_gpt.update_user_usage('$user');\n");
my $noise = IPC::Run::start([ 'pgbench', '-n', '-M', 'simple', '-c', 4, '-T', 86400, '-f', "$home/noise.sql", $called ], '<', \undef, '>', "$home/noise.out", '2>', "$home/noise.err");
is(join(' ', routines_without_call($node, "p.prorettype <> 'trigger'::regtype AND has_function_privilege('app', p.oid, 'EXECUTE')")), '', 'there is a call for every function of the application');
my $names = slurp_file("$FindBin::RealBin/../calls/names.psql");
for my $call (grep { $_->{levels}{application} && !$_->{fires} } calls())
{
    my ($out, $err) = ask("$names$call->{statement}", $called);
    like("$out$err", qr/^(t\n?)*$/, $call->{statement});
}
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND datname = 'called'}), '<=', 4, 'over four connections of the server');
cmp_ok($node->safe_psql('called', with_names("SELECT total_message_count FROM claude_gpt_data.users WHERE id = :'lapsed'")), '>', 30, 'between others');
$noise->kill_kill;

# Exactly the limit, with four connections for sixteen clients.
my ($out, $err) = ('', '');
IPC::Run::run([ 'pgbench', '-n', '-M', 'extended', '-c', 16, '-j', 2, '-t', 50, '-f', '-', $through ], '<', \"SELECT claude_gpt.consume_quota('$limited');\n", '>', \$out, '2>', \$err);
like($out, qr{800/800}, 'sixteen clients ask eight hundred times') or diag($err);
is($node->safe_psql('postgres', "SELECT monthly_message_count FROM claude_gpt_data.users WHERE id = '$limited'"), '300', 'exactly the limit passes');

# A statement prepared by name belongs to a connection of the server; later versions prepare it on each.
my ($version) = `$pgbouncer --version` =~ /(\d+\.\d+)/;
($out, $err) = ('', '');
IPC::Run::run([ 'pgbench', '-n', '-M', 'prepared', '-c', 8, '-t', 50, '-f', '-', $through ], '<', \"SELECT claude_gpt.check_subscription_limit('$user');\n", '>', \$out, '2>', \$err);
if ((split /\./, $version)[1] >= 21 && $shipped =~ /^max_prepared_statements = [1-9]/m) { like($out, qr{400/400}, "prepared statements work in PgBouncer $version") }
else { like($err, qr/prepared statement ".*" (already exists|does not exist)/, "statements prepared by name do not work in PgBouncer $version, as the page says") }

# A full pool: four transactions hold all connections.
my $before = $node->safe_psql('postgres', 'SELECT sum(total_message_count) FROM claude_gpt_data.users');
my @holders = map { IPC::Run::start([ 'psql', '-XAtqw', '-d', $through, '-c', 'SELECT pg_sleep(86400)' ], '<', \undef, '>', "$home/holder.out", '2>', "$home/holder.err") } 1 .. 4;
$node->poll_query_until('postgres', q{SELECT count(*) = 4 FROM pg_stat_activity WHERE usename = 'app' AND wait_event = 'PgSleep'});
($out, $err) = ask("SELECT claude_gpt.consume_quota('$user');");
like($err, qr/query_wait_timeout/, 'who waits too long for a connection is told so');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND wait_event = 'PgSleep'});
$_->finish for @holders;
($out, $err) = do { local $ENV{PGPASSWORD} = 'wrong'; ask("SELECT claude_gpt.consume_quota('$user');") };
like($err, qr/(SASL|password) authentication failed/, 'a wrong password is refused');
($out, $err) = ask('SELECT 1', $through =~ s/app/nobody/r);
like($err, qr/failed|no such user/, 'and an unknown role');
is($node->safe_psql('postgres', 'SELECT sum(total_message_count) FROM claude_gpt_data.users'), $before, 'nothing of that was counted');
isnt(($node->psql('postgres', "SELECT pgbouncer.lookup('app')", extra_params => [ '-U', 'app' ]))[0], 0, 'nobody else looks up a password');

# The pool is killed under load: what was acknowledged is counted, and at most one call a client more.
my $log = "$home/acknowledged";
my $load = IPC::Run::start([ 'pgbench', '-n', '-c', 8, '-T', 86400, '-l', "--log-prefix=$log", '-f', "$home/load.sql", $through ], '<', \undef, '>', "$home/load.out", '2>', "$home/load.err");
$node->poll_query_until('postgres', "SELECT sum(total_message_count) > $before + 500 FROM claude_gpt_data.users");
kill 'KILL', slurp_file("$home/pid") =~ /(\d+)/;
$pool->finish;
$load->finish;
like(slurp_file("$home/load.err"), qr/server closed the connection|aborted/, 'clients notice that the pool was killed');
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'app' AND state <> 'idle'});
my $acknowledged = 0;
for my $file (glob "$log.*") { $acknowledged += () = slurp_file($file) =~ /\n/g }
my $counted = $node->safe_psql('postgres', "SELECT sum(total_message_count) - $before FROM claude_gpt_data.users");
cmp_ok($acknowledged, '>', 100, 'calls were acknowledged');
ok($counted >= $acknowledged && $counted <= $acknowledged + 8, "$acknowledged of them, $counted counted: none is lost");
is($node->safe_psql('postgres', 'SELECT count(*) FROM claude_gpt.prove_books()'), '0', 'and the books prove');
unlink "$home/pid", glob "$home/.s.PGSQL.*";
start_pool();
is((ask("SELECT allowed FROM claude_gpt.consume_quota('$user');"))[0], 't', 'a new one goes on');
kill 'TERM', slurp_file("$home/pid") =~ /(\d+)/;
$pool->finish;
$node->stop;
done_testing();
