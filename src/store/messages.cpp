#include "store/messages.hpp"

#include "bridge/clock.hpp"
#include "store/followed.hpp"
#include "store/rows.hpp"
#include "store/stored_row.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

// Written so that the planner does not take the index over statuses, and read every reply that is being streamed.
constexpr SqlText k_is_sending{R"sql( CASE WHEN m.status OPERATOR(pg_catalog.=) 'sending' THEN true END )sql"};

constexpr auto k_save_partial_text = R"sql(
    UPDATE claude_gpt_data.messages AS m SET content = $3, parts = COALESCE($4, m.parts)
    FROM claude_gpt_data.usage_reservations AS r
    WHERE r.id OPERATOR(pg_catalog.=) $2 AND r.user_id OPERATOR(pg_catalog.=) $1
    AND m.id OPERATOR(pg_catalog.=) r.assistant_message_id AND m.user_id OPERATOR(pg_catalog.=) $1 AND
    )sql" + k_is_sending;
constinit Query<void(core::Uuid, core::Uuid, std::string_view, std::optional<UnreadJsonb>)> k_save_partial{
    "messages", k_save_partial_text};

constinit Query<void(core::Uuid)> k_lock_of_conversation{"messages", R"sql(
    SELECT pg_catalog.count(*) FROM (
        SELECT 1 FROM claude_gpt_data.messages AS m WHERE m.conversation_id OPERATOR(pg_catalog.=) $1
        ORDER BY m.id FOR NO KEY UPDATE) AS locked
    )sql"};

constinit Query<std::optional<core::Instant>(core::Uuid, core::Uuid)> k_find{"messages", R"sql(
    SELECT m.created_at FROM claude_gpt_data.messages AS m
    WHERE m.id OPERATOR(pg_catalog.=) $2 AND m.conversation_id OPERATOR(pg_catalog.=) $1
    )sql"};

// Two statements, so that both begin where the index says.
constexpr SqlText k_page{R"sql(
    SELECT m.id, m.parent_message_id, m.role::pg_catalog.text, m.content, m.parts,
    m.content_type::pg_catalog.text, m.model_used::pg_catalog.text, m.prompt_tokens, m.completion_tokens,
    m.total_tokens, m.cost, m.cached_prompt_tokens, m.cache_write_tokens, m.reasoning_tokens,
    m.status::pg_catalog.text, m.error_message, m.metadata, m.created_at, m.updated_at
    FROM claude_gpt_data.messages AS m
    WHERE m.conversation_id OPERATOR(pg_catalog.=) $1 AND m.status OPERATOR(pg_catalog.<>) 'deleted'
    )sql"};
constexpr SqlText k_newest_first{R"sql( ORDER BY m.created_at DESC, m.id DESC LIMIT $2 )sql"};

constexpr auto k_first_page_text = k_page + k_newest_first;
constinit Query<PassedOn(core::Uuid, std::int64_t)> k_first_page{"messages", k_first_page_text};

constexpr auto k_next_page_text =
    k_page + R"sql( AND ROW(m.created_at, m.id) OPERATOR(pg_catalog.<) ROW($3, $4) )sql" + k_newest_first;
constinit Query<PassedOn(core::Uuid, std::int64_t, std::optional<core::Instant>, core::Uuid)> k_next_page{
    "messages", k_next_page_text};

constexpr auto k_before = messages_before("$1", "$2", "$3");
constexpr SqlText k_is_kept{R"sql( FOR KEY SHARE )sql"};

constexpr auto k_keep_before_text = k_before + k_newest_before + k_is_kept;
constinit Query<core::Uuid(core::Uuid, core::Instant, core::Uuid)> k_keep_before{"messages", k_keep_before_text};

// $4: its replies before it was deleted, some of which may be handed over already.
constexpr auto k_keep_before_deleted_text =
    k_before + R"sql( AND b.id OPERATOR(pg_catalog.<>) ALL ($4) )sql" + k_newest_before + k_is_kept;
constinit Query<core::Uuid(core::Uuid, core::Instant, core::Uuid, std::span<const core::Uuid>)> k_keep_before_deleted{
    "messages", k_keep_before_deleted_text};

constinit Query<DeletedMessage(core::Uuid)> k_find_deleted{"messages", R"sql(
    SELECT m.conversation_id, m.parent_message_id, m.is_root, m.created_at FROM claude_gpt_data.messages AS m
    WHERE m.id OPERATOR(pg_catalog.=) $1
    )sql"};

