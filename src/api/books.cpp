// Topic books: prove_books(), repair_books(), and carry_unrecorded_usage(), a trigger of system_configs.
// All three set the search_path and the date style (in their SQL): the proof is long, and reads better with
// plain operators; and moments go through text.
#include <set>
#include <vector>

#include "api/schema.hpp"
#include "api/usage.hpp"
#include "api/users.hpp"
#include "bridge/array.hpp"
#include "bridge/clock.hpp"
#include "bridge/database.hpp"
#include "bridge/entry.hpp"
#include "bridge/record.hpp"
#include "bridge/report.hpp"
#include "bridge/rights.hpp"
#include "bridge/trigger.hpp"
#include "bridge/waiting.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// $1 as below. What ledger and balances say of each user.
// clang-format off
#define CLAUDE_GPT_BOOKED \
  "WITH entries AS (\n" \
  "    SELECT e.user_id, e.usage_type, e.quantity, e.cost,\n" \
  "           e.billing_period = date_trunc('month', u.monthly_reset_date::timestamp)::date AS is_month\n" \
  "    FROM (SELECT r.user_id, r.usage_type, r.quantity, r.cost, r.billing_period FROM claude_gpt_data.usage_records AS r\n" \
  "          WHERE $1 IS NULL OR r.user_id = $1\n" \
  "          UNION ALL\n" \
  "          SELECT b.user_id, b.usage_type, b.quantity, b.cost, b.billing_period FROM claude_gpt_data.usage_balances AS b\n" \
  "          WHERE $1 IS NULL OR b.user_id = $1) AS e\n" \
  "    JOIN claude_gpt_data.users AS u ON u.id = e.user_id\n" \
  "), booked AS (\n" \
  "    SELECT e.user_id,\n" \
  "           sum(e.quantity) FILTER (WHERE e.usage_type = 'message') AS messages,\n" \
  "           sum(e.quantity) FILTER (WHERE e.usage_type = 'message' AND e.is_month) AS month_messages,\n" \
  "           sum(e.quantity) FILTER (WHERE e.usage_type = 'token') AS tokens,\n" \
  "           sum(e.quantity) FILTER (WHERE e.usage_type = 'token' AND e.is_month) AS month_tokens,\n" \
  "           sum(e.quantity) FILTER (WHERE e.usage_type = 'api_call') AS api_calls,\n" \
  "           sum(e.quantity) FILTER (WHERE e.usage_type = 'api_call' AND e.is_month) AS month_api_calls,\n" \
  "           sum(e.cost) AS cost,\n" \
  "           sum(e.cost) FILTER (WHERE e.is_month) AS month_cost\n" \
  "    FROM entries AS e GROUP BY e.user_id\n"

