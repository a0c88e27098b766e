// SQL from C++: statements (bridge/query.hpp) whose plans are prepared once per backend and kept.
//
//   Spi spi;
//   const auto found = spi.execute(k_find, Access::read_only, message_id);
//   if (!found.empty()) ... found.first().parent_id
//   ...                       // rows and what they point to live until finish()
//   spi.finish();
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "bridge/argument.hpp"
#include "bridge/live_object.hpp"
#include "bridge/query.hpp"
#include "bridge/value.hpp"
#include "core/failure.hpp"

struct SPITupleTable;

namespace claude_gpt::bridge {

enum class Access {
  read_write,  // a fresh snapshot for each statement
  read_only,   // the caller's snapshot: what the caller's own query sees
  latest,      // a fresh snapshot whatever the isolation level (in a parallel query: the caller's)
  latest_lock  // the same for a statement that locks rows; it sees what the running command has written so far
};

// 55000: what the owner of a table has put there keeps a statement from a row.
core::Failure missing_row();

// The result of a statement, whatever its types.
class Rows {
 public:
  Rows(SPITupleTable* table, std::uint64_t count) : table_(table), count_(count) {}

  // Rows returned, or touched by a statement without RETURNING.
  std::uint64_t count() const { return count_; }
  bool empty() const { return count_ == 0; }

  // For rows that a table's description names, not a signature. `column` counts from 1. 42804 naming it unless the
  // result has that type there: a plan is made anew when a table has changed, so each result is asked. 55000 where
  // there is no such row: what the owner of a table has put there may keep a statement from writing one.
  Value value(std::uint64_t row, int column, Type type) const;

 protected:
  // 22004 naming the column where it is NULL: its owner may have dropped NOT NULL.
  Value require(std::uint64_t row, int column, Type type) const;

 private:
  friend class Spi;
  friend class ResultSet;
  void require_row(std::uint64_t row) const;

  SPITupleTable* table_;
  std::uint64_t count_;
};

// The result of a statement. A row that is not there is 55000, since what the owner of a table has put there may keep a
// statement from writing one; a NULL where the signature has no std::optional is 22004 naming the column.
template <typename Row> class Result : public Rows {
 public:
  explicit Result(const Rows& rows) : Rows(rows) {}

  Row row(std::uint64_t row) const {
    if constexpr (OneColumn<Row>) {
      return column<Row>(row, 1);
    } else {
      Row read{};
      const auto read_all = [&](auto&... fields) {
        int number = 0;
        ((fields = column<std::remove_reference_t<decltype(fields)>>(row, ++number)), ...);
      };
      std::apply(read_all, fields_of(read));
      return read;
    }
  }
  Row first() const { return row(0); }
  // nullopt if there is no row.
  std::optional<Row> find() const { return empty() ? std::nullopt : std::optional<Row>{row(0)}; }
  // One column alone: found.get<&Place::parent_id>().
  template <auto field> auto get(std::uint64_t row = 0) const {
    constexpr std::size_t k_place = place_of<Row>(field);
    return column<std::tuple_element_t<k_place, FieldTypes<Row>>>(row, static_cast<int>(k_place) + 1);
  }

  class Iterator {
   public:
    Iterator(const Result& rows, std::uint64_t row) : rows_(rows), row_(row) {}
    Row operator*() const { return rows_.row(row_); }
    Iterator& operator++() {
      ++row_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return row_ != other.row_; }

   private:
    const Result& rows_;
    std::uint64_t row_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, count()}; }

 private:
  template <typename T> T column(std::uint64_t row, int number) const {
    if constexpr (Optional<T>::value) {
      using Form = typename T::value_type;
      const Value found = value(row, number, k_type_of<Form>);
      return found.is_null ? std::nullopt : std::optional<Form>{value_as<Form>(found.datum)};
    } else {
      return value_as<T>(require(row, number, k_type_of<T>).datum);
    }
  }
};
template <> class Result<void> : public Rows {
 public:
  explicit Result(const Rows& rows) : Rows(rows) {}
};
template <> class Result<PassedOn> : public Rows {
 public:
  explicit Result(const Rows& rows) : Rows(rows) {}
};

// How many statements this session has run: others' code, which triggers and functions are, runs in these alone.
std::uint64_t statements_run();

class Spi : LiveObject {
 public:
  Spi();
  // As many arguments as the statement has parameters, each of the parameter's type: anything else does not compile.
  template <typename Row, typename... Parameters>
  Result<Row> execute(Query<Row(Parameters...)>& query, Access access,
                      const std::type_identity_t<Argument<Parameters>>&... arguments) {
    const Value values[] = {arguments.value()..., Value::null()};
    return Result<Row>{run(query, values, access)};
  }
  // A value for each parameter.
  Rows execute(RowQuery& query, Access access, std::span<const Value> arguments) {
    return run(query, arguments.data(), access);
  }
  // Frees a result before finish(): each holds 8 kB at least, which a loop would pile up.
  void release(const Rows& rows);
  // Several statements in one text, not kept, as the current user. For migrations.
  void run_script(const char* sql);
  // Ends the session. An ERROR ends it by itself, so the destructor has nothing to do.
  void finish();

 private:
  Rows run(Statement& statement, const Value* arguments, Access access);
};

}  // namespace claude_gpt::bridge
