// Topic quota: what settle_usage() and the ends of chat turns are told was used: counts of tokens, or usage as
// providers report it.
#include "api/reservations.hpp"
#include "bridge/entry.hpp"
#include "bridge/json.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

std::vector<core::ModelCall> read_usage(UnreadJsonb usage) {
  const auto document = read_jsonb(usage.datum);
  if (document) return core::read_provider_usage(*document);
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_usage is not valid",
                      "It is nested more than 32 levels deep.");
}

// Where one of the two counts is not known, the call used more than the other tells.
std::vector<core::ModelCall> counted_call(const Call& call, const SettlementParameters& parameters) {
  const auto prompt = call.find(parameters.prompt);
  const auto completion = call.find(parameters.completion);
  const core::TokenCounts tokens{prompt.value_or(0), completion.value_or(0), call.required(parameters.cached_prompt),
                                 call.required(parameters.cache_write)};
  require_not_negative(tokens.prompt, "p_prompt_tokens");
  require_not_negative(tokens.completion, "p_completion_tokens");
  require_not_negative(tokens.cached_prompt, "p_cached_prompt_tokens");
  require_not_negative(tokens.cache_write, "p_cache_write_tokens");
  if (!tokens.is_sound())
    throw core::Failure(core::sqlstate::k_invalid_parameter_value,
                        "p_cached_prompt_tokens and p_cache_write_tokens must be part of p_prompt_tokens");
  return {{.tokens = tokens, .is_known = prompt && completion, .tells_kinds = false}};
}

void require_no_counts(const Call& call, const SettlementParameters& parameters) {
  const auto is_given = [&](const Parameter<std::int32_t>& count) {
    const auto value = call.find(count);
    return value && value != parameters.default_count;
  };
  if (is_given(parameters.prompt) || is_given(parameters.completion) || call.required(parameters.cached_prompt) != 0 ||
      call.required(parameters.cache_write) != 0)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value,
                        "p_usage and counts of tokens must not both be given");
}

}  // namespace

Settlement require_settlement(const Call& call, const SettlementParameters& parameters) {
  Settlement settlement;
  const auto usage = call.find(parameters.usage);
  if (usage) require_no_counts(call, parameters);
  settlement.calls = usage ? read_usage(*usage) : counted_call(call, parameters);
  settlement.tokens = core::sum_of(settlement.calls);
  settlement.kinds = core::kinds_of(settlement.calls);
  settlement.is_estimated = !core::are_known(settlement.calls);
  settlement.given_cost = call.find(parameters.cost);
  if (settlement.given_cost) require_not_negative(*settlement.given_cost, "p_cost");
  return settlement;
}

}  // namespace claude_gpt::api
