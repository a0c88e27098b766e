// What jobs do, cut into batches. Each job of the register is made where its topic is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "bridge/spi.hpp"
#include "core/calendar.hpp"
#include "store/expired.hpp"

namespace claude_gpt::api {

// What a job does in one run.
class JobWork {
 public:
  struct Batch {
    std::uint64_t rows = 0;
    bool has_more = false;
    std::string progress = {};  // empty: as before
  };

  virtual ~JobWork() = default;
  // Whether a run would find anything to do. Only reads.
  virtual bool is_needed(bridge::Spi& spi) = 0;
  // The work of one transaction, on about `size` rows.
  virtual Batch next(bridge::Spi& spi, std::int64_t size) = 0;
  // Each try is one of a copy, which is kept when it has committed.
  virtual std::unique_ptr<JobWork> copy() const = 0;
};

template <typename Work> class CopiedWork : public JobWork {
 public:
  std::unique_ptr<JobWork> copy() const final { return std::make_unique<Work>(static_cast<const Work&>(*this)); }
};

// Of a job that has nothing to do, such as one whose rows are kept for ever.
std::unique_ptr<JobWork> make_idle_work();

struct JobTime {
  core::Instant now;
  std::int32_t failures;  // in a row
  core::Instant
      last_success;  // when the last run began that succeeded: what was due by then is done, but for what was locked
};

#define JOB(name, ...) std::unique_ptr<JobWork> make_##name(const JobTime& time);
#include "core/jobs.def"
#undef JOB

// Of the job at this place of the register.
std::unique_ptr<JobWork> make_work(std::size_t job, const JobTime& time);

// A walk over rows in the order of a time, such as all that have expired: `step` takes where to begin, the end, and how
// many rows.
class TimeWalk {
 public:
  using Step = store::Walked (*)(bridge::Spi& spi, core::Instant from, core::Instant end, std::int64_t most);

  TimeWalk(Step step, core::Instant end) : step_(step), end_(end) {}
  JobWork::Batch next(bridge::Spi& spi, std::int64_t size);

 private:
  Step step_;
  core::Instant end_;
  core::Instant reached_ = core::Instant::minus_infinity();
};

}  // namespace claude_gpt::api
