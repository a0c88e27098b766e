#include "bridge/guard.hpp"
#include "bridge/heap_table.hpp"
#include "bridge/heap_values.hpp"
#include "bridge/owners_rights.hpp"

extern "C" {
#include <access/tableam.h>
}

namespace claude_gpt::bridge {

namespace {

void fill_with_defaults(TupleTableSlot* row, Relation relation, const HeapRelation* known) {
  const int columns = RelationGetDescr(relation)->natts;
  ResetPerTupleExprContext(known->state);
  const OwnersRights rights{relation};
  for (int i = 0; i < columns; ++i) {
    row->tts_values[i] = 0;
    row->tts_isnull[i] = true;
    if (known->defaults[i] != nullptr)
      row->tts_values[i] =
          ExecEvalExprSwitchContext(known->defaults[i], GetPerTupleExprContext(known->state), &row->tts_isnull[i]);
  }
  rights.give_back();
}

}  // namespace

bool HeapInsertion::open(core::Instant moment) {
  if (!table_.is_possible(HeapTable::Use::write)) return false;
  if (table_.description_.partition_key < 0)
    return OpenHeap::open(table_.own_, table_.description_, table_.relation_, false, HeapTable::Use::write) &&
           is_still(table_);
  const std::uint32_t leaf = table_.find_leaf(moment);
  return leaf != 0 && OpenHeap::open(table_.leaf_, table_.description_, leaf, true, HeapTable::Use::write) &&
         is_still(table_);
}

bool HeapInsertion::insert(std::span<const Value> values) {
  HeapInsertion* self = this;
  return guarded([=] {
    Relation relation = self->relation_;
    HeapRelation* known = self->known_;
    TupleTableSlot* row = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
    fill_with_defaults(row, relation, known);
    const HeapDescription& description = self->table_.description_;
    bool is_kept = true;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!description.writes(i)) continue;
      const int attribute = known->attributes[i] - 1;
      row->tts_values[attribute] = values[i].datum;
      row->tts_isnull[attribute] = values[i].is_null;
      is_kept = is_kept && !is_too_long(values[i], known->most_characters[i]);
    }
    ExecStoreVirtualTuple(row);
    row->tts_tableOid = RelationGetRelid(relation);
    is_kept = is_kept && is_sound(row, known, description);
    if (is_kept) {
      CommandCounterIncrement();
      table_tuple_insert(relation, row, GetCurrentCommandId(true), 0, nullptr);
      self->add_index_entries(row, false, false);
    }
    ExecDropSingleTupleTableSlot(row);
    return is_kept;
  });
}

void HeapInsertion::finish() { close(); }

}  // namespace claude_gpt::bridge
