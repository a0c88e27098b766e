// What the functions on users have in common: the columns a decision reads, and how they are read.
#pragma once

#include <optional>
#include <string>

#include "bridge/spi.hpp"
#include "core/config.hpp"
#include "core/failure.hpp"
#include "core/identifiers.hpp"
#include "core/quota.hpp"
#include "core/subscriptions.hpp"
#include "core/usage.hpp"
#include "store/users.hpp"

namespace claude_gpt::api {

inline core::Failure unknown_user(const core::Uuid& user_id) {
  return {core::sqlstate::k_no_data_found, "user \"" + user_id.to_text() + "\" does not exist"};
}

// A message or a conversation of a user, a message of a conversation.
inline core::Failure unknown_of(const char* what, const core::Uuid& id, const char* whose) {
  return {core::sqlstate::k_no_data_found,
          std::string(what) + " \"" + id.to_text() + "\" of this " + whose + " does not exist"};
}

// The user's row as it is, or locked until the transaction ends; P0002 if there is none.
bridge::Result<store::User> find_user(bridge::Spi& spi, const core::Uuid& user_id, bridge::Access access);
bridge::Result<store::User> lock_user(bridge::Spi& spi, const core::Uuid& user_id);

// Such a row as the rules see it. Borrows the result.
class UserRow {
 public:
  explicit UserRow(const bridge::Result<store::User>& row) : row_(row) {}

  core::Subscription subscription() const {
    return {row_.get<&store::User::subscription_tier>(), row_.get<&store::User::subscription_status>(),
            row_.get<&store::User::subscription_current_period_end>(),
            row_.get<&store::User::subscription_cancel_at_period_end>()};
  }
  const core::Plan& plan(const core::Configuration& config, core::Instant now) const {
    return config.plan(core::effective_tier(subscription(), now, config.subscription_grace()));
  }

  // Of the month that begins then. Costs are read only where they are asked for: each is a numeric.
  core::MonthlyUsage used(core::Date month, bool with_cost) const {
    core::MonthlyUsage stored{row_.get<&store::User::monthly_reset_date>(),
                              row_.get<&store::User::monthly_message_count>(),
                              row_.get<&store::User::monthly_token_count>(),
                              row_.get<&store::User::monthly_api_call_count>(),
                              {}};
    if (with_cost) stored.cost = row_.get<&store::User::monthly_cost>();
    return core::usage_in_month(stored, month);
  }
  core::Holds held(bool with_cost) const {
    core::Holds held{row_.get<&store::User::held_message_count>(), row_.get<&store::User::held_token_count>(), {}};
    if (with_cost) held.cost = row_.get<&store::User::held_cost>();
    return held;
  }
  // Infinity where nothing is held.
  core::Instant next_hold_expiry() const {
    return row_.get<&store::User::next_hold_expiry>().value_or(core::Instant::infinity());
  }

 private:
  const bridge::Result<store::User>& row_;
};

}  // namespace claude_gpt::api
