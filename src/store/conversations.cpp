#include "store/conversations.hpp"

#include "bridge/clock.hpp"
#include "store/followed.hpp"
#include "store/messages.hpp"
#include "store/rows.hpp"
#include "store/stored_row.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constexpr SqlText k_of_the_user{R"sql(
    WHERE c.id OPERATOR(pg_catalog.=) $2 AND c.user_id OPERATOR(pg_catalog.=) $1
    )sql"};

constexpr auto k_find_text = R"sql(
    SELECT c.last_message_at FROM claude_gpt_data.conversations AS c )sql" +
                             k_of_the_user;
constinit Query<std::optional<core::Instant>(core::Uuid, core::Uuid)> k_find{"conversations", k_find_text};

constexpr SqlText k_its_messages{R"sql(
    SELECT n.id FROM claude_gpt_data.conversations AS c CROSS JOIN LATERAL (
        SELECT k.id FROM claude_gpt_data.messages AS k
        WHERE k.conversation_id OPERATOR(pg_catalog.=) c.id AND k.status OPERATOR(pg_catalog.<>) 'deleted'
    )sql"};
constexpr SqlText k_newest_is_kept{R"sql(
        ORDER BY k.created_at DESC, k.id DESC LIMIT 1 FOR KEY SHARE) AS n
    WHERE c.id OPERATOR(pg_catalog.=) $2 AND c.user_id OPERATOR(pg_catalog.=) $1
    )sql"};

// No reply follows. Scalars here and below, for which no plan reads the whole table.
constexpr SqlText k_has_no_reply{R"sql(
        AND (SELECT r.id FROM claude_gpt_data.messages AS r WHERE r.parent_message_id OPERATOR(pg_catalog.=) k.id
            AND r.status OPERATOR(pg_catalog.<>) 'deleted' LIMIT 1) IS NULL
    )sql"};

constexpr auto k_keep_newest_leaf_text = k_its_messages + k_has_no_reply + R"sql(
        AND (SELECT )sql" + k_followed + R"sql( OPERATOR(pg_catalog.=) k.id FROM (
                SELECT COALESCE(f.parent_message_id, f.id) AS id FROM claude_gpt_data.messages AS f
                WHERE f.conversation_id OPERATOR(pg_catalog.=) k.conversation_id
                AND ROW(f.created_at, f.id) OPERATOR(pg_catalog.>) ROW(k.created_at, k.id)
                AND f.status OPERATOR(pg_catalog.<>) 'deleted' ORDER BY f.created_at, f.id LIMIT 1) AS f
            JOIN claude_gpt_data.messages AS m ON m.id OPERATOR(pg_catalog.=) f.id
            WHERE )sql" + k_has_no_parent +
                                         R"sql( LIMIT 1) IS NOT TRUE )sql" + k_newest_is_kept;
constinit Query<core::Uuid(core::Uuid, core::Uuid)> k_keep_newest_leaf{"conversations", k_keep_newest_leaf_text};

// Where times and parents tell of a ring, so that everything is followed by something.
constexpr auto k_keep_newest_reply_text = k_its_messages + k_has_no_reply + k_newest_is_kept;
constinit Query<core::Uuid(core::Uuid, core::Uuid)> k_keep_newest_reply{"conversations", k_keep_newest_reply_text};
constexpr auto k_keep_newest_text = k_its_messages + k_newest_is_kept;
constinit Query<core::Uuid(core::Uuid, core::Uuid)> k_keep_newest{"conversations", k_keep_newest_text};

constexpr auto k_delete_text = R"sql(
    DELETE FROM claude_gpt_data.conversations AS c )sql" +
                               k_of_the_user;
constinit Query<void(core::Uuid, core::Uuid)> k_delete{"conversations", k_delete_text};

// $3, $4: the last one that the caller has, NULL for the first page.
constinit Query<PassedOn(core::Uuid, std::optional<bool>, std::optional<core::Instant>, std::optional<core::Uuid>,
                         std::int64_t)>
    k_list{"conversations", R"sql(
    SELECT c.id, c.title::pg_catalog.text, c.summary, c.message_count, c.total_tokens, c.total_cost,
    c.is_archived, c.is_pinned, c.created_at, c.last_message_at, n.content, n.role::pg_catalog.text
    FROM (
        SELECT * FROM claude_gpt_data.conversations AS o WHERE o.user_id OPERATOR(pg_catalog.=) $1
        AND ($2 IS NULL OR o.is_archived OPERATOR(pg_catalog.=) $2)
        AND ($3 IS NULL OR ROW(o.last_message_at, o.id) OPERATOR(pg_catalog.<) ROW($3, $4))
        ORDER BY o.last_message_at DESC, o.id DESC LIMIT $5) AS c
    LEFT JOIN LATERAL (
        SELECT m.content, m.role FROM claude_gpt_data.messages AS m
        WHERE m.conversation_id OPERATOR(pg_catalog.=) c.id AND m.status OPERATOR(pg_catalog.<>) 'deleted'
        ORDER BY m.created_at DESC, m.id DESC LIMIT 1) AS n ON true
    ORDER BY c.last_message_at DESC, c.id DESC
    )sql",
           Planning::by_values};

