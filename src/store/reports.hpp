// What usage_report_html() asks.
#pragma once

#include <optional>
#include <string_view>

#include "bridge/spi.hpp"

namespace claude_gpt::store {

// As the caller.
struct SeenByCaller {
  std::optional<std::string_view> bound_tables;  // of which row level security keeps rows from him
  std::optional<std::string_view> blind_role;    // his name, if he may not see the jobs
};
SeenByCaller find_what_caller_sees(bridge::Spi& spi);

// As the owner of the tables.
std::string_view make_report_page(bridge::Spi& spi, std::optional<core::Date> from, std::optional<core::Date> to,
                                  std::optional<std::string_view> blind_role);

}  // namespace claude_gpt::store
