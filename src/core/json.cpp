#include "core/json.hpp"

#include <charconv>

namespace claude_gpt::core {

std::optional<std::int64_t> Json::as_integer() const {
  const Number* number = as_number();
  if (number == nullptr) return std::nullopt;
  std::int64_t result = 0;
  const char* end = number->text.data() + number->text.size();
  const auto [stopped, error] = std::from_chars(number->text.data(), end, result);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return result;
}

}  // namespace claude_gpt::core
