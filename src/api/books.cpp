// Topic books: prove_books(), repair_books(), what health() asks of them, and carry_unrecorded_usage(), a trigger of
// system_configs.
// All three set the search_path and the date style (in their SQL): the proof is long, and reads better with
// plain operators; and moments go through text.
#include <set>
#include <span>
#include <vector>

#include "api/holds.hpp"
#include "api/job_schedule.hpp"
#include "api/periods.hpp"
#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "api/usage.hpp"
#include "api/users.hpp"
#include "bridge/clock.hpp"
#include "bridge/database.hpp"
#include "bridge/entry.hpp"
#include "bridge/record.hpp"
#include "bridge/report.hpp"
#include "bridge/rights.hpp"
#include "bridge/trigger.hpp"
#include "bridge/waiting.hpp"
#include "core/future.hpp"
#include "store/books.hpp"
#include "store/future_times.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// Users, and conversations with a difference.
struct Differing {
  std::set<core::Uuid> users;
  std::set<core::Uuid> conversations;
};

Differing differing_in(const Result<store::Difference>& proof) {
  Differing found;
  for (std::uint64_t row = 0; row < proof.count(); ++row) {
    const auto conversation = proof.get<&store::Difference::conversation_id>(row);
    if (conversation)
      found.conversations.insert(*conversation);
    else
      found.users.insert(proof.get<&store::Difference::user_id>(row));
  }
  return found;
}

void lock(Spi& spi, void (*lock_rows)(Spi&, std::span<const core::Uuid>), const std::set<core::Uuid>& ids) {
  if (ids.empty()) return;
  const std::vector<core::Uuid> in_order(ids.begin(), ids.end());
  lock_rows(spi, in_order);
}

constinit RowType recent_row{out::k_prove_recent_books};

store::Believed believed_at(const CallTime& time) {
  const core::Instant began = clock::transaction_start();
  return {time.now,
          time.month.first_day,
          {time.today.days + core::k_days_between_clocks},
          core::latest_moment(time.now),
          core::latest_expiry(time.now),
          began,
          core::latest_moment(began)};
}

void add_to(ResultSet& result, const store::Difference& found, std::optional<UnreadText> proved) {
  result.add({Value::borrowed(found.user_id), Value::or_null(found.conversation_id), Value::or_null(found.item),
              Value::or_null(found.recorded), Value::or_null(proved)});
}

// The users are locked.
void mend_times(Spi& spi, const Result<store::Difference>& users, const CallTime& time, ResultSet& result) {
  for (const store::Difference& found : users) {
    const auto item = value_as<std::string_view>(found.item->datum);
    auto proved = found.proved;
    if (item == "monthly_reset_date") {
      mend_period(found.user_id, time);
    } else if (item == "next_hold_expiry") {
      look_at_holds(found.user_id, time.now);
      proved = store::first_expiry_of(spi, found.user_id);
    } else {
      store::repair_user(spi, found.user_id, found.item, proved);
    }
    add_to(result, found, proved);
  }
}

Result<store::Difference> prove(Spi& spi, const std::optional<core::Uuid>& user_id, Access access) {
  store::keep_partitions_of_the_ledger(spi);
  const auto proof = store::prove_books(spi, user_id, access);
  if (proof.empty() && user_id) require_user(*user_id);
  return proof;
}

}  // namespace

CLAUDE_GPT_FUNCTION(prove_books) {
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  const auto of_user = call.find(arg::prove_books::p_user_id);
  result.add(prove(spi, of_user, Access::latest));
  result.add(store::find_users_of_the_future(spi, of_user, believed_at(CallTime::of_now()), false, Access::latest));
  spi.finish();
  if (!keeps_ledger())
    report::notice("usage that is counted while the configuration \"usage_ledger\" is false cannot be proved",
                   "It is carried to usage_balances when \"usage_ledger\" becomes true.");
  return no_result();
}

