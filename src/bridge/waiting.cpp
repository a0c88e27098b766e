#include "bridge/waiting.hpp"

#include <algorithm>
#include <ctime>

#include "bridge/guard.hpp"
#include "bridge/settings.hpp"

extern "C" {
#include <postmaster/interrupt.h>
#include <storage/latch.h>
#include <utils/timeout.h>
#include <utils/wait_event.h>
}

namespace claude_gpt::bridge {

namespace {

constinit TimeoutId deadline_timer = MAX_TIMEOUTS;  // none yet
constinit volatile sig_atomic_t deadline_passed = false;
constinit TimeoutId end_timer = MAX_TIMEOUTS;  // none yet

// Runs in a signal handler.
void cancel_what_runs() {
  deadline_passed = true;
  QueryCancelPending = true;
  InterruptPending = true;
  SetLatch(MyLatch);
}

// Runs in a signal handler. As pg_terminate_backend does.
void end_what_runs() {
  ProcDiePending = true;
  InterruptPending = true;
  SetLatch(MyLatch);
}

// The server counts milliseconds in an int.
int milliseconds_of(core::Duration time) {
  constexpr std::int64_t k_longest = 1'000'000'000;
  return static_cast<int>(std::clamp<std::int64_t>(time.microseconds / 1000, 1, k_longest));
}

}  // namespace

void wait_for(std::optional<core::Duration> time) {
  constexpr std::int64_t k_longest = 3'600'000;
  const long milliseconds =
      time ? static_cast<long>(std::clamp<std::int64_t>((time->microseconds + 999) / 1000, 0, k_longest)) : -1;
  const bool was_reloaded = guarded([milliseconds] {
    const int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (milliseconds >= 0 ? WL_TIMEOUT : 0);
    (void)WaitLatch(MyLatch, events, milliseconds, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    if (!ConfigReloadPending || !compat::is_background_worker()) return false;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
    return true;
  });
  if (was_reloaded) settings::note_reload();
}

core::Instant monotonic_now() {
  timespec time = {};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return {static_cast<std::int64_t>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1000};
}

Deadline::Deadline(core::Duration time) {
  const int milliseconds = milliseconds_of(time);
  deadline_passed = false;
  guarded([milliseconds] {
    if (deadline_timer == MAX_TIMEOUTS) deadline_timer = RegisterTimeout(USER_TIMEOUT, cancel_what_runs);
    enable_timeout_after(deadline_timer, milliseconds);
  });
}

bool Deadline::has_passed() const { return deadline_passed; }

bool Deadline::stop() {
  guarded([] { disable_timeout(deadline_timer, false); });
  // It may have rung between two statements: what follows is not meant.
  if (deadline_passed) QueryCancelPending = false;
  return deadline_passed;
}

void end_session_after(core::Duration time) {
  const int milliseconds = milliseconds_of(time);
  guarded([milliseconds] {
    if (end_timer == MAX_TIMEOUTS) end_timer = RegisterTimeout(USER_TIMEOUT, end_what_runs);
    enable_timeout_after(end_timer, milliseconds);
  });
}

void keep_session() {
  guarded([] {
    if (end_timer != MAX_TIMEOUTS) disable_timeout(end_timer, false);
  });
}

}  // namespace claude_gpt::bridge
