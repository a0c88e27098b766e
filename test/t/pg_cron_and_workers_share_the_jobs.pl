# Jobs are handed over to pg_cron and taken back while both run: each has one master at a time, and no run is made twice.
# With pg_cron as client sessions and as background workers, for its own database and for others. It wakes once a
# minute: everything that waits for it is prepared for one minute, or for the next.
# Long: it waits for two full minutes of pg_cron.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
chomp(my $sharedir = `$pg_config --sharedir`);
plan skip_all => 'pg_cron is not installed' unless -f "$sharedir/extension/pg_cron.control";

sub start_node
{
    my ($name, $mode) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init;
    my $host = $node->host;
    $node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nmax_worker_processes = 20\nshared_preload_libraries = 'claude_gpt, pg_cron'"
        . "\ncron.database_name = 'center'\ncron.host = '$host'\ncron.use_background_workers = $mode");
    $node->start;
    $node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN');
    return $node;
}

# Only session_cleanup runs by itself there. Sessions named 'held' hold it until open_gate().
sub make_database
{
    my ($node, $database) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database") unless $database eq 'center';
    $node->safe_psql($database, q{
        CREATE EXTENSION claude_gpt;
        UPDATE claude_gpt_data.jobs SET enabled = name = 'session_cleanup';
        INSERT INTO claude_gpt_data.users (email, password_hash) VALUES ('a@x', 'x');
        CREATE SEQUENCE public.gate;
        CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            WHILE NOT (SELECT is_called FROM public.gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
            RETURN OLD;
        END $$;
        GRANT SELECT ON public.gate TO PUBLIC;
        CREATE TRIGGER hold BEFORE DELETE ON claude_gpt_data.user_sessions FOR EACH ROW WHEN (OLD.session_token LIKE 'held%') EXECUTE FUNCTION public.hold()});
    return;
}

sub open_gate { my ($node, $database) = @_; return $node->safe_psql($database, q{SELECT setval('public.gate', 1, true)}) }

my $due = q{UPDATE claude_gpt_data.jobs SET next_run_at = now() - interval '1 hour' WHERE name = 'session_cleanup'};

sub add_sessions
{
    my ($node, $database, $count, $token) = @_;
    $node->safe_psql($database, qq{INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at)
        SELECT u.id, '$token' || n || clock_timestamp(), now() - interval '1 day' FROM claude_gpt_data.users AS u, generate_series(1, $count) AS n});
    return;
}

sub schedule
{
    my ($node, $arguments, @options) = @_;
    return $node->safe_psql('center', "SELECT * FROM claude_gpt.schedule_with_pg_cron($arguments)", extra_params => \@options);
}

# Keeps the other entries from running at minutes as they come.
sub run_each_minute
{
    my ($node, @names) = @_;
    my $names = join ', ', map { "'$_'" } @names;
    $node->safe_psql('center', "UPDATE cron.job SET schedule = CASE WHEN jobname::text IN ($names) THEN '* * * * *' ELSE '0 0 1 1 *' END");
    return;
}

my $entries = q{SELECT jobid, xmin, jobname, schedule, command, database, username, active FROM cron.job ORDER BY jobname};
my $engines = q{SELECT string_agg(DISTINCT engine, ' ' ORDER BY engine) FROM claude_gpt_data.jobs};
my $runs = q{SELECT string_agg(format('%s %s %s', engine, outcome, row_count), ', ' ORDER BY started_at) FROM claude_gpt_data.job_runs WHERE job_name = 'session_cleanup'};

sub is_told
{
    my ($node, $database, $sql, $sqlstate, $says, $name, @options) = @_;
    my ($status, $out, $err) = $node->psql($database, "\\set VERBOSITY verbose\n$sql", extra_params => \@options);
    return ok(($status == 0) == ($sqlstate eq '00000') && $err =~ /\b$sqlstate\b/ && $err =~ $says, $name) || diag($err) && 0;
}

my $clients = start_node('clients', 'off');  # pg_cron connects as any client does
my $workers = start_node('workers', 'on');

