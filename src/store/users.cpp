#include "store/users.hpp"

#include "core/amount.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<FreeUser(core::Uuid)> k_lock_if_free{"users", R"sql(
    SELECT u.next_hold_expiry FROM claude_gpt_data.users AS u WHERE u.id OPERATOR(pg_catalog.=) $1
    FOR NO KEY UPDATE SKIP LOCKED
    )sql"};

constinit Query<void(core::Uuid, core::Instant, std::int32_t, std::int64_t, core::Amount)> k_give_back_due{"users",
                                                                                                           R"sql(
    UPDATE claude_gpt_data.users AS u SET held_message_count = u.held_message_count OPERATOR(pg_catalog.-) $3,
    held_token_count = u.held_token_count OPERATOR(pg_catalog.-) $4, held_cost = u.held_cost OPERATOR(pg_catalog.-) $5,
    next_hold_expiry =
     (SELECT pg_catalog.min(r.expires_at) FROM claude_gpt_data.usage_reservations AS r
      WHERE r.user_id OPERATOR(pg_catalog.=) $1 AND r.expires_at OPERATOR(pg_catalog.>) $2 AND r.status OPERATOR(pg_catalog.=) 'open')
    WHERE u.id OPERATOR(pg_catalog.=) $1
    )sql"};

// Of users who follow the calendar. Whose ledger has later periods, or who have a day of their own, their own call
// begins the next one.
constinit Query<std::int32_t(core::Date)> k_find_lapsed{"users", R"sql(
    SELECT 1 FROM claude_gpt_data.users AS u WHERE u.monthly_reset_date OPERATOR(pg_catalog.<) $1
    AND u.ledger_ahead_to IS NULL AND u.billing_anchor_day IS NULL AND u.billing_period_ends_on IS NULL LIMIT 1
    )sql"};

constinit Query<ResetMonths(core::Uuid, core::Date, std::int64_t)> k_reset_lapsed{"users", R"sql(
    WITH due AS MATERIALIZED (SELECT u.id FROM claude_gpt_data.users AS u
     WHERE u.id OPERATOR(pg_catalog.>=) $1 AND u.monthly_reset_date OPERATOR(pg_catalog.<) $2
     AND u.ledger_ahead_to IS NULL AND u.billing_anchor_day IS NULL AND u.billing_period_ends_on IS NULL ORDER BY u.id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED),
    done AS (UPDATE claude_gpt_data.users AS u SET monthly_message_count = 0, monthly_token_count = 0, monthly_api_call_count = 0,
     monthly_cost = 0, monthly_reset_date = $2
     WHERE u.id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT d.id FROM due AS d)) AND u.monthly_reset_date OPERATOR(pg_catalog.<) $2
     AND u.ledger_ahead_to IS NULL AND u.billing_anchor_day IS NULL AND u.billing_period_ends_on IS NULL RETURNING 1)
    SELECT (SELECT pg_catalog.count(*) FROM due AS d), (SELECT pg_catalog.count(*) FROM done AS o),
    (SELECT d.id FROM due AS d ORDER BY d.id DESC LIMIT 1)
    )sql"};

}  // namespace

std::optional<FreeUser> lock_user_if_free(Spi& spi, const core::Uuid& id) {
  const auto found = spi.execute(k_lock_if_free, Access::read_write, id);
  const auto user = found.find();
  spi.release(found);
  return user;
}

void give_back_due(Spi& spi, const core::Uuid& id, core::Instant now, const DueHolds& due) {
  if (spi.execute(k_give_back_due, Access::read_write, id, now, due.messages, due.tokens, due.cost).empty())
    throw missing_row();
}

bool has_lapsed_months(Spi& spi, core::Date month) {
  return !spi.execute(k_find_lapsed, Access::read_write, month).empty();
}

ResetMonths reset_lapsed_months(Spi& spi, const core::Uuid& from, core::Date month, std::int64_t most) {
  return spi.execute(k_reset_lapsed, Access::read_write, from, month, most).first();
}

}  // namespace claude_gpt::store
