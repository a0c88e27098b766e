// The launcher: it knows the databases, and sends a worker to each that is due. Its states are drawn in README.md.
#include "worker/launcher.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "api/job_board.hpp"
#include "api/visit_time.hpp"
#include "bridge/settings.hpp"
#include "bridge/waiting.hpp"
#include "bridge/worker.hpp"

namespace claude_gpt::worker {

using namespace bridge;

namespace {

constexpr char k_launcher_type[] = "claude_gpt launcher";
constexpr char k_worker_type[] = "claude_gpt worker";
constexpr int k_restart_seconds = 5;
// It looks at the databases whenever it wakes, and that often at least: one may have been made or dropped.
constexpr core::Duration k_longest_sleep{60'000'000};
// After a visit that could not be made, or ended before it said when to come again.
constexpr core::Duration k_pause_after_failure{10'000'000};

// A database as the launcher knows it. Moments are of the monotonic clock.
struct Place {
  enum class State { due, visited, waiting, asleep };

  bridge::worker::Database database;
  core::Instant next_visit;                                    // infinity: only when somebody asks
  std::optional<std::size_t> visit = std::nullopt;             // the place on the board while a worker is there
  bool is_wanted_again = false;                                // somebody asked meanwhile
  std::int32_t overstays = 0;                                  // in a row: visits that did not end in time
  core::Instant not_before = core::Instant::minus_infinity();  // whoever asks

  State state(core::Instant now) const {
    if (visit) return State::visited;
    if (next_visit == core::Instant::infinity()) return State::asleep;
    return next_visit <= now ? State::due : State::waiting;
  }
};

class Launcher {
 public:
  explicit Launcher(core::JobBoard& board) : board_(board) {
    show_setting();
    board_.launcher = bridge::worker::process_number() + 1;
  }

  [[noreturn]] void run() {
    end_visits_of_another();
    for (;;) {
      note_ended_visits();
      end_overdue_visits();
      find_databases();
      take_requests();
      start_due_visits();
      sleep_until_next();
    }
  }

 private:
  struct Guest {
    std::optional<bridge::worker::Started> worker;
    std::uint32_t database = 0;
    std::optional<core::Instant> told_to_end = std::nullopt;  // its time had passed

    // One that does not end, although it was told to, keeps no other database from its turn.
    bool takes_seat(core::Instant now) const {
      return worker && (!told_to_end || now <= *told_to_end + core::k_time_to_end);
    }
  };

  void show_setting() { board_.is_switched_off = !bridge::settings::jobs(); }

