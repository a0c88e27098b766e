#include "store/user_sessions.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

// Two statements, because each has an index that finds just its rows.
constinit Query<void(core::Instant)> k_delete_expired{"user_sessions", R"sql(
    DELETE FROM claude_gpt_data.user_sessions AS s WHERE s.expires_at OPERATOR(pg_catalog.<) $1
    )sql"};

constinit Query<void()> k_delete_inactive{"user_sessions", R"sql(
    DELETE FROM claude_gpt_data.user_sessions AS s WHERE NOT s.is_active
    )sql"};

constexpr auto k_delete_expired_text = delete_expired_from("claude_gpt_data.user_sessions");
constinit Query<Walked(core::Instant, core::Instant, std::int64_t)> k_delete_expired_batch{"user_sessions",
                                                                                           k_delete_expired_text};

constinit Query<void(core::Instant, std::int64_t)> k_delete_inactive_batch{"user_sessions", R"sql(
    DELETE FROM claude_gpt_data.user_sessions AS s
    WHERE s.ctid OPERATOR(pg_catalog.=) ANY (ARRAY(
        SELECT o.ctid FROM claude_gpt_data.user_sessions AS o
        WHERE NOT o.is_active AND o.last_used_at OPERATOR(pg_catalog.<) $1 LIMIT $2 FOR UPDATE SKIP LOCKED))
    AND NOT s.is_active
    )sql"};

constinit Query<std::int32_t(core::Instant, core::Instant)> k_find_one_to_delete{"user_sessions", R"sql(
    SELECT 1 WHERE
        EXISTS (SELECT 1 FROM claude_gpt_data.user_sessions AS s WHERE s.expires_at OPERATOR(pg_catalog.<) $1)
        OR EXISTS (SELECT 1 FROM claude_gpt_data.user_sessions AS s
                   WHERE NOT s.is_active AND s.last_used_at OPERATOR(pg_catalog.<) $2)
    )sql"};

}  // namespace

std::uint64_t delete_expired_sessions(Spi& spi, core::Instant before) {
  return spi.execute(k_delete_expired, Access::read_write, before).count();
}

std::uint64_t delete_inactive_sessions(Spi& spi) { return spi.execute(k_delete_inactive, Access::read_write).count(); }

Walked delete_expired_sessions(Spi& spi, core::Instant from, core::Instant before, std::int64_t most) {
  return spi.execute(k_delete_expired_batch, Access::read_write, from, before, most).first();
}

std::uint64_t delete_inactive_sessions(Spi& spi, core::Instant unused_since, std::int64_t most) {
  return spi.execute(k_delete_inactive_batch, Access::read_write, unused_since, most).count();
}

bool has_sessions_to_delete(Spi& spi, core::Instant expired_before, core::Instant unused_since) {
  return !spi.execute(k_find_one_to_delete, Access::read_write, expired_before, unused_since).empty();
}

}  // namespace claude_gpt::store
