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

namespace claude_gpt::api {

inline core::Failure unknown_user(const core::Uuid& user_id) {
  return {core::sqlstate::k_no_data_found, "user \"" + user_id.to_text() + "\" does not exist"};
}

// A message or a conversation of a user, a message of a conversation.
inline core::Failure unknown_of(const char* what, const core::Uuid& id, const char* whose) {
  return {core::sqlstate::k_no_data_found,
          std::string(what) + " \"" + id.to_text() + "\" of this " + whose + " does not exist"};
}

// Of claude_gpt_data.users AS u: the first columns of every statement that UserRow reads.
// clang-format off
#define CLAUDE_GPT_USER_COLUMNS                                                                                     \
  "u.subscription_tier, u.subscription_status, u.subscription_current_period_end, u.subscription_cancel_at_period_end," \
  " u.monthly_reset_date, u.monthly_message_count, u.monthly_token_count, u.monthly_api_call_count, u.monthly_cost," \
  " u.held_message_count, u.held_token_count, u.held_cost, u.next_hold_expiry"
// clang-format on

// The user's row as it is, or locked until the transaction ends; P0002 if there is none.
bridge::Rows find_user(bridge::Spi& spi, const core::Uuid& user_id, bridge::Access access);
bridge::Rows lock_user(bridge::Spi& spi, const core::Uuid& user_id);
// The same without waiting; empty if there is none, or somebody holds it.
bridge::Rows lock_user_if_free(bridge::Spi& spi, const core::Uuid& user_id);

// The first row of such a statement. Borrows the rows.
class UserRow {
 public:
  explicit UserRow(const bridge::Rows& rows) : rows_(rows) {}

  core::Subscription subscription() const {
    return {rows_.get<std::string_view>(0, 1), rows_.get<std::string_view>(0, 2), rows_.find<core::Instant>(0, 3),
            rows_.get<bool>(0, 4)};
  }
  const core::Plan& plan(const core::Configuration& config, core::Instant now) const {
    return config.plan(core::effective_tier(subscription(), now, config.subscription_grace()));
  }

  // Of the month that begins then. Costs are read only where they are asked for: each is a numeric.
  core::MonthlyUsage used(core::Date month, bool with_cost) const {
    core::MonthlyUsage stored{rows_.get<core::Date>(0, 5),
                              rows_.get<std::int32_t>(0, 6),
                              rows_.get<std::int64_t>(0, 7),
                              rows_.get<std::int64_t>(0, 8),
                              {}};
    if (with_cost) stored.cost = rows_.get<core::Amount>(0, 9);
    return core::usage_in_month(stored, month);
  }
  core::Holds held(bool with_cost) const {
    core::Holds held{rows_.get<std::int32_t>(0, 10), rows_.get<std::int64_t>(0, 11), {}};
    if (with_cost) held.cost = rows_.get<core::Amount>(0, 12);
    return held;
  }
  // Infinity where nothing is held.
  core::Instant next_hold_expiry() const {
    return rows_.find<core::Instant>(0, 13).value_or(core::Instant::infinity());
  }

 private:
  const bridge::Rows& rows_;
};

}  // namespace claude_gpt::api
