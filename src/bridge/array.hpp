// One-dimensional arrays as statement parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "bridge/value.hpp"

namespace claude_gpt::bridge {

// All in the current memory context.
Value palloced_array(std::span<const core::Uuid> uuids);
// nullopt becomes a NULL element.
Value palloced_array(std::span<const std::optional<core::Amount>> amounts);
Value palloced_array(std::span<const std::int64_t> numbers);
Value palloced_array(std::span<const std::string_view> texts);

}  // namespace claude_gpt::bridge