// Runs with the row locked by the statement before, so that no message can come or go unseen meanwhile.
constinit Query<void(core::Uuid)> k_find_newest_again{"conversations", R"sql(
    UPDATE claude_gpt_data.conversations AS c SET last_message_at = COALESCE(
        (SELECT m.created_at FROM claude_gpt_data.messages AS m
         WHERE m.conversation_id OPERATOR(pg_catalog.=) c.id AND m.status OPERATOR(pg_catalog.<>) 'deleted'
         ORDER BY m.created_at DESC, m.id DESC LIMIT 1), c.created_at)
    WHERE c.id OPERATOR(pg_catalog.=) $1
    )sql"};

constinit Query<void()> k_count_nothing{"conversations", R"sql(
    UPDATE claude_gpt_data.conversations AS c
    SET message_count = 0, total_tokens = 0, total_cost = 0, last_message_at = c.created_at
    WHERE c.message_count OPERATOR(pg_catalog.<>) 0 OR c.total_tokens OPERATOR(pg_catalog.<>) 0
    OR c.total_cost OPERATOR(pg_catalog.<>) 0
    )sql"};

bool is_of(const Row<Messages>& message, const core::Uuid& conversation_id) {
  return message.get<Messages::conversation_id>() == conversation_id && message.get<Messages::status>() != "deleted";
}

// What could be found directly: `followed`, where the newest is no leaf.
struct NewestDirectly {
  std::optional<core::Uuid> id = std::nullopt;
  bool is_followed = false;
};

NewestDirectly keep_newest_directly(HeapRow& heap, const core::Uuid& conversation_id) {
  Row<Messages> row;
  while (heap.find_newest(conversation_id, row.values()) == HeapRow::Found::row) {
    const core::Uuid id = row.get<Messages::id>();
    if (heap.is_referred_to(id, HeapRow::States::present)) return {.is_followed = true};
    // Another is the newest where somebody has deleted or moved it meanwhile, also by an update that was in progress.
    if (heap.lock(HeapRow::Lock::key_share, row.values()) == HeapRow::Found::row &&
        heap.find(id, row.values()) == HeapRow::Found::row && is_of(row, conversation_id))
      return {id};
  }
  return {};
}

std::optional<core::Uuid> keep_newest_by_spi(const core::Uuid& user_id, const core::Uuid& id, bool has_messages) {
  Spi spi;
  auto found = spi.execute(k_keep_newest_leaf, Access::read_write, user_id, id).find();
  // Again where it was deleted meanwhile: then another one is it, or there is none.
  for (auto* query : {&k_keep_newest_leaf, &k_keep_newest_reply, &k_keep_newest})
    if (!found && has_messages) found = spi.execute(*query, Access::read_write, user_id, id).find();
  spi.finish();
  return found;
}

Place keep_newest_of(const core::Uuid& user_id, const core::Uuid& id, bool has_messages) {
  HeapRow heap{Messages::rows()};
  if (heap.open(RowUse::lock)) {
    const bool is_direct = heap.can_find_newest() && heap.can_find_referring();
    const NewestDirectly newest = is_direct ? keep_newest_directly(heap, id) : NewestDirectly{.is_followed = true};
    const LockedAt kept = LockedAt::now();
    heap.finish();
    if (!newest.is_followed) return {.message_id = newest.id, .kept = kept};
  }
  return {.message_id = keep_newest_by_spi(user_id, id, has_messages)};
}

struct KeptConversation {
  LockedAt at;
  bool has_messages;
  std::optional<core::Instant> newest;
};

std::optional<KeptConversation> keep(const core::Uuid& user_id, const core::Uuid& id) {
  StoredRow<Conversations> conversation{id, user_id};
  conversation.open(RowUse::lock);
  std::optional<KeptConversation> kept;
  if (conversation.lock(RowLock::key_share)) {
    const Row<Conversations>& row = conversation.row();
    const bool has_messages = row.find<Conversations::message_count>().value_or(1) > 0;
    kept = {conversation.locked_at(), has_messages,
            has_messages ? row.find<Conversations::last_message_at>() : std::nullopt};
  }
  conversation.finish();
  return kept;
}

