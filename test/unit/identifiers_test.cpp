#include "core/identifiers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>

namespace claude_gpt::core {
namespace {

constexpr std::uint64_t k_millisecond = 1'000'000;                   // in nanoseconds
constexpr std::uint64_t k_2026 = 1'795'341'600'000 * k_millisecond;  // 2026-11-22 10:00 UTC
constexpr std::int64_t k_from_1970_to_2000 = 946'684'800'000'000;    // in microseconds

// --- The slow model: fields read out of the text ---

std::string hex_digits(const Uuid& uuid) {
  std::string text = uuid.to_text();
  std::erase(text, '-');
  return text;
}

std::uint64_t milliseconds_of(const Uuid& uuid) { return std::stoull(hex_digits(uuid).substr(0, 12), nullptr, 16); }
std::uint64_t fraction_of(const Uuid& uuid) { return std::stoull(hex_digits(uuid).substr(13, 3), nullptr, 16); }
std::uint64_t tick_of(const Uuid& uuid) { return milliseconds_of(uuid) * 4096 + fraction_of(uuid); }

std::uint64_t tick_of_clock(std::uint64_t nanoseconds) {
  const auto exact = static_cast<unsigned __int128>(nanoseconds) * 4096 / k_millisecond;
  return static_cast<std::uint64_t>(exact);
}

bool is_version_7(const Uuid& uuid) {
  const std::string digits = hex_digits(uuid);
  return digits[12] == '7' && std::string("89ab").find(digits[16]) != std::string::npos;
}

Instant moment_of(std::uint64_t unix_nanoseconds) {
  return {static_cast<std::int64_t>(unix_nanoseconds / 1000) - k_from_1970_to_2000};
}

// --- Text ---

TEST(identifiers, text_is_lower_case_in_groups_of_8_4_4_4_12) {
  Uuid uuid;
  EXPECT_EQ(uuid.to_text(), "00000000-0000-0000-0000-000000000000");
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i) uuid.bytes[i] = static_cast<std::uint8_t>(i * 0x11);
  EXPECT_EQ(uuid.to_text(), "00112233-4455-6677-8899-aabbccddeeff");
  uuid.bytes.fill(0xFF);
  EXPECT_EQ(uuid.to_text(), "ffffffff-ffff-ffff-ffff-ffffffffffff");
}

TEST(identifiers, order_is_the_order_of_the_text) {
  std::mt19937_64 random{1};
  for (int i = 0; i < 10'000; ++i) {
    Uuid a;
    Uuid b;
    for (std::uint8_t& byte : a.bytes) byte = static_cast<std::uint8_t>(random());
    b = a;
    b.bytes[random() % 16] = static_cast<std::uint8_t>(random());
    ASSERT_EQ(a < b, a.to_text() < b.to_text());
    ASSERT_EQ(a == b, a.to_text() == b.to_text());
  }
}

// --- Version 7 ---

TEST(identifiers, the_example_of_the_rfc_comes_out) {
  // RFC 9562, A.6; the clock stands at the fraction that rand_a holds there, rounded up to a nanosecond.
  UuidV7Sequence sequence;
  const std::uint64_t clock = 0x017F22E279B0 * k_millisecond + (0xCC3 * k_millisecond + 4095) / 4096;
  EXPECT_EQ(sequence.next(clock, 0x18C4DC0C0C07398F).to_text(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

TEST(identifiers, version_and_variant_hold_whatever_the_clock_and_the_random_bits) {
  std::mt19937_64 random{2};
  UuidV7Sequence sequence;
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(is_version_7(sequence.next(random(), random())));
  EXPECT_TRUE(is_version_7(sequence.next(0, ~std::uint64_t{0})));
  EXPECT_TRUE(is_version_7(sequence.next(~std::uint64_t{0}, 0)));
}

TEST(identifiers, sixty_two_random_bits_end_in_the_id) {
  std::mt19937_64 random{3};
  UuidV7Sequence sequence;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t bits = random();
    const std::uint64_t low = std::stoull(hex_digits(sequence.next(k_2026, bits)).substr(16), nullptr, 16);
    ASSERT_EQ(low & ((std::uint64_t{1} << 62) - 1), bits & ((std::uint64_t{1} << 62) - 1));
  }
}

TEST(identifiers, an_id_carries_the_clock_in_4096ths_of_a_millisecond) {
  std::mt19937_64 random{4};
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t clock = k_2026 + random() % (1'000'000 * k_millisecond);
    UuidV7Sequence sequence;
    ASSERT_EQ(tick_of(sequence.next(clock, random())), tick_of_clock(clock)) << clock;
  }
}

// Random bits that fall, so that only the tick can make the ids grow.
void expect_growth(const std::vector<std::uint64_t>& clock) {
  UuidV7Sequence sequence;
  std::optional<Uuid> last;
  std::uint64_t tick = 0;
  std::uint64_t falling = ~std::uint64_t{0};
  for (const std::uint64_t now : clock) {
    const Uuid id = sequence.next(now, falling--);
    tick = std::max(tick_of_clock(now), last ? tick + 1 : 0);
    ASSERT_EQ(tick_of(id), tick);
    if (last) {
      ASSERT_LT(*last, id);
    }
    last = id;
  }
}

TEST(identifiers, ids_grow_while_the_clock_stands_still) { expect_growth(std::vector<std::uint64_t>(20'000, k_2026)); }

TEST(identifiers, ids_grow_while_the_clock_runs_backwards) {
  std::vector<std::uint64_t> clock;
  for (std::uint64_t i = 0; i < 20'000; ++i) clock.push_back(k_2026 - i * 12'345);
  expect_growth(clock);
}

TEST(identifiers, ids_grow_when_the_clock_jumps_back_an_hour_and_catches_up) {
  constexpr std::uint64_t k_hour = 3'600'000 * k_millisecond;
  expect_growth({k_2026, k_2026 + 1, k_2026 - k_hour, k_2026 - k_hour + 1, k_2026 - 1, k_2026,
                 k_2026 + 2 * k_millisecond, k_2026 + k_hour});
}

TEST(identifiers, ids_grow_under_a_clock_that_wanders) {
  std::mt19937_64 random{5};
  std::vector<std::uint64_t> clock{k_2026};
  for (int i = 0; i < 50'000; ++i) {
    const std::uint64_t step = random() % (random() % 2 == 0 ? 300 : 3 * k_millisecond);
    switch (random() % 3) {
      case 0: clock.push_back(clock.back()); break;
      case 1: clock.push_back(clock.back() - step); break;
      default: clock.push_back(clock.back() + step);
    }
  }
  expect_growth(clock);
}

TEST(identifiers, a_running_clock_is_caught_up_with_after_a_burst) {
  UuidV7Sequence sequence;
  for (int i = 0; i < 4096; ++i) sequence.next(k_2026, 0);
  EXPECT_EQ(milliseconds_of(sequence.next(k_2026, 0)), k_2026 / k_millisecond + 1);
  EXPECT_EQ(tick_of(sequence.next(k_2026 + 5 * k_millisecond, 0)), tick_of_clock(k_2026 + 5 * k_millisecond));
}

// --- The floor of a moment ---

TEST(identifiers, a_floor_is_the_smallest_id_of_its_millisecond) {
  EXPECT_EQ(uuid_v7_floor({-k_from_1970_to_2000})->to_text(), "00000000-0000-7000-8000-000000000000");
  EXPECT_EQ(uuid_v7_floor({-k_from_1970_to_2000 + 999})->to_text(), "00000000-0000-7000-8000-000000000000");
  EXPECT_EQ(uuid_v7_floor({-k_from_1970_to_2000 + 1000})->to_text(), "00000000-0001-7000-8000-000000000000");
  EXPECT_EQ(uuid_v7_floor({0})->to_text(), "00dc6acf-ac00-7000-8000-000000000000");
}

TEST(identifiers, no_id_made_at_a_moment_or_later_is_below_its_floor) {
  std::mt19937_64 random{6};
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t clock = random() % (2 * k_2026);
    const Uuid floor = uuid_v7_floor(moment_of(clock)).value();
    ASSERT_TRUE(is_version_7(floor));
    ASSERT_LE(floor, UuidV7Sequence{}.next(clock, 0));
    ASSERT_LE(floor, UuidV7Sequence{}.next(clock + random() % k_2026, random()));
    ASSERT_EQ(milliseconds_of(floor), clock / k_millisecond);
  }
}

TEST(identifiers, every_id_of_an_earlier_millisecond_is_below_the_floor) {
  std::mt19937_64 random{7};
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t clock = k_millisecond + random() % k_2026;
    const std::uint64_t earlier = clock / k_millisecond * k_millisecond - 1;
    ASSERT_LT(UuidV7Sequence{}.next(earlier, ~std::uint64_t{0}), uuid_v7_floor(moment_of(clock)).value());
  }
}

TEST(identifiers, floors_exist_from_1970_to_the_last_millisecond_of_48_bits) {
  EXPECT_FALSE(uuid_v7_floor({-k_from_1970_to_2000 - 1}));
  EXPECT_TRUE(uuid_v7_floor({-k_from_1970_to_2000}));
  constexpr std::int64_t k_last = ((std::int64_t{1} << 48) - 1) * 1000 + 999 - k_from_1970_to_2000;
  EXPECT_EQ(uuid_v7_floor({k_last})->to_text(), "ffffffff-ffff-7000-8000-000000000000");
  EXPECT_FALSE(uuid_v7_floor({k_last + 1}));
}

TEST(identifiers, there_is_no_floor_at_infinity_or_near_it) {
  EXPECT_FALSE(uuid_v7_floor(Instant::infinity()));
  EXPECT_FALSE(uuid_v7_floor(Instant::minus_infinity()));
  EXPECT_FALSE(uuid_v7_floor({Instant::infinity().microseconds - 1}));
  EXPECT_FALSE(uuid_v7_floor({Instant::minus_infinity().microseconds + 1}));
  EXPECT_FALSE(uuid_v7_floor({9'223'371'331'199'999'999}));  // 294276-12-31, the server's last moment
}

}  // namespace
}  // namespace claude_gpt::core
