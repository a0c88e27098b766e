#include "core/quota.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace claude_gpt::core {
namespace {

using namespace std::string_view_literals;

constexpr std::array k_actions = {Action::message, Action::token, Action::api_call};

// The limit that carries the action's name.
Limit limit_of(Action action) { return parse_limit(name_of(action)).value(); }
constexpr std::array k_limits = {Limit::message, Limit::token, Limit::api_call, Limit::cost};
constexpr std::int64_t k_most = std::numeric_limits<std::int64_t>::max();

// The limits of a plan, what is used and held of them, and what is asked.
struct Question {
  Limits limits;
  MonthlyUsage used;
  Holds held;
  Demand asked;

  void set(Limit limit, std::optional<std::int64_t> most, std::int64_t used_units, std::int64_t held_units,
           std::int64_t asked_units) {
    switch (limit) {
      case Limit::message:
        limits.messages = most, used.messages = used_units, held.messages = held_units, asked.messages = asked_units;
        break;
      case Limit::token:
        limits.tokens = most, used.tokens = used_units, held.tokens = held_units, asked.tokens = asked_units;
        break;
      case Limit::api_call:
        limits.api_calls = most, used.api_calls = used_units, asked.api_calls = asked_units;
        break;  // never held
      case Limit::cost:
        limits.cost = most ? std::optional{Amount::from_units(*most)} : std::nullopt;
        used.cost = Amount::from_units(used_units), held.cost = Amount::from_units(held_units),
        asked.cost = Amount::from_units(asked_units);
    }
  }

