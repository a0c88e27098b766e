// The library is loaded: magic block, and one call per subsystem.
#include "api/job_board.hpp"
#include "api/monitoring.hpp"
#include "api/rate_limit.hpp"
#include "api/tables.hpp"
#include "bridge/library.hpp"
#include "worker/launcher.hpp"

CLAUDE_GPT_LIBRARY {
  claude_gpt::bridge::settings::define();
  claude_gpt::api::declare_table_types();
  claude_gpt::api::reserve_rate_limits();
  claude_gpt::api::reserve_job_board();
  claude_gpt::api::reserve_counters();
  claude_gpt::worker::register_launcher();
}
