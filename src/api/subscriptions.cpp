// Topic subscriptions: check_subscription_limit(), effective_tier(), set_subscription().
#include "core/subscriptions.hpp"

#include "api/config.hpp"
#include "api/schema.hpp"
#include "api/users.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/spi.hpp"
#include "core/usage.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

constinit Statement k_find_user{
    "users",
    "SELECT u.subscription_tier, u.subscription_status, u.subscription_current_period_end,"
    " u.subscription_cancel_at_period_end, u.monthly_reset_date, u.monthly_message_count, u.monthly_token_count,"
    " u.monthly_api_call_count, u.monthly_cost"
    " FROM claude_gpt.users AS u WHERE u.id OPERATOR(pg_catalog.=) $1",
    {Type::uuid}};

constinit Statement k_set_subscription{
    "users",
    "UPDATE claude_gpt.users AS u SET subscription_tier = $2, subscription_status = $3,"
    " subscription_current_period_end = $4, subscription_cancel_at_period_end = $5,"
    " subscription_id = COALESCE($6, u.subscription_id)"
    " WHERE u.id OPERATOR(pg_catalog.=) $1 RETURNING u.subscription_id",
    {Type::uuid, Type::text, Type::text, Type::timestamptz, Type::boolean, Type::text}};

constinit Statement k_record_subscription{
    "subscription_history",
    "INSERT INTO claude_gpt.subscription_history"
    " (user_id, subscription_tier, subscription_status, stripe_subscription_id, period_end, event_type, metadata)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)",
    {Type::uuid, Type::text, Type::text, Type::text, Type::timestamptz, Type::text, Type::jsonb}};

// One row of k_find_user.
class FoundUser {
 public:
  explicit FoundUser(const Rows& rows) : rows_(rows) {}

  core::Subscription subscription() const {
    std::optional<core::Instant> period_end;
    if (!rows_.is_null(0, 3)) period_end = rows_.get<core::Instant>(0, 3);
    return {rows_.get<std::string_view>(0, 1), rows_.get<std::string_view>(0, 2), period_end, rows_.get<bool>(0, 4)};
  }

  // The cost is read only for a plan that limits it.
  core::MonthlyUsage usage(const core::Plan& plan) const {
    core::MonthlyUsage usage{rows_.get<core::Date>(0, 5), rows_.get<std::int32_t>(0, 6), rows_.get<std::int64_t>(0, 7),
                             rows_.get<std::int64_t>(0, 8), {}};
    if (plan.cost) usage.cost = rows_.get<core::Amount>(0, 9);
    return usage;
  }

 private:
  const Rows& rows_;
};

std::string_view tier_of(const FoundUser& user, core::Instant now, const core::Configuration& config) {
  return core::effective_tier(user.subscription(), now, config.subscription_grace());
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

core::Action require_action(std::string_view name) {
  if (const auto action = core::parse_action(name)) return *action;
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, "action " + quoted(name) + " is not known",
                      "Actions are message, token and api_call.");
}

}  // namespace

CLAUDE_GPT_FUNCTION(check_subscription_limit) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const core::Action action = require_action(call.required<std::string_view>(1, "p_action"));
  require_current_tables();
  const core::Instant now = clock::now();
  const core::Date month = billing_month(now).first_day;

  Spi spi;
  const Rows rows = spi.execute(k_find_user, {Value::borrowed(user_id)}, Access::read_only);
  if (rows.empty()) throw unknown_user(user_id);
  const FoundUser user{rows};
  const core::Configuration& config = configuration();
  const core::Plan& plan = config.plan(tier_of(user, now, config));
  const bool admitted = core::within_limits(plan, core::usage_in_month(user.usage(plan), month), action);
  spi.finish();
  return Value::of(admitted);
}

CLAUDE_GPT_FUNCTION(effective_tier) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  require_current_tables();
  Spi spi;
  const Rows rows = spi.execute(k_find_user, {Value::borrowed(user_id)}, Access::read_only);
  if (rows.empty()) throw unknown_user(user_id);
  const std::string tier{tier_of(FoundUser{rows}, clock::now(), configuration())};
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
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "subscription status " + quoted(status) + " is not known");
  if (!core::is_subscription_event(event_type))
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "subscription event " + quoted(event_type) + " is not known");
  require_current_tables();
  configuration().plan(tier);  // 55000 if it is not configured

  const Value user = Value::borrowed(user_id);
  const Value tier_text = Value::palloced(tier);
  const Value status_text = Value::palloced(status);
  Spi spi;
  const Rows updated = spi.execute(
      k_set_subscription, {user, tier_text, status_text, period_end, Value::of(cancel_at_period_end), subscription_id}, Access::read_write);
  if (updated.empty()) throw unknown_user(user_id);
  spi.execute(k_record_subscription,
              {user, tier_text, status_text, updated.value(0, 1), period_end, Value::palloced(event_type), metadata}, Access::read_write);
  spi.finish();
  return no_result();
}

}  // namespace claude_gpt::api
