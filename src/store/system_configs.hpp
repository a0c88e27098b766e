// The table system_configs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bridge/spi.hpp"

namespace claude_gpt::store {

struct Config {
  std::string_view key;
  bridge::UnreadJsonb value;
};
// As they are now, whatever the isolation level. Read by column: only a value that is known may not be NULL.
bridge::Result<Config> read_active_configs(bridge::Spi& spi);

// Whether the active plans have it, which they do then until the transaction ends.
bool keep_plan(bridge::Spi& spi, std::string_view tier);
// The active plans as they are now, as text; nullopt if there are none.
std::optional<std::string> read_active_plans(bridge::Spi& spi);

// Which plans a change takes out of the configuration: those of `before` that `after` has not.
struct RemovedPlans {
  std::optional<bridge::UnreadTextArray> tiers;
  std::optional<bool> has_free;
};
RemovedPlans find_removed_plans(bridge::Spi& spi, std::string_view before, std::optional<std::string_view> after);

}  // namespace claude_gpt::store
