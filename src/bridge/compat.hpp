// Differences between the server versions 15 to 18: the only place that asks for the version.
#pragma once

#if PG_VERSION_NUM < 150000
#error "claude_gpt needs PostgreSQL 15 or later"
#endif

namespace claude_gpt::bridge::compat {

// 18 runs a deferred trigger as the role that queued it; before, it runs as whoever commits.
inline constexpr bool k_deferred_triggers_run_as_queuer = PG_VERSION_NUM >= 180000;

// 16 moved the memory of settings into a context of its own.
inline void* allocate_setting_extra(std::size_t size) {
#if PG_VERSION_NUM >= 160000
  return guc_malloc(LOG, size);
#else
  return std::malloc(size);
#endif
}

}  // namespace claude_gpt::bridge::compat
