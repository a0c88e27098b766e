// The table messages.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/amount.hpp"
#include "core/calendar.hpp"
#include "core/conversations.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::store {

// A turn's question and its reply, which comes a microsecond later: the order of the two does not hang on their ids.
struct NewReply {
  const core::Uuid& id;
  const core::Uuid& conversation_id;
  const core::Uuid& user_id;
  const core::Uuid& question_id;
  core::Instant created_at;
  bridge::UnreadText model;
};
struct NewQuestion {
  bridge::UnreadText content;
  bridge::UnreadText content_type;
  std::optional<bridge::UnreadJsonb> metadata;
  const std::optional<core::Uuid>& parent_id;
  std::optional<bridge::UnreadJsonb> parts = std::nullopt;
};
// What is stored of a turn: without a question, the reply to one that is there.
struct NewMessages {
  std::optional<NewQuestion> question;
  NewReply reply;
};
// What the conversation is to count of it, which is left to the caller; of what went by SPI a trigger counts. Directly
// only while the user, the conversation and the message that the first of them answers are locked.
core::CounterChange insert_messages(const NewMessages& messages, bool may_go_directly);

struct FinishedReply {
  std::string_view status;
  std::optional<bridge::UnreadText> content;  // nothing: as it was saved last
  std::optional<bridge::UnreadText> error;
  std::optional<std::int32_t> prompt_tokens;
  std::optional<std::int32_t> completion_tokens;
  std::optional<std::int32_t> total_tokens;
  std::optional<core::Amount> cost;
  std::optional<bridge::UnreadJsonb> metadata;
  std::optional<std::int32_t> cached_prompt_tokens = std::nullopt;
  std::optional<std::int32_t> cache_write_tokens = std::nullopt;
  std::optional<std::int32_t> reasoning_tokens = std::nullopt;
  std::optional<bridge::UnreadJsonb> parts = std::nullopt;  // nothing: as they were saved last
};
// Of a reply that is being written; nullopt if it was deleted meanwhile, or the application has taken it over.
struct StoredReply {
  core::Uuid conversation_id;
  // Where it was written directly: what the conversation is to count of it, which is left to the caller.
  std::optional<core::CounterChange> to_count;
};
std::optional<StoredReply> finish_reply(const core::Uuid& user_id, const core::Uuid& id, const FinishedReply& reply);
// False if the reply of the reservation is not being written. No parts: as they were saved last.
bool save_partial_reply(bridge::Spi& spi, const core::Uuid& user_id, const core::Uuid& reservation_id,
                        bridge::UnreadText content, std::optional<bridge::UnreadJsonb> parts);

// Keeps a message of the user from being deleted until the transaction ends; nullopt if there is none.
struct KeptMessage {
  std::optional<core::Uuid> conversation_id;
};
std::optional<KeptMessage> keep_message(const core::Uuid& user_id, const core::Uuid& id);

// "deleted" is one as well; nullopt if there is none.
std::optional<std::string> find_message_status(const core::Uuid& user_id, const core::Uuid& id);

// Before the conversation, as by every statement that writes messages; a reply that is being written may still look for
// its parent.
void lock_messages_of(bridge::Spi& spi, const core::Uuid& conversation_id);

// Pages, from the newest message to the oldest. When a message of the conversation came; no row if there is none.
bridge::Result<std::optional<core::Instant>> find_message(bridge::Spi& spi, const core::Uuid& conversation_id,
                                                          const core::Uuid& id);
bridge::Result<bridge::PassedOn> read_first_page(bridge::Spi& spi, const core::Uuid& conversation_id,
                                                 std::int64_t most);
bridge::Result<bridge::PassedOn> read_next_page(bridge::Spi& spi, const core::Uuid& conversation_id, std::int64_t most,
                                                std::optional<core::Instant> before, const core::Uuid& before_id);
// From the root to a message of the user, or as many of the last as have so many tokens.
bridge::Result<bridge::PassedOn> read_path(bridge::Spi& spi, const core::Uuid& user_id, const core::Uuid& leaf_id,
                                           std::optional<std::int64_t> most_tokens);

// Parents of new replies, which may change but not move any more. One goes by a plan of its own.
struct Parent {
  core::Uuid id;
  core::Uuid conversation_id;
};
bridge::Result<Parent> keep_parent(bridge::Spi& spi, const core::Uuid& id);
bridge::Result<Parent> keep_parents(bridge::Spi& spi, std::span<const core::Uuid> ids);

// What a message without a parent that came at a moment follows in its conversation, kept as a parent is.
std::optional<core::Uuid> keep_message_before(bridge::Spi& spi, const core::Uuid& conversation_id,
                                              core::Instant created_at, const core::Uuid& id);

// Replies of a message that is deleted go to what it followed, or become roots. What is deleted is found in the
// snapshot of the statement that deletes it; its replies of then are none of those that it followed.
bool has_replies(const core::Uuid& id);
struct DeletedMessage {
  core::Uuid conversation_id;
  std::optional<core::Uuid> parent_id;
  bool is_root;
  core::Instant created_at;
};
std::optional<DeletedMessage> find_deleted_message(bridge::Spi& spi, const core::Uuid& id);
std::optional<core::Uuid> keep_message_before_deleted(bridge::Spi& spi, const core::Uuid& id,
                                                      const DeletedMessage& message);
void hand_over_replies(bridge::Spi& spi, const core::Uuid& id, const std::optional<core::Uuid>& parent_id);

// Messages that were moved to another conversation. The first waits for replies that are being written, the second
// looks for them under the latest snapshot.
bridge::Result<void> wait_for_replies(bridge::Spi& spi, std::span<const core::Uuid> moved);
struct ReplyToMoved {
  core::Uuid id;
  core::Uuid parent_id;
  bool is_in_the_same_conversation;
};
bridge::Result<ReplyToMoved> find_replies(bridge::Spi& spi, std::span<const core::Uuid> moved);

}  // namespace claude_gpt::store
