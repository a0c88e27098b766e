// Topic schema: migrate(), require_column_types() and update_updated_at_column().
#include "api/schema.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "api/job_board.hpp"
#include "bridge/clock.hpp"
#include "bridge/entry.hpp"
#include "bridge/extension.hpp"
#include "bridge/live_object.hpp"
#include "bridge/record.hpp"
#include "bridge/relcache.hpp"
#include "bridge/report.hpp"
#include "bridge/rights.hpp"
#include "bridge/settings.hpp"
#include "bridge/spi.hpp"
#include "bridge/subtransaction.hpp"
#include "bridge/table_types.hpp"
#include "bridge/trigger.hpp"
#include "store/application_grants.hpp"
#include "store/migrations.hpp"
#include "store/server_settings.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

constinit relcache::Watch migrations_watch{"claude_gpt_migrations"};
constinit std::uint64_t verified_generation = 0;

// The server silences the notices of an extension's script; a user who silenced more is not disturbed.
void notice_from_script(const char* message, const char* hint) {
  std::optional<settings::Override> audible;
  if (settings::only_notices_are_silenced()) audible.emplace("client_min_messages", "notice");
  report::notice(message, hint);
  if (audible) audible->finish();
}

// A dump makes claude_gpt_data before the extension (schemas come in the order of their names, and the extension right
// before its member claude_gpt_internal): one that does not is of a release that had no such schema.
void refuse_dump_of_old_release() {
  if (find_schema_owner(k_data_schema) != 0) return;
  throw core::Failure(
      core::sqlstate::k_not_in_prerequisite_state, "this session restores a dump without schema \"claude_gpt_data\"",
      "Releases before 0.5.0 kept tables and functions in one schema; their dumps name functions where they no longer are.",
      "Restore the dump where that release is installed, and update there. For the functions alone, SET "
      "claude_gpt.install_tables TO off first.");
}

// True in a session that replays a dump: pg_dump's output sets row_security = off, or with --enable-row-security at
// least xmloption, which hardly anybody sets by hand.
bool session_restores_a_dump() {
  if (settings::row_security_is_off()) return true;
  Spi spi;
  const bool set_in_session = store::source_of_setting(spi, "xmloption") == "session";
  spi.finish();
  return set_in_session;
}

// In the script of CREATE EXTENSION: whether the tables are to be made now.
bool tables_are_wanted() {
  constexpr char k_next_step[] =
      "After the tables are restored, nothing is left to do; to create them anew, run CALL claude_gpt.migrate().";
  switch (settings::install_tables()) {
    case settings::InstallTables::on: return true;
    case settings::InstallTables::off:
      notice_from_script("claude_gpt installed its functions only, because claude_gpt.install_tables is off",
                         k_next_step);
      return false;
    case settings::InstallTables::automatic: break;
  }
  if (!session_restores_a_dump()) return true;
  refuse_dump_of_old_release();
  report::warning(
      "claude_gpt installed its functions only, because this session restores a dump, which brings the tables "
      "(row_security is off, or xmloption was set in the session)",
      k_next_step);
  return false;
}

// 0 where there are none.
RoleId find_owner_of_old_tables() {
  if (find_table_owner("claude_gpt_migrations") != 0) return 0;
  Spi spi;
  const RoleId found = store::find_owner_of_old_tables(spi);
  spi.finish();
  return found;
}

void require_complete_old_tables(RoleId owner) {
  RightsScope as_owner{owner};
  Spi spi;
  const std::int32_t applied = store::latest_applied_to_old_tables(spi);
  spi.finish();
  as_owner.finish();
  if (applied < store::k_latest_migration_of_old_tables)
    throw core::Failure(core::sqlstate::k_not_in_prerequisite_state,
                        "the tables of claude_gpt are older than those of release 0.4.0",
                        "Migration " + std::to_string(applied) + " of 13 is applied.",
                        "Run CALL claude_gpt.migrate() with release 0.4.0 first.");
}

std::vector<store::Dependent> find_dependents() {
  Spi spi;
  auto dependents = store::find_dependents(spi);
  spi.finish();
  return dependents;
}

