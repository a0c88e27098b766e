// Every function that the server can call is declared by CLAUDE_GPT_FUNCTION: it exports the C symbol
// claude_gpt_<name>, puts the exception barrier around the body, and raises what the body threw.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "bridge/value.hpp"
#include "core/failure.hpp"

struct FunctionCallInfoBaseData;

namespace claude_gpt::bridge {

// An argument as the function's SQL declares it: its place, its name, and the C++ form of its type, Value for a type
// that has none. Made of the SQL by tools/generate-signatures.
template <typename T> struct Parameter {
  int index;
  const char* name;
};

// The arguments of one call.
class Call {
 public:
  explicit Call(FunctionCallInfoBaseData* info) : info_(info) {}

  bool is_null(int index) const;
  Datum datum(int index) const;
  // As it came, NULL included.
  Value argument(int index) const { return {datum(index), is_null(index)}; }
  int argument_count() const;
  // The same text for the same value, whatever the session's settings and the scale of a numeric; nullopt for NULL.
  // Not for dates and times.
  std::optional<std::string> canonical_text(int index) const;
  FunctionCallInfoBaseData* info() const { return info_; }

  // 22004 naming the parameter if the argument is null. `Form`: another form of the parameter's type.
  template <typename Form = void, typename T> auto required(const Parameter<T>& parameter) const {
    if (is_null(parameter.index)) throw_null(parameter.name);
    return read<Form>(parameter);
  }

  template <typename Form = void, typename T> auto find(const Parameter<T>& parameter) const {
    using Found = std::optional<decltype(read<Form>(parameter))>;
    return is_null(parameter.index) ? Found{} : Found{read<Form>(parameter)};
  }

 private:
  template <typename Form, typename T> auto read(const Parameter<T>& parameter) const {
    if constexpr (!std::is_void_v<Form>) {
      static_assert(k_type_of<Form> == k_type_of<T>, "SQL declares another type");
      return value_as<Form>(datum(parameter.index));
    } else if constexpr (std::is_same_v<T, Value>) {
      return argument(parameter.index);
    } else {
      return value_as<T>(datum(parameter.index));
    }
  }
  [[noreturn]] static void throw_null(const char* parameter);
  FunctionCallInfoBaseData* info_;
};

// 22023 naming the parameter: a count or an amount that is below zero.
template <typename T> void require_not_negative(const T& value, const char* parameter) {
  if (value < T{})
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, std::string(parameter) + " must not be negative");
}

using Body = Value (*)(Call&);

// What SQL functions without a result return.
inline Value no_result() { return {0, false}; }

Datum enter(FunctionCallInfoBaseData* info, Body body);

// The same as the server's Pg_finfo_record.
struct FunctionRecord {
  int api_version;
};

}  // namespace claude_gpt::bridge

#define CLAUDE_GPT_FUNCTION(name)                                                                                \
  static ::claude_gpt::bridge::Value name(::claude_gpt::bridge::Call& call);                                     \
  extern "C" {                                                                                                   \
  [[gnu::visibility("default")]] const ::claude_gpt::bridge::FunctionRecord* pg_finfo_claude_gpt_##name() {      \
    static const ::claude_gpt::bridge::FunctionRecord k_record{1};                                               \
    return &k_record;                                                                                            \
  }                                                                                                              \
  [[gnu::visibility("default")]] ::claude_gpt::bridge::Datum claude_gpt_##name(FunctionCallInfoBaseData* info) { \
    return ::claude_gpt::bridge::enter(info, &name);                                                             \
  }                                                                                                              \
  }                                                                                                              \
  static ::claude_gpt::bridge::Value name([[maybe_unused]] ::claude_gpt::bridge::Call& call)
