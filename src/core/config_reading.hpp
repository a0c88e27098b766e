// How the value of a configuration key is read. A reader sets its result only where the value keeps the rule of the
// key, and else says where it breaks which rule. All memory of results comes from the resource given.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/json.hpp"

namespace claude_gpt::core {

// Where a value breaks its rule ("$.free.messagesPerMonth") and what the rule is.
struct ConfigProblem {
  std::string path;
  std::string rule;
};

// Who writes a value is told of what is stored and read all the same: an older release may have let it in.
enum class ConfigSource { table, caller };

// What only the server can tell.
struct ServerKnowledge {
  bool (*is_time_zone)(std::string_view name);
  // Length in microseconds of an interval without months or years, a day being 24 hours; nullopt otherwise.
  std::optional<std::int64_t> (*interval_length)(std::string_view text);
};

struct Reading {
  const Json& value;
  const ServerKnowledge& server;
  ConfigSource source;
  std::pmr::memory_resource* memory;
};

// The path of a member: $.name, or $["odd name"] where a plain name would be misread.
std::string member_path(const std::string& parent, std::string_view name);

// An array of names that are not empty.
std::optional<ConfigProblem> check_names(const Json& value, const std::string& path, const char* rule);
// At least `smallest` microseconds.
std::optional<ConfigProblem> read_length_from(std::int64_t smallest, const char* rule, const Json& value,
                                              const ServerKnowledge& server, std::int64_t& result);

std::optional<ConfigProblem> read_boolean(const Reading& reading, bool& result);
std::optional<ConfigProblem> read_time_zone(const Reading& reading, std::pmr::string& result);
// In microseconds; not negative.
std::optional<ConfigProblem> read_length(const Reading& reading, std::int64_t& result);
// In microseconds; longer than zero.
std::optional<ConfigProblem> read_positive_length(const Reading& reading, std::int64_t& result);
// Names of models, which mean nothing here.
std::optional<ConfigProblem> read_model_names(const Reading& reading, std::monostate& result);

}  // namespace claude_gpt::core
