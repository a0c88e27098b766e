#include "core/config_reading.hpp"

#include <algorithm>

namespace claude_gpt::core {

namespace {

std::string element_path(const std::string& parent, std::size_t index) {
  return parent + "[" + std::to_string(index) + "]";
}

}  // namespace

std::string member_path(const std::string& parent, std::string_view name) {
  const bool plain = !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (plain) return parent + "." + std::string(name);
  std::string quoted;
  for (const char c : name) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return parent + "[\"" + quoted + "\"]";
}

std::optional<ConfigProblem> check_names(const Json& value, const std::string& path, const char* rule) {
  const Json::Array* names = value.as_array();
  if (names == nullptr) return ConfigProblem{path, rule};
  for (std::size_t i = 0; i < names->size(); ++i) {
    const std::string* name = (*names)[i].as_string();
    if (name == nullptr || name->empty())
      return ConfigProblem{element_path(path, i), "must be a model name that is not empty"};
  }
  return std::nullopt;
}

std::optional<ConfigProblem> read_length_from(std::int64_t smallest, const char* rule, const Json& value,
                                              const ServerKnowledge& server, std::int64_t& result) {
  const std::string* text = value.as_string();
  const auto length = text == nullptr ? std::nullopt : server.interval_length(*text);
  if (!length || *length < smallest) return ConfigProblem{"$", rule};
  result = *length;
  return std::nullopt;
}

std::optional<ConfigProblem> read_boolean(const Reading& reading, bool& result) {
  const bool* flag = reading.value.as_boolean();
  if (flag == nullptr) return ConfigProblem{"$", "must be true or false"};
  result = *flag;
  return std::nullopt;
}

std::optional<ConfigProblem> read_time_zone(const Reading& reading, std::pmr::string& result) {
  const std::string* name = reading.value.as_string();
  if (name == nullptr || !reading.server.is_time_zone(*name))
    return ConfigProblem{"$", "must be the name of a time zone, such as \"UTC\""};
  result = *name;
  return std::nullopt;
}

std::optional<ConfigProblem> read_length(const Reading& reading, std::int64_t& result) {
  return read_length_from(0, "must be an interval of days, hours or less, such as \"3 days\", and not negative",
                          reading.value, reading.server, result);
}

std::optional<ConfigProblem> read_positive_length(const Reading& reading, std::int64_t& result) {
  return read_length_from(1, "must be an interval of days, hours or less, such as \"24 hours\", and longer than zero",
                          reading.value, reading.server, result);
}

std::optional<ConfigProblem> read_model_names(const Reading& reading, std::monostate&) {
  return check_names(reading.value, "$", "must be an array of model names");
}

}  // namespace claude_gpt::core
