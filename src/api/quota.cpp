// Topic quota: consume_quota(), quota_status(), raise_if_denied(), and the decision that reservations share.
#include "api/quota.hpp"

#include <algorithm>
#include <vector>

#include "api/config.hpp"
#include "api/counting.hpp"
#include "api/holds.hpp"
#include "api/monitoring.hpp"
#include "api/periods.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "api/users.hpp"
#include "bridge/entry.hpp"
#include "core/future.hpp"
#include "store/usage_reservations.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

struct Admission {
  const core::Uuid& user_id;
  const core::Demand& demand;
  std::optional<std::string_view> model;
  const std::optional<core::Instant>& hold_until;
  const CallTime& time;
};

// Exactly: the user's next_hold_expiry may be that of a reservation that was settled meanwhile.
store::OpenHolds find_open_holds(const Admission& call, const UserRow& user) {
  Spi spi;
  const store::OpenHolds holds = store::find_open_holds(spi, call.user_id, user.next_hold_expiry());
  spi.finish();
  return holds;
}

struct Decided {
  Decision decision;
  core::Limits limits;  // by which it was decided
  // What denied is a hold that a clock made which was ahead: it is brought near first.
  bool is_by_the_future = false;
};

// What the row of a user says to a demand.
Decided decide(const Admission& call, const UserRow& user) {
  const core::Plan& plan = user.plan(configuration(), call.time.now);
  if (call.model && !plan.admits_model(*call.model)) return {denied(core::Reason::model_not_in_plan), plan};
  const core::Limits limits = plan;
  if (call.demand.is_unpriced) return {denied(core::Reason::price_unknown), limits};
  const core::MonthlyUsage used = user.used(period_now(user, call.time).begins, limits.cost.has_value());
  const core::Holds held = user.held(limits.cost.has_value());
  const auto exceeded = core::exceeded_limit(limits, used, held, call.demand);
  Decision decision;
  decision.standing = core::standing_of(limits, used, held, exceeded.value_or(call.demand.main_limit()));
  const core::Instant ends = period_ends(user, call.time);
  decision.resets_at = ends;
  if (!exceeded) return {decision, limits};
  decision.reason = core::Reason::quota_exceeded;
  const bool holds_alone = !core::exceeded_limit(limits, used, {}, call.demand);
  const store::OpenHolds open = holds_alone ? find_open_holds(call, user) : store::OpenHolds{};
  const core::Instant first_expiry = open.first_expiry.value_or(core::Instant::infinity());
  if (const auto moment = core::retry_at(limits, used, call.demand, first_expiry, ends))
    decision.retry_after = core::seconds_until(*moment, call.time.now);
  return {decision, limits, open.last_begun && core::is_of_the_future(*open.last_begun, call.time.now)};
}

UsageChange counted(const core::Demand& demand) {
  UsageChange change;
  change.messages = demand.messages;
  change.tokens = demand.tokens;
  change.api_calls = demand.api_calls;
  return change;
}

UsageChange held(const core::Demand& demand, core::Instant until) {
  UsageChange change;
  change.held_messages = demand.messages;
  change.held_tokens = demand.tokens;
  change.held_cost = numeric_of(demand.cost);
  change.hold_expiry = until;
  return change;
}

UsageChange change_of(const Admission& call) {
  return call.hold_until ? held(call.demand, *call.hold_until) : counted(call.demand);
}

// As it stands after the admission of what the row says. The limit that an admission tells about is none of costs.
core::Standing standing_after(const Admission& call, const UserRow& before, const core::Limits& limits) {
  core::MonthlyUsage used = before.used(period_now(before, call.time).begins, false);
  core::Holds held = before.held(false);
  const core::Demand& demand = call.demand;
  (call.hold_until ? held.messages : used.messages) += demand.messages;
  (call.hold_until ? held.tokens : used.tokens) += demand.tokens;
  used.api_calls += demand.api_calls;
  return core::standing_of(limits, used, held, demand.main_limit());
}

core::Expiry expiry_of(const Admission& call, const store::Row<store::Users>& row) {
  const UserRow user{row};
  if (user.period_state(call.time) != core::PeriodState::running || user.period().begins > call.time.today)
    return core::Expiry::normalized;
  return call.hold_until ? core::Expiry::earliest : core::Expiry::kept;
}

