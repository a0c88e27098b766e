// Which plan a user is served by.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/calendar.hpp"

namespace claude_gpt::core {

struct Subscription {
  std::string_view tier;
  std::string_view status;
  std::optional<Instant> current_period_end;
  bool cancel_at_period_end = false;
};

// Every status that users.subscription_status accepts.
bool is_subscription_status(std::string_view status);

// Every event type that subscription_history.event_type accepts.
bool is_subscription_event(std::string_view event_type);

// The tier, or "free" when the status says that nothing is paid, or when the paid period ended more
// than `grace` microseconds ago (no grace if the subscription was to end with its period).
std::string_view effective_tier(const Subscription& subscription, Instant now, std::int64_t grace);

}  // namespace claude_gpt::core
