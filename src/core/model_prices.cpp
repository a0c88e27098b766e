#include "core/model_prices.hpp"

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

}  // namespace

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
