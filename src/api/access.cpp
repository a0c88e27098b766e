// Topic access: the record of grants, and the trigger that keeps the rules of columns.
#include "api/signatures.hpp"
#include "bridge/entry.hpp"
#include "bridge/rights.hpp"
#include "bridge/spi.hpp"
#include "bridge/trigger.hpp"
#include "store/application_grants.hpp"

namespace claude_gpt::api {

using namespace bridge;

CLAUDE_GPT_FUNCTION(record_access) {
  const auto role = call.required(arg::record_access::p_role);
  const auto level = call.find<UnreadText>(arg::record_access::p_level);
  Spi spi;
  if (level)
    store::record_grant(spi, role, *level);
  else
    store::forget_grant(spi, role);
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(enforce_column_rules) {
  Trigger trigger{call};
  trigger.require_before_row("enforce_column_rules");
  const bool is_owner = current_user_has_rights_of(trigger.table_owner());
  const Trigger::BrokenRule broken = trigger.find_broken_rule(!is_owner);
  if (broken.breach == Trigger::Breach::none) return trigger.row();

  const std::string rule = trigger.argument(broken.argument);
  const std::string column =
      "column \"" + rule.substr(0, rule.find(' ')) + "\" of table \"" + trigger.table_name() + "\"";
  switch (broken.breach) {
    case Trigger::Breach::negative:
      throw core::Failure(core::sqlstate::k_check_violation, column + " must not be negative");
    case Trigger::Breach::not_allowed:
      throw core::Failure(core::sqlstate::k_check_violation, "value is not allowed in " + column,
                          "The rule is: " + rule + ".");
    case Trigger::Breach::maintained:
      throw core::Failure(
          core::sqlstate::k_insufficient_privilege, "permission denied to write " + column,
          "The column is maintained by the functions and triggers of claude_gpt.",
          "Leave the column out of the statement; set_subscription() and update_user_usage() write it where it is theirs.");
    default: throw core::Failure(core::sqlstate::k_invalid_parameter_value, "\"" + rule + "\" is not a column rule");
  }
}

}  // namespace claude_gpt::api
