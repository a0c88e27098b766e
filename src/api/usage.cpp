// Topic usage: update_user_usage(), record_usage(), the counting that every metering function shares, and the job
// monthly_reset.
#include "api/usage.hpp"

#include "api/config.hpp"
#include "api/idempotency.hpp"
#include "api/identifiers.hpp"
#include "api/jobs.hpp"
#include "api/monitoring.hpp"
#include "api/schema.hpp"
#include "api/users.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/record.hpp"
#include "core/usage.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// $6 the month, $7 the next. Rolls a lapsed month over; no row comes back in a later one, where the clock was moved
// back. Decided in the row it locks, so two first calls of a month roll it once.
constinit Statement k_count_in_month{
    "users",
    R"sql(
    UPDATE claude_gpt_data.users AS u SET
    monthly_message_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $6 THEN $2
      ELSE u.monthly_message_count OPERATOR(pg_catalog.+) $2 END,
    monthly_token_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $6 THEN $3
      ELSE u.monthly_token_count OPERATOR(pg_catalog.+) $3 END,
    monthly_api_call_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $6 THEN 0 ELSE u.monthly_api_call_count END,
    monthly_cost = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $6 THEN $4
      ELSE u.monthly_cost OPERATOR(pg_catalog.+) $4 END,
    monthly_reset_date = GREATEST(u.monthly_reset_date, $6),
    total_message_count = u.total_message_count OPERATOR(pg_catalog.+) $2,
    total_token_count = u.total_token_count OPERATOR(pg_catalog.+) $3,
    total_cost = u.total_cost OPERATOR(pg_catalog.+) $4,
    last_active_at = GREATEST(u.last_active_at, $5)
    WHERE u.id OPERATOR(pg_catalog.=) $1 AND u.monthly_reset_date OPERATOR(pg_catalog.<) $7
    )sql",
    {Type::uuid, Type::int4, Type::int8, Type::numeric, Type::timestamptz, Type::date, Type::date}};

// Any month: rolls a lapsed one over. Decided in the row it locks, so two first calls of a month roll it once.
// Every reservation holds messages or tokens: where neither is held any more, no hold will expire.
constinit Statement k_change{"users",
                             R"sql(
    UPDATE claude_gpt_data.users AS u SET
    monthly_message_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $11 THEN $2
      ELSE u.monthly_message_count OPERATOR(pg_catalog.+) $2 END,
    monthly_token_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $11 THEN $3
      ELSE u.monthly_token_count OPERATOR(pg_catalog.+) $3 END,
    monthly_api_call_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $11 THEN $4
      ELSE u.monthly_api_call_count OPERATOR(pg_catalog.+) $4 END,
    monthly_cost = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $11 THEN $5
      ELSE u.monthly_cost OPERATOR(pg_catalog.+) $5 END,
    monthly_reset_date = GREATEST(u.monthly_reset_date, $11),
    total_message_count = u.total_message_count OPERATOR(pg_catalog.+) $2,
    total_token_count = u.total_token_count OPERATOR(pg_catalog.+) $3,
    total_api_call_count = u.total_api_call_count OPERATOR(pg_catalog.+) $4,
    total_cost = u.total_cost OPERATOR(pg_catalog.+) $5,
    held_message_count = u.held_message_count OPERATOR(pg_catalog.+) $6,
    held_token_count = u.held_token_count OPERATOR(pg_catalog.+) $7,
    held_cost = u.held_cost OPERATOR(pg_catalog.+) $8,
    next_hold_expiry = CASE WHEN u.held_message_count OPERATOR(pg_catalog.+) $6 OPERATOR(pg_catalog.=) 0
      AND u.held_token_count OPERATOR(pg_catalog.+) $7 OPERATOR(pg_catalog.=) 0 THEN NULL
      ELSE LEAST(u.next_hold_expiry, $9) END,
    last_active_at = GREATEST(u.last_active_at, $10)
    WHERE u.id OPERATOR(pg_catalog.=) $1
    RETURNING )sql" CLAUDE_GPT_USER_COLUMNS,
                             {Type::uuid, Type::int8, Type::int8, Type::int8, Type::numeric, Type::int8, Type::int8,
                              Type::numeric, Type::timestamptz, Type::timestamptz, Type::date}};

