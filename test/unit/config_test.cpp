#include "core/config.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory_resource>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/calendar.hpp"
#include "core/failure.hpp"
#include "json_literal.hpp"

namespace claude_gpt::core {
namespace {

using Problem = Configuration::Problem;

// The register, as the tests look at it.
struct Row {
  std::string_view key;
  std::string_view first;   // value of its row
  std::string_view absent;  // what the list says of it
  // Whether two configurations have the same meaning for it; of meanings that the list does not tell, false.
  bool (*is_same)(const Configuration& one, const Configuration& other);
  void (*ask)(const Configuration& configuration);
};

template <bool is_told, typename Meaning> bool is_same(const Meaning& one, const Meaning& other) {
  if constexpr (is_told) return one == other;
  return false;
}

constexpr Row k_rows[] = {
#define CONFIG_KEY(name, migration, type, standard, reader, first, note, value, absent, decides) \
  {#name, first, absent,                                                                         \
   [](const Configuration& one, const Configuration& other) {                                    \
     return is_same<std::string_view{absent}.empty(), type>(one.name(), other.name());           \
   },                                                                                            \
   [](const Configuration& configuration) { configuration.name(); }},
#include "core/config_keys.def"
#undef CONFIG_KEY
};

// A server that knows three zones and a few intervals.
const ServerKnowledge k_server{[](std::string_view name) {
                                 return name == "UTC" || name == "Asia/Shanghai" ||
                                        name == "America/Argentina/Buenos_Aires";
                               },
                               [](std::string_view text) -> std::optional<std::int64_t> {
                                 if (text == "24 hours") return k_microseconds_per_day;
                                 for (const int days : {0, 3, 7, 30})
                                   if (text == std::to_string(days) + " days") return days * k_microseconds_per_day;
                                 if (text == "5 days") return 5 * k_microseconds_per_day;
                                 if (text == "1 microsecond") return 1;
                                 if (text == "0") return 0;
                                 if (text == "-1 day") return -k_microseconds_per_day;
                                 return std::nullopt;
                               }};

class config : public testing::Test {
 protected:
  std::optional<Problem> apply(std::string_view key, const Json& value) {
    return configuration.apply(key, value, k_server);
  }
  std::optional<Problem> apply(std::string_view key, std::string_view text) {
    return apply(key, JsonReader{text}.read_document());
  }

  // The path of the problem; "" if the value is taken.
  std::string path(std::string_view key, std::string_view text) {
    const auto problem =
        Configuration{std::pmr::get_default_resource()}.apply(key, JsonReader{text}.read_document(), k_server);
    return problem ? problem->path : "";
  }

  // As path(), of a value that a caller writes.
  std::string written(std::string_view key, std::string_view text) {
    const auto problem = Configuration{std::pmr::get_default_resource()}.apply(key, JsonReader{text}.read_document(),
                                                                               k_server, Configuration::Source::caller);
    return problem ? problem->path : "";
  }

  std::string rule(std::string_view key, std::string_view text) {
    const auto problem =
        Configuration{std::pmr::get_default_resource()}.apply(key, JsonReader{text}.read_document(), k_server);
    return problem ? problem->rule : "";
  }

  // The problem of a plan "free" with this member beside a good message limit, without the plan's own path.
  std::string plan_path(std::string_view member) {
    const std::string text = R"({"free": {"messagesPerMonth": 1, )" + std::string(member) + "}}";
    const std::string found = path("subscription_plans", text);
    return found.starts_with("$.free") ? found.substr(6) : found;
  }

  // The path of the problem below the model "m" with these prices.
  std::string price_path(std::string_view members) {
    const std::string found = path("model_prices", R"({"m": {)" + std::string(members) + "}}");
    return found.starts_with("$.m") ? found.substr(3) : found;
  }

