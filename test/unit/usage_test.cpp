#include "core/usage.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <random>
#include <string>
#include <string_view>

#include "core/failure.hpp"

namespace claude_gpt::core {
namespace {

using namespace std::string_view_literals;

// --- The slow model: sums and products of decimal digits, as on paper ---

std::string plus(std::string a, std::string b) {
  const std::size_t width = std::max(a.size(), b.size()) + 1;
  a.insert(0, width - a.size(), '0');
  b.insert(0, width - b.size(), '0');
  int carry = 0;
  for (std::size_t i = width; i-- > 0;) {
    const int sum = (a[i] - '0') + (b[i] - '0') + carry;
    a[i] = static_cast<char>('0' + sum % 10);
    carry = sum / 10;
  }
  return a.erase(0, std::min(a.find_first_not_of('0'), a.size() - 1));
}

std::string times(const std::string& a, const std::string& b) {
  std::string product = "0";
  for (const char digit : b) {
    product += '0';
    for (char left = digit; left > '0'; --left) product = plus(product, a);
  }
  return product;
}

std::string digits_of(Int128 number) {
  std::string digits;
  for (; number != 0; number /= 10)
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(number % 10)));
  return digits.empty() ? "0" : digits;
}

// A million tokens have the price: six digits are cut off, and the first of them rounds.
std::string cost_of_digits(std::string product) {
  if (product.size() < 7) product.insert(0, 7 - product.size(), '0');
  const bool rounds_up = product[product.size() - 6] >= '5';
  return plus(product.substr(0, product.size() - 6), rounds_up ? "1" : "0");
}

