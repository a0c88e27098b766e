// Rows by whichever engine serves: directly through the access methods, or by SPI where something on the table or in
// the session has an effect that only the executor brings about. Whoever asks sees no difference.
#pragma once

#include <array>
#include <optional>

#include "bridge/heap_table.hpp"
#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"
#include "store/rows.hpp"

namespace claude_gpt::store {

// One way in which rows are used, and what keeps it from going directly; nullptr: nothing. For health().
struct DirectUse {
  const char* table;
  const char* operation;  // "read" or "written"
  const char* obstacle;
};
std::array<DirectUse, 1> direct_uses(core::Instant now);

// The row of a user as the statement that called sees it.
class UserLookup {
 public:
  explicit UserLookup(const core::Uuid& id);
  // nullptr: there is none. What the row points to lives until finish().
  const Row<Users>* row() const { return is_found_ ? &row_ : nullptr; }
  void finish();

 private:
  void find_by_spi(const core::Uuid& id);

  bridge::HeapRow heap_;
  std::optional<bridge::Spi> spi_;
  Row<Users> row_;
  bool is_found_ = false;
};

}  // namespace claude_gpt::store
