// The tables whose rows are read and written by either engine.
#pragma once

#include <array>

#include "bridge/heap_table.hpp"
#include "store/table.hpp"

namespace claude_gpt::store {

// Each column once, by its name and its type: COLUMN(name, type).
#define AS_ENUMERATOR(name, type) name,
#define AS_COLUMN(name, type) bridge::ColumnType{#name, bridge::Type::type},

#define COLUMNS_OF_USERS(COLUMN)                       \
  COLUMN(subscription_tier, text)                      \
  COLUMN(subscription_status, text)                    \
  COLUMN(subscription_current_period_end, timestamptz) \
  COLUMN(subscription_cancel_at_period_end, boolean)   \
  COLUMN(monthly_reset_date, date)                     \
  COLUMN(monthly_message_count, int4)                  \
  COLUMN(monthly_token_count, int8)                    \
  COLUMN(monthly_api_call_count, int8)                 \
  COLUMN(monthly_cost, numeric)                        \
  COLUMN(held_message_count, int4)                     \
  COLUMN(held_token_count, int8)                       \
  COLUMN(held_cost, numeric)                           \
  COLUMN(next_hold_expiry, timestamptz)                \
  COLUMN(ledger_ahead_to, date)                        \
  COLUMN(billing_anchor_day, int4)                     \
  COLUMN(billing_period_ends_on, date)                 \
  COLUMN(id, uuid)                                     \
  COLUMN(total_message_count, int4)                    \
  COLUMN(total_token_count, int8)                      \
  COLUMN(total_api_call_count, int8)                   \
  COLUMN(total_cost, numeric)                          \
  COLUMN(last_active_at, timestamptz)                  \
  COLUMN(last_active_on, date)                         \
  COLUMN(updated_at, timestamptz)

// Accounts with their counters: what a decision reads, and what it writes.
struct Users {
  enum Column : std::uint8_t { COLUMNS_OF_USERS(AS_ENUMERATOR) };
  static constexpr char k_name[] = "users";
  static constexpr Column k_key = id;
  static constexpr Column k_owner = id;
  static constexpr std::array k_columns = {COLUMNS_OF_USERS(AS_COLUMN)};
  static constexpr std::uint64_t k_counters =
      bits({monthly_message_count, monthly_token_count, monthly_api_call_count, monthly_cost, held_message_count,
            held_token_count, held_cost, total_message_count, total_token_count, total_api_call_count, total_cost});
  static constexpr std::uint64_t k_updated =
      k_counters | bits({monthly_reset_date, next_hold_expiry, billing_period_ends_on, last_active_at});
  static constexpr std::uint64_t k_stamped = bits({last_active_on, updated_at});
  static bridge::HeapTable& rows();
};

#define COLUMNS_OF_USAGE_RECORDS(COLUMN) \
  COLUMN(id, uuid)                       \
  COLUMN(user_id, uuid)                  \
  COLUMN(usage_type, text)               \
  COLUMN(quantity, int8)                 \
  COLUMN(model_used, text)               \
  COLUMN(cost, numeric)                  \
  COLUMN(message_id, uuid)               \
  COLUMN(conversation_id, uuid)          \
  COLUMN(metadata, jsonb)                \
  COLUMN(created_at, timestamptz)        \
  COLUMN(billing_period, date)           \
  COLUMN(prompt_tokens, int4)            \
  COLUMN(completion_tokens, int4)        \
  COLUMN(cached_prompt_tokens, int4)     \
  COLUMN(cache_write_tokens, int4)       \
  COLUMN(reasoning_tokens, int4)

// The ledger.
struct UsageRecords {
  enum Column : std::uint8_t { COLUMNS_OF_USAGE_RECORDS(AS_ENUMERATOR) };
  static constexpr char k_name[] = "usage_records";
  static constexpr std::array k_columns = {COLUMNS_OF_USAGE_RECORDS(AS_COLUMN)};
  static constexpr std::uint64_t k_inserted = (std::uint64_t{1} << k_columns.size()) - 1;
  static bridge::HeapTable& new_rows();
};

#define COLUMNS_OF_CONVERSATIONS(COLUMN) \
  COLUMN(id, uuid)                       \
  COLUMN(user_id, uuid)                  \
  COLUMN(message_count, int4)            \
  COLUMN(total_tokens, int8)             \
  COLUMN(total_cost, numeric)            \
  COLUMN(last_message_at, timestamptz)   \
  COLUMN(last_message_on, date)          \
  COLUMN(updated_at, timestamptz)

// Conversations with the counters that follow their messages.
struct Conversations {
  enum Column : std::uint8_t { COLUMNS_OF_CONVERSATIONS(AS_ENUMERATOR) };
  static constexpr char k_name[] = "conversations";
  static constexpr std::array k_columns = {COLUMNS_OF_CONVERSATIONS(AS_COLUMN)};
  static constexpr Column k_key = id;
  static constexpr Column k_owner = user_id;
  static constexpr std::uint64_t k_counters = bits({message_count, total_tokens, total_cost});
  static constexpr std::uint64_t k_updated = k_counters | bits({last_message_at});
  static constexpr std::uint64_t k_inserted = bits({id, user_id, last_message_at});
  static constexpr std::uint64_t k_stamped = bits({last_message_on, updated_at});
  static bridge::HeapTable& rows();
  static bridge::HeapTable& new_rows();
};

#define COLUMNS_OF_MESSAGES(COLUMN)  \
  COLUMN(id, uuid)                   \
  COLUMN(conversation_id, uuid)      \
  COLUMN(user_id, uuid)              \
  COLUMN(role, text)                 \
  COLUMN(content, text)              \
  COLUMN(content_type, text)         \
  COLUMN(model_used, text)           \
  COLUMN(prompt_tokens, int4)        \
  COLUMN(completion_tokens, int4)    \
  COLUMN(total_tokens, int4)         \
  COLUMN(cost, numeric)              \
  COLUMN(status, text)               \
  COLUMN(error_message, text)        \
  COLUMN(metadata, jsonb)            \
  COLUMN(parent_message_id, uuid)    \
  COLUMN(created_at, timestamptz)    \
  COLUMN(updated_at, timestamptz)    \
  COLUMN(is_root, boolean)           \
  COLUMN(cached_prompt_tokens, int4) \
  COLUMN(cache_write_tokens, int4)   \
  COLUMN(reasoning_tokens, int4)     \
  COLUMN(parts, jsonb)

// Questions and replies of chat turns.
struct Messages {
  enum Column : std::uint8_t { COLUMNS_OF_MESSAGES(AS_ENUMERATOR) };
  static constexpr char k_name[] = "messages";
  static constexpr std::array k_columns = {COLUMNS_OF_MESSAGES(AS_COLUMN)};
  static constexpr Column k_key = id;
  static constexpr Column k_owner = user_id;
  static constexpr std::uint64_t k_numbers = bits({prompt_tokens, completion_tokens, total_tokens, cost,
                                                   cached_prompt_tokens, cache_write_tokens, reasoning_tokens});
  static constexpr std::uint64_t k_updated = k_numbers | bits({content, status, error_message, metadata, parts});
  static constexpr std::uint64_t k_inserted =
      bits({id, conversation_id, user_id, role, content, content_type, model_used, status, metadata, parent_message_id,
            created_at, is_root, parts});
  static constexpr std::uint64_t k_stamped = bits({updated_at});
  static bridge::HeapTable& rows();
  static bridge::HeapTable& new_rows();
};

#define COLUMNS_OF_USAGE_RESERVATIONS(COLUMN) \
  COLUMN(user_id, uuid)                       \
  COLUMN(status, text)                        \
  COLUMN(message_count, int4)                 \
  COLUMN(token_count, int8)                   \
  COLUMN(cost, numeric)                       \
  COLUMN(model_used, text)                    \
  COLUMN(expires_at, timestamptz)             \
  COLUMN(conversation_id, uuid)               \
  COLUMN(user_message_id, uuid)               \
  COLUMN(assistant_message_id, uuid)          \
  COLUMN(prompt_tokens, int4)                 \
  COLUMN(completion_tokens, int4)             \
  COLUMN(cached_prompt_tokens, int4)          \
  COLUMN(cache_write_tokens, int4)            \
  COLUMN(given_cost, numeric)                 \
  COLUMN(charged_cost, numeric)               \
  COLUMN(was_late, boolean)                   \
  COLUMN(has_failed, boolean)                 \
  COLUMN(is_estimated, boolean)               \
  COLUMN(reported_usage, text)                \
  COLUMN(reply_hash, int8)                    \
  COLUMN(unit_prices, text)                   \
  COLUMN(renewed_at, timestamptz)             \
  COLUMN(id, uuid)                            \
  COLUMN(created_at, timestamptz)             \
  COLUMN(closed_at, timestamptz)

// What is held until it is known. Whoever writes one has locked the row of its user in the same transaction.
struct UsageReservations {
  enum Column : std::uint8_t { COLUMNS_OF_USAGE_RESERVATIONS(AS_ENUMERATOR) };
  static constexpr char k_name[] = "usage_reservations";
  static constexpr std::array k_columns = {COLUMNS_OF_USAGE_RESERVATIONS(AS_COLUMN)};
  static constexpr Column k_key = id;
  static constexpr Column k_owner = user_id;
  static constexpr std::uint64_t k_held = bits({message_count, token_count, cost});
  static constexpr std::uint64_t k_updated = bits(
      {status, expires_at, renewed_at, closed_at, prompt_tokens, completion_tokens, cached_prompt_tokens,
       cache_write_tokens, given_cost, charged_cost, was_late, has_failed, is_estimated, reported_usage, reply_hash});
  static constexpr std::uint64_t k_inserted =
      k_held | bits({id, user_id, status, model_used, unit_prices, created_at, expires_at, conversation_id,
                     user_message_id, assistant_message_id});
  static bridge::HeapTable& rows();
  static bridge::HeapTable& new_rows();
};

#undef AS_ENUMERATOR
#undef AS_COLUMN
#undef COLUMNS_OF_USERS
#undef COLUMNS_OF_USAGE_RECORDS
#undef COLUMNS_OF_CONVERSATIONS
#undef COLUMNS_OF_MESSAGES
#undef COLUMNS_OF_USAGE_RESERVATIONS

// One way in which rows are used, and what keeps it from going directly; nullptr: nothing. For health().
struct DirectUse {
  const char* table;
  const char* operation;  // "read", "updated" or "inserted"
  const char* obstacle;
};
std::array<DirectUse, 9> direct_uses(core::Instant now);

}  // namespace claude_gpt::store
