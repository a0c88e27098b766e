// Topic conversations: begin_turn(), save_partial(), complete_turn(), fail_turn(), list_conversations(),
// conversation_messages(), conversation_path(), delete_conversation().
#include "api/config.hpp"
#include "api/identifiers.hpp"
#include "api/monitoring.hpp"
#include "api/quota.hpp"
#include "api/rate_limit.hpp"
#include "api/reservations.hpp"
#include "api/schema.hpp"
#include "api/users.hpp"
#include "bridge/entry.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// Both run with the user locked: the turn before has its place already. Both wait for whoever deletes what they find.
// clang-format off
#define CLAUDE_GPT_OF_THE_USER " WHERE c.id OPERATOR(pg_catalog.=) $2 AND c.user_id OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF c"
// clang-format on

// The conversation ($2) if it is the user's, with its newest message.
constinit Statement k_find_newest{"conversations",
                                  R"sql(
    SELECT n.id, c.message_count FROM claude_gpt_data.conversations AS c
    LEFT JOIN LATERAL (SELECT m.id FROM claude_gpt_data.messages AS m
     WHERE m.conversation_id OPERATOR(pg_catalog.=) c.id AND m.status OPERATOR(pg_catalog.<>) 'deleted'
     ORDER BY m.created_at DESC, m.id DESC LIMIT 1 FOR KEY SHARE) AS n ON true )sql" CLAUDE_GPT_OF_THE_USER,
                                  {Type::uuid, Type::uuid}};

// The same with a given message of it ($3).
constinit Statement k_find_given{"conversations",
                                 R"sql(
    SELECT p.id, p.role, p.parent_message_id FROM claude_gpt_data.conversations AS c
    LEFT JOIN LATERAL (SELECT m.id, m.role, m.parent_message_id FROM claude_gpt_data.messages AS m
     WHERE m.id OPERATOR(pg_catalog.=) $3 AND m.conversation_id OPERATOR(pg_catalog.=) c.id AND m.status OPERATOR(pg_catalog.<>) 'deleted'
     FOR KEY SHARE) AS p ON true )sql" CLAUDE_GPT_OF_THE_USER,
                                 {Type::uuid, Type::uuid, Type::uuid}};

constinit Statement k_start_conversation{"conversations",
                                         "INSERT INTO claude_gpt_data.conversations (id, user_id) VALUES ($1, $2)",
                                         {Type::uuid, Type::uuid}};

// The reply comes a microsecond after what it answers: the order of the two does not hang on their ids.
// clang-format off
#define CLAUDE_GPT_INSERT_MESSAGES                                                                                 \
  "INSERT INTO claude_gpt_data.messages"                                                                                \
  " (id, conversation_id, user_id, role, content, status, parent_message_id, created_at, model_used, content_type, metadata)"

constinit Statement k_insert_reply{
    "messages",
    CLAUDE_GPT_INSERT_MESSAGES " VALUES ($4, $1, $2, 'assistant', '', 'sending', $3, $5, $6, 'text', NULL)",
    {Type::uuid, Type::uuid, Type::uuid, Type::uuid, Type::timestamptz, Type::text}};

constinit Statement k_insert_question_and_reply{
    "messages",
    CLAUDE_GPT_INSERT_MESSAGES
    " VALUES ($3, $1, $2, 'user', $7, 'sent', $10, $5, NULL, $8, $9),"
    " ($4, $1, $2, 'assistant', '', 'sending', $3, $5 OPERATOR(pg_catalog.+) '00:00:00.000001'::pg_catalog.interval, $6, 'text', NULL)",
    {Type::uuid, Type::uuid, Type::uuid, Type::uuid, Type::timestamptz, Type::text, Type::text, Type::text, Type::jsonb, Type::uuid}};
// clang-format on

constinit Statement k_find_turn{"usage_reservations",
                                R"sql(
    SELECT r.conversation_id, r.user_message_id, r.assistant_message_id, r.expires_at FROM claude_gpt_data.usage_reservations AS r
    WHERE r.id OPERATOR(pg_catalog.=) $2 AND r.user_id OPERATOR(pg_catalog.=) $1
    )sql",
                                {Type::uuid, Type::uuid}};

