#include "bridge/trigger.hpp"

#include <cstddef>

#include "bridge/guard.hpp"
#include "bridge/type_check.hpp"
#include "core/access.hpp"

extern "C" {
#include <catalog/partition.h>
}

namespace claude_gpt::bridge {

namespace {

[[noreturn]] void throw_protocol(const char* function, const char* rule) {
  throw core::Failure(core::sqlstate::k_trigger_protocol_violated,
                      std::string("function \"") + function + "\" must be called " + rule);
}

HeapTuple new_tuple(const TriggerData* data) {
  return TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
}

// The value that an INSERT which leaves the column out would give it. A generated column gets its own later: until then
// it is NULL, and its expression reads a row that is not there yet.
Datum evaluate_default(Relation relation, int attribute, bool* is_null) {
  const bool is_generated = TupleDescAttr(RelationGetDescr(relation), attribute - 1)->attgenerated != '\0';
  Node* expression = is_generated ? nullptr : build_column_default(relation, attribute);
  if (expression == nullptr) {
    *is_null = true;
    return 0;
  }
  EState* state = CreateExecutorState();
  ExprState* prepared = ExecPrepareExpr(reinterpret_cast<Expr*>(expression), state);
  const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(relation), attribute - 1);
  Datum value = ExecEvalExprSwitchContext(prepared, GetPerTupleExprContext(state), is_null);
  if (!*is_null) value = datumCopy(value, column->attbyval, column->attlen);
  FreeExecutorState(state);
  return value;
}

bool same_value(Form_pg_attribute column, Datum a, bool a_is_null, Datum b, bool b_is_null) {
  if (a_is_null || b_is_null) return a_is_null && b_is_null;
  return datum_image_eq(a, b, column->attbyval, column->attlen);
}

[[noreturn]] void raise_mismatch_in(const TriggerData* data, Form_pg_attribute column, const char* expected) {
  raise_mismatch(NameStr(column->attname), RelationGetRelationName(data->tg_relation), expected, column->atttypid);
}

Reading require_reading(const TriggerData* data, Form_pg_attribute column, Type type) {
  if (is_plainly(type, column->atttypid)) return Reading::as_it_is;
  const Reading reading = reading_of(type_oid(type), column->atttypid);
  if (reading == Reading::refused) raise_mismatch_in(data, column, format_type_be(type_oid(type)));
  return reading;
}

// Below zero, or not a number. `type`: of the column, or what that is a domain of.
bool is_negative(const TriggerData* data, Form_pg_attribute column, Oid type, Datum value) {
  switch (type) {
    case INT4OID: return DatumGetInt32(value) < 0;
    case INT8OID: return DatumGetInt64(value) < 0;
    case NUMERICOID: {
      const Numeric number = DatumGetNumeric(value);
      if (numeric_is_nan(number)) return true;
      return DatumGetInt32(
                 DirectFunctionCall2(numeric_cmp, NumericGetDatum(number), NumericGetDatum(int64_to_numeric(0)))) < 0;
    }
    default: {
      const Oid base = getBaseType(type);
      if (base != type) return is_negative(data, column, base, value);
      raise_mismatch_in(data, column, "integer, bigint or numeric");
    }
  }
  pg_unreachable();
}

std::string_view text_of(Datum value) {
  const text* detoasted = DatumGetTextPP(value);
  return {VARDATA_ANY(detoasted), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(detoasted))};
}

// The value as the column takes it, by the rules of an assignment: those of its domain and its precision, and the time
// zone of the session where it has none.
Datum stored_in(const TriggerData* data, Form_pg_attribute column, const Trigger::Assignment& assignment) {
  std::int32_t precision = column->atttypmod;
  const Oid base = getBaseTypeAndTypmod(column->atttypid, &precision);
  const bool has_no_zone = assignment.type == Type::timestamptz && base == TIMESTAMPOID;
  if (!has_no_zone && !can_be_stored(type_oid(assignment.type), base))
    raise_mismatch_in(data, column, format_type_be(type_oid(assignment.type)));
  const bool is_null = assignment.value.is_null;
  Datum value = assignment.value.datum;
  if (!is_null && has_no_zone) value = DirectFunctionCall1(timestamptz_timestamp, value);
  if (!is_null && precision >= 0 && (base == TIMESTAMPTZOID || base == TIMESTAMPOID))
    value = DirectFunctionCall2(has_no_zone ? timestamp_scale : timestamptz_scale, value, Int32GetDatum(precision));
  if (base != column->atttypid) domain_check(value, is_null, column->atttypid, nullptr, CurrentMemoryContext);
  return value;
}

