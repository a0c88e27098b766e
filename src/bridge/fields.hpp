// The fields of an aggregate, such as a struct that is a row: how many there are, each of them, and the place of one.
// C++20 does not tell; this asks how many values the aggregate can be made of, and binds names to them.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace claude_gpt::bridge {

inline constexpr std::size_t k_most_fields = 20;

// Stands for a value of any type where nothing is evaluated. The conversion is const, so that a std::optional is made
// by its own constructor, for which a conversion of the same rank would be ambiguous.
struct AnyField {
  template <typename T> operator T() const;
};

template <typename Row, std::size_t... field> consteval bool can_be_made_of(std::index_sequence<field...>) {
  return requires { Row{(static_cast<void>(field), AnyField{})...}; };
}

template <typename Row, std::size_t count = k_most_fields + 1> consteval std::size_t field_count() {
  static_assert(std::is_aggregate_v<Row>, "the fields of an aggregate are asked for");
  static_assert(!can_be_made_of<Row>(std::make_index_sequence<k_most_fields + 1>{}), "a row has too many fields");
  if constexpr (count == 0 || can_be_made_of<Row>(std::make_index_sequence<count>{}))
    return count;
  else
    return field_count<Row, count - 1>();
}

// References to the fields, in their order.
template <typename Row> constexpr auto fields_of(Row& row) {
  constexpr std::size_t k_count = field_count<std::remove_const_t<Row>>();
  static_assert(k_count > 0, "a row has no field");
  // clang-format off
  if constexpr (k_count == 1) { auto& [a] = row; return std::tie(a); }
  else if constexpr (k_count == 2) { auto& [a, b] = row; return std::tie(a, b); }
  else if constexpr (k_count == 3) { auto& [a, b, c] = row; return std::tie(a, b, c); }
  else if constexpr (k_count == 4) { auto& [a, b, c, d] = row; return std::tie(a, b, c, d); }
  else if constexpr (k_count == 5) { auto& [a, b, c, d, e] = row; return std::tie(a, b, c, d, e); }
  else if constexpr (k_count == 6) { auto& [a, b, c, d, e, f] = row; return std::tie(a, b, c, d, e, f); }
  else if constexpr (k_count == 7) { auto& [a, b, c, d, e, f, g] = row; return std::tie(a, b, c, d, e, f, g); }
  else if constexpr (k_count == 8) { auto& [a, b, c, d, e, f, g, h] = row; return std::tie(a, b, c, d, e, f, g, h); }
  else if constexpr (k_count == 9) { auto& [a, b, c, d, e, f, g, h, i] = row; return std::tie(a, b, c, d, e, f, g, h, i); }
  else if constexpr (k_count == 10) { auto& [a, b, c, d, e, f, g, h, i, j] = row; return std::tie(a, b, c, d, e, f, g, h, i, j); }
  else if constexpr (k_count == 11) { auto& [a, b, c, d, e, f, g, h, i, j, k] = row; return std::tie(a, b, c, d, e, f, g, h, i, j, k); }
  else if constexpr (k_count == 12) { auto& [a, b, c, d, e, f, g, h, i, j, k, l] = row; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l); }
  else if constexpr (k_count == 13) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = row; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m); }
  else if constexpr (k_count == 14) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = row; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n); }
  else if constexpr (k_count == 15) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = row; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o); }
  else if constexpr (k_count == 16) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = row; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p); }
  else if constexpr (k_count == 17) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q] = row; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q); }
  else if constexpr (k_count == 18) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r] = row; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r); }
  else if constexpr (k_count == 19) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s] = row; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s); }
  else { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = row; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t); }
  // clang-format on
}

// The types of the fields, as a std::tuple of them.
template <typename... T> std::tuple<T...> without_references(std::tuple<T&...>);
template <typename Row> using FieldTypes = decltype(without_references(fields_of(std::declval<Row&>())));

// The place of a field among them, from 0.
template <typename Row> consteval std::size_t place_of(auto Row::*field) {
  const Row row{};
  const auto find = [&](const auto&... each) {
    std::size_t place = 0;
    static_cast<void>(
        ((static_cast<const void*>(&each) == static_cast<const void*>(&(row.*field)) || (++place, false)) || ...));
    return place;
  };
  return std::apply(find, fields_of(row));
}

}  // namespace claude_gpt::bridge
