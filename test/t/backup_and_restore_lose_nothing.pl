# What tools/backup writes, tools/restore puts in the place of a database, with every row, right and setting; and
# whatever goes wrong on the way leaves the database, and the backups that are there, as they were.
use strict;
use warnings;
use Fcntl qw(LOCK_EX);
use File::Basename qw(basename);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;
use Time::HiRes qw(usleep);

my $tools = "$FindBin::RealBin/../../tools";
my $node = PostgreSQL::Test::Cluster->new('backup');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
my $backups = PostgreSQL::Test::Utils::tempdir;
my $user = '00000000-0000-4000-8000-000000000001';
local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port);
$ENV{$_} //= '' for qw(BEFORE AFTER END_SESSIONS REPAIR_BOOKS);

sub value { my ($database, $sql, @options) = @_; return $node->safe_psql($database, $sql, extra_params => \@options) }
sub run
{
    my ($environment, @command) = @_;
    local %ENV = (%ENV, %$environment);
    my ($out, $err) = ('', '');
    IPC::Run::run([ @command ], '<', \undef, '>', \$out, '2>', \$err);
    return ($? >> 8, $out, $err);
}
sub backup { my (%environment) = @_; my $database = delete $environment{database} // 'app'; return run(\%environment, "$tools/backup", $database, $backups) }
sub restore { my ($backup, %environment) = @_; return run(\%environment, "$tools/restore", $backup, 'app') }
sub databases { return value('postgres', "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname LIKE 'app%'") }
sub kept { return join ' ', sort map { basename($_) } glob "$backups/app-*" }

# What of a database is not in a dump: owner, grants, settings, limit, comment.
my $properties = q{
    SELECT r.rolname, d.datconnlimit, shobj_description(d.oid, 'pg_database'), pg_encoding_to_char(d.encoding), d.datcollate,
        (SELECT string_agg(concat_ws(':', a.grantee::regrole, a.privilege_type, a.is_grantable), ' ' ORDER BY 1) FROM aclexplode(d.datacl) AS a),
        (SELECT string_agg(concat_ws(':', s.setrole::regrole, s.setconfig), ' ' ORDER BY 1) FROM pg_db_role_setting AS s WHERE s.setdatabase = d.oid)
    FROM pg_database AS d JOIN pg_roles AS r ON r.oid = d.datdba WHERE d.datname = };
my $rows = q{SELECT (SELECT string_agg(email, ' ' ORDER BY email) FROM claude_gpt_data.users), (SELECT sum(monthly_message_count) FROM claude_gpt_data.users), (SELECT count(*) FROM claude_gpt_data.usage_records),
    (SELECT count(*) FROM claude_gpt.prove_books()), has_table_privilege('app', 'claude_gpt_data.users', 'SELECT')};

value('postgres', q{CREATE ROLE keeper LOGIN; CREATE ROLE app LOGIN; CREATE DATABASE app OWNER keeper TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8' CONNECTION LIMIT 90});
value('app', qq{
    CREATE EXTENSION claude_gpt;
    SELECT claude_gpt.set_owner('keeper'), claude_gpt.grant_application_access('app');
    UPDATE claude_gpt_data.jobs SET enabled = false;
    INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x');
    SELECT claude_gpt.update_user_usage('$user', 3, 40, 0.5);
    COMMENT ON DATABASE app IS 'it''s "ours"';
    REVOKE CONNECT ON DATABASE app FROM PUBLIC; GRANT CONNECT ON DATABASE app TO app WITH GRANT OPTION; GRANT CREATE, CONNECT ON DATABASE app TO keeper;
    ALTER DATABASE app SET search_path = claude_gpt, "odd schema", public;
    ALTER DATABASE app SET application_name = 'it''s, ours';
    ALTER ROLE app IN DATABASE app SET statement_timeout = '7s'});
# What a role may store for itself, and a statement would take for two; and a level for somebody who can become a superuser.
value('app', q{SELECT set_config('search_path', 'a;ALTER/**/ROLE/**/keeper/**/SUPERUSER', false); ALTER ROLE keeper IN DATABASE app SET search_path FROM CURRENT;
    INSERT INTO claude_gpt_data.application_grants (role_name, level) VALUES ('administrator', 'application'), ('file_reader', 'application')}, '-U', 'keeper');
value('postgres', 'CREATE ROLE file_reader LOGIN IN ROLE pg_read_server_files');
value('postgres', 'DO $$BEGIN EXECUTE format('.q{'CREATE ROLE administrator LOGIN IN ROLE %I', current_user}.'); END$$');
my ($before_rows, $before_properties) = (value('app', $rows), value('postgres', "$properties 'app'"));
like($before_properties, qr/odd schema.*statement_timeout/s, 'there is something to carry over');

# Backups.
my ($status, $out, $err) = backup();
is("$status $err", '0 ', 'a backup is written');
chomp(my $backup = $out);
like($backup, qr{^\Q$backups\E/app-\d{8}T\d{6}Z$}, 'and says where');
is(join(' ', map { -f "$backup/$_" ? 1 : 0 } 'SHA256SUMS', 'roles.sql', 'contents', 'dump/toc.dat'), '1 1 1 1', 'with roles, contents and checksums');
is((stat $backup)[2] & 0077, 0, 'which nobody else may read');
unlike(slurp_file("$backup/roles.sql"), qr/PASSWORD/, 'and no passwords');
($status, $out, $err) = backup(database => 'no_such_database');
is($status, 1, 'without the database there is none');
like($err, qr/no_such_database.*nothing was written/s, 'which is said');
for my $bad ([ 'app/../x', {} ], [ '', {} ], [ 'app', { KEEP_DAYS => '-1' } ], [ 'app', { KEEP_COUNT => '0' } ], [ 'app', { JOBS => 'many' } ])
{
    is((run($bad->[1], "$tools/backup", $bad->[0], $backups))[0], 2, "backup \"$bad->[0]\" @{[ %{ $bad->[1] } ]} is refused");
}
# The disk is full in the middle: here no file may be longer than two kilobytes.
($status, $out, $err) = run({}, 'bash', '-c', 'ulimit -f 2; exec "$@"', 'sh', "$tools/backup", 'app', $backups);
is($status, 1, 'a full disk ends it');
like($err, qr/nothing was written/, 'which is said');
is(join(' ', grep { !/\.lock$/ } glob "$backups/.app*"), '', 'nothing half written is left');
is(kept(), basename($backup), 'and the backup before it is');
# One that was killed leaves something, the next one cleans up; meanwhile another one waits for nobody.
mkdir "$backups/.app-20200101T000000Z.partial";
open my $lock, '>>', "$backups/.app.lock" or die $!;
flock $lock, LOCK_EX or die $!;
($status, $out, $err) = backup();
is($status, 75, 'two at once are refused');
like($err, qr/is running/, 'which is said');
close $lock;
# What is old goes, but not what is no backup of this database, and so many stay in any case.
mkdir "$backups/$_" for qw(app-20200101T000000Z app-20200102T000000Z app-20200103T000000Z app-notes app-2-20200101T000000Z other-20200101T000000Z);
is((run({ KEEP_COUNT => 1 }, "$tools/backup", 'no_such_database', $backups))[0], 1, 'one that fails');
is(scalar(() = kept() =~ /app-2020\d{4}T/g), 3, 'deletes nothing');
($status, $out, $err) = backup(KEEP_COUNT => 3);
is("$status $err", '0 ', 'one that does not');
chomp(my $second = $out);
is(kept(), join(' ', sort 'app-20200103T000000Z', 'app-2-20200101T000000Z', 'app-notes', map { basename($_) } $backup, $second), 'deletes the oldest');
ok(-d "$backups/other-20200101T000000Z" && !-d "$backups/.app-20200101T000000Z.partial", 'of its own, and what was half written');

# Restores. What happened since is gone with the old database, which is kept.
value('app', "SELECT claude_gpt.update_user_usage('$user', 100, 1, 0); INSERT INTO claude_gpt_data.users (email, password_hash) VALUES ('late\@x', 'x')");
my $session = PsqlSession->new($node, 'app');
($status, $out, $err) = restore($backup, BEFORE => "echo stop >>$backups/hooks", AFTER => "echo start >>$backups/hooks");
is($status, 1, 'a database that is in use is not replaced');
like($err, qr/sessions are connected to "app".*"app" is as it was/s, 'which is said');
is(slurp_file("$backups/hooks"), "stop\nstart\n", 'and the application is started again');
is(databases(), 'app', 'nothing is left');
is($session->ask('SELECT 1'), '1', 'nor is the session');
($status, $out, $err) = restore($backup, BEFORE => 'false', AFTER => "echo again >>$backups/hooks");
is($status, 1, 'without BEFORE there is no restore');
is(databases(), 'app', 'and nothing is left');
($status, $out, $err) = restore($backup, END_SESSIONS => 1, BEFORE => "echo stop >>$backups/hooks", AFTER => "echo start >>$backups/hooks");
is($status, 0, 'with END_SESSIONS it is replaced') or diag($err);
like($out, qr/^restored "app"; what it was is "(app_before_\d{8}T\d{6}Z)"$/m, 'which is said');
my ($old) = $out =~ /(app_before_\w+)/;
is(databases(), "app $old", 'the old one is kept');
is(value('app', $rows), $before_rows, 'every row is as it was in the backup');
like(value($old, $rows), qr/late/, 'the old one has what came later');
is(value('postgres', "$properties 'app'"), $before_properties, 'owner, grants, settings, limit and comment are those of the old one');
is(value('postgres', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'keeper'}), 'f', 'a setting that looks like a statement is not run as one');
is(value('app', 'SELECT count(*) FROM claude_gpt_data.jobs WHERE enabled'), '0', 'the jobs are as they were');
is($node->safe_psql('app', "SELECT claude_gpt.update_user_usage('$user', 1, 1, 0); SHOW statement_timeout", extra_params => [ '-U', 'app' ]), "\n7s", 'and the application goes on');
is(value('app', 'SHOW search_path'), 'claude_gpt, "odd schema", public', 'under the settings of the database');
$session->close;
my $after_rows = value('app', $rows);

# Damaged backups.
sub copy_of { my ($name) = @_; system_or_bail('cp', '-a', $backup, "$backups/$name"); return "$backups/$name" }
my $truncated = copy_of('truncated');
my ($data) = sort { -s $b <=> -s $a } glob "$truncated/dump/*.dat.gz";
truncate $data, (-s $data) / 2;
($status, $out, $err) = restore($truncated);
is($status, 1, 'a truncated dump is refused');
my $damaged = basename($data);
like($err, qr/\Q$damaged\E.*damaged: nothing was changed/s, 'which is said');
system_or_bail('sh', '-c', "cd $truncated && rm SHA256SUMS && find . -type f -print0 | xargs -0 sha256sum >/tmp/sums.\$\$ && mv /tmp/sums.\$\$ SHA256SUMS");
($status, $out, $err) = restore($truncated);
is($status, 1, 'even where its checksums fit');
like($err, qr/the dump cannot be restored.*"app" is as it was/s, 'which is said');
unlink "$truncated/SHA256SUMS";
like((restore($truncated))[2], qr/not a complete one/, 'a backup without checksums is none');
like((restore("$backups/nowhere"))[2], qr/is no backup/, 'nor is nothing');
is(databases(), "app $old", 'of all that nothing is left');

# Books that do not prove.
value('app', 'ALTER TABLE claude_gpt_data.users DISABLE TRIGGER ALL; UPDATE claude_gpt_data.users SET monthly_message_count = 77; ALTER TABLE claude_gpt_data.users ENABLE TRIGGER ALL');
chomp(my $unproved = (backup())[1]);
value('app', 'SELECT claude_gpt.repair_books()');
($status, $out, $err) = restore($unproved);
is($status, 1, 'a backup whose books differ is refused');
like($err, qr/the books differ.*77/s, 'with the difference');
is((restore($unproved, REPAIR_BOOKS => 1))[0], 0, 'unless they are to be repaired');
is(value('app', $rows), $after_rows, 'which they are');

# Interrupted: killed before the names change. The next run begins anew.
my $killed = IPC::Run::start([ 'env', "BEFORE=echo \$PPID >$backups/pid; exec sleep 120 >/dev/null 2>&1", "$tools/restore", $backup, 'app' ], '>', \my $ignored, '2>', \my $ignored_too);
usleep(50_000) until -s "$backups/pid";
kill 'KILL', slurp_file("$backups/pid") =~ /(\d+)/;
$killed->finish;
like(databases(), qr/^app app_before_\w+ app_before_\w+ app_restoring$/, 'a restore that is killed leaves what it made');
is(value('app', $rows), $after_rows, 'the database is as it was');
$session = PsqlSession->new($node, 'app_restoring');
like((restore($backup))[2], qr/another restore of "app" is running/, 'somebody who works there is not disturbed');
$session->close;
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'app_restoring'");
is((restore($backup))[0], 0, 'the next run cleans up and restores');
is(value('app', $rows), $before_rows, 'every row');
# Not ours.
value('postgres', 'CREATE DATABASE app_restoring');
like((restore($backup))[2], qr/"app_restoring" that is not ours/, 'a database that happens to have the name is left alone');
value('postgres', 'DROP DATABASE app_restoring');

# Where there is no database of the name yet, and where roles are missing.
value('postgres', 'ALTER DATABASE app RENAME TO elsewhere');
($status, $out, $err) = restore($backup);
is("$status $out", "0 restored \"app\"\n", 'it is made where there was none');
is(value('app', $rows), $before_rows, 'with every row');
is($node->safe_psql('app', 'SHOW search_path', extra_params => [ '-U', 'app' ]), '"$user", claude_gpt_data, claude_gpt, public', 'and applications find the tables');
is(value('app', 'SHOW search_path', '-U', 'administrator'), '"$user", public', 'but not who can become a superuser');
is(value('app', 'SHOW search_path', '-U', 'file_reader'), '"$user", public', 'nor who counts as one');

# Whatever else people have, of their own and of the superuser's, and what looks at other tables while it is loaded.
value('postgres', 'CREATE DATABASE mixed CONNECTION LIMIT 44');
value('mixed', q{
    CREATE SCHEMA k AUTHORIZATION keeper; CREATE SCHEMA s; GRANT USAGE ON SCHEMA s TO keeper;
    CREATE DOMAIN s.past AS timestamptz CHECK (VALUE <= now() + interval '1 day');
    CREATE FUNCTION s.is_fine(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN length($1) < (SELECT max(id) FROM s.known) + 100; END';
    CREATE FUNCTION s.plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
    CREATE TABLE s.known (id integer PRIMARY KEY); INSERT INTO s.known VALUES (1), (2); GRANT SELECT, REFERENCES ON s.known TO keeper;
    CREATE TABLE s.own (a text CHECK (s.is_fine(a)), at timestamptz DEFAULT now() CHECK (at <= clock_timestamp()), b text GENERATED ALWAYS AS (s.plain(a)) STORED, EXCLUDE USING btree (s.plain(a) WITH =));
    CREATE INDEX ON s.own (s.plain(a)); INSERT INTO s.own VALUES ('One');
    CREATE FUNCTION s.whole(s.own) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN $1.a IS NOT NULL AND now() IS NOT NULL; END';
    ALTER TABLE s.own ADD CHECK (s.whole(own.*));
    CREATE MATERIALIZED VIEW s.summary AS SELECT count(*), now() IS NULL AS never FROM s.own;
    CREATE FUNCTION s.note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM now(); END';
    CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION s.note();
    SELECT lo_from_bytea(4711, 'large')});
value('mixed', q{
    CREATE TABLE k.marks (id serial PRIMARY KEY, at s.past DEFAULT now());
    CREATE FUNCTION k.is_known(integer) RETURNS boolean LANGUAGE sql AS 'SELECT count(*) >= 0 FROM s.known WHERE id = $1';
    CREATE FUNCTION k.number(text) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT length($1)';
    CREATE TABLE k.parts (id integer REFERENCES s.known CHECK (k.is_known(id)), a text CHECK (s.is_fine(a) AND at < now() + interval '1 day'), at s.past,
        n integer GENERATED ALWAYS AS (k.number('const') + k.number(a)) STORED) PARTITION BY RANGE (k.number(a));
    CREATE TABLE k.part PARTITION OF k.parts FOR VALUES FROM (0) TO (9); CREATE TABLE k.rest PARTITION OF k.parts DEFAULT;
    CREATE INDEX ON k.parts (s.plain(a)) WHERE k.number(a) > 0;
    CREATE FUNCTION k.whole(k.marks) RETURNS boolean LANGUAGE sql AS 'SELECT $1.id > 0'; ALTER TABLE k.marks ADD CHECK (k.whole(marks.*) AND now() IS NOT NULL);
    ALTER TABLE k.parts ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON k.parts USING (k.is_known(id));
    CREATE TRIGGER t BEFORE UPDATE ON k.marks FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
    INSERT INTO k.marks DEFAULT VALUES; INSERT INTO k.parts VALUES (1, 'x', now()), (2, repeat('y', 20), now());
    CREATE MATERIALIZED VIEW k.summary AS SELECT id, s.plain(a) AS a, now() IS NULL AS never FROM k.parts;
    REVOKE EXECUTE ON FUNCTION k.is_known(integer) FROM PUBLIC}, '-U', 'keeper');
chomp(my $of_mixed = (backup(database => 'mixed'))[1]);
sub written { my ($database) = @_; my ($code, $dump) = run({}, 'pg_dump', $database); return $dump =~ s/^\\(un)?restrict .*$//mgr }
my $written = written('mixed');
like($written, qr/k\.parts/, 'there is something to compare');
value('postgres', 'ALTER DATABASE mixed RENAME TO mixed_before');
for my $jobs (1, 3)
{
    ($status, $out, $err) = run({ JOBS => $jobs, BEFORE => '! psql -X -U keeper -d mixed_restoring -c "SELECT 1"' }, "$tools/restore", $of_mixed, 'mixed');
    is("$status $out", qq{0 restored "mixed"\n}, "$jobs jobs: restored where nobody else may look") or diag($err);
    is(written('mixed'), $written, 'a dump of it is the same');
    is(value('postgres', q{SELECT datconnlimit FROM pg_database WHERE datname = 'mixed'}), '44', 'with the limit that it had');
    value('postgres', 'DROP DATABASE mixed');
}
($status, $out, $err) = run({ PGUSER => 'keeper' }, "$tools/restore", $backup, 'app');
like($err, qr/a superuser is needed/, 'who is no superuser is told so');
($status, $out, $err) = restore($backup, AFTER => 'false');
is($status, 3, 'a failing AFTER is told apart');
like($err, qr/"app" is restored, but this failed: false/, 'and said');
$node->stop;
done_testing();