// Written so that the planner does not take the index over statuses, and read every reply that is being streamed.
// clang-format off
#define CLAUDE_GPT_IS_SENDING "CASE WHEN m.status OPERATOR(pg_catalog.=) 'sending' THEN true END"

// A reply that was deleted meanwhile, or that the application has taken over, is left alone. The message is locked
// before its conversation, as by every statement that writes messages.
constinit Statement k_finish_reply{
    "messages",
    "UPDATE claude_gpt_data.messages AS m SET status = $2, content = COALESCE($3, m.content), error_message = $4,"
    " prompt_tokens = $5, completion_tokens = $6, total_tokens = $7, cost = $8, metadata = COALESCE($9, m.metadata)"
    " WHERE m.id OPERATOR(pg_catalog.=) $1 AND m.user_id OPERATOR(pg_catalog.=) $10 AND " CLAUDE_GPT_IS_SENDING
    " RETURNING m.conversation_id",
    {Type::uuid, Type::text, Type::text, Type::text, Type::int4, Type::int4, Type::int4, Type::numeric, Type::jsonb, Type::uuid}};
// clang-format on

constinit Statement k_save_partial{"messages",
                                   R"sql(
    UPDATE claude_gpt_data.messages AS m SET content = $3 FROM claude_gpt_data.usage_reservations AS r
    WHERE r.id OPERATOR(pg_catalog.=) $2 AND r.user_id OPERATOR(pg_catalog.=) $1
    AND m.id OPERATOR(pg_catalog.=) r.assistant_message_id AND m.user_id OPERATOR(pg_catalog.=) $1 AND )sql" CLAUDE_GPT_IS_SENDING,
                                   {Type::uuid, Type::uuid, Type::text}};

constinit Statement k_find_conversation{"conversations",
                                        R"sql(
    SELECT c.last_message_at FROM claude_gpt_data.conversations AS c
    WHERE c.id OPERATOR(pg_catalog.=) $2 AND c.user_id OPERATOR(pg_catalog.=) $1
    )sql",
                                        {Type::uuid, Type::uuid}};

// Before the conversation, as by every statement that writes messages; a reply that is being written may still look for
// its parent.
constinit Statement k_lock_messages{"messages",
                                    R"sql(
    SELECT pg_catalog.count(*) FROM (SELECT 1 FROM claude_gpt_data.messages AS m WHERE m.conversation_id OPERATOR(pg_catalog.=) $1
    ORDER BY m.id FOR NO KEY UPDATE) AS locked
    )sql",
                                    {Type::uuid}};

constinit Statement k_delete_conversation{
    "conversations",
    "DELETE FROM claude_gpt_data.conversations AS c WHERE c.id OPERATOR(pg_catalog.=) $2 AND c.user_id OPERATOR(pg_catalog.=) $1",
    {Type::uuid, Type::uuid}};

// $3, $4: the last one that the caller has, NULL for the first page.
constinit Statement k_list_conversations{"conversations",
                                         R"sql(
    SELECT c.id, c.title::pg_catalog.text, c.summary, c.message_count, c.total_tokens, c.total_cost, c.is_archived, c.is_pinned,
    c.created_at, c.last_message_at, n.content, n.role::pg_catalog.text
    FROM (SELECT * FROM claude_gpt_data.conversations AS o WHERE o.user_id OPERATOR(pg_catalog.=) $1
      AND ($2 IS NULL OR o.is_archived OPERATOR(pg_catalog.=) $2)
      AND ($3 IS NULL OR ROW(o.last_message_at, o.id) OPERATOR(pg_catalog.<) ROW($3, $4))
      ORDER BY o.last_message_at DESC, o.id DESC LIMIT $5) AS c
    LEFT JOIN LATERAL (SELECT m.content, m.role FROM claude_gpt_data.messages AS m
     WHERE m.conversation_id OPERATOR(pg_catalog.=) c.id AND m.status OPERATOR(pg_catalog.<>) 'deleted'
     ORDER BY m.created_at DESC, m.id DESC LIMIT 1) AS n ON true
    ORDER BY c.last_message_at DESC, c.id DESC
    )sql",
                                         {Type::uuid, Type::boolean, Type::timestamptz, Type::uuid, Type::int8},
                                         Planning::by_values};

