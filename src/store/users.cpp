#include "store/users.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constexpr SqlText k_columns{R"sql(
    u.subscription_tier, u.subscription_status, u.subscription_current_period_end, u.subscription_cancel_at_period_end,
    u.monthly_reset_date, u.monthly_message_count, u.monthly_token_count, u.monthly_api_call_count, u.monthly_cost,
    u.held_message_count, u.held_token_count, u.held_cost, u.next_hold_expiry
    )sql"};
constexpr auto k_returning = R"sql( RETURNING )sql" + k_columns;

constexpr auto k_find_text = R"sql(
    SELECT )sql" + k_columns +
                             R"sql( FROM claude_gpt_data.users AS u WHERE u.id OPERATOR(pg_catalog.=) $1 )sql";
constinit Query<User(core::Uuid)> k_find{"users", k_find_text};

constexpr auto k_lock_text = k_find_text + R"sql( FOR NO KEY UPDATE )sql";
constinit Query<User(core::Uuid)> k_lock{"users", k_lock_text};

constexpr auto k_lock_if_free_text = k_lock_text + R"sql( SKIP LOCKED )sql";
constinit Query<User(core::Uuid)> k_lock_if_free{"users", k_lock_if_free_text};

// Any month: rolls a lapsed one over. Decided in the row it locks, so two first calls of a month roll it once.
// Every reservation holds messages or tokens: where neither is held any more, no hold will expire.
constexpr auto k_change_text = R"sql(
    UPDATE claude_gpt_data.users AS u SET
    monthly_message_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $11 THEN $2
      ELSE u.monthly_message_count OPERATOR(pg_catalog.+) $2 END,
    monthly_token_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $11 THEN $3
      ELSE u.monthly_token_count OPERATOR(pg_catalog.+) $3 END,
    monthly_api_call_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $11 THEN $4
      ELSE u.monthly_api_call_count OPERATOR(pg_catalog.+) $4 END,
    monthly_cost = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $11 THEN $5
      ELSE u.monthly_cost OPERATOR(pg_catalog.+) $5 END,
    monthly_reset_date = GREATEST(u.monthly_reset_date, $11),
    total_message_count = u.total_message_count OPERATOR(pg_catalog.+) $2,
    total_token_count = u.total_token_count OPERATOR(pg_catalog.+) $3,
    total_api_call_count = u.total_api_call_count OPERATOR(pg_catalog.+) $4,
    total_cost = u.total_cost OPERATOR(pg_catalog.+) $5,
    held_message_count = u.held_message_count OPERATOR(pg_catalog.+) $6,
    held_token_count = u.held_token_count OPERATOR(pg_catalog.+) $7,
    held_cost = u.held_cost OPERATOR(pg_catalog.+) $8,
    next_hold_expiry = CASE WHEN u.held_message_count OPERATOR(pg_catalog.+) $6 OPERATOR(pg_catalog.=) 0
      AND u.held_token_count OPERATOR(pg_catalog.+) $7 OPERATOR(pg_catalog.=) 0 THEN NULL
      ELSE LEAST(u.next_hold_expiry, $9) END,
    last_active_at = GREATEST(u.last_active_at, $10)
    WHERE u.id OPERATOR(pg_catalog.=) $1 )sql" +
                               k_returning;
constinit Query<User(core::Uuid, std::int64_t, std::int64_t, std::int64_t, core::Amount, std::int64_t, std::int64_t,
                     core::Amount, core::Instant, core::Instant, core::Date)>
    k_change{"users", k_change_text};