// A row for messages and one for tokens, each where it is not nothing.
constinit Statement k_record_messages_and_tokens{
    "usage_records",
    R"sql(
    INSERT INTO claude_gpt_data.usage_records
    (user_id, usage_type, quantity, cost, billing_period, model_used, message_id, conversation_id, metadata)
    SELECT $1, k.usage_type, k.quantity, k.cost, $5, $6, k.message_id, k.conversation_id, k.metadata
    FROM (VALUES ('message', $2, 0.0, NULL::pg_catalog.uuid, NULL::pg_catalog.uuid, NULL::pg_catalog.jsonb),
                 ('token', $3, $4::pg_catalog.numeric(20,9), $7, $8, $9))
      AS k (usage_type, quantity, cost, message_id, conversation_id, metadata)
    WHERE k.quantity OPERATOR(pg_catalog.>) 0 OR k.cost OPERATOR(pg_catalog.>) 0
    )sql",
    {Type::uuid, Type::int8, Type::int8, Type::numeric, Type::date, Type::text, Type::uuid, Type::uuid, Type::jsonb}};

constinit Statement k_record{"usage_records",
                             R"sql(
    INSERT INTO claude_gpt_data.usage_records
    (user_id, usage_type, quantity, cost, billing_period, model_used, message_id, conversation_id, metadata, id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    )sql",
                             {Type::uuid, Type::text, Type::int8, Type::numeric, Type::date, Type::text, Type::uuid,
                              Type::uuid, Type::jsonb, Type::uuid}};

constinit Statement k_keep_message{"messages",
                                   R"sql(
    SELECT m.conversation_id FROM claude_gpt_data.messages AS m
    WHERE m.id OPERATOR(pg_catalog.=) $2 AND m.user_id OPERATOR(pg_catalog.=) $1 FOR KEY SHARE
    )sql",
                                   {Type::uuid, Type::uuid}};

constinit Statement k_keep_conversation{"conversations",
                                        R"sql(
    SELECT 1 FROM claude_gpt_data.conversations AS c
    WHERE c.id OPERATOR(pg_catalog.=) $2 AND c.user_id OPERATOR(pg_catalog.=) $1 FOR KEY SHARE
    )sql",
                                        {Type::uuid, Type::uuid}};

Value or_zero(Value amount) { return amount.is_null ? Value::palloced(core::Amount{}) : amount; }

struct Kind {
  core::Action action;
  std::int64_t quantity;
  Value cost;
};

void record(Spi& spi, const core::Uuid& user_id, const Kind& kind, const UsageDetail& detail, core::Date month,
            const core::Uuid& id) {
  spi.execute(k_record,
              {Value::borrowed(user_id), Value::palloced(core::name_of(kind.action)), Value::of(kind.quantity),
               or_zero(kind.cost), Value::of(month), detail.model, detail.message_id, detail.conversation_id,
               detail.metadata, Value::borrowed(id)},
              Access::read_write);
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

constinit RowType record_row{{"usage_record_id", Type::uuid}, {"replayed", Type::boolean}};

// Users from $1 on whose counters are of a month before $2, $3 at most: how many, and the last of them. Rows that
// somebody holds are left: whoever counts in them rolls the month over.
constinit Statement k_reset_batch{"users",
                                  R"sql(
    WITH due AS MATERIALIZED (SELECT u.id FROM claude_gpt_data.users AS u
     WHERE u.id OPERATOR(pg_catalog.>=) $1 AND u.monthly_reset_date OPERATOR(pg_catalog.<) $2
     ORDER BY u.id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED),
    done AS (UPDATE claude_gpt_data.users AS u SET monthly_message_count = 0, monthly_token_count = 0, monthly_api_call_count = 0,
     monthly_cost = 0, monthly_reset_date = $2
     WHERE u.id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT d.id FROM due AS d)) AND u.monthly_reset_date OPERATOR(pg_catalog.<) $2 RETURNING 1)
    SELECT (SELECT pg_catalog.count(*) FROM due AS d), (SELECT pg_catalog.count(*) FROM done AS o),
    (SELECT d.id FROM due AS d ORDER BY d.id DESC LIMIT 1)
    )sql",
                                  {Type::uuid, Type::date, Type::int8}};

