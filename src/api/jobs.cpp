// Topic jobs: run_job(), run_due_jobs(), job_looks(), the triggers of the table jobs; and job_history_prune.
#include "api/jobs.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <vector>

#include "api/attempts.hpp"
#include "api/config.hpp"
#include "api/identifiers.hpp"
#include "api/job_board.hpp"
#include "api/monitoring.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "api/visit_time.hpp"
#include "bridge/clock.hpp"
#include "bridge/database.hpp"
#include "bridge/entry.hpp"
#include "bridge/locks.hpp"
#include "bridge/record.hpp"
#include "bridge/report.hpp"
#include "bridge/settings.hpp"
#include "bridge/trigger.hpp"
#include "bridge/waiting.hpp"
#include "bridge/worker.hpp"
#include "core/failure.hpp"
#include "store/job_runs.hpp"
#include "store/jobs.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

using Make = std::unique_ptr<JobWork> (*)(const JobTime&);

constexpr std::array<Make, core::k_job_names.size()> k_makers = {
    make_monthly_reset, make_partition_upkeep, make_reservation_sweep, make_session_cleanup, make_idempotency_prune,
    make_audit_prune,   make_usage_prune,      make_job_history_prune, make_analyze};

constexpr std::string_view k_follows_the_months = "monthly_reset";
constexpr core::Duration k_progress_every{1'000'000};
constexpr std::int64_t k_first_batch = 1000;

// What this session writes itself does not call a worker.
constinit bool runner_writes = false;

class RunnerWrites {
 public:
  RunnerWrites() { runner_writes = true; }
  ~RunnerWrites() { runner_writes = false; }
};

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

std::vector<Job> read_jobs(Spi& spi, Access access = Access::read_write) {
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
  const bool follows_the_months = job.name() == k_follows_the_months;
  return core::next_run(moment, job.run_every,
                        follows_the_months ? std::optional{billing_month(moment).ends} : std::nullopt);
}

void schedule(Spi& spi, const Job& job, core::Instant next, std::int32_t failures) {
  RunnerWrites own;
  store::schedule_job(spi, job.name(), next, failures, job.next_run_at);
}

// The looks that found nothing to do: of all sessions, where memory is shared, else of this call alone.
class Looks {
 public:
  std::optional<core::Instant> find(std::size_t job) const {
    const auto known = job_board() != nullptr ? job_board()->looked_at(current_database_id(), job) : std::nullopt;
    return std::max(known, own_[job]);  // also where the board is full
  }
  void begin() { changes_ = job_board() != nullptr ? job_board()->changes.load() : 0; }
  // Of a look that began at `moment`, just after begin(). What was changed since then is to be looked at again.
  void note(std::size_t job, core::Instant moment) {
    own_[job] = moment;
    core::JobBoard* board = job_board();
    if (board == nullptr || board->changes != changes_) return;
    board->note_look(current_database_id(), job, moment);
    if (board->changes != changes_) board->forget_looks(current_database_id());
  }

 private:
  std::uint64_t changes_ = 0;
  std::array<std::optional<core::Instant>, core::k_job_names.size()> own_;
};

core::Instant due_at(const Job& job, const Looks& looks, core::Instant now) {
  const auto looked_at = looks.find(job.index);
  return core::due_at(job.next_run_at, looked_at, looked_at ? run_after(job, *looked_at) : now, now);
}

// While nobody else runs a job in this database. The lock is of the session: it must not outlive the call.
template <typename Work> void while_locked(Work work) {
  std::exception_ptr failure;
  try {
    work();
  } catch (...) {
    failure = std::current_exception();
  }
  locks::unlock_jobs();
  if (failure) std::rethrow_exception(failure);
}

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

// A crash leaves runs behind that have no end. Whoever holds a row of `jobs` keeps its schedule as it is, no more.
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

std::unique_ptr<JobWork> make_work(Spi& spi, const Job& job, core::Instant now) {
  const core::Instant last_success =
      store::find_last_success(spi, job.name()).value_or(core::Instant::minus_infinity());
  return k_makers[job.index]({now, job.failures, std::min(last_success, now)});
}

enum class Wanted { if_needed, always };

// Where there is nothing to do, nothing is recorded, unless a run is wanted always. The lock is held.
std::optional<Problem> look_and_run(Transactions& transactions, const Job& job, core::Engine engine, Wanted wanted,
                                    Looks& looks) {
  looks.begin();
  const core::Instant now = clock::now();
  begin_step(time_of(job, engine));
  Deadline deadline{time_of(job, engine)};
  std::unique_ptr<JobWork> work;
  bool is_needed = true;
  const auto looked = attempt(transactions, [&](Spi& spi) {
    work = make_work(spi, job, now);
    is_needed = wanted == Wanted::always || work->is_needed(spi);
  });
  const auto problem = unless_late(looked, deadline);
  // What cannot even look fails as a run, on record.
  if (!problem && !is_needed) {
    looks.note(job.index, now);
    // Where memory is not shared, only the table can tell the next call.
    if (job_board() == nullptr)
      return attempt(transactions, [&](Spi& spi) { schedule(spi, job, run_after(job, now), 0); });
    return std::nullopt;
  }
  Run run{transactions, job, engine, std::move(work)};
  auto failure = run.go(problem);
  // What could not be put off is not tried again at once either.
  if (!run.is_scheduled()) looks.note(job.index, now);
  return failure;
}

