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
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/report.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// By the functions that take a step.
constexpr char k_used[] =
    "claude_gpt_data.audit_logs claude_gpt_data.usage_records claude_gpt_data.usage_balances claude_gpt_data.messages";

constinit Statement k_create_next{"users",
                                  "SELECT claude_gpt_internal.create_next_partition($1, $2, $3, $4)",
                                  {Type::text, Type::timestamptz, Type::timestamptz, Type::text},
                                  Planning::once,
                                  k_used};

constinit Statement k_drop_next{"users",
                                "SELECT claude_gpt_internal.drop_next_partition_before($1, $2)",
                                {Type::text, Type::timestamptz},
                                Planning::once,
                                k_used};

constinit Statement k_partition_step{"users",
                                     "SELECT claude_gpt_internal.partition_table_step($1, $2, $3)",
                                     {Type::text, Type::text, Type::timestamptz},
                                     Planning::once,
                                     k_used};

constinit Statement k_delete_before{"users",
                                    R"sql(
    SELECT d.deleted, d.next_partition::pg_catalog.oid::pg_catalog.int8, d.next_block, d.done
    FROM claude_gpt_internal.delete_rows_before($1, $2, $3::pg_catalog.oid::pg_catalog.regclass, $4, $5) AS d
    )sql",
                                    {Type::text, Type::timestamptz, Type::int8, Type::int8, Type::int4},
                                    Planning::once,
                                    k_used};

// Whether a table is partitioned by now.
constinit Statement k_is_partitioned{nullptr,
                                     R"sql(
    SELECT 1 FROM pg_catalog.pg_class AS c WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace('claude_gpt_data')::pg_catalog.oid
    AND c.relname OPERATOR(pg_catalog.=) $1::pg_catalog.name AND c.relkind OPERATOR(pg_catalog.=) 'p'
    )sql",
                                     {Type::text}};

// Partitions that lie before the moment, or rows that do.
// clang-format off
#define CLAUDE_GPT_HAS_OLDER(table)                                                                                        \
  "SELECT 1 WHERE EXISTS (SELECT 1 FROM claude_gpt.list_partitions('" table "') AS p WHERE p.to_at OPERATOR(pg_catalog.<=) $1)" \
  " OR EXISTS (SELECT 1 FROM claude_gpt_data." table " AS r WHERE r.created_at OPERATOR(pg_catalog.<) $1)"
// clang-format on
constinit Statement k_has_older_audit_logs{
    "audit_logs", CLAUDE_GPT_HAS_OLDER("audit_logs"), {Type::timestamptz}, Planning::by_values};
constinit Statement k_has_older_usage_records{
    "usage_records", CLAUDE_GPT_HAS_OLDER("usage_records"), {Type::timestamptz}, Planning::by_values};

// Partitioned tables of ours that autovacuum never analyzes, since it analyzes their partitions alone: those of which
// a partition was analyzed since, or that never were.
constinit Statement k_find_stale_statistics{nullptr,
                                            R"sql(
    SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace('claude_gpt_data')::pg_catalog.oid
    AND c.relkind OPERATOR(pg_catalog.=) 'p'
    AND c.relname OPERATOR(pg_catalog.=) ANY ('{audit_logs,usage_records,messages}'::pg_catalog.name[])
    AND EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS i WHERE i.inhparent OPERATOR(pg_catalog.=) c.oid
     AND (pg_catalog.pg_stat_get_last_autoanalyze_time(i.inhrelid) OPERATOR(pg_catalog.>) pg_catalog.pg_stat_get_last_analyze_time(c.oid)
      OR (pg_catalog.pg_stat_get_last_analyze_time(c.oid) IS NULL AND pg_catalog.pg_stat_get_live_tuples(i.inhrelid) OPERATOR(pg_catalog.>) 0)))
    ORDER BY c.relname LIMIT 1
    )sql"};

constinit Statement k_has_work{"users",
                               "SELECT 1 WHERE claude_gpt_internal.has_partition_work($1, $2, $3, $4)",
                               {Type::text, Type::timestamptz, Type::timestamptz, Type::text},
                               Planning::once,
                               k_used};

constinit Statement k_analyze_audit_logs{"audit_logs", "ANALYZE claude_gpt_data.audit_logs"};
constinit Statement k_analyze_messages{"messages", "ANALYZE claude_gpt_data.messages"};
constinit Statement k_analyze_usage_records{"usage_records", "ANALYZE claude_gpt_data.usage_records"};

// What a step says it has done; empty when nothing is left.
std::string said(const Rows& step) {
  const auto text = step.find<std::string_view>(0, 1);
  return text ? std::string(*text) : std::string{};
}

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

bool is_partitioned(Spi& spi, const char* table) {
  return !spi.execute(k_is_partitioned, {Value::palloced(table)}, Access::read_write).empty();
}

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
      return is_partitioned(spi, table.name) && !step(spi, k_has_work, table).empty();
    });
  }

  Batch next(Spi& spi, std::int64_t) override {
    for (; done_ < k_tables.size(); ++done_) {
      const Table& table = k_tables[(first_ + done_) % k_tables.size()];
      if (!is_partitioned(spi, table.name)) continue;
      const std::string done = said(step(spi, k_create_next, table));
      if (!done.empty()) return {.rows = 1, .has_more = true, .progress = done};
    }
    return {};
  }

 private:
  Rows step(Spi& spi, Statement& statement, const Table& table) {
    const std::string_view width = configuration().partitions().*table.width;
    return spi.execute(statement,
                       {Value::palloced(table.name), Value::of(now_ + table.margin), Value::of(now_ + k_ahead),
                        Value::palloced(width)},
                       Access::read_write);
  }

  core::Instant now_;
  std::size_t first_;  // another after each failure: a table that cannot be had does not keep the others waiting
  std::size_t done_ = 0;
};

