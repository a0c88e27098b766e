# The owner of the tables may put our trigger functions on tables of his own. Each function, on tables whose columns have
# any type there is: a column that the function reads or writes is of its type (or one that is read and written the same),
# or the statement fails with 42804; the server lives, and nothing is stored or said that was not there.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ColumnTypes;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('types');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off\ntimezone = 'Asia/Shanghai'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION claude_gpt; CREATE ROLE mallory LOGIN; CREATE SCHEMA hers AUTHORIZATION mallory;' . ColumnTypes::definitions());
$node->safe_psql('postgres', q{SELECT claude_gpt.set_owner('mallory')});
$node->safe_psql('postgres', q{
    INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('00000000-0000-4000-8000-000000000001', 'a@x', 'x');
    INSERT INTO claude_gpt_data.conversations (id, user_id) VALUES ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001');
    INSERT INTO claude_gpt_data.messages (id, conversation_id, user_id, role, content, parent_message_id)
    SELECT ('00000000-0000-4000-8000-00000000010' || n)::uuid, '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001', 'user', 'x', CASE n WHEN 2 THEN '00000000-0000-4000-8000-000000000101'::uuid END
    FROM generate_series(1, 2) AS n;
    UPDATE claude_gpt_data.conversations SET message_count = 10, total_tokens = 100, total_cost = 5, last_message_at = created_at},
    extra_params => [ '-U', 'mallory' ]);
my $postmaster = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

my $texts = qr/^(text|varchar(\(400\))?|shapes\.a_text)$/;
my $integers = qr/^(integer|bigint|shapes\.a_(integer|bigint))$/;
my $numerics = qr/^(numeric(\(30,9\))?|shapes\.a_numeric)$/;
my $moments = qr/^(timestamptz(\(0\))?|shapes\.a_timestamptz)$/;
my $uuids = qr/^(uuid|shapes\.a_uuid)$/;
my $any = qr/./;

# Uses of a function: the columns with their types and values, the trigger, and for each column that it looks at the types
# that it takes. `right`: what must hold of a row that was stored.
my @messages = (id => [ 'uuid', q{'00000000-0000-4000-8000-000000000101'} ], conversation_id => [ 'uuid', q{'00000000-0000-4000-8000-00000000000a'} ],
    parent_message_id => [ 'uuid', 'NULL' ], status => [ 'text', q{'sent'} ], prompt_tokens => [ 'integer', '1' ], completion_tokens => [ 'integer', '2' ],
    total_tokens => [ 'integer', '3' ], cost => [ 'numeric', '0.5' ], created_at => [ 'timestamptz', q{'2026-01-01Z'} ]);
my $counters = { columns => \@messages,
    looks_at => { id => $uuids, conversation_id => $uuids, parent_message_id => $uuids, status => $texts, prompt_tokens => $integers, completion_tokens => $integers,
        total_tokens => $integers, cost => $numerics, created_at => $moments } };