class HistoryPrune final : public CopiedWork<HistoryPrune> {
 public:
  explicit HistoryPrune(core::Instant before) : before_(before) {}
  bool is_needed(Spi& spi) override { return store::has_runs_before(spi, before_); }
  Batch next(Spi& spi, std::int64_t size) override {
    const std::uint64_t deleted = store::delete_runs_before(spi, before_, size);
    return {.rows = deleted, .has_more = deleted == static_cast<std::uint64_t>(size)};
  }

 private:
  core::Instant before_;
};

class IdleWork final : public CopiedWork<IdleWork> {
 public:
  bool is_needed(Spi&) override { return false; }
  Batch next(Spi&, std::int64_t) override { return {}; }
};

// pg_cron has few sessions for all databases: none waits there for what another database's owner may draw out.
bool try_lock_for_a_moment() {
  constexpr core::Duration k_moment{5'000'000};
  constexpr core::Duration k_between{50'000};
  const core::Instant ends = monotonic_now() + k_moment;
  while (!locks::try_lock_jobs()) {
    if (monotonic_now() >= ends) return false;
    wait_for(k_between);
  }
  return true;
}

// Waits for the lock, but not for a run of the same job: that is the run that was asked for. False: it goes on already.
bool lock_unless_running(Transactions& transactions, std::string_view name, core::Engine engine) {
  if (locks::try_lock_jobs()) return true;
  bool is_running = false;
  const auto problem = attempt(transactions, [&](Spi& spi) {
    for (const std::string_view running : store::find_running_jobs(spi)) is_running = is_running || running == name;
  });
  if (problem) problem->raise();
  if (is_running) return false;
  if (engine == core::Engine::pg_cron) return try_lock_for_a_moment();
  locks::lock_jobs();
  return true;
}

void require_length(const Trigger& trigger, const char* column, core::Duration longest, const char* rule) {
  const Value value = trigger.new_value(column, Type::interval);
  if (value.is_null) return;  // NOT NULL says so better
  const auto length = value_as<core::Duration>(value.datum);
  if (length < core::Duration{1'000'000} || length > longest)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value,
                        std::string(column) + " of a job must be from 1 second to " + rule);
}

}  // namespace

JobWork::Batch TimeWalk::next(Spi& spi, std::int64_t size) {
  const store::Walked walked = step_(spi, reached_, end_, size);
  JobWork::Batch batch{.rows = static_cast<std::uint64_t>(walked.changed), .has_more = walked.found == size};
  if (walked.reached_as_text) batch.progress = "up to " + std::string(*walked.reached_as_text);
  reached_ = walked.reached.value_or(reached_);
  return batch;
}

std::unique_ptr<JobWork> make_job_history_prune(const JobTime& time) {
  const auto kept = configuration().retention().job_runs;
  if (!kept) return make_idle_work();
  return std::make_unique<HistoryPrune>(time.now - core::Duration{*kept});
}

std::unique_ptr<JobWork> make_idle_work() { return std::make_unique<IdleWork>(); }

std::optional<core::Duration> run_due_jobs(Transactions& transactions, core::Engine engine) {
  if (!locks::try_lock_jobs()) return std::nullopt;
  transactions.commit_lazily();
  core::Duration until_next{};
  while_locked([&] {
    end_interrupted_runs(transactions);
    Looks looks;
    std::vector<bool> has_run(core::k_job_names.size());
    const core::Instant turn_ends = monotonic_now() + core::k_longest_turn;
    for (;;) {
      begin_step();
      std::optional<Job> due;
      core::Instant due_since = core::Instant::infinity();
      core::Instant next = core::Instant::infinity();
      const core::Instant now = clock::now();
      bool is_dropped = false;
      const auto problem = attempt(transactions, [&](Spi& spi) {
        is_dropped = !locks::jobs_are_still_locked();
        if (is_dropped) return;
        for (const Job& job : read_jobs(spi)) {
          if (!job.is_enabled || (engine == core::Engine::worker && job.engine != core::name_of(engine))) continue;
          const core::Instant moment = due_at(job, looks, now);
          next = std::min(next, moment);
          // Once in a call: under a clock that is held, a job could be due for ever.
          if (moment > now || has_run[job.index] || moment > due_since ||
              (moment == due_since && due && due->index < job.index))
            continue;
          due = job;
          due_since = moment;
        }
      });
      if (problem) problem->raise();
      until_next = core::Duration{next.is_finite() ? next.microseconds - now.microseconds
                                                   : core::Instant::infinity().microseconds};
      if (!due || is_dropped) return;
      if (engine == core::Engine::worker && monotonic_now() > turn_ends) return;
      has_run[due->index] = true;
      const auto failure = look_and_run(transactions, *due, engine, Wanted::if_needed, looks);
      if (failure && engine == core::Engine::worker)
        worker::log("job \"" + std::string(due->name()) + "\" failed: " + failure->message + " (SQLSTATE " +
                    failure->sqlstate + ")");
      else if (failure && failure->sqlstate == core::sqlstate::k_query_canceled && failure->error != nullptr)
        failure->raise();  // who called it wants no more; the time-out of a job is its own alone
      else if (failure)
        report::warning(("job \"" + std::string(due->name()) + "\" failed: " + failure->message).c_str(), nullptr);
    }
  });
  return until_next;
}

