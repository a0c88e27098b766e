// The library is loaded: magic block, and one call per subsystem.
#include "api/rate_limit.hpp"
#include "bridge/library.hpp"

CLAUDE_GPT_LIBRARY {
  claude_gpt::bridge::settings::define();
  claude_gpt::api::reserve_rate_limits();
}
