// The barrier between the server's longjmp and C++ frames.
// guarded(f) runs f, in which alone the server may be called; an ERROR raised in it comes out as the
// C++ exception ServerError, so that destructors above run. Costs about 12 ns: the signal mask is not saved.
#pragma once

#include <type_traits>

#include "bridge/server.hpp"
#include "bridge/server_error.hpp"

namespace claude_gpt::bridge {

// One setjmp frame for all instantiations; calls `function(argument)`.
void run_guarded(void (*function)(void*), void* argument);

// For the test that walks n: the call that makes this counter reach zero fails. Off at zero.
inline constinit int calls_until_failure = 0;

// Where captured errors are kept: the memory context of the outermost running entry point.
inline constinit MemoryContext error_context_memory = nullptr;

template <typename Function> auto guarded(Function function) {
  static_assert(std::is_trivially_destructible_v<Function>,
                "a longjmp out of the guarded call would skip the destructors of its captures");
  using Result = std::invoke_result_t<Function&>;
  if constexpr (std::is_void_v<Result>) {
    run_guarded([](void* argument) { (*static_cast<Function*>(argument))(); }, &function);
  } else {
    static_assert(std::is_trivially_destructible_v<Result>, "a result that owns something would be lost in a longjmp");
    struct Frame {
      Function* function;
      Result result;
    } frame{&function, Result{}};
    run_guarded(
        [](void* argument) {
          auto* inner = static_cast<Frame*>(argument);
          inner->result = (*inner->function)();
        },
        &frame);
    return frame.result;
  }
}

}  // namespace claude_gpt::bridge
