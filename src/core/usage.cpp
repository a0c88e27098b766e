#include "core/usage.hpp"

#include <algorithm>

#include "core/failure.hpp"

namespace claude_gpt::core {

namespace {

constexpr std::int64_t k_tokens_priced = 1'000'000;

Amount rounded_cost(Int128 units_times_tokens) {
  return Amount::from_units((units_times_tokens + k_tokens_priced / 2) / k_tokens_priced);
}

}  // namespace

std::optional<Action> parse_action(std::string_view name) {
  if (name == "message") return Action::message;
  if (name == "token") return Action::token;
  if (name == "api_call") return Action::api_call;
  return std::nullopt;
}

MonthlyUsage usage_in_month(const MonthlyUsage& stored, Date month_first_day) {
  if (stored.counted_from < month_first_day) return {month_first_day, 0, 0, 0, Amount{}};
  return stored;
}

Amount cost_of(const ModelPrice& price, const TokenCounts& tokens) {
  const std::int64_t uncached = tokens.prompt - tokens.cached_prompt - tokens.cache_write;
  const std::int64_t written_for_minutes = tokens.cache_write - tokens.cache_write_1h;
  return rounded_cost(price.prompt.units() * uncached + price.cached_prompt.units() * tokens.cached_prompt +
                      price.cache_write.units() * written_for_minutes +
                      price.cache_write_1h.units() * tokens.cache_write_1h +
                      price.completion.units() * tokens.completion);
}

Amount highest_cost_of(const ModelPrice& price, std::int64_t tokens) {
  const Amount dearest =
      std::max({price.prompt, price.cached_prompt, price.cache_write, price.cache_write_1h, price.completion});
  Int128 product = 0;
  if (__builtin_mul_overflow(dearest.units(), Int128{tokens}, &product))
    throw Failure(sqlstate::k_numeric_value_out_of_range, "cost is out of range");
  return rounded_cost(product);
}

}  // namespace claude_gpt::core
