# mallory, who owns the tables and puts code of his wherever PostgreSQL lets him. What that code saw is kept in sequences,
# which no rollback takes back: whether it ran (of which kind), ran as somebody else, ran as a superuser.
#   my $owner = HostileOwner->new($node, 'attacked');   # makes the role and the schema evil
#   $owner->arm('immediate', @tables);
#   is($owner->gained, '');                             # since the last time
package HostileOwner;
use strict;
use warnings;
use PsqlSession;

# Code that a cancellation does not end, for a schema evil of its own.
our $stay = q{
    CREATE FUNCTION evil.stay() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        LOOP
            BEGIN
                LOOP PERFORM pg_catalog.pg_sleep(60); END LOOP;
            EXCEPTION WHEN query_canceled OR OTHERS THEN NULL;
            END;
        END LOOP;
    END $$;
    CREATE FUNCTION evil.stay_in_trigger() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM evil.stay(); END$$;
    CREATE FUNCTION evil.stay_in_view() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM evil.stay(); END$$;
};

our @kinds = qw(row_trigger statement_trigger constraint_trigger policy default generated check domain index_expression index_predicate statistics view cast function operator);

# A text column of each table; generated columns and index expressions read it.
our %column = (users => 'full_name', messages => 'content', message_feedback => 'comment', message_files => 'name', system_configs => 'description', conversations => 'title', usage_records => 'model_used',
    subscription_history => 'subscription_tier', user_sessions => 'device_name', audit_logs => 'action', application_grants => 'level', claude_gpt_migrations => 'name', usage_balances => 'usage_type',
    usage_reservations => 'status', idempotency_keys => 'idempotency_key', jobs => 'engine', job_runs => 'message');

