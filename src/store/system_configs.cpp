#include "store/system_configs.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

constinit Query<Config()> k_read_active{"system_configs", R"sql(
    SELECT c.config_key, c.config_value FROM claude_gpt_data.system_configs AS c WHERE c.is_active
    )sql"};

constexpr SqlText k_of_active_plans{R"sql(
    FROM claude_gpt_data.system_configs AS c
    WHERE c.config_key OPERATOR(pg_catalog.=) 'subscription_plans' AND c.is_active
    )sql"};

// FOR SHARE, which an UPDATE of the row waits for: FOR KEY SHARE would let another session take the plan out of it.
constexpr auto k_keep_plan_text = R"sql(
    SELECT c.config_value OPERATOR(pg_catalog.->) $1 IS NOT NULL )sql" +
                                  k_of_active_plans + R"sql( FOR SHARE
    )sql";
constinit Query<bool(std::string_view)> k_keep_plan{"system_configs", k_keep_plan_text};

constexpr auto k_read_plans_text = R"sql(
    SELECT c.config_value::pg_catalog.text )sql" +
                                   k_of_active_plans;
constinit Query<std::string_view()> k_read_plans{"system_configs", k_read_plans_text};

constinit Query<RemovedPlans(std::string_view, std::optional<std::string_view>)> k_find_removed{"system_configs", R"sql(
    SELECT pg_catalog.array_agg(p.tier), pg_catalog.bool_or(p.tier OPERATOR(pg_catalog.=) 'free')
    FROM pg_catalog.jsonb_object_keys(
        CASE WHEN pg_catalog.jsonb_typeof($1::pg_catalog.jsonb) OPERATOR(pg_catalog.=) 'object'
            THEN $1::pg_catalog.jsonb ELSE '{}' END) AS p (tier)
    WHERE NOT COALESCE($2::pg_catalog.jsonb OPERATOR(pg_catalog.?) p.tier, false)
    )sql"};

}  // namespace

Result<Config> read_active_configs(Spi& spi) { return spi.execute(k_read_active, Access::latest); }

bool keep_plan(Spi& spi, std::string_view tier) {
  return spi.execute(k_keep_plan, Access::latest_lock, tier).find().value_or(false);
}

std::optional<std::string> read_active_plans(Spi& spi) {
  const auto plans = spi.execute(k_read_plans, Access::latest).find();
  return plans ? std::optional{std::string(*plans)} : std::nullopt;
}

RemovedPlans find_removed_plans(Spi& spi, std::string_view before, std::optional<std::string_view> after) {
  return spi.execute(k_find_removed, Access::read_only, before, after).first();
}

}  // namespace claude_gpt::store
