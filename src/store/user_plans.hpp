// The plans that users have: the columns subscription_... of the table users, where they are written.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::store {

struct Subscription {
  bridge::UnreadText tier;
  bridge::UnreadText status;
  std::optional<core::Instant> period_end;
  bool cancel_at_period_end;
  std::optional<bridge::UnreadText> id;                   // nothing: it stays
  std::optional<std::int32_t> anchor_day = std::nullopt;  // so it does
};
// The subscription's id, if there is one; no row if there is no such user.
bridge::Result<std::optional<bridge::UnreadText>> set_subscription(bridge::Spi& spi, const core::Uuid& user_id,
                                                                   const Subscription& subscription);

struct UsersOfPlan {
  std::string_view tier;
  std::int64_t count;
};
// Also those that the running command has written, and others have just committed.
bridge::Result<UsersOfPlan> count_users_of_plans(bridge::Spi& spi, bridge::UnreadTextArray tiers);

}  // namespace claude_gpt::store
