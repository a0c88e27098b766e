#include "store/monitoring.hpp"

#include <string_view>

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<PassedOn(std::optional<std::string_view>, bool)> k_list_metrics{nullptr, R"sql(
    SELECT m.name, m.labels, m.value FROM claude_gpt_internal.list_metrics($1, $2) AS m
    )sql"};

constinit Query<PassedOn(bool)> k_check_health{nullptr, R"sql(
    SELECT h.check_name, h.status, h.detail, h.hint FROM claude_gpt_internal.check_health($1) AS h
    )sql"};

// Views among them, which no other function reads.
constinit Query<std::int32_t()> k_find_strange{nullptr, R"sql(
    SELECT 1 FROM claude_gpt_internal.own_relations() AS o
    JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) o
    WHERE c.relowner OPERATOR(pg_catalog.<>) (
        SELECT n.nspowner FROM pg_catalog.pg_namespace AS n
        WHERE n.nspname OPERATOR(pg_catalog.=) 'claude_gpt_data')
    OR c.relowner OPERATOR(pg_catalog.<>) (
        SELECT n.nspowner FROM pg_catalog.pg_namespace AS n
        WHERE n.nspname OPERATOR(pg_catalog.=) 'claude_gpt_partitions') LIMIT 1
    )sql"};

}  // namespace

bool has_strange_relations(Spi& spi) { return !spi.execute(k_find_strange, Access::read_only).empty(); }

Result<PassedOn> list_metrics(Spi& spi, std::optional<UnreadText> name, bool is_ready) {
  return spi.execute(k_list_metrics, Access::read_only, name, is_ready);
}

Result<PassedOn> check_health(Spi& spi, bool is_ready) {
  return spi.execute(k_check_health, Access::read_only, is_ready);
}

}  // namespace claude_gpt::store
