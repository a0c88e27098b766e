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

# The languages of numbers, dates and messages: another one than the server's, where the machine has any.
my ($locale) = grep { !/^(C|POSIX|en)\b/i } split /\n/, `locale -a 2>/dev/null`;
$locale //= 'POSIX';
# Some at once: what fails is looked for among them.
my %settings = (
    'as they are' => {},
    'parsing and printing' => { standard_conforming_strings => 'off', backslash_quote => 'off', escape_string_warning => 'off', quote_all_identifiers => 'on', bytea_output => 'escape', extra_float_digits => '-15', array_nulls => 'off',
        transform_null_equals => 'on', xmlbinary => 'hex', xmloption => 'document', DateStyle => 'SQL, DMY', IntervalStyle => 'sql_standard', TimeZone => 'Asia/Kathmandu', timezone_abbreviations => 'India', lo_compat_privileges => 'on' },
    'other dates' => { DateStyle => 'German', IntervalStyle => 'postgres_verbose', TimeZone => 'America/St_Johns', client_encoding => 'LATIN1', backslash_quote => 'on', extra_float_digits => '3', 'plpgsql.variable_conflict' => 'use_variable',
        lc_messages => $locale, lc_monetary => $locale, lc_numeric => $locale, lc_time => $locale, default_text_search_config => 'pg_catalog.german' },
    'transactions' => { default_transaction_isolation => 'serializable', default_transaction_deferrable => 'on', 'plpgsql.variable_conflict' => 'use_column', 'plpgsql.extra_errors' => 'all', check_function_bodies => 'off',
        DateStyle => 'Postgres, MDY', IntervalStyle => 'iso_8601', TimeZone => 'Pacific/Kiritimati', row_security => 'off', synchronize_seqscans => 'off', default_tablespace => 'elsewhere', temp_tablespaces => 'elsewhere', gin_fuzzy_search_limit => '10' },
    # What seems to cost as much as a sort that is forbidden would be compiled, which takes longer than all else here; of parallel plans some are.
    'plans' => { jit => 'off', plan_cache_mode => 'force_generic_plan', enable_hashjoin => 'off', enable_sort => 'off', from_collapse_limit => '1', join_collapse_limit => '1', geqo_threshold => '2', cursor_tuple_fraction => '0', default_toast_compression => 'lz4', work_mem => '64kB', maintenance_work_mem => '1MB' },
    'parallel plans' => { plan_cache_mode => 'force_custom_plan', parallel_setup_cost => '0', parallel_tuple_cost => '0', min_parallel_table_scan_size => '0', enable_indexscan => 'off', enable_partition_pruning => 'off', constraint_exclusion => 'off' });
# Why no group has others of the kinds that it is about.
my %left_out = (
    'is for' => { search_path => 'hostile_search_path_changes_nothing.pl', session_replication_role => 'subscriber_follows_by_logical_replication.pl', default_transaction_read_only => 'standby_takes_over.pl: what writes is refused' },
    'refuses what it is set to refuse' => { map { $_ => 1 } qw(statement_timeout lock_timeout transaction_timeout idle_in_transaction_session_timeout idle_session_timeout restrict_nonsystem_relation_kind event_triggers) },
    'holds for a transaction' => { map { $_ => 1 } qw(transaction_isolation transaction_read_only transaction_deferrable) },
    'says what libraries there are, or which other servers' => { map { $_ => 1 } qw(dynamic_library_path extension_control_path local_preload_libraries session_preload_libraries default_table_access_method allow_alter_system createrole_self_grant icu_validation_level) },
    'is for VACUUM and indexes' => { map { $_ => 1 } qw(gin_pending_list_limit vacuum_freeze_min_age vacuum_freeze_table_age vacuum_failsafe_age vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age vacuum_multixact_failsafe_age vacuum_truncate vacuum_max_eager_freeze_failure_rate) },
    'is what the test itself needs' => { client_min_messages => 1 });

my $node = PostgreSQL::Test::Cluster->new('settings');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nclaude_gpt.jobs = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
# Whatever a session may set that changes how statements are read, what they print and what they do by default.
my %set_somewhere = map { lc($_) => 1 } map { keys %$_ } values %settings, values %left_out;
my @known = split /\n/, $node->safe_psql('postgres', q{SELECT name FROM pg_settings WHERE context IN ('user', 'superuser') AND category ~ '^(Client Connection Defaults|Version and Platform Compatibility)' ORDER BY name});
cmp_ok(scalar(@known), '>', 40, 'the server tells of its settings');
is(join(' ', grep { !$set_somewhere{ lc $_ } } @known), '', 'each of them is set to another value, or it is said why not');
$node->safe_psql('postgres', q{SET allow_in_place_tablespaces = on}.";\nCREATE TABLESPACE elsewhere LOCATION ''");
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
