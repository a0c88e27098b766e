#include "core/counting.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string_view>

#include "core/failure.hpp"

namespace claude_gpt::core {
namespace {

constexpr Date k_month{9801};   // some first day
constexpr Date k_before{9770};  // of an earlier month
constexpr Date k_later{9832};   // of a later one

CountersOfUser counters(Date counted_from) {
  CountersOfUser counters;
  counters.month = {counted_from, 3, 70, 2, Amount::from_units(5)};
  counters.total = {{}, 30, 700, 20, Amount::from_units(50)};
  counters.held = {1, 40, Amount::from_units(9)};
  counters.next_hold_expiry = Instant{1000};
  return counters;
}

Addition one_of_each() {
  Addition addition;
  addition.messages = 1;
  addition.tokens = 8;
  addition.api_calls = 4;
  addition.cost = Amount::from_units(6);
  return addition;
}

TEST(Counting, AddsToTheMonthAndToTheTotal) {
  const auto after = add(counters(k_month), one_of_each(), k_month, Expiry::kept);
  EXPECT_EQ(after.month.counted_from, k_month);
  EXPECT_EQ(after.month.messages, 4);
  EXPECT_EQ(after.month.tokens, 78);
  EXPECT_EQ(after.month.api_calls, 6);
  EXPECT_EQ(after.month.cost, Amount::from_units(11));
  EXPECT_EQ(after.total.messages, 31);
  EXPECT_EQ(after.total.tokens, 708);
  EXPECT_EQ(after.total.api_calls, 24);
  EXPECT_EQ(after.total.cost, Amount::from_units(56));
  EXPECT_EQ(after.held.messages, 1);
  EXPECT_EQ(after.next_hold_expiry, Instant{1000});
}

TEST(Counting, ALapsedMonthBeginsAnewAndTheTotalGoesOn) {
  const auto after = add(counters(k_before), one_of_each(), k_month, Expiry::kept);
  EXPECT_EQ(after.month.counted_from, k_month);
  EXPECT_EQ(after.month.messages, 1);
  EXPECT_EQ(after.month.tokens, 8);
  EXPECT_EQ(after.month.api_calls, 4);
  EXPECT_EQ(after.month.cost, Amount::from_units(6));
  EXPECT_EQ(after.total.messages, 31);
}

TEST(Counting, ALaterMonthGoesOn) {
  const auto after = add(counters(k_later), one_of_each(), k_month, Expiry::kept);
  EXPECT_EQ(after.month.counted_from, k_later);
  EXPECT_EQ(after.month.messages, 4);
}

TEST(Counting, ANewHoldExpiresFirstOrNot) {
  Addition hold;
  hold.held = {1, 5, Amount{}};
  hold.hold_expiry = Instant{500};
  EXPECT_EQ(add(counters(k_month), hold, k_month, Expiry::earliest).next_hold_expiry, Instant{500});
  EXPECT_EQ(add(counters(k_month), hold, k_month, Expiry::kept).next_hold_expiry, Instant{1000});
  hold.hold_expiry = Instant{2000};
  EXPECT_EQ(add(counters(k_month), hold, k_month, Expiry::earliest).next_hold_expiry, Instant{1000});
  CountersOfUser nothing_held = counters(k_month);
  nothing_held.next_hold_expiry = std::nullopt;
  EXPECT_EQ(add(nothing_held, hold, k_month, Expiry::earliest).next_hold_expiry, Instant{2000});
}

TEST(Counting, NoHoldExpiresWhereNothingIsHeldAnyMore) {
  Addition given_back;
  given_back.held = {-1, -40, Amount::from_units(-9)};
  const auto after = add(counters(k_month), given_back, k_month, Expiry::normalized);
  EXPECT_EQ(after.held.cost, Amount{});
  EXPECT_EQ(after.next_hold_expiry, std::nullopt);
  given_back.held.tokens = -39;
  EXPECT_EQ(add(counters(k_month), given_back, k_month, Expiry::normalized).next_hold_expiry, Instant{1000});
}

TEST(Counting, WhatNoColumnHoldsIsRefused) {
  const auto refused = [](auto change) {
    Addition addition;
    change(addition);
    try {
      add(counters(k_month), addition, k_month, Expiry::kept);
    } catch (const Failure& failure) {
      return std::string_view{failure.code()} == sqlstate::k_numeric_value_out_of_range;
    }
    return false;
  };
  constexpr std::int64_t k_integer = std::numeric_limits<std::int32_t>::max();
  constexpr std::int64_t k_bigint = std::numeric_limits<std::int64_t>::max();
  constexpr Int128 k_end = Int128{100'000'000'000} * Amount::k_units_per_one;
  EXPECT_TRUE(refused([](Addition& a) { a.messages = k_integer - 29; }));
  EXPECT_FALSE(refused([](Addition& a) { a.messages = k_integer - 30; }));
  EXPECT_TRUE(refused([](Addition& a) { a.tokens = k_bigint - 699; }));
  EXPECT_FALSE(refused([](Addition& a) { a.tokens = k_bigint - 700; }));
  EXPECT_TRUE(refused([](Addition& a) { a.api_calls = k_bigint; }));
  EXPECT_TRUE(refused([](Addition& a) { a.held.messages = k_integer; }));
  EXPECT_TRUE(refused([](Addition& a) { a.held.tokens = k_bigint; }));
  EXPECT_TRUE(refused([](Addition& a) { a.cost = Amount::from_units(k_end - 50); }));
  EXPECT_FALSE(refused([](Addition& a) { a.cost = Amount::from_units(k_end - 51); }));
  EXPECT_TRUE(refused([](Addition& a) { a.held.cost = Amount::from_units(k_end - 9); }));
}

}  // namespace
}  // namespace claude_gpt::core
