// Gives the processor away at random, between any two steps on what threads share.
#include <atomic>
#include <cstdint>
#include <thread>

#include "core/atomic.hpp"

namespace claude_gpt::core {

void maybe_let_others_run() {
  static std::atomic<std::uint64_t> threads;
  thread_local std::uint64_t state = 0x9e3779b97f4a7c15u * (++threads);
  // xorshift64 (Marsaglia 2003)
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  constexpr std::uint64_t k_steps_of_a_turn = 16;
  if (state % k_steps_of_a_turn == 0) std::this_thread::yield();
}

}  // namespace claude_gpt::core