// $1: one user, or NULL for all. The plan is made for the value at hand: one user's goes by the indexes. (An array, since
// IN would be looked at for a join before "$1 IS NULL" is known to be false, and scan all messages then.)
// While the ledger is not kept, what the counters hold beyond it cannot be proved. Whether it is comes from the very
// snapshot of the counters: another session may switch it meanwhile.
constinit Statement k_prove{"users", CLAUDE_GPT_BOOKED R"sql(), kept AS (
    SELECT NOT EXISTS (SELECT FROM claude_gpt_data.system_configs AS c
                       WHERE c.config_key = 'usage_ledger' AND c.is_active AND c.config_value = 'false') AS is_kept
), open AS (
    SELECT r.user_id, sum(r.message_count) AS messages, sum(r.token_count) AS tokens, sum(r.cost) AS cost,
           min(r.expires_at) AS first_expiry
    FROM claude_gpt_data.usage_reservations AS r WHERE r.status = 'open' AND ($1 IS NULL OR r.user_id = $1)
    GROUP BY r.user_id
), counted AS (
    SELECT m.conversation_id, count(*) AS messages,
           sum(COALESCE(m.total_tokens::bigint, COALESCE(m.prompt_tokens, 0)::bigint + COALESCE(m.completion_tokens, 0))) AS tokens,
           sum(COALESCE(m.cost, 0)) AS cost, max(m.created_at) AS newest
    FROM claude_gpt_data.messages AS m
    WHERE m.status <> 'deleted'
      AND ($1 IS NULL OR m.conversation_id = ANY (ARRAY(SELECT c.id FROM claude_gpt_data.conversations AS c WHERE c.user_id = $1)))
    GROUP BY m.conversation_id
)
SELECT u.id, NULL::uuid, d.item, d.recorded, d.proved
FROM claude_gpt_data.users AS u
CROSS JOIN kept AS k
LEFT JOIN booked AS b ON b.user_id = u.id
LEFT JOIN open AS o ON o.user_id = u.id
CROSS JOIN LATERAL (
    SELECT n.item, n.recorded::text, n.proved::text
    FROM (VALUES
        ('monthly_message_count', u.monthly_message_count::numeric, COALESCE(b.month_messages, 0)),
        ('total_message_count', u.total_message_count, COALESCE(b.messages, 0)),
        ('monthly_token_count', u.monthly_token_count, COALESCE(b.month_tokens, 0)),
        ('total_token_count', u.total_token_count, COALESCE(b.tokens, 0)),
        ('monthly_api_call_count', u.monthly_api_call_count, COALESCE(b.month_api_calls, 0)),
        ('total_api_call_count', u.total_api_call_count, COALESCE(b.api_calls, 0)),
        ('monthly_cost', u.monthly_cost, COALESCE(b.month_cost, 0)),
        ('total_cost', u.total_cost, COALESCE(b.cost, 0)),
        ('held_message_count', u.held_message_count, COALESCE(o.messages, 0)),
        ('held_token_count', u.held_token_count, COALESCE(o.tokens, 0)),
        ('held_cost', u.held_cost, COALESCE(o.cost, 0))
    ) AS n (item, recorded, proved)
    WHERE n.recorded < n.proved OR n.recorded > n.proved AND (k.is_kept OR n.item LIKE 'held%')
    UNION ALL
    SELECT 'next_hold_expiry', u.next_hold_expiry::text, o.first_expiry::text
    WHERE COALESCE(u.next_hold_expiry, 'infinity') > o.first_expiry
) AS d
WHERE ($1 IS NULL OR u.id = $1)
  AND (COALESCE(u.next_hold_expiry, 'infinity') > o.first_expiry
       OR ROW(u.monthly_message_count, u.total_message_count, u.monthly_token_count, u.total_token_count,
              u.monthly_api_call_count, u.total_api_call_count, u.monthly_cost, u.total_cost,
              u.held_message_count, u.held_token_count, u.held_cost)
          <> ROW(COALESCE(b.month_messages, 0), COALESCE(b.messages, 0), COALESCE(b.month_tokens, 0), COALESCE(b.tokens, 0),
                 COALESCE(b.month_api_calls, 0), COALESCE(b.api_calls, 0), COALESCE(b.month_cost, 0), COALESCE(b.cost, 0),
                 COALESCE(o.messages, 0), COALESCE(o.tokens, 0), COALESCE(o.cost, 0)))
UNION ALL
SELECT c.user_id, c.id, d.item, d.recorded, d.proved
FROM claude_gpt_data.conversations AS c
LEFT JOIN counted AS n ON n.conversation_id = c.id
CROSS JOIN LATERAL (
    SELECT v.item, v.recorded::text, v.proved::text
    FROM (VALUES
        ('message_count', c.message_count::numeric, COALESCE(n.messages, 0)::numeric),
        ('total_tokens', c.total_tokens, COALESCE(n.tokens, 0)),
        ('total_cost', c.total_cost, COALESCE(n.cost, 0))
    ) AS v (item, recorded, proved)
    WHERE v.recorded <> v.proved
    UNION ALL
    SELECT 'last_message_at', c.last_message_at::text, n.newest::text WHERE c.last_message_at <> n.newest
) AS d
WHERE ($1 IS NULL OR c.user_id = $1)
  AND (c.last_message_at <> n.newest
       OR ROW(c.message_count, c.total_tokens, c.total_cost)
          <> ROW(COALESCE(n.messages, 0), COALESCE(n.tokens, 0), COALESCE(n.cost, 0)))
ORDER BY 1, 2 NULLS FIRST, 3
)sql",
                           {Type::uuid}, Planning::by_values};
// clang-format on

// What the counters hold beyond ledger and balances: of the month they count, and of the time before. Users with
// nothing beyond are left out. Nobody counts meanwhile.
constinit Statement k_lock_counting{"users", "LOCK TABLE claude_gpt_data.users IN SHARE ROW EXCLUSIVE MODE"};

