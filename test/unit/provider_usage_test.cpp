#include "core/provider_usage.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/failure.hpp"
#include "json_literal.hpp"

namespace claude_gpt::core {
namespace {

using namespace std::string_view_literals;

Json parsed(const std::string& text) { return JsonReader{text}.read_document(); }

std::vector<ModelCall> read(const std::string& text) { return read_provider_usage(parsed(text)); }

ModelCall read_one(const std::string& text) {
  const auto calls = read(text);
  EXPECT_EQ(calls.size(), 1u) << text;
  return calls.empty() ? ModelCall{} : calls.front();
}

// The code, and the detail of what was refused.
std::string refusal_of(const Json& document) {
  try {
    sum_of(read_provider_usage(document));
  } catch (const Failure& failure) {
    return failure.code() + (failure.detail().empty() ? ": " + failure.message() : ": " + failure.detail());
  }
  return {};
}
std::string refusal(const std::string& text) { return refusal_of(parsed(text)); }

bool is_untold(const std::string& text) {
  try {
    read(text);
  } catch (const Failure& failure) {
    return failure.code() == "22023"sv && failure.hint().find("\"convention\"") != std::string::npos;
  }
  return false;
}

// prompt, completion, cached, written, written for an hour
constexpr TokenCounts tokens(std::int64_t prompt, std::int64_t completion, std::int64_t cached = 0,
                             std::int64_t written = 0, std::int64_t written_1h = 0) {
  return {prompt, completion, cached, written, written_1h};
}

// --- Shapes, as they are published ---

TEST(provider_usage, openai_chat_has_cached_and_reasoning_tokens_inside) {
  const ModelCall call = read_one(R"({"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 128, "audio_tokens": 0, "accepted_prediction_tokens": 7,
                                  "rejected_prediction_tokens": 9}})");
  EXPECT_EQ(call, (ModelCall{tokens(2006, 300, 1920), 128, 0, true}));
}

TEST(provider_usage, openai_chat_has_cache_writes_inside) {
  EXPECT_EQ(read_one(R"({"prompt_tokens":2000,"completion_tokens":20,"total_tokens":2020,
    "prompt_tokens_details":{"cached_tokens":1152,"cache_write_tokens":256}})")
                .tokens,
            tokens(2000, 20, 1152, 256));
}

TEST(provider_usage, openai_responses_have_cached_and_reasoning_tokens_inside) {
  EXPECT_EQ(read_one(R"({"input_tokens": 19681, "input_tokens_details": {"cached_tokens": 3712},
    "output_tokens": 3773, "output_tokens_details": {"reasoning_tokens": 3136}, "total_tokens": 23454})"),
            (ModelCall{tokens(19681, 3773, 3712), 3136, 0, true}));
}

TEST(provider_usage, anthropic_s_input_leaves_out_what_a_cache_read_and_wrote) {
  EXPECT_EQ(read_one(R"({"input_tokens":6,"cache_creation_input_tokens":3337,"cache_read_input_tokens":6289,
    "output_tokens":198,"output_tokens_details":{"thinking_tokens":57},
    "server_tool_use":{"web_search_requests":0,"web_fetch_requests":0}})"),
            (ModelCall{tokens(9632, 198, 6289, 3337), 57, 0, true}));
}

TEST(provider_usage, anthropic_s_writes_are_told_apart_by_their_life) {
  EXPECT_EQ(read_one(R"({"input_tokens": 2048, "cache_read_input_tokens": 1800, "cache_creation_input_tokens": 248,
    "output_tokens": 503, "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
    "service_tier": "standard", "inference_geo": "not_available"})")
                .tokens,
            tokens(4096, 503, 1800, 248, 100));
  // Only by their life.
  EXPECT_EQ(read_one(R"({"input_tokens": 10, "output_tokens": 1,
    "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 3}})")
                .tokens,
            tokens(20, 1, 0, 10, 3));
}

TEST(provider_usage, anthropic_without_a_cache_is_read_as_it_is) {
  EXPECT_EQ(read_one(R"({"input_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens": 29,
    "service_tier": "standard", "inference_geo": "not_available"})"),
            (ModelCall{tokens(12, 29), 0, 0, true}));
}

// The compaction of 60385 tokens is not in the counts of the message.
TEST(provider_usage, each_sampling_of_an_anthropic_message_is_a_call) {
  const auto calls = read(R"({"input_tokens": 682, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
    "iterations": [
      {"input_tokens": 60385, "output_tokens": 592, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
       "type": "compaction"},
      {"input_tokens": 682, "output_tokens": 1320, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 0,
       "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "type": "message"}],
    "output_tokens": 1320, "server_tool_use": {"web_search_requests": 0}})");
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].tokens, tokens(60385, 592));
  EXPECT_EQ(calls[1].tokens, tokens(687, 1320, 5));
}

