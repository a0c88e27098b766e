# A database of the last release, filled by its own functions, is after ALTER EXTENSION UPDATE like one made new: catalog, rights,
# search_paths, and what a dump leaves to the extension. No row differs but by the conversions, no large table is written anew, and
# what users put beside and upon the tables is there and works. Nothing of theirs runs as superuser. Before the update, and
# where it cannot be, each step says what to do.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use OldRelease;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use SchemaPicture;
use Test::More;

OldRelease::skip_unless_built();
my $old = $OldRelease::version;
my $node = OldRelease::new_node('upgrade', 'claude_gpt.jobs = off');
my $user = '00000000-0000-4000-8000-000000000001';
my $update = 'ALTER EXTENSION claude_gpt UPDATE';

# Partitions are of the day on which a database was made.
sub picture
{
    my ($database) = @_;
    my $picture = catalog_of($node, $database) . "\n" . rights_of($node, $database) . "\n" . settings_of($node, $database);
    return join "\n", grep { !/(usage_records|audit_logs)_\d/ } split /\n/, $picture;
}

# Every column of every row, as it is to be after the conversions. $schema is where tables are.
sub rows
{
    my ($database, $schema) = @_;
    my $converted = $schema eq 'claude_gpt';
    my %column = (
        users => $converted ? q{|| jsonb_build_object('next_hold_expiry', NULLIF(t.next_hold_expiry, 'infinity'), 'ledger_ahead_to', NULL, 'billing_anchor_day', NULL, 'billing_period_ends_on', NULL, 'monthly_reset_date', date_trunc('month', t.monthly_reset_date::timestamp)::date)} : '',
        usage_balances => $converted ? q{|| jsonb_build_object('billing_period', CASE t.billing_period WHEN '-infinity' THEN '0001-01-01' ELSE t.billing_period END)} : '',
        messages => $converted ? q{|| jsonb_build_object('cached_prompt_tokens', NULL, 'cache_write_tokens', NULL, 'reasoning_tokens', NULL, 'parts', NULL, 'is_root', t.content = 'Hello again')} : '',
        usage_records => $converted ? q{|| jsonb_build_object('prompt_tokens', NULL, 'completion_tokens', NULL, 'cached_prompt_tokens', NULL, 'cache_write_tokens', NULL, 'reasoning_tokens', NULL)} : '',
        usage_reservations => $converted ? q{|| jsonb_build_object('is_estimated', NULL, 'reported_usage', NULL, 'reply_hash', NULL, 'unit_prices', NULL, 'renewed_at', NULL)} : '',
        idempotency_keys => $converted ? q{|| jsonb_build_object('fingerprint', encode(t.fingerprint, 'hex'))} : '');
    return $node->safe_psql($database, join(' UNION ALL ', map { "SELECT '$_', (to_jsonb(t) @{[ $column{$_} // '' ]})::text FROM $schema.$_ AS t" }
        qw(users conversations messages usage_records usage_balances usage_reservations idempotency_keys subscription_history user_sessions audit_logs application_grants jobs job_runs system_configs)) . ' ORDER BY 1, 2');
}
# What of that is another now. A release may bring new keys and jobs; nothing else comes by itself.
sub changed { return join "\n", grep { !/^\+ (jobs|system_configs)\|/ } split /\n/, differences(@_) }
sub files { my ($database, $schema) = @_; return $node->safe_psql($database, "SELECT c.relname, pg_relation_filenode(c.oid) FROM pg_class AS c WHERE c.oid = ANY (ARRAY(SELECT to_regclass('$schema.' || t) FROM unnest('{users,conversations,messages,usage_balances,usage_reservations,subscription_history,user_sessions}'::text[]) AS t)) OR c.relname LIKE 'usage\\_records\\_%' AND c.relname !~ '(usage_type|usage_type_created_at|user_id_billing_period)_idx\$' OR c.relname LIKE 'audit\\_logs\\_%' AND c.relkind = 'r' OR c.relname ~ '^idx_(users|user_sessions|messages)' AND c.relkind = 'i' AND c.relname <> 'idx_users_subscription_id' ORDER BY 1") }
sub is_superuser { return $node->safe_psql('postgres', q{SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolsuper AND rolname IN ('keeper', 'guest', 'app')}) }

