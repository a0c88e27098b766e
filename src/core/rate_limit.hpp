// Rate limits: GCRA (the generic cell rate algorithm, ITU-T I.371), whose whole state for a key is one time,
// and the table of fixed size that keeps the times of many keys. Times are nanoseconds of one clock.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/atomic.hpp"

namespace claude_gpt::core {

// At most `limit` units at once, given back one each `interval` nanoseconds.
class RateLimit {
 public:
  static constexpr std::int64_t k_most_units = 1'000'000'000;
  static constexpr std::int64_t k_longest_period = 366LL * 86'400 * 1'000'000'000;
  static constexpr std::int64_t k_longest_short_period = 15LL * 60 * 1'000'000'000;

  // `limit` units in each `period`. The interval is rounded up to a nanosecond: never more than the limit.
  // nullopt unless limit is from 1 to k_most_units and period from limit nanoseconds to k_longest_period.
  static std::optional<RateLimit> of(std::int64_t limit, std::int64_t period);

  // What one call is told, and the key's state after it.
  struct Decision {
    bool is_allowed = false;
    std::int64_t remaining = 0;               // units left at once after the call
    std::optional<std::int64_t> retry_after;  // nanoseconds; 0 if allowed, nullopt if it will never be
    std::int64_t reset_after = 0;             // nanoseconds until all units are back
    std::int64_t state = 0;                   // the theoretical arrival time
  };

  // A state of the past means that nothing is used. `cost` from 0; 0 looks and counts nothing. A denial counts nothing
  // either.
  Decision decide(std::int64_t state, std::int64_t now, std::int64_t cost) const;

  // The furthest state that this limit makes.
  std::int64_t latest_state(std::int64_t now) const { return now + limit_ * interval_; }

  // Whether the period is longer than k_longest_short_period: its keys keep their memory for long.
  bool is_long() const { return (interval_ - 1) * limit_ >= k_longest_short_period; }

  std::int64_t limit() const { return limit_; }
  std::int64_t interval() const { return interval_; }

 private:
  RateLimit(std::int64_t limit, std::int64_t interval) : limit_(limit), interval_(interval) {}
  std::int64_t limit_;
  std::int64_t interval_;
};

// SipHash-2-4 (Aumasson, Bernstein 2012): whoever chooses keys cannot choose where they go.
struct HashSecret {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};
std::uint64_t keyed_hash(const HashSecret& secret, std::string_view bytes);

// A key: its keyed hash, of the database too, and the database that has it.
struct RateLimitKey {
  std::uint64_t hash = 0;
  std::uint32_t database = 0;
};

// The states of many keys in memory that processes share. A key is known by its tag: 43 bits of its hash, 20 of its
// database, and whether its periods are long. It lives in a slot of one of two buckets. To charge a key that has a slot
// is one compare-and-swap; only to claim a slot takes the locks of its two buckets. A slot whose time has passed is
// free, so nothing needs to be swept.
//
// Shares: keys of long periods have at most k_long_slots_of_a_bucket of a bucket's slots, so that they cannot shut out
// the others. Where all slots that a key may have are taken, it takes one over from the database that has the most of
// them, if that keeps at least as many as the key's database then has: no database can shut out another, and the one
// that is alone has all. The key that is evicted has all its units back.
//
// A slot's time goes back by forget(), by eviction, and after the clock did. The first two leave a time that the slot
// has not had: a swap that succeeds therefore hits the key it was meant for.
class RateLimitTable {
 public:
  static constexpr int k_slots_of_a_bucket = 7;
  static constexpr int k_long_slots_of_a_bucket = 3;
  static constexpr std::size_t k_bytes_of_a_bucket = 128;

  // At least 128 bytes, aligned to 128, zeroed before their first use; what is over after the last whole bucket is not
  // used.
  RateLimitTable(void* memory, std::size_t bytes);

  // nullopt if the key needs a slot and its share has none: counted, and nothing is charged.
  std::optional<RateLimit::Decision> charge(const RateLimitKey& key, const RateLimit& limit, std::int64_t now,
                                            std::int64_t cost);

  // Gives the key all its units back, those of short and of long periods; false if it had used none.
  bool forget(const RateLimitKey& key, std::int64_t now);

  // The same for all keys of a database; how many had used units. Reads the whole table.
  std::int64_t forget_all(std::uint32_t database, std::int64_t now);

  // Of keys of any period, or of those of long periods.
  struct Share {
    std::int64_t slots = 0;
    std::int64_t slots_in_use = 0;
    std::int64_t database_slots_in_use = 0;
    std::int64_t denied_because_full = 0;
  };
  struct Use {
    Share all;
    Share long_periods;
    std::int64_t evicted = 0;
  };
  // Reads the whole table.
  Use use(std::uint32_t database, std::int64_t now) const;

 private:
  struct Slot {
    Atomic<std::uint64_t> tag;
    Atomic<std::int64_t> time;
  };
  struct alignas(k_bytes_of_a_bucket) Bucket {
    Atomic<std::uint16_t> lock;
    Atomic<std::uint16_t> forgotten;  // how often a slot of it was
    Atomic<std::uint32_t> evicted;
    Atomic<std::uint32_t> denied[2];  // for want of a slot: keys of short periods, of long ones
    Slot slots[k_slots_of_a_bucket];
  };
  static_assert(sizeof(Bucket) == k_bytes_of_a_bucket, "a bucket fills two cache lines");
  static_assert(std::atomic<std::int64_t>::is_always_lock_free, "the table is shared by processes");

  class BucketLocks;
  using Buckets = std::array<Bucket*, 2>;

  Buckets buckets_of(std::uint64_t hash) const;
  std::int64_t new_time_of_the_past(const Slot& slot);
  static Slot* find(const Buckets& buckets, std::uint64_t tag);
  static std::optional<RateLimit::Decision> charge_slot(Slot& slot, std::uint64_t tag, const RateLimit& limit,
                                                        std::int64_t now, std::int64_t cost);
  static bool claim(const Buckets& buckets, std::uint64_t tag, std::int64_t now, std::int64_t state);
  static bool may_have_any_slot(const Bucket& bucket, std::uint64_t tag);
  static bool claim_of_another_database(const Buckets& buckets, std::uint64_t tag, std::int64_t state);
  bool forget_slot(Slot& slot, std::uint64_t tag, std::int64_t now);

  Bucket* buckets_;
  std::size_t bucket_count_;
};

}  // namespace claude_gpt::core