# Where pg_cron is not.
$_->safe_psql('postgres', 'CREATE DATABASE center') for $clients, $workers;
make_database($clients, 'center');
make_database($clients, 'app');
make_database($workers, $_) for 'app', 'other';
$clients->safe_psql($_, q{SELECT claude_gpt.set_owner('keeper')}) for 'center', 'app';
is_told($clients, 'center', 'SELECT claude_gpt.schedule_with_pg_cron()', '55000', qr/HINT:  Run CREATE EXTENSION pg_cron/, 'where the extension is to be created, that is said');
is_told($clients, 'app', 'SELECT claude_gpt.schedule_with_pg_cron()', '55000', qr/"center", as cron.database_name.*In database "center": .*schedule_with_pg_cron\('app'\)/s, 'elsewhere, where to go');
is_told($clients, 'app', q{SELECT claude_gpt.unschedule_pg_cron('center')}, '55000', qr/"center"/, 'nor are entries taken back for others there');
is_told($clients, 'app', 'SELECT claude_gpt.schedule_with_pg_cron()', '55000', qr/may not see cron.database_name/, 'who may not see the setting is refused alike', '-U', 'keeper');
$clients->safe_psql('app', q{
    CREATE TABLE public.trap (sprung boolean);
    CREATE SCHEMA cron;
    CREATE TABLE cron.job (jobid bigint, jobname text, database text, username text DEFAULT current_user);
    INSERT INTO cron.job VALUES (1, 'claude_gpt analyze app', 'app');
    CREATE FUNCTION cron.unschedule(bigint) RETURNS boolean LANGUAGE sql AS 'INSERT INTO public.trap VALUES (true) RETURNING true'});
is($clients->safe_psql('app', 'SELECT claude_gpt.unschedule_pg_cron()'), '0', 'a schema that is named cron is no pg_cron');
is($clients->safe_psql('app', 'SELECT count(*) FROM public.trap'), '0', 'and nothing in it is called');
$clients->safe_psql('app', 'SET client_min_messages = warning; DROP SCHEMA cron CASCADE');

# One of the servers keeps no tables beside pg_cron.
$clients->safe_psql('center', 'CREATE EXTENSION pg_cron');
$workers->safe_psql('center', 'CREATE EXTENSION pg_cron; SET claude_gpt.install_tables = off; CREATE EXTENSION claude_gpt');
note('pg_cron ' . $clients->safe_psql('center', q{SELECT extversion FROM pg_extension WHERE extname = 'pg_cron'}));
is_told($workers, 'center', 'SELECT claude_gpt.schedule_with_pg_cron()', '55000', qr/tables of claude_gpt are not installed.*Name the database/s, 'a database without tables has no jobs');
is($workers->safe_psql('center', 'SELECT claude_gpt.unschedule_pg_cron()'), '0', 'nor any to take back');
is_told($clients, 'center', q{SELECT claude_gpt.schedule_with_pg_cron('nowhere')}, '3D000', qr/database "nowhere" does not exist/, 'a database that is not there');
is_told($clients, 'center', "SELECT claude_gpt.$_", '22004', qr/must not be null/, "$_ is refused")
    for 'schedule_with_pg_cron(NULL)', 'schedule_with_pg_cron(p_reindex => NULL)', 'unschedule_pg_cron(NULL)';
is_told($clients, 'center', 'SELECT claude_gpt.schedule_with_pg_cron()', '42501', qr/schema cron/, 'who has no right on cron', '-U', 'keeper');
is($clients->safe_psql('center', $engines), 'worker', 'a call that fails hands nothing over');

