#include "api/attempts.hpp"

#include <algorithm>

#include "bridge/server_error.hpp"
#include "bridge/subtransaction.hpp"
#include "bridge/waiting.hpp"
#include "core/failure.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// Who waits for an exclusive lock has all others queue up behind. Deadlocks are looked for earlier: this session is to
// be their victim, not an application; and that look is what sends an autovacuum away.
constexpr char k_lock_timeout[] = "250ms";
constexpr char k_deadlock_timeout[] = "100ms";
constexpr int k_tries = 20;
constexpr core::Duration k_first_pause{50'000};
constexpr core::Duration k_longest_pause{1'000'000};

std::optional<Problem> try_once(Transactions& transactions, const std::function<void(Spi&)>& work,
                                core::Duration rest) {
  transactions.set_local("lock_timeout", k_lock_timeout);
  transactions.set_local("deadlock_timeout", k_deadlock_timeout);
  if (transactions.is_lazy()) transactions.set_local("synchronous_commit", "off");
  Problem problem;
  Subtransaction subtransaction;
  bool is_done = false;
  try {
    wait_for(rest);
    Spi spi;
    work(spi);
    spi.finish();
    subtransaction.commit();
    is_done = true;
    transactions.commit();
    return std::nullopt;
  } catch (const ServerError& caught) {
    problem = {caught.sqlstate(), caught.what(), caught.error()};
  } catch (const core::Failure& caught) {
    problem = {caught.code(), caught.message()};
  }
  if (!is_done) {
    subtransaction.roll_back();
    transactions.commit();
  }
  return problem;
}

bool may_pass(const Problem& problem) {
  using namespace core::sqlstate;
  return problem.sqlstate == k_lock_not_available || problem.sqlstate == k_deadlock_detected ||
         problem.sqlstate == k_serialization_failure;
}

}  // namespace

void Problem::raise() const {
  if (error != nullptr) throw ServerError(error);
  throw core::Failure(sqlstate, message);
}

std::optional<Problem> attempt(Transactions& transactions, const std::function<void(Spi&)>& work, core::Duration rest) {
  std::optional<Problem> problem = try_once(transactions, work, rest);
  core::Duration pause = k_first_pause;
  for (int tries = 1; tries < k_tries && problem && may_pass(*problem); ++tries) {
    problem = try_once(transactions, work, pause);
    pause = std::min(core::Duration{pause.microseconds * 2}, k_longest_pause);
  }
  return problem;
}

}  // namespace claude_gpt::api