  std::optional<Limit> exceeded() const { return exceeded_limit(limits, used, held, asked); }
  Standing standing(Limit limit) const { return standing_of(limits, used, held, limit); }
};

Question question(Limit limit, std::optional<std::int64_t> most, std::int64_t used, std::int64_t held,
                  std::int64_t asked) {
  Question made;
  made.set(limit, most, used, held, asked);
  return made;
}

std::optional<Limit> exceeded(Limit limit, std::optional<std::int64_t> most, std::int64_t used, std::int64_t held,
                              std::int64_t asked) {
  return question(limit, most, used, held, asked).exceeded();
}

// --- The slow model: units are counted one by one ---

bool fits(std::optional<std::int64_t> most, std::int64_t taken, std::int64_t asked) {
  // What is asked without a number takes at least a part of a unit.
  for (std::int64_t left = std::max<std::int64_t>(asked, 1); left > 0; --left, ++taken)
    if (most && taken >= *most) return false;
  return true;
}

// --- Names ---

TEST(quota, limits_are_known_by_their_exact_names) {
  EXPECT_EQ(parse_limit("message"), Limit::message);
  EXPECT_EQ(parse_limit("token"), Limit::token);
  EXPECT_EQ(parse_limit("api_call"), Limit::api_call);
  EXPECT_EQ(parse_limit("cost"), Limit::cost);
  for (const Limit limit : k_limits) EXPECT_EQ(parse_limit(name_of(limit)), limit);
  for (const std::string_view name : {""sv, "messages"sv, "Message"sv, "token "sv, " token"sv, "api-call"sv,
                                      "apicall"sv, "costs"sv, "cost\0"sv, "mess"sv})
    EXPECT_EQ(parse_limit(name), std::nullopt) << name;
}

TEST(quota, an_action_and_its_limit_have_one_name) {
  for (const Action action : k_actions) EXPECT_EQ(name_of(limit_of(action)), name_of(action));
}

// --- Demands ---

TEST(quota, one_of_an_action_asks_for_one_unit_of_its_limit_alone) {
  for (const Action action : k_actions) {
    const Demand demand = demand_of(action);
    EXPECT_EQ(demand.messages, action == Action::message ? 1 : 0);
    EXPECT_EQ(demand.tokens, action == Action::token ? 1 : 0);
    EXPECT_EQ(demand.api_calls, action == Action::api_call ? 1 : 0);
    EXPECT_TRUE(demand.cost.is_zero());
    EXPECT_FALSE(demand.will_spend_tokens);
    for (const Limit limit : k_limits)
      EXPECT_EQ(demand.concerns(limit), limit == limit_of(action) || limit == Limit::cost) << name_of(limit);
    EXPECT_EQ(demand.main_limit(), limit_of(action));
  }
}

TEST(quota, tokens_of_an_unknown_number_concern_their_limit) {
  Demand demand;
  EXPECT_FALSE(demand.concerns(Limit::token));
  demand.will_spend_tokens = true;
  EXPECT_TRUE(demand.concerns(Limit::token));
  EXPECT_FALSE(demand.concerns(Limit::message));
  EXPECT_FALSE(demand.concerns(Limit::api_call));
}

TEST(quota, an_admission_tells_of_messages_before_tokens) {
  const auto main_limit = [](std::int64_t messages, std::int64_t tokens, std::int64_t api_calls) {
    Demand demand;
    demand.messages = messages, demand.tokens = tokens, demand.api_calls = api_calls;
    return demand.main_limit();
  };
  EXPECT_EQ(main_limit(1, 100, 0), Limit::message);
  EXPECT_EQ(main_limit(1, 0, 0), Limit::message);
  EXPECT_EQ(main_limit(0, 100, 0), Limit::token);
  EXPECT_EQ(main_limit(0, 0, 1), Limit::api_call);
}

// --- One limit ---

TEST(quota, the_last_unit_below_a_limit_is_admitted_and_the_limit_is_not) {
  for (const Limit limit : k_limits) {
    for (const std::int64_t most : {1L, 10L, 2'147'483'648L, k_most}) {
      EXPECT_EQ(exceeded(limit, most, 0, 0, 1), std::nullopt);
      EXPECT_EQ(exceeded(limit, most, most - 1, 0, 1), std::nullopt);
      EXPECT_EQ(exceeded(limit, most, most, 0, 1), limit);
    }
    EXPECT_EQ(exceeded(limit, 10, 11, 0, 1), limit);
    EXPECT_EQ(exceeded(limit, 10, k_most, 0, 1), limit);
  }
}

TEST(quota, all_that_is_asked_fits_or_nothing_does) {
  for (const Limit limit : k_limits) {
    EXPECT_EQ(exceeded(limit, 10, 0, 0, 10), std::nullopt);
    EXPECT_EQ(exceeded(limit, 10, 0, 0, 11), limit);
    EXPECT_EQ(exceeded(limit, 10, 4, 0, 6), std::nullopt);
    EXPECT_EQ(exceeded(limit, 10, 5, 0, 6), limit);
  }
}

TEST(quota, what_is_held_is_not_free) {
  for (const Limit limit : {Limit::message, Limit::token, Limit::cost}) {
    EXPECT_EQ(exceeded(limit, 10, 3, 4, 3), std::nullopt);
    EXPECT_EQ(exceeded(limit, 10, 3, 5, 3), limit);
    EXPECT_EQ(exceeded(limit, 10, 0, 10, 1), limit);
  }
}

TEST(quota, a_limit_of_zero_admits_nothing) {
  for (const Limit limit : k_limits) EXPECT_EQ(exceeded(limit, 0, 0, 0, 1), limit);
}

TEST(quota, no_limit_admits_any_amount) {
  for (const Limit limit : k_limits) {
    EXPECT_EQ(exceeded(limit, std::nullopt, 0, 0, 1), std::nullopt);
    EXPECT_EQ(exceeded(limit, std::nullopt, k_most, k_most, k_most), std::nullopt);
  }
}

TEST(quota, sums_past_64_bits_do_not_turn_into_room) {
  for (const Limit limit : {Limit::message, Limit::token, Limit::cost}) {
    EXPECT_EQ(exceeded(limit, k_most, k_most, k_most, k_most), limit);
    EXPECT_EQ(exceeded(limit, k_most, k_most, 1, 1), limit);
    EXPECT_EQ(exceeded(limit, k_most, 1, k_most, 1), limit);
    EXPECT_EQ(exceeded(limit, k_most, 1, 0, k_most), limit);
    EXPECT_EQ(exceeded(limit, k_most, 0, 1, k_most), limit);
    EXPECT_EQ(exceeded(limit, k_most, k_most - 3, 1, 2), std::nullopt);
    EXPECT_EQ(exceeded(limit, 5, k_most, k_most, k_most), limit);
    EXPECT_EQ(exceeded(limit, k_most, 0, 0, k_most), std::nullopt);
  }
  EXPECT_EQ(exceeded(Limit::api_call, k_most, k_most, 0, k_most), Limit::api_call);
  EXPECT_EQ(exceeded(Limit::api_call, k_most, 1, 0, k_most), Limit::api_call);
}

TEST(quota, costs_past_64_bits_are_compared_exactly) {
  const Amount most = Amount::from_units(Int128{100'000'000'000} * Amount::k_units_per_one - 1);
  const Amount one = Amount::from_units(1);
  Question asked;
  asked.limits.cost = most;
  asked.used.cost = most - one - one;
  asked.held.cost = one;
  asked.asked.cost = one;
  EXPECT_EQ(asked.exceeded(), std::nullopt);
  asked.asked.cost += one;
  EXPECT_EQ(asked.exceeded(), Limit::cost);
}

// --- What is asked without a number ---

TEST(quota, an_estimate_of_no_tokens_needs_a_limit_that_is_not_used_up) {
  const auto ask = [](std::optional<std::int64_t> most, std::int64_t used, std::int64_t held) {
    Question asked = question(Limit::token, most, used, held, 0);
    asked.asked.will_spend_tokens = true;
    return asked.exceeded();
  };
  EXPECT_EQ(ask(10, 9, 0), std::nullopt);
  EXPECT_EQ(ask(10, 10, 0), Limit::token);
  EXPECT_EQ(ask(10, 11, 0), Limit::token);
  EXPECT_EQ(ask(10, 4, 5), std::nullopt);
  EXPECT_EQ(ask(10, 4, 6), Limit::token);
  EXPECT_EQ(ask(0, 0, 0), Limit::token);
  EXPECT_EQ(ask(std::nullopt, k_most, k_most), std::nullopt);
}

TEST(quota, tokens_that_are_not_asked_need_no_room) {
  EXPECT_EQ(exceeded(Limit::token, 10, 10, 0, 0), std::nullopt);
  EXPECT_EQ(exceeded(Limit::message, 10, 10, 0, 0), std::nullopt);
  EXPECT_EQ(exceeded(Limit::api_call, 10, 10, 0, 0), std::nullopt);
}

TEST(quota, a_used_up_cost_limit_denies_every_action) {
  for (const Action action : k_actions) {
    const auto ask = [&](std::optional<std::int64_t> most, std::int64_t used, std::int64_t held) {
      Question asked = question(Limit::cost, most, used, held, 0);
      asked.asked = demand_of(action);
      return asked.exceeded();
    };
    EXPECT_EQ(ask(100, 99, 0), std::nullopt);
    EXPECT_EQ(ask(100, 100, 0), Limit::cost);
    EXPECT_EQ(ask(100, 101, 0), Limit::cost);
    EXPECT_EQ(ask(100, 50, 49), std::nullopt);
    EXPECT_EQ(ask(100, 50, 50), Limit::cost);
    EXPECT_EQ(ask(0, 0, 0), Limit::cost);
    EXPECT_EQ(ask(std::nullopt, 100, 100), std::nullopt);
  }
}

// --- Several limits ---

TEST(quota, the_limit_of_one_action_does_not_touch_another) {
  for (const Action limited : k_actions) {
    for (const Action asking : k_actions) {
      Question asked = question(limit_of(limited), 5, 5, 0, 0);
      asked.asked = demand_of(asking);
      EXPECT_EQ(asked.exceeded(), asking == limited ? std::optional{limit_of(limited)} : std::nullopt);
    }
  }
}

TEST(quota, the_first_of_the_exceeded_limits_is_named) {
  // Every set of limits that are full, all of them asked.
  for (unsigned full = 0; full < 16; ++full) {
    Question asked;
    std::optional<Limit> first;
    for (std::size_t i = 0; i < k_limits.size(); ++i) {
      const bool is_full = (full >> i & 1) != 0;
      asked.set(k_limits[i], 10, is_full ? 10 : 9, 0, 1);
      if (is_full && !first) first = k_limits[i];
    }
    EXPECT_EQ(asked.exceeded(), first) << full;
  }
}

TEST(quota, a_demand_is_admitted_exactly_if_every_unit_of_it_fits_each_limit_it_concerns) {
  std::mt19937_64 random{1};
  std::map<std::optional<Limit>, int> answers;
  for (int i = 0; i < 100'000; ++i) {
    Question asked;
    asked.asked.will_spend_tokens = random() % 2 == 0;
    std::optional<Limit> expected;
    for (const Limit limit : k_limits) {
      const auto small = [&](unsigned most) { return static_cast<std::int64_t>(random() % (most + 1)); };
      const auto most = random() % 4 == 0 ? std::nullopt : std::optional{small(9)};
      const std::int64_t used = small(4);
      const std::int64_t held = limit == Limit::api_call ? 0 : small(3);
      const std::int64_t units = small(3);
      asked.set(limit, most, used, held, units);
      const bool concerned =
          units > 0 || limit == Limit::cost || (limit == Limit::token && asked.asked.will_spend_tokens);
      ASSERT_EQ(asked.asked.concerns(limit), concerned);
      if (!expected && concerned && !fits(most, used + held, units)) expected = limit;
    }
    ASSERT_EQ(asked.exceeded(), expected);
    ++answers[expected];
  }
  EXPECT_EQ(answers.size(), 5u);
  for (const auto& [answer, count] : answers) EXPECT_GT(count, 1000);
}

TEST(quota, a_user_who_used_up_last_month_is_admitted_in_the_new_one) {
  constexpr Date k_month{9800};
  for (const Limit limit : k_limits) {
    Question asked = question(limit, 10, 10, 0, 1);
    asked.used.counted_from = {k_month.days - 1};
    const MonthlyUsage before = asked.used;
    asked.used = usage_in_month(before, {k_month.days - 1});
    EXPECT_EQ(asked.exceeded(), limit);
    asked.used = usage_in_month(before, k_month);
    EXPECT_EQ(asked.exceeded(), std::nullopt);
  }
}

// --- How a limit stands ---

TEST(quota, remaining_is_what_is_neither_used_nor_held) {
  for (const Limit limit : {Limit::message, Limit::token}) {
    const Standing standing = question(limit, 10, 3, 4, 0).standing(limit);
    EXPECT_EQ(standing.limit, limit);
    EXPECT_EQ(standing.limit_value, 10);
    EXPECT_EQ(standing.used, 3);
    EXPECT_EQ(standing.held, 4);
    EXPECT_EQ(standing.remaining, 3);
  }
  const Standing calls = question(Limit::api_call, 10, 3, 0, 0).standing(Limit::api_call);
  EXPECT_EQ(calls.limit, Limit::api_call);
  EXPECT_EQ(calls.limit_value, 10);
  EXPECT_EQ(calls.used, 3);
  EXPECT_EQ(calls.held, 0);
  EXPECT_EQ(calls.remaining, 7);
}

TEST(quota, remaining_is_never_negative) {
  for (const Limit limit : {Limit::message, Limit::token}) {
    EXPECT_EQ(question(limit, 10, 11, 0, 0).standing(limit).remaining, 0);
    EXPECT_EQ(question(limit, 10, 5, 6, 0).standing(limit).remaining, 0);
    EXPECT_EQ(question(limit, 0, k_most, k_most, 0).standing(limit).remaining, 0);
  }
  EXPECT_EQ(question(Limit::api_call, 10, 11, 0, 0).standing(Limit::api_call).remaining, 0);
  EXPECT_EQ(question(Limit::cost, 10'000, 10'001, 0, 0).standing(Limit::cost).remaining, 0);
  EXPECT_EQ(question(Limit::cost, 10'000, 9'000, 30'000, 0).standing(Limit::cost).remaining, 0);
}

TEST(quota, what_is_unlimited_has_neither_limit_nor_rest) {
  for (const Limit limit : k_limits) {
    const Standing standing = question(limit, std::nullopt, 5000, 0, 0).standing(limit);
    EXPECT_EQ(standing.limit_value, std::nullopt);
    EXPECT_EQ(standing.remaining, std::nullopt);
    EXPECT_EQ(standing.used, limit == Limit::cost ? 5 : 5000);
  }
}

TEST(quota, counters_stand_exactly_up_to_64_bits) {
  for (const Limit limit : {Limit::message, Limit::token}) {
    const Standing standing = question(limit, k_most, k_most - 1, 1, 0).standing(limit);
    EXPECT_EQ(standing.limit_value, k_most);
    EXPECT_EQ(standing.used, k_most - 1);
    EXPECT_EQ(standing.remaining, 0);
    EXPECT_EQ(question(limit, k_most, 0, 0, 0).standing(limit).remaining, k_most);
  }
}

TEST(quota, costs_are_millionths_and_the_user_is_never_promised_a_part_of_one) {
  const auto standing = [](std::int64_t most, std::int64_t used, std::int64_t held) {
    return question(Limit::cost, most, used, held, 0).standing(Limit::cost);
  };
  EXPECT_EQ(standing(10'000, 0, 0).limit_value, 10);
  EXPECT_EQ(standing(10'999, 0, 0).limit_value, 10);
  EXPECT_EQ(standing(999, 0, 0).limit_value, 0);
  EXPECT_EQ(standing(10'000, 1'000, 0).used, 1);
  EXPECT_EQ(standing(10'000, 1'001, 0).used, 2);
  EXPECT_EQ(standing(10'000, 1, 0).used, 1);
  EXPECT_EQ(standing(10'000, 0, 2'999).held, 3);
  EXPECT_EQ(standing(10'000, 0, 3'000).held, 3);
  EXPECT_EQ(standing(10'000, 1, 0).remaining, 9);
  EXPECT_EQ(standing(10'000, 500, 500).remaining, 9);  // the sum is rounded, not its parts
  EXPECT_EQ(standing(10'500, 500, 0).remaining, 10);
  EXPECT_EQ(standing(10'000, 9'001, 0).remaining, 0);
}

TEST(quota, the_largest_costs_fit_in_millionths) {
  Question asked;
  asked.limits.cost = Amount::from_units(Int128{100'000'000'000} * Amount::k_units_per_one - 1);
  asked.used.cost = *asked.limits.cost;
  const Standing standing = asked.standing(Limit::cost);
  EXPECT_EQ(standing.limit_value, 99'999'999'999'999'999);
  EXPECT_EQ(standing.used, 100'000'000'000'000'000);
  EXPECT_EQ(standing.remaining, 0);
}

TEST(quota, what_remains_is_admitted_and_no_more) {
  std::mt19937_64 random{2};
  for (int i = 0; i < 20'000; ++i) {
    const Limit limit = k_limits[random() % 4];
    const auto some = [&] { return static_cast<std::int64_t>(random() % 20'000); };
    const std::int64_t most = some(), used = some() / 2, held = limit == Limit::api_call ? 0 : some() / 4;
    const std::int64_t unit = limit == Limit::cost ? 1000 : 1;
    const std::int64_t remaining = *question(limit, most, used, held, 0).standing(limit).remaining;
    if (remaining > 0) {
      ASSERT_EQ(exceeded(limit, most, used, held, remaining * unit), std::nullopt);
    }
    ASSERT_EQ(exceeded(limit, most, used, held, (remaining + 1) * unit), limit);
  }
}

// --- When a denied call may succeed ---

constexpr Instant k_hold_expires{1'000'000};
constexpr Instant k_month_ends{5'000'000};

std::optional<Instant> retry(const Question& asked, Instant first_hold_expiry = k_hold_expires) {
  return retry_at(asked.limits, asked.used, asked.asked, first_hold_expiry, k_month_ends);
}

TEST(quota, a_call_that_only_holds_deny_may_succeed_when_one_expires) {
  for (const Limit limit : {Limit::message, Limit::token, Limit::cost}) {
    EXPECT_EQ(retry(question(limit, 10, 4, 6, 6)), k_hold_expires);
    EXPECT_EQ(retry(question(limit, 10, 9, 1, 1)), k_hold_expires);
    EXPECT_EQ(retry(question(limit, 10, 9, 1, 1), {k_month_ends.microseconds + 1}), k_month_ends);
    EXPECT_EQ(retry(question(limit, 10, 9, 1, 1), Instant::infinity()), k_month_ends);
  }
}

TEST(quota, a_call_that_usage_denies_may_succeed_when_the_month_ends) {
  for (const Limit limit : k_limits) {
    EXPECT_EQ(retry(question(limit, 10, 10, 0, 1)), k_month_ends);
    EXPECT_EQ(retry(question(limit, 10, 5, 0, 6)), k_month_ends);
    EXPECT_EQ(retry(question(limit, 10, 5, 3, 10)), k_month_ends);
    EXPECT_EQ(retry(question(limit, 10, k_most, 0, 10)), k_month_ends);
  }
}

TEST(quota, a_call_for_more_than_the_whole_limit_never_succeeds) {
  for (const Limit limit : k_limits) {
    EXPECT_EQ(retry(question(limit, 10, 0, 0, 11)), std::nullopt);
    EXPECT_EQ(retry(question(limit, 10, 0, 0, k_most)), std::nullopt);
    EXPECT_EQ(retry(question(limit, 0, 0, 0, 1)), std::nullopt);
  }
}

TEST(quota, what_is_asked_without_a_number_never_succeeds_under_a_limit_of_zero) {
  Question asked = question(Limit::token, 0, 0, 0, 0);
  asked.asked.will_spend_tokens = true;
  EXPECT_EQ(retry(asked), std::nullopt);
  EXPECT_EQ(retry(question(Limit::cost, 0, 0, 0, 0)), std::nullopt);
  asked = question(Limit::token, 10, 9, 1, 0);
  asked.asked.will_spend_tokens = true;
  EXPECT_EQ(retry(asked), k_hold_expires);
  asked.used.tokens = 10;
  EXPECT_EQ(retry(asked), k_month_ends);
}

TEST(quota, the_limit_that_is_in_the_way_longest_tells_when_to_retry) {
  Question asked = question(Limit::message, 10, 9, 1, 1);
  EXPECT_EQ(retry(asked), k_hold_expires);
  asked.set(Limit::token, 10, 10, 0, 1);
  EXPECT_EQ(asked.exceeded(), Limit::message);
  EXPECT_EQ(retry(asked), k_month_ends);
  asked.set(Limit::cost, 0, 0, 0, 0);
  EXPECT_EQ(asked.exceeded(), Limit::message);
  EXPECT_EQ(retry(asked), std::nullopt);
}

TEST(quota, a_limit_that_is_not_asked_is_not_in_the_way) {
  Question asked = question(Limit::message, 10, 9, 1, 1);
  asked.set(Limit::token, 0, 5, 0, 0);
  asked.set(Limit::api_call, 0, 5, 0, 0);
  EXPECT_EQ(retry(asked), k_hold_expires);
  asked.asked.will_spend_tokens = true;
  EXPECT_EQ(retry(asked), std::nullopt);
}

TEST(quota, the_moment_to_retry_is_that_of_the_slow_model) {
  std::mt19937_64 random{3};
  int never = 0, hold = 0, month = 0;
  for (int i = 0; i < 50'000; ++i) {
    Question asked;
    asked.asked.will_spend_tokens = random() % 2 == 0;
    bool ever = true, without_holds = true;
    for (const Limit limit : k_limits) {
      const auto small = [&](unsigned largest) { return static_cast<std::int64_t>(random() % (largest + 1)); };
      const auto most = random() % 3 == 0 ? std::nullopt : std::optional{small(9)};
      const std::int64_t used = small(3), held = limit == Limit::api_call ? 0 : small(5), units = small(3);
      asked.set(limit, most, used, held, units);
      const bool concerned =
          units > 0 || limit == Limit::cost || (limit == Limit::token && asked.asked.will_spend_tokens);
      ever = ever && (!concerned || fits(most, 0, units));
      without_holds = without_holds && (!concerned || fits(most, used, units));
    }
    if (!asked.exceeded()) continue;
    ++(!ever ? never : without_holds ? hold : month);
    ASSERT_EQ(retry(asked), !ever ? std::nullopt : std::optional{without_holds ? k_hold_expires : k_month_ends});
  }
  for (const int count : {never, hold, month}) EXPECT_GT(count, 1000);
}

// --- Seconds ---

TEST(quota, seconds_are_rounded_up_and_never_negative) {
  constexpr Instant k_now{848'656'800'000'000};
  const auto seconds = [&](std::int64_t microseconds) {
    return seconds_until({k_now.microseconds + microseconds}, k_now);
  };
  EXPECT_EQ(seconds(0), 0);
  EXPECT_EQ(seconds(1), 1);
  EXPECT_EQ(seconds(999'999), 1);
  EXPECT_EQ(seconds(1'000'000), 1);
  EXPECT_EQ(seconds(1'000'001), 2);
  EXPECT_EQ(seconds(-1), 0);
  EXPECT_EQ(seconds(-5'000'000), 0);
}

TEST(quota, seconds_that_do_not_fit_are_the_largest_integer) {
  constexpr std::int32_t k_largest = std::numeric_limits<std::int32_t>::max();
  constexpr std::int64_t k_fits = k_largest * 1'000'000LL;
  EXPECT_EQ(seconds_until({k_fits - 1'000'000}, {0}), k_largest - 1);
  EXPECT_EQ(seconds_until({k_fits - 999'999}, {0}), k_largest);
  EXPECT_EQ(seconds_until({k_fits}, {0}), k_largest);
  EXPECT_EQ(seconds_until({k_fits + 1}, {0}), k_largest);
  EXPECT_EQ(seconds_until(Instant::infinity(), {0}), k_largest);
  EXPECT_EQ(seconds_until(Instant::infinity(), {-1}), k_largest);
  EXPECT_EQ(seconds_until(Instant::infinity(), Instant::minus_infinity()), k_largest);
  EXPECT_EQ(seconds_until(Instant::minus_infinity(), Instant::infinity()), 0);
  EXPECT_EQ(seconds_until(Instant::minus_infinity(), {1}), 0);
}

TEST(quota, a_hold_is_renewed_when_less_than_half_of_it_is_left) {
  const Instant begun{1'000'000};
  const Instant ends{begun + Duration{300}};
  EXPECT_EQ(renewed_expiry(begun, ends, begun), std::nullopt);
  EXPECT_EQ(renewed_expiry(begun, ends, begun + Duration{150}), std::nullopt);
  EXPECT_EQ(renewed_expiry(begun, ends, begun + Duration{151}), (Instant{begun + Duration{451}}));
  EXPECT_EQ(renewed_expiry(begun, ends, begun + Duration{299}), (Instant{begun + Duration{599}}));
  EXPECT_EQ(renewed_expiry(begun, ends, ends), std::nullopt);
  EXPECT_EQ(renewed_expiry(ends, begun, begun - Duration{1}), std::nullopt);
  // What a wrong clock began is no longer than any may be.
  const Instant later{begun + Duration{2 * k_microseconds_per_day}};
  EXPECT_EQ(renewed_expiry(begun, later, later - Duration{1}), (Instant{later + Duration{k_microseconds_per_day - 1}}));
}

// --- Reasons ---

TEST(quota, each_reason_has_its_name_its_code_and_its_status) {
  struct Expected {
    Reason reason;
    std::string_view name, error_code;
    int http_status;
  };
  constexpr std::array k_expected = {Expected{Reason::quota_exceeded, "quota_exceeded", "UQ001", 402},
                                     Expected{Reason::rate_limited, "rate_limited", "UQ002", 429},
                                     Expected{Reason::model_not_in_plan, "model_not_in_plan", "UQ003", 403},
                                     Expected{Reason::maintenance, "maintenance", "UQ004", 503},
                                     Expected{Reason::capacity, "capacity", "UQ005", 503},
                                     Expected{Reason::price_unknown, "price_unknown", "UQ009", 403},
                                     Expected{Reason::too_many_turns, "too_many_turns", "UQ007", 429}};
  for (const Expected& expected : k_expected) {
    const ReasonText text = text_of(expected.reason);
    EXPECT_EQ(text.name, expected.name);
    EXPECT_EQ(text.error_code, expected.error_code) << expected.name;
    EXPECT_EQ(text.http_status, expected.http_status) << expected.name;
    EXPECT_FALSE(std::string_view{text.message}.empty()) << expected.name;
    EXPECT_EQ(parse_reason(expected.name), expected.reason);
  }
}

TEST(quota, what_is_no_reason_is_not_read) {
  for (const std::string_view name :
       {""sv, "none"sv, "quota"sv, "Maintenance"sv, "capacity "sv, "quota_exceeded\0"sv, "UQ001"sv})
    EXPECT_EQ(parse_reason(name), std::nullopt) << name;
}

// --- Fingerprints ---

using Part = std::optional<std::string_view>;

std::string fingerprint(const std::vector<Part>& parts) {
  switch (parts.size()) {
    case 0: return call_fingerprint({});
    case 1: return call_fingerprint({parts[0]});
    case 2: return call_fingerprint({parts[0], parts[1]});
    default: return call_fingerprint({parts[0], parts[1], parts[2]});
  }
}

// Remembers which call had a fingerprint; another one with the same is a failure.
class Fingerprints {
 public:
  void expect_new_or_same(const std::vector<Part>& parts) {
    std::vector<std::optional<std::string>> call(parts.begin(), parts.end());
    const auto [known, is_new] = calls_.try_emplace(fingerprint(parts), call);
    ASSERT_EQ(known->second, call) << known->first;
  }
  std::size_t count() const { return calls_.size(); }

 private:
  std::map<std::string, std::vector<std::optional<std::string>>> calls_;
};

TEST(quota, different_calls_have_different_fingerprints) {
  // Parts that look like the borders between parts.
  const std::vector<Part> parts = {std::nullopt, "",     "-",   "-;",  ":", ";",  "0",  "0:",  "0:;",  "1",   "1:",
                                   "1:a",        "1:a;", ";1:", ";0:", "a", "a;", ";-", ";-;", "\0"sv, "NULL"};
  Fingerprints seen;
  seen.expect_new_or_same({});
  for (const Part& a : parts) {
    seen.expect_new_or_same({a});
    for (const Part& b : parts) {
      seen.expect_new_or_same({a, b});
      for (const Part& c : parts) seen.expect_new_or_same({a, b, c});
    }
  }
  const std::size_t n = parts.size();
  EXPECT_EQ(seen.count(), 1 + n + n * n + n * n * n);
}

TEST(quota, random_calls_share_a_fingerprint_only_if_they_are_the_same) {
  std::mt19937_64 random{4};
  Fingerprints seen;
  for (int i = 0; i < 100'000; ++i) {
    std::array<std::string, 3> texts;
    std::vector<Part> parts(random() % 4);
    for (std::size_t p = 0; p < parts.size(); ++p) {
      for (std::uint64_t left = random() % 6; left > 0; --left) texts[p] += ":;-012a"[random() % 7];
      if (random() % 5 != 0) parts[p] = texts[p];
    }
    seen.expect_new_or_same(parts);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(seen.count(), 10'000u);
}

}  // namespace
}  // namespace claude_gpt::core
