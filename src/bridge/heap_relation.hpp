// What is known of one relation whose rows are read and written through the access methods: where its columns are,
// its indexes, and what on it would have an effect that only the executor brings about. Looked up once for each change
// of the relation or its indexes. Private to the bridge.
#pragma once

#include <cstdint>

#include "bridge/heap_description.hpp"
#include "bridge/server.hpp"

namespace claude_gpt::bridge {

struct HeapRelation {
  static constexpr int k_max_columns = TableTypes::k_max_columns;
  static constexpr int k_max_indexes = 24;

  MemoryContext memory;
  Oid oid;
  std::uint64_t number;  // of all that were described
  bool is_stale;         // something about it was changed
  int users;             // who has it open
  bool is_forgotten;
  HeapRelation* next;

  // What keeps rows from being read, locked and written so; nullptr: nothing.
  const char* reading_obstacle;
  const char* locking_obstacle;
  const char* writing_obstacle;

  AttrNumber attributes[k_max_columns];         // of the columns of the description
  std::int32_t most_characters[k_max_columns];  // of a varchar(n), or -1
  AttrNumber last_attribute;                    // of these
  Oid key_index;                                // InvalidOid: there is none
  Oid newest_index;                             // likewise
  Oid referring_index;                          // likewise
  bool has_foreign_keys;
  ExprState** defaults;  // of a new row, by attribute; nullptr: NULL, or the column is written
  int index_count;
  Oid indexes[k_max_indexes];
  IndexInfo* index_infos[k_max_indexes];  // where it may be written
  EState* state;                          // for predicates and expressions of its indexes
};

// Fills in what follows `next`. Of the relation, which is open and locked.
void look_at(HeapRelation* known, Relation relation, const HeapDescription& description, bool is_leaf);

// Of the relation, which is open and locked. `is_leaf`: a partition that rows of the described table go to.
HeapRelation* describe(Relation relation, const HeapDescription& description, bool is_leaf);
// The same, kept in `known` until it is stale or another relation is asked for.
void refresh(HeapRelation*& known, Relation relation, const HeapDescription& description, bool is_leaf);
// One that nobody uses any more, or as soon as nobody does.
void forget(HeapRelation* relation) noexcept;

// Counts changes of roles, schemas and functions, on which every obstacle depends.
std::uint64_t catalog_events();

}  // namespace claude_gpt::bridge
