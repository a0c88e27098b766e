// Token usage as the providers of models report it, taken to the counts that are priced.
// Known are the shapes of OpenAI (chat completions, responses, and what is compatible), Anthropic, Gemini, Amazon
// Bedrock and the AI SDK. They differ in whether tokens of a cache are part of the input: told by the names, or by a
// member "convention". 22023 with the JSON path for what is no usage or cannot be told.
#pragma once

#include <vector>

#include "core/json.hpp"
#include "core/model_calls.hpp"

namespace claude_gpt::core {

// An object for one call, or an array of them. A null is a call, or all of them, of which nothing is known, and so is
// an object whose counts are all null: clients give these for a call that was cut off.
std::vector<ModelCall> read_provider_usage(const Json& document);

}  // namespace claude_gpt::core
