#include "store/subscription_history.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<void(core::Uuid, std::string_view, std::string_view, std::optional<std::string_view>,
                     std::optional<core::Instant>, std::string_view, std::optional<UnreadJsonb>)>
    k_record{"subscription_history", R"sql(
    INSERT INTO claude_gpt_data.subscription_history
    (user_id, subscription_tier, subscription_status, stripe_subscription_id, period_end, event_type, metadata)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    )sql"};

}  // namespace

void record_subscription(Spi& spi, const core::Uuid& user_id, const SubscriptionEvent& event) {
  spi.execute(k_record, Access::read_write, user_id, event.tier, event.status, event.subscription_id, event.period_end,
              event.event_type, event.metadata);
}

}  // namespace claude_gpt::store