// Whole partitions first, then what is left of the older rows, block by block.
class Prune final : public CopiedWork<Prune> {
 public:
  Prune(const char* table, Statement& has_older, core::Instant before)
      : table_(table), has_older_(has_older), before_(before) {}

  bool is_needed(Spi& spi) override {
    return !spi.execute(has_older_, {Value::of(before_)}, Access::read_write).empty();
  }

  Batch next(Spi& spi, std::int64_t size) override {
    if (!partitions_are_dropped_) {
      const std::string done =
          said(spi.execute(k_drop_next, {Value::palloced(table_), Value::of(before_)}, Access::read_write));
      if (!done.empty()) return {.has_more = true, .progress = done};
      partitions_are_dropped_ = true;
    }
    const auto blocks = static_cast<std::int32_t>(std::max<std::int64_t>(size / k_rows_of_a_block, 1));
    const Rows walked =
        spi.execute(k_delete_before,
                    {Value::palloced(table_), Value::of(before_), partition_, Value::of(block_), Value::of(blocks)},
                    Access::read_write);
    const auto deleted = static_cast<std::uint64_t>(walked.get<std::int64_t>(0, 1));
    const auto next_partition = walked.find<std::int64_t>(0, 2);
    block_ = walked.find<std::int64_t>(0, 3).value_or(0);
    partition_ = Value::or_null(next_partition);
    return {.rows = deleted,
            .has_more = next_partition.has_value(),
            .progress = deleted > 0 ? std::string(walked.get<std::string_view>(0, 4)) : ""};
  }

 private:
  static constexpr std::int64_t k_rows_of_a_block = 32;

  const char* table_;
  Statement& has_older_;
  core::Instant before_;
  bool partitions_are_dropped_ = false;
  Value partition_;
  std::int64_t block_ = 0;
};

class Analyze final : public CopiedWork<Analyze> {
 public:
  bool is_needed(Spi& spi) override { return !spi.execute(k_find_stale_statistics, {}, Access::read_write).empty(); }

  Batch next(Spi& spi, std::int64_t) override {
    const Rows stale = spi.execute(k_find_stale_statistics, {}, Access::read_write);
    // Statistics arrive a moment after the commit: no table twice in a run.
    if (stale.empty() || last_ == stale.get<std::string_view>(0, 1)) return {};
    const std::string table{stale.get<std::string_view>(0, 1)};
    Statement& statement = table == "audit_logs" ? k_analyze_audit_logs
                           : table == "messages" ? k_analyze_messages
                                                 : k_analyze_usage_records;
    spi.execute(statement, {}, Access::read_write);
    last_ = table;
    return {.rows = 1, .has_more = true, .progress = "analyzed " + table};
  }

 private:
  std::string last_;
};

}  // namespace

std::unique_ptr<JobWork> make_partition_upkeep(const JobTime& time) { return std::make_unique<PartitionUpkeep>(time); }

std::unique_ptr<JobWork> make_audit_prune(const JobTime& time) {
  const auto kept = configuration().retention().audit_logs;
  if (!kept) return make_idle_work();
  return std::make_unique<Prune>("audit_logs", k_has_older_audit_logs, time.now - core::Duration{*kept});
}

std::unique_ptr<JobWork> make_usage_prune(const JobTime& time) {
  const auto kept = configuration().retention().usage_records;
  if (!kept) return make_idle_work();
  return std::make_unique<Prune>("usage_records", k_has_older_usage_records, time.now - core::Duration{*kept});
}

std::unique_ptr<JobWork> make_analyze(const JobTime&) { return std::make_unique<Analyze>(); }

CLAUDE_GPT_FUNCTION(create_partitions) {
  const std::string table{call.required<std::string_view>(0, "p_table")};
  const auto from = call.required<core::Instant>(1, "p_from");
  const auto to = call.required<core::Instant>(2, "p_to");
  const auto given_width = call.find<std::string_view>(3);
  require_current_tables();
  const std::string width{given_width ? *given_width : width_of(table)};
  Transactions transactions{call};
  take_steps(transactions, [&](Spi& spi) {
    return said(spi.execute(k_create_next,
                            {Value::palloced(table), Value::of(from), Value::of(to), Value::palloced(width)},
                            Access::read_write));
  });
  transactions.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(drop_partitions_before) {
  const std::string table{call.required<std::string_view>(0, "p_table")};
  const auto before = call.required<core::Instant>(1, "p_before");
  require_current_tables();
  Transactions transactions{call};
  take_steps(transactions, [&](Spi& spi) {
    return said(spi.execute(k_drop_next, {Value::palloced(table), Value::of(before)}, Access::read_write));
  });
  transactions.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(partition_table) {
  const std::string table{call.required<std::string_view>(0, "p_table")};
  const std::string width{call.required<std::string_view>(1, "p_width")};
  require_current_tables();
  Transactions transactions{call};
  take_steps(transactions, [&](Spi& spi) {
    return said(spi.execute(k_partition_step, {Value::palloced(table), Value::palloced(width), Value::of(clock::now())},
                            Access::read_write));
  });
  transactions.finish();
  return no_result();
}

}  // namespace claude_gpt::api
