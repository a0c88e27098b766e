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

bool database_exists(std::uint32_t database) {
  return guarded([=] {
    char* name = get_database_name(database);
    if (name != nullptr) pfree(name);
    return name != nullptr;
  });
}

bool snapshot_is_fixed() { return IsolationUsesXactSnapshot(); }

}  // namespace claude_gpt::bridge
