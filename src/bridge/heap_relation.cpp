#include "bridge/heap_relation.hpp"

#include "bridge/type_check.hpp"

extern "C" {
#include <access/genam.h>
#include <access/heapam.h>
#include <access/tableam.h>
#include <access/transam.h>
#include <catalog/index.h>
#include <catalog/pg_am_d.h>
#include <catalog/pg_constraint.h>
#include <catalog/pg_language_d.h>
#include <catalog/pg_proc.h>
#include <catalog/pg_trigger.h>
#include <nodes/nodeFuncs.h>
#include <partitioning/partdesc.h>
#include <utils/partcache.h>
#include <utils/relcache.h>
}

namespace claude_gpt::bridge {

namespace {

constinit HeapRelation* known_relations = nullptr;
constinit std::uint64_t catalog_event_count = 1;
constinit bool is_registered = false;

// Both run inside the server's invalidation processing: they must not call the server.
void on_relation_change(Datum, Oid relation) {
  for (HeapRelation* known = known_relations; known != nullptr; known = known->next) {
    bool concerned = relation == InvalidOid || relation == known->oid || relation == known->key_index;
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

bool is_of_the_server(Oid object) { return object < FirstUnpinnedObjectId; }

AttrNumber find_attribute(TupleDesc description, const char* column) {
  for (int i = 0; i < description->natts; ++i) {
    const Form_pg_attribute attribute = TupleDescAttr(description, i);
    if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), column) == 0) return attribute->attnum;
  }
  return InvalidAttrNumber;
}

bool is_written(const HeapDescription& description, int column) { return (description.written >> column & 1) != 0; }

// What is cast or rounded on the way in is left to the executor.
bool is_stored_as_given(Type type, Form_pg_attribute attribute) {
  constexpr std::int32_t k_amount = ((20 << 16) | 9) + VARHDRSZ;  // numeric(20,9)
  switch (type) {
    case Type::text: return true;
    case Type::numeric: return attribute->atttypmod == k_amount;
    default: return attribute->atttypmod < 0;
  }
}

const char* find_columns(HeapRelation* known, TupleDesc columns, const HeapDescription& description) {
  const int count = static_cast<int>(description.columns.size());
  for (int i = 0; i < count; ++i) {
    const ColumnType& column = description.columns[static_cast<std::size_t>(i)];
    const AttrNumber number = find_attribute(columns, column.column);
    if (number == InvalidAttrNumber) return psprintf("column \"%s\" is missing", column.column);
    const Form_pg_attribute attribute = TupleDescAttr(columns, number - 1);
    if (!is_plainly(column.type, attribute->atttypid))
      return psprintf("column \"%s\" is of type %s", column.column, format_type_be(attribute->atttypid));
    known->attributes[i] = number;
    known->most_characters[i] =
        attribute->atttypid == VARCHAROID && attribute->atttypmod >= 0 ? attribute->atttypmod - VARHDRSZ : -1;
    known->last_attribute = Max(known->last_attribute, number);
  }
  return nullptr;
}

constexpr char k_missing_right[] = "its owner has taken a right on it from himself";

bool owner_may(Relation relation, AclMode right) {
  return pg_class_aclcheck(RelationGetRelid(relation), relation->rd_rel->relowner, right) == ACLCHECK_OK;
}

Oid find_key_index(Relation relation, HeapRelation* known, const HeapDescription& description) {
  list_free(RelationGetIndexList(relation));  // which finds the primary key
  if (!OidIsValid(relation->rd_pkindex)) return InvalidOid;
  Relation index = index_open(relation->rd_pkindex, AccessShareLock);
  const Form_pg_index form = index->rd_index;
  const bool is_sound = index->rd_rel->relam == BTREE_AM_OID && form->indisvalid && form->indimmediate &&
                        form->indnkeyatts == 1 && form->indkey.values[0] == known->attributes[description.key] &&
                        is_of_the_server(index->rd_opfamily[0]) && index->rd_opcintype[0] == UUIDOID;
  index_close(index, NoLock);
  return is_sound ? relation->rd_pkindex : InvalidOid;
}

const char* find_reading_obstacle(Relation relation, HeapRelation* known, const HeapDescription& description,
                                  bool is_leaf) {
  const Form_pg_class form = relation->rd_rel;
  const bool is_parent = description.partition_key >= 0 && !is_leaf;
  if (form->relkind != (is_parent ? RELKIND_PARTITIONED_TABLE : RELKIND_RELATION))
    return is_parent ? "it is not partitioned" : "it is no plain table";
  if (!is_parent && relation->rd_tableam != GetHeapamTableAmRoutine()) return "its access method is not heap";
  if (!is_parent && form->relhassubclass) return "tables inherit from it";
  if (form->relrowsecurity && form->relforcerowsecurity) return "row security is forced on its owner";
  if (const char* obstacle = find_columns(known, RelationGetDescr(relation), description)) return obstacle;
  // Rights on a partition are not asked where rows come by its parent.
  if (!is_leaf &&
      !(compat::may_use_schema(RelationGetNamespace(relation), form->relowner) && owner_may(relation, ACL_SELECT)))
    return k_missing_right;
  if (description.key < 0) return nullptr;
  known->key_index = find_key_index(relation, known, description);
  return OidIsValid(known->key_index) ? nullptr : "its primary key is missing or another";
}

// Columns whose values the executor would compute, or ask.
const char* find_foreign_column(TupleDesc columns, HeapRelation* known, const HeapDescription& description) {
  const int count = static_cast<int>(description.columns.size());
  for (int i = 0; i < columns->natts; ++i) {
    const Form_pg_attribute attribute = TupleDescAttr(columns, i);
    if (attribute->attisdropped) continue;
    const char* name = NameStr(attribute->attname);
    if (attribute->attgenerated != '\0') return psprintf("column \"%s\" is generated", name);
    int column = 0;
    while (column < count && known->attributes[column] != attribute->attnum) ++column;
    if (column < count) {
      if (is_written(description, column) &&
          (attribute->attidentity != '\0' ||
           !is_stored_as_given(description.columns[static_cast<std::size_t>(column)].type, attribute)))
        return psprintf("column \"%s\" stores other values than it is given", name);
      continue;
    }
    if (description.event == HeapDescription::Event::insert &&
        (attribute->attnotnull || attribute->atthasdef || attribute->attidentity != '\0' ||
         getBaseType(attribute->atttypid) != attribute->atttypid))
      return psprintf("column \"%s\" of a new row is not claude_gpt's to fill", name);
  }
  return nullptr;
}

bool fires(const ::Trigger& trigger, HeapRelation* known, const HeapDescription& description) {
  const bool is_update = description.event == HeapDescription::Event::update;
  if (!(is_update ? TRIGGER_FOR_UPDATE(trigger.tgtype) : TRIGGER_FOR_INSERT(trigger.tgtype))) return false;
  if (trigger.tgenabled == TRIGGER_DISABLED || trigger.tgenabled == TRIGGER_FIRES_ON_REPLICA) return false;
  if (!is_update || trigger.tgnattr == 0) return true;
  // UPDATE OF
  for (int i = 0; i < trigger.tgnattr; ++i)
    for (std::size_t column = 0; column < description.columns.size(); ++column)
      if (is_written(description, static_cast<int>(column)) && known->attributes[column] == trigger.tgattr[i])
        return true;
  return false;
}

// The C symbol of a function of this library that runs as it is; nullptr of any other. Who may make one is a superuser.
const char* find_symbol(Oid function) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return nullptr;
  const auto* form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
  bool no_source = true, no_library = true, no_settings = true;
  const Datum source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &no_source);
  const Datum library = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &no_library);
  (void)SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &no_settings);
  const char* symbol = nullptr;
  if (form->prolang == ClanguageId && !form->prosecdef && no_settings && !no_source && !no_library &&
      strcmp(TextDatumGetCString(library), "$libdir/claude_gpt") == 0)
    symbol = TextDatumGetCString(source);
  ReleaseSysCache(tuple);
  return symbol;
}

