#include "core/access.hpp"

namespace claude_gpt::core {

namespace {

// Takes the next word off the front.
std::string_view next_word(std::string_view& text) noexcept {
  const auto space = text.find(' ');
  const std::string_view word = text.substr(0, space);
  text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  return word;
}

}  // namespace

bool ColumnRule::admits(std::string_view text) const noexcept {
  if (not_empty && text.empty()) return false;
  if (allowed.empty()) return true;
  for (std::string_view rest = allowed; !rest.empty();)
    if (next_word(rest) == text) return true;
  return false;
}

std::optional<ColumnRule> parse_column_rule(std::string_view text) noexcept {
  ColumnRule rule;
  rule.column = next_word(text);
  if (rule.column.empty() || text.empty()) return std::nullopt;
  while (!text.empty()) {
    const std::string_view word = next_word(text);
    if (word == "in") {
      rule.allowed = text;
      return text.empty() ? std::nullopt : std::optional{rule};
    }
    if (word == "maintained") {
      rule.is_maintained = true;
      continue;
    }
    const std::string_view quality = word == "not" ? next_word(text) : std::string_view{};
    if (quality == "negative") {
      rule.not_negative = true;
    } else if (quality == "empty") {
      rule.not_empty = true;
    } else {
      return std::nullopt;
    }
  }
  return rule;
}

}  // namespace claude_gpt::core
