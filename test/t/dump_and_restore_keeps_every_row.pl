# Dumped and restored in every way the server offers, a database that its user has extended comes back the
# same: rows, columns, indexes, constraints, triggers, policies, views, owners, grants. And it works.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SchemaPicture;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('restore');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; CREATE ROLE app LOGIN; CREATE ROLE reader LOGIN');
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my $user = '00000000-0000-4000-8000-000000000001';
my $metered = '00000000-0000-4000-8000-000000000002';

sub make_original
{
    my ($database, $owner) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->safe_psql($database, 'CREATE EXTENSION claude_gpt; ' . ($owner ? "SELECT claude_gpt.set_owner('$owner'); " : '') . qq{
        SELECT claude_gpt.grant_application_access('app'), claude_gpt.grant_application_access('reader', 'read');
        -- Before anything is counted: its month begins earlier.
        UPDATE claude_gpt_data.system_configs SET config_value = '"Asia/Shanghai"' WHERE config_key = 'billing_timezone';
        INSERT INTO claude_gpt_data.users (id, email, password_hash) SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, n || '\@x', 'x' FROM generate_series(1, 5) n;
        SELECT claude_gpt.set_subscription('$user', 'pro');
        INSERT INTO claude_gpt_data.conversations (user_id, title) SELECT id, '对话' FROM claude_gpt_data.users, generate_series(1, 2);
        INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, total_tokens, cost, is_searchable)
            SELECT c.id, c.user_id, 'user', 'message ' || n, n, n * 0.000000001, n = 1 FROM claude_gpt_data.conversations c, generate_series(1, 3) n;
        -- A reply with a smaller id than its parent: rows are not restored in the order of replies.
        INSERT INTO claude_gpt_data.messages (id, conversation_id, user_id, role, content, parent_message_id)
            SELECT gen_random_uuid(), conversation_id, user_id, 'assistant', 'reply', id FROM claude_gpt_data.messages WHERE content = 'message 1';
        UPDATE claude_gpt_data.messages SET status = 'deleted' WHERE content = 'message 3' AND user_id = '$user';
        UPDATE claude_gpt_data.messages SET parts = '[{"type": "text", "text": "字"}]', reasoning_tokens = 0 WHERE content = 'message 2';
        INSERT INTO claude_gpt_data.message_feedback (message_id, user_id, rating, comment) SELECT id, user_id, 'down', 'no' FROM claude_gpt_data.messages WHERE content = 'reply';
        INSERT INTO claude_gpt_data.message_files (user_id, conversation_id, message_id, name, location) SELECT user_id, conversation_id, id, 'a', 'k' FROM claude_gpt_data.messages WHERE content = 'message 1';
        SELECT claude_gpt.update_user_usage(id, 2, 30, 0.123456789) FROM claude_gpt_data.users;
        -- Reservations of every status, one of them open, and keys.
        SELECT claude_gpt.settle_usage('$metered', reservation_id, 3, 4, 0.5) FROM claude_gpt.reserve_usage('$metered', 10, p_ttl => '24 hours');
        SELECT claude_gpt.release_usage('$metered', reservation_id) FROM claude_gpt.reserve_usage('$metered', 20, p_ttl => '24 hours');
        SELECT claude_gpt.reserve_usage('$metered', 30, 1, p_ttl => '24 hours', p_idempotency_key => 'held'), claude_gpt.consume_quota('$metered', p_idempotency_key => 'kept');
        -- In the default partitions too.
        INSERT INTO claude_gpt_data.usage_records (user_id, usage_type, quantity, created_at, billing_period) VALUES
            ('$user', 'message', 0, '2019-05-05Z', '2019-05-01'), ('$user', 'message', 0, now() + interval '3 months', '2099-01-01');
        INSERT INTO claude_gpt_data.audit_logs (user_id, action, resource_type, created_at) SELECT '$user', 'login', 'user', t
            FROM (VALUES (now()), (now() + interval '1 week'), (now() + interval '2 weeks'), (now() + interval '3 weeks'), (now() + interval '4 weeks'), ('2019-05-05Z')) AS v (t);
        INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ('$user', 't', now());
        INSERT INTO claude_gpt_data.usage_balances VALUES ('$user', 'message', '0001-01-01', -1, 0);
        UPDATE claude_gpt_data.jobs SET enabled = false, run_every = '2 days', engine = 'pg_cron' WHERE name = 'analyze';
        CALL claude_gpt.run_job('job_history_prune');
        -- What the user added.
        ALTER TABLE claude_gpt_data.users ADD COLUMN nickname text DEFAULT 'friend', ADD CONSTRAINT short_nickname CHECK (length(nickname) < 20);
        UPDATE claude_gpt_data.users SET nickname = 'Ana' WHERE id = '$user';
        CREATE INDEX users_nickname ON claude_gpt_data.users (nickname);
        CREATE INDEX usage_by_model ON claude_gpt_data.usage_records (model_used);
        CREATE TABLE claude_gpt_partitions.audit_logs_2018 PARTITION OF claude_gpt_data.audit_logs FOR VALUES FROM ('2018-01-01Z') TO ('2019-01-01Z');
        INSERT INTO claude_gpt_data.audit_logs (action, resource_type, created_at) VALUES ('old', 'user', '2018-05-05Z');
        ALTER TABLE claude_gpt_data.messages ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own_messages ON claude_gpt_data.messages TO app USING (user_id = nullif(current_setting('my.user', true), '')::uuid OR current_setting('my.user', true) IS NULL);
        CREATE POLICY all_messages ON claude_gpt_data.messages TO reader USING (true);
        CREATE FUNCTION public.shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.title := upper(NEW.title); RETURN NEW; END';
        CREATE TRIGGER shout BEFORE INSERT ON claude_gpt_data.conversations FOR EACH ROW EXECUTE FUNCTION public.shout();
        ALTER TABLE claude_gpt_data.conversations DISABLE TRIGGER shout;
        ALTER TABLE claude_gpt_data.users ENABLE REPLICA TRIGGER set_users_last_active_on;
        ALTER TABLE claude_gpt_data.users SET (fillfactor = 70), ALTER COLUMN theme_preference SET DEFAULT 'dark';
        GRANT SELECT ON claude_gpt_data.claude_gpt_migrations TO reader;
        GRANT INSERT (action, resource_type) ON claude_gpt_data.audit_logs TO reader;
        CREATE VIEW public.pinned AS SELECT id, title FROM claude_gpt_data.conversations WHERE is_pinned;
        CREATE TABLE public.notes (id uuid DEFAULT claude_gpt.uuid_v7(), user_id uuid REFERENCES claude_gpt_data.users ON DELETE CASCADE, note text, updated_at timestamptz);
        CREATE TRIGGER touch BEFORE UPDATE ON public.notes FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column();
        INSERT INTO public.notes (user_id, note) VALUES ('$user', 'n')});
    $node->safe_psql($database, "ALTER TABLE claude_gpt_partitions.audit_logs_2018 OWNER TO $owner") if $owner;
    return { rows => rows_of($node, $database), catalog => catalog_of($node, $database), rights => rights_of($node, $database) };
}

