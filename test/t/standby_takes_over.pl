# A streaming standby shows what was recorded on the primary, writes nothing and runs no job. The primary is killed with
# -9 under load and the standby promoted: every call that a client saw commit is counted there, metering goes on, the
# jobs begin by themselves and the books prove. Rate limits start anew. The killed server comes back as the standby.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run ();
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use SchemaPicture;
use Test::More;

my $clients = 4;
my $user = '00000000-0000-4000-8000-000000000001';
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
# Hints in the WAL, and WAL that is kept, let pg_rewind bring the primary back. Jobs are off there, so that some are due when the standby takes over.
$primary->append_conf('postgresql.conf', "fsync = off\nwal_log_hints = on\nwal_keep_size = 256MB\nmax_prepared_transactions = 2\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off");
$primary->start;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'claude_gpt.jobs = on');
$standby->start;

# Everything from the extension on comes over the wire.
$primary->safe_psql('postgres', qq{
    CREATE ROLE app LOGIN;
    CREATE ROLE app_owner;
    CREATE EXTENSION claude_gpt; UPDATE claude_gpt_data.system_configs SET config_value = '{"gpt-4": {"prompt": 0, "completion": 0}}' WHERE config_key = 'model_prices';
    SELECT claude_gpt.set_owner('app_owner');
    SELECT claude_gpt.grant_application_access('app');
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": -1, "models": ["gpt-4"]}}' WHERE config_key = 'subscription_plans';
    UPDATE claude_gpt_data.system_configs SET config_value = '{"free": 10}', is_active = true WHERE config_key = 'rate_limits';
    INSERT INTO claude_gpt_data.users (id, email, password_hash) SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, n || '\@x', 'x' FROM generate_series(1, 3) AS n;
    INSERT INTO claude_gpt_data.conversations (id, user_id, title) SELECT ('00000000-0000-4000-8000-00000000001' || n)::uuid, ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'chat' FROM generate_series(1, 3) AS n;
    INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ('$user', 'expired', now() - interval '1 hour');
    INSERT INTO claude_gpt_data.audit_logs (user_id, action, resource_type) VALUES ('$user', 'login', 'user');
    SELECT claude_gpt.set_subscription('$user', 'free', 'active', now() + interval '1 month')});
# No unit of a user's minute comes back while the test goes on.
my $hold_clock = $primary->safe_psql('postgres', q{SELECT format('SET claude_gpt.fixed_time = %L', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))});
my $reservation = $primary->safe_psql('postgres', "$hold_clock; SELECT reservation_id FROM claude_gpt.begin_turn('$user', '00000000-0000-4000-8000-000000000011', 'How?', 'gpt-4', 100)");
$primary->safe_psql('postgres', "SELECT * FROM claude_gpt.complete_turn('$user', '$reservation', 'So.', 10, 20, 0.5)");
my $open = $primary->safe_psql('postgres', "SELECT reservation_id FROM claude_gpt.reserve_usage('$user', 40, p_ttl => '24 hours', p_idempotency_key => 'held')");
$primary->wait_for_catchup($standby);

is(differences(rows_of($primary, 'postgres'), rows_of($standby, 'postgres')), '', 'the standby has every row');
is(differences(catalog_of($primary, 'postgres'), catalog_of($standby, 'postgres')), '', 'in the same tables');
is(differences(rights_of($primary, 'postgres'), rights_of($standby, 'postgres')), '', 'with the same rights');

