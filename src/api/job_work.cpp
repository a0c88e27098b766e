#include "api/job_work.hpp"

#include <array>

#include "core/jobs.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

using Make = std::unique_ptr<JobWork> (*)(const JobTime&);

constexpr std::array<Make, core::k_job_names.size()> k_makers = {
#define JOB(name, ...) make_##name,
#include "core/jobs.def"
#undef JOB
};

class IdleWork final : public CopiedWork<IdleWork> {
 public:
  bool is_needed(Spi&) override { return false; }
  Batch next(Spi&, std::int64_t) override { return {}; }
};

}  // namespace

std::unique_ptr<JobWork> make_work(std::size_t job, const JobTime& time) { return k_makers[job](time); }

std::unique_ptr<JobWork> make_idle_work() { return std::make_unique<IdleWork>(); }

JobWork::Batch TimeWalk::next(Spi& spi, std::int64_t size) {
  const store::Walked walked = step_(spi, reached_, end_, size);
  JobWork::Batch batch{.rows = static_cast<std::uint64_t>(walked.changed), .has_more = walked.found == size};
  if (walked.reached_as_text) batch.progress = "up to " + std::string(*walked.reached_as_text);
  reached_ = walked.reached.value_or(reached_);
  return batch;
}

}  // namespace claude_gpt::api
