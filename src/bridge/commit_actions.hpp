// What is done when a transaction commits.
#pragma once

namespace claude_gpt::bridge {

// Once for a transaction, however often it is added, or where it is prepared. The action must not fail. Raises as the
// server does: for code that the server calls, or under a guard.
void add_commit_action(void (*action)());

}  // namespace claude_gpt::bridge
