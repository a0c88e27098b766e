#include "store/idempotency_keys.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constexpr SqlText k_fingerprint{R"sql(
    pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to($3, pg_catalog.getdatabaseencoding())), 'hex')
    )sql"};

constexpr auto k_find_text = R"sql(
    SELECT k.fingerprint OPERATOR(pg_catalog.=) )sql" +
                             k_fingerprint + R"sql(,
    k.limit_name, k.limit_value, k.used, k.held, k.remaining, k.resets_at, k.reservation_id, k.usage_record_id
    FROM claude_gpt_data.idempotency_keys AS k
    WHERE k.user_id OPERATOR(pg_catalog.=) $1 AND k.idempotency_key OPERATOR(pg_catalog.=) $2
    AND k.expires_at OPERATOR(pg_catalog.>) $4
    )sql";
constinit Query<FoundKey(core::Uuid, std::string_view, std::string_view, core::Instant)> k_find{"idempotency_keys",
                                                                                                k_find_text};

constexpr auto k_keep_text = R"sql(
    INSERT INTO claude_gpt_data.idempotency_keys
        (user_id, idempotency_key, fingerprint, created_at, expires_at,
         limit_name, limit_value, used, held, remaining, resets_at, reservation_id, usage_record_id)
    VALUES ($1, $2, )sql" + k_fingerprint +
                             R"sql(, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE SET
        fingerprint = excluded.fingerprint, created_at = excluded.created_at, expires_at = excluded.expires_at,
        limit_name = excluded.limit_name, limit_value = excluded.limit_value, used = excluded.used,
        held = excluded.held, remaining = excluded.remaining, resets_at = excluded.resets_at,
        reservation_id = excluded.reservation_id, usage_record_id = excluded.usage_record_id
    )sql";
constinit Query<void(core::Uuid, std::string_view, std::string_view, core::Instant, core::Instant,
                     std::optional<std::string_view>, std::optional<std::int64_t>, std::optional<std::int64_t>,
                     std::optional<std::int64_t>, std::optional<std::int64_t>, std::optional<core::Instant>,
                     std::optional<core::Uuid>, std::optional<core::Uuid>)>
    k_keep{"idempotency_keys", k_keep_text};

constexpr auto k_delete_expired_text = delete_expired_from("claude_gpt_data.idempotency_keys");
constinit Query<Walked(core::Instant, core::Instant, std::int64_t)> k_delete_expired{"idempotency_keys",
                                                                                     k_delete_expired_text};

constinit Query<std::int32_t(core::Instant)> k_find_expired{"idempotency_keys", R"sql(
    SELECT 1 FROM claude_gpt_data.idempotency_keys AS k WHERE k.expires_at OPERATOR(pg_catalog.<) $1 LIMIT 1
    )sql"};

}  // namespace

Result<FoundKey> find_idempotency_key(Spi& spi, const core::Uuid& user_id, UnreadText key, std::string_view fingerprint,
                                      core::Instant now) {
  return spi.execute(k_find, Access::read_write, user_id, key, fingerprint, now);
}

void keep_idempotency_key(Spi& spi, const core::Uuid& user_id, UnreadText key, std::string_view fingerprint,
                          core::Instant now, core::Instant expires_at, const KeptAnswer& answer) {
  spi.execute(k_keep, Access::read_write, user_id, key, fingerprint, now, expires_at, answer.limit_name,
              answer.limit_value, answer.used, answer.held, answer.remaining, answer.resets_at, answer.reservation_id,
              answer.usage_record_id);
}

Walked delete_expired_idempotency_keys(Spi& spi, core::Instant from, core::Instant before, std::int64_t most) {
  return spi.execute(k_delete_expired, Access::read_write, from, before, most).first();
}

bool has_expired_idempotency_keys(Spi& spi, core::Instant now) {
  return !spi.execute(k_find_expired, Access::read_write, now).empty();
}

}  // namespace claude_gpt::store