  Configuration configuration{std::pmr::get_default_resource()};
};

// What is thrown, as text: SQLSTATE, message, detail, hint.
std::string refusal(const std::function<void()>& question) {
  try {
    question();
  } catch (const Failure& failure) {
    return std::string(failure.code()) + " " + failure.message() + " | " + failure.detail() + " | " + failure.hint();
  }
  return "no refusal";
}

// --- Keys ---

TEST_F(config, exactly_the_documented_keys_are_known) {
  for (const Row& row : k_rows) EXPECT_TRUE(Configuration::knows(row.key)) << row.key;
  for (const std::string_view key :
       {"", "subscription_plan", "Subscription_Plans", "subscription_plans ", "usage", "anything"})
    EXPECT_FALSE(Configuration::knows(key)) << key;
}

TEST_F(config, a_key_of_the_application_may_hold_any_json) {
  for (const std::string_view text : {"null", "1", "[{}]", R"({"free": 1})"})
    EXPECT_EQ(path("my_setting", text), "") << text;
}

// --- Defaults ---

TEST_F(config, first_values_are_valid_and_mean_the_standard_where_the_list_says_no_more) {
  for (const Row& row : k_rows) {
    Configuration first{std::pmr::get_default_resource()};
    const auto problem =
        first.apply(row.key, JsonReader{row.first}.read_document(), k_server, Configuration::Source::caller);
    EXPECT_FALSE(problem) << row.key << ": " << problem->path << " " << problem->rule;
    EXPECT_TRUE(!row.absent.empty() || row.is_same(first, configuration)) << row.key;
  }
}

TEST_F(config, nonsense_is_refused_for_every_key) {
  for (const Row& row : k_rows) EXPECT_NE(path(row.key, "[[]]"), "") << row.key;
}

TEST_F(config, without_rows_the_documented_defaults_hold) {
  EXPECT_EQ(configuration.billing_timezone(), "UTC");
  EXPECT_EQ(configuration.subscription_grace(), 3 * k_microseconds_per_day);
  EXPECT_TRUE(configuration.usage_ledger());
  EXPECT_FALSE(configuration.maintenance_mode());
  EXPECT_EQ(configuration.idempotency_ttl(), k_microseconds_per_day);
  EXPECT_TRUE(configuration.plans().empty());
  EXPECT_EQ(configuration.rate_limit("free"), std::nullopt);
  EXPECT_EQ(configuration.find_price("any"), nullptr);
}

TEST_F(config, without_a_plans_row_every_plan_is_refused_with_55000) {
  EXPECT_EQ(refusal([&] { configuration.plan("free"); }),
            "55000 plan \"free\" is not configured | There is no active configuration row \"subscription_plans\". | "
            "Add the plan to claude_gpt_data.system_configs.");
}

TEST_F(config, a_plan_that_the_row_lacks_is_refused_with_55000) {
  ASSERT_FALSE(apply("subscription_plans", R"({"free": {"messagesPerMonth": 1}})"));
  for (const std::string_view tier : {"pro", "Free", "fre", "free ", ""})
    EXPECT_EQ(
        refusal([&] { configuration.plan(tier); }),
        "55000 plan \"" + std::string(tier) +
            "\" is not configured | "
            "The active configuration row \"subscription_plans\" has no such plan. | Add the plan to claude_gpt_data.system_configs.");
  EXPECT_TRUE(configuration.has_plan("free"));
  EXPECT_FALSE(configuration.has_plan("Free"));
}

// --- Flags ---

TEST_F(config, flags_are_true_or_false_and_nothing_else) {
  for (const std::string_view key : {"maintenance_mode", "usage_ledger"}) {
    for (const std::string_view text : {"true", "false"}) EXPECT_EQ(path(key, text), "") << key << text;
    for (const std::string_view text : {"null", "0", "1", R"("true")", "[true]", R"({"on": true})", "[]", "{}"})
      EXPECT_EQ(path(key, text), "$") << key << text;
  }
}

TEST_F(config, the_ledger_is_as_the_row_says) {
  ASSERT_FALSE(apply("usage_ledger", "false"));
  EXPECT_FALSE(configuration.usage_ledger());
  ASSERT_FALSE(apply("usage_ledger", "true"));
  EXPECT_TRUE(configuration.usage_ledger());
}

TEST_F(config, maintenance_is_as_the_row_says) {
  ASSERT_FALSE(apply("maintenance_mode", "true"));
  EXPECT_TRUE(configuration.maintenance_mode());
  ASSERT_FALSE(apply("maintenance_mode", "false"));
  EXPECT_FALSE(configuration.maintenance_mode());
}

TEST_F(config, each_flag_is_its_own) {
  ASSERT_FALSE(apply("maintenance_mode", "false"));
  EXPECT_TRUE(configuration.usage_ledger());
  ASSERT_FALSE(apply("maintenance_mode", "true"));
  ASSERT_FALSE(apply("usage_ledger", "false"));
  EXPECT_TRUE(configuration.maintenance_mode());
  EXPECT_FALSE(configuration.usage_ledger());
}

// --- Time zone and grace ---

TEST_F(config, the_billing_zone_is_one_the_server_knows) {
  ASSERT_FALSE(apply("billing_timezone", R"("Asia/Shanghai")"));
  EXPECT_EQ(configuration.billing_timezone(), "Asia/Shanghai");
  for (const std::string_view text : {R"("Mars/Olympus")", R"("")", "8", "null", R"(["UTC"])", "true", "{}"})
    EXPECT_EQ(path("billing_timezone", text), "$") << text;
}

TEST_F(config, the_grace_is_an_interval_that_is_not_negative) {
  ASSERT_FALSE(apply("subscription_grace", R"("5 days")"));
  EXPECT_EQ(configuration.subscription_grace(), 5 * k_microseconds_per_day);
  ASSERT_FALSE(apply("subscription_grace", R"("0")"));
  EXPECT_EQ(configuration.subscription_grace(), 0);
  for (const std::string_view text :
       {R"("-1 day")", R"("1 month")", R"("")", "5", "0", "null", R"(["5 days"])", "false", "{}"})
    EXPECT_EQ(path("subscription_grace", text), "$") << text;
}

TEST_F(config, an_idempotency_key_is_remembered_for_longer_than_no_time) {
  ASSERT_FALSE(apply("idempotency_ttl", R"("5 days")"));
  EXPECT_EQ(configuration.idempotency_ttl(), 5 * k_microseconds_per_day);
  ASSERT_FALSE(apply("idempotency_ttl", R"("1 microsecond")"));
  EXPECT_EQ(configuration.idempotency_ttl(), 1);
  for (const std::string_view text :
       {R"("0")", R"("-1 day")", R"("1 month")", R"("")", "5", "0", "null", R"(["5 days"])", "true", "{}"})
    EXPECT_EQ(path("idempotency_ttl", text), "$") << text;
}

TEST_F(config, the_grace_and_the_memory_of_keys_are_two_lengths) {
  ASSERT_FALSE(apply("subscription_grace", R"("5 days")"));
  EXPECT_EQ(configuration.idempotency_ttl(), k_microseconds_per_day);
  ASSERT_FALSE(apply("idempotency_ttl", R"("1 microsecond")"));
  EXPECT_EQ(configuration.subscription_grace(), 5 * k_microseconds_per_day);
}

// --- Models and rate limits ---

TEST_F(config, each_retention_is_an_interval_or_for_ever) {
  EXPECT_EQ(path("retention", "{}"), "");
  for (const auto* table : {"audit_logs", "usage_records", "usage_reservations", "user_sessions", "job_runs"}) {
    const std::string name = "{\"" + std::string(table) + "\": ";
    for (const auto* taken : {"\"5 days\"", "\"0\"", "null"})
      EXPECT_EQ(path("retention", name + taken + "}"), "") << table << taken;
    for (const auto* refused : {"\"-1 day\"", "\"1 month\"", "\"soon\"", "30", "true", "[]", "{}"})
      EXPECT_EQ(path("retention", name + refused + "}"), "$." + std::string(table)) << table << refused;
  }
  EXPECT_EQ(path("retention", "{\"messages\": \"5 days\"}"), "$.messages");
  for (const auto* refused : {"null", "[]", "\"5 days\"", "30"}) EXPECT_EQ(path("retention", refused), "$") << refused;
}

TEST_F(config, what_the_retention_leaves_out_has_its_default) {
  constexpr std::int64_t k_day = k_microseconds_per_day;
  EXPECT_EQ(configuration.retention().audit_logs, 30 * k_day);
  EXPECT_EQ(configuration.retention().usage_records, std::nullopt);
  EXPECT_EQ(configuration.retention().usage_reservations, 7 * k_day);
  EXPECT_EQ(configuration.retention().user_sessions, 0);
  EXPECT_EQ(configuration.retention().job_runs, 30 * k_day);
  apply("retention", R"({"audit_logs": null, "usage_records": "5 days", "user_sessions": "1 microsecond"})");
  EXPECT_EQ(configuration.retention().audit_logs, std::nullopt);
  EXPECT_EQ(configuration.retention().usage_records, 5 * k_day);
  EXPECT_EQ(configuration.retention().user_sessions, 1);
  EXPECT_EQ(configuration.retention().usage_reservations, 7 * k_day);
  apply("retention", R"({"job_runs": "0", "usage_reservations": null})");
  EXPECT_EQ(configuration.retention().audit_logs, 30 * k_day) << "a row that is taken replaces the former one";
  EXPECT_EQ(configuration.retention().job_runs, 0);
  EXPECT_EQ(configuration.retention().usage_reservations, std::nullopt);
  apply("retention", R"({"job_runs": "5 days", "audit_logs": "-1 day"})");
  EXPECT_EQ(configuration.retention().job_runs, 0) << "one that breaks its rule is not half taken";
}

TEST_F(config, partitions_are_as_wide_as_a_week_a_month_a_quarter_or_a_year) {
  EXPECT_EQ(configuration.partitions().audit_logs, "1 week");
  EXPECT_EQ(configuration.partitions().usage_records, "3 months");
  EXPECT_EQ(configuration.partitions().messages, "1 year");
  for (const auto* table : {"audit_logs", "usage_records", "messages"}) {
    const std::string name = "{\"" + std::string(table) + "\": ";
    for (const auto* taken : {"\"1 week\"", "\"1 month\"", "\"3 months\"", "\"1 year\""})
      EXPECT_EQ(path("partitions", name + taken + "}"), "") << taken;
    for (const auto* refused : {"\"1 day\"", "\"7 days\"", "\"1 Week\"", "\"\"", "1", "null"})
      EXPECT_EQ(path("partitions", name + refused + "}"), "$." + std::string(table)) << refused;
  }
  EXPECT_EQ(path("partitions", "{\"users\": \"1 week\"}"), "$.users");
  EXPECT_EQ(path("partitions", "\"1 week\""), "$");
  apply("partitions", R"({"audit_logs": "1 month"})");
  EXPECT_EQ(configuration.partitions().audit_logs, "1 month");
  EXPECT_EQ(configuration.partitions().messages, "1 year");
}

TEST_F(config, models_are_an_array_of_names) {
  for (const std::string_view text : {"[]", R"(["a"])", R"(["a", "b", "a"])", R"([" "])"})
    EXPECT_EQ(path("ai_models", text), "") << text;
  for (const std::string_view text : {"null", "{}", R"("a")", "1", "true", R"({"a": "b"})"})
    EXPECT_EQ(path("ai_models", text), "$") << text;
  EXPECT_EQ(path("ai_models", R"([""])"), "$[0]");
  EXPECT_EQ(path("ai_models", R"(["a", "b", 3, ""])"), "$[2]");
  EXPECT_EQ(path("ai_models", R"(["a", null])"), "$[1]");
  EXPECT_EQ(path("ai_models", R"(["a", ["b"]])"), "$[1]");
}

TEST_F(config, rate_limits_are_calls_per_minute_from_one_to_a_million) {
  for (const std::string_view text : {"{}", R"({"free": 1})", R"({"free": 1000000, "pro": 300})"})
    EXPECT_EQ(path("rate_limits", text), "") << text;
  for (const std::string_view text : {"null", "[]", "60", R"("60")", "true"})
    EXPECT_EQ(path("rate_limits", text), "$") << text;
  for (const std::string_view limit :
       {"0", "-1", "1000001", "1.5", "9223372036854775808", R"("10")", "null", "true", "[10]", "{}"})
    EXPECT_EQ(path("rate_limits", R"({"free": 10, "pro": )" + std::string(limit) + "}"), "$.pro") << limit;
}

TEST_F(config, the_rate_limit_of_a_tier_is_that_of_the_row) {
  ASSERT_FALSE(apply("rate_limits", R"({"free": 10, "pro plus": 1000000})"));
  EXPECT_EQ(configuration.rate_limit("free"), 10);
  EXPECT_EQ(configuration.rate_limit("pro plus"), 1'000'000);
  ASSERT_FALSE(apply("rate_limits", R"({"free": 20})"));
  EXPECT_EQ(configuration.rate_limit("free"), 20);
  EXPECT_EQ(configuration.rate_limit("pro plus"), 20);
}

TEST_F(config, a_tier_that_the_rate_limits_lack_has_the_limit_of_free) {
  ASSERT_FALSE(apply("rate_limits", R"({"base": 60, "free": 10})"));
  for (const std::string_view tier : {"pro", "Base", "fre", "free ", ""})
    EXPECT_EQ(configuration.rate_limit(tier), 10) << tier;
  EXPECT_EQ(configuration.rate_limit("base"), 60);
}

TEST_F(config, without_a_limit_of_free_such_a_tier_is_refused_with_55000) {
  for (const std::string_view row : {R"({"base": 10})", "{}"}) {
    ASSERT_FALSE(apply("rate_limits", row));
    EXPECT_EQ(refusal([&] { configuration.rate_limit("pro"); }),
              "55000 rate limit of plan \"pro\" is not configured | "
              "The active configuration row \"rate_limits\" has neither the plan nor \"free\". | "
              "Add the plan to claude_gpt_data.system_configs.");
  }
}

TEST_F(config, whoever_writes_rate_limits_gives_one_for_free) {
  EXPECT_EQ(written("rate_limits", R"({"free": 1})"), "");
  for (const std::string_view row : {"{}", R"({"base": 10})", R"({"Free": 10})"})
    EXPECT_EQ(written("rate_limits", row), "$.free") << row;
}

// --- Prices ---

TEST_F(config, prices_are_an_object_of_objects) {
  EXPECT_EQ(path("model_prices", "{}"), "");
  for (const std::string_view text :
       {"null", "[]", "1", R"("m")", "true", R"([{"m": {"prompt": 1, "completion": 1}}])"}) {
    EXPECT_EQ(path("model_prices", text), "$") << text;
    EXPECT_EQ(rule("model_prices", text), "must be an object of models") << text;
  }
  for (const std::string_view price : {"null", "[]", "1", R"("x")", "true"}) {
    const std::string text = R"({"a": {"prompt": 1, "completion": 1}, "b-2": )" + std::string(price) + "}";
    EXPECT_EQ(path("model_prices", text), "$[\"b-2\"]") << text;
    EXPECT_EQ(rule("model_prices", text), "must be an object of prices") << text;
  }
}

TEST_F(config, a_priced_model_has_a_name) {
  constexpr std::string_view k_text = R"({"": {"prompt": 1, "completion": 1}})";
  EXPECT_EQ(path("model_prices", k_text), "$[\"\"]");
  EXPECT_EQ(rule("model_prices", k_text), "must have a model name that is not empty");
}

TEST_F(config, a_model_has_a_price_for_prompt_and_completion) {
  EXPECT_EQ(price_path(R"("prompt": 1, "completion": 2)"), "");
  EXPECT_EQ(price_path(R"("completion": 2, "prompt": 1)"), "");
  EXPECT_EQ(price_path(R"("prompt": 1)"), ".completion");
  EXPECT_EQ(price_path(R"("completion": 1)"), ".prompt");
  EXPECT_EQ(price_path(R"("cachedPrompt": 1, "cacheWrite": 1)"), ".prompt");
  EXPECT_EQ(price_path(""), ".prompt");
  EXPECT_EQ(rule("model_prices", R"({"m": {}})"), "is missing");
  EXPECT_EQ(rule("model_prices", R"({"m": {"prompt": 1}})"), "is missing");
}

TEST_F(config, a_price_of_an_unknown_name_is_a_problem) {
  for (const std::string_view name :
       {"Prompt", "prompts", "cached_prompt", "cachedprompt", "cacheRead", "output", "currency"}) {
    const std::string members = R"("prompt": 1, "completion": 1, ")" + std::string(name) + R"(": 1)";
    EXPECT_EQ(price_path(members), "." + std::string(name));
    EXPECT_EQ(rule("model_prices", R"({"m": {)" + members + "}}"),
              "is not a known price: prompt, cachedPrompt, cacheWrite, cacheWrite1h, completion");
  }
  EXPECT_EQ(price_path(R"("prompt": 1, "completion": 1, "per token": 1)"), "[\"per token\"]");
}

TEST_F(config, a_price_is_an_amount_that_is_not_negative) {
  for (const std::string name : {"prompt", "cachedPrompt", "cacheWrite", "cacheWrite1h", "completion"}) {
    const auto members = [&](std::string_view price) {
      const std::string others = name == "prompt"       ? R"(, "completion": 1)"
                                 : name == "completion" ? R"(, "prompt": 1)"
                                                        : R"(, "prompt": 1, "completion": 1)";
      return "\"" + name + "\": " + std::string(price) + others;
    };
    for (const std::string_view price : {"0", "0.0", "0.0000000000", "0.000000001", "3", "12.5", "1.000000000000",
                                         "99999999999", "99999999999.999999999"})
      EXPECT_EQ(price_path(members(price)), "") << name << price;
    for (const std::string_view price :
         {"-1", "-1.0", "-0.5", "-0.000000001", "-0.0000000004", "0.0000000004", "0.00000000000000000001",
          "100000000000", "99999999999.9999999995", "NaN", R"("10")", R"("")", "null", "true", "[1]", "{}"}) {
      EXPECT_EQ(price_path(members(price)), "." + name) << price;
      EXPECT_EQ(rule("model_prices", R"({"m": {)" + members(price) + "}}").substr(0, 34),
                "must be a price from 0 to 99999999")
          << price;
    }
  }
}

TEST_F(config, the_prices_of_a_model_are_those_of_the_row) {
  ASSERT_FALSE(apply(
      "model_prices",
      R"({"large": {"cacheWrite": 3.75, "completion": 15, "prompt": 3, "cachedPrompt": 0.3}, "odd name": {"prompt": 1, "completion": 2}})"));
  const auto units = [](std::string_view text) {
    Amount amount;
    EXPECT_EQ(Amount::parse(text, amount), Amount::ParseResult::ok);
    return amount;
  };
  const ModelPrice* large = configuration.find_price("large");
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(large->prompt, units("3"));
  EXPECT_EQ(large->cached_prompt, units("0.3"));
  EXPECT_EQ(large->cache_write, units("3.75"));
  EXPECT_EQ(large->completion, units("15"));
  EXPECT_NE(configuration.find_price("odd name"), nullptr);
  for (const std::string_view model : {"", "Large", "large ", "larg", "odd"})
    EXPECT_EQ(configuration.find_price(model), nullptr) << model;
}

TEST_F(config, prices_of_the_cache_are_that_of_the_prompt_unless_they_are_given) {
  ASSERT_FALSE(apply("model_prices", R"({
      "neither": {"prompt": 3, "completion": 15},
      "read": {"cachedPrompt": 0, "prompt": 3, "completion": 15},
      "write": {"prompt": 3, "completion": 15, "cacheWrite": 4},
      "hour": {"prompt": 3, "completion": 15, "cacheWrite1h": 6}})"));
  const Amount zero, three = Amount::from_units(3'000'000'000), four = Amount::from_units(4'000'000'000),
                     six = Amount::from_units(6'000'000'000);
  EXPECT_EQ(configuration.find_price("neither")->cached_prompt, three);
  EXPECT_EQ(configuration.find_price("neither")->cache_write, three);
  EXPECT_EQ(configuration.find_price("read")->cached_prompt, zero);
  EXPECT_EQ(configuration.find_price("read")->cache_write, three);
  EXPECT_EQ(configuration.find_price("write")->cached_prompt, three);
  EXPECT_EQ(configuration.find_price("write")->cache_write, four);
  EXPECT_EQ(configuration.find_price("neither")->cache_write_1h, three);
  EXPECT_EQ(configuration.find_price("write")->cache_write_1h, four);
  EXPECT_EQ(configuration.find_price("hour")->cache_write, three);
  EXPECT_EQ(configuration.find_price("hour")->cache_write_1h, six);
}

TEST_F(config, prices_that_are_taken_replace_all_former_ones) {
  ASSERT_FALSE(apply("model_prices", R"({"a": {"prompt": 1, "completion": 1}, "b": {"prompt": 1, "completion": 1}})"));
  ASSERT_FALSE(apply("model_prices", R"({"b": {"prompt": 2, "completion": 1}})"));
  EXPECT_EQ(configuration.find_price("a"), nullptr);
  EXPECT_EQ(configuration.find_price("b")->prompt, Amount::from_units(2'000'000'000));
}

// --- Plans ---

TEST_F(config, plans_are_an_object_of_objects) {
  for (const std::string_view text : {"null", "[]", "1", R"("free")", "true", R"([{"free": {"messagesPerMonth": 1}}])"})
    EXPECT_EQ(path("subscription_plans", text), "$") << text;
  for (const std::string_view plan : {"null", "[]", "1", R"("x")", "true"})
    EXPECT_EQ(path("subscription_plans", R"({"free": {"messagesPerMonth": 1}, "pro": )" + std::string(plan) + "}"),
              "$.pro")
        << plan;
}

TEST_F(config, there_is_a_free_plan) {
  EXPECT_EQ(path("subscription_plans", "{}"), "$.free");
  EXPECT_EQ(path("subscription_plans", R"({"Free": {"messagesPerMonth": 1}})"), "$.free");
  EXPECT_EQ(path("subscription_plans", R"({"pro": {"messagesPerMonth": 1}, "free": {"messagesPerMonth": 1}})"), "");
}

TEST_F(config, every_plan_says_its_message_limit) {
  EXPECT_EQ(path("subscription_plans", R"({"free": {}})"), "$.free.messagesPerMonth");
  EXPECT_EQ(path("subscription_plans", R"({"free": {"messagesPerMonth": 1}, "pro": {"tokensPerMonth": 5}})"),
            "$.pro.messagesPerMonth");
}

TEST_F(config, counted_limits_are_whole_numbers_or_minus_one) {
  for (const std::string_view name : {"tokensPerMonth", "apiCallsPerMonth"}) {
    const std::string member = "\"" + std::string(name) + "\": ";
    for (const std::string_view limit : {"-1", "0", "1", "9223372036854775807"})
      EXPECT_EQ(plan_path(member + std::string(limit)), "") << member << limit;
    for (const std::string_view limit :
         {"-2", "1.5", "9223372036854775808", "-9223372036854775808", R"("10")", "null", "true", "[1]", "{}"})
      EXPECT_EQ(plan_path(member + std::string(limit)), "." + std::string(name)) << limit;
  }
  for (const std::string_view limit : {"-2", "0.5", "null", R"("10")", "false"})
    EXPECT_EQ(path("subscription_plans", R"({"free": {"messagesPerMonth": )" + std::string(limit) + "}}"),
              "$.free.messagesPerMonth")
        << limit;
}

TEST_F(config, the_cost_limit_is_an_amount_or_minus_one) {
  for (const std::string_view limit : {"-1", "-1.000", "-1.0000000000", "0", "0.0", "0.0000000000", "0.000000001",
                                       "0.0000000005", "12.5", "99999999999", "99999999999.999999999"})
    EXPECT_EQ(plan_path(R"("costPerMonth": )" + std::string(limit)), "") << limit;
  for (const std::string_view limit :
       {"-2", "-0.5", "-1.000000001", "-0.000000001", "-1.0000000004", "-0.9999999996", "-10", "-11", "0.0000000004",
        "-0.0000000004", "100000000000", "99999999999.9999999995", "NaN", R"("10")", "null", "true", "[1]", "{}"})
    EXPECT_EQ(plan_path(R"("costPerMonth": )" + std::string(limit)), ".costPerMonth") << limit;
}

TEST_F(config, the_models_of_a_plan_are_an_array_of_names) {
  EXPECT_EQ(plan_path(R"("models": [])"), "");
  EXPECT_EQ(plan_path(R"("models": ["a", "b"])"), "");
  for (const std::string_view models : {"null", "{}", R"("a")", "1", "true"})
    EXPECT_EQ(plan_path(R"("models": )" + std::string(models)), ".models") << models;
  EXPECT_EQ(plan_path(R"("models": ["a", ""])"), ".models[1]");
  EXPECT_EQ(plan_path(R"("models": [7])"), ".models[0]");
}

TEST_F(config, a_limit_of_an_unknown_name_is_a_problem_and_other_members_are_the_application_s) {
  for (const std::string_view name :
       {"messagePerMonth", "tokenPerMonth", "costsPerMonth", "PerMonth", "MessagesPerMonth"})
    EXPECT_EQ(plan_path("\"" + std::string(name) + "\": 1"), "." + std::string(name));
  for (const std::string_view name : {"price", "displayName", "limits"})
    EXPECT_EQ(plan_path("\"" + std::string(name) + "\": [1]"), "") << name;
}

TEST_F(config, a_number_that_looks_like_a_limit_is_refused_to_whoever_writes_it) {
  const auto written_member = [&](std::string_view name, std::string_view value) {
    return written("subscription_plans",
                   R"({"free": {"messagesPerMonth": 1, ")" + std::string(name) + "\": " + std::string(value) + "}}");
  };
  for (const std::string_view name :
       {"messagesPerDay", "tokensPer5Hours", "maxConcurrent", "dailyCost", "messages_per_day", "DAILY_TOKENS", "limit",
        "requestsPerMinute", "RPMLimit", "max-tokens", "usage", "weeklyMessages", "rpm", "TPM", "maxRps"}) {
    EXPECT_EQ(plan_path("\"" + std::string(name) + "\": 1"), "") << name << ", stored";
    for (const std::string_view value : {"1", "-1", "0.5", R"("100")", R"("-1")"})
      EXPECT_NE(written_member(name, value), "") << name << ": " << value;
    for (const std::string_view value : {"[1]", R"({"x": 1})", "true", R"("ten a day")", R"("")", "null"})
      EXPECT_EQ(written_member(name, value), "") << name << ": " << value;
  }
  for (const std::string_view name : {"price", "monthlyPrice", "seats", "order", "trialDays", "storageGb", "permission",
                                      "supporter", "recall", "$", ""})
    EXPECT_EQ(written_member(name, "20"), "") << name;
}

TEST_F(config, limits_that_are_collected_in_an_object_are_refused_and_other_objects_are_not) {
  const auto written_member = [&](std::string_view member) {
    return written("subscription_plans", R"({"free": {"messagesPerMonth": 1, )" + std::string(member) + "}}");
  };
  for (const std::string_view member :
       {R"("limits": {"messagesPerDay": 3})", R"("quota": {"name": "x", "rpm": "60"})",
        R"("rateLimits": {"perMinute": 5})", R"("limits": {"limits": {"maxChats": 1}})"})
    EXPECT_NE(written_member(member), "") << member;
  for (const std::string_view member : {R"("model": {"maxTokens": 8000})", R"("limits": {})",
                                        R"("limits": {"note": "messages"})", R"("price": {"limit": 5})"})
    EXPECT_EQ(written_member(member), "") << member;
  EXPECT_EQ(plan_path(R"("limits": {"messagesPerDay": 3})"), "") << "stored";
}

TEST_F(config, an_odd_name_is_quoted_in_the_path) {
  const auto path_of_plan = [&](const std::string& tier) {
    return path("subscription_plans", "{\"" + tier + "\": 1}");
  };
  EXPECT_EQ(path_of_plan("pro_2"), "$.pro_2");
  EXPECT_EQ(path_of_plan("AZ_az09"), "$.AZ_az09");
  EXPECT_EQ(path_of_plan("pro plus"), "$[\"pro plus\"]");
  EXPECT_EQ(path_of_plan("a.b"), "$[\"a.b\"]");
  EXPECT_EQ(path_of_plan("a-b"), "$[\"a-b\"]");
  EXPECT_EQ(path_of_plan("\xC3\xA9t\xC3\xA9"), "$[\"\xC3\xA9t\xC3\xA9\"]");
  EXPECT_EQ(path_of_plan(""), "$[\"\"]");
  const Json quotes{Json::Object{{"a\"b\\c", {false}}}};
  EXPECT_EQ(apply("subscription_plans", quotes)->path, "$[\"a\\\"b\\\\c\"]");
  EXPECT_EQ(path("subscription_plans", R"({"pro plus": {"models": [1]}})"), "$[\"pro plus\"].models[0]");
}

TEST_F(config, a_plan_is_read_with_all_its_limits) {
  ASSERT_FALSE(apply("subscription_plans", R"({
      "free": {"messagesPerMonth": 10},
      "pro": {"messagesPerMonth": -1, "tokensPerMonth": 5000000000, "apiCallsPerMonth": 0, "costPerMonth": 12.5, "models": ["small", "large"]},
      "flat": {"messagesPerMonth": 1, "tokensPerMonth": -1, "apiCallsPerMonth": -1, "costPerMonth": -1, "price": 20}})"));
  const Plan& free = configuration.plan("free");
  EXPECT_EQ(free.tier, "free");
  EXPECT_EQ(free.messages, 10);
  EXPECT_EQ(free.tokens, std::nullopt);
  EXPECT_EQ(free.api_calls, std::nullopt);
  EXPECT_EQ(free.cost, std::nullopt);
  EXPECT_TRUE(free.models.empty());
  const Plan& pro = configuration.plan("pro");
  EXPECT_EQ(pro.messages, std::nullopt);
  EXPECT_EQ(pro.tokens, 5'000'000'000);
  EXPECT_EQ(pro.api_calls, 0);
  EXPECT_EQ(pro.cost, Amount::from_units(12'500'000'000));
  EXPECT_EQ(pro.models, (std::pmr::vector<std::pmr::string>{"small", "large"}));
  const Plan& flat = configuration.plan("flat");
  EXPECT_EQ(flat.messages, 1);
  EXPECT_EQ(flat.tokens, std::nullopt);
  EXPECT_EQ(flat.api_calls, std::nullopt);
  EXPECT_EQ(flat.cost, std::nullopt);
}

TEST_F(config, all_plans_are_told_in_the_order_of_the_row) {
  ASSERT_FALSE(
      apply("subscription_plans",
            R"({"pro": {"messagesPerMonth": 5}, "free": {"messagesPerMonth": 1}, "a": {"messagesPerMonth": -1}})"));
  std::vector<std::string_view> tiers;
  for (const Plan& plan : configuration.plans()) tiers.emplace_back(plan.tier);
  EXPECT_EQ(tiers, (std::vector<std::string_view>{"pro", "free", "a"}));
  EXPECT_EQ(configuration.plans()[0].messages, 5);
}

TEST_F(config, a_plan_that_lists_models_admits_them_alone_and_without_a_list_every_model) {
  ASSERT_FALSE(apply("subscription_plans", R"({
      "free": {"messagesPerMonth": 1},
      "none": {"messagesPerMonth": 1, "models": []},
      "some": {"messagesPerMonth": 1, "models": ["small", "large"]}})"));
  const Plan& free = configuration.plan("free");
  const Plan& none = configuration.plan("none");
  const Plan& some = configuration.plan("some");
  EXPECT_FALSE(free.lists_models);
  EXPECT_TRUE(none.lists_models);
  EXPECT_TRUE(some.lists_models);
  for (const std::string_view model : {"small", "large", "", "Small", "smal", "small "}) {
    EXPECT_TRUE(free.admits_model(model)) << model;
    EXPECT_FALSE(none.admits_model(model)) << model;
    EXPECT_EQ(some.admits_model(model), model == "small" || model == "large") << model;
  }
}

TEST_F(config, the_first_problem_of_random_plans_is_the_one_reported) {
  struct Member {
    std::string text;
    std::string problem;  // path below the plan
  };
  const std::vector<Member> members = {
      {R"("tokensPerMonth": 5)", ""},          {R"("tokensPerMonth": -7)", ".tokensPerMonth"},
      {R"("costPerMonth": 0.5)", ""},          {R"("costPerMonth": "1")", ".costPerMonth"},
      {R"("apiCallsPerMonth": -1)", ""},       {R"("apiCallsPerMonth": null)", ".apiCallsPerMonth"},
      {R"("models": ["a", 2])", ".models[1]"}, {R"("models": ["a"])", ""},
      {R"("xPerMonth": 1)", ".xPerMonth"},     {R"("note": null)", ""}};
  std::mt19937_64 random{1};
  int good = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string text = "{";
    std::string expected;
    for (const std::string tier : {"free", "base", "pro"}) {
      const bool says_messages = random() % 8 != 0;
      text += (text.size() > 1 ? ", \"" : "\"") + tier + "\": {" +
              (says_messages ? R"("messagesPerMonth": 3)" : R"("note2": 3)");
      for (std::uint64_t left = random() % 3; left > 0; --left) {
        const Member& member = members[random() % (random() % 2 == 0 ? 1 : members.size())];
        text += ", " + member.text;
        if (expected.empty() && !member.problem.empty()) expected = "$." + tier + member.problem;
      }
      text += "}";
      if (expected.empty() && !says_messages) expected = "$." + tier + ".messagesPerMonth";
    }
    text += "}";
    good += expected.empty() ? 1 : 0;
    ASSERT_EQ(path("subscription_plans", text), expected) << text;
  }
  EXPECT_GT(good, 500);
}

// --- Nothing is half taken ---

TEST_F(config, a_value_that_breaks_its_rule_leaves_the_former_one) {
  ASSERT_FALSE(apply("subscription_plans", R"({"free": {"messagesPerMonth": 10}})"));
  ASSERT_FALSE(apply("billing_timezone", R"("Asia/Shanghai")"));
  ASSERT_FALSE(apply("subscription_grace", R"("5 days")"));
  ASSERT_FALSE(apply("usage_ledger", "false"));
  ASSERT_FALSE(apply("maintenance_mode", "true"));
  ASSERT_FALSE(apply("idempotency_ttl", R"("5 days")"));
  ASSERT_FALSE(apply("rate_limits", R"({"free": 10})"));
  ASSERT_FALSE(apply("model_prices", R"({"m": {"prompt": 1, "completion": 1}})"));
  EXPECT_TRUE(apply("maintenance_mode", "0"));
  EXPECT_TRUE(apply("idempotency_ttl", R"("0")"));
  EXPECT_TRUE(apply("rate_limits", R"({"free": 99, "pro": 0})"));
  EXPECT_TRUE(apply("model_prices", R"({"m": {"prompt": 9, "completion": 9}, "n": {"prompt": 1}})"));
  EXPECT_TRUE(apply("subscription_plans", R"({"free": {"messagesPerMonth": 99}, "pro": {"messagesPerMonth": -5}})"));
  EXPECT_TRUE(apply("subscription_plans", R"({"pro": {"messagesPerMonth": 99}})"));
  EXPECT_TRUE(apply("billing_timezone", R"("Mars/Olympus")"));
  EXPECT_TRUE(apply("subscription_grace", R"("-1 day")"));
  EXPECT_TRUE(apply("usage_ledger", "1"));
  EXPECT_EQ(configuration.plan("free").messages, 10);
  EXPECT_EQ(refusal([&] { configuration.plan("pro"); }).substr(0, 5), "55000");
  EXPECT_EQ(configuration.billing_timezone(), "Asia/Shanghai");
  EXPECT_EQ(configuration.subscription_grace(), 5 * k_microseconds_per_day);
  EXPECT_FALSE(configuration.usage_ledger());
  EXPECT_TRUE(configuration.maintenance_mode());
  EXPECT_EQ(configuration.idempotency_ttl(), 5 * k_microseconds_per_day);
  EXPECT_EQ(configuration.rate_limit("free"), 10);
  EXPECT_EQ(configuration.find_price("m")->prompt, Amount::from_units(1'000'000'000));
  EXPECT_EQ(configuration.find_price("n"), nullptr);
}

TEST_F(config, plans_that_are_taken_replace_all_former_ones) {
  ASSERT_FALSE(apply("subscription_plans", R"({"free": {"messagesPerMonth": 10}, "pro": {"messagesPerMonth": -1}})"));
  ASSERT_FALSE(apply("subscription_plans", R"({"free": {"messagesPerMonth": 20}})"));
  EXPECT_EQ(configuration.plan("free").messages, 20);
  EXPECT_EQ(refusal([&] { configuration.plan("pro"); }).substr(0, 5), "55000");
}

// --- Rows that are invalid as stored ---

TEST_F(config, what_an_invalid_row_decides_is_refused_with_its_reason) {
  using Question = std::function<void(const Configuration&)>;
  std::vector<std::pair<std::string, Question>> questions = {
      {"subscription_plans", [](const Configuration& asked) { asked.plan("free"); }},
      {"rate_limits", [](const Configuration& asked) { asked.rate_limit("free"); }},
      {"model_prices", [](const Configuration& asked) { asked.find_price("m"); }}};
  for (const Row& row : k_rows) questions.emplace_back(row.key, row.ask);
  for (const Row& marked : k_rows) {
    Configuration invalid{std::pmr::get_default_resource()};
    const Json plans = JsonReader{R"({"free": {"messagesPerMonth": 10}})"}.read_document();
    ASSERT_FALSE(invalid.apply("subscription_plans", plans, k_server));
    invalid.mark_invalid(marked.key, {"$.free", "is missing"});
    for (const auto& [key, ask] : questions) {
      const std::string expected =
          key != marked.key
              ? "no refusal"
              : "55000 configuration \"" + key +
                    "\" is not valid | $.free is missing. | Correct the row in claude_gpt_data.system_configs.";
      EXPECT_EQ(refusal([&] { ask(invalid); }), expected);
    }
  }
}

TEST_F(config, all_plans_are_refused_together_if_their_row_is_invalid) {
  configuration.mark_invalid("subscription_plans", {"$.free", "is missing"});
  EXPECT_EQ(
      refusal([&] { configuration.plans(); }),
      "55000 configuration \"subscription_plans\" is not valid | $.free is missing. | Correct the row in claude_gpt_data.system_configs.");
}

TEST_F(config, a_row_of_rate_limits_that_was_never_taken_is_refused_if_it_is_invalid) {
  configuration.mark_invalid("rate_limits", {"$.free", "is wrong"});
  EXPECT_EQ(
      refusal([&] { configuration.rate_limit("free"); }),
      "55000 configuration \"rate_limits\" is not valid | $.free is wrong. | Correct the row in claude_gpt_data.system_configs.");
}

TEST_F(config, an_invalid_row_that_decides_nothing_here_refuses_nothing) {
  configuration.mark_invalid("ai_models", {"$", "is wrong"});
  EXPECT_EQ(configuration.billing_timezone(), "UTC");
  EXPECT_TRUE(configuration.usage_ledger());
  EXPECT_EQ(configuration.rate_limit("free"), std::nullopt);
}

// --- Memory ---

// Counts what is taken and given back; the default resource may not be asked at all.
class CountingMemory : public std::pmr::memory_resource {
 public:
  std::size_t taken = 0;
  std::size_t outstanding = 0;

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    taken += bytes;
    outstanding += bytes;
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
    outstanding -= bytes;
    std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

TEST_F(config, all_that_is_kept_lies_in_the_memory_given) {
  const std::string long_name(100, 'x');
  const Json plans = JsonReader{R"({"free": {"messagesPerMonth": 1, "models": [")" + long_name + R"(", "b"]}, ")" +
                                long_name + R"(": {"messagesPerMonth": 1}, "pro": {"messagesPerMonth": 1}})"}
                         .read_document();
  const Json limits = JsonReader{R"({"free": 1, ")" + long_name + R"(": 7})"}.read_document();
  const Json prices = JsonReader{R"({")" + long_name + R"(": {"prompt": 1, "completion": 1}})"}.read_document();
  CountingMemory memory;
  std::pmr::memory_resource* const usual = std::pmr::set_default_resource(std::pmr::null_memory_resource());
  {
    Configuration kept{&memory};
    EXPECT_NO_THROW({
      EXPECT_FALSE(kept.apply("subscription_plans", plans, k_server));
      EXPECT_FALSE(kept.apply("billing_timezone", R"("America/Argentina/Buenos_Aires")"_json, k_server));
      EXPECT_FALSE(kept.apply("rate_limits", limits, k_server));
      EXPECT_FALSE(kept.apply("model_prices", prices, k_server));
      EXPECT_EQ(kept.rate_limit(long_name), 7);
      EXPECT_NE(kept.find_price(long_name), nullptr);
      for (int i = 0; i < 10; ++i) kept.mark_invalid("subscription_grace", {"$", long_name});
      EXPECT_EQ(kept.plan(long_name).tier, std::string_view(long_name));
      EXPECT_EQ(kept.plan("free").models.front(), std::string_view(long_name));
    });
    EXPECT_GT(memory.taken, 14 * long_name.size());
  }
  std::pmr::set_default_resource(usual);
  EXPECT_EQ(memory.outstanding, 0u);
}

}  // namespace
}  // namespace claude_gpt::core
