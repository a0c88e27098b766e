// The table subscription_history.
#pragma once

#include <optional>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::store {

struct SubscriptionEvent {
  bridge::UnreadText tier;
  bridge::UnreadText status;
  std::optional<bridge::UnreadText> subscription_id;
  std::optional<core::Instant> period_end;
  bridge::UnreadText event_type;
  std::optional<bridge::UnreadJsonb> metadata;
};

void record_subscription(bridge::Spi& spi, const core::Uuid& user_id, const SubscriptionEvent& event);

}  // namespace claude_gpt::store
