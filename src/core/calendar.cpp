#include "core/calendar.hpp"

namespace claude_gpt::core {

namespace {

// Reads fixed-width fields from the front of a text; one miss makes every later answer a miss.
class FieldReader {
 public:
  explicit FieldReader(std::string_view text) : rest_(text) {}

  int digits(std::size_t count) {
    int value = 0;
    if (rest_.size() < count) ok_ = false;
    for (std::size_t i = 0; ok_ && i < count; ++i) {
      ok_ = rest_[i] >= '0' && rest_[i] <= '9';
      value = value * 10 + (rest_[i] - '0');
    }
    if (ok_) rest_.remove_prefix(count);
    return value;
  }

  void one_of(std::string_view accepted) {
    ok_ = ok_ && !rest_.empty() && accepted.find(rest_.front()) != std::string_view::npos;
    if (ok_) rest_.remove_prefix(1);
  }

  bool skip(char expected) {
    if (!ok_ || !rest_.starts_with(expected)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool next_is_digit() const { return ok_ && !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; }
  bool ok() const { return ok_; }
  bool finished() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

std::int64_t read_fraction(FieldReader& field) {
  std::int64_t microseconds = 0;
  int places = 0;
  for (; places < 6 && field.next_is_digit(); ++places) microseconds = microseconds * 10 + field.digits(1);
  for (; places < 6; ++places) microseconds *= 10;
  return microseconds;
}

}  // namespace

std::optional<Instant> parse_instant(std::string_view text) noexcept {
  FieldReader field{text};
  const int year = field.digits(4);
  field.one_of("-");
  const int month = field.digits(2);
  field.one_of("-");
  const int day = field.digits(2);
  field.one_of("T ");
  const int hour = field.digits(2);
  field.one_of(":");
  const int minute = field.digits(2);
  field.one_of(":");
  const int second = field.digits(2);
  const bool has_fraction = field.skip('.');
  if (has_fraction && !field.next_is_digit()) return std::nullopt;
  const std::int64_t fraction = has_fraction ? read_fraction(field) : 0;

  std::int64_t offset_minutes = 0;
  if (!field.skip('Z')) {
    const bool west = field.skip('-');
    if (!west) field.one_of("+");
    const int offset_hour = field.digits(2);
    const int offset_minute = field.skip(':') ? field.digits(2) : 0;
    if (offset_hour > 15 || offset_minute > 59) return std::nullopt;
    offset_minutes = (offset_hour * 60LL + offset_minute) * (west ? -1 : 1);
  }

  if (!field.finished() || year < 1 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59)
    return std::nullopt;
  const Date first{date_of({year, month, 1})};
  const Date date{first.days + day - 1};
  if (first_of_month(date) != first) return std::nullopt;  // the 31st of April

  const std::int64_t days = date.days;
  const std::int64_t seconds = (hour * 60LL + minute - offset_minutes) * 60 + second;
  return Instant{days * k_microseconds_per_day + seconds * 1'000'000 + fraction};
}

}  // namespace claude_gpt::core
