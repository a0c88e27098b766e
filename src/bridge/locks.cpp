#include "bridge/locks.hpp"

#include "bridge/guard.hpp"
#include "bridge/lock_tags.hpp"
#include "bridge/names.hpp"

extern "C" {
#include <catalog/pg_extension_d.h>
}

namespace claude_gpt::bridge::locks {

namespace {

// As it was locked: the extension may be dropped meanwhile.
constinit LOCKTAG jobs_locked = {};

LOCKTAG jobs_tag() {
  jobs_locked = own_tag(MyDatabaseId, ExtensionRelationId, get_extension_oid(k_extension, true));
  return jobs_locked;
}

bool lock(LOCKTAG (*tag_of)(), LOCKMODE mode, bool waits) {
  return guarded([=] {
    if (mode == ExclusiveLock) PreventCommandDuringRecovery("jobs");
    const LOCKTAG tag = tag_of();
    return LockAcquire(&tag, mode, true, !waits) != LOCKACQUIRE_NOT_AVAIL;
  });
}

}  // namespace

bool extension_is_installed() {
  return guarded([] { return OidIsValid(get_extension_oid(k_extension, true)); });
}

bool try_lock_jobs() { return lock(jobs_tag, ExclusiveLock, false); }

void lock_jobs() { lock(jobs_tag, ExclusiveLock, true); }

// Not guarded: what is held is given back without an ERROR, and a failure on the way would keep it for the session.
void unlock_jobs() {
  if (compat::holds_lock(&jobs_locked, ExclusiveLock)) LockRelease(&jobs_locked, ExclusiveLock, true);
}

bool jobs_are_still_locked() {
  return guarded([] {
    AcceptInvalidationMessages();
    return get_extension_oid(k_extension, true) == jobs_locked.locktag_field3 &&
           compat::holds_lock(&jobs_locked, ExclusiveLock);
  });
}

bool try_lock_visit() {
  return lock([] { return visit_tag(MyDatabaseId); }, ShareLock, false);
}

}  // namespace claude_gpt::bridge::locks
