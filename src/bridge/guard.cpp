#include "bridge/guard.hpp"

namespace claude_gpt::bridge {

namespace {

void fail_if_asked_to() {
  if (calls_until_failure == 0) return;
  if (--calls_until_failure == 0)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("failure injected by claude_gpt.fail_at_call")));
}

ErrorData* capture_error(MemoryContext fallback) {
  MemoryContextSwitchTo(error_context_memory != nullptr ? error_context_memory : fallback);
  ErrorData* error = CopyErrorData();
  FlushErrorState();
  MemoryContextSwitchTo(fallback);
  return error;
}

}  // namespace

void run_guarded(void (*function)(void*), void* argument) {
  sigjmp_buf* const outer_handler = PG_exception_stack;
  ErrorContextCallback* const outer_callbacks = error_context_stack;
  const MemoryContext memory = CurrentMemoryContext;
  sigjmp_buf handler;

  if (sigsetjmp(handler, 0) != 0) {
    PG_exception_stack = outer_handler;
    error_context_stack = outer_callbacks;
    throw ServerError{capture_error(memory)};
  }
  PG_exception_stack = &handler;
  fail_if_asked_to();
  function(argument);
  PG_exception_stack = outer_handler;
  error_context_stack = outer_callbacks;
}

const char* ServerError::what() const noexcept { return error_->message != nullptr ? error_->message : "server error"; }

std::string ServerError::sqlstate() const { return unpack_sql_state(error_->sqlerrcode); }

}  // namespace claude_gpt::bridge
