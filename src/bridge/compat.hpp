// Differences between the server versions 15 to 18: the only place that asks for the version.
#pragma once

#if PG_VERSION_NUM < 150000
#error "claude_gpt needs PostgreSQL 15 or later"
#endif

namespace claude_gpt::bridge::compat {

// 16 moved the memory of settings into a context of its own.
inline void* allocate_setting_extra(std::size_t size) {
#if PG_VERSION_NUM >= 160000
  return guc_malloc(LOG, size);
#else
  return std::malloc(size);
#endif
}

// 16 has one function for all kinds of objects.
inline bool owns_database(Oid database) {
#if PG_VERSION_NUM >= 160000
  return object_ownercheck(DatabaseRelationId, database, GetUserId());
#else
  return pg_database_ownercheck(database, GetUserId());
#endif
}

// 16 lets a member be one that may not act as the role.
inline bool can_become(Oid member, Oid role) {
#if PG_VERSION_NUM >= 160000
  return member_can_set_role(member, role) || has_privs_of_role(member, role) || is_admin_of_role(member, role);
#else
  return is_member_of_role_nosuper(member, role);
#endif
}

// 17 can ask for stronger locks too.
inline bool holds_lock(const LOCKTAG* tag, LOCKMODE mode) {
#if PG_VERSION_NUM >= 170000
  return LockHeldByMe(tag, mode, false);
#else
  return LockHeldByMe(tag, mode);
#endif
}

// 17 made the number of a process a variable of its own.
inline int process_number() {
#if PG_VERSION_NUM >= 170000
  return MyProcNumber;
#else
  return MyProc->pgprocno;
#endif
}

// 17 keeps what names the transaction of a session together.
inline LocalTransactionId local_transaction_number() {
#if PG_VERSION_NUM >= 170000
  return MyProc->vxid.lxid;
#else
  return MyProc->lxid;
#endif
}

// 17 says by the type of a process what 15 says by its entry in the list of workers.
inline bool is_background_worker() {
#if PG_VERSION_NUM >= 170000
  return AmBackgroundWorkerProcess();
#else
  return MyBgworkerEntry != nullptr;
#endif
}

}  // namespace claude_gpt::bridge::compat
