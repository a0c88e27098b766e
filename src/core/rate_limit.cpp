#include "core/rate_limit.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <span>
#include <thread>
#include <tuple>

namespace claude_gpt::core {

namespace {

__extension__ using UInt128 = unsigned __int128;

// A slot between two keys. No clock reaches it.
constexpr std::int64_t k_being_claimed = std::numeric_limits<std::int64_t>::max();

// How late a caller may come with the time that it read. What lies further ahead is of a clock that was set back.
constexpr std::int64_t k_clock_tolerance = 10'000'000'000;

// Waits a moment; whoever is waited for may have lost its processor.
class Patience {
 public:
  void wait() {
    constexpr int k_tries_before_yielding = 64;
    if (++tries_ > k_tries_before_yielding) std::this_thread::yield();
  }

 private:
  int tries_ = 0;
};

std::uint64_t word_at(std::string_view bytes, std::size_t offset) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + offset, std::min(sizeof word, bytes.size() - offset));
  return word;
}

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13);
    v1 ^= v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16);
    v3 ^= v2;
    v0 += v3;
    v3 = std::rotl(v3, 21);
    v3 ^= v0;
    v2 += v1;
    v1 = std::rotl(v1, 17);
    v1 ^= v2;
    v2 = std::rotl(v2, 32);
  }

  void take(std::uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

// A number below `count`, by the high bits of the product (Lemire's reduction).
std::size_t reduced(std::uint64_t hash, std::size_t count) {
  return static_cast<std::size_t>((UInt128{hash} * count) >> 64);
}

// Another hash of the same key: the finalizer of SplitMix64.
std::uint64_t mixed(std::uint64_t hash) {
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
  return hash ^ (hash >> 31);
}

// A tag, from its highest bit: the hash without its highest bits, which chose the bucket; the database; whether the
// periods are long. 0 is a slot that was never claimed.
constexpr int k_database_bits = 20;
constexpr std::uint64_t k_long = 1;
constexpr std::uint64_t k_first_hash_bit = std::uint64_t{2} << k_database_bits;

std::uint64_t database_part(std::uint32_t database) { return (std::uint64_t{database} << 1) & (k_first_hash_bit - 1); }
std::uint64_t database_part_of(std::uint64_t tag) { return tag & (k_first_hash_bit - 1) & ~k_long; }
bool is_long(std::uint64_t tag) { return (tag & k_long) != 0; }

std::uint64_t tag_of(const RateLimitKey& key, bool is_long) {
  const std::uint64_t tag = (key.hash * k_first_hash_bit) | database_part(key.database) | (is_long ? k_long : 0);
  return tag == 0 ? k_first_hash_bit : tag;
}

}  // namespace

std::optional<RateLimit> RateLimit::of(std::int64_t limit, std::int64_t period) {
  if (limit < 1 || limit > k_most_units || period < limit || period > k_longest_period) return std::nullopt;
  return RateLimit{limit, (period + limit - 1) / limit};
}

RateLimit::Decision RateLimit::decide(std::int64_t state, std::int64_t now, std::int64_t cost) const {
  const std::int64_t capacity = limit_ * interval_;
  const std::int64_t used = state > now ? state - now : 0;
  const auto decision = [&](bool is_allowed, std::optional<std::int64_t> retry_after, std::int64_t used_after) {
    const std::int64_t left = std::max<std::int64_t>(capacity - used_after, 0);
    return Decision{is_allowed, left / interval_, retry_after, used_after, now + used_after};
  };
  if (cost > limit_) return decision(false, std::nullopt, used);
  const std::int64_t used_after = used + cost * interval_;
  if (used_after > capacity) return decision(false, used_after - capacity, used);
  return decision(true, 0, used_after);
}

