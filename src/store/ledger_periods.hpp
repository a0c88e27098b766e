// The ledger and the balances of a user by period.
#pragma once

#include <cstdint>

#include "bridge/spi.hpp"
#include "core/amount.hpp"
#include "core/billing_period.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"
#include "core/usage.hpp"

namespace claude_gpt::store {

// What is booked to the periods from one to another.
core::MonthlyUsage booked_usage(bridge::Spi& spi, const core::Uuid& user_id, core::Date from, core::Date to);

// What is booked to later periods than one goes to another, which ended at a moment.
void move_later_periods(bridge::Spi& spi, const core::Uuid& user_id, core::Date later_than, core::Date to,
                        core::Instant ended);

// Of a user who is locked.
void put_period(bridge::Spi& spi, const core::Uuid& user_id, const core::StoredPeriod& period,
                const core::MonthlyUsage& used);

}  // namespace claude_gpt::store
