// Topic usage: update_user_usage(), record_usage(), the counting that every metering function shares, and the job
// monthly_reset.
#include "api/usage.hpp"

#include "api/config.hpp"
#include "api/counting.hpp"
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

// A row for messages and one for tokens, each where it is not nothing. No column is left to its default: the other way
// to write a record does not ask it.
constinit Statement k_record_messages_and_tokens{
    "usage_records",
    R"sql(
    INSERT INTO claude_gpt_data.usage_records
    (user_id, usage_type, quantity, cost, billing_period, model_used, message_id, conversation_id, metadata, id, created_at)
    SELECT $1, k.usage_type, k.quantity, k.cost, $5, $6, k.message_id, k.conversation_id, k.metadata, claude_gpt.uuid_v7(),
     CURRENT_TIMESTAMP
    FROM (VALUES ('message', $2, 0.0, NULL::pg_catalog.uuid, NULL::pg_catalog.uuid, NULL::pg_catalog.jsonb),
                 ('token', $3, $4::pg_catalog.numeric(20,9), $7, $8, $9))
      AS k (usage_type, quantity, cost, message_id, conversation_id, metadata)
    WHERE k.quantity OPERATOR(pg_catalog.>) 0 OR k.cost OPERATOR(pg_catalog.>) 0
    )sql",
    {Type::uuid, Type::int8, Type::int8, Type::numeric, Type::date, Type::text, Type::uuid, Type::uuid, Type::jsonb}};

