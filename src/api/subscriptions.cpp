// Topic subscriptions: check_subscription_limit(), effective_tier(), set_subscription(), and the triggers that keep the
// plan of every user configured.
#include "core/subscriptions.hpp"

#include "api/config.hpp"
#include "api/monitoring.hpp"
#include "api/quota.hpp"
#include "api/schema.hpp"
#include "api/users.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/rights.hpp"
#include "bridge/spi.hpp"
#include "bridge/trigger.hpp"
#include "core/usage.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

constinit Statement k_set_subscription{
    "users",
    R"sql(
    UPDATE claude_gpt_data.users AS u SET subscription_tier = $2, subscription_status = $3,
    subscription_current_period_end = $4, subscription_cancel_at_period_end = $5,
    subscription_id = COALESCE($6, u.subscription_id)
    WHERE u.id OPERATOR(pg_catalog.=) $1 RETURNING u.subscription_id
    )sql",
    {Type::uuid, Type::text, Type::text, Type::timestamptz, Type::boolean, Type::text}};

constinit Statement k_record_subscription{
    "subscription_history",
    R"sql(
    INSERT INTO claude_gpt_data.subscription_history
    (user_id, subscription_tier, subscription_status, stripe_subscription_id, period_end, event_type, metadata)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    )sql",
    {Type::uuid, Type::text, Type::text, Type::text, Type::timestamptz, Type::text, Type::jsonb}};

// FOR SHARE, which an UPDATE of the row waits for: FOR KEY SHARE would let another session take the plan out of it.
constinit Statement k_keep_plan{"system_configs",
                                R"sql(
    SELECT c.config_value OPERATOR(pg_catalog.->) $1 IS NOT NULL FROM claude_gpt_data.system_configs AS c
    WHERE c.config_key OPERATOR(pg_catalog.=) 'subscription_plans' AND c.is_active FOR SHARE
    )sql",
                                {Type::text}};

constinit Statement k_active_plans{"system_configs", R"sql(
    SELECT c.config_value::pg_catalog.text FROM claude_gpt_data.system_configs AS c
    WHERE c.config_key OPERATOR(pg_catalog.=) 'subscription_plans' AND c.is_active
    )sql"};

constinit Statement k_removed_plans{"system_configs",
                                    R"sql(
    SELECT pg_catalog.array_agg(p.tier), pg_catalog.bool_or(p.tier OPERATOR(pg_catalog.=) 'free')
    FROM pg_catalog.jsonb_object_keys(CASE WHEN pg_catalog.jsonb_typeof($1::pg_catalog.jsonb) OPERATOR(pg_catalog.=) 'object' THEN $1::pg_catalog.jsonb ELSE '{}' END) AS p (tier)
    WHERE NOT COALESCE($2::pg_catalog.jsonb OPERATOR(pg_catalog.?) p.tier, false)
    )sql",
                                    {Type::text, Type::text}};

constinit Statement k_users_of_plans{"users",
                                     R"sql(
    SELECT u.subscription_tier::pg_catalog.text, pg_catalog.count(*) FROM claude_gpt_data.users AS u
    WHERE u.subscription_tier::pg_catalog.text OPERATOR(pg_catalog.=) ANY ($1)
    GROUP BY u.subscription_tier ORDER BY u.subscription_tier
    )sql",
                                     {Type::text_array}};

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
  const Rows removed = spi.execute(
      k_removed_plans, {Value::palloced(*before), after ? Value::palloced(*after) : Value::null()}, Access::read_only);
  const Value plans = removed.value(0, 1, Type::text_array);
  if (plans.is_null) return spi.finish();
  // Whoever gives a user one of these plans holds the row that this transaction has locked: he has committed by now,
  // or finds the plan gone.
  const bool free_is_removed = removed.get<bool>(0, 2);
  const Rows users = spi.execute(k_users_of_plans, {plans}, Access::latest_lock);
  std::string counts;
  for (std::uint64_t row = 0; row < users.count(); ++row)
    counts += (row == 0 ? "" : ", ") + std::to_string(users.get<std::int64_t>(row, 2)) + " of " +
              quoted(users.get<std::string_view>(row, 1));
  spi.finish();
  const std::string detail = counts.empty() ? counts : "Users: " + counts + ".";
  if (free_is_removed)
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
  const Rows rows = spi.execute(k_active_plans, {}, Access::latest);
  std::optional<std::string> plans;
  if (!rows.empty()) plans = rows.get<std::string_view>(0, 1);
  spi.finish();
  return plans;
}

}  // namespace

CLAUDE_GPT_FUNCTION(check_subscription_limit) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const core::Action action = require_action(call.required<std::string_view>(1, "p_action"));
  require_current_tables();
  const core::Instant now = clock::now();
  const core::Date month = billing_month(now).first_day;

  store::UserLookup lookup{user_id};
  const UserRow user{require_user(lookup, user_id)};
  const bool limits_cost = user.plan(configuration(), now).cost.has_value();
  const core::Holds held = holds_now(user_id, user, limits_cost, now);
  const core::Plan& plan = user.plan(configuration(), now);
  const bool admitted = !core::exceeded_limit(plan, user.used(month, limits_cost), held, core::demand_of(action));
  lookup.finish();
  count_decision(core::Decider::check_subscription_limit, admitted ? core::Reason::none : core::Reason::quota_exceeded);
  return Value::of(admitted);
}

CLAUDE_GPT_FUNCTION(effective_tier) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  require_current_tables();
  store::UserLookup lookup{user_id};
  const UserRow user{require_user(lookup, user_id)};
  const std::string tier{core::effective_tier(user.subscription(), clock::now(), configuration().subscription_grace())};
  lookup.finish();
  return Value::palloced(tier);
}

CLAUDE_GPT_FUNCTION(set_subscription) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto tier = call.required<std::string_view>(1, "p_tier");
  const auto status = call.required<std::string_view>(2, "p_status");
  const Value period_end = call.argument(3);
  const bool cancel_at_period_end = call.required<bool>(4, "p_cancel_at_period_end");
  const Value subscription_id = call.argument(5);
  const auto event_type = call.required<std::string_view>(6, "p_event_type");
  const Value metadata = call.argument(7);
  if (!core::is_subscription_status(status))
    throw core::Failure(core::sqlstate::k_invalid_parameter_value,
                        "subscription status " + quoted(status) + " is not known");
  if (!core::is_subscription_event(event_type))
    throw core::Failure(core::sqlstate::k_invalid_parameter_value,
                        "subscription event " + quoted(event_type) + " is not known");
  require_current_tables();
  if (!configuration().has_plan(tier)) throw unknown_plan(tier);

  const Value user = Value::borrowed(user_id);
  const Value tier_text = Value::palloced(tier);
  const Value status_text = Value::palloced(status);
  Spi spi;
  const Rows updated = spi.execute(
      k_set_subscription, {user, tier_text, status_text, period_end, Value::of(cancel_at_period_end), subscription_id},
      Access::read_write);
  if (updated.empty()) throw unknown_user(user_id);
  spi.execute(k_record_subscription,
              {user, tier_text, status_text, updated.value(0, 1, Type::text), period_end, Value::palloced(event_type),
               metadata},
              Access::read_write);
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
  const Rows plans = spi.execute(k_keep_plan, {Value::palloced(*tier)}, Access::latest_lock);
  const bool is_configured = !plans.empty() && plans.get<bool>(0, 1);
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
