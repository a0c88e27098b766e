#include "store/partitions.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

// By the functions that take a step.
constexpr char k_used[] =
    "claude_gpt_data.audit_logs claude_gpt_data.usage_records claude_gpt_data.usage_balances claude_gpt_data.messages";

using Step = std::optional<std::string_view>;

constinit Query<Step(std::string_view, core::Instant, core::Instant, std::string_view)> k_create_next{"users", R"sql(
    SELECT claude_gpt_internal.create_next_partition($1, $2, $3, $4)
    )sql",
                                                                                                      Planning::once,
                                                                                                      k_used};

constinit Query<Step(std::string_view, core::Instant)> k_drop_next{"users", R"sql(
    SELECT claude_gpt_internal.drop_next_partition_before($1, $2)
    )sql",
                                                                   Planning::once, k_used};

constinit Query<Step(std::string_view, std::string_view, core::Instant)> k_partition_next{"users", R"sql(
    SELECT claude_gpt_internal.partition_table_step($1, $2, $3)
    )sql",
                                                                                          Planning::once, k_used};

constinit Query<std::int32_t(std::string_view, core::Instant, core::Instant, std::string_view)> k_has_work{
    "users", R"sql(
    SELECT 1 WHERE claude_gpt_internal.has_partition_work($1, $2, $3, $4)
    )sql",
    Planning::once, k_used};

constinit Query<DeletedBlocks(std::string_view, core::Instant, std::optional<std::int64_t>, std::int64_t, std::int32_t)>
    k_delete_before{"users", R"sql(
    SELECT d.deleted, d.next_partition::pg_catalog.oid::pg_catalog.int8, d.next_block, d.done
    FROM claude_gpt_internal.delete_rows_before($1, $2, $3::pg_catalog.oid::pg_catalog.regclass, $4, $5) AS d
    )sql",
                    Planning::once, k_used};

constinit Query<std::int32_t(std::string_view)> k_is_partitioned{nullptr, R"sql(
    SELECT 1 FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace('claude_gpt_data')::pg_catalog.oid
    AND c.relname OPERATOR(pg_catalog.=) $1::pg_catalog.name AND c.relkind OPERATOR(pg_catalog.=) 'p'
    )sql"};

template <std::size_t size> constexpr auto has_rows_before_in(const char (&table)[size]) {
  return SqlText{R"sql(
    SELECT 1 WHERE
        EXISTS (SELECT 1 FROM claude_gpt.list_partitions(')sql"} +
         table + R"sql(') AS p WHERE p.to_at OPERATOR(pg_catalog.<=) $1)
        OR EXISTS (SELECT 1 FROM claude_gpt_data.)sql" +
         table + R"sql( AS r WHERE r.created_at OPERATOR(pg_catalog.<) $1)
    )sql";
}

constexpr auto k_has_old_audit_logs_text = has_rows_before_in("audit_logs");
constinit Query<std::int32_t(core::Instant)> k_has_old_audit_logs{"audit_logs", k_has_old_audit_logs_text,
                                                                  Planning::by_values};

constexpr auto k_has_old_usage_records_text = has_rows_before_in("usage_records");
constinit Query<std::int32_t(core::Instant)> k_has_old_usage_records{"usage_records", k_has_old_usage_records_text,
                                                                     Planning::by_values};

constinit Query<std::string_view()> k_find_stale_statistics{nullptr, R"sql(
    SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace('claude_gpt_data')::pg_catalog.oid
    AND c.relkind OPERATOR(pg_catalog.=) 'p'
    AND c.relname OPERATOR(pg_catalog.=) ANY ('{audit_logs,usage_records,messages}'::pg_catalog.name[])
    AND EXISTS (
        SELECT 1 FROM pg_catalog.pg_inherits AS i WHERE i.inhparent OPERATOR(pg_catalog.=) c.oid
        AND (pg_catalog.pg_stat_get_last_autoanalyze_time(i.inhrelid) OPERATOR(pg_catalog.>)
                 pg_catalog.pg_stat_get_last_analyze_time(c.oid)
             OR (pg_catalog.pg_stat_get_last_analyze_time(c.oid) IS NULL
                 AND pg_catalog.pg_stat_get_live_tuples(i.inhrelid) OPERATOR(pg_catalog.>) 0)))
    ORDER BY c.relname LIMIT 1
    )sql"};

constinit Query<void()> k_analyze_audit_logs{"audit_logs", R"sql(ANALYZE claude_gpt_data.audit_logs)sql"};
constinit Query<void()> k_analyze_messages{"messages", R"sql(ANALYZE claude_gpt_data.messages)sql"};
constinit Query<void()> k_analyze_usage_records{"usage_records", R"sql(ANALYZE claude_gpt_data.usage_records)sql"};

std::string said(const Result<Step>& step) { return std::string(step.first().value_or("")); }

}  // namespace

std::string create_next_partition(Spi& spi, std::string_view table, core::Instant from, core::Instant to,
                                  std::string_view width) {
  return said(spi.execute(k_create_next, Access::read_write, table, from, to, width));
}

std::string drop_next_partition_before(Spi& spi, std::string_view table, core::Instant before) {
  return said(spi.execute(k_drop_next, Access::read_write, table, before));
}

std::string partition_next(Spi& spi, std::string_view table, std::string_view width, core::Instant now) {
  return said(spi.execute(k_partition_next, Access::read_write, table, width, now));
}

bool has_partition_work(Spi& spi, std::string_view table, core::Instant from, core::Instant to,
                        std::string_view width) {
  return !spi.execute(k_has_work, Access::read_write, table, from, to, width).empty();
}

bool is_partitioned(Spi& spi, std::string_view table) {
  return !spi.execute(k_is_partitioned, Access::read_write, table).empty();
}

Result<DeletedBlocks> delete_rows_before(Spi& spi, std::string_view table, core::Instant before,
                                         std::optional<std::int64_t> partition, std::int64_t block,
                                         std::int32_t blocks) {
  return spi.execute(k_delete_before, Access::read_write, table, before, partition, block, blocks);
}

bool has_rows_before(Spi& spi, OldRowsOf table, core::Instant before) {
  auto& find = table == OldRowsOf::audit_logs ? k_has_old_audit_logs : k_has_old_usage_records;
  return !spi.execute(find, Access::read_write, before).empty();
}

std::optional<std::string> find_stale_statistics(Spi& spi) {
  const auto table = spi.execute(k_find_stale_statistics, Access::read_write).find();
  return table ? std::optional{std::string(*table)} : std::nullopt;
}

void analyze(Spi& spi, std::string_view table) {
  auto& statement = table == "audit_logs" ? k_analyze_audit_logs
                    : table == "messages" ? k_analyze_messages
                                          : k_analyze_usage_records;
  spi.execute(statement, Access::read_write);
}

}  // namespace claude_gpt::store
