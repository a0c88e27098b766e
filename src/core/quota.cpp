#include "core/quota.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "core/future.hpp"

namespace claude_gpt::core {

namespace {

constexpr std::array k_limits = {Limit::message, Limit::token, Limit::api_call, Limit::cost};

constexpr std::int64_t k_units_per_millionth = Amount::k_units_per_one / 1'000'000;

// Sums of counters may pass what 64 bits hold.
template <typename Quantity> struct Account {
  std::optional<Quantity> limit;
  Quantity used;
  Quantity held;
  Quantity asked;

  // Nothing asked, or nothing known, still needs a limit that is not used up.
  bool has_room() const { return !limit || (used + held + asked <= *limit && used + held < *limit); }
  bool may_ever_have_room() const { return !limit || (asked <= *limit && Quantity{} < *limit); }
};

Int128 wide(std::int64_t value) { return value; }

std::optional<Int128> wide(const std::optional<std::int64_t>& value) {
  return value ? std::optional<Int128>{*value} : std::nullopt;
}

// Costs are counted in their units, so that all limits are asked alike.
Account<Int128> account_of(const Limits& limits, const MonthlyUsage& used, const Holds& held, const Demand& demand,
                           Limit limit) {
  switch (limit) {
    case Limit::message:
      return {wide(limits.messages), wide(used.messages), wide(held.messages), wide(demand.messages)};
    case Limit::token: return {wide(limits.tokens), wide(used.tokens), wide(held.tokens), wide(demand.tokens)};
    case Limit::api_call: return {wide(limits.api_calls), wide(used.api_calls), 0, wide(demand.api_calls)};
    case Limit::cost: break;
  }
  const auto cost_limit = limits.cost ? std::optional<Int128>{limits.cost->units()} : std::nullopt;
  return {cost_limit, used.cost.units(), held.cost.units(), demand.cost.units()};
}

std::int64_t narrow(Int128 value) {
  constexpr Int128 k_most = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::clamp(value, -k_most, k_most));
}

Int128 rounded_up(Int128 value, std::int64_t divisor) {
  return value <= 0 ? value / divisor : (value + divisor - 1) / divisor;
}

}  // namespace

std::string_view name_of(Limit limit) {
  switch (limit) {
    case Limit::message: return "message";
    case Limit::token: return "token";
    case Limit::api_call: return "api_call";
    case Limit::cost: return "cost";
  }
  return {};
}

std::optional<Limit> parse_limit(std::string_view name) {
  const auto found = std::ranges::find_if(k_limits, [&](Limit limit) { return name_of(limit) == name; });
  return found == k_limits.end() ? std::nullopt : std::optional{*found};
}

bool Demand::concerns(Limit limit) const {
  switch (limit) {
    case Limit::message: return messages > 0;
    case Limit::token: return tokens > 0 || will_spend_tokens;
    case Limit::api_call: return api_calls > 0;
    case Limit::cost: break;
  }
  return true;
}

Demand demand_of(Action action, std::int64_t quantity) {
  Demand demand;
  (action == Action::message ? demand.messages : action == Action::token ? demand.tokens : demand.api_calls) = quantity;
  return demand;
}

Standing standing_of(const Limits& limits, const MonthlyUsage& used, const Holds& held, Limit limit) {
  const Account<Int128> account = account_of(limits, used, held, {}, limit);
  const std::int64_t unit = limit == Limit::cost ? k_units_per_millionth : 1;
  Standing standing{limit, std::nullopt, narrow(rounded_up(account.used, unit)), narrow(rounded_up(account.held, unit)),
                    std::nullopt};
  if (!account.limit) return standing;
  standing.limit_value = narrow(*account.limit / unit);
  standing.remaining = narrow(std::max<Int128>(*account.limit - account.used - account.held, 0) / unit);
  return standing;
}

std::optional<Limit> exceeded_limit(const Limits& limits, const MonthlyUsage& used, const Holds& held,
                                    const Demand& demand) {
  for (const Limit limit : k_limits)
    if (demand.concerns(limit) && !account_of(limits, used, held, demand, limit).has_room()) return limit;
  return std::nullopt;
}

std::optional<Instant> retry_at(const Limits& limits, const MonthlyUsage& used, const Demand& demand,
                                Instant first_hold_expiry, Instant month_ends) {
  bool needs_new_month = false;
  for (const Limit limit : k_limits) {
    if (!demand.concerns(limit)) continue;
    const Account<Int128> account = account_of(limits, used, {}, demand, limit);
    if (!account.may_ever_have_room()) return std::nullopt;
    needs_new_month = needs_new_month || !account.has_room();
  }
  return needs_new_month ? month_ends : std::min(first_hold_expiry, month_ends);
}

std::optional<Instant> renewed_expiry(Instant since, Instant until, Instant now) {
  const Int128 length = Int128{until.microseconds} - since.microseconds;
  const Int128 left = Int128{until.microseconds} - now.microseconds;
  constexpr Int128 k_longest = k_longest_hold.microseconds;  // also where a clock was wrong when it began
  if (length <= 0 || left <= 0 || left * 2 >= length) return std::nullopt;
  return now + Duration{static_cast<std::int64_t>(std::min(length, k_longest))};
}

std::int32_t seconds_until(Instant moment, Instant now) {
  const Int128 microseconds = std::max<Int128>(Int128{moment.microseconds} - now.microseconds, 0);
  constexpr Int128 k_most = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::int32_t>(std::min((microseconds + 999'999) / 1'000'000, k_most));
}

ReasonText text_of(Reason reason) {
  switch (reason) {
    case Reason::quota_exceeded: return {"quota_exceeded", sqlstate::k_quota_exceeded, 402, "quota is exceeded"};
    case Reason::rate_limited: return {"rate_limited", sqlstate::k_rate_limited, 429, "rate limit is exceeded"};
    case Reason::model_not_in_plan:
      return {"model_not_in_plan", sqlstate::k_model_not_in_plan, 403, "model is not in the plan of the user"};
    case Reason::maintenance: return {"maintenance", sqlstate::k_maintenance, 503, "maintenance mode is on"};
    case Reason::capacity: return {"capacity", sqlstate::k_capacity, 503, "memory for rate limits is full"};
    case Reason::price_unknown:
      return {"price_unknown", sqlstate::k_price_unknown, 403, "price of the model is not known"};
    case Reason::too_many_turns:
      return {"too_many_turns", sqlstate::k_too_many_turns, 429, "user has as many turns at once as the plan admits"};
    case Reason::none: break;
  }
  return {"", "00000", 200, ""};
}

std::optional<Reason> parse_reason(std::string_view name) {
  for (const Reason reason : {Reason::quota_exceeded, Reason::rate_limited, Reason::model_not_in_plan,
                              Reason::maintenance, Reason::capacity, Reason::price_unknown, Reason::too_many_turns})
    if (text_of(reason).name == name) return reason;
  return std::nullopt;
}

std::string call_fingerprint(std::initializer_list<std::optional<std::string_view>> parts) {
  std::string fingerprint;
  for (const auto& part : parts) {
    // The length goes before the text, so that no text can look like the border between two.
    fingerprint += part ? std::to_string(part->size()) + ":" : "-";
    if (part) fingerprint += *part;
    fingerprint += ';';
  }
  return fingerprint;
}

}  // namespace claude_gpt::core
