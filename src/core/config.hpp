// What the rows of system_configs mean: the known keys of config_keys.def, their rules and their defaults.
// A value that breaks a rule is never half taken: apply() reports it with its JSON path and
// every later question that depends on it is refused with 55000. All memory comes from the resource given.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "core/calendar.hpp"
#include "core/config_reading.hpp"
#include "core/json.hpp"
#include "core/model_prices.hpp"
#include "core/plans.hpp"
#include "core/retention.hpp"

namespace claude_gpt::core {

// What each known key means now.
struct ConfigValues {
#define CONFIG_KEY(name, migration, type, ...) type name;
#include "core/config_keys.def"
#undef CONFIG_KEY
};

class Configuration {
 public:
  using Problem = ConfigProblem;
  using Source = ConfigSource;

  explicit Configuration(std::pmr::memory_resource* memory);

  // Keys that the extension does not know are the application's own, and any JSON.
  static bool knows(std::string_view key);

  // Takes the value of a row with a known key.
  std::optional<Problem> apply(std::string_view key, const Json& value, const ServerKnowledge& server,
                               Source source = Source::table);

  // Remembers that a stored row is invalid; what it decides is then refused.
  void mark_invalid(std::string_view key, const Problem& problem);

  // For each key a function of its name: what the row means, the standard where the row is absent or inactive, 55000
  // where it is invalid.
#define CONFIG_KEY(name, migration, type, ...)                                 \
  std::conditional_t<std::is_scalar_v<type>, type, const type&> name() const { \
    require_valid(#name);                                                      \
    return values_.name;                                                       \
  }
#include "core/config_keys.def"
#undef CONFIG_KEY

  // 55000: subscription_plans is absent, inactive or invalid, or has no such tier.
  const Plan& plan(std::string_view tier) const;
  // Whether it is there; 55000 if subscription_plans is invalid.
  bool has_plan(std::string_view tier) const;
  // Calendar where there is no such tier, or subscription_plans is invalid: what was used is counted all the same.
  BillingAnchor billing_anchor(std::string_view tier) const;
  // All of them; 55000 if subscription_plans is invalid.
  std::span<const Plan> plans() const;
  // Calls a minute, those of "free" for a tier that is not listed; nullopt if rate_limits is absent or inactive, 55000
  // if it is invalid or has neither.
  std::optional<std::int64_t> rate_limit(std::string_view tier) const;
  // nullptr if model_prices has no such model; 55000 if it is invalid.
  const ModelPrice* find_price(std::string_view model) const;

  // Keys whose row breaks its rule, and how: whoever needs one of them gets 55000.
  struct InvalidKey {
    std::pmr::string key;
    std::pmr::string reason;
  };
  std::span<const InvalidKey> invalid() const { return invalid_; }

 private:
  const InvalidKey* find_invalid(std::string_view key) const;
  void require_valid(std::string_view key) const;

  std::pmr::memory_resource* memory_;
  ConfigValues values_;
  std::pmr::vector<InvalidKey> invalid_;
};

}  // namespace claude_gpt::core
