// The table application_grants: the record of who was given access.
#pragma once

#include <optional>
#include <string_view>

#include "bridge/spi.hpp"

namespace claude_gpt::store {

void record_grant(bridge::Spi& spi, std::string_view role, bridge::UnreadText level);
void forget_grant(bridge::Spi& spi, std::string_view role);

struct Grant {
  bridge::UnreadText role;
  std::optional<bridge::UnreadText> level;
};
// In the order of the roles' names.
bridge::Result<Grant> read_grants(bridge::Spi& spi);

// What a grant gives, once more. As the caller.
void apply_grant(bridge::Spi& spi, const Grant& grant);
void renew_search_path(bridge::Spi& spi, const Grant& grant);

}  // namespace claude_gpt::store
