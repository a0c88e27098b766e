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

constexpr std::string_view k_keys[] = {"ai_models", "billing_timezone", "maintenance_mode", "rate_limits",
                                       "subscription_grace", "subscription_plans", "usage_ledger"};

// A server that knows three zones and three intervals.
const ServerKnowledge k_server{
    [](std::string_view name) { return name == "UTC" || name == "Asia/Shanghai" || name == "America/Argentina/Buenos_Aires"; },
    [](std::string_view text) -> std::optional<std::int64_t> {
      if (text == "5 days") return 5 * k_microseconds_per_day;
      if (text == "0") return 0;
      if (text == "-1 day") return -k_microseconds_per_day;
      return std::nullopt;
    }};

class config : public testing::Test {
 protected:
  std::optional<Problem> apply(std::string_view key, const Json& value) { return configuration.apply(key, value, k_server); }
  std::optional<Problem> apply(std::string_view key, std::string_view text) { return apply(key, JsonReader{text}.read_document()); }

  // The path of the problem; "" if the value is taken.
  std::string path(std::string_view key, std::string_view text) {
    const auto problem = Configuration{std::pmr::get_default_resource()}.apply(key, JsonReader{text}.read_document(), k_server);
    return problem ? problem->path : "";
  }

  // The problem of a plan "free" with this member beside a good message limit, without the plan's own path.
  std::string plan_path(std::string_view member) {
    const std::string text = R"({"free": {"messagesPerMonth": 1, )" + std::string(member) + "}}";
    const std::string found = path("subscription_plans", text);
    return found.starts_with("$.free") ? found.substr(6) : found;
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
  for (const std::string_view key : k_keys) EXPECT_TRUE(Configuration::knows(key)) << key;
  for (const std::string_view key : {"", "subscription_plan", "Subscription_Plans", "subscription_plans ", "usage", "anything"})
    EXPECT_FALSE(Configuration::knows(key)) << key;
}

TEST_F(config, a_key_of_the_application_may_hold_any_json) {
  for (const std::string_view text : {"null", "1", "[{}]", R"({"free": 1})"}) EXPECT_EQ(path("my_setting", text), "") << text;
}

// --- Defaults ---

TEST_F(config, without_rows_the_documented_defaults_hold) {
  EXPECT_EQ(configuration.billing_timezone(), "UTC");
  EXPECT_EQ(configuration.subscription_grace(), 3 * k_microseconds_per_day);
  EXPECT_TRUE(configuration.usage_ledger());
}

TEST_F(config, without_a_plans_row_every_plan_is_refused_with_55000) {
  EXPECT_EQ(refusal([&] { configuration.plan("free"); }),
            "55000 plan \"free\" is not configured | There is no active configuration row \"subscription_plans\". | "
            "Add the plan to claude_gpt.system_configs.");
}

TEST_F(config, a_plan_that_the_row_lacks_is_refused_with_55000) {
  ASSERT_FALSE(apply("subscription_plans", R"({"free": {"messagesPerMonth": 1}})"));
  for (const std::string_view tier : {"pro", "Free", "fre", "free ", ""})
    EXPECT_EQ(refusal([&] { configuration.plan(tier); }),
              "55000 plan \"" + std::string(tier) +
                  "\" is not configured | "
                  "The active configuration row \"subscription_plans\" has no such plan. | Add the plan to claude_gpt.system_configs.");
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

TEST_F(config, maintenance_mode_does_not_turn_the_ledger_off) {
  ASSERT_FALSE(apply("maintenance_mode", "false"));
  EXPECT_TRUE(configuration.usage_ledger());
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
  for (const std::string_view text : {R"("-1 day")", R"("1 month")", R"("")", "5", "0", "null", R"(["5 days"])", "false", "{}"})
    EXPECT_EQ(path("subscription_grace", text), "$") << text;
}

// --- Models and rate limits ---

TEST_F(config, models_are_an_array_of_names) {
  for (const std::string_view text : {"[]", R"(["a"])", R"(["a", "b", "a"])", R"([" "])"}) EXPECT_EQ(path("ai_models", text), "") << text;
  for (const std::string_view text : {"null", "{}", R"("a")", "1", "true", R"({"a": "b"})"}) EXPECT_EQ(path("ai_models", text), "$") << text;
  EXPECT_EQ(path("ai_models", R"([""])"), "$[0]");
  EXPECT_EQ(path("ai_models", R"(["a", "b", 3, ""])"), "$[2]");
  EXPECT_EQ(path("ai_models", R"(["a", null])"), "$[1]");
  EXPECT_EQ(path("ai_models", R"(["a", ["b"]])"), "$[1]");
}

TEST_F(config, rate_limits_are_calls_per_minute_from_one_to_a_million) {
  for (const std::string_view text : {"{}", R"({"free": 1})", R"({"free": 1000000, "pro": 300})"}) EXPECT_EQ(path("rate_limits", text), "") << text;
  for (const std::string_view text : {"null", "[]", "60", R"("60")", "true"}) EXPECT_EQ(path("rate_limits", text), "$") << text;
  for (const std::string_view limit : {"0", "-1", "1000001", "1.5", "9223372036854775808", R"("10")", "null", "true", "[10]", "{}"})
    EXPECT_EQ(path("rate_limits", R"({"free": 10, "pro": )" + std::string(limit) + "}"), "$.pro") << limit;
}

// --- Plans ---

TEST_F(config, plans_are_an_object_of_objects) {
  for (const std::string_view text : {"null", "[]", "1", R"("free")", "true", R"([{"free": {"messagesPerMonth": 1}}])"})
    EXPECT_EQ(path("subscription_plans", text), "$") << text;
  for (const std::string_view plan : {"null", "[]", "1", R"("x")", "true"})
    EXPECT_EQ(path("subscription_plans", R"({"free": {"messagesPerMonth": 1}, "pro": )" + std::string(plan) + "}"), "$.pro") << plan;
}

TEST_F(config, there_is_a_free_plan) {
  EXPECT_EQ(path("subscription_plans", "{}"), "$.free");
  EXPECT_EQ(path("subscription_plans", R"({"Free": {"messagesPerMonth": 1}})"), "$.free");
  EXPECT_EQ(path("subscription_plans", R"({"pro": {"messagesPerMonth": 1}, "free": {"messagesPerMonth": 1}})"), "");
}

TEST_F(config, every_plan_says_its_message_limit) {
  EXPECT_EQ(path("subscription_plans", R"({"free": {}})"), "$.free.messagesPerMonth");
  EXPECT_EQ(path("subscription_plans", R"({"free": {"messagesPerMonth": 1}, "pro": {"tokensPerMonth": 5}})"), "$.pro.messagesPerMonth");
}

TEST_F(config, counted_limits_are_whole_numbers_or_minus_one) {
  for (const std::string_view name : {"tokensPerMonth", "apiCallsPerMonth"}) {
    const std::string member = "\"" + std::string(name) + "\": ";
    for (const std::string_view limit : {"-1", "0", "1", "9223372036854775807"}) EXPECT_EQ(plan_path(member + std::string(limit)), "") << member << limit;
    for (const std::string_view limit : {"-2", "1.5", "9223372036854775808", "-9223372036854775808", R"("10")", "null", "true", "[1]", "{}"})
      EXPECT_EQ(plan_path(member + std::string(limit)), "." + std::string(name)) << limit;
  }
  for (const std::string_view limit : {"-2", "0.5", "null", R"("10")", "false"})
    EXPECT_EQ(path("subscription_plans", R"({"free": {"messagesPerMonth": )" + std::string(limit) + "}}"), "$.free.messagesPerMonth") << limit;
}

TEST_F(config, the_cost_limit_is_an_amount_or_minus_one) {
  for (const std::string_view limit : {"-1", "-1.000", "-1.0000000000", "0", "0.0", "0.0000000000", "0.000000001", "0.0000000005", "12.5", "99999999999", "99999999999.999999999"})
    EXPECT_EQ(plan_path(R"("costPerMonth": )" + std::string(limit)), "") << limit;
  for (const std::string_view limit : {"-2", "-0.5", "-1.000000001", "-0.000000001", "-1.0000000004", "-0.9999999996", "-10", "-11", "0.0000000004",
                                       "-0.0000000004", "100000000000", "99999999999.9999999995", "NaN", R"("10")", "null", "true", "[1]", "{}"})
    EXPECT_EQ(plan_path(R"("costPerMonth": )" + std::string(limit)), ".costPerMonth") << limit;
}

TEST_F(config, the_models_of_a_plan_are_an_array_of_names) {
  EXPECT_EQ(plan_path(R"("models": [])"), "");
  EXPECT_EQ(plan_path(R"("models": ["a", "b"])"), "");
  for (const std::string_view models : {"null", "{}", R"("a")", "1", "true"}) EXPECT_EQ(plan_path(R"("models": )" + std::string(models)), ".models") << models;
  EXPECT_EQ(plan_path(R"("models": ["a", ""])"), ".models[1]");
  EXPECT_EQ(plan_path(R"("models": [7])"), ".models[0]");
}

TEST_F(config, a_limit_of_an_unknown_name_is_a_problem_and_other_members_are_the_application_s) {
  for (const std::string_view name : {"messagePerMonth", "tokenPerMonth", "costsPerMonth", "PerMonth", "MessagesPerMonth"})
    EXPECT_EQ(plan_path("\"" + std::string(name) + "\": 1"), "." + std::string(name));
  for (const std::string_view name : {"price", "displayName", "limits"}) EXPECT_EQ(plan_path("\"" + std::string(name) + "\": [1]"), "") << name;
}

TEST_F(config, an_odd_name_is_quoted_in_the_path) {
  const auto path_of_plan = [&](const std::string& tier) { return path("subscription_plans", "{\"" + tier + "\": 1}"); };
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

TEST_F(config, the_first_problem_of_random_plans_is_the_one_reported) {
  struct Member {
    std::string text;
    std::string problem;  // path below the plan
  };
  const std::vector<Member> members = {
      {R"("tokensPerMonth": 5)", ""}, {R"("tokensPerMonth": -7)", ".tokensPerMonth"}, {R"("costPerMonth": 0.5)", ""}, {R"("costPerMonth": "1")", ".costPerMonth"}, {R"("apiCallsPerMonth": -1)", ""}, {R"("apiCallsPerMonth": null)", ".apiCallsPerMonth"}, {R"("models": ["a", 2])", ".models[1]"}, {R"("models": ["a"])", ""}, {R"("xPerMonth": 1)", ".xPerMonth"}, {R"("note": null)", ""}};
  std::mt19937_64 random{1};
  int good = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string text = "{";
    std::string expected;
    for (const std::string tier : {"free", "base", "pro"}) {
      const bool says_messages = random() % 8 != 0;
      text += (text.size() > 1 ? ", \"" : "\"") + tier + "\": {" + (says_messages ? R"("messagesPerMonth": 3)" : R"("note2": 3)");
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
}

TEST_F(config, plans_that_are_taken_replace_all_former_ones) {
  ASSERT_FALSE(apply("subscription_plans", R"({"free": {"messagesPerMonth": 10}, "pro": {"messagesPerMonth": -1}})"));
  ASSERT_FALSE(apply("subscription_plans", R"({"free": {"messagesPerMonth": 20}})"));
  EXPECT_EQ(configuration.plan("free").messages, 20);
  EXPECT_EQ(refusal([&] { configuration.plan("pro"); }).substr(0, 5), "55000");
}

// --- Rows that are invalid as stored ---

TEST_F(config, what_an_invalid_row_decides_is_refused_with_its_reason) {
  ASSERT_FALSE(apply("subscription_plans", R"({"free": {"messagesPerMonth": 10}})"));
  const Problem problem{"$.free", "is missing"};
  const std::vector<std::pair<std::string, std::function<void()>>> questions = {
      {"subscription_plans", [&] { configuration.plan("free"); }},
      {"billing_timezone", [&] { configuration.billing_timezone(); }},
      {"subscription_grace", [&] { configuration.subscription_grace(); }},
      {"usage_ledger", [&] { configuration.usage_ledger(); }}};
  for (std::size_t marked = 0; marked < questions.size(); ++marked) {
    configuration.mark_invalid(questions[marked].first, problem);
    for (std::size_t asked = 0; asked < questions.size(); ++asked) {
      const std::string expected = asked > marked ? "no refusal"
                                                  : "55000 configuration \"" + questions[asked].first +
                                                        "\" is not valid | $.free is missing. | Correct the row in claude_gpt.system_configs.";
      EXPECT_EQ(refusal(questions[asked].second), expected);
    }
  }
}

TEST_F(config, an_invalid_row_that_decides_nothing_here_refuses_nothing) {
  for (const std::string_view key : {"ai_models", "rate_limits", "maintenance_mode"}) configuration.mark_invalid(key, {"$", "is wrong"});
  EXPECT_EQ(configuration.billing_timezone(), "UTC");
  EXPECT_TRUE(configuration.usage_ledger());
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
  const Json plans = JsonReader{R"({"free": {"messagesPerMonth": 1, "models": [")" + long_name + R"(", "b"]}, ")" + long_name +
                                R"(": {"messagesPerMonth": 1}, "pro": {"messagesPerMonth": 1}})"}
                         .read_document();
  CountingMemory memory;
  std::pmr::memory_resource* const usual = std::pmr::set_default_resource(std::pmr::null_memory_resource());
  {
    Configuration kept{&memory};
    EXPECT_NO_THROW({
      EXPECT_FALSE(kept.apply("subscription_plans", plans, k_server));
      EXPECT_FALSE(kept.apply("billing_timezone", R"("America/Argentina/Buenos_Aires")"_json, k_server));
      for (int i = 0; i < 10; ++i) kept.mark_invalid("subscription_grace", {"$", long_name});
      EXPECT_EQ(kept.plan(long_name).tier, std::string_view(long_name));
      EXPECT_EQ(kept.plan("free").models.front(), std::string_view(long_name));
    });
    EXPECT_GT(memory.taken, 12 * long_name.size());
  }
  std::pmr::set_default_resource(usual);
  EXPECT_EQ(memory.outstanding, 0u);
}

}  // namespace
}  // namespace claude_gpt::core
