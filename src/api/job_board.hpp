// Topic jobs: the board in shared memory, by which sessions, workers and the launcher tell each other of jobs.
#pragma once

#include "core/jobs.hpp"

namespace claude_gpt::api {

// In _PG_init.
void reserve_job_board();
// nullptr if the library was not preloaded.
core::JobBoard* job_board();

// Once this transaction has committed, a worker looks at the jobs of this database.
void look_at_jobs_after_commit();
// Has the launcher take the requests on the board.
void wake_launcher();

}  // namespace claude_gpt::api
