// Rows of our tables as values with names and types. A table is described once, by a struct with
//   enum Column            its columns,
//   k_columns              their names and types in that order: rows.hpp writes both from one list,
//   k_key, k_owner         the id by which a row is found, and whose it is,
//   k_updated, k_inserted  what is written of a row that is there, and of a new one,
//   k_stamped              where a trigger of ours sets some of it, what the engine sets that fires no triggers,
//   rows(), new_rows()     the table as that engine has it, to find and update rows and to insert them.
// Both engines are made of it: see stored_row.hpp.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

#include "bridge/heap_table.hpp"
#include "bridge/table_types.hpp"
#include "bridge/value.hpp"

namespace claude_gpt::store {

// The C++ form of a type.
template <bridge::Type type> struct FormOf;
template <> struct FormOf<bridge::Type::boolean> { using Form = bool; };
template <> struct FormOf<bridge::Type::int4> { using Form = std::int32_t; };
template <> struct FormOf<bridge::Type::int8> { using Form = std::int64_t; };
template <> struct FormOf<bridge::Type::numeric> { using Form = core::Amount; };
template <> struct FormOf<bridge::Type::text> { using Form = std::string_view; };
template <> struct FormOf<bridge::Type::uuid> { using Form = core::Uuid; };
template <> struct FormOf<bridge::Type::date> { using Form = core::Date; };
template <> struct FormOf<bridge::Type::timestamptz> { using Form = core::Instant; };

// The values of one row, read when they are asked for. What they point to lives as long as whoever found it says.
template <typename Table> class Row {
 public:
  using Column = typename Table::Column;
  template <Column column> using Form = typename FormOf<Table::k_columns[column].type>::Form;

  // 22004 naming the column where it is NULL: its owner may have dropped NOT NULL.
  template <Column column> Form<column> get() const {
    if (values_[column].is_null) throw bridge::unexpected_null(Table::k_columns[column].column);
    return bridge::value_as<Form<column>>(values_[column].datum);
  }
  template <Column column> std::optional<Form<column>> find() const {
    if (values_[column].is_null) return std::nullopt;
    return bridge::value_as<Form<column>>(values_[column].datum);
  }
  std::span<bridge::Value> values() { return values_; }

 private:
  std::array<bridge::Value, Table::k_columns.size()> values_;
};

// New values of columns.
template <typename Table> class Changes {
 public:
  using Column = typename Table::Column;

  template <Column column> void set(const typename Row<Table>::template Form<column>& value) {
    if constexpr (std::same_as<typename Row<Table>::template Form<column>, core::Amount>)
      is_in_range_ = is_in_range_ && value.is_in_range();
    if constexpr (requires { bridge::Value::of(value); })
      set_value(column, bridge::Value::of(value));
    else
      set_value(column, bridge::Value::palloced(value));
  }
  template <Column column> void set_or_null(const std::optional<typename Row<Table>::template Form<column>>& value) {
    if (value)
      set<column>(*value);
    else
      set_null(column);
  }
  // As it came, of the type of the column.
  template <Column column> void pass(bridge::Value value) { set_value(column, value); }
  void set_null(Column column) { set_value(column, bridge::Value::null()); }
  std::span<const bridge::HeapRow::Change> list() const { return {changes_.data(), count_}; }
  // Whether the columns hold all amounts: the executor says which does not.
  bool is_in_range() const { return is_in_range_; }

 private:
  void set_value(Column column, bridge::Value value) { changes_[count_++] = {column, value}; }

  std::array<bridge::HeapRow::Change, Table::k_columns.size()> changes_;  // each column at most once
  std::size_t count_ = 0;
  bool is_in_range_ = true;
};

// The values of a new row; what is not set is NULL.
template <typename Table> class NewRow {
 public:
  using Column = typename Table::Column;

  template <Column column> void set(const typename Row<Table>::template Form<column>& value) {
    if constexpr (std::same_as<typename Row<Table>::template Form<column>, core::Amount>)
      is_in_range_ = is_in_range_ && value.is_in_range();
    if constexpr (requires { bridge::Value::of(value); })
      values_[column] = bridge::Value::of(value);
    else
      values_[column] = bridge::Value::palloced(value);
  }
  template <Column column> void set_or_null(const std::optional<typename Row<Table>::template Form<column>>& value) {
    if (value) set<column>(*value);
  }
  // As it came, of the type of the column.
  template <Column column> void pass(bridge::Value value) { values_[column] = value; }
  std::span<const bridge::Value> values() const { return values_; }
  bool is_in_range() const { return is_in_range_; }

 private:
  std::array<bridge::Value, Table::k_columns.size()> values_;
  bool is_in_range_ = true;
};

template <bridge::Type type> bridge::Value passed(const std::optional<bridge::Unread<type>>& value) {
  return value ? bridge::Value::of(*value) : bridge::Value::null();
}

template <typename Column> constexpr std::uint64_t bits(std::initializer_list<Column> columns) {
  std::uint64_t set = 0;
  for (const Column column : columns) set |= std::uint64_t{1} << column;
  return set;
}

}  // namespace claude_gpt::store
