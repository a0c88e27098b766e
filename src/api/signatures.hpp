// What SQL declares of the functions in C, by the names of their C symbols: arg::consume_quota::p_quantity is an
// argument, out::k_consume_quota the columns of the row that is returned.
#pragma once

#include <string_view>

#include "bridge/entry.hpp"
#include "bridge/record.hpp"
#include "bridge/value.hpp"

namespace claude_gpt::api {

#include "api/signatures.inc"

// Where two functions return the same row.
inline constexpr auto k_same_column = [](const bridge::RowType::Column& a, const bridge::RowType::Column& b) {
  return std::string_view{a.name} == b.name && a.type == b.type;
};

}  // namespace claude_gpt::api
