#include "bridge/worker.hpp"

#include <csignal>
#include <cstdlib>
#include <exception>

#include "bridge/commit_actions.hpp"
#include "bridge/guard.hpp"
#include "bridge/names.hpp"
#include "core/failure.hpp"

extern "C" {
#include <access/heapam.h>
#include <access/table.h>
#include <access/tableam.h>
#include <catalog/pg_database.h>
#include <postmaster/bgworker.h>
#include <postmaster/interrupt.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <storage/proc.h>
#include <tcop/tcopprot.h>
#include <utils/backend_status.h>
}

namespace claude_gpt::bridge::worker {

namespace {

[[noreturn]] void end_with_fatal() {
  ereport(FATAL, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("unexpected C++ exception in a worker of claude_gpt")));
  std::_Exit(1);
}

BackgroundWorker describe(const char* symbol, const char* type, const char* name) {
  BackgroundWorker worker = {};
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  strlcpy(worker.bgw_library_name, k_extension, sizeof worker.bgw_library_name);
  snprintf(worker.bgw_function_name, sizeof worker.bgw_function_name, "%s_%s", k_extension, symbol);
  strlcpy(worker.bgw_type, type, sizeof worker.bgw_type);
  strlcpy(worker.bgw_name, name, sizeof worker.bgw_name);
  return worker;
}

}  // namespace

void enter(void (*body)()) {
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, die);
  std::set_terminate(end_with_fatal);
  BackgroundWorkerUnblockSignals();
  error_context_memory = AllocSetContextCreate(TopMemoryContext, "claude_gpt worker", ALLOCSET_DEFAULT_SIZES);
  MemoryContextSwitchTo(error_context_memory);
  ErrorData* error = nullptr;
  char message[1024] = "";
  try {
    body();
    return;
  } catch (const ServerError& caught) {
    error = caught.error();
  } catch (const std::exception& caught) {
    strlcpy(message, caught.what(), sizeof message);
  }
  if (error != nullptr) ReThrowError(error);
  ereport(FATAL, (errcode(ERRCODE_INTERNAL_ERROR), errmsg_internal("%s", message)));
}

void launch_with_server(const char* symbol, const char* type, int restart_seconds) {
  // pg_upgrade copies what nobody may change meanwhile.
  if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade) return;
  BackgroundWorker worker = describe(symbol, type, type);
  worker.bgw_restart_time = restart_seconds;
  RegisterBackgroundWorker(&worker);
}

void connect_to_no_database() {
  pqsignal(SIGINT, SIG_IGN);  // there is no statement that could be cancelled
  guarded([] { BackgroundWorkerInitializeConnection(nullptr, nullptr, 0); });
}

void connect_to(std::uint32_t database) {
  guarded([database] { BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0); });
}

std::int32_t argument() { return DatumGetInt32(MyBgworkerEntry->bgw_main_arg); }

void show_activity(const std::string& what) {
  const char* text = what.c_str();
  guarded([text] {
    pgstat_report_appname(text);
    pgstat_report_activity(*text == '\0' ? STATE_IDLE : STATE_RUNNING, *text == '\0' ? nullptr : text);
  });
}

void log(const std::string& message) {
  const char* text = message.c_str();
  guarded([text] { ereport(LOG, (errmsg_internal("%s", text))); });
}

std::int32_t process_id() { return MyProcPid; }

std::int32_t process_number() { return compat::process_number(); }

void wake(std::int32_t process_number) { SetLatch(&GetPGProcByNumber(process_number)->procLatch); }

void at_exit(void (*action)(std::uintptr_t argument), std::uintptr_t argument) {
  struct Exit {
    void (*action)(std::uintptr_t argument);
    std::uintptr_t argument;
  };
  static constinit Exit exit_action = {};
  exit_action = {action, argument};
  guarded([] { on_shmem_exit([](int, std::uintptr_t) { exit_action.action(exit_action.argument); }, 0); });
}

void terminate(std::int32_t process) { kill(process, SIGTERM); }

std::optional<Started> Started::start(const char* symbol, const char* type, const std::string& name,
                                      std::int32_t argument) {
  const char* title = name.c_str();
  void* handle = guarded([=]() -> void* {
    BackgroundWorker worker = describe(symbol, type, title);
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_main_arg = Int32GetDatum(argument);
    worker.bgw_notify_pid = MyProcPid;
    BackgroundWorkerHandle* started = nullptr;
    return RegisterDynamicBackgroundWorker(&worker, &started) ? started : nullptr;
  });
  return handle == nullptr ? std::nullopt : std::optional{Started{handle}};
}

bool Started::has_ended() const {
  auto* handle = static_cast<BackgroundWorkerHandle*>(handle_);
  return guarded([handle] {
    pid_t process = 0;
    const BgwHandleStatus status = GetBackgroundWorkerPid(handle, &process);
    return status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED;
  });
}

void Started::terminate() const {
  auto* handle = static_cast<BackgroundWorkerHandle*>(handle_);
  guarded([handle] { TerminateBackgroundWorker(handle); });
}

void Started::forget() {
  void* handle = handle_;
  guarded([handle] { pfree(handle); });
}

std::vector<Database> list_databases() {
  struct Found {
    Oid id;
    NameData name;
  };
  struct List {
    Found* first;
    std::size_t count;
  };
  // Its memory is freed with the transaction.
  const List list = guarded([]() -> List {
    List result = {nullptr, 0};
    std::size_t room = 64;
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    (void)GetTransactionSnapshot();
    result.first = static_cast<Found*>(MemoryContextAlloc(TopMemoryContext, room * sizeof(Found)));
    Relation databases = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan_catalog(databases, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
      const auto* row = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
      constexpr int k_invalid_database = -2;
      if (!row->datallowconn || row->datistemplate || row->datconnlimit == k_invalid_database) continue;
      if (result.count == room) {
        room *= 2;
        result.first = static_cast<Found*>(repalloc(result.first, room * sizeof(Found)));
      }
      result.first[result.count++] = {row->oid, row->datname};
    }
    table_endscan(scan);
    table_close(databases, AccessShareLock);
    CommitTransactionCommand();
    return result;
  });
  std::vector<Database> databases;
  for (std::size_t i = 0; i < list.count; ++i) databases.push_back({list.first[i].id, NameStr(list.first[i].name)});
  guarded([list] { pfree(list.first); });
  return databases;
}

void at_commit(void (*action)()) {
  guarded([action] { add_commit_action(action); });
}

}  // namespace claude_gpt::bridge::worker
