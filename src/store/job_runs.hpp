// The table job_runs: what came of the jobs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::store {

// Runs that a clock started which was ahead: so that the newest is the one to be seen.
void bring_runs_near(bridge::Spi& spi, std::string_view job, core::Instant now);

void start_run(bridge::Spi& spi, const core::Uuid& id, std::string_view job, std::string_view engine,
               core::Instant now);
void show_progress(bridge::Spi& spi, const core::Uuid& id, std::int64_t row_count,
                   std::optional<std::string_view> progress);

struct EndOfRun {
  core::Instant finished_at;
  std::string_view outcome;
  std::int64_t row_count;
  std::optional<std::string_view> progress;
  std::optional<std::string_view> sqlstate;
  std::optional<std::string_view> message;
};
void end_run(bridge::Spi& spi, const core::Uuid& id, const EndOfRun& end);

// The names of jobs whose runs have no end.
bridge::Result<std::string_view> find_running_jobs(bridge::Spi& spi);

struct InterruptedRun {
  std::string_view job;
  core::Instant started_at;
};
// For who holds the lock: nobody else runs a job.
bridge::Result<InterruptedRun> end_interrupted_runs(bridge::Spi& spi, core::Instant now, std::string_view sqlstate);

// When the last run began that succeeded.
std::optional<core::Instant> find_last_success(bridge::Spi& spi, std::string_view job);

bool has_runs_before(bridge::Spi& spi, core::Instant before);
std::uint64_t delete_runs_before(bridge::Spi& spi, core::Instant before, std::int64_t most);

}  // namespace claude_gpt::store
