// Topic subscriptions: check_subscription_limit(), effective_tier(), set_subscription().
#include "core/subscriptions.hpp"

#include "api/config.hpp"
#include "api/monitoring.hpp"
#include "api/quota.hpp"
#include "api/schema.hpp"
#include "api/users.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/spi.hpp"
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

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

}  // namespace

CLAUDE_GPT_FUNCTION(check_subscription_limit) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const core::Action action = require_action(call.required<std::string_view>(1, "p_action"));
  require_current_tables();
  const core::Instant now = clock::now();
  const core::Date month = billing_month(now).first_day;

  Spi spi;
  const Rows rows = find_user(spi, user_id, Access::read_only);
  const UserRow user{rows};
  const bool limits_cost = user.plan(configuration(), now).cost.has_value();
  const core::Holds held = holds_now(spi, user_id, user, limits_cost, now);
  const core::Plan& plan = user.plan(configuration(), now);
  const bool admitted = !core::exceeded_limit(plan, user.used(month, limits_cost), held, core::demand_of(action));
  spi.finish();
  count_decision(core::Decider::check_subscription_limit, admitted ? core::Reason::none : core::Reason::quota_exceeded);
  return Value::of(admitted);
}

CLAUDE_GPT_FUNCTION(effective_tier) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  require_current_tables();
  Spi spi;
  const Rows rows = find_user(spi, user_id, Access::read_only);
  const std::string tier{
      core::effective_tier(UserRow{rows}.subscription(), clock::now(), configuration().subscription_grace())};
  spi.finish();
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
  configuration().plan(tier);  // 55000 if it is not configured

  const Value user = Value::borrowed(user_id);
  const Value tier_text = Value::palloced(tier);
  const Value status_text = Value::palloced(status);
  Spi spi;
  const Rows updated = spi.execute(
      k_set_subscription, {user, tier_text, status_text, period_end, Value::of(cancel_at_period_end), subscription_id},
      Access::read_write);
  if (updated.empty()) throw unknown_user(user_id);
  spi.execute(k_record_subscription,
              {user, tier_text, status_text, updated.value(0, 1), period_end, Value::palloced(event_type), metadata},
              Access::read_write);
  spi.finish();
  return no_result();
}

}  // namespace claude_gpt::api