constinit Query<core::Uuid(core::Uuid)> k_replies{"messages", R"sql(
    SELECT m.id FROM claude_gpt_data.messages AS m WHERE m.parent_message_id OPERATOR(pg_catalog.=) $1
    )sql"};

constinit Query<core::Uuid(core::Uuid)> k_find_reply{"messages", R"sql(
    SELECT m.id FROM claude_gpt_data.messages AS m WHERE m.parent_message_id OPERATOR(pg_catalog.=) $1 LIMIT 1
    )sql"};

constinit Query<void(core::Uuid, std::optional<core::Uuid>)> k_hand_over{"messages", R"sql(
    UPDATE claude_gpt_data.messages AS m SET
    parent_message_id = CASE WHEN m.id OPERATOR(pg_catalog.<>) $2 THEN $2 END,
    is_root = $2 IS NULL OR m.id OPERATOR(pg_catalog.=) $2
    WHERE m.parent_message_id OPERATOR(pg_catalog.=) $1
    )sql"};

// From the leaf to the root, in the order in which the recursion finds them. UNION ends a ring, into which an
// application could tie parents. Siblings follow the same message, or none. The one that follows without a parent is
// looked for from one row on, without an OR, so that the index leads to it, and LIMIT keeps a step from being joined to
// all messages: else each step reads the whole history. What was stopped before it said anything is left out: providers
// refuse a message of nothing, and every later turn with it.
constexpr auto k_path_text = R"sql(
    WITH RECURSIVE found AS (
        SELECT m.id, )sql" + k_followed +
                             R"sql( AS before FROM claude_gpt_data.messages AS m
        JOIN claude_gpt_data.conversations AS c ON c.id OPERATOR(pg_catalog.=) m.conversation_id
        WHERE m.id OPERATOR(pg_catalog.=) $2 AND c.user_id OPERATOR(pg_catalog.=) $1
        AND m.status OPERATOR(pg_catalog.<>) 'deleted'
        UNION SELECT m.id, )sql" +
                             k_followed + R"sql( AS before FROM found AS f
        CROSS JOIN LATERAL (SELECT p.* FROM claude_gpt_data.messages AS p
            WHERE p.id OPERATOR(pg_catalog.=) f.before LIMIT 1) AS m),
    branch AS (SELECT f.id, f.before, pg_catalog.row_number() OVER () OPERATOR(pg_catalog.-) 1 AS steps FROM found AS f),
    shown AS (
        SELECT b.steps, b.before, m.id, m.conversation_id, m.parent_message_id, m.role, m.content, m.parts, m.content_type,
        m.model_used, m.status, m.metadata, m.created_at, t.tokens,
        pg_catalog.sum(t.tokens) OVER (ORDER BY b.steps) AS tokens_to_leaf
        FROM branch AS b JOIN claude_gpt_data.messages AS m ON m.id OPERATOR(pg_catalog.=) b.id
        CROSS JOIN LATERAL (
            SELECT COALESCE(
                CASE WHEN m.role OPERATOR(pg_catalog.=) 'assistant' THEN m.completion_tokens ELSE m.total_tokens END,
                ((GREATEST(pg_catalog.octet_length(m.content), pg_catalog.octet_length(m.parts::pg_catalog.text))
                  OPERATOR(pg_catalog.+) 2) OPERATOR(pg_catalog./) 3))
            AS tokens) AS t
        WHERE b.steps OPERATOR(pg_catalog.=) 0 OR m.status OPERATOR(pg_catalog.=) 'sent'
        OR m.status OPERATOR(pg_catalog.=) 'stopped'
        AND (m.content OPERATOR(pg_catalog.<>) '' OR m.parts OPERATOR(pg_catalog.<>) '[]'))
    SELECT (pg_catalog.row_number() OVER (ORDER BY s.steps DESC))::pg_catalog.int4, s.id, s.parent_message_id,
    s.role::pg_catalog.text, s.content, s.parts, s.content_type::pg_catalog.text, s.model_used::pg_catalog.text,
    s.status::pg_catalog.text, s.tokens, x.older, x.all_of_them, s.metadata, s.created_at
    FROM shown AS s LEFT JOIN claude_gpt_data.messages AS b ON b.id OPERATOR(pg_catalog.=) s.before
    CROSS JOIN LATERAL (
        SELECT (pg_catalog.count(*) FILTER (WHERE ROW(o.created_at, o.id) OPERATOR(pg_catalog.<=)
            ROW(s.created_at, s.id)))::pg_catalog.int4 AS older,
        pg_catalog.count(*)::pg_catalog.int4 AS all_of_them
        FROM (
            SELECT a.created_at, a.id FROM claude_gpt_data.messages AS a
            WHERE a.parent_message_id OPERATOR(pg_catalog.=) s.before
            AND a.status OPERATOR(pg_catalog.<>) 'deleted'
            UNION ALL SELECT a.created_at, a.id FROM claude_gpt_data.messages AS a
            WHERE s.before IS NULL AND a.conversation_id OPERATOR(pg_catalog.=) s.conversation_id
            AND a.parent_message_id IS NULL AND a.is_root AND a.status OPERATOR(pg_catalog.<>) 'deleted'
            UNION ALL SELECT m.created_at, m.id FROM (
                SELECT COALESCE(n.parent_message_id, n.id) AS id FROM claude_gpt_data.messages AS n
                WHERE n.conversation_id OPERATOR(pg_catalog.=) s.conversation_id
                AND n.status OPERATOR(pg_catalog.<>) 'deleted'
                AND ROW(n.created_at, n.id) OPERATOR(pg_catalog.>) ROW(COALESCE(b.created_at, '-infinity'),
                    COALESCE(b.id, '00000000-0000-0000-0000-000000000000'))
                ORDER BY n.created_at, n.id LIMIT 1) AS n
            JOIN claude_gpt_data.messages AS m ON m.id OPERATOR(pg_catalog.=) n.id
            CROSS JOIN LATERAL (SELECT )sql" +
                             k_followed + R"sql( AS before) AS f
            WHERE )sql" + k_has_no_parent +
                             R"sql(
            AND CASE WHEN s.before IS NULL THEN f.before IS NULL ELSE f.before OPERATOR(pg_catalog.=) s.before END) AS o
        ) AS x
    WHERE $3 IS NULL OR s.steps OPERATOR(pg_catalog.=) 0 OR s.tokens_to_leaf OPERATOR(pg_catalog.<=) $3
    ORDER BY s.steps DESC
    )sql";
