# set_owner gives the new owner what he needs and takes from the former one what he had: EXECUTE, the schemas, and what he
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

# Without tables, as before a restore: the schemas, and what triggers and defaults of the dump call.
$node->safe_psql('postgres', q{CREATE DATABASE empty});
$node->safe_psql('empty', q{SET claude_gpt.install_tables = off; CREATE EXTENSION claude_gpt; SELECT claude_gpt.set_owner('heir')});
is($node->safe_psql('empty', sprintf($held, q{(p.prorettype = 'trigger'::regtype OR p.proname IN ('uuid_v7', 'current_billing_period')) AND NOT}, 'heir')), '', 'without tables the owner may call what a restore does');
is($node->safe_psql('empty', q{SELECT string_agg(s || ' ' || p, ', ' ORDER BY s, p) FROM unnest(ARRAY['claude_gpt', 'claude_gpt_internal', 'claude_gpt_data', 'claude_gpt_partitions']) AS s, unnest(ARRAY['USAGE', 'CREATE']) AS p WHERE has_schema_privilege('heir', s, p)}),
    'claude_gpt USAGE, claude_gpt_data CREATE, claude_gpt_data USAGE, claude_gpt_internal USAGE, claude_gpt_partitions CREATE, claude_gpt_partitions USAGE', 'uses all four schemas and creates in the two that are his');
$node->stop;
done_testing();
