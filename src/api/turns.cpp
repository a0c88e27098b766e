// Topic conversations: begin_turn(), save_partial(), complete_turn(), stop_turn(), fail_turn().
#include "store/conversations.hpp"

#include <algorithm>
#include <limits>

#include "api/config.hpp"
#include "api/identifiers.hpp"
#include "api/monitoring.hpp"
#include "api/quota.hpp"
#include "api/reservations.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "api/turn_limits.hpp"
#include "api/turn_places.hpp"
#include "api/users.hpp"
#include "bridge/durability.hpp"
#include "bridge/entry.hpp"
#include "bridge/json.hpp"
#include "store/messages.hpp"
#include "store/usage_reservations.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

[[noreturn]] void throw_invalid(const char* message, const char* detail = "") {
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, message, detail);
}

// What a message is made of, beside its plain text.
std::optional<UnreadJsonb> parts_in(const Call& call, const Parameter<UnreadJsonb>& p_parts) {
  const auto parts = call.find(p_parts);
  if (parts && !is_array_of_objects(parts->datum)) throw_invalid("p_parts must be an array of objects");
  return parts;
}

// What begin_turn() was asked.
struct Question {
  core::Uuid user_id;
  std::optional<core::Uuid> conversation_id;
  std::optional<UnreadText> content;
  UnreadText model;
  std::int32_t estimated_tokens;
  std::optional<core::Uuid> parent_id;
  std::optional<core::Uuid> message_id;
  UnreadText content_type;
  std::optional<UnreadJsonb> metadata;
  core::Duration time_to_live;
  std::optional<UnreadJsonb> parts;
  std::optional<core::Amount> estimated_cost;
  bool may_create;  // the conversation, under the id that is given

  // The reply to a message that is there already is made anew.
  bool regenerates() const { return !content; }
};

Question require_question(const Call& call) {
  Question question{call.required(arg::begin_turn_of_user::p_user_id),
                    call.find(arg::begin_turn_of_user::p_conversation_id),
                    call.find<UnreadText>(arg::begin_turn_of_user::p_content),
                    call.required<UnreadText>(arg::begin_turn_of_user::p_model),
                    call.required(arg::begin_turn_of_user::p_estimated_tokens),
                    call.find(arg::begin_turn_of_user::p_parent_message_id),
                    call.find(arg::begin_turn_of_user::p_message_id),
                    call.required<UnreadText>(arg::begin_turn_of_user::p_content_type),
                    call.find(arg::begin_turn_of_user::p_metadata),
                    call.required(arg::begin_turn_of_user::p_ttl),
                    parts_in(call, arg::begin_turn_of_user::p_parts),
                    call.find(arg::begin_turn_of_user::p_estimated_cost),
                    call.required(arg::begin_turn_of_user::p_create)};
  const auto content_type = value_as<std::string_view>(question.content_type.datum);
  model_of(call, arg::begin_turn_of_user::p_model);
  require_not_negative(question.estimated_tokens, "p_estimated_tokens");
  if (question.parent_id && !question.conversation_id) throw_invalid("p_parent_message_id needs p_conversation_id");
  if (!question.regenerates()) {
    if (content_type == "text" && !question.parts && call.required(arg::begin_turn_of_user::p_content).empty())
      throw_invalid("p_content must not be empty");
    return question;
  }
  if (!question.parent_id)
    throw core::Failure(
        core::sqlstate::k_null_value_not_allowed, "p_content must not be null",
        "Without content, a reply is made anew, and p_parent_message_id is the message that it answers.");
  if (question.message_id || question.metadata || question.parts)
    throw_invalid("p_message_id, p_metadata and p_parts must be null where no message is stored");
  return question;
}

void store_messages(const Question& question, const Turn& turn, TurnParent parent, core::Instant now,
                    store::LockedAt user) {
  const bool is_new = parent.is_of_new_conversation;
  if (is_new) parent.kept = store::insert_conversation(turn.conversation_id, question.user_id, user);
  std::optional<store::NewQuestion> asked;
  if (!question.regenerates()) {
    const store::NewQuestion given{*question.content, question.content_type, question.metadata, parent.id,
                                   question.parts};
    asked.emplace(given);
  }
  const store::NewMessages messages{asked,
                                    {turn.assistant_message_id, turn.conversation_id, question.user_id,
                                     turn.user_message_id, core::moment_after(parent.newest, now), question.model}};
  const auto change = store::insert_messages(messages, user.holds() && parent.kept.holds());
  if (change.messages > 0) store::count_messages(turn.conversation_id, change, is_new);
}

// A turn that was begun, or why it was not.
struct BegunTurn {
  Decision decision;
  std::optional<Turn> turn = std::nullopt;
  std::optional<core::Uuid> reservation_id = std::nullopt;
  std::optional<core::Instant> expires_at = std::nullopt;
  std::optional<std::string> reply_status = std::nullopt;  // where the reply is there
};

