// Topic conversations: maintain_conversation_counters(), the trigger that keeps the counters of conversations true to
// their messages.
#include "core/conversations.hpp"

#include <array>

#include "bridge/array.hpp"
#include "bridge/entry.hpp"
#include "bridge/rights.hpp"
#include "bridge/spi.hpp"
#include "bridge/trigger.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// clang-format off
#define CLAUDE_GPT_COUNT_MESSAGES                                                                          \
  "UPDATE claude_gpt_data.conversations AS c SET"                                                               \
  " message_count = c.message_count OPERATOR(pg_catalog.+) $2,"                                            \
  " total_tokens = c.total_tokens OPERATOR(pg_catalog.+) $3,"                                              \
  " total_cost = c.total_cost OPERATOR(pg_catalog.+) $4,"                                                  \
  " last_message_at = CASE WHEN c.message_count OPERATOR(pg_catalog.=) 0 THEN COALESCE($5, c.last_message_at)" \
  "   ELSE GREATEST(c.last_message_at, $5) END"                                                            \
  " WHERE c.id OPERATOR(pg_catalog.=) $1"
// clang-format on

constinit Statement k_count{
    "conversations", CLAUDE_GPT_COUNT_MESSAGES, {Type::uuid, Type::int4, Type::int8, Type::numeric, Type::timestamptz}};

// clang-format off
constinit Statement k_count_and_tell_newest{"conversations", CLAUDE_GPT_COUNT_MESSAGES " RETURNING c.last_message_at",
                                            {Type::uuid, Type::int4, Type::int8, Type::numeric, Type::timestamptz}};
// clang-format on

// Runs with the row locked by the statement before, so that no message can come or go unseen meanwhile.
constinit Statement k_find_newest_again{"conversations",
                                        R"sql(
    UPDATE claude_gpt_data.conversations AS c SET last_message_at = COALESCE(
     (SELECT m.created_at FROM claude_gpt_data.messages AS m
      WHERE m.conversation_id OPERATOR(pg_catalog.=) c.id AND m.status OPERATOR(pg_catalog.<>) 'deleted'
      ORDER BY m.created_at DESC, m.id DESC LIMIT 1), c.created_at)
    WHERE c.id OPERATOR(pg_catalog.=) $1
    )sql",
                                        {Type::uuid}};

constinit Statement k_count_nothing{"conversations",
                                    R"sql(
    UPDATE claude_gpt_data.conversations AS c SET message_count = 0, total_tokens = 0, total_cost = 0, last_message_at = c.created_at
    WHERE c.message_count OPERATOR(pg_catalog.<>) 0 OR c.total_tokens OPERATOR(pg_catalog.<>) 0
    OR c.total_cost OPERATOR(pg_catalog.<>) 0
    )sql"};

// Parents of new replies, by their primary key alone: a plan must not hang on how many messages had parents when the
// statistics were made. The lock is the one the foreign key took already: it lets the parent change, but makes whoever
// moves it wait.
// clang-format off
#define CLAUDE_GPT_FIND_PARENTS(condition) \
  "SELECT p.id, p.conversation_id FROM claude_gpt_data.messages AS p WHERE p.id OPERATOR(pg_catalog.=) " condition " FOR KEY SHARE"
// clang-format on

constinit Statement k_find_parent{"messages", CLAUDE_GPT_FIND_PARENTS("$1"), {Type::uuid}};
constinit Statement k_find_parents{
    "messages", CLAUDE_GPT_FIND_PARENTS("ANY ($1)"), {Type::uuid_array}, Planning::by_values};

// The next two take ids as an array, so that any plan goes by the indexes, however stale the statistics.
// $1: messages that were moved to another conversation. Waits for replies that are being written.
constinit Statement k_wait_for_replies{"messages",
                                       R"sql(
    SELECT 1 FROM pg_catalog.unnest($1) AS moved (id)
    JOIN claude_gpt_data.messages AS p ON p.id OPERATOR(pg_catalog.=) moved.id FOR UPDATE OF p
    )sql",
                                       {Type::uuid_array},
                                       Planning::by_values};

