#pragma once

#include "core/identifiers.hpp"

namespace claude_gpt::api {

// The next id of this backend: what uuid_v7() returns.
core::Uuid new_id();

}  // namespace claude_gpt::api