sub new
{
    my ($class, $node, $database) = @_;
    my $self = bless { node => $node, database => $database }, $class;
    my $superuser = $node->safe_psql($database, 'SELECT quote_ident(current_user)');
    $node->safe_psql($database, 'CREATE SCHEMA evil AUTHORIZATION mallory; GRANT USAGE ON SCHEMA evil TO PUBLIC; GRANT CREATE ON SCHEMA public TO mallory');
    $self->run(qq{
        CREATE SEQUENCE evil.ran; CREATE SEQUENCE evil.as_other; CREATE SEQUENCE evil.as_superuser; CREATE SEQUENCE evil.did; CREATE SEQUENCE evil.tried;
        } . join('', map { "CREATE SEQUENCE evil.struck_$_; " } @kinds, 'deferred_trigger', 'rule', 'own_trigger') . qq{
        GRANT ALL ON ALL SEQUENCES IN SCHEMA evil TO PUBLIC;
        CREATE FUNCTION evil.look() RETURNS void LANGUAGE plpgsql AS \$\$
        BEGIN
            IF current_user OPERATOR(pg_catalog.<>) 'mallory' THEN PERFORM pg_catalog.nextval('evil.as_other'); END IF;
            IF (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) current_user) THEN PERFORM pg_catalog.nextval('evil.as_superuser'); END IF;
        END \$\$;
        -- p_kind: what called it. Who runs it is seen each time; what he may do there is tried three times.
        CREATE FUNCTION evil.strike(p_kind text) RETURNS void LANGUAGE plpgsql AS \$\$
        DECLARE
            attempt text;
        BEGIN
            PERFORM pg_catalog.nextval('evil.ran'), pg_catalog.nextval(pg_catalog.concat('evil.struck_', p_kind));
            PERFORM evil.look();
            IF session_user OPERATOR(pg_catalog.=) 'mallory' OR pg_catalog.nextval('evil.tried') OPERATOR(pg_catalog.>) 3 THEN RETURN; END IF;
            -- Must fail.
            FOREACH attempt IN ARRAY ARRAY['ALTER ROLE mallory SUPERUSER', 'RESET ROLE', 'SET ROLE $superuser', 'SET ROLE NONE', 'RESET SESSION AUTHORIZATION', 'SET LOCAL ROLE $superuser',
                                           'SET SESSION AUTHORIZATION DEFAULT', 'SET SESSION AUTHORIZATION $superuser', 'CREATE ROLE eve SUPERUSER', 'COPY (SELECT 1) TO PROGRAM ''true''',
                                           'SET session_replication_role = replica; SET session_replication_role = origin', 'SET claude_gpt.fixed_time = ''2001-01-01T00:00:00Z''', 'UPDATE pg_catalog.pg_authid SET rolsuper = true',
                                           'CREATE FUNCTION claude_gpt.grant_application_access(text) RETURNS void LANGUAGE sql AS ''''', 'CREATE FUNCTION claude_gpt_internal.html_text(varchar) RETURNS text LANGUAGE sql AS '''''] LOOP
                BEGIN
                    EXECUTE attempt;
                    PERFORM pg_catalog.nextval('evil.did');
                EXCEPTION WHEN OTHERS THEN NULL;
                END;
                PERFORM evil.look();
            END LOOP;
            -- May succeed, if it leaves nothing that the caller steps on.
            FOREACH attempt IN ARRAY ARRAY['DECLARE evil_cursor CURSOR WITH HOLD FOR SELECT evil.look()', 'CREATE TEMP TABLE IF NOT EXISTS audit_logs (id integer)', 'PREPARE evil_statement AS SELECT 1',
                                           'LISTEN evil', 'SET search_path = evil, pg_catalog'] LOOP
                BEGIN
                    EXECUTE attempt;
                EXCEPTION WHEN OTHERS THEN NULL;
                END;
            END LOOP;
        END \$\$;
        CREATE FUNCTION evil.trigger() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN PERFORM evil.strike(TG_ARGV[0]); RETURN COALESCE(NEW, OLD); END \$\$;
        CREATE FUNCTION evil.yes(p_kind text) RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN PERFORM evil.strike(p_kind); RETURN true; END \$\$;
        CREATE FUNCTION evil.always(p_kind text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN PERFORM evil.strike(p_kind); RETURN true; END \$\$;
        CREATE FUNCTION evil.pass(p_kind text, p_text text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN PERFORM evil.strike(p_kind); RETURN p_text; END \$\$;
        -- Casts have no schema.
        CREATE TYPE evil.thing AS (x integer);
        CREATE FUNCTION evil.integer_of(evil.thing) RETURNS integer LANGUAGE plpgsql AS \$\$ BEGIN PERFORM evil.strike('cast'); RETURN 1; END \$\$;
        CREATE FUNCTION evil.text_of(evil.thing) RETURNS text LANGUAGE plpgsql AS \$\$ BEGIN PERFORM evil.strike('cast'); RETURN '1'; END \$\$;
        CREATE CAST (evil.thing AS integer) WITH FUNCTION evil.integer_of(evil.thing) AS IMPLICIT;
        CREATE CAST (evil.thing AS text) WITH FUNCTION evil.text_of(evil.thing) AS IMPLICIT;
        CREATE TABLE evil.mine (thing evil.thing);
        INSERT INTO evil.mine VALUES (ROW(1)::evil.thing);
        GRANT ALL ON evil.mine TO PUBLIC});
    return $self;
}

# He logs in: in a superuser's session SET ROLE would leave him the way back.
sub run
{
    my ($self, $statements) = @_;
    return $self->{node}->safe_psql($self->{database}, "SET client_min_messages = error; $statements", extra_params => [ '-U', 'mallory' ]);
}

sub tables
{
    my ($self) = @_;
    return split /\n/, $self->{node}->safe_psql($self->{database}, q{SELECT relname FROM pg_class WHERE relnamespace = 'claude_gpt_data'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1});
}

my %weapons = (
    immediate => sub {
        my ($table) = @_;
        my $column = $column{$table} // die "no column of $table";
        return map { s/%T/claude_gpt_data.$table/gr } (
            (map { ("CREATE TRIGGER a_evil_row_\L$_\E $_ INSERT OR UPDATE OR DELETE ON %T FOR EACH ROW EXECUTE FUNCTION evil.trigger('row_trigger')",
                    "CREATE TRIGGER a_evil_statement_\L$_\E $_ INSERT OR UPDATE OR DELETE OR TRUNCATE ON %T FOR EACH STATEMENT EXECUTE FUNCTION evil.trigger('statement_trigger')") } qw(BEFORE AFTER)),
            "CREATE CONSTRAINT TRIGGER z_evil AFTER INSERT OR UPDATE OR DELETE ON %T FOR EACH ROW EXECUTE FUNCTION evil.trigger('constraint_trigger')",
            'ALTER TABLE %T ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
            "CREATE POLICY evil ON %T USING (evil.yes('policy')) WITH CHECK (evil.yes('policy'))",
            "ALTER TABLE %T ADD COLUMN evil_default boolean DEFAULT evil.yes('default'), ADD COLUMN evil_generated text GENERATED ALWAYS AS (evil.pass('generated', $column\::text)) STORED,
                ADD COLUMN evil_thing evil.thing DEFAULT ROW(1)::evil.thing, ADD CONSTRAINT evil_check CHECK (evil.yes('check'))",
            "CREATE INDEX evil_expression_$table ON %T (evil.pass('index_expression', $column\::text))",
            "CREATE INDEX evil_predicate_$table ON %T ($column) WHERE evil.always('index_predicate')",
            "CREATE STATISTICS claude_gpt_data.evil_$table ON (evil.pass('statistics', $column\::text) || evil.pass('statistics', 'x')) FROM %T");
    },
    deferred => sub { return "CREATE CONSTRAINT TRIGGER y_evil AFTER INSERT OR UPDATE OR DELETE ON claude_gpt_data.$_[0] DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil.trigger('deferred_trigger')" },
    rules => sub { my ($table) = @_; return map { "CREATE RULE evil_\L$_\E AS ON $_ TO claude_gpt_data.$table DO ALSO SELECT evil.strike('rule')" } qw(INSERT UPDATE DELETE) });

sub arm
{
    my ($self, $kind, @tables) = @_;
    $self->run(join '; ', map { $weapons{$kind}->($_) } @tables);
    $self->set_domains(@tables) if $kind eq 'immediate';
    return;
}

# Of every column that nothing else depends on.
sub set_domains
{
    my ($self, @tables) = @_;
    my $list = join ',', @tables;
    $self->run(qq{DO \$do\$
        DECLARE
            c record;
        BEGIN
            FOR c IN SELECT a.attrelid::regclass AS relation, a.attname, format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute AS a
                     WHERE a.attrelid IN (SELECT to_regclass('claude_gpt_data.' || t) FROM unnest(string_to_array('$list', ',')) AS t) AND a.attnum > 0 AND a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'jsonb'::regtype) AND a.attname NOT LIKE 'evil%'
            LOOP
                BEGIN
                    IF to_regtype(format('evil.%I', 'any ' || c.type)) IS NULL THEN EXECUTE format('CREATE DOMAIN evil.%I AS %s CHECK (evil.yes(%L))', 'any ' || c.type, c.type, 'domain'); END IF;
                    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE evil.%I', c.relation, c.attname, 'any ' || c.type);
                EXCEPTION WHEN feature_not_supported THEN NULL;
                END;
            END LOOP;
        END \$do\$});
    return;
}

