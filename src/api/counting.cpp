#include "api/counting.hpp"

#include <algorithm>

#include "api/users.hpp"
#include "bridge/clock.hpp"
#include "core/future.hpp"

namespace claude_gpt::api {

using namespace bridge;
using store::Users;

namespace {

// Costs are read only where they are added to.
core::CountersOfUser counters_of(const store::Row<Users>& row, bool with_cost, bool with_held_cost) {
  core::CountersOfUser counters;
  const UserRow user{row};
  counters.month = user.stored(with_cost);
  counters.total = {{},
                    row.get<Users::total_message_count>(),
                    row.get<Users::total_token_count>(),
                    row.get<Users::total_api_call_count>(),
                    {}};
  counters.held = user.held(with_held_cost);
  counters.next_hold_expiry = row.find<Users::next_hold_expiry>();
  if (with_cost) counters.total.cost = row.get<Users::total_cost>();
  return counters;
}

// As the trigger update_users_updated_at does.
void stamp(const store::Row<Users>& row, core::Instant now, store::Changes<Users>& changes) {
  const core::Instant active_at = core::active_at(row.find<Users::last_active_at>(), now);
  changes.set<Users::last_active_at>(active_at);
  changes.set<Users::last_active_on>(core::utc_day(active_at));
  changes.set<Users::updated_at>(clock::transaction_start());
}

}  // namespace

void put_addition(const store::Row<Users>& row, const core::Addition& addition, core::Instant now,
                  const core::StoredPeriod& period, core::Expiry expiry, store::Changes<Users>& changes) {
  const bool adds_cost = !addition.cost.is_zero();
  const bool adds_held_cost = !addition.held.cost.is_zero();
  const core::CountersOfUser before = counters_of(row, adds_cost, adds_held_cost);
  const core::CountersOfUser after = core::add(before, addition, period.begins, expiry);
  changes.set<Users::monthly_reset_date>(after.month.counted_from);
  changes.set<Users::monthly_message_count>(static_cast<std::int32_t>(after.month.messages));
  changes.set<Users::monthly_token_count>(after.month.tokens);
  changes.set<Users::monthly_api_call_count>(after.month.api_calls);
  changes.set<Users::total_message_count>(static_cast<std::int32_t>(after.total.messages));
  changes.set<Users::total_token_count>(after.total.tokens);
  changes.set<Users::total_api_call_count>(after.total.api_calls);
  changes.set<Users::held_message_count>(static_cast<std::int32_t>(after.held.messages));
  changes.set<Users::held_token_count>(after.held.tokens);
  if (after.next_hold_expiry)
    changes.set<Users::next_hold_expiry>(*after.next_hold_expiry);
  else
    changes.set_null(Users::next_hold_expiry);
  const bool is_new = before.month.counted_from < period.begins;
  if (is_new) changes.set_or_null<Users::billing_period_ends_on>(period.ends_on);
  if (adds_cost || is_new) changes.set<Users::monthly_cost>(after.month.cost);
  if (adds_cost) changes.set<Users::total_cost>(after.total.cost);
  if (adds_held_cost) changes.set<Users::held_cost>(after.held.cost);
  stamp(row, now, changes);
}

}  // namespace claude_gpt::api