OldRelease::fill($node, 'plain');
OldRelease::fill($node, 'partitioned');
$node->safe_psql('partitioned', q{CALL claude_gpt.partition_table('messages', '1 month')});
OldRelease::fill($node, 'used', 'user_objects_0.4.0.sql');
OldRelease::fill($node, 'of_a_superuser');
$node->safe_psql('of_a_superuser', 'SELECT claude_gpt.set_owner(current_user::regrole)');
OldRelease::fill($node, $_) for qw(strange taken calling);
$node->safe_psql('strange', q{ALTER TABLE claude_gpt.audit_logs_default OWNER TO guest; ALTER VIEW claude_gpt.plan_usage OWNER TO guest});
$node->safe_psql('taken', 'CREATE SCHEMA claude_gpt_data AUTHORIZATION guest');
$node->safe_psql('postgres', 'CREATE DATABASE code_only');
$node->safe_psql('code_only', q{SET claude_gpt.install_tables = off; CREATE EXTENSION claude_gpt; SELECT claude_gpt.set_owner('keeper')});
my $dump = PostgreSQL::Test::Utils::tempdir . '/old.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('plain') ], "a dump of $old");
my %before = map { $_ => rows($_, 'claude_gpt') } qw(plain partitioned used of_a_superuser);
my %files = map { $_ => files($_, 'claude_gpt') } qw(plain partitioned used);
cmp_ok(scalar(split /\n/, $before{plain}), '>', 300, 'there are rows');
like($before{plain}, qr/^messages\|.*"is_root": true/m, 'of a question that is an edit of the first one, too');
like($before{plain}, qr/"billing_period": "0001-01-01"/, 'of the time before the ledger too');
is($node->safe_psql('plain', q{SELECT count(*) > 3 FROM claude_gpt.users WHERE next_hold_expiry <> 'infinity'}), 't', 'and holds');

OldRelease::install_this_release($node);
my $newest = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'claude_gpt'});
is($node->safe_psql('postgres', q{SELECT string_agg(version, ' ') FROM pg_available_extension_versions WHERE name = 'claude_gpt'}), $newest, 'no version is offered that an empty database cannot have');

# The new library, and the functions of before.
my ($rc, $out, $err) = $node->psql('plain', "\\set VERBOSITY verbose\nSELECT claude_gpt.update_user_usage('$user')");
like($err, qr/ERROR:  55000: /, 'before the update functions refuse with 55000');
like($err, qr/HINT:  Run /, 'and name the next step');

# A database made new.
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', q{CREATE EXTENSION claude_gpt; SELECT claude_gpt.set_owner('keeper');
    SELECT claude_gpt.grant_application_access('app'), claude_gpt.grant_application_access('reader', 'read'), claude_gpt.grant_application_access('supporter', 'operator');
    ALTER TABLE claude_gpt_data.users ADD COLUMN nickname text DEFAULT 'friend'; CALL claude_gpt.migrate()});
my $fresh = picture('fresh');

