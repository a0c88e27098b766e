#include "store/books.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

// $1 as below. What ledger and balances say of each user. What a wrong clock booked to a later month counts in the
// running one (users.ledger_ahead_to).
constexpr SqlText k_booked{R"sql(
WITH entries AS (
    SELECT e.user_id, e.usage_type, e.quantity, e.cost,
           e.billing_period = u.monthly_reset_date
           OR e.billing_period > u.monthly_reset_date AND u.ledger_ahead_to IS NOT NULL AS is_month
    FROM (SELECT r.user_id, r.usage_type, r.quantity, r.cost, r.billing_period FROM claude_gpt_data.usage_records AS r
          WHERE $1 IS NULL OR r.user_id = $1
          UNION ALL
          SELECT b.user_id, b.usage_type, b.quantity, b.cost, b.billing_period FROM claude_gpt_data.usage_balances AS b
          WHERE $1 IS NULL OR b.user_id = $1) AS e
    JOIN claude_gpt_data.users AS u ON u.id = e.user_id
), booked AS (
    SELECT e.user_id,
           sum(e.quantity) FILTER (WHERE e.usage_type = 'message') AS messages,
           sum(e.quantity) FILTER (WHERE e.usage_type = 'message' AND e.is_month) AS month_messages,
           sum(e.quantity) FILTER (WHERE e.usage_type = 'token') AS tokens,
           sum(e.quantity) FILTER (WHERE e.usage_type = 'token' AND e.is_month) AS month_tokens,
           sum(e.quantity) FILTER (WHERE e.usage_type = 'api_call') AS api_calls,
           sum(e.quantity) FILTER (WHERE e.usage_type = 'api_call' AND e.is_month) AS month_api_calls,
           sum(e.cost) AS cost,
           sum(e.cost) FILTER (WHERE e.is_month) AS month_cost
    FROM entries AS e GROUP BY e.user_id
)sql"};

// $1: one user, or NULL for all. The plan is made for the value at hand: one user's goes by the indexes. (An array,
// since IN would be looked at for a join before "$1 IS NULL" is known to be false, and scan all messages then.) While
// the ledger is not kept, what the counters hold beyond it cannot be proved. Whether it is comes from the very snapshot
// of the counters: another session may switch it meanwhile.
constexpr auto k_prove_text = k_booked + R"sql(), kept AS (
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
)sql";
constinit Query<Difference(std::optional<core::Uuid>)> k_prove{"users", k_prove_text, Planning::by_values};

constinit Query<void()> k_lock_counting{"users", R"sql(
    LOCK TABLE claude_gpt_data.users IN SHARE ROW EXCLUSIVE MODE
    )sql"};

// What the counters hold beyond ledger and balances: of the month they count, and of the time before. Users with
// nothing beyond are left out.
constexpr auto k_carry_text = k_booked + R"sql()
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
    (u.monthly_reset_date, k.in_month, k.cost_in_month),
    ('0001-01-01'::date, k.in_all - k.in_month, k.cost_in_all - k.cost_in_month)
) AS p (billing_period, quantity, cost)
WHERE p.quantity <> 0 OR p.cost <> 0
ON CONFLICT ON CONSTRAINT usage_balances_pkey
DO UPDATE SET quantity = c.quantity + excluded.quantity, cost = c.cost + excluded.cost
)sql";
constinit Query<void(std::optional<core::Uuid>)> k_carry{"usage_balances", k_carry_text, Planning::by_values};

constinit Query<void(std::span<const core::Uuid>)> k_lock_users{"users", R"sql(
    SELECT u.id FROM claude_gpt_data.users AS u WHERE u.id = ANY ($1) ORDER BY u.id FOR NO KEY UPDATE
    )sql",
                                                                Planning::by_values};

constinit Query<void(std::span<const core::Uuid>)> k_lock_conversations{"conversations", R"sql(
    SELECT c.id FROM claude_gpt_data.conversations AS c WHERE c.id = ANY ($1) ORDER BY c.id FOR NO KEY UPDATE
    )sql",
                                                                        Planning::by_values};

