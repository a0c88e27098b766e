# Each block of SQL in the guides and the reference runs as it stands there, page by page, from top to bottom, in a database
# like the one that the page is about, as whom its first line names. Those of other tests are left to them. A superuser's
# blocks run once more where every table, view and name that the owner of the tables may make is a trap: none catches him.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use HostileOwner;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt, pg_stat_statements'\nclaude_gpt.jobs = off\nmax_prepared_transactions = 5");
$node->start;

# What there is before a page begins: the extension, a user, a conversation; or what the page itself says.
my $user = '00000000-0000-4000-8000-000000000001';
my $there = qq{CREATE EXTENSION claude_gpt;
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": 1000, "models": ["gpt-3.5-turbo", "gpt-4"]}, "base": {"messagesPerMonth": 1000}, "pro": {"messagesPerMonth": -1}}' WHERE config_key = 'subscription_plans';
    UPDATE claude_gpt_data.system_configs SET config_value = '{"gpt-3.5-turbo": {"prompt": 0.5, "completion": 1.5}, "gpt-4": {"prompt": 30, "completion": 60}}' WHERE config_key = 'model_prices';
    INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'ana\@x', 'x');
    INSERT INTO claude_gpt_data.conversations (id, user_id, title) VALUES ('$user', '$user', 'A trip');
    INSERT INTO claude_gpt_data.usage_records (user_id, usage_type, quantity, billing_period, created_at) VALUES ('$user', 'api_call', 0, '2020-01-01', '2020-01-01Z')};
# A database as README.md makes it, and the demo, and nothing more.
my $made = "CREATE EXTENSION claude_gpt; CREATE ROLE app LOGIN; SELECT claude_gpt.grant_application_access('app')";
my %before = (
    'README.md' => $made,
    # By its commands for tests.
    'docs/clients.md' => "$made; GRANT SET ON PARAMETER claude_gpt.fixed_time TO app",
    'docs/operations.md' => '',
    'docs/backup.md' => "$there; CREATE ROLE app; SELECT claude_gpt.grant_application_access('app')",
    'docs/reference/sessions.md' => "$there; CREATE ROLE app",
);
# Another test runs these in the places that they are for.
my %elsewhere = (
    'docs/from-the-source.md' => 'adopt_schema.sql of pg_regress',
    'docs/pooling.md' => 'every_function_works_through_a_pool.pl',
    'docs/replication.md' => 'standby_takes_over.pl and subscriber_follows_by_logical_replication.pl',
);
# Blocks that other tests run: with pg_cron, and where a dump of data alone is restored.
my $elsewhere = qr/pg_cron|cron\.|install_tables|TRUNCATE claude_gpt_data\.claude_gpt_migrations/;
my (@for_superuser, $is_reference);

