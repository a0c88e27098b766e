// The table usage_records: the ledger.
#pragma once

#include <cstdint>
#include <optional>

#include "bridge/value.hpp"
#include "core/amount.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"
#include "core/usage.hpp"
#include "store/locked_at.hpp"
#include "store/rows.hpp"
#include "store/stored_row.hpp"

namespace claude_gpt::store {

// Of which kinds the tokens of a record are. What is cached, written and reasoned may not be known.
struct RecordedTokens {
  std::int32_t prompt;
  std::int32_t completion;
  std::optional<std::int32_t> cached_prompt;
  std::optional<std::int32_t> cache_write;
  std::optional<std::int32_t> reasoning;
};

// What a record says beside quantities and cost; each may be absent.
struct UsageDetail {
  std::optional<bridge::UnreadText> model = std::nullopt;
  std::optional<core::Uuid> message_id = std::nullopt;
  std::optional<core::Uuid> conversation_id = std::nullopt;
  std::optional<bridge::UnreadJsonb> metadata = std::nullopt;
  LockedAt kept = {};  // message and conversation
  std::optional<RecordedTokens> tokens = std::nullopt;
};

struct UsageRecord {
  const core::Uuid& id;
  const core::Uuid& user_id;
  core::Action kind;
  std::int64_t quantity;
  core::Amount cost;
  core::Date period;  // in which it is counted: its first day
};

// Adds records of a user who was locked then.
class Ledger {
 public:
  Ledger(LockedAt user, const UsageDetail& detail);
  void add(const UsageRecord& record, const UsageDetail& detail);
  // Both, by SPI in one statement: triggers for each statement are fired once for a turn.
  void add(const UsageRecord& first, const UsageDetail& of_first, const UsageRecord& second,
           const UsageDetail& of_second);
  void finish() { rows_.finish(); }

 private:
  NewRow<UsageRecords> row_of(const UsageRecord& record, const UsageDetail& detail) const;

  core::Instant now_;
  NewRows<UsageRecords> rows_;
};

}  // namespace claude_gpt::store
