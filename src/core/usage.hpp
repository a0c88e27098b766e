// What a user has used this billing month, and whether a plan leaves room for more.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/amount.hpp"
#include "core/calendar.hpp"
#include "core/config.hpp"

namespace claude_gpt::core {

enum class Action { message, token, api_call };

std::optional<Action> parse_action(std::string_view name);

// The monthly counters of a users row, and the day from which they count.
struct MonthlyUsage {
  Date counted_from;
  std::int64_t messages = 0;
  std::int64_t tokens = 0;
  std::int64_t api_calls = 0;
  Amount cost;
};

// Counters from before the month's first day belong to a lapsed month and count as zero.
MonthlyUsage usage_in_month(const MonthlyUsage& stored, Date month_first_day);

// True if the plan admits one more unit of the action and its cost limit is not used up.
bool within_limits(const Plan& plan, const MonthlyUsage& used, Action action);

}  // namespace claude_gpt::core
