// Counting and recording directly: what the statements of usage and quota do by SPI, on the row itself.
#pragma once

#include "core/calendar.hpp"
#include "core/counting.hpp"
#include "store/engine.hpp"

namespace claude_gpt::api {

// What an addition makes of the row of a user; false where a column could not hold a sum.
bool put_addition(const store::Row<store::Users>& row, const core::Addition& addition, core::Instant now,
                  core::Date month, core::Expiry expiry, store::Changes<store::Users>& changes);

// The month whose counters hold what is added to the row: a later one where the clock or the time zone was moved back.
core::Date counted_in(const store::Row<store::Users>& row, core::Date month);

}  // namespace claude_gpt::api
