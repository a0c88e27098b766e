// Counting: the one way in which counters, holds and ledger change together.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bridge/entry.hpp"
#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "core/counting.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::api {

// What is added to the counters of a user, and to what open reservations hold (negative: given back).
struct UsageChange {
  std::int64_t messages = 0;
  std::int64_t tokens = 0;
  std::int64_t api_calls = 0;
  bridge::Value cost = bridge::Value::null();  // numeric; NULL is nothing
  std::int64_t held_messages = 0;
  std::int64_t held_tokens = 0;
  bridge::Value held_cost = bridge::Value::null();
  core::Instant hold_expiry = core::Instant::infinity();
};

// A model's name, if it is given. 22023 unless it has from 1 to 255 characters.
std::optional<std::string_view> model_of(const bridge::Call& call, int index);

// Adds it, rolling a lapsed month over first. Returns the month whose counters hold it; P0002 if there is no such user.
core::Date change_counters(const core::Uuid& user_id, const UsageChange& change, core::Instant now, core::Date month);

// The same by SPI. Returns the row as it stands then (CLAUDE_GPT_USER_COLUMNS).
bridge::Rows change_counters_by_spi(bridge::Spi& spi, const core::Uuid& user_id, const UsageChange& change,
                                    core::Instant now, core::Date month);

// The month whose counters such a row holds.
core::Date counted_month(const bridge::Rows& user);

// What is added to the row where it is written directly.
core::Addition addition_of(const UsageChange& change);

// What a record says beside quantities and cost; each may be absent.
struct UsageDetail {
  bridge::Value model = bridge::Value::null();  // text
  bridge::Value message_id = bridge::Value::null();
  bridge::Value conversation_id = bridge::Value::null();
  bridge::Value metadata = bridge::Value::null();  // jsonb
};

// Keep a message or a conversation of the user from being deleted until the transaction ends, so that a record may
// refer to it; P0002 if there is none. The user is locked already. The first returns the message's conversation.
bridge::Value keep_message(bridge::Spi& spi, const core::Uuid& user_id, bridge::Value message_id);
void keep_conversation(bridge::Spi& spi, const core::Uuid& user_id, bridge::Value conversation_id);
// The same for what may be gone: nothing, or false, if there is none.
std::optional<bridge::Value> try_keep_message(bridge::Spi& spi, const core::Uuid& user_id, bridge::Value message_id);
bool try_keep_conversation(bridge::Spi& spi, const core::Uuid& user_id, bridge::Value conversation_id);

// Whether what is counted is also recorded. Asked after the user's row was written: whoever switches the ledger on
// locks the table, carries what was counted without it, and is seen by all that waited.
bool keeps_ledger();

// Writes what was counted to the ledger, if it is kept: a record for each kind that is not nothing, the cost with the
// tokens, and to these what the detail says.
void record_counted(const core::Uuid& user_id, const UsageChange& change, const UsageDetail& detail, core::Date month);

}  // namespace claude_gpt::api
