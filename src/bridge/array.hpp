// One-dimensional arrays as statement parameters.
#pragma once

#include <span>

#include "bridge/value.hpp"

namespace claude_gpt::bridge {

// uuid[] in the current memory context.
Value palloced_array(std::span<const core::Uuid> uuids);

}  // namespace claude_gpt::bridge