struct ForeignKey {
  AttrNumber column = InvalidAttrNumber;  // none: it has several
  Oid table = InvalidOid;
  AttrNumber key = InvalidAttrNumber;
};

// A copy: the relation may be read anew by whatever is looked up next.
ForeignKey find_foreign_key(Relation relation, Oid constraint) {
  ListCell* cell = nullptr;
  foreach (cell, RelationGetFKeyList(relation)) {
    const auto* key = static_cast<const ForeignKeyCacheInfo*>(lfirst(cell));
    if (key->conoid == constraint && key->nkeys == 1) return {key->conkey[0], key->confrelid, key->confkey[0]};
  }
  return {};
}

// A foreign key whose other row the writer keeps locked, so that nothing is left to be looked up.
bool is_kept_reference(Relation relation, HeapRelation* known, const HeapDescription& description, Oid constraint) {
  const ForeignKey key = find_foreign_key(relation, constraint);
  for (const HeapReference& reference : description.references) {
    if (known->attributes[reference.column] != key.column) continue;
    const Oid table = get_relname_relid(reference.table, get_namespace_oid(k_data_schema, false));
    return OidIsValid(table) && table == key.table && get_attnum(table, "id") == key.key;
  }
  return false;
}

// Of foreign keys that refer to the table: an UPDATE asks them only where it changes a key.
bool writes_a_key(Relation relation, HeapRelation* known, const HeapDescription& description) {
  Bitmapset* keys = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_KEY);
  bool found = false;
  for (std::size_t column = 0; column < description.columns.size() && !found; ++column)
    found = is_written(description, static_cast<int>(column)) &&
            bms_is_member(known->attributes[column] - FirstLowInvalidHeapAttributeNumber, keys);
  bms_free(keys);
  return found;
}

