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
  static constexpr Column k_key = id;
  static constexpr Column k_owner = id;
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
  static constexpr std::uint64_t k_counters =
      bits({monthly_message_count, monthly_token_count, monthly_api_call_count, monthly_cost, held_message_count,
            held_token_count, held_cost, total_message_count, total_token_count, total_api_call_count, total_cost});
  static constexpr std::uint64_t k_updated = k_counters | bits({monthly_reset_date, next_hold_expiry, last_active_at});
  static constexpr std::uint64_t k_stamped = bits({last_active_on, updated_at});
  static bridge::HeapTable& rows();
};

// The ledger.
struct UsageRecords {
  enum Column : std::uint8_t {
    id,
    user_id,
    usage_type,
    quantity,
    model_used,
    cost,
    message_id,
    conversation_id,
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
  static constexpr std::uint64_t k_inserted = (std::uint64_t{1} << k_columns.size()) - 1;
  static bridge::HeapTable& new_rows();
};

// Conversations with the counters that follow their messages.
struct Conversations {
  enum Column : std::uint8_t {
    id,
    user_id,
    message_count,
    total_tokens,
    total_cost,
    last_message_at,
    last_message_on,
    updated_at
  };
  static constexpr char k_name[] = "conversations";
  static constexpr std::array k_columns = {
      bridge::ColumnType{"id", bridge::Type::uuid},
      bridge::ColumnType{"user_id", bridge::Type::uuid},
      bridge::ColumnType{"message_count", bridge::Type::int4},
      bridge::ColumnType{"total_tokens", bridge::Type::int8},
      bridge::ColumnType{"total_cost", bridge::Type::numeric},
      bridge::ColumnType{"last_message_at", bridge::Type::timestamptz},
      bridge::ColumnType{"last_message_on", bridge::Type::date},
      bridge::ColumnType{"updated_at", bridge::Type::timestamptz},
  };
  static_assert(k_columns.size() == updated_at + 1);
  static constexpr Column k_key = id;
  static constexpr Column k_owner = user_id;
  static constexpr std::uint64_t k_counters = bits({message_count, total_tokens, total_cost});
  static constexpr std::uint64_t k_updated = k_counters | bits({last_message_at});
  static constexpr std::uint64_t k_inserted = bits({id, user_id, last_message_at});
  static constexpr std::uint64_t k_stamped = bits({last_message_on, updated_at});
  static bridge::HeapTable& rows();
  static bridge::HeapTable& new_rows();
};

// Questions and replies of chat turns.
struct Messages {
  enum Column : std::uint8_t {
    id,
    conversation_id,
    user_id,
    role,
    content,
    content_type,
    model_used,
    prompt_tokens,
    completion_tokens,
    total_tokens,
    cost,
    status,
    error_message,
    metadata,
    parent_message_id,
    created_at,
    updated_at
  };
  static constexpr char k_name[] = "messages";
  static constexpr std::array k_columns = {
      bridge::ColumnType{"id", bridge::Type::uuid},
      bridge::ColumnType{"conversation_id", bridge::Type::uuid},
      bridge::ColumnType{"user_id", bridge::Type::uuid},
      bridge::ColumnType{"role", bridge::Type::text},
      bridge::ColumnType{"content", bridge::Type::text},
      bridge::ColumnType{"content_type", bridge::Type::text},
      bridge::ColumnType{"model_used", bridge::Type::text},
      bridge::ColumnType{"prompt_tokens", bridge::Type::int4},
      bridge::ColumnType{"completion_tokens", bridge::Type::int4},
      bridge::ColumnType{"total_tokens", bridge::Type::int4},
      bridge::ColumnType{"cost", bridge::Type::numeric},
      bridge::ColumnType{"status", bridge::Type::text},
      bridge::ColumnType{"error_message", bridge::Type::text},
      bridge::ColumnType{"metadata", bridge::Type::jsonb},
      bridge::ColumnType{"parent_message_id", bridge::Type::uuid},
      bridge::ColumnType{"created_at", bridge::Type::timestamptz},
      bridge::ColumnType{"updated_at", bridge::Type::timestamptz},
  };
  static_assert(k_columns.size() == updated_at + 1);
  static constexpr Column k_key = id;
  static constexpr Column k_owner = user_id;
  static constexpr std::uint64_t k_numbers = bits({prompt_tokens, completion_tokens, total_tokens, cost});
  static constexpr std::uint64_t k_updated = k_numbers | bits({content, status, error_message, metadata});
  static constexpr std::uint64_t k_inserted = bits({id, conversation_id, user_id, role, content, content_type,
                                                    model_used, status, metadata, parent_message_id, created_at});
  static constexpr std::uint64_t k_stamped = bits({updated_at});
  static bridge::HeapTable& rows();
  static bridge::HeapTable& new_rows();
};

// What is held until it is known. Whoever writes one has locked the row of its user in the same transaction.
struct UsageReservations {
  enum Column : std::uint8_t {
    user_id,
    status,
    message_count,
    token_count,
    cost,
    model_used,
    expires_at,
    conversation_id,
    user_message_id,
    assistant_message_id,
    prompt_tokens,
    completion_tokens,
    cached_prompt_tokens,
    cache_write_tokens,
    given_cost,
    charged_cost,
    was_late,
    has_failed,
    is_estimated,
    reported_usage,
    id,
    created_at,
    closed_at
  };
  static constexpr char k_name[] = "usage_reservations";
  static constexpr std::array k_columns = {
      bridge::ColumnType{"user_id", bridge::Type::uuid},
      bridge::ColumnType{"status", bridge::Type::text},
      bridge::ColumnType{"message_count", bridge::Type::int4},
      bridge::ColumnType{"token_count", bridge::Type::int8},
      bridge::ColumnType{"cost", bridge::Type::numeric},
      bridge::ColumnType{"model_used", bridge::Type::text},
      bridge::ColumnType{"expires_at", bridge::Type::timestamptz},
      bridge::ColumnType{"conversation_id", bridge::Type::uuid},
      bridge::ColumnType{"user_message_id", bridge::Type::uuid},
      bridge::ColumnType{"assistant_message_id", bridge::Type::uuid},
      bridge::ColumnType{"prompt_tokens", bridge::Type::int4},
      bridge::ColumnType{"completion_tokens", bridge::Type::int4},
      bridge::ColumnType{"cached_prompt_tokens", bridge::Type::int4},
      bridge::ColumnType{"cache_write_tokens", bridge::Type::int4},
      bridge::ColumnType{"given_cost", bridge::Type::numeric},
      bridge::ColumnType{"charged_cost", bridge::Type::numeric},
      bridge::ColumnType{"was_late", bridge::Type::boolean},
      bridge::ColumnType{"has_failed", bridge::Type::boolean},
      bridge::ColumnType{"is_estimated", bridge::Type::boolean},
      bridge::ColumnType{"reported_usage", bridge::Type::text},
      bridge::ColumnType{"id", bridge::Type::uuid},
      bridge::ColumnType{"created_at", bridge::Type::timestamptz},
      bridge::ColumnType{"closed_at", bridge::Type::timestamptz},
  };
  static_assert(k_columns.size() == closed_at + 1);
  static constexpr Column k_key = id;
  static constexpr Column k_owner = user_id;
  static constexpr std::uint64_t k_held = bits({message_count, token_count, cost});
  static constexpr std::uint64_t k_updated =
      bits({status, expires_at, closed_at, prompt_tokens, completion_tokens, cached_prompt_tokens, cache_write_tokens,
            given_cost, charged_cost, was_late, has_failed, is_estimated, reported_usage});
  static constexpr std::uint64_t k_inserted = k_held | bits({id, user_id, status, model_used, created_at, expires_at,
                                                             conversation_id, user_message_id, assistant_message_id});
  static bridge::HeapTable& rows();
  static bridge::HeapTable& new_rows();
};

// One way in which rows are used, and what keeps it from going directly; nullptr: nothing. For health().
struct DirectUse {
  const char* table;
  const char* operation;  // "read", "updated" or "inserted"
  const char* obstacle;
};
std::array<DirectUse, 9> direct_uses(core::Instant now);

// The words that messages are written with.
inline constexpr std::array<std::string_view, 3> k_content_types = {"text", "image", "file"};

}  // namespace claude_gpt::store
