#include "core/identifiers.hpp"

namespace claude_gpt::core {

namespace {

constexpr std::uint64_t k_nanoseconds_per_millisecond = 1'000'000;
constexpr std::uint64_t k_ticks_per_millisecond = 4096;  // the 12 bits of rand_a
constexpr std::uint64_t k_max_milliseconds = (std::uint64_t{1} << 48) - 1;

Uuid assemble(std::uint64_t milliseconds, std::uint64_t fraction, std::uint64_t random) {
  const std::uint64_t high = milliseconds << 16 | std::uint64_t{7} << 12 | fraction;
  const std::uint64_t low = std::uint64_t{2} << 62 | (random & ((std::uint64_t{1} << 62) - 1));
  Uuid uuid;
  for (unsigned i = 0; i < 8; ++i) {
    uuid.bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    uuid.bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  return uuid;
}

}  // namespace

std::string Uuid::to_text() const {
  constexpr char k_hex[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text.push_back('-');
    text.push_back(k_hex[bytes[i] >> 4]);
    text.push_back(k_hex[bytes[i] & 15]);
  }
  return text;
}

Uuid UuidV7Sequence::next(std::uint64_t unix_nanoseconds, std::uint64_t random) noexcept {
  const std::uint64_t milliseconds = unix_nanoseconds / k_nanoseconds_per_millisecond;
  const std::uint64_t fraction =
      unix_nanoseconds % k_nanoseconds_per_millisecond * k_ticks_per_millisecond / k_nanoseconds_per_millisecond;
  const std::uint64_t tick = milliseconds * k_ticks_per_millisecond + fraction;
  last_tick_ = tick > last_tick_ ? tick : last_tick_ + 1;
  return assemble(last_tick_ / k_ticks_per_millisecond, last_tick_ % k_ticks_per_millisecond, random);
}

std::optional<Uuid> uuid_v7_floor(Instant moment) noexcept {
  constexpr std::int64_t k_unix_epoch = k_unix_epoch_days * k_microseconds_per_day;
  if (moment.microseconds < k_unix_epoch) return std::nullopt;
  // Unsigned: the distance of the last timestamptz from 1970 does not fit a signed 64-bit number.
  const std::uint64_t since_1970 =
      static_cast<std::uint64_t>(moment.microseconds) - static_cast<std::uint64_t>(k_unix_epoch);
  const std::uint64_t milliseconds = since_1970 / 1000;
  if (milliseconds > k_max_milliseconds) return std::nullopt;
  return assemble(milliseconds, 0, 0);
}

Uuid successor(Uuid id) noexcept {
  for (std::size_t i = id.bytes.size(); i-- > 0;)
    if (++id.bytes[i] != 0) break;
  return id;
}

}  // namespace claude_gpt::core
