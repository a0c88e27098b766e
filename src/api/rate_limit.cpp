// Topic rate_limit: check_rate_limit(), rate_limit(), reset_rate_limit(), reset_user_rate_limit(), reset_rate_limits(),
// rate_limit_status(), rate_limit_shares().
#include "api/rate_limit.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "api/config.hpp"
#include "api/monitoring.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "api/users.hpp"
#include "bridge/clock.hpp"
#include "bridge/database.hpp"
#include "bridge/entry.hpp"
#include "bridge/random.hpp"
#include "bridge/record.hpp"
#include "bridge/settings.hpp"
#include "bridge/shared_memory.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// What stands at the beginning of the memory, apart from what changes.
struct alignas(core::RateLimitTable::k_bytes_of_a_bucket) Head {
  core::HashSecret secret;
};

std::size_t memory_size() { return sizeof(Head) + settings::rate_limit_memory(); }

void initialize(void* memory) { draw_once(&(::new (memory) Head)->secret, sizeof(core::HashSecret)); }

constinit SharedMemory memory{"claude_gpt rate limits", memory_size, initialize};

const Head& head() {
  if (memory.address() != nullptr) return *static_cast<const Head*>(memory.address());
  throw core::Failure(core::sqlstate::k_not_in_prerequisite_state, "rate limits need the library to be preloaded", {},
                      "Add claude_gpt to shared_preload_libraries and restart the server.");
}

// A flood of free keys, such as addresses, cannot deny users: each kind has half of the memory.
enum class Region { user, key };

core::RateLimitTable table_of(Region region) {
  const std::size_t half = (memory.size() - sizeof(Head)) / 2 / core::RateLimitTable::k_bytes_of_a_bucket *
                           core::RateLimitTable::k_bytes_of_a_bucket;
  auto* first = static_cast<std::byte*>(memory.address()) + sizeof(Head);
  return {region == Region::user ? first : first + half, half};
}

// The hash is of the database and the key: databases share the memory.
core::RateLimitKey key_of(std::string_view key) {
  const std::uint32_t database = current_database_id();
  constexpr std::size_t k_short = 256;
  char on_stack[sizeof database + k_short];
  std::string on_heap;
  char* bytes = on_stack;
  if (key.size() > k_short) {
    on_heap.resize(sizeof database + key.size());
    bytes = on_heap.data();
  }
  std::memcpy(bytes, &database, sizeof database);
  std::memcpy(bytes + sizeof database, key.data(), key.size());
  return {core::keyed_hash(head().secret, {bytes, sizeof database + key.size()}), database};
}

core::RateLimitKey key_of(const core::Uuid& user_id) {
  return key_of(std::string_view{reinterpret_cast<const char*>(user_id.bytes.data()), user_id.bytes.size()});
}

// From 2000 to 2245: the clock is held elsewhere only for tests.
std::int64_t nanoseconds_of(core::Instant moment) {
  constexpr std::int64_t k_latest = std::int64_t{245} * 365 * core::k_microseconds_per_day;
  return std::clamp<std::int64_t>(moment.microseconds, 1, k_latest) * 1000;
}

constinit RowType rate_row{out::k_check_rate_limit};
static_assert(std::ranges::equal(out::k_check_rate_limit, out::k_rate_limit, k_same_column));

// Rounded up.
std::int32_t seconds_of(std::int64_t nanoseconds) {
  constexpr std::int64_t k_second = 1'000'000'000;
  return static_cast<std::int32_t>((nanoseconds + k_second - 1) / k_second);
}

Value row_of(const RateDecision& decision) {
  const auto& made = decision.made;
  const bool allowed = decision.is_allowed();
  const core::ReasonText text = core::text_of(decision.reason());
  return rate_row.row({Value::of(allowed), Value::of(static_cast<std::int32_t>(decision.limit)),
                       Value::of(made ? static_cast<std::int32_t>(made->remaining) : 0),
                       Value::or_null(decision.retry_after()),
                       made ? Value::of(seconds_of(made->reset_after)) : Value::null(),
                       allowed ? Value::null() : Value::palloced(text.name),
                       allowed ? Value::null() : Value::palloced(std::string_view{text.error_code}),
                       allowed ? Value::null() : Value::of(text.http_status)});
}

Value counted_row_of(core::Decider decider, const RateDecision& decision) {
  count_decision(decider, decision.reason());
  return row_of(decision);
}

std::int32_t require_cost(const Call& call, const Parameter<std::int32_t>& p_cost) {
  const auto cost = call.required(p_cost);
  require_not_negative(cost, "p_cost");
  return cost;
}

std::string_view require_key(const Call& call, const Parameter<std::string_view>& p_key) {
  const auto key = call.required(p_key);
  if (!key.empty()) return key;
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_key must not be empty");
}

core::RateLimitTable::Use use_of(Region region) {
  return table_of(region).use(current_database_id(), nanoseconds_of(clock::now()));
}

