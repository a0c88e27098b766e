# A role that owns the tables puts code of his wherever PostgreSQL lets him. Then every routine of the extension is called,
# with arguments that work, by a superuser and by each level: his code runs with his own rights or not at all, and leaves
# nothing in the session of the caller.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Calls;
use HostileOwner;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $calls = "$FindBin::RealBin/../calls";
chomp(my $sharedir = `@{[ $ENV{PG_CONFIG} // 'pg_config' ]} --sharedir`);
my $has_cron = -f "$sharedir/extension/pg_cron.control";
my @levels = qw(read application billing operator monitor);

my $node = PostgreSQL::Test::Cluster->new('rights');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nclaude_gpt.jobs = off\nshared_preload_libraries = 'claude_gpt" . ($has_cron ? ", pg_cron'\ncron.database_name = 'immediate'" : "'"));
$node->start;
$node->safe_psql('postgres', join '; ', map { "CREATE ROLE $_ LOGIN" } 'mallory', 'heir', 'hired', 'app', 'stranger', map { "level_$_" } @levels);
# The databases of the attacks are copies of this one, in which a superuser owns the tables.
$node->safe_psql('postgres', 'CREATE DATABASE furnished');
$node->safe_psql('furnished', 'CREATE EXTENSION claude_gpt; ' . join '; ', "SELECT claude_gpt.grant_application_access('app')", map { "SELECT claude_gpt.grant_application_access('level_$_', '$_')" } @levels);
furnish('furnished', 'fixture.psql', 'work.psql');

sub furnish
{
    my ($database, @files) = @_;
    my @options = $database eq 'furnished' || $database eq 'plain' ? () : ('-U', 'mallory');
    my ($status, $out, $err) = $node->psql($database, join("\n", 'SET client_min_messages = error; SET search_path = pg_catalog;', map { "\\i $calls/$_" } 'names.psql', @files), on_error_stop => 1, extra_params => \@options);
    is("$status $err", '0 ', "what the calls need is in database $database") if $status || $err;
    return;
}

my @calls = grep { $has_cron || !$_->{pg_cron} } calls();
is(join(' ', do { my %seen = map { $_->{routine} => 1 } calls(); grep { !$seen{$_} } split /\n/, $node->safe_psql('furnished', q{
    SELECT DISTINCT proname FROM pg_proc WHERE pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) ORDER BY 1}) }), '', 'there is a call for every routine in test/calls');
# Who may call it, in the words of the file.
for my $level (@levels)
{
    my %named = map { $_->{levels}{$level} ? ($_->{routine} => 1) : () } grep { !$_->{fires} } @calls;
    is(join(' ', sort keys %named), join(' ', split /\n/, $node->safe_psql('furnished', qq{SELECT DISTINCT proname FROM pg_proc
        WHERE pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND prorettype <> 'trigger'::regtype AND has_function_privilege('level_$level', oid, 'EXECUTE') ORDER BY 1})), "level $level may call what test/calls says");
}

# A session in which the calls can be made; \c - makes it new.
sub open_session
{
    my ($database, @options) = @_;
    my $session = PsqlSession->new($node, $database, @options);
    $session->ask("\\set VERBOSITY verbose\n\\i $calls/names.psql\nSET client_min_messages = error");
    return $session;
}

# What a call said, without noise: '' if it worked, or the SQLSTATE and the message.
sub outcome
{
    my ($said) = @_;
    return "$1 $2" if $said =~ /^(?:psql:.*)?(?:ERROR|FATAL):  (\w{5}): (.*)$/m;
    (my $answers = $said) =~ s/^(DETAIL|HINT|CONTEXT|LOCATION|NOTICE|WARNING|STATEMENT):.*\n?//mg;
    my @wrong = grep { !/^(t?|\{.*\})$/ } split /\n/, $answers;
    return join ' ', @wrong;
}

my $state = q{SELECT current_setting('search_path'), current_setting('session_replication_role'), (SELECT count(*) FROM pg_cursors), (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_listening_channels()),
    (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()), current_user, session_user};

