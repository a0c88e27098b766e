// Work in several transactions, each READ COMMITTED: of a procedure that commits, or of a background worker.
// SQL runs between them as everywhere, by Spi, whose sessions end before each commit.
#pragma once

#include "bridge/entry.hpp"
#include "bridge/live_object.hpp"

namespace claude_gpt::bridge {

class Transactions : LiveObject {
 public:
  // Of a procedure: 2D000 if its CALL stands in a transaction block or in a function.
  explicit Transactions(const Call& procedure);
  // Of a worker: begins the first.
  Transactions();

  // From now on commits do not wait for the disk: for work that is done again when a crash has taken it back.
  void commit_lazily() { is_lazy_ = true; }
  bool is_lazy() const { return is_lazy_; }
  // Commits, and begins the next, whether or not the commit succeeds.
  void commit();
  // Sets a setting of the server until the next commit, also one that the user may not set.
  void set_local(const char* name, const char* value);
  // Ends the last one. An ERROR ends it by itself.
  void finish();

 private:
  bool is_worker_;
  bool is_lazy_ = false;
  void* memory_;
};

}  // namespace claude_gpt::bridge
