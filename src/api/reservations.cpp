// Topic quota: reserve_usage(), extend_usage(), settle_usage(), release_usage(), and what chat turns do with
// reservations.
#include "api/reservations.hpp"

#include <algorithm>
#include <limits>

#include "api/config.hpp"
#include "api/identifiers.hpp"
#include "api/monitoring.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "bridge/entry.hpp"
#include "core/future.hpp"
#include "store/usage_reservations.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

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
                      "Use complete_turn(), stop_turn() or fail_turn().");
}

// `settlement`: nullptr if nothing is charged.
void close(const Reservation& reservation, Reservation::Status status, core::Instant now, bool is_late,
           const Settlement* settlement, const std::optional<std::int64_t>& reply_hash) {
  std::optional<store::Charged> charged;
  const std::string reported = settlement == nullptr ? std::string{} : core::receipt_of(settlement->calls);
  if (settlement != nullptr)
    charged = {static_cast<std::int32_t>(settlement->tokens.prompt),
               static_cast<std::int32_t>(settlement->tokens.completion),
               static_cast<std::int32_t>(settlement->tokens.cached_prompt),
               static_cast<std::int32_t>(settlement->tokens.cache_write),
               settlement->given_cost,
               settlement->charged_cost,
               settlement->has_failed,
               settlement->is_estimated,
               reported.empty() ? std::nullopt : std::optional<std::string_view>{reported}};
  store::close_reservation(reservation.user_id, reservation.id, name_of(status), now, is_late, charged, reply_hash);
}

// What the end of a reservation gives back: nothing if its expiry did already.
void give_back(const Reservation& reservation, UsageChange& change) {
  if (reservation.status != Reservation::Status::open) return;
  change.held_messages = -reservation.messages;
  change.held_tokens = -reservation.tokens;
  change.held_cost = numeric_of(core::Amount{} - reservation.cost);
}

// As it was when the reservation was made, whatever became of the configuration since.
std::optional<core::ModelPrice> price_of(const Reservation& reservation) {
  return reservation.price ? reservation.price : find_price(reservation.model);
}

core::ModelPrice require_price(const Reservation& reservation) {
  if (const auto price = price_of(reservation)) return *price;
  throw core::Failure(core::sqlstate::k_price_unknown,
                      reservation.model ? "price of model \"" + *reservation.model + "\" is not known"
                                        : "cost is not given, and there is no model to price it by",
                      {}, "Pass the cost, or add the model to the configuration \"model_prices\".");
}

core::Amount price_of_hold(const Reservation& reservation) {
  if (reservation.tokens == 0 || !reservation.cost.is_zero()) return reservation.cost;
  return core::highest_cost_of(require_price(reservation), reservation.tokens);
}

core::Amount cost_of(const Reservation& reservation, const Settlement& settlement) {
  const bool is_told = core::sum_of(settlement.calls).total() > 0;
  // Without a price, the word of the application is what there is.
  if (is_told && !reservation.cost.is_zero() && !price_of(reservation)) return reservation.cost;
  const core::Amount told = is_told ? core::cost_of(require_price(reservation), settlement.calls) : core::Amount{};
  return settlement.is_estimated ? std::max(told, price_of_hold(reservation)) : told;
}

// Of which kind the tokens of the hold were is not known: those that nobody told of count as completion.
void charge_hold(const Reservation& reservation, core::TokenCounts& tokens) {
  constexpr std::int64_t k_most = std::numeric_limits<std::int32_t>::max();  // of the columns
  tokens.completion += std::max<std::int64_t>(reservation.tokens - tokens.total(), 0);
  if (tokens.completion > k_most)
    throw core::Failure(core::sqlstate::k_numeric_value_out_of_range,
                        "reservation " + quoted(reservation.id) + " holds more tokens than can be charged at once");
}

bool is_same(const Reservation& settled, const Settlement& settlement) {
  core::TokenCounts tokens = settlement.tokens;
  tokens.cache_write_1h = 0;  // the receipt tells it
  return settled.tokens_charged == tokens && settled.given_cost == settlement.given_cost &&
         settled.has_failed == settlement.has_failed && settled.is_estimated == settlement.is_estimated &&
         settled.reported_usage == core::receipt_of(settlement.calls);
}

