// Statements with types (src/bridge/query.hpp). What does not compile is in must_not_compile/query.cpp.
#include "bridge/query.hpp"

#include <gtest/gtest.h>

#include <string_view>
#include <tuple>

#include "bridge/fields.hpp"

namespace claude_gpt::bridge {

namespace {

struct Row {
  std::string_view text;
  std::optional<core::Uuid> uuid;
  core::Amount amount;
  std::optional<std::string_view> optional_text;
  core::Uuid last;
};

TEST(query, names_each_parameter_once_at_least_and_no_other) {
  EXPECT_TRUE(names_each_parameter("SELECT 1", 0));
  EXPECT_TRUE(names_each_parameter("SELECT $2, $1, $2", 2));
  EXPECT_TRUE(names_each_parameter("DO $$ BEGIN END $$", 0));
  EXPECT_TRUE(names_each_parameter("$1$2$3$4$5$6$7$8$9$10$11", 11));
  EXPECT_FALSE(names_each_parameter("SELECT $2", 2));
  EXPECT_FALSE(names_each_parameter("SELECT $1, $2", 1));
  EXPECT_FALSE(names_each_parameter("SELECT $0", 0));
  EXPECT_FALSE(names_each_parameter("SELECT $1, $3", 3));
  EXPECT_FALSE(names_each_parameter("$1$2$3$4$5$6$7$8$9$1", 10));
}

TEST(query, pieces_of_text_are_joined_without_a_gap) {
  constexpr SqlText k_piece{"b"};
  constexpr auto k_joined = "a" + k_piece + k_piece + "c";
  EXPECT_EQ(std::string_view{k_joined}, "abbc");
  EXPECT_EQ(sizeof k_joined, 5U);
}

TEST(query, types_follow_from_the_signature) {
  const auto types = ColumnsOf<Row>::types();
  ASSERT_EQ(types.size(), 5U);
  EXPECT_EQ(types[0], Type::text);
  EXPECT_EQ(types[1], Type::uuid);
  EXPECT_EQ(types[2], Type::numeric);
  EXPECT_EQ(types[3], Type::text);
  EXPECT_EQ(types[4], Type::uuid);
  EXPECT_EQ(ColumnsOf<std::optional<bool>>::types()[0], Type::boolean);
  EXPECT_TRUE(ColumnsOf<void>::types().empty());
  EXPECT_TRUE(ColumnsOf<PassedOn>::types().empty());
}

TEST(fields, a_field_is_found_at_its_place) {
  static_assert(field_count<Row>() == 5);
  static_assert(place_of<Row>(&Row::text) == 0);
  static_assert(place_of<Row>(&Row::uuid) == 1);
  static_assert(place_of<Row>(&Row::optional_text) == 3);
  static_assert(place_of<Row>(&Row::last) == 4);
  Row row{};
  std::get<3>(fields_of(row)) = "there";
  EXPECT_EQ(row.optional_text, "there");
}

}  // namespace

}  // namespace claude_gpt::bridge
