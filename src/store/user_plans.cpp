#include "store/user_plans.hpp"

#include <span>

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<std::optional<UnreadText>(core::Uuid, std::string_view, std::string_view, std::optional<core::Instant>,
                                          bool, std::optional<std::string_view>, std::optional<std::int32_t>)>
    k_set_subscription{"users", R"sql(
    UPDATE claude_gpt_data.users AS u SET subscription_tier = $2, subscription_status = $3,
    subscription_current_period_end = $4, subscription_cancel_at_period_end = $5,
    subscription_id = COALESCE($6, u.subscription_id), billing_anchor_day = COALESCE($7, u.billing_anchor_day)
    WHERE u.id OPERATOR(pg_catalog.=) $1 RETURNING u.subscription_id
    )sql"};

constinit Query<UsersOfPlan(std::span<const std::string_view>)> k_count_users_of_plans{"users", R"sql(
    SELECT u.subscription_tier::pg_catalog.text, pg_catalog.count(*) FROM claude_gpt_data.users AS u
    WHERE u.subscription_tier::pg_catalog.text OPERATOR(pg_catalog.=) ANY ($1)
    GROUP BY u.subscription_tier ORDER BY u.subscription_tier
    )sql"};

}  // namespace

Result<std::optional<UnreadText>> set_subscription(Spi& spi, const core::Uuid& user_id,
                                                   const Subscription& subscription) {
  return spi.execute(k_set_subscription, Access::read_write, user_id, subscription.tier, subscription.status,
                     subscription.period_end, subscription.cancel_at_period_end, subscription.id,
                     subscription.anchor_day);
}

Result<UsersOfPlan> count_users_of_plans(Spi& spi, UnreadTextArray tiers) {
  return spi.execute(k_count_users_of_plans, Access::latest_lock, tiers);
}

}  // namespace claude_gpt::store
