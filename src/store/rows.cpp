#include "store/rows.hpp"

#include <algorithm>

#include "core/access.hpp"
#include "core/usage.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

// Whether the column is one of those that a writer keeps from going below zero.
template <typename Table> bool is_among(std::string_view name, std::uint64_t columns) noexcept {
  for (std::size_t i = 0; i < Table::k_columns.size(); ++i)
    if (name == Table::k_columns[i].column) return (columns >> i & 1) != 0;
  return false;
}

// What a writer gives to a column of words: these, or any that is not empty.
struct Words {
  std::string_view column;
  std::span<const std::string_view> words = {};
};

bool admits_all(const core::ColumnRule& rule, std::span<const Words> written) noexcept {
  const auto of_column = std::ranges::find(written, rule.column, &Words::column);
  if (of_column == written.end()) return false;
  if (of_column->words.empty()) return rule.allowed.empty();
  return std::ranges::all_of(of_column->words, [&](std::string_view word) { return rule.admits(word); });
}

// "maintained" is for others than the owner, with whose rights all is written.
template <typename Table>
bool keeps_rule(const char* text, std::uint64_t not_negative, std::span<const Words> written) noexcept {
  const auto rule = core::parse_column_rule(text);
  if (!rule || (rule->not_negative && !is_among<Table>(rule->column, not_negative))) return false;
  return (rule->allowed.empty() && !rule->not_empty) || admits_all(*rule, written);
}

template <typename Table>
bool keeps_rules(const HeapTrigger& trigger, std::uint64_t not_negative, std::span<const Words> written = {}) noexcept {
  return trigger.is_before_row && trigger.function == "claude_gpt_enforce_column_rules" &&
         std::ranges::all_of(trigger.arguments,
                             [=](const char* text) { return keeps_rule<Table>(text, not_negative, written); });
}

// Who writes a row sets updated_at, and of the moment that a column holds the day in another.
bool sets_times(const HeapTrigger& trigger) noexcept {
  return trigger.is_before_row && trigger.function == "claude_gpt_update_updated_at_column";
}

bool sets_times(const HeapTrigger& trigger, std::string_view day, std::string_view moment) noexcept {
  return sets_times(trigger) && trigger.arguments.size() == 2 && day == trigger.arguments[0] &&
         moment == trigger.arguments[1];
}

bool counts_messages(const HeapTrigger& trigger) noexcept {
  return trigger.is_after_statement && trigger.function == "claude_gpt_maintain_conversation_counters";
}

constexpr HeapDescription k_users{
    .table = Users::k_name,
    .columns = Users::k_columns,
    .written = Users::k_updated | Users::k_stamped,
    .event = HeapDescription::Event::update,
    .required =
        Users::k_counters | bits({Users::subscription_tier, Users::subscription_status,
                                  Users::subscription_cancel_at_period_end, Users::monthly_reset_date, Users::id}),
    .not_negative = Users::k_counters,
    .key = Users::id,
    .replaced_trigger_count = 2,
    .replaces = [](const HeapTrigger& trigger) noexcept {
      return sets_times(trigger, "last_active_on", "last_active_at") || keeps_rules<Users>(trigger, Users::k_counters);
    }};

bool follows_messages(const HeapTrigger& trigger) noexcept {
  return sets_times(trigger, "last_message_on", "last_message_at") ||
         keeps_rules<Conversations>(trigger, Conversations::k_counters);
}

constexpr HeapDescription k_conversations{
    .table = Conversations::k_name,
    .columns = Conversations::k_columns,
    .written = Conversations::k_updated | Conversations::k_stamped,
    .event = HeapDescription::Event::update,
    .required =
        Conversations::k_counters | bits({Conversations::id, Conversations::user_id, Conversations::last_message_at}),
    .not_negative = Conversations::k_counters,
    .key = Conversations::id,
    .replaced_trigger_count = 2,
    .replaces = follows_messages};

constexpr HeapReference k_references_of_conversations[] = {{Conversations::user_id, "users"}};

constexpr HeapDescription k_new_conversations{
    .table = Conversations::k_name,
    .columns = Conversations::k_columns,
    .written = Conversations::k_inserted | bits({Conversations::last_message_on}),
    .event = HeapDescription::Event::insert,
    .not_negative = Conversations::k_counters,
    .replaced_trigger_count = 2,
    .replaces = follows_messages,
    .references = k_references_of_conversations};

constexpr std::string_view k_roles[] = {"user", "assistant"};
constexpr std::string_view k_states[] = {"sending", "sent", "stopped", "failed"};
constexpr Words k_words_of_messages[] = {{"role", k_roles}, {"content_type"}, {"status", k_states}};

bool keeps_rules_of_messages(const HeapTrigger& trigger) noexcept {
  return counts_messages(trigger) || keeps_rules<Messages>(trigger, Messages::k_numbers, k_words_of_messages);
}

constexpr HeapDescription k_messages{
    .table = Messages::k_name,
    .columns = Messages::k_columns,
    .written = Messages::k_updated | Messages::k_stamped,
    .event = HeapDescription::Event::update,
    .required = bits({Messages::id, Messages::conversation_id, Messages::user_id, Messages::role, Messages::content,
                      Messages::content_type, Messages::status, Messages::created_at}),
    .not_negative = Messages::k_numbers,
    .key = Messages::id,
    .newest = {.group = Messages::conversation_id,
               .moment = Messages::created_at,
               .id = Messages::id,
               .state = Messages::status,
               .absent = "deleted"},
    .referring = Messages::parent_message_id,
    .replaced_trigger_count = 3,
    .replaces = [](const HeapTrigger& trigger) noexcept {
      return (sets_times(trigger) && trigger.arguments.empty()) || keeps_rules_of_messages(trigger);
    }};

