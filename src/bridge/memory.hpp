// Memory of the server for caches that outlive a call: one named memory context, dropped as a whole.
// pg_backend_memory_contexts shows it. What is allocated here is never destroyed piece by piece.
#pragma once

#include <memory_resource>

namespace claude_gpt::bridge {

class ContextMemory final : public std::pmr::memory_resource {
 public:
  // A new context below the server's CacheMemoryContext; the object itself lives in it.
  static ContextMemory* create(const char* name);
  // Frees everything allocated from it, this object included.
  void drop() noexcept;

  template <typename T, typename... Arguments> T* make(Arguments&&... arguments) {
    return ::new (allocate(sizeof(T), alignof(T))) T(std::forward<Arguments>(arguments)...);
  }

 private:
  explicit ContextMemory(void* context) : context_(context) {}
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* memory, std::size_t, std::size_t) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  void* context_;
};

}  // namespace claude_gpt::bridge
