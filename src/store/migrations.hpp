// The table claude_gpt_migrations, the migrations that it records, and what else makes the tables, or takes over those
// of release 0.4.0.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bridge/rights.hpp"
#include "bridge/spi.hpp"

namespace claude_gpt::store {

struct Migration {
  std::int32_t id;
  const char* name;
  const char* sql;
};
std::span<const Migration> migrations();
std::int32_t latest_migration();
const char* release();

// The newest that is applied, whatever the isolation level; 0 for none.
std::int32_t latest_applied(bridge::Spi& spi);
bool is_applied(bridge::Spi& spi, const Migration& migration);
void apply(bridge::Spi& spi, const Migration& migration);

// The data schemas belong to one role: whoever had the first before, as after a dump or DROP EXTENSION ... CASCADE.
void create_schemas(bridge::Spi& spi);
void create_record_of_migrations(bridge::Spi& spi);
void attach(bridge::Spi& spi);
// Views before tables, all at once.
void lock_own_relations(bridge::Spi& spi);
// 55000 naming what somebody has put beside the functions.
void require_own_code(bridge::Spi& spi);
// What set_owner() gives the owner, for functions and relations that were created since. As the caller.
void give_rights_to_owner(bridge::Spi& spi);

// Whether the functions of the extension are of another version than its files.
bool update_is_pending(bridge::Spi& spi);

// A restore makes triggers and foreign keys last, and with several jobs in any order: before that its tables are not
// ours to touch.
bool tables_are_restored(bridge::Spi& spi);

// Tables of 0.4.0 lie beside the functions. Who owns them, 0 if there are none; the newest migration, as their owner.
inline constexpr std::int32_t k_latest_migration_of_old_tables = 13;
bridge::RoleId find_owner_of_old_tables(bridge::Spi& spi);
std::int32_t latest_applied_to_old_tables(bridge::Spi& spi);

// A view, rule, policy or trigger that is away while the columns it names change.
struct Dependent {
  bridge::RoleId owner;
  std::string taking;
  std::string making;
};
// The catalog alone is read.
std::vector<Dependent> find_dependents(bridge::Spi& spi);
void take_over_old_tables(bridge::Spi& spi);
// To the baseline, whose migrations are not run then.
void convert_old_tables(bridge::Spi& spi);

}  // namespace claude_gpt::store
