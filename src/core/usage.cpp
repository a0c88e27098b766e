#include "core/usage.hpp"

namespace claude_gpt::core {

namespace {

template <typename Quantity>
bool below(Quantity used, const std::optional<Quantity>& limit) {
  return !limit || used < *limit;
}

bool below_action_limit(const Plan& plan, const MonthlyUsage& used, Action action) {
  switch (action) {
    case Action::message: return below(used.messages, plan.messages);
    case Action::token: return below(used.tokens, plan.tokens);
    case Action::api_call: return below(used.api_calls, plan.api_calls);
  }
  return false;
}

}  // namespace

std::optional<Action> parse_action(std::string_view name) {
  if (name == "message") return Action::message;
  if (name == "token") return Action::token;
  if (name == "api_call") return Action::api_call;
  return std::nullopt;
}

MonthlyUsage usage_in_month(const MonthlyUsage& stored, Date month_first_day) {
  if (stored.counted_from < month_first_day) return {month_first_day, 0, 0, 0, Amount{}};
  return stored;
}

bool within_limits(const Plan& plan, const MonthlyUsage& used, Action action) {
  return below_action_limit(plan, used, action) && below(used.cost, plan.cost);
}

}  // namespace claude_gpt::core
