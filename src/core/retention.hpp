// How long rows are kept, and in partitions of what width: the keys retention and partitions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/calendar.hpp"
#include "core/config_reading.hpp"

namespace claude_gpt::core {

// In microseconds; nullopt is for ever.
struct Retention {
  std::optional<std::int64_t> audit_logs = 30 * k_microseconds_per_day;
  std::optional<std::int64_t> usage_records = std::nullopt;
  std::optional<std::int64_t> usage_reservations = 7 * k_microseconds_per_day;  // closed ones
  std::optional<std::int64_t> user_sessions = 0;  // after they expired, or were last used if not active
  std::optional<std::int64_t> job_runs = 30 * k_microseconds_per_day;

  bool operator==(const Retention&) const = default;
};

// '1 week', '1 month', '3 months' or '1 year'.
struct PartitionWidths {
  std::string_view audit_logs = "1 week";
  std::string_view usage_records = "3 months";
  std::string_view messages = "1 year";  // once they are partitioned

  bool operator==(const PartitionWidths&) const = default;
};

std::optional<ConfigProblem> read_retention(const Reading& reading, Retention& result);
std::optional<ConfigProblem> read_partition_widths(const Reading& reading, PartitionWidths& result);

}  // namespace claude_gpt::core
