// What a trigger function sees: the event, the row or the transition tables, its arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "bridge/entry.hpp"
#include "bridge/live_object.hpp"
#include "bridge/rights.hpp"
#include "bridge/spi.hpp"
#include "bridge/value.hpp"

struct HeapTupleData;
struct TriggerData;

namespace claude_gpt::bridge {

class Trigger {
 public:
  enum class Event { insert, update, remove, truncate };

  // 39P01 if the function is not called as a trigger.
  explicit Trigger(const Call& call);

  Event event() const;
  // 39P01 with the function's rule if the trigger was not made as the function needs it.
  void require_before_row(const char* function) const;
  void require_after(const char* function) const;
  void require_after_delete(const char* function) const;  // for each row

  // Whose row it is to those who read: of a partition, the table at the top.
  std::uint32_t table() const;
  const char* table_name() const;
  RoleId table_owner() const;

  // Makes every session drop what it cached of the table, once this transaction has committed.
  void invalidate_table() const;

  // Row triggers. Columns are named; an unknown one is 42703, one of a type that cannot be read or written as the one
  // given here 42804. The table may be anyone's.
  struct Assignment {
    const char* column;
    Type type;  // timestamptz or date
    Value value;
  };
  Value new_value(const char* column, Type type) const;
  Value old_value(const char* column, Type type) const;
  bool is_for_row() const;
  // An UPDATE that leaves all columns as they were that UPDATE OF names. Replication fires such a trigger for every
  // row.
  bool keeps_named_columns() const;
  // A column of the row as it was, or as it has become, in its text form; nullopt for NULL, or where there is no such
  // row.
  std::optional<std::string> old_text(const char* column) const;
  std::optional<std::string> new_text(const char* column) const;
  void set_new_values(std::span<const Assignment> assignments);
  int argument_count() const;
  const char* argument(int index) const;
  // Row triggers whose arguments are column rules: the first that the new row breaks; 42804 if it is a rule over texts
  // or numbers, and the column is none.
  enum class Breach { none, no_rule, not_allowed, negative, maintained };
  struct BrokenRule {
    Breach breach = Breach::none;
    int argument = 0;
  };
  // Maintained columns are looked at only if asked for: an UPDATE must keep their stored values, an INSERT
  // must hold their defaults.
  BrokenRule find_broken_rule(bool check_maintained) const;
  // The row to return: what the event goes on with.
  Value row() const;

  TriggerData* data() const { return data_; }

 private:
  Value value_in(HeapTupleData* tuple, const char* column, Type type) const;
  std::optional<std::string> text_in(HeapTupleData* tuple, const char* column) const;
  TriggerData* data_;
};

// One value out of a transition table, in its C++ form: nothing in it points anywhere.
struct Cell {
  bool is_null = true;
  std::int64_t integer = 0;  // int4, int8, timestamptz (microseconds)
  core::Uuid uuid;
  core::Amount amount;        // numeric
  bool text_matches = false;  // text: equal to the column's `compared_to`
};

struct TransitionColumn {
  const char* name;
  Type type;
  std::string_view compared_to = {};
};

// The rows that a statement removed (old) or put in their place (new), read in batches: one guarded call a batch, not a
// row. 42703, 42804 unless the table has the columns with the types that are asked for.
class TransitionTable : LiveObject {
 public:
  enum class Which { old_rows, new_rows };
  static constexpr int k_batch_rows = 64;
  static constexpr int k_max_columns = 10;

  TransitionTable(const Trigger& trigger, Which which, std::span<const TransitionColumn> columns);

  // How many rows were read; 0 at the end.
  int next_batch();
  const Cell& cell(int row, int column) const { return cells()[row * column_count_ + column]; }
  void finish();

 private:
  void* store_;
  void* slot_;
  int read_pointer_;
  int column_count_;
  int attributes_[k_max_columns];
  bool is_narrowed_[k_max_columns];  // a bigint that is read as an integer
  const TransitionColumn* columns_;
  Cell* cells() { return reinterpret_cast<Cell*>(cells_); }
  const Cell* cells() const { return reinterpret_cast<const Cell*>(cells_); }
  // Left as it is until a batch is read into it: to clear it would cost more than to count a message.
  alignas(Cell) std::byte cells_[sizeof(Cell) * k_batch_rows * k_max_columns];
};

}  // namespace claude_gpt::bridge
