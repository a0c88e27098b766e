// Locks of our own, beside those that users take: the server's lock manager, with tags that nothing else uses.
// pg_locks shows both as locktype "object" with objsubid 1.
#pragma once

#include <cstdint>

namespace claude_gpt::bridge::locks {

// That jobs run in this database: one session at a time, over its transactions. pg_locks: classid pg_extension.
// Released by unlock_jobs() or with the session. False, and nothing locked, where the extension is not installed.
bool extension_is_installed();
bool try_lock_jobs();
// Waits; lock_timeout and cancellation apply.
void lock_jobs();
void unlock_jobs();
// Whether the lock is still held, for the extension that is there: it may have been dropped, and made again, or user
// code may have called pg_advisory_unlock_all(), which releases every lock of a session.
bool jobs_are_still_locked();

// That a worker visits this database; shared by workers, for their session. False while a command that needs the
// database for itself runs. pg_locks: classid pg_database.
bool try_lock_visit();

}  // namespace claude_gpt::bridge::locks
