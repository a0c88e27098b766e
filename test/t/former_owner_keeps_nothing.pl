# set_owner refuses while the tables stand on what the owner before could replace, fill or drop, and names it. Else it gives the new owner what he needs and takes from the former one what he had: EXECUTE, the schemas, and what he
# granted to others; roles with a recorded level keep theirs. A trigger that he has left on a table of his own writes nothing.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('owners');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nclaude_gpt.jobs = off\nshared_preload_libraries = 'claude_gpt'");
$node->start;
my $user = '00000000-0000-4000-8000-000000000001';
$node->safe_psql('postgres', qq{
    CREATE ROLE mallory LOGIN; CREATE ROLE heir LOGIN; CREATE ROLE app LOGIN; CREATE ROLE friend LOGIN;
    CREATE EXTENSION claude_gpt;
    SELECT claude_gpt.set_owner('mallory');
    SELECT claude_gpt.grant_application_access('app');
    GRANT CREATE ON SCHEMA public TO mallory;
    INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x');
    INSERT INTO claude_gpt_data.conversations (id, user_id) VALUES ('$user', '$user')});
sub as_role { my ($role, $sql) = @_; return join ' ', grep { $_ ne '' } map { s/^psql:<stdin>:\d+: //r } grep { !/^(LINE|DETAIL|HINT|CONTEXT|SQL|\s)/ } map { split /\n/ } ($node->psql('postgres', $sql, extra_params => [ '-U', $role ]))[1, 2] }

# He has friends, and triggers of ours on tables of his own.
as_role('mallory', q{
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA claude_gpt, claude_gpt_internal TO friend; GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA claude_gpt, claude_gpt_internal TO friend;
    CREATE TABLE public.messages_of_his (LIKE claude_gpt_data.messages INCLUDING DEFAULTS);
    CREATE TRIGGER count AFTER INSERT ON public.messages_of_his REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_internal.maintain_conversation_counters();
    CREATE TABLE public.configs_of_his (LIKE claude_gpt_data.system_configs INCLUDING DEFAULTS);
    CREATE TRIGGER carry AFTER INSERT ON public.configs_of_his FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.carry_unrecorded_usage()});
# Tables that inherit from ours in a schema of his, a partition of a partition among them, and friends who may create triggers.
$node->safe_psql('postgres', 'CREATE SCHEMA m AUTHORIZATION mallory');
is(as_role('mallory', q{
    CREATE TABLE m.sessions () INHERITS (claude_gpt_data.user_sessions);
    CREATE TABLE claude_gpt_partitions.middle PARTITION OF claude_gpt_data.usage_records FOR VALUES FROM ('1999-01-01Z') TO ('1999-02-01Z') PARTITION BY RANGE (created_at);
    CREATE TABLE m.leaf PARTITION OF claude_gpt_partitions.middle DEFAULT;
    GRANT USAGE, CREATE ON SCHEMA claude_gpt_data, claude_gpt_partitions TO friend;
    GRANT ALL ON ALL TABLES IN SCHEMA claude_gpt_data TO friend, PUBLIC; GRANT REFERENCES (id) ON claude_gpt_data.users TO friend;
    INSERT INTO claude_gpt_data.application_grants (role_name, level) VALUES ('public', 'operator'), ('mallory', 'operator')}), '', 'the owner prepares what he wants to keep');
# Of a third role they are refused like the tables themselves, and health names them.
for my $strange ([ 'm.sessions', 'cleanup_expired_sessions()' ], [ 'm.leaf', "update_user_usage('$user', 1)" ])
{
    my ($table, $call) = @$strange;
    $node->safe_psql('postgres', "ALTER TABLE $table OWNER TO friend");
    like(as_role('app', "SELECT claude_gpt.$call"), qr/ERROR:  table $table belongs to role "friend"/, "$table of another role is refused");
    like($node->safe_psql('postgres', 'SELECT status, detail FROM claude_gpt.health()'), qr/^critical\|[^\n]*$table belongs to "friend"/m, 'and health says so');
    $node->safe_psql('postgres', "ALTER TABLE $table OWNER TO mallory");
    unlike(as_role('app', "SELECT claude_gpt.$call"), qr/ERROR/, 'which the owner\'s is not');
}
is(as_role('friend', "SELECT claude_gpt.effective_tier('$user')"), 'free', 'a friend of the owner calls what he was granted');
is(as_role('app', "SELECT claude_gpt.effective_tier('$user')"), 'free', 'and the application its own');

like(as_role('postgres', 'SELECT claude_gpt.set_owner(current_user::regrole)'), qr/a superuser cannot take over the tables of a role that is none/, 'no superuser takes what he may have prepared');
like(as_role('postgres', q{SELECT claude_gpt.set_owner('heir')}), qr/ERROR:  tables of claude_gpt stand on what belongs to somebody else/, 'nor does anybody while they lie in a schema of his');
as_role('postgres', 'ALTER TABLE m.sessions SET SCHEMA claude_gpt_data; ALTER TABLE m.leaf SET SCHEMA claude_gpt_partitions');
like(as_role('postgres', q{SELECT claude_gpt.set_owner('heir')}), qr/could not apply the recorded access of role "public" again/, 'a level for everybody, which he has written, is no level');
is($node->safe_psql('postgres', q{SELECT string_agg(c.oid::regclass::text, ' ') FROM pg_class AS c WHERE c.relowner = 'mallory'::regrole AND c.relkind IN ('r', 'p') AND c.relnamespace <> 'public'::regnamespace}), '', 'what inherits from the tables goes along, wherever it is');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT x.name || ' ' || a.privilege_type || ' ' || a.grantee::regrole, ', ') FROM (
    SELECT c.relname::text, c.relacl FROM pg_class AS c WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace)
    UNION ALL SELECT attname, attacl FROM pg_attribute AS t JOIN pg_class AS c ON c.oid = t.attrelid WHERE c.relnamespace = 'claude_gpt_data'::regnamespace
    UNION ALL SELECT proname, proacl FROM pg_proc WHERE pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace)) AS x (name, acl), aclexplode(x.acl) AS a
    WHERE a.grantee IN (0, 'friend'::regrole) AND a.privilege_type <> 'USAGE'}), '', 'friends and everybody have no right on any of it');
