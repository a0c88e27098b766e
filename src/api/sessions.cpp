// Topic sessions: cleanup_expired_sessions(), and the job session_cleanup.
#include <limits>

#include "api/config.hpp"
#include "api/jobs.hpp"
#include "api/schema.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/spi.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// Two statements, because each has an index that finds just its rows.
constinit Statement k_delete_expired{
    "user_sessions",
    "DELETE FROM claude_gpt_data.user_sessions AS s WHERE s.expires_at OPERATOR(pg_catalog.<) $1",
    {Type::timestamptz}};

constinit Statement k_delete_inactive{"user_sessions",
                                      "DELETE FROM claude_gpt_data.user_sessions AS s WHERE NOT s.is_active"};

// From $1 to before $2, $3 at most: found, deleted, and how far it came. Sessions that somebody holds are left.
constinit Statement k_delete_expired_batch{"user_sessions",
                                           R"sql(
    WITH due AS MATERIALIZED (SELECT s.ctid AS place, s.expires_at FROM claude_gpt_data.user_sessions AS s
     WHERE s.expires_at OPERATOR(pg_catalog.>=) $1 AND s.expires_at OPERATOR(pg_catalog.<) $2
     ORDER BY s.expires_at LIMIT $3 FOR UPDATE SKIP LOCKED),
    gone AS (DELETE FROM claude_gpt_data.user_sessions AS s WHERE s.ctid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT d.place FROM due AS d))
     AND s.expires_at OPERATOR(pg_catalog.<) $2 RETURNING 1)
    SELECT (SELECT pg_catalog.count(*) FROM due AS d), (SELECT pg_catalog.count(*) FROM gone AS g),
    (SELECT pg_catalog.max(d.expires_at) FROM due AS d), (SELECT pg_catalog.max(d.expires_at)::pg_catalog.text FROM due AS d)
    )sql",
                                           {Type::timestamptz, Type::timestamptz, Type::int8}};

constinit Statement k_delete_inactive_batch{"user_sessions",
                                            R"sql(
    DELETE FROM claude_gpt_data.user_sessions AS s WHERE s.ctid OPERATOR(pg_catalog.=) ANY (ARRAY(
     SELECT o.ctid FROM claude_gpt_data.user_sessions AS o WHERE NOT o.is_active AND o.last_used_at OPERATOR(pg_catalog.<) $1 LIMIT $2
     FOR UPDATE SKIP LOCKED)) AND NOT s.is_active
    )sql",
                                            {Type::timestamptz, Type::int8}};

constinit Statement k_find_one_to_delete{"user_sessions",
                                         R"sql(
    SELECT 1 WHERE EXISTS (SELECT 1 FROM claude_gpt_data.user_sessions AS s WHERE s.expires_at OPERATOR(pg_catalog.<) $1)
    OR EXISTS (SELECT 1 FROM claude_gpt_data.user_sessions AS s WHERE NOT s.is_active AND s.last_used_at OPERATOR(pg_catalog.<) $2)
    )sql",
                                         {Type::timestamptz, Type::timestamptz}};

// Sessions that have expired, then those that are not active.
class SessionCleanup final : public CopiedWork<SessionCleanup> {
 public:
  SessionCleanup(core::Instant now, core::Duration kept)
      : expired_before_(now - kept),
        unused_before_(kept.microseconds == 0 ? core::Instant::infinity() : expired_before_),
        expired_(k_delete_expired_batch, expired_before_) {}

  bool is_needed(Spi& spi) override {
    return !spi.execute(k_find_one_to_delete, {Value::of(expired_before_), Value::of(unused_before_)},
                        Access::read_write)
                .empty();
  }

  Batch next(Spi& spi, std::int64_t size) override {
    if (!expired_are_gone_) {
      Batch batch = expired_.next(spi, size);
      expired_are_gone_ = !batch.has_more;
      batch.has_more = true;
      return batch;
    }
    const std::uint64_t deleted =
        spi.execute(k_delete_inactive_batch, {Value::of(unused_before_), Value::of(size)}, Access::read_write).count();
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
  const std::uint64_t expired = spi.execute(k_delete_expired, {Value::of(clock::now())}, Access::read_write).count();
  const std::uint64_t inactive = spi.execute(k_delete_inactive, {}, Access::read_write).count();
  spi.finish();
  constexpr std::uint64_t k_most = std::numeric_limits<std::int32_t>::max();
  return Value::of(static_cast<std::int32_t>(std::min(expired + inactive, k_most)));
}

}  // namespace claude_gpt::api
