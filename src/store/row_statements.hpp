// The statements on single rows, made of the description of their table.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bridge/query.hpp"
#include "store/table.hpp"

namespace claude_gpt::store {

// A text that is put together when it is compiled. Too long a one does not compile.
class Text {
 public:
  constexpr Text() = default;
  constexpr Text& operator<<(std::string_view part) {
    for (const char c : part) characters_[size_++] = c;
    return *this;
  }
  constexpr Text& operator<<(std::size_t number) {
    if (number >= 10) *this << number / 10;
    characters_[size_++] = static_cast<char>('0' + number % 10);
    return *this;
  }
  constexpr std::size_t size() const { return size_; }
  constexpr char at(std::size_t place) const { return characters_[place]; }

 private:
  std::array<char, 2048> characters_{};
  std::size_t size_ = 0;
};

// What a statement keeps of it.
template <typename Make> consteval auto text_of(Make make) {
  constexpr std::size_t k_size = Make{}().size();
  const Text made = make();
  std::array<char, k_size + 1> text{};
  for (std::size_t i = 0; i < k_size; ++i) text[i] = made.at(i);
  return text;
}

template <typename Table> constexpr std::string_view name_of(std::size_t column) {
  return Table::k_columns[column].column;
}

// Adds the columns of a set, in their order, each as add_one(name, place) writes it.
template <typename Table, typename AddOne> constexpr void add_list(Text& text, std::uint64_t set, AddOne add_one) {
  std::size_t place = 0;
  for (std::size_t column = 0; column < Table::k_columns.size(); ++column) {
    if ((set >> column & 1) == 0) continue;
    if (place > 0) text << ", ";
    add_one(name_of<Table>(column), place++);
  }
}

constexpr std::size_t count_of(std::uint64_t set) {
  std::size_t count = 0;
  for (; set != 0; set &= set - 1) ++count;
  return count;
}

template <typename Table>
inline constexpr std::uint64_t k_all_columns = (std::uint64_t{1} << Table::k_columns.size()) - 1;

// $1 the key and, of the rows of one user, $2 the user.
template <typename Table, bool of_owner> constexpr void add_condition(Text& text) {
  text << " WHERE t." << name_of<Table>(Table::k_key) << " OPERATOR(pg_catalog.=) $1";
  if (of_owner) text << " AND t." << name_of<Table>(Table::k_owner) << " OPERATOR(pg_catalog.=) $2";
}

template <typename Table, bool of_owner> constexpr Text select(std::string_view lock = "") {
  Text text;
  text << "SELECT ";
  add_list<Table>(text, k_all_columns<Table>, [&](std::string_view name, std::size_t) { text << "t." << name; });
  text << " FROM claude_gpt_data." << Table::k_name << " AS t";
  add_condition<Table, of_owner>(text);
  return text << lock;
}

template <typename Table, bool of_owner> constexpr Text update() {
  Text text;
  text << "UPDATE claude_gpt_data." << Table::k_name << " AS t SET ";
  add_list<Table>(text, Table::k_updated, [&](std::string_view name, std::size_t place) {
    text << name << " = $" << place + (of_owner ? 3 : 2);
  });
  add_condition<Table, of_owner>(text);
  return text;
}

template <typename Table> constexpr Text insert(std::size_t rows) {
  const std::size_t columns = count_of(Table::k_inserted);
  Text text;
  text << "INSERT INTO claude_gpt_data." << Table::k_name << " (";
  add_list<Table>(text, Table::k_inserted, [&](std::string_view name, std::size_t) { text << name; });
  text << ") VALUES ";
  for (std::size_t row = 0; row < rows; ++row) {
    text << (row == 0 ? "(" : ", (");
    add_list<Table>(text, Table::k_inserted,
                    [&](std::string_view, std::size_t place) { text << "$" << row * columns + place + 1; });
    text << ")";
  }
  return text;
}

// uuids, then the types of the columns of the set.
template <typename Table, std::size_t uuids, std::uint64_t set> consteval auto types_after() {
  std::array<bridge::Type, uuids + count_of(set)> types{};
  std::size_t place = 0;
  while (place < uuids) types[place++] = bridge::Type::uuid;
  for (std::size_t column = 0; column < Table::k_columns.size(); ++column)
    if ((set >> column & 1) != 0) types[place++] = Table::k_columns[column].type;
  return types;
}

template <typename Table, bool of_owner> struct RowStatements {
  static constexpr std::size_t k_keys = of_owner ? 2 : 1;
  static constexpr auto k_key_types = types_after<Table, k_keys, 0>();
  static constexpr auto k_update_types = types_after<Table, k_keys, Table::k_updated>();

  static constexpr auto k_find_text = text_of([] { return select<Table, of_owner>(); });
  static constexpr auto k_keep_text = text_of([] { return select<Table, of_owner>(" FOR KEY SHARE"); });
  static constexpr auto k_lock_text = text_of([] { return select<Table, of_owner>(" FOR NO KEY UPDATE"); });
  static constexpr auto k_update_text = text_of([] { return store::update<Table, of_owner>(); });

  static inline constinit bridge::RowQuery find{Table::k_name, k_find_text.data(), k_key_types};
  static inline constinit bridge::RowQuery keep{Table::k_name, k_keep_text.data(), k_key_types};
  static inline constinit bridge::RowQuery lock{Table::k_name, k_lock_text.data(), k_key_types};
  static inline constinit bridge::RowQuery update{Table::k_name, k_update_text.data(), k_update_types};
};

template <typename Table, std::size_t rows> consteval auto types_of_rows() {
  constexpr auto k_of_one = types_after<Table, 0, Table::k_inserted>();
  std::array<bridge::Type, rows * k_of_one.size()> types{};
  for (std::size_t i = 0; i < types.size(); ++i) types[i] = k_of_one[i % k_of_one.size()];
  return types;
}

// Several rows in one statement: a trigger that counts them is fired once.
template <typename Table, std::size_t rows> struct NewRowStatement {
  static constexpr auto k_types = types_of_rows<Table, rows>();
  static constexpr auto k_text = text_of([] { return store::insert<Table>(rows); });
  static inline constinit bridge::RowQuery insert{Table::k_name, k_text.data(), k_types};
};

}  // namespace claude_gpt::store
