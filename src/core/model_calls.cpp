#include "core/model_calls.hpp"

#include <algorithm>
#include <limits>

#include "core/failure.hpp"

namespace claude_gpt::core {

TokenCounts sum_of(const std::vector<ModelCall>& calls) {
  constexpr std::int64_t k_most = std::numeric_limits<std::int32_t>::max();
  TokenCounts sum;
  for (const ModelCall& call : calls) {
    sum.prompt += call.tokens.prompt;
    sum.completion += call.tokens.completion;
    sum.cached_prompt += call.tokens.cached_prompt;
    sum.cache_write += call.tokens.cache_write;
    sum.cache_write_1h += call.tokens.cache_write_1h;
    if (sum.prompt > k_most || sum.completion > k_most)
      throw Failure(sqlstate::k_numeric_value_out_of_range, "p_usage has too many tokens");
  }
  return sum;
}

bool are_known(const std::vector<ModelCall>& calls) {
  return !calls.empty() && std::ranges::all_of(calls, &ModelCall::is_known);
}

TokenKinds kinds_of(const std::vector<ModelCall>& calls) {
  std::int64_t cached_prompt = 0, cache_write = 0, reasoning = 0;
  for (const ModelCall& call : calls) {
    cached_prompt += call.tokens.cached_prompt;
    cache_write += call.tokens.cache_write;
    reasoning += call.reasoning;
  }
  const bool are_told = are_known(calls) && std::ranges::all_of(calls, &ModelCall::tells_kinds);
  const auto known = [=](std::int64_t count) { return are_told || count > 0 ? std::optional{count} : std::nullopt; };
  return {known(cached_prompt), known(cache_write), known(reasoning)};
}

Amount cost_of(const ModelPrice& price, const std::vector<ModelCall>& calls) {
  Amount cost;
  for (const ModelCall& call : calls) cost += cost_of(price, call.tokens);
  return cost;
}

std::string receipt_of(const std::vector<ModelCall>& calls) {
  const bool is_told_by_sum = calls.size() <= 1 && std::ranges::all_of(calls, [](const ModelCall& call) {
                                return call.reasoning == 0 && call.tool_use == 0 && call.tokens.cache_write_1h == 0 &&
                                       (call.is_known || call.tokens.total() == 0);
                              });
  if (is_told_by_sum) return {};
  std::string receipt;
  for (const ModelCall& call : calls) {
    if (!receipt.empty()) receipt += "; ";
    receipt += "prompt " + std::to_string(call.tokens.prompt);
    const auto add = [&](const char* name, std::int64_t count) {
      if (count != 0) receipt += std::string(", ") + name + " " + std::to_string(count);
    };
    add("cached", call.tokens.cached_prompt);
    add("written", call.tokens.cache_write);
    add("written for an hour", call.tokens.cache_write_1h);
    add("tool use", call.tool_use);
    receipt += ", completion " + std::to_string(call.tokens.completion);
    add("reasoning", call.reasoning);
    if (!call.is_known) receipt += ", or more";
  }
  return receipt;
}

}  // namespace claude_gpt::core