constinit Statement k_find_anchor{
    "messages",
    "SELECT m.created_at FROM claude_gpt_data.messages AS m WHERE m.id OPERATOR(pg_catalog.=) $2 AND m.conversation_id OPERATOR(pg_catalog.=) $1",
    {Type::uuid, Type::uuid}};

// Two statements, so that both begin where the index says.
// clang-format off
#define CLAUDE_GPT_PAGE_OF_MESSAGES(before)                                                                        \
  "SELECT m.id, m.parent_message_id, m.role::pg_catalog.text, m.content, m.content_type::pg_catalog.text,"           \
  " m.model_used::pg_catalog.text, m.prompt_tokens, m.completion_tokens, m.total_tokens, m.cost, m.status::pg_catalog.text," \
  " m.error_message, m.metadata, m.created_at, m.updated_at FROM claude_gpt_data.messages AS m"                           \
  " WHERE m.conversation_id OPERATOR(pg_catalog.=) $1 AND m.status OPERATOR(pg_catalog.<>) 'deleted'" before         \
  " ORDER BY m.created_at DESC, m.id DESC LIMIT $2"
// clang-format on

constinit Statement k_first_page{"messages", CLAUDE_GPT_PAGE_OF_MESSAGES(""), {Type::uuid, Type::int8}};
constinit Statement k_next_page{
    "messages",
    CLAUDE_GPT_PAGE_OF_MESSAGES(" AND ROW(m.created_at, m.id) OPERATOR(pg_catalog.<) ROW($3, $4)"),
    {Type::uuid, Type::int8, Type::timestamptz, Type::uuid}};

// From the leaf to the root, in the order in which the recursion finds them. UNION ends a ring, into which an
// application could tie parents.
constinit Statement k_path{"messages",
                           R"sql(
    WITH RECURSIVE found AS (
    SELECT m.id, m.parent_message_id FROM claude_gpt_data.messages AS m
     JOIN claude_gpt_data.conversations AS c ON c.id OPERATOR(pg_catalog.=) m.conversation_id
     WHERE m.id OPERATOR(pg_catalog.=) $2 AND c.user_id OPERATOR(pg_catalog.=) $1 AND m.status OPERATOR(pg_catalog.<>) 'deleted'
    UNION SELECT p.id, p.parent_message_id FROM found AS f
     JOIN claude_gpt_data.messages AS p ON p.id OPERATOR(pg_catalog.=) f.parent_message_id),
    branch AS (SELECT f.id, pg_catalog.row_number() OVER () OPERATOR(pg_catalog.-) 1 AS steps FROM found AS f),
    shown AS (
    SELECT b.steps, m.id, m.conversation_id, m.parent_message_id, m.role, m.content, m.content_type, m.model_used, m.status,
    m.metadata, m.created_at, t.tokens, pg_catalog.sum(t.tokens) OVER (ORDER BY b.steps) AS tokens_to_leaf
     FROM branch AS b JOIN claude_gpt_data.messages AS m ON m.id OPERATOR(pg_catalog.=) b.id
     CROSS JOIN LATERAL (SELECT COALESCE(CASE WHEN m.role OPERATOR(pg_catalog.=) 'assistant' THEN m.completion_tokens ELSE m.total_tokens END,
       ((pg_catalog.octet_length(m.content) OPERATOR(pg_catalog.+) 2) OPERATOR(pg_catalog./) 3)) AS tokens) AS t
     WHERE b.steps OPERATOR(pg_catalog.=) 0 OR m.status OPERATOR(pg_catalog.=) 'sent')
    SELECT (pg_catalog.row_number() OVER (ORDER BY s.steps DESC))::pg_catalog.int4, s.id, s.parent_message_id, s.role::pg_catalog.text,
    s.content, s.content_type::pg_catalog.text, s.model_used::pg_catalog.text, s.status::pg_catalog.text, s.tokens, x.older, x.all_of_them,
    s.metadata, s.created_at
    FROM shown AS s CROSS JOIN LATERAL (
     SELECT (pg_catalog.count(*) FILTER (WHERE ROW(o.created_at, o.id) OPERATOR(pg_catalog.<=) ROW(s.created_at, s.id)))::pg_catalog.int4 AS older,
      pg_catalog.count(*)::pg_catalog.int4 AS all_of_them
     FROM (
      SELECT a.created_at, a.id FROM claude_gpt_data.messages AS a WHERE a.parent_message_id OPERATOR(pg_catalog.=) s.parent_message_id
       AND a.status OPERATOR(pg_catalog.<>) 'deleted'
      UNION ALL SELECT a.created_at, a.id FROM claude_gpt_data.messages AS a WHERE s.parent_message_id IS NULL
       AND a.conversation_id OPERATOR(pg_catalog.=) s.conversation_id AND a.parent_message_id IS NULL
       AND a.status OPERATOR(pg_catalog.<>) 'deleted') AS o) AS x
    WHERE $3 IS NULL OR s.steps OPERATOR(pg_catalog.=) 0 OR s.tokens_to_leaf OPERATOR(pg_catalog.<=) $3 ORDER BY s.steps DESC
    )sql",
                           {Type::uuid, Type::uuid, Type::int8}};