TEST(provider_usage, samplings_do_not_make_a_message_cheaper_or_count_for_another_model_s_answer) {
  EXPECT_EQ(read_one(R"({"input_tokens": 50, "output_tokens": 20, "iterations": []})").tokens, tokens(50, 20));
  EXPECT_EQ(read_one(R"({"input_tokens": 50, "output_tokens": 20, "iterations": null})").tokens, tokens(50, 20));
  EXPECT_EQ(read_one(R"({"input_tokens": 50, "output_tokens": 20,
    "iterations": [{"input_tokens": 1, "output_tokens": 1, "type": "message"}]})")
                .tokens,
            tokens(50, 20));
  EXPECT_EQ(read_one(R"({"input_tokens": 50, "output_tokens": 20,
    "iterations": [{"input_tokens": 900, "output_tokens": 0, "type": "message"},
                   {"input_tokens": 50, "output_tokens": 20, "type": "fallback_message"}]})")
                .tokens,
            tokens(50, 20));
  EXPECT_EQ(refusal(R"([{"input_tokens": 5, "output_tokens": 2, "iterations": [7]}])"),
            "22023: $[0].iterations[0] must be an object.");
}

TEST(provider_usage, gemini_s_thoughts_and_tools_come_on_top) {
  EXPECT_EQ(read_one(R"({"promptTokenCount": 55, "candidatesTokenCount": 51, "totalTokenCount": 251,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 55}], "toolUsePromptTokenCount": 89,
    "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 89}], "thoughtsTokenCount": 56,
    "serviceTier": "standard"})"),
            (ModelCall{tokens(144, 107), 56, 89, true}));
}

TEST(provider_usage, gemini_s_cached_content_is_inside_the_prompt) {
  EXPECT_EQ(read_one(R"({"promptTokenCount": 19, "cachedContentTokenCount": 3, "candidatesTokenCount": 4,
    "toolUsePromptTokenCount": 63, "thoughtsTokenCount": 56, "totalTokenCount": 142,
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 3}]})"),
            (ModelCall{tokens(82, 60, 3), 56, 63, true}));
}

TEST(provider_usage, what_gemini_leaves_out_is_zero) {
  EXPECT_EQ(read_one(R"({"promptTokenCount": 12, "totalTokenCount": 12})"), (ModelCall{tokens(12, 0), 0, 0, true}));
  EXPECT_EQ(read_one(R"({"promptTokenCount": 12, "thoughtsTokenCount": 30, "totalTokenCount": 42})"),
            (ModelCall{tokens(12, 30), 30, 0, true}));
}

TEST(provider_usage, results_of_the_ai_sdk_have_the_cache_inside) {
  EXPECT_EQ(read_one(R"({"inputTokens": 9632, "outputTokens": 198, "totalTokens": 9830,
    "inputTokenDetails": {"noCacheTokens": 6, "cacheReadTokens": 6289, "cacheWriteTokens": 3337},
    "outputTokenDetails": {"textTokens": 141, "reasoningTokens": 57}, "cachedInputTokens": 6289, "reasoningTokens": 57,
    "raw": {"input_tokens": 6, "cache_read_input_tokens": 6289}})"),
            (ModelCall{tokens(9632, 198, 6289, 3337), 57, 0, true}));
}

TEST(provider_usage, models_of_the_ai_sdk_are_read_too) {
  EXPECT_EQ(read_one(R"({"inputTokens": {"total": 9632, "noCache": 6, "cacheRead": 6289, "cacheWrite": 3337},
    "outputTokens": {"total": 198, "text": 141, "reasoning": 57}, "raw": {"cache_read_input_tokens": 6289}})"),
            (ModelCall{tokens(9632, 198, 6289, 3337), 57, 0, true}));
}

TEST(provider_usage, anything_of_the_ai_sdk_may_be_undefined) {
  EXPECT_EQ(read_one(R"({"inputTokens": 10, "inputTokenDetails": {}, "outputTokens": 3, "outputTokenDetails": {}})"),
            (ModelCall{tokens(10, 3), 0, 0, true}));
  EXPECT_EQ(read_one(R"({"inputTokens": 10, "inputTokenDetails": {"noCacheTokens": null, "cacheReadTokens": null},
    "outputTokens": 3, "outputTokenDetails": null, "totalTokens": null, "cachedInputTokens": null})"),
            (ModelCall{tokens(10, 3), 0, 0, true}));
  // The parts without the whole.
  EXPECT_EQ(read_one(R"({"inputTokenDetails": {"noCacheTokens": 4, "cacheReadTokens": 5, "cacheWriteTokens": 6},
    "outputTokenDetails": {"textTokens": 7, "reasoningTokens": 8}})"),
            (ModelCall{tokens(15, 15, 5, 6), 8, 0, true}));
  EXPECT_EQ(read_one(R"({"inputTokens": {}, "outputTokens": {}})"), (ModelCall{.is_known = false}));
  EXPECT_EQ(read_one(R"({"inputTokenDetails": {}, "outputTokenDetails": {}})"), (ModelCall{.is_known = false}));
  EXPECT_EQ(read_one(R"({"inputTokens": null, "outputTokens": null})"), (ModelCall{.is_known = false}));
}

