#include "bridge/value.hpp"

#include <cstring>
#include <limits>

#include "bridge/guard.hpp"
#include "core/failure.hpp"

namespace claude_gpt::bridge {

namespace {

template <typename T> Value palloced_pointer(T* pointer) { return {PointerGetDatum(pointer), false}; }

}  // namespace

Value Value::palloced(const core::Uuid& uuid) {
  return guarded([&uuid] {
    auto* copy = static_cast<pg_uuid_t*>(palloc(sizeof(pg_uuid_t)));
    memcpy(copy->data, uuid.bytes.data(), UUID_LEN);
    return palloced_pointer(copy);
  });
}

Value Value::palloced(std::string_view text) {
  if (text.size() > MaxAllocSize / 2)
    throw core::Failure(core::sqlstate::k_numeric_value_out_of_range, "text is too long");
  return guarded(
      [text] { return palloced_pointer(cstring_to_text_with_len(text.data(), static_cast<int>(text.size()))); });
}

Value Value::palloced(core::Amount amount) {
  constexpr core::Int128 k_int64_max = std::numeric_limits<std::int64_t>::max();
  if (amount.units() <= k_int64_max && amount.units() >= -k_int64_max) {
    return guarded([amount] {
      return palloced_pointer(
          int64_div_fast_to_numeric(static_cast<std::int64_t>(amount.units()), core::Amount::k_places));
    });
  }
  const std::string text = amount.to_text();
  const char* digits = text.c_str();
  return guarded([digits] {
    return Value{
        DirectFunctionCall3(numeric_in, CStringGetDatum(digits), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)),
        false};
  });
}

template <> bool value_as<bool>(Datum datum) { return DatumGetBool(datum); }
template <> std::int32_t value_as<std::int32_t>(Datum datum) { return DatumGetInt32(datum); }
template <> std::int64_t value_as<std::int64_t>(Datum datum) { return DatumGetInt64(datum); }
template <> core::Date value_as<core::Date>(Datum datum) { return {DatumGetInt32(datum)}; }
template <> core::Instant value_as<core::Instant>(Datum datum) { return {DatumGetInt64(datum)}; }

template <> core::Duration value_as<core::Duration>(Datum datum) {
  const Interval* interval = DatumGetIntervalP(datum);
  core::Duration length;
  const bool fits =
      interval->month == 0 &&
      !__builtin_mul_overflow(std::int64_t{interval->day}, core::k_microseconds_per_day, &length.microseconds) &&
      !__builtin_add_overflow(length.microseconds, interval->time, &length.microseconds);
  if (!fits) throw core::Failure(core::sqlstate::k_invalid_parameter_value, "interval must be of days, hours or less");
  return length;
}

template <> core::Uuid value_as<core::Uuid>(Datum datum) {
  core::Uuid uuid;
  memcpy(uuid.bytes.data(), DatumGetUUIDP(datum)->data, UUID_LEN);
  return uuid;
}

template <> core::Amount value_as<core::Amount>(Datum datum) {
  using ParseResult = core::Amount::ParseResult;
  const char* text = guarded([datum] { return DatumGetCString(DirectFunctionCall1(numeric_out, datum)); });
  core::Amount amount;
  switch (core::Amount::parse(text, amount)) {
    case ParseResult::ok: return amount;
    case ParseResult::out_of_range:
      throw core::Failure(core::sqlstate::k_numeric_value_out_of_range, "amount is out of range",
                          "An amount has at most eleven digits before the point.");
    default:
      throw core::Failure(core::sqlstate::k_invalid_parameter_value,
                          std::string("amount must be a number, not ") + text);
  }
}

template <> std::string_view value_as<std::string_view>(Datum datum) {
  const text* detoasted = guarded([datum] { return DatumGetTextPP(datum); });
  return {VARDATA_ANY(detoasted), VARSIZE_ANY_EXHDR(detoasted)};
}

std::size_t character_count(std::string_view text) {
  return guarded(
      [text] { return static_cast<std::size_t>(pg_mbstrlen_with_len(text.data(), static_cast<int>(text.size()))); });
}

}  // namespace claude_gpt::bridge
