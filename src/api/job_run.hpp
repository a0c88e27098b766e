// A run of a job from its start to its end. For who holds the lock on the jobs of this database.
#pragma once

#include <optional>

#include "api/attempts.hpp"
#include "api/job_schedule.hpp"
#include "bridge/transactions.hpp"
#include "core/jobs.hpp"

namespace claude_gpt::api {

// A crash leaves runs behind that have no end. Whoever holds a row of `jobs` keeps its schedule as it is, no more.
void end_interrupted_runs(bridge::Transactions& transactions);

enum class Wanted { if_needed, always };

// Where there is nothing to do, nothing is recorded, unless a run is wanted always.
std::optional<Problem> look_and_run(bridge::Transactions& transactions, const Job& job, core::Engine engine,
                                    Wanted wanted, Looks& looks);

}  // namespace claude_gpt::api
