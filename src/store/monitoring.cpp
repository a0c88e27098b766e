#include "store/monitoring.hpp"

#include <string_view>

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<PassedOn(std::optional<std::string_view>)> k_list_metrics{"users", R"sql(
    SELECT m.name, m.labels, m.value FROM claude_gpt_internal.list_metrics($1, true) AS m
    )sql",
                                                                          Planning::once, Statement::k_any_table};

constinit Query<PassedOn(std::optional<std::string_view>)> k_list_metrics_of_no_tables{nullptr, R"sql(
    SELECT m.name, m.labels, m.value FROM claude_gpt_internal.list_metrics($1, false) AS m
    )sql"};

constinit Query<PassedOn()> k_check_health{"users", R"sql(
    SELECT h.check_name, h.status, h.detail, h.hint FROM claude_gpt_internal.check_health(true) AS h
    )sql",
                                           Planning::once, Statement::k_any_table};

constinit Query<PassedOn()> k_check_health_of_no_tables{nullptr, R"sql(
    SELECT h.check_name, h.status, h.detail, h.hint FROM claude_gpt_internal.check_health(false) AS h
    )sql"};

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

Result<PassedOn> list_metrics(Spi& spi, About about, std::optional<UnreadText> name) {
  return spi.execute(about == About::all ? k_list_metrics : k_list_metrics_of_no_tables, Access::read_only, name);
}

Result<PassedOn> check_health(Spi& spi, About about) {
  return spi.execute(about == About::all ? k_check_health : k_check_health_of_no_tables, Access::read_only);
}

}  // namespace claude_gpt::store
