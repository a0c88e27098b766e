#include "store/usage_records.hpp"

#include "core/amount.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

// No column is left to its default: the other way to write a record does not ask it.
constexpr SqlText k_insert{R"sql(
    INSERT INTO claude_gpt_data.usage_records
    (user_id, usage_type, quantity, cost, billing_period, model_used, message_id, conversation_id, metadata, id, created_at)
    )sql"};

constexpr auto k_insert_one_text = k_insert + R"sql(VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, CURRENT_TIMESTAMP)
    )sql";
constinit Query<void(core::Uuid, std::string_view, std::int64_t, core::Amount, core::Date,
                     std::optional<std::string_view>, std::optional<core::Uuid>, std::optional<core::Uuid>,
                     std::optional<UnreadJsonb>, core::Uuid)>
    k_insert_one{"usage_records", k_insert_one_text};

constexpr auto k_insert_messages_and_tokens_text =
    k_insert + R"sql(SELECT $1, k.usage_type, k.quantity, k.cost, $5, $6, k.message_id, k.conversation_id, k.metadata,
      claude_gpt.uuid_v7(), CURRENT_TIMESTAMP
    FROM (VALUES ('message', $2, 0.0, NULL::pg_catalog.uuid, NULL::pg_catalog.uuid, NULL::pg_catalog.jsonb),
                 ('token', $3, $4::pg_catalog.numeric(20,9), $7, $8, $9))
      AS k (usage_type, quantity, cost, message_id, conversation_id, metadata)
    WHERE k.quantity OPERATOR(pg_catalog.>) 0 OR k.cost OPERATOR(pg_catalog.>) 0
    )sql";
constinit Query<void(core::Uuid, std::int64_t, std::int64_t, core::Amount, core::Date, std::optional<std::string_view>,
                     std::optional<core::Uuid>, std::optional<core::Uuid>, std::optional<UnreadJsonb>)>
    k_insert_messages_and_tokens{"usage_records", k_insert_messages_and_tokens_text};

}  // namespace

void insert_usage_record(Spi& spi, const core::Uuid& id, const core::Uuid& user_id, std::string_view usage_type,
                         std::int64_t quantity, UnreadNumeric cost, core::Date month, const UsageDetail& detail) {
  spi.execute(k_insert_one, Access::read_write, user_id, usage_type, quantity, cost, month, detail.model,
              detail.message_id, detail.conversation_id, detail.metadata, id);
}

void insert_records_of_messages_and_tokens(Spi& spi, const core::Uuid& user_id, std::int64_t messages,
                                           std::int64_t tokens, UnreadNumeric cost, core::Date month,
                                           const UsageDetail& detail) {
  spi.execute(k_insert_messages_and_tokens, Access::read_write, user_id, messages, tokens, cost, month, detail.model,
              detail.message_id, detail.conversation_id, detail.metadata);
}

}  // namespace claude_gpt::store
