// The hook by which commands that need a database for themselves get it from our workers.
#include "bridge/commit_actions.hpp"
#include "bridge/guard.hpp"
#include "bridge/lock_tags.hpp"
#include "bridge/worker.hpp"

extern "C" {
#include <commands/dbcommands.h>
#include <commands/defrem.h>
#include <nodes/parsenodes.h>
#include <storage/latch.h>
#include <tcop/utility.h>
#include <utils/wait_event.h>
}

namespace claude_gpt::bridge::worker {

namespace {

constinit ProcessUtility_hook_type previous_hook = nullptr;
using EndVisit = void (*)(std::uint32_t database);
constinit EndVisit end_visit_of = nullptr;
using Action = void (*)();
constinit Action look_at_databases_again = nullptr;

const char* option_text(List* options, const char* name, const char* otherwise) {
  ListCell* cell = nullptr;
  foreach (cell, options) {
    auto* option = lfirst_node(DefElem, cell);
    if (strcmp(option->defname, name) == 0) return option->arg != nullptr ? defGetString(option) : otherwise;
  }
  return otherwise;
}

// The database that must have no other session for the command to succeed, or nullptr.
const char* needed_database(Node* command) {
  switch (nodeTag(command)) {
    case T_DropdbStmt: return reinterpret_cast<DropdbStmt*>(command)->dbname;
    case T_CreatedbStmt: return option_text(reinterpret_cast<CreatedbStmt*>(command)->options, "template", "template1");
    case T_AlterDatabaseStmt: {
      auto* alter = reinterpret_cast<AlterDatabaseStmt*>(command);
      return option_text(alter->options, "tablespace", nullptr) != nullptr ? alter->dbname : nullptr;
    }
    case T_RenameStmt: {
      auto* rename = reinterpret_cast<RenameStmt*>(command);
      return rename->renameType == OBJECT_DATABASE ? rename->subname : nullptr;
    }
    default: return nullptr;
  }
}

// Whether a database may want its jobs run that did not, or the other way: the settings of all change, or its own, or
// it takes the place of another one.
bool changes_what_is_visited(Node* command) {
  switch (nodeTag(command)) {
    case T_AlterDatabaseSetStmt: return true;
    case T_AlterRoleSetStmt: return reinterpret_cast<AlterRoleSetStmt*>(command)->role == nullptr;
    case T_RenameStmt: return reinterpret_cast<RenameStmt*>(command)->renameType == OBJECT_DATABASE;
    default: return false;
  }
}

// Until the transaction ends no worker enters. Whoever may not do it to the database cannot end a visit either.
void clear_of_workers(const char* name) {
  constexpr long k_pause_milliseconds = 10;
  const Oid database = get_database_oid(name, true);
  if (!OidIsValid(database) || !compat::owns_database(database)) return;
  const LOCKTAG tag = visit_tag(database);
  while (LockAcquire(&tag, AccessExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL) {
    end_visit_of(database);
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, k_pause_milliseconds, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
}

void on_utility(PlannedStmt* statement, const char* text, bool read_only_tree, ProcessUtilityContext context,
                ParamListInfo parameters, QueryEnvironment* environment, DestReceiver* receiver,
                QueryCompletion* completion) {
  if (const char* name = needed_database(statement->utilityStmt)) clear_of_workers(name);
  const ProcessUtility_hook_type next = previous_hook != nullptr ? previous_hook : standard_ProcessUtility;
  const bool changes = changes_what_is_visited(statement->utilityStmt);
  next(statement, text, read_only_tree, context, parameters, environment, receiver, completion);
  if (changes) add_commit_action(look_at_databases_again);
}

}  // namespace

void watch_database_commands(void (*end_visit)(std::uint32_t database), void (*look_again)()) {
  if (!process_shared_preload_libraries_in_progress) return;
  end_visit_of = end_visit;
  look_at_databases_again = look_again;
  previous_hook = ProcessUtility_hook;
  ProcessUtility_hook = on_utility;
}

}  // namespace claude_gpt::bridge::worker
