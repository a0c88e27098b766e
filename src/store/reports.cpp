#include "store/reports.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<SeenByCaller()> k_what_caller_sees{nullptr, R"sql(
    SELECT (SELECT pg_catalog.string_agg(c.relname::pg_catalog.text, ', ' ORDER BY c.relname)
     FROM pg_catalog.pg_class AS c
     WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace('claude_gpt_data')
     AND c.relname OPERATOR(pg_catalog.=) ANY (
         '{users,usage_records,usage_balances,user_sessions,subscription_history,system_configs}'::pg_catalog.name[])
     AND pg_catalog.row_security_active(c.oid)),
    CASE WHEN pg_catalog.has_function_privilege('claude_gpt_internal.job_looks()', 'EXECUTE')
     AND (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS c
      WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace('claude_gpt_data')
      AND c.relname OPERATOR(pg_catalog.=) ANY ('{job_status,jobs,job_runs}'::pg_catalog.name[])
      AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
      AND NOT pg_catalog.row_security_active(c.oid)) OPERATOR(pg_catalog.=) 3
     THEN NULL ELSE CURRENT_USER::pg_catalog.text END
    )sql"};

constinit Query<std::string_view(std::optional<core::Date>, std::optional<core::Date>, std::optional<std::string_view>)>
    k_page{"users", R"sql(SELECT claude_gpt_internal.report_page($1, $2, $3))sql", Planning::once,
           Statement::k_any_table};

}  // namespace

SeenByCaller find_what_caller_sees(Spi& spi) { return spi.execute(k_what_caller_sees, Access::read_only).first(); }

std::string_view make_report_page(Spi& spi, std::optional<core::Date> from, std::optional<core::Date> to,
                                  std::optional<std::string_view> blind_role) {
  return spi.execute(k_page, Access::read_only, from, to, blind_role).first();
}

}  // namespace claude_gpt::store
