// An SQL value as the server passes it, and its plain C++ forms.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include "core/amount.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"

namespace claude_gpt::bridge {

using Datum = std::uintptr_t;

enum class Type : std::uint8_t {
  boolean,
  int4,
  int8,
  numeric,
  text,
  uuid,
  date,
  timestamptz,
  interval,
  jsonb,
  bytea,
  name,
  uuid_array,
  int8_array,
  numeric_array,
  text_array
};

// A value as the server has it, which is passed on, and read where it is needed.
template <Type type> struct Unread { Datum datum = 0; };
using UnreadJsonb = Unread<Type::jsonb>;
using UnreadNumeric = Unread<Type::numeric>;
using UnreadText = Unread<Type::text>;
using UnreadTextArray = Unread<Type::text_array>;

struct Value {
  Datum datum = 0;
  bool is_null = true;

  static Value null() { return {}; }
  // By value.
  static Value of(bool value) { return {static_cast<Datum>(value), false}; }
  static Value of(std::int32_t value) { return {static_cast<Datum>(static_cast<std::int64_t>(value)), false}; }
  static Value of(std::int64_t value) { return {static_cast<Datum>(value), false}; }
  static Value of(core::Date value) { return of(value.days); }
  static Value of(core::Instant value) { return of(value.microseconds); }
  template <Type type> static Value of(Unread<type> value) { return {value.datum, false}; }
  // Borrowed: valid as long as the uuid is.
  static Value borrowed(const core::Uuid& uuid) { return {reinterpret_cast<Datum>(uuid.bytes.data()), false}; }
  static Value borrowed(core::Uuid&&) = delete;
  // Copied into the current memory context.
  static Value palloced(const core::Uuid& uuid);
  static Value palloced(std::string_view text);
  static Value palloced(core::Amount amount);

  // A uuid is borrowed: valid as long as the optional is.
  template <typename T> static Value or_null(const std::optional<T>& optional) {
    if (!optional) return null();
    if constexpr (std::is_same_v<T, core::Uuid>)
      return borrowed(*optional);
    else
      return of(*optional);
  }
  template <typename T> static Value or_null(std::optional<T>&& optional) {
    static_assert(!std::is_same_v<T, core::Uuid>, "the uuid would be gone before its value is used");
    return optional ? of(*optional) : null();
  }
};

// The type whose values have this C++ form.
template <typename T> struct TypeOf {};
template <> struct TypeOf<bool> : std::integral_constant<Type, Type::boolean> {};
template <> struct TypeOf<std::int32_t> : std::integral_constant<Type, Type::int4> {};
template <> struct TypeOf<std::int64_t> : std::integral_constant<Type, Type::int8> {};
template <> struct TypeOf<core::Date> : std::integral_constant<Type, Type::date> {};
template <> struct TypeOf<core::Instant> : std::integral_constant<Type, Type::timestamptz> {};
template <> struct TypeOf<core::Duration> : std::integral_constant<Type, Type::interval> {};
template <> struct TypeOf<core::Uuid> : std::integral_constant<Type, Type::uuid> {};
template <> struct TypeOf<core::Amount> : std::integral_constant<Type, Type::numeric> {};
template <> struct TypeOf<std::string_view> : std::integral_constant<Type, Type::text> {};
template <Type type> struct TypeOf<Unread<type>> : std::integral_constant<Type, type> {};

template <typename T>
concept HasType = requires {
  TypeOf<T>::value;
};

template <HasType T> inline constexpr Type k_type_of = TypeOf<T>::value;

// A value that is known not to be null, and of that type, in its C++ form.
// Text points into memory of the current context; a numeric outside numeric(20,9) raises 22003, NaN 22023.
template <typename T> T value_as(Datum datum) {
  return T{datum};  // an Unread
}

template <> bool value_as<bool>(Datum datum);
template <> std::int32_t value_as<std::int32_t>(Datum datum);
template <> std::int64_t value_as<std::int64_t>(Datum datum);
template <> core::Date value_as<core::Date>(Datum datum);
template <> core::Instant value_as<core::Instant>(Datum datum);
// An interval: 22023 if it has months or years, whose length varies; a day is 24 hours.
template <> core::Duration value_as<core::Duration>(Datum datum);
template <> core::Uuid value_as<core::Uuid>(Datum datum);
template <> core::Amount value_as<core::Amount>(Datum datum);
template <> std::string_view value_as<std::string_view>(Datum datum);

// Characters of a text in the encoding of the database.
std::size_t character_count(std::string_view text);

}  // namespace claude_gpt::bridge
