// Sleeping and time limits that the server can interrupt.
#pragma once

#include <optional>

#include "bridge/live_object.hpp"
#include "core/calendar.hpp"

namespace claude_gpt::bridge {

// Sleeps until the time has passed or the process's latch is set; nullopt: until the latch is set. Takes in a reload of
// the settings, and ends the process where that was asked for.
void wait_for(std::optional<core::Duration> time);

// A moment that never goes back, for measuring how long something took. Never held.
core::Instant monotonic_now();

// Cancels what runs in this session (57014) once the time has passed, until stop().
class Deadline : LiveObject {
 public:
  explicit Deadline(core::Duration time);
  // Whether the time has passed before it was stopped. May be called again.
  bool stop();
  bool has_passed() const;
};

// Ends this session (57P01, FATAL) once the time has passed, however deep in code that catches a cancellation it is.
// Each call counts from its own moment; keep_session() ends it.
void end_session_after(core::Duration time);
void keep_session();

}  // namespace claude_gpt::bridge
