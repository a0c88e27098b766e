// How the type that a column has stands to the type that the code takes it for. A domain counts as its base type.
// Private to the bridge. Only is_plainly() may be called outside of guarded().
#pragma once

#include "bridge/type_oid.hpp"

namespace claude_gpt::bridge {

// What needs no look into the catalog: the type itself, and a varchar for a text.
inline bool is_plainly(Oid expected, Oid found) {
  return found == expected || (found == VARCHAROID && expected == TEXTOID);
}
inline bool is_plainly(Type expected, Oid found) { return is_plainly(type_oid(expected), found); }

enum class Reading : std::uint8_t {
  refused,
  as_it_is,  // the same bytes: binary-coercible, or an integer for a bigint
  narrowed   // a bigint for an integer: 22003 if it is none
};
Reading reading_of(Oid expected, Oid found);

// The value of a column that is not null, as the type that is expected. Not for what is refused.
Datum read_datum(Reading reading, Datum datum, const char* column);

// Whether a value of type `given` may be stored in a column of type `found`: the same bytes, or an integer in a bigint.
bool can_be_stored(Oid given, Oid found);

// 42804. Without a table: a column of a result.
[[noreturn]] void raise_mismatch(const char* column, const char* table, const char* expected, Oid found);
[[noreturn]] void raise_mismatch(const char* column, const char* table, Oid expected, Oid found);

}  // namespace claude_gpt::bridge
