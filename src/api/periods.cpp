#include "api/periods.hpp"

#include "api/config.hpp"
#include "store/ledger_periods.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// What the ledger will have in the new period once its later records are where they belong.
core::MonthlyUsage booked_after(Spi& spi, const core::Uuid& user_id, const core::Rebase& rebase) {
  const core::Date from = rebase.period.begins;
  return store::booked_usage(spi, user_id, from, rebase.later_ones_go_to ? from : core::Date::infinity());
}

}  // namespace

core::StoredPeriod period_now(const UserRow& user, const CallTime& time) {
  const core::StoredPeriod stored = user.period();
  if (core::state_of(stored, time.today) == core::PeriodState::running) return stored;
  return core::period_after(stored, user.anchor_day(configuration(), time.now), time.today);
}

bool mend_period(const core::Uuid& user_id, const CallTime& time) {
  store::StoredRow<store::Users> found{user_id};
  found.open(store::RowUse::lock);
  if (!found.lock(store::RowLock::no_key_update)) throw unknown_user(user_id);
  const UserRow user{found.row()};
  const bool is_doubtful = user.period_state(time) == core::PeriodState::doubtful;
  const core::Rebase rebase = core::rebase(user.period(), user.anchor_day(configuration(), time.now), time.today);
  const core::MonthlyUsage stored = user.stored(true);
  found.finish();
  if (!is_doubtful) return false;

  Spi spi;
  const core::MonthlyUsage booked = booked_after(spi, user_id, rebase);
  if (rebase.later_ones_go_to)
    store::move_later_periods(spi, user_id, rebase.period.begins, *rebase.later_ones_go_to,
                              billing_day_begins(rebase.period.begins));
  const bool keeps_ledger = configuration().usage_ledger();
  store::put_period(spi, user_id, rebase.period, core::rebased_usage(booked, stored, rebase, keeps_ledger));
  spi.finish();
  return true;
}

void mend_period_for_good(const core::Uuid& user_id, const CallTime& time) {
  mend_period(user_id, time);
  store::StoredRow<store::Users> user{user_id};
  user.open(store::RowUse::lock);
  if (!user.lock(store::RowLock::no_key_update)) throw unknown_user(user_id);
  const core::StoredPeriod period = UserRow{user.row()}.period();
  const core::MonthlyUsage used = UserRow{user.row()}.stored(true);
  user.finish();
  if (!period.ahead_to) return;
  Spi spi;
  store::move_later_periods(spi, user_id, period.begins, period.begins, time.now);
  store::put_period(spi, user_id, {period.begins, period.ends_on}, used);
  spi.finish();
}

core::MonthlyUsage used_now(const core::Uuid& user_id, const UserRow& user, bool with_cost, const CallTime& time) {
  if (user.period_state(time) != core::PeriodState::doubtful)
    return user.used(period_now(user, time).begins, with_cost);
  const core::Rebase rebase = core::rebase(user.period(), user.anchor_day(configuration(), time.now), time.today);
  const core::MonthlyUsage stored = user.stored(true);
  Spi spi;
  const core::MonthlyUsage booked = booked_after(spi, user_id, rebase);
  spi.finish();
  return core::rebased_usage(booked, stored, rebase, configuration().usage_ledger());
}

core::Instant period_ends(const UserRow& user, const CallTime& time) {
  const auto anchor_day = [&] { return user.anchor_day(configuration(), time.now); };
  const bool is_doubtful = user.period_state(time) == core::PeriodState::doubtful;
  const core::StoredPeriod period =
      is_doubtful ? core::rebase(user.period(), anchor_day(), time.today).period : period_now(user, time);
  const core::Date ends_on = core::end_of(period);
  const bool is_of_the_calendar = ends_on == core::first_of_next_month(time.month.first_day);
  return is_of_the_calendar ? time.month.ends : billing_day_begins(ends_on);
}

}  // namespace claude_gpt::api