[[noreturn]] void throw_invalid(const char* message, const char* detail = "") {
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, message, detail);
}

// What begin_turn() was asked.
struct Question {
  core::Uuid user_id;
  std::optional<core::Uuid> conversation_id;
  Value content;
  std::string_view model;
  std::int32_t estimated_tokens;
  std::optional<core::Uuid> parent_id;
  std::optional<core::Uuid> message_id;
  Value content_type;
  Value metadata;
  core::Duration time_to_live;

  // The reply to a message that is there already is made anew.
  bool regenerates() const { return content.is_null; }
};

Question require_question(const Call& call) {
  Question question{call.required<core::Uuid>(0, "p_user_id"),
                    call.find<core::Uuid>(1),
                    call.argument(2),
                    call.required<std::string_view>(3, "p_model"),
                    call.required<std::int32_t>(4, "p_estimated_tokens"),
                    call.find<core::Uuid>(5),
                    call.find<core::Uuid>(6),
                    call.argument(7),
                    call.argument(8),
                    call.required<core::Duration>(9, "p_ttl")};
  const auto content_type = call.required<std::string_view>(7, "p_content_type");
  model_of(call, 3);
  require_not_negative(question.estimated_tokens, "p_estimated_tokens");
  if (question.parent_id && !question.conversation_id) throw_invalid("p_parent_message_id needs p_conversation_id");
  if (!question.regenerates()) {
    if (content_type == "text" && call.required<std::string_view>(2, "p_content").empty())
      throw_invalid("p_content must not be empty");
    return question;
  }
  if (!question.parent_id)
    throw core::Failure(
        core::sqlstate::k_null_value_not_allowed, "p_content must not be null",
        "Without content, a reply is made anew, and p_parent_message_id is the message that it answers.");
  if (question.message_id || !question.metadata.is_null)
    throw_invalid("p_message_id and p_metadata must be null where no message is stored");
  return question;
}

std::optional<core::Uuid> find_newest(Spi& spi, const Question& question) {
  const auto find = [&] {
    const Rows found =
        spi.execute(k_find_newest, {Value::borrowed(question.user_id), Value::borrowed(*question.conversation_id)},
                    Access::read_write);
    if (found.empty()) throw unknown_of("conversation", *question.conversation_id, "user");
    return found;
  };
  const Rows found = find();
  const bool was_deleted_meanwhile = found.is_null(0, 1) && found.get<std::int32_t>(0, 2) > 0;
  // Then another one is the newest now, or there is none.
  return (was_deleted_meanwhile ? find() : found).find<core::Uuid>(0, 1);
}

