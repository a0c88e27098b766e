// The proof of the counters from ledger, balances, reservations and messages, and what follows from it. Whoever calls
// one of these has set the search_path and the date style (in its SQL): the proof is long, and reads better with plain
// operators; and moments go through text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::store {

// Of a user, or of one of his conversations.
struct Difference {
  core::Uuid user_id;
  std::optional<core::Uuid> conversation_id;
  std::optional<bridge::UnreadText> item;
  std::optional<bridge::UnreadText> recorded;
  std::optional<bridge::UnreadText> proved;
};
// Of one user, or of all.
bridge::Result<Difference> prove_books(bridge::Spi& spi, std::optional<core::Uuid> user_id, bridge::Access access);
// A partition that is dropped, and what it held carried, between the snapshot of a statement and its lock would be in
// neither sum.
void keep_partitions_of_the_ledger(bridge::Spi& spi);
// Those whose books are short, so that a look at them takes milliseconds.
bridge::Result<core::Uuid> find_recently_active_users(bridge::Spi& spi, std::int64_t most);

void lock_users(bridge::Spi& spi, std::span<const core::Uuid> ids);
void lock_conversations(bridge::Spi& spi, std::span<const core::Uuid> ids);
// The item becomes what was proved.
void repair_user(bridge::Spi& spi, const core::Uuid& id, std::optional<bridge::UnreadText> item,
                 std::optional<bridge::UnreadText> value);
void repair_conversation(bridge::Spi& spi, const core::Uuid& id, std::optional<bridge::UnreadText> item,
                         std::optional<bridge::UnreadText> value);

// Nobody counts from the first to the end of the transaction.
void lock_counting(bridge::Spi& spi);
void carry_unrecorded_usage(bridge::Spi& spi);

}  // namespace claude_gpt::store
