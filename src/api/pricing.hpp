// What tokens will cost, before they are used.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/amount.hpp"
#include "core/model_prices.hpp"

namespace claude_gpt::api {

// As it is configured now; nullopt for a model without a price.
std::optional<core::ModelPrice> find_price(std::optional<std::string_view> model);

struct Pricing {
  std::optional<core::ModelPrice> price = std::nullopt;  // of the model
  std::optional<core::Amount> estimate = std::nullopt;   // of the application, whose word it is

  bool is_known() const { return price || estimate; }
  // What an estimate of tokens holds of a cost limit.
  core::Amount cost_of(std::int64_t tokens) const;
};
// 22023 an estimate that is not above zero.
Pricing require_pricing(std::optional<std::string_view> model, const std::optional<core::Amount>& estimated_cost);

}  // namespace claude_gpt::api
