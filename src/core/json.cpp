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

std::optional<std::int64_t> Json::as_whole_number() const {
  const Number* number = as_number();
  if (number == nullptr) return std::nullopt;
  const std::string_view text = number->text;
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos) return as_integer();
  if (text.find_first_not_of('0', point + 1) != std::string_view::npos) return std::nullopt;
  return Json{Number{std::string(text.substr(0, point))}}.as_integer();
}

}  // namespace claude_gpt::core