constinit Query<PassedOn(core::Uuid, core::Uuid, std::optional<std::int64_t>)> k_path{"messages", k_path_text};

// By the primary key alone: a plan must not hang on how many messages had parents when the statistics were made. The
// lock is the one the foreign key took already: it lets the parent change, but makes whoever moves it wait.
template <std::size_t size> constexpr auto keep_parents_where(const char (&is_one)[size]) {
  return SqlText{R"sql(
    SELECT p.id, p.conversation_id FROM claude_gpt_data.messages AS p WHERE p.id OPERATOR(pg_catalog.=)
    )sql"} +
         is_one + R"sql( FOR KEY SHARE )sql";
}

constexpr auto k_keep_parent_text = keep_parents_where("$1");
constinit Query<Parent(core::Uuid)> k_keep_parent{"messages", k_keep_parent_text};

constexpr auto k_keep_parents_text = keep_parents_where("ANY ($1)");
constinit Query<Parent(std::span<const core::Uuid>)> k_keep_parents{"messages", k_keep_parents_text,
                                                                    Planning::by_values};

// The next two take ids as an array, so that any plan goes by the indexes, however stale the statistics.
constinit Query<void(std::span<const core::Uuid>)> k_wait_for_replies{"messages", R"sql(
    SELECT 1 FROM pg_catalog.unnest($1) AS moved (id)
    JOIN claude_gpt_data.messages AS p ON p.id OPERATOR(pg_catalog.=) moved.id FOR UPDATE OF p
    )sql",
                                                                      Planning::by_values};

constinit Query<ReplyToMoved(std::span<const core::Uuid>)> k_find_replies{"messages", R"sql(
    SELECT m.id, p.id, m.conversation_id OPERATOR(pg_catalog.=) p.conversation_id
    FROM pg_catalog.unnest($1) AS moved (id)
    JOIN claude_gpt_data.messages AS p ON p.id OPERATOR(pg_catalog.=) moved.id
    JOIN claude_gpt_data.messages AS m ON m.parent_message_id OPERATOR(pg_catalog.=) moved.id
    )sql",
                                                                          Planning::by_values};

NewRow<Messages> row_of(const NewQuestion& question, const NewReply& reply) {
  NewRow<Messages> row;
  row.set<Messages::id>(reply.question_id);
  row.set<Messages::conversation_id>(reply.conversation_id);
  row.set<Messages::user_id>(reply.user_id);
  row.set<Messages::role>("user");
  row.pass<Messages::content>(Value::of(question.content));
  row.pass<Messages::content_type>(Value::of(question.content_type));
  row.set<Messages::status>("sent");
  row.pass<Messages::metadata>(passed(question.metadata));
  row.pass<Messages::parts>(passed(question.parts));
  row.set_or_null<Messages::parent_message_id>(question.parent_id);
  row.set<Messages::is_root>(!question.parent_id);
  row.set<Messages::created_at>(reply.created_at);
  return row;
}

