# A change of system_configs is seen by the next statement of every session, a rolled-back one by none; no old
# snapshot pins an old value; standbys and logical subscribers see it too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PsqlSession;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 'logical');
$primary->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 2");
$primary->start;
my $user = '00000000-0000-4000-8000-000000000001';
$primary->safe_psql('postgres', qq{CREATE EXTENSION claude_gpt;
    INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x');
    SELECT claude_gpt.update_user_usage('$user', 5)});

sub limit { my ($limit) = @_; return qq{UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": $limit}}' WHERE config_key = 'subscription_plans';} }
my $check = "SELECT claude_gpt.check_subscription_limit('$user');";

my ($reader, $writer) = (PsqlSession->new($primary), PsqlSession->new($primary));
is($reader->ask($check), 't', 'five of ten: admitted');
$writer->ask(limit(5));
is($reader->ask($check), 'f', 'the next statement of another session sees the change');
$writer->ask('BEGIN; ' . limit(6));
is($writer->ask($check), 't', 'the own session sees its change before it is committed');
is($reader->ask($check), 'f', 'others do not');
$writer->ask('ROLLBACK;');
is($writer->ask($check), 'f', 'nor does anyone after it was rolled back');
$writer->ask('BEGIN; SAVEPOINT s; ' . limit(7));
is($writer->ask($check), 't', 'a change in a savepoint is seen');
$writer->ask('ROLLBACK TO s;');
is($writer->ask($check . 'COMMIT;'), 'f', 'and taken back with it');

$reader->ask('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM claude_gpt_data.users;');
$writer->ask(limit(8));
is($reader->ask($check), 't', 'an old snapshot does not hide a change of the configuration');
$reader->ask('COMMIT;');
is($reader->ask($check), 't', 'and pins nothing');
$reader->ask('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM claude_gpt_data.users;');
$writer->ask(limit(4));
is($reader->ask($check), 'f', 'nor does a serializable one');
$reader->ask('COMMIT;');

# Whoever has made the table a partitioned one changes a partition, and all know the table.
$writer->ask(q{BEGIN; ALTER TABLE claude_gpt_data.system_configs RENAME TO one_part;
    CREATE TABLE claude_gpt_data.system_configs (LIKE claude_gpt_data.one_part) PARTITION BY LIST (is_active);
    ALTER TABLE claude_gpt_data.system_configs ATTACH PARTITION claude_gpt_data.one_part DEFAULT; COMMIT});
is($reader->ask($check), 'f', 'configuration is read from a partitioned table');
$writer->ask(limit(9));
is($reader->ask($check), 't', 'a change that a partition has seen is one of the table');
$writer->ask(limit(4));
$writer->ask(q{BEGIN; ALTER TABLE claude_gpt_data.system_configs DETACH PARTITION claude_gpt_data.one_part; DROP TABLE claude_gpt_data.system_configs;
    ALTER TABLE claude_gpt_data.one_part RENAME TO system_configs; COMMIT});
is($reader->ask($check), 'f', 'and from the plain one again');

# As replication may: otherwise plans stay while users have them.
$writer->ask('SET session_replication_role = replica;');
$writer->ask('BEGIN; TRUNCATE claude_gpt_data.system_configs;');
like($writer->ask($check), qr/plan "free" is not configured/, 'TRUNCATE is seen');
$writer->ask('ROLLBACK;');
is($reader->ask($check), 'f', 'and rolled back');
$writer->ask("UPDATE claude_gpt_data.system_configs SET is_active = false WHERE config_key = 'subscription_plans';");
like($reader->ask($check), qr/plan "free" is not configured/, 'an inactive row counts as absent');
$writer->ask("UPDATE claude_gpt_data.system_configs SET is_active = true WHERE config_key = 'subscription_plans';");

# Committed, the loss of all rows is seen by others, and so is their return.
$writer->ask('CREATE TABLE kept AS TABLE claude_gpt_data.system_configs; TRUNCATE claude_gpt_data.system_configs');
like($reader->ask($check), qr/plan "free" is not configured/, 'a committed TRUNCATE is seen by others');
$writer->ask('INSERT INTO claude_gpt_data.system_configs TABLE kept');
is($reader->ask($check), 'f', 'and so are new rows');
$writer->ask("DELETE FROM claude_gpt_data.system_configs WHERE config_key = 'subscription_plans'");
like($reader->ask($check), qr/plan "free" is not configured/, 'a deleted row is seen');
$writer->ask("INSERT INTO claude_gpt_data.system_configs SELECT * FROM kept WHERE config_key = 'subscription_plans'");
is($reader->ask($check), 'f', 'and an inserted one');
$writer->ask('RESET session_replication_role;');

# A session that reads the configuration for the first time under an old snapshot.
my $late = PsqlSession->new($primary);
$late->ask('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM claude_gpt_data.users');
$writer->ask(limit(10));
is($late->ask($check), 't', 'a first read under an old snapshot takes the latest configuration');
$writer->ask(limit(4));
is($late->ask($check), 'f', 'and sees it change again');
$late->ask('COMMIT');
is($late->ask($check), 'f', 'and pins nothing');
$late->close;

# Two-phase commit: seen with COMMIT PREPARED, not before; not at all if rolled back.
like($writer->ask('BEGIN; ' . limit(10) . "PREPARE TRANSACTION 'change'"), qr/ERROR:  cannot PREPARE a transaction that has executed LISTEN, UNLISTEN, or NOTIFY/, 'a change that is notified cannot be prepared');
$writer->ask('SET claude_gpt.notify_changes = off');
$writer->ask('BEGIN; ' . limit(10) . "PREPARE TRANSACTION 'change'");
is($reader->ask($check), 'f', 'a prepared change is not seen');
$writer->ask("COMMIT PREPARED 'change'");
is($reader->ask($check), 't', 'until it is committed');
$writer->ask('BEGIN; ' . limit(3) . "PREPARE TRANSACTION 'change'");
$writer->ask("ROLLBACK PREPARED 'change'");
is($reader->ask($check), 't', 'one that is rolled back is seen by none');
is($writer->ask($check), 't', 'not even by its own session');

# Within one transaction block, statement by statement, and in a function.
is($writer->ask('BEGIN; ' . limit(3) . $check . limit(10) . $check . 'ROLLBACK; ' . $check), "f\nt\nt", 'each statement sees what the one before it changed');
is($writer->ask(q{DO $$ BEGIN
    BEGIN
        UPDATE claude_gpt_data.system_configs SET config_value = '{"free": {"messagesPerMonth": 1}}' WHERE config_key = 'subscription_plans';
        ASSERT NOT claude_gpt.check_subscription_limit('} . $user . q{');
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    ASSERT claude_gpt.check_subscription_limit('} . $user . q{');
END $$}), '', 'an exception handler takes the change back');
$writer->ask(q{UPDATE claude_gpt_data.system_configs SET config_value = '"Pacific/Kiritimati"' WHERE config_key = 'billing_timezone'});
is($reader->ask(q{LOAD 'claude_gpt'; SET claude_gpt.fixed_time = '2026-01-31T10:00:00Z'; SELECT claude_gpt.current_billing_period(); RESET claude_gpt.fixed_time}), '2026-02-01', 'a month that was worked out in the old time zone is worked out anew');
$writer->ask(q{UPDATE claude_gpt_data.system_configs SET config_value = '"UTC"' WHERE config_key = 'billing_timezone'});
is($reader->ask(q{SET claude_gpt.fixed_time = '2026-01-31T10:00:00Z'; SELECT claude_gpt.current_billing_period(); RESET claude_gpt.fixed_time}), '2026-01-01', 'and back');

# The rows are replaced with their table.
$writer->ask('BEGIN; ALTER TABLE claude_gpt_data.system_configs RENAME TO old_configs; ROLLBACK');
is($reader->ask($check), 't', 'a renaming that is rolled back changes nothing');
# The owner changes under a session that knows the former one.
$writer->ask("CREATE ROLE keeper; SELECT claude_gpt.set_owner('keeper'); ALTER TABLE claude_gpt_data.users ENABLE ROW LEVEL SECURITY");
is($reader->ask($check), 't', 'open sessions work with the rights of a new owner');
$writer->ask('ALTER TABLE claude_gpt_data.users FORCE ROW LEVEL SECURITY; CREATE POLICY nobody ON claude_gpt_data.users FOR SELECT USING (false)');
is($reader->ask($check), 't', 'whom a policy of his own does not stop');
$writer->ask(limit(4));

# A standby, with a session that has cached the configuration.
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
my $hot = PsqlSession->new($standby);
is($hot->ask($check), 'f', 'read functions work on a standby');
$writer->ask(limit(9));
$primary->wait_for_catchup($standby);
is($hot->ask($check), 't', 'where a session sees the change');
$hot->ask('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM claude_gpt_data.users');
$writer->ask(limit(4));
$primary->wait_for_catchup($standby);
is($hot->ask($check), 'f', 'under an old snapshot too');
$hot->ask('COMMIT');
is($hot->ask("SELECT claude_gpt.effective_tier('$user'), claude_gpt.current_billing_period() IS NOT NULL; SELECT monthly_message_count FROM claude_gpt_data.user_statistics; SELECT count(*) FROM claude_gpt_data.conversation_summary"), "free|t\n5\n0", 'the other read functions and the views work there');
$writer->ask(limit(9));
$primary->wait_for_catchup($standby);
is($hot->ask($check), 't', 'and the next change is seen again');
like($hot->ask("SELECT claude_gpt.update_user_usage('$user');"), qr/read-only transaction/, 'and nothing is written');
is($reader->ask("BEGIN READ ONLY; $check SELECT claude_gpt.effective_tier('$user'); COMMIT;"), "t\nfree", 'read functions work in read-only transactions');

# A logical subscriber: its apply worker fires the triggers that invalidate.
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE EXTENSION claude_gpt; SET session_replication_role = replica; TRUNCATE claude_gpt_data.system_configs');
$primary->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE claude_gpt_data.users, claude_gpt_data.system_configs');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION '" . $primary->connstr . " dbname=postgres' PUBLICATION p");
$subscriber->wait_for_subscription_sync($primary, 's');
my $subscribed = PsqlSession->new($subscriber);
is($subscribed->ask($check), 't', 'a subscriber has the configuration');
$writer->ask(limit(3));
$primary->wait_for_catchup('s');
is($subscribed->ask($check), 'f', 'and its sessions see a change that replication applied');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION s');

$standby->promote;
is($hot->ask("SELECT claude_gpt.update_user_usage('$user'); SELECT monthly_message_count FROM claude_gpt_data.users;"), "\n6", 'a promoted standby goes on counting');

$_->close for ($reader, $writer, $hot, $subscribed);
$_->stop for ($subscriber, $standby, $primary);
done_testing();
