// When the jobs are due: the rows of the table jobs that are jobs of ours, and the looks since they were written.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "core/jobs.hpp"

namespace claude_gpt::api {

struct Job {
  std::size_t index = 0;
  bool is_enabled = true;
  core::Duration run_every;
  core::Duration timeout;
  core::Instant next_run_at;
  std::string engine;
  std::int32_t failures = 0;

  std::string_view name() const { return core::k_job_names[index]; }
};

std::vector<Job> read_jobs(bridge::Spi& spi, bridge::Access access = bridge::Access::read_write);
// P0002: there is no such row.
Job require_job(bridge::Spi& spi, std::string_view name);

// When a job runs next that has succeeded, or was not needed, at this moment.
core::Instant run_after(const Job& job, core::Instant moment);
// Writes the next run, unless somebody else has set it since the job was read.
void schedule(bridge::Spi& spi, const Job& job, core::Instant next, std::int32_t failures);
// Whether it is this session's own runner that writes the table: that calls no worker.
bool is_scheduling();

// The looks that found nothing to do: of all sessions, where memory is shared, else of this call alone.
class Looks {
 public:
  std::optional<core::Instant> find(std::size_t job) const;
  void begin();
  // Of a look that began at `moment`, just after begin(). What was changed since then is to be looked at again.
  void note(std::size_t job, core::Instant moment);

 private:
  std::uint64_t changes_ = 0;
  std::array<std::optional<core::Instant>, core::k_job_names.size()> own_;
};

core::Instant due_at(const Job& job, const Looks& looks, core::Instant now);

}  // namespace claude_gpt::api