// clang-format off
constinit Statement k_carry{"usage_balances", CLAUDE_GPT_BOOKED R"sql()
INSERT INTO claude_gpt_data.usage_balances AS c (user_id, usage_type, billing_period, quantity, cost)
SELECT u.id, k.usage_type, p.billing_period, p.quantity, p.cost
FROM claude_gpt_data.users AS u
LEFT JOIN booked AS b ON b.user_id = u.id
CROSS JOIN LATERAL (VALUES
    ('message', u.monthly_message_count - COALESCE(b.month_messages, 0), u.total_message_count - COALESCE(b.messages, 0), 0::numeric, 0::numeric),
    ('token', u.monthly_token_count - COALESCE(b.month_tokens, 0), u.total_token_count - COALESCE(b.tokens, 0),
              u.monthly_cost - COALESCE(b.month_cost, 0), u.total_cost - COALESCE(b.cost, 0)),
    ('api_call', u.monthly_api_call_count - COALESCE(b.month_api_calls, 0), u.total_api_call_count - COALESCE(b.api_calls, 0), 0, 0)
) AS k (usage_type, in_month, in_all, cost_in_month, cost_in_all)
CROSS JOIN LATERAL (VALUES
    (date_trunc('month', u.monthly_reset_date::timestamp)::date, k.in_month, k.cost_in_month),
    ('0001-01-01'::date, k.in_all - k.in_month, k.cost_in_all - k.cost_in_month)
) AS p (billing_period, quantity, cost)
WHERE p.quantity <> 0 OR p.cost <> 0
ON CONFLICT ON CONSTRAINT usage_balances_pkey
DO UPDATE SET quantity = c.quantity + excluded.quantity, cost = c.cost + excluded.cost
)sql",
                           {Type::uuid}, Planning::by_values};
// clang-format on

constinit Statement k_lock_users{
    "users",
    "SELECT u.id FROM claude_gpt_data.users AS u WHERE u.id = ANY ($1) ORDER BY u.id FOR NO KEY UPDATE",
    {Type::uuid_array},
    Planning::by_values};

constinit Statement k_lock_conversations{
    "conversations",
    "SELECT c.id FROM claude_gpt_data.conversations AS c WHERE c.id = ANY ($1) ORDER BY c.id FOR NO KEY UPDATE",
    {Type::uuid_array},
    Planning::by_values};

// $2 the item, $3 its value. Costs and counts that do not fit their column raise 22003.
// clang-format off
#define CLAUDE_GPT_SET(column, type) " " column " = CASE $2 WHEN '" column "' THEN $3::" type " ELSE " column " END"

constinit Statement k_repair_user{
    "users",
    "UPDATE claude_gpt_data.users SET" CLAUDE_GPT_SET("monthly_message_count", "integer") "," CLAUDE_GPT_SET("total_message_count", "integer") ","
    CLAUDE_GPT_SET("monthly_token_count", "bigint") "," CLAUDE_GPT_SET("total_token_count", "bigint") ","
    CLAUDE_GPT_SET("monthly_api_call_count", "bigint") "," CLAUDE_GPT_SET("total_api_call_count", "bigint") ","
    CLAUDE_GPT_SET("monthly_cost", "numeric") "," CLAUDE_GPT_SET("total_cost", "numeric") ","
    CLAUDE_GPT_SET("held_message_count", "integer") "," CLAUDE_GPT_SET("held_token_count", "bigint") ","
    CLAUDE_GPT_SET("held_cost", "numeric") "," CLAUDE_GPT_SET("next_hold_expiry", "timestamptz")
    " WHERE id = $1",
    {Type::uuid, Type::text, Type::text}};

constinit Statement k_repair_conversation{
    "conversations",
    "UPDATE claude_gpt_data.conversations SET" CLAUDE_GPT_SET("message_count", "integer") "," CLAUDE_GPT_SET("total_tokens", "bigint") ","
    CLAUDE_GPT_SET("total_cost", "numeric") "," CLAUDE_GPT_SET("last_message_at", "timestamptz")
    " WHERE id = $1",
    {Type::uuid, Type::text, Type::text}};
// clang-format on

// Users, and conversations with a difference.
struct Differing {
  std::set<core::Uuid> users;
  std::set<core::Uuid> conversations;
};

Differing differing_in(const Rows& proof) {
  Differing found;
  for (std::uint64_t row = 0; row < proof.count(); ++row) {
    const auto conversation = proof.find<core::Uuid>(row, 2);
    if (conversation)
      found.conversations.insert(*conversation);
    else
      found.users.insert(proof.get<core::Uuid>(row, 1));
  }
  return found;
}

