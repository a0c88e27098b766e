// When a job is due, and what processes tell each other about it in shared memory.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/atomic.hpp"
#include "core/calendar.hpp"
#include "core/short_lock.hpp"

namespace claude_gpt::core {

// The jobs of jobs.def, in the order in which those that are due at the same moment run.
inline constexpr auto k_job_names = std::to_array<std::string_view>({
#define JOB(name, ...) #name,
#include "core/jobs.def"
#undef JOB
});

// Whether it is due at the beginning of a month too.
bool follows_the_months(std::size_t job);

std::optional<std::size_t> find_job(std::string_view name);

// Who asked for a run: our worker, pg_cron, or somebody by a CALL.
enum class Engine { worker, pg_cron, call };
std::string_view name_of(Engine engine);
// nullopt for what is none of them.
std::optional<Engine> find_engine(std::string_view name);

// How long to wait after so many failures in a row: 10 seconds, doubled each time, at most an hour.
Duration back_off(std::int32_t failures_in_a_row);

// The next run after one that succeeded, or that found nothing to do. A job that follows the months is due at the
// beginning of the next one at the latest.
Instant next_run(Instant now, Duration run_every, std::optional<Instant> month_ends);

// Whether another clock wrote it.
bool run_is_of_the_future(Instant next_run_at, Duration run_every, Instant now);

// When a job is to be looked at: at next_run_at, but where a look since then found nothing to do, an interval after it.
// A look that lies in the future was taken by another clock and counts as none; a next run that lies further ahead than
// the interval and the longest wait after failures was written by another clock, and the job is due.
Instant due_at(Instant next_run_at, Duration run_every, std::optional<Instant> looked_at, Instant look_after,
               Instant now);

// What a visit does beside the runs of jobs, such as connecting, looking for what is due and marking an end, takes this
// long at most in one step; what is past its time has so long to end by itself; and once a visit has lasted so long, no
// further job begins in it, so that others have their turn.
inline constexpr Duration k_longest_step{60'000'000};
inline constexpr Duration k_time_to_end{10'000'000};
inline constexpr Duration k_longest_turn{600'000'000};

// Rows of a batch, so that one takes about 20 milliseconds: applications wait no longer for a row it has locked.
std::int64_t next_batch_size(std::int64_t size, Duration took);

// How long to rest after work, so that the work is `percent` of the time; at most a second.
Duration rest_after(Duration work, int percent);

// The board in shared memory: who wants a visit, which database is visited by whom, and when jobs were last looked
// at. Everything is atomic; nothing waits but for whoever goes through the looks. Zeroed memory is an empty board.
class JobBoard {
 public:
  static constexpr int k_most_visits = 32;
  static constexpr int k_most_databases = 512;

  struct Visit {
    Atomic<std::uint32_t> database;      // that is to be visited, or is
    Atomic<std::int32_t> process;        // of the worker, from its start to its end; 0: none
    Atomic<std::int64_t> next_visit_in;  // microseconds; one of the two below
    Atomic<std::int64_t> deadline;  // of the step it is at, by the monotonic clock: the launcher ends it after that
  };
  static constexpr std::int64_t k_no_answer = -1;  // it ended before it said when
  static constexpr std::int64_t k_no_extension = -2;

  // Asks for a visit of a database; 0 for all. Never fails: a full list asks for all.
  void request(std::uint32_t database);
  // Takes the next request off the list. nullopt: there is none.
  std::optional<std::uint32_t> take_request();

  std::span<Visit, k_most_visits> visits() { return visits_; }
  // The process that visits the database, or 0.
  std::int32_t visitor_of(std::uint32_t database) const;

  // When a job of a database was last looked at and nothing was to do.
  std::optional<Instant> looked_at(std::uint32_t database, std::size_t job);
  // Does nothing where the board is full: the job is then looked at in each visit.
  void note_look(std::uint32_t database, std::size_t job, Instant moment);
  void forget_looks(std::uint32_t database);
  // Forgets the databases that are gone.
  void keep_looks_of(std::span<const std::uint32_t> databases);

  Atomic<std::uint64_t> changes;  // how often looks of any database were forgotten
  Atomic<std::int32_t> launcher;  // its number among the server's processes, and one; 0: none runs
  Atomic<bool> is_switched_off;   // claude_gpt.jobs as the launcher has it, which is in no session

 private:
  static constexpr int k_most_requests = 64;
  static constexpr std::uint32_t k_nobody = 0;
  static constexpr std::int64_t k_never = 0;

  struct Looks {
    Atomic<std::uint32_t> database;
    std::array<Atomic<std::int64_t>, k_job_names.size()> moments;  // microseconds
  };
  Looks* find_looks(std::uint32_t database);

  std::array<Atomic<std::uint32_t>, k_most_requests> requests_;
  Atomic<bool> all_are_wanted_;
  std::array<Visit, k_most_visits> visits_;
  std::array<Looks, k_most_databases> looks_;
  // A place may go to another database between any two steps: the launcher's list may be older than a database.
  ShortLock looks_lock_;
};

}  // namespace claude_gpt::core