// Of any size, up to 20 digits.
Amount random_price(std::mt19937_64& random) {
  constexpr Int128 k_most = Int128{100'000'000'000} * Amount::k_units_per_one;
  const Int128 bits = Int128{random() >> 1} << 64 | random();
  return Amount::from_units((bits >> (random() % 127)) % k_most);
}

ModelPrice random_prices(std::mt19937_64& random) {
  return {random_price(random), random_price(random), random_price(random), random_price(random), random_price(random)};
}

// Up to 2^31, often small, often near a half of a million.
std::int64_t random_count(std::mt19937_64& random, std::int64_t most) {
  const auto count = static_cast<std::int64_t>(random() % 3 == 0 ? random() % 5 * 500'000 + random() % 3
                                                                 : random() >> (33 + random() % 31));
  return std::min(count, most);
}

TokenCounts random_counts(std::mt19937_64& random) {
  constexpr std::int64_t k_most = 2'147'483'648;
  TokenCounts tokens;
  tokens.prompt = random_count(random, k_most);
  tokens.completion = random_count(random, k_most);
  tokens.cached_prompt = random_count(random, tokens.prompt);
  tokens.cache_write = random_count(random, tokens.prompt - tokens.cached_prompt);
  tokens.cache_write_1h = random_count(random, tokens.cache_write);
  return tokens;
}

// --- Actions ---

TEST(usage, actions_are_known_by_their_exact_names) {
  EXPECT_EQ(parse_action("message"), Action::message);
  EXPECT_EQ(parse_action("token"), Action::token);
  EXPECT_EQ(parse_action("api_call"), Action::api_call);
  for (const std::string_view name : {""sv, "messages"sv, "Message"sv, "message "sv, " token"sv, "tokens"sv,
                                      "apicall"sv, "api-call"sv, "api_calls"sv, "cost"sv, "message\0"sv})
    EXPECT_EQ(parse_action(name), std::nullopt) << name;
}

TEST(usage, an_action_is_read_back_from_its_name) {
  for (const Action action : {Action::message, Action::token, Action::api_call})
    EXPECT_EQ(parse_action(name_of(action)), action);
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
  for (const std::int32_t days :
       {k_month.days, k_month.days + 1, k_month.days + 30, k_month.days + 31, Date::infinity().days}) {
    const MonthlyUsage usage = usage_in_month(used_since(days), k_month);
    EXPECT_EQ(usage.counted_from.days, days);
    EXPECT_EQ(usage.messages, 1) << days;
    EXPECT_EQ(usage.tokens, 2) << days;
    EXPECT_EQ(usage.api_calls, 3) << days;
    EXPECT_EQ(usage.cost, Amount::from_units(4)) << days;
  }
}

// --- Tokens ---

TEST(usage, tokens_of_the_cache_are_part_of_the_prompt) {
  EXPECT_TRUE((TokenCounts{0, 0, 0, 0}.is_sound()));
  EXPECT_TRUE((TokenCounts{10, 0, 10, 0}.is_sound()));
  EXPECT_TRUE((TokenCounts{10, 0, 0, 10}.is_sound()));
  EXPECT_TRUE((TokenCounts{10, 5, 4, 6}.is_sound()));
  EXPECT_TRUE((TokenCounts{10, 5, 4, 5}.is_sound()));
  EXPECT_FALSE((TokenCounts{10, 5, 5, 6}.is_sound()));
  EXPECT_FALSE((TokenCounts{10, 500, 11, 0}.is_sound()));
  EXPECT_FALSE((TokenCounts{10, 500, 0, 11}.is_sound()));
  EXPECT_TRUE((TokenCounts{10, 5, 4, 6, 6}.is_sound()));
  EXPECT_FALSE((TokenCounts{10, 5, 4, 5, 6}.is_sound()));
}

TEST(usage, no_count_of_tokens_is_negative) {
  EXPECT_FALSE((TokenCounts{-1, 0, 0, 0}.is_sound()));
  EXPECT_FALSE((TokenCounts{-1, 0, -1, 0}.is_sound()));
  EXPECT_FALSE((TokenCounts{0, -1, 0, 0}.is_sound()));
  EXPECT_FALSE((TokenCounts{10, 5, -1, 0}.is_sound()));
  EXPECT_FALSE((TokenCounts{10, 5, 0, -1}.is_sound()));
  EXPECT_FALSE((TokenCounts{10, 5, 11, -1}.is_sound()));
  EXPECT_FALSE((TokenCounts{10, 5, -1, 11}.is_sound()));
  EXPECT_FALSE((TokenCounts{10, 5, 0, 0, -1}.is_sound()));
}

TEST(usage, cached_tokens_are_not_counted_twice) { EXPECT_EQ((TokenCounts{10, 5, 4, 6}.total()), 15); }

// --- Costs ---

TEST(usage, each_kind_of_token_has_its_price) {
  const auto price = [](std::int64_t units_a_token) { return Amount::from_units(Int128{units_a_token} * 1'000'000); };
  const ModelPrice prices{price(1), price(100), price(10'000), price(1'000'000), price(100'000'000)};
  EXPECT_EQ(cost_of(prices, {10, 50, 3, 4}), Amount::from_units(3 * 1 + 3 * 100 + 4 * 10'000 + 50 * 1'000'000));
  EXPECT_EQ(cost_of(prices, {10, 0, 0, 0}), Amount::from_units(10));
  EXPECT_EQ(cost_of(prices, {10, 0, 10, 0}), Amount::from_units(10 * 100));
  EXPECT_EQ(cost_of(prices, {10, 0, 0, 10}), Amount::from_units(10 * 10'000));
  EXPECT_EQ(cost_of(prices, {10, 0, 0, 10, 3}), Amount::from_units(7 * 10'000 + 3 * 100'000'000));
  EXPECT_TRUE(cost_of(prices, {}).is_zero());
}

TEST(usage, half_a_unit_of_cost_is_rounded_up) {
  const auto cost = [](Int128 units, std::int64_t tokens) {
    return static_cast<std::int64_t>(cost_of({{}, {}, {}, Amount::from_units(units)}, {0, tokens, 0, 0}).units());
  };
  EXPECT_EQ(cost(1, 499'999), 0);
  EXPECT_EQ(cost(1, 500'000), 1);
  EXPECT_EQ(cost(1, 1'499'999), 1);
  EXPECT_EQ(cost(5, 500'000), 3);  // 2.5
  EXPECT_EQ(cost(1, 1'000'000), 1);
}

TEST(usage, a_cost_is_rounded_once_and_not_for_each_kind) {
  const Amount one = Amount::from_units(1);
  const ModelPrice prices{one, one, one, one};
  EXPECT_EQ(cost_of(prices, {1'200'000, 400'000, 400'000, 400'000}), Amount::from_units(2));  // four times 0.4
  EXPECT_EQ(cost_of(prices, {1'800'000, 600'000, 600'000, 600'000}), Amount::from_units(2));  // four times 0.6
}

TEST(usage, costs_agree_with_decimal_arithmetic) {
  std::mt19937_64 random{1};
  for (int i = 0; i < 3000; ++i) {
    const ModelPrice price = random_prices(random);
    const TokenCounts tokens = random_counts(random);
    ASSERT_TRUE(tokens.is_sound());
    std::string sum = "0";
    const auto add = [&](Amount kind, std::int64_t count) {
      sum = plus(sum, times(digits_of(kind.units()), digits_of(count)));
    };
    add(price.prompt, tokens.prompt - tokens.cached_prompt - tokens.cache_write);
    add(price.cached_prompt, tokens.cached_prompt);
    add(price.cache_write, tokens.cache_write - tokens.cache_write_1h);
    add(price.cache_write_1h, tokens.cache_write_1h);
    add(price.completion, tokens.completion);
    ASSERT_EQ(digits_of(cost_of(price, tokens).units()), cost_of_digits(sum)) << i;
  }
}

TEST(usage, the_dearest_tokens_cost_what_the_price_says) {
  const Amount dearest = Amount::from_units(Int128{100'000'000'000} * Amount::k_units_per_one - 1);
  constexpr std::int64_t k_most = 2'147'483'648;
  const std::string each = times(digits_of(dearest.units()), digits_of(k_most));
  EXPECT_EQ(digits_of(cost_of({dearest, dearest, dearest, dearest}, {k_most, k_most, k_most / 2, k_most / 2}).units()),
            cost_of_digits(plus(each, each)));
}

// --- Estimates ---

TEST(usage, an_estimate_takes_the_dearest_kind) {
  const Amount low = Amount::from_units(1'000'000);
  const Amount high = Amount::from_units(7'000'000);
  for (const ModelPrice& price : {ModelPrice{high, low, low, low, low}, ModelPrice{low, high, low, low, low},
                                  ModelPrice{low, low, high, low, low}, ModelPrice{low, low, low, high, low},
                                  ModelPrice{low, low, low, low, high}})
    EXPECT_EQ(highest_cost_of(price, 10), Amount::from_units(70));
  EXPECT_TRUE(highest_cost_of({high, high, high, high}, 0).is_zero());
}

TEST(usage, no_answer_of_as_many_tokens_costs_more_than_the_estimate_and_one_costs_as_much) {
  std::mt19937_64 random{2};
  for (int i = 0; i < 20'000; ++i) {
    const ModelPrice price = random_prices(random);
    const TokenCounts tokens = random_counts(random);
    ASSERT_LE(cost_of(price, tokens), highest_cost_of(price, tokens.total()));
    const std::int64_t count = tokens.prompt;
    const std::array answers = {TokenCounts{count, 0, 0, 0}, TokenCounts{count, 0, count, 0},
                                TokenCounts{count, 0, 0, count}, TokenCounts{count, 0, 0, count, count},
                                TokenCounts{0, count, 0, 0}};
    Amount most;
    for (const TokenCounts& answer : answers) most = std::max(most, cost_of(price, answer));
    ASSERT_EQ(highest_cost_of(price, count), most);
  }
}

// The decimals that the database holds: eleven digits before the point, nine behind it.
TEST(usage, estimates_agree_with_decimal_arithmetic_and_are_refused_only_if_they_cannot_be_stored) {
  std::mt19937_64 random{3};
  int refused = 0;
  const auto check = [&refused](Amount dearest, std::int64_t tokens) {
    const std::string exact = cost_of_digits(times(digits_of(dearest.units()), digits_of(tokens)));
    try {
      ASSERT_EQ(digits_of(highest_cost_of({dearest, {}, {}, {}}, tokens).units()), exact) << tokens;
    } catch (const Failure& failure) {
      ASSERT_EQ(failure.code(), "22003"sv);
      ASSERT_GT(exact.size(), 20u) << tokens;
      ++refused;
    }
  };
  for (int i = 0; i < 5000; ++i)
    check(random_price(random), static_cast<std::int64_t>(random() >> (1 + random() % 63)));
  const Amount dearest = Amount::from_units(Int128{100'000'000'000} * Amount::k_units_per_one - 1);
  for (int bits = 0; bits < 63; ++bits) check(dearest, std::numeric_limits<std::int64_t>::max() >> bits);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace claude_gpt::core
