#include "core/jobs.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "core/identifiers.hpp"
#include "rounds.hpp"

namespace claude_gpt::core {
namespace {

constexpr std::int64_t k_second = 1'000'000;
constexpr Instant k_now{848'000'000 * k_second};

Instant at(std::int64_t seconds) { return {k_now.microseconds + seconds * k_second}; }
Duration seconds(std::int64_t count) { return {count * k_second}; }

TEST(jobs, each_name_is_found_at_its_place_and_no_other_name) {
  for (std::size_t i = 0; i < k_job_names.size(); ++i) EXPECT_EQ(find_job(k_job_names[i]), i);
  EXPECT_EQ(std::set(k_job_names.begin(), k_job_names.end()).size(), k_job_names.size());
  for (const auto* name : {"", "Monthly_reset", "monthly_reset ", "monthly", "reindex"})
    EXPECT_FALSE(find_job(name)) << name;
}

TEST(jobs, an_engine_has_one_name) {
  for (const Engine engine : {Engine::worker, Engine::pg_cron, Engine::call})
    EXPECT_EQ(find_engine(name_of(engine)), engine);
  EXPECT_EQ(name_of(Engine::pg_cron), "pg_cron");
  for (const auto* name : {"", "cron", "Worker"}) EXPECT_FALSE(find_engine(name)) << name;
}

TEST(jobs, back_off_doubles_from_ten_seconds_to_an_hour) {
  EXPECT_EQ(back_off(1), seconds(10));
  EXPECT_EQ(back_off(2), seconds(20));
  EXPECT_EQ(back_off(3), seconds(40));
  EXPECT_EQ(back_off(9), seconds(2560));
  for (const int failures : {10, 21, 64, 1000, 2'147'483'647}) EXPECT_EQ(back_off(failures), seconds(3600)) << failures;
  for (const int failures : {0, -1, -2'147'483'647}) EXPECT_EQ(back_off(failures), seconds(10)) << failures;
}

TEST(jobs, the_next_run_is_an_interval_away_and_no_later_than_the_month_s_end) {
  EXPECT_EQ(next_run(at(0), seconds(60), std::nullopt), at(60));
  EXPECT_EQ(next_run(at(0), seconds(60), at(59)), at(59));
  EXPECT_EQ(next_run(at(0), seconds(60), at(61)), at(60));
  EXPECT_EQ(next_run(Instant::infinity(), seconds(60), std::nullopt), Instant::infinity());
}

TEST(jobs, a_look_that_found_nothing_puts_a_run_off) {
  const Instant next_run_at = at(-100);
  EXPECT_EQ(due_at(next_run_at, seconds(60), std::nullopt, at(1), at(0)), next_run_at);
  EXPECT_EQ(due_at(next_run_at, seconds(60), at(-50), at(10), at(0)), at(10));
  EXPECT_EQ(due_at(next_run_at, seconds(60), at(0), at(60), at(0)), at(60)) << "a look of this very moment counts";
  EXPECT_EQ(due_at(next_run_at, seconds(60), next_run_at, at(60), at(0)), at(60));
}

TEST(jobs, a_look_from_before_the_run_was_due_puts_nothing_off) {
  EXPECT_EQ(due_at(at(-100), seconds(60), at(-101), at(10), at(0)), at(-100));
  EXPECT_EQ(due_at(at(100), seconds(60), at(-50), at(10), at(0)), at(100));
}

TEST(jobs, a_look_of_the_future_was_taken_by_another_clock) {
  EXPECT_EQ(due_at(at(-100), seconds(60), at(1), at(61), at(0)), at(-100));
}

TEST(jobs, a_run_of_the_future_was_written_by_another_clock) {
  const Duration k_every = seconds(60);
  const Instant last_believed = at(60 + 3600);
  const Instant first_not_believed = at(60 + 3601);
  EXPECT_FALSE(run_is_of_the_future(last_believed, k_every, at(0)));
  EXPECT_TRUE(run_is_of_the_future(first_not_believed, k_every, at(0)));
  EXPECT_EQ(due_at(last_believed, k_every, std::nullopt, at(10), at(0)), last_believed);
  EXPECT_EQ(due_at(first_not_believed, k_every, std::nullopt, at(10), at(0)), at(0)) << "it is due at once";
  EXPECT_EQ(due_at(first_not_believed, k_every, at(-50), at(10), at(0)), at(10)) << "but where a look found nothing";
  EXPECT_EQ(due_at(first_not_believed, k_every, at(1), at(61), at(0)), at(0)) << "which was not of the future too";
}

TEST(jobs, batches_grow_while_they_are_fast_and_shrink_while_they_are_slow) {
  EXPECT_EQ(next_batch_size(1000, {9'999}), 2000);
  EXPECT_EQ(next_batch_size(1000, {10'000}), 1000);
  EXPECT_EQ(next_batch_size(1000, {40'000}), 1000);
  EXPECT_EQ(next_batch_size(1000, {40'001}), 500);
  EXPECT_EQ(next_batch_size(8000, {0}), 10'000);
  EXPECT_EQ(next_batch_size(10'000, {0}), 10'000);
  EXPECT_EQ(next_batch_size(150, {1'000'000}), 100);
  EXPECT_EQ(next_batch_size(100, {1'000'000}), 100);
}

TEST(jobs, work_is_the_given_part_of_the_time) {
  EXPECT_EQ(rest_after({10'000}, 25).microseconds, 30'000);
  EXPECT_EQ(rest_after({10'000}, 50).microseconds, 10'000);
  EXPECT_EQ(rest_after({10'000}, 100).microseconds, 0);
  EXPECT_EQ(rest_after({10'000}, 1).microseconds, 990'000);
  EXPECT_EQ(rest_after({20'000}, 1), seconds(1)) << "a second at most";
}

TEST(jobs, the_successor_of_an_id_is_the_next_in_order) {
  Uuid id;
  id.bytes[15] = 1;
  EXPECT_EQ(successor(Uuid{}), id);
  Uuid carried;
  carried.bytes[14] = 1;
  Uuid full;
  full.bytes[15] = 0xff;
  EXPECT_EQ(successor(full), carried);
  EXPECT_GT(successor(full), full);
  Uuid last;
  last.bytes.fill(0xff);
  EXPECT_EQ(successor(last), Uuid{});
}

class job_board : public testing::Test {
 protected:
  std::unique_ptr<JobBoard> board = std::make_unique<JobBoard>();

  std::multiset<std::uint32_t> taken() {
    std::multiset<std::uint32_t> all;
    while (const auto request = board->take_request()) all.insert(*request);
    return all;
  }
};

TEST_F(job_board, is_empty_at_first) {
  EXPECT_FALSE(board->take_request());
  EXPECT_EQ(board->visitor_of(5), 0);
  EXPECT_FALSE(board->looked_at(5, 0));
  EXPECT_EQ(board->launcher, 0);
}

TEST_F(job_board, a_request_is_taken_once_however_often_it_was_made) {
  board->request(7);
  board->request(9);
  board->request(7);
  EXPECT_EQ(taken(), (std::multiset<std::uint32_t>{7, 9}));
  EXPECT_FALSE(board->take_request());
  board->request(7);
  EXPECT_EQ(taken(), std::multiset<std::uint32_t>{7});
}

TEST_F(job_board, more_requests_than_there_is_room_for_ask_for_all) {
  for (std::uint32_t database = 1; database <= 64; ++database) board->request(database);
  EXPECT_EQ(taken().size(), 64u);
  for (std::uint32_t database = 1; database <= 65; ++database) board->request(database);
  EXPECT_EQ(taken().count(0), 1u);
}

TEST_F(job_board, to_ask_for_no_database_is_to_ask_for_all) {
  board->request(0);
  EXPECT_EQ(taken(), std::multiset<std::uint32_t>{0});
}

TEST_F(job_board, no_request_of_many_threads_is_lost) {
  constexpr std::uint32_t k_databases = 48;
  std::set<std::uint32_t> seen;
  std::atomic<int> running = 4;
  std::vector<std::thread> askers;
  for (int thread = 0; thread < 4; ++thread)
    askers.emplace_back([&] {
      for (int round = 0; round < 200; ++round)
        for (std::uint32_t database = 1; database <= k_databases; ++database) board->request(database);
      --running;
    });
  while (running > 0)
    while (const auto request = board->take_request()) seen.insert(*request);
  for (std::thread& asker : askers) asker.join();
  while (const auto request = board->take_request()) seen.insert(*request);
  if (seen.contains(0)) return;
  EXPECT_EQ(seen.size(), k_databases);
}

TEST_F(job_board, a_visitor_is_known_while_it_is_there) {
  board->visits()[3].database = 7;
  EXPECT_EQ(board->visitor_of(7), 0) << "sent, not there yet";
  board->visits()[3].process = 1234;
  EXPECT_EQ(board->visitor_of(7), 1234);
  EXPECT_EQ(board->visitor_of(8), 0);
}

TEST_F(job_board, looks_are_of_a_job_and_a_database) {
  board->note_look(7, 2, at(0));
  board->note_look(8, 2, at(1));
  board->note_look(7, 3, at(2));
  EXPECT_EQ(board->looked_at(7, 2), at(0));
  EXPECT_EQ(board->looked_at(8, 2), at(1));
  EXPECT_EQ(board->looked_at(7, 3), at(2));
  EXPECT_FALSE(board->looked_at(8, 3));
  EXPECT_FALSE(board->looked_at(9, 2));
  board->note_look(7, 2, at(5));
  EXPECT_EQ(board->looked_at(7, 2), at(5));
}

class job_board_race : public job_board {};

TEST_F(job_board_race, looks_that_come_together_are_all_known) {
  std::atomic<int> unknown = 0;
  run_rounds(3, 15'000, [&](std::size_t thread, int round) {
    const auto database = static_cast<std::uint32_t>(round / 3 + 1);
    switch (round % 3) {
      case 0: board->note_look(database, thread, at(0)); break;
      case 1: unknown += board->looked_at(database, thread) ? 0 : 1; break;
      default:
        if (thread == 0) board->keep_looks_of({});
    }
  });
  EXPECT_EQ(unknown, 0);
}

// The launcher's list of databases may be older than a database that notes its look.
TEST_F(job_board_race, a_database_never_has_the_look_of_another_one) {
  std::vector<std::uint32_t> listed(JobBoard::k_most_databases - 1);
  std::iota(listed.begin(), listed.end(), 1'000'000u);
  for (const std::uint32_t database : listed) board->note_look(database, 0, at(0));
  std::atomic<int> wrong = 0;
  run_rounds(3, 1'500, [&](std::size_t thread, int round) {
    const auto first = static_cast<std::uint32_t>(2 * round + 1);
    for (int n = 0; n < 4; ++n) {
      if (thread == 0) {
        board->note_look(first, 0, at(round));
      } else if (thread == 1) {
        board->keep_looks_of(listed);
      } else {
        board->note_look(first + 1, 1, at(round));
        if (board->looked_at(first + 1, 0)) ++wrong;
      }
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST_F(job_board, forgotten_looks_are_those_of_the_database) {
  board->note_look(7, 2, at(0));
  board->note_look(8, 2, at(0));
  board->forget_looks(7);
  EXPECT_FALSE(board->looked_at(7, 2));
  EXPECT_EQ(board->looked_at(8, 2), at(0));
}

TEST_F(job_board, a_full_board_takes_no_more_until_databases_are_gone) {
  for (std::uint32_t database = 1; database <= JobBoard::k_most_databases; ++database)
    board->note_look(database, 0, at(0));
  board->note_look(100'000, 0, at(0));
  EXPECT_FALSE(board->looked_at(100'000, 0));
  const std::uint32_t kept[] = {2, 512};
  board->keep_looks_of(kept);
  EXPECT_EQ(board->looked_at(2, 0), at(0));
  EXPECT_EQ(board->looked_at(512, 0), at(0));
  EXPECT_FALSE(board->looked_at(3, 0));
  board->note_look(100'000, 0, at(1));
  EXPECT_EQ(board->looked_at(100'000, 0), at(1));
  EXPECT_FALSE(board->looked_at(100'000, 1)) << "nothing is left of who had the place";
}

TEST_F(job_board, a_database_keeps_its_place_when_one_before_it_is_gone) {
  board->note_look(1, 0, at(0));
  board->note_look(2, 0, at(0));
  const std::uint32_t kept[] = {2};
  board->keep_looks_of(kept);
  board->note_look(2, 1, at(1));
  EXPECT_EQ(board->looked_at(2, 0), at(0));
  EXPECT_EQ(board->looked_at(2, 1), at(1));
}

}  // namespace
}  // namespace claude_gpt::core
