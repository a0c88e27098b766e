// Counting on the row of a user.
#pragma once

#include "core/calendar.hpp"
#include "core/counting.hpp"
#include "store/rows.hpp"
#include "store/table.hpp"

namespace claude_gpt::api {

// What an addition makes of the row of a user; 22003 where a column could not hold a sum.
void put_addition(const store::Row<store::Users>& row, const core::Addition& addition, core::Instant now,
                  core::Date month, core::Expiry expiry, store::Changes<store::Users>& changes);

// The month whose counters hold what is added to the row: a later one where the clock or the time zone was moved back.
core::Date counted_in(const store::Row<store::Users>& row, core::Date month);

}  // namespace claude_gpt::api
