// The table message_feedback.
#pragma once

#include <optional>

#include "bridge/spi.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::store {

// Whether the message is in a conversation of the user; it is not deleted then until the transaction ends.
bool keep_message_of_conversation(bridge::Spi& spi, const core::Uuid& user_id, const core::Uuid& message_id);

// Of a message that is kept. No comment: that of before stays, if the rating is the same; an empty one is none.
void write_feedback(bridge::Spi& spi, const core::Uuid& user_id, const core::Uuid& message_id,
                    bridge::UnreadText rating, std::optional<bridge::UnreadText> comment);
void delete_feedback(bridge::Spi& spi, const core::Uuid& user_id, const core::Uuid& message_id);

}  // namespace claude_gpt::store