# What reads, reads the same there; by the application too.
for my $read (
    "SELECT claude_gpt.check_subscription_limit('$user')",
    "SELECT claude_gpt.effective_tier('$user')",
    'SELECT claude_gpt.current_billing_period()',
    "SELECT action, used, held FROM claude_gpt.quota_status('$user') ORDER BY 1",
    "SELECT id, title FROM claude_gpt.list_conversations('$user')",
    "SELECT id, content FROM claude_gpt.conversation_messages('$user', '00000000-0000-4000-8000-000000000011')",
    "SELECT content FROM claude_gpt.conversation_path('$user', (SELECT id FROM claude_gpt_data.messages WHERE role = 'assistant'))",
    "SELECT * FROM claude_gpt_data.user_statistics WHERE id = '$user'",
    'SELECT count(*) FROM claude_gpt_data.conversation_summary')
{
    my $answer = $primary->safe_psql('postgres', $read, extra_params => [ '-U', 'app' ]);
    isnt($answer, '', "the primary answers $read");
    is($standby->safe_psql('postgres', $read, extra_params => [ '-U', 'app' ]), $answer, 'and the standby the same');
}
for my $read ('SELECT count(*) FROM claude_gpt.prove_books()', 'SELECT table_name, partition_name FROM claude_gpt.list_partitions() ORDER BY 1, 2', 'SELECT name, next_run_at, last_outcome FROM claude_gpt_data.job_status ORDER BY 1')
{
    is($standby->safe_psql('postgres', $read), $primary->safe_psql('postgres', $read), "the superuser's too: $read");
}
like($standby->safe_psql('postgres', 'SELECT claude_gpt.usage_report_html()', extra_params => [ '-U', 'app' ]), qr/Usage report.*<\/html>/s, 'the page of reports too');
is($standby->safe_psql('postgres', q{SELECT string_agg(check_name, ' ' ORDER BY check_name) FROM claude_gpt.health() WHERE status = 'critical'}), '', 'and health() finds nothing critical');
like($standby->safe_psql('postgres', q{SELECT detail FROM claude_gpt.health() WHERE check_name = 'workers'}), qr/standby|recovery/i, 'but that no worker works here');
like($standby->safe_psql('postgres', 'SELECT claude_gpt.uuid_v7()'), qr/^[0-9a-f]{8}-[0-9a-f]{4}-7/, 'ids are made there');

# What writes is refused, by name of the reason, and changes nothing.
my $before = rows_of($standby, 'postgres');
for my $call ("SELECT claude_gpt.update_user_usage('$user')", "SELECT claude_gpt.record_usage('$user', 'message', 1)",
    "SELECT * FROM claude_gpt.consume_quota('$user')", "SELECT * FROM claude_gpt.reserve_usage('$user', 5)", "SELECT * FROM claude_gpt.reserve_usage('$user', 40, p_idempotency_key => 'held')",
    "SELECT * FROM claude_gpt.settle_usage('$user', '$open', 1, 1, 0)", "SELECT * FROM claude_gpt.release_usage('$user', '$open')", "SELECT * FROM claude_gpt.extend_usage('$user', '$open', '1 hour')",
    "SELECT * FROM claude_gpt.begin_turn('$user', NULL, 'hello', 'gpt-4', 100)", "SELECT * FROM claude_gpt.complete_turn('$user', '$open', 'x', 1, 1, 0)", "SELECT * FROM claude_gpt.fail_turn('$user', '$open', 'x')", "SELECT * FROM claude_gpt.save_partial('$user', '$open', 'x')",
    "SELECT claude_gpt.set_subscription('$user', 'free', 'active')", "SELECT claude_gpt.delete_conversation('$user', '00000000-0000-4000-8000-000000000011')", 'SELECT claude_gpt.cleanup_expired_sessions()',
    q{CALL claude_gpt.create_partitions('audit_logs', '2030-01-01Z', '2031-01-01Z')},
    q{CALL claude_gpt.drop_partitions_before('audit_logs', '2030-01-01Z')}, q{SELECT claude_gpt.grant_application_access('app')}, q{SELECT claude_gpt.set_owner('app_owner')}, 'DROP EXTENSION claude_gpt CASCADE', 'ALTER EXTENSION claude_gpt UPDATE',
    "INSERT INTO claude_gpt_data.users (email, password_hash) VALUES ('new\@x', 'x')", q{UPDATE claude_gpt_data.system_configs SET config_value = 'true' WHERE config_key = 'maintenance_mode'})
{
    my ($status, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$call");
    like($err, qr/ERROR:  25006: (cannot .* in a read-only transaction|cannot execute .* during recovery)/, "refused: $call");
}
for my $call ('CALL claude_gpt.migrate()', q{CALL claude_gpt.run_job('session_cleanup')}, 'CALL claude_gpt.run_due_jobs()')
{
    my ($status, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$call");
    like($err, qr/ERROR:  25006: .*(read-only transaction|during recovery)/, "refused: $call");
}
is($standby->safe_psql('postgres', 'SELECT * FROM claude_gpt.repair_books()'), '', 'there is nothing to repair');
is(differences($before, rows_of($standby, 'postgres')), '', 'and nothing has changed');

# Rate limits are each server's own.
my $rate = q{SELECT allowed, remaining FROM claude_gpt.rate_limit('address', 100, '1 day', %d)};
is($primary->safe_psql('postgres', sprintf $rate, 90), 't|10', 'a key has used most of its units on the primary');
is($standby->safe_psql('postgres', sprintf $rate, 0), 't|100', 'and none on the standby, which counts for itself');
is($primary->safe_psql('postgres', "$hold_clock; SELECT count(*) FILTER (WHERE (claude_gpt.check_rate_limit('$user')).allowed) FROM generate_series(1, 20)"), '9', 'a user has used all of a minute, one by a turn');

# Nothing runs there.
$primary->safe_psql('postgres', q{UPDATE claude_gpt_data.jobs SET next_run_at = now() - interval '1 day' WHERE name = 'session_cleanup'});
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT pg_reload_conf(); SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'claude_gpt%'}), "t\n0", 'neither launcher nor worker runs on the standby, though a job is due');
unlike(slurp_file($standby->logfile), qr/claude_gpt (launcher|worker)|PANIC|FATAL:  (?!the database system is starting up)/, 'nor tries to, says its log');

