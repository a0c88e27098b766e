#include "store/server_settings.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<std::string_view(std::string_view)> k_find_source{nullptr, R"sql(
    SELECT s.source FROM pg_catalog.pg_settings AS s WHERE s.name OPERATOR(pg_catalog.=) $1
    )sql"};

}  // namespace

std::string source_of_setting(Spi& spi, std::string_view name) {
  return std::string(spi.execute(k_find_source, Access::read_only, name).find().value_or(""));
}

}  // namespace claude_gpt::store