CLAUDE_GPT_FUNCTION(run_job) {
  const std::string name{call.required(arg::run_job::p_name)};
  const auto engine_name = call.required(arg::run_job::p_engine);
  const auto engine = core::find_engine(engine_name);
  if (!engine || *engine == core::Engine::worker)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_engine must be \"call\" or \"pg_cron\"");
  require_current_tables();
  Transactions transactions{call};
  transactions.commit_lazily();
  const LimitedSession limit{*engine == core::Engine::pg_cron};
  std::optional<Job> job;
  const auto read = attempt(transactions, [&](Spi& spi) {
    job = require_job(spi, name);
    if (*engine != core::Engine::pg_cron || job->engine == core::name_of(*engine)) return;
    // The schedule of this database handed it over by itself: this entry was under way when it was taken back.
    if (bridge::settings::of_server("cron.database_name") == current_database_name()) return;
    // Scheduled from another database, it is handed over by its first run.
    store::hand_job_over(spi, name, core::name_of(*engine));
  });
  if (read) read->raise();
  if (!lock_unless_running(transactions, name, *engine)) {
    const char* what = *engine == core::Engine::pg_cron ? "\" or another is running already" : "\" is running already";
    report::notice(("job \"" + name + what).c_str(), nullptr);
    transactions.finish();
    return no_result();
  }
  std::optional<Problem> problem;
  while_locked([&] {
    end_interrupted_runs(transactions);
    begin_step();
    if (const auto reread = attempt(transactions, [&](Spi& spi) { job = require_job(spi, name); })) reread->raise();
    // pg_cron's schedule knows nothing of a job that was switched off.
    if (*engine == core::Engine::pg_cron && !job->is_enabled) return;
    Looks looks;
    const Wanted wanted = *engine == core::Engine::call ? Wanted::always : Wanted::if_needed;
    problem = look_and_run(transactions, *job, *engine, wanted, looks);
  });
  if (problem) problem->raise();
  transactions.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(hand_jobs_over) {
  const auto engine = call.required<UnreadText>(arg::hand_jobs_over::p_engine);
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  store::hand_all_jobs_over(spi, engine);
  result.add(store::list_job_intervals(spi));
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(run_due_jobs) {
  require_current_tables();
  Transactions transactions{call};
  if (!run_due_jobs(transactions, core::Engine::call)) report::notice("jobs are being run by another session", nullptr);
  transactions.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(job_looks) {
  require_current_tables();
  ResultSet result{call};
  const core::Instant now = clock::now();
  const Looks looks;
  Spi spi;
  for (const Job& job : read_jobs(spi, Access::read_only)) {
    const core::Instant due = due_at(job, looks, now);
    result.add({Value::palloced(job.name()), Value::or_null(looks.find(job.index)), Value::of(due),
                Value::of(std::max<std::int64_t>(now.microseconds - due.microseconds, 0) / 1'000'000)});
  }
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(validate_job) {
  Trigger trigger{call};
  trigger.require_before_row("validate_job");
  const Value name = trigger.new_value("name", Type::text);
  const Value engine = trigger.new_value("engine", Type::text);
  const Value next = trigger.new_value("next_run_at", Type::timestamptz);
  if (!name.is_null && !core::find_job(value_as<std::string_view>(name.datum)))
    throw core::Failure(core::sqlstate::k_invalid_parameter_value,
                        "there is no job \"" + std::string(value_as<std::string_view>(name.datum)) + "\"");
  require_length(trigger, "run_every", core::Duration{366 * core::k_microseconds_per_day}, "366 days");
  require_length(trigger, "timeout", core::Duration{7 * core::k_microseconds_per_day}, "7 days");
  if (!next.is_null && !value_as<core::Instant>(next.datum).is_finite())
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "next_run_at of a job must not be infinite", {},
                        "Set enabled to false.");
  const auto found = engine.is_null ? std::nullopt : core::find_engine(value_as<std::string_view>(engine.datum));
  if (!engine.is_null && (!found || *found == core::Engine::call))
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "engine of a job must be \"worker\" or \"pg_cron\"");
  return trigger.row();
}

CLAUDE_GPT_FUNCTION(look_at_changed_jobs) {
  Trigger trigger{call};
  trigger.require_after("look_at_changed_jobs");
  if (!runner_writes) look_at_jobs_after_commit();
  return no_result();
}

}  // namespace claude_gpt::api