# Views of ours become his own.
sub replace_views
{
    my ($self) = @_;
    $self->run(join '; ', map { "ALTER VIEW claude_gpt_data.$_ RENAME TO kept_$_; CREATE VIEW claude_gpt_data.$_ AS SELECT k.* FROM claude_gpt_data.kept_$_ AS k WHERE evil.yes('view')" }
        split /\n/, $self->{node}->safe_psql($self->{database}, q{SELECT relname FROM pg_class WHERE relnamespace = 'claude_gpt_data'::regnamespace AND relkind = 'v'}));
    return;
}

# What a careless name would find: beside the tables and in public.
sub set_traps
{
    my ($self) = @_;
    for my $schema ('claude_gpt_data', 'claude_gpt_partitions', 'public')
    {
        $self->run(join '; ', (map { "CREATE FUNCTION $schema.$_ LANGUAGE plpgsql AS \$\$BEGIN PERFORM evil.strike('function'); RETURN NULL; END\$\$" } 'lower(varchar) RETURNS text', 'format(text, name) RETURNS text',
                'now() RETURNS timestamptz', 'count(bigint) RETURNS bigint', 'to_regclass(varchar) RETURNS regclass', 'has_table_privilege(regclass, text) RETURNS boolean'),
            (map { my ($name) = /(\w+)/; ("CREATE FUNCTION $schema.equals_$name($_, $_) RETURNS boolean LANGUAGE sql AS \$\$SELECT evil.yes('operator')\$\$",
                "CREATE OPERATOR $schema.= (LEFTARG = $_, RIGHTARG = $_, FUNCTION = $schema.equals_$name)") } qw(uuid text varchar name oid integer bigint)),
            'SELECT 1');
    }
    # Of the names of the functions that people call, for arguments that a literal prefers.
    $self->run(join '; ', map { my $name = $_; map { "CREATE FUNCTION $_.$name(text, text DEFAULT NULL, text DEFAULT NULL) RETURNS void LANGUAGE sql AS \$\$SELECT evil.strike('function')\$\$" } 'claude_gpt_data', 'public' }
        split /\n/, $self->{node}->safe_psql($self->{database}, q{SELECT DISTINCT proname FROM pg_proc WHERE pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) ORDER BY 1}));
    return;
}

