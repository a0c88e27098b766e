// What the functions on users have in common: the columns a decision reads, and how they are read.
#pragma once

#include <optional>
#include <string>

#include "api/call_time.hpp"
#include "core/billing_period.hpp"
#include "core/config.hpp"
#include "core/failure.hpp"
#include "core/identifiers.hpp"
#include "core/quota.hpp"
#include "core/subscriptions.hpp"
#include "core/usage.hpp"
#include "store/rows.hpp"
#include "store/stored_row.hpp"

namespace claude_gpt::api {

inline core::Failure unknown_user(const core::Uuid& user_id) {
  return {core::sqlstate::k_no_data_found, "user \"" + user_id.to_text() + "\" does not exist"};
}

// A message or a conversation of a user, a message of a conversation.
inline core::Failure unknown_of(const char* what, const core::Uuid& id, const char* whose) {
  return {core::sqlstate::k_no_data_found,
          std::string(what) + " \"" + id.to_text() + "\" of this " + whose + " does not exist"};
}

// What a decision reads of a user. Borrows the row.
class UserRow {
  using Users = store::Users;

 public:
  explicit UserRow(const store::Row<Users>& row) : row_(row) {}

  core::Subscription subscription() const {
    return {get<Users::subscription_tier>(), get<Users::subscription_status>(),
            find<Users::subscription_current_period_end>(), get<Users::subscription_cancel_at_period_end>()};
  }
  const core::Plan& plan(const core::Configuration& config, core::Instant now) const {
    return config.plan(core::effective_tier(subscription(), now, config.subscription_grace()));
  }

  core::StoredPeriod period() const {
    return {get<Users::monthly_reset_date>(), find<Users::billing_period_ends_on>(), find<Users::ledger_ahead_to>()};
  }
  core::PeriodState period_state(const CallTime& time) const { return core::state_of(period(), time.today); }
  // On which the periods of his plan begin.
  int anchor_day(const core::Configuration& config, core::Instant now) const {
    const auto tier = core::effective_tier(subscription(), now, config.subscription_grace());
    if (config.billing_anchor(tier) == core::BillingAnchor::calendar) return 1;
    return find<Users::billing_anchor_day>().value_or(1);
  }

  // Of the period that begins then.
  core::MonthlyUsage used(core::Date begins, bool with_cost) const {
    return core::usage_in_month(stored(with_cost), begins);
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
  template <Users::Column column> Form<column> get() const { return row_.get<column>(); }
  template <Users::Column column> std::optional<Form<column>> find() const { return row_.find<column>(); }

  const store::Row<Users>& row_;
};

// P0002 if there is none, as the caller's statement sees it. UserRow borrows what was found.
UserRow require_user(store::StoredRow<store::Users>& user, const core::Uuid& user_id);
void require_user(const core::Uuid& user_id);

// Until the transaction ends; P0002 if there is none.
void lock_user(const core::Uuid& user_id);

}  // namespace claude_gpt::api
