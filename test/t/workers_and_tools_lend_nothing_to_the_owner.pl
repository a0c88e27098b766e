# Workers log in as superusers, and so do those who run tools/init-database, tools/backup and tools/restore: code that the owner
# of the tables puts on them, into views of the names of ours, functions, casts, CHECKs or indexes gains nothing from any of them.
# Long: thirty backups are made and restored.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use HostileOwner;
use IPC::Run ();
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $calls = "$FindBin::RealBin/../calls";
my $tools = "$FindBin::RealBin/../../tools";
my $node = PostgreSQL::Test::Cluster->new('tools');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nclaude_gpt.jobs = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
$node->safe_psql('postgres', join '; ', map { "CREATE ROLE $_ LOGIN" } qw(mallory heir hired app));
$node->safe_psql('postgres', 'CREATE DATABASE furnished');
$node->safe_psql('furnished', "CREATE EXTENSION claude_gpt; SELECT claude_gpt.grant_application_access('app');\n\\i $calls/names.psql\n\\i $calls/fixture.psql\n\\i $calls/work.psql\nALTER TABLE public.watched OWNER TO mallory; SELECT claude_gpt.set_owner('mallory')");

sub make_database
{
    my ($database) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE furnished");
    return HostileOwner->new($node, $database);
}

sub run_tool
{
    my ($environment, @command) = @_;
    local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, %$environment);
    my ($out, $err) = ('', '');
    IPC::Run::run([ "$tools/$command[0]", @command[ 1 .. $#command ] ], '<', \'', '>', \$out, '2>', \$err);
    return ($? >> 8, $out, $err);
}

# The workers run every job that is due, in the one database for which they are on.
my @jobs = split /\n/, $node->safe_psql('furnished', 'SELECT name FROM claude_gpt_data.jobs ORDER BY 1');
for my $kind ('immediate', 'deferred')
{
    my $owner = make_database("worked_$kind");
    $owner->arm($kind, $owner->tables);
    $owner->replace_views if $kind eq 'immediate';
    $owner->set_traps if $kind eq 'immediate';
    is($owner->gained, '', "$kind: the owner is no superuser");
    my $logged = -s $node->logfile;
    $node->safe_psql('postgres', $_) for "ALTER DATABASE worked_$kind SET claude_gpt.jobs = on", 'ALTER SYSTEM SET claude_gpt.jobs = on', 'SELECT pg_reload_conf()';
    my $waiting;
    wait_until(sub {
        # By the owner, since a superuser who reads the table runs his code; the change calls a worker.
        $waiting = $owner->run(q{UPDATE claude_gpt_data.jobs SET enabled = enabled; SELECT string_agg(name, ' ') FROM claude_gpt_data.jobs WHERE next_run_at < '2021-01-01Z' AND name <> 'analyze'});
        my $log = slurp_file($node->logfile, $logged);
        $waiting = join ' ', grep { $log !~ /LOG:  job "$_" failed: cannot fire deferred trigger within security-restricted operation/ } split / /, $waiting if $kind eq 'deferred';
        return $waiting eq '';
    });
    is($waiting, '', "$kind: " . ($kind eq 'deferred' ? 'workers refuse every job' : 'workers run every job'));
    is($owner->gained, '', "$kind: hostile code gains nothing from a worker");
    ok($owner->ran, "$kind: though it ran") if $kind eq 'immediate';
    $node->safe_psql('postgres', $_) for 'ALTER SYSTEM RESET claude_gpt.jobs', "ALTER DATABASE worked_$kind RESET claude_gpt.jobs", 'SELECT pg_reload_conf()';
    $owner->close;
}

# init-database on what is there: a view is where the grants were.
{
    my $owner = make_database('initialized');
    $owner->arm('immediate', grep { $_ ne 'application_grants' } $owner->tables);
    $owner->replace_views;
    $owner->set_traps;
    $owner->run(q{ALTER TABLE claude_gpt_data.application_grants RENAME TO grants_of_before;
        CREATE VIEW claude_gpt_data.application_grants AS SELECT g.* FROM claude_gpt_data.grants_of_before AS g WHERE evil.yes('view')});
    $owner->gained;
    my ($status, $out, $err) = run_tool({ OWNER => 'mallory', APP_ROLE => 'app' }, 'init-database', 'initialized');
    is($owner->gained, '', 'hostile code gains nothing from init-database') or diag("$out$err");
    ok($owner->ran, 'though it ran');
    ($status, $out, $err) = run_tool({ OWNER => 'heir', APP_ROLE => 'hired' }, 'init-database', 'initialized');
    is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_roles WHERE rolname IN ('mallory', 'heir') AND rolsuper}), '0', 'nor where the tables go to another owner') or diag("$out$err");
    $owner->close;
}

