# What the schemas of claude_gpt in a database hold, as lines of text: two equal pictures are two equal databases.
package SchemaPicture;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = qw(rows_of catalog_of rights_of settings_of differences);

# A line for each table: a digest over all its rows, and how many there are.
sub rows_of
{
    my ($node, $database) = @_;
    return $node->safe_psql($database, q{
        SELECT c.oid::regclass || ': ' || (xpath('//digest/text()', x))[1]::text || ' ' || (xpath('//number/text()', x))[1]::text
        FROM pg_class AS c, query_to_xml(format('SELECT coalesce(md5(string_agg(t::text, chr(10) ORDER BY t::text)), %L) AS digest, count(*) AS number FROM %s AS t', 'empty', c.oid::regclass), false, false, '') AS x
        WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind IN ('r', 'p') ORDER BY 1});
}

# Columns, indexes, constraints, triggers, policies, views, partitions, comments, and what the extension owns.
sub catalog_of
{
    my ($node, $database) = @_;
    return $node->safe_psql($database, q{
        WITH ours AS (SELECT * FROM pg_class WHERE relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace))
        SELECT 'relation', c.oid::regclass::text, concat_ws(' ', c.relkind, c.reloptions, c.relrowsecurity, c.relforcerowsecurity, c.relreplident) FROM ours AS c WHERE c.relkind <> 't'
        UNION ALL SELECT 'column', a.attrelid::regclass || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated, pg_get_expr(d.adbin, d.adrelid))
            FROM pg_attribute AS a JOIN ours AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v') LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attnum > 0 AND NOT a.attisdropped
        UNION ALL SELECT 'index', i.indexrelid::regclass::text, concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid) FROM pg_index AS i JOIN ours AS c ON c.oid = i.indrelid
        UNION ALL SELECT 'constraint', concat_ws('.', nullif(k.conrelid, 0)::regclass, nullif(k.contypid, 0)::regtype, k.conname), concat_ws(' ', pg_get_constraintdef(k.oid), k.convalidated) FROM pg_constraint AS k WHERE k.connamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND k.contype <> 'n'
        UNION ALL SELECT 'trigger', t.tgrelid::regclass || '.' || t.tgname, concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled) FROM pg_trigger AS t WHERE NOT t.tgisinternal
        UNION ALL SELECT 'policy', p.polrelid::regclass || '.' || p.polname, concat_ws(' ', p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) FROM pg_policy AS p
        UNION ALL SELECT 'view', c.oid::regclass::text, pg_get_viewdef(c.oid) FROM ours AS c WHERE c.relkind = 'v'
        UNION ALL SELECT 'partition', c.oid::regclass::text, concat_ws(' ', h.inhparent::regclass, pg_get_expr(c.relpartbound, c.oid)) FROM ours AS c JOIN pg_inherits AS h ON h.inhrelid = c.oid WHERE c.relkind IN ('r', 'p')
        UNION ALL SELECT 'comment', concat_ws('.', c.oid::regclass, (SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum = d.objsubid)), d.description FROM ours AS c JOIN pg_description AS d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid
        UNION ALL SELECT 'routine', p.oid::regprocedure::text, concat_ws(' ', md5(pg_get_functiondef(p.oid)), md5(obj_description(p.oid, 'pg_proc')))
            FROM pg_proc AS p WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace)
        UNION ALL SELECT 'elsewhere', i.type, i.identity FROM pg_depend AS d CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) AS i
            WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid IN ('claude_gpt'::regnamespace, 'claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace)
            AND i.type NOT IN ('table', 'view', 'function', 'procedure')
        UNION ALL SELECT 'member', pg_describe_object(d.classid, d.objid, d.objsubid), '' FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'claude_gpt' WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
        ORDER BY 1, 2, 3});
}

# Owners and grants.
sub rights_of
{
    my ($node, $database) = @_;
    return $node->safe_psql($database, q{
        SELECT 'relation', c.oid::regclass::text, c.relowner::regrole, a.* FROM pg_class AS c, LATERAL (SELECT grantee::regrole, privilege_type, is_grantable FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) UNION ALL SELECT NULL, 'exists', NULL) AS a
            WHERE c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace) AND c.relkind IN ('r', 'p', 'v')
        UNION ALL SELECT 'column', t.attrelid::regclass || '.' || t.attname, NULL, a.grantee::regrole, a.privilege_type, a.is_grantable FROM pg_attribute AS t JOIN pg_class AS c ON c.oid = t.attrelid, aclexplode(t.attacl) AS a WHERE NOT t.attisdropped AND c.relnamespace IN ('claude_gpt_data'::regnamespace, 'claude_gpt_partitions'::regnamespace)
        UNION ALL SELECT 'routine', p.oid::regprocedure::text, p.proowner::regrole, a.grantee::regrole, a.privilege_type, a.is_grantable FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace)
        UNION ALL SELECT 'schema', n.nspname, n.nspowner::regrole, a.grantee::regrole, a.privilege_type, a.is_grantable FROM pg_namespace AS n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a WHERE n.nspname LIKE 'claude\_gpt%'
        -- What a dump leaves to CREATE EXTENSION.
        UNION ALL SELECT 'initial', pg_describe_object(i.classoid, i.objoid, i.objsubid), NULL, a.grantee::regrole, a.privilege_type, a.is_grantable
            FROM pg_init_privs AS i, aclexplode(i.initprivs) AS a WHERE i.privtype = 'e' AND pg_describe_object(i.classoid, i.objoid, i.objsubid) LIKE '%claude\_gpt%'
        ORDER BY 1, 2, 3, 4, 5, 6});
}

# Settings of roles in this database, which only pg_dump --create writes.
sub settings_of
{
    my ($node, $database) = @_;
    return $node->safe_psql($database, q{SELECT 'setting', s.setrole::regrole, array_to_string(s.setconfig, '; ') FROM pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase AND d.datname = current_database() ORDER BY 2, 3});
}

# '' if both are equal, otherwise the lines that only one has.
sub differences
{
    my ($expected, $got) = @_;
    my %in = map { $_ => 1 } split /\n/, $expected;
    my %out = map { $_ => 1 } split /\n/, $got;
    return join "\n", (map { "- $_" } grep { !$out{$_} } sort keys %in), (map { "+ $_" } grep { !$in{$_} } sort keys %out);
}

1;
