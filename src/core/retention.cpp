#include "core/retention.hpp"

#include <algorithm>
#include <array>

namespace claude_gpt::core {

namespace {

constexpr std::array<std::string_view, 4> k_widths = {"1 week", "1 month", "3 months", "1 year"};

}  // namespace

std::optional<ConfigProblem> read_retention(const Reading& reading, Retention& result) {
  const Json::Object* tables = reading.value.as_object();
  if (tables == nullptr) return ConfigProblem{"$", "must be an object of tables"};
  Retention retention;
  for (const auto& [table, length] : *tables) {
    std::optional<std::int64_t>* target = table == "audit_logs"           ? &retention.audit_logs
                                          : table == "usage_records"      ? &retention.usage_records
                                          : table == "usage_reservations" ? &retention.usage_reservations
                                          : table == "user_sessions"      ? &retention.user_sessions
                                          : table == "job_runs"           ? &retention.job_runs
                                                                          : nullptr;
    const std::string path = member_path("$", table);
    if (target == nullptr)
      return ConfigProblem{
          path,
          "is not a table with a retention: audit_logs, usage_records, usage_reservations, user_sessions, job_runs"};
    target->reset();
    if (std::holds_alternative<std::nullptr_t>(length.value)) continue;
    if (auto problem = read_length_from(
            0, "must be an interval of days, hours or less, such as \"30 days\", not negative, or null for ever",
            length, reading.server, target->emplace()))
      return ConfigProblem{path, problem->rule};
  }
  result = retention;
  return std::nullopt;
}

std::optional<ConfigProblem> read_partition_widths(const Reading& reading, PartitionWidths& result) {
  const Json::Object* tables = reading.value.as_object();
  if (tables == nullptr) return ConfigProblem{"$", "must be an object of tables"};
  PartitionWidths partitions;
  for (const auto& [table, width] : *tables) {
    std::string_view* target = table == "audit_logs"      ? &partitions.audit_logs
                               : table == "usage_records" ? &partitions.usage_records
                               : table == "messages"      ? &partitions.messages
                                                          : nullptr;
    const std::string path = member_path("$", table);
    if (target == nullptr)
      return ConfigProblem{path, "is not a table with partitions: audit_logs, usage_records, messages"};
    const std::string* text = width.as_string();
    const auto known = text == nullptr ? k_widths.end() : std::ranges::find(k_widths, *text);
    if (known == k_widths.end())
      return ConfigProblem{path, "must be \"1 week\", \"1 month\", \"3 months\" or \"1 year\""};
    *target = *known;
  }
  result = partitions;
  return std::nullopt;
}

}  // namespace claude_gpt::core
