#include <cstring>

#include "bridge/guard.hpp"
#include "bridge/heap_table.hpp"
#include "bridge/heap_values.hpp"

extern "C" {
#include <access/genam.h>
#include <access/tableam.h>
#include <utils/fmgroids.h>
}

namespace claude_gpt::bridge {

namespace {

// The executor's words.
[[noreturn]] void raise_modified_by_itself() {
  ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                  errmsg("tuple to be updated was already modified by an operation triggered by the current command"),
                  errhint("Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other "
                          "rows.")));
  pg_unreachable();
}

bool is_in_state(TupleTableSlot* slot, AttrNumber attribute, std::string_view state) {
  bool is_null = false;
  const Datum found = slot_getattr(slot, attribute, &is_null);
  if (is_null) return false;
  const text* characters = DatumGetTextPP(found);
  return state == std::string_view{VARDATA_ANY(characters), VARSIZE_ANY_EXHDR(characters)};
}

// To read: in the caller's snapshot.
template <typename Look> bool in_snapshot(bool is_read, Look look) {
  if (is_read) return look();
  CommandCounterIncrement();
  PushActiveSnapshot(GetTransactionSnapshot());
  const bool found = look();
  PopActiveSnapshot();
  return found;
}

// Rows of the index that have the key in its first column, until one is wanted; in the slot.
template <typename IsWanted> bool scan(Relation relation, Oid index_oid, const core::Uuid& key, bool is_read,
                                       TupleTableSlot* slot, IsWanted is_wanted) {
  Relation index = index_open(index_oid, is_read ? AccessShareLock : RowExclusiveLock);
  ScanKeyData condition;
  ScanKeyInit(&condition, 1, BTEqualStrategyNumber, F_UUID_EQ, PointerGetDatum(key.bytes.data()));
  IndexScanDesc scan = compat::begin_index_scan(relation, index, GetActiveSnapshot(), 1);
  index_rescan(scan, &condition, 1, nullptr, 0);
  bool found = false;
  while (!found && index_getnext_slot(scan, ForwardScanDirection, slot)) {
    CHECK_FOR_INTERRUPTS();
    found = is_wanted();
  }
  index_endscan(scan);
  index_close(index, NoLock);
  return found;
}

}  // namespace

bool HeapRow::open(HeapTable::Use use) {
  use_ = use;
  return table_.is_possible(use) && OpenHeap::open(table_.own_, table_.description_, table_.relation_, false, use) &&
         is_still(table_);
}

HeapRow::Found HeapRow::take(std::span<Value> values) {
  if (use_ == HeapTable::Use::write) {
    slot_getallattrs(slot_);
    // The executor asks foreign keys of a row that this transaction has written, whatever changes.
    if (known_->has_foreign_keys && !is_own_) {
      bool is_null = false;
      const Datum writer = slot_getsysattr(slot_, MinTransactionIdAttributeNumber, &is_null);
      if (TransactionIdIsCurrentTransactionId(DatumGetTransactionId(writer))) return Found::refused;
    }
    if (!is_sound(slot_, known_, table_.description_)) return Found::refused;
  } else {
    slot_getsomeattrs(slot_, known_->last_attribute);
  }
  take_values(slot_, known_, values);
  return Found::row;
}

// The version that is visible, and has the key, is the row. Only where the lock that keeps pages from being cut off the
// table is held since.
bool HeapRow::is_where_it_was() {
  const HeapPlace& place = table_.last_found_;
  if (place.offset == 0 || place.key != key_ || place.relation != known_->number ||
      place.transaction != compat::local_transaction_number() || place.subtransaction != GetCurrentSubTransactionId() ||
      compat::was_made_in_transaction(relation_))
    return false;
  ItemPointerData version;
  ItemPointerSet(&version, place.block, place.offset);
  return table_tuple_fetch_row_version(relation_, &version, GetActiveSnapshot(), slot_) && has_key();
}

void HeapRow::remember_place() {
  table_.last_found_ = {key_,
                        known_->number,
                        ItemPointerGetBlockNumber(&slot_->tts_tid),
                        ItemPointerGetOffsetNumber(&slot_->tts_tid),
                        compat::local_transaction_number(),
                        GetCurrentSubTransactionId()};
}

bool HeapRow::has_key() const {
  bool is_null = false;
  const Datum found = slot_getattr(slot_, known_->attributes[table_.description_.key], &is_null);
  return !is_null && memcmp(DatumGetUUIDP(found)->data, key_.bytes.data(), UUID_LEN) == 0;
}

