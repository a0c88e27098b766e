#include "store/usage_reservations.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<void(core::Uuid, core::Uuid, std::int32_t, std::int64_t, core::Amount, std::optional<std::string_view>,
                     core::Instant, core::Instant, std::optional<core::Uuid>, std::optional<core::Uuid>,
                     std::optional<core::Uuid>)>
    k_insert{"usage_reservations", R"sql(
    INSERT INTO claude_gpt_data.usage_reservations
    (id, user_id, message_count, token_count, cost, model_used, created_at, expires_at,
     conversation_id, user_message_id, assistant_message_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    )sql"};

constinit Query<Reservation(core::Uuid, core::Uuid)> k_lock{"usage_reservations", R"sql(
    SELECT r.user_id, r.status, r.message_count, r.token_count, r.cost, r.model_used, r.expires_at, r.conversation_id,
    r.user_message_id, r.assistant_message_id, r.prompt_tokens, r.completion_tokens, r.cached_prompt_tokens,
    r.cache_write_tokens, r.given_cost, r.charged_cost, r.was_late, r.has_failed, r.is_estimated, r.reported_usage
    FROM claude_gpt_data.users AS u
    JOIN claude_gpt_data.usage_reservations AS r ON r.user_id OPERATOR(pg_catalog.=) u.id
    WHERE u.id OPERATOR(pg_catalog.=) $1 AND r.user_id OPERATOR(pg_catalog.=) $1 AND r.id OPERATOR(pg_catalog.=) $2
    FOR NO KEY UPDATE OF u, r
    )sql"};

constexpr SqlText k_of_the_user{R"sql(
    WHERE r.id OPERATOR(pg_catalog.=) $2 AND r.user_id OPERATOR(pg_catalog.=) $1
    )sql"};

constexpr auto k_close_text = R"sql(
    UPDATE claude_gpt_data.usage_reservations AS r
    SET status = $3, closed_at = $4, prompt_tokens = $5, completion_tokens = $6, given_cost = $7, charged_cost = $8,
    was_late = $9, cached_prompt_tokens = $10, cache_write_tokens = $11, has_failed = $12, is_estimated = $13,
    reported_usage = $14
    )sql" + k_of_the_user;
constinit Query<void(core::Uuid, core::Uuid, std::string_view, core::Instant, std::optional<std::int32_t>,
                     std::optional<std::int32_t>, std::optional<core::Amount>, std::optional<core::Amount>, bool,
                     std::optional<std::int32_t>, std::optional<std::int32_t>, std::optional<bool>, std::optional<bool>,
                     std::optional<std::string_view>)>
    k_close{"usage_reservations", k_close_text};

constexpr auto k_find_expiry_text = R"sql(
    SELECT r.expires_at FROM claude_gpt_data.usage_reservations AS r )sql" +
                                    k_of_the_user;
constinit Query<std::optional<core::Instant>(core::Uuid, core::Uuid)> k_find_expiry{"usage_reservations",
                                                                                    k_find_expiry_text};

constexpr auto k_extend_text = R"sql(
    UPDATE claude_gpt_data.usage_reservations AS r SET expires_at = $3 )sql" +
                               k_of_the_user;
constinit Query<void(core::Uuid, core::Uuid, core::Instant)> k_extend{"usage_reservations", k_extend_text};

constexpr auto k_find_turn_text = R"sql(
    SELECT r.conversation_id, r.user_message_id, r.assistant_message_id, r.expires_at
    FROM claude_gpt_data.usage_reservations AS r )sql" +
                                  k_of_the_user;
constinit Query<ReservedTurn(core::Uuid, core::Uuid)> k_find_turn{"usage_reservations", k_find_turn_text};

// $2 now, $3 from when on.
constexpr SqlText k_due{R"sql(
    WHERE r.user_id OPERATOR(pg_catalog.=) $1 AND r.expires_at OPERATOR(pg_catalog.>=) $3
    AND r.expires_at OPERATOR(pg_catalog.<=) $2 AND r.status OPERATOR(pg_catalog.=) 'open'
    )sql"};