# Registration: the same call again changes nothing, a call that differs changes just that.
$_->safe_psql('center', 'GRANT USAGE ON SCHEMA cron TO keeper; GRANT EXECUTE ON FUNCTION cron.schedule_in_database TO keeper') for $clients, $workers;
$clients->safe_psql('center', 'BEGIN; SELECT claude_gpt.schedule_with_pg_cron(); ROLLBACK');
is($clients->safe_psql('center', "SELECT count(*) FROM cron.job; $engines"), "0\nworker", 'a registration that is rolled back leaves nothing');
my $registered = schedule($clients, '', '-U', 'keeper');
is($clients->safe_psql('center', $engines), 'pg_cron', 'the workers are told to leave the jobs');
is($clients->safe_psql('center', q{SELECT count(*) FROM claude_gpt_data.jobs AS j JOIN cron.job AS c ON c.jobname::text = format('claude_gpt %s center', j.name)
        AND c.command = format($$CALL claude_gpt.run_job('%s', 'pg_cron')$$, j.name) AND c.active AND c.database = 'center' AND c.username = 'keeper'}),
    $clients->safe_psql('center', 'SELECT count(*) FROM claude_gpt_data.jobs'), 'each job has its entry, which runs as the caller');
is($clients->safe_psql('center', q{SELECT schedule ~ '^\d+ 3 ', active, command FROM cron.job WHERE jobname = 'claude_gpt reindex center'}),
    't|f|REINDEX SCHEMA CONCURRENTLY claude_gpt_data', 'REINDEX is off until asked for');
like($registered, qr{^monthly_reset\|0-59/15 \* \* \* \*\|}m, 'a month may begin at any quarter of an hour');
is(join(' ', map { (split /[| ]/)[1] } grep { /\|\d+ [*2] / } split /\n/, $registered) =~ /\b(\d+)\b.*\b\1\b/, '', 'no two entries share a minute');
my $before = $clients->safe_psql('center', $entries);
is(schedule($clients, '', '-U', 'keeper'), $registered, 'called again it tells the same');
is($clients->safe_psql('center', $entries), $before, 'and writes nothing');
$clients->safe_psql('center', q{UPDATE claude_gpt_data.jobs SET run_every = '10 minutes' WHERE name = 'analyze'; UPDATE claude_gpt_data.jobs SET engine = 'worker' WHERE name = 'audit_prune'});
like(schedule($clients, '', '-U', 'keeper'), qr{^analyze\|\d-59/10 \* \* \* \*\|}m, 'a changed interval is taken up');
is(join(' ', grep { my $line = $_; !grep { $_ eq $line } split /\n/, $before } split /\n/, $clients->safe_psql('center', $entries)) =~ /^\d+\|\d+\|claude_gpt analyze center\|\S+ [^|]*\|[^|]*\|center\|keeper\|t$/, 1, 'and nothing else');
is($clients->safe_psql('center', $engines), 'pg_cron', 'a job the workers had got back is handed over again');
for my $asked ('true', 'false')
{
    schedule($clients, "p_reindex => $asked", '-U', 'keeper');
    is($clients->safe_psql('center', q{SELECT active::text FROM cron.job WHERE jobname = 'claude_gpt reindex center'}), $asked, "REINDEX is switched with p_reindex => $asked");
}
# What an upsert of pg_cron leaves as it is.
$clients->safe_psql('center', q{UPDATE cron.job SET nodename = 'localhost', nodeport = 1, active = false, database = 'postgres' WHERE jobname = 'claude_gpt analyze center';
    SELECT cron.schedule('claude_gpt report', '0 0 1 1 *', 'SELECT 1')});
my ($host, $port) = ($clients->host, $clients->port);
schedule($clients, '');
is($clients->safe_psql('center', q{SELECT DISTINCT nodename, nodeport, database, active FROM cron.job WHERE jobname::text ~ '^claude_gpt (analyze|audit_prune) center$'}),
    "$host|$port|center|t", 'an entry that was bent is put right');
is($clients->safe_psql('center', q{SELECT DISTINCT username = current_user FROM cron.job WHERE jobname LIKE 'claude_gpt % center'}), 't', 'entries of another role are taken over');
# One for each job, and two that make indexes anew.
my $entry_count = $clients->safe_psql('center', 'SELECT count(*) + 2 FROM claude_gpt_data.jobs');
is($clients->safe_psql('center', q{SELECT count(*) FROM cron.job WHERE jobname LIKE 'claude_gpt % center'}), $entry_count, 'none of them is there twice');

