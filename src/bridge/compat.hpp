// Differences between the server versions 15 to 18: the only place that asks for the version.
#pragma once

#if PG_VERSION_NUM < 150000
#error "claude_gpt needs PostgreSQL 15 or later"
#endif

extern "C" {
#include <access/genam.h>
#include <access/tableam.h>
#include <catalog/pg_namespace_d.h>
#include <nodes/nodeFuncs.h>
}

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

// 16 has one function for all kinds of objects.
inline bool may_use_schema(Oid schema, Oid role) {
#if PG_VERSION_NUM >= 160000
  return object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK;
#else
  return pg_namespace_aclcheck(schema, role, ACL_USAGE) == ACLCHECK_OK;
#endif
}

// 16 gave the walker a type.
inline bool walk_expression(Node* node, bool (*walker)(Node*, void*), void* context) {
#if PG_VERSION_NUM >= 160000
  return expression_tree_walker(node, walker, context);
#else
  return expression_tree_walker(node, reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker)), context);
#endif
}

// The table or its file: it may be cut off in this transaction, which nobody else can see. 16 renamed it.
inline bool was_made_in_transaction(Relation table) {
#if PG_VERSION_NUM >= 160000
  const SubTransactionId file = table->rd_firstRelfilelocatorSubid;
#else
  const SubTransactionId file = table->rd_firstRelfilenodeSubid;
#endif
  return table->rd_createSubid != InvalidSubTransactionId || file != InvalidSubTransactionId;
}

// 18 can count what a scan reads.
inline IndexScanDesc begin_index_scan(Relation table, Relation index, Snapshot snapshot, int key_count) {
#if PG_VERSION_NUM >= 180000
  return index_beginscan(table, index, snapshot, nullptr, key_count, 0);
#else
  return index_beginscan(table, index, snapshot, key_count, 0);
#endif
}

// Which indexes need an entry for the new version of a row. 16 tells summarizing indexes (BRIN), which need one also
// where the others do without.
struct IndexesToUpdate {
  bool any = false;
  bool only_summarizing = false;
};

inline TM_Result update_tuple(Relation table, ItemPointer old_version, TupleTableSlot* slot, CommandId command,
                              TM_FailureData* failure, LockTupleMode* mode, IndexesToUpdate* indexes) {
#if PG_VERSION_NUM >= 160000
  TU_UpdateIndexes needed = TU_None;
  const TM_Result result = table_tuple_update(table, old_version, slot, command, InvalidSnapshot, InvalidSnapshot, true,
                                              failure, mode, &needed);
  *indexes = {needed != TU_None, needed == TU_Summarizing};
#else
  bool needed = false;
  const TM_Result result = table_tuple_update(table, old_version, slot, command, InvalidSnapshot, InvalidSnapshot, true,
                                              failure, mode, &needed);
  *indexes = {needed, false};
#endif
  return result;
}

inline void insert_index_entries(ResultRelInfo* relation, TupleTableSlot* slot, EState* state, bool is_update,
                                 [[maybe_unused]] bool only_summarizing) {
#if PG_VERSION_NUM >= 160000
  list_free(ExecInsertIndexTuples(relation, slot, state, is_update, false, nullptr, NIL, only_summarizing));
#else
  list_free(ExecInsertIndexTuples(relation, slot, state, is_update, false, nullptr, NIL));
#endif
}

// 17 lets an index keep buffers between insertions.
inline void end_index_insertion([[maybe_unused]] Relation index, [[maybe_unused]] IndexInfo* info) {
#if PG_VERSION_NUM >= 170000
  index_insert_cleanup(index, info);
#endif
}

}  // namespace claude_gpt::bridge::compat
