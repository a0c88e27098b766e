// What the columns, defaults and indexes of a relation run. Only within guarded(). Private to the bridge.
#pragma once

#include "bridge/heap_relation.hpp"

namespace claude_gpt::bridge {

bool is_of_the_server(Oid object);
// Whether an expression, or a list of them, runs anything but the server's own functions.
bool is_foreign(Node* node, void* context);

bool is_written_attribute(HeapRelation* known, const HeapDescription& description, AttrNumber attribute);

// The default of a column, if it runs nothing else, and always with the same effect; nullptr if it is another.
Node* find_plain_default(Relation relation, AttrNumber attribute);
// For new rows, of the columns that are not written.
void prepare_defaults(Relation relation, HeapRelation* known, const HeapDescription& description);

}  // namespace claude_gpt::bridge
