// The table users: what decisions read, and the counters and holds that they write.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/amount.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::store {

// What a decision reads of a user. Read by column: a numeric costs more than the rest, and is asked for where a limit
// is.
struct User {
  std::string_view subscription_tier;
  std::string_view subscription_status;
  std::optional<core::Instant> subscription_current_period_end;
  bool subscription_cancel_at_period_end;
  core::Date monthly_reset_date;
  std::int32_t monthly_message_count;
  std::int64_t monthly_token_count;
  std::int64_t monthly_api_call_count;
  core::Amount monthly_cost;
  std::int32_t held_message_count;
  std::int64_t held_token_count;
  core::Amount held_cost;
  std::optional<core::Instant> next_hold_expiry;
};

bridge::Result<User> find_user(bridge::Spi& spi, const core::Uuid& id, bridge::Access access);
// Until the transaction ends. The second does not wait for whoever holds it.
bridge::Result<User> lock_user(bridge::Spi& spi, const core::Uuid& id);
bridge::Result<User> lock_user_if_free(bridge::Spi& spi, const core::Uuid& id);

// What is added to the counters, and to what open reservations hold.
struct CounterChange {
  std::int64_t messages;
  std::int64_t tokens;
  std::int64_t api_calls;
  bridge::UnreadNumeric cost;
  std::int64_t held_messages;
  std::int64_t held_tokens;
  bridge::UnreadNumeric held_cost;
  core::Instant hold_expiry;
};
// Rolls a lapsed month over first. The row as it is then.
bridge::Result<User> change_counters(bridge::Spi& spi, const core::Uuid& id, const CounterChange& change,
                                     core::Instant now, core::Date month);

// False in a later month, where the clock was moved back.
bool count_in_month(bridge::Spi& spi, const core::Uuid& id, std::int32_t messages, std::int64_t tokens,
                    bridge::UnreadNumeric cost, core::Instant now, core::Date month, core::Date next_month);

// A decision in one step: everything it reads stands in the row that it updates, and is read again after a wait for
// that row. No row comes back where a limit is reached, where the month is another, where a hold is due, where the plan
// is not among those that are offered: then the slow way says which. It asks what core::exceeded_limit asks.
struct OneStep {
  const core::Uuid& user_id;
  core::Instant now;
  core::Date month;
  core::Date next_month;
  core::Instant lapsed_before;  // now less the grace
  // The tiers that may be used; the limits are in their order.
  std::span<const std::string_view> tiers;
  std::optional<std::span<const std::optional<core::Amount>>> cost_limits;  // nothing: no plan has one
};
enum class Counter { messages, tokens, api_calls };
bridge::Result<User> consume_in_one_step(bridge::Spi& spi, const OneStep& step, Counter counter, std::int64_t quantity,
                                         std::span<const std::int64_t> limits);
struct HeldInOneStep {
  std::int64_t messages;
  std::int64_t tokens;
  core::Amount cost;
  core::Instant until;
  std::span<const std::int64_t> message_limits;
  std::span<const std::int64_t> token_limits;
};
bridge::Result<User> hold_in_one_step(bridge::Spi& spi, const OneStep& step, const HeldInOneStep& held);

// What is due of the holds of a user who is locked.
struct DueHolds {
  std::int32_t messages;
  std::int64_t tokens;
  bridge::UnreadNumeric cost;
  std::int64_t count;
};
bridge::Result<User> give_back_due(bridge::Spi& spi, const core::Uuid& id, core::Instant now, const DueHolds& due);

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