constinit RowType reserve_row{out::k_reserve_usage_of_user};
constinit RowType settle_row{out::k_settle_usage_of_user};

}  // namespace

core::Instant require_expiry(core::Duration time_to_live, core::Instant now) {
  constexpr core::Duration k_shortest{1'000'000};
  if (time_to_live < k_shortest || time_to_live > core::k_longest_hold)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_ttl must be from 1 second to 24 hours");
  return now + time_to_live;
}

void insert_reservation(const core::Uuid& id, const core::Uuid& user_id, const core::Demand& held,
                        std::optional<UnreadText> model, const Pricing& pricing, core::Instant expires_at,
                        core::Instant now, const std::optional<Turn>& turn, store::LockedAt user) {
  const auto prices = pricing.price ? std::optional{core::text_of(*pricing.price)} : std::nullopt;
  store::NewReservation reservation{
      id, user_id, static_cast<std::int32_t>(held.messages), held.tokens, held.cost, model, prices, now, expires_at};
  if (turn) {
    reservation.conversation_id = turn->conversation_id;
    reservation.user_message_id = turn->user_message_id;
    reservation.assistant_message_id = turn->assistant_message_id;
  }
  store::insert_reservation(reservation, user);
}

Reservation lock_reservation(const core::Uuid& user_id, const core::Uuid& id) {
  using Columns = store::UsageReservations;
  store::StoredRow<Columns> locked{id, user_id};
  if (!store::lock_reservation(user_id, locked))
    throw core::Failure(core::sqlstate::k_no_data_found, "reservation " + quoted(id) + " does not exist");
  const auto& row = locked.row();
  Reservation found{id,
                    row.get<Columns::user_id>(),
                    parse_status(row.get<Columns::status>()),
                    row.get<Columns::message_count>(),
                    row.get<Columns::token_count>(),
                    row.get<Columns::cost>(),
                    std::nullopt,
                    std::nullopt,
                    row.get<Columns::expires_at>(),
                    std::nullopt};
  if (const auto model = row.find<Columns::model_used>()) found.model = std::string(*model);
  if (const auto prices = row.find<Columns::unit_prices>()) found.price = core::parse_price(*prices);
  if (const auto assistant_message_id = row.find<Columns::assistant_message_id>())
    found.turn = Turn{row.get<Columns::conversation_id>(), row.get<Columns::user_message_id>(), *assistant_message_id};
  found.was_late = row.find<Columns::was_late>().value_or(false);
  found.reply_hash = row.find<Columns::reply_hash>();
  if (found.status == Reservation::Status::settled) {
    found.tokens_charged = {row.get<Columns::prompt_tokens>(), row.get<Columns::completion_tokens>(),
                            row.get<Columns::cached_prompt_tokens>(), row.get<Columns::cache_write_tokens>()};
    found.given_cost = row.find<Columns::given_cost>();
    found.charged_cost = row.get<Columns::charged_cost>();
    found.has_failed = row.get<Columns::has_failed>();
    found.is_estimated = row.find<Columns::is_estimated>().value_or(false);
    found.reported_usage = row.find<Columns::reported_usage>().value_or("");
  }
  locked.finish();
  return found;
}

void settle(const Reservation& reservation, Settlement& settlement, const CallTime& time) {
  using Status = Reservation::Status;
  if (reservation.status == Status::released)
    throw core::Failure(core::sqlstate::k_not_in_prerequisite_state,
                        "reservation " + quoted(reservation.id) + " was released");
  if (settlement.is_estimated) charge_hold(reservation, settlement.tokens);
  if (reservation.status == Status::settled) {
    require_same_reply(reservation, settlement.reply_hash);
    if (!is_same(reservation, settlement))
      throw core::Failure(core::sqlstate::k_idempotency_conflict,
                          "reservation " + quoted(reservation.id) + " was settled with other numbers");
    settlement.charged_cost = reservation.charged_cost;
    settlement.is_late = reservation.was_late;
    settlement.is_replayed = true;
    return;
  }
  settlement.charged_cost = settlement.given_cost ? *settlement.given_cost : cost_of(reservation, settlement);
  settlement.is_late = reservation.has_expired(time.now);
  close(reservation, Status::settled, time.now, settlement.is_late, &settlement, settlement.reply_hash);
  count_settlements(settlement.is_late ? core::Settled::late : core::Settled::settled);
}