TEST(provider_usage, bedrock_s_input_leaves_out_the_cache) {
  EXPECT_EQ(read_one(R"({"inputTokens": 6, "outputTokens": 198, "totalTokens": 9830, "cacheReadInputTokens": 6289,
    "cacheWriteInputTokens": 3337, "cacheDetails": [{"ttl": "1h", "inputTokens": 337}, {"ttl": "5m", "inputTokens": 3000}]})"),
            (ModelCall{tokens(9632, 198, 6289, 3337, 337), 0, 0, true}));
}

TEST(provider_usage, compatible_services_name_their_cache_elsewhere) {
  // DeepSeek, Moonshot.
  EXPECT_EQ(read_one(R"({"prompt_tokens":339,"completion_tokens":83,"total_tokens":422,
    "completion_tokens_details":{"reasoning_tokens":39},"prompt_cache_hit_tokens":320,"prompt_cache_miss_tokens":19})"),
            (ModelCall{tokens(339, 83, 320), 39, 0, true}));
  EXPECT_EQ(read_one(R"({"prompt_tokens":19,"completion_tokens":21,"total_tokens":40,"cached_tokens":10})").tokens,
            tokens(19, 21, 10));
}

// --- What is counted on top ---

TEST(provider_usage, a_total_above_its_parts_counts_reasoning_on_top_of_the_output) {
  // xAI
  EXPECT_EQ(read_one(R"({"prompt_tokens":12,"completion_tokens":2,"total_tokens":354,
    "prompt_tokens_details":{"text_tokens":12,"audio_tokens":0,"image_tokens":0,"cached_tokens":11},
    "completion_tokens_details":{"reasoning_tokens":340,"audio_tokens":0},"num_sources_used":0})"),
            (ModelCall{tokens(12, 342, 11), 340, 0, true}));
  EXPECT_EQ(read_one(R"({"prompt_tokens":12,"completion_tokens":400,"total_tokens":452,
    "completion_tokens_details":{"reasoning_tokens":40}})"),
            (ModelCall{tokens(12, 440), 40, 0, true}));
  // Gemini by the names of OpenAI; results of the AI SDK 5 with a model of Google.
  EXPECT_EQ(read_one(R"({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 530})").tokens, tokens(10, 520));
  EXPECT_EQ(read_one(R"({"inputTokens": 10, "outputTokens": 20, "totalTokens": 530, "reasoningTokens": 500})").tokens,
            tokens(10, 520));
}

TEST(provider_usage, a_total_below_its_parts_changes_nothing) {
  EXPECT_EQ(read_one(R"({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 0})").tokens, tokens(10, 20));
  EXPECT_EQ(
      read_one(
          R"({"inputTokens": 10, "outputTokens": 20, "totalTokens": 30, "cachedInputTokens": 99, "convention": "anthropic"})")
          .tokens,
      tokens(109, 20, 99));
}

TEST(provider_usage, reasoning_above_the_output_is_on_top_of_it) {
  EXPECT_EQ(
      read_one(R"({"prompt_tokens":12,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":340}})")
          .tokens,
      tokens(12, 342));
}

TEST(provider_usage, what_is_missing_comes_from_the_total) {
  EXPECT_EQ(read_one(R"({"prompt_tokens": 8, "total_tokens": 8})"), (ModelCall{tokens(8, 0), 0, 0, true}));
  EXPECT_EQ(read_one(R"({"prompt_tokens": 8, "total_tokens": 20})"), (ModelCall{tokens(8, 12), 0, 0, true}));
  EXPECT_EQ(read_one(R"({"completion_tokens": 8, "total_tokens": 20})"), (ModelCall{tokens(12, 8), 0, 0, true}));
}

// --- What is not known ---

TEST(provider_usage, a_call_without_counts_may_have_used_anything) {
  for (const char* text :
       {"null", "{}", R"({"convention": "openai"})", R"({"prompt_tokens": null, "completion_tokens": null})",
        R"({"input_tokens": null})", R"({"totalTokens": null, "x": 5})"})
    EXPECT_EQ(read_one(text), (ModelCall{.is_known = false})) << text;
  EXPECT_TRUE(read("[]").empty());
  EXPECT_FALSE(are_known(read("[]")));
  EXPECT_FALSE(are_known(read("null")));
}

TEST(provider_usage, a_call_with_half_its_counts_used_at_least_these) {
  EXPECT_EQ(read_one(R"({"output_tokens": 15})"), (ModelCall{tokens(0, 15), 0, 0, false}));
  EXPECT_EQ(read_one(R"({"inputTokens": 15, "outputTokens": null})"), (ModelCall{tokens(15, 0), 0, 0, false}));
  EXPECT_EQ(read_one(R"({"total_tokens": 15})"), (ModelCall{tokens(0, 15), 0, 0, false}));
  EXPECT_EQ(read_one(R"({"output_tokens": 15, "cache_read_input_tokens": 7})"),
            (ModelCall{tokens(7, 15, 7), 0, 0, false}));
  EXPECT_EQ(read_one(R"({"output_tokens": 15, "input_tokens_details": {"cached_tokens": 7}})"),
            (ModelCall{tokens(7, 15, 7), 0, 0, false}));
}

