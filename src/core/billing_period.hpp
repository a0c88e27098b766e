// The period in which a user counts: as his row has it, and the one that follows. A period lasts a month, from the day
// of the month on which the user's periods begin (his anchor day; 1 by the calendar) to that of the next month, or its
// last day where it has none such. A period that has begun is never changed: where the anchor is another when it ends,
// the next one begins at once, and lasts to the first anchor day that is a month away or more. So a change of the
// anchor shortens and restarts nothing, and no change, nor any number of them, gives more periods than months.
#pragma once

#include <optional>

#include "core/calendar.hpp"
#include "core/usage.hpp"

namespace claude_gpt::core {

struct StoredPeriod {
  Date begins;
  // The first day of the next one; nullopt: that of the next month.
  std::optional<Date> ends_on = std::nullopt;
  // The latest period of the ledger, where that is later than this one. Either a clock was ahead that recorded it, or
  // this one was begun by a clock that was behind: until the next period tells which, it counts in this one.
  std::optional<Date> ahead_to = std::nullopt;

  friend bool operator==(const StoredPeriod&, const StoredPeriod&) = default;
};

Date end_of(const StoredPeriod& period);

enum class PeriodState {
  running,
  lapsed,   // the next one begins, its counters at zero
  doubtful  // a wrong clock had its hand in it: what counts in the next one, the ledger knows
};

PeriodState state_of(const StoredPeriod& stored, Date today);

// The one that runs today, after one that has ended.
StoredPeriod period_after(const StoredPeriod& ended, int anchor_day, Date today);

// The anchor day of a user whose subscription is paid to a day: the one he has, if it falls on that day of its month.
int anchor_day_of(std::optional<std::int32_t> before, Date paid_to);

// What becomes of a doubtful period.
struct Rebase {
  StoredPeriod period;
  // The ledger's records of later periods than the new one: they go to the period in which they counted; nullopt where
  // they count in the new one and stay.
  std::optional<Date> later_ones_go_to = std::nullopt;
};
Rebase rebase(const StoredPeriod& stored, int anchor_day, Date today);

// The counters of a doubtful period: what the ledger has from its first day on. Where the ledger is not kept, it may
// know less than the counters of a period that is given up for an earlier one.
MonthlyUsage rebased_usage(const MonthlyUsage& booked, const MonthlyUsage& stored, const Rebase& rebase,
                           bool keeps_ledger);

}  // namespace claude_gpt::core
