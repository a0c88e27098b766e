// What conversations count of their messages.
#pragma once

#include "core/conversations.hpp"

namespace claude_gpt::api {

// Counts what messages that were written have changed. Locks the conversations in the order of their ids. False: one of
// them is not there.
bool count_in_conversations(const core::CounterChanges& changes);

}  // namespace claude_gpt::api
