# What health() says of a fault is true of the server and of the workers, whatever the asking session has; and who does what its
# hint says, word for word, has mended it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('helped');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
my $user = '00000000-0000-4000-8000-000000000001';
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE DATABASE app');
$node->safe_psql('app', qq{
    CREATE EXTENSION claude_gpt;
    SELECT claude_gpt.set_owner('owner')});
$node->safe_psql('app', "INSERT INTO claude_gpt_data.users (id, email) VALUES ('$user', 'a\@x')", extra_params => [ '-U', 'owner' ]);
sub check { my ($name) = @_; return $node->safe_psql('app', "SELECT concat_ws(': ', status, detail) FROM claude_gpt.health() WHERE check_name = '$name'") }
sub hint { my ($name) = @_; return $node->safe_psql('app', "SELECT hint FROM claude_gpt.health() WHERE check_name = '$name'") }
sub becomes { my ($name, $pattern, $what) = @_; my $seen = ''; ok($node->poll_query_until('app', "SELECT concat_ws(': ', status, detail) ~ \$x\$$pattern\$x\$ FROM claude_gpt.health() WHERE check_name = '$name'"), $what) or diag(check($name)); return }

# ---- Rows that wait in the default partitions: of the past, of the far future, of periods that follow each other and that do not.
my %moments = (
    usage_records => [ qw(2019-05-01Z 2019-08-01Z 2026-05-01Z 2500-01-01Z 9998-12-31Z) ],
    audit_logs => [ qw(2019-05-01Z 2019-05-08Z 2500-01-01Z 9998-12-31Z) ]);
my %insert = (
    usage_records => "INSERT INTO claude_gpt_data.usage_records (user_id, usage_type, quantity, billing_period, created_at) SELECT '$user', 'api_call', 1, '2026-01-01', m FROM unnest('{%s}'::timestamptz[]) AS m",
    audit_logs => "INSERT INTO claude_gpt_data.audit_logs (user_id, action, resource_type, created_at) SELECT '$user', 'x', 'x', m FROM unnest('{%s}'::timestamptz[]) AS m");
