# tools/init-database makes roles and databases that an application can work in, a second time changes nothing, and shows
# its password to nobody.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tool = "$FindBin::RealBin/../../tools/init-database";
my $node = PostgreSQL::Test::Cluster->new('init');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nlog_statement = all\nlog_min_duration_statement = 0");
$node->start;
my $secret = q{s3'cr "et\\ $x};

sub run
{
    my ($environment, @databases) = @_;
    local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, %$environment);
    my ($out, $err) = ('', '');
    IPC::Run::run([ $tool, @databases ], '<', \'', '>', \$out, '2>', \$err);
    return ($? >> 8, $out, $err);
}
# Everything that a second run could have changed.
sub state_of_all
{
    return join "\n", map { $node->safe_psql($_->[0], $_->[1]) } [ 'postgres', 'SELECT * FROM pg_authid ORDER BY oid' ], [ 'postgres', 'SELECT * FROM pg_database ORDER BY oid' ],
        [ 'postgres', 'SELECT * FROM pg_db_role_setting ORDER BY 1, 2' ], map { [ $_, 'SELECT oid, relowner, relacl FROM pg_class WHERE oid >= 16384 ORDER BY 1' ], [ $_, 'SELECT * FROM claude_gpt_data.application_grants' ] } 'chat_dev', 'chat test';
}

my ($status, $out, $err) = run({ APP_PASSWORD => $secret }, 'chat_dev', 'chat test');
is("$status $err", '0 ', 'databases are made');
like($out, qr/made role "claude_gpt_owner".*made role "claude_gpt_user".*set the password.*made database "chat_dev".*made database "chat test".*"chat test" is there/s, 'which is said');
like($out, qr/shared_preload_libraries = 'claude_gpt'$/m, 'with what has to be preloaded');
is($node->safe_psql('postgres', q{SELECT string_agg(concat_ws(' ', datname, pg_encoding_to_char(encoding), datcollate, (SELECT rolsuper FROM pg_roles AS r WHERE r.oid = datdba)), ', ' ORDER BY datname) FROM pg_database WHERE datname LIKE 'chat%'}),
    'chat test UTF8 C.UTF-8 t, chat_dev UTF8 C.UTF-8 t', 'in UTF8, owned by a superuser');
