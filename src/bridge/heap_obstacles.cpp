#include "bridge/heap_expressions.hpp"
#include "bridge/heap_indexes.hpp"

#include "bridge/type_check.hpp"

extern "C" {
#include <access/heapam.h>
#include <access/tableam.h>
#include <catalog/pg_constraint.h>
#include <catalog/pg_language_d.h>
#include <catalog/pg_proc.h>
#include <catalog/pg_trigger.h>
#include <partitioning/partdesc.h>
#include <utils/partcache.h>
#include <utils/relcache.h>
}

namespace claude_gpt::bridge {

namespace {

AttrNumber find_attribute(TupleDesc description, const char* column) {
  for (int i = 0; i < description->natts; ++i) {
    const Form_pg_attribute attribute = TupleDescAttr(description, i);
    if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), column) == 0) return attribute->attnum;
  }
  return InvalidAttrNumber;
}

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

// Of a column of a new row that is left to its default.
bool can_be_filled(Relation relation, Form_pg_attribute attribute, bool is_partitioned) {
  if (attribute->attidentity != '\0' || getBaseType(attribute->atttypid) != attribute->atttypid) return false;
  if (!attribute->atthasdef) return !attribute->attnotnull;
  // The defaults of a partition are not asked where rows come by its parent, nor are these looked at here.
  return !is_partitioned && find_plain_default(relation, attribute->attnum) != nullptr;
}

// Columns whose values the executor would compute, or ask.
const char* find_foreign_column(Relation relation, HeapRelation* known, const HeapDescription& description) {
  const TupleDesc columns = RelationGetDescr(relation);
  const int count = static_cast<int>(description.columns.size());
  for (int i = 0; i < columns->natts; ++i) {
    const Form_pg_attribute attribute = TupleDescAttr(columns, i);
    if (attribute->attisdropped) continue;
    const char* name = NameStr(attribute->attname);
    if (attribute->attgenerated != '\0') return psprintf("column \"%s\" is generated", name);
    int column = 0;
    while (column < count && known->attributes[column] != attribute->attnum) ++column;
    if (column < count && description.writes(static_cast<std::size_t>(column))) {
      if (attribute->attidentity != '\0' ||
          !is_stored_as_given(description.columns[static_cast<std::size_t>(column)].type, attribute))
        return psprintf("column \"%s\" stores other values than it is given", name);
    } else if (description.event == HeapDescription::Event::insert &&
               !can_be_filled(relation, attribute, description.partition_key >= 0)) {
      return psprintf("column \"%s\" of a new row is not claude_gpt's to fill", name);
    }
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
    if (is_written_attribute(known, description, trigger.tgattr[i])) return true;
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

// A foreign key of which nothing is left to be looked up: an UPDATE does not write it, or the writer of a new row keeps
// the other row locked.
bool is_kept_reference(Relation relation, HeapRelation* known, const HeapDescription& description, Oid constraint) {
  const ForeignKey key = find_foreign_key(relation, constraint);
  if (description.event == HeapDescription::Event::update) {
    known->has_foreign_keys = true;
    return key.column != InvalidAttrNumber && !is_written_attribute(known, description, key.column);
  }
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
    found = description.writes(column) &&
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
    const bool is_for_row = TRIGGER_FOR_ROW(trigger.tgtype) != 0;
    if (trigger.tgdeferrable || trigger.tgqual != nullptr ||
        (is_for_row && (trigger.tgoldtable != nullptr || trigger.tgnewtable != nullptr)))
      return foreign;
    const int kind = RI_FKey_trigger_type(trigger.tgfoid);
    if (kind == RI_TRIGGER_PK && description.event == HeapDescription::Event::update) continue;  // see writes_a_key()
    if (kind == RI_TRIGGER_FK && is_kept_reference(relation, known, description, trigger.tgconstraint)) continue;
    const char* symbol = kind == RI_TRIGGER_NONE ? find_symbol(trigger.tgfoid) : nullptr;
    if (symbol == nullptr) return foreign;
    const HeapTrigger seen{symbol,
                           is_for_row && TRIGGER_FOR_BEFORE(trigger.tgtype),
                           !is_for_row && TRIGGER_FOR_AFTER(trigger.tgtype),
                           {const_cast<const char* const*>(trigger.tgargs), static_cast<std::size_t>(trigger.tgnargs)}};
    // Each of ours once: twice the one does not make up for the other.
    if (!description.replaces(seen) || is_among(replaced_symbols, replaced, symbol)) return foreign;
    replaced_symbols[replaced++] = symbol;
  }
  if (!is_parent && replaced != description.replaced_trigger_count)
    return "a trigger of claude_gpt is missing or disabled";
  return nullptr;
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
  if (const char* obstacle = find_foreign_column(relation, known, description)) return obstacle;
  if (const char* obstacle = find_foreign_trigger(relation, known, description, is_parent)) return obstacle;
  if (is_parent)
    return is_routed_by(relation, known->attributes[description.partition_key]) ? nullptr
                                                                                : "it is partitioned in another way";
  if (is_update && writes_a_key(relation, known, description)) return "a counter is part of a key";
  return find_indexes(relation, known, description);
}

}  // namespace

void look_at(HeapRelation* known, Relation relation, const HeapDescription& description, bool is_leaf) {
  const char* obstacle = find_reading_obstacle(relation, known, description, is_leaf);
  known->reading_obstacle = known->locking_obstacle = known->writing_obstacle = obstacle;
  if (obstacle != nullptr) return;
  known->newest_index = find_newest_index(relation, known, description.newest);
  known->referring_index = find_referring_index(relation, known, description.referring);
  if (!is_leaf && !owner_may(relation, ACL_UPDATE)) known->locking_obstacle = k_missing_right;
  known->writing_obstacle = find_writing_obstacle(relation, known, description, is_leaf);
  if (known->writing_obstacle != nullptr) return;
  known->state = CreateExecutorState();
  if (description.event == HeapDescription::Event::insert) prepare_defaults(relation, known, description);
}

}  // namespace claude_gpt::bridge
