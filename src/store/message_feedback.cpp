#include "store/message_feedback.hpp"

#include <string_view>

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<std::int32_t(core::Uuid, core::Uuid)> k_keep{"messages", R"sql(
    SELECT 1 FROM claude_gpt_data.messages AS m
    JOIN claude_gpt_data.conversations AS c ON c.id OPERATOR(pg_catalog.=) m.conversation_id
    WHERE m.id OPERATOR(pg_catalog.=) $2 AND c.user_id OPERATOR(pg_catalog.=) $1
    AND m.status OPERATOR(pg_catalog.<>) 'deleted' FOR KEY SHARE OF m
    )sql"};

constinit Query<void(core::Uuid, core::Uuid, std::string_view, std::optional<std::string_view>)> k_write{
    "message_feedback", R"sql(
    INSERT INTO claude_gpt_data.message_feedback AS f (message_id, user_id, rating, comment)
    VALUES ($2, $1, $3, CASE WHEN $4 OPERATOR(pg_catalog.<>) '' THEN $4 END)
    ON CONFLICT ON CONSTRAINT message_feedback_pkey DO UPDATE SET rating = excluded.rating, comment = CASE
        WHEN $4 IS NULL AND f.rating OPERATOR(pg_catalog.=) excluded.rating THEN f.comment ELSE excluded.comment END
    )sql"};

constinit Query<void(core::Uuid, core::Uuid)> k_delete{"message_feedback", R"sql(
    DELETE FROM claude_gpt_data.message_feedback AS f
    WHERE f.message_id OPERATOR(pg_catalog.=) $2 AND f.user_id OPERATOR(pg_catalog.=) $1
    )sql"};

}  // namespace

bool keep_message_of_conversation(Spi& spi, const core::Uuid& user_id, const core::Uuid& message_id) {
  return !spi.execute(k_keep, Access::read_write, user_id, message_id).empty();
}

void write_feedback(Spi& spi, const core::Uuid& user_id, const core::Uuid& message_id, UnreadText rating,
                    std::optional<UnreadText> comment) {
  spi.execute(k_write, Access::read_write, user_id, message_id, rating, comment);
}

void delete_feedback(Spi& spi, const core::Uuid& user_id, const core::Uuid& message_id) {
  spi.execute(k_delete, Access::read_write, user_id, message_id);
}

}  // namespace claude_gpt::store
