// Topic conversations: begin_turn(), save_partial(), complete_turn(), fail_turn(), list_conversations(),
// conversation_messages(), conversation_path(), delete_conversation().
#include "store/conversations.hpp"
#include <algorithm>

#include "api/config.hpp"
#include "api/identifiers.hpp"
#include "api/monitoring.hpp"
#include "api/quota.hpp"
#include "api/rate_limit.hpp"
#include "api/reservations.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "api/users.hpp"
#include "bridge/durability.hpp"
#include "bridge/entry.hpp"
#include "store/messages.hpp"
#include "store/usage_reservations.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

[[noreturn]] void throw_invalid(const char* message, const char* detail = "") {
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, message, detail);
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

  // The reply to a message that is there already is made anew.
  bool regenerates() const { return !content; }
};

Question require_question(const Call& call) {
  Question question{call.required(arg::begin_turn::p_user_id),
                    call.find(arg::begin_turn::p_conversation_id),
                    call.find<UnreadText>(arg::begin_turn::p_content),
                    call.required<UnreadText>(arg::begin_turn::p_model),
                    call.required(arg::begin_turn::p_estimated_tokens),
                    call.find(arg::begin_turn::p_parent_message_id),
                    call.find(arg::begin_turn::p_message_id),
                    call.required<UnreadText>(arg::begin_turn::p_content_type),
                    call.find(arg::begin_turn::p_metadata),
                    call.required(arg::begin_turn::p_ttl)};
  const auto content_type = value_as<std::string_view>(question.content_type.datum);
  model_of(call, arg::begin_turn::p_model);
  require_not_negative(question.estimated_tokens, "p_estimated_tokens");
  if (question.parent_id && !question.conversation_id) throw_invalid("p_parent_message_id needs p_conversation_id");
  if (!question.regenerates()) {
    if (content_type == "text" && call.required(arg::begin_turn::p_content).empty())
      throw_invalid("p_content must not be empty");
    return question;
  }
  if (!question.parent_id)
    throw core::Failure(
        core::sqlstate::k_null_value_not_allowed, "p_content must not be null",
        "Without content, a reply is made anew, and p_parent_message_id is the message that it answers.");
  if (question.message_id || question.metadata)
    throw_invalid("p_message_id and p_metadata must be null where no message is stored");
  return question;
}

std::optional<core::Uuid> keep_newest(Spi& spi, const Question& question) {
  using store::NewestMessage;
  const auto find = [&] {
    auto found = store::keep_newest_message(spi, question.user_id, *question.conversation_id);
    if (found.empty()) throw unknown_of("conversation", *question.conversation_id, "user");
    return found;
  };
  const auto newest = find();
  if (const auto id = newest.get<&NewestMessage::id>()) return id;
  const bool was_deleted_meanwhile = newest.get<&NewestMessage::message_count>() > 0;
  // Then another one is the newest now, or there is none.
  return was_deleted_meanwhile ? find().get<&NewestMessage::id>() : std::nullopt;
}

// The parent of the message that will be stored, or for a reply that is made anew, of the reply.
std::optional<core::Uuid> keep_parent(Spi& spi, const Question& question) {
  using store::GivenMessage;
  if (!question.conversation_id) return std::nullopt;
  if (!question.parent_id) return keep_newest(spi, question);
  const auto given = store::keep_given_message(spi, question.user_id, *question.conversation_id, *question.parent_id);
  if (given.empty()) throw unknown_of("conversation", *question.conversation_id, "user");
  if (!given.get<&GivenMessage::id>()) throw unknown_of("message", *question.parent_id, "conversation");
  const bool answers_user = given.get<&GivenMessage::role>() == "user";
  if (question.regenerates() && !answers_user)
    throw_invalid("p_content must not be null", "Only the reply to a message of the user can be made anew.");
  // A message of the user in the place of another one: an edit, beside it.
  if (!question.regenerates() && answers_user) return given.get<&GivenMessage::parent_message_id>();
  return question.parent_id;
}

// nullopt if the rate admits the turn, or nothing limits it.
std::optional<Decision> deny_by_rate(const core::Uuid& user_id, const std::optional<std::int64_t>& per_minute,
                                     core::Instant now) {
  if (!per_minute) return std::nullopt;
  const RateDecision rate = charge_user(user_id, *per_minute, 1, now);
  if (rate.is_allowed()) return std::nullopt;
  Decision decision = denied(rate.reason());
  decision.retry_after = rate.retry_after();
  if (!rate.made) return decision;
  decision.standing =
      core::Standing{core::Limit::message, rate.limit, rate.limit - rate.made->remaining, 0, rate.made->remaining};
  decision.resets_at = now + core::Duration{rate.made->reset_after / 1000};
  return decision;
}

