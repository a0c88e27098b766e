// The standbys that commits wait for (synchronous_standby_names), as this server sees them.
#pragma once

#include <cstdint>

namespace claude_gpt::bridge {

struct SynchronousStandbys {
  std::int32_t wanted;   // that have to confirm a commit; 0: none waits
  std::int32_t present;  // that stream and may confirm one
  std::int32_t waiting;  // sessions whose commit waits for that now
};

// Zero on a standby, where nothing commits.
SynchronousStandbys synchronous_standbys();

}  // namespace claude_gpt::bridge