// $1: the same. Under the latest snapshot, for the replies that were waited for.
constinit Statement k_find_replies{"messages",
                                   R"sql(
    SELECT m.id, p.id, m.conversation_id OPERATOR(pg_catalog.=) p.conversation_id
    FROM pg_catalog.unnest($1) AS moved (id)
    JOIN claude_gpt_data.messages AS p ON p.id OPERATOR(pg_catalog.=) moved.id
    JOIN claude_gpt_data.messages AS m ON m.parent_message_id OPERATOR(pg_catalog.=) moved.id
    )sql",
                                   {Type::uuid_array},
                                   Planning::by_values};

namespace column {
enum : int {
  id,
  conversation_id,
  parent_message_id,
  status,
  prompt_tokens,
  completion_tokens,
  total_tokens,
  cost,
  created_at
};
}

constexpr std::array<TransitionColumn, 9> k_columns = {{{"id", Type::uuid},
                                                        {"conversation_id", Type::uuid},
                                                        {"parent_message_id", Type::uuid},
                                                        {"status", Type::text, "deleted"},
                                                        {"prompt_tokens", Type::int4},
                                                        {"completion_tokens", Type::int4},
                                                        {"total_tokens", Type::int4},
                                                        {"cost", Type::numeric},
                                                        {"created_at", Type::timestamptz}}};

// A row whose total is not given counts with its parts.
std::int64_t tokens_of(const TransitionTable& table, int row) {
  const Cell& total = table.cell(row, column::total_tokens);
  if (!total.is_null) return total.integer;
  return table.cell(row, column::prompt_tokens).integer + table.cell(row, column::completion_tokens).integer;
}

core::CountedMessage message_of(const TransitionTable& table, int row) {
  return {table.cell(row, column::conversation_id).uuid,
          table.cell(row, column::status).text_matches,
          tokens_of(table, row),
          table.cell(row, column::cost).amount,
          {table.cell(row, column::created_at).integer}};
}

using MessageIds = std::vector<core::Uuid>;

// A message that was given a parent.
struct Reply {
  core::Uuid id;
  core::Uuid conversation_id;
  core::Uuid parent_id;
};

Reply reply_in(const TransitionTable& table, int row) {
  return {table.cell(row, column::id).uuid, table.cell(row, column::conversation_id).uuid,
          table.cell(row, column::parent_message_id).uuid};
}

[[noreturn]] void throw_unsound(const core::Uuid& message, const core::Uuid& parent) {
  throw core::Failure(core::sqlstate::k_check_violation, "message \"" + message.to_text() + "\" and its parent \"" +
                                                             parent.to_text() +
                                                             "\" must be two messages of one conversation");
}

Rows find_parents(Spi& spi, const std::vector<Reply>& replies) {
  if (replies.size() == 1)
    return spi.execute(k_find_parent, {Value::borrowed(replies[0].parent_id)}, Access::read_write);
  MessageIds parents;
  for (const Reply& reply : replies) parents.push_back(reply.parent_id);
  return spi.execute(k_find_parents, {palloced_array(parents)}, Access::read_write);
}

void check_parents(Spi& spi, const std::vector<Reply>& replies) {
  if (replies.empty()) return;
  const Rows parents = find_parents(spi, replies);
  for (std::uint64_t row = 0; row < parents.count(); ++row) {
    const auto id = parents.get<core::Uuid>(row, 1);
    const auto conversation = parents.get<core::Uuid>(row, 2);
    for (const Reply& reply : replies)
      if (reply.parent_id == id && (reply.conversation_id != conversation || reply.id == id))
        throw_unsound(reply.id, id);
  }
  spi.release(parents);
}

// Each row of the result: a message, its parent, and whether the two may stay so.
void require_sound(Spi& spi, const Rows& pairs) {
  for (std::uint64_t row = 0; row < pairs.count(); ++row)
    if (!pairs.get<bool>(row, 3)) throw_unsound(pairs.get<core::Uuid>(row, 1), pairs.get<core::Uuid>(row, 2));
  spi.release(pairs);
}

void check_replies(Spi& spi, const MessageIds& moved) {
  if (moved.empty()) return;
  const Value ids = palloced_array(moved);
  spi.release(spi.execute(k_wait_for_replies, {ids}, Access::read_write));
  require_sound(spi, spi.execute(k_find_replies, {ids}, Access::latest));
}

// Whether a reply's parent was inserted before it by the same statement, into the same conversation: nobody else can
// have seen it, and there is nothing to look up.
bool follows_its_parent(const TransitionTable& inserted, int row) {
  const Reply reply = reply_in(inserted, row);
  for (int earlier = row - 1; earlier >= 0; --earlier)
    if (inserted.cell(earlier, column::id).uuid == reply.parent_id)
      return inserted.cell(earlier, column::conversation_id).uuid == reply.conversation_id;
  return false;
}

