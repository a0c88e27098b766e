// A JSON document as a tree, read by the bridge from jsonb. Numbers keep the server's decimal text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace claude_gpt::core {

struct Json {
  struct Number {
    std::string text;
  };
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;  // in the document's order, keys unique

  std::variant<std::nullptr_t, bool, Number, std::string, Array, Object> value = nullptr;

  const bool* as_boolean() const { return std::get_if<bool>(&value); }
  const Number* as_number() const { return std::get_if<Number>(&value); }
  const std::string* as_string() const { return std::get_if<std::string>(&value); }
  const Array* as_array() const { return std::get_if<Array>(&value); }
  const Object* as_object() const { return std::get_if<Object>(&value); }

  // A whole number, written without a point, that a bigint holds; nullopt for anything else.
  std::optional<std::int64_t> as_integer() const;
  // Zeros behind the point included: programs that compute in floating point write such.
  std::optional<std::int64_t> as_whole_number() const;
};

}  // namespace claude_gpt::core