sub as_owner { my ($sql) = @_; return $node->safe_psql('app', $sql, extra_params => [ '-U', 'owner' ]) }
sub fill { my ($table, @at) = @_; as_owner(sprintf $insert{$table}, join ',', @at); as_owner("ANALYZE claude_gpt_data.$table"); return }
sub calls_of_hint { my ($hint) = @_; return $hint =~ /(CALL claude_gpt\.\w+\([^)]*\))/g }
like(check('default_partitions'), qr/^ok/, 'no row waits');
for my $table (sort keys %moments)
{
    fill($table, @{ $moments{$table} });
    like(check('default_partitions'), qr/^warning: ${table}_default holds about/, "rows of $table wait");
    my $hint = hint('default_partitions');
    like($hint, qr/^As the owner of the tables, CALL claude_gpt\.create_partitions\('$table', '/, 'the hint says who gives them partitions, and how');
    unlike($hint, qr/partition_upkeep/, 'and names no job that looks at other periods');
    my @calls = calls_of_hint($hint);
    is(scalar(@calls), $table eq 'audit_logs' ? 3 : 4, 'a call for each range of periods');
    as_owner($_) for @calls;
    like(check('default_partitions'), qr/^ok/, 'as it says, they have partitions');
    is(as_owner("SELECT count(*) FROM ONLY claude_gpt_partitions.${table}_default"), '0', 'the default holds none');
    is(as_owner("SELECT count(*) FROM claude_gpt_data.$table WHERE created_at IN ('" . join("', '", @{ $moments{$table} }) . "')"), scalar(@{ $moments{$table} }), 'and no row is lost');
}
# That of the year 9998 is none for tomorrow.
as_owner(q{CALL claude_gpt.run_job('partition_upkeep')});
for my $later (split /\n/, $node->safe_psql('app', q{SELECT partition_name FROM claude_gpt.list_partitions('audit_logs') WHERE to_at > now() + interval '1 day' AND from_at < '2400-01-01Z'}))
{
    as_owner("ALTER TABLE claude_gpt_data.audit_logs DETACH PARTITION claude_gpt_partitions.$later");
    as_owner("DROP TABLE claude_gpt_partitions.$later");
}
like(check('next_partitions'), qr/^warning: no partition for tomorrow: audit_logs/, 'a partition of the far future is none for tomorrow');
fill('audit_logs', $node->safe_psql('app', q{SELECT to_char(now() + interval '2 days', 'YYYY-MM-DD')}) . 'Z');
is(hint('default_partitions'), q{CALL claude_gpt.run_job('partition_upkeep') gives them partitions of their own.}, 'rows of the weeks to come are the job\'s');
as_owner(q{CALL claude_gpt.run_job('partition_upkeep')});
like(check($_), qr/^ok/, "which mends $_") for qw(default_partitions next_partitions);
as_owner("ALTER TABLE claude_gpt_data.usage_records DISABLE TRIGGER USER");
fill('usage_records', 'infinity', '-infinity', '20000-01-01Z');
as_owner("ALTER TABLE claude_gpt_data.usage_records ENABLE TRIGGER USER");
is(hint('default_partitions'), 'Rows of usage_records whose created_at is infinite or outside of the years 1 to 9998 have no partition: correct or delete them.', 'rows that no partition is made for are named as such');

# ---- The setting that counts is that which a worker has, not that of the session which asks.
becomes('workers', '^ok', 'workers visit the database');
my $before = PsqlSession->new($node, 'app');
my $asked = q{SELECT concat_ws(': ', status, detail) FROM claude_gpt.health() WHERE check_name = 'workers'};
like($before->ask($asked), qr/^ok/, 'says a session');
$node->safe_psql('app', 'ALTER DATABASE app SET claude_gpt.jobs = off');
is($before->ask($asked), 'warning: claude_gpt.jobs is off for this database: no worker runs jobs here', 'a session that was there before sees that the database has them off');
$node->safe_psql('app', hint('workers') =~ s/;.*//r);
is($before->ask("SET claude_gpt.jobs = off; $asked"), 'ok: workers visit this database', 'what the session itself has counts for nothing');
$before->close;
{
    local $ENV{PGOPTIONS} = '-c claude_gpt.jobs=off';
    like(check('workers'), qr/^ok/, 'nor what its client asks for');
}
$node->safe_psql('app', 'ALTER ROLE owner SET claude_gpt.jobs = off; ALTER ROLE owner IN DATABASE app SET claude_gpt.jobs = off');
like(check('workers'), qr/^ok/, 'nor what a role has');
$node->safe_psql('app', 'ALTER ROLE ALL SET claude_gpt.jobs = off');
like(check('workers'), qr/^warning: claude_gpt.jobs is off for this database/, 'but what all have');
$node->safe_psql('app', 'ALTER DATABASE app SET claude_gpt.jobs = on');
like(check('workers'), qr/^ok/, 'unless the database says otherwise');
$node->safe_psql('app', q{ALTER SYSTEM SET claude_gpt.jobs = off; SELECT pg_reload_conf()});
becomes('workers', '^warning: claude_gpt.jobs is off on this server', 'where the server has them off, no database has any');
$node->safe_psql('app', q{ALTER SYSTEM RESET claude_gpt.jobs; SELECT pg_reload_conf()});
becomes('workers', '^ok', 'until it is taken back');

# ---- Commits that wait for a standby which is not there.
is(check('synchronous_standbys'), 'ok: no commit waits for a standby', 'no commit waits');
$node->safe_psql('app', q{ALTER SYSTEM SET synchronous_standby_names = 'gone'; SELECT pg_reload_conf()});
becomes('synchronous_standbys', '^critical: 0 of 1 synchronous standbys are connected: no commit ends, unless with synchronous_commit = local or off; 0 sessions wait$', 'a standby that is named and not there is critical');
my $writer = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('app'), '-U', 'owner', '-c', "SELECT claude_gpt.record_usage('$user', 'api_call', 1)" ], '<', \undef, '>', \my $out, '2>', \my $err);
becomes('synchronous_standbys', '1 sessions wait$', 'and a session that waits for it is counted');
my @mending = hint('synchronous_standbys') =~ /(ALTER SYSTEM RESET \w+|SELECT pg_reload_conf\(\))/g;
is(scalar(@mending), 2, 'the hint says how to go on without it');
$node->safe_psql('app', join '; ', @mending);
ok($writer->finish, 'the session that waited goes on');
becomes('synchronous_standbys', '^ok: no commit waits for a standby', 'and all is well');
$node->stop;
done_testing();
