// Topic monitoring: counters(), reset_counters(), direct_access(), extension_state(), synchronous_standbys(),
// migration_state().
#include "api/monitoring.hpp"

#include <new>
#include <optional>
#include <span>
#include <string_view>

#include "api/job_board.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "bridge/clock.hpp"
#include "bridge/database.hpp"
#include "bridge/entry.hpp"
#include "bridge/record.hpp"
#include "bridge/rights.hpp"
#include "bridge/shared_memory.hpp"
#include "bridge/synchronous_standbys.hpp"
#include "store/monitoring.hpp"
#include "store/rows.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// To be raised when the members of core::Counters change: what an earlier library kept is then not taken for counters
// of this one. Where a name comes or moves, as that of a job, the layout is another one by itself (FNV-1a).
constexpr std::uint32_t k_members = 2;

constexpr std::uint32_t layout_of(std::span<const std::string_view> names, std::uint32_t layout) {
  for (const std::string_view name : names)
    for (const char c : name) layout = (layout ^ static_cast<unsigned char>(c)) * 16'777'619;
  return layout ^ static_cast<std::uint32_t>(names.size());
}

constexpr std::uint32_t k_layout =
    layout_of(core::k_job_names, layout_of(core::k_settled_names, layout_of(core::k_decider_names, k_members)));

void initialize(void* memory) { ::new (memory) core::CounterBoard; }

void mend(void* memory) { static_cast<core::CounterBoard*>(memory)->open_lock(); }

constinit SharedMemory board_memory{
    "claude_gpt counters", [] { return sizeof(core::CounterBoard); }, initialize, {"claude_gpt.stat", k_layout, mend}};

// Of the database of this session, which cannot go away as long as it is connected.
constinit core::Counters* own_counters = nullptr;
constinit bool has_looked = false;

core::Counters* find_counters() {
  has_looked = true;
  auto* board = static_cast<core::CounterBoard*>(board_memory.address());
  if (board == nullptr) return nullptr;
  return own_counters = board->of(current_database_id(), clock::now(),
                                  [](std::uint32_t database) { return !database_exists(database); });
}

core::Counters* counters() { return has_looked ? own_counters : find_counters(); }

std::uint64_t unsigned_of(std::int64_t count) { return static_cast<std::uint64_t>(count); }

class Listing {
 public:
  Listing(ResultSet& result, const core::Counters& counters)
      : result_(result), since_(Value::of(core::Instant{counters.since})) {}

  void add(std::string_view counter, std::string_view subject, std::string_view outcome, std::uint64_t value) {
    result_.add({Value::palloced(counter), text_or_null(subject), text_or_null(outcome),
                 Value::of(static_cast<std::int64_t>(value)), since_});
  }

 private:
  static Value text_or_null(std::string_view text) { return text.empty() ? Value::null() : Value::palloced(text); }
  ResultSet& result_;
  Value since_;
};

// As the owner of the tables, or of their schema where they are gone: whoever monitors has no right to the steps.
// Nothing of theirs is read where not all are one role's, so a superuser needs no such detour there, nor an owner to be
// there.
template <typename Run> void list(const Call& call, Run run) {
  ResultSet result{call};
  Spi spi;
  const RoleId owner_of_users = find_table_owner("users");
  const bool is_ready = owner_of_users != 0 && !store::has_strange_relations(spi);
  const RoleId owner = owner_of_users != 0 ? owner_of_users : find_schema_owner(k_data_schema);
  std::optional<RightsScope> as_owner;
  if (owner != 0 && (is_ready || !current_user_has_rights_of(owner))) as_owner.emplace(owner);
  result.add(run(spi, is_ready));
  if (as_owner) as_owner->finish();
  spi.finish();
}

constinit RowType state_row{out::k_extension_state};

constinit RowType standbys_row{out::k_synchronous_standbys};

constinit RowType migrations_row{out::k_migration_state};

}  // namespace

void reserve_counters() { board_memory.reserve(); }

void count_decision(core::Decider decider, core::Reason reason, bool is_replayed) {
  if (core::Counters* own = counters())
    core::Counters::add(own->decisions[static_cast<std::size_t>(decider)][core::outcome_of(reason, is_replayed)]);
}

