#include "bridge/record.hpp"

#include "bridge/guard.hpp"
#include "bridge/type_check.hpp"

extern "C" {
#include <funcapi.h>
#include <utils/typcache.h>
}

namespace claude_gpt::bridge {

namespace {

TupleDesc described(const RowType::Column* columns, int count) {
  const MemoryContext previous = MemoryContextSwitchTo(TopMemoryContext);
  TupleDesc description = CreateTemplateTupleDesc(count);
  for (int i = 0; i < count; ++i)
    TupleDescInitEntry(description, static_cast<AttrNumber>(i + 1), columns[i].name, type_oid(columns[i].type), -1, 0);
  description = BlessTupleDesc(description);
  MemoryContextSwitchTo(previous);
  return description;
}

// The server's arrays of a row out of ours.
struct Fields {
  ::Datum values[RowType::k_max_columns];
  bool nulls[RowType::k_max_columns];

  void take(const Value* row, int count) {
    for (int i = 0; i < count; ++i) {
      values[i] = row[i].datum;
      nulls[i] = row[i].is_null;
    }
  }
};

// How the columns of a result become those that the function declares.
struct Readings {
  Reading of_columns[RowType::k_max_columns];

  // True if the rows have the same layout already.
  bool take(TupleDesc found, TupleDesc declared) {
    const int count = declared->natts;
    if (found->natts != count || count > RowType::k_max_columns) elog(ERROR, "row has a wrong number of columns");
    bool is_same = true;
    for (int i = 0; i < count; ++i) {
      const Form_pg_attribute column = TupleDescAttr(found, i);
      const Form_pg_attribute wanted = TupleDescAttr(declared, i);
      const Oid expected = wanted->atttypid;
      of_columns[i] =
          is_plainly(expected, column->atttypid) ? Reading::as_it_is : reading_of(expected, column->atttypid);
      if (of_columns[i] == Reading::refused)
        raise_mismatch(NameStr(column->attname), nullptr, expected, column->atttypid);
      is_same = is_same && wanted->attlen == column->attlen && of_columns[i] == Reading::as_it_is;
    }
    return is_same;
  }

  void read(HeapTuple row, TupleDesc found, Fields& fields) const {
    heap_deform_tuple(row, found, fields.values, fields.nulls);
    for (int i = 0; i < found->natts; ++i)
      if (!fields.nulls[i])
        fields.values[i] = read_datum(of_columns[i], fields.values[i], NameStr(TupleDescAttr(found, i)->attname));
  }
};

}  // namespace

Value RowType::row(std::span<const Value> values) {
  RowType* self = this;
  const Value* first = values.data();
  const int count = static_cast<int>(columns_.size());
  if (static_cast<int>(values.size()) != count || count > k_max_columns)
    throw core::Failure(core::sqlstate::k_internal_error, "row has a wrong number of columns");
  return guarded([=]() -> Value {
    if (self->description_ == nullptr) self->description_ = described(self->columns_.data(), count);
    Fields fields;
    fields.take(first, count);
    const HeapTuple tuple = heap_form_tuple(static_cast<TupleDesc>(self->description_), fields.values, fields.nulls);
    return {HeapTupleGetDatum(tuple), false};
  });
}

ResultSet::ResultSet(const Call& call) : info_(call.info()) {
  FunctionCallInfo info = info_;
  guarded([info] { InitMaterializedSRF(info, 0); });
}

void ResultSet::add(std::initializer_list<Value> values) {
  auto* result = reinterpret_cast<ReturnSetInfo*>(info_->resultinfo);
  const Value* first = values.begin();
  const int count = static_cast<int>(values.size());
  if (count != result->setDesc->natts || count > RowType::k_max_columns)
    throw core::Failure(core::sqlstate::k_internal_error, "row has a wrong number of columns");
  guarded([=] {
    Fields fields;
    fields.take(first, count);
    tuplestore_putvalues(result->setResult, result->setDesc, fields.values, fields.nulls);
  });
}

void ResultSet::add(const Rows& rows) {
  auto* result = reinterpret_cast<ReturnSetInfo*>(info_->resultinfo);
  SPITupleTable* table = rows.table_;
  const std::uint64_t count = rows.count();
  guarded([=] {
    Readings readings;
    const bool pass_as_they_are = readings.take(table->tupdesc, result->setDesc);
    for (std::uint64_t row = 0; row < count; ++row) {
      if (pass_as_they_are) {
        tuplestore_puttuple(result->setResult, table->vals[row]);
        continue;
      }
      Fields fields;
      readings.read(table->vals[row], table->tupdesc, fields);
      tuplestore_putvalues(result->setResult, result->setDesc, fields.values, fields.nulls);
    }
  });
}

std::optional<Value> RecordArgument::find(std::string_view column, Type type) const {
  struct Found {
    bool is_there;
    Value value;
  };
  const ::Datum datum = datum_;
  const Found found = guarded([=]() -> Found {
    const HeapTupleHeader header = DatumGetHeapTupleHeader(datum);
    const TupleDesc description =
        lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
    Found result{};
    for (int i = 0; i < description->natts; ++i) {
      const Form_pg_attribute attribute = TupleDescAttr(description, i);
      if (attribute->attisdropped || NameStr(attribute->attname) != column || attribute->atttypid != type_oid(type))
        continue;
      result.is_there = true;
      result.value.datum = GetAttributeByNum(header, static_cast<AttrNumber>(i + 1), &result.value.is_null);
      break;
    }
    ReleaseTupleDesc(description);
    return result;
  });
  if (!found.is_there) return std::nullopt;
  return found.value;
}

}  // namespace claude_gpt::bridge
