// The table user_sessions.
#pragma once

#include <cstdint>

#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "store/expired.hpp"

namespace claude_gpt::store {

// All at once; they return how many.
std::uint64_t delete_expired_sessions(bridge::Spi& spi, core::Instant before);
std::uint64_t delete_inactive_sessions(bridge::Spi& spi);

// A batch. Sessions that somebody holds are left.
Walked delete_expired_sessions(bridge::Spi& spi, core::Instant from, core::Instant before, std::int64_t most);
std::uint64_t delete_inactive_sessions(bridge::Spi& spi, core::Instant unused_since, std::int64_t most);
bool has_sessions_to_delete(bridge::Spi& spi, core::Instant expired_before, core::Instant unused_since);

}  // namespace claude_gpt::store
