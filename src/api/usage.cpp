// Topic usage: update_user_usage(), record_usage(), the counting that every metering function shares, and the job
// monthly_reset.
#include "api/usage.hpp"

#include "api/config.hpp"
#include "api/counting.hpp"
#include "api/idempotency.hpp"
#include "api/identifiers.hpp"
#include "api/jobs.hpp"
#include "api/monitoring.hpp"
#include "api/periods.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "api/users.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/record.hpp"
#include "core/usage.hpp"
#include "store/conversations.hpp"
#include "store/messages.hpp"
#include "store/users.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

core::Amount amount_or_zero(std::optional<UnreadNumeric> amount) {
  return amount ? value_as<core::Amount>(amount->datum) : core::Amount{};
}

struct Kind {
  core::Action action;
  std::int64_t quantity;
  std::optional<UnreadNumeric> cost;
};

void record(const core::Uuid& user_id, const Kind& kind, const store::UsageDetail& detail, const Counted& counted,
            const core::Uuid& id) {
  store::Ledger ledger{counted.user, detail};
  ledger.add({id, user_id, kind.action, kind.quantity, amount_or_zero(kind.cost), counted.period}, detail);
  ledger.finish();
}

// A record for messages, if there are any, and one for tokens; what the detail says belongs to the tokens.
void record_messages_and_tokens(const core::Uuid& user_id, const UsageChange& change, const store::UsageDetail& detail,
                                const Counted& counted) {
  store::Ledger ledger{counted.user, detail};
  const core::Uuid of_messages = new_id(), of_tokens = new_id();
  const store::UsageRecord tokens{
      of_tokens, user_id, core::Action::token, change.tokens, amount_or_zero(change.cost), counted.period};
  if (change.messages > 0)
    ledger.add({of_messages, user_id, core::Action::message, change.messages, {}, counted.period},
               {.model = detail.model}, tokens, detail);
  else
    ledger.add(tokens, detail);
  ledger.finish();
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

// `expiry_of` is asked for each version of the row that is decided on. P0002 if there is no such user.
template <typename ExpiryOf>
Counted count(const core::Uuid& user_id, const core::Addition& addition, const CallTime& time, ExpiryOf expiry_of) {
  store::StoredRow<store::Users> user{user_id};
  user.open(store::RowUse::write);
  Counted counted;
  const auto end = user.change([&](const store::Row<store::Users>& row, store::Changes<store::Users>& changes) {
    if (UserRow{row}.period_state(time) == core::PeriodState::doubtful) return store::RowStep::leave;
    const core::StoredPeriod period = period_now(UserRow{row}, time);
    counted.period = period.begins;
    put_addition(row, addition, time.now, period, expiry_of(row), changes);
    return store::RowStep::write;
  });
  counted.user = user.locked_at();
  user.finish();
  if (end == store::RowEnd::unknown) throw unknown_user(user_id);
  if (end == store::RowEnd::written) return counted;
  // The row is locked from here on: it is not doubtful again, unless a trigger of the table's owner keeps it so.
  if (!mend_period(user_id, time)) throw missing_row();
  return count(user_id, addition, time, expiry_of);
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

core::Addition addition_of(const UsageChange& change) {
  return {change.messages,
          change.tokens,
          change.api_calls,
          amount_or_zero(change.cost),
          {change.held_messages, change.held_tokens, amount_or_zero(change.held_cost)},
          change.hold_expiry};
}

Counted change_counters(const core::Uuid& user_id, const UsageChange& change, const CallTime& time) {
  return count(user_id, addition_of(change), time,
               [](const store::Row<store::Users>&) { return core::Expiry::normalized; });
}

std::optional<core::Uuid> keep_message(const core::Uuid& user_id, const core::Uuid& message_id) {
  const auto kept = store::keep_message(user_id, message_id);
  if (!kept) throw unknown_of("message", message_id, "user");
  return kept->conversation_id;
}

void keep_conversation(const core::Uuid& user_id, const core::Uuid& conversation_id) {
  if (!store::keep_conversation(user_id, conversation_id)) throw unknown_of("conversation", conversation_id, "user");
}

bool keeps_ledger() { return configuration().usage_ledger(); }

void record_counted(const core::Uuid& user_id, const UsageChange& change, const store::UsageDetail& detail,
                    const Counted& counted) {
  if (!keeps_ledger()) return;
  if (change.tokens > 0 || change.cost)
    record_messages_and_tokens(user_id, change, detail, counted);
  else if (change.messages > 0)
    record(user_id, {core::Action::message, change.messages, {}}, detail, counted, new_id());
  if (change.api_calls > 0) record(user_id, {core::Action::api_call, change.api_calls, {}}, detail, counted, new_id());
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
  const CallTime time = CallTime::of_now();
  UsageChange change;
  change.messages = messages;
  change.tokens = tokens;
  const auto given_cost = call.required<UnreadNumeric>(arg::update_user_usage::p_cost);
  if (!cost.is_zero()) change.cost = given_cost;

  const Counted counted = count(user_id, addition_of(change), time, [&](const store::Row<store::Users>& row) {
    return UserRow{row}.period().begins <= time.today ? core::Expiry::kept : core::Expiry::normalized;
  });
  if (messages > 0 || tokens > 0 || !cost.is_zero()) record_counted(user_id, change, {}, counted);
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
  const CallTime time = CallTime::of_now();
  const Kind kind{action, quantity,
                  cost.is_zero() ? std::nullopt : call.find<UnreadNumeric>(arg::record_usage::p_cost)};
  store::UsageDetail detail{call.find<UnreadText>(arg::record_usage::p_model),
                            call.find(arg::record_usage::p_message_id), call.find(arg::record_usage::p_conversation_id),
                            call.find(arg::record_usage::p_metadata)};

  IdempotentCall idempotent{user_id, call, arg::record_usage::p_idempotency_key, "record_usage", time.now};
  if (const auto* first = idempotent.first_answer()) {
    const auto id = first->usage_record_id;
    return record_row.row({id ? Value::palloced(*id) : Value::null(), Value::of(true)});
  }
  const Counted counted = change_counters(user_id, change_of(kind), time);
  if (detail.conversation_id) keep_conversation(user_id, *detail.conversation_id);
  if (detail.message_id) {
    const auto of_message = keep_message(user_id, *detail.message_id);
    if (!detail.conversation_id) detail.conversation_id = of_message;
  }
  const auto recorded = keeps_ledger() ? std::optional{new_id()} : std::nullopt;
  if (recorded) record(user_id, kind, detail, counted, *recorded);
  idempotent.remember({.usage_record_id = recorded});
  const UsageChange change = change_of(kind);
  count_usage(change.messages, change.tokens, change.api_calls, cost);
  return record_row.row({recorded ? Value::palloced(*recorded) : Value::null(), Value::of(false)});
}

std::unique_ptr<JobWork> make_monthly_reset(const JobTime& time) {
  return std::make_unique<MonthlyReset>(billing_month(time.now).first_day);
}

}  // namespace claude_gpt::api
