# Every routine of the extension, as test/calls calls it, is the first thing that a session does whose search_path begins with
# a schema full of traps: for every operator, function and type of pg_catalog and every table of ours one of the same name, which
# ends the statement. Whatever a careless statement would pick up there, all calls work as ever.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Calls;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $calls = "$FindBin::RealBin/../calls";
my $node = PostgreSQL::Test::Cluster->new('traps');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nclaude_gpt.jobs = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE heir; CREATE ROLE hired; CREATE ROLE app LOGIN; CREATE EXTENSION claude_gpt');
$node->safe_psql('postgres', "SELECT claude_gpt.grant_application_access('app'); GRANT ALL ON SCHEMA public TO app;\n" . join "\n", map { "\\i $calls/$_" } 'names.psql', 'fixture.psql', 'work.psql');
is(join(' ', routines_without_call($node, 'true')), '', 'there is a call for every routine');

$node->safe_psql('postgres', q{
    CREATE SCHEMA hostile;
    GRANT USAGE ON SCHEMA hostile TO PUBLIC;
    DO $do$
    DECLARE
        -- Takes any arguments, and raises: "cannot accept a value of type any".
        body CONSTANT text := $$ LANGUAGE internal AS 'any_in'$$;
        trap record;
    BEGIN
        FOR trap IN
            SELECT o.oid, o.oprname AS name, format_type(o.oprleft, NULL) AS l, format_type(o.oprright, NULL) AS r, format_type(o.oprresult, NULL) AS result
            FROM pg_operator AS o WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprleft <> 0 AND o.oprresult <> 0
        LOOP
            EXECUTE format('CREATE FUNCTION hostile.operator_%s(%s, %s) RETURNS %s', trap.oid, trap.l, trap.r, trap.result) || body;
            EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = hostile.operator_%s)', trap.name, trap.l, trap.r, trap.oid);
        END LOOP;
        FOR trap IN
            SELECT p.proname AS name, CASE p.provariadic WHEN 0 THEN oidvectortypes(p.proargtypes) ELSE pg_get_function_identity_arguments(p.oid) END AS arguments,
                   CASE WHEN p.proretset THEN 'SETOF ' ELSE '' END || format_type(p.prorettype, NULL) AS result
            FROM pg_proc AS p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.oid NOT IN (SELECT a.aggfnoid FROM pg_aggregate AS a WHERE a.aggkind <> 'n')
              AND NOT EXISTS (SELECT FROM unnest(p.proargtypes || p.prorettype) AS a JOIN pg_type AS t ON t.oid = a
                              WHERE t.typname IN ('internal', 'cstring', 'trigger', 'event_trigger') OR t.typname ~ '_handler$')
        LOOP
            EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS %s', trap.name, trap.arguments, trap.result) || body;
        END LOOP;
        FOR trap IN SELECT t.typname AS name FROM pg_type AS t WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'c', 'm', 'd')
            AND t.typcategory <> 'A' AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.reltype = t.oid AND c.relkind IN ('r', 'v', 'c')) LOOP
            EXECUTE format('CREATE DOMAIN hostile.%I AS pg_catalog.int4 CHECK (false)', trap.name);
        END LOOP;
        FOR trap IN SELECT c.relname AS name FROM pg_class AS c WHERE c.relkind IN ('r', 'p', 'v')
            AND (c.relnamespace = 'claude_gpt_data'::regnamespace OR c.relnamespace = 'pg_catalog'::regnamespace) LOOP
            EXECUTE format('CREATE VIEW hostile.%I AS SELECT hostile.now() AS id', trap.name);
        END LOOP;
    END
    $do$;
    GRANT ALL ON ALL TABLES IN SCHEMA hostile TO PUBLIC;
    CREATE FUNCTION public.careless() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN 1 < 2; END $$});
is($node->safe_psql('postgres', q{SELECT (SELECT count(*) > 600 FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace), (SELECT count(*) > 1500 FROM pg_proc WHERE pronamespace = 'hostile'::regnamespace),
    (SELECT count(*) > 60 FROM pg_type WHERE typnamespace = 'hostile'::regnamespace AND typtype = 'd')}), 't|t|t', 'there are traps');

# What is written in a call has no trap in it: a function with a body that was parsed before means what it meant then, and what it
# calls looks where the session looks. CALL has no such form.
my $control = PsqlSession->new($node);
$control->ask('SET client_min_messages = warning');
my %takes_role = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', q{SELECT proname FROM pg_proc WHERE pronamespace = 'claude_gpt'::regnamespace AND 'regrole'::regtype = ANY (proargtypes)});
sub without_traps
{
    my ($call) = @_;
    my $statement = with_names($call->{statement});
    return $statement =~ s/now\(\) - /pg_catalog.now() OPERATOR(pg_catalog.-) /gr if $statement =~ /^CALL/;
    # A parsed body has no constant of type regrole.
    $statement =~ s/'(\w+)'/CAST(text '$1' AS regrole)/ if $takes_role{ $call->{routine} };
    my $result = $statement =~ /^SELECT/ ? 'SETOF boolean' : 'void';
    my $said = $control->ask("DROP FUNCTION IF EXISTS public.call(); CREATE FUNCTION public.call() RETURNS $result LANGUAGE sql BEGIN ATOMIC $statement END");
    die "$statement: $said" if $said ne '';
    return 'SELECT public.call()';
}

my $traps = 'SET search_path = hostile, pg_catalog, pg_temp';
for my $careless ("SELECT public.careless()", 'SELECT true WHERE 1 = 1', 'SELECT * FROM users', 'SELECT lower(\'X\'::pg_catalog.text)', q{SELECT '1'::int8}, 'SELECT now()')
{
    like(($node->psql('postgres', "$traps; $careless"))[2], qr/cannot accept a value of type any|violates check constraint/, "a trap is sprung by $careless");
}

for my $user ('app', 'superuser')
{
    my $session = PsqlSession->new($node, 'postgres', $user eq 'app' ? ('-U', 'app') : ());
    my @bad;
    for my $call (sort { ($a->{commits} // 0) <=> ($b->{commits} // 0) } grep { !$_->{pg_cron} && ($user eq 'superuser' || $_->{levels}{application}) } calls())
    {
        my $statement = without_traps($call);
        # Its own session, in which nothing has a plan yet.
        $session->ask("\\c -\n\\set VERBOSITY verbose\nSET client_min_messages = error");
        my $empty = $call->{empty} ? 'TRUNCATE claude_gpt_data.users, claude_gpt_data.audit_logs CASCADE; ' : '';
        my $said = $call->{commits} ? $session->ask("$traps; $statement") : $session->ask("BEGIN; $empty $traps; $statement; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK");
        push @bad, "$call->{statement} => $said" if $said !~ /^(t?|\{.*\})$/;
    }
    is(join("\n", @bad), '', "$user: every call works as ever");
    $session->close;
}
$control->close;
is($node->safe_psql('postgres', 'SELECT count(*) FROM claude_gpt.prove_books()'), '0', 'and the books prove');
$node->stop;
done_testing();