// $6 the month, $7 the next. Rolls a lapsed month over; no row comes back in a later one, where the clock was moved
// back. Decided in the row it locks, so two first calls of a month roll it once.
constinit Query<void(core::Uuid, std::int32_t, std::int64_t, core::Amount, core::Instant, core::Date, core::Date)>
    k_count_in_month{"users", R"sql(
    UPDATE claude_gpt_data.users AS u SET
    monthly_message_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $6 THEN $2
      ELSE u.monthly_message_count OPERATOR(pg_catalog.+) $2 END,
    monthly_token_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $6 THEN $3
      ELSE u.monthly_token_count OPERATOR(pg_catalog.+) $3 END,
    monthly_api_call_count = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $6 THEN 0 ELSE u.monthly_api_call_count END,
    monthly_cost = CASE WHEN u.monthly_reset_date OPERATOR(pg_catalog.<) $6 THEN $4
      ELSE u.monthly_cost OPERATOR(pg_catalog.+) $4 END,
    monthly_reset_date = GREATEST(u.monthly_reset_date, $6),
    total_message_count = u.total_message_count OPERATOR(pg_catalog.+) $2,
    total_token_count = u.total_token_count OPERATOR(pg_catalog.+) $3,
    total_cost = u.total_cost OPERATOR(pg_catalog.+) $4,
    last_active_at = GREATEST(u.last_active_at, $5)
    WHERE u.id OPERATOR(pg_catalog.=) $1 AND u.monthly_reset_date OPERATOR(pg_catalog.<) $7
    )sql"};

// $1 user, $2 now, $3 the month's first day, $4 the next month's, $5 now less the grace; $6 the tiers that may be
// used, and by tier: the limits.
constexpr SqlText k_position{R"sql(pg_catalog.array_position($6, (
    CASE WHEN u.subscription_status OPERATOR(pg_catalog.=) ANY ('{active,inactive,trialing,past_due}')
        AND (u.subscription_current_period_end IS NULL OR u.subscription_current_period_end OPERATOR(pg_catalog.>=)
            CASE WHEN u.subscription_cancel_at_period_end THEN $2 ELSE $5 END)
        THEN u.subscription_tier ELSE 'free' END)::pg_catalog.text))sql"};
constexpr SqlText k_in_month_without_due_holds{R"sql(
    WHERE u.id OPERATOR(pg_catalog.=) $1
    AND u.monthly_reset_date OPERATOR(pg_catalog.>=) $3 AND u.monthly_reset_date OPERATOR(pg_catalog.<) $4
    AND (u.next_hold_expiry IS NULL OR u.next_hold_expiry OPERATOR(pg_catalog.>) $2)
    )sql"};

// $7 the quantity, $8 the limits of the action, $9 those of the cost (NULL if no plan has one).
template <std::size_t noun_size, std::size_t held_size>
constexpr auto consume(const char (&noun)[noun_size], const char (&held)[held_size]) {
  return SqlText{R"sql(
    UPDATE claude_gpt_data.users AS u SET
    monthly_)sql"} +
         noun + R"sql(_count = u.monthly_)sql" + noun + R"sql(_count OPERATOR(pg_catalog.+) $7,
    total_)sql" +
         noun + R"sql(_count = u.total_)sql" + noun + R"sql(_count OPERATOR(pg_catalog.+) $7,
    last_active_at = GREATEST(u.last_active_at, $2)
    )sql" +
         k_in_month_without_due_holds + R"sql(
    AND u.monthly_)sql" +
         noun + R"sql(_count OPERATOR(pg_catalog.+) )sql" + held + R"sql(
        OPERATOR(pg_catalog.<=) (($8)[)sql" +
         k_position + R"sql(] OPERATOR(pg_catalog.-) $7)
    AND ($9 IS NULL OR ($9)[)sql" +
         k_position + R"sql(] IS NULL
        OR u.monthly_cost OPERATOR(pg_catalog.+) u.held_cost OPERATOR(pg_catalog.<) ($9)[)sql" +
         k_position + R"sql(])
    )sql" +
         k_returning;
}

using CostLimits = std::optional<std::span<const std::optional<core::Amount>>>;
using Consume = Query<User(core::Uuid, core::Instant, core::Date, core::Date, core::Instant,
                           std::span<const std::string_view>, std::int64_t, std::span<const std::int64_t>, CostLimits)>;