my %uses = (
    enforce_column_rules => [
        { trigger => q{BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('a in foo x')}, columns => [ a => [ 'text', q{'x'} ] ], looks_at => { a => $texts } },
        { trigger => q{BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('a not empty')}, columns => [ a => [ 'text', q{'x'} ] ], looks_at => { a => $texts } },
        { trigger => q{BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('a not negative')}, columns => [ a => [ 'integer', '7' ] ], looks_at => { a => qr/$integers|$numerics/ } },
        { trigger => q{BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('a maintained')}, columns => [ a => [ 'text', q{'x'} ] ], looks_at => { a => $any } } ],
    update_updated_at_column => [
        { trigger => 'BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column()', columns => [ updated_at => [ 'timestamptz', 'NULL' ] ],
            looks_at => { updated_at => qr/$moments|^timestamp$/ },
            right => q{updated_at::timestamptz - CURRENT_TIMESTAMP BETWEEN '-0.5 s' AND '0.5 s' AND (updated_at::timestamptz = CURRENT_TIMESTAMP OR extract(microseconds FROM updated_at)::int % 1000000 = 0)} },
        { trigger => 'BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column(day, moment)',
            columns => [ day => [ 'date', 'NULL' ], moment => [ 'timestamptz', q{'2026-01-01 22:00Z'} ], updated_at => [ 'timestamptz', 'NULL' ] ],
            looks_at => { day => qr/^(date|shapes\.a_date)$/, moment => $moments }, right => q{day = (moment AT TIME ZONE 'UTC')::date} } ],
    maintain_conversation_counters => [
        { %$counters, trigger => 'AFTER INSERT ON %s REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.maintain_conversation_counters()' },
        { %$counters, trigger => 'AFTER UPDATE ON %s REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.maintain_conversation_counters()' },
        { %$counters, trigger => 'AFTER DELETE ON %s REFERENCING OLD TABLE AS o FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.maintain_conversation_counters()' } ],
    hand_over_replies => [
        { trigger => 'AFTER DELETE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.hand_over_replies()', columns => \@messages, looks_at => { id => $uuids } } ],
    validate_system_config => [
        { trigger => 'BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.validate_system_config()',
            columns => [ config_key => [ 'text', q{'maintenance_mode'} ], config_value => [ 'jsonb', q{'true'} ] ], looks_at => { config_key => $texts, config_value => qr/^(jsonb|shapes\.a_jsonb)$/ } } ],
    validate_job => [
        { trigger => 'BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.validate_job()',
            columns => [ name => [ 'text', q{'analyze'} ], engine => [ 'text', q{'worker'} ], next_run_at => [ 'timestamptz', q{'2026-01-01Z'} ], run_every => [ 'interval', q{'1 hour'} ],
                timeout => [ 'interval', q{'1 hour'} ] ],
            looks_at => { name => $texts, engine => $texts, next_run_at => $moments, run_every => qr/^interval$/, timeout => qr/^interval$/ } } ],
    notify_change => [
        { trigger => 'AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt.notify_change(a)', columns => [ a => [ 'text', q{'x'} ] ], looks_at => { a => $any } },
        { trigger => 'AFTER UPDATE OF a ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt.notify_change(a)', columns => [ a => [ 'text', q{'x'} ] ], looks_at => { a => $any } } ],
    # These read texts alone, whatever the type: what is no plan, or no JSON, is refused as such.
    require_configured_plan => [
        { trigger => 'BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.require_configured_plan()', columns => [ subscription_tier => [ 'text', q{'x'} ] ],
            looks_at => { subscription_tier => $any }, refused => qr{^(23514|22P02|42501)$} } ],
    keep_plans_in_use => [
        { trigger => 'AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.keep_plans_in_use()',
            columns => [ config_key => [ 'text', q{'subscription_plans'} ], config_value => [ 'jsonb', '$${}$$' ], is_active => [ 'boolean', 'true' ] ],
            looks_at => { config_key => $any, config_value => $any, is_active => $any }, refused => qr{^(23514|22P02|42501)$} } ],
    # These look at no column.
    map { $_ => [ { trigger => "AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt.$_()", columns => [ a => [ 'text', q{'x'} ] ], looks_at => { a => $any } } ] }
        qw(invalidate_system_configs carry_unrecorded_usage look_at_changed_jobs));

is(join(' ', sort keys %uses), $node->safe_psql('postgres', q{
    SELECT string_agg(proname, ' ' ORDER BY proname COLLATE "C") FROM pg_proc WHERE pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND prorettype = 'trigger'::regtype}), 'every trigger function is tried');