void record_settlement(const Reservation& reservation, const Settlement& settlement, store::UsageDetail detail,
                       const CallTime& time) {
  UsageChange change;
  change.messages = reservation.messages;
  change.tokens = settlement.tokens.total();
  if (!settlement.charged_cost.is_zero()) change.cost = numeric_of(settlement.charged_cost);
  give_back(reservation, change);
  if (reservation.model) detail.model = UnreadText{Value::palloced(*reservation.model).datum};
  detail.tokens = store::RecordedTokens{static_cast<std::int32_t>(settlement.tokens.prompt),
                                        static_cast<std::int32_t>(settlement.tokens.completion),
                                        narrowed(settlement.kinds.cached_prompt),
                                        narrowed(settlement.kinds.cache_write), narrowed(settlement.kinds.reasoning)};
  const Counted counted = change_counters(reservation.user_id, change, time);
  record_counted(reservation.user_id, change, detail, counted);
  count_usage(change.messages, change.tokens, 0, settlement.charged_cost);
}

void require_same_reply(const Reservation& ended, const std::optional<std::int64_t>& reply_hash) {
  if (!ended.reply_hash || ended.reply_hash == reply_hash) return;
  throw core::Failure(core::sqlstate::k_idempotency_conflict,
                      "the turn of reservation " + quoted(ended.id) + " ended otherwise",
                      "It ended with another reply, or by another function.");
}

void end_uncharged(const Reservation& reservation, Reservation::Status status, const CallTime& time,
                   const std::optional<std::int64_t>& reply_hash) {
  const bool is_late = reservation.has_expired(time.now);
  close(reservation, status, status == Reservation::Status::expired ? reservation.expires_at : time.now, is_late,
        nullptr, reply_hash);
  count_settlements(status == Reservation::Status::expired ? core::Settled::expired : core::Settled::released);
  UsageChange change;
  give_back(reservation, change);
  change_counters(reservation.user_id, change, time);
}

void extend(const Reservation& reservation, core::Instant expires_at, const CallTime& time) {
  if (reservation.status != Reservation::Status::open || reservation.has_expired(time.now))
    throw core::Failure(
        core::sqlstate::k_not_in_prerequisite_state,
        "reservation " + quoted(reservation.id) + " is " +
            std::string(name_of(reservation.status == Reservation::Status::open ? Reservation::Status::expired
                                                                                : reservation.status)),
        "Only an open reservation can be extended.");
  store::extend_reservation(reservation.user_id, reservation.id, time.now, expires_at);
  UsageChange change;
  change.hold_expiry = expires_at;
  change_counters(reservation.user_id, change, time);
}

void renew(const core::Uuid& user_id, const core::Uuid& id, const CallTime& time) {
  const auto found = store::find_time_to_live(user_id, id);
  const auto renewed = found ? core::renewed_expiry(found->since, found->until, time.now) : std::nullopt;
  if (!renewed) return;
  // What was seen without a lock may have ended or been extended meanwhile.
  const Reservation reservation = lock_reservation(user_id, id);
  const bool is_open = reservation.status == Reservation::Status::open && !reservation.has_expired(time.now);
  if (is_open && reservation.expires_at < *renewed) extend(reservation, *renewed, time);
}

