// Topic usage: update_user_usage(), record_usage(), the counting that every metering function shares, and the job
// monthly_reset.
#include "api/usage.hpp"

#include "api/config.hpp"
#include "api/idempotency.hpp"
#include "api/identifiers.hpp"
#include "api/jobs.hpp"
#include "api/monitoring.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "api/users.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/record.hpp"
#include "core/usage.hpp"
#include "store/conversations.hpp"
#include "store/messages.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

UnreadNumeric or_zero(std::optional<UnreadNumeric> amount) { return amount ? *amount : numeric_of({}); }

struct Kind {
  core::Action action;
  std::int64_t quantity;
  std::optional<UnreadNumeric> cost;
};

void record(Spi& spi, const core::Uuid& user_id, const Kind& kind, const store::UsageDetail& detail, core::Date month,
            const core::Uuid& id) {
  store::insert_usage_record(spi, id, user_id, core::name_of(kind.action), kind.quantity, or_zero(kind.cost), month,
                             detail);
}

core::Action require_usage_type(std::string_view name) {
  if (const auto action = core::parse_action(name)) return *action;
  throw core::Failure(core::sqlstate::k_invalid_parameter_value,
                      "usage type \"" + std::string(name) + "\" is not known",
                      "Usage types are message, token and api_call.");
}

UsageChange change_of(const Kind& kind) {
  UsageChange change;
  (kind.action == core::Action::message ? change.messages
   : kind.action == core::Action::token ? change.tokens
                                        : change.api_calls) = kind.quantity;
  change.cost = kind.cost;
  return change;
}

constinit RowType record_row{out::k_record_usage};

// By the primary key, which a reset does not change, so that no row is met twice: the index on the date of the reset
// that would find them at once would cost every reset all indexes of users.
class MonthlyReset final : public CopiedWork<MonthlyReset> {
 public:
  explicit MonthlyReset(core::Date month) : month_(month) {}

  bool is_needed(Spi& spi) override { return store::has_lapsed_months(spi, month_); }

  Batch next(Spi& spi, std::int64_t size) override {
    const store::ResetMonths done = store::reset_lapsed_months(spi, reached_, month_, size);
    if (done.last) reached_ = core::successor(*done.last);
    return {.rows = static_cast<std::uint64_t>(done.reset),
            .has_more = done.found == size,
            .progress = done.last ? "up to user " + done.last->to_text() : ""};
  }

 private:
  core::Date month_;
  core::Uuid reached_{};
};

}  // namespace

std::optional<std::string_view> model_of(const Call& call, const Parameter<std::string_view>& p_model) {
  constexpr std::size_t k_longest = 255;  // as the columns are
  const auto model = call.find(p_model);
  if (!model || (!model->empty() && character_count(*model) <= k_longest)) return model;
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_model must have from 1 to 255 characters");
}

UnreadNumeric numeric_of(core::Amount amount) { return {Value::palloced(amount).datum}; }

Result<store::User> change_counters(Spi& spi, const core::Uuid& user_id, const UsageChange& change, core::Instant now,
                                    core::Date month) {
  const auto user =
      store::change_counters(spi, user_id,
                             {change.messages, change.tokens, change.api_calls, or_zero(change.cost),
                              change.held_messages, change.held_tokens, or_zero(change.held_cost), change.hold_expiry},
                             now, month);
  if (user.empty()) throw unknown_user(user_id);
  return user;
}

std::optional<core::Uuid> keep_message(Spi& spi, const core::Uuid& user_id, const core::Uuid& message_id) {
  const auto conversation_id = store::keep_message(spi, user_id, message_id);
  if (conversation_id.empty()) throw unknown_of("message", message_id, "user");
  return conversation_id.first();
}

void keep_conversation(Spi& spi, const core::Uuid& user_id, const core::Uuid& conversation_id) {
  if (!store::keep_conversation(spi, user_id, conversation_id))
    throw unknown_of("conversation", conversation_id, "user");
}

// Later than the month of now where the clock or the billing time zone was moved back.
core::Date counted_month(const Result<store::User>& user) {
  return core::first_of_month(user.get<&store::User::monthly_reset_date>());
}

bool keeps_ledger() { return configuration().usage_ledger(); }