my %original = (of_superuser => make_original('of_superuser', ''), of_keeper => make_original('of_keeper', 'keeper'));
for my $database (sort keys %original)
{
    is(join("\n", grep { / 0$/ } split /\n/, $original{$database}{rows}), '', "every table of $database has rows, and every partition");
    my @members = grep { /^member/ } split /\n/, $original{$database}{catalog};
    is(join("\n", grep { !/^member\|(function|procedure) claude_gpt(_internal)?\./ } @members), 'member|schema claude_gpt_internal|', 'only functions and their schema are members');
    cmp_ok(scalar @members, '>', 10, 'and all of them');
}

# Compares a restored database with its original, then puts it to work; what that writes is not compared any more.
sub is_the_same
{
    my ($on, $database, $original, $how, $gives_rights) = @_;
    is(differences($original{$original}{rows}, rows_of($on, $database)), '', "$how: every row is back");
    my $catalog = catalog_of($on, $database);
    # Schemas that were dumped alone come without what stood beside them.
    if ($how =~ /-n claude_gpt/) { s/^trigger\|notes\.touch\|.*\n//mg for $catalog, (my $all = $original{$original}{catalog}); is(differences($all, $catalog), '', "$how: so is the catalog") }
    else { is(differences($original{$original}{catalog}, $catalog), '', "$how: so is the catalog") }
    is(differences($original{$original}{rights}, rights_of($on, $database)), '', "$how: so are owners and grants") unless $gives_rights;
    # Recorded grants come again with migrate().
    $on->safe_psql($database, 'CALL claude_gpt.migrate()', extra_params => [ '-U', $gives_rights ]) if $gives_rights;
    my $works = qq{
        INSERT INTO claude_gpt_data.users (email, password_hash) VALUES ('new\@x', 'x');
        INSERT INTO claude_gpt_data.conversations (user_id, title) SELECT id, 'new' FROM claude_gpt_data.users WHERE email = 'new\@x';
        INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, total_tokens, cost) SELECT id, user_id, 'user', 'new', 7, 0.25 FROM claude_gpt_data.conversations WHERE title = 'new';
        DELETE FROM claude_gpt_data.messages WHERE content = 'message 2' AND user_id = '$user';
        SELECT claude_gpt.update_user_usage('$user', 1, 1, 0.1);
        SELECT (SELECT (message_count, total_tokens, total_cost)::text FROM claude_gpt_data.conversations WHERE title = 'new'),
            (SELECT bool_and(message_count = (SELECT count(*) FROM claude_gpt_data.messages m WHERE m.conversation_id = c.id AND status <> 'deleted')) FROM claude_gpt_data.conversations c),
            (SELECT monthly_message_count FROM claude_gpt_data.users WHERE id = '$user'), claude_gpt.effective_tier('$user'), claude_gpt.check_subscription_limit('$user'), claude_gpt.cleanup_expired_sessions(),
            (SELECT monthly_message_count FROM claude_gpt_data.user_statistics WHERE id = '$user'), (SELECT id::text LIKE '________-____-7%' FROM claude_gpt_data.users WHERE email = 'new\@x');
        SELECT c.replayed, c.used, r.replayed, r.held, s.charged_tokens, s.late FROM claude_gpt.consume_quota('$metered', p_idempotency_key => 'kept') AS c,
            claude_gpt.reserve_usage('$metered', 30, 1, p_ttl => '24 hours', p_idempotency_key => 'held') AS r, LATERAL claude_gpt.settle_usage('$metered', r.reservation_id, 5, 6, 0.25) AS s;
        SELECT used, held FROM claude_gpt.quota_status('$metered') WHERE action = 'message'};
    is($on->safe_psql($database, $works, extra_params => [ '-U', 'app' ]), "\n(1,7,0.250000000)|t|3|pro|t|1|3|t\nt|4|t|1|11|f\n5|0", "$how: and the application works with it");
    is($on->safe_psql($database, "SELECT * FROM claude_gpt.prove_books('$metered')"), '', "$how: whose books are proved");
    my ($rc, $out, $err) = $on->psql($database, "UPDATE claude_gpt_data.users SET subscription_tier = 'pro' WHERE id <> '$user'", extra_params => [ '-U', 'app' ]);
    like($err, qr/permission denied to write column/, "$how: within its rights");
    ($rc, $out, $err) = $on->psql($database, qq{UPDATE claude_gpt_data.system_configs SET config_value = '"Nowhere"' WHERE config_key = 'billing_timezone'});
    like($err, qr/invalid value for configuration/, "$how: and configuration is checked");
    return;
}

