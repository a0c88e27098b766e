// Times of the future, in whatever table a wrong clock left them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"
#include "store/books.hpp"

namespace claude_gpt::store {

// The latest times that are believed.
struct Believed {
  core::Instant now;
  core::Date month;        // that is present
  core::Date last_period;  // that may have begun
  core::Instant moment;    // at which something may have been done
  core::Instant expiry;    // of a hold
  core::Instant began;     // the transaction: records have its time, which is never held
  core::Instant record;    // as moment, of a record
};

// What tells of the rows of a kind, few of which are looked at.
struct FutureTimes {
  std::string_view kind;
  std::int64_t count;
};
bridge::Result<FutureTimes> count_future_times(bridge::Spi& spi, const Believed& believed);

// Of users: the month, the first expiry of a hold, the last activity. What a hold's becomes is not said.
bridge::Result<Difference> find_users_of_the_future(bridge::Spi& spi, std::optional<core::Uuid> user_id,
                                                    const Believed& believed, bool with_activities,
                                                    bridge::Access access);
bridge::Result<core::Uuid> find_users_with_later_periods(bridge::Spi& spi, std::optional<core::Uuid> user_id);
std::optional<bridge::UnreadText> first_expiry_of(bridge::Spi& spi, const core::Uuid& user_id);

// Of the ledger or of idempotency keys.
bool has_records_of_the_future(bridge::Spi& spi, std::optional<core::Uuid> user_id, const Believed& believed);
// Of the ledger and of idempotency keys, for whom there was something to bring near.
bridge::Result<Difference> bring_records_near(bridge::Spi& spi, std::optional<core::Uuid> user_id,
                                              const Believed& believed);
bridge::Result<Difference> bring_keys_near(bridge::Spi& spi, std::optional<core::Uuid> user_id,
                                           const Believed& believed);

}  // namespace claude_gpt::store
