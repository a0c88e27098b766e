// Memory that all processes of the server share, reserved when the library is preloaded.
#pragma once

#include <cstddef>

namespace claude_gpt::bridge {

class SharedMemory {
 public:
  // `name` is shown by pg_shmem_allocations. `size` is asked after the settings are read; `initialize` gets zeroed
  // memory, aligned to 128 bytes, once for each start of the server and each restart after a crash; it must not fail.
  constexpr SharedMemory(const char* name, std::size_t (*size)(), void (*initialize)(void* memory))
      : name_(name), size_(size), initialize_(initialize) {}

  // Called once for each piece, when the library is loaded. Does nothing unless it is being preloaded.
  void reserve();

  // nullptr if the library was not preloaded.
  void* address() const { return address_; }
  std::size_t size() const { return bytes_; }

 private:
  friend struct SharedMemoryHooks;
  const char* name_;
  std::size_t (*size_)();
  void (*initialize_)(void* memory);
  void* address_ = nullptr;
  std::size_t bytes_ = 0;
  SharedMemory* next_ = nullptr;  // of those that are reserved
};

}  // namespace claude_gpt::bridge
