// Sums that a column holds: 22003 where it does not, in the words of the server.
#pragma once

#include <cstdint>
#include <limits>

#include "core/amount.hpp"
#include "core/failure.hpp"

namespace claude_gpt::core::checked {

inline std::int64_t add_int8(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) throw Failure(sqlstate::k_numeric_value_out_of_range, "bigint out of range");
  return sum;
}

inline std::int64_t add_int4(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum) || sum < std::numeric_limits<std::int32_t>::min() ||
      sum > std::numeric_limits<std::int32_t>::max())
    throw Failure(sqlstate::k_numeric_value_out_of_range, "integer out of range");
  return sum;
}

inline Amount add(Amount a, Amount b) {
  const Amount sum = a + b;
  if (!sum.is_in_range())
    throw Failure(sqlstate::k_numeric_value_out_of_range, "numeric field overflow",
                  "A field with precision 20, scale 9 must round to an absolute value less than 10^11.");
  return sum;
}

}  // namespace claude_gpt::core::checked
