// Topic sessions: cleanup_expired_sessions().
#include <limits>

#include "api/schema.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/spi.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// Two statements, because each has an index that finds just its rows.
constinit Statement k_delete_expired{
    "user_sessions", "DELETE FROM claude_gpt.user_sessions AS s WHERE s.expires_at OPERATOR(pg_catalog.<) $1", {Type::timestamptz}};

constinit Statement k_delete_inactive{"user_sessions", "DELETE FROM claude_gpt.user_sessions AS s WHERE NOT s.is_active"};

}  // namespace

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
