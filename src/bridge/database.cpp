#include "bridge/database.hpp"

#include "bridge/guard.hpp"
#include "bridge/server.hpp"

extern "C" {
#include <commands/dbcommands.h>
}

namespace claude_gpt::bridge {

std::uint32_t current_database_id() { return MyDatabaseId; }

std::string current_database_name() {
  const char* name = guarded([] { return get_database_name(MyDatabaseId); });
  return name != nullptr ? name : "";
}

bool snapshot_is_fixed() { return IsolationUsesXactSnapshot(); }

}  // namespace claude_gpt::bridge
