// Partitions of tables, and what goes with time by the partition. What one step does is SQL
// (sql/internal/partition*.sql).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/spi.hpp"
#include "core/calendar.hpp"

namespace claude_gpt::store {

// Tables of which rows go when they are old.
enum class OldRowsOf { audit_logs, usage_records };

// Each takes one step, and says what it has done; empty when nothing is left.
std::string create_next_partition(bridge::Spi& spi, std::string_view table, core::Instant from, core::Instant to,
                                  std::string_view width);
std::string drop_next_partition_before(bridge::Spi& spi, std::string_view table, core::Instant before);
std::string partition_next(bridge::Spi& spi, std::string_view table, std::string_view width, core::Instant now);

// Whether create_next_partition() would do anything.
bool has_partition_work(bridge::Spi& spi, std::string_view table, core::Instant from, core::Instant to,
                        std::string_view width);

bool is_partitioned(bridge::Spi& spi, std::string_view table);

// Deletes rows block by block. Read by column: what is done is told where rows were deleted.
struct DeletedBlocks {
  std::int64_t deleted;
  std::optional<std::int64_t> next_partition;  // nothing: all blocks were visited
  std::optional<std::int64_t> next_block;
  std::string_view done;
};
bridge::Result<DeletedBlocks> delete_rows_before(bridge::Spi& spi, std::string_view table, core::Instant before,
                                                 std::optional<std::int64_t> partition, std::int64_t block,
                                                 std::int32_t blocks);

// Partitions that lie before the moment, or rows that do.
bool has_rows_before(bridge::Spi& spi, OldRowsOf table, core::Instant before);

// Partitioned tables of ours that autovacuum never analyzes, since it analyzes their partitions alone: one of which
// a partition was analyzed since, or that never was.
std::optional<std::string> find_stale_statistics(bridge::Spi& spi);
void analyze(bridge::Spi& spi, std::string_view table);

}  // namespace claude_gpt::store
