// Topic reports: usage_report_html() and current_billing_day().
#include <string>

#include "api/config.hpp"
#include "api/schema.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/spi.hpp"
#include "core/failure.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// As the caller: the tables of which he sees not all rows, and his name if he may not see the jobs.
constinit Statement k_what_caller_sees{nullptr,
                                       R"sql(
    SELECT (SELECT pg_catalog.string_agg(c.relname::pg_catalog.text, ', ' ORDER BY c.relname) FROM pg_catalog.pg_class AS c
     WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace('claude_gpt_data')
     AND c.relname OPERATOR(pg_catalog.=) ANY ('{users,usage_records,usage_balances,user_sessions,subscription_history,system_configs}'::pg_catalog.name[])
     AND pg_catalog.row_security_active(c.oid)),
    CASE WHEN pg_catalog.has_function_privilege('claude_gpt_internal.job_looks()', 'EXECUTE')
     AND (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS c
      WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace('claude_gpt_data')
      AND c.relname OPERATOR(pg_catalog.=) ANY ('{job_status,jobs,job_runs}'::pg_catalog.name[])
      AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND NOT pg_catalog.row_security_active(c.oid)) OPERATOR(pg_catalog.=) 3
     THEN NULL ELSE CURRENT_USER::pg_catalog.text END
    )sql"};

constinit Statement k_page{"users",
                           "SELECT claude_gpt_internal.report_page($1, $2, $3)",
                           {Type::date, Type::date, Type::text},
                           Planning::once,
                           Statement::k_any_table};

}  // namespace

CLAUDE_GPT_FUNCTION(current_billing_day) {
  require_current_tables();
  return Value::of(clock::day_of(clock::now(), configuration().billing_timezone()));
}

// The sums are of all users: whoever is shown some of them alone has no report.
CLAUDE_GPT_FUNCTION(usage_report_html) {
  require_current_tables();
  Spi spi;
  const Rows seen = spi.execute(k_what_caller_sees, {}, Access::read_only);
  if (const auto tables = seen.find<std::string_view>(0, 1))
    throw core::Failure(core::sqlstate::k_insufficient_privilege,
                        "row level security keeps rows from the caller that a report would count",
                        "Tables with policies: " + std::string(*tables) + ".",
                        "Call it as a role that they do not bind, or read the views, which they do.");
  const auto blind = seen.find<std::string_view>(0, 2);
  const Value blind_role = blind ? Value::palloced(std::string(*blind)) : Value::null();
  const Rows page = spi.execute(k_page, {call.argument(0), call.argument(1), blind_role}, Access::read_only);
  const std::string text{page.get<std::string_view>(0, 1)};
  spi.finish();
  return Value::palloced(text);
}

}  // namespace claude_gpt::api
