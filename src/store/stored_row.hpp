// A row found by its id, and new rows, by whichever engine serves: directly through the access methods, or by SPI where
// something on the table or in the session has an effect that only the executor brings about. Whoever asks decides, and
// sees no difference.
//
//   StoredRow<Users> user{user_id};
//   user.open(RowUse::write);
//   const auto end = user.change([&](const Row<Users>& row, Changes<Users>& changes) { ...; return RowStep::write; });
//   user.finish();
#pragma once

#include <optional>
#include <utility>

#include "bridge/heap_table.hpp"
#include "bridge/spi.hpp"
#include "core/identifiers.hpp"
#include "store/locked_at.hpp"
#include "store/row_statements.hpp"
#include "store/table.hpp"

namespace claude_gpt::store {

using RowUse = bridge::HeapTable::Use;
using RowLock = bridge::HeapRow::Lock;
enum class RowStep {
  write,
  write_by_spi,  // what the writer gives may break a rule of which the executor alone knows the words
  leave
};
enum class RowEnd { written, left, unknown };

// What lies in the row lives until finish().
template <typename Table> class StoredRow {
 public:
  // `owner`: a row of another user is as one that is not there. `is_own`: this call has inserted it directly.
  explicit StoredRow(const core::Uuid& id, const std::optional<core::Uuid>& owner = std::nullopt, bool is_own = false)
      : id_(id), owner_(owner), heap_(Table::rows(), is_own) {}

  // Says what is done at most.
  void open(RowUse use) {
    use_ = use;
    if (heap_.open(use)) return;
    spi_.emplace();
    // Also where it will turn out that nothing is written.
    if (use != RowUse::read) Table::rows().require_writable(use);
  }
  // Then change() locks before it decides.
  bool goes_by_spi() const { return spi_.has_value(); }
  const Row<Table>& row() const { return row_; }
  // When it was locked or written last.
  LockedAt locked_at() const { return locked_at_; }

  // To read, in the caller's snapshot, else in a new one. False: it is not there.
  bool find() {
    if (!spi_) {
      const auto found = heap_.find(id_, row_.values());
      is_found_ = found == bridge::HeapRow::Found::row && is_of_owner();
      if (found != bridge::HeapRow::Found::refused) return is_found_;
      go_by_spi();
    }
    return select(Statements::find, OwnersStatements::find);
  }

  // Until the transaction ends. False: it is not there, or was deleted meanwhile.
  bool lock(RowLock mode) {
    if (!spi_ && (is_found_ || find()) && !spi_) {
      const auto found = heap_.lock(mode, row_.values());
      is_found_ = found == bridge::HeapRow::Found::row && is_of_owner();
      if (is_found_) locked_at_ = LockedAt::now();
      if (found != bridge::HeapRow::Found::refused) return is_found_;
      go_by_spi();
    }
    if (!spi_) return false;
    if (mode == RowLock::key_share) return select(Statements::keep, OwnersStatements::keep);
    is_locked_ = select(Statements::lock, OwnersStatements::lock);
    return is_locked_;
  }

  // decide(row, changes) says what becomes of the row, and is asked again of the newest version where somebody else has
  // changed it meanwhile: the version that it has decided on last is the one that is written. 55000 where a trigger of
  // the table's owner keeps it from being written.
  template <typename Decide> RowEnd change(Decide decide) {
    if (!spi_)
      if (const auto end = change_directly(decide)) return *end;
    return change_by_spi(decide);
  }

  void finish() {
    if (spi_)
      spi_->finish();
    else
      heap_.finish();
  }

 private:
  using Statements = RowStatements<Table, false>;
  using OwnersStatements = RowStatements<Table, true>;

  bool is_of_owner() const { return !owner_ || row_.template get<Table::k_owner>() == *owner_; }

  void go_by_spi() {
    heap_.finish();
    spi_.emplace();
    is_found_ = false;
  }

  // nullopt: by SPI.
  template <typename Decide> std::optional<RowEnd> change_directly(Decide& decide) {
    using Outcome = bridge::HeapRow::Outcome;
    for (;; is_found_ = false) {
      if (!is_found_ && !find()) return spi_ ? std::nullopt : std::optional{RowEnd::unknown};
      if (spi_) return std::nullopt;
      for (auto outcome = Outcome::changed; outcome != Outcome::gone;) {
        Changes<Table> changes;
        const RowStep step = decide(std::as_const(row_), changes);
        if (step == RowStep::leave) return RowEnd::left;
        outcome = step == RowStep::write && changes.is_in_range() ? heap_.update(changes.list(), row_.values())
                                                                  : Outcome::refused;
        if (outcome == Outcome::written) {
          locked_at_ = LockedAt::now();
          return RowEnd::written;
        }
        if (outcome == Outcome::refused) {
          go_by_spi();
          return std::nullopt;
        }
        if (outcome == Outcome::changed && !is_of_owner()) return RowEnd::unknown;
      }
    }
  }

  template <typename Decide> RowEnd change_by_spi(Decide& decide) {
    if (!is_locked_ && !lock(RowLock::no_key_update)) return RowEnd::unknown;
    Changes<Table> changes;
    if (decide(std::as_const(row_), changes) == RowStep::leave) return RowEnd::left;
    for (const bridge::HeapRow::Change& change : changes.list())
      row_.values()[static_cast<std::size_t>(change.column)] = change.value;
    std::array<bridge::Value, OwnersStatements::k_update_types.size()> arguments = {bridge::Value::borrowed(id_)};
    std::size_t count = 1;
    if (owner_) arguments[count++] = bridge::Value::borrowed(*owner_);
    for (std::size_t column = 0; column < Table::k_columns.size(); ++column)
      if ((Table::k_updated >> column & 1) != 0) arguments[count++] = row_.values()[column];
    const auto updated = spi_->execute(owner_ ? OwnersStatements::update : Statements::update,
                                       bridge::Access::read_write, std::span{arguments}.first(count));
    if (updated.empty()) throw bridge::missing_row();
    return RowEnd::written;
  }

  bool select(bridge::RowQuery& by_id, bridge::RowQuery& by_owner) {
    const bridge::Value keys[] = {bridge::Value::borrowed(id_),
                                  owner_ ? bridge::Value::borrowed(*owner_) : bridge::Value::null()};
    const auto access = use_ == RowUse::read ? bridge::Access::read_only : bridge::Access::read_write;
    const auto rows = spi_->execute(owner_ ? by_owner : by_id, access, std::span{keys}.first(owner_ ? 2 : 1));
    if (rows.empty()) return false;
    for (std::size_t column = 0; column < Table::k_columns.size(); ++column)
      row_.values()[column] = rows.value(0, static_cast<int>(column) + 1, Table::k_columns[column].type);
    return true;
  }

  core::Uuid id_;
  std::optional<core::Uuid> owner_;
  RowUse use_ = RowUse::read;
  bridge::HeapRow heap_;
  std::optional<bridge::Spi> spi_;
  Row<Table> row_;
  bool is_found_ = false;   // directly
  bool is_locked_ = false;  // by SPI
  LockedAt locked_at_;
};

// New rows of one table; where it is partitioned, of the partition for a moment.
template <typename Table> class NewRows {
 public:
  // Directly only where all that the rows refer to is locked.
  explicit NewRows(bool may_go_directly, core::Instant moment = {}) : heap_(Table::new_rows()) {
    is_direct_ = may_go_directly && heap_.open(moment);
  }
  // Whether the row was inserted directly.
  bool add(const NewRow<Table>& row) {
    if (is_direct_ && insert_directly(row)) return true;
    insert_by_spi<1>({&row});
    return false;
  }
  // Both, by SPI in one statement. How many were inserted directly: the first ones.
  std::size_t add(const NewRow<Table>& first, const NewRow<Table>& second) {
    if (is_direct_ && insert_directly(first)) return add(second) ? 2 : 1;
    insert_by_spi<2>({&first, &second});
    return 0;
  }
  void finish() {
    if (is_direct_) heap_.finish();
  }

 private:
  bool insert_directly(const NewRow<Table>& row) {
    if (row.is_in_range() && heap_.insert(row.values())) return true;
    // The statement may take away what later rows refer to.
    finish();
    is_direct_ = false;
    return false;
  }

  template <std::size_t count> void insert_by_spi(const std::array<const NewRow<Table>*, count>& rows) {
    using Statement = NewRowStatement<Table, count>;
    std::array<bridge::Value, Statement::k_types.size()> arguments;
    std::size_t place = 0;
    for (const NewRow<Table>* row : rows)
      for (std::size_t column = 0; column < Table::k_columns.size(); ++column)
        if ((Table::k_inserted >> column & 1) != 0) arguments[place++] = row->values()[column];
    bridge::Spi spi;
    spi.execute(Statement::insert, bridge::Access::read_write, arguments);
    spi.finish();
  }

  bridge::HeapInsertion heap_;
  bool is_direct_ = false;
};

// One new row: when it was inserted, if directly.
template <typename Table> LockedAt insert_row(const NewRow<Table>& row, bool may_go_directly) {
  NewRows<Table> rows{may_go_directly};
  const bool is_direct = rows.add(row);
  rows.finish();
  return is_direct ? LockedAt::now() : LockedAt{};
}

}  // namespace claude_gpt::store
