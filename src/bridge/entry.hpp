// Every function that the server can call is declared by CLAUDE_GPT_FUNCTION: it exports the C symbol
// claude_gpt_<name>, puts the exception barrier around the body, and raises what the body threw.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/value.hpp"
#include "core/failure.hpp"

struct FunctionCallInfoBaseData;

namespace claude_gpt::bridge {

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

  // 22004 naming the parameter if the argument is null.
  template <typename T> T required(int index, const char* parameter) const {
    if (is_null(index)) throw_null(parameter);
    return value_as<T>(datum(index));
  }

  template <typename T> std::optional<T> find(int index) const {
    return is_null(index) ? std::nullopt : std::optional<T>{value_as<T>(datum(index))};
  }

 private:
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
