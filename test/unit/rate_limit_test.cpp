#include "core/rate_limit.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <latch>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace claude_gpt::core {
namespace {

constexpr std::int64_t k_second = 1'000'000'000;
constexpr std::int64_t k_minute = 60 * k_second;
constexpr std::int64_t k_day = 86'400 * k_second;
constexpr std::int64_t k_now = 848'656'800 * k_second;  // nanoseconds, in 2026

// --- The slow model: every used unit has the moment at which it comes back ---

class UsedUnits {
 public:
  UsedUnits(std::int64_t limit, std::int64_t interval) : limit_(limit), interval_(interval) {}

  std::int64_t left(std::int64_t now) {
    while (!back_at_.empty() && back_at_.front() <= now) back_at_.pop_front();
    return limit_ - static_cast<std::int64_t>(back_at_.size());
  }

  bool any(std::int64_t now) { return left(now) < limit_; }

  void take(std::int64_t now, std::int64_t units) {
    for (; units > 0; --units) back_at_.push_back((any(now) ? back_at_.back() : now) + interval_);
  }

  void forget() { back_at_.clear(); }

  // When all units are back; of units that were used.
  std::int64_t ends() const { return back_at_.empty() ? 0 : back_at_.back(); }

  // The state that is told is that of the last unit.
  RateLimit::Decision charge(std::int64_t now, std::int64_t cost) {
    RateLimit::Decision told;
    told.is_allowed = cost <= left(now);
    if (told.is_allowed) {
      take(now, cost);
      told.retry_after = 0;
    } else if (cost <= limit_) {
      told.retry_after = back_at_[static_cast<std::size_t>(cost - left(now) - 1)] - now;
    }
    told.remaining = left(now);
    told.state = any(now) ? back_at_.back() : now;
    told.reset_after = told.state - now;
    return told;
  }

