// What is given for a parameter of a statement: of the parameter's type exactly, since a wider or narrower one is
// nearly always a mistake.
#pragma once

#include <concepts>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "bridge/array.hpp"
#include "bridge/query.hpp"
#include "bridge/value.hpp"

namespace claude_gpt::bridge {

template <> struct TypeOf<std::span<const core::Uuid>> : std::integral_constant<Type, Type::uuid_array> {};
template <> struct TypeOf<std::span<const std::int64_t>> : std::integral_constant<Type, Type::int8_array> {};
template <> struct TypeOf<std::span<const std::string_view>> : std::integral_constant<Type, Type::text_array> {};
template <> struct TypeOf<std::span<const std::optional<core::Amount>>>
    : std::integral_constant<Type, Type::numeric_array> {};

// A value of a type that is not NULL. A uuid is borrowed, the rest is passed by value or copied into the current memory
// context.
inline Value sql_value(const core::Uuid& uuid) { return Value::borrowed(uuid); }
inline Value sql_value(std::string_view text) { return Value::palloced(text); }
inline Value sql_value(core::Amount amount) { return Value::palloced(amount); }
template <typename T> Value sql_value(std::span<const T> elements) { return palloced_array(elements); }
template <typename T> Value sql_value(const T& value) { return Value::of(value); }

template <typename Given, typename Wanted> inline constexpr bool k_suits = std::same_as<Given, Wanted>;
template <typename Given> inline constexpr bool k_suits<Given, std::string_view> =
    std::convertible_to<const Given&, std::string_view> || std::same_as<Given, UnreadText>;
template <Type type> inline constexpr bool k_suits<Unread<type>, core::Amount> = type == Type::numeric;
template <typename Given, typename T> inline constexpr bool k_suits<Given, std::span<const T>> =
    std::convertible_to<const Given&, std::span<const T>> || std::same_as<Given, Unread<k_type_of<std::span<const T>>>>;
template <typename Given, typename Wanted> inline constexpr bool k_suits<Given, std::optional<Wanted>> =
    k_suits<typename Optional<Given>::Value, Wanted> || std::same_as<Given, std::nullopt_t>;

template <typename Wanted> class Argument {
 public:
  template <typename Given>
  requires k_suits<Given, Wanted> Argument(const Given& given) : value_(value_of(given)) {}

  Value value() const { return value_; }

 private:
  using Form = typename Optional<Wanted>::Value;

  template <typename Given> static Value value_of(const Given& given) {
    if constexpr (std::same_as<Given, std::nullopt_t>)
      return Value::null();
    else if constexpr (Optional<Given>::value)
      return given ? value_of(*given) : Value::null();
    else if constexpr (std::convertible_to<const Given&, Form>)
      return sql_value(static_cast<const Form&>(given));
    else
      return sql_value(given);
  }

  Value value_;
};

}  // namespace claude_gpt::bridge
