#include "bridge/heap_values.hpp"

namespace claude_gpt::bridge {

namespace {

// NOT NULL of all columns, as the executor asks it of every row that is written.
bool has_missing_value(TupleTableSlot* slot) {
  const TupleDesc columns = slot->tts_tupleDescriptor;
  if (columns->constr == nullptr || !columns->constr->has_not_null) return false;
  for (int i = 0; i < columns->natts; ++i)
    if (slot->tts_isnull[i] && TupleDescAttr(columns, i)->attnotnull) return true;
  return false;
}

// Below zero, or not a number.
bool is_negative(Type type, ::Datum value, Numeric zero) {
  switch (type) {
    case Type::int4: return DatumGetInt32(value) < 0;
    case Type::int8: return DatumGetInt64(value) < 0;
    default: break;
  }
  const Numeric number = DatumGetNumeric(value);
  return numeric_is_nan(number) ||
         DatumGetBool(DirectFunctionCall2(numeric_lt, NumericGetDatum(number), NumericGetDatum(zero)));
}

}  // namespace

void take_values(TupleTableSlot* slot, const HeapRelation* known, std::span<Value> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int attribute = known->attributes[i] - 1;
    values[i] = {slot->tts_values[attribute], slot->tts_isnull[attribute]};
  }
}

// Whether the row keeps the rules that the description and the table have for its values.
bool is_sound(TupleTableSlot* row, const HeapRelation* known, const HeapDescription& description) {
  if (has_missing_value(row)) return false;
  const Numeric zero = int64_to_numeric(0);
  for (std::size_t i = 0; i < description.columns.size(); ++i) {
    const int attribute = known->attributes[i] - 1;
    if (row->tts_isnull[attribute]) {
      if ((description.required >> i & 1) != 0) return false;
      continue;
    }
    if ((description.not_negative >> i & 1) != 0 &&
        is_negative(description.columns[i].type, row->tts_values[attribute], zero))
      return false;
  }
  return true;
}

bool is_too_long(Value value, std::int32_t most_characters) {
  if (most_characters < 0 || value.is_null) return false;
  const text* characters = DatumGetTextPP(value.datum);
  const int bytes = static_cast<int>(VARSIZE_ANY_EXHDR(characters));
  return bytes > most_characters && pg_mbstrlen_with_len(VARDATA_ANY(characters), bytes) > most_characters;
}

}  // namespace claude_gpt::bridge
