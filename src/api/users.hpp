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
#include "store/engine.hpp"
#include "store/rows.hpp"
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

// What a decision reads of a user: in the first row of such a statement, or as the store has found it. Borrows either.
class UserRow {
  using Users = store::Users;

 public:
  explicit UserRow(const bridge::Result<store::User>& rows) : rows_(&rows) {}
  explicit UserRow(const store::Row<Users>& row) : row_(&row) {}

  core::Subscription subscription() const {
    return {get<Users::subscription_tier>(), get<Users::subscription_status>(),
            find<Users::subscription_current_period_end>(), get<Users::subscription_cancel_at_period_end>()};
  }
  const core::Plan& plan(const core::Configuration& config, core::Instant now) const {
    return config.plan(core::effective_tier(subscription(), now, config.subscription_grace()));
  }

  // Of the month that begins then.
  core::MonthlyUsage used(core::Date month, bool with_cost) const {
    return core::usage_in_month(stored(with_cost), month);
  }
  // Of whatever month. Costs are read only where they are asked for: each is a numeric.
  core::MonthlyUsage stored(bool with_cost) const {
    core::MonthlyUsage stored{get<Users::monthly_reset_date>(),
                              get<Users::monthly_message_count>(),
                              get<Users::monthly_token_count>(),
                              get<Users::monthly_api_call_count>(),
                              {}};
    if (with_cost) stored.cost = get<Users::monthly_cost>();
    return stored;
  }
  core::Holds held(bool with_cost) const {
    core::Holds held{get<Users::held_message_count>(), get<Users::held_token_count>(), {}};
    if (with_cost) held.cost = get<Users::held_cost>();
    return held;
  }
  // Infinity where nothing is held.
  core::Instant next_hold_expiry() const { return find<Users::next_hold_expiry>().value_or(core::Instant::infinity()); }

 private:
  template <Users::Column column> using Form = store::Row<Users>::Form<column>;
  // The fields of store::User are the first columns of store::Users, in their order.
  template <Users::Column column> Form<column> get() const {
    return rows_ != nullptr ? rows_->get_column<Form<column>>(column) : row_->get<column>();
  }
  template <Users::Column column> std::optional<Form<column>> find() const {
    return rows_ != nullptr ? rows_->get_column<std::optional<Form<column>>>(column) : row_->find<column>();
  }

  const bridge::Result<store::User>* rows_ = nullptr;
  const store::Row<Users>* row_ = nullptr;
};

// The row of a user as the caller's statement sees it; P0002 if there is none. UserRow borrows the lookup.
const store::Row<store::Users>& require_user(const store::UserLookup& lookup, const core::Uuid& user_id);

}  // namespace claude_gpt::api