TEST(provider_usage, one_unknown_call_makes_all_unknown) {
  const auto calls = read(R"([{"prompt_tokens": 5, "completion_tokens": 6}, null])");
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_FALSE(are_known(calls));
  EXPECT_EQ(sum_of(calls), tokens(5, 6));
  EXPECT_TRUE(are_known(read(R"([{"prompt_tokens": 5, "completion_tokens": 6}])")));
}

// --- What cannot be told ---

TEST(provider_usage, where_no_cache_was_used_there_is_nothing_to_tell) {
  EXPECT_EQ(read_one(R"({"input_tokens": 25, "output_tokens": 7})"), (ModelCall{tokens(25, 7), 0, 0, true}));
  EXPECT_EQ(read_one(R"({"inputTokens": 25, "outputTokens": 7, "totalTokens": 32, "cachedInputTokens": 0})"),
            (ModelCall{tokens(25, 7), 0, 0, true}));
}

TEST(provider_usage, cached_tokens_of_unknown_place_are_refused_unless_a_convention_says) {
  const std::string sdk_5 = R"("inputTokens": 100, "outputTokens": 7, "totalTokens": 107, "cachedInputTokens": 40)";
  EXPECT_TRUE(is_untold("{" + sdk_5 + "}"));
  EXPECT_EQ(refusal("{" + sdk_5 + "}"), "22023: $ does not tell whether its input includes cached tokens.");
  for (const char* name : {"openai", "gemini", "ai-sdk"})
    EXPECT_EQ(read_one("{" + sdk_5 + R"(, "convention": ")" + name + "\"}").tokens, tokens(100, 7, 40)) << name;
  for (const char* name : {"anthropic", "bedrock"})
    EXPECT_EQ(read_one("{" + sdk_5 + R"(, "convention": ")" + name + "\"}").tokens, tokens(140, 7, 40)) << name;

  EXPECT_TRUE(is_untold(R"({"input_tokens": 100, "output_tokens": 7, "cached_tokens": 40})"));
  EXPECT_EQ(
      read_one(R"({"input_tokens": 100, "output_tokens": 7, "cached_tokens": 40, "convention": "anthropic"})").tokens,
      tokens(140, 7, 40));
}

TEST(provider_usage, marks_of_two_providers_are_refused_unless_a_convention_says) {
  for (
      const std::string text :
      {R"("prompt_tokens": 100, "completion_tokens": 7, "cache_read_input_tokens": 40)",
       R"("prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 40}, "cache_read_input_tokens": 40)",
       R"("input_tokens": 100, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 0}, "cache_read_input_tokens": 40)",
       R"("inputTokens": 100, "outputTokens": 7, "inputTokenDetails": {}, "cacheReadInputTokens": 40)"}) {
    EXPECT_TRUE(is_untold("{" + text + "}")) << text;
    EXPECT_EQ(read_one("{" + text + R"(, "convention": "openai"})").tokens, tokens(100, 7, 40)) << text;
    EXPECT_EQ(read_one("{" + text + R"(, "convention": "anthropic"})").tokens, tokens(140, 7, 40)) << text;
  }
  // Zeros mark nothing.
  EXPECT_EQ(read_one(R"({"input_tokens": 100, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 40},
    "cache_read_input_tokens": 0})")
                .tokens,
            tokens(100, 7, 40));
}

TEST(provider_usage, a_cache_by_names_that_are_not_known_is_refused_where_nothing_marks_the_provider) {
  EXPECT_TRUE(is_untold(R"({"input_tokens": 100, "output_tokens": 7, "input_token_details": {"cache_read": 40}})"));
  EXPECT_TRUE(is_untold(R"({"input_tokens": 100, "output_tokens": 7, "cacheHits": 40})"));
  EXPECT_EQ(read_one(R"({"input_tokens": 100, "output_tokens": 7, "input_token_details": {"cache_read": 0}})").tokens,
            tokens(100, 7));
  EXPECT_EQ(
      read_one(R"({"input_tokens": 100, "output_tokens": 7, "cache_read_input_tokens": 1, "cache_hits": 40})").tokens,
      tokens(101, 7, 1));
}

TEST(provider_usage, no_more_is_cached_than_the_input_that_includes_it) {
  EXPECT_TRUE(
      is_untold(R"({"prompt_tokens": 10, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 11}})"));
  EXPECT_TRUE(is_untold(
      R"({"input_tokens": 10, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 5}})"));
  EXPECT_TRUE(is_untold(R"({"promptTokenCount": 10, "cachedContentTokenCount": 11, "toolUsePromptTokenCount": 5})"));
  // Told by what was not cached.
  EXPECT_EQ(read_one(R"({"inputTokens": 3, "inputTokenDetails": {"noCacheTokens": 3, "cacheReadTokens": 100},
    "outputTokens": 1})")
                .tokens,
            tokens(103, 1, 100));
}