void store_messages(Spi& spi, const Question& question, const Turn& turn, const std::optional<core::Uuid>& parent,
                    core::Instant now) {
  if (!question.conversation_id) store::insert_conversation(spi, turn.conversation_id, question.user_id);
  const store::NewReply reply{
      turn.assistant_message_id, turn.conversation_id, question.user_id, turn.user_message_id, now, question.model};
  if (question.regenerates())
    store::insert_reply(spi, reply);
  else
    store::insert_question_and_reply(spi, {*question.content, question.content_type, question.metadata, parent}, reply);
}

// A turn that was begun, or why it was not.
struct BegunTurn {
  Decision decision;
  std::optional<Turn> turn = std::nullopt;
  std::optional<core::Uuid> reservation_id = std::nullopt;
  std::optional<core::Instant> expires_at = std::nullopt;
};

BegunTurn repeat(Spi& spi, const core::Uuid& user_id, const FirstAnswer& answer) {
  BegunTurn begun{replayed(answer)};
  begun.reservation_id = answer.reservation_id;
  const auto found = store::find_turn(spi, user_id, *answer.reservation_id);
  if (!found) return begun;
  begun.turn = Turn{found->conversation_id, found->user_message_id, found->assistant_message_id};
  begun.expires_at = found->expires_at;
  return begun;
}

BegunTurn begin(Spi& spi, const Question& question, const CallTime& time, core::Instant expires_at) {
  if (configuration().maintenance_mode()) return {denied(core::Reason::maintenance)};
  const auto found = find_user(spi, question.user_id, Access::read_write);
  const core::Configuration& config = configuration();
  const core::Plan& plan = UserRow{found}.plan(config, time.now);
  const auto model = value_as<std::string_view>(question.model.datum);
  if (!plan.admits_model(model)) return {denied(core::Reason::model_not_in_plan)};
  if (auto denial = deny_by_rate(question.user_id, config.rate_limit(plan.tier), time.now)) return {*denial};

  core::Demand demand;
  demand.messages = 1;
  demand.tokens = question.estimated_tokens;
  demand.will_spend_tokens = true;
  demand.cost = held_cost_of(model, question.estimated_tokens);
  BegunTurn begun{admit(question.user_id, demand, model, expires_at, time).decision};
  if (!begun.decision.is_allowed()) return begun;

  const auto parent = keep_parent(spi, question);
  begun.turn = Turn{question.conversation_id ? *question.conversation_id : new_id(),
                    question.regenerates() ? *question.parent_id
                    : question.message_id  ? *question.message_id
                                           : new_id(),
                    new_id()};
  begun.reservation_id = new_id();
  begun.expires_at = expires_at;
  insert_reservation(spi, *begun.reservation_id, question.user_id, demand, question.model, expires_at, time.now,
                     begun.turn);
  store_messages(spi, question, *begun.turn, parent, time.now);
  return begun;
}

Reservation lock_turn(Spi& spi, const core::Uuid& user_id, const core::Uuid& reservation_id) {
  Reservation reservation = lock_reservation(spi, user_id, reservation_id);
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
};

std::int32_t int4_of(std::int64_t count) {
  if (count > std::numeric_limits<std::int32_t>::max())
    throw core::Failure(core::sqlstate::k_numeric_value_out_of_range, "a message has too many tokens");
  return static_cast<std::int32_t>(count);
}

