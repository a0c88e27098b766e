// Rate limits in shared memory: shared by the functions on rate limits and by chat turns.
#pragma once

#include <cstdint>
#include <optional>

#include "core/calendar.hpp"
#include "core/identifiers.hpp"
#include "core/quota.hpp"
#include "core/rate_limit.hpp"

namespace claude_gpt::api {

// Called once, when the library is loaded.
void reserve_rate_limits();

struct RateDecision {
  std::optional<core::RateLimit::Decision> made;  // nullopt: the memory is full
  std::int64_t limit = 0;

  bool is_allowed() const { return made && made->is_allowed; }
  core::Reason reason() const;
  // Whole seconds to a denied call's next try; nullopt if it is allowed, or never will be.
  std::optional<std::int32_t> retry_after() const;
};

// Charges the key of a user so many units of so many a minute. 55000 if the library is not preloaded.
RateDecision charge_user(const core::Uuid& user_id, std::int64_t per_minute, std::int64_t cost, core::Instant now);

}  // namespace claude_gpt::api
