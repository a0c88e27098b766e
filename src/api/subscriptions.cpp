// Topic subscriptions: check_subscription_limit(), effective_tier(), set_subscription(), and the triggers that keep the
// plan of every user configured.
#include "core/subscriptions.hpp"

#include "api/config.hpp"
#include "api/holds.hpp"
#include "api/monitoring.hpp"
#include "api/periods.hpp"
#include "api/quota.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "api/users.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/rights.hpp"
#include "bridge/spi.hpp"
#include "bridge/trigger.hpp"
#include "core/usage.hpp"
#include "store/subscription_history.hpp"
#include "store/system_configs.hpp"
#include "store/user_plans.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

// Every lapsed subscription falls back to it, so it is always there and needs no look at the configuration.
constexpr std::string_view k_free = "free";

core::Failure unknown_plan(std::string_view tier) {
  return {core::sqlstate::k_check_violation, "plan " + quoted(tier) + " is not configured",
          "The active configuration row \"subscription_plans\" has no such plan.",
          "Add the plan to claude_gpt_data.system_configs first."};
}

// The plans that a change takes out of the configuration; nullopt instead of texts where there are none.
void require_no_users(const std::optional<std::string>& before, const std::optional<std::string>& after) {
  if (!before) return;
  Spi spi;
  const store::RemovedPlans removed = store::find_removed_plans(spi, *before, after);
  if (!removed.tiers) return spi.finish();
  // Whoever gives a user one of these plans holds the row that this transaction has locked: he has committed by now,
  // or finds the plan gone.
  std::string counts;
  for (const store::UsersOfPlan& users : store::count_users_of_plans(spi, *removed.tiers))
    counts += (counts.empty() ? "" : ", ") + std::to_string(users.count) + " of " + quoted(users.tier);
  spi.finish();
  const std::string detail = counts.empty() ? counts : "Users: " + counts + ".";
  if (removed.has_free.value_or(false))
    throw core::Failure(core::sqlstate::k_object_in_use, "plan \"free\" cannot be removed", detail,
                        "Users whose subscription lapses are served by it.");
  if (!counts.empty())
    throw core::Failure(core::sqlstate::k_object_in_use, "plans that users have cannot be removed", detail,
                        "Give them another plan with set_subscription() first.");
}

// The plans in a row of system_configs, if that is what it holds.
std::optional<std::string> plans_in(const Trigger& trigger,
                                    std::optional<std::string> (Trigger::*text)(const char*) const) {
  if ((trigger.*text)("config_key") != "subscription_plans" || (trigger.*text)("is_active") != "t") return std::nullopt;
  return (trigger.*text)("config_value");
}

std::optional<std::string> active_plans() {
  Spi spi;
  auto plans = store::read_active_plans(spi);
  spi.finish();
  return plans;
}

// A subscription that says no end keeps the day that the user has, or begins today.
std::int32_t anchor_day(const core::Uuid& user_id, std::optional<core::Instant> paid_until) {
  store::StoredRow<store::Users> user{user_id};
  user.open(store::RowUse::lock);
  if (!user.lock(store::RowLock::no_key_update)) throw unknown_user(user_id);
  const auto before = user.row().find<store::Users::billing_anchor_day>();
  user.finish();
  const bool is_told = paid_until && paid_until->is_finite();
  if (!is_told && before) return *before;
  return core::anchor_day_of(before, billing_day(is_told ? *paid_until : clock::now()).date);
}

}  // namespace

