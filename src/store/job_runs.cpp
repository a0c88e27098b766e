#include "store/job_runs.hpp"

#include "core/future.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<void(core::Uuid, std::string_view, std::string_view, core::Instant)> k_start{"job_runs", R"sql(
    INSERT INTO claude_gpt_data.job_runs (id, job_name, engine, started_at) VALUES ($1, $2, $3, $4)
    )sql"};

// $2 the latest moment that is believed, $3 what a later one becomes: the newest run is the one to be seen.
constinit Query<void(std::string_view, core::Instant, core::Instant)> k_bring_near{"job_runs", R"sql(
    UPDATE claude_gpt_data.job_runs AS r SET started_at = $3, finished_at = LEAST(r.finished_at, $3)
    WHERE r.job_name OPERATOR(pg_catalog.=) $1 AND r.started_at OPERATOR(pg_catalog.>) $2
    )sql"};

constinit Query<void(core::Uuid, std::int64_t, std::optional<std::string_view>)> k_show_progress{"job_runs", R"sql(
    UPDATE claude_gpt_data.job_runs AS r SET row_count = $2, progress = $3 WHERE r.id OPERATOR(pg_catalog.=) $1
    )sql"};

constinit Query<void(core::Uuid, core::Instant, std::string_view, std::int64_t, std::optional<std::string_view>,
                     std::optional<std::string_view>, std::optional<std::string_view>)>
    k_end{"job_runs", R"sql(
    UPDATE claude_gpt_data.job_runs AS r
    SET finished_at = $2, outcome = $3, row_count = $4, progress = $5, sqlstate = $6, message = $7
    WHERE r.id OPERATOR(pg_catalog.=) $1
    )sql"};

constinit Query<std::string_view()> k_find_running{"job_runs", R"sql(
    SELECT r.job_name FROM claude_gpt_data.job_runs AS r WHERE r.outcome OPERATOR(pg_catalog.=) 'running'
    )sql"};

constinit Query<InterruptedRun(core::Instant, std::string_view)> k_end_interrupted{"job_runs", R"sql(
    UPDATE claude_gpt_data.job_runs AS r SET finished_at = $1, outcome = 'failed', sqlstate = $2,
    message = 'the server or the session ended before the run did'
    WHERE r.outcome OPERATOR(pg_catalog.=) 'running' RETURNING r.job_name, r.started_at
    )sql"};

constinit Query<core::Instant(std::string_view)> k_find_last_success{"job_runs", R"sql(
    SELECT r.started_at FROM claude_gpt_data.job_runs AS r
    WHERE r.job_name OPERATOR(pg_catalog.=) $1 AND r.outcome OPERATOR(pg_catalog.=) 'succeeded'
    ORDER BY r.started_at DESC LIMIT 1
    )sql"};

constinit Query<std::int32_t(core::Instant)> k_find_before{"job_runs", R"sql(
    SELECT 1 FROM claude_gpt_data.job_runs AS r
    WHERE r.started_at OPERATOR(pg_catalog.<) $1 AND r.outcome OPERATOR(pg_catalog.<>) 'running' LIMIT 1
    )sql"};

constinit Query<void(core::Instant, std::int64_t)> k_delete_before{"job_runs", R"sql(
    DELETE FROM claude_gpt_data.job_runs AS r WHERE r.id OPERATOR(pg_catalog.=) ANY (ARRAY(
        SELECT o.id FROM claude_gpt_data.job_runs AS o
        WHERE o.started_at OPERATOR(pg_catalog.<) $1 AND o.outcome OPERATOR(pg_catalog.<>) 'running' LIMIT $2))
    )sql"};

}  // namespace

void bring_runs_near(Spi& spi, std::string_view job, core::Instant now) {
  spi.execute(k_bring_near, Access::read_write, job, core::latest_moment(now), now - core::Duration{1});
}

void start_run(Spi& spi, const core::Uuid& id, std::string_view job, std::string_view engine, core::Instant now) {
  spi.execute(k_start, Access::read_write, id, job, engine, now);
  bring_runs_near(spi, job, now);
}

void show_progress(Spi& spi, const core::Uuid& id, std::int64_t row_count, std::optional<std::string_view> progress) {
  spi.execute(k_show_progress, Access::read_write, id, row_count, progress);
}

void end_run(Spi& spi, const core::Uuid& id, const EndOfRun& end) {
  spi.execute(k_end, Access::read_write, id, end.finished_at, end.outcome, end.row_count, end.progress, end.sqlstate,
              end.message);
}

Result<std::string_view> find_running_jobs(Spi& spi) { return spi.execute(k_find_running, Access::read_write); }

Result<InterruptedRun> end_interrupted_runs(Spi& spi, core::Instant now, std::string_view sqlstate) {
  return spi.execute(k_end_interrupted, Access::read_write, now, sqlstate);
}

std::optional<core::Instant> find_last_success(Spi& spi, std::string_view job) {
  return spi.execute(k_find_last_success, Access::read_write, job).find();
}

bool has_runs_before(Spi& spi, core::Instant before) {
  return !spi.execute(k_find_before, Access::read_write, before).empty();
}

std::uint64_t delete_runs_before(Spi& spi, core::Instant before, std::int64_t most) {
  return spi.execute(k_delete_before, Access::read_write, before, most).count();
}

}  // namespace claude_gpt::store
