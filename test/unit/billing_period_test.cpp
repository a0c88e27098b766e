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
  EXPECT_EQ(state_of({k_november}, day(2026, 11, 1)), PeriodState::running);
  EXPECT_EQ(state_of({k_november}, day(2026, 11, 30)), PeriodState::running);
  EXPECT_EQ(state_of({k_november}, day(2026, 12, 1)), PeriodState::lapsed);
  EXPECT_EQ(state_of({day(2026, 11, 17)}, day(2026, 12, 1)), PeriodState::lapsed) << "one that began in its middle";
}

TEST(billing_period, a_period_runs_until_its_own_end) {
  const StoredPeriod own{day(2026, 11, 17), day(2026, 12, 17)};
  EXPECT_EQ(state_of(own, day(2026, 12, 16)), PeriodState::running);
  EXPECT_EQ(state_of(own, day(2026, 12, 17)), PeriodState::lapsed);
}

TEST(billing_period, a_clock_or_a_zone_that_is_two_days_behind_leaves_the_next_period_running) {
  EXPECT_EQ(state_of({k_december}, day(2026, 11, 29)), PeriodState::running);
  EXPECT_EQ(state_of({k_december}, day(2026, 11, 28)), PeriodState::doubtful);
  EXPECT_EQ(state_of({k_next_november}, day(2026, 11, 30)), PeriodState::doubtful);
  EXPECT_EQ(state_of({Date::infinity()}, day(2026, 11, 30)), PeriodState::running) << "what never ends";
}

TEST(billing_period, month_ends_are_clamped_and_come_back) {
  StoredPeriod period{day(2026, 12, 31), day(2027, 1, 31)};
  const auto next = [&] { return period = period_after(period, 31, end_of(period)); };
  EXPECT_EQ(next(), (StoredPeriod{day(2027, 1, 31), day(2027, 2, 28)}));
  EXPECT_EQ(next(), (StoredPeriod{day(2027, 2, 28), day(2027, 3, 31)}));
  EXPECT_EQ(next(), (StoredPeriod{day(2027, 3, 31), day(2027, 4, 30)}));
  EXPECT_EQ(next(), (StoredPeriod{day(2027, 4, 30), day(2027, 5, 31)}));
  EXPECT_EQ(period_after(period, 31, day(2028, 2, 29)), (StoredPeriod{day(2028, 2, 29), day(2028, 3, 31)}));
}

TEST(billing_period, another_anchor_begins_the_next_period_at_once_and_ends_it_a_month_later_or_more) {
  EXPECT_EQ(period_after({k_november}, 17, day(2026, 12, 5)), (StoredPeriod{k_december, day(2027, 1, 17)}));
  EXPECT_EQ(period_after({k_november}, 17, day(2027, 1, 17)), (StoredPeriod{day(2027, 1, 17), day(2027, 2, 17)}));
  const StoredPeriod own{day(2026, 11, 17), day(2026, 12, 17)};
  EXPECT_EQ(period_after(own, 1, day(2026, 12, 31)), (StoredPeriod{day(2026, 12, 17), day(2027, 2, 1)}));
  EXPECT_EQ(period_after(own, 1, day(2027, 2, 1)), (StoredPeriod{day(2027, 2, 1)}));
  EXPECT_EQ(period_after({k_november}, 1, day(2026, 12, 31)), (StoredPeriod{k_december}));
  EXPECT_EQ(period_after({Date::minus_infinity()}, 1, day(2026, 12, 31)), (StoredPeriod{k_december}));
}

// Each day of four years the anchor may be another; whoever looks or not.
TEST(billing_period, no_change_of_the_anchor_gives_more_periods_than_months) {
  unsigned state = 1;
  const auto some = [&](unsigned count) {
    state = state * 1664525u + 1013904223u;
    return (state >> 16) % count;
  };
  for (int round = 0; round < 500; ++round) {
    StoredPeriod period{day(2026, 1, 1)};
    int anchor = 1;
    for (Date today = period.begins; today < day(2030, 1, 1); ++today.days) {
      if (some(20) == 0) anchor = some(2) == 0 ? 1 : static_cast<int>(some(31)) + 1;
      if (some(3) == 0 || state_of(period, today) != PeriodState::lapsed) continue;
      const StoredPeriod next = period_after(period, anchor, today);
      ASSERT_GE(next.begins, end_of(period));
      ASSERT_LE(next.begins, today);
      ASSERT_GT(end_of(next), today);
      ASSERT_GE(end_of(next).days - next.begins.days, 28);
      ASSERT_LE(end_of(next).days - next.begins.days, 62);
      period = next;
    }
  }
}

TEST(billing_period, a_day_that_the_month_does_not_have_is_kept) {
  EXPECT_EQ(anchor_day_of(std::nullopt, day(2026, 1, 31)), 31);
  EXPECT_EQ(anchor_day_of(31, day(2026, 2, 28)), 31);
  EXPECT_EQ(anchor_day_of(31, day(2026, 4, 30)), 31);
  EXPECT_EQ(anchor_day_of(31, day(2026, 3, 30)), 30);
  EXPECT_EQ(anchor_day_of(17, day(2026, 3, 18)), 18);
}

TEST(billing_period, a_period_of_the_future_gives_way_to_the_present_one_in_which_it_counts) {
  const Rebase changed = rebase({k_next_november}, 1, day(2026, 11, 30));
  EXPECT_EQ(changed.period.begins, k_november);
  EXPECT_EQ(changed.period.ahead_to, k_next_november);
  EXPECT_EQ(changed.later_ones_go_to, std::nullopt);
  const Rebase further = rebase({k_november, std::nullopt, k_next_november}, 1, day(2026, 9, 5));
  EXPECT_EQ(further.period.ahead_to, k_next_november);
  EXPECT_EQ(rebase({k_next_november}, 17, day(2026, 11, 30)).period.begins, day(2026, 11, 17));
}

TEST(billing_period, the_next_turn_tells_where_later_records_belong) {
  const StoredPeriod ahead{k_november, std::nullopt, k_next_november};
  EXPECT_EQ(state_of(ahead, day(2026, 11, 30)), PeriodState::running);
  EXPECT_EQ(state_of(ahead, day(2026, 12, 1)), PeriodState::doubtful);
  const Rebase changed = rebase(ahead, 1, day(2026, 12, 1));
  EXPECT_EQ(changed.period, (StoredPeriod{k_december}));
  EXPECT_EQ(changed.later_ones_go_to, k_november);
}

TEST(billing_period, counters_come_from_the_ledger_while_it_is_kept) {
  const Rebase back = rebase({k_next_november}, 1, day(2026, 11, 30));
  EXPECT_EQ(rebased_usage(used(5), used(9), back, true).messages, 5);
  EXPECT_EQ(rebased_usage(used(5), used(9), back, false).messages, 9) << "the ledger does not know them";
  EXPECT_EQ(rebased_usage(used(9), used(5), back, false).messages, 9);
  const Rebase on = rebase({k_november, std::nullopt, k_next_november}, 1, day(2026, 12, 1));
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
  EXPECT_EQ(near.since, now);
  EXPECT_EQ(near.expires_at, now + Duration{5 * k_minute});
  const HoldTimes extended = brought_near({Instant{0}, far}, now);
  EXPECT_EQ(extended.since, Instant{0});
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
