// Reads a jsonb value into the core's tree.
#pragma once

#include <optional>

#include "bridge/value.hpp"
#include "core/json.hpp"

namespace claude_gpt::bridge {

// nullopt if the document is nested more than 32 levels deep.
std::optional<core::Json> read_jsonb(Datum datum);

// Of a jsonb value of any depth.
bool is_array_of_objects(Datum datum);

}  // namespace claude_gpt::bridge