my $held = q{SELECT string_agg(DISTINCT p.proname, ' ') FROM pg_proc AS p WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace) AND %s has_function_privilege('%s', p.oid, 'EXECUTE')};
is($node->safe_psql('postgres', sprintf($held, '', $_)), '', "$_ may call nothing any more") for qw(mallory friend);
is($node->safe_psql('postgres', q{DELETE FROM claude_gpt_data.application_grants WHERE role_name <> 'app' RETURNING role_name}), 'public', 'the level that he has written for himself is gone');
is($node->safe_psql('postgres', sprintf($held, 'NOT', 'heir')), '', 'the heir may call everything');
is($node->safe_psql('postgres', q{SELECT string_agg(n.nspname || ' ' || a.privilege_type, ', ') FROM pg_namespace AS n, aclexplode(n.nspacl) AS a WHERE n.nspname LIKE 'claude\_gpt%' AND a.grantee IN ('mallory'::regrole, 'friend'::regrole)}), '', 'no right on a schema is left to the former owner');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class AS c WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND (c.relowner = 'mallory'::regrole OR has_table_privilege('mallory', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'))}), '0', 'nor on a table');
like(as_role('mallory', $_), qr/permission denied|must be owner/, "refused: $_") for 'SELECT * FROM claude_gpt_data.users', "SELECT claude_gpt.effective_tier('$user')", 'CREATE TABLE claude_gpt_data.t (id integer)', 'CALL claude_gpt.migrate()', 'ALTER TABLE claude_gpt_data.users ADD COLUMN evil text',
    'CREATE TABLE public.t (id integer); CREATE TRIGGER t BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION claude_gpt_internal.validate_job()';
is(as_role('app', "SELECT claude_gpt.effective_tier('$user')"), 'free', 'the application keeps its level');
is(as_role('app', "UPDATE claude_gpt_data.users SET full_name = 'A'; SELECT full_name FROM claude_gpt_data.users"), 'A', 'and works with the tables');
is(as_role('heir', "INSERT INTO claude_gpt_data.messages (conversation_id, user_id, role, content) VALUES ('$user', '$user', 'user', 'x'); SELECT message_count FROM claude_gpt_data.conversations; CALL claude_gpt.migrate(); SELECT 'migrated'"), '1 migrated', 'the heir owns them');
# His triggers are still there.
like(as_role('mallory', "INSERT INTO public.messages_of_his (id, conversation_id, user_id, role, content, total_tokens) VALUES (gen_random_uuid(), '$user', '$user', 'user', 'x', 999)"), qr/ERROR:  permission denied/, 'a trigger that counts messages is refused on a table of somebody else');
like(as_role('mallory', "INSERT INTO public.configs_of_his (id, config_key, config_value) VALUES (gen_random_uuid(), 'usage_ledger', 'true')"), qr/ERROR:  permission denied/, 'so is one that carries usage');
is($node->safe_psql('postgres', 'SELECT message_count, total_tokens FROM claude_gpt_data.conversations'), '1|0', 'and counts nothing');

# What he could replace, fill or drop later: refused by name; with what the hint says, the heir gets the tables.
$node->safe_psql('postgres', 'CREATE DATABASE prepared');
$node->safe_psql('prepared', q{CREATE EXTENSION claude_gpt; SELECT claude_gpt.set_owner('mallory'); CREATE SCHEMA m AUTHORIZATION mallory; CREATE SCHEMA n; GRANT CREATE ON DATABASE prepared TO mallory; GRANT CREATE, USAGE ON SCHEMA n TO mallory;
    SET SESSION AUTHORIZATION mallory;
    CREATE FUNCTION n.trig() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE FUNCTION n.yes(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE OPERATOR n.~~~ (RIGHTARG = text, FUNCTION = n.yes)});
sub in_turn
{
    my ($make, $cure) = @_;
    my ($status, $out) = $node->psql('prepared', qq{BEGIN; SET LOCAL client_min_messages = error; SET SESSION AUTHORIZATION mallory; $make; RESET SESSION AUTHORIZATION;
        CREATE FUNCTION pg_temp.attempt() RETURNS text LANGUAGE plpgsql AS \$\$DECLARE d text; BEGIN PERFORM claude_gpt.set_owner('heir'); RETURN 'done';
            EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL; RETURN concat(SQLSTATE, ' ', d); END\$\$;
        SELECT pg_temp.attempt(); $cure; SELECT pg_temp.attempt(); SELECT status FROM claude_gpt.health() WHERE check_name = 'objects_of_others'; ROLLBACK});
    return $out;
}
for my $case (
    [ 'CREATE TRIGGER t BEFORE UPDATE ON claude_gpt_data.users FOR EACH ROW EXECUTE FUNCTION n.trig()', 'function n.trig() of role "mallory", for table claude_gpt_data.users', 'ALTER FUNCTION n.trig() OWNER TO heir' ],
    [ q{ALTER TABLE claude_gpt_data.users ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON claude_gpt_data.users USING (n.yes(email))}, 'function n.yes(text) of role "mallory", for table claude_gpt_data.users', 'DROP POLICY p ON claude_gpt_data.users' ],
    [ q{ALTER TABLE claude_gpt_data.users ADD COLUMN a boolean DEFAULT n.yes('x')}, 'function n.yes(text) of role "mallory", for table claude_gpt_data.users', 'ALTER TABLE claude_gpt_data.users DROP COLUMN a' ],
    [ q{ALTER TABLE claude_gpt_data.users ADD CHECK (n.~~~ email)} =~ s/n\.~~~/OPERATOR(n.~~~)/r, "function n.yes(text) of role \"mallory\", for table claude_gpt_data.users\noperator n.~~~(NONE,text) of role \"mallory\", for table claude_gpt_data.users", 'ALTER TABLE claude_gpt_data.users DROP CONSTRAINT users_email_check' ],
    [ 'CREATE INDEX i ON claude_gpt_data.users (n.yes(email))', 'function n.yes(text) of role "mallory", for table claude_gpt_data.users', 'ALTER FUNCTION n.yes(text) OWNER TO CURRENT_USER; ALTER OPERATOR n.~~~ (NONE, text) OWNER TO heir' ],
    [ 'CREATE RULE r AS ON UPDATE TO claude_gpt_data.users DO ALSO SELECT n.yes(NEW.email)', 'function n.yes(text) of role "mallory", for table claude_gpt_data.users', 'DROP RULE r ON claude_gpt_data.users' ],
    [ 'CREATE VIEW claude_gpt_data.v AS SELECT n.yes(email) FROM claude_gpt_data.users', 'function n.yes(text) of role "mallory", for view claude_gpt_data.v', 'DROP VIEW claude_gpt_data.v' ],
    [ 'CREATE DOMAIN n.d AS text CHECK (n.yes(VALUE)); ALTER TABLE claude_gpt_data.users ALTER COLUMN password_hash TYPE n.d', "function n.yes(text) of role \"mallory\", for table claude_gpt_data.users\ntype n.d of role \"mallory\", for table claude_gpt_data.users", 'ALTER TABLE claude_gpt_data.users ALTER COLUMN password_hash TYPE text' ],
    [ 'CREATE FUNCTION claude_gpt_data.effective_tier(text) RETURNS text LANGUAGE sql AS $$SELECT 1::text$$', 'function claude_gpt_data.effective_tier(text) of role "mallory"', 'ALTER FUNCTION claude_gpt_data.effective_tier(text) OWNER TO heir' ],
    [ 'CREATE OPERATOR claude_gpt_data.~~~ (RIGHTARG = text, FUNCTION = n.yes)', "function n.yes(text) of role \"mallory\", for operator claude_gpt_data.~~~(NONE,text)\noperator claude_gpt_data.~~~(NONE,text) of role \"mallory\"", 'DROP OPERATOR claude_gpt_data.~~~ (NONE, text)' ],
    [ 'CREATE MATERIALIZED VIEW claude_gpt_data.mv AS SELECT password_hash FROM claude_gpt_data.users', 'materialized view claude_gpt_data.mv of role "mallory"', 'ALTER MATERIALIZED VIEW claude_gpt_data.mv OWNER TO heir' ],
    [ 'CREATE SEQUENCE m.s; ALTER TABLE claude_gpt_data.users ADD COLUMN n bigint DEFAULT nextval(\'m.s\')', "schema m of role \"mallory\", for table claude_gpt_data.users\nsequence m.s of role \"mallory\", for table claude_gpt_data.users", 'ALTER SEQUENCE m.s OWNER TO heir; ALTER SEQUENCE m.s SET SCHEMA n' ],
    [ 'CREATE TABLE m.part PARTITION OF claude_gpt_data.audit_logs FOR VALUES FROM (\'1999-01-01Z\') TO (\'1999-02-01Z\')', 'schema m of role "mallory", for table m.part', 'ALTER TABLE m.part SET SCHEMA claude_gpt_partitions' ],
    [ 'CREATE TABLE m.kin () INHERITS (claude_gpt_data.user_sessions)', 'schema m of role "mallory", for table m.kin', 'DROP TABLE m.kin' ],
    [ 'CREATE TABLE m.ref (u uuid REFERENCES claude_gpt_data.users ON DELETE CASCADE)', 'table m.ref, by the foreign key ref_u_fkey of role "mallory", for table claude_gpt_data.users', 'ALTER TABLE m.ref DROP CONSTRAINT ref_u_fkey' ],
    [ 'CREATE TABLE m.far (id uuid PRIMARY KEY); ALTER TABLE claude_gpt_data.users ADD COLUMN far uuid REFERENCES m.far', "schema m of role \"mallory\", for table claude_gpt_data.users\ntable m.far of role \"mallory\", for table claude_gpt_data.users", 'ALTER TABLE claude_gpt_data.users DROP COLUMN far' ],
    [ 'CREATE PUBLICATION p FOR TABLE claude_gpt_data.users', 'publication p of role "mallory", for table claude_gpt_data.users', 'DROP PUBLICATION p' ],
    [ 'CREATE EXTENSION citext SCHEMA n; ALTER TABLE claude_gpt_data.users ALTER COLUMN password_hash TYPE n.citext', 'extension citext of role "mallory", for table claude_gpt_data.users', 'ALTER TABLE claude_gpt_data.users ALTER COLUMN password_hash TYPE text' ])
{
    my ($make, $detail, $cure) = @$case;
    # What depends on what is named with it; types are written as the server describes them.
    my $said = in_turn($make, $cure);
    my ($refused, $then) = $said =~ /\A55000 (.*)\n(done\nok)\z/s;
    is($refused // $said, $detail, "refused and named: $make");
    is($then, "done\nok", "nothing is left after $cure");
}
# Without such a change of owner too health says so, and who may reference the tables may.
$node->safe_psql('prepared', q{SET SESSION AUTHORIZATION mallory; CREATE TRIGGER t BEFORE UPDATE ON claude_gpt_data.users FOR EACH ROW EXECUTE FUNCTION n.trig(); RESET SESSION AUTHORIZATION; ALTER FUNCTION n.trig() OWNER TO friend;
    CREATE SCHEMA f AUTHORIZATION friend; GRANT USAGE ON SCHEMA claude_gpt_data TO friend; GRANT REFERENCES (id) ON claude_gpt_data.users TO friend; SET SESSION AUTHORIZATION friend; CREATE TABLE f.orders (user_id uuid REFERENCES claude_gpt_data.users)});
is($node->safe_psql('prepared', q{SELECT status, detail FROM claude_gpt.health() WHERE check_name = 'objects_of_others'}), 'critical|the tables stand on function n.trig() of "friend", for table claude_gpt_data.users', 'health names them');

# Without tables, as before a restore: the schemas, and what triggers and defaults of the dump call.
$node->safe_psql('postgres', q{CREATE DATABASE empty});
$node->safe_psql('empty', q{SET claude_gpt.install_tables = off; CREATE EXTENSION claude_gpt; SELECT claude_gpt.set_owner('heir')});
is($node->safe_psql('empty', sprintf($held, q{(p.prorettype = 'trigger'::regtype OR p.proname IN ('uuid_v7', 'current_billing_period')) AND NOT}, 'heir')), '', 'without tables the owner may call what a restore does');
is($node->safe_psql('empty', q{SELECT string_agg(s || ' ' || p, ', ' ORDER BY s, p) FROM unnest(ARRAY['claude_gpt', 'claude_gpt_internal', 'claude_gpt_data', 'claude_gpt_partitions']) AS s, unnest(ARRAY['USAGE', 'CREATE']) AS p WHERE has_schema_privilege('heir', s, p)}),
    'claude_gpt USAGE, claude_gpt_data CREATE, claude_gpt_data USAGE, claude_gpt_internal USAGE, claude_gpt_partitions CREATE, claude_gpt_partitions USAGE', 'uses all four schemas and creates in the two that are his');
$node->stop;
done_testing();
