// SQL from C++: statements whose plans are prepared once per backend and kept.
//
//   static constinit Statement k_find{"users", "SELECT ... WHERE u.id OPERATOR(pg_catalog.=) $1", {Type::uuid}};
//   Spi spi;
//   const Rows rows = spi.execute(k_find, {Value::borrowed(id)}, Access::read_only);
//   ...                       // rows and what they point to live until finish()
//   spi.finish();
//
// All names in the text are qualified, operators too. A statement runs as the owner of the table it names.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "bridge/live_object.hpp"
#include "bridge/table_types.hpp"
#include "bridge/value.hpp"

struct SPITupleTable;

namespace claude_gpt::bridge {

enum class Access {
  read_write,  // a fresh snapshot for each statement
  read_only,   // the caller's snapshot: what the caller's own query sees
  latest,      // a fresh snapshot whatever the isolation level (in a parallel query: the caller's)
  latest_lock  // the same for a statement that locks rows; it sees what the running command has written so far
};

enum class Planning {
  once,      // one plan for all values: where every lookup goes by a key
  by_values  // the server may plan anew for the values at hand: where arrays or NULLs decide how to go
};

class Statement {
 public:
  static constexpr int k_max_parameters = 16;

  // `table`: whose owner's rights apply; nullptr for the caller's own. `used`: the tables that functions in the text
  // use, spelled as there, or k_any_table.
  static constexpr char k_any_table[] = "*";
  constexpr Statement(const char* table, const char* sql, std::initializer_list<Type> types = {},
                      Planning planning = Planning::once, const char* used = "")
      : table_(table), sql_(sql), used_(used), planning_(planning) {
    for (const Type type : types) types_[parameter_count_++] = type;
  }

 private:
  friend class Spi;
  // Of the table, once the columns of all tables that are used are of the types that the code takes them for.
  std::uint32_t owner();

  const char* table_;
  const char* sql_;
  const char* used_;
  Planning planning_;
  Type types_[k_max_parameters] = {};
  int parameter_count_ = 0;
  void* plan_ = nullptr;
  std::uint32_t owner_ = 0;          // of the table,
  std::uint64_t owner_seen_at_ = 0;  // when relcache::events() said so
  TableSet tables_ = 0;              // that are used
};

// The result of a statement.
class Rows {
 public:
  Rows(SPITupleTable* table, std::uint64_t count) : table_(table), count_(count) {}

  // Rows returned, or touched by a statement without RETURNING.
  std::uint64_t count() const { return count_; }
  bool empty() const { return count_ == 0; }

  // `column` counts from 1. 42804 naming it unless the result has that type there: a plan is made anew when a table has
  // changed, so each result is asked.
  // 55000 where there is no such row: what the owner of a table has put there may keep a statement from writing one.
  Value value(std::uint64_t row, int column, Type type) const;
  bool is_null(std::uint64_t row, int column) const;

  // 22004 naming the column where it is NULL: its owner may have dropped NOT NULL.
  Value require(std::uint64_t row, int column, Type type) const;
  template <typename T> T get(std::uint64_t row, int column) const {
    return value_as<T>(require(row, column, k_type_of<T>).datum);
  }
  template <typename T> std::optional<T> find(std::uint64_t row, int column) const {
    const Value found = value(row, column, k_type_of<T>);
    return found.is_null ? std::nullopt : std::optional<T>{value_as<T>(found.datum)};
  }

 private:
  friend class Spi;
  friend class ResultSet;
  void require_row(std::uint64_t row) const;

  SPITupleTable* table_;
  std::uint64_t count_;
};

class Spi : LiveObject {
 public:
  Spi();
  // As many arguments as the statement has parameters, each of the parameter's type.
  Rows execute(Statement& statement, std::initializer_list<Value> arguments, Access access);
  // Frees a result before finish(): each holds 8 kB at least, which a loop would pile up.
  void release(const Rows& rows);
  // Several statements in one text, not kept, as the current user. For migrations.
  void run_script(const char* sql);
  // Ends the session. An ERROR ends it by itself, so the destructor has nothing to do.
  void finish();
};

}  // namespace claude_gpt::bridge
