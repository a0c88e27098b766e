// Calls of a model that are charged together: what they used, what that costs, and a receipt of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/usage.hpp"

namespace claude_gpt::core {

// One call of a model.
struct ModelCall {
  TokenCounts tokens = {};
  std::int64_t reasoning = 0;  // part of the completion
  std::int64_t tool_use = 0;   // part of the prompt
  bool is_known = true;        // false: something was not told, so that it was this much or more
  bool tells_kinds = true;     // false: a zero says nothing of a kind of tokens

  friend bool operator==(const ModelCall&, const ModelCall&) = default;
};

// What all calls used, at most 2^31 - 1 of each kind (22003).
TokenCounts sum_of(const std::vector<ModelCall>& calls);

// False also where there is no call.
bool are_known(const std::vector<ModelCall>& calls);

// Parts of the prompt and of the completion, as far as they are known.
struct TokenKinds {
  std::optional<std::int64_t> cached_prompt = std::nullopt;
  std::optional<std::int64_t> cache_write = std::nullopt;
  std::optional<std::int64_t> reasoning = std::nullopt;

  friend bool operator==(const TokenKinds&, const TokenKinds&) = default;
};
TokenKinds kinds_of(const std::vector<ModelCall>& calls);

// Each call is priced, and rounded, by itself.
Amount cost_of(const ModelPrice& price, const std::vector<ModelCall>& calls);

// What the sum does not tell of the calls, as one text for the same and another for others: empty where it tells all.
std::string receipt_of(const std::vector<ModelCall>& calls);

}  // namespace claude_gpt::core
