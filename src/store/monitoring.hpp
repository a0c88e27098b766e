// What metrics() and health() tell, which is SQL (sql/internal, sql/functions/monitoring.sql): of the tables as their
// owner, or of all else as the caller, where there are none that could be read, or not all are of one role.
#pragma once

#include <optional>

#include "bridge/spi.hpp"

namespace claude_gpt::store {

enum class About { all, no_tables };

// A relation of ours, views among them, that belongs to another role than its schema.
bool has_strange_relations(bridge::Spi& spi);

bridge::Result<bridge::PassedOn> list_metrics(bridge::Spi& spi, About about, std::optional<bridge::UnreadText> name);
bridge::Result<bridge::PassedOn> check_health(bridge::Spi& spi, About about);

}  // namespace claude_gpt::store
