#include "core/amount.hpp"

#include <algorithm>

namespace claude_gpt::core {

namespace {

// numeric(20,9): eleven digits before the point, nine behind it.
constexpr Int128 k_limit_units = Int128{100'000'000'000} * Amount::k_units_per_one;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Amount::ParseResult Amount::parse(std::string_view text, Amount& result) noexcept {
  if (text == "NaN" || text == "Infinity" || text == "-Infinity") return ParseResult::not_finite;

  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const auto point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction = point == std::string_view::npos ? std::string_view{} : text.substr(point + 1);
  if (whole.empty() && fraction.empty()) return ParseResult::not_a_number;
  if (!std::ranges::all_of(whole, is_digit) || !std::ranges::all_of(fraction, is_digit))
    return ParseResult::not_a_number;

  Int128 units = 0;
  for (const char digit : whole) {
    units = units * 10 + (digit - '0');
    if (units >= k_limit_units) return ParseResult::out_of_range;
  }
  for (int place = 0; place < k_places; ++place) {
    const bool present = static_cast<std::size_t>(place) < fraction.size();
    units = units * 10 + (present ? fraction[static_cast<std::size_t>(place)] - '0' : 0);
  }
  if (fraction.size() > k_places && fraction[k_places] >= '5') units += 1;
  if (units >= k_limit_units) return ParseResult::out_of_range;
  const bool rounded_to_zero = units == 0 && std::ranges::any_of(fraction, [](char digit) { return digit != '0'; });
  if (negative && rounded_to_zero) units = 1;

  result = Amount{negative ? -units : units};
  return ParseResult::ok;
}

std::string Amount::to_text() const {
  Int128 rest = units_ < 0 ? -units_ : units_;
  std::string digits;
  for (int place = 0; place <= k_places || rest != 0; ++place) {
    if (place == k_places) digits.push_back('.');
    digits.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  }
  if (units_ < 0) digits.push_back('-');
  std::ranges::reverse(digits);
  return digits;
}

}  // namespace claude_gpt::core
