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

bridge::HeapTable& users();

}  // namespace claude_gpt::store
