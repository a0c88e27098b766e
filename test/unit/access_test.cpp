#include "core/access.hpp"

#include <gtest/gtest.h>

namespace claude_gpt::core {
namespace {

TEST(ColumnRule, in_admits_the_listed_words_and_nothing_else) {
  const auto rule = parse_column_rule("role in user assistant system");
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->column, "role");
  EXPECT_TRUE(rule->admits("user"));
  EXPECT_TRUE(rule->admits("assistant"));
  EXPECT_TRUE(rule->admits("system"));
  for (const char* other : {"", " ", "use", "users", "User", "user assistant", "in", "role", "systemx"})
    EXPECT_FALSE(rule->admits(other)) << other;
}

TEST(ColumnRule, not_empty_refuses_the_empty_text_alone) {
  const auto rule = parse_column_rule("email not empty");
  ASSERT_TRUE(rule);
  EXPECT_TRUE(rule->not_empty);
  EXPECT_FALSE(rule->admits(""));
  EXPECT_TRUE(rule->admits(" "));
  EXPECT_TRUE(rule->admits("a@x"));
}

TEST(ColumnRule, qualities_combine_in_any_order) {
  for (const char* text : {"n maintained not negative", "n not negative maintained"}) {
    const auto rule = parse_column_rule(text);
    ASSERT_TRUE(rule) << text;
    EXPECT_TRUE(rule->is_maintained);
    EXPECT_TRUE(rule->not_negative);
    EXPECT_FALSE(rule->not_empty);
  }
  const auto listed = parse_column_rule("tier maintained in free pro");
  ASSERT_TRUE(listed);
  EXPECT_TRUE(listed->is_maintained);
  EXPECT_TRUE(listed->admits("pro"));
  EXPECT_FALSE(listed->admits("maintained"));
}

TEST(ColumnRule, without_a_text_rule_admits_any_text) {
  const auto rule = parse_column_rule("tier maintained");
  ASSERT_TRUE(rule);
  EXPECT_TRUE(rule->admits(""));
  EXPECT_FALSE(rule->not_negative);
}

TEST(ColumnRule, what_is_no_rule_is_refused) {
  for (const char* text : {"", "role", "role ", " role in a", "role in", "role in ", "role not", "role not a",
                           "role positive", "role not negative or so"})
    EXPECT_FALSE(parse_column_rule(text)) << '"' << text << '"';
}

}  // namespace
}  // namespace claude_gpt::core
