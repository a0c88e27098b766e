#include "bridge/database.hpp"

#include "bridge/server.hpp"

namespace claude_gpt::bridge {

std::uint32_t current_database_id() { return MyDatabaseId; }

bool snapshot_is_fixed() { return IsolationUsesXactSnapshot(); }

}  // namespace claude_gpt::bridge
