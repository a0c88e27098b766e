#include "core/counting.hpp"

#include <algorithm>

#include "core/checked.hpp"

namespace claude_gpt::core {

namespace {

void add_to(MonthlyUsage& usage, const Addition& addition) {
  usage.messages = checked::add_int4(usage.messages, addition.messages);
  usage.tokens = checked::add_int8(usage.tokens, addition.tokens);
  usage.api_calls = checked::add_int8(usage.api_calls, addition.api_calls);
  usage.cost = checked::add(usage.cost, addition.cost);
}

void add_to(Holds& held, const Holds& addition) {
  held.messages = checked::add_int4(held.messages, addition.messages);
  held.tokens = checked::add_int8(held.tokens, addition.tokens);
  held.cost = checked::add(held.cost, addition.cost);
}

}  // namespace

CountersOfUser add(const CountersOfUser& before, const Addition& addition, Date month, Expiry expiry) {
  CountersOfUser after = before;
  after.month = usage_in_month(before.month, month);
  add_to(after.month, addition);
  add_to(after.total, addition);
  add_to(after.held, addition.held);
  if (expiry == Expiry::kept) return after;
  const bool holds_nothing = after.held.messages == 0 && after.held.tokens == 0;
  if (expiry == Expiry::normalized && holds_nothing)
    after.next_hold_expiry = std::nullopt;
  else
    after.next_hold_expiry = std::min(before.next_hold_expiry.value_or(Instant::infinity()), addition.hold_expiry);
  return after;
}

}  // namespace claude_gpt::core
