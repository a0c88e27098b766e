// What a message follows in its conversation, in SQL.
#pragma once

#include <cstddef>

#include "bridge/query.hpp"

namespace claude_gpt::store {

// What a message without a parent follows: the newest b before it that is no reply to it. Its conversation, moment and
// id are given as SQL.
template <std::size_t size_1, std::size_t size_2, std::size_t size_3>
constexpr auto messages_before(const char (&conversation)[size_1], const char (&moment)[size_2],
                               const char (&id)[size_3]) {
  return bridge::SqlText{R"sql(
    SELECT b.id FROM claude_gpt_data.messages AS b WHERE b.status OPERATOR(pg_catalog.<>) 'deleted'
    AND b.conversation_id OPERATOR(pg_catalog.=) )sql"} +
         conversation + R"sql( AND ROW(b.created_at, b.id) OPERATOR(pg_catalog.<) ROW()sql" + moment + "," + id +
         R"sql() AND (b.parent_message_id IS NULL OR b.parent_message_id OPERATOR(pg_catalog.<>) )sql" + id + ")";
}
inline constexpr bridge::SqlText k_newest_before{R"sql( ORDER BY b.created_at DESC, b.id DESC LIMIT 1 )sql"};

// Of the message m: its parent or, where it has none and is no root, what it follows without.
inline constexpr auto k_followed = bridge::SqlText{R"sql(
    COALESCE(m.parent_message_id, CASE WHEN NOT m.is_root THEN ()sql"} +
                                   messages_before("m.conversation_id", "m.created_at", "m.id") + k_newest_before +
                                   ") END) ";

// Whether m may follow a message that is not its parent. Of all that come after a message b, only the next one can
// follow b so, or its parent where that came later than its reply.
inline constexpr bridge::SqlText k_has_no_parent{R"sql(
    m.parent_message_id IS NULL AND NOT m.is_root AND m.status OPERATOR(pg_catalog.<>) 'deleted'
    )sql"};

}  // namespace claude_gpt::store