 private:
  std::int64_t limit_;
  std::int64_t interval_;
  std::deque<std::int64_t> back_at_;
};

void expect_same(const RateLimit::Decision& decision, const RateLimit::Decision& expected) {
  ASSERT_EQ(decision.is_allowed, expected.is_allowed);
  ASSERT_EQ(decision.remaining, expected.remaining);
  ASSERT_EQ(decision.retry_after, expected.retry_after);
  ASSERT_EQ(decision.reset_after, expected.reset_after);
}

std::int64_t pick(std::mt19937_64& random, std::int64_t least, std::int64_t most) {
  return std::uniform_int_distribution<std::int64_t>{least, most}(random);
}

// Of any magnitude.
std::int64_t pick_size(std::mt19937_64& random, std::int64_t least, std::int64_t most) {
  return std::clamp(static_cast<std::int64_t>(random() >> (1 + random() % 63)) % (most + 1), least, most);
}

RateLimit limit_of(std::int64_t limit, std::int64_t period) { return RateLimit::of(limit, period).value(); }

// A limit with an interval of a few nanoseconds, where moments often coincide, or with a long one.
RateLimit random_small_limit(std::mt19937_64& random) {
  const std::int64_t limit = pick(random, 1, 12);
  return limit_of(limit, random() % 2 == 0 ? pick(random, limit, limit * 8)
                                           : pick_size(random, limit, RateLimit::k_longest_period));
}

RateLimit random_limit(std::mt19937_64& random) {
  const std::int64_t limit = pick_size(random, 1, RateLimit::k_most_units);
  return limit_of(limit, pick_size(random, limit, RateLimit::k_longest_period));
}

// --- Which limits there are ---

TEST(rate_limit, a_limit_is_from_one_to_a_billion_units_in_up_to_366_days) {
  constexpr std::int64_t k_most = RateLimit::k_most_units;
  constexpr std::int64_t k_longest = RateLimit::k_longest_period;
  EXPECT_EQ(k_most, 1'000'000'000);
  EXPECT_EQ(k_longest, 366 * k_day);
  for (const auto& [limit, period] :
       {std::pair{1L, 1L}, {1L, k_longest}, {k_most, k_most}, {k_most, k_longest}, {7L, 7L}, {60L, k_minute}})
    EXPECT_TRUE(RateLimit::of(limit, period)) << limit << ' ' << period;
  constexpr std::int64_t k_least = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t k_largest = std::numeric_limits<std::int64_t>::max();
  for (const auto& [limit, period] : {std::pair{0L, 1L},
                                      {-1L, 1L},
                                      {0L, 0L},
                                      {1L, 0L},
                                      {1L, -1L},
                                      {2L, 1L},
                                      {k_most, k_most - 1},
                                      {k_most + 1, k_longest},
                                      {1L, k_longest + 1},
                                      {k_largest, k_largest},
                                      {1L, k_largest},
                                      {k_least, k_minute},
                                      {1L, k_least},
                                      {k_least, k_least}})
    EXPECT_FALSE(RateLimit::of(limit, period)) << limit << ' ' << period;
}

TEST(rate_limit, the_interval_is_the_shortest_that_gives_no_more_than_the_limit_in_a_period) {
  std::mt19937_64 random{1};
  for (int i = 0; i < 100'000; ++i) {
    const std::int64_t units = pick_size(random, 1, RateLimit::k_most_units);
    const std::int64_t period = pick_size(random, units, RateLimit::k_longest_period);
    const RateLimit limit = limit_of(units, period);
    ASSERT_EQ(limit.limit(), units);
    ASSERT_GE(limit.interval() * units, period);
    ASSERT_LT((limit.interval() - 1) * units, period);
  }
  EXPECT_EQ(limit_of(60, k_minute).interval(), k_second);
  EXPECT_EQ(limit_of(7, k_minute).interval(), 8'571'428'572);
}

// --- Decisions ---

TEST(rate_limit, decisions_are_those_of_the_slow_model) {
  std::mt19937_64 random{2};
  int denied = 0;
  for (int round = 0; round < 2000; ++round) {
    const RateLimit limit = random_small_limit(random);
    UsedUnits model{limit.limit(), limit.interval()};
    std::int64_t state = 0;
    std::int64_t now = k_now;
    for (int call = 0; call < 60; ++call) {
      const std::int64_t cost = random() % 4 == 0 ? pick(random, 0, limit.limit() + 1) : pick(random, 0, 2);
      const RateLimit::Decision expected = model.charge(now, cost);
      const RateLimit::Decision decision = limit.decide(state, now, cost);
      expect_same(decision, expected);
      if (HasFatalFailure()) return;
      if (decision.is_allowed) {
        state = decision.state;
        ASSERT_EQ(std::max(state, now), expected.state);
      } else {
        ++denied;
      }
      switch (random() % 4) {
        case 0: break;
        case 1: now += expected.retry_after.value_or(0); break;
        case 2: now += pick(random, 0, limit.interval()); break;
        default: now += pick(random, 0, limit.interval() * (random() % 8 == 0 ? 20 : 3));
      }
    }
  }
  EXPECT_GT(denied, 10'000);
}

TEST(rate_limit, no_window_of_time_sees_more_than_the_limit_and_what_came_back) {
  std::mt19937_64 random{3};
  for (int round = 0; round < 300; ++round) {
    const RateLimit limit = random_small_limit(random);
    std::vector<std::pair<std::int64_t, std::int64_t>> admitted;  // moment, units
    std::int64_t state = 0;
    std::int64_t now = k_now;
    for (int call = 0; call < 200; ++call) {
      const std::int64_t cost = pick(random, 1, limit.limit());
      const RateLimit::Decision decision = limit.decide(state, now, cost);
      if (decision.is_allowed) {
        admitted.emplace_back(now, cost);
        state = decision.state;
      }
      now += random() % 2 == 0 ? decision.retry_after.value_or(0) : pick(random, 0, limit.interval());
    }
    ASSERT_GT(admitted.size(), 10u);
    for (std::size_t first = 0; first < admitted.size(); ++first) {
      std::int64_t units = 0;
      for (std::size_t last = first; last < admitted.size(); ++last) {
        units += admitted[last].second;
        ASSERT_LE(units, limit.limit() + (admitted[last].first - admitted[first].first) / limit.interval());
      }
    }
  }
}

TEST(rate_limit, a_caller_who_asks_all_the_time_gets_the_whole_limit_in_each_period) {
  const RateLimit limit = limit_of(6, 60);
  std::int64_t state = 0;
  std::int64_t admitted = 0;
  for (std::int64_t now = k_now; now < k_now + 60 * 10; ++now) {
    const RateLimit::Decision decision = limit.decide(state, now, 1);
    if (decision.is_allowed) state = decision.state, ++admitted;
  }
  EXPECT_EQ(admitted, 6 + 59);  // at once, and then one each tenth
}

TEST(rate_limit, a_key_of_the_past_has_all_its_units) {
  const RateLimit limit = limit_of(10, k_minute);
  for (const std::int64_t state : {std::int64_t{0}, std::int64_t{1}, k_now - 1, k_now}) {
    const RateLimit::Decision decision = limit.decide(state, k_now, 3);
    EXPECT_TRUE(decision.is_allowed);
    EXPECT_EQ(decision.remaining, 7);
    EXPECT_EQ(decision.retry_after, 0);
    EXPECT_EQ(decision.reset_after, 18 * k_second);
    EXPECT_EQ(decision.state, k_now + 18 * k_second);
  }
}

TEST(rate_limit, a_call_is_admitted_when_it_was_told_and_not_a_nanosecond_earlier) {
  std::mt19937_64 random{4};
  int denied = 0;
  for (int i = 0; i < 100'000; ++i) {
    const RateLimit limit = random_limit(random);
    const std::int64_t capacity = limit.limit() * limit.interval();
    const std::int64_t below = random() % 4 == 0   ? pick(random, -10 * k_second, 0)
                               : random() % 2 == 0 ? pick(random, 0, capacity)
                                                   : pick_size(random, 0, capacity);
    const std::int64_t state = k_now + capacity - below;
    const std::int64_t cost = pick_size(random, 1, limit.limit());
    const RateLimit::Decision decision = limit.decide(state, k_now, cost);
    if (decision.is_allowed) {
      ASSERT_EQ(decision.retry_after, 0);
      continue;
    }
    ++denied;
    ASSERT_TRUE(decision.retry_after);
    ASSERT_GT(*decision.retry_after, 0);
    ASSERT_TRUE(limit.decide(state, k_now + *decision.retry_after, cost).is_allowed);
    ASSERT_FALSE(limit.decide(state, k_now + *decision.retry_after - 1, cost).is_allowed);
  }
  EXPECT_GT(denied, 10'000);
}

TEST(rate_limit, what_remains_is_admitted_at_once_and_no_more) {
  std::mt19937_64 random{5};
  for (int i = 0; i < 100'000; ++i) {
    const RateLimit limit = random_limit(random);
    const std::int64_t state = k_now + pick(random, -limit.interval(), limit.limit() * limit.interval());
    const std::int64_t remaining = limit.decide(state, k_now, 0).remaining;
    ASSERT_GE(remaining, 0);
    ASSERT_LE(remaining, limit.limit());
    const RateLimit::Decision all = limit.decide(state, k_now, remaining);
    ASSERT_TRUE(all.is_allowed);
    ASSERT_EQ(all.remaining, 0);
    ASSERT_FALSE(limit.decide(state, k_now, remaining + 1).is_allowed);
  }
}

TEST(rate_limit, all_units_are_back_when_it_was_told_and_not_a_nanosecond_earlier) {
  std::mt19937_64 random{6};
  for (int i = 0; i < 100'000; ++i) {
    const RateLimit limit = random_limit(random);
    const RateLimit::Decision decision = limit.decide(k_now + pick_size(random, 0, limit.limit() * limit.interval()),
                                                      k_now, pick_size(random, 0, limit.limit() + 1));
    const RateLimit::Decision then = limit.decide(decision.state, k_now + decision.reset_after, 0);
    ASSERT_EQ(then.remaining, limit.limit());
    ASSERT_EQ(then.reset_after, 0);
    if (decision.reset_after == 0) continue;
    const RateLimit::Decision before = limit.decide(decision.state, k_now + decision.reset_after - 1, 0);
    ASSERT_EQ(before.remaining, limit.limit() - 1);
    ASSERT_EQ(before.reset_after, 1);
  }
}

TEST(rate_limit, a_cost_of_zero_looks_and_counts_nothing) {
  const RateLimit limit = limit_of(10, k_minute);
  const std::int64_t full = k_now + k_minute;
  for (const std::int64_t state : {std::int64_t{0}, k_now, k_now + 1, k_now + 30 * k_second, full}) {
    const RateLimit::Decision decision = limit.decide(state, k_now, 0);
    EXPECT_TRUE(decision.is_allowed);
    EXPECT_EQ(decision.retry_after, 0);
    EXPECT_EQ(decision.state, std::max(state, k_now));
    EXPECT_EQ(decision.reset_after, decision.state - k_now);
  }
  EXPECT_EQ(limit.decide(full, k_now, 0).remaining, 0);
  EXPECT_EQ(limit.decide(k_now + 1, k_now, 0).remaining, 9);
}

TEST(rate_limit, a_cost_above_the_limit_is_never_admitted) {
  std::mt19937_64 random{7};
  for (int i = 0; i < 10'000; ++i) {
    const RateLimit limit = random_limit(random);
    const std::int64_t state = k_now + pick(random, 0, limit.limit() * limit.interval());
    const std::int64_t cost =
        random() % 2 == 0
            ? limit.limit() + 1
            : limit.limit() + pick_size(random, 1, std::numeric_limits<std::int64_t>::max() - limit.limit());
    const RateLimit::Decision decision = limit.decide(state, k_now, cost);
    ASSERT_FALSE(decision.is_allowed);
    ASSERT_EQ(decision.retry_after, std::nullopt);
    ASSERT_EQ(decision.remaining, limit.decide(state, k_now, 0).remaining);
    ASSERT_EQ(decision.state, state);
  }
}

TEST(rate_limit, a_denial_leaves_the_key_as_it_was) {
  std::mt19937_64 random{8};
  int denied = 0;
  for (int i = 0; i < 50'000; ++i) {
    const RateLimit limit = random_limit(random);
    const std::int64_t state = k_now + pick_size(random, 0, limit.limit() * limit.interval());
    const RateLimit::Decision decision =
        limit.decide(state, k_now, pick_size(random, 1, limit.limit()) + limit.limit() / 2);
    if (decision.is_allowed) continue;
    ++denied;
    ASSERT_EQ(decision.state, state);
    ASSERT_EQ(decision.reset_after, state - k_now);
  }
  EXPECT_GT(denied, 10'000);
}

// --- A clock that goes back ---

TEST(rate_limit, a_clock_that_goes_back_is_no_way_to_more_units) {
  std::mt19937_64 random{9};
  for (int round = 0; round < 1000; ++round) {
    const RateLimit limit = random_small_limit(random);
    std::int64_t state = 0;
    std::int64_t now = k_now;
    std::int64_t gone_forward = 0;
    std::int64_t admitted = 0;
    for (int call = 0; call < 100; ++call) {
      const std::int64_t cost = pick(random, 0, limit.limit());
      const RateLimit::Decision decision = limit.decide(state, now, cost);
      if (decision.is_allowed) state = decision.state, admitted += cost;
      ASSERT_LE(admitted, limit.limit() + gone_forward / limit.interval());
      const std::int64_t step = pick(random, -3 * limit.interval(), 3 * limit.interval());
      now += step;
      gone_forward += std::max<std::int64_t>(step, 0);
    }
  }
}

TEST(rate_limit, a_state_further_ahead_than_the_limit_reaches_denies_until_it_is_reached) {
  const RateLimit limit = limit_of(10, k_minute);
  for (const std::int64_t ahead : {std::int64_t{0}, std::int64_t{1}, k_second, k_day}) {
    const std::int64_t state = limit.latest_state(k_now) + ahead;
    EXPECT_EQ(limit.decide(state, k_now, 0).remaining, 0);
    const RateLimit::Decision decision = limit.decide(state, k_now, 3);
    EXPECT_FALSE(decision.is_allowed);
    EXPECT_EQ(decision.remaining, 0);
    EXPECT_EQ(decision.retry_after, 18 * k_second + ahead);
    EXPECT_EQ(decision.reset_after, k_minute + ahead);
  }
}

TEST(rate_limit, the_latest_state_is_that_of_a_limit_used_up_at_once) {
  std::mt19937_64 random{13};
  for (int i = 0; i < 1000; ++i) {
    const RateLimit limit = random_limit(random);
    EXPECT_EQ(limit.latest_state(k_now), limit.decide(0, k_now, limit.limit()).state);
  }
}

// --- SipHash ---

// Of the inputs "", 00, 00 01, 00 01 02 and so on under the key 00 01 .. 0f, as its authors publish them.
constexpr std::array<std::uint64_t, 64> k_sip_vectors = {
    0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d, 0xcf2794e0277187b7,
    0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462, 0x9e0082df0ba9e4b0,
    0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7, 0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee,
    0xa129ca6149be45e5, 0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
    0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8, 0xb8ad50c6f649af94,
    0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad, 0xde4daaaca71dc9a5, 0xa6a2506687956571,
    0xad87a3535c49ef28, 0x32d892fad841c342, 0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238,
    0x15e034d40fa197ae, 0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
    0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95, 0xf935451de4f21df2,
    0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb, 0xe612a3cb9ecba951, 0xc766e62cfcadaf96,
    0xee64435a9752fe72, 0xa192d576b245165a, 0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea,
    0x245731c13ca42499, 0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
    0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572};

constexpr HashSecret k_secret{0x0706050403020100, 0x0f0e0d0c0b0a0908};

TEST(keyed_hash, agrees_with_the_published_vectors) {
  std::string input;
  for (std::size_t length = 0; length < k_sip_vectors.size(); ++length) {
    EXPECT_EQ(keyed_hash(k_secret, input), k_sip_vectors[length]) << length;
    input.push_back(static_cast<char>(length));
  }
  EXPECT_EQ(k_sip_vectors[15], 0xa129ca6149be45e5);
}

TEST(keyed_hash, input_may_lie_at_any_address) {
  std::string input;
  for (int i = 0; i < 80; ++i) input.push_back(static_cast<char>(i * 37));
  for (std::size_t length = 0; length <= 64; ++length) {
    for (std::size_t offset = 0; offset < 16; ++offset) {
      const std::string_view part = std::string_view{input}.substr(offset, length);
      ASSERT_EQ(keyed_hash(k_secret, part), keyed_hash(k_secret, std::string(part)));
    }
  }
}

TEST(keyed_hash, each_half_of_the_secret_and_each_byte_matter) {
  std::set<std::uint64_t> hashes;
  for (int bit = 0; bit < 64; ++bit) {
    hashes.insert(keyed_hash({k_secret.first ^ (std::uint64_t{1} << bit), k_secret.second}, "key"));
    hashes.insert(keyed_hash({k_secret.first, k_secret.second ^ (std::uint64_t{1} << bit)}, "key"));
  }
  std::string input(21, '\0');
  for (char& byte : input) {
    byte = 1;
    hashes.insert(keyed_hash(k_secret, input));
    byte = 0;
  }
  for (std::size_t zeros = 0; zeros < 20; ++zeros) hashes.insert(keyed_hash(k_secret, std::string(zeros, '\0')));
  EXPECT_EQ(hashes.size(), 128u + 21u + 20u);
}

// --- The table ---

using Decision = RateLimit::Decision;

constexpr std::int64_t k_slots = RateLimitTable::k_slots_of_a_bucket;
constexpr std::int64_t k_long_slots = RateLimitTable::k_long_slots_of_a_bucket;

// Zeroed memory of whole buckets, and what is over.
class Memory {
 public:
  explicit Memory(std::size_t buckets, std::size_t over = 0)
      : lines_(buckets + 1), bytes_(buckets * sizeof(Line) + over) {}

  RateLimitTable table() { return {lines_.data(), bytes_}; }
  bool is_untouched_behind_the_buckets() const {
    return std::ranges::all_of(lines_.back().bytes, [](std::byte byte) { return byte == std::byte{0}; });
  }

 private:
  struct alignas(RateLimitTable::k_bytes_of_a_bucket) Line {
    std::array<std::byte, RateLimitTable::k_bytes_of_a_bucket> bytes{};
  };
  std::vector<Line> lines_;
  std::size_t bytes_;
};

constexpr std::uint32_t k_database = 16'384;

RateLimitKey key_of(std::int64_t key, std::uint32_t database = k_database) {
  return {keyed_hash(k_secret, std::to_string(database) + ' ' + std::to_string(key)), database};
}

bool admits(RateLimitTable& table, const RateLimitKey& key, const RateLimit& limit, std::int64_t now,
            std::int64_t cost = 1) {
  const auto decision = table.charge(key, limit, now, cost);
  return decision && decision->is_allowed;
}

bool admits(RateLimitTable& table, std::int64_t key, const RateLimit& limit, std::int64_t now, std::int64_t cost = 1) {
  return admits(table, key_of(key), limit, now, cost);
}

RateLimitTable::Share use_of(const RateLimitTable& table, std::int64_t now, std::uint32_t database = k_database) {
  return table.use(database, now).all;
}

TEST(rate_limit_table, a_key_is_charged_until_its_units_are_used_up_and_others_are_not) {
  Memory memory{8};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(3, k_minute);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(admits(table, 1, limit, k_now));
  EXPECT_FALSE(admits(table, 1, limit, k_now));
  EXPECT_TRUE(admits(table, 2, limit, k_now, 3));
  EXPECT_FALSE(admits(table, 1, limit, k_now + 20 * k_second - 1));
  EXPECT_TRUE(admits(table, 1, limit, k_now + 20 * k_second));
}

TEST(rate_limit_table, all_who_see_the_memory_see_the_same_keys) {
  Memory memory{8};
  RateLimitTable here = memory.table();
  RateLimitTable there = memory.table();
  const RateLimit limit = limit_of(2, k_minute);
  EXPECT_TRUE(admits(here, 1, limit, k_now));
  EXPECT_TRUE(admits(there, 1, limit, k_now));
  EXPECT_FALSE(admits(here, 1, limit, k_now));
  EXPECT_TRUE(there.forget(key_of(1), k_now));
  EXPECT_TRUE(admits(here, 1, limit, k_now));
}

TEST(rate_limit_table, any_hash_in_any_database_is_a_key) {
  for (const auto& key : {RateLimitKey{0, 0}, RateLimitKey{1, 0}, RateLimitKey{std::uint64_t{1} << 63, 1 << 20},
                          RateLimitKey{~std::uint64_t{0}, ~std::uint32_t{0}}}) {
    Memory memory{5};
    RateLimitTable table = memory.table();
    const RateLimit limit = limit_of(2, k_minute);
    EXPECT_TRUE(table.charge(key, limit, k_now, 2)->is_allowed);
    EXPECT_FALSE(table.charge(key, limit, k_now, 1)->is_allowed);
    EXPECT_EQ(use_of(table, k_now).slots_in_use, 1);
    EXPECT_TRUE(table.forget(key, k_now));
    EXPECT_FALSE(table.forget(key, k_now));
    EXPECT_TRUE(table.charge(key, limit, k_now, 2)->is_allowed);
  }
}

TEST(rate_limit_table, only_whole_buckets_are_used) {
  for (const std::size_t over : {std::size_t{0}, std::size_t{1}, RateLimitTable::k_bytes_of_a_bucket - 1}) {
    Memory memory{2, over};
    RateLimitTable table = memory.table();
    const RateLimit limit = limit_of(1, k_minute);
    EXPECT_EQ(use_of(table, k_now).slots, 2 * k_slots);
    for (int key = 0; key < 100; ++key) table.charge(key_of(key), limit, k_now, 1);
    EXPECT_EQ(use_of(table, k_now).slots_in_use, 2 * k_slots);
    EXPECT_TRUE(memory.is_untouched_behind_the_buckets()) << over;
  }
}

TEST(rate_limit_table, a_new_table_is_empty) {
  Memory memory{100};
  const RateLimitTable::Share use = use_of(memory.table(), k_now);
  EXPECT_EQ(use.slots, 100 * k_slots);
  EXPECT_EQ(use.slots_in_use, 0);
  EXPECT_EQ(use.denied_because_full, 0);
}

TEST(rate_limit_table, looks_and_denials_take_no_slot) {
  Memory memory{1};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(5, k_minute);
  for (int key = 0; key < 20; ++key) {
    const auto look = table.charge(key_of(key), limit, k_now, 0);
    ASSERT_TRUE(look);
    EXPECT_TRUE(look->is_allowed);
    EXPECT_EQ(look->remaining, 5);
    const auto denial = table.charge(key_of(key), limit, k_now, 6);
    ASSERT_TRUE(denial);
    EXPECT_FALSE(denial->is_allowed);
    EXPECT_EQ(denial->retry_after, std::nullopt);
  }
  const RateLimitTable::Share use = use_of(table, k_now);
  EXPECT_EQ(use.slots_in_use, 0);
  EXPECT_EQ(use.denied_because_full, 0);
}

TEST(rate_limit_table, a_full_table_charges_nothing_and_counts_whom_it_turned_away) {
  Memory memory{1};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(2, k_minute);
  for (int key = 0; key < k_slots; ++key) ASSERT_TRUE(admits(table, key, limit, k_now));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(table.charge(key_of(k_slots + i), limit, k_now, 1).has_value());
  EXPECT_EQ(use_of(table, k_now).denied_because_full, 5);
  EXPECT_EQ(use_of(table, k_now).slots_in_use, k_slots);
  for (int key = 0; key < k_slots; ++key) {
    EXPECT_TRUE(admits(table, key, limit, k_now)) << "whoever has a slot is served";
    EXPECT_FALSE(admits(table, key, limit, k_now));
  }
  EXPECT_EQ(use_of(table, k_now).denied_because_full, 5);
}

TEST(rate_limit_table, whoever_needs_no_slot_is_answered_where_all_are_taken) {
  Memory memory{1};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(2, k_minute);
  for (int key = 0; key < k_slots; ++key) ASSERT_TRUE(admits(table, key, limit, k_now));
  const auto look = table.charge(key_of(k_slots), limit, k_now, 0);
  ASSERT_TRUE(look);
  EXPECT_TRUE(look->is_allowed);
  EXPECT_EQ(look->remaining, 2);
  const auto denial = table.charge(key_of(k_slots), limit, k_now, 3);
  ASSERT_TRUE(denial);
  EXPECT_FALSE(denial->is_allowed);
  EXPECT_EQ(use_of(table, k_now).denied_because_full, 0);
}

TEST(rate_limit_table, a_slot_whose_time_has_passed_goes_to_another_key) {
  Memory memory{1};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(1, k_minute);
  for (int key = 0; key < k_slots; ++key) ASSERT_TRUE(admits(table, key, limit, k_now + key));
  const std::int64_t passed = k_now + k_minute;  // for the first of them
  EXPECT_FALSE(table.charge(key_of(k_slots), limit, passed - 1, 1).has_value());
  EXPECT_EQ(use_of(table, passed - 1).slots_in_use, k_slots);
  EXPECT_EQ(use_of(table, passed).slots_in_use, k_slots - 1);
  EXPECT_TRUE(admits(table, k_slots, limit, passed));
  EXPECT_EQ(use_of(table, passed).slots_in_use, k_slots);
  for (std::int64_t key = 1; key <= k_slots; ++key) EXPECT_FALSE(admits(table, key, limit, passed)) << key;
  EXPECT_FALSE(table.charge(key_of(0), limit, passed, 1).has_value()) << "its slot is gone";
}

TEST(rate_limit_table, a_forgotten_key_has_all_its_units_and_gives_its_slot_away) {
  Memory memory{1};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(2, k_minute);
  EXPECT_FALSE(table.forget(key_of(0), k_now)) << "it never used any";
  for (int key = 0; key < k_slots; ++key) ASSERT_TRUE(admits(table, key, limit, k_now, 2));
  EXPECT_FALSE(table.forget(key_of(k_slots), k_now)) << "another key's units are not its own";
  EXPECT_TRUE(table.forget(key_of(1), k_now));
  EXPECT_FALSE(table.forget(key_of(1), k_now));
  EXPECT_EQ(use_of(table, k_now).slots_in_use, k_slots - 1);
  EXPECT_TRUE(admits(table, k_slots, limit, k_now, 2));
  EXPECT_FALSE(admits(table, 0, limit, k_now));
  EXPECT_FALSE(admits(table, 2, limit, k_now));
  EXPECT_TRUE(table.forget(key_of(0), k_now + k_minute - 1));
  EXPECT_FALSE(table.forget(key_of(2), k_now + k_minute)) << "all had come back";
}

// With a single bucket to choose, one key in forty would find none.
TEST(rate_limit_table, a_table_that_is_full_to_three_fifths_has_a_place_for_every_key) {
  constexpr std::int64_t k_buckets = 4000;
  Memory memory{k_buckets};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(1, k_minute);
  for (std::int64_t key = 0; key < k_buckets * k_slots * 3 / 5; ++key)
    ASSERT_TRUE(admits(table, key, limit, k_now)) << key;
}

TEST(rate_limit_table, a_clock_that_was_set_back_costs_a_key_no_more_than_a_period) {
  for (const std::int64_t back : {3600 * k_second, k_day, 20 * 365 * k_day}) {
    Memory memory{4};
    RateLimitTable table = memory.table();
    const RateLimit limit = limit_of(10, k_minute);
    ASSERT_TRUE(admits(table, 1, limit, k_now));
    std::int64_t now = k_now - back;
    const auto denial = table.charge(key_of(1), limit, now, 1);
    ASSERT_TRUE(denial);
    ASSERT_LE(denial->retry_after, k_minute);
    ASSERT_LE(denial->reset_after, k_minute);
    now += *denial->retry_after;
    EXPECT_TRUE(admits(table, 1, limit, now));
    EXPECT_TRUE(admits(table, 1, limit, now + k_minute, 10)) << "all units are back after a period";
  }
}

TEST(rate_limit_table, a_caller_whose_clock_is_a_little_behind_gives_nothing_back) {
  constexpr std::int64_t k_behind = k_second;  // it read the clock, and was made to wait
  Memory memory{4};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(10, k_minute);
  ASSERT_TRUE(admits(table, 1, limit, k_now, 10));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(admits(table, 1, limit, k_now - k_behind));
  EXPECT_FALSE(admits(table, 1, limit, k_now - k_behind + limit.interval()));
  EXPECT_FALSE(admits(table, 1, limit, k_now + limit.interval() - 1));
  EXPECT_TRUE(admits(table, 1, limit, k_now + limit.interval()));
}

TEST(rate_limit_table, what_is_told_after_the_clock_was_set_back_is_true) {
  const RateLimit limit = limit_of(10, k_minute);
  for (const std::int64_t back : {std::int64_t{1}, k_second, 9 * k_second, 20 * k_second, 27 * k_second, 29 * k_second,
                                  61 * k_second, 3600 * k_second, 365 * k_day}) {
    for (const std::int64_t cost : {1, 4, 10}) {
      Memory memory{4};
      RateLimitTable table = memory.table();
      ASSERT_TRUE(admits(table, 1, limit, k_now, 7));
      std::int64_t now = k_now - back;
      const auto told = table.charge(key_of(1), limit, now, cost);
      ASSERT_TRUE(told);
      if (told->is_allowed) continue;
      ASSERT_GT(told->retry_after.value(), 0) << back;
      EXPECT_FALSE(admits(table, 1, limit, now + *told->retry_after - 1, cost)) << back << ' ' << cost;
      EXPECT_TRUE(admits(table, 1, limit, now + *told->retry_after, cost)) << back << ' ' << cost;
    }
  }
}

// With a single bucket it is known exactly when the table is full.
TEST(rate_limit_table, a_bucket_serves_its_keys_as_the_slow_model_does) {
  std::mt19937_64 random{10};
  int full = 0, forgotten = 0;
  for (int round = 0; round < 200; ++round) {
    Memory memory{1};
    RateLimitTable table = memory.table();
    const RateLimit limit = random_small_limit(random);
    std::vector<UsedUnits> keys(k_slots + 4, UsedUnits{limit.limit(), limit.interval()});
    std::int64_t denied_because_full = 0;
    std::int64_t now = k_now;
    for (int call = 0; call < 300; ++call) {
      const std::size_t key = random() % keys.size();
      const auto in_use = [&] { return std::ranges::count_if(keys, [&](UsedUnits& units) { return units.any(now); }); };
      if (random() % 10 == 0) {
        forgotten += keys[key].any(now) ? 1 : 0;
        ASSERT_EQ(table.forget(key_of(static_cast<std::int64_t>(key)), now), keys[key].any(now));
        keys[key].forget();
      } else {
        const std::int64_t cost = pick(random, 1, limit.limit());
        const bool has_place = keys[key].any(now) || in_use() < (limit.is_long() ? k_long_slots : k_slots);
        const auto decision = table.charge(key_of(static_cast<std::int64_t>(key)), limit, now, cost);
        ASSERT_EQ(decision.has_value(), has_place);
        if (decision) expect_same(*decision, keys[key].charge(now, cost));
        if (HasFatalFailure()) return;
        denied_because_full += has_place ? 0 : 1;
      }
      const RateLimitTable::Share use = use_of(table, now);
      ASSERT_EQ(use.slots_in_use, in_use());
      ASSERT_EQ(use.denied_because_full, denied_because_full);
      if (random() % 3 == 0) now += pick(random, 0, limit.interval());
    }
    full += static_cast<int>(denied_because_full);
  }
  EXPECT_GT(full, 1000);
  EXPECT_GT(forgotten, 1000);
}

TEST(rate_limit_table, each_of_many_keys_is_served_as_if_it_were_alone) {
  std::mt19937_64 random{11};
  constexpr std::int64_t k_keys = 300;
  Memory memory{400};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(4, 1000);
  std::vector<UsedUnits> keys(k_keys, UsedUnits{limit.limit(), limit.interval()});
  std::int64_t now = k_now;
  for (int call = 0; call < 100'000; ++call) {
    const std::int64_t key = pick(random, 0, k_keys - 1);
    const std::int64_t cost = pick(random, 0, 5);
    const auto decision = table.charge(key_of(key), limit, now, cost);
    ASSERT_TRUE(decision);
    expect_same(*decision, keys[static_cast<std::size_t>(key)].charge(now, cost));
    if (HasFatalFailure()) return;
    now += pick(random, 0, 3);
    if (call % 1000 == 0) {
      ASSERT_EQ(use_of(table, now).slots_in_use,
                std::ranges::count_if(keys, [&](UsedUnits& units) { return units.any(now); }));
    }
  }
}

// --- Shares ---

constexpr std::uint32_t k_other_database = k_database + 1;

RateLimitTable::Share long_use_of(const RateLimitTable& table, std::int64_t now) {
  return table.use(k_database, now).long_periods;
}

// What an attacker does who may choose keys: each once, many more than there are slots.
void flood(RateLimitTable& table, std::uint32_t database, const RateLimit& limit, std::int64_t now) {
  for (std::int64_t key = 0, keys = 4 * use_of(table, now).slots; key < keys; ++key)
    table.charge(key_of(1'000'000 + key, database), limit, now, 1);
}

TEST(rate_limit, a_period_is_long_from_a_quarter_of_an_hour) {
  constexpr std::int64_t k_quarter = 15 * k_minute;
  for (const std::int64_t units : {1, 7, 1000, 999'999'937}) {
    EXPECT_FALSE(limit_of(units, k_quarter).is_long()) << units;
    EXPECT_FALSE(limit_of(units, k_second).is_long()) << units;
    EXPECT_TRUE(limit_of(units, k_quarter + k_second).is_long()) << units;
    EXPECT_TRUE(limit_of(units, RateLimit::k_longest_period).is_long()) << units;
  }
}

TEST(rate_limit_table, a_flood_of_keys_with_long_periods_leaves_room_for_short_ones) {
  constexpr std::int64_t k_buckets = 1000;
  Memory memory{k_buckets};
  RateLimitTable table = memory.table();
  flood(table, k_database, limit_of(1, RateLimit::k_longest_period), k_now);
  EXPECT_EQ(long_use_of(table, k_now).slots, k_buckets * k_long_slots);
  EXPECT_LE(long_use_of(table, k_now).slots_in_use, k_buckets * k_long_slots);
  EXPECT_GT(long_use_of(table, k_now).slots_in_use, k_buckets * k_long_slots * 95 / 100);
  EXPECT_EQ(long_use_of(table, k_now).denied_because_full, use_of(table, k_now).denied_because_full);
  for (std::int64_t key = 0; key < k_buckets * (k_slots - k_long_slots) / 2; ++key)
    ASSERT_TRUE(admits(table, key, limit_of(1, k_minute), k_now)) << key;
  EXPECT_EQ(table.use(k_database, k_now).evicted, 0);
}

// Each begins with a period that is over at once, so that its slot looks free.
TEST(rate_limit_table, keys_that_come_back_to_life_do_not_exceed_the_share_of_long_periods) {
  Memory memory{1};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(1'000'000, RateLimit::k_longest_period);
  std::int64_t now = k_now;
  for (std::int64_t key = 0; key < 50; ++key, now += k_minute) admits(table, key, limit, now);
  for (std::int64_t key = 0; key < 50; ++key) admits(table, key, limit, now, 500'000);
  EXPECT_EQ(long_use_of(table, now).slots_in_use, k_long_slots);
  EXPECT_EQ(use_of(table, now).slots_in_use, k_long_slots);
}

TEST(rate_limit_table, a_key_has_a_state_for_short_periods_and_one_for_long_ones) {
  Memory memory{4};
  RateLimitTable table = memory.table();
  EXPECT_TRUE(admits(table, 1, limit_of(1, k_day), k_now));
  EXPECT_TRUE(admits(table, 1, limit_of(1, k_minute), k_now));
  EXPECT_FALSE(admits(table, 1, limit_of(1, k_minute), k_now));
  EXPECT_FALSE(admits(table, 1, limit_of(1, k_day), k_now + k_day - 1));
  EXPECT_TRUE(table.forget(key_of(1), k_now));
  EXPECT_FALSE(table.forget(key_of(1), k_now));
  EXPECT_EQ(use_of(table, k_now).slots_in_use, 0);
}

TEST(rate_limit_table, a_database_gets_its_share_of_a_table_that_another_has_filled) {
  constexpr std::int64_t k_buckets = 1000;
  for (const std::int64_t period : {k_minute, RateLimit::k_longest_period}) {
    Memory memory{k_buckets};
    RateLimitTable table = memory.table();
    const RateLimit limit = limit_of(2, period);
    flood(table, k_other_database, limit, k_now);
    // A half is its database's. Keys meet in small groups, so that it is sure of less.
    const std::int64_t asked = limit.is_long() ? k_buckets * k_long_slots / 20 : k_buckets * k_slots / 5;
    for (std::int64_t key = 0; key < asked; ++key) ASSERT_TRUE(admits(table, key, limit, k_now)) << key;
    // And keeps it, whatever the other does.
    flood(table, k_other_database, limit, k_now);
    for (std::int64_t key = 0; key < asked; ++key) {
      ASSERT_TRUE(admits(table, key, limit, k_now)) << key;
      ASSERT_FALSE(admits(table, key, limit, k_now)) << key;
    }
    EXPECT_EQ(use_of(table, k_now).database_slots_in_use, asked);
    EXPECT_GT(use_of(table, k_now, k_other_database).database_slots_in_use, asked);
    EXPECT_GT(table.use(k_database, k_now).evicted, 0);
  }
}

TEST(rate_limit_table, a_database_that_is_alone_has_the_whole_table_and_loses_no_key) {
  Memory memory{500};
  RateLimitTable table = memory.table();
  flood(table, k_database, limit_of(1, k_minute), k_now);
  EXPECT_GT(use_of(table, k_now).database_slots_in_use, 500 * k_slots * 99 / 100);
  EXPECT_EQ(table.use(k_database, k_now).evicted, 0);
}

TEST(rate_limit_table, four_databases_that_flood_leave_a_fifth_its_share) {
  constexpr std::int64_t k_buckets = 1000;
  Memory memory{k_buckets};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(1, k_minute);
  for (std::uint32_t flooder = 1; flooder <= 4; ++flooder) flood(table, k_database + flooder, limit, k_now);
  const std::int64_t asked = k_buckets * k_slots / 20;
  std::int64_t admitted = 0;
  for (std::int64_t key = 0; key < asked; ++key) admitted += admits(table, key, limit, k_now) ? 1 : 0;
  EXPECT_GE(admitted, asked * 98 / 100);
  for (std::uint32_t flooder = 1; flooder <= 4; ++flooder)
    EXPECT_GT(use_of(table, k_now, k_database + flooder).database_slots_in_use, k_buckets * k_slots / 8) << flooder;
}

TEST(rate_limit_table, all_keys_of_a_database_are_forgotten_and_no_others) {
  Memory memory{100};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(1, k_minute);
  const RateLimit long_limit = limit_of(1, k_day);
  for (std::int64_t key = 0; key < 50; ++key) {
    ASSERT_TRUE(admits(table, key, limit, k_now));
    ASSERT_TRUE(admits(table, key, long_limit, k_now));
    ASSERT_TRUE(admits(table, key_of(key, k_other_database), limit, k_now));
  }
  EXPECT_EQ(table.forget_all(k_database, k_now), 100);
  EXPECT_EQ(table.forget_all(k_database, k_now), 0);
  EXPECT_EQ(use_of(table, k_now).database_slots_in_use, 0);
  for (std::int64_t key = 0; key < 50; ++key) {
    EXPECT_TRUE(admits(table, key, limit, k_now));
    EXPECT_TRUE(admits(table, key, long_limit, k_now));
    EXPECT_FALSE(admits(table, key_of(key, k_other_database), limit, k_now));
  }
  EXPECT_EQ(table.forget_all(k_database, k_now + k_minute), 50) << "what has come back counts no more";
}

// A bucket as the rules have it, in the simplest way that there is.
class SlowBucket {
 public:
  struct Held {
    std::int64_t key = -1;
    std::uint32_t database = 0;
    bool is_long = false;
    UsedUnits units{1, 1};
  };

  Held* find(std::int64_t key, bool is_long) {
    const auto found =
        std::ranges::find_if(slots_, [&](const Held& held) { return held.key == key && held.is_long == is_long; });
    return found == slots_.end() ? nullptr : &*found;
  }

  // The slot for a key that has none; nullptr if it gets none.
  Held* make_room(std::uint32_t database, bool is_long, std::int64_t now) {
    std::vector<Held*> permitted;
    const bool may_have_any = !is_long || std::ranges::count(slots_, true, &Held::is_long) < k_long_slots;
    for (Held& held : slots_)
      if (may_have_any || held.is_long) permitted.push_back(&held);
    for (Held* held : permitted)
      if (!held->units.any(now)) return held;
    std::map<std::uint32_t, int> counts;
    for (const Held* held : permitted) ++counts[held->database];
    Held* loser = nullptr;
    for (Held* held : permitted) {
      const std::pair rank{counts[held->database], held->units.ends()};
      if (rank.first > counts[database] + 1 &&
          (loser == nullptr || rank > std::pair{counts[loser->database], loser->units.ends()}))
        loser = held;
    }
    if (loser != nullptr) ++evicted_;
    return loser;
  }

  std::int64_t evicted() const { return evicted_; }
  std::int64_t in_use(std::int64_t now, std::uint32_t database) {
    return std::ranges::count_if(slots_, [&](Held& held) { return held.database == database && held.units.any(now); });
  }

 private:
  std::array<Held, k_slots> slots_;
  std::int64_t evicted_ = 0;
};

TEST(rate_limit_table, a_bucket_is_shared_as_the_slow_model_shares_it) {
  std::mt19937_64 random{14};
  std::int64_t evicted = 0;
  std::int64_t full = 0;
  for (int round = 0; round < 300; ++round) {
    Memory memory{1};
    RateLimitTable table = memory.table();
    SlowBucket model;
    // Intervals that the earlier time of a key that evicts does not reach.
    const std::array limits = {limit_of(pick(random, 1, 6), k_minute), limit_of(pick(random, 1, 6), k_day)};
    const auto databases = static_cast<std::uint32_t>(pick(random, 1, 4));
    const std::int64_t denied_at_first = full;
    std::int64_t now = k_now;
    for (int call = 0; call < 400; ++call) {
      now += pick(random, 1, random() % 64 == 0 ? k_day : random() % 8 == 0 ? k_minute : k_second) / 100'000 * 100'000;
      const std::uint32_t database = k_database + static_cast<std::uint32_t>(random() % databases);
      const std::int64_t key = database * 100 + pick(random, 0, 8);
      const RateLimit& limit = limits[random() % 2];
      SlowBucket::Held* held = model.find(key, limit.is_long());
      if (held == nullptr) held = model.make_room(database, limit.is_long(), now);
      const auto decision = table.charge(key_of(key, database), limit, now, 1);
      ASSERT_EQ(decision.has_value(), held != nullptr) << "round " << round << " call " << call;
      if (held == nullptr) {
        ++full;
        continue;
      }
      if (held->key != key || held->is_long != limit.is_long())
        *held = {key, database, limit.is_long(), UsedUnits{limit.limit(), limit.interval()}};
      ASSERT_EQ(decision->is_allowed, held->units.charge(now, 1).is_allowed) << "round " << round << " call " << call;
      ASSERT_EQ(use_of(table, now, database).database_slots_in_use, model.in_use(now, database));
    }
    const RateLimitTable::Use use = table.use(k_database, now);
    ASSERT_EQ(use.evicted, model.evicted());
    ASSERT_EQ(use.all.denied_because_full, full - denied_at_first);
    evicted += use.evicted;
  }
  EXPECT_GT(evicted, 1000);
  EXPECT_GT(full, 1000);
}

// --- The table and many at once ---

constexpr int k_threads = 8;

// All begin together.
void run_threads(const std::function<void(int thread)>& work) {
  std::latch start{k_threads};
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < k_threads; ++thread)
    threads.emplace_back([&start, &work, thread] {
      start.arrive_and_wait();
      work(thread);
    });
}

TEST(rate_limit_table, of_many_at_once_exactly_the_limit_is_admitted) {
  Memory memory{4};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(10'000, k_minute);
  std::atomic<std::int64_t> admitted{0};
  std::atomic<std::int64_t> denied{0};
  run_threads([&](int thread) {
    for (int call = 0; call < 20'000; ++call) {
      const std::int64_t cost = 1 + (call + thread) % 3;
      (admits(table, 1, limit, k_now, cost) ? admitted : denied) += cost;
    }
    for (int call = 0; call < 10; ++call) admitted += admits(table, 1, limit, k_now) ? 1 : 0;  // the last units
  });
  EXPECT_EQ(admitted, 10'000);
  EXPECT_GT(denied, 0);
  EXPECT_EQ(use_of(table, k_now).slots_in_use, 1);
}

TEST(rate_limit_table_race, a_key_that_many_begin_at_once_has_one_slot) {
  constexpr std::int64_t k_keys = 20'000;
  Memory memory{2 * k_keys};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(3, k_minute);
  std::vector<std::atomic<int>> admitted(k_keys);
  // All charge the keys in one order, so that those behind catch up with the one who claims.
  run_threads([&](int) {
    for (std::int64_t key = 0; key < k_keys; ++key)
      if (admits(table, key, limit, k_now)) ++admitted[static_cast<std::size_t>(key)];
  });
  for (const auto& count : admitted) ASSERT_EQ(count, 3);
  EXPECT_EQ(use_of(table, k_now).slots_in_use, k_keys);
}

// Two callers who meet before each step, and then begin together but for a delay that varies.
class Race {
 public:
  explicit Race(int rounds) : rounds_(rounds) {}

  // step(caller, round) of one round is done by both before one of the next begins.
  void run(const std::function<void(int caller, int round)>& step) {
    std::jthread other{[&] { run_as(1, step); }};
    run_as(0, step);
  }

 private:
  void run_as(int caller, const std::function<void(int caller, int round)>& step) {
    for (int round = 0; round < rounds_; ++round) {
      meet(round);
      const int delay = caller == 0 ? round % k_delays : round / k_delays % k_delays;
      for (std::atomic<int> passed = 0; passed < delay;) ++passed;
      step(caller, round);
    }
  }

  void meet(int round) {
    ++arrived_;
    for (int tries = 0; arrived_ < 2 * (round + 1); ++tries)
      if (tries > 200) std::this_thread::yield();
  }

  static constexpr int k_delays = 30;
  int rounds_;
  std::atomic<int> arrived_{0};
};

TEST(rate_limit_table_race, of_two_who_begin_a_key_at_once_one_makes_its_slot) {
  constexpr int k_rounds = 20'000;
  Memory memory{k_rounds};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(1, k_minute);
  std::atomic<int> admitted{0};
  Race{k_rounds}.run([&](int, int round) { admitted += admits(table, round, limit, k_now) ? 1 : 0; });
  EXPECT_EQ(admitted, k_rounds);
  EXPECT_EQ(use_of(table, k_now).slots_in_use, k_rounds);
}

// A bucket in which one slot is left, and its time has passed: whose it was comes back while another key wants it.
class ContestedSlot {
 public:
  ContestedSlot() {
    for (int key = 0; key < k_slots - 1; ++key)
      EXPECT_TRUE(admits(table, key, limit_of(1, RateLimit::k_longest_short_period), k_now));
  }

  Memory memory{1};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(1, 100);
};

TEST(rate_limit_table_race, of_two_keys_who_want_a_slot_one_gets_it_and_the_other_is_turned_away) {
  constexpr int k_rounds = 60'000;
  ContestedSlot contested;
  struct Answer {
    bool is_told = false, is_allowed = false;
  };
  std::array<std::array<Answer, 2>, 2> answers;    // by round, by caller
  std::array<std::int64_t, 2> owner = {100, 100};  // as each caller knows it
  std::array<int, 2> came_back = {0, 0};
  std::atomic<int> wrong{0};
  Race{k_rounds}.run([&](int caller, int round) {
    const auto me = static_cast<std::size_t>(caller);
    if (round > 0) {
      const auto& [first, second] = answers[static_cast<std::size_t>(round - 1) % 2];
      // Nobody has used a unit: whoever is told anything is admitted.
      if (first.is_allowed == second.is_allowed || first.is_told == second.is_told) ++wrong;
      if (first.is_allowed)
        ++came_back[me];
      else
        owner[me] = 100 + round;
    }
    const std::int64_t key = caller == 0 ? owner[me] : 100 + round + 1;
    const auto decision = contested.table.charge(key_of(key), contested.limit, k_now + 100 * round, 1);
    answers[static_cast<std::size_t>(round) % 2][me] = {decision.has_value(), decision && decision->is_allowed};
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(came_back[0], 0);
  EXPECT_LT(came_back[0], k_rounds - 1);
  EXPECT_EQ(use_of(contested.table, k_now + 100 * (k_rounds - 1)).slots_in_use, k_slots);
}

TEST(rate_limit_table_race, to_forget_a_key_does_not_touch_the_one_that_takes_its_slot) {
  constexpr int k_rounds = 60'000;
  ContestedSlot contested;
  ASSERT_TRUE(admits(contested.table, 100, contested.limit, k_now - 100));
  std::atomic<int> wrong{0};
  Race{k_rounds}.run([&](int caller, int round) {
    const std::int64_t now = k_now + 100 * round;
    if (caller == 0)
      wrong += contested.table.forget(key_of(100 + round), now) ? 1 : 0;
    else
      wrong += admits(contested.table, 100 + round + 1, contested.limit, now) ? 0 : 1;
  });
  EXPECT_EQ(wrong, 0);
}

TEST(rate_limit_table, units_are_given_back_once_for_each_forget_that_says_so) {
  Memory memory{1};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(5, k_minute);
  std::atomic<std::int64_t> admitted{0};
  std::atomic<std::int64_t> forgotten{0};
  run_threads([&](int thread) {
    for (int call = 0; call < 20'000; ++call) {
      if (thread == 0)
        forgotten += table.forget(key_of(1), k_now) ? 1 : 0;
      else
        admitted += admits(table, 1, limit, k_now) ? 1 : 0;
    }
  });
  while (admits(table, 1, limit, k_now)) ++admitted;
  EXPECT_LE(admitted, limit.limit() * (forgotten + 1));
  EXPECT_GE(admitted, limit.limit() + forgotten);
}

TEST(rate_limit_table_race, a_slot_that_is_forgotten_twice_meanwhile_is_not_charged_for_the_key_that_it_had) {
  constexpr int k_rounds = 60'000;
  constexpr std::int64_t k_first = 100;
  constexpr std::int64_t k_second = 200;
  ContestedSlot contested;
  const auto left_of = [&](std::int64_t key) {
    return contested.table.charge(key_of(key), contested.limit, k_now, 0)->remaining;
  };
  std::atomic<int> rounds_of_both{0};
  std::optional<RateLimit::Decision> first, second;
  std::atomic<int> wrong{0};
  Race{2 * k_rounds}.run([&](int caller, int round) {
    if (round % 2 == 0) {
      // Alone: the slot is free, and was the first key's.
      if (caller != 0) return;
      if (first && left_of(k_first) != 0) ++wrong;
      if (second && left_of(k_second) != contested.limit.limit()) ++wrong;
      rounds_of_both += first && second ? 1 : 0;
      for (const std::int64_t key : {k_first, k_second}) contested.table.forget(key_of(key), k_now);
      if (!admits(contested.table, k_first, contested.limit, k_now)) ++wrong;
      contested.table.forget(key_of(k_first), k_now);
      return;
    }
    if (caller == 0) {
      first = contested.table.charge(key_of(k_first), contested.limit, k_now, 1);
    } else {
      second = contested.table.charge(key_of(k_second), contested.limit, k_now, 1);
      contested.table.forget(key_of(k_second), k_now);
    }
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(rounds_of_both, 0);
}

// Many keys fight for few slots. The clock stands within a round, so a slot that is in use cannot be lost, and
// each key gets what the slow model says: no more ever, and no less if it was never turned away.
void fight_for_slots(std::size_t buckets, std::int64_t key_count, int rounds, int calls) {
  Memory memory{buckets};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(4, 4000);
  std::vector<UsedUnits> keys(static_cast<std::size_t>(key_count), UsedUnits{limit.limit(), limit.interval()});
  struct Tally {
    std::atomic<std::int64_t> asked{0}, admitted{0}, turned_away{0};
  };
  std::mt19937_64 clock{12};
  std::int64_t now = k_now;
  std::int64_t turned_away = 0;
  std::int64_t reached_the_limit = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<Tally> tallies(keys.size());
    run_threads([&](int thread) {
      std::mt19937_64 random{static_cast<std::uint64_t>(round * k_threads + thread)};
      for (int call = 0; call < calls; ++call) {
        // Some keys are asked for more often than others.
        const std::int64_t key = std::min(pick(random, 0, key_count - 1), pick(random, 0, key_count - 1));
        Tally& tally = tallies[static_cast<std::size_t>(key)];
        ++tally.asked;
        const auto decision = table.charge(key_of(key), limit, now, 1);
        if (!decision) ++tally.turned_away;
        if (decision && decision->is_allowed) ++tally.admitted;
      }
    });
    for (std::size_t key = 0; key < keys.size(); ++key) {
      const Tally& tally = tallies[key];
      const std::int64_t left = keys[key].left(now);
      ASSERT_LE(tally.admitted, left) << "round " << round << " key " << key;
      ASSERT_TRUE(tally.turned_away > 0 || tally.admitted == std::min<std::int64_t>(left, tally.asked))
          << "round " << round << " key " << key;
      ASSERT_TRUE(tally.turned_away == 0 || !keys[key].any(now)) << "a key in use has its slot";
      reached_the_limit += tally.admitted == left && left > 0 ? 1 : 0;
      turned_away += tally.turned_away;
      keys[key].take(now, tally.admitted);
    }
    const RateLimitTable::Share use = use_of(table, now);
    ASSERT_EQ(use.slots_in_use, std::ranges::count_if(keys, [&](UsedUnits& units) { return units.any(now); }));
    ASSERT_EQ(use.denied_because_full, turned_away);
    now += pick(clock, 0, 4000);
  }
  EXPECT_GT(turned_away, rounds);
  EXPECT_GT(reached_the_limit, rounds);
}

TEST(rate_limit_table_race, keys_that_fight_for_a_bucket_get_no_more_than_their_limits) {
  fight_for_slots(1, k_slots + 5, 300, 60);
}
TEST(rate_limit_table_race, keys_that_fight_for_few_slots_get_no_more_than_their_limits) {
  fight_for_slots(3, 6 * k_slots, 300, 150);
}

TEST(rate_limit_table_race, no_slot_is_lost_where_clocks_differ_and_keys_are_forgotten) {
  Memory memory{3};
  RateLimitTable table = memory.table();
  const RateLimit limit = limit_of(2, 40);
  std::atomic<std::int64_t> clock{k_now};
  run_threads([&](int thread) {
    std::mt19937_64 random{static_cast<std::uint64_t>(thread)};
    for (int call = 0; call < 30'000; ++call) {
      const std::int64_t now = clock.fetch_add(1) - pick(random, 0, 20);
      const std::int64_t key = pick(random, 0, 6 * k_slots);
      if (random() % 16 == 0)
        table.forget(key_of(key), now);
      else
        table.charge(key_of(key), limit, now, 1);
    }
  });
  const std::int64_t later = clock + k_minute;
  EXPECT_EQ(use_of(table, later).slots_in_use, 0);
  for (int key = 100; key < 200; ++key) table.charge(key_of(key), limit, later, 1);
  EXPECT_EQ(use_of(table, later).slots_in_use, use_of(table, later).slots) << "every slot can be claimed again";
}

// A swap that was prepared for the old key would hit the new one, if both had one time.
TEST(rate_limit_table, a_key_that_evicts_gets_a_time_that_no_other_key_has_had) {
  const RateLimit limit = limit_of(4, k_minute);
  Memory memory{1};
  RateLimitTable table = memory.table();
  std::set<std::int64_t> states;
  for (std::int64_t key = 0; key < k_slots; ++key) states.insert(table.charge(key_of(key), limit, k_now, 1)->state);
  EXPECT_EQ(states.size(), 1u);
  for (std::uint32_t database = k_other_database; database < k_other_database + 3; ++database) {
    for (std::int64_t key = 0; key < 3; ++key) {
      if (!admits(table, key_of(key, database), limit, k_now)) continue;
      const auto look = table.charge(key_of(key, database), limit, k_now, 0);
      EXPECT_TRUE(states.insert(look->state).second);
      EXPECT_EQ(look->remaining, 3);
    }
  }
  EXPECT_EQ(table.use(k_database, k_now).evicted, static_cast<std::int64_t>(states.size()) - 1);
  EXPECT_GT(states.size(), 3u);
}

TEST(rate_limit_table_race, to_charge_a_key_does_not_touch_the_one_that_evicts_it) {
  constexpr int k_rounds = 20'000;
  const RateLimit limit = limit_of(4, k_minute);
  std::vector<Memory> memories(k_rounds, Memory{1});
  for (Memory& memory : memories) {
    RateLimitTable table = memory.table();
    for (std::int64_t key = 0; key < k_slots; ++key) admits(table, key, limit, k_now);
  }
  std::atomic<int> wrong{0};
  std::atomic<int> turned_away{0};
  Race{k_rounds}.run([&](int caller, int round) {
    RateLimitTable table = memories[static_cast<std::size_t>(round)].table();
    if (caller == 1)
      wrong += admits(table, key_of(0, k_other_database), limit, k_now) ? 0 : 1;
    else  // the one that would keep its slot the longest
      turned_away += admits(table, 0, limit, k_now) ? 0 : 1;
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(turned_away, 0);
  EXPECT_LT(turned_away, k_rounds);
  for (Memory& memory : memories) {
    RateLimitTable table = memory.table();
    EXPECT_EQ(table.charge(key_of(0, k_other_database), limit, k_now, 0)->remaining, 3) << "one call, one unit";
    for (std::int64_t key = 1; key < k_slots; ++key)
      EXPECT_EQ(table.charge(key_of(key), limit, k_now, 0)->remaining, 3);
  }
}

// Each eviction gives the units of one key back, and nothing else does.
TEST(rate_limit_table_race, databases_that_fight_for_slots_get_no_more_than_limits_and_evictions_give) {
  constexpr std::int64_t k_buckets = 3;
  constexpr std::int64_t k_keys = 20;
  Memory memory{k_buckets};
  RateLimitTable table = memory.table();
  const std::array limits = {limit_of(5, k_minute), limit_of(5, k_day)};
  std::atomic<std::int64_t> admitted{0};
  std::atomic<std::int64_t> turned_away{0};
  run_threads([&](int thread) {
    std::mt19937_64 random{static_cast<std::uint64_t>(thread)};
    for (int call = 0; call < 20'000; ++call) {
      const std::uint32_t database = k_database + static_cast<std::uint32_t>(random() % 3);
      const auto decision = table.charge(key_of(pick(random, 0, k_keys - 1), database), limits[random() % 2], k_now, 1);
      turned_away += decision ? 0 : 1;
      admitted += decision && decision->is_allowed ? 1 : 0;
      if (random() % 64 == 0) std::this_thread::yield();
    }
  });
  const RateLimitTable::Use use = table.use(k_database, k_now);
  EXPECT_LE(admitted, 5 * (use.all.slots + use.evicted));
  EXPECT_GE(admitted, use.all.slots_in_use + use.evicted);
  EXPECT_EQ(use.all.denied_because_full, turned_away);
  EXPECT_GT(use.evicted, 0);
  EXPECT_GT(turned_away, 0);
  EXPECT_EQ(use.all.slots_in_use, use.all.slots);
  EXPECT_LE(use.long_periods.slots_in_use, k_buckets * k_long_slots);
  // Every slot can be claimed again.
  EXPECT_EQ(use_of(table, k_now + k_day).slots_in_use, 0);
  flood(table, k_database, limits[0], k_now + k_day);
  EXPECT_EQ(use_of(table, k_now + k_day).slots_in_use, use.all.slots);
}

}  // namespace
}  // namespace claude_gpt::core