TEST(provider_usage, what_is_no_usage_is_refused) {
  for (const auto& [text, detail] : std::vector<std::pair<std::string, std::string>>{
           {"7", "$ must be an object."},
           {"true", "$ must be an object."},
           {R"("{}")", "$ must be an object."},
           {"[[]]", "$[0] must be an object."},
           {R"([null, "x"])", "$[1] must be an object."},
           {R"({"tokens": 5})", "$ has no count of tokens that is known."},
           {R"({"usage": {"prompt_tokens": 5}})", "$ has no count of tokens that is known."},
           {R"({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": 3})",
            "$.prompt_tokens_details must be an object."},
           {R"([{"input_tokens": 5, "output_tokens": 1, "cache_creation": []}])",
            "$[0].cache_creation must be an object."},
           {R"({"prompt_tokens": 5, "completion_tokens": 5, "input_tokens": 5, "output_tokens": 5})",
            R"($ has the counts of two shapes, "prompt_tokens" and "input_tokens".)"},
           {R"({"convention": "OpenAI", "prompt_tokens": 5})",
            R"($.convention must be "openai", "gemini", "ai-sdk", "anthropic" or "bedrock".)"},
           {R"({"convention": 1})", R"($.convention must be "openai", "gemini", "ai-sdk", "anthropic" or "bedrock".)"}})
    EXPECT_EQ(refusal(text), "22023: " + detail) << text;
}

TEST(provider_usage, names_of_another_shape_that_count_nothing_are_passed_over) {
  EXPECT_EQ(read_one(R"({"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11, "input_tokens": 0,
    "output_tokens": 0, "input_tokens_details": null})")
                .tokens,
            tokens(5, 6));
  EXPECT_EQ(read_one(R"({"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 5, "output_tokens": 6})").tokens,
            tokens(5, 6));
}

// Where each count stands, with @ in its place.
const std::vector<std::string>& places() {
  static const std::vector<std::string> k_places = {
      R"({"prompt_tokens": @, "completion_tokens": 1})",
      R"({"prompt_tokens": 1, "completion_tokens": @})",
      R"({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": @})",
      R"({"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": @}})",
      R"({"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cache_write_tokens": @}})",
      R"({"prompt_tokens": 1, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": @}})",
      R"({"prompt_tokens": 1, "completion_tokens": 1, "prompt_cache_hit_tokens": @})",
      R"({"prompt_tokens": 1, "completion_tokens": 1, "cached_tokens": @})",
      R"({"input_tokens": @, "output_tokens": 1})",
      R"({"input_tokens": 1, "output_tokens": @})",
      R"({"input_tokens": 1, "output_tokens": 1, "total_tokens": @})",
      R"({"input_tokens": 1, "output_tokens": 1, "input_tokens_details": {"cached_tokens": @}})",
      R"({"input_tokens": 1, "output_tokens": 1, "output_tokens_details": {"thinking_tokens": @}})",
      R"({"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": @})",
      R"({"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": @})",
      R"({"input_tokens": 1, "output_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": @}})",
      R"({"input_tokens": 1, "output_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": @}})",
      R"({"input_tokens": 1, "output_tokens": 1, "iterations": [{"input_tokens": @, "output_tokens": 1}]})",
      R"({"promptTokenCount": @})",
      R"({"promptTokenCount": 1, "candidatesTokenCount": @})",
      R"({"promptTokenCount": 1, "cachedContentTokenCount": @})",
      R"({"promptTokenCount": 1, "thoughtsTokenCount": @})",
      R"({"promptTokenCount": 1, "toolUsePromptTokenCount": @})",
      R"({"promptTokenCount": 1, "totalTokenCount": @})",
      R"({"inputTokens": @, "outputTokens": 1})",
      R"({"inputTokens": 1, "outputTokens": @})",
      R"({"inputTokens": 1, "outputTokens": 1, "totalTokens": @})",
      R"({"inputTokens": 1, "outputTokens": 1, "cachedInputTokens": @})",
      R"({"inputTokens": 1, "outputTokens": 1, "reasoningTokens": @})",
      R"({"inputTokens": 1, "outputTokens": 1, "inputTokenDetails": {"noCacheTokens": @}})",
      R"({"inputTokens": 1, "outputTokens": 1, "inputTokenDetails": {"cacheReadTokens": @}})",
      R"({"inputTokens": 1, "outputTokens": 1, "inputTokenDetails": {"cacheWriteTokens": @}})",
      R"({"inputTokens": 1, "outputTokens": 1, "outputTokenDetails": {"textTokens": @}})",
      R"({"inputTokens": 1, "outputTokens": 1, "outputTokenDetails": {"reasoningTokens": @}})",
      R"({"inputTokens": {"total": @}, "outputTokens": {"total": 1}})",
      R"({"inputTokens": {"total": 1}, "outputTokens": {"total": @}})",
      R"({"inputTokens": 1, "outputTokens": 1, "cacheReadInputTokens": @})",
      R"({"inputTokens": 1, "outputTokens": 1, "cacheWriteInputTokens": @})",
      R"({"inputTokens": 1, "outputTokens": 1, "cacheDetails": [{"ttl": "1h", "inputTokens": @}]})"};
  return k_places;
}

std::string filled(std::string text, const std::string& value) { return text.replace(text.find('@'), 1, value); }

