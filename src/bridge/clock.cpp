#include "bridge/clock.hpp"

#include <ctime>

#include "bridge/guard.hpp"
#include "bridge/settings.hpp"
#include "core/failure.hpp"

namespace claude_gpt::bridge::clock {

namespace {

constexpr std::size_t k_max_zone_name = 255;

// The zone, or nullptr. The server wants a terminated name.
pg_tz* find_time_zone(std::string_view name) {
  char terminated[k_max_zone_name + 1];
  if (name.empty() || name.size() > k_max_zone_name || name.find('\0') != std::string_view::npos) return nullptr;
  memcpy(terminated, name.data(), name.size());
  terminated[name.size()] = '\0';
  const char* text = terminated;
  return guarded([text]() -> pg_tz* {
    pg_tz* zone = pg_tzset(text);
    // Zones that count leap seconds would make a day of 86,401 seconds.
    return zone != nullptr && pg_tz_acceptable(zone) ? zone : nullptr;
  });
}

pg_tz* require_time_zone(std::string_view name) {
  if (pg_tz* zone = find_time_zone(name)) return zone;
  throw core::Failure(core::sqlstate::k_not_in_prerequisite_state,
                      "time zone \"" + std::string(name) + "\" is not known to this server", {},
                      "Use a name in pg_timezone_names.");
}

core::Date local_day(core::Instant moment, pg_tz* zone) {
  return guarded([moment, zone]() -> core::Date {
    int seconds_west = 0;
    struct pg_tm local = {};
    fsec_t fraction = 0;
    if (timestamp2tm(moment.microseconds, &seconds_west, &local, &fraction, nullptr, zone) != 0)
      ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
    return {date2j(local.tm_year, local.tm_mon, local.tm_mday) - POSTGRES_EPOCH_JDATE};
  });
}

// The moment at which a day begins in the zone.
core::Instant midnight(core::Date date, pg_tz* zone) {
  const core::CivilDay day = core::civil(date);
  struct pg_tm local = {};
  local.tm_year = static_cast<int>(day.year);
  local.tm_mon = day.month;
  local.tm_mday = day.day;
  const int seconds_west = guarded([&local, zone] { return DetermineTimeZoneOffset(&local, zone); });
  return {date.days * core::k_microseconds_per_day + seconds_west * 1'000'000LL};
}

}  // namespace

core::Instant now() {
  const auto fixed = settings::fixed_time();
  return fixed ? *fixed : core::Instant{GetCurrentTimestamp()};
}

core::Instant transaction_start() { return {GetCurrentTransactionStartTimestamp()}; }

std::uint64_t system_nanoseconds() {
  timespec time = {};
  clock_gettime(CLOCK_REALTIME, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(time.tv_nsec);
}

core::BillingDay day_of(core::Instant moment, std::string_view time_zone) {
  pg_tz* zone = require_time_zone(time_zone);
  const core::Date today = local_day(moment, zone);
  return {today, midnight(today, zone), midnight({today.days + 1}, zone)};
}

core::Instant begin_of(core::Date day, std::string_view time_zone) {
  return is_finite(day) ? midnight(day, require_time_zone(time_zone)) : core::Instant::infinity();
}

core::BillingMonth month_of(core::Instant moment, std::string_view time_zone) {
  pg_tz* zone = require_time_zone(time_zone);
  const core::Date today = local_day(moment, zone);
  return {core::first_of_month(today), midnight(core::first_of_month(today), zone),
          midnight(core::first_of_next_month(today), zone)};
}

bool is_time_zone(std::string_view name) { return find_time_zone(name) != nullptr; }

std::optional<std::int64_t> interval_length(std::string_view text) {
  char terminated[256];
  if (text.size() >= sizeof terminated || text.find('\0') != std::string_view::npos) return std::nullopt;
  memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  const char* input = terminated;
  struct Parsed {
    bool ok;
    struct pg_itm_in interval;
  };
  // The parsers below report by return value, where interval_in would raise.
  const Parsed parsed = guarded([input]() -> Parsed {
    char work[256];
    char* fields[MAXDATEFIELDS];
    int types[MAXDATEFIELDS];
    int count = 0;
    int kind = 0;
    Parsed result = {};
    int error = ParseDateTime(input, work, sizeof work, fields, types, MAXDATEFIELDS, &count);
    if (error == 0) error = DecodeInterval(fields, types, count, INTERVAL_FULL_RANGE, &kind, &result.interval);
    result.ok = error == 0 && kind == DTK_DELTA;
    return result;
  });
  if (!parsed.ok || parsed.interval.tm_year != 0 || parsed.interval.tm_mon != 0) return std::nullopt;
  std::int64_t length = 0;
  if (__builtin_mul_overflow(std::int64_t{parsed.interval.tm_mday}, core::k_microseconds_per_day, &length) ||
      __builtin_add_overflow(length, parsed.interval.tm_usec, &length))
    return std::nullopt;
  return length;
}

}  // namespace claude_gpt::bridge::clock