BegunTurn repeat(const core::Uuid& user_id, const FirstAnswer& answer) {
  BegunTurn begun{replayed(answer)};
  begun.reservation_id = answer.reservation_id;
  const auto found = store::find_turn(user_id, *answer.reservation_id);
  if (!found) return begun;
  begun.turn = Turn{found->conversation_id, found->user_message_id, found->assistant_message_id};
  begun.expires_at = found->expires_at;
  begun.reply_status = store::find_message_status(user_id, found->assistant_message_id);
  return begun;
}

BegunTurn begin(const Question& question, const CallTime& time, core::Instant expires_at) {
  if (configuration().maintenance_mode()) return {denied(core::Reason::maintenance)};
  store::StoredRow<store::Users> user{question.user_id};
  user.open(store::RowUse::lock);
  const core::Configuration& config = configuration();
  const core::Plan& plan = require_user(user, question.user_id).plan(config, time.now);
  const auto most_turns = plan.concurrent_turns;
  user.finish();
  const auto model = value_as<std::string_view>(question.model.datum);
  if (!plan.admits_model(model)) return {denied(core::Reason::model_not_in_plan)};
  const Pricing pricing = require_pricing(model, question.estimated_cost);
  if (!pricing.is_known()) return {denied(core::Reason::price_unknown)};
  if (auto denial = deny_by_rate(question.user_id, config.rate_limit(plan.tier), time.now)) return {*denial};
  if (auto denial = deny_by_open_turns(question.user_id, most_turns, time.now)) return {*denial};

  core::Demand demand;
  demand.messages = 1;
  demand.tokens = question.estimated_tokens;
  demand.will_spend_tokens = true;
  demand.cost = pricing.cost_of(question.estimated_tokens);
  const Admitted admitted = admit(question.user_id, demand, model, expires_at, time);
  BegunTurn begun{admitted.decision};
  if (!begun.decision.is_allowed()) return begun;

  const TurnParent parent = keep_turn_parent(
      {question.user_id, question.conversation_id, question.parent_id, question.regenerates(), question.may_create});
  begun.turn = Turn{question.conversation_id ? *question.conversation_id : new_id(),
                    question.regenerates() ? *question.parent_id
                    : question.message_id  ? *question.message_id
                                           : new_id(),
                    new_id()};
  begun.reservation_id = new_id();
  begun.expires_at = expires_at;
  insert_reservation(*begun.reservation_id, question.user_id, demand, question.model, pricing, expires_at, time.now,
                     begun.turn, admitted.counted.user);
  store_messages(question, *begun.turn, parent, time.now, admitted.counted.user);
  begun.reply_status = "sending";
  return begun;
}

Reservation lock_turn(const core::Uuid& user_id, const core::Uuid& reservation_id) {
  Reservation reservation = lock_reservation(user_id, reservation_id);
  if (reservation.turn) return reservation;
  throw core::Failure(core::sqlstate::k_not_in_prerequisite_state,
                      "reservation \"" + reservation_id.to_text() + "\" does not belong to a chat turn", {},
                      "Use settle_usage() or release_usage().");
}

// How a reply ends.
struct Reply {
  std::string_view status;
  std::optional<UnreadText> content = std::nullopt;  // nothing: as it was saved last
  std::optional<UnreadText> error = std::nullopt;
  std::optional<UnreadJsonb> metadata = std::nullopt;
  std::optional<UnreadJsonb> parts = std::nullopt;  // nothing: as they were saved last
};

// Metadata and parts are given as the text that is the same for the same value.
std::int64_t hash_of(const Reply& reply, const std::optional<std::string>& metadata,
                     const std::optional<std::string>& parts) {
  const auto content = reply.content ? std::optional{value_as<std::string_view>(reply.content->datum)} : std::nullopt;
  return core::hash_of_reply(reply.status, content, metadata, parts);
}

std::int32_t int4_of(std::int64_t count) {
  if (count > std::numeric_limits<std::int32_t>::max())
    throw core::Failure(core::sqlstate::k_numeric_value_out_of_range, "a message has too many tokens");
  return static_cast<std::int32_t>(count);
}

