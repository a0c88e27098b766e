#include "bridge/settings.hpp"

#include <utility>

#include "bridge/guard.hpp"
#include "bridge/names.hpp"
#include "bridge/owners_code.hpp"

namespace claude_gpt::bridge::settings {

namespace {

constinit int install_tables_setting = static_cast<int>(InstallTables::automatic);
constinit char* fixed_time_setting = nullptr;
constinit const core::Instant* fixed_moment = nullptr;
constinit bool bind_code_to_owners_setting = false;
constinit bool was_reloaded = false;
constinit int fail_at_call_setting = 0;
constinit int live_objects_setting = 0;
constinit int rate_limit_memory_setting = 0;  // kilobytes

constinit bool jobs_setting = true;
constinit bool notify_changes_setting = true;
constinit int turn_commit_setting = static_cast<int>(TurnCommit::synchronous);
constinit bool direct_access_setting = true;
constinit int max_workers_setting = 2;
constinit int max_job_time_setting = 3600;  // seconds
constinit int job_duty_cycle_setting = 33;  // percent

constexpr int k_most_workers = 32;
constexpr int k_longest_job_time = 7 * 24 * 3600;
constexpr int k_smallest_rate_limit_memory = 64;
constexpr int k_default_rate_limit_memory = 4096;
constexpr int k_largest_rate_limit_memory = 1024 * 1024;

const config_enum_entry k_install_tables_options[] = {{"auto", static_cast<int>(InstallTables::automatic), false},
                                                      {"on", static_cast<int>(InstallTables::on), false},
                                                      {"off", static_cast<int>(InstallTables::off), false},
                                                      {nullptr, 0, false}};

const config_enum_entry k_turn_commit_options[] = {{"synchronous", static_cast<int>(TurnCommit::synchronous), false},
                                                   {"asynchronous", static_cast<int>(TurnCommit::asynchronous), false},
                                                   {nullptr, 0, false}};

bool check_fixed_time(char** value, void** extra, GucSource) {
  if (**value == '\0') return true;
  const auto moment = core::parse_instant(*value);
  if (!moment) {
    GUC_check_errdetail("The value must be a moment with its offset, such as \"2026-11-22T10:00:00Z\".");
    return false;
  }
  auto* kept = static_cast<core::Instant*>(compat::allocate_setting_extra(sizeof(core::Instant)));
  if (kept == nullptr) return false;
  *kept = *moment;
  *extra = kept;
  return true;
}

void assign_fixed_time(const char*, void* extra) { fixed_moment = static_cast<const core::Instant*>(extra); }

void assign_fail_at_call(int value, void*) { calls_until_failure = value; }

// Never undone: a function that is bound must not be able to end it.
void assign_bind_code_to_owners(bool value, void*) {
  if (value) owners_code::bind();
}

const char* show_live_objects() {
  static char text[12];
  pg_ltoa(live_objects, text);
  return text;
}

}  // namespace

void define() {
  DefineCustomEnumVariable("claude_gpt.install_tables", "Whether CREATE EXTENSION creates the tables.",
                           "auto: unless the session restores a dump, which brings its own tables.",
                           &install_tables_setting, static_cast<int>(InstallTables::automatic),
                           k_install_tables_options, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomStringVariable("claude_gpt.fixed_time", "Holds the extension's clock at a moment, for tests.",
                             "ISO 8601 with an offset, such as 2026-11-22T10:00:00Z. Empty: the system's clock.",
                             &fixed_time_setting, "", PGC_SUSET, GUC_NOT_IN_SAMPLE, check_fixed_time, assign_fixed_time,
                             nullptr);
  DefineCustomIntVariable("claude_gpt.fail_at_call", "Makes the n-th guarded server call fail, for tests.",
                          "Counted from when it is set; 0 is off.", &fail_at_call_setting, 0, 0, INT_MAX, PGC_SUSET,
                          GUC_NOT_IN_SAMPLE, nullptr, assign_fail_at_call, nullptr);
  DefineCustomBoolVariable("claude_gpt.bind_code_to_owners",
                           "Keeps what the owners of tables wrote from the rights of a superuser who restores a dump.",
                           "Until the session ends, also if it is turned off before.", &bind_code_to_owners_setting,
                           false, PGC_SUSET, GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, nullptr,
                           assign_bind_code_to_owners, nullptr);
  DefineCustomIntVariable("claude_gpt.live_objects",
                          "Shows how many scoped objects of the extension are alive in this session.",
                          "Zero between calls.", &live_objects_setting, 0, INT_MIN, INT_MAX, PGC_INTERNAL,
                          GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, nullptr, nullptr, show_live_objects);
  DefineCustomBoolVariable("claude_gpt.jobs", "Whether background workers run the jobs of a database.",
                           "Read by the workers: set it in postgresql.conf, or for a database with ALTER DATABASE.",
                           &jobs_setting, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable(
      "claude_gpt.max_workers", "How many background workers may run jobs at once, in all databases.",
      "Each takes one of max_worker_processes while it visits a database; the launcher takes one always.",
      &max_workers_setting, 2, 1, k_most_workers, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("claude_gpt.max_job_time", "How long a job may run in a background worker or for pg_cron.",
                          "The timeout of a job, which the owner of the tables sets, counts where it is shorter.",
                          &max_job_time_setting, 3600, 1, k_longest_job_time, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr,
                          nullptr);
  DefineCustomIntVariable(
      "claude_gpt.job_duty_cycle", "Percentage of its time that a job with many rows works; it rests in between.",
      "100 leaves it no rest.", &job_duty_cycle_setting, 33, 1, 100, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomBoolVariable("claude_gpt.notify_changes",
                           "Whether the changes of this session are notified on the channel claude_gpt_changes.",
                           "A transaction that has notified cannot be prepared for two-phase commit.",
                           &notify_changes_setting, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomEnumVariable(
      "claude_gpt.turn_commit", "Whether begin_turn() and save_partial() wait until their commit is on the disk.",
      "Of calls in a transaction of their own; complete_turn(), stop_turn() and fail_turn() always do.",
      &turn_commit_setting, static_cast<int>(TurnCommit::synchronous), k_turn_commit_options, PGC_USERSET, 0, nullptr,
      nullptr, nullptr);
  DefineCustomBoolVariable("claude_gpt.direct_access", "Whether rows of users and usage go without the executor.",
                           "They do only where that has the same effect: health() says where it has.",
                           &direct_access_setting, true, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  // Memory is reserved when the server starts: a session that loads the library by itself has none, nor the setting.
  if (process_shared_preload_libraries_in_progress)
    DefineCustomIntVariable("claude_gpt.rate_limit_memory", "Shared memory for the states of rate limits.",
                            "128 bytes for seven keys; one half is for users, the other for the keys of rate_limit().",
                            &rate_limit_memory_setting, k_default_rate_limit_memory, k_smallest_rate_limit_memory,
                            k_largest_rate_limit_memory, PGC_POSTMASTER, GUC_UNIT_KB, nullptr, nullptr, nullptr);
  MarkGUCPrefixReserved(k_extension);
}

InstallTables install_tables() { return static_cast<InstallTables>(install_tables_setting); }

std::size_t rate_limit_memory() { return static_cast<std::size_t>(rate_limit_memory_setting) * 1024; }

bool jobs() { return jobs_setting; }

int max_workers() { return max_workers_setting; }

core::Duration max_job_time() { return {std::int64_t{max_job_time_setting} * 1'000'000}; }

int job_duty_cycle() { return job_duty_cycle_setting; }

bool direct_access() { return direct_access_setting; }

bool notify_changes() { return notify_changes_setting; }

TurnCommit turn_commit() { return static_cast<TurnCommit>(turn_commit_setting); }

std::optional<core::Instant> fixed_time() {
  return fixed_moment != nullptr ? std::optional{*fixed_moment} : std::nullopt;
}

bool take_reload() { return std::exchange(was_reloaded, false); }

std::string of_server(const char* name) {
  const char* value = guarded([name] { return GetConfigOption(name, true, false); });
  return value != nullptr ? value : "";
}

void note_reload() { was_reloaded = true; }

bool row_security_is_off() { return !row_security; }

Override::Override(const char* name, const char* value) {
  nest_level_ = guarded([=] {
    const int level = NewGUCNestLevel();
    (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    return level;
  });
}

void Override::finish() {
  const int level = nest_level_;
  guarded([level] { AtEOXact_GUC(true, level); });
}

bool only_notices_are_silenced() { return client_min_messages == WARNING; }

}  // namespace claude_gpt::bridge::settings
