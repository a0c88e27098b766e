#include "bridge/shared_memory.hpp"

#include "bridge/server.hpp"

#include <cstdio>

extern "C" {
#include <pgstat.h>
#include <storage/fd.h>
#include <storage/ipc.h>
#include <storage/lwlock.h>
#include <storage/shmem.h>
}

namespace claude_gpt::bridge {

namespace {

// What a kept file begins with.
struct FileHead {
  char magic[12] = {'c', 'l', 'a', 'u', 'd', 'e', '_', 'g', 'p', 't', 0, 0};
  std::uint32_t layout = 0;
  std::uint64_t size = 0;
};

struct FilePath {
  explicit FilePath(const KeptIn& kept, const char* suffix = "") {
    snprintf(text, sizeof text, "%s/%s%s", PGSTAT_STAT_PERMANENT_DIRECTORY, kept.file, suffix);
  }
  char text[MAXPGPATH];
};

bool write(const FilePath& path, const FileHead& head, const void* memory) {
  FILE* file = AllocateFile(path.text, PG_BINARY_W);
  if (file == nullptr) return false;
  const bool is_written = fwrite(&head, sizeof head, 1, file) == 1 && fwrite(memory, head.size, 1, file) == 1;
  return FreeFile(file) == 0 && is_written;
}

}  // namespace

// The server's hooks. All that they keep in files runs in the postmaster, where nothing may fail.
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
      if (piece->kept_in_.file != nullptr && !IsUnderPostmaster) read_back(*piece);
    }
    LWLockRelease(AddinShmemInitLock);
    if (!IsUnderPostmaster) on_shmem_exit(keep, 0);
  }

  static FileHead head_of(const SharedMemory& piece) {
    FileHead head;
    head.layout = piece.kept_in_.layout;
    head.size = piece.bytes_;
    return head;
  }

  static void read_back(const SharedMemory& piece) {
    const FilePath path{piece.kept_in_};
    FILE* file = AllocateFile(path.text, PG_BINARY_R);
    if (file == nullptr) {
      if (errno != ENOENT)
        ereport(LOG, (errcode_for_file_access(), errmsg("could not read file \"%s\": %m", path.text)));
      return;
    }
    const FileHead expected = head_of(piece);
    FileHead head;
    const bool fits = fread(&head, sizeof head, 1, file) == 1 && memcmp(&head, &expected, sizeof head) == 0;
    // A file that ends too early leaves empty memory.
    if (fits && fread(piece.address_, piece.bytes_, 1, file) == 1) {
      piece.kept_in_.mend(piece.address_);
    } else {
      ereport(LOG, (errmsg("file \"%s\" is not one of this version of claude_gpt and is not taken", path.text)));
      memset(piece.address_, 0, piece.bytes_);
      piece.initialize_(piece.address_);
    }
    FreeFile(file);
    unlink(path.text);
  }

  // Not after a crash: `code` is that of the exit.
  static void keep(int code, Datum) {
    if (code != 0) return;
    for (const SharedMemory* piece = reserved; piece != nullptr; piece = piece->next_) {
      if (piece->kept_in_.file == nullptr || piece->address_ == nullptr) continue;
      const FilePath temporary{piece->kept_in_, ".tmp"};
      if (write(temporary, head_of(*piece), piece->address_)) {
        (void)durable_rename(temporary.text, FilePath{piece->kept_in_}.text, LOG);
        continue;
      }
      ereport(LOG, (errcode_for_file_access(), errmsg("could not write file \"%s\": %m", temporary.text)));
      unlink(temporary.text);
    }
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
