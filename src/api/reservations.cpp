// Topic quota: reserve_usage(), extend_usage(), settle_usage(), release_usage(), and what chat turns do with
// reservations.
#include "api/reservations.hpp"

#include "api/config.hpp"
#include "api/identifiers.hpp"
#include "api/monitoring.hpp"
#include "api/schema.hpp"
#include "bridge/entry.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

constinit Statement k_insert_reservation{"usage_reservations",
                                         R"sql(
    INSERT INTO claude_gpt_data.usage_reservations (id, user_id, message_count, token_count, cost, model_used, created_at, expires_at,
    conversation_id, user_message_id, assistant_message_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    )sql",
                                         {Type::uuid, Type::uuid, Type::int4, Type::int8, Type::numeric, Type::text,
                                          Type::timestamptz, Type::timestamptz, Type::uuid, Type::uuid, Type::uuid}};

// The user first, the reservation second: the order in which everything locks.
constinit Statement k_lock_reservation{"usage_reservations",
                                       R"sql(
    SELECT r.user_id, r.status, r.message_count, r.token_count, r.cost, r.model_used, r.expires_at, r.conversation_id,
    r.user_message_id, r.assistant_message_id, r.prompt_tokens, r.completion_tokens, r.given_cost, r.charged_cost, r.was_late,
    r.cached_prompt_tokens, r.cache_write_tokens, r.has_failed
    FROM claude_gpt_data.users AS u JOIN claude_gpt_data.usage_reservations AS r ON r.user_id OPERATOR(pg_catalog.=) u.id
    WHERE u.id OPERATOR(pg_catalog.=) $1 AND r.user_id OPERATOR(pg_catalog.=) $1 AND r.id OPERATOR(pg_catalog.=) $2
    FOR NO KEY UPDATE OF u, r
    )sql",
                                       {Type::uuid, Type::uuid}};

constinit Statement k_close{"usage_reservations",
                            R"sql(
    UPDATE claude_gpt_data.usage_reservations AS r SET status = $2, closed_at = $3, prompt_tokens = $4, completion_tokens = $5,
    given_cost = $6, charged_cost = $7, was_late = $8, cached_prompt_tokens = $9, cache_write_tokens = $10, has_failed = $11
    WHERE r.id OPERATOR(pg_catalog.=) $1 AND r.user_id OPERATOR(pg_catalog.=) $12
    )sql",
                            {Type::uuid, Type::text, Type::timestamptz, Type::int4, Type::int4, Type::numeric,
                             Type::numeric, Type::boolean, Type::int4, Type::int4, Type::boolean, Type::uuid}};

constinit Statement k_find_expiry{"usage_reservations",
                                  R"sql(
    SELECT r.expires_at FROM claude_gpt_data.usage_reservations AS r
    WHERE r.id OPERATOR(pg_catalog.=) $2 AND r.user_id OPERATOR(pg_catalog.=) $1
    )sql",
                                  {Type::uuid, Type::uuid}};

constinit Statement k_extend{"usage_reservations",
                             R"sql(
    UPDATE claude_gpt_data.usage_reservations AS r SET expires_at = $3
    WHERE r.id OPERATOR(pg_catalog.=) $2 AND r.user_id OPERATOR(pg_catalog.=) $1
    )sql",
                             {Type::uuid, Type::uuid, Type::timestamptz}};

std::string quoted(const core::Uuid& id) { return "\"" + id.to_text() + "\""; }

std::string_view name_of(Reservation::Status status) {
  switch (status) {
    case Reservation::Status::open: return "open";
    case Reservation::Status::settled: return "settled";
    case Reservation::Status::released: return "released";
    case Reservation::Status::expired: return "expired";
  }
  return {};
}

Reservation::Status parse_status(std::string_view name) {
  using Status = Reservation::Status;
  for (const Status status : {Status::open, Status::settled, Status::released})
    if (name == name_of(status)) return status;
  return Status::expired;
}

void require_no_turn(const Reservation& reservation) {
  if (!reservation.turn) return;
  throw core::Failure(core::sqlstate::k_not_in_prerequisite_state,
                      "reservation " + quoted(reservation.id) + " belongs to a chat turn", {},
                      "Use complete_turn() or fail_turn().");
}