void record_counted(Spi& spi, const core::Uuid& user_id, const UsageChange& change, const store::UsageDetail& detail,
                    core::Date month) {
  if (!keeps_ledger()) return;
  if (change.tokens > 0 || change.cost)
    store::insert_records_of_messages_and_tokens(spi, user_id, change.messages, change.tokens, or_zero(change.cost),
                                                 month, detail);
  else if (change.messages > 0)
    record(spi, user_id, {core::Action::message, change.messages, {}}, detail, month, new_id());
  if (change.api_calls > 0)
    record(spi, user_id, {core::Action::api_call, change.api_calls, {}}, detail, month, new_id());
}

CLAUDE_GPT_FUNCTION(update_user_usage) {
  const auto user_id = call.required(arg::update_user_usage::p_user_id);
  const auto messages = call.required(arg::update_user_usage::p_message_count);
  const auto tokens = call.required(arg::update_user_usage::p_tokens);
  const auto cost = call.required(arg::update_user_usage::p_cost);
  require_not_negative(messages, "p_message_count");
  require_not_negative(tokens, "p_tokens");
  require_not_negative(cost, "p_cost");

  require_current_tables();
  const core::Instant now = clock::now();
  const core::Date month = billing_month(now).first_day;
  UsageChange change;
  change.messages = messages;
  change.tokens = tokens;
  const auto given_cost = call.required<UnreadNumeric>(arg::update_user_usage::p_cost);
  if (!cost.is_zero()) change.cost = given_cost;

  Spi spi;
  core::Date counted_in = month;
  if (!store::count_in_month(spi, user_id, messages, change.tokens, given_cost, now, month,
                             core::first_of_next_month(month)))
    counted_in = counted_month(change_counters(spi, user_id, change, now, month));
  if (messages > 0 || tokens > 0 || !cost.is_zero()) record_counted(spi, user_id, change, {}, counted_in);
  spi.finish();
  count_usage(messages, tokens, 0, cost);
  return no_result();
}

CLAUDE_GPT_FUNCTION(record_usage) {
  const auto user_id = call.required(arg::record_usage::p_user_id);
  const core::Action action = require_usage_type(call.required(arg::record_usage::p_usage_type));
  const auto quantity = call.required(arg::record_usage::p_quantity);
  const auto cost = call.required(arg::record_usage::p_cost);
  require_not_negative(quantity, "p_quantity");
  require_not_negative(cost, "p_cost");
  if (quantity == 0 && cost.is_zero())
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_quantity and p_cost must not both be zero");

  model_of(call, arg::record_usage::p_model);

  require_current_tables();
  const core::Instant now = clock::now();
  const core::Date month = billing_month(now).first_day;
  const Kind kind{action, quantity,
                  cost.is_zero() ? std::nullopt : call.find<UnreadNumeric>(arg::record_usage::p_cost)};
  store::UsageDetail detail{call.find<UnreadText>(arg::record_usage::p_model),
                            call.find(arg::record_usage::p_message_id), call.find(arg::record_usage::p_conversation_id),
                            call.find(arg::record_usage::p_metadata)};

  Spi spi;
  IdempotentCall idempotent{spi, user_id, call, arg::record_usage::p_idempotency_key, "record_usage", now};
  if (const auto* first = idempotent.first_answer()) {
    const auto id = first->usage_record_id;
    spi.finish();
    return record_row.row({id ? Value::palloced(*id) : Value::null(), Value::of(true)});
  }
  const core::Date counted_in = counted_month(change_counters(spi, user_id, change_of(kind), now, month));
  if (detail.conversation_id) keep_conversation(spi, user_id, *detail.conversation_id);
  if (detail.message_id) {
    const auto of_message = keep_message(spi, user_id, *detail.message_id);
    if (!detail.conversation_id) detail.conversation_id = of_message;
  }
  const auto recorded = keeps_ledger() ? std::optional{new_id()} : std::nullopt;
  if (recorded) record(spi, user_id, kind, detail, counted_in, *recorded);
  idempotent.remember({.usage_record_id = recorded});
  spi.finish();
  const UsageChange change = change_of(kind);
  count_usage(change.messages, change.tokens, change.api_calls, cost);
  return record_row.row({recorded ? Value::palloced(*recorded) : Value::null(), Value::of(false)});
}

std::unique_ptr<JobWork> make_monthly_reset(const JobTime& time) {
  return std::make_unique<MonthlyReset>(billing_month(time.now).first_day);
}

}  // namespace claude_gpt::api
