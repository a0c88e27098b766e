// What the tokens of a model cost: the key model_prices.
#pragma once

#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/amount.hpp"
#include "core/config_reading.hpp"

namespace claude_gpt::core {

// What a million tokens of a model cost, in the currency of all costs.
struct ModelPrice {
  Amount prompt;
  Amount cached_prompt;
  Amount cache_write;
  Amount completion;
  Amount cache_write_1h = {};  // as cache_write where no other is configured
};

// As one text, to be kept and read again: nullopt where it is none.
std::string text_of(const ModelPrice& price);
std::optional<ModelPrice> parse_price(std::string_view text);

using ModelPrices = std::pmr::vector<std::pair<std::pmr::string, ModelPrice>>;

std::optional<ConfigProblem> read_model_prices(const Reading& reading, ModelPrices& result);

}  // namespace claude_gpt::core