# Configuration that an open session has read.
my $check = "SELECT claude_gpt.check_subscription_limit('$user')";
my $reader = PsqlSession->new($standby, 'postgres');
is($reader->ask($check), 't', 'an open session has read the plans');
for my $limit (1, -1)
{
    $primary->safe_psql('postgres', qq{UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": $limit, "models": ["gpt-4"]}}' WHERE config_key = 'subscription_plans'});
    $primary->wait_for_catchup($standby);
    is($reader->ask($check), $limit == 1 ? 'f' : 't', 'and sees new ones in its next statement');
}

# Clients write, and have an answer only when the standby has their commit.
$primary->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = 'standby'; SELECT pg_reload_conf()});
$primary->poll_query_until('postgres', q{SELECT sync_state = 'sync' FROM pg_stat_replication}) or die 'the standby is not synchronous';
my $dir = PostgreSQL::Test::Utils::tempdir;
my ($one, $chat) = ("('00000000-0000-4000-8000-00000000000' || :n)::uuid", "('00000000-0000-4000-8000-00000000001' || :n)::uuid");
# What each script does: [ text, messages stored, messages counted ].
my @scripts = (
    [ "\\set n random(2, 3)\nSELECT claude_gpt.update_user_usage($one, 2, 5, 0.125);\n", 0, 2 ],
    [ "\\set n random(2, 3)\nBEGIN;\nINSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, total_tokens, cost) VALUES ($chat, $one, 'user', 'x', 3, 0.5);\nSELECT claude_gpt.update_user_usage($one, 1, 3, 0.5);\nCOMMIT;\n", 1, 1 ],
    [ "\\set n random(2, 3)\nSELECT reservation_id AS r FROM claude_gpt.reserve_usage($one, 40) \\gset\nSELECT claude_gpt.settle_usage($one, ':r', 10, 20, 0.25);\n", 0, 1 ]);