constinit Statement k_find_lapsed{
    "users",
    "SELECT 1 FROM claude_gpt_data.users AS u WHERE u.monthly_reset_date OPERATOR(pg_catalog.<) $1 LIMIT 1",
    {Type::date}};

// By the primary key, which a reset does not change, so that no row is met twice: the index on the date of the reset
// that would find them at once would cost every reset all indexes of users.
class MonthlyReset final : public CopiedWork<MonthlyReset> {
 public:
  explicit MonthlyReset(core::Date month) : month_(month) {}

  bool is_needed(Spi& spi) override {
    return !spi.execute(k_find_lapsed, {Value::of(month_)}, Access::read_write).empty();
  }

  Batch next(Spi& spi, std::int64_t size) override {
    const Rows rows =
        spi.execute(k_reset_batch, {Value::borrowed(reached_), Value::of(month_), Value::of(size)}, Access::read_write);
    const bool has_more = rows.get<std::int64_t>(0, 1) == size;
    const auto last = rows.find<core::Uuid>(0, 3);
    if (last) reached_ = core::successor(*last);
    return {.rows = static_cast<std::uint64_t>(rows.get<std::int64_t>(0, 2)),
            .has_more = has_more,
            .progress = last ? "up to user " + last->to_text() : ""};
  }

 private:
  core::Date month_;
  core::Uuid reached_{};
};

}  // namespace

std::optional<std::string_view> model_of(const Call& call, int index) {
  constexpr std::size_t k_longest = 255;  // as the columns are
  const auto model = call.find<std::string_view>(index);
  if (!model || (!model->empty() && character_count(*model) <= k_longest)) return model;
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_model must have from 1 to 255 characters");
}

Rows change_counters(Spi& spi, const core::Uuid& user_id, const UsageChange& change, core::Instant now,
                     core::Date month) {
  const Rows user = spi.execute(
      k_change,
      {Value::borrowed(user_id), Value::of(change.messages), Value::of(change.tokens), Value::of(change.api_calls),
       or_zero(change.cost), Value::of(change.held_messages), Value::of(change.held_tokens), or_zero(change.held_cost),
       Value::of(change.hold_expiry), Value::of(now), Value::of(month)},
      Access::read_write);
  if (user.empty()) throw unknown_user(user_id);
  return user;
}

std::optional<Value> try_keep_message(Spi& spi, const core::Uuid& user_id, Value message_id) {
  const Rows kept = spi.execute(k_keep_message, {Value::borrowed(user_id), message_id}, Access::read_write);
  if (kept.empty()) return std::nullopt;
  return kept.value(0, 1, Type::uuid);
}

bool try_keep_conversation(Spi& spi, const core::Uuid& user_id, Value conversation_id) {
  return !spi.execute(k_keep_conversation, {Value::borrowed(user_id), conversation_id}, Access::read_write).empty();
}

Value keep_message(Spi& spi, const core::Uuid& user_id, Value message_id) {
  const auto conversation_id = try_keep_message(spi, user_id, message_id);
  if (!conversation_id) throw unknown_of("message", value_as<core::Uuid>(message_id.datum), "user");
  return *conversation_id;
}

void keep_conversation(Spi& spi, const core::Uuid& user_id, Value conversation_id) {
  if (!try_keep_conversation(spi, user_id, conversation_id))
    throw unknown_of("conversation", value_as<core::Uuid>(conversation_id.datum), "user");
}

