#include "bridge/shared_memory.hpp"

#include "bridge/server.hpp"

extern "C" {
#include <storage/ipc.h>
#include <storage/lwlock.h>
#include <storage/shmem.h>
}

namespace claude_gpt::bridge {

// The server's hooks.
struct SharedMemoryHooks {
  static constinit SharedMemory* reserved;
  static constinit shmem_request_hook_type previous_request;
  static constinit shmem_startup_hook_type previous_startup;

  static void request() {
    if (previous_request != nullptr) previous_request();
    for (SharedMemory* piece = reserved; piece != nullptr; piece = piece->next_) {
      piece->bytes_ = piece->size_();
      RequestAddinShmemSpace(piece->bytes_);
    }
  }

  static void startup() {
    if (previous_startup != nullptr) previous_startup();
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    for (SharedMemory* piece = reserved; piece != nullptr; piece = piece->next_) {
      bool found = false;
      piece->address_ = ShmemInitStruct(piece->name_, piece->bytes_, &found);
      if (found) continue;
      memset(piece->address_, 0, piece->bytes_);
      piece->initialize_(piece->address_);
    }
    LWLockRelease(AddinShmemInitLock);
  }
};

constinit SharedMemory* SharedMemoryHooks::reserved = nullptr;
constinit shmem_request_hook_type SharedMemoryHooks::previous_request = nullptr;
constinit shmem_startup_hook_type SharedMemoryHooks::previous_startup = nullptr;

void SharedMemory::reserve() {
  if (!process_shared_preload_libraries_in_progress) return;
  next_ = SharedMemoryHooks::reserved;
  SharedMemoryHooks::reserved = this;
  if (next_ != nullptr) return;
  SharedMemoryHooks::previous_request = shmem_request_hook;
  SharedMemoryHooks::previous_startup = shmem_startup_hook;
  shmem_request_hook = SharedMemoryHooks::request;
  shmem_startup_hook = SharedMemoryHooks::startup;
}

}  // namespace claude_gpt::bridge
