#include "store/rows.hpp"

#include <algorithm>

#include "core/access.hpp"
#include "core/usage.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constexpr std::uint64_t k_counters =
    bits({Users::monthly_message_count, Users::monthly_token_count, Users::monthly_api_call_count, Users::monthly_cost,
          Users::held_message_count, Users::held_token_count, Users::held_cost, Users::total_message_count,
          Users::total_token_count, Users::total_api_call_count, Users::total_cost});

constexpr std::uint64_t k_quantities = bits({UsageRecords::quantity, UsageRecords::cost});

// Whether the column is one of those that a writer keeps from going below zero.
template <typename Table> bool is_among(std::string_view name, std::uint64_t columns) noexcept {
  for (std::size_t i = 0; i < Table::k_columns.size(); ++i)
    if (name == Table::k_columns[i].column) return (columns >> i & 1) != 0;
  return false;
}

// "maintained" is for others than the owner, with whose rights all is written.
template <typename Table> bool keeps_rule(const char* text, std::uint64_t not_negative) noexcept {
  const auto rule = core::parse_column_rule(text);
  if (!rule || rule->not_empty || (rule->not_negative && !is_among<Table>(rule->column, not_negative))) return false;
  if (rule->allowed.empty()) return true;
  return rule->column == "usage_type" && rule->admits(core::name_of(core::Action::message)) &&
         rule->admits(core::name_of(core::Action::token)) && rule->admits(core::name_of(core::Action::api_call));
}

template <typename Table> bool keeps_rules(const HeapTrigger& trigger, std::uint64_t not_negative) noexcept {
  return trigger.is_before_row && trigger.function == "claude_gpt_enforce_column_rules" &&
         std::ranges::all_of(trigger.arguments,
                             [=](const char* text) { return keeps_rule<Table>(text, not_negative); });
}

// Changes of a user set these two columns, see stamp().
bool sets_times(const HeapTrigger& trigger) noexcept {
  return trigger.is_before_row && trigger.function == "claude_gpt_update_updated_at_column" &&
         trigger.arguments.size() == 2 && std::string_view{trigger.arguments[0]} == "last_active_on" &&
         std::string_view{trigger.arguments[1]} == "last_active_at";
}

constexpr HeapDescription k_users{
    .table = Users::k_name,
    .columns = Users::k_columns,
    .written = k_counters | bits({Users::monthly_reset_date, Users::next_hold_expiry, Users::last_active_at,
                                  Users::last_active_on, Users::updated_at}),
    .event = HeapDescription::Event::update,
    .required = k_counters | bits({Users::subscription_tier, Users::subscription_status,
                                   Users::subscription_cancel_at_period_end, Users::monthly_reset_date, Users::id}),
    .not_negative = k_counters,
    .key = Users::id,
    .replaced_trigger_count = 2,
    .replaces = [](const HeapTrigger& trigger) noexcept {
      return sets_times(trigger) || keeps_rules<Users>(trigger, k_counters);
    }};

constexpr HeapReference k_references[] = {{UsageRecords::user_id, "users"},
                                          {UsageRecords::message_id, "messages"},
                                          {UsageRecords::conversation_id, "conversations"}};

constexpr HeapDescription k_usage_records{
    .table = UsageRecords::k_name,
    .columns = UsageRecords::k_columns,
    .written = (std::uint64_t{1} << UsageRecords::k_columns.size()) - 1,
    .event = HeapDescription::Event::insert,
    .not_negative = k_quantities,
    .partition_key = UsageRecords::created_at,
    .replaced_trigger_count = 1,
    .replaces = [](const HeapTrigger& trigger) noexcept { return keeps_rules<UsageRecords>(trigger, k_quantities); },
    .references = k_references};

constinit HeapTable users_table{k_users};
constinit HeapTable usage_records_table{k_usage_records};

}  // namespace

HeapTable& users() { return users_table; }

HeapTable& usage_records() { return usage_records_table; }

}  // namespace claude_gpt::store
