// Whether a plan leaves room for what a call asks, and what the answer says.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "core/config.hpp"
#include "core/failure.hpp"
#include "core/usage.hpp"

namespace claude_gpt::core {

// The limits of a plan, in the order in which they are asked.
enum class Limit { message, token, api_call, cost };

std::string_view name_of(Limit limit);
std::optional<Limit> parse_limit(std::string_view name);

// What the open reservations of a user hold back.
struct Holds {
  std::int64_t messages = 0;
  std::int64_t tokens = 0;
  Amount cost;
};

// What a call wants to count or to hold. Every call needs a cost limit that is not used up.
struct Demand {
  std::int64_t messages = 0;
  std::int64_t tokens = 0;
  std::int64_t api_calls = 0;
  Amount cost;
  // Tokens will be spent whose number is not known yet: even an estimate of none needs a limit that is not used up.
  bool will_spend_tokens = false;
  // Of a model whose tokens nobody could price.
  bool is_unpriced = false;

  bool concerns(Limit limit) const;
  // The limit that an admission tells about.
  Limit main_limit() const { return messages > 0 ? Limit::message : api_calls > 0 ? Limit::api_call : Limit::token; }
};

// A quantity of an action alone.
Demand demand_of(Action action, std::int64_t quantity = 1);

// One limit as a client is told: whole units, for a cost millionths of the currency unit (used and held rounded up,
// the limit and what remains rounded down).
struct Standing {
  Limit limit = Limit::message;
  std::optional<std::int64_t> limit_value;  // nullopt: unlimited, as is what remains
  std::int64_t used = 0;
  std::int64_t held = 0;
  std::optional<std::int64_t> remaining;
};

Standing standing_of(const Limits& limits, const MonthlyUsage& used, const Holds& held, Limit limit);

// The first limit that does not leave room; nullopt if all do.
std::optional<Limit> exceeded_limit(const Limits& limits, const MonthlyUsage& used, const Holds& held,
                                    const Demand& demand);

// When a demand that was denied may be admitted: never (nullopt) if it is more than a whole limit; when the month ends
// if even without holds there is no room; otherwise as soon as the first hold expires.
std::optional<Instant> retry_at(const Limits& limits, const MonthlyUsage& used, const Demand& demand,
                                Instant first_hold_expiry, Instant month_ends);

// Until when a hold that began then and ends then lasts if its time to live begins again now: nullopt while half of it
// is left, and once it has ended.
std::optional<Instant> renewed_expiry(Instant since, Instant until, Instant now);

// Whole seconds from now, rounded up, at least 0; what does not fit an integer is its largest value.
std::int32_t seconds_until(Instant moment, Instant now);

enum class Reason {
  none,
  quota_exceeded,
  rate_limited,
  model_not_in_plan,
  maintenance,
  capacity,
  price_unknown,
  too_many_turns
};

struct ReasonText {
  std::string_view name;   // of the column "reason"
  const char* error_code;  // SQLSTATE
  std::int32_t http_status;
  const char* message;  // of the error
};

// Not for Reason::none.
ReasonText text_of(Reason reason);

// nullopt for what is no reason.
std::optional<Reason> parse_reason(std::string_view name);

// One text for what a call is: the same for the same call, and another for every other. NULL is no empty text.
std::string call_fingerprint(std::initializer_list<std::optional<std::string_view>> parts);

}  // namespace claude_gpt::core