# Clients are connected, and one is in the middle of something.
for my $database (qw(plain partitioned))
{
    my $client = PsqlSession->new($node, $database, '-U', 'app');
    is($client->ask('SELECT count(*) FROM claude_gpt.messages'), $node->safe_psql($database, 'SELECT count(*) FROM claude_gpt.messages'), 'a client is connected');
    my $writer = PsqlSession->new($node, $database, '-U', 'app');
    $writer->ask("BEGIN; SELECT count(*) FROM claude_gpt.users");
    my $dba = PsqlSession->new($node, $database);
    is($dba->ask("SET lock_timeout = '10ms'; \\set VERBOSITY verbose\n$update; SET lock_timeout = 0") =~ s/CONTEXT.*//sr, "ERROR:  55P03: canceling statement due to lock timeout\n", 'with a lock_timeout it gives up instead of waiting');
    $dba->send($update);
    $node->poll_query_until($database, q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted}) or die 'nobody waits';
    # The owner of the tables, who may create in the schema until the update has committed, does so unseen.
    my $owner = PsqlSession->new($node, $database, '-U', 'keeper');
    is($owner->ask(q{BEGIN; CREATE FUNCTION claude_gpt.health(text) RETURNS text LANGUAGE sql AS 'SELECT $1'}), '', 'the owner of before creates a function meanwhile');
    is($writer->ask('ROLLBACK'), '', 'it ends');
    is($dba->answer, '', "$database: updated, without a word");
    is($owner->ask('COMMIT'), '', 'his function comes after it');
    is($node->safe_psql($database, q{SELECT status, detail FROM claude_gpt.health() WHERE check_name = 'strange_objects'}), 'critical|not of the extension: function claude_gpt.health(text)', "$database: it is critical");
    my ($failed, $unsaid, $refusal) = $node->psql($database, "\\set VERBOSITY verbose\nCALL claude_gpt.migrate()");
    like($refusal, qr/ERROR:  55000: the schemas of claude_gpt hold what is not of the extension\n.*DETAIL:  There is function claude_gpt\.health\(text\)\./s, "$database: and migrate() refuses it by name");
    is($owner->ask('CREATE FUNCTION claude_gpt.health(varchar) RETURNS text LANGUAGE sql AS $$SELECT $1$$') =~ s/\n.*//sr, 'ERROR:  permission denied for schema claude_gpt', 'another he does not create');
    $owner->close;
    $node->safe_psql($database, 'DROP FUNCTION claude_gpt.health(text)');

    is($node->safe_psql($database, q{SELECT extversion FROM pg_extension WHERE extname = 'claude_gpt'}), $newest, 'the version is the newest');
    is(changed($before{$database}, rows($database, 'claude_gpt_data')), '', "$database: no row has changed");
    # A partial index is, if its condition names the column; two of the ledger hold less now.
    is(differences($files{$database}, files($database, 'claude_gpt_data')), '', "$database: no large table is written anew, and no index but one");
    is($node->safe_psql($database, 'SELECT * FROM claude_gpt.prove_books()'), '', "$database: the books prove");
    is($client->ask("SELECT claude_gpt.update_user_usage('$user'); SELECT allowed FROM claude_gpt.consume_quota('$user')"), "\nt", "$database: the client goes on");
    my $fresh_client = PsqlSession->new($node, $database, '-U', 'app');
    is($fresh_client->ask(q{SELECT allowed FROM begin_turn('00000000-0000-4000-8000-000000000002', NULL, 'hello', 'gpt-4', 100); SELECT count(*) > 0 FROM messages}), "t\nt", 'and a new one chats, and finds the tables by its new search_path');
    is($node->safe_psql($database, 'SELECT * FROM claude_gpt.prove_books()'), '', "$database: and the books prove again");
    is($node->safe_psql($database, q{SELECT string_agg(check_name || ': ' || detail, '; ') FROM claude_gpt.health() WHERE status = 'critical'}), '', "$database: nothing is critical");
    my ($code, $nothing, $refused) = $node->psql($database, 'SELECT claude_gpt_internal.library_release()', extra_params => [ '-U', 'app' ]);
    like($refused, qr/permission denied for function library_release/, "$database: new functions are not everybody's");
    $_->close for $client, $writer, $dba, $fresh_client;
}
is(differences($fresh, picture('plain')), '', 'catalog and rights are those of a fresh install');
is($node->safe_psql('partitioned', q{SELECT count(*) >= 2 FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'claude_gpt_data.messages'::regclass AND c.relnamespace = 'claude_gpt_partitions'::regnamespace}), 't', 'partitions of messages are among the partitions');
is($node->safe_psql('plain', q{SELECT replayed FROM claude_gpt.record_usage('} . $user . q{', 'api_call', 3, NULL, 0.5, NULL, NULL, '{"from": "test"}', 'call')}), 't', 'a key of before is known');

# What users put there.
my $views = q{SELECT format('%s %s %s %s', c.oid::regclass, c.relowner::regrole, c.relacl, c.reloptions) FROM pg_class AS c WHERE c.relnamespace IN ('reports'::regnamespace, 'guest'::regnamespace, 'public'::regnamespace)
    UNION ALL SELECT format('%s.%s %s %s', a.attrelid::regclass, a.attname, a.attacl, col_description(a.attrelid, a.attnum)) FROM pg_attribute AS a WHERE a.attrelid = 'reports.people'::regclass AND a.attnum > 0
    UNION ALL SELECT pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger WHERE tgname ~ 'hostile|instead'
    UNION ALL SELECT pg_get_ruledef(oid) || ev_enabled::text FROM pg_rewrite WHERE rulename = 'remember'
    UNION ALL SELECT format('%s %s %s %s %s %s', polname, polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid), polcmd, obj_description(oid, 'pg_policy')) FROM pg_policy
    UNION ALL SELECT pg_get_viewdef(c.oid) || c.relispopulated FROM pg_class AS c WHERE c.relnamespace IN ('reports'::regnamespace, 'guest'::regnamespace, 'public'::regnamespace) AND c.relkind IN ('v', 'm')
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'reports' OR indexname = 'by_tier'
    UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid IN ('reports.invoices'::regclass, 'guest.visits'::regclass)
    UNION ALL SELECT format('%s %s', p.proname, p.proacl) FROM pg_proc AS p WHERE p.proname IN ('quota_status', 'html_text', 'is_ours', 'release_usage')
    UNION ALL SELECT format('%s %s', d.defaclrole::regrole, d.defaclacl) FROM pg_default_acl AS d};
