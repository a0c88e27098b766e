// A time of the future is not believed: a clock wrote it that was ahead, or the present one is behind. What lies
// further ahead than any clock that was right could have written is brought near when it is met.
#pragma once

#include <algorithm>
#include <optional>

#include "core/calendar.hpp"

namespace claude_gpt::core {

// Who has read the clock may wait for a lock, and meet what others wrote meanwhile.
inline constexpr Duration k_clock_slack{60'000'000};

// The longest that a hold may last from now.
inline constexpr Duration k_longest_hold{k_microseconds_per_day};

// The latest moment at which something may have been done, and at which a hold may end.
constexpr Instant latest_moment(Instant now) { return now + k_clock_slack; }
constexpr Instant latest_expiry(Instant now) { return now + k_longest_hold + k_clock_slack; }

constexpr bool is_of_the_future(Instant done_at, Instant now) { return done_at > latest_moment(now); }

// Without a hold: infinity.
constexpr bool hold_is_of_the_future(Instant expires_at, Instant now) {
  return expires_at.is_finite() && expires_at > latest_expiry(now);
}

// A hold that begins now, and lasts as long as it was to last.
struct HoldTimes {
  Instant since;
  Instant expires_at;
};
constexpr HoldTimes brought_near(const HoldTimes& hold, Instant now) {
  const Duration length{hold.expires_at.microseconds - hold.since.microseconds};
  return {std::min(hold.since, now), now + std::clamp(length, Duration{0}, k_longest_hold)};
}

// The latest activity of a user who is active now.
constexpr Instant active_at(std::optional<Instant> before, Instant now) {
  return before && !is_of_the_future(*before, now) ? std::max(*before, now) : now;
}

// Where a zone is left for another, or the clock steps back a little at a turn, the day of the one is up to two ahead
// of that of the other.
inline constexpr int k_days_between_clocks = 2;
constexpr bool period_is_of_the_future(Date begins, Date today) {
  return is_finite(begins) && begins.days > today.days + k_days_between_clocks;
}

}  // namespace claude_gpt::core
