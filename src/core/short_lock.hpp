// A lock in shared memory for a few steps that cannot fail, end the process or call the server; zeroed memory is an
// open one. A process that is killed takes the server's shared memory along, and so the lock.
#pragma once

#include <cstdint>
#include <thread>

#include "core/atomic.hpp"

namespace claude_gpt::core {

class ShortLock {
 public:
  void lock() {
    // Whoever has it may have lost its processor.
    while (word_.exchange(1, std::memory_order_acquire) != 0) std::this_thread::yield();
  }
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  Atomic<std::uint32_t> word_;
};

}  // namespace claude_gpt::core
