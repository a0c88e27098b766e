# A role that is no superuser, but may become one, is one to whatever code of the owner of the tables it runs: members of a
# superuser, directly or not, inheriting or not, and of the roles that reach the server's files and programs. It gets no tables
# of a role which is none, no level, and reads nothing for a report.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('members');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nclaude_gpt.jobs = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
my $user = '00000000-0000-4000-8000-000000000001';
$node->safe_psql('postgres', qq{
    CREATE ROLE mallory LOGIN; CREATE ROLE app LOGIN;
    CREATE ROLE almighty SUPERUSER; CREATE ROLE between;
    GRANT almighty TO between;
    CREATE EXTENSION claude_gpt;
    SELECT claude_gpt.set_owner('mallory'), claude_gpt.grant_application_access('app');
    CREATE SCHEMA m AUTHORIZATION mallory; GRANT USAGE ON SCHEMA m TO PUBLIC;
    INSERT INTO claude_gpt_data.users (id, email) VALUES ('$user', 'a\@x')});
sub as_role { my ($role, $sql) = @_; my ($status, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ]); return $status == 0 ? "done: $out" : ($err =~ /ERROR:\s+(.*)/)[0] }

# With the rights of a member of a superuser, which membership gives without SET ROLE, his code would create among what the server calls.
is(as_role('mallory', q{
    CREATE FUNCTION m.go() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN CREATE FUNCTION pg_catalog.evil() RETURNS integer LANGUAGE sql AS 'SELECT 1'; RETURN NEW; EXCEPTION WHEN OTHERS THEN RETURN NEW; END$$;
    CREATE TRIGGER go BEFORE UPDATE ON claude_gpt_data.users FOR EACH ROW EXECUTE FUNCTION m.go()}), 'done: ', 'the owner lies in wait');

my %roles = (
    member => 'LOGIN IN ROLE almighty', member_by_set_role => 'LOGIN NOINHERIT IN ROLE almighty', member_of_a_member => 'LOGIN IN ROLE between',
    (map { ("member_of_$_" => "LOGIN IN ROLE $_") } qw(pg_execute_server_program pg_read_server_files pg_write_server_files)),
    $node->safe_psql('postgres', 'SHOW server_version_num') < 160000 ? (maker_of_roles => 'LOGIN CREATEROLE') : ());
for my $role (sort keys %roles)
{
    $node->safe_psql('postgres', "CREATE ROLE $role $roles{$role}");
    is($node->safe_psql('postgres', "SELECT claude_gpt_internal.is_superuser('$role'::regrole)"), 't', "$role counts as a superuser");
    is(as_role('postgres', "SELECT claude_gpt.set_owner('$role')"), 'a superuser cannot take over the tables of a role that is none', 'and does not take over tables of a role that is none');
    is(as_role('postgres', "SELECT claude_gpt.grant_application_access('$role', '$_')"), qq{role "$role" is a superuser, or may become one}, "and gets no level: $_") for qw(read application billing operator monitor);
    $node->safe_psql('postgres', "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA claude_gpt, claude_gpt_internal TO $role; GRANT USAGE ON SCHEMA claude_gpt_data TO $role");
    is(as_role($role, 'SELECT claude_gpt_internal.require_trusted_tables()'), 'a superuser cannot read tables of a role that is none', 'and is refused what reads with his rights');
    is(as_role($role, 'SELECT claude_gpt.detach()'), 'permission denied for table users', 'and the tables, to lock them');
    is(as_role($role, "SELECT claude_gpt.update_user_usage('$user')"), 'done: ', 'while calls that work with the rights of the owner work');
    like(as_role($role, q{SELECT claude_gpt.usage_report_html('2020-01-01', '2020-02-01')}), qr/^done: <!DOCTYPE html>/, 'such as the page of reports');
    my ($out, $err) = ('', '');
    { local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, OWNER => $role, APP_ROLE => 'app');
      IPC::Run::run([ "$FindBin::RealBin/../../tools/init-database", 'new' ], '<', \'', '>', \$out, '2>', \$err); }
    like($err, qr/role "$role" is a superuser, or may become one/, 'init-database lets it own nothing');
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_proc WHERE proname = 'evil'}), '0', 'nothing was made among what the server calls');
is($node->safe_psql('postgres', "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolname IN ('mallory', 'app', 'pg_read_all_data', 'pg_monitor', 'pg_signal_backend') AND claude_gpt_internal.is_superuser(oid)"), '', 'other roles do not count');
is($node->safe_psql('postgres', 'SELECT claude_gpt_internal.is_superuser(NULL), claude_gpt_internal.is_superuser(4294967295::oid)'), 'f|f', 'nor does none');

# The other way round it may own the tables that a superuser has had, as a superuser may; health says so.
$node->safe_psql('postgres', 'CREATE DATABASE trusted');
$node->safe_psql('trusted', q{CREATE EXTENSION claude_gpt; SELECT claude_gpt.set_owner('member_by_set_role')});
like($node->safe_psql('trusted', q{SELECT status || ': ' || detail FROM claude_gpt.health() WHERE check_name = 'owner'}), qr/^warning: role "member_by_set_role", which is a superuser or may become one,/, 'health warns of such an owner');
$node->stop;
done_testing();