// Returns what records may refer to.
store::UsageDetail finish_reply(const Reservation& reservation, const Reply& reply, const Settlement& settlement) {
  const Turn& turn = *reservation.turn;
  store::FinishedReply finished{reply.status, reply.content, reply.error, {}, {}, {}, {}, reply.metadata};
  finished.parts = reply.parts;
  const std::int32_t prompt_tokens = int4_of(settlement.tokens.prompt);
  const std::int32_t completion_tokens = int4_of(settlement.tokens.completion);
  const std::int32_t total_tokens = int4_of(settlement.tokens.total());
  if (total_tokens > 0 || !settlement.charged_cost.is_zero()) {
    finished.prompt_tokens = prompt_tokens;
    finished.completion_tokens = completion_tokens;
    finished.total_tokens = total_tokens;
    finished.cost = settlement.charged_cost;
    finished.cached_prompt_tokens = narrowed(settlement.kinds.cached_prompt);
    finished.cache_write_tokens = narrowed(settlement.kinds.cache_write);
    finished.reasoning_tokens = narrowed(settlement.kinds.reasoning);
  }
  store::UsageDetail detail;
  if (const auto stored = store::finish_reply(reservation.user_id, turn.assistant_message_id, finished)) {
    detail.message_id = turn.assistant_message_id;
    detail.conversation_id = stored->conversation_id;  // the application may have moved it
    const auto written = store::LockedAt::now();
    const bool is_counted = stored->to_count && !stored->to_count->is_nothing() &&
                            store::count_messages(stored->conversation_id, *stored->to_count);
    if (is_counted) detail.kept = written;
    return detail;
  }
  // What is left of a turn that could not be finished: the conversation, then the message.
  if (store::keep_conversation(reservation.user_id, turn.conversation_id))
    detail.conversation_id = turn.conversation_id;
  if (store::keep_message(reservation.user_id, turn.assistant_message_id))
    detail.message_id = turn.assistant_message_id;
  return detail;
}

constinit RowType begin_row{out::k_begin_turn_of_user};
constinit RowType end_row{out::k_complete_turn_of_user};
static_assert(std::ranges::equal(out::k_complete_turn_of_user, out::k_stop_turn, k_same_column));
static_assert(std::ranges::equal(out::k_complete_turn_of_user, out::k_fail_turn_of_user, k_same_column));

Value end_row_of(const Reservation& reservation, const Settlement& settlement) {
  return end_row.row({Value::borrowed(reservation.turn->assistant_message_id),
                      Value::borrowed(reservation.turn->conversation_id), Value::of(settlement.tokens.total()),
                      Value::palloced(settlement.charged_cost), Value::of(settlement.is_late),
                      Value::of(settlement.is_replayed), Value::of(settlement.is_estimated)});
}

// Charges a turn, and stores its reply.
Value end(const core::Uuid& user_id, const core::Uuid& id, const Reply& reply, Settlement& settlement) {
  const CallTime time = CallTime::of_now();
  const Reservation reservation = lock_turn(user_id, id);
  settle(reservation, settlement, time);
  if (!settlement.is_replayed)
    record_settlement(reservation, settlement, finish_reply(reservation, reply, settlement), time);
  return end_row_of(reservation, settlement);
}

}  // namespace

CLAUDE_GPT_FUNCTION(begin_turn_of_user) {
  const Question question = require_question(call);
  require_current_tables();
  const CallTime time = CallTime::of_now();
  const core::Instant expires_at = require_expiry(question.time_to_live, time.now);

  IdempotentCall idempotent{question.user_id, call, arg::begin_turn_of_user::p_idempotency_key, "begin_turn", time.now};
  const FirstAnswer* first = idempotent.first_answer();
  const BegunTurn begun = first != nullptr ? repeat(question.user_id, *first) : begin(question, time, expires_at);
  const Decision& decision = begun.decision;
  if (first == nullptr && decision.is_allowed())
    idempotent.remember(
        {.standing = decision.standing, .resets_at = decision.resets_at, .reservation_id = begun.reservation_id});
  durability::relax_for_turn();
  count_decision(core::Decider::begin_turn, decision.reason, decision.is_replayed);
  const auto of_turn = [&](core::Uuid Turn::*id) {
    return begun.turn ? Value::borrowed(*begun.turn.*id) : Value::null();
  };
  return begin_row.row(joined(
      decision, {of_turn(&Turn::conversation_id), of_turn(&Turn::user_message_id), of_turn(&Turn::assistant_message_id),
                 Value::or_null(begun.reservation_id), Value::or_null(begun.expires_at),
                 begun.reply_status ? Value::palloced(*begun.reply_status) : Value::null()}));
}

CLAUDE_GPT_FUNCTION(save_partial_of_user) {
  const auto user_id = call.required(arg::save_partial_of_user::p_user_id);
  const auto id = call.required(arg::save_partial_of_user::p_reservation_id);
  const auto content = call.required<UnreadText>(arg::save_partial_of_user::p_content);
  const auto parts = parts_in(call, arg::save_partial_of_user::p_parts);
  require_current_tables();
  renew(user_id, id, CallTime::of_now());
  Spi spi;
  if (!store::save_partial_reply(spi, user_id, id, content, parts)) {
    lock_turn(user_id, id);
    throw core::Failure(core::sqlstate::k_not_in_prerequisite_state,
                        "the turn of reservation \"" + id.to_text() + "\" is over");
  }
  spi.finish();
  durability::relax_for_turn();
  return no_result();
}

