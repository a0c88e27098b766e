#include "core/conversations.hpp"

#include <algorithm>
#include <cstring>

#include "core/checked.hpp"
#include "core/quota.hpp"
#include "core/rate_limit.hpp"

namespace claude_gpt::core {

namespace {

void add_to(CounterChange& change, const CountedMessage& message) {
  change.messages += 1;
  change.tokens += message.tokens;
  change.cost += message.cost;
  change.newest_added = std::max(change.newest_added, std::optional{message.created_at});
}

void remove_from(CounterChange& change, const CountedMessage& message) {
  change.messages -= 1;
  change.tokens -= message.tokens;
  change.cost -= message.cost;
  change.newest_removed = std::max(change.newest_removed, std::optional{message.created_at});
}

}  // namespace

CounterChange change_between(const CountedMessage& before, const CountedMessage& after) {
  CounterChange change;
  if (!before.is_deleted) remove_from(change, before);
  if (!after.is_deleted) add_to(change, after);
  return change;
}

ConversationCounters counters_after(const ConversationCounters& before, const CounterChange& change) {
  ConversationCounters after = before;
  after.messages = checked::add_int4(before.messages, change.messages);
  after.tokens = checked::add_int8(before.tokens, change.tokens);
  after.cost = checked::add(before.cost, change.cost);
  if (change.newest_added)
    after.newest = before.messages == 0 ? *change.newest_added : std::max(before.newest, *change.newest_added);
  return after;
}

Instant moment_after(std::optional<Instant> newest, Instant now) {
  constexpr Instant k_last{9'223'371'331'199'999'999};  // of timestamptz; a question is followed by its reply
  constexpr Duration k_tick{1};
  const bool has_after = newest && *newest < k_last - k_tick;
  return has_after ? std::max(now, *newest + k_tick) : now;
}

std::size_t CounterChanges::UuidHash::operator()(const Uuid& uuid) const noexcept {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::memcpy(&high, uuid.bytes.data(), sizeof high);
  std::memcpy(&low, uuid.bytes.data() + sizeof high, sizeof low);
  return high * 0x9E3779B97F4A7C15u ^ low;
}

CounterChange& CounterChanges::of(const Uuid& conversation_id) {
  if (last_ == nullptr || last_->first != conversation_id) last_ = &*changes_.try_emplace(conversation_id).first;
  return last_->second;
}

std::int64_t hash_of_reply(std::string_view status, std::optional<std::string_view> content,
                           std::optional<std::string_view> metadata, std::optional<std::string_view> parts) {
  // Nobody gains by two replies of one hash: both are the application's own.
  constexpr HashSecret k_known_to_all{};
  return static_cast<std::int64_t>(keyed_hash(k_known_to_all, call_fingerprint({status, content, metadata, parts})));
}

void CounterChanges::add(const CountedMessage& message) {
  if (!message.is_deleted) add_to(of(message.conversation_id), message);
}

void CounterChanges::remove(const CountedMessage& message) {
  if (!message.is_deleted) remove_from(of(message.conversation_id), message);
}

std::vector<std::pair<Uuid, CounterChange>> CounterChanges::in_lock_order() const {
  std::vector<std::pair<Uuid, CounterChange>> ordered;
  ordered.reserve(changes_.size());
  for (const auto& [conversation_id, change] : changes_)
    if (!change.is_nothing()) ordered.emplace_back(conversation_id, change);
  std::ranges::sort(ordered, {}, &std::pair<Uuid, CounterChange>::first);
  return ordered;
}

}  // namespace claude_gpt::core
