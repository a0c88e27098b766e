// A visit: a worker connects to one database, runs what is due, says when to come again, and leaves.
#include "api/attempts.hpp"
#include "api/job_board.hpp"
#include "api/jobs.hpp"
#include "api/schema.hpp"
#include "api/visit_time.hpp"
#include "bridge/extension.hpp"
#include "bridge/locks.hpp"
#include "bridge/settings.hpp"
#include "bridge/spi.hpp"
#include "bridge/transactions.hpp"
#include "bridge/worker.hpp"
#include "store/migrations.hpp"

namespace claude_gpt::worker {

using namespace bridge;

namespace {

constexpr core::Duration k_soonest{1'000'000};
// Where jobs are switched off, commands that switch them on again tell us, but not what changes the catalog otherwise.
constexpr core::Duration k_next_look_where_off{300'000'000};
// Somebody else runs jobs.
constexpr core::Duration k_next_look_where_busy{10'000'000};
// A restore is not complete, there are functions alone, or they wait for ALTER EXTENSION UPDATE.
constexpr core::Duration k_next_look_where_incomplete{30'000'000};

bool tables_are_complete(Transactions& transactions) {
  bool are_complete = false;
  const auto problem = api::attempt(transactions, [&](Spi& spi) {
    are_complete = extension::version_fits() && store::tables_are_restored(spi) && api::tables_are_current();
  });
  if (problem) problem->raise();
  return are_complete;
}

// How long nothing will be due here; a negative answer as on the board.
std::int64_t visit(Transactions& transactions) {
  if (!locks::try_lock_visit()) return core::JobBoard::k_no_answer;
  if (!locks::extension_is_installed()) return core::JobBoard::k_no_extension;
  if (!settings::jobs()) return k_next_look_where_off.microseconds;
  if (!tables_are_complete(transactions)) return k_next_look_where_incomplete.microseconds;
  const auto until_next = api::run_due_jobs(transactions, core::Engine::worker);
  return std::max(until_next.value_or(k_next_look_where_busy), k_soonest).microseconds;
}

}  // namespace

CLAUDE_GPT_WORKER(visit_main) {
  const auto number = static_cast<std::size_t>(bridge::worker::argument());
  core::JobBoard::Visit& place = api::job_board()->visits()[number];
  const std::uint32_t database = place.database;
  std::int32_t nobody = 0;
  // Sent by a launcher that is no more, it may find its place taken.
  if (database == 0 || !place.process.compare_exchange_strong(nobody, bridge::worker::process_id())) return;
  bridge::worker::at_exit([](std::uintptr_t left) { api::job_board()->visits()[left].process = 0; }, number);
  api::begin_visit(*api::job_board(), place);
  bridge::worker::connect_to(database);
  Transactions transactions;
  place.next_visit_in = visit(transactions);
  transactions.finish();
}

}  // namespace claude_gpt::worker
