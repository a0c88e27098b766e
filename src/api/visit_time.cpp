#include "api/visit_time.hpp"

#include <algorithm>

#include "bridge/settings.hpp"
#include "bridge/waiting.hpp"
#include "bridge/worker.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

constinit core::JobBoard* visit_board = nullptr;
constinit core::JobBoard::Visit* own_visit = nullptr;
constinit bool is_limited_session = false;

// The launcher sleeps until the moment that it has read: it is told of an earlier one.
void state(core::Instant deadline) {
  const std::int64_t before = own_visit->deadline.exchange(deadline.microseconds);
  const std::int32_t launcher = visit_board->launcher;
  if (deadline.microseconds < before && launcher != 0) worker::wake(launcher - 1);
}

}  // namespace

void begin_visit(core::JobBoard& board, core::JobBoard::Visit& visit) {
  visit_board = &board;
  own_visit = &visit;
  begin_step();
}

LimitedSession::LimitedSession(bool is_limited) {
  is_limited_session = is_limited;
  begin_step();
}

LimitedSession::~LimitedSession() {
  if (is_limited_session) keep_session();
  is_limited_session = false;
}

void begin_step() { begin_step(longest_step()); }

void begin_step(core::Duration time) {
  if (own_visit != nullptr) state(monotonic_now() + time + core::k_time_to_end);
  if (is_limited_session) end_session_after({time.microseconds + core::k_time_to_end.microseconds});
}

core::Duration longest_step() { return std::min(core::k_longest_step, settings::max_job_time()); }

}  // namespace claude_gpt::api
