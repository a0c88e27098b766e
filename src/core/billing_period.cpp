#include "core/billing_period.hpp"

#include <algorithm>

#include "core/future.hpp"

namespace claude_gpt::core {

namespace {

int days_in_month(const CivilDay& day) {
  const Date first = date_of({day.year, day.month, 1});
  return first_of_next_month(first).days - first.days;
}

// The anchor day of the month that lies so many months from that of a day.
Date anchor_near(Date date, int months, int anchor_day) {
  CivilDay day = civil(first_of_month(date));
  day.month += months;
  if (day.month > 12) day = {day.year + 1, day.month - 12, 1};
  if (day.month < 1) day = {day.year - 1, day.month + 12, 1};
  day.day = std::min(anchor_day, days_in_month(day));
  return date_of(day);
}

Date first_anchor_from(Date date, int anchor_day) {
  const Date anchor = anchor_near(date, 0, anchor_day);
  return anchor >= date ? anchor : anchor_near(date, 1, anchor_day);
}

Date last_anchor_until(Date date, int anchor_day) {
  const Date anchor = anchor_near(date, 0, anchor_day);
  return anchor <= date ? anchor : anchor_near(date, -1, anchor_day);
}

Date a_month_after(Date date) { return anchor_near(date, 1, civil(date).day); }

StoredPeriod period_of(Date begins, Date ends_on) {
  if (ends_on == first_of_next_month(begins)) return {begins};
  return {begins, ends_on};
}

StoredPeriod anchored_period(int anchor_day, Date today) {
  const Date begins = last_anchor_until(today, anchor_day);
  return period_of(begins, anchor_near(begins, 1, anchor_day));
}

}  // namespace

Date end_of(const StoredPeriod& period) { return period.ends_on.value_or(first_of_next_month(period.begins)); }

PeriodState state_of(const StoredPeriod& stored, Date today) {
  if (period_is_of_the_future(stored.begins, today)) return PeriodState::doubtful;
  if (today < end_of(stored)) return PeriodState::running;
  return stored.ahead_to ? PeriodState::doubtful : PeriodState::lapsed;
}

StoredPeriod period_after(const StoredPeriod& ended, int anchor_day, Date today) {
  const Date begins = end_of(ended);
  if (!is_finite(begins)) return anchored_period(anchor_day, today);
  const Date ends_on = first_anchor_from(a_month_after(begins), anchor_day);
  return today < ends_on ? period_of(begins, ends_on) : anchored_period(anchor_day, today);
}

int anchor_day_of(std::optional<std::int32_t> before, Date paid_to) {
  const CivilDay day = civil(paid_to);
  const bool is_kept = before && *before >= 1 && std::min(*before, days_in_month(day)) == day.day;
  return is_kept ? *before : day.day;
}

Rebase rebase(const StoredPeriod& stored, int anchor_day, Date today) {
  if (!period_is_of_the_future(stored.begins, today)) return {period_after(stored, anchor_day, today), stored.begins};
  StoredPeriod period = anchored_period(anchor_day, today);
  period.ahead_to = std::max(stored.begins, stored.ahead_to.value_or(stored.begins));
  return {period};
}

MonthlyUsage rebased_usage(const MonthlyUsage& booked, const MonthlyUsage& stored, const Rebase& rebase,
                           bool keeps_ledger) {
  MonthlyUsage usage = booked;
  usage.counted_from = rebase.period.begins;
  if (keeps_ledger || rebase.later_ones_go_to) return usage;
  usage.messages = std::max(usage.messages, stored.messages);
  usage.tokens = std::max(usage.tokens, stored.tokens);
  usage.api_calls = std::max(usage.api_calls, stored.api_calls);
  usage.cost = std::max(usage.cost, stored.cost);
  return usage;
}

}  // namespace claude_gpt::core
