#include "api/pricing.hpp"

#include "api/config.hpp"
#include "core/failure.hpp"
#include "core/usage.hpp"

namespace claude_gpt::api {

std::optional<core::ModelPrice> find_price(std::optional<std::string_view> model) {
  const core::ModelPrice* price = model ? configuration().find_price(*model) : nullptr;
  return price == nullptr ? std::nullopt : std::optional{*price};
}

core::Amount Pricing::cost_of(std::int64_t tokens) const {
  if (estimate) return *estimate;
  return price ? core::highest_cost_of(*price, tokens) : core::Amount{};
}

Pricing require_pricing(std::optional<std::string_view> model, const std::optional<core::Amount>& estimated_cost) {
  if (estimated_cost && *estimated_cost <= core::Amount{})
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_estimated_cost must be above zero");
  return {find_price(model), estimated_cost};
}

}  // namespace claude_gpt::api
