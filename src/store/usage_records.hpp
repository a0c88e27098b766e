// The table usage_records: the ledger.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::store {

// What a record says beside quantities and cost; each may be absent.
struct UsageDetail {
  std::optional<bridge::UnreadText> model = std::nullopt;
  std::optional<core::Uuid> message_id = std::nullopt;
  std::optional<core::Uuid> conversation_id = std::nullopt;
  std::optional<bridge::UnreadJsonb> metadata = std::nullopt;
};

void insert_usage_record(bridge::Spi& spi, const core::Uuid& id, const core::Uuid& user_id, std::string_view usage_type,
                         std::int64_t quantity, bridge::UnreadNumeric cost, core::Date month,
                         const UsageDetail& detail);
// A record for messages and one for tokens, each where it is not nothing: the cost and what the detail says with the
// tokens, the model with both.
void insert_records_of_messages_and_tokens(bridge::Spi& spi, const core::Uuid& user_id, std::int64_t messages,
                                           std::int64_t tokens, bridge::UnreadNumeric cost, core::Date month,
                                           const UsageDetail& detail);

}  // namespace claude_gpt::store
