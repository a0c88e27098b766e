#include "core/counters.hpp"

#include <algorithm>
#include <mutex>

namespace claude_gpt::core {

namespace {

constexpr std::size_t k_replayed = 1;

}  // namespace

std::size_t outcome_of(Reason reason, bool is_replayed) {
  if (reason == Reason::none) return is_replayed ? k_replayed : 0;
  return k_replayed + static_cast<std::size_t>(reason);
}

std::string_view name_of_outcome(std::size_t outcome) {
  if (outcome == 0) return "allowed";
  if (outcome == k_replayed) return "replayed";
  return text_of(static_cast<Reason>(outcome - k_replayed)).name;
}

bool can_come_out(Decider decider, std::size_t outcome) {
  if (outcome == 0 || decider == Decider::begin_turn) return true;
  const Reason reason = outcome == k_replayed ? Reason::none : static_cast<Reason>(outcome - k_replayed);
  switch (decider) {
    case Decider::check_subscription_limit: return reason == Reason::quota_exceeded;
    case Decider::check_rate_limit:
    case Decider::rate_limit: return reason == Reason::rate_limited || reason == Reason::capacity;
    case Decider::consume_quota:
      if (reason == Reason::price_unknown) return false;
      [[fallthrough]];
    default: return reason != Reason::rate_limited && reason != Reason::capacity && reason != Reason::too_many_turns;
  }
}

static_assert(k_replayed + static_cast<std::size_t>(Reason::too_many_turns) + 1 == k_outcomes,
              "every reason has a counter");

void Counters::reset(Instant now) {
  for (auto& outcomes : decisions)
    for (Counter& counter : outcomes) counter = 0;
  for (Counter* counter : {&messages, &tokens, &api_calls, &cost}) *counter = 0;
  for (Counter& counter : settlements) counter = 0;
  for (Job& job : jobs)
    for (Counter* counter : {&job.succeeded, &job.failed, &job.rows, &job.microseconds}) *counter = 0;
  since = now.microseconds;
}

Counters* CounterBoard::of(std::uint32_t database, Instant now, bool (*is_gone)(std::uint32_t database)) {
  for (;;) {
    if (Counters* found = find(database)) return found;
    // Before the lock is taken: is_gone calls the server.
    const auto holder = holder_of_a_place_to_take(is_gone);
    // The last place may have gone to another session of the database just then.
    if (!holder) return find(database);
    const std::lock_guard lock{lock_};
    // Another session of the database may have been here.
    if (Counters* found = find(database)) return found;
    Counters* place = find(*holder);
    if (place == nullptr) continue;
    place->database = k_nobody;
    place->reset(now);
    place->database = database;
    return place;
  }
}

// Nobody, while there is a free place; else a database that is gone.
std::optional<std::uint32_t> CounterBoard::holder_of_a_place_to_take(bool (*is_gone)(std::uint32_t database)) {
  if (find(k_nobody) != nullptr) return k_nobody;
  for (const Counters& place : places_)
    if (const std::uint32_t holder = place.database; holder != k_nobody && is_gone(holder)) return holder;
  return std::nullopt;
}

Counters* CounterBoard::find(std::uint32_t database) {
  const auto found = std::ranges::find_if(places_, [&](const Counters& each) { return each.database == database; });
  return found == places_.end() ? nullptr : &*found;
}

}  // namespace claude_gpt::core