constexpr auto k_expire_due_text = R"sql(
    WITH due AS (
    UPDATE claude_gpt_data.usage_reservations AS r SET status = 'expired', closed_at = r.expires_at )sql" +
                                   k_due + R"sql(     RETURNING r.message_count, r.token_count, r.cost)
    SELECT COALESCE(pg_catalog.sum(d.message_count), 0)::pg_catalog.int4, COALESCE(pg_catalog.sum(d.token_count), 0)::pg_catalog.int8,
    COALESCE(pg_catalog.sum(d.cost), 0), pg_catalog.count(*) FROM due AS d
    )sql";
constinit Query<DueHolds(core::Uuid, core::Instant, core::Instant)> k_expire_due{"usage_reservations",
                                                                                 k_expire_due_text};

constexpr auto k_find_due_text = R"sql(
    SELECT COALESCE(pg_catalog.sum(r.message_count), 0)::pg_catalog.int8, COALESCE(pg_catalog.sum(r.token_count), 0)::pg_catalog.int8,
    COALESCE(pg_catalog.sum(r.cost), 0)
    FROM claude_gpt_data.usage_reservations AS r )sql" +
                                 k_due;
constinit Query<StillHeld(core::Uuid, core::Instant, core::Instant)> k_find_due{"usage_reservations", k_find_due_text};

constinit Query<std::optional<core::Instant>(core::Uuid, core::Instant)> k_find_first_expiry{"usage_reservations",
                                                                                             R"sql(
    SELECT pg_catalog.min(r.expires_at) FROM claude_gpt_data.usage_reservations AS r WHERE r.user_id OPERATOR(pg_catalog.=) $1
    AND r.expires_at OPERATOR(pg_catalog.>=) $2 AND r.status OPERATOR(pg_catalog.=) 'open'
    )sql"};

// $1 now, $2 the moment before which nothing is left, $3 that before which closed ones are not kept.
constinit Query<std::int32_t(core::Instant, core::Instant, core::Instant)> k_find_one_to_sweep{"usage_reservations",
                                                                                               R"sql(
    SELECT 1 WHERE EXISTS (SELECT 1 FROM claude_gpt_data.usage_reservations AS r WHERE r.status OPERATOR(pg_catalog.=) 'open'
    AND r.expires_at OPERATOR(pg_catalog.<=) $1 AND r.expires_at OPERATOR(pg_catalog.>=) $2)
    OR EXISTS (SELECT 1 FROM claude_gpt_data.usage_reservations AS r WHERE r.status OPERATOR(pg_catalog.<>) 'open'
    AND r.expires_at OPERATOR(pg_catalog.<) $3 AND r.closed_at OPERATOR(pg_catalog.<) $3)
    )sql",
                                                                                               Planning::by_values};

// $1 now, $2 the moment before which nothing is left; from user $3 on, $4 users at most.
constinit Query<core::Uuid(core::Instant, core::Instant, core::Uuid, std::int64_t)> k_find_users_with_due_holds{
    "usage_reservations", R"sql(
    SELECT DISTINCT r.user_id FROM claude_gpt_data.usage_reservations AS r WHERE r.status OPERATOR(pg_catalog.=) 'open'
    AND r.expires_at OPERATOR(pg_catalog.<=) $1 AND r.expires_at OPERATOR(pg_catalog.>=) $2 AND r.user_id OPERATOR(pg_catalog.>=) $3
    ORDER BY r.user_id LIMIT $4
    )sql",
    Planning::by_values};

