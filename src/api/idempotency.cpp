#include "api/idempotency.hpp"

#include "api/config.hpp"
#include "api/jobs.hpp"
#include "api/users.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// clang-format off
#define CLAUDE_GPT_FINGERPRINT(text) \
  "pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(" text ", pg_catalog.getdatabaseencoding())), 'hex')"

constinit Statement k_find{
    "idempotency_keys",
    "SELECT k.fingerprint OPERATOR(pg_catalog.=) " CLAUDE_GPT_FINGERPRINT("$3") ","
    " k.limit_name, k.limit_value, k.used, k.held, k.remaining, k.resets_at, k.reservation_id, k.usage_record_id"
    " FROM claude_gpt_data.idempotency_keys AS k"
    " WHERE k.user_id OPERATOR(pg_catalog.=) $1 AND k.idempotency_key OPERATOR(pg_catalog.=) $2"
    " AND k.expires_at OPERATOR(pg_catalog.>) $4",
    {Type::uuid, Type::text, Type::text, Type::timestamptz}};

// One that has expired is written over.
constinit Statement k_remember{
    "idempotency_keys",
    "INSERT INTO claude_gpt_data.idempotency_keys (user_id, idempotency_key, fingerprint, created_at, expires_at,"
    " limit_name, limit_value, used, held, remaining, resets_at, reservation_id, usage_record_id)"
    " VALUES ($1, $2, " CLAUDE_GPT_FINGERPRINT("$3") ", $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    " ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE SET fingerprint = excluded.fingerprint,"
    " created_at = excluded.created_at, expires_at = excluded.expires_at, limit_name = excluded.limit_name,"
    " limit_value = excluded.limit_value, used = excluded.used, held = excluded.held, remaining = excluded.remaining,"
    " resets_at = excluded.resets_at, reservation_id = excluded.reservation_id, usage_record_id = excluded.usage_record_id",
    {Type::uuid, Type::text, Type::text, Type::timestamptz, Type::timestamptz, Type::text, Type::int8, Type::int8, Type::int8,
     Type::int8, Type::timestamptz, Type::uuid, Type::uuid}};
// clang-format on

std::string fingerprint_of(const Call& call, int key_argument, const char* function) {
  std::string fingerprint = core::call_fingerprint({function});
  for (int i = 0; i < call.argument_count(); ++i)
    if (i != key_argument) fingerprint += core::call_fingerprint({call.canonical_text(i)});
  return fingerprint;
}

void require_sound_key(std::string_view key) {
  constexpr std::size_t k_longest = 255;
  if (!key.empty() && key.size() <= k_longest) return;
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_idempotency_key must have from 1 to 255 bytes");
}

std::optional<core::Standing> standing_in(const Rows& row) {
  if (row.is_null(0, 2)) return std::nullopt;
  const auto limit = core::parse_limit(row.get<std::string_view>(0, 2));
  if (!limit) return std::nullopt;
  return core::Standing{*limit, row.find<std::int64_t>(0, 3), row.get<std::int64_t>(0, 4), row.get<std::int64_t>(0, 5),
                        row.find<std::int64_t>(0, 6)};
}

// From $1 to before $2, $3 at most: found, deleted, and how far it came. A key that is being used again is left.
constinit Statement k_delete_expired_batch{"idempotency_keys",
                                           R"sql(
    WITH due AS MATERIALIZED (SELECT k.ctid AS place, k.expires_at FROM claude_gpt_data.idempotency_keys AS k
     WHERE k.expires_at OPERATOR(pg_catalog.>=) $1 AND k.expires_at OPERATOR(pg_catalog.<) $2
     ORDER BY k.expires_at LIMIT $3 FOR UPDATE SKIP LOCKED),
    gone AS (DELETE FROM claude_gpt_data.idempotency_keys AS k WHERE k.ctid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT d.place FROM due AS d))
     AND k.expires_at OPERATOR(pg_catalog.<) $2 RETURNING 1)
    SELECT (SELECT pg_catalog.count(*) FROM due AS d), (SELECT pg_catalog.count(*) FROM gone AS g),
    (SELECT pg_catalog.max(d.expires_at) FROM due AS d), (SELECT pg_catalog.max(d.expires_at)::pg_catalog.text FROM due AS d)
    )sql",
                                           {Type::timestamptz, Type::timestamptz, Type::int8}};

constinit Statement k_find_expired{
    "idempotency_keys",
    "SELECT 1 FROM claude_gpt_data.idempotency_keys AS k WHERE k.expires_at OPERATOR(pg_catalog.<) $1 LIMIT 1",
    {Type::timestamptz}};

class IdempotencyPrune final : public CopiedWork<IdempotencyPrune> {
 public:
  explicit IdempotencyPrune(core::Instant now) : now_(now), expired_(k_delete_expired_batch, now) {}
  bool is_needed(Spi& spi) override {
    return !spi.execute(k_find_expired, {Value::of(now_)}, Access::read_write).empty();
  }
  Batch next(Spi& spi, std::int64_t size) override { return expired_.next(spi, size); }

 private:
  core::Instant now_;
  TimeWalk expired_;
};

}  // namespace

IdempotentCall::IdempotentCall(Spi& spi, const core::Uuid& user_id, const Call& call, int key_argument,
                               const char* function, core::Instant now)
    : spi_(spi), user_id_(user_id), key_(call.argument(key_argument)), now_(now) {
  if (key_.is_null) return;
  require_sound_key(value_as<std::string_view>(key_.datum));
  fingerprint_ = fingerprint_of(call, key_argument, function);
  lock_user(spi, user_id);
  const Rows found = spi.execute(
      k_find, {Value::borrowed(user_id), key_, Value::palloced(fingerprint_), Value::of(now)}, Access::read_write);
  if (found.empty()) return;
  if (!found.get<bool>(0, 1))
    throw core::Failure(
        core::sqlstate::k_idempotency_conflict,
        "idempotency key \"" + std::string(value_as<std::string_view>(key_.datum)) + "\" was used for another call", {},
        "Use a new key for each call, and the same key only to repeat it.");
  answer_ = {standing_in(found), found.find<core::Instant>(0, 7), found.find<core::Uuid>(0, 8),
             found.find<core::Uuid>(0, 9)};
}

void IdempotentCall::remember(const FirstAnswer& answer) {
  if (key_.is_null) return;
  const core::Instant expires_at = now_ + core::Duration{configuration().idempotency_ttl()};
  const auto& standing = answer.standing;
  spi_.execute(
      k_remember,
      {Value::borrowed(user_id_), key_, Value::palloced(fingerprint_), Value::of(now_), Value::of(expires_at),
       standing ? Value::palloced(core::name_of(standing->limit)) : Value::null(),
       standing ? Value::or_null(standing->limit_value) : Value::null(),
       standing ? Value::of(standing->used) : Value::null(), standing ? Value::of(standing->held) : Value::null(),
       standing ? Value::or_null(standing->remaining) : Value::null(), Value::or_null(answer.resets_at),
       Value::or_null(answer.reservation_id), Value::or_null(answer.usage_record_id)},
      Access::read_write);
}

std::unique_ptr<JobWork> make_idempotency_prune(const JobTime& time) {
  return std::make_unique<IdempotencyPrune>(time.now);
}

}  // namespace claude_gpt::api
