// What a message follows in its conversation, in SQL.
#pragma once

#include "bridge/query.hpp"

namespace claude_gpt::store {

// Of the message m: its parent or, where it has none and is no root, the newest before it that is no reply to it.
inline constexpr bridge::SqlText k_followed{R"sql(
    COALESCE(m.parent_message_id, CASE WHEN NOT m.is_root THEN (
        SELECT b.id FROM claude_gpt_data.messages AS b
        WHERE b.conversation_id OPERATOR(pg_catalog.=) m.conversation_id AND b.status OPERATOR(pg_catalog.<>) 'deleted'
        AND ROW(b.created_at, b.id) OPERATOR(pg_catalog.<) ROW(m.created_at, m.id)
        AND (b.parent_message_id IS NULL OR b.parent_message_id OPERATOR(pg_catalog.<>) m.id)
        ORDER BY b.created_at DESC, b.id DESC LIMIT 1) END)
    )sql"};

// Whether m may follow a message that is not its parent. Of all that come after a message b, only the next one can
// follow b so, or its parent where that came later than its reply.
inline constexpr bridge::SqlText k_has_no_parent{R"sql(
    m.parent_message_id IS NULL AND NOT m.is_root AND m.status OPERATOR(pg_catalog.<>) 'deleted'
    )sql"};

}  // namespace claude_gpt::store
