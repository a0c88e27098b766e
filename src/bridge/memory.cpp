#include "bridge/memory.hpp"

#include <memory>

#include "bridge/guard.hpp"

namespace claude_gpt::bridge {

ContextMemory* ContextMemory::create(const char* name) {
  struct Made {
    MemoryContext context;
    void* place;
  };
  // The name must outlive the context: callers pass a literal, and the context copies it where it can.
  const Made made = guarded([name]() -> Made {
    MemoryContext context = AllocSetContextCreateInternal(CacheMemoryContext, name, ALLOCSET_SMALL_SIZES);
    return {context, MemoryContextAlloc(context, sizeof(ContextMemory))};
  });
  return ::new (made.place) ContextMemory(made.context);
}

void ContextMemory::drop() noexcept { MemoryContextDelete(static_cast<MemoryContext>(context_)); }

void* ContextMemory::do_allocate(std::size_t bytes, std::size_t alignment) {
  // The server aligns to 8 bytes; a 128-bit amount wants 16.
  std::size_t space = alignment > MAXIMUM_ALIGNOF ? bytes + alignment : bytes;
  auto context = static_cast<MemoryContext>(context_);
  void* memory = guarded([=] { return MemoryContextAlloc(context, space); });
  return alignment > MAXIMUM_ALIGNOF ? std::align(alignment, bytes, memory, space) : memory;
}

// Memory comes back with the whole context.
void ContextMemory::do_deallocate(void*, std::size_t, std::size_t) {}

}  // namespace claude_gpt::bridge
