#include "bridge/heap_table.hpp"

#include "bridge/guard.hpp"
#include "bridge/heap_relation.hpp"
#include "bridge/owners_rights.hpp"
#include "bridge/relcache.hpp"
#include "bridge/settings.hpp"

extern "C" {
#include <access/genam.h>
#include <access/relation.h>
#include <access/table.h>
#include <access/tableam.h>
#include <nodes/execnodes.h>
#include <partitioning/partbounds.h>
#include <partitioning/partdesc.h>
#include <utils/partcache.h>
}

namespace claude_gpt::bridge {

namespace {

LOCKMODE lock_for(HeapTable::Use use) {
  switch (use) {
    case HeapTable::Use::read: return AccessShareLock;
    case HeapTable::Use::lock: return RowShareLock;
    case HeapTable::Use::write: break;
  }
  return RowExclusiveLock;
}

const char* obstacle_of(const HeapRelation* known, HeapTable::Use use) {
  switch (use) {
    case HeapTable::Use::read: return known->reading_obstacle;
    case HeapTable::Use::lock: return known->locking_obstacle;
    case HeapTable::Use::write: break;
  }
  return known->writing_obstacle;
}

// Of the session and the transaction. Extensions that check permissions ask the executor, which is not there.
bool session_allows(HeapTable::Use use) {
  if (!settings::direct_access() || !ActiveSnapshotSet() || ExecutorCheckPerms_hook != nullptr) return false;
  if (use == HeapTable::Use::read) return !IsolationIsSerializable();
  return !IsolationUsesXactSnapshot() && !XactReadOnly && !RecoveryInProgress() && !IsInParallelMode() &&
         SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA;
}

// Among the partitions of a table, that for a moment; InvalidOid: the default, or none.
Oid find_partition(Relation parent, TimestampTz moment) {
  const PartitionKey key = RelationGetPartitionKey(parent);
  // Without those that are being detached, as the executor has it below REPEATABLE READ.
  const PartitionDesc partitions = RelationGetPartitionDesc(parent, true);
  if (partitions->nparts == 0) return InvalidOid;
  const PartitionBoundInfo bounds = partitions->boundinfo;
  Datum value = TimestampTzGetDatum(moment);
  bool is_equal = false;
  const int offset = partition_range_datum_bsearch(key->partsupfunc, key->partcollation, bounds, 1, &value, &is_equal);
  const int partition = bounds->indexes[offset + 1];
  return partition >= 0 && partitions->is_leaf[partition] ? partitions->oids[partition] : InvalidOid;
}

ResultRelInfo* open_indexes(Relation relation, HeapRelation* known) {
  auto* result = makeNode(ResultRelInfo);
  result->ri_RelationDesc = relation;
  result->ri_NumIndices = known->index_count;
  result->ri_IndexRelationDescs =
      static_cast<RelationPtr>(palloc(static_cast<std::size_t>(known->index_count) * sizeof(Relation)));
  result->ri_IndexRelationInfo = known->index_infos;
  for (int i = 0; i < known->index_count; ++i) {
    result->ri_IndexRelationDescs[i] = index_open(known->indexes[i], RowExclusiveLock);
    // What an index keeps of insertions refers to how it was open then.
    known->index_infos[i]->ii_AmCache = nullptr;
    known->index_infos[i]->ii_Context = CurrentMemoryContext;
  }
  return result;
}

void close_indexes(ResultRelInfo* indexes) {
  for (int i = 0; i < indexes->ri_NumIndices; ++i) {
    compat::end_index_insertion(indexes->ri_IndexRelationDescs[i], indexes->ri_IndexRelationInfo[i]);
    index_close(indexes->ri_IndexRelationDescs[i], NoLock);
  }
  pfree(indexes->ri_IndexRelationDescs);
  pfree(indexes);
}

}  // namespace

bool HeapTable::is_possible(Use use) {
  if (!session_allows(use)) return false;
  const std::uint64_t now = relcache::events();
  const std::uint64_t catalogs = catalog_events();
  if (now == relcache_seen_at_ && catalogs == catalogs_seen_at_) return true;
  const char* table = description_.table;
  require_table_owner(table);
  if (set_ == 0) set_ = table_set_of(table);
  require_types(set_);
  require_one_owner(set_);
  relation_ = guarded([table] { return get_relname_relid(table, get_namespace_oid(k_data_schema, false)); });
  relcache_seen_at_ = now;
  catalogs_seen_at_ = catalogs;
  return true;
}

bool HeapTable::is_outdated() const {
  return relcache::events() != relcache_seen_at_ || catalog_events() != catalogs_seen_at_;
}

const char* HeapTable::obstacle(Use use, core::Instant moment) {
  HeapTable* self = this;
  if (!session_allows(use) && !settings::direct_access()) return "claude_gpt.direct_access is off";
  const char* table = description_.table;
  return guarded([=]() -> const char* {
    const Oid schema = get_namespace_oid(k_data_schema, true);
    const Oid oid = OidIsValid(schema) ? get_relname_relid(table, schema) : InvalidOid;
    Relation relation = OidIsValid(oid) ? try_table_open(oid, AccessShareLock) : nullptr;
    if (relation == nullptr) return "it does not exist";
    HeapRelation* known = describe(relation, self->description_, false);
    const char* found = obstacle_of(known, use);
    if (found != nullptr) found = pstrdup(found);
    forget(known);
    if (found == nullptr && self->description_.partition_key >= 0) {
      const Oid leaf = find_partition(relation, moment.microseconds);
      Relation partition = OidIsValid(leaf) ? try_table_open(leaf, AccessShareLock) : nullptr;
      if (partition == nullptr) {
        found = "the rows of today go to no partition of their time";
      } else {
        known = describe(partition, self->description_, true);
        if (known->writing_obstacle != nullptr)
          found = psprintf("partition \"%s\": %s", RelationGetRelationName(partition), known->writing_obstacle);
        forget(known);
        table_close(partition, NoLock);
      }
    }
    table_close(relation, NoLock);
    return found;
  });
}

std::uint32_t HeapTable::find_leaf(core::Instant moment) {
  HeapTable* self = this;
  return guarded([=]() -> Oid {
    Relation parent = try_table_open(self->relation_, RowExclusiveLock);
    if (parent == nullptr) return InvalidOid;
    HeapRelation*& known = self->own_;
    refresh(known, parent, self->description_, false);
    const bool may_write = known->writing_obstacle == nullptr && !known->is_stale;
    const Oid found = may_write ? find_partition(parent, moment.microseconds) : InvalidOid;
    table_close(parent, NoLock);
    return found;
  });
}

void HeapTable::require_writable(Use use) {
  const char* table = description_.table;
  guarded([=] {
    PreventCommandIfReadOnly("UPDATE");
    if (use != Use::write) return;
    const Oid schema = get_namespace_oid(k_data_schema, true);
    const Oid oid = OidIsValid(schema) ? get_relname_relid(table, schema) : InvalidOid;
    Relation relation = OidIsValid(oid) ? try_relation_open(oid, RowExclusiveLock) : nullptr;
    if (relation == nullptr) return;
    CheckCmdReplicaIdentity(relation, CMD_UPDATE);
    relation_close(relation, NoLock);
  });
}

bool OpenHeap::open(HeapRelation*& known, const HeapDescription& description, std::uint32_t oid, bool is_leaf,
                    HeapTable::Use use) {
  OpenHeap* self = this;
  HeapRelation** kept = &known;
  const HeapDescription* described = &description;
  return guarded([=] {
    Relation relation = try_table_open(oid, lock_for(use));
    if (relation == nullptr) return false;
    // The lock has taken in what others changed.
    refresh(*kept, relation, *described, is_leaf);
    if (obstacle_of(*kept, use) != nullptr || (*kept)->is_stale) {
      table_close(relation, NoLock);
      return false;
    }
    // 55000 where a publication needs to identify rows that cannot be, as a statement has it before it looks at any.
    if (use == HeapTable::Use::write && described->event == HeapDescription::Event::update)
      CheckCmdReplicaIdentity(relation, CMD_UPDATE);
    self->relation_ = relation;
    self->known_ = *kept;
    ++self->known_->users;
    return true;
  });
}

bool OpenHeap::is_still(const HeapTable& table) {
  if (!table.is_outdated()) return true;
  close();
  return false;
}

void OpenHeap::add_index_entries(TupleTableSlot* row, bool is_update, bool only_summarizing) {
  if (indexes_ == nullptr) indexes_ = open_indexes(relation_, known_);
  // The functions of expressions and predicates are the server's own, but whether they may be called is asked of the
  // owner, as by SPI.
  const OwnersRights rights{relation_};
  compat::insert_index_entries(indexes_, row, known_->state, is_update, only_summarizing);
  rights.give_back();
}

void OpenHeap::close() {
  OpenHeap* self = this;
  guarded([self] {
    if (self->indexes_ != nullptr) close_indexes(self->indexes_);
    if (self->known_->state != nullptr) ResetPerTupleExprContext(self->known_->state);
    table_close(self->relation_, NoLock);
  });
  relation_ = nullptr;
  indexes_ = nullptr;
}

// What is open after an error is closed by the server.
OpenHeap::~OpenHeap() {
  if (known_ != nullptr && --known_->users == 0 && known_->is_forgotten) MemoryContextDelete(known_->memory);
}

}  // namespace claude_gpt::bridge
