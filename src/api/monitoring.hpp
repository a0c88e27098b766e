// Topic monitoring: what the other topics count for metrics(). Nothing is counted where the library is not preloaded.
// Costs a few nanoseconds each; must not fail.
#pragma once

#include <cstdint>

#include "core/counters.hpp"

namespace claude_gpt::api {

// In _PG_init.
void reserve_counters();

void count_decision(core::Decider decider, core::Reason reason, bool is_replayed = false);

void count_usage(std::int64_t messages, std::int64_t tokens, std::int64_t api_calls, core::Amount cost);

void count_settlements(core::Settled settled, std::uint64_t count = 1);

void count_job_run(std::size_t job, bool has_succeeded, std::uint64_t rows, core::Duration took);

}  // namespace claude_gpt::api
