#include "bridge/type_check.hpp"

#include <limits>

extern "C" {
#include <parser/parse_coerce.h>
}

namespace claude_gpt::bridge {

namespace {

// Only a superuser can make two types that differ binary-coercible.
bool is_relabelled(Oid from, Oid to, CoercionContext context) {
  Oid function = InvalidOid;
  return find_coercion_pathway(to, from, context, &function) == COERCION_PATH_RELABELTYPE;
}

}  // namespace

Reading reading_of(Oid expected, Oid found) {
  const Oid base = getBaseType(found);
  if (is_plainly(expected, base)) return Reading::as_it_is;
  // A Datum of an integer carries its sign to the width of a bigint.
  if (expected == INT8OID && base == INT4OID) return Reading::as_it_is;
  if (expected == INT4OID && base == INT8OID) return Reading::narrowed;
  return is_relabelled(base, expected, COERCION_IMPLICIT) ? Reading::as_it_is : Reading::refused;
}

Datum read_datum(Reading reading, Datum datum, const char* column) {
  if (reading != Reading::narrowed) return datum;
  const std::int64_t value = DatumGetInt64(datum);
  if (value < std::numeric_limits<std::int32_t>::min() || value > std::numeric_limits<std::int32_t>::max())
    ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                    errmsg("value \"%lld\" of column \"%s\" is out of range for type integer",
                           static_cast<long long>(value), column)));
  return Int32GetDatum(static_cast<std::int32_t>(value));
}

bool can_be_stored(Oid given, Oid found) {
  const Oid base = getBaseType(found);
  return is_plainly(given, base) || (given == INT4OID && base == INT8OID) ||
         is_relabelled(given, base, COERCION_ASSIGNMENT);
}

void raise_mismatch(const char* column, const char* table, const char* expected, Oid found) {
  const char* has = format_type_be(found);
  ereport(ERROR,
          (errcode(ERRCODE_DATATYPE_MISMATCH),
           table == nullptr
               ? errmsg("column \"%s\" of the result must be of type %s, not %s", column, expected, has)
               : errmsg("column \"%s\" of table \"%s\" must be of type %s, not %s", column, table, expected, has)));
  pg_unreachable();
}

void raise_mismatch(const char* column, const char* table, Oid expected, Oid found) {
  raise_mismatch(column, table, format_type_be(expected), found);
}

}  // namespace claude_gpt::bridge
