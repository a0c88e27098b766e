// The values of a row in a slot, and whether they keep the rules of its table. Only within guarded(). Private to the
// bridge.
#pragma once

#include <span>

#include "bridge/heap_relation.hpp"

namespace claude_gpt::bridge {

// Of the columns of a description, up to the length of the span.
void take_values(TupleTableSlot* slot, const HeapRelation* known, std::span<Value> values);

// Whether the row keeps the rules that the description and the table have for its values.
bool is_sound(TupleTableSlot* row, const HeapRelation* known, const HeapDescription& description);

// For a varchar(n).
bool is_too_long(Value value, std::int32_t most_characters);

}  // namespace claude_gpt::bridge