# Names that pg_cron 1.4 would cut off alike.
my @long = map { 'd' x 62 . $_ } 1, 2;
$clients->safe_psql('postgres', "CREATE DATABASE $_") for @long;
schedule($clients, "'$_'") for @long;
is($clients->safe_psql('center', q{SELECT count(*), count(DISTINCT jobname) FROM cron.job WHERE database LIKE 'ddd%'}), '22|22', 'long names of databases stay apart');
$clients->safe_psql('postgres', "DROP DATABASE $long[0]");
is_deeply([ map { $clients->safe_psql('center', "SET client_min_messages = warning; SELECT claude_gpt.unschedule_pg_cron('$_')") } @long ], [ $entry_count, $entry_count ], 'and are taken back each by itself, also where the database is gone');

# Another database: as an install has its jobs. Its owner may schedule it, and it runs as the owner then.
$workers->safe_psql('app', q{SELECT claude_gpt.set_owner('keeper')});
# There are functions alone: a role that is no superuser is given what scheduling takes.
$workers->safe_psql('center', q{GRANT EXECUTE ON FUNCTION claude_gpt.schedule_with_pg_cron, claude_gpt.unschedule_pg_cron,
    claude_gpt_internal.require_pg_cron, claude_gpt_internal.cron_schedule, claude_gpt_internal.cron_entry_name TO keeper});
schedule($clients, q{'app'});
$clients->safe_psql('center', q{UPDATE claude_gpt_data.jobs SET run_every = '1 hour' WHERE name = 'analyze'});
schedule($clients, '');
my $shapes = sub { my ($database) = @_; return $clients->safe_psql('center', qq{SELECT split_part(jobname::text, ' ', 2), regexp_replace(schedule, '^\\d+', 'm'), command, active FROM cron.job WHERE database = '$database' AND jobname LIKE 'claude\\_gpt % $database' ORDER BY 1}) };
is($shapes->('app'), $shapes->('center'), 'the entries of another database are those of an install');
isnt(schedule($clients, q{'app'}), schedule($clients, ''), 'at minutes of their own');
schedule($workers, q{'app'}, '-U', 'keeper');
schedule($workers, q{'other', true});
is($workers->safe_psql('app', $engines), 'worker', 'nothing is handed over before the first run');

# For the first minute. On one server the workers look at their jobs and leave the one that is due to pg_cron; in another
# database of it a worker is in the middle of the very job.
add_sessions($clients, 'center', 5, 'free');
add_sessions($clients, 'app', 3, 'held');
$clients->safe_psql('center', "$due; UPDATE claude_gpt_data.jobs SET engine = 'worker', enabled = true, next_run_at = now() WHERE name = 'idempotency_prune'");
$clients->safe_psql('app', $due);
ok($clients->poll_query_until('center', q{SELECT last_looked_at >= now() - interval '1 minute' FROM claude_gpt_data.job_status WHERE name = 'idempotency_prune'}), 'a worker looks at its own job');
is($clients->safe_psql('center', $runs), '', 'and leaves the older one of pg_cron alone');
ok($clients->poll_query_until('app', q{SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE datname = 'app' AND application_name = 'claude_gpt job session_cleanup'}), 'a worker is in the middle of a job');
add_sessions($workers, 'app', 4, 'free');
add_sessions($workers, 'other', 2, 'free');
$workers->safe_psql('other', 'UPDATE claude_gpt_data.jobs SET enabled = false');
my $index = $workers->safe_psql('other', q{SELECT pg_relation_filenode('claude_gpt_data.users_pkey')});
for my $node ($clients, $workers)
{
    $node->safe_psql('center', q{SELECT cron.schedule('sentinel', '* * * * *', 'SELECT 1')});
    run_each_minute($node, 'sentinel', 'claude_gpt session_cleanup center', 'claude_gpt session_cleanup app', 'claude_gpt session_cleanup other',
        'claude_gpt reindex app', 'claude_gpt reindex other');
}

