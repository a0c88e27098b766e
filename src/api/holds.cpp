// Topic quota: holds that end by themselves, and the job reservation_sweep.
#include "api/holds.hpp"

#include <algorithm>

#include "api/config.hpp"
#include "api/jobs.hpp"
#include "api/monitoring.hpp"
#include "core/future.hpp"
#include "store/usage_reservations.hpp"
#include "store/users.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// Whether there were any.
bool bring_holds_near(Spi& spi, const core::Uuid& user_id, core::Instant now) {
  const auto found =
      store::find_holds_of_the_future(spi, user_id, now, core::latest_moment(now), core::latest_expiry(now));
  for (const store::HoldOfTheFuture& hold : found) {
    const core::HoldTimes near = core::brought_near({hold.since, hold.expires_at}, now);
    store::bring_hold_near(spi, {hold.id, near.since, near.expires_at});
  }
  return !found.empty();
}

// The user is locked.
void look_at_holds_of(Spi& spi, const core::Uuid& user_id, core::Instant next_hold_expiry, core::Instant now) {
  const bool were_brought_near = bring_holds_near(spi, user_id, now);
  if (!were_brought_near && next_hold_expiry > now && !core::hold_is_of_the_future(next_hold_expiry, now)) return;
  const store::DueHolds due = store::expire_due(spi, user_id, now, next_hold_expiry);
  count_settlements(core::Settled::expired, static_cast<std::uint64_t>(due.count));
  store::give_back_due(spi, user_id, now, due);
}

// Marks what has expired, which gives its holds back, brings near what is of the future, then deletes what was closed
// long ago.
class ReservationSweep final : public CopiedWork<ReservationSweep> {
 public:
  ReservationSweep(const JobTime& time, core::Instant kept_since)
      : times_{time.now, time.last_success - k_retried_for, core::latest_expiry(time.now)}, kept_since_(kept_since) {}

  bool is_needed(Spi& spi) override { return store::has_reservations_to_sweep(spi, times_, kept_since_); }

  Batch next(Spi& spi, std::int64_t size) override {
    return holds_are_given_back_ ? delete_closed(spi, size) : give_back(spi, size);
  }

 private:
  // What was locked when a run came by is found by a later one.
  static constexpr core::Duration k_retried_for{3'600'000'000};

  Batch give_back(Spi& spi, std::int64_t size) {
    const auto due = store::find_users_with_holds_to_sweep(spi, times_, reached_, size);
    Batch batch{.has_more = true};
    for (const core::Uuid& user_id : due) {
      const auto user = store::lock_user_if_free(spi, user_id);
      if (!user) continue;
      look_at_holds_of(spi, user_id, user->next_hold_expiry.value_or(core::Instant::infinity()), times_.now);
      ++batch.rows;
    }
    if (due.count() < static_cast<std::uint64_t>(size))
      holds_are_given_back_ = true;
    else
      reached_ = core::successor(due.row(due.count() - 1));
    if (due.count() > 0) batch.progress = "up to user " + due.row(due.count() - 1).to_text();
    return batch;
  }

  Batch delete_closed(Spi& spi, std::int64_t size) {
    const std::uint64_t deleted = store::delete_closed_reservations(spi, kept_since_, size);
    return {.rows = deleted, .has_more = deleted == static_cast<std::uint64_t>(size)};
  }

  store::TimesOfSweep times_;
  core::Instant kept_since_;
  core::Uuid reached_{};
  bool holds_are_given_back_ = false;
};

}  // namespace

bool has_holds_to_look_at(const UserRow& user, core::Instant now) {
  const core::Instant next = user.next_hold_expiry();
  return next <= now || core::hold_is_of_the_future(next, now);
}

void look_at_holds(const core::Uuid& user_id, core::Instant now) {
  store::StoredRow<store::Users> user{user_id};
  user.open(store::RowUse::lock);
  const bool is_there = user.lock(store::RowLock::no_key_update);
  const core::Instant next = is_there ? UserRow{user.row()}.next_hold_expiry() : core::Instant::infinity();
  user.finish();
  if (!is_there || next == core::Instant::infinity()) return;
  Spi spi;
  look_at_holds_of(spi, user_id, next, now);
  spi.finish();
}

core::Holds holds_now(const core::Uuid& user_id, const UserRow& user, bool with_cost, core::Instant now) {
  core::Holds held = user.held(with_cost);
  if (user.next_hold_expiry() > now) return held;
  Spi spi;
  const auto due = store::find_due(spi, user_id, now, user.next_hold_expiry());
  held.messages -= due.get<&store::StillHeld::messages>();
  held.tokens -= due.get<&store::StillHeld::tokens>();
  if (with_cost) held.cost -= due.get<&store::StillHeld::cost>();
  spi.finish();
  return held;
}

std::unique_ptr<JobWork> make_reservation_sweep(const JobTime& time) {
  // An idempotency key that is remembered may ask for its reservation again.
  const auto kept = configuration().retention().usage_reservations;
  const core::Instant kept_since = kept ? time.now - core::Duration{std::max(*kept, configuration().idempotency_ttl())}
                                        : core::Instant::minus_infinity();
  return std::make_unique<ReservationSweep>(time, kept_since);
}

}  // namespace claude_gpt::api