void run_as(RoleId role, const char* sql) {
  RightsScope as_role{role};
  Spi spi;
  spi.run_script(sql);
  spi.finish();
  as_role.finish();
}

// Each is made again by who owns it, never by another who might have written here.
void take_away(const std::vector<store::Dependent>& dependents) {
  std::for_each(dependents.rbegin(), dependents.rend(),
                [](const store::Dependent& dependent) { run_as(dependent.owner, dependent.taking.c_str()); });
}

void make_again(const std::vector<store::Dependent>& dependents) {
  for (const store::Dependent& dependent : dependents) run_as(dependent.owner, dependent.making.c_str());
}

void convert_old_tables(RoleId owner) {
  RightsScope as_owner{owner};
  Spi spi;
  store::convert_old_tables(spi);
  spi.finish();
  as_owner.finish();
}

void apply_missing_migrations() {
  Spi spi;
  // A reader of a view has locked it before its tables: whoever takes them the other way round meets him.
  if (find_table_owner("users") != 0) store::lock_own_relations(spi);
  if (find_table_owner("claude_gpt_migrations") == 0) store::create_record_of_migrations(spi);
  for (const store::Migration& migration : store::migrations())
    if (!store::is_applied(spi, migration)) store::apply(spi, migration);
  store::attach(spi);
  spi.finish();
}

enum class SearchPath { kept, renewed };

// While migrate() works, set_owner() gives the owner his rights and the recorded roles theirs: these wait for the
// views, to the end of migrate().
class GrantsWait : LiveObject {
 public:
  GrantsWait() { wait = true; }
  ~GrantsWait() { wait = false; }
  static constinit bool wait;
};
constinit bool GrantsWait::wait = false;

// A role may have vanished between dump and restore: that must not stop a migration.
void reapply_grants(SearchPath path = SearchPath::kept) {
  if (find_table_owner("application_grants") == 0) return;
  Spi spi;
  for (const store::Grant& grant : store::read_grants(spi)) {
    ErrorData* error = with_subtransaction([&] {
      Spi inner;
      store::apply_grant(inner, grant);
      if (path == SearchPath::renewed) store::renew_search_path(inner, grant);
      inner.finish();
    });
    if (error == nullptr) continue;
    const std::string message = "could not apply the recorded access of role \"" +
                                std::string(value_as<std::string_view>(grant.role.datum)) + "\" again";
    report::warning(message.c_str(), error,
                    "If the role is gone for good, delete its row from claude_gpt_data.application_grants.");
  }
  spi.finish();
}

void give_rights_to_owner() {
  Spi spi;
  store::give_rights_to_owner(spi);
  spi.finish();
}

// What somebody has put beside the functions meanwhile. Not before the tables of 0.4.0 have left them.
void require_own_code() {
  Spi spi;
  store::require_own_code(spi);
  spi.finish();
}

void create_schemas() {
  Spi spi;
  store::create_schemas(spi);
  spi.finish();
}

void migrate_tables() {
  extension::OutsideOfExtension outside;
  settings::Override search_path{"search_path", "pg_catalog, pg_temp"};
  // Bounds of partitions are written as text.
  settings::Override time_zone{"TimeZone", "UTC"};
  settings::Override date_style{"DateStyle", "ISO"};
  extension::lock_schema();
  const RoleId old_owner = find_owner_of_old_tables();
  std::vector<store::Dependent> dependents;
  if (old_owner != 0) {
    require_complete_old_tables(old_owner);
    Spi spi;
    store::take_over_old_tables(spi);
    spi.finish();
    dependents = find_dependents();
    take_away(dependents);
    convert_old_tables(old_owner);
  }
  create_schemas();
  {
    // New tables belong to the owner of the schemas, and migrations run with that owner's rights.
    const RoleId owner = find_schema_owner(k_data_schema);
    if (!current_user_has_rights_of(owner))
      throw core::Failure(core::sqlstate::k_insufficient_privilege, "must be owner of the tables of claude_gpt");
    if (!current_user_is(owner)) {
      GrantsWait until_all_is_there;
      give_rights_to_owner();
    }
    RightsScope as_owner{owner};
    apply_missing_migrations();
    as_owner.finish();
  }
  make_again(dependents);
  reapply_grants(old_owner != 0 ? SearchPath::renewed : SearchPath::kept);
  require_own_code();
  look_at_jobs_after_commit();
  date_style.finish();
  time_zone.finish();
  search_path.finish();
}

