// The configuration as this backend knows it: parsed once, dropped when another session commits a change.
#pragma once

#include "core/calendar.hpp"
#include "core/config.hpp"

namespace claude_gpt::api {

// Valid until the next statement is executed, which may change it: take what is needed first.
// The latest committed rows, whatever the isolation level of the transaction.
const core::Configuration& configuration();

// The month and the day of the billing time zone that hold the moment.
core::BillingMonth billing_month(core::Instant moment);
core::BillingDay billing_day(core::Instant moment);
core::Instant billing_day_begins(core::Date day);

}  // namespace claude_gpt::api