void lock(Spi& spi, Statement& statement, const std::set<core::Uuid>& ids) {
  if (ids.empty()) return;
  const std::vector<core::Uuid> in_order(ids.begin(), ids.end());
  spi.execute(statement, {palloced_array(in_order)}, Access::read_write);
}

// A partition that is dropped, and what it held carried, between the snapshot of a statement and its lock would be in
// neither sum.
constinit Statement k_keep_partitions{"usage_records", "LOCK TABLE claude_gpt_data.usage_records IN ACCESS SHARE MODE"};

// Those whose books are short, so that a look at them takes milliseconds.
constinit Statement k_recently_active{"users",
                                      R"sql(
    SELECT r.id FROM (SELECT u.id, u.total_message_count FROM claude_gpt_data.users AS u WHERE u.last_active_on IS NOT NULL
     ORDER BY u.last_active_on DESC LIMIT 100) AS r WHERE r.total_message_count <= 1000 LIMIT $1
    )sql",
                                      {Type::int8}};

constinit RowType recent_row{{"user_count", Type::int4}, {"difference_count", Type::int4}, {"example", Type::uuid}};

Rows prove(Spi& spi, const Call& call, Access access) {
  spi.execute(k_keep_partitions, {}, Access::read_write);
  const Value user = call.argument(0);
  const Rows proof = spi.execute(k_prove, {user}, access);
  if (proof.empty() && !user.is_null) find_user(spi, value_as<core::Uuid>(user.datum), access);
  return proof;
}

}  // namespace

CLAUDE_GPT_FUNCTION(prove_books) {
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  result.add(prove(spi, call, Access::latest));
  spi.finish();
  if (!keeps_ledger())
    report::notice("usage that is counted while the configuration \"usage_ledger\" is false cannot be proved",
                   "It is carried to usage_balances when \"usage_ledger\" becomes true.");
  return no_result();
}

CLAUDE_GPT_FUNCTION(prove_recent_books) {
  const auto most_users = call.required<std::int32_t>(0, "p_users");
  const auto time_to_spend = call.required<core::Duration>(1, "p_time_to_spend");
  require_current_tables();
  const core::Instant began = monotonic_now();
  Spi spi;
  spi.execute(k_keep_partitions, {}, Access::read_write);
  const Rows users =
      spi.execute(k_recently_active, {Value::of(static_cast<std::int64_t>(most_users))}, Access::read_only);
  std::int32_t proved = 0;
  std::int32_t differences = 0;
  std::optional<core::Uuid> first;
  for (; static_cast<std::uint64_t>(proved) < users.count() &&
         monotonic_now().microseconds - began.microseconds < time_to_spend.microseconds;
       ++proved) {
    const auto user = users.get<core::Uuid>(static_cast<std::uint64_t>(proved), 1);
    const Rows proof = spi.execute(k_prove, {Value::borrowed(user)}, Access::latest);
    if (!proof.empty() && !first) first = user;
    differences += static_cast<std::int32_t>(proof.count());
    spi.release(proof);
  }
  spi.finish();
  return recent_row.row({Value::of(proved), Value::of(differences), Value::or_null(first)});
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
  spi.execute(k_lock_counting, {}, Access::read_write);
  spi.execute(k_carry, {Value::null()}, Access::read_write);
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(repair_books) {
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  const Differing differing = differing_in(prove(spi, call, Access::read_write));
  lock(spi, k_lock_users, differing.users);
  lock(spi, k_lock_conversations, differing.conversations);
  // Whatever was on its way when they were found has arrived: proved again, with the rows locked.
  const Rows proof = prove(spi, call, Access::read_write);
  for (std::uint64_t row = 0; row < proof.count(); ++row) {
    const auto user = proof.get<core::Uuid>(row, 1);
    const auto conversation = proof.find<core::Uuid>(row, 2);
    if (!(conversation ? differing.conversations.contains(*conversation) : differing.users.contains(user))) continue;
    Statement& repair = conversation ? k_repair_conversation : k_repair_user;
    spi.execute(repair,
                {conversation ? Value::borrowed(*conversation) : Value::borrowed(user), proof.value(row, 3, Type::text),
                 proof.value(row, 5, Type::text)},
                Access::read_write);
    result.add({proof.value(row, 1, Type::uuid), proof.value(row, 2, Type::uuid), proof.value(row, 3, Type::text),
                proof.value(row, 4, Type::text), proof.value(row, 5, Type::text)});
  }
  spi.finish();
  return no_result();
}

}  // namespace claude_gpt::api