CLAUDE_GPT_FUNCTION(reserve_usage_of_user) {
  const auto user_id = call.required(arg::reserve_usage_of_user::p_user_id);
  core::Demand demand;
  demand.tokens = call.required(arg::reserve_usage_of_user::p_tokens);
  demand.messages = call.required(arg::reserve_usage_of_user::p_messages);
  demand.will_spend_tokens = true;
  require_not_negative(demand.tokens, "p_tokens");
  require_not_negative(demand.messages, "p_messages");
  if (demand.tokens == 0 && demand.messages == 0)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_tokens and p_messages must not both be zero");
  const auto model = model_of(call, arg::reserve_usage_of_user::p_model);
  const auto time_to_live = call.required(arg::reserve_usage_of_user::p_ttl);
  const auto estimated_cost = call.find(arg::reserve_usage_of_user::p_estimated_cost);
  require_current_tables();
  const CallTime time = CallTime::of_now();
  const std::optional expires_at = require_expiry(time_to_live, time.now);

  Decision decision;
  std::optional<core::Uuid> reservation_id;
  IdempotentCall idempotent{user_id, call, arg::reserve_usage_of_user::p_idempotency_key, "reserve_usage", time.now};
  std::optional<core::Instant> expiry;
  if (const FirstAnswer* first = idempotent.first_answer()) {
    decision = replayed(*first);
    reservation_id = first->reservation_id;
    expiry = store::find_expiry(user_id, *reservation_id);
  } else if (configuration().maintenance_mode()) {
    decision = denied(core::Reason::maintenance);
  } else {
    const Pricing pricing = require_pricing(model, estimated_cost);
    demand.cost = pricing.cost_of(demand.tokens);
    demand.is_unpriced = model && !pricing.is_known();
    const Admitted admitted = admit(user_id, demand, model, expires_at, time);
    decision = admitted.decision;
    if (decision.is_allowed()) {
      reservation_id = new_id();
      expiry = expires_at;
      insert_reservation(*reservation_id, user_id, demand, call.find<UnreadText>(arg::reserve_usage_of_user::p_model),
                         pricing, *expires_at, time.now, std::nullopt, admitted.counted.user);
      idempotent.remember(
          {.standing = decision.standing, .resets_at = decision.resets_at, .reservation_id = reservation_id});
    }
  }
  count_decision(core::Decider::reserve_usage, decision.reason, decision.is_replayed);
  return reserve_row.row(joined(decision, {Value::or_null(reservation_id), Value::or_null(expiry)}));
}

CLAUDE_GPT_FUNCTION(extend_usage_of_user) {
  const auto user_id = call.required(arg::extend_usage_of_user::p_user_id);
  const auto id = call.required(arg::extend_usage_of_user::p_reservation_id);
  const auto time_to_live = call.required(arg::extend_usage_of_user::p_ttl);
  require_current_tables();
  const CallTime time = CallTime::of_now();
  const core::Instant expires_at = require_expiry(time_to_live, time.now);
  extend(lock_reservation(user_id, id), expires_at, time);
  return Value::of(expires_at);
}

CLAUDE_GPT_FUNCTION(settle_usage_of_user) {
  const auto user_id = call.required(arg::settle_usage_of_user::p_user_id);
  const auto id = call.required(arg::settle_usage_of_user::p_reservation_id);
  Settlement settlement = require_settlement(
      call, {arg::settle_usage_of_user::p_prompt_tokens, arg::settle_usage_of_user::p_completion_tokens,
             arg::settle_usage_of_user::p_cost, arg::settle_usage_of_user::p_cached_prompt_tokens,
             arg::settle_usage_of_user::p_cache_write_tokens, arg::settle_usage_of_user::p_usage});
  store::UsageDetail detail;
  detail.message_id = call.find(arg::settle_usage_of_user::p_message_id);
  require_current_tables();
  const CallTime time = CallTime::of_now();
  const Reservation reservation = lock_reservation(user_id, id);
  require_no_turn(reservation);
  settle(reservation, settlement, time);
  if (!settlement.is_replayed) {
    if (detail.message_id) detail.conversation_id = keep_message(user_id, *detail.message_id);
    record_settlement(reservation, settlement, detail, time);
  }
  return settle_row.row({Value::of(settlement.tokens.total()), Value::palloced(settlement.charged_cost),
                         Value::of(settlement.is_late), Value::of(settlement.is_replayed),
                         Value::of(settlement.is_estimated)});
}

CLAUDE_GPT_FUNCTION(release_usage_of_user) {
  const auto user_id = call.required(arg::release_usage_of_user::p_user_id);
  const auto id = call.required(arg::release_usage_of_user::p_reservation_id);
  require_current_tables();
  const CallTime time = CallTime::of_now();
  const Reservation reservation = lock_reservation(user_id, id);
  require_no_turn(reservation);
  using Status = Reservation::Status;
  const bool has_expired = reservation.has_expired(time.now);
  if (reservation.status == Status::open)
    end_uncharged(reservation, has_expired ? Status::expired : Status::released, time);
  return Value::of(reservation.status == Status::released || (reservation.status == Status::open && !has_expired));
}

}  // namespace claude_gpt::api
