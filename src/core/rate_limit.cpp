#include "core/rate_limit.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <thread>

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

// Another hash of the same tag: the finalizer of SplitMix64.
std::uint64_t mixed(std::uint64_t tag) {
  tag = (tag ^ (tag >> 30)) * 0xbf58476d1ce4e5b9u;
  tag = (tag ^ (tag >> 27)) * 0x94d049bb133111ebu;
  return tag ^ (tag >> 31);
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

RateLimitTable::Buckets RateLimitTable::buckets_of(std::uint64_t tag) const {
  return {buckets_ + reduced(tag, bucket_count_), buckets_ + reduced(mixed(tag), bucket_count_)};
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
    for (Slot& slot : bucket->slots) {
      std::int64_t time = slot.time.load(std::memory_order_relaxed);
      // Its key may come back to life at any moment before the swap.
      if (time > now || !slot.time.compare_exchange_strong(time, k_being_claimed, std::memory_order_acq_rel)) continue;
      slot.tag.store(tag, std::memory_order_release);
      slot.time.store(state, std::memory_order_release);
      return true;
    }
  }
  return false;
}

std::optional<RateLimit::Decision> RateLimitTable::charge(std::uint64_t tag, const RateLimit& limit, std::int64_t now,
                                                          std::int64_t cost) {
  tag = tag == 0 ? 1 : tag;  // 0 marks a slot that was never claimed
  const Buckets buckets = buckets_of(tag);
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
    buckets[0]->denied_because_full.fetch_add(1, std::memory_order_relaxed);
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

bool RateLimitTable::forget(std::uint64_t tag, std::int64_t now) {
  tag = tag == 0 ? 1 : tag;
  Slot* slot = find(buckets_of(tag), tag);
  if (slot == nullptr) return false;
  std::int64_t time = slot->time.load(std::memory_order_acquire);
  while (time > now && time != k_being_claimed && slot->tag.load(std::memory_order_acquire) == tag)
    if (slot->time.compare_exchange_weak(time, new_time_of_the_past(*slot), std::memory_order_acq_rel,
                                         std::memory_order_acquire))
      return true;
  return false;
}

RateLimitTable::Use RateLimitTable::use(std::int64_t now) const {
  Use use;
  use.slots = static_cast<std::int64_t>(bucket_count_) * k_slots_of_a_bucket;
  for (const Bucket* bucket = buckets_; bucket != buckets_ + bucket_count_; ++bucket) {
    use.denied_because_full += bucket->denied_because_full.load(std::memory_order_relaxed);
    use.slots_in_use += std::ranges::count_if(
        bucket->slots, [now](const Slot& slot) { return slot.time.load(std::memory_order_relaxed) > now; });
  }
  return use;
}

}  // namespace claude_gpt::core
