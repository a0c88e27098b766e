#include "core/provider_usage.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "core/failure.hpp"

namespace claude_gpt::core {

namespace {

constexpr std::int64_t k_most_tokens = std::numeric_limits<std::int32_t>::max();

// Where the input counts tokens that were read from a cache or written to one.
enum class CachePlace { inside, beside };

constexpr std::array<std::pair<std::string_view, CachePlace>, 5> k_conventions = {{{"openai", CachePlace::inside},
                                                                                   {"gemini", CachePlace::inside},
                                                                                   {"ai-sdk", CachePlace::inside},
                                                                                   {"anthropic", CachePlace::beside},
                                                                                   {"bedrock", CachePlace::beside}}};

// Names of one shape for the same counts; empty where it has none.
struct Shape {
  std::string_view input;
  std::string_view output;
  std::string_view total;
  std::string_view input_details;
  std::string_view output_details;
};

constexpr Shape k_chat{"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details",
                       "completion_tokens_details"};
// Responses of OpenAI and messages of Anthropic.
constexpr Shape k_snake{"input_tokens", "output_tokens", "total_tokens", "input_tokens_details",
                        "output_tokens_details"};
// The AI SDK and Bedrock.
constexpr Shape k_camel{"inputTokens", "outputTokens", "totalTokens", "inputTokenDetails", "outputTokenDetails"};
constexpr Shape k_gemini{"promptTokenCount", "candidatesTokenCount", "totalTokenCount", "", ""};
constexpr std::array k_shapes = {&k_chat, &k_snake, &k_camel, &k_gemini};

[[noreturn]] void refuse(const std::string& path, const std::string& rule, const char* hint = "") {
  throw Failure(sqlstate::k_invalid_parameter_value, "p_usage is not valid", path + " " + rule + ".", hint);
}

[[noreturn]] void refuse_untold(const std::string& path, const std::string& rule) {
  refuse(
      path, rule,
      "Add a member \"convention\": \"openai\", \"gemini\" or \"ai-sdk\" where the input includes what was read from "
      "and written to a cache, \"anthropic\" or \"bedrock\" where it does not.");
}

const Json* find_member(const Json::Object& members, std::string_view name) {
  const auto found = std::ranges::find_if(members, [&](const auto& member) { return member.first == name; });
  const bool is_there = found != members.end() && !std::holds_alternative<std::nullptr_t>(found->second.value);
  return is_there ? &found->second : nullptr;
}

// An object that counts tokens, and where it stands in the document.
class Counts {
 public:
  Counts() = default;
  Counts(const Json::Object& members, std::string path) : members_(&members), path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string path_of(std::string_view name) const { return path_ + "." + std::string(name); }
  const Json* find(std::string_view name) const {
    return members_ == nullptr || name.empty() ? nullptr : find_member(*members_, name);
  }

  // nullopt where it is not there or null.
  std::optional<std::int64_t> count(std::string_view name) const {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    const auto number = value->as_whole_number();
    if (number && *number >= 0 && *number <= k_most_tokens) return number;
    refuse(path_of(name), "must be a whole number from 0 to 2147483647");
  }
  std::int64_t count_or_zero(std::string_view name) const { return count(name).value_or(0); }

  // The largest of several names for one thing.
  std::optional<std::int64_t> most_of(std::initializer_list<std::string_view> names) const {
    std::optional<std::int64_t> most;
    for (const std::string_view name : names) most = std::max(most, count(name));
    return most;
  }

  // With nothing in it where it is not there or null.
  Counts object(std::string_view name) const {
    const Json* value = find(name);
    if (value == nullptr) return {};
    if (const Json::Object* members = value->as_object()) return {*members, path_of(name)};
    refuse(path_of(name), "must be an object");
  }

  bool is_there() const { return members_ != nullptr; }
  const Json::Object& members() const { return *members_; }

 private:
  const Json::Object* members_ = nullptr;
  std::string path_;
};

bool is_above_zero(const Json& value) {
  const Json::Number* number = value.as_number();
  return number != nullptr && number->text.find_first_of("123456789") != std::string::npos;
}

bool speaks_of_a_cache(std::string_view name) {
  return name.find("cache") != std::string_view::npos || name.find("Cache") != std::string_view::npos;
}

// What a cache was asked for and given. What the names do not place is read from a cache, inside or beside the input.
struct CacheCounts {
  std::int64_t read_inside = 0;
  std::int64_t written_inside = 0;
  std::int64_t read_beside = 0;
  std::int64_t written_beside = 0;
  std::int64_t written_1h = 0;
  std::int64_t read_somewhere = 0;

