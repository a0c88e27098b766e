// The period of a user where a wrong clock had its hand in it.
#pragma once

#include "api/call_time.hpp"
#include "api/users.hpp"
#include "bridge/spi.hpp"
#include "core/billing_period.hpp"
#include "core/identifiers.hpp"
#include "core/usage.hpp"

namespace claude_gpt::api {

// The period that runs, of a user whose own is not doubtful.
core::StoredPeriod period_now(const UserRow& user, const CallTime& time);

// Locks the user and, where his period is doubtful, begins the one of now, with what the ledger says of it. False: it
// was not.
bool mend_period(const core::Uuid& user_id, const CallTime& time);

// The same, where the clock of now is known to be right: what the ledger has of later periods goes to the present one.
void mend_period_for_good(const core::Uuid& user_id, const CallTime& time);

// What was used in the period of now, for functions that only read.
core::MonthlyUsage used_now(const core::Uuid& user_id, const UserRow& user, bool with_cost, const CallTime& time);

// When what counts in the user's row counts no more.
core::Instant period_ends(const UserRow& user, const CallTime& time);

}  // namespace claude_gpt::api
