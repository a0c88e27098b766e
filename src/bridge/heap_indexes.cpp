#include "bridge/heap_indexes.hpp"

extern "C" {
#include <access/genam.h>
#include <catalog/index.h>
#include <catalog/pg_am_d.h>
}

namespace claude_gpt::bridge {

namespace {

bool is_not_null(List* predicate, AttrNumber attribute) {
  if (list_length(predicate) != 1 || !IsA(linitial(predicate), NullTest)) return false;
  const auto* test = static_cast<const NullTest*>(linitial(predicate));
  return test->nulltesttype == IS_NOT_NULL && IsA(test->arg, Var) &&
         reinterpret_cast<const Var*>(test->arg)->varattno == attribute;
}

// Of a B-tree whether it finds every row, or every one that has something in `not_null`, whoever looks.
bool has_all_rows(Relation index, AttrNumber not_null = InvalidAttrNumber) {
  const Form_pg_index form = index->rd_index;
  if (index->rd_rel->relam != BTREE_AM_OID || !form->indisvalid || form->indcheckxmin) return false;
  List* predicate = RelationGetIndexPredicate(index);
  return predicate == NIL || is_not_null(predicate, not_null);
}

bool is_key(Relation index, int place, AttrNumber attribute, Oid type) {
  return index->rd_index->indkey.values[place] == attribute && is_of_the_server(index->rd_opfamily[place]) &&
         index->rd_opcintype[place] == type;
}

const char* find_foreign_part(Relation index) {
  const Form_pg_index form = index->rd_index;
  const char* name = RelationGetRelationName(index);
  if (form->indisexclusion) return psprintf("constraint \"%s\" excludes rows", name);
  if (!form->indimmediate) return psprintf("constraint \"%s\" is deferrable", name);
  const Oid method = index->rd_rel->relam;
  bool is_known = method == BTREE_AM_OID || method == BRIN_AM_OID || method == GIN_AM_OID || method == HASH_AM_OID;
  const TupleDesc columns = RelationGetDescr(index);
  for (int i = 0; i < form->indnkeyatts; ++i)
    is_known = is_known && is_of_the_server(index->rd_opfamily[i]) && is_of_the_server(index->rd_opcintype[i]) &&
               is_of_the_server(TupleDescAttr(columns, i)->atttypid);
  if (!is_known || is_foreign(reinterpret_cast<Node*>(RelationGetIndexExpressions(index)), nullptr) ||
      is_foreign(reinterpret_cast<Node*>(RelationGetIndexPredicate(index)), nullptr))
    return psprintf("index \"%s\" may run other code than the server's", name);
  return nullptr;
}

// Whether an index needs a new entry that differs from the row's last one.
bool may_change(const IndexInfo* index, HeapRelation* known, const HeapDescription& description) {
  if (index->ii_Expressions != NIL) return false;
  for (int i = 0; i < index->ii_NumIndexAttrs; ++i)
    if (is_written_attribute(known, description, index->ii_IndexAttrNumbers[i])) return true;
  return false;
}

// As ORDER BY DESC has it: NULLs, which its owner may have let in, before all values.
bool has_newest_first(Relation index, int place) {
  return index->rd_indoption[place] == (INDOPTION_DESC | INDOPTION_NULLS_FIRST);
}

template <typename IsWanted> Oid find_index(Relation relation, IsWanted is_wanted) {
  List* indexes = RelationGetIndexList(relation);
  Oid found = InvalidOid;
  ListCell* cell = nullptr;
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    if (is_wanted(index)) found = RelationGetRelid(index);
    index_close(index, NoLock);
    if (OidIsValid(found)) break;
  }
  list_free(indexes);
  return found;
}

}  // namespace

Oid find_key_index(Relation relation, HeapRelation* known, const HeapDescription& description) {
  list_free(RelationGetIndexList(relation));  // which finds the primary key
  if (!OidIsValid(relation->rd_pkindex)) return InvalidOid;
  Relation index = index_open(relation->rd_pkindex, AccessShareLock);
  const Form_pg_index form = index->rd_index;
  const bool is_sound = has_all_rows(index) && form->indimmediate && form->indnkeyatts == 1 &&
                        is_key(index, 0, known->attributes[description.key], UUIDOID);
  index_close(index, NoLock);
  return is_sound ? relation->rd_pkindex : InvalidOid;
}

Oid find_newest_index(Relation relation, HeapRelation* known, const HeapOrder& order) {
  if (order.group < 0) return InvalidOid;
  return find_index(relation, [&](Relation index) {
    return has_all_rows(index) && index->rd_index->indnkeyatts >= 3 &&
           is_key(index, 0, known->attributes[order.group], UUIDOID) &&
           is_key(index, 1, known->attributes[order.moment], TIMESTAMPTZOID) &&
           is_key(index, 2, known->attributes[order.id], UUIDOID) && has_newest_first(index, 1) &&
           has_newest_first(index, 2);
  });
}

Oid find_referring_index(Relation relation, HeapRelation* known, int column) {
  if (column < 0) return InvalidOid;
  const AttrNumber attribute = known->attributes[column];
  return find_index(
      relation, [&](Relation index) { return has_all_rows(index, attribute) && is_key(index, 0, attribute, UUIDOID); });
}

const char* find_indexes(Relation relation, HeapRelation* known, const HeapDescription& description) {
  List* indexes = RelationGetIndexList(relation);
  const char* obstacle = nullptr;
  ListCell* cell = nullptr;
  foreach (cell, indexes) {
    if (known->index_count == HeapRelation::k_max_indexes) return "it has very many indexes";
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    obstacle = find_foreign_part(index);
    IndexInfo* info = BuildIndexInfo(index);
    // A hint for the index, which the executor takes from the statement.
    info->ii_CheckedUnchanged = true;
    info->ii_IndexUnchanged = !may_change(info, known, description);
    known->index_infos[known->index_count] = info;
    known->indexes[known->index_count++] = RelationGetRelid(index);
    index_close(index, NoLock);
    if (obstacle != nullptr) break;
  }
  list_free(indexes);
  return obstacle;
}

}  // namespace claude_gpt::bridge
