// Moments and days as the server counts them, and the month a moment is billed to.
// Instant: microseconds since 2000-01-01 00:00 UTC (timestamptz). Date: days since 2000-01-01 (date).
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace claude_gpt::core {

struct Instant {
  std::int64_t microseconds = 0;

  static constexpr Instant infinity() { return {std::numeric_limits<std::int64_t>::max()}; }
  static constexpr Instant minus_infinity() { return {std::numeric_limits<std::int64_t>::min()}; }
  constexpr bool is_finite() const { return *this != infinity() && *this != minus_infinity(); }
  friend constexpr auto operator<=>(Instant, Instant) = default;
};

struct Duration {
  std::int64_t microseconds = 0;
  friend constexpr auto operator<=>(Duration, Duration) = default;
};

// Past the ends of time it stays there.
constexpr Instant operator+(Instant moment, Duration length) {
  std::int64_t sum = 0;
  if (!moment.is_finite()) return moment;
  if (!__builtin_add_overflow(moment.microseconds, length.microseconds, &sum)) return {sum};
  return length.microseconds > 0 ? Instant::infinity() : Instant::minus_infinity();
}
constexpr Instant operator-(Instant moment, Duration length) {
  std::int64_t difference = 0;
  if (!moment.is_finite()) return moment;
  if (!__builtin_sub_overflow(moment.microseconds, length.microseconds, &difference)) return {difference};
  return length.microseconds > 0 ? Instant::minus_infinity() : Instant::infinity();
}

struct Date {
  std::int32_t days = 0;

  static constexpr Date infinity() { return {std::numeric_limits<std::int32_t>::max()}; }
  static constexpr Date minus_infinity() { return {std::numeric_limits<std::int32_t>::min()}; }
  friend constexpr auto operator<=>(Date, Date) = default;
};

inline constexpr std::int64_t k_microseconds_per_day = 86'400'000'000;

// The day that holds the moment in UTC; infinite for an infinite moment.
constexpr Date utc_day(Instant moment) {
  if (moment == Instant::infinity()) return Date::infinity();
  if (moment == Instant::minus_infinity()) return Date::minus_infinity();
  const std::int64_t days = moment.microseconds / k_microseconds_per_day;
  const bool rounded_up = moment.microseconds < 0 && moment.microseconds % k_microseconds_per_day != 0;
  return {static_cast<std::int32_t>(rounded_up ? days - 1 : days)};
}

// 1970-01-01 counted from 2000-01-01.
inline constexpr std::int64_t k_unix_epoch_days = -10957;

struct CivilDay {
  std::int64_t year = 0;
  int month = 1;
  int day = 1;
};

// The proleptic Gregorian calendar over the whole range of Date, which is wider than std::chrono's.
// Method: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
constexpr CivilDay civil(Date date) {
  const std::int64_t shifted = date.days - k_unix_epoch_days + 719468;
  const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  const std::int64_t day_of_era = shifted - era * 146097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int month = static_cast<int>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  const int day = static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

constexpr Date date_of(CivilDay day) {
  const std::int64_t year = day.month <= 2 ? day.year - 1 : day.year;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t shifted_month = day.month > 2 ? day.month - 3 : day.month + 9;
  const std::int64_t day_of_year = (153 * shifted_month + 2) / 5 + day.day - 1;
  const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return {static_cast<std::int32_t>(era * 146097 + day_of_era - 719468 + k_unix_epoch_days)};
}

constexpr bool is_finite(Date date) { return date != Date::infinity() && date != Date::minus_infinity(); }

// An infinite date is its own month.
constexpr Date first_of_month(Date date) {
  if (!is_finite(date)) return date;
  const CivilDay day = civil(date);
  return date_of({day.year, day.month, 1});
}

constexpr Date first_of_next_month(Date date) {
  if (!is_finite(date)) return date;
  const CivilDay day = civil(date);
  return day.month == 12 ? date_of({day.year + 1, 1, 1}) : date_of({day.year, day.month + 1, 1});
}

// A calendar month of the billing time zone: its first day, and the moments between which it lasts.
struct BillingMonth {
  Date first_day;
  Instant begins;
  Instant ends;

  constexpr bool contains(Instant moment) const { return begins <= moment && moment < ends; }
};

// A day of the billing time zone.
struct BillingDay {
  Date date;
  Instant begins;
  Instant ends;

  constexpr bool contains(Instant moment) const { return begins <= moment && moment < ends; }
};

// Reads "2026-11-22T10:00:00Z" or "2026-11-22 10:00:00.25+08:00": ISO 8601 with seconds and an
// offset, which is not optional. Nothing else, and nullopt for what is no moment.
std::optional<Instant> parse_instant(std::string_view text) noexcept;

}  // namespace claude_gpt::core