CLAUDE_GPT_FUNCTION(prove_recent_books) {
  const auto most_users = call.required(arg::prove_recent_books::p_users);
  const auto time_to_spend = call.required(arg::prove_recent_books::p_time_to_spend);
  require_current_tables();
  const core::Instant began = monotonic_now();
  Spi spi;
  store::keep_partitions_of_the_ledger(spi);
  const auto users = store::find_recently_active_users(spi, most_users);
  std::int32_t proved = 0;
  std::int32_t differences = 0;
  std::optional<core::Uuid> first;
  for (; static_cast<std::uint64_t>(proved) < users.count() &&
         monotonic_now().microseconds - began.microseconds < time_to_spend.microseconds;
       ++proved) {
    const core::Uuid user = users.row(static_cast<std::uint64_t>(proved));
    const auto proof = store::prove_books(spi, user, Access::latest);
    if (!proof.empty() && !first) first = user;
    differences += static_cast<std::int32_t>(proof.count());
    spi.release(proof);
  }
  spi.finish();
  return recent_row.row({Value::of(proved), Value::of(differences), Value::or_null(first)});
}

CLAUDE_GPT_FUNCTION(find_future_times) {
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  for (const store::FutureTimes& found : store::count_future_times(spi, believed_at(CallTime::of_now())))
    if (found.count > 0) result.add({Value::palloced(found.kind), Value::of(found.count)});
  const core::Instant now = clock::now();
  std::int64_t runs = 0;
  for (const Job& job : read_jobs(spi, Access::latest))
    if (core::run_is_of_the_future(job.next_run_at, job.run_every, now)) ++runs;
  if (runs > 0) result.add({Value::palloced(std::string_view{"next runs of jobs"}), Value::of(runs)});
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(carry_unrecorded_usage) {
  Trigger trigger{call};
  trigger.require_after("carry_unrecorded_usage");
  require_rights_over("usage_balances", trigger.table_owner());
  if (snapshot_is_fixed())
    throw core::Failure(core::sqlstate::k_not_in_prerequisite_state,
                        "configuration \"usage_ledger\" cannot be switched on under REPEATABLE READ or SERIALIZABLE",
                        "What others counted in the meantime could not be carried.", "Use READ COMMITTED.");
  Spi spi;
  store::lock_counting(spi);
  store::carry_unrecorded_usage(spi);
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(repair_books) {
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  const auto of_user = call.find(arg::repair_books::p_user_id);
  const CallTime time = CallTime::of_now();
  const store::Believed believed = believed_at(time);
  Differing differing = differing_in(prove(spi, of_user, Access::read_write));
  for (const auto& found : store::find_users_of_the_future(spi, of_user, believed, true, Access::read_write))
    differing.users.insert(found.user_id);
  for (const core::Uuid& user_id : store::find_users_with_later_periods(spi, of_user)) differing.users.insert(user_id);
  lock(spi, store::lock_users, differing.users);
  lock(spi, store::lock_conversations, differing.conversations);
  mend_times(spi, store::find_users_of_the_future(spi, of_user, believed, true, Access::read_write), time, result);
  for (const core::Uuid& user_id : store::find_users_with_later_periods(spi, of_user))
    mend_period_for_good(user_id, time);
  // What has nothing to repair writes nothing, and works on a standby.
  if (store::has_records_of_the_future(spi, of_user, believed)) {
    for (const auto& found : store::bring_records_near(spi, of_user, believed)) add_to(result, found, found.proved);
    for (const auto& found : store::bring_keys_near(spi, of_user, believed)) add_to(result, found, found.proved);
  }
  // Whatever was on its way when they were found has arrived: proved again, with the rows locked.
  for (const store::Difference& found : prove(spi, of_user, Access::read_write)) {
    const auto& conversation = found.conversation_id;
    if (!(conversation ? differing.conversations.contains(*conversation) : differing.users.contains(found.user_id)))
      continue;
    if (conversation)
      store::repair_conversation(spi, *conversation, found.item, found.proved);
    else
      store::repair_user(spi, found.user_id, found.item, found.proved);
    add_to(result, found, found.proved);
  }
  spi.finish();
  return no_result();
}

}  // namespace claude_gpt::api