// An UPDATE must keep the stored value, an INSERT must hold the default.
bool deviates(const TriggerData* data, int attribute, Datum value, bool is_null) {
  const TupleDesc columns = RelationGetDescr(data->tg_relation);
  bool expected_is_null = false;
  const Datum expected = TRIGGER_FIRED_BY_UPDATE(data->tg_event)
                             ? heap_getattr(data->tg_trigtuple, attribute, columns, &expected_is_null)
                             : evaluate_default(data->tg_relation, attribute, &expected_is_null);
  return !same_value(TupleDescAttr(columns, attribute - 1), value, is_null, expected, expected_is_null);
}

// The number of a column, looked for from `start` on: names come mostly in the table's order.
int find_attribute(const TriggerData* data, std::string_view column, int start) {
  const TupleDesc columns = RelationGetDescr(data->tg_relation);
  for (int i = 0; i < columns->natts; ++i) {
    const int index = (start + i) % columns->natts;
    const Form_pg_attribute attribute = TupleDescAttr(columns, index);
    if (!attribute->attisdropped && NameStr(attribute->attname) == column) return index + 1;
  }
  ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                  errmsg("column \"%.*s\" of table \"%s\" does not exist", static_cast<int>(column.size()),
                         column.data(), RelationGetRelationName(data->tg_relation))));
  pg_unreachable();
}

Trigger::Breach breach_of(const TriggerData* data, const core::ColumnRule& rule, int attribute, bool check_maintained) {
  const TupleDesc columns = RelationGetDescr(data->tg_relation);
  const Form_pg_attribute column = TupleDescAttr(columns, attribute - 1);
  bool is_null = false;
  const Datum value = heap_getattr(new_tuple(data), attribute, columns, &is_null);
  if (!is_null) {
    if (rule.not_negative && is_negative(data, column, column->atttypid, value)) return Trigger::Breach::negative;
    if (rule.not_empty || !rule.allowed.empty()) {
      require_reading(data, column, Type::text);
      if (!rule.admits(text_of(value))) return Trigger::Breach::not_allowed;
    }
  }
  if (rule.is_maintained && check_maintained && deviates(data, attribute, value, is_null))
    return Trigger::Breach::maintained;
  return Trigger::Breach::none;
}

Cell read_cell(TupleTableSlot* slot, int attribute, const TransitionColumn& column, bool is_narrowed) {
  Cell cell;
  Datum datum = slot_getattr(slot, attribute, &cell.is_null);
  if (cell.is_null) return cell;
  if (is_narrowed) datum = read_datum(Reading::narrowed, datum, column.name);
  switch (column.type) {
    case Type::int4: cell.integer = DatumGetInt32(datum); break;
    case Type::int8:
    case Type::timestamptz: cell.integer = DatumGetInt64(datum); break;
    case Type::uuid: memcpy(cell.uuid.bytes.data(), DatumGetUUIDP(datum)->data, UUID_LEN); break;
    case Type::numeric: {
      char* digits = DatumGetCString(DirectFunctionCall1(numeric_out, datum));
      if (core::Amount::parse(digits, cell.amount) != core::Amount::ParseResult::ok)
        ereport(ERROR,
                (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("column \"%s\" is out of range", column.name)));
      pfree(digits);
      break;
    }
    case Type::text: {
      text* value = DatumGetTextPP(datum);
      const auto length = static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value));
      cell.text_matches =
          length == column.compared_to.size() && memcmp(VARDATA_ANY(value), column.compared_to.data(), length) == 0;
      break;
    }
    default: elog(ERROR, "transition column \"%s\" has a type that is not read", column.name);
  }
  return cell;
}

}  // namespace

Trigger::Trigger(const Call& call) : data_(reinterpret_cast<TriggerData*>(call.info()->context)) {
  if (!CALLED_AS_TRIGGER(call.info()))
    throw core::Failure(core::sqlstate::k_trigger_protocol_violated,
                        "trigger functions can only be called as triggers");
}

Trigger::Event Trigger::event() const {
  if (TRIGGER_FIRED_BY_INSERT(data_->tg_event)) return Event::insert;
  if (TRIGGER_FIRED_BY_UPDATE(data_->tg_event)) return Event::update;
  if (TRIGGER_FIRED_BY_DELETE(data_->tg_event)) return Event::remove;
  return Event::truncate;
}

