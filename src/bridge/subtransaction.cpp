#include "bridge/subtransaction.hpp"

#include "bridge/guard.hpp"

namespace claude_gpt::bridge {

Subtransaction::Subtransaction() : outer_memory_(CurrentMemoryContext), outer_owner_(CurrentResourceOwner) {
  auto memory = static_cast<MemoryContext>(outer_memory_);
  guarded([memory] {
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(memory);
  });
}

void Subtransaction::commit() {
  auto memory = static_cast<MemoryContext>(outer_memory_);
  auto owner = static_cast<ResourceOwner>(outer_owner_);
  guarded([=] {
    ReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(memory);
    CurrentResourceOwner = owner;
  });
}

void Subtransaction::roll_back() {
  auto memory = static_cast<MemoryContext>(outer_memory_);
  auto owner = static_cast<ResourceOwner>(outer_owner_);
  guarded([=] {
    RollbackAndReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(memory);
    CurrentResourceOwner = owner;
  });
}

}  // namespace claude_gpt::bridge
