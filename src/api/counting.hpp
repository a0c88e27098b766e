// Counting on the row of a user.
#pragma once

#include "core/billing_period.hpp"
#include "core/calendar.hpp"
#include "core/counting.hpp"
#include "store/rows.hpp"
#include "store/table.hpp"

namespace claude_gpt::api {

// What an addition makes of the row of a user in the period that runs; 22003 where a column could not hold a sum.
void put_addition(const store::Row<store::Users>& row, const core::Addition& addition, core::Instant now,
                  const core::StoredPeriod& period, core::Expiry expiry, store::Changes<store::Users>& changes);

}  // namespace claude_gpt::api
