// Topic config: the triggers of system_configs, the cache over it, configuration_problems(), current_billing_period().
#include "api/config.hpp"

#include "api/schema.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/json.hpp"
#include "bridge/memory.hpp"
#include "bridge/record.hpp"
#include "bridge/relcache.hpp"
#include "bridge/spi.hpp"
#include "bridge/trigger.hpp"
#include "store/system_configs.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

constexpr core::ServerKnowledge k_server{clock::is_time_zone, clock::interval_length};

constinit relcache::Watch configs_watch{"system_configs"};

struct Cache {
  explicit Cache(ContextMemory* memory) : configuration(memory) {}
  core::Configuration configuration;
  std::uint64_t generation = 0;   // of the table, before its rows were read
  core::BillingMonth month = {};  // empty until asked for; so day
  core::BillingDay day = {};
};

constinit ContextMemory* cache_memory = nullptr;
constinit Cache* cache = nullptr;

// Owns the memory of a cache that is being filled: a failure on the way frees it.
class Filling {
 public:
  Filling() : memory_(ContextMemory::create("claude_gpt configuration")) {}
  ~Filling() {
    if (memory_ != nullptr) memory_->drop();
  }
  Filling(const Filling&) = delete;
  Filling& operator=(const Filling&) = delete;

  ContextMemory* memory() const { return memory_; }
  ContextMemory* release() { return std::exchange(memory_, nullptr); }

 private:
  ContextMemory* memory_;
};

// The value of a known key, put into a configuration.
std::optional<core::Configuration::Problem> apply_jsonb(core::Configuration& configuration, std::string_view key,
                                                        Datum value, core::Configuration::Source source) {
  const auto document = read_jsonb(value);
  if (!document) return core::Configuration::Problem{"$", "is nested too deeply"};
  return configuration.apply(key, *document, k_server, source);
}

void read_rows(core::Configuration& configuration) {
  Spi spi;
  const auto configs = store::read_active_configs(spi);
  for (std::uint64_t row = 0; row < configs.count(); ++row) {
    const auto key = configs.get<&store::Config::key>(row);
    if (!core::Configuration::knows(key)) continue;
    if (const auto problem = apply_jsonb(configuration, key, configs.get<&store::Config::value>(row).datum,
                                         core::Configuration::Source::table))
      configuration.mark_invalid(key, *problem);
  }
  spi.finish();
}

Cache& current_cache() {
  const std::uint64_t generation = configs_watch.generation();
  if (cache != nullptr && cache->generation == generation) return *cache;

  Filling filling;
  Cache* filled = filling.memory()->make<Cache>(filling.memory());
  read_rows(filled->configuration);
  // A change that arrived while the rows were read leaves an older generation here: read again next time.
  filled->generation = generation;
  if (cache_memory != nullptr) cache_memory->drop();
  cache_memory = filling.release();
  cache = filled;
  return *cache;
}

}  // namespace

const core::Configuration& configuration() { return current_cache().configuration; }

core::BillingMonth billing_month(core::Instant moment) {
  Cache& current = current_cache();
  if (!current.month.contains(moment))
    current.month = clock::month_of(moment, current.configuration.billing_timezone());
  return current.month;
}

core::BillingDay billing_day(core::Instant moment) {
  Cache& current = current_cache();
  if (!current.day.contains(moment)) current.day = clock::day_of(moment, current.configuration.billing_timezone());
  return current.day;
}

core::Instant billing_day_begins(core::Date day) { return clock::begin_of(day, configuration().billing_timezone()); }

CLAUDE_GPT_FUNCTION(validate_system_config) {
  Trigger trigger{call};
  trigger.require_before_row("validate_system_config");
  const Value key = trigger.new_value("config_key", Type::text);
  const Value value = trigger.new_value("config_value", Type::jsonb);
  if (key.is_null || value.is_null) return trigger.row();  // NOT NULL says so better

  const auto name = value_as<std::string_view>(key.datum);
  if (!core::Configuration::knows(name)) return trigger.row();
  core::Configuration scratch{std::pmr::get_default_resource()};
  if (const auto problem = apply_jsonb(scratch, name, value.datum, core::Configuration::Source::caller))
    throw core::Failure(core::sqlstate::k_invalid_parameter_value,
                        "invalid value for configuration \"" + std::string(name) + "\"",
                        problem->path + " " + problem->rule + ".");
  return trigger.row();
}

CLAUDE_GPT_FUNCTION(invalidate_system_configs) {
  Trigger trigger{call};
  trigger.require_after("invalidate_system_configs");
  trigger.invalidate_table();
  return no_result();
}

CLAUDE_GPT_FUNCTION(configuration_problems) {
  ResultSet result{call};
  require_current_tables();
  for (const auto& row : configuration().invalid())
    result.add({Value::palloced(std::string_view{row.key}), Value::palloced(std::string_view{row.reason})});
  return no_result();
}

CLAUDE_GPT_FUNCTION(current_billing_period) {
  require_current_tables();
  return Value::of(billing_month(clock::now()).first_day);
}

}  // namespace claude_gpt::api
