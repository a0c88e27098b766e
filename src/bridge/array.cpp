#include "bridge/array.hpp"

#include "bridge/guard.hpp"

extern "C" {
#include <utils/array.h>
}

namespace claude_gpt::bridge {

namespace {

struct Element {
  Oid oid;
  int length;
  bool by_value;
  char alignment;
};

// The elements' nulls may be nullptr.
Value make_array(::Datum* values, bool* nulls, std::size_t size, const Element& element) {
  int count = static_cast<int>(size);
  int lower_bound = 1;
  ArrayType* array = construct_md_array(values, nulls, 1, &count, &lower_bound, element.oid, element.length,
                                        element.by_value, element.alignment);
  return {PointerGetDatum(array), false};
}

template <typename T> T* palloced_elements(std::size_t size) { return static_cast<T*>(palloc(sizeof(T) * (size + 1))); }

constexpr Element k_uuid{UUIDOID, UUID_LEN, false, TYPALIGN_CHAR};
constexpr Element k_int8{INT8OID, sizeof(std::int64_t), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE};
constexpr Element k_numeric{NUMERICOID, -1, false, TYPALIGN_INT};
constexpr Element k_text{TEXTOID, -1, false, TYPALIGN_INT};

}  // namespace

Value palloced_array(std::span<const core::Uuid> uuids) {
  return guarded([uuids] {
    auto* elements = palloced_elements<::Datum>(uuids.size());
    for (std::size_t i = 0; i < uuids.size(); ++i) elements[i] = PointerGetDatum(uuids[i].bytes.data());
    return make_array(elements, nullptr, uuids.size(), k_uuid);
  });
}

Value palloced_array(std::span<const std::int64_t> numbers) {
  return guarded([numbers] {
    auto* elements = palloced_elements<::Datum>(numbers.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) elements[i] = Int64GetDatum(numbers[i]);
    return make_array(elements, nullptr, numbers.size(), k_int8);
  });
}

Value palloced_array(std::span<const std::string_view> texts) {
  return guarded([texts] {
    auto* elements = palloced_elements<::Datum>(texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i)
      elements[i] = PointerGetDatum(cstring_to_text_with_len(texts[i].data(), static_cast<int>(texts[i].size())));
    return make_array(elements, nullptr, texts.size(), k_text);
  });
}

Value palloced_array(std::span<const std::optional<core::Amount>> amounts) {
  const auto elements = guarded([amounts] { return palloced_elements<::Datum>(amounts.size()); });
  const auto nulls = guarded([amounts] { return palloced_elements<bool>(amounts.size()); });
  for (std::size_t i = 0; i < amounts.size(); ++i) {
    nulls[i] = !amounts[i];
    elements[i] = amounts[i] ? Value::palloced(*amounts[i]).datum : 0;
  }
  return guarded([=] { return make_array(elements, nulls, amounts.size(), k_numeric); });
}

}  // namespace claude_gpt::bridge
