#include "bridge/relcache.hpp"

#include "bridge/guard.hpp"
#include "bridge/rights.hpp"

namespace claude_gpt::bridge::relcache {

namespace {

constinit std::uint64_t event_count = 2;  // so that the one before is not "never"
constinit bool is_registered = false;

}  // namespace

constinit Watch* Watch::watches[Watch::k_max_watches] = {};
constinit int Watch::watch_count = 0;

// Runs inside the server's invalidation processing: it must not call the server.
void on_invalidation(std::uintptr_t, std::uint32_t relation) {
  ++event_count;
  for (int i = 0; i < Watch::watch_count; ++i) {
    Watch& watch = *Watch::watches[i];
    const bool concerned = relation == InvalidOid || relation == watch.relation_;
    if (concerned) ++watch.generation_;
  }
}

std::uint64_t events() {
  guarded([] {
    if (!is_registered) {
      CacheRegisterRelcacheCallback(&on_invalidation, 0);
      is_registered = true;
    }
    AcceptInvalidationMessages();
  });
  return event_count;
}

void Watch::look_up() {
  if (looked_up_at_ == 0) watches[watch_count++] = this;
  const char* table = table_;
  const Oid relation = guarded([table] {
    const Oid schema = get_namespace_oid(k_data_schema, true);
    return OidIsValid(schema) ? get_relname_relid(table, schema) : InvalidOid;
  });
  // Dropped and made again: nothing known of the old table holds for the new one.
  if (relation != relation_) {
    relation_ = relation;
    ++generation_;
  }
}

std::uint64_t Watch::generation() {
  const std::uint64_t now = events();
  if (looked_up_at_ == now) return generation_;
  look_up();
  // A table that is not there sends no event when it comes: it is looked for each time.
  looked_up_at_ = relation_ != InvalidOid ? now : now - 1;
  return generation_;
}

}  // namespace claude_gpt::bridge::relcache
