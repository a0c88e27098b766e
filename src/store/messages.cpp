#include "store/messages.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constexpr SqlText k_insert{R"sql(
    INSERT INTO claude_gpt_data.messages
    (id, conversation_id, user_id, role, content, status, parent_message_id, created_at, model_used, content_type,
     metadata)
    )sql"};

constexpr auto k_insert_reply_text = k_insert + R"sql(
    VALUES ($4, $1, $2, 'assistant', '', 'sending', $3, $5, $6, 'text', NULL)
    )sql";
constinit Query<void(core::Uuid, core::Uuid, core::Uuid, core::Uuid, core::Instant, std::string_view)> k_insert_reply{
    "messages", k_insert_reply_text};

constexpr auto k_insert_question_and_reply_text = k_insert + R"sql(
    VALUES ($3, $1, $2, 'user', $7, 'sent', $10, $5, NULL, $8, $9),
    ($4, $1, $2, 'assistant', '', 'sending', $3,
     $5 OPERATOR(pg_catalog.+) '00:00:00.000001'::pg_catalog.interval, $6, 'text', NULL)
    )sql";
constinit Query<void(core::Uuid, core::Uuid, core::Uuid, core::Uuid, core::Instant, std::string_view, std::string_view,
                     std::string_view, std::optional<UnreadJsonb>, std::optional<core::Uuid>)>
    k_insert_question_and_reply{"messages", k_insert_question_and_reply_text};

// Written so that the planner does not take the index over statuses, and read every reply that is being streamed.
constexpr SqlText k_is_sending{R"sql( CASE WHEN m.status OPERATOR(pg_catalog.=) 'sending' THEN true END )sql"};

// The message is locked before its conversation, as by every statement that writes messages.
constexpr auto k_finish_reply_text = R"sql(
    UPDATE claude_gpt_data.messages AS m
    SET status = $2, content = COALESCE($3, m.content), error_message = $4, prompt_tokens = $5, completion_tokens = $6,
    total_tokens = $7, cost = $8, metadata = COALESCE($9, m.metadata)
    WHERE m.id OPERATOR(pg_catalog.=) $1 AND m.user_id OPERATOR(pg_catalog.=) $10 AND
    )sql" + k_is_sending + R"sql( RETURNING m.conversation_id )sql";
constinit Query<std::optional<core::Uuid>(core::Uuid, std::string_view, std::optional<std::string_view>,
                                          std::optional<std::string_view>, std::optional<std::int32_t>,
                                          std::optional<std::int32_t>, std::optional<std::int32_t>,
                                          std::optional<core::Amount>, std::optional<UnreadJsonb>, core::Uuid)>
    k_finish_reply{"messages", k_finish_reply_text};

constexpr auto k_save_partial_text = R"sql(
    UPDATE claude_gpt_data.messages AS m SET content = $3 FROM claude_gpt_data.usage_reservations AS r
    WHERE r.id OPERATOR(pg_catalog.=) $2 AND r.user_id OPERATOR(pg_catalog.=) $1
    AND m.id OPERATOR(pg_catalog.=) r.assistant_message_id AND m.user_id OPERATOR(pg_catalog.=) $1 AND
    )sql" + k_is_sending;
constinit Query<void(core::Uuid, core::Uuid, std::string_view)> k_save_partial{"messages", k_save_partial_text};

constinit Query<std::optional<core::Uuid>(core::Uuid, core::Uuid)> k_keep{"messages", R"sql(
    SELECT m.conversation_id FROM claude_gpt_data.messages AS m
    WHERE m.id OPERATOR(pg_catalog.=) $2 AND m.user_id OPERATOR(pg_catalog.=) $1 FOR KEY SHARE
    )sql"};

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
    SELECT m.id, m.parent_message_id, m.role::pg_catalog.text, m.content, m.content_type::pg_catalog.text,
    m.model_used::pg_catalog.text, m.prompt_tokens, m.completion_tokens, m.total_tokens, m.cost,
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

