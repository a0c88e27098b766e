#include "api/turn_limits.hpp"

#include "api/holds.hpp"
#include "api/rate_limit.hpp"
#include "api/users.hpp"
#include "core/future.hpp"
#include "store/usage_reservations.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

store::OpenTurns find_open_turns(const core::Uuid& user_id, core::Instant now) {
  Spi spi;
  const store::OpenTurns open = store::find_open_turns(spi, user_id, now);
  spi.finish();
  return open;
}

}  // namespace

std::optional<Decision> deny_by_rate(const core::Uuid& user_id, const std::optional<std::int64_t>& per_minute,
                                     core::Instant now) {
  if (!per_minute) return std::nullopt;
  const RateDecision rate = charge_user(user_id, *per_minute, 1, now);
  if (rate.is_allowed()) return std::nullopt;
  Decision decision = denied(rate.reason());
  decision.retry_after = rate.retry_after();
  if (!rate.made) return decision;
  decision.standing =
      core::Standing{core::Limit::message, rate.limit, rate.limit - rate.made->remaining, 0, rate.made->remaining};
  decision.resets_at = now + core::Duration{rate.made->reset_after / 1000};
  return decision;
}

std::optional<Decision> deny_by_open_turns(const core::Uuid& user_id, const std::optional<std::int64_t>& most,
                                           core::Instant now) {
  if (!most) return std::nullopt;
  lock_user(user_id);
  store::OpenTurns open = find_open_turns(user_id, now);
  // What a clock began that was ahead would deny for as long as that was.
  if (open.count >= *most && open.last_begun && core::is_of_the_future(*open.last_begun, now)) {
    look_at_holds(user_id, now);
    open = find_open_turns(user_id, now);
  }
  if (open.count < *most) return std::nullopt;
  Decision decision = denied(core::Reason::too_many_turns);
  decision.standing = core::Standing{core::Limit::message, *most, 0, open.count, 0};
  if (open.first_expiry) decision.retry_after = core::seconds_until(*open.first_expiry, now);
  return decision;
}

}  // namespace claude_gpt::api
