#include "api/job_schedule.hpp"

#include <algorithm>

#include "api/config.hpp"
#include "api/job_board.hpp"
#include "bridge/database.hpp"
#include "core/failure.hpp"
#include "store/jobs.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// What this session writes itself does not call a worker.
constinit bool runner_writes = false;

class RunnerWrites {
 public:
  RunnerWrites() { runner_writes = true; }
  ~RunnerWrites() { runner_writes = false; }
};

}  // namespace

std::vector<Job> read_jobs(Spi& spi, Access access) {
  std::vector<Job> jobs;
  const auto rows = store::read_jobs(spi, access);
  for (std::uint64_t row = 0; row < rows.count(); ++row) {
    const auto index = core::find_job(rows.get<&store::Job::name>(row));
    if (!index) continue;  // of a later version
    const store::Job job = rows.row(row);
    jobs.push_back({*index, job.is_enabled, job.run_every, job.timeout, job.next_run_at, std::string(job.engine),
                    job.failures_in_a_row});
  }
  return jobs;
}

Job require_job(Spi& spi, std::string_view name) {
  for (Job& job : read_jobs(spi))
    if (job.name() == name) return job;
  throw core::Failure(core::sqlstate::k_no_data_found, "job \"" + std::string(name) + "\" does not exist",
                      "The jobs are the rows of claude_gpt_data.jobs.");
}

core::Instant run_after(const Job& job, core::Instant moment) {
  return core::next_run(moment, job.run_every,
                        core::follows_the_months(job.index) ? std::optional{billing_month(moment).ends} : std::nullopt);
}

void schedule(Spi& spi, const Job& job, core::Instant next, std::int32_t failures) {
  RunnerWrites own;
  store::schedule_job(spi, job.name(), next, failures, job.next_run_at);
}

bool is_scheduling() { return runner_writes; }

std::optional<core::Instant> Looks::find(std::size_t job) const {
  const auto known = job_board() != nullptr ? job_board()->looked_at(current_database_id(), job) : std::nullopt;
  return std::max(known, own_[job]);  // also where the board is full
}

void Looks::begin() { changes_ = job_board() != nullptr ? job_board()->changes.load() : 0; }

void Looks::note(std::size_t job, core::Instant moment) {
  own_[job] = moment;
  core::JobBoard* board = job_board();
  if (board == nullptr || board->changes != changes_) return;
  board->note_look(current_database_id(), job, moment);
  if (board->changes != changes_) board->forget_looks(current_database_id());
}

core::Instant due_at(const Job& job, const Looks& looks, core::Instant now) {
  const auto looked_at = looks.find(job.index);
  return core::due_at(job.next_run_at, job.run_every, looked_at, looked_at ? run_after(job, *looked_at) : now, now);
}

}  // namespace claude_gpt::api
