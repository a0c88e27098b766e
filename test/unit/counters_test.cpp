#include "core/counters.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace claude_gpt::core {
namespace {

constexpr Instant k_now{848'000'000'000'000};

bool nobody_is_gone(std::uint32_t) { return false; }

std::unique_ptr<CounterBoard> empty_board() { return std::make_unique<CounterBoard>(); }

TEST(counters, every_outcome_has_a_name_of_its_own) {
  std::set<std::string> names;
  for (std::size_t outcome = 0; outcome < k_outcomes; ++outcome) names.insert(std::string(name_of_outcome(outcome)));
  EXPECT_EQ(names, (std::set<std::string>{"allowed", "replayed", "quota_exceeded", "rate_limited", "model_not_in_plan",
                                          "maintenance", "capacity"}));
  EXPECT_EQ(name_of_outcome(outcome_of(Reason::none, false)), "allowed");
  EXPECT_EQ(name_of_outcome(outcome_of(Reason::none, true)), "replayed");
  for (const Reason reason :
       {Reason::quota_exceeded, Reason::rate_limited, Reason::model_not_in_plan, Reason::maintenance, Reason::capacity})
    EXPECT_EQ(name_of_outcome(outcome_of(reason, false)), text_of(reason).name);
}

TEST(counters, only_what_a_function_can_decide_is_told) {
  const auto reasons_of = [](Decider decider) {
    std::set<std::string> names;
    for (std::size_t outcome = 0; outcome < k_outcomes; ++outcome)
      if (can_come_out(decider, outcome)) names.insert(std::string(name_of_outcome(outcome)));
    return names;
  };
  EXPECT_EQ(reasons_of(Decider::check_subscription_limit), (std::set<std::string>{"allowed", "quota_exceeded"}));
  for (const Decider decider : {Decider::consume_quota, Decider::reserve_usage})
    EXPECT_EQ(reasons_of(decider),
              (std::set<std::string>{"allowed", "replayed", "quota_exceeded", "model_not_in_plan", "maintenance"}));
  EXPECT_EQ(reasons_of(Decider::begin_turn).size(), k_outcomes);
  for (const Decider decider : {Decider::check_rate_limit, Decider::rate_limit})
    EXPECT_EQ(reasons_of(decider), (std::set<std::string>{"allowed", "rate_limited", "capacity"}));
}

TEST(counters, a_database_keeps_its_place_and_shares_it_with_none) {
  const auto board = empty_board();
  Counters* first = board->of(5, k_now, nobody_is_gone);
  Counters* second = board->of(6, k_now, nobody_is_gone);
  ASSERT_NE(first, nullptr);
  EXPECT_NE(first, second);
  EXPECT_EQ(board->of(5, k_now + Duration{1}, nobody_is_gone), first);
  EXPECT_EQ(first->since, k_now.microseconds);
}

TEST(counters, a_reset_leaves_zeroes_of_one_database) {
  const auto board = empty_board();
  Counters* counters = board->of(5, k_now, nobody_is_gone);
  Counters* other = board->of(6, k_now, nobody_is_gone);
  for (Counters* each : {counters, other}) {
    for (auto& outcomes : each->decisions)
      for (auto& counter : outcomes) Counters::add(counter, 3);
    for (auto* counter : {&each->messages, &each->tokens, &each->api_calls, &each->cost}) Counters::add(*counter, 4);
    for (auto& counter : each->settlements) Counters::add(counter);
    for (auto& job : each->jobs)
      for (auto* counter : {&job.succeeded, &job.failed, &job.rows, &job.microseconds}) Counters::add(*counter, 7);
  }
  counters->reset(k_now + Duration{9});
  std::uint64_t sum = 0;
  for (const auto& outcomes : counters->decisions)
    for (const auto& counter : outcomes) sum += counter;
  sum += counters->messages + counters->tokens + counters->api_calls + counters->cost;
  for (const auto& counter : counters->settlements) sum += counter;
  for (const auto& job : counters->jobs) sum += job.succeeded + job.failed + job.rows + job.microseconds;
  EXPECT_EQ(sum, 0u);
  EXPECT_EQ(counters->since, k_now.microseconds + 9);
  EXPECT_EQ(other->decisions[0][0], 3u);
}

TEST(counters, a_full_board_gives_the_place_of_a_database_that_is_gone) {
  const auto board = empty_board();
  for (std::uint32_t database = 1; database <= CounterBoard::k_most_databases; ++database) {
    Counters* counters = board->of(database, k_now, nobody_is_gone);
    ASSERT_NE(counters, nullptr);
    Counters::add(counters->messages, database);
  }
  EXPECT_EQ(board->of(100'000, k_now, nobody_is_gone), nullptr);
  Counters* place = board->of(7, k_now, nobody_is_gone);
  Counters* taken = board->of(100'000, k_now, [](std::uint32_t database) { return database == 7; });
  EXPECT_EQ(taken, place);
  EXPECT_EQ(taken->messages, 0u);
  EXPECT_EQ(board->of(8, k_now, nobody_is_gone)->messages, 8u);
}

TEST(counters, a_place_whose_taker_ended_is_free_again) {
  const auto board = empty_board();
  Counters* counters = board->of(5, k_now, nobody_is_gone);
  Counters::add(counters->messages, 3);
  counters->database = CounterBoard::k_changes_hands;
  board->free_places_that_change_hands();
  EXPECT_EQ(board->of(6, k_now + Duration{1}, nobody_is_gone), counters);
  EXPECT_EQ(counters->messages, 0u);
}

TEST(counters, sessions_that_come_together_find_one_place_and_lose_no_count) {
  constexpr int k_rounds = 200;
  constexpr int k_threads = 4;
  const auto board = empty_board();
  for (std::uint32_t database = 1; database <= k_rounds; ++database) {
    std::vector<Counters*> found(k_threads);
    std::vector<std::thread> threads;
    for (int i = 0; i < k_threads; ++i)
      threads.emplace_back([&, i] {
        found[static_cast<std::size_t>(i)] = board->of(database, k_now, nobody_is_gone);
        for (int n = 0; n < 10; ++n) Counters::add(found[static_cast<std::size_t>(i)]->messages);
      });
    for (auto& thread : threads) thread.join();
    for (Counters* each : found) EXPECT_EQ(each, found[0]);
    EXPECT_EQ(found[0]->messages, 10u * k_threads);
  }
}

}  // namespace
}  // namespace claude_gpt::core