void count_usage(std::int64_t messages, std::int64_t tokens, std::int64_t api_calls, core::Amount cost) {
  core::Counters* own = counters();
  if (own == nullptr) return;
  if (messages != 0) core::Counters::add(own->messages, unsigned_of(messages));
  if (tokens != 0) core::Counters::add(own->tokens, unsigned_of(tokens));
  if (api_calls != 0) core::Counters::add(own->api_calls, unsigned_of(api_calls));
  if (!cost.is_zero()) core::Counters::add(own->cost, static_cast<std::uint64_t>(cost.units()));
}

void count_settlements(core::Settled settled, std::uint64_t count) {
  if (core::Counters* own = counters()) core::Counters::add(own->settlements[static_cast<std::size_t>(settled)], count);
}

void count_job_run(std::size_t job, bool has_succeeded, std::uint64_t rows, core::Duration took) {
  core::Counters* own = counters();
  if (own == nullptr) return;
  core::Counters::Job& counted = own->jobs[job];
  core::Counters::add(has_succeeded ? counted.succeeded : counted.failed);
  core::Counters::add(counted.rows, rows);
  core::Counters::add(counted.microseconds, unsigned_of(took.microseconds));
}

CLAUDE_GPT_FUNCTION(counters) {
  ResultSet result{call};
  const core::Counters* own = counters();
  if (own == nullptr) return no_result();
  Listing listing{result, *own};
  for (std::size_t decider = 0; decider < own->decisions.size(); ++decider)
    for (std::size_t outcome = 0; outcome < core::k_outcomes; ++outcome)
      if (core::can_come_out(static_cast<core::Decider>(decider), outcome))
        listing.add("decisions", core::k_decider_names[decider], core::name_of_outcome(outcome),
                    own->decisions[decider][outcome]);
  listing.add("usage", "message", {}, own->messages);
  listing.add("usage", "token", {}, own->tokens);
  listing.add("usage", "api_call", {}, own->api_calls);
  listing.add("cost", {}, {}, own->cost);
  for (std::size_t settled = 0; settled < own->settlements.size(); ++settled)
    listing.add("settlements", {}, core::k_settled_names[settled], own->settlements[settled]);
  for (std::size_t job = 0; job < own->jobs.size(); ++job) {
    const std::string_view name = core::k_job_names[job];
    listing.add("job_runs", name, "succeeded", own->jobs[job].succeeded);
    listing.add("job_runs", name, "failed", own->jobs[job].failed);
    listing.add("job_rows", name, {}, own->jobs[job].rows);
    listing.add("job_microseconds", name, {}, own->jobs[job].microseconds);
  }
  return no_result();
}

CLAUDE_GPT_FUNCTION(reset_counters) {
  if (core::Counters* own = counters()) own->reset(clock::now());
  return no_result();
}

CLAUDE_GPT_FUNCTION(metrics) {
  list(call, [&](Spi& spi, bool is_ready) {
    return store::list_metrics(spi, call.find<UnreadText>(arg::metrics::p_name), is_ready);
  });
  return no_result();
}

CLAUDE_GPT_FUNCTION(health) {
  list(call, [](Spi& spi, bool is_ready) { return store::check_health(spi, is_ready); });
  return no_result();
}

CLAUDE_GPT_FUNCTION(direct_access) {
  ResultSet result{call};
  for (const store::DirectUse& use : store::direct_uses(clock::transaction_start()))
    result.add({Value::palloced(std::string_view{use.table}), Value::palloced(std::string_view{use.operation}),
                use.obstacle == nullptr ? Value::null() : Value::palloced(std::string_view{use.obstacle})});
  return no_result();
}

CLAUDE_GPT_FUNCTION(extension_state) {
  const core::JobBoard* board = job_board();
  return state_row.row({Value::of(board != nullptr), Value::of(board != nullptr && board->launcher != 0),
                        Value::of(board == nullptr || !board->is_switched_off)});
}

CLAUDE_GPT_FUNCTION(synchronous_standbys) {
  const SynchronousStandbys standbys = bridge::synchronous_standbys();
  return standbys_row.row({Value::of(standbys.wanted), Value::of(standbys.present), Value::of(standbys.waiting)});
}

CLAUDE_GPT_FUNCTION(migration_state) {
  return migrations_row.row({Value::or_null(applied_migration()), Value::of(needed_migration())});
}

}  // namespace claude_gpt::api
