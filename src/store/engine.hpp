// Rows by whichever engine serves: directly through the access methods, or by SPI where something on the table or in
// the session has an effect that only the executor brings about. Whoever asks sees no difference.
#pragma once

#include <array>
#include <optional>
#include <utility>

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
std::array<DirectUse, 3> direct_uses(core::Instant now);

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

// The row of a user that is decided on and written, directly.
class DirectUser {
 public:
  enum class Step { write, leave, go_by_spi };
  enum class End { written, left, by_spi, unknown };

  explicit DirectUser(const core::Uuid& id) : id_(id), heap_(users()) {}

  // False: by SPI.
  bool open() { return heap_.open(bridge::HeapTable::Use::write); }
  // decide(row, changes) says what becomes of the row, and is asked again of the newest version where somebody else has
  // changed it meanwhile: the version that it has decided on last is the one that is written. Unless the answer is
  // `written`, nothing is.
  template <typename Decide> End change(Decide decide) {
    for (;;) {
      const auto found = heap_.find(id_, row_.values());
      if (found == bridge::HeapRow::Found::none) return End::unknown;
      if (found == bridge::HeapRow::Found::refused) return End::by_spi;
      for (auto outcome = bridge::HeapRow::Outcome::changed; outcome != bridge::HeapRow::Outcome::gone;) {
        Changes<Users> changes;
        const Step step = decide(std::as_const(row_), changes);
        if (step != Step::write) return step == Step::leave ? End::left : End::by_spi;
        outcome = heap_.update(changes.list(), row_.values());
        if (outcome == bridge::HeapRow::Outcome::written) return End::written;
        if (outcome == bridge::HeapRow::Outcome::refused) return End::by_spi;
      }
    }
  }
  void finish() { heap_.finish(); }

 private:
  core::Uuid id_;
  bridge::HeapRow heap_;
  Row<Users> row_;
};

// New records of the ledger, directly: into the partition of this transaction's start.
class DirectLedger {
 public:
  DirectLedger() : heap_(usage_records()) {}

  // False: by SPI.
  bool open();
  // False, and nothing is written, where a rule of the table is broken: the same by SPI says which.
  bool add(NewRow<UsageRecords>& record);
  void finish() { heap_.finish(); }

 private:
  core::Instant created_at_ = {};
  bridge::HeapInsertion heap_;
};

}  // namespace claude_gpt::store