my $forget = q{SELECT setval('evil.ran', 1, false), setval('evil.as_other', 1, false), setval('evil.as_superuser', 1, false), setval('evil.did', 1, false), setval('evil.tried', 1, false)};

# What his code has gained since it was asked last: '', or words; and whether it ran.
sub gained
{
    my ($self) = @_;
    $self->{control} //= PsqlSession->new($self->{node}, $self->{database});
    $self->{control}->ask('SET search_path = pg_catalog') unless $self->{is_set}++;
    my ($ran, $as_other, $as_superuser, $did, $superusers) = split /\|/, $self->{control}->ask(q{SELECT r.is_called, o.is_called, s.is_called, d.is_called, (SELECT count(*) FROM pg_roles WHERE rolname IN ('mallory', 'eve') AND rolsuper) FROM evil.ran AS r, evil.as_other AS o, evil.as_superuser AS s, evil.did AS d});
    $self->{control}->ask($forget);
    $self->{ran} = $ran eq 't';
    if ($superusers ne '0') { $self->{control}->ask('ALTER ROLE mallory NOSUPERUSER; DROP ROLE IF EXISTS eve') }
    return join ', ', $superusers ne '0' ? 'made a superuser' : (), $as_superuser eq 't' ? 'ran as superuser' : (), $did eq 't' ? 'did what only others may' : (), $as_other eq 't' ? 'ran as another role' : ();
}
sub ran { my ($self) = @_; return $self->{ran} }

# The kinds that struck since it was asked last.
sub struck
{
    my ($self) = @_;
    $self->gained;
    my $found = $self->{control}->ask(join ' UNION ALL ', map { "SELECT '$_' FROM evil.struck_$_ WHERE is_called" } @kinds, 'deferred_trigger', 'rule', 'own_trigger');
    $self->{control}->ask('SELECT ' . join(', ', map { "setval('evil.struck_$_', 1, false)" } @kinds, 'deferred_trigger', 'rule', 'own_trigger'));
    return { map { $_ => 1 } split /\n/, $found };
}

sub close { my ($self) = @_; $self->{control}->close if $self->{control}; return }

1;
