# plpgsql_check has nothing to say of any routine of ours in plpgsql, whoever calls it: names, columns, types, casts, variables
# that nobody reads. It does not run them. Skipped where the extension is not installed.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('plpgsql');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt, pg_stat_statements'\nclaude_gpt.jobs = off");
$node->start;
plan skip_all => 'plpgsql_check is not installed' unless $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = 'plpgsql_check'");

sub ask { return $node->safe_psql('postgres', $_[0]) }
# What pg_cron has that we call; it exists in one database of a server alone.
ask(q{
    CREATE EXTENSION plpgsql_check;
    CREATE EXTENSION pg_stat_statements;
    CREATE EXTENSION claude_gpt;
    CREATE SCHEMA cron;
    CREATE TABLE cron.job (jobid bigint, schedule text, command text, nodename text, nodeport integer, database text, username text, active boolean, jobname text);
    CREATE FUNCTION cron.schedule(text, text, text) RETURNS bigint LANGUAGE sql RETURN 1;
    CREATE FUNCTION cron.schedule_in_database(text, text, text, text, text, boolean) RETURNS bigint LANGUAGE sql RETURN 1;
    CREATE FUNCTION cron.unschedule(bigint) RETURNS boolean LANGUAGE sql RETURN true});

# Every routine, and a trigger function once for each table that it is on.
my $routines = q{
    SELECT p.oid, COALESCE(t.tgrelid, 0) AS relation
    FROM pg_proc AS p
    JOIN pg_language AS l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
    LEFT JOIN (SELECT DISTINCT tgfoid, tgrelid FROM pg_trigger) AS t ON t.tgfoid = p.oid
    WHERE p.pronamespace::regnamespace::text ~ '^claude_gpt'};
# Left out is what it cannot know: what SQL that is put together returns, and whether a name in it comes from a catalog.
my $findings = q{plpgsql_check_function_tb(r.oid, r.relation, fatal_errors => false, other_warnings => true, extra_warnings => true,
    performance_warnings => true, security_warnings => false)};
sub findings_of
{
    return ask(qq{SELECT concat_ws(' ', 'line', f.lineno, f.level, f.message, f.detail, f.context) FROM (SELECT * FROM ($routines) AS r WHERE r.oid = '$_[0]'::regprocedure) AS r, $findings AS f
        WHERE COALESCE(f.detail, '') !~ 'dynamic SQL'});
}

my @routines = split /\n/, ask("SELECT DISTINCT r.oid::regprocedure FROM ($routines) AS r ORDER BY 1");
cmp_ok(scalar @routines, '>', 30, 'there are routines in plpgsql');
is(ask("SELECT string_agg(DISTINCT r.oid::regprocedure::text, ' ') FROM ($routines) AS r JOIN pg_proc AS p ON p.oid = r.oid WHERE p.prorettype = 'trigger'::regtype AND r.relation = 0"), '', 'each trigger function is on a table');
is(findings_of($_), '', $_) for @routines;

# What it is here for.
ask(q{CREATE FUNCTION claude_gpt.broken() RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n integer; never text; BEGIN SELECT no_column INTO n FROM claude_gpt_data.users; RETURN n; END $$});
like(findings_of('claude_gpt.broken()'), qr/column "no_column" does not exist.*unused variable "never"/s, 'a routine that is broken is found');
$node->stop;
done_testing();
