// Topic jobs: their work and their runs. Only one job at a time runs in a database, whoever asked for it.
#pragma once

#include <optional>

#include "api/job_work.hpp"
#include "bridge/transactions.hpp"
#include "core/calendar.hpp"
#include "core/jobs.hpp"

namespace claude_gpt::api {

// Runs what is due, the oldest first, and says how long nothing will be; nullopt while another session runs jobs.
std::optional<core::Duration> run_due_jobs(bridge::Transactions& transactions, core::Engine engine);

}  // namespace claude_gpt::api