append_to_file("$dir/script$_.sql", $scripts[$_][0]) for 0 .. $#scripts;
my ($out, $err) = ('', '');
my $load = IPC::Run::start([ 'pgbench', '-n', '-h', $primary->host, '-p', $primary->port, '-U', 'app', '-c', $clients, '-j', 2, (map { ('-f', "$dir/script$_.sql") } 0 .. $#scripts), '-T', '86400', '-l', "--log-prefix=$dir/log", 'postgres' ], '>', \$out, '2>', \$err);
ok($primary->poll_query_until('postgres', 'SELECT sum(total_message_count) > 500 FROM claude_gpt_data.users'), 'clients write');

# The primary and its processes die in the middle of it, children after their parent, which restarts nothing any more.
my $postmaster = (split /\n/, slurp_file($primary->data_dir . '/postmaster.pid'))[0];
my @processes = ($postmaster, split /\n/, $primary->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()'));
kill 'KILL', @processes;
$load->finish;
my @acknowledged = (0) x @scripts;
for my $log (glob "$dir/log*")
{
    # client, transaction, latency, script, ...
    for my $line (split /\n/, slurp_file($log)) { $acknowledged[ (split / /, $line)[3] ]++ if $line =~ /^\d+ \d+ \d+ \d+ \d+ \d+$/ }
}
cmp_ok($acknowledged[$_], '>', 10, "clients saw the end of $acknowledged[$_] transactions of script $_") for 0 .. $#scripts;

$standby->promote;
is($reader->ask($check), 't', 'the open session goes on over the promotion');
$reader->close;
my ($messages, $counts) = (2, 1);
for (0 .. $#scripts) { $messages += $acknowledged[$_] * $scripts[$_][1]; $counts += $acknowledged[$_] * $scripts[$_][2] }
my ($stored, $counted) = split /\|/, $standby->safe_psql('postgres', 'SELECT (SELECT count(*) FROM claude_gpt_data.messages), (SELECT sum(total_message_count) FROM claude_gpt_data.users)');
cmp_ok($stored, '>=', $messages, "each of $messages acknowledged messages is on the promoted standby");
cmp_ok($stored, '<=', $messages + $clients, 'and no more than those in flight besides');
cmp_ok($counted, '>=', $counts, "each of $counts acknowledged counts is there");
cmp_ok($counted, '<=', $counts + 2 * $clients, 'and no more than those in flight besides');
is($standby->safe_psql('postgres', 'SELECT * FROM claude_gpt.prove_books()'), '', 'the books prove');

# It has taken over.
is($standby->safe_psql('postgres', "SELECT claude_gpt.update_user_usage('$user'); SELECT monthly_message_count FROM claude_gpt_data.users WHERE id = '$user'", extra_params => [ '-U', 'app' ]), "\n2", 'metering goes on');
is($standby->safe_psql('postgres', "SELECT replayed, reservation_id = '$open' FROM claude_gpt.reserve_usage('$user', 40, p_ttl => '24 hours', p_idempotency_key => 'held')", extra_params => [ '-U', 'app' ]), 't|t', 'a call that is repeated there is not done twice');
is($standby->safe_psql('postgres', "SELECT charged_tokens FROM claude_gpt.settle_usage('$user', '$open', 1, 2, 0)", extra_params => [ '-U', 'app' ]), '3', 'what was held on the primary is settled');
ok($standby->poll_query_until('postgres', q{SELECT outcome = 'succeeded' AND engine = 'worker' AND row_count = 1 FROM claude_gpt_data.job_runs WHERE job_name = 'session_cleanup'}), 'the job that was due runs by itself');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM claude_gpt_data.user_sessions'), '0', 'and does its work');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'claude_gpt launcher'}), '1', 'a launcher runs there now');
is($standby->safe_psql('postgres', sprintf $rate, 1), 't|99', 'the rate limit of a key starts anew');
is($standby->safe_psql('postgres', "SELECT allowed FROM claude_gpt.begin_turn('$user', NULL, 'and now?', 'gpt-4', 100)"), 't', 'so does that of a user, who chats on');
is($standby->safe_psql('postgres', 'SELECT * FROM claude_gpt.prove_books()'), '', 'the books prove again');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM claude_gpt.health() WHERE status = 'critical'}), '0', 'and all is well');
is(join('', slurp_file($standby->logfile) =~ /^.*claude_gpt (?:launcher|worker).*(?:ERROR|exited with).*$/mg), '', 'no worker has failed, before or after');

# The killed server comes back as the standby of the new primary.
wait_for_end(@processes);
$primary->{_pid} = undef;
unlink $primary->data_dir . '/postmaster.pid';
# pg_rewind of 15 reads the new timeline from the control file, where it stands after a checkpoint.
$standby->safe_psql('postgres', 'CHECKPOINT');
my $conf = slurp_file($primary->data_dir . '/postgresql.conf');
command_ok([ 'pg_rewind', '-D', $primary->data_dir, '--source-server', $standby->connstr('postgres'), '--no-sync' ], 'pg_rewind');
# It has brought the settings of its source, whose port is another.
unlink $primary->data_dir . '/postgresql.conf', $primary->data_dir . '/postgresql.auto.conf';
append_to_file($primary->data_dir . '/postgresql.conf', $conf);
$primary->enable_streaming($standby);
$primary->start;
$standby->safe_psql('postgres', "SELECT claude_gpt.update_user_usage('$user')");
$standby->wait_for_catchup($primary);
# Jobs may be running.
my ($there, $here) = map { join "\n", grep { !/^claude_gpt\.job/ } split /\n/, rows_of($_, 'postgres') } $standby, $primary;
is(differences($there, $here), '', 'it has every row of the new primary');
is($primary->safe_psql('postgres', "SELECT claude_gpt.check_subscription_limit('$user'), count(*) FROM claude_gpt.prove_books()"), 't|0', 'and reads');

for my $server ($primary, $standby)
{
    unlike(slurp_file($server->logfile), qr/PANIC|TRAP|terminated by signal|exception/, 'nothing crashed on the ' . $server->name);
}
$_->stop for $primary, $standby;
done_testing();
