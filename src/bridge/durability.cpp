#include "bridge/durability.hpp"

#include <utility>

#include "bridge/guard.hpp"
#include "bridge/settings.hpp"

extern "C" {
#include <access/xact.h>
}

namespace claude_gpt::bridge::durability {

namespace {

constexpr char k_setting[] = "synchronous_commit";

// The transaction that was relaxed last, and what it would have done.
constinit LocalTransactionId relaxed = InvalidLocalTransactionId;
constinit int level_before = SYNCHRONOUS_COMMIT_ON;

void set_until_commit(const char* value) {
  (void)set_config_option(k_setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

const char* name_of(int level) {
  switch (level) {
    case SYNCHRONOUS_COMMIT_LOCAL_FLUSH: return "local";
    case SYNCHRONOUS_COMMIT_REMOTE_WRITE: return "remote_write";
    case SYNCHRONOUS_COMMIT_REMOTE_APPLY: return "remote_apply";
    default: return "on";
  }
}

}  // namespace

void relax_for_turn() {
  if (settings::turn_commit() != settings::TurnCommit::asynchronous || synchronous_commit <= SYNCHRONOUS_COMMIT_OFF)
    return;
  guarded([] {
    if (IsTransactionBlock()) return;
    level_before = synchronous_commit;
    set_until_commit("off");
    relaxed = compat::local_transaction_number();
  });
}

void restore() {
  if (relaxed == InvalidLocalTransactionId) return;
  guarded([] {
    if (std::exchange(relaxed, InvalidLocalTransactionId) == compat::local_transaction_number())
      set_until_commit(name_of(level_before));
  });
}

}  // namespace claude_gpt::bridge::durability