  bool has_inside() const { return read_inside > 0 || written_inside > 0; }
  bool has_beside() const { return read_beside > 0 || written_beside > 0; }
  std::int64_t read() const { return std::max({read_inside, read_beside, read_somewhere}); }
  std::int64_t written() const { return std::max(written_inside, written_beside); }
};

class CallReader {
 public:
  explicit CallReader(const Counts& counts) : counts_(counts), convention_(read_convention()), shape_(find_shape()) {}

  // nullopt where the object holds no count.
  std::optional<ModelCall> read() const {
    if (shape_ == nullptr) return std::nullopt;
    ModelCall call;
    const auto prompt = read_prompt(call);
    const auto completion = read_completion(call);
    take_in_total(call, prompt.has_value(), completion.has_value());
    return call;
  }

 private:
  std::optional<CachePlace> read_convention() const {
    const Json* value = counts_.find("convention");
    if (value == nullptr) return std::nullopt;
    const std::string* name = value->as_string();
    for (const auto& [known, place] : k_conventions)
      if (name != nullptr && *name == known) return place;
    refuse(counts_.path_of("convention"), "must be \"openai\", \"gemini\", \"ai-sdk\", \"anthropic\" or \"bedrock\"");
  }

  bool has(const Shape& shape) const {
    return std::ranges::any_of(
        std::array{shape.input, shape.output, shape.input_details, shape.output_details,
                   &shape == &k_gemini ? std::string_view{"thoughtsTokenCount"} : std::string_view{}},
        [&](std::string_view name) { return counts_.find(name) != nullptr; });
  }

  bool has_tokens(const Shape& shape) const {
    return std::ranges::any_of(std::array{shape.input, shape.output}, [&](std::string_view name) {
      const Json* value = counts_.find(name);
      return value != nullptr && (value->as_object() != nullptr || is_above_zero(*value));
    });
  }

  // Gateways add the names of another shape, with zeros.
  const Shape* find_shape() const {
    const Shape* found = nullptr;
    for (const Shape* shape : k_shapes) {
      if (!has(*shape)) continue;
      if (found != nullptr && has_tokens(*found) && has_tokens(*shape))
        refuse(counts_.path(), "has the counts of two shapes, \"" + std::string(found->input) + "\" and \"" +
                                   std::string(shape->input) + "\"");
      if (found == nullptr || has_tokens(*shape)) found = shape;
    }
    if (found != nullptr) return found;
    if (counts_.find("total_tokens") != nullptr) return &k_chat;
    if (counts_.find("totalTokens") != nullptr) return &k_camel;
    if (counts_.find("totalTokenCount") != nullptr) return &k_gemini;
    require_nothing_else();
    return nullptr;
  }

  // Counts that are all null are of a call that was cut off; what has none is something else.
  void require_nothing_else() const {
    const auto is_known = [](std::string_view name) {
      return name == "convention" || std::ranges::any_of(k_shapes, [&](const Shape* shape) {
               return name == shape->input || name == shape->output || name == shape->total;
             });
    };
    const auto members = counts_.members();
    if (members.empty() || std::ranges::any_of(members, [&](const auto& member) { return is_known(member.first); }))
      return;
    refuse(counts_.path(), "has no count of tokens that is known");
  }

  // The input or the output: how many tokens, and what is told of them.
  struct Side {
    std::optional<std::int64_t> tokens;
    Counts details;
  };

  // Models of the AI SDK give an object where its results give a number and the details apart.
  Side read_side(std::string_view name, std::string_view name_of_details) const {
    const Json* value = counts_.find(name);
    if (shape_ != &k_camel || value == nullptr || value->as_object() == nullptr)
      return {counts_.count(name), counts_.object(name_of_details)};
    Counts details = counts_.object(name);
    return {details.count("total"), std::move(details)};
  }

