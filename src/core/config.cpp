#include "core/config.hpp"

#include <algorithm>
#include <memory>

#include "core/failure.hpp"

namespace claude_gpt::core {

namespace {

struct Key {
  std::string_view name;
  std::optional<ConfigProblem> (*take)(const Reading& reading, ConfigValues& values);
};

constexpr Key k_keys[] = {
#define CONFIG_KEY(name, migration, type, standard, reader, ...) \
  {#name, [](const Reading& reading, ConfigValues& values) { return reader(reading, values.name); }},
#include "core/config_keys.def"
#undef CONFIG_KEY
};

const Key* find_key(std::string_view name) {
  const auto* found = std::ranges::find(k_keys, name, &Key::name);
  return found == std::end(k_keys) ? nullptr : found;
}

// In the memory given, where a type takes any.
ConfigValues standard_values(std::pmr::memory_resource* memory) {
  const std::pmr::polymorphic_allocator<> allocator{memory};
  return {
#define CONFIG_KEY(name, migration, type, standard, ...) \
  .name = std::make_obj_using_allocator<type>(allocator, type(standard)),
#include "core/config_keys.def"
#undef CONFIG_KEY
  };
}

}  // namespace

Configuration::Configuration(std::pmr::memory_resource* memory)
    : memory_(memory), values_(standard_values(memory)), invalid_(memory) {}

bool Configuration::knows(std::string_view key) { return find_key(key) != nullptr; }

std::optional<ConfigProblem> Configuration::apply(std::string_view key, const Json& value,
                                                  const ServerKnowledge& server, Source source) {
  const Key* known = find_key(key);
  return known == nullptr ? std::nullopt : known->take({value, server, source, memory_}, values_);
}

void Configuration::mark_invalid(std::string_view key, const Problem& problem) {
  invalid_.push_back({std::pmr::string(key, memory_), std::pmr::string(problem.path + " " + problem.rule, memory_)});
}

const Configuration::InvalidKey* Configuration::find_invalid(std::string_view key) const {
  const auto found = std::ranges::find_if(invalid_, [&](const InvalidKey& row) { return row.key == key; });
  return found == invalid_.end() ? nullptr : &*found;
}

void Configuration::require_valid(std::string_view key) const {
  const InvalidKey* found = find_invalid(key);
  if (found == nullptr) return;
  throw Failure(sqlstate::k_not_in_prerequisite_state, "configuration \"" + std::string(key) + "\" is not valid",
                std::string(found->reason) + ".", "Correct the row in claude_gpt_data.system_configs.");
}

const Plan& Configuration::plan(std::string_view tier) const {
  const std::span<const Plan> all = plans();
  const auto found = std::ranges::find_if(all, [&](const Plan& plan) { return plan.tier == tier; });
  if (found != all.end()) return *found;
  throw Failure(sqlstate::k_not_in_prerequisite_state, "plan \"" + std::string(tier) + "\" is not configured",
                values_.subscription_plans ? "The active configuration row \"subscription_plans\" has no such plan."
                                           : "There is no active configuration row \"subscription_plans\".",
                "Add the plan to claude_gpt_data.system_configs.");
}

bool Configuration::has_plan(std::string_view tier) const {
  return std::ranges::any_of(plans(), [&](const Plan& plan) { return plan.tier == tier; });
}

BillingAnchor Configuration::billing_anchor(std::string_view tier) const {
  if (find_invalid("subscription_plans") != nullptr) return BillingAnchor::calendar;
  for (const Plan& plan : plans())
    if (plan.tier == tier) return plan.billing_anchor;
  return BillingAnchor::calendar;
}

std::span<const Plan> Configuration::plans() const {
  const std::optional<Plans>& plans = subscription_plans();
  return plans ? std::span<const Plan>{*plans} : std::span<const Plan>{};
}

std::optional<std::int64_t> Configuration::rate_limit(std::string_view tier) const {
  const std::optional<RateLimits>& limits = rate_limits();
  if (!limits) return std::nullopt;
  // A plan that is not listed has the least that is promised to anybody, rather than none or no limit.
  for (const std::string_view listed : {tier, std::string_view{"free"}}) {
    const auto found = std::ranges::find_if(*limits, [&](const auto& limit) { return limit.first == listed; });
    if (found != limits->end()) return found->second;
  }
  throw Failure(sqlstate::k_not_in_prerequisite_state,
                "rate limit of plan \"" + std::string(tier) + "\" is not configured",
                "The active configuration row \"rate_limits\" has neither the plan nor \"free\".",
                "Add the plan to claude_gpt_data.system_configs.");
}

const ModelPrice* Configuration::find_price(std::string_view model) const {
  const ModelPrices& prices = model_prices();
  const auto found = std::ranges::find_if(prices, [&](const auto& price) { return price.first == model; });
  return found == prices.end() ? nullptr : &found->second;
}

}  // namespace claude_gpt::core
