// Token usage as the providers of models report it, taken to the counts that are priced.
// Known are the shapes of OpenAI (chat completions, responses, and what is compatible), Anthropic, Gemini, Amazon
// Bedrock and the AI SDK. They differ in whether tokens of a cache are part of the input: told by the names, or by a
// member "convention". 22023 with the JSON path for what is no usage or cannot be told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.hpp"
#include "core/usage.hpp"

namespace claude_gpt::core {

// One call of a model.
struct ModelCall {
  TokenCounts tokens = {};
  std::int64_t reasoning = 0;  // part of the completion
  std::int64_t tool_use = 0;   // part of the prompt
  bool is_known = true;        // false: something was not told, so that it was this much or more

  friend bool operator==(const ModelCall&, const ModelCall&) = default;
};

// An object for one call, or an array of them. A null is a call, or all of them, of which nothing is known, and so is
// an object whose counts are all null: clients give these for a call that was cut off.
std::vector<ModelCall> read_provider_usage(const Json& document);

// What all calls used, at most 2^31 - 1 of each kind (22003).
TokenCounts sum_of(const std::vector<ModelCall>& calls);

// False also where there is no call.
bool are_known(const std::vector<ModelCall>& calls);

// Each call is priced, and rounded, by itself.
Amount cost_of(const ModelPrice& price, const std::vector<ModelCall>& calls);

// What the sum does not tell of the calls, as one text for the same and another for others: empty where it tells all.
std::string receipt_of(const std::vector<ModelCall>& calls);

}  // namespace claude_gpt::core
