// The table users beyond single rows.
#pragma once

#include <cstdint>
#include <optional>

#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::store {

// Until the transaction ends, unless somebody holds it. When the first of his holds expires.
struct FreeUser {
  std::optional<core::Instant> next_hold_expiry;
};
std::optional<FreeUser> lock_user_if_free(bridge::Spi& spi, const core::Uuid& id);

// What is due of the holds of a user who is locked.
struct DueHolds {
  std::int32_t messages;
  std::int64_t tokens;
  bridge::UnreadNumeric cost;
  std::int64_t count;
};
void give_back_due(bridge::Spi& spi, const core::Uuid& id, core::Instant now, const DueHolds& due);

bool has_lapsed_months(bridge::Spi& spi, core::Date month);
// A batch: users from one on whose counters are of a month before. Rows that somebody holds are left: whoever counts in
// them rolls the month over.
struct ResetMonths {
  std::int64_t found;
  std::int64_t reset;
  std::optional<core::Uuid> last;
};
ResetMonths reset_lapsed_months(bridge::Spi& spi, const core::Uuid& from, core::Date month, std::int64_t most);

}  // namespace claude_gpt::store
