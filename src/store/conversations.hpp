// The table conversations.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/amount.hpp"
#include "core/calendar.hpp"
#include "core/conversations.hpp"
#include "core/identifiers.hpp"
#include "store/locked_at.hpp"

namespace claude_gpt::store {

LockedAt insert_conversation(const core::Uuid& id, const core::Uuid& user_id, LockedAt user);

// When its last message came; no row if the user has no such conversation.
bridge::Result<std::optional<core::Instant>> find_conversation(bridge::Spi& spi, const core::Uuid& user_id,
                                                               const core::Uuid& id, bridge::Access access);

// Keeps a conversation of the user from being deleted until the transaction ends; false if there is none.
bool keep_conversation(const core::Uuid& user_id, const core::Uuid& id);

// Where a message is put, with the user locked: the turn before has its place already. Both wait for whoever deletes
// what they find, and keep conversation and message from then on; nullopt if the user has no such conversation.
struct Place {
  std::optional<core::Uuid> message_id;      // nothing: the conversation has no such message
  std::optional<core::Instant> newest = {};  // when its newest message came, of any branch
  LockedAt kept = {};
};
// The newest message that nothing follows.
std::optional<Place> keep_newest_message(const core::Uuid& user_id, const core::Uuid& id);
struct GivenMessage {
  std::optional<core::Uuid> id;  // nothing: likewise
  bool is_of_the_user = false;
  bool is_of_a_tool = false;
  std::optional<core::Uuid> followed_id;  // what it follows: its parent, or what came before it
  std::optional<core::Instant> newest = {};
  LockedAt kept = {};
};
std::optional<GivenMessage> keep_given_message(const core::Uuid& user_id, const core::Uuid& id,
                                               const core::Uuid& message_id);

bool delete_conversation(bridge::Spi& spi, const core::Uuid& user_id, const core::Uuid& id);

// `before`: the last one that the caller has, and when its last message came.
struct ConversationsBefore {
  std::optional<core::Instant> last_message_at;
  std::optional<core::Uuid> id;
};
bridge::Result<bridge::PassedOn> list_conversations(bridge::Spi& spi, const core::Uuid& user_id,
                                                    std::optional<bool> is_archived, const ConversationsBefore& before,
                                                    std::int64_t most);

// What its counters gain, or lose. When its newest message came then; nullopt where there is no row: the conversation
// is being deleted, and its messages with it. `is_own`: this call has inserted it directly.
std::optional<core::Instant> count_messages(const core::Uuid& id, const core::CounterChange& change,
                                            bool is_own = false);
// Of a conversation that was counted before, in which no message can come or go unseen meanwhile.
void find_newest_again(const core::Uuid& id);
// All conversations, of which no message is left.
void count_nothing(bridge::Spi& spi);

}  // namespace claude_gpt::store
