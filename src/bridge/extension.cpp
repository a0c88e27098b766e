#include "bridge/extension.hpp"

#include "bridge/guard.hpp"
#include "bridge/rights.hpp"

extern "C" {
#include <catalog/pg_namespace_d.h>
#include <storage/lmgr.h>
}

namespace claude_gpt::bridge::extension {

bool script_is_running() { return creating_extension; }

void lock_schema() {
  guarded([] {
    PreventCommandDuringRecovery("changes of the schema");
    LockDatabaseObject(NamespaceRelationId, get_namespace_oid("claude_gpt", false), 0, ShareUpdateExclusiveLock);
  });
}

OutsideOfExtension::OutsideOfExtension() : was_creating_(creating_extension) { creating_extension = false; }

// On an error the server resets the flag itself when the command ends; setting it back first does no harm.
OutsideOfExtension::~OutsideOfExtension() { creating_extension = was_creating_; }

}  // namespace claude_gpt::bridge::extension
