#include "core/model_prices.hpp"

#include <algorithm>
#include <array>

namespace claude_gpt::core {

namespace {

std::optional<ConfigProblem> read_price(const Json& value, const std::string& path, Amount& result) {
  const Json::Number* number = value.as_number();
  Amount price;
  const bool readable = number != nullptr && Amount::parse(number->text, price) == Amount::ParseResult::ok;
  const bool rounded_to_zero =
      readable && price.is_zero() && number->text.find_first_of("123456789") != std::string::npos;
  if (!readable || price.is_negative() || rounded_to_zero)
    return ConfigProblem{path, "must be a price from 0 to 99999999999"};
  result = price;
  return std::nullopt;
}

std::optional<ConfigProblem> read_model_price(const Json& value, const std::string& path, ModelPrice& price) {
  const Json::Object* members = value.as_object();
  if (members == nullptr) return ConfigProblem{path, "must be an object of prices"};
  std::optional<Amount> prompt, cached_prompt, cache_write, cache_write_1h, completion;
  for (const auto& [name, member] : *members) {
    std::optional<Amount>* target = name == "prompt"         ? &prompt
                                    : name == "cachedPrompt" ? &cached_prompt
                                    : name == "cacheWrite"   ? &cache_write
                                    : name == "cacheWrite1h" ? &cache_write_1h
                                    : name == "completion"   ? &completion
                                                             : nullptr;
    if (target == nullptr)
      return ConfigProblem{member_path(path, name),
                           "is not a known price: prompt, cachedPrompt, cacheWrite, cacheWrite1h, completion"};
    if (auto problem = read_price(member, member_path(path, name), target->emplace())) return problem;
  }
  if (!prompt) return ConfigProblem{path + ".prompt", "is missing"};
  if (!completion) return ConfigProblem{path + ".completion", "is missing"};
  const Amount written = cache_write.value_or(*prompt);
  price = {*prompt, cached_prompt.value_or(*prompt), written, *completion, cache_write_1h.value_or(written)};
  return std::nullopt;
}

std::string shortest_text_of(Amount amount) {
  std::string text = amount.to_text();
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

// prompt/completion, or with those of a cache: prompt/completion/cachedPrompt/cacheWrite/cacheWrite1h.
std::string text_of(const ModelPrice& price) {
  std::string text = shortest_text_of(price.prompt) + '/' + shortest_text_of(price.completion);
  if (price.cached_prompt == price.prompt && price.cache_write == price.prompt && price.cache_write_1h == price.prompt)
    return text;
  for (const Amount amount : {price.cached_prompt, price.cache_write, price.cache_write_1h})
    text += '/' + shortest_text_of(amount);
  return text;
}

std::optional<ModelPrice> parse_price(std::string_view text) {
  std::array<Amount, 5> amounts;
  std::size_t count = 0;
  for (std::size_t end = 0; end != std::string_view::npos; text.remove_prefix(std::min(end, text.size() - 1) + 1)) {
    end = text.find('/');
    if (count == amounts.size() || Amount::parse(text.substr(0, end), amounts[count]) != Amount::ParseResult::ok ||
        amounts[count].is_negative())
      return std::nullopt;
    ++count;
  }
  const auto [prompt, completion, cached_prompt, cache_write, cache_write_1h] = amounts;
  if (count == 2) return ModelPrice{prompt, prompt, prompt, completion, prompt};
  if (count == 5) return ModelPrice{prompt, cached_prompt, cache_write, completion, cache_write_1h};
  return std::nullopt;
}

std::optional<ConfigProblem> read_model_prices(const Reading& reading, ModelPrices& result) {
  const Json::Object* models = reading.value.as_object();
  if (models == nullptr) return ConfigProblem{"$", "must be an object of models"};
  ModelPrices prices(reading.memory);
  for (const auto& [model, description] : *models) {
    if (model.empty()) return ConfigProblem{member_path("$", model), "must have a model name that is not empty"};
    ModelPrice price;
    if (auto problem = read_model_price(description, member_path("$", model), price)) return problem;
    prices.emplace_back(model, price);
  }
  result = std::move(prices);
  return std::nullopt;
}

}  // namespace claude_gpt::core