// Later than the month of now where the clock or the billing time zone was moved back.
core::Date counted_month(const Rows& user) { return core::first_of_month(user.get<core::Date>(0, 5)); }

bool keeps_ledger() { return configuration().usage_ledger(); }

void record_counted(Spi& spi, const core::Uuid& user_id, const UsageChange& change, const UsageDetail& detail,
                    core::Date month) {
  if (!keeps_ledger()) return;
  const bool has_cost = !change.cost.is_null;
  if (change.tokens > 0 || has_cost)
    spi.execute(k_record_messages_and_tokens,
                {Value::borrowed(user_id), Value::of(change.messages), Value::of(change.tokens), or_zero(change.cost),
                 Value::of(month), detail.model, detail.message_id, detail.conversation_id, detail.metadata},
                Access::read_write);
  else if (change.messages > 0)
    record(spi, user_id, {core::Action::message, change.messages, {}}, detail, month, new_id());
  if (change.api_calls > 0)
    record(spi, user_id, {core::Action::api_call, change.api_calls, {}}, detail, month, new_id());
}

CLAUDE_GPT_FUNCTION(update_user_usage) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto messages = call.required<std::int32_t>(1, "p_message_count");
  const auto tokens = call.required<std::int32_t>(2, "p_tokens");
  const auto cost = call.required<core::Amount>(3, "p_cost");
  require_not_negative(messages, "p_message_count");
  require_not_negative(tokens, "p_tokens");
  require_not_negative(cost, "p_cost");

  require_current_tables();
  const core::Instant now = clock::now();
  const core::Date month = billing_month(now).first_day;
  UsageChange change;
  change.messages = messages;
  change.tokens = tokens;
  if (!cost.is_zero()) change.cost = call.argument(3);

  Spi spi;
  core::Date counted_in = month;
  const Rows in_month =
      spi.execute(k_count_in_month,
                  {Value::borrowed(user_id), Value::of(messages), Value::of(change.tokens), call.argument(3),
                   Value::of(now), Value::of(month), Value::of(core::first_of_next_month(month))},
                  Access::read_write);
  if (in_month.empty()) counted_in = counted_month(change_counters(spi, user_id, change, now, month));
  if (messages > 0 || tokens > 0 || !cost.is_zero()) record_counted(spi, user_id, change, {}, counted_in);
  spi.finish();
  count_usage(messages, tokens, 0, cost);
  return no_result();
}

CLAUDE_GPT_FUNCTION(record_usage) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const core::Action action = require_usage_type(call.required<std::string_view>(1, "p_usage_type"));
  const auto quantity = call.required<std::int64_t>(2, "p_quantity");
  const auto cost = call.required<core::Amount>(4, "p_cost");
  require_not_negative(quantity, "p_quantity");
  require_not_negative(cost, "p_cost");
  if (quantity == 0 && cost.is_zero())
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_quantity and p_cost must not both be zero");

  model_of(call, 3);

  require_current_tables();
  const core::Instant now = clock::now();
  const core::Date month = billing_month(now).first_day;
  const Kind kind{action, quantity, cost.is_zero() ? Value::null() : call.argument(4)};
  UsageDetail detail{call.argument(3), call.argument(5), call.argument(6), call.argument(7)};

  Spi spi;
  IdempotentCall idempotent{spi, user_id, call, 8, "record_usage", now};
  if (const auto* first = idempotent.first_answer()) {
    const auto id = first->usage_record_id;
    spi.finish();
    return record_row.row({id ? Value::palloced(*id) : Value::null(), Value::of(true)});
  }
  const core::Date counted_in = counted_month(change_counters(spi, user_id, change_of(kind), now, month));
  if (!detail.conversation_id.is_null) keep_conversation(spi, user_id, detail.conversation_id);
  if (!detail.message_id.is_null) {
    const Value of_message = keep_message(spi, user_id, detail.message_id);
    if (detail.conversation_id.is_null) detail.conversation_id = of_message;
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
