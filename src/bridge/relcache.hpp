// Tells a cache over a table of ours when another session, or this one, has changed the table.
// Invalidations travel with the transaction: seen after commit, and by the own session from the next
// command on; a rolled-back one is taken back. Method: relcache invalidation, which standbys replay too.
#pragma once

#include <cstdint>

namespace claude_gpt::bridge::relcache {

// Counts every invalidation of any table that this session has taken in: while it stands still, what was
// looked up of tables by name is still so.
std::uint64_t events();

// A table whose invalidations are counted. At most k_max_watches in the library.
class Watch {
 public:
  explicit constexpr Watch(const char* table) : table_(table) {}

  // Takes in what other sessions have sent, then gives the number of invalidations so far.
  // A value read between two equal answers is current.
  std::uint64_t generation();
  // Which table the last answer was of; 0 if there is none of that name.
  std::uint32_t relation() const { return relation_; }

 private:
  static constexpr int k_max_watches = 32;
  friend void on_invalidation(std::uintptr_t, std::uint32_t relation);
  void look_up();

  static constinit Watch* watches[k_max_watches];
  static constinit int watch_count;

  const char* table_;
  std::uint32_t relation_ = 0;
  std::uint64_t generation_ = 1;
  std::uint64_t looked_up_at_ = 0;  // of events(); 0: never
};

}  // namespace claude_gpt::bridge::relcache