void Trigger::require_before_row(const char* function) const {
  const bool row_written = event() == Event::insert || event() == Event::update;
  if (!TRIGGER_FIRED_BEFORE(data_->tg_event) || !TRIGGER_FIRED_FOR_ROW(data_->tg_event) || !row_written)
    throw_protocol(function, "before INSERT or UPDATE, for each row");
}

void Trigger::require_after(const char* function) const {
  if (!TRIGGER_FIRED_AFTER(data_->tg_event)) throw_protocol(function, "after the event");
}

void Trigger::require_after_delete(const char* function) const {
  if (!TRIGGER_FIRED_AFTER(data_->tg_event) || !is_for_row() || event() != Event::remove)
    throw_protocol(function, "after DELETE, for each row");
}

int Trigger::argument_count() const { return data_->tg_trigger->tgnargs; }
const char* Trigger::argument(int index) const { return data_->tg_trigger->tgargs[index]; }

std::uint32_t Trigger::table() const {
  Relation fired = data_->tg_relation;
  if (!fired->rd_rel->relispartition) return RelationGetRelid(fired);
  return guarded([fired] {
    const List* ancestors = get_partition_ancestors(RelationGetRelid(fired));
    return ancestors == NIL ? RelationGetRelid(fired) : llast_oid(ancestors);
  });
}

const char* Trigger::table_name() const {
  const Oid named = table();
  const char* name = guarded([named]() -> const char* { return get_rel_name(named); });
  return name != nullptr ? name : RelationGetRelationName(data_->tg_relation);
}

RoleId Trigger::table_owner() const { return data_->tg_relation->rd_rel->relowner; }

void Trigger::invalidate_table() const {
  const Oid changed = table();
  guarded([changed] { CacheInvalidateRelcacheByRelid(changed); });
}

Value Trigger::new_value(const char* column, Type type) const { return value_in(new_tuple(data_), column, type); }
Value Trigger::old_value(const char* column, Type type) const { return value_in(data_->tg_trigtuple, column, type); }

Value Trigger::value_in(HeapTuple tuple, const char* column, Type type) const {
  TriggerData* data = data_;
  return guarded([=]() -> Value {
    const TupleDesc columns = RelationGetDescr(data->tg_relation);
    const int attribute = find_attribute(data, column, 0);
    const Reading reading = require_reading(data, TupleDescAttr(columns, attribute - 1), type);
    bool is_null = false;
    const ::Datum datum = heap_getattr(tuple, attribute, columns, &is_null);
    return is_null ? Value::null() : Value{read_datum(reading, datum, column), false};
  });
}

bool Trigger::is_for_row() const { return TRIGGER_FIRED_FOR_ROW(data_->tg_event); }

bool Trigger::keeps_named_columns() const {
  TriggerData* data = data_;
  if (!is_for_row() || event() != Event::update || data->tg_trigger->tgnattr == 0) return false;
  return guarded([=] {
    const TupleDesc columns = RelationGetDescr(data->tg_relation);
    for (int i = 0; i < data->tg_trigger->tgnattr; ++i) {
      const int attribute = data->tg_trigger->tgattr[i];
      bool old_is_null = false, new_is_null = false;
      const ::Datum before = heap_getattr(data->tg_trigtuple, attribute, columns, &old_is_null);
      const ::Datum after = heap_getattr(data->tg_newtuple, attribute, columns, &new_is_null);
      if (!same_value(TupleDescAttr(columns, attribute - 1), before, old_is_null, after, new_is_null)) return false;
    }
    return true;
  });
}

std::optional<std::string> Trigger::old_text(const char* column) const {
  return event() == Event::insert ? std::nullopt : text_in(data_->tg_trigtuple, column);
}

std::optional<std::string> Trigger::new_text(const char* column) const {
  return event() == Event::remove ? std::nullopt : text_in(new_tuple(data_), column);
}

std::optional<std::string> Trigger::text_in(HeapTuple tuple, const char* column) const {
  if (tuple == nullptr) return std::nullopt;
  TriggerData* data = data_;
  const char* text = guarded([=]() -> const char* {
    const TupleDesc columns = RelationGetDescr(data->tg_relation);
    const int attribute = find_attribute(data, column, 0);
    bool is_null = false;
    const ::Datum datum = heap_getattr(tuple, attribute, columns, &is_null);
    if (is_null) return nullptr;
    Oid output = InvalidOid;
    bool is_varlena = false;
    getTypeOutputInfo(TupleDescAttr(columns, attribute - 1)->atttypid, &output, &is_varlena);
    return OidOutputFunctionCall(output, datum);
  });
  return text == nullptr ? std::nullopt : std::optional<std::string>{text};
}

