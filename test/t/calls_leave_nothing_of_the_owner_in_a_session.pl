# Code of the owner of the tables that runs within a call of an application ends with it: no deferred trigger meets the rights
# of whoever commits, no temporary table stands before ours afterwards, no cursor of
# his waits to be fetched from. Nor does a trigger of claude_gpt lend the rights of
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

# A cursor that a trigger leaves open would be fetched from with the rights of the caller; and the name of one of the caller's
# keeps meaning his, which the owner could close to open another.
{
    my $owner = make_database('cursors');
    my $leave = sub { my ($body) = @_; $owner->run("CREATE OR REPLACE FUNCTION evil.leave() RETURNS trigger LANGUAGE plpgsql AS \$\$DECLARE c refcursor := 'report'; BEGIN $body; RETURN NEW; END\$\$") };
    $leave->(q{OPEN c FOR SELECT evil.strike('function')});
    $owner->run('CREATE TRIGGER leaves BEFORE UPDATE ON claude_gpt_data.users FOR EACH ROW EXECUTE FUNCTION evil.leave()');
    for my $role ('', 'app')
    {
        my $session = PsqlSession->new($node, 'cursors', $role ? ('-U', $role) : ());
        $session->ask('SET client_min_messages = error');
        my $call = "SELECT claude_gpt.update_user_usage('$user')";
        my $then = q{SELECT count(*) FROM pg_cursors; FETCH ALL FROM report};
        my $refused = qr/^ERROR:  cannot leave a cursor open within security-restricted operation/m;
        $owner->gained;
        $leave->(q{OPEN c FOR SELECT evil.strike('function')});
        like($session->ask("BEGIN; $call"), $refused, 'a cursor of the owner is refused');
        $session->ask('ROLLBACK');
        like($session->ask("BEGIN; SAVEPOINT s; $call"), $refused, 'in a subtransaction');
        like($session->ask("ROLLBACK TO s; $then"), qr/^0\n.*cursor "report" does not exist/s, 'of which nothing is left');
        $session->ask('ROLLBACK');
        like($session->ask("BEGIN; DO \$\$DECLARE r record; BEGIN FOR r IN SELECT generate_series(1, 3) LOOP PERFORM claude_gpt.update_user_usage('$user'); END LOOP; END\$\$"), $refused, 'in a loop over a query');
        $session->ask('ROLLBACK');
        $leave->(q{OPEN c SCROLL FOR SELECT evil.strike('function'); MOVE c; MOVE BACKWARD ALL FROM c});
        like($session->ask("BEGIN; $call"), $refused, 'one that he has fetched from');
        $session->ask('ROLLBACK');
        $leave->(q{c := '<unnamed>'; OPEN c FOR SELECT evil.strike('function')});
        like($session->ask("BEGIN; $call"), $refused, 'one that is called as those without a name');
        $session->ask('ROLLBACK');
        $leave->(q{CLOSE c; OPEN c FOR SELECT evil.strike('function')});
        like($session->ask("BEGIN; DECLARE report CURSOR FOR SELECT 'mine'; $call"), qr/^ERROR:  cannot drop pinned portal "report"/m, 'he does not close a cursor of the caller');
        $session->ask('ROLLBACK');
        $leave->(q{BEGIN CLOSE c; OPEN c FOR SELECT evil.strike('function'); EXCEPTION WHEN OTHERS THEN NULL; END});
        is($session->ask("BEGIN; DECLARE report CURSOR FOR SELECT 'mine'; $call; FETCH ALL FROM report; CLOSE report; SELECT count(*) FROM pg_cursors; COMMIT"), "\nmine\n0", 'whose it stays, to be fetched from and closed');
        like($session->ask("BEGIN; DECLARE report CURSOR FOR SELECT 'mine'; SAVEPOINT s; SELECT claude_gpt.update_user_usage('$user', 2147483647)"), qr/^ERROR/m, 'a call that fails');
        is($session->ask('ROLLBACK TO s; FETCH ALL FROM report; CLOSE report; COMMIT'), 'mine', 'leaves it as it was');
        $leave->(q{OPEN c FOR SELECT evil.strike('function'); FETCH c INTO NEW.full_name; CLOSE c});
        is($session->ask("DO \$\$DECLARE r record; BEGIN FOR r IN SELECT generate_series(1, 3) LOOP PERFORM claude_gpt.update_user_usage('$user'); END LOOP; END\$\$"), '', 'one that he closes is his affair');
        is($owner->gained, '', 'and hostile code gains nothing');
        ok($owner->ran, 'though it ran');
        $session->close;
    }
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

# The owner puts the trigger functions wherever he likes: on our own tables, for every event, with arguments that are none.
{
    my $owner = make_database('misused');
    my $made = $owner->run(q{
        CREATE TABLE public.made (n integer);
        INSERT INTO public.made VALUES (0);
        DO $$ DECLARE f record; t record; o text;
        BEGIN
            FOR f IN SELECT p.oid::regprocedure::text AS call, p.proname FROM pg_proc AS p WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND p.prorettype = 'trigger'::regtype LOOP
                FOR t IN SELECT c.oid::regclass AS name, c.relname FROM pg_class AS c WHERE c.relnamespace = 'claude_gpt_data'::regnamespace AND c.relkind IN ('r', 'p') LOOP
                    FOREACH o IN ARRAY ARRAY['BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW', 'AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW', 'AFTER UPDATE ON %s FOR EACH STATEMENT'] LOOP
                        EXECUTE format('CREATE TRIGGER %I ' || o || ' EXECUTE FUNCTION %s', left('x ' || f.proname || md5(o), 63), t.name, replace(f.call, '()', '(id, id)'));
                        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', t.name, left('x ' || f.proname || md5(o), 63));
                        UPDATE public.made SET n = n + 1;
                    END LOOP;
                END LOOP;
            END LOOP;
        END $$;
        SELECT n FROM public.made});
    cmp_ok($made, '>', 300, 'trigger functions are put where they do not belong');
    my $control = PsqlSession->new($node, 'misused', '-U', 'mallory');
    my @bad;
    for my $trigger (split /\n/, $owner->run(q{SELECT DISTINCT tgname FROM pg_trigger WHERE tgname LIKE 'x %'}))
    {
        $control->ask(qq{DO \$\$ DECLARE t record; BEGIN FOR t IN SELECT tgrelid::regclass AS name FROM pg_trigger WHERE tgname = '$trigger' AND tgparentid = 0 LOOP EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', t.name, '$trigger'); END LOOP; END \$\$});
        my $session = PsqlSession->new($node, 'misused');
        $session->ask("\\i $calls/names.psql\n\\set VERBOSITY verbose\nSET client_min_messages = error");
        for my $call (grep { $_->{routine} =~ /^(update_user_usage|begin_turn|complete_turn|delete_conversation|set_subscription|hand_jobs_over|record_access)$/ } calls())
        {
            $owner->gained;
            my $said = $session->ask("BEGIN; $call->{statement}; ROLLBACK");
            push @bad, "$trigger: $call->{statement} => $said" if $said =~ /XX000|server closed|FATAL|PANIC/ || $owner->gained ne '';
        }
        $session->close;
        $control->ask(qq{DO \$\$ DECLARE t record; BEGIN FOR t IN SELECT tgrelid::regclass AS name FROM pg_trigger WHERE tgname = '$trigger' AND tgparentid = 0 LOOP EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', t.name, '$trigger'); END LOOP; END \$\$});
    }
    is(join("\n", @bad), '', 'in calls of a superuser they fail cleanly, or work, and give nothing away');
    $_->close for $control, $owner;
}
$node->stop;
done_testing();
