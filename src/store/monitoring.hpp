// What metrics() and health() tell, which is SQL (sql/internal, sql/functions/monitoring.sql). `is_ready`: all
// relations are there and of one role, so that the tables are asked too. As the current user.
#pragma once

#include <optional>

#include "bridge/spi.hpp"

namespace claude_gpt::store {

// A relation of ours, views among them, that belongs to another role than its schema.
bool has_strange_relations(bridge::Spi& spi);

bridge::Result<bridge::PassedOn> list_metrics(bridge::Spi& spi, std::optional<bridge::UnreadText> name, bool is_ready);
bridge::Result<bridge::PassedOn> check_health(bridge::Spi& spi, bool is_ready);

}  // namespace claude_gpt::store
