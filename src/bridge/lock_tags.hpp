// The tags of locks.hpp as the server wants them. Private to the bridge.
#pragma once

#include "bridge/server.hpp"

extern "C" {
#include <catalog/pg_database_d.h>
#include <storage/lmgr.h>
#include <storage/lock.h>
}

namespace claude_gpt::bridge {

// An object as no command of the server locks it: with a number where it has 0, and by the method of advisory locks,
// of which those of a session outlive an error and end with the session.
inline LOCKTAG own_tag(Oid database, Oid catalog, Oid object) {
  LOCKTAG tag;
  SET_LOCKTAG_OBJECT(tag, database, catalog, object, 1);
  tag.locktag_lockmethodid = USER_LOCKMETHOD;
  return tag;
}

inline LOCKTAG visit_tag(Oid database) { return own_tag(InvalidOid, DatabaseRelationId, database); }

}  // namespace claude_gpt::bridge