  CacheCounts read_cache(const Counts& details) const {
    CacheCounts cache;
    if (shape_ == &k_gemini) {
      cache.read_inside = counts_.count_or_zero("cachedContentTokenCount");
      return cache;
    }
    if (shape_ == &k_camel) {
      cache.read_inside = details.most_of({"cacheReadTokens", "cacheRead"}).value_or(0);
      cache.written_inside = details.most_of({"cacheWriteTokens", "cacheWrite"}).value_or(0);
      cache.read_beside = counts_.count_or_zero("cacheReadInputTokens");
      cache.written_beside = counts_.count_or_zero("cacheWriteInputTokens");
      cache.written_1h = written_1h_of_bedrock();
      cache.read_somewhere = counts_.count_or_zero("cachedInputTokens");
      return cache;
    }
    cache.read_inside = details.count_or_zero("cached_tokens");
    cache.written_inside = details.count_or_zero("cache_write_tokens");
    // Of Moonshot and DeepSeek.
    const std::int64_t read = counts_.most_of({"cached_tokens", "prompt_cache_hit_tokens"}).value_or(0);
    std::int64_t& place = shape_ == &k_chat ? cache.read_inside : cache.read_somewhere;
    place = std::max(place, read);
    cache.read_beside = counts_.count_or_zero("cache_read_input_tokens");
    const Counts by_life = counts_.object("cache_creation");
    cache.written_1h = by_life.count_or_zero("ephemeral_1h_input_tokens");
    cache.written_beside = std::max(counts_.count_or_zero("cache_creation_input_tokens"),
                                    cache.written_1h + by_life.count_or_zero("ephemeral_5m_input_tokens"));
    return cache;
  }

  std::int64_t written_1h_of_bedrock() const {
    const Json* details = counts_.find("cacheDetails");
    const Json::Array* lives = details == nullptr ? nullptr : details->as_array();
    std::int64_t tokens = 0;
    for (std::size_t i = 0; lives != nullptr && i < lives->size(); ++i) {
      const Json::Object* life = (*lives)[i].as_object();
      const Json* length = life == nullptr ? nullptr : find_member(*life, "ttl");
      const std::string* text = length == nullptr ? nullptr : length->as_string();
      if (text == nullptr || *text != "1h") continue;
      tokens = std::min(
          tokens + Counts{*life, counts_.path_of("cacheDetails") + "[" + std::to_string(i) + "]"}.count_or_zero(
                       "inputTokens"),
          k_most_tokens);
    }
    return tokens;
  }

  CachePlace place_of(const CacheCounts& cache, bool has_details) const {
    if (convention_) return *convention_;
    const bool marks_inside = shape_ == &k_chat || shape_ == &k_gemini || has_details;
    if (cache.has_beside() && (marks_inside || cache.has_inside()))
      refuse_untold(counts_.path(), "has marks of two providers");
    if (cache.has_beside()) return CachePlace::beside;
    if (marks_inside || cache.has_inside()) return CachePlace::inside;
    if (cache.read_somewhere > 0)
      refuse_untold(counts_.path(), "does not tell whether its input includes cached tokens");
    require_no_other_cache();
    return CachePlace::inside;
  }

  // Names that are not known may be of a provider that counts in another way.
  void require_no_other_cache() const {
    for (const auto& [name, value] : counts_.members()) {
      const Json::Object* parts = value.as_object();
      const bool is_of_cache = speaks_of_a_cache(name);
      const bool is_counted = (is_of_cache && is_above_zero(value)) ||
                              (parts != nullptr && std::ranges::any_of(*parts, [&](const auto& part) {
                                 return (is_of_cache || speaks_of_a_cache(part.first)) && is_above_zero(part.second);
                               }));
      if (is_counted) refuse_untold(counts_.path(), "has a member \"" + name + "\", which is not known");
    }
  }

  // nullopt where it was not told.
  std::optional<std::int64_t> read_prompt(ModelCall& call) const {
    const Side input = read_side(shape_->input, shape_->input_details);
    const CacheCounts cache = read_cache(input.details);
    const CachePlace place = place_of(cache, input.details.is_there());
    TokenCounts& tokens = call.tokens;
    tokens.cached_prompt = cache.read();
    tokens.cache_write = std::max(cache.written(), cache.written_1h);
    tokens.cache_write_1h = cache.written_1h;
    const std::int64_t of_cache = tokens.cached_prompt + tokens.cache_write;
    const auto uncached =
        shape_ == &k_camel ? input.details.most_of({"noCacheTokens", "noCache"}) : std::optional<std::int64_t>{};
    const bool is_told = input.tokens || uncached || shape_ == &k_gemini;
    tokens.prompt = input.tokens.value_or(0) + (place == CachePlace::beside ? of_cache : 0);
    if (uncached || !is_told) tokens.prompt = std::max(tokens.prompt, uncached.value_or(0) + of_cache);
    if (of_cache > tokens.prompt) refuse_untold(counts_.path(), "has more cached than input tokens");
    if (shape_ == &k_gemini) call.tool_use = counts_.count_or_zero("toolUsePromptTokenCount");
    tokens.prompt += call.tool_use;
    return is_told ? std::optional{tokens.prompt} : std::nullopt;
  }

