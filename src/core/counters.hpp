// What the functions count as they go: cumulative numbers of each database, in shared memory. Zeroed memory is an
// empty board. To count is one atomic step; only to give a database its place waits for others. A number counts what
// was decided, also where the transaction was rolled back later.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/amount.hpp"
#include "core/atomic.hpp"
#include "core/calendar.hpp"
#include "core/jobs.hpp"
#include "core/quota.hpp"
#include "core/short_lock.hpp"

namespace claude_gpt::core {

// The functions that decide, by their names in SQL.
enum class Decider : std::size_t {
  check_subscription_limit,
  consume_quota,
  reserve_usage,
  begin_turn,
  check_rate_limit,
  rate_limit
};
inline constexpr std::array<std::string_view, 6> k_decider_names = {
    "check_subscription_limit", "consume_quota", "reserve_usage", "begin_turn", "check_rate_limit", "rate_limit"};

// What came out: "allowed", "replayed" (of an idempotency key), or the reason of the denial.
inline constexpr std::size_t k_outcomes = 9;
std::size_t outcome_of(Reason reason, bool is_replayed);
std::string_view name_of_outcome(std::size_t outcome);
// Whether a function can decide so.
bool can_come_out(Decider decider, std::size_t outcome);

// How reservations ended.
enum class Settled : std::size_t { settled, late, released, expired };
inline constexpr std::array<std::string_view, 4> k_settled_names = {"settled", "late", "released", "expired"};

struct Counters {
  using Counter = Atomic<std::uint64_t>;
  struct Job {
    Counter succeeded, failed, rows, microseconds;
  };

  Atomic<std::uint32_t> database;  // 0: the place is free
  Atomic<std::int64_t> since;      // microseconds: when they were last zero
  std::array<std::array<Counter, k_outcomes>, k_decider_names.size()> decisions;
  Counter messages, tokens, api_calls, cost;  // that were charged; the cost in units of Amount
  std::array<Counter, k_settled_names.size()> settlements;
  std::array<Job, k_job_names.size()> jobs;

  void reset(Instant now);

  static void add(Counter& counter, std::uint64_t count = 1) { counter.fetch_add(count, std::memory_order_relaxed); }
};

class CounterBoard {
 public:
  static constexpr std::size_t k_most_databases = 512;

  // The counters of a database; the first call gives it a place, if need be that of a database that is gone. nullptr
  // where every place is taken.
  Counters* of(std::uint32_t database, Instant now, bool (*is_gone)(std::uint32_t database));

  // Of a process that ended just then. While no other uses the board.
  void open_lock() { lock_.unlock(); }

 private:
  static constexpr std::uint32_t k_nobody = 0;

  Counters* find(std::uint32_t database);
  std::optional<std::uint32_t> holder_of_a_place_to_take(bool (*is_gone)(std::uint32_t database));

  std::array<Counters, k_most_databases> places_;
  ShortLock lock_;  // of whoever gives a database a place
};

}  // namespace claude_gpt::core
