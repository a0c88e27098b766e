// The table conversations.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/amount.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::store {

void insert_conversation(bridge::Spi& spi, const core::Uuid& id, const core::Uuid& user_id);

// When its last message came; no row if the user has no such conversation.
bridge::Result<std::optional<core::Instant>> find_conversation(bridge::Spi& spi, const core::Uuid& user_id,
                                                               const core::Uuid& id, bridge::Access access);

// Keeps a conversation of the user from being deleted until the transaction ends; false if there is none.
bool keep_conversation(bridge::Spi& spi, const core::Uuid& user_id, const core::Uuid& id);

// Where a message is put, with the user locked: the turn before has its place already. Both wait for whoever deletes
// what they find, and keep it from then on; no row if the user has no such conversation. Read by column, since there
// may be no message.
struct NewestMessage {
  std::optional<core::Uuid> id;
  std::int32_t message_count;
};
bridge::Result<NewestMessage> keep_newest_message(bridge::Spi& spi, const core::Uuid& user_id, const core::Uuid& id);
struct GivenMessage {
  std::optional<core::Uuid> id;
  std::string_view role;
  std::optional<core::Uuid> parent_message_id;
};
bridge::Result<GivenMessage> keep_given_message(bridge::Spi& spi, const core::Uuid& user_id, const core::Uuid& id,
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

// What its counters gain, or lose.
struct CountedMessages {
  std::int32_t messages;
  std::int64_t tokens;
  core::Amount cost;
  std::optional<core::Instant> newest;
};
// No row is touched when the conversation is being deleted, and its messages with it.
void count_messages(bridge::Spi& spi, const core::Uuid& id, const CountedMessages& counted);
bridge::Result<core::Instant> count_messages_and_tell_newest(bridge::Spi& spi, const core::Uuid& id,
                                                             const CountedMessages& counted);
// Of a conversation that was counted before, in which no message can come or go unseen meanwhile.
void find_newest_again(bridge::Spi& spi, const core::Uuid& id);
// All conversations, of which no message is left.
void count_nothing(bridge::Spi& spi);

}  // namespace claude_gpt::store