void Trigger::set_new_values(std::span<const Assignment> assignments) {
  constexpr std::size_t k_most = 4;
  if (assignments.size() > k_most)
    throw core::Failure(core::sqlstate::k_internal_error, "too many columns are assigned");
  TriggerData* data = data_;
  guarded([=] {
    int columns[k_most];
    ::Datum values[k_most];
    bool nulls[k_most];
    int count = 0;
    for (const Assignment& assignment : assignments) {
      columns[count] = find_attribute(data, assignment.column, 0);
      values[count] = assignment.value.datum;
      nulls[count] = assignment.value.is_null;
      const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(data->tg_relation), columns[count] - 1);
      if (column->atttypid != type_oid(assignment.type) || column->atttypmod >= 0)
        values[count] = stored_in(data, column, assignment);
      ++count;
    }
    HeapTuple changed =
        heap_modify_tuple_by_cols(new_tuple(data), RelationGetDescr(data->tg_relation), count, columns, values, nulls);
    (TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple) = changed;
  });
}

Trigger::BrokenRule Trigger::find_broken_rule(bool check_maintained) const {
  TriggerData* data = data_;
  return guarded([=]() -> BrokenRule {
    int attribute = 0;
    for (int i = 0; i < data->tg_trigger->tgnargs; ++i) {
      const auto rule = core::parse_column_rule(data->tg_trigger->tgargs[i]);
      if (!rule) return {Breach::no_rule, i};
      attribute = find_attribute(data, rule->column, attribute);
      const Breach breach = breach_of(data, *rule, attribute, check_maintained);
      if (breach != Breach::none) return {breach, i};
    }
    return {};
  });
}

Value Trigger::row() const { return {PointerGetDatum(new_tuple(data_)), false}; }

TransitionTable::TransitionTable(const Trigger& trigger, Which which, std::span<const TransitionColumn> columns)
    : column_count_(static_cast<int>(columns.size())), columns_(columns.data()) {
  TriggerData* data = trigger.data();
  Tuplestorestate* store = which == Which::old_rows ? data->tg_oldtable : data->tg_newtable;
  if (store == nullptr)
    throw core::Failure(core::sqlstate::k_trigger_protocol_violated,
                        std::string("trigger \"") + data->tg_trigger->tgname + "\" must name its transition tables");
  store_ = store;
  TransitionTable* self = this;
  guarded([=] {
    const TupleDesc description = RelationGetDescr(data->tg_relation);
    for (int i = 0; i < self->column_count_; ++i) {
      self->attributes_[i] = SPI_fnumber(description, self->columns_[i].name);
      if (self->attributes_[i] <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("column \"%s\" does not exist", self->columns_[i].name)));
      const Form_pg_attribute column = TupleDescAttr(description, self->attributes_[i] - 1);
      self->is_narrowed_[i] = require_reading(data, column, self->columns_[i].type) == Reading::narrowed;
    }
    // A read pointer of our own: other triggers of the statement read the same store.
    self->read_pointer_ = tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND);
    tuplestore_select_read_pointer(store, self->read_pointer_);
    tuplestore_rescan(store);
    self->slot_ = MakeSingleTupleTableSlot(description, &TTSOpsMinimalTuple);
  });
}

int TransitionTable::next_batch() {
  TransitionTable* self = this;
  return guarded([self] {
    auto* store = static_cast<Tuplestorestate*>(self->store_);
    auto* slot = static_cast<TupleTableSlot*>(self->slot_);
    tuplestore_select_read_pointer(store, self->read_pointer_);
    int rows = 0;
    while (rows < k_batch_rows && tuplestore_gettupleslot(store, true, false, slot)) {
      for (int i = 0; i < self->column_count_; ++i)
        ::new (self->cells() + std::ptrdiff_t{rows} * self->column_count_ + i)
            Cell(read_cell(slot, self->attributes_[i], self->columns_[i], self->is_narrowed_[i]));
      ++rows;
    }
    CHECK_FOR_INTERRUPTS();
    return rows;
  });
}

void TransitionTable::finish() {
  TransitionTable* self = this;
  guarded([self] { ExecDropSingleTupleTableSlot(static_cast<TupleTableSlot*>(self->slot_)); });
}

}  // namespace claude_gpt::bridge
