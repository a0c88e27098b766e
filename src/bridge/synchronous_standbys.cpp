#include "bridge/synchronous_standbys.hpp"

#include "bridge/guard.hpp"

extern "C" {
#include <access/xlog.h>
#include <replication/syncrep.h>
#include <storage/proc.h>
}

namespace claude_gpt::bridge {

namespace {

// A glance without a lock, as those of pg_stat_activity are.
std::int32_t count_waiting_sessions() {
  std::int32_t count = 0;
  for (std::uint32_t number = 0; number < ProcGlobal->allProcCount; ++number) {
    const PGPROC& process = ProcGlobal->allProcs[number];
    if (process.pid != 0 && process.syncRepState == SYNC_REP_WAITING) ++count;
  }
  return count;
}

}  // namespace

SynchronousStandbys synchronous_standbys() {
  return guarded([]() -> SynchronousStandbys {
    if (RecoveryInProgress() || SyncRepConfig == nullptr) return {};
    SyncRepStandbyData* candidates = nullptr;
    const int present = SyncRepGetCandidateStandbys(&candidates);
    pfree(candidates);
    return {SyncRepConfig->num_sync, present, count_waiting_sessions()};
  });
}

}  // namespace claude_gpt::bridge
