# Days of an application as a script for psql, made from a seed: every function that reads or writes the rows of users, what
# applications do with the tables themselves, and what administrators do meanwhile. Two databases that were prepared alike
# and play the same script differ in nothing but the ids and times that are made on the way, which SamePlay compares.
#   GeneratedPlay::prepare($node, 'database');       # what a play begins with
#   my $play = GeneratedPlay->new($seed, $calls);    # the same for the same two numbers, on every machine
#   $play->script; $play->script($steps);            # whole, or of its first steps alone; the end is the same
#   $play->closing                                   # the end alone: what has no rows on a healthy database, and all rows
#   $play->latest                                    # the latest moment that its clock shows
# A line "@17 name" is printed before call 17. What a call makes is kept in variables of psql, for later calls to name:
# of user 1, c1_0 is a conversation, q1_0 and a1_0 the newest question and reply of a turn, t1_0 its reservation, r1_0 one
# that is of no turn, m1_0 a message.
package GeneratedPlay;
use strict;
use warnings;

my ($users, $slots) = (6, 2);

# The clock is held in a year in which this is not run, so that what it says differs from the times of transactions.
my $first_year = 2090;
my %plans = (
    wide => '{"free": {"messagesPerMonth": 400, "tokensPerMonth": 20000, "apiCallsPerMonth": 150, "costPerMonth": 90000}, "base": {"messagesPerMonth": 900, "models": ["m"]}, "pro": {"messagesPerMonth": -1}}',
    narrow => '{"free": {"messagesPerMonth": 20, "tokensPerMonth": 900, "apiCallsPerMonth": 15, "costPerMonth": 6, "maxConcurrentTurns": 2}, "base": {"messagesPerMonth": 40, "maxConcurrentTurns": 1, "tokensPerMonth": 3000}, "pro": {"messagesPerMonth": 200, "apiCallsPerMonth": 60}}',
    other => '{"free": {"messagesPerMonth": 200, "costPerMonth": 20}, "base": {"messagesPerMonth": 70, "models": ["m", "n"]}, "pro": {"messagesPerMonth": -1, "costPerMonth": 12345678901}, "team": {"messagesPerMonth": 5}}');

sub prepare
{
    my ($node, $database) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->safe_psql($database, qq{
        CREATE EXTENSION claude_gpt; CREATE EXTENSION amcheck;
        UPDATE claude_gpt_data.system_configs SET config_value = '$plans{wide}' WHERE config_key = 'subscription_plans';
        UPDATE claude_gpt_data.system_configs SET config_value = '{"m": {"prompt": 1000, "completion": 3000, "cachedPrompt": 100, "cacheWrite": 1250}, "n": {"prompt": 0.5, "completion": 2}}' WHERE config_key = 'model_prices';
        UPDATE claude_gpt_data.system_configs SET is_active = false WHERE config_key = 'rate_limits';
        CREATE TABLE public.log (n bigint GENERATED ALWAYS AS IDENTITY, what text);
        CREATE FUNCTION public.log_row() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN INSERT INTO public.log (what) VALUES (concat_ws(' ', TG_OP, TG_TABLE_NAME)); RETURN NULL; END\$\$;
        CREATE FUNCTION public.leave_row() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN RETURN NEW; END\$\$;
        CREATE FUNCTION public.meter_session() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN PERFORM claude_gpt.consume_quota(NEW.user_id, 'api_call'); RETURN NULL; END\$\$;
        GRANT ALL ON public.log TO app, keeper;
        SELECT claude_gpt.grant_application_access('app')});
    return;
}

sub new
{
    my ($class, $seed, $calls) = @_;
    my $self = bless { seed => $seed, steps => [], call_count => 0, second => 0, first_of_key => {}, filled => {}, undo => [], undone => [], message_ids => 0 }, $class;
    srand($seed);
    $self->{month} = 12 * ($first_year + int rand 9) + int rand 12;
    # Each play has habits of its own: what is rare in one is frequent in another.
    my %kinds = $self->kinds;
    $self->{bag} = [ map { my $weight = $kinds{$_}[0] * pick(0, 1, 1, 1, 2, 4); ($_) x $weight } sort keys %kinds ];
    $self->{bag} = [ map { ($_) x $kinds{$_}[0] } sort keys %kinds ] unless @{ $self->{bag} };
    $self->{kinds} = \%kinds;
    $self->{transactions} = pick(0, 8, 8, 15, 40);
    $self->{changes_tables} = pick(0, 0, 1);
    $self->{opening} = $self->opening;
    while ($self->{call_count} < $calls) { $self->next_step }
    return $self;
}

sub script
{
    my ($self, $steps) = @_;
    my @steps = @{ $self->{steps} };
    $#steps = $steps - 1 if defined $steps && $steps < @steps;
    return join '', $self->{opening}, (map { $_->{text} } @steps), $self->closing(scalar @steps);
}