CLAUDE_GPT_FUNCTION(check_subscription_limit) {
  const auto user_id = call.required(arg::check_subscription_limit::p_user_id);
  const core::Action action = require_action(call.required(arg::check_subscription_limit::p_action));
  require_current_tables();
  const CallTime time = CallTime::of_now();
  const core::Instant now = time.now;

  store::StoredRow<store::Users> found{user_id};
  found.open(store::RowUse::read);
  const UserRow user = require_user(found, user_id);
  const bool limits_cost = user.plan(configuration(), now).cost.has_value();
  const core::Holds held = holds_now(user_id, user, limits_cost, now);
  const core::MonthlyUsage used = used_now(user_id, user, limits_cost, time);
  const core::Plan& plan = user.plan(configuration(), now);
  const bool admitted = !core::exceeded_limit(plan, used, held, core::demand_of(action));
  found.finish();
  count_decision(core::Decider::check_subscription_limit, admitted ? core::Reason::none : core::Reason::quota_exceeded);
  return Value::of(admitted);
}

CLAUDE_GPT_FUNCTION(effective_tier) {
  const auto user_id = call.required(arg::effective_tier::p_user_id);
  require_current_tables();
  store::StoredRow<store::Users> found{user_id};
  found.open(store::RowUse::read);
  const UserRow user = require_user(found, user_id);
  const std::string tier{core::effective_tier(user.subscription(), clock::now(), configuration().subscription_grace())};
  found.finish();
  return Value::palloced(tier);
}

CLAUDE_GPT_FUNCTION(set_subscription) {
  const auto user_id = call.required(arg::set_subscription::p_user_id);
  const auto tier = call.required(arg::set_subscription::p_tier);
  const auto status = call.required(arg::set_subscription::p_status);
  store::Subscription subscription{call.required<UnreadText>(arg::set_subscription::p_tier),
                                   call.required<UnreadText>(arg::set_subscription::p_status),
                                   call.find(arg::set_subscription::p_current_period_end),
                                   call.required(arg::set_subscription::p_cancel_at_period_end),
                                   call.find<UnreadText>(arg::set_subscription::p_subscription_id)};
  const auto event_type = call.required(arg::set_subscription::p_event_type);
  if (!core::is_subscription_status(status))
    throw core::Failure(core::sqlstate::k_invalid_parameter_value,
                        "subscription status " + quoted(status) + " is not known");
  if (!core::is_subscription_event(event_type))
    throw core::Failure(core::sqlstate::k_invalid_parameter_value,
                        "subscription event " + quoted(event_type) + " is not known");
  require_current_tables();
  if (!configuration().has_plan(tier)) throw unknown_plan(tier);
  if (configuration().billing_anchor(tier) == core::BillingAnchor::subscription)
    subscription.anchor_day = anchor_day(user_id, subscription.period_end);

  Spi spi;
  const auto updated = store::set_subscription(spi, user_id, subscription);
  if (updated.empty()) throw unknown_user(user_id);
  store::record_subscription(
      spi, user_id,
      {subscription.tier, subscription.status, updated.first(), subscription.period_end,
       call.required<UnreadText>(arg::set_subscription::p_event_type), call.find(arg::set_subscription::p_metadata)});
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(require_configured_plan) {
  Trigger trigger{call};
  trigger.require_before_row("require_configured_plan");
  const auto tier = trigger.new_text("subscription_tier");
  // NOT NULL says better what is wrong with NULL. Signing up, on the free plan, locks nothing.
  if (!tier || *tier == k_free || tier == trigger.old_text("subscription_tier")) return trigger.row();
  require_rights_over("system_configs", trigger.table_owner());
  Spi spi;
  const bool is_configured = store::keep_plan(spi, *tier);
  spi.finish();
  if (!is_configured) throw unknown_plan(*tier);
  return trigger.row();
}

CLAUDE_GPT_FUNCTION(keep_plans_in_use) {
  Trigger trigger{call};
  require_rights_over("users", trigger.table_owner());
  if (!trigger.is_for_row()) {
    require_no_users(active_plans(), std::nullopt);
    return no_result();
  }
  trigger.require_after("keep_plans_in_use");
  require_no_users(plans_in(trigger, &Trigger::old_text), plans_in(trigger, &Trigger::new_text));
  return no_result();
}

}  // namespace claude_gpt::api
