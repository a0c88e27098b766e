-- Topic identifiers: time-ordered ids.

-- Levels: application operator
CREATE FUNCTION claude_gpt.uuid_v7() RETURNS uuid
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_uuid_v7';
COMMENT ON FUNCTION claude_gpt.uuid_v7() IS
'Makes a new UUID of version 7 (RFC 9562). Ids made in one session grow strictly, those of different sessions are ordered to the millisecond or better. The default of every id column. Always uses the system clock.';

-- Levels: read application billing operator
CREATE FUNCTION claude_gpt.uuid_v7_floor(p_moment timestamptz) RETURNS uuid
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_uuid_v7_floor';
COMMENT ON FUNCTION claude_gpt.uuid_v7_floor(timestamptz) IS
'The smallest version 7 UUID of the millisecond that holds a moment: ids made then or later are equal or above, so that WHERE id >= uuid_v7_floor(moment) selects by time. Errors: 22004 for NULL; 22008 before 1970, after the year 10889 and for infinity.';
