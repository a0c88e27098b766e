#include "store/application_grants.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<void(std::string_view, std::string_view)> k_record{"application_grants", R"sql(
    INSERT INTO claude_gpt_data.application_grants (role_name, level) VALUES ($1, $2)
    ON CONFLICT ON CONSTRAINT application_grants_pkey
    DO UPDATE SET level = excluded.level, granted_at = excluded.granted_at
    )sql"};

constinit Query<void(std::string_view)> k_forget{"application_grants", R"sql(
    DELETE FROM claude_gpt_data.application_grants AS g
    WHERE g.role_name OPERATOR(pg_catalog.=) $1::pg_catalog.name
    )sql"};

constinit Query<Grant()> k_read{"application_grants", R"sql(
    SELECT g.role_name, g.level FROM claude_gpt_data.application_grants AS g ORDER BY g.role_name
    )sql"};

constinit Query<void(std::string_view, std::optional<std::string_view>)> k_apply{nullptr, R"sql(
    SELECT claude_gpt_internal.apply_access($1, $2)
    )sql"};

constinit Query<void(std::string_view, std::optional<std::string_view>)> k_renew_search_path{nullptr, R"sql(
    SELECT claude_gpt_internal.renew_search_path($1, $2)
    )sql"};

}  // namespace

void record_grant(Spi& spi, std::string_view role, UnreadText level) {
  spi.execute(k_record, Access::read_write, role, level);
}

void forget_grant(Spi& spi, std::string_view role) { spi.execute(k_forget, Access::read_write, role); }

Result<Grant> read_grants(Spi& spi) { return spi.execute(k_read, Access::read_write); }

void apply_grant(Spi& spi, const Grant& grant) { spi.execute(k_apply, Access::read_write, grant.role, grant.level); }

void renew_search_path(Spi& spi, const Grant& grant) {
  spi.execute(k_renew_search_path, Access::read_write, grant.role, grant.level);
}

}  // namespace claude_gpt::store
