#include "bridge/transactions.hpp"

#include "bridge/guard.hpp"
#include "core/failure.hpp"

extern "C" {
#include <pgstat.h>
}

namespace claude_gpt::bridge {

namespace {

bool may_commit(FunctionCallInfoBaseData* info) {
  return info->context != nullptr && IsA(info->context, CallContext) &&
         !reinterpret_cast<CallContext*>(info->context)->atomic;
}

// The default of the database or the role, which is for applications, would have a batch see what was before it waited.
void read_committed() { XactIsoLevel = XACT_READ_COMMITTED; }

// SQL wants a snapshot around it, which a procedure has from its CALL.
void begin_of_worker(void* memory) {
  SetCurrentStatementStartTimestamp();  // else now() would stand still for the whole visit
  StartTransactionCommand();
  read_committed();
  PushActiveSnapshot(GetTransactionSnapshot());
  MemoryContextSwitchTo(static_cast<MemoryContext>(memory));
}

// As SPI_commit does: a commit that fails leaves a new transaction behind.
void commit_of_worker(void* memory) {
  PG_TRY();
  {
    PopActiveSnapshot();
    CommitTransactionCommand();
    (void)pgstat_report_stat(false);  // for autovacuum, while the job runs
    begin_of_worker(memory);
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(static_cast<MemoryContext>(memory));
    ErrorData* error = CopyErrorData();
    FlushErrorState();
    AbortCurrentTransaction();
    begin_of_worker(memory);
    ReThrowError(error);
  }
  PG_END_TRY();
}

}  // namespace

Transactions::Transactions(const Call& procedure) : is_worker_(false), memory_(nullptr) {
  if (!may_commit(procedure.info()))
    throw core::Failure(core::sqlstate::k_invalid_transaction_termination,
                        "a procedure that commits cannot run inside a transaction block or a function", {},
                        "CALL it by itself.");
  guarded([] {
    if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT) elog(ERROR, "could not connect to SPI");
    SPI_commit();
    read_committed();
  });
}

Transactions::Transactions() : is_worker_(true), memory_(CurrentMemoryContext) {
  void* memory = memory_;
  guarded([memory] { begin_of_worker(memory); });
}

void Transactions::commit() {
  if (is_worker_) {
    void* memory = memory_;
    guarded([memory] { commit_of_worker(memory); });
  } else {
    guarded([] {
      SPI_commit();
      read_committed();
    });
  }
}

void Transactions::set_local(const char* name, const char* value) {
  guarded([=] { (void)set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false); });
}

void Transactions::finish() {
  const bool is_worker = is_worker_;
  guarded([is_worker] {
    if (!is_worker) {
      SPI_finish();
      return;
    }
    PopActiveSnapshot();
    CommitTransactionCommand();
  });
}

}  // namespace claude_gpt::bridge