// The parent of the message that will be stored, or for a reply that is made anew, of the reply.
std::optional<core::Uuid> find_parent(Spi& spi, const Question& question) {
  if (!question.conversation_id) return std::nullopt;
  if (!question.parent_id) return find_newest(spi, question);
  const Rows given = spi.execute(k_find_given,
                                 {Value::borrowed(question.user_id), Value::borrowed(*question.conversation_id),
                                  Value::borrowed(*question.parent_id)},
                                 Access::read_write);
  if (given.empty()) throw unknown_of("conversation", *question.conversation_id, "user");
  if (given.is_null(0, 1)) throw unknown_of("message", *question.parent_id, "conversation");
  const bool answers_user = given.get<std::string_view>(0, 2) == "user";
  if (question.regenerates() && !answers_user)
    throw_invalid("p_content must not be null", "Only the reply to a message of the user can be made anew.");
  // A message of the user in the place of another one: an edit, beside it.
  if (!question.regenerates() && answers_user) return given.find<core::Uuid>(0, 3);
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
  const Value conversation = Value::borrowed(turn.conversation_id);
  const Value user = Value::borrowed(question.user_id);
  const Value model = Value::palloced(question.model);
  if (!question.conversation_id) spi.execute(k_start_conversation, {conversation, user}, Access::read_write);
  if (question.regenerates())
    spi.execute(k_insert_reply,
                {conversation, user, Value::borrowed(turn.user_message_id), Value::borrowed(turn.assistant_message_id),
                 Value::of(now), model},
                Access::read_write);
  else
    spi.execute(
        k_insert_question_and_reply,
        {conversation, user, Value::borrowed(turn.user_message_id), Value::borrowed(turn.assistant_message_id),
         Value::of(now), model, question.content, question.content_type, question.metadata, Value::or_null(parent)},
        Access::read_write);
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
  const Rows found =
      spi.execute(k_find_turn, {Value::borrowed(user_id), Value::borrowed(*answer.reservation_id)}, Access::read_write);
  if (found.empty()) return begun;
  begun.turn = Turn{found.get<core::Uuid>(0, 1), found.get<core::Uuid>(0, 2), found.get<core::Uuid>(0, 3)};
  begun.expires_at = found.get<core::Instant>(0, 4);
  return begun;
}

BegunTurn begin(Spi& spi, const Question& question, const CallTime& time, core::Instant expires_at) {
  if (configuration().maintenance_mode()) return {denied(core::Reason::maintenance)};
  const Rows found = find_user(spi, question.user_id, Access::read_write);
  const core::Configuration& config = configuration();
  const core::Plan& plan = UserRow{found}.plan(config, time.now);
  if (!plan.admits_model(question.model)) return {denied(core::Reason::model_not_in_plan)};
  if (auto denial = deny_by_rate(question.user_id, config.rate_limit(plan.tier), time.now)) return {*denial};

  core::Demand demand;
  demand.messages = 1;
  demand.tokens = question.estimated_tokens;
  demand.will_spend_tokens = true;
  demand.cost = held_cost_of(question.model, question.estimated_tokens);
  BegunTurn begun{admit(question.user_id, demand, question.model, expires_at, time).decision};
  if (!begun.decision.is_allowed()) return begun;

  const auto parent = find_parent(spi, question);
  begun.turn = Turn{question.conversation_id ? *question.conversation_id : new_id(),
                    question.regenerates() ? *question.parent_id
                    : question.message_id  ? *question.message_id
                                           : new_id(),
                    new_id()};
  begun.reservation_id = new_id();
  begun.expires_at = expires_at;
  insert_reservation(spi, *begun.reservation_id, question.user_id, demand, Value::palloced(question.model), expires_at,
                     time.now, begun.turn);
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
  Value content = Value::null();  // NULL: as it was saved last
  Value error = Value::null();
  Value metadata = Value::null();
};

Value int4_of(std::int64_t count) {
  if (count > std::numeric_limits<std::int32_t>::max())
    throw core::Failure(core::sqlstate::k_numeric_value_out_of_range, "a message has too many tokens");
  return Value::of(static_cast<std::int32_t>(count));
}