// What decides is the version that is written. nullopt: holds or the period are to be looked at first.
std::optional<Admitted> try_to_admit(const Admission& call) {
  using store::RowStep;
  store::StoredRow<store::Users> user{call.user_id};
  user.open(store::RowUse::write);
  const core::Addition addition = addition_of(change_of(call));
  Admitted admitted;
  bool is_decided = false;
  const auto decide_on = [&](const store::Row<store::Users>& row) {
    is_decided = !has_holds_to_look_at(UserRow{row}, call.time.now) &&
                 UserRow{row}.period_state(call.time) != core::PeriodState::doubtful;
    if (!is_decided) return false;
    const Decided decided = decide(call, UserRow{row});
    is_decided = !decided.is_by_the_future;
    admitted.decision = decided.decision;
    if (!admitted.decision.is_allowed()) return false;
    admitted.decision.standing = standing_after(call, UserRow{row}, decided.limits);
    return true;
  };
  // A denial needs no lock: it holds for the moment that was seen.
  bool may_be_admitted = true;
  if (user.goes_by_spi()) {
    require_user(user, call.user_id);
    may_be_admitted = decide_on(user.row());
  }
  auto end = store::RowEnd::left;
  if (may_be_admitted)
    end = user.change([&](const store::Row<store::Users>& row, store::Changes<store::Users>& changes) {
      if (!decide_on(row)) return RowStep::leave;
      const core::StoredPeriod period = period_now(UserRow{row}, call.time);
      put_addition(row, addition, call.time.now, period, expiry_of(call, row), changes);
      admitted.counted.period = period.begins;
      return RowStep::write;
    });
  admitted.counted.user = user.locked_at();
  user.finish();
  if (end == store::RowEnd::unknown) throw unknown_user(call.user_id);
  return is_decided ? std::optional{admitted} : std::nullopt;
}

std::string number_in(const RecordArgument& decision, const char* column) {
  const auto value = decision.find(column, Type::int8);
  return value && !value->is_null ? std::to_string(value_as<std::int64_t>(value->datum)) : std::string{};
}

// The error that a denial becomes, with what its row says.
core::Failure refusal(core::Reason reason, const RecordArgument& decision) {
  const core::ReasonText text = core::text_of(reason);
  const auto limit = decision.find("limit_name", Type::text);
  const std::string limit_name = limit && !limit->is_null ? std::string(value_as<std::string_view>(limit->datum)) : "";
  std::string detail;
  if (reason == core::Reason::quota_exceeded && !limit_name.empty())
    detail = "Of the limit of " + number_in(decision, "limit_value") + " for \"" + limit_name + "\", " +
             number_in(decision, "used") + " are used and " + number_in(decision, "held") + " are held.";
  const auto retry = decision.find("retry_after_seconds", Type::int4);
  std::string hint;
  if (retry && !retry->is_null)
    hint = "Wait " + std::to_string(value_as<std::int32_t>(retry->datum)) + " s and try again.";
  return {text.error_code, text.message, detail, hint};
}

constinit RowType consume_row{out::k_consume_quota};

}  // namespace

core::Action require_action(std::string_view name) {
  if (const auto action = core::parse_action(name)) return *action;
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, "action \"" + std::string(name) + "\" is not known",
                      "Actions are message, token and api_call.");
}

std::array<Value, k_decision_columns> values_of(const Decision& decision) {
  const auto& standing = decision.standing;
  const bool is_allowed = decision.is_allowed();
  const bool names_limit =
      standing && decision.reason != core::Reason::rate_limited && decision.reason != core::Reason::too_many_turns;
  const core::ReasonText reason = core::text_of(decision.reason);
  return {Value::of(is_allowed),
          is_allowed ? Value::null() : Value::palloced(reason.name),
          names_limit ? Value::palloced(core::name_of(standing->limit)) : Value::null(),
          standing ? Value::or_null(standing->limit_value) : Value::null(),
          standing ? Value::of(standing->used) : Value::null(),
          standing ? Value::of(standing->held) : Value::null(),
          standing ? Value::or_null(standing->remaining) : Value::null(),
          Value::or_null(decision.resets_at),
          Value::or_null(decision.retry_after),
          is_allowed ? Value::null() : Value::palloced(std::string_view{reason.error_code}),
          is_allowed ? Value::null() : Value::of(reason.http_status),
          Value::of(decision.is_replayed)};
}