sub is_done_by_cron
{
    my ($node, $database, $command, $since, $name) = @_;
    ok($node->poll_query_until('center', qq{SELECT count(*) > 0 FROM cron.job_run_details
        WHERE database = '$database' AND command LIKE '$command%' AND status IN ('succeeded', 'failed') AND start_time >= '$since'}), $name);
    is($node->safe_psql('center', qq{SELECT string_agg(DISTINCT return_message, ',') FROM cron.job_run_details
        WHERE database = '$database' AND command LIKE '$command%' AND status = 'failed'}), '', "$name: and does not fail");
    return;
}
my $call = q{CALL claude_gpt.run_job(''session_cleanup''%};
is_done_by_cron($_, 'center', 'SELECT 1', '-infinity', 'pg_cron wakes') for $clients, $workers;

ok($clients->poll_query_until('center', q{SELECT count(*) = 1 FROM claude_gpt_data.job_runs WHERE outcome = 'succeeded'}), 'pg_cron runs the job');
is($clients->safe_psql('center', $runs), 'pg_cron succeeded 5', 'once, and no worker does');

is_done_by_cron($clients, 'app', $call, '-infinity', 'pg_cron asks for a job that a worker runs');
is($clients->safe_psql('app', "$runs; SELECT engine FROM claude_gpt_data.jobs WHERE name = 'session_cleanup'"), "worker running 0\npg_cron", 'which is not run beside it, and handed over');
open_gate($clients, 'app');
ok($clients->poll_query_until('app', q{SELECT outcome = 'succeeded' FROM claude_gpt_data.job_runs}), 'the worker ends its run');
is($clients->safe_psql('app', $runs), 'worker succeeded 3', 'which stays the only one');

is_done_by_cron($workers, 'app', $call, '-infinity', 'pg_cron runs the job of another database in its background worker');
is($workers->safe_psql('app', $runs), 'pg_cron succeeded 4', 'once');
is($workers->safe_psql('app', q{SELECT string_agg(name, ' ') FROM claude_gpt_data.jobs WHERE engine = 'pg_cron'}), 'session_cleanup', 'the first run hands over that job');

is_done_by_cron($workers, 'other', $call, '-infinity', 'pg_cron asks for a job that is not enabled');
is($workers->safe_psql('other', 'SELECT count(*) FROM claude_gpt_data.user_sessions'), '2', 'which does nothing');

my $invalid = q{SELECT count(*) FROM pg_index WHERE NOT indisvalid OR NOT indisready OR NOT indislive};
is_done_by_cron($workers, 'other', 'REINDEX', '-infinity', 'REINDEX in a background worker');
isnt($workers->safe_psql('other', q{SELECT pg_relation_filenode('claude_gpt_data.users_pkey')}), $index, 'has made the indexes anew');
is($workers->safe_psql('other', $invalid), '0', 'and leaves no invalid one');
is($clients->safe_psql('center', q{SELECT count(*) FROM cron.job_run_details WHERE command LIKE 'REINDEX%'}), '0', 'an entry that is off is not run');

# Taken back: the workers go on at once.
add_sessions($clients, 'center', 6, 'free');
is($clients->safe_psql('center', 'SELECT claude_gpt.unschedule_pg_cron()'), $entry_count, 'all entries of this database are taken back');
is($clients->safe_psql('center', $engines), 'worker', 'and all jobs');
my $taken_back = $clients->safe_psql('center', "$due; SELECT clock_timestamp()");
ok($clients->poll_query_until('center', q{SELECT count(*) = 2 FROM claude_gpt_data.job_runs WHERE outcome = 'succeeded' AND job_name = 'session_cleanup'}), 'a worker runs the job');
is($clients->safe_psql('center', $runs), 'pg_cron succeeded 5, worker succeeded 6', 'once');

add_sessions($workers, 'app', 7, 'free');
is_told($workers, 'center', q{SELECT claude_gpt.unschedule_pg_cron('app')}, '00000', qr/There, as the owner of the tables or an operator: UPDATE claude_gpt_data.jobs SET engine = 'worker'/, 'for another database it is told what to do there', '-U', 'keeper');
$workers->safe_psql('app', "UPDATE claude_gpt_data.jobs SET engine = 'worker'; $due");
ok($workers->poll_query_until('app', q{SELECT count(*) = 2 FROM claude_gpt_data.job_runs WHERE outcome = 'succeeded'}), 'a worker runs the job of the other database');
is($workers->safe_psql('app', $runs), 'pg_cron succeeded 4, worker succeeded 7', 'once');
is($clients->safe_psql('center', q{SELECT string_agg(DISTINCT database, ' ' ORDER BY database) FROM cron.job WHERE jobname LIKE 'claude_gpt % %'}), 'app', 'entries of other databases stay');
is($clients->safe_psql('center', q{SELECT count(*) FROM cron.job WHERE jobname = 'claude_gpt report'}), '1', 'and those that are none of ours');

# For the second minute: what was handed over in the first is run by pg_cron alone, what was taken back no longer by it.
$index = $clients->safe_psql('app', q{SELECT pg_relation_filenode('claude_gpt_data.users_pkey')});
add_sessions($clients, 'app', 8, 'free');
$clients->safe_psql('app', "$due; UPDATE claude_gpt_data.jobs SET enabled = true, next_run_at = now() WHERE name = 'idempotency_prune'");
add_sessions($_->[0], $_->[1], 1, 'later') for [ $clients, 'center' ], [ $workers, 'app' ];
schedule($clients, q{'app', true});
run_each_minute($clients, 'sentinel', 'claude_gpt session_cleanup app', 'claude_gpt reindex app');
my $since = $clients->safe_psql('center', 'SELECT clock_timestamp()');
is_done_by_cron($_, 'center', 'SELECT 1', $since, 'pg_cron wakes again') for $clients, $workers;

is_done_by_cron($clients, 'app', $call, $since, 'pg_cron runs what it was handed over');
is($clients->safe_psql('app', $runs), 'worker succeeded 3, pg_cron succeeded 8', 'once, and no worker does');
is_done_by_cron($clients, 'app', 'REINDEX', $since, 'REINDEX in a client session');
isnt($clients->safe_psql('app', q{SELECT pg_relation_filenode('claude_gpt_data.users_pkey')}), $index, 'has made the indexes anew');
is($clients->safe_psql('app', $invalid), '0', 'and leaves no invalid one');
is($clients->safe_psql('center', qq{SELECT count(*) FROM cron.job_run_details WHERE database = 'center' AND command LIKE 'CALL%' AND start_time >= '$taken_back'}), '0', 'pg_cron runs no job that was taken back');
is($clients->safe_psql('center', $engines), 'worker', 'nor gets it again');
is($clients->safe_psql('center', "CALL claude_gpt.run_job('analyze', 'pg_cron'); $engines"), 'worker', 'not even by a run that was under way then');
is($workers->safe_psql('app', "$engines; SELECT count(*) FROM claude_gpt_data.job_runs WHERE engine = 'pg_cron'"), "worker\n1", 'nor in another database');

# Without pg_cron the workers get their jobs back too.
schedule($clients, '');
$clients->safe_psql('center', 'DROP EXTENSION pg_cron');
is($clients->safe_psql('center', "$engines; SELECT claude_gpt.unschedule_pg_cron(); $engines"), "pg_cron\n0\nworker", 'jobs are taken back from a pg_cron that has been dropped');
is_told($workers, 'app', 'SELECT claude_gpt.unschedule_pg_cron()', '00000', qr/entries .* are in database "center"/, 'where entries may be elsewhere, that is said');

unlike(slurp_file($_->logfile), qr/terminated by signal|PANIC/, 'nothing crashed') for $clients, $workers;
$_->stop for $clients, $workers;
done_testing();
