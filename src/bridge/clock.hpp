// Time: now, the billing month a moment falls in, and what the server knows of zones and intervals.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/calendar.hpp"

namespace claude_gpt::bridge::clock {

// The wall clock (clock_timestamp(), not the transaction's start), or where claude_gpt.fixed_time holds it.
core::Instant now();

// CURRENT_TIMESTAMP: never held.
core::Instant transaction_start();

// Nanoseconds since 1970, never held: for identifiers.
std::uint64_t system_nanoseconds();

// The day and the month that the clock on the wall shows in a zone; 55000 if it is unknown to this server.
core::BillingDay day_of(core::Instant moment, std::string_view time_zone);
// The moment at which a day begins there.
core::Instant begin_of(core::Date day, std::string_view time_zone);
core::BillingMonth month_of(core::Instant moment, std::string_view time_zone);

bool is_time_zone(std::string_view name);

// Microseconds of an interval in any of the server's notations, a day being 24 hours;
// nullopt if it is none, or has months or years, whose length varies.
std::optional<std::int64_t> interval_length(std::string_view text);

}  // namespace claude_gpt::bridge::clock
