// The statement that deletes what has expired, of any table that has expires_at.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bridge/query.hpp"
#include "core/calendar.hpp"

namespace claude_gpt::store {

// How far a batch came that walks over rows in the order of a time.
struct Walked {
  std::int64_t found;
  std::int64_t changed;
  std::optional<core::Instant> reached;
  std::optional<std::string_view> reached_as_text;
};

// From $1 to before $2, $3 at most. Rows that somebody holds are left, and those that are given more time meanwhile.
template <std::size_t size> constexpr auto delete_expired_from(const char (&table)[size]) {
  return bridge::SqlText{R"sql(
    WITH due AS MATERIALIZED (
        SELECT e.ctid AS place, e.expires_at FROM )sql"} +
         table + R"sql( AS e
        WHERE e.expires_at OPERATOR(pg_catalog.>=) $1 AND e.expires_at OPERATOR(pg_catalog.<) $2
        ORDER BY e.expires_at LIMIT $3 FOR UPDATE SKIP LOCKED),
    gone AS (
        DELETE FROM )sql" +
         table + R"sql( AS e
        WHERE e.ctid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT d.place FROM due AS d))
        AND e.expires_at OPERATOR(pg_catalog.<) $2 RETURNING 1)
    SELECT (SELECT pg_catalog.count(*) FROM due AS d), (SELECT pg_catalog.count(*) FROM gone AS g),
    (SELECT pg_catalog.max(d.expires_at) FROM due AS d),
    (SELECT pg_catalog.max(d.expires_at)::pg_catalog.text FROM due AS d)
    )sql";
}

}  // namespace claude_gpt::store
