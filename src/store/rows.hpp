// The tables whose rows are read and written by either engine.
#pragma once

#include <array>

#include "bridge/heap_table.hpp"
#include "store/table.hpp"

namespace claude_gpt::store {

// Accounts with their counters: what a decision reads, and what it writes.
struct Users {
  enum Column : std::uint8_t {
    subscription_tier,
    subscription_status,
    subscription_current_period_end,
    subscription_cancel_at_period_end,
    monthly_reset_date,
    monthly_message_count,
    monthly_token_count,
    monthly_api_call_count,
    monthly_cost,
    held_message_count,
    held_token_count,
    held_cost,
    next_hold_expiry,
    id,
    total_message_count,
    total_token_count,
    total_api_call_count,
    total_cost,
    last_active_at,
    last_active_on,
    updated_at
  };
  static constexpr char k_name[] = "users";
  static constexpr std::size_t k_read = id;  // how many columns a decision reads
  static constexpr Column k_key = id;
  static constexpr std::array k_columns = {
      bridge::ColumnType{"subscription_tier", bridge::Type::text},
      bridge::ColumnType{"subscription_status", bridge::Type::text},
      bridge::ColumnType{"subscription_current_period_end", bridge::Type::timestamptz},
      bridge::ColumnType{"subscription_cancel_at_period_end", bridge::Type::boolean},
      bridge::ColumnType{"monthly_reset_date", bridge::Type::date},
      bridge::ColumnType{"monthly_message_count", bridge::Type::int4},
      bridge::ColumnType{"monthly_token_count", bridge::Type::int8},
      bridge::ColumnType{"monthly_api_call_count", bridge::Type::int8},
      bridge::ColumnType{"monthly_cost", bridge::Type::numeric},
      bridge::ColumnType{"held_message_count", bridge::Type::int4},
      bridge::ColumnType{"held_token_count", bridge::Type::int8},
      bridge::ColumnType{"held_cost", bridge::Type::numeric},
      bridge::ColumnType{"next_hold_expiry", bridge::Type::timestamptz},
      bridge::ColumnType{"id", bridge::Type::uuid},
      bridge::ColumnType{"total_message_count", bridge::Type::int4},
      bridge::ColumnType{"total_token_count", bridge::Type::int8},
      bridge::ColumnType{"total_api_call_count", bridge::Type::int8},
      bridge::ColumnType{"total_cost", bridge::Type::numeric},
      bridge::ColumnType{"last_active_at", bridge::Type::timestamptz},
      bridge::ColumnType{"last_active_on", bridge::Type::date},
      bridge::ColumnType{"updated_at", bridge::Type::timestamptz},
  };
  static_assert(k_columns.size() == updated_at + 1);
};

// The ledger. Whoever writes a record has written the row of its user in the same transaction.
struct UsageRecords {
  enum Column : std::uint8_t {
    id,
    user_id,
    usage_type,
    quantity,
    model_used,
    cost,
    message_id,       // NULL: such records go by SPI
    conversation_id,  // likewise
    metadata,
    created_at,
    billing_period
  };
  static constexpr char k_name[] = "usage_records";
  static constexpr std::array k_columns = {
      bridge::ColumnType{"id", bridge::Type::uuid},
      bridge::ColumnType{"user_id", bridge::Type::uuid},
      bridge::ColumnType{"usage_type", bridge::Type::text},
      bridge::ColumnType{"quantity", bridge::Type::int8},
      bridge::ColumnType{"model_used", bridge::Type::text},
      bridge::ColumnType{"cost", bridge::Type::numeric},
      bridge::ColumnType{"message_id", bridge::Type::uuid},
      bridge::ColumnType{"conversation_id", bridge::Type::uuid},
      bridge::ColumnType{"metadata", bridge::Type::jsonb},
      bridge::ColumnType{"created_at", bridge::Type::timestamptz},
      bridge::ColumnType{"billing_period", bridge::Type::date},
  };
  static_assert(k_columns.size() == billing_period + 1);
};

bridge::HeapTable& users();
bridge::HeapTable& usage_records();

}  // namespace claude_gpt::store
