#include "api/job_run.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "api/identifiers.hpp"
#include "api/job_board.hpp"
#include "api/job_work.hpp"
#include "api/monitoring.hpp"
#include "api/visit_time.hpp"
#include "bridge/clock.hpp"
#include "bridge/locks.hpp"
#include "bridge/settings.hpp"
#include "bridge/waiting.hpp"
#include "bridge/worker.hpp"
#include "core/failure.hpp"
#include "store/job_runs.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

constexpr core::Duration k_progress_every{1'000'000};
constexpr std::int64_t k_first_batch = 1000;

// The row of a job is the owner's: he does not say how long a worker, or a place of pg_cron's, is his.
core::Duration time_of(const Job& job, core::Engine engine) {
  return engine == core::Engine::call ? job.timeout : std::min(job.timeout, settings::max_job_time());
}

// Stops the deadline. Whom it has cancelled nobody else has.
std::optional<Problem> unless_late(std::optional<Problem> problem, Deadline& deadline) {
  if (deadline.stop() && problem && problem->sqlstate == core::sqlstate::k_query_canceled)
    return Problem{core::sqlstate::k_query_canceled, "the job timed out"};
  return problem;
}

// A run from its start to its end, with the lock held.
class Run {
 public:
  Run(Transactions& transactions, const Job& job, core::Engine engine, std::unique_ptr<JobWork> work)
      : transactions_(transactions), job_(job), engine_(engine), work_(std::move(work)), id_(new_id()) {}

  // `found`: what kept it from looking for work.
  std::optional<Problem> go(const std::optional<Problem>& found) {
    if (auto problem = start()) return problem;
    if (engine_ == core::Engine::worker) worker::show_activity("claude_gpt job " + std::string(job_.name()));
    const core::Instant began = monotonic_now();
    begin_step(time_of(job_, engine_));
    Deadline deadline{time_of(job_, engine_)};
    const std::optional<Problem> problem = unless_late(found ? found : work_in_batches(), deadline);
    if (engine_ == core::Engine::worker) worker::show_activity("");
    count_job_run(job_.index, !problem, static_cast<std::uint64_t>(row_count_),
                  core::Duration{monotonic_now().microseconds - began.microseconds});
    std::optional<Problem> lost = end(problem, true);
    is_scheduled_ = !lost;
    // A client that holds the row in `jobs` is no reason to lose what came of the run.
    if (lost) lost = end(problem, false);
    return problem ? problem : lost;
  }

  bool is_scheduled() const { return is_scheduled_; }

 private:
  std::optional<Problem> start() {
    begin_step();
    return attempt(transactions_,
                   [&](Spi& spi) { store::start_run(spi, id_, job_.name(), core::name_of(engine_), clock::now()); });
  }

  std::optional<Problem> work_in_batches() {
    std::int64_t size = k_first_batch;
    core::Duration rest;
    core::Instant shown_at = monotonic_now();
    for (bool has_more = true; has_more;) {
      JobWork::Batch batch;
      std::unique_ptr<JobWork> tried;
      core::Instant began;
      auto problem = attempt(
          transactions_,
          [&](Spi& spi) {
            if (!locks::jobs_are_still_locked())
              throw core::Failure(core::sqlstate::k_not_in_prerequisite_state,
                                  "the extension was dropped, or the lock of its jobs released, while the job ran");
            began = monotonic_now();
            tried = work_->copy();
            batch = tried->next(spi, size);
            if (began.microseconds - shown_at.microseconds >= k_progress_every.microseconds) show(spi, batch);
          },
          rest);
      if (problem) return problem;
      work_ = std::move(tried);
      const core::Instant ended = monotonic_now();
      if (began.microseconds - shown_at.microseconds >= k_progress_every.microseconds) shown_at = ended;
      const core::Duration took{ended.microseconds - began.microseconds};
      size = core::next_batch_size(size, took);
      // What only the catalog was told costs nobody anything.
      rest = batch.rows > 0 ? core::rest_after(took, settings::job_duty_cycle()) : core::Duration{};
      row_count_ += static_cast<std::int64_t>(batch.rows);
      if (!batch.progress.empty()) progress_ = batch.progress;
      has_more = batch.has_more;
    }
    return std::nullopt;
  }

