// The table usage_reservations: what is held until it is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/amount.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"
#include "store/locked_at.hpp"
#include "store/rows.hpp"
#include "store/stored_row.hpp"
#include "store/users.hpp"

namespace claude_gpt::store {

struct NewReservation {
  const core::Uuid& id;
  const core::Uuid& user_id;
  std::int32_t messages;
  std::int64_t tokens;
  core::Amount cost;
  std::optional<bridge::UnreadText> model;
  std::optional<std::string_view> unit_prices;
  core::Instant created_at;
  core::Instant expires_at;
  // Of a turn, all three.
  std::optional<core::Uuid> conversation_id = std::nullopt;
  std::optional<core::Uuid> user_message_id = std::nullopt;
  std::optional<core::Uuid> assistant_message_id = std::nullopt;
};
void insert_reservation(const NewReservation& reservation, LockedAt user);

// Locks the user first, the reservation second: the order in which everything locks. False: the user has none of that
// id. The ids of a turn are there if one of them is, and what was charged where it was settled.
bool lock_reservation(const core::Uuid& user_id, StoredRow<UsageReservations>& reservation);

// How it ends. What is charged is nothing where it was not settled; the hash is that of the reply of a turn.
struct Charged {
  std::int32_t prompt_tokens;
  std::int32_t completion_tokens;
  std::int32_t cached_prompt_tokens;
  std::int32_t cache_write_tokens;
  std::optional<core::Amount> given_cost;
  core::Amount charged_cost;
  bool has_failed;
  bool is_estimated;
  std::optional<std::string_view> reported_usage;  // where the counts do not tell it
};
void close_reservation(const core::Uuid& user_id, const core::Uuid& id, std::string_view status,
                       core::Instant closed_at, bool was_late, const std::optional<Charged>& charged,
                       const std::optional<std::int64_t>& reply_hash);

// As it stands now; nullopt if the user has no such reservation any more.
std::optional<core::Instant> find_expiry(const core::Uuid& user_id, const core::Uuid& id);
// From now on until then.
void extend_reservation(const core::Uuid& user_id, const core::Uuid& id, core::Instant now, core::Instant expires_at);
// Of an open reservation: since when and until when it holds, as it stands now.
struct TimeToLive {
  core::Instant since;
  core::Instant until;
};
std::optional<TimeToLive> find_time_to_live(const core::Uuid& user_id, const core::Uuid& id);

// A chat turn by its reservation, as it stands now.
struct ReservedTurn {
  core::Uuid conversation_id;
  core::Uuid user_message_id;
  core::Uuid assistant_message_id;
  core::Instant expires_at;
};
std::optional<ReservedTurn> find_turn(const core::Uuid& user_id, const core::Uuid& id);

// Of a user who is locked: marks what is due as expired. `from`: the user's next_hold_expiry, below which nothing is
// open.
DueHolds expire_due(bridge::Spi& spi, const core::Uuid& user_id, core::Instant now, core::Instant from);
// For functions that only read: what is marked as held, but is due. Read by column.
struct StillHeld {
  std::int64_t messages;
  std::int64_t tokens;
  core::Amount cost;
};
bridge::Result<StillHeld> find_due(bridge::Spi& spi, const core::Uuid& user_id, core::Instant now, core::Instant from);
// Of a user: when the first of his open holds expires, and when the last of them began, or began anew.
struct OpenHolds {
  std::optional<core::Instant> first_expiry;
  std::optional<core::Instant> last_begun;
};
OpenHolds find_open_holds(bridge::Spi& spi, const core::Uuid& user_id, core::Instant from);

// Of a user who is locked: open ones, not due, that began, or began anew, after a moment, or expire after another.
struct HoldOfTheFuture {
  core::Uuid id;
  core::Instant since;
  core::Instant expires_at;
};
bridge::Result<HoldOfTheFuture> find_holds_of_the_future(bridge::Spi& spi, const core::Uuid& user_id, core::Instant now,
                                                         core::Instant begun_after, core::Instant expires_after);
void bring_hold_near(bridge::Spi& spi, const HoldOfTheFuture& hold);

// Of a user who is locked: turns that are neither over nor expired, when the first of them expires, and when the last
// of them began, or began anew.
struct OpenTurns {
  std::int64_t count;
  std::optional<core::Instant> first_expiry;
  std::optional<core::Instant> last_begun;
};
OpenTurns find_open_turns(bridge::Spi& spi, const core::Uuid& user_id, core::Instant now);

// The sweep: users with holds that are due, from one on; nothing is left of the time before `due_since`. And what was
// closed long ago.
struct TimesOfSweep {
  core::Instant now;
  core::Instant due_since;
  core::Instant latest_expiry;  // beyond which an open one is of the future
};
bool has_reservations_to_sweep(bridge::Spi& spi, const TimesOfSweep& times, core::Instant kept_since);
bridge::Result<core::Uuid> find_users_with_holds_to_sweep(bridge::Spi& spi, const TimesOfSweep& times,
                                                          const core::Uuid& from, std::int64_t most);
std::uint64_t delete_closed_reservations(bridge::Spi& spi, core::Instant kept_since, std::int64_t most);

}  // namespace claude_gpt::store
