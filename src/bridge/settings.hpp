// The extension's settings (GUCs). How the server runs is a setting; what a user may do is a row of system_configs.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "bridge/live_object.hpp"
#include "core/calendar.hpp"

namespace claude_gpt::bridge::settings {

enum class InstallTables : int { automatic, on, off };
enum class TurnCommit : int { synchronous, asynchronous };

// Called once, when the library is loaded.
void define();

InstallTables install_tables();
// Bytes; 0 if the library was not preloaded.
std::size_t rate_limit_memory();
// Whether workers run jobs here; how many at once, from 1 to 32; how long a job may run in one, whatever its row says;
// how much of its time a long job works, in percent.
bool jobs();
int max_workers();
core::Duration max_job_time();
int job_duty_cycle();
// Whether changes are notified that this session makes.
bool notify_changes();
// Whether the calls that a turn begins with wait for the disk.
TurnCommit turn_commit();
// The moment at which the clock is held for tests; nullopt in normal operation.
std::optional<core::Instant> fixed_time();

// A setting of the server or of another extension, also one that the user may not see; empty if there is none.
std::string of_server(const char* name);

// True once after each reload of the configuration files that this process has taken in.
bool take_reload();
void note_reload();

// True in a session that replays a dump: pg_dump's output sets row_security = off, or with
// --enable-row-security at least xmloption, which hardly anybody sets by hand.
bool session_restores_a_dump();

// Sets a setting of the server until the end of the scope (or of the transaction, after an error).
class Override : LiveObject {
 public:
  Override(const char* name, const char* value);
  void finish();

 private:
  int nest_level_;
};

// True if client_min_messages is "warning", as CREATE EXTENSION sets it for its script.
bool only_notices_are_silenced();

}  // namespace claude_gpt::bridge::settings