void add_use(ResultSet& result, const char* name, Region region) {
  const core::RateLimitTable::Share all = use_of(region).all;
  result.add({Value::palloced(std::string_view{name}), Value::of(all.slots), Value::of(all.slots_in_use),
              Value::of(all.denied_because_full)});
}

void add_share(ResultSet& result, const char* region, const char* periods, const core::RateLimitTable::Share& share,
               Value evicted) {
  result.add({Value::palloced(std::string_view{region}), Value::palloced(std::string_view{periods}),
              Value::of(share.slots), Value::of(share.slots_in_use), Value::of(share.database_slots_in_use),
              Value::of(share.denied_because_full), evicted});
}

}  // namespace

void reserve_rate_limits() { memory.reserve(); }

core::Reason RateDecision::reason() const {
  if (!made) return core::Reason::capacity;
  return made->is_allowed ? core::Reason::none : core::Reason::rate_limited;
}

std::optional<std::int32_t> RateDecision::retry_after() const {
  if (!made) return 1;  // the next second may find a free slot
  if (made->is_allowed || !made->retry_after) return std::nullopt;
  return seconds_of(*made->retry_after);
}

RateDecision charge_user(const core::Uuid& user_id, std::int64_t per_minute, std::int64_t cost, core::Instant now) {
  constexpr std::int64_t k_minute = 60'000'000'000;
  return {table_of(Region::user)
              .charge(key_of(user_id), *core::RateLimit::of(per_minute, k_minute), nanoseconds_of(now), cost),
          per_minute};
}

CLAUDE_GPT_FUNCTION(check_rate_limit) {
  const auto user_id = call.required(arg::check_rate_limit::p_user_id);
  const std::int32_t cost = require_cost(call, arg::check_rate_limit::p_cost);
  require_current_tables();
  head();
  const core::Instant now = clock::now();
  store::StoredRow<store::Users> found{user_id};
  found.open(store::RowUse::read);
  const UserRow user = require_user(found, user_id);
  const core::Configuration& config = configuration();
  const auto per_minute =
      config.rate_limit(core::effective_tier(user.subscription(), now, config.subscription_grace()));
  found.finish();
  if (per_minute) return counted_row_of(core::Decider::check_rate_limit, charge_user(user_id, *per_minute, cost, now));
  count_decision(core::Decider::check_rate_limit, core::Reason::none);
  return rate_row.row({Value::of(true), Value::null(), Value::null(), Value::null(), Value::null(), Value::null(),
                       Value::null(), Value::null()});
}

CLAUDE_GPT_FUNCTION(rate_limit) {
  const std::string_view key = require_key(call, arg::rate_limit::p_key);
  const auto limit = call.required(arg::rate_limit::p_limit);
  const auto period = call.required(arg::rate_limit::p_period);
  const std::int32_t cost = require_cost(call, arg::rate_limit::p_cost);
  std::int64_t nanoseconds = 0;
  const auto rate = __builtin_mul_overflow(period.microseconds, 1000, &nanoseconds)
                        ? std::nullopt
                        : core::RateLimit::of(limit, nanoseconds);
  if (!rate)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_limit and p_period are out of range",
                        "The limit is from 1 to 1000000000, the period from a nanosecond for each unit to 366 days.");
  const core::RateLimitKey hashed = key_of(key);
  return counted_row_of(core::Decider::rate_limit,
                        {table_of(Region::key).charge(hashed, *rate, nanoseconds_of(clock::now()), cost), limit});
}

CLAUDE_GPT_FUNCTION(reset_rate_limit) {
  const core::RateLimitKey key = key_of(require_key(call, arg::reset_rate_limit::p_key));
  return Value::of(table_of(Region::key).forget(key, nanoseconds_of(clock::now())));
}

CLAUDE_GPT_FUNCTION(reset_user_rate_limit) {
  const core::RateLimitKey key = key_of(call.required(arg::reset_user_rate_limit::p_user_id));
  return Value::of(table_of(Region::user).forget(key, nanoseconds_of(clock::now())));
}

CLAUDE_GPT_FUNCTION(reset_rate_limits) {
  head();
  const std::int64_t now = nanoseconds_of(clock::now());
  std::int64_t forgotten = 0;
  for (const Region region : {Region::user, Region::key})
    forgotten += table_of(region).forget_all(current_database_id(), now);
  return Value::of(forgotten);
}

CLAUDE_GPT_FUNCTION(rate_limit_status) {
  head();
  ResultSet result{call};
  add_use(result, "user", Region::user);
  add_use(result, "key", Region::key);
  return no_result();
}

CLAUDE_GPT_FUNCTION(rate_limit_shares) {
  head();
  const core::RateLimitTable::Use users = use_of(Region::user);
  const core::RateLimitTable::Use keys = use_of(Region::key);
  ResultSet result{call};
  add_share(result, "user", "any", users.all, Value::of(users.evicted));
  add_share(result, "key", "any", keys.all, Value::of(keys.evicted));
  add_share(result, "key", "long", keys.long_periods, Value::null());
  return no_result();
}

}  // namespace claude_gpt::api