constexpr int k_most_replaced = 4;

bool is_among(const char* const (&symbols)[k_most_replaced], int count, const char* symbol) {
  if (count == k_most_replaced) return true;
  for (int i = 0; i < count; ++i)
    if (strcmp(symbols[i], symbol) == 0) return true;
  return false;
}

const char* find_foreign_trigger(Relation relation, HeapRelation* known, const HeapDescription& description,
                                 bool is_parent) {
  // A copy: the relation may be read anew by whatever is looked up next.
  const TriggerDesc* triggers = CopyTriggerDesc(relation->trigdesc);
  const char* replaced_symbols[k_most_replaced] = {};
  int replaced = 0;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i) {
    const ::Trigger& trigger = triggers->triggers[i];
    // Those for each row are on the partitions too, where they are looked at.
    if (!fires(trigger, known, description) || (is_parent && TRIGGER_FOR_ROW(trigger.tgtype))) continue;
    const char* foreign = psprintf("trigger \"%s\" fires", trigger.tgname);
    if (!TRIGGER_FOR_ROW(trigger.tgtype) || trigger.tgdeferrable || trigger.tgqual != nullptr ||
        trigger.tgoldtable != nullptr || trigger.tgnewtable != nullptr)
      return foreign;
    const int kind = RI_FKey_trigger_type(trigger.tgfoid);
    if (kind == RI_TRIGGER_PK && description.event == HeapDescription::Event::update) continue;  // see writes_a_key()
    if (kind == RI_TRIGGER_FK && description.event == HeapDescription::Event::insert &&
        is_kept_reference(relation, known, description, trigger.tgconstraint))
      continue;
    const char* symbol = kind == RI_TRIGGER_NONE ? find_symbol(trigger.tgfoid) : nullptr;
    if (symbol == nullptr) return foreign;
    const HeapTrigger seen{symbol,
                           TRIGGER_FOR_BEFORE(trigger.tgtype) != 0,
                           {const_cast<const char* const*>(trigger.tgargs), static_cast<std::size_t>(trigger.tgnargs)}};
    // Each of ours once: twice the one does not make up for the other.
    if (!description.replaces(seen) || is_among(replaced_symbols, replaced, symbol)) return foreign;
    replaced_symbols[replaced++] = symbol;
  }
  if (!is_parent && replaced != description.replaced_trigger_count)
    return "a trigger of claude_gpt is missing or disabled";
  return nullptr;
}

