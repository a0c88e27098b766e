#include "core/billing_period.hpp"

#include <algorithm>

#include "core/future.hpp"

namespace claude_gpt::core {

PeriodState state_of(const StoredPeriod& stored, Date month, Date today) {
  if (period_is_of_the_future(stored.begins, today)) return PeriodState::doubtful;
  if (stored.begins >= month) return PeriodState::running;
  return stored.ahead_to ? PeriodState::doubtful : PeriodState::lapsed;
}

Rebase rebase(const StoredPeriod& stored, Date month, Date today) {
  if (period_is_of_the_future(stored.begins, today))
    return {{month, std::max(stored.begins, stored.ahead_to.value_or(stored.begins))}};
  return {{month}, stored.begins};
}

MonthlyUsage rebased_usage(const MonthlyUsage& booked, const MonthlyUsage& stored, const Rebase& rebase,
                           bool keeps_ledger) {
  MonthlyUsage usage = booked;
  usage.counted_from = rebase.period.begins;
  if (keeps_ledger || rebase.later_ones_go_to) return usage;
  usage.messages = std::max(usage.messages, stored.messages);
  usage.tokens = std::max(usage.tokens, stored.tokens);
  usage.api_calls = std::max(usage.api_calls, stored.api_calls);
  usage.cost = std::max(usage.cost, stored.cost);
  return usage;
}

}  // namespace claude_gpt::core
