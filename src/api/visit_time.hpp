// How long a visit may take. Code of the owner of the tables may catch a cancellation, or run where no time-out of a
// job counts: therefore each step states on the board when it must have ended, and the launcher ends the process after
// that. A session of pg_cron, which has as few of them for all databases, ends itself.
#pragma once

#include "core/jobs.hpp"

namespace claude_gpt::api {

// The visit that this process makes, from its first step on.
void begin_visit(core::JobBoard& board, core::JobBoard::Visit& visit);

// While it lives, this session states its steps to itself.
class LimitedSession {
 public:
  explicit LimitedSession(bool is_limited);
  ~LimitedSession();
};

// A step begins. `time`: until its own time-out, if it is a run. Nothing is stated in a session that is neither a
// worker nor limited.
void begin_step();
void begin_step(core::Duration time);

// What a step that has no time-out of its own may take.
core::Duration longest_step();

}  // namespace claude_gpt::api