// For set_owner(), which hands them to the role that will restore the tables.
void create_empty_schemas() {
  extension::OutsideOfExtension outside;
  create_schemas();
}

}  // namespace

std::optional<std::int32_t> applied_migration() {
  if (find_table_owner("claude_gpt_migrations") == 0) return std::nullopt;
  Spi spi;
  const std::int32_t applied = store::latest_applied(spi);
  spi.finish();
  return applied;
}

std::int32_t needed_migration() { return store::latest_migration(); }

bool tables_are_current() { return applied_migration().value_or(0) >= needed_migration(); }

void require_current_tables() {
  if (migrations_watch.generation() == verified_generation) return;
  if (find_table_owner("claude_gpt_migrations") == 0)
    throw core::Failure(core::sqlstate::k_not_in_prerequisite_state, "the tables of claude_gpt are not installed", {},
                        "Run CALL claude_gpt.migrate().");
  const std::uint64_t generation = migrations_watch.generation();
  Spi spi;
  const std::int32_t applied = store::latest_applied(spi);
  if (applied < needed_migration()) {
    const bool update_is_pending = store::update_is_pending(spi);
    throw core::Failure(
        core::sqlstate::k_not_in_prerequisite_state, "the tables of claude_gpt are older than its code",
        "Migration " + std::to_string(applied) + " is applied, " + std::to_string(needed_migration()) + " is needed.",
        update_is_pending ? "Run ALTER EXTENSION claude_gpt UPDATE." : "Run CALL claude_gpt.migrate().");
  }
  spi.finish();
  verified_generation = generation;
}

CLAUDE_GPT_FUNCTION(migrate) {
  const bool by_script = extension::script_is_running();
  if (by_script && !tables_are_wanted()) {
    if (settings::install_tables() == settings::InstallTables::off) create_empty_schemas();
    // A restore brings them: somebody has to look when.
    look_at_jobs_after_commit();
    return no_result();
  }
  // The script of an update says so by this setting: there is nothing new to tell.
  const bool is_update = (find_table_owner("claude_gpt_migrations") != 0 || find_owner_of_old_tables() != 0) &&
                         settings::install_tables() == settings::InstallTables::on;
  migrate_tables();
  if (by_script && !is_update)
    notice_from_script(
        "claude_gpt keeps its tables in schema claude_gpt_data",
        "Give an application role its rights and its search_path with "
        "SELECT claude_gpt.grant_application_access('role'). Superusers call functions with the schema in front.");
  return no_result();
}

CLAUDE_GPT_FUNCTION(library_release) { return Value::palloced(store::release()); }

CLAUDE_GPT_FUNCTION(recorded_access) {
  ResultSet result{call};
  if (find_table_owner("application_grants") == 0) return no_result();
  Spi spi;
  result.add(store::read_grants(spi));
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(reapply_access) {
  if (!GrantsWait::wait) reapply_grants();
  return no_result();
}

CLAUDE_GPT_FUNCTION(require_column_types) {
  require_types(k_all_tables);
  return no_result();
}

CLAUDE_GPT_FUNCTION(update_updated_at_column) {
  Trigger trigger{call};
  trigger.require_before_row("update_updated_at_column");
  const Trigger::Assignment updated_at{"updated_at", Type::timestamptz, Value::of(clock::transaction_start())};
  if (trigger.argument_count() != 2) {
    trigger.set_new_values({&updated_at, 1});
    return trigger.row();
  }
  const Value moment = trigger.new_value(trigger.argument(1), Type::timestamptz);
  const Value day = moment.is_null ? Value::null() : Value::of(core::utc_day(value_as<core::Instant>(moment.datum)));
  const Trigger::Assignment both[] = {{trigger.argument(0), Type::date, day}, updated_at};
  // A new row keeps the updated_at it comes with.
  trigger.set_new_values({both, trigger.event() == Trigger::Event::insert ? std::size_t{1} : std::size_t{2}});
  return trigger.row();
}

}  // namespace claude_gpt::api
