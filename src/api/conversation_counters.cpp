// Topic conversations: maintain_conversation_counters(), the trigger that keeps the counters of conversations true to
// their messages.
#include "core/conversations.hpp"

#include <array>

#include "bridge/entry.hpp"
#include "bridge/rights.hpp"
#include "bridge/spi.hpp"
#include "bridge/trigger.hpp"
#include "store/conversations.hpp"
#include "store/messages.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

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

std::int64_t tokens_of(const TransitionTable& table, int row) {
  const auto tokens = [&](int column) -> std::optional<std::int32_t> {
    const Cell& cell = table.cell(row, column);
    return cell.is_null ? std::nullopt : std::optional{static_cast<std::int32_t>(cell.integer)};
  };
  return core::counted_tokens(tokens(column::total_tokens), tokens(column::prompt_tokens),
                              tokens(column::completion_tokens));
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

Result<store::Parent> keep_parents(Spi& spi, const std::vector<Reply>& replies) {
  if (replies.size() == 1) return store::keep_parent(spi, replies[0].parent_id);
  MessageIds parents;
  for (const Reply& reply : replies) parents.push_back(reply.parent_id);
  return store::keep_parents(spi, parents);
}

void check_parents(Spi& spi, const std::vector<Reply>& replies) {
  if (replies.empty()) return;
  const auto parents = keep_parents(spi, replies);
  // The first of the statement is told of, in whatever order the parents were found.
  const Reply* unsound = nullptr;
  for (const store::Parent& parent : parents)
    for (const Reply& reply : replies) {
      if (reply.parent_id != parent.id) continue;
      const bool is_sound = reply.conversation_id == parent.conversation_id && reply.id != parent.id;
      if (!is_sound && (unsound == nullptr || &reply < unsound)) unsound = &reply;
    }
  if (unsound != nullptr) throw_unsound(unsound->id, unsound->parent_id);
  spi.release(parents);
}

void check_replies(Spi& spi, const MessageIds& moved) {
  if (moved.empty()) return;
  spi.release(store::wait_for_replies(spi, moved));
  const auto replies = store::find_replies(spi, moved);
  for (const store::ReplyToMoved& reply : replies)
    if (!reply.is_in_the_same_conversation) throw_unsound(reply.id, reply.parent_id);
  spi.release(replies);
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

// Locks the conversations in the order of their ids.
void apply_changes(const core::CounterChanges& changes) {
  for (const auto& [conversation_id, change] : changes.in_lock_order()) {
    const auto newest = store::count_messages(conversation_id, change);
    if (change.may_lose_newest() && newest && *newest <= *change.newest_removed)
      store::find_newest_again(conversation_id);
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
    case Trigger::Event::truncate: store::count_nothing(spi); break;
  }
  spi.finish();
  apply_changes(changes);
  return no_result();
}

}  // namespace claude_gpt::api
