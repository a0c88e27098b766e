// Where a chat turn is put in its conversation.
#pragma once

#include <optional>

#include "core/calendar.hpp"
#include "core/identifiers.hpp"
#include "store/locked_at.hpp"

namespace claude_gpt::api {

// What begin_turn() was asked about it.
struct AskedPlace {
  const core::Uuid& user_id;
  const std::optional<core::Uuid>& conversation_id;
  const std::optional<core::Uuid>& parent_id;
  bool regenerates;  // the reply to a message that is there already is made anew
  bool may_create;   // the conversation, under the id that is given
};

// The parent of the message that will be stored, or for a reply that is made anew, of the reply.
struct TurnParent {
  std::optional<core::Uuid> id;
  std::optional<core::Instant> newest = {};  // when the newest message of the conversation came
  store::LockedAt kept = {};                 // with its conversation
  bool is_of_new_conversation = false;
};
// Kept until the transaction ends. P0002 no such conversation of the user, or no such parent in it; 22023 a parent that
// cannot be answered without content.
TurnParent keep_turn_parent(const AskedPlace& asked);

}  // namespace claude_gpt::api
