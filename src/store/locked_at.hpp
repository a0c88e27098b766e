// When this call has locked or written a row directly. Until a statement runs, which may fire anybody's code, the row
// is there and locked, and a new one may refer to it unasked.
#pragma once

#include <cstdint>
#include <limits>

#include "bridge/spi.hpp"

namespace claude_gpt::store {

class LockedAt {
 public:
  // Not at all, or by a statement.
  LockedAt() = default;
  static LockedAt now() { return LockedAt{bridge::statements_run()}; }
  bool holds() const { return statements_ == bridge::statements_run(); }

 private:
  explicit LockedAt(std::uint64_t statements) : statements_(statements) {}
  std::uint64_t statements_ = std::numeric_limits<std::uint64_t>::max();
};

}  // namespace claude_gpt::store
