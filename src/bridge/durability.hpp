// Whether the commit of the running transaction waits for the disk (and for synchronous standbys).
#pragma once

namespace claude_gpt::bridge::durability {

// It does not, if claude_gpt.turn_commit says so and the statement is a transaction of its own: a transaction block
// holds more than the call, and commits as its owner has set.
void relax_for_turn();
// It does again, as the session has set, where it was relaxed before.
void restore();

}  // namespace claude_gpt::bridge::durability