is($node->safe_psql('postgres', q{SELECT bool_and(has_database_privilege('claude_gpt_owner', oid, p)) FROM pg_database, unnest(ARRAY['CREATE', 'CONNECT', 'TEMPORARY']) AS p WHERE datname LIKE 'chat%'}), 't', 'in which the owner of the tables may create');
my $settings = q{SELECT status || ': ' || detail FROM claude_gpt.health() WHERE check_name OPERATOR(pg_catalog.=) 'session_settings'};
like($node->safe_psql('chat_dev', $settings), qr/^ok: /, 'sessions of superusers take on nothing there');
# Who owns the tables does not say what a superuser's statements mean; where he still owns the database, health says so.
$node->safe_psql('postgres', 'ALTER ROLE claude_gpt_owner LOGIN');
isnt(($node->psql('chat_dev', 'ALTER DATABASE chat_dev SET search_path = public, pg_catalog', extra_params => [ '-U', 'claude_gpt_owner' ]))[0], 0, 'the owner of the tables gives them no search_path');
$node->safe_psql('postgres', 'ALTER DATABASE chat_dev OWNER TO claude_gpt_owner');
like($node->safe_psql('chat_dev', $settings), qr/^warning: role "claude_gpt_owner" owns the database/, 'the owner of the database could');
for my $case ([ 'public, pg_catalog', 'critical' ], [ '"pg_catalog,x", public, pg_catalog', 'critical' ], [ 'PUBLIC, PG_CATALOG', 'critical' ], [ 'claude_gpt_data, public', 'warning' ])
{
    $node->safe_psql('chat_dev', "ALTER DATABASE chat_dev SET search_path = $case->[0]", extra_params => [ '-U', 'claude_gpt_owner' ]);
    like($node->safe_psql('chat_dev', $settings), qr/^$case->[1]: sessions of superusers take on search_path=/, "search_path = $case->[0]: $case->[1]");
}
for my $case ([ 'ALTER DATABASE chat_dev SET search_path = pg_catalog, public', 'warning: role "claude_gpt_owner" owns the database, and may give sessions of superusers settings of its own' ],
    [ 'ALTER DATABASE chat_dev RESET search_path; ALTER DATABASE chat_dev OWNER TO CURRENT_USER; ALTER ROLE CURRENT_USER IN DATABASE chat_dev SET role = claude_gpt_owner', 'warning: sessions of superusers take on role=claude_gpt_owner of role "' . $node->safe_psql('postgres', 'SELECT current_user') . '"' ])
{
    $node->safe_psql('postgres', $case->[0]);
    is($node->safe_psql('postgres', 'SELECT 1') && $node->safe_psql('chat_dev', "RESET ROLE; SET ROLE NONE; $settings"), $case->[1], "after $case->[0]");
}
$node->safe_psql('postgres', 'ALTER ROLE CURRENT_USER IN DATABASE chat_dev RESET role; GRANT CREATE, CONNECT, TEMPORARY ON DATABASE chat_dev TO claude_gpt_owner; ALTER ROLE claude_gpt_owner NOLOGIN');
unlike(slurp_file($node->logfile), qr/s3''?cr/, 'no log has the password');
like($node->safe_psql('postgres', q{SELECT rolpassword FROM pg_authid WHERE rolname = 'claude_gpt_user'}), qr/^SCRAM-SHA-256\$/, 'and the server only what checks it');
is($node->safe_psql('postgres', q{SELECT string_agg(rolname || ' ' || rolcanlogin || ' ' || rolsuper, ', ' ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'claude%'}), 'claude_gpt_owner false false, claude_gpt_user true false', 'neither role is a superuser, the owner cannot log in');
is($node->safe_psql('chat test', q{INSERT INTO users (email, password_hash) VALUES ('a@x', 'x'); SELECT allowed FROM users, consume_quota(id)}, extra_params => [ '-U', 'claude_gpt_user' ]), 't', 'an application works there');
# By the password: other ways in are closed for a moment.
my $hba = slurp_file($node->data_dir . '/pg_hba.conf');
$node->append_conf('pg_hba.conf', '');
PostgreSQL::Test::Utils::append_to_file($node->data_dir . '/pg_hba.new', "local all claude_gpt_user scram-sha-256\n$hba");
rename $node->data_dir . '/pg_hba.new', $node->data_dir . '/pg_hba.conf' or die $!;
$node->reload;
{
    local $ENV{PGPASSWORD} = $secret;
    is($node->safe_psql('chat_dev', 'SELECT current_user', extra_params => [ '-w', '-U', 'claude_gpt_user' ]), 'claude_gpt_user', 'logs in by the password');
    $ENV{PGPASSWORD} = 'wrong';
    isnt($node->psql('chat_dev', 'SELECT 1', extra_params => [ '-w', '-U', 'claude_gpt_user' ]), 0, 'and by no other');
}

my $before = state_of_all();
($status, $out, $err) = run({}, 'chat_dev', 'chat test');
is("$status $err", '0 ', 'a second run ends well');
unlike($out, qr/made|set the|created|gave|let /, 'has nothing to tell');
is(state_of_all(), $before, 'and changes nothing');
($status, $out, $err) = run({ EXTENSIONS => 'pg_stat_statements' }, 'chat_dev');
like($out, qr/created extension "pg_stat_statements" in "chat_dev"/, 'what is missing is added');

# What does not fit is named.
$node->safe_psql('postgres', q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'; CREATE ROLE boss SUPERUSER LOGIN; CREATE ROLE plain LOGIN});
for my $case ([ { }, 'latin', qr/"latin" is there, in LATIN1/ ], [ { OWNER => 'boss' }, 'new', qr/"boss" is a superuser/ ], [ { APP_ROLE => 'boss' }, 'new', qr/"boss" cannot log in, or is a superuser/ ],
    [ { LOCALE => 'xx_YY.nowhere' }, 'new', qr/invalid locale name.*cannot make database "new"/s ], [ { EXTENSIONS => 'no_such' }, 'new', qr/extension "no_such" is not installed/ ], [ { PGUSER => 'plain' }, 'new', qr/a superuser is needed/ ],
    [ { PGPORT => 1 }, 'new', qr/connection to server .* failed/ ])
{
    ($status, $out, $err) = run($case->[0], $case->[1]);
    ok($status == 1 && $err =~ $case->[2], "refused: $case->[2]") or diag("$status $err");
}
is((run({}))[0], 2, 'no database is none');
is((run({ OWNER => 'one', APP_ROLE => 'one' }, 'new'))[0], 2, 'owner and application are two roles');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname = 'new'}), '0', 'of what was refused nothing is left');
$node->stop;
done_testing();
