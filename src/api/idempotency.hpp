// Idempotency keys: the same call with the same key happens once, and every repetition gets the first answer.
// Only calls that changed something are remembered: a denied one may be tried again with its key.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bridge/entry.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"
#include "core/quota.hpp"

namespace claude_gpt::api {

// What is needed to give an answer again.
struct FirstAnswer {
  std::optional<core::Standing> standing = std::nullopt;
  std::optional<core::Instant> resets_at = std::nullopt;
  std::optional<core::Uuid> reservation_id = std::nullopt;
  std::optional<core::Uuid> usage_record_id = std::nullopt;
};

class IdempotentCall {
 public:
  // If the key is not NULL, locks the user, so that a concurrent twin waits, and looks for the key.
  // P0002 no such user; 22023 a key that is empty or longer than 255 characters; UQ006 a key of another call.
  IdempotentCall(const core::Uuid& user_id, const bridge::Call& call, const bridge::Parameter<std::string_view>& key,
                 const char* function, core::Instant now);

  const FirstAnswer* first_answer() const { return answer_ ? &*answer_ : nullptr; }
  // Remembers the answer with the key, if there is one.
  void remember(const FirstAnswer& answer);

 private:
  const core::Uuid& user_id_;
  std::optional<bridge::UnreadText> key_;
  std::string fingerprint_;
  core::Instant now_;
  std::optional<FirstAnswer> answer_;
};

}  // namespace claude_gpt::api
