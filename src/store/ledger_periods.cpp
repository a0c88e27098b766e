#include "store/ledger_periods.hpp"

#include "store/books.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

// Read by column.
struct Booked {
  std::int64_t messages;
  std::int64_t tokens;
  std::int64_t api_calls;
  core::Amount cost;
};

// $2 to $3.
constinit Query<Booked(core::Uuid, core::Date, core::Date)> k_booked{"usage_records", R"sql(
    SELECT COALESCE(pg_catalog.sum(e.quantity) FILTER (WHERE e.usage_type OPERATOR(pg_catalog.=) 'message'), 0)::pg_catalog.int8,
    COALESCE(pg_catalog.sum(e.quantity) FILTER (WHERE e.usage_type OPERATOR(pg_catalog.=) 'token'), 0)::pg_catalog.int8,
    COALESCE(pg_catalog.sum(e.quantity) FILTER (WHERE e.usage_type OPERATOR(pg_catalog.=) 'api_call'), 0)::pg_catalog.int8,
    COALESCE(pg_catalog.sum(e.cost), 0)
    FROM (SELECT r.usage_type, r.quantity, r.cost FROM claude_gpt_data.usage_records AS r
          WHERE r.user_id OPERATOR(pg_catalog.=) $1 AND r.billing_period OPERATOR(pg_catalog.>=) $2 AND r.billing_period OPERATOR(pg_catalog.<=) $3
          UNION ALL
          SELECT b.usage_type, b.quantity, b.cost FROM claude_gpt_data.usage_balances AS b
          WHERE b.user_id OPERATOR(pg_catalog.=) $1 AND b.billing_period OPERATOR(pg_catalog.>=) $2 AND b.billing_period OPERATOR(pg_catalog.<=) $3) AS e
    )sql"};

// Their moment is of the clock that was ahead: the last one of the period stands in for it.
constinit Query<void(core::Uuid, core::Date, core::Date, core::Instant)> k_move_records{"usage_records", R"sql(
    UPDATE claude_gpt_data.usage_records AS r SET billing_period = $3, created_at = LEAST(r.created_at, $4)
    WHERE r.user_id OPERATOR(pg_catalog.=) $1 AND r.billing_period OPERATOR(pg_catalog.>) $2
    )sql"};

constinit Query<void(core::Uuid, core::Date, core::Date)> k_move_balances{"usage_balances", R"sql(
    WITH later AS (DELETE FROM claude_gpt_data.usage_balances AS b
     WHERE b.user_id OPERATOR(pg_catalog.=) $1 AND b.billing_period OPERATOR(pg_catalog.>) $2 RETURNING b.usage_type, b.quantity, b.cost)
    INSERT INTO claude_gpt_data.usage_balances AS o (user_id, usage_type, billing_period, quantity, cost)
    SELECT $1, l.usage_type, $3, pg_catalog.sum(l.quantity), pg_catalog.sum(l.cost) FROM later AS l GROUP BY l.usage_type
    ON CONFLICT ON CONSTRAINT usage_balances_pkey DO UPDATE
    SET quantity = o.quantity OPERATOR(pg_catalog.+) excluded.quantity, cost = o.cost OPERATOR(pg_catalog.+) excluded.cost
    )sql"};

constinit Query<void(core::Uuid, core::Date, std::optional<core::Date>, std::int64_t, std::int64_t, std::int64_t,
                     core::Amount, std::optional<core::Date>)>
    k_put{"users", R"sql(
    UPDATE claude_gpt_data.users AS u SET monthly_reset_date = $2, ledger_ahead_to = $3, monthly_message_count = $4::pg_catalog.int4,
    monthly_token_count = $5, monthly_api_call_count = $6, monthly_cost = $7, billing_period_ends_on = $8 WHERE u.id OPERATOR(pg_catalog.=) $1
    )sql"};

}  // namespace

core::MonthlyUsage booked_usage(Spi& spi, const core::Uuid& user_id, core::Date from, core::Date to) {
  keep_partitions_of_the_ledger(spi);
  const auto booked = spi.execute(k_booked, Access::latest, user_id, from, to);
  return {from, booked.get<&Booked::messages>(), booked.get<&Booked::tokens>(), booked.get<&Booked::api_calls>(),
          booked.get<&Booked::cost>()};
}

void move_later_periods(Spi& spi, const core::Uuid& user_id, core::Date later_than, core::Date to,
                        core::Instant ended) {
  const core::Instant last = ended - core::Duration{1};
  spi.execute(k_move_records, Access::read_write, user_id, later_than, to, last);
  spi.execute(k_move_balances, Access::read_write, user_id, later_than, to);
}

void put_period(Spi& spi, const core::Uuid& user_id, const core::StoredPeriod& period, const core::MonthlyUsage& used) {
  if (spi.execute(k_put, Access::read_write, user_id, period.begins, period.ahead_to, used.messages, used.tokens,
                  used.api_calls, used.cost, period.ends_on)
          .empty())
    throw missing_row();
}

}  // namespace claude_gpt::store
