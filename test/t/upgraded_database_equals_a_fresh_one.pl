# From every released version, ALTER EXTENSION UPDATE with rows present and clients connected, and the restore of an
# old dump followed by migrate(), lead to the catalog and the rights of a fresh install, and lose no row.
# test/releases/VERSION.sql is a dump made with that version.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use SchemaPicture;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('upgrade');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off\nclaude_gpt.fixed_time = '2026-11-23T12:00:00Z'");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; CREATE ROLE app LOGIN; CREATE ROLE reader LOGIN');
my $user = '00000000-0000-4000-8000-000000000001';
my $newest = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'claude_gpt'});
my $dumps = PostgreSQL::Test::Utils::tempdir;

# Partitions are of the day on which a database was made.
sub picture
{
    my ($database) = @_;
    my $picture = catalog_of($node, $database) . "\n" . rights_of($node, $database);
    return join "\n", grep { !/(usage_records|audit_logs)_\d/ } split /\n/, $picture;
}

# Every column of every row as it was before: new columns and new rows are not asked for.
my $old_rows = q{SELECT 'user', (to_jsonb(u) - ARRAY['held_message_count', 'held_token_count', 'held_cost', 'next_hold_expiry', 'updated_at'])::text FROM claude_gpt_data.users u
    UNION ALL SELECT 'conversation', to_jsonb(t)::text FROM claude_gpt_data.conversations t UNION ALL SELECT 'message', to_jsonb(t)::text FROM claude_gpt_data.messages t
    UNION ALL SELECT 'record', to_jsonb(t)::text FROM claude_gpt_data.usage_records t UNION ALL SELECT 'balance', to_jsonb(t)::text FROM claude_gpt_data.usage_balances t
    UNION ALL SELECT 'history', to_jsonb(t)::text FROM claude_gpt_data.subscription_history t UNION ALL SELECT 'session', to_jsonb(t)::text FROM claude_gpt_data.user_sessions t
    UNION ALL SELECT 'audit', to_jsonb(t)::text FROM claude_gpt_data.audit_logs t UNION ALL SELECT 'grant', to_jsonb(t)::text FROM claude_gpt_data.application_grants t
    UNION ALL SELECT 'config', to_jsonb(t)::text FROM claude_gpt_data.system_configs t WHERE config_key NOT IN ('model_prices', 'idempotency_ttl', 'retention', 'partitions') ORDER BY 1, 2};

# A database like that of the dumps, made new.
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', q{CREATE EXTENSION claude_gpt; SELECT claude_gpt.set_owner('keeper'); SELECT claude_gpt.grant_application_access('app'), claude_gpt.grant_application_access('reader', 'read');
    ALTER TABLE claude_gpt_data.users ADD COLUMN nickname text DEFAULT 'friend'; CALL claude_gpt.migrate()});
my $fresh = picture('fresh');

my @releases = map { m{([^/]+)\.sql$} } sort glob "$FindBin::RealBin/../releases/*.sql";
cmp_ok(scalar @releases, '>', 0, 'there are releases to come from');
for my $release (@releases)
{
    my $dump = slurp_file("$FindBin::RealBin/../releases/$release.sql");
    for my $how ('update', 'restore')
    {
        my $database = "${how}_$release" =~ s/\W/_/gr;
        $node->safe_psql('postgres', "CREATE DATABASE $database");
        my $script = $how eq 'restore' ? $dump : $dump =~ s/CREATE EXTENSION IF NOT EXISTS claude_gpt WITH SCHEMA claude_gpt;/CREATE EXTENSION claude_gpt WITH SCHEMA claude_gpt VERSION '$release';/r;
        append_to_file("$dumps/$database.sql", $script);
        $node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-o', '/dev/null', '-f', "$dumps/$database.sql" ], "the dump of $release restores ($how)");
        my $before = $node->safe_psql($database, $old_rows);
        cmp_ok(scalar(split /\n/, $before), '>', 50, "$release has rows");

        my ($rc, $out, $err) = $node->psql($database, "\\set VERBOSITY verbose\nSELECT claude_gpt.update_user_usage('$user')");
        my $next_step = $how eq 'update' ? 'Run ALTER EXTENSION claude_gpt UPDATE.' : 'Run CALL claude_gpt.migrate().';
        like($err, qr/55000: the tables of claude_gpt are older than its code\n.*HINT:  \Q$next_step\E/s, "$release, $how: until then the functions name the next step");

        # Clients are connected, and one is in the middle of something.
        my $client = PsqlSession->new($node, $database, '-U', 'app');
        is($client->ask('SELECT count(*) FROM claude_gpt_data.messages'), $node->safe_psql($database, 'SELECT count(*) FROM claude_gpt_data.messages'), 'a client is connected');
        my $writer = PsqlSession->new($node, $database, '-U', 'app');
        $writer->ask("BEGIN; UPDATE claude_gpt_data.users SET full_name = 'x' WHERE id = '$user'");
        my $dba = PsqlSession->new($node, $database);
        $dba->send($how eq 'update' ? 'ALTER EXTENSION claude_gpt UPDATE' : 'CALL claude_gpt.migrate()');
        $node->poll_query_until($database, q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted}) or die 'nobody waits';
        is($writer->ask('ROLLBACK'), '', 'it ends');
        is($dba->answer, '', "$release, $how: done");

        is($node->safe_psql($database, q{SELECT extversion FROM pg_extension WHERE extname = 'claude_gpt'}), $newest, 'the version is the newest');
        is(differences($fresh, picture($database)), '', "$release, $how: catalog and rights are those of a fresh install");
        is(differences($before, $node->safe_psql($database, $old_rows)), '', "$release, $how: no row has changed");
        is($node->safe_psql($database, 'SELECT * FROM claude_gpt.prove_books()'), '', "$release, $how: the books prove");
        is($client->ask("SELECT claude_gpt.update_user_usage('$user'); SELECT allowed, used FROM claude_gpt.consume_quota('$user')"), "\nt|4", "$release, $how: the client goes on, with the new functions too");
        is($client->ask(q{SELECT allowed FROM claude_gpt.begin_turn('00000000-0000-4000-8000-000000000002', NULL, 'hello', 'gpt-4', 100)}), 't', 'and chats');
        is($node->safe_psql($database, 'SELECT * FROM claude_gpt.prove_books()'), '', "$release, $how: and the books prove again");
        my ($code, $nothing, $refused) = $node->psql($database, "SELECT claude_gpt.repair_books()", extra_params => [ '-U', 'app' ]);
        like($refused, qr/permission denied for function repair_books/, "$release, $how: new functions are not everybody's");
        $_->close for $client, $writer, $dba;
    }
}

# Where only functions were installed, an update brings no tables.
$node->safe_psql('postgres', 'CREATE DATABASE code_only');
$node->safe_psql('code_only', "SET claude_gpt.install_tables = off; CREATE EXTENSION claude_gpt VERSION '0.1.0'; RESET claude_gpt.install_tables; ALTER EXTENSION claude_gpt UPDATE");
is($node->safe_psql('code_only', q{SELECT count(*) FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND relkind IN ('r', 'p', 'v')}), '0', 'an update of functions alone makes no tables');
my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|terminated by signal/, 'nothing crashed');
$node->stop;
done_testing();
