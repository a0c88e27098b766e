// Decisions on quotas: shared by the functions on quotas, reservations and chat turns.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/call_time.hpp"
#include "api/idempotency.hpp"
#include "api/usage.hpp"
#include "api/users.hpp"
#include "bridge/record.hpp"
#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"
#include "core/quota.hpp"

namespace claude_gpt::api {

// What every function that admits or denies answers first.
struct Decision {
  core::Reason reason = core::Reason::none;
  std::optional<core::Standing> standing = std::nullopt;  // of the named limit; of the rate, if that denied
  std::optional<core::Instant> resets_at = std::nullopt;
  std::optional<std::int32_t> retry_after = std::nullopt;
  bool is_replayed = false;

  bool is_allowed() const { return reason == core::Reason::none; }
};

inline constexpr int k_decision_columns = 12;

// Its columns, in the current memory context.
std::array<bridge::Value, k_decision_columns> values_of(const Decision& decision);

Decision denied(core::Reason reason);
Decision replayed(const FirstAnswer& answer);

// The same, and what a function adds to them.
std::vector<bridge::Value> joined(const Decision& decision, std::initializer_list<bridge::Value> more);

// 22023 if there is no such action.
core::Action require_action(std::string_view name);

struct Admitted {
  Decision decision;
  Counted counted = {};  // if it was
};

// Counts what is demanded, or holds it until a moment, if the user's plan leaves room for all of it and lists the
// model (if one is given); otherwise changes nothing. P0002 no such user; 55000 plan not configured.
Admitted admit(const core::Uuid& user_id, const core::Demand& demand, std::optional<std::string_view> model,
               const std::optional<core::Instant>& hold_until, const CallTime& time);

}  // namespace claude_gpt::api
