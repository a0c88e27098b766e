#include "core/conversations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "core/failure.hpp"

namespace claude_gpt::core {
namespace {

Uuid conversation(std::uint8_t number) {
  Uuid id;
  id.bytes.fill(number);
  return id;
}

CountedMessage message(const Uuid& conversation_id, std::int64_t created_at, std::int64_t tokens = 1,
                       bool is_deleted = false) {
  return {conversation_id, is_deleted, tokens, Amount::from_units(tokens * 7), {created_at}};
}

// The one change there is.
CounterChange only_change(const CounterChanges& changes) {
  const auto ordered = changes.in_lock_order();
  EXPECT_EQ(ordered.size(), 1u);
  return ordered.empty() ? CounterChange{} : ordered.front().second;
}

// --- Single rules ---

TEST(conversations, no_message_is_no_change) { EXPECT_TRUE(CounterChanges{}.in_lock_order().empty()); }

TEST(conversations, an_added_message_counts_with_all_it_has) {
  CounterChanges changes;
  changes.add(message(conversation(1), 50, 12));
  const CounterChange change = only_change(changes);
  EXPECT_EQ(change.messages, 1);
  EXPECT_EQ(change.tokens, 12);
  EXPECT_EQ(change.cost, Amount::from_units(84));
  EXPECT_EQ(change.newest_added, Instant{50});
  EXPECT_EQ(change.newest_removed, std::nullopt);
  EXPECT_FALSE(change.may_lose_newest());
}

TEST(conversations, a_removed_message_counts_negatively_and_may_have_been_the_newest) {
  CounterChanges changes;
  changes.remove(message(conversation(1), 50, 12));
  const CounterChange change = only_change(changes);
  EXPECT_EQ(change.messages, -1);
  EXPECT_EQ(change.tokens, -12);
  EXPECT_EQ(change.cost, Amount::from_units(-84));
  EXPECT_EQ(change.newest_added, std::nullopt);
  EXPECT_EQ(change.newest_removed, Instant{50});
  EXPECT_TRUE(change.may_lose_newest());
}

TEST(conversations, a_deleted_message_counts_as_absent) {
  CounterChanges changes;
  changes.add(message(conversation(1), 50, 12, true));
  changes.remove(message(conversation(1), 60, 12, true));
  EXPECT_TRUE(changes.in_lock_order().empty());
}

TEST(conversations, marking_a_message_deleted_removes_it_and_unmarking_adds_it) {
  CounterChanges marked;
  marked.remove(message(conversation(1), 50, 12));
  marked.add(message(conversation(1), 50, 12, true));
  EXPECT_EQ(only_change(marked).messages, -1);
  CounterChanges unmarked;
  unmarked.remove(message(conversation(1), 50, 12, true));
  unmarked.add(message(conversation(1), 50, 12));
  EXPECT_EQ(only_change(unmarked).messages, 1);
}

TEST(conversations, a_message_written_back_as_it_was_changes_nothing) {
  CounterChanges changes;
  changes.remove(message(conversation(1), 50, 12));
  changes.add(message(conversation(1), 50, 12));
  EXPECT_TRUE(changes.in_lock_order().empty());
}

TEST(conversations, each_single_difference_is_a_change) {
  const CountedMessage before = message(conversation(1), 50, 12);
  CountedMessage more_tokens = before;
  more_tokens.tokens += 1;
  CountedMessage more_cost = before;
  more_cost.cost += Amount::from_units(1);
  CountedMessage later = before;
  later.created_at.microseconds += 1;
  CountedMessage earlier = before;
  earlier.created_at.microseconds -= 1;
  for (const CountedMessage& after : {more_tokens, more_cost, later, earlier}) {
    CounterChanges changes;
    changes.remove(before);
    changes.add(after);
    EXPECT_EQ(changes.in_lock_order().size(), 1u);
  }
}

TEST(conversations, a_message_that_moves_changes_both_conversations) {
  CounterChanges changes;
  changes.remove(message(conversation(2), 50, 12));
  changes.add(message(conversation(1), 50, 12));
  const auto ordered = changes.in_lock_order();
  ASSERT_EQ(ordered.size(), 2u);
  EXPECT_EQ(ordered[0].first, conversation(1));
  EXPECT_EQ(ordered[0].second.messages, 1);
  EXPECT_EQ(ordered[1].first, conversation(2));
  EXPECT_EQ(ordered[1].second.messages, -1);
}

TEST(conversations, the_newest_can_be_lost_only_if_nothing_as_new_came) {
  const auto may_lose = [](std::optional<Instant> added, std::optional<Instant> removed) {
    CounterChange change;
    change.newest_added = added;
    change.newest_removed = removed;
    return change.may_lose_newest();
  };
  EXPECT_FALSE(may_lose(std::nullopt, std::nullopt));
  EXPECT_FALSE(may_lose(Instant{5}, std::nullopt));
  EXPECT_TRUE(may_lose(std::nullopt, Instant{5}));
  EXPECT_TRUE(may_lose(Instant{4}, Instant{5}));
  EXPECT_FALSE(may_lose(Instant{5}, Instant{5}));
  EXPECT_FALSE(may_lose(Instant{6}, Instant{5}));
  EXPECT_TRUE(may_lose(Instant::minus_infinity(), Instant{5}));
}

TEST(conversations, conversations_of_one_hash_are_kept_apart) {
  // high * 0x9E3779B97F4A7C15 ^ low is zero for both.
  Uuid first;
  Uuid second;
  const std::uint64_t high = 1;
  const std::uint64_t low = 0x9E3779B97F4A7C15u;
  std::memcpy(second.bytes.data(), &high, sizeof high);
  std::memcpy(second.bytes.data() + sizeof high, &low, sizeof low);
  CounterChanges changes;
  changes.add(message(first, 1, 3));
  changes.add(message(second, 1, 5));
  changes.add(message(first, 1, 4));
  const auto ordered = changes.in_lock_order();
  ASSERT_EQ(ordered.size(), 2u);
  EXPECT_EQ(ordered[0].second.tokens + ordered[1].second.tokens, 12);
  EXPECT_NE(ordered[0].second.tokens, ordered[1].second.tokens);
}

TEST(conversations, rows_are_locked_in_the_order_of_ids) {
  std::mt19937_64 random{1};
  std::set<Uuid> ids;
  CounterChanges changes;
  for (int i = 0; i < 5000; ++i) {
    Uuid id;
    for (std::uint8_t& byte : id.bytes) byte = static_cast<std::uint8_t>(random());
    ids.insert(id);
    changes.add(message(id, i));
  }
  std::vector<Uuid> locked;
  for (const auto& [id, change] : changes.in_lock_order()) locked.push_back(id);
  EXPECT_EQ(locked, std::vector<Uuid>(ids.begin(), ids.end()));
}

// --- The slow model: counters counted anew from all messages ---

struct Counters {
  std::int64_t messages = 0;
  std::int64_t tokens = 0;
  Amount cost;
  std::optional<Instant> newest;
};

using Store = std::vector<CountedMessage>;

std::map<Uuid, Counters> count_all(const Store& store) {
  std::map<Uuid, Counters> counted;
  for (const CountedMessage& stored : store) {
    if (stored.is_deleted) continue;
    Counters& counters = counted[stored.conversation_id];
    counters.messages += 1;
    counters.tokens += stored.tokens;
    counters.cost += stored.cost;
    if (!counters.newest || *counters.newest < stored.created_at) counters.newest = stored.created_at;
  }
  return counted;
}

CountedMessage random_message(std::mt19937_64& random) {
  CountedMessage made = message(conversation(static_cast<std::uint8_t>(random() % 4)),
                                static_cast<std::int64_t>(random() % 6), static_cast<std::int64_t>(random() % 3));
  made.is_deleted = random() % 4 == 0;
  made.cost = Amount::from_units(static_cast<std::int64_t>(random() % 5) - 2);
  return made;
}

// What one statement takes out and puts in, in any order.
struct Step {
  bool adds;
  CountedMessage row;
};

// Inserts, updates and deletes at random places of the store.
std::vector<Step> random_statement(Store& store, std::mt19937_64& random) {
  std::vector<Step> steps;
  for (std::size_t i = store.size(); i-- > 0;) {
    if (random() % 3 != 0) continue;
    steps.push_back({false, store[i]});
    if (random() % 2 == 0) {
      store.erase(store.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    CountedMessage changed = random_message(random);
    if (random() % 2 == 0) changed = store[i];
    if (random() % 2 == 0) changed.is_deleted = !changed.is_deleted;
    store[i] = changed;
    steps.push_back({true, changed});
  }
  for (std::uint64_t inserted = random() % 4; inserted > 0; --inserted) {
    store.push_back(random_message(random));
    steps.push_back({true, store.back()});
  }
  return steps;
}

using OrderedChanges = decltype(CounterChanges{}.in_lock_order());

OrderedChanges take(const std::vector<Step>& steps) {
  CounterChanges changes;
  for (const Step& step : steps) step.adds ? changes.add(step.row) : changes.remove(step.row);
  return changes.in_lock_order();
}

TEST(conversations, counters_follow_the_messages_through_any_statement) {
  std::mt19937_64 random{2};
  int lost = 0;
  int kept = 0;
  for (int round = 0; round < 20'000; ++round) {
    Store store;
    for (std::uint64_t left = random() % 8; left > 0; --left) store.push_back(random_message(random));
    std::map<Uuid, Counters> before = count_all(store);
    std::vector<Step> steps = random_statement(store, random);
    std::ranges::shuffle(steps, random);
    std::map<Uuid, Counters> after = count_all(store);

    std::set<Uuid> changed;
    for (const auto& [id, change] : take(steps)) {
      changed.insert(id);
      ASSERT_EQ(before[id].messages + change.messages, after[id].messages);
      ASSERT_EQ(before[id].tokens + change.tokens, after[id].tokens);
      ASSERT_EQ(before[id].cost + change.cost, after[id].cost);
      if (change.may_lose_newest()) {
        ++lost;
        continue;
      }
      ++kept;
      ASSERT_EQ(std::max(before[id].newest, change.newest_added), after[id].newest) << "the newest was lost unseen";
    }
    for (std::uint8_t number = 0; number < 4; ++number) {
      const Uuid id = conversation(number);
      if (changed.contains(id)) continue;
      ASSERT_EQ(before[id].messages, after[id].messages);
      ASSERT_EQ(before[id].tokens, after[id].tokens);
      ASSERT_EQ(before[id].cost, after[id].cost);
      ASSERT_EQ(before[id].newest, after[id].newest);
    }
  }
  EXPECT_GT(lost, 1000);
  EXPECT_GT(kept, 1000);
}

TEST(conversations, the_newest_is_looked_for_again_only_where_it_was_removed) {
  // The caller's rule: the stored newest is not above the newest removed one.
  std::mt19937_64 random{3};
  for (int round = 0; round < 20'000; ++round) {
    Store store;
    for (std::uint64_t left = random() % 8; left > 0; --left) store.push_back(random_message(random));
    std::map<Uuid, Counters> before = count_all(store);
    const OrderedChanges changes = take(random_statement(store, random));
    std::map<Uuid, Counters> after = count_all(store);
    for (const auto& [id, change] : changes) {
      const auto stored = std::max(before[id].newest, change.newest_added);
      if (!change.may_lose_newest() || stored <= change.newest_removed) continue;
      ASSERT_EQ(stored, after[id].newest);
    }
  }
}

TEST(conversations, the_order_of_additions_and_removals_does_not_matter) {
  std::mt19937_64 random{4};
  for (int round = 0; round < 5000; ++round) {
    std::vector<Step> steps;
    for (std::uint64_t left = random() % 12; left > 0; --left)
      steps.push_back({random() % 2 == 0, random_message(random)});
    const auto one = take(steps);
    std::ranges::shuffle(steps, random);
    const auto other = take(steps);
    ASSERT_EQ(one.size(), other.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
      ASSERT_EQ(one[i].first, other[i].first);
      ASSERT_EQ(one[i].second.messages, other[i].second.messages);
      ASSERT_EQ(one[i].second.tokens, other[i].second.tokens);
      ASSERT_EQ(one[i].second.cost, other[i].second.cost);
      ASSERT_EQ(one[i].second.newest_added, other[i].second.newest_added);
      ASSERT_EQ(one[i].second.newest_removed, other[i].second.newest_removed);
    }
  }
}

constexpr Instant k_first{1000}, k_second{2000};

TEST(ConversationCounters, FollowWhatMessagesAdd) {
  CounterChange change;
  change.messages = 2;
  change.tokens = 30;
  change.cost = Amount::from_units(5);
  change.newest_added = k_second;
  const auto after = counters_after({3, 70, Amount::from_units(1), k_first}, change);
  EXPECT_EQ(after.messages, 5);
  EXPECT_EQ(after.tokens, 100);
  EXPECT_EQ(after.cost, Amount::from_units(6));
  EXPECT_EQ(after.newest, k_second);
}

TEST(MomentAfter, IsLaterThanTheNewestAndNotBeforeNow) {
  EXPECT_EQ(moment_after(std::nullopt, k_second), k_second);
  EXPECT_EQ(moment_after(k_first, k_second), k_second);
  EXPECT_EQ(moment_after(k_second, k_second), k_second + Duration{1});
  EXPECT_EQ(moment_after(k_second, k_first), k_second + Duration{1});
}

TEST(MomentAfter, IsNowWhereNothingFits) {
  const Instant last{9'223'371'331'199'999'999};                             // of timestamptz
  EXPECT_EQ(moment_after(last - Duration{2}, k_first), last - Duration{1});  // a reply comes a microsecond later
  EXPECT_EQ(moment_after(last - Duration{1}, k_first), k_first);
  EXPECT_EQ(moment_after(Instant::infinity(), k_first), k_first);
  EXPECT_EQ(moment_after(Instant::minus_infinity(), k_first), k_first);
}

TEST(ConversationCounters, AMessageThatChangesCountsTheDifference) {
  const CountedMessage before{conversation(1), false, 3, Amount::from_units(1), k_first};
  const CountedMessage after{conversation(1), false, 10, Amount::from_units(4), k_first};
  const CounterChange change = change_between(before, after);
  EXPECT_EQ(change.messages, 0);
  EXPECT_EQ(change.tokens, 7);
  EXPECT_EQ(change.cost, Amount::from_units(3));
  EXPECT_FALSE(change.may_lose_newest());
  EXPECT_TRUE(change_between(before, before).is_nothing());
  CountedMessage deleted = after;
  deleted.is_deleted = true;
  EXPECT_EQ(change_between(before, deleted).messages, -1);
  EXPECT_TRUE(change_between(before, deleted).may_lose_newest());
}

TEST(ConversationCounters, AnOlderMessageIsNewestOnlyWhereThereIsNone) {
  CounterChange change;
  change.messages = 1;
  change.newest_added = k_first;
  EXPECT_EQ(counters_after({1, 0, {}, k_second}, change).newest, k_second);
  EXPECT_EQ(counters_after({0, 0, {}, k_second}, change).newest, k_first);
}

TEST(ConversationCounters, WhatNoColumnHoldsIsRefused) {
  CounterChange change;
  change.messages = 1;
  EXPECT_THROW(counters_after({std::numeric_limits<std::int32_t>::max(), 0, {}, k_first}, change), Failure);
  change = {};
  change.tokens = 1;
  EXPECT_THROW(counters_after({0, std::numeric_limits<std::int64_t>::max(), {}, k_first}, change), Failure);
}

TEST(ConversationCounters, AMessageCountsItsTotalOrItsParts) {
  EXPECT_EQ(counted_tokens(5, 1, 2), 5);
  EXPECT_EQ(counted_tokens(std::nullopt, 1, 2), 3);
  EXPECT_EQ(counted_tokens(std::nullopt, std::nullopt, 2), 2);
  EXPECT_EQ(counted_tokens(std::nullopt, std::nullopt, std::nullopt), 0);
}

}  // namespace
}  // namespace claude_gpt::core
