#include "core/json.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

namespace claude_gpt::core {
namespace {

Json number(std::string text) { return {Json::Number{std::move(text)}}; }

// Which of the accessors answer: one letter each.
std::string kinds_of(const Json& json) {
  std::string kinds;
  if (json.as_boolean() != nullptr) kinds += 'b';
  if (json.as_number() != nullptr) kinds += 'n';
  if (json.as_string() != nullptr) kinds += 's';
  if (json.as_array() != nullptr) kinds += 'a';
  if (json.as_object() != nullptr) kinds += 'o';
  return kinds;
}

TEST(json, only_the_accessor_of_a_value_s_kind_answers) {
  EXPECT_EQ(kinds_of(Json{}), "");
  EXPECT_EQ(kinds_of(Json{nullptr}), "");
  EXPECT_EQ(kinds_of(Json{false}), "b");
  EXPECT_EQ(kinds_of(number("0")), "n");
  EXPECT_EQ(kinds_of(Json{std::string{}}), "s");
  EXPECT_EQ(kinds_of(Json{Json::Array{}}), "a");
  EXPECT_EQ(kinds_of(Json{Json::Object{}}), "o");
}

TEST(json, values_come_out_as_they_went_in) {
  EXPECT_TRUE(*Json{true}.as_boolean());
  EXPECT_FALSE(*Json{false}.as_boolean());
  EXPECT_EQ(number("1.50").as_number()->text, "1.50");
  EXPECT_EQ(*Json{std::string{"text"}}.as_string(), "text");
  const Json array{Json::Array{{true}, number("2")}};
  ASSERT_EQ(array.as_array()->size(), 2u);
  EXPECT_EQ(array.as_array()->back().as_integer(), 2);
}

TEST(json, an_object_keeps_the_document_s_order) {
  const Json object{Json::Object{{"b", {true}}, {"a", {false}}}};
  ASSERT_EQ(object.as_object()->size(), 2u);
  EXPECT_EQ(object.as_object()->front().first, "b");
  EXPECT_EQ(object.as_object()->back().first, "a");
}

TEST(json, every_bigint_is_an_integer) {
  std::mt19937_64 random{1};
  for (int i = 0; i < 10'000; ++i) {
    const auto value = static_cast<std::int64_t>(random()) >> (random() % 64);
    ASSERT_EQ(number(std::to_string(value)).as_integer(), value);
  }
  EXPECT_EQ(number("9223372036854775807").as_integer(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(number("-9223372036854775808").as_integer(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(number("0").as_integer(), 0);
}

TEST(json, a_number_that_no_bigint_holds_is_no_integer) {
  for (const char* text : {"9223372036854775808", "-9223372036854775809", "18446744073709551616", "1.5", "0.1", "-0.5",
                           "10000000000000000000000000000000000000000", "NaN", "Infinity", "", "-", "1 ", " 1", "1x"})
    EXPECT_EQ(number(text).as_integer(), std::nullopt) << text;
}

TEST(json, what_is_no_number_is_no_integer) {
  EXPECT_EQ(Json{}.as_integer(), std::nullopt);
  EXPECT_EQ(Json{true}.as_integer(), std::nullopt);
  EXPECT_EQ(Json{std::string{"1"}}.as_integer(), std::nullopt);
  EXPECT_EQ(Json{Json::Array{number("1")}}.as_integer(), std::nullopt);
  EXPECT_EQ((Json{Json::Object{{"a", number("1")}}}.as_integer()), std::nullopt);
}

}  // namespace
}  // namespace claude_gpt::core
