// What only the server's views tell of its settings.
#pragma once

#include <string>
#include <string_view>

#include "bridge/spi.hpp"

namespace claude_gpt::store {

// Where the value of a setting comes from, as pg_settings says it; empty if there is no such setting. As the caller.
std::string source_of_setting(bridge::Spi& spi, std::string_view name);

}  // namespace claude_gpt::store