// `settlement`: nullptr if nothing is charged.
void close(Spi& spi, const Reservation& reservation, Reservation::Status status, core::Instant now, bool is_late,
           const Settlement* settlement) {
  Value prompt, completion, given, charged, cached_prompt, cache_write, failed;
  if (settlement != nullptr) {
    prompt = Value::of(static_cast<std::int32_t>(settlement->tokens.prompt));
    completion = Value::of(static_cast<std::int32_t>(settlement->tokens.completion));
    given = settlement->given_cost ? Value::palloced(*settlement->given_cost) : Value::null();
    charged = Value::palloced(settlement->charged_cost);
    cached_prompt = Value::of(static_cast<std::int32_t>(settlement->tokens.cached_prompt));
    cache_write = Value::of(static_cast<std::int32_t>(settlement->tokens.cache_write));
    failed = Value::of(settlement->has_failed);
  }
  spi.execute(
      k_close,
      {Value::borrowed(reservation.id), Value::palloced(name_of(status)), Value::of(now), prompt, completion, given,
       charged, Value::of(is_late), cached_prompt, cache_write, failed, Value::borrowed(reservation.user_id)},
      Access::read_write);
}

// What the end of a reservation gives back: nothing if its expiry did already.
void give_back(const Reservation& reservation, UsageChange& change) {
  if (reservation.status != Reservation::Status::open) return;
  change.held_messages = -reservation.messages;
  change.held_tokens = -reservation.tokens;
  change.held_cost = Value::palloced(core::Amount{} - reservation.cost);
}

core::Amount price_of(const Reservation& reservation, const core::TokenCounts& tokens) {
  if (tokens.total() == 0) return {};
  const core::ModelPrice* price = reservation.model ? configuration().find_price(*reservation.model) : nullptr;
  if (price != nullptr) return core::cost_of(*price, tokens);
  throw core::Failure(core::sqlstate::k_price_unknown,
                      reservation.model ? "price of model \"" + *reservation.model + "\" is not known"
                                        : "cost is not given, and there is no model to price it by",
                      {}, "Pass the cost, or add the model to the configuration \"model_prices\".");
}

constinit RowType reserve_row{
    CLAUDE_GPT_DECISION_COLUMNS, {"reservation_id", Type::uuid}, {"expires_at", Type::timestamptz}};
constinit RowType settle_row{{"charged_tokens", Type::int8},
                             {"charged_cost", Type::numeric},
                             {"late", Type::boolean},
                             {"replayed", Type::boolean}};

}  // namespace

core::Amount held_cost_of(std::optional<std::string_view> model, std::int64_t tokens) {
  const core::ModelPrice* price = model ? configuration().find_price(*model) : nullptr;
  return price == nullptr ? core::Amount{} : core::highest_cost_of(*price, tokens);
}

core::Instant require_expiry(core::Duration time_to_live, core::Instant now) {
  constexpr core::Duration k_shortest{1'000'000};
  constexpr core::Duration k_longest{core::k_microseconds_per_day};
  if (time_to_live < k_shortest || time_to_live > k_longest)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_ttl must be from 1 second to 24 hours");
  return now + time_to_live;
}

std::optional<core::Instant> find_expiry(Spi& spi, const core::Uuid& user_id, const core::Uuid& reservation_id) {
  const Rows found =
      spi.execute(k_find_expiry, {Value::borrowed(user_id), Value::borrowed(reservation_id)}, Access::read_write);
  return found.empty() ? std::nullopt : found.find<core::Instant>(0, 1);
}

void insert_reservation(Spi& spi, const core::Uuid& id, const core::Uuid& user_id, const core::Demand& held,
                        Value model, core::Instant expires_at, core::Instant now, const std::optional<Turn>& turn) {
  spi.execute(k_insert_reservation,
              {Value::borrowed(id), Value::borrowed(user_id), Value::of(static_cast<std::int32_t>(held.messages)),
               Value::of(held.tokens), Value::palloced(held.cost), model, Value::of(now), Value::of(expires_at),
               turn ? Value::borrowed(turn->conversation_id) : Value::null(),
               turn ? Value::borrowed(turn->user_message_id) : Value::null(),
               turn ? Value::borrowed(turn->assistant_message_id) : Value::null()},
              Access::read_write);
}