  void show(Spi& spi, const JobWork::Batch& batch) {
    const std::string& progress = batch.progress.empty() ? progress_ : batch.progress;
    store::show_progress(spi, id_, row_count_ + static_cast<std::int64_t>(batch.rows), text_or_null(progress));
  }

  std::optional<Problem> end(const std::optional<Problem>& problem, bool is_to_schedule) {
    begin_step();
    return attempt(transactions_, [&](Spi& spi) {
      const core::Instant now = clock::now();
      const std::int32_t failures = problem ? job_.failures + 1 : 0;
      const core::Instant next = problem ? now + core::back_off(failures) : run_after(job_, now);
      store::EndOfRun end{now, problem ? "failed" : "succeeded", row_count_, text_or_null(progress_), {}, {}};
      if (problem) {
        end.sqlstate = problem->sqlstate;
        end.message = problem->message;
      }
      store::end_run(spi, id_, end);
      if (is_to_schedule) schedule(spi, job_, next, failures);
    });
  }

  static std::optional<std::string_view> text_or_null(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<std::string_view>{text};
  }

  Transactions& transactions_;
  const Job& job_;
  core::Engine engine_;
  std::unique_ptr<JobWork> work_;
  core::Uuid id_;
  bool is_scheduled_ = false;
  std::int64_t row_count_ = 0;
  std::string progress_;
};

std::unique_ptr<JobWork> work_of(Spi& spi, const Job& job, core::Instant now) {
  const core::Instant last_success =
      store::find_last_success(spi, job.name()).value_or(core::Instant::minus_infinity());
  return make_work(job.index, {now, job.failures, std::min(last_success, now)});
}

}  // namespace

void end_interrupted_runs(Transactions& transactions) {
  const auto end = [&](bool is_to_schedule) {
    begin_step();
    return attempt(transactions, [&](Spi& spi) {
      if (store::find_running_jobs(spi).empty()) return;
      const core::Instant now = clock::now();
      const auto ended = store::end_interrupted_runs(spi, now, core::sqlstate::k_crash_shutdown);
      if (!is_to_schedule) return;
      const std::vector<Job> jobs = read_jobs(spi);
      for (const store::InterruptedRun& run : ended) {
        const auto job = std::ranges::find_if(jobs, [&](const Job& each) { return each.name() == run.job; });
        if (job == jobs.end()) continue;
        const std::int32_t failures = job->failures + 1;
        // Whoever has set it since the run began wants it so.
        const bool is_set_since = job->next_run_at > run.started_at;
        schedule(spi, *job, is_set_since ? job->next_run_at : now + core::back_off(failures), failures);
      }
    });
  };
  if (end(true))
    if (const auto problem = end(false)) problem->raise();
}

std::optional<Problem> look_and_run(Transactions& transactions, const Job& job, core::Engine engine, Wanted wanted,
                                    Looks& looks) {
  looks.begin();
  const core::Instant now = clock::now();
  begin_step(time_of(job, engine));
  Deadline deadline{time_of(job, engine)};
  std::unique_ptr<JobWork> work;
  bool is_needed = true;
  const auto looked = attempt(transactions, [&](Spi& spi) {
    work = work_of(spi, job, now);
    is_needed = wanted == Wanted::always || work->is_needed(spi);
  });
  const auto problem = unless_late(looked, deadline);
  // What cannot even look fails as a run, on record.
  if (!problem && !is_needed) {
    looks.note(job.index, now);
    // Where memory is not shared, only the table can tell the next call; and what another clock has left there is to
    // go.
    if (job_board() == nullptr || core::run_is_of_the_future(job.next_run_at, job.run_every, now))
      return attempt(transactions, [&](Spi& spi) {
        store::bring_runs_near(spi, job.name(), now);
        schedule(spi, job, run_after(job, now), 0);
      });
    return std::nullopt;
  }
  Run run{transactions, job, engine, std::move(work)};
  auto failure = run.go(problem);
  // What could not be put off is not tried again at once either.
  if (!run.is_scheduled()) looks.note(job.index, now);
  return failure;
}

}  // namespace claude_gpt::api
