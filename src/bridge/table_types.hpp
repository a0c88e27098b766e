// The types that the code takes columns of our tables for. They are ordinary tables of somebody else, who may give a
// column another type: before a statement runs on a table, its columns are compared with this list, once for each
// change of the table (relcache invalidation). A column that is not there is left for the statement to complain of.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>

#include "bridge/relcache.hpp"
#include "bridge/rights.hpp"
#include "bridge/value.hpp"
#include "core/failure.hpp"

namespace claude_gpt::bridge {

struct ColumnType {
  const char* column = nullptr;
  Type type = {};
};

class TableTypes {
 public:
  static constexpr int k_max_columns = 32;

  constexpr TableTypes(const char* table, std::initializer_list<ColumnType> columns) : TableTypes(table, {}, columns) {}
  // Of one that is described elsewhere, with columns that the description does without.
  constexpr TableTypes(const char* table, std::span<const ColumnType> described,
                       std::initializer_list<ColumnType> others = {})
      : table_(table), watch_(table) {
    for (const ColumnType& column : described) columns_[count_++] = column;
    for (const ColumnType& column : others) columns_[count_++] = column;
  }

  const char* table() const { return table_; }
  // 42804 naming table, column, expected and found type, unless the code can read and write the columns as they are.
  void require();
  // 55000 naming the stranger, unless the table, if it is there, and its partitions belong to the role.
  void require_owner(RoleId owner);

 private:
  const char* table_;
  ColumnType columns_[k_max_columns] = {};
  int count_ = 0;
  relcache::Watch watch_;
  std::uint64_t sound_at_ = 0;  // generation of the watch
};

// All tables of the library, at most as many as bits in TableSet. Called when it is loaded.
void declare_tables(std::span<TableTypes> tables);

using TableSet = std::uint32_t;
inline constexpr TableSet k_all_tables = ~TableSet{0};

// The declared tables that a text names, with a schema in front.
TableSet tables_named_in(const char* sql);
// One of these alone.
TableSet table_set_of(const char* table);
void require_types(TableSet tables);
// 22004: where the owner of a table has dropped NOT NULL.
core::Failure unexpected_null(const char* column);
// 55000 naming the stranger, unless the tables with their partitions and both data schemas belong to the owner of
// users: a trigger, policy or view of somebody else would run with his rights. Tables that a user has added do not
// count.
void require_one_owner(TableSet tables);

}  // namespace claude_gpt::bridge
