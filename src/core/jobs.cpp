#include "core/jobs.hpp"

#include <algorithm>
#include <mutex>

namespace claude_gpt::core {

namespace {

constexpr Duration k_shortest_back_off{10'000'000};
constexpr Duration k_longest_back_off{3'600'000'000};
constexpr Duration k_batch_aim{20'000};
constexpr std::int64_t k_smallest_batch = 100;
constexpr std::int64_t k_largest_batch = 10'000;
constexpr Duration k_longest_rest{1'000'000};

constexpr std::array<std::string_view, 3> k_engine_names = {"worker", "pg_cron", "call"};

constexpr std::array<bool, k_job_names.size()> k_follow_the_months = {
#define JOB(name, migration, every, months, ...) months,
#include "core/jobs.def"
#undef JOB
};

}  // namespace

bool follows_the_months(std::size_t job) { return k_follow_the_months[job]; }

std::optional<std::size_t> find_job(std::string_view name) {
  const auto found = std::ranges::find(k_job_names, name);
  return found == k_job_names.end() ? std::nullopt : std::optional<std::size_t>(found - k_job_names.begin());
}

std::string_view name_of(Engine engine) { return k_engine_names[static_cast<std::size_t>(engine)]; }

std::optional<Engine> find_engine(std::string_view name) {
  const auto found = std::ranges::find(k_engine_names, name);
  return found == k_engine_names.end() ? std::nullopt
                                       : std::optional{static_cast<Engine>(found - k_engine_names.begin())};
}

Duration back_off(std::int32_t failures_in_a_row) {
  constexpr int k_more_doublings_than_matter = 20;
  const int doublings = std::clamp(failures_in_a_row - 1, 0, k_more_doublings_than_matter);
  return std::min(Duration{k_shortest_back_off.microseconds << doublings}, k_longest_back_off);
}

Instant next_run(Instant now, Duration run_every, std::optional<Instant> month_ends) {
  const Instant by_interval = now + run_every;
  return month_ends ? std::min(by_interval, *month_ends) : by_interval;
}

bool run_is_of_the_future(Instant next_run_at, Duration run_every, Instant now) {
  return next_run_at > now + run_every + k_longest_back_off;
}

Instant due_at(Instant next_run_at, Duration run_every, std::optional<Instant> looked_at, Instant look_after,
               Instant now) {
  const bool is_believed = !run_is_of_the_future(next_run_at, run_every, now);
  const bool counts = looked_at && *looked_at <= now && (!is_believed || *looked_at >= next_run_at);
  if (counts) return look_after;
  return is_believed ? next_run_at : now;
}

std::int64_t next_batch_size(std::int64_t size, Duration took) {
  if (took.microseconds * 2 < k_batch_aim.microseconds) return std::min(size * 2, k_largest_batch);
  if (took > Duration{k_batch_aim.microseconds * 2}) return std::max(size / 2, k_smallest_batch);
  return size;
}

Duration rest_after(Duration work, int percent) {
  return std::min(Duration{work.microseconds * (100 - percent) / percent}, k_longest_rest);
}

void JobBoard::request(std::uint32_t database) {
  if (database != 0) {
    for (auto& slot : requests_) {
      std::uint32_t empty = 0;
      if (slot.load() == database || slot.compare_exchange_strong(empty, database) || empty == database) return;
    }
  }
  all_are_wanted_ = true;
}

std::optional<std::uint32_t> JobBoard::take_request() {
  if (all_are_wanted_.exchange(false)) return 0;
  for (auto& slot : requests_)
    if (const std::uint32_t database = slot.exchange(0); database != 0) return database;
  return std::nullopt;
}

std::int32_t JobBoard::visitor_of(std::uint32_t database) const {
  for (const Visit& visit : visits_)
    if (visit.database == database && visit.process != 0) return visit.process;
  return 0;
}

JobBoard::Looks* JobBoard::find_looks(std::uint32_t database) {
  const auto found = std::ranges::find_if(looks_, [&](const Looks& looks) { return looks.database == database; });
  return found == looks_.end() ? nullptr : &*found;
}

std::optional<Instant> JobBoard::looked_at(std::uint32_t database, std::size_t job) {
  const std::lock_guard lock{looks_lock_};
  const Looks* looks = find_looks(database);
  const std::int64_t moment = looks == nullptr ? k_never : looks->moments[job].load();
  return moment == k_never ? std::nullopt : std::optional{Instant{moment}};
}

void JobBoard::note_look(std::uint32_t database, std::size_t job, Instant moment) {
  const std::lock_guard lock{looks_lock_};
  Looks* looks = find_looks(database);
  if (looks == nullptr) looks = find_looks(k_nobody);
  if (looks == nullptr) return;
  looks->database = database;
  looks->moments[job] = moment.microseconds;
}

void JobBoard::forget_looks(std::uint32_t database) {
  ++changes;
  const std::lock_guard lock{looks_lock_};
  if (Looks* looks = find_looks(database))
    for (auto& moment : looks->moments) moment = k_never;
}

void JobBoard::keep_looks_of(std::span<const std::uint32_t> databases) {
  const std::lock_guard lock{looks_lock_};
  for (Looks& looks : looks_) {
    const std::uint32_t database = looks.database;
    if (database == k_nobody || std::ranges::find(databases, database) != databases.end()) continue;
    for (auto& moment : looks.moments) moment = k_never;
    looks.database = k_nobody;
  }
}

}  // namespace claude_gpt::core
