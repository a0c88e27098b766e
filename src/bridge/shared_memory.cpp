#include "bridge/shared_memory.hpp"

#include "bridge/server.hpp"

extern "C" {
#include <storage/ipc.h>
#include <storage/lwlock.h>
#include <storage/shmem.h>
}

namespace claude_gpt::bridge {

// The server's hooks. Only one piece of memory is needed so far.
struct SharedMemoryHooks {
  static constinit SharedMemory* reserved;
  static constinit shmem_request_hook_type previous_request;
  static constinit shmem_startup_hook_type previous_startup;

  static void request() {
    if (previous_request != nullptr) previous_request();
    reserved->bytes_ = reserved->size_();
    RequestAddinShmemSpace(reserved->bytes_);
  }

  static void startup() {
    if (previous_startup != nullptr) previous_startup();
    bool found = false;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    reserved->address_ = ShmemInitStruct(reserved->name_, reserved->bytes_, &found);
    if (!found) {
      memset(reserved->address_, 0, reserved->bytes_);
      reserved->initialize_(reserved->address_);
    }
    LWLockRelease(AddinShmemInitLock);
  }
};

constinit SharedMemory* SharedMemoryHooks::reserved = nullptr;
constinit shmem_request_hook_type SharedMemoryHooks::previous_request = nullptr;
constinit shmem_startup_hook_type SharedMemoryHooks::previous_startup = nullptr;

void SharedMemory::reserve() {
  if (!process_shared_preload_libraries_in_progress) return;
  SharedMemoryHooks::reserved = this;
  SharedMemoryHooks::previous_request = shmem_request_hook;
  SharedMemoryHooks::previous_startup = shmem_startup_hook;
  shmem_request_hook = SharedMemoryHooks::request;
  shmem_startup_hook = SharedMemoryHooks::startup;
}

}  // namespace claude_gpt::bridge
