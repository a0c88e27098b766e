#include "bridge/heap_table.hpp"

#include <cstring>

#include "bridge/guard.hpp"
#include "bridge/heap_relation.hpp"
#include "bridge/relcache.hpp"
#include "bridge/settings.hpp"

extern "C" {
#include <access/genam.h>
#include <access/table.h>
#include <access/tableam.h>
#include <nodes/execnodes.h>
#include <partitioning/partbounds.h>
#include <partitioning/partdesc.h>
#include <utils/fmgroids.h>
#include <utils/partcache.h>
}

namespace claude_gpt::bridge {

namespace {

LOCKMODE lock_for(HeapTable::Use use) { return use == HeapTable::Use::read ? AccessShareLock : RowExclusiveLock; }

// Of the session and the transaction. Extensions that check permissions ask the executor, which is not there.
bool session_allows(HeapTable::Use use) {
  if (!settings::direct_access() || !ActiveSnapshotSet() || ExecutorCheckPerms_hook != nullptr) return false;
  if (use == HeapTable::Use::read) return !IsolationIsSerializable();
  return !IsolationUsesXactSnapshot() && !XactReadOnly && !RecoveryInProgress() && !IsInParallelMode() &&
         SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA;
}

// Among the partitions of a table, that for a moment; InvalidOid: the default, or none.
Oid find_leaf(Relation parent, TimestampTz moment) {
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

void take_values(TupleTableSlot* slot, const HeapRelation* known, std::span<Value> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int attribute = known->attributes[i] - 1;
    values[i] = {slot->tts_values[attribute], slot->tts_isnull[attribute]};
  }
}

bool has_key(TupleTableSlot* slot, AttrNumber attribute, const core::Uuid& key) {
  bool is_null = false;
  const Datum found = slot_getattr(slot, attribute, &is_null);
  return !is_null && memcmp(DatumGetUUIDP(found)->data, key.bytes.data(), UUID_LEN) == 0;
}

// NOT NULL of all columns, as the executor asks it of every row that is written.
bool has_missing_value(TupleTableSlot* slot) {
  const TupleDesc columns = slot->tts_tupleDescriptor;
  if (columns->constr == nullptr || !columns->constr->has_not_null) return false;
  for (int i = 0; i < columns->natts; ++i)
    if (slot->tts_isnull[i] && TupleDescAttr(columns, i)->attnotnull) return true;
  return false;
}

bool is_too_long(Value value, std::int32_t most_characters) {
  if (most_characters < 0 || value.is_null) return false;
  const text* characters = DatumGetTextPP(value.datum);
  const int bytes = static_cast<int>(VARSIZE_ANY_EXHDR(characters));
  return bytes > most_characters && pg_mbstrlen_with_len(VARDATA_ANY(characters), bytes) > most_characters;
}

// Below zero, or not a number.
bool is_negative(Type type, ::Datum value, Numeric zero) {
  switch (type) {
    case Type::int4: return DatumGetInt32(value) < 0;
    case Type::int8: return DatumGetInt64(value) < 0;
    default: break;
  }
  const Numeric number = DatumGetNumeric(value);
  return numeric_is_nan(number) ||
         DatumGetBool(DirectFunctionCall2(numeric_lt, NumericGetDatum(number), NumericGetDatum(zero)));
}

// Whether the row keeps the rules that the description and the table have for its values.
bool is_sound(TupleTableSlot* row, const HeapRelation* known, const HeapDescription& description) {
  if (has_missing_value(row)) return false;
  const Numeric zero = int64_to_numeric(0);
  for (std::size_t i = 0; i < description.columns.size(); ++i) {
    const int attribute = known->attributes[i] - 1;
    if (row->tts_isnull[attribute]) {
      if ((description.required >> i & 1) != 0) return false;
      continue;
    }
    if ((description.not_negative >> i & 1) != 0 &&
        is_negative(description.columns[i].type, row->tts_values[attribute], zero))
      return false;
  }
  return true;
}

void insert_index_entries(Relation relation, HeapRelation* known, TupleTableSlot* slot, bool is_update,
                          bool only_summarizing) {
  Relation indexes[HeapRelation::k_max_indexes];
  for (int i = 0; i < known->index_count; ++i) {
    indexes[i] = index_open(known->indexes[i], RowExclusiveLock);
    // What an index keeps of one insertion refers to how it was open then.
    known->index_infos[i]->ii_AmCache = nullptr;
    known->index_infos[i]->ii_Context = CurrentMemoryContext;
  }
  auto* result = makeNode(ResultRelInfo);
  result->ri_RelationDesc = relation;
  result->ri_NumIndices = known->index_count;
  result->ri_IndexRelationDescs = indexes;
  result->ri_IndexRelationInfo = known->index_infos;
  ResetPerTupleExprContext(known->state);
  // The functions of expressions and predicates are the server's own, but whether they may be called is asked of the
  // owner, as by SPI. After an error the server gives the rights back by itself.
  Oid user = InvalidOid;
  int security = 0;
  GetUserIdAndSecContext(&user, &security);
  SetUserIdAndSecContext(relation->rd_rel->relowner,
                         security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
  compat::insert_index_entries(result, slot, known->state, is_update, only_summarizing);
  SetUserIdAndSecContext(user, security);
  for (int i = 0; i < known->index_count; ++i) {
    compat::end_index_insertion(indexes[i], known->index_infos[i]);
    index_close(indexes[i], NoLock);
  }
}

// The executor's words.
[[noreturn]] void raise_modified_by_itself() {
  ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                  errmsg("tuple to be updated was already modified by an operation triggered by the current command"),
                  errhint("Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other "
                          "rows.")));
  pg_unreachable();
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
    const char* found = use == Use::read ? known->reading_obstacle : known->writing_obstacle;
    if (found != nullptr) found = pstrdup(found);
    forget(known);
    if (found == nullptr && self->description_.partition_key >= 0) {
      const Oid leaf = find_leaf(relation, moment.microseconds);
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
    const char* obstacle = use == HeapTable::Use::read ? (*kept)->reading_obstacle : (*kept)->writing_obstacle;
    if (obstacle != nullptr || (*kept)->is_stale) {
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

void OpenHeap::close() {
  Relation relation = relation_;
  guarded([relation] { table_close(relation, NoLock); });
  relation_ = nullptr;
}

// What is open after an error is closed by the server.
OpenHeap::~OpenHeap() {
  if (known_ != nullptr && --known_->users == 0 && known_->is_forgotten) MemoryContextDelete(known_->memory);
}

bool HeapRow::open(HeapTable::Use use) {
  use_ = use;
  return table_.is_possible(use) && OpenHeap::open(table_.own_, table_.description_, table_.relation_, false, use) &&
         is_still(table_);
}

HeapRow::Found HeapRow::find(const core::Uuid& key, std::span<Value> values) {
  key_ = key;
  HeapRow* self = this;
  return guarded([=]() -> Found {
    CHECK_FOR_INTERRUPTS();
    const bool writes = self->use_ == HeapTable::Use::write;
    if (self->slot_ == nullptr) self->slot_ = table_slot_create(self->relation_, nullptr);
    ExecClearTuple(self->slot_);
    if (writes) {
      CommandCounterIncrement();
      PushActiveSnapshot(GetTransactionSnapshot());
    }
    Relation index = index_open(self->known_->key_index, lock_for(self->use_));
    ScanKeyData condition;
    ScanKeyInit(&condition, 1, BTEqualStrategyNumber, F_UUID_EQ, PointerGetDatum(self->key_.bytes.data()));
    IndexScanDesc scan = compat::begin_index_scan(self->relation_, index, GetActiveSnapshot(), 1);
    index_rescan(scan, &condition, 1, nullptr, 0);
    const bool found = index_getnext_slot(scan, ForwardScanDirection, self->slot_);
    index_endscan(scan);
    index_close(index, NoLock);
    if (writes) PopActiveSnapshot();
    if (!found) return Found::none;
    if (writes)
      slot_getallattrs(self->slot_);
    else
      slot_getsomeattrs(self->slot_, self->known_->last_attribute);
    if (writes && !is_sound(self->slot_, self->known_, self->table_.description_)) return Found::refused;
    take_values(self->slot_, self->known_, values);
    return Found::row;
  });
}

HeapRow::Outcome HeapRow::update(std::span<const Change> changes, std::span<Value> values) {
  HeapRow* self = this;
  return guarded([=]() -> Outcome {
    Relation relation = self->relation_;
    TupleTableSlot* old_row = self->slot_;
    HeapRelation* known = self->known_;
    TupleTableSlot* row = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
    const auto columns = static_cast<std::size_t>(RelationGetDescr(relation)->natts);
    memcpy(row->tts_values, old_row->tts_values, columns * sizeof(::Datum));
    memcpy(row->tts_isnull, old_row->tts_isnull, columns * sizeof(bool));
    // What a column held before it was dropped does not live on.
    for (std::size_t i = 0; i < columns; ++i)
      row->tts_isnull[i] =
          row->tts_isnull[i] || TupleDescAttr(RelationGetDescr(relation), static_cast<int>(i))->attisdropped;
    bool fits = true;
    for (const Change& change : changes) {
      const int attribute = known->attributes[change.column] - 1;
      row->tts_values[attribute] = change.value.datum;
      row->tts_isnull[attribute] = change.value.is_null;
      fits = fits && !is_too_long(change.value, known->most_characters[change.column]);
    }
    ExecStoreVirtualTuple(row);
    row->tts_tableOid = RelationGetRelid(relation);
    if (!fits || !is_sound(row, known, self->table_.description_)) {
      ExecDropSingleTupleTableSlot(row);
      return Outcome::refused;
    }
    const CommandId command = GetCurrentCommandId(true);
    ItemPointerData version = old_row->tts_tid;
    TM_FailureData failure;
    LockTupleMode mode = LockTupleNoKeyExclusive;
    compat::IndexesToUpdate indexes;
    TM_Result result = compat::update_tuple(relation, &version, row, command, &failure, &mode, &indexes);
    if (result == TM_Ok && indexes.any) insert_index_entries(relation, known, row, true, indexes.only_summarizing);
    ExecDropSingleTupleTableSlot(row);
    if (result == TM_Ok) return Outcome::written;

    if (result == TM_Updated) {
      ExecClearTuple(old_row);
      // As the executor follows it below REPEATABLE READ.
      result = table_tuple_lock(relation, &version, GetActiveSnapshot(), old_row, command, mode, LockWaitBlock,
                                TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
      if (result == TM_Ok) {
        if (!has_key(old_row, known->attributes[self->table_.description_.key], self->key_)) return Outcome::gone;
        slot_getallattrs(old_row);
        if (!is_sound(old_row, known, self->table_.description_)) return Outcome::refused;
        take_values(old_row, known, values);
        return Outcome::changed;
      }
    }
    if (result == TM_Deleted) return Outcome::gone;
    if (result == TM_SelfModified) raise_modified_by_itself();
    elog(ERROR, "unexpected state %d of a row that is written", static_cast<int>(result));
  });
}

void HeapRow::finish() {
  TupleTableSlot* slot = slot_;
  if (slot != nullptr) guarded([slot] { ExecDropSingleTupleTableSlot(slot); });
  slot_ = nullptr;
  close();
}

bool HeapInsertion::open(core::Instant moment) {
  if (!table_.is_possible(HeapTable::Use::write)) return false;
  HeapTable* table = &table_;
  const Oid leaf = guarded([=]() -> Oid {
    Relation parent = try_table_open(table->relation_, RowExclusiveLock);
    if (parent == nullptr) return InvalidOid;
    HeapRelation*& known = table->own_;
    refresh(known, parent, table->description_, false);
    const bool may_write = known->writing_obstacle == nullptr && !known->is_stale;
    const Oid found = may_write ? find_leaf(parent, moment.microseconds) : InvalidOid;
    table_close(parent, NoLock);
    return found;
  });
  return leaf != InvalidOid && OpenHeap::open(table_.leaf_, table_.description_, leaf, true, HeapTable::Use::write) &&
         is_still(table_);
}

bool HeapInsertion::insert(std::span<const Value> values) {
  HeapInsertion* self = this;
  return guarded([=] {
    Relation relation = self->relation_;
    HeapRelation* known = self->known_;
    TupleTableSlot* row = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
    const int columns = RelationGetDescr(relation)->natts;
    for (int i = 0; i < columns; ++i) {
      row->tts_values[i] = 0;
      row->tts_isnull[i] = true;
    }
    bool is_kept = true;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const int attribute = known->attributes[i] - 1;
      row->tts_values[attribute] = values[i].datum;
      row->tts_isnull[attribute] = values[i].is_null;
      is_kept = is_kept && !is_too_long(values[i], known->most_characters[i]);
    }
    ExecStoreVirtualTuple(row);
    row->tts_tableOid = RelationGetRelid(relation);
    is_kept = is_kept && is_sound(row, known, self->table_.description_);
    if (is_kept) {
      CommandCounterIncrement();
      table_tuple_insert(relation, row, GetCurrentCommandId(true), 0, nullptr);
      insert_index_entries(relation, known, row, false, false);
    }
    ExecDropSingleTupleTableSlot(row);
    return is_kept;
  });
}

void HeapInsertion::finish() { close(); }

}  // namespace claude_gpt::bridge
