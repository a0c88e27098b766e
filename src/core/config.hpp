// What the rows of system_configs mean: known keys, their rules and their defaults.
// A value that breaks a rule is never half taken: apply() reports it with its JSON path and
// every later question that depends on it is refused with 55000. All memory comes from the resource given.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/amount.hpp"
#include "core/json.hpp"

namespace claude_gpt::core {

// A monthly limit; nullopt is unlimited.
struct Plan {
  using allocator_type = std::pmr::polymorphic_allocator<>;
  explicit Plan(allocator_type allocator = {}) : tier(allocator), models(allocator) {}
  Plan(const Plan& other, allocator_type allocator)
      : tier(other.tier, allocator), messages(other.messages), tokens(other.tokens), api_calls(other.api_calls),
        cost(other.cost), models(other.models, allocator) {}
  Plan(Plan&&) = default;
  Plan(Plan&& other, allocator_type allocator)
      : tier(std::move(other.tier), allocator), messages(other.messages), tokens(other.tokens),
        api_calls(other.api_calls), cost(other.cost), models(std::move(other.models), allocator) {}
  Plan& operator=(Plan&&) = default;

  std::pmr::string tier;
  std::optional<std::int64_t> messages;
  std::optional<std::int64_t> tokens;
  std::optional<std::int64_t> api_calls;
  std::optional<Amount> cost;
  std::pmr::vector<std::pmr::string> models;
};

// What only the server can tell.
struct ServerKnowledge {
  bool (*is_time_zone)(std::string_view name);
  // Length in microseconds of an interval without months or years, a day being 24 hours; nullopt otherwise.
  std::optional<std::int64_t> (*interval_length)(std::string_view text);
};

class Configuration {
 public:
  // Where a value breaks its rule ("$.free.messagesPerMonth") and what the rule is.
  struct Problem {
    std::string path;
    std::string rule;
  };

  explicit Configuration(std::pmr::memory_resource* memory);

  // Keys that the extension does not know are the application's own, and any JSON.
  static bool knows(std::string_view key);

  // Takes the value of a row with a known key.
  std::optional<Problem> apply(std::string_view key, const Json& value, const ServerKnowledge& server);

  // Remembers that a stored row is invalid; what it decides is then refused.
  void mark_invalid(std::string_view key, const Problem& problem);

  // 55000: subscription_plans is absent, inactive or invalid, or has no such tier.
  const Plan& plan(std::string_view tier) const;
  // Each of these: the row's value, its default when the row is absent or inactive, 55000 when it is invalid.
  std::string_view billing_timezone() const;         // "UTC"
  std::int64_t subscription_grace() const;           // microseconds; 3 days
  bool usage_ledger() const;                         // true

 private:
  struct InvalidKey {
    std::pmr::string key;
    std::pmr::string reason;
  };

  std::optional<Problem> apply_plans(const Json& value);
  void require_valid(std::string_view key) const;

  std::pmr::memory_resource* memory_;
  bool has_plans_ = false;
  std::pmr::vector<Plan> plans_;
  std::pmr::string billing_timezone_;
  std::int64_t subscription_grace_;
  bool usage_ledger_ = true;
  std::pmr::vector<InvalidKey> invalid_;
};

}  // namespace claude_gpt::core