# One session for a use of a function: a table for each column and each type of it. \gset keeps the state of each statement.
my $number = 0;
for my $function (sort keys %uses)
{
    for my $use (@{ $uses{$function} })
    {
        my %columns = @{ $use->{columns} };
        my @names = map { $use->{columns}[ 2 * $_ ] } 0 .. $#{ $use->{columns} } / 2;
        my ($script, @cases) = ('');
        for my $column (sort keys %{ $use->{looks_at} })
        {
            for my $type (@ColumnTypes::types)
            {
                my $table = 'hers.t' . ++$number;
                # A type that is taken has the value that the function wants, so that it goes on with it.
                my $is_wanted = $use->{looks_at}{$column} ne $any && $type->{name} =~ $use->{looks_at}{$column} && $columns{$column}[1] ne 'NULL';
                my %is = (%columns, $column => [ $type->{name}, $is_wanted ? "$columns{$column}[1]::$type->{name}" : $type->{value} ]);
                push @cases, { column => $column, type => $type->{name}, table => $table };
                my $named = join(', ', map { "$_ $is{$_}[0]" } @names);
                my $values = join(', ', map { $is{$_}[1] } @names);
                my $right = $use->{right} // 'true';
                $script .= "CREATE TABLE $table ($named);\n";
                # A row that was there before the trigger, for UPDATE and DELETE.
                $script .= "INSERT INTO $table VALUES ($values);\nCREATE TRIGGER t " . sprintf($use->{trigger}, $table) . ";\n\\echo case $#cases\n";
                for my $statement ("INSERT INTO $table VALUES ($values)", "UPDATE $table SET $column = $column", "DELETE FROM $table")
                {
                    next if $use->{trigger} !~ substr($statement, 0, 6);
                    $script .= "BEGIN;\n$statement;\n\\echo :SQLSTATE :LAST_ERROR_MESSAGE\n";
                    $script .= "SELECT 'wrong' FROM $table WHERE (" . ($right =~ /updated_at::/ && $type->{name} !~ $use->{looks_at}{$column} ? 'true' : $right) . ") IS NOT true AND ctid > '(0,1)';\n" if $type->{name} =~ $use->{looks_at}{$column} && $statement !~ /^DELETE/;
                    $script .= "ROLLBACK;\n";
                }
            }
        }
        my ($status, $out, $err) = $node->psql('postgres', $script, on_error_stop => 0, extra_params => [ '-U', 'mallory' ]);
        is($status, 0, "$function: the session lives") or diag($err);
        my ($current, $faults, $seen) = (undef, '', 0);
        for my $line (split /\n/, $out)
        {
            if ($line =~ /^case (\d+)$/) { $current = $cases[$1]; next }
            my ($state, $message) = $line =~ /^(\w{5})(?: (.*))?$/ or do { $faults .= "$current->{column} $current->{type}: $line\n"; next };
            ++$seen;
            my $taken = $current->{type} =~ $use->{looks_at}{ $current->{column} };
            my $name = $current->{table} =~ s/hers\.//r;
            my $is_right = $taken ? $state eq '00000' || $state =~ ($use->{refused} // qr{^00000$})
                : $state eq '42804' && $message =~ /^column "$current->{column}" of table "$name" must be of type .+, not \S/;
            $faults .= "$current->{column} $current->{type}: $line\n" if !$is_right;
        }
        cmp_ok($seen, '>=', scalar(@cases), "$function: each type was tried");
        (my $trigger = $use->{trigger}) =~ s/ ON %s.*FUNCTION claude_gpt\.\w+/ /;
        is($faults, '', "$function $trigger: each type is read and written right, or refused");
    }
}

# The inputs that crashed the server, gave away its memory or stored garbage; and a bigint that is no integer.
for my $attack (
    [ 'CREATE TABLE hers.a (a int8)', q{CREATE TRIGGER x BEFORE INSERT ON hers.a FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('a in foo bar')}, 'INSERT INTO hers.a VALUES (12345)', '42804' ],
    [ 'CREATE TABLE hers.a (id int8, conversation_id uuid, parent_message_id uuid, status text, prompt_tokens int, completion_tokens int, total_tokens int, cost numeric, created_at text)',
        'CREATE TRIGGER x AFTER INSERT ON hers.a REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.maintain_conversation_counters()',
        q{INSERT INTO hers.a VALUES (94000000000000, '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b', 'sent', 1, 1, 2, 0, 'a heap pointer')}, '42804' ],
    [ 'CREATE TABLE hers.a (updated_at numeric)', 'CREATE TRIGGER x BEFORE INSERT ON hers.a FOR EACH ROW EXECUTE FUNCTION claude_gpt.update_updated_at_column()', 'INSERT INTO hers.a VALUES (1)', '42804' ],
    [ 'CREATE TABLE hers.a (id uuid, conversation_id uuid, parent_message_id uuid, status text, prompt_tokens int, completion_tokens int, total_tokens bigint, cost numeric, created_at timestamptz)',
        'CREATE TRIGGER x AFTER INSERT ON hers.a REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.maintain_conversation_counters()',
        q{INSERT INTO hers.a VALUES ('00000000-0000-4000-8000-000000000101', '00000000-0000-4000-8000-00000000000a', NULL, 'sent', 1, 1, 2147483648, 0, now())}, '22003' ])
{
    my ($status, $out, $err) = $node->psql('postgres', join(";\n", @$attack[ 0 .. 2 ]), extra_params => [ '-U', 'mallory', '-v', 'VERBOSITY=sqlstate' ]);
    like($err, qr/ERROR:  $attack->[3]/, $attack->[2]);
    $node->safe_psql('postgres', 'DROP TABLE hers.a', extra_params => [ '-U', 'mallory' ]);
}

# A column that is generated has no default to evaluate.
$node->safe_psql('postgres', q{
    CREATE ROLE app LOGIN; CREATE TABLE hers.a (b integer, a integer GENERATED ALWAYS AS (b + 1) STORED); GRANT USAGE ON SCHEMA hers TO app; GRANT ALL ON hers.a TO app;
    ALTER TABLE hers.a OWNER TO mallory;
    CREATE TRIGGER x BEFORE INSERT OR UPDATE ON hers.a FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.enforce_column_rules('a maintained')});
is($node->safe_psql('postgres', 'INSERT INTO hers.a VALUES (1) RETURNING a', extra_params => [ '-U', 'app' ]), '2', 'a generated column may be maintained');

is($node->safe_psql('postgres', q{SELECT message_count, total_tokens, total_cost, last_message_at = created_at FROM claude_gpt_data.conversations}, extra_params => [ '-U', 'mallory' ]), '10|100|5.000000000|t', 'no conversation has counted anything of it');
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $postmaster, 'the server was never restarted');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/terminated by signal|XX000|unrecognized|PANIC/, 'and no process of it ended');
$node->stop;
done_testing();