Reservation lock_reservation(Spi& spi, const core::Uuid& user_id, const core::Uuid& id) {
  const Rows row = spi.execute(k_lock_reservation, {Value::borrowed(user_id), Value::borrowed(id)}, Access::read_write);
  if (row.empty())
    throw core::Failure(core::sqlstate::k_no_data_found, "reservation " + quoted(id) + " does not exist");
  Reservation found{id,
                    row.get<core::Uuid>(0, 1),
                    parse_status(row.get<std::string_view>(0, 2)),
                    row.get<std::int32_t>(0, 3),
                    row.get<std::int64_t>(0, 4),
                    row.get<core::Amount>(0, 5),
                    std::nullopt,
                    row.get<core::Instant>(0, 7),
                    std::nullopt};
  if (!row.is_null(0, 6)) found.model = std::string(row.get<std::string_view>(0, 6));
  if (!row.is_null(0, 10))
    found.turn = Turn{row.get<core::Uuid>(0, 8), row.get<core::Uuid>(0, 9), row.get<core::Uuid>(0, 10)};
  found.was_late = row.find<bool>(0, 15).value_or(false);
  if (found.status != Reservation::Status::settled) return found;
  found.tokens_charged = {row.get<std::int32_t>(0, 11), row.get<std::int32_t>(0, 12), row.get<std::int32_t>(0, 16),
                          row.get<std::int32_t>(0, 17)};
  found.given_cost = row.find<core::Amount>(0, 13);
  found.charged_cost = row.get<core::Amount>(0, 14);
  found.has_failed = row.get<bool>(0, 18);
  return found;
}

Settlement require_settlement(const Call& call, int prompt, int completion, int cost, int cached_prompt,
                              int cache_write) {
  Settlement settlement;
  settlement.tokens = {call.required<std::int32_t>(prompt, "p_prompt_tokens"),
                       call.required<std::int32_t>(completion, "p_completion_tokens"),
                       call.required<std::int32_t>(cached_prompt, "p_cached_prompt_tokens"),
                       call.required<std::int32_t>(cache_write, "p_cache_write_tokens")};
  require_not_negative(settlement.tokens.prompt, "p_prompt_tokens");
  require_not_negative(settlement.tokens.completion, "p_completion_tokens");
  require_not_negative(settlement.tokens.cached_prompt, "p_cached_prompt_tokens");
  require_not_negative(settlement.tokens.cache_write, "p_cache_write_tokens");
  if (!settlement.tokens.is_sound())
    throw core::Failure(core::sqlstate::k_invalid_parameter_value,
                        "p_cached_prompt_tokens and p_cache_write_tokens must be part of p_prompt_tokens");
  settlement.given_cost = call.find<core::Amount>(cost);
  if (settlement.given_cost) require_not_negative(*settlement.given_cost, "p_cost");
  return settlement;
}

void settle(Spi& spi, const Reservation& reservation, Settlement& settlement, const CallTime& time) {
  using Status = Reservation::Status;
  if (reservation.status == Status::released)
    throw core::Failure(core::sqlstate::k_not_in_prerequisite_state,
                        "reservation " + quoted(reservation.id) + " was released");
  if (reservation.status == Status::settled) {
    const bool is_same = reservation.tokens_charged == settlement.tokens &&
                         reservation.given_cost == settlement.given_cost &&
                         reservation.has_failed == settlement.has_failed;
    if (!is_same)
      throw core::Failure(core::sqlstate::k_idempotency_conflict,
                          "reservation " + quoted(reservation.id) + " was settled with other numbers");
    settlement.charged_cost = reservation.charged_cost;
    settlement.is_late = reservation.was_late;
    settlement.is_replayed = true;
    return;
  }
  settlement.charged_cost = settlement.given_cost ? *settlement.given_cost : price_of(reservation, settlement.tokens);
  settlement.is_late = reservation.has_expired(time.now);
  close(spi, reservation, Status::settled, time.now, settlement.is_late, &settlement);
  count_settlements(settlement.is_late ? core::Settled::late : core::Settled::settled);
}

void record_settlement(const Reservation& reservation, const Settlement& settlement, UsageDetail detail,
                       const CallTime& time) {
  UsageChange change;
  change.messages = reservation.messages;
  change.tokens = settlement.tokens.total();
  if (!settlement.charged_cost.is_zero()) change.cost = Value::palloced(settlement.charged_cost);
  give_back(reservation, change);
  if (reservation.model) detail.model = Value::palloced(*reservation.model);
  const core::Date counted_in = change_counters(reservation.user_id, change, time.now, time.month.first_day);
  record_counted(reservation.user_id, change, detail, counted_in);
  count_usage(change.messages, change.tokens, 0, settlement.charged_cost);
}

void end_uncharged(Spi& spi, const Reservation& reservation, Reservation::Status status, const CallTime& time) {
  const bool is_late = reservation.has_expired(time.now);
  close(spi, reservation, status, status == Reservation::Status::expired ? reservation.expires_at : time.now, is_late,
        nullptr);
  count_settlements(status == Reservation::Status::expired ? core::Settled::expired : core::Settled::released);
  UsageChange change;
  give_back(reservation, change);
  change_counters(reservation.user_id, change, time.now, time.month.first_day);
}