// Returns what records may refer to.
store::UsageDetail finish_reply(Spi& spi, const Reservation& reservation, const Reply& reply,
                                const Settlement& settlement) {
  const Turn& turn = *reservation.turn;
  store::FinishedReply finished{reply.status, reply.content, reply.error, {}, {}, {}, {}, reply.metadata};
  const std::int32_t prompt_tokens = int4_of(settlement.tokens.prompt);
  const std::int32_t completion_tokens = int4_of(settlement.tokens.completion);
  const std::int32_t total_tokens = int4_of(settlement.tokens.total());
  if (total_tokens > 0 || !settlement.charged_cost.is_zero()) {
    finished.prompt_tokens = prompt_tokens;
    finished.completion_tokens = completion_tokens;
    finished.total_tokens = total_tokens;
    finished.cost = settlement.charged_cost;
  }
  const auto stored_in = store::finish_reply(spi, reservation.user_id, turn.assistant_message_id, finished);
  store::UsageDetail detail;
  if (!stored_in.empty()) {
    detail.message_id = turn.assistant_message_id;
    detail.conversation_id = stored_in.first();  // the application may have moved it
    return detail;
  }
  // What is left of a turn that could not be finished: the conversation, then the message.
  if (store::keep_conversation(spi, reservation.user_id, turn.conversation_id))
    detail.conversation_id = turn.conversation_id;
  if (!store::keep_message(spi, reservation.user_id, turn.assistant_message_id).empty())
    detail.message_id = turn.assistant_message_id;
  return detail;
}

constinit RowType begin_row{out::k_begin_turn};
constinit RowType end_row{out::k_complete_turn_of_user};
static_assert(std::ranges::equal(out::k_complete_turn_of_user, out::k_fail_turn_of_user, k_same_column));

Value end_row_of(const Reservation& reservation, const Settlement& settlement) {
  return end_row.row({Value::borrowed(reservation.turn->assistant_message_id),
                      Value::borrowed(reservation.turn->conversation_id), Value::of(settlement.tokens.total()),
                      Value::palloced(settlement.charged_cost), Value::of(settlement.is_late),
                      Value::of(settlement.is_replayed), Value::of(settlement.is_estimated)});
}

std::int64_t require_page(const Call& call, const Parameter<std::int32_t>& p_limit) {
  constexpr std::int32_t k_most = 1000;
  const auto limit = call.required(p_limit);
  if (limit < 1 || limit > k_most) throw_invalid("p_limit must be from 1 to 1000");
  return limit;
}

}  // namespace

CLAUDE_GPT_FUNCTION(begin_turn) {
  const Question question = require_question(call);
  require_current_tables();
  const CallTime time = CallTime::of_now();
  const core::Instant expires_at = require_expiry(question.time_to_live, time.now);

  Spi spi;
  IdempotentCall idempotent{spi, question.user_id, call, arg::begin_turn::p_idempotency_key, "begin_turn", time.now};
  const FirstAnswer* first = idempotent.first_answer();
  const BegunTurn begun =
      first != nullptr ? repeat(spi, question.user_id, *first) : begin(spi, question, time, expires_at);
  const Decision& decision = begun.decision;
  if (first == nullptr && decision.is_allowed())
    idempotent.remember(
        {.standing = decision.standing, .resets_at = decision.resets_at, .reservation_id = begun.reservation_id});
  spi.finish();
  durability::relax_for_turn();
  count_decision(core::Decider::begin_turn, decision.reason, decision.is_replayed);
  const auto of_turn = [&](core::Uuid Turn::*id) {
    return begun.turn ? Value::borrowed(*begun.turn.*id) : Value::null();
  };
  return begin_row.row(joined(
      decision, {of_turn(&Turn::conversation_id), of_turn(&Turn::user_message_id), of_turn(&Turn::assistant_message_id),
                 Value::or_null(begun.reservation_id), Value::or_null(begun.expires_at)}));
}

