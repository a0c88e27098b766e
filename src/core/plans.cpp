#include "core/plans.hpp"

#include <algorithm>
#include <span>

namespace claude_gpt::core {

namespace {

// -1 is unlimited.
std::optional<ConfigProblem> read_count_limit(const Json& value, const std::string& path,
                                              std::optional<std::int64_t>& result) {
  const auto limit = value.as_integer();
  if (!limit || *limit < -1)
    return ConfigProblem{path, "must be a whole number from 0 to 9223372036854775807, or -1 for unlimited"};
  result = *limit == -1 ? std::nullopt : limit;
  return std::nullopt;
}

// "-1", also with zeros behind the point; rounding must not make it so.
bool is_minus_one(std::string_view number) {
  if (!number.starts_with("-1")) return false;
  number.remove_prefix(2);
  return number.empty() || (number.starts_with('.') && number.find_first_not_of(".0") == std::string_view::npos);
}

std::optional<ConfigProblem> read_cost_limit(const Json& value, const std::string& path,
                                             std::optional<Amount>& result) {
  const Json::Number* number = value.as_number();
  Amount limit;
  const bool readable = number != nullptr && Amount::parse(number->text, limit) == Amount::ParseResult::ok;
  const bool unlimited = number != nullptr && is_minus_one(number->text);
  // Too small to be stored, it would silently be a limit of nothing.
  const bool rounded_to_zero =
      readable && limit.is_zero() && number->text.find_first_of("123456789") != std::string::npos;
  if (!readable || rounded_to_zero || (limit.is_negative() && !unlimited))
    return ConfigProblem{path, "must be a number from 0 to 99999999999, or -1 for unlimited"};
  result = unlimited ? std::nullopt : std::optional{limit};
  return std::nullopt;
}

std::optional<ConfigProblem> read_anchor(const Json& value, const std::string& path, BillingAnchor& result) {
  const std::string* name = value.as_string();
  if (name == nullptr || (*name != "calendar" && *name != "subscription"))
    return ConfigProblem{path, "must be \"calendar\" or \"subscription\""};
  result = *name == "subscription" ? BillingAnchor::subscription : BillingAnchor::calendar;
  return std::nullopt;
}

// tokenPerMonth, tokens_per_month, tokensPerMonths: a misspelt limit would be no limit at all.
bool looks_misspelt(std::string_view name) {
  std::string letters;
  for (const char c : name)
    if (c != '_') letters.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  return letters.find("permonth") != std::string::npos;
}

// In lower case: messages, per, 5, hours of messagesPer5Hours.
std::vector<std::string> words_of(std::string_view name) {
  enum class Kind { other, digit, lower, upper };
  const auto kind_of = [](char c) {
    if (c >= '0' && c <= '9') return Kind::digit;
    if (c >= 'a' && c <= 'z') return Kind::lower;
    return c >= 'A' && c <= 'Z' ? Kind::upper : Kind::other;
  };
  std::vector<std::string> words;
  Kind before = Kind::other;
  for (const char c : name) {
    const Kind kind = kind_of(c);
    const bool ends_capitals = kind == Kind::lower && before == Kind::upper && words.back().size() > 1;
    if (ends_capitals) {
      // The last capital is the first letter of the next word: RPM, limit.
      const char first = words.back().back();
      words.back().pop_back();
      words.emplace_back(1, first);
    } else if (kind != Kind::other && kind != before && !(kind == Kind::lower && before == Kind::upper)) {
      words.emplace_back();
    }
    if (kind != Kind::other) words.back().push_back(kind == Kind::upper ? static_cast<char>(c - 'A' + 'a') : c);
    before = kind;
  }
  return words;
}

bool has_word(const std::vector<std::string>& words, std::span<const std::string_view> known) {
  return std::ranges::any_of(words, [&](const auto& word) { return std::ranges::find(known, word) != known.end(); });
}

bool looks_like_a_limit(std::string_view name, const Json& value);

// {"limits": {"messagesPerDay": 3}}. Another object is the application's, whatever numbers it has.
bool looks_like_limits(std::string_view name, const Json::Object& members) {
  constexpr std::string_view k_collecting[] = {"limit", "limits", "quota", "quotas"};
  return has_word(words_of(name), k_collecting) && std::ranges::any_of(members, [](const auto& member) {
           return looks_like_a_limit(member.first, member.second);
         });
}

// messagesPerDay, tokensPer5Hours, maxConcurrent, dailyCost, rpm: whoever writes such a number means it to hold.
bool looks_like_a_limit(std::string_view name, const Json& value) {
  constexpr std::string_view k_limiting[] = {
      "per",       "max",     "maximum",  "limit",  "limits",  "quota",   "cap",        "budget",
      "allowance", "hourly",  "daily",    "weekly", "monthly", "yearly",  "concurrent", "concurrency",
      "parallel",  "message", "messages", "token",  "tokens",  "request", "requests",   "call",
      "calls",     "cost",    "costs",    "spend",  "usage",   "credits", "rpm",        "rph",
      "rpd",       "rps",     "qps",      "tpm",    "tph",     "tpd"};
  constexpr std::string_view k_pricing[] = {"price", "prices", "fee", "fees"};
  if (const Json::Object* members = value.as_object()) return looks_like_limits(name, *members);
  const std::string* text = value.as_string();
  const bool is_number = value.as_number() != nullptr || (text != nullptr && !text->empty() &&
                                                          text->find_first_not_of("-0123456789.") == std::string::npos);
  if (!is_number) return false;
  const auto words = words_of(name);
  return has_word(words, k_limiting) && !has_word(words, k_pricing);
}

std::optional<ConfigProblem> read_plan_member(std::string_view name, const Json& value, const std::string& path,
                                              ConfigSource source, Plan& plan) {
  if (name == "messagesPerMonth") return read_count_limit(value, path, plan.messages);
  if (name == "tokensPerMonth") return read_count_limit(value, path, plan.tokens);
  if (name == "apiCallsPerMonth") return read_count_limit(value, path, plan.api_calls);
  if (name == "costPerMonth") return read_cost_limit(value, path, plan.cost);
  if (name == "maxConcurrentTurns") return read_count_limit(value, path, plan.concurrent_turns);
  if (name == "billing_anchor") return read_anchor(value, path, plan.billing_anchor);
  if (name == "models") {
    if (auto problem = check_names(value, path, "must be an array of model names")) return problem;
    for (const Json& model : *value.as_array()) plan.models.emplace_back(*model.as_string());
    plan.lists_models = true;
    return std::nullopt;
  }
  if (looks_misspelt(name))
    return ConfigProblem{path,
                         "is not a known limit: messagesPerMonth, tokensPerMonth, apiCallsPerMonth, costPerMonth"};
  // What is stored already is ignored, as it was when it was stored: refusing it now would lock out all users.
  if (source == ConfigSource::caller && looks_like_a_limit(name, value))
    return ConfigProblem{
        path,
        "looks like a limit, and is none of messagesPerMonth, tokensPerMonth, apiCallsPerMonth, costPerMonth,"
        " maxConcurrentTurns; a number of the application's own goes into an object of another name"};
  return std::nullopt;
}

std::optional<ConfigProblem> read_plan(const Json& value, const std::string& path, ConfigSource source, Plan& plan) {
  const Json::Object* members = value.as_object();
  if (members == nullptr) return ConfigProblem{path, "must be an object"};
  bool has_message_limit = false;
  for (const auto& [name, member] : *members) {
    if (auto problem = read_plan_member(name, member, member_path(path, name), source, plan)) return problem;
    has_message_limit = has_message_limit || name == "messagesPerMonth";
  }
  if (!has_message_limit) return ConfigProblem{path + ".messagesPerMonth", "is missing"};
  return std::nullopt;
}

}  // namespace

bool Plan::admits_model(std::string_view model) const {
  return !lists_models ||
         std::ranges::any_of(models, [&](const auto& name) { return std::string_view{name} == model; });
}

std::optional<ConfigProblem> read_plans(const Reading& reading, std::optional<Plans>& result) {
  const Json::Object* tiers = reading.value.as_object();
  if (tiers == nullptr) return ConfigProblem{"$", "must be an object of plans"};
  Plans plans(reading.memory);
  bool has_free = false;
  for (const auto& [tier, description] : *tiers) {
    Plan& plan = plans.emplace_back();
    plan.tier = tier;
    if (auto problem = read_plan(description, member_path("$", tier), reading.source, plan)) return problem;
    has_free = has_free || tier == "free";
  }
  // Every lapsed subscription falls back to it.
  if (!has_free) return ConfigProblem{"$.free", "is missing"};
  result = std::move(plans);
  return std::nullopt;
}

std::optional<ConfigProblem> read_rate_limits(const Reading& reading, std::optional<RateLimits>& result) {
  const Json::Object* tiers = reading.value.as_object();
  if (tiers == nullptr) return ConfigProblem{"$", "must be an object of tiers"};
  RateLimits limits(reading.memory);
  for (const auto& [tier, limit] : *tiers) {
    const auto per_minute = limit.as_integer();
    if (!per_minute || *per_minute < 1 || *per_minute > 1'000'000)
      return ConfigProblem{member_path("$", tier), "must be a whole number of calls per minute from 1 to 1000000"};
    limits.emplace_back(tier, *per_minute);
  }
  const bool has_free = std::ranges::any_of(*tiers, [](const auto& tier) { return tier.first == "free"; });
  if (reading.source == ConfigSource::caller && !has_free) return ConfigProblem{"$.free", "is missing"};
  result = std::move(limits);
  return std::nullopt;
}

}  // namespace claude_gpt::core