# Runs pg_restore; what it refused to bring back is not compared.
sub restores
{
    my ($original, @arguments) = @_;
    my ($out, $err) = ('', '');
    my $done = PostgreSQL::Test::Utils::run_log([ 'pg_restore', '-h', $node->host, '-p', $node->port, @arguments ], '>', \$out, '2>', \$err);
    return ok($done, "pg_restore of $original") || diag($err) && 0;
}

my $dir = PostgreSQL::Test::Utils::tempdir;
my @connection = ('-h', $node->host, '-p', $node->port);
my $count = 0;
for my $case ([ 'of_superuser', '' ], [ 'of_superuser', '--enable-row-security' ], [ 'of_keeper', '' ], [ 'of_keeper', '--enable-row-security' ])
{
    my ($original, $option) = @$case;
    my @options = grep { $_ } $option;
    my $name = 'restored' . ++$count;
    # Plain text through psql.
    $node->safe_psql('postgres', "CREATE DATABASE plain_$name");
    $node->command_ok([ 'pg_dump', @connection, @options, '-f', "$dir/$name.sql", $original ], "pg_dump $option $original");
    my ($out, $err) = ('', '');
    ok(PostgreSQL::Test::Utils::run_log([ 'psql', @connection, '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/$name.sql", "plain_$name" ], '>', \$out, '2>', \$err), 'psql takes it') or diag($err);
    like($err, qr/WARNING:  claude_gpt installed its functions only, because this session restores a dump/, 'the extension says that it leaves the tables to the dump');
    is_the_same($node, "plain_$name", $original, "pg_dump $option $original | psql");

    # Custom format, four jobs, no error forgiven.
    $node->safe_psql('postgres', "CREATE DATABASE custom_$name");
    $node->command_ok([ 'pg_dump', @connection, @options, '-Fc', '-f', "$dir/$name", $original ], "pg_dump -Fc $option $original");
    restores($original, @options, '-j4', '--exit-on-error', '-d', "custom_$name", "$dir/$name")
        and is_the_same($node, "custom_$name", $original, "pg_dump -Fc $option $original, pg_restore -j4");
}

# The schema alone, into a database where the extension was made with its code only.
for my $how ('pg_restore', 'psql')
{
    $node->safe_psql('postgres', "CREATE DATABASE schema_$how");
    $node->safe_psql("schema_$how", 'SET claude_gpt.install_tables = off; CREATE EXTENSION claude_gpt; CREATE FUNCTION public.shout() RETURNS trigger LANGUAGE plpgsql AS \'BEGIN RETURN NEW; END\'');
    $node->command_fails_like([ 'psql', @connection, '-X', '-v', 'ON_ERROR_STOP=1', '-c', "SELECT claude_gpt.effective_tier('$user')", "schema_$how" ], qr/the tables of claude_gpt are not installed/, 'without tables the functions say so');
    my ($out, $err) = ('', '');
    if ($how eq 'psql')
    {
        $node->command_ok([ 'pg_dump', @connection, '-n', 'claude_gpt_data', '-n', 'claude_gpt_partitions', '-f', "$dir/schema.sql", 'of_superuser' ], 'pg_dump -n claude_gpt_data -n claude_gpt_partitions');
        PostgreSQL::Test::Utils::run_log([ 'psql', @connection, '-X', '-q', '-f', "$dir/schema.sql", "schema_$how" ], '>', \$out, '2>', \$err);
        is(join("\n", grep { /ERROR/ && !/schema "claude_gpt_(data|partitions)" already exists/ } split /\n/, $err), '', 'psql reports but the schemas that are there already');
    }
    else
    {
        $node->command_ok([ 'pg_dump', @connection, '-n', 'claude_gpt_data', '-n', 'claude_gpt_partitions', '-Fc', '-f', "$dir/schema", 'of_superuser' ], 'pg_dump -Fc -n claude_gpt_data -n claude_gpt_partitions');
        restores('of_superuser', '-n', 'claude_gpt_data', '-n', 'claude_gpt_partitions', '--exit-on-error', '-d', "schema_$how", "$dir/schema") or next;
    }
    is_the_same($node, "schema_$how", 'of_superuser', "pg_dump -n claude_gpt_data -n claude_gpt_partitions, $how", $superuser);
}

# By an owner who is no superuser: schemas and extension were made for him beforehand, with the rights that a restore takes.
for my $original ('of_superuser', 'of_keeper')
{
    $node->safe_psql('postgres', "CREATE DATABASE by_owner_$original");
    $node->safe_psql("by_owner_$original", q{SET claude_gpt.install_tables = off; CREATE EXTENSION claude_gpt; SELECT claude_gpt.set_owner('keeper'); CREATE FUNCTION public.shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'});
    is($node->safe_psql("by_owner_$original", q{SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND has_function_privilege('keeper', p.oid, 'EXECUTE') ORDER BY p.oid::regprocedure::text}),
        $node->safe_psql($original, q{SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace)
            AND (p.oid IN (SELECT t.tgfoid FROM pg_trigger AS t) OR p.oid IN (SELECT d.refobjid FROM pg_depend AS d WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_proc'::regclass)) ORDER BY p.oid::regprocedure::text}),
        'until there are tables he may call what their triggers and defaults call, and nothing else');
    $node->command_ok([ 'pg_dump', @connection, '-Fc', '-f', "$dir/$original", $original ], "pg_dump $original");
    restores($original, '-U', 'keeper', '-n', 'claude_gpt_data', '-n', 'claude_gpt_partitions', '--no-owner', '--no-privileges', '--exit-on-error', '-j4', '-d', "by_owner_$original", "$dir/$original") or next;
    is($node->safe_psql("by_owner_$original", q{SELECT count(*) FROM pg_class c WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND relkind IN ('r', 'p', 'v') AND relowner <> 'keeper'::regrole}), '0', 'he owns every table');
    my ($rc, $out, $err) = $node->psql("by_owner_$original", "SELECT claude_gpt.effective_tier('$user')", extra_params => [ '-U', 'app' ]);
    like($err, qr/permission denied/, 'grants were left out');
    is_the_same($node, "by_owner_$original", $original, "a restore of $original by its owner, -n claude_gpt_data -n claude_gpt_partitions", $superuser);
}

# The page, to the letter.
{
    my ($by_hand) = slurp_file("$FindBin::RealBin/../../docs/backup.md") =~ /^## By hand(.*)/ms;
    my @blocks = $by_hand =~ /^```(sh|sql)\n(.*?)^```/msg;
    $node->safe_psql('postgres', "CREATE DATABASE $_") for qw(owned_app listed_app data_app);
    $node->safe_psql('postgres', 'CREATE ROLE app_owner LOGIN; GRANT CREATE ON DATABASE listed_app TO app_owner');
    # What of the user's stands elsewhere is for listed_app alone; partitions are those of a new database.
    $node->safe_psql('postgres', 'CREATE DATABASE app TEMPLATE of_keeper');
    $node->safe_psql('app', q{DROP TABLE claude_gpt_partitions.audit_logs_2018; DROP TRIGGER shout ON claude_gpt_data.conversations; ALTER TABLE claude_gpt_data.users DROP COLUMN nickname; SELECT claude_gpt.set_owner('app_owner')});
    $node->safe_psql('listed_app', 'GRANT CREATE ON SCHEMA public TO app_owner');
    $node->safe_psql('data_app', 'CREATE EXTENSION claude_gpt');
    my ($rows, $books) = (rows_of($node, 'app'), $node->safe_psql('app', 'SELECT * FROM claude_gpt.prove_books()'));
    my $but_grants = sub { my ($text) = @_; return $text =~ s/^claude_gpt_data.application_grants:.*//mr };
    local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port);
    while (my ($language, $block) = splice @blocks, 0, 2)
    {
        # What is put over it is what was dumped, and nothing of what came since.
        $node->safe_psql('app', q{INSERT INTO claude_gpt_data.users (email) VALUES ('later@x')}) if $block =~ /--create/;
        if ($language eq 'sh') { ok(run_log([ 'sh', '-ec', "cd '$dir'; $block" ]), $block) }
        elsif ($block =~ /install_tables/) { is($node->safe_psql($_, $block), '', "$_: $block") for qw(owned_app listed_app) }
        else { $node->safe_psql($block =~ /TRUNCATE/ ? 'data_app' : 'new_app', $block); pass($block) }
    }
    $node->safe_psql('listed_app', 'CALL claude_gpt.migrate()');
    for my $database (qw(app new_app plain_app owned_app listed_app data_app))
    {
        # Given again, they have another time.
        is(differences($but_grants->($rows), $but_grants->(rows_of($node, $database))), '', "$database has every row");
        is($node->safe_psql($database, 'SELECT * FROM claude_gpt.prove_books()'), $books, "and the books of $database are the same");
        is($node->safe_psql($database, "SET ROLE app; SELECT allowed FROM claude_gpt.consume_quota('$metered')"), 't', "$database: and an application works") unless $database eq 'data_app';
    }
    is($node->safe_psql('listed_app', 'SELECT count(*) FROM public.notes'), '1', 'by a list, what is not ours comes too');
    is($node->safe_psql($_, q{SELECT DISTINCT c.relowner::regrole FROM pg_class AS c WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace)}), 'app_owner', "$_ is of its owner") for qw(owned_app listed_app);
}

# --clean over a database that went on: what PostgreSQL refuses, and what is left, as the page says.
{
    $node->command_ok([ 'pg_dump', @connection, '-Fc', '-f', "$dir/cleaned", 'of_keeper' ], 'pg_dump of_keeper');
    $node->command_ok([ 'pg_dump', @connection, '--clean', '--if-exists', '-f', "$dir/cleaned.sql", 'of_keeper' ], 'pg_dump --clean of_keeper');
    my $refused = qr/ERROR:  cannot drop inherited constraint "\w+" of relation "\w+"/;
    my $later = q{INSERT INTO claude_gpt_data.users (email) VALUES ('later@x')};
    my $over = sub {
        my ($before, @command) = @_;
        $node->safe_psql('postgres', 'DROP DATABASE IF EXISTS cleaned');
        $node->safe_psql('postgres', 'CREATE DATABASE cleaned TEMPLATE of_keeper');
        $node->safe_psql('cleaned', "$later; $before");
        my ($out, $err) = ('', '');
        PostgreSQL::Test::Utils::run_log([ @command ], '>', \$out, '2>', \$err);
        return grep { /ERROR/ } split /\n/, $err;
    };
    for my $case ([ 'pg_restore', @connection, '--clean', '-d', 'cleaned', "$dir/cleaned" ], [ 'psql', @connection, '-Xq', '-f', "$dir/cleaned.sql", 'cleaned' ])
    {
        my @errors = $over->('', @$case);
        cmp_ok(scalar(@errors), '>', 2, "$case->[0] over it: PostgreSQL refuses some commands");
        is(join("\n", grep { !/$refused/ } @errors), '', 'of keys of partitions alone');
        is_the_same($node, 'cleaned', 'of_keeper', "$case->[0] with --clean");
    }
    my @errors = $over->('', 'pg_restore', @connection, '--clean', '--single-transaction', '-d', 'cleaned', "$dir/cleaned");
    like(join("\n", @errors), qr/^[^\n]*$refused[^\n]*$/, 'in one transaction it ends at the first');
    is($node->safe_psql('cleaned', q{SELECT count(*) FROM claude_gpt_data.users WHERE email = 'later@x'}), '1', 'and has changed nothing');
    @errors = $over->('CREATE VIEW public.mails AS SELECT email FROM claude_gpt_data.users', 'pg_restore', @connection, '--clean', '-d', 'cleaned', "$dir/cleaned");
    like(join("\n", @errors), qr/cannot drop table claude_gpt_data\.users because other objects depend on it/, 'what came after the dump keeps a table');
    is($node->safe_psql('cleaned', q{SELECT count(*) FROM claude_gpt_data.users WHERE email = 'later@x'}), '1', 'with its rows');
    $node->safe_psql('postgres', 'DROP DATABASE cleaned');
}

# Into a new server as a whole, the way that keeps the files.
my $upgraded = PostgreSQL::Test::Cluster->new('upgraded');
$upgraded->init;
$upgraded->append_conf('postgresql.conf', 'fsync = off');
$node->safe_psql('postgres', "DROP DATABASE $_") for split /\n/, $node->safe_psql('postgres', q{SELECT datname FROM pg_database WHERE datname ~ 'restored|schema_|by_owner|app'});
$node->stop;
chomp(my $bindir = `pg_config --bindir`);
$bindir = $ENV{PG_CONFIG} ? `$ENV{PG_CONFIG} --bindir` =~ s/\n//r : $bindir;
chdir $dir or die "$dir: $!";
command_ok([ 'pg_upgrade', '-d', $node->data_dir, '-D', $upgraded->data_dir, '-b', $bindir, '-B', $bindir, '-s', $node->host, '-p', $node->port, '-P', $upgraded->port ], 'pg_upgrade');
$upgraded->start;
is_the_same($upgraded, $_, $_, "pg_upgrade $_") for sort keys %original;
$upgraded->stop;
done_testing();
