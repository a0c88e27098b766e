// Topic usage: update_user_usage().
#include "api/config.hpp"
#include "api/schema.hpp"
#include "api/users.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/spi.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// The counters stand in the month already: no row comes back in a lapsed one.
constinit Statement k_count_in_month{
    "users",
    "UPDATE claude_gpt.users AS u SET"
    " monthly_message_count = u.monthly_message_count OPERATOR(pg_catalog.+) $2,"
    " monthly_token_count = u.monthly_token_count OPERATOR(pg_catalog.+) $3,"
    " monthly_cost = u.monthly_cost OPERATOR(pg_catalog.+) $4,"
    " total_message_count = u.total_message_count OPERATOR(pg_catalog.+) $2,"
    " total_token_count = u.total_token_count OPERATOR(pg_catalog.+) $3,"
    " total_cost = u.total_cost OPERATOR(pg_catalog.+) $4,"
    " last_active_at = GREATEST(u.last_active_at, $5)"
    " WHERE u.id OPERATOR(pg_catalog.=) $1"
    " AND u.monthly_reset_date OPERATOR(pg_catalog.>=) $6 AND u.monthly_reset_date OPERATOR(pg_catalog.<) $7",
    {Type::uuid, Type::int4, Type::int8, Type::numeric, Type::timestamptz, Type::date, Type::date}};

// Any month: rolls a lapsed one over. Decided in the row it locks, so two first calls of a month roll it once.
constinit Statement k_count_in_any_month{
    "users",
    "UPDATE claude_gpt.users AS u SET"
    " monthly_message_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $6 THEN $2"
    "   ELSE u.monthly_message_count OPERATOR(pg_catalog.+) $2 END,"
    " monthly_token_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $6 THEN $3"
    "   ELSE u.monthly_token_count OPERATOR(pg_catalog.+) $3 END,"
    " monthly_api_call_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $6 THEN 0"
    "   ELSE u.monthly_api_call_count END,"
    " monthly_cost = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $6 THEN $4"
    "   ELSE u.monthly_cost OPERATOR(pg_catalog.+) $4 END,"
    " monthly_reset_date = GREATEST(u.monthly_reset_date, $6),"
    " total_message_count = u.total_message_count OPERATOR(pg_catalog.+) $2,"
    " total_token_count = u.total_token_count OPERATOR(pg_catalog.+) $3,"
    " total_cost = u.total_cost OPERATOR(pg_catalog.+) $4,"
    " last_active_at = GREATEST(u.last_active_at, $5)"
    " WHERE u.id OPERATOR(pg_catalog.=) $1"
    " RETURNING u.monthly_reset_date",
    {Type::uuid, Type::int4, Type::int8, Type::numeric, Type::timestamptz, Type::date}};

// A row for each kind that is not zero.
constinit Statement k_record_usage{
    "usage_records",
    "INSERT INTO claude_gpt.usage_records (user_id, usage_type, quantity, cost, billing_period)"
    " SELECT $1, k.usage_type, k.quantity, k.cost, $5"
    " FROM (VALUES ('message', $2, 0.0), ('token', $3, $4::pg_catalog.numeric(20,9))) AS k (usage_type, quantity, cost)"
    " WHERE k.quantity OPERATOR(pg_catalog.>) 0 OR k.cost OPERATOR(pg_catalog.>) 0",
    {Type::uuid, Type::int4, Type::int8, Type::numeric, Type::date}};

void require_not_negative(bool is_negative, const char* parameter) {
  if (!is_negative) return;
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, std::string(parameter) + " must not be negative");
}

}  // namespace

CLAUDE_GPT_FUNCTION(update_user_usage) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto messages = call.required<std::int32_t>(1, "p_message_count");
  const auto tokens = call.required<std::int32_t>(2, "p_tokens");
  const auto cost = call.required<core::Amount>(3, "p_cost");
  require_not_negative(messages < 0, "p_message_count");
  require_not_negative(tokens < 0, "p_tokens");
  require_not_negative(cost.is_negative(), "p_cost");

  require_current_tables();
  const core::Instant now = clock::now();
  const core::Date month = billing_month(now).first_day;
  const bool keeps_ledger = configuration().usage_ledger();
  const Value user = Value::borrowed(user_id);
  const Value message_count = Value::of(messages);
  const Value token_count = Value::of(std::int64_t{tokens});
  const Value amount = call.argument(3);

  Spi spi;
  core::Date counted_in = month;
  const Rows in_month = spi.execute(k_count_in_month,
                                    {user, message_count, token_count, amount, Value::of(now), Value::of(month),
                                     Value::of(core::first_of_next_month(month))},
                                    Access::read_write);
  if (in_month.empty()) {
    const Rows in_any_month = spi.execute(k_count_in_any_month, {user, message_count, token_count, amount, Value::of(now), Value::of(month)},
                                          Access::read_write);
    if (in_any_month.empty()) throw unknown_user(user_id);
    // Later than `month` where the clock or the billing time zone was moved back.
    counted_in = core::first_of_month(in_any_month.get<core::Date>(0, 1));
  }
  if (keeps_ledger) spi.execute(k_record_usage, {user, message_count, token_count, amount, Value::of(counted_in)}, Access::read_write);
  spi.finish();
  return no_result();
}

}  // namespace claude_gpt::api
