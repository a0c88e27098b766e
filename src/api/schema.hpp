// The state of the tables that every function needs.
#pragma once

#include <cstdint>
#include <optional>

namespace claude_gpt::api {

// 55000 with the next step if the tables are missing or older than this library.
void require_current_tables();

// Whether they are neither.
bool tables_are_current();

// The newest migration of the tables (nullopt: there are no tables), and the one that this library needs.
std::optional<std::int32_t> applied_migration();
std::int32_t needed_migration();

}  // namespace claude_gpt::api