sub make_call
{
    my ($session, $call, $check) = @_;
    return outcome($session->ask($call->{statement})) if $call->{commits};
    my $outcome = outcome($session->ask("BEGIN; " . ($call->{empty} && $check eq 'alone' ? 'TRUNCATE claude_gpt_data.users, claude_gpt_data.audit_logs CASCADE; ' : '') . $call->{statement}));
    # What waits for the end of the transaction comes now.
    $outcome ||= outcome($session->ask('SET CONSTRAINTS ALL IMMEDIATE'));
    return $outcome;
}

# Every call works: otherwise it would attack nothing.
{
    $node->safe_psql('postgres', 'CREATE DATABASE plain TEMPLATE furnished');
    my $session = open_session('plain');
    my @bad;
    for my $call (sort { ($a->{commits} // 0) <=> ($b->{commits} // 0) } grep { !$_->{pg_cron} } @calls)
    {
        furnish('plain', 'work.psql') if $call->{commits};
        my $outcome = make_call($session, $call, 'alone');
        push @bad, "$call->{statement} => $outcome" if $outcome ne '';
        $session->ask('ROLLBACK') unless $call->{commits};
    }
    is(join("\n", @bad), '', 'every call works where a superuser owns the tables');
    $session->close;
}

# database => what is armed, and what a call may end with there beside what is in its line.
my %refused_in = (
    immediate => qr/^$/,
    # Before 18 a deferred trigger runs at commit, as whoever commits.
    deferred => qr/^42501 cannot fire deferred trigger within security-restricted operation$/,
    rules => qr/^(0A000|42P10|55000) /);

sub attack
{
    my ($database, $owner) = @_;
    my (@gained, @left, @bad, @idle, $refused);
    for my $caller ('superuser', @levels)
    {
        my $session = open_session($database, $caller eq 'superuser' ? () : ('-U', "level_$caller"));
        my $before = $session->ask($state);
        furnish($database, 'work.psql') if $database ne 'rules';
        for my $call (sort { ($a->{commits} // 0) <=> ($b->{commits} // 0) } grep { !$_->{fires} && (!$_->{pg_cron} || $database eq 'immediate') } @calls)
        {
            my $may = $caller eq 'superuser' || $call->{levels}{$caller};
            # The other levels have no call that these two have not.
            next if $database ne 'immediate' && (!$may || $caller !~ /^(superuser|application)$/);
            furnish($database, 'work.psql') if $call->{commits} && $may && $database ne 'rules';
            # Plans are made with the rights of whoever is first, so each call is the first of its session.
            $session->ask("\\c -\nSET client_min_messages = error");
            $owner->gained;
            my $outcome = make_call($session, $call, $database);
            my $after = $outcome =~ /^\w{5} / ? $before : $session->ask($state);
            $session->ask('ROLLBACK') unless $call->{commits};
            $after = $session->ask($state) if $after eq $before;
            my $gained = $owner->gained;
            my $name = "$caller: $call->{statement}";
            push @gained, "$name => $gained" if $gained ne '';
            push @left, "$name => $after" if $after ne $before;
            my $expected = !$may || ($caller eq 'superuser' ? $call->{superuser} eq '42501' : $call->{policies} && $database eq 'immediate') ? '42501' : '';
            if ($expected eq '' && $call->{'as heir'}) { push @bad, "$name => $outcome" if $outcome !~ /^55000 tables of claude_gpt stand on what belongs to somebody else/ }
            elsif ($expected eq '' && $outcome ne '' && $outcome =~ $refused_in{$database}) { $refused++ }
            elsif ($expected eq '' ? $outcome ne '' : $outcome !~ /^42501 (?!cannot fire)/) { push @bad, "$name => $outcome" }
            push @idle, "$name => " . ($owner->ran ? 'ran' : 'did not run') if $caller eq 'superuser' && $database eq 'immediate' && $call->{superuser} ne '42501' && $owner->ran != ($call->{superuser} eq 'owner');
        }
        $session->close;
    }
    is(join("\n", @gained), '', "$database: hostile code gains nothing");
    is(join("\n", @left), '', "$database: nor leaves anything in the session");
    is(join("\n", @bad), '', "$database: every call works, or is refused as its line says");
    return ($refused, join "\n", @idle);
}

sub make_database
{
    my ($database) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE furnished");
    $node->safe_psql($database, q{SELECT claude_gpt.set_owner('mallory'); ALTER TABLE public.watched OWNER TO mallory});
    return HostileOwner->new($node, $database);
}

# Each kind strikes when a superuser works with the tables himself: otherwise it attacks nothing.
sub proves_weapons
{
    my ($owner, %plain) = @_;
    $owner->struck;
    for my $kind (sort keys %plain)
    {
        my $session = PsqlSession->new($node, $owner->{database}, $kind eq 'policy' ? ('-U', 'app') : ());
        $session->ask("BEGIN; $plain{$kind}; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK");
        my $gained = $owner->gained;
        ok($owner->struck->{$kind} && $gained =~ ($kind eq 'policy' ? qr/another role/ : qr/superuser/), "$kind: strikes whoever runs a plain statement") or diag($gained);
        $session->close;
    }
    return;
}

my $insert = "INSERT INTO claude_gpt_data.users (email, password_hash, full_name) VALUES ('new\@x', 'x', 'y')";
my $owner = make_database('immediate');
$node->safe_psql('immediate', 'CREATE EXTENSION pg_cron') if $has_cron;
my @tables = $owner->tables;
is(join(' ', sort keys %HostileOwner::column), join(' ', @tables), 'every table is armed');
for my $schema ('claude_gpt', 'claude_gpt_internal')
{
    for my $what ('FUNCTION %s.grant_application_access(text) RETURNS void LANGUAGE sql AS $$$$', 'OPERATOR %s.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = uuid_eq)', 'TYPE %s.t AS (x integer)', 'TABLE %s.users (id uuid)', 'VIEW %s.users AS SELECT 1',
        'OR REPLACE FUNCTION %s.uuid_v7() RETURNS uuid LANGUAGE sql AS $$SELECT NULL::uuid$$')
    {
        my $refused = join ' ', map { ($node->psql('immediate', 'CREATE ' . sprintf($what, $schema), extra_params => [ '-U', $_ ]))[2] =~ /permission denied for schema|must be owner/ ? () : $_ } 'mallory', 'stranger', map { "level_$_" } @levels;
        is($refused, '', "nobody creates in $schema: " . ($what =~ /^((?:OR REPLACE )?\w+)/)[0]);
    }
}
$owner->arm('immediate', @tables);
$owner->replace_views;
$owner->set_traps;
$owner->run('ANALYZE claude_gpt_data.users');
proves_weapons($owner, (map { $_ => $insert } qw(row_trigger statement_trigger constraint_trigger default generated check domain index_expression)), policy => 'SELECT * FROM claude_gpt_data.users',
    (map { $_ => 'SELECT id FROM claude_gpt_data.users' } qw(index_predicate statistics)), view => 'SELECT * FROM claude_gpt_data.user_statistics', cast => 'SELECT 1 + thing FROM evil.mine',
    function => "SET LOCAL search_path = claude_gpt_data; SELECT lower('x'::varchar)", operator => q{SET LOCAL search_path = public, pg_catalog; SELECT 'x'::varchar = 'y'});
# Granting again is an attack by itself: the views are new.
is(outcome($node->safe_psql('immediate', 'CALL claude_gpt.migrate(); ' . join '; ', map { "SELECT claude_gpt.grant_application_access('level_$_', '$_')" } @levels)), '', 'recorded grants are given again');
is($owner->gained, '', 'which gains nothing');
$owner->run("ALTER TABLE evil.mine ENABLE ROW LEVEL SECURITY; CREATE TRIGGER rules BEFORE INSERT ON evil.mine FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('thing not negative')");
my (undef, $idle) = attack('immediate', $owner);
is($idle, '', 'hostile code ran with the rights of its owner where test/calls says so, and nowhere else');

for my $kind ('deferred', 'rules')
{
    $owner->close;
    $owner = make_database($kind);
    $owner->arm($kind, @tables);
    proves_weapons($owner, $kind eq 'rules' ? (rule => $insert) : (deferred_trigger => $insert));
    my ($refused) = attack($kind, $owner);
    cmp_ok($refused // 0, '>', 20, "$kind: calls are refused for it: $refused");
}
$owner->close;
$node->stop;
done_testing();