constexpr HeapReference k_references_of_messages[] = {{Messages::user_id, "users"},
                                                      {Messages::conversation_id, "conversations"},
                                                      {Messages::parent_message_id, "messages"}};

constexpr HeapDescription k_new_messages{.table = Messages::k_name,
                                         .columns = Messages::k_columns,
                                         .written = Messages::k_inserted,
                                         .event = HeapDescription::Event::insert,
                                         .not_negative = Messages::k_numbers,
                                         .replaced_trigger_count = 2,
                                         .replaces = keeps_rules_of_messages,
                                         .references = k_references_of_messages};

constexpr std::string_view k_states_of_reservations[] = {"open", "settled", "released", "expired"};
constexpr Words k_words_of_reservations[] = {{"status", k_states_of_reservations}};

bool keeps_rules_of_reservations(const HeapTrigger& trigger) noexcept {
  return keeps_rules<UsageReservations>(trigger, UsageReservations::k_held, k_words_of_reservations);
}

constexpr HeapDescription k_usage_reservations{
    .table = UsageReservations::k_name,
    .columns = UsageReservations::k_columns,
    .written = UsageReservations::k_updated,
    .event = HeapDescription::Event::update,
    .required = UsageReservations::k_held | bits({UsageReservations::id, UsageReservations::user_id,
                                                  UsageReservations::status, UsageReservations::expires_at}),
    .not_negative = UsageReservations::k_held,
    .key = UsageReservations::id,
    .replaced_trigger_count = 1,
    .replaces = keeps_rules_of_reservations};

constexpr HeapReference k_references_of_reservations[] = {{UsageReservations::user_id, "users"}};

constexpr HeapDescription k_new_usage_reservations{.table = UsageReservations::k_name,
                                                   .columns = UsageReservations::k_columns,
                                                   .written = UsageReservations::k_inserted,
                                                   .event = HeapDescription::Event::insert,
                                                   .not_negative = UsageReservations::k_held,
                                                   .replaced_trigger_count = 1,
                                                   .replaces = keeps_rules_of_reservations,
                                                   .references = k_references_of_reservations};

constexpr std::uint64_t k_quantities =
    bits({UsageRecords::quantity, UsageRecords::cost, UsageRecords::prompt_tokens, UsageRecords::completion_tokens,
          UsageRecords::cached_prompt_tokens, UsageRecords::cache_write_tokens, UsageRecords::reasoning_tokens});
constexpr std::string_view k_usage_types[] = {core::name_of(core::Action::message), core::name_of(core::Action::token),
                                              core::name_of(core::Action::api_call)};
constexpr Words k_words_of_records[] = {{"usage_type", k_usage_types}};

constexpr HeapReference k_references_of_records[] = {{UsageRecords::user_id, "users"},
                                                     {UsageRecords::message_id, "messages"},
                                                     {UsageRecords::conversation_id, "conversations"}};

constexpr HeapDescription k_new_usage_records{.table = UsageRecords::k_name,
                                              .columns = UsageRecords::k_columns,
                                              .written = UsageRecords::k_inserted,
                                              .event = HeapDescription::Event::insert,
                                              .not_negative = k_quantities,
                                              .partition_key = UsageRecords::created_at,
                                              .replaced_trigger_count = 1,
                                              .replaces =
                                                  [](const HeapTrigger& trigger) noexcept {
                                                    return keeps_rules<UsageRecords>(trigger, k_quantities,
                                                                                     k_words_of_records);
                                                  },
                                              .references = k_references_of_records};

constinit HeapTable users_table{k_users};
constinit HeapTable conversations_table{k_conversations};
constinit HeapTable messages_table{k_messages};
constinit HeapTable usage_reservations_table{k_usage_reservations};
constinit HeapTable new_conversations_table{k_new_conversations};
constinit HeapTable new_messages_table{k_new_messages};
constinit HeapTable new_usage_records_table{k_new_usage_records};
constinit HeapTable new_usage_reservations_table{k_new_usage_reservations};

}  // namespace

HeapTable& Users::rows() { return users_table; }
HeapTable& Conversations::rows() { return conversations_table; }
HeapTable& Conversations::new_rows() { return new_conversations_table; }
HeapTable& Messages::rows() { return messages_table; }
HeapTable& Messages::new_rows() { return new_messages_table; }
HeapTable& UsageRecords::new_rows() { return new_usage_records_table; }
HeapTable& UsageReservations::rows() { return usage_reservations_table; }
HeapTable& UsageReservations::new_rows() { return new_usage_reservations_table; }

std::array<DirectUse, 9> direct_uses(core::Instant now) {
  using Use = HeapTable::Use;
  const auto use = [now](HeapTable& table, Use how, const char* operation) {
    return DirectUse{table.description().table, operation, table.obstacle(how, now)};
  };
  return {{use(conversations_table, Use::write, "updated"), use(new_conversations_table, Use::write, "inserted"),
           use(messages_table, Use::write, "updated"), use(new_messages_table, Use::write, "inserted"),
           use(new_usage_records_table, Use::write, "inserted"), use(usage_reservations_table, Use::write, "updated"),
           use(new_usage_reservations_table, Use::write, "inserted"), use(users_table, Use::read, "read"),
           use(users_table, Use::write, "updated")}};
}

}  // namespace claude_gpt::store