std::vector<Value> joined(const Decision& decision, std::initializer_list<Value> more) {
  const auto first = values_of(decision);
  std::vector<Value> values(first.begin(), first.end());
  values.insert(values.end(), more);
  return values;
}

Decision denied(core::Reason reason) {
  Decision decision;
  decision.reason = reason;
  return decision;
}

Decision replayed(const FirstAnswer& answer) {
  Decision decision;
  decision.standing = answer.standing;
  decision.resets_at = answer.resets_at;
  decision.is_replayed = true;
  return decision;
}

Admitted admit(const core::Uuid& user_id, const core::Demand& demand, std::optional<std::string_view> model,
               const std::optional<core::Instant>& hold_until, const CallTime& time) {
  const Admission call{user_id, demand, model, hold_until, time};
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (const auto admitted = try_to_admit(call)) return *admitted;
    look_at_holds(user_id, time.now);
    mend_period(user_id, time);
  }
  throw missing_row();
}

CLAUDE_GPT_FUNCTION(consume_quota) {
  const auto user_id = call.required(arg::consume_quota::p_user_id);
  const core::Action action = require_action(call.required(arg::consume_quota::p_action));
  const auto quantity = call.required(arg::consume_quota::p_quantity);
  if (quantity < 1) throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_quantity must be at least 1");
  const auto model = model_of(call, arg::consume_quota::p_model);
  require_current_tables();
  const CallTime time = CallTime::of_now();

  Decision decision;
  IdempotentCall idempotent{user_id, call, arg::consume_quota::p_idempotency_key, "consume_quota", time.now};
  if (const FirstAnswer* first = idempotent.first_answer()) {
    decision = replayed(*first);
  } else if (configuration().maintenance_mode()) {
    decision = denied(core::Reason::maintenance);
  } else {
    const core::Demand demand = core::demand_of(action, quantity);
    const Admitted admitted = admit(user_id, demand, model, std::nullopt, time);
    decision = admitted.decision;
    if (decision.is_allowed()) {
      store::UsageDetail detail;
      detail.model = call.find<UnreadText>(arg::consume_quota::p_model);
      record_counted(user_id, counted(demand), detail, admitted.counted);
      count_usage(demand.messages, demand.tokens, demand.api_calls, {});
      idempotent.remember({.standing = decision.standing, .resets_at = decision.resets_at});
    }
  }
  count_decision(core::Decider::consume_quota, decision.reason, decision.is_replayed);
  return consume_row.row(values_of(decision));
}

CLAUDE_GPT_FUNCTION(quota_status) {
  const auto user_id = call.required(arg::quota_status::p_user_id);
  require_current_tables();
  const CallTime time = CallTime::of_now();
  ResultSet result{call};
  store::StoredRow<store::Users> found{user_id};
  found.open(store::RowUse::read);
  const UserRow user = require_user(found, user_id);
  const core::MonthlyUsage used = used_now(user_id, user, true, time);
  const core::Holds held = holds_now(user_id, user, true, time.now);
  const core::Instant ends = period_ends(user, time);
  const core::Plan& plan = user.plan(configuration(), time.now);
  for (const core::Limit limit : {core::Limit::message, core::Limit::token, core::Limit::api_call, core::Limit::cost}) {
    const core::Standing standing = core::standing_of(plan, used, held, limit);
    result.add({Value::palloced(core::name_of(limit)), Value::or_null(standing.limit_value), Value::of(standing.used),
                Value::of(standing.held), Value::or_null(standing.remaining), Value::of(ends)});
  }
  found.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(raise_if_denied) {
  const RecordArgument decision{call.required(arg::raise_if_denied::p_decision).datum};
  const auto allowed = decision.find("allowed", Type::boolean);
  const auto reason_name = decision.find("reason", Type::text);
  if (!allowed || allowed->is_null || !reason_name)
    throw core::Failure(
        core::sqlstate::k_invalid_parameter_value,
        "p_decision must be a row of consume_quota(), reserve_usage(), begin_turn(), check_rate_limit() or rate_limit()",
        "It has the columns allowed and reason.");
  if (value_as<bool>(allowed->datum)) return no_result();
  const auto reason =
      reason_name->is_null ? std::nullopt : core::parse_reason(value_as<std::string_view>(reason_name->datum));
  if (!reason)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_decision must say the reason of the denial");
  throw refusal(*reason, decision);
}

}  // namespace claude_gpt::api
