#include "core/config.hpp"

#include <algorithm>
#include <array>

#include "core/calendar.hpp"
#include "core/failure.hpp"

namespace claude_gpt::core {

namespace {

using Problem = Configuration::Problem;

constexpr std::array<std::string_view, 11> k_keys = {
    "ai_models",   "billing_timezone", "idempotency_ttl",    "maintenance_mode",   "model_prices", "partitions",
    "rate_limits", "retention",        "subscription_grace", "subscription_plans", "usage_ledger"};

constexpr std::int64_t k_default_grace = 3 * k_microseconds_per_day;
constexpr std::int64_t k_default_idempotency_ttl = k_microseconds_per_day;
constexpr Retention k_default_retention{.audit_logs = 30 * k_microseconds_per_day,
                                        .usage_records = std::nullopt,
                                        .usage_reservations = 7 * k_microseconds_per_day,
                                        .user_sessions = 0,
                                        .job_runs = 30 * k_microseconds_per_day};
constexpr PartitionWidths k_default_partitions{"1 week", "3 months", "1 year"};
constexpr std::array<std::string_view, 4> k_widths = {"1 week", "1 month", "3 months", "1 year"};

// The path of a member: $.name, or $["odd name"] where a plain name would be misread.
std::string member_path(const std::string& parent, std::string_view name) {
  const bool plain = !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (plain) return parent + "." + std::string(name);
  std::string quoted;
  for (const char c : name) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return parent + "[\"" + quoted + "\"]";
}

std::string element_path(const std::string& parent, std::size_t index) {
  return parent + "[" + std::to_string(index) + "]";
}

std::optional<Problem> check_names(const Json& value, const std::string& path, const char* rule) {
  const Json::Array* names = value.as_array();
  if (names == nullptr) return Problem{path, rule};
  for (std::size_t i = 0; i < names->size(); ++i) {
    const std::string* name = (*names)[i].as_string();
    if (name == nullptr || name->empty())
      return Problem{element_path(path, i), "must be a model name that is not empty"};
  }
  return std::nullopt;
}

std::optional<Problem> read_boolean(const Json& value, bool& result) {
  const bool* flag = value.as_boolean();
  if (flag == nullptr) return Problem{"$", "must be true or false"};
  result = *flag;
  return std::nullopt;
}

// -1 is unlimited.
std::optional<Problem> read_count_limit(const Json& value, const std::string& path,
                                        std::optional<std::int64_t>& result) {
  const auto limit = value.as_integer();
  if (!limit || *limit < -1)
    return Problem{path, "must be a whole number from 0 to 9223372036854775807, or -1 for unlimited"};
  result = *limit == -1 ? std::nullopt : limit;
  return std::nullopt;
}

// "-1", also with zeros behind the point; rounding must not make it so.
bool is_minus_one(std::string_view number) {
  if (!number.starts_with("-1")) return false;
  number.remove_prefix(2);
  return number.empty() || (number.starts_with('.') && number.find_first_not_of(".0") == std::string_view::npos);
}

std::optional<Problem> read_cost_limit(const Json& value, const std::string& path, std::optional<Amount>& result) {
  const Json::Number* number = value.as_number();
  Amount limit;
  const bool readable = number != nullptr && Amount::parse(number->text, limit) == Amount::ParseResult::ok;
  const bool unlimited = number != nullptr && is_minus_one(number->text);
  // Too small to be stored, it would silently be a limit of nothing.
  const bool rounded_to_zero =
      readable && limit.is_zero() && number->text.find_first_of("123456789") != std::string::npos;
  if (!readable || rounded_to_zero || (limit.is_negative() && !unlimited))
    return Problem{path, "must be a number from 0 to 99999999999, or -1 for unlimited"};
  result = unlimited ? std::nullopt : std::optional{limit};
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

// messagesPerDay, tokensPer5Hours, maxConcurrent, dailyCost: whoever writes such a number means it to hold.
bool looks_like_a_limit(std::string_view name, const Json& value) {
  constexpr std::string_view k_limiting[] = {"per",      "max",    "maximum",    "limit",       "limits",   "quota",
                                             "cap",      "budget", "allowance",  "hourly",      "daily",    "weekly",
                                             "monthly",  "yearly", "concurrent", "concurrency", "parallel", "message",
                                             "messages", "token",  "tokens",     "request",     "requests", "call",
                                             "calls",    "cost",   "costs",      "spend",       "usage",    "credits"};
  constexpr std::string_view k_pricing[] = {"price", "prices", "fee", "fees"};
  const std::string* text = value.as_string();
  const bool is_number = value.as_number() != nullptr || (text != nullptr && !text->empty() &&
                                                          text->find_first_not_of("-0123456789.") == std::string::npos);
  if (!is_number) return false;
  const auto words = words_of(name);
  return has_word(words, k_limiting) && !has_word(words, k_pricing);
}

std::optional<Problem> read_plan_member(std::string_view name, const Json& value, const std::string& path,
                                        Configuration::Source source, Plan& plan) {
  if (name == "messagesPerMonth") return read_count_limit(value, path, plan.messages);
  if (name == "tokensPerMonth") return read_count_limit(value, path, plan.tokens);
  if (name == "apiCallsPerMonth") return read_count_limit(value, path, plan.api_calls);
  if (name == "costPerMonth") return read_cost_limit(value, path, plan.cost);
  if (name == "models") {
    if (auto problem = check_names(value, path, "must be an array of model names")) return problem;
    for (const Json& model : *value.as_array()) plan.models.emplace_back(*model.as_string());
    plan.lists_models = true;
    return std::nullopt;
  }
  if (looks_misspelt(name))
    return Problem{path, "is not a known limit: messagesPerMonth, tokensPerMonth, apiCallsPerMonth, costPerMonth"};
  // What is stored already is ignored, as it was when it was stored: refusing it now would lock out all users.
  if (source == Configuration::Source::caller && looks_like_a_limit(name, value))
    return Problem{
        path,
        "looks like a limit, and is none of messagesPerMonth, tokensPerMonth, apiCallsPerMonth, costPerMonth;"
        " a number of the application's own goes into an object"};
  return std::nullopt;
}

std::optional<Problem> read_plan(const Json& value, const std::string& path, Configuration::Source source, Plan& plan) {
  const Json::Object* members = value.as_object();
  if (members == nullptr) return Problem{path, "must be an object"};
  bool has_message_limit = false;
  for (const auto& [name, member] : *members) {
    if (auto problem = read_plan_member(name, member, member_path(path, name), source, plan)) return problem;
    has_message_limit = has_message_limit || name == "messagesPerMonth";
  }
  if (!has_message_limit) return Problem{path + ".messagesPerMonth", "is missing"};
  return std::nullopt;
}

std::optional<Problem> read_price(const Json& value, const std::string& path, Amount& result) {
  const Json::Number* number = value.as_number();
  Amount price;
  const bool readable = number != nullptr && Amount::parse(number->text, price) == Amount::ParseResult::ok;
  const bool rounded_to_zero =
      readable && price.is_zero() && number->text.find_first_of("123456789") != std::string::npos;
  if (!readable || price.is_negative() || rounded_to_zero)
    return Problem{path, "must be a price from 0 to 99999999999"};
  result = price;
  return std::nullopt;
}

std::optional<Problem> read_model_price(const Json& value, const std::string& path, ModelPrice& price) {
  const Json::Object* members = value.as_object();
  if (members == nullptr) return Problem{path, "must be an object of prices"};
  std::optional<Amount> prompt, cached_prompt, cache_write, cache_write_1h, completion;
  for (const auto& [name, member] : *members) {
    std::optional<Amount>* target = name == "prompt"         ? &prompt
                                    : name == "cachedPrompt" ? &cached_prompt
                                    : name == "cacheWrite"   ? &cache_write
                                    : name == "cacheWrite1h" ? &cache_write_1h
                                    : name == "completion"   ? &completion
                                                             : nullptr;
    if (target == nullptr)
      return Problem{member_path(path, name),
                     "is not a known price: prompt, cachedPrompt, cacheWrite, cacheWrite1h, completion"};
    if (auto problem = read_price(member, member_path(path, name), target->emplace())) return problem;
  }
  if (!prompt) return Problem{path + ".prompt", "is missing"};
  if (!completion) return Problem{path + ".completion", "is missing"};
  const Amount written = cache_write.value_or(*prompt);
  price = {*prompt, cached_prompt.value_or(*prompt), written, *completion, cache_write_1h.value_or(written)};
  return std::nullopt;
}

std::optional<Problem> read_length(const Json& value, const ServerKnowledge& server, std::int64_t smallest,
                                   const char* rule, std::int64_t& result) {
  const std::string* text = value.as_string();
  const auto length = text == nullptr ? std::nullopt : server.interval_length(*text);
  if (!length || *length < smallest) return Problem{"$", rule};
  result = *length;
  return std::nullopt;
}

}  // namespace

bool Plan::admits_model(std::string_view model) const {
  return !lists_models ||
         std::ranges::any_of(models, [&](const auto& name) { return std::string_view{name} == model; });
}

Configuration::Configuration(std::pmr::memory_resource* memory)
    : memory_(memory), plans_(memory), rate_limits_(memory), prices_(memory), billing_timezone_("UTC", memory),
      subscription_grace_(k_default_grace), idempotency_ttl_(k_default_idempotency_ttl),
      retention_(k_default_retention), partitions_(k_default_partitions), invalid_(memory) {}

bool Configuration::knows(std::string_view key) { return std::ranges::find(k_keys, key) != k_keys.end(); }

std::optional<Problem> Configuration::apply(std::string_view key, const Json& value, const ServerKnowledge& server,
                                            Source source) {
  if (key == "subscription_plans") return apply_plans(value, source);
  if (key == "ai_models") return check_names(value, "$", "must be an array of model names");
  if (key == "rate_limits") return apply_rate_limits(value, source);
  if (key == "model_prices") return apply_prices(value);
  if (key == "maintenance_mode") return read_boolean(value, maintenance_mode_);
  if (key == "usage_ledger") return read_boolean(value, usage_ledger_);
  if (key == "retention") return apply_retention(value, server);
  if (key == "partitions") return apply_partitions(value);
  if (key == "billing_timezone") {
    const std::string* name = value.as_string();
    if (name == nullptr || !server.is_time_zone(*name))
      return Problem{"$", "must be the name of a time zone, such as \"UTC\""};
    billing_timezone_ = *name;
    return std::nullopt;
  }
  if (key == "subscription_grace")
    return read_length(value, server, 0,
                       "must be an interval of days, hours or less, such as \"3 days\", and not negative",
                       subscription_grace_);
  if (key == "idempotency_ttl")
    return read_length(value, server, 1,
                       "must be an interval of days, hours or less, such as \"24 hours\", and longer than zero",
                       idempotency_ttl_);
  return std::nullopt;
}

std::optional<Problem> Configuration::apply_plans(const Json& value, Source source) {
  const Json::Object* tiers = value.as_object();
  if (tiers == nullptr) return Problem{"$", "must be an object of plans"};
  std::pmr::vector<Plan> plans(memory_);
  bool has_free = false;
  for (const auto& [tier, description] : *tiers) {
    Plan& plan = plans.emplace_back();
    plan.tier = tier;
    if (auto problem = read_plan(description, member_path("$", tier), source, plan)) return problem;
    has_free = has_free || tier == "free";
  }
  // Every lapsed subscription falls back to it.
  if (!has_free) return Problem{"$.free", "is missing"};
  plans_ = std::move(plans);
  has_plans_ = true;
  return std::nullopt;
}

std::optional<Problem> Configuration::apply_rate_limits(const Json& value, Source source) {
  const Json::Object* tiers = value.as_object();
  if (tiers == nullptr) return Problem{"$", "must be an object of tiers"};
  std::pmr::vector<std::pair<std::pmr::string, std::int64_t>> limits(memory_);
  for (const auto& [tier, limit] : *tiers) {
    const auto per_minute = limit.as_integer();
    if (!per_minute || *per_minute < 1 || *per_minute > 1'000'000)
      return Problem{member_path("$", tier), "must be a whole number of calls per minute from 1 to 1000000"};
    limits.emplace_back(tier, *per_minute);
  }
  const bool has_free = std::ranges::any_of(*tiers, [](const auto& tier) { return tier.first == "free"; });
  if (source == Source::caller && !has_free) return Problem{"$.free", "is missing"};
  rate_limits_ = std::move(limits);
  has_rate_limits_ = true;
  return std::nullopt;
}

std::optional<Problem> Configuration::apply_prices(const Json& value) {
  const Json::Object* models = value.as_object();
  if (models == nullptr) return Problem{"$", "must be an object of models"};
  std::pmr::vector<std::pair<std::pmr::string, ModelPrice>> prices(memory_);
  for (const auto& [model, description] : *models) {
    if (model.empty()) return Problem{member_path("$", model), "must have a model name that is not empty"};
    ModelPrice price;
    if (auto problem = read_model_price(description, member_path("$", model), price)) return problem;
    prices.emplace_back(model, price);
  }
  prices_ = std::move(prices);
  return std::nullopt;
}

std::optional<Problem> Configuration::apply_retention(const Json& value, const ServerKnowledge& server) {
  const Json::Object* tables = value.as_object();
  if (tables == nullptr) return Problem{"$", "must be an object of tables"};
  Retention retention = k_default_retention;
  for (const auto& [table, length] : *tables) {
    std::optional<std::int64_t>* target = table == "audit_logs"           ? &retention.audit_logs
                                          : table == "usage_records"      ? &retention.usage_records
                                          : table == "usage_reservations" ? &retention.usage_reservations
                                          : table == "user_sessions"      ? &retention.user_sessions
                                          : table == "job_runs"           ? &retention.job_runs
                                                                          : nullptr;
    const std::string path = member_path("$", table);
    if (target == nullptr)
      return Problem{
          path,
          "is not a table with a retention: audit_logs, usage_records, usage_reservations, user_sessions, job_runs"};
    target->reset();
    if (std::holds_alternative<std::nullptr_t>(length.value)) continue;
    if (auto problem = read_length(
            length, server, 0,
            "must be an interval of days, hours or less, such as \"30 days\", not negative, or null for ever",
            target->emplace()))
      return Problem{path, problem->rule};
  }
  retention_ = retention;
  return std::nullopt;
}

std::optional<Problem> Configuration::apply_partitions(const Json& value) {
  const Json::Object* tables = value.as_object();
  if (tables == nullptr) return Problem{"$", "must be an object of tables"};
  PartitionWidths partitions = k_default_partitions;
  for (const auto& [table, width] : *tables) {
    std::string_view* target = table == "audit_logs"      ? &partitions.audit_logs
                               : table == "usage_records" ? &partitions.usage_records
                               : table == "messages"      ? &partitions.messages
                                                          : nullptr;
    const std::string path = member_path("$", table);
    if (target == nullptr) return Problem{path, "is not a table with partitions: audit_logs, usage_records, messages"};
    const std::string* text = width.as_string();
    const auto known = text == nullptr ? k_widths.end() : std::ranges::find(k_widths, *text);
    if (known == k_widths.end()) return Problem{path, "must be \"1 week\", \"1 month\", \"3 months\" or \"1 year\""};
    *target = *known;
  }
  partitions_ = partitions;
  return std::nullopt;
}

void Configuration::mark_invalid(std::string_view key, const Problem& problem) {
  invalid_.push_back({std::pmr::string(key, memory_), std::pmr::string(problem.path + " " + problem.rule, memory_)});
}

void Configuration::require_valid(std::string_view key) const {
  const auto found = std::ranges::find_if(invalid_, [&](const InvalidKey& row) { return row.key == key; });
  if (found == invalid_.end()) return;
  throw Failure(sqlstate::k_not_in_prerequisite_state, "configuration \"" + std::string(key) + "\" is not valid",
                std::string(found->reason) + ".", "Correct the row in claude_gpt_data.system_configs.");
}

const Plan& Configuration::plan(std::string_view tier) const {
  require_valid("subscription_plans");
  const auto found = std::ranges::find_if(plans_, [&](const Plan& plan) { return plan.tier == tier; });
  if (found != plans_.end()) return *found;
  throw Failure(sqlstate::k_not_in_prerequisite_state, "plan \"" + std::string(tier) + "\" is not configured",
                has_plans_ ? "The active configuration row \"subscription_plans\" has no such plan."
                           : "There is no active configuration row \"subscription_plans\".",
                "Add the plan to claude_gpt_data.system_configs.");
}

bool Configuration::has_plan(std::string_view tier) const {
  return std::ranges::any_of(plans(), [&](const Plan& plan) { return plan.tier == tier; });
}

std::span<const Plan> Configuration::plans() const {
  require_valid("subscription_plans");
  return plans_;
}

std::optional<std::int64_t> Configuration::rate_limit(std::string_view tier) const {
  require_valid("rate_limits");
  if (!has_rate_limits_) return std::nullopt;
  // A plan that is not listed has the least that is promised to anybody, rather than none or no limit.
  for (const std::string_view listed : {tier, std::string_view{"free"}}) {
    const auto found = std::ranges::find_if(rate_limits_, [&](const auto& limit) { return limit.first == listed; });
    if (found != rate_limits_.end()) return found->second;
  }
  throw Failure(sqlstate::k_not_in_prerequisite_state,
                "rate limit of plan \"" + std::string(tier) + "\" is not configured",
                "The active configuration row \"rate_limits\" has neither the plan nor \"free\".",
                "Add the plan to claude_gpt_data.system_configs.");
}

const ModelPrice* Configuration::find_price(std::string_view model) const {
  require_valid("model_prices");
  const auto found = std::ranges::find_if(prices_, [&](const auto& price) { return price.first == model; });
  return found == prices_.end() ? nullptr : &found->second;
}

std::string_view Configuration::billing_timezone() const {
  require_valid("billing_timezone");
  return billing_timezone_;
}

std::int64_t Configuration::subscription_grace() const {
  require_valid("subscription_grace");
  return subscription_grace_;
}

std::int64_t Configuration::idempotency_ttl() const {
  require_valid("idempotency_ttl");
  return idempotency_ttl_;
}

bool Configuration::usage_ledger() const {
  require_valid("usage_ledger");
  return usage_ledger_;
}

bool Configuration::maintenance_mode() const {
  require_valid("maintenance_mode");
  return maintenance_mode_;
}

const Retention& Configuration::retention() const {
  require_valid("retention");
  return retention_;
}

const PartitionWidths& Configuration::partitions() const {
  require_valid("partitions");
  return partitions_;
}

}  // namespace claude_gpt::core