// When the reply comes: a microsecond after its question, if that is new.
core::Instant moment_of(const NewMessages& messages) {
  return messages.question ? messages.reply.created_at + core::Duration{1} : messages.reply.created_at;
}

NewRow<Messages> row_of(const NewReply& reply, core::Instant created_at) {
  NewRow<Messages> row;
  row.set<Messages::id>(reply.id);
  row.set<Messages::conversation_id>(reply.conversation_id);
  row.set<Messages::user_id>(reply.user_id);
  row.set<Messages::role>("assistant");
  row.set<Messages::content>("");
  row.set<Messages::content_type>("text");
  row.pass<Messages::model_used>(Value::of(reply.model));
  row.set<Messages::status>("sending");
  row.set<Messages::parent_message_id>(reply.question_id);
  row.set<Messages::is_root>(false);
  row.set<Messages::created_at>(created_at);
  return row;
}

core::CountedMessage counted(const Row<Messages>& row, std::int64_t tokens, core::Amount cost) {
  return {row.get<Messages::conversation_id>(), false, tokens, cost, row.get<Messages::created_at>()};
}

void finish(const FinishedReply& reply, Changes<Messages>& changes) {
  if (reply.content) changes.pass<Messages::content>(Value::of(*reply.content));
  if (reply.metadata) changes.pass<Messages::metadata>(Value::of(*reply.metadata));
  if (reply.parts) changes.pass<Messages::parts>(Value::of(*reply.parts));
  changes.set<Messages::status>(reply.status);
  changes.pass<Messages::error_message>(passed(reply.error));
  changes.set_or_null<Messages::prompt_tokens>(reply.prompt_tokens);
  changes.set_or_null<Messages::completion_tokens>(reply.completion_tokens);
  changes.set_or_null<Messages::total_tokens>(reply.total_tokens);
  changes.set_or_null<Messages::cost>(reply.cost);
  changes.set_or_null<Messages::cached_prompt_tokens>(reply.cached_prompt_tokens);
  changes.set_or_null<Messages::cache_write_tokens>(reply.cache_write_tokens);
  changes.set_or_null<Messages::reasoning_tokens>(reply.reasoning_tokens);
  changes.set<Messages::updated_at>(clock::transaction_start());
}

// The trigger of the table looks at words again that are not written.
bool keeps_rules(const Row<Messages>& row) {
  return row.get<Messages::role>() == "assistant" && !row.get<Messages::content_type>().empty();
}

}  // namespace

core::CounterChange insert_messages(const NewMessages& messages, bool may_go_directly) {
  const auto& [question, reply] = messages;
  const bool keeps_rules = !question || !value_as<std::string_view>(question->content_type.datum).empty();
  NewRows<Messages> rows{may_go_directly && keeps_rules};
  const core::Instant replied_at = moment_of(messages);
  const NewRow<Messages> reply_row = row_of(reply, replied_at);
  const std::size_t direct =
      question ? rows.add(row_of(*question, reply), reply_row) : std::size_t{rows.add(reply_row)};
  rows.finish();
  core::CounterChange change;
  change.messages = static_cast<std::int64_t>(direct);
  if (direct > 0) change.newest_added = question && direct == 1 ? reply.created_at : replied_at;
  return change;
}

std::optional<StoredReply> finish_reply(const core::Uuid& user_id, const core::Uuid& id, const FinishedReply& reply) {
  StoredRow<Messages> message{id, user_id};
  message.open(RowUse::write);
  core::CountedMessage before, after;
  const auto end = message.change([&](const Row<Messages>& row, Changes<Messages>& columns) {
    if (row.get<Messages::status>() != "sending") return RowStep::leave;
    before = counted(row,
                     core::counted_tokens(row.find<Messages::total_tokens>(), row.find<Messages::prompt_tokens>(),
                                          row.find<Messages::completion_tokens>()),
                     row.find<Messages::cost>().value_or(core::Amount{}));
    after = counted(row, core::counted_tokens(reply.total_tokens, reply.prompt_tokens, reply.completion_tokens),
                    reply.cost.value_or(core::Amount{}));
    finish(reply, columns);
    return keeps_rules(row) ? RowStep::write : RowStep::write_by_spi;
  });
  const bool is_direct = message.locked_at().holds();
  message.finish();
  if (end != RowEnd::written) return std::nullopt;
  StoredReply stored{after.conversation_id, std::nullopt};
  if (is_direct) stored.to_count = core::change_between(before, after);
  return stored;
}