// textTokens beside a given output is passed over unread.
bool is_read(const std::string& place) { return place.find("textTokens") == std::string::npos; }

TEST(provider_usage, a_count_is_a_whole_number_from_zero_to_the_largest_integer) {
  for (const std::string& place : places()) {
    if (!is_read(place)) continue;
    for (const char* value : {"-1", "0.5", "1.5", "-0.5", "2147483648", "9223372036854775807", "9223372036854775808",
                              "1000000000000000000000000000000000000000", "0.0000000000000000000000001", R"("5")",
                              "true", "false", "[]", "[5]", R"("")"}) {
      const std::string text = filled(place, value);
      EXPECT_TRUE(refusal(text).ends_with("must be a whole number from 0 to 2147483647.")) << text << refusal(text);
      EXPECT_TRUE(refusal("[null, " + text + "]").starts_with("22023: $[1].")) << text;
    }
    for (const char* value : {"0", "null", "0.0", "1", "1.000"})
      EXPECT_EQ(refusal(filled(place + "", value)).find("whole number"), std::string::npos) << place << value;
  }
}

TEST(provider_usage, the_largest_counts_are_added_without_overflow) {
  constexpr std::int64_t k_most = std::numeric_limits<std::int32_t>::max();
  EXPECT_EQ(read_one(R"({"prompt_tokens": 2147483647, "completion_tokens": 2147483647})").tokens,
            tokens(k_most, k_most));
  EXPECT_EQ(refusal(R"({"input_tokens": 2147483647, "output_tokens": 1, "cache_read_input_tokens": 1})"),
            "22003: p_usage has too many tokens");
  EXPECT_EQ(refusal(R"({"promptTokenCount": 1, "candidatesTokenCount": 2147483647, "thoughtsTokenCount": 2147483647})"),
            "22003: p_usage has too many tokens");
  EXPECT_EQ(
      refusal(
          R"([{"prompt_tokens": 2147483647, "completion_tokens": 0}, {"prompt_tokens": 1, "completion_tokens": 0}])"),
      "22003: p_usage has too many tokens");
  EXPECT_EQ(
      refusal(
          R"([{"prompt_tokens": 2147483646, "completion_tokens": 0}, {"prompt_tokens": 1, "completion_tokens": 0}])"),
      "");
}

// --- Prices ---

constexpr Amount a_token(std::int64_t units) { return Amount::from_units(Int128{units} * 1'000'000); }

