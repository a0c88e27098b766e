// Statements with types: constant data, of which the compiler knows what goes in and what comes out.
//
//   struct Place { core::Uuid conversation_id; std::optional<core::Uuid> parent_id; };
//   constinit Query<Place(core::Uuid)> k_find{"messages", R"sql(SELECT ... WHERE m.id OPERATOR(pg_catalog.=) $1)sql"};
//
// A parameter, or a column, that may be NULL is a std::optional. One column alone needs no struct; a statement whose
// result is not read returns void. All names in the text are qualified, operators too. A statement runs as the owner of
// the table it names.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "bridge/fields.hpp"
#include "bridge/table_types.hpp"
#include "bridge/value.hpp"

namespace claude_gpt::bridge {

enum class Planning {
  once,      // one plan for all values: where every lookup goes by a key
  by_values  // the server may plan anew for the values at hand: where arrays or NULLs decide how to go
};

// Rows that C++ does not read: they go on to the caller of a function that returns a table.
struct PassedOn {};

// SQL text that is joined with other by + when it is compiled: what several statements have in common.
template <std::size_t size> struct SqlText {
  char characters[size];  // the last is '\0'

  constexpr SqlText(const char (&literal)[size]) {
    for (std::size_t i = 0; i < size; ++i) characters[i] = literal[i];
  }
  constexpr operator const char*() const { return characters; }
};

template <std::size_t first, std::size_t second>
constexpr SqlText<first + second - 1> operator+(const SqlText<first>& before, const SqlText<second>& after) {
  char joined[first + second - 1] = {};
  for (std::size_t i = 0; i + 1 < first; ++i) joined[i] = before.characters[i];
  for (std::size_t i = 0; i < second; ++i) joined[first - 1 + i] = after.characters[i];
  return joined;
}
template <std::size_t first, std::size_t second>
constexpr SqlText<first + second - 1> operator+(const SqlText<first>& before, const char (&after)[second]) {
  return before + SqlText<second>{after};
}
template <std::size_t first, std::size_t second>
constexpr SqlText<first + second - 1> operator+(const char (&before)[first], const SqlText<second>& after) {
  return SqlText<first>{before} + after;
}

// What the types of a statement do not change.
class Statement {
 public:
  static constexpr int k_max_parameters = 40;
  static constexpr char k_any_table[] = "*";

 protected:
  constexpr Statement(const char* table, const char* sql, Planning planning, const char* used,
                      std::span<const Type> parameters, std::span<const Type> columns)
      : table_(table), sql_(sql), used_(used), planning_(planning), parameters_(parameters), columns_(columns) {}

 private:
  friend class Spi;
  // Of the table, once the columns of all tables that are used are of the types that the code takes them for.
  std::uint32_t owner();
  void prepare();

  const char* table_;
  const char* sql_;
  const char* used_;
  Planning planning_;
  std::span<const Type> parameters_;
  std::span<const Type> columns_;  // of the result; none where it is not read by column
  void* plan_ = nullptr;
  std::uint32_t owner_ = 0;          // of the table,
  std::uint64_t owner_seen_at_ = 0;  // when relcache::events() said so
  TableSet tables_ = 0;              // that are used
};

// The type without the std::optional around it.
template <typename T> struct Optional : std::false_type { using Value = T; };
template <typename T> struct Optional<std::optional<T>> : std::true_type { using Value = T; };

// The types that stand in the signature of a statement, as SQL types.
template <typename... T>
inline constexpr std::array<Type, sizeof...(T)> k_types = {k_type_of<typename Optional<T>::Value>...};

template <typename Row>
concept OneColumn = HasType<typename Optional<Row>::Value>;

template <typename Row> struct ColumnsOf {
  static_assert(std::is_aggregate_v<Row>, "a statement returns void, one column of an SQL type, or a struct of such");
  template <typename... T> static constexpr const auto& types_of(std::tuple<T...>*) { return k_types<T...>; }
  static constexpr std::span<const Type> types() { return types_of(static_cast<FieldTypes<Row>*>(nullptr)); }
};
template <OneColumn Row> struct ColumnsOf<Row> {
  static constexpr std::span<const Type> types() { return k_types<Row>; }
};
template <> struct ColumnsOf<void> {
  static constexpr std::span<const Type> types() { return {}; }
};
template <> struct ColumnsOf<PassedOn> : ColumnsOf<void> {};

// Whether the text names exactly the parameters $1 to $count.
constexpr bool names_each_parameter(std::string_view sql, std::size_t count) {
  constexpr auto k_is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::uint64_t named = 0;
  for (std::size_t i = 0; i + 1 < sql.size(); ++i) {
    if (sql[i] != '$' || !k_is_digit(sql[i + 1])) continue;
    std::size_t number = 0;
    while (i + 1 < sql.size() && k_is_digit(sql[i + 1]))
      number = number * 10 + static_cast<std::size_t>(sql[++i] - '0');
    if (number == 0 || number > count) return false;
    named |= std::uint64_t{1} << (number - 1);
  }
  return named == (std::uint64_t{1} << count) - 1;
}

// Not constexpr: a compiler that comes here says its name.
void text_and_signature_name_other_parameters();

template <typename Signature> class Query;

template <typename Row, typename... Parameters> class Query<Row(Parameters...)> : public Statement {
 public:
  static_assert(sizeof...(Parameters) <= k_max_parameters, "a statement has too many parameters");

  // `table`: whose owner's rights apply; nullptr for the caller's own. `used`: the tables that functions in the text
  // use, spelled as there, or k_any_table.
  consteval Query(const char* table, const char* sql, Planning planning = Planning::once, const char* used = "")
      : Statement(table, sql, planning, used, k_types<Parameters...>, ColumnsOf<Row>::types()) {
    if (!names_each_parameter(sql, sizeof...(Parameters))) text_and_signature_name_other_parameters();
  }
};

// One whose text and types are made of the description of a table. Its result is read by the places of columns.
class RowQuery : public Statement {
 public:
  consteval RowQuery(const char* table, const char* sql, std::span<const Type> parameters)
      : Statement(table, sql, Planning::once, "", parameters, {}) {
    if (parameters.size() > k_max_parameters || !names_each_parameter(sql, parameters.size()))
      text_and_signature_name_other_parameters();
  }
};

}  // namespace claude_gpt::bridge
