// Topic identifiers: uuid_v7(), uuid_v7_floor().
#include "api/identifiers.hpp"

#include "api/signatures.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/random.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

constinit core::UuidV7Sequence sequence;

}  // namespace

core::Uuid new_id() { return sequence.next(clock::system_nanoseconds(), random_bits()); }

CLAUDE_GPT_FUNCTION(uuid_v7) { return Value::palloced(new_id()); }

CLAUDE_GPT_FUNCTION(uuid_v7_floor) {
  const auto moment = call.required(arg::uuid_v7_floor::p_moment);
  const auto floor = core::uuid_v7_floor(moment);
  if (!floor)
    throw core::Failure(core::sqlstate::k_datetime_field_overflow, "timestamp is outside the range of version 7 UUIDs",
                        "The range is from 1970-01-01 to the year 10889.");
  return Value::palloced(*floor);
}

}  // namespace claude_gpt::api
