#include "store/conversations.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constexpr SqlText k_of_the_user{R"sql(
    WHERE c.id OPERATOR(pg_catalog.=) $2 AND c.user_id OPERATOR(pg_catalog.=) $1
    )sql"};

constinit Query<void(core::Uuid, core::Uuid)> k_insert{"conversations", R"sql(
    INSERT INTO claude_gpt_data.conversations (id, user_id) VALUES ($1, $2)
    )sql"};

constexpr auto k_find_text = R"sql(
    SELECT c.last_message_at FROM claude_gpt_data.conversations AS c )sql" +
                             k_of_the_user;
constinit Query<std::optional<core::Instant>(core::Uuid, core::Uuid)> k_find{"conversations", k_find_text};

constexpr auto k_keep_text = R"sql(
    SELECT 1 FROM claude_gpt_data.conversations AS c )sql" +
                             k_of_the_user + R"sql( FOR KEY SHARE )sql";
constinit Query<std::int32_t(core::Uuid, core::Uuid)> k_keep{"conversations", k_keep_text};

constexpr auto k_keep_newest_text = R"sql(
    SELECT n.id, c.message_count FROM claude_gpt_data.conversations AS c
    LEFT JOIN LATERAL (
        SELECT m.id FROM claude_gpt_data.messages AS m
        WHERE m.conversation_id OPERATOR(pg_catalog.=) c.id AND m.status OPERATOR(pg_catalog.<>) 'deleted'
        ORDER BY m.created_at DESC, m.id DESC LIMIT 1 FOR KEY SHARE) AS n ON true
    )sql" + k_of_the_user + R"sql( FOR KEY SHARE OF c )sql";
constinit Query<NewestMessage(core::Uuid, core::Uuid)> k_keep_newest{"conversations", k_keep_newest_text};

constexpr auto k_keep_given_text = R"sql(
    SELECT p.id, p.role, p.parent_message_id FROM claude_gpt_data.conversations AS c
    LEFT JOIN LATERAL (
        SELECT m.id, m.role, m.parent_message_id FROM claude_gpt_data.messages AS m
        WHERE m.id OPERATOR(pg_catalog.=) $3 AND m.conversation_id OPERATOR(pg_catalog.=) c.id
        AND m.status OPERATOR(pg_catalog.<>) 'deleted' FOR KEY SHARE) AS p ON true
    )sql" + k_of_the_user + R"sql( FOR KEY SHARE OF c )sql";
constinit Query<GivenMessage(core::Uuid, core::Uuid, core::Uuid)> k_keep_given{"conversations", k_keep_given_text};

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

constexpr SqlText k_count_text{R"sql(
    UPDATE claude_gpt_data.conversations AS c SET
    message_count = c.message_count OPERATOR(pg_catalog.+) $2,
    total_tokens = c.total_tokens OPERATOR(pg_catalog.+) $3,
    total_cost = c.total_cost OPERATOR(pg_catalog.+) $4,
    last_message_at = CASE WHEN c.message_count OPERATOR(pg_catalog.=) 0 THEN COALESCE($5, c.last_message_at)
        ELSE GREATEST(c.last_message_at, $5) END
    WHERE c.id OPERATOR(pg_catalog.=) $1
    )sql"};
constinit Query<void(core::Uuid, std::int32_t, std::int64_t, core::Amount, std::optional<core::Instant>)> k_count{
    "conversations", k_count_text};

constexpr auto k_count_and_tell_newest_text = k_count_text + R"sql( RETURNING c.last_message_at )sql";
constinit Query<core::Instant(core::Uuid, std::int32_t, std::int64_t, core::Amount, std::optional<core::Instant>)>
    k_count_and_tell_newest{"conversations", k_count_and_tell_newest_text};

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

}  // namespace

void insert_conversation(Spi& spi, const core::Uuid& id, const core::Uuid& user_id) {
  spi.execute(k_insert, Access::read_write, id, user_id);
}

Result<std::optional<core::Instant>> find_conversation(Spi& spi, const core::Uuid& user_id, const core::Uuid& id,
                                                       Access access) {
  return spi.execute(k_find, access, user_id, id);
}

bool keep_conversation(Spi& spi, const core::Uuid& user_id, const core::Uuid& id) {
  return !spi.execute(k_keep, Access::read_write, user_id, id).empty();
}

Result<NewestMessage> keep_newest_message(Spi& spi, const core::Uuid& user_id, const core::Uuid& id) {
  return spi.execute(k_keep_newest, Access::read_write, user_id, id);
}

Result<GivenMessage> keep_given_message(Spi& spi, const core::Uuid& user_id, const core::Uuid& id,
                                        const core::Uuid& message_id) {
  return spi.execute(k_keep_given, Access::read_write, user_id, id, message_id);
}

bool delete_conversation(Spi& spi, const core::Uuid& user_id, const core::Uuid& id) {
  return !spi.execute(k_delete, Access::read_write, user_id, id).empty();
}

Result<PassedOn> list_conversations(Spi& spi, const core::Uuid& user_id, std::optional<bool> is_archived,
                                    const ConversationsBefore& before, std::int64_t most) {
  return spi.execute(k_list, Access::read_only, user_id, is_archived, before.last_message_at, before.id, most);
}

void count_messages(Spi& spi, const core::Uuid& id, const CountedMessages& counted) {
  spi.execute(k_count, Access::read_write, id, counted.messages, counted.tokens, counted.cost, counted.newest);
}

Result<core::Instant> count_messages_and_tell_newest(Spi& spi, const core::Uuid& id, const CountedMessages& counted) {
  return spi.execute(k_count_and_tell_newest, Access::read_write, id, counted.messages, counted.tokens, counted.cost,
                     counted.newest);
}

void find_newest_again(Spi& spi, const core::Uuid& id) { spi.execute(k_find_newest_again, Access::read_write, id); }

void count_nothing(Spi& spi) { spi.execute(k_count_nothing, Access::read_write); }

}  // namespace claude_gpt::store
