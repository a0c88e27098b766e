#include "core/usage.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string_view>

namespace claude_gpt::core {
namespace {

using namespace std::string_view_literals;

constexpr Action k_actions[] = {Action::message, Action::token, Action::api_call};

std::int64_t& counter_of(MonthlyUsage& usage, Action action) {
  return action == Action::message ? usage.messages : action == Action::token ? usage.tokens
                                                                              : usage.api_calls;
}

std::optional<std::int64_t>& limit_of(Plan& plan, Action action) {
  return action == Action::message ? plan.messages : action == Action::token ? plan.tokens
                                                                             : plan.api_calls;
}

bool admits(Action action, std::optional<std::int64_t> limit, std::int64_t used) {
  Plan plan;
  MonthlyUsage usage;
  limit_of(plan, action) = limit;
  counter_of(usage, action) = used;
  return within_limits(plan, usage, action);
}

// --- Actions ---

TEST(usage, actions_are_known_by_their_exact_names) {
  EXPECT_EQ(parse_action("message"), Action::message);
  EXPECT_EQ(parse_action("token"), Action::token);
  EXPECT_EQ(parse_action("api_call"), Action::api_call);
  for (const std::string_view name : {""sv, "messages"sv, "Message"sv, "message "sv, " token"sv, "tokens"sv, "apicall"sv, "api-call"sv,
                                      "api_calls"sv, "cost"sv, "message\0"sv})
    EXPECT_EQ(parse_action(name), std::nullopt) << name;
}

// --- Limits ---

TEST(usage, the_last_unit_below_a_limit_is_admitted_and_the_limit_is_not) {
  for (const Action action : k_actions) {
    for (const std::int64_t limit : {1L, 10L, 2'147'483'648L, std::numeric_limits<std::int64_t>::max()}) {
      EXPECT_TRUE(admits(action, limit, 0));
      EXPECT_TRUE(admits(action, limit, limit - 1));
      EXPECT_FALSE(admits(action, limit, limit));
    }
    EXPECT_FALSE(admits(action, 10, 11));
    EXPECT_FALSE(admits(action, 10, std::numeric_limits<std::int64_t>::max()));
  }
}

TEST(usage, a_limit_of_zero_admits_nothing) {
  for (const Action action : k_actions) EXPECT_FALSE(admits(action, 0, 0));
}

TEST(usage, no_limit_admits_any_amount) {
  for (const Action action : k_actions) {
    EXPECT_TRUE(admits(action, std::nullopt, 0));
    EXPECT_TRUE(admits(action, std::nullopt, std::numeric_limits<std::int64_t>::max()));
  }
}

TEST(usage, the_limit_of_one_action_does_not_touch_another) {
  for (const Action limited : k_actions) {
    for (const Action asked : k_actions) {
      Plan plan;
      MonthlyUsage usage;
      limit_of(plan, limited) = 5;
      counter_of(usage, limited) = 5;
      EXPECT_EQ(within_limits(plan, usage, asked), asked != limited);
    }
  }
}

TEST(usage, a_used_up_cost_limit_denies_every_action) {
  for (const Action action : k_actions) {
    Plan plan;
    MonthlyUsage usage;
    plan.cost = Amount::from_units(100);
    usage.cost = Amount::from_units(99);
    EXPECT_TRUE(within_limits(plan, usage, action));
    usage.cost = Amount::from_units(100);
    EXPECT_FALSE(within_limits(plan, usage, action));
    usage.cost = Amount::from_units(101);
    EXPECT_FALSE(within_limits(plan, usage, action));
    plan.cost = std::nullopt;
    EXPECT_TRUE(within_limits(plan, usage, action));
    plan.cost = Amount{};
    usage.cost = Amount{};
    EXPECT_FALSE(within_limits(plan, usage, action));
  }
}

TEST(usage, the_cost_limit_does_not_lift_the_action_s_own) {
  Plan plan;
  MonthlyUsage usage;
  plan.messages = 1;
  plan.cost = Amount::from_units(100);
  usage.messages = 1;
  EXPECT_FALSE(within_limits(plan, usage, Action::message));
  EXPECT_TRUE(within_limits(plan, usage, Action::token));
}

// --- Months ---

constexpr Date k_month{9800};

MonthlyUsage used_since(std::int32_t days) { return {{days}, 1, 2, 3, Amount::from_units(4)}; }

TEST(usage, counters_of_a_lapsed_month_count_as_zero) {
  for (const std::int32_t days : {k_month.days - 1, k_month.days - 31, 0, -1, Date::minus_infinity().days}) {
    const MonthlyUsage usage = usage_in_month(used_since(days), k_month);
    EXPECT_EQ(usage.counted_from, k_month) << days;
    EXPECT_EQ(usage.messages, 0) << days;
    EXPECT_EQ(usage.tokens, 0) << days;
    EXPECT_EQ(usage.api_calls, 0) << days;
    EXPECT_TRUE(usage.cost.is_zero()) << days;
  }
}

TEST(usage, counters_from_the_month_s_first_day_on_count_as_they_are) {
  for (const std::int32_t days : {k_month.days, k_month.days + 1, k_month.days + 30, k_month.days + 31, Date::infinity().days}) {
    const MonthlyUsage usage = usage_in_month(used_since(days), k_month);
    EXPECT_EQ(usage.counted_from.days, days);
    EXPECT_EQ(usage.messages, 1) << days;
    EXPECT_EQ(usage.tokens, 2) << days;
    EXPECT_EQ(usage.api_calls, 3) << days;
    EXPECT_EQ(usage.cost, Amount::from_units(4)) << days;
  }
}

TEST(usage, a_user_who_used_up_last_month_is_admitted_in_the_new_one) {
  Plan plan;
  plan.messages = 10;
  plan.tokens = 10;
  plan.api_calls = 10;
  plan.cost = Amount::from_units(10);
  const MonthlyUsage used_up{{k_month.days - 1}, 10, 10, 10, Amount::from_units(10)};
  for (const Action action : k_actions) {
    EXPECT_FALSE(within_limits(plan, usage_in_month(used_up, {k_month.days - 1}), action));
    EXPECT_TRUE(within_limits(plan, usage_in_month(used_up, k_month), action));
  }
}

}  // namespace
}  // namespace claude_gpt::core
