#include "bridge/table_types.hpp"

#include <string_view>

#include "bridge/guard.hpp"
#include "bridge/type_check.hpp"

extern "C" {
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

void declare_tables(std::span<TableTypes> tables) { declared = tables; }

TableSet tables_named_in(const char* sql) {
  TableSet named = 0;
  for (std::size_t i = 0; i < declared.size(); ++i)
    if (is_named_in(sql, declared[i].table())) named |= TableSet{1} << i;
  return named;
}

void require_types(TableSet tables) {
  for (std::size_t i = 0; i < declared.size(); ++i)
    if ((tables >> i & 1) != 0) declared[i].require();
}

}  // namespace claude_gpt::bridge
