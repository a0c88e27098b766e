// Counting: the one way in which counters, holds and ledger change together.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "api/call_time.hpp"
#include "bridge/entry.hpp"
#include "core/calendar.hpp"
#include "core/counting.hpp"
#include "core/identifiers.hpp"
#include "store/usage_records.hpp"

namespace claude_gpt::api {

// What is added to the counters of a user, and to what open reservations hold (negative: given back).
struct UsageChange {
  std::int64_t messages = 0;
  std::int64_t tokens = 0;
  std::int64_t api_calls = 0;
  std::optional<bridge::UnreadNumeric> cost = std::nullopt;
  std::int64_t held_messages = 0;
  std::int64_t held_tokens = 0;
  std::optional<bridge::UnreadNumeric> held_cost = std::nullopt;
  core::Instant hold_expiry = core::Instant::infinity();
};

// A model's name, if it is given. 22023 unless it has from 1 to 255 characters.
std::optional<std::string_view> model_of(const bridge::Call& call, const bridge::Parameter<std::string_view>& p_model);

// An amount for it.
bridge::UnreadNumeric numeric_of(core::Amount amount);

// Where something was counted.
struct Counted {
  core::Date period = {};  // whose counters hold it: its first day
  store::LockedAt user = {};
};

// Adds it, rolling a lapsed month over first; P0002 if there is no such user.
Counted change_counters(const core::Uuid& user_id, const UsageChange& change, const CallTime& time);

// What is added to the row.
core::Addition addition_of(const UsageChange& change);

// Keep a message or a conversation of the user from being deleted until the transaction ends, so that a record may
// refer to it; P0002 if there is none. The user is locked already. The first returns the message's conversation.
std::optional<core::Uuid> keep_message(const core::Uuid& user_id, const core::Uuid& message_id);
void keep_conversation(const core::Uuid& user_id, const core::Uuid& conversation_id);

// Whether what is counted is also recorded. Asked after the user's row was written: whoever switches the ledger on
// locks the table, carries what was counted without it, and is seen by all that waited.
bool keeps_ledger();

// Writes what was counted to the ledger, if it is kept: a record for each kind that is not nothing, the cost with the
// tokens, and to these what the detail says.
void record_counted(const core::Uuid& user_id, const UsageChange& change, const store::UsageDetail& detail,
                    const Counted& counted);

}  // namespace claude_gpt::api
