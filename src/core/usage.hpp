// What a user has used this billing month, and what it costs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/amount.hpp"
#include "core/calendar.hpp"
#include "core/config.hpp"

namespace claude_gpt::core {

enum class Action { message, token, api_call };

std::optional<Action> parse_action(std::string_view name);
constexpr std::string_view name_of(Action action) {
  switch (action) {
    case Action::message: return "message";
    case Action::token: return "token";
    case Action::api_call: return "api_call";
  }
  return {};
}

// The monthly counters of a users row, and the day from which they count.
struct MonthlyUsage {
  Date counted_from;
  std::int64_t messages = 0;
  std::int64_t tokens = 0;
  std::int64_t api_calls = 0;
  Amount cost;
};

// Counters from before the month's first day belong to a lapsed month and count as zero.
MonthlyUsage usage_in_month(const MonthlyUsage& stored, Date month_first_day);

// The tokens of one answer. Those read from and written to a prompt cache are part of the prompt, and those written for
// an hour part of the written.
struct TokenCounts {
  std::int64_t prompt = 0;
  std::int64_t completion = 0;
  std::int64_t cached_prompt = 0;
  std::int64_t cache_write = 0;
  std::int64_t cache_write_1h = 0;

  friend bool operator==(const TokenCounts&, const TokenCounts&) = default;
  std::int64_t total() const { return prompt + completion; }
  bool is_sound() const {
    return prompt >= 0 && completion >= 0 && cached_prompt >= 0 && cache_write >= 0 && cache_write_1h >= 0 &&
           cached_prompt + cache_write <= prompt && cache_write_1h <= cache_write;
  }
};

// Rounded half up at the ninth place, once for all kinds. Counts up to 2^31 each.
Amount cost_of(const ModelPrice& price, const TokenCounts& tokens);

// What an estimate of tokens, of which the kinds are not known yet, costs at most. 22003 if no amount can hold it.
Amount highest_cost_of(const ModelPrice& price, std::int64_t tokens);

}  // namespace claude_gpt::core