constinit Query<void(core::Instant, std::int64_t)> k_delete_closed{"usage_reservations", R"sql(
    DELETE FROM claude_gpt_data.usage_reservations AS r WHERE r.ctid OPERATOR(pg_catalog.=) ANY (ARRAY(
     SELECT o.ctid FROM claude_gpt_data.usage_reservations AS o WHERE o.status OPERATOR(pg_catalog.<>) 'open'
     AND o.expires_at OPERATOR(pg_catalog.<) $1 AND o.closed_at OPERATOR(pg_catalog.<) $1 LIMIT $2 FOR UPDATE SKIP LOCKED))
    AND r.status OPERATOR(pg_catalog.<>) 'open'
    )sql",
                                                                   Planning::by_values};

template <typename T> std::optional<T> of(const std::optional<Charged>& charged, T Charged::*part) {
  return charged ? std::optional<T>{(*charged).*part} : std::nullopt;
}

}  // namespace

void insert_reservation(Spi& spi, const NewReservation& reservation) {
  spi.execute(k_insert, Access::read_write, reservation.id, reservation.user_id, reservation.messages,
              reservation.tokens, reservation.cost, reservation.model, reservation.created_at, reservation.expires_at,
              reservation.conversation_id, reservation.user_message_id, reservation.assistant_message_id);
}

Result<Reservation> lock_reservation(Spi& spi, const core::Uuid& user_id, const core::Uuid& id) {
  return spi.execute(k_lock, Access::read_write, user_id, id);
}

void close_reservation(Spi& spi, const core::Uuid& user_id, const core::Uuid& id, std::string_view status,
                       core::Instant closed_at, bool was_late, const std::optional<Charged>& charged) {
  spi.execute(k_close, Access::read_write, user_id, id, status, closed_at, of(charged, &Charged::prompt_tokens),
              of(charged, &Charged::completion_tokens), charged ? charged->given_cost : std::nullopt,
              of(charged, &Charged::charged_cost), was_late, of(charged, &Charged::cached_prompt_tokens),
              of(charged, &Charged::cache_write_tokens), of(charged, &Charged::has_failed),
              of(charged, &Charged::is_estimated), charged ? charged->reported_usage : std::nullopt);
}

Result<std::optional<core::Instant>> find_expiry(Spi& spi, const core::Uuid& user_id, const core::Uuid& id) {
  return spi.execute(k_find_expiry, Access::read_write, user_id, id);
}

void extend_reservation(Spi& spi, const core::Uuid& user_id, const core::Uuid& id, core::Instant expires_at) {
  spi.execute(k_extend, Access::read_write, user_id, id, expires_at);
}

std::optional<ReservedTurn> find_turn(Spi& spi, const core::Uuid& user_id, const core::Uuid& id) {
  return spi.execute(k_find_turn, Access::read_write, user_id, id).find();
}

DueHolds expire_due(Spi& spi, const core::Uuid& user_id, core::Instant now, core::Instant from) {
  return spi.execute(k_expire_due, Access::read_write, user_id, now, from).first();
}

Result<StillHeld> find_due(Spi& spi, const core::Uuid& user_id, core::Instant now, core::Instant from) {
  return spi.execute(k_find_due, Access::read_only, user_id, now, from);
}

std::optional<core::Instant> find_first_expiry(Spi& spi, const core::Uuid& user_id, core::Instant from) {
  return spi.execute(k_find_first_expiry, Access::read_write, user_id, from).first();
}

bool has_reservations_to_sweep(Spi& spi, core::Instant now, core::Instant due_since, core::Instant kept_since) {
  return !spi.execute(k_find_one_to_sweep, Access::read_write, now, due_since, kept_since).empty();
}

Result<core::Uuid> find_users_with_due_holds(Spi& spi, core::Instant now, core::Instant due_since,
                                             const core::Uuid& from, std::int64_t most) {
  return spi.execute(k_find_users_with_due_holds, Access::read_write, now, due_since, from, most);
}

std::uint64_t delete_closed_reservations(Spi& spi, core::Instant kept_since, std::int64_t most) {
  return spi.execute(k_delete_closed, Access::read_write, kept_since, most).count();
}

}  // namespace claude_gpt::store