  // Of a launcher that was terminated: nobody waits for their answers. What does not end keeps its place.
  void end_visits_of_another() {
    constexpr core::Duration k_pause{50'000};
    const core::Instant patience = monotonic_now() + core::k_time_to_end;
    for (core::JobBoard::Visit& visit : board_.visits()) {
      for (std::int32_t process = visit.process; process != 0 && monotonic_now() < patience; process = visit.process) {
        bridge::worker::terminate(process);
        wait_for(k_pause);
      }
      if (visit.process == 0) visit.database = 0;
    }
  }

  // FATAL, which no code in the database catches as it may catch the cancellation of a job.
  void end_overdue_visits() {
    const core::Instant now = monotonic_now();
    for (std::size_t i = 0; i < guests_.size(); ++i) {
      Guest& guest = guests_[i];
      if (!guest.worker || guest.told_to_end || now.microseconds <= board_.visits()[i].deadline) continue;
      guest.told_to_end = now;
      guest.worker->terminate();
      const auto place = find(guest.database);
      bridge::worker::log("claude_gpt ends a worker that is past its time in database \"" +
                          (place != places_.end() ? place->database.name : std::to_string(guest.database)) + "\"");
    }
  }

  // New ones are due at once; those that are gone, or have become templates, are forgotten.
  void find_databases() {
    const core::Instant now = monotonic_now();
    std::vector<Place> found;
    std::vector<std::uint32_t> ids;
    for (auto& database : bridge::worker::list_databases()) {
      const auto known = find(database.id);
      ids.push_back(database.id);
      found.push_back(known != places_.end() ? *known : Place{database, now});
      found.back().database.name = database.name;
    }
    places_ = std::move(found);
    board_.keep_looks_of(ids);
  }

  void take_requests() {
    const core::Instant now = monotonic_now();
    while (const auto request = board_.take_request())
      for (Place& place : places_)
        if (*request == 0 || place.database.id == *request) want(place, now);
    // After a reload every database may have other settings.
    if (!bridge::settings::take_reload()) return;
    show_setting();
    for (Place& place : places_) want(place, now);
  }

  static void want(Place& place, core::Instant now) {
    if (place.state(now) == Place::State::visited)
      place.is_wanted_again = true;
    else
      place.next_visit =
          std::min(place.next_visit, std::max(now, place.not_before));  // who waits already keeps his turn
  }

  void note_ended_visits() {
    for (std::size_t i = 0; i < guests_.size(); ++i) {
      Guest& guest = guests_[i];
      if (!guest.worker || !guest.worker->has_ended()) continue;
      guest.worker->forget();
      guest.worker.reset();
      end_visit(guest.database, board_.visits()[i].next_visit_in, guest.told_to_end.has_value());
      guest.told_to_end.reset();
      board_.visits()[i].database = 0;
    }
  }

  void end_visit(std::uint32_t database, std::int64_t answer, bool has_overstayed) {
    const auto place = find(database);
    if (place == places_.end()) return;
    const core::Instant now = monotonic_now();
    place->visit.reset();
    place->overstays = has_overstayed ? place->overstays + 1 : 0;
    if (has_overstayed) place->not_before = now + core::back_off(place->overstays);
    const bool is_wanted_again = std::exchange(place->is_wanted_again, false);
    if (has_overstayed)
      place->next_visit = place->not_before;
    else if (is_wanted_again)
      place->next_visit = now;
    else if (answer == core::JobBoard::k_no_extension)
      place->next_visit = core::Instant::infinity();
    else if (answer == core::JobBoard::k_no_answer)
      place->next_visit = now + k_pause_after_failure;
    else
      place->next_visit = now + core::Duration{answer};
  }

  // The one that waits longest first.
  void start_due_visits() {
    if (!bridge::settings::jobs()) return;
    const core::Instant now = monotonic_now();
    for (;;) {
      const auto due = std::ranges::min_element(
          places_, {}, [](const Place& place) { return place.visit ? core::Instant::infinity() : place.next_visit; });
      if (due == places_.end() || due->state(now) != Place::State::due) {
        has_complained_ = false;
        return;
      }
      const auto seat = free_seat();
      if (!seat || !start_visit(*due, *seat)) return;
    }
  }

  std::optional<std::size_t> free_seat() const {
    const core::Instant now = monotonic_now();
    const auto taken = std::ranges::count_if(guests_, [now](const Guest& guest) { return guest.takes_seat(now); });
    if (taken >= bridge::settings::max_workers()) return std::nullopt;
    for (std::size_t i = 0; i < guests_.size(); ++i)
      if (!guests_[i].worker && board_.visits()[i].process == 0) return i;
    return std::nullopt;
  }

  bool start_visit(Place& place, std::size_t seat) {
    core::JobBoard::Visit& visit = board_.visits()[seat];
    visit.next_visit_in = core::JobBoard::k_no_answer;
    visit.database = place.database.id;
    visit.deadline = (monotonic_now() + api::longest_step() + core::k_time_to_end).microseconds;
    guests_[seat].worker = bridge::worker::Started::start(
        "visit_main", k_worker_type, "claude_gpt worker for " + place.database.name, static_cast<std::int32_t>(seat));
    if (!guests_[seat].worker) {
      visit.database = 0;
      if (!std::exchange(has_complained_, true))
        bridge::worker::log("claude_gpt cannot start a worker: raise max_worker_processes");
      next_try_ = monotonic_now() + k_pause_after_failure;
      return false;
    }
    guests_[seat].database = place.database.id;
    place.visit = seat;
    return true;
  }

  void sleep_until_next() {
    const core::Instant now = monotonic_now();
    core::Instant next = now + k_longest_sleep;
    const bool may_start = bridge::settings::jobs() && free_seat();
    for (const Place& place : places_)
      if (may_start && place.state(now) != Place::State::visited)
        next = std::min(next, std::max(place.next_visit, next_try_));
    for (std::size_t i = 0; i < guests_.size(); ++i)
      if (guests_[i].takes_seat(now))
        next = std::min(next, guests_[i].told_to_end ? *guests_[i].told_to_end + core::k_time_to_end
                                                     : core::Instant{board_.visits()[i].deadline});
    if (next > now) wait_for(core::Duration{next.microseconds - now.microseconds});
  }

  std::vector<Place>::iterator find(std::uint32_t database) {
    return std::ranges::find_if(places_, [&](const Place& place) { return place.database.id == database; });
  }

  core::JobBoard& board_;
  std::vector<Place> places_;
  std::array<Guest, core::JobBoard::k_most_visits> guests_ = {};
  core::Instant next_try_ = core::Instant::minus_infinity();
  bool has_complained_ = false;
};

}  // namespace

void register_launcher() {
  bridge::worker::launch_with_server("launcher_main", k_launcher_type, k_restart_seconds);
  bridge::worker::watch_database_commands(
      [](std::uint32_t database) {
        if (const std::int32_t visitor = api::job_board()->visitor_of(database); visitor != 0)
          bridge::worker::terminate(visitor);
      },
      [] {
        constexpr std::uint32_t k_all = 0;
        api::job_board()->request(k_all);
        api::wake_launcher();
      });
}

CLAUDE_GPT_WORKER(launcher_main) {
  bridge::worker::connect_to_no_database();
  bridge::worker::log("claude_gpt launcher starts");
  Launcher{*api::job_board()}.run();
}

}  // namespace claude_gpt::worker