CLAUDE_GPT_FUNCTION(save_partial_of_user) {
  const auto user_id = call.required(arg::save_partial_of_user::p_user_id);
  const auto id = call.required(arg::save_partial_of_user::p_reservation_id);
  const auto content = call.required<UnreadText>(arg::save_partial_of_user::p_content);
  require_current_tables();
  Spi spi;
  if (!store::save_partial_reply(spi, user_id, id, content)) {
    lock_turn(spi, user_id, id);
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
  Settlement settlement = require_settlement(
      call, {arg::complete_turn_of_user::p_prompt_tokens, arg::complete_turn_of_user::p_completion_tokens,
             arg::complete_turn_of_user::p_cost, arg::complete_turn_of_user::p_cached_prompt_tokens,
             arg::complete_turn_of_user::p_cache_write_tokens, arg::complete_turn_of_user::p_usage});
  require_current_tables();
  durability::restore();
  const CallTime time = CallTime::of_now();
  Spi spi;
  const Reservation reservation = lock_turn(spi, user_id, id);
  settle(spi, reservation, settlement, time);
  if (!settlement.is_replayed) {
    const store::UsageDetail detail =
        finish_reply(spi, reservation,
                     {"sent", content, std::nullopt, call.find(arg::complete_turn_of_user::p_metadata)}, settlement);
    record_settlement(reservation, settlement, detail, time);
  }
  spi.finish();
  return end_row_of(reservation, settlement);
}

CLAUDE_GPT_FUNCTION(fail_turn_of_user) {
  const auto user_id = call.required(arg::fail_turn_of_user::p_user_id);
  const auto id = call.required(arg::fail_turn_of_user::p_reservation_id);
  const auto error_message = call.required<UnreadText>(arg::fail_turn_of_user::p_error_message);
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
  Spi spi;
  const Reservation reservation = lock_turn(spi, user_id, id);
  const Reply failed{"failed", call.find<UnreadText>(arg::fail_turn_of_user::p_content), error_message, std::nullopt};
  if (reservation.status == Reservation::Status::released && costs_nothing) {
    settlement.is_late = reservation.was_late;
    settlement.is_replayed = true;
  } else if (reservation.status != Reservation::Status::settled && costs_nothing) {
    // Nothing was used: neither is the message counted. The turn is over, also if its hold has expired before.
    settlement.is_late = reservation.has_expired(time.now);
    end_uncharged(spi, reservation, Reservation::Status::released, time);
    finish_reply(spi, reservation, failed, settlement);
  } else {
    settle(spi, reservation, settlement, time);
    if (!settlement.is_replayed)
      record_settlement(reservation, settlement, finish_reply(spi, reservation, failed, settlement), time);
  }
  spi.finish();
  return end_row_of(reservation, settlement);
}

CLAUDE_GPT_FUNCTION(list_conversations) {
  const auto user_id = call.required(arg::list_conversations::p_user_id);
  const auto before = call.find(arg::list_conversations::p_before);
  const std::int64_t limit = require_page(call, arg::list_conversations::p_limit);
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  store::ConversationsBefore place{std::nullopt, before};
  if (before) {
    const auto anchor = store::find_conversation(spi, user_id, *before, Access::read_only);
    if (anchor.empty()) throw unknown_of("conversation", *before, "user");
    place.last_message_at = anchor.first();
  }
  const auto page =
      store::list_conversations(spi, user_id, call.find(arg::list_conversations::p_archived), place, limit);
  if (page.empty()) find_user(spi, user_id, Access::read_only);
  result.add(page);
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(conversation_messages) {
  const auto user_id = call.required(arg::conversation_messages::p_user_id);
  const auto conversation_id = call.required(arg::conversation_messages::p_conversation_id);
  const auto before = call.find(arg::conversation_messages::p_before);
  const std::int64_t limit = require_page(call, arg::conversation_messages::p_limit);
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  if (store::find_conversation(spi, user_id, conversation_id, Access::read_only).empty())
    throw unknown_of("conversation", conversation_id, "user");
  if (!before) {
    result.add(store::read_first_page(spi, conversation_id, limit));
  } else {
    const auto anchor = store::find_message(spi, conversation_id, *before);
    if (anchor.empty()) throw unknown_of("message", *before, "conversation");
    result.add(store::read_next_page(spi, conversation_id, limit, anchor.first(), *before));
  }
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(conversation_path) {
  const auto user_id = call.required(arg::conversation_path::p_user_id);
  const auto leaf_id = call.required(arg::conversation_path::p_leaf_message_id);
  const auto most_tokens = call.find(arg::conversation_path::p_max_tokens);
  if (most_tokens && *most_tokens < 1) throw_invalid("p_max_tokens must be at least 1");
  const std::optional<std::int64_t> most{most_tokens};
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  const auto path = store::read_path(spi, user_id, leaf_id, most);
  if (path.empty()) throw unknown_of("message", leaf_id, "user");
  result.add(path);
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(delete_conversation) {
  const auto user_id = call.required(arg::delete_conversation::p_user_id);
  const auto conversation_id = call.required(arg::delete_conversation::p_conversation_id);
  require_current_tables();
  Spi spi;
  // The user first, as everywhere.
  lock_user(spi, user_id);
  if (store::find_conversation(spi, user_id, conversation_id, Access::read_write).empty())
    throw unknown_of("conversation", conversation_id, "user");
  store::lock_messages_of(spi, conversation_id);
  if (!store::delete_conversation(spi, user_id, conversation_id))
    throw unknown_of("conversation", conversation_id, "user");
  spi.finish();
  return no_result();
}

}  // namespace claude_gpt::api
