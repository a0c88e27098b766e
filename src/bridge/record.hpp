// Rows as results: one row of OUT parameters, or a set of rows; and a row as an argument.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

#include "bridge/entry.hpp"
#include "bridge/live_object.hpp"
#include "bridge/spi.hpp"
#include "bridge/value.hpp"

namespace claude_gpt::bridge {

// The OUT parameters of a function that returns one row: as its SQL declares them, in their order, from which
// tools/generate-signatures makes them.
class RowType {
 public:
  static constexpr int k_max_columns = 24;
  struct Column {
    const char* name;
    Type type;
  };

  explicit constexpr RowType(std::span<const Column> columns) : columns_(columns) {}

  // A row in the current memory context; as many values as columns.
  Value row(std::span<const Value> values);
  Value row(std::initializer_list<Value> values) { return row(std::span{values.begin(), values.size()}); }

 private:
  std::span<const Column> columns_;
  void* description_ = nullptr;  // built once for the backend
};

// The result of a function that RETURNS TABLE. Rows have the declared columns.
class ResultSet : LiveObject {
 public:
  explicit ResultSet(const Call& call);
  void add(std::initializer_list<Value> values);
  // Every row of a statement that returns the same columns; 42804 unless they have the declared types.
  void add(const Rows& rows);

 private:
  FunctionCallInfoBaseData* info_;
};

// A row given as an argument of type record.
class RecordArgument {
 public:
  explicit RecordArgument(Datum datum) : datum_(datum) {}
  // NULL where the column is NULL; nullopt where there is none, or one of another type.
  std::optional<Value> find(std::string_view column, Type type) const;

 private:
  Datum datum_;
};

}  // namespace claude_gpt::bridge
