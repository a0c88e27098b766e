// What the rows of system_configs mean: known keys, their rules and their defaults.
// A value that breaks a rule is never half taken: apply() reports it with its JSON path and
// every later question that depends on it is refused with 55000. All memory comes from the resource given.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/amount.hpp"
#include "core/json.hpp"

namespace claude_gpt::core {

// Monthly limits, of which nullopt is unlimited.
struct Limits {
  std::optional<std::int64_t> messages = std::nullopt;
  std::optional<std::int64_t> tokens = std::nullopt;
  std::optional<std::int64_t> api_calls = std::nullopt;
  std::optional<Amount> cost = std::nullopt;
};

// A plan: its limits, and the models that may be used.
struct Plan : Limits {
  using allocator_type = std::pmr::polymorphic_allocator<>;
  explicit Plan(allocator_type allocator = {}) : tier(allocator), models(allocator) {}
  Plan(const Plan& other, allocator_type allocator)
      : Limits(other), tier(other.tier, allocator), lists_models(other.lists_models), models(other.models, allocator) {}
  Plan(Plan&&) = default;
  Plan(Plan&& other, allocator_type allocator)
      : Limits(other), tier(std::move(other.tier), allocator), lists_models(other.lists_models),
        models(std::move(other.models), allocator) {}
  Plan& operator=(Plan&&) = default;

  // A plan without a list of models admits every model.
  bool admits_model(std::string_view model) const;

  std::pmr::string tier;
  bool lists_models = false;
  std::pmr::vector<std::pmr::string> models;
};

// What a million tokens of a model cost, in the currency of all costs.
struct ModelPrice {
  Amount prompt;
  Amount cached_prompt;
  Amount cache_write;
  Amount completion;
  Amount cache_write_1h = {};  // as cache_write where no other is configured
};

// How long rows are kept, in microseconds; nullopt is for ever.
struct Retention {
  std::optional<std::int64_t> audit_logs;
  std::optional<std::int64_t> usage_records;
  std::optional<std::int64_t> usage_reservations;  // closed ones
  std::optional<std::int64_t> user_sessions;       // after they expired, or were last used if not active
  std::optional<std::int64_t> job_runs;
};

// How wide a partition is: '1 week', '1 month', '3 months' or '1 year'.
struct PartitionWidths {
  std::string_view audit_logs;
  std::string_view usage_records;
  std::string_view messages;  // once they are partitioned
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

  // Who writes a value is told of what is stored and read all the same: an older release may have let it in.
  enum class Source { table, caller };

  // Takes the value of a row with a known key.
  std::optional<Problem> apply(std::string_view key, const Json& value, const ServerKnowledge& server,
                               Source source = Source::table);

  // Remembers that a stored row is invalid; what it decides is then refused.
  void mark_invalid(std::string_view key, const Problem& problem);

  // 55000: subscription_plans is absent, inactive or invalid, or has no such tier.
  const Plan& plan(std::string_view tier) const;
  // Whether it is there; 55000 if subscription_plans is invalid.
  bool has_plan(std::string_view tier) const;
  // All of them; 55000 if subscription_plans is invalid.
  std::span<const Plan> plans() const;
  // Calls a minute, those of "free" for a tier that is not listed; nullopt if rate_limits is absent or inactive, 55000
  // if it is invalid or has neither.
  std::optional<std::int64_t> rate_limit(std::string_view tier) const;
  // nullptr if model_prices has no such model; 55000 if it is invalid.
  const ModelPrice* find_price(std::string_view model) const;
  // Each of these: the row's value, its default when the row is absent or inactive, 55000 when it is invalid.
  std::string_view billing_timezone() const;  // "UTC"
  std::int64_t subscription_grace() const;    // microseconds; 3 days
  std::int64_t idempotency_ttl() const;       // microseconds; 24 hours
  bool usage_ledger() const;                  // true
  bool maintenance_mode() const;              // false
  const Retention& retention() const;         // 30 days, for ever, 7 days, 0 days, 30 days
  const PartitionWidths& partitions() const;  // '1 week', '3 months', '1 year'

 private:
  struct InvalidKey {
    std::pmr::string key;
    std::pmr::string reason;
  };

  std::optional<Problem> apply_plans(const Json& value, Source source);
  std::optional<Problem> apply_rate_limits(const Json& value, Source source);
  std::optional<Problem> apply_prices(const Json& value);
  std::optional<Problem> apply_retention(const Json& value, const ServerKnowledge& server);
  std::optional<Problem> apply_partitions(const Json& value);
  void require_valid(std::string_view key) const;

  std::pmr::memory_resource* memory_;
  bool has_plans_ = false;
  std::pmr::vector<Plan> plans_;
  bool has_rate_limits_ = false;
  std::pmr::vector<std::pair<std::pmr::string, std::int64_t>> rate_limits_;
  std::pmr::vector<std::pair<std::pmr::string, ModelPrice>> prices_;
  std::pmr::string billing_timezone_;
  std::int64_t subscription_grace_;
  std::int64_t idempotency_ttl_;
  bool usage_ledger_ = true;
  bool maintenance_mode_ = false;
  Retention retention_;
  PartitionWidths partitions_;
  std::pmr::vector<InvalidKey> invalid_;
};

}  // namespace claude_gpt::core
