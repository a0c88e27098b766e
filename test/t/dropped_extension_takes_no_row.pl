# DROP EXTENSION refuses; with CASCADE it takes no row, and CREATE EXTENSION takes the tables over again as they
# were, whoever owns them, under the feet of open sessions too. Old tables under new code are refused until
# migrate() has run, which can be repeated at will, and by two sessions at once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use SchemaPicture;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('drop');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;
my $user = '00000000-0000-4000-8000-000000000001';
my $conversation = '00000000-0000-4000-8000-00000000000a';
my $message = "INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content) VALUES ('$conversation', '$user', 'user', 'x')";
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE ROLE biller LOGIN; CREATE ROLE keeper LOGIN');

sub make_database
{
    my ($database, $owner) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->safe_psql($database, 'CREATE EXTENSION claude_gpt; ' . ($owner ? "SELECT claude_gpt.set_owner('$owner');" : '') . qq{
        ALTER TABLE claude_gpt_data.users ADD COLUMN nickname text;
        SELECT claude_gpt.grant_application_access('app'), claude_gpt.grant_application_access('biller', 'billing');
        INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x');
        INSERT INTO claude_gpt_data.conversations (id, user_id) VALUES ('$conversation', '$user');
        $message; $message; $message;
        SELECT claude_gpt.update_user_usage('$user', 2, 3, 0.5), claude_gpt.set_subscription('$user', 'pro');
        INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ('$user', 't', 'infinity');
        INSERT INTO claude_gpt_data.audit_logs (user_id, action, resource_type) VALUES ('$user', 'login', 'user');
        CREATE INDEX users_nickname ON claude_gpt_data.users (nickname);
        CREATE POLICY all_messages ON claude_gpt_data.messages USING (true);
        GRANT SELECT ON claude_gpt_data.audit_logs TO biller;
        CREATE TABLE public.notes (id integer, note text, updated_at timestamptz)});
    return;
}

sub tables_in { my ($database) = @_; return $node->safe_psql($database, "SELECT count(*) FROM pg_class WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('claude_gpt_data', 'claude_gpt_partitions')) AND relkind IN ('r', 'p') AND NOT relispartition") }

