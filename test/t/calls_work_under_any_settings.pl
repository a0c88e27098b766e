# Settings of other people's servers change how statements are parsed, what they print and how they are planned: under each of
# them every call of test/calls answers as it does by default, and what commits leaves the same rows in the same partitions.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Calls;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

# Some at once: what fails is looked for among them.
my %settings = (
    'as they are' => {},
    'parsing and printing' => { standard_conforming_strings => 'off', backslash_quote => 'off', quote_all_identifiers => 'on', bytea_output => 'escape', extra_float_digits => '-15', array_nulls => 'off',
        transform_null_equals => 'on', xmlbinary => 'hex', DateStyle => 'SQL, DMY', IntervalStyle => 'sql_standard', TimeZone => 'Asia/Kathmandu', timezone_abbreviations => 'India' },
    'other dates' => { DateStyle => 'German', IntervalStyle => 'postgres_verbose', TimeZone => 'America/St_Johns', client_encoding => 'LATIN1', 'plpgsql.variable_conflict' => 'use_variable' },
    'transactions' => { default_transaction_isolation => 'serializable', default_transaction_deferrable => 'on', 'plpgsql.variable_conflict' => 'use_column', 'plpgsql.extra_errors' => 'all', check_function_bodies => 'off' },
    # What seems to cost as much as a sort that is forbidden would be compiled, which takes longer than all else here; of parallel plans some are.
    'plans' => { jit => 'off', plan_cache_mode => 'force_generic_plan', enable_hashjoin => 'off', enable_sort => 'off', from_collapse_limit => '1', geqo_threshold => '2', default_toast_compression => 'lz4', work_mem => '64kB', maintenance_work_mem => '1MB' },
    'parallel plans' => { plan_cache_mode => 'force_custom_plan', parallel_setup_cost => '0', parallel_tuple_cost => '0', min_parallel_table_scan_size => '0', enable_indexscan => 'off', enable_partition_pruning => 'off', constraint_exclusion => 'off' });

my $node = PostgreSQL::Test::Cluster->new('settings');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nclaude_gpt.jobs = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
my $session_files = join "\n", map { "\\i $Calls::directory/$_" } 'names.psql', 'fixture.psql';
$node->safe_psql('postgres', 'CREATE ROLE heir; CREATE ROLE hired; CREATE ROLE app; CREATE DATABASE furnished');
$node->safe_psql('furnished', "CREATE EXTENSION claude_gpt; SELECT claude_gpt.grant_application_access('app');\n$session_files");
my $work = slurp_file("$Calls::directory/work.psql");

# The rows of each table that a job prunes or a call writes, and the partitions with their bounds, as a session with the server's own settings sees them.
my $picture = q{
    SELECT string_agg(c.relname || ' ' || (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %s', c.oid::regclass), true, true, '')))[1], ', ' ORDER BY c.relname)
    FROM pg_class AS c WHERE c.relnamespace = 'claude_gpt_data'::regnamespace AND c.relkind IN ('r', 'p');
    SELECT string_agg(c.relname || ' ' || pg_get_expr(c.relpartbound, c.oid), ', ' ORDER BY c.relname) FROM pg_class AS c WHERE c.relnamespace = 'claude_gpt_partitions'::regnamespace;
    SELECT count(*) FROM claude_gpt.prove_books()};

# An answer as it is by default; or the refusal of what needs READ COMMITTED, where that is not the default.
sub is_as_ever
{
    my ($call, $answer, $isolation) = @_;
    return $answer =~ /^(t\n?)*$/ || $isolation && $answer =~ /^ERROR: .*(READ COMMITTED|REPEATABLE READ)/ || $call->{statement} =~ /^CALL/ && $answer !~ /ERROR/;
}

my %left;
for my $name ('as they are', sort grep { $_ ne 'as they are' } keys %settings)
{
    my $database = 'under_' . $name =~ tr/ /_/r;
    my %set = %{ $settings{$name} };
    $node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE furnished");
    $node->safe_psql('postgres', join '', "LOAD 'plpgsql';", map { "ALTER DATABASE $database SET $_ = " . ($_ eq 'DateStyle' ? $set{$_} : "'$set{$_}'") . ';' } sort keys %set);
    my $session = PsqlSession->new($node, $database);
    $session->ask("\\i $Calls::directory/names.psql\nSET client_min_messages = error");
    my @wrong;
    for my $call (grep { !$_->{commits} && !$_->{pg_cron} } calls())
    {
        my @before = ('BEGIN', $call->{empty} ? 'TRUNCATE claude_gpt_data.users CASCADE' : ());
        my $answer = $session->ask(join(";\n", @before, $call->{statement}));
        push @wrong, "$call->{statement} => $answer" if !is_as_ever($call, $answer, $set{default_transaction_isolation});
        $session->ask('ROLLBACK');
    }
    is(join("\n", @wrong), '', "$name: every call answers as ever");
    @wrong = ();
    for my $call (grep { $_->{commits} } calls())
    {
        $session->ask($work);
        my $answer = $session->ask($call->{statement});
        push @wrong, "$call->{statement} => $answer" if $answer ne '';
    }
    is(join("\n", @wrong), '', "$name: so does every one that commits");
    is($session->ask('BEGIN ISOLATION LEVEL READ COMMITTED; SELECT claude_gpt.detach(); DROP EXTENSION claude_gpt; ROLLBACK'), '', "$name: what detach() leaves needs the extension no more");
    $session->close;
    $node->safe_psql('postgres', "ALTER DATABASE $database RESET ALL");
    $left{$name} = $node->safe_psql($database, $picture);
    is($left{$name}, $left{'as they are'}, "$name: with the same rows in the same partitions") if $name ne 'as they are';
    $node->safe_psql('postgres', "DROP DATABASE $database");
}
$node->stop;
done_testing();
