#include "bridge/table_types.hpp"

#include <string>
#include <string_view>

#include "bridge/guard.hpp"
#include "bridge/type_check.hpp"
#include "core/failure.hpp"

extern "C" {
#include <catalog/pg_inherits.h>
#include <utils/relcache.h>
}

namespace claude_gpt::bridge {

namespace {

constinit std::span<TableTypes> declared;

// No lock is taken: whoever changes a column between this look and the statement is met by the checks of its result.
void check_columns(Oid relation, const char* table, const ColumnType* columns, int count) {
  Relation opened = RelationIdGetRelation(relation);
  if (opened == nullptr) return;
  const TupleDesc description = RelationGetDescr(opened);
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < description->natts; ++j) {
      const Form_pg_attribute attribute = TupleDescAttr(description, j);
      if (attribute->attisdropped || strcmp(NameStr(attribute->attname), columns[i].column) != 0) continue;
      const Oid expected = type_oid(columns[i].type);
      const Oid found = attribute->atttypid;
      if (!is_plainly(expected, found) &&
          (reading_of(expected, found) == Reading::refused || !can_be_stored(expected, found)))
        raise_mismatch(columns[i].column, table, expected, found);
      break;
    }
  }
  RelationClose(opened);
}

// Of no relation: it was dropped meanwhile.
Oid owner_of(Oid relation) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
  if (!HeapTupleIsValid(tuple)) return InvalidOid;
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  return owner;
}

// The table, or the first of its partitions and what else inherits from it, that belongs to another role; InvalidOid if
// there is none.
Oid find_strange(Oid table, Oid owner) {
  List* relations = find_all_inheritors(table, NoLock, nullptr);
  Oid strange = InvalidOid;
  ListCell* cell = nullptr;
  foreach (cell, relations) {
    const Oid found = owner_of(lfirst_oid(cell));
    if (!OidIsValid(found) || found == owner) continue;
    strange = lfirst_oid(cell);
    break;
  }
  list_free(relations);
  return strange;
}

core::Failure strange(const std::string& what, RoleId owner, RoleId expected) {
  const auto name_of = [](RoleId role) {
    const char* name = guarded([=]() -> const char* { return GetUserNameFromId(role, true); });
    return name != nullptr ? std::string{name} : "unknown (OID " + std::to_string(role) + ")";
  };
  return {core::sqlstate::k_not_in_prerequisite_state,
          what + " belongs to role \"" + name_of(owner) + "\", and the tables of claude_gpt to role \"" +
              name_of(expected) + "\"",
          "What one has put there would run with the rights of the other.",
          "SELECT claude_gpt.set_owner('role') gives all of them to one."};
}

void require_owner_of_schema(const char* schema, RoleId owner) {
  const RoleId found = find_schema_owner(schema);
  if (found != 0 && found != owner) throw strange(std::string("schema \"") + schema + "\"", found, owner);
}

bool continues_name(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// As a qualified name.
bool is_named_in(std::string_view sql, std::string_view table) {
  for (std::size_t at = sql.find(table); at != std::string_view::npos; at = sql.find(table, at + 1)) {
    const std::size_t end = at + table.size();
    if (at > 0 && sql[at - 1] == '.' && (end == sql.size() || !continues_name(sql[end]))) return true;
  }
  return false;
}

}  // namespace

void TableTypes::require() {
  const std::uint64_t generation = watch_.generation();
  if (generation == sound_at_) return;
  const Oid relation = watch_.relation();
  const TableTypes* self = this;
  if (relation != InvalidOid) guarded([=] { check_columns(relation, self->table_, self->columns_, self->count_); });
  sound_at_ = generation;
}

void TableTypes::require_owner(RoleId owner) {
  watch_.generation();
  const Oid table = watch_.relation();
  if (table == InvalidOid) return;
  const Oid stranger = guarded([=] { return find_strange(table, owner); });
  if (stranger == InvalidOid) return;
  const char* name = guarded([=]() -> const char* {
    return quote_qualified_identifier(get_namespace_name(get_rel_namespace(stranger)), get_rel_name(stranger));
  });
  throw strange(std::string("table ") + name, guarded([=] { return owner_of(stranger); }), owner);
}

void declare_tables(std::span<TableTypes> tables) { declared = tables; }

TableSet tables_named_in(const char* sql) {
  TableSet named = 0;
  for (std::size_t i = 0; i < declared.size(); ++i)
    if (is_named_in(sql, declared[i].table())) named |= TableSet{1} << i;
  return named;
}

TableSet table_set_of(const char* table) {
  for (std::size_t i = 0; i < declared.size(); ++i)
    if (std::string_view{declared[i].table()} == table) return TableSet{1} << i;
  return 0;
}

void require_types(TableSet tables) {
  for (std::size_t i = 0; i < declared.size(); ++i)
    if ((tables >> i & 1) != 0) declared[i].require();
}

core::Failure unexpected_null(const char* column) {
  return {core::sqlstate::k_null_value_not_allowed,
          std::string("column \"") + column + "\" is null where claude_gpt keeps a value",
          "Its table allows NULL there, which claude_gpt does not."};
}

void require_one_owner(TableSet tables) {
  const RoleId owner = find_table_owner(k_first_table);
  if (owner == 0) return;
  for (std::size_t i = 0; i < declared.size(); ++i)
    if ((tables >> i & 1) != 0) declared[i].require_owner(owner);
  require_owner_of_schema(k_data_schema, owner);
  require_owner_of_schema(k_partition_schema, owner);
}

}  // namespace claude_gpt::bridge