// From the leaf to the root, in the order in which the recursion finds them. UNION ends a ring, into which an
// application could tie parents.
constinit Query<PassedOn(core::Uuid, core::Uuid, std::optional<std::int64_t>)> k_path{"messages", R"sql(
    WITH RECURSIVE found AS (
        SELECT m.id, m.parent_message_id FROM claude_gpt_data.messages AS m
        JOIN claude_gpt_data.conversations AS c ON c.id OPERATOR(pg_catalog.=) m.conversation_id
        WHERE m.id OPERATOR(pg_catalog.=) $2 AND c.user_id OPERATOR(pg_catalog.=) $1
        AND m.status OPERATOR(pg_catalog.<>) 'deleted'
        UNION SELECT p.id, p.parent_message_id FROM found AS f
        JOIN claude_gpt_data.messages AS p ON p.id OPERATOR(pg_catalog.=) f.parent_message_id),
    branch AS (SELECT f.id, pg_catalog.row_number() OVER () OPERATOR(pg_catalog.-) 1 AS steps FROM found AS f),
    shown AS (
        SELECT b.steps, m.id, m.conversation_id, m.parent_message_id, m.role, m.content, m.content_type, m.model_used,
        m.status, m.metadata, m.created_at, t.tokens,
        pg_catalog.sum(t.tokens) OVER (ORDER BY b.steps) AS tokens_to_leaf
        FROM branch AS b JOIN claude_gpt_data.messages AS m ON m.id OPERATOR(pg_catalog.=) b.id
        CROSS JOIN LATERAL (
            SELECT COALESCE(
                CASE WHEN m.role OPERATOR(pg_catalog.=) 'assistant' THEN m.completion_tokens ELSE m.total_tokens END,
                ((pg_catalog.octet_length(m.content) OPERATOR(pg_catalog.+) 2) OPERATOR(pg_catalog./) 3))
            AS tokens) AS t
        WHERE b.steps OPERATOR(pg_catalog.=) 0 OR m.status OPERATOR(pg_catalog.=) 'sent')
    SELECT (pg_catalog.row_number() OVER (ORDER BY s.steps DESC))::pg_catalog.int4, s.id, s.parent_message_id,
    s.role::pg_catalog.text, s.content, s.content_type::pg_catalog.text, s.model_used::pg_catalog.text,
    s.status::pg_catalog.text, s.tokens, x.older, x.all_of_them, s.metadata, s.created_at
    FROM shown AS s CROSS JOIN LATERAL (
        SELECT (pg_catalog.count(*) FILTER (WHERE ROW(o.created_at, o.id) OPERATOR(pg_catalog.<=)
            ROW(s.created_at, s.id)))::pg_catalog.int4 AS older,
        pg_catalog.count(*)::pg_catalog.int4 AS all_of_them
        FROM (
            SELECT a.created_at, a.id FROM claude_gpt_data.messages AS a
            WHERE a.parent_message_id OPERATOR(pg_catalog.=) s.parent_message_id
            AND a.status OPERATOR(pg_catalog.<>) 'deleted'
            UNION ALL SELECT a.created_at, a.id FROM claude_gpt_data.messages AS a
            WHERE s.parent_message_id IS NULL AND a.conversation_id OPERATOR(pg_catalog.=) s.conversation_id
            AND a.parent_message_id IS NULL AND a.status OPERATOR(pg_catalog.<>) 'deleted') AS o) AS x
    WHERE $3 IS NULL OR s.steps OPERATOR(pg_catalog.=) 0 OR s.tokens_to_leaf OPERATOR(pg_catalog.<=) $3
    ORDER BY s.steps DESC
    )sql"};

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

}  // namespace

void insert_reply(Spi& spi, const NewReply& reply) {
  spi.execute(k_insert_reply, Access::read_write, reply.conversation_id, reply.user_id, reply.question_id, reply.id,
              reply.created_at, reply.model);
}

void insert_question_and_reply(Spi& spi, const NewQuestion& question, const NewReply& reply) {
  spi.execute(k_insert_question_and_reply, Access::read_write, reply.conversation_id, reply.user_id, reply.question_id,
              reply.id, reply.created_at, reply.model, question.content, question.content_type, question.metadata,
              question.parent_id);
}

Result<std::optional<core::Uuid>> finish_reply(Spi& spi, const core::Uuid& user_id, const core::Uuid& id,
                                               const FinishedReply& reply) {
  return spi.execute(k_finish_reply, Access::read_write, id, reply.status, reply.content, reply.error,
                     reply.prompt_tokens, reply.completion_tokens, reply.total_tokens, reply.cost, reply.metadata,
                     user_id);
}

bool save_partial_reply(Spi& spi, const core::Uuid& user_id, const core::Uuid& reservation_id, UnreadText content) {
  return !spi.execute(k_save_partial, Access::read_write, user_id, reservation_id, content).empty();
}

Result<std::optional<core::Uuid>> keep_message(Spi& spi, const core::Uuid& user_id, const core::Uuid& id) {
  return spi.execute(k_keep, Access::read_write, user_id, id);
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

Result<void> wait_for_replies(Spi& spi, std::span<const core::Uuid> moved) {
  return spi.execute(k_wait_for_replies, Access::read_write, moved);
}

Result<ReplyToMoved> find_replies(Spi& spi, std::span<const core::Uuid> moved) {
  return spi.execute(k_find_replies, Access::latest, moved);
}

}  // namespace claude_gpt::store
