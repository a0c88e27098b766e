# Each block of SQL in the guides and the reference runs as it stands there, page by page, from top to bottom, in a database
# like the one that the page is about. Those of other tests are left to them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
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
my $there = qq{ALTER DATABASE app SET search_path = "\$user", claude_gpt_data, claude_gpt, public;
    CREATE EXTENSION claude_gpt;
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": 1000, "models": ["gpt-3.5-turbo", "gpt-4"]}, "base": {"messagesPerMonth": 1000}, "pro": {"messagesPerMonth": -1}}' WHERE config_key = 'subscription_plans';
    UPDATE claude_gpt_data.system_configs SET config_value = '{"gpt-3.5-turbo": {"prompt": 0.5, "completion": 1.5}, "gpt-4": {"prompt": 30, "completion": 60}}' WHERE config_key = 'model_prices';
    INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'ana\@x', 'x');
    INSERT INTO claude_gpt_data.conversations (id, user_id, title) VALUES ('$user', '$user', 'A trip')};
# A database as README.md makes it, and the demo, and nothing more.
my $made = "CREATE EXTENSION claude_gpt; CREATE ROLE app LOGIN; SELECT claude_gpt.grant_application_access('app')";
my %before = (
    'README.md' => $made,
    # By its commands for tests.
    'docs/clients.md' => "$made; GRANT SET ON PARAMETER claude_gpt.fixed_time TO app",
    'docs/operations.md' => 'ALTER DATABASE app SET search_path = "$user", claude_gpt_data, claude_gpt, public',
    'docs/backup.md' => "$there; CREATE ROLE app; SELECT claude_gpt.grant_application_access('app')",
    'docs/reference/sessions.md' => "$there; CREATE ROLE app",
);
# These speak to an application's role, but for the blocks that make the database and set its prices.
my %for_application = map { $_ => 1 } qw(README.md docs/clients.md);
my $for_superuser = qr/^(?:CREATE EXTENSION|UPDATE claude_gpt_data\.system_configs)/;
# Another test runs these in the places that they are for.
my %elsewhere = (
    'docs/from-the-source.md' => 'adopt_schema.sql of pg_regress',
    'docs/pooling.md' => 'every_function_works_through_a_pool.pl',
    'docs/replication.md' => 'standby_takes_over.pl and subscriber_follows_by_logical_replication.pl',
);
# Blocks that other tests run: with pg_cron, and where a dump of data alone is restored.
my $elsewhere = qr/pg_cron|cron\.|install_tables|TRUNCATE claude_gpt\.claude_gpt_migrations/;

for my $page ('README.md', map { s{^\Q$root\E/}{}r } sort glob("$root/docs/*.md"), sort glob("$root/docs/reference/*.md"))
{
    next if $elsewhere{$page};
    my @blocks = slurp_file("$root/$page") =~ /^ *```sql\n(.*?)^ *```/msg or next;
    # Its queries are for the demo's database, and for one that is made as it says.
    push @blocks, @blocks[0, 1] if $page eq 'README.md';
    my (%sessions, $n);
    make_database($before{$page} // $there);
    for my $block (@blocks)
    {
        my $role = $for_application{$page} && $block !~ $for_superuser ? 'app' : '';
        if ($page eq 'README.md' && $block =~ /^CREATE EXTENSION/)
        {
            $_->close for values %sessions;
            %sessions = ();
            drop_database();
            make_database('');
        }
        $sessions{$role} //= open_session($role);
        $n++;
        next if $block =~ $elsewhere;
        my $said = $sessions{$role}->ask($block);
        is(join("\n", $said =~ /^((?:ERROR|FATAL|psql:|invalid).*)$/mg), '', "$page, block $n: " . ($block =~ /^\s*(.{0,60})/)[0]);
    }
    $_->close for values %sessions;
    drop_database();
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
    if (!$role) { $session->ask("\\set $_ $user") for qw(user conversation) }
    return $session;
}

sub drop_database
{
    $node->safe_psql('postgres', 'DROP DATABASE app WITH (FORCE)');
    $node->safe_psql('postgres', "DROP OWNED BY $_; DROP ROLE $_") for split /\n/, $node->safe_psql('postgres', q{SELECT quote_ident(rolname) FROM pg_roles WHERE rolname NOT LIKE 'pg\_%' AND rolname <> current_user});
    return;
}