bool is_foreign_function(Oid function, void*) { return !is_of_the_server(function); }

// Whether an expression runs anything but the server's own functions.
bool is_foreign(Node* node, void* context) {
  if (node == nullptr) return false;
  if (IsA(node, List)) return compat::walk_expression(node, &is_foreign, context);
  if (!is_of_the_server(exprType(node)) || check_functions_in_node(node, &is_foreign_function, context)) return true;
  return compat::walk_expression(node, &is_foreign, context);
}

const char* find_foreign_part(Relation index) {
  const Form_pg_index form = index->rd_index;
  const char* name = RelationGetRelationName(index);
  if (form->indisexclusion) return psprintf("constraint \"%s\" excludes rows", name);
  if (!form->indimmediate) return psprintf("constraint \"%s\" is deferrable", name);
  const Oid method = index->rd_rel->relam;
  bool is_known = method == BTREE_AM_OID || method == BRIN_AM_OID || method == HASH_AM_OID;
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
    for (std::size_t column = 0; column < description.columns.size(); ++column)
      if (is_written(description, static_cast<int>(column)) &&
          known->attributes[column] == index->ii_IndexAttrNumbers[i])
        return true;
  return false;
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

// Whether rows are sent to a partition by this column alone.
bool is_routed_by(Relation relation, AttrNumber column) {
  const PartitionKey key = RelationGetPartitionKey(relation);
  return key != nullptr && key->strategy == PARTITION_STRATEGY_RANGE && key->partnatts == 1 &&
         key->partattrs[0] == column && key->parttypid[0] == TIMESTAMPTZOID && is_of_the_server(key->partopfamily[0]) &&
         is_of_the_server(key->partsupfunc[0].fn_oid);
}

const char* find_writing_obstacle(Relation relation, HeapRelation* known, const HeapDescription& description,
                                  bool is_leaf) {
  const bool is_parent = description.partition_key >= 0 && !is_leaf;
  const bool is_update = description.event == HeapDescription::Event::update;
  if (description.written == 0) return "nothing writes it so";
  if (!is_leaf && !owner_may(relation, is_update ? ACL_UPDATE : ACL_INSERT)) return k_missing_right;
  if (relation->rd_rules != nullptr) return "it has a rule";
  if (!is_leaf && relation->rd_rel->relispartition) return "it is a partition";
  const TupleConstr* constraints = RelationGetDescr(relation)->constr;
  if (constraints != nullptr && constraints->num_check > 0)
    return psprintf("it has the constraint \"%s\"", constraints->check[0].ccname);
  if (const char* obstacle = find_foreign_column(RelationGetDescr(relation), known, description)) return obstacle;
  if (const char* obstacle = find_foreign_trigger(relation, known, description, is_parent)) return obstacle;
  if (is_parent)
    return is_routed_by(relation, known->attributes[description.partition_key]) ? nullptr
                                                                                : "it is partitioned in another way";
  if (is_update && writes_a_key(relation, known, description)) return "a counter is part of a key";
  return find_indexes(relation, known, description);
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
  // From here on: what changes while it is looked at makes it stale at once.
  known->next = known_relations;
  known_relations = known;
  PG_TRY();
  {
    known->reading_obstacle = find_reading_obstacle(relation, known, description, is_leaf);
    known->writing_obstacle = known->reading_obstacle != nullptr
                                  ? known->reading_obstacle
                                  : find_writing_obstacle(relation, known, description, is_leaf);
    known->state = known->writing_obstacle == nullptr ? CreateExecutorState() : nullptr;
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
