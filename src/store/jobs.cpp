#include "store/jobs.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<Job()> k_read{"jobs", R"sql(
    SELECT j.name, j.enabled, j.run_every, j.timeout, j.next_run_at, j.engine, j.failures_in_a_row
    FROM claude_gpt_data.jobs AS j
    )sql"};

constinit Query<PassedOn()> k_list_intervals{"jobs", R"sql(
    SELECT j.name::pg_catalog.text, j.run_every FROM claude_gpt_data.jobs AS j
    )sql"};

constinit Query<void(std::string_view, std::string_view)> k_hand_over{"jobs", R"sql(
    UPDATE claude_gpt_data.jobs AS j SET engine = $2 WHERE j.name OPERATOR(pg_catalog.=) $1
    )sql"};

constinit Query<void(std::string_view)> k_hand_all_over{"jobs", R"sql(
    UPDATE claude_gpt_data.jobs AS j SET engine = $1 WHERE j.engine OPERATOR(pg_catalog.<>) $1
    )sql"};

constinit Query<void(std::string_view, core::Instant, std::int32_t, core::Instant)> k_schedule{"jobs", R"sql(
    UPDATE claude_gpt_data.jobs AS j SET failures_in_a_row = $3,
    next_run_at = CASE WHEN j.next_run_at OPERATOR(pg_catalog.=) $4 THEN $2 ELSE j.next_run_at END
    WHERE j.name OPERATOR(pg_catalog.=) $1
    )sql"};

}  // namespace

Result<Job> read_jobs(Spi& spi, Access access) { return spi.execute(k_read, access); }

Result<PassedOn> list_job_intervals(Spi& spi) { return spi.execute(k_list_intervals, Access::read_write); }

void hand_job_over(Spi& spi, std::string_view name, std::string_view engine) {
  spi.execute(k_hand_over, Access::read_write, name, engine);
}

void hand_all_jobs_over(Spi& spi, UnreadText engine) { spi.execute(k_hand_all_over, Access::read_write, engine); }

void schedule_job(Spi& spi, std::string_view name, core::Instant next_run_at, std::int32_t failures_in_a_row,
                  core::Instant expected) {
  spi.execute(k_schedule, Access::read_write, name, next_run_at, failures_in_a_row, expected);
}

}  // namespace claude_gpt::store
