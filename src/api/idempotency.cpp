#include "api/idempotency.hpp"

#include "api/config.hpp"
#include "api/jobs.hpp"
#include "api/users.hpp"
#include "store/idempotency_keys.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

std::string fingerprint_of(const Call& call, int key, const char* function) {
  std::string fingerprint = core::call_fingerprint({function});
  for (int i = 0; i < key; ++i) fingerprint += core::call_fingerprint({call.canonical_text(i)});
  // Parameters that came after the key in a later release: a call that says nothing of them is the call it was before.
  for (int i = key + 1; i < call.argument_count(); ++i)
    if (!call.is_null(i)) fingerprint += core::call_fingerprint({std::to_string(i), call.canonical_text(i)});
  return fingerprint;
}

void require_sound_key(std::string_view key) {
  constexpr std::size_t k_longest = 255;
  if (!key.empty() && key.size() <= k_longest) return;
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_idempotency_key must have from 1 to 255 bytes");
}

std::optional<core::Standing> standing_in(const Result<store::FoundKey>& key) {
  const auto name = key.get<&store::FoundKey::limit_name>();
  const auto limit = name ? core::parse_limit(*name) : std::nullopt;
  if (!limit) return std::nullopt;
  return core::Standing{*limit, key.get<&store::FoundKey::limit_value>(), key.get<&store::FoundKey::used>(),
                        key.get<&store::FoundKey::held>(), key.get<&store::FoundKey::remaining>()};
}

FirstAnswer answer_in(const Result<store::FoundKey>& found) {
  return {standing_in(found), found.get<&store::FoundKey::resets_at>(), found.get<&store::FoundKey::reservation_id>(),
          found.get<&store::FoundKey::usage_record_id>()};
}

store::KeptAnswer kept(const FirstAnswer& answer) {
  store::KeptAnswer kept;
  if (const auto& standing = answer.standing) {
    kept.limit_name = core::name_of(standing->limit);
    kept.limit_value = standing->limit_value;
    kept.used = standing->used;
    kept.held = standing->held;
    kept.remaining = standing->remaining;
  }
  kept.resets_at = answer.resets_at;
  kept.reservation_id = answer.reservation_id;
  kept.usage_record_id = answer.usage_record_id;
  return kept;
}

class IdempotencyPrune final : public CopiedWork<IdempotencyPrune> {
 public:
  explicit IdempotencyPrune(core::Instant now) : now_(now), expired_(store::delete_expired_idempotency_keys, now) {}
  bool is_needed(Spi& spi) override { return store::has_expired_idempotency_keys(spi, now_); }
  Batch next(Spi& spi, std::int64_t size) override { return expired_.next(spi, size); }

 private:
  core::Instant now_;
  TimeWalk expired_;
};

}  // namespace

IdempotentCall::IdempotentCall(const core::Uuid& user_id, const Call& call, const Parameter<std::string_view>& key,
                               const char* function, core::Instant now)
    : user_id_(user_id), key_(call.find<UnreadText>(key)), now_(now) {
  if (!key_) return;
  require_sound_key(value_as<std::string_view>(key_->datum));
  fingerprint_ = fingerprint_of(call, key.index, function);
  lock_user(user_id);
  Spi spi;
  const auto found = store::find_idempotency_key(spi, user_id, *key_, fingerprint_, now);
  if (!found.empty() && !found.get<&store::FoundKey::is_of_this_call>())
    throw core::Failure(
        core::sqlstate::k_idempotency_conflict,
        "idempotency key \"" + std::string(value_as<std::string_view>(key_->datum)) + "\" was used for another call",
        {}, "Use a new key for each call, and the same key only to repeat it.");
  if (!found.empty()) answer_ = answer_in(found);
  spi.finish();
}

void IdempotentCall::remember(const FirstAnswer& answer) {
  if (!key_) return;
  const core::Instant expires_at = now_ + core::Duration{configuration().idempotency_ttl()};
  Spi spi;
  store::keep_idempotency_key(spi, user_id_, *key_, fingerprint_, now_, expires_at, kept(answer));
  spi.finish();
}

std::unique_ptr<JobWork> make_idempotency_prune(const JobTime& time) {
  return std::make_unique<IdempotencyPrune>(time.now);
}

}  // namespace claude_gpt::api