CLAUDE_GPT_FUNCTION(reserve_usage) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  core::Demand demand;
  demand.tokens = call.required<std::int64_t>(1, "p_tokens");
  demand.messages = call.required<std::int32_t>(2, "p_messages");
  demand.will_spend_tokens = true;
  require_not_negative(demand.tokens, "p_tokens");
  require_not_negative(demand.messages, "p_messages");
  if (demand.tokens == 0 && demand.messages == 0)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_tokens and p_messages must not both be zero");
  const auto model = model_of(call, 3);
  const auto time_to_live = call.required<core::Duration>(4, "p_ttl");
  require_current_tables();
  const CallTime time = CallTime::of_now();
  const std::optional expires_at = require_expiry(time_to_live, time.now);

  Spi spi;
  Decision decision;
  std::optional<core::Uuid> reservation_id;
  IdempotentCall idempotent{spi, user_id, call, 5, "reserve_usage", time.now};
  std::optional<core::Instant> expiry;
  if (const FirstAnswer* first = idempotent.first_answer()) {
    decision = replayed(*first);
    reservation_id = first->reservation_id;
    expiry = find_expiry(spi, user_id, *reservation_id);
  } else if (configuration().maintenance_mode()) {
    decision = denied(core::Reason::maintenance);
  } else {
    demand.cost = held_cost_of(model, demand.tokens);
    decision = admit(user_id, demand, model, expires_at, time).decision;
    if (decision.is_allowed()) {
      reservation_id = new_id();
      expiry = expires_at;
      insert_reservation(spi, *reservation_id, user_id, demand, call.argument(3), *expires_at, time.now, std::nullopt);
      idempotent.remember(
          {.standing = decision.standing, .resets_at = decision.resets_at, .reservation_id = reservation_id});
    }
  }
  spi.finish();
  count_decision(core::Decider::reserve_usage, decision.reason, decision.is_replayed);
  return reserve_row.row(joined(decision, {Value::or_null(reservation_id), Value::or_null(expiry)}));
}

CLAUDE_GPT_FUNCTION(extend_usage_of_user) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto id = call.required<core::Uuid>(1, "p_reservation_id");
  const auto time_to_live = call.required<core::Duration>(2, "p_ttl");
  require_current_tables();
  const CallTime time = CallTime::of_now();
  const core::Instant expires_at = require_expiry(time_to_live, time.now);
  Spi spi;
  const Reservation reservation = lock_reservation(spi, user_id, id);
  if (reservation.status != Reservation::Status::open || reservation.has_expired(time.now))
    throw core::Failure(
        core::sqlstate::k_not_in_prerequisite_state,
        "reservation " + quoted(id) + " is " +
            std::string(name_of(reservation.status == Reservation::Status::open ? Reservation::Status::expired
                                                                                : reservation.status)),
        "Only an open reservation can be extended.");
  spi.execute(k_extend, {Value::borrowed(user_id), Value::borrowed(id), Value::of(expires_at)}, Access::read_write);
  UsageChange change;
  change.hold_expiry = expires_at;
  change_counters(user_id, change, time.now, time.month.first_day);
  spi.finish();
  return Value::of(expires_at);
}

CLAUDE_GPT_FUNCTION(settle_usage_of_user) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto id = call.required<core::Uuid>(1, "p_reservation_id");
  Settlement settlement = require_settlement(call, 2, 3, 4, 6, 7);
  UsageDetail detail;
  detail.message_id = call.argument(5);
  require_current_tables();
  const CallTime time = CallTime::of_now();
  Spi spi;
  const Reservation reservation = lock_reservation(spi, user_id, id);
  require_no_turn(reservation);
  settle(spi, reservation, settlement, time);
  if (!settlement.is_replayed) {
    if (!detail.message_id.is_null) detail.conversation_id = keep_message(spi, user_id, detail.message_id);
    record_settlement(reservation, settlement, detail, time);
  }
  spi.finish();
  return settle_row.row({Value::of(settlement.tokens.total()), Value::palloced(settlement.charged_cost),
                         Value::of(settlement.is_late), Value::of(settlement.is_replayed)});
}

CLAUDE_GPT_FUNCTION(release_usage_of_user) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto id = call.required<core::Uuid>(1, "p_reservation_id");
  require_current_tables();
  const CallTime time = CallTime::of_now();
  Spi spi;
  const Reservation reservation = lock_reservation(spi, user_id, id);
  require_no_turn(reservation);
  using Status = Reservation::Status;
  const bool has_expired = reservation.has_expired(time.now);
  if (reservation.status == Status::open)
    end_uncharged(spi, reservation, has_expired ? Status::expired : Status::released, time);
  spi.finish();
  return Value::of(reservation.status == Status::released || (reservation.status == Status::open && !has_expired));
}

}  // namespace claude_gpt::api