// Returns what records may refer to.
UsageDetail finish_reply(Spi& spi, const Reservation& reservation, const Reply& reply, const Settlement& settlement) {
  const Turn& turn = *reservation.turn;
  const Value user = Value::borrowed(reservation.user_id);
  const Value message = Value::borrowed(turn.assistant_message_id);
  const Value conversation = Value::borrowed(turn.conversation_id);
  const bool has_spent = settlement.tokens.total() > 0 || !settlement.charged_cost.is_zero();
  const auto spent = [has_spent](Value value) { return has_spent ? value : Value::null(); };
  const Rows finished = spi.execute(
      k_finish_reply,
      {message, Value::palloced(reply.status), reply.content, reply.error, spent(int4_of(settlement.tokens.prompt)),
       spent(int4_of(settlement.tokens.completion)), spent(int4_of(settlement.tokens.total())),
       spent(Value::palloced(settlement.charged_cost)), reply.metadata, user},
      Access::read_write);
  UsageDetail detail;
  if (!finished.empty()) {
    detail.message_id = message;
    detail.conversation_id = finished.value(0, 1, Type::uuid);  // the application may have moved it
    return detail;
  }
  // What is left of a turn that could not be finished: the conversation, then the message.
  if (try_keep_conversation(spi, reservation.user_id, conversation)) detail.conversation_id = conversation;
  if (try_keep_message(spi, reservation.user_id, message)) detail.message_id = message;
  return detail;
}

constinit RowType begin_row{CLAUDE_GPT_DECISION_COLUMNS,    {"conversation_id", Type::uuid},
                            {"message_id", Type::uuid},     {"assistant_message_id", Type::uuid},
                            {"reservation_id", Type::uuid}, {"expires_at", Type::timestamptz}};

constinit RowType end_row{{"message_id", Type::uuid},   {"conversation_id", Type::uuid},
                          {"total_tokens", Type::int8}, {"charged_cost", Type::numeric},
                          {"late", Type::boolean},      {"replayed", Type::boolean}};

Value end_row_of(const Reservation& reservation, const Settlement& settlement) {
  return end_row.row({Value::borrowed(reservation.turn->assistant_message_id),
                      Value::borrowed(reservation.turn->conversation_id), Value::of(settlement.tokens.total()),
                      Value::palloced(settlement.charged_cost), Value::of(settlement.is_late),
                      Value::of(settlement.is_replayed)});
}

std::int64_t require_page(const Call& call, int index) {
  constexpr std::int32_t k_most = 1000;
  const auto limit = call.required<std::int32_t>(index, "p_limit");
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
  IdempotentCall idempotent{spi, question.user_id, call, 10, "begin_turn", time.now};
  const FirstAnswer* first = idempotent.first_answer();
  const BegunTurn begun =
      first != nullptr ? repeat(spi, question.user_id, *first) : begin(spi, question, time, expires_at);
  const Decision& decision = begun.decision;
  if (first == nullptr && decision.is_allowed())
    idempotent.remember(
        {.standing = decision.standing, .resets_at = decision.resets_at, .reservation_id = begun.reservation_id});
  spi.finish();
  count_decision(core::Decider::begin_turn, decision.reason, decision.is_replayed);
  const auto of_turn = [&](core::Uuid Turn::*id) {
    return begun.turn ? Value::borrowed(*begun.turn.*id) : Value::null();
  };
  return begin_row.row(joined(
      decision, {of_turn(&Turn::conversation_id), of_turn(&Turn::user_message_id), of_turn(&Turn::assistant_message_id),
                 Value::or_null(begun.reservation_id), Value::or_null(begun.expires_at)}));
}

CLAUDE_GPT_FUNCTION(save_partial_of_user) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto id = call.required<core::Uuid>(1, "p_reservation_id");
  call.required<std::string_view>(2, "p_content");
  require_current_tables();
  Spi spi;
  if (spi.execute(k_save_partial, {Value::borrowed(user_id), Value::borrowed(id), call.argument(2)}, Access::read_write)
          .empty()) {
    lock_turn(spi, user_id, id);
    throw core::Failure(core::sqlstate::k_not_in_prerequisite_state,
                        "the turn of reservation \"" + id.to_text() + "\" is over");
  }
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(complete_turn_of_user) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto id = call.required<core::Uuid>(1, "p_reservation_id");
  call.required<std::string_view>(2, "p_content");
  Settlement settlement = require_settlement(call, 3, 4, 5, 7, 8);
  require_current_tables();
  const CallTime time = CallTime::of_now();
  Spi spi;
  const Reservation reservation = lock_turn(spi, user_id, id);
  settle(spi, reservation, settlement, time);
  if (!settlement.is_replayed) {
    const UsageDetail detail =
        finish_reply(spi, reservation, {"sent", call.argument(2), Value::null(), call.argument(6)}, settlement);
    record_settlement(reservation, settlement, detail, time);
  }
  spi.finish();
  return end_row_of(reservation, settlement);
}

