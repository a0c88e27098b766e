#include "store/future_times.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

// $1 now, $2 the last period, $3 the latest moment, $4 the latest expiry of a hold, $5 the latest moment of a record.
// By indexes, and of the latest alone where there is none.
constinit Query<FutureTimes(core::Instant, core::Date, core::Instant, core::Instant, core::Instant)> k_count{
    "users", R"sql(
    SELECT 'months of users', pg_catalog.count(*) FROM (
        SELECT u.monthly_reset_date FROM claude_gpt_data.users AS u WHERE u.last_active_on IS NOT NULL
        ORDER BY u.last_active_on DESC LIMIT 1000) AS a
    WHERE a.monthly_reset_date OPERATOR(pg_catalog.>) $2
    UNION ALL
    SELECT 'last activities of users', pg_catalog.count(*) FROM claude_gpt_data.users AS u
    WHERE u.last_active_on OPERATOR(pg_catalog.>=) ($1 AT TIME ZONE 'UTC')::pg_catalog.date AND u.last_active_at OPERATOR(pg_catalog.>) $3
    UNION ALL
    SELECT 'holds', pg_catalog.count(*) FROM claude_gpt_data.usage_reservations AS r
    WHERE r.status OPERATOR(pg_catalog.=) 'open' AND r.expires_at OPERATOR(pg_catalog.>) $4
    UNION ALL
    SELECT 'records of the ledger', pg_catalog.count(*) FROM claude_gpt_data.usage_records AS l WHERE l.created_at OPERATOR(pg_catalog.>) $5
    UNION ALL
    SELECT 'idempotency keys', pg_catalog.count(*) FROM (
        SELECT i.created_at FROM claude_gpt_data.idempotency_keys AS i ORDER BY i.expires_at DESC LIMIT 1000) AS k
    WHERE k.created_at OPERATOR(pg_catalog.>) $3
    )sql",
    Planning::by_values};

// $1 a user or NULL, $2 now, $3 the last period, $4 the latest moment, $5 the latest expiry, $6 the month; $7:
// activities too.
constinit Query<Difference(std::optional<core::Uuid>, core::Instant, core::Date, core::Instant, core::Instant,
                           core::Date, bool)>
    k_find_users{"users", R"sql(
    SELECT u.id, NULL::uuid, d.item, d.recorded, d.proved FROM claude_gpt_data.users AS u
    CROSS JOIN LATERAL (
        SELECT 'monthly_reset_date', u.monthly_reset_date::text, $6::text WHERE u.monthly_reset_date > $3
        UNION ALL SELECT 'next_hold_expiry', u.next_hold_expiry::text, NULL WHERE u.next_hold_expiry > $5
        UNION ALL SELECT 'last_active_at', u.last_active_at::text, $2::text WHERE $7 AND u.last_active_at > $4
    ) AS d (item, recorded, proved)
    WHERE ($1 IS NULL OR u.id = $1) AND (u.monthly_reset_date > $3 OR u.next_hold_expiry > $5 OR $7 AND u.last_active_at > $4)
    ORDER BY u.id, d.item
    )sql",
                 Planning::by_values};

constinit Query<core::Uuid(std::optional<core::Uuid>)> k_find_later_periods{"users", R"sql(
    SELECT u.id FROM claude_gpt_data.users AS u WHERE u.ledger_ahead_to IS NOT NULL AND ($1 IS NULL OR u.id = $1) ORDER BY u.id
    )sql",
                                                                            Planning::by_values};

constinit Query<std::optional<UnreadText>(core::Uuid)> k_find_expiry{"users", R"sql(
    SELECT u.next_hold_expiry::text FROM claude_gpt_data.users AS u WHERE u.id = $1
    )sql"};

constinit Query<Difference(std::optional<core::Uuid>, core::Instant, core::Instant)> k_bring_records{
    "usage_records", R"sql(
    WITH near AS (
        UPDATE claude_gpt_data.usage_records AS r SET created_at = $2
        WHERE r.created_at > $3 AND ($1 IS NULL OR r.user_id = $1) RETURNING r.user_id)
    SELECT n.user_id, NULL::uuid, 'usage_records.created_at', NULL::text, $2::text
    FROM near AS n WHERE n.user_id IS NOT NULL GROUP BY n.user_id ORDER BY n.user_id
    )sql",
    Planning::by_values};

constinit Query<Difference(std::optional<core::Uuid>, core::Instant, core::Instant)> k_bring_keys{"idempotency_keys",
                                                                                                  R"sql(
    WITH near AS (
        UPDATE claude_gpt_data.idempotency_keys AS k SET created_at = $2, expires_at = $2 + (k.expires_at - k.created_at)
        WHERE k.created_at > $3 AND k.expires_at > $3 AND ($1 IS NULL OR k.user_id = $1) RETURNING k.user_id, k.expires_at)
    SELECT n.user_id, NULL::uuid, 'idempotency_keys.expires_at', NULL::text, max(n.expires_at)::text
    FROM near AS n GROUP BY n.user_id ORDER BY n.user_id
    )sql",
                                                                                                  Planning::by_values};

// $1 a user or NULL, $2 the latest moment, $3 that of a record.
constinit Query<std::int32_t(std::optional<core::Uuid>, core::Instant, core::Instant)> k_find_one{"usage_records",
                                                                                                  R"sql(
    SELECT 1 WHERE EXISTS (SELECT FROM claude_gpt_data.usage_records AS r WHERE r.created_at > $3 AND ($1 IS NULL OR r.user_id = $1))
    OR EXISTS (SELECT FROM claude_gpt_data.idempotency_keys AS k
               WHERE k.created_at > $2 AND k.expires_at > $2 AND ($1 IS NULL OR k.user_id = $1))
    )sql",
                                                                                                  Planning::by_values};

}  // namespace

Result<FutureTimes> count_future_times(Spi& spi, const Believed& believed) {
  return spi.execute(k_count, Access::latest, believed.now, believed.last_period, believed.moment, believed.expiry,
                     believed.record);
}

Result<Difference> find_users_of_the_future(Spi& spi, std::optional<core::Uuid> user_id, const Believed& believed,
                                            bool with_activities, Access access) {
  return spi.execute(k_find_users, access, user_id, believed.now, believed.last_period, believed.moment,
                     believed.expiry, believed.month, with_activities);
}

Result<core::Uuid> find_users_with_later_periods(Spi& spi, std::optional<core::Uuid> user_id) {
  return spi.execute(k_find_later_periods, Access::read_write, user_id);
}

std::optional<UnreadText> first_expiry_of(Spi& spi, const core::Uuid& user_id) {
  return spi.execute(k_find_expiry, Access::read_write, user_id).first();
}

bool has_records_of_the_future(Spi& spi, std::optional<core::Uuid> user_id, const Believed& believed) {
  return !spi.execute(k_find_one, Access::read_write, user_id, believed.moment, believed.record).empty();
}

Result<Difference> bring_records_near(Spi& spi, std::optional<core::Uuid> user_id, const Believed& believed) {
  return spi.execute(k_bring_records, Access::read_write, user_id, believed.began, believed.record);
}

Result<Difference> bring_keys_near(Spi& spi, std::optional<core::Uuid> user_id, const Believed& believed) {
  return spi.execute(k_bring_keys, Access::read_write, user_id, believed.now, believed.moment);
}

}  // namespace claude_gpt::store
