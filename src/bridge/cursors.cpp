#include "bridge/cursors.hpp"

#include <algorithm>
#include <cstring>

#include "bridge/guard.hpp"
#include "core/failure.hpp"

extern "C" {
#include <nodes/memnodes.h>
#include <utils/portal.h>
}

namespace claude_gpt::bridge {

namespace {

// The server lists its portals nowhere but in SQL; the memory of each is below one context, and bears its name.
MemoryContext portal_memory() {
  static constinit MemoryContext found = nullptr;
  for (MemoryContext child = TopMemoryContext->firstchild; found == nullptr && child != nullptr;
       child = child->nextchild)
    if (std::strcmp(child->name, "TopPortalContext") == 0) found = child;
  return found;
}

// The portal without a name says that it has none, as one of that name does.
Portal portal_of(MemoryContext memory) {
  if (memory->ident == nullptr) return nullptr;  // rows of a portal that is held
  const Portal named = GetPortalByName(memory->ident);
  if (PortalIsValid(named) && named->portalContext == memory) return named;
  const Portal unnamed = GetPortalByName("");
  return PortalIsValid(unnamed) && unnamed->portalContext == memory ? unnamed : nullptr;
}

// A running one is what we run in: it can neither be closed nor fetched from.
template <typename Visit> void for_each_open(Visit visit) {
  for (MemoryContext memory = portal_memory()->firstchild; memory != nullptr; memory = memory->nextchild) {
    const Portal portal = portal_of(memory);
    if (portal != nullptr && portal->status == PORTAL_READY) visit(portal);
  }
}

}  // namespace

void CursorsBefore::note() {
  for_each_open([this](Portal portal) {
    cursors_.push_back({portal, portal->portalPinned});
    portal->portalPinned = true;
  });
}

void CursorsBefore::require_no_other() const {
  for_each_open([this](Portal portal) {
    if (std::none_of(cursors_.begin(), cursors_.end(),
                     [portal](const Cursor& cursor) { return cursor.portal == portal; }))
      throw core::Failure(core::sqlstate::k_insufficient_privilege,
                          "cannot leave a cursor open within security-restricted operation",
                          "Code of the owner of the tables has opened cursor \"" + std::string(portal->name) +
                              "\", which whoever called would fetch from with his own rights.",
                          "Let it close the cursor.");
  });
}

void CursorsBefore::release() noexcept {
  for (const Cursor& cursor : cursors_) static_cast<Portal>(cursor.portal)->portalPinned = cursor.was_pinned;
  cursors_.clear();
}

}  // namespace claude_gpt::bridge
