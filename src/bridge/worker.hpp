// Background workers: their entry, how they are started, and how others reach them.
// CLAUDE_GPT_WORKER(name) { ... } is the body of a process; the server finds it by the symbol claude_gpt_<name>.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace claude_gpt::bridge::worker {

// What runs a process: handlers are set, signals arrive, a C++ exception that nobody caught ends it with FATAL.
// abort() would restart the server.
void enter(void (*body)());

// In _PG_init: has the server start the worker once it may write, and again `restart_seconds` after it ended.
// Does nothing unless the library is being preloaded.
void launch_with_server(const char* symbol, const char* type, int restart_seconds);

// Connects the process. No database: only what is shared by all of them can be read.
void connect_to_no_database();
void connect_to(std::uint32_t database);

// The argument that the process was started with.
std::int32_t argument();

// What pg_stat_activity shows of this process; empty: idle.
void show_activity(const std::string& what);

// LOG in the server's log.
void log(const std::string& message);

std::int32_t process_id();
// A number by which wake() finds this process.
std::int32_t process_number();
// Sets the latch of the process with the number. If it has become another process, that one wakes up for nothing.
void wake(std::int32_t process_number);
// When this process ends, however it ends but by a crash; must not fail.
void at_exit(void (*action)(std::uintptr_t argument), std::uintptr_t argument);
// Asks the process to end. Only for processes that are known to run.
void terminate(std::int32_t process);

// A worker that was started by this process.
class Started {
 public:
  // nullopt: the server has no place for another worker.
  static std::optional<Started> start(const char* symbol, const char* type, const std::string& name,
                                      std::int32_t argument);
  bool has_ended() const;
  // Asks it to end, also where it has not begun.
  void terminate() const;
  // Frees what the handle holds.
  void forget();

 private:
  explicit Started(void* handle) : handle_(handle) {}
  void* handle_;
};

struct Database {
  std::uint32_t id;
  std::string name;
};
// Those that can be connected to and are no templates. For a process without a database.
std::vector<Database> list_databases();

// Called with a database that a command needs for itself (DROP, RENAME, SET TABLESPACE, CREATE ... TEMPLATE), again
// and again until no worker visits it any more; and at the commit of one after which a database may have other settings
// (ALTER DATABASE ... SET, ALTER ROLE ALL SET) or be the one that was restored (RENAME). Set once, in _PG_init; must
// not fail.
void watch_database_commands(void (*end_visit)(std::uint32_t database), void (*look_again)());

// At the end of this transaction, if it commits. Once for a transaction; must not fail.
void at_commit(void (*action)());

}  // namespace claude_gpt::bridge::worker

#define CLAUDE_GPT_WORKER(name)                                                           \
  static void name();                                                                     \
  extern "C" {                                                                            \
  [[gnu::visibility("default")]] void claude_gpt_##name([[maybe_unused]] std::uintptr_t); \
  void claude_gpt_##name(std::uintptr_t) { ::claude_gpt::bridge::worker::enter(&name); }  \
  }                                                                                       \
  static void name()
