// Topic jobs: run_job(), run_due_jobs(), hand_jobs_over(), job_looks(), the triggers of the table jobs.
#include "api/jobs.hpp"

#include <algorithm>
#include <exception>
#include <vector>

#include "api/attempts.hpp"
#include "api/job_board.hpp"
#include "api/job_run.hpp"
#include "api/job_schedule.hpp"
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
  if (!is_scheduling()) look_at_jobs_after_commit();
  return no_result();
}

}  // namespace claude_gpt::api