# A backup is read by a superuser's pg_dump, a restore written by a superuser's pg_restore.
{
    $node->safe_psql('postgres', 'CREATE DATABASE saved TEMPLATE furnished');
    $node->safe_psql('saved', 'CREATE SCHEMA evil AUTHORIZATION mallory');
    my $become = 'PERFORM evil.become()';
    $node->safe_psql('saved', qq{
        -- Volatile: what calls it is not asked.
        CREATE FUNCTION evil.become() RETURNS void LANGUAGE plpgsql AS \$\$BEGIN ALTER ROLE mallory SUPERUSER; EXCEPTION WHEN OTHERS THEN NULL; END\$\$;
        CREATE FUNCTION evil.yes(text) RETURNS boolean LANGUAGE plpgsql AS \$\$BEGIN $become; RETURN true; END\$\$;
        CREATE FUNCTION evil.always(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS \$\$BEGIN $become; RETURN true; END\$\$;
        CREATE FUNCTION evil.number(text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS \$\$BEGIN $become; RETURN 1; END\$\$;
        CREATE FUNCTION evil.like_a_builtin(text, name) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS \$\$BEGIN $become; RETURN true; END\$\$;
        CREATE OPERATOR evil.=== (LEFTARG = text, RIGHTARG = name, FUNCTION = evil.like_a_builtin);
        CREATE FUNCTION evil.make_deferred(text) RETURNS boolean LANGUAGE plpgsql AS \$make\$
        BEGIN
            CREATE TABLE IF NOT EXISTS evil.made (id integer);
            CREATE OR REPLACE FUNCTION evil.later() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN $become; RETURN NULL; END\$\$;
            IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'later') THEN
                CREATE CONSTRAINT TRIGGER later AFTER INSERT ON evil.made DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil.later();
            END IF;
            INSERT INTO evil.made VALUES (1);
            RETURN true;
        EXCEPTION WHEN OTHERS THEN RETURN true;
        END \$make\$;
        CREATE DOMAIN evil.trap AS text CHECK (evil.yes(VALUE))}, extra_params => [ '-U', 'mallory' ]);
    my %weapon = (
        'a CHECK' => [ q{CREATE TABLE evil.t (a text CHECK (evil.yes(a)))}, 'INSERT INTO evil.t VALUES (1)' ],
        'an operator in a CHECK' => [ q{CREATE TABLE evil.t (a text CHECK (a OPERATOR(evil.===) 'x'::name))}, 'INSERT INTO evil.t VALUES (1)' ],
        'a generated column' => [ 'CREATE TABLE evil.t (a text, b boolean GENERATED ALWAYS AS (evil.always(a)) STORED)', 'INSERT INTO evil.t VALUES (1)' ],
        'a generated column of a constant' => [ q{CREATE TABLE evil.t (a text, b boolean GENERATED ALWAYS AS (evil.always('x')) STORED)}, 'INSERT INTO evil.t VALUES (1)' ],
        'a domain' => [ 'CREATE TABLE evil.t (a evil.trap)', 'INSERT INTO evil.t VALUES (1)' ],
        'a partition key' => [ 'CREATE TABLE evil.t (a text) PARTITION BY RANGE (evil.number(a)); CREATE TABLE evil.p PARTITION OF evil.t FOR VALUES FROM (0) TO (9)', 'INSERT INTO evil.t VALUES (1)' ],
        'a CHECK on a partition' => [ q{CREATE TABLE evil.t (a integer, CHECK (evil.always('x'))) PARTITION BY RANGE (a); CREATE TABLE evil.p PARTITION OF evil.t FOR VALUES FROM (0) TO (9)}, 'SELECT 1' ],
        'an index beside a foreign key' => [ q{CREATE TABLE evil.t (a integer PRIMARY KEY); CREATE INDEX i ON evil.t (a) WHERE evil.always('x'); CREATE TABLE evil.u (a integer REFERENCES evil.t)}, 'SELECT a FROM evil.t' ],
        'what waits for the commit' => [ q{CREATE TABLE evil.t (a text CHECK (evil.make_deferred(a)))}, 'INSERT INTO evil.t VALUES (1)' ],
        'a CHECK on a table of ours' => [ q{ALTER TABLE claude_gpt_data.users ADD CHECK (evil.yes(email))}, q{INSERT INTO claude_gpt_data.users (email) VALUES ('z@x')} ]);
    my $backups = PostgreSQL::Test::Utils::tempdir();
    for my $name (sort keys %weapon)
    {
        my ($make, $strike) = @{ $weapon{$name} };
        $node->safe_psql('saved', "$make; INSERT INTO evil.t VALUES ('1')", extra_params => [ '-U', 'mallory' ]) if $make =~ /evil\.t /;
        $node->safe_psql('saved', $make, extra_params => [ '-U', 'mallory' ]) unless $make =~ /evil\.t /;
        is($node->safe_psql('saved', "BEGIN; $strike; SET CONSTRAINTS ALL IMMEDIATE; SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'; ROLLBACK") =~ s/^1\n//r, 't', "$name strikes who reads or writes as a superuser") unless $name =~ /partition$/;
        # The dump does not bring what the function makes.
        $node->safe_psql('saved', q{SET client_min_messages = error; DROP TABLE IF EXISTS evil.made; DROP FUNCTION IF EXISTS evil.later()}, extra_params => [ '-U', 'mallory' ]);
        my ($status, $backup, $err) = run_tool({}, 'backup', 'saved', $backups);
        is("$status $err", '0 ', "$name: a backup is made");
        is($node->safe_psql('postgres', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'}), 'f', "$name gains nothing from it");
        chomp $backup;
        my $out;
        ($status, $out, $err) = run_tool({}, 'restore', $backup, 'restored');
        is($status, 0, "$name: it is restored") or diag("$out$err");
        is($node->safe_psql('postgres', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'}), 'f', "$name gains nothing from that");
        my $functions = q{SELECT p.oid::regprocedure, prosecdef, proowner::regrole, proacl FROM pg_proc AS p WHERE pronamespace = 'evil'::regnamespace AND proname <> 'later' ORDER BY p.oid::regprocedure::text};
        is($node->safe_psql('restored', $functions), $node->safe_psql('saved', $functions), "$name: functions are as they were") if $name eq 'a CHECK';
        is($node->safe_psql('restored', q{SELECT count(*) FROM pg_event_trigger UNION ALL SELECT count(*) FROM pg_namespace WHERE nspname = 'claude_gpt_restoring' UNION ALL SELECT count(*) FROM pg_proc WHERE prosecdef}), "0\n0\n0", "$name: nothing of the restore is left");
        $node->safe_psql('postgres', $_) for 'ALTER ROLE mallory NOSUPERUSER', 'DROP DATABASE IF EXISTS restored';
        $node->safe_psql('saved', q{SET client_min_messages = error; DROP TABLE IF EXISTS evil.t, evil.u, evil.made CASCADE; DROP FUNCTION IF EXISTS evil.later()}, extra_params => [ '-U', 'mallory' ]);
        PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', $backup);
    }
}

# What a restore evaluates without a function of the owner: built-ins that run a text, helpers of the superuser, literals whose
# type does it. It runs with the owner's rights, or is refused by name ($refused).
{
    $node->safe_psql('postgres', 'CREATE DATABASE plain');
    # Harmless to call by others, and not theirs to call.
    $node->safe_psql('plain', q{
        CREATE SCHEMA evil AUTHORIZATION mallory;
        CREATE FUNCTION public.run(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; RETURN true; END';
        CREATE FUNCTION public.run_with_rights(text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN EXECUTE $1; RETURN true; END';
        REVOKE EXECUTE ON FUNCTION public.run_with_rights(text) FROM PUBLIC});
    # What a built-in is lent is seen by what it may read, and told by a setting that is mallory's to change.
    my $look = q{query_to_xml('SELECT evil.saw(has_table_privilege(''pg_authid'', ''SELECT''))', true, true, '') IS NOT NULL};
    $node->safe_psql('plain', qq{
        CREATE FUNCTION evil.saw(boolean) RETURNS boolean LANGUAGE plpgsql AS \$\$BEGIN IF \$1 THEN ALTER ROLE mallory SET application_name = 'lent'; END IF; RETURN true; END\$\$;
        CREATE DOMAIN evil.talkative AS text CHECK ($look);
        CREATE FUNCTION evil.last(evil.talkative, text) RETURNS evil.talkative LANGUAGE sql AS 'SELECT \$1';
        CREATE FUNCTION evil.leave_settings(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER SET work_mem = '5MB' AS \$\$
        BEGIN PERFORM set_config('search_path', 'evil', false); RETURN true; END \$\$;
        CREATE FUNCTION evil.helped(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS \$\$
        BEGIN PERFORM public.run('ALTER ROLE mallory SUPERUSER'); RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END \$\$;
        CREATE FUNCTION evil.helped_by_rights(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS \$\$
        BEGIN PERFORM public.run_with_rights('ALTER ROLE mallory SUPERUSER'); RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END \$\$}, extra_params => [ '-U', 'mallory' ]);
    my $as_superuser = 'RESET SESSION AUTHORIZATION';
    my $refused = qr/not called with the rights of a superuser/;
    my %quiet = (
        'a built-in in a CHECK' => [ qq{CREATE TABLE evil.t (a text CHECK ($look))} ],
        'a built-in in a domain' => [ 'CREATE TABLE evil.t (a evil.talkative)' ],
        'a built-in in a CHECK of a whole row' => [ qq{CREATE TABLE evil.t (a text); CREATE FUNCTION evil.whole(evil.t) RETURNS boolean LANGUAGE sql AS 'SELECT true'; ALTER TABLE evil.t ADD CHECK (evil.whole(t.*) AND $look)} ],
        'a literal of domains in a CHECK' => [ q{CREATE TABLE evil.t (a text CHECK (a = ANY ('{1}'::evil.talkative[])))}, $refused ],
        'a literal of domains in a default' => [ q{CREATE TABLE evil.t (a text, b evil.talkative[] DEFAULT '{1}'::evil.talkative[])}, $refused ],
        'a literal of domains in a view' => [ q{CREATE TABLE evil.t (a text); CREATE VIEW evil.v AS SELECT '{1}'::evil.talkative[] AS a}, $refused ],
        'a literal of domains in a policy' => [ q{CREATE TABLE evil.t (a text); CREATE POLICY p ON evil.t USING (a = ANY ('{1}'::evil.talkative[]))}, $refused ],
        'a domain as bound of a partition' => [ q{CREATE TABLE evil.t (a evil.talkative) PARTITION BY RANGE (a); CREATE TABLE evil.p PARTITION OF evil.t FOR VALUES FROM ('0') TO ('9')}, $refused ],
        'a domain as state of an aggregate' => [ q{CREATE TABLE evil.t (a text); CREATE AGGREGATE evil.total(text) (SFUNC = evil.last, STYPE = evil.talkative, INITCOND = '1')}, $refused ],
        'a helper of the superuser' => [ 'CREATE TABLE evil.t (a text CHECK (evil.helped(a)))' ],
        'a helper of the superuser, at once' => [ q{CREATE TABLE evil.t (a text CHECK (CASE WHEN has_table_privilege('pg_authid', 'SELECT') THEN public.run('ALTER ROLE mallory SUPERUSER') ELSE true END))} ],
        'a helper of the superuser, of a constant' => [ q{CREATE TABLE evil.t (a text, b boolean GENERATED ALWAYS AS (evil.helped('x')) STORED)} ],
        'a helper with rights' => [ 'CREATE TABLE evil.t (a text CHECK (evil.helped_by_rights(a)))' ],
        'a helper with rights, of a constant' => [ q{CREATE TABLE evil.t (a text, b boolean GENERATED ALWAYS AS (evil.helped_by_rights('x')) STORED)} ],
        'a domain in a table of the superuser' => [ "CREATE TABLE evil.t (a text); $as_superuser; CREATE TABLE public.theirs (a evil.talkative); GRANT INSERT ON public.theirs TO mallory; SET SESSION AUTHORIZATION mallory; INSERT INTO public.theirs VALUES ('1')" ],
        'a view under a view of the superuser' => [ qq{CREATE TABLE evil.t (a text); CREATE VIEW evil.v AS SELECT true AS a; $as_superuser; CREATE MATERIALIZED VIEW public.summary AS SELECT * FROM evil.v; SET SESSION AUTHORIZATION mallory; CREATE OR REPLACE VIEW evil.v AS SELECT $look AS a}, $refused ],
        'a setting that is left behind' => [ q{CREATE TABLE evil.t (a text, b boolean GENERATED ALWAYS AS (evil.leave_settings('x')) STORED); CREATE TABLE evil.u (a text)} ],
        'a schema that has a name of old' => [ "CREATE TABLE evil.t (a text); $as_superuser; CREATE SCHEMA claude_gpt_restoring AUTHORIZATION mallory" ]);
    my $gained = q{SELECT rolsuper OR EXISTS (SELECT FROM pg_db_role_setting AS s WHERE s.setrole = r.oid AND s.setdatabase = 0) FROM pg_roles AS r WHERE rolname = 'mallory'};
    my $backups = PostgreSQL::Test::Utils::tempdir();
    for my $name (sort keys %quiet)
    {
        my ($make, $message) = @{ $quiet{$name} };
        $node->safe_psql('plain', "SET SESSION AUTHORIZATION mallory; $make; SET SESSION AUTHORIZATION mallory; INSERT INTO evil.t VALUES ('1')");
        my ($status, $backup, $err) = run_tool({}, 'backup', 'plain', $backups);
        is("$status $err", '0 ', "$name: a backup is made");
        chomp $backup;
        is($node->safe_psql('postgres', $gained), 'f', "$name gains nothing from it");
        ($status, my $out, $err) = run_tool({}, 'restore', $backup, 'restored');
        is($node->safe_psql('postgres', $gained), 'f', "$name gains nothing from a restore");
        if (defined $message) { is($status, 1, "$name is refused"); like($err, $message, 'and named') }
        else { is($status, 0, "$name: it is restored") or diag("$out$err") }
        $node->safe_psql('postgres', $_) for 'ALTER ROLE mallory NOSUPERUSER', 'ALTER ROLE mallory RESET ALL', 'DROP DATABASE IF EXISTS restored';
        $node->safe_psql('plain', q{SET client_min_messages = error; DROP MATERIALIZED VIEW IF EXISTS public.summary; DROP TABLE IF EXISTS public.theirs; DROP SCHEMA IF EXISTS claude_gpt_restoring; DROP TABLE evil.t CASCADE; DROP TABLE IF EXISTS evil.u; DROP VIEW IF EXISTS evil.v; DROP AGGREGATE IF EXISTS evil.total(text)});
        PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', $backup);
    }
}
$node->stop;
done_testing();
