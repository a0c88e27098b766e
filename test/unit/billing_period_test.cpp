#include "core/billing_period.hpp"

#include <gtest/gtest.h>

#include "core/future.hpp"

namespace claude_gpt::core {
namespace {

constexpr Date day(std::int64_t year, int month, int day) { return date_of({year, month, day}); }

constexpr Date k_november = day(2026, 11, 1);
constexpr Date k_december = day(2026, 12, 1);
constexpr Date k_next_november = day(2027, 11, 1);

MonthlyUsage used(std::int64_t messages) { return {k_november, messages, 2, 3, Amount::from_units(4)}; }

TEST(billing_period, a_period_runs_until_the_month_ends) {
  EXPECT_EQ(state_of({k_november}, k_november, day(2026, 11, 1)), PeriodState::running);
  EXPECT_EQ(state_of({k_november}, k_november, day(2026, 11, 30)), PeriodState::running);
  EXPECT_EQ(state_of({k_november}, k_december, day(2026, 12, 1)), PeriodState::lapsed);
}

TEST(billing_period, a_clock_or_a_zone_that_is_two_days_behind_leaves_the_next_period_running) {
  EXPECT_EQ(state_of({k_december}, k_november, day(2026, 11, 29)), PeriodState::running);
  EXPECT_EQ(state_of({k_december}, k_november, day(2026, 11, 28)), PeriodState::doubtful);
  EXPECT_EQ(state_of({k_next_november}, k_november, day(2026, 11, 30)), PeriodState::doubtful);
  EXPECT_EQ(state_of({Date::infinity()}, k_november, day(2026, 11, 30)), PeriodState::running) << "what never ends";
}

TEST(billing_period, a_period_of_the_future_gives_way_to_the_present_one_in_which_it_counts) {
  const Rebase changed = rebase({k_next_november}, k_november, day(2026, 11, 30));
  EXPECT_EQ(changed.period.begins, k_november);
  EXPECT_EQ(changed.period.ahead_to, k_next_november);
  EXPECT_EQ(changed.later_ones_go_to, std::nullopt);
  const Rebase further = rebase({k_november, k_next_november}, day(2026, 9, 1), day(2026, 9, 5));
  EXPECT_EQ(further.period.ahead_to, k_next_november);
}

TEST(billing_period, the_next_turn_tells_where_later_records_belong) {
  EXPECT_EQ(state_of({k_november, k_next_november}, k_november, day(2026, 11, 30)), PeriodState::running);
  EXPECT_EQ(state_of({k_november, k_next_november}, k_december, day(2026, 12, 1)), PeriodState::doubtful);
  const Rebase changed = rebase({k_november, k_next_november}, k_december, day(2026, 12, 1));
  EXPECT_EQ(changed.period.begins, k_december);
  EXPECT_EQ(changed.period.ahead_to, std::nullopt);
  EXPECT_EQ(changed.later_ones_go_to, k_november);
}

TEST(billing_period, counters_come_from_the_ledger_while_it_is_kept) {
  const Rebase back = rebase({k_next_november}, k_november, day(2026, 11, 30));
  EXPECT_EQ(rebased_usage(used(5), used(9), back, true).messages, 5);
  EXPECT_EQ(rebased_usage(used(5), used(9), back, false).messages, 9) << "the ledger does not know them";
  EXPECT_EQ(rebased_usage(used(9), used(5), back, false).messages, 9);
  const Rebase on = rebase({k_november, k_next_november}, k_december, day(2026, 12, 1));
  EXPECT_EQ(rebased_usage(used(5), used(9), on, false).messages, 5) << "those of the month that is over";
  EXPECT_EQ(rebased_usage(used(5), used(9), on, false).counted_from, k_december);
}

TEST(future, a_hold_of_the_future_begins_now_and_is_as_long_as_it_was) {
  constexpr std::int64_t k_minute = 60'000'000;
  const Instant now{1'000 * k_minute};
  const Instant far{600'000 * k_minute};
  EXPECT_FALSE(hold_is_of_the_future(now + k_longest_hold, now));
  EXPECT_TRUE(hold_is_of_the_future(far, now));
  EXPECT_FALSE(hold_is_of_the_future(Instant::infinity(), now)) << "that of nobody";
  const HoldTimes near = brought_near({far, far + Duration{5 * k_minute}}, now);
  EXPECT_EQ(near.created_at, now);
  EXPECT_EQ(near.expires_at, now + Duration{5 * k_minute});
  const HoldTimes extended = brought_near({Instant{0}, far}, now);
  EXPECT_EQ(extended.created_at, Instant{0});
  EXPECT_EQ(extended.expires_at, now + k_longest_hold);
}

TEST(future, the_last_activity_is_never_later_than_a_moment_ago) {
  const Instant now{1'000'000'000};
  EXPECT_EQ(active_at(std::nullopt, now), now);
  EXPECT_EQ(active_at(now - Duration{1}, now), now);
  EXPECT_EQ(active_at(now + Duration{1}, now), now + Duration{1}) << "another session was faster";
  EXPECT_EQ(active_at(now + k_clock_slack + Duration{1}, now), now);
}

}  // namespace
}  // namespace claude_gpt::core
