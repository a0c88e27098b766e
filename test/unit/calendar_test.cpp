#include "core/calendar.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <random>
#include <regex>
#include <string>
#include <string_view>

#include "core/amount.hpp"

namespace claude_gpt::core {
namespace {

using namespace std::string_view_literals;

constexpr std::int64_t k_second = 1'000'000;

// --- The slow model: a calendar walked day by day ---

struct Day {
  int year;
  int month;
  int day;
  friend bool operator==(const Day&, const Day&) = default;
};

bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int days_in_month(int year, int month) {
  constexpr std::array k_days = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : k_days[static_cast<std::size_t>(month - 1)];
}

Day next(Day day) {
  if (day.day < days_in_month(day.year, day.month)) return {day.year, day.month, day.day + 1};
  if (day.month < 12) return {day.year, day.month + 1, 1};
  return {day.year + 1, 1, 1};
}

Day civil_of(Date date) {
  const auto ymd = civil(date);
  return {static_cast<int>(ymd.year), ymd.month, ymd.day};
}

// Days from 2000-01-01, counted year by year and month by month.
std::int64_t counted_days(Day day) {
  std::int64_t days = day.day - 1;
  for (int month = 1; month < day.month; ++month) days += days_in_month(day.year, month);
  for (int year = 2000; year < day.year; ++year) days += is_leap(year) ? 366 : 365;
  for (int year = day.year; year < 2000; ++year) days -= is_leap(year) ? 366 : 365;
  return days;
}

std::int64_t pick(std::mt19937_64& random, std::int64_t least, std::int64_t most) {
  return std::uniform_int_distribution<std::int64_t>{least, most}(random);
}

// --- Days and months ---

TEST(calendar, days_and_months_agree_with_a_walk_of_a_thousand_years) {
  Day day{1600, 1, 1};
  Date date{-146097};  // 400 years before 2000
  Date month_began = date;
  for (; day.year < 2600; day = next(day), ++date.days) {
    if (day.day == 1) month_began = date;
    ASSERT_EQ(civil_of(date), day) << date.days;
    ASSERT_EQ(date_of(civil(date)), date);
    ASSERT_EQ(first_of_month(date), month_began) << date.days;
    const Date next_began{month_began.days + days_in_month(day.year, day.month)};
    ASSERT_EQ(first_of_next_month(date), next_began) << date.days;
    ASSERT_EQ(first_of_month(next_began), next_began) << date.days;
  }
}

TEST(calendar, day_zero_is_the_first_of_2000) {
  EXPECT_EQ(civil_of(Date{0}), (Day{2000, 1, 1}));
  EXPECT_EQ(date_of({1970, 1, 1}).days, -10957);
}

TEST(calendar, months_are_found_over_the_whole_range_of_dates) {
  for (const std::int32_t days : {-2'451'507, 11'239'571, 2'145'031'948}) {
    const Date first = first_of_month({days});
    EXPECT_LE(first.days, days);
    EXPECT_GT(first.days, days - 31);
    EXPECT_GT(first_of_next_month({days}).days, days);
    EXPECT_LE(first_of_next_month({days}).days, first.days + 31);
    EXPECT_EQ(date_of(civil({days})).days, days);
  }
  for (const Date infinite : {Date::infinity(), Date::minus_infinity()}) {
    EXPECT_EQ(first_of_month(infinite), infinite);
    EXPECT_EQ(first_of_next_month(infinite), infinite);
  }
}

TEST(calendar, a_moment_falls_on_the_day_whose_midnight_came_last) {
  std::mt19937_64 random{1};
  for (int i = 0; i < 10'000; ++i) {
    const std::int64_t day = pick(random, -1'000'000, 100'000'000);
    const std::int64_t midnight = day * k_microseconds_per_day;
    ASSERT_EQ(utc_day({midnight}).days, day);
    ASSERT_EQ(utc_day({midnight - 1}).days, day - 1);
    ASSERT_EQ(utc_day({midnight + pick(random, 0, k_microseconds_per_day - 1)}).days, day);
    ASSERT_EQ(utc_day({midnight + k_microseconds_per_day - 1}).days, day);
  }
  EXPECT_EQ(utc_day({-1}).days, -1);
  EXPECT_EQ(utc_day({0}).days, 0);
}

TEST(calendar, the_day_of_an_infinite_moment_is_infinite) {
  EXPECT_EQ(utc_day(Instant::infinity()), Date::infinity());
  EXPECT_EQ(utc_day(Instant::minus_infinity()), Date::minus_infinity());
  EXPECT_FALSE(Instant::infinity().is_finite());
  EXPECT_FALSE(Instant::minus_infinity().is_finite());
  EXPECT_TRUE((Instant{Instant::infinity().microseconds - 1}.is_finite()));
  EXPECT_TRUE((Instant{Instant::minus_infinity().microseconds + 1}.is_finite()));
  EXPECT_TRUE(Instant{}.is_finite());
}

TEST(calendar, infinity_lies_beyond_every_moment_and_every_day) {
  EXPECT_LT(Instant{Instant::infinity().microseconds - 1}, Instant::infinity());
  EXPECT_LT(Instant::minus_infinity(), Instant{Instant::minus_infinity().microseconds + 1});
  EXPECT_LT(Date{2'145'031'948}, Date::infinity());  // 5874897-12-31, the server's last day
  EXPECT_LT(Date::minus_infinity(), Date{-2'451'545});
}

// --- Lengths of time ---

// Past either end of time it stays there; so does what was there before.
Instant moved(Instant moment, Int128 length) {
  constexpr Int128 k_first = std::numeric_limits<std::int64_t>::min();
  constexpr Int128 k_last = std::numeric_limits<std::int64_t>::max();
  if (!moment.is_finite()) return moment;
  return {static_cast<std::int64_t>(std::clamp(moment.microseconds + length, k_first, k_last))};
}

void expect_moved(std::int64_t moment, std::int64_t length) {
  ASSERT_EQ((Instant{moment} + Duration{length}).microseconds, moved({moment}, length).microseconds)
      << moment << " + " << length;
  ASSERT_EQ((Instant{moment} - Duration{length}).microseconds,
            moved({moment}, -static_cast<Int128>(length)).microseconds)
      << moment << " - " << length;
}

TEST(calendar, a_moment_moves_by_a_length_of_time_in_either_direction) {
  EXPECT_EQ((Instant{10} + Duration{5}), (Instant{15}));
  EXPECT_EQ((Instant{10} - Duration{15}), (Instant{-5}));
  EXPECT_EQ((Instant{10} + Duration{-15}), (Instant{-5}));
  EXPECT_EQ((Instant{-10} - Duration{-15}), (Instant{5}));
}

TEST(calendar, a_moment_that_moves_past_an_end_of_time_stays_there) {
  constexpr std::int64_t k_first = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t k_last = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ((Instant{k_last - 5} + Duration{6}), Instant::infinity());
  EXPECT_EQ((Instant{5} - Duration{k_first}), Instant::infinity());
  EXPECT_EQ((Instant{-5} + Duration{k_first}), Instant::minus_infinity());
  EXPECT_EQ((Instant{k_first + 5} - Duration{6}), Instant::minus_infinity());
  constexpr std::array k_edges = {k_first,          k_first + 1,     k_first + 2,     k_first / 2,     std::int64_t{-2},
                                  std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}, std::int64_t{2}, k_last / 2,
                                  k_last - 2,       k_last - 1,      k_last};
  for (const std::int64_t moment : k_edges)
    for (const std::int64_t length : k_edges) expect_moved(moment, length);
  std::mt19937_64 random{4};
  for (int i = 0; i < 10'000; ++i) expect_moved(pick(random, k_first, k_last), pick(random, k_first, k_last));
}

TEST(calendar, no_length_of_time_leads_back_from_infinity) {
  for (const Instant infinite : {Instant::infinity(), Instant::minus_infinity()}) {
    for (const std::int64_t length : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}, std::int64_t{0},
                                      std::int64_t{1}, std::numeric_limits<std::int64_t>::max()}) {
      EXPECT_EQ(infinite + Duration{length}, infinite) << length;
      EXPECT_EQ(infinite - Duration{length}, infinite) << length;
    }
  }
}

// --- Billing months ---

TEST(calendar, a_month_holds_its_first_moment_and_not_its_end) {
  const BillingMonth month{Date{0}, {100}, {200}};
  EXPECT_FALSE(month.contains({99}));
  EXPECT_TRUE(month.contains({100}));
  EXPECT_TRUE(month.contains({199}));
  EXPECT_FALSE(month.contains({200}));
  EXPECT_FALSE(month.contains(Instant::infinity()));
  EXPECT_FALSE(month.contains(Instant::minus_infinity()));
  EXPECT_FALSE(BillingMonth{}.contains({0}));
}

// --- Moments as text ---

TEST(calendar, known_moments_are_read) {
  const auto read = [](std::string_view text) {
    return parse_instant(text).value_or(Instant::infinity()).microseconds;
  };
  EXPECT_EQ(read("2000-01-01T00:00:00Z"), 0);
  EXPECT_EQ(read("2000-01-01 00:00:00+00"), 0);
  EXPECT_EQ(read("1970-01-01T00:00:00Z"), -946'684'800 * k_second);
  EXPECT_EQ(read("2026-11-22T10:00:00Z"), 848'656'800 * k_second);
  EXPECT_EQ(read("2026-11-22 10:00:00.25+08:00"), 848'628'000 * k_second + 250'000);
  EXPECT_EQ(read("2026-11-22T10:00:00-00:30"), 848'658'600 * k_second);
  EXPECT_EQ(read("2024-02-29T23:59:59.999999Z"), 762'566'400 * k_second - 1);
  EXPECT_EQ(read("9999-12-31T23:59:59.999999Z"), (counted_days({9999, 12, 31}) + 1) * k_microseconds_per_day - 1);
  EXPECT_EQ(read("0001-01-01T00:00:00+15:59"),
            counted_days({1, 1, 1}) * k_microseconds_per_day - (15 * 60 + 59) * 60 * k_second);
}

struct Fields {
  Day day;
  int hour, minute, second, microsecond;
  int offset_minutes;

  std::int64_t microseconds() const {
    const std::int64_t minutes = hour * 60LL + minute - offset_minutes;
    return counted_days(day) * k_microseconds_per_day + (minutes * 60 + second) * k_second + microsecond;
  }
};

Fields random_fields(std::mt19937_64& random) {
  const auto some = [&](int least, int most) { return static_cast<int>(pick(random, least, most)); };
  Day day{some(1, 9999), some(1, 12), 1};
  day.day = some(1, days_in_month(day.year, day.month));
  return {day, some(0, 23), some(0, 59), some(0, 59), some(0, 1) * some(0, 999'999), some(0, 3) * some(-959, 959) / 3};
}

std::string format(const char* form, auto... values) {
  char text[64];
  std::snprintf(text, sizeof text, form, values...);
  return text;
}

// In one of the accepted spellings, chosen at random.
std::string spelled(const Fields& fields, std::mt19937_64& random) {
  std::string text = format("%04d-%02d-%02d%c%02d:%02d:%02d", fields.day.year, fields.day.month, fields.day.day,
                            random() % 2 == 0 ? 'T' : ' ', fields.hour, fields.minute, fields.second);
  std::string fraction = format(".%06d", fields.microsecond);
  while (fraction.size() > 2 && fraction.ends_with('0') && random() % 4 != 0) fraction.pop_back();
  if (fields.microsecond != 0 || random() % 2 == 0) text += fraction;
  const int offset = fields.offset_minutes;
  if (offset == 0 && random() % 2 == 0) return text + "Z";
  const char sign = offset < 0 || (offset == 0 && random() % 2 == 0) ? '-' : '+';
  text += format("%c%02d", sign, std::abs(offset) / 60);
  return offset % 60 != 0 || random() % 2 == 0 ? text + format(":%02d", std::abs(offset) % 60) : text;
}

TEST(calendar, every_moment_is_read_back_from_each_of_its_spellings) {
  std::mt19937_64 random{2};
  for (int i = 0; i < 20'000; ++i) {
    const Fields fields = random_fields(random);
    const std::string text = spelled(fields, random);
    const auto moment = parse_instant(text);
    ASSERT_TRUE(moment) << text;
    ASSERT_EQ(moment->microseconds, fields.microseconds()) << text;
  }
}

// The fields of a well-formed text must also name a moment.
bool names_a_moment(const std::smatch& found) {
  const auto number = [&](std::size_t group) { return found[group].matched ? std::stoi(found[group]) : 0; };
  const int year = number(1);
  const int month = number(2);
  const int day = number(3);
  if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) return false;
  return number(4) <= 23 && number(5) <= 59 && number(6) <= 59 && number(7) <= 15 && number(8) <= 59;
}

TEST(calendar, a_text_with_one_character_changed_is_read_only_if_it_is_well_formed) {
  const std::regex well_formed{
      R"((\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d{1,6})?(?:Z|[+-](\d\d)(?::(\d\d))?))"};
  constexpr std::string_view k_inserted = "0123456789-:TZ+ .x";
  std::mt19937_64 random{3};
  int read = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = spelled(random_fields(random), random);
    const std::size_t place = random() % text.size();
    const char inserted = k_inserted[random() % k_inserted.size()];
    switch (random() % 3) {
      case 0: text.erase(place, 1); break;
      case 1: text.insert(place, 1, inserted); break;
      default: text[place] = inserted;
    }
    std::smatch found;
    const bool expected = std::regex_match(text, found, well_formed) && names_a_moment(found);
    read += expected ? 1 : 0;
    ASSERT_EQ(parse_instant(text).has_value(), expected) << text;
  }
  EXPECT_GT(read, 1000);
}

TEST(calendar, what_is_no_moment_is_not_read) {
  for (const std::string_view text :
       {"2026-02-29T00:00:00Z"sv, "2100-02-29T00:00:00Z"sv, "2026-02-30T00:00:00Z"sv, "2026-04-31T00:00:00Z"sv,
        "2026-00-01T00:00:00Z"sv, "2026-13-01T00:00:00Z"sv, "2026-01-00T00:00:00Z"sv, "2026-01-32T00:00:00Z"sv,
        "2026-01-01T24:00:00Z"sv, "2026-01-01T23:60:00Z"sv, "2026-01-01T23:59:60Z"sv, "2026-01-01T00:00:00+16"sv,
        "2026-01-01T00:00:00-16:00"sv, "2026-01-01T00:00:00+15:60"sv}) {
    EXPECT_EQ(parse_instant(text), std::nullopt) << text;
  }
}

TEST(calendar, the_last_days_of_the_months_are_read) {
  for (int year : {1900, 2000, 2023, 2024, 2100}) {
    for (int month = 1; month <= 12; ++month) {
      const int last = days_in_month(year, month);
      EXPECT_TRUE(parse_instant(format("%04d-%02d-%02dT00:00:00Z", year, month, last)));
      EXPECT_FALSE(parse_instant(format("%04d-%02d-%02dT00:00:00Z", year, month, last + 1)));
    }
  }
}

TEST(calendar, the_offset_is_not_optional_and_nothing_follows_it) {
  for (const std::string_view text : {""sv,
                                      "2026"sv,
                                      "2026-11-22"sv,
                                      "2026-11-22T10:00Z"sv,
                                      "2026-11-22T10:00:00"sv,
                                      "2026-11-22 10:00:00"sv,
                                      "2026-11-22T10:00:00.5"sv,
                                      "2026-11-22T10:00:00+"sv,
                                      "2026-11-22T10:00:00+1"sv,
                                      "2026-11-22T10:00:00+08:"sv,
                                      "2026-11-22T10:00:00+08:0"sv,
                                      "2026-11-22T10:00:00+0800"sv,
                                      "2026-11-22T10:00:00+08:00:00"sv,
                                      "2026-11-22T10:00:00ZZ"sv,
                                      "2026-11-22T10:00:00Z "sv,
                                      " 2026-11-22T10:00:00Z"sv,
                                      "2026-11-22T10:00:00Z\0"sv,
                                      "2026-11-22T10:00:00Z+00"sv,
                                      "2026-11-22T10:00:00 UTC"sv,
                                      "2026-11-22T10:00:00z"sv,
                                      "2026-11-22t10:00:00Z"sv,
                                      "2026-11-22T10:00:00 +00"sv,
                                      "2026-11-22T10:00:00.1234567Z"sv,
                                      "2026-11-22T10:00:00,5Z"sv,
                                      "2026/11/22T10:00:00Z"sv,
                                      "20261122T100000Z"sv,
                                      "+2026-11-22T10:00:00Z"sv,
                                      "-2026-11-22T10:00:00Z"sv,
                                      "12026-11-22T10:00:00Z"sv,
                                      "226-11-22T10:00:00Z"sv,
                                      "2026-1-22T10:00:00Z"sv,
                                      "2026-11-2T10:00:00Z"sv,
                                      "2026-11-22T1:00:00Z"sv,
                                      "infinity"sv,
                                      "-infinity"sv,
                                      "now"sv,
                                      "epoch"sv,
                                      "2026-W47-7T10:00:00Z"sv,
                                      "\xFF\xFF\xFF\xFF-11-22T10:00:00Z"sv,
                                      "2026-11-22T10:00:00\xE2\x88\x92"
                                      "08:00"sv}) {
    EXPECT_EQ(parse_instant(text), std::nullopt) << "\"" << text << "\"";
  }
}

}  // namespace
}  // namespace claude_gpt::core
