// Our types as the server numbers them. Private to the bridge.
#pragma once

#include "bridge/server.hpp"
#include "bridge/value.hpp"

namespace claude_gpt::bridge {

constexpr Oid type_oid(Type type) {
  switch (type) {
    case Type::boolean: return BOOLOID;
    case Type::int4: return INT4OID;
    case Type::int8: return INT8OID;
    case Type::numeric: return NUMERICOID;
    case Type::text: return TEXTOID;
    case Type::uuid: return UUIDOID;
    case Type::date: return DATEOID;
    case Type::timestamptz: return TIMESTAMPTZOID;
    case Type::interval: return INTERVALOID;
    case Type::jsonb: return JSONBOID;
    case Type::bytea: return BYTEAOID;
    case Type::name: return NAMEOID;
    case Type::uuid_array: return UUIDARRAYOID;
    case Type::int8_array: return INT8ARRAYOID;
    case Type::numeric_array: return NUMERICARRAYOID;
    case Type::text_array: return TEXTARRAYOID;
  }
  return InvalidOid;
}

}  // namespace claude_gpt::bridge
