// How a statement on messages changes the counters of the conversations it touched.
// Messages with status 'deleted' count as absent. Order of additions and removals does not matter.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/amount.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::core {

// What one message contributes.
struct CountedMessage {
  Uuid conversation_id;
  bool is_deleted = false;
  std::int64_t tokens = 0;
  Amount cost;
  Instant created_at;
};

struct CounterChange {
  std::int64_t messages = 0;
  std::int64_t tokens = 0;
  Amount cost;
  std::optional<Instant> newest_added;
  std::optional<Instant> newest_removed;

  bool is_nothing() const { return messages == 0 && tokens == 0 && cost.is_zero() && newest_added == newest_removed; }

  // A removed message may have been the newest one, and nothing as new came in its place.
  bool may_lose_newest() const { return newest_removed && (!newest_added || *newest_added < *newest_removed); }
};

// What the conversation of both counts where a message becomes another one.
CounterChange change_between(const CountedMessage& before, const CountedMessage& after);

// The counters of a conversation, and when its newest message came, or it was made.
struct ConversationCounters {
  std::int64_t messages = 0;
  std::int64_t tokens = 0;
  Amount cost;
  Instant newest;
};

// 22003 where a column could not hold the sum. After a loss of the newest message, who calls looks for the newest
// again.
ConversationCounters counters_after(const ConversationCounters& before, const CounterChange& change);

// When a message comes that is stored now: after the newest of its conversation, so that their order does not hang on
// the clock. Nothing comes after the end of time, which the column can hold.
Instant moment_after(std::optional<Instant> newest, Instant now);

// What a message counts: its total or, where that is not given, its parts.
constexpr std::int64_t counted_tokens(std::optional<std::int32_t> total, std::optional<std::int32_t> prompt,
                                      std::optional<std::int32_t> completion) {
  return total ? *total : std::int64_t{prompt.value_or(0)} + completion.value_or(0);
}

// What tells a reply that ended a turn, and how it ended, from others. NULL is no empty text.
std::int64_t hash_of_reply(std::string_view status, std::optional<std::string_view> content,
                           std::optional<std::string_view> metadata, std::optional<std::string_view> parts);

class CounterChanges {
 public:
  CounterChanges() = default;
  CounterChanges(const CounterChanges&) = delete;
  CounterChanges& operator=(const CounterChanges&) = delete;

  void add(const CountedMessage& message);
  void remove(const CountedMessage& message);

  // The changes that change something, by conversation id: the order in which rows are locked everywhere.
  std::vector<std::pair<Uuid, CounterChange>> in_lock_order() const;

 private:
  struct UuidHash {
    std::size_t operator()(const Uuid& uuid) const noexcept;
  };
  CounterChange& of(const Uuid& conversation_id);

  std::unordered_map<Uuid, CounterChange, UuidHash> changes_;
  // Messages of one conversation arrive together: the last entry spares the look-up.
  std::pair<const Uuid, CounterChange>* last_ = nullptr;
};

}  // namespace claude_gpt::core
