// What the functions on users have in common.
#pragma once

#include <string>

#include "core/failure.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::api {

inline core::Failure unknown_user(const core::Uuid& user_id) {
  return {core::sqlstate::k_no_data_found, "user \"" + user_id.to_text() + "\" does not exist"};
}

}  // namespace claude_gpt::api