for my $page ('README.md', map { s{^\Q$root\E/}{}r } sort glob("$root/docs/*.md"), sort glob("$root/docs/reference/*.md"))
{
    my @blocks = slurp_file("$root/$page") =~ /^ *```sql\n(.*?)^ *```/msg or next;
    # To publish a table runs nothing of it.
    is(join("\n", grep { who_runs($page, $_) eq 'superuser' && /claude_gpt_(?:data|partitions)\./ && !/CREATE PUBLICATION/ } @blocks), '', "$page: no block for a superuser names a table or a view");
    is(join("\n", grep { who_runs($page, $_) eq '' } @blocks), '', "$page: every block says as whom it is run");
    next if $elsewhere{$page};
    # Its queries are for the demo's database, and for one that is made as it says.
    push @blocks, @blocks[0, 1] if $page eq 'README.md';
    my (%sessions, $n);
    $is_reference = $page =~ m{^docs/reference/};
    make_database($before{$page} // $there);
    for my $block (@blocks)
    {
        my $as = who_runs($page, $block);
        # On a page with tables of another owner than the superuser he is another session.
        my $role = $as eq 'superuser' ? '' : $as eq 'owner' ? owner_of_tables() : $as;
        push @for_superuser, [ $page, $block ] if $as eq 'superuser' && $block !~ $elsewhere;
        if ($page eq 'README.md' && $block =~ /^CREATE EXTENSION/m)
        {
            $_->close for values %sessions;
            %sessions = ();
            drop_database();
            make_database('');
        }
        $sessions{$role} //= open_session($role);
        $n++;
        next if $block =~ $elsewhere;
        # A user of the application, which the page on operations is not about.
        $node->safe_psql('app', "INSERT INTO claude_gpt_data.users (id, email) VALUES ('$user', 'ana\@x') ON CONFLICT DO NOTHING; SELECT claude_gpt.update_user_usage('$user', 1, 1, 0)") if $page eq 'docs/operations.md' && $block =~ /^-- (?:the books are false|a job fails)/m;
        my $said = $sessions{$role}->ask($block);
        is(join("\n", $said =~ /^((?:ERROR|FATAL|psql:|invalid).*)$/mg), '', "$page, block $n: " . ($block =~ /^\s*(.{0,60})/)[0]);
        is(join("\n", $said =~ /^((?:UPDATE|DELETE|INSERT 0) 0)$/mg), '', 'which writes what it is to write');
    }
    $_->close for values %sessions;
    drop_database();
}

# Each in a database of its own, whose owner has put code of his wherever he may.
$node->safe_psql('postgres', 'CREATE ROLE mallory LOGIN; CREATE DATABASE armed');
$node->safe_psql('armed', "$there; SELECT claude_gpt.set_owner('mallory')");
my $armed = HostileOwner->new($node, 'armed');
$armed->arm('immediate', $armed->tables);
$armed->replace_views;
$armed->set_traps;
$armed->close;
for my $case (@for_superuser, [ 'a statement that is none of ours', 'SELECT count(*) FROM claude_gpt_data.job_status' ])
{
    my ($page, $block) = @$case;
    $node->safe_psql('postgres', 'CREATE DATABASE app TEMPLATE armed');
    my $owner = bless { node => $node, database => 'app' }, 'HostileOwner';
    $owner->gained;
    my $session = open_session('');
    $session->ask("SET client_min_messages = error;\n$block");
    # Of the tables it works with the rights of the owner, as with every call; but never with another's.
    is($owner->gained =~ s/did what only others may, //r, $page =~ /none of ours/ ? 'made a superuser, ran as superuser, ran as another role' : '', "$page, run by a superuser, falls into no trap: " . ($block =~ /^(?:--.*\n)?\s*(.{0,60})/)[0]);
    $session->close;
    $owner->close;
    $node->safe_psql('postgres', 'DROP DATABASE app WITH (FORCE)');
    $node->safe_psql('postgres', "DROP OWNED BY $_; DROP ROLE $_") for split /\n/, $node->safe_psql('postgres', q{SELECT quote_ident(rolname) FROM pg_roles WHERE rolname NOT LIKE 'pg\_%' AND rolname NOT IN (current_user, 'mallory')});
}

# Commands for a shell: other tests run those of backups, pools, clients, Prometheus and packages; here all of them parse, and
# name files that there are. Links lead somewhere too.
for my $page ('README.md', 'CONTRIBUTING.md', 'examples/node/README.md', 'bench/README.md', map { s{^\Q$root\E/}{}r } sort glob("$root/docs/*.md"), sort glob("$root/docs/reference/*.md"))
{
    my $text = slurp_file("$root/$page");
    my $n = 0;
    for my $block ($text =~ /^ *```sh\n(.*?)^ *```/msg)
    {
        $n++;
        my $said = '';
        ok(IPC::Run::run([ 'bash', '-n' ], '<', \$block, '>', \$said, '2>', \$said), "$page, commands $n: " . ($block =~ /^\s*(.{0,50})/)[0]) or diag($said);
        my @absent = grep { !-e "$root/$_" } grep { !m{docker/app_password$} }  # which that command makes
             $block =~ m{(?<![\w./-])((?:tools|packaging|test|examples|bench|\.ci)/[\w./-]*\w)}g;
        is("@absent", '', 'names files that there are');
    }
    (my $folder = "$root/$page") =~ s{[^/]*$}{};
    my %targets = map { $_ => 1 } grep { !m{^(?:\w+:|#)} } $text =~ /\]\(([^)\s]+)\)/g;
    my @broken = grep { my ($file, $part) = split /#/; !-e "$folder$file" || (defined $part && !has_heading("$folder$file", $part)) } sort keys %targets;
    is("@broken", '', "$page: every link leads somewhere");
}
done_testing();

sub has_heading
{
    my ($file, $part) = @_;
    return 1 if -d $file;
    return grep { $_ eq $part } map { lc(s/[`*]//gr =~ s/[^\w\s-]//gr) =~ s/ /-/gr } slurp_file($file) =~ /^#+ +(.*?) *$/mg;
}

# 'superuser', 'owner' (of the tables), the name of a role, or ''. The reference is for the owner unless it says otherwise.
sub who_runs
{
    my ($page, $block) = @_;
    return 'superuser' if $block =~ /^ *-- as a superuser\b/;
    return 'owner' if $block =~ /^ *-- as the owner of the tables\b/;
    return $1 if $block =~ /\A *-- as (\w+)(?:,[^\n]*)?\n/;
    return $page =~ m{^docs/reference/} ? 'owner' : '';
}

sub owner_of_tables
{
    my $owner = $node->safe_psql('app', q{SELECT r.rolname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_roles AS r ON r.oid = c.relowner WHERE c.oid = pg_catalog.to_regclass('claude_gpt_data.users') AND NOT r.rolsuper});
    $node->safe_psql('postgres', "ALTER ROLE $owner LOGIN") if $owner ne '';
    return $owner;
}

sub make_database
{
    my ($statements) = @_;
    $node->safe_psql('postgres', 'CREATE DATABASE app');
    $node->safe_psql('app', $statements);
    return;
}

sub open_session
{
    my ($role) = @_;
    my $session = PsqlSession->new($node, 'app', $role ? ('-U', $role) : ());
    $session->ask('\set QUIET off');  # what a statement has written is said
    $session->ask("\\set $_ $user") for $role eq 'app' ? () : qw(user conversation);
    # The reference names functions and tables as an application does.
    $session->ask('SET search_path = claude_gpt_data, claude_gpt, public') if $is_reference;
    return $session;
}

sub drop_database
{
    $node->safe_psql('postgres', 'DROP DATABASE app WITH (FORCE)');
    $node->safe_psql('postgres', "DROP OWNED BY $_; DROP ROLE $_") for split /\n/, $node->safe_psql('postgres', q{SELECT quote_ident(rolname) FROM pg_roles WHERE rolname NOT LIKE 'pg\_%' AND rolname <> current_user});
    return;
}
