#include "core/subscriptions.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace claude_gpt::core {
namespace {

using namespace std::string_view_literals;

constexpr Instant k_now{1'000'000'000};
constexpr std::int64_t k_grace = 3 * k_microseconds_per_day;

const std::vector<std::string_view> k_entitling = {"active", "trialing", "past_due", "inactive"};
const std::vector<std::string_view> k_lapsing = {"canceled",           "cancelled", "unpaid", "incomplete",
                                                 "incomplete_expired", "expired",   "paused"};
const std::vector<std::string_view> k_unknown = {"",        " ",          "Active",  "ACTIVE",   "active ",
                                                 " active", "activ",      "actives", "past-due", "free",
                                                 "null",    "active\0"sv, "trial",   "suspended"};

std::string_view tier_with(std::string_view status, std::optional<Instant> end, bool cancels = false,
                           Instant now = k_now, std::int64_t grace = k_grace) {
  return effective_tier({"pro", status, end, cancels}, now, grace);
}

Instant later(Instant moment, std::int64_t microseconds) { return {moment.microseconds + microseconds}; }

// --- Names ---

TEST(subscriptions, statuses_are_known_by_their_exact_names) {
  for (const std::string_view status : k_entitling) EXPECT_TRUE(is_subscription_status(status)) << status;
  for (const std::string_view status : k_lapsing) EXPECT_TRUE(is_subscription_status(status)) << status;
  for (const std::string_view status : k_unknown) EXPECT_FALSE(is_subscription_status(status)) << status;
}

TEST(subscriptions, events_are_known_by_their_exact_names) {
  for (const std::string_view event : {"subscription_created", "subscription_updated", "subscription_cancelled",
                                       "payment_succeeded", "payment_failed", "trial_started", "trial_ended"})
    EXPECT_TRUE(is_subscription_event(event)) << event;
  for (const std::string_view event :
       {"", "subscription_canceled", "Subscription_created", "subscription_deleted", "payment", "trial_end", "active"})
    EXPECT_FALSE(is_subscription_event(event)) << event;
}

// --- The effective tier ---

TEST(subscriptions, an_entitling_status_without_a_period_serves_the_tier) {
  for (const std::string_view status : k_entitling) {
    EXPECT_EQ(tier_with(status, std::nullopt), "pro") << status;
    EXPECT_EQ(tier_with(status, std::nullopt, true), "pro") << status;
  }
}

TEST(subscriptions, a_lapsed_or_unknown_status_serves_free_whatever_the_period) {
  for (const auto& statuses : {k_lapsing, k_unknown}) {
    for (const std::string_view status : statuses) {
      for (const auto& end :
           {std::optional<Instant>{}, std::optional{later(k_now, k_grace)}, std::optional{Instant::infinity()}}) {
        EXPECT_EQ(tier_with(status, end), "free") << status;
        EXPECT_EQ(tier_with(status, end, true), "free") << status;
      }
    }
  }
}

TEST(subscriptions, any_name_of_a_tier_is_passed_on) {
  for (const std::string_view tier : {"free", "base", "pro", "enterprise", "", "Pro Plus"})
    EXPECT_EQ(effective_tier({tier, "active", std::nullopt, false}, k_now, k_grace), tier);
}

TEST(subscriptions, the_tier_holds_to_the_last_microsecond_of_the_grace) {
  EXPECT_EQ(tier_with("active", later(k_now, 1)), "pro");
  EXPECT_EQ(tier_with("active", k_now), "pro");
  EXPECT_EQ(tier_with("active", later(k_now, -1)), "pro");
  EXPECT_EQ(tier_with("active", later(k_now, -k_grace)), "pro");
  EXPECT_EQ(tier_with("active", later(k_now, -k_grace - 1)), "free");
}

TEST(subscriptions, a_period_that_was_to_end_has_no_grace) {
  EXPECT_EQ(tier_with("active", later(k_now, 1), true), "pro");
  EXPECT_EQ(tier_with("active", k_now, true), "pro");
  EXPECT_EQ(tier_with("active", later(k_now, -1), true), "free");
}

TEST(subscriptions, a_grace_of_zero_is_none) {
  EXPECT_EQ(tier_with("active", k_now, false, k_now, 0), "pro");
  EXPECT_EQ(tier_with("active", later(k_now, -1), false, k_now, 0), "free");
}

TEST(subscriptions, a_period_that_ends_at_infinity_never_ends) {
  for (const bool cancels : {false, true}) {
    EXPECT_EQ(tier_with("active", Instant::infinity(), cancels), "pro");
    EXPECT_EQ(tier_with("active", Instant::infinity(), cancels, {Instant::infinity().microseconds - 1}), "pro");
    EXPECT_EQ(tier_with("active", Instant::infinity(), cancels, k_now, INT64_MAX), "pro");
  }
}

TEST(subscriptions, a_period_that_ended_at_minus_infinity_is_over_whatever_the_grace) {
  for (const bool cancels : {false, true}) {
    EXPECT_EQ(tier_with("active", Instant::minus_infinity(), cancels), "free");
    EXPECT_EQ(tier_with("active", Instant::minus_infinity(), cancels, k_now, INT64_MAX), "free");
    EXPECT_EQ(tier_with("active", Instant::minus_infinity(), cancels, {INT64_MIN + 1}, INT64_MAX), "free");
  }
}

TEST(subscriptions, a_grace_beyond_the_end_of_time_never_ends) {
  const Instant last{INT64_MAX - 1};
  EXPECT_EQ(tier_with("active", last, false, last, 1), "pro");
  EXPECT_EQ(tier_with("active", last, false, last, 2), "pro");
  EXPECT_EQ(tier_with("active", last, false, last, INT64_MAX), "pro");
  EXPECT_EQ(tier_with("active", Instant{1}, false, last, INT64_MAX), "pro");
  EXPECT_EQ(tier_with("active", Instant{0}, false, last, INT64_MAX - 2), "free");
}

// --- The slow model: the rule in arithmetic that cannot overflow ---

std::string_view expected_tier(const Subscription& subscription, Instant now, std::int64_t grace) {
  bool entitles = false;
  for (const std::string_view status : k_entitling) entitles = entitles || status == subscription.status;
  if (!entitles) return "free";
  if (!subscription.current_period_end || *subscription.current_period_end == Instant::infinity())
    return subscription.tier;
  if (*subscription.current_period_end == Instant::minus_infinity()) return "free";
  const __int128 deadline =
      __int128{subscription.current_period_end->microseconds} + (subscription.cancel_at_period_end ? 0 : grace);
  return now.microseconds > deadline ? "free" : subscription.tier;
}

TEST(subscriptions, the_effective_tier_agrees_with_the_rule_in_wide_arithmetic) {
  std::mt19937_64 random{1};
  constexpr std::int64_t k_edges[] = {INT64_MIN, INT64_MIN + 1,       -k_grace,      -1,       0, 1,
                                      k_grace,   INT64_MAX - k_grace, INT64_MAX - 1, INT64_MAX};
  const auto edge = [&] {
    std::int64_t value = k_edges[random() % std::size(k_edges)];
    __builtin_add_overflow(value, static_cast<std::int64_t>(random() % 5) - 2, &value);
    return value;
  };
  std::vector<std::string_view> statuses = k_entitling;
  statuses.insert(statuses.end(), k_lapsing.begin(), k_lapsing.end());
  statuses.insert(statuses.end(), k_entitling.begin(), k_entitling.end());
  int free = 0;
  int paid = 0;
  for (int i = 0; i < 200'000; ++i) {
    Subscription subscription{"base", statuses[random() % statuses.size()], std::nullopt, random() % 3 == 0};
    if (random() % 8 != 0) subscription.current_period_end = Instant{edge()};
    const Instant now{edge()};
    const std::int64_t grace = edge() & INT64_MAX;
    const std::string_view expected = expected_tier(subscription, now, grace);
    (expected == "free" ? free : paid) += 1;
    ASSERT_EQ(effective_tier(subscription, now, grace), expected)
        << subscription.status << " end "
        << (subscription.current_period_end ? subscription.current_period_end->microseconds : 0) << " now "
        << now.microseconds << " grace " << grace;
  }
  EXPECT_GT(free, 10'000);
  EXPECT_GT(paid, 10'000);
}

}  // namespace
}  // namespace claude_gpt::core
