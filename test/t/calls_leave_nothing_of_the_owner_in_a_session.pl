# Code of the owner of the tables that runs within a call of an application ends with it: no deferred trigger meets the rights
# of whoever commits, no temporary table stands before ours afterwards. Nor does a trigger of claude_gpt lend the rights of
# whoever fires it, a superuser above all, also in the shoes of another role.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Calls;
use HostileOwner;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $calls = "$FindBin::RealBin/../calls";
my $node = PostgreSQL::Test::Cluster->new('sessions');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nclaude_gpt.jobs = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
$node->safe_psql('postgres', join '; ', map { "CREATE ROLE $_ LOGIN" } qw(mallory heir hired app stranger operator));
$node->safe_psql('postgres', 'CREATE DATABASE furnished');
$node->safe_psql('furnished', "CREATE EXTENSION claude_gpt; SELECT claude_gpt.grant_application_access('app'), claude_gpt.grant_application_access('operator', 'operator');\n\\i $calls/names.psql\n\\i $calls/fixture.psql\nGRANT ALL ON public.watched TO PUBLIC; SELECT claude_gpt.set_owner('mallory')");

sub make_database
{
    my ($database) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE furnished");
    return HostileOwner->new($node, $database);
}
my $user = '00000000-0000-4000-8000-000000000001';
my @tables = qw(users conversations messages usage_records usage_reservations);

# Each commits, and counts.
{
    my $owner = make_database('committing');
    $owner->arm('deferred', @tables);
    $owner->run("CREATE TRIGGER keeps AFTER UPDATE ON claude_gpt_data.users FOR EACH ROW EXECUTE FUNCTION evil.trigger('row_trigger')");
    my $session = PsqlSession->new($node, 'committing', '-U', 'app');
    like($session->ask("SELECT claude_gpt.update_user_usage('$user')"), qr/ERROR:  cannot fire deferred trigger within security-restricted operation/, 'a deferred trigger of the owner is refused in a call of the application');
    is($owner->gained, '', 'and gains nothing');
    $owner->run(join '; ', map { "DROP TRIGGER y_evil ON claude_gpt_data.$_" } @tables);
    $owner->gained;
    is($session->ask("SELECT claude_gpt.update_user_usage('$user'); SELECT allowed FROM claude_gpt.begin_turn('$user', NULL, 'Hello', 'm')"), "\nt", 'without it calls work');
    is($owner->gained, '', 'whose other triggers gain nothing');
    ok($owner->ran, 'though they run');
    is($session->ask('SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()), (SELECT count(*) FROM pg_cursors), (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_listening_channels())'), '0|0|0|0', 'nor leave tables, cursors, statements or channels behind');
    is($session->ask("SET search_path = claude_gpt_data; SELECT relnamespace::regnamespace FROM pg_class WHERE oid = 'audit_logs'::regclass"), 'claude_gpt_data', 'the name of a table is still ours');
    is($node->safe_psql('committing', "SELECT total_message_count FROM claude_gpt_data.users WHERE id = '$user'"), '2', 'what was refused is not counted, the rest is');  # one by the fixture
    # His own statements are his own affair.
    $owner->arm('deferred', 'users');
    is($owner->run("SELECT claude_gpt.update_user_usage('$user'); SELECT 'done'"), "\ndone", 'in a session of the owner deferred triggers work');
    $session->close;
    $owner->close;
}

# In the shoes of someone else a superuser is still one.
{
    my $owner = make_database('shoes');
    $owner->arm('immediate', @tables);
    for my $shoes ('SET ROLE app', 'SET SESSION AUTHORIZATION app', 'BEGIN; SET LOCAL ROLE app')
    {
        my $session = PsqlSession->new($node, 'shoes');
        $owner->gained;
        is($session->ask("$shoes; SELECT claude_gpt.update_user_usage('$user', 1, 5, 0.1) IS NOT NULL, claude_gpt.cleanup_expired_sessions()") =~ s/^.*WARNING.*\n//r, 't|0', "a call works after $shoes");
        is($owner->gained, '', 'and hostile code gains nothing');
        ok($owner->ran, 'though it ran');
        $session->close;
    }
    # Tables in the caller's own session that are called as ours are not taken for ours.
    my $session = PsqlSession->new($node, 'shoes', '-U', 'app');
    $session->ask('SET client_min_messages = error; ' . join '; ', map { "CREATE TEMP TABLE $_ (id uuid)" } @tables, 'jobs', 'system_configs', 'pg_class', 'pg_roles');
    is($session->ask("SELECT allowed FROM claude_gpt.begin_turn('$user', NULL, 'Hello', 'm'); SELECT count(*) FROM claude_gpt.list_conversations('$user'); SELECT count(*) FROM users, pg_class"), "t\n1\n0", 'temporary tables of the caller are not taken for ours');
    $session->close;
    $owner->close;
}

# A trigger of claude_gpt writes other tables than the one that fires it: the superuser writes one without hostile code.
{
    my $owner = make_database('triggers');
    my %fired = map { $_->{fires} ? ($_->{fires} => 1) : () } calls();
    is(join(' ', sort keys %fired), join(' ', split /\n/, $node->safe_psql('triggers', q{SELECT proname FROM pg_proc WHERE pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND prorettype = 'trigger'::regtype ORDER BY 1})), 'test/calls fires every trigger function');
    # What a foreign key of the server's does to other tables ends as any trigger after it: with the rights of whoever deletes.
    $owner->arm('immediate', qw(conversations usage_balances));
    for my $call (grep { $_->{fires} } calls())
    {
        my $session = PsqlSession->new($node, 'triggers');
        $session->ask("\\i $calls/names.psql\nSET client_min_messages = error");
        # It reads users, which others of these statements write.
        $owner->run(q{CREATE INDEX evil ON claude_gpt_data.users (email) WHERE evil.always('index_predicate')}) if $call->{fires} eq 'keep_plans_in_use';
        $owner->gained;
        is($session->ask("BEGIN; $call->{statement}; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK"), '', "$call->{fires}: $call->{statement}");
        is($owner->gained, '', 'hostile code on other tables gains nothing');
        ok($owner->ran, 'though it ran') if $call->{fires} =~ /^(maintain_conversation_counters|carry_unrecorded_usage|keep_plans_in_use)$/;
        $session->close;
        $owner->run('DROP INDEX IF EXISTS claude_gpt_data.evil');
    }
    $owner->close;
}

$node->stop;
done_testing();