bool save_partial_reply(Spi& spi, const core::Uuid& user_id, const core::Uuid& reservation_id, UnreadText content,
                        std::optional<UnreadJsonb> parts) {
  return !spi.execute(k_save_partial, Access::read_write, user_id, reservation_id, content, parts).empty();
}

std::optional<KeptMessage> keep_message(const core::Uuid& user_id, const core::Uuid& id) {
  StoredRow<Messages> message{id, user_id};
  message.open(RowUse::lock);
  std::optional<KeptMessage> kept;
  if (message.lock(RowLock::key_share)) kept = KeptMessage{message.row().find<Messages::conversation_id>()};
  message.finish();
  return kept;
}

std::optional<std::string> find_message_status(const core::Uuid& user_id, const core::Uuid& id) {
  StoredRow<Messages> message{id, user_id};
  message.open(RowUse::lock);
  std::optional<std::string> status;
  if (message.find()) status = message.row().get<Messages::status>();
  message.finish();
  return status;
}

void lock_messages_of(Spi& spi, const core::Uuid& conversation_id) {
  spi.execute(k_lock_of_conversation, Access::read_write, conversation_id);
}

Result<std::optional<core::Instant>> find_message(Spi& spi, const core::Uuid& conversation_id, const core::Uuid& id) {
  return spi.execute(k_find, Access::read_only, conversation_id, id);
}

Result<PassedOn> read_first_page(Spi& spi, const core::Uuid& conversation_id, std::int64_t most) {
  return spi.execute(k_first_page, Access::read_only, conversation_id, most);
}

Result<PassedOn> read_next_page(Spi& spi, const core::Uuid& conversation_id, std::int64_t most,
                                std::optional<core::Instant> before, const core::Uuid& before_id) {
  return spi.execute(k_next_page, Access::read_only, conversation_id, most, before, before_id);
}

Result<PassedOn> read_path(Spi& spi, const core::Uuid& user_id, const core::Uuid& leaf_id,
                           std::optional<std::int64_t> most_tokens) {
  return spi.execute(k_path, Access::read_only, user_id, leaf_id, most_tokens);
}

Result<Parent> keep_parent(Spi& spi, const core::Uuid& id) {
  return spi.execute(k_keep_parent, Access::read_write, id);
}

Result<Parent> keep_parents(Spi& spi, std::span<const core::Uuid> ids) {
  return spi.execute(k_keep_parents, Access::read_write, ids);
}

std::optional<core::Uuid> keep_message_before(Spi& spi, const core::Uuid& conversation_id, core::Instant created_at,
                                              const core::Uuid& id) {
  return spi.execute(k_keep_before, Access::read_write, conversation_id, created_at, id).find();
}

bool has_replies(const core::Uuid& id) {
  HeapRow heap{Messages::rows()};
  if (heap.open(RowUse::lock)) {
    const bool is_direct = heap.can_find_referring();
    const bool is_found = is_direct && heap.is_referred_to(id, HeapRow::States::all);
    heap.finish();
    if (is_direct) return is_found;
  }
  Spi spi;
  const bool is_found = !spi.execute(k_find_reply, Access::read_write, id).empty();
  spi.finish();
  return is_found;
}

std::optional<DeletedMessage> find_deleted_message(Spi& spi, const core::Uuid& id) {
  return spi.execute(k_find_deleted, Access::read_only, id).find();
}

std::optional<core::Uuid> keep_message_before_deleted(Spi& spi, const core::Uuid& id, const DeletedMessage& message) {
  const auto found = spi.execute(k_replies, Access::read_only, id);
  std::vector<core::Uuid> replies;
  for (const core::Uuid& reply : found) replies.push_back(reply);
  return spi
      .execute(k_keep_before_deleted, Access::read_write, message.conversation_id, message.created_at, id,
               std::span<const core::Uuid>{replies})
      .find();
}

void hand_over_replies(Spi& spi, const core::Uuid& id, const std::optional<core::Uuid>& parent_id) {
  spi.execute(k_hand_over, Access::read_write, id, parent_id);
}

Result<void> wait_for_replies(Spi& spi, std::span<const core::Uuid> moved) {
  return spi.execute(k_wait_for_replies, Access::read_write, moved);
}

Result<ReplyToMoved> find_replies(Spi& spi, std::span<const core::Uuid> moved) {
  return spi.execute(k_find_replies, Access::latest, moved);
}

}  // namespace claude_gpt::store