  std::optional<std::int64_t> read_completion(ModelCall& call) const {
    std::int64_t& completion = call.tokens.completion;
    if (shape_ == &k_gemini) {
      call.reasoning = counts_.count_or_zero("thoughtsTokenCount");
      completion = counts_.count_or_zero(shape_->output) + call.reasoning;
      return completion;
    }
    const Side output = read_side(shape_->output, shape_->output_details);
    const auto text =
        shape_ == &k_camel ? output.details.most_of({"textTokens", "text"}) : std::optional<std::int64_t>{};
    call.reasoning =
        std::max(output.details.most_of({"reasoning_tokens", "thinking_tokens", "reasoningTokens", "reasoning"}),
                 counts_.most_of({"reasoning_tokens", "reasoningTokens"}))
            .value_or(0);
    if (!output.tokens) {
      completion = text.value_or(0) + call.reasoning;
      return text ? std::optional{completion} : std::nullopt;
    }
    // What is more than the whole is no part of it: some count reasoning on top.
    completion = *output.tokens + (call.reasoning > *output.tokens ? call.reasoning : 0);
    return completion;
  }

  // A total that is more than its parts counts what they do not: reasoning on top of the output, mostly.
  void take_in_total(ModelCall& call, bool has_prompt, bool has_completion) const {
    const auto total = counts_.count(shape_->total);
    if (total && *total > call.tokens.total()) {
      if (has_completion && !has_prompt)
        call.tokens.prompt = *total - call.tokens.completion;
      else
        call.tokens.completion = *total - call.tokens.prompt;
    }
    call.is_known = (has_prompt && has_completion) || (total && (has_prompt || has_completion));
  }

  const Counts& counts_;
  std::optional<CachePlace> convention_;
  const Shape* shape_;
};

Counts counts_of(const Json& value, const std::string& path) {
  if (const Json::Object* members = value.as_object()) return {*members, path};
  refuse(path, "must be an object");
}

ModelCall unknown_call() { return {.is_known = false}; }

// The samplings that a message of Anthropic took, where it tells them: its own counts leave some of them out. None
// where another model answered in place of the first, whose counts are those of the message.
std::vector<ModelCall> read_iterations(const Counts& counts) {
  const Json* value = counts.find("iterations");
  const Json::Array* iterations = value == nullptr ? nullptr : value->as_array();
  std::vector<ModelCall> calls;
  for (std::size_t i = 0; iterations != nullptr && i < iterations->size(); ++i) {
    const Counts iteration = counts_of((*iterations)[i], counts.path_of("iterations") + "[" + std::to_string(i) + "]");
    const Json* type = iteration.find("type");
    const std::string* name = type == nullptr ? nullptr : type->as_string();
    if (name != nullptr && *name == "fallback_message") return {};
    calls.push_back(CallReader{iteration}.read().value_or(unknown_call()));
  }
  return calls;
}

void add_call(std::vector<ModelCall>& calls, const Json& value, const std::string& path) {
  if (std::holds_alternative<std::nullptr_t>(value.value)) {
    calls.push_back(unknown_call());
    return;
  }
  const Counts counts = counts_of(value, path);
  const ModelCall whole = CallReader{counts}.read().value_or(unknown_call());
  std::vector<ModelCall> iterations = read_iterations(counts);
  if (iterations.empty() || sum_of(iterations).total() < whole.tokens.total())
    calls.push_back(whole);
  else
    std::ranges::move(iterations, std::back_inserter(calls));
}

}  // namespace

std::vector<ModelCall> read_provider_usage(const Json& document) {
  std::vector<ModelCall> calls;
  const Json::Array* elements = document.as_array();
  if (elements == nullptr) add_call(calls, document, "$");
  for (std::size_t i = 0; elements != nullptr && i < elements->size(); ++i)
    add_call(calls, (*elements)[i], "$[" + std::to_string(i) + "]");
  return calls;
}

}  // namespace claude_gpt::core