constexpr auto k_consume_messages_text = consume("message", "u.held_message_count");
constinit Consume k_consume_messages{"users", k_consume_messages_text};
constexpr auto k_consume_tokens_text = consume("token", "u.held_token_count");
constinit Consume k_consume_tokens{"users", k_consume_tokens_text};
constexpr auto k_consume_api_calls_text = consume("api_call", "0");
constinit Consume k_consume_api_calls{"users", k_consume_api_calls_text};

// $7 messages, $8 tokens, $9 cost, $10 until when; the limits $11 of messages, $12 of tokens, $13 of the cost.
constexpr auto k_hold_text = R"sql(
    UPDATE claude_gpt_data.users AS u SET
    held_message_count = u.held_message_count OPERATOR(pg_catalog.+) $7,
    held_token_count = u.held_token_count OPERATOR(pg_catalog.+) $8,
    held_cost = u.held_cost OPERATOR(pg_catalog.+) $9,
    next_hold_expiry = LEAST(u.next_hold_expiry, $10), last_active_at = GREATEST(u.last_active_at, $2)
    )sql" + k_in_month_without_due_holds +
                             R"sql(
    AND ($7 OPERATOR(pg_catalog.=) 0 OR u.monthly_message_count OPERATOR(pg_catalog.+) u.held_message_count
        OPERATOR(pg_catalog.<=) (($11)[)sql" +
                             k_position + R"sql(] OPERATOR(pg_catalog.-) $7))
    AND u.monthly_token_count OPERATOR(pg_catalog.+) u.held_token_count
        OPERATOR(pg_catalog.<=) (($12)[)sql" +
                             k_position + R"sql(] OPERATOR(pg_catalog.-) GREATEST($8, 1))
    AND ($13 IS NULL OR ($13)[)sql" +
                             k_position + R"sql(] IS NULL
        OR (u.monthly_cost OPERATOR(pg_catalog.+) u.held_cost OPERATOR(pg_catalog.+) $9
                OPERATOR(pg_catalog.<=) ($13)[)sql" +
                             k_position + R"sql(]
            AND u.monthly_cost OPERATOR(pg_catalog.+) u.held_cost
                OPERATOR(pg_catalog.<) ($13)[)sql" +
                             k_position + R"sql(]))
    )sql" + k_returning;
constinit Query<User(core::Uuid, core::Instant, core::Date, core::Date, core::Instant,
                     std::span<const std::string_view>, std::int64_t, std::int64_t, core::Amount, core::Instant,
                     std::span<const std::int64_t>, std::span<const std::int64_t>, CostLimits)>
    k_hold{"users", k_hold_text};

constexpr auto k_give_back_due_text = R"sql(
    UPDATE claude_gpt_data.users AS u SET held_message_count = u.held_message_count OPERATOR(pg_catalog.-) $3,
    held_token_count = u.held_token_count OPERATOR(pg_catalog.-) $4, held_cost = u.held_cost OPERATOR(pg_catalog.-) $5,
    next_hold_expiry =
     (SELECT pg_catalog.min(r.expires_at) FROM claude_gpt_data.usage_reservations AS r
      WHERE r.user_id OPERATOR(pg_catalog.=) $1 AND r.expires_at OPERATOR(pg_catalog.>) $2 AND r.status OPERATOR(pg_catalog.=) 'open')
    WHERE u.id OPERATOR(pg_catalog.=) $1 )sql" +
                                      k_returning;
constinit Query<User(core::Uuid, core::Instant, std::int32_t, std::int64_t, core::Amount)> k_give_back_due{
    "users", k_give_back_due_text};

constinit Query<std::int32_t(core::Date)> k_find_lapsed{"users", R"sql(
    SELECT 1 FROM claude_gpt_data.users AS u WHERE u.monthly_reset_date OPERATOR(pg_catalog.<) $1 LIMIT 1
    )sql"};

constinit Query<ResetMonths(core::Uuid, core::Date, std::int64_t)> k_reset_lapsed{"users", R"sql(
    WITH due AS MATERIALIZED (SELECT u.id FROM claude_gpt_data.users AS u
     WHERE u.id OPERATOR(pg_catalog.>=) $1 AND u.monthly_reset_date OPERATOR(pg_catalog.<) $2
     ORDER BY u.id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED),
    done AS (UPDATE claude_gpt_data.users AS u SET monthly_message_count = 0, monthly_token_count = 0, monthly_api_call_count = 0,
     monthly_cost = 0, monthly_reset_date = $2
     WHERE u.id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT d.id FROM due AS d)) AND u.monthly_reset_date OPERATOR(pg_catalog.<) $2 RETURNING 1)
    SELECT (SELECT pg_catalog.count(*) FROM due AS d), (SELECT pg_catalog.count(*) FROM done AS o),
    (SELECT d.id FROM due AS d ORDER BY d.id DESC LIMIT 1)
    )sql"};

Consume& statement_of(Counter counter) {
  switch (counter) {
    case Counter::messages: return k_consume_messages;
    case Counter::tokens: return k_consume_tokens;
    case Counter::api_calls: break;
  }
  return k_consume_api_calls;
}

}  // namespace

