// UUID version 7 (RFC 9562, section 5.7, with the sub-millisecond fraction of method 3 in rand_a).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "core/calendar.hpp"

namespace claude_gpt::core {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  std::string to_text() const;
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

// The next id in the order of the server. After the last comes the first.
Uuid successor(Uuid id) noexcept;

// Makes ids that grow strictly, also when the system clock stands still or steps back:
// then the next id is one 4096th of a millisecond above the last.
class UuidV7Sequence {
 public:
  // `unix_nanoseconds`: the system clock. `random`: 62 of its bits are used.
  Uuid next(std::uint64_t unix_nanoseconds, std::uint64_t random) noexcept;

 private:
  std::uint64_t last_tick_ = 0;
};

// The smallest version 7 id of the millisecond that holds `moment`: every id made at that moment or
// later, by any generator, is equal or above. nullopt before 1970, after 10889 and for infinity.
std::optional<Uuid> uuid_v7_floor(Instant moment) noexcept;

}  // namespace claude_gpt::core
