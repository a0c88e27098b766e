// What a tier is given: the keys subscription_plans and rate_limits.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/amount.hpp"
#include "core/config_reading.hpp"

namespace claude_gpt::core {

// Monthly limits, of which nullopt is unlimited.
struct Limits {
  std::optional<std::int64_t> messages = std::nullopt;
  std::optional<std::int64_t> tokens = std::nullopt;
  std::optional<std::int64_t> api_calls = std::nullopt;
  std::optional<Amount> cost = std::nullopt;
};

// On which days the billing periods of its users begin: the first of each month, or each on his own.
enum class BillingAnchor { calendar, subscription };

// A plan: its limits, and the models that may be used.
struct Plan : Limits {
  using allocator_type = std::pmr::polymorphic_allocator<>;
  explicit Plan(allocator_type allocator = {}) : tier(allocator), models(allocator) {}
  Plan(const Plan& other, allocator_type allocator)
      : Limits(other), tier(other.tier, allocator), billing_anchor(other.billing_anchor),
        lists_models(other.lists_models), models(other.models, allocator), concurrent_turns(other.concurrent_turns) {}
  Plan(Plan&&) = default;
  Plan(Plan&& other, allocator_type allocator)
      : Limits(other), tier(std::move(other.tier), allocator), billing_anchor(other.billing_anchor),
        lists_models(other.lists_models), models(std::move(other.models), allocator),
        concurrent_turns(other.concurrent_turns) {}
  Plan& operator=(Plan&&) = default;

  // A plan without a list of models admits every model.
  bool admits_model(std::string_view model) const;

  std::pmr::string tier;
  BillingAnchor billing_anchor = BillingAnchor::calendar;
  bool lists_models = false;
  std::pmr::vector<std::pmr::string> models;
  std::optional<std::int64_t> concurrent_turns = std::nullopt;  // of a user at once; nullopt is unlimited
};

using Plans = std::pmr::vector<Plan>;
// Tiers, and their calls a minute.
using RateLimits = std::pmr::vector<std::pair<std::pmr::string, std::int64_t>>;

std::optional<ConfigProblem> read_plans(const Reading& reading, std::optional<Plans>& result);
std::optional<ConfigProblem> read_rate_limits(const Reading& reading, std::optional<RateLimits>& result);

}  // namespace claude_gpt::core