# As it is said now. The type of subscription_tier is no domain any more.
sub said { my ($text) = @_; return join "\n", sort map { s/claude_gpt(_data)?\././gr =~ s/\(\((\w+\.)?(\w+)\)::text/($1$2)::text/gr =~ s/::(character varying|text|\.subscription_tier)//gr =~ s/[()]//gr } split /\n/, $text }
my $objects = $node->safe_psql('used', $views);
is($node->safe_psql('used', $update), '', 'a database full of what users make is updated');
is(differences(said($objects), said($node->safe_psql('used', "SELECT DISTINCT * FROM ($views) AS v"))), '', 'and each of their objects is as it was');
is(changed($before{used}, rows('used', 'claude_gpt_data')), '', 'no row has changed');
is(differences($files{used}, files('used', 'claude_gpt_data')), '', 'no large table is written anew');
is(is_superuser(), '', 'and nothing of theirs ran as superuser');
is($node->safe_psql('used', q{SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend AS d JOIN pg_namespace AS n ON d.refclassid = 'pg_namespace'::regclass AND n.oid = d.refobjid AND n.nspname = 'claude_gpt'
    WHERE d.classid NOT IN ('pg_extension'::regclass, 'pg_rewrite'::regclass) AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')}), '', 'in the schema of the code is nothing but members');
is($node->safe_psql('used', q{SELECT count(*) FROM pg_depend AS e JOIN pg_depend AS d ON d.classid = e.classid AND d.objid = e.objid
    WHERE e.deptype = 'e' AND d.refclassid = 'pg_namespace'::regclass AND d.refobjid IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace)}), '0', 'and nothing in the schemas of the data is one');
is($node->safe_psql('used', q{SELECT claude_gpt.grant_application_access('app')}), '', 'a call of a superuser meets no overload');
is(is_superuser(), '', 'for it is in another schema');
is($node->safe_psql('used', q{SELECT (SELECT count(*) FROM reports.people_of_people) > 0, (SELECT count(*) FROM guest.mail), (SELECT count(*) > 0 FROM reports.titles)}), 't|40|t', 'their views work');
is($node->safe_psql('used', q{SET ROLE guest; SELECT count(*) FROM claude_gpt_data.users}), '40', 'whoever was let read a table finds it');
is($node->safe_psql('used', q{SELECT string_agg(n.nspname, ' ' ORDER BY n.nspname) FROM pg_publication_namespace AS p JOIN pg_namespace AS n ON n.oid = p.pnnspid}), 'claude_gpt_data claude_gpt_partitions', 'a publication of the schema follows the tables');

is($node->safe_psql('of_a_superuser', $update), '', 'where a superuser owns the tables it works too');
is(changed($before{of_a_superuser}, rows('of_a_superuser', 'claude_gpt_data')), '', 'and no row has changed');

# Refused, with nothing changed.
sub refused
{
    my ($database, $message, $cause) = @_;
    my $catalog = $node->safe_psql($database, q{SELECT c.oid::regclass, c.relowner FROM pg_class AS c WHERE c.relnamespace = 'claude_gpt'::regnamespace ORDER BY 1});
    my ($status, $printed, $error) = $node->psql($database, "\\set VERBOSITY verbose\n$update");
    like($error, $message, $cause);
    is($node->safe_psql($database, q{SELECT c.oid::regclass, c.relowner FROM pg_class AS c WHERE c.relnamespace = 'claude_gpt'::regnamespace ORDER BY 1}), $catalog, 'and nothing is changed');
    return;
}
refused('strange', qr/55000: tables of claude_gpt have several owners\nDETAIL:  Not of role keeper: claude_gpt\.\w+ of guest, claude_gpt\.\w+ of guest\./, 'tables of several owners are named');
$node->safe_psql('strange', 'ALTER TABLE claude_gpt.audit_logs_default OWNER TO keeper; ALTER VIEW claude_gpt.plan_usage OWNER TO keeper');
$node->safe_psql('strange', 'ALTER TABLE claude_gpt.jobs RENAME TO work');
refused('strange', qr/55000: tables of claude_gpt are not there.*DETAIL:  Missing: jobs\./s, 'a table that has another name is missed');
$node->safe_psql('strange', 'ALTER TABLE claude_gpt.work RENAME TO jobs; ALTER TABLE claude_gpt.users RENAME COLUMN phone TO telephone');
refused('strange', qr/42703: column "phone" of relation "users" does not exist/, 'so is a column');
$node->safe_psql('strange', 'ALTER TABLE claude_gpt.users RENAME COLUMN telephone TO phone; CREATE INDEX held ON claude_gpt.users (next_hold_expiry)');
refused('strange', qr/2BP01: column "next_hold_expiry" of table "users" is in use\nDETAIL:  By index claude_gpt_data.held\./, 'an index that would be lost is named');
$node->safe_psql('strange', q{DROP INDEX claude_gpt.held; ALTER TABLE claude_gpt.users ADD COLUMN loud text GENERATED ALWAYS AS (upper(full_name)) STORED});
refused('strange', qr/cannot alter type of a column used by a generated column\nDETAIL:  Column "full_name" is used by generated column "loud"/, 'so is a generated column');
$node->safe_psql('strange', 'ALTER TABLE claude_gpt.users DROP COLUMN loud; DELETE FROM claude_gpt.claude_gpt_migrations WHERE id = 13');
refused('strange', qr/55000: the tables of claude_gpt are older than those of release 0.4.0/, 'tables of an older release are not taken for those of the last');
refused('taken', qr/55000: schema "claude_gpt_data" is there, and is of role guest/, 'a schema of somebody else is not used');

$node->safe_psql('calling', 'CREATE VIEW public.released AS SELECT claude_gpt.release_usage(gen_random_uuid())');
refused('calling', qr/2BP01: cannot drop function claude_gpt.retired_release_usage\(uuid\) because other objects depend on it\nDETAIL:  view (public\.)?released depends on/, 'a view that calls a function of another signature is named');

# Where only functions were installed, an update brings no tables.
$node->safe_psql('code_only', $update);
is($node->safe_psql('code_only', q{SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname LIKE 'claude\_gpt%'}), '0', 'an update of functions alone makes no tables');
is($node->safe_psql('code_only', q{SELECT has_schema_privilege('keeper', 'claude_gpt', 'CREATE')}), 'f', 'and takes from their owner to be what he could create beside them');

# A dump of the release before has functions where they are no more.
$node->safe_psql('postgres', 'CREATE DATABASE restored');
my $restore = run_log([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('restored'), '-f', $dump ], '>', '/dev/null', '2>', \my $complaint);
like($complaint, qr/55000: this session restores a dump without schema "claude_gpt_data"\n.*HINT:  Restore the dump where that release is installed/s, "a dump of $old is refused");
is($node->safe_psql('restored', q{SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname LIKE 'claude\_gpt%'}), '0', 'before the first row');

# A server that goes on with the library that it has loaded, although the files are those of this release.
my $installation = OldRelease::own_installation();
my $unrestarted = OldRelease::new_node('unrestarted', 'claude_gpt.jobs = off', $installation);
OldRelease::fill($unrestarted, 'app');
OldRelease::overwrite($installation);
sub dumped { my ($status, $printed, $error) = (run_command([ 'pg_dump', $unrestarted->connstr('app') ])); return $printed =~ s/^\\(un)?restrict .*//mgr }
my $dumped = dumped();
(my $status, $out, $err) = $unrestarted->psql('app', "\\set VERBOSITY verbose\n$update");
like($err, qr/55000: the server has not loaded the library of claude_gpt $newest\nHINT:  Restart the server/, 'without a restart the update is refused, and says so');
is(differences($dumped, dumped()), '', 'with nothing changed');
is($unrestarted->safe_psql('app', "SELECT allowed FROM claude_gpt.consume_quota('$user')"), 't', 'and the old functions work');
$unrestarted->restart;
is($unrestarted->safe_psql('app', "$update; SELECT allowed FROM claude_gpt.consume_quota('$user')"), 't', 'after it the update works');
$unrestarted->stop;

my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|terminated by signal|TRAP/, 'nothing crashed');
$node->stop;
done_testing();