CLAUDE_GPT_FUNCTION(complete_turn_of_user) {
  const auto user_id = call.required(arg::complete_turn_of_user::p_user_id);
  const auto id = call.required(arg::complete_turn_of_user::p_reservation_id);
  const auto content = call.required<UnreadText>(arg::complete_turn_of_user::p_content);
  const auto parts = parts_in(call, arg::complete_turn_of_user::p_parts);
  Settlement settlement = require_settlement(
      call, {arg::complete_turn_of_user::p_prompt_tokens, arg::complete_turn_of_user::p_completion_tokens,
             arg::complete_turn_of_user::p_cost, arg::complete_turn_of_user::p_cached_prompt_tokens,
             arg::complete_turn_of_user::p_cache_write_tokens, arg::complete_turn_of_user::p_usage});
  require_current_tables();
  durability::restore();
  const Reply sent{"sent", content, std::nullopt, call.find(arg::complete_turn_of_user::p_metadata), parts};
  settlement.reply_hash = hash_of(sent, call.canonical_text(arg::complete_turn_of_user::p_metadata.index),
                                  call.canonical_text(arg::complete_turn_of_user::p_parts.index));
  return end(user_id, id, sent, settlement);
}

CLAUDE_GPT_FUNCTION(stop_turn) {
  const auto user_id = call.required(arg::stop_turn::p_user_id);
  const auto id = call.required(arg::stop_turn::p_reservation_id);
  const Reply stopped{"stopped", call.find<UnreadText>(arg::stop_turn::p_content), std::nullopt,
                      call.find(arg::stop_turn::p_metadata), parts_in(call, arg::stop_turn::p_parts)};
  Settlement settlement = require_settlement(
      call, {arg::stop_turn::p_prompt_tokens, arg::stop_turn::p_completion_tokens, arg::stop_turn::p_cost,
             arg::stop_turn::p_cached_prompt_tokens, arg::stop_turn::p_cache_write_tokens, arg::stop_turn::p_usage});
  require_current_tables();
  durability::restore();
  settlement.reply_hash = hash_of(stopped, call.canonical_text(arg::stop_turn::p_metadata.index),
                                  call.canonical_text(arg::stop_turn::p_parts.index));
  return end(user_id, id, stopped, settlement);
}

CLAUDE_GPT_FUNCTION(fail_turn_of_user) {
  const auto user_id = call.required(arg::fail_turn_of_user::p_user_id);
  const auto id = call.required(arg::fail_turn_of_user::p_reservation_id);
  const auto error_message = call.required<UnreadText>(arg::fail_turn_of_user::p_error_message);
  const auto parts = parts_in(call, arg::fail_turn_of_user::p_parts);
  Settlement settlement =
      require_settlement(call, {arg::fail_turn_of_user::p_prompt_tokens, arg::fail_turn_of_user::p_completion_tokens,
                                arg::fail_turn_of_user::p_cost, arg::fail_turn_of_user::p_cached_prompt_tokens,
                                arg::fail_turn_of_user::p_cache_write_tokens, arg::fail_turn_of_user::p_usage, 0});
  settlement.has_failed = true;
  const bool has_cost = settlement.given_cost && !settlement.given_cost->is_zero();
  const bool costs_nothing = settlement.tokens.total() == 0 && !has_cost && !settlement.is_estimated;
  require_current_tables();
  durability::restore();
  const CallTime time = CallTime::of_now();
  const Reservation reservation = lock_turn(user_id, id);
  const Reply failed{"failed", call.find<UnreadText>(arg::fail_turn_of_user::p_content), error_message, std::nullopt,
                     parts};
  settlement.reply_hash = hash_of(failed, std::nullopt, call.canonical_text(arg::fail_turn_of_user::p_parts.index));
  if (reservation.status == Reservation::Status::released && costs_nothing) {
    require_same_reply(reservation, settlement.reply_hash);
    settlement.is_late = reservation.was_late;
    settlement.is_replayed = true;
  } else if (reservation.status != Reservation::Status::settled && costs_nothing) {
    // Nothing was used: neither is the message counted. The turn is over, also if its hold has expired before.
    settlement.is_late = reservation.has_expired(time.now);
    end_uncharged(reservation, Reservation::Status::released, time, settlement.reply_hash);
    finish_reply(reservation, failed, settlement);
  } else {
    settle(reservation, settlement, time);
    if (!settlement.is_replayed)
      record_settlement(reservation, settlement, finish_reply(reservation, failed, settlement), time);
  }
  return end_row_of(reservation, settlement);
}

}  // namespace claude_gpt::api
