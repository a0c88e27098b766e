// The database that this session is connected to, and how its transaction sees it.
#pragma once

#include <cstdint>
#include <string>

namespace claude_gpt::bridge {

std::uint32_t current_database_id();
std::string current_database_name();
// Also of one that was dropped meanwhile.
bool database_exists(std::uint32_t database);

// Whether all statements of the transaction see the snapshot of the first: REPEATABLE READ, SERIALIZABLE.
bool snapshot_is_fixed();

}  // namespace claude_gpt::bridge
