// The table idempotency_keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"
#include "store/expired.hpp"

namespace claude_gpt::store {

// What is kept of the first answer.
struct KeptAnswer {
  std::optional<std::string_view> limit_name = std::nullopt;
  std::optional<std::int64_t> limit_value = std::nullopt;
  std::optional<std::int64_t> used = std::nullopt;
  std::optional<std::int64_t> held = std::nullopt;
  std::optional<std::int64_t> remaining = std::nullopt;
  std::optional<core::Instant> resets_at = std::nullopt;
  std::optional<core::Uuid> reservation_id = std::nullopt;
  std::optional<core::Uuid> usage_record_id = std::nullopt;
};

// Read by column: where no limit was named, nothing of it is there.
struct FoundKey {
  bool is_of_this_call;
  std::optional<std::string_view> limit_name;
  std::optional<std::int64_t> limit_value;
  std::int64_t used;
  std::int64_t held;
  std::optional<std::int64_t> remaining;
  std::optional<core::Instant> resets_at;
  std::optional<core::Uuid> reservation_id;
  std::optional<core::Uuid> usage_record_id;
};

// Of a user, unless it has expired. The fingerprint of a call is given whole, and kept as its hash.
bridge::Result<FoundKey> find_idempotency_key(bridge::Spi& spi, const core::Uuid& user_id, bridge::UnreadText key,
                                              std::string_view fingerprint, core::Instant now);

// Over one that has expired.
void keep_idempotency_key(bridge::Spi& spi, const core::Uuid& user_id, bridge::UnreadText key,
                          std::string_view fingerprint, core::Instant now, core::Instant expires_at,
                          const KeptAnswer& answer);

// A batch. A key that is being used again is left.
Walked delete_expired_idempotency_keys(bridge::Spi& spi, core::Instant from, core::Instant before, std::int64_t most);
bool has_expired_idempotency_keys(bridge::Spi& spi, core::Instant now);

}  // namespace claude_gpt::store
