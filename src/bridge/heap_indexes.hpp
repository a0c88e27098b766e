// The indexes of a relation whose rows go directly: those by which rows are found, and what in them would run other
// code than the server's. Only within guarded(). Private to the bridge.
#pragma once

#include "bridge/heap_expressions.hpp"

namespace claude_gpt::bridge {

// InvalidOid: there is none that finds every row.
Oid find_key_index(Relation relation, HeapRelation* known, const HeapDescription& description);
Oid find_newest_index(Relation relation, HeapRelation* known, const HeapOrder& order);
Oid find_referring_index(Relation relation, HeapRelation* known, int column);

// Takes down all of them. What of them keeps rows from being written directly; nullptr: nothing.
const char* find_indexes(Relation relation, HeapRelation* known, const HeapDescription& description);

}  // namespace claude_gpt::bridge
