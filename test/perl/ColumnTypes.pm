# Types that a column may have, one of each kind that the server knows, with a value that has every bit its type may have.
#   $node->safe_psql('postgres', ColumnTypes::definitions());
#   for my $type (@ColumnTypes::types) { ... "$type->{name}" ... "$type->{value}" ... }
package ColumnTypes;
use strict;
use warnings;

our @types = map { { name => $_->[0], value => "$_->[1]::$_->[0]" } } (
    [ 'smallint', q{'-7'} ], [ 'integer', q{'7'} ], [ 'bigint', q{'1311768467463790320'} ], [ 'oid', q{'4294967295'} ],
    [ 'real', q{'7.5'} ], [ 'double precision', q{'7.5'} ], [ 'numeric', q{'7.5'} ], [ 'numeric(30,9)', q{'7.5'} ],
    [ 'boolean', q{'t'} ], [ '"char"', q{'x'} ], [ 'text', q{'x'} ], [ 'varchar', q{'x'} ], [ 'varchar(400)', q{'x'} ],
    [ 'character(30)', q{'x'} ], [ 'name', q{'x'} ], [ 'bytea', q{'\x00ff'} ], [ 'xml', q{'<a/>'} ], [ 'json', q{'{"a": 1}'} ],
    [ 'jsonb', q{'{"a": 1}'} ], [ 'uuid', q{'00000000-0000-4000-8000-0000000000ff'} ], [ 'date', q{'2026-01-01'} ],
    [ 'time', q{'01:02:03'} ], [ 'timestamp', q{'2026-01-01 01:02:03'} ], [ 'timestamptz', q{'2026-01-01 01:02:03Z'} ],
    [ 'timestamptz(0)', q{'2026-01-01 01:02:03Z'} ], [ 'interval', q{'3 days'} ], [ 'inet', q{'10.0.0.1'} ], [ 'point', q{'(1,2)'} ],
    [ 'int4range', q{'[1,5)'} ], [ 'integer[]', q{'{1,2}'} ], [ 'text[]', q{'{x}'} ], [ 'shapes.color', q{'red'} ],
    [ 'shapes.pair', q{'(1,x)'} ], [ 'shapes.a_integer', q{'7'} ], [ 'shapes.a_bigint', q{'1311768467463790320'} ],
    [ 'shapes.a_numeric', q{'7.5'} ], [ 'shapes.a_boolean', q{'t'} ], [ 'shapes.a_text', q{'x'} ], [ 'shapes.a_uuid', q{'00000000-0000-4000-8000-0000000000ff'} ],
    [ 'shapes.a_date', q{'2026-01-01'} ], [ 'shapes.a_timestamptz', q{'2026-01-01 01:02:03Z'} ], [ 'shapes.a_jsonb', q{'{"a": 1}'} ],
    [ 'shapes.a_color', q{'red'} ]);

# The domain over a domain stands for both.
sub definitions
{
    return q{
        CREATE SCHEMA shapes; GRANT USAGE ON SCHEMA shapes TO PUBLIC;
        CREATE TYPE shapes.color AS ENUM ('red', 'green'); CREATE TYPE shapes.pair AS (a integer, b text);
        CREATE DOMAIN shapes.a_integer AS integer; CREATE DOMAIN shapes.inner_bigint AS bigint; CREATE DOMAIN shapes.a_bigint AS shapes.inner_bigint;
        CREATE DOMAIN shapes.a_numeric AS numeric; CREATE DOMAIN shapes.a_boolean AS boolean; CREATE DOMAIN shapes.a_text AS varchar(300);
        CREATE DOMAIN shapes.a_uuid AS uuid; CREATE DOMAIN shapes.a_date AS date; CREATE DOMAIN shapes.a_timestamptz AS timestamptz;
        CREATE DOMAIN shapes.a_jsonb AS jsonb; CREATE DOMAIN shapes.a_color AS shapes.color;};
}

1;
