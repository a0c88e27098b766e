#include "core/amount.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace claude_gpt::core {
namespace {

using ParseResult = Amount::ParseResult;

std::string digits_of(Int128 units) {
  if (units == 0) return "0";
  std::string text;
  for (Int128 rest = units < 0 ? -units : units; rest != 0; rest /= 10)
    text.insert(text.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
  return (units < 0 ? "-" : "") + text;
}

Amount amount(std::string_view text) {
  Amount result;
  EXPECT_EQ(Amount::parse(text, result), ParseResult::ok) << text;
  return result;
}

// --- The slow model: numbers as strings of decimal digits, added as on paper ---

std::string add_digits(std::string a, std::string b) {
  const std::size_t width = std::max(a.size(), b.size()) + 1;
  a.insert(0, width - a.size(), '0');
  b.insert(0, width - b.size(), '0');
  int carry = 0;
  for (std::size_t i = width; i-- > 0;) {
    const int sum = (a[i] - '0') + (b[i] - '0') + carry;
    a[i] = static_cast<char>('0' + sum % 10);
    carry = sum / 10;
  }
  return a;
}

// The digits of the number times 10^9, rounded half away from zero.
std::string scaled_digits(const std::string& whole, const std::string& fraction) {
  std::string kept = fraction.substr(0, 9);
  kept.append(9 - kept.size(), '0');
  const std::string scaled = "0" + whole + kept;
  return fraction.size() > 9 && fraction[9] >= '5' ? add_digits(scaled, "1") : scaled;
}

// With nine places, no leading zeros and no negative zero.
std::string canonical_text(bool negative, const std::string& scaled) {
  std::string text = scaled;
  text.insert(0, text.size() < 10 ? 10 - text.size() : 0, '0');
  text.insert(text.size() - 9, ".");
  text.erase(0, std::min(text.find_first_not_of('0'), text.find('.') - 1));
  const bool zero = text.find_first_not_of("0.") == std::string::npos;
  return (negative && !zero ? "-" : "") + text;
}

std::optional<std::string> expected_text(bool negative, const std::string& whole, const std::string& fraction) {
  std::string scaled = scaled_digits(whole, fraction);
  // What is below zero stays below it.
  if (negative && scaled.find_first_not_of('0') == std::string::npos &&
      fraction.find_first_not_of('0') != std::string::npos)
    scaled.back() = '1';
  const std::string text = canonical_text(negative, scaled);
  const std::size_t whole_digits = text.find('.') - (text.front() == '-' ? 1 : 0);
  return whole_digits <= 11 ? std::optional{text} : std::nullopt;
}

// Digits with many nines, fives and zeros: there carries and roundings happen.
std::string random_digits(std::mt19937_64& random, std::size_t most) {
  constexpr std::string_view k_digits = "0123456789990005594";
  std::string digits(random() % (most + 1), '0');
  for (char& digit : digits) digit = k_digits[random() % k_digits.size()];
  return digits;
}

// --- Parsing and printing ---

TEST(amount, parse_and_print_agree_with_decimal_arithmetic) {
  std::mt19937_64 random{1};
  int out_of_range = 0;
  int rounded = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::string whole = random_digits(random, 14);
    const std::string fraction = random_digits(random, 14);
    if (whole.empty() && fraction.empty()) continue;
    const bool negative = random() % 2 == 0;
    const bool point = !fraction.empty() || random() % 2 == 0;
    const std::string text = (negative ? "-" : random() % 2 == 0 ? "+" : "") + whole + (point ? "." : "") + fraction;

    Amount result = Amount::from_units(77);
    const ParseResult answer = Amount::parse(text, result);
    const auto expected = expected_text(negative, whole, fraction);
    if (!expected) {
      ++out_of_range;
      ASSERT_EQ(answer, ParseResult::out_of_range) << text;
      ASSERT_EQ(result.units(), Int128{77}) << text;
      continue;
    }
    rounded += fraction.size() > 9 ? 1 : 0;
    ASSERT_EQ(answer, ParseResult::ok) << text;
    ASSERT_EQ(result.to_text(), *expected) << text;
  }
  EXPECT_GT(out_of_range, 1000);
  EXPECT_GT(rounded, 1000);
}

TEST(amount, printed_text_is_read_back_unchanged) {
  std::mt19937_64 random{2};
  for (int i = 0; i < 100'000; ++i) {
    const Int128 magnitude = (Int128{random()} << 64 | random()) >> (64 + random() % 64);
    if (magnitude >= Int128{100'000'000'000} * Amount::k_units_per_one) continue;
    const Amount original = Amount::from_units(random() % 2 == 0 ? magnitude : -magnitude);
    ASSERT_EQ(amount(original.to_text()), original) << original.to_text();
  }
}

TEST(amount, digits_past_the_ninth_are_rounded_half_away_from_zero) {
  EXPECT_EQ(amount("0.0000000004999").to_text(), "0.000000000");
  EXPECT_EQ(amount("0.0000000005").to_text(), "0.000000001");
  EXPECT_EQ(amount("-0.0000000005").to_text(), "-0.000000001");
  EXPECT_EQ(amount("0.00000000149999").to_text(), "0.000000001");
  EXPECT_EQ(amount("0.0000000025").to_text(), "0.000000003");
  EXPECT_EQ(amount("9.9999999995").to_text(), "10.000000000");
  EXPECT_EQ(amount("-9.9999999995").to_text(), "-10.000000000");
}

TEST(amount, the_range_is_below_a_hundred_billion_in_either_direction) {
  EXPECT_EQ(amount("99999999999.999999999").to_text(), "99999999999.999999999");
  EXPECT_EQ(amount("-99999999999.999999999").to_text(), "-99999999999.999999999");
  EXPECT_EQ(amount("99999999999.9999999994").to_text(), "99999999999.999999999");
  for (const std::string_view text :
       {"100000000000", "-100000000000", "100000000000.000000000", "99999999999.9999999995", "-99999999999.9999999995",
        "123456789012345678901234567890123456789012345678901234567890"}) {
    Amount result = Amount::from_units(5);
    EXPECT_EQ(Amount::parse(text, result), ParseResult::out_of_range) << text;
    EXPECT_EQ(result, Amount::from_units(5)) << text;
  }
}

TEST(amount, leading_zeros_and_long_fractions_cost_nothing_but_time) {
  EXPECT_EQ(amount(std::string(10'000, '0') + "7").to_text(), "7.000000000");
  EXPECT_EQ(amount("7." + std::string(10'000, '9')).to_text(), "8.000000000");
  Amount result;
  EXPECT_EQ(Amount::parse(std::string(10'000, '9'), result), ParseResult::out_of_range);
}

TEST(amount, either_side_of_the_point_may_be_empty) {
  EXPECT_EQ(amount(".5").to_text(), "0.500000000");
  EXPECT_EQ(amount("5.").to_text(), "5.000000000");
  EXPECT_EQ(amount("-.25").to_text(), "-0.250000000");
  EXPECT_EQ(amount("+3").to_text(), "3.000000000");
}

TEST(amount, zero_has_no_sign) {
  for (const std::string_view text : {"0", "-0", "+0", "-0.000", "-0.0000000000", "0.0000000004"}) {
    EXPECT_TRUE(amount(text).is_zero()) << text;
    EXPECT_FALSE(amount(text).is_negative()) << text;
    EXPECT_EQ(amount(text).to_text(), "0.000000000") << text;
  }
  EXPECT_TRUE(Amount{}.is_zero());
}

TEST(amount, what_is_below_zero_is_not_rounded_to_zero) {
  for (const std::string_view text : {"-0.0000000004", "-0.0000000000000000001"}) {
    EXPECT_TRUE(amount(text).is_negative()) << text;
    EXPECT_EQ(amount(text).to_text(), "-0.000000001") << text;
  }
}

TEST(amount, what_is_not_finite_is_told_from_what_is_no_number) {
  for (const std::string_view text : {"NaN", "Infinity", "-Infinity"}) {
    Amount result = Amount::from_units(5);
    EXPECT_EQ(Amount::parse(text, result), ParseResult::not_finite) << text;
    EXPECT_EQ(result, Amount::from_units(5)) << text;
  }
}

TEST(amount, anything_else_is_not_a_number) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv,         "+"sv,
                                      "-"sv,        "."sv,
                                      "+."sv,       "-."sv,
                                      " 1"sv,       "1 "sv,
                                      "1\n"sv,      "1\0"sv,
                                      "\0"sv,       "--1"sv,
                                      "+-1"sv,      "-+1"sv,
                                      "1-"sv,       "1..2"sv,
                                      "1.2.3"sv,    "1.-2"sv,
                                      "1.+2"sv,     "1e5"sv,
                                      "1E5"sv,      "0x1f"sv,
                                      "1,5"sv,      "1_000"sv,
                                      "nan"sv,      "inf"sv,
                                      "infinity"sv, "+Infinity"sv,
                                      "-NaN"sv,     "one"sv,
                                      "1a"sv,       "1.a"sv,
                                      "a1"sv,       "/"sv,
                                      ":"sv,        "1.5/"sv,
                                      "1.:"sv,      "1.0000000000x"sv,
                                      "\xD9\xA1"sv}) {
    Amount result = Amount::from_units(5);
    EXPECT_EQ(Amount::parse(text, result), ParseResult::not_a_number) << "\"" << text << "\"";
    EXPECT_EQ(result, Amount::from_units(5)) << text;
  }
}

// --- Arithmetic ---

TEST(amount, addition_agrees_with_decimal_arithmetic) {
  std::mt19937_64 random{3};
  for (int i = 0; i < 50'000; ++i) {
    const std::string a = "0" + random_digits(random, 19);
    const std::string b = "0" + random_digits(random, 19);
    const Amount left = amount(canonical_text(false, a));
    const Amount right = amount(canonical_text(false, b));
    const std::string expected = canonical_text(false, add_digits(a, b));
    ASSERT_EQ((left + right).to_text(), expected);
    Amount sum = left;
    sum += right;
    ASSERT_EQ(sum, left + right);
    ASSERT_EQ(sum - right, left);
    sum -= left;
    ASSERT_EQ(sum, right);
    ASSERT_EQ(left - right, Amount::from_units(-(right - left).units()));
  }
}

TEST(amount, sums_may_leave_the_range_and_come_back) {
  const Amount most = amount("99999999999.999999999");
  Amount sum;
  for (int i = 0; i < 1'000'000; ++i) sum += most;
  EXPECT_EQ(sum.to_text(), "99999999999999999.999000000");
  for (int i = 0; i < 1'000'000; ++i) sum -= most;
  EXPECT_TRUE(sum.is_zero());
}

TEST(amount, order_is_the_order_of_numbers) {
  const std::vector<std::string_view> ascending = {
      "-99999999999.999999999", "-10", "-9.5", "-0.000000001", "0", "0.000000001", "0.1", "9.5", "10"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(amount(ascending[i]) < amount(ascending[j]), i < j) << ascending[i] << " " << ascending[j];
      EXPECT_EQ(amount(ascending[i]) == amount(ascending[j]), i == j) << ascending[i] << " " << ascending[j];
    }
  }
  EXPECT_TRUE(amount("-0.000000001").is_negative());
  EXPECT_FALSE(amount("0.000000001").is_negative());
}

TEST(amount, one_is_a_billion_units) {
  EXPECT_EQ(digits_of(amount("1").units()), "1000000000");
  EXPECT_EQ(digits_of(amount("-1.5").units()), "-1500000000");
  EXPECT_EQ(Amount::from_units(Amount::k_units_per_one), amount("1"));
}

static_assert(noexcept(Amount::parse("", std::declval<Amount&>())), "parse is called where no exception may pass");

}  // namespace
}  // namespace claude_gpt::core