HeapRow::Found HeapRow::find(const core::Uuid& key, std::span<Value> values) {
  key_ = key;
  HeapRow* self = this;
  return guarded([=]() -> Found {
    CHECK_FOR_INTERRUPTS();
    if (self->slot_ == nullptr) self->slot_ = table_slot_create(self->relation_, nullptr);
    ExecClearTuple(self->slot_);
    const bool is_read = self->use_ == HeapTable::Use::read;
    const bool found = in_snapshot(is_read, [=] {
      return self->is_where_it_was() ||
             scan(self->relation_, self->known_->key_index, self->key_, is_read, self->slot_, [] { return true; });
    });
    if (!found) return Found::none;
    self->remember_place();
    return self->take(values);
  });
}

bool HeapRow::can_find_newest() const { return OidIsValid(known_->newest_index); }

HeapRow::Found HeapRow::find_newest(const core::Uuid& group, std::span<Value> values) {
  HeapRow* self = this;
  const core::Uuid* of = &group;
  return guarded([=]() -> Found {
    CHECK_FOR_INTERRUPTS();
    const HeapOrder& order = self->table_.description_.newest;
    const HeapRelation* known = self->known_;
    TupleTableSlot*& slot = self->slot_;
    if (slot == nullptr) slot = table_slot_create(self->relation_, nullptr);
    ExecClearTuple(slot);
    const bool is_read = self->use_ == HeapTable::Use::read;
    const bool found = in_snapshot(is_read, [&] {
      return scan(self->relation_, known->newest_index, *of, is_read, slot,
                  [&] { return !is_in_state(slot, known->attributes[order.state], order.absent); });
    });
    if (!found) return Found::none;
    bool is_null = false;
    const Datum key = slot_getattr(slot, known->attributes[self->table_.description_.key], &is_null);
    memcpy(self->key_.bytes.data(), DatumGetUUIDP(key)->data, UUID_LEN);
    return self->take(values);
  });
}

bool HeapRow::can_find_referring() const { return OidIsValid(known_->referring_index); }

bool HeapRow::is_referred_to(const core::Uuid& key, States states) {
  HeapRow* self = this;
  const core::Uuid* to = &key;
  return guarded([=] {
    const HeapOrder& order = self->table_.description_.newest;
    const HeapRelation* known = self->known_;
    TupleTableSlot* slot = table_slot_create(self->relation_, nullptr);
    const bool is_read = self->use_ == HeapTable::Use::read;
    const bool found = in_snapshot(is_read, [&] {
      return scan(self->relation_, known->referring_index, *to, is_read, slot, [&] {
        return states == States::all || !is_in_state(slot, known->attributes[order.state], order.absent);
      });
    });
    ExecDropSingleTupleTableSlot(slot);
    return found;
  });
}

HeapRow::Found HeapRow::lock(Lock mode, std::span<Value> values) {
  HeapRow* self = this;
  return guarded([=]() -> Found {
    ItemPointerData version = self->slot_->tts_tid;
    TM_FailureData failure;
    ExecClearTuple(self->slot_);
    // As the executor locks it below REPEATABLE READ: FOR KEY SHARE does not wait for an update in progress, whose new
    // version somebody could delete unless that is locked too.
    const TM_Result result =
        table_tuple_lock(self->relation_, &version, GetActiveSnapshot(), self->slot_, GetCurrentCommandId(false),
                         mode == Lock::key_share ? LockTupleKeyShare : LockTupleNoKeyExclusive, LockWaitBlock,
                         TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS | TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
    switch (result) {
      case TM_Ok: return self->has_key() ? self->take(values) : Found::none;
      case TM_Deleted:
      case TM_SelfModified: return Found::none;
      default: elog(ERROR, "unexpected state %d of a row that is locked", static_cast<int>(result));
    }
    return Found::none;
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
    if (result == TM_Ok && indexes.any) self->add_index_entries(row, true, indexes.only_summarizing);
    ExecDropSingleTupleTableSlot(row);
    if (result == TM_Ok) return Outcome::written;

    if (result == TM_Updated) {
      ExecClearTuple(old_row);
      // As the executor follows it below REPEATABLE READ.
      result = table_tuple_lock(relation, &version, GetActiveSnapshot(), old_row, command, mode, LockWaitBlock,
                                TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
      if (result == TM_Ok) {
        if (!self->has_key()) return Outcome::gone;
        return self->take(values) == Found::row ? Outcome::changed : Outcome::refused;
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

}  // namespace claude_gpt::bridge
