#include "bridge/heap_relation.hpp"

extern "C" {
#include <executor/executor.h>
}

namespace claude_gpt::bridge {

namespace {

constinit HeapRelation* known_relations = nullptr;
constinit std::uint64_t catalog_event_count = 1;
constinit std::uint64_t described_count = 0;
constinit bool is_registered = false;

// Both run inside the server's invalidation processing: they must not call the server.
void on_relation_change(Datum, Oid relation) {
  for (HeapRelation* known = known_relations; known != nullptr; known = known->next) {
    bool concerned = relation == InvalidOid || relation == known->oid || relation == known->key_index ||
                     relation == known->newest_index || relation == known->referring_index;
    for (int i = 0; i < known->index_count && !concerned; ++i) concerned = relation == known->indexes[i];
    if (concerned) known->is_stale = true;
  }
}

void on_catalog_change(Datum, int, std::uint32_t) {
  ++catalog_event_count;
  for (HeapRelation* known = known_relations; known != nullptr; known = known->next) known->is_stale = true;
}

void register_callbacks() {
  if (is_registered) return;
  is_registered = true;
  CacheRegisterRelcacheCallback(&on_relation_change, 0);
  for (const int cache : {AUTHOID, AUTHMEMROLEMEM, NAMESPACEOID, PROCOID})
    CacheRegisterSyscacheCallback(cache, &on_catalog_change, 0);
}

}  // namespace

HeapRelation* describe(Relation relation, const HeapDescription& description, bool is_leaf) {
  register_callbacks();
  // It is kept only if nothing fails.
  MemoryContext memory = AllocSetContextCreateInternal(CurrentMemoryContext, "claude_gpt table", ALLOCSET_SMALL_SIZES);
  const MemoryContext previous = MemoryContextSwitchTo(memory);
  auto* known = static_cast<HeapRelation*>(palloc0(sizeof(HeapRelation)));
  known->memory = memory;
  known->oid = RelationGetRelid(relation);
  known->number = ++described_count;
  // From here on: what changes while it is looked at makes it stale at once.
  known->next = known_relations;
  known_relations = known;
  PG_TRY();
  {
    look_at(known, relation, description, is_leaf);
    MemoryContextSetParent(memory, CacheMemoryContext);
  }
  PG_CATCH();
  {
    known_relations = known->next;
    PG_RE_THROW();
  }
  PG_END_TRY();
  MemoryContextSwitchTo(previous);
  return known;
}

void refresh(HeapRelation*& known, Relation relation, const HeapDescription& description, bool is_leaf) {
  if (known != nullptr && !known->is_stale && known->oid == RelationGetRelid(relation)) return;
  forget(known);
  known = nullptr;
  known = describe(relation, description, is_leaf);
}

void forget(HeapRelation* relation) noexcept {
  if (relation == nullptr) return;
  for (HeapRelation** link = &known_relations; *link != nullptr; link = &(*link)->next)
    if (*link == relation) {
      *link = relation->next;
      break;
    }
  relation->is_forgotten = true;
  if (relation->users == 0) MemoryContextDelete(relation->memory);
}

std::uint64_t catalog_events() { return catalog_event_count; }

}  // namespace claude_gpt::bridge