constinit Statement k_record{"usage_records",
                             R"sql(
    INSERT INTO claude_gpt_data.usage_records
    (user_id, usage_type, quantity, cost, billing_period, model_used, message_id, conversation_id, metadata, id, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, CURRENT_TIMESTAMP)
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

core::Amount amount_or_zero(Value amount) {
  return amount.is_null ? core::Amount{} : value_as<core::Amount>(amount.datum);
}

Value or_zero(Value amount) { return amount.is_null ? Value::palloced(core::Amount{}) : amount; }

struct Kind {
  core::Action action;
  std::int64_t quantity;
  Value cost;
};

// Directly: nothing may refer to a message or a conversation, which nobody has locked. False: by SPI.
bool record_directly(store::DirectLedger& ledger, const core::Uuid& user_id, const Kind& kind,
                     const UsageDetail& detail, core::Date month, const core::Uuid& id) {
  using store::UsageRecords;
  store::NewRow<UsageRecords> record;
  record.set<UsageRecords::id>(id);
  record.set<UsageRecords::user_id>(user_id);
  record.set<UsageRecords::usage_type>(core::name_of(kind.action));
  record.set<UsageRecords::quantity>(kind.quantity);
  record.pass<UsageRecords::model_used>(detail.model);
  record.set<UsageRecords::cost>(amount_or_zero(kind.cost));
  record.pass<UsageRecords::metadata>(detail.metadata);
  record.set<UsageRecords::billing_period>(month);
  return ledger.add(record);
}

bool refers_to_others(const UsageDetail& detail) {
  return !detail.message_id.is_null || !detail.conversation_id.is_null;
}

void record_by_spi(Spi& spi, const core::Uuid& user_id, const Kind& kind, const UsageDetail& detail, core::Date month,
                   const core::Uuid& id) {
  spi.execute(k_record,
              {Value::borrowed(user_id), Value::palloced(core::name_of(kind.action)), Value::of(kind.quantity),
               or_zero(kind.cost), Value::of(month), detail.model, detail.message_id, detail.conversation_id,
               detail.metadata, Value::borrowed(id)},
              Access::read_write);
}

void record(const core::Uuid& user_id, const Kind& kind, const UsageDetail& detail, core::Date month,
            const core::Uuid& id) {
  store::DirectLedger ledger;
  if (!refers_to_others(detail) && ledger.open()) {
    const bool is_recorded = record_directly(ledger, user_id, kind, detail, month, id);
    ledger.finish();
    if (is_recorded) return;
  }
  Spi spi;
  record_by_spi(spi, user_id, kind, detail, month, id);
  spi.finish();
}

// A record for messages, if there are any, and one for tokens; what the detail says belongs to the tokens.
void record_messages_and_tokens(const core::Uuid& user_id, const UsageChange& change, const UsageDetail& detail,
                                core::Date month) {
  store::DirectLedger ledger;
  if (!refers_to_others(detail) && ledger.open()) {
    const auto add = [&](const Kind& kind, const UsageDetail& of_kind) {
      const core::Uuid id = new_id();
      if (record_directly(ledger, user_id, kind, of_kind, month, id)) return;
      Spi spi;
      record_by_spi(spi, user_id, kind, of_kind, month, id);
      spi.finish();
    };
    if (change.messages > 0) add({core::Action::message, change.messages, {}}, {.model = detail.model});
    add({core::Action::token, change.tokens, change.cost}, detail);
    return ledger.finish();
  }
  Spi spi;
  spi.execute(k_record_messages_and_tokens,
              {Value::borrowed(user_id), Value::of(change.messages), Value::of(change.tokens), or_zero(change.cost),
               Value::of(month), detail.model, detail.message_id, detail.conversation_id, detail.metadata},
              Access::read_write);
  spi.finish();
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

// Nothing where it has to go by SPI; otherwise the month whose counters hold it. `expiry` is asked for each version of
// the row that is decided on. P0002 if there is no such user.
template <typename ExpiryOf> std::optional<core::Date> count_directly(const core::Uuid& user_id,
                                                                      const core::Addition& addition, core::Instant now,
                                                                      core::Date month, ExpiryOf expiry_of) {
  using store::DirectUser;
  DirectUser user{user_id};
  if (!user.open()) return std::nullopt;
  core::Date counted = month;
  const auto end = user.change([&](const store::Row<store::Users>& row, store::Changes<store::Users>& changes) {
    counted = counted_in(row, month);
    return put_addition(row, addition, now, month, expiry_of(row), changes) ? DirectUser::Step::write
                                                                            : DirectUser::Step::go_by_spi;
  });
  user.finish();
  if (end == DirectUser::End::unknown) throw unknown_user(user_id);
  if (end == DirectUser::End::by_spi) return std::nullopt;
  return counted;
}

// By SPI, in one step where the month of the row is not a later one.
core::Date count_in_month(const core::Uuid& user_id, const UsageChange& change, Value cost, core::Instant now,
                          core::Date month) {
  Spi spi;
  const Rows in_month = spi.execute(
      k_count_in_month,
      {Value::borrowed(user_id), Value::of(static_cast<std::int32_t>(change.messages)), Value::of(change.tokens), cost,
       Value::of(now), Value::of(month), Value::of(core::first_of_next_month(month))},
      Access::read_write);
  const core::Date counted =
      in_month.empty() ? counted_month(change_counters_by_spi(spi, user_id, change, now, month)) : month;
  spi.finish();
  return counted;
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

core::Addition addition_of(const UsageChange& change) {
  return {change.messages,
          change.tokens,
          change.api_calls,
          amount_or_zero(change.cost),
          {change.held_messages, change.held_tokens, amount_or_zero(change.held_cost)},
          change.hold_expiry};
}

core::Date change_counters(const core::Uuid& user_id, const UsageChange& change, core::Instant now, core::Date month) {
  if (const auto counted = count_directly(user_id, addition_of(change), now, month,
                                          [](const store::Row<store::Users>&) { return core::Expiry::normalized; }))
    return *counted;
  Spi spi;
  const core::Date counted = counted_month(change_counters_by_spi(spi, user_id, change, now, month));
  spi.finish();
  return counted;
}

Rows change_counters_by_spi(Spi& spi, const core::Uuid& user_id, const UsageChange& change, core::Instant now,
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

void record_counted(const core::Uuid& user_id, const UsageChange& change, const UsageDetail& detail, core::Date month) {
  if (!keeps_ledger()) return;
  if (change.tokens > 0 || !change.cost.is_null)
    record_messages_and_tokens(user_id, change, detail, month);
  else if (change.messages > 0)
    record(user_id, {core::Action::message, change.messages, {}}, detail, month, new_id());
  if (change.api_calls > 0) record(user_id, {core::Action::api_call, change.api_calls, {}}, detail, month, new_id());
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

  const core::Date next_month = core::first_of_next_month(month);
  const auto directly =
      count_directly(user_id, addition_of(change), now, month, [=](const store::Row<store::Users>& row) {
        return row.get<store::Users::monthly_reset_date>() < next_month ? core::Expiry::kept : core::Expiry::normalized;
      });
  const core::Date counted_in = directly ? *directly : count_in_month(user_id, change, call.argument(3), now, month);
  if (messages > 0 || tokens > 0 || !cost.is_zero()) record_counted(user_id, change, {}, counted_in);
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

  std::optional<Spi> spi;
  std::optional<IdempotentCall> idempotent;
  if (!call.is_null(8)) idempotent.emplace(spi.emplace(), user_id, call, 8, "record_usage", now);
  if (const auto* first = idempotent ? idempotent->first_answer() : nullptr) {
    const auto id = first->usage_record_id;
    spi->finish();
    return record_row.row({id ? Value::palloced(*id) : Value::null(), Value::of(true)});
  }
  const core::Date counted_in = change_counters(user_id, change_of(kind), now, month);
  if (!spi && refers_to_others(detail)) spi.emplace();
  if (!detail.conversation_id.is_null) keep_conversation(*spi, user_id, detail.conversation_id);
  if (!detail.message_id.is_null) {
    const Value of_message = keep_message(*spi, user_id, detail.message_id);
    if (detail.conversation_id.is_null) detail.conversation_id = of_message;
  }
  const auto recorded = keeps_ledger() ? std::optional{new_id()} : std::nullopt;
  if (recorded) record(user_id, kind, detail, counted_in, *recorded);
  if (idempotent) idempotent->remember({.usage_record_id = recorded});
  if (spi) spi->finish();
  const UsageChange change = change_of(kind);
  count_usage(change.messages, change.tokens, change.api_calls, cost);
  return record_row.row({recorded ? Value::palloced(*recorded) : Value::null(), Value::of(false)});
}

std::unique_ptr<JobWork> make_monthly_reset(const JobTime& time) {
  return std::make_unique<MonthlyReset>(billing_month(time.now).first_day);
}

}  // namespace claude_gpt::api
