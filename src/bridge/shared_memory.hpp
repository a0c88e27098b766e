// Memory that all processes of the server share, reserved when the library is preloaded.
#pragma once

#include <cstddef>
#include <cstdint>

namespace claude_gpt::bridge {

// A file in the server's pg_stat directory that keeps a piece of memory over a restart: written when the server is shut
// down, gone once it is read, so that a crash begins with empty memory. A file of another layout is not taken.
// An immediate shutdown ends processes anywhere: `mend` completes what one of them has left half done.
struct KeptIn {
  const char* file = nullptr;
  std::uint32_t layout = 0;
  void (*mend)(void* memory) = nullptr;
};

class SharedMemory {
 public:
  // `name` is shown by pg_shmem_allocations. `size` is asked after the settings are read; `initialize` gets zeroed
  // memory, aligned to 128 bytes, once for each start of the server and each restart after a crash; it must not fail.
  // Memory that is kept holds nothing that is of one process or one start.
  constexpr SharedMemory(const char* name, std::size_t (*size)(), void (*initialize)(void* memory), KeptIn kept_in = {})
      : name_(name), size_(size), initialize_(initialize), kept_in_(kept_in) {}

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
  KeptIn kept_in_;
  void* address_ = nullptr;
  std::size_t bytes_ = 0;
  SharedMemory* next_ = nullptr;  // of those that are reserved
};

}  // namespace claude_gpt::bridge