bool same(const TransitionTable& before, const TransitionTable& after, int row, int column) {
  const Cell& a = before.cell(row, column);
  const Cell& b = after.cell(row, column);
  return a.is_null == b.is_null && a.uuid == b.uuid;
}

void take_inserted(const Trigger& trigger, Spi& spi, core::CounterChanges& changes) {
  TransitionTable inserted{trigger, TransitionTable::Which::new_rows, k_columns};
  std::vector<Reply> replies;
  while (const int rows = inserted.next_batch()) {
    replies.clear();
    for (int row = 0; row < rows; ++row) {
      changes.add(message_of(inserted, row));
      if (!inserted.cell(row, column::parent_message_id).is_null && !follows_its_parent(inserted, row))
        replies.push_back(reply_in(inserted, row));
    }
    check_parents(spi, replies);
  }
  inserted.finish();
}

void take_deleted(const Trigger& trigger, core::CounterChanges& changes) {
  TransitionTable deleted{trigger, TransitionTable::Which::old_rows, k_columns};
  while (const int rows = deleted.next_batch())
    for (int row = 0; row < rows; ++row) changes.remove(message_of(deleted, row));
  deleted.finish();
}

void take_updated(const Trigger& trigger, Spi& spi, core::CounterChanges& changes) {
  TransitionTable before{trigger, TransitionTable::Which::old_rows, k_columns};
  TransitionTable after{trigger, TransitionTable::Which::new_rows, k_columns};
  std::vector<Reply> replies;
  MessageIds moved;
  // Both hold a row for each update, in the same order; were it not the same, too much would be checked, not too
  // little.
  while (const int rows = after.next_batch()) {
    if (before.next_batch() != rows)
      throw core::Failure(core::sqlstate::k_internal_error, "transition tables differ in length");
    replies.clear();
    moved.clear();
    for (int row = 0; row < rows; ++row) {
      changes.remove(message_of(before, row));
      changes.add(message_of(after, row));
      const bool stayed = same(before, after, row, column::id) && same(before, after, row, column::conversation_id);
      const core::Uuid& id = after.cell(row, column::id).uuid;
      if (!stayed) moved.push_back(id);
      const bool is_reply = !after.cell(row, column::parent_message_id).is_null;
      if (is_reply && (!stayed || !same(before, after, row, column::parent_message_id)))
        replies.push_back(reply_in(after, row));
    }
    check_parents(spi, replies);
    check_replies(spi, moved);
  }
  before.finish();
  after.finish();
}

void apply_changes(Spi& spi, const core::CounterChanges& changes) {
  for (const auto& [conversation_id, change] : changes.in_lock_order()) {
    const Value conversation = Value::borrowed(conversation_id);
    // No row is touched when the conversation itself is being deleted, and its messages with it.
    const Rows counted =
        spi.execute(change.may_lose_newest() ? k_count_and_tell_newest : k_count,
                    {conversation, Value::of(static_cast<std::int32_t>(change.messages)), Value::of(change.tokens),
                     Value::palloced(change.cost), Value::or_null(change.newest_added)},
                    Access::read_write);
    if (!change.may_lose_newest()) continue;
    const bool lost_newest = !counted.empty() && counted.get<core::Instant>(0, 1) <= *change.newest_removed;
    spi.release(counted);
    if (lost_newest) spi.execute(k_find_newest_again, {conversation}, Access::read_write);
  }
}

}  // namespace

CLAUDE_GPT_FUNCTION(maintain_conversation_counters) {
  Trigger trigger{call};
  trigger.require_after("maintain_conversation_counters");
  require_rights_over("conversations", trigger.table_owner());
  Spi spi;
  core::CounterChanges changes;
  switch (trigger.event()) {
    case Trigger::Event::insert: take_inserted(trigger, spi, changes); break;
    case Trigger::Event::update: take_updated(trigger, spi, changes); break;
    case Trigger::Event::remove: take_deleted(trigger, changes); break;
    case Trigger::Event::truncate: spi.execute(k_count_nothing, {}, Access::read_write); break;
  }
  apply_changes(spi, changes);
  spi.finish();
  return no_result();
}

}  // namespace claude_gpt::api
