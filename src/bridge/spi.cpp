#include "bridge/spi.hpp"

#include <optional>
#include <string>
#include <string_view>

#include "bridge/guard.hpp"
#include "bridge/relcache.hpp"
#include "bridge/rights.hpp"
#include "bridge/type_check.hpp"
#include "core/failure.hpp"

namespace claude_gpt::bridge {

namespace {

constinit std::uint64_t statement_count = 0;

// A table's columns are of the types that the code takes them for, since these were compared before.
void require_result(SPIPlanPtr plan, const char* sql, const Type* columns, int count) {
  const TupleDesc found = static_cast<CachedPlanSource*>(linitial(SPI_plan_get_plan_sources(plan)))->resultDesc;
  if (found == nullptr || found->natts != count) elog(ERROR, "result has other columns than are read: %s", sql);
  for (int i = 0; i < count; ++i) {
    const Form_pg_attribute column = TupleDescAttr(found, i);
    const Oid expected = type_oid(columns[i]);
    if (!is_plainly(expected, column->atttypid) && reading_of(expected, column->atttypid) == Reading::refused)
      raise_mismatch(NameStr(column->attname), nullptr, expected, column->atttypid);
  }
}

void execute_plan(SPIPlanPtr plan, Datum* values, const char* nulls, Access access) {
  if (access == Access::latest_lock) {
    // As foreign keys look at the other table: after CommandCounterIncrement, and 40001 for a row that changes
    // meanwhile.
    const int result = SPI_execute_snapshot(plan, values, nulls, GetLatestSnapshot(), InvalidSnapshot, false, true, 0);
    if (result < 0) elog(ERROR, "could not execute statement: %s", SPI_result_code_string(result));
    return;
  }
  // GetLatestSnapshot is not allowed while a parallel query runs.
  const bool latest = access == Access::latest && !IsInParallelMode();
  if (latest) PushActiveSnapshot(GetLatestSnapshot());
  const int result = SPI_execute_plan(plan, values, nulls, access != Access::read_write, 0);
  if (latest) PopActiveSnapshot();
  if (result < 0) elog(ERROR, "could not execute statement: %s", SPI_result_code_string(result));
}

// A value of a column that is not plainly of the type.
Value read_as(Type type, Form_pg_attribute column, Value value) {
  return guarded([=]() -> Value {
    const Oid expected = type_oid(type);
    const Reading reading = reading_of(expected, column->atttypid);
    const char* name = NameStr(column->attname);
    if (reading == Reading::refused) raise_mismatch(name, nullptr, expected, column->atttypid);
    return value.is_null ? Value::null() : Value{read_datum(reading, value.datum, name), false};
  });
}

}  // namespace

std::uint64_t statements_run() { return statement_count; }

RoleId Statement::owner() {
  const std::uint64_t now = relcache::events();
  if (owner_seen_at_ == now) return owner_;
  owner_ = require_table_owner(table_);
  if (tables_ == 0) tables_ = tables_named_in(sql_) | (used_ == k_any_table ? k_all_tables : tables_named_in(used_));
  require_types(tables_);
  // The record of migrations is read alone, and tells health() what is there also where owners differ.
  if (std::string_view{table_} != k_record_of_migrations) require_one_owner(tables_);
  owner_seen_at_ = now;
  return owner_;
}

// Called in guarded().
void Statement::prepare() {
  const int count = static_cast<int>(parameters_.size());
  Oid types[k_max_parameters];
  for (int i = 0; i < count; ++i) types[i] = type_oid(parameters_.data()[i]);
  SPIPlanPtr plan = SPI_prepare_cursor(sql_, count, types, planning_ == Planning::once ? CURSOR_OPT_GENERIC_PLAN : 0);
  if (plan == nullptr) elog(ERROR, "could not prepare statement: %s", SPI_result_code_string(SPI_result));
  if (!columns_.empty()) require_result(plan, sql_, columns_.data(), static_cast<int>(columns_.size()));
  if (SPI_keepplan(plan) != 0) elog(ERROR, "could not keep statement: %s", SPI_result_code_string(SPI_result));
  plan_ = plan;
}

Spi::Spi() {
  guarded([] {
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "could not connect to SPI");
  });
}

Rows Spi::run(Statement& statement, const Value* arguments, Access access) {
  std::optional<RightsScope> rights;
  if (statement.table_ != nullptr) rights.emplace(statement.owner());
  Statement* target = &statement;
  ++statement_count;
  guarded([=] {
    if (target->plan_ == nullptr) target->prepare();
    Datum values[Statement::k_max_parameters];
    char nulls[Statement::k_max_parameters];
    const int count = static_cast<int>(target->parameters_.size());
    for (int i = 0; i < count; ++i) {
      values[i] = arguments[i].datum;
      nulls[i] = arguments[i].is_null ? 'n' : ' ';
    }
    execute_plan(static_cast<SPIPlanPtr>(target->plan_), values, nulls, access);
  });
  const Rows rows{SPI_tuptable, SPI_processed};
  if (rights) rights->finish();
  return rows;
}

void Spi::release(const Rows& rows) {
  SPITupleTable* table = rows.table_;
  if (table != nullptr) guarded([table] { SPI_freetuptable(table); });
}

void Spi::run_script(const char* sql) {
  ++statement_count;
  guarded([sql] {
    const int result = SPI_execute(sql, false, 0);
    if (result < 0) elog(ERROR, "could not execute script: %s", SPI_result_code_string(result));
  });
}

void Spi::finish() {
  guarded([] { SPI_finish(); });
}

core::Failure missing_row() {
  return {core::sqlstate::k_not_in_prerequisite_state, "a row that was read or written is missing",
          "A trigger, rule or policy on the tables of claude_gpt keeps a statement from its row."};
}

void Rows::require_row(std::uint64_t row) const {
  // A statement without RETURNING touches rows and returns none.
  if (table_ != nullptr && row < table_->numvals) return;
  throw missing_row();
}

Value Rows::value(std::uint64_t row, int column, Type type) const {
  require_row(row);
  const TupleDesc description = table_->tupdesc;
  if (column > description->natts)
    throw core::Failure(core::sqlstate::k_internal_error, "result has fewer columns than are read");
  const Form_pg_attribute attribute = TupleDescAttr(description, column - 1);
  Value value;
  value.datum = heap_getattr(table_->vals[row], column, description, &value.is_null);
  return is_plainly(type, attribute->atttypid) ? value : read_as(type, attribute, value);
}

Value Rows::require(std::uint64_t row, int column, Type type) const {
  const Value found = value(row, column, type);
  if (!found.is_null) return found;
  throw unexpected_null(NameStr(TupleDescAttr(table_->tupdesc, column - 1)->attname));
}

}  // namespace claude_gpt::bridge