core::ConversationCounters counters_of(const Row<Conversations>& row) {
  return {row.get<Conversations::message_count>(), row.get<Conversations::total_tokens>(),
          row.get<Conversations::total_cost>(), row.get<Conversations::last_message_at>()};
}

void put_counters(const core::ConversationCounters& counters, Changes<Conversations>& changes) {
  changes.set<Conversations::message_count>(static_cast<std::int32_t>(counters.messages));
  changes.set<Conversations::total_tokens>(counters.tokens);
  changes.set<Conversations::total_cost>(counters.cost);
  changes.set<Conversations::last_message_at>(counters.newest);
  changes.set<Conversations::last_message_on>(core::utc_day(counters.newest));
  changes.set<Conversations::updated_at>(clock::transaction_start());
}

}  // namespace

LockedAt insert_conversation(const core::Uuid& id, const core::Uuid& user_id, LockedAt user) {
  const core::Instant now = clock::transaction_start();
  NewRow<Conversations> conversation;
  conversation.set<Conversations::id>(id);
  conversation.set<Conversations::user_id>(user_id);
  conversation.set<Conversations::last_message_at>(now);
  conversation.set<Conversations::last_message_on>(core::utc_day(now));
  return insert_row(conversation, user.holds());
}

Result<std::optional<core::Instant>> find_conversation(Spi& spi, const core::Uuid& user_id, const core::Uuid& id,
                                                       Access access) {
  return spi.execute(k_find, access, user_id, id);
}

bool keep_conversation(const core::Uuid& user_id, const core::Uuid& id) { return keep(user_id, id).has_value(); }

std::optional<Place> keep_newest_message(const core::Uuid& user_id, const core::Uuid& id) {
  const auto kept = keep(user_id, id);
  if (!kept) return std::nullopt;
  Place place = keep_newest_of(user_id, id, kept->has_messages);
  place.newest = kept->newest;
  if (!kept->at.holds()) place.kept = {};
  return place;
}

std::optional<GivenMessage> keep_given_message(const core::Uuid& user_id, const core::Uuid& id,
                                               const core::Uuid& message_id) {
  const auto kept = keep(user_id, id);
  if (!kept) return std::nullopt;
  GivenMessage given;
  given.newest = kept->newest;
  StoredRow<Messages> message{message_id};
  message.open(RowUse::lock);
  const Row<Messages>& row = message.row();
  // The lock does not wait for an update in progress that moves it, but for the look of that at replies: then the next
  // look finds it moved.
  std::optional<core::Instant> followed_by_time;
  if (message.find() && is_of(row, id) && message.lock(RowLock::key_share) && message.find() && is_of(row, id)) {
    given = {row.get<Messages::id>(),
             row.get<Messages::role>() == "user",
             row.get<Messages::role>() == "tool",
             row.find<Messages::parent_message_id>(),
             kept->newest,
             kept->at.holds() ? message.locked_at() : LockedAt{}};
    if (!given.followed_id && !row.get<Messages::is_root>()) followed_by_time = row.get<Messages::created_at>();
  }
  message.finish();
  if (followed_by_time) {
    Spi spi;
    given.followed_id = keep_message_before(spi, id, *followed_by_time, message_id);
    spi.finish();
  }
  return given;
}

bool delete_conversation(Spi& spi, const core::Uuid& user_id, const core::Uuid& id) {
  return !spi.execute(k_delete, Access::read_write, user_id, id).empty();
}

Result<PassedOn> list_conversations(Spi& spi, const core::Uuid& user_id, std::optional<bool> is_archived,
                                    const ConversationsBefore& before, std::int64_t most) {
  return spi.execute(k_list, Access::read_only, user_id, is_archived, before.last_message_at, before.id, most);
}

std::optional<core::Instant> count_messages(const core::Uuid& id, const core::CounterChange& change, bool is_own) {
  StoredRow<Conversations> conversation{id, std::nullopt, is_own};
  conversation.open(RowUse::write);
  std::optional<core::Instant> newest;
  const auto end = conversation.change([&](const Row<Conversations>& row, Changes<Conversations>& changes) {
    const auto after = core::counters_after(counters_of(row), change);
    newest = after.newest;
    put_counters(after, changes);
    return RowStep::write;
  });
  conversation.finish();
  return end == RowEnd::written ? newest : std::nullopt;
}

void find_newest_again(const core::Uuid& id) {
  Spi spi;
  spi.execute(k_find_newest_again, Access::read_write, id);
  spi.finish();
}

void count_nothing(Spi& spi) { spi.execute(k_count_nothing, Access::read_write); }

}  // namespace claude_gpt::store