for my $owner ('', 'keeper')
{
    my $database = $owner ? 'of_keeper' : 'of_superuser';
    my $whose = $owner ? 'tables of a role that is no superuser' : 'tables of a superuser';
    make_database($database, $owner);
    my $open = PsqlSession->new($node, $database, '-U', 'app');
    $open->ask("$message; SELECT claude_gpt.update_user_usage('$user'), claude_gpt.effective_tier('$user')");
    my ($rows, $catalog, $rights, $tables) = (rows_of($node, $database), catalog_of($node, $database), rights_of($node, $database), tables_in($database));

    my ($rc, $out, $err) = $node->psql($database, 'DROP EXTENSION claude_gpt');
    like($err, qr/cannot drop extension claude_gpt because other objects depend on it/, "DROP EXTENSION refuses: $whose");
    $node->safe_psql($database, 'BEGIN; DROP EXTENSION claude_gpt CASCADE; ROLLBACK');
    is($open->ask("SELECT claude_gpt.effective_tier('$user')"), 'pro', "a DROP that is rolled back is none: $whose");
    is(differences($catalog, catalog_of($node, $database)), '', "in the catalog neither: $whose");
    $node->safe_psql($database, 'DROP EXTENSION claude_gpt CASCADE');
    is(differences($rows, rows_of($node, $database)), '', "with CASCADE it takes no row: $whose");
    is(tables_in($database), $tables, "and no table: $whose");
    like($open->ask("SELECT claude_gpt.effective_tier('$user')"), qr/function claude_gpt.effective_tier\(unknown\) does not exist/, "an open session has no functions then: $whose");
    $node->safe_psql($database, "UPDATE claude_gpt_data.users SET full_name = 'Ana'; UPDATE claude_gpt_data.users SET full_name = NULL");
    is(differences($rows, rows_of($node, $database)), '', "and the tables can be written: $whose");

    ($rc, $out, $err) = $node->psql($database, 'CREATE EXTENSION claude_gpt', on_error_stop => 1);
    like(substr($err, 0, 500), qr/^psql:<stdin>:1: NOTICE:  claude_gpt keeps its tables in schema claude_gpt_data\nHINT:  .*grant_application_access/, "CREATE EXTENSION takes them over, and tells about the search_path: $whose");
    next if $rc != 0;
    is(differences($rows, rows_of($node, $database)), '', "with every row: $whose");
    is(differences($catalog, catalog_of($node, $database)), '', "triggers, defaults, views and all else as before: $whose");
    is(differences($rights, rights_of($node, $database)), '', "owners and grants as before: $whose");
    like((run_command([ 'pg_dump', '-s', '-d', $node->connstr($database) ]))[0], qr/^GRANT USAGE ON SCHEMA claude_gpt_data TO app;$/m, "which a dump writes: $whose");
    is($open->ask("SELECT claude_gpt.update_user_usage('$user'); $message; SELECT u.monthly_message_count, c.message_count FROM claude_gpt_data.users AS u, claude_gpt_data.conversations AS c"), "\n4|5",
        "and the open session of the application goes on: $whose");

    # migrate() does nothing where nothing is missing.
    ($catalog, $rights) = (catalog_of($node, $database), rights_of($node, $database));
    ($rc, $out, $err) = $node->psql($database, 'CALL claude_gpt.migrate(); CALL claude_gpt.migrate()', $owner ? (extra_params => [ '-U', $owner ]) : ());
    is($err, '', "migrate can be repeated by the owner, without a word: $whose");
    is(differences($catalog, catalog_of($node, $database)), '', "and changes nothing in the catalog: $whose");
    is(differences($rights, rights_of($node, $database)), '', "nor in the grants: $whose");

    # Everything away, and made anew under the same open session.
    $node->safe_psql($database, 'DROP EXTENSION claude_gpt CASCADE; DROP SCHEMA claude_gpt, claude_gpt_data, claude_gpt_partitions CASCADE; CREATE EXTENSION claude_gpt');
    like($open->ask("SELECT claude_gpt.effective_tier('$user')"), qr/permission denied/, "new tables have new rights: $whose");
    $node->safe_psql($database, "SELECT claude_gpt.grant_application_access('app')");
    is($open->ask("INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x'); INSERT INTO claude_gpt_data.conversations (id, user_id) VALUES ('$conversation', '$user');
        $message; SELECT claude_gpt.update_user_usage('$user'), claude_gpt.effective_tier('$user'), claude_gpt.check_subscription_limit('$user')"), '|free|t', "and the open session works with them: $whose");
    $open->close;
}

# A table of the user's own, touched by our trigger, outlives detach() and is taken along when the extension comes again.
make_database('detached', '');
$node->safe_psql('detached', "CREATE TRIGGER touch BEFORE UPDATE ON public.notes FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column(); INSERT INTO public.notes VALUES (1)");
my ($rows, $catalog, $rights) = (rows_of($node, 'detached'), catalog_of($node, 'detached'), rights_of($node, 'detached'));
$node->safe_psql('detached', 'SELECT claude_gpt.detach(); DROP EXTENSION claude_gpt');
is(differences($rows, rows_of($node, 'detached')), '', 'detach() changes no row, and DROP EXTENSION needs no CASCADE');
is($node->safe_psql('detached', "$message; UPDATE public.notes SET note = 'x'; SELECT c.message_count, n.updated_at IS NOT NULL FROM claude_gpt_data.conversations AS c, public.notes AS n"), '4|t', 'the triggers work without');
$node->safe_psql('detached', "DELETE FROM claude_gpt_data.messages WHERE created_at = (SELECT max(created_at) FROM claude_gpt_data.messages); UPDATE public.notes SET note = NULL");
my ($rc, $out, $err) = $node->psql('detached', 'CREATE EXTENSION claude_gpt');
unlike(substr($err, 0, 500), qr/ERROR/, 'CREATE EXTENSION after detach()');
is(differences($catalog, catalog_of($node, 'detached')), '', 'brings back triggers, defaults, rules and the view');

# Old tables, new code: as after the restore of an older dump.
make_database('older', '');
my $newest = $node->safe_psql('older', 'SELECT max(id) FROM claude_gpt_data.claude_gpt_migrations');
# What the newest migration made.
my $undo = q{DROP TABLE claude_gpt_data.message_feedback, claude_gpt_data.message_files};
my @calls = ("claude_gpt.update_user_usage('$user')", "claude_gpt.check_subscription_limit('$user')", "claude_gpt.effective_tier('$user')",
    "claude_gpt.set_subscription('$user', 'pro')", 'claude_gpt.cleanup_expired_sessions()', 'claude_gpt.current_billing_period()',
    "claude_gpt.consume_quota('$user')", "claude_gpt.reserve_usage('$user', 1)", "claude_gpt.begin_turn('$user', NULL, 'x', 'gpt-4')", 'claude_gpt.prove_books()');
my $open = PsqlSession->new($node, 'older');
$open->ask("\\set VERBOSITY verbose\nSELECT " . join(', ', @calls));
$node->safe_psql('older', "DELETE FROM claude_gpt_data.claude_gpt_migrations WHERE id = $newest");
my $before = rows_of($node, 'older');
for my $call (@calls)
{
    my $refusal = qr/ERROR:  55000: the tables of claude_gpt are older than its code\nDETAIL:  Migration \d+ is applied, $newest is needed.\nHINT:  Run CALL claude_gpt.migrate\(\)./;
    my ($rc, $out, $err) = $node->psql('older', "\\set VERBOSITY verbose\nSELECT $call");
    like($err, $refusal, "$call refuses older tables");
}
is(differences($before, rows_of($node, 'older')), '', 'and nothing changed');
($rc, $out, $err) = $node->psql('older', 'SET ROLE app; CALL claude_gpt.migrate()');
like($err, qr/permission denied for/, 'migrate is not for everyone');
$node->safe_psql('older', "$undo; CALL claude_gpt.migrate()");
is($node->safe_psql('older', "SELECT claude_gpt.check_subscription_limit('$user')"), 't', 'after migrate they work');
is($open->ask("SELECT claude_gpt.check_subscription_limit('$user')"), 't', 'in open sessions too');
$open->close;

# Two sessions migrate at once: the second waits, finds nothing to do, and both succeed.
for my $case ([ 'nothing', 'SET claude_gpt.install_tables = off; CREATE EXTENSION claude_gpt' ],
    [ 'one', "CREATE EXTENSION claude_gpt; DELETE FROM claude_gpt_data.claude_gpt_migrations WHERE id = $newest; $undo" ],
    [ 'all', 'CREATE EXTENSION claude_gpt' ])
{
    my ($there, $prepare) = @$case;
    $node->safe_psql('postgres', 'CREATE DATABASE racing');
    $node->safe_psql('racing', $prepare);
    my ($first, $second) = map { PsqlSession->new($node, 'racing') } 1 .. 2;
    is($first->ask('BEGIN; CALL claude_gpt.migrate()'), '', "$there applied: the first migrates");
    $second->send('CALL claude_gpt.migrate()');
    ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'racing' AND wait_event_type = 'Lock'"), "$there applied: the second waits");
    $first->ask('COMMIT');
    is($second->answer, '', "$there applied: the second succeeds");
    is($second->ask('SELECT count(*) = max(id) FROM claude_gpt_data.claude_gpt_migrations; SELECT claude_gpt.current_billing_period() IS NULL'), "t\nf", "$there applied: each migration is applied once");
    $_->close for ($first, $second);
    $node->safe_psql('postgres', 'DROP DATABASE racing');
}

# The install setting, and a session that looks like a restore.
for my $case ([ 'SET claude_gpt.install_tables = off', qr/NOTICE:  claude_gpt installed its functions only/, 0 ],
    [ 'SET row_security = off', qr/WARNING:  claude_gpt installed its functions only, because this session restores a dump.*\nHINT:  .*migrate/, 0 ],
    [ 'SET xmloption = content', qr/WARNING:  claude_gpt installed its functions only/, 0 ],
    [ 'SET row_security = off; SET claude_gpt.install_tables = off', qr/NOTICE:  claude_gpt installed its functions only/, 0 ],
    [ 'SET xmloption = content; SET claude_gpt.install_tables = on', qr/^(?!.*installed its functions only)/s, 1 ],
    [ 'SET row_security = off; SET claude_gpt.install_tables = on', qr/^(?!.*installed its functions only)/s, 1 ],
    [ "LOAD 'claude_gpt'; SET row_security = off; SET claude_gpt.install_tables = on", qr/^(?!.*installed its functions only)/s, 1 ],
    [ 'SET claude_gpt.install_tables = auto', qr/NOTICE:  claude_gpt keeps its tables/, 1 ])
{
    my ($set, $says, $makes_tables) = @$case;
    $node->safe_psql('postgres', 'CREATE DATABASE fresh');
    # As a dump does, before the extension.
    $node->safe_psql('fresh', 'CREATE SCHEMA claude_gpt_data') if $says =~ /restores a dump|WARNING/;
    ($rc, $out, $err) = $node->psql('fresh', "$set; CREATE EXTENSION claude_gpt");
    like($err, $says, "$set: says what it did");
    is(tables_in('fresh'), $makes_tables ? tables_in('older') : 0, "$set: " . ($makes_tables ? 'all tables' : 'no table'));
    if (!$makes_tables)
    {
        ($rc, $out, $err) = $node->psql('fresh', "\\set VERBOSITY verbose\nSELECT claude_gpt.effective_tier('$user')");
        like($err, qr/55000: the tables of claude_gpt are not installed\nHINT:  Run CALL claude_gpt.migrate/, "$set: the functions name the next step");
        $node->safe_psql('fresh', 'CALL claude_gpt.migrate(); SELECT claude_gpt.current_billing_period()');
        pass("$set: which works");
    }
    $node->safe_psql('postgres', 'DROP DATABASE fresh');
}
# The setting of a database serves those who cannot set it in the session that creates the extension.
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('postgres', 'ALTER DATABASE fresh SET claude_gpt.install_tables = off');
$node->safe_psql('fresh', 'CREATE EXTENSION claude_gpt');
is(tables_in('fresh'), 0, 'the setting of a database is heeded');

$node->stop;
done_testing();