// $2 the item, $3 its value. Costs and counts that do not fit their column raise 22003.
template <std::size_t name_size, std::size_t type_size>
constexpr auto set_item(const char (&column)[name_size], const char (&type)[type_size]) {
  return SqlText{R"sql( )sql"} + column + R"sql( = CASE $2 WHEN ')sql" + column + R"sql(' THEN $3::)sql" + type +
         R"sql( ELSE )sql" + column + R"sql( END)sql";
}
constexpr SqlText k_and{R"sql(,)sql"};
constexpr SqlText k_of_that_id{R"sql( WHERE id = $1 )sql"};

constexpr auto k_repair_user_text =
    R"sql(
    UPDATE claude_gpt_data.users SET)sql" +
    set_item("monthly_message_count", "integer") + k_and + set_item("total_message_count", "integer") + k_and +
    set_item("monthly_token_count", "bigint") + k_and + set_item("total_token_count", "bigint") + k_and +
    set_item("monthly_api_call_count", "bigint") + k_and + set_item("total_api_call_count", "bigint") + k_and +
    set_item("monthly_cost", "numeric") + k_and + set_item("total_cost", "numeric") + k_and +
    set_item("held_message_count", "integer") + k_and + set_item("held_token_count", "bigint") + k_and +
    set_item("held_cost", "numeric") + k_and + set_item("next_hold_expiry", "timestamptz") + k_and +
    set_item("last_active_at", "timestamptz") + k_of_that_id;
constinit Query<void(core::Uuid, std::optional<std::string_view>, std::optional<std::string_view>)> k_repair_user{
    "users", k_repair_user_text};

constexpr auto k_repair_conversation_text =
    R"sql(
    UPDATE claude_gpt_data.conversations SET)sql" +
    set_item("message_count", "integer") + k_and + set_item("total_tokens", "bigint") + k_and +
    set_item("total_cost", "numeric") + k_and + set_item("last_message_at", "timestamptz") + k_of_that_id;
constinit Query<void(core::Uuid, std::optional<std::string_view>, std::optional<std::string_view>)>
    k_repair_conversation{"conversations", k_repair_conversation_text};

constinit Query<void()> k_keep_partitions{"usage_records", R"sql(
    LOCK TABLE claude_gpt_data.usage_records IN ACCESS SHARE MODE
    )sql"};

constinit Query<core::Uuid(std::int64_t)> k_recently_active{"users", R"sql(
    SELECT r.id FROM (
        SELECT u.id, u.total_message_count FROM claude_gpt_data.users AS u WHERE u.last_active_on IS NOT NULL
        ORDER BY u.last_active_on DESC LIMIT 100) AS r
    WHERE r.total_message_count <= 1000 LIMIT $1
    )sql"};

}  // namespace

Result<Difference> prove_books(Spi& spi, std::optional<core::Uuid> user_id, Access access) {
  return spi.execute(k_prove, access, user_id);
}

void keep_partitions_of_the_ledger(Spi& spi) { spi.execute(k_keep_partitions, Access::read_write); }

Result<core::Uuid> find_recently_active_users(Spi& spi, std::int64_t most) {
  return spi.execute(k_recently_active, Access::read_only, most);
}

void lock_users(Spi& spi, std::span<const core::Uuid> ids) { spi.execute(k_lock_users, Access::read_write, ids); }

void lock_conversations(Spi& spi, std::span<const core::Uuid> ids) {
  spi.execute(k_lock_conversations, Access::read_write, ids);
}

void repair_user(Spi& spi, const core::Uuid& id, std::optional<UnreadText> item, std::optional<UnreadText> value) {
  spi.execute(k_repair_user, Access::read_write, id, item, value);
}

void repair_conversation(Spi& spi, const core::Uuid& id, std::optional<UnreadText> item,
                         std::optional<UnreadText> value) {
  spi.execute(k_repair_conversation, Access::read_write, id, item, value);
}

void lock_counting(Spi& spi) { spi.execute(k_lock_counting, Access::read_write); }

void carry_unrecorded_usage(Spi& spi) { spi.execute(k_carry, Access::read_write, std::nullopt); }

}  // namespace claude_gpt::store
