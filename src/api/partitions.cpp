// Topic partitions: create_partitions(), drop_partitions_before(), partition_table(); and the jobs partition_upkeep,
// audit_prune, usage_prune and analyze. What one step does is SQL (sql/functions/partitions.sql): each is a
// transaction of its own, under a lock time-out, and can be interrupted and begun again.
#include <algorithm>
#include <array>
#include <functional>

#include "api/attempts.hpp"
#include "api/config.hpp"
#include "api/jobs.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/report.hpp"
#include "store/partitions.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// Steps until nothing is left, each told to the client.
void take_steps(Transactions& transactions, const std::function<std::string(Spi&)>& step) {
  for (;;) {
    std::string done;
    const auto problem = attempt(transactions, [&](Spi& spi) { done = step(spi); });
    if (problem) problem->raise();
    if (done.empty()) return;
    report::notice(done.c_str(), nullptr);
  }
}

// Rows of four weeks to come have their partitions, and with wide ones the next is there. The running period of
// messages is the default's, and none that is about to begin may be on the way: its ids are refused for as long as that
// takes.
constexpr core::Duration k_ahead{28 * core::k_microseconds_per_day};
constexpr core::Duration k_margin_of_messages{core::k_microseconds_per_day};

struct Table {
  const char* name;
  std::string_view core::PartitionWidths::*width;
  core::Duration margin;
};
constexpr std::array<Table, 3> k_tables = {{{"audit_logs", &core::PartitionWidths::audit_logs, {}},
                                            {"usage_records", &core::PartitionWidths::usage_records, {}},
                                            {"messages", &core::PartitionWidths::messages, k_margin_of_messages}}};

// The configured width, or nothing for another table, which the step refuses.
std::string_view width_of(std::string_view table) {
  for (const Table& each : k_tables)
    if (table == each.name) return configuration().partitions().*each.width;
  return {};
}

class PartitionUpkeep final : public CopiedWork<PartitionUpkeep> {
 public:
  explicit PartitionUpkeep(const JobTime& time) : now_(time.now), first_(static_cast<std::size_t>(time.failures)) {}

  bool is_needed(Spi& spi) override {
    return std::ranges::any_of(k_tables, [&](const Table& table) {
      return store::is_partitioned(spi, table.name) &&
             store::has_partition_work(spi, table.name, now_ + table.margin, now_ + k_ahead, width_of(table.name));
    });
  }

  Batch next(Spi& spi, std::int64_t) override {
    for (; done_ < k_tables.size(); ++done_) {
      const Table& table = k_tables[(first_ + done_) % k_tables.size()];
      if (!store::is_partitioned(spi, table.name)) continue;
      const std::string done =
          store::create_next_partition(spi, table.name, now_ + table.margin, now_ + k_ahead, width_of(table.name));
      if (!done.empty()) return {.rows = 1, .has_more = true, .progress = done};
    }
    return {};
  }

 private:
  core::Instant now_;
  std::size_t first_;  // another after each failure: a table that cannot be had does not keep the others waiting
  std::size_t done_ = 0;
};

// Whole partitions first, then what is left of the older rows, block by block.
class Prune final : public CopiedWork<Prune> {
 public:
  Prune(const char* table, store::OldRowsOf rows, core::Instant before) : table_(table), rows_(rows), before_(before) {}

  bool is_needed(Spi& spi) override { return store::has_rows_before(spi, rows_, before_); }

  Batch next(Spi& spi, std::int64_t size) override {
    if (!partitions_are_dropped_) {
      const std::string done = store::drop_next_partition_before(spi, table_, before_);
      if (!done.empty()) return {.has_more = true, .progress = done};
      partitions_are_dropped_ = true;
    }
    const auto blocks = static_cast<std::int32_t>(std::max<std::int64_t>(size / k_rows_of_a_block, 1));
    using store::DeletedBlocks;
    const auto walked = store::delete_rows_before(spi, table_, before_, partition_, block_, blocks);
    const auto deleted = static_cast<std::uint64_t>(walked.get<&DeletedBlocks::deleted>());
    partition_ = walked.get<&DeletedBlocks::next_partition>();
    block_ = walked.get<&DeletedBlocks::next_block>().value_or(0);
    return {.rows = deleted,
            .has_more = partition_.has_value(),
            .progress = deleted > 0 ? std::string(walked.get<&DeletedBlocks::done>()) : ""};
  }

 private:
  static constexpr std::int64_t k_rows_of_a_block = 32;

  const char* table_;
  store::OldRowsOf rows_;
  core::Instant before_;
  bool partitions_are_dropped_ = false;
  std::optional<std::int64_t> partition_;
  std::int64_t block_ = 0;
};

class Analyze final : public CopiedWork<Analyze> {
 public:
  bool is_needed(Spi& spi) override { return store::find_stale_statistics(spi).has_value(); }

  Batch next(Spi& spi, std::int64_t) override {
    const auto table = store::find_stale_statistics(spi);
    // Statistics arrive a moment after the commit: no table twice in a run.
    if (!table || last_ == *table) return {};
    store::analyze(spi, *table);
    last_ = *table;
    return {.rows = 1, .has_more = true, .progress = "analyzed " + *table};
  }

 private:
  std::string last_;
};

}  // namespace

std::unique_ptr<JobWork> make_partition_upkeep(const JobTime& time) { return std::make_unique<PartitionUpkeep>(time); }

std::unique_ptr<JobWork> make_audit_prune(const JobTime& time) {
  const auto kept = configuration().retention().audit_logs;
  if (!kept) return make_idle_work();
  return std::make_unique<Prune>("audit_logs", store::OldRowsOf::audit_logs, time.now - core::Duration{*kept});
}

std::unique_ptr<JobWork> make_usage_prune(const JobTime& time) {
  const auto kept = configuration().retention().usage_records;
  if (!kept) return make_idle_work();
  return std::make_unique<Prune>("usage_records", store::OldRowsOf::usage_records, time.now - core::Duration{*kept});
}

std::unique_ptr<JobWork> make_analyze(const JobTime&) { return std::make_unique<Analyze>(); }

CLAUDE_GPT_FUNCTION(create_partitions) {
  const std::string table{call.required(arg::create_partitions::p_table)};
  const auto from = call.required(arg::create_partitions::p_from);
  const auto to = call.required(arg::create_partitions::p_to);
  const auto given_width = call.find(arg::create_partitions::p_width);
  require_current_tables();
  const std::string width{given_width ? *given_width : width_of(table)};
  Transactions transactions{call};
  take_steps(transactions, [&](Spi& spi) { return store::create_next_partition(spi, table, from, to, width); });
  transactions.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(drop_partitions_before) {
  const std::string table{call.required(arg::drop_partitions_before::p_table)};
  const auto before = call.required(arg::drop_partitions_before::p_before);
  require_current_tables();
  Transactions transactions{call};
  take_steps(transactions, [&](Spi& spi) { return store::drop_next_partition_before(spi, table, before); });
  transactions.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(partition_table) {
  const std::string table{call.required(arg::partition_table::p_table)};
  const std::string width{call.required(arg::partition_table::p_width)};
  require_current_tables();
  Transactions transactions{call};
  take_steps(transactions, [&](Spi& spi) { return store::partition_next(spi, table, width, clock::now()); });
  transactions.finish();
  return no_result();
}

}  // namespace claude_gpt::api