Result<User> find_user(Spi& spi, const core::Uuid& id, Access access) { return spi.execute(k_find, access, id); }

Result<User> lock_user(Spi& spi, const core::Uuid& id) { return spi.execute(k_lock, Access::read_write, id); }

Result<User> lock_user_if_free(Spi& spi, const core::Uuid& id) {
  return spi.execute(k_lock_if_free, Access::read_write, id);
}

Result<User> change_counters(Spi& spi, const core::Uuid& id, const CounterChange& change, core::Instant now,
                             core::Date month) {
  return spi.execute(k_change, Access::read_write, id, change.messages, change.tokens, change.api_calls, change.cost,
                     change.held_messages, change.held_tokens, change.held_cost, change.hold_expiry, now, month);
}

bool count_in_month(Spi& spi, const core::Uuid& id, std::int32_t messages, std::int64_t tokens, UnreadNumeric cost,
                    core::Instant now, core::Date month, core::Date next_month) {
  return !spi.execute(k_count_in_month, Access::read_write, id, messages, tokens, cost, now, month, next_month).empty();
}

Result<User> consume_in_one_step(Spi& spi, const OneStep& step, Counter counter, std::int64_t quantity,
                                 std::span<const std::int64_t> limits) {
  return spi.execute(statement_of(counter), Access::read_write, step.user_id, step.now, step.month, step.next_month,
                     step.lapsed_before, step.tiers, quantity, limits, step.cost_limits);
}

Result<User> hold_in_one_step(Spi& spi, const OneStep& step, const HeldInOneStep& held) {
  return spi.execute(k_hold, Access::read_write, step.user_id, step.now, step.month, step.next_month,
                     step.lapsed_before, step.tiers, held.messages, held.tokens, held.cost, held.until,
                     held.message_limits, held.token_limits, step.cost_limits);
}

Result<User> give_back_due(Spi& spi, const core::Uuid& id, core::Instant now, const DueHolds& due) {
  return spi.execute(k_give_back_due, Access::read_write, id, now, due.messages, due.tokens, due.cost);
}

bool has_lapsed_months(Spi& spi, core::Date month) {
  return !spi.execute(k_find_lapsed, Access::read_write, month).empty();
}

ResetMonths reset_lapsed_months(Spi& spi, const core::Uuid& from, core::Date month, std::int64_t most) {
  return spi.execute(k_reset_lapsed, Access::read_write, from, month, most).first();
}

}  // namespace claude_gpt::store
