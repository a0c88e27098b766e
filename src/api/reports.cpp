// Topic reports: usage_report_html() and current_billing_day().
#include <string>

#include "api/config.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/spi.hpp"
#include "core/failure.hpp"
#include "store/reports.hpp"

namespace claude_gpt::api {

using namespace bridge;

CLAUDE_GPT_FUNCTION(current_billing_day) {
  require_current_tables();
  return Value::of(billing_day(clock::now()).date);
}

// The sums are of all users: whoever is shown some of them alone has no report.
CLAUDE_GPT_FUNCTION(usage_report_html) {
  require_current_tables();
  Spi spi;
  const store::SeenByCaller seen = store::find_what_caller_sees(spi);
  if (seen.bound_tables)
    throw core::Failure(core::sqlstate::k_insufficient_privilege,
                        "row level security keeps rows from the caller that a report would count",
                        "Tables with policies: " + std::string(*seen.bound_tables) + ".",
                        "Call it as a role that they do not bind, or read the views, which they do.");
  const std::string page{store::make_report_page(spi, call.find(arg::usage_report_html::p_from),
                                                 call.find(arg::usage_report_html::p_to), seen.blind_role)};
  spi.finish();
  return Value::palloced(page);
}

}  // namespace claude_gpt::api
