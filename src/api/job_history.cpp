// The job job_history_prune.
#include "api/config.hpp"
#include "api/job_work.hpp"
#include "store/job_runs.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

class HistoryPrune final : public CopiedWork<HistoryPrune> {
 public:
  explicit HistoryPrune(core::Instant before) : before_(before) {}
  bool is_needed(Spi& spi) override { return store::has_runs_before(spi, before_); }
  Batch next(Spi& spi, std::int64_t size) override {
    const std::uint64_t deleted = store::delete_runs_before(spi, before_, size);
    return {.rows = deleted, .has_more = deleted == static_cast<std::uint64_t>(size)};
  }

 private:
  core::Instant before_;
};

}  // namespace

std::unique_ptr<JobWork> make_job_history_prune(const JobTime& time) {
  const auto kept = configuration().retention().job_runs;
  if (!kept) return make_idle_work();
  return std::make_unique<HistoryPrune>(time.now - core::Duration{*kept});
}

}  // namespace claude_gpt::api
