// What a call adds to the row of a user.
#pragma once

#include <cstdint>
#include <optional>

#include "core/amount.hpp"
#include "core/calendar.hpp"
#include "core/quota.hpp"
#include "core/usage.hpp"

namespace claude_gpt::core {

// What becomes of the moment before which no hold expires.
enum class Expiry {
  kept,
  earliest,   // it, or that of the new hold
  normalized  // the same, and none where neither messages nor tokens are held any more
};

// Negative where a hold is given back.
struct Addition {
  std::int64_t messages = 0;
  std::int64_t tokens = 0;
  std::int64_t api_calls = 0;
  Amount cost;
  Holds held;
  Instant hold_expiry = Instant::infinity();
};

// The columns of a users row that count.
struct CountersOfUser {
  MonthlyUsage month;
  MonthlyUsage total;  // counted from nothing
  Holds held;
  std::optional<Instant> next_hold_expiry;
};

// In the month that begins then, to which a lapsed one gives way; counters of a later month, where the clock was moved
// back, go on. 22003 where a column could not hold the sum.
CountersOfUser add(const CountersOfUser& before, const Addition& addition, Date month, Expiry expiry);

}  // namespace claude_gpt::core
