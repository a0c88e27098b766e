#include "core/counters.hpp"

#include <algorithm>

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
    default: return reason != Reason::rate_limited && reason != Reason::capacity;
  }
}

static_assert(k_replayed + static_cast<std::size_t>(Reason::capacity) + 1 == k_outcomes, "every reason has a counter");

void Counters::reset(Instant now) {
  for (auto& outcomes : decisions)
    for (Counter& counter : outcomes) counter = 0;
  for (Counter* counter : {&messages, &tokens, &api_calls, &cost}) *counter = 0;
  for (Counter& counter : settlements) counter = 0;
  for (Job& job : jobs)
    for (Counter* counter : {&job.succeeded, &job.failed, &job.rows, &job.microseconds}) *counter = 0;
  since = now.microseconds;
}

// Whoever wants a place tries the same one, so that two sessions never give a database two.
Counters* CounterBoard::of(std::uint32_t database, Instant now, bool (*is_gone)(std::uint32_t database)) {
  for (;;) {
    if (Counters* found = find(database)) return found;
    auto place = std::ranges::find_if(places_, [](const Counters& each) { return each.database == 0; });
    if (place == places_.end())
      place = std::ranges::find_if(places_, [&](const Counters& each) { return is_gone(each.database); });
    if (place == places_.end()) return nullptr;
    std::uint32_t holder = place->database;
    if (holder == database) return &*place;
    if ((holder != 0 && !is_gone(holder)) || !place->database.compare_exchange_strong(holder, k_changes_hands))
      continue;
    place->reset(now);
    place->database = database;
    return &*place;
  }
}

void CounterBoard::free_places_that_change_hands() {
  for (Counters& place : places_)
    if (place.database == k_changes_hands) place.database = 0;
}

Counters* CounterBoard::find(std::uint32_t database) {
  for (Counters& place : places_) {
    std::uint32_t holder = place.database;
    while (holder == k_changes_hands) holder = place.database;  // for as long as it takes to clear the counters
    if (holder == database) return &place;
  }
  return nullptr;
}

}  // namespace claude_gpt::core
