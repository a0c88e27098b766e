# claude_gpt.turn_commit = asynchronous: a crash may take back what begin_turn() and save_partial() answered last, never what
# complete_turn() or fail_turn() did, nor a call in a transaction block. The process that writes the log for others is held, so that
# only those that wait for the disk are on it when the server is killed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $user = '00000000-0000-4000-8000-000000000001';
my $node = PostgreSQL::Test::Cluster->new('asynchronous');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nrestart_after_crash = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off\ncheckpoint_timeout = 1h");
$node->start;
$node->safe_psql('postgres', "CREATE EXTENSION claude_gpt; UPDATE claude_gpt_data.system_configs SET config_value = '{\"gpt-3.5-turbo\": {\"prompt\": 0, \"completion\": 0}}' WHERE config_key = 'model_prices';
    INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x')");

sub begin_turn { my ($key) = @_; return "SELECT reservation_id FROM claude_gpt.begin_turn('$user', NULL, 'question $key', 'gpt-3.5-turbo', 100, p_idempotency_key => '$key')" }
sub complete_turn { my ($reservation) = @_; return "SELECT total_tokens FROM claude_gpt.complete_turn('$user', '$reservation', 'answer', 10, 20, 0.01)" }
sub asynchronously { my ($statement) = @_; return $node->safe_psql('postgres', $statement, connstr => $node->connstr('postgres') . " options='-c claude_gpt.turn_commit=asynchronous'") }

sub hold_wal_writer
{
    $node->safe_psql('postgres', 'CHECKPOINT');
    my $writer = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
    kill 'STOP', $writer;
    return $writer;
}

sub crash
{
    kill_server($node);
    $node->start;
    is($node->safe_psql('postgres', 'SELECT count(*) FROM claude_gpt.prove_books()'), '0', 'the books prove after the crash');
    return;
}

sub is_known { my ($reservation) = @_; return $node->safe_psql('postgres', "SELECT count(*) FROM claude_gpt_data.usage_reservations WHERE id = '$reservation'") }

sub state_of
{
    my ($code) = @_;
    my ($status, undef, $errors) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$code");
    return $status == 0 ? 'ok' : $errors =~ /ERROR:\s+(\w+)/ ? $1 : $errors;
}

hold_wal_writer();
my $lost = asynchronously(begin_turn('lost'));
is(is_known($lost), 1, 'a turn that was begun asynchronously is seen by others');
crash();
is(is_known($lost), 0, 'a crash before the log was written takes it back');
like(state_of(complete_turn($lost)), qr/P0002/, 'its end is refused as that of an unknown turn');
my $again = $node->safe_psql('postgres', begin_turn('lost'));
isnt($again, $lost, 'its key begins it anew');
is($node->safe_psql('postgres', complete_turn($again)), '30', 'and it can be completed');

hold_wal_writer();
my $waited = $node->safe_psql('postgres', begin_turn('waited'));
crash();
is(is_known($waited), 1, 'a turn begun as the default has it survives');

hold_wal_writer();
my $completed = asynchronously(begin_turn('completed'));
is(asynchronously(complete_turn($completed)), '30', 'a turn is completed while the log waits');
crash();
is($node->safe_psql('postgres', "SELECT string_agg(role || ' ' || status, ', ' ORDER BY role) FROM claude_gpt_data.messages WHERE conversation_id = (SELECT conversation_id FROM claude_gpt_data.usage_reservations WHERE id = '$completed')"),
    'assistant sent, user sent', 'what was completed survives, with its question');

hold_wal_writer();
my $failed = asynchronously(begin_turn('failed'));
asynchronously("SELECT claude_gpt.fail_turn('$user', '$failed', 'the model is away', 5, 5, p_cost => 0.01)");
crash();
is($node->safe_psql('postgres', "SELECT status FROM claude_gpt_data.usage_reservations WHERE id = '$failed'"), 'settled', 'what has failed and was charged survives');

hold_wal_writer();
my $in_block = asynchronously("BEGIN; CREATE TABLE public.of_the_application (); " . begin_turn('block') . "; COMMIT");
crash();
is(is_known($in_block), 1, 'a turn begun in a transaction block survives');
is($node->safe_psql('postgres', "SELECT to_regclass('public.of_the_application') IS NOT NULL"), 't', 'as does what stands beside it');

hold_wal_writer();
asynchronously("DO \$\$ DECLARE id uuid; BEGIN id := (" . begin_turn('at once') . "); PERFORM claude_gpt.complete_turn('$user', id, 'answer at once', 1, 2, 0.01); END \$\$");
crash();
is($node->safe_psql('postgres', "SELECT count(*) FROM claude_gpt_data.messages WHERE content = 'answer at once'"), 1, 'a turn begun and completed by one statement survives');

my $partly = $node->safe_psql('postgres', begin_turn('partly'));
$node->safe_psql('postgres', "SELECT claude_gpt.save_partial('$user', '$partly', 'the first half')");
hold_wal_writer();
asynchronously("SELECT claude_gpt.save_partial('$user', '$partly', 'the first half and more')");
crash();
is($node->safe_psql('postgres', "SELECT content FROM claude_gpt_data.messages WHERE id = (SELECT assistant_message_id FROM claude_gpt_data.usage_reservations WHERE id = '$partly')"),
    'the first half', 'of partial replies the last may be lost');
is($node->safe_psql('postgres', complete_turn($partly)), '30', 'and the turn is completed');

$node->stop;
done_testing();
