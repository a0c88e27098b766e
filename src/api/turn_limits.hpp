// What keeps a turn from beginning beside the quotas: how many a minute, and how many at once.
#pragma once

#include <cstdint>
#include <optional>

#include "api/quota.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::api {

// nullopt if the rate admits the turn, or nothing limits it.
std::optional<Decision> deny_by_rate(const core::Uuid& user_id, const std::optional<std::int64_t>& per_minute,
                                     core::Instant now);

// nullopt if the user may have one more turn at once. Who locks the user waits for turns that are being begun.
std::optional<Decision> deny_by_open_turns(const core::Uuid& user_id, const std::optional<std::int64_t>& most,
                                           core::Instant now);

}  // namespace claude_gpt::api
