// The table jobs: what runs when.
#pragma once

#include <cstdint>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/calendar.hpp"

namespace claude_gpt::store {

struct Job {
  std::string_view name;
  bool is_enabled;
  core::Duration run_every;
  core::Duration timeout;
  core::Instant next_run_at;
  std::string_view engine;
  std::int32_t failures_in_a_row;
};

bridge::Result<Job> read_jobs(bridge::Spi& spi, bridge::Access access);
// Names and intervals.
bridge::Result<bridge::PassedOn> list_job_intervals(bridge::Spi& spi);

void hand_job_over(bridge::Spi& spi, std::string_view name, std::string_view engine);
void hand_all_jobs_over(bridge::Spi& spi, bridge::UnreadText engine);

// `expected`: the next run as it stood when this one began. Whoever has changed it since wants it so.
void schedule_job(bridge::Spi& spi, std::string_view name, core::Instant next_run_at, std::int32_t failures_in_a_row,
                  core::Instant expected);

}  // namespace claude_gpt::store
