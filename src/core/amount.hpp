// Money: an exact decimal with nine places, the arithmetic of numeric(20,9).
// Range: below 100,000,000,000 in either direction when parsed or checked; sums may exceed it
// and are checked where they are stored. Never a floating point number.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace claude_gpt::core {

__extension__ using Int128 = __int128;

class Amount {
 public:
  static constexpr int k_places = 9;
  static constexpr std::int64_t k_units_per_one = 1'000'000'000;

  enum class ParseResult { ok, not_a_number, not_finite, out_of_range };

  constexpr Amount() = default;
  static constexpr Amount from_units(Int128 units) { return Amount{units}; }

  // Reads the server's text form of a numeric. Digits past the ninth place are rounded half away
  // from zero, as numeric does, but what is below zero stays below it: its sign decides whether it is
  // refused. Leaves `result` alone unless the answer is ok. Allocates nothing.
  static ParseResult parse(std::string_view text, Amount& result) noexcept;

  std::string to_text() const;

  constexpr Int128 units() const { return units_; }
  constexpr bool is_negative() const { return units_ < 0; }
  constexpr bool is_zero() const { return units_ == 0; }
  // Whether a numeric(20,9) holds it.
  constexpr bool is_in_range() const { return units_ < k_end && units_ > -k_end; }

  friend constexpr auto operator<=>(Amount, Amount) = default;
  friend constexpr Amount operator+(Amount a, Amount b) { return Amount{a.units_ + b.units_}; }
  friend constexpr Amount operator-(Amount a, Amount b) { return Amount{a.units_ - b.units_}; }
  constexpr Amount& operator+=(Amount other) { return *this = *this + other; }
  constexpr Amount& operator-=(Amount other) { return *this = *this - other; }

 private:
  static constexpr Int128 k_end = Int128{100'000'000'000} * k_units_per_one;
  explicit constexpr Amount(Int128 units) : units_(units) {}
  Int128 units_ = 0;
};

}  // namespace claude_gpt::core
