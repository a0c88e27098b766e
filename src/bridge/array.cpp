#include "bridge/array.hpp"

#include "bridge/guard.hpp"

extern "C" {
#include <utils/array.h>
}

namespace claude_gpt::bridge {

Value palloced_array(std::span<const core::Uuid> uuids) {
  return guarded([uuids] {
    const int count = static_cast<int>(uuids.size());
    auto* elements = static_cast<::Datum*>(palloc(sizeof(::Datum) * uuids.size()));
    for (int i = 0; i < count; ++i) elements[i] = PointerGetDatum(uuids[static_cast<std::size_t>(i)].bytes.data());
    ArrayType* array = construct_array(elements, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
    pfree(elements);
    return Value{PointerGetDatum(array), false};
  });
}

}  // namespace claude_gpt::bridge
