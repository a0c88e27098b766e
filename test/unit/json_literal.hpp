// "..."_json: a JSON text as the core's tree. For tests: the text must be well formed, strings hold no escapes.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "core/json.hpp"

namespace claude_gpt::core {

class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : rest_(text) {}

  Json read_document() {
    Json document = read();
    EXPECT_EQ(next(), '\0') << "not JSON: " << rest_;
    return document;
  }

 private:
  Json read() {
    switch (next()) {
      case '{': return {read_object()};
      case '[': return {read_array()};
      case '"': return {read_string()};
      default: return read_word();
    }
  }

  Json::Object read_object() {
    Json::Object members;
    for (take(); next() != '}';) {
      if (next() == ',') take();
      next();
      std::string name = read_string();
      EXPECT_EQ(next(), ':') << "not JSON: " << rest_;
      take();
      members.emplace_back(std::move(name), read());
    }
    take();
    return members;
  }

  Json::Array read_array() {
    Json::Array elements;
    for (take(); next() != ']';) {
      if (next() == ',') take();
      elements.push_back(read());
    }
    take();
    return elements;
  }

  std::string read_string() {
    take();
    const std::string text{rest_.substr(0, rest_.find('"'))};
    rest_.remove_prefix(text.size() + 1);
    return text;
  }

  Json read_word() {
    const std::string word{rest_.substr(0, rest_.find_first_of(" ,]}"))};
    rest_.remove_prefix(word.size());
    if (word == "null") return {nullptr};
    if (word == "true" || word == "false") return {word == "true"};
    return {Json::Number{word}};
  }

  char next() {
    while (rest_.starts_with(' ') || rest_.starts_with('\n')) take();
    return rest_.empty() ? '\0' : rest_.front();
  }

  void take() { rest_.remove_prefix(1); }

  std::string_view rest_;
};

inline Json operator""_json(const char* text, std::size_t size) { return JsonReader{{text, size}}.read_document(); }

}  // namespace claude_gpt::core
