// The period in which a user counts, as his row has it.
#pragma once

#include <optional>

#include "core/calendar.hpp"
#include "core/usage.hpp"

namespace claude_gpt::core {

struct StoredPeriod {
  Date begins;
  // The latest period of the ledger, where that is later than this one. Either a clock was ahead that recorded it, or
  // this one was begun by a clock that was behind: until the next period tells which, it counts in this one.
  std::optional<Date> ahead_to = std::nullopt;
};

enum class PeriodState {
  running,
  lapsed,   // the next one begins, its counters at zero
  doubtful  // a wrong clock had its hand in it: what counts in the next one, the ledger knows
};

PeriodState state_of(const StoredPeriod& stored, Date month, Date today);

// What becomes of a doubtful period.
struct Rebase {
  StoredPeriod period;
  // The ledger's records of later periods than the new one: they go to the period in which they counted; nullopt where
  // they count in the new one and stay.
  std::optional<Date> later_ones_go_to = std::nullopt;
};
Rebase rebase(const StoredPeriod& stored, Date month, Date today);

// The counters of a doubtful period: what the ledger has from its first day on. Where the ledger is not kept, it may
// know less than the counters of a period that is given up for an earlier one.
MonthlyUsage rebased_usage(const MonthlyUsage& booked, const MonthlyUsage& stored, const Rebase& rebase,
                           bool keeps_ledger);

}  // namespace claude_gpt::core
