// Topic sessions: cleanup_expired_sessions(), and the job session_cleanup.
#include <limits>

#include "api/config.hpp"
#include "api/jobs.hpp"
#include "api/schema.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/spi.hpp"
#include "store/user_sessions.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// Sessions that have expired, then those that are not active.
class SessionCleanup final : public CopiedWork<SessionCleanup> {
 public:
  SessionCleanup(core::Instant now, core::Duration kept)
      : expired_before_(now - kept),
        unused_before_(kept.microseconds == 0 ? core::Instant::infinity() : expired_before_),
        expired_(store::delete_expired_sessions, expired_before_) {}

  bool is_needed(Spi& spi) override { return store::has_sessions_to_delete(spi, expired_before_, unused_before_); }

  Batch next(Spi& spi, std::int64_t size) override {
    if (!expired_are_gone_) {
      Batch batch = expired_.next(spi, size);
      expired_are_gone_ = !batch.has_more;
      batch.has_more = true;
      return batch;
    }
    const std::uint64_t deleted = store::delete_inactive_sessions(spi, unused_before_, size);
    return {.rows = deleted, .has_more = deleted == static_cast<std::uint64_t>(size)};
  }

 private:
  core::Instant expired_before_;
  core::Instant unused_before_;
  TimeWalk expired_;
  bool expired_are_gone_ = false;
};

}  // namespace

std::unique_ptr<JobWork> make_session_cleanup(const JobTime& time) {
  const auto kept = configuration().retention().user_sessions;
  if (!kept) return make_idle_work();
  return std::make_unique<SessionCleanup>(time.now, core::Duration{*kept});
}

CLAUDE_GPT_FUNCTION(cleanup_expired_sessions) {
  require_current_tables();
  Spi spi;
  const std::uint64_t expired = store::delete_expired_sessions(spi, clock::now());
  const std::uint64_t inactive = store::delete_inactive_sessions(spi);
  spi.finish();
  constexpr std::uint64_t k_most = std::numeric_limits<std::int32_t>::max();
  return Value::of(static_cast<std::int32_t>(std::min(expired + inactive, k_most)));
}

}  // namespace claude_gpt::api