CLAUDE_GPT_FUNCTION(fail_turn_of_user) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto id = call.required<core::Uuid>(1, "p_reservation_id");
  call.required<std::string_view>(2, "p_error_message");
  Settlement settlement = require_settlement(call, 3, 4, 6, 7, 8);
  settlement.has_failed = true;
  const bool has_cost = settlement.given_cost && !settlement.given_cost->is_zero();
  const bool costs_nothing = settlement.tokens.total() == 0 && !has_cost;
  require_current_tables();
  const CallTime time = CallTime::of_now();
  Spi spi;
  const Reservation reservation = lock_turn(spi, user_id, id);
  const Reply failed{"failed", call.argument(5), call.argument(2), Value::null()};
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
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto before = call.find<core::Uuid>(2);
  const std::int64_t limit = require_page(call, 3);
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  const Value user = Value::borrowed(user_id);
  Value moment;
  if (before) {
    const Rows anchor = spi.execute(k_find_conversation, {user, Value::borrowed(*before)}, Access::read_only);
    if (anchor.empty()) throw unknown_of("conversation", *before, "user");
    moment = anchor.value(0, 1, Type::timestamptz);
  }
  const Rows page =
      spi.execute(k_list_conversations, {user, call.argument(1), moment, Value::or_null(before), Value::of(limit)},
                  Access::read_only);
  if (page.empty()) find_user(spi, user_id, Access::read_only);
  result.add(page);
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(conversation_messages) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto conversation_id = call.required<core::Uuid>(1, "p_conversation_id");
  const auto before = call.find<core::Uuid>(2);
  const std::int64_t limit = require_page(call, 3);
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  const Value conversation = Value::borrowed(conversation_id);
  if (spi.execute(k_find_conversation, {Value::borrowed(user_id), conversation}, Access::read_only).empty())
    throw unknown_of("conversation", conversation_id, "user");
  if (!before) {
    result.add(spi.execute(k_first_page, {conversation, Value::of(limit)}, Access::read_only));
  } else {
    const Rows anchor = spi.execute(k_find_anchor, {conversation, Value::borrowed(*before)}, Access::read_only);
    if (anchor.empty()) throw unknown_of("message", *before, "conversation");
    result.add(spi.execute(
        k_next_page, {conversation, Value::of(limit), anchor.value(0, 1, Type::timestamptz), Value::borrowed(*before)},
        Access::read_only));
  }
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(conversation_path) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto leaf_id = call.required<core::Uuid>(1, "p_leaf_message_id");
  const auto most_tokens = call.find<std::int32_t>(2);
  if (most_tokens && *most_tokens < 1) throw_invalid("p_max_tokens must be at least 1");
  const Value most = most_tokens ? Value::of(std::int64_t{*most_tokens}) : Value::null();
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  const Rows path = spi.execute(k_path, {Value::borrowed(user_id), Value::borrowed(leaf_id), most}, Access::read_only);
  if (path.empty()) throw unknown_of("message", leaf_id, "user");
  result.add(path);
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(delete_conversation) {
  const auto user_id = call.required<core::Uuid>(0, "p_user_id");
  const auto conversation_id = call.required<core::Uuid>(1, "p_conversation_id");
  require_current_tables();
  Spi spi;
  const Value user = Value::borrowed(user_id);
  // The user first, as everywhere.
  lock_user(spi, user_id);
  const Value conversation = Value::borrowed(conversation_id);
  if (spi.execute(k_find_conversation, {user, conversation}, Access::read_write).empty())
    throw unknown_of("conversation", conversation_id, "user");
  spi.execute(k_lock_messages, {conversation}, Access::read_write);
  if (spi.execute(k_delete_conversation, {user, conversation}, Access::read_write).empty())
    throw unknown_of("conversation", conversation_id, "user");
  spi.finish();
  return no_result();
}

}  // namespace claude_gpt::api
