#include "core/subscriptions.hpp"

#include <algorithm>
#include <array>

namespace claude_gpt::core {

namespace {

constexpr std::array<std::string_view, 4> k_entitled_statuses = {"active", "trialing", "past_due", "inactive"};

constexpr std::array<std::string_view, 7> k_lapsed_statuses = {
    "canceled", "cancelled", "unpaid", "incomplete", "incomplete_expired", "expired", "paused"};

constexpr std::array<std::string_view, 7> k_events = {
    "subscription_created", "subscription_updated", "subscription_cancelled", "payment_succeeded", "payment_failed",
    "trial_started",        "trial_ended"};

bool contains(const auto& names, std::string_view name) { return std::ranges::find(names, name) != names.end(); }

bool period_is_over(const Subscription& subscription, Instant now, std::int64_t grace) {
  if (!subscription.current_period_end) return false;
  const Instant end = *subscription.current_period_end;
  const std::int64_t allowance = subscription.cancel_at_period_end ? 0 : grace;
  std::int64_t deadline = 0;
  const bool never =
      !end.is_finite() ? end == Instant::infinity() : __builtin_add_overflow(end.microseconds, allowance, &deadline);
  return !never && (!end.is_finite() || now.microseconds > deadline);
}

}  // namespace

bool is_subscription_status(std::string_view status) {
  return contains(k_entitled_statuses, status) || contains(k_lapsed_statuses, status);
}

bool is_subscription_event(std::string_view event_type) { return contains(k_events, event_type); }

std::string_view effective_tier(const Subscription& subscription, Instant now, std::int64_t grace) {
  // Anything but a status known to entitle falls back: an unknown status must not mean unlimited.
  if (!contains(k_entitled_statuses, subscription.status)) return "free";
  return period_is_over(subscription, now, grace) ? "free" : subscription.tier;
}

}  // namespace claude_gpt::core
