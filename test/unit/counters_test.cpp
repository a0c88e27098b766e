#include "core/counters.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "rounds.hpp"

namespace claude_gpt::core {
namespace {

constexpr Instant k_now{848'000'000'000'000};

bool nobody_is_gone(std::uint32_t) { return false; }

std::unique_ptr<CounterBoard> empty_board() { return std::make_unique<CounterBoard>(); }

TEST(counters, every_outcome_has_a_name_of_its_own) {
  std::set<std::string> names;
  for (std::size_t outcome = 0; outcome < k_outcomes; ++outcome) names.insert(std::string(name_of_outcome(outcome)));
  EXPECT_EQ(names, (std::set<std::string>{"allowed", "replayed", "quota_exceeded", "rate_limited", "model_not_in_plan",
                                          "maintenance", "capacity", "price_unknown", "too_many_turns"}));
  EXPECT_EQ(name_of_outcome(outcome_of(Reason::none, false)), "allowed");
  EXPECT_EQ(name_of_outcome(outcome_of(Reason::none, true)), "replayed");
  for (const Reason reason : {Reason::quota_exceeded, Reason::rate_limited, Reason::model_not_in_plan,
                              Reason::maintenance, Reason::capacity, Reason::price_unknown, Reason::too_many_turns})
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
  std::set<std::string> of_quotas{"allowed", "replayed", "quota_exceeded", "model_not_in_plan", "maintenance"};
  EXPECT_EQ(reasons_of(Decider::consume_quota), of_quotas);
  of_quotas.insert("price_unknown");
  EXPECT_EQ(reasons_of(Decider::reserve_usage), of_quotas);
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

TEST(counters, a_lock_whose_holder_ended_is_opened) {
  const auto board = empty_board();
  // It stands behind the places.
  auto* lock = reinterpret_cast<ShortLock*>(reinterpret_cast<Counters*>(board.get()) + CounterBoard::k_most_databases);
  lock->lock();
  board->open_lock();
  Counters* counters = board->of(6, k_now, nobody_is_gone);
  ASSERT_NE(counters, nullptr);
  EXPECT_EQ(counters->since, k_now.microseconds);
}

constexpr std::size_t k_threads = 4;

constexpr int k_rounds = 2'000;

TEST(counters_race, sessions_that_come_together_find_one_place_and_lose_no_count) {
  std::vector<std::unique_ptr<CounterBoard>> boards(k_rounds / CounterBoard::k_most_databases + 1);
  for (auto& board : boards) board = empty_board();
  std::vector<std::array<Counters*, k_threads>> found(k_rounds);
  run_rounds(k_threads, k_rounds, [&](std::size_t thread, int round) {
    const std::size_t number = static_cast<std::size_t>(round);
    const auto database = static_cast<std::uint32_t>(round + 1);
    Counters* counters = boards[number / CounterBoard::k_most_databases]->of(database, k_now, nobody_is_gone);
    found[number][thread] = counters;
    for (int n = 0; n < 10 && counters != nullptr; ++n) Counters::add(counters->messages);
  });
  for (const auto& places : found) {
    ASSERT_NE(places[0], nullptr);
    for (const Counters* place : places) ASSERT_EQ(place, places[0]);
    ASSERT_EQ(places[0]->messages, 10u * k_threads);
  }
}

TEST(counters_race, databases_that_come_together_have_a_place_each) {
  constexpr std::uint32_t k_databases = 4 * (CounterBoard::k_most_databases / 4);
  for (int board_number = 0; board_number < 10; ++board_number) {
    const auto board = empty_board();
    std::array<Counters*, k_databases> found{};
    run_rounds(k_threads, k_databases / k_threads, [&](std::size_t thread, int round) {
      const auto index = static_cast<std::uint32_t>(k_threads * round + thread);
      found[index] = board->of(index + 1, k_now, nobody_is_gone);
      Counters::add(found[index]->messages, index);
    });
    ASSERT_EQ(std::set<Counters*>(found.begin(), found.end()).size(), k_databases);
    for (std::uint32_t index = 0; index < k_databases; ++index) ASSERT_EQ(found[index]->messages, index);
  }
}

// Every round two new databases come to a full board, each with two sessions, while ever more of the others are gone.
TEST(counters_race, databases_that_come_to_a_full_board_share_no_place) {
  static std::atomic<std::uint32_t> newest_that_is_gone;
  newest_that_is_gone = 0;
  const auto is_gone = [](std::uint32_t database) { return database <= newest_that_is_gone; };
  const auto board = empty_board();
  for (std::uint32_t database = 1; database <= CounterBoard::k_most_databases; ++database)
    Counters::add(board->of(database, k_now, nobody_is_gone)->messages, 1'000);
  std::array<Counters*, k_threads> found{};
  std::atomic<int> wrong = 0;
  run_rounds(k_threads, 2 * k_rounds, [&](std::size_t thread, int round) {
    const auto pair = static_cast<std::uint32_t>(round / 2);
    if (round % 2 == 0) {
      // The second is gone while others look for the first already.
      if (thread == 0 || thread == 3) newest_that_is_gone += 1;
      const std::uint32_t database =
          CounterBoard::k_most_databases + 2 * pair + 1 + static_cast<std::uint32_t>(thread % 2);
      Counters* counters = nullptr;
      while (counters == nullptr) counters = board->of(database, k_now, is_gone);
      Counters::add(counters->messages);
      found[thread] = counters;
    } else if (thread == 0) {
      if (found[0] == found[1] || found[2] != found[0] || found[3] != found[1] || found[0]->messages != 2 ||
          found[1]->messages != 2)
        ++wrong;
    }
  });
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace claude_gpt::core
