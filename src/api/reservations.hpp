// Reservations, which hold usage until it is known: shared by the functions on them and by chat turns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/pricing.hpp"
#include "api/quota.hpp"
#include "api/usage.hpp"
#include "bridge/entry.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"
#include "core/provider_usage.hpp"
#include "core/quota.hpp"
#include "core/usage.hpp"

namespace claude_gpt::api {

// 22023 unless it is from 1 second to 24 hours.
core::Instant require_expiry(core::Duration time_to_live, core::Instant now);

// A chat turn's place.
struct Turn {
  core::Uuid conversation_id;
  core::Uuid user_message_id;
  core::Uuid assistant_message_id;
};

void insert_reservation(const core::Uuid& id, const core::Uuid& user_id, const core::Demand& held,
                        std::optional<bridge::UnreadText> model, const Pricing& pricing, core::Instant expires_at,
                        core::Instant now, const std::optional<Turn>& turn, store::LockedAt user);

// A row of usage_reservations whose user and itself are locked.
struct Reservation {
  enum class Status { open, settled, released, expired };

  core::Uuid id;
  core::Uuid user_id;
  Status status;
  std::int32_t messages;
  std::int64_t tokens;
  core::Amount cost;
  std::optional<std::string> model;
  std::optional<core::ModelPrice> price;  // as it was when it was made
  core::Instant expires_at;
  std::optional<Turn> turn;
  // What it was settled with.
  core::TokenCounts tokens_charged = {};
  std::optional<core::Amount> given_cost = std::nullopt;
  core::Amount charged_cost = {};
  bool has_failed = false;
  bool is_estimated = false;
  std::string reported_usage = {};
  bool was_late = false;
  std::optional<std::int64_t> reply_hash = std::nullopt;  // that ended its turn

  bool has_expired(core::Instant now) const { return status == Status::expired || expires_at <= now; }
};

// P0002 if the user has none of that id: another user's is like one that does not exist.
Reservation lock_reservation(const core::Uuid& user_id, const core::Uuid& id);

// What settling was told and what it charged.
struct Settlement {
  std::vector<core::ModelCall> calls = {};  // as they were reported
  core::TokenCounts tokens = {};            // what is charged
  core::TokenKinds kinds = {};              // of these, as far as it is known
  bool is_estimated = false;                // what was used is not known: at least what was held
  std::optional<core::Amount> given_cost = std::nullopt;
  core::Amount charged_cost = {};
  bool has_failed = false;  // the turn that it ends
  std::optional<std::int64_t> reply_hash = std::nullopt;
  bool is_late = false;
  bool is_replayed = false;
};

// 22004, 22023: counts and cost as SQL arguments. Counts that are NULL are not known; those that have their default are
// not given, and leave it to the usage.
struct SettlementParameters {
  bridge::Parameter<std::int32_t> prompt;
  bridge::Parameter<std::int32_t> completion;
  bridge::Parameter<core::Amount> cost;
  bridge::Parameter<std::int32_t> cached_prompt;
  bridge::Parameter<std::int32_t> cache_write;
  bridge::Parameter<bridge::UnreadJsonb> usage;
  std::optional<std::int32_t> default_count = std::nullopt;
};
Settlement require_settlement(const bridge::Call& call, const SettlementParameters& parameters);

// Closes a reservation and fills in what it is charged. 55000 it was released; UQ006 it was settled with other numbers,
// or with another reply; UQ009 the cost is not given and the price of the model is not known. Unless that was done
// before (is_replayed), record_settlement() follows, which counts it, once it is known what the records refer to.
void settle(const Reservation& reservation, Settlement& settlement, const CallTime& time);
void record_settlement(const Reservation& reservation, const Settlement& settlement, store::UsageDetail detail,
                       const CallTime& time);

// A kind of tokens as columns have it: none is more than the prompt or the completion that it is part of.
constexpr std::optional<std::int32_t> narrowed(const std::optional<std::int64_t>& tokens) {
  return tokens ? std::optional{static_cast<std::int32_t>(*tokens)} : std::nullopt;
}

// UQ006 where a reservation of a turn ended with another reply, or otherwise.
void require_same_reply(const Reservation& ended, const std::optional<std::int64_t>& reply_hash);

// Lets it hold until then; 55000 unless it is open.
void extend(const Reservation& reservation, core::Instant expires_at, const CallTime& time);
// Gives an open reservation its time to live again, where less than half of it is left: work on it goes on.
void renew(const core::Uuid& user_id, const core::Uuid& id, const CallTime& time);

// Closes a reservation that was not settled as released or expired, and gives back what it still holds.
void end_uncharged(const Reservation& reservation, Reservation::Status status, const CallTime& time,
                   const std::optional<std::int64_t>& reply_hash = std::nullopt);

}  // namespace claude_gpt::api