std::uint64_t keyed_hash(const HashSecret& secret, std::string_view bytes) {
  SipState state{secret.first ^ 0x736f6d6570736575u, secret.second ^ 0x646f72616e646f6du,
                 secret.first ^ 0x6c7967656e657261u, secret.second ^ 0x7465646279746573u};
  std::size_t offset = 0;
  for (; offset + 8 <= bytes.size(); offset += 8) state.take(word_at(bytes, offset));
  state.take((std::uint64_t{bytes.size()} << 56) | (offset < bytes.size() ? word_at(bytes, offset) : 0));
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

// Both buckets in the order of their addresses, so that two claims never wait for each other.
class RateLimitTable::BucketLocks {
 public:
  explicit BucketLocks(const Buckets& buckets)
      : first_(std::min(buckets[0], buckets[1])), second_(std::max(buckets[0], buckets[1])) {
    lock(*first_);
    if (second_ != first_) lock(*second_);
  }
  ~BucketLocks() {
    if (second_ != first_) second_->lock.store(0, std::memory_order_release);
    first_->lock.store(0, std::memory_order_release);
  }
  BucketLocks(const BucketLocks&) = delete;
  BucketLocks& operator=(const BucketLocks&) = delete;

 private:
  static void lock(Bucket& bucket) {
    Patience patience;
    while (bucket.lock.exchange(1, std::memory_order_acquire) != 0) patience.wait();
  }

  Bucket* first_;
  Bucket* second_;
};

RateLimitTable::RateLimitTable(void* memory, std::size_t bytes)
    : buckets_(static_cast<Bucket*>(memory)), bucket_count_(bytes / sizeof(Bucket)) {}

RateLimitTable::Buckets RateLimitTable::buckets_of(std::uint64_t hash) const {
  return {buckets_ + reduced(hash, bucket_count_), buckets_ + reduced(mixed(hash), bucket_count_)};
}

RateLimitTable::Slot* RateLimitTable::find(const Buckets& buckets, std::uint64_t tag) {
  for (Bucket* bucket : buckets)
    for (Slot& slot : bucket->slots)
      if (slot.tag.load(std::memory_order_acquire) == tag) return &slot;
  return nullptr;
}

// nullopt if the slot went to another key meanwhile.
std::optional<RateLimit::Decision> RateLimitTable::charge_slot(Slot& slot, std::uint64_t tag, const RateLimit& limit,
                                                               std::int64_t now, std::int64_t cost) {
  Patience patience;
  std::int64_t time = slot.time.load(std::memory_order_acquire);
  while (true) {
    // The time is read before the tag: a slot that is claimed between the two fails the swap.
    if (slot.tag.load(std::memory_order_acquire) != tag) return std::nullopt;
    if (time == k_being_claimed) {
      patience.wait();
      time = slot.time.load(std::memory_order_acquire);
      continue;
    }
    if (const std::int64_t latest = limit.latest_state(now); time - k_clock_tolerance > latest) {
      // Kept, it would deny until the clock is there again.
      if (slot.time.compare_exchange_weak(time, latest, std::memory_order_acq_rel, std::memory_order_acquire))
        time = latest;
      continue;
    }
    const RateLimit::Decision decision = limit.decide(time, now, cost);
    if (!decision.is_allowed || cost == 0) return decision;
    // A failed swap reads the time anew.
    if (slot.time.compare_exchange_weak(time, decision.state, std::memory_order_acq_rel, std::memory_order_acquire))
      return decision;
  }
}

bool RateLimitTable::claim(const Buckets& buckets, std::uint64_t tag, std::int64_t now, std::int64_t state) {
  const auto free_slots = [now](Bucket* bucket) {
    return std::ranges::count_if(bucket->slots,
                                 [now](const Slot& slot) { return slot.time.load(std::memory_order_relaxed) <= now; });
  };
  Buckets order = buckets;
  if (free_slots(order[1]) > free_slots(order[0])) std::swap(order[0], order[1]);
  for (Bucket* bucket : order) {
    const bool may_have_any = may_have_any_slot(*bucket, tag);
    for (Slot& slot : bucket->slots) {
      if (!may_have_any && !is_long(slot.tag.load(std::memory_order_relaxed))) continue;
      std::int64_t time = slot.time.load(std::memory_order_relaxed);
      // Its key may come back to life at any moment before the swap.
      if (time > now || !slot.time.compare_exchange_strong(time, k_being_claimed, std::memory_order_acq_rel)) continue;
      slot.tag.store(tag, std::memory_order_release);
      slot.time.store(state, std::memory_order_release);
      return true;
    }
  }
  return claim_of_another_database(order, tag, state);
}

// Whether a key may have every slot of the bucket. Slots that keys of long periods have left count too, until another
// moves in: their keys may come back to life.
bool RateLimitTable::may_have_any_slot(const Bucket& bucket, std::uint64_t tag) {
  return !is_long(tag) || std::ranges::count_if(bucket.slots, [](const Slot& slot) {
                            return is_long(slot.tag.load(std::memory_order_relaxed));
                          }) < k_long_slots_of_a_bucket;
}

// Where no slot is free. Of the database that has the most of the slots that the key may have, the key that would keep
// its slot the longest is evicted.
bool RateLimitTable::claim_of_another_database(const Buckets& buckets, std::uint64_t tag, std::int64_t state) {
  struct Contested {
    Slot* slot;
    Bucket* bucket;
    std::uint64_t database;
  };
  std::array<Contested, std::size_t{2} * k_slots_of_a_bucket> all;
  std::size_t count = 0;
  for (Bucket* bucket : buckets) {
    if (count > 0 && bucket == buckets[0]) break;  // both choices are one
    const bool may_have_any = may_have_any_slot(*bucket, tag);
    for (Slot& slot : bucket->slots) {
      const std::uint64_t held_by = slot.tag.load(std::memory_order_relaxed);
      if (may_have_any || is_long(held_by)) all[count++] = {&slot, bucket, database_part_of(held_by)};
    }
  }
  const std::span<const Contested> contested{all.data(), count};
  const std::uint64_t own = database_part_of(tag);
  const auto slots_of = [&](std::uint64_t database) {
    return std::ranges::count(contested, database, &Contested::database);
  };
  const auto own_slots_in = [&](const Bucket* bucket) {
    return std::ranges::count_if(contested,
                                 [&](const Contested& held) { return held.bucket == bucket && held.database == own; });
  };
  const Contested* loser = nullptr;
  std::tuple most{slots_of(own) + 1, std::ptrdiff_t{0}, std::numeric_limits<std::int64_t>::max()};
  for (const Contested& held : contested) {
    // In the bucket where the own database has fewer, so that its keys stay spread.
    const std::tuple rank{slots_of(held.database), -own_slots_in(held.bucket),
                          held.slot->time.load(std::memory_order_relaxed)};
    if (rank <= most) continue;
    most = rank;
    loser = &held;
  }
  if (loser == nullptr) return false;
  // As if it had called up to 66 microseconds earlier, a different time for each that moves in so: a swap that was
  // prepared for the key that is evicted fails.
  constexpr std::uint32_t k_distinct_times = 65'535;
  const std::uint32_t evicted_before = loser->bucket->evicted.fetch_add(1, std::memory_order_relaxed);
  loser->slot->time.exchange(k_being_claimed, std::memory_order_acq_rel);
  loser->slot->tag.store(tag, std::memory_order_release);
  loser->slot->time.store(state - 1 - evicted_before % k_distinct_times, std::memory_order_release);
  return true;
}

std::optional<RateLimit::Decision> RateLimitTable::charge(const RateLimitKey& key, const RateLimit& limit,
                                                          std::int64_t now, std::int64_t cost) {
  const std::uint64_t tag = tag_of(key, limit.is_long());
  const Buckets buckets = buckets_of(key.hash);
  while (true) {
    if (Slot* slot = find(buckets, tag)) {
      if (const auto decision = charge_slot(*slot, tag, limit, now, cost)) return decision;
      continue;
    }
    const RateLimit::Decision first = limit.decide(0, now, cost);
    if (!first.is_allowed || cost == 0) return first;
    const BucketLocks locks{buckets};
    if (find(buckets, tag) != nullptr) continue;
    if (claim(buckets, tag, now, first.state)) return first;
    buckets[0]->denied[is_long(tag) ? 1 : 0].fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
}

// Were it always the same, a charge that began before the slot was forgotten, went to another key and was forgotten
// again could not tell that from nothing.
std::int64_t RateLimitTable::new_time_of_the_past(const Slot& slot) {
  const auto offset = reinterpret_cast<const char*>(&slot) - reinterpret_cast<const char*>(buckets_);
  Bucket& bucket = buckets_[static_cast<std::size_t>(offset) / sizeof(Bucket)];
  return -std::int64_t{bucket.forgotten.fetch_add(1, std::memory_order_relaxed)} - 1;
}

bool RateLimitTable::forget(const RateLimitKey& key, std::int64_t now) {
  const Buckets buckets = buckets_of(key.hash);
  bool had_used_any = false;
  for (const bool is_long : {false, true}) {
    const std::uint64_t tag = tag_of(key, is_long);
    if (Slot* slot = find(buckets, tag)) had_used_any |= forget_slot(*slot, tag, now);
  }
  return had_used_any;
}

std::int64_t RateLimitTable::forget_all(std::uint32_t database, std::int64_t now) {
  std::int64_t forgotten = 0;
  for (Bucket* bucket = buckets_; bucket != buckets_ + bucket_count_; ++bucket) {
    for (Slot& slot : bucket->slots) {
      const std::uint64_t tag = slot.tag.load(std::memory_order_acquire);
      if (database_part_of(tag) == database_part(database) && forget_slot(slot, tag, now)) ++forgotten;
    }
  }
  return forgotten;
}

bool RateLimitTable::forget_slot(Slot& slot, std::uint64_t tag, std::int64_t now) {
  std::int64_t time = slot.time.load(std::memory_order_acquire);
  while (time > now && time != k_being_claimed && slot.tag.load(std::memory_order_acquire) == tag)
    if (slot.time.compare_exchange_weak(time, new_time_of_the_past(slot), std::memory_order_acq_rel,
                                        std::memory_order_acquire))
      return true;
  return false;
}

RateLimitTable::Use RateLimitTable::use(std::uint32_t database, std::int64_t now) const {
  Use use;
  use.all.slots = static_cast<std::int64_t>(bucket_count_) * k_slots_of_a_bucket;
  use.long_periods.slots = static_cast<std::int64_t>(bucket_count_) * k_long_slots_of_a_bucket;
  for (const Bucket* bucket = buckets_; bucket != buckets_ + bucket_count_; ++bucket) {
    const std::int64_t denied_long = bucket->denied[1].load(std::memory_order_relaxed);
    use.all.denied_because_full += bucket->denied[0].load(std::memory_order_relaxed) + denied_long;
    use.long_periods.denied_because_full += denied_long;
    use.evicted += bucket->evicted.load(std::memory_order_relaxed);
    for (const Slot& slot : bucket->slots) {
      if (slot.time.load(std::memory_order_relaxed) <= now) continue;
      const std::uint64_t tag = slot.tag.load(std::memory_order_relaxed);
      const std::int64_t own = database_part_of(tag) == database_part(database) ? 1 : 0;
      ++use.all.slots_in_use;
      use.all.database_slots_in_use += own;
      if (!is_long(tag)) continue;
      ++use.long_periods.slots_in_use;
      use.long_periods.database_slots_in_use += own;
    }
  }
  return use;
}

}  // namespace claude_gpt::core