TEST(provider_usage, each_kind_of_token_has_its_price_and_reasoning_that_of_the_output) {
  const ModelPrice price{a_token(1), a_token(100), a_token(10'000), a_token(1'000'000), a_token(100'000'000)};
  EXPECT_EQ(cost_of(price, read(R"({"input_tokens": 2, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 9,
    "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5}, "output_tokens": 6})")),
            Amount::from_units(2 + 300 + 40'000 + 500'000'000 + 6'000'000));
  EXPECT_EQ(cost_of(price, read(R"({"promptTokenCount": 5, "cachedContentTokenCount": 3, "candidatesTokenCount": 4,
    "toolUsePromptTokenCount": 6, "thoughtsTokenCount": 7})")),
            Amount::from_units(2 + 6 + 300 + 11'000'000));
}

TEST(provider_usage, each_call_is_rounded_by_itself) {
  const Amount one = Amount::from_units(1);
  const ModelPrice price{one, one, one, one, one};
  const std::string call = R"({"prompt_tokens": 400000, "completion_tokens": 0})";
  EXPECT_EQ(cost_of(price, read("[" + call + ", " + call + ", " + call + "]")), Amount{});  // and not 1.2
}

// --- Properties ---

struct Kinds {
  std::int64_t uncached, cached, written_5m, written_1h, tool_use, text, reasoning;
};

Kinds random_kinds(std::mt19937_64& random) {
  const auto count = [&] {
    return random() % 3 == 0 ? 0 : static_cast<std::int64_t>(random() >> (35 + random() % 29));
  };
  return {count(), count(), count(), count(), count(), count(), count()};
}

std::string number(std::int64_t count) { return std::to_string(count); }

std::string as_chat(const Kinds& k) {
  return R"({"prompt_tokens": )" + number(k.uncached + k.cached + k.written_5m) + R"(, "completion_tokens": )" +
         number(k.text + k.reasoning) + R"(, "prompt_tokens_details": {"cached_tokens": )" + number(k.cached) +
         R"(, "cache_write_tokens": )" + number(k.written_5m) +
         R"(}, "completion_tokens_details": {"reasoning_tokens": )" + number(k.reasoning) + "}}";
}

std::string as_responses(const Kinds& k) {
  return R"({"input_tokens": )" + number(k.uncached + k.cached + k.written_5m) + R"(, "output_tokens": )" +
         number(k.text + k.reasoning) + R"(, "input_tokens_details": {"cached_tokens": )" + number(k.cached) +
         R"(, "cache_write_tokens": )" + number(k.written_5m) + R"(}, "output_tokens_details": {"reasoning_tokens": )" +
         number(k.reasoning) + R"(}, "total_tokens": )" +
         number(k.uncached + k.cached + k.written_5m + k.text + k.reasoning) + "}";
}

std::string as_sdk(const Kinds& k) {
  return R"({"inputTokens": )" + number(k.uncached + k.cached + k.written_5m) + R"(, "outputTokens": )" +
         number(k.text + k.reasoning) + R"(, "inputTokenDetails": {"noCacheTokens": )" + number(k.uncached) +
         R"(, "cacheReadTokens": )" + number(k.cached) + R"(, "cacheWriteTokens": )" + number(k.written_5m) +
         R"(}, "outputTokenDetails": {"textTokens": )" + number(k.text) + R"(, "reasoningTokens": )" +
         number(k.reasoning) + R"(}, "cachedInputTokens": )" + number(k.cached) + "}";
}

std::string as_anthropic(const Kinds& k) {
  return R"({"input_tokens": )" + number(k.uncached) + R"(, "output_tokens": )" + number(k.text + k.reasoning) +
         R"(, "cache_read_input_tokens": )" + number(k.cached) + R"(, "cache_creation_input_tokens": )" +
         number(k.written_5m + k.written_1h) + R"(, "cache_creation": {"ephemeral_5m_input_tokens": )" +
         number(k.written_5m) + R"(, "ephemeral_1h_input_tokens": )" + number(k.written_1h) +
         R"(}, "output_tokens_details": {"thinking_tokens": )" + number(k.reasoning) + "}}";
}

std::string as_gemini(const Kinds& k) {
  return R"({"promptTokenCount": )" + number(k.uncached + k.cached) + R"(, "cachedContentTokenCount": )" +
         number(k.cached) + R"(, "candidatesTokenCount": )" + number(k.text) + R"(, "thoughtsTokenCount": )" +
         number(k.reasoning) + R"(, "toolUsePromptTokenCount": )" + number(k.tool_use) + R"(, "totalTokenCount": )" +
         number(k.uncached + k.cached + k.tool_use + k.text + k.reasoning) + "}";
}

TEST(provider_usage, the_same_use_costs_the_same_whoever_reports_it) {
  std::mt19937_64 random{1};
  const ModelPrice price{a_token(3), a_token(1), a_token(4), a_token(15), a_token(6)};
  for (int i = 0; i < 3000; ++i) {
    Kinds kinds = random_kinds(random);
    const auto expected = [&] {
      return ModelCall{
          {kinds.uncached + kinds.cached + kinds.written_5m + kinds.written_1h + kinds.tool_use,
           kinds.text + kinds.reasoning, kinds.cached, kinds.written_5m + kinds.written_1h, kinds.written_1h},
          kinds.reasoning,
          kinds.tool_use,
          true};
    };
    const std::int64_t tool_use = std::exchange(kinds.tool_use, 0);
    ASSERT_EQ(read_one(as_anthropic(kinds)), expected());
    kinds.written_1h = 0;
    const Amount cost = cost_of(price, read(as_anthropic(kinds)));
    for (const auto& text : {as_chat(kinds), as_responses(kinds), as_sdk(kinds)}) {
      ASSERT_EQ(read_one(text), expected()) << text;
      ASSERT_EQ(cost_of(price, read(text)), cost);
    }
    kinds.written_5m = 0;
    kinds.tool_use = tool_use;
    ASSERT_EQ(read_one(as_gemini(kinds)), expected()) << as_gemini(kinds);
  }
}

TEST(provider_usage, an_array_is_its_elements_one_after_another) {
  std::mt19937_64 random{2};
  const ModelPrice price{a_token(3), a_token(1), a_token(4), a_token(15), a_token(6)};
  for (int i = 0; i < 500; ++i) {
    std::string array;
    std::vector<ModelCall> expected;
    Amount cost;
    for (std::uint64_t n = random() % 5; n > 0; --n) {
      const Kinds kinds = random_kinds(random);
      const std::array texts = {as_chat(kinds), as_responses(kinds), as_sdk(kinds), as_anthropic(kinds),
                                as_gemini(kinds)};
      const std::string& text = texts[random() % texts.size()];
      array += (array.empty() ? "" : ", ") + text;
      expected.push_back(read_one(text));
      cost += cost_of(price, expected.back().tokens);
    }
    const auto calls = read("[" + array + "]");
    ASSERT_EQ(calls, expected);
    ASSERT_EQ(cost_of(price, calls), cost);
  }
}

TEST(provider_usage, a_kind_of_which_there_was_none_is_known_only_where_all_was_told) {
  const auto of_counts = [](TokenCounts tokens) {
    return kinds_of({{.tokens = tokens, .is_known = true, .tells_kinds = false}});
  };
  EXPECT_EQ(kinds_of({}), TokenKinds{});
  EXPECT_EQ(kinds_of(read("null")), TokenKinds{});
  EXPECT_EQ(kinds_of(read(R"({"prompt_tokens": 5, "completion_tokens": 6})")), (TokenKinds{0, 0, 0}));
  EXPECT_EQ(kinds_of(read(R"([{"input_tokens": 6, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 2,
                         "output_tokens": 4}, {"promptTokenCount": 1, "thoughtsTokenCount": 8}])")),
            (TokenKinds{2, 3, 8}));
  EXPECT_EQ(kinds_of(read(R"([{"promptTokenCount": 1, "thoughtsTokenCount": 8}, null])")),
            (TokenKinds{.reasoning = 8}));
  EXPECT_EQ(of_counts({.prompt = 5, .completion = 6}), TokenKinds{});
  EXPECT_EQ(of_counts({.prompt = 5, .completion = 6, .cache_write = 4}), (TokenKinds{.cache_write = 4}));
}

TEST(provider_usage, calls_have_the_same_receipt_only_if_they_are_the_same) {
  EXPECT_EQ(receipt_of({}), "");
  EXPECT_EQ(receipt_of(read(R"({"prompt_tokens": 5, "completion_tokens": 6})")), "");
  EXPECT_EQ(receipt_of(read("null")), "");
  EXPECT_EQ(receipt_of(read(R"({"prompt_tokens": 5})")), "prompt 5, completion 0, or more");
  EXPECT_EQ(receipt_of(read(
                R"([{"prompt_tokens": 5, "completion_tokens": 6}, {"prompt_tokens": 1, "completion_tokens": 0}])")),
            "prompt 5, completion 6; prompt 1, completion 0");
  std::mt19937_64 random{3};
  std::set<std::string> receipts;
  std::set<std::string> sums;
  for (int i = 0; i < 20'000; ++i) {
    std::vector<ModelCall> calls;
    for (std::uint64_t n = 2 + random() % 2; n > 0; --n) {
      const auto count = [&] { return static_cast<std::int64_t>(random() % 3); };
      calls.push_back({{4 + count(), count(), count(), 1 + count(), random() % 2 == 0 ? 1 : 0},
                       count(),
                       count(),
                       random() % 8 != 0});
    }
    std::string all;
    for (const ModelCall& call : calls)
      for (const std::int64_t part :
           {call.tokens.prompt, call.tokens.completion, call.tokens.cached_prompt, call.tokens.cache_write,
            call.tokens.cache_write_1h, call.reasoning, call.tool_use, std::int64_t{call.is_known}})
        all += number(part) + " ";
    ASSERT_EQ(receipts.insert(receipt_of(calls)).second, sums.insert(all).second) << all;
  }
}

// Any document: names of all shapes over values of all kinds.
class AnyDocument {
 public:
  explicit AnyDocument(std::uint64_t seed) : random_(seed) {
    for (const std::string& place : places())
      for (std::size_t from = 0; (from = place.find('"', from)) != std::string::npos;) {
        const std::size_t to = place.find('"', from + 1);
        names_.push_back(place.substr(from + 1, to - from - 1));
        from = to + 1;
      }
    for (const char* name : {"convention", "usage", "cache_hits", "raw", "service_tier", ""}) names_.emplace_back(name);
  }

  Json next(int depth = 4) {
    switch (random_() % (depth > 0 ? 12 : 8)) {
      case 0: return {nullptr};
      case 1: return {random_() % 2 == 0};
      case 2: return {std::string(random_() % 2 == 0 ? "openai" : "anthropic")};
      case 3: return {Json::Number{"-" + number(static_cast<std::int64_t>(random_() % 9))}};
      case 4: return {Json::Number{number(static_cast<std::int64_t>(random_() >> (1 + random_() % 63)))}};
      case 5: return {Json::Number{number(static_cast<std::int64_t>(random_() % 5)) + ".0"}};
      case 6:
      case 7: return {Json::Number{number(static_cast<std::int64_t>(random_() % 100))}};
      case 8: {
        Json::Array elements;
        for (std::uint64_t n = random_() % 4; n > 0; --n) elements.push_back(next(depth - 1));
        return {elements};
      }
      default: {
        Json::Object members;
        for (std::uint64_t n = random_() % 7; n > 0; --n)
          members.emplace_back(names_[random_() % names_.size()], next(depth - 1));
        return {members};
      }
    }
  }

 private:
  std::mt19937_64 random_;
  std::vector<std::string> names_;
};

TEST(provider_usage, any_document_is_read_as_sound_calls_or_refused) {
  AnyDocument documents{4};
  int refused = 0;
  int sound = 0;
  for (int i = 0; i < 100'000; ++i) {
    const Json document = documents.next();
    const std::string refusal = refusal_of(document);
    if (!refusal.empty()) {
      ASSERT_TRUE(refusal.starts_with("22023: $") || refusal == "22003: p_usage has too many tokens") << refusal;
      ++refused;
      continue;
    }
    for (const ModelCall& call : read_provider_usage(document)) {
      ASSERT_TRUE(call.tokens.is_sound());
      ASSERT_GE(call.tokens.prompt, call.tool_use);
      ASSERT_GE(call.tokens.completion, call.reasoning);
      ++sound;
    }
  }
  EXPECT_GT(refused, 5'000);
  EXPECT_GT(sound, 5'000);
}

}  // namespace
}  // namespace claude_gpt::core
