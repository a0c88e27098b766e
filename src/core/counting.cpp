#include "core/counting.hpp"

#include <algorithm>
#include <limits>

namespace claude_gpt::core {

namespace {

// Below numeric(20,9) in either direction.
constexpr Int128 k_amounts_end = Int128{100'000'000'000} * Amount::k_units_per_one;

bool fits(Amount amount) { return amount.units() < k_amounts_end && amount.units() > -k_amounts_end; }

bool fits_integer(std::int64_t count) {
  return count >= std::numeric_limits<std::int32_t>::min() && count <= std::numeric_limits<std::int32_t>::max();
}

// False where a sum overflows. Messages are integers.
bool add_to(MonthlyUsage& usage, const Addition& addition) {
  usage.cost += addition.cost;
  return !__builtin_add_overflow(usage.messages, addition.messages, &usage.messages) && fits_integer(usage.messages) &&
         !__builtin_add_overflow(usage.tokens, addition.tokens, &usage.tokens) &&
         !__builtin_add_overflow(usage.api_calls, addition.api_calls, &usage.api_calls) && fits(usage.cost);
}

bool add_to(Holds& held, const Holds& addition) {
  held.cost += addition.cost;
  return !__builtin_add_overflow(held.messages, addition.messages, &held.messages) && fits_integer(held.messages) &&
         !__builtin_add_overflow(held.tokens, addition.tokens, &held.tokens) && fits(held.cost);
}

}  // namespace

std::optional<CountersOfUser> add(const CountersOfUser& before, const Addition& addition, Date month, Expiry expiry) {
  CountersOfUser after = before;
  after.month = usage_in_month(before.month, month);
  if (!add_to(after.month, addition) || !add_to(after.total, addition) || !add_to(after.held, addition.held))
    return std::nullopt;
  if (expiry == Expiry::kept) return after;
  const bool holds_nothing = after.held.messages == 0 && after.held.tokens == 0;
  if (expiry == Expiry::normalized && holds_nothing)
    after.next_hold_expiry = std::nullopt;
  else
    after.next_hold_expiry = std::min(before.next_hold_expiry.value_or(Instant::infinity()), addition.hold_expiry);
  return after;
}

}  // namespace claude_gpt::core