sub latest { my ($self) = @_; return $self->{latest} }
sub pick { return $_[ rand @_ ] }
sub up_to { my ($most) = @_; return int rand($most + 1) }
sub one_in { my ($n) = @_; return rand($n) < 1 }
sub id { my ($n, $kind) = @_; return sprintf "'00000000-0000-4000-%s-%012d'", $kind // '8000', $n }

# --- What a play begins and ends with.

sub opening
{
    my ($self) = @_;
    my $text = "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT never\n\\unset ECHO\nSET client_min_messages = notice;\nSET statement_timeout = '10min';\n";
    $text .= "\\set ON_ERROR_ROLLBACK on\n" if one_in(4);
    my @conversations;
    for my $u (1 .. $users)
    {
        for my $n (0 .. $slots)
        {
            $text .= "\\set $_${u}_$n 'ffffffff-0000-4000-8000-000000000000'\n" for qw(q a m t r);
            my $c = id(10 * $u + $n, 'a000');
            $text .= "\\set c${u}_$n $c\n";
            $self->{filled}{"c${u}_$n"} = 1;
            push @conversations, "($c, " . id($u) . ')';
        }
    }
    $text .= "SELECT claude_gpt.set_owner('keeper');\n" if one_in(3);
    $text .= $self->clock;
    $text .= $self->user_row($_) . ";\n" for 1 .. $users;
    return $text . 'INSERT INTO claude_gpt_data.conversations (id, user_id) VALUES ' . join(', ', @conversations) . ";\n";
}

sub user_row
{
    my ($self, $u) = @_;
    return "INSERT INTO claude_gpt_data.users (id, email, full_name, subscription_tier) VALUES (" . id($u) . ", 'u$u\@x', " . pick('NULL', "'User $u'") . ", '" . pick(qw(free free base pro)) . "')";
}

sub closing
{
    my ($self, $steps, $latest) = @_;
    my $undone = [ map { $_->[1] } grep { !defined $steps || $_->[2] < $steps } @{ $self->{undone} }, @{ $self->{undo} } ];
    my $text = "\@end of the calls\nROLLBACK;\nRESET ALL;\n\\set ON_ERROR_ROLLBACK off\nSET client_min_messages = warning;\n" . join '', map { "$_;\n" } @$undone;
    $text .= "UPDATE claude_gpt_data.system_configs SET config_value = 'true', is_active = true WHERE config_key = 'usage_ledger';\n" . hold_clock($latest // $self->{latest});  # what is later than that would be a wrong clock's
    my $data = "('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace)";
    $text .= "\@metrics\n" . join '', map { "SELECT m FROM claude_gpt.metrics('claude_gpt_${_}_total') AS m ORDER BY m.name, m.labels;\n" } qw(decisions denials usage usage_cost settlements);
    $text .= "\@usage_report_html\nSELECT substring(r FROM '<h3>Models</h3>(.*?)</section>'), substring(r FROM '<h2>Quota pressure</h2>(.*)<h2>People</h2>') FROM claude_gpt.usage_report_html((now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + 1) AS r;\n" if $self->{seed} % 4 == 0;
    $text .= "\@reset_rate_limits\nSELECT claude_gpt.reset_rate_limits();\n";
    # What begins with "no" has no rows, whichever way was gone.
    my %none = (
        'no difference that prove_books finds' => 'SELECT * FROM claude_gpt.prove_books()',
        'no conversation whose counters are not those of its messages' => q{SELECT c.id, c.message_count, c.total_tokens, c.total_cost, c.last_message_at, m.* FROM claude_gpt_data.conversations AS c CROSS JOIN LATERAL (SELECT count(*) AS messages, COALESCE(sum(COALESCE(total_tokens, COALESCE(prompt_tokens, 0) + COALESCE(completion_tokens, 0))), 0) AS tokens, COALESCE(sum(cost), 0) AS cost, max(created_at) AS newest FROM claude_gpt_data.messages WHERE conversation_id = c.id AND status <> 'deleted') AS m WHERE (c.message_count, c.total_tokens, c.total_cost) IS DISTINCT FROM (m.messages, m.tokens, m.cost) OR m.newest <> c.last_message_at ORDER BY c.id},
        'no user whose holds are not those of his open reservations' => q{SELECT u.id, u.held_message_count, u.held_token_count, u.held_cost, r.* FROM claude_gpt_data.users AS u CROSS JOIN LATERAL (SELECT COALESCE(sum(message_count), 0) AS messages, COALESCE(sum(token_count), 0) AS tokens, COALESCE(sum(cost), 0) AS cost FROM claude_gpt_data.usage_reservations WHERE user_id = u.id AND status = 'open') AS r WHERE (u.held_message_count, u.held_token_count, u.held_cost) IS DISTINCT FROM (r.messages, r.tokens, r.cost) ORDER BY u.id},
        'no B-tree that lacks an entry' => qq{SELECT count(bt_index_check(c.oid, true)) FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid JOIN pg_am AS m ON m.oid = c.relam WHERE m.amname = 'btree' AND c.relkind = 'i' AND i.indrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN $data) HAVING count(bt_index_check(c.oid, true)) < 40},
        'no fault in a page' => qq{SELECT c.oid::regclass, h.* FROM pg_class AS c CROSS JOIN LATERAL verify_heapam(c.oid) AS h WHERE c.relkind = 'r' AND c.relnamespace IN $data ORDER BY c.relname},
        'nothing in the way of direct access' => q{SELECT * FROM claude_gpt_internal.direct_access() AS d WHERE d.obstacle <> 'it is no plain table' AND current_setting('claude_gpt.direct_access')::boolean});
    $text .= "\@$_\n$none{$_};\n" for sort keys %none;
    # BRIN and GIN, which amcheck does not know.
    my @found = ([ 'usage_records', "created_at > '2000-01-01'" ], [ 'usage_records', "billing_period > '2000-01-01'" ], [ 'messages', "created_at > '2000-01-01'" ], [ 'usage_reservations', "expires_at > '2000-01-01'" ], [ 'messages', "is_searchable AND to_tsvector('pg_catalog.english', left(content, 50000)) @@ 'word'::tsquery" ]);
    my $ids = 'ROW(' . join(', ', map { "(SELECT array_agg(id ORDER BY id) FROM claude_gpt_data.$_->[0] WHERE $_->[1])" } @found) . ')::text';
    $text .= "\@no row that an index does not find\nSET enable_seqscan = off;\nSELECT $ids AS by_index \\gset\nSET enable_seqscan = on;\nSET enable_bitmapscan = off;\nSET enable_indexscan = off;\nSELECT 'other rows' WHERE $ids <> :'by_index';\nRESET enable_bitmapscan;\nRESET enable_indexscan;\n";
    # Every table that there is.
    $text .= q{SELECT format('SELECT %L', '@rows of ' || c.relname), format('SELECT t FROM claude_gpt_data.%I AS t ORDER BY %s', c.relname, COALESCE((SELECT string_agg(format('t.%I', a.attname), ', ' ORDER BY a.attnum) FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = c.oid AND i.indisprimary), 't::text')) FROM pg_class AS c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'claude_gpt_data'::regnamespace ORDER BY c.relname} . " \\gexec\n";
    $text .= "\@rows of log\nSELECT l FROM public.log AS l ORDER BY l.n;\n\@end\n";
    $text =~ s/^\@(.*)$/\\echo \@$1/mg;
    return $text;
}

# --- Steps: what is committed as one.

sub next_step
{
    my ($self) = @_;
    my $first = $self->{call_count} + 1;
    my $text = one_in(3) ? $self->clock : '';
    # What was done to tables is undone some steps later.
    my @due = grep { $_->[0] <= @{ $self->{steps} } } @{ $self->{undo} };
    if (@due)
    {
        $self->{undo} = [ grep { $_->[0] > @{ $self->{steps} } } @{ $self->{undo} } ];
        push @{ $self->{undone} }, @due;
        $text .= join '', map { $self->call('undo', $_->[1]) } @due;
    }
    elsif ($self->{changes_tables} && one_in(60)) { $text .= $self->change_of_tables }
    elsif (rand(100) < $self->{transactions}) { $text .= $self->transaction }
    elsif (one_in(30)) { $text .= $self->statement_of_many }
    else { $text .= join '', $self->calls_of($self->{bag}[ rand @{ $self->{bag} } ]) }
    # What later calls write over is seen now and then.
    $text .= $self->call('a row', pick('SELECT u FROM claude_gpt_data.users AS u ORDER BY u.id', 'SELECT c FROM claude_gpt_data.conversations AS c WHERE c.user_id = ' . id(1 + up_to($users - 1)) . ' ORDER BY c.id DESC LIMIT 3')) if one_in(10);
    push @{ $self->{steps} }, { text => $text, first => $first, last => $self->{call_count} };
    return;
}

sub hold_clock { my ($moment) = @_; return "SET claude_gpt.fixed_time = '$moment';\n" }

# A moment of the clock: on by seconds, now and then by hours or through the end of a month, seldom back.
sub clock
{
    my ($self) = @_;
    my $back = 0;
    if (one_in(150)) { $self->{month}++; $self->{second} = 0 }
    elsif (one_in(60)) { $self->{second} += up_to(7200) }
    elsif (one_in(60)) { $back = up_to(400) }
    # And stays there.
    elsif (one_in(60)) { $self->{second} -= up_to(400) }
    else { $self->{second} += up_to(3) }
    # The first minute of second 0 is the last of the month before.
    my $second = $self->{second} - $back - 30;
    my ($month, $day) = ($self->{month}, 1);
    if ($second < 0) { $month--; $day = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[ $month % 12 ]; $second = 86400 + $second }
    if ($second >= 86400) { $day += int($second / 86400); $second %= 86400; $day = 28 if $day > 28 }
    my $moment = sprintf '%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', int($month / 12), $month % 12 + 1, $day, int($second / 3600), int($second / 60) % 60, $second % 60, up_to(3);
    $self->{latest} = $moment if ($self->{latest} // '') lt $moment;
    return hold_clock($moment);
}

sub transaction
{
    my ($self) = @_;
    my $isolation = one_in(12) ? pick(' READ ONLY', ' ISOLATION LEVEL REPEATABLE READ READ ONLY') : pick('', '', '', '', ' ISOLATION LEVEL REPEATABLE READ', ' ISOLATION LEVEL SERIALIZABLE');
    my $text = "BEGIN$isolation;\n";
    $self->{filled_now} = [];
    my $setting = one_in(8) ? pick("SET LOCAL ROLE app;\n", "SET LOCAL session_replication_role = replica;\n", "SET LOCAL enable_indexscan = off;\nSET LOCAL enable_seqscan = off;\n", "SET LOCAL timezone = 'Asia/Shanghai';\n", "SET CONSTRAINTS ALL IMMEDIATE;\n", "SET LOCAL default_transaction_read_only = on;\n", "SET LOCAL search_path = claude_gpt_data, claude_gpt;\n") : '';
    $text .= $setting;
    # Triggers that count do not fire there.
    my $repair = $setting =~ /replica/ ? $self->call('repair_books', 'SELECT * FROM claude_gpt.repair_books()') : '';
    my @open;
    for (0 .. up_to(4))
    {
        if (one_in(4)) { push @open, 's' . @open; $text .= "SAVEPOINT $open[-1];\n" }
        $text .= $_ for $self->calls_of($self->{bag}[ rand @{ $self->{bag} } ]);
        if (@open && one_in(3)) { my $n = up_to($#open); $text .= pick('ROLLBACK TO', 'ROLLBACK TO', 'RELEASE') . " $open[$n];\n"; $#open = $n if one_in(2) }
    }
    return $text . $self->ended_by('COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK') . $repair unless one_in(25);
    my $name = 'p' . $self->{call_count};
    return $text . "PREPARE TRANSACTION '$name';\n" . pick('COMMIT', 'ROLLBACK') . " PREPARED '$name';\n$repair";
}

# Several calls in one statement, a cursor, or a block of a language.
sub statement_of_many
{
    my ($self) = @_;
    my $u = $self->user;
    my @metering = map { $self->metering($u) } 1 .. 3;
    my $n = up_to($slots);
    my ($v) = $u =~ /(\d)'$/;
    $v = 1 unless defined $v && $v >= 1 && $v <= $users;
    my $turn = $self->turn_arguments($u, $v, $n);
    return $self->call('calls in a statement', pick(
        'SELECT ' . join(', ', map { "(SELECT t FROM $_ AS t)" } @metering),
        "SELECT n, claude_gpt.consume_quota($u, 'token', n) FROM generate_series(1, 3) AS n",
        "SELECT u.id, claude_gpt.consume_quota(u.id, 'api_call') FROM claude_gpt_data.users AS u ORDER BY u.id",
        "UPDATE claude_gpt_data.users SET full_name = (claude_gpt.consume_quota(id)).reason WHERE id = $u",
        "UPDATE claude_gpt_data.users SET full_name = (claude_gpt.consume_quota(" . $self->user . ")).reason WHERE id = $u RETURNING full_name, monthly_message_count",
        "WITH b AS MATERIALIZED (SELECT * FROM claude_gpt.begin_turn($turn)) SELECT b.allowed, claude_gpt.complete_turn($u, b.reservation_id, 'whole', " . $self->ending . ') FROM b',
        "WITH r AS MATERIALIZED (SELECT * FROM claude_gpt.reserve_usage($u, 5)), s AS MATERIALIZED (SELECT r.*, claude_gpt.settle_usage($u, r.reservation_id, 1, 2, 0.5) AS s FROM r) SELECT s.s, claude_gpt.release_usage($u, s.reservation_id) FROM s",
        "INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, parent_message_id) SELECT b.conversation_id, $u, 'user', 'more', b.assistant_message_id FROM claude_gpt.begin_turn($turn) AS b RETURNING id",
        "WITH i AS (INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content) VALUES (:'c${v}_$n', $u, 'user', 'x') RETURNING id) SELECT i.id, claude_gpt.update_user_usage($u, 1, 3) FROM i",
        "DELETE FROM claude_gpt_data.messages WHERE id = :'q${v}_$n' RETURNING claude_gpt.update_user_usage(user_id, 0, 1)",
        "COPY (SELECT t FROM $metering[0] AS t) TO STDOUT",
        "DO \$\$ BEGIN PERFORM $metering[0]; BEGIN PERFORM $metering[1]; RAISE division_by_zero; EXCEPTION WHEN OTHERS THEN PERFORM $metering[2]; END; END \$\$",
        "DO \$\$ BEGIN FOR i IN 1 .. 4 LOOP BEGIN PERFORM claude_gpt.consume_quota($u, 'token', i); IF i % 2 = 0 THEN RAISE no_data_found; END IF; EXCEPTION WHEN no_data_found THEN NULL; END; END LOOP; END \$\$"), 2) if one_in(2);
    $self->{filled_now} = [];
    my $text = "BEGIN;\n" . $self->call('cursor', "DECLARE c CURSOR " . pick('', 'WITH HOLD ') . "FOR SELECT n, t FROM generate_series(1, 4) AS n, LATERAL (SELECT t FROM claude_gpt.consume_quota($u, 'token', n) AS t) AS t");
    $text .= $self->call('cursor', 'FETCH ' . pick(1, 2) . ' FROM c') . join('', $self->calls_of($self->{bag}[ rand @{ $self->{bag} } ])) . $self->call('cursor', 'FETCH ALL FROM c');
    return $text . $self->call('cursor', pick('CLOSE c', 'CLOSE ALL')) . $self->ended_by('COMMIT', 'ROLLBACK') . "CLOSE ALL;\n";
}

# What owners and superusers do with tables while calls go on, and what undoes it: some of it the executor alone can heed.
sub change_of_tables
{
    my ($self) = @_;
    my $table = 'claude_gpt_data.' . pick(qw(users users messages messages conversations usage_records usage_reservations idempotency_keys));
    my ($name) = $table =~ /(\w+)$/;
    my $key = $name eq 'idempotency_keys' ? 'user_id' : 'id';
    my $text = { users => 'full_name', messages => 'content', conversations => 'title', usage_records => 'model_used', usage_reservations => 'model_used', idempotency_keys => 'limit_name' }->{$name};
    my @lasting = (
        [ "ALTER TABLE $table ADD COLUMN note text" . pick('', " DEFAULT 'none'", " NOT NULL DEFAULT 'none'", ' DEFAULT clock_timestamp()::date::text'), "ALTER TABLE $table DROP COLUMN IF EXISTS note" ],
        [ "ALTER TABLE $table ADD COLUMN made text GENERATED ALWAYS AS (upper($text)) STORED", "ALTER TABLE $table DROP COLUMN IF EXISTS made" ],
        [ "ALTER TABLE $table ADD CONSTRAINT few CHECK ($text <> 'forbidden' AND $text <> 'q') NOT VALID", "ALTER TABLE $table DROP CONSTRAINT IF EXISTS few" ],
        [ "CREATE INDEX IF NOT EXISTS by_$name ON $table (" . pick("upper(left($text, 50))", "left($text, 50)", "$key) INCLUDE (created_at") . ')' . pick('', " WHERE $text IS NOT NULL"), "DROP INDEX IF EXISTS claude_gpt_data.by_$name" ],
        [ "CREATE OR REPLACE TRIGGER a_log AFTER INSERT OR UPDATE OR DELETE ON $table FOR EACH " . pick('ROW', 'STATEMENT') . ' EXECUTE FUNCTION public.log_row()', "DROP TRIGGER IF EXISTS a_log ON $table" ],
        [ "CREATE OR REPLACE TRIGGER z_leave BEFORE INSERT OR UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION public.leave_row()", "DROP TRIGGER IF EXISTS z_leave ON $table" ],
        [ 'CREATE OR REPLACE TRIGGER meter AFTER INSERT ON claude_gpt_data.user_sessions FOR EACH ROW EXECUTE FUNCTION public.meter_session()', 'DROP TRIGGER IF EXISTS meter ON claude_gpt_data.user_sessions' ],
        [ "ALTER TABLE $table ENABLE ROW LEVEL SECURITY" . pick('', ', FORCE ROW LEVEL SECURITY'), "ALTER TABLE $table DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY" ],
        [ "ALTER TABLE $table REPLICA IDENTITY FULL", "ALTER TABLE $table REPLICA IDENTITY DEFAULT" ],
        [ "DO \$\$ BEGIN CREATE PUBLICATION told FOR TABLE $table; ALTER TABLE $table REPLICA IDENTITY NOTHING; END \$\$", "DO \$\$ BEGIN DROP PUBLICATION IF EXISTS told; ALTER TABLE $table REPLICA IDENTITY DEFAULT; END \$\$" ],
        ($name =~ /users|messages|conversations/ ? [ "ALTER TABLE $table DISABLE TRIGGER update_${name}_updated_at", "ALTER TABLE $table ENABLE TRIGGER update_${name}_updated_at" ] : ()),
        ($key eq 'id' && $name ne 'usage_records' ? [ "CREATE TABLE public.of_$name (id uuid REFERENCES $table" . pick('', ' ON DELETE CASCADE', ' ON DELETE SET NULL') . ')', "DROP TABLE IF EXISTS public.of_$name" ] : ()),
        # A message may be of no conversation then.
        [ 'ALTER TABLE claude_gpt_data.messages DROP CONSTRAINT IF EXISTS messages_conversation_id_fkey', 'ALTER TABLE claude_gpt_data.messages ADD CONSTRAINT messages_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES claude_gpt_data.conversations (id) ON DELETE CASCADE NOT VALID' ],
        ($name eq 'usage_records' ? () : [ "CREATE RULE also AS ON INSERT TO $table DO ALSO INSERT INTO public.log (what) VALUES ('rule')", "DROP RULE IF EXISTS also ON $table" ]),
        ($name =~ /users|messages|conversations/ ? [ "ALTER TABLE $table ALTER COLUMN $text TYPE varchar(7000)", "ALTER TABLE $table ALTER COLUMN $text TYPE text" ] : ()));
    my $undo = pick(@lasting);
    my $do = $undo->[0];
    my @passing = ("VACUUM $table", "VACUUM FULL $table", "REINDEX TABLE $table", "ANALYZE $table", "ALTER TABLE $table ENABLE TRIGGER ALL", ($name eq 'usage_records' ? () : ("CLUSTER $table USING ${name}_pkey", "ALTER TABLE $table SET (fillfactor = " . pick(50, 80, 100) . ')', "REINDEX TABLE CONCURRENTLY $table")));
    # For good: nothing makes it one table again.
    return $self->call('table', "CALL claude_gpt.partition_table('messages', '1 year')") if one_in(25);
    return $self->call('table', pick(@passing)) if one_in(2);
    # One that is taken back may have been read meanwhile.
    $self->{filled_now} = [];
    return "BEGIN;\n" . $self->call('table', $do) . join('', $self->calls_of(pick(qw(begin consume message)))) . $self->taken_back if one_in(4);
    push @{ $self->{undo} }, [ @{ $self->{steps} } + 5 + up_to(25), $undo->[1], scalar @{ $self->{steps} } ];
    return $self->call('table', $do);
}

# The end of what began when filled_now was emptied. What was made and is taken back is not to be named often.
sub taken_back { my ($self) = @_; delete @{ $self->{filled} }{ @{ $self->{filled_now} } }; return "ROLLBACK;\n" }
sub ended_by { my ($self, @how) = @_; my $how = pick(@how); return $how eq 'ROLLBACK' ? $self->taken_back : "$how;\n" }

# --- Calls.

# One with its number, as psql prints it. `amount` is how many functions it calls.
sub call
{
    my ($self, $name, $sql, $amount) = @_;
    my $number = $self->{call_count} += $amount // 1;
    return "\\echo \@$number $name\n$sql;\n";
}

# One whose answer goes to variables: each is what the expression says, or what it was where that is NULL.
sub keeping_call
{
    my ($self, $name, $from, %kept) = @_;
    my $number = ++$self->{call_count};
    $self->{filled}{$_} = 1 for keys %kept;
    push @{ $self->{filled_now} }, keys %kept;
    my $columns = join ', ', "t::text AS answer", map { "COALESCE($kept{$_}, :'$_') AS $_" } sort keys %kept;
    return "\\echo \@$number $name\n\\set answer none\nWITH t AS ($from) SELECT $columns FROM t \\gset\n\\echo :answer\n";
}

sub calls_of
{
    my ($self, $kind) = @_;
    return $self->{kinds}{$kind}[1]->($self);
}

sub user { return one_in(60) ? pick('NULL', id($users + 1)) : id(1 + up_to($users - 1)) }
sub text { return pick("'q'", "'q'", "'q'", "'Ünïcödé 字'", "'word and word'", "repeat('x ', 1500)", one_in(5) ? "''" : "'forbidden'", one_in(4) ? "(SELECT string_agg(md5(n::text), ' ') FROM generate_series(1, 200) AS n)" : "E'two\\nlines'") }
sub cost { return pick('0', '0.25', '0.0000000004', '0.0000000005', '1.1234567894', '1e-12', '2.5', one_in(6) ? pick('-1', "'NaN'", '12345678901.5', 'NULL') : '0.125') }
sub model { return pick("'m'", "'m'", "'m'", "'n'", one_in(9) ? pick("''", 'NULL', "repeat('m', 256)") : "'m'") }
sub lifetime { return pick("'5 minutes'", "'5 minutes'", "'1 hour'", "'1 second'", "'10 seconds'", one_in(6) ? pick("'0 seconds'", "'2 days'", 'NULL') : "'24 hours'") }
sub metadata { return pick('NULL', 'NULL', q{'{"a": 1}'}, q{'{"b": [null, "ü"]}'}) }
sub parts { return pick('NULL', 'NULL', q{'[{"type": "text", "text": "ü"}]'}, q{'[{"type": "tool-call", "input": {"a": [1, {}]}}, {}]'}, one_in(9) ? q{'{"type": "text"}'} : q{'[]'}, one_in(5) ? "(SELECT jsonb_agg(jsonb_build_object('text', md5(n::text))) FROM generate_series(1, 300) AS n)" : 'NULL') }
# In place of the counts: what providers say.
sub usage
{
    my @counts = map { up_to(30) } 1 .. 4;
    my @calls = map { pick(qq{{"prompt_tokens": $counts[0], "completion_tokens": $counts[1], "completion_tokens_details": {"reasoning_tokens": $counts[2]}}}, qq{{"input_tokens": $counts[0], "cache_read_input_tokens": $counts[2], "cache_creation_input_tokens": $counts[3], "output_tokens": $counts[1]}},
        qq{{"promptTokenCount": $counts[0], "candidatesTokenCount": $counts[1], "thoughtsTokenCount": $counts[3]}}, one_in(8) ? 'null' : '{"inputTokens": 9, "outputTokens": 9}', one_in(20) ? '{"tokens": 1}' : '{"input_tokens": 2, "output_tokens": 3}') } 0 .. up_to(2);
    return "p_usage => '[" . join(', ', @calls) . "]'";
}
sub ending { my ($prompt, $completion) = (up_to(30), up_to(60)); return one_in(30) ? pick('-1, 1, NULL', 'NULL, 1, NULL', '2147483647, 2147483647, 0') : "$prompt, $completion, " . pick('NULL', cost()) }

# A user with one of his places for ids; seldom the place is another's.
sub place
{
    my ($self) = @_;
    my $u = 1 + up_to($users - 1);
    my $named = one_in(80) ? $self->user : id($u);
    my $of = one_in(25) ? 1 + up_to($users - 1) : $u;
    return ($named, $of, up_to($slots), $u);
}
# Most often one that a call has filled.
sub some_id
{
    my ($self, $kind, $u) = @_;
    return pick('NULL', id(99)) if one_in(60);
    my @filled = grep { $self->{filled}{"$kind${u}_$_"} } 0 .. $slots;
    return ":'$kind${u}_" . (@filled && !one_in(20) ? pick(@filled) : up_to($slots)) . "'";
}
# A reservation that the call will end, of a turn now and then.
sub ended { my ($self, $u, $n) = @_; my $r = $self->some_id(one_in($n + 1) ? 't' : 'r', $u); return one_in(4) ? $r : $self->emptied($r) }
sub emptied { my ($self, $variable) = @_; delete $self->{filled}{$1} if $variable =~ /^:'(\w+)'$/; return $variable }

# Four of five calls with a key repeat what was called with it first.
sub with_key
{
    my ($self, $function, $u, $arguments) = @_;
    return $arguments . ', p_idempotency_key => NULL' unless one_in(4);
    my $key = one_in(40) ? pick("''", "repeat('k', 256)") : "'k" . up_to(30) . "'";
    my $first = $self->{first_of_key}{"$function $u $key"} //= $arguments;
    return (one_in(5) ? $arguments : $first) . ", p_idempotency_key => $key";
}

sub metering
{
    my ($self, $u) = @_;
    return pick(
        'claude_gpt.consume_quota(' . $self->with_key('consume', $u, "$u, '" . pick(qw(message message token api_call), one_in(20) ? 'image' : 'token') . "', " . pick(1, 1, 2, 7, one_in(8) ? pick(0, 100, 'NULL', '9000000000000000') : 3) . ', ' . pick('NULL', model())) . ')',
        "claude_gpt.consume_quota($u)",
        "claude_gpt.update_user_usage($u, " . up_to(2) . ', ' . up_to(20) . ', ' . cost() . ')',
        'claude_gpt.record_usage(' . $self->with_key('record', $u, "$u, '" . pick(qw(message token api_call)) . "', " . up_to(3) . ', ' . pick('NULL', model()) . ', ' . cost()) . ')');
}

sub turn_arguments
{
    my ($self, $u, $of, $n) = @_;
    my $conversation = one_in($self->{filled}{"c${of}_$n"} ? 8 : 1.1) ? 'NULL' : ":'c${of}_$n'";
    $conversation = id(one_in(10) ? $self->{message_ids} : ++$self->{message_ids}, '9000') if one_in(12);
    my ($content, $parent, $message_id, $metadata) = (text(), 'NULL', 'NULL', metadata());
    $parent = pick(":'a${of}_$n'", ":'q${of}_$n'", $self->some_id('q', $of), $self->some_id('m', $of)) if one_in(4) && ($conversation ne 'NULL' || one_in(20));
    ($content, $parent, $metadata) = ('NULL', pick(":'q${of}_$n'", ":'q${of}_$n'", $self->some_id('a', $of)), one_in(10) ? $metadata : 'NULL') if one_in(8) && $conversation ne 'NULL';
    $message_id = id(one_in(10) ? $self->{message_ids} : ++$self->{message_ids}, '9000') if one_in(6) && $content ne 'NULL';
    return "$u, $conversation, $content, " . model() . ', ' . pick(0, up_to(40), up_to(40), one_in(10) ? -1 : 5) . ", $parent, $message_id, " . pick("'text'", "'text'", "'text'", "'image'", one_in(10) ? "''" : "'file'", "'tool_call'") . ", $metadata, " . lifetime() . creation($conversation);
}

# A conversation of an id that the application chose: one that is there, or a new one.
# As beneath: not beneath messages that lost their conversation.
sub creation
{
    my ($conversation) = @_;
    return '' unless one_in(8);
    my $may_be = "(EXISTS (SELECT FROM claude_gpt_data.conversations WHERE id = $conversation) OR NOT EXISTS (SELECT FROM claude_gpt_data.messages WHERE conversation_id = $conversation))";
    return ', p_create => ' . pick($may_be, $may_be, one_in(9) ? 'NULL' : 'false');
}

sub begin
{
    my ($self, $u, $of, $n) = @_;
    my $arguments = $self->with_key('begin', $u, $self->turn_arguments($u, $of, $n)) . (one_in(3) ? ', p_parts => ' . parts() : '');
    return $self->keeping_call('begin_turn', "SELECT * FROM claude_gpt.begin_turn($arguments)",
        "c${of}_$n" => 'conversation_id', "q${of}_$n" => 'message_id', "a${of}_$n" => 'assistant_message_id', "t${of}_$n" => 'reservation_id');
}
sub reserve
{
    my ($self, $u, $of, $n) = @_;
    my $arguments = $self->with_key('reserve', $u, "$u, " . pick(up_to(60), up_to(60), one_in(9) ? -1 : 0) . ', ' . pick(0, 1, 1, 2) . ', ' . pick('NULL', model()) . ', ' . lifetime());
    return $self->keeping_call('reserve_usage', "SELECT * FROM claude_gpt.reserve_usage($arguments)", "r${of}_$n" => 'reservation_id');
}
sub something_held { my ($self, $u, $of, $n) = @_; return (grep { $self->{filled}{"r${of}_$_"} } 0 .. $slots) ? '' : $self->reserve($u, $of, $n) }
sub end_of_turn
{
    my ($self, $u, $turn) = @_;
    $self->emptied($turn) unless one_in(4);
    return $self->call('complete_turn', "SELECT t FROM claude_gpt.complete_turn($u, $turn, " . text() . ', ' . (one_in(3) ? usage() . pick('', ', p_cost => ' . cost()) : $self->ending . pick('', ', ' . metadata(), ', p_cached_prompt_tokens => ' . up_to(2) . ', p_cache_write_tokens => ' . up_to(2))) . (one_in(3) ? ', p_parts => ' . parts() : '') . ') AS t') unless one_in(3);
    return $self->call('stop_turn', "SELECT t FROM claude_gpt.stop_turn($u, $turn, " . pick('NULL', text(), text()) . pick('', ', NULL, NULL, ' . cost(), ', ' . $self->ending . pick('', ', ' . metadata())) . ') AS t') if one_in(3);
    return $self->call('fail_turn', "SELECT t FROM claude_gpt.fail_turn($u, $turn, " . pick("'cut off'", "'cut off'", one_in(5) ? 'NULL' : "''") . pick('', '', ', 3, 4', ", 1, 2, 'what there was', 0.5", ', p_parts => ' . parts(), ', ' . usage(), ', p_content => ' . text()) . ') AS t');
}
sub some_turn { my ($self, $u, $of, $n) = @_; return (grep { $self->{filled}{"t${of}_$_"} } 0 .. $slots) ? '' : $self->begin($u, $of, $n) }
sub partial { my ($self, $u, $turn) = @_; return $self->call('save_partial', "SELECT claude_gpt.save_partial($u, $turn, " . text() . (one_in(3) ? ', ' . parts() : '') . ')') }

sub message_values
{
    my ($self, $u, $of, $n) = @_;
    my @parents = grep { $self->{filled}{"$_${of}_$n"} } qw(q a);
    my $id = one_in(5) ? id(one_in(20) ? $self->{message_ids} : ++$self->{message_ids}, '9000') : 'DEFAULT';
    return "($id, " . (one_in(20) ? $self->some_id('c', $of) : ":'c${of}_$n'") . ", $u, '" . pick(qw(user user assistant), one_in(20) ? 'robot' : 'system', qw(tool developer)) . "', " . text() . ', ' . pick('NULL', up_to(9), one_in(30) ? -1 : 7) . ', ' . pick('NULL', '0.25', '0.0000000004') . ", '" . pick(qw(sent sent stopped failed), one_in(5) ? 'deleted' : 'sending') . "', " . pick('NULL', 'NULL', @parents ? ":'" . pick(@parents) . "${of}_$n'" : 'NULL', one_in(9) ? $self->some_id('m', $of) : 'NULL') . ', ' . pick('DEFAULT', 'DEFAULT', "'2020-01-0" . (1 + up_to(8)) . "'", "'2099-12-31'") . ')';
}

sub config { my ($self, $key, $value) = @_; return $self->call('configuration', "UPDATE claude_gpt_data.system_configs SET config_value = '$value' WHERE config_key = '$key'") }

# name => [ weight, what writes the calls ]
sub kinds
{
    my $columns = '(id, conversation_id, user_id, role, content, total_tokens, cost, status, parent_message_id, created_at)';
    return (
        consume => [ 12, sub { my ($self) = @_; my $call = $self->metering($self->user); $self->call($call =~ /^claude_gpt\.(\w+)/, "SELECT t FROM $call AS t") } ],
        reserve => [ 6, sub { my ($self) = @_; $self->reserve($self->place) } ],
        settle => [ 5, sub { my ($self) = @_; my ($u, $of, $n) = $self->place;
            $self->something_held($u, $of, $n) . $self->call('settle_usage', "SELECT t FROM claude_gpt.settle_usage($u, " . $self->ended($of, 9) . ', ' . (one_in(4) ? usage() : $self->ending . ', ' . pick('NULL', $self->some_id('q', $of)) . ', ' . pick(0, 0, up_to(9)) . ', ' . pick(0, 0, up_to(9))) . ') AS t') } ],
        release => [ 3, sub { my ($self) = @_; my ($u, $of, $n) = $self->place; $self->something_held($u, $of, $n) . $self->call('release_usage', "SELECT claude_gpt.release_usage($u, " . $self->ended($of, 5) . ')') } ],
        extend => [ 3, sub { my ($self) = @_; my ($u, $of) = $self->place; $self->call('extend_usage', "SELECT claude_gpt.extend_usage($u, " . $self->some_id(pick('r', 't'), $of) . ', ' . lifetime() . ')') } ],
        recorded => [ 3, sub { my ($self) = @_; my ($u, $of) = $self->place;
            $self->call('record_usage', "SELECT t FROM claude_gpt.record_usage($u, '" . pick(qw(message token api_call), one_in(9) ? 'image' : 'token') . "', 1, " . pick('NULL', model()) . ', 0.25, ' . pick('NULL', $self->some_id(pick('q', 'm'), $of)) . ', ' . pick('NULL', $self->some_id('c', $of)) . ', ' . metadata() . ') AS t') } ],
        denied => [ 2, sub { my ($self) = @_; my $u = $self->user; $self->call('raise_if_denied', "SELECT d.allowed, d.used, claude_gpt.raise_if_denied(d) FROM claude_gpt.consume_quota($u, 'message', " . pick(1, 300) . ') AS d') } ],
        begin => [ 8, sub { my ($self) = @_; my ($u, $of, $n) = $self->place; $self->begin($u, $of, $n) } ],
        turn => [ 10, sub { my ($self) = @_; my ($u, $of, $n) = $self->place; my $text = $self->begin($u, $of, $n);
            $text .= $self->partial($u, ":'t${of}_$n'") for 1 .. up_to(2); $text . $self->end_of_turn($u, ":'t${of}_$n'") } ],
        'turn at once' => [ 4, sub { my ($self) = @_; my ($u, $of, $n) = $self->place;
            $self->{filled_now} = [];
            "BEGIN;\n" . $self->begin($u, $of, $n) . $self->partial($u, ":'t${of}_$n'") . $self->end_of_turn($u, ":'t${of}_$n'") . $self->ended_by('COMMIT', 'COMMIT', 'ROLLBACK') } ],
        # An application may do anything to what a turn has stored before the turn ends.
        'disturbed turn' => [ 3, sub { my ($self) = @_; my ($u, $of, $n) = $self->place; my $is_one = one_in(3); $self->{filled_now} = [] if $is_one;
            my ($q, $a, $c) = map { ":'$_${of}_$n'" } qw(q a c);
            my $text = ($is_one ? "BEGIN;\n" : '') . $self->begin($u, $of, $n) . $self->call('disturbance', pick(
                (map { "UPDATE claude_gpt_data.messages SET $_ WHERE id = $a" } 'user_id = ' . $self->user, 'user_id = ' . $self->user, "status = '" . pick(qw(sent stopped failed deleted)) . "'", "role = 'user'", "content_type = 'image'", "content_type = 'tool_call'", "role = 'tool'", 'parent_message_id = NULL', "created_at = created_at - interval '1 year'", "created_at = '2099-12-31'",
                    'total_tokens = 5, cost = 1', 'prompt_tokens = 2', "content = 'typed', metadata = '{\"z\": 1}'", 'is_searchable = true', 'conversation_id = ' . $self->some_id('c', $of) . ', parent_message_id = NULL', 'id = ' . id(++$self->{message_ids}, '9000')),
                "UPDATE claude_gpt_data.messages SET conversation_id = " . $self->some_id('c', $of) . " WHERE conversation_id = $c", "DELETE FROM claude_gpt_data.messages WHERE id = $a", "DELETE FROM claude_gpt_data.messages WHERE id = $q", "DELETE FROM claude_gpt_data.conversations WHERE id = $c",
                'UPDATE claude_gpt_data.conversations SET user_id = ' . $self->user . " WHERE id = $c", "UPDATE claude_gpt_data.conversations SET is_archived = true, title = 'x' WHERE id = $c"));
            $text .= $self->partial($u, ":'t${of}_$n'") if one_in(2);
            $text . $self->end_of_turn($u, ":'t${of}_$n'") . ($is_one ? $self->ended_by('COMMIT', 'COMMIT', 'ROLLBACK') : '') } ],
        partial => [ 4, sub { my ($self) = @_; my ($u, $of, $n) = $self->place; $self->some_turn($u, $of, $n) . $self->partial($u, $self->some_id(one_in(20) ? 'r' : 't', $of)) } ],
        ended => [ 8, sub { my ($self) = @_; my ($u, $of, $n) = $self->place; $self->some_turn($u, $of, $n) . $self->end_of_turn($u, $self->some_id(one_in(20) ? 'r' : 't', $of)) } ],
        feedback => [ 2, sub { my ($self) = @_; my ($u, $of) = $self->place; my $m = $self->some_id(pick('q', 'a', 'a', 'm'), $of); $self->call('set_message_feedback', "SELECT claude_gpt.set_message_feedback($u, $m, " . pick("'up'", "'down'", 'NULL', one_in(20) ? "'good'" : "'down'") . pick('', '', ', ' . text()) . ')') } ],
        files => [ 1, sub { my ($self) = @_; my ($u, $of) = $self->place; $self->call('files', "INSERT INTO claude_gpt_data.message_files (user_id, conversation_id, message_id, name, location) VALUES ($u, " . pick('NULL', $self->some_id('c', $of)) . ', ' . pick('NULL', $self->some_id(pick('q', 'a'), $of)) . ", 'a', 'k')") } ],
        'delete conversation' => [ 2, sub { my ($self) = @_; my ($u, $of) = $self->place; $self->call('delete_conversation', "SELECT claude_gpt.delete_conversation($u, " . $self->emptied($self->some_id('c', $of)) . ')') } ],
        reading => [ 12, sub { my ($self) = @_; my ($u, $of) = $self->place; $self->call(@{ pick(
            [ 'quota_status', "SELECT t FROM claude_gpt.quota_status($u) AS t" ],
            [ 'check_subscription_limit', "SELECT claude_gpt.check_subscription_limit($u, '" . pick(qw(message token api_call), one_in(5) ? 'image' : 'token') . "')" ],
            [ 'effective_tier', "SELECT claude_gpt.effective_tier($u)" ],
            [ 'list_conversations', "SELECT t FROM claude_gpt.list_conversations($u, " . pick('true', 'false', 'NULL') . ', ' . pick('NULL', $self->some_id('c', $of)) . ', ' . pick(1, 3, 10, one_in(9) ? pick(0, 1001, 'NULL') : 5) . ') AS t' ],
            [ 'conversation_messages', "SELECT t FROM claude_gpt.conversation_messages($u, " . $self->some_id('c', $of) . ', ' . pick('NULL', 'NULL', $self->some_id(pick('q', 'a', 'm'), $of)) . ', ' . pick(1, 3, 10, one_in(9) ? pick(0, 1001, 'NULL') : 5) . ') AS t' ],
            [ 'conversation_path', "SELECT t FROM claude_gpt.conversation_path($u, " . $self->some_id(pick('q', 'a', 'a', 'm'), $of) . ', ' . pick('NULL', 20, 100, one_in(9) ? 0 : 50) . ') AS t' ],
            [ 'current_billing_period', 'SELECT claude_gpt.current_billing_period()' ],
            [ 'a row', "SELECT u FROM claude_gpt_data.users AS u WHERE u.id = $u" ],
            [ 'a row', 'SELECT c FROM claude_gpt_data.conversations AS c WHERE c.id = ' . $self->some_id('c', $of) ],
            [ 'a row', 'SELECT m FROM claude_gpt_data.messages AS m WHERE m.id = ' . $self->some_id(pick('q', 'a', 'm'), $of) ],
            [ 'a row', 'SELECT r FROM claude_gpt_data.usage_reservations AS r WHERE r.id = ' . $self->some_id(pick('t', 'r'), $of) ],
            [ 'a sum', "SELECT usage_type, billing_period, count(*), sum(quantity), sum(cost) FROM claude_gpt_data.usage_records WHERE user_id = $u GROUP BY 1, 2 ORDER BY 1, 2" ],
            [ 'user_statistics', "SELECT s FROM claude_gpt_data.user_statistics AS s WHERE s.id = $u" ],
            [ 'conversation_summary', 'SELECT s FROM claude_gpt_data.conversation_summary AS s WHERE s.id = ' . $self->some_id('c', $of) ],
            [ 'prove_books', "SELECT * FROM claude_gpt.prove_books($u)" ]) }) } ],
        'reading seldom' => [ 1, sub { my ($self) = @_; $self->call(@{ pick([ 'prove_books', 'SELECT * FROM claude_gpt.prove_books()' ], [ 'repair_books', 'SELECT * FROM claude_gpt.repair_books()' ], [ 'plan_usage', 'SELECT p FROM claude_gpt_data.plan_usage AS p ORDER BY p.tier, p.limit_name' ],
            [ 'daily_usage', "SELECT d FROM claude_gpt_data.daily_usage AS d WHERE d.day >= (now() AT TIME ZONE 'UTC')::date - 1 ORDER BY d.billing_period, d.model_used" ]) }) } ],
        'damaged books' => [ 1, sub { my ($self) = @_; return '' unless one_in(3); my $u = $self->user;
            "BEGIN;\n" . $self->call('damage', pick("UPDATE claude_gpt_data.users SET total_message_count = total_message_count + 1, monthly_cost = monthly_cost + 1 WHERE id = $u", "UPDATE claude_gpt_data.users SET held_message_count = held_message_count + 1, next_hold_expiry = NULL WHERE id = $u", 'UPDATE claude_gpt_data.conversations SET message_count = message_count + 1'))
            . $self->call('repair_books', 'SELECT * FROM claude_gpt.repair_books(' . pick('', one_in(9) ? $u : '') . ')') . $self->call('repair_books', 'SELECT * FROM claude_gpt.repair_books()') . "COMMIT;\n" } ],
        subscription => [ 2, sub { my ($self) = @_; my $u = $self->user; my $month = $self->{month};
            $self->call('set_subscription', "SELECT claude_gpt.set_subscription($u, '" . pick(qw(free base pro pro), one_in(9) ? 'gold' : 'base') . "', '" . pick(qw(active active canceled past_due trialing), one_in(9) ? 'odd' : 'paused') . "', " . pick('NULL', sprintf("'%04d-%02d-02'", int($month / 12), $month % 12 + 1)) . ', ' . pick('true', 'false') . ", " . pick('NULL', "'sub_1'") . ')') } ],
        rate => [ 1, sub { my ($self) = @_; my $u = $self->user; $self->call(@{ pick([ 'check_rate_limit', "SELECT t FROM claude_gpt.check_rate_limit($u, " . pick(1, 0, 3) . ') AS t' ], [ 'rate_limit', "SELECT t FROM claude_gpt.rate_limit('login', 5, '1 minute') AS t" ], [ 'reset_user_rate_limit', "SELECT claude_gpt.reset_user_rate_limit($u)" ], [ 'reset_rate_limit', "SELECT claude_gpt.reset_rate_limit('login')" ]) }) } ],
        conversation => [ 3, sub { my ($self) = @_; my ($u, $of, $n) = $self->place; $self->keeping_call('new conversation', "INSERT INTO claude_gpt_data.conversations (user_id, title) VALUES ($u, " . text() . ') RETURNING *', "c${of}_$n" => 'id') } ],
        'changed conversation' => [ 2, sub { my ($self) = @_; my ($u, $of) = $self->place; my $c = $self->some_id('c', $of); $self->call('conversation', pick(
            "UPDATE claude_gpt_data.conversations SET title = " . text() . ", is_archived = NOT is_archived WHERE id = $c RETURNING id, is_archived", "UPDATE claude_gpt_data.conversations SET is_pinned = NOT is_pinned WHERE user_id = $u",
            # Not beneath messages that it left while their foreign key was dropped: nobody counts these.
            "INSERT INTO claude_gpt_data.conversations (id, user_id) SELECT $c, $u WHERE EXISTS (SELECT FROM claude_gpt_data.conversations WHERE id = $c) OR NOT EXISTS (SELECT FROM claude_gpt_data.messages WHERE conversation_id = $c) ON CONFLICT (id) DO UPDATE SET title = 'again'", "UPDATE claude_gpt_data.conversations SET user_id = " . $self->user . " WHERE id = $c")) } ],
        message => [ 6, sub { my ($self) = @_; my ($u, $of, $n) = $self->place; my $rows = one_in(4) ? up_to(3) : 0;
            return $self->call('new messages', "INSERT INTO claude_gpt_data.messages $columns VALUES " . join(', ', map { $self->message_values($u, $of, $n) } 0 .. $rows) . pick('', ' ON CONFLICT (id) DO NOTHING')) if $rows;
            $self->keeping_call('new message', "INSERT INTO claude_gpt_data.messages $columns VALUES " . $self->message_values($u, $of, $n) . ' RETURNING *', "m${of}_$n" => 'id') } ],
        'changed message' => [ 5, sub { my ($self) = @_; my ($u, $of) = $self->place; my $m = $self->some_id(pick('q', 'a', 'a', 'm'), $of); my $c = $self->some_id('c', $of); $self->call('message', 'UPDATE claude_gpt_data.messages SET ' . pick(
            "status = 'deleted'", "status = 'deleted'", "status = 'sent'", "status = '" . pick(qw(failed sending odd)) . "'", 'total_tokens = ' . pick('NULL', up_to(9)), 'cost = ' . cost(), 'content = ' . text(), "created_at = created_at - interval '1 year'", "conversation_id = $c", "conversation_id = $c, total_tokens = 4",
            'parent_message_id = ' . $self->some_id(pick('q', 'a', 'm'), $of), "role = '" . pick(qw(user assistant system)) . "'", 'is_searchable = NOT is_searchable', 'id = ' . id(++$self->{message_ids}, '9000'), 'user_id = ' . $self->user) . " WHERE id = $m" . pick('', ' RETURNING id, status, total_tokens')) } ],
        'changed messages' => [ 1, sub { my ($self) = @_; my ($u, $of) = $self->place; my ($c, $d) = ($self->some_id('c', $of), $self->some_id('c', $of)); $self->call('messages', pick(
            "UPDATE claude_gpt_data.messages SET total_tokens = COALESCE(total_tokens, 0) + 1 WHERE conversation_id = $c", "UPDATE claude_gpt_data.messages SET conversation_id = $d WHERE conversation_id = $c", "UPDATE claude_gpt_data.messages SET is_searchable = true WHERE user_id = $u",
            "DELETE FROM claude_gpt_data.messages WHERE conversation_id = $c AND role = '" . pick(qw(assistant user system)) . "'", "UPDATE claude_gpt_data.messages SET status = 'deleted' WHERE user_id = $u AND status = 'sending'",
            "INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content, total_tokens) SELECT $d, user_id, role, content, total_tokens FROM (SELECT * FROM claude_gpt_data.messages WHERE conversation_id = $c ORDER BY created_at, id LIMIT 3) AS m",
            "MERGE INTO claude_gpt_data.messages AS m USING (SELECT :'m${of}_0'::uuid AS id) AS s ON m.id = s.id WHEN MATCHED AND m.status = 'deleted' THEN DELETE WHEN MATCHED THEN UPDATE SET status = 'deleted', total_tokens = 3 WHEN NOT MATCHED THEN DO NOTHING")) } ],
        'deleted message' => [ 2, sub { my ($self) = @_; my ($u, $of) = $self->place; $self->call('message', 'DELETE FROM claude_gpt_data.messages WHERE id = ' . $self->some_id(pick('q', 'a', 'm'), $of)) } ],
        'deleted conversation' => [ 1, sub { my ($self) = @_; my ($u, $of) = $self->place; $self->call('conversation', 'DELETE FROM claude_gpt_data.conversations WHERE id = ' . $self->emptied($self->some_id('c', $of))) } ],
        account => [ 2, sub { my ($self) = @_; my $u = $self->user; $self->call('account', pick("UPDATE claude_gpt_data.users SET full_name = '" . up_to(9) . "', phone = repeat('1', " . 200 * up_to(3) . ") WHERE id = $u", "UPDATE claude_gpt_data.users SET email = 'U" . (1 + up_to(8)) . "\@X' WHERE id = $u", "UPDATE claude_gpt_data.users SET last_login_at = '2090-01-01', stripe_customer_id = 'cus_" . up_to(9) . "' WHERE id = $u", "UPDATE claude_gpt_data.users SET avatar_url = (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 100) AS n) WHERE id = $u")) } ],
        'deleted account' => [ 1, sub { my ($self) = @_; return '' unless one_in(3); my $u = 1 + up_to($users - 1); my $text = $self->call('account', 'DELETE FROM claude_gpt_data.users WHERE id = ' . id($u));
            for my $n (0 .. $slots) { delete $self->{filled}{"$_${u}_$n"} for qw(c q a m t r) }
            $text .= join '', $self->calls_of(pick(qw(begin consume reserve reading))) for 0 .. up_to(3); $text . $self->call('account', $self->user_row($u)) } ],
        session => [ 2, sub { my ($self) = @_; my $u = $self->user; $self->call(@{ pick(
            [ 'session', "INSERT INTO claude_gpt_data.user_sessions (user_id, session_token, expires_at) VALUES ($u, 's" . up_to(99) . "', '" . pick('2020-01-01', '2090-01-01', '2200-01-01') . "')" ],
            [ 'session', "UPDATE claude_gpt_data.user_sessions SET is_active = false WHERE user_id = $u" ],
            [ 'audit', "INSERT INTO claude_gpt_data.audit_logs (user_id, action, resource_type) VALUES ($u, 'login', 'user')" ],
            [ 'cleanup_expired_sessions', 'SELECT claude_gpt.cleanup_expired_sessions()' ]) }) } ],
        configuration => [ 1, sub { my ($self) = @_; my $key = pick(qw(subscription_plans subscription_plans usage_ledger usage_ledger rate_limits maintenance_mode billing_timezone subscription_grace model_prices idempotency_ttl));
            return '' if one_in(2);
            return $self->call('configuration', "UPDATE claude_gpt_data.system_configs SET is_active = " . pick('true', 'false', 'NOT is_active') . ", config_value = '{\"free\": " . pick(5, 60) . ", \"base\": 60, \"pro\": 300}' WHERE config_key = 'rate_limits'") if $key eq 'rate_limits';
            my $value = { subscription_plans => pick(@plans{qw(wide wide narrow other)}), usage_ledger => pick('true', 'true', 'false'), maintenance_mode => 'true', billing_timezone => pick('"UTC"', '"Asia/Shanghai"', '"America/New_York"'), subscription_grace => pick('"3 days"', '"0 days"', '"odd"'),
                model_prices => pick('{"m": {"prompt": 1000, "completion": 3000}, "n": {"prompt": 7, "completion": 7}}', one_in(3) ? '{}' : '{"m": {"prompt": 1, "completion": 2}}', '{"m": {"prompt": 1000.5, "completion": 0.25, "cachedPrompt": 1}}'), idempotency_ttl => pick('"24 hours"', '"1 second"') }->{$key};
            my $text = $self->config($key, $value);
            if ($key eq 'maintenance_mode') { $text .= join '', $self->calls_of(pick(qw(begin consume reserve))) for 0 .. 1; $text .= $self->config($key, 'false') }
            $text } ],
        job => [ 1, sub { my ($self) = @_; return '' unless one_in(3); $self->call('job', "CALL claude_gpt.run_job('" . pick(qw(reservation_sweep reservation_sweep monthly_reset session_cleanup idempotency_prune audit_prune usage_prune)) . "')") } ]);
}

1;
