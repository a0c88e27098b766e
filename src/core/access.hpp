// Who may write what: rules for the values of a column, as the arguments of a trigger spell them:
//   "role in user assistant system"        one of these words, or NULL
//   "cost not negative"                    a number from zero up, or NULL
//   "email not empty"                      a text with characters, or NULL
//   "message_count maintained not negative"  written by the owner of the table alone
#pragma once

#include <optional>
#include <string_view>

namespace claude_gpt::core {

struct ColumnRule {
  std::string_view column;
  std::string_view allowed;  // words after "in", empty if any value will do
  bool is_maintained = false;
  bool not_negative = false;
  bool not_empty = false;

  // Whether a text keeps "in" and "not empty".
  bool admits(std::string_view text) const noexcept;
};

// nullopt for what is no rule. The result points into the text; nothing is allocated.
std::optional<ColumnRule> parse_column_rule(std::string_view text) noexcept;

}  // namespace claude_gpt::core
